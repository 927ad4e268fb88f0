"""Connections of HTTP and of partners: how many there may be, who makes room, and who waits."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import uvloop
from aiohttp import web
from aiohttp.http_parser import RawRequestMessage
from certificates import HERE, Authority

from smsgw.api.app import runner_options
from smsgw.core.guard import Rate
from smsgw.net.connection import Connection
from smsgw.partners.listener import MAX_STRANGERS, MAX_STRANGERS_OF_ONE, STRANGER, Listener as PartnerListener
from smsgw.partners.smpp import SmppServer
from smsgw.protocols.dialects import SMPP34
from smsgw.protocols.events import LoginRequest
from smsgw.protocols.smpp import pdus
from smsgw.public.app import SHARE
from smsgw.runtime import aio, tarpit
from smsgw.runtime.tarpit import Tarpit
from smsgw.web import listening
from smsgw.web.listening import IDLE_FOR, AtOnce, Connections, Listener, place_of

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Loop = Callable[[], asyncio.AbstractEventLoop]
LOOPS = pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])


class Stage:
    """A listener whose requests are answered when ``go`` is set."""

    def __init__(self, connections: Connections) -> None:
        self.connections = connections
        self.go = asyncio.Event()
        self.go.set()
        self.busy = 0
        self.port = 0
        self.answer = b"good"
        self.runner: web.AppRunner
        self.pairs: list[Pair] = []

    async def handle(self, _: web.Request) -> web.Response:
        self.busy += 1
        await self.go.wait()
        self.busy -= 1
        return web.Response(body=self.answer)

    async def connect(self, octets: bytes = b"", tls: ssl.SSLContext | None = None) -> Pair:
        pair = await asyncio.open_connection("127.0.0.1", self.port, ssl=tls)
        self.pairs.append(pair)
        pair[1].write(octets)
        return pair


@asynccontextmanager
async def stage(
    context: ssl.SSLContext | None = None,
    *,
    at_once: AtOnce | None = None,
    options: Mapping[str, Any] | None = None,
    **limits: Any,
) -> AsyncIterator[Stage]:
    built = Stage(Connections(**limits))
    app = web.Application()
    app.router.add_get("/", built.handle)
    how = runner_options() | {"shutdown_timeout": 1.0} | dict(options or {})
    built.runner = runner = web.AppRunner(app, **how)
    await runner.setup()
    listener = Listener(runner, "127.0.0.1", 0, built.connections, how, context, at_once=at_once)
    await listener.start()
    built.port = listener.addresses[0][1]
    try:
        yield built
    finally:
        built.go.set()
        for _, writer in built.pairs:
            writer.transport.abort()
        await runner.cleanup()


async def until(check: Any) -> None:
    async with asyncio.timeout(60):
        while not check():  # noqa: ASYNC110 - what is awaited has no event
            await asyncio.sleep(0.01)


async def answered(pair: Pair) -> bytes:
    pair[1].write(GET)
    return await asyncio.wait_for(pair[0].readuntil(b"good"), 30)


async def closed(pair: Pair) -> bool:
    try:
        return await asyncio.wait_for(pair[0].read(1), 1.0) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


async def test_the_longest_idle_makes_room() -> None:
    async with stage(most=4) as here:
        first = [await here.connect((b"", b"GE")[n % 2]) for n in range(4)]
        await until(lambda: here.connections.open == 4)
        assert await answered(first[0])
        assert await answered(await here.connect())
        assert await asyncio.gather(*(closed(pair) for pair in first)) in (
            [False, True, False, False], [False, False, True, False], [False, False, False, True]
        ), "the one that was used is not the longest idle"  # fmt: skip
        assert here.connections.open <= 4
        assert here.connections.closed["idle"] == 1


async def test_who_does_not_read_his_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "NOT_READING", 0.3)
    async with stage(most=4) as here:
        here.answer = b"x" * 50_000_000
        lazy = await here.connect(GET)
        lazy[1].transport.pause_reading()  # type: ignore[attr-defined]
        await until(lambda: here.connections.open == 1)
        await until(lambda: here.connections.open == 0)
        monkeypatch.setattr(listening, "NOT_READING", 5.0)
        reading = await here.connect(GET)
        assert len(await asyncio.wait_for(reading[0].readexactly(50_000_000), 30)) == 50_000_000


async def test_repeated_rubbish_is_answered_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tarpit, "FREE", Rate(2, 0.001))
    async with stage(most=160) as here:
        pairs = [await here.connect(b"no request\r\n\r\n") for _ in range(5)]
        for pair in pairs[:2]:
            assert (await asyncio.wait_for(pair[0].readline(), 30)).split()[1] == b"400"
        await until(lambda: here.connections.tarpit.held == 3)
        good = await here.connect()
        assert (await answered(good)).endswith(b"good"), "who is right does not wait"
        assert here.connections.tarpit.held == 3
        for pair in pairs[2:]:
            assert (await asyncio.wait_for(pair[0].readline(), 30)).split()[1] == b"400"


async def test_what_is_busy_is_left_alone_and_who_comes_waits() -> None:
    async with stage(most=3) as here:
        here.go.clear()
        busy = [await here.connect(GET) for _ in range(3)]
        await until(lambda: here.busy == 3)
        late = [await here.connect(GET) for _ in range(5)]
        assert not any(await asyncio.gather(*(closed(pair) for pair in late)))
        assert (here.busy, here.connections.open) == (3, 3)
        here.go.set()
        for pair in (*busy, *late):
            assert await asyncio.wait_for(pair[0].readuntil(b"good"), 30)


async def test_one_address_has_its_share_and_a_trusted_proxy_many() -> None:
    async with stage(most=100, per_address=2) as here:
        here.go.clear()
        await here.connect(GET)
        await here.connect(GET)
        await until(lambda: here.busy == 2)
        assert await closed(await here.connect(GET)), "all of its own are busy"
        assert here.connections.closed["address"] == 1
        here.go.set()
        await until(lambda: here.busy == 0)
        await asyncio.sleep(IDLE_FOR)  # the time is what it is about
        assert await answered(await here.connect()), "its own idle ones make room"
        assert here.connections.open <= 2
    free = [ipaddress.ip_network("127.0.0.0/8")]  # a trusted proxy speaks for many
    async with stage(most=100, per_address=2, free=free) as here:
        for _ in range(10):
            assert await answered(await here.connect())
        assert here.connections.open == 10


@pytest.mark.parametrize("octets", [b"", b"no TLS at all\r\n\r\n"])
async def test_a_greeting_counts_and_is_given_up(octets: bytes) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    async with stage(context, most=100) as here:
        _, writer = await here.connect(octets)
        if not octets:
            await until(lambda: here.connections.open == 1)
            writer.close()
        await until(lambda: here.connections.open == 0)


@pytest.fixture
def tls(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    Authority(tmp_path / "ca.pem").certify(tmp_path / "server.pem", HERE)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(tmp_path / "server.pem")
    return server, ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))


class Mute:
    """A TLS client that has greeted and said a little, and reads no more: it never agrees to the end."""

    def __init__(self, port: int, context: ssl.SSLContext, octets: bytes = b"") -> None:
        self._sock = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._tls = context.wrap_socket(self._sock, server_hostname="127.0.0.1")
        self._tls.sendall(octets)
        self.close = self._tls.close


@asynccontextmanager
async def muted(tls: tuple[ssl.SSLContext, ssl.SSLContext], **limits: int) -> AsyncIterator[tuple[Stage, Any]]:
    mute: list[Mute] = []
    async with stage(tls[0], **limits) as here:

        async def come(n: int, octets: bytes = b"") -> None:
            mute.extend([await asyncio.to_thread(Mute, here.port, tls[1], octets) for _ in range(n)])

        try:
            yield here, come
        finally:
            for one in mute:
                one.close()


async def room_is_made_at_once(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async with muted(tls, most=2) as (here, come):
        await come(2, GET)
        await until(lambda: here.connections.open == 2)
        await asyncio.sleep(IDLE_FOR)  # the time is what it is about
        assert await answered(await here.connect(tls=tls[1]))
        assert here.connections.closed["idle"] == 1, "one place was wanted"
        assert here.connections.open == 2


async def one_address_has_its_share(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async with muted(tls, most=100, per_address=2) as (here, come):
        for _ in range(2):
            await come(2)
            await asyncio.sleep(IDLE_FOR + 0.1)  # the time is what it is about
            assert here.connections.open == 2


async def nobody_waits_long_for_a_goodbye(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """A connection that was closed in good order, by who keeps its own side open."""
    async with muted(tls, most=2) as (here, come):
        await come(1, GET.replace(b"Host", b"Connection: close\r\nHost"))
        await until(lambda: here.connections.open == 0)


@LOOPS
@pytest.mark.parametrize("check", [room_is_made_at_once, one_address_has_its_share, nobody_waits_long_for_a_goodbye])
def test_over_tls(
    loop: Loop, check: Any, tls: tuple[ssl.SSLContext, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "GOODBYE_SECONDS", 0.2)
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(check(tls))


def test_connections_count_by_place_and_have_half_of_the_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    assert place_of("192.0.2.7") == place_of("::ffff:192.0.2.7") == "192.0.2.7"
    assert place_of("2001:db8::1") == place_of("2001:db8::ffff:1") != place_of("2001:db8:0:1::1")
    assert place_of("fe80::1%eth0") == "fe80::/64"
    proxy = Connections(1, 1, [ipaddress.ip_network("2001:db8::1"), ipaddress.ip_network("10.0.0.0/8")])
    found = [proxy._is_free(place_of(one)) for one in ("2001:db8::1", "10.1.2.3", "192.0.2.7")]
    assert found == [True, True, False]
    monkeypatch.setattr(listening.resource, "getrlimit", lambda _: (1024, 4096))
    assert listening.most_connections() == 512
    assert 500 < listening.most_connections(SHARE) + listening.most_connections(1 - SHARE) <= 512


QUICK = b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n"


class Quick:
    """Answers ``/quick…`` at once, or when ``go`` is set, without the application."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.go.set()
        self.asked: list[tuple[str, str, bool]] = []
        self.under_way: list[asyncio.Task[None]] = []
        self.told = 0

    def __call__(self, asked: RawRequestMessage, peer: str, secure: bool, tell: Callable[[bytes], object]) -> bool:
        if not asked.path.startswith("/quick"):
            return False
        self.asked.append((asked.path, peer, secure))
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nquick"
        if self.go.is_set():
            self.told += 1
            tell(answer)
        else:
            self.under_way.append(aio.spawn(self._later(tell, answer), name="later"))
        return True

    async def _later(self, tell: Callable[[bytes], object], answer: bytes) -> None:
        await self.go.wait()
        self.told += 1
        tell(answer)


@asynccontextmanager
async def quick_stage(**options: Any) -> AsyncIterator[tuple[Stage, Quick]]:
    quick = Quick()
    async with stage(at_once=quick, options=options, most=8) as here:
        yield here, quick


async def read_until(pair: Pair, end: bytes) -> bytes:
    return await asyncio.wait_for(pair[0].readuntil(end), 30)


async def test_plain_requests_are_answered_at_once_and_all_others_by_the_application() -> None:
    async with quick_stage() as (here, quick):
        pair = await here.connect(GET)
        assert await read_until(pair, b"good")
        for octets in (QUICK[:9], QUICK[9:]):  # in two pieces
            pair[1].write(octets)
            await pair[1].drain()
            await asyncio.sleep(0.05)
        assert await read_until(pair, b"quick")
        assert quick.asked == [("/quick", "127.0.0.1", False)]
        for rude in (
            QUICK.replace(b"\r\n\r\n", b"\r\nContent-Length: 1\r\n\r\nx"),
            QUICK.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"),
            QUICK.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"),
        ):
            pair[1].write(rude)
            assert await read_until(pair, b"404: Not Found")
        for last in (QUICK.replace(b"/1.1", b"/1.0"), QUICK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")):
            ending = await here.connect(last)
            assert b" 404 " in (await asyncio.wait_for(ending[0].read(), 30)).partition(b"\r\n")[0]
        assert len(quick.asked) == 1


async def test_answers_come_in_the_order_of_their_questions() -> None:
    """Also when the next ones are there before the first is answered."""
    async with quick_stage() as (here, quick):
        pair = await here.connect(QUICK + GET + QUICK)  # together
        for answer in (b"404: Not Found", b"good", b"404: Not Found"):
            assert (await read_until(pair, answer)).count(b"HTTP/1.1") == 1
        assert not quick.asked
        quick.go.clear()
        pair[1].write(QUICK)
        await until(lambda: quick.asked)
        pair[1].write(GET + QUICK)
        await asyncio.sleep(0.1)
        assert here.busy == 0, "the first one is not answered yet"
        quick.go.set()
        assert (await read_until(pair, b"good")).count(b"quick") == 1
        pair[1].write(QUICK)
        assert await read_until(pair, b"quick")


async def test_who_leaves_before_the_answer_leaves_nothing() -> None:
    async with quick_stage() as (here, quick):
        quick.go.clear()
        pair = await here.connect(QUICK)
        await until(lambda: quick.asked)
        before = len(asyncio.all_tasks())
        pair[1].transport.abort()
        await until(lambda: here.connections.open == 0)
        await until(lambda: len(asyncio.all_tasks()) < before)  # the one that waits for requests
        quick.go.set()
        await until(lambda: quick.told)


async def test_a_stop_waits_for_the_answer() -> None:
    async with quick_stage() as (here, quick):
        quick.go.clear()
        waiting, idle = await here.connect(QUICK), await here.connect()
        await until(lambda: quick.asked and here.connections.open == 2)
        stopping = aio.spawn(here.runner.cleanup(), name="stop")
        assert await closed(idle)
        assert not stopping.done()
        quick.go.set()
        assert (await asyncio.wait_for(waiting[0].read(), 30)).endswith(b"quick")
        await asyncio.wait_for(stopping, 30)


async def test_who_is_answered_at_once_may_ask_again_for_a_while() -> None:
    async with quick_stage(keepalive_timeout=1.0) as (here, quick):
        quick.go.clear()
        slow, lively = await here.connect(QUICK), await here.connect(QUICK)
        await until(lambda: len(quick.asked) == 2)
        await asyncio.sleep(1.3)
        quick.go.set()  # longer than anybody may be idle, and nobody was
        assert await read_until(slow, b"quick")
        assert await read_until(lively, b"quick")
        for _ in range(4):
            await asyncio.sleep(0.4)
            lively[1].write(QUICK)
            assert await read_until(lively, b"quick")
        assert await closed(slow)
        assert await asyncio.wait_for(lively[0].read(), 30) == b"", "and then no longer"


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class House:
    """A listener that lets everybody in, and connections to it."""

    def __init__(self) -> None:
        self.listener = PartnerListener(SmppServer(), "127.0.0.1:0", (), self._login, shared=False)
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


async def is_closed(reader: asyncio.StreamReader, *, unanswered: bool = True) -> None:
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
    await is_closed(first[0])  # the oldest makes room
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
    await is_closed(reader)
    await house.knock("127.0.5.2")
    await house.strangers(MAX_STRANGERS_OF_ONE + 1)
    assert house.listener.listening
    await house.listener.close()
    assert not house.listener.listening
    assert not PartnerListener(SmppServer(), "127.0.0.1:0", (), house._login, shared=False).listening


async def test_who_has_not_logged_in_may_not_be_wrong_as_often_as_a_partner(house: House) -> None:
    reader, writer = await house.knock("127.0.5.1")
    writer.write(b"\0\0\0\x10" * 4000)  # a thousand PDUs of a command that there is not
    await is_closed(reader, unanswered=False)
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
        await is_closed(reader, unanswered=False)
    async with asyncio.timeout(5):
        while house.listener.tarpit.held != 2:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    reader, writer = await house.knock("127.0.5.1")
    writer.write(bind(1))
    assert type(SMPP34.decode(await asyncio.wait_for(frame(reader), 30))) is pdus.BindTransmitterResp
    assert house.listener.tarpit.held == 2, "who is right does not wait"
    for reader in readers[2:]:
        await is_closed(reader, unanswered=False)
    await house.strangers(0)
