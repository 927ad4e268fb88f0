"""When something that is found wrong becomes an alarm."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from smsgw.admin.words import ALARM
from smsgw.core.alarm_rules import KINDS, Rules, Stored
from smsgw.core.alarms import CRITICAL, OTHERS, WARNING, Finding, Watch, about_of
from smsgw.core.ids import CHINA
from smsgw.core.model import ChannelStatus
from smsgw.core.routes import parse
from smsgw.core.settings import Settings
from smsgw.core.throttling import Spell
from smsgw.core.words import LABELS, english_of
from smsgw.core.words.alarm_rules import ADVICE, CONDITIONS
from smsgw.pipeline.upkeep.alarms import channel_findings, standby_findings

DOWN = Finding("channel_down", "channel/a", CRITICAL, "no answer", after=30.0)


@pytest.mark.parametrize(
    ("code", "chinese", "english"),
    [
        ("channel/mobile-a", "通道 mobile-a", "Channel mobile-a"),
        ("node/1/evidence", "节点 1/evidence", "Node 1/evidence"),
        ("webhook/hall/main", "推送地址 main（账号 hall）", "Endpoint main (account hall)"),
        ("webhook/main", "推送地址 main", "Endpoint main"), ("database", "数据库", "Database"),
        ("lane/otp", "验证码队列", "verification queue"), ("lane/none", "lane/none", "lane/none"),
        ("facts/parked", "上行与回执", "Inbound messages and reports"), (OTHERS, "其他对象", "others"),
        ("of/another version", "of/another version", "of/another version"), ("", "", ""),
    ],
)  # fmt: skip
def test_whom_an_alarm_concerns_is_told_in_words(code: str, chinese: str, english: str) -> None:
    assert (str(about_of(code)), english_of(about_of(code))) == (chinese, english)


def test_it_must_last() -> None:
    watch = Watch()
    assert watch.look([DOWN], 100.0) == {}
    assert DOWN.key in watch.found
    assert watch.look([DOWN], 129.9) == {}
    assert watch.look([DOWN], 130.0) == {DOWN.key: (DOWN, 30.0)}


def test_it_begins_anew_after_a_pause() -> None:
    watch = Watch()
    watch.look([DOWN], 100.0)
    watch.look([], 120.0)
    assert DOWN.key not in watch.found
    assert watch.look([DOWN], 140.0) == {}
    assert watch.look([DOWN], 170.0) == {DOWN.key: (DOWN, 30.0)}


def status(name: str, state: str, error: str = "") -> ChannelStatus:
    return ChannelStatus(1, name, "cmpp20", (), "106", state, int(state == "bound"), 1, 0, 16, 0.0, 0, 0, error, (), "")


RULES = Rules(settings=Settings(channel_down_seconds=45))


def test_channels_that_are_not_logged_in() -> None:
    channels = [
        status("a", "bound"), status("b", "refused", "wrong password"), status("c", "connecting", "no answer"),
        status("d", "stopped"), status("e", "draining"),
    ]  # fmt: skip
    refused, down = (one for one in map(RULES.judged, channel_findings(channels)) if one)
    assert refused.key == ("login_refused", "channel/b")
    assert (refused.after, english_of(refused.detail)) == (0.0, "wrong password")
    assert down.key == ("channel_down", "channel/c")
    assert down.after == 45


def test_a_carrier_that_throttles_is_an_alarm_as_its_history_has_it() -> None:
    began = datetime(2026, 3, 2, 9, 0, tzinfo=CHINA)
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


def test_a_channel_that_fails_at_its_probe_is_no_healthy_standby() -> None:
    document = {"pool": [{"name": "vip", "channels": ["a", {"name": "b", "standby": True}]}]}
    table = parse(document, version=1, channels="ab")
    tried = replace(status("b", "bound"), probe="failed", probe_detail="undeliverable UNDELIV")
    (alarm,) = channel_findings([status("a", "bound"), tried, replace(tried, state="stopped")])
    assert (alarm.key, english_of(alarm.detail)) == (("probe_failed", "channel/b"), "the probe ended: failed UNDELIV")
    one = Rules(settings=Settings(standbys_wanted=1))
    assert [f.object for f in standby_findings(table, [tried], one)] == ["pool/vip"]
    assert standby_findings(table, [replace(tried, probe="ok")], one) == []


def test_each_kind_of_alarm_has_a_rule_a_condition_and_what_to_do() -> None:
    assert KINDS.keys() == LABELS["alarm"].keys() == ALARM.keys() == CONDITIONS.keys() == ADVICE.keys()
    for kind, known in KINDS.items():
        said = Rules().of(kind).condition
        assert "{" not in f"{said}{said.english}"
        for value in (known.after, *known.values.values()):
            assert value.least <= value.default <= value.most, kind


def test_values_that_are_settings_stand_in_one_place() -> None:
    rules = Rules(settings=Settings(success_limit=90, success_minutes=15, channel_down_seconds=45))
    assert rules.of("success_low").values == {"threshold": 90, "minutes": 15, "least": 100}
    assert rules.of("channel_down").after == 45
    assert "15" in str(rules.of("success_low").condition)


def test_an_exception_holds_for_its_object_and_has_the_rest_from_the_rule_for_all() -> None:
    stored = {
        ("success_low", ""): Stored(True, WARNING, 60), ("login_refused", "channel/spare"): Stored(False),
        ("success_low", "channel/a"): Stored(True, CRITICAL, None, {"threshold": 95}, (3,)),
    }  # fmt: skip
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


def test_what_is_found_grave_stays_so_where_no_rule_says_else() -> None:
    for severity in (WARNING, CRITICAL):
        found = Rules().judged(Finding("standby_low", "pool/vip", severity))
        assert found is not None
        assert found.severity == severity
    late = Rules().judged(Finding("audit_anchor", "node/1", WARNING, after=60.0))
    assert late is not None
    assert (late.severity, late.after) == (CRITICAL, 60.0), "what found it knows how long it may take"
    assert Rules().judged(Finding("of_a_later_program", "x/1", WARNING)) is not None
