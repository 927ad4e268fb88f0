"""Roots of the trees over a day's evidence: made once the day is over, signed, chained, and verified.

The roots are written down outside the database beside the heads of the audit log, and each is a row of that log.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Protocol

from smsgw.core.actor import Actor
from smsgw.core.evidence import Reads, Report, Root, digest_of, leaf
from smsgw.core.ids import CHINA, day_of, day_range
from smsgw.core.merkle import Tree
from smsgw.core.model import PROBE_ACCOUNT
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.engine.secrets import Sealer
from smsgw.store.engine.states import by_name
from smsgw.store.messages.evidence import EARLY
from smsgw.store.records import audit
from smsgw.store.records.anchors import LONGEST_LINE

PURPOSE = "smsgw evidence v1"
"""Of the key that signs roots."""
SETTLED = timedelta(hours=1)
"""After midnight (China) nothing is written with a time of the day before any more: statements last seconds."""
PATIENCE = 600.0
PAGE = 1000
_OF_DAY = """
SELECT message_id, part, kind, state, channel_id, carrier_id, code, at, pdu, digest, salt, decided_by
FROM evidence WHERE id >= $1 AND id < $2
ORDER BY message_id, part, at, kind COLLATE "C", state, carrier_id COLLATE "C", code COLLATE "C", channel_id, digest,
    decided_by COLLATE "C"
"""
_ROOTS = "SELECT day, leaves, root, made_at, key, mac FROM evidence_root ORDER BY day"
_LAST = "SELECT day, leaves, root, made_at, key, mac FROM evidence_root ORDER BY day DESC LIMIT 1"
_FIRST = "SELECT min(id) FROM evidence"
_PUT = "INSERT INTO evidence_root (day, leaves, root, made_at, key, mac) VALUES ($1, $2, $3, $4, $5, $6)"
_LOCK = "SELECT pg_advisory_xact_lock(1784637091)"


def root_of(row: Row) -> Root:
    """A row of ``evidence_root``."""
    return Root(**{name: row[name] for name in Root.__slots__})


async def _rows(connection: Connection, day: date) -> AsyncIterator[Row]:
    """A day's evidence in the order of its tree; others have their turns in between."""
    n = 0
    async for row in connection.cursor(_OF_DAY, *day_range(day), prefetch=PAGE, timeout=PATIENCE):
        yield row
        n += 1
        if n % 100 == 0:
            await asyncio.sleep(0)


async def make_root(database: Database, sealer: Sealer, now: datetime) -> Root | None:
    """Make the root of the next day that is over and has none; None: there is no such day."""
    async with database.transaction(timeout=PATIENCE) as connection:
        await connection.execute(_LOCK)
        last = await connection.fetchrow(_LAST)
        if last is None:
            first = await connection.fetchval(_FIRST)
            day = None if first is None else day_of(first)
        else:
            day = last["day"] + timedelta(days=1)
        if day is None or day >= (now - SETTLED).astimezone(CHINA).date():
            return None
        tree = Tree()
        async for row in _rows(connection, day):
            tree.add(leaf(dict(row)))
        key, secret = sealer.derive(PURPOSE)
        made = Root(day, tree.leaves, tree.root, now, key, b"")
        mac = hmac.digest(secret, made.signed(last["mac"] if last else b""), "sha256")
        await connection.execute(_PUT, day, made.leaves, made.root, now, key, mac)
        after = {"day": str(day), "leaves": made.leaves, "root": made.root.hex()}
        await audit.append(connection, Actor.system("evidence").author, "evidence.root", f"evidence/{day}", after=after)
    return Root(day, made.leaves, made.root, now, key, mac)


# --- anchors -------------------------------------------------------------------------------------------------------


def line(root: Root, node: int) -> str:
    """A root as it is written down outside."""
    at = root.made_at.astimezone(UTC).isoformat(timespec="seconds")
    said = {"day": str(root.day), "leaves": root.leaves, "root": root.root.hex(), "at": at, "node": node}
    return json.dumps({"evidence": said})


def anchored(path: Path) -> Iterator[tuple[date, bytes]]:
    """The roots in a file: ours, or a system log in which other lines are between. Raises ``OSError``."""
    with path.open(encoding="utf-8", errors="replace") as file:
        while text := file.readline(LONGEST_LINE):
            begin = text.find('{"evidence":')
            if begin < 0:
                continue
            with contextlib.suppress(ValueError, KeyError, TypeError):
                said = json.loads(text[begin:])["evidence"]
                yield date.fromisoformat(said["day"]), bytes.fromhex(said["root"])


# --- verification --------------------------------------------------------------------------------------------------

_HAS_DAY = "SELECT to_regclass($1) IS NOT NULL"
# Octets are missing only where they were forgotten by the rule in force, which is on record.
_FORGETTING = "SELECT EXISTS (SELECT FROM masked_day WHERE class = 'pdus' AND day = $1)"
# What a part says of its result now, beside the last that was proven of it. A part that is sent again after an
# operator's decision, or that waits, has no result.
_RESULTS = by_name("""
SELECT DISTINCT ON (e.message_id, e.part) e.message_id, e.part, e.state, e.code, p.state AS now, p.code AS now_code
FROM evidence e JOIN part p ON p.id = e.message_id AND p.part = e.part
WHERE e.id >= $1 AND e.id < $2
  AND NOT EXISTS (SELECT FROM evidence l WHERE l.message_id = e.message_id AND l.part = e.part AND l.id > e.id)
ORDER BY e.message_id, e.part, e.id DESC, e.at DESC
""")
_UNPROVEN = by_name(f"""
SELECT p.id, p.part FROM part p
WHERE p.id >= $1 AND p.id < $2 AND p.state = :DELIVERED AND (p.id >= $6 OR p.final_at >= $3)
  AND p.account_id <> $4
  AND NOT EXISTS (
      SELECT FROM evidence e
      WHERE e.message_id = p.id AND e.part = p.part AND e.state = :DELIVERED AND e.id >= $1 - {EARLY})
ORDER BY p.id, p.part LIMIT $5
""")  # noqa: S608
_CHANNELS = "SELECT id, protocol, access_code FROM channel"
# A report of a long message may name the id of any of its parts, or of an earlier attempt; one that has found its part
# by our reference, by the number, or by a rule that an operator has applied, any id.
_ABOUT = """
SELECT m.id, m.number, ARRAY(SELECT p.carrier_id FROM part p WHERE p.id = m.id AND p.carrier_id IS NOT NULL
                             UNION ALL
                             SELECT a.carrier_id FROM attempt a WHERE a.id = m.id AND a.carrier_id IS NOT NULL) AS ids,
       EXISTS (SELECT FROM event e
               WHERE e.id = m.id AND e.kind IN ('inferred', 'by_reference', 'rematched')) AS inferred
FROM message m WHERE m.id = ANY($1::bigint[])
"""
READ_AT_ONCE = 500
"""PDUs."""
_SINCE = "SELECT id, at FROM evidence ORDER BY id LIMIT 1"


class Told(Protocol):
    """Is told how far verification is."""

    async def __call__(self, done: int, total: int) -> None:
        """``done`` of ``total`` days."""


async def _untold(done: int, total: int) -> None:
    del done, total


async def verify(
    database: Database, sealer: Sealer, files: Iterable[Path], *, now: datetime, only: date | None = None,
    told: Told = _untold, reads: Reads | None = None,
) -> Report:  # fmt: skip
    """Digest every PDU anew, and with ``reads`` decode it; make every day's root anew and compare it with what is
    stored, signed and anchored, and compare the results of parts with what was proven of them. ``only``: of that day
    alone, but all signatures.

    The day under way has no root yet: of it PDUs and results are looked at.
    """
    report = Report()
    channels = {row["id"]: row for row in await database.fetch(_CHANNELS)}
    outside: dict[date, set[bytes]] = {}
    for path in files:
        if path.exists():
            for day, root in await asyncio.to_thread(lambda path=path: list(anchored(path))):  # type: ignore[misc]
                outside.setdefault(day, set()).add(root)
                report.anchors += 1
    roots = {row["day"]: root_of(row) for row in await database.fetch(_ROOTS)}
    _chain(report, sealer, roots, outside)
    first = await database.fetchval(_FIRST)
    today = now.astimezone(CHINA).date()
    begin = min([*roots, *([day_of(first)] if first is not None else [])], default=today)
    days = [begin + timedelta(days=n) for n in range((today - begin).days + 1)]
    days = [day for day in days if only is None or day == only]
    for n, day in enumerate(days):
        await told(n, len(days))
        reader = None if reads is None else _Reader(reads, channels, report, day)
        await _day(database, report, day, roots.get(day), (now - SETTLED).astimezone(CHINA).date(), reader)
    await told(len(days), len(days))
    return report


def _chain(report: Report, sealer: Sealer, roots: dict[date, Root], outside: dict[date, set[bytes]]) -> None:
    """Signatures, order and anchors of all roots."""
    before, expected = b"", None
    for day, root in roots.items():
        secret = sealer.derived(PURPOSE, root.key)
        if secret is None:
            report.add("key_missing", day, root.key)
        elif not hmac.compare_digest(hmac.digest(secret, root.signed(before), "sha256"), root.mac):
            report.add("signature", day)
        if expected is not None and day != expected:
            report.add("order", expected)
        before, expected = root.mac, day + timedelta(days=1)
    for day, said in outside.items():
        if day not in roots:
            report.add("missing", day)
        elif roots[day].root not in said or len(said) > 1:
            report.add("anchor", day)


class _Reader:
    """Reads a day's PDUs, a page of them at a time, beside the messages that they are about."""

    def __init__(self, reads: Reads, channels: dict[int, Row], report: Report, day: date) -> None:
        self._reads, self._channels, self._report, self._day = reads, channels, report, day
        self._page: list[Row] = []

    async def add(self, connection: Connection, row: Row) -> None:
        """One of them."""
        if row["pdu"] is not None:
            self._page.append(row)
        if len(self._page) >= READ_AT_ONCE:
            await self.read(connection)

    async def read(self, connection: Connection) -> None:
        """Those that wait."""
        page, self._page = self._page, []
        for row in await _belied(connection, page, self._reads, self._channels):
            self._report.add("said", self._day, _about(row))


async def _belied(
    database: Database | Connection, rows: Sequence[Row], reads: Reads, channels: Mapping[int, Row]
) -> list[Row]:
    """Those whose PDU does not say their result. Channels keep their rows when they are removed, so nothing can have
    come by one that is not there."""
    found = await database.fetch(_ABOUT, sorted({row["message_id"] for row in rows})) if rows else []
    about = {row["id"]: row for row in found}
    wrong = []
    for row in rows:
        message, channel = about.get(row["message_id"]), channels.get(row["channel_id"])
        number = message["number"] if message else ""
        ids = None if message and message["inferred"] else {row["carrier_id"], *(message["ids"] if message else ())}
        readings = reads(channel["protocol"], channel["access_code"], row["pdu"]) if channel else ()
        if not any(said.fits(row["state"], row["code"], number, ids) for said in readings):
            wrong.append(row)
    return wrong


async def _day(
    database: Database, report: Report, day: date, root: Root | None, settled: date, reader: _Reader | None
) -> None:
    """One day's rows, its root, and the results that they prove."""
    low, high = day_range(day)
    async with database.transaction(timeout=PATIENCE) as connection:
        forgetting = await connection.fetchval(_FORGETTING, day)
        tree = Tree()
        async for row in _rows(connection, day):
            tree.add(leaf(dict(row)))
            fits = digest_of(row["salt"], row["pdu"]) == row["digest"]
            if row["pdu"] is not None:
                report.pdus += 1
            if row["pdu"] is None and not fits and forgetting:
                report.forgotten += 1
            elif not fits:
                report.add("pdu", day, _about(row))
            if reader is not None:
                await reader.add(connection, row)
        if reader is not None:
            await reader.read(connection)
        if root is not None and not tree.leaves and not await connection.fetchval(_HAS_DAY, f"evidence_{day:%Y%m%d}"):
            if not await connection.fetchval(_HAS_DAY, f"part_{day:%Y%m%d}"):  # both are kept for as many days
                report.gone += 1
                return
            report.add("missing", day)
        report.days += 1
        report.leaves += tree.leaves
        if root is not None and (tree.leaves, tree.root) != (root.leaves, root.root):
            report.add("root", day)
        elif root is None and day < settled - timedelta(days=1):
            report.add("missing", day)
        async for row in connection.cursor(_RESULTS, low, high, prefetch=PAGE, timeout=PATIENCE):
            report.results += 1
            if (row["now"], row["now_code"]) != (row["state"], row["code"]):
                report.add("result", day, _about(row))
        since = await connection.fetchrow(_SINCE)
        if since is not None:  # what was accepted since then is proven, whenever it says that it has ended
            asked = (low, high, since["at"], PROBE_ACCOUNT, PAGE, since["id"])
            for row in await connection.fetch(_UNPROVEN, *asked, timeout=PATIENCE):
                report.add("unproven", day, f"{row['id']}/{row['part']}")


def _about(row: Row) -> str:
    return f"{row['message_id']}/{row['part']}"


_OF_MESSAGE = f"""
SELECT id, message_id, part, kind, state, channel_id, carrier_id, code, at, digest, pdu, salt, decided_by FROM evidence
WHERE message_id = $1 AND id >= $1 - {EARLY} ORDER BY id, part LIMIT 1000
"""  # noqa: S608


async def of_message(database: Database | Connection, message_id: int) -> list[Row]:
    """What proves the results of a message's parts, the oldest first."""
    return await database.fetch(_OF_MESSAGE, message_id)


async def belied(database: Database | Connection, rows: Sequence[Row], reads: Reads) -> list[Row]:
    """Those of the rows of ``of_message`` whose PDU does not say their result."""
    channels = {row["id"]: row for row in await database.fetch(_CHANNELS)}
    return await _belied(database, [row for row in rows if row["pdu"] is not None], reads, channels)
