"""Opt-out words: however they are typed, and nothing else."""

from __future__ import annotations

import pytest

from smsgw.core import settings
from smsgw.core.optout import DEFAULT_WORDS, plain, wants_out


@pytest.mark.parametrize(
    "text",
    [
        "R", "r", " R ", "Ｒ", "ｒ。", "TD", "t d", "Ｔ　Ｄ", "“R”", "退订", "退 订", "退订!", "拒收。",
        "退订,别再发了", "TD 谢谢", "Stop", "STOP please",
    ],
)  # fmt: skip
def test_people_who_want_out(text: str) -> None:
    assert wants_out(text, DEFAULT_WORDS)


@pytest.mark.parametrize(
    "text", ["", " ", "。", "T恤多少钱", "T 恤多少钱", "R 是什么", "好的", "不退订", "怎么退订", "12345", "RR", "😀"]
)
def test_people_who_say_something_else(text: str) -> None:
    assert not wants_out(text, DEFAULT_WORDS)


def test_words_are_kept_in_plain_form_and_take_effect() -> None:
    words = settings.with_changes({"optout_words": ["Ｎ", "不要 了", "n"]}).optout_words
    assert words == ("n", "不要了")
    assert wants_out("不要了!", words)
    assert not wants_out("退订", words)


def test_plain_leaves_letters_and_digits() -> None:
    assert plain(" Ｔ-Ｄ １。\u200b") == "td1"


@pytest.mark.parametrize(
    ("name", "value"),
    [("optout_words", []), ("optout_words", ["。"]), ("optout_words", [1]), ("optout_words", ["x" * 21]),
     ("complaint_days", 0), ("complaint_days", "30"), ("complaint_days", True), ("nothing", 1)],
)  # fmt: skip
def test_impossible_settings(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        settings.parse(name, value)
    assert settings.with_changes({name: value}) == settings.Settings()
