"""The states of a connection, what moves it from one to the next, and who may send what in which state.

Two rules keep this file honest. Everything about states is here, as tables. And nothing here knows which side we
are: a client and a server walk the same table, so that each can be tested against the other in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any


class Role(Enum):
    """Which side of the connection a session plays."""

    CLIENT = auto()
    """SP, ESME: it opens the connection and logs in."""
    SERVER = auto()
    """ISMG, SMSC."""

    @property
    def peer(self) -> Role:
        """The other side."""
        return Role.SERVER if self is Role.CLIENT else Role.CLIENT


class State(Enum):
    """Where a connection stands. TX, RX and TRX are seen from the client, as SMPP 3.4 section 2.2 names them."""

    OPEN = auto()
    """Connected, nobody has logged in."""
    BINDING = auto()
    """A login is on its way and unanswered."""
    BOUND_TX = auto()
    BOUND_RX = auto()
    BOUND_TRX = auto()
    DRAINING = auto()
    """We are going to leave: no new requests of ours, answers are still wanted and given."""
    UNBINDING = auto()
    """Our logout request is out; its answer is awaited."""
    LEAVING = auto()
    """The peer has asked to leave; we still give the answers that we owe, then answer its logout."""
    ENDING = auto()
    """Over for the protocol: the shell flushes and closes the transport."""
    CLOSED = auto()
    """The transport is gone."""


class Trigger(Enum):
    """What moves a connection."""

    LOGIN = auto()
    BOUND_TX = auto()
    BOUND_RX = auto()
    BOUND_TRX = auto()
    CLOSE = auto()
    """We want to leave politely."""
    LOGOUT_SENT = auto()
    LOGOUT_RECEIVED = auto()
    END = auto()
    """Refused, failed, or everything was said."""
    GONE = auto()
    """The transport was closed, by whomever."""


BOUND = frozenset({State.BOUND_TX, State.BOUND_RX, State.BOUND_TRX})
SENDING = frozenset({State.BOUND_TX, State.BOUND_TRX})
RECEIVING = frozenset({State.BOUND_RX, State.BOUND_TRX})
LIVE = frozenset(State) - {State.ENDING, State.CLOSED}
OVER = frozenset({State.ENDING, State.CLOSED})
NOWHERE: frozenset[State] = frozenset()

_FROM_BOUND = {
    Trigger.CLOSE: State.DRAINING,
    Trigger.LOGOUT_RECEIVED: State.LEAVING,
    Trigger.END: State.ENDING,
    Trigger.GONE: State.CLOSED,
}

TRANSITIONS: Mapping[State, Mapping[Trigger, State]] = {
    State.OPEN: {
        Trigger.LOGIN: State.BINDING,
        Trigger.LOGOUT_RECEIVED: State.LEAVING,
        Trigger.END: State.ENDING,
        Trigger.GONE: State.CLOSED,
    },
    State.BINDING: {
        Trigger.BOUND_TX: State.BOUND_TX,
        Trigger.BOUND_RX: State.BOUND_RX,
        Trigger.BOUND_TRX: State.BOUND_TRX,
        Trigger.LOGOUT_RECEIVED: State.LEAVING,
        Trigger.END: State.ENDING,
        Trigger.GONE: State.CLOSED,
    },
    State.BOUND_TX: _FROM_BOUND,
    State.BOUND_RX: _FROM_BOUND,
    State.BOUND_TRX: _FROM_BOUND,
    State.DRAINING: {
        Trigger.CLOSE: State.DRAINING,
        Trigger.LOGOUT_SENT: State.UNBINDING,
        Trigger.LOGOUT_RECEIVED: State.LEAVING,
        Trigger.END: State.ENDING,
        Trigger.GONE: State.CLOSED,
    },
    State.UNBINDING: {
        Trigger.CLOSE: State.UNBINDING,
        # When both say goodbye at once, the peer's is answered and ours still awaited.
        Trigger.END: State.ENDING,
        Trigger.GONE: State.CLOSED,
    },
    State.LEAVING: {Trigger.CLOSE: State.LEAVING, Trigger.END: State.ENDING, Trigger.GONE: State.CLOSED},
    State.ENDING: {Trigger.CLOSE: State.ENDING, Trigger.GONE: State.CLOSED},
    State.CLOSED: {Trigger.CLOSE: State.CLOSED},
}

BOUND_BY: Mapping[State, Trigger] = {
    State.BOUND_TX: Trigger.BOUND_TX,
    State.BOUND_RX: Trigger.BOUND_RX,
    State.BOUND_TRX: Trigger.BOUND_TRX,
}


class Kind(Enum):
    """What an operation is for; the session serves all but DATA and NOTICE itself."""

    LOGIN = auto()
    LOGOUT = auto()
    KEEPALIVE = auto()
    DATA = auto()
    NOTICE = auto()
    """Never answered."""


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One row of a protocol's operation matrix: a request, its answer, who sends it, and when."""

    request: type[Any]
    """A `Pdu` class."""
    response: type[Any] | None
    """Its answer's class; None: it is never answered."""
    kind: Kind
    client: frozenset[State] = NOWHERE
    """States in which the client may send it."""
    server: frozenset[State] = NOWHERE
    """States in which the server may send it."""
    tolerated: frozenset[State] = NOWHERE
    """States in which it may not be sent, but is taken with a violation noted, since refusing would lose traffic."""
    status: str | None = None
    """Field of the answer that holds its result, if it has one."""
    busy: int = 0
    """Result that tells the peer to come again later."""
    echo: tuple[str, ...] = ()
    """Fields that an answer repeats from its request."""
    binds: State = State.BOUND_TRX
    """LOGIN only: the state that a successful login leads to."""

    def answer(self, sequence: Any, fields: dict[str, Any]) -> Any:
        """The answer to a request with this sequence. Raises LookupError for what is never answered."""
        if self.response is None:
            raise LookupError(f"{self.request.__name__} has no answer")
        return self.response(sequence=sequence, **fields)

    def senders(self, role: Role) -> frozenset[State]:
        """States in which `role` may send it."""
        return self.client if role is Role.CLIENT else self.server


class Matrix:
    """The operations of a protocol, looked up by command id."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self.operations = tuple(operations)
        self.requests = {op.request.command_id: op for op in self.operations}
        self.responses = {op.response.command_id: op for op in self.operations if op.response is not None}
        self._may_send = {
            (role, state): {op.request.command_id: op for op in self.operations if state in op.senders(role)}
            for role in Role
            for state in State
        }
        self.logout = next(op for op in self.operations if op.kind is Kind.LOGOUT)
        """Every protocol has one."""
        self.keepalive = next((op for op in self.operations if op.kind is Kind.KEEPALIVE), None)
        """None: the protocol (SGIP) has none."""

    def may_send(self, role: Role, state: State) -> dict[int, Operation]:
        """Requests by command id that `role` may send in `state`."""
        return self._may_send[role, state]
