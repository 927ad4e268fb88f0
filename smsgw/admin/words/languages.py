"""The languages of the portal, each by its own name."""

from __future__ import annotations

LANGUAGES: dict[str, str] = {"zh": "中文", "en": "English"}
"""Code of a language → its own name; the first is the source's."""
