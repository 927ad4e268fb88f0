"""SMPP delivery receipts: text (3.4 appendix B), optional parameters, or both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from smsgw.protocols import labels
from smsgw.protocols.smpp import tlvs
from smsgw.protocols.smpp.ids import same_message_id
from smsgw.protocols.smpp.pdus import DataSm, DeliverSm

__all__ = ["Receipt", "build", "of_deliver", "parse", "same_message_id", "to_fields"]

#: esm_class: the type bits, and the two types that are receipts (3.4, 5.2.12).
TYPE_MASK: Final = 0x3C
DELIVERY_RECEIPT: Final = 0x04
INTERMEDIATE_NOTIFICATION: Final = 0x20

#: message_state → the word in the text (3.4, 5.2.28; 0 and 9 are from 5.0).
STATES: Final[dict[int, str]] = {
    0: "SCHEDULED",
    1: "ENROUTE",
    2: "DELIVRD",
    3: "EXPIRED",
    4: "DELETED",
    5: "UNDELIV",
    6: "ACCEPTD",
    7: "UNKNOWN",
    8: "REJECTD",
    9: "SKIPPED",
}
#: States that another receipt will follow.
INTERMEDIATE: Final = frozenset({"SCHEDULED", "ENROUTE", "ACCEPTD", "BUFFRED", "BUFFERED"})


@dataclass(slots=True)
class Receipt:
    """A receipt as found; what is missing is None. Dates are raw: 10, 12 or 14 digits, no zone."""

    id: str | None = None
    sub: str | None = None
    dlvrd: str | None = None
    submit_date: str | None = None
    done_date: str | None = None
    stat: str | None = None
    err: str | None = None
    text: str | None = None
    receipted_message_id: str | None = None
    message_state: int | None = None
    network_error_code: bytes | None = None

    @property
    def message_ids(self) -> tuple[str, ...]:
        """The ids it cites, the most reliable one first; they may be two spellings of one number."""
        return tuple(dict.fromkeys(found for found in (self.receipted_message_id, self.id) if found))

    @property
    def state(self) -> str:
        """The state as the text spells it (DELIVRD …); the parameter counts more than the text."""
        if self.message_state is not None and self.message_state in STATES:
            return STATES[self.message_state]
        return (self.stat or "UNKNOWN").upper()

    @property
    def final(self) -> bool:
        """Whether no other receipt is to be expected."""
        return self.state not in INTERMEDIATE


def parse(text: str) -> Receipt | None:
    """The receipt in a text; None when it has neither an id nor a state."""
    values = labels.parse(text)
    return _receipt(values)


def _receipt(values: dict[str, str]) -> Receipt | None:
    if "id" not in values and "stat" not in values:
        return None
    receipt = Receipt()
    for name, value in values.items():
        setattr(receipt, name, value)
    return receipt


def _text_of(octets: bytes) -> str:
    # UCS2 receipts exist; every second octet of their labels is NUL.
    if octets[:1] == b"\0" and octets[1:2] not in (b"", b"\0"):
        return octets.decode("utf-16-be", "replace")
    return octets.decode("latin-1")


def of_deliver(pdu: DeliverSm | DataSm) -> Receipt | None:
    """The receipt in a deliver_sm or data_sm; None when it is a message from a phone.

    It is one when esm_class says so, or a receipt's parameters are there, or (with esm_class 0)
    the text has id, state and one more of a receipt's labels. A receipt by esm_class without
    readable text or parameters comes back empty: nothing to match, but no message either.
    """
    kind = pdu.esm_class & TYPE_MASK
    payload = pdu.tlv(tlvs.MESSAGE_PAYLOAD) or b""
    values = labels.parse(_text_of(getattr(pdu, "short_message", b"") or payload))
    flagged = kind in (DELIVERY_RECEIPT, INTERMEDIATE_NOTIFICATION)
    cited = pdu.tlv(tlvs.RECEIPTED_MESSAGE_ID)
    plain = kind == 0 and {"id", "stat"} <= values.keys() and len(values.keys() - {"text"}) > 2
    if not flagged and not plain and not (kind == 0 and cited):
        return None
    receipt = _receipt(values) or Receipt()
    if cited is not None:
        receipt.receipted_message_id = cited.partition(b"\0")[0].decode("latin-1")
    receipt.message_state = _state(pdu.tlv(tlvs.MESSAGE_STATE))
    receipt.network_error_code = pdu.tlv(tlvs.NETWORK_ERROR_CODE)
    return receipt


def _state(value: bytes | None) -> int | None:
    """message_state; some peers send the digit or a wider integer."""
    if not value:
        return None
    if value[0] in b"0123456789" and value.rstrip(b"\0").isdigit():
        return int(value.rstrip(b"\0")[:4])
    return int.from_bytes(value[:4], "big")


def build(receipt: Receipt) -> str:
    """The text for a deliver_sm of ours, as appendix B writes it; missing numbers are zeros.

    Raises ValueError without an id, a state, or with one that would tear the text apart.
    """
    if not receipt.id or not receipt.stat:
        raise ValueError("a receipt needs an id and a state")
    head = {
        "id": receipt.id,
        "sub": receipt.sub or "001",
        "dlvrd": receipt.dlvrd or "000",
        "submit date": receipt.submit_date or "0000000000",
        "done date": receipt.done_date or "0000000000",
        "stat": receipt.stat,
        "err": receipt.err or "000",
    }
    for label, value in head.items():
        if any(char.isspace() for char in value):
            raise ValueError(f"{label} {value!r} holds a blank")
    return " ".join(f"{label}:{value}" for label, value in head.items()) + f" text:{(receipt.text or '')[:20]}"


def to_fields(receipt: Receipt) -> dict[str, Any]:
    """JSON form; a missing key is missing in the receipt."""
    fields: dict[str, Any] = {}
    for name in Receipt.__slots__:
        value = getattr(receipt, name)
        if isinstance(value, bytes):
            fields[f"{name}_hex"] = value.hex()
        elif value is not None:
            fields[name] = value
    return fields
