"""Bringing in a table page by page: where it stands is written with each page, in the transaction of the page's work.

So nothing is half known whenever it is cut off or cancelled: what a page has brought in, its counts and the rows that
were not taken stand or fall together, and another run goes on behind its last line.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence

from smsgw.core.errors import SmsgwError, messages_of
from smsgw.platform.jobs.runner import JobContext
from smsgw.platform.sheets import queries
from smsgw.platform.sheets.model import MOST_ROWS, MOST_TOLD, Outcome, Result, Sheet
from smsgw.platform.sheets.service import Sheets
from smsgw.store.engine.database import Connection, Database

Page = Sequence[tuple[int, list[str]]]
_TAKEN = (Outcome.CREATED, Outcome.UPDATED)


class Progress:
    """How far one import is, and what has become of its rows."""

    def __init__(self, context: JobContext, sheet: Sheet, line: int, counts: dict[Outcome, int]) -> None:
        self.line = line
        """The last one that is done."""
        self.counts = counts
        self._context = context
        self._sheet = sheet
        self._next = (line, counts)

    async def write(self, connection: Connection, line: int, results: Sequence[Result]) -> None:
        """A page has come to these results, down to the line. Of large tables what was taken is counted alone."""
        counts = dict(self.counts)
        for one in results:
            counts[one.outcome] = counts.get(one.outcome, 0) + 1
        told = [one for one in results if self._sheet.rows <= MOST_ROWS or one.outcome not in _TAKEN]
        room = MOST_TOLD - sum(n for outcome, n in self.counts.items() if outcome not in _TAKEN)
        await queries.add_results(connection, self._context.job.id, told[: max(0, room)])
        checkpoint = {"line": line, **{outcome.value: n for outcome, n in counts.items()}}
        done = min(sum(counts.values()), self._sheet.rows)
        await self._context.progress(done, self._sheet.rows, checkpoint=checkpoint, connection=connection)
        self._next = (line, counts)

    def written(self) -> None:
        """The page's transaction has committed."""
        self.line, self.counts = self._next


async def bring_in(
    database: Database, context: JobContext, sheets: Sheets, sheet: Sheet, columns: Sequence[int],
    some: Callable[[Page, Progress], Awaitable[None]],
) -> None:  # fmt: skip
    """Read the rows behind what earlier runs have done. ``some`` brings in a page and writes its results in the same
    transaction."""
    saved = context.job.checkpoint
    if "line" in saved:
        counts = {outcome: int(saved[outcome]) for outcome in Outcome if outcome in saved}
        progress = Progress(context, sheet, int(saved["line"]), counts)
    else:
        known = await queries.counts(database, context.job.id)
        progress = Progress(context, sheet, await queries.last(database, context.job.id), known)
    async with contextlib.aclosing(sheets.pages(sheet, columns, after=progress.line)) as pages:
        async for page in pages:
            await some(page, progress)
            progress.written()


def refused(line: int, key: str, error: SmsgwError, name: str = "") -> Result:
    """A row that was not taken, and why; what is there already is left out."""
    zh, en = messages_of(error.code, error.detail)
    outcome = Outcome.SKIPPED if error.code == "STATE_CONFLICT" else Outcome.WRONG
    return Result(line, outcome, key[:64], name, said=zh, said_en=en)
