"""A scenario: what it fixes, and what that means for a sending. Pure."""

from __future__ import annotations

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


def fixed(field: str, given: Any, own: Any) -> Any:
    """What a scenario fixes; where it fixes nothing, what was given. ``PARAM_INVALID``: something else was given."""
    if own in (None, "", ()):
        return given
    if given not in (None, "", (), own):
        raise Invalid("PARAM_INVALID", field=field, reason=phrase("scenario.fixed", value=str(own)))
    return own


def within(terms: Terms, spec: TaskSpec, now: datetime) -> TaskSpec:
    """A task as the scenario has it. ``PARAM_INVALID`` with the ``field`` that asks for something else."""
    own = terms.spans
    if own.spans and spec.windows and windows_of(spec.windows) != own:
        raise Invalid("PARAM_INVALID", field="window", reason=phrase("scenario.fixed", value=str(own)))
    if terms.template_id is not None and spec.content:
        raise Invalid("PARAM_INVALID", field="content", reason=phrase("scenario.template", id=terms.template_id))
    begins = terms.opens(spec.send_at or now)
    return replace(
        spec,
        type=fixed("type", spec.type, terms.type),
        sign=fixed("sign", spec.sign, terms.sign),
        template_id=fixed("template_id", spec.template_id, terms.template_id),
        extend_code=fixed("extend_code", spec.extend_code, terms.extend_code),
        windows=tuple(own.plain) or spec.windows,
        fallback=fixed("fallback", spec.fallback, None if terms.fallback is None else terms.fallback.plain()),
        expire_at=spec.expire_at if spec.recurring is not None else terms.ends(begins, spec.expire_at),
    )
