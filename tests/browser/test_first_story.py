"""From an empty database to a person who sees what the role allows and no more, in a real browser: with the mouse, and
with the keyboard alone. A code by SMS goes through the lane of login codes and is read at the carrier."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from hands import Hand, Keyboard, Mouse
from nodes import Node, carrier, empty_node, until
from playwright.async_api import Browser, Page, expect
from portal_walk import open_to_all
from windows import DESKTOP, opened

from smsgw.admin.app import routes
from smsgw.admin.kit.discovery import entries
from smsgw.admin.rights import Open
from smsgw.core import totp
from smsgw.platform.org import setup_code
from smsgw.runtime import clock
from smsgw.runtime.config import HttpConfig
from smsgw.simulator import Behaviour, Delay

PASSWORD, LATER = "Right-Horse-7", "Blue-Staple-29"
RIGHTS = ("home.view", "message.send", "message.view")
ABLE = {*RIGHTS, "self.edit"}
"""With what is everybody's own."""
MENU = {entry.path for entry in entries() if entry.permission in ABLE}
PHONE = "13800138000"
FIRST_RUN_SECONDS = 600.0
"""At most, from the first page to the test message on a phone: what is promised to who installs it."""


@pytest_asyncio.fixture(loop_scope="module")
async def empty(dsn: str, tmp_path: Path) -> AsyncIterator[Node]:
    """A node on an empty database, and the carrier that its channel will lead to."""
    slow = carrier(behaviour=Behaviour(answer_delay=Delay(0.01, 0.03), report_delay=Delay(0.1, 0.3)))
    http = HttpConfig(listen="127.0.0.1:0", insecure_bearer=True)
    async with empty_node(dsn, tmp_path, slow, http=http) as made:
        yield made


async def code(empty: Node) -> str:
    """The first run's code, as ``smsgwctl setup-code`` tells it."""
    return await setup_code.waiting(empty.db, empty.daemon.node.sealer)


async def sms(empty: Node, text: str) -> re.Match[str]:
    """What the newest message to the phone says, once it has come."""
    return await until(lambda: next(filter(None, (re.search(text, one) for one in reversed(empty.texts(PHONE)))), None))


async def at(page: Page, path: str) -> None:
    await page.wait_for_url(re.compile(rf"//[^/]+{path}$"))


async def asks_for(hand: Hand, path: str) -> None:
    """By the menu, whose group is opened first: the first one, where another has a shortcut to the same page."""
    link = f"#menu a[href='{path}'] >> nth=0"
    if not await hand.page.locator(link).is_visible():
        await hand.press(f"#menu details:has(a[href='{path}']) summary >> nth=0")
    await hand.press(link)


async def goes(hand: Hand, path: str) -> None:
    """By the menu, to a page that opens."""
    await asks_for(hand, path)
    await at(hand.page, path)


SEND = ".kit-form button[type=submit]"


async def first_run(hand: Hand, empty: Node) -> None:
    """Code, brand, administrator, channel, account and signature, a message that arrives."""
    page = hand.page
    await page.goto("/")
    await at(page, "/setup")
    await open_to_all(page, "the code")
    await hand.fill("#code", await code(empty))
    await hand.press(".entry-form button[type=submit]")
    await at(page, "/setup/brand")
    await open_to_all(page, "the brand")
    await hand.fill("#name", "城市短信")
    await hand.press(".entry-form button[type=submit]")
    await at(page, "/setup/administrator")
    await open_to_all(page, "the administrator")
    for field, text in (("#login", "chief"), ("#password", PASSWORD), ("#again", LATER)):
        await hand.fill(field, text)
    await hand.press(".entry-form button[type=submit]")
    await expect(page.locator(".entry-form [role=alert]")).to_be_visible()
    await open_to_all(page, "a wrong administrator")
    for field, text in (("#password", PASSWORD), ("#again", PASSWORD)):
        await hand.fill(field, text)
    await hand.press(".entry-form button[type=submit]")
    await at(page, "/setup/channel")
    await hand.press("a[href='/setup/channel/new/cmpp30']")
    for field, text in (
        ("#name", "mobile-1"), ("#host", "127.0.0.1"), ("#port", str(empty.carrier.port)), ("#username", "900001"),
        ("#password", "secret"),
    ):  # fmt: skip
        await hand.fill(field, text)
    await hand.press(SEND)
    await expect(page.locator("#channels")).to_contain_text("已登录运营商网关")
    await hand.press(".page-buttons a[href='/setup/sign']")
    await hand.fill("#display_name", "政务大厅")
    await hand.fill("#sign", "市政服务")
    await hand.press(SEND)
    await at(page, "/setup/test")
    await hand.fill("#number", PHONE)
    await hand.press(SEND)
    await expect(page.locator(".verdict .state")).to_have_text("成功")
    assert (await sms(empty, "这是一条测试短信")).string.startswith("【市政服务】")
    await hand.press(".page-buttons a[href='/']")
    await expect(page.locator("h1")).to_have_text("工作台")
    await expect(page.locator("#first-run")).to_have_count(0)  # nothing is left to do


async def binds_an_app(hand: Hand) -> bytes:
    """Rights are given by who has shown an app or a passkey; its secret."""
    page = hand.page
    await hand.press(".person summary")
    await hand.press(".person-menu a[href='/me/security']")
    await hand.press("form[action='/me/app'] button")
    secret = base64.b32decode((await page.locator("code.secret").inner_text()).replace(" ", ""))
    await hand.fill("#shown", totp.code_at(secret, int(clock.time()) // totp.STEP))
    await hand.press("form[action='/me/app/confirm'] button[type=submit]")
    await at(page, "/me/security")
    return secret


async def shows_it(hand: Hand, secret: bytes) -> None:
    """The next code: each is good once."""
    await hand.fill("#proof-shown", totp.code_at(secret, int(clock.time()) // totp.STEP + 1))
    await hand.press("form[action='/proof'] button.btn-primary")


async def a_person(hand: Hand) -> str:
    """A department, a role with three rights that wants a code, a person with it; the one-time password."""
    page = hand.page
    await goes(hand, "/departments")
    await hand.press(":nth-match(a[href='/departments/-/new'], 1)")  # the empty list offers it, too
    await hand.fill("#name", "信息中心")
    await hand.press(SEND)
    await at(page, r"/departments/\d+")
    secret = await binds_an_app(hand)
    await goes(hand, "/roles")
    await hand.press("a[href='/roles/-/new']")
    await shows_it(hand, secret)
    await hand.fill("#code", "clerk")
    await hand.fill("#name", "窗口")
    await hand.choose("#scope", "all")
    for right in RIGHTS:
        await hand.tick(f"input[value='{right}']")
    await hand.press(SEND)
    await at(page, r"/roles(/\d+)?")
    await goes(hand, "/security")
    await hand.press(".page-tabs a[href='/security/login']")
    role = "details:has(input[value=clerk])"
    await hand.press(f"{role} summary")
    await hand.tick(f"{role} input[name=factors][value=sms]")
    await hand.press(f"{role} button[type=submit]")
    await expect(page.locator(f"{role} summary .tag")).to_have_count(1)
    await goes(hand, "/staff")
    await hand.press("a[href='/staff/-/new']")
    await hand.fill("#login", "li")
    await hand.fill("#name", "李明")
    await hand.choose("#department", str(await page.locator("#department option").nth(1).get_attribute("value")))
    await hand.fill("#phone", PHONE)
    await hand.tick("input[name=role][value=clerk]")
    await hand.press(SEND)
    password = await page.locator(".one-time").inner_text()
    await open_to_all(page, "the one-time password")
    await hand.press(".form-buttons a")
    return password


async def enters(hand: Hand, empty: Node, password: str) -> None:
    """The person logs in with password and code, and makes a password of their own."""
    page = hand.page
    await page.goto("/")
    await at(page, "/login")
    await hand.fill("#login", "li")
    await hand.fill("#password", password)
    await hand.press("form.entry-form button[type=submit]")
    await hand.press("form.way button")
    await expect(page.locator("main")).to_contain_text("138****8000")
    await open_to_all(page, "a number to be proven")
    await hand.fill("#shown", (await sms(empty, r"(?<![0-9])[0-9]{6}(?![0-9])"))[0])
    await hand.press("form[action='/login/enrol/confirm'] button")
    await at(page, "/password")
    await open_to_all(page, "the first password")
    for field, text in (("#old", password), ("#new", LATER), ("#again", LATER)):
        await hand.fill(field, text)
    await hand.press("main form button[type=submit]")
    await expect(page.locator("h1")).to_have_text("工作台")


async def sees_what_the_role_allows(page: Page) -> None:
    """The menu is that of the role, and every page behind another right is refused, whatever its address."""
    links = await page.locator("#menu a.side-link").evaluate_all("all => all.map((a) => a.getAttribute('href'))")
    assert sorted(links) == sorted(MENU)
    assert {"/", "/send", "/records"} <= MENU
    plain = [r for r in routes() if r.method == "GET" and "{" not in r.path and not isinstance(r.action, Open)]
    own = {r.path for r in plain if r.action in ABLE}
    assert own >= MENU
    for route in plain:
        if route.action not in ABLE:
            answer = await page.context.request.get(route.path)
            assert answer.status == 403, (route.path, answer.status)
    for path in MENU:
        assert (await page.context.request.get(path)).status == 200


async def takes_away(hand: Hand) -> None:
    """The administrator takes a right from the role."""
    page = hand.page
    await goes(hand, "/roles")
    await hand.press("tbody tr:has-text('clerk') a.row-link")
    await hand.press("dialog a[href$='/edit']")
    await hand.tick("input[value='message.view']")
    await hand.press(SEND)
    await expect(page.locator(".form-buttons button")).to_be_visible()
    await open_to_all(page, "what a change of rights means")
    await hand.press(".form-buttons button")
    await at(hand.page, r"/roles(/\d+)?")


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Mouse, Keyboard], ids=["mouse", "keyboard"])
async def test_from_an_empty_database_to_a_right_that_is_taken_away(
    chromium: Browser, empty: Node, kind: type[Hand]
) -> None:
    async with (
        opened(chromium, empty, DESKTOP, allowed="422") as chief,
        opened(chromium, empty, DESKTOP, allowed="403") as person,
    ):
        # A field that Tab leaves is checked, and may be wrong yet.
        manager, clerk = kind(chief), kind(person)
        began = time.monotonic()
        await first_run(manager, empty)
        assert time.monotonic() - began <= FIRST_RUN_SECONDS
        await enters(clerk, empty, await a_person(manager))
        await sees_what_the_role_allows(person)
        await goes(clerk, "/records")
        await goes(clerk, "/")
        await takes_away(manager)
        await asks_for(clerk, "/records")  # which the page of before still shows
        await expect(person.locator("h1")).to_have_text("没有权限")
        await open_to_all(person, "refused")
        links = await person.locator("#menu a.side-link").evaluate_all("all => all.map((a) => a.getAttribute('href'))")
        assert "/records" not in links
