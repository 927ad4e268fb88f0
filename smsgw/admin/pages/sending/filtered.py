"""A finished number filter (空号过滤) as those a sending goes to: the classes that are kept become its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.filters import Problem, read_id
from smsgw.admin.pages.sending.wizard import AT, Step, account_of, read, step_of
from smsgw.admin.rights import route
from smsgw.admin.words import compose as words
from smsgw.admin.words.terms import TERMS
from smsgw.core.errors import Invalid, Refused, Temporary
from smsgw.core.model import Account
from smsgw.core.permissions import Permission
from smsgw.platform.campaigns.uploads import Upload
from smsgw.platform.drafts import service as drafts
from smsgw.platform.drafts.model import Source, State
from smsgw.platform.numbers import filters as service
from smsgw.platform.numbers.filters import MOST_LISTS, MOST_ROWS, STATES, NumberFilter
from smsgw.platform.paging import Window
from smsgw.runtime import aio

DROPPED = ("empty", "suspended", "risky", "absent")
"""Classes that are not kept unless they are chosen."""
KEPT = tuple(state for state in STATES if state not in DROPPED)
_HEAD = TERMS["number"]
_BUSY = ("waiting", "running")


async def table(call: Call, one: NumberFilter, states: Sequence[str]) -> Upload:
    """The numbers of these classes as a table of recipients. ``FILE_TOO_LARGE``, ``BACKPRESSURE``, …"""
    files = call.portal.context.tasks.files
    incoming = await files.receive(one.account_id, one.total * 16 + 64, f"numbers-{one.id}.csv")
    try:
        async with aio.opened(incoming.path.open, "w", encoding="utf-8") as file:
            file.write(call.gettext(_HEAD) + "\n")
            for state in states:
                after = 0
                while rows := await service.rows(call.db, one.id, state, after=after, limit=MOST_ROWS):
                    after = int(rows[-1]["number"])
                    await aio.in_thread(file.writelines, [row["number"] + "\n" for row in rows])
        return await files.keep(incoming, one.created_by)  # whose numbers they are: taking them away is theirs
    finally:
        files.store.drop(incoming)


@dataclass(frozen=True, slots=True)
class Offered:
    """The filters of an account that are done, and of the chosen one the classes with their numbers."""

    filters: Sequence[NumberFilter]
    chosen: str
    counts: Mapping[str, int]
    kept: Sequence[str]


async def offered(call: Call, state: State, account: Account | None) -> Offered:
    """What can be chosen; nothing without an account, or where none is done."""
    if account is None:
        return Offered((), "", {}, ())
    window = Window("at", limit=MOST_LISTS)
    found = (await service.search(call.db, window, accounts=call.actor.scope.whole, account_id=account.id)).rows
    done = [one for one in found if one.job_state not in _BUSY and one.total]
    chosen = next((one for one in done if str(one.id) == state.filter), done[0] if done else None)
    if chosen is None:
        return Offered((), "", {}, ())
    counted = await service.counts(call.db, chosen.id)
    counts = {key: counted[key].n if key in counted else 0 for key in STATES}
    kept = state.filter_keep if state.filter == str(chosen.id) else KEPT
    return Offered(done, str(chosen.id), counts, kept)


@route("POST", AT + "/filter", Permission.MESSAGE_SEND, passive=True)
async def show(call: Call) -> web.StreamResponse:
    """The classes of the filter that is chosen in the form."""
    step = await step_of(call, "audience")
    read(step, await call.request.post())
    found = await offered(call, step.state, account_of(call, step.state))
    return call.piece("sending/compose/filter.html", filtered=found, compose=words)


_TABLE = frozenset({"upload", "phone", "source"})


async def taken(step: Step) -> bool:
    """The chosen classes have become the draft's table; else what is wrong stands in the step."""
    call, state = step.call, step.state
    account, id_ = account_of(call, state), read_id(state.filter)
    one = None if account is None or id_ is None else await service.one(call.db, id_, accounts=call.actor.scope.whole)
    kept = [key for key in STATES if key in state.filter_keep]
    if one is None or account is None or one.account_id != account.id or one.job_state in _BUSY:
        step.errors["filter"] = Problem(words.NO_FILTER)
        return False
    counted = await service.counts(call.db, one.id)
    if not any(key in counted for key in kept):
        step.errors["filter"] = Problem(words.NO_CLASS)
        return False
    try:
        upload = await table(call, one, kept)
    except (Invalid, Refused, Temporary) as error:
        step.refuse(error)
        return False
    state.upload, state.phone, state.source = str(upload.id), "", Source.FILE.value
    # At once, whatever comes of the step: the page shows this table, and no field of its form says which it is.
    assert step.draft is not None  # noqa: S101 - it has an address
    await drafts.put(call.change(), step.draft.id, state, _TABLE, step=step.key)
    return True
