"""Records of what was sent (P8.1): filter bar, newest first, page by page."""

from __future__ import annotations

from aiohttp import web

from smsgw import clock
from smsgw.admin.call import Call
from smsgw.admin.forms import PERIODS, RecordFilter
from smsgw.admin.rights import route
from smsgw.store.messages import MessageView, search_messages

PAGE = 50


@route("GET", "/records", "records.view")
async def show(call: Call) -> web.StreamResponse:
    """The list for the filter in the address."""
    wanted = RecordFilter.read(call.request.query, clock.now())
    rows: list[MessageView] = []
    if not wanted.errors:
        rows = await search_messages(
            call.db,
            accounts=_scope(call.accounts, wanted.account_id),
            batch_id=wanted.batch_id,
            number=wanted.number,
            from_time=wanted.from_time,
            to_time=wanted.to_time,
            status=wanted.status or None,
            before_id=wanted.before,
            limit=PAGE + 1,
            now=clock.now(),
        )
    older = rows[PAGE - 1].id if len(rows) > PAGE else None
    accounts = [
        a for a in call.portal.context.directory.accounts() if call.accounts is None or a.id in call.accounts
    ]
    return call.render(
        "pages/records.html",
        wanted=wanted,
        rows=rows[:PAGE],
        older=older,
        accounts=accounts,
        periods=PERIODS,
        content=call.may("records.content"),
    )


def _scope(own: tuple[int, ...] | None, chosen: int | None) -> tuple[int, ...] | None:
    """The accounts to look in: the chosen one, if it is within the person's own."""
    if chosen is None:
        return own
    return (chosen,) if own is None or chosen in own else ()
