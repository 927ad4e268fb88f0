"""The pieces of a long message's content, as its parts ask for them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from smsgw.channels.profiles import Profile
from smsgw.channels.wire.mapping.base import Cutter
from smsgw.core import text
from smsgw.core.model import Claimed, Lane

LONG = "字" * 100
PART = Claimed(
    id=1, part=1, total=2, attempt=1, number="8613800138000", content=LONG, coding="ucs2", extend_code="",
    lane=int(Lane.NOTICE), valid_until=None, ref=7, pool_id=1, account_id=1,
)  # fmt: skip


def test_what_cannot_be_split_gets_no_pieces_of_another_message() -> None:
    cutter = Cutter(Profile())
    first = cutter.piece(PART)
    other = replace(PART, id=2, content="字" * 67 * 256, total=2)
    for part in (1, 2):
        with pytest.raises(text.TooLong):
            cutter.piece(replace(other, part=part))
    assert cutter.piece(PART) == first
    assert cutter.piece(replace(PART, part=2)).octets != first.octets
