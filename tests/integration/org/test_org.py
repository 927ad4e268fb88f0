"""Departments, people, roles: what is kept, and what nobody gets by asking for it the wrong way round."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from smsgw.core import totp
from smsgw.core.actor import EVERYTHING, Actor, Scope, ScopeKind
from smsgw.core.errors import SmsgwError
from smsgw.core.permissions import Permission
from smsgw.platform.accounts import service as accounts
from smsgw.platform.change import Change
from smsgw.platform.org import factors, queries, service, sessions
from smsgw.platform.org.model import MAX_DEPTH, Person
from smsgw.runtime import clock
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer

P = Permission
PAGES = {
    "super": "home alarms channels traffic send records content", "sysadmin": "home alarms", "secadmin": "home",
    "auditor": "home alarms traffic records content", "admin": "home alarms channels traffic send records content",
    "dept": "home traffic send records content", "operator": "home traffic send records content",
    "reviewer": "home traffic", "finance": "home traffic records",
    "ops": "home alarms channels traffic records content", "dev": "home traffic records content",
}  # fmt: skip
"""What each built-in role opens of the pages that there were before roles were rows, written down a second time."""
NEEDED = {
    "home": P.HOME_VIEW, "alarms": P.ALARM_VIEW, "channels": P.CHANNEL_VIEW, "traffic": P.STATISTICS_VIEW,
    "send": P.MESSAGE_SEND, "records": P.MESSAGE_VIEW, "content": P.MESSAGE_READ,
}  # fmt: skip
SEES_ASSIGNED = {"dept", "operator", "dev"}


@dataclass
class Org:
    """A platform with a first administrator, at whose machine somebody is."""

    db: Database
    machine: Change

    async def person(self, login: str) -> Person:
        return await queries.person(self.db, login, status=service.PRESENT)

    async def by(self, login: str) -> Change:
        return Change(self.db, (await self.person(login)).actor("192.0.2.1"))

    async def add(self, login: str, *roles: str, **how: Any) -> int:
        return await service.add_person(self.machine, login, login, roles, "x", **how)

    async def account(self, name: str) -> int:
        return await accounts.add(self.machine, name)

    async def department(self, name: str, above: int | None = None) -> int:
        return await service.add_department(self.machine, name, above)

    async def manage(self, department: int, name: str, manager: str | None, quota: int | None = None) -> None:
        await service.set_department(self.machine, department, name=name, manager=manager, month_quota=quota)

    async def role(self, code: str, scope: ScopeKind, *rights: Permission) -> None:
        await service.add_role(self.machine, code, code, {P.HOME_VIEW, *rights}, scope)


def as_role(name: str, *rights: Permission, scope: ScopeKind = ScopeKind.ALL) -> dict[str, Any]:
    return {"name": name, "permissions": set(rights), "scope": scope}


@pytest_asyncio.fixture
async def org(database: Database) -> Org:
    return Org(database, Change(database, Actor.operator("root")))


async def refused(doing: Awaitable[Any]) -> str:
    with pytest.raises(SmsgwError) as caught:
        await doing
    return caught.value.code


async def test_built_in_roles_open_and_see_what_they_did_before(org: Org) -> None:
    account = await org.account("one")
    known = {role.code: role for role in await queries.roles(org.db)}
    assert known.keys() == PAGES.keys()
    for code, words in PAGES.items():
        await org.add(code, code, accounts=[account])
        person = await org.person(code)
        assert {p for p in NEEDED.values() if p in person.permissions} == {NEEDED[w] for w in words.split()}, code
        assert person.scope.accounts == ((account,) if code in SEES_ASSIGNED else None), code
        assert known[code].builtin
        assert len(person.duties) <= 1
    assert (await org.person("super")).permissions == frozenset(P)
    assert {code for code, role in known.items() if role.duties} == {"sysadmin", "secadmin", "auditor"}


async def test_a_built_in_role_stays_as_it_is(org: Org) -> None:
    for code in PAGES:
        assert await refused(service.set_role(org.machine, code, **as_role("别的", P.HOME_VIEW))) == "ROLE_PROTECTED"
        assert await refused(service.remove_role(org.machine, code)) == "ROLE_PROTECTED"


async def test_a_role_is_copied_changed_and_removed_when_nobody_has_it(org: Org) -> None:
    await service.copy_role(org.machine, "operator", "clerk", "窗口人员")
    copied, original = await queries.role(org.db, "clerk"), await queries.role(org.db, "operator")
    assert copied
    assert original
    assert (copied.permissions, copied.scope, copied.builtin) == (original.permissions, original.scope, False)
    await org.add("li", "clerk")
    await service.set_role(org.machine, "clerk", name="窗口", permissions={P.HOME_VIEW}, scope=ScopeKind.OWN)
    assert (await org.person("li")).permissions == {P.HOME_VIEW}  # from the next request on
    assert await refused(service.remove_role(org.machine, "clerk")) == "STATE_CONFLICT"
    await service.grant(org.machine, "li", [])
    await org.add("wang", "clerk")
    await service.remove_person(org.machine, "wang")
    await service.remove_role(org.machine, "clerk")
    assert await queries.role(org.db, "clerk") is None


async def test_what_a_later_program_allows_is_passed_over(org: Org) -> None:
    await org.db.execute(
        "INSERT INTO role (code, name, permissions, scope) VALUES ('new', 'n', '{a.b,home.view}', 'own')"
    )
    await org.add("li", "new")
    assert (await org.person("li")).permissions == {P.HOME_VIEW}


async def test_nobody_gives_what_they_lack(org: Org) -> None:
    await org.add("boss", "admin")
    await org.add("zhang", "operator")
    boss = await org.by("boss")
    for stronger in ("super", "sysadmin", "secadmin", "auditor", "finance", "ops"):
        assert await refused(service.grant(boss, "zhang", [stronger])) == "GRANT_EXCEEDED"
        adding = service.add_person(boss, f"x-{stronger}", "", [stronger], "x")
        assert await refused(adding) == "GRANT_EXCEEDED"
        assert await queries.person(org.db, f"x-{stronger}") is None
    allowing = service.set_permissions(boss, "zhang", allowed={P.ROLE_EDIT}, withheld=())
    assert await refused(allowing) == "GRANT_EXCEEDED"
    await service.grant(boss, "zhang", ["operator", "reviewer"])
    assert {r.code for r in (await org.person("zhang")).roles} == {"operator", "reviewer"}


async def test_a_role_is_not_made_stronger_than_its_maker(org: Org) -> None:
    await org.add("sys", "sysadmin")
    sys = await org.by("sys")
    strong = {P.ROLE_EDIT, P.CHANNEL_EDIT}
    assert await refused(service.add_role(sys, "strong", "强", strong, ScopeKind.ALL)) == "GRANT_EXCEEDED"
    assert await refused(service.copy_role(sys, "super", "strong", "强")) == "GRANT_EXCEEDED"
    assert await refused(service.copy_role(sys, "ops", "strong", "强")) == "GRANT_EXCEEDED"
    await service.add_role(sys, "weak", "弱", {P.HOME_VIEW}, ScopeKind.ALL)
    assert await refused(service.set_role(sys, "weak", **as_role("弱", *strong))) == "GRANT_EXCEEDED"


async def test_nobody_changes_their_own_rights(org: Org) -> None:
    account = await org.account("one")
    department = await org.department("总部")
    await org.add("boss", "super")
    await org.add("other", "super")
    await org.role("own", ScopeKind.ALL, P.ROLE_EDIT, P.ROLE_VIEW)
    await org.add("sys", "own")
    boss = await org.by("boss")
    attempts: list[Callable[[], Awaitable[Any]]] = [
        lambda: service.grant(boss, "boss", ["super", "dev"]),
        lambda: service.set_permissions(boss, "boss", allowed=(), withheld=[P.HOME_VIEW]),
        lambda: service.set_person(boss, "boss", {"accounts": [account]}),
        lambda: service.set_person(boss, "boss", {"department_id": department}),
        lambda: service.set_contact(boss, {"accounts": [account]}),
        lambda: service.set_department(boss, department, name="总部", manager="boss", month_quota=None),
        lambda: service.stop_person(boss, "boss"),
        lambda: service.remove_person(boss, "boss"),
    ]
    for attempt in attempts:
        assert await refused(attempt()) == "RIGHTS_OWN"
    sys = await org.by("sys")
    more = service.set_role(sys, "own", **as_role("自", P.HOME_VIEW, P.ROLE_EDIT))
    assert await refused(more) == "RIGHTS_OWN"
    await service.set_contact(boss, {"name": " " * 5000 + "老板 ", "email": "boss@example.com"})
    assert (await org.person("boss")).name == "老板"


async def test_who_has_more_is_not_managed(org: Org) -> None:
    """A new password for somebody stronger would be their rights."""
    await org.add("boss", "super")
    await org.add("admin", "admin")
    admin = await org.by("admin")
    for attempt in (
        service.reset_password(admin, "boss", "y"), service.set_person(admin, "boss", {"phone": "13800138000"}),
        service.stop_person(admin, "boss"), service.remove_person(admin, "boss"),
        service.grant(admin, "boss", ["operator"]),
        service.set_permissions(admin, "boss", allowed=(), withheld=list(P)), factors.reset_factors(admin, "boss"),
    ):  # fmt: skip
        assert await refused(attempt) == "PERSON_ABOVE"
    boss = await org.person("boss")
    assert await sessions.open_session(org.db, boss, "x", b"t" * 32, "c", None)
    (session,) = await queries.sessions(org.db, "boss")
    assert await refused(service.end_session(admin, session.id)) == "PERSON_ABOVE"
    await org.add("operator", "operator")
    assert await refused(service.end_session(await org.by("operator"), session.id)) == "NOT_FOUND"
    await service.end_session(await org.by("boss"), session.id)
    assert await queries.sessions(org.db, "boss") == []


async def test_nobody_is_two_of_the_three_administrators(org: Org) -> None:
    pairs = [("sysadmin", "secadmin"), ("secadmin", "auditor"), ("auditor", "sysadmin")]
    for one, two in pairs:
        assert await refused(org.add(f"{one}-{two}", one, two)) == "DUTIES_CONFLICT"
    await org.add("li", "auditor")
    assert await refused(service.grant(org.machine, "li", ["auditor", "secadmin"])) == "DUTIES_CONFLICT"
    allowing = service.set_permissions(org.machine, "li", allowed={P.SETTING_EDIT}, withheld=())
    assert await refused(allowing) == "DUTIES_CONFLICT"
    both = {P.AUDIT_VIEW, P.SECURITY_EDIT}
    assert await refused(service.add_role(org.machine, "two", "二", both, ScopeKind.ALL)) == "DUTIES_CONFLICT"
    assert await refused(service.copy_role(org.machine, "super", "two", "二")) == "DUTIES_CONFLICT"
    # Nor by way of a role that becomes one when somebody has it already.
    await org.role("harmless", ScopeKind.ALL)
    await service.grant(org.machine, "li", ["auditor", "harmless"])
    becomes = service.set_role(org.machine, "harmless", **as_role("无", P.SECURITY_EDIT))
    assert await refused(becomes) == "DUTIES_CONFLICT"
    assert {r.code for r in (await org.person("li")).roles} == {"auditor", "harmless"}


async def test_the_last_administrator_stays_whichever_way_one_goes(org: Org) -> None:
    await org.add("one", "sysadmin")
    await org.add("two", "admin")
    attempts: list[Callable[[], Awaitable[Any]]] = [
        lambda: service.stop_person(org.machine, "one"),
        lambda: service.remove_person(org.machine, "one"),
        lambda: service.grant(org.machine, "one", ["operator"]),
        lambda: service.set_permissions(org.machine, "one", allowed=(), withheld=[P.PERSON_GRANT]),
    ]
    for attempt in attempts:
        assert await refused(attempt()) == "LAST_ADMINISTRATOR"
    await service.copy_role(org.machine, "sysadmin", "copied", "系统管理员(副本)")
    await org.add("three", "copied")
    await service.stop_person(org.machine, "one")
    becomes = service.set_role(org.machine, "copied", **as_role("无", P.HOME_VIEW))
    assert await refused(becomes) == "LAST_ADMINISTRATOR"
    await org.add("boss", "super")
    boss = await org.by("boss")
    await service.stop_person(boss, "three")
    forced = service.stop_person(await org.by("boss"), "boss", force=True)
    assert await refused(forced) == "RIGHTS_OWN"
    await service.stop_person(org.machine, "boss", force=True)  # who is at the machine may


async def test_of_two_administrators_who_take_each_others_roles_one_is_left(org: Org) -> None:
    for login in ("one", "two"):
        await org.add(login, "super")
    one, two = await org.by("one"), await org.by("two")
    results = await asyncio.gather(
        service.grant(one, "two", ["operator"]), service.grant(two, "one", ["operator"]), return_exceptions=True
    )
    codes = sorted(getattr(r, "code", "done") for r in results)
    # The second has lost the rights to do so while it waited.
    assert codes == ["PERMISSION_DENIED", "done"]
    left = [login for login in ("one", "two") if (await org.person(login)).administrator]
    assert len(left) == 1


async def test_rights_that_are_gone_are_gone_for_a_request_under_way(org: Org) -> None:
    for login, role in (("boss", "admin"), ("sec", "secadmin"), ("li", "operator")):
        await org.add(login, role)
    boss, sec = await org.by("boss"), await org.by("sec")
    for login in ("boss", "sec"):
        await service.grant(org.machine, login, ["operator"])
    assert await refused(service.stop_person(boss, "li")) == "PERMISSION_DENIED"
    assert await refused(service.set_password_policy(sec, history=0, days=0)) == "PERMISSION_DENIED"
    await service.grant(org.machine, "boss", ["admin"])
    await service.stop_person(org.machine, "boss")
    assert await refused(service.stop_person(boss, "li")) == "PERMISSION_DENIED"


async def test_another_departments_person_is_not_there(org: Org) -> None:
    top = await org.department("总部")
    north = await org.department("北区", top)
    south = await org.department("南区", top)
    account, elsewhere = await org.account("one"), await org.account("two")
    for login, department in (("north", north), ("south", south)):
        await org.add(login, "operator", department_id=department, accounts=[account])
    await org.add("nobody", "operator")
    await org.add("chief", "dept", department_id=north, accounts=[account])
    await org.manage(north, "北区", "chief", 1000)
    chief = await org.by("chief")
    assert chief.actor.scope == Scope((account,), (north,))
    seen = [row["login"] for row in await queries.people(org.db, chief.actor.scope)]
    assert seen == ["chief", "north"]
    for login in ("south", "nobody"):
        for attempt in (
            service.set_person(chief, login, {"name": "x"}), service.reset_password(chief, login, "y"),
            service.stop_person(chief, login), service.grant(chief, login, ["operator"]),
        ):  # fmt: skip
            assert await refused(attempt) == "NOT_FOUND"
    await service.set_person(chief, "north", {"name": "小北", "phone": "13800138000"})
    for wrong in ({"department_id": south}, {"department_id": None}, {"accounts": [elsewhere]}):
        assert await refused(service.set_person(chief, "north", wrong)) == "NOT_FOUND"
    adding = service.add_person(chief, "new", "", ["operator"], "x", department_id=south)
    assert await refused(adding) == "NOT_FOUND"
    await service.add_person(chief, "new", "", ["operator"], "x", department_id=north, accounts=[account])


async def test_a_department_is_not_moved_to_see_its_accounts(org: Org) -> None:
    """Whoever manages a department and sees the accounts of another one does not get those of both."""
    mine, managed = [await org.department(name) for name in ("A", "B")]
    one, two = [await org.account(name) for name in ("one", "two")]
    await service.place_account(org.machine, one, mine)
    await service.place_account(org.machine, two, managed)
    await org.role("keeper", ScopeKind.BELOW, P.DEPARTMENT_EDIT)
    await org.role("reader", ScopeKind.BELOW)
    await org.add("li", "keeper", department_id=mine)
    await org.manage(managed, "B", "li")
    li = await org.by("li")
    assert li.actor.scope == Scope((one,), (mine, managed))
    assert await refused(service.move_department(li, managed, mine)) == "RIGHTS_OWN"
    # Nor for somebody else.
    below = await org.department("C", managed)
    await service.place_account(org.machine, two, below)
    elsewhere = await org.department("D", managed)
    await org.add("friend", "reader", department_id=elsewhere)
    li = await org.by("li")
    assert await refused(service.move_department(li, below, elsewhere)) == "GRANT_EXCEEDED"
    assert (await org.person("friend")).scope.accounts == ()
    await service.move_department(org.machine, below, elsewhere)
    assert (await org.person("friend")).scope.accounts == (two,)


async def test_what_one_may_do_is_not_given_where_it_is_for_more_than_ones_own_data(org: Org) -> None:
    """A permission that the giver has in a department is not given to who sees everything, and a department not to
    who may do more there than the giver."""
    top = await org.department("A")
    await org.role("chief", ScopeKind.BELOW, P.ROLE_EDIT, P.PERSON_EDIT, P.DEPARTMENT_EDIT, P.BLOCK_EDIT)
    await org.role("shared", ScopeKind.BELOW)
    await org.role("seer", ScopeKind.ALL)
    await org.role("setter", ScopeKind.BELOW, P.PERSON_RESET)
    await org.add("chief", "chief", department_id=top)
    await org.add("seer", "seer", "shared", department_id=top)
    low = await org.department("B", top)
    other = await org.department("C", top)
    await org.add("setter", "setter", department_id=low)
    chief = await org.by("chief")
    more = as_role("共", P.HOME_VIEW, P.BLOCK_EDIT, scope=ScopeKind.BELOW)
    assert await refused(service.set_role(chief, "shared", **more)) == "GRANT_EXCEEDED"
    wanted: dict[str, Any] = {"name": "C", "manager": "setter", "month_quota": None}
    assert await refused(service.set_department(chief, other, **wanted)) == "GRANT_EXCEEDED"
    await service.grant(org.machine, "setter", ["shared"])
    await service.set_department(chief, other, **wanted)
    await service.set_department(chief, other, **(wanted | {"month_quota": 5}))


async def test_a_department_administrator_sees_the_department_and_all_below_it(org: Org) -> None:
    """Without being its manager; and the accounts that were assigned besides."""
    north = await org.department("北区")
    below = await org.department("一科", north)
    south = await org.department("南区")
    assigned, of_north, of_below, of_south = [await org.account(name) for name in ("a", "b", "c", "d")]
    for account, department in ((of_north, north), (of_below, below), (of_south, south)):
        await service.place_account(org.machine, account, department)
    await org.add("chief", "dept", department_id=north, accounts=[assigned])
    await org.add("clerk", "operator", department_id=below)
    await org.add("other", "operator", department_id=south)
    scope = (await org.person("chief")).scope
    assert scope.departments == (north, below)
    assert set(scope.accounts or ()) == {assigned, of_north, of_below}
    assert [one.name for one in await queries.departments(org.db, scope)] == ["一科", "北区"]
    assert {row["login"] for row in await queries.people(org.db, scope)} == {"chief", "clerk"}
    chief = await org.by("chief")
    await service.set_person(chief, "clerk", {"name": "甲"})
    assert await refused(service.set_person(chief, "other", {"name": "甲"})) == "NOT_FOUND"
    await service.set_person(org.machine, "chief", {"department_id": None})
    assert (await org.person("chief")).scope == Scope((assigned,), ())


async def test_a_role_is_changed_by_who_may_manage_all_who_hold_it(org: Org) -> None:
    """Taken away, too: rights of people in departments that one does not see, and of those who may do more."""
    north, south = [await org.department(name) for name in ("北区", "南区")]
    await org.role("chief", ScopeKind.BELOW, P.ROLE_EDIT, P.PERSON_EDIT, P.BLOCK_VIEW)
    await org.role("shared", ScopeKind.BELOW, P.BLOCK_VIEW)
    await org.add("chief", "chief", department_id=north)
    await org.add("one", "shared", department_id=north)
    await org.add("other", "shared", department_id=south)
    chief = await org.by("chief")
    less = as_role("共", P.HOME_VIEW, scope=ScopeKind.BELOW)
    narrower = as_role("共", P.HOME_VIEW, P.BLOCK_VIEW, scope=ScopeKind.OWN)
    for wanted in (less, narrower):
        with pytest.raises(SmsgwError) as refusal:
            await service.set_role(chief, "shared", **wanted)
        assert refusal.value.code == "STATE_CONFLICT"
        assert "1" in str(refusal.value.detail["reason"])
        assert "other" not in str(refusal.value.detail)  # nobody learns who that is
    assert P.BLOCK_VIEW in (await org.person("other")).permissions
    await service.set_role(chief, "shared", **(narrower | {"name": "共享", "scope": ScopeKind.BELOW}))  # the name alone
    await service.set_person(org.machine, "other", {"department_id": north})
    await service.grant(org.machine, "other", ["shared", "operator"])
    assert await refused(service.set_role(chief, "shared", **less)) == "PERSON_ABOVE"
    await service.grant(org.machine, "other", ["shared"])
    await service.set_role(chief, "shared", **less)
    assert (await org.person("other")).permissions == {P.HOME_VIEW}
    await service.set_person(org.machine, "other", {"department_id": south})
    await service.set_role(org.machine, "shared", **narrower)  # who sees all may
    assert P.BLOCK_VIEW in (await org.person("other")).permissions


async def test_who_is_held_by_a_quota_does_not_lift_it(org: Org) -> None:
    top = await org.department("A")
    low = await org.department("B", top)
    await org.role("chief", ScopeKind.BELOW, P.DEPARTMENT_EDIT)
    await org.add("chief", "chief", department_id=top)
    await org.manage(top, "A", None, 5)
    chief = await org.by("chief")
    for quota in (None, 500):
        lifting = service.set_department(chief, top, name="A", manager=None, month_quota=quota)
        assert await refused(lifting) == "PARAM_INVALID"
    await service.set_department(chief, top, name="甲", manager=None, month_quota=5)
    await service.set_department(chief, low, name="B", manager=None, month_quota=3)


async def test_accounts_are_not_assigned_before_their_time(org: Org) -> None:
    """To somebody without a role they mean nothing yet: with the next role they would."""
    north = await org.department("北区")
    own, foreign = [await org.account(name) for name in ("one", "two")]
    await org.add("chief", "dept", department_id=north, accounts=[own])
    await org.add("li", department_id=north, accounts=[foreign])
    await org.manage(north, "北区", "chief")
    chief = await org.by("chief")
    for account in (foreign, foreign + 1000):  # nor is it told which there are
        adding = service.add_person(chief, "new", "", [], "x", department_id=north, accounts=[account])
        assert await refused(adding) == "NOT_FOUND"
    both = service.set_person(chief, "li", {"accounts": [foreign, foreign + 1000]})
    assert await refused(both) == "NOT_FOUND"
    assert await refused(org.add("new", accounts=[foreign + 1000])) == "NOT_FOUND"
    await service.set_person(chief, "li", {"accounts": [own, foreign]})  # what somebody gave before is kept
    await service.set_person(chief, "li", {"accounts": [own]})


async def test_nobody_is_put_into_a_department_that_is_gone(org: Org) -> None:
    gone = await org.department("A")
    await service.remove_department(org.machine, gone)
    await org.add("li", "operator")
    assert await refused(org.add("new", "operator", department_id=gone)) == "NOT_FOUND"
    assert await refused(service.set_person(org.machine, "li", {"department_id": gone})) == "NOT_FOUND"


async def test_an_account_is_placed_by_the_rights_of_now(org: Org) -> None:
    top = await org.department("A")
    account = await org.account("one")
    await org.role("mover", ScopeKind.ACCOUNTS, P.ACCOUNT_EDIT)
    await org.add("li", "mover", accounts=[account])
    await org.manage(top, "A", "li")
    li = await org.by("li")
    await service.set_person(org.machine, "li", {"accounts": []})
    assert await refused(service.place_account(li, account, top)) == "NOT_FOUND"


async def test_ones_own_password_is_not_reset(org: Org) -> None:
    """With a stolen session it would be taken over: one's own needs the former one."""
    await org.add("boss", "super")
    assert await refused(service.reset_password(await org.by("boss"), "boss", "y")) == "RIGHTS_OWN"


async def test_a_code_that_went_to_an_earlier_phone_is_good_no_more(org: Org) -> None:
    id_ = await org.add("li", "operator")
    li = await org.by("li")
    await service.set_contact(li, {"phone": "13800138000"})
    await factors.verify_phone(li, SEALER, (await factors.new_sms_code(org.db, SEALER, id_, "phone"))[1])
    _, code = await factors.new_sms_code(org.db, SEALER, id_, "login")
    await service.set_contact(li, {"phone": "13900139000"})
    assert not await factors.check_sms_code(org.db, SEALER, id_, "login", code)


async def test_a_department_moves_with_all_below_it_and_its_past_is_kept(org: Org) -> None:
    a = await org.department("A")
    b = await org.department("B")
    child = await org.department("C", a)
    leaf = await org.department("D", child)
    before: Any = await org.db.fetchval("SELECT clock_timestamp()")
    await service.move_department(org.machine, child, b)
    now: Any = await org.db.fetchval("SELECT clock_timestamp()")
    assert [await queries.parent_at(org.db, child, at) for at in (before, now)] == [a, b]
    tree = {d.id: d.parent_id for d in await queries.departments(org.db, EVERYTHING)}
    assert tree == {a: None, b: None, child: b, leaf: child}
    for wrong in (child, leaf):
        assert await refused(service.move_department(org.machine, child, wrong)) == "PARAM_INVALID"
    assert await refused(org.department("A")) == "PARAM_INVALID"
    assert await refused(service.remove_department(org.machine, child)) == "STATE_CONFLICT"
    await service.remove_department(org.machine, leaf)
    await service.remove_department(org.machine, child)
    assert await refused(org.department("E", child)) == "NOT_FOUND"
    parent = None
    for n in range(MAX_DEPTH):
        parent = await org.department(f"L{n}", parent)
    assert await refused(org.department("L", parent)) == "PARAM_INVALID"


async def test_two_moves_at_the_same_moment_close_no_circle(org: Org) -> None:
    a = await org.department("A")
    b = await org.department("B")
    results = await asyncio.gather(
        *(service.move_department(Change(org.db, org.machine.actor), x, y) for x, y in ((a, b), (b, a))),
        return_exceptions=True,
    )
    assert sorted(getattr(r, "code", "done") for r in results) == ["PARAM_INVALID", "done"]


async def test_a_scope_of_departments_is_their_accounts_and_what_is_below(org: Org) -> None:
    top = await org.department("总部")
    low = await org.department("北区", top)
    one, two, three = [await org.account(name) for name in ("one", "two", "three")]
    await accounts.edit(org.machine, three, {"parent": "two"})
    await service.place_account(org.machine, one, top)
    await service.place_account(org.machine, two, low)
    for kind in ScopeKind:
        await org.role(f"role-{kind}", kind)
        await org.add(f"p-{kind}", f"role-{kind}", department_id=top, accounts=[two])
    scopes = {kind: (await org.person(f"p-{kind}")).scope for kind in ScopeKind}
    assert scopes[ScopeKind.ALL] == EVERYTHING
    assert scopes[ScopeKind.DEPARTMENT] == Scope((one, two, three), (top,))
    assert scopes[ScopeKind.BELOW] == Scope((one, two, three), (top, low))
    assert scopes[ScopeKind.ACCOUNTS] == Scope((two, three), ())
    own = scopes[ScopeKind.OWN]
    assert (own.accounts, own.submitter, own.whole) == ((two, three), "p-own", ())


async def test_who_is_removed_is_gone_from_all_lists_and_the_login_is_not_given_again(org: Org) -> None:
    await org.add("li", "operator")
    assert await sessions.open_session(org.db, await org.person("li"), "x", b"t" * 32, "c", None)
    assert await service.remove_person(org.machine, "li") == 1
    assert await queries.session(org.db, b"t" * 32) is None
    assert await queries.people(org.db, EVERYTHING) == []
    assert await refused(service.start_person(org.machine, "li")) == "NOT_FOUND"
    assert await refused(org.add("li", "operator")) == "PARAM_INVALID"


async def test_boxes_add_to_roles_and_take_from_them(org: Org) -> None:
    await org.add("li", "operator")
    await service.set_permissions(
        org.machine, "li", allowed=[P.MESSAGE_EXPORT], withheld=[P.MESSAGE_READ, P.MESSAGE_SEND]
    )
    person = await org.person("li")
    assert P.MESSAGE_EXPORT in person.permissions
    assert not {P.MESSAGE_READ, P.MESSAGE_SEND} & person.permissions
    assert person.actor().may(P.SELF_EDIT)


async def test_earlier_passwords_are_kept_as_many_as_the_policy_says(org: Org) -> None:
    id_ = await org.add("li", "operator", must_change=False)
    li = await org.by("li")
    former = "x"
    for n in range(5):
        await service.change_password(li, f"hash{n}", former=former)
        former = f"hash{n}"
    assert await queries.earlier_passwords(org.db, id_) == ["hash3", "hash2", "hash1", "hash0", "x"]  # five, unless …
    await service.set_password_policy(org.machine, history=3, days=90)
    assert await queries.earlier_passwords(org.db, id_) == ["hash3", "hash2", "hash1"]
    assert not (await org.person("li")).must_change
    await org.db.execute("UPDATE staff SET password_changed_at = now() - interval '91 days'")
    assert (await org.person("li")).must_change


SEALER = Sealer(b"k" * 32)


def code_now(secret: str, steps: int = 0) -> str:
    return totp.code_at(base64.b32decode(secret), int(clock.time()) // totp.STEP + steps)


async def test_a_code_of_the_app_is_good_once_and_only_when_confirmed(org: Org) -> None:
    id_ = await org.add("li", "operator")
    li = await org.by("li")
    secret = await factors.begin_totp(li, SEALER)
    assert not await factors.check_totp(org.db, SEALER, id_, code_now(secret))
    assert await refused(factors.confirm_totp(li, SEALER, "000000x")) == "CODE_WRONG"
    await factors.confirm_totp(li, SEALER, code_now(secret))
    assert not await factors.check_totp(org.db, SEALER, id_, code_now(secret)), "it was used to confirm"
    assert await factors.check_totp(org.db, SEALER, id_, code_now(secret, 1))
    assert not await factors.check_totp(org.db, SEALER, id_, code_now(secret, 1))
    assert await refused(factors.begin_totp(li, SEALER)) == "STATE_CONFLICT"
    assert (await factors.factors(org.db, id_)).totp
    assert secret.encode() not in (await org.db.fetchval("SELECT secret_sealed FROM staff_totp"))
    await factors.remove_totp(li)
    assert not (await factors.factors(org.db, id_)).totp


async def test_a_recovery_code_is_good_once_and_until_there_are_new_ones(org: Org) -> None:
    id_ = await org.add("li", "operator")
    codes = await factors.make_recovery_codes(await org.by("li"))
    assert len(set(codes)) == factors.RECOVERY_CODES
    used = await asyncio.gather(*(factors.use_recovery_code(org.db, id_, codes[0].lower()) for _ in range(4)))
    assert sorted(used) == [False, False, False, True]
    assert (await factors.factors(org.db, id_)).recovery_codes == factors.RECOVERY_CODES - 1
    await factors.make_recovery_codes(await org.by("li"))
    assert not await factors.use_recovery_code(org.db, id_, codes[1])


async def test_a_code_sent_to_a_phone_has_five_tries(org: Org) -> None:
    id_ = await org.add("li", "operator")
    li = await org.by("li")
    assert await refused(factors.new_sms_code(org.db, SEALER, id_, "phone")) == "STATE_CONFLICT"
    await service.set_contact(li, {"phone": "13800138000"})
    assert await refused(factors.new_sms_code(org.db, SEALER, id_, "login")) == "STATE_CONFLICT", "not verified"
    number, code = await factors.new_sms_code(org.db, SEALER, id_, "phone")
    assert number == "8613800138000"
    assert await refused(factors.new_sms_code(org.db, SEALER, id_, "phone")) == "RATE_LIMITED"
    assert not await factors.check_sms_code(org.db, SEALER, id_, "login", code), "of another purpose"
    await factors.verify_phone(li, SEALER, code)
    assert (await factors.factors(org.db, id_)).phone
    await org.db.execute("DELETE FROM staff_sms_code")
    _, code = await factors.new_sms_code(org.db, SEALER, id_, "login")
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    for _ in range(factors.SMS_TRIES):
        assert not await factors.check_sms_code(org.db, SEALER, id_, "login", wrong)
    assert not await factors.check_sms_code(org.db, SEALER, id_, "login", code), "too late"
    # A new number has to be verified anew.
    await service.set_contact(li, {"phone": "13900139000"})
    assert not (await factors.factors(org.db, id_)).phone


async def test_lost_factors_are_taken_away_by_another(org: Org) -> None:
    id_ = await org.add("li", "operator")
    await org.add("boss", "admin")
    li, boss = await org.by("li"), await org.by("boss")
    await factors.add_passkey(li, b"id", b"key", 0, "笔记本")
    assert await refused(factors.add_passkey(li, b"id", b"key", 0, "again")) == "STATE_CONFLICT"
    await factors.make_recovery_codes(li)
    assert await refused(factors.reset_factors(boss, "boss")) == "RIGHTS_OWN"
    await factors.reset_factors(boss, "li")
    left = await factors.factors(org.db, id_)
    assert (left.totp, left.passkeys, left.recovery_codes, left.phone) == (False, 0, 0, False)
