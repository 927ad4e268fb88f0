"""What the pages of short links share: rows with their addresses, moments that people type, effects in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from smsgw.admin.call import Call
from smsgw.admin.kit.filters import Found, Problem, read_id
from smsgw.admin.kit.form_pages import Wrong
from smsgw.admin.words import CARRIER, short_links as words
from smsgw.admin.words.lists import JOIN
from smsgw.core import moments
from smsgw.core.actor import Actor
from smsgw.core.short_codes import Permutation
from smsgw.core.templates import CARRIERS
from smsgw.core.url_filings import found_in
from smsgw.platform.handles import Database
from smsgw.platform.links import queries
from smsgw.platform.links.model import LinkKind, ShortLink
from smsgw.platform.links.queries import ANY_TIME, Span, WantedLinks
from smsgw.platform.paging import Slice, Window
from smsgw.runtime import clock

PATH = "/short-links"
ONE = PATH + "/{id:[0-9]{1,19}}"
VISITS = "/link-clicks"
TASKS = "/link-tasks"
FILINGS = "/link-filings"
MOMENT = r"20[0-9]{2}-[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]"


@dataclass(frozen=True, slots=True)
class Line:
    """A link with what people open: of a personal one nothing, for each recipient has another."""

    link: ShortLink
    address: str

    @property
    def id(self) -> int:
        """Of the link."""
        return self.link.id

    @property
    def state(self) -> str:
        """How it stands now."""
        return self.link.state(clock.now()).value

    @property
    def visits(self) -> str:
        """Where those who opened it are listed."""
        return f"{VISITS}?link={self.link.id}&time=30d"

    @property
    def codes(self) -> int:
        """0: it is the same for all."""
        return self.link.codes if self.link.kind is LinkKind.PERSONAL else 0


def line(link: ShortLink, codes: Permutation | None) -> Line:
    """The line of a link."""
    shared = link.kind is LinkKind.SHARED and (link.chosen or codes is not None)
    return Line(link, link.address(0, codes) if shared else "")


def _span(found: Found, key: str) -> Span:
    return Span(*found.get(key)) if found.get(key) else ANY_TIME


def wanted(found: Found) -> WantedLinks:
    """What a filter asks for."""
    account = int(found.get("account")) if found.get("account") else None
    return WantedLinks(
        found.get("text"), account, found.get("kind"), found.get("origin"), found.get("state"), _span(found, "made"),
        _span(found, "ends"), _span(found, "clicked"),
    )  # fmt: skip


async def rows(database: Database, actor: Actor, found: Found, window: Window) -> Slice[Line]:
    """A window of them."""
    got = await queries.search(database, wanted(found), window, accounts=actor.scope.whole)
    codes = await queries.own_permutation(database)
    return Slice([line(one, codes) for one in got.rows], got.keys, got.more)


async def one(database: Database, actor: Actor, id_: int) -> Line | None:
    """One of them, in the actor's scope."""
    link = await queries.found(database, id_, accounts=actor.scope.whole)
    return None if link is None else line(link, await queries.own_permutation(database))


async def subject(call: Call) -> Line | None:
    """That of a page's address."""
    id_ = read_id(call.request.match_info["id"])
    return None if id_ is None else await one(call.db, call.actor, id_)


def moment(key: str, text: str) -> datetime | None:
    """A moment that somebody has typed, in China; None: left out."""
    if not text:
        return None
    try:
        return moments.minute(text)
    except ValueError as exc:
        raise Wrong(key, Problem(words.WHEN_WRONG)) from exc


def unfiled(call: Call, account_id: int, target: str) -> str:
    """A sentence about carriers that have not the target of a link on file; empty: all have."""
    snapshot = call.portal.context.snapshots.current
    links = found_in(target)
    account = snapshot.account(account_id)
    if not links or account is None:
        return ""
    book, accounts = snapshot.policies.links, (account.id, *account.above)
    missing = [carrier for carrier in CARRIERS if not book.filed(links[0], accounts, (carrier,))]
    if not missing:
        return ""
    names = call.gettext(JOIN).join(call.gettext(CARRIER[carrier]) for carrier in missing)
    return call.filled(words.NOT_FILED, {"host": links[0].host, "carriers": names})


def names_of(call: Call, lines: Any) -> str:
    """The first names, for an effect."""
    return call.gettext(JOIN).join(one.link.name for one in lines[:5])
