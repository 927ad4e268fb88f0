"""Tasks as people handle them: made, looked at, paused, resumed, cancelled.

A command changes the task's row first, under its lock; from that commit on nothing is fed. Then it does what follows
for the messages in the queue. Should the process die in between, the feeder does it again (``settle_queue``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from msgspec import convert, structs, to_builtins

from smsgw.core import numbers, variables
from smsgw.core.alarms import WARNING, Finding
from smsgw.core.errors import Invalid, Reason, Refused, SmsgwError
from smsgw.core.fallback import Hop, chain_of
from smsgw.core.frequency import tagged_of
from smsgw.core.ids import CHINA, IdSource, time_of
from smsgw.core.model import Account, MessageType, Origin
from smsgw.core.permissions import Permission
from smsgw.core.sent_links import NAME, PLACE, LinkCode
from smsgw.core.stages import stage_of, steps_of
from smsgw.core.states import PartState
from smsgw.core.tasks import Chunk, Task
from smsgw.core.templates import Review, Template
from smsgw.core.words import label, listed, phrase
from smsgw.pipeline.accept.acceptor import VALIDITY, Acceptor, SendItem, SendRequest
from smsgw.pipeline.accept.checks import MAX_CHARACTERS, Passed
from smsgw.pipeline.events import EventHub
from smsgw.pipeline.fleet import Fleet
from smsgw.pipeline.outcomes.writer import Outcomes, Sweep
from smsgw.pipeline.snapshot import Snapshots
from smsgw.pipeline.upkeep import rerouting
from smsgw.platform.audience import queries as audience_queries
from smsgw.platform.audience.model import Picked
from smsgw.platform.campaigns import imports, queries as campaign_queries, staging
from smsgw.platform.campaigns.body_template import Forms, forms_of, wording, wording_of
from smsgw.platform.campaigns.click_counts import ClickCounts
from smsgw.platform.campaigns.files import Files
from smsgw.platform.campaigns.members import Members, look
from smsgw.platform.campaigns.model import (
    MAX_AHEAD,
    MAX_TO,
    STATES,
    TaskSpec,
    TaskView,
    invalid,
    progress,
    recurrence_of,
    windows_of,
)
from smsgw.platform.campaigns.row_rules import MOST_HELD, OF_ROWS, RowJudge, RowRules, rules_of
from smsgw.platform.campaigns.rows import Plan, RowValidator
from smsgw.platform.campaigns.sheets import letter
from smsgw.platform.campaigns.uploads import Upload
from smsgw.platform.change import Change, Unit
from smsgw.platform.fallback import rules as fallback_rules
from smsgw.platform.links.sending import Codes, SentLinks, check_room
from smsgw.runtime import clock
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.messages import events, resends, reviews, task_parts, tasks as store

log = structlog.get_logger(__name__)

_WANTED, _EMERGENCY = phrase("review.wanted"), phrase("review.emergency")
REJUDGED = 20_000
"""Rows of an edited task that are asked anew while somebody waits for it; one of more rows is seen by a reviewer."""
PAGE = 500
_PLANNED = ("phone", "columns", "names", "ext", "room", "forms", "fixed", "fields")
"""What is kept of a plan."""
TRIED = 3
"""Rows that are shown to the door before there is a task."""
_TIMES = frozenset({"send_at", "expire_at", "recurring"})
_SAYS = frozenset({"content", "sign", "extend_code"})
_JUDGED = _SAYS | {"review", "fallback"}
_TERMS = _JUDGED | {"steps", "prefer", "frequency"}
"""What can be changed before a task has begun alone, beside its times."""
_RESTS = ("paused", "review")
"""States in which nothing of a task goes on: between two runs it may be edited, and asked about, while a run rests."""
_REVERTED = _TERMS | {"review_reasons", "recurring", "windows", "rate"}
"""Columns that a rejected edit of what comes round puts back."""
_NOT_TOLD = frozenset({"paused_from", "self_paused", "detail", "reason", "version", "approved"})
"""Columns whose change says nothing to who reads the audit log."""
WEIGHED = 100
"""Rows that a price is worked out of."""
CHUNKS_AT_ONCE = 5
"""Chunks that one statement holds, releases or cancels."""
HOPS_AT_ONCE = 200
"""Messages of its chain, which are held, released and cancelled one by one."""
FRESH = 100
"""Chunks that are counted anew for somebody who looks."""
HOLD_LIMIT = timedelta(days=5)
"""What a pause holds ends as cancelled after this: a week after its acceptance a message cannot be sent any more."""
SETTLED = timedelta(days=8)
"""Older finals are not corrected by reports any more."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A task as it would be made."""

    spec: TaskSpec
    """With the text, type and signature of its template."""
    kind: MessageType
    plan: Plan
    count: int
    """Rows that there are, good or bad."""
    reasons: list[str]
    """Why a reviewer has to pass it first, whatever the values of its rows are, and …"""
    of_rows: list[str]
    """… for those of the first rows: all of them are asked when they are read."""
    rules: RowRules
    """How they are asked."""
    next_at: datetime | None
    """When it begins; None: at once."""
    link: LinkCode | None = None
    """The short link in its text, with a sample of a code."""


_Made = tuple[str, Mapping[str, str] | None, int | None, str]
"""What a send call is given of a text: content or values, template, signature."""


@dataclass(frozen=True, slots=True)
class Weight:
    """What a task comes to: worked out of ``looked_at`` rows."""

    looked_at: int
    parts: int
    units: int


class Tasks:
    """The tasks of all accounts, as seen from this node."""

    def __init__(
        self,
        database: Database,
        *,
        acceptor: Acceptor,
        outcomes: Outcomes,
        files: Files,
        ids: IdSource,
        fleet: Fleet,
        hub: EventHub,
        snapshots: Snapshots,
        links: SentLinks,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self.database = database
        self.files = files
        self._acceptor = acceptor
        self._outcomes = outcomes
        self._ids = ids
        self._fleet = fleet
        self._hub = hub
        self._snapshots = snapshots
        self.links = links
        self._now = now
        self.wake = asyncio.Event()
        """Set when there is something to feed or to import."""
        self.clicks = ClickCounts(database)

    # --- making one ------------------------------------------------------------------------------------------------

    async def create(self, change: Change, spec: TaskSpec) -> tuple[Task, bool]:
        """Make a task; it and whether it had been made before by the same request.

        Raises ``PERMISSION_DENIED``, ``PARAM_…``, ``TIME_INVALID``, what the accept would say of the text or the
        account, ``NOT_FOUND`` (the file), ``IDEMPOTENCY_MISMATCH``, ``CLIENT_REF_EXISTS``.
        """
        if (same := await self.same(spec)) is not None:
            return same, True
        spec = await self._of_segment(spec)
        if spec.picked is not None and spec.picked.segment is not None:  # how many they are tells what people have done
            change.actor.require(Permission.MESSAGE_VIEW)
        prepared = await self.prepare(spec)
        spec, kind, plan, reasons = prepared.spec, prepared.kind, prepared.plan, prepared.reasons
        task = Task(
            id=plan.task_id, account_id=spec.account.id, name=spec.name, state="importing", origin=spec.origin,
            submitter=spec.submitter, type=kind, message_kind=spec.kind_name, content=spec.content,
            created_at=self._now(),
            client_ref=spec.client_ref, request_key=spec.request_key, request_sha256=spec.request_sha256,
            sign=spec.sign, ext=spec.ext, extend_code=spec.extend_code, callback_url=spec.callback_url,
            upload_id=spec.upload_id, audience_id=spec.audience_id, template_id=spec.template_id,
            mapping={name: getattr(plan, name) for name in _PLANNED} | _picked(spec),
            one_each=spec.one_each, review=bool(reasons or prepared.of_rows), review_reasons=reasons,
            send_at=spec.send_at, expire_at=spec.expire_at,
            windows=[dict(w) for w in spec.windows], recurring=_plain(spec.recurring), rate=spec.rate,
            next_at=prepared.next_at, steps=None if spec.steps is None else steps_of(spec.steps).plain(),
            emergency=spec.emergency, prefer=spec.prefer, link_id=spec.link_id,
            frequency=None if spec.frequency is None else dict(spec.frequency),
            fallback=None if spec.fallback is None else dict(spec.fallback),
        )  # fmt: skip
        async with change.unit(Permission.MESSAGE_SEND, task.account_id, timeout=30) as unit:
            connection = unit.connection
            made = await store.insert(connection, task)
            if made and spec.to:
                validator = RowValidator(plan, None)
                for good, bad in validator.validate(enumerate(([number] for number in spec.to), 1)):
                    await store.add_rows(connection, good, bad)
                await store.imported(connection, task.id, validator.total, validator.valid, validator.problems, reasons)
            elif made:
                await imports.enqueue(connection, task.id)
            if made and spec.survey is not None:
                await store.keep_survey(connection, task.id, spec.survey)
            if made:
                action = "task.urgent" if task.emergency else "task.add"
                unit.record(action, f"task/{task.id}", after={"account": spec.account.name, "name": task.name})
            else:
                unit.unchanged()
        if not made:  # somebody was faster with the same key
            if (same := await self.same(spec)) is not None:
                return same, True
            raise Refused("STATE_CONFLICT", reason=phrase("task.again"))
        log.info("task.created", task=task.id, account=task.account_id, by=task.submitter)
        self.wake.set()
        return await self._task(task.id), False

    async def prepare(self, spec: TaskSpec) -> Prepared:
        """How it would be done, without doing it; raises what ``create`` would of the same."""
        next_at = _first_time(spec.send_at, spec.expire_at, spec.recurring, self._now())
        windows_of(spec.windows)
        if spec.steps is not None:
            steps_of(spec.steps)
        if spec.frequency is not None:
            tagged_of(spec.frequency)
        book = spec.audience_id is not None or spec.picked is not None
        if (spec.upload_id is not None) + book + bool(spec.to) > 1:
            raise invalid("to", phrase("task.one_source"))
        spec = await self._of_segment(spec)
        spec, forms = self._text(spec)
        kind = spec.type or MessageType.NOTICE
        self._preferred(spec, kind)
        link = await self._link(spec, self._now())
        plan, rows, count = await self._rows(spec, forms, link)
        if link is not None:
            check_room(link.link, count)
        spec = self._chained(spec, kind, plan, next_at)
        reasons, of_rows = self._reasons(spec, kind, plan, rows, count, link)
        rules = self._rules(spec.account, kind, spec.sign, templated=forms is not None, custom=spec.kind_name)
        code = None if link is None else link.at(0)
        return Prepared(spec, kind, plan, count, reasons, of_rows, rules, next_at, code)

    async def _of_segment(self, spec: TaskSpec) -> TaskSpec:
        """With what a saved segment asks for now: whatever becomes of it until the rows are brought in."""
        if spec.audience_id is None or spec.picked is not None:
            return spec
        found = await audience_queries.audiences(self.database, spec.account.id, spec.audience_id, 1)
        if not found or found[0].segment is None:
            return spec
        return replace(spec, picked=Picked(segment=found[0].segment))

    def _rules(self, account: Account, kind: MessageType, sign: str, *, templated: bool, custom: str) -> RowRules:
        policies = self._snapshots.current.policies
        sign = sign or account.default_sign
        return rules_of(policies, account, kind, sign, templated=templated, custom=custom)

    def rules(self, task: Task) -> RowRules:
        """By which the rows of a stored task are held for a reviewer, as of now."""
        account = self._snapshots.current.account(task.account_id)
        if account is None:
            return RowRules()
        templated, custom = task.template_id is not None, task.message_kind
        return self._rules(account, MessageType(task.type), task.sign, templated=templated, custom=custom)

    def _preferred(self, spec: TaskSpec, kind: MessageType) -> None:
        """``PARAM_INVALID`` for a pool that no rule may lead the account to."""
        pools = self._snapshots.current.table.open_to(spec.account.name, kind, spec.kind_name)
        if spec.prefer and spec.prefer not in pools:
            raise invalid("prefer", phrase("prefer.none", name=spec.prefer, known=listed(pools[:20]) or "-"))

    def _chained(self, spec: TaskSpec, kind: MessageType, plan: Plan, begins: datetime | None) -> TaskSpec:
        """With its chain, whose hops have to be such that they can be sent."""
        if spec.fallback is None:
            return spec
        begins = begins or self._now()
        validity = VALIDITY[kind] if spec.expire_at is None else spec.expire_at - begins
        chain = fallback_rules.checked(
            self._snapshots.current, spec.account, kind, chain_of(spec.fallback),
            sign=spec.sign or spec.account.default_sign, names=(*plan.names, *plan.fixed), validity=validity,
        )  # fmt: skip
        return replace(spec, fallback=chain.plain())

    def _reasons(
        self, spec: TaskSpec, kind: MessageType, plan: Plan, rows: Sequence[Sequence[str]], count: int,
        link: Codes | None,
    ) -> tuple[list[str], list[str]]:  # fmt: skip
        """Why a reviewer has to see it first: for all of it, and for the values of the first rows. Raises what the door
        refuses of its text."""
        passed = self._try_text(spec, kind, plan, rows, link)
        why = dict.fromkeys(reason for one in passed for reason in one.subject.draft.reviews)
        own = {reason for reason in why if plan.names and getattr(reason, "key", "") in OF_ROWS}
        reasons, of_rows = [str(r) for r in why if r not in own], [str(r) for r in why if r in own]
        limit = self._snapshots.current.policies.limits(spec.account, kind, spec.kind_name).review_over
        if limit and count > limit:
            reasons.append(str(phrase("review.numbers", count=count, limit=limit)))
        if spec.emergency:
            reasons.insert(0, str(_EMERGENCY))
        if spec.review and not reasons:
            reasons.append(str(_WANTED))
        return reasons, of_rows

    async def same(self, spec: TaskSpec) -> Task | None:
        """The task that the same request has made. A key or reference that stands for another is an error."""
        if not spec.request_key and not spec.client_ref:
            return None
        found = await store.find_same(self.database, spec.account.id, spec.request_key, spec.client_ref)
        if found is None or found.request_sha256 == spec.request_sha256:
            return found
        if spec.request_key and found.request_key == spec.request_key:
            raise Invalid("IDEMPOTENCY_MISMATCH")
        raise Invalid("TASK_REF_EXISTS", id=str(found.id))

    def _text(self, spec: TaskSpec) -> tuple[TaskSpec, Forms | None]:
        """The description with the text of its template, and the template's variables."""
        if spec.template_id is None:
            if not spec.content:
                raise Invalid("CONTENT_EMPTY")
            if spec.params:
                raise invalid("params", phrase("task.only_template"))
            return spec, None
        if spec.content:
            raise invalid("content", phrase("task.or_template"))
        line = (spec.account.id, *spec.account.above)
        template = self._snapshots.current.policies.book.template(line, spec.template_id)
        if template is None:
            raise Invalid("TEMPLATE_NOT_FOUND", id=str(spec.template_id))
        if template.state is not Review.APPROVED:
            raise Invalid("TEMPLATE_NOT_APPROVED", id=str(template.id))
        kind = MessageType(template.type)
        if spec.type not in (None, kind):
            raise invalid("type", phrase("task.template_type", template=template.id, type=kind))
        if template.sign and spec.sign not in ("", template.sign):
            raise invalid("sign", phrase("task.template_sign", template=template.id, sign=template.sign))
        forms = forms_of(template)
        if unknown := sorted(set(spec.params) - set(template.variables)):
            raise Invalid("TEMPLATE_PARAM_INVALID", name=unknown[0][:32])
        sign = spec.sign or template.sign
        return replace(spec, content=template.content, type=kind, sign=sign), forms

    async def _link(self, spec: TaskSpec, now: datetime, *, placed: bool = False) -> Codes | None:
        """What the link in its text is like; ``placed``: it is known to have a place there. ``LINK_NOT_FOUND``,
        ``LINK_NOT_ACTIVE``, ``LINK_PLACE_MISSING``."""
        if spec.link_id is None:
            return None
        in_values = any(PLACE in value for value in spec.params.values())
        if not (placed or in_values or NAME in variables.Template(spec.content).names):
            raise Invalid("LINK_PLACE_MISSING", place=PLACE)
        return await self.links.samples(spec.account, spec.link_id, now)

    async def _rows(self, spec: TaskSpec, forms: Forms | None, link: Codes | None) -> tuple[Plan, list[list[str]], int]:
        """How the rows are read, the first of them, and how many there are."""
        fixed = _fixed(spec.params, spec.content, link)
        names = wording(spec.content, forms, fixed).names
        sign = spec.sign or spec.account.default_sign
        room = MAX_CHARACTERS - (len(sign) + 2 if sign and not spec.content.startswith("【") else 0)
        if unknown := sorted(set(spec.variables) - set(names)):
            raise invalid("mapping.variables", phrase("task.no_variable", name=unknown[0]))
        plan = Plan(
            self._ids.next(), 0, spec.content, names=names, one_each=spec.one_each, room=room, forms=forms, fixed=fixed
        )
        if spec.upload_id is not None:
            upload = await self.files.get(spec.upload_id, accounts=(spec.account.id,))
            return self._of_file(spec, plan, upload), upload.first_rows, upload.rows
        if spec.audience_id is not None or spec.picked is not None:
            members = _members(spec, names)
            count = await members.count(self.database)
            if count is None:
                raise Refused("NOT_FOUND")
            rows = await look(self.database, members, names)
            columns = tuple(range(1, len(names) + 1))
            ext = None if spec.ext_column is None else len(names) + 1
            return (structs.replace(plan, columns=columns, ext=ext, fields=members.fields), rows, count)
        if not spec.to:
            raise Invalid("TO_EMPTY")
        if len(spec.to) > MAX_TO:
            raise invalid("to", phrase("task.to", most=MAX_TO))
        if names:
            raise Invalid("CONTENT_VARIABLE_UNRESOLVED", name=names[0])
        return plan, [[number] for number in spec.to[:50]], len(spec.to)

    @staticmethod
    def _of_file(spec: TaskSpec, plan: Plan, upload: Upload) -> Plan:
        phone = upload.phone_column if spec.phone is None else _column(upload, spec.phone, "mapping.phone")
        if phone is None:
            raise invalid("mapping.phone", phrase("task.no_phone"))
        columns = []
        for name in plan.names:
            wanted = spec.variables.get(name, name)
            if name not in spec.variables and wanted not in upload.columns:
                raise Invalid("CONTENT_VARIABLE_UNRESOLVED", name=name)
            columns.append(_column(upload, wanted, f"mapping.variables.{name}"))
        ext = None if spec.ext_column is None else _column(upload, spec.ext_column, "mapping.ext")
        return structs.replace(plan, phone=phone, columns=tuple(columns), ext=ext)

    def _try_text(
        self, spec: TaskSpec, kind: MessageType, plan: Plan, rows: Sequence[Sequence[str]], link: Codes | None
    ) -> list[Passed]:
        """What the accept would refuse of every row alike is refused now; the first rows that it would not refuse. The
        texts of its chain are asked about in the same way."""
        text = wording(spec.content, plan.forms, plan.fixed)
        code = None if link is None else link.at(0)

        def own(values: Sequence[str]) -> _Made:
            return *text.parts(values), spec.template_id, spec.sign

        tried = self._tried(spec, kind, plan, rows, own, code)
        for n, hop in enumerate(chain_of(spec.fallback).hops if spec.fallback is not None else ()):
            template = fallback_rules.template_of(self._snapshots.current, spec.account, hop)

            def made(values: Sequence[str], hop: Hop = hop, template: Template | None = template) -> _Made:
                said = fallback_rules.said(hop, template, text.said(values))
                return *said, hop.template_id, hop.sign or spec.sign

            try:
                tried += self._tried(spec, kind, plan, rows, made, code)
            except Invalid as exc:
                raise Invalid(exc.code, **exc.detail | {"field": f"fallback.hops[{n}].content"}) from exc
        return tried

    def _tried(
        self, spec: TaskSpec, kind: MessageType, plan: Plan, rows: Sequence[Sequence[str]],
        made: Callable[[Sequence[str]], _Made], link: LinkCode | None,
    ) -> list[Passed]:  # fmt: skip
        tried: list[Passed] = []
        refused: list[Reason | None] = []
        for cells in rows:
            number = cells[plan.phone] if plan.phone < len(cells) else ""
            values = [cells[i] if i < len(cells) else "" for i in plan.columns]
            if len(refused) == TRIED:
                break
            if not all(values) or not _is_number(number):
                continue
            content, params, template_id, sign = made(values)
            item = SendItem(number, content, "", spec.ext, spec.extend_code, sign, template_id or 0, params, link)
            request = SendRequest(
                spec.account, (item,), kind, Origin.TASK, spec.submitter, callback_url=spec.callback_url,
                emergency=spec.emergency, kind=spec.kind,
            )  # fmt: skip
            passed, failed = self._acceptor.judge(request)
            tried += passed
            ours = bool(failed) and failed[0].reason[0].startswith(("CONTENT_", "SIGN_", "TEMPLATE_"))
            refused.append(failed[0].reason if ours else None)
        if refused and refused[0] and all(refused):  # one that passes: it was for the values of a row
            code, detail = refused[0]
            raise Invalid(code, retry_after=None, **detail)
        return tried

    # --- looking ---------------------------------------------------------------------------------------------------

    async def get(self, task_id: int, *, accounts: Sequence[int] | None) -> TaskView:
        """One task, its messages counted now (of a large one: as many as can be)."""
        task = await self._task(task_id, accounts=accounts)
        if task.run:
            await self.count(task.id, task.run, FRESH)
        async with store.snapshot(self.database) as connection:
            current = await store.get(connection, task.id, accounts=None)
            if current is None:
                raise Refused("NOT_FOUND")
            runs = await store.runs(connection, task.id, 50)
            counted = await store.totals(connection, [(task.id, current.run)])
        latest = next((row for row in runs if row["run"] == current.run), None)
        over = latest is not None and latest["fed"] is not None
        if latest is not None and latest["finished_at"] is not None and latest["totals"] is None:
            async with self.database.transaction() as connection:
                await store.keep_totals(connection, task.id, current.run)
        return TaskView(current, progress(current, counted[task.id], over), tuple(runs))

    async def page(self, *, accounts: Sequence[int] | None, **how: Any) -> list[TaskView]:
        """Tasks, newest first, with their progress as last counted; parameters of ``store.page``."""
        return await campaign_queries.page(self.database, accounts=accounts, **how)

    async def count(self, task_id: int, run: int | None, limit: int, *, stale: bool = False) -> int:
        """Count messages of open chunks anew; how many of them no channel has claimed.

        ``stale``: only those whose counts are old for their age.
        """
        now = self._now()
        chunks = await task_parts.open_chunks(self.database, task_id, run, limit, now if stale else None)
        return await task_parts.count(self.database, chunks, now, settled=now - SETTLED)

    async def _task(self, task_id: int, *, accounts: Sequence[int] | None = None) -> Task:
        task = await store.get(self.database, task_id, accounts=accounts)
        if task is None:
            raise Refused("NOT_FOUND")
        return task

    # --- commands --------------------------------------------------------------------------------------------------

    async def pause(
        self,
        change: Change,
        task_id: int,
        *,
        reason: str = "PAUSED",
        detail: dict[str, Any] | None = None,
        by_rule: bool = False,
    ) -> Task:
        """From the return on nothing of the task is sent but what a channel had claimed before.

        ``by_rule``: the clock or a stopped account wants it, it goes on by itself, and the audit log has no entry.
        """
        async with change.unit(Permission.TASK_EDIT) as unit:
            task = await _locked(unit, task_id)
            if task.state == "paused":
                if by_rule:
                    unit.unchanged()
                    return task
                await store.change(unit.connection, task.id, self_paused=False)
            elif task.state in ("scheduled", "running", "sent"):
                await store.change(
                    unit.connection, task.id, state="paused", paused_from=task.state, self_paused=by_rule,
                    reason=reason, detail=detail or {},
                )  # fmt: skip
            else:
                raise _conflict(task, "pause")
            _record(unit, "task.pause", task, by_rule=by_rule)
        await self.settle_queue(task.id)
        log.info("task.paused", task=task.id, reason=reason, by=change.actor.label)
        return await self._task(task.id)

    async def halt(self, change: Change, seen: Task, stages: dict[str, Any], detail: dict[str, Any]) -> None:
        """A stage has done badly: pause it until somebody decides. Not when it has changed since it was ``seen``."""
        async with change.unit(Permission.TASK_EDIT) as unit:
            task = await _locked(unit, seen.id)
            if (task.state, task.run, task.stages) != (seen.state, seen.run, seen.stages):
                unit.unchanged()
                return
            await store.change(
                unit.connection, task.id, state="paused", paused_from=task.state, self_paused=False,
                reason=staging.HALTED, detail=detail, stages=stages,
            )  # fmt: skip
            _record(unit, "task.halt", task, **detail)
        await self.settle_queue(seen.id)
        log.warning("task.halted", task=seen.id, **detail)

    async def findings(self) -> Iterable[Finding]:
        """Tasks that have been halted, and wait for somebody's decision, by account."""
        return [
            Finding(
                "task_halted", f"account/{row['account']}", WARNING,
                phrase("alarm.task_halted", n=len(row["tasks"]), names=listed(row["tasks"][:10])),
            )
            for row in await store.halted(self.database, staging.HALTED)
        ]  # fmt: skip

    async def resume(self, change: Change, task_id: int, *, by_rule: bool = False) -> Task:
        """It goes on where it was."""
        now = self._now()
        async with change.unit(Permission.TASK_EDIT) as unit:
            task = await _locked(unit, task_id)
            if task.state != "paused" or (by_rule and not task.self_paused):
                if by_rule:
                    unit.unchanged()
                    return task
                raise _conflict(task, "resume")
            stage = stage_of(task.stages)
            gone_on = {} if stage is None or not stage.halted else {"stages": staging.gone_on(task, change.actor, now)}
            await store.change(
                unit.connection, task.id, state=task.paused_from, paused_from=None, self_paused=False, reason="",
                detail={}, due_at=None if task.due_at is None else max(task.due_at, now), **gone_on,
            )  # fmt: skip
            _record(unit, "task.resume", task, by_rule=by_rule)
        await self.settle_queue(task.id)
        self.wake.set()
        log.info("task.resumed", task=task.id, by=change.actor.label)
        return await self._task(task.id)

    async def release(self, change: Change, task_id: int) -> Task:
        """The next stage of one that sends in steps, by somebody's word: before its time of watching is over, or in
        spite of what has halted it. ``STATE_CONFLICT`` when it does not wait for that."""
        task = await self._task(task_id, accounts=change.actor.scope.accounts)
        stage = stage_of(task.stages)
        if stage is not None and stage.halted:
            return await self.resume(change, task_id)
        async with change.unit(Permission.TASK_EDIT) as unit:
            task = await _locked(unit, task_id)
            stage = stage_of(task.stages)
            if stage is None or task.state != "running" or task.fed < stage.end or stage.end >= task.valid:
                raise _conflict(task, "release")
            found = await staging.measure(self.database, task, stage)
            after = staging.next_stage(task, stage, "released", change.actor, self._now(), found)
            await store.change(unit.connection, task.id, stages=after, reason="", detail={})
            _record(unit, "task.release", task, stage=stage.stage)
        self.wake.set()
        log.info("task.released", task=task.id, by=change.actor.label)
        return await self._task(task.id)

    async def cancel(self, change: Change, task_id: int) -> Task:
        """For good: what no carrier has in its hands is cancelled and its price goes back."""
        now = self._now()
        async with change.unit(Permission.TASK_EDIT) as unit:
            task = await _locked(unit, task_id)
            if task.state in store.ENDED:
                raise _conflict(task, "cancel")
            await store.change(
                unit.connection, task.id, state="cancelled", self_paused=False, reason="", ended_at=now, approved=None
            )
            if task.run:
                await store.end_feeding(unit.connection, task.id, task.run, task.fed)
            if task.state == "review":
                await reviews.end_task(unit.connection, task.id, now)
            _record(unit, "task.cancel", task)
        await self.settle_queue(task.id)
        self.wake.set()
        log.info("task.cancelled", task=task.id, by=change.actor.label)
        return await self._task(task.id)

    async def reviewed(self, change: Change, task_id: int, asked: int, *, passes: bool, reason: str) -> int:
        """A reviewer's word (``Reviewing.decide``) about the task as it was ``asked``: it may begin, or it never will.
        Of an edit of what comes round: it goes on with what was approved before, and so do the runs that are under way
        (docs/adr/080). How many rows it has."""
        now, reviewer = self._now(), change.actor.label
        async with change.unit(Permission.REVIEW_DECIDE) as unit:
            task = await _locked(unit, task_id)
            if task.state != "review":
                raise _conflict(task, "review")
            done = await reviews.decide_task(
                unit.connection, asked, now, passes=passes, by=reviewer, reason=reason[:500]
            )
            if not done:  # it was edited meanwhile: that is asked anew
                raise Refused("STATE_CONFLICT", reason=phrase("review.changed"))
            more: dict[str, Any] = {"emergency": True} if task.emergency else {}
            detail = {"reviewer": reviewer, "reason": reason[:500]}
            if passes:
                await store.change(
                    unit.connection, task.id, state=_passed(task), next_at=task.next_at or now, approved=None
                )
            elif task.approved is not None:
                await _put_back(unit, task, now, detail)
                more |= {"put_back": sorted(task.approved)}
            else:
                await store.change(
                    unit.connection, task.id, state="cancelled", ended_at=now, reason="REVIEW_REJECTED", detail=detail
                )
            _record(unit, "task.pass" if passes else "task.reject", task, reason=reason[:500], **more)
        if task.approved is not None:
            await self.settle_queue(task.id)
        self.wake.set()
        return task.valid

    async def edit(
        self, change: Change, task_id: int, changes: Mapping[str, Any], *, version: int | None = None
    ) -> Task:
        """Change ``name``, ``rate``, ``window``; before it has begun, or between two runs, also the times (``send_at``:
        None means now; ``expire_at``, ``recurring``) and what it says and how: ``content``, ``sign``, ``extend_code``,
        ``steps``, ``prefer``, ``frequency``, ``fallback``, ``review``. What it says goes through all checks again. What
        a reviewer was asked is withdrawn and, where the rules ask for one, asked anew (docs/adr/059).

        ``version``: the one that was seen. ``STATE_CONFLICT`` when there is another by now, or it has begun.
        """
        now = self._now()
        async with change.unit(Permission.TASK_EDIT) as unit:
            task = await _locked(unit, task_id)
            if task.state in store.ENDED or task.state == "importing":
                raise _conflict(task, "edit")
            if version is not None and version != task.version:
                raise Refused("STATE_CONFLICT", reason=phrase("task.edited"))
            changes = {name: value for name, value in changes.items() if _differs(task, name, value)}
            begun = not not_begun(task)
            if begun and changes.keys() & _TIMES:
                raise _conflict(task, "reschedule")
            if begun and changes.keys() & _TERMS:
                raise _conflict(task, "edit")
            if changes.keys() & _TERMS:
                unit.actor.require(Permission.MESSAGE_SEND, task.account_id)
                if task.emergency:
                    unit.actor.require(Permission.MESSAGE_URGENT, task.account_id)
            if not changes:
                unit.unchanged()
                return task
            values = await self._edited(unit.connection, task, changes, now)
            held = values.pop("held", None)
            if held is not None:
                await store.keep_held(unit.connection, task.id, len(held), held[:MOST_HELD])
            asked, asks = _asked(task, changes), _asks(task, changes, values)
            if asked:
                await reviews.end_task(unit.connection, task.id, now, edited=True)
            if asks:  # who has paused it has not said that it may go on once it is approved
                values |= {"state": "review"} if task.paused_from else {"state": "review", "reason": "", "detail": {}}
            elif asked:
                next_at = values.get("next_at", task.next_at) or now
                values |= {"approved": None, "state": _passed(task), "next_at": next_at}
            values = {name: value for name, value in values.items() if value != getattr(task, name)}
            if asks and task.recurring is not None and (task.state != "review" or task.approved is not None):
                before = {name: getattr(task, name) for name in values if name in _REVERTED}
                # Not what was edited since. A node of a former version that passes a task leaves what was before it.
                values["approved"] = before | ((task.state == "review" and task.approved) or {})
            await store.change(unit.connection, task.id, **values, version=task.version + 1)
            if asks:
                await reviews.ask_for_task(unit.connection, task.id, again=self._ids.next(), by=unit.actor.label)
            known = [name for name in values if name not in _NOT_TOLD]
            unit.record(
                "task.change",
                f"task/{task.id}",
                before={name: _told(getattr(task, name)) for name in known},
                after={name: _told(values[name]) for name in known},
            )
        self.wake.set()
        return await self._task(task.id)

    async def _edited(
        self, connection: store.Reader, task: Task, changes: Mapping[str, Any], now: datetime
    ) -> dict[str, Any]:
        """The columns that the changes come to, checked."""
        values: dict[str, Any] = {n: v for n, v in changes.items() if n in ("name", "rate", "prefer")}
        if "window" in changes:
            windows_of(changes["window"])
            values["windows"] = [dict(w) for w in changes["window"]]
        if changes.keys() & _TIMES:
            values |= self._new_times(task, changes, now)
        if not changes.keys() & _TERMS:
            return values
        if "steps" in changes:
            values["steps"] = None if changes["steps"] is None else steps_of(changes["steps"]).plain()
        if "frequency" in changes:
            if changes["frequency"] is not None:
                tagged_of(changes["frequency"])
            values["frequency"] = None if changes["frequency"] is None else dict(changes["frequency"])
        values |= {name: changes[name] for name in (_SAYS | {"fallback"}) & changes.keys()}
        spec, plan, rows = await self._as_spec(connection, task, values, wanted=changes.get("review"))
        link = await self._link(spec, now, placed=task.template_id is not None)
        self._preferred(spec, MessageType(task.type))
        spec = self._chained(spec, MessageType(task.type), plan, values.get("next_at", task.next_at))
        if "fallback" in changes:
            values["fallback"] = spec.fallback
        if changes.keys() & _JUDGED or task.state == "review":
            reasons, _ = self._reasons(spec, MessageType(task.type), plan, rows, task.valid, link)
            if plan.names:
                why, values["held"] = await self._held_rows(connection, task, spec, plan)
                reasons = list(dict.fromkeys((*reasons, *why)))
            values |= {"review": bool(reasons), "review_reasons": reasons}
        return values

    async def _held_rows(
        self, reader: store.Reader, task: Task, spec: TaskSpec, plan: Plan
    ) -> tuple[list[str], list[int]]:
        """Why a reviewer has to see rows of a stored task for their own values, and which; of more rows than are looked
        at while somebody waits, all."""
        if task.valid > REJUDGED:
            return [str(phrase("review.edited"))], []
        kind, templated = MessageType(task.type), task.template_id is not None
        judge = RowJudge(self._rules(spec.account, kind, spec.sign, templated=templated, custom=spec.kind_name))
        text, held, after = wording(plan.content, plan.forms, plan.fixed), list[int](), 0
        while page := await store.rows_after(reader, task.id, after, PAGE):
            after = page[-1].n
            for row in page:
                if judge.why(text.fill([row.values[at - 1] for at in plan.columns])):
                    held.append(row.n)
            await asyncio.sleep(0)
        return judge.reasons(), held

    async def _as_spec(
        self, reader: store.Reader, task: Task, values: Mapping[str, Any], *, wanted: bool | None = None
    ) -> tuple[TaskSpec, Plan, list[list[str]]]:
        """A stored task with other values as if it were to be made: how its rows are read, and the first of them."""
        account = self._snapshots.current.account(task.account_id)
        if account is None:
            raise Refused("ACCOUNT_STOPPED")
        content, sign = values.get("content", task.content), values.get("sign", task.sign)
        if task.template_id is not None and (content, sign) != (task.content, task.sign):
            raise invalid("content" if content != task.content else "sign", phrase("task.of_template"))
        if not content.strip():
            raise Invalid("CONTENT_EMPTY")
        if len(content) > MAX_CHARACTERS:
            raise Invalid("CONTENT_TOO_LONG", length=len(content))
        forms = task.mapping.get("forms")
        fixed = task.mapping.get("fixed", {})
        names = wording_of(replace(task, content=content)).names
        own = wording(content, forms, fixed).names
        plan = Plan(
            task.id, 0, content, columns=tuple(1 + names.index(name) for name in own), names=own, forms=forms,
            fixed=fixed,
        )  # fmt: skip
        rows = [[f"+{row.number}", *row.values] for row in await store.rows_after(reader, task.id, 0, 50)]
        asked = str(_WANTED) in task.review_reasons if wanted is None else wanted
        spec = TaskSpec(
            account, values.get("name", task.name), content, Origin.TASK, task.submitter, template_id=task.template_id,
            params=fixed, type=MessageType(task.type), kind=self._snapshots.current.kinds.get(task.message_kind),
            sign=sign, ext=task.ext, extend_code=values.get("extend_code", task.extend_code),
            callback_url=task.callback_url, link_id=task.link_id,
            prefer=values.get("prefer", task.prefer), emergency=task.emergency, review=asked,
            fallback=values.get("fallback", task.fallback), expire_at=values.get("expire_at", task.expire_at),
        )  # fmt: skip
        return spec, plan, rows

    async def asked_anew(self, task: Task, changes: Mapping[str, Any]) -> list[str]:
        """Why a reviewer would have to see it (again) if it were edited so; nothing: none has. Raises what ``edit``
        refuses of its text."""
        changes = {name: value for name, value in changes.items() if _differs(task, name, value)}
        values = await self._edited(self.database, task, changes, self._now())
        return list(values.get("review_reasons", task.review_reasons)) if _asks(task, changes, values) else []

    async def weigh(self, task: Task, content: str, sign: str, *, most: int = WEIGHED) -> Weight:
        """What a stored task comes to with this text: the door is asked about rows from everywhere in it. Raises what
        it refuses."""
        spec, plan, _ = await self._as_spec(self.database, task, {"content": content, "sign": sign})
        text = wording(content, plan.forms, plan.fixed)
        link = None if task.link_id is None else (await self.links.shown(spec.account, task.link_id)).at(0)
        n = min(most, task.valid)
        places = sorted({1 + i * task.valid // n for i in range(n)}) if n else []
        items = []
        for row in await store.some_rows(self.database, task.id, places):
            filled, params = text.parts([["", *row.values][i] for i in plan.columns])
            number, template = f"+{row.number}", task.template_id or 0
            items.append(SendItem(number, filled, "", task.ext, spec.extend_code, sign, template, params, link))
        if not items:
            return Weight(0, 0, 0)
        request = SendRequest(
            spec.account, tuple(items), MessageType(task.type), Origin.TASK, task.submitter, reviewed=True,
            emergency=task.emergency, prefer=spec.prefer, kind=spec.kind,
        )  # fmt: skip
        lines = [line for line in await self._acceptor.explain(request) if "parts" in line]
        of = max(1, len(lines))
        parts, price = (sum(int(str(line[name])) for line in lines) for name in ("parts", "price"))
        return Weight(len(lines), round(parts * task.valid / of), round(price * task.valid / of))

    @staticmethod
    def _new_times(task: Task, changes: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        recurring = changes.get("recurring", task.recurring)
        if (recurring is None) != (task.recurring is None):
            raise invalid("recurring", phrase("task.kind_stays"))
        send_at = changes.get("send_at", task.send_at)
        expire_at = changes.get("expire_at", task.expire_at)
        next_at = _first_time(send_at, expire_at, recurring, now)
        return {
            "send_at": send_at, "expire_at": expire_at, "recurring": _plain(recurring),
            "next_at": next_at or (now if task.state != "review" else None),
        }  # fmt: skip

    # --- the queue -------------------------------------------------------------------------------------------------

    async def settle_queue(self, task_id: int) -> None:
        """Bring the messages that wait in the queue into line with the task's state: held, released or cancelled."""
        task = await store.get(self.database, task_id, accounts=None)
        if task is None:
            return
        chunks = await task_parts.waiting_chunks(self.database, task_id)
        now = self._now()
        if task.state not in (*_RESTS, "cancelled"):  # nearly always there is nothing to release
            await task_parts.count(self.database, chunks, now, settled=now - SETTLED)
            chunks = await task_parts.waiting_chunks(self.database, task_id, held=True)
        for at in range(0, len(chunks), CHUNKS_AT_ONCE):
            await self._settle_some(task, chunks[at : at + CHUNKS_AT_ONCE])
        await self._settle_hops(task)  # also of a chain that the task has no more
        await task_parts.count(self.database, chunks, now, settled=now - SETTLED)

    async def _settle_hops(self, task: Task) -> None:
        held, waiting = (PartState.HELD,), resends.UNCLAIMED
        states = waiting if task.state in _RESTS else (*held, *waiting) if task.state == "cancelled" else held
        after = 0
        # Those in front may stay as they are: what is behind them must come, too.
        while hops := await resends.waiting_hops(self.database, task.id, states, HOPS_AT_ONCE, after=after):
            await self._settle_some(task, hops)
            after = hops[-1].base_id

    async def _settle_some(self, task: Task, chunks: list[Chunk]) -> None:
        queues: set[tuple[int, int]] = set()
        expires = task.expire_at or self._now() + VALIDITY[MessageType(task.type)]

        async def run(connection: Connection, now: datetime) -> list[Row]:
            if task.state == "cancelled":  # for good: no lock is needed, and a refund must not wait for one
                return await task_parts.cancel(connection, chunks, now, "TASK_CANCELLED")
            current = await store.lock(connection, task.id)
            if current is None or current.state != task.state:
                return []  # whoever has changed it does what follows
            if task.state in _RESTS:
                return await task_parts.hold(connection, chunks, now + HOLD_LIMIT + timedelta(hours=12))
            rows = await task_parts.release(connection, chunks, max(expires, now), now)
            # What was held while its account was moved follows.
            ids, snapshot = sorted({r["id"] for r in rows if r["state"] == PartState.QUEUED}), self._snapshots.current
            _, moved = await rerouting.follow(connection, snapshot.table, snapshot.pools, ids, now)
            queues.update((row["pool_id"], row["lane"]) for row in (*rows, *moved))
            return rows

        kinds: dict[int, str] = {
            PartState.HELD: "task_paused", PartState.QUEUED: "task_resumed", PartState.SCHEDULED: "task_resumed",
            PartState.CANCELLED: "task_cancelled",
        }  # fmt: skip
        await self._outcomes.sweep(Sweep(run, kinds, {"task": str(task.id)}))
        self._fleet.announce(queues)

    async def finish(self, task_id: int, run: int) -> None:
        """All messages of a run have come to an end: the run is over, and the task with its last one."""
        now = self._now()
        async with self.database.transaction() as connection:
            task = await store.lock(connection, task_id)
            if task is None:
                raise Refused("NOT_FOUND")
            first, left = await store.finish_run(connection, task_id, run, now)
            if not first:
                return
            over = task.state == "sent" and not left
            if over:
                await store.change(connection, task_id, state="finished", ended_at=now)
            counted = await store.totals(connection, [(task_id, run)])
            await store.keep_totals(connection, task_id, run)
            summed = progress(replace(task, run=run), counted[task_id], True)
            told = {
                "task_id": str(task_id), "name": task.name, "client_ref": task.client_ref, "run": run,
                "state": "finished" if over else task.state, "valid": task.valid, "counts": summed.statuses,
                "finished_at": now.astimezone(CHINA).isoformat(timespec="seconds"),
            }  # fmt: skip
            await events.record(
                connection, "task.finished", [(task.account_id, told)], ids=self._ids.next, subject=task_id
            )
        self._hub.notify([task.account_id], "task.finished")
        log.info("task.finished", task=task_id, run=run)

    async def end_long_holds(self, task_id: int) -> None:
        """What a task at rest has held for days ends as cancelled; the rows behind it are sent when it goes on."""
        before = self._now() - HOLD_LIMIT
        task = await store.get(self.database, task_id, accounts=None)
        if task is None or task.state not in _RESTS:
            return
        old = [c for c in await task_parts.waiting_chunks(self.database, task_id) if time_of(c.base_id) < before]
        for at in range(0, len(old), CHUNKS_AT_ONCE):
            some = old[at : at + CHUNKS_AT_ONCE]
            await self._outcomes.sweep(
                Sweep(
                    lambda c, now, some=some: task_parts.cancel(c, some, now, "TASK_PAUSED_TOO_LONG"),  # type: ignore[misc]
                    {PartState.CANCELLED: "task_cancelled"},
                )
            )


def _passed(task: Task) -> str:
    """The state of one that nobody is asked about any more: as it was paused before, it stays so."""
    return "paused" if task.paused_from else "scheduled"


def not_begun(task: Task) -> bool:
    """Whether it waits for its time: its first, or the next one of a task that comes round."""
    waits = (task.paused_from or task.state) in ("scheduled", "review")
    return waits and (task.run == 0 or task.recurring is not None)


async def _put_back(unit: Unit, task: Task, now: datetime, detail: Mapping[str, Any]) -> None:
    """A task that comes round says again what was approved, and its next time is that of the approved rule, from now
    on; after the last one it is over, once its runs are."""
    approved = dict(task.approved or {})
    rule = recurrence_of(approved.get("recurring", task.recurring) or {})
    next_at = rule.after(now)
    if next_at is not None:
        values: dict[str, Any] = {"state": _passed(task), "next_at": next_at}
        if not task.paused_from:
            values |= {"reason": "REVIEW_REJECTED", "detail": dict(detail)}
    elif await store.unfinished_runs(unit.connection, task.id):
        values = {"state": "paused", "paused_from": "sent"} if task.paused_from else {"state": "sent"}
        values |= {"next_at": None}
    else:
        values = {"state": "finished", "next_at": None, "ended_at": now, "paused_from": None}
    await store.change(unit.connection, task.id, **approved, **values, approved=None, version=task.version + 1)


async def _locked(unit: Unit, task_id: int) -> Task:
    """The task, if the actor may see it."""
    scope = unit.actor.scope
    task = await store.lock(unit.connection, task_id, accounts=scope.accounts)
    if task is None or (scope.submitter is not None and task.submitter != scope.submitter):
        raise Refused("NOT_FOUND")
    return task


def _record(unit: Unit, action: str, task: Task, *, by_rule: bool = False, **after: Any) -> None:
    if by_rule:
        unit.unchanged()
    else:
        before = {"state": task.state, "fed": task.fed}
        unit.record(action, f"task/{task.id}", before=before, after=after or None)


def _first_time(
    send_at: datetime | None, expire_at: datetime | None, recurring: Mapping[str, Any] | None, now: datetime
) -> datetime | None:
    """When a task first begins; None: as soon as it can. Raises ``TIME_INVALID``, ``PARAM_INVALID``."""
    if send_at is not None and send_at > now + MAX_AHEAD:
        raise Invalid("TIME_INVALID", reason=phrase("send_at.ahead"))
    if expire_at is not None and expire_at <= max(now, send_at or now):
        raise Invalid("TIME_INVALID", reason=phrase("expire_at.before"))
    if recurring is None:
        return send_at
    if expire_at is not None:
        raise invalid("expire_at", phrase("expire_at.recurring"))
    first = recurrence_of(recurring).after(max(now, send_at or now))
    if first is None:
        raise Invalid("TIME_INVALID", reason=phrase("recurring.never"))
    return first


def plan_of(task: Task) -> Plan:
    """How a stored task reads its file."""
    known = {name: value for name, value in task.mapping.items() if name in _PLANNED}
    return convert({"task_id": task.id, "content": task.content, "one_each": task.one_each, **known}, Plan)


def members_of(task: Task) -> Members:
    """Whom a stored task to an audience writes to."""
    return Members(task.account_id, task.audience_id, tuple(task.mapping["fields"]), picked_of(task))


def picked_of(task: Task) -> Picked | None:
    """Who was picked from the address book for a stored task."""
    picked = task.mapping.get("picked")
    return None if picked is None else convert(picked, Picked)


def _picked(spec: TaskSpec) -> dict[str, Any]:
    return {} if spec.picked is None else {"picked": to_builtins(spec.picked)}


def _members(spec: TaskSpec, names: Sequence[str]) -> Members:
    """The fields that the text's variables stand for, and that of ``ext``."""
    fields = [spec.variables.get(name, name) for name in names]
    if spec.ext_column is not None:
        fields.append(spec.ext_column)
    return Members(spec.account.id, spec.audience_id, tuple(fields), spec.picked)


def _fixed(params: Mapping[str, str], content: str, link: Codes | None) -> dict[str, str]:
    """What is the same for all rows; in the place of a code that each has of its own stands one as long."""
    if link is None:
        return dict(params)
    code = link.at(0)
    own = {NAME: code.address} if NAME in variables.Template(content).names else {}
    return own | {name: code.put(value) for name, value in params.items()}


def _column(upload: Upload, wanted: str, field: str) -> int:
    """A column by its name or its letter."""
    if wanted in upload.columns:
        return upload.columns.index(wanted)
    letters = [letter(i) for i in range(len(upload.columns))]
    if wanted.upper() in letters:
        return letters.index(wanted.upper())
    known = listed(upload.columns[:20])
    raise invalid(field, phrase("task.no_column", name=wanted[:64], known=known))


def _is_number(written: str) -> bool:
    try:
        numbers.normalize(written)
    except numbers.InvalidNumber:
        return False
    return True


def _plain(recurring: Any) -> dict[str, Any] | None:
    if recurring is None:
        return None
    return {n: v.isoformat() if isinstance(v, datetime) else v for n, v in recurring.items() if v is not None}


def _asked(task: Task, changes: Mapping[str, Any]) -> bool:
    """Whether what a reviewer has been asked about a task is another thing after the changes."""
    return task.state == "review" and changes.keys() != {"name"}


def _asks(task: Task, changes: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Whether a reviewer has to see it after them, and what was said before counts no more."""
    return bool(values.get("review", task.review) and (_asked(task, changes) or changes.keys() & _JUDGED))


def _differs(task: Task, name: str, value: Any) -> bool:
    """Whether a change changes something."""
    if name == "review":
        return bool(value) != (str(_WANTED) in task.review_reasons)
    if name == "send_at" and value is None:
        return True
    if name == "window":
        return [dict(w) for w in value] != task.windows
    return bool(value != getattr(task, name))


def _told(value: Any) -> Any:
    """A column for the audit log."""
    return value.isoformat() if isinstance(value, datetime) else value


def _conflict(task: Task, action: str) -> SmsgwError:
    reason = phrase("task.state", state=STATES[task.state], action=label("task_action", action))
    return Refused("STATE_CONFLICT", reason=reason)
