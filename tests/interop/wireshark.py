"""Captures loopback traffic with ``tshark`` and reads it back as the dissectors have understood it."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import socket
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Dissected:
    """One PDU as the dissector sees it."""

    server_sent: bool
    shown: dict[str, list[str]] = field(default_factory=dict)
    """Values as they are displayed, by field name."""
    raw: dict[str, str] = field(default_factory=dict)
    """Hexadecimal octets (or bits) of the first occurrence of a field."""

    def __getitem__(self, name: str) -> str:
        """The displayed value of a field that occurs once."""
        (value,) = self.shown[name]
        return value


class Marker:
    """Datagrams whose appearance in the file proves that the capture is running, and that it has caught up."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]

    async def appears(self, *, within: float = 60.0) -> None:
        token = secrets.token_hex(16).encode()
        async with asyncio.timeout(within):
            while not self._path.exists() or token not in self._path.read_bytes():
                self._socket.sendto(token, ("127.0.0.1", self.port))
                await asyncio.sleep(0.05)

    def close(self) -> None:
        self._socket.close()


@contextlib.asynccontextmanager
async def capture(path: Path, ports: Iterable[int]) -> AsyncIterator[None]:
    """Everything that these TCP ports see within the block ends up in the file."""
    marker = Marker(path)
    wanted = " or ".join([f"tcp port {port}" for port in ports] + [f"udp dst port {marker.port}"])
    process = await asyncio.create_subprocess_exec(
        "tshark", "-q", "-i", "lo", "-f", wanted, "-w", str(path),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        try:
            await marker.appears()
            yield
            await marker.appears()
        except TimeoutError:
            process.kill()
            _, said = await process.communicate()
            raise AssertionError(f"tshark captures nothing: {said.decode()}") from None
    finally:
        marker.close()
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        try:
            await asyncio.wait_for(process.communicate(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()


async def dissect(path: Path, port: int, protocol: str) -> list[Dissected]:
    """The PDUs of ``smpp`` or ``cmpp`` traffic with this port, in order of capture.

    Asserts that the dissectors have nothing to complain about in the PDUs. Of the connection they may: a keep-alive
    that crosses the end of a session is answered by a reset, and who counts the PDUs finds what a capture has lost.
    """
    process = await asyncio.create_subprocess_exec(
        "tshark", "-r", str(path), "-d", f"tcp.port=={port},{protocol}", "-Y", f"tcp.port=={port}",
        "-o", "smpp.decode_sms_over_smpp:GSM 7-bit", "-o", "smpp.gsm7_unpacked:TRUE", "-T", "pdml",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    told, complaints = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, complaints.decode()
    found = []
    for packet in ET.fromstring(told).iter("packet"):  # noqa: S314  written by the program next door
        layers = [layer for layer in packet.findall("proto") if layer.get("name") != "tcp"]
        bad = [e for layer in layers for e in layer.iter() if _is_complaint(e)]
        assert not bad, [ET.tostring(layer, encoding="unicode") for layer in layers]
        source = packet.find(".//field[@name='tcp.srcport']")
        assert source is not None
        server_sent = source.get("show") == str(port)
        found += [_pdu(layer, server_sent) for layer in packet.iter("proto") if layer.get("name") == protocol]
    return found


def _is_complaint(element: ET.Element) -> bool:
    name = element.get("name") or ""
    if name.startswith("_ws.malformed") or name.startswith("_ws.unreassembled"):
        return True
    # severity: comment 1 MiB, chat 2, note 4, warning 6, error 8 (epan/proto.h)
    return name == "_ws.expert.severity" and int(element.get("show") or "0", 0) > 0x0040_0000


def _pdu(layer: ET.Element, server_sent: bool) -> Dissected:
    pdu = Dissected(server_sent)
    for element in layer.iter("field"):
        name = element.get("name") or ""
        pdu.shown.setdefault(name, []).append(element.get("show") or "")
        pdu.raw.setdefault(name, element.get("value") or "")
    return pdu
