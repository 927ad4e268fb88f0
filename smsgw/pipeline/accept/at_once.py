"""Accepted messages that never wait in a queue: channels of this node that have nothing to do take them as they are
entered, in the transaction that accepts them (docs/adr/101)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

import structlog

from smsgw.core.model import Claimed
from smsgw.core.states import PartState
from smsgw.pipeline.fleet import Fleet, Queue, Running
from smsgw.store.engine.group_commit import Ended
from smsgw.store.messages.calls import Fence, MessageRow, NewCall, PartRow

log = structlog.get_logger(__name__)


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
    rows = {row.id: row for row in call.messages}
    for id_, parts in groupby(call.parts, key=attrgetter("id")):
        row = rows[id_]
        message = [_claimed(row, part) for part in parts if part.state == PartState.QUEUED]
        if message:
            yield message


def _claimed(row: MessageRow, part: PartRow) -> Claimed:
    return Claimed(
        id=row.id, part=part.part, total=part.total, attempt=1, number=row.number, content=row.content,
        coding=row.coding, extend_code=row.extend_code, lane=part.lane, valid_until=part.expires_at, ref=row.concat_ref,
        pool_id=part.pool_id, account_id=part.account_id,
    )  # fmt: skip
