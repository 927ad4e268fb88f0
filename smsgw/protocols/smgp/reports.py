"""The status report inside an SMGP Deliver: ``id:`` with ten raw octets, then labelled text (6.2.24)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from smsgw.protocols import labels
from smsgw.protocols.smgp.pdus import Deliver

_ID = re.compile(rb"\s*id:", re.IGNORECASE)
_HEX_ID = re.compile(rb"([0-9A-Fa-f]{20})(?=\s|sub:|\Z)", re.IGNORECASE)
_ID_SIZE = 10


@dataclass(slots=True)
class Report:
    """A report as found; what is missing is None. `id` is the MsgID of Submit_Resp, opaque."""

    id: bytes | None = None
    sub: str | None = None
    dlvrd: str | None = None
    submit_date: str | None = None
    done_date: str | None = None
    stat: str | None = None
    err: str | None = None
    text: bytes | None = None

    @property
    def final(self) -> bool:
        """Whether no other report is to be expected."""
        return (self.stat or "").upper() not in ("ACCEPTD", "ENROUTE")


def id_at(content: bytes) -> tuple[int, int]:
    """Where the id stands: ten raw octets or 20 hexadecimal digits, fewer when the content ends in it.

    (0, 0): nowhere.
    """
    head = _ID.match(content)
    if head is None:
        return 0, 0
    written = _HEX_ID.match(content, head.end())
    return head.end(), written.end() if written else min(head.end() + _ID_SIZE, len(content))


def parse(content: bytes) -> Report:
    """The report in the content of a Deliver. Never fails: an unreadable one comes back empty.

    The ten octets of the id are cut first, because they may look like anything. Some gateways
    write them as 20 hexadecimal digits.
    """
    report = Report()
    start, end = id_at(content)
    if end - start == 2 * _ID_SIZE:
        report.id = bytes.fromhex(content[start:end].decode("ascii"))
    elif end - start == _ID_SIZE:
        report.id = content[start:end]
    for name, value in labels.parse(content[end:].decode("latin-1")).items():
        if name == "text":
            report.text = value.encode("latin-1")
        elif name != "id":
            setattr(report, name, value)
    return report


def build(report: Report) -> bytes:
    """The content for a Deliver of ours. ValueError without a ten-octet id or a state."""
    if report.id is None or len(report.id) != _ID_SIZE or not report.stat:
        raise ValueError("a report needs an id of ten octets and a state")
    text = report.text or b""
    tail = (
        f" sub:{report.sub or '001'} dlvrd:{report.dlvrd or '000'}"
        f" submit date:{report.submit_date or '0000000000'} done date:{report.done_date or '0000000000'}"
        f" stat:{report.stat} err:{report.err or '000'} text:"
    )
    return b"id:" + report.id + tail.encode("latin-1") + text[:20]


def of_deliver(pdu: Deliver) -> Report | None:
    """The report in a Deliver; None when it is a message from a phone."""
    return parse(pdu.msg_content) if pdu.is_report == 1 else None


def to_fields(report: Report) -> dict[str, Any]:
    """JSON form without the text, whose alphabet is unknown; a missing key is missing in the report."""
    fields: dict[str, Any] = {} if report.id is None else {"id_hex": report.id.hex()}
    for name in ("sub", "dlvrd", "submit_date", "done_date", "stat", "err"):
        value = getattr(report, name)
        if value is not None:
            fields[name] = value
    return fields
