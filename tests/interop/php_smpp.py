"""Octets as php-smpp sends them with its defaults, written here after its README: php-smpp itself is not used.

It binds as transmitter, puts a NUL behind ``short_message`` that ``sm_length`` does not count, and sends long messages
by ``sar_…`` parameters behind that NUL (CSMS_16BIT_TAGS) or, if asked, in ``message_payload`` (CSMS_PAYLOAD). Each
submit waits for its answer.
"""

from __future__ import annotations

import asyncio
import struct

_PIECE = 132
"""Octets of a part, an even number."""


def _string(text: str) -> bytes:
    return text.encode("ascii") + b"\0"


def _parameter(tag: int, value: bytes) -> bytes:
    return struct.pack(">HH", tag, len(value)) + value


class PhpSmpp:
    """One connection of a transmitter."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._sequence = 0
        self._reference = 0

    @classmethod
    async def connect(cls, port: int, user: str, password: str) -> PhpSmpp:
        peer = cls(*await asyncio.open_connection("127.0.0.1", port))
        body = _string(user) + _string(password) + _string("WWW") + b"\x34\0\0" + _string("")
        await peer.ask(0x02, body)
        return peer

    async def ask(self, command: int, body: bytes) -> bytes:
        """The body of the answer, which says yes."""
        self._sequence += 1
        self._writer.write(struct.pack(">IIII", 16 + len(body), command, 0, self._sequence) + body)
        async with asyncio.timeout(15):
            length, answer, status, sequence = struct.unpack(">IIII", await self._reader.readexactly(16))
            assert (answer, status, sequence) == (command | 0x80000000, 0, self._sequence)
            return await self._reader.readexactly(length - 16)

    async def send(self, number: str, octets: bytes, data_coding: int = 0, method: str = "tags") -> None:
        if method == "payload":
            await self._submit(number, b"", data_coding, _parameter(0x0424, octets))
            return
        pieces = [octets[n : n + _PIECE] for n in range(0, len(octets), _PIECE)]
        self._reference += 1
        for n, piece in enumerate(pieces, 1):
            tags = (
                _parameter(0x020C, struct.pack(">H", self._reference))
                + _parameter(0x020E, bytes([len(pieces)]))
                + _parameter(0x020F, bytes([n]))
            )
            await self._submit(number, piece, data_coding, tags if len(pieces) > 1 else b"")

    async def _submit(self, number: str, text: bytes, data_coding: int, tags: bytes) -> None:
        head = _string("") + b"\0\1" + _string("10690001") + b"\1\1" + _string(number) + b"\0\0\0" + b"\0\0"
        body = head + bytes((0, 0, data_coding, 0, len(text))) + text + b"\0" + tags
        assert await self.ask(0x04, body)

    async def close(self) -> None:
        await self.ask(0x06, b"")
        self._writer.close()
        await self._writer.wait_closed()
