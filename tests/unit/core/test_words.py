"""Phrases and labels in both languages, also as parameters, stored and heard from outside."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import msgspec
import pytest

from smsgw.core import words
from smsgw.core.errors import CODES, Invalid, Refused, message_of
from smsgw.core.model import MessageType
from smsgw.core.wording_json import Heard, Moment, Remembered, packed, unpacked
from smsgw.core.words import Phrase, label, labels_of, listed, phrase, reason_of
from smsgw.web import envelope


def test_phrases_are_in_the_language_of_the_whole() -> None:
    said = phrase("number.between", low=1, high=9)
    assert (str(said), f"{said}", said.english) == (
        "须为 1 到 9 的整数",
        "须为 1 到 9 的整数",
        "a whole number from 1 to 9",
    )
    assert said == phrase("number.between", low=1, high=9) != phrase("number.between", low=1, high=8)
    with pytest.raises(KeyError):  # a phrase that nobody wrote is an error where it is named
        phrase("no such words")
    with pytest.raises(KeyError):
        label("type", "no such value")
    outer = Phrase("number.between", (("low", label("type", MessageType.OTP)), ("high", listed(["a", "b"]))))
    assert str(outer) == "须为 验证码 到 a、b 的整数"
    assert outer.english == "a whole number from one-time code to a, b"
    assert list(map(str, labels_of("type").values()))[:2] == ["验证码", "通知"]
    told = phrase("alarm.reviews", n=1, oldest=Moment(datetime(2026, 3, 1, 16, 30, tzinfo=UTC)))
    assert "2026-03-02 00:30:00" in str(told)
    assert "2026-03-02 00:30:00" in told.english


def test_an_error_says_its_reason_in_the_language_of_the_answer() -> None:
    error = Invalid("PARAM_INVALID", field="n", reason=phrase("number.between", low=1, high=9))
    assert str(error) == "参数格式不正确：n，须为 1 到 9 的整数"
    assert message_of(error.code, error.detail, english=True) == "Invalid parameter n: a whole number from 1 to 9"
    for english, reason in ((False, "须为 1 到 9 的整数"), (True, "a whole number from 1 to 9")):
        answer = msgspec.json.decode(envelope.failure(error, "R", english=english)[1])
        assert answer["data"] == {"field": "n", "reason": reason}
        assert answer["message_en"] == "Invalid parameter n: a whole number from 1 to 9"
    said = phrase("number.between", low=1, high=9)  # a value error hands its words on
    assert reason_of(ValueError(said)) is said
    assert reason_of(ValueError("plain")) == "plain"
    assert str(Refused("BALANCE_INSUFFICIENT", need=3, left=1)) == "余额不足，需要 3 条，剩余 1 条，请充值后重试"


def test_what_was_heard_is_told_without_numbers_of_the_system() -> None:
    for said, chinese, english in (
        ("cannot connect: [Errno 111] Connect call failed ('127.0.0.1', 7890)",
         "无法连接：连接被对方拒绝 127.0.0.1:7890",
         "cannot connect: the connection was refused 127.0.0.1:7890"),
        ("[Errno 28] No space left on device: '/var'", "磁盘空间不足", "the disk is full"),
        ("[Errno 4711] whatever; and more", "网络错误; and more", "a network error; and more"),
        ("keepalive-timeout", "心跳无应答", "no answer to the keep-alive"),
        ("login refused: 12 (status 3)", "登录被拒：12 (status 3)", "login refused: 12 (status 3)"),
        ("HTTP 500", "HTTP 500", "HTTP 500"),
        ("", "", ""),
    ):  # fmt: skip
        assert (str(Heard(said)), Heard(said).english) == (chinese, english)
        assert bool(Heard(said)) is bool(said)
    # A stranger's text must not take down the page of alarms.
    head = next(key for key in labels_of("trouble"))  # what others say over and over is told all the same
    for english in (False, True):
        assert "x" in Heard(f"{head}: " * 2000 + "x").text(english)
    assert packed(Heard("a\0b")) == {"heard": "ab"}  # what the database has no place for is left out


def test_words_come_back_as_they_went() -> None:
    for told in (
        phrase("alarm.reviews", n=3, oldest=Moment(datetime(2026, 3, 1, 16, 30, tzinfo=UTC))),
        phrase("alarm.guessed", ways=listed([phrase("alarm.guessing", where=label("edge", "api"), n=300, minutes=10,
                                                    sources=1, most=listed(["192.0.2.1 (300)"]))])),
        Heard("cannot connect: [Errno 110]"),
    ):  # fmt: skip
        back = unpacked(json.loads(json.dumps(packed(told))))
        assert back == told
        assert (str(back), back.english) == (str(told), told.english)


def test_words_of_another_version_are_refused() -> None:
    for strange in (None, {"phrase": "of.another.version", "with": {}}, {"label": ["edge", "x"]}, []):
        with pytest.raises(ValueError, match="no wording of ours"):
            unpacked(strange)
    with pytest.raises(TypeError):  # what is no words is not packed
        packed(object())
    # Of another version: told as they were written down, and no page falls over them.
    with pytest.raises(ValueError, match="places"):  # words whose places are others by now are none of ours
        unpacked({"phrase": "alarm.unmatched", "with": {"unmatched": 1}})


def test_what_was_written_before_is_remembered_or_stays() -> None:
    old = Remembered("1 行的内容含新链接:https://a.example:8443/b", "review.")
    assert old.english == "1 rows with new links: https://a.example:8443/b"
    assert str(old) == "1 行的内容含新链接:https://a.example:8443/b"
    assert Remembered("别人写的", "review.").english == "别人写的"  # what nobody of us has written stays as it is
    for told in (
        phrase("review.untemplated"), phrase("review.many", n=12, over=5), phrase("review.words", words="发票、贷款"),
        phrase("review.new_sign", sign="示例"),
    ):  # fmt: skip
        assert Remembered(str(told), "review.").english == told.english
        assert str(Remembered(str(told), "review.")) == str(told)


@pytest.mark.parametrize("code", CODES)
def test_a_message_says_something_with_and_without_its_details(code: str) -> None:
    status, (chinese, _) = CODES[code], words.CODES[code]
    assert 200 <= status < 600
    details = dict.fromkeys(re.findall(r"{(\w+)}", chinese), "X7")
    assert message_of(code, details).count("X7") == len(re.findall(r"{\w+}", chinese))
    for english in (False, True):
        assert "{" not in message_of(code, english=english)
