"""Policies in the database: what a node loads."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from typing import Any

from smsgw.core import policy
from smsgw.core.keywords import Action, Plain, Word, WordFilter
from smsgw.core.policy import Key, Listed, PolicySet
from smsgw.core.templates import ContentBook, Form, Registration, Review, Sign, Template, Variable
from smsgw.core.url_filings import Filed, LinkBook
from smsgw.store.config import traditional
from smsgw.store.engine.database import Database, Row

_POLICIES = "SELECT account_id, type, name, value FROM policy"
_WORDS = "SELECT word, category, action, replacement, account_id, type FROM word ORDER BY id"
_ALLOWED = "SELECT number, account_id, kind FROM allow_list"
_SIGNS = "SELECT id, account_id, sign, state, reviewed_at, expires_at FROM sign"
_TEMPLATES = "SELECT id, account_id, type, content, variables, sign, state FROM template"
_REGISTRATIONS = "SELECT kind, id, carrier, state FROM registration"


_LINKS = """
SELECT f.target, f.account_id, array_agg(s.carrier) AS carriers
FROM filed_link f JOIN filed_link_state s ON s.link_id = f.id AND s.state = 'registered' GROUP BY f.id
"""


async def load_links(database: Database) -> LinkBook:
    """The links that carriers have on file."""
    rows = await database.fetch(_LINKS)
    return LinkBook.of(Filed(r["target"], r["account_id"], frozenset(r["carriers"])) for r in rows)


class Loader:
    """Loads ``PolicySet``s; the automaton of the words is made anew only when they have changed."""

    def __init__(self) -> None:
        self._words: list[Row] = []
        self._filter = WordFilter()
        self._templates: dict[int, tuple[Row, Template]] = {}

    async def load(self, database: Database) -> PolicySet:
        """What holds now."""
        changes: dict[Key, dict[str, Any]] = defaultdict(dict)
        for row in await database.fetch(_POLICIES):
            try:
                value = policy.parse(row["name"], row["value"])
            except ValueError:
                continue  # of a later program: the default holds
            changes[row["account_id"], row["type"]][row["name"]] = value
        allowed: dict[str, list[tuple[int, Listed]]] = defaultdict(list)
        for row in await database.fetch(_ALLOWED):
            allowed[row["number"]].append((row["account_id"], Listed(row["kind"])))
        return PolicySet(
            dict(changes),
            await self._filter_of(await database.fetch(_WORDS)),
            {number: tuple(entries) for number, entries in allowed.items()},
            frozenset(a for entries in allowed.values() for a, kind in entries if kind is Listed.ONLY and a),
            await self._book(database),
            await load_links(database),
        )

    async def _book(self, database: Database) -> ContentBook:
        carriers: dict[tuple[str, int], dict[str, Registration]] = defaultdict(dict)
        for row in await database.fetch(_REGISTRATIONS):
            carriers[row["kind"], row["id"]][row["carrier"]] = Registration(row["state"])
        signs = [
            Sign(
                r["id"], r["account_id"], r["sign"], Review(r["state"]), carriers.get(("sign", r["id"]), {}),
                r["reviewed_at"], r["expires_at"],
            )
            for r in await database.fetch(_SIGNS)
        ]  # fmt: skip
        templates = []
        for r in await database.fetch(_TEMPLATES):
            known = self._templates.get(r["id"])
            said = carriers.get(("template", r["id"]), {})
            if known is None or known[0] != r or known[1].carriers != said:  # its patterns are kept with it
                variables = {n: Variable(Form(v["form"]), v["most"]) for n, v in json.loads(r["variables"]).items()}
                made = Template(
                    r["id"], r["account_id"], r["type"], r["content"], variables, r["sign"], Review(r["state"]), said
                )
                known = r, made
            templates.append(known)
        self._templates = {r["id"]: (r, t) for r, t in templates}
        return ContentBook(signs, [t for _, t in templates])

    async def _filter_of(self, rows: list[Row]) -> WordFilter:
        if rows != self._words:
            words = [
                Word(
                    r["word"],
                    r["category"],
                    Action(r["action"]),
                    r["replacement"],
                    r["account_id"],
                    r["type"],
                )
                for r in rows
            ]
            self._filter = await asyncio.to_thread(lambda: WordFilter(words, Plain(traditional.load())))
            self._words = rows
        return self._filter
