"""Reports as carriers bring them on a bad day: each finds its part, and the customer hears of each end once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from harness import PROTOCOLS, Site, TimeMachine, calendar, dice, site, until

from smsgw.core.text import Coding
from smsgw.simulator import Rule

pytestmark = pytest.mark.shard("protocols")

LONG = "这是一条很长的短信,需要分成几段才能发出去。"
NOBODY = Rule(contains="失败", report="MK:0001", error="004")
NOBODY_SGIP = Rule(contains="失败", report="MK:0001", error="29")
"""A number that does not exist: nothing that another try could change."""


async def batch(built: Site, channels: list[str], n: int) -> None:
    """``n`` messages a channel: every fourth fails, every fifth is a long one."""

    def text(k: int) -> str:
        k //= len(channels)
        return ("失败" if k % 4 == 0 else "好") + (LONG * 9 if k % 5 == 0 else "")

    await built.customer.send_many(n * len(channels), *channels, text=text)


async def all_matched(built: Site) -> None:
    """Every report has found its part, every message has one end, told once."""
    books = await built.clean()
    assert books.statuses.keys() == {"delivered", "failed"}
    assert all(len(reports) == 1 for reports in built.customer.reports.values())
    failed = {i for i, one in built.customer.sent.items() if one.content.startswith("失败")}
    assert {i for i, r in built.customer.reports.items() if r[0]["status"] == "failed"} == failed

    async def none_left() -> bool:
        return (await built.node.ctl("report", "unmatched", "--json")).data == []

    await until(none_left, what="no report is without its part")
    for carrier in built.carriers.values():
        await until(lambda c=carrier: c.counts.reports_acknowledged == c.counts.reports, what="all are acknowledged")


RECODED: list[tuple[str, dict[str, Any], dict[str, Any], str | None]] = [
    # channel, its carrier, its profile (what is not said there must be learned), what was learned
    ("cmpp30", {}, {}, None),
    ("cmpp20", {"report_id": "swapped"}, {}, None),
    ("smpp34", {"answer_id": "HEX8", "report_id": "dec10", "report_form": "text"}, {"receipt_id": "hex-dec"}, None),
    ("smpp34", {"answer_id": "dec10", "report_id": "hex", "report_form": "tlv"}, {}, "dec-hex"),
    ("smpp34", {"answer_id": "HEX8", "report_id": "hex", "report_form": "both"}, {}, ""),
    ("sgip12", {}, {}, None),
    ("smgp30", {"report_id": "hex"}, {}, None),
]


@pytest.mark.parametrize(
    ("channel", "carrier", "profile", "learned"),
    RECODED,
    ids=lambda v: v.get("report_id", "") if isinstance(v, dict) else v,
)
@pytest.mark.slow
async def test_early_reordered_tenfold_and_recoded(
    channel: str, carrier: dict[str, Any], profile: dict[str, Any], learned: str | None, dsn: str, data_dir: Path
) -> None:
    async with site(data_dir, dsn=dsn, channels=[channel], carrier=carrier, profile=profile) as built:
        one = built.carriers[channel]
        rules = (NOBODY_SGIP if channel == "sgip12" else NOBODY,)
        if channel == "smpp34" and carrier["report_form"] != "text":  # states of the parameter have no codes
            rules = (Rule(contains="失败", report="REJECTD"),)
        one.change(rules=rules, duplicate_reports=1.0, report_copies=10)
        # In every order …
        one.change(answer_delay="0..150", report_delay="0..300")
        await batch(built, [channel], 16)
        await built.settled()
        # … and each report 50 ms before its answer.
        one.change(answer_delay="50", early_reports=1.0)
        await batch(built, [channel], 16)
        await all_matched(built)
        assert one.counts.reports >= 10 * one.counts.accepted
        (line,) = (await built.node.ctl("channel", "list", "--json")).data
        assert learned is None or line["report_ids"] == learned


# --- three days later ---------------------------------------------------------------------------------------------

DAYS = "+3d"


@pytest.mark.slow
async def test_reports_and_parts_three_days_later(postgres_in_time: TimeMachine, data_dir: Path) -> None:
    """By the calendar of daemon and database, across a restart: the days have other partitions by then."""
    server = postgres_in_time
    async with site(
        data_dir,
        dsn=server.dsn,
        channels=list(PROTOCOLS),
        channel_options=("--window", "2"),  # channels that share a carrier's numbers share them evenly
        start=False,
        durability_report_wait_hours="96",
    ) as built:
        built.node.clock = calendar("+0d")
        await built.node.start()
        await built.bound()
        for name, carrier in built.carriers.items():
            rule = NOBODY_SGIP if name == "sgip12" else NOBODY
            carrier.change(rules=(rule,), report_delay="15000..15500", answer_delay="0..20", duplicate_reports=0.5)
        await batch(built, list(PROTOCOLS), 8)
        # A phone's first part, whose second one never comes.
        built.carriers["cmpp30"].send_mo("13700008888", PROTOCOLS["cmpp30"][2], LONG * 5, order=(1,))
        accepted = sum(sent.parts for sent in built.customer.sent.values())
        await until(lambda: sum(c.counts.accepted for c in built.carriers.values()) == accepted, what="all are out")
        assert await built.node.stop() == 0
        await until(lambda: sum(c.waiting for c in built.carriers.values()) > accepted, what="the reports are due")
        assert all(c.counts.accepted for c in built.carriers.values())
        assert sum(c.counts.reports for c in built.carriers.values()) == 0
        await server.stop()

        server.offset = DAYS
        built.node.clock = calendar(DAYS)
        await server.start()
        await built.node.start()
        await built.bound()
        await all_matched(built)
        (mo,) = await built.customer.replies(1)
        assert (mo["complete"], mo["content"].rstrip("…")) == (False, (LONG * 5)[:67])


# --- long messages ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", list(PROTOCOLS))
@pytest.mark.slow
async def test_two_to_ten_parts_shuffled_repeated_and_missing(channel: str, dsn: str, data_dir: Path) -> None:
    chance = dice()
    async with site(data_dir, dsn=dsn, channels=[channel]) as built:
        carrier, customer = built.carriers[channel], built.customer
        carrier.change(answer_delay="0..100", report_delay="0..200", duplicate_reports=0.5, report_copies=3)
        code = PROTOCOLS[channel][2]
        wanted: list[str] = []
        for total in range(2, 11):
            # Out: reports of parts in any order, some of them again and again.
            text = customer.text("".join(chance.choice("甲乙丙丁戊") for _ in range(67 * (total - 1) + 20)))
            sent = await customer.send(channel, text)
            assert sent.parts == total
            # In: the parts in any order, some of them twice or three times, of two phones with one reference.
            for phone in ("13700008888", "13700009999"):
                reply = f"{total}{phone}" + "".join(chance.choice("子丑寅卯辰") for _ in range(67 * total - 30))
                numbers = [n for n in range(1, total + 1) for _ in range(chance.choice((1, 1, 2, 3)))]
                chance.shuffle(numbers)
                carrier.send_mo(phone, code, reply, coding=Coding.UCS2, ref=total, order=numbers)
                wanted.append(reply)
            # One part never comes: nothing is told of it before its time.
            missing = chance.randint(1, total)
            rest = [n for n in range(1, total + 1) if n != missing]
            chance.shuffle(rest)
            carrier.send_mo("13700007777", code, "缺" * (67 * total - 5), ref=total, order=rest)
        books = await built.clean()
        assert books.statuses == {"delivered": 9}
        assert all(message.parts > 1 for message in carrier.messages)

        got = await customer.replies(len(wanted))
        await until(lambda: carrier.counts.replies_acknowledged == carrier.counts.replies, what="acknowledged")
        assert not (await built.client.surely("POST", "/mo/pull", {"limit": 100})).data["items"]
        assert sorted(mo["content"] for mo in got) == sorted(wanted)
        assert all(mo["complete"] for mo in got)
        assert json.dumps(got).count("缺") == 0
