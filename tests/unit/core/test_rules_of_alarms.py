"""Rules of alarms: what holds by default, what people have changed, and what is left of a finding."""

from __future__ import annotations

from smsgw.admin.words import ALARM
from smsgw.core.alarm_rules import KINDS, Rules, Stored
from smsgw.core.alarms import CRITICAL, WARNING, Finding
from smsgw.core.settings import Settings
from smsgw.core.words import LABELS
from smsgw.core.words.alarm_rules import ADVICE, CONDITIONS


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
