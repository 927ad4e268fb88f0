"""One message octet by octet (P8.2): what the carrier has said, whether it is as it was stored, who has looked at it;
and all that others need to know to look into trouble with it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from aiohttp import web

from smsgw.admin import words as told
from smsgw.admin.call import Call
from smsgw.admin.rights import route
from smsgw.admin.views import china_time
from smsgw.admin.words import provinces, trace as words
from smsgw.admin.words.audit import action_words
from smsgw.core.numbers import mask
from smsgw.core.permissions import Permission
from smsgw.platform.audit import looks
from smsgw.platform.evidence import verification
from smsgw.platform.evidence.verification import Checked
from smsgw.platform.messages import examining, queries
from smsgw.platform.messages.model import Trace
from smsgw.runtime import clock

ONE = "/records/{id:[0-9]{1,19}}"


async def _trace(call: Call) -> Trace:
    scope, id_ = call.actor.scope, int(call.request.match_info["id"])
    found = await queries.trace(call.db, id_, accounts=scope.accounts, submitter=scope.submitter)
    if found is None:
        raise web.HTTPNotFound
    return found


async def _sees_whole(call: Call, id_: int) -> bool:
    """Whether the person may see the message's whole number, and has given a reason today. Without it no digest of what
    the carrier has said is shown: the hidden digits are found by trying them."""
    return call.may(Permission.MESSAGE_UNMASK) and await looks.unmasked(call.db, call.actor.label, id_, clock.now())


@route("GET", f"{ONE}/wire", Permission.MESSAGE_WIRE)
async def wire(call: Call) -> web.StreamResponse:
    """The PDUs, and who has looked."""
    return await _wire(call)


@route("POST", f"{ONE}/verify", Permission.MESSAGE_WIRE)
async def verify(call: Call) -> web.StreamResponse:
    """The same, checked anew."""
    id_ = int(call.request.match_info["id"])
    context = call.portal.context
    checked = await verification.of_message(call.change(), context.sealer, id_, now=clock.now(), reads=context.reads)
    return await _wire(call, checked)


@route("GET", f"{ONE}/verify", Permission.MESSAGE_WIRE)
async def verified(call: Call) -> web.StreamResponse:
    """The address after that, loaded again."""
    return call.redirect(f"/records/{call.request.match_info['id']}/wire")


async def _wire(call: Call, checked: Sequence[Checked] | None = None) -> web.Response:
    if not call.may(Permission.MESSAGE_VIEW):
        raise web.HTTPNotFound
    trace = await _trace(call)
    id_, whole = trace.message.id, await _sees_whole(call, trace.message.id)
    await call.reads("message.wire", f"message/{id_}", unmasked=whole)
    decode, texts = call.portal.context.decode, call.may(Permission.MESSAGE_READ)
    said = await examining.said(call.db, trace.message, decode, whole=whole, texts=texts)
    submits = await examining.submits(call.db, trace.message, decode, whole=whole, texts=texts)
    seen = await looks.of_message(call.db, call.actor, id_)
    return call.render(
        "records/wire.html", message=trace.message, said=said, submits=submits, checked=checked or (), whole=whole,
        more=seen.more, seen=[(one, action_words(one.action)[0]) for one in seen.entries], names=words,
        verdict=_verdict(checked), submits_days=call.portal.context.retention.submits_days,
    )  # fmt: skip


def _verdict(checked: Sequence[Checked] | None) -> str:
    if not checked:
        return "" if checked is None else "none"
    return "wrong" if any(one.state == "wrong" for one in checked) else "right"


# --- trouble ---------------------------------------------------------------------------------------------------------


@route("GET", f"{ONE}/problem", Permission.MESSAGE_VIEW)
async def problem(call: Call) -> web.StreamResponse:
    """A text with everything by which others find this message again, to be copied or sent."""
    trace = await _trace(call)
    await call.reads("message.report", f"message/{trace.message.id}")
    whole = await _sees_whole(call, trace.message.id)
    return call.render("records/problem.html", message=trace.message, text=_text(call, trace, whole))


def _text(call: Call, trace: Trace, whole: bool) -> str:
    """Line by line, without a whole number and without the message's text; ``whole``: with what gives it away."""
    say, m = call.gettext, trace.message

    def named(word: str, value: Any) -> str:
        shown = china_time(value, "%Y-%m-%d %H:%M:%S") if isinstance(value, datetime) else value
        return f"{say(word)}{say(words.COLON)}{shown or '—'}"

    status = say(told.STATUS.get(m.status, m.status))
    reason = say(told.CAUSE[key]) if (key := told.cause_of(m)) in told.CAUSE else ""
    place = f"{say(told.CARRIER.get(m.carrier, m.carrier))} {provinces.said(m.province, say)}".strip()
    lines = [
        named(words.MESSAGE, m.id), named(words.BATCH, m.batch_id), named(words.REQUEST, call.request_id),
        named(words.ACCOUNT, m.account_name), named(words.CLIENT_REF, m.client_ref),
        named(words.SUBMITTER, m.submitter), named(words.NUMBER, f"{mask(m.number)}  {place}"),
        named(words.STATUS, "  ".join(filter(None, (status, reason, m.code)))),
        named(words.ACCEPTED, m.accepted_at), named(words.SUBMITTED, m.submitted_at), named(words.DONE, m.done_at),
    ]  # fmt: skip
    for part in trace.parts[: words.MOST_PARTS]:
        said = (
            (words.CHANNEL, part.channel_name), (words.CARRIER_ID, part.carrier_id), (words.CODE, part.code),
            (words.SUBMITTED, part.claimed_at), (words.ANSWERED, part.answered_at), (words.DONE, part.final_at),
            (words.DIGEST, part.evidence if whole else ""),
        )  # fmt: skip
        lines.append(f"{call.filled(words.PART, {'n': part.part})}{say(words.COLON)}")
        lines += [f"  {named(word, value)}" for word, value in said if value]
    return "\n".join(lines)
