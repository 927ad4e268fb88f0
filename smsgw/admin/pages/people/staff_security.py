"""A person's way in (P12.2, 登录与安全): addresses and factors that are demanded, what is bound, sessions; and help."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit import people
from smsgw.admin.kit.attempts import attempt
from smsgw.admin.kit.filters import read_id
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Effect
from smsgw.admin.pages.people.staff_forms import PATH
from smsgw.admin.rights import Proof, route
from smsgw.admin.words import login as login_words, people as words
from smsgw.core.addresses import network_of, within
from smsgw.core.errors import Refused
from smsgw.core.permissions import Permission
from smsgw.platform.login import passkeys, queries as entrance_queries, service as entrance
from smsgw.platform.login.model import DEMANDED, Demand
from smsgw.platform.org import factors, queries, service
from smsgw.platform.org.model import Access, Contact

_ONE = PATH + "/{id:[0-9]{1,19}}"
PAGE = _ONE + "/security"


def _demands(call: Call) -> bool:
    """Whether the reader may demand something of others."""
    return call.may(Permission.SECURITY_EDIT) or call.may(Permission.PERSON_EDIT)


def _ends(call: Call, one: Access) -> bool:
    """Whether the reader may end the person's sessions."""
    return one.id != call.who.id and (call.may(Permission.PERSON_STOP) or call.may(Permission.SECURITY_EDIT))


async def _access(call: Call) -> Access:
    id_ = read_id(call.request.match_info["id"])
    one = None if id_ is None else await queries.access(call.db, call.actor.scope, id_)
    if one is None:
        raise web.HTTPNotFound
    return one


def _page_of(id_: int) -> str:
    return f"{PATH}/{id_}/security"


@route("GET", PAGE, Permission.PERSON_VIEW)
async def show(call: Call) -> web.StreamResponse:
    """All of it."""
    return await _page(call)


async def _page(call: Call, error: str = "", status: int = 200) -> web.StreamResponse:
    one = await _access(call)
    await call.reads("staff.open", f"staff/{one.id}")
    other, may = one.id != call.who.id, call.may
    return call.render(
        "people/way_in.html", status=status, error=error, one=one,
        demand=await entrance_queries.of_person(call.db, one.id), sessions=await queries.sessions(call.db, one.login),
        factors=await factors.factors(call.db, one.id), passkeys=await passkeys.passkeys(call.db, one.id),
        session=call.session, may_demand=other and _demands(call), may_reset=other and may(Permission.PERSON_RESET),
        may_stop=other and may(Permission.PERSON_STOP),
        may_end=_ends(call, one),
    )  # fmt: skip


@route("POST", PAGE + "/end", Permission.PERSON_VIEW)
async def end(call: Call) -> web.StreamResponse:
    """End one of the sessions, or all."""
    one, which = await _access(call), str((await call.request.post()).get("session", ""))
    if not _ends(call, one):
        raise web.HTTPNotFound
    doing: Awaitable[object]
    if which == "all":
        doing, said = service.end_sessions_of(call.change(), one.login), words.ENDED_ALL
    else:
        id_ = read_id(which)
        if id_ not in {session.id for session in await queries.sessions(call.db, one.login)}:
            raise Refused("NOT_FOUND")
        doing, said = service.end_session(call.change(), id_ or 0), login_words.ENDED
    return await attempt(call, doing, said, _page_of(one.id), _page)


# --- what is demanded of the person ----------------------------------------------------------------------------------

_FORM = Form((
    Inputs(
        (Input("networks", InputKind.NETWORKS, most=entrance.MAX_NETWORKS, help=words.NETWORKS_HELP),), words.BINDING,
    ),
    Inputs(
        (Input("factors", InputKind.CHOICES, choices={f.value: login_words.FACTORS[f] for f in DEMANDED},
               help=words.FACTORS_HELP),
         Input("every", InputKind.SWITCH, help=words.EVERY_HELP)),
        words.DYNAMIC,
    ),
))  # fmt: skip


async def _demanded(call: Call) -> tuple[Contact, Demand] | None:
    one = await people.contact(call) if _demands(call) else None
    if one is None or one.id == call.who.id:  # nobody binds themselves: that is what cannot lock out its editor
        return None
    return one, await entrance_queries.of_person(call.db, one.id)


def _demand(values: Mapping[str, Any]) -> Demand:
    networks = tuple(network_of(text) for text in values["networks"])
    return Demand(entrance.factors_of(values["factors"]), values["every"], networks)


async def _save_demand(call: Call, subject: tuple[Contact, Demand], values: Mapping[str, Any]) -> web.Response:
    await entrance.set_person(call.change(), subject[0].login, _demand(values))
    call.toast(call.gettext(words.SAVED))
    return call.redirect(_page_of(subject[0].id))


async def _demand_effect(call: Call, subject: tuple[Contact, Demand], values: Mapping[str, Any]) -> Effect:
    one, demand = subject[0], _demand(values)
    sessions = await queries.sessions(call.db, one.login)
    out = sum(1 for s in sessions if demand.networks and not within(s.address or "", demand.networks))
    told = {"name": one.name or one.login, "n": len(demand.networks), "out": out, "sessions": len(sessions)}
    return Effect(words.BOUND_EFFECT if demand.networks else words.UNBOUND_EFFECT, told)


DEMAND = FormPage(
    PAGE + "/demand", Permission.PERSON_VIEW, words.DEMAND_SET, words.SAVE, _FORM, _save_demand,
    lambda subject: _page_of(subject[0].id), _demanded, effect=_demand_effect, step_up=Proof.PASSWORD,
    values=lambda subject: {"networks": subject[1].networks, "factors": sorted(subject[1].factors),
                            "every": subject[1].every},
    lead=lambda subject: f"{subject[0].name} ({subject[0].login})",
)  # fmt: skip


# --- help for who cannot get in --------------------------------------------------------------------------------------


async def _another(call: Call) -> Contact | None:
    one = await people.contact(call)
    return None if one is None or one.id == call.who.id else one


async def _reset(call: Call, one: Contact, _: Mapping[str, Any]) -> web.Response:
    await factors.reset_factors(call.change(), one.login)
    call.toast(call.gettext(words.FACTORS_GONE))
    return call.redirect(_page_of(one.id))


async def _reset_effect(call: Call, one: Contact, _: Mapping[str, Any]) -> Effect:
    found = await factors.factors(call.db, one.id)
    told = {"name": one.name or one.login, "apps": int(found.totp), "passkeys": found.passkeys,
            "codes": found.recovery_codes, "phones": int(found.phone), "sessions": one.sessions}  # fmt: skip
    return Effect(words.FACTORS_RESET_EFFECT, told)


async def _code(call: Call, one: Contact, _: Mapping[str, Any]) -> web.Response:
    code = await entrance.emergency_code(call.change(), one.login)
    return call.render("people/one_time.html", login=one.login, code=code, id=one.id)


async def _code_effect(_: Call, one: Contact, __: Mapping[str, Any]) -> Effect:
    return Effect(words.CODE_EFFECT, {"name": one.name or one.login})


RESET = FormPage(
    PAGE + "/reset", Permission.PERSON_RESET, words.FACTORS_RESET, words.FACTORS_RESET, Form(()), _reset,
    lambda one: _page_of(one.id), _another, effect=_reset_effect, danger=True,
    lead=lambda one: f"{one.name} ({one.login})",
)  # fmt: skip
CODE = FormPage(
    PAGE + "/code", Permission.PERSON_RESET, words.CODE_NEW, words.CODE_NEW, Form(()), _code,
    lambda one: _page_of(one.id), _another, effect=_code_effect, lead=lambda one: f"{one.name} ({one.login})",
)  # fmt: skip
