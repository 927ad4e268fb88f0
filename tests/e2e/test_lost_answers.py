"""Answers that never come, and reports that settle what they would have said."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import Site, site, until

from smsgw.simulator import Behaviour, Delay

pytestmark = pytest.mark.shard("protocols")

LONG = "这是一条很长的短信,需要分成几段才能发出去。" * 8


async def some(built: Site, channel: str, n: int) -> None:
    """``n`` messages, every fifth of them a long one."""
    await built.customer.send_many(n, channel, text=lambda k: "您好" if k % 5 else LONG)


def silent() -> Behaviour:
    """Takes everything, reports on it, and answers nothing."""
    return Behaviour(lose_answers=1.0, report_delay=Delay(0.05, 0.2))


async def kinds(built: Site, message_id: str) -> set[str]:
    return {step["step"] for step in (await built.customer.trace(message_id))["steps"]}


async def test_the_reference_in_the_receipt_settles_all(dsn: str, data_dir: Path) -> None:
    profile = {"message_reference": True, "response_timeout": 1}
    async with site(
        data_dir,
        dsn=dsn,
        channels=["smpp34"],
        behaviour=silent,
        channel_options=["--window", "64"],  # after one that is lost, parts go one by one
        profile=profile,
        carrier={"echo_reference": True},
    ) as built:
        await some(built, "smpp34", 20)
        books = await built.clean()
        assert books.statuses == {"delivered": 20}
        assert built.carriers["smpp34"].counts.answers_lost == 28
        assert "by_reference" in await kinds(built, next(iter(built.customer.sent)))
        # It answers once, and goes on at its window; that is full of what nobody has answered when everything dies.
        built.carriers["smpp34"].change(lose_answers=0.0)
        await built.customer.send("smpp34")
        await built.clean()
        built.carriers["smpp34"].change(lose_answers=1.0, report_delay="3000")
        await some(built, "smpp34", 8)
        await until(lambda: built.carriers["smpp34"].counts.accepted >= 41, what="all are out")
        built.node.kill()
        await built.node.start()
        books = await built.clean()
        assert books.statuses == {"delivered": 29}


async def test_without_a_reference_they_stay_unknown(dsn: str, data_dir: Path) -> None:
    async with site(data_dir, dsn=dsn, channels=["smpp34"], behaviour=silent, profile={"response_timeout": 1}) as built:
        await some(built, "smpp34", 3)
        books = await built.clean(unknown=3)
        assert books.statuses == {"uncertain": 3}


@pytest.mark.parametrize("channel", ["cmpp30", "smgp30"])
async def test_the_number_and_the_minute_settle_what_is_certain(channel: str, dsn: str, data_dir: Path) -> None:
    profile = {"match_by_destination": True, "response_timeout": 1}
    async with site(data_dir, dsn=dsn, channels=[channel], behaviour=silent, profile=profile) as built:
        customer = built.customer
        alone = [await customer.send(channel) for _ in range(5)]
        long = await customer.send(channel, customer.text(LONG))
        for sent in alone:
            await customer.reaches(sent.message_id, "delivered")
        assert "inferred" in await kinds(built, alone[0].message_id)
        # Three parts to one number, three reports, and nothing that tells which is which.
        assert await built.settled() == {long.message_id}
        await built.clean(unknown=1)


async def test_reports_of_sgip_find_home_after_kill_9(dsn: str, data_dir: Path) -> None:
    """The id is the number that we gave: it is in the journal before the first octet is written."""
    async with site(data_dir, dsn=dsn, channels=["sgip12"]) as built:
        carrier = built.carriers["sgip12"]
        carrier.change(answer_delay="5000", report_delay="1500")
        await some(built, "sgip12", 40)
        await until(lambda: carrier.counts.accepted >= 8, what="a window is out")
        built.node.kill()
        carrier.change(answer_delay="0", report_delay="20")
        await built.node.start()
        books = await built.clean()
        assert books.statuses == {"delivered": 40}
