"""Who is at the command line, by the kernel's word: the environment and what a program says of itself prove nothing."""

from __future__ import annotations

import pwd
from pathlib import Path

from aiohttp import web

from smsgw.core.actor import Actor

ACTOR: web.RequestKey[Actor] = web.RequestKey("smsgw.actor", Actor)
"""Of a request on the control socket: who asks. What the request says of it is not looked at."""
PROC = Path("/proc")
_UNSET = 2**32 - 1
"""Login user of what nobody has logged in for: services, timers."""


def actor(process: int, user: int) -> Actor:
    """The operator: who logged in before ``process`` came to be (so before any ``sudo``), else the
    ``user`` that it runs as. The user's number where it has no name. May ask the system's directory: not for the loop.
    """
    uid = _login(process, user)
    try:
        return Actor.operator(pwd.getpwuid(uid).pw_name)
    except KeyError:
        return Actor.operator(str(uid))


def _login(process: int, user: int) -> int:
    try:
        uid = int((PROC / str(process) / "loginuid").read_text("ascii"))
    except (OSError, ValueError):  # gone, hidden, or a kernel without audit
        return user
    return user if uid == _UNSET else uid
