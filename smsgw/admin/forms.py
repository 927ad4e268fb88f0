"""What people type, made into values: pasted numbers, times, the filter bar. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from urllib.parse import urlencode

from smsgw.admin.words import CLASS, STATUS
from smsgw.admin.words import forms as said
from smsgw.core import numbers
from smsgw.core.ids import CHINA
from smsgw.core.model import MessageType

MAX_RECIPIENTS = 1000
MAX_CONTENT = 1000
MIN_SIGN, MAX_SIGN = 2, 20
_BETWEEN_NUMBERS = re.compile(r"[\n\r\t,;|/\uff0c\uff1b\u3001]+")


@dataclass(frozen=True, slots=True)
class Recipients:
    """Pasted numbers, cleaned: each valid number once, in the order given."""

    valid: tuple[str, ...] = ()
    """E.164 digits."""
    invalid: tuple[tuple[str, str], ...] = ()
    """What was written, and why it is no number (``words.NUMBER_PROBLEM``)."""
    duplicates: int = 0

    @property
    def total(self) -> int:
        """How many were given."""
        return len(self.valid) + len(self.invalid) + self.duplicates


def recipients(text: str) -> Recipients:
    """Take pasted numbers apart: one a line, or separated by commas, semicolons or blanks.

    A piece that is one number with blanks or hyphens in it stays one number.
    """
    valid: dict[str, None] = {}
    invalid: list[tuple[str, str]] = []
    duplicates = 0
    for piece in _pieces(text):
        try:
            number = numbers.normalize(piece)
        except numbers.InvalidNumber as exc:
            invalid.append((piece, exc.reason))
            continue
        if number in valid:
            duplicates += 1
        valid[number] = None
    return Recipients(tuple(valid), tuple(invalid), duplicates)


def _pieces(text: str) -> list[str]:
    pieces: list[str] = []
    for piece in (p.strip() for p in _BETWEEN_NUMBERS.split(text)):
        try:
            numbers.normalize(piece)
        except numbers.InvalidNumber:
            pieces.extend(piece.split())
        else:
            pieces.append(piece)
    return pieces


@dataclass(slots=True)
class SendForm:
    """The form of a new sending, as typed, with what is wrong with it."""

    account: str = ""
    to: str = ""
    type: str = MessageType.NOTICE
    sign: str = ""
    content: str = ""
    key: str = ""
    """Made with the form, sent with every step: pressing the button twice sends once."""
    errors: dict[str, str] = field(default_factory=dict)
    """Field → Chinese source text."""

    @classmethod
    def read(cls, data: Mapping[str, str]) -> SendForm:
        """From the fields of a POST."""
        sign = data.get("sign", "").strip().removeprefix("【").removesuffix("】").strip()
        return cls(
            account=data.get("account", "").strip(),
            to=data.get("to", ""),
            type=data.get("type", ""),
            sign=sign,
            content=data.get("content", "").replace("\r\n", "\n").strip(),
            key=data.get("key", "").strip(),
        )

    def check(self, to: Recipients) -> bool:
        """Whether it can be sent as far as the form can tell; fills ``errors``."""
        if not to.total:
            self.errors["to"] = said.NO_NUMBER
        elif not to.valid:
            self.errors["to"] = said.NO_GOOD_NUMBER
        elif len(to.valid) > MAX_RECIPIENTS:
            self.errors["to"] = said.TOO_MANY_NUMBERS
        if self.type not in set(MessageType):
            self.errors["type"] = said.NO_TYPE
        if self.sign and (not MIN_SIGN <= len(self.sign) <= MAX_SIGN or re.search(r"[【】\n]", self.sign)):
            self.errors["sign"] = said.SIGN_FORM
        if not self.content:
            self.errors["content"] = said.NO_CONTENT
        elif len(self.content) > MAX_CONTENT:
            self.errors["content"] = said.LONG_CONTENT
        if not re.fullmatch(r"[A-Za-z0-9_-]{16,64}", self.key):
            self.errors["account"] = said.OLD_PAGE
        return not self.errors


PERIODS = said.PERIODS


@dataclass(slots=True)
class RecordFilter:
    """The filter bar of the records; its state lives in the address of the page."""

    period: str = "today"
    from_text: str = ""
    to_text: str = ""
    account: str = ""
    phone: str = ""
    status: str = ""
    batch: str = ""
    reason: str = ""
    """Class of a failure."""
    before: int | None = None
    errors: dict[str, str] = field(default_factory=dict)
    from_time: datetime | None = None
    to_time: datetime | None = None
    number: str | None = None
    account_id: int | None = None
    batch_id: int | None = None

    @classmethod
    def read(cls, query: Mapping[str, str], now: datetime) -> RecordFilter:
        """From the query of the address; what cannot be understood is said in ``errors`` and left out."""
        wanted = cls(
            period=query.get("time", "today"),
            from_text=query.get("from", "").strip(),
            to_text=query.get("to", "").strip(),
            account=query.get("account", "").strip(),
            phone=query.get("phone", "").strip(),
            status=query.get("status", "").strip(),
            batch=query.get("batch", "").strip(),
            reason=query.get("reason", "").strip(),
        )
        wanted._set_times(now.astimezone(CHINA))
        wanted.before = read_id(query.get("before", ""))
        wanted.account_id = read_id(wanted.account)
        wanted.batch_id = read_id(wanted.batch)
        if wanted.status and wanted.status not in STATUS:
            wanted.status = ""
        if wanted.reason not in CLASS:
            wanted.reason = ""
        if wanted.phone:
            try:
                wanted.number = numbers.normalize(wanted.phone)
            except numbers.InvalidNumber:
                wanted.errors["phone"] = said.WRONG_PHONE
        return wanted

    def _set_times(self, now: datetime) -> None:
        midnight = datetime(now.year, now.month, now.day, tzinfo=CHINA)
        days = {"today": 0, "yesterday": 1, "7d": 6, "30d": 29}
        if self.period not in PERIODS:
            self.period = "today"
        if self.period != "custom":
            self.from_time = midnight - timedelta(days=days[self.period])
            self.to_time = midnight if self.period == "yesterday" else midnight + timedelta(days=1)
            return
        try:
            first = date.fromisoformat(self.from_text) if self.from_text else midnight.date()
            last = date.fromisoformat(self.to_text) if self.to_text else midnight.date()
            self.from_time = datetime(first.year, first.month, first.day, tzinfo=CHINA)
            self.to_time = datetime(last.year, last.month, last.day, tzinfo=CHINA) + timedelta(days=1)
        except (ValueError, OverflowError):
            self.errors["time"] = said.WRONG_DATE
            self.from_time, self.to_time = midnight, midnight + timedelta(days=1)
            return
        if first > last:
            self.errors["time"] = said.DATES_TURNED

    @property
    def is_plain(self) -> bool:
        """Whether nothing but the time narrows the list."""
        return not (self.account or self.phone or self.status or self.batch or self.reason)

    def query(self, **changes: str) -> str:
        """The address' query for this filter with some fields changed; empty fields are left out."""
        state = {
            "time": self.period,
            "from": self.from_text if self.period == "custom" else "",
            "to": self.to_text if self.period == "custom" else "",
            "account": self.account,
            "phone": self.phone,
            "status": self.status,
            "batch": self.batch,
            "reason": self.reason,
        } | changes
        return urlencode({key: value for key, value in state.items() if value})


def read_id(text: str) -> int | None:
    """An id from an address or a form; None for anything else."""
    return int(text) if re.fullmatch(r"[1-9][0-9]{0,18}", text, re.ASCII) and int(text) < 2**63 else None
