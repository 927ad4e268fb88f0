"""The end of a new sending: what was found about the numbers, the effect in numbers, a test to oneself, the task."""

from __future__ import annotations

import csv
import hashlib
import io
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from aiohttp import web

from smsgw.admin import proving
from smsgw.admin.call import Call
from smsgw.admin.i18n import DEFAULT
from smsgw.admin.kit.toasts import ToastKind
from smsgw.admin.pages.sending import linking, picking, saving
from smsgw.admin.pages.sending.as_scenario import PLACE
from smsgw.admin.pages.sending.marks import counted
from smsgw.admin.pages.sending.terms import hops
from smsgw.admin.pages.sending.wizard import (
    AT,
    Step,
    account_of,
    custom_of,
    kind_of,
    limits_of,
    look,
    message,
    scene_of,
    step_of,
    template_of,
    upload_of,
)
from smsgw.admin.rights import PROOFS, Proof, route
from smsgw.admin.words import compose as words, fallback as chain_words
from smsgw.admin.words.messages import TYPE
from smsgw.core.cells import harmless
from smsgw.core.errors import Invalid, Refused, SmsgwError
from smsgw.core.frequency import tagged_of
from smsgw.core.model import Account, MessageType, Origin
from smsgw.core.permissions import Permission
from smsgw.core.policy import SignPolicy
from smsgw.core.schedule import Hours, Windows, written
from smsgw.core.stages import steps_of
from smsgw.core.templates import CARRIERS, Registration
from smsgw.pipeline.accept.acceptor import SendItem, SendRequest
from smsgw.platform.accounts.queries import balance
from smsgw.platform.campaigns.model import ends_at
from smsgw.platform.campaigns.row_survey import HELD, MOST_KEPT, BadRow
from smsgw.platform.campaigns.uploads import Upload
from smsgw.platform.drafts import queries, service
from smsgw.platform.drafts.model import Source, State, Survey
from smsgw.platform.drafts.surveyor import OF_ROWS, saved_in
from smsgw.platform.drafts.wanted import chain_in, frequency_in, name_of, segment_of, steps_in
from smsgw.platform.messages import service as messages
from smsgw.platform.org import factors
from smsgw.platform.scenarios.model import Scenario
from smsgw.runtime import clock

_ONE = Permission.MESSAGE_SEND
MOST_PROVINCES = 12
TOO_OFTEN = "NUMBER_FREQ_LIMITED"


@dataclass(frozen=True, slots=True)
class Effect:
    """What sending would do."""

    numbers: int
    """Rows that become messages."""
    parts: int
    units: int
    money: str
    """Yuan; empty: the account has no price."""
    exact: bool
    begins: datetime | None
    """When the first message can go; None: at once."""
    refused: Sequence[tuple[int, str]]
    """How many rows the door refuses, and why."""
    cleaned: int
    """Rows that get nothing, by what the table and the lists say."""


@dataclass(frozen=True, slots=True)
class OfCarrier:
    """What sending would do at one carrier; an estimate where not every row was looked at."""

    carrier: str
    numbers: int
    parts: int
    money: str
    """Yuan; empty: the account has no price."""
    routes: Sequence[str]


def of_carriers(survey: Survey, account: Account) -> list[OfCarrier]:
    """The effect, carrier by carrier; the one with the most numbers first."""
    found = []
    for carrier, all_ in survey.carriers:
        looked_at, parts, price, routes = survey.by_carrier.get(carrier, (0, 0, 0, []))
        numbers = looked_at if survey.exact else all_
        share = numbers / looked_at if looked_at else 0
        money = f"{round(price * share) * account.unit_price:,.2f}" if account.unit_price else ""
        found.append(OfCarrier(carrier, numbers, round(parts * share), money, routes))
    return found


def effect(call: Call, survey: Survey, account: Account) -> Effect:
    """The survey in the words of a confirmation."""
    english = call.language != DEFAULT
    refused = [(survey.scaled(n), (chinese, other)[english]) for n, chinese, other in survey.refused.values()]
    units = survey.scaled(survey.price)
    return Effect(
        survey.going, survey.scaled(survey.parts), units,
        f"{units * account.unit_price:,.2f}" if account.unit_price else "", survey.exact,
        datetime.fromisoformat(survey.begins) if survey.begins else None, refused, sum(survey.classes.values()),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unregistered:
    """What the signature is not registered for."""

    sign: str
    refused: bool
    """The policy keeps these messages back."""
    carriers: Sequence[tuple[str, str, int]]
    """Carrier, how it stands there, and how many numbers that is about."""


def unregistered(call: Call, survey: Survey, account: Account, kind: MessageType, sign: str) -> Unregistered | None:
    """The numbers of carriers with which the signature is not registered; None: it is, with all of theirs."""
    if not sign:
        return None
    snapshot = call.portal.context.snapshots.current
    known = snapshot.policies.book.sign((account.id, *account.above), sign)
    at = datetime.fromisoformat(survey.begins) if survey.begins else clock.now()
    said = {c: known.registration(c, at) if known else Registration.PENDING for c in CARRIERS}
    missing = [
        (carrier, said[carrier].value, n)
        for carrier, n in (Counter(dict(survey.carriers)) + Counter(dict(survey.unregistered))).most_common()
        if carrier in said and said[carrier] is not Registration.REGISTERED
    ]
    policy = snapshot.policies.limits(account, kind).sign_policy
    return Unregistered(sign, policy is SignPolicy.REGISTERED, missing) if missing else None


# --- what was found about the numbers --------------------------------------------------------------------------------


@route("GET", AT + "/clean", _ONE)
async def clean(call: Call) -> web.StreamResponse:
    """The classes that the rows fall into."""
    step = await step_of(call, "audience")
    await look(call, step)
    takes = await _may_take(call, step)
    return step.render("sending/compose/clean.html", **_cleaned(step), far=await _far(step), takes=takes)


@route("GET", AT + "/clean/live", _ONE, passive=True)
async def live_clean(call: Call) -> web.StreamResponse:
    """The part of it that waits until the rows have been looked at."""
    step = await step_of(call, "audience")
    far, takes = await _far(step), await _may_take(call, step)
    return call.piece(
        "sending/compose/clean_live.html", form=step, compose=words, far=far, takes=takes, **_cleaned(step)
    )


@dataclass(frozen=True, slots=True)
class CleaningProgress:
    """How far the job that looks at the rows is."""

    reading: bool
    """Rows are read; else: their numbers are held against the lists."""
    done: int
    total: int
    percent: int
    """Of both together."""


async def _far(step: Step) -> CleaningProgress | None:
    """None: nothing is known of it, or it is done."""
    if step.draft is None or step.draft.known is not None:
        return None
    done, whole = await step.call.portal.context.surveyor.how_far(step.draft) or (0, 0)
    if not whole:
        return None
    rows = whole // 2
    reading = done <= rows
    return CleaningProgress(reading, done if reading else done - rows, rows, done * 100 // whole)


def _cleaned(step: Step) -> dict[str, Any]:
    survey = step.draft.known if step.draft else None
    values: dict[str, Any] = {"survey": survey, "classes": [], "kept": MOST_KEPT, "cut": OF_ROWS}
    if survey is None or survey.problem[0]:
        return values | _problem(step, survey)
    held = {HELD: survey.held_rows} if survey.held_rows else {}
    found = {"valid": survey.going, **held, **dict.fromkeys(words.ALWAYS[1:], 0), **survey.classes}
    for code, (n, *_) in survey.refused.items():  # of many rows the door was asked about some: so many are like them
        found[code] = found.get(code, 0) + survey.scaled(n)
    about = set() if survey.exact else {*survey.refused, *(["valid"] if survey.refused else ())}
    return values | {"classes": [(c, n, survey.shown.get(c, []), c in about) for c, n in found.items()]}


def _problem(step: Step, survey: Survey | None) -> dict[str, Any]:
    """What the engine refuses of the whole, with the step where it is mended."""
    if survey is not None and survey.problem[0]:
        code, field, chinese, english = survey.problem
        step.refuse(Refused(code, field=field) if field else Refused(code))
        step.refused = english if step.call.language != DEFAULT else chinese
        step.errors.clear()
    return {}


def _export(call: Call, state: State, upload: Upload | None) -> Permission | None:
    if state.source == Source.AUDIENCE:
        return Permission.CONTACT_EXPORT
    if state.source == Source.SEGMENT or (upload is not None and upload.submitter != call.actor.label):
        return Permission.MESSAGE_EXPORT
    return None


async def _may_take(call: Call, step: Step) -> bool:
    """Whether the rows may be taken away."""
    upload = await upload_of(call, step.state) if step.state.source == Source.FILE else None
    right = _export(call, step.state, upload)
    return right is None or call.may(right)


@route("GET", AT + "/clean/file", _ONE, step_up=Proof.PASSWORD, kept=False)
async def class_file(call: Call) -> web.StreamResponse:
    """All rows of one class, as a table. What the person has brought here is theirs to take away; whole numbers out of
    an audience or a segment, or of a table that somebody else has brought, are an export."""
    step = await step_of(call, "audience")
    wanted = call.request.query.get("class", "")
    if wanted not in words.CLASS or step.draft is None:
        raise web.HTTPNotFound
    upload = await upload_of(call, step.state) if step.state.source == Source.FILE else None
    if (right := _export(call, step.state, upload)) is not None:
        if not call.may(right):
            raise web.HTTPForbidden
        if (asked := proving.before_file(call, PROOFS[right])) is not None:
            return asked
    found = step.draft.found
    if found is None:
        return call.redirect(f"/send/{step.draft.id}/clean")
    blocks = call.portal.context.surveyor.rows(step.draft, call.actor, wanted)
    try:
        first = await anext(blocks)
    except (Invalid, Refused) as error:
        call.toast(message(call, error), ToastKind.BAD)
        return call.redirect(f"/send/{step.draft.id}/clean")
    counted = {"valid": found.going, HELD: found.held_rows, **found.classes}
    n = counted.get(wanted, found.refused.get(wanted, (0,))[0])
    await call.reads("draft.export", f"draft/{step.draft.id}", rows=n, kind=wanted)
    columns: Sequence[str] = upload.columns if upload is not None and any(row.cells for row in first) else ()
    response = web.StreamResponse(headers={"Content-Type": "text/csv; charset=utf-8", "Cache-Control": "no-store"})
    response.headers["Content-Disposition"] = f'attachment; filename="{wanted.lower()}-{step.draft.id}.csv"'
    await response.prepare(call.request)
    await response.write("\ufeff".encode() + _csv([[*columns, *map(call.gettext, words.COLUMNS)]]))
    await response.write(_csv(_lines(first, columns)))
    async for rows in blocks:
        await response.write(_csv(_lines(rows, columns)))
    await response.write_eof()
    return response


def _lines(rows: Sequence[BadRow], columns: Sequence[str]) -> Iterator[list[object]]:
    for row in rows:
        cells = [*row.cells, *[""] * (len(columns) - len(row.cells))] if columns else []
        yield [*cells, row.line, row.number, row.message]


def _csv(lines: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([harmless(cell) for cell in line] for line in lines)
    return text.getvalue().encode()


# --- confirmation ----------------------------------------------------------------------------------------------------


@route("GET", AT + "/confirm", _ONE)
async def confirm(call: Call) -> web.StreamResponse:
    """What would happen, in numbers; nothing is sent yet."""
    step = await step_of(call, "confirm")
    await look(call, step)
    return await _confirm(step)


@route("GET", AT + "/confirm/live", _ONE, passive=True)
async def live_confirm(call: Call) -> web.StreamResponse:
    """Says when the rows have been looked at."""
    step = await step_of(call, "confirm")
    return call.piece(
        "sending/compose/waiting.html", form=step, ready=step.draft and step.draft.known is not None,
        far=await _far(step),
    )  # fmt: skip


async def _confirm(step: Step) -> web.Response:
    call, draft = step.call, step.draft
    assert draft is not None  # noqa: S101 - it has an address
    account, survey = account_of(call, step.state), draft.known
    _problem(step, survey)
    values: dict[str, Any] = {"survey": survey, "account": account, "ready": False}
    if survey is None or account is None or survey.problem[0]:
        return step.render("sending/compose/confirm.html", effect=None, far=await _far(step), **values)
    template = template_of(call, step.state, account)
    phone, verified, _ = await factors.contact(call.db, call.who.id)
    first = next(iter(survey.shown.get("valid", ())), None)
    signed = _signed(step, account, first.said if first else "")
    kind = kind_of(call, step.state, account)
    custom = custom_of(call, step.state, account)
    address = await linking.address(call, step.state, account)
    shown, scene = counted(call, step.state, account, template, address), await scene_of(step)
    windows = _windows(step, scene)
    return step.render(
        "sending/compose/confirm.html", effect=effect(call, survey, account), made_of=template,
        hops=_hops(step, scene), chain=chain_words,
        often=often(call, step.state), frequent=survey.scaled(survey.refused.get(TOO_OFTEN, (0, "", ""))[0]),
        sign=_sign(step, account), scene=scene, carriers=of_carriers(survey, account),
        name=name_of(step.state), stages=_stages(step, survey.valid), via=_via(call),
        balance=await balance(call.db, account.id), phone_number=phone if verified else "", first=first, counted=shown,
        as_scenario=f"{PLACE}?draft={draft.id}" if scene is None and call.may(Permission.SCENARIO_EDIT) else "",
        whom=await _whom(step, account, survey), windows=windows, ends=_ends(step, account, survey, windows),
        kind=kind, kind_name=custom.label if custom else call.gettext(TYPE[kind.value]),
        unregistered=unregistered(call, survey, account, kind, _sign_in(signed)), of=draft.confirmed,
        provinces=MOST_PROVINCES,
        test_key=secrets.token_urlsafe(18), first_text=signed, **values,
    )  # fmt: skip


async def _whom(step: Step, account: Account, survey: Survey) -> list[str]:
    """To whom it goes, beside where the numbers come from: names, and what a segment asks for."""
    call, state = step.call, step.state
    if state.source == Source.FILE:
        upload = await upload_of(call, state)
        return [upload.name] if upload is not None else []
    if state.source == Source.SEGMENT:
        return await saving.named(call, account, state, survey.segment or segment_of(state).segment)
    return await picking.named(call, state, account) if state.source == Source.AUDIENCE else []


def _via(call: Call) -> dict[str, list[str]]:
    """The connected channels of every pool, for who may know of them."""
    found: dict[str, list[str]] = {}
    for channel in call.portal.context.channel_status() if call.may(Permission.CHANNEL_VIEW) else ():
        for pool in channel.pools if channel.state in ("bound", "idle") else ():
            found.setdefault(pool, []).append(channel.name)
    return found


def often(call: Call, state: State) -> str:
    """How often a number gets it at most, in words."""
    given = frequency_in(state)
    return "" if given is None else tagged_of(given).rate.text.text(call.language != DEFAULT)


def _windows(step: Step, scene: Scenario | None) -> Windows:
    """Of the day, in which alone it is sent: the scenario's, else its own."""
    return scene.terms.spans if scene is not None and scene.terms.windows else written(step.state.windows)


def _ends(step: Step, account: Account, survey: Survey, windows: Windows) -> datetime | None:
    """When it will have been sent."""
    state, allowed = step.state, limits_of(step.call, step.state, account).hours
    begins = datetime.fromisoformat(survey.begins) if survey.begins else clock.now()
    steps = steps_in(state) if state.steps else None
    hours = Hours((windows, allowed))
    return ends_at(hours, account, survey.going, begins, rate=int(state.rate or 0), steps=steps)


def _hops(step: Step, scene: Scenario | None) -> list[str]:
    """What follows a message that has failed."""
    fixed = scene.terms.fallback if scene is not None else None
    return hops(step.call, chain_in(step.state) if fixed is None else fixed.plain(), own=True)


def _stages(step: Step, rows: int) -> list[tuple[str, int]]:
    """The shares of a sending in steps, with the numbers that each of them comes to."""
    if not step.state.steps:
        return []
    steps = steps_of(steps_in(step.state))
    return [(f"{share:g}%", steps.end(n, rows)) for n, share in enumerate(steps.shares, 1)]


def _sign_in(text: str) -> str:
    """The signature that a text begins with; empty: none."""
    sign, end, _ = text.removeprefix("【").partition("】")
    return sign if end and text.startswith("【") else ""


def _sign(step: Step, account: Account) -> str:
    template = template_of(step.call, step.state, account)
    return step.state.sign or (template.sign if template else "") or account.default_sign


def _signed(step: Step, account: Account, text: str) -> str:
    sign = _sign(step, account)
    return f"【{sign}】{text}" if sign and text and not text.startswith("【") else text


@route("POST", AT + "/confirm", _ONE)
async def submit(call: Call) -> web.StreamResponse:
    """Make the task; a second press of the button finds the first one's."""
    data = await call.request.post()
    try:
        step = await step_of(call, "confirm")
    except web.HTTPNotFound:
        made = await queries.sent(call.db, call.actor, str(data.get("key", ""))[:64])
        if made is None:
            raise
        return _sent(call, made)
    draft = step.draft
    assert draft is not None  # noqa: S101 - it has an address
    account, survey = account_of(call, step.state), draft.known
    if survey is None or account is None or survey.problem[0] or data.get("of") != draft.confirmed:
        call.toast(call.gettext(words.CHANGED), ToastKind.BAD)
        return call.redirect(f"/send/{draft.id}/confirm")
    try:
        spec = await call.portal.context.surveyor.spec(draft, call.actor)
        prepared = await call.portal.context.tasks.prepare(spec)
        if prepared.count != survey.rows or saved_in(spec) != survey.segment:  # an audience has changed
            await service.look_again(call.db, draft.id)
            call.toast(call.gettext(words.NUMBERS_CHANGED), ToastKind.BAD)
            return call.redirect(f"/send/{draft.id}/confirm")
        task, _ = await call.portal.context.tasks.create(call.change(), replace(spec, survey=survey.kept()))
    except (Invalid, Refused) as error:
        step.refuse(error)
        return await _confirm(step)
    await service.sent(call.change(), draft.id, task.id, survey.valid)
    call.toast(call.gettext(words.SENT_HELD if task.review or survey.held else words.SENT))
    return _sent(call, task.id)


def _sent(call: Call, task_id: int) -> web.Response:
    return call.redirect(f"/tasks/{task_id}" if call.may(Permission.TASK_VIEW) else "/drafts")


@route("POST", AT + "/test", _ONE)
async def test(call: Call) -> web.StreamResponse:
    """The first row's text to the person's own number, which was verified; by the same door, paid and recorded."""
    step = await step_of(call, "confirm")
    draft = step.draft
    assert draft is not None  # noqa: S101 - it has an address
    account, survey = account_of(call, step.state), draft.known
    phone, verified, _ = await factors.contact(call.db, call.who.id)
    back = call.redirect(f"/send/{draft.id}/confirm")
    first = next(iter(survey.shown.get("valid", ())), None) if survey else None
    if not verified or account is None or first is None:
        call.toast(call.gettext(words.CHANGED), ToastKind.BAD)
        return back
    template = template_of(call, step.state, account)
    sign = step.state.sign or (template.sign if template else "")
    kind = kind_of(call, step.state, account)
    custom = custom_of(call, step.state, account)
    values: Mapping[str, str] | None = survey.first if survey and template else None
    try:
        said, values, link = await linking.with_code(call, step.state, account, first.said, values)
    except SmsgwError as error:
        call.toast(message(call, error), ToastKind.BAD)
        return back
    item = SendItem(
        f"+{phone}", "" if template else said, sign=sign, extend_code=step.state.extend_code,
        template_id=template.id if template else 0, params=values, link=link,
    )  # fmt: skip
    key = str((await call.request.post()).get("key", ""))[:64]
    request = SendRequest(
        account, (item,), kind, Origin.PORTAL, call.actor.label, idempotency_key=key or None,
        request_sha256=hashlib.sha256(f"{draft.id} {phone} {first.said}".encode()).digest(),
        kind=custom,
    )  # fmt: skip
    try:
        result = await call.portal.context.acceptor.send(request)
    except SmsgwError as error:
        call.toast(message(call, error), ToastKind.BAD)
        return back
    if not result.replayed:
        await messages.sent(
            call.change(), account.name, batch_id=result.batch_id, accepted=result.accepted, rejected=result.rejected
        )
    (one,) = result.items
    if one.code:
        english = call.language != DEFAULT
        call.toast((english and one.message_en) or one.message or one.code, ToastKind.BAD)
        return back
    held = one.status == "held"
    said, tone = (words.TEST_HELD, ToastKind.WARNING) if held else (words.TESTED, ToastKind.GOOD)
    call.toast(call.filled(said, {"number": f"{phone[-11:-8]}****{phone[-4:]}"}), tone)
    return back
