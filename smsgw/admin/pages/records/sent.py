"""Records of what was sent (P8.1): filter bar, newest first, page by page."""

from __future__ import annotations

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.forms import PERIODS, RecordFilter
from smsgw.admin.kit.menu import Entry
from smsgw.admin.rights import route
from smsgw.core.numbers import mask
from smsgw.core.permissions import Permission
from smsgw.platform.messages import queries
from smsgw.platform.messages.model import MessageView
from smsgw.runtime import clock

MENU = Entry("records.sent", "/records", Permission.MESSAGE_VIEW)
PAGE = 50


@route("GET", "/records", Permission.MESSAGE_VIEW)
async def show(call: Call) -> web.StreamResponse:
    """The list for the filter in the address."""
    wanted = RecordFilter.read(call.request.query, clock.now())
    rows: list[MessageView] = []
    if not wanted.errors:
        await call.reads("records.search", "records", **_asked(wanted))
        rows = await queries.search(
            call.db,
            accounts=_scope(call.accounts, wanted.account_id),
            batch_id=wanted.batch_id,
            number=wanted.number,
            from_time=wanted.from_time,
            to_time=wanted.to_time,
            status=wanted.status or None,
            cls=wanted.reason or None,
            before_id=wanted.before,
            limit=PAGE + 1,
            now=clock.now(),
        )
    older = rows[PAGE - 1].id if len(rows) > PAGE else None
    accounts = [
        a for a in call.portal.context.snapshots.current.accounts() if call.accounts is None or a.id in call.accounts
    ]
    return call.render(
        "records/sent.html",
        wanted=wanted,
        rows=rows[:PAGE],
        older=older,
        accounts=accounts,
        periods=PERIODS,
        content=call.may(Permission.MESSAGE_READ),
    )


def _asked(wanted: RecordFilter) -> dict[str, str]:
    """What a search looks for, for the audit log: without the page, and the number as everybody sees it."""
    asked = {
        "from": wanted.from_time.isoformat() if wanted.from_time else "",
        "to": wanted.to_time.isoformat() if wanted.to_time else "",
        "account": wanted.account,
        "status": wanted.status,
        "batch": wanted.batch,
        "reason": wanted.reason,
        "number": mask(wanted.number) if wanted.number else "",
    }
    return {name: value for name, value in asked.items() if value}


def _scope(own: tuple[int, ...] | None, chosen: int | None) -> tuple[int, ...] | None:
    """The accounts to look in: the chosen one, if it is within the person's own."""
    if chosen is None:
        return own
    return (chosen,) if own is None or chosen in own else ()
