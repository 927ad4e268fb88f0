"""A new sending (P2.1, 新建发送任务), and one of a table's rows with a text each (P2.2, 自定义发送): the steps up to
the time. Each is a form that is saved as a draft, by itself every ten seconds and when it is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import BodyPartReader, web

from smsgw.admin.call import Call
from smsgw.admin.kit.filters import Problem
from smsgw.admin.kit.imports import KINDS, short_text, write_down
from smsgw.admin.kit.kinds import names_of as names_of_kinds
from smsgw.admin.kit.menu import Entry
from smsgw.admin.pages.sending import filtered, linking, picking, saving
from smsgw.admin.pages.sending.marks import Counted, counted
from smsgw.admin.pages.sending.terms import hops
from smsgw.admin.pages.sending.wizard import (
    AT,
    HOPS,
    OTHER_SIGN,
    Step,
    account_of,
    accounts,
    custom_of,
    fresh,
    guessed,
    kind_of,
    limits_of,
    line_of,
    message,
    names_of,
    obey,
    plain_name,
    pools_of,
    read,
    scene_of,
    scenes,
    step_of,
    template_of,
    text_of,
    upload_of,
    within_reach,
)
from smsgw.admin.rights import route
from smsgw.admin.words import compose as words, fallback as chain_words
from smsgw.core.errors import Invalid, Refused, SmsgwError, Temporary
from smsgw.core.fallback import chain_of
from smsgw.core.keywords import Action, named
from smsgw.core.model import Account, MessageType
from smsgw.core.number_parsing import pieces
from smsgw.core.permissions import Permission
from smsgw.core.policy import SignPolicy
from smsgw.core.sent_links import NAME
from smsgw.core.templates import Misfit
from smsgw.core.words import phrase as said
from smsgw.pipeline.accept.acceptor import VALIDITY
from smsgw.platform.campaigns.body_template import forms_of, wording
from smsgw.platform.campaigns.files import MAX_SIZE
from smsgw.platform.campaigns.model import MAX_TO, TaskSpec, recurrence_of, windows_of
from smsgw.platform.campaigns.uploads import Upload
from smsgw.platform.drafts import service
from smsgw.platform.drafts.model import Kind, Source, State, When
from smsgw.platform.drafts.wanted import spec_of
from smsgw.platform.fallback import rules as chain_rules
from smsgw.runtime import clock

CUSTOM = "/custom"
MENU = (
    Entry("sending.send", "/send", Permission.MESSAGE_SEND),
    Entry("sending.custom", CUSTOM, Permission.MESSAGE_SEND),
)
MOST_TEMPLATES = 200
MAX_CONTENT = 1000
PICK = "pick"
"""Name of the button that chooses a scenario."""
FIND = "find"
"""Name of the button that looks for signatures."""
MANY_SIGNS, MOST_SIGNS = 12, 50
"""More than so many are looked for; so many are shown of what was found."""
MOST_ID = 20
"""Octets of an account's id in a form."""
_ONE, _NEXT = (
    Permission.MESSAGE_SEND,
    {"content": "audience", "audience": "clean", "options": "time", "time": "confirm"},
)


# --- content ---------------------------------------------------------------------------------------------------------


@route("GET", "/send", _ONE)
async def new(call: Call) -> web.StreamResponse:
    """The first step of a new one, perhaps in a scenario; nothing is kept before something is typed."""
    step = fresh(call, State(scenario=call.request.query.get("scenario", "")[:MOST_ID]))
    await obey(step)
    return await _content(step)


@route("POST", "/send", _ONE)
async def begin(call: Call) -> web.StreamResponse:
    """The first step is done, or a scenario is chosen."""
    step = await _first(call)
    await obey(step)
    data = await call.request.post()
    if linking.MAKE in data:
        await linking.make(step, data)
        return await _content(step)
    await linking.check(step)
    if PICK in data or FIND in data or not _check_content(step):
        return await _content(step, str(data.get("sign_find", "")))
    try:
        draft = await service.begin(call.change(), step.form_key, step.kind, step.state, step.said)
    except (Invalid, Refused) as error:
        step.refuse(error)
        return await _content(step)
    return call.redirect(f"/send/{draft.id}/audience")


@route("POST", "/send/-/save", _ONE, passive=True)
async def save_first(call: Call) -> web.StreamResponse:
    """The first step saves itself."""
    step = await _first(call)
    if not within_reach(call, step.state):
        raise web.HTTPNotFound
    await service.begin(call.change(), step.form_key, step.kind, step.state, step.said)
    return web.Response(status=204)


async def _first(call: Call) -> Step:
    data = await call.request.post()
    step = fresh(call)
    step.form_key = str(data.get("key", ""))[:64]
    read(step, data)
    return step


@route("POST", "/send/-/live", _ONE)
async def live(call: Call) -> web.StreamResponse:
    """Beside the text while it is typed: what it costs, how it looks, what in it will be stopped."""
    step = fresh(call)
    read(step, await call.request.post())
    address = await linking.address(call, step.state, account_of(call, step.state))
    return call.render("sending/compose/live.html", **_counted(call, step.state, address))


def _counted(call: Call, state: State, values: Mapping[str, str] | None = None) -> dict[str, Any]:
    account = account_of(call, state)
    template = template_of(call, state, account)
    return {"counted": counted(call, state, account, template, values), "compose": words}


@route("GET", AT + "/content", _ONE)
async def show_content(call: Call) -> web.StreamResponse:
    """The text of a draft."""
    return await _content(await step_of(call, "content"))


async def _content(step: Step, find: str = "") -> web.Response:
    call, state = step.call, step.state
    account = account_of(call, state)
    line = line_of(account) if account else ()
    book = call.portal.context.snapshots.current.policies.book
    known = await scenes(call, state, step.kind)
    upload = await upload_of(call, state) if state.source == Source.FILE else None
    template = template_of(call, state, account)
    first = _first_values(state, upload, names_of(state, template)) | await linking.address(call, state, account)
    return step.render(
        "sending/compose/content.html", accounts=accounts(call), account=account, types=names_of_kinds(call),
        scenes=known, scene=next((one for one in known if str(one.id) == state.scenario), None), pick=PICK,
        made_of=template, linking=await linking.offered(step),
        signs=_signs(call, state, account, find), templates=book.usable(line)[:MOST_TEMPLATES],
        columns=[(column, plain_name(column)) for column in upload.columns] if upload else [],
        **_counted(call, state, first),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Signs:
    """The signatures that can be chosen for an account."""

    all: int
    """How many are approved, …"""
    found: Sequence[str]
    """… the first of those that were looked for, with the chosen one, and …"""
    left: int
    """… how many more they are."""
    asked: str
    free: bool
    """Any other one may be typed: the account's policy asks for none that is approved."""
    chosen: str
    typed: str
    other: str = OTHER_SIGN
    find: str = FIND

    @property
    def many(self) -> bool:
        """Whether they are looked for rather than looked through."""
        return self.all > MANY_SIGNS


def _approved(call: Call, account: Account) -> list[str]:
    return call.portal.context.snapshots.current.policies.book.signs(line_of(account), clock.now())


def _any_sign(call: Call, state: State, account: Account) -> bool:
    """Whether the account may use signatures that nobody has approved."""
    return limits_of(call, state, account).sign_policy is SignPolicy.OFF


def _may_sign(call: Call, state: State, account: Account) -> bool:
    return _any_sign(call, state, account) or state.sign in _approved(call, account)


def _signs(call: Call, state: State, account: Account | None, asked: str = "") -> Signs:
    if account is None:
        return Signs(0, (), 0, "", free=False, chosen="", typed="")
    approved, free = _approved(call, account), _any_sign(call, state, account)
    asked = asked.strip()[:20]
    found = [text for text in approved if asked in text]
    shown, typed = found[:MOST_SIGNS], free and state.sign not in ("", *approved)
    if state.sign and not typed and state.sign not in shown:
        shown = [state.sign, *shown]
    chosen = OTHER_SIGN if typed else state.sign
    return Signs(
        len(approved), shown, max(0, len(found) - MOST_SIGNS), asked, free, chosen, state.sign if typed else ""
    )


@route("POST", "/send/-/signs", _ONE)
async def signs(call: Call) -> web.StreamResponse:
    """The signatures to choose from: of the chosen account, with what was looked for."""
    step = fresh(call)
    data = await call.request.post()
    read(step, data)
    account = account_of(call, step.state)
    found = _signs(call, step.state, account, str(data.get("sign_find", "")))
    return call.render("sending/compose/signs.html", signs=found, account=account)


@route("POST", "/send/-/links", _ONE)
async def links(call: Call) -> web.StreamResponse:
    """The short links to choose from, and the form for another: of the chosen account."""
    step = fresh(call)
    data = await call.request.post()
    read(step, data)
    if (new := linking.typed(data))["link_target"]:
        step.link = new
    return call.render("sending/compose/links.html", form=step, state=step.state, linking=await linking.offered(step))


def _first_values(state: State, upload: Upload | None, names: Sequence[str]) -> dict[str, str]:
    if upload is None or not upload.first_rows:
        return {}
    chosen = guessed(names, upload.columns, state.variables)
    row = upload.first_rows[0]
    return {name: row[upload.columns.index(column)] for name, column in chosen.items() if column}


def _check_content(step: Step) -> bool:
    call, state = step.call, step.state
    account = account_of(call, state)
    template = template_of(call, state, account)
    found: dict[str, str] = {}
    if account is None:
        found["account"] = words.NO_ACCOUNT
    if state.type not in names_of_kinds(call):
        found["type"] = words.NO_TYPE
    if state.template and template is None:
        found["template"] = words.NO_TEMPLATE
    if state.sign and not (2 <= len(state.sign) <= 20 and state.sign.isprintable() and not set("【】") & {*state.sign}):
        found["sign"] = words.BAD_SIGN
    elif account is not None and state.sign and not _may_sign(call, state, account):
        found["sign"] = words.NOT_APPROVED
    text = text_of(state, template)
    if not text:
        found["content"] = words.NO_CONTENT
    elif len(text) > MAX_CONTENT:
        found["content"] = words.LONG_CONTENT
    if "link" not in step.errors and (unplaced := linking.problem(state, text)):
        found["link"] = unplaced
    step.errors |= {key: Problem(said) for key, said in found.items()}
    if account and text and "content" not in found:
        kind = kind_of(call, state, account)
        hits = call.portal.context.snapshots.current.policies.words.find(text, line_of(account), kind)
        if blocked := [hit for hit in hits if hit.word.action is Action.BLOCK]:
            step.errors["content"] = Problem(words.BLOCKED_WORDS, {"words": named(blocked)})
    if account is not None:
        step.state.account = str(account.id)
    return not step.errors


# --- saving of all steps ---------------------------------------------------------------------------------------------


@route("POST", AT + "/save/{step:content|audience|options|time}", _ONE, passive=True)
async def save(call: Call) -> web.StreamResponse:
    """A form saves itself."""
    step = await step_of(call, call.request.match_info["step"])
    read(step, await call.request.post())
    if not within_reach(call, step.state):
        raise web.HTTPNotFound
    assert step.draft is not None  # noqa: S101 - it has an address
    await service.put(call.change(), step.draft.id, step.state, step.said)
    return web.Response(status=204)


@route("POST", AT + "/{step:content|audience|options|time}", _ONE)
async def done(call: Call) -> web.StreamResponse:
    """A step is done: on to the next, or again with what is wrong. With ``later`` it is kept as it is."""
    step = await step_of(call, call.request.match_info["step"])
    data = await call.request.post()
    read(step, data)
    assert step.draft is not None  # noqa: S101 - it has an address
    if step.key == "content":
        await obey(step)
        if FIND in data:
            return await _content(step, str(data.get("sign_find", "")))
        if linking.MAKE in data:
            await linking.make(step, data)
            if step.errors:
                return await _content(step)
            await service.put(call.change(), step.draft.id, step.state, step.said, step=step.key)
            return call.redirect(step.path)
        if PICK in data and not step.errors:
            await service.put(call.change(), step.draft.id, step.state, step.said, step=step.key)
            return call.redirect(step.path)
    if step.key == "audience" and saving.SAVE in data:
        await saving.save(step, data)
        if step.errors:
            return await _audience(step)
        await service.put(call.change(), step.draft.id, step.state, step.said, step=step.key)
        return call.redirect(step.path)
    if "later" in data:
        if not within_reach(call, step.state):
            raise web.HTTPNotFound
        await service.put(call.change(), step.draft.id, step.state, step.said, step=step.key)
        return call.redirect("/drafts")
    if await _checked(step):
        try:
            await service.put(call.change(), step.draft.id, step.state, step.said, step=step.key)
        except Invalid as error:
            step.refuse(error)
        else:
            return call.redirect(f"/send/{step.draft.id}/{_NEXT[step.key]}")
    return await _page(step)


async def _checked(step: Step) -> bool:
    if step.key == "content":
        await linking.check(step)
        return _check_content(step)
    if step.key == "audience":
        return await _check_audience(step)
    return _check_rest(step)


async def _page(step: Step) -> web.Response:
    pages = {"content": _content, "audience": _audience, "options": _options, "time": _time}
    return await pages[step.key](step)


# --- to whom ---------------------------------------------------------------------------------------------------------


@route("GET", AT + "/audience", _ONE)
async def show_audience(call: Call) -> web.StreamResponse:
    """The numbers of a draft."""
    return await _audience(await step_of(call, "audience"))


async def _audience(step: Step) -> web.Response:
    call, state = step.call, step.state
    account = account_of(call, state)
    template = template_of(call, state, account)
    names = names_of(state, template)
    upload = await upload_of(call, state)
    columns = upload.columns if upload else ()
    filled = (state.phone if state.phone in columns else "") if upload else ""
    guess = upload.columns[upload.phone_column] if upload and upload.phone_column is not None else ""
    offered = await filtered.offered(call, state, account)
    sources = {
        key: word
        for key, word in words.SOURCE.items()
        if (key != Source.FILTER or offered.filters or state.source == Source.FILTER)
        and (key != Source.SEGMENT or call.may(Permission.MESSAGE_VIEW))
    }
    return step.render(
        "sending/compose/audience.html", sources=sources, upload=upload, names=names, made_of=template,
        phone=filled or guess, chosen=guessed(names, columns, state.variables), most=MAX_TO, kinds=KINDS,
        size=f"{MAX_SIZE // 1024**2} MB", account=account,
        **await _row(call, state, upload, 1, guessed(names, columns, state.variables)),
        filtered=offered, segments=words.SEGMENT, sent_links=await linking.sent(call, account),
        saving=await saving.offered(step, account),
        **await picking.shown(call, state, account, ""),
    )  # fmt: skip


async def _check_audience(step: Step) -> bool:
    call, state = step.call, step.state
    account = account_of(call, state)
    template = template_of(call, state, account)
    names = names_of(state, template)
    found: dict[str, Problem] = {}
    if state.source == Source.TYPED:
        given = pieces(state.to)
        if not given:
            found["to"] = Problem(words.NO_NUMBERS)
        elif len(given) > MAX_TO:
            found["to"] = Problem(words.TOO_MANY, {"n": f"{MAX_TO:,}"})
        elif names and template is None:
            found["source"] = Problem(words.VARIABLES_NEED_FILE, {"name": names[0]})
    elif state.source == Source.AUDIENCE:
        if not (state.audience or state.groups or state.tags or state.contacts):
            found["audience"] = Problem(words.NO_AUDIENCE)
    elif state.source == Source.SEGMENT:
        pass  # all of it is asked about below
    elif state.source == Source.FILTER and names:
        found["source"] = Problem(words.VARIABLES_NEED_FILE, {"name": names[0]})
    elif state.source == Source.FILTER:
        if not await filtered.taken(step):
            return False
    elif (upload := await upload_of(call, state)) is None:
        found["file"] = Problem(words.NO_FILE)
    else:
        state.phone = state.phone if state.phone in upload.columns else ""
        if not state.phone and upload.phone_column is None:
            found["phone"] = Problem(words.NO_COLUMN)
        state.variables = {k: v for k, v in guessed(names, upload.columns, state.variables).items() if v}
    if not found:
        for name in names:
            if state.fixed.get(name) and template is not None:
                continue
            if state.source == Source.TYPED:
                found[f"fix_{name}"] = Problem(words.NO_VALUE)
            elif not state.variables.get(name) and state.source == Source.FILE:
                found[f"var_{name}"] = Problem(words.NO_VARIABLE)
    step.errors = found
    if found or step.draft is None:
        return False
    try:
        await call.portal.context.surveyor.prepared(replace(step.draft, state=state), call.actor)
    except (Invalid, Refused) as error:
        if error.code == "LINK_NOT_ACTIVE":  # it may be passed until it is confirmed, and is asked about there
            return True
        step.refuse(error)
        return False
    return True


@dataclass(frozen=True, slots=True)
class Preview:
    """A row of the table with the text that it makes."""

    n: int
    line: int
    number: str
    counted: Counted | None
    problem: str = ""


@route("POST", AT + "/row", _ONE)
async def row(call: Call) -> web.StreamResponse:
    """Any row of the table with the text that it would get, by the columns as they are chosen in the form."""
    step = await step_of(call, "audience")
    data = await call.request.post()
    read(step, data)
    upload = await upload_of(call, step.state)
    text = str(data.get("n", "")).strip()
    n = int(text) if text.isascii() and text.isdecimal() and len(text) < 8 else 1
    account = account_of(call, step.state)
    names = names_of(step.state, template_of(call, step.state, account))
    chosen = guessed(names, upload.columns if upload else (), step.state.variables)
    return call.render("sending/compose/row.html", **await _row(call, step.state, upload, n, chosen))


async def _row(call: Call, state: State, upload: Upload | None, n: int, chosen: Mapping[str, str]) -> dict[str, Any]:
    if upload is None or not upload.rows:
        return {"row": None}
    n = min(max(1, n), upload.rows)
    try:
        found = await call.portal.context.surveyor.row(upload, n)
    except SmsgwError as error:
        return {"row": Preview(n, 0, "", None, message(call, error))}
    line, cells = found or (0, [])
    cells = [*cells, *[""] * len(upload.columns)]
    values = {name: cells[upload.columns.index(column)] for name, column in chosen.items() if column}
    values |= {name: value for name, value in state.fixed.items() if state.template and value}
    address = await linking.address(call, state, account_of(call, state))
    phone = state.phone if state.phone in upload.columns else ""
    at = upload.columns.index(phone) if phone else upload.phone_column
    account = account_of(call, state)
    template = template_of(call, state, account)
    missing = [name for name in names_of(state, template) if not values.get(name)]
    problem = ""
    if not missing and template is not None:
        try:
            wording(template.content, forms_of(template), values | address).fill(())
        except Misfit as misfit:
            missing = [misfit.name]
    if missing:
        problem = call.filled(words.ROW_MISSING, {"name": missing[0]})
    number = cells[at] if at is not None else ""
    shown = None if missing else counted(call, state, account, template, values | address)
    return {"row": Preview(n, line, number, shown, problem)}


# --- the file --------------------------------------------------------------------------------------------------------


@route("GET", CUSTOM, _ONE)
async def custom(call: Call) -> web.StreamResponse:
    """A table with a text for each row."""
    step = fresh(call)
    step.kind, step.key = Kind.OWN, "table"
    return _table(step)


@route("GET", AT + "/table", _ONE)
async def show_table(call: Call) -> web.StreamResponse:
    """Another table for a draft; one of a single text has it beside its numbers."""
    step = await step_of(call, "table")
    if step.kind is Kind.SAME:
        return call.redirect(call.request.path.removesuffix("table") + "audience")
    return _table(step)


def _table(step: Step) -> web.Response:
    call = step.call
    action = CUSTOM if step.draft is None else f"/send/{step.draft.id}/file"
    return step.render(
        "sending/compose/table.html", accounts=accounts(call), account=account_of(call, step.state), action=action,
        kinds=KINDS, size=f"{MAX_SIZE // 1024**2} MB",
    )  # fmt: skip


@route("POST", CUSTOM, _ONE, files=MAX_SIZE)
async def take_custom(call: Call) -> web.StreamResponse:
    """The table has come: a draft begins."""
    step = fresh(call)
    step.kind, step.key = Kind.OWN, "table"
    if (upload := await _taken(step)) is None:
        return _table(step)
    try:
        draft = await service.begin(call.change(), step.form_key, Kind.OWN, step.state, step.said)
    except (Invalid, Refused) as error:
        step.refuse(error)
        return _table(step)
    call.toast(call.filled(words.FILE_KEPT, {"name": upload.name, "n": f"{upload.rows:,}"}))
    return call.redirect(f"/send/{draft.id}/content")


@route("POST", AT + "/file", _ONE, files=MAX_SIZE)
async def take(call: Call) -> web.StreamResponse:
    """The numbers of a draft have come as a file."""
    step = await step_of(call, "audience")
    upload = await _taken(step)
    if upload is None:
        if step.kind is Kind.OWN:
            step.key = "table"
            return _table(step)
        return await _audience(step)
    assert step.draft is not None  # noqa: S101 - it has an address
    await service.put(call.change(), step.draft.id, step.state, step.said, step="audience")
    call.toast(call.filled(words.FILE_KEPT, {"name": upload.name, "n": f"{upload.rows:,}"}))
    ready = step.kind is Kind.SAME or step.state.content or step.state.template
    return call.redirect(f"/send/{step.draft.id}/{'audience' if ready else 'content'}")


async def _taken(step: Step) -> Upload | None:
    """The file of the form, written down as it comes, and looked at; None: what is wrong stands in the step."""
    call = step.call
    part = await call.parts.next() if call.parts is not None else None
    if isinstance(part, BodyPartReader) and part.name == "account":
        said = await short_text(part, MOST_ID)
        step.state.account = step.state.account or said
        part = await call.parts.next() if call.parts is not None else None
    account = account_of(call, step.state)
    if account is None:
        step.errors["account"] = Problem(words.NO_ACCOUNT)
        return None
    if not isinstance(part, BodyPartReader) or not part.filename:
        step.errors["file"] = Problem(words.NO_FILE)
        return None
    files = call.portal.context.tasks.files
    try:
        incoming = await files.receive(account.id, 0, part.filename)
        try:
            await write_down(part, files.store, incoming, MAX_SIZE)
            upload = await files.keep(incoming, call.actor.label)
        finally:
            files.store.drop(incoming)
    except (Invalid, Refused, Temporary) as error:
        step.errors["file"] = Problem("%(said)s", {"said": message(call, error)})
        return None
    step.state.account, step.state.upload = str(account.id), str(upload.id)
    step.state.phone, step.state.source = "", Source.FILE.value
    step.said |= {"account", "upload", "phone", "source"}
    return upload


# --- how and when ----------------------------------------------------------------------------------------------------


@route("GET", AT + "/options", _ONE)
async def show_options(call: Call) -> web.StreamResponse:
    """How it is sent."""
    return await _options(await step_of(call, "options"))


async def _options(step: Step) -> web.Response:
    call = step.call
    account = account_of(call, step.state)
    custom = custom_of(call, step.state, account)
    kind = kind_of(call, step.state, account)
    pools = () if account is None else pools_of(call, account, kind, custom.name if custom else "")
    may = call.may(Permission.MESSAGE_URGENT) and account is not None and account.emergency
    marketing = account is not None and kind_of(call, step.state, account) is MessageType.MARKETING
    scene = await scene_of(step)
    line = line_of(account) if account else ()
    fixed = scene.terms.fallback.plain() if scene is not None and scene.terms.fallback is not None else None
    return step.render(
        "sending/compose/options.html", scene=scene, pools=pools, chain=chain_words, hop_places=HOPS,
        scene_hops=hops(call, fixed, own=True), names=names_of(step.state, template_of(call, step.state, account)),
        templates=call.portal.context.snapshots.current.policies.book.usable(line)[:MOST_TEMPLATES],
        urgent=words.URGENT_NOT_MARKETING if marketing else "" if may else words.URGENT_NO_RIGHT,
    )  # fmt: skip


@route("GET", AT + "/time", _ONE)
async def show_time(call: Call) -> web.StreamResponse:
    """When it is sent."""
    return await _time(await step_of(call, "time"))


async def _time(step: Step) -> web.Response:
    call, state = step.call, step.state
    account = account_of(call, state)
    custom = custom_of(call, state, account)
    kind = custom.name if custom else kind_of(call, state, account).value
    hours = None if account is None else limits_of(call, state, account).hours
    scene = await scene_of(step)
    return step.render("sending/compose/time.html", hours=hours, kind=kind, types=names_of_kinds(call), scene=scene)


def _check_chain(step: Step, account: Account, spec: TaskSpec) -> None:
    """Whether its hops can be sent. Raises what they cannot be sent for."""
    kind, template = kind_of(step.call, step.state, account), template_of(step.call, step.state, account)
    validity = VALIDITY[kind] if spec.expire_at is None else spec.expire_at - (spec.send_at or clock.now())
    chain_rules.checked(
        step.call.portal.context.snapshots.current, account, kind, chain_of(spec.fallback or {}),
        sign=spec.sign or account.default_sign, validity=validity,
        names=(*names_of(step.state, template), *((NAME,) if step.state.link else ())),
    )  # fmt: skip


def _check_rest(step: Step) -> bool:
    """Options and time, by the way that they go to the engine."""
    account = account_of(step.call, step.state)
    if account is None or step.draft is None:
        step.refused, step.refused_step = step.call.gettext(words.NO_ACCOUNT), "content"
        return False
    state = step.state
    if state.when not in set(When):
        state.when = When.NOW.value
    try:
        kinds = step.call.portal.context.snapshots.current.kinds
        spec = spec_of(replace(step.draft, state=state), account, step.call.actor.label, clock.now(), kinds)
        windows_of(spec.windows)
        if spec.recurring is not None:
            recurrence_of(spec.recurring)
        if spec.fallback is not None:
            _check_chain(step, account, spec)
        if spec.emergency:
            step.call.actor.require(Permission.MESSAGE_URGENT)
            if not account.emergency:
                raise Refused("EMERGENCY_DENIED")
            if kind_of(step.call, state, account) is MessageType.MARKETING:
                raise Invalid("PARAM_INVALID", field="emergency", reason=said("emergency.marketing"))
    except (Invalid, Refused) as error:
        step.refuse(error)
    return not step.errors and not step.refused
