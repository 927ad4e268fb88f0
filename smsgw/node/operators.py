"""Who is at the command line, by the kernel's word: the environment and what a program says of itself prove nothing."""

from __future__ import annotations

import pwd
from pathlib import Path

from aiohttp import web

ACTOR: web.RequestKey[str] = web.RequestKey("smsgw.actor", str)
"""Of a request on the control socket: who asks, for the audit log. What the request says of it is not looked at."""
PROC = Path("/proc")
_UNSET = 2**32 - 1
"""Login user of what nobody has logged in for: services, timers."""


def actor(process: int, user: int) -> str:
    """``cli:NAME`` for the audit log: who logged in before ``process`` came to be (so before any ``sudo``), else the
    ``user`` that it runs as. The user's number where it has no name. May ask the system's directory: not for the loop.
    """
    uid = _login(process, user)
    try:
        return f"cli:{pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"cli:{uid}"


def _login(process: int, user: int) -> int:
    try:
        uid = int((PROC / str(process) / "loginuid").read_text("ascii"))
    except (OSError, ValueError):  # gone, hidden, or a kernel without audit
        return user
    return user if uid == _UNSET else uid
