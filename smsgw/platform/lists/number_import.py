"""Numbers brought from a table onto the block list or the allow list, as a durable job: by whoever has begun it, with
the rights of the moment. What holds there already stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from smsgw.core import numbers, policy
from smsgw.core.actor import Actor
from smsgw.core.blocklist import MANUAL, Scope
from smsgw.core.errors import Invalid, Refused, SmsgwError
from smsgw.core.permissions import Permission
from smsgw.core.policy import MAX_ALLOWED, Listed
from smsgw.core.words import phrase
from smsgw.platform.change import EVERYBODY, Change, Unit
from smsgw.platform.jobs import queries as jobs
from smsgw.platform.jobs.model import Job, NewJob
from smsgw.platform.jobs.runner import LONG, JobContext, JobKind
from smsgw.platform.lists import queries, service
from smsgw.platform.org import queries as people
from smsgw.platform.sheets.bringing import Page, Progress, bring_in, refused
from smsgw.platform.sheets.model import Outcome, Result, Sheet
from smsgw.platform.sheets.service import Sheets
from smsgw.runtime import clock
from smsgw.store.config import blocklist
from smsgw.store.config.blocklist import NewEntry
from smsgw.store.engine.database import Database

BLOCK, ALLOW = "block.import", "allow.import"
PERMISSION = {BLOCK: Permission.BLOCK_EDIT, ALLOW: Permission.ALLOW_EDIT}
COLUMNS = ("number", "reason")
"""What columns may mean; the first has to be there."""
PATIENCE = 3600.0
LASTS = timedelta(days=1)
MOST_REASON = 200


@dataclass(frozen=True, slots=True)
class Plan:
    """Which list it is (``BLOCK``, ``ALLOW``), which columns mean what, from 0, and what holds for all rows."""

    list: str
    columns: Mapping[str, int]
    account_id: int = EVERYBODY
    reason: str = ""
    """For rows that say none."""
    type: str = ""
    sign: str = ""
    expires_at: datetime | None = None
    """These three of the block list, …"""
    kind: Listed | None = None
    """… this of the allow list."""


async def begin(change: Change, sheet: Sheet, plan: Plan) -> int:
    """Have a table's numbers brought in, on the node where it lies; the job. ``PARAM_…``; ``NOT_FOUND`` for an account
    that is not the actor's; ``STATE_CONFLICT`` while it is being brought in already."""
    if any(key not in COLUMNS or not 0 <= at < len(sheet.columns) for key, at in plan.columns.items()):
        raise Invalid("PARAM_INVALID", field="columns", reason=phrase("fields.known", known=", ".join(COLUMNS)))
    if "number" not in plan.columns:
        raise Invalid("PARAM_MISSING", field="number")
    if plan.list == ALLOW and (plan.kind is None or (plan.kind is Listed.ONLY and not plan.account_id)):
        raise Invalid("PARAM_MISSING", field="account" if plan.kind else "kind")
    policy.check_type(plan.type)
    said: dict[str, Any] = {
        "columns": dict(plan.columns), "account": plan.account_id, "reason": plan.reason[:MOST_REASON],
        "type": plan.type, "sign": plan.sign, "until": plan.expires_at and plan.expires_at.isoformat(),
        "list_kind": plan.kind and plan.kind.value,
    }  # fmt: skip
    async with change.unit(PERMISSION[plan.list], plan.account_id) as unit:
        wanted = NewJob(
            plan.list, {"sheet": sheet.id, "file": sheet.name, **said}, change.actor.label,
            subject=f"sheet/{sheet.id}", node=sheet.node, lasts=LASTS,
        )  # fmt: skip
        id_ = await jobs.add(unit.connection, wanted)
        if id_ is None:
            raise Refused("STATE_CONFLICT", reason=phrase("import.under_way"))
        after = {"file": sheet.name, "rows": sheet.rows, **said}
        after = {key: value for key, value in after.items() if value}
        if plan.list == BLOCK:
            unit.record("block.import", f"job/{id_}", after=after)
        else:
            unit.record("allow.import", f"job/{id_}", after=after)
    return id_


async def own_import(database: Database, actor: Actor, job_id: int, kind: str) -> Job:
    """An import onto that list that the actor has begun. ``NOT_FOUND``."""
    job = await jobs.own(database, actor, job_id)
    if job is None or job.kind != kind or job.submitter != actor.label:
        raise Refused("NOT_FOUND")
    return job


class NumberImporter:
    """Brings numbers onto the lists on one node."""

    def __init__(self, database: Database, sheets: Sheets) -> None:
        self._database = database
        self._sheets = sheets

    def kinds(self) -> tuple[JobKind, JobKind]:
        """The kinds of its jobs."""
        return (
            JobKind(BLOCK, self._run, per_owner=1, at_once=1, places=LONG, patience=PATIENCE),
            JobKind(ALLOW, self._run, per_owner=1, at_once=1, places=LONG, patience=PATIENCE),
        )

    async def _run(self, context: JobContext) -> None:
        job = context.job
        columns: dict[str, int] = job.params["columns"]
        person = await people.person(self._database, job.submitter)
        if person is None:
            raise Refused("PERMISSION_DENIED", permission=PERMISSION[job.kind].value)
        change, account = Change(self._database, person.actor()), int(job.params["account"])
        sheet = await self._sheets.get(int(job.params["sheet"]), job.kind, job.submitter)
        enter = _block if job.kind == BLOCK else _allow

        async def some(page: Page, progress: Progress) -> None:
            rows = [_Row.read(line, dict(zip(columns, cells, strict=True)), job.params) for line, cells in page]
            _once(rows)
            async with change.unit(PERMISSION[job.kind], account, timeout=60) as unit:
                await enter(unit, job, [row for row in rows if row.error is None])
                await progress.write(unit.connection, page[-1][0], [row.result() for row in rows])
                unit.unchanged()  # its entry came with the job

        await bring_in(self._database, context, self._sheets, sheet, list(columns.values()), some)


@dataclass(slots=True)
class _Row:
    """A row: the number as it was written and as it is, and why it is not taken."""

    line: int
    key: str
    reason: str
    number: str = ""
    error: SmsgwError | None = None

    @classmethod
    def read(cls, line: int, said: Mapping[str, str], params: Mapping[str, Any]) -> _Row:
        """What the cells say."""
        row = cls(line, said["number"].strip(), " ".join(said.get("reason", "").split()) or params["reason"])
        try:
            row.number = numbers.normalize(row.key)
        except numbers.InvalidNumber:
            row.error = Invalid("NUMBER_INVALID")
        if not row.reason.isprintable() or len(row.reason) > MOST_REASON:
            row.error = Invalid("PARAM_INVALID", field="reason", reason=phrase("text.length", most=MOST_REASON))
        return row

    def result(self) -> Result:
        """What has become of it."""
        if self.error is not None:
            return refused(self.line, self.key, self.error)
        return Result(self.line, Outcome.CREATED, self.key[:64])


def _known() -> Refused:
    return Refused("STATE_CONFLICT", reason=phrase("number.listed"))


def _once(rows: Sequence[_Row]) -> None:
    """A number that comes again on the page is there already."""
    seen: set[str] = set()
    for row in rows:
        if row.error is None and row.number in seen:
            row.error = _known()
        seen.add(row.number)


async def _block(unit: Unit, job: Job, rows: Sequence[_Row]) -> None:
    scope = Scope(int(job.params["account"]), job.params["type"], job.params["sign"])
    until = job.params["until"] and datetime.fromisoformat(job.params["until"])
    await blocklist.take_turns(unit.connection)
    there = await queries.listed(unit.connection, [int(row.number) for row in rows], scope)
    for row in rows:
        if int(row.number) in there:
            row.error = _known()
    now, by = clock.now(), unit.actor.label
    entries = [NewEntry(row.number, scope, MANUAL, row.reason, by, now) for row in rows if row.error is None]
    await blocklist.put(unit.connection, entries, replace=False, expires_at=until)


async def _allow(unit: Unit, job: Job, rows: Sequence[_Row]) -> None:
    kind, account = Listed(job.params["list_kind"]), int(job.params["account"])
    room = MAX_ALLOWED - await service.take_allow_turn(unit.connection)
    there = await queries.allowed_already(unit.connection, [row.number for row in rows], account, kind.value)
    new: list[_Row] = []
    for row in rows:
        if row.number in there:
            row.error = _known()
        elif len(new) >= room:
            row.error = Invalid("PARAM_INVALID", field="number", reason=phrase("allow.full", most=MAX_ALLOWED))
        else:
            new.append(row)
    await service.put_allowed(unit, [(row.number, row.reason) for row in new], kind, account)
