"""Lists of numbers that are looked at: by what is known here, by a provider for a price, and classes to download."""

from __future__ import annotations

import html
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer
from browsing import Browser, shows
from portal_site import SEALER, Site
from standins import AnyFleet
from visits import acting, acting_as, boss, clerk, column, fails, signed_in
from wizard_steps import begun, looked_at, upload

from smsgw.core.actor import ActorLabel
from smsgw.core.errors import Invalid, Refused, Temporary
from smsgw.core.ids import IdSource
from smsgw.core.number_state import NumberState
from smsgw.core.permissions import Permission
from smsgw.core.webhooks import Reach, parse_networks
from smsgw.pipeline.upkeep.maintenance import Maintenance
from smsgw.platform.jobs import queries as job_queries
from smsgw.platform.jobs.runner import JobContext
from smsgw.platform.jobs.service import KEPT
from smsgw.platform.numbers import filters, service, vendor
from smsgw.platform.sheets.model import Sheet
from smsgw.platform.sheets.service import Sheets
from smsgw.runtime import clock
from smsgw.runtime.config import Config
from smsgw.simulator.number_vendor import NumberVendor
from smsgw.store.config import number_status
from smsgw.store.config.number_filters import KEPT_DAYS

NUMBERS = [f"1380013{n:04}" for n in range(120)]
__all__ = ["boss", "clerk"]
pytestmark = [pytest.mark.site(networks=["127.0.0.0/8"]), pytest.mark.staff(boss="super", clerk=("operator", "hall"))]


@pytest_asyncio.fixture
async def provider() -> AsyncIterator[tuple[NumberVendor, str]]:
    made = NumberVendor()
    server = TestServer(made.app())
    await server.start_server()
    yield made, str(server.make_url("/lookup"))
    await server.close()


async def counted(site: Site) -> dict[str, int]:
    return dict(map(tuple, await site.db.fetch("SELECT state, count(*) FROM number_filter_row GROUP BY state")))


async def test_what_is_known_is_free_and_the_rest_is_asked_for_its_price(
    site: Site, boss: Browser, provider: tuple[NumberVendor, str]
) -> None:
    vendor_, url = provider
    await service.learn(acting(site), {f"86{n}": NumberState.EMPTY for n in NUMBERS[:10]}, clock.now())
    form = {"name": "年会", "account": str(site.accounts["hall"]), "numbers": "\n".join(NUMBERS)}
    said = "将检测 120 个号码：平台已有 10 个结论，免费；其余 110 个列为未知"
    await boss.confirms("/number-filters/-/new", form, said)
    path = boss.path
    assert re.fullmatch(r"/number-filters/\d+", path)
    assert "/ask" not in await boss.job_done(path), "there is nobody to ask"
    assert await counted(site) == {"empty": 10, "unknown": 110}
    shows(await boss.get(f"{path}/ask"), "没有可向供应商查询的号码", no='type="submit">确认')

    secret = {"url": url, "app_id": "demo", "secret": "demo-secret", "price": "5"}
    await boss.post("/number-filters/-/vendor", secret)
    assert "demo-secret" not in await boss.get("/number-filters/-/vendor")
    assert "将向供应商查询 110 个未知号码，单价 0.005 元，预计费用 0.55 元" in await boss.get(f"{path}/ask")
    vendor_.failing = 1
    await boss.post(f"{path}/ask", {"confirmed": "1"})
    await boss.job_done(path)
    assert (sum(vendor_.calls), max(vendor_.calls) <= 50) == (110, True)
    got = await counted(site)
    assert got == {"empty": 21, "live": 55, "suspended": 11, "absent": 11, "silent": 11, "risky": 11}
    assert tuple(await site.db.fetchrow("SELECT asked, cost FROM number_filter")) == (110, 550)
    assert await site.db.fetchval("SELECT count(*) FROM number_status") == 109, "what was told is kept"

    suspended = (await boss.table_at(f"/number-filters/-/{path.rpartition('/')[2]}/class/suspended"))[1:]
    assert len(suspended) == 11
    assert all(re.fullmatch(r"861380013\d{3}2", row[0]) and row[1] == "停机" for row in suspended)
    await boss.post("/number-filters/-/do/remove", {"id": path.rpartition("/")[2]})
    assert await counted(site) == {}


async def test_a_table_is_looked_at(site: Site, boss: Browser) -> None:
    text = "手机号\n13800138000\n138 0013 8000\n12\n13900139000\n"
    await upload(boss, "/number-filters/-/import", text.encode())
    fields = {"name": "文件", "account": str(site.accounts["hall"]), "column_number": "0"}
    assert re.fullmatch(r"/jobs/\d+", await boss.led_to(boss.path, fields))
    id_ = await site.db.fetchval("SELECT id FROM number_filter")
    await boss.job_done(f"/number-filters/{id_}")
    row = await site.db.fetchrow("SELECT invalid, duplicates FROM number_filter")
    assert (tuple(row), await counted(site)) == ((1, 1), {"unknown": 2})


@pytest.mark.parametrize("how", ["cancelled", "failed"])
@pytest.mark.parametrize("table", [False, True])
async def test_what_was_cut_off_is_looked_at_again(site: Site, how: str, table: bool) -> None:
    await service.learn(acting(site), {f"86{NUMBERS[0]}": NumberState.EMPTY}, clock.now())
    await site.add_staff("other", "super")
    change, hall = await acting_as(site, "boss"), site.accounts["hall"]
    sheet = await a_sheet(site, "手机号\n" + "\n".join(NUMBERS[:3])) if table else None
    async with change.unit(Permission.CONTACT_EDIT) as unit:  # its job ends before anybody has seen it
        given = [] if table else [f"86{number}" for number in NUMBERS[:3]]
        id_ = await filters.begin(change, "年会", hall, given, sheet=sheet)
        if how == "cancelled":
            assert await job_queries.cancel(unit.connection, await unit.connection.fetchval("SELECT id FROM job"), KEPT)
        else:
            await unit.connection.execute("UPDATE job SET state = 'failed', ended_at = now()")
        unit.unchanged()
    path, chosen = f"/number-filters/{id_}", {"id": str(id_)}
    async with signed_in(site, "other") as other:
        shows(html.unescape(await other.get(path)), "检测已取消或未完成", "/number-filters/-/effect/look")
        assert "将继续检测 1 个已取消或失败的过滤" in await other.post("/number-filters/-/effect/look", chosen)
        assert "已处理 1 条" in await other.post("/number-filters/-/do/look", chosen)
        done = html.unescape(await other.job_done(path))
        shows(done, f"{path}/send", no="/number-filters/-/effect/look")
        assert await counted(site) == {"empty": 1, "unknown": 2}
        assert "所选过滤均已检测完毕或正在检测" in await other.post("/number-filters/-/effect/look", chosen)
    await fails(Refused, filters.look_again(change, id_), "已检测完毕")


async def test_a_list_whose_table_is_gone_has_to_be_brought_again(site: Site) -> None:
    change = await acting_as(site, "boss")
    sheet = await a_sheet(site, "手机号\n13800138000")
    async with change.unit(Permission.CONTACT_EDIT) as unit:
        id_ = await filters.begin(change, "年会", site.accounts["hall"], sheet=sheet)
        await unit.connection.execute("DELETE FROM job")
        await unit.connection.execute("DELETE FROM sheet")
        unit.unchanged()
    await fails(Refused, filters.look_again(change, id_), "重新上传")


async def a_sheet(site: Site, text: str) -> Sheet:
    """A table that boss has brought."""
    sheets = Sheets(site.db, site.surveyor.tasks.files.store)
    incoming = await sheets.receive(0, "名单.csv", ActorLabel("boss"))
    incoming.path.write_bytes(text.encode())
    return await sheets.keep(incoming, filters.NAME, ActorLabel("boss"))


async def test_the_provider_by_md5_and_when_it_refuses_or_fails(provider: tuple[NumberVendor, str]) -> None:
    simulated, url = provider
    simulated.learn("13800138000", "13800138002")
    wanted = vendor.Vendor(url, "demo", "demo-secret", True, 1)
    outside = vendor.Outside(Reach(networks=parse_networks(["127.0.0.0/8"])))
    async with vendor.Asking(wanted, outside) as asking:
        told = await asking.ask(["8613800138000", "8613800138002", "8613800138001", "85291234567"], "1" * 16)
        assert told == {"8613800138000": "empty", "8613800138002": "suspended", "8613800138001": "absent"}
        simulated.failing = 5
        await fails(Temporary, asking.ask(["8613800138000"], "2" * 16))
        simulated.failing, simulated.refusing = 0, True
        await fails(Refused, asking.ask(["8613800138000"], "3" * 16))
    async with vendor.Asking(vendor.Vendor("http://127.0.0.1:9/", "demo", "x", False, 1), outside) as asking:
        await fails(Temporary, asking.ask(["8613800138000"], "4" * 16))


async def test_a_provider_where_nobody_may_go_is_not_called(provider: tuple[NumberVendor, str]) -> None:
    simulated, url = provider
    port = int(url.split(":")[2].split("/")[0])
    ours = vendor.Outside(Reach(networks=parse_networks(["127.0.0.0/8"])), own_ports=[port])
    for outside in (vendor.Outside(Reach()), ours):
        for address in (url, url.replace("127.0.0.1", "localhost")):
            async with vendor.Asking(vendor.Vendor(address, "demo", "demo-secret", False, 1), outside) as asking:
                await fails(Refused, asking.ask(["8613800138000"], "1" * 16))
    assert not simulated.calls


async def test_a_provider_is_set_without_a_password_in_its_address_and_written_down(site: Site) -> None:
    change = acting(site)
    for bad in ("https://who:secret@example.com/", "https://who@example.com/", "ftp://example.com/", "https://"):
        await fails(Invalid, filters.set_vendor(change, vendor.Vendor(bad, "a", "secret", False, 5), SEALER))
    await filters.set_vendor(change, vendor.Vendor("https://example.com/a", "a", "secret", False, 5), SEALER)
    await filters.set_vendor(change, vendor.Vendor("https://example.com/a", "b", "", True, 5), SEALER)
    row = await site.db.fetchrow("SELECT before, after FROM audit WHERE action = 'filter.vendor' ORDER BY id DESC")
    one = {"url": "https://example.com/a", "app_id": "a", "md5": False, "price": 0.005}
    told = [json.loads(row[name]) for name in ("before", "after")]
    assert told == [one, one | {"app_id": "b", "md5": True, "secret": False}]


async def test_lists_are_limited_and_forgotten_in_their_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    change, hall = acting(site), site.accounts["hall"]
    monkeypatch.setattr(filters, "MOST_LISTS", 3)
    made = [await filters.begin(change, f"list {n}", hall, [f"86{NUMBERS[0]}"]) for n in range(3)]
    await fails(Refused, filters.begin(change, "one more", hall, [f"86{NUMBERS[0]}"]))
    await filters.begin(change, "another account's", site.accounts["clinic"], [f"86{NUMBERS[0]}"])
    await site.db.execute(
        "UPDATE job SET state = CASE WHEN subject = $1 THEN 'running' ELSE 'done' END", f"filter/{made[1]}"
    )
    age = "UPDATE number_filter SET created_at = now() - make_interval(days => $2) WHERE id = ANY($1::bigint[])"
    await site.db.execute(age, made[:2], KEPT_DAYS + 1)
    await site.db.execute(age, made[2:], KEPT_DAYS - 1)
    nothing: Any = None
    maintenance = Maintenance(site.db, nothing, site.snapshots, nothing, IdSource(1, lambda: 1), Config(), AnyFleet())
    await maintenance._partitions()
    left = await column(site, "SELECT id FROM number_filter WHERE account_id = $1 ORDER BY id", hall)
    assert left == made[1:], "what is being looked at stays until that is done"
    rows = "SELECT count(*) FROM number_filter_row WHERE filter_id = $1"
    assert [await site.db.fetchval(rows, id_) for id_ in (made[0], made[2])] == [0, 1]


async def test_nothing_is_paid_for_twice_whatever_is_lost(
    site: Site, boss: Browser, provider: tuple[NumberVendor, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer, the commit of what was answered, and that of what is learned from it; the price is the one agreed."""
    simulated, url = provider
    change = acting(site)
    wanted = vendor.Vendor(url, "demo", "demo-secret", False, 5)
    await filters.set_vendor(change, wanted, SEALER)
    id_ = await filters.begin(change, "list", site.accounts["hall"], [f"86{n}" for n in NUMBERS])
    lost, put, progress = [], number_status.put, JobContext.progress
    simulated.losing = 1

    async def failing_put(*args: Any, **how: Any) -> int:
        if "put" not in lost:
            lost.append("put")
            await filters.set_vendor(change, replace(wanted, secret="", price=9), SEALER)
            raise Temporary("BACKPRESSURE", retry_after=1, n=1)
        return await put(*args, **how)

    async def failing_progress(self: JobContext, done: int, *args: Any, **how: Any) -> None:
        if done == 100 and how.get("connection") is not None and "commit" not in lost:
            lost.append("commit")
            raise Temporary("BACKPRESSURE", retry_after=1, n=1)
        await progress(self, done, *args, **how)

    monkeypatch.setattr(number_status, "put", failing_put)
    monkeypatch.setattr(JobContext, "progress", failing_progress)
    await boss.job_done(f"/number-filters/{id_}")
    await filters.ask(change, id_, len(NUMBERS))
    await boss.job_done(f"/number-filters/{id_}")
    assert (lost, simulated.losing) == (["put", "commit"], 0)
    assert list(simulated.calls) == [50, 50, 20]
    assert tuple(await site.db.fetchrow("SELECT asked, cost FROM number_filter")) == (120, 600)
    assert await site.db.fetchval("SELECT count(*) FROM number_status") == 108, "and all that was told is learned"


async def sorted_out(site: Site, account: str, name: str, **classes: int) -> int:
    """A filter that is done, with so many numbers of each class."""
    id_: int = await site.db.fetchval(
        "INSERT INTO number_filter (name, account_id, created_by, filled) VALUES ($1, $2, 'boss', true) RETURNING id",
        name,
        site.accounts[account],
    )
    first = 8613800000000
    for state, n in classes.items():
        await site.db.execute("INSERT INTO number_filter_row (filter_id, number, state) "
                              "SELECT $1, $2::bigint + i, $3 FROM generate_series(1, $4) AS i", id_, first, state,
                              n)  # fmt: skip
        first += n
    return id_


async def test_the_classes_of_a_finished_filter_are_a_source_of_the_wizard(site: Site, clerk: Browser) -> None:
    mine = await sorted_out(site, "hall", "年会名单", live=100_003, empty=4, unknown=2)
    theirs = await sorted_out(site, "clinic", "诊所名单", live=2)
    draft = await begun(site, clerk)
    place = f"/send/{draft}/audience"
    page = html.unescape(await clerk.get(place))
    shows(page, "年会名单 · 100,009 个号码", no="诊所名单")
    assert re.findall(r'name="filter_keep" value="(\w+)" checked', page) == ["live", "silent", "unknown"]
    shown = html.unescape(await clerk.post(f"/send/{draft}/filter", {"source": "filter", "filter": str(theirs)}))
    assert "实号（100,003）" in shown, "another's is none that can be chosen"

    async def sent(filter_: int, *keep: str) -> str:
        kept = [("filter_keep", state) for state in keep]
        return html.unescape(await clerk.post(place, [("source", "filter"), ("filter", str(filter_)), *kept]))

    assert "请选择一份已完成的空号过滤" in await sent(theirs, "live")
    assert "所选分类须有号码" in await sent(mine, "silent")
    assert await site.db.fetchval("SELECT count(*) FROM upload") == 0
    # A step that is refused for something else keeps the table that the page shows, and not the file before it.
    before = json.loads(await site.db.fetchval("SELECT state FROM send_draft"))
    past = before | {"upload": "1", "when": "at", "at": "2020-01-01T10:00"}
    await site.db.execute("UPDATE send_draft SET state = $1", json.dumps(past))
    assert "晚于现在" in await sent(mine, "live", "unknown")
    assert "numbers-" in await clerk.get(place)
    kept = json.loads(await site.db.fetchval("SELECT state FROM send_draft"))
    upload = await site.db.fetchval("SELECT id FROM upload")
    assert (kept["source"], kept["upload"]) == ("file", str(upload))
    await site.db.execute("UPDATE send_draft SET state = $1", json.dumps(before))
    await sent(mine, "live", "unknown")
    assert clerk.path == f"/send/{draft}/clean", "more than are read at a time are all there"
    assert "共 100,005 行，有效 100,005 行" in await looked_at(clerk, draft)
    assert "numbers-" in await clerk.get(place), "the draft has them as its file"
