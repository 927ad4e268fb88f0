"""What people are told of a number is what acceptance says of a message to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from api_server import Api, running
from changes import by_test
from databases import change
from days import noon

from smsgw.core.blocklist import MANUAL, OPT_OUT, Scope
from smsgw.core.ids import CHINA
from smsgw.core.model import MessageType
from smsgw.core.number_state import NumberState
from smsgw.core.policy import Listed
from smsgw.platform.lists import complaints as register, consents, queries, service
from smsgw.platform.lists.block_explanation import Question, Standing, explain, read
from smsgw.platform.lists.consents import Given, Source
from smsgw.platform.numbers import service as numbers
from smsgw.platform.policies import service as policies
from smsgw.runtime import clock
from smsgw.store.engine.cte_batch import Together
from smsgw.store.messages import complaints

PHONE, OTHER = "8613800138000", "8613800138001"
SIGN = "投诉多"
OTP, NOTICE, MARKETING = MessageType.OTP, MessageType.NOTICE, MessageType.MARKETING


@pytest_asyncio.fixture
async def api(dsn: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with running(dsn, tmp_path, now=noon) as api:
        yield api


@dataclass
class Desk:
    """What is done to the number before it is asked about."""

    api: Api

    async def policy(self, name: str, value: str) -> None:
        await policies.put(by_test(self.api.ctx.db), name, value)
        await self.api.ctx.snapshots.follow()

    async def block(self, scope: Scope, source: str = MANUAL) -> None:
        await service.block(by_test(self.api.ctx.db), [PHONE], scope, source, "")
        await self.api.lists.follow()

    async def unreadable(self, scope: Scope) -> None:
        await self.block(scope, OPT_OUT)
        await change(
            self.api.ctx.db.dsn,
            "ALTER TABLE block_list DROP CONSTRAINT block_list_since_bounds",
            "UPDATE block_list SET since = '2120-01-01', version = nextval('block_version')",
        )
        await self.api.lists.follow()

    async def allow(self, kind: Listed, number: str = PHONE) -> None:
        account = self.api.account_id if kind is Listed.ONLY else 0
        await service.allow(by_test(self.api.ctx.db), [number], kind, account_id=account)
        await self.api.ctx.snapshots.follow()

    async def state(self, state: NumberState) -> None:
        await numbers.learn(by_test(self.api.ctx.db), {PHONE: state}, clock.now())
        await self.api.numbers.step()

    async def agree(self) -> None:
        await self.policy("consent", "marketing")
        given = Given(Source.PAPER, "v1", "纸质同意书", noon() - timedelta(days=1))
        await consents.give(by_test(self.api.ctx.db, self.api.ctx.ids), self.api.account_id, [PHONE], given)
        await self.api.lists.follow()

    async def withdraw(self) -> None:
        await self.agree()
        id_ = await self.api.ctx.db.fetchval("SELECT id FROM consent")
        await consents.withdraw(by_test(self.api.ctx.db), id_, "来电")
        await self.api.lists.follow()

    async def sent(self) -> None:
        assert await self.send(OTP, "") is None

    async def complained(self) -> None:
        async with self.api.ctx.db.transaction() as connection:
            changes = Together()
            complaints.count_sent(changes, 1, datetime.now(CHINA).date(), {SIGN: 10})
            await changes.run(connection)
        for n in range(self.api.ctx.snapshots.current.settings.complaint_minimum):
            number, change = f"8613900{n:06d}", by_test(self.api.ctx.db)
            await register.enter(change, number, sign=SIGN, channel="", note="", block_number=False)
        await self.api.lists.judge()

    async def send(self, kind: MessageType, sign: str) -> str | None:
        """The code with which it is refused."""
        body = {"to": [PHONE], "content": f"您好{kind},拒收请回复R", "type": kind} | ({"sign": sign} if sign else {})
        (item,) = (await self.api.post("/messages", body)).data["items"]
        code: str | None = item.get("code")
        return code

    async def told(self, kind: MessageType, sign: str, accounts: list[int] | None) -> set[str]:
        """The codes of which a reader is told."""
        ctx = self.api.ctx
        snapshot = ctx.snapshots.current
        facts = await read(ctx.db, PHONE, accounts=accounts, days=90, complaints=True)
        question = Question(snapshot.account(self.api.account_id), (kind,), sign)
        rates = await queries.complaint_rates(ctx.db, snapshot.settings)
        found = explain(facts, question, snapshot.policies, snapshot.settings, rates, noon())
        grave = {one.code for one in found if one.standing in (Standing.BLOCKS, Standing.LIMITS)}
        assert grave == {one.code for one in found} - {""}, "what refuses is told as grave, and nothing else"
        return grave


Case = tuple[str | None, MessageType, str, Callable[[Desk], Awaitable[None]]]
CASES: dict[str, Case] = {
    "blocked for all": ("NUMBER_BLACKLISTED", NOTICE, "", lambda d: d.block(Scope())),
    "blocked for the account": ("NUMBER_BLACKLISTED", OTP, "", lambda d: d.block(Scope(d.api.account_id))),
    "blocked for a type": ("NUMBER_BLACKLISTED", MARKETING, "", lambda d: d.block(Scope(0, "marketing"))),
    "blocked for another type": (None, OTP, "", lambda d: d.block(Scope(0, "marketing"))),
    "blocked for the signature": ("NUMBER_BLACKLISTED", NOTICE, SIGN, lambda d: d.block(Scope(0, "", SIGN))),
    "blocked for another signature": (None, NOTICE, "别的", lambda d: d.block(Scope(0, "", SIGN))),
    "opted out": ("NUMBER_OPTED_OUT", MARKETING, "", lambda d: d.block(Scope(d.api.account_id), OPT_OUT)),
    "opted out of all": ("NUMBER_OPTED_OUT", NOTICE, "", lambda d: d.block(Scope(), OPT_OUT)),
    "opted out of marketing": (None, NOTICE, "", lambda d: d.block(Scope(0, "marketing"), OPT_OUT)),
    "unreadable, for all": ("NUMBER_BLACKLISTED", NOTICE, "", lambda d: d.unreadable(Scope())),
    "unreadable, for the account": ("NUMBER_BLACKLISTED", NOTICE, "", lambda d: d.unreadable(Scope(d.api.account_id))),
    "unreadable, for a type": ("NUMBER_BLACKLISTED", MARKETING, "", lambda d: d.unreadable(Scope(0, "marketing"))),
    "unreadable, for another type": (None, NOTICE, "", lambda d: d.unreadable(Scope(0, "marketing"))),
    "not on the list": ("NUMBER_NOT_ALLOWED", NOTICE, "", lambda d: d.allow(Listed.ONLY, OTHER)),
    "on the list": (None, NOTICE, "", lambda d: d.allow(Listed.ONLY)),
    "empty": ("NUMBER_EMPTY", NOTICE, "", lambda d: _both(d.state(NumberState.EMPTY), d.policy("drop_empty", "on"))),
    "empty and not dropped": (None, NOTICE, "", lambda d: d.state(NumberState.EMPTY)),
    "suspended": (None, NOTICE, "", lambda d: _both(d.state(NumberState.SUSPENDED), d.policy("drop_empty", "on"))),
    "no consent": ("NUMBER_NO_CONSENT", MARKETING, "", lambda d: d.policy("consent", "marketing")),
    "no consent wanted": (None, NOTICE, "", lambda d: d.policy("consent", "marketing")),
    "consent": (None, MARKETING, "", lambda d: d.agree()),
    "consent withdrawn": ("NUMBER_NO_CONSENT", MARKETING, "", lambda d: d.withdraw()),
    "too often": ("NUMBER_FREQ_LIMITED", OTP, "", lambda d: _both(d.policy("frequency", "1/1h"), d.sent())),
    "another type": (None, NOTICE, "", lambda d: _both(d.policy("frequency", "1/1h"), d.sent())),
    "exempt": (None, OTP, "", lambda d: _both(d.policy("frequency", "1/1h"), d.allow(Listed.EXEMPT), d.sent())),
    "closed": ("TIME_WINDOW_CLOSED", NOTICE, "", lambda d: d.policy("hours", "08:00-11:00")),
    "closed but for tests": (None, NOTICE, "", lambda d: _both(d.policy("hours", "08:00-11:00"), d.allow(Listed.TEST))),
    "complaints": ("COMPLAINT_CEILING", MARKETING, SIGN, lambda d: d.complained()),
    "complaints and no marketing": (None, NOTICE, SIGN, lambda d: d.complained()),
}


async def _both(*steps: Awaitable[None]) -> None:
    for step in steps:
        await step


@pytest.mark.parametrize("name", CASES)
async def test_the_explanation_and_acceptance_agree(api: Api, name: str) -> None:
    code, kind, sign, step = CASES[name]
    desk = Desk(api)
    for policy in ("frequency", "frequency_all", "identical_seconds"):
        await desk.policy(policy, "off")
    await step(desk)
    told = [await desk.told(kind, sign, accounts) for accounts in (None, [api.account_id])]
    assert told == [{code} - {None}] * 2
    assert await desk.send(kind, sign) == code
