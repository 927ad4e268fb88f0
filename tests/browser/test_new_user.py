"""Somebody who has just run ``scripts/run`` and has read nothing but what it prints: their first message, by what the
pages show alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness import free_port, until
from playwright.async_api import Browser, Locator, Page, expect
from windows import DESKTOP, PHONE, fits, opened

from smsgw.store.engine.embedded import EmbeddedPostgres

pytestmark = pytest.mark.slow
STARTS_WITHIN = 180.0
MOST_SECONDS = 180.0
"""What a new user may need from the login page to the delivered message."""
MOST_CLICKS, MOST_FIELDS = 7, 4
TEXT = "您好，这是我的第一条短信。"


@dataclass(frozen=True, slots=True)
class Demo:
    """What the program has printed; ``url`` is where it leads."""

    url: str
    login: str
    password: str
    command: str
    """For a new password."""
    links: str
    """Where short links open."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The last line of ``scripts/run``, in a process of its own."""
    folder = tmp_path_factory.mktemp("demo")
    port = free_port()
    program = Path(sys.executable).with_name("smsgwctl")
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(
            [program, "demo", "--port", str(port), "--data", folder / "var", "--no-browser"],
            stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env={name: value for name, value in os.environ.items() if not name.startswith("SMSGW_")},
        )  # fmt: skip
    try:
        until = time.monotonic() + STARTS_WITHIN
        while "/CODE, on this machine.\n" not in (printed := (folder / "out").read_text("utf-8")):
            assert process.poll() is None, printed
            assert time.monotonic() < until, printed
            time.sleep(0.1)
        url = re.search(r"portal +(\S+)", printed)
        login = re.search(r"login +(\S+) / (\S+)\n", printed)
        command = re.search(r"A new password:\n\n  (.+)\n", printed)
        assert url
        assert login
        assert command
        links = re.search(r"Short links open at (\S+)CODE,", printed)
        assert links
        yield Demo(url[1], login[1], login[2], command[1], links[1])
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(timeout=10)
        home = EmbeddedPostgres(folder / "var").home
        if home != folder / "var":  # root's lie elsewhere
            shutil.rmtree(home)


class NewUser:
    """Does one thing after the other by what is to be read, and counts."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.clicks = self.fields = 0

    async def press(self, words: str) -> None:
        """A button, or a link that looks like one."""
        self.clicks += 1
        main = self.page.get_by_role("main")
        await main.get_by_role("button", name=words).or_(main.get_by_role("link", name=words)).click()

    async def write(self, label: str, text: str) -> None:
        self.fields += 1
        await self.page.get_by_label(label, exact=True).fill(text)

    async def log_in(self, demo: Demo) -> None:
        await self.page.goto(demo.url)
        await self.write("登录名", demo.login)
        await self.write("密码", demo.password)
        await self.press("登录")
        await expect(self.page.get_by_role("heading", name="工作台")).to_be_visible()

    def send(self) -> Locator:
        """The blue button that the program speaks of."""
        return self.page.get_by_role("main").get_by_role("link", name="新建发送任务")


@pytest.mark.shard("core")
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desk", "phone"])
async def test_the_first_message_of_somebody_who_has_read_nothing(
    chromium: Browser, demo: Demo, size: tuple[int, int]
) -> None:
    async with opened(chromium, demo, size) as page:
        began = time.monotonic()
        user = NewUser(page)
        await user.log_in(demo)
        await expect(user.send()).to_have_class(re.compile("btn-primary"))
        await user.press("新建发送任务")
        await user.write("短信内容", TEXT)
        await expect(page.get_by_role("complementary")).to_contain_text(f"【示例单位】{TEXT}")
        await user.press("下一步")
        await expect(page.get_by_label("手机号码")).to_be_focused()
        await user.write("手机号码", "13912345678")
        await user.press("下一步：检查号码")
        await expect(page.get_by_role("main")).to_contain_text("共 1 行，有效 1 行。")
        await fits(page)
        await user.press("跳过设置，直接确认")
        await expect(page.get_by_role("main")).to_contain_text("将向 1 个号码发送")
        await fits(page)
        await user.press("确认发送")
        await expect(page.get_by_role("main")).to_contain_text(f"【示例单位】{TEXT}")
        await expect(page.get_by_role("main")).to_contain_text("已完成")
        await fits(page)
        assert time.monotonic() - began < MOST_SECONDS
        assert user.clicks <= MOST_CLICKS
        assert user.fields <= MOST_FIELDS
        told = page.get_by_role("banner").get_by_role("link", name=re.compile("消息中心"))
        assert await told.locator("b:visible").count() == 0, "nobody is told of what they have waited for"


async def test_whoever_comes_again_sends_by_the_short_form(chromium: Browser, demo: Demo) -> None:
    """What is told of the last login covers no button; the text is shown before there is a number."""
    async with opened(chromium, demo, DESKTOP) as page:
        await NewUser(page).log_in(demo)
    async with opened(chromium, demo, DESKTOP) as page:
        user = NewUser(page)
        await user.log_in(demo)
        await user.send().click(trial=True, timeout=5000)
        await expect(page.get_by_role("status").filter(has_text="上次登录")).to_be_visible()
        await user.press("新建发送任务")
        await user.press("快速发送")
        await expect(page.get_by_label("手机号码")).to_be_focused()
        await user.write("短信内容", TEXT)
        await expect(page.get_by_role("complementary")).to_contain_text(f"【示例单位】{TEXT}")
        await user.write("手机号码", "13912345679")
        await user.press("下一步：确认")
        await user.press("确认发送")
        await expect(page.get_by_role("heading", name="发送结果")).to_be_visible()
        await expect(page.get_by_role("main")).to_contain_text("成功")


async def test_a_forgotten_password_is_made_anew_as_printed(demo: Demo) -> None:
    """The last of these: the password that was printed is over then."""
    done = subprocess.run(demo.command, shell=True, capture_output=True, text=True, timeout=60, check=True)  # noqa: S602 - as a user does
    assert re.search(r"password +\S{12}", done.stdout), done.stdout


async def test_a_short_link_opens_as_it_is_printed(chromium: Browser, demo: Demo) -> None:
    """In the browser of whoever tries the demo, and in the text of a message as a phone would open it."""
    ctl = demo.command.removesuffix(f" user reset {demo.login}")
    folder, _, program = ctl.partition(" ")
    made = subprocess.run(
        [program, "short-link", "add", "Spring", "https://www.example.cn/spring", "--account", "demo", "--warn",
         "--json"],
        env={**os.environ, "SMSGW_NODE_DATA_DIR": folder.partition("=")[2],
             "SMSGW_PUBLIC_HOSTS": demo.links.removeprefix("http://").rstrip("/")},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    address = json.loads(made.stdout)["address"]
    assert address.startswith(demo.links)
    context = await chromium.new_context()
    try:
        page = await context.new_page()

        async def leads() -> bool:
            await page.goto(address)
            return "https://www.example.cn/spring" in await page.inner_text("body")

        await until(leads, within=30, what="the page that says where it leads")
    finally:
        await context.close()
