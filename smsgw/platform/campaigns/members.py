"""The members of an audience as rows of a task: the number first, then the values of the text's variables."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence

import msgspec

from smsgw.core.errors import Invalid
from smsgw.core.words import columns
from smsgw.platform.audience import book_queries, queries, segments
from smsgw.platform.audience.model import Picked, Segment
from smsgw.store.engine.database import Connection, Database, Row

PAGE = 5000
NAME = columns.NAME
"""What stands for a contact's name, unless it has a field of that name."""
LOOKED_AT = 50
"""Members that are looked at before there is a task."""


class Members(msgspec.Struct, frozen=True):
    """Which audience, or who is picked from the address book, and which of the contacts' fields are wanted."""

    account_id: int
    audience_id: int | None
    fields: tuple[str, ...] = ()
    picked: Picked | None = None

    @property
    def segment(self) -> Segment | None:
        """Whom it is, if it is one."""
        return None if self.picked is None else self.picked.segment

    async def first(self, database: Database, limit: int) -> list[Row]:
        """The first of them. ``BACKPRESSURE``: somebody finds a segment of the account just now."""
        if self.segment is not None:
            return await segments.first(database, self.account_id, self.segment, limit)
        return await self._page(database, 0, limit)

    async def _page(self, database: Database | Connection, after: int, limit: int) -> list[Row]:
        if self.picked is not None:
            return await book_queries.picked(database, self.account_id, self.picked, after, limit)
        return await queries.members(database, self.account_id, self.audience_id or 0, after, limit)

    async def count(self, database: Database) -> int | None:
        """How many there are; None: there is no such audience. ``BACKPRESSURE`` as ``first``."""
        if self.segment is not None:
            return await segments.count(database, self.account_id, self.segment)
        if self.picked is not None:
            return await book_queries.how_many_picked(database, self.account_id, self.picked)
        found = await queries.audiences(database, self.account_id, self.audience_id or 0, 1)
        return found[0].members if found else None

    def cells(self, row: Row) -> list[str]:
        """A member as a row."""
        known = _fields(row)
        return ["+" + row["number"], *(known.get(name, "") for name in self.fields)]

    async def pages(self, connection: Connection) -> AsyncIterator[list[tuple[int, list[str]]]]:
        """All of them, in the order in which they became contacts (a segment: of their numbers), as lines from 1 on
        with their cells."""
        after = line = 0
        if self.segment is not None:
            async for page in segments.pages(connection, self.account_id, self.segment):
                yield [(line + n, self.cells(row)) for n, row in enumerate(page, 1)]
                line += len(page)
            return
        while page := await self._page(connection, after, PAGE):
            after = page[-1]["id"]
            yield [(line + n, self.cells(row)) for n, row in enumerate(page, 1)]
            line += len(page)


def _fields(row: Row) -> dict[str, str]:
    own: dict[str, str] = json.loads(row["fields"])
    return dict.fromkeys(NAME, row["name"]) | own


async def look(database: Database, members: Members, names: Sequence[str]) -> list[list[str]]:
    """The first members as rows. ``names``: the variables that the first of ``members.fields`` are for.

    Raises ``TO_EMPTY`` when there are none, ``CONTENT_VARIABLE_UNRESOLVED`` for a field that none of them has.
    """
    page = await members.first(database, LOOKED_AT)
    if not page:
        raise Invalid("TO_EMPTY")
    for name, wanted in zip(names, members.fields, strict=False):
        if not any(_fields(row).get(wanted) for row in page):
            raise Invalid("CONTENT_VARIABLE_UNRESOLVED", name=name)
    return [members.cells(row) for row in page]
