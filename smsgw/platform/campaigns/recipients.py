"""What has become of each recipient of a task: by page, and as a table for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime

from smsgw.core import states
from smsgw.core.cells import harmless
from smsgw.core.errors import Recorded
from smsgw.core.ids import CHINA
from smsgw.core.model import REPORT_CLASSES
from smsgw.core.numbers import national
from smsgw.core.pseudonyms import told_number
from smsgw.core.states import STATUS_NAMES, PartState
from smsgw.core.tasks import Recipient, Task
from smsgw.core.words import label, labels_of, spoken
from smsgw.store.engine.database import Database, Row
from smsgw.store.messages import message_links, task_parts, tasks as store

PAGE = 1000
MAX_SEARCHED = 20_000
"""Rows that one page with a filter looks at."""
BOM = "\ufeff"
PENDING = label("recipient", "pending")
"""A row without a message yet."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One recipient and its message, if it has one yet."""

    n: int
    line: int
    number: str
    ext: str
    values: tuple[str, ...]
    status: str
    """``pending``, or a message's status."""
    message_id: int | None = None
    parts: int = 0
    cls: str = ""
    code: str = ""
    """The carrier's, or that of our refusal."""
    message: str = ""
    submitted_at: datetime | None = None
    done_at: datetime | None = None
    clicked: bool | None = None
    """Whether a person has clicked the personal link in its message; None: it carries none."""
    clicks: int | None = None
    first_click: datetime | None = None


async def outcomes(database: Database, task: Task, run: int, over: bool, after: int, limit: int) -> list[Outcome]:
    """The rows that follow row ``after``, as they stand in a run; ``over``: it gets no more messages."""
    rows = await store.rows_after(database, task.id, after, limit)
    if not rows:
        return []
    chunks, parts = await task_parts.parts_of(database, task.id, run, rows[0].n, rows[-1].n)
    lines = (rows[0].line, rows[-1].line)
    refused = await store.refused_rows(database, task.id, run, lines) if run else {}
    messages: dict[int, int] = {}
    for chunk in chunks:
        messages |= {chunk.first + i: chunk.base_id + i for i in range(chunk.size)}
    left = "cancelled" if task.state == "cancelled" else "expired" if over else "pending"
    found = [_outcome(row, messages.get(row.n), parts, refused, left) for row in rows]
    if task.link_id is None:
        return found
    clicks = await message_links.clicks(database, [one.message_id for one in found if one.message_id is not None])
    return [
        replace(one, clicked=of["clicked"], clicks=of["clicks"], first_click=of["first_at"])
        if one.message_id is not None and (of := clicks.get(one.message_id)) is not None
        else one
        for one in found
    ]


def _outcome(
    row: Recipient,
    message_id: int | None,
    parts: dict[int, list[Row]],
    refused: dict[int, tuple[str, str, int | None]],
    left: str,
) -> Outcome:
    own = (row.n, row.line, row.number, row.ext or "", row.values)
    if row.n in refused:
        code, message, recorded = refused[row.n]
        return Outcome(*own, "rejected", recorded, code=code, message=message)
    found = parts.get(message_id, []) if message_id is not None else []
    if not found:
        return Outcome(*own, left)
    state = states.message_state(PartState(p["state"]) for p in found)
    worst = next(p for p in found if p["state"] == state)
    submitted = [p["answered_at"] or p["claimed_at"] for p in found if p["answered_at"] or p["claimed_at"]]
    return Outcome(
        *own,
        states.status_of(state, worst["by_us"]),
        message_id,
        len(found),
        worst["class"],
        worst["code"],
        "",
        max(submitted) if submitted and state not in states.REFUNDED else None,
        max(p["final_at"] for p in found) if all(p["final_at"] for p in found) else None,
    )


async def search(
    database: Database, task: Task, run: int, over: bool, *, status: str | None, after: int, limit: int
) -> tuple[list[Outcome], int | None]:
    """A page of recipients and where the next one begins (None: nowhere).

    With a ``status`` a page may hold fewer than ``limit`` although more follow: it looks at a bounded number of rows.
    """
    found: list[Outcome] = []
    searched = 0
    while searched < MAX_SEARCHED:
        step = limit if status is None else PAGE
        page = await outcomes(database, task, run, over, after, step)
        for one in page:
            after = one.n
            if status is None or one.status == status:
                found.append(one)
                if len(found) == limit:
                    return found, after if after < task.valid else None
        searched += len(page)
        if len(page) < step:
            return found, None
    return found, after


# --- tables ----------------------------------------------------------------------------------------------------------

_REPORT = labels_of("report_column")
_CLICKS, _CLICKED = labels_of("click_column"), labels_of("click_state")
_ERRORS = labels_of("error_column")


async def report(
    database: Database, task: Task, run: int, over: bool, *, english: bool = False
) -> AsyncIterator[bytes]:
    """All recipients of a run as CSV in UTF-8 with a mark, so that spreadsheets show it right. Clicks stand behind what
    becomes of messages, where these carry a personal link."""
    names = tuple(task.mapping.get("names", ()))
    linked = await message_links.personal(database, task.link_id)
    *head, ext = _REPORT.values()
    heads = (*head, *(_CLICKS.values() if linked else ()), ext)
    yield _lines([(*(name.text(english) for name in heads), *names)], first=True)
    after = 0
    while page := await outcomes(database, task, run, over, after, PAGE):
        after = page[-1].n
        yield _lines(
            (
                o.line, national(told_number(o.number)), o.status, STATUS_NAMES.get(o.status, PENDING).text(english),
                spoken(REPORT_CLASSES.get(o.cls, o.cls), english), o.code,
                Recorded(o.code, o.message).text(english), o.message_id or "", o.parts or "",
                _time(o.submitted_at), _time(o.done_at), *(_clicked(o, english) if linked else ()), o.ext, *o.values,
            )
            for o in page
        )  # fmt: skip


def _clicked(one: Outcome, english: bool) -> tuple[str, int | str, str]:
    if one.clicked is None:
        return "", "", ""
    return _CLICKED[str(one.clicked).lower()].text(english), one.clicks or 0, _time(one.first_click)


async def errors(database: Database, task: Task, run: int, *, english: bool = False) -> AsyncIterator[bytes]:
    """Rows that got no message, with the reason and the row as it was in the file: to be put right and sent again."""
    yield _lines([[name.text(english) for name in _ERRORS.values()]], first=True)
    after = (-1, 0)
    while page := await store.problems(database, task.id, sorted({0, run}), after, PAGE):
        after = page[-1]["run"], page[-1]["line"]
        said = ((r, Recorded(r["code"], r["message"]).text(english)) for r in page)
        yield _lines((r["line"], r["number"], r["code"], text, *(r["cells"] or ())) for r, text in said)


def _lines(rows: object, *, first: bool = False) -> bytes:
    text = io.StringIO(newline="")
    if first:
        text.write(BOM)
    writer = csv.writer(text)
    for row in rows:  # type: ignore[attr-defined]
        writer.writerow([harmless(cell) for cell in row])
    return text.getvalue().encode()


def _time(at: datetime | None) -> str:
    return at.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S") if at else ""
