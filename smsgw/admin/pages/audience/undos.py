"""Undoing opt-outs (P4.4): asked for with a proof, decided by somebody else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit import proof_files
from smsgw.admin.kit.details import Button, Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found, read_id
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage, reason_of, refusal
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.audience.blocked import OPT_OUT_TABS, OPT_OUTS, UNDOS, told
from smsgw.admin.rights import route
from smsgw.admin.words import audience, kit, undo
from smsgw.core.blocklist import OPT_OUT
from smsgw.core.errors import Invalid, Refused, Temporary
from smsgw.core.ids import CHINA
from smsgw.core.numbers import mask
from smsgw.core.permissions import Permission
from smsgw.platform.files.model import Incoming
from smsgw.platform.files.proofs import MOST
from smsgw.platform.lists import queries, undoing as service
from smsgw.platform.lists.model import BlockEntry
from smsgw.platform.lists.undoing import Undo, UndoState, WantedUndos

_ID = "{id:[0-9]{1,19}}"
FILTER = Filter(
    (Field("number", FieldKind.PHONE), Field("state", FieldKind.CHOICE, "status", undo.STATE),
     Field("account", FieldKind.CHOICE)),
    period=None,
)  # fmt: skip
COLUMNS = (
    Column("number", Cell.PHONE, phone=Phone.TITLE),
    Column("state", Cell.STATE, "status", words=undo.STATE, tones=undo.STATE_TONE, phone=Phone.BESIDE),
    Column(
        "account", Cell.WORD, value=lambda one: one.account or "*", words=audience.EVERY_ACCOUNT, phone=Phone.SECOND
    ),
    Column("type", Cell.WORD, value=lambda one: one.type or "*", words=audience.EVERY_TYPE, phone=Phone.SECOND),
    Column("sign", phone=Phone.SECOND),
    Column("reason", Cell.LONG, phone=Phone.THIRD),
    Column("asked_by", label="submitter", phone=Phone.SECOND),
    Column("at", Cell.TIME, "created_at", sort=True, value=lambda one: one.asked_at, phone=Phone.AWAY),
    Column("decided_by", phone=Phone.AWAY),
    Column("answer", Cell.LONG, "lift_answer", shown=False, phone=Phone.AWAY),
)
_MORE = (Column("opted_out_at", Cell.TIME), Column("decided_at", Cell.TIME))


def _wanted(found: Found) -> WantedUndos:
    account = int(found.get("account")) if found.get("account") else None
    return WantedUndos(found.get("number"), found.get("state"), account)


async def _choices(call: Call) -> Mapping[str, Mapping[str, str]]:
    return {"account": own_accounts(call)}


async def _detail(call: Call, one: Undo) -> Detail:
    links = [(undo.UNDO_PROOF, f"{UNDOS}/{one.id}/proof")]
    return Detail(mask(one.number), [Section((*COLUMNS, *_MORE), one)], links=links, buttons=_buttons(call, one))


def _buttons(call: Call, one: Undo) -> Sequence[Button]:
    """For somebody else than who has asked."""
    if one.state != UndoState.WAITING or one.asked_by == call.actor.label or not call.may(Permission.BLOCK_EDIT):
        return ()
    fields = {"id": str(one.id), "to": f"{UNDOS}/{one.id}"}
    return (
        Button(undo.PASS, f"{UNDOS}/-/effect/pass", primary=True, fields=fields, asks=True),
        Button(undo.REJECT, f"{UNDOS}/-/effect/reject", danger=True, fields=fields, asks=True),
    )


def _action(key: str, label: str, effect: str, *, passes: bool) -> Action:
    async def run(call: Call, one: Undo) -> None:
        await service.decide(call.change(), one.id, passes=passes, answer=await reason_of(call))

    async def told_before(_: Call, rows: Sequence[Undo]) -> Effect:
        return Effect(effect, {"n": len(rows)})

    return Action(key, label, Permission.BLOCK_EDIT, run, told_before, danger=not passes, reason=True)


PAGE = ListPage(
    "undos", UNDOS, "audience.optouts", Permission.BLOCK_VIEW, FILTER, COLUMNS, choices=_choices, detail=_detail,
    rows=lambda db, actor, found, window: service.search(db, _wanted(found), window, accounts=actor.scope.whole),
    count=lambda db, actor, found, most: service.how_many(db, _wanted(found), most, accounts=actor.scope.whole),
    one=lambda db, actor, id_: service.one(db, id_, accounts=actor.scope.whole), sort=Sort("at"), tabs=OPT_OUT_TABS,
    whole="undo",
    actions=(_action("pass", undo.PASS, undo.PASS_EFFECT, passes=True),
             _action("reject", undo.REJECT, undo.REJECT_EFFECT, passes=False)),
    lead=undo.UNDOS_LEAD,
    empty=Empty(undo.UNDOS_EMPTY, undo.UNDOS_TEACH, undo.OPT_OUTS, OPT_OUTS, Permission.BLOCK_VIEW),
)  # fmt: skip


# --- asking ----------------------------------------------------------------------------------------------------------


async def _entry(call: Call) -> BlockEntry:
    id_ = read_id(call.request.match_info["id"])
    one = None if id_ is None else await queries.one(call.db, id_, accounts=call.actor.scope.whole)
    if one is None or one.source != OPT_OUT:
        raise web.HTTPNotFound
    return one


def _page(call: Call, one: BlockEntry, problem: str = "", reason: str = "") -> web.Response:
    scope = told(call, one.account or "", one.type, one.sign)
    return call.render(
        "audience/undo.html", status=422 if problem else 200, one=one, problem=problem, path=OPT_OUTS, undo=undo,
        most=proof_files.MEGABYTES, kinds=proof_files.ACCEPTED, number=mask(one.number), reason=reason,
        longest=service.MOST_REASON, least=service.LEAST_REASON,
        scope={"scope": scope, "at": f"{one.since.astimezone(CHINA):%Y-%m-%d %H:%M}"},
    )  # fmt: skip


@route("GET", f"{OPT_OUTS}/{_ID}/undo", Permission.BLOCK_EDIT)
async def ask(call: Call) -> web.StreamResponse:
    """The form: why, and the file that proves it."""
    return _page(call, await _entry(call))


@route("POST", f"{OPT_OUTS}/{_ID}/undo", Permission.BLOCK_EDIT, files=MOST)
async def take(call: Call) -> web.StreamResponse:
    """The file has come, behind its reason."""
    one, typed = await _entry(call), dict[str, str]()
    store = call.portal.context.files

    async def keep(incoming: Incoming, fields: Mapping[str, str]) -> int:
        typed.update(fields)
        return await service.keep(call.change(), store, one.version, fields.get("reason", ""), incoming)

    try:
        id_ = await proof_files.received(
            call, service.kind(call.db), one.account_id or None, keep, longest=4 * service.MOST_REASON
        )
    except (Invalid, Refused, Temporary) as error:
        return _page(call, one, refusal(call, error), typed.get("reason", ""))
    if id_ is None:
        return _page(call, one, call.gettext(kit.NO_FILE))
    call.toast(call.gettext(undo.UNDO_ASKED))
    return call.redirect(f"{UNDOS}/{id_}")


@route("GET", f"{UNDOS}/{_ID}/proof", Permission.BLOCK_VIEW)
async def proof(call: Call) -> web.StreamResponse:
    """The file that proves one."""
    id_ = read_id(call.request.match_info["id"]) or 0
    file = await service.proof_of(call.db, id_, accounts=call.actor.scope.whole)
    return await proof_files.shown(call, file, "undo.proof_read", f"undo/{id_}")
