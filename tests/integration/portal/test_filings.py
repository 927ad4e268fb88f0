"""Filed links as pages: what is filed there holds for sending, carrier by carrier, and for whose messages."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from browsing import Browser
from portal_site import Site, by_test, with_keeper
from visits import lacking, signed_in

from smsgw.core.permissions import Permission as P
from smsgw.platform.url_filings import queries, service


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with with_keeper(dsn, tmp_path, P.FILING_VIEW, P.FILING_EDIT, P.FILING_DECIDE) as site:
        yield site


def shown(page: str) -> list[str]:
    return list(dict.fromkeys(re.findall(r'href="/link-filings/([0-9]+)"', page)))


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
        (id_,) = shown(await boss.get("/link-filings"))
        assert not lacking(await boss.get(f"/link-filings/{id_}"), "hall.example.cn/act", "&lt;b&gt;首页&lt;/b&gt;")
        answer = {"carriers": "CMCC", "state": "registered", "note": "工单 5"}
        assert "状态设为“通过”" in await boss.post(f"/link-filings/{id_}/register", answer)
        await boss.post(f"/link-filings/{id_}/register", answer | {"confirmed": "1"})
        one = await queries.one(site.db, int(id_), accounts=None)
        assert {c: said.state.value for c, said in one.carriers.items()} == {
            "CMCC": "registered", "CUCC": "pending", "CTCC": "pending", "CBN": "pending",
        }  # fmt: skip
        assert "CMCC 工单 5" in await boss.get(f"/link-filings/{id_}")
        for query, found in {"target=example": [id_], "target=other": [], f"account={hall}": [id_], "icp=京ICP": [id_],
                             "state=registered": [id_], "carrier=CUCC&state=registered": [],
                             "carrier=CUCC&state=pending": [id_], "state=refused": []}.items():  # fmt: skip
            assert shown(await boss.get(f"/link-filings?{query}")) == found, query
        assert "将删除 1 条报备（hall.example.cn/act）" in await boss.post("/link-filings/-/effect/remove", {"id": id_})
        await boss.post("/link-filings/-/do/remove", {"id": id_})
        assert await site.db.fetchval("SELECT count(*) FROM filed_link") == 0


async def test_one_files_for_ones_own_accounts_and_sees_what_holds_for_all(site: Site) -> None:
    hall = site.accounts["hall"]
    own, all_ = [(await service.file(by_test(site.db), account, f"a{account}.example.cn")).id for account in (hall, 0)]
    async with signed_in(site, "hall-op") as filer:
        assert set(shown(await filer.get("/link-filings"))) == {str(own), str(all_)}
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
    own, all_ = [(await service.file(by_test(site.db), account, f"a{account}.example.cn")).id for account in (hall, 0)]

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
