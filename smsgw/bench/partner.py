"""The load of a partner: submits over SMPP or CMPP binds with full windows, their reports taken over the same binds."""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Callable
from typing import Protocol

from smsgw.bench.load import Load, Observed, message_of
from smsgw.channels.wire.login import china_timestamp
from smsgw.net.connection import Connection
from smsgw.protocols.cmpp import codes as cmpp_codes, pdus as cmpp, reports as cmpp_reports, rules as cmpp_rules
from smsgw.protocols.events import Answer, Bound, Closed, Event, Expired, Refused, Request
from smsgw.protocols.pdu import Pdu
from smsgw.protocols.rules import Rules
from smsgw.protocols.session import Session, SessionConfig
from smsgw.protocols.smpp import codes, pdus, rules

PACE = 0.002
"""Seconds between two looks at what is due in a paced run."""
DELIVERED = "DELIVRD"
UCS2 = 8


class Speech(Protocol):
    """What the load says and hears by a protocol."""

    name: str

    def rules(self, user: str, password: str) -> Rules:
        """Of a client."""

    def refusal(self, status: int) -> str:
        """A login's, in words."""

    def submit(self, number: str, text: str) -> Pdu:
        """A message, reports wanted."""

    def message_id(self, answer: Pdu) -> int:
        """That a submit was given, as reports will cite it."""

    def report(self, pdu: Pdu) -> tuple[int, str]:
        """The message id in a report, and what became of the message."""


class Smpp:
    """SMPP 3.4: submit_sm, receipts by deliver_sm."""

    name = "SMPP"

    def rules(self, user: str, password: str) -> Rules:
        """As ``Speech``."""
        return rules.client(user, password)

    def refusal(self, status: int) -> str:
        """As ``Speech``."""
        return codes.status(status).name

    def submit(self, number: str, text: str) -> Pdu:
        """As ``Speech``."""
        return pdus.SubmitSm(
            dest_addr_ton=1,
            destination_addr=f"86{number}",
            registered_delivery=1,
            data_coding=UCS2,
            short_message=text.encode("utf-16-be"),
        )

    def message_id(self, answer: Pdu) -> int:
        """As ``Speech``."""
        return int(getattr(answer, "message_id", "0"))

    def report(self, pdu: Pdu) -> tuple[int, str]:
        """As ``Speech``."""
        words: bytes = getattr(pdu, "short_message", b"")
        delivered = f" stat:{DELIVERED} ".encode() in words
        return int(words.partition(b" ")[0].removeprefix(b"id:")), DELIVERED if delivered else "failed"


class Cmpp:
    """CMPP 3.0: CMPP_SUBMIT, reports by CMPP_DELIVER."""

    name = "CMPP"

    def rules(self, user: str, password: str) -> Rules:
        """As ``Speech``."""
        return cmpp_rules.client(user, password, timestamp=china_timestamp)

    def refusal(self, status: int) -> str:
        """As ``Speech``."""
        return cmpp_codes.connect_status(status).name

    def submit(self, number: str, text: str) -> Pdu:
        """As ``Speech``."""
        return cmpp.Submit(
            registered_delivery=1, msg_fmt=UCS2, dest_terminal_id=(number,), msg_content=text.encode("utf-16-be")
        )

    def message_id(self, answer: Pdu) -> int:
        """As ``Speech``."""
        return int(getattr(answer, "msg_id", 0))

    def report(self, pdu: Pdu) -> tuple[int, str]:
        """As ``Speech``."""
        told = cmpp_reports.of_deliver(pdu) if isinstance(pdu, cmpp.Deliver) else None
        if told is None:
            raise ValueError(f"{type(pdu).__name__} is no report")
        return told.msg_id, told.stat


SPEECHES: dict[str, Callable[[], Speech]] = {"smpp": Smpp, "cmpp": Cmpp}


class PartnerCustomer:
    """As ``load.Customer``, by a protocol. Message ids are the protocol's."""

    def __init__(
        self,
        host: str,
        port: int,
        user: str,
        password: str,
        load: Load,
        *,
        speech: Speech,
        window: int,
        first_serial: int = 0,
    ) -> None:
        self._address = host, port
        self._login = user, password
        self._load = load
        self.speech = speech
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
        if n >= load.messages or (load.rate and self.start + load.pace.due(n) > time.monotonic()):
            return None
        self._next += 1
        self.seen.posted_at[n] = self.start + load.pace.due(n) if load.rate else time.monotonic()
        return n

    def submit(self, n: int) -> Pdu:
        """The PDU of a message."""
        return self.speech.submit(*message_of(self._load, self._first + n))

    def answered(self, n: int, pdu: Pdu, status: int) -> None:
        """An answer to a submit."""
        seen = self.seen
        if status:  # no progress: where all are refused the run ends
            seen.refusals[status] += 1
            self._again.append(n)
            return
        now = self._progress = time.monotonic()
        seen.accept_seconds.append(now - seen.posted_at[n])
        seen.accepted_at.append(now)
        seen.accepted_size.append(1)
        seen.ids[self.speech.message_id(pdu)] = n
        seen.accepted += 1
        seen.last_accept = now

    def told(self, pdu: Pdu) -> None:
        """A report."""
        seen = self.seen
        message_id, stat = self.speech.report(pdu)
        now = self._progress = seen.last_pull = time.monotonic()
        if message_id in seen.pulled:
            seen.pulled_again += 1
            return
        seen.pulled[message_id] = now
        seen.statuses["delivered" if stat == DELIVERED else "failed"] += 1


class _Bind:
    """One connection."""

    def __init__(self, customer: PartnerCustomer, user: str, password: str, window: int) -> None:
        session = Session(customer.speech.rules(user, password), config=SessionConfig(window=window))
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
                    self.bound.set_exception(OSError(f"bind: {self._customer.speech.refusal(status)}"))
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
