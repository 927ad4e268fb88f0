"""Why a message is not sent again, and why nothing follows it: every reason has its words."""

from __future__ import annotations

from smsgw.admin.words.fallback import WHY
from smsgw.admin.words.lists import RESEND_WHY
from smsgw.platform.messages.resend import REASONS

ELSEWHERE = {"delivered", "maybe", "waiting", "again", "test", "code", "dead", "content"}
"""What a chain says otherwise, or is never behind."""


def test_every_reason_has_its_words() -> None:
    assert RESEND_WHY.keys() == REASONS.keys()
    assert {reason for reason in REASONS if reason not in WHY} == ELSEWHERE
