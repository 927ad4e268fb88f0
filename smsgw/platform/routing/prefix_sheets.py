"""Uploaded tables of prefixes and ported numbers: what one would change, and bringing it in as a durable job.

All of a table is brought in or nothing, in one transaction with the job's checkpoint: a run that was cut off has done
nothing, and one that follows a finished one does nothing again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import timedelta

from smsgw.core.errors import Invalid, Refused
from smsgw.core.numbers import masked_as_written
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.change import Change
from smsgw.platform.jobs import queries as jobs
from smsgw.platform.jobs.model import NewJob
from smsgw.platform.jobs.runner import LONG, JobContext, JobKind
from smsgw.platform.org import queries as people
from smsgw.platform.routing import prefix_imports
from smsgw.platform.routing.prefix_imports import MOST_PROBLEMS, Entries
from smsgw.platform.sheets.model import Sheet
from smsgw.platform.sheets.service import Sheets
from smsgw.store.engine.database import Database

NAME = "prefix.import"
COLUMNS = ("prefix", "carrier", "province")
"""What columns may mean; the first two have to be there."""
NEEDED = COLUMNS[:2]
MOST = 200_000
"""Rows of a table; larger ones are brought in by command, outside the daemon."""
LASTS = timedelta(hours=1)
PATIENCE = 600.0


async def read(sheets: Sheets, sheet: Sheet, columns: Mapping[str, int]) -> Entries:
    """All entries of a table; the last of a prefix given twice counts. ``FILE_INVALID`` names the first lines that are
    none, and says when the file is gone."""
    entries: dict[str, tuple[str, str]] = {}
    wrong: list[str] = []
    wanted = [columns[key] for key in COLUMNS if key in columns]
    async with contextlib.aclosing(sheets.pages(sheet, wanted)) as pages:
        async for page in pages:
            for line, cells in page:
                entry = prefix_imports.entry(cells)
                if entry is not None:
                    entries[entry[0]] = entry[1]
                elif len(wrong) < MOST_PROBLEMS:
                    wrong.append(f"{line} ({masked_as_written(' '.join(cells).strip())[:40]})")
            if len(wrong) >= MOST_PROBLEMS:
                break
    if wrong:
        raise Invalid("FILE_INVALID", reason=phrase("number.import_lines", lines=" · ".join(wrong)))
    return entries


async def begin(change: Change, sheet: Sheet, columns: Mapping[str, int]) -> int:
    """Have a table brought in, on the node where it lies; the job. ``PARAM_INVALID``, ``PARAM_MISSING``;
    ``PERMISSION_DENIED`` for who sees a part of the accounts alone; ``STATE_CONFLICT`` while it is being brought in."""
    if any(key not in COLUMNS or not 0 <= at < len(sheet.columns) for key, at in columns.items()):
        raise Invalid("PARAM_INVALID", field="columns", reason=phrase("fields.known", known=", ".join(COLUMNS)))
    for key in NEEDED:
        if key not in columns:
            raise Invalid("PARAM_MISSING", field=key)
    async with change.unit(Permission.NUMBER_EDIT) as unit:
        if unit.actor.scope.whole is not None:
            raise Refused("PERMISSION_DENIED")
        params = {"sheet": sheet.id, "file": sheet.name, "columns": dict(columns)}
        wanted = NewJob(NAME, params, change.actor.label, subject=f"sheet/{sheet.id}", node=sheet.node, lasts=LASTS)
        id_ = await jobs.add(unit.connection, wanted)
        if id_ is None:
            raise Refused("STATE_CONFLICT", reason=phrase("import.under_way"))
        unit.record("prefix.import", f"job/{id_}", after={"file": sheet.name, "rows": sheet.rows})
    return id_


class PrefixImporter:
    """Brings in tables of prefixes on one node."""

    def __init__(self, database: Database, sheets: Sheets) -> None:
        self._database = database
        self._sheets = sheets

    def kind(self) -> JobKind:
        """The kind of its jobs."""
        return JobKind(NAME, self._run, per_owner=1, at_once=1, places=LONG, patience=PATIENCE)

    async def _run(self, context: JobContext) -> None:
        job = context.job
        if "import" in job.checkpoint:
            return
        person = await people.person(self._database, job.submitter)
        if person is None:
            raise Refused("PERMISSION_DENIED", permission=Permission.NUMBER_EDIT.value)
        sheet = await self._sheets.get(int(job.params["sheet"]), NAME, job.submitter)
        entries = await read(self._sheets, sheet, job.params["columns"])
        change = Change(self._database, person.actor())
        async with change.unit(Permission.NUMBER_EDIT, timeout=prefix_imports.LONG) as unit:
            id_ = await prefix_imports.bring_in(change, sheet.name, entries)
            found = await prefix_imports.IMPORTS.get(unit.connection, unit.actor, id_)
            assert found is not None  # noqa: S101 - it was written above
            told = {"import": id_, "added": found.added, "changed": found.changed, "same": found.same}
            await context.progress(sheet.rows, sheet.rows, checkpoint=told, connection=unit.connection)
            unit.unchanged()  # the import has its own entry
