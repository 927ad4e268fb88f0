"""SMPP 3.4: who may send what and when (section 2.3), the bind of both sides, and the words for faults."""

from __future__ import annotations

from copy import copy
from typing import Any, Final

from smsgw.protocols.dialects import SMPP34, Dialect
from smsgw.protocols.errors import Malformed
from smsgw.protocols.events import Sequence
from smsgw.protocols.pdu import RESPONSE, Pdu, Tlv
from smsgw.protocols.rules import Admission, Faults, Rules, Verdict
from smsgw.protocols.smpp import codes, pdus, tlvs
from smsgw.protocols.states import BOUND, LIVE, RECEIVING, SENDING, Kind, Matrix, Operation, Role, State

_OPEN: Final = frozenset({State.OPEN})
_STATUS: Final = "command_status"


def _bind(request: type[Pdu], response: type[Pdu], binds: State) -> Operation:
    return Operation(request, response, Kind.LOGIN, client=_OPEN, status=_STATUS, binds=binds)


def _from_client(request: type[Pdu], response: type[Pdu]) -> Operation:
    return Operation(request, response, Kind.DATA, client=SENDING, status=_STATUS, busy=codes.ESME_RTHROTTLED)


MATRIX: Final = Matrix(
    (
        _bind(pdus.BindTransmitter, pdus.BindTransmitterResp, State.BOUND_TX),
        _bind(pdus.BindReceiver, pdus.BindReceiverResp, State.BOUND_RX),
        _bind(pdus.BindTransceiver, pdus.BindTransceiverResp, State.BOUND_TRX),
        Operation(pdus.Outbind, None, Kind.NOTICE, server=frozenset({State.OPEN})),
        Operation(pdus.Unbind, pdus.UnbindResp, Kind.LOGOUT, client=LIVE, server=LIVE, status=_STATUS),
        # The table of 3.4 gives it to bound states only; peers send it before the bind, and an answer is cheap.
        Operation(pdus.EnquireLink, pdus.EnquireLinkResp, Kind.KEEPALIVE, client=LIVE, server=LIVE, status=_STATUS),
        _from_client(pdus.SubmitSm, pdus.SubmitSmResp),
        _from_client(pdus.SubmitMulti, pdus.SubmitMultiResp),
        _from_client(pdus.QuerySm, pdus.QuerySmResp),
        _from_client(pdus.CancelSm, pdus.CancelSmResp),
        # BOUND_TX only in the table of 3.4, which is a slip: its text treats both alike.
        _from_client(pdus.ReplaceSm, pdus.ReplaceSmResp),
        Operation(
            pdus.DeliverSm,
            pdus.DeliverSmResp,
            Kind.DATA,
            server=RECEIVING,
            # Some SMSCs send receipts to a transmitter. A receipt refused is a receipt lost.
            tolerated=frozenset({State.BOUND_TX}),
            status=_STATUS,
            busy=codes.ESME_RX_T_APPN,
        ),
        Operation(
            pdus.DataSm,
            pdus.DataSmResp,
            Kind.DATA,
            client=BOUND,
            server=BOUND,
            status=_STATUS,
            busy=codes.ESME_RX_T_APPN,
        ),
        Operation(pdus.AlertNotification, None, Kind.NOTICE, server=RECEIVING),
    )
)

FAULTS: Final = Faults(
    framing=codes.ESME_RINVCMDLEN,
    unknown_command=codes.ESME_RINVCMDID,
    wrong_state=codes.ESME_RINVBNDSTS,
    already_bound=codes.ESME_RALYBND,
    leaving=codes.ESME_RINVBNDSTS,
    structure=codes.ESME_RINVCMDLEN,
    malformed={
        "message-length": codes.ESME_RINVMSGLEN,
        "tlv": codes.ESME_RINVOPTPARSTREAM,
        "text-too-long": codes.ESME_RINVMSGLEN,
    },
)

BINDS: Final = {"transmitter": pdus.BindTransmitter, "receiver": pdus.BindReceiver, "transceiver": pdus.BindTransceiver}


class SmppRules(Rules):
    """What both sides share."""

    matrix = MATRIX
    faults = FAULTS
    sequences = (1, 0x7FFFFFFF)
    nack_command = pdus.GenericNack.command_id

    def fault_status(self, op: Operation, error: Malformed) -> int:
        """As the table, and an address that is too long by the name of its field."""
        if error.kind == "address-too-long":
            return codes.ESME_RINVSRCADR if (error.field or "").startswith("source") else codes.ESME_RINVDSTADR
        return super().fault_status(op, error)

    def nack(self, sequence: Any, status: int) -> Pdu | None:
        """generic_nack, section 4.3."""
        return pdus.GenericNack(sequence=sequence, command_status=status)

    def lost_sequence(self, header: bytes) -> Sequence | None:
        """Its number, if the header came whole."""
        return int.from_bytes(header[12:16], "big") if len(header) >= 16 else None


class Client(SmppRules):
    """The ESME."""

    role = Role.CLIENT

    def __init__(self, bind: Pdu, dialect: Dialect) -> None:
        self._bind = bind
        self.dialect = dialect

    def login(self) -> Pdu:
        """A fresh copy of the bind."""
        return copy(self._bind)

    def judge(self, login: Any, answer: Any, dialect: Dialect) -> Verdict:
        """Section 4.1: command_status 0 is a yes; generic_nack may stand for a no."""
        status: int = answer.command_status
        if status == codes.ESME_ROK and answer.command_id != self.nack_command:
            return Verdict(True, status)
        return Verdict(False, status, f"{codes.status(status).name} ({status:#x})")


def _bind_resp(login: Pdu, **fields: Any) -> Pdu:
    """The answer that belongs to one of the three binds."""
    answer: Pdu = SMPP34.pdus[login.command_id | RESPONSE](**fields)
    return answer


class Server(SmppRules):
    """The SMSC."""

    role = Role.SERVER

    def __init__(self, system_id: str, interface_version: int, dialect: Dialect) -> None:
        self._system_id = system_id
        self._interface_version = interface_version
        self.dialect = dialect

    def admit(self, login: Any, details: dict[str, Any]) -> Admission:
        """A bind answer with our system_id. Any interface_version is welcome; below 3.4 no TLV is sent."""
        fields = {"system_id": self._system_id, **details}
        if login.interface_version >= 0x34:
            fields.setdefault("tlvs", (Tlv(tlvs.SC_INTERFACE_VERSION, bytes([self._interface_version])),))
        return Admission(_bind_resp(login, **fields), self.dialect)

    def refuse(self, login: Pdu, status: int) -> Admission:
        """A bind answer without a body."""
        return Admission(_bind_resp(login, command_status=status), self.dialect)


def client(
    system_id: str,
    password: str,
    *,
    bind: str = "transceiver",
    system_type: str = "",
    interface_version: int = 0x34,
    addr_ton: int = 0,
    addr_npi: int = 0,
    address_range: str = "",
    dialect: Dialect = SMPP34,
) -> Client:
    """Rules of an ESME. `bind` is a key of `BINDS`. Raises KeyError for another word."""
    request = BINDS[bind](
        system_id=system_id,
        password=password,
        system_type=system_type,
        interface_version=interface_version,
        addr_ton=addr_ton,
        addr_npi=addr_npi,
        address_range=address_range,
    )
    return Client(request, dialect)


def server(*, system_id: str = "smsgw", interface_version: int = 0x34, dialect: Dialect = SMPP34) -> Server:
    """Rules of an SMSC. Passwords are the owner's: it gets `LoginRequest` and calls `admit` or `refuse`."""
    return Server(system_id, interface_version, dialect)
