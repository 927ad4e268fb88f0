"""Which channel takes what as it is accepted, and how it is told what has come of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from snapshots import FixedSnapshots
from standins import NoComplaints

from smsgw.channels.pool_shares import BACKLOG, PoolShares
from smsgw.core.model import Claimed
from smsgw.pipeline.accept.at_once import AtOnce
from smsgw.pipeline.fleet import Fleet, Membership, Queue
from smsgw.store.engine.group_commit import Ended
from smsgw.store.messages.calls import MESSAGE_COLUMNS, PART_COLUMNS, Fence, NewCall

POOL, LANE = 1, 2


class Taker:
    """A channel with room for so many parts."""

    def __init__(self, id_: int, room: int, weight: float = 1.0) -> None:
        self.id = id_
        self.room = room
        self.weight = weight
        self.reserved: list[Claimed] = []
        self.claimed: list[Claimed] = []
        self.doubted: list[Claimed] = []
        self.told = 0

    def available(self) -> bool:
        return True

    def announce(self, queues: set[Queue]) -> None: ...

    def comes_back(self, pools: set[int]) -> None: ...

    def offer(self, queue: Queue, account_id: int, parts: int) -> float | None:
        return len(self.reserved) / self.weight if len(self.reserved) + parts <= self.room else None

    def reserve(self, message: Sequence[Claimed]) -> Fence:
        self.reserved += message
        return Fence(f"channel/{self.id}", 1, 5, self.id)

    def entered(self, reserved: Sequence[Claimed], claimed: Sequence[Claimed]) -> None:
        self.told += 1
        assert list(reserved) == self.reserved
        self.claimed += claimed

    def in_doubt(self, reserved: Sequence[Claimed]) -> None:
        self.told += 1
        self.doubted += reserved


def call(*ids: int, parts: int = 1, state: int = 10, lane: int = LANE, **about: Any) -> NewCall:
    message = dict.fromkeys(MESSAGE_COLUMNS, "") | {"parts": parts, "content": "x", "number": "86138", "concat_ref": 9}
    part = dict.fromkeys(PART_COLUMNS) | {
        "total": parts, "account_id": 7, "pool_id": POOL, "lane": lane, "state": state,
    }  # fmt: skip
    rows = [tuple((message | {"id": id_}).values()) for id_ in ids]
    of_parts = [tuple((part | {"id": id_, "part": n}).values()) for id_ in ids for n in range(1, parts + 1)]
    return NewCall(7, ids[0], rows, of_parts, 0, (), b"", **about)


def at(*takers: Taker) -> AtOnce:
    fleet = Fleet(FixedSnapshots(), NoComplaints())
    for taker in takers:
        fleet.begun(taker.id, taker)
    return AtOnce(fleet)


def test_who_takes_a_message_and_what_waits() -> None:
    heavy, light = Taker(1, 100, 3.0), Taker(2, 100, 1.0)
    fences = at(heavy, light).open([call(n) for n in range(1, 41)])
    assert Counter(fence.channel_id for fence in fences.values()) == {1: 30, 2: 10}
    one, two = Taker(1, 3), Taker(2, 2)
    fences = at(one, two).open([call(11, 12, parts=2)])
    assert {id_: fence.channel_id for id_, fence in fences.items()} == {11: 1, 12: 2}
    assert [(part.id, part.part, part.total) for part in one.reserved] == [(11, 1, 2), (11, 2, 2)]
    # A short one would find room where the long one before it has none; another queue has nothing to do with that.
    one = Taker(1, 2)
    fences = at(one).open([call(11, parts=3), call(12), call(13, lane=1), call(14)])
    assert set(fences) == {13}


@pytest.mark.parametrize("about", [
    {"spooled": True}, {"test": True}, {"joins": (1,)}, {"gate": object()}, {"review": object()},
    {"emergency_by": "staff:a"},
])  # fmt: skip
def test_only_what_is_plain_is_taken(about: dict[str, Any]) -> None:
    one = Taker(1, 9)
    assert (at(one).open([call(11, **about)]), at(one).open([call(11, state=2)])) == ({}, {})
    assert at(one).open([call(11)])


def test_a_channel_is_told_once_what_it_has() -> None:
    one, two = Taker(1, 2), Taker(2, 2)
    door = at(one, two)
    door.open([call(11, 12, 13)])
    door.taken({11, 12})
    door.ended(Ended.COMMITTED)
    door.ended(Ended.COMMITTED)
    assert [part.key for part in (*one.claimed, *two.claimed)] == [(11, 1, 1), (12, 1, 1)]
    assert (one.told, two.told) == (1, 1)


@pytest.mark.parametrize("how", [Ended.NOT, Ended.IN_DOUBT])
def test_what_is_not_known_to_be_committed_is_in_no_hand(how: Ended) -> None:
    one = Taker(1, 2)
    door = at(one)
    door.open([call(11)])
    door.taken({11})
    door.ended(how)
    assert (one.claimed, len(one.doubted), one.told) == ([], how is Ended.IN_DOUBT, 1)


def test_a_channel_that_fails_does_not_keep_others_from_being_told() -> None:
    class Broken(Taker):
        def entered(self, reserved: Sequence[Claimed], claimed: Sequence[Claimed]) -> None:
            raise OSError

    bad, good = Broken(1, 9), Taker(2, 9)
    door = at(bad, good)
    door.open([call(11, 12)])
    door.taken({11, 12})
    door.ended(Ended.COMMITTED)
    assert [part.id for part in good.claimed] == [12]


def test_shares_tell_who_is_next_and_whether_there_is_a_backlog() -> None:
    shares = PoolShares(lambda: 0.0)
    holder: Any = Taker(1, 9)
    shares.join(1, holder, {POOL: Membership(3)})
    shares.join(2, holder, {POOL: Membership(1)})
    shares.pulled(1, POOL, 3)
    shares.pulled(2, POOL, 2)
    assert (shares.had(1, POOL, 0), shares.had(2, POOL, 0)) == (1.0, 2.0)
    assert shares.had(1, POOL, 6) == 3.0
    shares.waits({POOL: BACKLOG})
    assert not shares.backlog(POOL)
    shares.waits({POOL: BACKLOG + 0.1})
    assert shares.backlog(POOL)
    assert not shares.backlog(99)
