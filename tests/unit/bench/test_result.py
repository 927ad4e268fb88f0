"""What a bench run has found: its verdict, outages, and the report of acceptance."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import time
from array import array
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from smsgw.admin.words.load_tests import CLAUSE, VERDICT
from smsgw.bench import report
from smsgw.bench.kannel import held_against
from smsgw.bench.load import Observed
from smsgw.bench.outages import SETTLES, Intended, of_answers, of_daemon, of_end, outages
from smsgw.bench.processes import Cores, CpuMeter, machine_seconds
from smsgw.bench.result import (
    Against,
    Carried,
    Codes,
    Counts,
    Course,
    Fault,
    Latency,
    Outage,
    Result,
    Rival,
    Written,
    by_tenth,
    spread,
)
from smsgw.commands import bench as command
from smsgw.platform.load_tests.model import findings
from smsgw.store.engine.server_log import crashes

GOOD = Counts(
    posted=10, accepted=10, billed=10, pulled=10, pulled_again=0, pulled_strange=0, lost_calls=0,
    received=10, received_distinct=10, received_again=0,
)  # fmt: skip


BARE: dict[str, Any] = {
    "machine": {}, "settings": {}, "raised_limits": {}, "messages": 10, "seconds": 1.0, "accepted_per_s": 10.0,
    "end_to_end_per_s": 10.0, "cpu_ms_per_message": {}, "daemon_peak_mib": None, "accept": None,
    "post_to_carrier": None, "post_to_report": None, "counts": GOOD,
}  # fmt: skip


def test_all_witnesses_agree_and_each_can_object() -> None:
    assert GOOD.problems == []
    without = dataclasses.replace(GOOD, received=None, received_distinct=None, received_again=None)
    assert without.problems == [], "where there are no carriers of our own"
    for change, words in (  # each witness can object
        ({"posted": 11}, "not accepted"),
        ({"billed": 9}, "9 billed"),
        ({"pulled": 9}, "no report"),
        ({"pulled_again": 1}, "pulled more than once"),
        ({"pulled_strange": 1}, "nobody accepted"),
        ({"lost_calls": 1}, "no answer"),
        ({"received_distinct": 9}, "9 arrived"),
        ({"received": 11, "received_again": 1}, "arrived at the carriers more than once"),
    ):
        (problem,) = dataclasses.replace(GOOD, **change).problems
        assert words in problem


def test_another_gateway_is_compared_by_what_it_has_carried() -> None:
    for accepted, arrived, reported in ((98, 98, 98), (100, 98, 100), (100, 100, 79), (0, 0, 0)):
        with pytest.raises(RuntimeError, match=f"accepted {accepted}, {arrived} came to the carrier, {reported} were"):
            held_against(Rival(50, 50, 1), carried(accepted, reported), 100, arrived, 0.2, "1")
    against = held_against(Rival(50, 50, 1), carried(99, 80), 100, 99, 0.198, "1")
    assert (against.figures, against.throughput_ratio, against.cpu_ratio) == (Rival(49.5, 20, 2), 2.5, 0.5)


def carried(accepted: int, reported: int) -> Observed:
    seen = Observed(array("d", [1.0] * 100), first_post=1.0, last_accept=3.0, last_pull=5.0, accepted=accepted)
    seen.ids = {n: n for n in range(accepted)}
    seen.pulled = dict.fromkeys(range(reported), 5.0)
    return seen


def test_figures_of_a_run_add_up() -> None:
    latency = Latency.of(n / 1000 for n in range(100, 0, -1))
    assert latency == Latency(50.0, 90.0, 99.0, 100.0)
    assert Latency.of([]) is None
    times = [100 + n / 100 for n in range(0, 5000)] + [150.0 + n / 50 for n in range(0, 2500)] + [200.0]
    assert by_tenth(times, 100.0, 100.0) == [100.0] * 5 + [50.0] * 4 + [50.1]
    at = [10 + n / 100 for n in range(500)]  # what a carrier saw
    carried = Carried.of("a", [*at, 12.001, 12.002], accepted=13.0)
    assert (carried.messages, carried.peak_second) == (502, 102)
    assert carried.per_s == pytest.approx(100.4, abs=0.1)
    assert carried.backlog_s == pytest.approx(2.0, abs=0.05)
    assert carried.backlog_per_s == pytest.approx(100, abs=1)
    assert carried.accepting_per_s == pytest.approx(100, abs=1)
    assert carried.wire_peak_second is None
    assert Carried.of("a", at, 13.0, [5.0, 5.5, 5.999, 6.0, 6.4]).wire_peak_second == 4
    assert Carried.of("a", [], accepted=1.0).peak_second == 0
    course = Course.of(10.0, 2.5, [(10.1, 100), (11.9, 50), (12.4, 30)], [10.5, 12.2])
    assert (course.step_s, course.accepted_per_s, course.reported_per_s) == (1, [100, 50, 60], [1, 0, 2])
    long = Course.of(0.0, 1_800.0, ((float(n), 1000) for n in range(1_800)), ())
    assert (long.step_s, len(long.accepted_per_s), set(long.accepted_per_s)) == (6, 300, {1000.0})
    counts = spread([0.0005, 0.001, 0.0011, 0.3, 7.0])
    assert (counts[0], counts[1], counts[8], counts[-1], sum(counts)) == (2, 1, 1, 1, 5)
    for value, most in ((1, 1), (3, 4), (1_010, 2_000), (4_001, 8_000), (8_001, 10_000)):
        assert report.round_up(value) == most
    meter = CpuMeter({"this": os.getpid()})  # the account of the machine
    meter.start()
    until = time.process_time() + 0.3
    while time.process_time() < until:
        pass
    used = meter.used()
    cores = meter.cores(used)
    assert used["this"] >= 0.25
    assert 0 <= cores.idle < 1
    assert 0 <= cores.others < 1
    assert cores.idle + cores.others < 1
    assert cores.bound >= 1

    # All that a core had, and time stolen by other machines with it.
    def told() -> float:
        head = Path("/proc/stat").read_text("ascii").partition("\n")[0]
        return sum(map(int, head.split()[1:9])) / os.sysconf("SC_CLK_TCK")

    before, found, after = told(), sum(machine_seconds()), told()
    assert before - 0.01 <= found <= after + 0.01


def test_lines_show_memory_rivals_and_cores() -> None:
    for samples, shown in ((20, "2 4 6 8 10 12 14 16 18 20 MiB"), (9, None)):
        result = Result(**BARE | {"daemon_peak_mib": 20.0, "daemon_mib": [float(n) for n in range(1, samples + 1)]})
        assert "CPU per message" not in result.lines(), "nobody has seen any"
        found = [line for line in result.lines() if "each tenth" in line]
        assert found[0].endswith(shown) if shown else not found, found
    latency = Latency.of([0.01])  # what is held against each other is shown
    against = Against("1.4.5", Rival(1100.0, 1000.0, 1.2), 10, 10, 9, 2.0, 0.41, latency, latency)
    written = Written(1200, 0.0512, 3.04, 0.25)
    result = Result(**BARE | {"end_to_end_per_s": 2000.0, "written": written, "against": against})
    told = "\n".join(result.lines())
    for line in (
        "1,200 octets", "0.051", "3.04   (25% of the updates HOT)", "Kannel 1.4.5 under the same load",
        "accepted 10, at the carrier 10, reported 9", "2.00 of the throughput, 0.41 of the CPU",
    ):  # fmt: skip
        assert line in told
    assert result.as_json()["against"]["cpu_ratio"] == 0.41
    used = {"daemon": 0.2, "database": 0.1}  # the cores say how much faster a run could be
    result = Result(**BARE | {"cpu_ms_per_message": used, "cores": Cores(2, 0.2, 0.05)})
    (line,) = [line for line in result.lines() if "2 cores" in line]
    assert "20% idle, 5% for others" in line
    assert "at most 1.25 times" in line


BEGAN = datetime(2026, 12, 1, 10, tzinfo=UTC)
KILLED = Intended(BEGAN + timedelta(seconds=10), BEGAN + timedelta(seconds=12))


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def test_outages_have_their_time_and_cause_and_what_was_asked_for_explains_itself_alone() -> None:
    (one,) = outages([(at(3.25), "database", "it was terminated by signal 11")], BEGAN, at(1))
    assert str(one) == (
        "outage of the database at 2026-12-01 18:00:03.250000 +0800 (2.2 s after the first post): "
        "it was terminated by signal 11"
    )
    assert "first post" not in str(outages([(at(3), "daemon", "x")], BEGAN, None)[0])
    assert not outages([(at(-1), "database", "x")], BEGAN, None)
    assert of_end(at(1), -11)[2] == "the process ended, terminated by signal 11: Segmentation fault"
    assert of_end(at(1), 3)[2] == "the process ended, exit status 3"
    (event,) = of_answers([at(2).timestamp()])
    assert event == (at(2), "database", "a call was answered STORAGE_UNAVAILABLE")

    def counted(seconds: float, cause: str) -> bool:
        return bool(outages([(at(seconds), "database", cause)], BEGAN, None, [KILLED]))

    assert not counted(10.5, "database system was interrupted")
    assert not counted(10.5, "server process (PID 7) was terminated by signal 9: Killed")
    assert not counted(12 + SETTLES.total_seconds(), "spool.begun")
    assert counted(10.5, "server process (PID 7) was terminated by signal 11: Segmentation fault")
    assert counted(9.9, "database system was interrupted")
    assert counted(12.1 + SETTLES.total_seconds(), "database system was interrupted")
    lines = [  # the daemons log tells of outages
        json.dumps({"event": event, "level": "error", "timestamp": f"2026-12-01T10:00:0{n}.5Z", "worker": "2"})
        for n, event in enumerate(("worker.died", "postgres.died", "link.closed", "spool.begun"))
    ]
    found = of_daemon([*lines, "Traceback", '{"event": "worker.died"}', "7"])
    assert [(what, cause) for _, what, cause in found] == [
        ("daemon", "worker.died worker=2"),
        ("database", "postgres.died worker=2"),
        ("database", "spool.begun worker=2"),
    ]
    assert found[0][0] == at(0.5)


STARTED = [
    "2026-12-01 10:00:00.001 UTC [10] LOG:  starting PostgreSQL 18.4 on x86_64-pc-linux-gnu",
    "2026-12-01 10:00:00.100 UTC [10] LOG:  database system is ready to accept connections",
]
BACKEND = [
    "2026-12-01 10:00:05.250 UTC [10] LOG:  server process (PID 77) was terminated by signal 11: Segmentation fault",
    "2026-12-01 10:00:05.251 UTC [10] LOG:  terminating any other active server processes",
    "2026-12-01 10:00:05.400 UTC [10] LOG:  all server processes terminated; reinitializing",
    "2026-12-01 10:00:05.500 UTC [99] LOG:  database system was interrupted; last known up at 2026-12-01 10:00:00 UTC",
    "2026-12-01 10:00:06.000 UTC [10] LOG:  database system is ready to accept connections",
]
POSTMASTER = [
    "2026-12-01 10:00:09.000 UTC [210] LOG:  starting PostgreSQL 18.4 on x86_64-pc-linux-gnu",
    "2026-12-01 10:00:09.100 UTC [213] LOG:  database system was interrupted; last known up at 2026-12-01 10:00:06 UTC",
]
QUIET = [
    "2026-12-01 10:00:20.000 UTC [10] LOG:  received fast shutdown request",
    '2026-12-01 10:00:20.010 UTC [10] LOG:  background worker "logical replication launcher" (PID 16) exited with exit '
    "code 1",
    "2026-12-01 10:00:20.100 UTC [14] LOG:  database system was shut down at 2026-12-01 10:00:20 UTC",
    "2026-12-01 10:00:21.000 UTC [30] ERROR:  duplicate key value violates unique constraint",
    "\tof a statement",
]


@pytest.mark.parametrize(
    ("files", "seen"),
    [
        ([STARTED + QUIET + STARTED], []),
        ([STARTED + BACKEND], [("10:00:05.250", "terminated by signal 11", "10:00:06.000")]),
        ([STARTED, POSTMASTER], [("10:00:09.100", "was interrupted", None)]),
        ([STARTED + BACKEND, POSTMASTER],
         [("10:00:05.250", "reinitializing", "10:00:06.000"), ("10:00:09.100", "was interrupted", None)]),
        ([], []),
    ],
)  # fmt: skip
def test_each_crash_is_one(files: list[list[str]], seen: list[tuple[str, str, str | None]], tmp_path: Path) -> None:
    for n, lines in enumerate(files):
        (tmp_path / f"postgresql-20261201_10000{n}.log").write_text("\n".join(lines) + "\n", "utf-8")
    found = crashes(tmp_path)
    assert [f"{crash.at:%H:%M:%S.%f}"[:-3] for crash in found] == [at for at, _, _ in seen]
    for crash, (_, cause, ready) in zip(found, seen, strict=True):
        assert cause in crash.cause
        assert (crash.ready_at and f"{crash.ready_at:%H:%M:%S.%f}"[:-3]) == ready


N = 61_000
LATENCY = Latency(4.1, 9.0, 21.5, 30.0)
ASKED: dict[str, Any] = {
    "posts": "batch", "batch": 100, "window": 0, "push": False, "warm_up": 1_000, "rate": 1_000.0, "burst": 0.0,
    "burst_seconds": 10.0, "connections": 50, "pullers": 2, "codes_rate": 0.0, "channels": 3, "links": 2,
    "channel_window": 100, "answer_delay": "5", "report_delay": "100", "workers": 1, "codes_account": False,
}  # fmt: skip


def result(**changes: Any) -> Result:
    plain = Result(
        machine={"time": "2026-12-01 10:00:00 +0800", "smsgw": "0.1.0", "cores": "2"},
        settings={"posts": "batches of 100"}, asked=ASKED,
        raised_limits={"odd": "<b>&", "key": "requests_per_second 100,000 (default 200)"},
        messages=60_000, seconds=60.2, accepted_per_s=999.8, end_to_end_per_s=997.0,
        cpu_ms_per_message={"daemon": 0.1}, daemon_peak_mib=200.0, accept=LATENCY, post_to_carrier=LATENCY,
        post_to_report=LATENCY, counts=Counts(N, N, N, N, 0, 0, 0, received=N, received_distinct=N, received_again=0),
        carried=[Carried(f"bench-{n}", 20_000, 333.0, 0.0, 0.0, 333.0, 350) for n in range(3)],
        course=Course.of(100.0, 60.2, [(100.5 + n, 1000) for n in range(60)], [101.0 + n / 10 for n in range(590)]),
        accept_spread=spread([0.004] * 500 + [0.02] * 99 + [9.0]), balanced=True,
    )  # fmt: skip
    return dataclasses.replace(plain, **changes)


class Read(HTMLParser):
    """Tags, the words of cells, and where something is fetched from."""

    VOID = ("meta", "br")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.fetched: list[str] = []
        self.text = ""
        self.feed(page)
        assert not self.open, "everything is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        self.fetched += [str(v) for name, v in attrs if name in ("src", "href", "action") or name.startswith("on")]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def page_of(**changes: Any) -> str:
    return report.page(1_000, 60.0, result(**changes))


def test_a_report_is_one_page_and_says_what_was_found() -> None:
    made = result()
    page = report.page(1_000, 60.0, made)
    read = Read(page)
    assert not {"script", "link", "img", "iframe"} & {*read.tags}
    assert not read.fetched
    assert "url(" not in page
    assert "size: A4" in page
    assert read.tags.count("svg") == 2
    shown = [row for row in read.rows if row[0].startswith("S") and len(row) == 5]
    found = findings(1_000, 60.0, made.as_json())
    assert shown == [
        [one.clause, CLAUSE[one.what], one.required, one.measured, VERDICT[one.verdict.value]] for one in found
    ]
    assert [row[0] for row in shown if row[4] == "达到"] == ["S13.1", "S13.2a", "S13.3b", "S20a"]
    assert [row[4] for row in shown].count("本次未验证") == 7
    assert "达到 4 项，未达到 0 项，本次未验证 7 项" in read.text
    assert ["odd", "<b>&"] in read.rows
    assert ["密钥限制（已放宽）", "100,000 次/秒（默认 200）"] in read.rows
    assert ["速率", "1,000 条/秒"] in read.rows
    assert ["提交方式", "HTTP 批量提交，每批 100 条；另有 1,000 条预热"] in read.rows
    for asked, row in (  # what was asked for is said in chinese
        ({"rate": 58.0, "burst": 1_000.0}, ["速率", "58 条/秒，中段 10 秒为 1,000 条/秒"]),
        ({"rate": 0.0}, ["速率", "应答多快就提交多快"]),
        ({"posts": "cmpp", "batch": 0, "window": 200}, ["提交方式", "下游 CMPP 长连接，窗口 200；另有 1,000 条预热"]),
        ({"codes_rate": 20.0, "codes_account": True}, ["验证码", "每秒 20 条，逐条提交，另一账号"]),
        ({"accounts": 4}, ["连接", "50 个提交，分属 4 个账号，2 个拉取报告"]),
        ({"push": True}, ["连接", "50 个提交，报告带签名推送"]),
    ):
        assert row in Read(page_of(asked=ASKED | asked)).rows
    bare = result(accept=None, post_to_carrier=None, post_to_report=None, course=None, accept_spread=[], carried=[],
                  counts=Counts(5, 0, 0, 0, 0, 0, 5))  # fmt: skip
    read = Read(report.page(0, 0.0, bare))
    assert read.tags.count("svg") == 1
    assert "未测得" in read.text


def test_whatever_went_wrong_stands_above_in_chinese() -> None:
    wrong = Counts(N, N - 1, N, N - 9, 2, 3, 4, received=N, received_distinct=N - 4, received_again=5)
    page = page_of(counts=wrong)
    said = re.findall(r'<p class="bad">(.*?)</p>', page)
    assert len(said) == len(wrong.problems) == 8
    assert not [one for one in said if re.search("[A-Za-z%]", one)]
    assert f"受理 {N - 1} 条，到达运营商 {N - 4} 条" in said
    assert "未达到 0 项" not in page
    counts = Counts(
        N, N, N, N - 2, 0, 0, 0, unknown=2, repeated_calls=51, received=N, received_distinct=N, received_again=0
    )
    codes = Codes(20.0, 1_200, LATENCY, LATENCY, LATENCY)
    text = Read(page_of(codes=codes, fault=Fault("database", 30.1, 2.4), counts=counts)).text
    assert "数据库在加压 30.1 秒后被强制结束，2.4 秒后恢复；重复提交的调用 51 次" in text
    assert "0 / 0 / 2 · 2.4 s" in text
    assert "每秒 20 条，共 1,200 条" in text


@pytest.mark.parametrize(("what", "said"), [("database", "数据库"), ("daemon", "网关")])
@pytest.mark.parametrize(("after", "when"), [(12.3, "（开始加压后 12.3 秒）"), (None, "")])
def test_an_outage_stands_above_and_nothing_is_met(what: str, said: str, after: float | None, when: str) -> None:
    outage = Outage(what, "2026-12-01 18:00:03.250000 +0800", after, "terminated by signal 11")
    made = result(outages=[outage])
    assert made.problems == [str(outage)]
    page = report.page(1_000, 60.0, made)
    assert f'<p class="bad">{said}于 2026-12-01 18:00:03.250000{when}意外中断：terminated by signal 11</p>' in page
    assert "达到 0 项，未达到 4 项" in page


@pytest.mark.parametrize(("options", "shown"), [((), "end to end"), (("--json",), '"end_to_end_per_s"')])
def test_an_unwritable_report_costs_no_figures(
    monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], shown: str
) -> None:
    async def run(*_: object) -> Result:
        return result()

    monkeypatch.setattr(command, "_until_told", run)
    done = CliRunner().invoke(command.bench, ["--report", "/dev/full", *options])
    assert done.exit_code == 1
    assert shown in done.output
    assert "No space left" in done.output
