"""Consents brought in from a table, as a durable job: by whoever has begun it, with the rights of the moment.

What a row does not say is as it was said for all of them. Rows are entered a hundred at a time with what has become of
each; a job that is cut off goes on behind them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from smsgw.core import numbers
from smsgw.core.actor import Actor, ActorLabel
from smsgw.core.errors import Invalid, Refused, SmsgwError, Temporary, messages_of
from smsgw.core.permissions import Permission
from smsgw.core.words import labels_of, phrase
from smsgw.platform.change import Change
from smsgw.platform.jobs import queries as jobs
from smsgw.platform.jobs.model import Job, NewJob
from smsgw.platform.jobs.runner import LONG, JobContext, JobKind
from smsgw.platform.keys import queries as keys
from smsgw.platform.lists import consents
from smsgw.platform.lists.consents import Given, Source
from smsgw.platform.org import queries as people
from smsgw.platform.sheets import queries as sheets
from smsgw.platform.sheets.model import Outcome, Result
from smsgw.platform.sheets.service import Sheets
from smsgw.store.engine.database import Database

NAME = "consent.import"
PATIENCE = 3600.0
LASTS = timedelta(days=1)
COLUMNS = ("number", "given_at", "source", "wording", "proof")
"""What columns may mean; the first has to be there."""
AT_ONCE = 100
"""Rows of one transaction."""
_OPERATOR = Actor.operator("").label
SOURCES = labels_of("consent_source")
_NAMED = {said.lower(): Source(code) for code, words in SOURCES.items() for said in (code, str(words), words.english)}


@dataclass(frozen=True, slots=True)
class Table:
    """A stored table, whichever way it has come."""

    id: int
    node: int
    name: str
    form: Mapping[str, Any]
    columns: Sequence[str]
    rows: int


@dataclass(frozen=True, slots=True)
class Plan:
    """How the rows are to be read: of ``COLUMNS`` which of the table's it is, from 0, and what holds for all rows that
    say nothing of it themselves."""

    account_id: int
    columns: Mapping[str, int]
    given_at: datetime | None = None
    source: Source | None = None
    wording: str = ""
    proof: str = ""
    said: Mapping[str, Any] = field(init=False)
    """The same, as a job has it."""

    def __post_init__(self) -> None:
        said = {
            "account": self.account_id, "columns": dict(self.columns), "source": self.source and self.source.value,
            "given_at": self.given_at and self.given_at.isoformat(), "wording": self.wording, "proof": self.proof,
        }  # fmt: skip
        object.__setattr__(self, "said", said)


async def begin(change: Change, table: Table, plan: Plan) -> int:
    """Have a table's consents brought in, on the node where it lies; the job. ``PARAM_…``: a column that is not there,
    or that nothing is said of; ``NOT_FOUND`` for an account that is not the actor's; ``STATE_CONFLICT`` while it is
    being brought in already."""
    if any(key not in COLUMNS or not 0 <= at < len(table.columns) for key, at in plan.columns.items()):
        raise Invalid("PARAM_INVALID", field="columns", reason=phrase("fields.known", known=", ".join(COLUMNS)))
    needed = {"number": "", "given_at": plan.given_at, "source": plan.source, "proof": plan.proof}
    for key, said in needed.items():
        if key not in plan.columns and not said:
            raise Invalid("PARAM_MISSING", field=key)
    async with change.unit(Permission.BLOCK_EDIT, plan.account_id) as unit:
        wanted = NewJob(
            NAME, {"table": table.id, "file": table.name, "form": dict(table.form), **plan.said}, unit.actor.label,
            subject=f"table/{table.id}", account_id=plan.account_id, node=table.node, lasts=LASTS,
        )  # fmt: skip
        id_ = await jobs.add(unit.connection, wanted)
        if id_ is None:
            raise Refused("STATE_CONFLICT", reason=phrase("import.under_way"))
        after = {"file": table.name, "rows": table.rows, **plan.said}
        unit.record("consent.import", f"job/{id_}", after={k: v for k, v in after.items() if v})
    return id_


async def one(database: Database, actor: Actor, job_id: int) -> Job:
    """An import into an account of the actor's. ``NOT_FOUND``."""
    job = await jobs.get(database, actor.scope, job_id)
    if job is None or job.kind != NAME:
        raise Refused("NOT_FOUND")
    return job


class ConsentImporter:
    """Brings in the consents of tables on one node."""

    def __init__(self, database: Database, tables: Sheets) -> None:
        self._database = database
        self._tables = tables

    def kind(self) -> JobKind:
        """The kind of its jobs."""
        return JobKind(NAME, self._run, per_owner=1, at_once=2, places=LONG, patience=PATIENCE)

    async def _run(self, context: JobContext) -> None:
        job = context.job
        change = Change(self._database, await self._actor(job.submitter, int(job.params["account"])))
        columns: dict[str, int] = job.params["columns"]
        rows = await self._tables.read(
            int(job.params["table"]), job.params["form"], list(columns.values()), job.submitter
        )
        known = await sheets.lines(self._database, job.id)
        seen: dict[int, int] = {}
        for start in range(0, len(rows), AT_ONCE):
            some = [
                _Row(line, dict(zip(columns, (cell.strip() for cell in cells), strict=True)))
                for line, cells in rows[start : start + AT_ONCE]
            ]
            results = _judged(job.params, some, seen)
            if any(row.line not in known for row in some):
                await _enter(change, job, [row for row in some if row.line not in known], results)
            await context.progress(min(start + AT_ONCE, len(rows)), len(rows))
        counts = await sheets.counts(self._database, job.id)
        await context.progress(len(rows), len(rows), checkpoint={k.value: n for k, n in counts.items()})

    async def _actor(self, submitter: ActorLabel, account_id: int) -> Actor:
        """Whoever has asked for it, with the rights of now. ``PERMISSION_DENIED``."""
        if submitter.startswith(_OPERATOR):
            return Actor.operator(submitter.removeprefix(_OPERATOR))
        person = await people.person(self._database, submitter)
        actor = person.actor() if person is not None else await keys.actor(self._database, submitter, account_id)
        if actor is None:
            raise Refused("PERMISSION_DENIED", permission=Permission.BLOCK_EDIT.value)
        actor.require(Permission.BLOCK_EDIT, account_id)
        return actor


@dataclass(slots=True)
class _Row:
    """A row: its line, what its columns say, and what comes of it."""

    line: int
    said: Mapping[str, str]
    number: int = 0
    given: Given | None = None


def _judged(plan: Mapping[str, Any], rows: Sequence[_Row], seen: dict[int, int]) -> dict[int, Result]:
    """Read the rows; by line what becomes of those that are not entered. ``seen``: the line of each number so far."""
    found: dict[int, Result] = {}
    for row in rows:
        try:
            row.number = int(numbers.normalize(row.said["number"]))
            if row.number in seen:
                raise Refused("STATE_CONFLICT", reason=phrase("consent.twice", line=seen[row.number]))
            row.given = consents.checked(_given(plan, row.said))
            seen[row.number] = row.line
        except numbers.InvalidNumber:
            found[row.line] = _result(row, Invalid("NUMBER_INVALID"))
        except (Invalid, Refused) as error:
            found[row.line] = _result(row, error)
    return found


def _given(plan: Mapping[str, Any], said: Mapping[str, str]) -> Given:
    text = said.get("source") or plan["source"] or ""
    source = _NAMED.get(text.lower())
    if source is None:
        known = ", ".join(dict.fromkeys(map(str, SOURCES.values())))
        raise Invalid("PARAM_INVALID", field="source", reason=phrase("consent.source", known=known))
    try:
        at = consents.moment(said["given_at"]) if said.get("given_at") else datetime.fromisoformat(plan["given_at"])
    except (ValueError, TypeError) as exc:
        raise Invalid("PARAM_INVALID", field="given_at", reason=phrase("consent.day")) from exc
    return Given(source, said.get("wording") or plan["wording"], said.get("proof") or plan["proof"], at)


def _result(row: _Row, error: SmsgwError) -> Result:
    chinese, english = messages_of(error.code, error.detail)
    outcome = Outcome.SKIPPED if error.code == "STATE_CONFLICT" else Outcome.WRONG
    return Result(row.line, outcome, row.said.get("number", "")[:64], said=chinese, said_en=english)


async def _enter(change: Change, job: Job, rows: Sequence[_Row], results: dict[int, Result]) -> None:
    """Enter some rows and write down what has become of each. ``Temporary`` when the database is away."""
    account_id = int(job.params["account"])
    entries = {row.number: row.given for row in rows if row.given is not None}
    try:
        async with change.unit(Permission.BLOCK_EDIT, account_id, timeout=60) as unit:
            open_ = await consents.enter(unit.connection, account_id, entries, unit.actor.label)
            later = Refused("STATE_CONFLICT", reason=phrase("consent.later"))
            for row in rows:
                result = results.get(row.line)
                if result is None and row.number not in open_:
                    result = _result(row, later)
                if result is None:
                    outcome = Outcome.UPDATED if open_[row.number] else Outcome.CREATED
                    result = Result(row.line, outcome, row.said["number"][:64])
                await sheets.add_result(unit.connection, job.id, result)
            unit.unchanged()  # its entry came with the job
    except Temporary:
        raise
