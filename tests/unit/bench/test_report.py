"""The report of acceptance: what it says is what the findings say, and it needs nothing but itself."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from click.testing import CliRunner

from smsgw.admin.words.load_tests import CLAUSE, VERDICT
from smsgw.bench import report
from smsgw.bench.result import Carried, Codes, Counts, Course, Fault, Latency, Outage, Result, spread
from smsgw.commands import bench as command
from smsgw.platform.load_tests.model import findings

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


def test_it_is_one_page_that_needs_nothing_and_says_what_was_found() -> None:
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


@pytest.mark.parametrize(
    ("asked", "row"),
    [
        ({"rate": 58.0, "burst": 1_000.0}, ["速率", "58 条/秒，中段 10 秒为 1,000 条/秒"]),
        ({"rate": 0.0}, ["速率", "应答多快就提交多快"]),
        ({"posts": "cmpp", "batch": 0, "window": 200}, ["提交方式", "下游 CMPP 长连接，窗口 200；另有 1,000 条预热"]),
        ({"codes_rate": 20.0, "codes_account": True}, ["验证码", "每秒 20 条，逐条提交，另一账号"]),
        ({"accounts": 4}, ["连接", "50 个提交，分属 4 个账号，2 个拉取报告"]),
        ({"push": True}, ["连接", "50 个提交，报告带签名推送"]),
    ],
)
def test_what_was_asked_for_is_said_in_chinese(asked: dict[str, Any], row: list[str]) -> None:
    assert row in Read(page_of(asked=ASKED | asked)).rows


def test_whatever_went_wrong_stands_above_in_chinese() -> None:
    wrong = Counts(N, N - 1, N, N - 9, 2, 3, 4, received=N, received_distinct=N - 4, received_again=5)
    page = page_of(counts=wrong)
    said = re.findall(r'<p class="bad">(.*?)</p>', page)
    assert len(said) == len(wrong.problems) == 8
    assert not [one for one in said if re.search("[A-Za-z%]", one)]
    assert f"受理 {N - 1} 条，到达运营商 {N - 4} 条" in said
    assert "未达到 0 项" not in page
    counts = Counts(N, N, N, N - 2, 0, 0, 0, unknown=2, repeated_calls=51, received=N, received_distinct=N,
                    received_again=0)  # fmt: skip
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


def test_a_run_that_has_measured_little_can_be_printed_too() -> None:
    bare = result(accept=None, post_to_carrier=None, post_to_report=None, course=None, accept_spread=[], carried=[],
                  counts=Counts(5, 0, 0, 0, 0, 0, 5))  # fmt: skip
    read = Read(report.page(0, 0.0, bare))
    assert read.tags.count("svg") == 1
    assert "未测得" in read.text


@pytest.mark.parametrize(("value", "most"), [(1, 1), (3, 4), (1_010, 2_000), (4_001, 8_000), (8_001, 10_000)])
def test_an_axis_ends_at_a_round_figure(value: float, most: float) -> None:
    assert report.round_up(value) == most


def test_figures_over_time_and_by_class() -> None:
    course = Course.of(10.0, 2.5, [(10.1, 100), (11.9, 50), (12.4, 30)], [10.5, 12.2])
    assert (course.step_s, course.accepted_per_s, course.reported_per_s) == (1, [100, 50, 60], [1, 0, 2])
    long = Course.of(0.0, 1_800.0, ((float(n), 1000) for n in range(1_800)), ())
    assert (long.step_s, len(long.accepted_per_s), set(long.accepted_per_s)) == (6, 300, {1000.0})
    counts = spread([0.0005, 0.001, 0.0011, 0.3, 7.0])
    assert (counts[0], counts[1], counts[8], counts[-1], sum(counts)) == (2, 1, 1, 1, 5)
