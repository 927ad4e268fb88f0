"""Every function that changes something is found, and held to its permission and to its entry in the audit log.

What is found: in all modules of ``smsgw.platform``, each function (and method) whose first parameter is
``change: Change``. Each has an example here, by its name; one without fails.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import inspect
import pkgutil
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_type_hints

import pytest
import pytest_asyncio
from call_rows import message_row, part_row
from certificates import certified
from changes import by_test
from databases import change as as_owner, owner as owner_of
from PIL import Image
from soft_passkey import SoftPasskey
from standins import AnyFleet

import smsgw.platform
from smsgw.channels.wire.proofs import readings
from smsgw.core import totp
from smsgw.core.actor import EVERYTHING, NOTHING, Actor, ActorKind, Scope, ScopeKind
from smsgw.core.alarm_notes import Way
from smsgw.core.audit import Report
from smsgw.core.blocklist import Scope as BlockScope
from smsgw.core.code_book import Source
from smsgw.core.errors import Refused, SmsgwError
from smsgw.core.ids import CHINA, IdSource
from smsgw.core.keywords import Action, Word
from smsgw.core.model import Account, MessageType, Origin
from smsgw.core.number_state import NumberState
from smsgw.core.permissions import ALL, Permission
from smsgw.core.policy import RELAXED, Listed
from smsgw.core.report_ids import Spelling
from smsgw.core.report_match import Rule as MatchRule
from smsgw.core.retention import Ages
from smsgw.core.retry import Fault, RetryAction, Rule
from smsgw.core.stages import Stage
from smsgw.core.states import PartState
from smsgw.core.tasks import Task
from smsgw.core.templates import Registration, Review
from smsgw.core.trying import Operation
from smsgw.core.url_filings import Filing
from smsgw.core.webhooks import Reach
from smsgw.pipeline.accept.requests import ItemResult, SendRequest, SendResult
from smsgw.pipeline.outcomes.writer import Sweep
from smsgw.pipeline.snapshot import Accounts, Snapshot
from smsgw.platform import phrases
from smsgw.platform.accounts import queries as account_queries, rebate_rules, service as accounts
from smsgw.platform.alarms.model import Draft as Receiver
from smsgw.platform.alarms.rules import Draft as AlarmRule
from smsgw.platform.audience import importing as contact_import, service as audience
from smsgw.platform.audience.model import ContactInput, EntryDraft, Segment, SegmentKind, Sharing
from smsgw.platform.backups import restore as restores
from smsgw.platform.calls.trying import Door as CallDoor, Trying
from smsgw.platform.campaigns.model import TaskSpec
from smsgw.platform.campaigns.row_rules import RowRules
from smsgw.platform.campaigns.rows import Plan as TaskPlan
from smsgw.platform.campaigns.service import Prepared, Tasks
from smsgw.platform.change import Change, Unrecorded
from smsgw.platform.channels import queries as channel_queries, service as channels
from smsgw.platform.channels.watching import Watches
from smsgw.platform.content import proofs as documents
from smsgw.platform.content.model import SIGN, TEMPLATE, Answer
from smsgw.platform.diagnostics import service as diagnostics
from smsgw.platform.diagnostics.bundle import Bundles
from smsgw.platform.drafts import model as drafts
from smsgw.platform.drafts.surveyor import Surveyor
from smsgw.platform.duty import roster
from smsgw.platform.duty.contacts import Draft as SupportContact
from smsgw.platform.exclusions.model import Draft as Exclusions
from smsgw.platform.exports import service as exports
from smsgw.platform.exports.model import Export, Format
from smsgw.platform.faults import service as faults
from smsgw.platform.files import queries as file_queries
from smsgw.platform.files.model import Incoming, StoredFile
from smsgw.platform.jobs import queries as job_queries
from smsgw.platform.jobs.model import NewJob
from smsgw.platform.keys import queries as key_queries, service as keys
from smsgw.platform.links import service as links
from smsgw.platform.links.model import LinkKind, NewLink, ShortLink
from smsgw.platform.links.sending import SentLinks
from smsgw.platform.lists import consent_import, consents, number_import, proofs, service as lists
from smsgw.platform.lists.carrier import LiftState
from smsgw.platform.lists.complaints import State as ComplaintState
from smsgw.platform.load_tests import model as loads
from smsgw.platform.login import passkeys, queries as login_queries
from smsgw.platform.login.model import Demand, Factor
from smsgw.platform.materials import model as materials
from smsgw.platform.messages import inbound, undecided
from smsgw.platform.messages.inbound import InboundView
from smsgw.platform.numbers.vendor import Vendor
from smsgw.platform.org import factors, importing, queries, service as org, sessions
from smsgw.platform.partners import queries as partner_queries
from smsgw.platform.policies import service as policies
from smsgw.platform.policies.service import Where
from smsgw.platform.preferences.queries import owner
from smsgw.platform.retention import queries as retention_queries, service as retention
from smsgw.platform.review import queries as review_queries
from smsgw.platform.review.rules import Place
from smsgw.platform.review.service import Reviewing
from smsgw.platform.routing import approvals, drafts as route_drafts, prefixes, service as routing
from smsgw.platform.scenarios.model import Terms
from smsgw.platform.settings import service as settings
from smsgw.platform.sheets import queries as sheet_queries
from smsgw.platform.sheets.model import Sheet
from smsgw.platform.tickets.service import Draft as Ticket
from smsgw.platform.webhooks import service as webhooks
from smsgw.platform.webhooks.model import Wanted
from smsgw.platform.words import importing as word_import
from smsgw.runtime import aio, clock
from smsgw.runtime.config import Config
from smsgw.store.config.accounts import load_accounts
from smsgw.store.engine import restoring, secrets
from smsgw.store.engine.database import Database
from smsgw.store.engine.dumps import Manifest
from smsgw.store.engine.secrets import Sealer
from smsgw.store.messages import reviews as store_reviews, tasks as store_tasks
from smsgw.store.messages.accepting import commit_calls
from smsgw.store.messages.calls import NewCall, Stored
from smsgw.store.records import alarms as store_alarms, audit

pytestmark = pytest.mark.asyncio(loop_scope="module")
NUMBER = "13800138000"
STORED = f"86{NUMBER}"
LINK_HOSTS = ("s.example.cn",)


@dataclass
class World:
    """A database, and somebody who may do everything to prepare an example in it."""

    database: Database
    account_id: int
    sealer: Sealer
    """With the keys of ``key_file``, which it follows."""
    key_file: Path
    ids: Callable[[], int]
    able: Actor
    """Somebody in the portal who may do everything."""
    change: Change = field(init=False)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.change = self.by(Actor.system("test"))

    def by(self, actor: Actor) -> Change:
        return Change(self.database, actor, ids=self.ids)

    def name(self) -> str:
        """One that nothing has yet."""
        return f"x{next(self._numbers)}"

    async def entries(self, actor: str = "test") -> list[str]:
        """What it has done, in the audit log."""
        rows = await self.database.fetch("SELECT action FROM audit WHERE actor = $1 ORDER BY id", actor)
        return [row["action"] for row in rows]


@asynccontextmanager
async def made_world(postgres: Any, folder: Path, name: str) -> AsyncIterator[World]:
    """A database of that name, with an account and somebody who may do everything."""
    key_file = folder / "key"
    sealer = secrets.load_key(key_file, create=True)
    audit.use(lambda: sealer)
    database = Database(await postgres.make(name, postgres.template))
    await database.open()
    account_id = await accounts.add(by_test(database), "own")
    await org.add_person(by_test(database), "able", "", ["super"], "x", must_change=False)
    able = await queries.person(database, "able")
    assert able is not None
    yield World(database, account_id, sealer, key_file, count(1 << 40).__next__, able.actor("192.0.2.7"))
    await database.close()
    await postgres.drop(name)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One database for all examples."""
    async with made_world(postgres, tmp_path_factory.mktemp("changes"), "changes") as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def untouched(postgres: Any, tmp_path: Path) -> AsyncIterator[World]:
    """One in which no example has run."""
    async with made_world(postgres, tmp_path, "changes_untouched") as made:
        yield made


def changing() -> dict[str, Callable[..., Any]]:
    """Every function that takes a change, by its full name below ``smsgw.platform``."""
    found = {}
    for found_module in pkgutil.walk_packages(smsgw.platform.__path__, "smsgw.platform."):
        module = importlib.import_module(found_module.name)
        own = [v for v in vars(module).values() if getattr(v, "__module__", "") == module.__name__]
        classes = [v for v in own if inspect.isclass(v) and not getattr(v, "_is_protocol", False)]
        methods = [m for v in classes for m in vars(v).values() if inspect.isfunction(m)]
        for function in (*filter(inspect.isfunction, own), *methods):
            names = [name for name in inspect.signature(function).parameters if name != "self"]
            hints = get_type_hints(function, include_extras=True) if names[:1] == ["change"] else {}
            if hints.get("change") is Change and not function.__name__.startswith("_"):
                found[f"{module.__name__}.{function.__qualname__}".removeprefix("smsgw.platform.")] = function
    return found


CHANGING = changing()


class Example:
    """How a function is called so that it changes something, and the names of its entries in the audit log.

    An argument that is a function of this module stands for what it makes of the world: it is prepared before the call.
    ``before``: one whose result does not matter. ``instance``: what a method is called on.
    """

    def __init__(self, actions: str, *args: Any, before: Any = None, instance: Any = None, **named: Any) -> None:
        self.actions = actions.split()
        self._before, self._instance, self._args, self._named = before, instance, args, named

    async def prepare(self, world: World, name: str) -> tuple[Callable[[Change], Awaitable[Any]], list[Any]]:
        """The call, for whoever is to make it, and its arguments."""
        await _prepared(world, self._before)
        instance = [] if self._instance is None else [await _prepared(world, self._instance)]
        args = [await _prepared(world, arg) for arg in self._args]
        named = {key: await _prepared(world, arg) for key, arg in self._named.items()}
        return lambda change: CHANGING[name](*instance, change, *args, **named), args


async def _prepared(world: World, arg: Any) -> Any:
    if isinstance(arg, list):
        return [await _prepared(world, one) for one in arg]
    if inspect.isfunction(arg) and arg.__module__ == __name__:
        arg = arg(world)
    return await arg if inspect.isawaitable(arg) else arg


def made(name: str, part: str = "", *, mine: bool = False) -> Callable[[World], Awaitable[Any]]:
    """What the example of a function makes (of that: ``part``); ``mine``: by whoever acts in the examples."""

    async def make(world: World) -> Any:
        call, _ = await EXAMPLES[name].prepare(world, name)
        result = await call(world.by(world.able) if mine else world.change)
        return getattr(result, part) if part else result

    return make


mine = partial(made, mine=True)


def done_to(name: str, at: int = 0, *, mine: bool = False) -> Callable[[World], Awaitable[Any]]:
    """What the example of a function is done to: its argument number ``at``."""

    async def do(world: World) -> Any:
        call, args = await EXAMPLES[name].prepare(world, name)
        await call(world.by(world.able) if mine else world.change)
        return args[at]

    return do


@pytest.mark.parametrize("name", sorted(CHANGING))
async def test_a_change_is_permitted_and_recorded(world: World, name: str) -> None:
    assert name in EXAMPLES, "no example"
    call, _ = await EXAMPLES[name].prepare(world, name)
    before = await world.entries("able")
    with pytest.raises(SmsgwError) as refused:
        await call(world.by(replace(world.able, permissions=frozenset())))
    assert refused.value.code == "PERMISSION_DENIED"
    assert Permission(refused.value.detail["permission"])
    assert await world.entries("able") == before

    call, _ = await EXAMPLES[name].prepare(world, name)
    before = await world.entries("able")
    await call(world.by(world.able))
    assert (await world.entries("able"))[len(before) :] == EXAMPLES[name].actions
    rows = await world.database.fetch("SELECT DISTINCT host(ip) AS ip FROM audit WHERE actor = 'able'")
    assert [row["ip"] for row in rows] == ["192.0.2.7"]


async def test_no_example_is_of_another_time() -> None:
    assert set(EXAMPLES) == set(CHANGING)


# --- what Change itself promises -------------------------------------------------------------------------------------


async def contacts(world: World) -> int:
    found: int = await world.database.fetchval("SELECT count(*) FROM contact")
    return found


async def insert(unit: Any, account_id: int, number: str) -> None:
    await unit.connection.execute("INSERT INTO contact (account_id, number) VALUES ($1, $2)", account_id, number)


async def test_a_change_without_an_entry_does_not_happen(world: World) -> None:
    before = await contacts(world)
    with pytest.raises(Unrecorded):
        async with world.change.unit(Permission.CONTACT_EDIT, world.account_id) as unit:
            await insert(unit, world.account_id, "8613800000001")
    assert await contacts(world) == before
    async with world.change.unit(Permission.CONTACT_EDIT, world.account_id) as unit:
        unit.unchanged()


async def test_a_change_that_fails_leaves_no_entry(world: World) -> None:
    before, logged = await contacts(world), await world.entries()

    async def fail() -> None:
        async with world.change.unit(Permission.CONTACT_EDIT, world.account_id) as unit:
            await insert(unit, world.account_id, "8613800000002")
            unit.record("contact.put", "contacts")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert (await contacts(world), await world.entries()) == (before, logged)


async def test_a_unit_inside_another_stands_and_falls_with_it(world: World) -> None:
    before, logged = await contacts(world), await world.entries()

    async def fail() -> None:
        async with world.change.unit(Permission.CONTACT_EDIT, world.account_id) as outer:
            outer.record("contact.put", "contacts")
            await audience.put(world.change, world.account_id, [ContactInput("13800000003")])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert (await contacts(world), await world.entries()) == (before, logged)

    async with world.change.unit(Permission.CONTACT_EDIT, world.account_id) as outer:
        outer.record("contact.put", "contacts")
        with pytest.raises(Unrecorded):
            async with world.change.unit(Permission.CONTACT_EDIT, world.account_id) as inner:
                await insert(inner, world.account_id, "8613800000004")
    assert await contacts(world) == before  # whose error was caught has left nothing
    assert len(await world.entries()) == len(logged) + 1


async def test_two_tasks_do_not_share_a_unit(world: World) -> None:
    """What the one does would be committed, or not, with the other's."""
    logged, opened, over = await world.entries(), asyncio.Event(), asyncio.Event()

    async def first() -> None:
        async with world.change.unit(Permission.CONTACT_EDIT, world.account_id) as unit:
            unit.unchanged()
            opened.set()
            await over.wait()

    async def second() -> None:
        await opened.wait()
        async with world.change.unit(Permission.CONTACT_EDIT, world.account_id) as unit:
            unit.record("contact.put", "contacts")

    task = aio.spawn(first(), name="first")
    with pytest.raises(RuntimeError, match="one task"):
        await second()
    over.set()
    await task
    assert await world.entries() == logged


_WHOLE_ROLE = """
WITH made AS (INSERT INTO role (code, name, permissions, scope) VALUES ('whole', 'whole', $1, 'below') RETURNING id)
INSERT INTO staff_role (staff_id, role_id) SELECT s.id, made.id FROM made, staff s WHERE s.login = 'stranger'
"""
"""With all permissions, which no role of the portal may have: duties are kept apart."""
OF_NO_ACCOUNT = (
    "audit.", "brand.", "channels.", "evidence.verification.begin", "key_file.", "login.service.set_policy",
    "login.service.set_role", "numbers.filters.set_vendor", "numbers.service.learn",
    "org.service.add_role", "org.service.copy_role", "org.service.remove_role", "org.service.set_password_policy",
    "org.service.set_role", "routing.service.", "settings.service.put",
)  # fmt: skip
"""There once for all: whoever has the permission may change it."""
FOR_ONESELF = (
    "drafts.service.begin", "drafts.service.sent", "exports.service.request", "login.passkeys.register",
    "notices.service.read", "notices.service.read_all", "org.factors.", "org.importing.begin",
    "org.service.change_password", "org.service.end_other_sessions", "org.service.set_contact",
    "phrases.add", "preferences.service.", "walls.service.open_",
)  # fmt: skip
"""What is changed or made is one's own."""
OF_WHAT_WAS_FOUND = (
    "lists.service.unmask_allowed", "messages.inbound_handling.seen", "messages.service.read", "messages.service.sent",
    "numbers.service.unmask",
)  # fmt: skip
"""They write down that rows were seen, which a query in the actor's scope has found."""


async def test_a_stranger_changes_nothing_of_another_account(untouched: World) -> None:
    """Somebody with all permissions in a department of their own, which has no account."""
    world = untouched
    department = await org.add_department(world.change, "strangers")
    await org.add_person(world.change, "stranger", "", [], "x", department_id=department, must_change=False)
    await world.database.execute(_WHOLE_ROLE, sorted(ALL - {Permission.SELF_EDIT}))
    person = await queries.person(world.database, "stranger")
    assert person is not None
    stranger = person.actor("192.0.2.8")
    assert (stranger.permissions, stranger.scope.accounts, stranger.scope.departments) == (ALL, (), (department,))
    changed = []
    for name in sorted(CHANGING):
        call, _ = await EXAMPLES[name].prepare(world, name)
        with suppress(SmsgwError):
            await call(world.by(stranger))
            changed.append(name)
    allowed = OF_NO_ACCOUNT + FOR_ONESELF + OF_WHAT_WAS_FOUND
    print(f"{len(CHANGING)} functions of services called by a stranger")
    foreign = [name for name in changed if not name.startswith(allowed)]
    assert foreign == [], foreign
    assert [start for start in allowed if not any(name.startswith(start) for name in CHANGING)] == [], "no function"


@pytest.mark.parametrize("scope", [NOTHING, Scope((1 << 50,)), Scope(None, None, "li")])
@pytest.mark.parametrize(
    "name",
    ["audience.service.add_audience", "keys.service.edit", "partners.service.kick", "partners.service.remove",
     "routing.service.move"],
)  # fmt: skip
async def test_what_is_out_of_scope_is_not_found(world: World, name: str, scope: Scope) -> None:
    call, _ = await EXAMPLES[name].prepare(world, name)
    with pytest.raises(SmsgwError) as refused:
        await call(world.by(replace(world.able, scope=scope)))
    assert refused.value.code == "NOT_FOUND"


async def test_what_is_of_an_account_out_of_scope_is_not_listed(world: World) -> None:
    await made("keys.service.add")(world)
    assert await key_queries.keys(world.database, accounts=(1 << 50,)) == []
    name = await login(world)
    assert await partner_queries.partners(world.database, [1 << 50]) == []
    assert name in [line["user"] for line in await partner_queries.partners(world.database, [world.account_id])]


async def test_what_holds_for_everybody_is_not_for_those_who_see_one_account(world: World) -> None:
    own = Actor(ActorKind.PERSON, "own", 4, ALL, Scope((world.account_id,)))
    await policies.put(world.by(own), "frequency", "off", account_id=world.account_id)
    with pytest.raises(SmsgwError) as refused:
        await policies.put(world.by(own), "frequency", "off")
    assert refused.value.code == "NOT_FOUND"


async def test_a_change_tells_the_customer_with_it(world: World) -> None:
    async with world.change.unit(Permission.SIGN_DECIDE, world.account_id) as unit:
        unit.record("sign.approved", "sign/1")
        unit.tell(world.account_id, "sign.reviewed", {"sign": "测试"})
    events = await world.database.fetch(
        "SELECT kind FROM customer_event WHERE account_id = $1 AND detail->>'sign' = '测试'", world.account_id
    )
    assert [row["kind"] for row in events] == ["sign.reviewed"]


# --- what the rules of single services are ---------------------------------------------------------------------------


async def test_who_sees_one_account_makes_others_below_it_only(world: World) -> None:
    mine = world.by(Actor(ActorKind.PERSON, "mine", 4, ALL, Scope((world.account_id,))))
    foreign = world.name()
    await accounts.add(world.change, foreign)
    below = await accounts.add(mine, world.name(), parent="own")
    for parent in ({}, {"parent": ""}, {"parent": foreign}):
        with pytest.raises(SmsgwError) as refused:
            await accounts.add(mine, world.name(), **parent)
        assert (refused.value.code, refused.value.detail["field"]) == ("PARAM_INVALID", "parent")
    with pytest.raises(SmsgwError) as refused:
        await accounts.edit(mine, below, {"rate": 1})  # its scope is what it was when it was made
    assert refused.value.code == "NOT_FOUND"
    assert [a.account.name for a in await account_queries.accounts(world.database, (world.account_id,))] == ["own"]


async def test_what_an_account_costs_takes_a_permission_of_its_own(world: World) -> None:
    clerk = world.by(Actor(ActorKind.PERSON, "clerk", 5, frozenset({Permission.ACCOUNT_EDIT}), EVERYTHING))
    await accounts.edit(clerk, world.account_id, {"rate": 101})
    with pytest.raises(SmsgwError) as refused:
        await accounts.edit(clerk, world.account_id, {"credit_floor": -5})
    assert refused.value.detail["permission"] == Permission.BALANCE_EDIT


async def test_a_key_of_which_nothing_is_changed_stays_as_it_is(world: World) -> None:
    made = await keys.add(world.change, world.sealer, world.account_id)
    logged = await world.entries()
    await keys.edit(world.change, made.key_id, {})
    assert await world.entries() == logged


async def test_who_may_not_read_what_phones_send_does_not_have_it_pushed(world: World) -> None:
    clerk = world.by(Actor(ActorKind.PERSON, "clerk", 5, frozenset({Permission.WEBHOOK_EDIT}), EVERYTHING))
    for events in ((), ("message.mo",)):
        with pytest.raises(SmsgwError) as refused:
            await webhooks.put(
                clerk, world.sealer, world.account_id, Wanted("main", "http://example.com/", events), REACH
            )
        assert (refused.value.code, refused.value.detail["scope"]) == ("SCOPE_DENIED", "mo")


async def test_passwords_of_channels_are_not_shown(world: World) -> None:
    (shown,) = await channel_queries.channels(world.database, await channel(world))
    assert shown.profile == {"peer_password": "***"}
    assert "secret" not in repr(shown)


async def test_numbers_are_everybodys_and_not_of_who_sees_a_part(world: World) -> None:
    part = world.by(Actor(ActorKind.PERSON, "part", 3, ALL, Scope((world.account_id,))))
    await prefixes.put(world.change, "1709996", "CMCC")
    with pytest.raises(Refused) as put:
        await prefixes.put(part, "1709996", "CUCC")
    with pytest.raises(Refused) as removed:
        await routing.remove_override(part, "1709996")
    assert put.value.code == removed.value.code == "PERMISSION_DENIED"


# --- what examples are made of ---------------------------------------------------------------------------------------


def own(world: World) -> int:
    """The account."""
    return world.account_id


def sealer(world: World) -> Sealer:
    return world.sealer


def now(_: World) -> datetime:
    return clock.now()


def hours(n: int) -> Callable[[World], datetime]:
    """In so many."""
    return lambda _: clock.now() + timedelta(hours=n)


def month(_: World) -> date:
    """This one."""
    return datetime.now(CHINA).date().replace(day=1)


def number(world: World) -> str:
    """Nobody's yet."""
    return f"8613{world.ids() % 10**9:09}"


def mail(world: World) -> str:
    return f"{world.name()}@b.example"


def host(world: World) -> str:
    return f"{world.name()}.example.com"


def key(world: World) -> str:
    """Of a draft."""
    return f"key-of-{world.name():>16}"


def place(type_: str) -> Callable[[World], Place]:
    """The account's messages of a type."""
    return lambda world: Place(world.account_id, type_)


async def a_message(world: World, state: PartState = PartState.QUEUED) -> int:
    """A message of the account; its id."""
    now = datetime.now(UTC)
    id_ = IdSource(1, clock.ms).next()
    message = message_row(id=id_, account_id=world.account_id, number=STORED)
    part = part_row(
        id=id_, account_id=world.account_id, state=int(state), next_at=now, expires_at=now + timedelta(days=1),
        accepted_at=now,
    )  # fmt: skip
    call = NewCall(world.account_id, id_, [message], [part], 0, (), b"")
    async with world.database.transaction() as connection:
        (stored,) = await commit_calls(connection, [call], False, node=1)
    assert isinstance(stored, Stored), stored
    return id_


def unknown_message(world: World) -> Awaitable[int]:
    return a_message(world, PartState.UNKNOWN)


async def restored_message(world: World) -> None:
    """Nobody knows whether it was sent."""
    id_ = await unknown_message(world)
    await world.database.execute("UPDATE part SET code = 'RESTORED_QUEUED', next_at = NULL WHERE id = $1", id_)


@dataclass
class Outcomes:
    """Their writer: sweeps alone."""

    database: Database

    async def sweep(self, wanted: Sweep) -> int:
        async with self.database.transaction() as connection:
            return len(await wanted.run(connection, clock.now()))


def outcomes(world: World) -> Outcomes:
    return Outcomes(world.database)


@dataclass
class Door:
    """It stores nothing but what the gate of a request does."""

    database: Database
    new: int
    """The id of the message."""

    async def send(self, request: SendRequest) -> SendResult:
        assert request.gate is not None
        item = ItemResult(request.items[0].to, str(self.new), "queued", 1)
        gate = request.gate([item])
        async with self.database.transaction() as connection:
            if (shut := await gate.admit(connection)) is not None:
                raise shut
            await gate.mark(connection)
        return SendResult(str(self.new), 1, 0, (item,))


def door(world: World) -> Door:
    return Door(world.database, world.ids())


async def snapshot(world: World) -> Snapshot:
    return Snapshot(tree=Accounts(await load_accounts(world.database)))


async def an_inbound(world: World) -> InboundView:
    """What a phone has sent, and nobody has opened yet."""
    id_, stored = world.ids(), "INSERT INTO inbound_unread (mo_id, account_id) VALUES ($1, $2)"
    await world.database.execute(
        "INSERT INTO mo (id, account_id, channel_id, number, to_code, content, received_at) "
        "VALUES ($1, $2, 1, $3, '10690001', 'x', now())", id_, world.account_id, STORED,
    )  # fmt: skip
    await world.database.execute(stored, id_, world.account_id)
    one = await inbound.one(world.database, world.able, id_)
    assert one
    return one


async def inbound_id(world: World) -> int:
    return (await an_inbound(world)).id


async def blocked(world: World) -> str:
    """A number."""
    one = number(world)
    await lists.block(world.change, [one], BlockScope(world.account_id), "manual", "")
    return one


async def an_opt_out(world: World) -> int:
    one, scope = number(world), BlockScope(world.account_id, "marketing", "")
    await lists.block(world.change, [one], scope, "opt_out", "R")
    return await world.database.fetchval("SELECT version FROM block_list WHERE number = $1", int(one))


GIVEN = consents.Given(consents.Source.WEB, "v1", "file 7", datetime(2026, 1, 1, tzinfo=UTC))


async def a_consent(world: World) -> int:
    one = number(world)
    await consents.give(world.change, world.account_id, [one], GIVEN)
    return await world.database.fetchval("SELECT id FROM consent WHERE number = $1", int(one))


async def word_id(world: World) -> int:
    (word,) = await done_to("words.service.put")(world)
    return await world.database.fetchval("SELECT id FROM word WHERE word = $1", word.word)


async def contact_id(world: World) -> int:
    await audience.put(world.change, world.account_id, [ContactInput(NUMBER)])
    (contact,) = await audience.find(world.database, world.account_id, number=NUMBER)
    return contact.id


def a_contact(world: World) -> EntryDraft:
    return EntryDraft(world.account_id, number(world), "张三")


def a_scenario(world: World) -> Terms:
    return Terms(world.name()[:40], MessageType.NOTICE, windows="08:00-20:00")


def a_phrase(world: World) -> phrases.PhraseDraft:
    return phrases.PhraseDraft(world.name(), "工作日 9 点到 17 点", phrases.PhraseScope.OWN)


async def a_file(world: World, kind: str = "consent_proof") -> StoredFile:
    """Of a picture; each is another."""
    digest = world.ids().to_bytes(32, "big")
    file = StoredFile(
        world.ids(), 1, kind, "x.png", "image/png", 1, digest, world.account_id, world.able.label, clock.now()
    )
    async with world.database.transaction() as connection:
        await file_queries.add(connection, file)
    return file


@dataclass
class Store:
    """Keeps nothing."""

    world: World
    kind: str = "consent_proof"

    def check(self, incoming: Incoming) -> int:
        return incoming.path.stat().st_size

    def drop(self, incoming: Incoming) -> None:
        incoming.path.unlink(missing_ok=True)

    def at_hand(self, _: StoredFile) -> None:
        pass

    async def keep(self, *_: Any) -> StoredFile:
        return await a_file(self.world, self.kind)


def store(world: World) -> Store:
    return Store(world)


def folder(world: World) -> Path:
    """An empty one."""
    made = world.key_file.parent / world.name()
    made.mkdir()
    return made


def a_picture(world: World) -> Incoming:
    path = folder(world) / "x.png"
    Image.new("RGB", (4, 4)).save(path, "PNG")
    return Incoming(1, proofs.kind(world.database), path, world.account_id)


PICTURE = materials.Made(materials.Kind.PICTURE, "image/png", b"", 4, 4, thumbnail=b"x")


async def approved_material(world: World) -> int:
    id_ = await made("materials.service.add")(world)
    await world.database.execute("UPDATE material SET state = 'approved' WHERE id = $1", id_)
    return id_


async def a_sheet(world: World, form: str = importing.NAME) -> Sheet:
    """A table."""
    made = Sheet(world.ids(), 1, form, "a.csv", {}, ("a", "b"), [], 1, world.able.label, clock.now())
    async with world.database.transaction() as connection:
        await sheet_queries.add(connection, made)
    return made


async def a_table(world: World) -> consent_import.Table:
    sheet = await a_sheet(world)
    return consent_import.Table(sheet.id, 1, sheet.name, sheet.form, sheet.columns, sheet.rows)


STAFF = importing.Plan({"login": 0, "name": 1})
EXPORT = Export("audit", Permission.AUDIT_EXPORT, {}, ["at"], Format.CSV, "because", "zh", "示例平台")


async def asked_export(world: World) -> int:
    """Of another, that needs somebody's approval."""
    other = world.by(replace(world.able, name=world.name()))
    return await exports.request(other, EXPORT, node=1, rows=10, approved_up_to=9)


async def an_export(world: World) -> int:
    """Of whoever acts in the examples, with its file."""
    file = await a_file(world, "export")
    params = {"permission": EXPORT.permission.value}
    async with world.database.transaction() as connection:
        id_ = await job_queries.add(connection, NewJob("export", params, world.able.label))
        await connection.execute(
            "UPDATE job SET state = 'done', checkpoint = $2 WHERE id = $1", id_, f'{{"file": {file.id}}}'
        )
    return id_


async def a_job(world: World) -> int:
    wanted = NewJob("statistics.recount", {}, "test", subject=world.name(), account_id=world.account_id)
    async with world.database.transaction() as connection:
        return await job_queries.add(connection, wanted)


async def filtered(world: World, state: str = "done") -> int:
    """A filter of numbers whose job has ended."""
    id_ = await mine("numbers.filters.begin")(world)
    await world.database.execute("UPDATE job SET state = $2 WHERE subject = $1", f"filter/{id_}", state)
    return id_


VENDOR = Vendor("https://example.com", "a", "secret", True, 5)


async def failed_statement(world: World) -> int:
    receiver = mail(world)
    await world.database.execute(
        "INSERT INTO statement_receiver (account_id, emails, language, since, changed_by) "
        "VALUES ($1, ARRAY[$2::text], 'zh', ARRAY[now()], 'x') "
        "ON CONFLICT (account_id) DO UPDATE SET emails = excluded.emails", world.account_id, receiver,
    )  # fmt: skip
    return await world.database.fetchval(
        "INSERT INTO statement_mail (account_id, month, receiver, language, state, next_at) "
        "VALUES ($1, '2026-01-01', $2, 'zh', 'failed', now()) RETURNING id", world.account_id, receiver,
    )  # fmt: skip


async def no_health_mail(world: World) -> None:
    await made("health.service.set_plan")(world)
    await world.database.execute("DELETE FROM health_mail")


async def failed_health_mail(world: World) -> int:
    (receiver,) = await done_to("health.service.set_plan")(world)
    return await world.database.fetchval(
        "INSERT INTO health_mail (first, day, receiver, language, state, next_at) "
        "VALUES ('2026-01-01', '2026-01-01', $1, 'zh', 'failed', now()) RETURNING id",
        receiver,
    )


async def dead_node(world: World) -> int:
    await world.database.execute(
        "INSERT INTO node (number, instance, place, since, seen_at) VALUES (77, 'f', 'old:/data', now(), now()) "
        "ON CONFLICT (number) DO UPDATE SET removed_at = NULL"
    )
    return 77


async def a_bundle(world: World) -> int:
    """The job that has made it."""
    job = await made("diagnostics.service.request")(world)
    await world.database.execute(
        "INSERT INTO file (id, node, kind, name, media_type, size, sha256, submitter, expires_at) "
        "VALUES ($1, 1, 'diagnostics', 'x.zip', 'application/zip', 1, sha256(''), 'x', now() + interval '1 day')",
        job,
    )
    done = "UPDATE job SET state = 'done', ended_at = now(), checkpoint = jsonb_build_object('file', id) WHERE id = $1"
    await world.database.execute(done, job)
    return job


async def lost_backup(world: World) -> int:
    """There is no file of it."""
    return await world.database.fetchval(
        "INSERT INTO backup (file, host, made_by, state, schema_version) "
        "VALUES ('/gone', $1, 'x', 'done', 1) RETURNING id",
        socket.gethostname(),
    )


def a_receiver(world: World) -> Receiver:
    return Receiver(world.name(), Way.MAIL, "ops@buyer.example.org")


async def failed_note(world: World) -> int:
    note = await made("alarms.receivers.test")(world)
    await world.database.execute("UPDATE alarm_note SET state = 'failed' WHERE id = $1", note)
    return note


async def an_alarm(world: World) -> Any:
    """One that stands."""
    object_ = f"channel/{world.name()}"
    async with world.database.transaction() as connection:
        await store_alarms.raise_(connection, "channel_down", object_, "critical", "", now=datetime.now(UTC))
    (standing,) = [a for a in await store_alarms.list_(world.database) if a.object == object_]
    return standing


async def alarm_id(world: World) -> int:
    return (await an_alarm(world)).id


def a_fault(world: World) -> faults.Draft:
    return faults.Draft(world.name(), "critical", clock.now())


def a_report(_: World) -> Report:
    """Of a log that somebody has deleted a row of."""
    report = Report()
    report.add("deleted", 1)
    return report


def new_link(world: World, kind: LinkKind = LinkKind.SHARED, codes: int = 1) -> NewLink:
    return NewLink(world.account_id, "spring", f"https://www.example.cn/{world.name()}", kind, codes=codes)


def three_codes(world: World) -> NewLink:
    return new_link(world, LinkKind.PERSONAL, 3)


def personal_link(world: World) -> Awaitable[ShortLink]:
    return links.make(world.change, world.sealer, three_codes(world), LINK_HOSTS, now=clock.now())


async def asked_link(world: World) -> int:
    """Of somebody who may not pass it."""
    rights = frozenset({Permission.LINK_EDIT})
    clerk = Actor(ActorKind.PERSON, "clerk", 7, rights, Scope((world.account_id,)))
    wanted = new_link(world)
    return (await links.make(world.by(clerk), world.sealer, wanted, LINK_HOSTS, now=clock.now())).id


def sent_links(world: World) -> SentLinks:
    return SentLinks(world.database, world.sealer, LINK_HOSTS)


def account(world: World) -> Account:
    return Account(world.account_id, "own", "active")


PARTS_OF_TASKS = ("acceptor", "outcomes", "files", "ids", "fleet", "hub", "snapshots", "links")


def tasks(world: World) -> Tasks:
    """With no more than what commands about tasks without messages need; what the text and the numbers of a new one
    have to be is another's."""

    class Engine(Tasks):
        async def prepare(self, spec: TaskSpec) -> Prepared:
            plan = TaskPlan(task_id=world.ids(), phone=0, content="你好")
            return Prepared(spec, MessageType.NOTICE, plan, 1, [], [], RowRules(), None)

    return Engine(world.database, **dict.fromkeys(PARTS_OF_TASKS))


def reviewing(world: World) -> Reviewing:
    nothing: Any = None
    return Reviewing(world.database, nothing, nothing, nothing, tasks(world))


def new_task(world: World) -> TaskSpec:
    return TaskSpec(account(world), "通知", "你好", Origin.CLI, world.able.label, to=(NUMBER,))


async def a_task(world: World, state: str = "scheduled", **more: Any) -> int:
    """A task of the account, without rows."""
    now, id_ = datetime.now(UTC), world.ids()
    made = Task(
        id_,
        world.account_id,
        "通知",
        state,
        "cli",
        "li",
        "notice",
        "你好",
        now,
        review_reasons=["x"],
        next_at=now,
        **more,
    )
    async with world.database.transaction() as connection:
        assert await store_tasks.insert(connection, made)
        if state == "review":
            await store_reviews.ask_for_task(connection, id_)
    return id_


def task_to_review(world: World) -> Awaitable[int]:
    return a_task(world, "review")


async def a_review(world: World) -> Any:
    return await review_queries.get(world.database, await task_to_review(world), accounts=None)


async def staged_task(world: World) -> int:
    """One that has sent all of its first stage, of one row."""
    steps = {"shares": [1], "minutes": 1, "failed": 1, "opted_out": 1, "complained": 1}
    id_ = await a_task(world, steps=steps)
    async with world.database.transaction() as connection:
        await store_tasks.change(connection, id_, state="running", run=1, valid=2, fed=1, stages=Stage(1, 0, 1).plain())
    return id_


async def seen_task(world: World) -> Task | None:
    return await store_tasks.get(world.database, await staged_task(world), accounts=None)


async def inbox(world: World) -> list[int]:
    """What is new in the inbox of whoever acts in the examples."""
    await made("notices.service.publish")(world)
    rows = await world.database.fetch("SELECT id FROM inbox WHERE staff_id = $1", owner(world.able))
    return [row["id"] for row in rows]


def a_day(world: World) -> date:
    """After those before."""
    return date(2026, 1, 1) + timedelta(days=int(world.name()[1:]))


def trying(_: World) -> Trying:
    async def lend(_: object) -> None:
        pass

    return Trying(lend, lambda: CallDoor("http://127.0.0.1:1"), tuple)


async def no_wish(world: World) -> None:
    """For other ages of what is kept."""
    if (waits := await retention_queries.waiting(world.database)) is not None:
        await retention.decide(world.change, waits.id, passes=False, answer="重新提出")


async def a_wish(world: World) -> int:
    waits = await retention_queries.waiting(world.database)
    return waits.id if waits else await made("retention.service.ask")(world)


def surveyor(world: World) -> Surveyor:
    async def create(*_: Any) -> tuple[Any, bool]:
        return SimpleNamespace(id=world.ids(), total=1), False

    nothing: Any = None
    seen = SimpleNamespace(account=lambda id_: SimpleNamespace(id=id_, name="own"), kinds={})
    engine: Any = SimpleNamespace(create=create)
    held: Any = SimpleNamespace(current=seen)
    return Surveyor(world.database, engine, nothing, held, nothing, nothing)


def whole_draft(world: World) -> drafts.State:
    return drafts.State(account=str(world.account_id), subject="提醒", content="您好", to=NUMBER)


async def a_person(world: World, *roles: str) -> str:
    """Somebody new, by the login."""
    login = world.name()
    await org.add_person(world.change, login, login, roles, "x")
    return login


def an_engineer(world: World) -> Awaitable[str]:
    return a_person(world, "ops")


async def a_session(world: World) -> int:
    """Of whoever acts in the examples."""
    able = await queries.person(world.database, "able")
    assert able is not None
    _, hashed = await queries.person_to_check(world.database, "able") or (None, "")
    assert await sessions.open_session(world.database, able, hashed, world.name().encode(), "c", None)
    return (await queries.sessions(world.database, "able"))[0].id


async def former_password(world: World) -> str:
    _, former = await queries.person_to_check(world.database, world.able.name) or (None, "")
    return former


async def more_sessions(world: World) -> dict[str, int]:
    return {"sessions": (await login_queries.policy(world.database)).sessions % 100 + 1}


async def without_app(world: World) -> None:
    await world.database.execute("DELETE FROM staff_totp")


async def app_code(world: World) -> str:
    """What the app shows that the person has just begun to bind."""
    await without_app(world)
    secret = await factors.begin_totp(world.by(world.able), world.sealer)
    return totp.code_at(base64.b32decode(secret), int(clock.time()) // totp.STEP)


async def sms_code(world: World) -> str:
    """What was sent to the person's phone."""
    await org.set_contact(world.by(world.able), {"phone": NUMBER})
    await world.database.execute("DELETE FROM staff_sms_code")
    _, sent = await factors.new_sms_code(world.database, world.sealer, world.able.id, "phone")
    return sent


REACH = Reach(http=True)


async def a_webhook(world: World) -> str:
    """An endpoint that names no type that another one of the account has."""
    wanted = Wanted("callback", hosts=("example.com",))
    await webhooks.put(world.change, world.sealer, world.account_id, wanted, REACH)
    return "callback"


async def told_customer(world: World) -> int:
    """An account with an event that waits."""
    owner = await made("accounts.service.add")(world)
    async with world.change.unit(Permission.SIGN_DECIDE, owner) as unit:
        unit.record("sign.approved", "sign/1")
        unit.tell(owner, "sign.reviewed", {"sign": "测试"})
    return owner


def login(world: World) -> Awaitable[str]:
    """Of a partner."""
    return done_to("partners.service.add", 3)(world)


CHANNEL = {
    "protocol": "smpp34", "host": "127.0.0.1", "port": 2775, "username": "u", "password": "secret",
    "access_code": "1069", "profile": {"peer_password": "other"},
}  # fmt: skip


def channel(world: World) -> Awaitable[str]:
    """A new one, by its name."""
    return done_to("channels.service.add", 1)(world)


def channel_id(world: World) -> Awaitable[int]:
    return made("channels.service.add")(world)


async def changed_channel(world: World) -> int:
    """One with two versions."""
    name = await done_to("channels.service.edit", 1)(world)
    return await channel_queries.id_of(world.database, name)


async def without_second(world: World, name: str) -> None:
    """Turned off, by two."""
    for change in (world.change, world.by(Actor.system("second"))):
        await settings.put(change, name, 0)


async def proposed_channel(world: World) -> int:
    """One whose second version waits."""
    name = await channel(world)
    await settings.put(world.change, "channel_approval", 1)
    await channels.edit(world.change, world.sealer, name, {"rate": 7})
    await without_second(world, "channel_approval")
    return await channel_queries.id_of(world.database, name)


async def stopped_account(world: World) -> int:
    id_ = await made("accounts.service.add")(world)
    await accounts.set_status(world.change, id_, "stopped")
    return id_


class Running:
    """A channel that runs, as those who ask it see it."""

    def channel(self, name: str) -> Running:
        return self

    async def probe(self, name: str, to: str) -> tuple[int, int]:
        return 1, 2

    async def record(self, *, seconds: float, max_bytes: int) -> AsyncGenerator[bytes, None]:
        yield b""

    async def check(self, spec: object, *, login: bool, tell: object) -> None: ...


async def no_load_test(world: World) -> None:
    await world.database.execute("UPDATE job SET state = 'cancelled' WHERE kind = 'load_test'")


TABLE: dict[str, list[Any]] = {"pool": [], "rule": []}
CELL = (Fault.NETWORK, MessageType.OTP)


def with_rule(document: route_drafts.Document) -> route_drafts.Document:
    return {**document, "rule": [{"name": "other", "pool": "CMCC"}]}


async def no_route_draft(world: World) -> None:
    await route_drafts.discard(world.by(world.able))


async def route_draft(world: World) -> int:
    """As good as new; its revision."""
    await no_route_draft(world)
    await routing.publish(world.change, TABLE, "")
    await route_drafts.begin(world.by(world.able))
    return 1


async def changed_route_draft(world: World) -> int:
    await route_drafts.edit(world.by(world.able), await route_draft(world), with_rule)
    return 2


async def outdated_route_draft(world: World) -> int:
    revision = await route_draft(world)
    await routing.publish(world.change, TABLE, "")
    return revision


async def submitted_routes(world: World) -> int:
    """A table that waits."""
    waits = await world.database.fetchval("SELECT id FROM route_submission WHERE state = 'waiting'")
    if waits:
        await approvals.reject(world.change, waits, "")
    await settings.put(world.change, "route_approval", 1)
    made = await routing.publish(world.change, TABLE, "")
    await without_second(world, "route_approval")
    return made.waits


async def sealed_before(world: World) -> None:
    """Something with a key that is not the newest."""
    await keys.add(world.change, world.sealer, world.account_id)
    await made("key_file.service.rotate")(world)


async def one_word(world: World) -> str:
    (word,) = await done_to("words.service.put")(world)
    return word.word


# --- the examples ----------------------------------------------------------------------------------------------------

# What others of the examples make, and are done to.
a_sign = made("content.service.add_sign")
a_template = made("content.service.add_template")
a_group = mine("audience.book.add_group")
an_entry = mine("audience.book.add")
an_audience = made("audience.service.add_audience", "id")
a_draft = mine("drafts.service.begin", "id")
a_brand = made("brand.service.add")
a_link = made("links.service.make", "id")
a_ticket = made("tickets.service.open_")
a_standing_fault = made("faults.service.open_")
a_department = made("org.service.add_department")
a_role = done_to("org.service.add_role")
a_receiver_id = made("alarms.receivers.add")
a_kind = done_to("kinds.service.add")
a_key = made("keys.service.add", "key_id")
a_material = made("materials.service.add")
a_filing = made("url_filings.service.file", "id")
a_running_scenario = made("scenarios.service.add")

QUEUE_OLD = "SELECT id FROM alarm_rule WHERE kind = 'queue_old' AND object = ''"
EXAMPLES = {
    "accounts.rebate_rules.add": Example(
        "rebate.rule", own, lambda world: rebate_rules.Draft(month(world), 5, 0, "agreed")
    ),
    "accounts.service.add": Example("account.add", World.name, parent="own"),
    "accounts.service.edit": Example("account.set", own, {"rate": 100}),
    "accounts.service.move_extension": Example("access_code.move", own, "", lambda world: str(world.ids() % 10**12)),
    "accounts.service.set_status": Example("account.start", own, "active"),
    "accounts.service.top_up": Example("account.topup", own, 100, ""),
    "accounts.training.switch": Example("account.training", stopped_account, on=True, reason="a drill"),
    "alarms.notes.again": Example("alarm.again", failed_note),
    "alarms.receivers.add": Example("alarm_receiver.add", sealer, a_receiver, Reach()),
    "alarms.receivers.put": Example(
        "alarm_receiver.set", sealer, a_receiver_id,
        lambda world: Receiver(world.name(), Way.MAIL, None), Reach(),
    ),
    "alarms.receivers.remove": Example("alarm_receiver.remove", a_receiver_id),
    "alarms.receivers.switch": Example("alarm_receiver.stop", a_receiver_id, active=False),
    "alarms.receivers.test": Example("alarm_receiver.test", a_receiver_id),
    "alarms.rules.except_": Example("alarm_rule.set", "queue_old", "lane/otp", AlarmRule(True, "critical", 5)),
    "alarms.rules.put": Example(
        "alarm_rule.set", lambda world: world.database.fetchval(QUEUE_OLD),
        AlarmRule(True, "critical", 5, {"threshold": 60}),
    ),
    "alarms.rules.reset": Example("alarm_rule.set", done_to("alarms.rules.put")),
    "alarms.service.acknowledge": Example("alarm.ack", [alarm_id]),
    "alarms.silences.add": Example("alarm_silence.add", "channel_down", "", hours(1), "planned work"),
    "alarms.silences.end": Example("alarm_silence.end", made("alarms.silences.add")),
    "audience.book.add": Example("contact.put", a_contact),
    "audience.book.add_group": Example("audience.add", own, World.name, Sharing()),
    "audience.book.collect": Example("audience.members", a_group, [STORED]),
    "audience.book.merge": Example("contact.merge", an_entry, an_entry),
    "audience.book.move_group": Example("audience.move", a_group, a_group),
    "audience.book.put": Example("contact.put", an_entry, a_contact),
    "audience.book.put_group": Example("audience.set", a_group, World.name, Sharing(), with_members=True),
    "audience.book.remove": Example("contact.remove", an_entry),
    "audience.book.remove_group": Example("audience.remove", a_group),
    "audience.book.share": Example("contact.put", an_entry, Sharing()),
    "audience.importing.begin": Example(
        "contact.import", a_sheet, lambda world: contact_import.Plan({"number": 0, "name": 1}, world.account_id)
    ),
    "audience.saved.add": Example("audience.add", own, World.name, Segment(SegmentKind.CLICKED), Sharing()),
    "audience.saved.put": Example(
        "audience.set", mine("audience.saved.add"), World.name, Segment(SegmentKind.REPLIED, 30), Sharing()
    ),
    "audience.saved.remove": Example("audience.remove", mine("audience.saved.add")),
    "audience.service.add_audience": Example("audience.add", own, World.name),
    "audience.service.change_members": Example(
        "audience.members", own, an_audience, add=[NUMBER], take=[], before=contact_id
    ),
    "audience.service.put": Example("contact.put", own, [ContactInput(NUMBER, "张三")]),
    "audience.service.remove": Example("contact.remove", own, contact_id),
    "audience.service.remove_audience": Example("audience.remove", own, an_audience),
    "audit.service.accept": Example("audit.accept", a_report, "restored"),
    "audit.verification.begin": Example("audit.verify", node=lambda world: world.ids() % 1000),
    "backups.service.make": Example(
        "backup.begin backup.end", lambda world: owner_of(world.database.dsn), folder, 0, lambda _: print
    ),
    "backups.service.rehearse": Example("backup.rehearse", lost_backup, folder),
    "brand.service.add": Example("brand.add", [host]),
    "brand.service.discard": Example("brand.discard", a_brand),
    "brand.service.draft": Example("brand.draft", a_brand, {"name": "City"}),
    "brand.service.publish": Example("brand.publish", a_brand),
    "brand.service.put_certificate": Example("brand.certificate", a_brand, *certified("a.example"), sealer),
    "brand.service.put_picture": Example(
        "brand.picture", b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="3" height="2"/></svg>'
    ),
    "brand.service.remove": Example("brand.remove", a_brand),
    "brand.service.remove_certificate": Example("brand.certificate", done_to("brand.service.put_certificate")),
    "brand.service.set_hosts": Example("brand.hosts", a_brand, [host]),
    "calls.trying.Trying.key": Example(
        "call.try", own, Operation("GET", "/balance", "balance", "余额", "Balance"), "/api/v1/balance", instance=trying
    ),
    "campaigns.service.Tasks.cancel": Example("task.cancel", a_task, instance=tasks),
    "campaigns.service.Tasks.create": Example("task.add", new_task, instance=tasks),
    "campaigns.service.Tasks.edit": Example("task.change", a_task, {"rate": 7}, instance=tasks),
    "campaigns.service.Tasks.halt": Example(
        "task.halt", seen_task, Stage(1, 0, 1, halted="failed").plain(), {"what": "failed"}, instance=tasks
    ),
    "campaigns.service.Tasks.pause": Example("task.pause", a_task, instance=tasks),
    "campaigns.service.Tasks.release": Example("task.release", staged_task, instance=tasks),
    "campaigns.service.Tasks.resume": Example("task.resume", done_to("campaigns.service.Tasks.pause"), instance=tasks),
    "channels.checks.begin": Example("channel.check", Running(), sealer, channel_id),
    "channels.checks.enter": Example("channel.check", sealer, channel_id),
    "channels.recordings.begin": Example("channel.record_submits", channel_id, hours=1, reason="a complaint"),
    "channels.recordings.end": Example("channel.record_submits_end", done_to("channels.recordings.begin")),
    "channels.service.add": Example("channel.add", sealer, World.name, CHANNEL),
    "channels.service.edit": Example("channel.set", sealer, channel, {"rate": 7}),
    "channels.service.move_access_code": Example("access_code.move", channel, "1070"),
    "channels.service.probe": Example("channel.probe", Running(), "a", NUMBER),
    "channels.service.remove": Example("channel.remove", channel),
    "channels.service.retry_facts": Example("fact.retry", None),
    "channels.service.roll_back": Example("channel.rollback", changed_channel, 1),
    "channels.service.set_spelling": Example("report.spelling", channel_id, Spelling.HEX_DEC),
    "channels.unmatched.begin": Example("report.rematch", channel, MatchRule.SAME),
    "channels.versions.approve": Example("channel.approve", proposed_channel, 2),
    "channels.versions.reject": Example("channel.reject", proposed_channel, 2, "no"),
    "channels.watching.Watches.begin": Example("channel.record", Running(), 1, "a", instance=lambda _: Watches()),
    "content.service.add_sign": Example("sign.add", own, lambda world: f"签名{world.name()}"),
    "content.service.add_template": Example("template.add", own, World.name, "notice", "你好{name}", {}),
    "content.service.register": Example("sign.register", SIGN, a_sign, ["CMCC"], Answer(Registration.REGISTERED)),
    "content.service.renew": Example("sign.renew", a_sign, hours(720)),
    "content.service.review": Example("template.approved", TEMPLATE, a_template, Review.APPROVED),
    "content.service.set_template": Example(
        "template.set", a_template, World.name, "notice", "您好{name}", {}, sign=""
    ),
    "content.service.stop": Example("template.stop", TEMPLATE, a_template, stopped=True),
    "diagnostics.service.fetch": Example("diagnostics.fetch", store, a_bundle),
    "diagnostics.service.take": Example("diagnostics.take", lambda world: Bundles(world.database, Config(), 1)),
    "drafts.service.add": Example("draft.add", own, drafts.State(subject="n")),
    "drafts.service.begin": Example("draft.add", key, drafts.Kind.SAME, whole_draft, ()),
    "drafts.service.copy": Example("draft.add", a_draft),
    "drafts.service.put": Example("draft.set", a_draft, drafts.State(subject="另一个"), {"subject"}, step="content"),
    "drafts.service.remove": Example("draft.remove", a_draft),
    "drafts.service.sent": Example("draft.remove", a_draft, 1, 1),
    "drafts.surveyor.Surveyor.submit": Example("draft.remove", a_draft, instance=surveyor),
    "duty.contacts.add": Example("support_contact.add", SupportContact("hotline", "line", "12345")),
    "duty.contacts.put": Example(
        "support_contact.set", made("duty.contacts.add"), SupportContact("hotline", "line", "12345")
    ),
    "duty.contacts.remove": Example("support_contact.remove", made("duty.contacts.add")),
    "evidence.verification.begin": Example("evidence.verify", node=own),
    "evidence.verification.of_message": Example("message.verify", sealer, a_message, now=now, reads=readings),
    "exclusions.service.add": Example(
        "exclusion.add",
        lambda _: Exclusions(
            clock.now().astimezone(CHINA).date() + timedelta(days=1), "tender", {"EMPTY_NUMBER": "handset"},
            {"MK:0010": "network"},
        ),
    ),
    "exports.service.decide": Example("export.approve", asked_export, passes=True),
    "exports.service.fetch": Example("export.fetch", store, mine("exports.service.link"), "session"),
    "exports.service.link": Example("export.link", an_export, "session"),
    "exports.service.request": Example("export.request", EXPORT, node=1),
    "faults.service.close": Example(
        "fault.close", done_to("faults.service.recover"), faults.Findings("carrier", "waited", "")
    ),
    "faults.service.count": Example("fault.count", a_standing_fault, counts=False, reason="planned"),
    "faults.service.note": Example("fault.note", a_standing_fault, "looked at"),
    "faults.service.of_alarm": Example("fault.open", an_alarm),
    "faults.service.open_": Example("fault.open", a_fault),
    "faults.service.recover": Example("fault.recover", a_standing_fault, now),
    "faults.service.respond": Example("fault.respond", a_standing_fault),
    "files.documents.Documents.attach": Example(
        "sign.proof", a_sign, documents.Kind.LICENSE, "", a_file, instance=documents.DOCUMENTS
    ),
    "files.documents.Documents.keep": Example(
        "sign.proof", store, a_sign, documents.Kind.OTHER, "CMCC", a_picture,
        instance=documents.DOCUMENTS,
    ),
    "files.documents.Documents.remove": Example(
        "sign.proof_remove", made("files.documents.Documents.attach"), instance=documents.DOCUMENTS
    ),
    "health.service.again": Example("health_mail.again", failed_health_mail),
    "health.service.ask": Example("health_mail.ask", before=no_health_mail),
    "health.service.set_plan": Example("health_mail.plan", [mail], "zh", 8),
    "jobs.service.cancel": Example("job.cancel", a_job, {}),
    "key_file.service.add": Example("key_file.add", lambda world: world.key_file),
    "key_file.service.reseal": Example("key_file.reseal", sealer, before=sealed_before),
    "key_file.service.rotate": Example("key_file.rotate", lambda world: world.key_file, None),
    "keys.service.add": Example("key.add", sealer, own),
    "keys.service.edit": Example("key.set", a_key, {"status": "stopped"}),
    "keys.service.retire": Example("key.retire", done_to("keys.service.rotate", 1)),
    "keys.service.rotate": Example("key.rotate", sealer, a_key),
    "kinds.service.add": Example("kind.add", World.name, World.name, MessageType.NOTICE),
    "kinds.service.rename": Example("kind.rename", a_kind, "电子账单"),
    "kinds.service.restore": Example("kind.restore", done_to("kinds.service.retire")),
    "kinds.service.retire": Example("kind.retire", a_kind),
    "links.code_files.again": Example("short_link.codes", personal_link, node=1),
    "links.code_files.begin": Example(
        "short_link.make short_link.codes", sealer, three_codes, LINK_HOSTS, now=now, node=1
    ),
    "links.sending.SentLinks.make": Example("short_link.make", new_link, now, instance=sent_links),
    "links.sending.SentLinks.take_for_target": Example(
        "short_link.make", account, three_codes, 2, now, instance=sent_links
    ),
    "links.service.judge_again": Example("short_link.judge", hours(-24), now),
    "links.service.lead": Example("short_link.target", a_link, "https://www.example.cn/summer", LINK_HOSTS),
    "links.service.make": Example("short_link.make", sealer, new_link, LINK_HOSTS, now=now),
    "links.service.make_many": Example("short_link.make", sealer, [new_link], LINK_HOSTS, now=now),
    "links.service.pass_": Example("short_link.pass", asked_link, 1),
    "links.service.reject": Example("short_link.reject", asked_link, 1, "not ours"),
    "links.service.start": Example("short_link.start", done_to("links.service.stop")),
    "links.service.stop": Example("short_link.stop", a_link, reason="complaint"),
    "lists.carrier.ask": Example("lift.ask", number, "CMCC", account_id=own, code="MB:1077", reason="本人要求"),
    "lists.carrier.move": Example("lift.move", made("lists.carrier.ask"), LiftState.SENT, "已发函"),
    "lists.complaints.enter": Example(
        "block.add complaint.add", STORED, sign="", channel="", note="", block_number=True
    ),
    "lists.complaints.step": Example(
        "complaint.step", made("lists.complaints.enter", "id"), ComplaintState.CHECKING, "核实中"
    ),
    "lists.consent_import.begin": Example(
        "consent.import", a_table,
        lambda world: consent_import.Plan(
            world.account_id, {"number": 0}, GIVEN.given_at, consents.Source.WEB, proof="file 7"
        ),
    ),
    "lists.consents.give": Example("consent.give", own, [number], GIVEN),
    "lists.consents.withdraw": Example("consent.withdraw", a_consent, "本人来电"),
    "lists.number_import.begin": Example(
        "block.import", lambda world: a_sheet(world, number_import.BLOCK),
        lambda world: number_import.Plan(number_import.BLOCK, {"number": 0}, world.account_id, "x"),
    ),
    "lists.proofs.attach": Example("consent.proof", a_consent, a_file),
    "lists.proofs.keep": Example("consent.proof", store, a_consent, a_picture),
    "lists.service.allow": Example("allow.add", [STORED], Listed.EXEMPT),
    "lists.service.block": Example(
        "block.add", [number], lambda world: BlockScope(world.account_id, "marketing"), "opt_out", "来电", tell=True
    ),
    "lists.service.disallow": Example("allow.remove", done_to("lists.service.allow"), Listed.EXEMPT),
    "lists.service.unblock": Example("block.remove", blocked, lambda world: BlockScope(world.account_id), reason=""),
    "lists.service.unblock_own": Example("block.remove", own, [blocked], "manual", reason=""),
    "lists.service.unmask_allowed": Example("numbers.unmask"),
    "lists.undoing.ask": Example("undo.ask", an_opt_out, "本人申请", a_file),
    "lists.undoing.decide": Example("undo.decide", made("lists.undoing.ask"), passes=False, answer="凭证不全"),
    "lists.undoing.keep": Example("undo.ask", store, an_opt_out, "本人申请", a_picture),
    "load_tests.service.begin": Example(
        "load_test.begin", loads.Profile(loads.Scenario.STEADY, 10, 10), reason="check", node=999, folder=folder,
        before=no_load_test,
    ),  # no node has that number
    "load_tests.service.stop": Example("load_test.stop", made("load_tests.service.begin")),
    "login.service.emergency_code": Example("factor.emergency", a_person),
    "login.service.set_person": Example("login.person", a_person, Demand(frozenset({Factor.TOTP}))),
    "login.service.set_policy": Example("login.policy", more_sessions),
    "login.service.set_role": Example("login.role", a_role, Demand(frozenset({Factor.TOTP}))),
    "login.service.unlock": Example("staff.unlock", a_person),
    "materials.service.add": Example(
        "material.add", own, materials.Draft("图"), PICTURE, lambda world: a_file(world, "material")
    ),
    "materials.service.decide": Example("material.decide", a_material, passes=True, answer=""),
    "materials.service.keep": Example(
        "material.add", lambda world: Store(world, "material"), own, materials.Draft("图"), a_picture
    ),
    "materials.service.put": Example("material.set", a_material, materials.Draft("另一张图")),
    "materials.service.remove": Example("material.remove", a_material),
    "materials.service.take": Example("material.take", approved_material),
    "messages.inbound_handling.answer": Example("inbound.reply", door, snapshot, an_inbound, "您好"),
    "messages.inbound_handling.assign": Example("inbound.assign", an_inbound, "able"),
    "messages.inbound_handling.done": Example("inbound.done", inbound_id),
    "messages.inbound_handling.reopen": Example("inbound.reopen", done_to("messages.inbound_handling.done")),
    "messages.inbound_handling.seen": Example("inbound.seen", inbound_id),
    "messages.resend.again": Example(
        "message.resend", door, snapshot, lambda world: a_message(world, PartState.EXPIRED)
    ),
    "messages.service.cancel": Example("message.cancel", outcomes, a_message),
    "messages.service.read": Example("message.read", a_message, unmasked=True),
    "messages.service.resolve": Example("message.resolve", outcomes, unknown_message, 0, "delivered"),
    "messages.service.sent": Example("send", "own", batch_id="1", accepted=1, rejected=0),
    "messages.undecided.decide": Example(
        "message.decide", outcomes, AnyFleet(), None, undecided.which(), "unconfirmed", before=restored_message
    ),
    "nodes.service.remove": Example("node.remove", dead_node),
    "notices.service.publish": Example(
        "notice.publish", World.name, "周六停机维护", audience="all", targets=[], until=hours(24)
    ),
    "notices.service.read": Example("inbox.read", inbox),
    "notices.service.read_all": Example("inbox.read", before=inbox),
    "notices.service.withdraw": Example("notice.withdraw", made("notices.service.publish")),
    "numbers.filters.ask": Example("filter.ask", filtered, 1, before=made("numbers.filters.set_vendor")),
    "numbers.filters.begin": Example("filter.begin", World.name, own, [STORED]),
    "numbers.filters.look_again": Example("filter.look", lambda world: filtered(world, "cancelled")),
    "numbers.filters.remove": Example("filter.remove", made("numbers.filters.begin")),
    "numbers.filters.set_vendor": Example("filter.vendor", VENDOR, sealer),
    "numbers.service.forget": Example("number_status.remove", done_to("numbers.service.learn")),
    "numbers.service.learn": Example("number_status.import", {STORED: NumberState.EMPTY}, now),
    "numbers.service.unmask": Example("numbers.unmask", 90),
    "org.factors.add_passkey": Example("factor.add", lambda world: world.name().encode(), b"key", 0, "笔记本"),
    "org.factors.begin_totp": Example("factor.begin", sealer, before=without_app),
    "org.factors.confirm_totp": Example("factor.add", sealer, app_code),
    "org.factors.make_recovery_codes": Example("factor.add"),
    "org.factors.remove_passkey": Example("factor.remove", done_to("org.factors.add_passkey", mine=True)),
    "org.factors.remove_totp": Example("factor.remove", before=app_code),
    "org.factors.reset_factors": Example("factor.reset", a_person),
    "org.factors.verify_phone": Example("factor.add", sealer, sms_code),
    "org.importing.begin": Example("staff.import", a_sheet, STAFF, sealer),
    "org.importing.first_passwords": Example("staff.import_passwords", mine("org.importing.begin"), sealer),
    "org.service.add_department": Example("department.add", World.name),
    "org.service.add_person": Example("staff.add", World.name, "", ["operator"], "x"),
    "org.service.add_role": Example("role.add", World.name, "角色", {Permission.HOME_VIEW}, ScopeKind.OWN),
    "org.service.change_password": Example("password.change", World.name, former=former_password),
    "org.service.copy_role": Example("role.copy", "operator", World.name, "操作员(副本)"),
    "org.service.end_other_sessions": Example("session.end", a_session),
    "org.service.end_session": Example("session.end", a_session),
    "org.service.end_sessions_of": Example("session.end", a_person),
    "org.service.grant": Example("staff.grant", a_person, ["operator", "reviewer"]),
    "org.service.move_department": Example("department.move", a_department, a_department),
    "org.service.place_account": Example("account.department", own, a_department),
    "org.service.remove_department": Example("department.remove", a_department),
    "org.service.remove_person": Example("staff.remove", a_person),
    "org.service.remove_role": Example("role.remove", a_role),
    "org.service.reset_password": Example("staff.reset", a_person, "y"),
    "org.service.set_contact": Example("staff.contact", {"email": "able@example.com", "phone": NUMBER}),
    "org.service.set_department": Example(
        "department.set", a_department, name=World.name, manager=a_person, month_quota=1000
    ),
    "org.service.set_password_policy": Example("password.policy", history=5, days=90),
    "org.service.set_permissions": Example(
        "staff.permissions", a_person, allowed=[Permission.MESSAGE_EXPORT], withheld=[]
    ),
    "org.service.set_person": Example("staff.set", a_person, {"phone": NUMBER}),
    "org.service.set_role": Example(
        "role.set", a_role, name="角色", scope=ScopeKind.OWN,
        permissions={Permission.HOME_VIEW, Permission.MESSAGE_VIEW},
    ),
    "org.service.start_person": Example("staff.start", a_person),
    "org.service.stop_person": Example("staff.stop", a_person),
    "partners.service.add": Example("partner.add", sealer, own, "smpp", World.name, "secret12", {}),
    "partners.service.edit": Example("partner.set", sealer, login, None, {"rate": 7}, password="other"),
    "partners.service.kick": Example("partner.kick", login, None),
    "partners.service.remove": Example("partner.remove", login, "smpp"),
    "phrases.add": Example("phrase.add", a_phrase),
    "phrases.put": Example("phrase.set", mine("phrases.add"), a_phrase),
    "phrases.remove": Example("phrase.remove", mine("phrases.add")),
    "policies.frequency.put": Example("policy.set", place("otp"), {"frequency": "1/1d"}, seen="{}"),
    "policies.gates.put": Example("policy.set", place("otp"), {"sign_policy": "registered"}, seen="{}"),
    "policies.service.clear": Example("policy.clear", "frequency", account_id=own, before=made("policies.service.put")),
    "policies.service.put": Example("policy.set", "frequency", "off", account_id=own),
    "policies.service.relax": Example("policy.set " * len(RELAXED)),
    "policies.service.replace": Example(
        "policy.set", lambda world: Where(world.account_id, "notice", ("frequency",)), {"frequency": "2/1d"}
    ),
    "preferences.service.remove_view": Example("view.remove", mine("preferences.service.save_view")),
    "preferences.service.save_view": Example("view.save", "audit", World.name, "time=30d"),
    "preferences.service.set_value": Example("preference.set", World.name, {"size": 20}),
    "retention.service.ask": Example("retention.ask", Ages(90, 0, 90), "个人信息保护要求", before=no_wish),
    "retention.service.decide": Example("retention.decide", a_wish, passes=False, answer="期限再议"),
    "review.rules.put": Example("policy.set", place(""), {"review": "all"}, seen=""),
    "review.rules.put_hours": Example("policy.set", place("notice"), "mon-fri 09:00-11:30 14:00-17:00", seen=""),
    "review.service.Reviewing.decide": Example(
        "task.reject", task_to_review, passes=False, reason="内容不妥", instance=reviewing
    ),
    "review.service.unmask": Example("numbers.unmask", a_review),
    "routing.approvals.approve": Example("route.publish route.approve", submitted_routes),
    "routing.approvals.reject": Example("route.reject", submitted_routes, "no"),
    "routing.drafts.begin": Example("route.draft_begin", before=no_route_draft),
    "routing.drafts.catch_up": Example("route.draft", outdated_route_draft, keep=False),
    "routing.drafts.discard": Example("route.draft_discard", before=route_draft),
    "routing.drafts.edit": Example("route.draft", route_draft, lambda _: with_rule),
    "routing.drafts.publish": Example("route.publish", changed_route_draft, ""),
    "routing.following.move_account": Example("route.publish account.route", "own", channel, ""),
    "routing.following.move_channel": Example("route.publish channel.replace", channel, channel, ""),
    "routing.following.restore_account": Example(
        "route.publish account.route", "own", "", before=made("routing.service.move")
    ),
    "routing.prefix_imports.bring_in": Example(
        "number.import", "f.csv", lambda world: {f"17{world.ids() % 10**5:05}": ("CMCC", "")}
    ),
    "routing.prefix_imports.take_back": Example("number.import_undo", made("routing.prefix_imports.bring_in")),
    "routing.prefix_sheets.begin": Example("prefix.import", a_sheet, {"prefix": 0, "carrier": 1}),
    "routing.prefixes.put": Example("number.set", "1380013", "CUCC"),
    "routing.service.move": Example("route.publish", "account", "own", channel, ""),
    "routing.service.publish": Example("route.publish", TABLE, ""),
    "routing.service.remove_code": Example(
        "code.remove", None, Source.REPORT, "XX:9", before=made("routing.service.set_code")
    ),
    "routing.service.remove_override": Example("number.remove", done_to("routing.prefixes.put")),
    "routing.service.reset_rules": Example("retry.reset", *CELL),
    "routing.service.restore": Example("route.publish", "account", "own", "", before=made("routing.service.move")),
    "routing.service.rollback": Example("route.publish", made("routing.service.publish", "version")),
    "routing.service.set_code": Example("code.set", None, Source.REPORT, "XX:9", "NETWORK", Fault.NETWORK),
    "routing.service.set_rule": Example("retry.set", *CELL, Rule(RetryAction.NEVER, 1, 0, 0, 0)),
    "scenarios.service.add": Example("scenario.add", own, a_scenario),
    "scenarios.service.put": Example("scenario.set", a_running_scenario, a_scenario),
    "scenarios.service.start": Example("scenario.start", done_to("scenarios.service.stop")),
    "scenarios.service.stop": Example("scenario.stop", a_running_scenario),
    "settings.service.put": Example("setting.set", "complaint_days", 31),
    "statements.service.again": Example("statement.again", failed_statement),
    "statements.service.set_receivers": Example("statement.receivers", own, ["a@buyer.example.org"], "zh", "合同约定"),
    "statements.service.take": Example("statement.take", own, month, "looking"),
    "statistics.recount.begin": Example("statistics.recount", a_day, a_day),
    "statistics.service.recount": Example("statistics.recount", date(2026, 1, 1)),
    "tickets.service.assign": Example("ticket.assign", a_ticket, an_engineer),
    "tickets.service.close": Example("ticket.close", a_ticket, "mended"),
    "tickets.service.open_": Example("ticket.open", lambda world: Ticket(world.account_id, "slow", "nothing comes")),
    "tickets.service.reopen": Example("ticket.reopen", done_to("tickets.service.close"), "not so"),
    "tickets.service.say": Example("ticket.say", a_ticket, "more"),
    "tickets.service.take": Example("ticket.take", a_ticket),
    "unmasking.service.whole": Example("numbers.unmask", "message", a_message, "check", "", most=1000, now=now),
    "url_filings.service.file": Example("link.file", own, host),
    "url_filings.service.remove": Example("link.remove", a_filing),
    "url_filings.service.set_state": Example("link.set", a_filing, Filing.REGISTERED),
    "walls.service.add": Example("wall.add", "duty room", timedelta(hours=1)),
    "walls.service.end": Example("wall.end", mine("walls.service.add", "id")),
    "walls.service.open_": Example("wall.open", mine("walls.service.add", "code"), None),
    "webhooks.service.delete": Example("webhook.delete", own, a_webhook),
    "webhooks.service.edit_setting": Example("events.set", own, way="pull"),
    "webhooks.service.put": Example(
        "webhook.add", sealer, made("accounts.service.add"), Wanted("main", "http://example.com/"), REACH
    ),
    "webhooks.service.redeliver": Example(
        "events.redeliver", told_customer, state="waiting", since=datetime(2000, 1, 1, tzinfo=UTC), until=hours(24)
    ),
    "webhooks.service.rotate_secret": Example("webhook.rotate", sealer, own, a_webhook, keep_old_hours=1),
    "webhooks.service.set_status": Example("webhook.disable", own, a_webhook, active=False),
    "words.importing.begin": Example(
        "word.import", a_sheet, lambda world: word_import.Plan({"word": 0}, world.account_id)
    ),
    "words.service.edit": Example("word.set", word_id, World.name, "其他", Action.REVIEW, ""),
    "words.service.put": Example("word.put", [lambda world: Word(world.name(), "涉赌", account_id=world.account_id)]),
    "words.service.remove": Example("word.remove", word=one_word),
    "words.service.treat": Example("word.category", "涉赌", Action.REVIEW, ""),
}  # fmt: skip


class ByHand(Example):
    """One that is called in a way of its own."""

    def __init__(self, action: str, call: Callable[[World, Change], Awaitable[Any]]) -> None:
        super().__init__(action)
        self._call = call

    async def prepare(self, world: World, name: str) -> tuple[Callable[[Change], Awaitable[Any]], list[Any]]:
        return lambda change: self._call(world, change), []


def by_hand(name: str, action: str) -> Callable[[Any], Any]:
    def add(call: Callable[[World, Change], Awaitable[Any]]) -> None:
        EXAMPLES[name] = ByHand(action, call)

    return add


@by_hand("backups.restore.settle", "backup.restore")
async def _(world: World, change: Change) -> None:
    dsn = world.database.dsn
    kept = Manifest("x.dump", 1, "", 1, "18.4", 1, {"public.pool": 5}, at=clock.now().isoformat())
    target = restores.Target(dsn, owner_of(dsn), None)
    plan = restores.Plan(Path("/x.dump"), kept)
    async with restores.alone(target) as claim:
        mark = restoring._UNMARK + restoring._MARK.format(token=claim.token, loads=False)  # with us in it
        try:
            await as_owner(dsn, mark)
            await restores.settle(change, plan, claim, world.sealer, 0.0, 0, lost_key=True)
        finally:
            await as_owner(dsn, restoring._UNMARK)


@by_hand("campaigns.service.Tasks.reviewed", "task.pass")
async def _(world: World, change: Change) -> None:
    id_ = await task_to_review(world)
    await tasks(world).reviewed(change, id_, id_, passes=True, reason="")


@by_hand("diagnostics.service.request", "diagnostics.request")
async def _(world: World, change: Change) -> int:
    """Of a node that lives for as long as it is asked."""
    number = 100 + int(world.name()[1:]) % 900
    await world.database.execute(
        "INSERT INTO node (number, instance, place, since, seen_at) VALUES ($1, 'x', 'here', now(), now()) "
        "ON CONFLICT (number) DO NOTHING",
        number,
    )
    await world.database.execute(
        "INSERT INTO lease VALUES ('node/' || $1::int, $1, 1, now() + interval '1 hour') ON CONFLICT DO NOTHING", number
    )
    await world.database.execute("DELETE FROM job WHERE kind = 'diagnostics'")
    try:
        return await diagnostics.request(change, number, "slow")
    finally:
        await world.database.execute("DELETE FROM lease WHERE resource = 'node/' || $1::int", number)


@by_hand("duty.roster.put", "duty.set")
async def _(world: World, change: Change) -> None:
    first = roster.monday(clock.now().date()) + timedelta(days=7)
    await roster.put(change, first, {(first, "day"): await an_engineer(world)})


@by_hand("duty.roster.copy", "duty.set")
async def _(world: World, change: Change) -> None:
    first = roster.monday(clock.now().date()) + timedelta(days=14)
    await roster.put(world.change, first, {(first, "day"): await an_engineer(world)})
    await roster.copy(change, first + timedelta(days=7))


@by_hand("links.sending.SentLinks.take_for_run", "short_link.make")
async def _(world: World, change: Change) -> None:
    link = await personal_link(world)
    async with world.database.transaction() as connection:
        codes = await sent_links(world).take_for_run(change, connection, link.id, 4, clock.now())
    assert (codes.first, codes.link.codes) == (0, 4)


@by_hand("links.service.make_like", "short_link.make")
async def _(world: World, change: Change) -> None:
    link = await personal_link(world)
    async with world.database.transaction() as connection:
        await links.make_like(change, connection, world.sealer, link, 4, clock.now())


@by_hand("login.passkeys.register", "factor.add")
async def _(world: World, change: Change) -> None:
    able = await queries.person(world.database, "able")
    assert able is not None
    here = passkeys.Site("https://sms.example.com")
    options, challenge = await passkeys.registration(world.database, world.sealer, able, here, "smsgw")
    key = SoftPasskey(here.rp_id, here.origin)
    await passkeys.register(change, key.register(options), challenge, here, world.name())


@by_hand("routing.drafts.roll_back", "route.publish")
async def _(world: World, change: Change) -> None:
    version = (await routing.publish(world.change, TABLE, "")).version
    seen = (await routing.publish(world.change, with_rule(TABLE), "")).version
    await route_drafts.roll_back(change, version, seen, "")
