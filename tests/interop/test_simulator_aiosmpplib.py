"""aiosmpplib, an asynchronous client that we did not write, against the SMPP simulator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from aiosmpplib import (
    ESME,
    NPI,
    TON,
    AbstractHook,
    DeliverSm,
    EnquireLinkResp,
    PhoneNumber,
    SmppCommandStatus,
    SubmitSm,
    SubmitSmResp,
)
from harness import until

from smsgw.runtime.aio import cancel, spawn
from smsgw.simulator import Behaviour, Carrier, CarrierConfig, Delay, Rule

TEXTS = {
    "8613300000001": ("plain €[] text", "gsm0338"),
    "8613300000002": ("您的验证码是 8848", "ucs2"),
    "8613300000003": ("长短信" * 60, "ucs2"),
    "8613300000004": ("The quick brown fox jumps over the lazy dog. " * 8, "gsm0338"),
}
REFUSED, LOST = "8613300000008", "8613300000009"


class Heard(AbstractHook):
    """Keeps what has come in."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.errors: list[Exception] = []

    def of(self, kind: type) -> list[Any]:
        return [message for message in self.messages if type(message) is kind]

    async def sending(self, smpp_message: Any, pdu: bytes, client_id: str) -> None:
        pass

    async def received(self, smpp_message: Any, pdu: bytes, client_id: str) -> None:
        assert smpp_message is not None, f"not parsed: {pdu.hex()}"
        self.messages.append(smpp_message)

    async def send_error(self, smpp_message: Any, error: Exception, client_id: str) -> None:
        self.errors.append(error)


@pytest_asyncio.fixture
async def carrier() -> AsyncIterator[Carrier]:
    rules = (Rule(suffix=REFUSED[-4:], answer=0x0B), Rule(suffix=LOST[-4:], report="UNDELIV", error="012"))
    behaviour = Behaviour(report_delay=Delay.fixed(0.05), rules=rules)
    async with Carrier(
        CarrierConfig(protocol="smpp", users={"smsgw": "secret"}, behaviour=behaviour)
    ) as running:
        yield running


async def test_texts_receipts_and_reply(carrier: Carrier) -> None:
    heard = Heard()
    esme = ESME(
        "127.0.0.1", carrier.port, "smsgw", "secret",
        hook=heard, enquire_link_interval=0.3, log_level="CRITICAL",
    )  # fmt: skip
    running = spawn(esme.start(), name="esme")
    try:
        texts = TEXTS | {REFUSED: ("refused", "gsm0338"), LOST: ("lost", "gsm0338")}
        for number, (text, encoding) in texts.items():
            await esme.broker.enqueue(
                SubmitSm(
                    short_message=text,
                    source=PhoneNumber("10690001"),
                    destination=PhoneNumber(number, TON.INTERNATIONAL, NPI.ISDN),
                    encoding=encoding,
                    log_id=number,
                )
            )
        await carrier.received(len(texts) - 1)
        carrier.send_mo("8613800138000", "10690001", "回复 TD")
        await until(lambda: len(heard.of(DeliverSm)) == 6, what="receipts and the reply")
        await until(lambda: heard.of(EnquireLinkResp), what="a keep-alive answered")
        writer = esme._writer  # which it forgets without closing it
        assert writer is not None
        await esme.stop()
        await asyncio.wait_for(running, 30)
        writer.close()
        await writer.wait_closed()
    finally:
        await cancel(running)
    assert heard.errors == []
    assert carrier.receptions == {(n, t): 1 for n, (t, _) in texts.items() if n != REFUSED}
    assert carrier.counts.violations == {}

    answers = {answer.log_id: answer.command_status for answer in heard.of(SubmitSmResp)}
    assert answers == {n: SmppCommandStatus(0x0B if n == REFUSED else 0) for n in texts}
    # The package puts the receipts of a message's parts together by their ids.
    receipts = {m.log_id: m.parse_receipt() for m in heard.of(DeliverSm) if m.is_receipt()}
    assert {n: (r["stat"], r["err"]) for n, r in receipts.items()} == {
        n: ("UNDELIV", 12) if n == LOST else ("DELIVRD", 0) for n in texts if n != REFUSED
    }
    (reply,) = (m for m in heard.of(DeliverSm) if not m.is_receipt())
    assert (reply.source.number, reply.short_message) == ("8613800138000", "回复 TD")
