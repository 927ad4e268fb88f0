"""What a call has sent, without what people are told and whom: enough to see what is wrong with it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from smsgw.core import numbers

MOST_BODY = 64 * 1024
"""Octets of a body that is looked into; of a larger one its size is kept."""
MOST_KEPT = 2000
"""Characters that are kept."""
MOST_ITEMS, MOST_NAMES, MOST_DEPTH = 3, 40, 6
PLAIN = frozenset(
    {
        "type", "mode", "coding", "scheduled_at", "send_at", "at", "from_time", "to_time", "template_id", "task_id",
        "message_id", "batch_id", "priority", "dedup", "limit", "cursor", "state", "status",
        "events", "event_ids", "message_ids", "way", "format", "scope", "test", "unknown_policy", "expires_in",
    }
)  # fmt: skip
"""Names whose values say how it was called, not what or to whom."""
THEIRS = frozenset({"params", "variables", "fields"})
"""Below these the caller has chosen the names: they say nothing of what the values are."""


def masked(octets: bytes, size: int) -> str:
    """A body; ``size`` is how long it was, whether or not it could be read."""
    if not octets or size > MOST_BODY:
        return f"<{size} octets>" if size else ""
    try:
        value = msgspec.json.decode(octets)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return f"<{size} octets, no JSON>"
    return shown(value)


def shown(value: Any) -> str:
    """What was read of it."""
    text = json.dumps(_value("", value, 0, theirs=False), ensure_ascii=False)
    return text if len(text) <= MOST_KEPT else f"{text[:MOST_KEPT]}…"


def as_sent(value: Any) -> Any:
    """A body that was read, without what its caller has left out."""
    if isinstance(value, msgspec.Struct):
        of = {f.encode_name: (getattr(value, f.name), f.default) for f in msgspec.structs.fields(value)}
        return {name: as_sent(one) for name, (one, default) in of.items() if one != default}
    if isinstance(value, list | tuple):
        return [as_sent(one) for one in value]
    return msgspec.to_builtins(value)


def _value(name: str, value: Any, depth: int, *, theirs: bool) -> Any:
    plain = name in PLAIN and not theirs
    if isinstance(value, str):
        return _text(value, plain=plain)
    if depth >= MOST_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        items = list(value.items())
        theirs = theirs or name in THEIRS
        made = {_name(key): _value(str(key), one, depth + 1, theirs=theirs) for key, one in items[:MOST_NAMES]}
        return made | ({"…": len(items)} if len(items) > MOST_NAMES else {})
    if isinstance(value, list | tuple):
        some = [_value(name, one, depth + 1, theirs=theirs) for one in value[:MOST_ITEMS]]
        return [*some, f"… {len(value)}"] if len(value) > MOST_ITEMS else some
    if isinstance(value, bool | None):
        return value
    text = str(value)
    # A number may be a phone's, or a code that somebody waits for.
    return value if plain and numbers.masked(text) == text else f"<{len(text)} digits>"


def _name(key: Any) -> str:
    text = str(key)
    return text if text.isidentifier() and text.isascii() and len(text) <= 40 else f"<{len(text)}>"


def _text(value: str, *, plain: bool) -> str:
    if plain and len(value) <= 64:
        return numbers.masked(value)
    digits = value.lstrip("+")
    if digits.isdecimal() and digits.isascii() and 11 <= len(digits) <= 20:
        return numbers.mask(digits)
    return f"<{len(value)}>" if value else ""
