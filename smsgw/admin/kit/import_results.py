"""What has become of the rows of an import, as tables to take away: all of them, and those that were not brought in."""

from __future__ import annotations

import csv
import io
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.i18n import DEFAULT
from smsgw.admin.kit.filters import read_id
from smsgw.admin.rights import Route
from smsgw.admin.words.people import OUTCOME
from smsgw.admin.words.terms import TERMS
from smsgw.core.actor import Actor
from smsgw.core.cells import harmless
from smsgw.core.permissions import Permission
from smsgw.platform.handles import Database
from smsgw.platform.jobs.model import Job
from smsgw.platform.sheets import queries as sheets
from smsgw.platform.sheets.model import Outcome

PAGE = 1000
"""Rows that are read and written at a time."""


@dataclass(frozen=True, slots=True)
class ImportResults:
    """The results of the imports of one list. Collected for its ``routes``, like every handler."""

    path: str
    permission: Permission
    job: Callable[[Database, Actor, int], Awaitable[Job]]
    """One's own import. ``NOT_FOUND``."""
    action: str
    """Of the audit entry."""
    name: str
    """Of the files."""
    key: str
    """What a row is known by: a term, as is ``label``, what else is told of it."""
    label: str

    @property
    def routes(self) -> list[Route]:
        """Its addresses."""
        one = self.path + "/-/import/{id:[0-9]{1,19}}"
        return [
            Route("GET", f"{one}/{what}", self.permission, handler, passive=False)
            for what, handler in (("result", self._result), ("wrong", self._wrong))
        ]

    async def _result(self, call: Call) -> web.StreamResponse:
        return await self._table(call, "result", tuple(Outcome))

    async def _wrong(self, call: Call) -> web.StreamResponse:
        return await self._table(call, "wrong", (Outcome.WRONG, Outcome.SKIPPED))

    async def _table(self, call: Call, what: str, outcomes: Sequence[Outcome]) -> web.StreamResponse:
        job = await self.job(call.db, call.actor, read_id(call.request.match_info["id"]) or 0)
        await call.reads(self.action, f"job/{job.id}")
        response = web.StreamResponse(headers={
            "Content-Disposition": f'attachment; filename="{self.name}-{what}-{job.id}.csv"',
            "Content-Type": "text/csv; charset=utf-8", "Cache-Control": "no-store",
        })  # fmt: skip
        await response.prepare(call.request)
        head = [call.gettext(TERMS[key]) for key in ("line", self.key, self.label, "outcome", "reason")]
        await response.write(_lines([head]).encode("utf-8-sig"))
        after, english = 0, call.language != DEFAULT
        while rows := await sheets.results(call.db, job.id, PAGE, after=after):
            after = rows[-1].line
            told = [
                (one.line, one.key, one.name, call.gettext(OUTCOME[one.outcome]), one.said_en if english else one.said)
                for one in rows
                if one.outcome in outcomes
            ]
            await response.write(_lines([[harmless(cell) for cell in row] for row in told]).encode())
        await response.write_eof()
        return response


def _lines(rows: Iterable[Sequence[object]]) -> str:
    file = io.StringIO()
    csv.writer(file).writerows(rows)
    return file.getvalue()
