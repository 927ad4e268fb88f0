"""What an operation of the API is: one entry serves requests and makes the document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from smsgw.api.context import Call
from smsgw.api.shapes import NoQuery
from smsgw.platform.files.model import FileKind
from smsgw.platform.handles import Database

STORAGE = ("STORAGE_UNAVAILABLE",)
"""Errors of what only asks or changes the database."""
REPEATED = ("IDEMPOTENCY_IN_PROGRESS", "IDEMPOTENCY_MISMATCH")
"""Errors of what takes an ``Idempotency-Key``."""


MEDIA = "application/json"


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. ``scope`` is what the key must hold."""

    method: str
    path: str
    scope: str
    handler: Callable[[Call], Awaitable[Any]]
    summary: str
    data: Any
    """Type of the answer's ``data``."""
    body: type | None = None
    query: type = NoQuery
    status: int = 200
    errors: tuple[str, ...] = ()
    """Codes beyond those that every authenticated call, and every one with an ``Idempotency-Key``, can get."""
    idempotent: bool = False
    """Takes ``Idempotency-Key``: every POST that changes something."""
    keeps_answer: bool = False
    """Its handler stores the key and the answer in the transaction of what it does; else ``repeating`` does so."""
    keeps_nonce: bool = False
    """Its handler stores the nonce of the signature, too, in that transaction; else it is entered before."""
    upload: bool = False
    """Its body is a file: multipart/form-data with the field ``file``, in ``Call.incoming``."""
    proof: Callable[[Database], FileKind] | None = None
    """The sort of such a file, which proves something; None: it is a table of recipients."""
    media: str = MEDIA
    """Of the answer; any other than JSON: the handler answers by itself, without an envelope."""

    @property
    def streams(self) -> bool:
        """The handler answers by itself, and has when it ends."""
        return self.media != MEDIA

    @property
    def asks(self) -> bool:
        """It only reads: an account has a few of these under way at a time."""
        return self.method == "GET" and not self.streams

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes that this call can get, beyond those of every authenticated call."""
        return self.errors + (REPEATED if self.idempotent else ()) + (("BACKPRESSURE",) if self.asks else ())


@dataclass(frozen=True, slots=True)
class PublicRoute:
    """An operation without a key; handled by the application itself."""

    path: str
    name: str
    summary: str
    data: Any = None
    """Type of the answer's ``data``; None: not in an envelope."""
    media: str = MEDIA
    query: type = NoQuery
    root: bool = False
    """Served at the root of every listener, not under the base path."""
    errors: tuple[str, ...] = ()
