"""Deeds that the tender names, each done in a real browser against one running daemon, and looked at where they count:
in the database, or at the carrier."""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import windows
from nodes import CODE, Node, carrier, furnished, until
from playwright.async_api import Browser, Locator, Page, expect
from windows import DESKTOP, PHONE, fits, goes_on, sends

from smsgw.core.actor import ActorLabel
from smsgw.core.ids import CHINA, day_range, first_id
from smsgw.core.keywords import Action, Word
from smsgw.core.model import MessageType, Origin
from smsgw.core.number_state import NumberState
from smsgw.core.templates import Review
from smsgw.pipeline.accept.acceptor import SendItem, SendRequest
from smsgw.platform.audience import book
from smsgw.platform.audience.model import Sharing
from smsgw.platform.content import service as content
from smsgw.platform.content.model import SIGN
from smsgw.platform.numbers import service as numbers
from smsgw.platform.policies import service as policies
from smsgw.platform.words import service as words
from smsgw.runtime import clock
from smsgw.simulator import Behaviour, Mix
from smsgw.store.messages import checking

pytestmark = pytest.mark.slow
opened = partial(windows.opened, allowed="422")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    """One for all walks of a module."""
    dsn = await postgres.make("walks", postgres.template)
    people = {"boss": "super", "chief": "admin", "clerk": "operator"}
    async with furnished(dsn, tmp_path_factory.mktemp("walks"), people) as made:
        yield made
    await postgres.drop("walks")


async def agrees(page: Page) -> None:
    """In the dialog that tells the effect; the page comes anew."""
    async with page.expect_navigation():
        await page.click("dialog[open] form button[type=submit]")


async def composes(page: Page, account: int, content: str, **more: str) -> None:
    """The first step of a new sending."""
    await page.goto("/send")
    await page.select_option("#account", str(account))
    for field, text in more.items():
        await page.fill(f"#{field}", text)
    await page.fill("#content", content)


async def quickly(page: Page, account: int, number: str, content: str, sign: str = "") -> None:
    """One message from the page that is one form, up to its confirmation."""
    await page.goto("/send/quick")
    await page.select_option("#account", str(account))
    await page.fill("#to", number)
    if sign:
        await page.fill("#sign", sign)
    await page.fill("#content", content)
    await page.click("form.send button[type=submit]")


async def test_a_message_comes_again_each_day_until_it_is_cancelled(chromium: Browser, node: Node) -> None:
    """S4.a, S4.d, S4.g, S4.m, S7.4d: subject, words marked, options, a time that comes again; the plan and its end."""
    await words.put(node.change(), [Word("中奖", "营销", Action.REVIEW), Word("贷款", "金融", Action.BLOCK)])
    async with opened(chromium, node, DESKTOP, "clerk") as page:
        await composes(page, node.hall, "恭喜中-奖，可办贷　款", subject="每日提醒")
        await expect(page.locator("#preview mark.mark-block")).to_have_text("贷　款")
        await expect(page.locator("#preview mark.mark-review")).to_have_text("中-奖")
        await goes_on(page)
        await expect(page.locator("main")).to_contain_text("含有禁发词：贷款")
        await page.fill("#content", "请按时到岗")
        await expect(page.locator("#preview mark")).to_have_count(0)
        await goes_on(page)
        await page.wait_for_url("**/audience")
        await page.fill("#to", "13800000101\n13800000102\n13800000102\n123")
        await goes_on(page)
        await page.wait_for_url("**/clean")
        await expect(page.locator("#clean-sum")).to_have_text("共 4 行，有效 2 行。")
        await page.click(".form-buttons .btn-primary")
        for field, text in (("hours", "6"), ("rate", "20"), ("extend_code", "77")):
            await page.fill(f"#{field}", text)
        await fits(page)
        await goes_on(page)
        await page.wait_for_url("**/time")
        await page.click(".chip:has(input[value=again])")
        await page.fill("#every_at", "09:00")
        until_day = (clock.now().astimezone(CHINA) + timedelta(days=9)).date()
        await page.fill("#until", f"{until_day}")
        await page.fill("input[name=windows1_from]", "08:30")
        await page.fill("input[name=windows1_to]", "18:00")
        await fits(page)
        await goes_on(page)
        await page.wait_for_url("**/confirm")
        await expect(page.locator(".sum-up")).to_contain_text("将向 2 个号码发送")
        await goes_on(page)
        await page.wait_for_url(re.compile(r"/tasks/\d+$"))
        task = page.url.rpartition("/")[2]
        row = await node.db.fetchrow("SELECT * FROM task WHERE id = $1", int(task))
        assert row is not None
        assert (row["name"], row["rate"], row["valid"], row["state"]) == ("每日提醒", 20, 2, "scheduled")
        again = json.loads(row["recurring"])
        assert (again["every"], again["at"]) == ("day", ["09:00"])
        assert "77" in str(dict(row))
        assert "08:30" in row["windows"]

        await page.goto("/tasks?name=每日")
        await expect(page.locator("#list-rows tbody tr")).to_have_count(1)
        await page.goto("/scheduled")
        await expect(page.locator("#list-rows tbody")).to_contain_text("每日提醒")
        await page.goto(f"/scheduled/{task}")
        await page.click("button:has-text('取消任务')")
        await agrees(page)
        await until(lambda: node.db.fetchval("SELECT state = 'cancelled' FROM task WHERE id = $1", int(task)))
        await page.goto("/scheduled")
        await expect(page.locator("main")).not_to_contain_text("每日提醒")
        assert node.texts("13800000101") == []


CONTACTS = """姓名,手机号,标签,分组
王一,13800000201,居民,志愿者
李二,138 0000 0202,,志愿者
又是王一,13800000201,街道,志愿者
错误,12345,,志愿者
"""


async def test_contacts_from_a_file_become_whom_a_message_goes_to(chromium: Browser, node: Node) -> None:
    """S7.5a, S4.i: an import that merges what is there twice, a group of it, and a message to that group."""
    async with opened(chromium, node, DESKTOP, "boss") as page:
        await page.goto("/contacts/-/import")
        file = {"name": "联系人.csv", "mimeType": "text/csv", "buffer": CONTACTS.encode("gb18030")}
        await page.set_input_files("input[type=file]", files=[file])
        await page.click("text=上传并预览")
        await page.select_option("#account", str(node.hall))
        await page.select_option("#duplicates", "merge")
        await page.check("#make_groups")
        await page.select_option("#scope", "account")
        await fits(page)
        await page.click("text=开始导入 4 行")
        await page.wait_for_url("**/jobs/*")
        await expect(page.locator("#detail")).to_contain_text("已完成")
        rows = await node.db.fetch("SELECT name, tags FROM contact ORDER BY number")
        assert [(row["name"], sorted(row["tags"])) for row in rows] == [("王一", ["居民", "街道"]), ("李二", [])]
        await page.goto("/contacts?tag=街道")
        await expect(page.locator("#list-rows tbody tr")).to_have_count(1)
        await expect(page.locator("#list-rows tbody")).to_contain_text("138****0201")

        await composes(page, node.hall, "{姓名}您好，周六集合。", subject="集合")
        await goes_on(page)
        await page.wait_for_url("**/audience")
        await page.click(".chip:has(input[value=audience])")
        await page.fill("#book-part", "志愿")
        await page.locator("[data-kind=groups] label", has_text="志愿者").locator("input").check()
        await expect(page.locator("#book-people")).to_contain_text("共 2 位联系人")
        await page.fill("#book-part", "居")
        await page.locator("[data-kind=tags] label", has_text="居民").locator("input").check()
        await expect(page.locator("#book-picked input")).to_have_count(2)
        await expect(page.locator("#book-people")).to_contain_text("共 2 位联系人")
        await fits(page)
        await goes_on(page)
        await expect(page.locator("#clean-sum")).to_have_text("共 2 行，有效 2 行。")
        await page.click(".form-buttons .btn-primary")
        await goes_on(page)
        await goes_on(page)
        await expect(page.locator(".sum-up")).to_contain_text("将向 2 个号码发送")
        await goes_on(page)
        await page.wait_for_url(re.compile(r"/tasks/\d+$"))
    assert await node.gets("13800000201") == ["【市政服务】王一您好，周六集合。"]
    assert await node.gets("13800000202") == ["【市政服务】李二您好，周六集合。"]


async def test_a_blocked_number_gets_nothing_until_the_entry_is_lifted(chromium: Browser, node: Node) -> None:
    """S7.5c, S23.4g, S8.4h: entered, refused before the carrier, explained, lifted with a reason, sent."""
    number = "13800000301"
    async with opened(chromium, node, DESKTOP, "boss") as page:
        await page.goto("/blocked/-/new")
        await page.fill("#numbers", number)
        await page.fill("#reason", "来电要求停发")
        await sends(page)
        await page.wait_for_url("**/blocked")
        await expect(page.locator("#list-rows tbody")).to_contain_text("138****0301")
        listed = "SELECT count(*) FROM block_list WHERE number = 8613800000301 AND removed_at IS NULL"
        assert await node.db.fetchval(listed) == 1

        async def refused() -> bool:
            await quickly(page, node.hall, number, "您好")
            await page.wait_for_load_state()
            return "黑名单" in await page.inner_text("main")

        await until(refused)  # a node reads the list every moment
        await page.goto(f"/blocked/why?number={number}&account={node.hall}")
        await expect(page.locator(".verdicts")).to_contain_text("来电要求停发")
        await page.click(".verdicts a[href$='/lift']")
        await page.fill("#reason", "本人来函")
        await sends(page)
        assert await node.db.fetchval(listed) == 0
        assert node.texts(number) == []
        await until(lambda: _free(page, node, number))
        await page.click("form.send button.btn-primary")
        await page.wait_for_url("**/send/quick/result*")
    assert await node.gets(number) == ["【市政服务】您好"]
    said = await node.db.fetchval("SELECT after FROM audit WHERE action = 'block.remove' ORDER BY id DESC LIMIT 1")
    assert "本人来函" in said
    assert number not in said


async def _free(page: Page, node: Node, number: str) -> bool:
    await quickly(page, node.hall, number, "您好")
    await page.wait_for_load_state()
    return "将向 1 个号码发送" in await page.inner_text("main") and "黑名单" not in await page.inner_text("main")


async def test_a_reply_is_seen_and_leads_to_what_it_answers(chromium: Browser, node: Node) -> None:
    """S2.1b, S4.1a, S4.1b, S6.5: a message, the phone's reply with its columns as soon as it comes, an answer from the
    page to the phone, on a desk and on a phone."""
    number = "13800000401"
    async with opened(chromium, node, DESKTOP, "clerk") as page:
        await quickly(page, node.hall, number, "请回复是否到场")
        await page.click("form.send button.btn-primary")
        await page.wait_for_url("**/send/quick/result*")
        await node.gets(number)
        await expect(page.locator("tbody .state")).to_have_text("成功")
        text = "收到，" + "一定准时到场。" * 15
        await page.goto("/inbound")
        row = page.locator("#list-rows tbody tr")
        await expect(row).to_have_count(0)
        assert node.carrier.send_mo(number, CODE, text, order=(2, 1)) == 2
        await until(lambda: node.db.fetchval("SELECT count(*) FROM mo WHERE content = $1", text))
        await expect(row).to_have_count(1)  # by itself: the page looks every 3 s
        await expect(row).to_contain_text("未读")
        for column in ("138****0401", "收到，一定准时到场", CODE, "hall"):
            await expect(row).to_contain_text(column)
        await page.click("#list-rows tbody a[href^='/records/']")
        await page.wait_for_url("**/records/*")
        await expect(page.locator(".verdict .state")).to_have_text("成功")
    async with opened(chromium, node, PHONE, "clerk") as page:
        await page.goto("/inbound")
        await fits(page)
        await expect(page.locator("#list-rows tbody tr")).to_contain_text("收到，一定准时到场")
        one = await node.db.fetchval("SELECT id FROM mo WHERE content = $1", text)
        await page.goto(f"/inbound/{one}")
        await expect(page.locator(".talk li.is-mine")).to_contain_text("请回复是否到场")
        await page.get_by_role("link", name="回复", exact=True).click()
        await page.fill("#content", "感谢您的回复，请带好证件。")
        await page.click(".kit-form button[type=submit]")
        await expect(page.locator(".effect")).to_contain_text("向 138****0401 发送一条回复，共 1 条")
        await fits(page)
        await page.click(".effect ~ form button[type=submit]")
        await page.wait_for_url(f"**/inbound/{one}")
        await expect(page.locator(".talk li.is-mine")).to_have_count(2)
        await expect(page.locator("main")).to_contain_text("已回复")
        assert "请带好证件" in (await node.gets(number, 2))[-1]


async def test_an_account_is_made_given_units_stopped_and_started(chromium: Browser, node: Node) -> None:
    """S7.1a, S2.2e, S0.2: below another, priced, paid; stopped it takes nothing, started it goes on."""
    number = "13800000501"
    async with opened(chromium, node, DESKTOP, "boss") as page:
        await page.goto("/accounts")
        await page.click("a[href='/accounts/-/new'] >> nth=0")
        await page.fill("#display_name", "交通出行")
        await page.fill("#name", "traffic")
        await page.select_option("#parent", "hall")
        await page.fill("#default_sign", "交通出行")
        await page.fill("#quota_day", "100")
        await fits(page)
        await sends(page)
        await page.wait_for_url(re.compile(r"/accounts/\d+$"))
        account = int(page.url.rpartition("/")[2])
        await page.click(f"a[href='/accounts/{account}/price']")
        await page.fill("#unit_price", "0.0385")
        await sends(page)
        await page.click(f"a[href='/accounts/{account}/units']")
        await page.fill("#units_change", "50")
        await page.fill("#note_why", "合同 7")
        await page.click(".kit-form button[type=submit]")
        await expect(page.locator(".effect")).to_contain_text("由 0 条变为 50 条")
        await page.click(".effect ~ form button[type=submit]")
        await page.wait_for_url(re.compile(r"/accounts/\d+$"))
        await expect(page.locator("#detail")).to_contain_text("0.0385")
        await expect(page.locator("#detail")).to_contain_text("0 / 100")

        async def known() -> bool:
            await page.goto("/send/quick")
            return await page.locator(f"#account option[value='{account}']").count() > 0

        await until(known)
        await quickly(page, account, number, "道路施工，请绕行")
        await page.click("form.send button.btn-primary")
        assert await node.gets(number) == ["【交通出行】道路施工，请绕行"]

        await page.goto(f"/accounts/{node.hall}")
        await page.click("button:has-text('停用')")
        await expect(page.locator("dialog[open]")).to_contain_text("连同下级共 2 个账号")
        await agrees(page)
        await until(lambda: node.db.fetchval("SELECT halted FROM account WHERE id = $1", account))

        async def stopped() -> bool:
            await quickly(page, account, number, "再发一次")
            await page.wait_for_load_state()
            return "停用" in await page.inner_text("main")

        await until(stopped)
        assert len(node.texts(number)) == 1
        await page.goto("/accounts?status=halted")
        await expect(page.locator("#list-rows tbody")).to_contain_text("hall / traffic")
        await page.goto(f"/accounts/{node.hall}")
        await page.click("button:has-text('启用')")
        await agrees(page)
        await until(lambda: node.db.fetchval("SELECT NOT halted FROM account WHERE id = $1", account))

        async def started() -> bool:
            return not await stopped()

        await until(started)
        await page.click("form.send button.btn-primary")
        assert await node.gets(number, 2) == ["【交通出行】道路施工，请绕行", "【交通出行】再发一次"]
        balance = "SELECT balance, (SELECT sum(units) FROM ledger WHERE account_id = $1) FROM account WHERE id = $1"
        row = await node.db.fetchrow(balance, account)
        assert row is not None
        assert tuple(row) == (48, 48)
        actions = await node.db.fetch("SELECT action FROM audit WHERE object = 'account/hall' ORDER BY id DESC LIMIT 2")
        assert [one["action"] for one in actions] == ["account.start", "account.stop"]


async def test_a_signature_is_good_once_somebody_else_has_approved_it(chromium: Browser, node: Node) -> None:
    """S4.k, S8.2d: where signatures have to be approved, one is applied for, decided by another person, and sent."""
    number = "13800000601"
    await policies.put(node.change(), "sign_policy", "approved", account_id=node.hall)
    try:
        async with opened(chromium, node, DESKTOP, "chief") as chief:

            async def taken() -> bool:
                await quickly(chief, node.hall, number, "您好", sign="便民热线")
                await chief.wait_for_load_state()
                return "将向 1 个号码发送" in await chief.inner_text("main")

            async def refused() -> bool:
                return not await taken()

            await until(refused)
            await chief.goto("/signs/-/new")
            await chief.select_option("#account", str(node.hall))
            await chief.fill("#sign", "便民热线")
            await chief.select_option("#source", "organisation")
            await sends(chief)
            await chief.wait_for_url(re.compile(r"/signs/\d+$"))
            sign = chief.url.rpartition("/")[2]
            await chief.goto(f"/signs/{sign}/decide")
            await chief.select_option("#decision", "approved")
            await sends(chief)
            assert await node.db.fetchval("SELECT state FROM sign WHERE id = $1", int(sign)) == "pending", "one's own"
            async with opened(chromium, node, DESKTOP, "boss") as boss:
                await boss.goto(f"/signs/{sign}/decide")
                await boss.select_option("#decision", "approved")
                await sends(boss)
                await boss.wait_for_url(re.compile(r"/signs/\d+$"))
            assert await node.db.fetchval("SELECT state FROM sign WHERE id = $1", int(sign)) == "approved"

            await until(taken)
            await chief.click("form.send button.btn-primary")
        assert await node.gets(number) == ["【便民热线】您好"]
    finally:
        await policies.put(node.change(), "sign_policy", "off", account_id=node.hall)


async def test_what_a_carrier_has_registered_stands_in_the_matrix_until_it_is_over(
    chromium: Browser, node: Node
) -> None:
    """S4.k, S8.2d: a document and a carrier's answer with number and end; found by state; when over, told."""
    sign = await content.add_sign(node.change(), node.hall, "河长热线")
    await content.review(node.change(), SIGN, sign, Review.APPROVED)
    async with opened(chromium, node, DESKTOP, "chief") as chief:
        await chief.goto(f"/signs/{sign}")
        await chief.click("main a:has-text('证明材料')")
        await chief.select_option("#proof-kind", "authorization")
        picture = {"name": "授权.png", "mimeType": "image/png", "buffer": b"\x89PNG\r\n\x1a\n" + bytes(20)}
        await chief.set_input_files("input[type=file]", picture)
        await chief.click("form.kit-form button.btn-primary")
        await expect(chief.locator("main table")).to_contain_text("授权.png")
        await chief.goto(f"/signs/{sign}/register?of=CMCC")
        await chief.select_option("#registration", "registered")
        await chief.fill("#code", "YD-2026-88")
        await chief.fill("#until_day", f"{clock.now().astimezone(CHINA) + timedelta(days=3):%Y-%m-%d}")
        await sends(chief)
        await chief.wait_for_url(re.compile(r"/signs/\d+$"))
        await chief.goto("/signs/carriers?sign=河长&registration=registered")
        row = chief.locator("main tbody tr")
        await expect(row).to_have_count(1)
        await expect(row).to_contain_text("YD-2026-88")
        await expect(row).to_contain_text("移动")
        await node.daemon.node.reminders.step()
        await chief.goto("/notices?kind=sign")
        await expect(chief.locator("main tbody")).to_contain_text("签名将在 7 天内到期")
        await node.db.execute("UPDATE registration SET expires_at = now() - interval '1 hour' WHERE id = $1", sign)
        await node.daemon.node.reminders.step()
        await chief.goto("/notices?kind=sign")
        await expect(chief.locator("main tbody")).to_contain_text("签名或其报备已过期")
        await chief.goto("/signs/carriers?sign=河长&registration=expired")
        await expect(chief.locator("main tbody tr")).to_have_count(1)
        await node.db.execute("DELETE FROM inbox WHERE kind = 'sign'")
    async with opened(chromium, node, PHONE, "chief") as phone:
        await phone.goto("/signs/carriers?sign=河长")
        await expect(phone.locator("main")).to_contain_text("已过期")
        await fits(phone)
        await phone.goto(f"/signs/{sign}/proofs")
        await fits(phone)


async def test_a_report_is_the_same_as_table_and_as_chart(chromium: Browser, node: Node) -> None:
    """S6.1b, S6.3, S6.1c: what the browser draws is what the table says, by day and by month."""
    await node.db.execute(
        "INSERT INTO stat_day SELECT (now() AT TIME ZONE 'Asia/Shanghai')::date - n, $1, 'notice', 'x', 0, 'CMCC', '', "
        "'portal', s.status, 10 * n + s.more, 10 * n + s.more, 10 * n + s.more FROM generate_series(1, 3) n, "
        "(VALUES ('delivered', 5), ('failed', 1)) AS s(status, more)",
        node.hall,
    )
    async with opened(chromium, node, DESKTOP, "boss") as page:
        for path, heading in (("/reports/daily?time=7d", "成功"), ("/reports/monthly", "成功")):
            await page.goto(path)
            chart = page.locator("[data-chart]")
            await chart.scroll_into_view_if_needed()
            await expect(chart.locator("canvas")).to_be_visible()
            option = "echarts.getInstanceByDom(document.querySelector('[data-chart]')).getOption()"
            series = await page.evaluate(f"{option}.series.map((s) => [s.name, s.type, s.data])")
            drawn = {name: sum(n or 0 for n in data) for name, kind, data in series if kind == "bar"}
            assert any(kind == "line" for _, kind, _ in series), "the rate of success"
            heads = [text.strip() for text in await page.locator("#list-rows thead th").all_inner_texts()]
            cells = page.locator(f"#list-rows tbody tr td:nth-child({heads.index(heading) + 1})")
            table = sum(int(text.replace(",", "")) for text in await cells.all_inner_texts())
            assert table == drawn[heading] > 0, path
            assert table >= 75 if "daily" in path else table > 0
            await fits(page)


async def test_who_has_sent_is_counted_by_person_and_department(chromium: Browser, node: Node) -> None:
    """S6.1a: a department's figure leads to its people, a person's to the messages, portal and interfaces apart."""
    async with opened(chromium, node, DESKTOP, "clerk") as page:
        await quickly(page, node.hall, "13800000703", "请按时到岗")
        await page.click("form.send button.btn-primary")
    await node.gets("13800000703")
    today = first_id(datetime.combine(clock.now().astimezone(CHINA).date(), datetime.min.time(), CHINA))
    sent = "SELECT count(*) FROM message WHERE submitter = 'clerk' AND origin = 'portal' AND id >= $1"
    counted = (
        "SELECT sum(messages) FROM stat_person WHERE submitter = 'clerk' AND origin = 'portal' AND status = 'accepted'"
    )

    async def all_counted() -> bool:  # by the daemon, a quarter of a minute later
        return bool(await node.db.fetchval(counted) == await node.db.fetchval(sent, today))

    await until(all_counted)
    async with opened(chromium, node, DESKTOP, "boss") as page:
        await page.goto("/reports/people?time=today&origin=portal")
        row = page.locator("#list-rows tbody tr", has_text="clerk")
        figure = row.locator("a[href^='/records?']").first
        number = await figure.inner_text()
        assert int(number) == await node.db.fetchval(sent, today) > 0
        await figure.click()
        await expect(page.locator("#list-rows tbody tr")).to_have_count(int(number))
        await page.goto("/reports/people?time=today&by=department")
        await expect(page.locator("#list-rows tbody tr").first).to_be_visible()
        await fits(page)


async def test_a_day_is_checked_and_its_account_leads_to_its_messages(chromium: Browser, node: Node) -> None:
    """S13.2a, S6.0: accepted = submitted + refused for a reason + held; each figure is the number of its rows."""
    async with opened(chromium, node, DESKTOP, "clerk") as page:
        await quickly(page, node.hall, "13800000706", "请按时到岗")
        await page.click("form.send button.btn-primary")
    await node.gets("13800000706")
    day = clock.now().astimezone(CHINA).date()
    counted = """
    SELECT sum(messages) = (SELECT count(*) FROM message WHERE id >= $2) FROM stat_sum
    WHERE span = 'day' AND dimension = '' AND status = 'accepted' AND day = $1
    """
    low, _ = day_range(day)
    await until(lambda: node.db.fetchval(counted, day, low))  # by the daemon, a quarter of a minute later
    async with node.db.transaction() as connection:  # as in the night after it
        await checking.look(connection, day, clock.now() + timedelta(days=1))
    async with opened(chromium, node, DESKTOP, "boss") as page:
        for stage in ("submitted", "refused", "held"):
            await page.goto("/reports/checks?time=7d&span=day")
            row = page.locator("#list-rows tbody tr", has_text=f"{day}")
            figure = row.locator(f"a[href*='stage={stage}']")
            number = int((await figure.inner_text()).replace(",", "")) if await figure.count() else 0
            assert number or stage != "submitted", await row.inner_text()
            if number:
                await figure.click()
                await expect(page.locator("#list-rows tbody tr")).to_have_count(min(number, 20))
        await page.goto("/reports/checks?time=7d&span=day")
        await page.locator("#list-rows tbody tr", has_text=f"{day}").locator("td").first.click()
        await expect(page.locator("#detail, dialog #detail").first).to_contain_text("状态报告尚未收齐")
        await fits(page)


async def test_a_channels_success_stands_with_and_without_what_is_left_out(chromium: Browser, node: Node) -> None:
    """S13.2b, S13.2c: rules are made as a version; both figures stand beside it, and lead to the rows."""
    ended = "SELECT count(*) FROM part p JOIN message m ON m.id = p.id WHERE m.number = $1 AND p.state >= 40"
    for number, state in (("13800000704", "DELIVRD"), ("13800000705", "MK:0001")):
        node.carrier.change(reports=Mix({state: 1.0}))
        async with opened(chromium, node, DESKTOP, "clerk") as page:
            await quickly(page, node.hall, number, "请按时到岗")
            await page.click("form.send button.btn-primary")
        await until(lambda number=number: node.db.fetchval(ended, f"86{number}"))
    node.carrier.change(reports=Mix({"DELIVRD": 1.0}))
    failed = "SELECT count(*) FROM stat_day WHERE status = 'failed' AND channel_id > 0 AND day = $1"
    today = clock.now().astimezone(CHINA).date()
    await until(lambda: node.db.fetchval(failed, today))
    async with opened(chromium, node, DESKTOP, "boss") as page:
        await page.goto("/reports/success?time=today")
        row = page.locator("#list-rows tbody tr", has_text="mobile")
        before = await row.locator("td[data-label='剔除后成功率']").inner_text()
        assert before == await row.locator("td[data-label='未剔除成功率']").inner_text()
        await page.click("a:has-text('剔除规则') >> nth=-1")
        await page.click("a:has-text('新版本') >> nth=0")
        await page.select_option("#from_day", f"{today}")
        await page.fill("#reason", "招标文件 13.2")
        await expect(page.locator("#class_EMPTY_NUMBER")).to_have_value("handset")
        await page.fill("#codes", "MK:0010 运营商基站网络问题")
        await fits(page)
        await sends(page)
        await page.wait_for_url("**/reports/exclusions/1")
        await expect(page.locator("main")).to_contain_text("生效中")
        await node.daemon.node.successes.count()
        await page.goto("/reports/success?time=today")
        await expect(row.locator("td[data-label='规则版本']")).to_have_text("V1")
        assert before == await row.locator("td[data-label='未剔除成功率']").inner_text()
        after = await row.locator("td[data-label='剔除后成功率']").inner_text()
        assert float(after.strip("%")) > float(before.strip("%"))
        await fits(page)
        await row.locator("a[href*='left_out=any']").click()
        await expect(page.locator("#list-rows tbody tr")).to_have_count(1)
        await expect(page.locator("#list-rows tbody tr")).to_contain_text("空号")
        await page.goto("/reports/success?time=today")
        await row.locator("a:has-text('转移流量')").click()
        await expect(page.locator(".effect")).to_be_visible()
        assert page.url.endswith("/drain")


async def test_what_is_rejected_never_leaves_and_its_units_come_back(chromium: Browser, node: Node) -> None:
    """S3: a sub-account's message waits for somebody else, who rejects it on a phone with a reason."""
    number, balance = "13800000701", "SELECT balance FROM account WHERE id = $1"
    await policies.put(node.change(), "review", "all", account_id=node.hall)
    try:
        before = await node.db.fetchval(balance, node.hall)
        async with opened(chromium, node, DESKTOP, "clerk") as page:

            async def held() -> bool:
                await quickly(page, node.hall, number, "限时优惠")
                await page.wait_for_load_state()
                return "须经审批" in await page.inner_text("main")

            await until(held)
            await page.click("form.send button.btn-primary")
            await page.wait_for_url("**/send/quick/result*")
        async with opened(chromium, node, PHONE, "boss") as phone:
            await phone.goto("/review")
            await expect(phone.locator(".waits-text")).to_contain_text("限时优惠")
            await fits(phone)
            await phone.click(".waits-buttons button:has-text('驳回')")
            await phone.fill("dialog[open] [name=reason]", "缺少主办单位")
            await phone.click("dialog[open] form button[type=submit]")
            await expect(phone.locator(".waits")).to_have_count(0)
        assert await node.db.fetchval(balance, node.hall) == before
        row = await node.db.fetchrow("SELECT state, reason FROM review ORDER BY batch_id DESC LIMIT 1")
        assert row is not None
        assert tuple(row) == ("rejected", "缺少主办单位")
        assert node.texts(number) == []
    finally:
        await policies.put(node.change(), "review", "off", account_id=node.hall)


async def test_a_word_far_down_in_a_table_is_seen_on_a_phone(chromium: Browser, node: Node, tmp_path: Path) -> None:
    """S3: it is told before the sending is handed in; who approves it sees the row, and that it waits for too long. A
    rule is put on the phone, with what it would have held."""
    table = tmp_path / "名单.csv"
    rows = [f"1380002{n:04},{'贷款贴息' if n == 412 else '水费'}" for n in range(450)]
    table.write_text("\n".join(["手机号,事项", *rows]), "utf-8")
    await words.put(node.change(), [Word("贷款", "金融", Action.REVIEW)])
    try:
        async with opened(chromium, node, DESKTOP, "clerk") as page:
            await page.goto("/custom")
            await page.set_input_files("input[type=file]", str(table))
            await page.click(".card-footer button.btn-primary, .upload-line button")
            await page.wait_for_url("**/content")
            await page.fill("#content", "关于{事项}的通知，请到窗口办理")
            await goes_on(page)
            await page.wait_for_url("**/audience")
            await goes_on(page)
            await page.wait_for_url("**/clean")
            held = page.locator("[data-class=held]")
            await expect(held.locator(".clean-count")).to_have_text("1")
            await expect(held).to_contain_text("关于贷款贴息的通知")
            await page.goto(page.url.replace("/clean", "/confirm"))
            await expect(page.locator("main")).to_contain_text("1 行的内容含敏感词：贷款(金融)")
            await page.click("#held-rows summary")
            await expect(page.locator("#held-rows")).to_contain_text("第 414 行")
            await fits(page)
            await goes_on(page)
            await page.wait_for_url(re.compile(r"/tasks/\d+$"))
            await expect(page.locator("#detail")).to_contain_text("待审核")
        await node.db.execute("UPDATE review SET created_at = now() - interval '47 minutes' WHERE state = 'pending'")
        async with opened(chromium, node, PHONE, "boss") as phone:
            await phone.goto("/review")
            await expect(phone.locator(".waits-since.late")).to_have_text("已等 47 分钟")
            await fits(phone)
            await phone.click(".waits-buttons .row-link")
            row = phone.locator("#held-rows li")
            await expect(row).to_contain_text("关于贷款贴息的通知")
            said = "getComputedStyle(document.querySelector('#held-rows mark'), '::after').content"
            assert await phone.evaluate(said) == '"金融"', "a phone shows no title"
            await expect(phone.locator("#numbers")).to_contain_text("有效 450")
            await expect(phone.locator("#numbers")).to_contain_text("移动 450")
            await expect(phone.locator("#risks")).to_contain_text("300 个号码，100% 该账号从未发过")
            await fits(phone)
            await phone.click(".detail-buttons .btn-primary")
            await phone.click("#ask form button[type=submit]")
            await expect(phone.locator(".waits")).to_have_count(0)
            assert (await node.gets("13800020412"))[0] == "【市政服务】关于贷款贴息的通知，请到窗口办理"

            await phone.goto(f"/review/rules/{node.hall}/marketing")
            await fits(phone)
            await phone.select_option("#review_new_link", "true")
            await phone.click(".kit-form button[type=submit]")
            await expect(phone.locator(".effect")).to_contain_text("条须审批（现行规则为 0 条）")
            await phone.click(".effect ~ form button[type=submit]")
            await phone.wait_for_url("**/review/rules")
            await fits(phone)
            card = phone.locator(f"[data-account='{node.hall}']")
            await until(lambda: _reloaded(phone, card, "新链接"))
        value = "SELECT value FROM policy WHERE name = 'review_new_link' AND account_id = $1 AND type = 'marketing'"
        assert await node.db.fetchval(value, node.hall) == "true"
    finally:
        await words.remove(node.change(), word="贷款")
        await policies.clear(node.change(), "review_new_link", account_id=node.hall, type_="marketing")


async def _reloaded(page: Page, place: Locator, text: str) -> bool:
    await page.reload()
    return text in await place.inner_text()


async def test_numbers_are_sorted_by_what_is_known_of_them(chromium: Browser, node: Node) -> None:
    """S2.1d: a list is looked at, counted by class; a class is taken away, another is sent to."""
    known = {f"86138000008{n:02}": NumberState.EMPTY for n in range(3)}
    await numbers.learn(node.change(), known, clock.now())
    async with opened(chromium, node, DESKTOP, "boss") as page:
        await page.goto("/number-filters/-/new")
        await page.fill("#name", "年会名单")
        await page.select_option("#account", str(node.hall))
        await page.fill("#numbers", "\n".join(f"138000008{n:02}" for n in range(5)))
        await page.click(".kit-form button[type=submit]")
        await expect(page.locator(".effect")).to_contain_text("平台已有 3 个结论，免费；其余 2 个列为未知")
        await page.click(".effect ~ form button[type=submit]")
        await page.wait_for_url(re.compile(r"/number-filters/\d+$"))
        await until(lambda: node.db.fetchval("SELECT count(*) = 3 FROM number_filter_row WHERE state = 'empty'"))
        await page.reload()
        async with page.expect_download() as download:
            await page.click("a[href$='/class/empty']")
        lines = (await (await download.value).path()).read_text("utf-8-sig").splitlines()
        assert [line.split(",")[0] for line in lines[1:]] == [f"86138000008{n:02}" for n in range(3)]
        await page.click("a:has-text('用于发送')")
        await expect(page.get_by_label("空号（3）")).not_to_be_checked()
        await expect(page.get_by_label("未知（2）")).to_be_checked()
        await fits(page)
        await page.click(".kit-form button[type=submit]")
        await page.fill("#content", "年会改期")
        await goes_on(page)
        await expect(page.locator(".file-line")).to_contain_text("共 2 行")
        await goes_on(page)
        await expect(page.locator("#clean-sum")).to_have_text("共 2 行，有效 2 行。")
        await page.click("text=跳过设置，直接确认")
        await goes_on(page)
        await page.wait_for_url(re.compile(r"/tasks/\d+$"))
    for n in (3, 4):
        assert await node.gets(f"138000008{n:02}") == ["【市政服务】年会改期"]
    assert [node.texts(f"138000008{n:02}") for n in range(3)] == [[], [], []], "what was sorted out"


LOGO = b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9" fill="red"/></svg>'


async def test_a_brand_is_published_and_seen_at_its_host_alone(chromium: Browser, node: Node) -> None:
    """S0.1, S1.2a-d: name, purchaser, logo and footer of one host; another host shows none of it."""
    async with opened(chromium, node, DESKTOP, "boss") as page:
        await page.goto("/platform")
        await page.fill("#hosts", "localhost")
        await page.click("aside form button[type=submit]")
        await page.wait_for_url(re.compile(r"/platform/\d+$"))
        for field, text in (("name", "城市短信"), ("purchaser", "某市大数据局"), ("icp", "京ICP备1号"),
                            ("footer", "市民热线 12345")):  # fmt: skip
            await page.fill(f"#{field}", text)
        await page.click(".card-footer.form-buttons button[type=submit]")
        await expect(page.locator("h1")).to_contain_text("城市短信")
        logo = {"name": "logo.svg", "mimeType": "image/svg+xml", "buffer": LOGO}
        await page.set_input_files("#picture-logo input[type=file]", files=[logo])
        await page.click("#picture-logo form.picture-form button[type=submit]")
        await expect(page.locator("#picture-logo .picture-shown img")).to_be_visible()
        await page.click("a[href$='/publish']")
        await page.click("main form button[type=submit]")
        await page.wait_for_url(re.compile(r"/platform/\d+$"))
    port = node.url.rpartition(":")[2]
    there = replace(node, url=f"http://localhost:{port}")
    async with opened(chromium, there, PHONE) as page, opened(chromium, node, PHONE) as other:

        async def shown() -> bool:
            await page.goto("/login")
            return "城市短信" in await page.title()

        await until(shown)
        for text in ("某市大数据局", "京ICP备1号", "市民热线 12345"):
            await expect(page.locator("body")).to_contain_text(text)
        picture = await page.locator("img[src^='/brand/']").first.get_attribute("src")
        assert picture
        assert (await page.context.request.get(picture)).status == 200
        await fits(page)
        await other.goto("/login")
        await expect(other.locator("body")).not_to_contain_text("某市大数据局")
        assert "城市短信" not in await other.title()


async def test_a_channel_is_plugged_in_and_takes_over_from_one_that_is_stopped(chromium: Browser, node: Node) -> None:
    """S21a, S21b: added and stopped on their pages while the daemon runs; the next message goes the other way."""
    numbers_ = ("13800000901", "13800000902")
    second = carrier("900002", Behaviour())
    await second.start()
    try:
        async with opened(chromium, node, DESKTOP, "boss") as page:
            await page.goto("/channels/-/new")
            await page.click("a[href='/channels/-/new/cmpp30']")
            for field, text in (("name", "spare"), ("host", "127.0.0.1"), ("port", str(second.port)),
                                ("username", "900002"), ("password", "secret")):  # fmt: skip
                await page.fill(f"#{field}", text)
            await page.click(".kit-form button[type=submit]")
            await page.wait_for_url(re.compile(r"/channels/\d+/test$"))
            await page.click("form[action$='/test'] button.btn-primary")
            await expect(page.locator("#check")).to_contain_text("测试通过")
            await page.click("a[href$='/start']")
            await page.click(".effect ~ form button[type=submit]")
            await until(lambda: second.counts.logins > 1)
            first = await node.db.fetchval("SELECT id FROM channel WHERE name = 'mobile'")
            await page.goto(f"/channels/{first}/stop")
            await expect(page.locator(".effect")).to_contain_text("spare")
            await page.click(".effect ~ form button[type=submit]")
            await page.wait_for_url(f"**/channels/{first}")
            await until(lambda: node.db.fetchval("SELECT desired = 'stopped' FROM channel WHERE id = $1", first))
            await quickly(page, node.hall, numbers_[0], "改走备用")
            await page.click("form.send button.btn-primary")
            await until(lambda: [m.text for m in second.inbox.messages] == ["【市政服务】改走备用"])
            assert node.texts(numbers_[0]) == []
            await page.goto(f"/channels/{first}/start")
            await page.click(".effect ~ form button[type=submit]")
            spare = await node.db.fetchval("SELECT id FROM channel WHERE name = 'spare'")
            await page.goto(f"/channels/{spare}/stop")
            await page.click(".effect ~ form button[type=submit]")
            await quickly(page, node.hall, numbers_[1], "回到主用")
            await page.click("form.send button.btn-primary")
        assert await node.gets(numbers_[1]) == ["【市政服务】回到主用"]
        assert len(second.inbox.messages) == 1
    finally:
        await second.stop()


async def accepted(node: Node, number: str, content: str) -> int:
    """A message of the account's, by the door that all have."""
    await node.daemon.node.snapshots.follow()
    account = node.daemon.node.snapshots.current.account(node.hall)
    assert account
    await until(lambda: any(one.state == "bound" for one in node.daemon.node.channels.status()))
    item = SendItem(to=number, content=content, sign="市政服务")
    sent = await node.daemon.node.acceptor.send(
        SendRequest(account, (item,), MessageType.NOTICE, Origin.API, ActorLabel("ak_walk"))
    )
    assert sent.items[0].message_id, sent
    return int(sent.items[0].message_id)


async def ended(node: Node, id_: int, status: str) -> Any:
    """Once it has."""
    state = {"delivered": 40, "failed": 41}[status]
    return await until(lambda: node.db.fetchval("SELECT true FROM part WHERE id = $1 AND state = $2", id_, state))


MOST_SECONDS, MOST_CLICKS = 60.0, 4


@pytest.mark.parametrize(("size", "number"), [(DESKTOP, "13800000771"), (PHONE, "13800000772")], ids=["desk", "phone"])
async def test_from_a_phone_number_to_the_hop_that_failed_in_less_than_a_minute(
    chromium: Browser, node: Node, size: tuple[int, int], number: str
) -> None:
    """S8.1a, S18c, S23.4e, U22: an operator who is asked "where is my message?", by what is to be read alone."""
    await ended(node, await accepted(node, number, "办理进度查询"), "delivered")
    node.carrier.change(reports=Mix({"MK:0001": 1.0}))
    try:
        lost = await accepted(node, number, "请携带证件办理")
        await ended(node, lost, "failed")
    finally:
        node.carrier.change(reports=Mix({"DELIVRD": 1.0}))
    async with opened(chromium, node, size, "clerk") as page:
        clicks, began = 0, time.monotonic()

        async def click(what: Locator) -> None:
            nonlocal clicks
            clicks += 1
            await what.click()

        await page.goto("/")
        await click(page.get_by_role("button", name="搜索"))
        await page.get_by_label("搜索页面、手机号、流水号、任务号、账号").fill(number)
        await click(page.get_by_role("option", name="的发送记录"))
        row = page.get_by_role("row").filter(has_text="失败")
        await expect(row).to_contain_text("空号")
        await click(row.get_by_role("link").first)
        stopped = page.get_by_role("list", name="到了哪一步").get_by_role("listitem").filter(has_text="停在这里")
        await expect(stopped).to_have_text(re.compile("状态报告"))
        await expect(page.get_by_role("main")).to_contain_text("怎么办：核对名单来源，用空号过滤剔除后再发。")
        seconds = time.monotonic() - began
        print(f"clicks={clicks} fields=1 seconds={seconds:.1f}")
        assert clicks <= MOST_CLICKS
        assert seconds < MOST_SECONDS
        await fits(page)
        await page.get_by_role("link", name="报告问题").click()
        told = page.get_by_label("问题信息")
        await expect(told).to_have_value(re.compile(rf"短信流水号：{lost}\n"))
        await page.get_by_role("button", name="复制").click()
        await expect(page.get_by_role("status").or_(page.get_by_role("alert")).filter(
            has_text=re.compile("已复制|不允许复制")).first).to_be_visible()  # fmt: skip
        assert number not in await told.input_value()


async def test_a_failure_is_counted_by_its_reason_and_its_number_is_put_into_a_group(
    chromium: Browser, node: Node
) -> None:
    """S23.4e, S8.1a: from the reason to exactly its messages, and their numbers into a group of the address book."""
    number = "13800000773"
    node.carrier.change(reports=Mix({"MK:0001": 1.0}))
    try:
        await ended(node, await accepted(node, number, "缴费成功"), "failed")
    finally:
        node.carrier.change(reports=Mix({"DELIVRD": 1.0}))
    await book.add_group(node.change(), node.hall, "失败回访", Sharing())
    async with opened(chromium, node, DESKTOP, "clerk") as page:
        await page.goto("/reports/failures?time=today")
        row = page.get_by_role("row").filter(has_text="空号").first
        await expect(row).to_contain_text("用空号过滤剔除")
        await row.get_by_role("link", name=re.compile(r"^[0-9,]+$")).click()
        await page.wait_for_url("**/records?**reason=EMPTY_NUMBER**")
        failed = page.get_by_role("row").filter(has_text=f"{number[:3]}****{number[-4:]}")
        await expect(failed).to_contain_text("空号")
        await failed.get_by_role("checkbox").check()
        await page.get_by_role("button", name="加入通讯录分组").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("将 1 条短信的 1 个号码加入所选分组")
        await dialog.get_by_label(re.compile("^分组")).select_option(label="失败回访（hall）")
        await dialog.get_by_role("button", name="确认加入通讯录分组").click()
        await page.wait_for_url("**/contacts/groups/*")
    there = "SELECT count(*) FROM contact WHERE account_id = $1 AND number = $2"
    assert await node.db.fetchval(there, node.hall, f"86{number}") == 1


@pytest.mark.parametrize(("size", "number"), [(DESKTOP, "13800000774"), (PHONE, "13800000775")], ids=["desk", "phone"])
async def test_where_time_goes_is_seen_by_channel_and_by_hour(
    chromium: Browser, node: Node, size: tuple[int, int], number: str
) -> None:
    """S23.4f."""
    await ended(node, await accepted(node, number, "预约成功"), "delivered")
    async with opened(chromium, node, size, "clerk") as page:
        await page.goto("/reports/delays?time=today")
        await expect(page.get_by_role("row").filter(has_text="mobile")).to_be_visible()
        await page.goto("/reports/delays?time=today&along=hour")
        now = clock.now().astimezone(CHINA)
        hours = "|".join(f"{at:%H}:00" for at in (now, now - timedelta(hours=1)))
        await expect(page.locator("#list-rows")).to_contain_text(re.compile(hours))
        await fits(page)


async def test_a_complaint_is_entered_at_its_message_and_answered(chromium: Browser, node: Node) -> None:
    """S15b: from the number to the message, entered there, looked into, answered; its file has all of it."""
    number = "13800000311"
    async with opened(chromium, node, DESKTOP, "boss") as page:
        await quickly(page, node.hall, number, "明日停水")
        await page.click("form.send button.btn-primary")
        await page.wait_for_url("**/send/quick/result*")
        assert await node.gets(number) == ["【市政服务】明日停水"]
        message = await node.db.fetchval("SELECT id FROM message WHERE number = $1", f"86{number}")
        await page.goto(f"/records/{message}")
        await page.click(f"a[href='/complaints/-/of/{message}']")
        await page.fill("#note", "用户称未办理过业务")
        await page.select_option("#origin", "carrier")
        await page.fill("#reference", "KF-0311")
        await page.click("form.kit-form button.btn-primary")
        await page.wait_for_url(re.compile(r"/complaints/\d+$"))
        await expect(page.locator("#detail")).to_contain_text("明日停水")
        await fits(page)
        await page.click("a[href$='/step']")
        await page.select_option("#state", "answered")
        await page.fill("#said", "已说明来源，用户无异议")
        await page.click("form.kit-form button.btn-primary")
        await page.wait_for_url(re.compile(r"/complaints/\d+$"))
        await expect(page.locator("#detail")).to_contain_text("已说明来源，用户无异议")
        await page.goto("/complaints?state=answered")
        await expect(page.locator("#list-rows tbody")).to_contain_text("138****0311")
    row = await node.db.fetchrow("SELECT state, reply, reference FROM complaint WHERE number = $1", f"86{number}")
    assert tuple(row) == ("answered", "已说明来源，用户无异议", "KF-0311")
