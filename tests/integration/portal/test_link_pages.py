"""Short links: made, filed, led elsewhere, decided, sent with a code for each number; who opened them; the report."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from browsing import Browser, shows
from changes import by_test
from portal_site import LINK_DOMAINS, SEALER, Site, with_keeper
from visits import addressed, boss, clerk, linked, signed_in
from wizard_steps import begun, draft_in, fields, imported, looked_at, submitted

from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission as P
from smsgw.core.sent_links import SAMPLE
from smsgw.core.short_codes import Permutation
from smsgw.pipeline.accept.disk import DiskGuard
from smsgw.platform.links import clicks as clicking, counting, queries, service
from smsgw.platform.links.clicks import Clicks
from smsgw.platform.links.counting import VisitorCount
from smsgw.platform.links.model import LinkKind, NewLink, ShortLink
from smsgw.platform.links.table import LinkTable
from smsgw.platform.url_filings import queries as filed, service as filings
from smsgw.store.engine.spool import Spool

__all__ = ["boss", "clerk"]
TARGET = "https://www.example.cn/spring?from=sms"
PHONE = "Mozilla/5.0 (Linux; Android 13; V2241A Build/TP1A) AppleWebKit/537.36 Chrome/118.0 Mobile Safari/537.36"
SCANNER = "python-requests/2.31"
GUANGDONG, BEIJING = "112.96.33.1", "101.6.6.6"


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setattr(clicking, "SETTLED", timedelta(seconds=-1))
    rights = (P.LINK_VIEW, P.LINK_EDIT, P.LINK_EXPORT, P.STATISTICS_VIEW, P.STATISTICS_EXPORT, P.FILING_VIEW,
              P.FILING_EDIT, P.FILING_DECIDE)  # fmt: skip
    async with with_keeper(dsn, tmp_path, *rights) as site:
        await site.add_staff("clerk", "operator", "hall")
        yield site


async def made(site: Site, account: str = "hall", **given: object) -> ShortLink:
    wanted = NewLink(site.accounts[account], str(given.pop("name", "春季活动")), TARGET, **given)  # type: ignore[arg-type]
    return await service.make(by_test(site.db), SEALER, wanted, LINK_DOMAINS, now=datetime.now(UTC))


async def opened(site: Site, folder: Path, link: ShortLink, agents: Sequence[str], address: str = GUANGDONG) -> None:
    """Somebody has opened it with these programs; judged and counted."""
    for n, agent in enumerate(agents):
        await site.db.execute(
            "INSERT INTO link_click (id, link_id, n, version, at, address, method, agent, referer, purpose, language,"
            " accept) VALUES ($1, $2, $3, 1, now(), $4, 'GET', $5, '=HYPERLINK(1)', '', 'zh-CN', 'text/html')",
            site.ids.next(), link.id, n % link.codes, address, agent)  # fmt: skip
    room = Spool(folder / "clicks", limit=1 << 20, segment_bytes=1 << 16, mapped=True)
    clicks = Clicks(site.db, room, LinkTable(site.db, SEALER), DiskGuard([folder], 0), None)
    while await clicks.judge():
        pass
    await site.db.execute("UPDATE short_link SET counted_at = NULL")
    await VisitorCount(site.db).count()


async def test_a_link_that_cannot_be_counted_keeps_no_other(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    large, small = await made(site, kind=LinkKind.PERSONAL, codes=10), await made(site)
    monkeypatch.setattr(counting, "PATIENCE", 4.0)  # of which others need a part
    monkeypatch.setattr(counting, "_CODES", "SELECT count(*) FROM pg_sleep(30) WHERE $1::bigint > 0")
    monkeypatch.setattr(counting, "_DEVICES", "SELECT $1::bigint * 0 + 7 WHERE $2::int > 0")
    await site.db.execute("UPDATE short_link SET recount = true")
    await VisitorCount(site.db).count()
    assert (await queries.one(site.db, small.id, accounts=None)).visitors == 7
    due = await site.db.fetch("SELECT id FROM short_link WHERE recount AND counted_at IS NOT NULL")
    assert [row["id"] for row in due] == [large.id], "its turn comes again, behind the others"


def ids_on(page: str) -> list[int]:
    return [int(one) for one in dict.fromkeys(re.findall(r'data-href="/short-links/([0-9]+)"', page))]


async def codes_of(site: Site) -> Permutation:
    codes = await queries.permutation(site.db, SEALER)
    return codes


async def test_a_link_is_made_shown_led_elsewhere_and_stopped(site: Site, boss: Browser) -> None:
    form = {"name": "春季<活动>", "target": TARGET, "account": str(site.accounts["hall"]), "visits": "0", "warn": "1"}
    assert "还没有短链" in await boss.get("/short-links")
    for wrong, field in (({"target": "http://10.0.0.1/"}, "target"), ({"code": "12345678"}, "code"),
                         ({"until": "2020-01-01 00:00"}, "until"), ({"begins": "soon"}, "begins")):  # fmt: skip
        assert f'id="{field}-problem"' in await boss.refusal("/short-links/-/new", form | wrong), wrong
    assert "创建后立即生效" in await boss.post("/short-links/-/new", form)
    assert await site.db.fetchval("SELECT count(*) FROM short_link") == 0, "only asked"
    page = await boss.post("/short-links/-/new", form | {"confirmed": "1"})
    link = await queries.one(site.db, 1, accounts=None)
    address = link.address(0, await codes_of(site))
    assert (boss.path, link.warn, link.domain) == (f"/short-links/{link.id}", True, LINK_DOMAINS[0])
    shows(page, address, "春季&lt;活动&gt;")
    for nothing in ("立即生效", "长期有效", "不限"):
        assert nothing in page, "what an empty field means is said"
    assert "审批人" not in page, "of what has not been there is nothing"
    page = await boss.get("/short-links")
    shows(page, f'data-copy-text="{address}"', f"<code>{address.removeprefix('https://')}</code>")
    assert '<a href="/short-links">短链列表</a>' in await boss.get(f"/short-links/{link.id}/target")
    for kind, begins in (("svg", "<?xml"), ("png", "\ufffdPNG")):
        assert (await boss.get(f"/short-links/{link.id}/qr.{kind}?save")).startswith(begins)
        assert boss.headers["Content-Disposition"].startswith("attachment")
    for query, found in {"text=spring": [1], "text=none": [], f"text={address}": [1], f"text={address[-8:]}": [1],
                         "kind=personal": [], "state=active": [1], "origin=page": [1], "origin=api": [],
                         "made_from=2020-01-01&made_to=2020-01-02": [], "clicked_from=2020-01-01": [],
                         "ends_from=2020-01-01": []}.items():  # fmt: skip
        assert ids_on(await boss.get(f"/short-links?{query}")) == found, query
    other = {"target": "https://elsewhere.example.cn/"}
    page = await boss.confirms(f"/short-links/{link.id}/target", other, "第 2 版")
    shows(page, "elsewhere.example.cn", "spring?from=sms")  # the version before is still known
    act = {"id": str(link.id), "to": f"/short-links/{link.id}"}
    assert "将停用 1 条短链" in await boss.post("/short-links/-/effect/stop", act)
    shows(await boss.post("/short-links/-/do/stop", act | {"reason": "误发"}), "误发", "由审批人停用")
    await boss.post("/short-links/-/do/start", act)
    found = await queries.one(site.db, link.id, accounts=None)
    assert (found.stored_state.value, found.version, found.passed) == ("active", 2, 2)


async def test_who_may_not_decide_waits_for_who_decides_on_the_version_that_was_seen(site: Site) -> None:
    form = {"name": "便民", "target": TARGET, "account": str(site.accounts["hall"]), "visits": "0", "confirmed": "1"}
    async with signed_in(site, "hall-op") as keeper, signed_in(site, "boss") as boss:
        assert "审核中" in await keeper.post("/short-links/-/new", form)
        assert "/short-links/1/pass" not in await keeper.get("/short-links/1")
        assert await keeper.status_of("/short-links/1/pass") == 403
        assert 'name="version" value="1"' in await boss.get("/short-links/1/pass")
        other = {"target": "https://elsewhere.example.cn/", "confirmed": "1"}
        await keeper.post("/short-links/1/target", other)
        page = await boss.post("/short-links/1/pass", {"version": "1", "confirmed": "1"})
        assert (boss.status, "elsewhere.example.cn" in page) == (422, True), "it leads elsewhere by now"
        assert "不属于本单位" in await boss.post("/short-links/1/reject", {"version": "2", "reason": "不属于本单位"})
        await keeper.post("/short-links/1/target", form)
        await boss.post("/short-links/1/pass", {"version": "3", "confirmed": "1"})
    link = await queries.one(site.db, 1, accounts=None)
    assert (link.stored_state.value, link.passed, link.decided_by) == ("active", 3, "boss")


async def test_visits_say_when_from_where_and_with_what_and_keep_the_address_short(site: Site, tmp_path: Path) -> None:
    link = await made(site)
    await opened(site, tmp_path, link, [PHONE, PHONE, SCANNER])
    await opened(site, tmp_path, link, [PHONE], BEIJING)
    async with signed_in(site, "boss") as boss:
        page = await boss.get(f"/link-clicks?link={link.id}")
        shows(page, "广东", "北京", "V2241A", "Android", "Chrome", "真人", "爬虫", "112.96.*.*", no=GUANGDONG)
        rows = {"verdict=human": 3, "verdict=program": 1, "verdict=crawler": 1, "province=广东": 3,
                "province=guangdong": 3, "n=2": 0}  # fmt: skip
        for query, n in rows.items():
            page = await boss.get(f"/link-clicks?link={link.id}&{query}")
            assert page.count('data-label="访问判定"') == n, query
        await boss.post("/language", {"language": "en", "next": "/"})
        page = await boss.get(f"/link-clicks?link={link.id}")
        assert ("Guangdong" in page, "Beijing" in page, "广东" in page) == (True, True, False)
        await boss.post("/language", {"language": "zh", "next": "/"})
        page = await boss.get(f"/short-links/{link.id}")
        figures = re.findall(r'figure-number"[^>]*>(?:<span[^>]*>)?([0-9]+)', page)
        assert figures == ["3", "2", "4"], "visits of people, two devices, all hits"
        await boss.post("/link-clicks/-/export", {"q": f"link={link.id}", "reason": "核对", "format": "csv"})
        assert "=HYPERLINK" not in await boss.job_done(boss.path)
        await boss.confirms("/link-clicks/-/judge", {"days": "1"}, "重新判定最近 1 天")
    assert await site.db.fetchval("SELECT count(*) FROM link_click WHERE rules = 0") == 4
    await opened(site, tmp_path, link, [])
    again = await queries.one(site.db, link.id, accounts=None)
    assert (again.hits, again.humans, again.visitors) == (4, 3, 2), "judged again, counted once"


async def test_the_report_leads_to_what_it_counts(site: Site, tmp_path: Path, boss: Browser) -> None:
    link = await made(site)
    personal = await made(site, kind=LinkKind.PERSONAL, codes=20, valid_until=datetime.now(UTC) + timedelta(seconds=1))
    await opened(site, tmp_path, link, [PHONE, PHONE, SCANNER])
    await asyncio.sleep(max(0, (personal.valid_until - datetime.now(UTC)).total_seconds()))  # type: ignore[operator]
    day = datetime.now(CHINA).date()
    page = await boss.get("/reports/links")
    for key, counted in (("made", 2), ("clicked", 1), ("ends", 1)):
        address = f"/short-links?{key}_from={day}&{key}_to={day}&account={site.accounts['hall']}"
        assert f'<a href="{address.replace("&", "&amp;")}">{counted}</a>' in page, key
        assert len(ids_on(await boss.get(address))) == counted, key
    for verdict, counted in (("human", 2), ("program", 1)):
        address = f"/link-clicks?time=custom&from={day}&to={day}&account={site.accounts['hall']}&verdict={verdict}"
        assert f'<a href="{address.replace("&", "&amp;")}">{counted}</a>' in page, verdict
        assert (await boss.get(address)).count('data-label="访问判定"') == counted
    assert "新建 2 条，真人访问 2 次，程序访问 1 次" in page


async def rows_of(boss: Browser, job: str) -> list[list[str]]:
    await boss.job_done(job)
    rows = await boss.table_at(f"{job}/file")
    assert boss.headers["Cache-Control"] == "no-store"
    return rows


async def test_codes_are_generated_and_taken_away_each_once(site: Site, boss: Browser) -> None:
    form = {"name": "一人一码", "target": TARGET, "account": str(site.accounts["hall"]), "codes": "12000"}
    await boss.confirms("/link-tasks/-/new", form, "12,000 个短码")
    rows = await rows_of(boss, boss.path)
    link, codes = await queries.one(site.db, 1, accounts=None), await codes_of(site)
    assert (len(rows), len({row[1] for row in rows[1:]})) == (12_001, 12_000)
    assert rows[1] == ["1", link.address(0, codes)]
    assert rows[-1] == ["12000", link.address(11_999, codes)]
    assert ids_on(await boss.get(f"/short-links?text={rows[777][1]}")) == [link.id], "whose code it is"
    await boss.post(f"/short-links/{link.id}/codes", {"confirmed": "1"})
    assert await rows_of(boss, boss.path) == rows, "again the same"
    part = await made(site, kind=LinkKind.PERSONAL, codes=10)  # messages have the first four
    await site.db.execute("UPDATE short_link SET used = 4 WHERE id = $1", part.id)
    shown = await boss.get(f"/short-links/{part.id}")
    assert "已发放 4 个短码" in shown, "what was given away, not what there is room for"
    await boss.confirms(f"/short-links/{part.id}/codes", {}, "前 4 个")
    rows = await rows_of(boss, boss.path)
    assert [row[0] for row in rows[1:]] == [str(n) for n in range(5, 11)]
    assert rows[1][1] == part.address(4, codes)
    fetched = await site.db.fetchval("SELECT count(*) FROM audit WHERE action = 'short_link.codes_fetch'")
    assert fetched == 2, "of each link once a day"
    assert (await queries.one(site.db, 1, accounts=None)).kind is LinkKind.PERSONAL


async def test_numbers_of_a_table_get_a_code_each(site: Site, boss: Browser) -> None:
    table = "手机号\n13800138000\n+86 139 0013 9000\nnonsense\n13800138000\n"
    form = {"name": "一号一码", "target": TARGET, "account": str(site.accounts["hall"]), "column_number": "0"}
    await boss.send_file("/link-tasks/-/import", table.encode())
    at = boss.path
    await boss.confirms(at, form, "4 个短码")
    (job,) = await site.db.fetch("SELECT id FROM job WHERE kind = 'link.codes'")
    rows = await rows_of(boss, f"/link-tasks/{job['id']}")
    page = await boss.get(f"/link-tasks/{job['id']}")
    link, codes = await queries.one(site.db, 1, accounts=None), await codes_of(site)
    assert rows[1:] == [["1", "8613800138000", link.address(0, codes)], ["2", "8613900139000", link.address(1, codes)]]
    assert re.search(r"无效号码</dt><dd>\s*1\s*</dd>", page)
    assert re.search(r"重复号码</dt><dd>\s*1\s*</dd>", page)


TEXT = "本周活动请点 {link} 查看"


async def make(site: Site, account: str = "hall") -> ShortLink:
    return await made(site, account, kind=LinkKind.PERSONAL, codes=1000)


async def test_a_link_is_chosen_counted_and_each_number_has_its_code(site: Site, clerk: Browser) -> None:
    link = await make(site)
    of_another = await make(site, "clinic")
    page = await clerk.get("/send")
    shows(page, f'<option value="{link.id}"', no=f'<option value="{of_another.id}"')
    given = fields(site, page, content="请点这里", link=str(link.id))
    assert "内容中还没有 {link}" in html.unescape(await clerk.post("/send", given))
    assert clerk.status == 422
    live = html.unescape(await clerk.post("/send/-/live", given | {"content": TEXT}))
    shows(live, f"{LINK_DOMAINS[0]}/{SAMPLE}", "只是占位")
    draft = await addressed(site, clerk, "13800138000\n13800138001", content=TEXT, link=str(link.id))
    assert "有效 2 行" in await looked_at(clerk, draft)
    await clerk.post(f"/send/{draft}/options", {"one_each": "number"})
    await clerk.post(f"/send/{draft}/time", {"when": "at", "at": "2027-01-02T09:30"})
    assert "发送任务已建立" in await submitted(clerk, draft)
    task = await site.db.fetchrow("SELECT * FROM task WHERE id = $1", await imported(site))
    assert (task["link_id"], task["content"]) == (link.id, TEXT)
    # Copied, it has the link again; edited, it keeps a place for it.
    await clerk.post(f"/tasks/{task['id']}/copy", {})
    copy = await site.db.fetchval("SELECT state FROM send_draft WHERE id = $1", draft_in(clerk.path))
    assert f'"link":"{link.id}"' in copy.replace(" ", "")
    assert LINK_DOMAINS[0] not in copy


async def test_the_links_are_those_of_the_account_that_is_chosen(site: Site, boss: Browser) -> None:
    link, other = await make(site), await make(site, "clinic")
    given = fields(site, await boss.get("/send"), link=str(link.id), link_target="https://a.example.cn/")
    assert f'<option value="{link.id}" selected' in await boss.post("/send/-/links", given)
    page = await boss.post("/send/-/links", given | {"account": str(site.accounts["clinic"])})
    shows(page, f'<option value="{other.id}">', no=f'<option value="{link.id}"')
    assert "https://a.example.cn/" in page, "what was typed of a new one stays"


async def test_one_is_made_on_the_way_and_waits_for_who_decides(site: Site, clerk: Browser) -> None:
    page = await clerk.get("/send")
    new = {"make_link": "1", "link_target": "ftp://nowhere", "link_kind": "personal", "link_name": "春季"}
    assert await clerk.status_of("/send", fields(site, page, content="请点", **new)) == 422
    assert await site.db.fetchval("SELECT count(*) FROM short_link") == 0
    given = fields(site, page, content="请点", **new | {"link_target": TARGET})
    made = html.unescape(await clerk.post("/send", given))
    id_ = await site.db.fetchval("SELECT id FROM short_link")
    assert re.search(rf'<option value="{id_}" selected>', made)
    shows(made, "请点 {link} ", "还在审核")
    draft = await addressed(site, clerk, content="请点 {link} ", link=str(id_))
    shows(await looked_at(clerk, draft), "审核中", "不能发送")
    assert 'name="of"' not in await looked_at(clerk, draft, "confirm"), "what is not passed cannot be sent"
    assert await site.db.fetchval("SELECT count(*) FROM task") == 0
    await service.pass_(by_test(site.db), id_, 1)
    await site.db.execute("UPDATE send_draft SET survey = NULL")
    assert "发送任务已建立" in await submitted(clerk, draft)
    await imported(site)
    assert await site.db.fetchval("SELECT link_id FROM task") == id_


async def test_a_saved_draft_makes_one_too_and_another_s_link_is_none(site: Site, boss: Browser) -> None:
    other = await make(site, "clinic")
    draft = await begun(site, boss, content="请点")
    new = {"make_link": "1", "link_target": TARGET, "link_kind": "shared", "link_name": ""}
    await boss.post(f"/send/{draft}/content", fields(site, await boss.get("/send"), content="请点", **new))
    assert boss.path == f"/send/{draft}/content"
    row = await site.db.fetchrow("SELECT * FROM short_link WHERE account_id = $1", site.accounts["hall"])
    assert (row["kind"], row["state"], row["name"], row["origin"]) == ("shared", "active", "预约提醒", "task")
    state = await site.db.fetchval("SELECT state FROM send_draft WHERE id = $1", draft)
    assert f'"link":"{row["id"]}"' in state.replace(" ", "")
    # One that no form offers.
    given = fields(site, await boss.get("/send"), content=TEXT, link=str(other.id))
    assert "不属于所选账号" in html.unescape(await boss.post("/send", given))
    assert boss.status == 422


async def test_a_link_is_filed_answered_by_carriers_and_taken_back(site: Site) -> None:
    hall = str(site.accounts["hall"])
    async with signed_in(site, "boss") as boss:
        assert "还没有短链报备" in await boss.get("/link-filings")
        form = {"target": "no target", "account": hall, "icp": "京ICP备1号", "note": "<b>首页</b>"}
        assert 'id="target-problem"' in await boss.refusal("/link-filings/-/new", form | {"confirmed": "1"})
        form["target"] = "http://Hall.Example.cn/act"
        assert "运营商答复通过之前按待报备处理" in await boss.post("/link-filings/-/new", form)
        assert await site.db.fetchval("SELECT count(*) FROM filed_link") == 0, "only asked"
        await boss.post("/link-filings/-/new", form | {"confirmed": "1"})
        (id_,) = linked(await boss.get("/link-filings"), "/link-filings")
        shows(await boss.get(f"/link-filings/{id_}"), "hall.example.cn/act", "&lt;b&gt;首页&lt;/b&gt;")
        answer = {"carriers": "CMCC", "state": "registered", "note": "工单 5"}
        await boss.confirms(f"/link-filings/{id_}/register", answer, "状态设为“通过”")
        one = await filed.one(site.db, int(id_), accounts=None)
        assert {c: said.state.value for c, said in one.carriers.items()} == {
            "CMCC": "registered", "CUCC": "pending", "CTCC": "pending", "CBN": "pending"}  # fmt: skip
        assert "CMCC 工单 5" in await boss.get(f"/link-filings/{id_}")
        for query, found in {"target=example": [id_], "target=other": [], f"account={hall}": [id_], "icp=京ICP": [id_],
                             "state=registered": [id_], "carrier=CUCC&state=registered": [],
                             "carrier=CUCC&state=pending": [id_], "state=refused": []}.items():  # fmt: skip
            assert linked(await boss.get(f"/link-filings?{query}"), "/link-filings") == found, query
        assert "将删除 1 条报备（hall.example.cn/act）" in await boss.post("/link-filings/-/effect/remove", {"id": id_})
        await boss.post("/link-filings/-/do/remove", {"id": id_})
        assert await site.db.fetchval("SELECT count(*) FROM filed_link") == 0


async def test_one_files_for_ones_own_accounts_and_sees_what_holds_for_all(site: Site) -> None:
    hall = site.accounts["hall"]
    own, all_ = [(await filings.file(by_test(site.db), account, f"a{account}.example.cn")).id for account in (hall, 0)]
    async with signed_in(site, "hall-op") as filer:
        assert set(linked(await filer.get("/link-filings"), "/link-filings")) == {str(own), str(all_)}
        assert await filer.status_of(f"/link-filings/{all_}") == 200
        answer = {"carriers": "CMCC", "state": "registered", "confirmed": "1"}
        assert await filer.status_of(f"/link-filings/{all_}/register", answer) == 404
        await filer.post("/link-filings/-/do/remove", {"id": str(all_)})
        assert "请选择账号" in await filer.refusal("/link-filings/-/new", {"target": "b.example.cn", "confirmed": "1"})
        await filer.post(f"/link-filings/{own}/register", answer)
    states = await site.db.fetch("SELECT link_id, state FROM filed_link_state")
    assert [tuple(row) for row in states] == [(own, "registered")]
    assert await site.db.fetchval("SELECT count(*) FROM filed_link") == 2


async def test_documents_of_a_filing_are_brought_seen_and_taken_away(site: Site) -> None:
    """As a signature's: for a carrier or for all, by who may file it, and never another account's."""
    hall = site.accounts["hall"]
    own, all_ = [(await filings.file(by_test(site.db), account, f"a{account}.example.cn")).id for account in (hall, 0)]

    async def brought(who: Browser, filing: int, octets: bytes, **fields: str) -> str:
        return await who.send_file(f"/link-filings/{filing}/proofs", octets, "licence.pdf", **fields)

    async with signed_in(site, "hall-op") as filer:
        page = await brought(filer, own, b"%PDF-1.4 licence", kind="icp", carrier="CMCC")
        assert (filer.status, "licence.pdf" in page, "网站备案" in page) == (200, True, True)
        for filing, octets, kind, status in ((own, b"MZ no document", "icp", 422), (own, b"%PDF-1.4", "nothing", 422),
                                             (all_, b"%PDF-1.4", "icp", 404)):  # fmt: skip
            await brought(filer, filing, octets, kind=kind, carrier="")
            assert filer.status == status, (octets, kind)
        (id_,) = [row["id"] for row in await site.db.fetch("SELECT id FROM filed_link_proof")]
        assert (await filer.get(f"/link-filings/proofs/{id_}")).startswith("%PDF-1.4 licence")
        assert filer.headers["Content-Disposition"].startswith("attachment")
        assert "licence.pdf" in await filer.get(f"/link-filings/proofs/{id_}/remove")
        await filer.post(f"/link-filings/proofs/{id_}/remove", {"confirmed": "1"})
    assert await site.db.fetchval("SELECT count(*) FROM filed_link_proof") == 0
