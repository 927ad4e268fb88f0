"""However a network cuts, joins and slows the octets, between partner, gateway and carrier: the outcome is the same."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator
from typing import Any, Self

import pytest
import pytest_asyncio
from harness import dice, until
from partner_client import PartnerSite, cmpp_client, id_of, in_parts, module_site, smpp_client, submit, submit_sm

from smsgw.runtime import aio

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARTNERS = {"cmpp": (cmpp_client, submit, ""), "smpp": (smpp_client, submit_sm, "86")}
HOW = ("octet by octet", "pieces by chance", "all together", "slowly")
READ = 65536


class Way:
    """A way to a server on this machine; ``how`` its octets pass may be changed at any time."""

    def __init__(self, server: int) -> None:
        self._server = server
        self.how = ""
        self.chance = random.Random(0)  # noqa: S311 - chance, not a secret
        self.connections = 0
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port: int = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        await aio.cancel(*self._serving)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._serving.add(aio.spawn(self._serve(reader, writer), name="way"))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, server = await asyncio.open_connection("127.0.0.1", self._server)
        for one in (writer, server):
            one.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await asyncio.gather(self._pass(reader, server), self._pass(back, writer))
        finally:
            writer.close()
            server.close()

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(READ):
                if self.how == "all together":
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(0.1):
                            while more := await source.read(READ):
                                data += more
                while data:
                    some = self.chance.choice((1, 1, 2, 3, 7, 16, 200, 4096))
                    size = {"octet by octet": 1, "pieces by chance": some, "slowly": 64}.get(self.how, READ)
                    piece, data = data[:size], data[size:]
                    await asyncio.sleep(size / 4000 if self.how == "slowly" else 0)  # a turn of the loop for each
                    sink.write(piece)
                    await sink.drain()
            sink.write_eof()


Spoiled = tuple[PartnerSite, dict[str, Way]]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def spoiled(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Spoiled]:
    """A site whose carriers, and whose servers for partners, are behind proxies."""
    async with (
        module_site(postgres, tmp_path_factory.mktemp("slices"), "e2e_slices") as here,
        contextlib.AsyncExitStack() as stack,
    ):
        carriers = here.site.carriers
        servers = {name: carrier.port for name, carrier in carriers.items()}
        servers |= {"cmpp": here.cmpp_port, "smpp": here.smpp_port}
        proxies = {name: await stack.enter_async_context(Way(port)) for name, port in servers.items()}
        await asyncio.gather(
            *(here.node.furnish("channel", "set", name, "--port", str(proxies[name].port)) for name in carriers)
        )
        await until(lambda: all(proxies[name].connections for name in carriers), what="channels moved")
        await here.site.bound()
        yield here, proxies
        here.leave()


@pytest.mark.parametrize("how", HOW)
async def test_the_outcome_is_the_same(spoiled: Spoiled, how: str) -> None:
    here, proxies = spoiled
    for way in proxies.values():
        way.how, way.chance = how, dice()
    sent: dict[str, list[str]] = {}
    for place, (protocol, (rules, make, prefix)) in enumerate(PARTNERS.items()):
        client = await here.bound(proxies[protocol].port, rules())
        pdus = []
        for i in range(8):
            to = f"{('1380', '1330')[i % 2]}{HOW.index(how)}{place}{i:05d}"
            text = f"第{i}条".ljust(1 if i % 3 else 100, "长")
            sent[to] = [text]
            pdus += [make(prefix + to, text)] if i % 3 else in_parts(make, prefix + to, text, ref=i)
        ids = [id_of(answer) for answer in await asyncio.gather(*(client.call(pdu) for pdu in pdus))]
        assert await here.told(ids) == {"DELIVRD": len(ids)}
        assert not any(bind["unanswered"] for bind in await here.binds())
        assert not client.over, "nobody took it for a fault"
        here.leave()
    assert {to: here.texts_to(to) for to in sent} == sent
    assert not any(carrier.inbox.summary()["doubled"] for carrier in here.site.carriers.values())
