"""When what records say of people goes: first numbers and texts, then the rows themselves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

MESSAGES: Final = "messages"
INBOUND: Final = "inbound"
PDUS: Final = "pdus"
CLICKS: Final = "clicks"
CLASSES: Final = (MESSAGES, INBOUND, PDUS, CLICKS)
"""What has a first time: messages with the tasks and reviews that they came by, what phones have sent, PDUs, addresses
of those who opened short links."""
TABLE = {MESSAGES: "message", INBOUND: "mo", PDUS: "evidence", CLICKS: "link_click"}
LEAST = {MESSAGES: 30, INBOUND: 8, PDUS: 30, CLICKS: 2}
"""Days: until then reports, replies and complaints find what they are about by the number, and events that are still
offered say it."""
MOST_DAYS = 3650
FIVE_MONTHS = 150
"""Days that a sender of short messages has to be able to say whom it has sent what."""


@dataclass(frozen=True, slots=True)
class Ages:
    """After how many days numbers go, by class; 0: never."""

    messages_days: int = 0
    inbound_days: int = 0
    pdus_days: int = 0
    texts: bool = True
    """Whether the texts go with the numbers, and the pages that led to links with addresses."""
    clicks_days: int = 0

    def at_least(self, least: Mapping[str, int]) -> Ages:
        """None of them shorter than these."""
        days = {name: self.of(name) and max(self.of(name), least[name]) for name in CLASSES}
        return Ages(days[MESSAGES], days[INBOUND], days[PDUS], self.texts, days[CLICKS])

    def of(self, name: str) -> int:
        """That of a class."""
        return {
            MESSAGES: self.messages_days, INBOUND: self.inbound_days, PDUS: self.pdus_days, CLICKS: self.clicks_days,
        }[name]  # fmt: skip


NEVER = Ages()


def least(open_for: timedelta, events_days: int, submits_days: int) -> Mapping[str, int]:
    """The fewest days where messages may be open for so long, events are offered and recorded submits kept for so many
    days: what is still owed to somebody loses neither number nor text, and what was recorded has gone before it."""
    owed = math.ceil(open_for / timedelta(days=1)) + max(events_days, submits_days + 1) + 1
    return LEAST | {MESSAGES: max(LEAST[MESSAGES], owed), INBOUND: max(LEAST[INBOUND], events_days + 1)}
