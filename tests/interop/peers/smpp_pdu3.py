"""An SMPP peer made of smpp.pdu3, the package that Jasmin reads and writes PDUs with. How it is spoken to: foreign.py.

As in Jasmin, what it cannot read ends the connection.
"""

from __future__ import annotations

import socket
import sys
from io import BytesIO
from select import select
from typing import Any

from smpp.pdu import operations
from smpp.pdu.constants import command_status_name_map, command_status_value_map
from smpp.pdu.error import PDUCorruptError, PDUParseError
from smpp.pdu.pdu_encoding import PDUEncoder
from smpp.pdu.pdu_types import CommandStatus

NAMES = {
    "bind_transceiver": "BindTransceiver", "bind_transmitter": "BindTransmitter", "bind_receiver": "BindReceiver",
    "submit_sm": "SubmitSM", "deliver_sm": "DeliverSM", "data_sm": "DataSM", "query_sm": "QuerySM",
    "enquire_link": "EnquireLink", "unbind": "Unbind",
}  # fmt: skip
STRINGS = (
    "system_id", "password", "system_type", "address_range", "service_type", "source_addr", "destination_addr",
    "schedule_delivery_time", "validity_period", "message_id",
)  # fmt: skip
CODER = PDUEncoder()


class Peer:
    def __init__(self) -> None:
        self.socket: Any = None
        self.octets = b""
        self.refuse = 0
        self.ids = 0

    def send(self, pdu: Any) -> None:
        self.socket.sendall(CODER.encode(pdu))

    def order(self, line: str) -> None:
        name, *words = line.split()
        given = dict(word.split("=", 1) for word in words)
        if name == "refuse":
            self.refuse = int(given["status"])
            print("refusing", flush=True)
            return
        pdu = getattr(operations, NAMES[name])(seqNum=int(given.pop("seq")))
        for param in (p for p in pdu.mandatoryParams if p != "sm_length"):
            pdu.params[param] = self.value(pdu, param, given.pop(param, None))
        for param, value in given.items():
            number = int.from_bytes(bytes.fromhex(value), "big")
            pdu.params[param] = bytes.fromhex(value) if param == "message_payload" else number
        self.send(pdu)

    def value(self, pdu: Any, param: str, given: str | None) -> Any:
        """As the package wants it: read from the octets of the field by its own reader."""
        encoder = CODER.getRequiredParamEncoders(pdu)[param]
        if param == "short_message":
            return bytes.fromhex(given or "")
        if param not in STRINGS:
            return encoder.decode(BytesIO(bytes([int(given or 0)])))
        return None if given is None else encoder.decode(BytesIO(given.encode() + b"\0"))

    def heard(self, octets: bytes) -> bool:
        """False when the connection is to end."""
        try:
            pdu = CODER.decode(BytesIO(octets))
        except (PDUCorruptError, PDUParseError) as exc:
            print(f"error text={str(exc).replace(' ', '_')} octets={octets[:80].hex()}", flush=True)
            return False
        status = command_status_name_map[pdu.status.name]
        words = [pdu.commandId.name, f"seq={pdu.seqNum}", f"status={status}"]
        for name, value in pdu.params.items():
            if name in ("short_message", "message_payload"):
                words.append(f"{name}={(value or b'').hex()}")
            elif isinstance(value, bytes):
                words.append(f"{name}={value.decode('latin-1')}")
            elif name == "message_state" and value is not None:
                words.append(f"{name}={value.value}")
            elif name in ("data_coding", "esm_class"):
                raw = CODER.getRequiredParamEncoders(pdu)[name].encode(value)
                words.append(f"{name}={raw[0]}")
        print(*words, flush=True)
        if pdu.commandId.name in NAMES:
            fields: dict[str, Any] = {}
            status = 0
            if pdu.commandId.name.startswith("bind_"):
                status = 14 if pdu.params["password"] == b"wrong" else 0
                fields["system_id"] = b"smpp.pdu3"
            elif pdu.commandId.name == "submit_sm":
                status = self.refuse
                self.ids += 1
                fields["message_id"] = b"pdu-%d" % self.ids
            said = getattr(CommandStatus, command_status_value_map[status]["name"])
            self.send(pdu.requireAck(pdu.seqNum, said, **(fields if not status else {})))
        return True


def main() -> None:
    role, port = sys.argv[1], int(sys.argv[2])
    peer = Peer()
    listener = None
    if role == "smsc":
        listener = socket.create_server(("127.0.0.1", 0))
        print(f"listening port={listener.getsockname()[1]}", flush=True)
    else:
        peer.socket = socket.create_connection(("127.0.0.1", port))
        print("connected", flush=True)
    orders = b""
    while True:
        ready, _, _ = select([sys.stdin.fileno(), peer.socket or listener], [], [])
        if sys.stdin.fileno() in ready:
            got = sys.stdin.buffer.raw.read(65536)  # type: ignore[attr-defined]
            if not got:
                return
            *lines, orders = (orders + got).split(b"\n")
            for line in lines:
                peer.order(line.decode())
        if peer.socket is None and listener in ready:
            peer.socket = listener.accept()[0]
            print("accepted", flush=True)
        elif peer.socket in ready:
            got = peer.socket.recv(65536)
            peer.octets += got
            on = bool(got)
            while on and len(peer.octets) >= 4 and len(peer.octets) >= (size := int.from_bytes(peer.octets[:4], "big")):
                frame, peer.octets = peer.octets[:size], peer.octets[size:]
                on = peer.heard(frame)
            if not on:
                print("closed", flush=True)
                peer.socket.close()
                peer.socket, peer.octets = None, b""
                if role != "smsc":
                    return


main()
