"""Whose platform it is: brands by host, pictures, certificates; and the first run, from an empty database to a test."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
import zipfile
from collections.abc import AsyncIterator
from urllib.parse import unquote

import aiohttp
import pytest
from browsing import Browser, shows
from certificates import certified
from changes import by_test
from portal_site import PASSWORD, SEALER, Site
from visits import boss, fails

from smsgw.core.errors import Refused
from smsgw.platform.brand import queries, service
from smsgw.platform.channels import service as channels
from smsgw.platform.org import setup_code
from smsgw.store.config.channels import SECRET, profile_context

__all__ = ["boss"]
RED = b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9" fill="red"/><script>alert(1)</script></svg>'
CITY, BANK, OTHER = "sms.city.example", "sms.bank.example", "unknown.example"
CHIEF, BOSS = pytest.mark.staff(chief="super"), pytest.mark.staff(boss="super")


class Visitor:
    """A browser that comes to a host."""

    def __init__(self, session: aiohttp.ClientSession, site: Site, host: str) -> None:
        self._session, self._site, self._headers = session, site, {"Host": host} if host else {}

    async def get(self, path: str) -> tuple[int, str, aiohttp.ClientResponse]:
        async with self._session.get(self._site.url + path, headers=self._headers, allow_redirects=False) as answer:
            return answer.status, (await answer.read()).decode("utf-8", "replace"), answer

    async def file(self, path: str) -> tuple[str, bytes]:
        """What is at an address to be kept: its name and its octets."""
        async with self._session.get(self._site.url + path, headers=self._headers, allow_redirects=False) as answer:
            named = re.fullmatch(r"attachment; filename\*=UTF-8''(.+)", answer.headers["Content-Disposition"])
            return unquote(named[1]), await answer.read()

    async def post(self, path: str, at: str, /, file: bytes | None = None, **fields: str) -> tuple[int, str, str]:
        """The form at ``at``, sent to ``path``: status, text, where to."""
        token = re.search(r'name="csrf" value="([^"]+)"', (await self.get(at))[1])
        data: aiohttp.FormData | dict[str, str] = {"csrf": token[1]} | fields
        if file is not None:
            data = aiohttp.FormData()
            data.add_field("csrf", token[1])
            data.add_field("file", io.BytesIO(file), filename="x.png", content_type="image/png")
        url = self._site.url + path
        async with self._session.post(url, data=data, headers=self._headers, allow_redirects=False) as answer:
            return answer.status, await answer.text(), answer.headers.get("Location", "")


@contextlib.asynccontextmanager
async def visiting(site: Site, host: str = "", login: str = "") -> AsyncIterator[Visitor]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        visitor = Visitor(session, site, host)
        if login:
            assert (await visitor.post("/login", "/login", login=login, password=PASSWORD))[0] == 303
        yield visitor


async def published(site: Site, host: str, **look: str) -> int:
    change = by_test(site.db)
    id_ = await service.add(change, [host])
    await service.draft(change, id_, look)
    await service.publish(change, id_)
    await site.snapshots.follow()
    return id_


@CHIEF
async def test_each_host_shows_its_brand(site: Site) -> None:
    logo = await service.put_picture(by_test(site.db), RED)
    await published(site, CITY, name="城市短信", purchaser="某市大数据局", colour="#aa0000", logo=logo,
                    icp="京ICP备1号", footer="市民热线 12345", support_phone="010-1234", welcome="欢迎使用",
                    login_style="beside")  # fmt: skip
    await published(site, BANK, name="银行短信", colour="#ffd800")
    async with visiting(site, CITY) as city, visiting(site, BANK) as bank, visiting(site, OTHER) as other:
        page = (await city.get("/login"))[1]
        shows(page, "城市短信", "某市大数据局", f"/brand/{logo}", 'href="https://beian.miit.gov.cn/"', "京ICP备1号",
              "市民热线 12345", "010-1234", "欢迎使用")  # fmt: skip
        assert "银行短信" in (await bank.get("/login"))[1]
        neutral = (await other.get("/login"))[1]
        assert not re.search("城市短信|银行短信|某市|beian|/brand", neutral)
        assert "<title>登录 · 短信平台</title>" in neutral
        address = re.search(r'href="(/brand\.css[^"]+)"', page)
        _, style, answer = await city.get(address[1])
        assert "#aa0000" in style
        assert "immutable" in answer.headers["Cache-Control"]
        assert answer.content_type == "text/css"
        assert "--bs-btn-color:#000000" in (await bank.get("/brand.css"))[1], "ink that can be read on yellow"
        assert (await other.get("/brand.css"))[1] == ""


async def test_pictures_do_nothing_and_are_only_those_that_are_shown(site: Site) -> None:
    change = by_test(site.db)
    shown = await service.put_picture(change, RED)
    hidden = await service.put_picture(change, RED.replace(b"red", b"blue"))
    await published(site, CITY, name="城市", logo=shown)
    async with visiting(site, CITY) as city:
        status, text, answer = await city.get(f"/brand/{shown}")
        assert (status, answer.content_type) == (200, "image/svg+xml")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; style-src 'unsafe-inline'; sandbox"
        assert "immutable" in answer.headers["Cache-Control"]
        assert "script" not in text
        assert (await city.get(f"/brand/{hidden}"))[0] == 404
        assert (await city.get("/brand/..%2f..%2fetc"))[0] == 404
        assert (await city.get("/favicon.ico"))[2].headers["Location"] == f"/brand/{shown}"


@CHIEF
async def test_a_brand_is_made_looked_at_and_published(site: Site) -> None:
    async with visiting(site, login="chief") as chief:
        status, _, place = await chief.post("/platform", "/platform", hosts=f"{CITY}\nwww.{CITY}")
        assert status == 303
        fields = {"name": "城市短信", "purchaser": "某市", "colour": "#0b5cab", "login_style": "centred"}
        assert (await chief.post(place, place, **fields))[0] == 303
        status, text, _ = await chief.post(place, place, **fields | {"colour": "red"})
        assert status == 422
        assert "#rrggbb" in text
        # What is no picture, or too large, is refused.
        assert (await chief.post(f"{place}/picture/logo", place, file=b"<html><script>1</script></html>"))[0] == 303
        assert "toast-bad" in (await chief.get(place))[1]
        assert (await chief.post(f"{place}/picture/logo", place, file=b"x" * (1024 * 1024 + 20_000)))[0] == 413
        assert (await chief.post(f"{place}/picture/logo", place, name="no file"))[0] == 400
        (brand,) = await queries.brands(site.db)
        assert brand.draft.logo == ""
        assert (await chief.post(f"{place}/picture/logo", place, file=RED))[0] == 303
        (brand,) = await queries.brands(site.db)
        assert (brand.draft.name, len(brand.draft.logo), brand.published) == ("城市短信", 64, None)
        shows((await chief.get(f"{place}/preview"))[1], "草稿预览", f"/platform/-/picture/{brand.draft.logo}")
        assert "#0b5cab" in (await chief.get(f"/platform/-/style/{brand.id}"))[1]
        assert "某市" in (await chief.get(f"{place}/preview/inside"))[1]
        assert CITY in (await chief.get(f"{place}/publish"))[1]
        assert (await chief.post(f"{place}/publish", f"{place}/publish"))[0] == 303
        await site.snapshots.follow()
        async with visiting(site, CITY) as visitor:
            assert "城市短信" in (await visitor.get("/login"))[1]
        await chief.post(place, place, **fields | {"name": "新名称"})
        await chief.post(f"{place}/discard", f"{place}/discard")
        (brand,) = await queries.brands(site.db)
        assert not brand.changed
        await chief.post(f"{place}/remove", f"{place}/remove")
        assert await queries.brands(site.db) == []


async def exported(chief: Visitor, format_: str) -> tuple[str, bytes]:
    """The audit log as a file: its name and what is in it."""
    fields = {"q": "", "reason": "核对名称", "format": format_}
    status, _, job = await chief.post("/audit/-/export", "/audit", **fields)
    assert (status, job.startswith("/jobs/")) == (303, True), job
    async with asyncio.timeout(60):
        while True:
            if "data-again" not in (await chief.get(job))[1]:
                break
            await asyncio.sleep(0.05)
    status, _, address = await chief.post(f"{job}/link", job)
    assert status == 303
    return await chief.file(address)


@CHIEF
async def test_what_leaves_a_host_has_its_brand(site: Site) -> None:
    await published(site, CITY, name="城市短信", purchaser="某市大数据局")
    await published(site, BANK, name="银行短信")
    for host, name, whole in ((CITY, "城市短信", "城市短信 · 某市大数据局"), (BANK, "银行短信", "银行短信"),
                              (OTHER, "短信平台", "短信平台")):  # fmt: skip
        async with visiting(site, host, "chief") as chief:
            file, octets = await exported(chief, "csv")
            assert file.startswith(f"{name}-审计日志-"), file
            mark = octets.decode("utf-8-sig").splitlines()[-1]
            shows(mark, whole, "核对名称")
            file, octets = await exported(chief, "xlsx")
            assert file.startswith(f"{name}-审计日志-"), file
            with zipfile.ZipFile(io.BytesIO(octets)) as book:
                about = book.read("docProps/core.xml").decode()
                sheet = book.read("xl/worksheets/sheet1.xml").decode()
            assert f"<dc:title>{whole} · 审计日志</dc:title>" in about
            head, foot = (re.search(f"<odd{at}>(.*?)</odd{at}>", sheet) for at in ("Header", "Footer"))
            assert f"{whole} · 审计日志" in head[1], "on every sheet of paper"
            assert whole in foot[1]
            for other in {"城市短信", "银行短信", "某市大数据局", "短信平台"} - {name, *whole.split(" · ")}:
                assert other not in "".join((mark, file, about, head[1], foot[1]))


@CHIEF
async def test_a_certificate_says_what_is_wrong_with_it(site: Site) -> None:
    id_ = await service.add(by_test(site.db), [CITY, BANK])
    place = f"/platform/{id_}"
    chain, key = certified(CITY)
    async with visiting(site, login="chief") as chief:
        assert (await chief.post(f"{place}/certificate", place, chain=chain, key="junk"))[0] == 422
        status, _, onward = await chief.post(f"{place}/certificate", place, chain=chain, key=key)
        assert (status, onward.partition("#")[0]) in {(303, place)}, onward
        page = (await chief.get(place))[1]
        assert re.search(f"证书不含这些域名[^<]*{BANK}", page)
        assert "PRIVATE KEY" not in page


WHO = {"login": "chief", "name": "Chief", "password": PASSWORD, "again": PASSWORD}


async def shown(visitor: Visitor, site: Site) -> None:
    code = await setup_code.waiting(site.db, SEALER)
    assert (await visitor.post("/setup", "/setup", code=code.lower().replace("-", " ")))[0] == 303


@pytest.mark.usefixtures("standing")
async def test_nobody_enters_without_the_code(site: Site) -> None:
    async with visiting(site) as stranger:
        assert (await stranger.get("/login"))[2].headers["Location"] == "/setup"
        for page in ("/setup/brand", "/setup/administrator"):
            assert (await stranger.get(page))[2].headers["Location"] == "/setup"
        assert (await stranger.post("/setup/administrator", "/setup", **WHO))[2] == "/setup"
        assert (await stranger.post("/setup/brand", "/setup", name="x", colour="#000000"))[2] == "/setup"
        answers = [(await stranger.post("/setup", "/setup", code="AAAA-BBBB-CCCC-DDDD"))[0] for _ in range(8)]
        assert (answers[0], answers[-1]) == (401, 429), "few tries"
        assert await site.db.fetchval("SELECT count(*) FROM staff") == 0
        assert await site.db.fetchval("SELECT count(*) FROM brand") == 0
        # Nobody is kept out who has the right one, from the same address, as behind a proxy.
        async with visiting(site) as chief:
            await shown(chief, site)
            assert (await chief.get("/setup/administrator"))[0] == 200
        assert (await stranger.get("/setup/administrator"))[2].headers["Location"] == "/setup"


async def test_the_first_run_ends_with_the_administrator(site: Site) -> None:
    async with visiting(site) as chief:
        await shown(chief, site)
        brand = {"name": "城市短信", "purchaser": "某市", "colour": "#aa0000"}
        for _ in range(2):  # back, and on again
            assert (await chief.post("/setup/brand", "/setup/brand", **brand))[2] == "/setup/administrator"
        weak = WHO | {"password": "chief12345", "again": "chief12345"}
        assert (await chief.post("/setup/administrator", "/setup/administrator", **weak))[0] == 422
        assert (await chief.post("/setup/administrator", "/setup/administrator", **WHO))[2] == "/setup/channel"
        assert (await chief.get("/staff"))[0] == 200
        for page in ("/setup", "/setup/brand", "/setup/administrator"):
            assert (await chief.get(page))[0] == 404
    await site.snapshots.follow()
    async with visiting(site) as other:
        assert "城市短信" in (await other.get("/login"))[1]
        assert (await other.get("/setup"))[0] == 404
    assert await setup_code.waiting(site.db, SEALER) == ""
    await site.db.execute("UPDATE staff SET status = 'removed'")
    assert await setup_code.waiting(site.db, SEALER) == "", "it is gone for good"


async def test_two_browsers_make_one_administrator(site: Site) -> None:
    async with visiting(site) as one, visiting(site) as other:
        await shown(one, site)
        await shown(other, site)
        page = "/setup/administrator"
        answers = await asyncio.gather(one.post(page, page, **WHO), other.post(page, page, **WHO | {"login": "second"}))
    assert sorted(status for status, _, _ in answers) == [303, 404]
    assert await site.db.fetchval("SELECT count(*) FROM staff") == 1


REAL = {"name": "mobile-1", "host": "192.0.2.1", "port": "7890", "username": "900001", "password": "se cret",
        "rate": "0", "connections": "1", "window": "16"}  # fmt: skip
SIMULATE = "/setup/channel/new/simulated"


@BOSS
async def test_a_simulated_channel_stands_in_and_goes_when_a_real_one_comes(site: Site, boss: Browser) -> None:
    # One that is wrong is told at its fields, and makes nothing.
    page = await boss.refusal("/setup/channel/new/sgip12", REAL | {"name": "x y", "port": "0", "sgip_listen": "8801"})
    for field in ("name", "port", "sgip_listen", "node"):
        assert f'id="{field}-problem"' in page, field
    assert "se cret" not in page
    assert 'id="name-problem"' in await boss.refusal("/setup/channel/new/cmpp30", REAL | {"name": "mobile-a"})
    assert await site.db.fetchval("SELECT count(*) FROM channel WHERE id > 0") == 1
    assert "不能同时启用" in await boss.refusal(SIMULATE, {})
    await site.db.execute("UPDATE channel SET desired = 'stopped', version = nextval('config_version')")
    page = await boss.post(SIMULATE, {})
    assert boss.path == "/setup/channel"
    assert "不会到达任何手机" in page
    page = await boss.post("/setup/channel/new/cmpp30", REAL)
    assert boss.path == "/setup/channel"
    assert "仿真通道已停用" in page
    rows = await site.db.fetch("SELECT name, desired, host, profile FROM channel WHERE id > 0 ORDER BY name")
    assert {r["name"]: r["desired"] for r in rows} == {"mobile-1": "started", "mobile-a": "stopped",
                                                       "simulated": "stopped"}  # fmt: skip
    assert [r["name"] for r in rows if json.loads(r["profile"]).get("simulated")] == ["simulated"]


@BOSS
async def test_a_channel_is_mended_and_keeps_what_the_form_does_not_say(site: Site, boss: Browser) -> None:
    profile = {"keepalive": 20, SECRET: "gateway's", "node": 3021012345, "sgip_listen": "0.0.0.0:8801"}
    fields = {"protocol": "sgip12", "host": "192.0.2.1", "port": 8801, "username": "u", "password": "p",
              "profile": profile, "desired": "stopped"}  # fmt: skip
    id_ = await channels.add(by_test(site.db), SEALER, "unicom", fields)
    page = await boss.get(f"/setup/channel/{id_}")
    assert 'value="3021012345"' in page
    assert "gateway" not in page.partition("<form")[2].partition("</form>")[0].replace("gateway-", "")
    form = {"host": "192.0.2.2", "port": "8801", "username": "u", "rate": "0", "connections": "1", "window": "16",
            "node": "3021012346", "sgip_listen": "0.0.0.0:8801"}  # fmt: skip
    page = await boss.post(f"/setup/channel/{id_}", form)
    assert (boss.status, "请重新填写接入密码" in page) == (422, True), "the stored one goes nowhere else"
    assert await boss.status_of(f"/setup/channel/{id_}", form | {"host": "192.0.2.1", "port": "8802"}) == 422
    await boss.post(f"/setup/channel/{id_}", form | {"password": "new"})
    assert boss.path == "/setup/channel"
    await boss.post(f"/setup/channel/{id_}", form)
    assert boss.path == "/setup/channel", "with the same address it is kept"
    row = await site.db.fetchrow("SELECT host, profile FROM channel WHERE id = $1", id_)
    stored = json.loads(row["profile"])
    assert (row["host"], stored["node"], stored["keepalive"]) == ("192.0.2.2", 3021012346, 20)
    assert SEALER.open(bytes.fromhex(stored[SECRET]), profile_context("unicom")) == "gateway's"


async def test_real_and_simulated_never_run_together_whoever_starts_them(site: Site) -> None:
    fields = {"protocol": "cmpp30", "host": "localhost", "port": 7890, "username": "u", "password": "",
              "profile": {"simulated": True}}  # fmt: skip
    await fails(Refused, channels.add(by_test(site.db), SEALER, "simulated", fields), code="STATE_CONFLICT")
    await channels.add(by_test(site.db), SEALER, "simulated", fields | {"desired": "stopped"})
    await fails(Refused, channels.edit(by_test(site.db), SEALER, "simulated", {"desired": "started"}))
    await channels.edit(by_test(site.db), SEALER, "mobile-a", {"desired": "draining"})
    await channels.edit(by_test(site.db), SEALER, "simulated", {"desired": "started"})


@BOSS
async def test_account_signature_and_test_message(site: Site, boss: Browser) -> None:
    assert "初始化清单" in await boss.get("/")
    account = str(site.accounts["hall"])
    form = {"account": account, "sign": "政务服务", "registered": "CMCC", "login_codes": "1"}
    assert await boss.status_of("/setup/sign", form | {"sign": "政 务"}) == 422
    page = await boss.post("/setup/sign", form)
    assert boss.path == "/setup/test"
    assert "审核通过" in page
    assert "已申请" in await boss.post("/setup/sign", form)
    assert await boss.status_of("/setup/test", {"account": account, "number": "12", "content": "您好"}) == 422
    page = await boss.post("/setup/test", {"account": account, "number": "13800138000", "content": "您好"})
    assert boss.path.startswith("/setup/test/")
    assert "【政务服务】您好" in page
    await site.carrier_reports(await site.carrier_takes())
    assert "运营商报告短信已送达手机" in await boss.get(boss.path)
    await boss.post("/setup/hide", {})
    assert "初始化清单" not in await boss.get("/")
