"""Connections that have not logged in: there are only so many, and they cannot lock out who comes to log in."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from smsgw.core.guard import Rate
from smsgw.net.connection import Connection
from smsgw.partners.listener import MAX_STRANGERS, MAX_STRANGERS_OF_ONE, STRANGER, Listener
from smsgw.partners.smpp import SmppServer
from smsgw.protocols.dialects import SMPP34
from smsgw.protocols.events import LoginRequest
from smsgw.protocols.smpp import pdus
from smsgw.runtime import tarpit
from smsgw.runtime.tarpit import Tarpit

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class House:
    """A listener that lets everybody in, and connections to it."""

    def __init__(self) -> None:
        self.listener = Listener(SmppServer(), "127.0.0.1:0", (), self._login, shared=False)
        self.port = 0
        self._writers: list[asyncio.StreamWriter] = []

    def _login(self, link: Connection, event: LoginRequest) -> None:
        link.session.admit(event, now=0.0)
        self.listener.dismiss(link)

    async def knock(self, ip: str) -> Streams:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(ip, 0))
        self._writers.append(writer)
        return reader, writer

    async def strangers(self, n: int) -> None:
        async with asyncio.timeout(10):
            while self.listener.strangers != n:  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    async def close(self) -> None:
        await self.listener.close()
        for writer in self._writers:
            writer.transport.abort()


def bind(sequence: int) -> bytes:
    return SMPP34.encode(pdus.BindTransmitter(sequence=sequence, system_id="shop", password="x"))


async def closed(reader: asyncio.StreamReader, *, unanswered: bool = True) -> None:
    with contextlib.suppress(ConnectionResetError):
        said = await asyncio.wait_for(reader.read(), 10)
        assert not (said and unanswered)


async def frame(reader: asyncio.StreamReader) -> bytes:
    size = await reader.readexactly(4)
    return size + await reader.readexactly(int.from_bytes(size, "big") - 4)


@pytest_asyncio.fixture
async def house() -> AsyncIterator[House]:
    made = House()
    await made.listener.open()
    made.port = int(made.listener.url.rpartition(":")[2])
    yield made
    await made.close()


async def test_who_only_holds_a_place_loses_it_to_who_logs_in(house: House) -> None:
    first, *_ = [await house.knock(f"127.0.5.{1 + n % 8}") for n in range(MAX_STRANGERS)]
    await house.strangers(MAX_STRANGERS)
    reader, writer = await house.knock("127.0.6.1")
    await closed(first[0])  # the oldest makes room
    await house.strangers(MAX_STRANGERS)
    writer.write(bind(1))
    answer = SMPP34.decode(await asyncio.wait_for(reader.read(1000), 10))
    assert (type(answer), answer.command_status) == (pdus.BindTransmitterResp, 0)
    await house.strangers(MAX_STRANGERS - 1)


async def test_one_address_has_only_so_many_and_a_closed_listener_says_so(house: House) -> None:
    for _ in range(MAX_STRANGERS_OF_ONE):
        await house.knock("127.0.5.1")
    await house.strangers(MAX_STRANGERS_OF_ONE)
    reader, _ = await house.knock("127.0.5.1")
    await closed(reader)
    await house.knock("127.0.5.2")
    await house.strangers(MAX_STRANGERS_OF_ONE + 1)
    assert house.listener.listening
    await house.listener.close()
    assert not house.listener.listening
    assert not Listener(SmppServer(), "127.0.0.1:0", (), house._login, shared=False).listening


async def test_who_has_not_logged_in_may_not_be_wrong_as_often_as_a_partner(house: House) -> None:
    reader, writer = await house.knock("127.0.5.1")
    writer.write(b"\0\0\0\x10" * 4000)  # a thousand PDUs of a command that there is not
    await closed(reader, unanswered=False)
    assert house.listener.violations["unknown-command"] == STRANGER.max_violations_per_minute + 1
    reader, writer = await house.knock("127.0.5.1")
    early = SMPP34.encode(pdus.EnquireLink(sequence=1))
    writer.write(early * 3 + bind(4))
    async with asyncio.timeout(10):
        answers = [await frame(reader) for _ in range(4)]
    answer = SMPP34.decode(answers[-1])
    assert (type(answer), answer.command_status) == (pdus.BindTransmitterResp, 0), "a few are nobody's end"


async def test_repeated_rubbish_ends_the_connection_later(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tarpit, "FREE", Rate(2, 0.001))
    house.listener.tarpit = Tarpit()
    readers: list[asyncio.StreamReader] = []
    for _ in range(4):
        reader, writer = await house.knock("127.0.5.1")
        writer.write(b"\xff" * 64)
        readers.append(reader)
    for reader in readers[:2]:
        await closed(reader, unanswered=False)
    async with asyncio.timeout(5):
        while house.listener.tarpit.held != 2:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    reader, writer = await house.knock("127.0.5.1")
    writer.write(bind(1))
    assert type(SMPP34.decode(await asyncio.wait_for(frame(reader), 30))) is pdus.BindTransmitterResp
    assert house.listener.tarpit.held == 2, "who is right does not wait"
    for reader in readers[2:]:
        await closed(reader, unanswered=False)
    await house.strangers(0)
