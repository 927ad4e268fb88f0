"""What lists and forms of people share: the choices that a person has, what they may give, and effects in numbers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from typing import Any

from smsgw.admin.call import Call
from smsgw.admin.kit import discovery
from smsgw.admin.kit.filters import Found, read_id
from smsgw.admin.kit.lists import Effect, ListPage
from smsgw.admin.words import people as words
from smsgw.core.actor import EVERYTHING, Actor, ScopeKind
from smsgw.core.permissions import ALL, Permission
from smsgw.platform.org import queries
from smsgw.platform.org.model import Contact, Role


async def choices(call: Call) -> Mapping[str, Mapping[str, str]]:
    """Roles, and the departments and accounts that are in the person's scope."""
    departments = await queries.departments(call.db, call.actor.scope)
    return {
        "role": {role.code: role_name(call, role) for role in await queries.roles(call.db)},
        "department": {str(one.id): one.name for one in departments},
        "account": own_accounts(call),
    }


def role_name(call: Call, role: Role) -> str:
    """A role by its name: ours in the reader's language, others as they were given."""
    return call.gettext(role.name) if role.builtin else role.name


def own_accounts(call: Call) -> dict[str, str]:
    """The sending accounts in the person's scope: id -> name."""
    own = call.actor.scope.accounts
    accounts = call.portal.context.snapshots.current.accounts()
    return {str(one.id): one.name for one in accounts if own is None or one.id in own}


async def account_choices(call: Call, _: Any = None) -> Mapping[str, Mapping[str, str]]:
    """The accounts in the person's scope, for a filter or a form."""
    return {"account": own_accounts(call)}


def whole_accounts(call: Call) -> dict[str, str]:
    """Those of them of which the person sees everything, for what is not narrowed to a submitter."""
    return {id_: name for id_, name in own_accounts(call).items() if call.actor.scope.covers(int(id_))}


def not_by_person(actor: Actor, _: Found) -> str:
    """For lists that count nothing by submitter: why there is nothing for who sees only their own submissions."""
    return "" if actor.scope.submitter is None else words.NOT_BY_PERSON


def may_give(actor: Actor, role: Role) -> bool:
    """Whether an actor has all that a role gives. The service asks again, for the person it is given to."""
    permissions = ALL if role.everything else role.permissions
    return permissions <= actor.permissions and (role.scope is not ScopeKind.ALL or actor.scope == EVERYTHING)


async def given(call: Call) -> Mapping[str, Mapping[str, str]]:
    """The same, of roles those that the person may give."""
    found = dict(await choices(call))
    roles = [role for role in await queries.roles(call.db) if may_give(call.actor, role)]
    found["role"] = {role.code: role_name(call, role) for role in roles}
    return found


async def contact(call: Call) -> Contact | None:
    """Whom the address of a page names, in the person's scope."""
    id_ = read_id(call.request.match_info["id"])
    return None if id_ is None else await queries.contact(call.db, call.actor.scope, id_)


def label(call: Call, permission: Permission) -> str:
    """A permission by its module and action, in the reader's language."""
    return label_of(call.gettext, permission)


def label_of(say: Callable[[str], str], permission: Permission) -> str:
    """The same in the language of ``say``."""
    module, _, action = permission.value.partition(".")
    return f"{say(words.MODULES[module])} · {say(words.ACTIONS[action])}"


def effect(text: str) -> Callable[[Call, Sequence[Any]], Awaitable[Effect]]:
    """The effect on people: a sentence with their number (n), their open sessions and the names of the first ones."""

    async def tell(_: Call, rows: Sequence[Any]) -> Effect:
        names = ", ".join(row.name or row.login for row in rows[:5])
        values = {"n": len(rows), "sessions": sum(row.sessions for row in rows), "names": names}
        return Effect(text, values)

    return tell


_WITHIN_PAGES = frozenset(
    {Permission.MESSAGE_READ, Permission.STATISTICS_VIEW, Permission.MESSAGE_URGENT, Permission.WEBHOOK_INTERNAL}
)
"""What pages ask for by themselves, beside the right that opens them."""


@cache
def governed() -> frozenset[Permission]:
    """Permissions that open, show or do something in this portal today: of its addresses, of columns of its lists."""
    found = {route.action for route in discovery.routes() if isinstance(route.action, Permission)}
    for module in discovery.modules():
        for page in vars(module).values():
            if isinstance(page, ListPage):
                found |= {column.permission for column in page.columns if column.permission is not None}
    return frozenset(found | _WITHIN_PAGES)
