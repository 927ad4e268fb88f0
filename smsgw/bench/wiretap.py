"""What passes on the wire to the carriers, by the kernel's time stamps: when submits left the daemon.

A carrier's own clock says when its event loop came to read. On a machine that carries everything it comes late, and
finds together what was sent apart. Linux only, and only for who may open a packet socket (root).
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import socket
import struct
from array import array
from collections.abc import Iterable
from typing import cast

_SUBMIT = 4
"""CMPP_SUBMIT and submit_sm: both have the length of the PDU first, and the command behind it."""
_HEADER = struct.Struct(">II")
_PORTS_AND_NUMBER = struct.Struct(">HHI")
_TIMESPEC = struct.Struct("qq")

_ETH_P_IP = 0x0800
_SO_ATTACH_FILTER = 26
_SO_RCVBUFFORCE = 33
_SO_TIMESTAMPNS = 35
_SOL_PACKET = 263
_PACKET_STATISTICS = 6
_BUFFER = 32 * 1024 * 1024
_LARGEST = 128 * 1024
_AT_ONCE = 500
"""Packets read in one turn of the event loop."""
_MAX_PDU = 1024 * 1024


class _Stream:
    """One direction of a connection; finds where the PDUs begin."""

    __slots__ = ("_expected", "_head", "_skip")

    def __init__(self, number: int) -> None:
        self._expected = number
        self._head = b""
        self._skip = 0

    def submits(self, number: int, data: bytes) -> int:
        """How many submits begin in these octets, which have this sequence number."""
        again = (self._expected - number) & 0xFFFFFFFF
        if again >= 1 << 31:
            raise ValueError("octets have been missed")
        data = data[again:]
        self._expected = (self._expected + len(data)) & 0xFFFFFFFF
        found = at = 0
        while True:
            passed = min(self._skip, len(data) - at)
            at += passed
            self._skip -= passed
            wanted = _HEADER.size - len(self._head)
            if self._skip or len(data) - at < wanted:
                break
            length, command = _HEADER.unpack(self._head + data[at : at + wanted])
            if not _HEADER.size <= length <= _MAX_PDU:
                raise ValueError(f"a PDU of {length} octets")
            found += command == _SUBMIT
            self._skip = length - len(self._head)
            self._head = b""
        self._head += data[at:]
        return found


class WireTap:
    """Listens on the loopback interface from ``open`` to ``close``. ``times`` are the submits by port of the carrier,
    in seconds since the epoch."""

    def __init__(self, ports: Iterable[int]) -> None:
        self.times: dict[int, array[float]] = {port: array("d") for port in ports}
        self.failed = ""
        """Why the times are not to be believed."""
        self._streams: dict[tuple[int, int], _Stream] = {}
        self._socket: socket.socket | None = None

    def open(self) -> bool:
        """Whether it listens; not without the right to."""
        family = getattr(socket, "AF_PACKET", None)
        if family is None:
            return False
        try:
            tap = socket.socket(family, socket.SOCK_DGRAM, 0)  # hears nothing until it is bound, filtered by then
        except OSError as exc:
            if exc.errno in (errno.EPERM, errno.EACCES):
                return False
            raise
        program = _filter(list(self.times))
        octets = ctypes.create_string_buffer(program)
        tap.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", len(program) // 8, ctypes.addressof(octets))
        )
        tap.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        tap.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        tap.bind(("lo", _ETH_P_IP))
        tap.setblocking(False)
        self._socket = tap
        asyncio.get_running_loop().add_reader(tap, self._read, _AT_ONCE)
        return True

    def close(self) -> None:
        """Read what is left and stop."""
        if self._socket is None:
            return
        asyncio.get_running_loop().remove_reader(self._socket)
        self._read(1 << 30)
        statistics = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        if dropped := struct.unpack("II", statistics)[1]:
            self.failed = f"{dropped} packets were dropped"
        self._socket.close()
        self._socket = None

    def _read(self, most: int) -> None:
        tap = cast(socket.socket, self._socket)
        for _ in range(most):
            try:
                packet, ancillary, _, _ = tap.recvmsg(_LARGEST, 64)
            except BlockingIOError:
                return
            seconds, nanoseconds = next(
                _TIMESPEC.unpack(data)
                for level, kind, data in ancillary
                if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS)
            )
            try:
                self._packet(packet, seconds + nanoseconds / 1e9)
            except ValueError as exc:
                self.failed = str(exc)

    def _packet(self, packet: bytes, at: float) -> None:
        tcp = (packet[0] & 15) * 4
        source, port, number = _PORTS_AND_NUMBER.unpack_from(packet, tcp)
        flags = packet[tcp + 13]
        key = source, port
        if flags & 2:  # SYN
            self._streams.pop(key, None)
            return
        data = packet[tcp + (packet[tcp + 12] >> 4) * 4 : int.from_bytes(packet[2:4], "big") or None]
        if data:  # a connection that is there already is quiet when the tap opens: a PDU begins here
            stream = self._streams.setdefault(key, _Stream(number))
            self.times[port].extend([at] * stream.submits(number, data))


def _filter(ports: list[int]) -> bytes:
    """A classic BPF program: TCP to one of the ports, as it is received (loopback shows each packet twice)."""
    last = len(ports)
    steps = [
        (0x20, 0, 0, 0xFFFFF004),  # A = the packet's type
        (0x15, last + 4, 0, 4),  # outgoing: drop
        (0x30, 0, 0, 9),  # A = protocol
        (0x15, 0, last + 2, 6),  # other than TCP: drop
        (0xB1, 0, 0, 0),  # X = length of the IP header
        (0x48, 0, 0, 2),  # A = destination port
        *((0x15, last - n, 0, port) for n, port in enumerate(ports)),
        (0x06, 0, 0, 0),
        (0x06, 0, 0, 0xFFFFFFFF),
    ]
    return b"".join(struct.pack("HBBI", *step) for step in steps)
