"""List pages: filter bar, table, details, actions and export of one kind of rows, from what a page declares.

A page says what there is and who may see it; its addresses are all made here::

    PAGE = ListPage("audit", "/audit", "system.audit", Permission.AUDIT_VIEW, FILTER, COLUMNS, rows=…)

``path`` is the list, ``path/ID`` the details of a row, and everything else stands below ``path/-/``. The same address
gives a whole page, or to a script (htmx) the piece of it that it asks for; all of it works without scripts.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from smsgw.admin.call import Call, local_path
from smsgw.admin.i18n import DEFAULT
from smsgw.admin.kit import filters, selection, tables
from smsgw.admin.kit.bulk import Bulk
from smsgw.admin.kit.charts import Chart
from smsgw.admin.kit.details import Detail
from smsgw.admin.kit.filters import Filter, Found, Problem
from smsgw.admin.kit.pieces import go, in_dialog
from smsgw.admin.kit.tables import Column, Layout, Sort
from smsgw.admin.kit.toasts import ToastKind
from smsgw.admin.kit.unmasking import Unmasking
from smsgw.admin.rights import Handler, Proof, Route
from smsgw.admin.words import kit as words
from smsgw.admin.words.menu import ENTRIES
from smsgw.admin.words.terms import FIELD_TERMS, TERMS
from smsgw.core.actor import Actor
from smsgw.core.errors import Refused, SmsgwError, message_of
from smsgw.core.numbers import mask
from smsgw.core.permissions import Permission
from smsgw.platform.exports import service as exports
from smsgw.platform.exports.model import LEAST_REASON, MOST_REASON, MOST_ROWS, Export, Format
from smsgw.platform.handles import Database
from smsgw.platform.listing import Listing
from smsgw.platform.paging import MOST, Slice, Window
from smsgw.platform.preferences import queries as preferences, service as preference_service
from smsgw.platform.preferences.queries import View
from smsgw.runtime import clock

SAME_WORDS = 10.0
"""Seconds for which rows that have not changed stand as they were written: among them may be how long ago something
was."""
MOST_COUNTED = 100_000
"""Rows beyond which a list says "more than"."""

Rows = Callable[[Database, Actor, Found, Window], Awaitable[Slice[Any]]]
Count = Callable[[Database, Actor, Found, int], Awaitable[int]]
Sums = Callable[[Database, Actor, Found, int], Awaitable[NamedTuple]]
"""The first is how many there are; each is named by a term. At most so many rows are looked at."""
Choices = Callable[[Call], Awaitable[Mapping[str, Mapping[str, str]]]]


@dataclass(frozen=True, slots=True)
class Effect:
    """What an action will do, in numbers: a sentence and what fills it. ``typed``: what the person has to type first,
    for what cannot be undone. ``nothing``: there is nothing to do, and no button for it. ``made_of``: hidden fields of
    the form (``FormPage.made_of``) that only the effect knows. ``warning``: what of the values it passes over."""

    text: str
    values: Mapping[str, Any] = field(default_factory=dict)
    typed: str = ""
    nothing: bool = False
    made_of: Mapping[str, Any] = field(default_factory=dict)
    warning: Problem | None = None
    option: str = ""
    """What the person may choose in addition; ``opted`` tells. Filled as the text."""

    @property
    def idle(self) -> bool:
        """Whether there is nothing to confirm: nobody and nothing would be concerned."""
        return self.nothing or (not self.option and str(self.values.get("n")) == "0")


@dataclass(frozen=True, slots=True)
class Action:
    """Something that can be done to rows: one after the other, each by the domain's own service and rules."""

    key: str
    label: str
    permission: Permission
    run: Callable[[Call, Any], Awaitable[object]]
    """Does it to one row; raises what the service refuses."""
    effect: Callable[[Call, Sequence[Any]], Awaitable[Effect]]
    danger: bool = False
    reason: bool | None = None
    """Whether the person has to say why; None: is not asked. What is said, ``reason_of`` tells."""
    goes: bool = False
    """``run`` takes all of the rows at once, and gives the address to go on to."""
    picks: Callable[[Call], Awaitable[Mapping[str, str]]] | None = None
    """What the person has to choose from (value -> label); ``picked`` tells. None: nothing."""
    pick: str = ""
    """Term of that."""
    tells: Permission | None = None
    """Right to see what its effect tells, where that is not on the page."""


@dataclass(frozen=True, slots=True)
class Report:
    """What makes a list a report: what its rows come to, and a chart of them."""

    totals: Callable[[Database, Actor, Found], Awaitable[Any]]
    """Of all that is found, as a row: at the foot of the table and of files. None: they have no sum."""
    chart: Callable[[Call, Found], Awaitable[Chart]]
    figures: Sequence[str] = ()
    """Keys of columns whose totals stand above it."""
    tones: Mapping[str, str] = field(default_factory=dict)
    """Their colours."""


@dataclass(frozen=True, slots=True)
class Empty:
    """What stands where there are no rows yet: what this is, and where to begin."""

    title: str
    text: str
    button: str = ""
    path: str = ""
    permission: Permission | None = None
    icon: str = "list"
    whole: bool = False
    """The button is for who sees all accounts alone: others could not finish what it begins."""


@dataclass(frozen=True, slots=True)
class Cards:
    """Rows as cards, for a queue that is worked off on a phone."""

    template: str
    """One root ``#list-rows``, as ``ui/rows.html``."""
    prepare: Callable[[Call, Sequence[Any]], Awaitable[Mapping[str, Any]]]
    """What it needs beside the rows."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One page of a list, for its template."""

    page: ListPage
    found: Found
    columns: tuple[Column, ...]
    """All that the person may have."""
    layout: Layout
    sort: Sort
    actions: tuple[Action, ...]
    views: Sequence[View] = ()
    rows: Sequence[Any] = ()
    next: str = ""
    previous: str = ""
    notice: str = ""
    totals: Any = None
    chart: Chart | None = None
    """Of a report."""

    def query(self, **changes: str) -> str:
        """The query of an address for this list with some names changed; it begins at the first page."""
        plain = "" if self.sort == self.page.sort else str(self.sort)
        return self.found.query(**({"sort": plain} | changes))

    def alike(self) -> bytes | None:
        """Two pages with the same here are written in the same words, for the same person; None: it cannot be said."""
        said = (
            self.query(), [column.key for column in self.layout.columns], self.layout.density, str(self.sort),
            [action.key for action in self.actions], bool(self.next), bool(self.previous), self.notice,
            self.totals, self.chart, list(self.rows),
        )  # fmt: skip
        try:
            return hashlib.sha256(msgspec.msgpack.encode(said)).digest()
        except (TypeError, ValueError, OverflowError):  # a row of another kind
            return None

    def sorted_by(self, key: str) -> str:
        """The query for the order of a column: turned round when it has it already."""
        turned = Sort(key, not self.sort.descending) if key == self.sort.key else Sort(key)
        return self.query(sort=str(turned))


async def _none(database: Database, actor: Actor, found: Found, window: Window) -> Slice[Any]:
    raise TypeError("a list page needs a listing, or rows")


@dataclass(frozen=True, slots=True)
class ListPage:
    """A list page. Collected for its ``routes``, like every handler."""

    name: str
    """Of preferences, views, tokens, exports and audit entries: never changed."""
    path: str
    title: str
    """Key of the menu's words."""
    permission: Permission
    filter: Filter
    columns: Sequence[Column]
    sort: Sort
    empty: Empty
    listing: Listing[Any, Any] | None = None
    """Where its rows come from: its filter's fields have the keys of this filter's, ``since`` and ``until`` those of
    the period. None: ``rows``, ``count`` and ``one`` say it."""
    rows: Rows = _none
    count: Count | None = None
    sums: Sums | None = None
    """What all that is found comes to; it counts as well."""
    choices: Choices | None = None
    one: Callable[[Database, Actor, int], Awaitable[Any | None]] | None = None
    """A row by its id, in the actor's scope; needed for details and actions."""
    detail: Callable[[Call, Any], Awaitable[Detail]] | None = None
    actions: Sequence[Action] = ()
    buttons: Sequence[tuple[str, str, Permission]] = ()
    """Changes of the whole: label, address below ``path/-/`` of a POST, permission."""
    links: Sequence[tuple[str, str, Permission]] = ()
    """Pages that the head leads to: label, address, permission."""
    links_whole: bool = False
    """They, and the button of the empty list, are for who sees the whole platform alone; but for what the list's own
    permission is enough for."""
    links_need: Sequence[Permission] = ()
    """What whoever they, and the button of the empty list, are for needs besides."""
    links_quiet: bool = False
    """None of them is what one comes for: no button of theirs stands out."""
    lead: str = ""
    """A sentence under the title."""
    notice: Callable[[Actor, Found], str] = lambda actor, found: ""
    """What is to be said of what is found, to that person."""
    export: Permission | None = None
    bulk: Bulk | None = None
    """How millions of its rows are taken away."""
    leads: bool = False
    """``path/ID`` is a page of its own, which another module has."""
    wide: bool = False
    """It has many columns: they stand closer together."""
    report: Report | None = None
    lacks: Callable[[Database, Actor, Found], Awaitable[Collection[str]]] | None = None
    """Keys of columns that nothing of what is looked for has anything in; None: none is such."""
    live: int = 0
    """Seconds between two looks for what is new; 0: it does not change by itself."""
    tabs: Sequence[tuple[str, str]] = ()
    """Lists beside each other, this one among them: label, address."""
    cards: Cards | None = None
    """Instead of a table."""
    whole: str = ""
    """What its rows are to ``unmasking.service``, by which their whole numbers can be seen; empty: they cannot."""
    most: int = MOST_COUNTED
    """Rows that are counted; of more it is said that there are more."""

    def __post_init__(self) -> None:
        if (listing := self.listing) is not None:
            of = listing.filter_of
            object.__setattr__(self, "rows", lambda db, who, found, w: listing.search(db, who, of(found.listed), w))
            object.__setattr__(self, "count", lambda db, who, found, n: listing.count(db, who, of(found.listed), n))
            object.__setattr__(self, "one", listing.get)

    @property
    def label(self) -> str:
        """Chinese source text of the title."""
        return ENTRIES[self.title].label

    def id_of(self, row: Any) -> int:
        """The id of a row."""
        return int(row.id if hasattr(row, "id") else row["id"])

    def leads_to(self, call: Call, right: Permission) -> bool:
        """Whether a page that the head leads to is for that person."""
        whole = not self.links_whole or right == self.permission or call.actor.scope.whole is None
        return whole and all(map(call.may, (right, *self.links_need)))

    def begins(self, call: Call) -> bool:
        """Whether the button of the empty list is for that person."""
        right = self.empty.permission or self.permission
        seen = not self.empty.whole or call.actor.scope.accounts is None
        return bool(self.empty.button) and seen and self.leads_to(call, right)

    @property
    def counts(self) -> bool:
        """Whether it can say how many rows there are."""
        return self.count is not None or self.sums is not None

    async def _summed(self, call: Call, found: Found) -> tuple[int | None, Sequence[tuple[str, int]]]:
        """How many rows there are, and sums by their terms."""
        if self.sums is not None:
            number, *others = (got := await self.sums(call.db, call.actor, found, self.most))
            return number, list(zip(got._fields[1:], others, strict=True))
        return (await self.count(call.db, call.actor, found, self.most) if self.count is not None else None), ()

    @property
    def routes(self) -> list[Route]:
        """Its addresses."""
        found = [
            self._route("GET", "", self._show),
            self._route("POST", "/-/views", self._save_view),
            self._route("POST", "/-/views/remove", self._remove_view),
        ]
        if self.cards is None:
            found.append(self._route("POST", "/-/layout", self._set_layout))
        if self.live:
            found.append(self._route("GET", "/-/rows", self._rows, passive=True))
        if self.counts:
            found.append(self._route("GET", "/-/total", self._total, passive=True))
        if self.detail is not None:
            found.append(self._route("GET", "/{id:[0-9]{1,19}}", self._detail))
        if self.export is not None:
            export = partial(self._route, below="/-/export", handler=self._export, permission=self.export)
            found += [export(method, step_up=Proof.FACTOR) for method in ("GET", "POST")]
        if self.whole:
            found += Unmasking(self.path, self.whole).routes
        for action in self.actions:
            acts, asks = _Acting(self, action), f"/-/effect/{action.key}"
            found.append(self._route("POST", asks, acts.ask, action.permission))
            found.append(self._route("POST", f"/-/do/{action.key}", acts.do, action.permission))
        return found

    def _route(
        self, method: str, below: str, handler: Handler, permission: Permission | None = None, *, passive: bool = False,
        step_up: Proof | None = None,
    ) -> Route:  # fmt: skip
        return Route(method, self.path + below, permission or self.permission, handler, passive, step_up=step_up)

    # --- the list ------------------------------------------------------------------------------------------------

    async def _show(self, call: Call) -> web.StreamResponse:
        shown = await self.shown(call)
        template = "ui/queue.html" if self.cards is not None else "ui/list.html"
        return call.render(template, shown=shown, page=self, **await self._more(call, shown))

    async def _rows(self, call: Call) -> web.StreamResponse:
        """The rows alone, looked at again and again: written anew when they have changed, or are told in words that may
        have grown old."""
        shown = await self.shown(call, views=False)
        if self.cards is not None:
            return call.piece(self.cards.template, shown=shown, page=self, **await self._more(call, shown))

        async def write() -> str:
            return str(call.render("ui/rows.html", shown=shown, page=self).text)

        alike = shown.alike()
        if alike is None:
            text = await write()
        else:
            who = call.who.login, call.actor.permissions, call.language
            text = await call.portal.remembered.get((self.name, *who, alike), SAME_WORDS, write)
        return call.unless_known(web.Response(text=text, content_type="text/html"))

    async def _more(self, call: Call, shown: Shown) -> Mapping[str, Any]:
        return await self.cards.prepare(call, shown.rows) if self.cards is not None else {}

    async def shown(self, call: Call, *, views: bool = True) -> Shown:
        """What the address of a request asks for; ``views``: with those that the person has saved."""
        query = call.request.query
        found = await self.read(call, query)
        columns = await self._fitting(call, found)
        chosen = await preferences.value(call.db, call.actor, self._preference)
        layout = tables.layout(columns, chosen)
        sort = tables.read_sort(query.get("sort", ""), columns, self.sort)
        actions = tuple(a for a in self.actions if call.may(a.permission) and (a.tells is None or call.may(a.tells)))
        saved = await preferences.views(call.db, call.actor, self.name) if views else ()
        shown = Shown(self, found, columns, layout, sort, actions, saved)
        return shown if found.errors else await self._filled(call, shown, query.get("at", ""))

    async def _fitting(self, call: Call, found: Found) -> tuple[Column, ...]:
        """The columns that the person may have of what is looked for."""
        columns = tables.fitting(tables.allowed(self.columns, call.actor.permissions), found)
        if self.lacks is None or found.errors:
            return columns
        lacking = await self.lacks(call.db, call.actor, found)
        return tuple(column for column in columns if column.key not in lacking)

    async def _filled(self, call: Call, shown: Shown, cursor: str) -> Shown:
        sealer, found, sort = call.portal.context.sealer, shown.found, shown.sort
        place = tables.place(self.name, call.who.login, found.state, sort)
        window = tables.window(sealer, place, cursor, sort, shown.layout.size)
        notice = words.OLD_CURSOR if window is None else ""
        notice = notice or self.notice(call.actor, found)
        window = window or Window(sort.key, sort.descending, limit=shown.layout.size)
        readings = call.portal.readings
        await readings.note(call.db, call.actor, f"{self.name}.search", self.name, asked(found))
        got = await self.rows(call.db, call.actor, found, window)
        following = got.more or window.backwards
        before = window.after is not None and (got.more or not window.backwards)
        return Shown(
            self, found, shown.columns, shown.layout, sort, shown.actions, shown.views, got.rows,
            tables.cursor(sealer, place, got.keys[-1]) if got.rows and following else "",
            tables.cursor(sealer, place, got.keys[0], backwards=True) if got.rows and before else "",
            notice,
            await self.report.totals(call.db, call.actor, found) if self.report else None,
            await self.report.chart(call, found) if self.report else None,
        )  # fmt: skip

    async def read(self, call: Call, query: Mapping[str, str]) -> Found:
        """The filter of an address, with the choices that the person has."""
        choices = await self.choices(call) if self.choices is not None else None
        return self.filter.allowed(call.actor.permissions).read(query, clock.now(), choices)

    async def _total(self, call: Call) -> web.StreamResponse:
        found = await self.read(call, call.request.query)
        number, sums = (None, ()) if found.errors else await self._summed(call, found)
        token = ""
        if number is not None:
            if number and any(call.may(action.permission) for action in self.actions):
                sealer, login = call.portal.context.sealer, call.who.login
                token = selection.token(sealer, self.name, login, found.state, number, clock.now())
        return call.render("ui/total.html", page=self, number=number, sums=sums, most=self.most, token=token)

    async def _detail(self, call: Call) -> web.StreamResponse:
        row = await self._row(call, call.request.match_info["id"])
        if row is None or self.detail is None:
            raise web.HTTPNotFound
        await call.reads(f"{self.name}.open", f"{self.name}/{self.id_of(row)}")
        detail = await self.detail(call, row)
        response = call.render("ui/detail.html", page=self, row=row, detail=detail, dialog=in_dialog(call))
        return call.unless_known(response) if detail.refresh and in_dialog(call) else response

    async def _row(self, call: Call, text: str) -> Any | None:
        id_ = filters.read_id(text)
        return None if id_ is None or self.one is None else await self.one(call.db, call.actor, id_)

    # --- what a person likes -------------------------------------------------------------------------------------

    @property
    def _preference(self) -> str:
        return f"list/{self.name}"

    async def _set_layout(self, call: Call) -> web.StreamResponse:
        form = await call.request.post()
        known = {column.key for column in tables.allowed(self.columns, call.actor.permissions)}
        keys = [key for key in form.getall("columns", []) if isinstance(key, str) and key in known]
        size = filters.read_id(str(form.get("size", ""))) or 0
        chosen = {"columns": keys[: tables.MOST_COLUMNS], "density": str(form.get("density", "")), "size": size}
        if "reset" in form:
            chosen = {}
        elif not keys:
            return self._back(call, form, words.NO_COLUMNS, good=False)
        await preference_service.set_value(call.change(), self._preference, chosen)
        return self._back(call, form)

    async def _save_view(self, call: Call) -> web.StreamResponse:
        form = await call.request.post()
        state = self._state(str(form.get("q", "")))
        name = " ".join(str(form.get("name", "")).split())
        if not name:
            return self._back(call, form, words.VIEW_UNNAMED, good=False)
        there = {view.name for view in await preferences.views(call.db, call.actor, self.name)}
        if name not in there and len(there) >= preference_service.MOST_VIEWS:
            n = preference_service.MOST_VIEWS
            return self._back(call, form, words.TOO_MANY_VIEWS, good=False, n=n)
        query = self.filter.read(state, clock.now()).query(sort=state.get("sort", ""))
        await preference_service.save_view(call.change(), self.name, name[: preference_service.MOST_NAME], query)
        return self._back(call, form, words.SAVED_VIEW)

    async def _remove_view(self, call: Call) -> web.StreamResponse:
        form = await call.request.post()
        await preference_service.remove_view(call.change(), filters.read_id(str(form.get("id", ""))) or 0)
        return self._back(call, form, words.REMOVED_VIEW)

    def _state(self, query: str) -> dict[str, str]:
        """The names of a query that are this list's."""
        if len(query) > filters.MOST_QUERY:
            raise web.HTTPBadRequest
        return self._own(dict(parse_qsl(query)))

    def _own(self, query: Mapping[str, str]) -> dict[str, str]:
        return {key: query[key] for key in (*self.filter.keys, "sort") if key in query}

    def _back(
        self, call: Call, form: Mapping[str, Any], said: str = "", *, good: bool = True, **values: Any
    ) -> web.Response:
        """To the list as the person had it, with a word about what was done."""
        if said:
            call.toast(call.filled(said, values), ToastKind.GOOD if good else ToastKind.BAD)
        if to := self._within(form):
            return go(call, to)
        return go(call, self.path, **self._state(str(form.get("q", ""))))

    def _within(self, form: Mapping[str, Any]) -> str:
        """The page of one row that an action was chosen on; empty: on the list."""
        to = local_path(str(form.get("to", "")))
        return to if to.startswith(f"{self.path}/") else ""

    # --- taking it away ------------------------------------------------------------------------------------------

    async def _export(self, call: Call) -> web.StreamResponse:
        if call.request.method != "POST":
            return await self._ask_export(call, self._own(call.request.query))
        form = await call.request.post()
        state, reason = self._state(str(form.get("q", ""))), " ".join(str(form.get("reason", "")).split())
        format_ = str(form.get("format", ""))
        problem = _reason_problem(reason)
        if problem is not None or format_ not in set(Format) or self.export is None:
            return await self._ask_export(call, state, reason=reason, problem=problem)
        found = await self.read(call, state)
        if found.errors:
            return self._back(call, form)
        chosen = await preferences.value(call.db, call.actor, self._preference)
        columns = await self._fitting(call, found)
        layout = tables.layout(columns, chosen)
        sort = tables.read_sort(state.get("sort", ""), layout.columns, self.sort)
        wanted = Export(
            self.name, self.export, found.state | {"sort": str(sort)}, [c.key for c in layout.columns],
            Format(format_), reason, call.language, call.owner,
        )  # fmt: skip
        try:
            id_ = await exports.request(
                call.change(), wanted, node=call.portal.context.node, rows=await self._rows_of_file(call, found),
                approved_up_to=call.portal.context.snapshots.current.settings.export_approval_rows,
            )  # fmt: skip
        except Refused as error:
            if error.code != "STATE_CONFLICT":
                raise
            said = Problem("%(said)s", {"said": refusal(call, error)})
            return await self._ask_export(call, state, reason=reason, problem=said)
        call.portal.context.jobs.set()
        call.toast(call.gettext(words.EXPORT_BEGUN))
        return go(call, f"/jobs/{id_}")

    async def _rows_of_file(self, call: Call, found: Found) -> int | None:
        if self.bulk is not None:
            return sum(n for _, n in await self.bulk.days(call.db, call.actor, found))
        if self.counts:
            return (await self._summed(call, found))[0]
        return await self._read_through(call, found)

    async def _read_through(self, call: Call, found: Found) -> int:
        """Rows of a list that cannot be counted: they are read, until it is known whether somebody has to approve."""
        most = min(call.portal.context.snapshots.current.settings.export_approval_rows, MOST_ROWS)
        number, window = 0, Window(self.sort.key, self.sort.descending, limit=MOST)
        while number <= most:
            got = await self.rows(call.db, call.actor, found, window)
            number += len(got.rows)
            if not got.more:
                break
            window = replace(window, after=got.keys[-1])
        return number

    async def _ask_export(
        self, call: Call, state: Mapping[str, str], *, reason: str = "", problem: Problem | None = None
    ) -> web.Response:
        found = await self.read(call, state)
        number, _ = (None, ()) if found.errors else await self._summed(call, found)
        return call.render(
            "ui/export.html", status=422 if problem else 200, page=self, found=found, sort=state.get("sort", ""),
            number=number, reason=reason, problem=problem, formats=words.FORMAT, most=MOST_REASON,
            dialog=in_dialog(call),
        )  # fmt: skip


def _reason_problem(reason: str) -> Problem | None:
    if len(reason) < LEAST_REASON:
        return Problem(words.TOO_SHORT if reason else words.REQUIRED, {"n": LEAST_REASON})
    if len(reason) > MOST_REASON:
        return Problem(words.TOO_LONG, {"n": MOST_REASON})
    return None if reason.isprintable() else Problem(words.UNPRINTABLE)


async def reason_of(call: Call) -> str:
    """Why the person does what an action does, as far as it was said."""
    return " ".join(str((await call.request.post()).get("reason", "")).split())


async def picked(call: Call) -> str:
    """What the person has chosen in the dialog of an action; not looked at yet when its rows are."""
    return str((await call.request.post()).get("pick", ""))


async def opted(call: Call) -> bool:
    """Whether the person has chosen the ``option`` of an action's effect."""
    return (await call.request.post()).get("option") == "1"


def _said_problem(said: str, action: Action) -> Problem | None:
    return None if not said and not action.reason else _reason_problem(said)


def refusal(call: Call, error: SmsgwError, labels: Mapping[str, str] = MappingProxyType({})) -> str:
    """What a service says no with, in the reader's language and with the names that fields have on pages: those of
    ``labels`` (field -> term), else the usual ones."""
    detail = dict(error.detail)
    name = str(detail.get("field", ""))
    if (name := labels.get(name) or FIELD_TERMS.get(name, name)) in TERMS:
        detail["field"] = call.gettext(TERMS[name])
    said = message_of(error.code, detail, english=call.language != DEFAULT)
    return said if call.language != DEFAULT else full_width(said)


_HALF = re.compile(r"(?<=[\u3400-\u9fff”）])[,:;]|[,:;](?=[\u3400-\u9fff“（])")
_FULL = {",": "，", ":": "：", ";": "；"}


def full_width(text: str) -> str:
    """A Chinese sentence of the interface's with the punctuation that pages have."""
    return _HALF.sub(lambda found: _FULL[found[0]], text)


def asked(found: Found) -> dict[str, str]:
    """What is looked for, for the audit log: without the page, numbers as everybody sees them."""
    phones = {one.key for one in found.filter.fields if one.kind is filters.FieldKind.PHONE}
    texts = {key: mask(text) if key in phones else text for key, text in found.texts.items()}
    return ({"time": found.preset} if found.preset else {}) | texts


# --- acting on rows --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Acting:
    """The two steps of an action: what it will do, and doing it."""

    page: ListPage
    action: Action

    async def ask(self, call: Call) -> web.StreamResponse:
        """The effect in numbers, to be confirmed."""
        chosen = await self._chosen(call)
        return await self._dialog(call, chosen)

    async def do(self, call: Call) -> web.StreamResponse:
        """Act on each of the rows; what was refused is said with the reason."""
        page, form = self.page, await call.request.post()
        chosen = await self._chosen(call)
        if isinstance(chosen, Problem):
            return await self._dialog(call, chosen)
        if self.action.reason is not None and (wrong := _said_problem(await reason_of(call), self.action)):
            return await self._dialog(call, chosen, wrong)
        if self.action.picks is not None and await picked(call) not in await self.action.picks(call):
            return await self._dialog(call, chosen, Problem(words.PICK_ONE))
        effect = await self.action.effect(call, chosen)
        if effect.typed and str(form.get("typed", "")).strip() != effect.typed:
            return await self._dialog(call, chosen, Problem(words.WRONG_NAME))
        if self.action.goes:
            try:
                return go(call, str(await self.action.run(call, chosen)))
            except SmsgwError as exc:
                why = refusal(call, exc)
                return page._back(call, form, words.DONE_SOME, good=False, done=0, refused=len(chosen), why=why)
        done, refused = await self._each(call, chosen)
        why = refusal(call, refused[0]) if refused else ""
        said = words.DONE_SOME if refused else words.DONE_MANY
        return page._back(call, form, said, good=not refused, done=done, refused=len(refused), why=why)

    async def _each(self, call: Call, rows: Iterable[Any]) -> tuple[int, list[SmsgwError]]:
        done, refused = 0, list[SmsgwError]()
        for row in rows:
            try:
                await self.action.run(call, row)
            except SmsgwError as exc:
                refused.append(exc)
            else:
                done += 1
        return done, refused

    async def _chosen(self, call: Call) -> Sequence[Any] | Problem:
        """The rows of the form, as far as the person may see them now: the effect tells what the page does, or more."""
        form, page = await call.request.post(), self.page
        if not call.may(page.permission) or not call.may(self.action.tells or page.permission):
            return Problem(words.NOT_SEEN)
        ids = [id_ for id_ in form.getall("id", []) if isinstance(id_, str)]
        chosen = selection.read(
            call.portal.context.sealer, page.name, call.who.login, ids, str(form.get("selection", "")), clock.now()
        )
        if isinstance(chosen, Problem):
            return chosen
        if chosen.all:
            return await self._all(call, chosen)
        rows = [row for id_ in chosen.ids if page.one and (row := await page.one(call.db, call.actor, id_)) is not None]
        return rows or Problem(words.OLD_SELECTION)

    async def _all(self, call: Call, chosen: selection.Selection) -> Sequence[Any] | Problem:
        page = self.page
        choices = await page.choices(call) if page.choices is not None else None
        found = page.filter.read(chosen.state or {}, chosen.at or clock.now(), choices)
        if found.errors:
            return Problem(words.OLD_SELECTION)
        window = Window(page.sort.key, page.sort.descending, limit=selection.MOST)
        got = await page.rows(call.db, call.actor, found, window)
        return selection.grown(chosen, len(got.rows) + got.more) or got.rows or Problem(words.OLD_SELECTION)

    async def _dialog(
        self, call: Call, chosen: Sequence[Any] | Problem, problem: Problem | None = None
    ) -> web.Response:
        form = await call.request.post()
        rows = [] if isinstance(chosen, Problem) else chosen
        said = chosen if isinstance(chosen, Problem) else problem
        effect = await self.action.effect(call, rows) if rows else None
        return call.render(
            "ui/effect.html", status=422 if said else 200, page=self.page, action=self.action, effect=effect,
            problem=said, ids=[self.page.id_of(row) for row in rows] if not form.get("selection") else [],
            selection=str(form.get("selection", "")), q=str(form.get("q", "")), to=self.page._within(form),
            reason=await reason_of(call), most=MOST_REASON, picked=await picked(call),
            picks=await self.action.picks(call) if self.action.picks is not None and rows else {},
            dialog=in_dialog(call),
        )  # fmt: skip
