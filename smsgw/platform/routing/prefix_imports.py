"""Files of prefixes and ported numbers: what one would change, told before it does; brought in whole, and taken back.

An import remembers of each entry that it writes what there was before. Taking it back puts that in place again, but for
what something else has written since: a later file, a person, or a carrier's code that has taught us better. A later
file then remembers what the earlier one has replaced: in whatever order they are taken back, nothing comes again.
"""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import NoneType
from typing import Annotated

from smsgw.core.errors import Invalid, Refused
from smsgw.core.ids import first_id
from smsgw.core.numbers import MAX_OVERRIDES, masked_as_written
from smsgw.core.permissions import Permission
from smsgw.core.words import chinese_lexicon, phrase
from smsgw.platform.change import Change
from smsgw.platform.listing import Listing
from smsgw.platform.paging import Order
from smsgw.platform.routing.prefixes import MOST_LOOKED_AT, PATIENCE, WHOLE
from smsgw.runtime import clock
from smsgw.store.config import numbers
from smsgw.store.engine.database import Database, Row

NAMED = {name: id_ for id_, names in chinese_lexicon.CARRIERS.items() for name in (id_, *names)}
"""What a carrier may be called -> its id."""
MOST_PROBLEMS = 20
KEPT = 20
"""Imports that can be taken back, of those that have changed anything; what older ones have replaced is forgotten."""
LONG = 120.0

Entries = Mapping[str, tuple[str, str]]
"""Prefix (national digits) -> carrier and province."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A line that is no entry."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a file says; the last of a prefix given twice counts."""

    entries: Entries
    problems: Sequence[Problem]


def entry(cells: Sequence[str]) -> tuple[str, tuple[str, str]] | None:
    """What a row of prefix, carrier[, province] says; None: it is no entry."""
    prefix, name, province = (*(cell.strip() for cell in cells[:3]), "", "", "")[:3]
    carrier = NAMED.get(name.upper())
    sound = prefix.isascii() and prefix.isdigit() and prefix[0] == "1" and 3 <= len(prefix) <= WHOLE
    return (prefix, (carrier, province[:20])) if sound and carrier is not None else None


def decode(octets: bytes) -> str:
    """A file's text: UTF-8, or GB 18030, as spreadsheets write it here. ``ValueError`` for what is neither."""
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError:
        return octets.decode("gb18030")


def _heading(cells: Sequence[str]) -> bool:
    """Whether the first line says what the columns are: what is nearly an entry is none, and is told."""
    named = len(cells) > 1 and cells[1].upper() in NAMED
    return not named and not any(letter.isdigit() for letter in cells[0])


def parse(text: str) -> Parsed:
    """A CSV of prefix, carrier[, province], with or without a heading. Reading ends after ``MOST_PROBLEMS``, and where
    the file is none."""
    entries: dict[str, tuple[str, str]] = {}
    problems: list[Problem] = []
    rows = csv.reader(io.StringIO(text))
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if not any(cells) or (rows.line_num == 1 and _heading(cells)):
                continue
            found = entry(cells)
            if found is None:
                problems.append(Problem(rows.line_num, masked_as_written(",".join(cells))[:80]))
            else:
                entries[found[0]] = found[1]
            if len(entries) > MAX_OVERRIDES or len(problems) >= MOST_PROBLEMS:
                break
    except csv.Error as exc:
        problems.append(Problem(rows.line_num, str(exc)))
    return Parsed(entries, problems)


@dataclass(frozen=True, slots=True)
class Difference:
    """What a file would change."""

    added: int
    changed: int
    """Entries that there are with another carrier or province."""
    same: int
    learned: int
    """Of the changed: those that a carrier's code has taught."""
    messages: int
    """Of the newest ``MOST_LOOKED_AT`` of a day: those to numbers that it is about."""
    moved: int
    """Of these: those that went as another carrier's."""


_GIVEN = "unnest($1::text[], $2::text[], $3::text[]) AS d(prefix, carrier, province)"
_DIFFERENCE = f"""
SELECT count(*) FILTER (WHERE o.prefix IS NULL) AS added,
       count(*) FILTER (WHERE (o.carrier, o.province) <> (d.carrier, d.province)) AS changed,
       count(*) FILTER (WHERE (o.carrier, o.province) = (d.carrier, d.province)) AS same,
       count(*) FILTER (WHERE (o.carrier, o.province) <> (d.carrier, d.province) AND o.source = 'learned') AS learned
FROM {_GIVEN} LEFT JOIN number_override o ON o.prefix = d.prefix
"""  # noqa: S608 - constants
_NEWEST = """
SELECT substr(number, 3) AS number, carrier, count(*)::int AS n
FROM (SELECT number, carrier FROM message WHERE id >= $1 ORDER BY id DESC LIMIT $2) newest
WHERE starts_with(number, '86') GROUP BY 1, 2
"""


def _columns(entries: Entries) -> tuple[list[str], list[str], list[str]]:
    return list(entries), [carrier for carrier, _ in entries.values()], [place for _, place in entries.values()]


def _longest(entries: Entries, number: str) -> str | None:
    """The carrier that the file says of a number."""
    found = (entries.get(number[:n]) for n in range(WHOLE, 2, -1))
    return next((one[0] for one in found if one is not None), None)


def _met(entries: Entries, newest: Sequence[Row]) -> tuple[int, int]:
    """Messages to numbers that the file is about, and those of them that went as another carrier's."""
    met = [(one["n"], said != one["carrier"]) for one in newest if (said := _longest(entries, one["number"]))]
    return sum(n for n, _ in met), sum(n for n, other in met if other)


async def difference(database: Database, entries: Entries) -> Difference:
    """What bringing them in would change, and whom."""
    row = await database.fetchrow(_DIFFERENCE, *_columns(entries), timeout=LONG)
    since = first_id(clock.now() - timedelta(days=1))
    newest = await database.fetch(_NEWEST, since, MOST_LOOKED_AT, timeout=PATIENCE)
    messages, moved = await asyncio.to_thread(_met, entries, newest)
    counts = dict(row) if row is not None else {"added": 0, "changed": 0, "same": 0, "learned": 0}
    return Difference(**counts, messages=messages, moved=moved)


_BEGUN = """
INSERT INTO number_import (name, made_by, added, changed, same) VALUES ($1, $2, $3, $4, $5) RETURNING id
"""
_REMEMBER = f"""
INSERT INTO number_import_entry (import_id, prefix, carrier, province, at, was_carrier, was_province, was_source,
                                 was_code, was_at)
SELECT $4, d.prefix, d.carrier, d.province, now(), o.carrier, o.province, o.source, o.learned_code, o.at
FROM {_GIVEN} LEFT JOIN number_override o ON o.prefix = d.prefix
WHERE o.prefix IS NULL OR (o.carrier, o.province) <> (d.carrier, d.province)
"""  # noqa: S608 - constants
_ENTER = """
INSERT INTO number_override (prefix, carrier, province, source, at)
SELECT prefix, carrier, province, 'import', at FROM number_import_entry WHERE import_id = $1
ON CONFLICT (prefix) DO UPDATE SET carrier = excluded.carrier, province = excluded.province, source = 'import',
    learned_code = '', at = excluded.at
"""
_CHANGING = "SELECT id FROM number_import WHERE added + changed > 0 ORDER BY id DESC"
_FORGET = f"DELETE FROM number_import_entry WHERE import_id IN ({_CHANGING} OFFSET $1)"  # noqa: S608 - constants
_TOTAL = "SELECT count(*) FROM number_override"


async def bring_in(change: Change, name: str, entries: Entries) -> int:
    """All of them or none; the import. ``PARAM_INVALID`` for none, or too many; ``PERMISSION_DENIED`` for who sees a
    part of the accounts alone."""
    if not entries:
        raise Invalid("PARAM_INVALID", field="file", reason=phrase("number.import_none"))
    async with change.unit(Permission.NUMBER_EDIT, timeout=LONG) as unit:
        if unit.actor.scope.whole is not None:
            raise Refused("PERMISSION_DENIED")
        connection = unit.connection
        await numbers.take_turn(connection)
        row = await connection.fetchrow(_DIFFERENCE, *_columns(entries))
        assert row is not None  # noqa: S101 - a count
        if row["added"] + await connection.fetchval(_TOTAL) > MAX_OVERRIDES:
            raise Invalid("PARAM_INVALID", field="file", reason=phrase("number.import_many", most=MAX_OVERRIDES))
        counts = row["added"], row["changed"], row["same"]
        id_: int = await connection.fetchval(_BEGUN, name[:200], unit.actor.label, *counts)
        await connection.execute(_REMEMBER, *_columns(entries), id_)
        await connection.execute(_ENTER, id_)
        await connection.execute(_FORGET, KEPT)
        after = {"file": name[:200], **dict(zip(("added", "changed", "same"), counts, strict=True))}
        unit.record("number.import", f"number_import/{id_}", after=after)
    return id_


_LOCKED = """
SELECT undone_at IS NOT NULL AS undone, added + changed AS wrote,
       (SELECT count(*) FROM number_import_entry WHERE import_id = i.id)::int AS kept
FROM number_import i WHERE id = $1 FOR UPDATE
"""
_STILL = "number_import_entry e WHERE e.import_id = $1 AND o.prefix = e.prefix AND o.at = e.at"
_REMOVE = f"DELETE FROM number_override o USING {_STILL} AND e.was_carrier IS NULL"  # noqa: S608 - constants
_RESTORE = f"""
UPDATE number_override o SET carrier = e.was_carrier, province = e.was_province, source = e.was_source,
    learned_code = e.was_code, at = e.was_at FROM {_STILL} AND e.was_carrier IS NOT NULL
"""  # noqa: S608 - constants
_HAND_ON = """
UPDATE number_import_entry later SET was_carrier = e.was_carrier, was_province = e.was_province,
    was_source = e.was_source, was_code = e.was_code, was_at = e.was_at
FROM number_import_entry e
WHERE e.import_id = $1 AND later.import_id > $1 AND later.prefix = e.prefix AND later.was_at = e.at
"""
"""A later file has replaced what this one has written: it is not to put that in place again."""
_UNDONE = "UPDATE number_import SET undone_by = $2, undone_at = now(), undone = $3, kept = $4 WHERE id = $1"


@dataclass(frozen=True, slots=True)
class Undone:
    """What taking an import back has done, or would do."""

    undone: int
    kept: int
    """Something else has changed these since: they stay."""


async def take_back(change: Change, id_: int) -> Undone:
    """Put in place again what an import has replaced. ``NOT_FOUND``; ``STATE_CONFLICT`` for one that was taken back
    before, or that is too long ago."""
    async with change.unit(Permission.NUMBER_EDIT, timeout=LONG) as unit:
        if unit.actor.scope.whole is not None:
            raise Refused("PERMISSION_DENIED")
        connection = unit.connection
        await numbers.take_turn(connection)
        row = await connection.fetchrow(_LOCKED, id_)
        if row is None:
            raise Refused("NOT_FOUND")
        if row["undone"] or row["kept"] < max(row["wrote"], 1):
            raise Refused("STATE_CONFLICT", reason=phrase("number.import_over"))
        removed, restored = [_count(await connection.execute(sql, id_)) for sql in (_REMOVE, _RESTORE)]
        await connection.execute(_HAND_ON, id_)
        result = Undone(removed + restored, row["wrote"] - removed - restored)
        await connection.execute(_UNDONE, id_, unit.actor.label, result.undone, result.kept)
        after = {"taken_back": True, "undone": result.undone, "kept": result.kept}
        unit.record("number.import_undo", f"number_import/{id_}", before={"taken_back": False}, after=after)
    return result


def _count(done: str) -> int:
    return int(done.split()[-1])


_OPEN = f"""
(i.undone_at IS NULL AND i.added + i.changed > 0 AND i.id > COALESCE(({_CHANGING} OFFSET {KEPT} LIMIT 1), 0))
"""


@dataclass(frozen=True, slots=True)
class Import:
    """A file that was brought in."""

    id: int
    name: str
    made_by: str
    made_at: datetime
    added: int
    changed: int
    same: int
    undone_by: str
    undone_at: datetime | None
    undone: int
    kept: int
    open: Annotated[bool, _OPEN]
    """It can be taken back."""


# Everybody with the right sees all.
IMPORTS = Listing(
    Import,
    NoneType,
    "number_import i",
    seen="true",
    orders={"at": Order("i.made_at", "timestamptz"), "id": Order("i.id", "bigint")},
)


_WOULD = """
SELECT count(DISTINCT e.prefix) FILTER (WHERE o.prefix IS NOT NULL) AS undone, count(DISTINCT e.prefix) AS wrote
FROM number_import_entry e LEFT JOIN number_override o ON o.prefix = e.prefix AND o.at = e.at
WHERE e.import_id = ANY($1)
"""


async def would_take_back(database: Database, found: Sequence[Import]) -> Undone:
    """What ``take_back`` of all of these would do now: an entry that several have written is counted once."""
    row = await database.fetchrow(_WOULD, [one.id for one in found], timeout=PATIENCE)
    assert row is not None  # noqa: S101 - a count
    return Undone(row["undone"], row["wrote"] - row["undone"])
