"""Load tests on the portal: begun with what they take, one at a time, within limits, by who may; and reported."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from databases import change as as_owner
from portal_site import Site, by_test, running
from visits import fails, lacking, signed_in

from smsgw.admin.words.load_tests import SCENARIO
from smsgw.bench.result import Outage
from smsgw.core.actor import EVERYTHING, Actor, ActorKind, ScopeKind
from smsgw.core.errors import SmsgwError
from smsgw.core.permissions import Permission
from smsgw.platform.change import Change
from smsgw.platform.jobs import queries as jobs
from smsgw.platform.jobs.model import JobState
from smsgw.platform.jobs.runner import JobContext
from smsgw.platform.load_tests import model, queries, service
from smsgw.platform.load_tests import running as load_tests
from smsgw.platform.load_tests.model import Profile, Scenario, State, Why
from smsgw.platform.org import service as org

ASKED = {"scenario": "steady", "rate": "100", "seconds": "60", "reason": "验收"}
RESULT: dict[str, Any] = {
    "machine": {"cores": "2", "smsgw": "0.1.0", "time": "2026-03-02 10:00:00 +0800"}, "settings": {"pace": "100/s"},
    "raised_limits": {}, "messages": 6000, "seconds": 61.2, "accepted_per_s": 100.0, "end_to_end_per_s": 98.1,
    "cpu_ms_per_message": {"daemon": 0.2}, "daemon_peak_mib": 140.0,
    "accept": {"p50": 4.1, "p90": 9.0, "p99": 21.5, "worst": 30.0}, "post_to_carrier": None, "post_to_report": None,
    "counts": {"posted": 7000, "accepted": 7000, "billed": 7000, "pulled": 7000, "pulled_again": 0, "received": 7000,
               "received_distinct": 7000, "received_again": 0}, "carried": [], "daemon_log": [], "problems": [],
}  # fmt: skip


_NONE_BEGINS = (
    "CREATE FUNCTION none_begins() RETURNS trigger LANGUAGE plpgsql AS "
    "'BEGIN NEW.not_before := ''infinity''; RETURN NEW; END'",
    "CREATE TRIGGER none_begins BEFORE INSERT ON job FOR EACH ROW EXECUTE FUNCTION none_begins()",
)


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    """Load tests wait: what one does is told elsewhere, and would be a load on whoever tests beside."""
    async with running(dsn, tmp_path) as site:
        await as_owner(dsn, *_NONE_BEGINS)
        await site.add_staff("boss", "super")
        rights = [Permission.HOME_VIEW, Permission.CHANNEL_VIEW]
        await org.add_role(by_test(site.db), "watcher", "值班", rights, ScopeKind.ALL)
        await site.add_staff("watcher-1", "watcher", "hall")
        rights = [*rights, Permission.CHANNEL_TEST]
        await org.add_role(by_test(site.db), "narrow", "分管", rights, ScopeKind.ACCOUNTS)
        await site.add_staff("narrow-1", "narrow", "hall")
        yield site


async def test_it_is_begun_with_its_effect_in_numbers_and_stopped(site: Site) -> None:
    async with signed_in(site, "boss") as boss:
        assert "还没有压测过" in await boss.get("/loadtest")
        assert "提交 6,000 条（100 条/秒 × 60 秒）" in await boss.post("/loadtest/-/new", ASKED)
        assert await site.db.fetchval("SELECT count(*) FROM job WHERE kind = 'load_test'") == 0
        await boss.post("/loadtest/-/new", ASKED | {"confirmed": "yes"})
        id_ = await site.db.fetchval("SELECT id FROM load_test")
        assert "批量提交" in await boss.get("/loadtest")
        assert not lacking(await boss.get(f"/loadtest/{id_}"), "验收", "排队中")
        assert "已有压测在进行" in await boss.post("/loadtest/-/new", ASKED | {"confirmed": "yes"})
        await boss.post(f"/loadtest/{id_}/stop", {"confirmed": "yes"})
        assert await site.db.fetchval("SELECT state FROM job WHERE kind = 'load_test'") == JobState.CANCELLED
        assert "已停止" in await boss.get(f"/loadtest/{id_}")


@pytest.mark.parametrize("scenario", [Scenario.FLOOD, Scenario.OTP, Scenario.PERSONALISED, Scenario.CMPP])
async def test_every_scenario_can_be_begun(site: Site, scenario: Scenario) -> None:
    async with signed_in(site, "boss") as boss:
        assert f'value="{scenario}"' in await boss.get("/loadtest/-/new")
        await boss.post("/loadtest/-/new", ASKED | {"scenario": scenario.value, "confirmed": "yes"})
        id_ = await site.db.fetchval("SELECT id FROM load_test WHERE scenario = $1", scenario.value)
        assert str(SCENARIO[scenario]) in await boss.get(f"/loadtest/{id_}")


async def test_it_is_of_the_platform_and_not_of_who_sees_some_accounts(site: Site, tmp_path: Path) -> None:
    profile = Profile(Scenario.STEADY, 100, 60)
    async with signed_in(site, "narrow-1") as narrow:
        assert "/loadtest/-/new" not in await narrow.get("/loadtest")
        assert await narrow.status_of("/loadtest/-/new", ASKED | {"confirmed": "yes"}) == 404
    narrowed = Actor(ActorKind.PERSON, "narrow-1", 9, frozenset(Permission), replace(EVERYTHING, accounts=(1,)))
    begun = service.begin(Change(site.db, narrowed), profile, reason="验收", node=1, folder=tmp_path)
    await fails(SmsgwError, begun, code="PERMISSION_DENIED")
    assert await site.db.fetchval("SELECT count(*) FROM load_test") == 0


async def test_of_two_who_begin_one_at_once_one_is_told_that_another_runs(site: Site, tmp_path: Path) -> None:
    async def begin() -> str:
        try:
            await service.begin(by_test(site.db), Profile(Scenario.STEADY, 100, 60), reason="验收", node=1,
                                folder=tmp_path)  # fmt: skip
        except SmsgwError as exc:
            return exc.code
        return "begun"

    assert sorted(await asyncio.gather(*(begin() for _ in range(4)))) == ["STATE_CONFLICT"] * 3 + ["begun"]
    assert await site.db.fetchval("SELECT count(*) FROM load_test") == 1


async def test_without_room_on_the_disk_nothing_is_begun(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "SPARE_OCTETS", 1 << 60)
    async with signed_in(site, "boss") as boss:
        assert "可用空间不足" in await boss.post("/loadtest/-/new", ASKED)
        assert "可用空间不足" in await boss.post("/loadtest/-/new", ASKED | {"confirmed": "yes"})
    assert await site.db.fetchval("SELECT count(*) FROM load_test") == 0


TELLS = """
import json, sys
for n in range(9):
    told = {"stage": "load", "seconds": 2.0 * n, "posted": n, "accepted": n, "reported": n}
    print(json.dumps(told), file=sys.stderr, flush=True)
sys.stdin.read()
"""
"""A process that tells how far it is, and ends when it is let go."""


@pytest.mark.parametrize(
    ("name", "value", "why"), [("LEAST_OCTETS", 1 << 60, Why.DISK), ("SLOW_SECONDS", -1.0, Why.SLOWED)]
)
async def test_it_gives_way(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: float,
                            why: Why) -> None:  # fmt: skip
    begun = list[asyncio.subprocess.Process]()

    async def telling(*_: object) -> asyncio.subprocess.Process:
        begun.append(await asyncio.create_subprocess_exec(sys.executable, "-c", TELLS, stdin=PIPE, stdout=PIPE,
                                                          stderr=PIPE))  # fmt: skip
        return begun[0]

    monkeypatch.setattr(load_tests, "begun", telling)
    monkeypatch.setattr(load_tests, name, value)
    id_ = await service.begin(by_test(site.db), Profile(Scenario.STEADY, 100, 60), reason="验收", node=1,
                              folder=tmp_path)  # fmt: skip
    await site.db.execute("UPDATE job SET not_before = now()")
    job = await jobs.claim(site.db, 1, {"load_test": 1}, timedelta(minutes=1))
    assert job is not None
    with pytest.raises(SmsgwError):
        await load_tests.LoadTests(site.db, tmp_path / load_tests.FOLDER).kind().run(JobContext(site.db, job))
    assert begun[0].returncode is not None
    assert await site.db.fetchval("SELECT error FROM load_test") == why
    async with signed_in(site, "watcher-1") as watcher:
        assert "压测已自动" in await watcher.get(f"/loadtest/{id_}")


async def test_an_outage_fails_it_and_nothing_is_met(site: Site, tmp_path: Path,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    outage = Outage("database", "2026-12-01 18:00:03.250 +0800", 2.2, "terminated by signal 11")
    measured = json.dumps(RESULT | {"outages": [asdict(outage)], "problems": [str(outage)]})

    async def ended(*_: object) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(sys.executable, "-c", f"print({measured!r}); raise SystemExit(1)",
                                                    stdin=PIPE, stdout=PIPE, stderr=PIPE)  # fmt: skip

    monkeypatch.setattr(load_tests, "begun", ended)
    id_ = await service.begin(by_test(site.db), Profile(Scenario.STEADY, 100, 60), reason="验收", node=1,
                              folder=tmp_path)  # fmt: skip
    await site.db.execute("UPDATE job SET not_before = now()")
    job = await jobs.claim(site.db, 1, {"load_test": 1}, timedelta(minutes=1))
    assert job is not None
    with pytest.raises(SmsgwError):
        await load_tests.LoadTests(site.db, tmp_path / load_tests.FOLDER).kind().run(JobContext(site.db, job))
    assert await site.db.fetchval("SELECT state FROM load_test") == State.FAILED
    async with signed_in(site, "watcher-1") as watcher:
        for address in (f"/loadtest/{id_}", f"/loadtest/{id_}/report"):
            page = await watcher.get(address)
            assert "数据库于 2026-12-01 18:00:03.250（开始加压后 2.2 秒）意外中断：terminated by signal 11" in page
            assert "不能作为验收依据" in page
            assert ">达到<" not in page


async def test_what_a_forgotten_one_has_left_goes(site: Site, tmp_path: Path) -> None:
    stages = tmp_path / load_tests.FOLDER
    (stages / "smsgw-bench-x" / "data" / "pg").mkdir(parents=True)
    await load_tests.LoadTests(site.db, stages).sweep()
    assert not any(stages.iterdir())


@pytest.mark.parametrize("profile", [(0, 60), (3_001, 60), (100, 9), (100, 1_801), (1_001, 1_800)])
async def test_beyond_the_limits_nothing_is_begun(site: Site, profile: tuple[int, int], tmp_path: Path) -> None:
    with pytest.raises(SmsgwError) as refused:
        await service.begin(by_test(site.db), Profile(Scenario.STEADY, *profile), reason="验收", node=1,
                            folder=tmp_path)  # fmt: skip
    assert refused.value.code == "PARAM_INVALID"
    assert await site.db.fetchval("SELECT count(*) FROM load_test") == 0


async def test_what_was_measured_is_reported_by_clause(site: Site, tmp_path: Path) -> None:
    id_ = await service.begin(by_test(site.db), Profile(Scenario.STEADY, 100, 60), reason="验收", node=1,
                              folder=tmp_path)  # fmt: skip
    job = await site.db.fetchval("SELECT job_id FROM load_test")
    assert await queries.begin(site.db, job)
    assert not await queries.begin(site.db, job), "one that was interrupted does not begin again"
    await queries.sample(site.db, job, [[0.0, 0, 0, 0], [2.0, 200, 198, 150]])
    async with signed_in(site, "watcher-1") as watcher:
        assert "99.0" in await watcher.get(f"/loadtest/{id_}/live")
        assert await watcher.status_of(f"/loadtest/{id_}/report") == 404
        await queries.end(site.db, job, State.DONE, "", json.loads(json.dumps(RESULT)))
        page = await watcher.get(f"/loadtest/{id_}/report")
        assert watcher.status == 200, page
        assert not lacking(page, "本次未验证", "7,000 / 7,000", "p99 21.5", "2026-03-02 10:00:00")
        for clause in ("S14a", "S14b", "S14c", "S16b", "S20a", "S20b"):
            assert f">{clause}<" in page, "what was not tested is said"
        assert "验证码到达运营商" not in page
        codes = {"posted": 400, "accept": None, "post_to_report": None,
                 "post_to_carrier": {"p50": 8.0, "p90": 20.0, "p99": 41.5, "worst": 60.0}}  # fmt: skip
        await site.db.execute("UPDATE load_test SET result = result || $1::jsonb", json.dumps({"codes": codes}))
        assert not lacking(await watcher.get(f"/loadtest/{id_}/report"), "p50 8.0 · p99 41.5 ms", "验证码到达运营商")


async def test_one_that_a_restart_has_interrupted_is_cleared_away_and_does_not_begin_again(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_tests, "STOP_PATIENCE", 0.0)  # nothing clears away by itself any more
    id_ = await service.begin(by_test(site.db), Profile(Scenario.STEADY, 100, 60), reason="验收", node=1,
                              folder=tmp_path)  # fmt: skip
    job_id = await site.db.fetchval("SELECT job_id FROM load_test")
    assert await queries.begin(site.db, job_id)
    stages = tmp_path / load_tests.FOLDER
    (stages / "smsgw-bench-x" / "data").mkdir(parents=True)
    job = await jobs.own(site.db, by_test(site.db).actor, job_id)
    assert job is not None
    with pytest.raises(SmsgwError) as refused:
        await load_tests.LoadTests(site.db, stages).kind().run(JobContext(site.db, job))
    assert refused.value.code == "STATE_CONFLICT"
    assert not any(stages.iterdir())
    async with signed_in(site, "watcher-1") as watcher:
        page = await watcher.get(f"/loadtest/{id_}")
        assert "压测已中断，不会自动重来" in page
        assert "data-poll" not in page[page.find('id="load-test"') :][:200]
