"""Whose platform it is, in the browser's eyes: brands by host, drafts, pictures, certificates."""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import zipfile
from collections.abc import AsyncIterator
from urllib.parse import unquote

import aiohttp
import pytest
from certificates import certified
from changes import by_test
from portal_site import PASSWORD, Site
from visits import lacking

from smsgw.platform.brand import queries, service

RED = b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9" fill="red"/><script>alert(1)</script></svg>'
CITY, BANK, OTHER = "sms.city.example", "sms.bank.example", "unknown.example"


pytestmark = pytest.mark.staff(chief="super", clerk=("operator", "hall"))


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


async def test_each_host_shows_its_brand(site: Site) -> None:
    logo = await service.put_picture(by_test(site.db), RED)
    await published(site, CITY, name="城市短信", purchaser="某市大数据局", colour="#aa0000", logo=logo,
                    icp="京ICP备1号", footer="市民热线 12345", support_phone="010-1234", welcome="欢迎使用",
                    login_style="beside")  # fmt: skip
    await published(site, BANK, name="银行短信", colour="#ffd800")
    async with visiting(site, CITY) as city, visiting(site, BANK) as bank, visiting(site, OTHER) as other:
        page = (await city.get("/login"))[1]
        assert not lacking(page, "城市短信", "某市大数据局", f"/brand/{logo}", 'href="https://beian.miit.gov.cn/"',
                           "京ICP备1号", "市民热线 12345", "010-1234", "欢迎使用")  # fmt: skip
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


async def test_a_brand_is_made_looked_at_and_published(site: Site) -> None:
    async with visiting(site, login="chief") as chief:
        status, _, place = await chief.post("/platform", "/platform", hosts=f"{CITY}\nwww.{CITY}")
        assert status == 303
        fields = {"name": "城市短信", "purchaser": "某市", "colour": "#0b5cab", "login_style": "centred"}
        assert (await chief.post(place, place, **fields))[0] == 303
        status, text, _ = await chief.post(place, place, **fields | {"colour": "red"})
        assert status == 422
        assert "#rrggbb" in text
        assert (await chief.post(f"{place}/picture/logo", place, file=RED))[0] == 303
        (brand,) = await queries.brands(site.db)
        assert (brand.draft.name, len(brand.draft.logo), brand.published) == ("城市短信", 64, None)
        preview = (await chief.get(f"{place}/preview"))[1]
        assert "草稿预览" in preview
        assert f"/platform/-/picture/{brand.draft.logo}" in preview
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


async def test_what_leaves_a_host_has_its_brand(site: Site) -> None:
    await published(site, CITY, name="城市短信", purchaser="某市大数据局")
    await published(site, BANK, name="银行短信")
    for host, name, whole in (
        (CITY, "城市短信", "城市短信 · 某市大数据局"), (BANK, "银行短信", "银行短信"), (OTHER, "短信平台", "短信平台"),
    ):  # fmt: skip
        async with visiting(site, host, "chief") as chief:
            file, octets = await exported(chief, "csv")
            assert file.startswith(f"{name}-审计日志-"), file
            mark = octets.decode("utf-8-sig").splitlines()[-1]
            assert whole in mark
            assert "核对名称" in mark
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


async def test_what_is_no_picture_or_too_large_is_refused(site: Site) -> None:
    id_ = await service.add(by_test(site.db), [CITY])
    place = f"/platform/{id_}"
    async with visiting(site, login="chief") as chief:
        assert (await chief.post(f"{place}/picture/logo", place, file=b"<html><script>1</script></html>"))[0] == 303
        assert "toast-bad" in (await chief.get(place))[1]
        assert (await chief.post(f"{place}/picture/logo", place, file=b"x" * (1024 * 1024 + 20_000)))[0] == 413
        assert (await chief.post(f"{place}/picture/logo", place, name="no file"))[0] == 400
        (brand,) = await queries.brands(site.db)
        assert brand.draft.logo == ""


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
