"""Work in the background: periodic rounds, and durable jobs: leased, limited, resumed from their checkpoint, fenced."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from changes import by_test
from harness import until as often_until
from structlog.testing import capture_logs

from smsgw.core.actor import Actor, ActorKind, Scope
from smsgw.core.errors import Refused, SmsgwError, Temporary
from smsgw.core.permissions import Permission
from smsgw.pipeline import periodic
from smsgw.pipeline.periodic import CutOff, Periodic, Supervisor
from smsgw.platform.accounts import service as accounts
from smsgw.platform.change import Change
from smsgw.platform.jobs import queries, runner, service
from smsgw.platform.jobs.model import CRASHED, EXPIRED, Job, JobState, NewJob
from smsgw.platform.jobs.runner import JobContext, JobKind, JobLost, JobRunner
from smsgw.runtime import aio, rate_limited_logger
from smsgw.store.engine import leases
from smsgw.store.engine.database import Database

NO_DATABASE = Database("")
until = partial(often_until, every=0.01)


@contextlib.asynccontextmanager
async def running(*work: Periodic) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(NO_DATABASE, 1)
    group = supervisor.run(work)
    try:
        yield supervisor
    finally:
        await group.stop()


class Count:
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
    monkeypatch.setattr(periodic, "sparing", rate_limited_logger.RateLimitedLogger(periodic.log))


EVERYTHING = Actor.operator("root").scope
UNITS = 40


async def put(database: Database, kind: str = "test", **how: object) -> int:
    async with database.transaction() as connection:
        id_ = await queries.add(connection, NewJob(kind, {}, "li", **how))  # type: ignore[arg-type]
    assert id_ is not None
    return id_


async def job(database: Database, id_: int) -> Job:
    return await queries.get(database, EVERYTHING, id_)


async def finish(jobs: JobRunner) -> None:
    while await jobs.claim():
        await jobs.settled()


async def nothing(_: JobContext) -> None:
    """A run that has nothing to do."""


async def hang(_: JobContext) -> None:
    await asyncio.sleep(3600)


async def count(context: JobContext, database: Database, pause: float = 0.0) -> None:
    done: int = context.job.checkpoint.get("done", 0)
    while done < UNITS:
        async with database.transaction() as connection:
            await connection.execute(
                "UPDATE setting SET value = (value::text::int + 1)::text::jsonb WHERE name = 'counted'"
            )
            done += 1
            await context.progress(done, UNITS, checkpoint={"done": done}, connection=connection)
        await asyncio.sleep(pause)


async def prepare(database: Database) -> None:
    await database.execute("INSERT INTO setting (name, value) VALUES ('counted', '0')")


async def counted(database: Database) -> int:
    return int(json.loads(await database.fetchval("SELECT value FROM setting WHERE name = 'counted'")))


async def test_a_job_is_done_and_told(database: Database) -> None:
    await prepare(database)
    id_ = await put(database)
    await finish(JobRunner(database, 1, [JobKind("test", lambda c: count(c, database))]))
    found = await job(database, id_)
    assert (found.state, found.done, found.total, found.attempts) == (JobState.DONE, UNITS, UNITS, 1)
    assert await counted(database) == UNITS
    assert found.ended_at is not None
    assert found.speed(found.ended_at) > 0


CHILD = """
import asyncio, sys
from test_jobs import count
from smsgw.platform.jobs.runner import JobKind, JobRunner
from smsgw.store.engine.database import Database

async def main():
    database = Database(sys.argv[1], size=2)
    await database.open()
    jobs = JobRunner(database, 7, [JobKind("test", lambda c: count(c, database, 0.05))])
    await jobs.claim()
    await jobs.settled()

asyncio.run(main())
"""


async def test_a_killed_process_s_job_goes_on_elsewhere(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    await prepare(database)
    id_ = await put(database)
    paths = os.pathsep.join(["tests", "tests/integration", "tests/e2e", str(Path(__file__).parent), os.getcwd()])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, database.dsn, env=os.environ | {"PYTHONPATH": paths}
    )
    try:

        async def under_way() -> bool:
            return 3 <= (await job(database, id_)).done < UNITS

        await until(under_way)
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()
    left = await job(database, id_)
    assert (left.state, left.runner) == (JobState.RUNNING, 7)
    jobs = JobRunner(database, 1, [JobKind("test", lambda c: count(c, database))])
    assert not await jobs.claim(), "it is leased"
    await database.execute("UPDATE job SET leased_until = clock_timestamp()")
    await finish(jobs)
    found = await job(database, id_)
    assert (found.state, found.attempts, found.crashes, found.epoch) == (JobState.DONE, 2, 1, 2)
    assert await counted(database) == UNITS, "no unit twice, none left out"


async def test_a_node_takes_its_own_up_again_at_once(database: Database) -> None:
    id_ = await put(database)
    assert await queries.claim(database, 1, {"test": 1}, timedelta(hours=1))
    jobs = JobRunner(database, 1, [JobKind("test", nothing)])
    await jobs.start()
    await finish(jobs)
    assert (await job(database, id_)).state is JobState.DONE


async def test_two_nodes_that_claim_at_once_get_each_job_once(database: Database) -> None:
    for _ in range(20):
        await put(database)
    ran: list[int] = []

    async def run(context: JobContext) -> None:
        ran.append(context.job.id)

    kind = JobKind("test", run, per_owner=100, at_once=100)
    await asyncio.gather(*(finish(JobRunner(database, node, [kind])) for node in (1, 2, 3)))
    assert len(ran) == len(set(ran)) == 20


async def test_limits_by_owner_and_by_kind(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    one = await accounts.add(by_test(database), "one")
    other = await accounts.add(by_test(database), "other")
    for account_id in (one, one, one, other):
        await put(database, account_id=account_id)
    kinds = [JobKind("test", hang, per_owner=1, at_once=3)]
    first, second = JobRunner(database, 1, kinds), JobRunner(database, 2, kinds)
    begun = [await jobs.claim() for jobs in (first, second, first, second)]
    assert begun == [True, True, False, False], "one of each account, on all nodes together"
    await database.execute("UPDATE job SET account_id = NULL, submitter = 's' || id")
    assert [await first.claim() for _ in range(3)] == [True, True, False], "three on a node"
    monkeypatch.setattr(runner, "AT_ONCE", 1)
    assert not await second.claim()
    async with asyncio.timeout(30):
        await first.stop()
        await second.stop()
    states = {(row["state"], row["crashes"]) for row in await database.fetch("SELECT state, crashes FROM job")}
    assert states == {("waiting", 0)}, "what a stop has cut off goes on at the next start"


@pytest.mark.parametrize(
    ("asked", "begun"),
    [
        # long ones leave room for others, and these for what moves a queue
        ("numbers words people export survey follow", "numbers words export follow"),
        ("export survey table numbers follow", "export survey table follow"),
    ],
)
async def test_jobs_leave_places_to_others(database: Database, asked: str, begun: str) -> None:
    places = dict.fromkeys(("numbers", "words", "people"), runner.LONG) | {"follow": runner.AT_ONCE}
    names = asked.split()
    jobs = JobRunner(database, 1, [JobKind(name, hang, places=places.get(name, runner.USUAL)) for name in names])
    began: list[str] = []
    for name in names:
        await put(database, name)
        began += [name] if await jobs.claim() else []
    assert began == begun.split()
    await jobs.stop()


async def test_a_run_past_its_time_goes_on(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "CRASHES", 1)
    id_ = await put(database)

    async def run(context: JobContext) -> None:
        at = context.job.checkpoint.get("at", 0) + 1
        await context.progress(at, 3, checkpoint={"at": at})
        if at < 3:
            await hang(context)

    await finish(JobRunner(database, 1, [JobKind("test", run, patience=1.5)]))
    found = await job(database, id_)
    assert (found.state, found.attempts, found.crashes, found.error) == (JobState.DONE, 3, 0, "")


async def test_of_a_subject_there_is_one_unfinished_job(database: Database) -> None:
    await put(database, subject="a")
    async with database.transaction() as connection:
        assert await queries.add(connection, NewJob("test", {}, "li", subject="a")) is None
        assert await queries.add(connection, NewJob("other", {}, "li", subject="a")) is not None
    await finish(JobRunner(database, 1, [JobKind("test", nothing)]))
    await put(database, subject="a")


async def test_a_job_for_one_node_is_left_to_it_while_it_lives(database: Database) -> None:
    lease = await leases.acquire(database, "node/2", 2)
    assert lease is not None
    first, second = await put(database, node=2), await put(database, node=2)
    bound = await put(database, "bound", node=2)
    kinds = [JobKind("test", nothing, per_owner=9), JobKind("bound", nothing, bound=True)]

    async def states() -> list[JobState]:
        return [(await job(database, id_)).state for id_ in (first, second, bound)]

    await finish(JobRunner(database, 1, kinds))
    assert await states() == [JobState.WAITING] * 3
    two = JobRunner(database, 2, kinds)
    assert await two.claim()
    await two.settled()
    assert await states() == [JobState.DONE, JobState.WAITING, JobState.WAITING]
    await leases.release(database, lease)
    await finish(JobRunner(database, 1, kinds))
    assert await states() == [JobState.DONE, JobState.DONE, JobState.WAITING], "what is about a node waits for it"
    await finish(two)
    assert (await job(database, bound)).state is JobState.DONE


async def test_cancel_while_it_waits_and_while_it_runs(database: Database) -> None:
    change_ = Change(database, Actor.operator("root"))
    waiting, running = await put(database, "waits"), await put(database)
    assert (await service.cancel(change_, waiting, {})).state is JobState.CANCELLED
    jobs = JobRunner(database, 1, [JobKind("test", hang), JobKind("waits", nothing)])
    await jobs.claim()
    assert (await service.cancel(change_, running, {})).state is JobState.RUNNING
    await jobs.renew()
    await jobs.settled()
    assert (await job(database, running)).state is JobState.CANCELLED
    assert not await jobs.claim()
    with pytest.raises(Refused, match="结束"):
        await service.cancel(change_, running, {})
    with pytest.raises(Refused):
        await service.cancel(change_, 12345, {})
    told = await database.fetch("SELECT object FROM audit WHERE action = 'job.cancel' ORDER BY id")
    assert [row["object"] for row in told] == [f"job/{waiting}", f"job/{running}"]


async def test_what_was_done_last_is_known_at_the_end(database: Database) -> None:
    """Progress is not written each time it is told; the last of it is, with the job's end."""

    async def run(context: JobContext) -> None:
        for n in range(UNITS + 1):
            await context.progress(n, UNITS)

    id_ = await put(database)
    await finish(JobRunner(database, 1, [JobKind("test", run)]))
    ended = await job(database, id_)
    assert (ended.state, ended.done, ended.total) == (JobState.DONE, UNITS, UNITS)


async def test_a_run_that_tells_its_progress_hears_of_the_cancel(database: Database) -> None:
    id_ = await put(database)
    heard = asyncio.Event()

    async def run(context: JobContext) -> None:
        try:
            for n in range(1000):
                await context.progress(n, 1000, checkpoint={"n": n})
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            heard.set()
            raise

    jobs = JobRunner(database, 1, [JobKind("test", run)])
    await jobs.claim()
    await service.cancel(Change(database, Actor.operator("root")), id_, {})
    await jobs.settled()
    assert heard.is_set()
    found = await job(database, id_)
    assert found.state is JobState.CANCELLED


async def test_what_a_dead_runner_did_not_hear_is_cancelled_by_the_next(database: Database) -> None:
    id_ = await put(database)
    await queries.claim(database, 9, {"test": 1}, timedelta(seconds=-1))
    await service.cancel(Change(database, Actor.operator("root")), id_, {})
    await finish(JobRunner(database, 1, [JobKind("test", hang)]))
    assert (await job(database, id_)).state is JobState.CANCELLED


async def test_an_old_runner_s_word_has_no_effect(database: Database) -> None:
    id_ = await put(database)
    old = await queries.claim(database, 1, {"test": 1}, timedelta(seconds=-1))
    new = await queries.claim(database, 2, {"test": 1}, timedelta(hours=1))
    assert (old.id, new.id, new.epoch) == (id_, id_, old.epoch + 1)
    with pytest.raises(JobLost):
        await JobContext(database, old).progress(5, 10, checkpoint={"n": 5})
    assert not await queries.end(database, old, JobState.DONE, service.KEPT)
    await queries.put_back(database, old, timedelta(0), crashed=True, error="X")
    assert await queries.renew(database, [(old.id, old.epoch)], timedelta(hours=9)) == {}
    found = await job(database, id_)
    assert (found.state, found.done, found.checkpoint, found.runner) == (JobState.RUNNING, 0, {}, 2)
    await JobContext(database, new).progress(5, 10, checkpoint={"n": 5})
    assert (await job(database, id_)).checkpoint == {"n": 5}


async def test_a_runner_that_has_lost_its_lease_stops(database: Database) -> None:
    await put(database)
    jobs = JobRunner(database, 1, [JobKind("test", hang)])
    await jobs.claim()
    await database.execute("UPDATE job SET epoch = epoch + 1, runner = 2")
    await jobs.renew()
    await jobs.settled()
    assert await database.fetchval("SELECT (state, runner, epoch)::text FROM job") == "(running,2,2)"


async def test_a_runner_without_database_stops_first(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "LEASE", timedelta(seconds=2.1))
    await put(database)
    lost = Database(database.dsn, size=2)
    await lost.open()
    jobs = JobRunner(lost, 1, [JobKind("test", hang)])
    await jobs.claim()
    await lost.close()
    await asyncio.sleep(0.2)
    with pytest.raises(Temporary):
        await jobs.renew()
    await jobs.settled()
    assert await database.fetchval("SELECT state FROM job") == "running", "it could tell nobody"


async def test_how_a_job_fails(database: Database) -> None:
    failed: list[tuple[int, str | None]] = []

    async def tell(which: Job, error: SmsgwError | None) -> None:
        failed.append((which.id, error and error.code))

    async def refuse(_: JobContext) -> None:
        raise Refused("STATE_CONFLICT", reason="x")

    async def crash(_: JobContext) -> None:
        raise ValueError("x")

    async def put_off(context: JobContext) -> None:
        if context.job.attempts < 3:
            raise Temporary("STORAGE_UNAVAILABLE")

    refused, crashed, put_off_, slow = [await put(database, kind) for kind in ("refuse", "crash", "later", "slow")]
    kinds = [
        JobKind("refuse", refuse, failed=tell), JobKind("crash", crash, failed=tell), JobKind("later", put_off),
        JobKind("slow", hang, patience=0.05, failed=tell),
    ]  # fmt: skip
    jobs = JobRunner(database, 1, kinds)

    async def over() -> bool:
        await database.execute("UPDATE job SET not_before = now() WHERE state = 'waiting'")
        await finish(jobs)
        return not await database.fetchval("SELECT count(*) FROM job WHERE ended_at IS NULL")

    await until(over)
    assert {id_: (await job(database, id_)).error for id_ in (refused, crashed, slow)} == {
        refused: "STATE_CONFLICT", crashed: CRASHED, slow: CRASHED,
    }  # fmt: skip
    assert sorted(failed) == [(refused, "STATE_CONFLICT"), (crashed, None), (slow, None)]
    assert ((await job(database, put_off_)).state, (await job(database, put_off_)).attempts) == ("done", 3)


async def test_what_never_comes_to_an_end_expires_and_what_is_over_is_forgotten(database: Database) -> None:
    failed: list[int] = []

    async def tell(which: Job, error: SmsgwError | None) -> None:
        failed.append(which.id)

    jobs = JobRunner(database, 1, [JobKind("test", hang, failed=tell)])
    late, early = await put(database, lasts=timedelta(seconds=-1)), await put(database)
    await jobs.sweep()
    found = await job(database, late)
    assert (found.state, found.error, failed) == (JobState.FAILED, EXPIRED, [late])
    await database.execute("UPDATE job SET expires_at = now() WHERE id = $1", late)
    await jobs.sweep()
    assert [one.id for one in await queries.page(database, EVERYTHING)] == [early]


async def test_people_see_and_cancel_what_is_in_their_scope(database: Database) -> None:
    one = await accounts.add(by_test(database), "one")
    other = await accounts.add(by_test(database), "other")
    mine, theirs = await put(database, account_id=one), await put(database, account_id=other)
    nobodys = await put(database)
    person = Actor(
        ActorKind.PERSON, "wang", 3, frozenset({Permission.JOB_EDIT}), Scope(accounts=(one,), departments=())
    )
    assert [found.id for found in await queries.page(database, person.scope)] == [mine]
    for id_ in (theirs, nobodys):
        with pytest.raises(Refused):
            await service.cancel(Change(database, person), id_, {})
    await service.cancel(Change(database, person), mine, {})
