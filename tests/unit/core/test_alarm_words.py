"""What receivers are told of alarms: words, signatures, and what robots' answers mean."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from smsgw.core import alarm_notes
from smsgw.core.alarm_notes import Note, Way
from smsgw.core.words import phrase

SINCE = datetime(2026, 11, 26, 15, 10, 5, tzinfo=UTC)


def raised(id_: int = 1, name: str = "mobile-a", detail: str = "") -> Note:
    return Note(id_, "raised", 7, "channel_down", f"channel/{name}", "critical", detail, SINCE)


def test_a_note_says_what_where_since_when_and_why() -> None:
    one = raised(detail="no answer")
    assert str(one.words) == "告警（严重）：通道断开，通道 mobile-a，自 2026-11-26 23:10:05。no answer"
    assert one.words.english.startswith("Alarm (critical): channel is down, Channel mobile-a, since 2026-11-26 23:10")
    until = SINCE + timedelta(minutes=5)
    over = Note(2, "cleared", 7, "channel_down", "channel/mobile-a", "critical", "", SINCE, until)
    assert str(over.words) == "告警恢复：通道断开，通道 mobile-a，2026-11-26 23:10:05 至 2026-11-26 23:15:05"
    assert "告警" in str(Note(3, "test").words), "robots may want this word"


def test_a_kind_of_a_later_program_stands_for_itself() -> None:
    assert "later_kind" in str(Note(1, "raised", 7, "later_kind", "thing/9", "warning", "", SINCE).words)


def test_many_notes_fit_a_phone_and_say_how_many_are_left() -> None:
    text = alarm_notes.short([raised(n, f"mobile-{n}", "x" * 90) for n in range(20)], english=False)
    assert len(text) <= alarm_notes.LONGEST_SMS
    assert "另有 19 条" in text
    both = alarm_notes.short([raised(1, "a"), raised(2, "b")], english=False)
    assert both.count("通道断开") == 2
    assert "另有" not in both


@pytest.mark.parametrize("english", [False, True])
def test_robots_get_whole_lines_the_gravest_first_and_how_many_are_left(english: bool) -> None:
    told = [replace(raised(n, f"mobile-{n}", "断" * 60), severity="warning") for n in range(19)]
    grave = raised(20, "grave", "断" * 60)
    text = alarm_notes.robot_text([*told, grave], english=english)
    *lines, last = text.split("\n")
    assert len(text.encode()) <= alarm_notes.LONGEST_CALL
    assert lines == [note.words.text(english) for note in (grave, *told[: len(lines) - 1])]
    assert last == (f"{20 - len(lines)} more: see the alarms" if english else f"另有 {20 - len(lines)} 条，见告警记录")
    full = alarm_notes.robot_text([*told, grave], english=english, calls=60)
    assert len(full.encode()) <= alarm_notes.LONGEST_CALL
    assert "60" in full.rsplit("\n", 1)[1]


def test_one_that_is_too_long_is_cut_before_what_is_left() -> None:
    long = [raised(n, "名" * 300) for n in range(3)]
    assert alarm_notes.short(long, english=False, calls=12).splitlines()[1] == "另有 2 条，见告警记录"
    assert len(alarm_notes.short(long, english=False, calls=12)) == alarm_notes.LONGEST_SMS


def test_what_is_told_late_says_that_it_is_over() -> None:
    late = replace(raised(detail="no answer"), cleared_at=SINCE + timedelta(minutes=5))
    assert str(late.words).endswith("no answer（已于 2026-11-26 23:15:05 恢复）")
    assert late.words.english.endswith("(over since 2026-11-26 23:15:05)")


def test_the_signature_of_a_dingtalk_robot_is_the_documented_one() -> None:
    """HmacSHA256 of "timestamp\\nsecret" by the secret, Base64, in the query (made by OpenSSL)."""
    now = datetime.fromtimestamp(1_577_262_236.757, UTC)
    signed = alarm_notes.signed("https://oapi.dingtalk.com/robot/send?access_token=x", "this is secret", now)
    query = parse_qs(urlsplit(signed).query)
    assert query["timestamp"] == ["1577262236757"]
    assert query["sign"] == ["hmPWwU+7lVdm3ZZz0r9tSfx0L4Q26jWOZr9+Gs6EZQM="]
    assert alarm_notes.signed("https://a?b=c", "", now) == "https://a?b=c"


@pytest.mark.parametrize(("way", "status", "body", "outcome"), [
    (Way.WECOM, 200, b'{"errcode":0,"errmsg":"ok"}', "sent"),
    (Way.WECOM, 200, b'{"errcode":93000,"errmsg":"invalid webhook url"}', "refused"),
    (Way.WECOM, 200, b'{"errcode":45009,"errmsg":"api freq out of limit"}', "again"),
    (Way.DINGTALK, 200, b'{"errcode":310000,"errmsg":"sign not match"}', "refused"),
    (Way.DINGTALK, 200, b'{"errcode":130101,"errmsg":"send too fast"}', "again"),
    (Way.DINGTALK, 502, b"", "again"), (Way.DINGTALK, 403, b"", "refused"),
    (Way.WECOM, 200, b"<html>", "unsure"), (Way.WECOM, 200, b"[]", "unsure"),
    (Way.WECOM, 200, b'{"errcode":"x"}', "unsure"),
])  # fmt: skip
def test_what_a_robot_answers_is_told(way: Way, status: int, body: bytes, outcome: str) -> None:
    assert alarm_notes.robot_answer(way, status, body)[0] == outcome


def test_a_key_is_decoded_where_it_says_so() -> None:
    assert alarm_notes.key_of("whsec_c2VjcmV0") == b"secret"
    assert alarm_notes.key_of("whsec_not base64") == b"whsec_not base64"
    assert alarm_notes.key_of("plain") == b"plain"


def test_a_cause_in_words_is_in_the_readers_language() -> None:
    one = Note(1, "raised", 7, "database_down", "node/1", "critical", phrase("alarm.no_answer"), SINCE)
    assert str(one.words).endswith("数据库没有应答")
    assert one.words.english.endswith("the database does not answer")
