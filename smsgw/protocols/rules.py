"""What a session must know about its protocol and side: tables first, a few decisions behind them.

A protocol adds a `rules.py` with its operation matrix, its fault codes, and one subclass of `Rules` per side for
the login. Everything that moves (window, timers, sequence numbers) is in `session.py` and is the same for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from smsgw.protocols.dialects import Dialect
from smsgw.protocols.errors import Malformed
from smsgw.protocols.events import Sequence
from smsgw.protocols.pdu import Pdu
from smsgw.protocols.states import Matrix, Operation, Role, State


@dataclass(frozen=True, slots=True)
class Faults:
    """Statuses that a protocol has for what a peer can do wrong. None: the protocol has no word for it."""

    framing: int | None = None
    """Said in a negative answer before the connection is closed."""
    unknown_command: int | None = None
    """Said in a negative answer; without one the PDU is skipped by its length."""
    wrong_state: int | None = None
    already_bound: int | None = None
    leaving: int | None = None
    """For a client's request that crossed our logout: it must come again, on another connection."""
    structure: int = 0
    """Answers a request whose body does not fit its table."""
    malformed: Mapping[str, int] = field(default_factory=dict)
    """More exact than `structure`, by `Malformed.kind`."""
    closes_before_login: bool = False
    """True: a request before login ends the connection (its layout is not agreed yet, so it cannot be answered)."""
    closes_on_syntax: bool = False
    """True: a body that does not fit its table, or an unknown command, ends the connection (SGIP 3.7.2.4.2)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Client: what a login answer means."""

    accepted: bool
    status: int
    reason: str = ""
    dialect: Dialect | None = None
    """The negotiated layout; None keeps the one asked for."""
    doubts: tuple[tuple[str, str], ...] = ()
    """(kind, detail) of violations that do not stand in the way."""


@dataclass(frozen=True, slots=True)
class Admission:
    """Server: how a login is answered, and in which layout the connection goes on."""

    answer: Pdu
    dialect: Dialect


class Rules:
    """One protocol, one side. Holds no state of a connection: a value may serve many sessions."""

    matrix: ClassVar[Matrix]
    faults: ClassVar[Faults]
    sequences: ClassVar[tuple[int, int]]
    """First and last sequence number; after the last comes the first."""
    nack_command: ClassVar[int | None] = None
    """Command id of the answer that may stand for any other (SMPP generic_nack)."""
    role: ClassVar[Role]
    dialect: Dialect
    """Layout until the login has settled another."""

    def stamp(self, counter: int) -> Sequence:
        """The sequence as it stands on the wire (SGIP puts node and time before the counter)."""
        return counter

    # -- login, client ------------------------------------------------------------------------------------------

    def login(self) -> Pdu:
        """The login request, fresh for each connection."""
        raise LookupError(f"{type(self).__name__} does not log in")

    def login_dialect(self, frame: bytes) -> Dialect:
        """The layout to read a frame with while our login is unanswered."""
        return self.dialect

    def judge(self, login: Pdu, answer: Pdu, dialect: Dialect) -> Verdict:
        """Read the answer to `login`, which came in the layout of `dialect`."""
        raise LookupError(f"{type(self).__name__} does not log in")

    # -- login, server ------------------------------------------------------------------------------------------

    def screen(self, login: Pdu) -> int | None:
        """A status to refuse a login with before anybody is asked, or None."""
        return None

    def admit(self, login: Pdu, details: dict[str, Any]) -> Admission:
        """The positive answer to a login. `details` come from `Session.admit`."""
        raise LookupError(f"{type(self).__name__} admits nobody")

    def refuse(self, login: Pdu, status: int) -> Admission:
        """The negative answer to a login, in the layout that the peer asked for."""
        raise LookupError(f"{type(self).__name__} admits nobody")

    def mode(self, op: Operation, login: Pdu) -> State:
        """The bound state that an accepted login leads to. (SGIP and SMGP say it in a field of the login.)"""
        return op.binds

    # -- faults -------------------------------------------------------------------------------------------------

    def fault_status(self, op: Operation, error: Malformed) -> int:
        """The status that answers a request whose body could not be read."""
        return self.faults.malformed.get(error.kind, self.faults.structure)

    def nack(self, sequence: Sequence, status: int) -> Pdu | None:
        """The protocol's answer to what has no answer of its own."""
        return None

    def lost_sequence(self, header: bytes) -> Sequence | None:
        """The sequence in a header whose length field made no sense, as far as it can be read."""
        return None


def error_answer(op: Operation, sequence: Sequence, status: int) -> Pdu | None:
    """The negative answer to a request, or None where its answer has no room for bad news."""
    if op.response is None or op.status is None:
        return None
    answer: Pdu = op.answer(sequence, {op.status: status})
    return answer
