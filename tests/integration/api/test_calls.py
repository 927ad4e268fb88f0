"""How calls end: counted by key, minute and code; refused ones kept with their shape alone, so many of a key, and shown
to who may see its account."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import portal_site
from api_server import Api
from browsing import Browser

from smsgw.core.errors import messages_of
from smsgw.platform.calls import log, masking, queries
from smsgw.platform.calls.log import CallLog, Refusal
from smsgw.platform.calls.queries import WantedCalls
from smsgw.platform.paging import Window
from smsgw.runtime import clock

ONE = {"to": ["13800138000"], "content": "您的验证码是 1234", "type": "otp", "client_ref": "order-1"}


def span() -> WantedCalls:
    return WantedCalls(clock.now() - timedelta(hours=1), clock.now() + timedelta(hours=1))


async def test_ends_are_counted_and_refused_calls_keep_their_shape(api: Api) -> None:
    for _ in range(3):
        assert (await api.post("/messages", ONE)).code == "OK"
    wrong = await api.post("/messages", ONE | {"type": "no such"})
    assert wrong.status == 400
    cells, refused = api.ctx.calls.take()
    await queries.write(api.ctx.db, cells, refused)
    groups = await queries.groups(api.ctx.db, span(), Window("calls"), accounts=None)
    assert [(row["call"], row["code"], row["n"]) for _, row in groups.rows] == [
        ("POST /messages", "OK", 3), ("POST /messages", wrong.code, 1),
    ]  # fmt: skip
    assert all(row["last_request"] for _, row in groups.rows)
    steps = await queries.steps(api.ctx.db, span(), timedelta(minutes=15), accounts=None)
    assert sum(row["n"] for row in steps) == 4
    got = await queries.refusals(api.ctx.db, span(), Window("time"), accounts=None)
    (row,) = got.rows
    assert (row["code"], row["request_id"], row["proven"]) == (wrong.code, wrong.body["request_id"], True)
    body = json.loads(row["body"])
    assert body == {"to": ["138****8000"], "content": "<11>", "type": "no such", "client_ref": "<7>"}
    assert not (await queries.groups(api.ctx.db, span(), Window("calls"), accounts=[])).rows
    assert not (await queries.refusals(api.ctx.db, span(), Window("time"), accounts=[])).rows


async def test_groups_are_paged_in_both_orders_and_all_are_in_the_sum(api: Api) -> None:
    at = clock.now().timestamp()
    for n in range(1, 8):
        for _ in range(n):
            api.ctx.calls.note(api.account_id, "key", at, f"GET /x{n}", "OK", 0.001, "r")
    await queries.write(api.ctx.db, *api.ctx.calls.take())

    async def page(descending: bool, after: int | None = None, backwards: bool = False) -> tuple[list[int], bool]:
        window = Window("calls", descending, None if after is None else ("", after), backwards, 3)
        got = await queries.groups(api.ctx.db, span(), window, accounts=None)
        return [row["n"] for _, row in got.rows], got.more

    assert await page(True) == ([7, 6, 5], True)
    assert await page(True, 2) == ([4, 3, 2], True)
    assert await page(True, 5) == ([1], False)
    assert await page(True, 6, True) == ([4, 3, 2], True)
    assert await page(True, 3, True) == ([7, 6, 5], False)
    assert await page(False) == ([1, 2, 3], True)
    assert await queries.total(api.ctx.db, span(), accounts=None) == (28, 7)


async def test_why_a_call_was_refused_is_told_in_the_readers_language(dsn: str, tmp_path: Path) -> None:
    async with portal_site.running(dsn, tmp_path) as site:
        await site.add_staff("boss", "super")
        said = messages_of("RATE_LIMITED", {"n": 3})
        await queries.write(site.db, {}, [
            Refusal(site.accounts["hall"], f"key{n}", True, clock.now(), f"r{n}", "GET /x", 429, "RATE_LIMITED",
                    said[0], english, 1, "192.0.2.1", "")
            for n, english in enumerate((said[1], ""))
        ])  # fmt: skip
        async with Browser(site) as boss:
            await boss.login("boss")
            assert (await boss.get("/calls/refused")).count(said[0]) >= 2
            await boss.post("/language", {"language": "en", "next": "/"})
            page = await boss.get("/calls/refused")
            assert said[0] not in page
            assert said[1] in page
            assert said[1].replace("3", "…") in page, "of one from before it is what its code says"


async def test_of_a_key_the_newest_stay_and_a_stranger_pushes_nothing_out(api: Api) -> None:
    for n in range(4):
        for _ in range(log.MOST_OF_A_KEY):
            await api.post("/messages", {"to": [], "type": f"t{n}"})
        cells, refused = api.ctx.calls.take()
        assert len(refused) == log.MOST_OF_A_KEY
        await queries.write(api.ctx.db, cells, refused)
    rows = await api.ctx.db.fetch("SELECT body, proven FROM api_refused ORDER BY id DESC")
    assert len(rows) == queries.NEWEST
    assert "t3" in rows[0]["body"]
    await queries.forget(api.ctx.db, clock.now() + queries.KEPT + timedelta(minutes=1))
    for table in ("api_call", "api_refused"):
        assert await api.ctx.db.fetchval(f"SELECT count(*) FROM {table}") == 0  # noqa: S608


def test_what_is_remembered_is_bounded() -> None:
    calls = CallLog()
    for n in range(3 * log.MOST_CELLS):
        calls.note(1, f"key{n}", 0.0, "GET /x", "OK", 0.001, "r")
    assert len(calls.cells) == log.MOST_CELLS + 1
    assert sum(cell.n for cell in calls.cells.values()) == 3 * log.MOST_CELLS
    kept = [calls.keeps("key", proven=False) for _ in range(50)]
    assert sum(kept) == log.MOST_UNPROVEN
    assert sum(calls.keeps("key", proven=True) for _ in range(50)) == log.MOST_OF_A_KEY


def test_nothing_of_whom_and_what_is_left() -> None:
    said = masking.shown({
        "to": ["+8613800138000", 13800138001, "13800138002", "13800138003"], "content": "密码 445566",
        "vars": {"姓名": "张三"}, "client_ref": "13900139000", "deep": [[[[[[["x"]]]]]]],
    })  # fmt: skip
    for secret in ("13800138000", "13800138001", "445566", "张三", "姓名", "13900139000"):
        assert secret not in said, secret
    said = masking.shown({
        "code": 837465, "to": 13800138001, "ext": "4711", "limit": 20, "type": "otp", "at": 13800138002,
        "params": {"code": 837466, "type": "739155", "at": "73915501", "more": [{"status": "open sesame"}]},
        "variables": {"limit": 739156}, "contacts": [{"fields": {"state": "Springfield", "mode": 5}}],
    })  # fmt: skip
    for secret in ("83746", "73915", "0138", "4711", "sesame", "Springfield", " 5"):
        assert secret not in said, secret
    assert json.loads(said)["code"] == "<6 digits>"
    assert json.loads(said)["limit"] == 20
    assert json.loads(said)["type"] == "otp"


def test_lists_and_bodies_are_cut() -> None:
    said = masking.shown({"to": ["13800138000"] * 4})
    assert "… 4" in said
    assert masking.masked(b"{" * 5000, 5000) == "<5000 octets, no JSON>"
    assert masking.masked(b"x", 10**6) == "<1000000 octets>"
    large = {f"events{n}": ["c" * 60] * 3 for n in range(40)} | {"events": ["c" * 60] * 3}
    assert len(masking.shown({"events": [large] * 3})) <= masking.MOST_KEPT + 1
