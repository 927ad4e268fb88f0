"""Pages and the permissions they need: the one decorator that puts a handler behind a permission.

There is no other way to register a page; who has which permission is said by roles (``platform/org``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from aiohttp import web

from smsgw.core.permissions import Permission

if TYPE_CHECKING:
    from smsgw.admin.call import Call

Handler = Callable[["Call"], Awaitable[web.StreamResponse]]
H = TypeVar("H", bound=Handler)



class Open(StrEnum):
    """What needs no permission."""

    PUBLIC = "public"
    """Everybody, logged in or not."""
    SELF = "self"
    """Everybody who is logged in, even while the password must be changed."""


PUBLIC, SELF = Open.PUBLIC, Open.SELF
Right = Permission | Open


@dataclass(frozen=True, slots=True)
class Route:
    """One address of the portal."""

    method: str
    path: str
    action: Right
    handler: Handler
    passive: bool
    """Called by the page, not by the person: does not keep an idle session alive."""
    files: int = 0
    """Octets of a form with files that it takes; 0: it takes none."""


def route(method: str, path: str, action: Right, *, passive: bool = False, files: int = 0) -> Callable[[H], H]:
    """Declare a handler's address and the right it needs; changes are POST, everything else GET. ``files``: octets of
    the files that come with its form, which it reads from ``call.parts`` once it is called."""
    if not isinstance(action, Permission | Open):
        raise ValueError(f"{path}: no permission {action!r}")
    if method not in ("GET", "POST"):
        raise ValueError(f"{path}: pages are read by GET and changed by POST")

    def declare(handler: H) -> H:
        declared: list[Route] = getattr(handler, "routes", [])
        handler.routes = [*declared, Route(method, path, action, handler, passive, files)]  # type: ignore[attr-defined]
        return handler

    return declare
