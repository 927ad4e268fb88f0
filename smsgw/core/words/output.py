"""What the command line prints."""

from __future__ import annotations

WORDS: dict[str, tuple[str, str]] = {}
"""Key -> (Chinese, English)."""
