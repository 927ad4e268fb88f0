"""The one table of routes: handlers are registered from it, and ``/openapi.json`` is made from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from smsgw.api import handlers, schema
from smsgw.api.context import Call

BASE = "/api/v1"

_STORAGE = ("STORAGE_UNAVAILABLE",)
_SEND_ERRORS = (
    "TO_EMPTY", "TO_TOO_MANY", "NUMBER_INVALID", "CONTENT_EMPTY", "CONTENT_TOO_LONG", "SIGN_MISSING",
    "EXTEND_CODE_INVALID", "TIME_INVALID", "ACCOUNT_STOPPED", "BALANCE_INSUFFICIENT", "STATE_CONFLICT",
    "IDEMPOTENCY_IN_PROGRESS", "IDEMPOTENCY_MISMATCH", "CLIENT_REF_EXISTS", "NO_ROUTE", "BACKPRESSURE",
    "STORAGE_UNAVAILABLE",
)  # fmt: skip


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
    query: type = schema.NoQuery
    status: int = 200
    errors: tuple[str, ...] = ()
    """Codes beyond those that every authenticated call can get."""
    idempotent: bool = False
    """Takes ``Idempotency-Key``."""


@dataclass(frozen=True, slots=True)
class PublicRoute:
    """An operation without a key; handled by the application itself."""

    path: str
    name: str
    summary: str
    data: Any = None
    """Type of the answer's ``data``; None: not in an envelope."""
    root: bool = False
    """Served at the root of every listener, not under the base path."""
    errors: tuple[str, ...] = ()


ROUTES: tuple[Route, ...] = (
    Route("POST", "/messages", "send", handlers.send, "Send the same text to up to 1,000 numbers",
          schema.Sent | schema.Explained, schema.SendBody, status=202, errors=_SEND_ERRORS, idempotent=True),
    Route("POST", "/messages/batch", "send", handlers.send_batch, "Send up to 1,000 personalised texts",
          schema.Sent | schema.Explained, schema.BatchBody, status=202, errors=_SEND_ERRORS, idempotent=True),
    Route("POST", "/messages/explain", "send", handlers.explain, "Say what a send would do, and send nothing",
          schema.Explained, schema.SendBody, errors=_SEND_ERRORS),
    Route("GET", "/messages", "query", handlers.search, "Search messages, newest first",
          schema.MessagePage, query=schema.SearchQuery, errors=("NUMBER_INVALID", *_STORAGE)),
    Route("GET", "/messages/{id}", "query", handlers.get_message, "One message as it stands",
          schema.Message, errors=("NOT_FOUND", *_STORAGE)),
    Route("GET", "/messages/{id}/trace", "query", handlers.trace, "A message's life, step by step",
          schema.MessageTrace, errors=("NOT_FOUND", *_STORAGE)),
    Route("POST", "/reports/pull", "report", handlers.pull_reports, "Take delivery reports",
          schema.Pulled, schema.PullBody, errors=_STORAGE),
    Route("POST", "/reports/ack", "report", handlers.ack_reports, "Acknowledge a batch of delivery reports",
          schema.Acknowledged, schema.AckBody, errors=_STORAGE),
    Route("POST", "/mo/pull", "mo", handlers.pull_mo, "Take inbound messages",
          schema.Pulled, schema.PullBody, errors=_STORAGE),
    Route("POST", "/mo/ack", "mo", handlers.ack_mo, "Acknowledge a batch of inbound messages",
          schema.Acknowledged, schema.AckBody, errors=_STORAGE),
    Route("GET", "/balance", "balance", handlers.get_balance, "The account's balance",
          schema.Balance, errors=_STORAGE),
)  # fmt: skip

PUBLIC: tuple[PublicRoute, ...] = (
    PublicRoute("/time", "time", "The server's clock", schema.ServerTime),
    PublicRoute("/openapi.json", "openapi", "This document"),
    PublicRoute("/health", "health", "The process answers", schema.Health, root=True),
    PublicRoute("/ready", "ready", "It can do its work", schema.Health, root=True, errors=("NOT_READY",)),
)
