"""The chain over the audit log: which rows there are and in which order, checked against heads that are kept elsewhere.

``seal`` takes new rows into the chain: each link's HMAC is over the link before it and the HMAC of its row. Links are
numbered without gaps. The last link stands for all rows before it, so its number and HMAC, kept outside the database
(``anchors``), show what was taken from the end. ``prune`` cuts the beginning off and leaves a signed checkpoint.
"""

from __future__ import annotations

import contextlib
import hmac
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from smsgw.core.actor import Author
from smsgw.core.audit import ACCEPT, MAX_PROBLEMS, Anchor, Head, Problem, Report
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.engine.secrets import Sealer
from smsgw.store.records import audit
from smsgw.store.records.audit import PURPOSE, row_hash, row_mac

LOCK = 0x61756469
"""Advisory lock: one at a time makes links."""
BATCH = 1000
"""Most rows that one commit takes into the chain, …"""
PRUNED_AT_ONCE = 20_000
"""… and that one takes out."""
PAGE = 2000
PATIENCE = 60.0
"""Seconds for a statement that may look at the whole log."""


def _link_mac(key: bytes, previous: bytes, seq: int, id_: int, row: bytes) -> bytes:
    text = previous + seq.to_bytes(8, "big") + id_.to_bytes(8, "big", signed=True) + row
    return hmac.digest(key, b"link\0" + text, "sha256")


def _checkpoint_sign(key: bytes, head: Head, at: datetime, legacy: dict[str, Any] | None) -> bytes:
    said = [head.seq, head.mac.hex(), at.astimezone(UTC).isoformat(timespec="microseconds"), legacy]
    return hmac.digest(key, b"checkpoint\0" + json.dumps(said, sort_keys=True).encode(), "sha256")


# A checkpoint is the end only where no link is: all links are behind it.
_HEAD = """
SELECT seq, mac FROM ((SELECT seq, mac, 1 AS rank FROM audit_link ORDER BY seq DESC LIMIT 1)
    UNION ALL (SELECT seq, mac, 2 FROM audit_checkpoint ORDER BY seq DESC LIMIT 1)) h ORDER BY rank LIMIT 1
"""


async def head(connection: Connection | Database) -> Head | None:
    """The end of the chain; ``None`` before its beginning."""
    row = await connection.fetchrow(_HEAD)
    return Head(row["seq"], row["mac"]) if row else None


_OPEN = """
SELECT o.id, a.mac, EXISTS (SELECT FROM audit_link l WHERE l.id = o.id) AS linked
FROM audit_open o LEFT JOIN audit a ON a.id = o.id ORDER BY o.id LIMIT $1
"""
_LINK = """
INSERT INTO audit_link (seq, id, key, mac)
SELECT seq, id, $3, mac FROM unnest($1::bigint[], $2::bigint[], $4::bytea[]) AS l(seq, id, mac)
"""
_CLOSE = "DELETE FROM audit_open WHERE id = ANY($1::bigint[])"


async def seal(database: Database, sealer: Sealer) -> int:
    """Take rows that are committed into the chain; their number, at most ``BATCH``."""
    async with database.transaction(timeout=PATIENCE) as connection:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
        last = await head(connection) or await _begin(connection, sealer)
        rows = await connection.fetch(_OPEN, BATCH)
        if not rows:
            return 0
        key, secret = sealer.derive(PURPOSE)
        seq, mac = last
        links = []
        for row in rows:
            if not row["linked"]:
                seq += 1
                mac = _link_mac(secret, mac, seq, row["id"], row["mac"] or b"")
                links.append((seq, row["id"], mac))
        if links:
            numbers, ids, macs = zip(*links, strict=True)
            await connection.execute(_LINK, numbers, ids, key, macs)
        await connection.execute(_CLOSE, [row["id"] for row in rows])
    return len(rows)


_LEGACY = """
SELECT count(*) AS rows, max(id) AS last_id,
       (SELECT hash FROM audit WHERE mac IS NULL AND hash IS NOT NULL ORDER BY id DESC LIMIT 1) AS hash
FROM audit WHERE mac IS NULL AND hash IS NOT NULL
"""
_CHECKPOINT = """
INSERT INTO audit_checkpoint (seq, mac, at, legacy, key, sign) VALUES ($1, $2, $3, $4::text::jsonb, $5, $6)
"""


async def _legacy(connection: Connection | Database) -> dict[str, Any] | None:
    """The chain from before as it stands, if there is one."""
    (found,) = await connection.fetch(_LEGACY, timeout=PATIENCE)
    return {"rows": found["rows"], "last_id": found["last_id"], "head": found["hash"].hex()} if found["rows"] else None


async def _begin(connection: Connection, sealer: Sealer) -> Head:
    """The first checkpoint; it seals the chain from before, if there is one."""
    legacy = await _legacy(connection)
    at = await connection.fetchval("SELECT clock_timestamp()")
    key, secret = sealer.derive(PURPOSE)
    mac = _checkpoint_sign(secret, Head(0, b"begin"), at, legacy)
    first = Head(0, mac)
    sign = _checkpoint_sign(secret, first, at, legacy)
    await connection.execute(_CHECKPOINT, 0, mac, at, json.dumps(legacy) if legacy else None, key, sign)
    return first


# --- retention --------------------------------------------------------------------------------------------------


async def prune(database: Database, sealer: Sealer, before: datetime) -> int:
    """Drop the beginning of the log: rows older than ``before``, some thousands at a time; their number.

    How old a row is says its signature: the first one that does not fit, and is not known, ends it. The database
    refuses what is younger than 183 days, whoever asks.
    """
    async with database.transaction(timeout=PATIENCE) as connection:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
        last = await Verifier(connection, sealer).all_older(before, PRUNED_AT_ONCE)
        if last is None:
            return 0
        at = await connection.fetchval("SELECT clock_timestamp()")
        key, secret = sealer.derive(PURPOSE)
        sign = _checkpoint_sign(secret, last, at, None)
        gone: int = await connection.fetchval("SELECT audit_prune($1, $2, $3, $4, $5)", *last, at, key, sign)
        return gone


# --- verification -----------------------------------------------------------------------------------------------


_CHECKPOINTS = """
SELECT seq, mac, at, legacy::text AS legacy, key, sign FROM audit_checkpoint
WHERE $1::bigint IS NULL OR seq < $1 ORDER BY seq DESC LIMIT $2
"""
_SAYS = """
a.id AS found, a.at, a.actor, host(a.ip) AS ip, a.action, a.object,
a.before::text AS before, a.after::text AS after, a.mac
"""
_CHAIN = f"""
SELECT l.seq, l.id, l.key AS link_key, l.mac AS link_mac, a.key, {_SAYS}
FROM audit_link l LEFT JOIN audit a ON a.id = l.id
WHERE l.seq > $1 ORDER BY l.seq LIMIT $2
"""  # noqa: S608 - constant text
_WAITING = f"SELECT o.id, a.key, {_SAYS} FROM audit_open o LEFT JOIN audit a ON a.id = o.id ORDER BY o.id LIMIT $1"  # noqa: S608
_BEFORE = f"SELECT a.id, a.hash, {_SAYS} FROM audit a WHERE id > $1 AND id <= $3 AND mac IS NULL ORDER BY id LIMIT $2"  # noqa: S608
_ACCEPTED = f"SELECT a.id, a.key, {_SAYS} FROM audit a WHERE a.action = '{ACCEPT}' ORDER BY a.id DESC LIMIT 100"  # noqa: S608
# A link at or before the beginning holds nothing: nobody walks it.
_OUTSIDE = """
SELECT a.id
FROM audit a LEFT JOIN audit_link l ON l.id = a.id AND l.seq > $3 LEFT JOIN audit_open o ON o.id = a.id
WHERE l.id IS NULL AND o.id IS NULL AND NOT (a.mac IS NULL AND a.id BETWEEN 1 AND $1)
ORDER BY a.id LIMIT $2
"""


class Verifier:
    """Walks the chain, page by page. Rows that are added meanwhile do no harm."""

    def __init__(self, database: Connection | Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer
        self.report = Report()

    def _key(self, id_: str | None) -> bytes | None:
        return self._sealer.derived(PURPOSE, id_) if id_ else None

    def row_is_ours(self, row: Row) -> bool | None:
        """Whether a row is as we have written it; ``None``: its key is not in the key file."""
        if row["mac"] is None:
            return False
        key = self._key(row["key"])
        if key is None:
            return None
        return hmac.compare_digest(
            row["mac"],
            row_mac(
                key, row["id"], row["at"], Author(row["actor"], row["ip"]), row["action"], row["object"],
                row["before"], row["after"],
            ),
        )  # fmt: skip

    async def run(self, anchors: Iterable[Anchor]) -> Report:
        """Everything: the checkpoint, the chain from before, the chain, rows outside of it, the anchors."""
        report = self.report
        start, legacy = await self.checkpoint()
        report.pruned = start.seq
        if legacy:
            await self._legacy(legacy)
        await self._chain(start)
        await self._outside(start.seq, legacy["last_id"] if legacy else 0)
        await self.check_anchors(anchors, start.seq)
        if not report.anchors and report.head and report.head.seq:
            report.add("no_anchor", report.head.seq)
        await self.mark_known()
        return report

    async def checkpoint(self) -> tuple[Head, dict[str, Any] | None]:
        """Where the chain begins: the last checkpoint that is genuine. Where none is, it has to be the last one."""
        found = None
        async for rows in self._pages(_CHECKPOINTS, None, by="seq"):
            for row in rows:
                start, legacy = (Head(row["seq"], row["mac"]), json.loads(row["legacy"]) if row["legacy"] else None)
                key = self._key(row["key"])
                if key is None:
                    self.report.add("key_missing", start.seq, f"checkpoint, key {row['key']}")
                elif hmac.compare_digest(row["sign"], _checkpoint_sign(key, start, row["at"], legacy)):
                    self.report.head = start
                    return start, legacy
                else:
                    self.report.add("beginning", start.seq)
                found = found or (start, legacy)
        if found is not None:
            self.report.head = found[0]
            return found
        if await self._database.fetchval("SELECT EXISTS (SELECT FROM audit_link)"):
            self.report.add("beginning", 0)
        return Head(0, b""), await _legacy(self._database)  # no node has run since there is a chain

    async def _pages(self, sql: str, after: int | None, *args: Any, by: str) -> AsyncIterator[list[Row]]:
        while rows := await self._database.fetch(sql, after, PAGE, *args, timeout=PATIENCE):
            yield rows
            after = rows[-1][by]

    async def all_older(self, before: datetime, most: int) -> Head | None:
        """The last of the first links whose rows are all older, or known to be wrong; ``None``: there is none."""
        start, _ = await self.checkpoint()
        accepted, found = await self._accepted(), None
        async with contextlib.aclosing(self._links(start)) as links:
            async for row, sound in links:
                if not sound or row["seq"] == start.seq + 1:
                    latest = self.report.problems[-2:]  # a link has two at most; those before were known
                    if self.report.more or not all(_who_knows(problem, accepted) for problem in latest):
                        break
                if sound and row["at"] >= before:
                    break
                if sound:
                    found = Head(row["seq"], row["link_mac"])
                if row["seq"] >= start.seq + most:
                    break
        return found

    async def _chain(self, start: Head) -> None:
        async for row, sound in self._links(start):
            self.report.rows += sound
            self.report.head = Head(row["seq"], row["link_mac"])

    async def _links(self, start: Head) -> AsyncGenerator[tuple[Row, bool]]:
        """The chain from there on, and whether each link and its row are sound."""
        seq, previous = start
        async for rows in self._pages(_CHAIN, start.seq, by="seq"):
            for row in rows:
                follows = row["seq"] == seq + 1
                if not follows:
                    self.report.add("gap", seq + 1, last=row["seq"] - 1)
                sound = self._row(row) and self._link(row, previous, follows=follows)
                yield row, sound
                seq, previous = row["seq"], row["link_mac"]

    def _row(self, row: Row) -> bool:
        if row["found"] is None:
            self.report.add("deleted", row["id"])
            return False
        ours = self.row_is_ours(row)
        if ours is None:
            self.report.add("key_missing", row["id"], f"row, key {row['key']}")
        elif not ours:
            self.report.add("edited" if row["mac"] is not None else "foreign", row["id"])
        return bool(ours)

    def _link(self, row: Row, previous: bytes, *, follows: bool) -> bool:
        if not follows:  # what it followed is not there
            return False
        key = self._key(row["link_key"])
        if key is None:
            self.report.add("key_missing", row["seq"], f"link, key {row['link_key']}")
            return False
        fits = hmac.compare_digest(row["link_mac"], _link_mac(key, previous, row["seq"], row["id"], row["mac"]))
        if not fits:
            self.report.add("moved", row["seq"], f"row {row['id']}")
        return fits

    async def _legacy(self, legacy: dict[str, Any]) -> None:
        report, previous, last = self.report, audit.FIRST, 0
        async for rows in self._pages(_BEFORE, 0, legacy["last_id"], by="id"):
            for row in rows:
                digest = row_hash(
                    previous,
                    at=row["at"], author=Author(row["actor"], row["ip"]), action=row["action"], object=row["object"],
                    before=json.loads(row["before"]) if row["before"] is not None else None,
                    after=json.loads(row["after"]) if row["after"] is not None else None,
                )  # fmt: skip
                if digest == row["hash"]:
                    report.legacy += 1
                else:
                    report.add("legacy", row["id"])
                previous, last = row["hash"], row["id"]
        if (previous or b"").hex() != legacy["head"]:
            report.add("legacy", legacy["last_id"], f"its end was sealed, and the last row is now {last or 'none'}")

    async def _outside(self, start: int, legacy_last: int) -> None:
        """Rows that are neither in the chain, nor waiting for it, nor from before."""
        self.report.open = await self._database.fetchval("SELECT count(*) FROM audit_open", timeout=PATIENCE)
        most = 10 * MAX_PROBLEMS
        for row in await self._database.fetch(_OUTSIDE, legacy_last, most, start, timeout=PATIENCE):
            self.report.add("not_in_chain", row["id"])
        for row in await self._database.fetch(_WAITING, PAGE, timeout=PATIENCE):
            self._row(row)

    async def check_anchors(self, anchors: Iterable[Anchor], after: int) -> None:
        """Whether the heads that were written down are in the chain; those at or before link ``after`` are over."""
        missing: list[Anchor] = []
        newest = ""
        everything = iter(anchors)
        while page := list(islice(everything, PAGE)):
            self.report.anchors += len(page)
            later = [anchor for anchor in page if anchor.head.seq > after]
            found = {
                row["seq"]: row["mac"]
                for row in await self._database.fetch(
                    "SELECT seq, mac FROM audit_link WHERE seq = ANY($1::bigint[])",
                    list({anchor.head.seq for anchor in later}),
                    timeout=PATIENCE,
                )
            }
            lost = [anchor for anchor in later if found.get(anchor.head.seq) != anchor.head.mac]
            newest = max([newest, *(anchor.at for anchor in lost)])
            ends = sorted(missing + lost, key=lambda anchor: anchor.head.seq)
            missing = ends[:1] + ends[1:][-1:]
        if missing:
            first, last = missing[0], missing[-1]
            self.report.add(
                "end_missing", first.head.seq, f"anchored from {first.at} on in {first.where}", last=last.head.seq
            )
            self.report.problems[-1].at = newest

    async def mark_known(self) -> None:
        """Mark what somebody has taken note of."""
        accepted = await self._accepted()
        for problem in self.report.problems:
            problem.known = _who_knows(problem, accepted)

    async def _accepted(self) -> list[tuple[Row, dict[str, Any]]]:
        """What was taken note of, by rows that are genuine; the latest first."""
        rows = await self._database.fetch(_ACCEPTED, timeout=PATIENCE)
        return [(row, json.loads(row["after"])) for row in rows if self.row_is_ours(row)]


def _who_knows(problem: Problem, accepted: Iterable[tuple[Row, dict[str, Any]]]) -> str:
    for row, said in accepted:
        if problem.at <= row["at"].isoformat() and any(
            kind == problem.kind and first <= problem.first and problem.last <= last
            for kind, first, last in said["problems"]
        ):
            return f"{row['at']:%Y-%m-%d %H:%M} {row['actor']}: {said['reason']}"
    return ""


async def verify(database: Database, sealer: Sealer, anchors: Iterable[Anchor] = ()) -> Report:
    """Check the whole log against the anchors, in bounded memory."""
    return await Verifier(database, sealer).run(anchors)


async def broken_ends(database: Database, sealer: Sealer, anchors: Iterable[Anchor]) -> list[Problem]:
    """What is wrong with the chain's two ends and is not known: the part of ``verify`` that costs little."""
    verifier = Verifier(database, sealer)
    start, _ = await verifier.checkpoint()
    await verifier.check_anchors(anchors, start.seq)
    if verifier.report.problems:
        await verifier.mark_known()
    return [problem for problem in verifier.report.problems if not problem.known]
