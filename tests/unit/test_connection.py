"""Real sockets: what a peer brings too fast stays with it, and comes when there is room."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from smsgw.net.connection import Connection
from smsgw.protocols.dialects import SMPP34
from smsgw.protocols.events import Answer, Closed, Event, LoginRequest, Request, Violation
from smsgw.protocols.session import Session, SessionConfig
from smsgw.protocols.smpp import rules
from smsgw.protocols.smpp.pdus import BindTransceiver, DeliverSm, SubmitSm, SubmitSmResp
from smsgw.runtime import aio

QUIET = SessionConfig(keepalive_interval=None, max_unanswered_in=100)


async def until(condition: Callable[[], Any], within: float = 60.0) -> None:
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


class Side:
    """The owner of one link: keeps what it is told, and answers when it is told to."""

    def __init__(self) -> None:
        self.config = QUIET
        self.at_once = False
        self.link: Connection
        self.requests: list[Request] = []
        self.seen = 0
        self.answers = 0
        self.violations = 0
        self.lost: list[object] = []

    def connected(self) -> Connection:
        self.link = Connection(Session(rules.server(system_id="smsc"), config=self.config), self, "server")
        return self.link

    def on_connected(self, link: Connection) -> None: ...

    def on_writable(self, link: Connection) -> None: ...

    def on_events(self, link: Connection, events: list[Event]) -> None:
        for event in events:
            match event:
                case LoginRequest():
                    link.session.admit(event, now=asyncio.get_running_loop().time())
                case Request():
                    self.seen += 1
                    if self.at_once:
                        link.session.answer(event)
                    else:
                        self.requests.append(event)
                case Answer():
                    self.answers += 1
                case Violation():
                    self.violations += 1
                case Closed(lost=lost):
                    self.lost += lost
                case _:
                    pass

    def answer_all(self) -> None:
        for request in self.requests:
            self.link.session.answer(request)
        self.requests.clear()
        self.link.flush_soon()


class Peer:
    """A side, and a peer without manners: a bare socket."""

    def __init__(self) -> None:
        self.side = Side()
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def connect(self) -> None:
        loop = asyncio.get_running_loop()
        ends = [socket.socket(), socket.socket()]
        for end in ends:  # the kernel is to keep little
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        ends[0].bind(("127.0.0.1", 0))
        self.server = await loop.create_server(self.side.connected, sock=ends[0])
        ends[1].connect(ends[0].getsockname())
        self.reader, self.writer = await asyncio.open_connection(sock=ends[1])
        self.say(BindTransceiver(sequence=1, system_id="esme", interface_version=0x34))
        await self.reader.read(100)

    def say(self, *pdus: Any) -> None:
        self.writer.write(b"".join(SMPP34.encode(pdu) for pdu in pdus))


@pytest_asyncio.fixture
async def peer() -> AsyncIterator[Peer]:
    made = Peer()
    yield made
    made.writer.transport.abort()
    made.side.link.abort("over")
    made.server.close()


def submits(n: int) -> list[SubmitSm]:
    return [SubmitSm(sequence=k, short_message=b"x" * 160) for k in range(2, n + 2)]


async def test_a_flood_stays_with_the_peer_and_comes_bit_by_bit(peer: Peer) -> None:
    await peer.connect()
    side = peer.side
    peer.say(*submits(10_000))  # 2 MB: far more than the kernel keeps for us
    await until(lambda: side.seen == 100)
    await asyncio.sleep(0.1)
    assert side.link.session.owed == side.seen == 100
    assert side.link.session._held_octets < 1024 * 1024
    assert peer.writer.transport.get_write_buffer_size() > 1024 * 1024, "we read on"
    reading = aio.spawn(peer.reader.readexactly(17 * 10_000), name="read")
    while side.seen < 10_000:
        side.answer_all()
        assert side.link.session.owed <= 100
        await asyncio.sleep(0)
    side.answer_all()
    octets = await asyncio.wait_for(reading, 30)
    sequences = [int.from_bytes(octets[n + 12 : n + 16], "big") for n in range(0, len(octets), 17)]
    assert (sequences, set(octets[8::17]), side.violations) == (list(range(2, 10_002)), {0}, 0)


async def test_who_goes_beyond_its_window_cannot_make_us_refuse_for_ever(peer: Peer) -> None:
    peer.side.config = replace(QUIET, max_unanswered_in=10, refuses_beyond=True)
    await peer.connect()
    side = peer.side
    peer.say(*submits(5_000))
    await until(lambda: side.violations == 1)
    await asyncio.sleep(0.1)
    assert (side.seen, side.violations) == (10, 1)
    peer.reader._limit = 1 << 24  # type: ignore[attr-defined]
    refused = 0
    for _ in range(50):
        before = side.seen
        side.answer_all()
        await until(lambda n=before: side.seen > n)
        refused += 1
    assert side.violations <= refused + 1


async def test_who_does_not_read_our_answers_is_cut_off(peer: Peer) -> None:
    peer.side.config = replace(QUIET, max_output=64 * 1024)
    peer.side.at_once = True
    await peer.connect()
    peer.reader._transport.pause_reading()  # type: ignore[attr-defined]
    octets = b"".join(SMPP34.encode(pdu) for pdu in submits(500))
    for _ in range(2000):
        peer.writer.write(octets)
        await asyncio.sleep(0)
        if peer.side.link.closed.done():
            break
    assert await asyncio.wait_for(peer.side.link.closed, 30) == "it does not read what it is sent"


async def test_when_it_is_anothers_turn_nothing_is_written_and_what_was_to_be_is_lost(peer: Peer) -> None:
    await peer.connect()
    link, loop = peer.side.link, asyncio.get_running_loop()
    link.session.request(DeliverSm(), loop.time(), "first")
    link.flush(lambda: True)
    link.session.request(DeliverSm(), loop.time(), "second")
    link.flush(lambda: False)
    assert await asyncio.wait_for(link.closed, 30) == "it is another's turn to write"
    assert peer.side.lost == ["first", "second"]
    with contextlib.suppress(ConnectionResetError):
        said = [SMPP34.decode(frame) for frame in SMPP34.framer().feed(await peer.reader.read(-1))]
        assert sum(isinstance(pdu, DeliverSm) for pdu in said) == 1


async def unread(peer: Peer, messages: int) -> Connection:
    peer.side.config = replace(QUIET, window=messages, close_grace=0.1)
    await peer.connect()
    peer.reader._transport.pause_reading()  # type: ignore[attr-defined]
    link, loop = peer.side.link, asyncio.get_running_loop()
    for n in range(messages):
        link.session.request(DeliverSm(short_message=b"x" * 160), loop.time(), n)
    link.flush()
    return link


async def test_who_does_not_read_cannot_keep_a_connection_open(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smsgw.net.connection.LETS_GO_AFTER", 0.3)
    link = await unread(peer, 5_000)
    await until(lambda: not link.writable)  # else the kernel has taken all of it
    link.close("enough")
    assert await asyncio.wait_for(link.closed, 30) == "enough"
    assert peer.side.lost == list(range(5_000))


async def test_who_reads_slowly_gets_what_was_said_before_the_connection_is_closed(peer: Peer) -> None:
    link = await unread(peer, 1_000)
    link.close("enough")
    await until(lambda: link._transport is None or link._transport.is_closing())
    assert not link.closed.done()
    peer.reader._transport.resume_reading()  # type: ignore[attr-defined]
    said = [SMPP34.decode(frame) for frame in SMPP34.framer().feed(await peer.reader.read(-1))]
    assert sum(isinstance(pdu, DeliverSm) for pdu in said) == 1_000
    assert await asyncio.wait_for(link.closed, 30) == "enough"


async def test_what_is_discarded_never_comes_however_late(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """As at the end of a lease: another node writes by the time that the kernel would have delivered it."""
    monkeypatch.setattr("smsgw.net.connection.LETS_GO_AFTER", 0.3)
    link = await unread(peer, 1_000)
    link.close("enough", discard=True)
    assert await asyncio.wait_for(link.closed, 30) == "enough"
    peer.reader._transport.resume_reading()  # type: ignore[attr-defined]
    with pytest.raises(ConnectionResetError):
        await peer.reader.read(-1)


async def test_the_owner_pauses_and_a_link_that_is_closed_reads_on(peer: Peer) -> None:
    await peer.connect()
    side, loop = peer.side, asyncio.get_running_loop()
    side.link.session.request(DeliverSm(), loop.time(), "a")
    side.link.flush()
    side.link.pause_reading()
    peer.say(SubmitSmResp(sequence=99), *submits(3))
    await asyncio.sleep(0.05)
    assert (side.seen, side.violations) == (0, 0)
    side.link.resume_reading()
    await until(lambda: side.seen == 3)
    side.answer_all()
    side.link.pause_reading()
    side.link.close("enough")
    side.link.pause_reading()  # not any more
    (deliver,) = [p for p in [SMPP34.decode(f) for f in await frames(peer)] if isinstance(p, DeliverSm)]
    peer.say(SMPP34.response_class(DeliverSm())(sequence=deliver.sequence))  # type: ignore[misc]
    await until(lambda: side.answers == 1)


async def frames(peer: Peer) -> list[bytes]:
    return SMPP34.framer().feed(await asyncio.wait_for(peer.reader.read(1 << 16), 30))
