"""Phrases and labels in both languages, also as parameters, stored and heard from outside."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import msgspec
import pytest

from smsgw.core import words
from smsgw.core.carried import Heard, Moment, Remembered, packed, unpacked
from smsgw.core.errors import CODES, Invalid, Refused, message_of
from smsgw.core.model import MessageType
from smsgw.core.words import Phrase, Wording, label, labels_of, listed, phrase, reason_of
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
    assert message_of(error.code, error.detail, english=True) == "Invalid parameter n: a whole number from 1 to 9"
    for english, reason in ((False, "须为 1 到 9 的整数"), (True, "a whole number from 1 to 9")):
        answer = msgspec.json.decode(envelope.failure(error, "R", english=english)[1])
        assert answer["data"] == {"field": "n", "reason": reason}
        assert answer["message_en"] == "Invalid parameter n: a whole number from 1 to 9"


def test_a_value_error_hands_its_words_on() -> None:
    said = phrase("number.between", low=1, high=9)
    assert reason_of(ValueError(said)) is said
    assert reason_of(ValueError("plain")) == "plain"


@pytest.mark.parametrize(
    ("said", "chinese", "english"),
    [
        ("cannot connect: [Errno 111] Connect call failed ('127.0.0.1', 7890)",
         "无法连接：连接被对方拒绝 127.0.0.1:7890",
         "cannot connect: the connection was refused 127.0.0.1:7890"),
        ("[Errno 28] No space left on device: '/var'", "磁盘空间不足", "the disk is full"),
        ("[Errno 4711] whatever; and more", "网络错误; and more", "a network error; and more"),
        ("keepalive-timeout", "心跳无应答", "no answer to the keep-alive"),
        ("login refused: 12 (status 3)", "登录被拒：12 (status 3)", "login refused: 12 (status 3)"),
        ("HTTP 500", "HTTP 500", "HTTP 500"),
        ("", "", ""),
    ],
)  # fmt: skip
def test_what_was_heard_is_told_without_numbers_of_the_system(said: str, chinese: str, english: str) -> None:
    assert (str(Heard(said)), Heard(said).english) == (chinese, english)
    assert bool(Heard(said)) is bool(said)


@pytest.mark.parametrize(
    "words",
    [
        phrase("alarm.reviews", n=3, oldest=Moment(datetime(2026, 3, 1, 16, 30, tzinfo=UTC))),
        phrase("alarm.guessed", ways=listed([phrase("alarm.guessing", where=label("edge", "api"), n=300, minutes=10,
                                                    sources=1, most=listed(["192.0.2.1 (300)"]))])),
        Heard("cannot connect: [Errno 110]"),
    ],
)  # fmt: skip
def test_words_come_back_as_they_went(words: Wording) -> None:
    back = unpacked(json.loads(json.dumps(packed(words))))
    assert back == words
    assert (str(back), back.english) == (str(words), words.english)


def test_times_are_those_of_the_people_here() -> None:
    told = phrase("alarm.reviews", n=1, oldest=Moment(datetime(2026, 3, 1, 16, 30, tzinfo=UTC)))
    assert "2026-03-02 00:30:00" in str(told)
    assert "2026-03-02 00:30:00" in told.english


@pytest.mark.parametrize("strange", [None, {"phrase": "of.another.version", "with": {}}, {"label": ["edge", "x"]}, []])
def test_words_of_another_version_are_refused(strange: object) -> None:
    with pytest.raises(ValueError, match="no wording of ours"):
        unpacked(strange)


def test_what_is_no_words_is_not_packed() -> None:
    with pytest.raises(TypeError):
        packed(object())


@pytest.mark.parametrize(
    "words",
    [
        phrase("review.untemplated"), phrase("review.many", n=12, over=5), phrase("review.words", words="发票、贷款"),
        phrase("review.new_sign", sign="示例"),
    ],
)  # fmt: skip
def test_what_was_written_in_chinese_has_its_english_again(words: Wording) -> None:
    assert Remembered(str(words), "review.").english == words.english
    assert str(Remembered(str(words), "review.")) == str(words)


def test_what_was_written_with_signs_of_half_width_has_its_english_too() -> None:
    old = Remembered("1 行的内容含新链接:https://a.example:8443/b", "review.")
    assert old.english == "1 rows with new links: https://a.example:8443/b"
    assert str(old) == "1 行的内容含新链接:https://a.example:8443/b"


def test_what_nobody_of_us_has_written_stays_as_it_is() -> None:
    assert Remembered("别人写的", "review.").english == "别人写的"


def test_what_others_say_over_and_over_is_told_all_the_same() -> None:
    """A stranger's text must not take down the page of alarms."""
    head = next(key for key in labels_of("trouble"))
    for english in (False, True):
        assert "x" in Heard(f"{head}: " * 2000 + "x").text(english)


def test_what_the_database_has_no_place_for_is_left_out() -> None:
    assert packed(Heard("a\0b")) == {"heard": "ab"}


def test_words_whose_places_are_others_by_now_are_none_of_ours() -> None:
    """Of another version: told as they were written down, and no page falls over them."""
    with pytest.raises(ValueError, match="places"):
        unpacked({"phrase": "alarm.unmatched", "with": {"unmatched": 1}})


@pytest.mark.parametrize("code", CODES)
def test_a_message_says_something_with_and_without_its_details(code: str) -> None:
    status, (chinese, _) = CODES[code], words.CODES[code]
    assert 200 <= status < 600
    details = dict.fromkeys(re.findall(r"{(\w+)}", chinese), "X7")
    assert message_of(code, details).count("X7") == len(re.findall(r"{\w+}", chinese))
    for english in (False, True):
        assert "{" not in message_of(code, english=english)


def test_an_error_reads_as_its_message() -> None:
    assert str(Refused("BALANCE_INSUFFICIENT", need=3, left=1)) == "余额不足，需要 3 条，剩余 1 条，请充值后重试"
