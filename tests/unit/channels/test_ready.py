from __future__ import annotations

from smsgw.channels.ready import HEAD_START, Ready
from smsgw.core.model import Claimed, Lane


def part(id_: int, lane: Lane, *, number: int = 1, account: int = 1) -> Claimed:
    return Claimed(id_, number, 2, 1, "8613800138000", "x", "gsm7", "", lane, None, 5, 1, account)


def ids(ready: Ready, n: int = 1000) -> list[int]:
    return [claimed.id for claimed in ready.take(n)]


def test_lanes_go_in_order_and_parts_stay_together() -> None:
    ready = Ready()
    ready.add([part(1, Lane.MARKETING), part(2, Lane.NOTICE)])
    ready.add([part(3, Lane.OTP), part(4, Lane.EMERGENCY), part(5, Lane.NOTICE)])
    assert (len(ready), ready.urgent, ids(ready)) == (5, 1, [4, 3, 2, 5, 1])
    ready = Ready()
    ready.add([part(7, Lane.OTP, number=1), part(7, Lane.OTP, number=2), part(8, Lane.OTP)])
    ready.add([part(9, Lane.OTP)])
    assert [(c.id, c.part) for c in ready.take(9)] == [(7, 1), (7, 2), (8, 1), (9, 1)]
    ready = Ready()
    ready.add([part(1, Lane.OTP), part(2, Lane.OTP, account=2), part(3, Lane.EMERGENCY)])
    taken = ready.take(2)
    ready.put_back(taken)
    assert [c.id for c in ready] == [3, 1, 2]
    assert [c.id for c in ready.remove({2})] == [2]
    assert not ready.remove({2})
    assert [c.id for c in ready.clear()] == [3, 1]
    assert not ready


def test_codes_overtake_marketing_only_for_so_long() -> None:
    ready = Ready()
    ready.add([part(1, Lane.MARKETING)])
    overtaken = 0
    while True:
        ready.add([part(100, Lane.OTP)])
        if ids(ready, 1) == [1]:
            break
        overtaken += 1
    assert overtaken <= HEAD_START * (Lane.MARKETING - Lane.OTP)
