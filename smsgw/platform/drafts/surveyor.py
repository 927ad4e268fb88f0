"""What would become of a draft's rows: the import's judgement of each, the lists of numbers, and the door's word.

A durable job, on the node where the file lies: a large table takes as long as its import. Rows up to ``EXPLAINED`` are
explained one by one; of more, that many from everywhere in the table, and the draft says that it is an estimate.
"""

from __future__ import annotations

import asyncio
from array import array
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import structs

from smsgw.core.actor import Actor, ActorKind, ActorLabel
from smsgw.core.blocklist import CARRIER
from smsgw.core.errors import Invalid, Reason, Refused, SmsgwError, Temporary, message_of, messages_of
from smsgw.core.frequency import tagged_of
from smsgw.core.ids import CHINA
from smsgw.core.model import Origin
from smsgw.core.numbers import written
from smsgw.core.permissions import Permission
from smsgw.core.schedule import Hours
from smsgw.core.tasks import Task
from smsgw.core.words import label, phrase
from smsgw.pipeline.accept.acceptor import Acceptor, SendItem, SendRequest
from smsgw.pipeline.accept.checks import Checker
from smsgw.pipeline.routing import Home
from smsgw.pipeline.snapshot import Snapshots
from smsgw.platform.audience import book_queries as book, saved
from smsgw.platform.audience.model import Picked, Segment
from smsgw.platform.campaigns.body_template import wording
from smsgw.platform.campaigns.members import Members
from smsgw.platform.campaigns.model import TaskSpec, invalid, windows_of
from smsgw.platform.campaigns.row_survey import HELD, BadRow, GoodRow, RowSurvey, Surveyed, Wanted
from smsgw.platform.campaigns.service import Prepared, Tasks
from smsgw.platform.campaigns.sheets import Form
from smsgw.platform.campaigns.uploads import Upload
from smsgw.platform.campaigns.worker import Job, PickJob, SurveyJob
from smsgw.platform.campaigns.workers import Workers, bad_file
from smsgw.platform.change import Change
from smsgw.platform.drafts import queries, service
from smsgw.platform.drafts.model import MOST_SHOWN, Draft, Row, Source, Survey
from smsgw.platform.drafts.wanted import id_of, spec_of
from smsgw.platform.jobs import model as jobs, queries as job_queries
from smsgw.platform.jobs.runner import JobContext, JobKind
from smsgw.platform.org import queries as people
from smsgw.platform.scenarios import model as scenarios, queries as scenario_queries
from smsgw.runtime import clock
from smsgw.store.engine.database import Database

NAME = "draft.survey"
EXPLAINED = 2000
AT_ONCE = 100
"""Rows of an explanation, and …"""
SHARE = 2000
"""… numbers that are held against the lists before others have their turn."""
JUDGED = 500
"""Rows that are judged here, in turn with others: a file's are judged in a process of their own."""
MOST_PLACES = 40
PLANNED = timedelta(days=6)
"""What a message can be planned ahead, so that the door can be asked about that time."""
_ORIGINS = {ActorKind.KEY: Origin.API, ActorKind.OPERATOR: Origin.CLI}
_WAITS = frozenset({"OK", "BALANCE_INSUFFICIENT", "TIME_WINDOW_CLOSED", "NO_ROUTE"})
"""What the door may say of a row that a task keeps: it waits for its hours or a channel, or pauses for the balance."""


Told = Callable[[int, int], Awaitable[None]]
"""Hears how far it is, and of how much."""


async def enqueue(database: Database, draft: Draft, submitter: ActorLabel, node: int | None) -> None:
    """Enter the job, unless one is waiting, running, or has ended since ``draft`` was read. ``node``: where the file
    lies."""
    params = {"draft": str(draft.id)}
    job = jobs.NewJob(NAME, params, submitter, subject=_subject(draft), node=node, lasts=timedelta(hours=1))
    async with database.transaction() as connection:
        entered = await job_queries.add(connection, job)
        if entered is None:
            return
        # A job writes the survey before it ends: only after the insertion is it certain that none was written.
        now = await queries.any_one(connection, draft.id)
        if now is None or now.known is not None:
            await job_queries.withdraw(connection, entered)


def _subject(draft: Draft) -> str:
    return f"draft/{draft.id}/{draft.state.fingerprint()[:16]}"


def _stopped(error: SmsgwError) -> Survey:
    """What stops all of it."""
    field, said = str(error.detail.get("field", "")), messages_of(error.code, error.detail)
    return Survey(problem=(error.code, field, *said))


@dataclass(frozen=True, slots=True)
class Surveyor:
    """Looks at drafts' rows on this node."""

    database: Database
    tasks: Tasks
    acceptor: Acceptor
    snapshots: Snapshots
    checker: Checker
    workers: Workers

    def kind(self) -> JobKind:
        """The kind of its jobs. One that is cut off begins anew."""
        return JobKind(NAME, self._run, patience=1300.0, failed=self._failed)

    async def _run(self, context: JobContext) -> None:
        draft = await queries.any_one(self.database, int(context.job.params["draft"]))
        if draft is None or draft.known is not None:
            return
        try:
            survey = await self.survey(draft, await self._actor(draft, context.job.submitter), context.progress)
        except (Invalid, Refused) as error:
            survey = _stopped(error)
        await service.found(self.database, draft, survey)

    async def _failed(self, job: jobs.Job, error: SmsgwError | None) -> None:
        """The page says so, rather than that it waits."""
        draft = await queries.any_one(self.database, int(job.params["draft"]))
        if draft is not None and draft.known is None and job.subject == _subject(draft):
            await service.found(self.database, draft, _stopped(error or Refused("INTERNAL")))

    async def how_far(self, draft: Draft) -> tuple[int, int] | None:
        """How many rows have been read, or of how many numbers have been held against the lists: as ``survey`` tells
        it; None: nobody looks at it."""
        return await job_queries.how_far(self.database, NAME, _subject(draft))

    # --- the rows ------------------------------------------------------------------------------------------------

    async def _actor(self, draft: Draft, submitter: ActorLabel) -> Actor:
        """Whose draft it is, with the rights of now. ``PERMISSION_DENIED``."""
        person = await people.person(self.database, submitter)
        if person is None or person.id != draft.owner_id:
            raise Refused("PERMISSION_DENIED", permission=Permission.MESSAGE_SEND.value)
        return person.actor()

    async def spec(self, draft: Draft, actor: Actor) -> TaskSpec:
        """What the draft asks for, as its scenario has it by now, with an account and an audience that the actor may
        use. ``PERMISSION_DENIED``, ``PARAM_INVALID``, ``TIME_INVALID``."""
        actor.require(Permission.MESSAGE_SEND)
        state, allowed = draft.state, actor.scope.whole
        id_ = int(state.account) if state.account.isdecimal() and len(state.account) < 19 else 0
        account = self.snapshots.current.account(id_) if allowed is None or id_ in allowed else None
        if account is None:
            raise invalid("account", phrase("draft.choose"))
        now = clock.now()
        wanted = spec_of(draft, account, actor.label, now, self.snapshots.current.kinds)
        spec = replace(wanted, origin=_ORIGINS.get(actor.kind, Origin.PORTAL))
        if state.scenario:
            scenario = await scenario_queries.wanted(self.database, id_of(state.scenario, "scenario_id"), account.id)
            spec = scenarios.apply_to_task(scenario.terms, spec, now)
        if spec.emergency:
            actor.require(Permission.MESSAGE_URGENT)
        if spec.picked is not None:
            spec = replace(spec, picked=structs.replace(spec.picked, seen=book.seen_by(actor)))
        if spec.picked is not None and spec.picked.segment is not None:
            actor.require(Permission.MESSAGE_VIEW)
            segment = structs.replace(spec.picked.segment, submitter=actor.scope.submitter)
            return replace(spec, picked=structs.replace(spec.picked, segment=segment))
        if spec.audience_id is not None:
            kept = await saved.one(self.database, actor, spec.audience_id)
            if kept is not None and kept.account_id == account.id:
                actor.require(Permission.MESSAGE_VIEW)
                segment = structs.replace(kept.segment, submitter=actor.scope.submitter)
                return replace(spec, picked=Picked(segment=segment))
            if state.segment_saved and state.source == Source.SEGMENT:
                raise invalid("segment_saved", phrase("draft.choose"))
        groups = () if spec.audience_id is None else (spec.audience_id,)
        for id_ in spec.picked.groups if spec.picked else groups:  # it may be somebody's own, or a department's
            group = await book.group(self.database, actor, id_)
            if group is None or group.account_id != account.id:
                raise invalid("audience", phrase("draft.choose"))
        if spec.picked is not None and state.below:
            spec = replace(spec, picked=await book.widened(self.database, actor, spec.picked))
        return spec

    async def submit(self, change: Change, id_: int) -> Task:
        """Make the task of a draft that is the actor's, without a survey before; the draft is there no more. Repeated,
        it is the same task as long as the draft is there. ``NOT_FOUND``, and what ``spec`` and the engine refuse."""
        draft = await queries.one(self.database, change.actor, id_)
        if draft is None:
            raise Refused("NOT_FOUND")
        spec = await self.spec(draft, change.actor)
        task, _ = await self.tasks.create(change, spec)
        await service.sent(change, id_, task.id, task.total)
        return task

    async def prepared(self, draft: Draft, actor: Actor) -> Prepared:
        """How the engine would do it; raises what it refuses, and as ``spec``."""
        return await self.tasks.prepare(await self.spec(draft, actor))

    async def survey(self, draft: Draft, actor: Actor, told: Told | None = None) -> Survey:
        """All of it. Raises what the engine refuses of the whole. ``told`` hears how far it is, of twice as many units
        as there are rows: each is read, and its number held against the lists."""
        prepared = await self.prepared(draft, actor)
        every = max(1, -(-prepared.count // EXPLAINED))
        count = prepared.count
        wanted = Wanted(prepared.plan, every, rules=prepared.rules)
        found = await self._surveyed(prepared, wanted, told and (lambda n: told(min(n, count), 2 * count)))
        held = list(dict.fromkeys((*prepared.reasons, *found.reasons)))
        survey = Survey(rows=found.total, classes=dict(found.problems), held=held, held_rows=found.held)
        survey.segment = saved_in(prepared.spec)
        survey.shown = {code: [self._bad(code, row) for row in rows] for code, rows in found.bad.items()}
        if found.held:
            survey.shown[HELD] = [
                Row(r.line, r.number, f"{r.why}：{r.text}", f"{r.why_en}: {r.text}") for r in found.held_rows
            ]
        kept_off = await self._standing(prepared, found, survey, told)
        opens = self._opens(prepared)
        survey.begins = "" if opens is None else opens.astimezone(CHINA).isoformat(timespec="minutes")
        rows = [row for row in found.chosen if int(row.number) not in kept_off]
        lines = await self._explained(prepared, rows, opens)
        self._sum(lines, survey)
        self._show(prepared, rows, lines, survey)
        return survey

    async def rows(self, draft: Draft, actor: Actor, cls: str) -> AsyncIterator[list[BadRow]]:
        """All rows of a class (as in ``classes`` of a survey, or ``valid``) in blocks, the first of which may be empty:
        of what the row itself makes, the first ``MOST_KEPT`` with their cells; of what its text or its number's past
        makes, those that were looked at. Raises, before the first, what the engine refuses."""
        prepared = await self.prepared(draft, actor)
        whole = cls if cls in (HELD, *OF_ROWS) else ""
        every = max(1, -(-prepared.count // EXPLAINED))
        wanted = Wanted(prepared.plan, every, shown=0, whole=whole, rules=prepared.rules)
        found = await self._surveyed(prepared, wanted)
        if whole:
            bad = found.bad.get(cls, [])
            if cls == HELD:
                bad = [BadRow(r.line, written(r.number), f"{r.why}：{r.text}") for r in found.held_rows]
            for at in range(0, max(1, len(bad)), SHARE):
                yield bad[at : at + SHARE]
                await asyncio.sleep(0)
            return
        ask = self._ask(prepared)
        chosen = [row for row in found.chosen if ask(row.number)[1] is None]
        lines = await self._explained(prepared, chosen, self._opens(prepared))
        refused = {
            row.line: (str(line["code"]), str(line["message"]))
            for row, line in zip(chosen, lines, strict=True)
            if line["code"] not in _WAITS
        }
        numbers, at_lines = _arrays(found)
        del found, chosen, lines
        for at in range(0, max(1, len(numbers)), SHARE):
            rows = []
            for number, line in zip(numbers[at : at + SHARE], at_lines[at : at + SHARE], strict=True):
                _, reason = ask(str(number))
                of, why = refused.get(line, ("valid", ""))
                if reason is not None:
                    of, why = class_of(reason), message_of(*reason)
                if of == cls:
                    rows.append(BadRow(line, written(str(number)), why))
            if rows or not at:
                yield rows
            await asyncio.sleep(0)

    async def row(self, upload: Upload, n: int) -> tuple[int, list[str]] | None:
        """One row of a table, from 1: its line and cells."""
        if 0 < n <= len(upload.first_rows):
            return n + bool(upload.form.get("header")), upload.first_rows[n - 1]
        job = PickJob(await self._path(upload.id), msgspec.convert(upload.form, Form), n)
        found = (await self.workers.run(upload.account_id, Job(pick=job))).rows
        return found[0] if found else None

    async def _path(self, upload_id: int) -> str:
        path = await self.tasks.files.path(upload_id)
        if path is None:
            raise bad_file(phrase("file.gone"))
        return str(path)

    async def _surveyed(
        self, prepared: Prepared, wanted: Wanted, told: Callable[[int], Awaitable[None]] | None = None
    ) -> Surveyed:
        spec = prepared.spec
        if spec.upload_id is not None:
            upload = await self.tasks.files.get(spec.upload_id, accounts=(spec.account.id,))
            job = SurveyJob(await self._path(upload.id), msgspec.convert(upload.form, Form), wanted)
            found = (await self.workers.run(spec.account.id, Job(survey=job), told)).surveyed
            if found is None:
                raise Temporary("BACKPRESSURE", retry_after=1, n=1)
            return found
        survey = RowSurvey(wanted)
        if spec.audience_id is not None or spec.picked is not None:
            members = Members(spec.account.id, spec.audience_id, prepared.plan.fields, spec.picked)
            async with self.database.transaction(timeout=300) as connection:
                async for page in members.pages(connection):
                    await _take(survey, page)
        else:
            await _take(survey, list(enumerate(([number] for number in spec.to), 1)))
        return survey.result()

    @staticmethod
    def _bad(code: str, row: BadRow) -> Row:
        return Row(row.line, row.number[:32], row.message, messages_of(code, {"name": "…", "length": "…"})[1])

    # --- how numbers stand, carriers, provinces --------------------------------------------------------------------

    def _ask(self, prepared: Prepared) -> Callable[[str], tuple[Home, Reason | None]]:
        """Where a number is at home, and what keeps it off, whatever its row's text is."""
        spec = prepared.spec
        item = SendItem("", spec.content, sign=spec.sign, template_id=spec.template_id or 0)
        request = SendRequest(spec.account, (item,), prepared.kind, Origin.TASK, spec.submitter, kind=spec.kind)
        return self.checker.standing(request, self.snapshots.current, prepared.next_at or clock.now())

    async def _standing(self, prepared: Prepared, found: Surveyed, survey: Survey, told: Told | None) -> set[int]:
        """Ask about all numbers and count whose they are; those that get nothing."""
        ask = self._ask(prepared)
        carriers: Counter[str] = Counter()
        provinces: Counter[str] = Counter()
        unregistered: Counter[str] = Counter()
        refused: set[int] = set()
        for at, (number, line) in enumerate(zip(*_arrays(found), strict=True)):
            if at % SHARE == 0:
                await asyncio.sleep(0)
                if told is not None:
                    await told(found.total + at, 2 * found.total)
            text = str(number)
            home, reason = ask(text)
            if reason is not None:
                cls = class_of(reason)
                refused.add(number)
                if cls == UNREGISTERED:
                    unregistered[home.carrier] += 1
                survey.classes[cls] = survey.classes.get(cls, 0) + 1
                shown = survey.shown.setdefault(cls, [])
                if len(shown) < MOST_SHOWN:
                    shown.append(Row(line, text, *messages_of(*reason)))
                continue
            carriers[home.carrier] += 1
            provinces[home.province] += 1
        survey.valid = carriers.total()
        survey.carriers = carriers.most_common()
        survey.unregistered = unregistered.most_common()
        survey.provinces = provinces.most_common(MOST_PLACES)
        return refused

    # --- the door ------------------------------------------------------------------------------------------------

    def _opens(self, prepared: Prepared) -> datetime | None:
        """When the first message can go: the hours of its type, and its own; None: at once."""
        spec, now = prepared.spec, clock.now()
        allowed = self.snapshots.current.policies.limits(spec.account, prepared.kind, spec.kind_name).hours
        begins = max(now, prepared.next_at or now)
        opens = Hours((windows_of(spec.windows), allowed)).next_open(begins) or begins
        return opens if opens > now else None

    async def _explained(
        self, prepared: Prepared, rows: Sequence[GoodRow], opens: datetime | None
    ) -> list[Mapping[str, Any]]:
        """What the door says of rows, one by one."""
        spec, plan = prepared.spec, prepared.plan
        text = wording(spec.content, plan.forms, plan.fixed)
        at = opens if opens is not None and timedelta(minutes=1) < opens - clock.now() < PLANNED else None
        lines: list[Mapping[str, Any]] = []
        for begin in range(0, len(rows), AT_ONCE):
            items = []
            for row in rows[begin : begin + AT_ONCE]:
                content, params = text.parts(row.values)
                items.append(SendItem(
                    row.number, content, "", row.ext or spec.ext, spec.extend_code, spec.sign, spec.template_id or 0,
                    params, prepared.link,
                ))  # fmt: skip
            request = SendRequest(
                spec.account,
                tuple(items),
                prepared.kind,
                Origin.TASK,
                spec.submitter,
                send_at=at,
                reviewed=True,
                emergency=spec.emergency,
                prefer=spec.prefer,
                kind=spec.kind,
                tagged=None if spec.frequency is None else tagged_of(spec.frequency, "task"),
            )
            lines += await self.acceptor.explain(request)
        return lines

    @staticmethod
    def _show(prepared: Prepared, rows: Sequence[GoodRow], lines: Sequence[Mapping[str, Any]], survey: Survey) -> None:
        """The first rows that get a message, with their text; and of those that the door refuses, with its reason."""
        text = wording(prepared.spec.content, prepared.plan.forms, prepared.plan.fixed)
        valid = survey.shown.setdefault("valid", [])
        for row, line in zip(rows, lines, strict=True):
            code = str(line["code"])
            if code in _WAITS:
                if not valid:
                    survey.first = dict(text.parts(row.values)[1] or {})
                if len(valid) < MOST_SHOWN:
                    valid.append(Row(row.line, row.number, text.fill(row.values)))
                continue
            shown = survey.shown.setdefault(code, [])
            if len(shown) < MOST_SHOWN:
                shown.append(Row(row.line, row.number, str(line["message"]), _english(code)))

    @staticmethod
    def _sum(lines: Sequence[Mapping[str, Any]], survey: Survey) -> None:
        """What the door says of the rows that were looked at, in numbers."""
        told = [line for line in lines if "parts" in line and line["code"] in _WAITS]
        each = [int(line["parts"]) for line in told] or [0]
        survey.looked_at = len(lines)
        survey.each = min(each), max(each)
        survey.parts, survey.price = sum(each), sum(int(line["price"]) for line in told)
        survey.codings = sorted({str(line["coding"]) for line in told})
        survey.pools = dict(Counter(str(line["pool"]) for line in told).most_common(20))
        for line in told:
            rule = next((str(r["rule"]) for r in line["rules"] if not r["miss"] and not line["preferred"]), "")
            survey.rules.setdefault(str(line["pool"]), rule)
        for line in told:
            n, parts, price, routes = survey.by_carrier.get(carrier := str(line["carrier"]), (0, 0, 0, []))
            routes = [*routes, pool] if (pool := str(line["pool"])) not in routes else routes
            survey.by_carrier[carrier] = n + 1, parts + int(line["parts"]), price + int(line["price"]), routes
        survey.waiting = sorted({str(line["carrier"]) for line in told if line["code"] == "NO_ROUTE"})
        for line in lines:
            code = str(line["code"])
            if code in _WAITS:
                continue
            n, *said = survey.refused.get(code, (0, str(line["message"]), _english(code)))
            survey.refused[code] = (n + 1, said[0], said[1])


OF_ROWS = frozenset({
    "NUMBER_DUPLICATE", "NUMBER_INVALID", "CONTENT_VARIABLE_UNRESOLVED", "TEMPLATE_PARAM_INVALID", "CONTENT_TOO_LONG",
    "CONTENT_UNENCODABLE",
})  # fmt: skip
"""Classes that a row is in for what it says itself."""
UNREGISTERED = "SIGN_NOT_REGISTERED"
BY_CARRIER = "NUMBER_BLACKLISTED.carrier"
"""Of the numbers on the block list those that a carrier has put there: it is the carrier who lets them off."""


def saved_in(spec: TaskSpec) -> Segment | None:
    """What the saved segment asks for that it is to; None: it is to none."""
    return None if spec.audience_id is None or spec.picked is None else spec.picked.segment


def class_of(reason: Reason) -> str:
    """The class of a number that is kept off: the code, and where that says too little what it is about."""
    code, detail = reason
    by_carrier = code == "NUMBER_BLACKLISTED" and detail.get("list") == label("blocked_by", CARRIER)
    return BY_CARRIER if by_carrier else code


async def _take(survey: RowSurvey, rows: Sequence[tuple[int, list[str]]]) -> None:
    """Judge rows, with turns for others."""
    for at in range(0, len(rows), JUDGED):
        survey.take(rows[at : at + JUDGED])
        await asyncio.sleep(0)


def _arrays(found: Surveyed) -> tuple[array[int], array[int]]:
    numbers, lines = array("Q"), array("I")
    numbers.frombytes(found.numbers)
    lines.frombytes(found.lines)
    return numbers, lines


def _english(code: str) -> str:
    try:
        return messages_of(code, {})[1]
    except (KeyError, SmsgwError):
        return code
