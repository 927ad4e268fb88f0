"""Saved segments (效果人群) in the step of the numbers: one is chosen, or what is asked for is kept under a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from smsgw.admin.call import Call
from smsgw.admin.i18n import DEFAULT
from smsgw.admin.kit.filters import Problem, read_id
from smsgw.admin.pages.sending.wizard import Step, account_of, message
from smsgw.admin.words import compose as words
from smsgw.core.errors import Invalid, Refused
from smsgw.core.model import Account
from smsgw.core.permissions import Permission
from smsgw.core.words import Wording
from smsgw.platform.audience import saved
from smsgw.platform.audience.model import SavedSegment, Segment, Shared, Sharing
from smsgw.platform.audience.saved import WantedSegments
from smsgw.platform.drafts.model import State
from smsgw.platform.drafts.wanted import segment_of
from smsgw.platform.paging import Window

SAVE = "save_segment"
"""Name of the button."""
MOST = 100
"""That are offered, by name."""


@dataclass(frozen=True, slots=True)
class Saving:
    """What the form has of saved segments."""

    kept: Sequence[tuple[str, str]]
    """Id and name of those that can be chosen, and of the one that is: it stays chosen until somebody chooses another,
    also where it is there no more or is not seen (any more)."""
    may: bool
    """Whether the person may keep another."""
    typed: str
    button: str = SAVE


async def offered(step: Step, account: Account | None) -> Saving:
    """Those of the step's account that the person sees."""
    call = step.call
    if account is None:
        return Saving((), may=False, typed="")
    window = Window("name", descending=False, limit=MOST)
    found = await saved.search(call.db, call.actor, WantedSegments(account_id=account.id), window)
    kept = [(str(one.id), _name(call, one)) for one in found.rows]
    chosen = step.state.segment_saved
    if chosen and chosen not in dict(kept):
        id_ = read_id(chosen)
        one = None if id_ is None else await saved.one(call.db, call.actor, id_)
        there = one is not None and one.account_id == account.id
        kept.append((chosen, _name(call, one) if one and there else call.filled(words.SEGMENT_GONE, {"id": chosen})))
    return Saving(kept, call.may(Permission.CONTACT_EDIT), step.segment_name)


def _name(call: Call, one: SavedSegment) -> str:
    return f"{one.name} · {call.gettext(words.SEGMENT[one.segment.kind.value])}"


async def named(call: Call, account: Account, state: State, asked: Segment | None) -> list[str]:
    """The chosen one by its name, and what it asks for."""
    said = []
    if state.segment_saved:
        id_ = read_id(state.segment_saved)
        one = None if id_ is None else await saved.one(call.db, call.actor, id_)
        said.append(one.name if one and one.account_id == account.id else f"#{state.segment_saved}")
    if asked is None:
        return said
    kind = call.gettext(words.SEGMENT[asked.kind.value])
    if asked.messages:
        return [*said, call.filled(words.SEGMENT_OF_CHOSEN, {"kind": kind, "n": f"{len(asked.messages):,}"})]
    said.append(call.filled(words.SEGMENT_ASKS, {"kind": kind, "days": asked.days}))
    for word, id_ in ((words.SEGMENT_OF_TASK, asked.task_id), (words.SEGMENT_OF_LINK, asked.link_id)):
        if id_ is not None:
            said.append(call.filled(word, {"id": id_}))
    return said


async def save(step: Step, data: Mapping[str, object]) -> None:
    """Keep what the form asks for under its name, for the person alone, and choose it."""
    call, state = step.call, step.state
    account = account_of(call, state)
    step.segment_name = str(data.get("segment_name", "")).strip()[:64]
    if account is None:
        step.refused, step.refused_step = call.gettext(words.NO_ACCOUNT), "content"
        return
    try:
        segment = segment_of(state).segment
        assert segment is not None  # noqa: S101 - it is of one
        id_ = await saved.add(call.change(), account.id, step.segment_name, segment, Sharing(Shared.OWN))
    except (Invalid, Refused) as error:
        reason, name = error.detail.get("reason"), str(error.detail.get("field", ""))
        said = reason.text(call.language != DEFAULT) if isinstance(reason, Wording) else message(call, error)
        if not name.startswith("segment"):
            name = f"segment_{name or 'name'}"
        step.errors[name] = Problem("%(said)s", {"said": said})
        return
    step.state = msgspec.structs.replace(state, segment="", segment_saved=str(id_))
    call.toast(call.filled(words.SEGMENT_SAVED, {"name": step.segment_name}))
