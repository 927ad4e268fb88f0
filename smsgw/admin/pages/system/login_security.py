"""Login security (P13.2): the check with its score, what is demanded of everybody and of roles, the password policy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.attempts import attempt
from smsgw.admin.kit.menu import Entry
from smsgw.admin.rights import route
from smsgw.admin.words.login import SAVED
from smsgw.core.errors import Invalid
from smsgw.core.permissions import Permission
from smsgw.platform.login import checks, queries, service
from smsgw.platform.login.model import DEMANDED, Demand
from smsgw.platform.org import queries as org_queries, service as org

MENU = Entry("system.login", "/security", Permission.SECURITY_VIEW)
POLICY = "/security/login"
_OPENS = {
    POLICY: Permission.SECURITY_VIEW, "/security/networks": Permission.SECURITY_VIEW, "/staff": Permission.PERSON_VIEW,
    "/audit": Permission.AUDIT_VIEW, "/platform": Permission.SETTING_VIEW,
}  # fmt: skip
"""What the pages take where something is mended."""
RANGES = {**service.RANGES, **org.PASSWORD_RANGES}


def places(call: Call, found: Sequence[checks.Check]) -> set[str]:
    """The pages where something is mended that the person may open."""
    return {check.path for check in found if check.path and call.may(_OPENS[check.path.partition("?")[0]])}


@route("GET", "/security", Permission.SECURITY_VIEW)
async def show(call: Call) -> web.StreamResponse:
    """The check: every state is that of this moment."""
    facts = checks.Facts(call.portal.secure(call.request), len(call.portal.context.sealer.ids))
    found = await checks.run(call.db, facts)
    shown = places(call, found)
    return call.render("system/security.html", checks=found, score=checks.score(found), shown=shown)


@route("GET", POLICY, Permission.SECURITY_VIEW)
async def policy(call: Call) -> web.StreamResponse:
    """What is demanded."""
    return await _page(call)


async def _page(
    call: Call, error: str = "", status: int = 200, *, policy: Any = None, password: Any = None,
    demand: tuple[str, Any] | None = None,
) -> web.Response:  # fmt: skip
    """``policy``, ``password``, ``demand`` (of a role): as they were typed, when they are refused."""
    demands: dict[str, Any] = dict(await queries.of_roles(call.db))
    if demand is not None:
        demands[demand[0]] = demand[1]
    return call.render(
        "system/login_policy.html", status=status, error=error, policy=policy or await queries.policy(call.db),
        password=password or await queries.password_policy(call.db), factors=DEMANDED,
        roles=[(role, demands.get(role.code, Demand())) for role in await org_queries.roles(call.db)],
        wrong=demand[0] if demand else "", ranges=RANGES, may=call.may(Permission.SECURITY_EDIT),
        accounts=[a for a in call.portal.context.snapshots.current.accounts() if a.status == "active"],
    )  # fmt: skip


def _number(form: Mapping[str, Any], name: str) -> int:
    text = str(form.get(name, ""))
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        least, most = RANGES[name]
        raise Invalid("PARAM_INVALID", field=name, reason=f"{least}–{most}")
    return int(text)


def _demanded(form: Mapping[str, Any], factors: Sequence[Any]) -> dict[str, Any]:
    """What the boxes of a demand say, as it stands in the form."""
    networks = str(form.get("networks", ""))[:10_000].replace(",", "\n").split()
    return {
        "factors": [str(name) for name in factors], "every": form.get("every") == "1",
        "networks": networks, "empty": False,
    }  # fmt: skip


def _after(call: Call) -> str:
    return POLICY if call.may(Permission.SECURITY_VIEW) else "/"


@route("POST", POLICY, Permission.SECURITY_EDIT)
async def save(call: Call) -> web.StreamResponse:
    """Demand it of everybody."""
    form = await call.request.post()
    typed: dict[str, Any] = {name: str(form.get(name, ""))[:6] for name in service.RANGES}
    accounts = [str(form.get(name, "")) for name in ("sms_first", "sms_spare")]
    typed["sms_accounts"] = [int(text) for text in accounts if re.fullmatch("[0-9]{1,18}", text)]
    typed["sms_text"] = str(form.get("sms_text", "")).strip()[:1000]
    typed["enrol_reset"] = form.get("enrol_reset") == "1"
    demand = _demanded(form, form.getall("factors", []))

    async def doing() -> None:
        numbers = {name: _number(form, name) for name in service.RANGES}
        factors = service.factors_of(demand["factors"])
        changes = typed | numbers | {"factors": factors, "every": demand["every"]}
        await service.set_policy(call.change(), changes)

    again = partial(_page, policy=typed | {"demand": demand})
    return await attempt(call, doing(), SAVED, _after(call), again)


@route("POST", "/security/password", Permission.SECURITY_EDIT)
async def save_passwords(call: Call) -> web.StreamResponse:
    """Ask it of passwords."""
    form = await call.request.post()

    async def doing() -> None:
        values = {name: _number(form, name) for name in org.PASSWORD_RANGES}
        await org.set_password_policy(call.change(), **values)

    typed = {name: str(form.get(name, ""))[:6] for name in org.PASSWORD_RANGES}
    return await attempt(call, doing(), SAVED, _after(call), partial(_page, password=typed))


@route("POST", "/security/role", Permission.SECURITY_EDIT)
async def save_role(call: Call) -> web.StreamResponse:
    """Demand it of a role."""
    form = await call.request.post()
    typed, code = _demanded(form, form.getall("factors", [])), str(form.get("role", ""))

    async def doing() -> None:
        networks = service.networks_of(typed["networks"])
        demand = Demand(service.factors_of(typed["factors"]), typed["every"], networks)
        await service.set_role(call.change(), code, demand)

    return await attempt(call, doing(), SAVED, _after(call), partial(_page, demand=(code, typed)))
