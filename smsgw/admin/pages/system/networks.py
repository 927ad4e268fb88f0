"""The allow-list of addresses (P13.3): who may see the portal at all. Its editor cannot shut out themselves."""

from __future__ import annotations

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.lists import refusal
from smsgw.admin.kit.menu import Entry
from smsgw.admin.rights import route
from smsgw.admin.words.login import SAVED
from smsgw.core.errors import SmsgwError
from smsgw.core.permissions import Permission
from smsgw.platform.login import queries, service

PAGE = "/security/networks"
MENU = Entry("system.addresses", PAGE, Permission.SECURITY_VIEW)


async def _page(call: Call, *, typed: str | None = None, error: str = "", status: int = 200) -> web.Response:
    policy = await queries.policy(call.db)
    roles = await queries.of_roles(call.db)
    people = await queries.of_people(call.db, call.actor.scope.departments)
    text = "\n".join(map(str, policy.demand.networks)) if typed is None else typed
    return call.render(
        "system/networks.html", status=status, error=error, text=text, on=bool(policy.demand.networks),
        roles={code: demand for code, demand in roles.items() if demand.networks},
        people={login: demand for login, demand in people.items() if demand.networks},
        most=service.MAX_NETWORKS, may=call.may(Permission.SECURITY_EDIT),
    )  # fmt: skip


@route("GET", PAGE, Permission.SECURITY_VIEW)
async def show(call: Call) -> web.StreamResponse:
    """The list, and the bindings of roles and people."""
    return await _page(call)


@route("POST", PAGE, Permission.SECURITY_EDIT)
async def save(call: Call) -> web.StreamResponse:
    """Put the list in the place of the one before."""
    form = await call.request.post()
    text = str(form.get("networks", ""))[:10_000]
    try:
        networks = [str(network) for network in service.networks_of(text.splitlines())]
        await service.set_policy(call.change(), {"networks": networks})
    except SmsgwError as exc:
        return await _page(call, typed=text, error=refusal(call, exc), status=422)
    call.toast(call.gettext(SAVED))
    return call.redirect(PAGE if call.may(Permission.SECURITY_VIEW) else "/")
