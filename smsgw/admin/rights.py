"""Pages and the permissions they need: the one decorator that puts a handler behind a permission, and what is dangerous
behind a fresh proof of who one is.

There is no other way to register a page; who has which permission is said by roles (``platform/org``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from aiohttp import web

from smsgw.core.permissions import Permission

if TYPE_CHECKING:
    from smsgw.admin.call import Call

Handler = Callable[["Call"], Awaitable[web.StreamResponse]]
H = TypeVar("H", bound=Handler)
P = Permission


class Open(StrEnum):
    """What needs no permission."""

    PUBLIC = "public"
    """Everybody, logged in or not."""
    SELF = "self"
    """Everybody who is logged in, even while the password must be changed."""


PUBLIC, SELF = Open.PUBLIC, Open.SELF
Right = Permission | Open


class Proof(StrEnum):
    """What somebody has to have shown in the last ten minutes before something dangerous (step-up)."""

    FACTOR = "factor"
    """An app or a passkey."""
    PASSWORD = "password"  # noqa: S105 - a name of a way
    """The same, or the password of who has neither."""


PROOFS: Mapping[Permission, Proof] = {
    P.MESSAGE_UNMASK: Proof.FACTOR, P.MESSAGE_EXPORT: Proof.FACTOR, P.INBOUND_EXPORT: Proof.FACTOR,
    P.CONTACT_EXPORT: Proof.FACTOR, P.LINK_EXPORT: Proof.FACTOR,
    P.STATISTICS_EXPORT: Proof.FACTOR, P.AUDIT_EXPORT: Proof.FACTOR,
    P.KEY_EDIT: Proof.FACTOR, P.BALANCE_EDIT: Proof.FACTOR, P.CHANNEL_EDIT: Proof.FACTOR,
    P.PARTNER_EDIT: Proof.FACTOR, P.WEBHOOK_EDIT: Proof.FACTOR,
    P.ROLE_EDIT: Proof.FACTOR, P.PERSON_GRANT: Proof.FACTOR, P.PERSON_RESET: Proof.FACTOR,
    P.SECURITY_EDIT: Proof.PASSWORD,
}  # fmt: skip
"""What every change with one of these permissions takes, without its page saying so."""


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
    step_up: Proof | None = None
    """Beyond what its permission takes."""
    kept: bool = True
    """What was sent waits for the proof. False: the person comes back to the page before, as for a download."""
    in_service: Proof | None = None
    """In its place, once the platform is in service: what ``step_up`` makes easy is so for the first run alone."""

    @property
    def proof(self) -> Proof | None:
        """What has to be shown before it is answered."""
        if self.step_up is not None or self.method != "POST" or isinstance(self.action, Open):
            return self.step_up
        return PROOFS.get(self.action)


def route(
    method: str, path: str, action: Right, *, passive: bool = False, files: int = 0, step_up: Proof | None = None,
    kept: bool = True, in_service: Proof | None = None,
) -> Callable[[H], H]:  # fmt: skip
    """Declare a handler's address and the right it needs; changes are POST, everything else GET. ``files``: octets of
    the files that come with its form, which it reads from ``call.parts`` once it is called. ``step_up``, ``kept``,
    ``in_service``: as of ``Route``."""
    if not isinstance(action, Permission | Open):
        raise ValueError(f"{path}: no permission {action!r}")
    if method not in ("GET", "POST"):
        raise ValueError(f"{path}: pages are read by GET and changed by POST")

    def declare(handler: H) -> H:
        declared: list[Route] = getattr(handler, "routes", [])
        made = Route(method, path, action, handler, passive, files, step_up, kept, in_service)
        handler.routes = [*declared, made]  # type: ignore[attr-defined]
        return handler

    return declare
