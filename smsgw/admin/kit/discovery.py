"""Pages found by folder: every module below ``pages`` gives its addresses and its menu entries; there is no list."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from types import ModuleType

from smsgw.admin import pages
from smsgw.admin.kit.menu import Entry
from smsgw.admin.rights import Route


@cache
def modules() -> tuple[ModuleType, ...]:
    """Every module of a page, in the order of names."""
    found = pkgutil.walk_packages(pages.__path__, pages.__name__ + ".")
    return tuple(importlib.import_module(name) for name in sorted(each.name for each in found))


def routes() -> list[Route]:
    """Every address of the portal: fixed ones before those with a placeholder, so that none hides another.

    Raises ``ValueError`` when two pages claim one address.
    """
    declared = (h for module in modules() for h in vars(module).values() if not isinstance(h, type))
    handlers = {id(h): h for h in declared if hasattr(h, "routes")}
    found: list[Route] = [route for handler in handlers.values() for route in handler.routes]
    known: set[tuple[str, str]] = set()
    for route in found:
        if (route.method, route.path) in known:
            raise ValueError(f"two pages at {route.method} {route.path}")
        known.add((route.method, route.path))
    return sorted(found, key=lambda route: ("{" in route.path, route.path, route.method))


def entries() -> list[Entry]:
    """The menu entries that the pages declare as ``MENU``: one, or several."""
    declared = (getattr(module, "MENU", ()) for module in modules())
    return [entry for some in declared for entry in ((some,) if isinstance(some, Entry) else some)]
