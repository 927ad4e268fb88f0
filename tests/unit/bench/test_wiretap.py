from __future__ import annotations

import asyncio
import struct
import time

import pytest

from smsgw.bench.wiretap import WireTap, _Stream


def pdu(command: int, size: int = 40) -> bytes:
    return struct.pack(">II", size, command) + bytes(size - 8)


@pytest.mark.parametrize("piece", [1, 3, 7, 40, 1000])
def test_submits_are_found_however_the_octets_are_cut(piece: int) -> None:
    octets = pdu(1) + pdu(4) + pdu(8, 12) + pdu(4, 199) + pdu(0x80000004) + pdu(4)
    number = 0xFFFFFFF0  # it goes round in between
    stream = _Stream(number)
    found = 0
    for at in range(0, len(octets), piece):
        found += stream.submits((number + at) & 0xFFFFFFFF, octets[at : at + piece])
    assert found == 3


def test_what_comes_twice_counts_once_and_what_is_missed_is_told() -> None:
    stream = _Stream(100)
    assert (stream.submits(100, pdu(4)), stream.submits(100, pdu(4))) == (1, 0)
    assert stream.submits(120, pdu(4)[20:] + pdu(4)) == 1
    with pytest.raises(ValueError, match="missed"):
        stream.submits(500, pdu(4))


@pytest.mark.root_only
async def test_the_kernel_says_when_submits_were_sent() -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            pass
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    tap = WireTap([port, 1])
    assert tap.open()
    try:
        before = time.time()
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(10):
            writer.write(pdu(1) + pdu(4) + pdu(4))
            await writer.drain()
        writer.close()
        await writer.wait_closed()
    finally:
        tap.close()
        server.close()
        await server.wait_closed()
    assert not tap.failed
    assert len(tap.times[port]) == 20
    assert not tap.times[1]
    assert list(tap.times[port]) == sorted(tap.times[port])
    assert before - 0.1 < tap.times[port][0] <= tap.times[port][-1] <= time.time() + 0.1
