"""A scenario: what it fixes, and what that means for a sending. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from smsgw.core.actor import ActorLabel
from smsgw.core.errors import Invalid
from smsgw.core.fallback import Chain
from smsgw.core.model import MessageType
from smsgw.core.schedule import Windows, written
from smsgw.core.words import phrase
from smsgw.platform.campaigns.model import TaskSpec, windows_of

MOST = 200
"""Scenarios of one account."""
MOST_NAME, MOST_NOTE, MOST_MINUTES = 40, 200, 43_200
MOST_EXTENSION = 12


@dataclass(frozen=True, slots=True)
class Terms:
    """What somebody wants a scenario to fix; empty and None: nothing, the sending says it."""

    name: str
    type: MessageType
    sign: str = ""
    template_id: int | None = None
    extend_code: str = ""
    valid_minutes: int | None = None
    """Minutes from its beginning after which what has not been sent is sent no more."""
    windows: str = ""
    """Spans of the day, as ``core.schedule.written`` reads them: only then is it sent."""
    note: str = ""
    fallback: Chain | None = None
    """What follows a message that has failed."""

    @property
    def spans(self) -> Windows:
        """None: any time."""
        return written(self.windows)

    @property
    def only_span(self) -> tuple[str, str]:
        """Begin and end of its only span, of all days, else empty: as nodes of the version before know it."""
        plain = self.spans.plain
        return (plain[0]["from"], plain[0]["to"]) if len(plain) == 1 and "days" not in plain[0] else ("", "")

    def opens(self, at: datetime) -> datetime:
        """``at``, or the next moment at which it may be sent."""
        return self.spans.next_open(at) or at

    def ends(self, begins: datetime, wanted: datetime | None) -> datetime | None:
        """After when nothing is sent that begins then: the earlier of its own time and the one that is wanted."""
        if self.valid_minutes is None:
            return wanted
        own = begins + timedelta(minutes=self.valid_minutes)
        return own if wanted is None else min(own, wanted)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario as it stands."""

    id: int
    account_id: int
    account: str
    terms: Terms
    created_by: ActorLabel
    created_at: datetime
    updated_at: datetime
    stopped_at: datetime | None

    @property
    def name(self) -> str:
        """What it is called."""
        return self.terms.name

    @property
    def state(self) -> str:
        """``active`` or ``stopped``."""
        return "active" if self.stopped_at is None else "stopped"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which are looked for; empty and None: all."""

    name: str = ""
    state: str = ""
    type: str = ""
    account_id: int | None = None
    template_id: int | None = None


@dataclass(frozen=True, slots=True)
class Sending:
    """What a call, a message of it or a task says of what a scenario may fix; None and empty: nothing."""

    type: MessageType | None = None
    sign: str | None = None
    template_id: int | None = None
    extend_code: str | None = None
    content: str | None = None
    send_at: datetime | None = None
    expire_at: datetime | None = None


def apply(terms: Terms, said: Sending, now: datetime, items: Sequence[Sending] = ()) -> Sending:
    """A sending as its scenario has it: what that fixes may be left out, a beginning outside its hours is their next
    opening. ``items``: what messages of it say for themselves. ``PARAM_INVALID`` with the ``field`` that says something
    else than the scenario."""
    for at, one in (("", said), *((f"items[{n}].", item) for n, item in enumerate(items))):
        if terms.template_id is not None and one.content:
            reason = phrase("scenario.template", id=terms.template_id)
            raise Invalid("PARAM_INVALID", field=f"{at}content", reason=reason)
        _fixed(f"{at}sign", one.sign, terms.sign)
        _fixed(f"{at}extend_code", one.extend_code, terms.extend_code)
    begins = terms.opens(said.send_at or now)
    return replace(
        said,
        type=_fixed("type", said.type, terms.type),
        sign=terms.sign or said.sign,
        template_id=_fixed("template_id", said.template_id, terms.template_id),
        extend_code=terms.extend_code or said.extend_code,
        send_at=begins if begins > (said.send_at or now) else said.send_at,
        expire_at=terms.ends(begins, said.expire_at),
    )


def apply_to_task(terms: Terms, spec: TaskSpec, now: datetime) -> TaskSpec:
    """``apply`` for a task, which has the scenario's hours as its own, and its chain. ``PARAM_INVALID`` as there."""
    own = terms.spans
    if own.spans and spec.windows and windows_of(spec.windows) != own:
        raise Invalid("PARAM_INVALID", field="window", reason=phrase("scenario.fixed", value=str(own)))
    said = Sending(spec.type, spec.sign, spec.template_id, spec.extend_code, spec.content, spec.send_at, spec.expire_at)
    found = apply(terms, said, now)
    return replace(
        spec,
        type=terms.type,
        sign=found.sign or "",
        template_id=found.template_id,
        extend_code=found.extend_code or "",
        windows=tuple(own.plain) or spec.windows,
        fallback=_fixed("fallback", spec.fallback, None if terms.fallback is None else terms.fallback.plain()),
        expire_at=spec.expire_at if spec.recurring is not None else found.expire_at,
    )


def _fixed(field: str, given: Any, own: Any) -> Any:
    """What a scenario fixes; where it fixes nothing, what was given. ``PARAM_INVALID``: something else was given."""
    if own in (None, "", ()):
        return given
    if given not in (None, "", (), own):
        raise Invalid("PARAM_INVALID", field=field, reason=phrase("scenario.fixed", value=str(own)))
    return own
