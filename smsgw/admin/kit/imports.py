"""Imports of lists: a table is uploaded, its columns are said, and a durable job brings its rows in.

A page says what its columns may mean; the two addresses are made here: ``path/-/import`` takes the file,
``path/-/import/ID`` shows its first rows and asks for the rest.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import BodyPartReader, web

from smsgw.admin.call import Call
from smsgw.admin.kit.filters import Problem, read_id
from smsgw.admin.kit.form_pages import CONFIRMED
from smsgw.admin.kit.forms import Filled, Form
from smsgw.admin.kit.lists import Effect, refusal
from smsgw.admin.rights import Proof, Route
from smsgw.admin.words import kit as words
from smsgw.admin.words.terms import TERMS
from smsgw.core.errors import Invalid, Refused, SmsgwError, Temporary
from smsgw.core.permissions import Permission
from smsgw.platform.files.model import Incoming
from smsgw.platform.files.service import FileStore
from smsgw.platform.sheets.model import FILES, MOST_ROWS, Sheet
from smsgw.runtime import aio

BLOCK = 64 * 1024
KINDS = ".csv,.xlsx"


@dataclass(frozen=True, slots=True)
class Target:
    """What a column may mean. ``label``: a term; empty: the one of the key. ``names``: what such columns are called."""

    key: str
    names: Sequence[str] = ()
    label: str = ""
    required: bool = False

    @property
    def term(self) -> str:
        """Chinese source text of its label."""
        return TERMS[self.label or self.key]


def guess(columns: Sequence[str], targets: Sequence[Target]) -> dict[str, int]:
    """Which column means what, by its name; no column means two things."""
    plain = ["".join(column.split()).strip("*＊").lower() for column in columns]
    found: dict[str, int] = {}
    for target in targets:
        for name in target.names:
            at = next((i for i, column in enumerate(plain) if column == "".join(name.split())), None)
            if at is not None and at not in found.values():
                found[target.key] = at
                break
    return found


async def write_down(part: BodyPartReader, store: FileStore, incoming: Incoming, most: int) -> None:
    """Write the file of a form down as it comes. ``FILE_TOO_LARGE`` beyond ``most`` octets; ``BACKPRESSURE`` and what
    else the store says when there is no room."""
    size = 0
    async with aio.opened(incoming.path.open, "wb") as file:
        while piece := await part.read_chunk(BLOCK):
            size += len(piece)
            if size > most:
                raise Invalid("FILE_TOO_LARGE")
            await store.reserve(incoming, size)
            await aio.in_thread(file.write, piece)


async def short_text(part: BodyPartReader, most: int) -> str:
    """A field of a form that comes with a file; one of more than ``most`` octets is no such form."""
    octets = b""
    while piece := await part.read_chunk(1024):
        octets += piece
        if len(octets) > most:
            raise web.HTTPBadRequest
    return octets.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class ImportPage:
    """The import of one list. Collected for its ``routes``, like every handler."""

    path: str
    permission: Permission
    title: str
    """A sentence of ``words``, as are ``lead`` and what the list is called, ``of``."""
    of: str
    lead: str
    purpose: str
    targets: Sequence[Target]
    form: Form
    """What else is asked for, beside the columns."""
    choices: Callable[[Call], Awaitable[Mapping[str, Mapping[str, str]]]]
    begin: Callable[[Call, Sheet, Mapping[str, int], Mapping[str, Any]], Awaitable[int]]
    """Begins the job with the columns (from 0) and what was asked for; its id. Raises what a service refuses."""
    step_up: Proof | None = None
    """Asked for before a file is chosen."""
    most: int = MOST_ROWS
    """Rows; more than that only what is brought in page by page."""
    allowed: Callable[[Call], None] = lambda _: None
    """Refuses who may not although they have the permission."""
    effect: Callable[[Call, Sheet, Mapping[str, int], Mapping[str, Any]], Awaitable[Effect]] | None = None
    """What it will change, told before it is begun, or what the service refuses; None: it is begun without asking."""

    @property
    def routes(self) -> list[Route]:
        """Its addresses."""
        at = self.path + "/-/import"
        one = at + "/{id:[0-9]{1,19}}"
        return [
            Route("GET", at, self.permission, self._ask, passive=False, step_up=self.step_up),
            Route("POST", at, self.permission, self._take, False, FILES.most, self.step_up),
            Route("GET", at + "/-/template", self.permission, self._template, passive=False),
            Route("GET", one, self.permission, self._show, passive=False, step_up=self.step_up),
            Route("POST", one, self.permission, self._begin, passive=False, step_up=self.step_up),
        ]

    # --- the file ------------------------------------------------------------------------------------------------

    async def _ask(self, call: Call) -> web.StreamResponse:
        self.allowed(call)
        return self._upload(call)

    def _upload(self, call: Call, problem: str = "") -> web.Response:
        return call.render(
            "ui/import.html", status=422 if problem else 200, page=self, problem=problem, kinds=KINDS,
            size=f"{FILES.most // 1024**2} MB", most=self.most,
        )  # fmt: skip

    async def _take(self, call: Call) -> web.StreamResponse:
        self.allowed(call)
        try:
            sheet = await self._received(call)
        except (Invalid, Refused, Temporary) as error:
            if error.code not in ("FILE_INVALID", "FILE_TOO_LARGE"):
                raise
            return self._upload(call, refusal(call, error))
        if sheet is None:
            return self._upload(call, call.gettext(words.NO_FILE))
        return call.redirect(f"{self.path}/-/import/{sheet.id}")

    async def _received(self, call: Call) -> Sheet | None:
        """The file of the form, written down as it comes; None: there is none."""
        part = await call.parts.next() if call.parts is not None else None
        if not isinstance(part, BodyPartReader) or not part.filename:
            return None
        sheets = call.portal.sheets
        incoming = await sheets.receive(0, part.filename, call.actor.label)
        try:
            await write_down(part, sheets.store, incoming, FILES.most)
            return await sheets.keep(incoming, self.purpose, call.actor.label, most=self.most)
        finally:
            sheets.store.drop(incoming)

    async def _template(self, call: Call) -> web.StreamResponse:
        """A table with nothing but the names of its columns."""
        head = ",".join(call.gettext(target.term) for target in self.targets)
        return web.Response(
            body=f"{head}\r\n".encode("utf-8-sig"), content_type="text/csv", charset="utf-8",
            headers={"Content-Disposition": 'attachment; filename="template.csv"'},
        )  # fmt: skip

    # --- its columns ---------------------------------------------------------------------------------------------

    async def _sheet(self, call: Call) -> Sheet:
        self.allowed(call)
        id_ = read_id(call.request.match_info["id"]) or 0
        return await call.portal.sheets.get(id_, self.purpose, call.actor.label)

    async def _show(self, call: Call) -> web.StreamResponse:
        sheet = await self._sheet(call)
        filled = self.form.blank()
        filled.choices = dict(await self.choices(call))
        return self._columns(call, sheet, filled, guess(sheet.columns, self.targets), {})

    async def _begin(self, call: Call) -> web.StreamResponse:
        sheet = await self._sheet(call)
        data = await call.request.post()
        filled = self.form.read(data, await self.choices(call))
        chosen, wrong = self._read(sheet, data)
        if filled.good and not wrong:
            try:
                if self.effect is not None and CONFIRMED not in data:
                    effect = await self.effect(call, sheet, chosen, filled.values)
                    return self._columns(call, sheet, filled, chosen, wrong, effect)
                job_id = await self.begin(call, sheet, chosen, filled.values)
            except (Invalid, Refused) as error:
                if error.code == "NOT_FOUND":
                    raise
                self._refuse(call, filled, error)
            else:
                call.portal.context.jobs.set()
                call.toast(call.gettext(words.IMPORT_BEGUN))
                return call.redirect(f"/jobs/{job_id}")
        return self._columns(call, sheet, filled, chosen, wrong)

    @staticmethod
    def _refuse(call: Call, filled: Filled, error: SmsgwError) -> None:
        filled.refuse(error, refusal(call, error))

    def _read(self, sheet: Sheet, data: Mapping[str, Any]) -> tuple[dict[str, int], dict[str, Problem]]:
        """Which column means what, by what was chosen."""
        chosen: dict[str, int] = {}
        wrong: dict[str, Problem] = {}
        for target in self.targets:
            text = str(data.get(f"column_{target.key}", ""))
            if text.isascii() and text.isdecimal() and int(text[:4]) < len(sheet.columns):
                chosen[target.key] = int(text[:4])
            elif text:
                wrong[target.key] = Problem(words.NO_SUCH_CHOICE)
            elif target.required:
                wrong[target.key] = Problem(words.REQUIRED)
        return chosen, wrong

    def _columns(
        self, call: Call, sheet: Sheet, filled: Filled, chosen: Mapping[str, int], wrong: Mapping[str, Problem],
        effect: Effect | None = None,
    ) -> web.Response:  # fmt: skip
        return call.render(
            "ui/import_columns.html", status=200 if filled.good and not wrong else 422, page=self, sheet=sheet,
            filled=filled, chosen=chosen, wrong=wrong, labels={t.key: t.term for t in self.targets},
            required={t.key for t in self.targets if t.required}, effect=effect, confirmed=CONFIRMED,
        )  # fmt: skip
