"""The ledger of consents: pages, tables and proofs, and what a node makes of it."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest_asyncio
from portal_site import Site, running
from snapshots import FixedSnapshots
from visits import guessed, lacking, signed_in

from smsgw.core.actor import Actor, ScopeKind
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.pipeline.accept.number_lists import NumberLists
from smsgw.platform.change import Change
from smsgw.platform.lists import consents
from smsgw.platform.org import service as org
from smsgw.runtime import clock

NUMBER = "8613800138000"


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with running(dsn, tmp_path) as site:
        await site.add_staff("boss", "super")
        rights = [Permission.HOME_VIEW, Permission.BLOCK_VIEW, Permission.BLOCK_EDIT]
        by = Change(site.db, Actor.system("test"), ids=site.ids)
        await org.add_role(by, "clerk", "名单管理员", rights, ScopeKind.ACCOUNTS)
        await org.add_role(by, "looker", "查看", rights[:2], ScopeKind.ACCOUNTS)
        await site.add_staff("hall-op", "clerk", "hall")
        await site.add_staff("reader", "looker", "hall")
        yield site


def ids(page: str) -> list[str]:
    return list(dict.fromkeys(re.findall(r'href="/consents/([0-9]+)"', page)))


async def test_a_consent_holds_until_it_is_withdrawn_and_stays_in_the_ledger(site: Site) -> None:
    hall, clinic = site.accounts["hall"], site.accounts["clinic"]
    node = NumberLists(site.db, FixedSnapshots())
    await node.load()
    assert not node.consented(NUMBER, (hall,))
    async with signed_in(site, "boss") as boss, signed_in(site, "hall-op") as clerk:
        form = {"account": str(hall), "numbers": "13800138000", "source": "paper", "given_at": "2026-01-31"}
        assert await boss.status_of("/consents/-/new", form) == 422, "no proof, no consent"
        assert await boss.status_of("/consents/-/new", form | {"proof": "档案 7", "given_at": "2026-02-30"}) == 422
        page = await boss.post("/consents/-/new", form | {"proof": "档案 7", "given_at": "2099-01-01"})
        assert (boss.status, "不能晚于现在" in page) == (422, True)
        await boss.post("/consents/-/new", form | {"proof": "档案 7"})
        await boss.post("/consents/-/new", form | {"proof": "档案 8", "account": str(clinic)})
        await node.follow()
        assert node.consented(NUMBER, (hall,))
        assert node.consented(NUMBER, (99, hall)), "or of an account above"
        assert not node.consented("8613900139000", (hall,))

        page = await clerk.get("/consents?number=13800138000")
        (id_,) = ids(page)
        assert "138****8000" in page
        assert "档案 8" not in page
        await clerk.post("/consents/-/do/withdraw", {"id": id_, "reason": ""})
        await node.follow()
        assert node.consented(NUMBER, (hall,)), "it takes a reason"
        await clerk.post("/consents/-/do/withdraw", {"id": id_, "reason": "本人来电撤回"})
        await node.follow()
        assert not node.consented(NUMBER, (hall,))
        assert node.consented(NUMBER, (clinic,))
        assert not lacking(await clerk.get(f"/consents/{id_}"), "本人来电撤回", "档案 7")

        await boss.post("/consents/-/new", form | {"proof": "旧档案"})
        rows = await site.db.fetch("SELECT withdrawn_at, proof FROM consent WHERE account_id = $1", hall)
        assert [(r["withdrawn_at"] is None, r["proof"]) for r in rows] == [(False, "档案 7")], "an older one does not"
        today = f"{clock.now().astimezone(CHINA):%Y-%m-%d}"
        await boss.post("/consents/-/new", form | {"proof": "同日", "given_at": today})
        await node.follow()
        assert not node.consented(NUMBER, (hall,)), "nor does one of the same day without a time"
        again = NumberLists(site.db, FixedSnapshots())
        await again.load()
        assert not again.consented(NUMBER, (hall,))
        assert again.consented(NUMBER, (clinic,))
        for one in (node, again):
            assert not one.consented(NUMBER, (hall, clinic)), "what was said to the account itself counts"
            assert one.consented(NUMBER, (clinic, hall))


async def test_no_entry_overwrites_the_proof_of_another(site: Site) -> None:
    hall, change = site.accounts["hall"], Change(site.db, Actor.system("test"), ids=site.ids)
    at = clock.now() - timedelta(days=30)
    for n in range(3):
        given = consents.Given(consents.Source.WEB, f"V{n}", f"proof {n}", at + timedelta(days=n))
        assert await consents.give(change, hall, [NUMBER], given) == 1
    rows = await site.db.fetch("SELECT * FROM consent ORDER BY id")
    told = [(r["wording"], r["proof"], r["given_at"], r["withdrawn_at"] is None, r["replaced"]) for r in rows]
    assert told == [
        ("V0", "proof 0", at, False, True), ("V1", "proof 1", at + timedelta(days=1), False, True),
        ("V2", "proof 2", at + timedelta(days=2), True, False),
    ]  # fmt: skip
    node = NumberLists(site.db, FixedSnapshots())
    await node.follow()
    assert node.consented(NUMBER, (hall,))
    await consents.withdraw(change, rows[-1]["id"], "by telephone")
    await node.follow()
    again = NumberLists(site.db, FixedSnapshots())
    await again.load()
    for one in (node, again):
        assert not one.consented(NUMBER, (hall,))
    given = replace(given, proof="proof 3", given_at=clock.now())
    assert await consents.give(change, hall, [NUMBER], given) == 1, "a newer one counts"
    await node.follow()
    assert node.consented(NUMBER, (hall,))
    assert await site.db.fetchval("SELECT withdrawal FROM consent WHERE proof = 'proof 2'") == "by telephone"
    async with signed_in(site, "boss") as boss:
        assert len(ids(await boss.get("/consents?state=replaced"))) == 2
        assert len(ids(await boss.get("/consents?state=withdrawn"))) == 1
        assert not lacking(await boss.get(f"/consents/{rows[0]['id']}"), "由新的同意记录替代", "proof 0")


TABLE = """手机号,同意日期,同意方式,凭证
13800138000,2026-02-01,网页勾选,页面 1
13800138000,2026-02-02,网页勾选,页面 2
13900139000,2026/03/01,,
12,2026-02-01,,
"""
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 64


async def test_a_table_is_previewed_and_brought_in_with_what_became_of_each_row(site: Site) -> None:
    async with signed_in(site, "boss") as boss:
        page = await boss.send_file("/consents/-/import", TABLE.encode())
        assert "13900139000" in page, "the first rows are shown"
        chosen = guessed(page)
        assert chosen == {"column_number": "0", "column_given_at": "1", "column_source": "2", "column_proof": "3"}
        form = {"account": str(site.accounts["hall"]), "source": "paper", "proof": "档案 9"}
        await boss.post(boss.path, chosen | form)
        assert re.fullmatch(r"/jobs/\d+", boss.path)
        page = await boss.job_done(boss.path)
        job = boss.path.rpartition("/")[2]
        assert f"/consents/-/import/{job}/result" in page
        rows = (await boss.table_at(f"/consents/-/import/{job}/result"))[1:]
    assert [row[0] for row in rows] == ["2", "3", "4", "5"]
    assert rows[0][2] == rows[2][2] != rows[1][2] != rows[3][2]
    assert "第 2 行" in rows[1][3], "a number that came before"
    assert "13800138000" not in str(rows), "whole numbers are not given away"
    found = await site.db.fetch("SELECT number, source, proof, given_at FROM consent ORDER BY number")
    assert [(r["number"], r["source"], r["proof"]) for r in found] == [
        (8613800138000, "web", "页面 1"), (8613900139000, "paper", "档案 9"),
    ]  # fmt: skip


async def test_a_proof_is_shown_by_right_and_audited(site: Site) -> None:
    by = Change(site.db, Actor.system("test"), ids=site.ids.next)
    given = consents.Given(consents.Source.PAPER, "v1", "档案 7", clock.now())
    await consents.give(by, site.accounts["hall"], ["8613800138000", "8613900139000"], given)
    id_ = await site.db.fetchval("SELECT min(id) FROM consent")
    at = f"/consents/{id_}/proof"
    async with signed_in(site, "boss") as boss, signed_in(site, "reader") as reader:
        wrong = await boss.send_file(at, b"<script>", "x.html")
        assert (boss.status, "PNG" in html.unescape(wrong)) == (422, True)
        assert await site.db.fetchval("SELECT count(*) FROM file") == 0
        await boss.send_file(at, PNG, "同意书.png")
        assert boss.path == f"/consents/{id_}"
        assert await site.db.fetchval("SELECT count(DISTINCT proof_file) FROM consent") == 1
        assert await site.db.fetchval("SELECT count(proof_file) FROM consent") == 2, "entered together, proven together"
        assert f"{at}/file" in await reader.get(f"/consents/{id_}")
        assert await reader.status_of(at) == 403, "who only looks brings nothing"
        async with reader.session.get(f"{at}/file") as response:
            assert (response.status, response.headers["Content-Type"]) == (200, "image/png")
            assert await response.read() == PNG
            assert response.headers["Content-Disposition"].startswith("inline")
        await boss.send_file(at, PNG, "other.png")
        assert await site.db.fetchval("SELECT count(DISTINCT proof_file) FROM consent") == 1
    seen = await site.db.fetch("SELECT actor FROM audit WHERE action = 'consent.proof_read'")
    assert [row["actor"] for row in seen] == ["reader"]
