"""Tables that are no lists and are taken away in the same way: with a reason, as a job, watermarked, by a link that
opens once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.cells import CellValue
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.rights import Proof, Route
from smsgw.admin.words import kit as words
from smsgw.core.actor import Actor
from smsgw.core.permissions import Permission
from smsgw.platform.exports import service as exports
from smsgw.platform.exports.model import LEAST_REASON, MOST_REASON, Export, Format
from smsgw.platform.handles import Database

Say = Callable[[str], str]
Table = tuple[Sequence[str], Sequence[Sequence[CellValue]]]
"""Names of the columns, and the rows."""
_FORM = Form((
    Inputs((
        Input("reason", label="export_reason", required=True, least=LEAST_REASON, most=MOST_REASON),
        Input("format", InputKind.CHOICE, required=True, choices=words.FORMAT),
    )),
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class TableExport:
    """One such table. Collected for its ``routes``, like every handler."""

    name: str
    """Of jobs and audit entries: never changed."""
    path: str
    permission: Permission
    title: str
    """A sentence of ``words``."""
    back: str
    """The address of the page that it belongs to."""
    make: Callable[[Database, Actor, Say], Awaitable[Table]]
    """The whole table as the actor may see it, in a language."""

    @property
    def label(self) -> str:
        """Chinese source text of its name."""
        return self.title

    @property
    def routes(self) -> list[Route]:
        """Its addresses: where it is asked for."""
        page = FormPage(
            self.path, self.permission, self.title, words.EXPORT, _FORM, self._ask, lambda _: self.back,
            values=lambda _: {"format": Format.XLSX.value}, lead=lambda _: words.EXPORT_LEAD, step_up=Proof.FACTOR,
        )  # fmt: skip
        return page.routes

    async def _ask(self, call: Call, _: Any, values: Mapping[str, Any]) -> web.StreamResponse:
        wanted = Export(
            self.name, self.permission, {}, (), Format(values["format"]), values["reason"], call.language, call.owner
        )
        id_ = await exports.request(call.change(), wanted, node=call.portal.context.node)
        call.portal.context.jobs.set()
        call.toast(call.gettext(words.EXPORT_BEGUN))
        return call.redirect(f"/jobs/{id_}")
