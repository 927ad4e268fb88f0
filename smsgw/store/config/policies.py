"""Policies in the database: what a node loads."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from datetime import datetime
from typing import Any

from smsgw.core import policy
from smsgw.core.keywords import Action, Plain, Word, WordFilter
from smsgw.core.policy import Key, Listed
from smsgw.core.templates import ContentBook, Form, Registration, Review, Sign, Template, Variable
from smsgw.core.url_filings import Filed, LinkBook
from smsgw.store.config import traditional
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.engine.rows import each, masked_number

_POLICIES = "SELECT account_id, type, name, value FROM policy"
_WORDS = "SELECT word, category, action, replacement, account_id, type FROM word ORDER BY id"
_ALLOWED = "SELECT number, account_id, kind FROM allow_list"
_SIGNS = "SELECT id, account_id, sign, state, reviewed_at, expires_at FROM sign WHERE stopped_at IS NULL"
_TEMPLATES = "SELECT id, account_id, type, content, variables, sign, state FROM template WHERE stopped_at IS NULL"
_REGISTRATIONS = "SELECT kind, id, carrier, state, expires_at FROM registration"


_LINKS = """
SELECT f.id, f.target, f.account_id, array_agg(s.carrier) AS carriers
FROM filed_link f JOIN filed_link_state s ON s.link_id = f.id AND s.state = 'registered' GROUP BY f.id
"""


async def load_links(source: Connection | Database) -> LinkBook:
    """The links that carriers have on file."""
    return LinkBook.of(each("filed_link", await source.fetch(_LINKS), lambda r: Filed(
        r["target"], r["account_id"], frozenset(r["carriers"])
    )))  # fmt: skip


async def load_changes(source: Connection | Database) -> dict[Key, dict[str, Any]]:
    """What differs from the default policies."""
    changes: dict[Key, dict[str, Any]] = defaultdict(dict)
    rows = await source.fetch(_POLICIES)
    for row, value in each("policy", rows, lambda r: (r, policy.parse(r["name"], r["value"])), _policy):
        changes[row["account_id"], row["type"]][row["name"]] = value
    return dict(changes)


def _policy(row: Row) -> str:
    return f"{row['account_id']}/{row['type']}/{row['name']}"


Allowed = dict[str, tuple[tuple[int, Listed], ...]]
"""Number -> (account id or 0, kind)."""


async def load_allowed(source: Connection | Database) -> Allowed:
    """The allow list."""
    allowed: dict[str, list[tuple[int, Listed]]] = defaultdict(list)
    rows = await source.fetch(_ALLOWED)
    read = each("allow_list", rows, lambda r: (r["number"], (r["account_id"], Listed(r["kind"]))), masked_number)
    for number, entry in read:
        allowed[number].append(entry)
    return {number: tuple(entries) for number, entries in allowed.items()}


def restricted_of(allowed: Allowed) -> frozenset[int]:
    """Accounts that send to numbers of their list alone."""
    return frozenset(a for entries in allowed.values() for a, kind in entries if kind is Listed.ONLY and a)


async def load_words(source: Connection | Database) -> WordFilter:
    """The keywords; their automaton is made in a thread."""
    words = each("word", await source.fetch(_WORDS), lambda r: Word(
        r["word"], r["category"], Action(r["action"]), r["replacement"], r["account_id"], r["type"]
    ))  # fmt: skip
    return await asyncio.to_thread(lambda: WordFilter(words, Plain(traditional.load())))


class ContentLoader:
    """Loads signatures and templates; the patterns of a template are made anew only when it has changed."""

    def __init__(self) -> None:
        self._templates: dict[int, tuple[Row, Template]] = {}

    async def load(self, source: Connection | Database) -> ContentBook:
        """What holds now."""
        carriers: dict[tuple[str, int], dict[str, Registration]] = defaultdict(dict)
        until: dict[tuple[str, int], dict[str, datetime]] = defaultdict(dict)
        rows = await source.fetch(_REGISTRATIONS)
        for row, state in each("registration", rows, lambda r: (r, Registration(r["state"]))):
            carriers[row["kind"], row["id"]][row["carrier"]] = state
            if row["expires_at"] is not None:
                until[row["kind"], row["id"]][row["carrier"]] = row["expires_at"]
        signs = each("sign", await source.fetch(_SIGNS), lambda r: Sign(
            r["id"], r["account_id"], r["sign"], Review(r["state"]), carriers.get(("sign", r["id"]), {}),
            r["reviewed_at"], r["expires_at"], until.get(("sign", r["id"]), {}),
        ))  # fmt: skip
        templates = each("template", await source.fetch(_TEMPLATES), lambda r: self._template(
            r, carriers.get(("template", r["id"]), {})
        ))  # fmt: skip
        self._templates = {r["id"]: (r, t) for r, t in templates}
        return ContentBook(signs, [t for _, t in templates])

    def _template(self, r: Row, said: dict[str, Registration]) -> tuple[Row, Template]:
        known = self._templates.get(r["id"])
        if known is not None and known[0] == r and known[1].carriers == said:
            return known
        variables = {n: Variable(Form(v["form"]), v["most"]) for n, v in json.loads(r["variables"]).items()}
        return r, Template(
            r["id"], r["account_id"], r["type"], r["content"], variables, r["sign"], Review(r["state"]), said
        )
