"""Failures that do not count against a channel (剔除): what they are called, and what is proposed."""

from __future__ import annotations

from collections.abc import Mapping

CATEGORIES = ("blacklist", "blocker", "network", "handset", "customer", "words", "other")
"""As the tender names them; block lists, blocking software, the carrier's network, the user's side, numbers that the
customer has blocked, words, and others."""
CLASSES = (
    "EMPTY_NUMBER", "POWERED_OFF", "SUSPENDED", "BLACKLIST_CARRIER", "CONTENT_BLOCKED", "FREQ_CARRIER",
    "SIGN_UNREGISTERED", "HANDSET", "NETWORK", "TIMEOUT", "CHANNEL", "UNKNOWN",
)  # fmt: skip
"""Of failures that a carrier reports."""
PROPOSED: Mapping[str, str] = {
    "EMPTY_NUMBER": "handset", "POWERED_OFF": "handset", "SUSPENDED": "handset", "HANDSET": "handset",
    "BLACKLIST_CARRIER": "blacklist", "CONTENT_BLOCKED": "words", "NETWORK": "network",
}  # fmt: skip
"""Class -> category, where nobody has said anything yet."""
MOST_CODES = 200
