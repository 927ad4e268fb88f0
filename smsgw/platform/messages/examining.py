"""What can be told of one message beyond its story: why it went where it went, what the carrier has said octet by
octet, and at which hop it stands. Whoever asks has been let see the message."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from smsgw.core import numbers
from smsgw.core.actor import ActorLabel
from smsgw.core.decoded import Decode, Decoded
from smsgw.core.ids import CHINA
from smsgw.core.model import TEST_POOL, MessageType
from smsgw.core.pseudonyms import is_pseudonym
from smsgw.core.routes import CONDITIONS, Considered, Member, RouteTable, Rule, Subject, parse
from smsgw.platform.login.model import CODE_SENDER
from smsgw.platform.messages import codes
from smsgw.platform.messages.model import MessageView, PartView, Trace
from smsgw.store.engine.database import Database, Row
from smsgw.store.records import evidence, submits as recorded

# --- the rule --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Choice:
    """Why a message queued where it did, by the table that was in force when it was accepted."""

    version: int
    published_at: datetime | None
    """None: no table was published, each carrier has its own queue."""
    rule: Rule | None
    """None: no rule fits, it is the carrier's own queue."""
    passed: tuple[Considered, ...]
    """Rules before it, and the condition of each that does not hold."""
    decided: str
    """The pool that follows from it."""
    pool: str
    """The one in which it is, or was last."""
    members: tuple[Member, ...]
    """Channels that the table names for that pool; none: those that serve the carrier."""

    @property
    def conditions(self) -> list[tuple[str, str]]:
        """What the rule asks for, by name."""
        if self.rule is None:
            return []
        given = [(name, getattr(self.rule, name)) for name in CONDITIONS]
        said = [(name, "、".join(sorted(values))) for name, values in given if values]
        return [*said, ("hours", str(self.rule.hours))] if self.rule.hours is not None else said


_POOL = "SELECT p.pool_id, q.name FROM part p LEFT JOIN pool q ON q.id = p.pool_id WHERE p.id = $1 AND p.part = 1"
_IN_FORCE = """
SELECT version, document, published_at FROM route_version WHERE published_at <= $1 ORDER BY version DESC LIMIT 1
"""


async def choice(database: Database, message: MessageView) -> Choice | None:
    """Which rule chose the queue of a message; None when none did: it is a test's, or was refused at the door."""
    part = await database.fetchrow(_POOL, message.id)
    if part is None or part["pool_id"] <= TEST_POOL or message.status == "rejected":
        return None
    row = await database.fetchrow(_IN_FORCE, message.accepted_at)
    table = _table(row) if row is not None else RouteTable()
    subject = Subject(
        message.account_name, MessageType(message.type), message.number, message.carrier, message.province,
        message.sign, message.content, message.accepted_at.astimezone(CHINA).time(), message.kind,
    )  # fmt: skip
    decided, lines = table.explain(subject)
    rule = next((r for r in table.rules if r.name == lines[-1].rule), None) if lines[-1].rule else None
    pool = part["name"] or decided
    return Choice(
        table.version, row["published_at"] if row is not None else None, rule, tuple(lines[:-1]), decided, pool,
        table.members(pool),
    )  # fmt: skip


def _table(row: Row) -> RouteTable:
    """A table as it was; its channels may have been removed since."""
    document = json.loads(row["document"])
    named = {m["name"] if isinstance(m, dict) else m for p in document.get("pool", []) for m in p["channels"]}
    return parse(document, version=row["version"], channels=named, kinds=None)


# --- PDUs ------------------------------------------------------------------------------------------------------------

MOST_OCTETS = 4096
"""Of a PDU that are shown; a report has some hundred."""
LINE = 16
"""Octets in a line of a dump."""


@dataclass(frozen=True, slots=True)
class Said:
    """What proves the result of a part, taken apart as far as it goes."""

    part: int
    kind: str
    """``report`` or ``operator``."""
    code: str
    at: datetime
    decided_by: ActorLabel
    digest: str
    salt: str
    """Of the digest, before the octets; empty: it has none."""
    channel: str
    pdu: Decoded
    dump: tuple[tuple[str, str, str], ...]
    """Lines of offset, octets in hex, and the same as characters; none: its octets have been forgotten."""
    octets: int


_CHANNELS = "SELECT id, name, protocol FROM channel WHERE id = ANY($1::int[])"


async def said(database: Database, message: MessageView, decode: Decode, *, whole: bool, texts: bool) -> list[Said]:
    """The evidence of a message, the oldest first. ``whole``: with the whole number; ``texts``: with what a receipt
    repeats of the text."""
    rows, texts = await evidence.of_message(database, message.id), _texts(message, whole=whole, texts=texts)
    known = await database.fetch(_CHANNELS, list({row["channel_id"] for row in rows}))
    channels = {row["id"]: row for row in known}
    return [
        _said(row, channels.get(row["channel_id"]), message.number, decode, whole=whole, texts=texts) for row in rows
    ]


def _texts(message: MessageView, *, whole: bool, texts: bool) -> bool:
    """Whether texts are shown: one with a verification code as whole numbers are, that of a login never."""
    hidden = codes.coded(message.type, message.submitter, message.content)
    return texts and (not hidden or (whole and message.submitter != CODE_SENDER))


def _said(row: Row, channel: Row | None, number: str, decode: Decode, *, whole: bool, texts: bool) -> Said:
    octets = b"" if is_pseudonym(number) else row["pdu"] or b""  # without the number it could not be masked
    shown = octets if whole else masked(octets, number)
    pdu = decode(channel["protocol"], shown) if channel and shown else Decoded()
    repeats = not pdu.name or any(name.lower() == "text" and value for name, value in pdu.inside)
    if repeats and not texts:
        shown = b""
        pdu = replace(pdu, fields=tuple(map(_without_text, pdu.fields)), inside=tuple(map(_without_text, pdu.inside)))
    return Said(
        row["part"], row["kind"], row["code"], row["at"], row["decided_by"], row["digest"].hex(),
        (row["salt"] or b"").hex(),
        channel["name"] if channel else "", pdu, tuple(dump(shown)), len(octets),
    )  # fmt: skip


MOST_RECORDED = 200
"""PDUs of a message that are shown; a message of ten parts, resent twice, has sixty."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recorded PDU of the way out: a submit, or its answer."""

    part: int
    attempt: int
    ours: bool
    at: datetime
    channel: str
    pdu: Decoded
    dump: tuple[tuple[str, str, str], ...]
    octets: int


@dataclass(frozen=True, slots=True)
class Submits:
    """What was recorded of a message; nothing, and a channel was recorded at that time: it had no room."""

    pdus: tuple[Recorded, ...]
    left_out_on: str = ""
    """Name of that channel."""


async def submits(database: Database, message: MessageView, decode: Decode, *, whole: bool, texts: bool) -> Submits:
    """The submits of a message and their answers, where their channel was recorded; masked like ``said``."""
    rows = await recorded.of_message(database, message.id, MOST_RECORDED)
    if is_pseudonym(message.number):  # without the number they could not be masked
        return Submits(())
    if not rows:
        at_the_time = await recorded.at_the_time(database, message.id)
        return Submits((), at_the_time["channel"] if at_the_time else "")
    texts = _texts(message, whole=whole, texts=texts)
    known = await database.fetch(_CHANNELS, list({row["channel_id"] for row in rows}))
    names = {row["id"]: row["name"] for row in known}
    return Submits(tuple(
        _recorded(row, names.get(row["channel_id"], ""), message.number, decode, whole=whole, texts=texts)
        for row in rows
    ))  # fmt: skip


def _recorded(row: Row, channel: str, number: str, decode: Decode, *, whole: bool, texts: bool) -> Recorded:
    shown = row["pdu"] if whole else masked(row["pdu"], number)
    pdu = decode(row["protocol"], shown)
    if row["ours"] and not texts:
        shown = b""
        pdu = replace(pdu, fields=tuple(map(_without_text, pdu.fields)), inside=tuple(map(_without_text, pdu.inside)))
    return Recorded(
        row["part"], row["attempt"], row["ours"], row["at"], channel, pdu, tuple(dump(shown)), len(row["pdu"])
    )


_TEXTS = frozenset({"text", "msg_content_hex", "msgcontent_hex", "short_message_hex", "message_content_hex", "tlvs"})


def _without_text(field: tuple[str, str]) -> tuple[str, str]:
    name, value = field
    return name, "****" if name.lower() in _TEXTS and value else value


def masked(octets: bytes, number: str) -> bytes:
    """A PDU in which the number's middle digits are stars, however carriers spell it: as long as before, so that it can
    still be taken apart."""
    plain = numbers.national(number)
    hidden = numbers.mask(number)
    if len(hidden) != len(plain):
        hidden = hidden[:2] + "*" * max(len(plain) - 4, 0) + hidden[-2:] if len(plain) >= 8 else "*" * len(plain)
    octets, tail = octets.replace(plain.encode(), hidden.encode()), numbers.tail(number)
    if not tail:
        return octets
    shown = 4 if numbers.is_mainland(number) else 2
    return octets.replace(tail.encode(), b"*" * (len(tail) - shown) + tail[-shown:].encode())


def dump(octets: bytes) -> list[tuple[str, str, str]]:
    """Octets as lines of offset, hex and characters; at most ``MOST_OCTETS`` of them."""
    lines = []
    for at in range(0, min(len(octets), MOST_OCTETS), LINE):
        piece = octets[at : at + LINE]
        lines.append((f"{at:04x}", piece.hex(" "), "".join(chr(o) if 32 <= o < 127 else "." for o in piece)))
    return lines


# --- hops ------------------------------------------------------------------------------------------------------------

HOPS = ("door", "review", "queue", "answer", "report", "push")
"""The way of a message, hop by hop: taken in, approved, waits for a channel, answered by the carrier, reported by it,
told to the customer."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One of them; ``state``: ``done``, ``stuck`` (it ended here), ``slow`` (trouble, or not known), ``now``,
    ``ahead``."""

    key: str
    state: str


_STUCK: Mapping[str, tuple[str, str]] = {
    "held": ("review", "now"), "scheduled": ("queue", "now"), "queued": ("queue", "now"),
    "submitted": ("report", "now"),
    "uncertain": ("answer", "slow"), "unconfirmed": ("answer", "slow"), "no_report": ("report", "slow"),
    "expired": ("queue", "stuck"), "cancelled": ("queue", "stuck"), "duplicate": ("queue", "stuck"),
}  # fmt: skip
"""Where a message of this status stands, and how; of others it depends on more."""


def hops(trace: Trace) -> list[Hop]:
    """The way of a message: what is behind it, where it stands or has ended, what is ahead."""
    kinds = {step.step for step in trace.steps}
    keys = [key for key in HOPS if key != "review" or kinds & {"held_for_review", "review_passed", "review_rejected"}]
    at, how = _where(trace, kinds)
    if at == "push" or "report_ready" in kinds or trace.message.status == "delivered":
        told = _told(kinds)
    else:
        told = "ahead"
    made = []
    for key in keys:
        order = HOPS.index(key)
        if key == "push":
            made.append(Hop(key, told))
        elif not at or order < HOPS.index(at):
            made.append(Hop(key, "done"))
        else:
            made.append(Hop(key, how if key == at else "ahead"))
    return made if made[-1].state != "ahead" or how in ("now", "slow") else made[:-1]


def _where(trace: Trace, kinds: set[str]) -> tuple[str, str]:
    status = trace.message.status
    if status == "rejected":
        return ("review", "stuck") if "review_rejected" in kinds else ("door", "stuck")
    if status == "failed":
        return (_failed(trace.parts), "stuck")
    if status == "delivered":
        return "", ""
    return _STUCK.get(status, ("queue", "now"))


def _failed(parts: Sequence[PartView]) -> str:
    """Whether the carrier has refused it at once, or has said later that it failed."""
    worst = [part for part in parts if part.status == "failed"]
    return "answer" if worst and all(part.state == "REJECTED" for part in worst) else "report"


def _told(kinds: set[str]) -> str:
    """How the result went to the customer."""
    if "push_dead" in kinds:
        return "stuck"
    if kinds & {"pushed", "acknowledged"}:
        return "done"
    return "slow" if "push_failed" in kinds else "now" if "report_ready" in kinds else "ahead"


def stuck(way: Sequence[Hop]) -> Hop | None:
    """The hop at which something is wrong; None: nothing is."""
    return next((hop for hop in way if hop.state in ("stuck", "slow")), None)
