"""What is known of a number, as people see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class KnownNumber:
    """``number`` in E.164 digits; ``state`` and ``source`` as in ``core.number_state``; ``at``: when it was so."""

    number: str
    state: str
    source: str
    code: str
    at: datetime
