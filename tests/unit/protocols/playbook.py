"""A language for session tests: a playbook reads like a trace of the wire.

`<<` is what happens to the session, `>>` is what must come out of it, in order:

    Playbook(session) << start() >> sends(Connect) << hears(ConnectResp(sequence=1)) >> Bound

What a playbook does not name must not happen: before every `<<` and at the end all events and all octets must have
been accounted for. A mismatch shows the whole trace.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from smsgw.protocols.cmpp import pdus as cmpp_pdus, rules as cmpp
from smsgw.protocols.dialects import Dialect
from smsgw.protocols.events import Event, LoginRequest
from smsgw.protocols.pdu import Pdu
from smsgw.protocols.session import Session
from smsgw.protocols.sgip import pdus as sgip_pdus, rules as sgip
from smsgw.protocols.smgp import pdus as smgp_pdus, rules as smgp


@dataclass(frozen=True)
class Step:
    """Something that happens to the session."""

    name: str
    run: Callable[[Playbook], list[Event] | None]


@dataclass(frozen=True)
class Sends:
    """The session must have written this PDU; `fields` are compared where given."""

    kind: type[Pdu]
    fields: dict[str, Any]


@dataclass(frozen=True)
class Sees:
    """The session must have given this event; `fields` are compared where given."""

    kind: type[Any]
    fields: dict[str, Any]


def start() -> Step:
    return Step("start", lambda book: book.session.start(book.now))


def hears(*pdus: Pdu | bytes, dialect: Dialect | None = None) -> Step:
    """The peer sends PDUs, or octets, in one read."""

    def run(book: Playbook) -> list[Event]:
        layout = dialect or book.session.dialect
        data = b"".join(pdu if isinstance(pdu, bytes) else layout.encode(pdu) for pdu in pdus)
        return book.session.receive(data, book.now)

    names = ", ".join(pdu.hex() if isinstance(pdu, bytes) else repr(pdu) for pdu in pdus)
    return Step(f"hears {names}", run)


def asks(pdu: Pdu, tag: object) -> Step:
    """The owner sends a request."""

    def run(book: Playbook) -> None:
        book.session.request(pdu, book.now, tag)

    return Step(f"asks {pdu!r} tag {tag}", run)


def replies(**fields: Any) -> Step:
    """The owner answers the oldest request that the playbook has seen and not answered."""

    def run(book: Playbook) -> None:
        book.session.answer(book.requests.pop(0), **fields)

    return Step(f"replies {fields}", run)


def admits(**details: Any) -> Step:
    def run(book: Playbook) -> None:
        assert book.session.admit(book.login, now=book.now, **details)

    return Step("admits", run)


def refuses(status: int) -> Step:
    def run(book: Playbook) -> None:
        assert book.session.refuse(book.login, status, now=book.now)

    return Step(f"refuses {status}", run)


def after(seconds: float) -> Step:
    """Time passes; the session is ticked at every deadline on the way, as a shell would."""

    def run(book: Playbook) -> list[Event]:
        until = book.now + seconds
        events: list[Event] = []
        for _ in range(1000):
            due = book.session.deadline()
            if due is None or due > until:
                break
            book.now = max(book.now, due)
            events += book.session.tick(book.now)
        else:
            raise AssertionError("the deadline does not move")
        book.now = until
        return events + book.session.tick(until)

    return Step(f"after {seconds} s", run)


def closes() -> Step:
    return Step("closes", lambda book: book.session.close(book.now))


def loses_transport(why: str = "gone") -> Step:
    return Step("loses transport", lambda book: book.session.closed(why, book.now))


def sends(kind: type[Pdu], /, **fields: Any) -> Sends:
    return Sends(kind, fields)


def sees(kind: type[Any], /, **fields: Any) -> Sees:
    return Sees(kind, fields)


def reads(pdu: Pdu, dialect: Dialect) -> Pdu:
    """What the other side makes of a PDU."""
    return dialect.decode(dialect.encode(pdu))


def decide(session: Session, login: LoginRequest, secret: str, now: float) -> None:
    """The owner admits who knows the secret, and refuses others."""
    pdu: Any = login.pdu
    known, refusal, details = {
        cmpp_pdus.Connect: (lambda: cmpp.proves(pdu, secret), cmpp.CONNECT_AUTH, {"secret": secret}),
        smgp_pdus.Login: (lambda: smgp.proves(pdu, secret), smgp.AUTHENTICATION, {"secret": secret}),
        sgip_pdus.Bind: (lambda: sgip.proves(pdu, "sp", secret), sgip.ILLEGAL_LOGIN, {}),
    }.get(type(pdu), (lambda: pdu.password == secret, 0x0E, {}))
    if known():
        assert session.admit(login, now=now, **details)
    else:
        assert session.refuse(login, refusal, now=now)


class Playbook:
    """Runs the steps as they are written down and keeps the trace. Events that are due at once come at once."""

    def __init__(self, session: Session, now: float = 1000.0) -> None:
        self.session = session
        self.now = now
        self.trace: list[str] = []
        self.events: list[Event] = []
        self.written: list[Pdu] = []
        self.requests: list[Any] = []
        self.login: Any = None
        self._framer = session.dialect.framer()

    def __lshift__(self, step: Step) -> Playbook:
        self.done()
        self.trace.append(f"<< {step.name}")
        self.events += step.run(self) or []
        due = self.session.deadline()
        if due is not None and due <= self.now:
            self.events += self.session.tick(self.now)
        self.written += [self.session.dialect.decode(frame) for frame in self._framer.feed(self.session.output())]
        return self

    def __rshift__(self, expected: Sends | Sees | type[Any]) -> Playbook:
        wanted = expected if isinstance(expected, Sends | Sees) else Sees(expected, {})
        source: list[Any] = self.written if isinstance(wanted, Sends) else self.events
        if not source:
            self._fail(f"wanted {wanted}, but nothing more came")
        found = source.pop(0)
        self.trace.append(f">> {found!r}")
        if type(found) is not wanted.kind:
            self._fail(f"wanted {wanted}, got {found!r}")
        for name, value in wanted.fields.items():
            if getattr(found, name) != value:
                self._fail(f"wanted {name} = {value!r}, got {getattr(found, name)!r}")
        name = type(found).__name__
        if name == "Request":
            self.requests.append(found)
        elif name == "LoginRequest":
            self.login = found
        return self

    def done(self) -> None:
        """Nothing may be left over."""
        if self.events or self.written:
            self._fail(f"not expected: {self.events} {self.written}")

    def _fail(self, why: str) -> None:
        raise AssertionError("\n".join([*self.trace, why]))
