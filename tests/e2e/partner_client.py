"""A partner for tests: logs in to our own servers by SMPP or CMPP, and keeps what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
from harness import PATIENCE, Site, free_port, site, until

from smsgw.core import udh
from smsgw.net.connection import Connection
from smsgw.protocols.cmpp import pdus as cmpp, reports as cmpp_reports, rules as cmpp_rules
from smsgw.protocols.events import Answer, Bound, Closed, Event, Refused, Request, Violation
from smsgw.protocols.pdu import Pdu
from smsgw.protocols.session import NotBound, Session, SessionConfig
from smsgw.protocols.smpp import pdus as smpp, reports as smpp_reports, rules as smpp_rules, tlvs

PASSWORD = "secret12"


class PartnerClient:
    """One connection. ``answer_with`` decides the status of its answers to deliveries; None: no answer."""

    def __init__(self, rules: Any, *, window: int = 1000, keepalive: float | None = None) -> None:
        self.session = Session(rules, config=SessionConfig(window=window, keepalive_interval=keepalive))
        self.link = Connection(self.session, self, "partner")
        self.bound: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """Done with the login's status."""
        self.delivered: list[Pdu] = []
        self.answer_with: Callable[[Pdu], int | None] = lambda _: 0
        self.strays: list[str] = []
        """Answers to what was sent ``again``."""
        self.over = False

    @classmethod
    async def connect(cls, port: int, rules: Any, *, ssl: Any = None, **how: Any) -> PartnerClient:
        client = cls(rules, **how)
        loop = asyncio.get_running_loop()
        await loop.create_connection(
            lambda: client.link, "127.0.0.1", port, ssl=ssl, server_hostname="localhost" if ssl else None
        )
        async with asyncio.timeout(PATIENCE):
            await client.bound
        return client

    # --- link.Owner --------------------------------------------------------------------------------------------

    def on_connected(self, link: Connection) -> None:
        pass

    def on_writable(self, link: Connection) -> None:
        pass

    def on_events(self, link: Connection, events: list[Event]) -> None:
        for event in events:
            match event:
                case Bound() | Refused() if not self.bound.done():
                    self.bound.set_result(event.status if isinstance(event, Refused) else 0)
                case Request(pdu=pdu):
                    self.delivered.append(pdu)
                    status = self.answer_with(pdu)
                    if status is not None:
                        link.session.answer(event, status=status)
                case Violation(kind="unknown-answer", detail=detail):
                    self.strays.append(detail)
                case Answer(tag=asyncio.Future() as future) if not future.done():
                    future.set_result(event.pdu)
                case Closed(lost=lost):
                    self.over = True
                    if not self.bound.done():
                        self.bound.set_result(-1)
                    for future in lost:
                        if isinstance(future, asyncio.Future) and not future.done():
                            future.set_exception(ConnectionError("closed"))
                case _:
                    pass

    # --- for tests ---------------------------------------------------------------------------------------------

    def ask(self, pdu: Pdu) -> asyncio.Future[Any]:
        """Send a request; the future is done with its answer."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.session.request(pdu, asyncio.get_running_loop().time(), future)
        self.link.flush_soon()
        return future

    def again(self, pdu: Pdu) -> None:
        """Send a request of this or another connection once more, under the number that it had."""
        assert self.link._transport is not None
        self.link._transport.write(self.session.dialect.encode(pdu))

    async def call(self, pdu: Pdu, within: float = PATIENCE) -> Any:
        """Send a request and wait for its answer."""
        return await asyncio.wait_for(self.ask(pdu), within)

    async def close(self) -> None:
        """Log out."""
        self.link.close("done")
        await asyncio.wait_for(asyncio.shield(self.link.closed), PATIENCE)

    def abort(self) -> None:
        """Be gone."""
        self.link.abort("gone")

    def receipts(self) -> dict[str, list[str]]:
        """State words of SMPP receipts by message id."""
        found: dict[str, list[str]] = {}
        for pdu in self.delivered:
            if isinstance(pdu, smpp.DeliverSm) and pdu.esm_class & 0x04:
                receipt = smpp_reports.of_deliver(pdu)
                assert receipt is not None
                assert receipt.id is not None
                assert receipt.receipted_message_id in (None, receipt.id)
                found.setdefault(receipt.id, []).append(receipt.state)
        return found

    def reports(self) -> dict[int, list[cmpp_reports.Report]]:
        """CMPP reports by Msg_Id."""
        found: dict[int, list[cmpp_reports.Report]] = {}
        for pdu in self.delivered:
            if isinstance(pdu, cmpp.Deliver) and pdu.registered_delivery:
                report = cmpp_reports.of_deliver(pdu)
                assert report is not None
                found.setdefault(report.msg_id, []).append(report)
        return found

    async def told(self, ids: Any, *, within: float = PATIENCE) -> None:
        """Wait until each of these ids has a receipt or report."""
        wanted = set(ids)
        await until(lambda: wanted <= {*self.receipts(), *self.reports()}, within=within, what=f"reports of {wanted}")

    def stats(self) -> dict[Any, list[str]]:
        """State words of receipts and reports by id."""
        return {**self.receipts(), **{id_: [r.stat for r in found] for id_, found in self.reports().items()}}

    def messages(self) -> list[Any]:
        """What came from phones."""
        return [
            p
            for p in self.delivered
            if (isinstance(p, smpp.DeliverSm) and not p.esm_class & 0x3C)
            or (isinstance(p, cmpp.Deliver) and not p.registered_delivery)
        ]


def smpp_client(user: str = "shop", password: str = PASSWORD, bind: str = "transceiver", **how: Any) -> Any:
    return smpp_rules.client(user, password, bind=bind, **how)


_second = itertools.count()


def _seconds() -> int:
    """Each CONNECT has a second of its own; of the last hours, as nobody's clock is right."""
    at = datetime.now(UTC) + timedelta(hours=8, seconds=-next(_second) % 36_000)
    return int(at.strftime("%m%d%H%M%S"))


def cmpp_client(
    user: str = "900100", password: str = PASSWORD, version: int = 0x30, timestamp: Callable[[], int] = _seconds
) -> Any:
    return cmpp_rules.client(user, password, version, timestamp=timestamp, strict_authenticator=True)


def submit_sm(to: str, text: str, **fields: Any) -> smpp.SubmitSm:
    coding, octets = (0, text.encode("ascii")) if text.isascii() else (8, text.encode("utf-16-be"))
    fields = {
        "source_addr": "10690001", "dest_addr_ton": 1, "dest_addr_npi": 1, "destination_addr": to,
        "registered_delivery": 1, "data_coding": coding, "short_message": octets,
    } | fields  # fmt: skip
    return smpp.SubmitSm(**fields)


def submit(to: str | tuple[str, ...], text: str, **fields: Any) -> cmpp.Submit:
    coding, octets = (0, text.encode("ascii")) if text.isascii() else (8, text.encode("utf-16-be"))
    fields = {
        "src_id": "10690001", "dest_terminal_id": (to,) if isinstance(to, str) else to, "registered_delivery": 1,
        "msg_fmt": coding, "msg_content": octets, "msg_src": "900100",
    } | fields  # fmt: skip
    return cmpp.Submit(**fields)


def in_parts(make: Callable[..., Pdu], to: str, text: str, ref: int, **fields: Any) -> list[Any]:
    """A long text as submits with a header each; ``make`` is ``submit`` or ``submit_sm``."""
    pieces = [text[n : n + 67].encode("utf-16-be") for n in range(0, len(text), 67)]
    headed = [udh.concat8(ref, len(pieces), n) + piece for n, piece in enumerate(pieces, 1)]
    if make is submit:
        return [
            submit(to, "x", tp_udhi=1, pk_total=len(pieces), pk_number=n, msg_fmt=8, msg_content=octets, **fields)
            for n, octets in enumerate(headed, 1)
        ]
    return [make(to, "x", esm_class=0x40, data_coding=8, short_message=octets, **fields) for octets in headed]


def id_of(answer: Any) -> Any:
    """The id in the answer to a submit, which was taken."""
    if isinstance(answer, cmpp.SubmitResp):
        assert answer.result == 0
        return answer.msg_id
    assert answer.command_status == 0
    return answer.message_id


def payload(text: str) -> tuple[Any, ...]:
    from smsgw.protocols.pdu import Tlv

    return (Tlv(tlvs.MESSAGE_PAYLOAD, text.encode("utf-16-be")),)


class PartnerSite:
    """A gateway with servers for partners, and logins for both protocols."""

    def __init__(self, built: Site, smpp_port: int, cmpp_port: int) -> None:
        self.site = built
        self.node = built.node
        self.smpp_port = smpp_port
        self.cmpp_port = cmpp_port

        self._clients: list[PartnerClient] = []

    async def smpp(self, *, port: int = 0, **how: Any) -> PartnerClient:
        """A bound client; ``port``: of another node."""
        return await self.bound(port or self.smpp_port, smpp_client(**how))

    async def cmpp(self, **how: Any) -> PartnerClient:
        """The same by CMPP."""
        return await self.bound(self.cmpp_port, cmpp_client(**how))

    async def bound(self, port: int, rules: Any) -> PartnerClient:
        """A client that has logged in at this port."""
        client = await PartnerClient.connect(port, rules)
        assert client.bound.result() == 0
        self._clients.append(client)
        return client

    def leave(self) -> None:
        """End what a test has left."""
        for client in self._clients:
            client.abort()
        self._clients.clear()

    async def left(self) -> None:
        """All that a test has left log out, so that what they have answered is not told again to others."""
        for client in self._clients:
            if not client.over:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(5):
                        await client.close()
        self.leave()

    async def told(self, ids: Any, *, within: float = PATIENCE) -> Counter[str]:
        """Wait until each of these ids has a receipt or report, over whichever connection; how often each state was
        told (of one that was offered again, once)."""
        wanted = set(ids)

        def stats() -> dict[Any, set[str]]:
            found: dict[Any, set[str]] = {}
            for client in self._clients:
                for id_, words in client.stats().items():
                    found.setdefault(id_, set()).update(words)
            return found

        await until(lambda: wanted <= stats().keys(), within=within, what=f"reports of all {len(wanted)}")
        return Counter(word for id_, words in stats().items() if id_ in wanted for word in words)

    @contextlib.asynccontextmanager
    async def slow_database(self) -> AsyncIterator[None]:
        """No message is entered inside; for less than a writer has patience."""
        connection = await asyncpg.connect(self.node.environment["SMSGW_DATABASE_DSN"], timeout=10)
        try:
            async with connection.transaction():
                await connection.execute("LOCK TABLE message, partner_part IN SHARE MODE")
                yield
        finally:
            await connection.close()

    def texts_to(self, number: str) -> list[str]:
        """All that carriers have taken for a (national) number."""
        messages = [m for c in self.site.carriers.values() for m in c.inbox.messages]
        return [m.text for m in messages if m.destination.removeprefix("86") == number]

    def arrived(self) -> dict[str, str]:
        """National number -> text of all that carriers have taken."""
        return {m.destination: m.text for c in self.site.carriers.values() for m in c.inbox.messages}

    async def binds(self) -> list[dict[str, Any]]:
        return (await self.node.status())["partners"]


@contextlib.asynccontextmanager
async def site_with_servers(data_dir: Any, **how: Any) -> AsyncIterator[PartnerSite]:
    """A site with SMPP and CMPP servers that nobody has a login for: the reports of ``acme`` are pulled."""
    ports = free_port(), free_port()
    how = {"partners_smpp_listen": f"127.0.0.1:{ports[0]}", "partners_cmpp_listen": f"127.0.0.1:{ports[1]}"} | how
    async with site(data_dir, **how) as built:
        yield PartnerSite(built, *ports)


@contextlib.asynccontextmanager
async def partner_site(data_dir: Any, **how: Any) -> AsyncIterator[PartnerSite]:
    """One where ``acme`` has a login for each, and its reports come there."""
    async with site_with_servers(data_dir, **how) as here:
        add = ("partner", "add", "acme", "--password", PASSWORD)
        await asyncio.gather(
            here.node.furnish(*add, "--protocol", "smpp", "--user", "shop"),
            here.node.furnish(*add, "--protocol", "cmpp", "--user", "900100"),
        )
        yield here


@contextlib.asynccontextmanager
async def module_site(postgres: Any, folder: Any, database: str, **how: Any) -> AsyncIterator[PartnerSite]:
    """One that all tests of a module share, over a database of that name."""
    dsn = await postgres.make(database, postgres.template)
    async with partner_site(folder / "node", dsn=dsn, **how) as built:
        yield built
    await postgres.drop(database)


class Sender:
    """Sends by SMPP as long as it is let, over as many connections as that takes, and notes what was answered."""

    def __init__(self, port: int, serial: int = 0) -> None:
        self.port = port
        self.serial = serial
        self.clients: list[PartnerClient] = []
        self.answered: dict[str, str] = {}
        """Message id -> mark of its text."""
        self.refused: Counter[int] = Counter()
        self._again: list[tuple[Any, str]] = []
        self._stopping = False
        self._done = False

    def _submits(self) -> list[tuple[Any, str]]:
        """New ones, and the parts of long messages that were left without an answer."""
        made, self._again = self._again, []
        for _ in range(0 if self._stopping else 20):
            self.serial += 1
            mark, to = f"#t{self.serial:x}#", f"86138{self.serial:08d}"
            if self.serial % 5:
                made.append((submit_sm(to, f"hello {mark}"), mark))
            else:
                parts = in_parts(submit_sm, to, "长" * 67 + f"完{mark}", self.serial & 0xFF)
                made += [(part, mark) for part in parts]
        return made

    async def finish(self) -> None:
        """Send nothing new; what is half a message is completed."""
        self._stopping = True
        await until(lambda: self._done, what="the last answers")

    async def run(self) -> None:
        while not self._done:
            try:
                client = await PartnerClient.connect(self.port, smpp_client())
            except (OSError, TimeoutError):
                await asyncio.sleep(0.05)
                continue
            if client.bound.result() != 0:
                await asyncio.sleep(0.1)
                continue
            self.clients.append(client)
            while not client.over and not self._done and await self._send(client):
                pass

    async def _send(self, client: PartnerClient) -> bool:
        """Some at once; False: the connection is no good any more."""
        submits = self._submits()
        try:
            futures = [client.ask(pdu) for pdu, _ in submits]
        except NotBound:
            self._again += [(pdu, mark) for pdu, mark in submits if pdu.esm_class]
            return False
        answers = await asyncio.gather(*futures, return_exceptions=True)
        for (pdu, mark), answer in zip(submits, answers, strict=True):
            if not isinstance(answer, BaseException) and not answer.command_status:
                self.answered[answer.message_id] = mark
                continue
            self._again += [(pdu, mark)] if pdu.esm_class else []
            if not isinstance(answer, BaseException):
                self.refused[answer.command_status] += 1
        self._done = self._stopping and not self._again
        return True

    def told(self) -> dict[str, list[str]]:
        """States by message id, over all connections."""
        found: dict[str, list[str]] = {}
        for client in self.clients:
            for id_, states in client.receipts().items():
                found.setdefault(id_, []).extend(states)
        return found

    async def reported(self, received: Callable[[], Counter[str]]) -> None:
        """Nothing that was answered is lost: a carrier has it once, or its receipt says what is wrong."""
        last = await PartnerClient.connect(self.port, smpp_client())
        assert last.bound.result() == 0
        self.clients.append(last)
        try:
            what = "a receipt for all that was answered"
            await until(lambda: self.answered.keys() <= self.told().keys(), within=90, every=0.3, what=what)
        finally:
            for client in self.clients:
                client.abort()
        told, marks = self.told(), received()
        assert not [mark for mark, n in marks.items() if n > 1], "sent twice"
        lost = [(id_, told[id_]) for id_, mark in self.answered.items() if "DELIVRD" in told[id_] and not marks[mark]]
        assert not lost, lost[:5]
