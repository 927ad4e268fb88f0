"""Training mode of an account (S22b; 演练模式): begun and ended with a reason and its effect in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.filters import read_id
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, Inputs
from smsgw.admin.kit.lists import Effect
from smsgw.admin.pages.connect.accounts import PATH
from smsgw.admin.rights import Proof
from smsgw.admin.words import accounts as words
from smsgw.core.permissions import Permission
from smsgw.platform.accounts import listing, training

_AT = f"{PATH}/{{id:[0-9]{{1,19}}}}/training"
_FORM = Form((Inputs((
    Input("reason", label="why_so", required=True, least=training.LEAST_REASON, most=training.MOST_REASON),
)),))  # fmt: skip


async def _account(call: Call) -> Any:
    id_ = read_id(call.request.match_info["id"])
    return None if id_ is None else await listing.one(call.db, id_, accounts=call.actor.scope.whole)


def _page(path: str, title: str, send: str, text: str, *, on: bool, step_up: Proof | None = None) -> FormPage:
    async def effect(call: Call, row: Any, _: Mapping[str, Any]) -> Effect:
        left = await training.waiting(call.db, row["id"])
        return Effect(text, {
            "name": row["display_name"] or row["name"], "parts": f"{left.parts:,}", "tasks": f"{left.tasks:,}",
            "keys": f"{left.keys:,}", "people": f"{left.people:,}",
        })  # fmt: skip

    async def save(call: Call, row: Any, values: Mapping[str, Any]) -> web.StreamResponse:
        await training.switch(call.change(), row["id"], on=on, reason=values["reason"])
        call.toast(call.gettext(words.TRAINING_BEGUN if on else words.TRAINING_ENDED))
        return call.redirect(f"{PATH}/{row['id']}")

    about = words.TRAINING_ABOUT if on else words.TRAINING_END_ABOUT
    return FormPage(
        path, Permission.ACCOUNT_EDIT, title, send, _FORM, save, lambda row: f"{PATH}/{row['id']}", _account,
        effect=effect, lead=lambda row: row["display_name"] or row["name"], danger=not on, about=about,
        step_up=step_up,
    )  # fmt: skip


BEGIN = _page(_AT, words.TRAINING_TITLE, words.TRAINING, words.TRAINING_EFFECT, on=True)
END = _page(f"{_AT}/end", words.TRAINING_END_TITLE, words.TRAINING_END, words.TRAINING_END_EFFECT, on=False,
            step_up=Proof.FACTOR)  # fmt: skip
"""From then on phones are reached again."""
