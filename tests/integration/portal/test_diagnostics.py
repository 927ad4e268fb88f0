"""Diagnostic bundles: all that helps, in bounds of time and size, and none of what is secret or somebody's number."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import re
import zipfile
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from browsing import send
from portal_site import NODE, Site, by_test
from visits import actions, signed_in

from smsgw.core.ids import CHINA
from smsgw.platform.diagnostics import bundle, service
from smsgw.platform.diagnostics.bundle import Bundles
from smsgw.platform.diagnostics.cleaning import cleaned, settings_shown
from smsgw.platform.keys import service as keys
from smsgw.platform.tickets import service as tickets
from smsgw.runtime import aio
from smsgw.runtime.config import Config, DatabaseConfig, MailConfig, NodeConfig, RedisConfig, SecurityConfig
from smsgw.runtime.log import Recent, recent
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer
from smsgw.store.records import alarms

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
        mail=MailConfig("mail.example.org", 465, "tls", "bills", MAIL_PASSWORD, "bills@sms.example.org"),
    )  # fmt: skip


def parts(octets: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(octets)) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


async def test_a_bundle_has_what_helps_and_no_secret_and_no_number(site: Site, tmp_path: Path) -> None:
    made = await keys.add(by_test(site.db), Sealer(b"k" * 32), site.accounts["hall"])
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


async def test_what_hangs_costs_its_time_and_is_said(site: Site, tmp_path: Path,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
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


async def test_statements_that_are_slow_come_with_their_plans(site: Site, tmp_path: Path,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
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
    octets = await service.take(by_test(away), Bundles(away, planted(tmp_path), 1, 1, lambda: b"smsgw_up 1\n", list))
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
        "INSERT INTO node (number, instance, place, since, seen_at) VALUES ($1, 'x', 'here', now(), now())", NODE)
    await site.db.execute("INSERT INTO lease VALUES ('node/' || $1::int, $1, 1, now() + interval '1 hour')", NODE)
    async with signed_in(site, "boss", "super") as boss:
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
