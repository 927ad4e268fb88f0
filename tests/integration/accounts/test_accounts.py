"""Accounts above and below each other: whose money, limits and addresses count, and what is read for them."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, timedelta

import pytest
import pytest_asyncio
from api_server import Answer, Api
from browsing import Browser, send as submit
from changes import by_test
from portal_site import Site

from smsgw.core.actor import Actor
from smsgw.core.errors import Invalid
from smsgw.core.ids import CHINA
from smsgw.core.states import PartState
from smsgw.platform.accounts import queries as account_queries, service as accounts
from smsgw.platform.change import Change
from smsgw.platform.keys.model import NewKey
from smsgw.platform.messages import queries as message_queries
from smsgw.platform.org import queries, service as org
from smsgw.runtime.aio import spawn
from smsgw.store.engine.database import Database
from smsgw.store.messages import credit

ONE = {"to": ["13800138000"], "content": "您的验证码是 1234"}


class Tree:
    def __init__(self, api: Api) -> None:
        self.api = api
        self.ids = {"acme": api.account_id}
        self.keys: dict[str, NewKey] = {"acme": api.key}

    async def add(self, name: str, parent: str = "", **fields: object) -> None:
        db = self.api.ctx.db
        fields = {"default_sign": "测试", "parent": parent, "credit_floor": -1000} | fields
        self.ids[name] = await accounts.add(by_test(db), name, **fields)
        self.keys[name] = await self.api.add_key(self.ids[name])

    async def set(self, name: str, **changes: object) -> None:
        await accounts.edit(by_test(self.api.ctx.db), self.ids[name], changes)
        await self.api.ctx.snapshots.follow()

    async def status(self, name: str, status: str) -> None:
        await accounts.set_status(by_test(self.api.ctx.db), self.ids[name], status)
        await self.api.ctx.snapshots.follow()

    async def send(self, name: str, n: int = 1, **fields: object) -> Answer:
        body = {"to": [f"138{i:08d}" for i in range(n)], "content": "您好", **fields}
        return await self.api.post("/messages", body, key=self.keys[name])


@pytest_asyncio.fixture
async def tree(api: Api) -> Tree:
    """acme > sales > shop, and beside them acme > care."""
    tree = Tree(api)
    await tree.add("sales", "acme")
    await tree.add("shop", "sales")
    await tree.add("care", "acme")
    return tree


async def test_a_stopped_account_stops_those_below_and_nobody_else(tree: Tree) -> None:
    await tree.status("shop", "stopped")
    await tree.status("sales", "stopped")
    assert [(await tree.send(n)).code for n in ("acme", "care", "sales", "shop")] == [
        "OK", "OK", "ACCOUNT_STOPPED", "ACCOUNT_STOPPED",
    ]  # fmt: skip
    await tree.status("sales", "active")
    assert (await tree.send("sales")).status == 202
    assert (await tree.send("shop")).code == "ACCOUNT_STOPPED"  # by itself
    await tree.status("shop", "active")
    assert (await tree.send("shop")).status == 202


async def test_a_stop_holds_for_what_is_already_past_the_first_check(tree: Tree) -> None:
    # The snapshot of this node has not heard of it yet: the transaction knows.
    await accounts.set_status(by_test(tree.api.ctx.db), tree.ids["acme"], "stopped")
    assert (await tree.send("shop")).code == "ACCOUNT_STOPPED"


async def test_a_branch_that_moves_takes_its_standing_from_its_new_place(tree: Tree) -> None:
    await tree.status("sales", "stopped")
    await tree.set("shop", parent="care")
    assert (await tree.send("shop")).status == 202
    await tree.set("care", parent="sales")
    assert (await tree.send("shop")).code == "ACCOUNT_STOPPED"
    await tree.set("care", parent="")
    assert (await tree.send("shop")).status == 202


async def test_no_circles_and_no_end_of_levels(tree: Tree) -> None:
    for parent in ("acme", "shop"):
        with pytest.raises(Invalid, match="下级"):
            await tree.set("acme", parent=parent)
    with pytest.raises(Invalid, match="不存在"):
        await tree.set("acme", parent="nobody")
    for n in range(29):
        await tree.add(f"deep{n}", f"deep{n - 1}" if n else "shop")
    with pytest.raises(Invalid, match="层"):
        await tree.add("deeper", "deep28")
    await tree.add("root")
    with pytest.raises(Invalid, match="层"):
        await tree.set("acme", parent="root")
    assert (await tree.send("deep28")).status == 202


async def test_two_moves_at_once_close_no_circle(tree: Tree) -> None:
    results = await asyncio.gather(
        tree.set("sales", parent="care"), tree.set("care", parent="sales"), return_exceptions=True
    )
    assert sorted(isinstance(r, Invalid) for r in results) == [False, True]


async def test_a_quota_counts_all_below(tree: Tree) -> None:
    await tree.set("acme", quota_day="10")
    await tree.set("sales", quota_month="6")
    assert (await tree.send("shop", 4)).status == 202
    refused = await tree.send("shop", 3)
    assert (refused.status, refused.code, refused.data["left"]) == (429, "QUOTA_MONTH_EXCEEDED", 2)
    assert int(refused.headers["Retry-After"]) > 60
    assert (await tree.send("care", 5)).status == 202
    refused = await tree.send("sales", 2)
    assert (refused.code, refused.data["left"], refused.data["limit"]) == ("QUOTA_DAY_EXCEEDED", 1, 10)
    told, _ = (await tree.send("sales", 2, dry_run=True)).data["items"]
    assert (told["verdict"], told["code"], told["message"]) == ("refused", refused.code, refused.body["message"])
    assert (await tree.send("sales", 1, dry_run=True)).data["items"][0]["verdict"] == "accepted"
    assert (await tree.send("sales")).status == 202
    assert (await tree.send("acme")).code == "QUOTA_DAY_EXCEEDED"
    # What was refused has cost nothing and counts nowhere.
    assert await account_queries.quota_used(tree.api.ctx.db, tree.ids["acme"]) == (10, 10)
    assert await account_queries.quota_used(tree.api.ctx.db, tree.ids["sales"]) == (5, 5)
    await tree.set("acme", quota_day="")
    assert (await tree.send("acme")).status == 202


async def sixteen_go(tree: Tree, code: str) -> None:
    """Of sixty messages of three parts that come at once; the others are refused."""
    answers = await asyncio.gather(*(tree.send(n, content="长" * 150) for n in ("shop", "care", "sales") * 20))
    assert [a.status for a in answers].count(202) == 16
    assert {a.code for a in answers if a.status != 202} == {code}


async def test_a_quota_counts_parts_and_is_never_passed_by_many_at_once(tree: Tree) -> None:
    await tree.set("acme", quota_day=50)
    await sixteen_go(tree, "QUOTA_DAY_EXCEEDED")
    assert await account_queries.quota_used(tree.api.ctx.db, tree.ids["acme"]) == (48, 48)


async def test_a_new_day_has_a_quota_of_its_own(tree: Tree) -> None:
    await tree.set("acme", quota_day=3, quota_month=5)
    today = datetime.now(CHINA).date()
    before = today - timedelta(days=1) if today.day > 1 else today
    await tree.api.ctx.db.execute("INSERT INTO quota_used VALUES ($1, $2, 3)", tree.ids["acme"], before)
    if before != today:
        assert (await tree.send("acme", 2)).status == 202
        assert (await tree.send("acme")).code == "QUOTA_MONTH_EXCEEDED"
    else:
        assert (await tree.send("acme")).code == "QUOTA_DAY_EXCEEDED"


async def test_contracts_begin_and_end(tree: Tree) -> None:
    today = datetime.now(CHINA).date()
    await tree.set("sales", ends_on=str(today - timedelta(days=1)))
    assert (await tree.send("shop")).code == "ACCOUNT_EXPIRED"
    assert (await tree.api.get("/balance", key=tree.keys["shop"])).status == 200
    await tree.set("sales", stops_at_end="false")
    assert (await tree.send("shop")).status == 202
    await tree.set("sales", ends_on=str(today), stops_at_end="true")
    assert (await tree.send("shop")).status == 202
    await tree.set("shop", starts_on=str(today + timedelta(days=1)))
    refused = await tree.send("shop")
    assert (refused.status, refused.code) == (403, "ACCOUNT_NOT_BEGUN")
    assert str(today + timedelta(days=1)) in refused.body["message"]
    with pytest.raises(Invalid, match="早于"):
        await tree.set("shop", ends_on=str(today))


async def test_messages_per_second(tree: Tree) -> None:
    await tree.set("shop", rate=5)
    assert (await tree.send("shop", 5)).status == 202
    answers = await asyncio.gather(*(tree.send("shop", 4) for _ in range(20)))  # more than 5 a second on any machine
    refused = next(answer for answer in answers if answer.status != 202)
    assert (refused.status, refused.code) == (429, "RATE_LIMITED")
    assert refused.headers["Retry-After"] == "1"
    assert refused.headers["RateLimit-Limit"] == "5"
    assert int(refused.headers["RateLimit-Remaining"]) < 4  # of what came back meanwhile, not enough
    assert (await tree.send("care", 100)).status == 202  # everybody for himself


async def test_where_an_account_may_come_from_and_how(tree: Tree) -> None:
    await tree.set("shop", ip_allow="10.0.0.0/8")
    assert (await tree.send("shop")).code == "AUTH_IP_DENIED"
    await tree.set("shop", ip_allow="10.0.0.0/8,127.0.0.0/8")
    assert (await tree.send("shop")).status == 202
    await tree.set("shop", protocols="smpp,cmpp")
    refused = await tree.send("shop")
    assert (refused.status, refused.code) == (403, "PROTOCOL_DENIED")


async def test_parts_cost_what_their_type_costs(tree: Tree) -> None:
    await tree.set("shop", units_otp=2, units_marketing=0, credit_floor=-10)
    db = tree.api.ctx.db
    dry = await tree.send("shop", content="长" * 100, type="otp", dry_run=True)
    assert dry.data["items"][0]["price"] == 4
    assert (await tree.send("shop", content="长" * 100, type="otp")).status == 202
    assert (await tree.send("shop", 3, type="notice")).status == 202
    assert (await tree.send("shop", 50, type="marketing")).status == 202
    money = await account_queries.balance(db, tree.ids["shop"])
    assert money.balance == -7
    refused = await tree.send("shop", 2, type="otp")
    assert (refused.status, refused.code) == (402, "BALANCE_INSUFFICIENT")
    assert (refused.data["need"], refused.data["left"]) == (4, 3)
    assert await db.fetchval("SELECT count(*) FROM ledger WHERE account_id = $1", tree.ids["shop"]) == 2


async def test_people_see_their_accounts_and_all_below(tree: Tree) -> None:
    db = tree.api.ctx.db
    change = Change(db, Actor.operator("test"))
    await org.add_person(change, "li", "李", ["dept"], "x", accounts=[tree.ids["sales"]])
    person = await queries.person(db, "li")
    assert person.scope.accounts == tuple(sorted((tree.ids["sales"], tree.ids["shop"])))
    await tree.set("shop", parent="care")
    person = await queries.person(db, "li")
    assert person.scope.accounts == (tree.ids["sales"],)


async def departments(tree: Tree, **quotas: int | None) -> dict[str, int]:
    """bureau > office; sales (with shop below it) is the office's, care the bureau's."""
    change = by_test(tree.api.ctx.db)
    made = {"bureau": await org.add_department(change, "局")}
    made["office"] = await org.add_department(change, "科", made["bureau"])
    for name, quota in quotas.items():
        await org.set_department(change, made[name], name=name, manager=None, month_quota=quota)
    await org.place_account(change, tree.ids["sales"], made["office"])
    await org.place_account(change, tree.ids["care"], made["bureau"])
    await tree.api.ctx.snapshots.follow()
    return made


async def test_a_departments_quota_counts_its_accounts_and_those_of_all_below(tree: Tree) -> None:
    assert (await tree.send("shop", 2)).status == 202, "before there was a quota"
    made = await departments(tree, bureau=10, office=6)
    db = tree.api.ctx.db
    assert await queries.month_used(db, made["office"]) == 2
    assert (await tree.send("sales", 3)).status == 202
    refused = await tree.send("shop", 2)
    assert (refused.status, refused.code) == (429, "QUOTA_DEPARTMENT_EXCEEDED")
    assert (refused.data["limit"], refused.data["left"]) == (6, 1)
    assert int(refused.headers["Retry-After"]) > 60
    told, _ = (await tree.send("shop", 2, dry_run=True)).data["items"]
    assert (told["verdict"], told["code"]) == ("refused", refused.code)
    assert (await tree.send("care", 5)).status == 202
    assert (await tree.send("shop")).data["left"] == 0, "the bureau's"
    assert (await tree.send("acme")).status == 202, "which is in no department"
    assert [await queries.month_used(db, id_) for id_ in made.values()] == [10, 5]
    change = by_test(db)
    await org.set_department(change, made["bureau"], name="局", manager=None, month_quota=None)
    await tree.api.ctx.snapshots.follow()
    assert (await tree.send("shop")).status == 202
    assert await queries.month_used(db, made["bureau"]) == 11, "it is shown without a quota too"
    await org.set_department(change, made["bureau"], name="局", manager=None, month_quota=12)
    await tree.api.ctx.snapshots.follow()
    assert await queries.month_used(db, made["bureau"]) == 11, "what was sent meanwhile counts"
    assert (await tree.send("care", 2)).data["left"] == 1


async def test_a_departments_quota_is_never_passed_by_many_at_once(tree: Tree) -> None:
    made = await departments(tree, bureau=50)
    await sixteen_go(tree, "QUOTA_DEPARTMENT_EXCEEDED")
    assert await queries.month_used(tree.api.ctx.db, made["bureau"]) == 48
    assert await tree.api.ctx.db.fetchval("SELECT sum(parts) FROM usage_day") == 48


async def somebody_waits(db: Database) -> None:
    async with asyncio.timeout(20):
        while not await db.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_two_nodes_keep_a_departments_quota_together(tree: Tree) -> None:
    """The second writer waits for the first one's row, whether it is there or is only being made."""
    made = await departments(tree, bureau=5)
    db, day = tree.api.ctx.db, datetime.now(CHINA).date()
    for left in (5, 3):
        async with db.transaction() as other:
            await credit.lock_departments(other, [made["bureau"]], day)
            await other.execute("UPDATE department_used SET parts = parts + 2")
            sending = spawn(tree.send("care", left), name="send")
            await somebody_waits(db)
            assert not sending.done()
        refused = await sending
        assert (refused.code, refused.data["left"]) == ("QUOTA_DEPARTMENT_EXCEEDED", left - 2)


async def test_a_department_without_a_quota_costs_no_row(tree: Tree) -> None:
    await departments(tree)
    assert (await tree.send("shop")).status == 202
    assert await tree.api.ctx.db.fetchval("SELECT count(*) FROM department_used") == 0


async def test_a_new_month_has_a_department_quota_of_its_own(tree: Tree) -> None:
    made = await departments(tree, bureau=2)
    first = datetime.now(CHINA).date().replace(day=1)
    before = (first - timedelta(days=1)).replace(day=1)
    await tree.api.ctx.db.execute("INSERT INTO department_used VALUES ($1, $2, 2)", made["bureau"], before)
    assert (await tree.send("care", 2)).status == 202
    assert (await tree.send("care")).code == "QUOTA_DEPARTMENT_EXCEEDED"


FIGURES = re.compile(r'data-metric="(\w+)">(\d+)<')


@pytest.mark.parametrize("role", ["dept", "operator"])
async def test_home_counts_the_accounts_of_the_one_who_looks(site: Site, role: str) -> None:
    await _traffic(site)
    for names, figures in {
        ("hall",): (3, 0, 2, 1), ("clinic",): (2, 0, 2, 0), ("hall", "clinic"): (5, 0, 4, 1), (): (0, 0, 0, 0),
    }.items():  # fmt: skip
        login = "-".join(("li", *names))
        await site.add_staff(login, role, *names)
        async with Browser(site) as browser:
            page = await browser.login(login)
            assert FIGURES.findall(await browser.get("/home/live")) == FIGURES.findall(page)
        found = dict(FIGURES.findall(page))
        told = tuple(int(found.get(m, 0)) for m in ("accepted", "submitted", "delivered", "failed"))
        assert told == figures, names


async def _traffic(site: Site) -> None:
    for account, count in (("hall", 3), ("clinic", 2)):
        for n in range(count):
            await submit(site, account, to=f"1380013800{n}")
        taken = await site.carrier_takes()
        await site.carrier_reports(taken[:2])
        if taken[2:]:
            await site.carrier_reports(taken[2:], PartState.UNDELIVERABLE, "MK:0001")


async def test_what_is_read_for_accounts_is_theirs_in_sql(site: Site) -> None:
    """No account at all is none, not all."""
    ids = {name: await submit(site, name) for name in ("hall", "clinic")}
    since = min(v.accepted_at for v in await message_queries.several(site.db, [*ids.values()], accounts=None))
    for seen in (["hall"], ["hall", "clinic"], [], None):
        given = None if seen is None else tuple(site.accounts[name] for name in seen)
        seen = list(ids) if seen is None else seen
        several = await message_queries.several(site.db, list(ids.values()), accounts=given)
        assert sorted(v.account_name for v in several) == sorted(seen)
        searched = await message_queries.search(
            site.db, accounts=given, from_time=since - timedelta(days=1), now=since + timedelta(days=1)
        )
        assert sorted(v.account_name for v in searched) == sorted(seen)
        for name, id_ in ids.items():
            assert (await message_queries.get(site.db, id_, accounts=given) is not None) == (name in seen)
            assert (await message_queries.trace(site.db, id_, accounts=given) is not None) == (name in seen)
