"""A task of a kind of the operator's waits for the hours of the kind, and is reviewed and counted as one of it."""

from __future__ import annotations

from changes import by_test
from taskdesk import Desk

from smsgw.core.kinds import CustomKind
from smsgw.core.model import MessageType
from smsgw.platform.kinds import service as kinds
from smsgw.platform.policies import service as policies


async def _bill(d: Desk) -> CustomKind:
    await kinds.add(by_test(d.database), "bill", "账单", MessageType.NOTICE)
    await d.snapshots.follow()
    return d.snapshots.current.kinds["bill"]


async def _put(d: Desk, name: str, value: str, type_: str) -> None:
    await policies.put(by_test(d.database), name, value, type_=type_)
    await d.snapshots.follow()


async def test_it_waits_for_the_hours_of_its_kind_and_goes_on_when_that_is_retired(d: Desk) -> None:
    kind = await _bill(d)
    d.at("09:00")
    await _put(d, "hours", "10:00-11:00", "bill")
    task_id = await d.make(5, type=MessageType.NOTICE, kind=kind)
    plain = await d.make(3, type=MessageType.NOTICE)
    await d.feed()
    assert (await d.view(plain)).progress.statuses == {"queued": 3}
    assert (await d.view(task_id)).progress.statuses == {}
    await kinds.retire(by_test(d.database), "bill")
    await d.snapshots.follow()
    d.at("10:00")
    await d.feed()
    assert (await d.view(task_id)).progress.statuses == {"queued": 5}
    counted = await d.database.fetch("SELECT kind, count(*)::int AS n FROM message GROUP BY 1 ORDER BY 1")
    assert [tuple(row) for row in counted] == [("", 3), ("bill", 5)]


async def test_it_goes_on_as_soon_as_its_hours_are_changed_so_that_it_may(d: Desk) -> None:
    kind = await _bill(d)
    d.at("09:00")
    await _put(d, "hours", "10:00-11:00", "bill")
    task_id = await d.make(5, type=MessageType.NOTICE, kind=kind)
    await d.feed()
    assert (await d.view(task_id)).task.reason == "TIME_WINDOW_CLOSED"
    await _put(d, "hours", "09:30-11:00", "bill")
    await d.feed()
    assert (await d.view(task_id)).progress.statuses == {}
    await _put(d, "hours", "08:00-11:00", "bill")
    await d.feed()
    assert (await d.view(task_id)).progress.statuses == {"queued": 5}


async def test_it_is_reviewed_by_the_rule_of_its_kind(d: Desk) -> None:
    kind = await _bill(d)
    await _put(d, "review", "all", "bill")
    await _put(d, "review_over", "4", "bill")
    assert (await d.view(await d.make(5, type=MessageType.NOTICE, kind=kind))).task.state == "review"
    assert (await d.view(await d.make(5, type=MessageType.NOTICE))).task.state != "review"
