"""The same story over each carrier protocol: a text and its report, replies, long ones, a connection that breaks."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import PROTOCOLS, Site, site, until

from smsgw.core.text import Coding
from smsgw.simulator import Rule

pytestmark = pytest.mark.shard("protocols")

PHONE = "13000001111"
LONG = "这是一条很长的短信,需要分成几段才能发出去。" * 8


async def _text_and_report(built: Site, channel: str) -> None:
    carrier = built.carriers[channel]
    sent = await built.customer.send(channel)
    message = await built.customer.reaches(sent.message_id, "delivered")
    assert message["status"] == "delivered"
    (received,) = [m for m in carrier.messages if m.text == sent.content]
    assert received.source == PROTOCOLS[channel][2]
    # CMPP and SMGP want national numbers, SMPP and SGIP the country code.
    plain = channel[:4] in ("cmpp", "smgp")
    assert received.destination == (sent.to if plain else "86" + sent.to)
    trace = await built.customer.trace(sent.message_id)
    assert trace["parts"][0]["carrier_id"]


async def _failures(built: Site, channel: str) -> None:
    carrier = built.carriers[channel]
    # A number that does not exist: nothing that another try could change.
    nobody = Rule(contains="失败", report="MK:0001", error="29" if channel == "sgip12" else "004")
    carrier.change(rules=(nobody, Rule(contains="等等", report="ENROUTE")))
    sent = await built.customer.send(channel, built.customer.text("失败"))
    message = await built.customer.reaches(sent.message_id, "failed")
    # The states of SMPP have no word for it.
    assert message["class"] == ("UNKNOWN" if channel == "smpp34" else "EMPTY_NUMBER")
    await until(lambda: carrier.counts.reports_acknowledged == carrier.counts.reports, what="acknowledged")
    before = carrier.counts.reports_acknowledged
    waiting = await built.customer.send(channel, built.customer.text("等等"))
    await built.customer.reaches(waiting.message_id, "submitted")
    await until(lambda: carrier.counts.reports_acknowledged > before, what="the state is acknowledged")
    assert await built.customer.status(waiting.message_id) == "submitted"
    del built.customer.sent[waiting.message_id]  # it will have no report for hours
    carrier.change(rules=())
    if message["class"] == "EMPTY_NUMBER":
        await _empty(built, sent.to)


async def _empty(built: Site, number: str) -> None:
    """Who asks for it, sends nothing more there; until something arrives there."""

    async def told(code: str) -> bool:
        body = {"to": [number], "content": "1234", "type": "otp"}
        return (await built.client.surely("POST", "/messages/explain", body)).data["items"][0]["code"] == code

    await built.node.furnish("policy", "set", "drop_empty", "true", "--type", "otp")
    await until(lambda: told("NUMBER_EMPTY"), what="it is known to be empty")
    text = built.customer.text()
    answer = await built.client.post("/messages", {"to": [number], "content": text})
    (sent,) = built.customer.note(answer, [text])
    await built.customer.reaches(sent.message_id, "delivered")
    await until(lambda: told("OK"), what="it is known to be live")


async def _long(built: Site, channel: str) -> None:
    sent = await built.customer.send(channel, built.customer.text(LONG))
    assert sent.parts == 3
    await built.customer.reaches(sent.message_id, "delivered")
    (received,) = [m for m in built.carriers[channel].messages if m.text == sent.content]
    assert received.parts == 3


async def _mo(built: Site, channel: str) -> None:
    carrier = built.carriers[channel]
    to = PROTOCOLS[channel][2] + "77"
    carrier.send_mo(PHONE, to, "Yes please", coding=Coding.ASCII)
    carrier.send_mo(PHONE, to, "好的,谢谢")
    assert carrier.send_mo(PHONE, to, LONG, order=(3, 1, 1, 2), ref=77) == 4
    replies = await built.customer.replies(3)
    assert sorted(r["content"] for r in replies) == sorted(["Yes please", "好的,谢谢", LONG])
    assert {r["from"] for r in replies} == {"86" + PHONE}
    await until(lambda: carrier.counts.replies_acknowledged >= 6, what="acknowledged")


async def _disconnect_in_mid_window(built: Site, channel: str) -> int:
    """Break the connection while answers are due; how many messages may stay unknown."""
    carrier = built.carriers[channel]
    carrier.change(answer_delay="400", report_delay="20")
    before = carrier.counts.submits
    await built.customer.send_many(40, channel)
    await until(lambda: carrier.counts.submits - before >= 8, what="a window is out")
    assert carrier.disconnect(rst=True)
    carrier.change(answer_delay="0")
    return 16


@pytest.mark.parametrize("channel", list(PROTOCOLS))
async def test_the_same_story(channel: str, dsn: str, data_dir: Path) -> None:
    async with site(data_dir, dsn=dsn, channels=[channel]) as built:
        await _text_and_report(built, channel)
        await _failures(built, channel)
        await _long(built, channel)
        await _mo(built, channel)
        unknown = await _disconnect_in_mid_window(built, channel)
        # With SGIP the message id is ours, so the reports settle what the lost answers left open.
        await built.settled()
        books = await built.ledger()
        lost = [p for p in books.problems if "never acknowledged" not in p]
        assert lost == []
        assert len(books.unknown) <= (0 if channel == "sgip12" else unknown)
        assert not built.node.complaints()


async def test_sgip_connections_rest_when_idle_and_come_back_on_demand(dsn: str, data_dir: Path) -> None:
    async with site(data_dir, dsn=dsn, channels=["sgip12"]) as built:
        carrier = built.carriers["sgip12"]
        await _text_and_report(built, "sgip12")
        for _ in range(2):
            await until(lambda: carrier.bound == 0, what="the connection was closed")

            async def idle() -> bool:
                return (await built.channel("sgip12"))["state"] == "idle"

            await until(idle, what="the channel rests")
            assert (await built.channel("sgip12"))["last_error"] == ""
            assert "idle" in (await built.node.ctl("channel", "test", "sgip12")).out
            await _text_and_report(built, "sgip12")
        assert not [line for line in built.node.log_lines() if "link.down" in line]
        await built.clean()
