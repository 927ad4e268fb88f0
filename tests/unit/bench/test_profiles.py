"""Loads by name, load tests and their verdicts, partners and the wire."""

from __future__ import annotations

import asyncio
import struct
import time
from typing import Any

import pytest
from click.testing import CliRunner

from smsgw.admin.words.load_tests import CLAUSE, SCENARIO
from smsgw.bench.load import Load
from smsgw.bench.pace import Pace
from smsgw.bench.partner import PartnerCustomer, Smpp
from smsgw.bench.profiles import PRESETS
from smsgw.bench.run import Options
from smsgw.bench.wiretap import WireTap, _Stream
from smsgw.commands import bench as command
from smsgw.commands.bench import bench
from smsgw.platform.load_tests.model import MOST_MESSAGES, Finding, Profile, Scenario, Verdict, findings
from smsgw.protocols.smpp import codes, pdus
from smsgw.runtime.programs import environment

NAMES = {parameter.name for parameter in bench.params}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Options]:
    found = list[Options]()

    def run(options: Options, _: Any) -> Any:
        found.append(options)
        raise RuntimeError("enough")

    monkeypatch.setattr(command, "_until_told", run)
    return found


def told(asked: list[Options], *arguments: str) -> Options:
    done = CliRunner().invoke(bench, [*arguments])
    assert "enough" in str(done.exception) or "enough" in done.output, done.output
    return asked[-1]


@pytest.mark.parametrize("name", PRESETS)
def test_a_profile_says_nothing_but_what_could_be_said(name: str, asked: list[Options]) -> None:
    assert PRESETS[name].options.keys() <= NAMES
    options = told(asked, "--profile", name)
    assert options.load.messages == PRESETS[name].options.get("messages", 20_000)
    assert options.load.rate == PRESETS[name].options.get("rate", 0.0)


def test_what_is_said_beside_a_profile_goes_before_it(asked: list[Options]) -> None:
    options = told(asked, "--messages", "3000", "--profile", "day", "--burst-seconds", "1")
    assert (options.load.messages, options.load.rate, options.load.burst_seconds) == (3000, 58.0, 1.0)
    day = told(asked, "--profile", "day").load
    assert (round(day.rate * 86_400, -6), day.pace.seconds) == (5_000_000, pytest.approx(310))
    steady = told(asked, "--profile", "steady")
    assert (steady.load.rate, steady.load.pace.seconds, steady.setting.balanced) == (1000.0, 60.0, True)
    assert told(asked, "--profile", "flood").load.rate == 0
    assert told(asked, "--profile", "otp").load.codes_rate == 20
    assert told(asked, "--profile", "otp", "--codes-account").setting.codes_account
    assert told(asked, "--profile", "personalised").setting.template
    cmpp = told(asked, "--profile", "cmpp")
    assert (cmpp.setting.partner, cmpp.setting.partner_binds, cmpp.load.connections) == ("cmpp", 4, 4)
    assert told(asked, "--profile", "smpp", "--connections", "2").setting.partner_binds == 2


def test_the_help_says_what_each_is() -> None:
    shown = CliRunner().invoke(bench, ["--help"]).output
    for name, preset in PRESETS.items():
        assert f"{name} " in shown
        assert preset.about in " ".join(shown.split())


def test_what_does_not_go_together_is_refused() -> None:
    for arguments, why in (
        ("--mode cmpp --codes 5", "beside posts"), ("--profile smpp --kill daemon", "has none"),
        ("--kill daemon --push", "pulled"), ("--codes-account", "for --codes"),
        ("--mode cmpp --push", "--mode cmpp brings"), ("--burst 100", "give a rate"),
        ("--rate 10 --burst 100 --burst-seconds 1000", "the burst has"),
        ("--url http://127.0.0.1:1 --bearer x --kill database", "of our own"),
    ):  # fmt: skip
        done = CliRunner().invoke(bench, arguments.split())
        assert done.exit_code == 2
        assert why in done.output


def test_messages_are_due_evenly_with_a_burst_in_the_middle() -> None:
    pace = Pace(100, 20.0)
    assert [pace.due(n) for n in (0, 1, 99)] == [0.0, 0.05, 4.95]
    assert pace.seconds == 5.0
    assert [pace.by(at) for at in (0.0, 1.0, 4.99, 60.0)] == [0, 20, 99, 100]
    assert Pace(10).due(9) == Pace(10).seconds == 0.0
    pace = Pace(240, 20.0, 100.0, 2.0)  # a second, two of burst, a second
    assert [pace.due(n) for n in (0, 20, 120, 220)] == [0.0, 1.0, 2.0, 3.0]
    assert (pace.due(221), pace.seconds) == (pytest.approx(3.05), 4.0)
    assert [pace.by(at) for at in (0.5, 1.0, 2.0, 3.0, 3.5, 9.0)] == [10, 20, 120, 220, 230, 240]
    due = [pace.due(n) for n in range(240)]
    assert due == sorted(due)
    for pace in ((10, 0.0, 100.0, 1.0), (99, 10.0, 100.0, 1.0)):  # a burst that is none is refused
        with pytest.raises(ValueError, match="burst"):
            Pace(*pace)


def test_a_refusal_is_submitted_again_and_no_progress() -> None:
    """Where everything is refused the run ends with its patience, and does not go on for ever."""
    customer = PartnerCustomer("127.0.0.1", 1, "user", "secret", Load(5, 1), speech=Smpp(), window=1)
    customer._progress = 0.0
    assert customer.take() == 0
    customer.answered(0, pdus.SubmitSmResp(), codes.ESME_RTHROTTLED)
    assert (customer._progress, customer.take()) == (0.0, 0)
    assert customer.seen.refusals == {codes.ESME_RTHROTTLED: 1}
    customer.answered(0, pdus.SubmitSmResp(message_id="77"), 0)
    assert customer._progress > 0.0
    assert (customer.seen.accepted, customer.seen.ids) == (1, {77: 0})
    assert customer.take() == 1


def pdu(command: int, size: int = 40) -> bytes:
    return struct.pack(">II", size, command) + bytes(size - 8)


def test_submits_are_found_on_the_wire_once_however_they_are_cut() -> None:
    for piece in (1, 3, 7, 40, 1000):
        octets = pdu(1) + pdu(4) + pdu(8, 12) + pdu(4, 199) + pdu(0x80000004) + pdu(4)
        number = 0xFFFFFFF0  # it goes round in between
        stream = _Stream(number)
        found = 0
        for at in range(0, len(octets), piece):
            found += stream.submits((number + at) & 0xFFFFFFFF, octets[at : at + piece])
        assert found == 3
    stream = _Stream(100)  # what comes twice counts once and what is missed is told
    assert (stream.submits(100, pdu(4)), stream.submits(100, pdu(4))) == (1, 0)
    assert stream.submits(120, pdu(4)[20:] + pdu(4)) == 1
    with pytest.raises(ValueError, match="missed"):
        stream.submits(500, pdu(4))


@pytest.mark.root_only
async def test_the_kernel_says_when_submits_were_sent() -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            pass
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    tap = WireTap([port, 1])
    assert tap.open()
    try:
        before = time.time()
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(10):
            writer.write(pdu(1) + pdu(4) + pdu(4))
            await writer.drain()
        writer.close()
        await writer.wait_closed()
    finally:
        tap.close()
        server.close()
        await server.wait_closed()
    assert not tap.failed
    assert len(tap.times[port]) == 20
    assert not tap.times[1]
    assert list(tap.times[port]) == sorted(tap.times[port])
    assert before - 0.1 < tap.times[port][0] <= tap.times[port][-1] <= time.time() + 0.1


FULL = Profile(Scenario.STEADY, 1_000, 1_800)


def result(**changes: Any) -> dict[str, Any]:
    n = FULL.messages
    counts = {"posted": n, "accepted": n, "received_distinct": n, "received_again": 0}
    return {"end_to_end_per_s": 999.4, "accept": {"p99": 61.2}, "problems": [], "counts": counts} | changes


def verdicts(found: list[Finding]) -> list[str]:
    return [f"{one.clause} {one.verdict.value}" for one in found]


def test_a_run_meets_or_misses_the_clauses_it_has_tried() -> None:
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
    n = FULL.messages  # what was missed is said and an outage misses all
    counts = {"posted": n, "accepted": n, "received_distinct": n - 1, "received_again": 2}
    found = findings(
        1_000, 1_800, result(end_to_end_per_s=700.0, accept={"p99": 812.0}, problems=["2 again"], counts=counts)
    )[:5]
    assert verdicts(found) == ["S13.1 missed", "S13.1 missed", "S13.2a missed", "S13.3a met", "S13.3b missed"]
    assert found[-1].measured == "1 / 2"
    good, bad = findings(1_000, 1_800, result()), findings(1_000, 1_800, result(outages=[{"what": "database"}]))
    assert {one.verdict for one in bad} == {Verdict.MISSED, Verdict.NOT_TESTED}
    assert [one.verdict is Verdict.NOT_TESTED for one in good] == [one.verdict is Verdict.NOT_TESTED for one in bad]
    met = findings(0, 0, result(accepted_per_s=4_100.0, seconds=1_800.0, end_to_end_per_s=4_000.0))
    assert verdicts(met)[:2] == ["S13.1 met", "S13.1 met"]
    slow = findings(0, 0, result(accepted_per_s=400.0, seconds=1_800.0, end_to_end_per_s=400.0))
    assert verdicts(slow)[:2] == ["S13.1 missed", "S13.1 not_tested"], "all that could come; latency is of 1,000/s"
    assert verdicts(slow)[3] == "S13.3a met"


def carried(*messages: int, per_s: float = 1_010.0) -> list[dict[str, Any]]:
    return [{"carrier": f"bench-{n}", "messages": many, "per_s": per_s} for n, many in enumerate(messages)]


def of(clause: str, rate: float, seconds: float = 60, **changes: Any) -> Finding:
    (found,) = (one for one in findings(rate, seconds, result(accepted_per_s=1.0, seconds=60.0, **changes))
                if one.clause == clause)  # fmt: skip
    return found


EVEN, ODD = carried(3_340, 3_330, 3_330), carried(5_000, 2_500, 2_500)
MET, MISSED, NOT_TESTED = Verdict.MET, Verdict.MISSED, Verdict.NOT_TESTED


def codes_of(p99: float, posted: int = 400) -> dict[str, Any]:
    return {"posted": posted, "post_to_carrier": {"p50": 9.0, "p99": p99}}


def test_a_clause_of_a_special_run() -> None:
    for clause, rate, changes, verdict, measured in (
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
        ("S20b", 1_000, {"codes": codes_of(80.0)}, MET, "p50 9.0 · p99 80.0 ms"),
        ("S20b", 1_000, {"codes": codes_of(301.0)}, MISSED, None),
        ("S20b", 200, {"codes": codes_of(80.0)}, NOT_TESTED, None),
        ("S20b", 1_000, {"codes": codes_of(80.0, posted=99)}, NOT_TESTED, None),
    ):
        found = of(clause, rate, **changes)
        assert found.verdict is verdict
        assert measured in (None, found.measured)
    for what in ("database", "daemon"):  # what died under load is held against its own clause and no figure of speed
        n = FULL.messages
        counts = {"posted": n, "accepted": n, "received_distinct": n - 2, "received_again": 0, "unknown": 3}
        died = {"fault": {"what": what, "after_s": 3.0, "seconds": 2.345}, "counts": counts}
        clause, other = ("S14a", "S14c") if what == "database" else ("S14c", "S14a")
        assert of(clause, 1_000, **died).verdict is Verdict.MET
        assert of(clause, 1_000, **died).measured == "0 / 0 / 3 · 2.3 s"
        assert of(other, 1_000, **died).verdict is Verdict.NOT_TESTED
        assert of(clause, 1_000, **died, problems=["2 again"]).verdict is Verdict.MISSED
        assert verdicts(findings(1_000, 1_800, result(**died)))[:2] == ["S13.1 not_tested"] * 2


def test_scenarios_have_their_words_and_name_no_gateway_or_carrier() -> None:
    assert {one.what for one in findings(1_000, 60, result())} == CLAUSE.keys()
    assert {scenario.value for scenario in Scenario} == SCENARIO.keys()
    assert [scenario for scenario in Scenario if not Profile(scenario, 100, 60).pace] == [Scenario.FLOOD]
    options = Profile(Scenario.FLOOD, 100, 60).options()
    assert options[options.index("--rate") + 1] == "0"
    for scenario in list(Scenario):  # no scenario names a gateway or a carrier
        options = Profile(scenario, 100, 60).options()
        assert not {"--url", "--bearer", "--config", "--data"} & {*options}
        assert options[options.index("--messages") + 1] == "6000"
        assert options[options.index("--within") + 1] == "660"
        assert options[options.index("--batch") + 1] == "10", "they come evenly"
    ours = {"PATH": "/bin", "LANG": "C.UTF-8", "SMSGW_DATABASE_DSN": "postgres://x", "SMSGW_CONFIG": "/etc/x.toml",
            "PGPASSWORD": "x", "NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "1", "CREDENTIALS_DIRECTORY": "/run/c",
            "REDIS_URL": "x", "PYTHONPATH": "/x"}  # fmt: skip
    assert environment(ours) == {"PATH": "/bin", "LANG": "C.UTF-8"}
