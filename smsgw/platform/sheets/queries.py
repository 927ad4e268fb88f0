"""The statements of uploaded tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from smsgw.core.actor import ActorLabel
from smsgw.platform.sheets.model import Outcome, Result, Sheet
from smsgw.store.engine.database import Connection, Database, Row

_ADD = """
INSERT INTO sheet (id, node, purpose, name, form, columns, first_rows, row_count, submitter, expires_at)
VALUES ($1, $2, $3, $4, $5::jsonb, $6, $7::jsonb, $8, $9, $10)
"""
_GET = "SELECT * FROM sheet WHERE id = $1 AND purpose = $2 AND submitter = $3 AND expires_at > clock_timestamp()"
_KEPT = "SELECT count(*) FROM sheet WHERE submitter = $1 AND expires_at > clock_timestamp()"
_FORGET = "DELETE FROM sheet WHERE expires_at < $1"
_ADD_RESULT = """
INSERT INTO sheet_result (job_id, line, outcome, key, name, row_id, said, said_en)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (job_id, line) DO NOTHING
"""
_ADD_RESULTS = """
INSERT INTO sheet_result (job_id, line, outcome, key, name, row_id, said, said_en)
SELECT $1, * FROM unnest($2::int[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[])
ON CONFLICT (job_id, line) DO NOTHING
"""
_RESULTS = "SELECT * FROM sheet_result WHERE job_id = $1 AND line > $3 ORDER BY line LIMIT $2"
_LAST = "SELECT COALESCE(max(line), 0) FROM sheet_result WHERE job_id = $1"
_LINES = "SELECT line FROM sheet_result WHERE job_id = $1"
_COUNTS = "SELECT outcome, count(*) AS n FROM sheet_result WHERE job_id = $1 GROUP BY outcome"


async def add(connection: Connection, sheet: Sheet) -> None:
    """Enter a table."""
    await connection.execute(
        _ADD, sheet.id, sheet.node, sheet.purpose, sheet.name, json.dumps(sheet.form), list(sheet.columns),
        json.dumps(sheet.first_rows, ensure_ascii=False), sheet.rows, sheet.submitter, sheet.expires_at,
    )  # fmt: skip


async def get(database: Database | Connection, id_: int, purpose: str, submitter: ActorLabel) -> Sheet | None:
    """A table that this person has uploaded for this purpose, and whose time is not over."""
    row = await database.fetchrow(_GET, id_, purpose, submitter)
    return None if row is None else _sheet(row)


async def kept(database: Database, submitter: ActorLabel) -> int:
    """How many tables a person has."""
    number: int = await database.fetchval(_KEPT, submitter)
    return number


async def forget(database: Database, before: datetime) -> None:
    """Forget tables whose time was over before then."""
    await database.execute(_FORGET, before)


async def add_result(connection: Connection | Database, job_id: int, result: Result) -> None:
    """Write down what has become of a row; what was written before stays."""
    await connection.execute(
        _ADD_RESULT, job_id, result.line, result.outcome.value, result.key, result.name, result.row_id, result.said,
        result.said_en,
    )  # fmt: skip


async def add_results(connection: Connection, job_id: int, results: Sequence[Result]) -> None:
    """The same of several."""
    if results:
        rows = [(r.line, r.outcome.value, r.key, r.name, r.row_id, r.said, r.said_en) for r in results]
        await connection.execute(_ADD_RESULTS, job_id, *map(list, zip(*rows, strict=True)))


async def results(database: Database, job_id: int, most: int, *, after: int = 0) -> list[Result]:
    """What has become of the rows behind a line, in their order."""
    return [
        Result(r["line"], Outcome(r["outcome"]), r["key"], r["name"], r["row_id"], r["said"], r["said_en"])
        for r in await database.fetch(_RESULTS, job_id, most, after)
    ]


async def lines(database: Database, job_id: int) -> set[int]:
    """Lines of the rows of which it is known."""
    return {row["line"] for row in await database.fetch(_LINES, job_id)}


async def last(database: Database, job_id: int) -> int:
    """The last line of which it is known; 0: none."""
    line: int = await database.fetchval(_LAST, job_id)
    return line


async def counts(database: Database, job_id: int) -> dict[Outcome, int]:
    """How many rows have come to what."""
    return {Outcome(row["outcome"]): row["n"] for row in await database.fetch(_COUNTS, job_id)}


def _sheet(row: Row) -> Sheet:
    return Sheet(
        row["id"], row["node"], row["purpose"], row["name"], json.loads(row["form"]), tuple(row["columns"]),
        json.loads(row["first_rows"]), row["row_count"], row["submitter"], row["expires_at"],
    )  # fmt: skip
