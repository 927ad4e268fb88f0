"""The whole number of a row that shows a masked one: why is asked first; it stands in the answer alone, and in no
address."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.i18n import DEFAULT
from smsgw.admin.kit.filters import Problem, read_id
from smsgw.admin.kit.pieces import in_dialog
from smsgw.admin.rights import PROOFS, Route
from smsgw.admin.words import kit as words
from smsgw.core.errors import Invalid, Refused, message_of
from smsgw.core.permissions import Permission
from smsgw.platform.unmasking import service
from smsgw.platform.unmasking.model import MOST_NOTE, Purpose, Whole
from smsgw.runtime import clock


@dataclass(frozen=True, slots=True)
class Unmasking:
    """``path/ID/number``, below a list."""

    path: str
    kind: str
    """Of ``unmasking.service.KINDS``."""

    @property
    def routes(self) -> list[Route]:
        """Its addresses; who one is, is asked before the page is shown."""
        path, right = self.path + "/{id:[0-9]{1,19}}/number", Permission.MESSAGE_UNMASK
        return [Route(method, path, right, handler, passive=False, step_up=PROOFS[right])
                for method, handler in (("GET", self._ask), ("POST", self._show))]  # fmt: skip

    async def _ask(self, call: Call) -> web.StreamResponse:
        kind, id_ = service.KINDS[self.kind], self._id(call)
        if not call.may(kind.permission) or await kind.one(call.db, call.actor, id_) is None:
            raise web.HTTPNotFound
        return await self._page(call)

    async def _show(self, call: Call) -> web.StreamResponse:
        form = await call.request.post()
        said, note = str(form.get("purpose", "")), str(form.get("note", ""))
        most = call.portal.context.snapshots.current.settings.unmask_daily
        try:
            got = await service.whole(call.change(), self.kind, self._id(call), said, note, most=most, now=clock.now())
        except Invalid as error:
            wrong = error.detail["field"]
            problem = Problem(words.UNMASK_NOTE if wrong == "note" else words.UNMASK_PURPOSE, {"most": MOST_NOTE})
            return await self._page(call, problem=problem, wrong=wrong, said=said, note=note)
        except Refused as error:
            if error.code != "UNMASK_LIMIT":
                raise
            problem = Problem(
                "%(said)s", {"said": message_of(error.code, error.detail, english=call.language != DEFAULT)}
            )
            return await self._page(call, problem=problem, said=said, note=note)
        return await self._page(call, got=got)

    def _id(self, call: Call) -> int:
        id_ = read_id(call.request.match_info["id"])
        if id_ is None:
            raise web.HTTPNotFound
        return id_

    async def _page(
        self, call: Call, *, got: Whole | None = None, problem: Problem | None = None, wrong: str = "",
        said: str = "", note: str = "",
    ) -> web.Response:  # fmt: skip
        shown = got.shown if got else await service.shown_today(call.db, call.actor, clock.now())
        response = call.render(
            "ui/number.html", status=422 if problem else 200, got=got, problem=problem, wrong=wrong, said=said,
            note=note, shown=shown, most=call.portal.context.snapshots.current.settings.unmask_daily,
            purposes={one.value: words.PURPOSE[one] for one in Purpose}, longest=MOST_NOTE, dialog=in_dialog(call),
            address=call.request.path, back=self.path,
        )  # fmt: skip
        response.headers["Cache-Control"] = "no-store"
        return response
