"""What the API says in its answers: reasons of refusals."""

from __future__ import annotations

WORDS: dict[str, tuple[str, str]] = {}
"""Key -> (Chinese, English)."""
