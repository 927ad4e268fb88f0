"""What a carrier brings: nothing is acknowledged before it is durable, and nobody reads on who cannot store."""

from __future__ import annotations

import asyncio

from stage import Stage, staged

from smsgw.core.states import PartState
from smsgw.simulator import Rule

PHONE, CODE = "13800001111", "1069"


@staged()
async def test_a_report_is_acknowledged_when_it_is_committed_and_not_before(stage: Stage) -> None:
    stage.verdicts.commits = None
    stage.carrier.change(report_delay="100")
    stage.queue(1)
    await stage.until(lambda: stage.verdicts.reports)
    await asyncio.sleep(5.0)
    assert stage.carrier.counts.reports_acknowledged == 0
    (future,) = stage.verdicts.pending
    future.set_result(None)
    await stage.until(lambda: stage.carrier.counts.reports_acknowledged == 1, within=1.0)
    (report,) = stage.verdicts.reports
    (_, outcome) = stage.verdicts.said[0]
    assert report.carrier_id == outcome.carrier_id
    assert report.state is PartState.DELIVERED


@staged()
async def test_a_report_that_cannot_be_committed_comes_again(stage: Stage) -> None:
    stage.verdicts.commits = False
    stage.carrier.change(report_delay="100")
    stage.queue(1)
    await stage.until(lambda: stage.verdicts.reports)
    await asyncio.sleep(5.0)
    assert stage.carrier.counts.reports_acknowledged == 0
    stage.verdicts.commits = True
    await stage.until(lambda: stage.carrier.counts.reports_acknowledged == 1, within=120.0)
    first, again = stage.verdicts.reports
    assert first.carrier_id == again.carrier_id


@staged()
async def test_a_reply_is_acknowledged_when_it_is_committed_and_not_before(stage: Stage) -> None:
    stage.verdicts.commits = None
    stage.at_carrier(lambda: stage.carrier.send_mo(PHONE, CODE + "7", "收到"))
    await stage.until(lambda: stage.verdicts.inbounds)
    await asyncio.sleep(2.0)
    assert stage.carrier.counts.replies_acknowledged == 0
    stage.verdicts.pending[0].set_result(None)
    await stage.until(lambda: stage.carrier.counts.replies_acknowledged == 1, within=1.0)
    (inbound,) = stage.verdicts.inbounds
    assert (inbound.to_code, inbound.text) == (CODE + "7", "收到")


@staged()
async def test_acknowledgements_come_as_the_commits_do(stage: Stage) -> None:
    """A later one does not wait for an earlier one."""
    stage.verdicts.commits = None
    for n in range(3):
        stage.at_carrier(lambda n=n: stage.carrier.send_mo(PHONE, CODE, f"text {n}"))
    await stage.until(lambda: len(stage.verdicts.pending) == 3)
    stage.verdicts.pending[2].set_result(None)
    await stage.until(lambda: stage.carrier.counts.replies_acknowledged == 1, within=1.0)
    for future in stage.verdicts.pending[:2]:
        future.set_result(None)
    await stage.until(lambda: stage.carrier.counts.replies_acknowledged == 3, within=1.0)


@staged()
async def test_a_link_is_not_read_while_the_ledger_cannot_keep_up(stage: Stage) -> None:
    stage.verdicts.full = True
    stage.at_carrier(lambda: stage.carrier.send_mo(PHONE, CODE, "text 0"))
    await stage.until(lambda: stage.verdicts.inbounds)
    for n in range(1, 50):
        stage.at_carrier(lambda n=n: stage.carrier.send_mo(PHONE, CODE, f"text {n}"))
    await asyncio.sleep(3.0)
    assert len(stage.verdicts.inbounds) == 1
    assert not any(wire.is_reading() for wire in stage.wires)
    stage.verdicts.full = False
    await stage.until(lambda: len(stage.verdicts.inbounds) == 50, within=5.0)
    assert all(wire.is_reading() for wire in stage.wires)
    assert [one.text for one in stage.verdicts.inbounds] == [f"text {n}" for n in range(50)]


@staged()
async def test_a_link_that_is_not_read_and_goes_away_is_let_go(stage: Stage) -> None:
    stage.verdicts.full = True
    stage.at_carrier(lambda: stage.carrier.send_mo(PHONE, CODE, "text"))
    await stage.until(lambda: stage.verdicts.inbounds)
    stage.network.wires[-1].cut()
    await asyncio.sleep(5.0)
    stage.verdicts.full = False
    await stage.until(lambda: stage.channel.reachable, within=30.0)
    stage.at_carrier(lambda: stage.carrier.send_mo(PHONE, CODE, "another"))
    await stage.until(lambda: stage.verdicts.inbounds[-1].text == "another", within=30.0)


@staged(protocol="smpp34")
async def test_a_state_on_the_way_is_acknowledged_and_not_stored(stage: Stage) -> None:
    stage.carrier.change(rules=(Rule(contains="text", report="ENROUTE"),), report_delay="100")
    stage.queue(1)
    await stage.until(lambda: stage.carrier.counts.reports_acknowledged == 1)
    assert not stage.verdicts.reports


@staged()
async def test_only_a_delivery_counts_as_a_sign_of_life(stage: Stage) -> None:
    assert stage.channel.delivered_at == float("-inf")
    stage.carrier.change(rules=(Rule(contains="bad", report="UNDELIV"),), report_delay="100")
    stage.queue(1, text="bad")
    stage.at_carrier(lambda: stage.carrier.send_mo(PHONE, CODE, "text"))
    await stage.until(lambda: stage.verdicts.reports and stage.verdicts.inbounds)
    assert stage.channel.delivered_at == float("-inf")
    stage.queue(1, text="good")
    await stage.until(lambda: len(stage.verdicts.reports) == 2)
    assert stage.loop.time() - stage.channel.delivered_at < 0.1


@staged()
async def test_the_same_report_twice_is_told_twice(stage: Stage) -> None:
    """Whether it is news is the ledger's to say."""
    stage.carrier.change(duplicate_reports=1.0, report_copies=3, report_delay="100")
    stage.queue(1)
    await stage.until(lambda: stage.carrier.counts.reports_acknowledged == 3)
    assert len(stage.verdicts.reports) == 3
    assert len({report.carrier_id for report in stage.verdicts.reports}) == 1


@staged()
async def test_what_cannot_be_stored_now_keeps_no_submit_from_being_sent(stage: Stage) -> None:
    stage.verdicts.commits = None
    for n in range(20):
        stage.at_carrier(lambda n=n: stage.carrier.send_mo(PHONE, CODE, f"text {n}"))
    await stage.until(lambda: len(stage.verdicts.pending) == 20)
    stage.queue(5)
    await stage.until(lambda: len(stage.verdicts.said) == 5, within=5.0)
