"""Numbers of a filter become whom a message goes to: the classes that are kept, as the table of a new draft."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.filters import read_id
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.pages.audience.filters import PATH
from smsgw.admin.pages.sending.filtered import DROPPED, table
from smsgw.admin.words import audience as words
from smsgw.core.permissions import Permission
from smsgw.platform.drafts import service as drafts
from smsgw.platform.drafts.model import Kind as Of, Source, State
from smsgw.platform.numbers import filters as service
from smsgw.platform.numbers.filters import STATES, NumberFilter


@dataclass(frozen=True, slots=True)
class Sorted:
    """A filter, and how many numbers each of its classes has."""

    one: NumberFilter
    counts: Mapping[str, int]


async def _subject(call: Call) -> Sorted | None:
    id_ = read_id(call.request.match_info["id"])
    one = None if id_ is None else await service.one(call.db, id_, accounts=call.actor.scope.whole)
    if one is None:
        return None
    counted = await service.counts(call.db, one.id)
    return Sorted(one, {state: counted[state].n for state in STATES if state in counted})


async def _choices(call: Call, sorted_: Sorted) -> Mapping[str, Mapping[str, str]]:
    kept = {}
    for state, n in sorted_.counts.items():
        said = {"label": call.gettext(words.FILTER_STATE[state]), "n": f"{n:,}"}
        kept[state] = call.filled(words.FILTER_KEPT, said)
    return {"filter_keep": kept}


async def _save(call: Call, sorted_: Sorted, values: Mapping[str, Any]) -> web.Response:
    one = sorted_.one
    upload = await table(call, one, values["filter_keep"])
    state = State(subject=one.name, account=str(one.account_id), source=Source.FILE.value, upload=str(upload.id))
    draft = await drafts.begin(call.change(), secrets.token_urlsafe(18), Of.SAME, state, ())
    return call.redirect(f"/send/{draft.id}/content")


PAGE = FormPage(
    f"{PATH}/{{id:[0-9]{{1,19}}}}/send", Permission.MESSAGE_SEND, words.FILTER_SEND, words.FILTER_SEND_NEXT,
    Form((Inputs((Input("filter_keep", InputKind.CHOICES, required=True, help=words.FILTER_KEEP_HELP),)),)),
    _save, lambda sorted_: f"{PATH}/{sorted_.one.id}", _subject,
    lambda sorted_: {"filter_keep": [state for state in sorted_.counts if state not in DROPPED]}, _choices,
    lead=lambda sorted_: sorted_.one.name,
)  # fmt: skip
