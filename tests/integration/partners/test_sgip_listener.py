"""The listener for SGIP gateways: who gets in, who is sent away, and whose the connection becomes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from smsgw.channels import profiles
from smsgw.channels.wire.listener import Listeners, ListenerTaken, SgipListener
from smsgw.core.guessing import Guesses
from smsgw.core.model import ChannelSpec
from smsgw.net.connection import Connection
from smsgw.protocols.dialects import SGIP12
from smsgw.protocols.events import Closed, Event, Request
from smsgw.protocols.sgip import rules
from smsgw.protocols.sgip.pdus import Bind, BindResp, Report, ReportResp, Submit, SubmitResp


class Owner:
    """A channel that acknowledges at once."""

    def __init__(self, name: str, listen: str = "127.0.0.1:0", **profile: Any) -> None:
        self.spec = ChannelSpec(1, name, "sgip12", "h", 1, f"login-{name}", f"secret-{name}")
        self.profile = profiles.parse({"node": 3010012345, "sgip_listen": listen, **profile}, "sgip12")
        self.numbering = rules.Numbering(3010012345, lambda: 1124163000)
        self.links: list[Connection] = []
        self.reports: list[Any] = []
        self.refuse_with = 0
        self.closed = asyncio.Event()

    def take_over(self, link: Connection) -> int:
        if not self.refuse_with:
            self.links.append(link)
        return self.refuse_with

    def on_connected(self, link: Connection) -> None:
        raise AssertionError("it was connected before")

    def on_writable(self, link: Connection) -> None:
        pass

    def on_events(self, link: Connection, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Request):
                self.reports.append(event.pdu)
                link.session.answer(event)
            elif isinstance(event, Closed):
                self.closed.set()


class Gateway:
    """Raw octets, as a gateway sends them."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, pdu: Any) -> Any:
        self.writer.write(SGIP12.encode(pdu))
        return await self.hear()

    async def hear(self) -> Any:
        async with asyncio.timeout(30):
            head = await self.reader.readexactly(4)
            return SGIP12.decode(head + await self.reader.readexactly(int.from_bytes(head, "big") - 4))

    async def gone(self) -> bool:
        async with asyncio.timeout(30):
            return await self.reader.read() == b""


@asynccontextmanager
async def gateway(listener: SgipListener) -> AsyncIterator[Gateway]:
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    try:
        yield Gateway(reader, writer)
    finally:
        writer.close()


@asynccontextmanager
async def listening(*owners: Owner) -> AsyncIterator[SgipListener]:
    listeners = Listeners(Guesses())
    opened = {await listeners.join(owner) for owner in owners}
    (listener,) = opened
    try:
        yield listener
    finally:
        for owner in owners:
            for link in owner.links:
                link.abort("end of test")
            await listeners.leave(owner)
        assert listener.port == 0


def bind(name: str, password: str = "", login_type: int = rules.SMG_TO_SP) -> Bind:
    password = password or f"secret-{name.removeprefix('login-')}"
    return Bind(sequence=(110020, 1, 1), login_type=login_type, login_name=name, login_password=password)


async def test_one_listener_for_two_channels_told_apart_by_the_login() -> None:
    a, b = Owner("a"), Owner("b", peer_username="smg", peer_password="other")
    async with listening(a, b) as listener, gateway(listener) as one, gateway(listener) as two:
        assert await one.ask(bind("login-a")) == BindResp(sequence=(110020, 1, 1))
        assert (await two.ask(bind("smg", "other"))).result == 0
        for n, smg in ((1, one), (2, two)):
            pdu = Report(sequence=(110020, 1, n), user_number="8613800138000")
            assert await smg.ask(pdu) == ReportResp(sequence=(110020, 1, n))
        assert [r.sequence[2] for r in a.reports] == [1]
        assert [r.sequence[2] for r in b.reports] == [2]
        # a listener is no place to submit to
        answer = await one.ask(Submit(sequence=(1, 2, 3), user_number=("1",)))
        assert (type(answer), answer.result) == (SubmitResp, rules.LOGIN_TYPE)


@pytest.mark.parametrize(
    ("login", "result"),
    [
        (bind("login-a", "wrong"), rules.ILLEGAL_LOGIN), (bind("nobody", "secret-a"), rules.ILLEGAL_LOGIN),
        (bind("login-a", login_type=rules.SP_TO_SMG), rules.LOGIN_TYPE),
        (bind("login-far"), rules.ADDRESS_NOT_ADMITTED), (bind("login-full"), rules.TOO_MANY_CONNECTIONS),
    ],
)  # fmt: skip
async def test_who_is_sent_away(login: Bind, result: int) -> None:
    full = Owner("full")
    full.refuse_with = rules.TOO_MANY_CONNECTIONS
    owners = (Owner("a"), Owner("far", peer_addresses="192.0.2.0/24, 2001:db8::1"), full)
    async with listening(*owners) as listener, gateway(listener) as smg:
        assert (await smg.ask(login)).result == result
        assert await smg.gone()
    assert not any(owner.links for owner in owners)


async def test_admitted_by_its_network() -> None:
    owner = Owner("a", peer_addresses="192.0.2.1,127.0.0.0/8")
    async with listening(owner) as listener, gateway(listener) as smg:
        assert (await smg.ask(bind("login-a"))).result == 0
        assert owner.links[0].peer == "127.0.0.1"
    async with asyncio.timeout(30):
        await owner.closed.wait()


async def test_foreign_traffic_ends_without_an_answer() -> None:
    async with listening(Owner("a")) as listener, gateway(listener) as smg:
        smg.writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await smg.gone()


async def test_one_gateway_login_cannot_belong_to_two_channels() -> None:
    a, b = Owner("a"), Owner("b", peer_username="login-a")
    listeners = Listeners(Guesses())
    await listeners.join(a)
    with pytest.raises(ListenerTaken, match="belongs to channel a"):
        await listeners.join(b)
    await listeners.leave(b)
    await listeners.leave(a)
    await listeners.join(b)
    await listeners.leave(b)


async def test_an_address_that_is_taken_is_an_error() -> None:
    a = Owner("a")
    async with listening(a) as listener:
        with pytest.raises(OSError, match="in use"):
            await Listeners(Guesses()).join(Owner("b", listen=f"127.0.0.1:{listener.port}"))


async def test_who_only_holds_places_does_not_keep_a_gateway_out() -> None:
    async with listening(Owner("a")) as listener, AsyncExitStack() as stack:
        for n in range(200):
            address = f"127.0.{5 + n // 100}.{1 + n % 100}"
            _, writer = await asyncio.open_connection("127.0.0.1", listener.port, local_addr=(address, 0))
            stack.callback(writer.close)
        async with gateway(listener) as smg:
            assert (await smg.ask(bind("login-a"))).result == 0


async def test_who_guesses_is_slowed_down_and_a_gateway_may_come_as_often_as_it_likes() -> None:
    async with listening(Owner("a")) as listener:
        results = []
        for n in range(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, local_addr=("127.0.5.1", 0))
            results.append((await Gateway(reader, writer).ask(bind("login-a", f"guess{n}"))).result)
            writer.close()
        assert results == [rules.ILLEGAL_LOGIN] * 5 + [rules.NODE_BUSY] * 15
        for _ in range(60):
            async with gateway(listener) as smg:
                assert (await smg.ask(bind("login-a"))).result == 0
