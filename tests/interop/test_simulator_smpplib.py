"""smpplib, a client that we did not write, against the SMPP simulator."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest
import smpplib.client
import smpplib.consts
import smpplib.exceptions
import smpplib.gsm

from smsgw.simulator import Behaviour, Carrier, CarrierConfig, Delay, Rule

LONG_UCS2 = "长短信" * 60
# Characters outside the extension table only: smpplib itself may cut an escape pair at a part boundary.
LONG_GSM = "The quick brown fox jumps over the lazy dog. " * 8


@pytest.fixture
def config() -> CarrierConfig:
    behaviour = Behaviour(
        report_delay=Delay.fixed(0.05), rules=(Rule(suffix="0001", report="UNDELIV", error="012"),)
    )
    return CarrierConfig(protocol="smpp", users={"smsgw": "secret"}, behaviour=behaviour)


class Peer:
    """smpplib's blocking client, driven in a thread."""

    def __init__(self, port: int) -> None:
        self.client = smpplib.client.Client("127.0.0.1", port, timeout=30, allow_unknown_opt_params=True)
        self.sent: list[Any] = []
        self.received: list[Any] = []
        self.client.set_message_sent_handler(lambda pdu: self.sent.append(pdu))
        self.client.set_message_received_handler(self._receive)

    def _receive(self, pdu: Any) -> None:
        self.received.append(pdu)

    def send(self, to: str, text: str, encoding: int = smpplib.consts.SMPP_ENCODING_DEFAULT) -> int:
        parts, coding, esm_class = smpplib.gsm.make_parts(text, encoding)
        for part in parts:
            self.client.send_message(
                source_addr_ton=smpplib.consts.SMPP_TON_INTL,
                source_addr="10690001",
                dest_addr_ton=smpplib.consts.SMPP_TON_INTL,
                destination_addr=to,
                short_message=part,
                data_coding=coding,
                esm_class=esm_class,
                registered_delivery=True,
            )
        return len(parts)

    def read_until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.client.read_once(auto_send_enquire_link=False)

    def close(self) -> None:
        self.client.unbind()
        self.client.disconnect()


async def test_submit_answer_report_and_reply(config: CarrierConfig) -> None:
    async with Carrier(config) as carrier:
        peer = Peer(carrier.port)

        def talk() -> None:
            peer.client.connect()
            peer.client.bind_transceiver(system_id="smsgw", password="secret")
            expected = peer.send("8613800138000", "plain €[] text")
            expected += peer.send("8613800130001", "你好")
            expected += peer.send("8613800138002", LONG_UCS2, smpplib.consts.SMPP_ENCODING_ISO10646)
            expected += peer.send("8613800138003", LONG_GSM)
            peer.read_until(lambda: len(peer.sent) == expected and len(peer.received) == expected)

        await asyncio.to_thread(talk)
        carrier.send_mo("8613800138000", "10690001", "回复 TD")
        await asyncio.to_thread(peer.read_until, lambda: peer.received[-1].data_coding == 8)
        await asyncio.to_thread(peer.close)
    assert carrier.receptions == {
        ("8613800138000", "plain €[] text"): 1,
        ("8613800130001", "你好"): 1,
        ("8613800138002", LONG_UCS2): 1,
        ("8613800138003", LONG_GSM): 1,
    }
    *receipts, reply = peer.received
    ids = [pdu.message_id.decode() for pdu in peer.sent]
    found = {}
    for pdu in receipts:
        match = re.match(rb"id:(\d+) .*stat:(\w+) err:(\w+)", pdu.short_message)
        assert match is not None
        assert pdu.receipted_message_id == match[1]
        found[match[1].decode()] = (match[2].decode(), match[3].decode())
    assert sorted(found) == sorted(ids)
    assert found[ids[1]] == ("UNDELIV", "012")
    assert {state for state, _ in found.values()} == {"DELIVRD", "UNDELIV"}
    assert reply.short_message.decode("utf-16-be") == "回复 TD"
    assert (reply.source_addr, reply.destination_addr) == (b"8613800138000", b"10690001")


async def test_wrong_password(config: CarrierConfig) -> None:
    async with Carrier(config) as carrier:
        peer = Peer(carrier.port)

        def talk() -> None:
            peer.client.connect()
            with pytest.raises(smpplib.exceptions.PDUError) as caught:
                peer.client.bind_transceiver(system_id="smsgw", password="wrong")
            assert caught.value.args[1] == smpplib.consts.SMPP_ESME_RINVPASWD
            peer.client.disconnect()

        await asyncio.to_thread(talk)
        assert carrier.counts.logins_refused == 1


async def test_throttling_and_keepalive(config: CarrierConfig) -> None:
    config.behaviour.rate, config.behaviour.rate_burst = 0.1, 1.0
    async with Carrier(config) as carrier:
        peer = Peer(carrier.port)
        errors: list[int] = []

        def talk() -> None:
            peer.client.set_error_pdu_handler(lambda pdu: errors.append(int(pdu.status)))
            peer.client.connect()
            peer.client.bind_transmitter(system_id="smsgw", password="secret")
            peer.client.send_pdu(smpplib.smpp.make_pdu("enquire_link", client=peer.client))
            assert peer.client.read_pdu().command == "enquire_link_resp"
            peer.send("8613800138000", "one")
            peer.send("8613800138000", "two")
            peer.client.read_once()
            peer.client.read_once()
            peer.close()

        await asyncio.to_thread(talk)
        assert errors == [smpplib.consts.SMPP_ESME_RTHROTTLED]
        assert [m.text for m in carrier.messages] == ["one"]
