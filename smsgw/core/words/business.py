"""What the services of the platform say: reasons of refusals, labels of files and records."""

from __future__ import annotations

WORDS: dict[str, tuple[str, str]] = {}
"""Key -> (Chinese, English)."""
