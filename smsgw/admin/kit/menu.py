"""The menu, assembled from what the pages declare, as far as a person may see it.

A page says ``MENU = Entry("records.sent", "/records", Permission.MESSAGE_VIEW)``. Its label, its group and its place
come from ``words/menu``, so that nobody picks numbers and the names are the tender's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from smsgw.admin.words.menu import ENTRIES, GROUPS, Side
from smsgw.core.permissions import Permission

Badge = Callable[[Any], Awaitable[int]]
"""How many wait there for the person of a ``Call``."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A page in the menu. ``key``: ``group.name``, one of ``words.menu.ENTRIES``."""

    key: str
    path: str
    permission: Permission
    badge: Badge | None = None
    shortcut: bool = False
    """To a page that has its own place elsewhere in the menu: the page is shown there."""
    whole: bool = False
    """Only for who sees the whole platform."""

    def __post_init__(self) -> None:
        if self.key not in ENTRIES:
            raise ValueError(f"{self.key}: no such entry in words/menu.py")

    @property
    def group(self) -> str:
        """The key of its group."""
        return self.key.partition(".")[0]

    @property
    def label(self) -> str:
        """Chinese source text."""
        return ENTRIES[self.key].label

    @property
    def heading(self) -> str:
        """What it stands under within its group; mostly empty."""
        return ENTRIES[self.key].heading


@dataclass(frozen=True, slots=True)
class Group:
    """A heading of the menu with the entries that the person has."""

    key: str
    label: str
    icon: str
    side: Side
    entries: tuple[Entry, ...]
    here: Entry | None = None
    """The entry of the page that is shown."""


@dataclass(frozen=True, slots=True)
class Menu:
    """What one person sees on one page."""

    groups: tuple[Group, ...]
    favourites: tuple[Entry, ...] = ()
    """Those that the person has starred, in the menu's order."""

    @property
    def entry(self) -> Entry | None:
        """The entry of the page that is shown."""
        return self.here.here if self.here else None

    @property
    def here(self) -> Group | None:
        """The group of the page that is shown."""
        return next((group for group in self.groups if group.here), None)

    @property
    def side(self) -> Side:
        """Which of the two worlds the page belongs to."""
        if self.here:
            return self.here.side
        return self.groups[0].side if self.groups else Side.BUSINESS

    @property
    def sides(self) -> tuple[Side, ...]:
        """The worlds that the person has anything in."""
        return tuple(side for side in Side if any(group.side is side for group in self.groups))

    @property
    def opened(self) -> str:
        """The key of the group that stands open: that of the page, or else the first that can be opened."""
        if self.here and self.here.key != "home":
            return self.here.key
        return next((group.key for group in self.groups if group.key != "home"), "")

    @property
    def has_badges(self) -> bool:
        """Whether anything is counted."""
        return any(entry.badge for group in self.groups for entry in group.entries)

    @property
    def paths(self) -> frozenset[str]:
        """The addresses of all entries."""
        return frozenset(entry.path for group in self.groups for entry in group.entries)

    def path_of(self, key: str) -> str:
        """The address of an entry; empty: the person has no such page."""
        return next((e.path for group in self.groups for e in group.entries if e.key == key), "")

    def first(self, side: Side) -> str:
        """Where the switch to a side leads."""
        return next((group.entries[0].path for group in self.groups if group.side is side), "/")


def menu_for(
    entries: Iterable[Entry], permissions: Collection[Permission], path: str = "", favourites: Collection[str] = ()
) -> Menu:
    """The menu with these permissions on the page ``path``: what needs others, and empty groups, is not there.
    ``favourites``: keys of entries; those that are not there any more are passed over."""
    order = {key: n for n, key in enumerate(ENTRIES)}
    allowed = sorted((e for e in entries if e.permission in permissions), key=lambda e: order[e.key])
    here = _here(allowed, path)
    groups = []
    for key, words in GROUPS.items():
        own = tuple(e for e in allowed if e.group == key)
        if own:
            groups.append(Group(key, words.label, words.icon, words.side, own, here if here in own else None))
    starred = tuple(e for group in groups for e in group.entries if e.key in favourites)
    return Menu(tuple(groups), starred)


def _here(entries: Iterable[Entry], path: str) -> Entry | None:
    """The entry whose address is the longest beginning of the page's."""
    own = [e for e in entries if not e.shortcut]
    fitting = [e for e in own if path == e.path or (e.path != "/" and path.startswith(e.path + "/"))]
    return max(fitting, key=lambda e: len(e.path), default=None)
