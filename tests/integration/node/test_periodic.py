"""Periodic work: rounds, failures, limits, and the leases of what is exclusive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from smsgw.core.errors import Refused, SmsgwError, Temporary
from smsgw.pipeline import periodic
from smsgw.pipeline.periodic import CutOff, Periodic, Supervisor
from smsgw.runtime import aio, sparing
from smsgw.store.engine import leases
from smsgw.store.engine.database import Database

NO_DATABASE = Database("")


async def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)


class Count:
    """A step that counts its rounds."""

    def __init__(self, error: Exception | None = None, rounds: int = 0) -> None:
        self.rounds = 0
        self.error = error
        self.more = rounds

    async def __call__(self) -> bool:
        self.rounds += 1
        if self.error is not None:
            raise self.error
        return self.rounds < self.more


async def test_a_failing_step_neither_ends_nor_stops_others_nor_fills_the_log() -> None:
    supervisor = Supervisor(NO_DATABASE, 1)
    wrong, away, right = Count(ValueError("x")), Count(Temporary("STORAGE_UNAVAILABLE")), Count()
    with capture_logs() as lines:
        group = supervisor.run(
            [Periodic("wrong", 0.01, wrong), Periodic("away", 0.01, away), Periodic("right", 0.01, right)]
        )
        await until(lambda: min(wrong.rounds, away.rounds, right.rounds) > 5)
        await group.stop()
    told = [(line["event"], line["job"]) for line in lines]
    assert sorted(told) == [("job.failed", "wrong"), ("job.put_off", "away")]


async def test_figures_say_how_it_is_doing() -> None:
    supervisor = Supervisor(NO_DATABASE, 1)
    step = Count()
    group = supervisor.run([Periodic("one", 3600, step)])
    await until(lambda: step.rounds == 1)
    step.error = ValueError("x")
    with pytest.raises(ValueError, match="x"):
        await supervisor.run_now("one")
    (figures,) = supervisor.figures
    assert (figures.runs, figures.failures, figures.failing) == (2, 1, True)
    assert figures.last_at is not None
    step.error = None
    await supervisor.run_now("one")
    assert not supervisor.figures[0].failing
    await group.stop()
    assert supervisor.figures == []
    with pytest.raises(Refused):
        await supervisor.run_now("one")


async def test_names_are_unique() -> None:
    supervisor = Supervisor(NO_DATABASE, 1)
    group = supervisor.run([Periodic("one", 3600, Count())])
    with pytest.raises(ValueError, match="one"):
        supervisor.run([Periodic("one", 3600, Count())])
    await group.stop()


async def test_a_step_with_more_to_do_rests_in_proportion_to_what_it_took() -> None:
    supervisor = Supervisor(NO_DATABASE, 1)
    loop = asyncio.get_running_loop()
    begun: list[float] = []
    ended: list[float] = []

    async def step() -> bool:
        begun.append(loop.time())
        await asyncio.sleep(0.05)
        ended.append(loop.time())
        return len(begun) < 3

    group = supervisor.run([Periodic("one", 3600, step, rest=3.0)])
    await until(lambda: len(ended) == 3)
    await group.stop()
    rests = [after - before for before, after in zip(ended, begun[1:], strict=False)]
    assert min(rests) > 0.14, rests


async def test_steps_lie_as_far_apart_as_they_take_long_where_that_is_asked_for() -> None:
    """Also where nothing more is to be done; a short one comes as often as any."""
    supervisor = Supervisor(NO_DATABASE, 1)
    begun: dict[str, list[float]] = {"long": [], "short": []}
    ended: dict[str, list[float]] = {"long": [], "short": []}
    clock = asyncio.get_running_loop().time

    async def step(name: str, seconds: float) -> None:
        begun[name].append(clock())
        await asyncio.sleep(seconds)
        ended[name].append(clock())

    wanted = {"long": 0.05, "short": 0.0}
    group = supervisor.run(Periodic(name, 0.01, partial(step, name, s), apart=4.0) for name, s in wanted.items())
    await until(lambda: len(begun["long"]) == 4)
    await group.stop()
    assert min(after - before for before, after in zip(ended["long"], begun["long"][1:], strict=False)) > 0.19
    assert len(begun["short"]) > 2 * len(begun["long"])


async def test_a_rest_has_an_end_however_long_the_step_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that has waited for a lock must not make the next one wait as long."""
    monkeypatch.setattr(periodic, "REST_AT_MOST", 0.05)
    supervisor = Supervisor(NO_DATABASE, 1)
    step, told = Count(rounds=3), Count(rounds=3)

    async def slow() -> bool:
        await asyncio.sleep(0.01)
        return await step()

    group = supervisor.run(
        [Periodic("share", 3600, slow, rest=1e6), Periodic("seconds", 3600, told, rest=lambda: 3600.0)]
    )
    await until(lambda: (step.rounds, told.rounds) == (3, 3))
    await group.stop()


async def test_more_to_do_is_done_at_once_and_an_event_wakes() -> None:
    supervisor = Supervisor(NO_DATABASE, 1)
    step, wake = Count(rounds=5), asyncio.Event()
    group = supervisor.run([Periodic("one", 3600, step, wake=wake)])
    await until(lambda: step.rounds == 5)
    wake.set()
    await until(lambda: step.rounds == 6)
    await group.stop()


async def test_what_wakes_during_a_step_is_not_lost() -> None:
    supervisor = Supervisor(NO_DATABASE, 1)
    wake, begun, go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()
    rounds = 0

    async def step() -> None:
        nonlocal rounds
        rounds += 1
        begun.set()
        await go_on.wait()

    group = supervisor.run([Periodic("one", 3600, step, wake=wake)])
    await begun.wait()
    wake.set()
    go_on.set()
    await until(lambda: rounds == 2)
    await group.stop()


async def test_a_step_has_an_end() -> None:
    supervisor = Supervisor(NO_DATABASE, 1)

    async def hang() -> None:
        await asyncio.sleep(3600)

    async def own_limit() -> None:
        raise TimeoutError

    with capture_logs() as lines:
        group = supervisor.run([Periodic("hangs", 0.01, hang, patience=0.05)])
        await until(lambda: supervisor.figures[0].runs > 2)
        with pytest.raises(CutOff):
            await supervisor.run_now("hangs")
        await group.stop()
        group = supervisor.run([Periodic("limit", 3600, own_limit)])
        await until(lambda: supervisor.figures[0].runs == 1)
        await group.stop()
    assert [line["event"] for line in lines] == ["job.cut_off", "job.failed"]


async def test_what_is_being_cut_off_is_not_cut_off_again() -> None:
    """It may take a while over its end; whoever looks meanwhile has nothing to add."""
    begun = asyncio.Event()

    async def step() -> None:
        begun.set()
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.3)

    supervisor = Supervisor(NO_DATABASE, 1)
    with capture_logs() as lines:
        group = supervisor.run([Periodic("one", 3600, step)])
        await begun.wait()
        (runner,) = supervisor._runners.values()
        runner.interrupt()
        await asyncio.sleep(0.1)
        runner.interrupt()
        await until(lambda: bool(lines))
        await group.stop()
    assert [line["event"] for line in lines] == ["job.cut_off"]


async def test_a_step_never_runs_beside_itself() -> None:
    supervisor = Supervisor(NO_DATABASE, 1)
    running = most = 0

    async def step() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1

    group = supervisor.run([Periodic("one", 0.0, step)])
    await asyncio.gather(*(supervisor.run_now("one") for _ in range(5)))
    await group.stop()
    assert most == 1


@pytest_asyncio.fixture
async def database(dsn: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    for name, value in (("TTL", 4.0), ("MARGIN", 1.0), ("RENEW_EVERY", 0.2)):
        monkeypatch.setattr(leases, name, value)
    monkeypatch.setattr(periodic, "LAPSE_EVERY", 0.05)
    made = Database(dsn, size=4)
    await made.open()
    yield made
    await made.close()


async def test_exclusive_work_is_done_by_one_node_and_taken_over(database: Database) -> None:
    steps, begun = (Count(), Count()), []
    nodes = [Supervisor(database, 1), Supervisor(database, 2)]
    groups = []
    for n, supervisor in enumerate(nodes):
        one = Periodic("one", 0.02, steps[n], exclusive="job/one", taken=lambda n=n: begun.append(n))  # type: ignore[misc]
        groups.append(supervisor.run([one]))
        await until(lambda: steps[0].rounds > 0)
    assert begun == [0]
    await until(lambda: steps[0].rounds > 10)
    assert steps[1].rounds == 0
    assert nodes[1].figures[0].elsewhere
    with pytest.raises(Refused):
        await nodes[1].run_now("one")
    await groups[0].stop()  # the lease is given back
    done = steps[0].rounds
    await until(lambda: steps[1].rounds > 3)
    assert (begun, steps[0].rounds) == ([0, 1], done)
    await groups[1].stop()
    assert await database.fetchval("SELECT count(*) FROM lease WHERE expires_at > clock_timestamp()") == 0


async def test_who_cannot_prolong_its_lease_is_cut_off_before_another_has_it(database: Database) -> None:
    """A node that has lost its database must not go on with what it was doing when the next one begins."""
    cut: list[float] = []
    loop = asyncio.get_running_loop()

    async def long() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            cut.append(loop.time())

    lost = Database(database.dsn, size=2)
    await lost.open()
    first, second = Supervisor(lost, 1), Supervisor(database, 2)
    mine = first.run([Periodic("one", 0.02, long, exclusive="job/one")])
    await until(lambda: first.holds("job/one"))
    taken: list[float] = []
    theirs = second.run(
        [Periodic("one", 0.02, Count(), exclusive="job/one", taken=lambda: taken.append(loop.time()))]
    )
    await lost.close()
    await until(lambda: bool(taken))
    assert len(cut) == 1
    assert cut[0] < taken[0]
    await aio.cancel(*mine._tasks)
    await first.forget(mine._runners)
    await theirs.stop()


async def test_a_lease_that_another_has_taken_is_noticed(database: Database) -> None:
    step = Count()
    supervisor = Supervisor(database, 1)
    group = supervisor.run([Periodic("one", 0.02, step, exclusive="job/one")])
    await until(lambda: step.rounds > 1)
    await database.execute("UPDATE lease SET node = 2, epoch = 999 WHERE resource = 'job/one'")
    await until(lambda: not supervisor.holds("job/one"))
    with pytest.raises(SmsgwError):
        await supervisor.run_now("one")
    await group.stop()


@pytest.fixture(autouse=True)
def nothing_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are counted by the minute: each test begins one."""
    monkeypatch.setattr(periodic, "sparing", sparing.Sparing(periodic.log))
