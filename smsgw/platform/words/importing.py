"""Words brought in from a table, as a durable job: by whoever has begun it, with the rights of the moment.

Rows are written some hundred at a time with what has become of each; a job that is cut off goes on behind them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from smsgw.core.actor import Actor
from smsgw.core.errors import Invalid, Refused, SmsgwError, messages_of
from smsgw.core.keywords import MAX_WORDS, Action, Plain, Word
from smsgw.core.permissions import Permission
from smsgw.core.policy import check_type
from smsgw.core.words import columns as names, phrase
from smsgw.platform.change import EVERYBODY, Change
from smsgw.platform.jobs import queries as jobs
from smsgw.platform.jobs.model import Job, NewJob
from smsgw.platform.jobs.runner import LONG, JobContext, JobKind
from smsgw.platform.org import queries as people
from smsgw.platform.sheets import queries as sheets
from smsgw.platform.sheets.model import Outcome, Result, Sheet
from smsgw.platform.sheets.service import Sheets
from smsgw.platform.words import service
from smsgw.store.engine.database import Database

NAME = "word.import"
PATIENCE = 3600.0
LASTS = timedelta(days=1)
COLUMNS = ("word", "category", "action", "replacement")
"""What columns may mean; the first has to be there."""
AT_ONCE = 500
"""Rows of one transaction; each is news for every node."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How the rows are to be read."""

    columns: Mapping[str, int]
    """Of ``COLUMNS``: which of the table's it is, from 0."""
    account_id: int
    type: str = ""
    action: Action = Action.BLOCK
    """For rows that say none, …"""
    category: str = ""
    """… as this is."""
    overwrite: bool = False
    """A word that is on the list gets what the row says; else it stays as it is."""


async def begin(change: Change, sheet: Sheet, plan: Plan) -> int:
    """Have a table's words brought in, on the node where it lies; the job. ``PARAM_INVALID``, ``PARAM_MISSING``;
    ``NOT_FOUND`` for an account that is not the actor's; ``STATE_CONFLICT`` while it is being brought in already."""
    if any(key not in COLUMNS or not 0 <= at < len(sheet.columns) for key, at in plan.columns.items()):
        raise Invalid("PARAM_INVALID", field="columns", reason=phrase("fields.known", known=", ".join(COLUMNS)))
    if "word" not in plan.columns:
        raise Invalid("PARAM_MISSING", field="word")
    check_type(plan.type)
    said = {
        "columns": dict(plan.columns), "account": plan.account_id, "type": plan.type, "action": plan.action.value,
        "category": plan.category, "overwrite": plan.overwrite,
    }  # fmt: skip
    async with change.unit(Permission.WORD_EDIT) as unit:
        unit.actor.require(Permission.WORD_EDIT, plan.account_id or EVERYBODY)
        wanted = NewJob(
            NAME, {"sheet": sheet.id, "file": sheet.name, **said}, change.actor.label, subject=f"sheet/{sheet.id}",
            node=sheet.node, lasts=LASTS,
        )  # fmt: skip
        id_ = await jobs.add(unit.connection, wanted)
        if id_ is None:
            raise Refused("STATE_CONFLICT", reason=phrase("import.under_way"))
        unit.record("word.import", f"job/{id_}", after={"file": sheet.name, "rows": sheet.rows, **said})
    return id_


async def own_import(database: Database, actor: Actor, job_id: int) -> Job:
    """An import that the actor has begun. ``NOT_FOUND``."""
    job = await jobs.own(database, actor, job_id)
    if job is None or job.kind != NAME or job.submitter != actor.label:
        raise Refused("NOT_FOUND")
    return job


class WordImporter:
    """Brings in the words of tables on one node."""

    def __init__(self, database: Database, sheets_: Sheets) -> None:
        self._database = database
        self._sheets = sheets_

    def kind(self) -> JobKind:
        """The kind of its jobs."""
        return JobKind(NAME, self._run, per_owner=1, at_once=1, places=LONG, patience=PATIENCE)

    async def _run(self, context: JobContext) -> None:
        job = context.job
        columns: dict[str, int] = job.params["columns"]
        sheet = await self._sheets.get(int(job.params["sheet"]), NAME, job.submitter)
        rows = await self._sheets.rows(sheet, list(columns.values()))
        known = await sheets.lines(self._database, job.id)
        person = await people.person(self._database, job.submitter)
        if person is None:
            raise Refused("PERMISSION_DENIED", permission=Permission.WORD_EDIT.value)
        bringing = _Bringing(Change(self._database, person.actor()), job)
        for start in range(0, len(rows), AT_ONCE):
            some = [
                (line, dict(zip(columns, (cell.strip() for cell in cells), strict=True)))
                for line, cells in rows[start : start + AT_ONCE]
                if line not in known
            ]
            if some:
                await bringing.some(some)
            await context.progress(min(start + AT_ONCE, len(rows)), len(rows))
        counts = await sheets.counts(self._database, job.id)
        await context.progress(len(rows), len(rows), checkpoint={k.value: n for k, n in counts.items()})


class _Bringing:
    """One import under way."""

    def __init__(self, change: Change, job: Job) -> None:
        self._change = change
        self._job = job
        self._account = int(job.params["account"])
        self._type = str(job.params["type"])
        self._plain = Plain()

    async def some(self, rows: Sequence[tuple[int, Mapping[str, str]]]) -> None:
        """Bring in some rows and write down what has become of each."""
        read = [self._word(line, said) for line, said in rows]
        async with self._change.unit(Permission.WORD_EDIT, timeout=60) as unit:
            unit.actor.require(Permission.WORD_EDIT, self._account or EVERYBODY)
            listed, known = await service.lock(
                unit.connection, self._account, self._type, [w.word for w in read if isinstance(w, Word)]
            )
            wanted: dict[str, Word] = {}
            for (line, said), one in zip(rows, read, strict=True):
                if isinstance(one, Word):
                    result = self._outcome(line, one, one.word in known, full=listed + len(wanted) >= MAX_WORDS)
                    if result.outcome in (Outcome.CREATED, Outcome.UPDATED):
                        wanted[one.word] = one
                        known.add(one.word)
                else:
                    result = _refused(line, said.get("word", ""), one)
                await sheets.add_result(unit.connection, self._job.id, result)
            await service.store(unit.connection, list(wanted.values()))
            unit.unchanged()  # its entry came with the job

    def _word(self, line: int, said: Mapping[str, str]) -> Word | SmsgwError:
        """What a row says; why it cannot be on the list."""
        given = said.get("action", "")
        action = names.WORD_ACTION.get(given.lower()) if given else self._job.params["action"]
        if action is None:
            known = "、".join(dict.fromkeys(names.WORD_ACTION))
            return Invalid("PARAM_INVALID", field="action", reason=phrase("word.action", given=given[:20], known=known))
        treatment = Action(action)
        instead = said.get("replacement", "") if treatment is Action.REPLACE else ""
        category = said.get("category", "") or self._job.params["category"]
        word = Word(said.get("word", ""), category, treatment, instead, self._account, self._type)
        try:
            service.check(word, self._plain)
        except Invalid as error:
            return error
        return word

    def _outcome(self, line: int, word: Word, known: bool, *, full: bool) -> Result:
        if known and not self._job.params["overwrite"]:
            return _refused(line, word.word, Refused("STATE_CONFLICT", reason=phrase("word.known")), Outcome.SKIPPED)
        if not known and full:
            reason = phrase("word.full", most=MAX_WORDS)
            return _refused(line, word.word, Invalid("PARAM_INVALID", field="word", reason=reason))
        return Result(line, Outcome.UPDATED if known else Outcome.CREATED, word.word, word.category)


def _refused(line: int, word: str, error: SmsgwError, outcome: Outcome = Outcome.WRONG) -> Result:
    zh, en = messages_of(error.code, error.detail)
    return Result(line, outcome, word[:64], said=zh, said_en=en)
