"""Named places at which a test can stop, fail or kill this process. Nothing but tests arms them.

``SMSGW_FAILPOINT=place=action[@n][,…]`` in the environment, read once, when the program starts:

* ``kill`` – SIGKILL to this process, as a crash would;
* ``stop`` – SIGSTOP: everything stands still there until somebody says SIGCONT;
* ``fail`` – ``OSError`` (EIO), as a failing disk or a lost connection would. At ``FALLIBLE`` places only the code is
  made for it; elsewhere it is one more bug;

at the ``n``-th passing (default: the first), with ``n+`` at that and all later ones. Off, a place costs one empty call;
so places are where batches pass, never single messages.
"""

from __future__ import annotations

import errno
import os
import re
import signal
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog

log = structlog.get_logger(__name__)

VARIABLE: Final = "SMSGW_FAILPOINT"

WRITERS: Final[Mapping[str, str]] = {
    "accept": "calls",
    "nonces": "nonces of signed calls",
    "outcomes": "outcomes, reports, inbound messages",
    "push": "what became of pushes",
    "partner.parts": "parts of long messages that partners send one by one",
    "partner.events": "what partners have answered",
}
"""What each group commit (``store/engine/group_commit.py``) commits."""

PLACES: Final[Mapping[str, str]] = {
    **{f"{w}.commit": f"{what}: the transaction is complete, its COMMIT is not sent" for w, what in WRITERS.items()},
    **{f"{w}.committed": f"{what}: committed, whoever waits for it does not know" for w, what in WRITERS.items()},
    "spool.write": "calls are about to be written to the spool",
    "spool.sync": "calls are written to the spool and not synced",
    "spool.synced": "calls are synced, their callers have no answer yet",
    "replay.committed": "calls of the spool are in the database, the spool still has them",
    "claim.asked": "there is room and work, the statement that marks parts is not sent",
    "claim.committed": "parts are marked, the sender has not got them",
    "dispatch.recorded": "parts stand in the journal as written, nothing is written",
    "dispatch.written": "requests were handed to the transport",
    "answer.read": "answers have come, nothing of them is recorded",
    "answer.recorded": "answers stand in the journal, not in the database",
    "journal.segment": "a new segment of the journal is about to be made (every start makes one)",
    "lease.taken": "a channel's lease is ours, nothing of it is recovered",
    "recovery.read": "a start knows what was in flight, nothing of that is in the database",
    "recovery.committed": "what was in flight is settled, the journal still has it",
    "push.claimed": "events are taken for a webhook, nothing is sent",
    "push.sent": "a webhook has taken events, they are not marked",
    "feed.committed": "a piece of a task is in the database, the feeder does not know",
    "fallback.committed": "hops are in the database, that their messages are done with is not",
    "stop.drained": "a channel that stops has its answers, its lease is not given away",
}
"""Name of a place: what has and has not happened there."""

FALLIBLE: Final = frozenset(
    {f"{w}.{when}" for w in WRITERS for when in ("commit", "committed")}
    | {"spool.write", "spool.sync", "claim.asked", "claim.committed", "dispatch.recorded"}
    | {"journal.segment", "lease.taken", "recovery.read", "recovery.committed"}
)
"""Where something outside the process can fail: the database, the disk."""

_ARMED = re.compile(r"(?P<place>[a-z._]+)=(?P<action>kill|stop|fail)(@(?P<n>[1-9][0-9]*)(?P<on>\+)?)?")


@dataclass(frozen=True, slots=True)
class _Armed:
    action: str
    n: int
    on: bool


def parse(text: str) -> dict[str, _Armed]:
    """What a value of the variable says. ``ValueError`` names what is no such thing: a typing error must not make a
    test that tests nothing."""
    armed = {}
    for entry in filter(None, text.split(",")):
        match = _ARMED.fullmatch(entry.strip())
        if match is None or match["place"] not in PLACES:
            raise ValueError(
                f"{VARIABLE}: {entry!r} is no place=kill|stop|fail[@n[+]]; see smsgw/runtime/failpoints.py"
            )
        armed[match["place"]] = _Armed(match["action"], int(match["n"] or 1), bool(match["on"]))
    return armed


_armed: dict[str, _Armed] = {}
_passed: Counter[str] = Counter()


def arm(text: str) -> None:
    """Take this value in place of what was armed before; passings count from here."""
    _armed.clear()
    _passed.clear()
    _armed.update(parse(text))


def armed() -> tuple[str, ...]:
    """The places that are armed, for the log of a start."""
    return tuple(_armed)


def reach(place: str) -> None:
    """This place is passed. Off, that is all."""
    if _armed:
        _reached(place)


def _reached(place: str) -> None:
    if place not in PLACES:
        raise LookupError(place)
    what = _armed.get(place)
    if what is None:
        return
    _passed[place] += 1
    if not (_passed[place] == what.n or (what.on and _passed[place] > what.n)):
        return
    log.warning("failpoint.reached", place=place, action=what.action)
    if what.action == "fail":
        raise OSError(errno.EIO, f"failpoint {place}")
    os.kill(os.getpid(), signal.SIGKILL if what.action == "kill" else signal.SIGSTOP)


arm(os.environ.get(VARIABLE, ""))
