"""Accepted messages that never wait in a queue: channels of this node that have nothing to do take them as they are
entered, in the transaction that accepts them (docs/adr/101)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import structlog

from smsgw.core.model import Claimed
from smsgw.core.states import PartState
from smsgw.pipeline.fleet import Fleet, Queue, Running
from smsgw.store.engine.group_commit import Ended
from smsgw.store.messages.calls import MESSAGE_COLUMNS, PART_COLUMNS, Fence, NewCall

log = structlog.get_logger(__name__)

_ID, _NUMBER, _CONTENT, _CODING, _EXTEND_CODE, _REF = (
    MESSAGE_COLUMNS.index(name) for name in ("id", "number", "content", "coding", "extend_code", "concat_ref")
)
_PART, _TOTAL, _ACCOUNT, _POOL, _LANE, _STATE, _EXPIRES = (
    PART_COLUMNS.index(name) for name in ("part", "total", "account_id", "pool_id", "lane", "state", "expires_at")
)


@dataclass(slots=True)
class _Taken:
    """What one channel is to take."""

    parts: list[Claimed]
    entered: Collection[int] = ()
    """Messages of it that are entered as claimed."""


class AtOnce:
    """Of one writer of calls. What channels keep room for is theirs until the attempt has ended, however it did."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._takers: dict[Running, _Taken] = {}
        """Of the attempt that is under way."""

    def open(self, calls: Sequence[NewCall]) -> Mapping[int, Fence]:
        """``Entrances``: what goes to which channel. What comes behind one that has to wait waits, too."""
        fences: dict[int, Fence] = {}
        waiting: set[Queue] = set()
        if any(call.gate or call.joins or call.emergency_by for call in calls):
            return fences  # what else such calls change may be waited for; nobody's lease is held meanwhile
        for call in calls:
            if not call.messages:
                continue
            may = not (call.spooled or call.test or call.review)
            for message in messages_of(call):
                first = message[0]
                queue = first.pool_id, first.lane
                channel = None
                if may and queue not in waiting:
                    channel = self._fleet.taker(queue, first.account_id, len(message))
                if channel is None:
                    waiting.add(queue)
                    continue
                fences[first.id] = channel.reserve(message)
                self._takers.setdefault(channel, _Taken([])).parts += message
        return fences

    def taken(self, ids: Collection[int]) -> None:
        """``Entrances``: these are entered as claimed."""
        for taken in self._takers.values():
            taken.entered = ids

    def ended(self, how: Ended) -> None:
        """The attempt is over: who has reserved room is told what it has got."""
        takers, self._takers = self._takers, {}
        for channel, taken in takers.items():
            try:
                if how is Ended.COMMITTED:
                    channel.entered(taken.parts, [part for part in taken.parts if part.id in taken.entered])
                elif how is Ended.NOT:
                    channel.entered(taken.parts, [])
                else:
                    channel.in_doubt(taken.parts)
            except Exception:  # the channel has them, or looks for them; callers are answered all the same
                log.exception("accept.hand_over_failed")


def messages_of(call: NewCall) -> Iterator[list[Claimed]]:
    """The messages of a call that are QUEUED, as a channel would claim them; part by part."""
    rows = {row[_ID]: row for row in call.messages}
    for id_, parts in groupby(call.parts, key=itemgetter(0)):
        row = rows[id_]
        message = [_claimed(row, part) for part in parts if part[_STATE] == PartState.QUEUED]
        if message:
            yield message


def _claimed(row: Sequence[object], part: Sequence[object]) -> Claimed:
    values: dict[str, object] = {
        "id": row[_ID], "part": part[_PART], "total": part[_TOTAL], "attempt": 1, "number": row[_NUMBER],
        "content": row[_CONTENT], "coding": row[_CODING], "extend_code": row[_EXTEND_CODE], "lane": part[_LANE],
        "valid_until": part[_EXPIRES], "ref": row[_REF], "pool_id": part[_POOL], "account_id": part[_ACCOUNT],
    }  # fmt: skip
    return Claimed(**values)  # type: ignore[arg-type]
