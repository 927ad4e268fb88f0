"""Short messages about what has just been done: at the next page by a sealed cookie, in a piece of a page by a header.

A page that answers at once shows them itself; a redirect carries them in the cookie; an answer to htmx says them in
``HX-Trigger``, and ``js/toast.js`` shows them in a live region.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from smsgw.platform.handles import KeyFileError, Sealer

COOKIE = "smsgw-toast"
MAX = 5
"""Toasts that are carried; the last ones count."""
MAX_TEXT = 160
"""Characters of one."""
MAX_COOKIE = 3500
_CONTEXT = "toasts"


class ToastKind(StrEnum):
    """How it looks, and how urgently it is read out."""

    GOOD = "good"
    INFO = "info"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Toast:
    """One message, in the reader's language."""

    text: str
    kind: ToastKind = ToastKind.GOOD


def to_cookie(toasts: Sequence[Toast], sealer: Sealer) -> str:
    """Sealed, so that nobody else can put words into our mouth."""
    told = [[toast.kind, toast.text[:MAX_TEXT]] for toast in toasts[-MAX:]]
    sealed = sealer.seal(json.dumps(told, ensure_ascii=False), _CONTEXT)
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def from_cookie(cookie: str, sealer: Sealer) -> tuple[Toast, ...]:
    """What a cookie holds; nothing when it is not ours."""
    if not cookie or len(cookie) > MAX_COOKIE or not cookie.isascii():
        return ()
    try:
        octets = base64.urlsafe_b64decode(cookie + "=" * (-len(cookie) % 4))
        told = json.loads(sealer.open(octets, _CONTEXT))
    except (KeyFileError, binascii.Error, ValueError):
        return ()
    return tuple(Toast(text, ToastKind(kind)) for kind, text in told)


def to_header(toasts: Iterable[Toast]) -> str:
    """For ``HX-Trigger``: plain ASCII."""
    return json.dumps({"toast": {"toasts": [asdict(toast) for toast in toasts]}})
