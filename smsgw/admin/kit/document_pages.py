"""Pages of the documents that prove something of a thing (证明材料): brought, looked at, taken away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import ModuleType
from typing import Any, TypeVar

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit import proof_files
from smsgw.admin.kit.filters import read_id
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form
from smsgw.admin.kit.lists import Effect, refusal
from smsgw.admin.rights import Route
from smsgw.admin.words import CARRIER, kit
from smsgw.core.errors import Invalid, Refused, Temporary
from smsgw.core.permissions import Permission
from smsgw.core.templates import CARRIERS
from smsgw.platform.files.documents import MOST, Document, Documents
from smsgw.platform.files.model import Incoming
from smsgw.platform.files.proofs import MOST as OCTETS

_ID = "{id:[0-9]{1,19}}"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Thing:
    """What they prove something of, as its page says it."""

    id: int
    title: str
    account_id: int | None
    """Whose the files are; None: the person's own."""
    may: bool
    """Whether the person may bring and remove any."""


@dataclass(frozen=True)
class DocumentPages:
    """``path/ID/proofs``, ``path/proofs/ID`` and what is done there. Collected for its ``routes``."""

    path: str
    documents: Documents
    kinds: type[StrEnum]
    view: Permission
    thing: Callable[[Call, int], Awaitable[Thing | None]]
    """By its id, as far as the person sees it."""
    words: ModuleType
    """With what pages say of them (``PROOFS`` …)."""
    list_title: str
    """Of the page of the things."""
    read: str
    """How the audit log calls that somebody has looked at one."""
    term: str
    """How the effect of a removal calls the thing."""
    named: str = "{}"
    """How its title is written."""

    @property
    def routes(self) -> Sequence[Route]:
        """Their addresses."""
        edit, of_thing, one = self.documents.right, f"{self.path}/{_ID}/proofs", f"{self.path}/proofs/{_ID}"
        remove = FormPage(
            f"{one}/remove", edit, self.words.PROOF_REMOVE, self.words.PROOF_REMOVE, Form(()), self._remove,
            lambda doc: f"{self.path}/{doc.of_id}/proofs", self._document, effect=self._effect,
            lead=lambda doc: self.named.format(doc.title), danger=True,
        )  # fmt: skip
        return (
            Route("GET", of_thing, self.view, self._show, passive=False),
            Route("POST", of_thing, edit, self._take, passive=False, files=OCTETS),
            Route("GET", one, self.view, self._look, passive=False),
            *remove.routes,
        )

    async def _subject(self, call: Call) -> Thing:
        id_ = read_id(call.request.match_info["id"])
        found = None if id_ is None else await self.thing(call, id_)
        if found is None:
            raise web.HTTPNotFound
        return found

    async def _page(
        self, call: Call, thing: Thing, problem: str = "", typed: Mapping[str, str] | None = None
    ) -> web.Response:
        found = await self.documents.of(call.db, thing.id, accounts=call.accounts)
        return call.render(
            "ui/documents.html", status=422 if problem else 200, thing=thing, problem=problem, path=self.path,
            words=self.words, list_title=self.list_title, proofs=found, most=proof_files.MEGABYTES,
            kinds=proof_files.ACCEPTED, carriers={key: CARRIER[key] for key in CARRIERS}, typed=typed or {},
            at_most=MOST,
        )  # fmt: skip

    async def _show(self, call: Call) -> web.StreamResponse:
        return await self._page(call, await self._subject(call))

    async def _take(self, call: Call) -> web.StreamResponse:
        thing, typed = await self._subject(call), dict[str, str]()
        if not thing.may:
            raise web.HTTPNotFound

        async def keep(incoming: Incoming, fields: Mapping[str, str]) -> int:
            typed.update(fields)
            kind, carrier = fields.get("kind", ""), fields.get("carrier", "")
            if kind not in list(self.kinds):
                raise Invalid("PARAM_INVALID", field="kind", reason=call.gettext(self.words.PROOF_KIND_NEEDED))
            files = call.portal.context.files
            return await self.documents.keep(call.change(), files, thing.id, self.kinds(kind), carrier, incoming)

        try:
            made = await proof_files.received(call, self.documents.kind(call.db), thing.account_id, keep)
        except (Invalid, Refused, Temporary) as error:
            return await self._page(call, thing, refusal(call, error), typed)
        if made is None:
            return await self._page(call, thing, call.gettext(kit.NO_FILE), typed)
        call.toast(call.gettext(self.words.PROOF_KEPT))
        return call.redirect(f"{self.path}/{thing.id}/proofs")

    async def _document(self, call: Call) -> Document | None:
        id_ = read_id(call.request.match_info["id"])
        return None if id_ is None else await self.documents.one(call.db, id_, accounts=call.accounts)

    async def _look(self, call: Call) -> web.StreamResponse:
        one = await self._document(call)
        if one is None:
            raise web.HTTPNotFound
        file = await self.documents.file_of(call.db, one.id, accounts=call.accounts)
        return await proof_files.shown(call, file, self.read, f"{self.documents.things}/{one.of_id}")

    async def _remove(self, call: Call, one: Document, _: Mapping[str, Any]) -> web.Response:
        await self.documents.remove(call.change(), one.id)
        call.toast(call.gettext(self.words.PROOF_REMOVED))
        return call.redirect(f"{self.path}/{one.of_id}/proofs")

    async def _effect(self, call: Call, one: Document, _: Mapping[str, Any]) -> Effect:
        kind = call.gettext(self.words.PROOF_KIND[one.kind])
        return Effect(self.words.PROOF_REMOVE_EFFECT, {self.term: one.title, "kind": kind, "name": one.name})
