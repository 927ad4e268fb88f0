"""Words on their way: what was heard from outside, and what is stored and read again."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from smsgw.core.carried import Heard, Moment, Remembered, packed, unpacked
from smsgw.core.words import Wording, label, labels_of, listed, phrase


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
