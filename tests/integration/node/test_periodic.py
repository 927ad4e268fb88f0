"""Periodic work: rounds, failures, limits, and the leases of what is exclusive."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest
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


@contextlib.asynccontextmanager
async def running(*work: Periodic) -> AsyncIterator[Supervisor]:
    """On a node without a database."""
    supervisor = Supervisor(NO_DATABASE, 1)
    group = supervisor.run(work)
    try:
        yield supervisor
    finally:
        await group.stop()


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
    steps = {"wrong": Count(ValueError("x")), "away": Count(Temporary("STORAGE_UNAVAILABLE")), "right": Count()}
    with capture_logs() as lines:
        async with running(*(Periodic(name, 0.01, step) for name, step in steps.items())):
            await until(lambda: min(step.rounds for step in steps.values()) > 5)
    told = [(line["event"], line["job"]) for line in lines]
    assert sorted(told) == [("job.failed", "wrong"), ("job.put_off", "away")]


async def test_figures_say_how_it_is_doing() -> None:
    step = Count()
    async with running(Periodic("one", 3600, step)) as supervisor:
        with pytest.raises(ValueError, match="one"):
            supervisor.run([Periodic("one", 3600, Count())])
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
    assert supervisor.figures == []
    with pytest.raises(Refused):
        await supervisor.run_now("one")


class Timed:
    """A step that takes so long, and notes when it began and ended."""

    def __init__(self, seconds: float, more: int = 0) -> None:
        self.seconds, self.more = seconds, more
        self.begun: list[float] = []
        self.ended: list[float] = []

    async def __call__(self) -> bool:
        clock = asyncio.get_running_loop().time
        self.begun.append(clock())
        await asyncio.sleep(self.seconds)
        self.ended.append(clock())
        return len(self.begun) < self.more

    @property
    def shortest_rest(self) -> float:
        return min(after - before for before, after in zip(self.ended, self.begun[1:], strict=False))


async def test_a_step_with_more_to_do_rests_in_proportion_to_what_it_took() -> None:
    step = Timed(0.05, more=3)
    async with running(Periodic("one", 3600, step, rest=3.0)):
        await until(lambda: len(step.ended) == 3)
    assert step.shortest_rest > 0.14


async def test_steps_lie_as_far_apart_as_they_take_long_where_that_is_asked_for() -> None:
    """Also where nothing more is to be done; a short one comes as often as any."""
    long, short = Timed(0.05), Timed(0.0)
    async with running(Periodic("long", 0.01, long, apart=4.0), Periodic("short", 0.01, short, apart=4.0)):
        await until(lambda: len(long.begun) == 4)
    assert long.shortest_rest > 0.19
    assert len(short.begun) > 2 * len(long.begun)


async def test_a_rest_has_an_end_however_long_the_step_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that has waited for a lock must not make the next one wait as long."""
    monkeypatch.setattr(periodic, "REST_AT_MOST", 0.05)
    slow, told = Timed(0.01, more=3), Count(rounds=3)
    async with running(Periodic("share", 3600, slow, rest=1e6), Periodic("seconds", 3600, told, rest=lambda: 3600.0)):
        await until(lambda: (len(slow.ended), told.rounds) == (3, 3))


async def test_more_to_do_is_done_at_once_and_an_event_wakes() -> None:
    step, wake = Count(rounds=5), asyncio.Event()
    async with running(Periodic("one", 3600, step, wake=wake)):
        await until(lambda: step.rounds == 5)
        wake.set()
        await until(lambda: step.rounds == 6)


async def test_what_wakes_during_a_step_is_not_lost() -> None:
    wake, begun, go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()
    rounds = 0

    async def step() -> None:
        nonlocal rounds
        rounds += 1
        begun.set()
        await go_on.wait()

    async with running(Periodic("one", 3600, step, wake=wake)):
        await begun.wait()
        wake.set()
        go_on.set()
        await until(lambda: rounds == 2)


async def test_a_step_has_an_end() -> None:
    async def own_limit() -> None:
        raise TimeoutError

    with capture_logs() as lines:
        async with running(Periodic("hangs", 0.01, Timed(3600), patience=0.05)) as supervisor:
            await until(lambda: supervisor.figures[0].runs > 2)
            with pytest.raises(CutOff):
                await supervisor.run_now("hangs")
        async with running(Periodic("limit", 3600, own_limit)) as limited:
            await until(lambda: limited.figures[0].runs == 1)
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

    with capture_logs() as lines:
        async with running(Periodic("one", 3600, step)) as supervisor:
            await begun.wait()
            (runner,) = supervisor._runners.values()
            runner.interrupt()
            await asyncio.sleep(0.1)
            runner.interrupt()
            await until(lambda: bool(lines))
    assert [line["event"] for line in lines] == ["job.cut_off"]


async def test_a_step_never_runs_beside_itself() -> None:
    beside = most = 0

    async def step() -> None:
        nonlocal beside, most
        beside += 1
        most = max(most, beside)
        await asyncio.sleep(0.01)
        beside -= 1

    async with running(Periodic("one", 0.0, step)) as supervisor:
        await asyncio.gather(*(supervisor.run_now("one") for _ in range(5)))
    assert most == 1


@pytest.fixture
def short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("TTL", 4.0), ("MARGIN", 1.0), ("RENEW_EVERY", 0.2)):
        monkeypatch.setattr(leases, name, value)
    monkeypatch.setattr(periodic, "LAPSE_EVERY", 0.05)


@pytest.mark.usefixtures("short_leases")
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


@pytest.mark.usefixtures("short_leases")
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
    theirs = second.run([Periodic("one", 0.02, Count(), exclusive="job/one", taken=lambda: taken.append(loop.time()))])
    await lost.close()
    await until(lambda: bool(taken))
    assert len(cut) == 1
    assert cut[0] < taken[0]
    await aio.cancel(*mine._tasks)
    await first.forget(mine._runners)
    await theirs.stop()


@pytest.mark.usefixtures("short_leases")
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
