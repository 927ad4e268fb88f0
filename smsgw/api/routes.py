"""The one table of routes: handlers are registered from it, and ``/openapi.json`` is made from it."""

from __future__ import annotations

from smsgw.api import (
    account,
    blocklist,
    consents,
    contacts,
    drafts,
    files,
    inbound,
    kinds,
    links,
    messages,
    number_filters,
    numbers,
    phrases,
    registry,
    reports,
    scenarios,
    sending,
    statistics,
    tasks,
    url_filings,
    webhooks,
)
from smsgw.api.route import PublicRoute, Route
from smsgw.api.shapes import Health, LanguageQuery, ServerTime

ROUTES: tuple[Route, ...] = (
    *sending.ROUTES,
    *messages.ROUTES,
    *reports.ROUTES,
    *inbound.ROUTES,
    *webhooks.ROUTES,
    *files.ROUTES,
    *tasks.ROUTES,
    *drafts.ROUTES,
    *kinds.ROUTES,
    *scenarios.ROUTES,
    *statistics.ROUTES,
    *contacts.ROUTES,
    *blocklist.ROUTES,
    *consents.ROUTES,
    *numbers.ROUTES,
    *number_filters.ROUTES,
    *registry.ROUTES,
    *phrases.ROUTES,
    *url_filings.ROUTES,
    *links.ROUTES,
    *account.ROUTES,
)

PUBLIC: tuple[PublicRoute, ...] = (
    PublicRoute("/time", "time", "The server's clock", ServerTime),
    PublicRoute("/openapi.json", "openapi", "This document", query=LanguageQuery),
    PublicRoute("/docs", "docs", "The manual, in Chinese, to read and to print", media="text/html"),
    PublicRoute("/docs/manual.css", "docs_style", "The manual's style sheet", media="text/css"),
    PublicRoute("/health", "health", "The process answers", Health, root=True),
    PublicRoute("/ready", "ready", "It can do its work", Health, root=True, errors=("NOT_READY",)),
)
