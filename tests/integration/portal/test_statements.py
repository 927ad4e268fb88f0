"""Monthly statements: taken away as PDF by right, and mailed to each receiver once, by a real mail server."""

from __future__ import annotations

import asyncio
import hashlib
import html
import re
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
import pytest_asyncio
from aiosmtpd.smtp import AuthResult
from browsing import Browser, lacks, send, shows
from certificates import HERE, Authority
from days import this_month, today
from following import follow
from portal_site import Site, by_test
from post import Post, serving
from visits import add_role, boss, fails, page_for, signed_in

from smsgw.admin import statement_pdf
from smsgw.admin.i18n import teller
from smsgw.admin.statement_mail import StatementMails
from smsgw.core.actor import ScopeKind
from smsgw.core.brand import ANY_HOST
from smsgw.core.errors import SmsgwError
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission as P
from smsgw.core.states import PartState
from smsgw.net.mail import Mailer
from smsgw.platform.accounts import service as accounts
from smsgw.platform.brand import service as brands
from smsgw.platform.exclusions import service as exclusions
from smsgw.platform.exclusions.model import Draft
from smsgw.platform.mailing import RETRIES
from smsgw.platform.statements import service
from smsgw.runtime.config import MailConfig
from smsgw.store.messages import cancellation, daily, success

__all__ = ["boss"]
pytestmark = pytest.mark.staff(boss="super")


def due() -> datetime:
    """When this month's statements go out."""
    day = (this_month() + timedelta(days=31)).replace(day=5)
    return datetime.combine(day, datetime.min.time(), CHINA) + timedelta(hours=9)


@pytest_asyncio.fixture
async def site(site: Site) -> Site:
    """Of hall five messages, of which one has failed for a reason that does not count, and one for another."""
    await add_role(site, "cashier", [P.STATISTICS_VIEW, P.STATISTICS_EXPORT], people={"clinic-op": "clinic"})
    await add_role(site, "looker", [P.STATISTICS_VIEW], people={"hall-op": "hall"})
    draft = Draft(today(), "合同约定", {"EMPTY_NUMBER": "handset"}, {"XX:1": "other"})
    await exclusions.add(by_test(site.db), draft)
    await accounts.edit(by_test(site.db), site.accounts["hall"], {"unit_price": "0.0385"})
    ids = [await send(site, to=f"138001380{n:02}") for n in range(5)]
    taken = await site.carrier_takes()
    await site.carrier_reports([one for one in taken if one[0] in ids[:3]])
    for id_, code, cls in ((ids[3], "MK:0001", "EMPTY_NUMBER"), (ids[4], "DB:0106", "CHANNEL")):
        await site.carrier_reports([one for one in taken if one[0] == id_], PartState.UNDELIVERABLE, code, cls)
    while await daily.roll_up(site.db, datetime.now(CHINA) + timedelta(minutes=1)):
        pass
    async with site.db.transaction() as connection:
        await success.count_day(connection, today())
    await site.db.execute(
        "INSERT INTO evidence_root VALUES ($1, 5, decode(repeat('ab', 32), 'hex'), now(), 'k', '')", today()
    )
    return site


def read(octets: bytes) -> str:
    """The text of a PDF, as a reader finds it."""
    document = pypdfium2.PdfDocument(octets)
    return "\n".join(page.get_textpage().get_text_range() for page in document)


def holds_all(text: str) -> None:
    shows(re.sub(r"\s+", "", text), "短信对账单", "（hall）", "60.00%", "75.00%", "V1", "空号（手机用户自身问题）",
          "XX:1（其他）", "合同约定", "ab" * 32, f"{today()}", "全平台当日收到回执（条）", "全平台当日默克尔根",
          "是全平台所有账号当天收到的回执")  # fmt: skip


async def test_it_is_taken_away_by_right_with_all_that_it_says_and_entered(site: Site, boss: Browser) -> None:
    form = {"month": f"{this_month():%Y-%m}", "account": str(site.accounts["hall"]), "reason": "季度核对"}
    assert "下载 PDF" in await boss.get("/statements")
    await boss.refused("/statements/-/pdf", form | {"reason": ""})
    text = read(await boss.octets("/statements/-/pdf", form))
    assert boss.headers["Content-Type"] == "application/pdf"
    holds_all(text)
    shows(text, "boss", "季度核对")
    taken = "SELECT actor, object, after FROM audit WHERE action = 'statement.take'"
    actor, object_, after = await site.db.fetchrow(taken)
    assert (actor, object_, "季度核对" in after) == ("boss", f"account/{site.accounts['hall']}", True)
    async with signed_in(site, "clinic-op") as other:
        assert await other.status_of("/statements/-/pdf", form) == 422, "not the person's account"
    async with signed_in(site, "hall-op") as looker:
        assert "下载 PDF" not in await looker.get("/statements")
        assert await looker.status_of("/statements/-/pdf") == 403


async def test_the_ledger_comes_to_the_bill_to_the_fen(site: Site, boss: Browser) -> None:
    """Without what came back of failed and unsent messages; another account's is not in it."""
    hall = site.accounts["hall"]
    await accounts.edit(by_test(site.db), hall, {"refund_failed": True, "units_notice": 2})
    await accounts.edit(by_test(site.db), site.accounts["clinic"], {"unit_price": "9"})
    await site.snapshots.follow()
    ids = [await send(site, to=f"139001390{n:02}") for n in range(3)]
    taken = await site.carrier_takes()
    await site.carrier_reports([one for one in taken if one[0] == ids[0]], PartState.UNDELIVERABLE, "MK:0001", "X")
    unsent = await send(site, to="13900139009")
    async with site.db.transaction() as connection:
        now = datetime.now(CHINA)
        rows = await cancellation.end_waiting(connection, [unsent], PartState.CANCELLED, "CANCELLED", "", now)
        await follow(connection, rows, site.ids.next)
    summed = ("SELECT -sum(units) FILTER (WHERE kind IN ('debit', 'refund')), sum(units) FILTER (WHERE kind = 'refund')"
              " FROM ledger WHERE account_id = $1")  # fmt: skip
    paid = await site.db.fetchrow(summed, hall)
    assert tuple(paid) == (9, 4), "five, and two of three of the double price; the third has failed, one was withdrawn"
    one = await service.take(by_test(site.db), hall, this_month(), "why")
    assert one.amount == Decimal("0.35"), "nine times 0.0385"
    text = re.sub(r"\s+", "", read(statement_pdf.made(one, teller("zh"), "平台", "水印")))
    shows(text, "单价0.0385元/条：扣费13条，返还4条，净计费9条", "合计913490.35")
    english = read(statement_pdf.made(one, teller("en"), "Platform", "mark"))
    assert "Period: " in english
    assert not re.search(r"[：（），、；]", english), "signs of the language"
    bills = f"/statements/bills?month={this_month():%Y-%m}&account={hall}"
    shows(html.unescape(await boss.get(bills)), "¥0.35", "月账单")
    lacks(html.unescape(await page_for(site, "clinic-op", "/statements/bills")), "hall", "¥")


async def test_who_may_not_see_balances_takes_a_statement_without_money(site: Site) -> None:
    await accounts.edit(by_test(site.db), site.accounts["clinic"], {"unit_price": "0.0385"})
    used = "INSERT INTO usage_day VALUES ($1, $2, 'k', 'notice', 1, 1, 1, 0)"
    await site.db.execute(used, site.accounts["clinic"], today())
    form = {"month": f"{this_month():%Y-%m}", "account": str(site.accounts["clinic"]), "reason": "季度核对"}
    texts = []
    for name in ("clinic-op", "boss"):
        async with signed_in(site, name) as one:
            texts.append(re.sub(r"\s+", "", read(await one.octets("/statements/-/pdf", form))))
    without, with_money = texts
    shows(without, "净计费", "条数按账本入账日期统计", no=["0.0385", "单价", "金额", "元"])
    shows(with_money, "净计费", "条数按账本入账日期统计", "0.0385", "单价", "金额", "元")


async def test_an_empty_month_is_a_statement_too(site: Site) -> None:
    before = (this_month() - timedelta(days=1)).replace(day=1)
    one = await service.take(by_test(site.db), site.accounts["clinic"], before, "why")
    assert (one.days, one.total.submitted, one.versions) == ([], 0, [0])
    for days in (31, -900, 3):
        with pytest.raises(SmsgwError):
            await service.take(by_test(site.db), site.accounts["clinic"], this_month() + timedelta(days=days), "why")


@pytest_asyncio.fixture
async def post() -> AsyncIterator[Post]:
    async with serving(Post()) as post:
        yield post


@dataclass
class Clock:
    now: datetime = field(default_factory=due)

    def __call__(self) -> datetime:
        return self.now


def mailing(site: Site, with_: MailConfig | Mailer, clock: Clock) -> StatementMails:
    mailer = Mailer(with_) if isinstance(with_, MailConfig) else with_
    return StatementMails(site.db, mailer, lambda: site.snapshots.current.brands, clock)


async def named(site: Site, *emails: str) -> None:
    await service.set_receivers(by_test(site.db), site.accounts["hall"], emails, "zh", "合同约定")


async def all_of(mails: StatementMails) -> None:
    while await mails.step():
        pass


async def states(site: Site) -> dict[str, tuple[str, int]]:
    rows = await site.db.fetch("SELECT receiver, state, tries FROM statement_mail ORDER BY receiver")
    return {row["receiver"]: (row["state"], row["tries"]) for row in rows}


async def test_each_receiver_gets_a_months_statement_once(site: Site, boss: Browser, post: Post) -> None:
    await named(site, "a@b.example", "b@b.example")
    clock = Clock(due() - timedelta(days=1))
    nodes = [mailing(site, post.config, clock) for _ in range(3)]
    for node in nodes:
        await all_of(node)
    assert post.got == [], "reports of the month's last days may still come"
    clock.now = due()
    await asyncio.gather(*map(all_of, nodes))
    clock.now += timedelta(hours=1)
    await asyncio.gather(*map(all_of, nodes))
    assert sorted(receiver for receiver, _ in post.got) == ["a@b.example", "b@b.example"]
    assert await states(site) == dict.fromkeys(("a@b.example", "b@b.example"), ("sent", 1))
    for receiver, message in post.got:
        assert (f"{this_month():%Y-%m}" in message["Subject"], message["To"]) == (True, receiver)
        (attached,) = message.iter_attachments()
        octets = attached.get_content()
        holds_all(read(octets))
        assert receiver in read(octets), "the watermark says to whom"
        digest = hashlib.sha256(octets).hexdigest()
        shows(message.get_body().get_content(), digest, "全平台每天")
        assert await site.db.fetchval("SELECT digest FROM statement_mail WHERE receiver = $1", receiver) == digest
    shows(await boss.get("/statements/mails"), "已发送", "a@b.example")


async def test_what_was_not_taken_is_sent_again_and_a_refusal_says_why(site: Site, boss: Browser, post: Post) -> None:
    await named(site, "late@b.example", "gone@b.example")
    post.answers = {"rcpt late@b.example": ["451 4.7.1 come later"] * 2,
                    "rcpt gone@b.example": ["550 5.1.1 no such person"]}  # fmt: skip
    clock = Clock()
    mails = mailing(site, post.config, clock)
    for _ in range(4):
        await all_of(mails)
        clock.now += timedelta(minutes=20)
    assert await states(site) == {"gone@b.example": ("failed", 1), "late@b.example": ("sent", 3)}
    assert [receiver for receiver, _ in post.got] == ["late@b.example"]
    page = await boss.get("/statements/mails?mail_state=failed")
    shows(page, "550 5.1.1 no such person", no="late@b.")
    (id_,) = re.findall(r'href="/statements/mails/(\d+)"', page)
    await boss.post("/statements/mails/-/do/again", {"id": id_, "confirmed": "1"})
    await all_of(mails)
    assert (await states(site))["gone@b.example"] == ("sent", 1)
    for one in re.findall(r'href="/statements/mails/(\d+)"', await boss.get("/statements/mails")):
        await fails(SmsgwError, service.again(by_test(site.db), int(one)))
    assert await site.db.fetchval("SELECT count(*) FROM audit WHERE action = 'statement.again'") == 1


async def _tried_in_vain(site: Site, mails: StatementMails, clock: Clock, why: str) -> None:
    """Some mail waits, and goes on waiting."""
    await all_of(mails)
    assert await states(site) == {"a@b.example": ("waiting", 1)}
    assert why in await site.db.fetchval("SELECT said FROM statement_mail")
    clock.now += timedelta(hours=1)
    await site.db.execute("UPDATE statement_mail SET tries = 0, next_at = $1", clock.now)


async def test_what_broke_before_the_server_had_it_is_sent_again_and_says_why(
    site: Site, post: Post, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await named(site, "a@b.example")
    clock, right = Clock(), Mailer(post.config)
    with monkeypatch.context() as patch:  # the PDF cannot be made
        patch.setattr("smsgw.admin.statement_pdf.made", lambda *_: 1 // 0)
        await _tried_in_vain(site, mailing(site, right, clock), clock, "ZeroDivisionError")
    with monkeypatch.context() as patch:  # or not in time
        patch.setattr("smsgw.admin.mailing.MAKING", 0.0)
        await _tried_in_vain(site, mailing(site, right, clock), clock, "TimeoutError")
    nowhere = Mailer(replace(post.config, security="tls", ca_file=str(tmp_path / "nowhere.pem")))
    await _tried_in_vain(site, mailing(site, nowhere, clock), clock, "FileNotFoundError")
    post.answers = {"mail bills@sms.example.org": ["550 5.7.1 you may not send here"]}
    await _tried_in_vain(site, mailing(site, right, clock), clock, "550 5.7.1")
    assert post.got == []
    await all_of(mailing(site, right, clock))
    assert await states(site) == {"a@b.example": ("sent", 1)}


async def test_an_address_that_no_octets_are_of_is_said_so_and_holds_up_nobody(site: Site, post: Post) -> None:
    await fails(SmsgwError, named(site, "财务@b.example"), "英文字母")
    await named(site, "a@b.example", "o'neil+x@b.example")
    await site.db.execute("UPDATE statement_receiver SET emails[1] = '财务@b.example'")  # from before
    await all_of(mailing(site, post.config, Clock()))
    assert await states(site) == {"o'neil+x@b.example": ("sent", 1), "财务@b.example": ("waiting", 1)}


async def test_who_is_named_later_gets_no_month_before(site: Site, post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    await named(site, "b@b.example")
    monkeypatch.setattr("smsgw.platform.statements.service.clock.now", due)
    await named(site, "a@b.example", "b@b.example")
    await all_of(mailing(site, post.config, Clock()))
    assert [receiver for receiver, _ in post.got] == ["b@b.example"]
    following = due() + timedelta(days=31)
    monkeypatch.setattr("smsgw.platform.statements.service.clock.now", lambda: following)
    await named(site, "a@b.example")
    await named(site, "b@b.example", "a@b.example")
    post.got.clear()
    await all_of(mailing(site, post.config, Clock(following)))
    assert [receiver for receiver, _ in post.got] == ["a@b.example"], "the other was away in between"


async def test_a_receiver_who_was_removed_gets_nothing_that_waits(site: Site, boss: Browser, post: Post) -> None:
    stays, gone, late = (f"{name}@b.example" for name in ("stays", "gone", "late"))
    await named(site, stays, gone, late)
    post.answers = {f"rcpt {one}": ["451 4.7.1 come later"] for one in (stays, gone, late)}
    clock = Clock()
    mails = mailing(site, post.config, clock)
    await all_of(mails)
    assert await states(site) == dict.fromkeys((stays, gone, late), ("waiting", 1))
    await site.db.execute("UPDATE statement_mail SET state = 'sending', begun_at = $1 WHERE receiver = $2", due(), late)
    await named(site, stays)
    assert (await states(site))[gone] == ("failed", 1)
    # The one under way comes back to wait, after the receiver was removed.
    await site.db.execute("UPDATE statement_mail SET state = 'waiting' WHERE receiver = $1", late)
    async with site.db.transaction() as connection:
        later = due() + timedelta(hours=1)
        claimed = [await service.TABLE.claim(connection, later) for _ in range(2)]
        assert claimed[1] is None, "only who is named"
        await connection.execute("UPDATE statement_mail SET state = 'waiting' WHERE id = $1", claimed[0])
    clock.now += timedelta(hours=1)
    await all_of(mails)
    assert [receiver for receiver, _ in post.got] == [stays]
    ends = {one: state for one, (state, _) in (await states(site)).items()}
    assert ends == {stays: "sent", gone: "failed", late: "failed"}
    assert (await boss.get("/statements/mails?mail_state=failed")).count("已不在该账号的对账单收件人中") >= 2
    id_ = await site.db.fetchval("SELECT id FROM statement_mail WHERE receiver = $1", gone)
    await fails(SmsgwError, service.again(by_test(site.db), id_))
    await named(site, stays, gone)
    await service.again(by_test(site.db), id_)
    assert (await states(site))[gone] == ("waiting", 0)


async def test_what_may_have_arrived_is_not_sent_again_by_itself(site: Site, post: Post) -> None:
    await named(site, "cut@b.example", "dead@b.example")
    post.answers = {"data cut@b.example": ["drop"]}
    clock = Clock()
    mails = mailing(site, post.config, clock)
    await all_of(mails)
    # a node that has died in the middle of one
    begun = "UPDATE statement_mail SET state = 'sending', begun_at = $1 WHERE receiver LIKE 'dead%'"
    await site.db.execute(begun, clock.now)
    post.got.clear()
    for _ in range(3):
        clock.now += timedelta(hours=1)
        await all_of(mails)
    assert await states(site) == {"cut@b.example": ("unsure", 1), "dead@b.example": ("unsure", 1)}
    assert post.got == []


async def test_a_server_that_is_away_is_tried_for_days_and_then_given_up(site: Site, post: Post) -> None:
    await named(site, "a@b.example")
    clock = Clock()
    away = MailConfig("127.0.0.1", 9, "none", sender="bills@sms.example.org")
    for _ in range(len(RETRIES) + 3):
        await all_of(mailing(site, away, clock))
        clock.now += timedelta(days=1)
    assert await states(site) == {"a@b.example": ("failed", len(RETRIES) + 1)}
    await all_of(mailing(site, MailConfig(), clock))
    assert post.got == []


async def test_a_server_is_known_by_its_certificate_and_knows_who_sends(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smsgw.net.mail.STEP_TIMEOUT", 3.0)  # a handshake that fails is noticed by its end
    authority = Authority(tmp_path / "ca.pem")
    authority.certify(tmp_path / "mail.pem", HERE)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "mail.pem")
    await named(site, "a@b.example")
    logins: list[bytes] = []

    def knows(_: Any, __: Any, ___: Any, ____: str, data: Any) -> Any:
        logins.append(data.password)
        return AuthResult(success=data.password == b"secret")

    ways: list[tuple[str, dict[str, Any]]] = [("tls", {"ssl": context}), ("starttls", {"tls_context": context})]
    for security, more in ways:
        post = Post()
        await site.db.execute("UPDATE statement_mail SET state = 'waiting', next_at = now() - interval '1 hour'")
        async with serving(post, authenticator=knows, auth_require_tls=security == "starttls", **more):
            right = MailConfig(
                "127.0.0.1", post.port, security, "bills", "secret", "bills@sms.example.org", f"{authority.path}"
            )
            clock = Clock()
            await all_of(mailing(site, replace(right, ca_file=""), clock))
            assert post.got == [], "nobody that is known has signed it"
            clock.now += timedelta(hours=2)
            await all_of(mailing(site, replace(right, password="wrong"), clock))
            assert post.got == []
            assert (await states(site))["a@b.example"][0] == "waiting", "that is nothing of the receiver's"
            clock.now += timedelta(hours=2)
            await all_of(mailing(site, right, clock))
            assert len(post.got) == 1, security
            assert (b"wrong" in logins, logins[-1]) == (True, b"secret")


async def test_sending_again_says_how_many_it_sends_and_how_many_not(site: Site, boss: Browser, post: Post) -> None:
    await named(site, "a@b.example", "gone@b.example", "bad@b.example")
    post.answers = {"rcpt bad@b.example": ["550 5.1.1 no such person"]}
    clock = Clock()
    await all_of(mailing(site, MailConfig(), clock))
    await named(site, "a@b.example", "bad@b.example")
    await all_of(mailing(site, post.config, clock))
    of = "SELECT split_part(receiver, '@', 1), id::text FROM statement_mail"
    ids = dict(map(tuple, await site.db.fetch(of)))
    ask = "/statements/mails/-/effect/again"
    assert "都不能重新发送" in await boss.post(ask, [("id", ids["a"]), ("id", ids["gone"])])
    shows(await boss.post(ask, [("id", one) for one in ids.values()]), "将重新发送 1 封对账单", "另有 2 封不重新发送")
    shows(await boss.post(ask, {"id": ids["bad"]}), "将重新发送 1 封对账单", no="另有")


async def test_a_mail_shows_the_platforms_name_and_whose_it_is(site: Site, post: Post) -> None:
    brand = await brands.add(by_test(site.db), [ANY_HOST])
    await brands.draft(by_test(site.db), brand, {"name": "市民短信", "purchaser": "市政务局"})
    await brands.publish(by_test(site.db), brand)
    await site.snapshots.follow()
    await named(site, "a@b.example")
    await all_of(mailing(site, post.config, Clock()))
    ((_, message),) = post.got
    assert message["Subject"].startswith("市民短信 · 市政务局：")
    (attached,) = message.iter_attachments()
    assert "市民短信 · 市政务局" in read(attached.get_content())


async def test_receivers_are_named_on_their_page_and_get_no_month_before(site: Site, boss: Browser, post: Post) -> None:
    hall = site.accounts["hall"]
    form = {"account": str(hall), "language": "en", "reason": "合同约定"}
    path = "/statements/receivers/-/new"
    await boss.refused(path, form | {"emails": "a@b.example\nnot an address"}, "邮箱")
    assert await boss.led_to(path, form | {"emails": "a@b.example"}) == "/statements/receivers"
    assert "a@b.example" in await boss.get("/statements/receivers")
    earlier = datetime.combine(this_month().replace(day=28), datetime.min.time(), CHINA)
    await all_of(mailing(site, post.config, Clock(earlier)))
    assert post.got == [], "the month before was over when the receiver was named"
    await all_of(mailing(site, post.config, Clock()))
    ((_, message),) = post.got
    assert f"statement of {this_month():%Y-%m}" in message["Subject"]
    await boss.post(f"/statements/receivers/{hall}/edit", {"emails": "", "language": "zh", "reason": "合同已止"})
    assert "a@b.example" not in await boss.get("/statements/receivers")
    await fails(SmsgwError, named(site, *(f"a{n}@b.example" for n in range(11))))
    said = "SELECT array_agg(after->>'reason' ORDER BY id) FROM audit WHERE action = 'statement.receivers'"
    assert await site.db.fetchval(said) == ["合同约定", "合同已止"]


async def test_who_may_not_take_a_statement_away_names_nobody_who_gets_it(site: Site) -> None:
    hall = site.accounts["hall"]
    await service.set_receivers(by_test(site.db), hall, ["own@b.example"], "zh", "合同约定")
    lacking = (P.STATISTICS_EXPORT, P.BALANCE_VIEW, P.ACCOUNT_EDIT)
    for n, right in enumerate(lacking):
        rights = [P.STATISTICS_VIEW, *(one for one in lacking if one is not right)]
        await add_role(site, f"lacks-{n}", rights, ScopeKind.ALL, people=[f"lacks-{n}"])
    await site.add_staff("machine", "sysadmin")
    form = {"emails": "mine@example.net", "language": "zh", "reason": "自用"}
    for n, login in enumerate(("machine", "lacks-0", "lacks-1", "lacks-2")):
        async with signed_in(site, login) as one:
            for path in (f"/statements/receivers/{hall}/edit", "/statements/receivers/-/new"):
                assert await one.status_of(path) == 403, (login, path)
                assert await one.status_of(path, form | {"account": str(hall)}) == 403, (login, path)
            if n:
                shows(await one.get("/statements/receivers"), "own@b.example", no="登记收件人")
    assert await site.db.fetchval("SELECT emails FROM statement_receiver") == ["own@b.example"]
    await site.db.execute("DELETE FROM statement_receiver")
    for login, times in (("lacks-0", 0), ("boss", 2)):  # in the head, and where there are no rows
        async with signed_in(site, login) as one:
            page = await one.get("/statements/receivers")
            assert page.count('href="/statements/receivers/-/new"') == times, login
