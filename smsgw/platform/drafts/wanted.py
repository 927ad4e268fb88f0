"""A draft as what the engine is asked for: the one way from what was typed to a task. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from smsgw.core import moments
from smsgw.core.actor import ActorLabel
from smsgw.core.errors import Invalid
from smsgw.core.fallback import MOST_HOPS, MOST_MINUTES as MOST_CHAIN_MINUTES, USUAL_MINUTES, chain_of
from smsgw.core.frequency import MOST_TAGGED, tagged_of
from smsgw.core.kinds import CustomKind, Kinds, is_type, resolve
from smsgw.core.model import Account, MessageType, Origin
from smsgw.core.number_parsing import pieces
from smsgw.core.schedule import written
from smsgw.core.stages import LIMITS, MOST_MINUTES, steps_of
from smsgw.core.words import phrase, reason_of
from smsgw.platform.audience.model import (
    MOST_CONTACTS_PICKED,
    MOST_DAYS,
    MOST_GROUPS_PICKED,
    MOST_MESSAGES_PICKED,
    MOST_TAGS_PICKED,
    Picked,
    Segment,
    SegmentKind,
)
from smsgw.platform.campaigns.model import MAX_NAME, MAX_RATE, TaskSpec, invalid
from smsgw.platform.drafts.model import PRESETS, Draft, Source, State, When

MOST_HOURS = 24 * 30
ONE_EACH = ("number", "content")


def spec_of(draft: Draft, account: Account, submitter: ActorLabel, now: datetime, kinds: Kinds) -> TaskSpec:
    """What the draft asks for, of these kinds. ``PARAM_INVALID`` with the ``field`` of what cannot be read."""
    state = draft.state
    send_at = moment(state.at, "at") if state.when == When.AT else None
    if send_at is not None and send_at <= now:
        raise Invalid("TIME_INVALID", field="at", reason=phrase("draft.past"))
    if state.one_each not in ONE_EACH:
        raise invalid("one_each", phrase("draft.choose"))
    hours = _number(state.hours, "hours", 1, MOST_HOURS)
    again = _again(state) if state.when == When.AGAIN else None
    source = state.source
    audience_id, picked = None, None
    if source == Source.SEGMENT and state.segment_saved:
        audience_id = id_of(state.segment_saved, "segment_saved")
    elif source == Source.SEGMENT:
        picked = segment_of(state)
    elif source == Source.AUDIENCE and (picked := picked_of(state)) is None:
        audience_id = id_of(state.audience, "audience")
    base, kind = _type(state, kinds)
    return TaskSpec(
        account=account,
        name=name_of(state),
        content="" if state.template else state.content,
        origin=Origin.PORTAL,
        submitter=submitter,
        to=tuple(pieces(state.to)) if source == Source.TYPED else (),
        upload_id=id_of(state.upload, "upload") if source == Source.FILE else None,
        audience_id=audience_id,
        picked=picked,
        template_id=id_of(state.template, "template") if state.template else None,
        params={k: v for k, v in state.fixed.items() if v} if state.template else {},
        phone=state.phone or None,
        variables=_variables(state),
        type=base,
        kind=kind,
        sign=state.sign,
        extend_code=state.extend_code,
        send_at=send_at,
        expire_at=None if hours is None or again is not None else (send_at or now) + timedelta(hours=hours),
        windows=_windows(state),
        recurring=again,
        rate=_number(state.rate, "rate", 1, MAX_RATE) or 0,
        steps=steps_in(state) if state.steps else None,
        frequency=frequency_in(state),
        fallback=chain_in(state),
        prefer=state.prefer,
        link_id=id_of(state.link, "link") if state.link else None,
        emergency=bool(state.emergency),
        review=bool(state.review),
        one_each=state.one_each,
        request_key=draft.key,
        request_sha256=bytes.fromhex(state.fingerprint()),
    )


def picked_of(state: State) -> Picked | None:
    """None: nobody by name, or all of one group."""
    if not (state.groups or state.tags or state.contacts):
        return None
    for chosen, most in (
        (state.groups, MOST_GROUPS_PICKED), (state.tags, MOST_TAGS_PICKED), (state.contacts, MOST_CONTACTS_PICKED),
    ):  # fmt: skip
        if len(chosen) > most:
            raise invalid("audience", phrase("number.in", low=0, high=most))
    groups = [*state.groups, *([state.audience] if state.audience else ())]
    return Picked(
        tuple(id_of(one, "audience") for one in groups),
        tuple(state.tags),
        tuple(id_of(one, "audience") for one in state.contacts),
    )


def segment_of(state: State) -> Picked:
    """The segment that was chosen. ``PARAM_INVALID`` at its field."""
    if state.segment not in set(SegmentKind):
        raise invalid("segment", phrase("draft.choose"))
    days = _number(state.segment_days, "segment_days", 1, MOST_DAYS) or 90
    task, link = (
        id_of(text, field) if text else None
        for text, field in ((state.segment_task, "segment_task"), (state.segment_link, "segment_link"))
    )
    if len(state.segment_messages) > MOST_MESSAGES_PICKED:
        raise invalid("segment", phrase("number.in", low=0, high=MOST_MESSAGES_PICKED))
    messages = tuple([id_of(one, "segment") for one in state.segment_messages])
    return Picked(
        segment=Segment(SegmentKind(state.segment), days, task, link, messages=messages, dead=bool(state.segment_dead))
    )


def _type(state: State, kinds: Kinds) -> tuple[MessageType | None, CustomKind | None]:
    """The template decides about a type; a kind has to be of the template's."""
    if not state.type or (state.template and state.type not in kinds):
        return None, None
    if not is_type(state.type, kinds):
        raise invalid("type", phrase("draft.choose"))
    return resolve(kinds, state.type)


def name_of(state: State) -> str:
    """What the task is called: its subject, else the beginning of the text."""
    return (state.subject or " ".join(state.content.split())[:20])[:MAX_NAME]


def moment(text: str, field: str) -> datetime:
    """A time as the pages write it, in China; of a year that can be counted with."""
    try:
        at = moments.minute(text.replace("T", " ")[:16])
    except ValueError as exc:
        raise invalid(field, phrase("draft.time")) from exc
    if at >= moments.LAST:  # nobody means to send then, or for ever
        raise invalid(field, phrase("draft.time"))
    return at


def _variables(state: State) -> dict[str, str]:
    """Of typed numbers nothing but what is the same for all is known."""
    if state.source == Source.TYPED:
        return {}
    fixed = {name for name, value in state.fixed.items() if value} if state.template else set()
    return {name: column for name, column in state.variables.items() if column and name not in fixed}


def _windows(state: State) -> tuple[dict[str, Any], ...]:
    try:
        return tuple(written(state.windows).plain)
    except ValueError as exc:
        raise Invalid("PARAM_INVALID", field="window", reason=reason_of(exc)) from exc


def _again(state: State) -> dict[str, Any]:
    days = [int(day) for day in state.on if day.removeprefix("-").isdecimal() and len(day) <= 3]
    given: dict[str, Any] = {
        "every": state.every,
        "at": [t for t in state.every_at.replace("\uff0c", ",").split(",") if t],
    }
    given["at"] = [text.strip() for text in given["at"]]
    if state.every != "day":
        given["on"] = days
    if state.until:
        given["until"] = moment(f"{state.until[:10]} 23:59", "until")
    return given


def frequency_in(state: State) -> dict[str, Any] | None:
    """How often a number gets it at most; ``PARAM_INVALID`` at its field."""
    if not state.frequency:
        return None
    if state.frequency in PRESETS:
        most, every, unit = PRESETS[state.frequency]
    elif state.frequency == "own":
        unit = state.frequency_unit
        most = _number(state.frequency_most, "frequency.most", 1, MOST_TAGGED) or 0
        every = _number(state.frequency_every, "frequency.every", 1, 720) or 0
    else:
        raise invalid("frequency", phrase("draft.choose"))
    given = {"most": most, "every": every, "unit": unit, "tag": state.frequency_tag.strip()}
    tagged_of(given)
    return given


def chain_in(state: State) -> dict[str, Any] | None:
    """What follows a message that has failed; ``PARAM_INVALID`` at its field, which is that of the form."""
    if not state.fallback:
        return None
    found = []
    for n in range(1, MOST_HOPS + 1):
        hop = {name: getattr(state, f"hop{n}_{name}") for name in ("content", "template", "sign", "when", "prefer")}
        template = hop.pop("template")
        if not hop["content"] and not template:
            continue
        template_id = id_of(template, f"hop{n}_template") if template else None
        try:
            chain_of({"hops": [hop | {"template_id": template_id}]})
        except Invalid as error:
            name = str(error.detail.get("field", "")).rpartition(".")[2].removesuffix("_id")
            raise Invalid(error.code, **error.detail | {"field": f"hop{n}_{name}"}) from error
        found.append(hop | {"template_id": template_id})
    if not found:
        raise invalid("hop1_content", phrase("fallback.one"))
    minutes = _number(state.fallback_minutes, "fallback_minutes", 1, MOST_CHAIN_MINUTES) or USUAL_MINUTES
    return chain_of({"hops": found, "minutes": minutes}).plain()


def chain_fields(kept: Mapping[str, Any] | None) -> dict[str, Any]:
    """A chain as a form has it."""
    if kept is None:
        return {}
    chain = chain_of(kept)
    found = {"fallback": "1", "fallback_minutes": str(chain.minutes)}
    for n, hop in enumerate(chain.hops, 1):
        found |= {
            f"hop{n}_content": hop.content, f"hop{n}_template": str(hop.template_id or ""), f"hop{n}_sign": hop.sign,
            f"hop{n}_when": hop.when.value, f"hop{n}_prefer": hop.prefer,
        }  # fmt: skip
    return found


def steps_in(state: State) -> dict[str, Any]:
    """The plan of a sending in steps; what is no number is told at its field."""
    shares = [text.strip().removesuffix("%") for text in state.steps_shares.replace("\uff0c", ",").split(",")]
    minutes = _number(state.steps_minutes, "steps.minutes", 1, MOST_MINUTES)
    given = {name: _decimal(getattr(state, f"steps_{name}"), f"steps.{name}") for name in LIMITS}
    return steps_of({"shares": [_decimal(s, "steps.shares") for s in shares if s], "minutes": minutes, **given}).plain()


def _decimal(text: str, field: str) -> float:
    text = text.strip().removesuffix("%").strip()
    if not (text.isascii() and len(text) <= 8 and text.replace(".", "", 1).isdecimal()):
        raise invalid(field, phrase("steps.number"))
    return float(text)


def id_of(text: str, field: str) -> int:
    """An id as it was chosen. ``PARAM_INVALID``."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 19 and int(text) < 2**63):
        raise invalid(field, phrase("draft.choose"))
    return int(text)


def _number(text: str, field: str, least: int, most: int) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 9 and least <= int(text) <= most):
        raise invalid(field, phrase("number.in", low=least, high=most))
    return int(text)
