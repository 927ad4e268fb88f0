"""The menu of the portal, as far as a person may see it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from smsgw.admin.i18n import N_
from smsgw.core.permissions import Permission


@dataclass(frozen=True, slots=True)
class Entry:
    """A menu entry; ``icon`` names a symbol of ``static/icons.svg``."""

    label: str
    path: str
    permission: Permission
    icon: str


@dataclass(frozen=True, slots=True)
class Group:
    """A heading of the menu with its entries."""

    label: str
    entries: tuple[Entry, ...]


MENU: tuple[Group, ...] = (
    Group("", (Entry(N_("首页"), "/", Permission.HOME_VIEW, "home"),)),
    Group(N_("统一发送"), (Entry(N_("发送短信"), "/send", Permission.MESSAGE_SEND, "send"),)),
    Group(N_("记录与报表"), (Entry(N_("发送记录"), "/records", Permission.MESSAGE_VIEW, "list"),)),
)


def menu_for(permissions: Collection[Permission]) -> list[Group]:
    """The menu with these permissions: entries that need others, and groups left empty, do not exist."""
    groups = (Group(g.label, tuple(e for e in g.entries if e.permission in permissions)) for g in MENU)
    return [group for group in groups if group.entries]
