"""How signatures stand with carriers: entered with number and end, found by state and end, sums, export."""

from __future__ import annotations

import asyncio
import html
from datetime import date, timedelta

import pytest
import pytest_asyncio
from browsing import Browser, shows
from changes import by_test
from databases import change
from portal_site import Site
from visits import actions, add_role, boss, fails

from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.core.templates import Registration, Review
from smsgw.platform.content import matrix, proofs, queries, service
from smsgw.platform.content.model import SIGN, Answer, WantedCells
from smsgw.platform.content.reminders import Reminders
from smsgw.platform.files.proofs import MOST
from smsgw.platform.paging import Window
from smsgw.platform.sheets.service import Sheets
from smsgw.runtime import clock

__all__ = ["boss"]
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
pytestmark = pytest.mark.staff(boss="super")


@pytest_asyncio.fixture
async def site(site: Site) -> Site:
    await add_role(site, "keeper", [Permission.SIGN_VIEW, Permission.SIGN_EDIT], people={"hall-op": "hall"})
    return site


async def signed(site: Site, account: str, sign: str) -> int:
    return await service.add_sign(by_test(site.db, site.ids.next), site.accounts[account], sign)


async def answered(site: Site, id_: int, carriers: list[str], state: Registration, days: int | None = None) -> None:
    ends = None if days is None else clock.now() + timedelta(days=days)
    answer = Answer(state, "", f"BA-{id_}", date(2026, 1, 2), ends)
    await service.register(by_test(site.db, site.ids.next), SIGN, id_, carriers, answer)


async def test_each_answer_of_a_carrier_has_its_number_and_its_end(site: Site, boss: Browser) -> None:
    id_ = await signed(site, "hall", "政务大厅")
    form = {"carriers": ["CMCC", "CUCC"], "registration": "registered", "code": "YD-2026-7", "note": "",
            "answered_on": "2099-01-01", "until_day": "2020-01-01"}  # fmt: skip
    await boss.refused(f"/signs/{id_}/register", form, "不能晚于今天", "须为今天或以后的日期")
    form |= {"answered_on": "2026-03-04", "until_day": "2099-12-31"}
    await boss.post(f"/signs/{id_}/register", form | {"confirmed": "1"})
    shows(await boss.get("/signs/carriers?carrier=CMCC"), "YD-2026-7", "2026-03-04", "2099-12-31", "已报备")
    page = await boss.get(f"/signs/{id_}/register?of=CUCC")
    shows(page, 'value="YD-2026-7"', 'value="2099-12-31"', no='value="expired"')
    entry = await queries.get(site.db, SIGN, id_, accounts=None)
    stands = [entry.carriers[carrier].state.value for carrier in ("CMCC", "CUCC", "CTCC", "CBN")]
    assert stands == ["registered", "registered", "pending", "pending"]
    assert entry.carriers["CUCC"].answered_on == date(2026, 3, 4)


async def test_cells_are_found_by_state_and_by_their_end(site: Site) -> None:
    hall, clinic = await signed(site, "hall", "甲签名"), await signed(site, "clinic", "乙签名")
    for sign, carrier, days in ((hall, "CMCC", 5), (hall, "CUCC", 40), (clinic, "CMCC", 1)):
        await answered(site, sign, [carrier], Registration.REGISTERED, days)
    await answered(site, hall, ["CTCC"], Registration.SUBMITTED)
    await site.db.execute("UPDATE registration SET expires_at = now() - interval '1 s' WHERE id = $1", clinic)

    async def found(wanted: WantedCells, accounts: list[int] | None = None) -> list[tuple[str, str]]:
        got = await matrix.search(site.db, wanted, Window("name", descending=False), accounts=accounts)
        sums = await matrix.sums(site.db, wanted, 100, accounts=accounts)
        assert sums.cells == len(got.rows) == sum(sums[1:])
        return [(cell.name[0], cell.carrier) for cell in got.rows]

    assert len(await found(WantedCells())) == 8
    assert len(await found(WantedCells(), [site.accounts["hall"]])) == 4
    over = [("乙", "CMCC")]
    for wanted, cells in (
        (WantedCells(state="expired"), over), (WantedCells(state="submitted"), [("甲", "CTCC")]),
        (WantedCells(state="registered"), [("甲", "CMCC"), ("甲", "CUCC")]),
        (WantedCells(within_days=7), [*over, ("甲", "CMCC")]), (WantedCells(within_days=0), over),
        (WantedCells(code=f"BA-{clinic}"), over),
        (WantedCells(carrier="CBN", state="pending"), [("乙", "CBN"), ("甲", "CBN")]),
    ):  # fmt: skip
        assert await found(wanted) == cells, wanted
    got = await matrix.search(site.db, WantedCells(), Window(limit=100), accounts=None)
    for cell in got.rows:
        assert await matrix.one(site.db, cell.id, accounts=None) == cell
        foreign = await matrix.one(site.db, cell.id, accounts=[site.accounts["hall"]])
        assert (foreign is None) == (cell.sign_id == clinic)


async def bring(browser: Browser, sign: int, name: str, content: bytes, **fields: str) -> str:
    said = {"kind": "license", "carrier": ""} | fields
    return html.unescape(await browser.send_file(f"/signs/{sign}/proofs", content, name, **said))


async def test_documents_are_brought_looked_at_and_taken_away(site: Site, boss: Browser) -> None:
    id_, _other = await signed(site, "hall", "政务大厅"), await signed(site, "clinic", "门诊部")
    assert "还没有材料" in await boss.get(f"/signs/{id_}/proofs")
    page = await bring(boss, id_, "../../执照<b>.png", PNG)
    assert (boss.status, "执照<b>.png" in page, "营业执照" in page) == (200, True, True)
    await bring(boss, id_, "授权.pdf", b"%PDF-1.4\n", kind="authorization", carrier="CMCC")
    for name, content, fields in (
        ("x.svg", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", {}),
        ("x.png", b"<html><script>alert(1)</script>", {}), ("x.png", PNG, {"kind": "virus"}),
        ("x.png", PNG, {"carrier": "NONE"}), ("", b"", {}), ("x.pdf", bytes(11 * 1024 * 1024), {}),
    ):  # fmt: skip
        await bring(boss, id_, name, content, **fields)
        assert boss.status == (413 if len(content) > MOST else 422), (name, fields)
    brought = await proofs.DOCUMENTS.of(site.db, id_, accounts=None)
    known = [("license", "", "执照<b>.png"), ("authorization", "CMCC", "授权.pdf")]
    assert [(one.kind, one.carrier, one.name) for one in brought] == known
    cells = (await matrix.search(site.db, WantedCells(sign="政务"), Window("id", False), accounts=None)).rows
    assert [cell.proofs for cell in cells] == [2, 1, 1, 1]
    assert await boss.octets(f"/signs/proofs/{brought[0].id}") == PNG
    assert (boss.headers["Content-Type"], boss.headers["X-Content-Type-Options"]) == ("image/png", "nosniff")
    await boss.octets(f"/signs/proofs/{brought[1].id}")
    assert boss.headers["Content-Disposition"].startswith("attachment")
    assert "将删除签名【政务大厅】的营业执照" in await boss.get(f"/signs/proofs/{brought[0].id}/remove")
    assert await boss.led_to(f"/signs/proofs/{brought[0].id}/remove", {"confirmed": "1"}) == f"/signs/{id_}/proofs"
    assert [one.id for one in await proofs.DOCUMENTS.of(site.db, id_, accounts=None)] == [brought[1].id]
    done = ["proof", "proof", "proof_read", "proof_read", "proof_remove"]
    assert await actions(site, "sign.proof") == [f"sign.{one}" for one in done]


async def test_what_cannot_have_a_document_stores_none(site: Site) -> None:
    id_ = await signed(site, "hall", "政务大厅")
    store, by = site.surveyor.tasks.files.store, by_test(site.db)

    async def brought(carrier: str = "") -> int:
        incoming = await store.receive(proofs.DOCUMENTS.kind(site.db), None, len(PNG), "a.png")
        incoming.path.write_bytes(PNG)
        return await proofs.DOCUMENTS.keep(by, store, id_, proofs.Kind.LICENSE, carrier, incoming)

    first = await brought()
    removed = (proofs.DOCUMENTS.remove(by_test(site.db), first) for _ in range(2))
    results = await asyncio.gather(*removed, return_exceptions=True)
    assert sum(isinstance(one, Refused) for one in results) == 1, results
    assert await site.db.fetchval("SELECT count(*) FROM audit WHERE action = 'sign.proof_remove'") == 1
    await fails(Invalid, brought("NONE"))
    await site.db.execute("UPDATE sign SET stopped_at = now() WHERE id = $1", id_)
    await fails(Refused, brought(), "停用")
    assert await site.db.fetchval("SELECT count(*) FROM file") == 1


async def test_a_document_outlives_the_sweep_as_long_as_it_is_meant(site: Site, boss: Browser) -> None:
    id_ = await signed(site, "hall", "政务大厅")
    for name in ("甲.png", "乙.png"):
        await bring(boss, id_, name, PNG + name.encode())
    kept, gone = await proofs.DOCUMENTS.of(site.db, id_, accounts=None)
    await proofs.DOCUMENTS.remove(by_test(site.db), gone.id)
    await site.db.execute("UPDATE file SET expires_at = now() - interval '1 day'")
    await Sheets(site.db, site.surveyor.tasks.files.store).sweep()
    assert [row["id"] for row in await site.db.fetch("SELECT id FROM file")] == [kept.file_id]
    assert await boss.octets(f"/signs/proofs/{kept.id}") == PNG + "甲.png".encode()


async def test_people_are_reminded_once_at_each_distance(site: Site, boss: Browser) -> None:
    await site.add_staff("clinic-op", "keeper", "clinic")
    await site.add_staff("auditor", "auditor")
    id_ = await signed(site, "hall", "政务大厅")
    await service.review(by_test(site.db, site.ids.next), SIGN, id_, Review.APPROVED)
    await answered(site, id_, ["CMCC", "CUCC"], Registration.REGISTERED, 400)
    await answered(site, id_, ["CTCC"], Registration.REFUSED)
    reminders = Reminders(site.db)

    async def after(days: float) -> dict[str, list[str]]:
        at = clock.now() + timedelta(days=days)
        for table in ("registration", "sign_reminder"):  # what has been said is about the same end
            await change(site.db.dsn, f"UPDATE {table} SET expires_at = '{at.isoformat()}'")  # noqa: S608
        assert not await reminders.step()
        return await site.unread("sign")

    assert await after(31) == {}
    both = ["boss", "hall-op"]
    assert await after(29.5) == {who: ["sign.due30"] for who in both}
    assert await after(20) == {}, "once"
    assert await after(6.5) == {who: ["sign.due7"] for who in both}
    assert await after(0.5) == {who: ["sign.due1"] for who in both}
    assert not await Reminders(site.db).findings()
    assert await after(-0.1) == {who: ["sign.due0"] for who in both}
    assert await after(-3) == {}
    (finding,) = await Reminders(site.db).findings()
    assert (finding.kind, finding.object, "政务大厅" in str(finding.detail)) == ("sign_over", "account/hall", True)
    shows(html.unescape(await boss.get("/notices")), "签名或其报备已过期", "【政务大厅】在中国移动、中国联通的报备")
    await service.stop(by_test(site.db), SIGN, id_, stopped=True)
    assert not await Reminders(site.db).findings()


async def test_a_new_end_is_reminded_of_anew_and_the_nearest_distance_alone(site: Site) -> None:
    ends = clock.now() + timedelta(days=5)
    id_ = await service.add_sign(by_test(site.db), site.accounts["hall"], "政务大厅", expires_at=ends)
    await service.review(by_test(site.db, site.ids.next), SIGN, id_, Review.APPROVED)
    reminders = Reminders(site.db)
    await reminders.step()
    both = ("boss", "hall-op")
    assert await site.unread("sign") == {who: ["sign.due7"] for who in both}, "and not of the thirty days, too"
    await service.renew(by_test(site.db), id_, clock.now() + timedelta(days=20))
    await reminders.step()
    assert await site.unread("sign") == {who: ["sign.due30"] for who in both}
