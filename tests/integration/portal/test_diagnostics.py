"""Tools of who runs the platform: diagnostic bundles without secrets and numbers, and load tests within limits."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import re
import sys
import zipfile
from asyncio.subprocess import PIPE
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from browsing import send, shows
from databases import change as as_owner
from portal_site import NODE, SEALER, Site, by_test
from visits import actions, add_role, fails, page_for, signed_in

from smsgw.admin.words.load_tests import SCENARIO
from smsgw.bench.result import Outage
from smsgw.core.actor import EVERYTHING, Actor, ActorKind, ScopeKind
from smsgw.core.errors import SmsgwError
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.platform.change import Change
from smsgw.platform.diagnostics import bundle, service as diagnoses
from smsgw.platform.diagnostics.bundle import Bundles
from smsgw.platform.diagnostics.cleaning import cleaned, settings_shown
from smsgw.platform.jobs import queries as jobs
from smsgw.platform.jobs.model import JobState
from smsgw.platform.jobs.runner import JobContext
from smsgw.platform.keys import service as keys
from smsgw.platform.load_tests import model, queries, running as load_tests, service
from smsgw.platform.load_tests.model import Profile, Scenario, State, Why
from smsgw.platform.tickets import service as tickets
from smsgw.runtime import aio
from smsgw.runtime.config import Config, DatabaseConfig, MailConfig, NodeConfig, RedisConfig, SecurityConfig
from smsgw.runtime.log import Recent, recent
from smsgw.store.engine.database import Database
from smsgw.store.records import alarms

pytestmark = pytest.mark.staff(boss="super")
NUMBERS = ("13912345678", "+8613812345678", "159 1234 5678", "+447911123456", "008613712345678")
MAIL_PASSWORD, DSN_PASSWORD, OWNER_PASSWORD = 'Mail-"Pa55\\ö', "dsn%40pa55", "own er"
REDIS_PASSWORDS = ("in%40url", "in@url", "of-the-master", "of-sentinels")


def planted(folder: Path) -> Config:
    """Settings full of what nobody else may know."""
    key_file = folder / "keys"
    key_file.write_text("ab" * 32 + "\n" + "cd" * 32 + "\n")
    return replace(
        Config(), node=NodeConfig(data_dir=folder), security=SecurityConfig(key_file=str(key_file)),
        database=DatabaseConfig(
            dsn=f"postgresql://smsgw:{DSN_PASSWORD}@db.example.org/smsgw",
            owner_dsn=f"host=db.example.org user=owner password='{OWNER_PASSWORD}'"),
        redis=RedisConfig(
            f"redis://u:{REDIS_PASSWORDS[0]}@redis.example.org", password=REDIS_PASSWORDS[2],
            sentinel_password=REDIS_PASSWORDS[3]),
        mail=MailConfig("mail.example.org", 465, "tls", "bills", MAIL_PASSWORD, "bills@sms.example.org"))  # fmt: skip


def parts(octets: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(octets)) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


async def test_a_bundle_has_what_helps_and_no_secret_and_no_number(site: Site, tmp_path: Path) -> None:
    made = await keys.add(by_test(site.db), SEALER, site.accounts["hall"])
    for number in NUMBERS:
        recent.keep(None, "", {"event": "said", "level": "info", "to": number, "text": f"给{number}发", "n": 7})
    for secret in (MAIL_PASSWORD, DSN_PASSWORD, "dsn@pa55", *REDIS_PASSWORDS, "ab" * 32):
        recent.keep(None, "", {"event": "refused", "error": f"login with {secret} failed"})
    recent.keep(None, "", {"event": "away", "error": "postgresql://other:hidden-one@db/smsgw is away"})
    await send(site, to="13912345678")
    async with site.db.transaction() as connection:
        said = f"no answer for {NUMBERS[0]} at all"
        await alarms.raise_(connection, "channel_down", "channel/mobile-a", "critical", said, now=datetime.now(CHINA))
    await tickets.open_(by_test(site.db), tickets.Draft(site.accounts["hall"], "slow", f"call {NUMBERS[1]}"))
    bundles = Bundles(site.db, planted(tmp_path), 2, 1, lambda: b"smsgw_up 1\n", list)
    found = parts(await bundles.made())
    contents = json.loads(found["contents.json"])["parts"]
    assert [one["part"] for one in contents if one["problem"] or one["cut"]] == []
    assert set(found) == {one["part"] for one in contents} | {"contents.json"}
    assert json.loads(found["about.json"])["schema"] == json.loads(found["about.json"])["known_schema"]
    assert json.loads(found["config.json"])["mail"]["host"] == "mail.example.org"
    assert "smsgw_up 1" in found["metrics.txt"]
    assert "said" in found["log.jsonl"]
    assert "channel_down" in found["alarms.json"]
    assert any(one["name"] == "message" or one["name"].startswith("message") for one in
               json.loads(found["sizes.json"])["tables"])  # fmt: skip
    whole = "\n".join(found.values())
    secrets = (MAIL_PASSWORD, DSN_PASSWORD, "dsn@pa55", OWNER_PASSWORD, *REDIS_PASSWORDS, "ab" * 32, "cd" * 32,
               "hidden-one")  # fmt: skip
    assert [one for one in (*secrets, json.dumps(MAIL_PASSWORD)[1:-1], made.secret) if one in whole] == []
    assert "Pa55" not in whole
    for number in NUMBERS:
        digits = re.sub("[^0-9]", "", number)[-9:]
        assert digits not in re.sub(r"[ \-]", "", whole), number


async def test_what_hangs_costs_its_time(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "PATIENCE", 0.5)
    monkeypatch.setattr(bundle, "MOST", 3000)
    for n in range(200):
        recent.keep(None, "", {"event": "line", "n": n})
    bundles = Bundles(site.db, planted(tmp_path), 1, 1, lambda: b"", list)
    async with site.db.transaction() as connection:
        await connection.execute("LOCK TABLE lease IN ACCESS EXCLUSIVE MODE")
        found = parts(await bundles.made())
    contents = {one["part"]: one for one in json.loads(found["contents.json"])["parts"]}
    assert contents["nodes.json"]["problem"]
    assert contents["nodes.json"]["seconds"] < 5
    assert contents["log.jsonl"]["cut"]
    assert found["log.jsonl"].endswith('"n": 199}')
    assert all(len(text.encode()) <= 3000 for name, text in found.items() if name != "contents.json")


async def test_slow_statements_have_their_plans(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "SLOW", timedelta(seconds=0.2))
    slow = aio.spawn(site.db.fetch("SELECT n, pg_sleep(1) FROM generate_series(1, $1) n", 60, timeout=90), name="slow")
    await asyncio.sleep(0.6)
    found = parts(await Bundles(site.db, planted(tmp_path), 1).made())
    running_ = [one for one in json.loads(found["statements.json"])["running"] if "pg_sleep" in one["query"]]
    assert "$1" in running_[0]["query"]
    assert "Function Scan" in running_[0]["plan"][0], running_[0]["plan"]
    assert "no daemon" in found["log.jsonl"]
    await aio.cancel(slow)


async def test_a_bundle_is_had_while_the_database_is_away(tmp_path: Path) -> None:
    away = Database("postgresql://nobody@127.0.0.1:1/none")
    octets = await diagnoses.take(by_test(away), Bundles(away, planted(tmp_path), 1, 1, lambda: b"smsgw_up 1\n", list))
    found = parts(octets)
    contents = {one["part"]: one["problem"] for one in json.loads(found["contents.json"])["parts"]}
    assert contents["alarms.json"].startswith("not to be had")
    assert [contents[part] for part in ("config.json", "metrics.txt", "log.jsonl")] == ["", "", ""]


@pytest.mark.parametrize(("query", "shown"), [
    ("SELECT 'o''ne', $1, E'a\\'b', \"it's\", 'C:\\'", "SELECT '***', $1, '***', \"it's\", '***'"),
    ("SELECT 1 -- don't\n, 'two'", "SELECT 1 \n, '***'"), ("SELECT /* it's */ $t$three$t$, $2", "SELECT  '***'"),
    ("SELECT 'cut of", "SELECT '***'"),
])  # fmt: skip
def test_statements_lose_what_somebody_has_typed(query: str, shown: str) -> None:
    assert bundle._unquoted(query) == shown


@pytest.mark.parametrize(("text", "clean"), [
    ("at 2026-11-29T20:00:00+08:00 id 7312345678901234567", "at 2026-11-29T20:00:00+08:00 id 7312345678901234567"),
    ("+447911123456", "447****3456"), ("x 13912345678.", "x 139****5678."),
    ("postgresql://a:b@c/d", "postgresql://a:***@c/d"), ("host=x password='a b' user=y", "host=x password=*** user=y"),
    ("a Secret1 b", "a *** b"),
    (' "octets": 41900000001,\n "to": "13912345678"', ' "octets": 41900000001,\n "to": "139****5678"'),
])  # fmt: skip
def test_texts_lose_secrets_and_numbers_alone(text: str, clean: str) -> None:
    assert cleaned(text, {"Secret1"}) == clean


def test_every_setting_of_its_own_is_shown_or_hidden() -> None:
    shown = settings_shown(Config())
    assert set(shown) == set(Config.__dataclass_fields__)
    assert settings_shown(MailConfig(password="x"))["password"] == "***"
    json.dumps(shown)


def test_the_log_is_kept_in_bounds() -> None:
    kept = Recent()
    kept.LINES, kept.OCTETS = 5, 400  # type: ignore[misc]
    for n in range(50):
        kept.keep(None, "", {"n": n})
    assert [json.loads(line)["n"] for line in kept.lines] == [45, 46, 47, 48, 49]
    kept.keep(None, "", {"text": "x" * 350})
    assert sum(map(len, kept.lines)) <= 400


async def test_it_is_made_and_taken_away_by_its_page_by_right_and_entered(site: Site) -> None:
    await site.db.execute(
        "INSERT INTO node (number, instance, place, since, seen_at) VALUES ($1, 'x', 'here', now(), now())", NODE
    )
    await site.db.execute("INSERT INTO lease VALUES ('node/' || $1::int, $1, 1, now() + interval '1 hour')", NODE)
    async with signed_in(site, "boss") as boss:
        assert "还没有诊断包" in await boss.get("/diagnostics")
        assert await boss.status_of("/diagnostics/-/new", {"of_node": "99", "reason": "slow"}) == 422
        await boss.post("/diagnostics/-/new", {"of_node": f"{NODE}", "reason": "slow since noon"})
        job = await site.db.fetchval("SELECT id FROM job WHERE kind = 'diagnostics'")
        await boss.job_done(f"/jobs/{job}")
        assert "slow since noon" in await boss.get("/diagnostics")
        take = f"/diagnostics/{job}/take"
        assert take in await boss.get(f"/diagnostics/{job}")
        async with boss.session.post(take, data={"csrf": boss.csrf}) as response:
            assert response.headers["Content-Type"] == "application/zip"
            assert response.headers["Cache-Control"] == "no-store"
            octets = await response.read()
        assert "contents.json" in parts(octets)
        await site.db.execute("UPDATE file SET node = node + 1")
        assert "文件只在节点 2 上" in await boss.post(take, {})
        assert boss.status == 409, "another node has made it, and nothing was taken"
        await site.db.execute("UPDATE file SET node = node - 1, expires_at = now() - interval '1 second'")
        assert await boss.status_of(take, {}) == 404, "its time is over"
    done = [action for action in await actions(site, "diagnostics.") if not action.endswith((".search", ".open"))]
    assert done == ["diagnostics.request", "diagnostics.fetch"]
    told = await site.db.fetchval("SELECT after::text FROM audit WHERE action = 'diagnostics.fetch'")
    assert hashlib.sha256(octets).hexdigest() in told


STEADY = Profile(Scenario.STEADY, 100, 60)
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
    "'BEGIN IF NEW.kind = ''load_test'' THEN NEW.not_before := ''infinity''; END IF; RETURN NEW; END'",
    "CREATE TRIGGER none_begins BEFORE INSERT ON job FOR EACH ROW EXECUTE FUNCTION none_begins()",
)


@pytest_asyncio.fixture
async def site(site: Site) -> Site:
    """Load tests wait: what one does is told elsewhere, and would be a load on whoever tests beside."""
    await as_owner(site.db.dsn, *_NONE_BEGINS)
    await add_role(site, "watcher", [Permission.CHANNEL_VIEW], ScopeKind.ALL, ["watcher-1"])
    await add_role(site, "narrow", [Permission.CHANNEL_VIEW, Permission.CHANNEL_TEST], people={"narrow-1": "hall"})
    return site


async def begun(site: Site, folder: Path, profile: Profile = STEADY) -> int:
    return await service.begin(by_test(site.db), profile, reason="验收", node=1, folder=folder)


async def run(site: Site, folder: Path) -> int:
    """One is begun, claimed, and fails; its id."""
    id_ = await begun(site, folder)
    await site.db.execute("UPDATE job SET not_before = now()")
    job = await jobs.claim(site.db, 1, {"load_test": 1}, timedelta(minutes=1))
    with pytest.raises(SmsgwError):
        await load_tests.LoadTests(site.db, folder / load_tests.FOLDER).kind().run(JobContext(site.db, job))
    return id_


async def test_it_is_begun_with_its_effect_in_numbers_and_stopped(site: Site) -> None:
    async with signed_in(site, "boss") as boss:
        assert "还没有压测过" in await boss.get("/loadtest")
        assert "提交 6,000 条（100 条/秒 × 60 秒）" in await boss.post("/loadtest/-/new", ASKED)
        assert await site.db.fetchval("SELECT count(*) FROM job WHERE kind = 'load_test'") == 0
        await boss.post("/loadtest/-/new", ASKED | {"confirmed": "yes"})
        id_ = await site.db.fetchval("SELECT id FROM load_test")
        assert "批量提交" in await boss.get("/loadtest")
        shows(await boss.get(f"/loadtest/{id_}"), "验收", "排队中")
        assert "已有压测在进行" in await boss.post("/loadtest/-/new", ASKED | {"confirmed": "yes"})
        await boss.post(f"/loadtest/{id_}/stop", {"confirmed": "yes"})
        assert await site.db.fetchval("SELECT state FROM job WHERE kind = 'load_test'") == JobState.CANCELLED
        assert "已停止" in await boss.get(f"/loadtest/{id_}")
        for scenario in (Scenario.FLOOD, Scenario.OTP, Scenario.PERSONALISED, Scenario.CMPP):
            assert f'value="{scenario}"' in await boss.get("/loadtest/-/new")
            await boss.post("/loadtest/-/new", ASKED | {"scenario": scenario.value, "confirmed": "yes"})
            id_ = await site.db.fetchval("SELECT id FROM load_test WHERE scenario = $1", scenario.value)
            assert str(SCENARIO[scenario]) in await boss.get(f"/loadtest/{id_}")
            await boss.post(f"/loadtest/{id_}/stop", {"confirmed": "yes"})


async def test_it_is_of_the_platform_and_not_of_who_sees_some_accounts(site: Site, tmp_path: Path) -> None:
    async with signed_in(site, "narrow-1") as narrow:
        assert "/loadtest/-/new" not in await narrow.get("/loadtest")
        assert await narrow.status_of("/loadtest/-/new", ASKED | {"confirmed": "yes"}) == 404
    narrowed = Actor(ActorKind.PERSON, "narrow-1", 9, frozenset(Permission), replace(EVERYTHING, accounts=(1,)))
    refused = service.begin(Change(site.db, narrowed), STEADY, reason="验收", node=1, folder=tmp_path)
    await fails(SmsgwError, refused, code="PERMISSION_DENIED")
    assert await site.db.fetchval("SELECT count(*) FROM load_test") == 0

    # Of some who begin one at once, all but one are told that another runs.
    async def begin() -> str:
        try:
            await begun(site, tmp_path)
        except SmsgwError as exc:
            return exc.code
        return "begun"

    assert sorted(await asyncio.gather(*(begin() for _ in range(4)))) == ["STATE_CONFLICT"] * 3 + ["begun"]
    assert await site.db.fetchval("SELECT count(*) FROM load_test") == 1


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
async def test_it_gives_way(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: float, why: Why
) -> None:
    processes = list[asyncio.subprocess.Process]()

    async def telling(*_: object) -> asyncio.subprocess.Process:
        processes.append(
            await asyncio.create_subprocess_exec(sys.executable, "-c", TELLS, stdin=PIPE, stdout=PIPE, stderr=PIPE)
        )
        return processes[0]

    monkeypatch.setattr(load_tests, "begun", telling)
    monkeypatch.setattr(load_tests, name, value)
    id_ = await run(site, tmp_path)
    assert processes[0].returncode is not None
    assert await site.db.fetchval("SELECT error FROM load_test") == why
    assert "压测已自动" in await page_for(site, "watcher-1", f"/loadtest/{id_}")


async def test_an_outage_fails_it(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outage = Outage("database", "2026-12-01 18:00:03.250 +0800", 2.2, "terminated by signal 11")
    measured = json.dumps(RESULT | {"outages": [asdict(outage)], "problems": [str(outage)]})

    async def ended(*_: object) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-c", f"print({measured!r}); raise SystemExit(1)", stdin=PIPE, stdout=PIPE, stderr=PIPE
        )

    monkeypatch.setattr(load_tests, "begun", ended)
    id_ = await run(site, tmp_path)
    assert await site.db.fetchval("SELECT state FROM load_test") == State.FAILED
    async with signed_in(site, "watcher-1") as watcher:
        for address in (f"/loadtest/{id_}", f"/loadtest/{id_}/report"):
            page = await watcher.get(address)
            shows(page, "数据库于 2026-12-01 18:00:03.250（开始加压后 2.2 秒）意外中断：terminated by signal 11",
                  "不能作为验收依据", no=">达到<")  # fmt: skip


async def test_what_a_forgotten_one_has_left_goes(site: Site, tmp_path: Path) -> None:
    stages = tmp_path / load_tests.FOLDER
    (stages / "smsgw-bench-x" / "data" / "pg").mkdir(parents=True)
    await load_tests.LoadTests(site.db, stages).sweep()
    assert not any(stages.iterdir())


async def test_beyond_the_limits_nothing_is_begun(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for rate, seconds in ((0, 60), (3_001, 60), (100, 9), (100, 1_801), (1_001, 1_800)):
        beyond = begun(site, tmp_path, Profile(Scenario.STEADY, rate, seconds))
        await fails(SmsgwError, beyond, code="PARAM_INVALID")
    # Nor without room on the disk.
    monkeypatch.setattr(model, "SPARE_OCTETS", 1 << 60)
    async with signed_in(site, "boss") as boss:
        assert "可用空间不足" in await boss.post("/loadtest/-/new", ASKED)
        assert "可用空间不足" in await boss.post("/loadtest/-/new", ASKED | {"confirmed": "yes"})
    assert await site.db.fetchval("SELECT count(*) FROM load_test") == 0


async def test_what_was_measured_is_reported_by_clause(site: Site, tmp_path: Path) -> None:
    id_ = await begun(site, tmp_path)
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
        shows(page, "本次未验证", "7,000 / 7,000", "p99 21.5", "2026-03-02 10:00:00")
        for clause in ("S14a", "S14b", "S14c", "S16b", "S20a", "S20b"):
            assert f">{clause}<" in page, "what was not tested is said"
        assert "验证码到达运营商" not in page
        codes = {"posted": 400, "accept": None, "post_to_report": None,
                 "post_to_carrier": {"p50": 8.0, "p90": 20.0, "p99": 41.5, "worst": 60.0}}  # fmt: skip
        await site.db.execute("UPDATE load_test SET result = result || $1::jsonb", json.dumps({"codes": codes}))
        shows(await watcher.get(f"/loadtest/{id_}/report"), "p50 8.0 · p99 41.5 ms", "验证码到达运营商")


async def test_an_interrupted_one_begins_no_more(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_tests, "STOP_PATIENCE", 0.0)  # nothing clears away by itself any more
    id_ = await begun(site, tmp_path)
    job_id = await site.db.fetchval("SELECT job_id FROM load_test")
    assert await queries.begin(site.db, job_id)
    stages = tmp_path / load_tests.FOLDER
    (stages / "smsgw-bench-x" / "data").mkdir(parents=True)
    job = await jobs.own(site.db, by_test(site.db).actor, job_id)
    await fails(
        SmsgwError, load_tests.LoadTests(site.db, stages).kind().run(JobContext(site.db, job)), code="STATE_CONFLICT"
    )
    assert not any(stages.iterdir())
    async with signed_in(site, "watcher-1") as watcher:
        page = await watcher.get(f"/loadtest/{id_}")
        assert "压测已中断，不会自动重来" in page
        assert "data-poll" not in page[page.find('id="load-test"') :][:200]
