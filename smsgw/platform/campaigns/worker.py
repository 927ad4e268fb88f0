"""The process that reads customers' files: ``python -m smsgw.platform.campaigns.worker``.

One job on standard input (JSON; it may hold the way to the database), one result on standard output. Memory and
processor time are limited by the kernel, and accepting messages in the daemon does not notice.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import msgspec

from smsgw.core.words import phrase
from smsgw.platform.campaigns import sheets
from smsgw.platform.campaigns.members import Members
from smsgw.platform.campaigns.row_rules import RowRules
from smsgw.platform.campaigns.row_survey import RowSurvey, Surveyed, Wanted
from smsgw.platform.campaigns.rows import Plan, RowValidator
from smsgw.platform.campaigns.sheets import BadFile, Form, Preview
from smsgw.store.engine.database import OUTAGE, connect
from smsgw.store.messages import tasks as store

MEMORY = 1536 * 1024**2
"""Octets of address space; a million rows need a fifth of it."""
LOOK_SECONDS = 60
"""Of processor time, to look at a file, while somebody waits for the answer, …"""
LOAD_SECONDS = 300
"""… and to import one."""
PAGE_ROWS = 500
"""Of a page of rows, …"""
PAGE_CHARACTERS = 200_000
"""… and with about so many it is full, too."""
TOLD_EVERY = 10_000
"""Rows after which an import or a survey says on standard error how many it has read."""

Tell = Callable[[int], None]


class ImportJob(msgspec.Struct):
    """Bring a file's rows into the database; the task goes on: to a reviewer, if there is a reason."""

    dsn: str
    plan: Plan
    rules: RowRules
    reasons: list[str]
    """Why a reviewer has to see the task, whatever the rows say."""
    path: str = ""
    form: Form | None = None
    """Of the file; None: the rows are the members of an audience."""
    members: Members | None = None


class ReadJob(msgspec.Struct):
    """Give back some columns of a file's rows, of which there are not many."""

    path: str
    form: Form
    columns: list[int]
    most: int
    """Rows; more are a bad file."""
    longest: int
    """Characters of a cell that are given."""


class StreamJob(msgspec.Struct):
    """Give some columns of a file's rows page by page, each as soon as the last one was taken."""

    path: str
    form: Form
    columns: list[int]
    after: int
    """The line behind which they begin."""
    longest: int
    """Characters of a cell that are given."""


class PickJob(msgspec.Struct):
    """Give back one row of a file, counted from 1, without header and empty rows."""

    path: str
    form: Form
    row: int


class SurveyJob(msgspec.Struct):
    """Judge a file's rows as an import would, without a database."""

    path: str
    form: Form
    wanted: Wanted


class Job(msgspec.Struct):
    """One of these: look at a file, import it, read it out, at once or in pages, show a row of it, or judge its
    rows."""

    inspect: str | None = None
    load: ImportJob | None = None
    read: ReadJob | None = None
    stream: StreamJob | None = None
    pick: PickJob | None = None
    survey: SurveyJob | None = None


class Imported(msgspec.Struct):
    """What an import found."""

    total: int
    valid: int
    problems: dict[str, int]


class Result(msgspec.Struct):
    """What has become of a job. ``error``: the file cannot be used; key and parameters of the phrase."""

    preview: Preview | None = None
    imported: Imported | None = None
    surveyed: Surveyed | None = None
    rows: list[tuple[int, list[str]]] = []
    """Line and cells."""
    error: tuple[str, dict[str, str | int]] | None = None
    again: bool = False
    """The database was away."""
    peak_mb: int = 0


def _silent(_: int) -> None:
    """Nobody waits for how far it is."""


def _counted(rows: Iterable[sheets.Row], tell: Tell) -> Iterator[sheets.Row]:
    """The rows; ``tell`` hears how many have been taken."""
    for n, row in enumerate(rows, 1):
        if n % TOLD_EVERY == 0:
            tell(n)
        yield row


async def load(job: ImportJob, tell: Tell = _silent) -> Imported:
    """All rows, or none; none, too, when the task has been cancelled meanwhile."""
    connection = await connect(job.dsn)
    try:
        validator = RowValidator(job.plan, job.rules)
        async with connection.transaction():
            await connection.execute("SET LOCAL idle_in_transaction_session_timeout = '120s'")
            await store.clear_rows(connection, job.plan.task_id)
            if job.members is not None:
                async for rows in job.members.pages(connection):
                    for good, bad in validator.validate(rows):
                        await store.add_rows(connection, good, bad)
            else:
                assert job.form is not None  # noqa: S101 - one of the two
                for good, bad in validator.validate(_counted(sheets.read(Path(job.path), job.form), tell)):
                    await store.add_rows(connection, good, bad)
            await store.imported(
                connection,
                job.plan.task_id,
                validator.total,
                validator.valid,
                validator.problems,
                list(dict.fromkeys((*job.reasons, *validator.reasons))),
            )
            if validator.held:
                held = [row.n for row in validator.held_rows]
                await store.keep_held(connection, job.plan.task_id, validator.held, held)
        return Imported(validator.total, validator.valid, dict(validator.problems))
    finally:
        await connection.close(timeout=5)


def read(job: ReadJob) -> list[tuple[int, list[str]]]:
    """The rows, cut down to what is wanted of them."""
    rows: list[tuple[int, list[str]]] = []
    for line, cells in sheets.read(Path(job.path), job.form):
        if len(rows) == job.most:
            raise BadFile(phrase("file.rows", most=job.most))
        rows.append((line, [cells[at][: job.longest] if at < len(cells) else "" for at in job.columns]))
    return rows


def stream(job: StreamJob) -> Iterator[list[tuple[int, list[str]]]]:
    """The rows in pages of bounded size."""
    page: list[tuple[int, list[str]]] = []
    room = PAGE_CHARACTERS
    for line, cells in sheets.read(Path(job.path), job.form):
        if line <= job.after:
            continue
        row = [cells[at][: job.longest] if at < len(cells) else "" for at in job.columns]
        page.append((line, row))
        room -= sum(map(len, row))
        if len(page) == PAGE_ROWS or room <= 0:
            yield page
            page, room = [], PAGE_CHARACTERS
    if page:
        yield page


def streamed(job: StreamJob) -> Iterator[Result]:
    """The pages as results; the last one has no rows, and says what was wrong with the file."""
    try:
        for page in stream(job):
            yield Result(rows=page)
    except BadFile as exc:
        yield Result(error=(exc.reason.key, dict(exc.reason.params)))
    except MemoryError:
        yield Result(error=(phrase("file.memory").key, {}))
    else:
        yield Result()


def pick(job: PickJob) -> list[tuple[int, list[str]]]:
    """The row; none when there are not so many."""
    found = islice(sheets.read(Path(job.path), job.form), job.row - 1, job.row)
    return [(line, cells) for line, cells in found]


def survey(job: SurveyJob, tell: Tell = _silent) -> Surveyed:
    """What an import would make of the rows."""
    surveyor = RowSurvey(job.wanted)
    surveyor.take(_counted(sheets.read(Path(job.path), job.form), tell))
    return surveyor.result()


def perform(job: Job, tell: Tell = _silent) -> Result:
    """Do a job; ``tell`` hears how many rows are done with."""
    try:
        if job.inspect is not None:
            return Result(preview=sheets.inspect(Path(job.inspect)))
        if job.load is not None:
            return Result(imported=asyncio.run(load(job.load, tell)))
        if job.read is not None:
            return Result(rows=read(job.read))
        if job.pick is not None:
            return Result(rows=pick(job.pick))
        if job.survey is not None:
            return Result(surveyed=survey(job.survey, tell))
    except BadFile as exc:
        return Result(error=(exc.reason.key, dict(exc.reason.params)))
    except MemoryError:
        return Result(error=(phrase("file.memory").key, {}))
    except OUTAGE:
        return Result(again=True)
    return Result()


def _say(n: int) -> None:
    with contextlib.suppress(OSError):  # nobody listens any more
        os.write(sys.stderr.fileno(), b"%d\n" % n)


def main() -> None:
    """Read a job, do it within limits, tell."""
    os.nice(10)
    with contextlib.suppress(OSError):  # when memory is short, the kernel takes us and not the daemon
        Path("/proc/self/oom_score_adj").write_text("1000")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # it reads
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    long = job.load is not None or job.survey is not None or job.stream is not None
    seconds = LOAD_SECONDS if long else LOOK_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    if job.stream is not None:
        for page in streamed(job.stream):
            octets = msgspec.json.encode(page)
            sys.stdout.buffer.write(len(octets).to_bytes(4, "big") + octets)
            sys.stdout.buffer.flush()  # waits while the reader is busy: that is all there is of a file in memory
        return
    result = perform(job, _say)
    result.peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    sys.stdout.buffer.write(msgspec.json.encode(result))


if __name__ == "__main__":
    main()
