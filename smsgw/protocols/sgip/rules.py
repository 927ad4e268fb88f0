"""SGIP 1.2: who may send what on which of the two kinds of connection, the bind of both sides, and faults.

Whoever has something to send opens a connection and is its client (section 3.1): LoginType 1 is the SP that submits,
LoginType 2 the SMG that delivers messages and reports to the SP's own listener. TX and RX are seen from the SP, as in
the other protocols, so the second kind is `BOUND_RX` although its client sends. There is no keep-alive PDU: a
connection without traffic is closed and opened again when it is needed (`SessionConfig.idle_timeout`).
"""

from __future__ import annotations

from collections.abc import Callable
from hmac import compare_digest
from typing import Any, Final

from smsgw.protocols.dialects import SGIP12
from smsgw.protocols.pdu import Pdu
from smsgw.protocols.rules import Admission, Faults, Rules, Verdict
from smsgw.protocols.sgip import codes, pdus
from smsgw.protocols.states import LIVE, NOWHERE, Kind, Matrix, Operation, Role, State

OK: Final = 0
ILLEGAL_LOGIN: Final = 1
LOGIN_REPEATED: Final = 2
TOO_MANY_CONNECTIONS: Final = 3
LOGIN_TYPE: Final = 4
PARAMETER: Final = 5
ILLEGAL_NUMBER: Final = 6
LENGTH: Final = 8
ILLEGAL_SEQUENCE: Final = 9
NODE_BUSY: Final = 11
ADDRESS_NOT_ADMITTED: Final = 57
FLOW_CONTROL: Final = 88

SP_TO_SMG: Final = 1
SMG_TO_SP: Final = 2

MAX_UNANSWERED: Final = 32
"""Section 3.1: at most so many commands of one connection may be without an answer."""
RESPONSE_TIMEOUT: Final = 30.0
"""Seconds, section 3.1."""
IDLE_TIMEOUT: Final = 60.0
"""Seconds without traffic after which the server may close, section 3.1."""

_SUBMITS: Final = frozenset({State.BOUND_TX})
_DELIVERS: Final = frozenset({State.BOUND_RX})


def _delivery(request: type[Pdu], response: type[Pdu]) -> Operation:
    return Operation(
        request,
        response,
        Kind.DATA,
        client=_DELIVERS,
        # Some gateways deliver over the SP's own connection. A report refused is a report lost.
        tolerated=_SUBMITS,
        status="result",
        busy=NODE_BUSY,
    )


MATRIX: Final = Matrix(
    (
        Operation(pdus.Bind, pdus.BindResp, Kind.LOGIN, client=frozenset({State.OPEN}), status="result"),
        Operation(pdus.Unbind, pdus.UnbindResp, Kind.LOGOUT, client=LIVE, server=LIVE),
        Operation(pdus.Submit, pdus.SubmitResp, Kind.DATA, client=_SUBMITS, status="result", busy=NODE_BUSY),
        Operation(pdus.Trace, pdus.TraceResp, Kind.DATA, client=_SUBMITS),
        _delivery(pdus.Deliver, pdus.DeliverResp),
        _delivery(pdus.Report, pdus.ReportResp),
        _delivery(pdus.UserRpt, pdus.UserRptResp),
        # Between gateway and billing centre: known, so that it is refused instead of ending the connection.
        Operation(pdus.CheckUser, pdus.CheckUserResp, Kind.DATA, client=NOWHERE, status="result"),
    )
)

FAULTS: Final = Faults(
    wrong_state=LOGIN_TYPE,
    already_bound=LOGIN_REPEATED,
    leaving=NODE_BUSY,
    structure=PARAMETER,
    malformed={"length": LENGTH, "message-length": LENGTH, "text-too-long": LENGTH, "address-too-long": ILLEGAL_NUMBER},
    closes_on_syntax=True,
)


class Numbering:
    """Sequence numbers of one node: node number, time (MMDDHHMMSS) and a counter that wraps.

    The sequence of a SUBMIT is its message id, so all sessions of a node share one of these. `first` should differ
    from one start of the program to the next.
    """

    def __init__(self, node: int, timestamp: Callable[[], int], *, first: int = 0) -> None:
        if not 0 <= node <= 0xFFFFFFFF:
            raise ValueError(f"node number {node} does not fit in four octets")
        self.node = node
        self._timestamp = timestamp
        self._counter = first

    def next(self) -> tuple[int, int, int]:
        """A number that was not given before."""
        counter = self._counter
        self._counter = (counter + 1) & 0xFFFFFFFF
        return self.node, self._timestamp(), counter


class SgipRules(Rules):
    """What both sides share."""

    matrix = MATRIX
    faults = FAULTS
    sequences = (0, 0xFFFFFFFF)
    dialect = SGIP12

    def __init__(self, numbering: Numbering) -> None:
        self._numbering = numbering

    def stamp(self, counter: int) -> tuple[int, int, int]:
        """Numbers come from the node and not from the connection: they are message ids."""
        return self._numbering.next()

    def mode(self, op: Operation, login: Any) -> State:
        """LoginType says who sends."""
        return State.BOUND_RX if login.login_type == SMG_TO_SP else State.BOUND_TX


class Client(SgipRules):
    """Whoever has something to send: the SP with LoginType 1, the SMG with 2."""

    role = Role.CLIENT

    def __init__(self, login_name: str, password: str, login_type: int, numbering: Numbering) -> None:
        super().__init__(numbering)
        if login_type not in (SP_TO_SMG, SMG_TO_SP):
            raise ValueError(f"LoginType {login_type} is neither 1 (SP to SMG) nor 2 (SMG to SP)")
        self._bind = pdus.Bind(login_type=login_type, login_name=login_name, login_password=password)

    def login(self) -> Pdu:
        """A fresh copy of the bind."""
        return self._bind.replace()

    def judge(self, login: Any, answer: Any, dialect: Any) -> Verdict:
        """Result 0 is a yes."""
        status: int = answer.result
        if status == OK:
            return Verdict(True, status)
        return Verdict(False, status, f"{codes.result(status).name} ({status})")


class Server(SgipRules):
    """The one that is sent to: the SMG for LoginType 1, the SP for 2."""

    role = Role.SERVER

    def __init__(self, login_type: int, numbering: Numbering) -> None:
        super().__init__(numbering)
        self._login_type = login_type

    def screen(self, login: Any) -> int | None:
        """Only the kind of connection that this side serves."""
        return None if login.login_type == self._login_type else LOGIN_TYPE

    def admit(self, login: Any, details: dict[str, Any]) -> Admission:
        """BIND_RESP with Result 0."""
        return Admission(pdus.BindResp(), SGIP12)

    def refuse(self, login: Any, status: int) -> Admission:
        """BIND_RESP with the reason."""
        return Admission(pdus.BindResp(result=status), SGIP12)


def proves(bind: Any, login_name: str, password: str) -> bool:
    """True when a BIND carries this name and password. Takes the same time for right and wrong passwords."""
    same_name = compare_digest(bind.login_name.encode(), login_name.encode())
    return compare_digest(bind.login_password.encode(), password.encode()) and same_name


def client(login_name: str, password: str, *, numbering: Numbering, login_type: int = SP_TO_SMG) -> Client:
    """Rules of the side that connects. Raises ValueError for another login type than 1 or 2."""
    return Client(login_name, password, login_type, numbering)


def server(*, numbering: Numbering, login_type: int = SP_TO_SMG) -> Server:
    """Rules of the side that listens for binds of `login_type`: 1 as an SMG does, 2 as an SP does.

    Passwords are the owner's: it gets `LoginRequest`, checks it with `proves`, and calls `admit` or `refuse`.
    """
    return Server(login_type, numbering)
