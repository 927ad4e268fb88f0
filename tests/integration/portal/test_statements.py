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
from browsing import Browser, send
from certificates import HERE, Authority
from days import this_month, today
from following import follow
from portal_site import Site, by_test, running
from post import Post, serving

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
from smsgw.platform.org import service as org
from smsgw.platform.statements import service
from smsgw.runtime.config import MailConfig
from smsgw.store.messages import cancellation, daily, success


def due() -> datetime:
    """When this month's statements go out."""
    day = (this_month() + timedelta(days=31)).replace(day=5)
    return datetime.combine(day, datetime.min.time(), CHINA) + timedelta(hours=9)


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    """Of hall five messages, of which one has failed for a reason that does not count, and one for another."""
    async with running(dsn, tmp_path) as site:
        await site.add_staff("boss", "super")
        rights = [P.HOME_VIEW, P.STATISTICS_VIEW, P.STATISTICS_EXPORT]
        await org.add_role(by_test(site.db), "cashier", "出纳", rights, ScopeKind.ACCOUNTS)
        await org.add_role(by_test(site.db), "looker", "查看", rights[:2], ScopeKind.ACCOUNTS)
        await site.add_staff("clinic-op", "cashier", "clinic")
        await site.add_staff("hall-op", "looker", "hall")
        draft = Draft(today(), "合同约定", {"EMPTY_NUMBER": "handset"}, {"XX:1": "other"})
        await exclusions.add(by_test(site.db), draft)
        await accounts.edit(by_test(site.db), site.accounts["hall"], {"unit_price": "0.0385"})
        ids = [await send(site, to=f"138001380{n:02}") for n in range(5)]
        taken = await site.carrier_takes()
        await site.carrier_reports([one for one in taken if one[0] in ids[:3]])
        for id_, code, cls in ((ids[3], "MK:0001", "EMPTY_NUMBER"), (ids[4], "DB:0106", "CHANNEL")):
            failed = [one for one in taken if one[0] == id_]
            await site.carrier_reports(failed, PartState.UNDELIVERABLE, code, cls)
        while await daily.roll_up(site.db, datetime.now(CHINA) + timedelta(minutes=1)):
            pass
        async with site.db.transaction() as connection:
            await success.count_day(connection, today())
        await site.db.execute(
            "INSERT INTO evidence_root VALUES ($1, 5, decode(repeat('ab', 32), 'hex'), now(), 'k', '')", today()
        )
        yield site


def read(octets: bytes) -> str:
    """The text of a PDF, as a reader finds it."""
    document = pypdfium2.PdfDocument(octets)
    return "\n".join(page.get_textpage().get_text_range() for page in document)


def holds_all(text: str) -> None:
    whole = re.sub(r"\s+", "", text)
    for part in ("短信对账单", "（hall）", "60.00%", "75.00%", "V1", "空号（手机用户自身问题）", "XX:1（其他）",
                 "合同约定", "ab" * 32, f"{today()}", "全平台当日收到回执（条）", "全平台当日默克尔根",
                 "是全平台所有账号当天收到的回执"):  # fmt: skip
        assert part in whole, part


# --- as a file -------------------------------------------------------------------------------------------------------


async def test_it_is_taken_away_by_right_with_all_that_it_says_and_entered(site: Site) -> None:
    form = {"month": f"{this_month():%Y-%m}", "account": str(site.accounts["hall"]), "reason": "季度核对"}
    async with Browser(site) as boss:
        await boss.login("boss")
        assert "下载 PDF" in await boss.get("/statements")
        await boss.get(f"/statements/-/pdf?month={this_month():%Y-%m}&account={site.accounts['hall']}")
        assert "不能为空" in await boss.post("/statements/-/pdf", form | {"reason": ""}) or boss.status == 422
        async with boss.session.post("/statements/-/pdf", data=form | {"csrf": boss.csrf}) as response:
            assert response.content_type == "application/pdf"
            text = read(await response.read())
    holds_all(text)
    assert "boss" in text
    assert "季度核对" in text
    taken = "SELECT actor, object, after::text AS after FROM audit WHERE action = 'statement.take'"
    entry = await site.db.fetchrow(taken)
    assert entry is not None
    assert (entry["actor"], entry["object"]) == ("boss", f"account/{site.accounts['hall']}")
    assert "季度核对" in entry["after"]
    async with Browser(site) as other:
        await other.login("clinic-op")
        await other.post("/statements/-/pdf", form)
        assert other.status == 422, "not the person's account"
    async with Browser(site) as looker:
        await looker.login("hall-op")
        assert "下载 PDF" not in await looker.get("/statements")
        await looker.get("/statements/-/pdf")
        assert looker.status == 403


async def test_the_ledger_comes_to_the_bill_to_the_fen(site: Site) -> None:
    """Of what failed the price was promised back, of what never went out it is; a message of another account is not in
    it, and who may not see balances sees no money."""
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
    paid = await site.db.fetchval(
        "SELECT -sum(units) FROM ledger WHERE account_id = $1 AND kind IN ('debit', 'refund')", hall
    )
    back = await site.db.fetchval("SELECT sum(units) FROM ledger WHERE account_id = $1 AND kind = 'refund'", hall)
    assert (paid, back) == (9, 4), "five, and two of three of the double price; the third has failed, one was withdrawn"
    one = await service.take(by_test(site.db), hall, this_month(), "why")
    assert one.amount == Decimal("0.35"), "nine times 0.0385"
    text = re.sub(r"\s+", "", read(statement_pdf.made(one, teller("zh"), "平台", "水印")))
    assert "单价0.0385元/条：扣费13条，返还4条，净计费9条" in text
    assert "合计913490.35" in text, text
    english = read(statement_pdf.made(one, teller("en"), "Platform", "mark"))
    assert "Period: " in english
    assert not re.search(r"[：（），、；]", english), "signs of the language"
    async with Browser(site) as boss:
        await boss.login("boss")
        page = html.unescape(await boss.get(f"/statements/bills?month={this_month():%Y-%m}&account={hall}"))
        assert "¥0.35" in page
        assert "月账单" in page
    async with Browser(site) as other:
        await other.login("clinic-op")
        page = html.unescape(await other.get("/statements/bills"))
        assert "hall" not in page
        assert "¥" not in page


async def test_who_may_not_see_balances_takes_a_statement_without_money(site: Site) -> None:
    await accounts.edit(by_test(site.db), site.accounts["clinic"], {"unit_price": "0.0385"})
    used = "INSERT INTO usage_day VALUES ($1, $2, 'k', 'notice', 1, 1, 1, 0)"
    await site.db.execute(used, site.accounts["clinic"], today())
    form = {"month": f"{this_month():%Y-%m}", "account": str(site.accounts["clinic"]), "reason": "季度核对"}
    texts = []
    for name in ("clinic-op", "boss"):
        async with Browser(site) as one:
            await one.login(name)
            await one.get("/statements/-/pdf")
            async with one.session.post("/statements/-/pdf", data=form | {"csrf": one.csrf}) as response:
                assert response.content_type == "application/pdf"
                texts.append(re.sub(r"\s+", "", read(await response.read())))
    without, with_money = texts
    for text in texts:
        assert "净计费" in text, "the units are for both"
        assert "条数按账本入账日期统计" in text
    for word in ("0.0385", "单价", "金额", "元"):
        assert word in with_money
        assert word not in without, word


async def test_an_empty_month_is_a_statement_too(site: Site) -> None:
    before = (this_month() - timedelta(days=1)).replace(day=1)
    one = await service.take(by_test(site.db), site.accounts["clinic"], before, "why")
    assert (one.days, one.total.submitted, one.versions) == ([], 0, [0])
    for days in (31, -900, 3):
        with pytest.raises(SmsgwError):
            await service.take(by_test(site.db), site.accounts["clinic"], this_month() + timedelta(days=days), "why")


# --- as a mail -------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def post() -> AsyncIterator[Post]:
    async with serving(Post()) as post:
        yield post


@dataclass
class Clock:
    now: datetime = field(default_factory=due)

    def __call__(self) -> datetime:
        return self.now


def mailing(site: Site, config: MailConfig, clock: Clock) -> StatementMails:
    return StatementMails(site.db, Mailer(config), lambda: site.snapshots.current.brands, clock)


async def named(site: Site, *emails: str) -> None:
    await service.set_receivers(by_test(site.db), site.accounts["hall"], emails, "zh", "合同约定")


async def all_of(mails: StatementMails) -> None:
    while await mails.step():
        pass


async def states(site: Site) -> dict[str, tuple[str, int]]:
    rows = await site.db.fetch("SELECT receiver, state, tries FROM statement_mail ORDER BY receiver")
    return {row["receiver"]: (row["state"], row["tries"]) for row in rows}


async def test_each_receiver_gets_a_months_statement_once(site: Site, post: Post) -> None:
    await named(site, "a@buyer.example.org", "b@buyer.example.org")
    clock = Clock(due() - timedelta(days=1))
    nodes = [mailing(site, post.config, clock) for _ in range(3)]
    for node in nodes:
        await all_of(node)
    assert post.got == [], "reports of the month's last days may still come"
    clock.now = due()
    await asyncio.gather(*map(all_of, nodes))
    clock.now += timedelta(hours=1)
    await asyncio.gather(*map(all_of, nodes))
    assert sorted(receiver for receiver, _ in post.got) == ["a@buyer.example.org", "b@buyer.example.org"]
    assert await states(site) == dict.fromkeys(("a@buyer.example.org", "b@buyer.example.org"), ("sent", 1))
    for receiver, message in post.got:
        assert f"{this_month():%Y-%m}" in message["Subject"]
        assert message["To"] == receiver
        (attached,) = message.iter_attachments()
        octets = attached.get_content()
        text = read(octets)
        holds_all(text)
        assert receiver in text, "the watermark says to whom"
        digest = hashlib.sha256(octets).hexdigest()
        body = message.get_body()
        assert body is not None
        assert digest in body.get_content()
        assert "全平台每天" in body.get_content()
        assert await site.db.fetchval("SELECT digest FROM statement_mail WHERE receiver = $1", receiver) == digest
    async with Browser(site) as boss:
        await boss.login("boss")
        page = await boss.get("/statements/mails")
        assert "已发送" in page
        assert "a@buyer.example.org" in page
    async with Browser(site) as other:
        await other.login("clinic-op")
        assert "buyer.example.org" not in await other.get("/statements/mails")
        assert "buyer.example.org" not in await other.get("/statements/receivers")


async def test_what_was_not_taken_is_sent_again_and_what_is_refused_says_why(site: Site, post: Post) -> None:
    await named(site, "late@buyer.example.org", "gone@buyer.example.org")
    post.answers = {"rcpt late@buyer.example.org": ["451 4.7.1 come later"] * 2,
                    "rcpt gone@buyer.example.org": ["550 5.1.1 no such person"]}  # fmt: skip
    clock = Clock()
    mails = mailing(site, post.config, clock)
    for _ in range(4):
        await all_of(mails)
        clock.now += timedelta(minutes=20)
    assert await states(site) == {"gone@buyer.example.org": ("failed", 1), "late@buyer.example.org": ("sent", 3)}
    assert [receiver for receiver, _ in post.got] == ["late@buyer.example.org"]
    async with Browser(site) as boss:
        await boss.login("boss")
        page = await boss.get("/statements/mails?mail_state=failed")
        assert "550 5.1.1 no such person" in page
        assert "late@buyer" not in page
        (id_,) = re.findall(r'href="/statements/mails/(\d+)"', page)
        await boss.post("/statements/mails/-/do/again", {"id": id_, "confirmed": "1"})
        await all_of(mails)
        assert (await states(site))["gone@buyer.example.org"] == ("sent", 1)
        sent = re.findall(r'href="/statements/mails/(\d+)"', await boss.get("/statements/mails"))
        for one in sent:
            with pytest.raises(SmsgwError):
                await service.again(by_test(site.db), int(one))
    assert await site.db.fetchval("SELECT count(*) FROM audit WHERE action = 'statement.again'") == 1


async def _tried_in_vain(site: Site, mails: StatementMails, clock: Clock, why: str) -> None:
    """Some mail waits, and goes on waiting."""
    await all_of(mails)
    assert await states(site) == {"a@buyer.example.org": ("waiting", 1)}
    said = await site.db.fetchval("SELECT said FROM statement_mail")
    assert why in said
    clock.now += timedelta(hours=1)


async def test_what_broke_before_the_server_had_it_is_sent_again_and_says_why(
    site: Site, post: Post, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await named(site, "a@buyer.example.org")
    clock, right = Clock(), Mailer(post.config)

    def again(mailer: Mailer = right) -> StatementMails:
        return StatementMails(site.db, mailer, lambda: site.snapshots.current.brands, clock)

    with monkeypatch.context() as patch:  # the PDF cannot be made
        patch.setattr("smsgw.admin.statement_pdf.made", lambda *_: 1 // 0)
        await _tried_in_vain(site, again(), clock, "ZeroDivisionError")
    await site.db.execute("UPDATE statement_mail SET tries = 0, next_at = $1", clock.now)
    with monkeypatch.context() as patch:  # or not in time
        patch.setattr("smsgw.admin.mailing.MAKING", 0.0)
        await _tried_in_vain(site, again(), clock, "TimeoutError")
    await site.db.execute("UPDATE statement_mail SET tries = 0, next_at = $1", clock.now)
    nowhere = Mailer(replace(post.config, security="tls", ca_file=str(tmp_path / "nowhere.pem")))
    await _tried_in_vain(site, again(nowhere), clock, "FileNotFoundError")
    await site.db.execute("UPDATE statement_mail SET tries = 0, next_at = $1", clock.now)
    post.answers = {"mail bills@sms.example.org": ["550 5.7.1 you may not send here"]}
    await _tried_in_vain(site, again(), clock, "550 5.7.1")
    assert post.got == []
    await all_of(again())
    assert await states(site) == {"a@buyer.example.org": ("sent", 2)}


async def test_an_address_that_no_octets_are_of_is_said_so_and_holds_up_nobody(site: Site, post: Post) -> None:
    with pytest.raises(SmsgwError, match="英文字母"):
        await named(site, "财务@buyer.example.org")
    await named(site, "a@buyer.example.org", "o'neil+x@buyer.example.org")
    await site.db.execute("UPDATE statement_receiver SET emails[1] = '财务@buyer.example.org'")  # from before
    await all_of(mailing(site, post.config, Clock()))
    assert await states(site) == {"o'neil+x@buyer.example.org": ("sent", 1), "财务@buyer.example.org": ("waiting", 1)}


async def test_who_is_named_later_gets_no_month_that_was_over_by_then(
    site: Site, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    await named(site, "b@buyer.example.org")
    monkeypatch.setattr("smsgw.platform.statements.service.clock.now", due)
    await named(site, "a@buyer.example.org", "b@buyer.example.org")
    await all_of(mailing(site, post.config, Clock()))
    assert [receiver for receiver, _ in post.got] == ["b@buyer.example.org"]
    following = due() + timedelta(days=31)
    monkeypatch.setattr("smsgw.platform.statements.service.clock.now", lambda: following)
    await named(site, "a@buyer.example.org")
    await named(site, "b@buyer.example.org", "a@buyer.example.org")
    post.got.clear()
    await all_of(mailing(site, post.config, Clock(following)))
    assert [receiver for receiver, _ in post.got] == ["a@buyer.example.org"], "the other was away in between"


async def test_a_receiver_who_was_removed_gets_nothing_that_waits(site: Site, post: Post) -> None:
    stays, gone, late = (f"{name}@buyer.example.org" for name in ("stays", "gone", "late"))
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
    assert {one: state for one, (state, _) in (await states(site)).items()} == {
        stays: "sent", gone: "failed", late: "failed",
    }  # fmt: skip
    async with Browser(site) as boss:
        await boss.login("boss")
        page = await boss.get("/statements/mails?mail_state=failed")
        assert page.count("已不在该账号的对账单收件人中") >= 2
    id_ = await site.db.fetchval("SELECT id FROM statement_mail WHERE receiver = $1", gone)
    with pytest.raises(SmsgwError):
        await service.again(by_test(site.db), id_)
    await named(site, stays, gone)
    await service.again(by_test(site.db), id_)
    assert (await states(site))[gone] == ("waiting", 0)


async def test_what_may_have_arrived_is_not_sent_again_by_itself(site: Site, post: Post) -> None:
    await named(site, "cut@buyer.example.org", "dead@buyer.example.org")
    post.answers = {"data cut@buyer.example.org": ["drop"]}
    clock = Clock()
    mails = mailing(site, post.config, clock)
    await all_of(mails)
    # a node that has died in the middle of one
    await site.db.execute(
        "UPDATE statement_mail SET state = 'sending', begun_at = $1 WHERE receiver LIKE 'dead%'", clock.now
    )
    post.got.clear()
    for _ in range(3):
        clock.now += timedelta(hours=1)
        await all_of(mails)
    assert await states(site) == {"cut@buyer.example.org": ("unsure", 1), "dead@buyer.example.org": ("unsure", 1)}
    assert post.got == []


async def test_a_server_that_is_away_is_tried_for_days_and_then_given_up(site: Site, post: Post) -> None:
    await named(site, "a@buyer.example.org")
    clock = Clock()
    away = MailConfig("127.0.0.1", 9, "none", sender="bills@sms.example.org")
    for _ in range(len(RETRIES) + 3):
        await all_of(mailing(site, away, clock))
        clock.now += timedelta(days=1)
    assert await states(site) == {"a@buyer.example.org": ("failed", len(RETRIES) + 1)}
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
    await named(site, "a@buyer.example.org")
    logins: list[bytes] = []

    def knows(_: Any, __: Any, ___: Any, ____: str, data: Any) -> Any:
        logins.append(data.password)
        return AuthResult(success=data.password == b"secret")

    ways: list[tuple[str, dict[str, Any]]] = [("tls", {"ssl": context}), ("starttls", {"tls_context": context})]
    for security, more in ways:
        post = Post()
        await site.db.execute("UPDATE statement_mail SET state = 'waiting', next_at = now() - interval '1 hour'")
        async with serving(post, authenticator=knows, auth_require_tls=security == "starttls", **more):
            right = MailConfig("127.0.0.1", post.port, security, "bills", "secret", "bills@sms.example.org",
                               f"{authority.path}")  # fmt: skip
            clock = Clock()
            await all_of(mailing(site, replace(right, ca_file=""), clock))
            assert post.got == [], "nobody that is known has signed it"
            clock.now += timedelta(hours=2)
            await all_of(mailing(site, replace(right, password="wrong"), clock))
            assert post.got == []
            assert (await states(site))["a@buyer.example.org"][0] == "waiting", "that is nothing of the receiver's"
            clock.now += timedelta(hours=2)
            await all_of(mailing(site, right, clock))
            assert len(post.got) == 1, security
            assert b"wrong" in logins
            assert logins[-1] == b"secret"


async def test_sending_again_says_how_many_it_will_send_and_how_many_it_will_not(site: Site, post: Post) -> None:
    await named(site, "a@buyer.example.org", "gone@buyer.example.org", "bad@buyer.example.org")
    post.answers = {"rcpt bad@buyer.example.org": ["550 5.1.1 no such person"]}
    clock = Clock()
    await all_of(mailing(site, MailConfig(), clock))
    await named(site, "a@buyer.example.org", "bad@buyer.example.org")
    await all_of(mailing(site, post.config, clock))
    rows = await site.db.fetch("SELECT id, receiver FROM statement_mail")
    ids = {row["receiver"].partition("@")[0]: str(row["id"]) for row in rows}
    ask = "/statements/mails/-/effect/again"
    async with Browser(site) as boss:
        await boss.login("boss")
        assert "都不能重新发送" in await boss.post(ask, [("id", ids["a"]), ("id", ids["gone"])])
        said = await boss.post(ask, [("id", one) for one in ids.values()])
        assert "将重新发送 1 封对账单" in said
        assert "另有 2 封不重新发送" in said
        said = await boss.post(ask, {"id": ids["bad"]})
        assert "将重新发送 1 封对账单" in said
        assert "另有" not in said


async def test_a_mail_shows_the_platforms_name_and_whose_it_is(site: Site, post: Post) -> None:
    brand = await brands.add(by_test(site.db), [ANY_HOST])
    await brands.draft(by_test(site.db), brand, {"name": "市民短信", "purchaser": "市政务局"})
    await brands.publish(by_test(site.db), brand)
    await site.snapshots.follow()
    await named(site, "a@buyer.example.org")
    await all_of(mailing(site, post.config, Clock()))
    ((_, message),) = post.got
    assert message["Subject"].startswith("市民短信 · 市政务局：")
    (attached,) = message.iter_attachments()
    assert "市民短信 · 市政务局" in read(attached.get_content())


# --- who gets them ---------------------------------------------------------------------------------------------------


async def test_receivers_are_named_on_their_page_and_a_month_that_was_over_is_not_theirs(
    site: Site, post: Post
) -> None:
    hall = site.accounts["hall"]
    async with Browser(site) as boss:
        await boss.login("boss")
        form = {"account": str(hall), "language": "en", "reason": "合同约定"}
        form["emails"] = "a@buyer.example.org\nnot an address"
        assert "邮箱" in await boss.post("/statements/receivers/-/new", form)
        assert boss.status == 422
        await boss.post("/statements/receivers/-/new", form | {"emails": "a@buyer.example.org"})
        assert boss.path == "/statements/receivers"
        assert "a@buyer.example.org" in await boss.get("/statements/receivers")
        earlier = datetime.combine(this_month().replace(day=28), datetime.min.time(), CHINA)
        await all_of(mailing(site, post.config, Clock(earlier)))
        assert post.got == [], "the month before was over when the receiver was named"
        await all_of(mailing(site, post.config, Clock()))
        ((_, message),) = post.got
        assert f"statement of {this_month():%Y-%m}" in message["Subject"]
        await boss.post(f"/statements/receivers/{hall}/edit", {"emails": "", "language": "zh", "reason": "合同已止"})
        assert "a@buyer.example.org" not in await boss.get("/statements/receivers")
    with pytest.raises(SmsgwError):
        await service.set_receivers(by_test(site.db), hall, [f"a{n}@b.example" for n in range(11)], "zh", "合同约定")
    said = "SELECT after->>'reason' FROM audit WHERE action = 'statement.receivers' ORDER BY id"
    assert [row[0] for row in await site.db.fetch(said)] == ["合同约定", "合同已止"]


async def test_who_may_not_take_a_statement_away_names_nobody_who_gets_it(site: Site) -> None:
    hall = site.accounts["hall"]
    await service.set_receivers(by_test(site.db), hall, ["own@buyer.example.org"], "zh", "合同约定")
    lacking = (P.STATISTICS_EXPORT, P.BALANCE_VIEW, P.ACCOUNT_EDIT)
    for n, right in enumerate(lacking):
        rights = [P.HOME_VIEW, P.STATISTICS_VIEW, *(one for one in lacking if one is not right)]
        await org.add_role(by_test(site.db), f"lacks-{n}", f"少一项{n}", rights, ScopeKind.ALL)
    await site.add_staff("machine", "sysadmin")
    form = {"emails": "mine@example.net", "language": "zh", "reason": "自用"}
    for n, login in enumerate(("machine", "lacks-0", "lacks-1", "lacks-2")):
        if n:
            await site.add_staff(login, login)
        async with Browser(site) as one:
            await one.login(login)
            for path in (f"/statements/receivers/{hall}/edit", "/statements/receivers/-/new"):
                await one.get(path)
                assert one.status == 403, (login, path)
                await one.post(path, form | {"account": str(hall)})
                assert one.status == 403, (login, path)
            if n:
                page = await one.get("/statements/receivers")
                assert ("own@buyer.example.org" in page, "登记收件人" in page) == (True, False), login
    assert await site.db.fetchval("SELECT emails FROM statement_receiver") == ["own@buyer.example.org"]
    await site.db.execute("DELETE FROM statement_receiver")
    for login, times in (("lacks-0", 0), ("boss", 2)):  # in the head, and where there are no rows
        async with Browser(site) as one:
            await one.login(login)
            page = await one.get("/statements/receivers")
            assert page.count('href="/statements/receivers/-/new"') == times, login
