"""Load tests: what they may be told, and what their figures say of the tender."""

from __future__ import annotations

from typing import Any

import pytest

from smsgw.platform.load_tests.model import MOST_MESSAGES, Finding, Profile, Scenario, Verdict, findings
from smsgw.runtime.programs import environment

FULL = Profile(Scenario.STEADY, 1_000, 1_800)


def result(**changes: Any) -> dict[str, Any]:
    """A run in which all went well."""
    n = FULL.messages
    counts = {"posted": n, "accepted": n, "received_distinct": n, "received_again": 0}
    return {"end_to_end_per_s": 999.4, "accept": {"p99": 61.2}, "problems": [], "counts": counts} | changes


def verdicts(found: list[Finding]) -> list[str]:
    return [f"{one.clause} {one.verdict.value}" for one in found]


def test_a_full_run_meets_the_clauses() -> None:
    assert FULL.messages == MOST_MESSAGES
    found = findings(FULL, result())
    assert {one.verdict for one in found} == {Verdict.MET}
    assert found[0].measured == "999/s × 30 min"


def test_a_short_run_says_nothing_of_what_it_did_not_try() -> None:
    found = findings(Profile(Scenario.STEADY, 50, 60), result(end_to_end_per_s=50.0))
    assert verdicts(found) == [
        "S13.1 not_tested", "S13.1 not_tested", "S13.2a met", "S13.3a not_tested", "S13.3b met",
    ]  # fmt: skip


def test_a_full_rate_for_a_minute_is_not_half_an_hour() -> None:
    found = findings(Profile(Scenario.STEADY, 1_000, 60), result())
    assert verdicts(found)[:2] == ["S13.1 not_tested", "S13.1 met"]
    assert verdicts(found)[3] == "S13.3a not_tested", "a minute is no day"


def test_what_was_missed_is_said() -> None:
    n = FULL.messages
    counts = {"posted": n, "accepted": n, "received_distinct": n - 1, "received_again": 2}
    found = findings(
        FULL, result(end_to_end_per_s=700.0, accept={"p99": 812.0}, problems=["2 again"], counts=counts)
    )
    assert verdicts(found) == [
        "S13.1 missed", "S13.1 missed", "S13.2a missed", "S13.3a met", "S13.3b missed",
    ]  # fmt: skip
    assert found[-1].measured == "1 / 2"


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
