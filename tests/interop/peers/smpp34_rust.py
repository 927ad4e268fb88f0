"""An SMPP peer made of smpp34, a library of Rust with a face for Python. How it is spoken to: foreign.py.

It keeps sequence numbers, keep-alives and the answers to deliveries to itself.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Any

import smpp34

BINDS = {"bind_transceiver": "TRX", "bind_transmitter": "TX", "bind_receiver": "RX"}
PARAMETERS = {
    "message_payload": smpp34.TLV_MESSAGE_PAYLOAD, "sar_msg_ref_num": smpp34.TLV_SAR_MSG_REF_NUM,
    "sar_total_segments": smpp34.TLV_SAR_TOTAL_SEGMENTS, "sar_segment_seqnum": smpp34.TLV_SAR_SEGMENT_SEQNUM,
    "receipted_message_id": smpp34.TLV_RECEIPTED_MESSAGE_ID, "message_state": smpp34.TLV_MESSAGE_STATE,
}  # fmt: skip
NUMBERS = (
    "source_addr_ton", "source_addr_npi", "dest_addr_ton", "dest_addr_npi", "esm_class", "data_coding",
    "registered_delivery",
)  # fmt: skip


def say(name: str, **fields: object) -> None:
    print(name, *(f"{k}={v}" for k, v in fields.items()), flush=True)


def fields_of(given: dict[str, str]) -> dict[str, Any]:
    return {
        "source_addr": given.get("source_addr", ""),
        "destination_addr": given["destination_addr"],
        "short_message": bytes.fromhex(given.get("short_message", "")),
        "tlvs": [smpp34.Tlv(tag, bytes.fromhex(given[name])) for name, tag in PARAMETERS.items() if name in given],
        **{name: int(given[name]) for name in NUMBERS if name in given},
    }


def show(name: str, event: Any, **more: object) -> None:
    tlvs = {tlv.tag: tlv for tlv in event.tlvs}
    if smpp34.TLV_MESSAGE_PAYLOAD in tlvs:
        more["message_payload"] = tlvs[smpp34.TLV_MESSAGE_PAYLOAD].value.hex()
    if smpp34.TLV_RECEIPTED_MESSAGE_ID in tlvs:
        more["receipted_message_id"] = tlvs[smpp34.TLV_RECEIPTED_MESSAGE_ID].as_string()
    if smpp34.TLV_MESSAGE_STATE in tlvs:
        more["message_state"] = tlvs[smpp34.TLV_MESSAGE_STATE].as_int()
    say(
        name, seq=0, status=0, source_addr=event.source_addr, destination_addr=event.destination_addr,
        esm_class=event.esm_class, data_coding=event.data_coding, short_message=event.short_message.hex(), **more,
    )  # fmt: skip


class Esme:
    def __init__(self, port: int) -> None:
        self.port = port
        self.session: Any = None
        self.tasks: set[asyncio.Task[None]] = set()

    async def listen(self) -> None:
        while not isinstance(event := await self.session.next(), smpp34.Disconnected):
            show("deliver_sm", event)
        say("closed")

    async def order(self, name: str, given: dict[str, str]) -> None:
        if name in BINDS:
            client = smpp34.Client(
                "127.0.0.1", self.port, given["system_id"], given["password"], bind_type=BINDS[name],
                connect_timeout_ms=2500,
            )  # fmt: skip
            status: object = 0
            try:
                self.session = await client.connect()
                self.tasks.add(asyncio.create_task(self.listen()))  # noqa: TID251  no part of the product
            except smpp34.SmppError as exc:
                status = str(exc).replace(" ", "_")
            say(f"{name}_resp", seq=given["seq"], status=status)
        elif name == "submit_sm":
            fields = fields_of(given)
            answer = await self.session.submit_sm(fields.pop("destination_addr"), fields.pop("short_message"), **fields)
            say("submit_sm_resp", seq=given["seq"], status=answer.command_status, message_id=answer.message_id or "")
        elif name == "unbind":
            await self.session.unbind()
            say("unbind_resp", seq=given["seq"], status=0)


class Smsc:
    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.server = smpp34.Server("127.0.0.1", self.port, system_id="smpp34")
        self.esme: Any = None
        self.refuse = 0
        self.ids = 0

    async def listen(self) -> None:
        while True:
            event = await self.server.next()
            if isinstance(event, smpp34.Esme):
                self.esme = event
                say("bind_transceiver", seq=0, status=0, system_id=event.system_id)
            elif isinstance(event, smpp34.Unbound):
                say("unbind", seq=0, status=0)
            elif self.refuse:
                show("submit_sm", event)
                event.reject(self.refuse)
            else:
                self.ids += 1
                show("submit_sm", event)
                event.accept(f"rust-{self.ids}")

    async def order(self, name: str, given: dict[str, str]) -> None:
        if name == "refuse":
            self.refuse = int(given["status"])
            say("refusing")
        elif name == "deliver_sm":
            fields = fields_of(given)
            answer = await self.esme.deliver_sm(fields.pop("destination_addr"), fields.pop("short_message"), **fields)
            say("deliver_sm_resp", seq=given["seq"], status=answer.command_status)
        elif name == "unbind":
            await self.esme.unbind()
            say("unbind_resp", seq=given["seq"], status=0)


async def main() -> None:
    role, port = sys.argv[1], int(sys.argv[2])
    one: Any
    if role == "smsc":
        one = Smsc()
        await one.server.start()
        tasks = {asyncio.create_task(one.listen())}  # noqa: TID251
        say("listening", port=one.port)
    else:
        one, tasks = Esme(port), set()
        say("connected")
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        name, *words = line.decode().split()
        given = dict(word.split("=", 1) for word in words)
        tasks.add(asyncio.create_task(one.order(name, given)))  # noqa: TID251


asyncio.run(main())
