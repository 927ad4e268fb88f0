"""Load tests: what they may be told, and what their figures say of the tender."""

from __future__ import annotations

from typing import Any

import pytest

from smsgw.admin.words.load_tests import CLAUSE, SCENARIO
from smsgw.platform.load_tests.model import MOST_MESSAGES, Finding, Profile, Scenario, Verdict, findings
from smsgw.runtime.programs import environment

FULL = Profile(Scenario.STEADY, 1_000, 1_800)


def result(**changes: Any) -> dict[str, Any]:
    n = FULL.messages
    counts = {"posted": n, "accepted": n, "received_distinct": n, "received_again": 0}
    return {"end_to_end_per_s": 999.4, "accept": {"p99": 61.2}, "problems": [], "counts": counts} | changes


def verdicts(found: list[Finding]) -> list[str]:
    return [f"{one.clause} {one.verdict.value}" for one in found]


def test_a_run_meets_the_clauses_it_has_tried() -> None:
    assert FULL.messages == MOST_MESSAGES
    found = findings(FULL.rate, FULL.seconds, result())[:5]
    assert {one.verdict for one in found} == {Verdict.MET}
    assert found[0].measured == "999/s × 30 min"
    found = findings(50, 60, result(end_to_end_per_s=50.0))[:5]
    assert verdicts(found) == ["S13.1 not_tested", "S13.1 not_tested", "S13.2a met", "S13.3a not_tested", "S13.3b met"]
    found = findings(1_000, 60, result())
    assert verdicts(found)[:2] == ["S13.1 not_tested", "S13.1 met"]
    assert verdicts(found)[3] == "S13.3a not_tested", "a minute is no day"
    found = {one.clause: one for one in findings(1_000, 1_800, result())}
    for clause in ("S14a", "S14b", "S14c", "S16b", "S20a", "S20b"):
        assert found[clause].verdict is Verdict.NOT_TESTED
    assert found["S14a"].measured == "—"


def test_what_was_missed_is_said_and_an_outage_misses_all() -> None:
    n = FULL.messages
    counts = {"posted": n, "accepted": n, "received_distinct": n - 1, "received_again": 2}
    found = findings(
        1_000, 1_800,
        result(end_to_end_per_s=700.0, accept={"p99": 812.0}, problems=["2 again"], counts=counts),
    )[:5]  # fmt: skip
    assert verdicts(found) == ["S13.1 missed", "S13.1 missed", "S13.2a missed", "S13.3a met", "S13.3b missed"]
    assert found[-1].measured == "1 / 2"
    good, bad = findings(1_000, 1_800, result()), findings(1_000, 1_800, result(outages=[{"what": "database"}]))
    assert {one.verdict for one in bad} == {Verdict.MISSED, Verdict.NOT_TESTED}
    assert [one.verdict is Verdict.NOT_TESTED for one in good] == [one.verdict is Verdict.NOT_TESTED for one in bad]


@pytest.mark.parametrize("scenario", list(Scenario))
def test_no_scenario_names_a_gateway_or_a_carrier(scenario: Scenario) -> None:
    options = Profile(scenario, 100, 60).options()
    assert not {"--url", "--bearer", "--config", "--data"} & {*options}
    assert options[options.index("--messages") + 1] == "6000"
    assert options[options.index("--within") + 1] == "660"
    assert options[options.index("--batch") + 1] == "10", "they come evenly"


def test_a_load_test_is_told_nothing_of_the_installation_and_cannot_speak_for_it() -> None:
    ours = {"PATH": "/bin", "LANG": "C.UTF-8", "SMSGW_DATABASE_DSN": "postgres://x", "SMSGW_CONFIG": "/etc/x.toml",
            "PGPASSWORD": "x", "NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "1", "CREDENTIALS_DIRECTORY": "/run/c",
            "REDIS_URL": "x", "PYTHONPATH": "/x"}  # fmt: skip
    assert environment(ours) == {"PATH": "/bin", "LANG": "C.UTF-8"}


def carried(*messages: int, per_s: float = 1_010.0) -> list[dict[str, Any]]:
    return [{"carrier": f"bench-{n}", "messages": many, "per_s": per_s} for n, many in enumerate(messages)]


def of(clause: str, rate: float, seconds: float = 60, **changes: Any) -> Finding:
    (found,) = (one for one in findings(rate, seconds, result(accepted_per_s=1.0, seconds=60.0, **changes))
                if one.clause == clause)  # fmt: skip
    return found


def test_a_flood_is_judged_by_what_came() -> None:
    met = findings(0, 0, result(accepted_per_s=4_100.0, seconds=1_800.0, end_to_end_per_s=4_000.0))
    assert verdicts(met)[:2] == ["S13.1 met", "S13.1 met"]
    slow = findings(0, 0, result(accepted_per_s=400.0, seconds=1_800.0, end_to_end_per_s=400.0))
    assert verdicts(slow)[:2] == ["S13.1 missed", "S13.1 not_tested"], "all that could come; latency is of 1,000/s"
    assert verdicts(slow)[3] == "S13.3a met"


@pytest.mark.parametrize("what", ["database", "daemon"])
def test_what_died_under_load_is_held_against_its_own_clause_and_no_figure_of_speed(what: str) -> None:
    n = FULL.messages
    counts = {"posted": n, "accepted": n, "received_distinct": n - 2, "received_again": 0, "unknown": 3}
    died = {"fault": {"what": what, "after_s": 3.0, "seconds": 2.345}, "counts": counts}
    clause, other = ("S14a", "S14c") if what == "database" else ("S14c", "S14a")
    assert of(clause, 1_000, **died).verdict is Verdict.MET
    assert of(clause, 1_000, **died).measured == "0 / 0 / 3 · 2.3 s"
    assert of(other, 1_000, **died).verdict is Verdict.NOT_TESTED
    assert of(clause, 1_000, **died, problems=["2 again"]).verdict is Verdict.MISSED
    assert verdicts(findings(1_000, 1_800, result(**died)))[:2] == ["S13.1 not_tested"] * 2


EVEN, ODD = carried(3_340, 3_330, 3_330), carried(5_000, 2_500, 2_500)
MET, MISSED, NOT_TESTED = Verdict.MET, Verdict.MISSED, Verdict.NOT_TESTED


def codes(p99: float, posted: int = 400) -> dict[str, Any]:
    return {"posted": posted, "post_to_carrier": {"p50": 9.0, "p99": p99}}


@pytest.mark.parametrize(
    ("clause", "rate", "changes", "verdict", "measured"),
    [
        # Each channel is tested where each was offered as much.
        ("S16b", 3_000, {"carried": carried(9, 9, 9)}, MET, "bench-0 1,010/s · bench-1 1,010/s · bench-2 1,010/s"),
        ("S16b", 3_000, {"carried": [*carried(9, 9), *carried(9, per_s=640.0)]}, MISSED, None),
        ("S16b", 1_000, {"carried": carried(9, 9, 9)}, NOT_TESTED, None),
        ("S16b", 1_000, {"carried": carried(9)}, MET, None),
        ("S16b", 3_000, {"carried": carried(9, 9, 9), "channel_rate": 500}, NOT_TESTED, None),
        # Shares say something only where every channel could have had every message.
        ("S20a", 500, {"carried": EVEN, "balanced": True}, MET, None),
        ("S20a", 500, {"carried": ODD, "balanced": True}, MISSED, "50.0 % · 25.0 % · 25.0 %"),
        ("S20a", 500, {"carried": EVEN}, NOT_TESTED, None),
        ("S20a", 500, {"carried": carried(300, 300, 300), "balanced": True}, NOT_TESTED, None),
        # Codes are judged beside a mass.
        ("S20b", 1_000, {"codes": codes(80.0)}, MET, "p50 9.0 · p99 80.0 ms"),
        ("S20b", 1_000, {"codes": codes(301.0)}, MISSED, None),
        ("S20b", 200, {"codes": codes(80.0)}, NOT_TESTED, None),
        ("S20b", 1_000, {"codes": codes(80.0, posted=99)}, NOT_TESTED, None),
    ],
)
def test_a_clause_of_a_special_run(
    clause: str, rate: float, changes: dict[str, Any], verdict: Verdict, measured: str | None
) -> None:
    found = of(clause, rate, **changes)
    assert found.verdict is verdict
    assert measured in (None, found.measured)


def test_scenarios_and_findings_have_their_words() -> None:
    assert {one.what for one in findings(1_000, 60, result())} == CLAUSE.keys()
    assert {scenario.value for scenario in Scenario} == SCENARIO.keys()
    assert [scenario for scenario in Scenario if not Profile(scenario, 100, 60).pace] == [Scenario.FLOOD]
    options = Profile(Scenario.FLOOD, 100, 60).options()
    assert options[options.index("--rate") + 1] == "0"
