"""Login security (P13.2): the check with its score, what is demanded of everybody and of roles, the password policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.menu import Entry
from smsgw.admin.pages.person.centre import said
from smsgw.admin.rights import route
from smsgw.admin.words.login import SAVED
from smsgw.core.errors import Invalid, SmsgwError
from smsgw.core.permissions import Permission
from smsgw.platform.login import checks, queries, service
from smsgw.platform.login.model import DEMANDED, Demand
from smsgw.platform.org import queries as org_queries
from smsgw.platform.org import service as org

MENU = Entry("system.login", "/security", Permission.SECURITY_VIEW)
POLICY = "/security/login"
RANGES = {**service.RANGES, **org.PASSWORD_RANGES}


@route("GET", "/security", Permission.SECURITY_VIEW)
async def show(call: Call) -> web.StreamResponse:
    """The check: every state is that of this moment."""
    facts = checks.Facts(call.portal.secure(call.request), len(call.portal.context.sealer.ids))
    found = await checks.run(call.db, facts)
    return call.render("system/security.html", checks=found, score=checks.score(found))


@route("GET", POLICY, Permission.SECURITY_VIEW)
async def policy(call: Call) -> web.StreamResponse:
    """What is demanded."""
    return await _page(call)


async def _page(call: Call, error: str = "", status: int = 200) -> web.Response:
    demands = await queries.of_roles(call.db)
    return call.render(
        "system/login_policy.html", status=status, error=error, policy=await queries.policy(call.db),
        password=await queries.password_policy(call.db), factors=DEMANDED,
        roles=[(role, demands.get(role.code, Demand())) for role in await org_queries.roles(call.db)],
        people=await queries.of_people(call.db, call.actor.scope.departments),
        accounts=[a for a in call.portal.context.snapshots.current.accounts() if a.status == "active"],
        ranges=RANGES, may=call.may(Permission.SECURITY_EDIT),
    )  # fmt: skip


def _number(form: Mapping[str, Any], name: str) -> int:
    text = str(form.get(name, ""))
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        least, most = RANGES[name]
        raise Invalid("PARAM_INVALID", field=name, reason=f"{least}–{most}")
    return int(text)


async def _saved(call: Call, error: SmsgwError | None) -> web.StreamResponse:
    if error is not None:
        return await _page(call, said(call, error), 422)
    call.toast(call.gettext(SAVED))
    return call.redirect(POLICY if call.may(Permission.SECURITY_VIEW) else "/")


@route("POST", POLICY, Permission.SECURITY_EDIT)
async def save(call: Call) -> web.StreamResponse:
    """Demand it of everybody."""
    form = await call.request.post()
    accounts = [str(form.get(name, "")) for name in ("sms_first", "sms_spare")]
    try:
        changes: dict[str, Any] = {name: _number(form, name) for name in service.RANGES}
        changes["factors"] = service.factors_of([str(name) for name in form.getall("factors", [])])
        changes["every"] = form.get("every") == "1"
        changes["enrol_reset"] = form.get("enrol_reset") == "1"
        changes["sms_accounts"] = [int(text) for text in accounts if text.isascii() and text.isdigit()]
        changes["sms_text"] = str(form.get("sms_text", "")).strip()
        await service.set_policy(call.change(), changes)
    except SmsgwError as exc:
        return await _saved(call, exc)
    return await _saved(call, None)


@route("POST", "/security/password", Permission.SECURITY_EDIT)
async def save_passwords(call: Call) -> web.StreamResponse:
    """Ask it of passwords."""
    form = await call.request.post()
    try:
        values = {name: _number(form, name) for name in org.PASSWORD_RANGES}
        await org.set_password_policy(call.change(), **values)
    except SmsgwError as exc:
        return await _saved(call, exc)
    return await _saved(call, None)


@route("POST", "/security/role", Permission.SECURITY_EDIT)
async def save_role(call: Call) -> web.StreamResponse:
    """Demand it of a role."""
    form = await call.request.post()
    try:
        demand = Demand(
            service.factors_of([str(name) for name in form.getall("factors", [])]), form.get("every") == "1",
            service.networks_of(str(form.get("networks", "")).replace(",", "\n").splitlines()),
        )  # fmt: skip
        await service.set_role(call.change(), str(form.get("role", "")), demand)
    except SmsgwError as exc:
        return await _saved(call, exc)
    return await _saved(call, None)
