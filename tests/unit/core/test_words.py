"""Phrases and labels: the same words in both languages, also as parameters."""

from __future__ import annotations

import msgspec
import pytest

from smsgw.core.errors import Invalid, message_of
from smsgw.core.model import MessageType
from smsgw.core.words import Phrase, label, labels_of, listed, phrase, reason_of
from smsgw.web import envelope


def test_a_phrase_reads_as_chinese_and_has_its_english() -> None:
    said = phrase("number.between", low=1, high=9)
    assert (str(said), f"{said}", said.english) == (
        "须为 1 到 9 的整数",
        "须为 1 到 9 的整数",
        "a whole number from 1 to 9",
    )
    assert said == phrase("number.between", low=1, high=9) != phrase("number.between", low=1, high=8)


def test_a_phrase_that_nobody_wrote_is_an_error_where_it_is_named() -> None:
    with pytest.raises(KeyError):
        phrase("no such words")
    with pytest.raises(KeyError):
        label("type", "no such value")


def test_words_among_words_are_in_the_language_of_the_whole() -> None:
    outer = Phrase("number.between", (("low", label("type", MessageType.OTP)), ("high", listed(["a", "b"]))))
    assert str(outer) == "须为 验证码 到 a、b 的整数"
    assert outer.english == "a whole number from one-time code to a, b"
    assert list(map(str, labels_of("type").values()))[:2] == ["验证码", "通知"]


def test_an_error_says_its_reason_in_the_language_of_the_answer() -> None:
    error = Invalid("PARAM_INVALID", field="n", reason=phrase("number.between", low=1, high=9))
    assert str(error) == "参数格式不正确：n，须为 1 到 9 的整数"
    assert (
        message_of(error.code, error.detail, english=True)
        == "Invalid parameter n: a whole number from 1 to 9"
    )
    for english, reason in ((False, "须为 1 到 9 的整数"), (True, "a whole number from 1 to 9")):
        answer = msgspec.json.decode(envelope.failure(error, "R", english=english)[1])
        assert answer["data"] == {"field": "n", "reason": reason}
        assert answer["message_en"] == "Invalid parameter n: a whole number from 1 to 9"


def test_a_value_error_hands_its_words_on() -> None:
    said = phrase("number.between", low=1, high=9)
    assert reason_of(ValueError(said)) is said
    assert reason_of(ValueError("plain")) == "plain"
