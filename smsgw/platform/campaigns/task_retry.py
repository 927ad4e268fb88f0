"""A task once more: what it was asked for, and its rows that got no message as they stood in the table."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from smsgw.core.cells import harmless
from smsgw.core.errors import Recorded
from smsgw.core.numbers import written
from smsgw.core.tasks import Task
from smsgw.core.words import columns as column_names
from smsgw.platform.campaigns import uploads
from smsgw.platform.campaigns.model import MAX_TO
from smsgw.platform.campaigns.uploads import Upload
from smsgw.store.engine.database import Database, Row
from smsgw.store.messages import tasks as store

PAGE = 1000
DOUBLE = "NUMBER_DUPLICATE"
BOM = "\ufeff"
_ALWAYS = datetime.min.replace(tzinfo=UTC)


async def upload_of(database: Database, task: Task) -> Upload | None:
    """The table that it was made of, even when its time is over."""
    if task.upload_id is None:
        return None
    return await uploads.get(database, task.upload_id, accounts=(task.account_id,), now=_ALWAYS)


async def numbers_of(database: Database, task: Task) -> list[str]:
    """The numbers of a task to typed ones, as they can be typed again."""
    return [written(row.number) for row in await store.rows_after(database, task.id, 0, MAX_TO)]


async def bad_rows(database: Database, task: Task, *, english: bool = False) -> AsyncIterator[bytes]:
    """The rows without a message as a table with the columns of the first one, and line and reason behind them: mended,
    it can be sent as it is. Without the ``DOUBLE`` ones: their number has its message by the row before."""
    upload = await upload_of(database, task)
    head = list(upload.columns) if upload is not None else [column_names.NUMBER_HEAD, *task.mapping.get("names", ())]
    yield _line([*head, *column_names.PROBLEM_HEAD[english]], first=True)
    after = (-1, 0)
    while page := await store.problems(database, task.id, sorted({0, task.run}), after, PAGE):
        after = page[-1]["run"], page[-1]["line"]
        for row in page:
            if row["code"] == DOUBLE:
                continue
            cells = await _cells(database, task, row, len(head), upload)
            yield _line([*cells, str(row["line"]), Recorded(row["code"], row["message"]).text(english)])


async def _cells(database: Database, task: Task, row: Row, width: int, upload: Upload | None) -> list[str]:
    """The row as it was; of one that was refused when it was sent, what is known of it, in its columns."""
    if row["cells"]:
        return [*row["cells"], *[""] * (width - len(row["cells"]))][:width]
    found = await store.rows_after(database, task.id, row["n"] - 1, 1) if row["n"] else []
    values = found[0].values if found else ()
    cells = [""] * width
    phone = task.mapping.get("phone", 0) if upload is not None else 0
    places = task.mapping.get("columns", ()) if upload is not None else range(1, width)
    number = written(row["number"]) if row["n"] else row["number"]  # else it is as it was written
    for at, value in [(phone, number), *zip(places, values, strict=False)]:
        if at < width:
            cells[at] = value
    return cells


def _line(cells: list[str], *, first: bool = False) -> bytes:
    text = io.StringIO(newline="")
    if first:
        text.write(BOM)
    csv.writer(text).writerow([harmless(cell) for cell in cells])
    return text.getvalue().encode()
