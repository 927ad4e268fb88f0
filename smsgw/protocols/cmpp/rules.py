"""CMPP 2.0 and 3.0: who may send what and when, the login of both sides with its version negotiation, faults.

The versions differ in the width of most fields, so that a PDU of one version read as the other gives plausible
rubbish. Hence the version is settled at login, for the whole connection, as `Session.dialect`.
"""

from __future__ import annotations

from collections.abc import Callable
from hmac import compare_digest
from typing import Any, Final

from smsgw.protocols.cmpp import codes, pdus
from smsgw.protocols.cmpp.auth import authenticator_ismg, authenticator_source, ismg_width
from smsgw.protocols.dialects import CMPP20, CMPP30, Dialect
from smsgw.protocols.pdu import Pdu
from smsgw.protocols.rules import Admission, Faults, Rules, Verdict
from smsgw.protocols.states import BOUND, LIVE, Kind, Matrix, Operation, Role, State

OK: Final = 0
STRUCTURE: Final = 1
"""消息结构错"""
COMMAND: Final = 2
"""命令字错"""
LENGTH: Final = 4
"""消息长度错"""
TOO_LONG: Final = 6
"""超过最大信息长"""
FLOW_CONTROL: Final = codes.THROTTLED
"""流量控制错"""


CONNECT_SOURCE: Final = 2
"""非法源地址"""
CONNECT_AUTH: Final = 3
"""认证错"""
CONNECT_VERSION: Final = 4
"""版本太高"""
CONNECT_OTHER: Final = 5

V20: Final = 0x20
V30: Final = 0x30

_SHORT_CONNECT_RESP: Final = 30
"""Octets of a CONNECT_RESP in the 2.x layout (Status of one octet); 33 in 3.0."""

MATRIX: Final = Matrix(
    (
        Operation(pdus.Connect, pdus.ConnectResp, Kind.LOGIN, client=frozenset({State.OPEN}), status="status"),
        Operation(pdus.Terminate, pdus.TerminateResp, Kind.LOGOUT, client=LIVE, server=LIVE),
        Operation(pdus.ActiveTest, pdus.ActiveTestResp, Kind.KEEPALIVE, client=LIVE, server=LIVE),
        Operation(pdus.Submit, pdus.SubmitResp, Kind.DATA, client=BOUND, status="result", busy=FLOW_CONTROL),
        Operation(
            pdus.Deliver,
            pdus.DeliverResp,
            Kind.DATA,
            server=BOUND,
            status="result",
            busy=FLOW_CONTROL,
            echo=("msg_id",),
        ),
        Operation(pdus.Query, pdus.QueryResp, Kind.DATA, client=BOUND, echo=("time", "query_type", "query_code")),
        Operation(pdus.Cancel, pdus.CancelResp, Kind.DATA, client=BOUND, status="success_id", busy=1),
        Operation(
            pdus.Fwd,
            pdus.FwdResp,
            Kind.DATA,
            client=BOUND,
            server=BOUND,
            status="result",
            busy=FLOW_CONTROL,
            echo=("msg_id", "pk_total", "pk_number"),
        ),
    )
)

FAULTS: Final = Faults(
    wrong_state=COMMAND,
    already_bound=CONNECT_OTHER,
    leaving=FLOW_CONTROL,
    structure=STRUCTURE,
    malformed={"length": LENGTH, "message-length": LENGTH, "text-too-long": TOO_LONG},
    closes_before_login=True,
)


class CmppRules(Rules):
    """What both sides share."""

    matrix = MATRIX
    faults = FAULTS
    sequences = (1, 0xFFFFFFFF)


def dialect_of(version: int) -> Dialect | None:
    """The layout of a Version octet. 2.x is one layout, and 0x00 and 0x01 are said by old 2.0 peers; None: neither."""
    if version >> 4 == 3:
        return CMPP30
    if version >> 4 == 2 or version in (0x00, 0x01):
        return CMPP20
    return None


def proves(connect: Any, secret: str) -> bool:
    """True when a CONNECT proves the shared secret. Takes the same time for right and wrong digests."""
    expected = authenticator_source(connect.source_addr, secret, connect.timestamp)
    return compare_digest(expected, connect.authenticator_source)


class Client(CmppRules):
    """The SP."""

    role = Role.CLIENT

    def __init__(
        self, source_addr: str, secret: str, version: int, timestamp: Callable[[], int], strict_authenticator: bool
    ) -> None:
        dialect = dialect_of(version)
        if dialect is None:
            raise ValueError(f"version {version:#04x} is neither CMPP 2.x nor 3.x")
        self.dialect = dialect
        self._source_addr = source_addr
        self._secret = secret
        self._version = version
        self._timestamp = timestamp
        self._strict = strict_authenticator

    def login(self) -> Pdu:
        """CONNECT with a digest over the time of now."""
        timestamp = self._timestamp()
        return pdus.Connect(
            source_addr=self._source_addr,
            authenticator_source=authenticator_source(self._source_addr, self._secret, timestamp),
            version=self._version,
            timestamp=timestamp,
        )

    def login_dialect(self, frame: bytes) -> Dialect:
        """A CONNECT_RESP is read by its length: the server need not have understood the version asked for."""
        if int.from_bytes(frame[4:8], "big") == pdus.ConnectResp.command_id:
            return CMPP20 if len(frame) <= _SHORT_CONNECT_RESP else CMPP30
        return self.dialect

    def judge(self, login: Any, answer: Any, dialect: Dialect) -> Verdict:
        """The layout of the answer and its Version settle what is spoken; its proof is checked in both widths."""
        status: int = answer.status
        if status == CONNECT_VERSION:
            return Verdict(False, status, f"version {self._version:#04x} is too high, server has {answer.version:#04x}")
        if status != OK:
            return Verdict(False, status, f"{codes.connect_status(status).name} ({status})")
        spoken = dialect_of(answer.version)
        if spoken is None:
            return Verdict(False, status, f"server speaks version {answer.version:#04x}")
        doubts = []
        if spoken is CMPP30 and dialect is CMPP20:
            if self.dialect is CMPP30:
                doubts.append(("version", "server says 3.0 in the layout of 2.0; going on in 2.0"))
            # Asked for 2.x, a server may state the higher version that it could do as well.
            spoken = CMPP20
        if not self._authentic(login, answer):
            if self._strict:
                return Verdict(False, status, "AuthenticatorISMG does not prove the shared secret")
            doubts.append(("authenticator", "AuthenticatorISMG does not prove the shared secret"))
        return Verdict(True, status, dialect=spoken, doubts=tuple(doubts))

    def _authentic(self, login: Any, answer: Any) -> bool:
        # Peers hash the Status with one octet or four, whatever the version.
        digest = login.authenticator_source
        return ismg_width(answer.authenticator_ismg, answer.status, digest, self._secret) is not None


class Server(CmppRules):
    """The ISMG."""

    role = Role.SERVER

    def __init__(self, version: int) -> None:
        dialect = dialect_of(version)
        if dialect is None:
            raise ValueError(f"version {version:#04x} is neither CMPP 2.x nor 3.x")
        self.dialect = dialect
        self._version = version

    def screen(self, login: Any) -> int | None:
        """Refuse a version above ours, and those that we do not know (0x7F carries foreign attachments)."""
        asked = dialect_of(login.version)
        if asked is None or (asked is CMPP30 and self.dialect is CMPP20):
            return CONNECT_VERSION
        return None

    def admit(self, login: Any, details: dict[str, Any]) -> Admission:
        """CONNECT_RESP in the layout of the version asked for. `details`: `secret`, which signs the answer."""
        dialect = self._asked(login)
        width = 4 if dialect is CMPP30 else 1
        digest = authenticator_ismg(OK, login.authenticator_source, details["secret"], width)
        # The specification wants our highest version here. Clients go on in the version that they read here, so it
        # is the agreed one.
        version = min(self._version, login.version)
        return Admission(pdus.ConnectResp(authenticator_ismg=digest, version=version), dialect)

    def refuse(self, login: Any, status: int) -> Admission:
        """CONNECT_RESP without a proof, in the layout of the version asked for."""
        return Admission(pdus.ConnectResp(status=status, version=self._version), self._asked(login))

    def _asked(self, login: Any) -> Dialect:
        return dialect_of(login.version) or self.dialect


def client(
    source_addr: str,
    secret: str,
    version: int = V30,
    *,
    timestamp: Callable[[], int],
    strict_authenticator: bool = False,
) -> Client:
    """Rules of an SP.

    `timestamp` gives the time of now as the integer MMDDHHMMSS in China time. With `strict_authenticator` a server
    that does not prove the secret is refused; many real ones fail that, so by default it is only noted.
    """
    return Client(source_addr, secret, version, timestamp, strict_authenticator)


def server(version: int = V30) -> Server:
    """Rules of an ISMG that speaks all versions up to `version`.

    Passwords are the owner's: it gets `LoginRequest`, checks it with `proves`, and calls `Session.admit` with the
    account's `secret`, or `Session.refuse`.
    """
    return Server(version)
