"""Who may do what: THE table of actions and roles, and the one decorator that puts a handler behind it.

There is no other way to register a page, so what the table does not allow is denied.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from aiohttp import web

from smsgw.admin.i18n import N_

if TYPE_CHECKING:
    from smsgw.admin.call import Call

Handler = Callable[["Call"], Awaitable[web.StreamResponse]]
H = TypeVar("H", bound=Handler)

ROLES: dict[str, str] = {
    "super": N_("平台超管"),
    "sysadmin": N_("系统管理员"),
    "secadmin": N_("安全管理员"),
    "auditor": N_("安全审计员"),
    "admin": N_("业务管理员"),
    "dept": N_("部门管理员"),
    "operator": N_("操作员"),
    "reviewer": N_("审核员"),
    "finance": N_("财务"),
    "ops": N_("运维"),
    "dev": N_("对接开发"),
}

PUBLIC = "public"
"""Everybody, logged in or not."""
SELF = "self"
"""Everybody who is logged in, even while the password must be changed."""

_EVERYONE = frozenset(ROLES)
ACTIONS: dict[str, frozenset[str]] = {
    "home.view": _EVERYONE,
    "alarms.view": frozenset({"super", "sysadmin", "auditor", "admin", "ops"}),
    "channels.view": frozenset({"super", "admin", "ops"}),
    "traffic.view": _EVERYONE - {"sysadmin", "secadmin"},
    "send.create": frozenset({"super", "admin", "dept", "operator"}),
    "records.view": frozenset({"super", "auditor", "admin", "dept", "operator", "finance", "ops", "dev"}),
    "records.content": frozenset({"super", "auditor", "admin", "dept", "operator", "ops", "dev"}),
}


def allowed(role: str, action: str) -> bool:
    """Whether a role has the right; an unknown action is nobody's."""
    return role in ACTIONS.get(action, ())


@dataclass(frozen=True, slots=True)
class Route:
    """One address of the portal."""

    method: str
    path: str
    action: str
    handler: Handler
    passive: bool
    """Called by the page, not by the person: does not keep an idle session alive."""


def route(method: str, path: str, action: str, *, passive: bool = False) -> Callable[[H], H]:
    """Declare a handler's address and the right it needs; changes are POST, everything else GET."""
    if action not in ACTIONS and action not in (PUBLIC, SELF):
        raise ValueError(f"{path}: no such action {action!r}")
    if method not in ("GET", "POST"):
        raise ValueError(f"{path}: pages are read by GET and changed by POST")

    def declare(handler: H) -> H:
        declared: list[Route] = getattr(handler, "routes", [])
        handler.routes = [*declared, Route(method, path, action, handler, passive)]  # type: ignore[attr-defined]
        return handler

    return declare


@dataclass(frozen=True, slots=True)
class Entry:
    """A menu entry; ``icon`` names a symbol of ``static/icons.svg``."""

    label: str
    path: str
    action: str
    icon: str


@dataclass(frozen=True, slots=True)
class Group:
    """A heading of the menu with its entries."""

    label: str
    entries: tuple[Entry, ...]


MENU: tuple[Group, ...] = (
    Group("", (Entry(N_("首页"), "/", "home.view", "home"),)),
    Group(N_("统一发送"), (Entry(N_("发送短信"), "/send", "send.create", "send"),)),
    Group(N_("记录与报表"), (Entry(N_("发送记录"), "/records", "records.view", "list"),)),
)


def menu_for(role: str) -> list[Group]:
    """The menu as this role sees it: entries without a right, and groups left empty, do not exist."""
    groups = (Group(g.label, tuple(e for e in g.entries if allowed(role, e.action))) for g in MENU)
    return [group for group in groups if group.entries]
