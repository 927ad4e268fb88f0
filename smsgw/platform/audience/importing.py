"""Contacts brought in from a table, as a durable job: by whoever has begun it, with the rights of the moment.

Rows are written a page at a time with what has become of each; a job that is cut off goes on behind them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from smsgw.core import numbers
from smsgw.core.actor import Actor
from smsgw.core.errors import Invalid, Refused, SmsgwError, Temporary
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.audience import book, queries
from smsgw.platform.audience.book import Incoming
from smsgw.platform.audience.model import Duplicate, EntryDraft, Shared, Sharing
from smsgw.platform.audience.service import FIELD_NAME, MAX_CONTACTS, MAX_FIELDS
from smsgw.platform.change import Change, Unit
from smsgw.platform.jobs import queries as jobs
from smsgw.platform.jobs.model import Job, NewJob
from smsgw.platform.jobs.runner import LONG, JobContext, JobKind
from smsgw.platform.org import queries as people
from smsgw.platform.sheets.bringing import Page, Progress, bring_in, refused
from smsgw.platform.sheets.model import Outcome, Result, Sheet
from smsgw.platform.sheets.service import Sheets
from smsgw.store.engine.database import Database

NAME = "contact.import"
PATIENCE = 3600.0
LASTS = timedelta(days=1)
COLUMNS = ("number", "name", "tags", "groups")
"""What columns may mean; the first has to be there."""
_SEVERAL = re.compile(r"[,，;；、|]")


@dataclass(frozen=True, slots=True)
class Plan:
    """How the rows are to be read."""

    columns: Mapping[str, int]
    """Of ``COLUMNS``: which of the table's it is, from 0."""
    account_id: int
    sharing: Sharing = field(default_factory=Sharing)
    duplicates: Duplicate = Duplicate.SKIP
    group_id: int | None = None
    """A group that all of them join."""
    make_groups: bool = False
    keep_others: bool = False
    """The other columns are kept, too: values for the variables of texts."""


async def begin(change: Change, sheet: Sheet, plan: Plan) -> int:
    """Have a table's contacts brought in, on the node where it lies; the job. ``PARAM_INVALID``; ``NOT_FOUND`` for an
    account, department or group that is not the actor's; ``STATE_CONFLICT`` while it is being brought in already."""
    if any(key not in COLUMNS or not 0 <= at < len(sheet.columns) for key, at in plan.columns.items()):
        raise Invalid("PARAM_INVALID", field="columns", reason=phrase("fields.known", known=", ".join(COLUMNS)))
    if "number" not in plan.columns:
        raise Invalid("PARAM_MISSING", field="number")
    others = _others(sheet, plan) if plan.keep_others else {}
    said = {
        "columns": dict(plan.columns), "account": plan.account_id, "scope": plan.sharing.shared.value,
        "department": plan.sharing.department_id, "duplicates": plan.duplicates.value, "group": plan.group_id,
        "make_groups": plan.make_groups,
    }  # fmt: skip
    async with change.unit(Permission.CONTACT_EDIT) as unit:
        await book.may_bring(unit.connection, unit.actor, plan.account_id, plan.sharing)
        if plan.group_id is not None:
            open_ = await book.open_groups(unit.connection, unit.actor, plan.account_id)
            if plan.group_id not in {row["id"] for row in open_}:
                raise Refused("NOT_FOUND")
        wanted = NewJob(
            NAME, {"sheet": sheet.id, "file": sheet.name, "others": others, **said}, change.actor.label,
            subject=f"sheet/{sheet.id}", node=sheet.node, lasts=LASTS,
        )  # fmt: skip
        id_ = await jobs.add(unit.connection, wanted)
        if id_ is None:
            raise Refused("STATE_CONFLICT", reason=phrase("import.under_way"))
        unit.record("contact.import", f"job/{id_}", after={"file": sheet.name, "rows": sheet.rows, **said})
    return id_


def _others(sheet: Sheet, plan: Plan) -> dict[str, int]:
    """Columns that mean nothing else, and whose names can be those of variables."""
    taken = set(plan.columns.values())
    found: dict[str, int] = {}
    for at, column in enumerate(sheet.columns):
        name = "".join(column.split())
        if at not in taken and FIELD_NAME.fullmatch(name) and len(found) < MAX_FIELDS:
            found.setdefault(name, at)
    return found


async def own_import(database: Database, actor: Actor, job_id: int) -> Job:
    """An import that the actor has begun. ``NOT_FOUND``."""
    job = await jobs.own(database, actor, job_id)
    if job is None or job.kind != NAME or job.submitter != actor.label:
        raise Refused("NOT_FOUND")
    return job


class ContactImporter:
    """Brings in the contacts of tables on one node."""

    def __init__(self, database: Database, sheets_: Sheets) -> None:
        self._database = database
        self._sheets = sheets_

    def kind(self) -> JobKind:
        """The kind of its jobs."""
        return JobKind(NAME, self._run, per_owner=1, at_once=2, places=LONG, patience=PATIENCE)

    async def _run(self, context: JobContext) -> None:
        job = context.job
        columns: dict[str, int] = job.params["columns"]
        others: dict[str, int] = job.params["others"]
        sheet = await self._sheets.get(int(job.params["sheet"]), NAME, job.submitter)
        bringing = await _Bringing.begun(self._database, job)
        names, wanted = [*columns, *others], [*columns.values(), *others.values()]

        async def some(page: Page, progress: Progress) -> None:
            rows = [(line, [cell.strip() for cell in cells]) for line, cells in page]
            await bringing.some(names, len(columns), rows, progress)

        await bring_in(self._database, context, self._sheets, sheet, wanted, some)


@dataclass(slots=True)
class _Row:
    """A row: its line, the number as it was written, its name and groups, and what it comes to or what is wrong."""

    line: int
    key: str
    name: str
    groups: tuple[str, ...]
    draft: EntryDraft | None = None
    error: SmsgwError | None = None


class _Bringing:
    """One import under way."""

    def __init__(self, database: Database, job: Job, actor: Actor) -> None:
        self._job = job
        self._change = Change(database, actor)
        self._account = int(job.params["account"])
        self._sharing = Sharing(Shared(job.params["scope"]), job.params["department"])
        self._how = Duplicate(job.params["duplicates"])
        self._groups: dict[str, int] = {}
        group = job.params["group"]
        self._joined = () if group is None else (int(group),)
        """What all of them join."""

    @classmethod
    async def begun(cls, database: Database, job: Job) -> _Bringing:
        """By whoever has asked for it, with the rights of now. ``PERMISSION_DENIED``; ``NOT_FOUND`` for an account or a
        group that is not theirs any more."""
        person = await people.person(database, job.submitter)
        if person is None:
            raise Refused("PERMISSION_DENIED", permission=Permission.CONTACT_EDIT.value)
        made = cls(database, job, person.actor())
        made._change.actor.require(Permission.CONTACT_EDIT)
        for row in await book.open_groups(database, made._change.actor, made._account):
            made._groups[row["name"]] = row["id"]
        group = job.params["group"]
        if group is not None and group not in made._groups.values():
            raise Refused("NOT_FOUND")
        return made

    async def some(
        self, names: Sequence[str], fixed: int, rows: Sequence[tuple[int, Sequence[str]]], progress: Progress
    ) -> None:
        """Bring in some rows and write down what has become of each. ``Temporary`` when the database is away."""
        made: dict[str, int] = {}
        read = [self._read(line, names, fixed, cells) for line, cells in rows]
        async with self._change.unit(Permission.CONTACT_EDIT, timeout=60) as unit:
            await book.may_bring(unit.connection, unit.actor, self._account, self._sharing)
            stored = await queries.lock(unit.connection, self._account)
            new = await self._all_new(unit, read, MAX_CONTACTS - stored)
            stored += len(new)
            results: list[Result] = []
            for row in read:
                if row.draft is not None and (id_ := new.pop(row.draft.number, None)) is not None:
                    results.append(Result(row.line, Outcome.CREATED, row.key, row.name, id_))
                    continue
                result = await self._row(unit, row, made, full=stored >= MAX_CONTACTS)
                stored += result.outcome is Outcome.CREATED
                results.append(result)
            await progress.write(unit.connection, rows[-1][0], results)
            unit.unchanged()  # its entry came with the job
        self._groups |= made

    def _read(self, line: int, names: Sequence[str], fixed: int, cells: Sequence[str]) -> _Row:
        said = dict(zip(names[:fixed], cells[:fixed], strict=True))
        fields = dict(zip(names[fixed:], cells[fixed:], strict=True))
        groups = _several(said.get("groups", ""))
        row = _Row(line, said.get("number", ""), said.get("name", "")[: book.MAX_NAME], groups)
        try:
            number = numbers.normalize(row.key)
            row.draft = book.checked(
                EntryDraft(self._account, number, said.get("name", ""), _several(said.get("tags", "")), fields)
            )
        except numbers.InvalidNumber:
            row.error = Invalid("NUMBER_INVALID")
        except SmsgwError as exc:
            row.error = exc
        return row

    async def _all_new(self, unit: Unit, rows: Sequence[_Row], room: int) -> dict[str, int]:
        """Rows that name no groups are entered at once, as far as their numbers are new: number -> id."""
        first: dict[str, _Row] = {}
        for row in rows:
            if row.draft is not None:
                first.setdefault(row.draft.number, row)
        plain = [row.draft for row in first.values() if row.draft is not None and not row.groups]
        some = [Incoming(d.number, d.name, d.tags, d.fields, self._joined) for d in plain]
        return await book.bring_new(unit, self._account, some[: max(0, room)], self._sharing)

    async def _row(self, unit: Unit, row: _Row, made: dict[str, int], *, full: bool) -> Result:
        try:
            if row.draft is None:
                raise row.error or Invalid("NUMBER_INVALID")
            if full:
                raise Refused("CONTACTS_FULL", most=MAX_CONTACTS)
            draft = row.draft
            fresh: dict[str, int] = {}
            async with unit.connection.transaction():
                groups = [*[await self._group(one, made, fresh) for one in row.groups], *self._joined]
                one = Incoming(draft.number, draft.name, draft.tags, draft.fields, tuple(dict.fromkeys(groups)))
                id_, new = await book.bring(unit, self._account, one, self._sharing, self._how)
            made |= fresh
            return Result(row.line, Outcome.CREATED if new else Outcome.UPDATED, row.key, row.name, id_)
        except Temporary:
            raise
        except SmsgwError as exc:
            return refused(row.line, row.key, exc, row.name)

    async def _group(self, name: str, made: Mapping[str, int], fresh: dict[str, int]) -> int:
        """The group of a name; one that is made stands in ``fresh``."""
        known = fresh.get(name) or made.get(name) or self._groups.get(name)
        if known is not None:
            return known
        if not self._job.params["make_groups"]:
            raise Invalid("PARAM_INVALID", field="groups", reason=phrase("contact.no_group", name=name[:64]))
        fresh[name] = await book.add_group(self._change, self._account, name, self._sharing)
        return fresh[name]


def _several(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for part in _SEVERAL.split(text) if (one := part.strip())))
