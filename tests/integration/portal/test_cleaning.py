"""What the clean step says of numbers: every one stands in one class, and what is valid is what gets a message."""

from __future__ import annotations

import csv
import html
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from browsing import Browser
from portal_site import Site, running
from standing_numbers import GOOD, KEPT_OFF, stand
from visits import addressed, clerk, lacking
from wizard_steps import begun, looked_at, upload

from smsgw.core.model import MessageType
from smsgw.core.numbers import mask
from smsgw.core.policy import NO_POLICY, RELAXED, PolicySet, parse
from smsgw.core.states import PartState
from smsgw.core.templates import ContentBook, Form, Review, Sign, Template, Variable
from smsgw.platform.drafts import surveyor
from smsgw.runtime import clock

__all__ = ["clerk"]


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with running(dsn, tmp_path, listed=True) as site:
        await site.add_staff("clerk", "operator", "hall")
        await stand(site)
        yield site


def classes(page: str) -> dict[str, tuple[str, list[str]]]:
    """Class -> how many the page says, and the numbers that it shows."""
    found = {}
    for cls, body in re.findall(r'data-class="([^"]+)".*?<summary>(.*?)</details>', page, re.S):
        count = re.search(r'clean-count">([^<]+)<', body)
        found[cls] = count[1], re.findall(r'<td class="nowrap"[^>]*>([^<]+)<', body)
    return found


async def downloaded(clerk: Browser, draft: int, cls: str) -> list[str]:
    """The numbers in a class's file."""
    file = await clerk.get(f"/send/{draft}/clean/file?class={cls}")
    assert clerk.status == 200, cls
    return [row[-2] for row in csv.reader(file.splitlines()[1:])]


async def test_every_number_stands_in_one_class(site: Site, clerk: Browser) -> None:
    draft = await addressed(site, clerk, "\n".join([*KEPT_OFF.values(), GOOD]), type="marketing", content="满百减十")
    page = await looked_at(clerk, draft)
    assert "共 9 行，有效 1 行" in page
    found = classes(page)
    assert found.pop("valid") == ("1", [mask(f"86{GOOD}")[-11:]])
    empty = {cls for cls, (n, _) in found.items() if n == "0"}
    assert empty == {"NUMBER_DUPLICATE", "NUMBER_INVALID"}
    told = {cls: shown for cls, (_, shown) in found.items() if cls not in empty}
    assert {cls: len(shown) for cls, shown in told.items()} == dict.fromkeys(KEPT_OFF, 1)
    for cls, number in {**KEPT_OFF, "valid": GOOD}.items():
        assert await downloaded(clerk, draft, cls) == [number], cls
    assert await clerk.status_of(f"/send/{draft}/clean/file?class=NUMBER_NONE") == 404

    assert "将向 1 个号码发送" in await looked_at(clerk, draft, "confirm")


async def test_a_test_goes_as_the_sending_does(site: Site, clerk: Browser) -> None:
    """By its template, with the values of the first row that is sent; where a reviewer has to pass it, that is told."""
    hall, now = site.accounts["hall"], clock.now()
    template = Template(7, hall, MessageType.NOTICE, "{姓名}您好，请到场", {"姓名": Variable(Form.TEXT, 10)},
                        state=Review.APPROVED)  # fmt: skip
    fields = {name: parse(name, "off") for name in RELAXED} | {"templates_only": parse("templates_only", "on")}
    book = ContentBook([Sign(1, hall, "市政服务", Review.APPROVED, {}, now)], [template])
    site.snapshots.change(policies=PolicySet({(0, ""): fields}, book=book))
    await site.db.execute("UPDATE staff SET phone = '8613900139000', phone_verified_at = now() WHERE login = 'clerk'")
    draft = await begun(site, clerk, template="7", content="")
    table = f"手机号,姓名\n{KEPT_OFF['NUMBER_BLACKLISTED']},王一\n{GOOD},李二\n"
    await upload(clerk, f"/send/{draft}/file", table.encode())
    await clerk.post(f"/send/{draft}/audience", {"source": "file", "phone": "手机号", "var_姓名": "姓名"})
    assert '<div class="bubble">【市政服务】李二您好，请到场</div>' in await looked_at(clerk, draft, "confirm")
    assert "测试短信已提交到 139****9000" in html.unescape(await clerk.post(f"/send/{draft}/test", {"key": "a" * 24}))
    sent = "SELECT content, template_id, state FROM message JOIN part USING (id) ORDER BY message.id DESC LIMIT 1"
    row = await site.db.fetchrow(sent)
    assert (row["content"], row["template_id"], row["state"]) == ("【市政服务】李二您好，请到场", 7, PartState.QUEUED)

    fields |= {"review": parse("review", "all")}
    site.snapshots.change(policies=PolicySet({(0, ""): fields}, book=book))
    page = html.unescape(await clerk.post(f"/send/{draft}/test", {"key": "b" * 24}))
    assert "发到 139****9000 的测试短信须先经他人审批" in page
    assert "测试短信已提交" not in page
    assert (await site.db.fetchrow(sent))["state"] == PartState.HELD


async def test_the_effect_is_told_carrier_by_carrier(site: Site, clerk: Browser) -> None:
    site.snapshots.change(policies=NO_POLICY)
    await site.db.execute("UPDATE account SET unit_price = 0.05 WHERE name = 'hall'")
    await site.snapshots.follow()
    draft = await begun(site, clerk, content="好" * 100)
    numbers = [GOOD, "13800138009", "13000130009"]
    await clerk.post(f"/send/{draft}/audience", {"source": "typed", "to": "\n".join(numbers)})
    page = await looked_at(clerk, draft, "confirm")
    table = page.partition('id="of-carriers"')[2].partition("</table>")[0]
    rows = [re.findall(r"<td[^>]*>([^<]*)</td>", row)[:4] for row in table.split("<tr>")[2:]]
    assert rows == [["移动", "2", "4", "0.20"], ["联通", "1", "2", "0.10"]]
    assert not lacking(page, '<dd id="sign">【市政服务】</dd>', '<dd id="one-each">每个号码只发一条</dd>')


async def test_nobody_is_left(site: Site, clerk: Browser) -> None:
    """The phone shows no text that nobody gets, and there is nothing to try."""
    draft = await addressed(site, clerk, KEPT_OFF["NUMBER_OPTED_OUT"], type="marketing", content="满百减十")
    page = await looked_at(clerk, draft)
    assert classes(page)["valid"] == ("0", [])
    assert '<div class="bubble">' not in await looked_at(clerk, draft, "confirm")


async def test_of_many_rows_it_is_told_about(site: Site, monkeypatch: pytest.MonkeyPatch, clerk: Browser) -> None:
    """What hangs on a number's past is asked of some; the page says so, and shows those."""
    monkeypatch.setattr(surveyor, "EXPLAINED", 2)
    limited = KEPT_OFF["NUMBER_FREQ_LIMITED"]
    draft = await begun(site, clerk, type="marketing", content="满百减十")
    table = "\n".join(["手机号", limited, GOOD, KEPT_OFF["NUMBER_BLACKLISTED"], "138"])
    await upload(clerk, f"/send/{draft}/file", table.encode())
    await clerk.post(f"/send/{draft}/audience", {"source": "file", "phone": "手机号"})
    page = html.unescape(await looked_at(clerk, draft))
    found = classes(page)
    assert found["NUMBER_FREQ_LIMITED"] == ("约 2", ["138****8008"])
    assert found["valid"][0] == "约 0"
    assert found["NUMBER_BLACKLISTED"] == ("1", ["138****8001"])
    assert not lacking(page, "标“约”的各类按均匀抽取的 1 行推算", "下载抽查到的行")
    assert await downloaded(clerk, draft, "NUMBER_FREQ_LIMITED") == [limited]
