"""The load of a partner: submits over SMPP binds with full windows, their receipts taken over the same binds."""

from __future__ import annotations

import asyncio
import time
from array import array

from smsgw.bench.load import Load, Observed, message_of
from smsgw.net.connection import Connection
from smsgw.protocols.events import Answer, Bound, Closed, Event, Expired, Refused, Request
from smsgw.protocols.session import Session, SessionConfig
from smsgw.protocols.smpp import codes, pdus, rules

PACE = 0.002
"""Seconds between two looks at what is due in a paced run."""


class PartnerCustomer:
    """As ``load.Customer``, by SMPP."""

    def __init__(
        self,
        host: str,
        port: int,
        user: str,
        password: str,
        load: Load,
        *,
        window: int,
        first_serial: int = 0,
    ) -> None:
        self._address = host, port
        self._login = user, password
        self._load = load
        self._window = window
        self._first = first_serial
        self._next = 0
        self._again: list[int] = []
        self.seen = Observed(array("d", bytes(8 * load.messages)))
        self._progress = time.monotonic()
        self.start = 0.0

    async def run(self) -> Observed:
        """Submit everything and wait for every receipt. Raises ``TimeoutError``, and ``OSError`` for a lost bind."""
        loop = asyncio.get_running_loop()
        binds = [_Bind(self, *self._login, self._window) for _ in range(self._load.connections)]
        try:
            for bind in binds:
                await loop.create_connection(lambda bind=bind: bind.link, *self._address)  # type: ignore[misc]
            async with asyncio.timeout(30):
                await asyncio.gather(*(bind.bound for bind in binds))
            self._progress = self.start = self.seen.first_post = time.monotonic()
            seen = self.seen
            while seen.accepted < self._load.messages or len(seen.pulled) < seen.accepted:
                for bind in binds:
                    bind.pump()
                if any(bind.lost for bind in binds):
                    raise OSError("a bind was lost")
                if time.monotonic() - self._progress > self._load.patience:
                    raise TimeoutError(
                        f"no progress for {self._load.patience:.0f} s: {seen.accepted} accepted, "
                        f"{len(seen.pulled)} receipts"
                    )
                await asyncio.sleep(PACE)
            return seen
        finally:
            for bind in binds:
                bind.link.close("done")
            await asyncio.wait([bind.link.closed for bind in binds], timeout=10)

    def take(self) -> int | None:
        """The next message to submit; None when nothing is due."""
        if self._again:
            return self._again.pop()
        n, load = self._next, self._load
        if n >= load.messages or (load.rate and self.start + n / load.rate > time.monotonic()):
            return None
        self._next += 1
        self.seen.posted_at[n] = self.start + n / load.rate if load.rate else time.monotonic()
        return n

    def submit(self, n: int) -> pdus.SubmitSm:
        """The PDU of a message."""
        number, text = message_of(self._load, self._first + n)
        return pdus.SubmitSm(
            dest_addr_ton=1,
            destination_addr=f"86{number}",
            registered_delivery=1,
            data_coding=8,
            short_message=text.encode("utf-16-be"),
        )

    def answered(self, n: int, pdu: object, status: int) -> None:
        """An answer to a submit."""
        seen = self.seen
        now = self._progress = time.monotonic()
        if status:
            seen.refusals[status] += 1
            self._again.append(n)
            return
        seen.accept_seconds.append(now - seen.posted_at[n])
        seen.ids[int(getattr(pdu, "message_id", "0"))] = n
        seen.accepted += 1
        seen.last_accept = now

    def told(self, pdu: object) -> None:
        """A receipt."""
        seen = self.seen
        words = getattr(pdu, "short_message", b"")
        message_id = int(words.partition(b" ")[0].removeprefix(b"id:"))
        now = self._progress = seen.last_pull = time.monotonic()
        if message_id in seen.pulled:
            seen.pulled_again += 1
            return
        seen.pulled[message_id] = now
        seen.statuses["delivered" if b" stat:DELIVRD " in words else "failed"] += 1


class _Bind:
    """One connection."""

    def __init__(self, customer: PartnerCustomer, user: str, password: str, window: int) -> None:
        session = Session(rules.client(user, password), config=SessionConfig(window=window))
        self.link = Connection(session, self, "bench")
        self.bound: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.lost = False
        self._customer = customer

    def on_connected(self, link: Connection) -> None:
        """As ``link.Owner``."""

    def on_writable(self, link: Connection) -> None:
        """As ``link.Owner``."""
        self.pump()

    def on_events(self, link: Connection, events: list[Event]) -> None:
        """Answers make room for submits; receipts are answered."""
        for event in events:
            match event:
                case Answer(tag=int() as n, pdu=pdu, status=status):
                    self._customer.answered(n, pdu, status)
                case Request(pdu=pdu):
                    link.session.answer(event)
                    self._customer.told(pdu)
                case Bound():
                    self.bound.set_result(None)
                case Refused(status=status):
                    self.bound.set_exception(OSError(f"bind: {codes.status(status).name}"))
                case Expired() | Closed():
                    self.lost = True
                case _:
                    pass
        self.pump()

    def pump(self) -> None:
        """Fill the window."""
        session = self.link.session
        if not self._customer.start or not self.link.writable:
            return
        now = asyncio.get_running_loop().time()
        wrote = False
        while session.window_free and (n := self._customer.take()) is not None:
            session.request(self._customer.submit(n), now, n)
            wrote = True
        if wrote:
            self.link.flush_soon()
