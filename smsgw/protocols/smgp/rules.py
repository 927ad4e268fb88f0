"""SMGP 1.3 and 3.0: who may send what and when, the login of both sides with its version negotiation, faults.

3.0 puts FixedFee into the middle of Submit, so that one version read as the other gives plausible rubbish: the
version is settled at login, for the whole connection, as `Session.dialect`.
"""

from __future__ import annotations

from collections.abc import Callable
from hmac import compare_digest
from typing import Any, Final

from smsgw.protocols.dialects import SMGP13, SMGP30, Dialect
from smsgw.protocols.pdu import Pdu
from smsgw.protocols.rules import Admission, Faults, Rules, Verdict
from smsgw.protocols.smgp import codes, pdus
from smsgw.protocols.smgp.auth import authenticator_client, authenticator_server
from smsgw.protocols.states import BOUND, LIVE, RECEIVING, SENDING, Kind, Matrix, Operation, Role, State

OK: Final = 0
BUSY: Final = 1
TOO_MANY_CONNECTIONS: Final = 2
STRUCTURE: Final = 10
COMMAND: Final = 11
ILLEGAL_ADDRESS: Final = 20
AUTHENTICATION: Final = 21
VERSION_TOO_HIGH: Final = 22
MESSAGE_LENGTH: Final = 36
DESTINATION: Final = 47

V13: Final = 0x13
V30: Final = 0x30

SEND, RECEIVE, BOTH = 0, 1, 2
"""LoginMode, section 6.2.3."""

_MODES: Final = {SEND: State.BOUND_TX, RECEIVE: State.BOUND_RX, BOTH: State.BOUND_TRX}

MATRIX: Final = Matrix(
    (
        Operation(pdus.Login, pdus.LoginResp, Kind.LOGIN, client=frozenset({State.OPEN}), status="status"),
        Operation(pdus.Exit, pdus.ExitResp, Kind.LOGOUT, client=LIVE, server=LIVE),
        Operation(pdus.ActiveTest, pdus.ActiveTestResp, Kind.KEEPALIVE, client=LIVE, server=LIVE),
        Operation(pdus.Submit, pdus.SubmitResp, Kind.DATA, client=SENDING, status="status", busy=BUSY),
        Operation(
            pdus.Deliver,
            pdus.DeliverResp,
            Kind.DATA,
            server=RECEIVING,
            # A report refused is a report lost.
            tolerated=frozenset({State.BOUND_TX}),
            status="status",
            busy=BUSY,
            echo=("msg_id",),
        ),
        Operation(pdus.Query, pdus.QueryResp, Kind.DATA, client=BOUND, echo=("query_time", "query_type", "query_code")),
        Operation(
            pdus.Forward,
            pdus.ForwardResp,
            Kind.DATA,
            client=BOUND,
            server=BOUND,
            status="status",
            busy=BUSY,
            echo=("msg_id",),
        ),
    )
)

FAULTS: Final = Faults(
    wrong_state=COMMAND,
    already_bound=COMMAND,
    leaving=BUSY,
    structure=STRUCTURE,
    malformed={"message-length": MESSAGE_LENGTH, "text-too-long": MESSAGE_LENGTH, "address-too-long": DESTINATION},
    closes_before_login=True,
)


class SmgpRules(Rules):
    """What both sides share."""

    matrix = MATRIX
    faults = FAULTS
    sequences = (1, 0xFFFFFFFF)

    def mode(self, op: Operation, login: Any) -> State:
        """LoginMode says who may send; a value outside the table counts as both."""
        return _MODES.get(login.login_mode, State.BOUND_TRX)


def dialect_of(version: int) -> Dialect | None:
    """The layout of a version octet; old peers say 0x00 or 0x10 for 1.x. None: neither 1.x nor 3.x."""
    if version >> 4 == 3:
        return SMGP30
    if version >> 4 in (0, 1):
        return SMGP13
    return None


def proves(login: Any, secret: str) -> bool:
    """True when a Login proves the shared secret. Takes the same time for right and wrong digests."""
    expected = authenticator_client(login.client_id, secret, login.timestamp)
    return compare_digest(expected, login.authenticator_client)


class Client(SmgpRules):
    """The SP."""

    role = Role.CLIENT

    def __init__(
        self,
        client_id: str,
        secret: str,
        version: int,
        login_mode: int,
        timestamp: Callable[[], int],
        strict_authenticator: bool,
    ) -> None:
        dialect = dialect_of(version)
        if dialect is None:
            raise ValueError(f"version {version:#04x} is neither SMGP 1.x nor 3.x")
        if login_mode not in _MODES:
            raise ValueError(f"LoginMode {login_mode} is none of 0 (send), 1 (receive), 2 (both)")
        self.dialect = dialect
        self._client_id = client_id
        self._secret = secret
        self._version = version
        self._login_mode = login_mode
        self._timestamp = timestamp
        self._strict = strict_authenticator

    def login(self) -> Pdu:
        """Login with a digest over the time of now."""
        timestamp = self._timestamp()
        return pdus.Login(
            client_id=self._client_id,
            authenticator_client=authenticator_client(self._client_id, self._secret, timestamp),
            login_mode=self._login_mode,
            timestamp=timestamp,
            client_version=self._version,
        )

    def judge(self, login: Any, answer: Any, dialect: Dialect) -> Verdict:
        """ServerVersion settles what is spoken, never above what we asked for."""
        status: int = answer.status
        if status == VERSION_TOO_HIGH:
            return Verdict(
                False, status, f"version {self._version:#04x} is too high, server has {answer.server_version:#04x}"
            )
        if status != OK:
            return Verdict(False, status, f"{codes.status(status).name} ({status})")
        spoken = dialect_of(answer.server_version)
        if spoken is None:
            return Verdict(False, status, f"server speaks version {answer.server_version:#04x}")
        if self.dialect is SMGP13:
            # Asked for 1.3, a server may state the higher version that it could do as well.
            spoken = SMGP13
        doubts = []
        if not compare_digest(
            answer.authenticator_server, authenticator_server(OK, login.authenticator_client, self._secret)
        ):
            if self._strict:
                return Verdict(False, status, "AuthenticatorServer does not prove the shared secret")
            doubts.append(("authenticator", "AuthenticatorServer does not prove the shared secret"))
        return Verdict(True, status, dialect=spoken, doubts=tuple(doubts))


class Server(SmgpRules):
    """The SMGW."""

    role = Role.SERVER

    def __init__(self, version: int) -> None:
        dialect = dialect_of(version)
        if dialect is None:
            raise ValueError(f"version {version:#04x} is neither SMGP 1.x nor 3.x")
        self.dialect = dialect
        self._version = version

    def screen(self, login: Any) -> int | None:
        """Refuse a version above ours, and those that we do not know."""
        asked = dialect_of(login.client_version)
        if asked is None or (asked is SMGP30 and self.dialect is SMGP13):
            return VERSION_TOO_HIGH
        return None

    def admit(self, login: Any, details: dict[str, Any]) -> Admission:
        """Login_Resp with the agreed version. `details`: `secret`, which signs the answer."""
        digest = authenticator_server(OK, login.authenticator_client, details["secret"])
        version = min(self._version, login.client_version)
        return Admission(pdus.LoginResp(authenticator_server=digest, server_version=version), self._asked(login))

    def refuse(self, login: Any, status: int) -> Admission:
        """Login_Resp without a proof."""
        return Admission(pdus.LoginResp(status=status, server_version=self._version), self._asked(login))

    def _asked(self, login: Any) -> Dialect:
        return dialect_of(login.client_version) or self.dialect


def client(
    client_id: str,
    secret: str,
    version: int = V30,
    *,
    timestamp: Callable[[], int],
    login_mode: int = BOTH,
    strict_authenticator: bool = False,
) -> Client:
    """Rules of an SP.

    `timestamp` gives the time of now as the integer MMDDHHMMSS in China time. With `strict_authenticator` a server
    that does not prove the secret is refused; by default that is only noted. Raises ValueError for a version or a
    login mode that does not exist.
    """
    return Client(client_id, secret, version, login_mode, timestamp, strict_authenticator)


def server(version: int = V30) -> Server:
    """Rules of an SMGW that speaks all versions up to `version`.

    Passwords are the owner's: it gets `LoginRequest`, checks it with `proves`, and calls `Session.admit` with the
    account's `secret`, or `Session.refuse`.
    """
    return Server(version)
