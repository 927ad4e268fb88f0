"""API keys as those see them who hand them out."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class NewKey:
    """What is shown once when a key is made."""

    key_id: str
    secret: str = field(repr=False)
    bearer: str = field(repr=False)
