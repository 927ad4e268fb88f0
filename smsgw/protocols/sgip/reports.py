"""SGIP reports are PDUs of their own (4.2.3.5); this reads what they say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from smsgw.protocols.sgip.pdus import Report

DELIVERED, WAITING, FAILED = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of the message `message_id` (a sequence number) to one number.

    Several numbers in one SUBMIT share the message id: match on both.
    """

    message_id: tuple[int, int, int]
    number: str
    state: int
    error_code: int

    @property
    def delivered(self) -> bool:
        """Whether it arrived."""
        return self.state == DELIVERED

    @property
    def final(self) -> bool:
        """Whether no other report is to be expected."""
        return self.state != WAITING


def of_report(pdu: Report) -> Receipt:
    """The receipt in a REPORT."""
    return Receipt(pdu.submit_sequence_number, pdu.user_number, pdu.state, pdu.error_code)


def message_id_text(sequence: tuple[int, int, int]) -> str:
    """A sequence number as one text of 30 digits, for storage and logs."""
    node, time, counter = sequence
    return f"{node:010d}{time:010d}{counter:010d}"


def to_fields(receipt: Receipt) -> dict[str, Any]:
    """JSON form."""
    return {
        "SubmitSequenceNumber": list(receipt.message_id),
        "UserNumber": receipt.number,
        "State": receipt.state,
        "ErrorCode": receipt.error_code,
    }
