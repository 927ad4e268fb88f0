"""A plain client on a session: the smallest shell that can be written, to test the simulator through a socket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from smsgw.protocols.cmpp import pdus as cmpp, rules as cmpp_rules
from smsgw.protocols.events import Answer, Bound, CloseNow, Event, Request
from smsgw.protocols.pdu import Pdu
from smsgw.protocols.session import Session, SessionConfig
from smsgw.protocols.smgp import pdus as smgp, rules as smgp_rules
from smsgw.protocols.smpp import pdus as smpp, rules as smpp_rules
from smsgw.runtime.aio import cancel, spawn
from smsgw.simulator import Behaviour, Carrier, CarrierConfig, Delay

USER, PASSWORD = "900001", "secret"
WIDE = SessionConfig(window=1000, response_timeout=30)
Start = Callable[..., Awaitable[Carrier]]


def config(protocol: str, **keys: Any) -> CarrierConfig:
    """Of a carrier; keys of a behaviour go to the behaviour."""
    of_behaviour = {k: keys.pop(k) for k in list(keys) if k in Behaviour.__slots__}
    of_behaviour.setdefault("report_delay", Delay.fixed(0.0))
    return CarrierConfig(protocol=protocol, seed=1, behaviour=Behaviour(**of_behaviour), **keys)


def timestamp() -> int:
    return int(time.strftime("%m%d%H%M%S"))


def cmpp_client(version: int = 0x30, password: str = PASSWORD, user: str = USER) -> Session:
    return Session(cmpp_rules.client(user, password, version, timestamp=timestamp), config=WIDE)


def smpp_client(bind: str = "transceiver", password: str = PASSWORD, user: str = USER) -> Session:
    return Session(smpp_rules.client(user, password, bind=bind), config=WIDE)


def smgp_client() -> Session:
    return Session(smgp_rules.client(USER, PASSWORD, smgp_rules.V30, timestamp=timestamp), config=WIDE)


class Client:
    """Reads everything, keeps every event, and acknowledges what it is sent. It is entered when it is logged in, or,
    if it has to be refused, when it is closed."""

    def __init__(self, session: Session, port: int, *, refused: bool = False) -> None:
        self.session = session
        self.port = port
        self.refused = refused
        self.events: list[Event] = []
        self.acknowledge = True
        self.closed = False
        self.reset = False
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Client:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._task = spawn(self._read(), name="client")
        self.session.start(self._now())
        self.flush()
        await self.until(lambda: self.of(Bound) or self.closed)
        assert bool(self.of(Bound)) is not self.refused, self.events
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await cancel(self._task)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    def flush(self) -> None:
        self._writer.write(self.session.output())

    async def _read(self) -> None:
        try:
            while data := await self._reader.read(65536):
                events = self.session.receive(data, self._now())
                while events:
                    self._digest(events)
                    # What it held back, because too much was unanswered; later deadlines are of no interest here.
                    due = self.session.deadline()
                    events = self.session.tick(self._now()) if due is not None and due < 0 else []
                self.flush()
                self._changed.set()
        except ConnectionError:
            self.reset = True
        finally:
            self.events += self.session.closed("gone", self._now())
            self.closed = True
            self._changed.set()

    def _digest(self, events: list[Event]) -> None:
        for event in events:
            self.events.append(event)
            if isinstance(event, Request) and self.acknowledge:
                self.session.answer(event)
            if isinstance(event, CloseNow):
                self._writer.close()

    async def until(self, condition: Any, within: float = 30.0) -> None:
        async with asyncio.timeout(within):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def log_out(self) -> None:
        """Leave politely, without waiting for answers that are still owed."""
        self.session.close(self._now())
        self.session.tick(self._now() + self.session.config.close_grace)
        self.flush()

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def answers(self) -> list[Answer]:
        return self.of(Answer)

    @property
    def delivered(self) -> list[Any]:
        return [event.pdu for event in self.of(Request)]

    def send(self, *pdus: Pdu) -> None:
        for pdu in pdus:
            self.session.request(pdu, self._now(), pdu)
        self.flush()

    def submit(self, to: str, text: str, *, part: bytes | None = None, **more: Any) -> None:
        """One part in UCS-2: a text, or the octets of a part with its header."""
        octets = text.encode("utf-16-be") if part is None else part
        header = part is not None
        match self.session.dialect.name[:4]:
            case "cmpp":
                fields = {"registered_delivery": 1, "src_id": "10690001", "msg_fmt": 8, "tp_udhi": int(header)} | more
                self.send(cmpp.Submit(dest_terminal_id=(to,), msg_content=octets, **fields))
            case "smgp":
                fields = {"need_report": 1, "src_term_id": "10690001", "msg_format": 8} | more
                self.send(smgp.Submit(dest_term_id=(to,), msg_content=octets, **fields))
            case _:
                esm_class = 0x40 if header else 0
                fields = {"registered_delivery": 1, "source_addr": "10690001", "data_coding": 8} | more
                self.send(smpp.SubmitSm(destination_addr=to, short_message=octets, esm_class=esm_class, **fields))
