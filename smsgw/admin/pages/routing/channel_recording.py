"""Recording of a channel's submits for the trace (P10.1; 提交报文录制): for some hours, with its effect in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Effect
from smsgw.admin.pages.routing.channels import ONE, PATH, channel
from smsgw.admin.words import routing as words
from smsgw.core.permissions import Permission
from smsgw.platform.channels import recordings
from smsgw.platform.channels.model import ChannelView

_FORM = Form((Inputs((
    Input("hours", InputKind.CHOICE, "record_for", words.RECORD_HOURS_HELP, required=True, choices=words.RECORD_HOURS),
    Input("reason", label="why_so", required=True, least=recordings.LEAST_REASON, most=recordings.MOST_REASON),
)),))  # fmt: skip


async def _effect(call: Call, one: ChannelView, values: Mapping[str, Any]) -> Effect:
    expected = await recordings.expected(call.db, one.id)
    return Effect(words.RECORD_EFFECT, {
        "submits": f"{expected.submits:,}", "rows": f"{expected.rows:,}",
        "mb": f"{expected.octets / 1048576:,.1f}", "second": recordings.PER_SECOND, "most": f"{recordings.MOST_MB:,}",
        "hours": values["hours"], "days": call.portal.context.retention.submits_days,
    })  # fmt: skip


async def _begin(call: Call, one: ChannelView, values: Mapping[str, Any]) -> web.StreamResponse:
    await recordings.begin(call.change(), one.id, hours=int(values["hours"]), reason=values["reason"])
    call.toast(call.gettext(words.RECORD_DONE))
    return call.redirect(f"{PATH}/{one.id}")


BEGIN = FormPage(
    f"{ONE}/record", Permission.CHANNEL_EDIT, words.RECORD_TITLE, words.RECORD, _FORM, _begin,
    lambda one: f"{PATH}/{one.id}", channel, values=lambda _: {"hours": "4"}, effect=_effect,
    about=words.RECORD_ABOUT,
    lead=lambda one: one.name,
)  # fmt: skip


async def _end_effect(call: Call, one: ChannelView, _: Mapping[str, Any]) -> Effect:
    found = await recordings.last(call.db, one.id)
    return Effect(
        words.RECORD_END_EFFECT,
        {"kept": f"{found.kept if found else 0:,}", "days": call.portal.context.retention.submits_days},
    )


async def _end(call: Call, one: ChannelView, _: Mapping[str, Any]) -> web.StreamResponse:
    await recordings.end(call.change(), one.id)
    call.toast(call.gettext(words.RECORD_END_DONE))
    return call.redirect(f"{PATH}/{one.id}")


END = FormPage(
    f"{ONE}/record/end", Permission.CHANNEL_EDIT, words.RECORD_END_TITLE, words.RECORD_END, Form(()), _end,
    lambda one: f"{PATH}/{one.id}", channel, effect=_end_effect, lead=lambda one: one.name,
)  # fmt: skip
