"""The status report inside a CMPP DELIVER (8.4.5.1, table 1): 60 octets in 2.x, 71 in 3.0."""

from __future__ import annotations

from typing import Any

from smsgw.protocols.cmpp.pdus import Deliver
from smsgw.protocols.errors import FieldError, Malformed
from smsgw.protocols.fields import fixed, number, u32, u64
from smsgw.protocols.layout import Layout, rows_for
from smsgw.protocols.pdu import record


@record
class Report:
    """What became of a message. Times are YYMMDDHHMM without zone, and may be dummies or empty.

    `msg_id` is the one of SUBMIT_RESP; `stat` is raw: DELIVRD, UNDELIV, MK:0012, AF:4 …
    """

    msg_id: int = u64("Msg_Id")
    stat: str = fixed("Stat", 7)
    submit_time: str = fixed("Submit_time", 10)
    done_time: str = fixed("Done_time", 10)
    dest_terminal_id: str = number("Dest_terminal_Id", 21, later=(30, 32))
    smsc_sequence: int = u32("SMSC_sequence")


_TABLE: Any = Report
_SHORT = Layout(Report, rows_for(_TABLE.__wire__, 20))
_LONG = Layout(Report, rows_for(_TABLE.__wire__, 30))
#: Octets of a report in 2.x and in 3.0.
SHORT, LONG = 60, 71


def _malformed(fault: FieldError) -> Malformed:
    return Malformed("CMPP report", fault.field, fault.offset, fault.reason, command_id=5, sequence=0, kind=fault.kind)


def decode(content: bytes) -> Report:
    """The report in the content of a DELIVER whose Registered_Delivery is 1.

    The length chooses the layout, not the version of the session: 60-octet reports occur in 3.0.
    Raises `Malformed` for fewer than 60 octets.
    """
    try:
        report: Report = (_LONG if len(content) >= LONG else _SHORT).read_record(content, 0)[0]
    except FieldError as fault:
        raise _malformed(fault) from None
    report.stat = report.stat.rstrip(" ")
    return report


def encode(report: Report, version: int) -> bytes:
    """The octets for a session of `version` (20 or 30). Raises `Malformed` when a value does not fit."""
    try:
        return (_LONG if version >= 30 else _SHORT).write_record(report)
    except FieldError as fault:
        raise _malformed(fault) from None


def of_deliver(pdu: Deliver) -> Report | None:
    """The report in a DELIVER; None when it is a message from a phone."""
    return decode(pdu.msg_content) if pdu.registered_delivery == 1 else None


def to_fields(report: Report) -> dict[str, Any]:
    """JSON form, with the specification's names."""
    return _SHORT.render_record(report)
