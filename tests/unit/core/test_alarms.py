"""When something that is found wrong becomes an alarm, what receivers are told of it, and what was available."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from smsgw.admin.words import ALARM
from smsgw.core import alarm_notes
from smsgw.core.alarm_notes import Note, Way
from smsgw.core.alarm_rules import KINDS, Rules, Stored
from smsgw.core.alarms import CRITICAL, OTHERS, WARNING, Finding, Watch, about_of
from smsgw.core.availability import availability, merged
from smsgw.core.ids import CHINA
from smsgw.core.model import ChannelStatus
from smsgw.core.routes import parse
from smsgw.core.settings import Settings
from smsgw.core.throttling import Spell
from smsgw.core.wording_json import packed
from smsgw.core.words import LABELS, english_of, labels_of, phrase
from smsgw.core.words.alarm_rules import ADVICE, CONDITIONS
from smsgw.pipeline.accept.disk import DiskGuard
from smsgw.pipeline.upkeep.alarms import channel_findings, standby_findings
from smsgw.platform.faults.model import MOST_TITLE, title_of, title_said, titled
from smsgw.platform.health.sizes import Size, fullest

DOWN = Finding("channel_down", "channel/a", CRITICAL, "no answer", after=30.0)


def test_whom_an_alarm_concerns_is_told_in_words() -> None:
    for code, chinese, english in (
        ("channel/mobile-a", "通道 mobile-a", "Channel mobile-a"),
        ("node/1/evidence", "节点 1/evidence", "Node 1/evidence"),
        ("webhook/hall/main", "推送地址 main（账号 hall）", "Endpoint main (account hall)"),
        ("webhook/main", "推送地址 main", "Endpoint main"), ("database", "数据库", "Database"),
        ("lane/otp", "验证码队列", "verification queue"), ("lane/none", "lane/none", "lane/none"),
        ("facts/parked", "上行与回执", "Inbound messages and reports"), (OTHERS, "其他对象", "others"),
        ("of/another version", "of/another version", "of/another version"), ("", "", ""),
    ):  # fmt: skip
        assert (str(about_of(code)), english_of(about_of(code))) == (chinese, english)


def test_it_must_last_and_begins_anew_after_a_pause() -> None:
    watch = Watch()
    assert watch.look([DOWN], 100.0) == {}
    assert DOWN.key in watch.found
    assert watch.look([DOWN], 129.9) == {}
    assert watch.look([DOWN], 130.0) == {DOWN.key: (DOWN, 30.0)}
    watch = Watch()  # it begins anew after a pause
    watch.look([DOWN], 100.0)
    watch.look([], 120.0)
    assert DOWN.key not in watch.found
    assert watch.look([DOWN], 140.0) == {}
    assert watch.look([DOWN], 170.0) == {DOWN.key: (DOWN, 30.0)}


def status(name: str, state: str, error: str = "") -> ChannelStatus:
    return ChannelStatus(1, name, "cmpp20", (), "106", state, int(state == "bound"), 1, 0, 16, 0.0, 0, 0, error, (), "")


RULES = Rules(settings=Settings(channel_down_seconds=45))


def test_channels_that_are_not_logged_in_or_throttled_are_found() -> None:
    channels = [
        status("a", "bound"), status("b", "refused", "wrong password"), status("c", "connecting", "no answer"),
        status("d", "stopped"), status("e", "draining"),
    ]  # fmt: skip
    refused, down = (one for one in map(RULES.judged, channel_findings(channels)) if one)
    assert refused.key == ("login_refused", "channel/b")
    assert (refused.after, english_of(refused.detail)) == (0.0, "wrong password")
    assert down.key == ("channel_down", "channel/c")
    assert down.after == 45
    began = datetime(2026, 3, 2, 9, 0, tzinfo=CHINA)  # a carrier that throttles is an alarm as its history has it
    spell = Spell(began, began + timedelta(minutes=12), 400, 120.0, 90_000, 310, over=False)
    channels = [status("a", "bound"), replace(status("b", "bound"), throttled=spell)]
    (found,) = channel_findings(channels)
    assert found.key == ("channel_throttled", "channel/b")
    assert english_of(found.detail) == "since 2026-03-02 09:00:00; 310 segments were refused"
    judged = RULES.judged(found)
    assert judged is not None
    assert judged.after == 600, "one that comes and goes is none"


def test_standbys_are_counted_where_there_are_any() -> None:
    document = {
        "pool": [
            {"name": "vip", "channels": [{"name": "a"}, *({"name": n, "standby": True} for n in "bcd")]},
            {"name": "plain", "channels": ["a"]},
        ],
        "rule": [{"name": "vip", "account": ["hall"], "pool": "vip"}],
    }
    table = parse(document, version=1, channels="abcd")

    def found(**states: str) -> list[tuple[str, str, str]]:
        channels = [status(name, state) for name, state in states.items()]
        return [(f.object, f.severity, english_of(f.detail)) for f in standby_findings(table, channels, Rules())]

    assert found(a="connecting", b="bound", c="bound", d="connecting") == []
    ((object_, severity, detail),) = found(a="bound", b="bound", c="connecting", d="refused")
    assert (object_, severity) == ("pool/vip", WARNING)
    assert detail == "1 healthy of 2 wanted; away or failed: c, d; accounts hall"
    assert found(a="bound", b="stopped")[0][1] == CRITICAL
    assert found(b="idle", c="bound") == []
    document = {"pool": [{"name": "vip", "channels": ["a", {"name": "b", "standby": True}]}]}
    table = parse(document, version=1, channels="ab")
    tried = replace(status("b", "bound"), probe="failed", probe_detail="undeliverable UNDELIV")
    (alarm,) = channel_findings([status("a", "bound"), tried, replace(tried, state="stopped")])
    assert (alarm.key, english_of(alarm.detail)) == (("probe_failed", "channel/b"), "the probe ended: failed UNDELIV")
    one = Rules(settings=Settings(standbys_wanted=1))
    assert [f.object for f in standby_findings(table, [tried], one)] == ["pool/vip"]
    assert standby_findings(table, [replace(tried, probe="ok")], one) == []


def test_rules_have_values_and_exceptions_of_their_own() -> None:
    assert KINDS.keys() == LABELS["alarm"].keys() == ALARM.keys() == CONDITIONS.keys() == ADVICE.keys()
    for kind, known in KINDS.items():
        said = Rules().of(kind).condition
        assert "{" not in f"{said}{said.english}"
        for value in (known.after, *known.values.values()):
            assert value.least <= value.default <= value.most, kind
    rules = Rules(settings=Settings(success_limit=90, success_minutes=15, channel_down_seconds=45))
    assert rules.of("success_low").values == {"threshold": 90, "minutes": 15, "least": 100}
    assert rules.of("channel_down").after == 45
    assert "15" in str(rules.of("success_low").condition)
    stored = {  # an exception holds for its object and has the rest from the rule for all
        ("success_low", ""): Stored(True, WARNING, 60),
        ("login_refused", "channel/spare"): Stored(False),
        ("success_low", "channel/a"): Stored(True, CRITICAL, None, {"threshold": 95}, (3,)),
    }
    rules = Rules(stored)
    assert rules.threshold("success_low", "channel/a") == 95
    assert rules.threshold("success_low", "channel/b") == rules.threshold("success_low") == 99
    assert [rule.object for rule in rules.exceptions("success_low")] == ["channel/a"]
    own = rules.judged(Finding("success_low", "channel/a", WARNING))
    other = rules.judged(Finding("success_low", "channel/b", WARNING))
    assert own is not None
    assert other is not None
    assert (own.severity, own.after) == (CRITICAL, 60)
    assert (other.severity, other.after) == (WARNING, 60)
    assert rules.of("success_low", "channel/a").receivers == (3,)
    assert rules.judged(Finding("login_refused", "channel/spare", CRITICAL)) is None
    assert rules.judged(Finding("login_refused", "channel/a", CRITICAL)) is not None
    for severity in (WARNING, CRITICAL):  # what is found grave stays so where no rule says else
        found = Rules().judged(Finding("standby_low", "pool/vip", severity))
        assert found is not None
        assert found.severity == severity
    late = Rules().judged(Finding("audit_anchor", "node/1", WARNING, after=60.0))
    assert late is not None
    assert (late.severity, late.after) == (CRITICAL, 60.0), "what found it knows how long it may take"
    assert Rules().judged(Finding("of_a_later_program", "x/1", WARNING)) is not None


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
    assert "later_kind" in str(Note(1, "raised", 7, "later_kind", "thing/9", "warning", "", SINCE).words)
    late = replace(raised(detail="no answer"), cleared_at=SINCE + timedelta(minutes=5))
    assert str(late.words).endswith("no answer（已于 2026-11-26 23:15:05 恢复）")
    assert late.words.english.endswith("(over since 2026-11-26 23:15:05)")
    one = Note(1, "raised", 7, "database_down", "node/1", "critical", phrase("alarm.no_answer"), SINCE)
    assert str(one.words).endswith("数据库没有应答")
    assert one.words.english.endswith("the database does not answer")


def test_many_notes_fit_a_phone_and_say_how_many_are_left() -> None:
    text = alarm_notes.short([raised(n, f"mobile-{n}", "x" * 90) for n in range(20)], english=False)
    assert len(text) <= alarm_notes.LONGEST_SMS
    assert "另有 19 条" in text
    both = alarm_notes.short([raised(1, "a"), raised(2, "b")], english=False)
    assert both.count("通道断开") == 2
    assert "另有" not in both
    long = [raised(n, "名" * 300) for n in range(3)]  # one that is too long is cut before what is left
    assert alarm_notes.short(long, english=False, calls=12).splitlines()[1] == "另有 2 条，见告警记录"
    assert len(alarm_notes.short(long, english=False, calls=12)) == alarm_notes.LONGEST_SMS


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


def test_a_robot_is_signed_for_and_its_answers_are_told() -> None:
    """HmacSHA256 of "timestamp\nsecret" by the secret, Base64, in the query (made by OpenSSL)."""
    now = datetime.fromtimestamp(1_577_262_236.757, UTC)
    signed = alarm_notes.signed("https://oapi.dingtalk.com/robot/send?access_token=x", "this is secret", now)
    query = parse_qs(urlsplit(signed).query)
    assert query["timestamp"] == ["1577262236757"]
    assert query["sign"] == ["hmPWwU+7lVdm3ZZz0r9tSfx0L4Q26jWOZr9+Gs6EZQM="]
    assert alarm_notes.signed("https://a?b=c", "", now) == "https://a?b=c"
    for way, status, body, outcome in (  # what a robot answers is told
        (Way.WECOM, 200, b'{"errcode":0,"errmsg":"ok"}', "sent"),
        (Way.WECOM, 200, b'{"errcode":93000,"errmsg":"invalid webhook url"}', "refused"),
        (Way.WECOM, 200, b'{"errcode":45009,"errmsg":"api freq out of limit"}', "again"),
        (Way.DINGTALK, 200, b'{"errcode":310000,"errmsg":"sign not match"}', "refused"),
        (Way.DINGTALK, 200, b'{"errcode":130101,"errmsg":"send too fast"}', "again"),
        (Way.DINGTALK, 502, b"", "again"), (Way.DINGTALK, 403, b"", "refused"),
        (Way.WECOM, 200, b"<html>", "unsure"), (Way.WECOM, 200, b"[]", "unsure"),
        (Way.WECOM, 200, b'{"errcode":"x"}', "unsure"),
    ):  # fmt: skip
        assert alarm_notes.robot_answer(way, status, body)[0] == outcome
    assert alarm_notes.key_of("whsec_c2VjcmV0") == b"secret"  # a key is decoded where it says so
    assert alarm_notes.key_of("whsec_not base64") == b"whsec_not base64"
    assert alarm_notes.key_of("plain") == b"plain"


BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def at(hours: float) -> datetime:
    return BEGIN + timedelta(hours=hours)


def test_what_overlaps_is_counted_once_and_what_is_outside_not_at_all() -> None:
    for spans, hours in (
        ([], 0), ([(1, 2)], 1), ([(1, 3), (2, 4)], 3), ([(1, 4), (2, 3)], 3), ([(2, 3), (1, 2)], 2),
        ([(-5, 1)], 1), ([(9, 99)], 1), ([(-5, 99)], 10), ([(11, 12)], 0), ([(-2, -1)], 0), ([(3, 3)], 0),
    ):  # fmt: skip
        assert merged([(at(a), at(b)) for a, b in spans], at(0), at(10)) == timedelta(hours=hours)
    assert availability([(at(1), at(2)), (at(1.5), at(2))], at(0), at(10)) == pytest.approx(90)
    assert availability([], at(0), at(10)) == 100
    assert availability([], at(0), at(0)) is None


def test_the_title_of_every_kind_of_alarm_is_told_in_both_languages() -> None:
    for kind in labels_of("alarm"):
        named = labels_of("alarm")[kind]
        about, alone = title_said(title_of(kind, "channel/移动 A")), title_said(title_of(kind, ""))
        assert (str(about), english_of(about)) == (f"{named} 移动 A", f"移动 A: {named.english}")
        assert (str(alone), english_of(alone)) == (str(named), named.english)
        packed(about)  # it is part of what an alarm says
    named = str(labels_of("alarm")["channel_down"])  # titles are found in english and others stay
    for title in ("机房断电", f"{named}了", "channel is down"):
        assert title_said(title) == title
    assert len(str(title_said(title_of("channel_down", "channel/" + "a" * 200)))) == MOST_TITLE
    assert str(labels_of("alarm")["channel_down"]) in titled(" CHANNEL is down ")
    assert titled(" ") == (" ",)
    assert titled("") == ()


def test_how_full_a_disk_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil._ntuple_diskusage(total=2000, used=200, free=600)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert DiskGuard([tmp_path], 0).free_percent == Size("node/1/x", 200, 600, None).free_percent == 75
    found = [Size("node/1/a", 1, 3, None), Size("node/1/b", 1, 1, None), Size("node/11/a", 9, 1, None),
             Size("database", 5, None, None)]  # fmt: skip
    one = fullest(found, 1)
    assert one.object == "node/1/b"
    assert fullest(found, 2) is None
