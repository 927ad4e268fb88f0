"""What is asked for a confirmation, and what an answer calls the fields of a form."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from smsgw.admin.call import Call
from smsgw.admin.kit.lists import Effect, refusal
from smsgw.admin.pages.sending.wizard import Step
from smsgw.core.errors import Invalid
from smsgw.core.words import phrase
from smsgw.platform.drafts.model import Kind, State

CALL = cast(Call, SimpleNamespace(language="zh", gettext=lambda text: text))


def test_nothing_is_confirmed_for_nobody() -> None:
    assert Effect("", {"n": "0"}).idle
    assert Effect("", {"n": 0}).idle
    assert not Effect("", {"n": "0"}, option="也发给 %(dead)s 个").idle, "there is something to choose"
    assert not Effect("", {"n": 3}).idle
    assert not Effect("", {"waiting": "0"}).idle


def refused(field: str, labels: dict[str, str] | None = None) -> str:
    return refusal(CALL, Invalid("PARAM_INVALID", field=field, reason=phrase("draft.choose")), labels or {})


def test_fields_have_the_names_of_the_page() -> None:
    assert "send_at" not in refused("send_at")
    assert "计划时间" in refused("send_at")
    assert "来源地址" in refused("address")
    assert "接收地址" in refused("address", {"address": "note_hook"}), "of the form, not of another page"


def test_steps_that_were_skipped_are_not_called_done() -> None:
    def at(key: str, **state: Any) -> list[int]:
        draft = cast(Any, SimpleNamespace(id=1))
        return Step(CALL, key, draft, Kind.SAME, State(content="您好", to="13800138000", **state), "k").done

    assert at("confirm") == [1, 2]
    assert at("confirm", rate="5") == [1, 2, 3]
    assert at("audience") == [1]
