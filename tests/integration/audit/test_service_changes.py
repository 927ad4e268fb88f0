"""Every function that changes something is found, and held to its permission and to its entry in the audit log.

What is found: in all modules of ``smsgw.platform``, each function (and method) whose first parameter is
``change: Change``. Each has an example here; one without fails.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import inspect
import pkgutil
import socket
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast, get_type_hints

import pytest
import pytest_asyncio
from certificates import certified
from changes import by_test
from databases import change as as_owner
from databases import owner as owner_of
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
from smsgw.core.policy import Listed
from smsgw.core.report_ids import Spelling
from smsgw.core.report_match import Rule as MatchRule
from smsgw.core.retention import Ages
from smsgw.core.retry import Fault, How, Rule
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
from smsgw.platform.accounts import queries as account_queries
from smsgw.platform.accounts import rebate_rules, training
from smsgw.platform.accounts import service as accounts
from smsgw.platform.alarms import notes as alarm_notes
from smsgw.platform.alarms import receivers as alarm_receivers
from smsgw.platform.alarms import rules as alarm_rules
from smsgw.platform.alarms import service as alarms
from smsgw.platform.alarms import silences as alarm_silences
from smsgw.platform.alarms.model import Draft as Receiver
from smsgw.platform.audience import book, saved
from smsgw.platform.audience import importing as contact_import
from smsgw.platform.audience import service as audience
from smsgw.platform.audience.model import ContactInput, EntryDraft, Segment, SegmentKind, Sharing
from smsgw.platform.audit import service as auditing
from smsgw.platform.audit import verification
from smsgw.platform.backups import restore as restores
from smsgw.platform.backups import service as backups
from smsgw.platform.brand import service as brands
from smsgw.platform.calls.trying import Door, Trying
from smsgw.platform.campaigns.model import TaskSpec
from smsgw.platform.campaigns.row_rules import RowRules
from smsgw.platform.campaigns.rows import Plan as TaskPlan
from smsgw.platform.campaigns.service import Prepared, Tasks
from smsgw.platform.change import Change, Unrecorded
from smsgw.platform.channels import checks, recordings, unmatched, versions, watching
from smsgw.platform.channels import queries as channel_queries
from smsgw.platform.channels import service as channels
from smsgw.platform.content import proofs as documents
from smsgw.platform.content import service as content
from smsgw.platform.content.model import SIGN, TEMPLATE, Answer
from smsgw.platform.diagnostics import service as diagnostics
from smsgw.platform.diagnostics.bundle import Bundles
from smsgw.platform.drafts import service as drafts
from smsgw.platform.drafts.model import Kind as DraftKind
from smsgw.platform.drafts.model import State
from smsgw.platform.drafts.surveyor import Surveyor
from smsgw.platform.duty import contacts as support
from smsgw.platform.duty import roster
from smsgw.platform.evidence import verification as proving
from smsgw.platform.exclusions import service as exclusions
from smsgw.platform.exclusions.model import Draft as Exclusions
from smsgw.platform.exports import service as exports
from smsgw.platform.exports.model import Export, Format
from smsgw.platform.faults import service as faults
from smsgw.platform.files import queries as file_queries
from smsgw.platform.files.documents import Documents
from smsgw.platform.files.model import Incoming, StoredFile
from smsgw.platform.health import service as health
from smsgw.platform.jobs import queries as job_queries
from smsgw.platform.jobs import service as jobs
from smsgw.platform.jobs.model import NewJob
from smsgw.platform.key_file import service as key_files
from smsgw.platform.keys import queries as key_queries
from smsgw.platform.keys import service as keys
from smsgw.platform.kinds import service as kinds
from smsgw.platform.links import code_files
from smsgw.platform.links import service as links
from smsgw.platform.links.model import LinkKind, NewLink, ShortLink
from smsgw.platform.links.sending import SentLinks
from smsgw.platform.lists import carrier, complaints, consent_import, consents, number_import, proofs, undoing
from smsgw.platform.lists import service as lists
from smsgw.platform.load_tests import service as load_tests
from smsgw.platform.load_tests.model import Profile as LoadProfile
from smsgw.platform.load_tests.model import Scenario as LoadScenario
from smsgw.platform.login import passkeys
from smsgw.platform.login import queries as login_queries
from smsgw.platform.login import service as logins
from smsgw.platform.login.model import Demand, Factor
from smsgw.platform.materials import service as materials
from smsgw.platform.materials.model import Draft as MaterialDraft
from smsgw.platform.materials.model import Kind as MaterialKind
from smsgw.platform.materials.model import Made
from smsgw.platform.messages import care, inbound, resend, undecided
from smsgw.platform.messages import service as messages
from smsgw.platform.messages.inbound import InboundView
from smsgw.platform.nodes import service as nodes
from smsgw.platform.notices import service as notices
from smsgw.platform.numbers import filters
from smsgw.platform.numbers import service as numbers
from smsgw.platform.numbers import vendor as vendors
from smsgw.platform.org import factors, importing, queries, sessions
from smsgw.platform.org import service as org
from smsgw.platform.partners import queries as partner_queries
from smsgw.platform.partners import service as partners
from smsgw.platform.phrases import service as phrases
from smsgw.platform.phrases.model import Draft
from smsgw.platform.phrases.model import Scope as PhraseScope
from smsgw.platform.policies import frequency, gates
from smsgw.platform.policies import service as policies
from smsgw.platform.preferences import service as preferences
from smsgw.platform.preferences.queries import owner
from smsgw.platform.retention import queries as retention_queries
from smsgw.platform.retention import service as retention
from smsgw.platform.review import queries as review_queries
from smsgw.platform.review import rules
from smsgw.platform.review import service as reviews
from smsgw.platform.routing import approvals as route_approvals
from smsgw.platform.routing import drafts as route_drafts
from smsgw.platform.routing import following, prefix_imports, prefix_sheets, prefixes
from smsgw.platform.routing import service as routing
from smsgw.platform.scenarios import service as scenarios
from smsgw.platform.scenarios.model import Terms
from smsgw.platform.settings import service as settings
from smsgw.platform.sheets import queries as sheet_queries
from smsgw.platform.sheets.model import Sheet
from smsgw.platform.statements import service as statements
from smsgw.platform.statistics import recount
from smsgw.platform.statistics import service as statistics
from smsgw.platform.tickets import service as tickets
from smsgw.platform.unmasking import service as unmasking
from smsgw.platform.url_filings import service as url_filings
from smsgw.platform.walls import service as walls
from smsgw.platform.webhooks import service as webhooks
from smsgw.platform.webhooks.model import Wanted
from smsgw.platform.words import importing as word_import
from smsgw.platform.words import service as words
from smsgw.runtime import aio, clock
from smsgw.runtime.config import Config
from smsgw.store.config.accounts import load_accounts
from smsgw.store.engine import restoring, secrets
from smsgw.store.engine.database import Database
from smsgw.store.engine.dumps import Manifest
from smsgw.store.engine.secrets import Sealer
from smsgw.store.messages import reviews as store_reviews
from smsgw.store.messages import tasks as store_tasks
from smsgw.store.messages.accepting import commit_calls
from smsgw.store.messages.calls import NewCall, Stored
from smsgw.store.records import alarms as store_alarms
from smsgw.store.records import audit

pytestmark = pytest.mark.asyncio(loop_scope="module")
NUMBER = "13800138000"
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
        self.change = Change(self.database, Actor.system("test"), ids=self.ids)

    def by(self, actor: Actor) -> Change:
        return Change(self.database, actor, ids=self.ids)

    def name(self) -> str:
        """One that nothing has yet."""
        return f"x{next(self._numbers)}"

    async def entries(self) -> list[tuple[str, str]]:
        rows = await self.database.fetch("SELECT actor, action FROM audit ORDER BY id")
        return [(row["actor"], row["action"]) for row in rows]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One database for all examples."""
    key_file = tmp_path_factory.mktemp("changes") / "key"
    sealer = secrets.load_key(key_file, create=True)
    audit.use(lambda: sealer)
    database = Database(await postgres.make("changes", postgres.template))
    await database.open()
    account_id = await accounts.add(by_test(database), "own")
    await org.add_person(
        Change(database, Actor.system("test")), "able", "", ["super"], "x", must_change=False
    )
    able = await queries.person(database, "able")
    assert able is not None
    yield World(database, account_id, sealer, key_file, count(1 << 40).__next__, able.actor("192.0.2.7"))
    await database.close()
    await postgres.drop("changes")


Example = Callable[[World, Change], Awaitable[Any]]
EXAMPLES: dict[Callable[..., Any], tuple[str, Example]] = {}


def example(function: Callable[..., Any], action: str) -> Callable[[Example], Example]:
    """How a function is called so that it changes something, and what the audit log calls that.

    What has to be there before is prepared with ``world.change``; the function itself is called with ``change``.
    """

    def add(made: Example) -> Example:
        assert function not in EXAMPLES
        EXAMPLES[function] = (action, made)
        return made

    return add


def changing() -> dict[str, Callable[..., Any]]:
    """Every function that takes a change, by its full name."""
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
                found[f"{module.__name__}.{function.__qualname__}"] = function
    return found


CHANGING = changing()


@pytest.mark.parametrize("name", sorted(CHANGING))
async def test_a_change_is_permitted_and_recorded(world: World, name: str) -> None:
    assert CHANGING[name] in EXAMPLES, "no example"
    action, run = EXAMPLES[CHANGING[name]]

    stranger = Actor(ActorKind.PERSON, "stranger", world.able.id, frozenset(), EVERYTHING)
    with pytest.raises(SmsgwError) as refused:
        await run(world, world.by(stranger))
    assert refused.value.code == "PERMISSION_DENIED"
    needed = Permission(refused.value.detail["permission"])
    before = await world.entries()
    assert all(actor != "stranger" for actor, _ in before)

    await run(world, world.by(world.able))
    new = (await world.entries())[len(before) :]
    assert ("able", action) in new, (needed, new)
    rows = await world.database.fetch("SELECT DISTINCT host(ip) AS ip FROM audit WHERE actor = 'able'")
    assert [row["ip"] for row in rows] == ["192.0.2.7"]


async def test_no_example_is_of_another_time() -> None:
    assert set(EXAMPLES) == set(CHANGING.values())


# --- what Change itself promises -------------------------------------------------------------------------------------


async def contacts(world: World) -> int:
    found: int = await world.database.fetchval("SELECT count(*) FROM contact")
    return found


async def insert(unit: Any, account_id: int, number: str) -> None:
    await unit.connection.execute(
        "INSERT INTO contact (account_id, number) VALUES ($1, $2)", account_id, number
    )


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


@pytest.mark.parametrize("scope", [NOTHING, Scope((1 << 50,)), Scope(None, None, "li")])
async def test_what_is_out_of_scope_is_not_found(world: World, scope: Scope) -> None:
    elsewhere = Actor(ActorKind.PERSON, "elsewhere", 3, ALL, scope)
    with pytest.raises(SmsgwError) as refused:
        await audience.add_audience(world.by(elsewhere), world.account_id, world.name())
    assert refused.value.code == "NOT_FOUND"


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


# --- the examples ----------------------------------------------------------------------------------------------------


async def a_message(world: World, state: PartState = PartState.QUEUED) -> int:
    """A message of the account; its id."""
    now = datetime.now(UTC)
    id_ = IdSource(1, clock.ms).next()
    message = (
        id_, id_, world.account_id, "api", "notice", f"86{NUMBER}", "CMCC", "", "你好", "", "ucs2", 1, 1, 1, "", "", "",
        "", False, False, 0, "",
    )  # fmt: skip
    part = (
        id_,
        1,
        1,
        world.account_id,
        1,
        2,
        int(state),
        None,
        now,
        now + timedelta(days=1),
        "",
        "",
        False,
        now,
        None,
    )
    call = NewCall(world.account_id, id_, [message], [part], 0, (), b"")
    async with world.database.transaction() as connection:
        (stored,) = await commit_calls(connection, [call], False, node=1)
    assert isinstance(stored, Stored), stored
    return id_


@example(settings.put, "setting.set")
async def _(world: World, change: Change) -> None:
    await settings.put(change, "complaint_days", 31)


def _drawing(n: int) -> bytes:
    return f'<svg xmlns="http://www.w3.org/2000/svg"><rect width="{n}" height="2"/></svg>'.encode()


async def _brand(world: World) -> int:
    return await brands.add(world.change, [f"{world.name()}.example"])


@example(brands.add, "brand.add")
async def _(world: World, change: Change) -> None:
    await brands.add(change, [f"{world.name()}.example"])


@example(brands.set_hosts, "brand.hosts")
async def _(world: World, change: Change) -> None:
    await brands.set_hosts(change, await _brand(world), [f"{world.name()}.example"])


@example(brands.draft, "brand.draft")
async def _(world: World, change: Change) -> None:
    await brands.draft(change, await _brand(world), {"name": "City"})


@example(brands.publish, "brand.publish")
async def _(world: World, change: Change) -> None:
    await brands.publish(change, await _brand(world))


@example(brands.discard, "brand.discard")
async def _(world: World, change: Change) -> None:
    await brands.discard(change, await _brand(world))


@example(brands.remove, "brand.remove")
async def _(world: World, change: Change) -> None:
    await brands.remove(change, await _brand(world))


@example(brands.put_picture, "brand.picture")
async def _(world: World, change: Change) -> None:
    await brands.put_picture(change, _drawing(3))


@example(brands.put_certificate, "brand.certificate")
async def _(world: World, change: Change) -> None:
    await brands.put_certificate(change, await _brand(world), *certified("a.example"), world.sealer)


@example(brands.remove_certificate, "brand.certificate")
async def _(world: World, change: Change) -> None:
    id_ = await _brand(world)
    await brands.put_certificate(world.change, id_, *certified("a.example"), world.sealer)
    await brands.remove_certificate(change, id_)


@example(policies.put, "policy.set")
async def _(world: World, change: Change) -> None:
    await policies.put(change, "frequency", "off", account_id=world.account_id)


@example(kinds.add, "kind.add")
async def _(_: World, change: Change) -> None:
    await kinds.add(change, "bill", "账单", MessageType.NOTICE)


async def new_kind(world: World) -> str:
    n = await world.change.database.fetchval("SELECT count(*) FROM message_kind")
    await kinds.add(world.change, f"kind{n}", f"类型{n}", MessageType.NOTICE)
    return f"kind{n}"


@example(kinds.rename, "kind.rename")
async def _(world: World, change: Change) -> None:
    await kinds.rename(change, await new_kind(world), "电子账单")


@example(kinds.retire, "kind.retire")
async def _(world: World, change: Change) -> None:
    await kinds.retire(change, await new_kind(world))


@example(kinds.restore, "kind.restore")
async def _(world: World, change: Change) -> None:
    name = await new_kind(world)
    await kinds.retire(world.change, name)
    await kinds.restore(change, name)


@example(frequency.put, "policy.set")
async def _(world: World, change: Change) -> None:
    await frequency.put(change, rules.Place(world.account_id, "otp"), {"frequency": "1/1d"}, seen="{}")


@example(gates.put, "policy.set")
async def _(world: World, change: Change) -> None:
    await gates.put(change, rules.Place(world.account_id, "otp"), {"sign_policy": "registered"}, seen="{}")


@example(policies.replace, "policy.set")
async def _(world: World, change: Change) -> None:
    where = policies.Where(world.account_id, "notice", ("frequency",))
    assert await policies.replace(change, where, {"frequency": "2/1d"}) == 1


@example(policies.clear, "policy.clear")
async def _(world: World, change: Change) -> None:
    await policies.put(world.change, "frequency", "off", account_id=world.account_id, type_="otp")
    assert await policies.clear(change, "frequency", account_id=world.account_id, type_="otp")


@example(rules.put, "policy.set")
async def _(world: World, change: Change) -> None:
    await rules.put(change, rules.Place(world.account_id, ""), {"review": "all"}, seen="")


@example(policies.relax, "policy.set")
async def _(world: World, change: Change) -> None:
    await policies.relax(change)


@example(lists.block, "block.add")
async def _(world: World, change: Change) -> None:
    scope = BlockScope(world.account_id, "marketing", world.name())
    assert await lists.block(change, [f"86{NUMBER}"], scope, "opt_out", "来电", tell=True) == 1


@example(lists.unblock, "block.remove")
async def _(world: World, change: Change) -> None:
    scope = BlockScope(0, "", world.name())
    await lists.block(world.change, [f"86{NUMBER}"], scope, "manual", "")
    assert await lists.unblock(change, f"86{NUMBER}", scope, reason="") == 1


@example(lists.unblock_own, "block.remove")
async def _(world: World, change: Change) -> None:
    await lists.block(world.change, [f"86{NUMBER}"], BlockScope(world.account_id), "manual", "")
    assert await lists.unblock_own(change, world.account_id, [f"86{NUMBER}"], "manual", reason="") == 1


@example(complaints.enter, "complaint.add")
async def _(world: World, change: Change) -> None:
    await complaints.enter(change, f"86{NUMBER}", sign="", channel="", note="", block_number=True)


@example(complaints.step, "complaint.step")
async def _(world: World, change: Change) -> None:
    entered = await complaints.enter(world.change, f"86{NUMBER}")
    await complaints.step(change, entered.id, complaints.State.CHECKING, "核实中")


@example(lists.allow, "allow.add")
async def _(world: World, change: Change) -> None:
    await lists.allow(change, [f"86{NUMBER}"], Listed.EXEMPT)


@example(lists.disallow, "allow.remove")
async def _(world: World, change: Change) -> None:
    await lists.allow(world.change, [f"86{NUMBER}"], Listed.ONLY, account_id=world.account_id)
    assert await lists.disallow(change, [f"86{NUMBER}"], Listed.ONLY, account_id=world.account_id) == 1


@example(lists.unmask_allowed, "numbers.unmask")
async def _(world: World, change: Change) -> None:
    await lists.unmask_allowed(change)


@example(words.put, "word.put")
async def _(world: World, change: Change) -> None:
    assert await words.put(change, [Word(world.name(), "涉赌", account_id=world.account_id)]) == 1


@example(words.edit, "word.set")
async def _(world: World, change: Change) -> None:
    name = world.name()
    await words.put(world.change, [Word(name)])
    id_ = await world.database.fetchval("SELECT id FROM word WHERE word = $1", name)
    await words.edit(change, id_, name, "其他", Action.REVIEW, "")


@example(words.remove, "word.remove")
async def _(world: World, change: Change) -> None:
    word = world.name()
    await words.put(world.change, [Word(word)])
    assert await words.remove(change, word=word) == 1


@example(words.treat, "word.category")
async def _(world: World, change: Change) -> None:
    await words.treat(change, "涉赌", Action.REVIEW, "")


@example(content.add_sign, "sign.add")
async def _(world: World, change: Change) -> None:
    await content.add_sign(change, world.account_id, f"签名{world.name()}")


async def template(world: World, change: Change) -> int:
    return await content.add_template(change, world.account_id, world.name(), "notice", "你好{name}", {})


@example(content.add_template, "template.add")
async def _(world: World, change: Change) -> None:
    await template(world, change)


@example(content.set_template, "template.set")
async def _(world: World, change: Change) -> None:
    id_ = await template(world, world.change)
    await content.set_template(change, id_, world.name(), "notice", "您好{name}", {}, sign="")


@example(content.stop, "template.stop")
async def _(world: World, change: Change) -> None:
    await content.stop(change, TEMPLATE, await template(world, world.change), stopped=True)


@example(content.renew, "sign.renew")
async def _(world: World, change: Change) -> None:
    id_ = await content.add_sign(world.change, world.account_id, f"签名{world.name()}")
    await content.renew(change, id_, clock.now() + timedelta(days=30))


def _sentence(world: World) -> Draft:
    return Draft(world.name(), "工作日 9 点到 17 点", PhraseScope.OWN)


@example(exclusions.add, "exclusion.add")
async def _(world: World, change: Change) -> None:
    tomorrow = datetime.now(CHINA).date() + timedelta(days=1)
    await exclusions.add(change, Exclusions(tomorrow, "tender", {"EMPTY_NUMBER": "handset"}, {"MK:0010": "network"}))


@example(rules.put_hours, "policy.set")
async def _(world: World, change: Change) -> None:
    place = rules.Place(world.account_id, "notice")
    await rules.put_hours(change, place, "mon-fri 09:00-11:30 14:00-17:00", seen="")


@example(rebate_rules.add, "rebate.rule")
async def _(world: World, change: Change) -> None:
    month = datetime.now(CHINA).date().replace(day=1)
    await rebate_rules.add(change, world.account_id, rebate_rules.Draft(month, 5, 0, "agreed"))


@example(statements.set_receivers, "statement.receivers")
async def _(world: World, change: Change) -> None:
    await statements.set_receivers(change, world.account_id, ["a@buyer.example.org"], "zh", "合同约定")


@example(statements.take, "statement.take")
async def _(world: World, change: Change) -> None:
    await statements.take(change, world.account_id, datetime.now(CHINA).date().replace(day=1), "looking")


@example(statements.again, "statement.again")
async def _(world: World, change: Change) -> None:
    receiver = f"{world.name()}@b.example"
    await world.database.execute(
        "INSERT INTO statement_receiver (account_id, emails, language, since, changed_by) "
        "VALUES ($1, ARRAY[$2::text], 'zh', ARRAY[now()], 'x') "
        "ON CONFLICT (account_id) DO UPDATE SET emails = excluded.emails", world.account_id, receiver,
    )  # fmt: skip
    id_ = await world.database.fetchval(
        "INSERT INTO statement_mail (account_id, month, receiver, language, state, next_at) "
        "VALUES ($1, '2026-01-01', $2, 'zh', 'failed', now()) RETURNING id", world.account_id, receiver,
    )  # fmt: skip
    await statements.again(change, id_)


@example(health.set_plan, "health_mail.plan")
async def _(world: World, change: Change) -> None:
    await health.set_plan(change, [f"{world.name()}@b.example"], "zh", 8)


@example(health.ask, "health_mail.ask")
async def _(world: World, change: Change) -> None:
    await health.set_plan(world.change, [f"{world.name()}@b.example"], "zh", 8)
    await world.database.execute("DELETE FROM health_mail")
    await health.ask(change)


@example(health.again, "health_mail.again")
async def _(world: World, change: Change) -> None:
    receiver = f"{world.name()}@b.example"
    await health.set_plan(world.change, [receiver], "zh", 8)
    id_ = await world.database.fetchval(
        "INSERT INTO health_mail (first, day, receiver, language, state, next_at) "
        "VALUES ('2026-01-01', '2026-01-01', $1, 'zh', 'failed', now()) RETURNING id", receiver,
    )  # fmt: skip
    await health.again(change, id_)


async def _requested(world: World, change: Change) -> int:
    """A bundle of a node that lives for as long as it is asked for."""
    number = 100 + int(world.name()[1:]) % 900
    await world.database.execute(
        "INSERT INTO node (number, instance, place, since, seen_at) VALUES ($1, 'x', 'here', now(), now()) "
        "ON CONFLICT (number) DO NOTHING", number,
    )  # fmt: skip
    await world.database.execute(
        "INSERT INTO lease VALUES ('node/' || $1::int, $1, 1, now() + interval '1 hour') ON CONFLICT DO NOTHING", number
    )
    await world.database.execute("DELETE FROM job WHERE kind = 'diagnostics'")
    try:
        return await diagnostics.request(change, number, "slow")
    finally:
        await world.database.execute("DELETE FROM lease WHERE resource = 'node/' || $1::int", number)


@example(diagnostics.request, "diagnostics.request")
async def _(world: World, change: Change) -> None:
    await _requested(world, change)


@example(diagnostics.fetch, "diagnostics.fetch")
async def _(world: World, change: Change) -> None:
    job = await _requested(world, world.change)
    await world.database.execute(
        "INSERT INTO file (id, node, kind, name, media_type, size, sha256, submitter, expires_at) "
        "VALUES ($1, 1, 'diagnostics', 'x.zip', 'application/zip', 1, sha256(''), 'x', now() + interval '1 day')", job,
    )  # fmt: skip
    done = "UPDATE job SET state = 'done', ended_at = now(), checkpoint = jsonb_build_object('file', id) WHERE id = $1"
    await world.database.execute(done, job)
    store: Any = Store(world, change)
    await diagnostics.fetch(change, store, job)


@example(backups.make, "backup.end")
async def _(world: World, change: Change) -> None:
    with tempfile.TemporaryDirectory() as folder:
        await backups.make(change, owner_of(world.database.dsn), Path(folder), 0, lambda _: None)


@example(backups.rehearse, "backup.rehearse")
async def _(world: World, change: Change) -> None:
    id_ = await world.database.fetchval(
        "INSERT INTO backup (file, host, made_by, state, schema_version) "
        "VALUES ('/gone', $1, 'x', 'done', 1) RETURNING id",
        socket.gethostname(),
    )
    await backups.rehearse(change, id_, Path("/tmp"))  # noqa: S108 - nothing is restored: there is no file


@example(diagnostics.take, "diagnostics.take")
async def _(world: World, change: Change) -> None:
    await diagnostics.take(change, Bundles(world.database, Config(), 1))


@example(phrases.add, "phrase.add")
async def _(world: World, change: Change) -> None:
    await phrases.add(change, _sentence(world))


@example(phrases.put, "phrase.set")
async def _(world: World, change: Change) -> None:
    id_ = await phrases.add(world.by(world.able), _sentence(world))
    await phrases.put(change, id_, _sentence(world))


@example(phrases.remove, "phrase.remove")
async def _(world: World, change: Change) -> None:
    await phrases.remove(change, await phrases.add(world.by(world.able), _sentence(world)))


def _sending() -> State:
    return State(subject="提醒", account="1", content="您好")


async def a_draft(world: World) -> int:
    return (await drafts.begin(world.by(world.able), f"key-of-{world.name():>16}", DraftKind.SAME, _sending(), ())).id


@example(drafts.begin, "draft.add")
async def _(world: World, change: Change) -> None:
    await drafts.begin(change, f"key-of-{world.name():>16}", DraftKind.SAME, _sending(), ())


@example(drafts.put, "draft.set")
async def _(world: World, change: Change) -> None:
    await drafts.put(change, await a_draft(world), State(subject="另一个"), {"subject"}, step="content")


@example(drafts.copy, "draft.add")
async def _(world: World, change: Change) -> None:
    await drafts.copy(change, await a_draft(world))


@example(drafts.remove, "draft.remove")
async def _(world: World, change: Change) -> None:
    await drafts.remove(change, await a_draft(world))


@example(drafts.sent, "draft.remove")
async def _(world: World, change: Change) -> None:
    await drafts.sent(change, await a_draft(world), 1, 1)


@example(content.review, "template.approved")
async def _(world: World, change: Change) -> None:
    id_ = await template(world, world.change)
    assert await content.review(change, TEMPLATE, id_, Review.APPROVED) == world.account_id


@example(content.register, "sign.register")
async def _(world: World, change: Change) -> None:
    id_ = await content.add_sign(world.change, world.account_id, f"签名{world.name()}")
    await content.register(change, SIGN, id_, ["CMCC"], Answer(Registration.REGISTERED))


@example(url_filings.file, "link.file")
async def _(world: World, change: Change) -> None:
    await url_filings.file(change, world.account_id, f"{world.name()}.example.com")


@example(url_filings.set_state, "link.set")
async def _(world: World, change: Change) -> None:
    filed = await url_filings.file(world.change, 0, f"{world.name()}.example.com")
    assert (await url_filings.set_state(change, filed.id, Filing.REGISTERED)).id == filed.id


@example(url_filings.remove, "link.remove")
async def _(world: World, change: Change) -> None:
    filed = await url_filings.file(world.change, world.account_id, f"{world.name()}.example.com")
    await url_filings.remove(change, filed.id)


@example(numbers.learn, "number_status.import")
async def _(world: World, change: Change) -> None:
    await numbers.learn(change, {f"86{NUMBER}": NumberState.EMPTY}, datetime.now(UTC))


@example(numbers.forget, "number_status.remove")
async def _(world: World, change: Change) -> None:
    await numbers.learn(world.change, {f"86{NUMBER}": NumberState.EMPTY}, datetime.now(UTC))
    assert await numbers.forget(change, [f"86{NUMBER}"]) == 1


@example(numbers.unmask, "numbers.unmask")
async def _(world: World, change: Change) -> None:
    await numbers.unmask(change, 90)


@example(proving.begin, "evidence.verify")
async def _(world: World, change: Change) -> None:
    assert await proving.begin(change, node=world.account_id)


@example(proving.of_message, "message.verify")
async def _(world: World, change: Change) -> None:
    id_ = int(await a_message(world))
    await proving.of_message(change, world.sealer, id_, now=datetime.now(UTC), reads=readings)


@example(unmasking.whole, "numbers.unmask")
async def _(world: World, change: Change) -> None:
    id_ = await a_message(world)
    got = await unmasking.whole(change, "message", id_, "check", "", most=1000, now=datetime.now(UTC))
    assert got.number == f"86{NUMBER}"


def _receiver(name: str, address: str | None = "ops@buyer.example.org") -> Receiver:
    return Receiver(name, Way.MAIL, address)


@example(alarm_receivers.add, "alarm_receiver.add")
async def _(world: World, change: Change) -> None:
    await alarm_receivers.add(change, world.sealer, _receiver(world.name()), Reach())


async def _told(world: World) -> int:
    return await alarm_receivers.add(world.change, world.sealer, _receiver(world.name()), Reach())


@example(alarm_receivers.put, "alarm_receiver.set")
async def _(world: World, change: Change) -> None:
    await alarm_receivers.put(change, world.sealer, await _told(world), _receiver(world.name(), None), Reach())


@example(alarm_receivers.switch, "alarm_receiver.stop")
async def _(world: World, change: Change) -> None:
    await alarm_receivers.switch(change, await _told(world), active=False)


@example(alarm_receivers.remove, "alarm_receiver.remove")
async def _(world: World, change: Change) -> None:
    await alarm_receivers.remove(change, await _told(world))


@example(alarm_receivers.test, "alarm_receiver.test")
async def _(world: World, change: Change) -> None:
    await alarm_receivers.test(change, await _told(world))


_RULE = "SELECT id FROM alarm_rule WHERE kind = 'queue_old' AND object = ''"


@example(alarm_rules.put, "alarm_rule.set")
async def _(world: World, change: Change) -> None:
    wanted = alarm_rules.Draft(True, "critical", 5, {"threshold": 60})
    await alarm_rules.put(change, await world.database.fetchval(_RULE), wanted)


@example(alarm_rules.except_, "alarm_rule.set")
async def _(_: World, change: Change) -> None:
    await alarm_rules.except_(change, "queue_old", "lane/otp", alarm_rules.Draft(True, "critical", 5))


@example(alarm_rules.reset, "alarm_rule.set")
async def _(world: World, change: Change) -> None:
    id_ = await world.database.fetchval(_RULE)
    await alarm_rules.put(world.change, id_, alarm_rules.Draft(False, "critical", 5))
    await alarm_rules.reset(change, id_)


async def _fault(world: World) -> int:
    return await faults.open_(world.change, faults.Draft(world.name(), "critical", clock.now()))


@example(faults.open_, "fault.open")
async def _(world: World, change: Change) -> None:
    await faults.open_(change, faults.Draft(world.name(), "critical", clock.now()))


@example(faults.of_alarm, "fault.open")
async def _(world: World, change: Change) -> None:
    object_ = f"channel/{world.name()}"
    async with world.database.transaction() as connection:
        await store_alarms.raise_(connection, "channel_down", object_, "critical", "", now=datetime.now(UTC))
    (standing,) = [a for a in await store_alarms.list_(world.database) if a.object == object_]
    await faults.of_alarm(change, standing)


@example(faults.respond, "fault.respond")
async def _(world: World, change: Change) -> None:
    await faults.respond(change, await _fault(world))


@example(faults.note, "fault.note")
async def _(world: World, change: Change) -> None:
    await faults.note(change, await _fault(world), "looked at")


@example(faults.recover, "fault.recover")
async def _(world: World, change: Change) -> None:
    await faults.recover(change, await _fault(world), clock.now())


@example(faults.count, "fault.count")
async def _(world: World, change: Change) -> None:
    await faults.count(change, await _fault(world), counts=False, reason="planned")


@example(faults.close, "fault.close")
async def _(world: World, change: Change) -> None:
    id_ = await _fault(world)
    await faults.recover(world.change, id_, clock.now())
    await faults.close(change, id_, faults.Findings("carrier", "waited", ""))


async def _link(world: World, by: Change | None = None) -> int:
    wanted = NewLink(world.account_id, "spring", "https://www.example.cn/")
    return (await links.make(by or world.change, world.sealer, wanted, LINK_HOSTS, now=clock.now())).id


async def _asked_link(world: World) -> int:
    rights = frozenset({Permission.LINK_EDIT})
    clerk = Actor(ActorKind.PERSON, "clerk", 7, rights, Scope((world.account_id,)))
    return await _link(world, Change(world.change.database, clerk))


@example(links.make, "short_link.make")
async def _(world: World, change: Change) -> None:
    await _link(world, change)


@example(links.make_many, "short_link.make")
async def _(world: World, change: Change) -> None:
    wanted = [NewLink(world.account_id, name, "https://www.example.cn/") for name in ("spring", "summer")]
    made = await links.make_many(change, world.sealer, wanted, LINK_HOSTS, now=clock.now())
    assert all(isinstance(one, ShortLink) for one in made)


@example(links.lead, "short_link.target")
async def _(world: World, change: Change) -> None:
    await links.lead(change, await _link(world), "https://www.example.cn/summer", LINK_HOSTS)


@example(links.stop, "short_link.stop")
async def _(world: World, change: Change) -> None:
    await links.stop(change, await _link(world), reason="complaint")


@example(links.start, "short_link.start")
async def _(world: World, change: Change) -> None:
    id_ = await _link(world)
    await links.stop(world.change, id_)
    await links.start(change, id_)


@example(links.pass_, "short_link.pass")
async def _(world: World, change: Change) -> None:
    await links.pass_(change, await _asked_link(world), 1)


@example(links.reject, "short_link.reject")
async def _(world: World, change: Change) -> None:
    await links.reject(change, await _asked_link(world), 1, "not ours")


@example(code_files.begin, "short_link.codes")
async def _(world: World, change: Change) -> None:
    wanted = NewLink(world.account_id, "spring", "https://www.example.cn/", LinkKind.PERSONAL, codes=3)
    await code_files.begin(change, world.sealer, wanted, LINK_HOSTS, now=clock.now(), node=1)


@example(code_files.again, "short_link.codes")
async def _(world: World, change: Change) -> None:
    await code_files.again(change, await _personal_link(world), node=1)


async def _personal_link(world: World) -> ShortLink:
    """With three codes."""
    wanted = NewLink(world.account_id, "spring", "https://www.example.cn/", LinkKind.PERSONAL, codes=3)
    return await links.make(world.change, world.sealer, wanted, LINK_HOSTS, now=clock.now())


def _sent_links(world: World) -> SentLinks:
    return SentLinks(world.database, world.sealer, LINK_HOSTS)


@example(SentLinks.make, "short_link.make")
async def _(world: World, change: Change) -> None:
    wanted = NewLink(world.account_id, "spring", "https://www.example.cn/")
    await _sent_links(world).make(change, wanted, clock.now())


@example(SentLinks.take_for_target, "short_link.make")
async def _(world: World, change: Change) -> None:
    wanted = NewLink(world.account_id, "spring", f"https://www.example.cn/{world.name()}", LinkKind.PERSONAL)
    account = Account(world.account_id, "own", "active")
    assert (await _sent_links(world).take_for_target(change, account, wanted, 2, clock.now())).first == 0


@example(SentLinks.take_for_run, "short_link.make")
async def _(world: World, change: Change) -> None:
    link = await _personal_link(world)
    async with world.database.transaction() as connection:
        codes = await _sent_links(world).take_for_run(change, connection, link.id, 4, clock.now())
    assert (codes.first, codes.link.codes) == (0, 4)


@example(links.make_like, "short_link.make")
async def _(world: World, change: Change) -> None:
    link = await _personal_link(world)
    async with world.database.transaction() as connection:
        await links.make_like(change, connection, world.sealer, link, 4, clock.now())


@example(links.judge_again, "short_link.judge")
async def _(world: World, change: Change) -> None:
    await links.judge_again(change, clock.now() - timedelta(days=1), clock.now())


async def _ticket(world: World) -> int:
    return await tickets.open_(world.change, tickets.Draft(world.account_id, "slow", "nothing comes"))


@example(tickets.open_, "ticket.open")
async def _(world: World, change: Change) -> None:
    await tickets.open_(change, tickets.Draft(world.account_id, "slow", "nothing comes"))


@example(tickets.say, "ticket.say")
async def _(world: World, change: Change) -> None:
    await tickets.say(change, await _ticket(world), "more")


@example(tickets.take, "ticket.take")
async def _(world: World, change: Change) -> None:
    await tickets.take(change, await _ticket(world))


@example(tickets.assign, "ticket.assign")
async def _(world: World, change: Change) -> None:
    id_ = await _ticket(world)
    login = world.name()
    await org.add_person(world.change, login, login, ["ops"], "x")
    await tickets.assign(change, id_, login)


@example(tickets.close, "ticket.close")
async def _(world: World, change: Change) -> None:
    await tickets.close(change, await _ticket(world), "mended")


@example(tickets.reopen, "ticket.reopen")
async def _(world: World, change: Change) -> None:
    id_ = await _ticket(world)
    await tickets.close(world.change, id_, "mended")
    await tickets.reopen(change, id_, "not so")


_LINE = support.Draft("hotline", "line", "12345")


@example(support.add, "support_contact.add")
async def _(_: World, change: Change) -> None:
    await support.add(change, _LINE)


@example(support.put, "support_contact.set")
async def _(world: World, change: Change) -> None:
    await support.put(change, await support.add(world.change, _LINE), _LINE)


@example(support.remove, "support_contact.remove")
async def _(world: World, change: Change) -> None:
    await support.remove(change, await support.add(world.change, _LINE))


async def _watcher(world: World) -> str:
    login = world.name()
    await org.add_person(world.change, login, login, ["ops"], "x")
    return login


@example(roster.put, "duty.set")
async def _(world: World, change: Change) -> None:
    first = roster.monday(clock.now().date()) + timedelta(days=7)
    await roster.put(change, first, {(first, "day"): await _watcher(world)})


@example(roster.copy, "duty.set")
async def _(world: World, change: Change) -> None:
    first = roster.monday(clock.now().date()) + timedelta(days=14)
    await roster.put(world.change, first, {(first, "day"): await _watcher(world)})
    await roster.copy(change, first + timedelta(days=7))


@example(nodes.remove, "node.remove")
async def _(world: World, change: Change) -> None:
    await world.database.execute(
        "INSERT INTO node (number, instance, place, since, seen_at) VALUES (77, 'f', 'old:/data', now(), now()) "
        "ON CONFLICT (number) DO UPDATE SET removed_at = NULL"
    )
    await nodes.remove(change, 77)


async def _hushed(by: Change) -> int:
    return await alarm_silences.add(by, "channel_down", "", clock.now() + timedelta(hours=1), "planned work")


@example(walls.add, "wall.add")
async def _(_: World, change: Change) -> None:
    await walls.add(change, "duty room", timedelta(hours=1))


@example(walls.open_, "wall.open")
async def _(world: World, change: Change) -> None:
    made = await walls.add(world.by(world.able), "duty room", timedelta(hours=1))
    await walls.open_(change, made.code, None)


@example(walls.end, "wall.end")
async def _(world: World, change: Change) -> None:
    await walls.end(change, (await walls.add(world.by(world.able), "duty room", timedelta(hours=1))).id)


@example(alarm_silences.add, "alarm_silence.add")
async def _(_: World, change: Change) -> None:
    await _hushed(change)


@example(alarm_silences.end, "alarm_silence.end")
async def _(world: World, change: Change) -> None:
    await alarm_silences.end(change, await _hushed(world.change))


@example(alarm_notes.again, "alarm.again")
async def _(world: World, change: Change) -> None:
    note = await alarm_receivers.test(world.change, await _told(world))
    await world.database.execute("UPDATE alarm_note SET state = 'failed' WHERE id = $1", note)
    await alarm_notes.again(change, note)


@example(alarms.acknowledge, "alarm.ack")
async def _(world: World, change: Change) -> None:
    object_ = world.name()
    async with world.database.transaction() as connection:
        await store_alarms.raise_(connection, "disk_low", object_, "warning", "", now=datetime.now(UTC))
    (standing,) = [a for a in await store_alarms.list_(world.database) if a.object == object_]
    assert await alarms.acknowledge(change, [standing.id]) == 1


@example(auditing.accept, "audit.accept")
async def _(world: World, change: Change) -> None:
    report = Report()
    report.add("deleted", 1)
    assert await auditing.accept(change, report, "restored") == 1


PARTS_OF_TASKS = ("acceptor", "outcomes", "files", "ids", "fleet", "hub", "snapshots", "links")


def tasks(world: World) -> Tasks:
    """With no more than what commands about tasks without messages need."""
    return Tasks(world.database, **dict.fromkeys(PARTS_OF_TASKS, cast(Any, None)))


async def task(world: World, state: str, **more: Any) -> int:
    """A task of the account, without rows."""
    now, id_ = datetime.now(UTC), world.ids()
    made = Task(
        id_, world.account_id, "通知", state, "cli", "li", "notice", "你好", now, review_reasons=["x"], next_at=now,
        **more,
    )
    async with world.database.transaction() as connection:
        assert await store_tasks.insert(connection, made)
        if state == "review":
            await store_reviews.ask_for_task(connection, id_)
    return id_


@example(Tasks.create, "task.add")
async def _(world: World, change: Change) -> None:
    """What the text and the numbers have to be is another's."""
    account = Account(world.account_id, "own", "active")
    spec = TaskSpec(account, "通知", "你好", Origin.CLI, change.actor.label, to=(NUMBER,))
    plan = TaskPlan(task_id=world.ids(), phone=0, content="你好")

    class Engine(Tasks):
        async def prepare(self, spec: TaskSpec) -> Prepared:
            return Prepared(spec, MessageType.NOTICE, plan, 1, [], [], RowRules(), None)

    engine = Engine(world.database, **dict.fromkeys(PARTS_OF_TASKS, cast(Any, None)))
    made, before = await engine.create(change, spec)
    assert (made.valid, before) == (1, False)


@example(Tasks.pause, "task.pause")
async def _(world: World, change: Change) -> None:
    assert (await tasks(world).pause(change, await task(world, "scheduled"))).state == "paused"


@example(Tasks.resume, "task.resume")
async def _(world: World, change: Change) -> None:
    id_ = await task(world, "scheduled")
    await tasks(world).pause(world.change, id_)
    assert (await tasks(world).resume(change, id_)).state == "scheduled"


async def staged(world: World) -> int:
    """One that has sent all of its first stage, of one row."""
    steps = {"shares": [1], "minutes": 1, "failed": 1, "opted_out": 1, "complained": 1}
    id_ = await task(world, "scheduled", steps=steps)
    async with world.database.transaction() as connection:
        await store_tasks.change(
            connection, id_, state="running", run=1, valid=2, fed=1, stages=Stage(1, 0, 1).plain()
        )
    return id_


@example(Tasks.release, "task.release")
async def _(world: World, change: Change) -> None:
    found = await tasks(world).release(change, await staged(world))
    assert found.stages is not None
    assert found.stages["end"] == 2


@example(Tasks.halt, "task.halt")
async def _(world: World, change: Change) -> None:
    seen = await store_tasks.get(world.database, await staged(world), accounts=None)
    assert seen is not None
    await tasks(world).halt(change, seen, Stage(1, 0, 1, halted="failed").plain(), {"what": "failed"})
    after = await store_tasks.get(world.database, seen.id, accounts=None)
    assert after is not None
    assert (after.state, after.reason) == ("paused", "STAGE_HALTED")


@example(Tasks.cancel, "task.cancel")
async def _(world: World, change: Change) -> None:
    assert (await tasks(world).cancel(change, await task(world, "scheduled"))).state == "cancelled"


@example(Tasks.edit, "task.change")
async def _(world: World, change: Change) -> None:
    assert (await tasks(world).edit(change, await task(world, "scheduled"), {"rate": 7})).rate == 7


@example(Tasks.reviewed, "task.pass")
async def _(world: World, change: Change) -> None:
    id_ = await task(world, "review")
    await tasks(world).reviewed(change, id_, id_, passes=True, reason="")


@example(reviews.Reviewing.decide, "task.reject")
async def _(world: World, change: Change) -> None:
    nothing: Any = None
    reviewing = reviews.Reviewing(world.database, nothing, nothing, nothing, tasks(world))
    await reviewing.decide(change, await task(world, "review"), passes=False, reason="内容不妥")


@example(reviews.unmask, "numbers.unmask")
async def _(world: World, change: Change) -> None:
    found = await review_queries.get(world.database, await task(world, "review"), accounts=None)
    assert found
    await reviews.unmask(change, found)


EXPORT = Export("audit", Permission.AUDIT_EXPORT, {}, ["at"], Format.CSV, "because", "zh", "示例平台")


@example(exports.request, "export.request")
async def _(world: World, change: Change) -> None:
    await exports.request(change, EXPORT, node=1)


@example(exports.decide, "export.approve")
async def _(world: World, change: Change) -> None:
    other = world.by(replace(world.able, name=world.name()))
    id_ = await exports.request(other, EXPORT, node=1, rows=10, approved_up_to=9)
    assert (await exports.decide(change, id_, passes=True)).params["approval"] == "passed"


async def made(world: World, change: Change) -> int:
    """An export of whoever changes, with its file."""
    file = StoredFile(world.ids(), 1, "export", "a.csv", "text/csv", 1, b"x" * 32, None, "x", clock.now())
    params = {"permission": EXPORT.permission.value}
    async with world.database.transaction() as connection:
        await file_queries.add(connection, file)
        id_ = await job_queries.add(connection, NewJob("export", params, change.actor.label))
        await connection.execute(
            "UPDATE job SET state = 'done', checkpoint = $2 WHERE id = $1", id_, f'{{"file": {file.id}}}'
        )
    assert id_ is not None
    return id_


@example(exports.link, "export.link")
async def _(world: World, change: Change) -> None:
    await exports.link(change, await made(world, change), "session")


@example(exports.fetch, "export.fetch")
async def _(world: World, change: Change) -> None:
    by_able = world.by(world.able)
    token = await exports.link(by_able, await made(world, by_able), "session")
    store: Any = Store(world, change)
    await exports.fetch(change, store, token, "session")


async def sheet(world: World, change: Change) -> Sheet:
    """A table of staff."""
    made = Sheet(world.ids(), 1, importing.NAME, "a.csv", {}, ("a", "b"), [], 1, change.actor.label, clock.now())
    async with world.database.transaction() as connection:
        await sheet_queries.add(connection, made)
    return made


@example(importing.begin, "staff.import")
async def _(world: World, change: Change) -> None:
    plan = importing.Plan({"login": 0, "name": 1})
    await importing.begin(change, await sheet(world, change), plan, world.sealer)


@example(importing.first_passwords, "staff.import_passwords")
async def _(world: World, change: Change) -> None:
    plan = importing.Plan({"login": 0, "name": 1})
    by_able = world.by(world.able)
    job_id = await importing.begin(by_able, await sheet(world, by_able), plan, world.sealer)
    await importing.first_passwords(change, job_id, world.sealer)


@example(verification.begin, "audit.verify")
async def _(world: World, change: Change) -> None:
    await verification.begin(change, node=world.ids() % 1000)


@example(preferences.set_value, "preference.set")
async def _(world: World, change: Change) -> None:
    await preferences.set_value(change, world.name(), {"size": 20})


@example(preferences.save_view, "view.save")
async def _(world: World, change: Change) -> None:
    await preferences.save_view(change, "audit", world.name(), "time=30d")


@example(preferences.remove_view, "view.remove")
async def _(world: World, change: Change) -> None:
    view = await preferences.save_view(world.by(world.able), "audit", world.name(), "")
    await preferences.remove_view(change, view)


async def told(world: World) -> None:
    """Something new in the inbox of whoever may do everything."""
    await notices.publish(
        world.change, world.name(), "周六停机维护", audience="all", targets=[],
        until=datetime.now(UTC) + timedelta(days=1),
    )  # fmt: skip


@example(notices.publish, "notice.publish")
async def _(world: World, change: Change) -> None:
    until = datetime.now(UTC) + timedelta(days=1)
    await notices.publish(change, world.name(), "周六停机维护", audience="all", targets=[], until=until)


@example(notices.withdraw, "notice.withdraw")
async def _(world: World, change: Change) -> None:
    await told(world)
    await notices.withdraw(change, await world.database.fetchval("SELECT max(id) FROM notice"))


@example(notices.read, "inbox.read")
async def _(world: World, change: Change) -> None:
    await told(world)
    own = await world.database.fetch("SELECT id FROM inbox WHERE staff_id = $1", owner(change.actor))
    assert await notices.read(change, [row["id"] for row in own]) > 0


@example(notices.read_all, "inbox.read")
async def _(world: World, change: Change) -> None:
    await told(world)
    assert await notices.read_all(change) > 0


@example(jobs.cancel, "job.cancel")
async def _(world: World, change: Change) -> None:
    wanted = NewJob("statistics.recount", {}, "test", subject=world.name(), account_id=world.account_id)
    async with world.database.transaction() as connection:
        id_ = await job_queries.add(connection, wanted)
    assert id_ is not None
    await jobs.cancel(change, id_, {})


@example(recount.begin, "statistics.recount")
async def _(world: World, change: Change) -> None:
    day = date(2026, 1, 1) + timedelta(days=int(world.name()[1:]))
    assert await recount.begin(change, day, day) is not None


@example(statistics.recount, "statistics.recount")
async def _(world: World, change: Change) -> None:
    await statistics.recount(change, date(2026, 1, 1))


@example(messages.cancel, "message.cancel")
async def _(world: World, change: Change) -> None:
    class Writer:
        """Of outcomes: sweeps alone."""

        async def sweep(self, wanted: Sweep) -> int:
            async with world.database.transaction() as connection:
                return len(await wanted.run(connection, clock.now()))

    writer: Any = Writer()
    await messages.cancel(change, writer, await a_message(world, PartState.QUEUED))


@example(messages.resolve, "message.resolve")
async def _(world: World, change: Change) -> None:
    class Writer:
        """Of outcomes: sweeps alone."""

        async def sweep(self, wanted: Sweep) -> int:
            async with world.database.transaction() as connection:
                return len(await wanted.run(connection, clock.now()))

    writer: Any = Writer()
    message_id = await a_message(world, PartState.UNKNOWN)
    assert await messages.resolve(change, writer, message_id, 0, "delivered") == 1


@example(undecided.decide, "message.decide")
async def _(world: World, change: Change) -> None:
    class Writer:
        """Of outcomes: sweeps alone."""

        async def sweep(self, wanted: Sweep) -> int:
            async with world.database.transaction() as connection:
                return len(await wanted.run(connection, clock.now()))

    writer: Any = Writer()
    message_id = await a_message(world, PartState.UNKNOWN)
    await world.database.execute(
        "UPDATE part SET code = 'RESTORED_QUEUED', next_at = NULL WHERE id = $1", message_id
    )
    lists = cast(Any, None)  # nothing is sent
    done = await undecided.decide(change, writer, AnyFleet(), lists, undecided.which(), "unconfirmed")
    assert done.parts > 0
    assert done.after is None


@example(restores.settle, "backup.restore")
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


@example(messages.sent, "send")
async def _(world: World, change: Change) -> None:
    await messages.sent(change, "own", batch_id="1", accepted=1, rejected=0)


class _Gates:
    """A door that stores nothing but what the gate of a request does."""

    def __init__(self, world: World, new: int) -> None:
        self._world, self._new = world, str(new)

    async def send(self, request: SendRequest) -> SendResult:
        """Its message has the id that was given."""
        assert request.gate is not None
        item = ItemResult(request.items[0].to, self._new, "queued", 1)
        gate = request.gate([item])
        async with self._world.database.transaction() as connection:
            if (shut := await gate.admit(connection)) is not None:
                raise shut
            await gate.mark(connection)
        return SendResult(self._new, 1, 0, (item,))


@example(resend.again, "message.resend")
async def _(world: World, change: Change) -> None:
    message_id = await a_message(world, PartState.EXPIRED)
    new = 1 + message_id
    now = Snapshot(tree=Accounts(await load_accounts(world.database)))
    assert await resend.again(change, _Gates(world, new), now, message_id) == new


async def an_inbound(world: World) -> InboundView:
    """What a phone has sent, and nobody has opened yet."""
    id_, stored = world.ids(), "INSERT INTO inbound_unread (mo_id, account_id) VALUES ($1, $2)"
    await world.database.execute(
        "INSERT INTO mo (id, account_id, channel_id, number, to_code, content, received_at) "
        "VALUES ($1, $2, 1, $3, '10690001', 'x', now())", id_, world.account_id, "86" + NUMBER,
    )  # fmt: skip
    await world.database.execute(stored, id_, world.account_id)
    one = await inbound.one(world.database, world.able, id_)
    assert one
    return one


@example(care.seen, "inbound.seen")
async def _(world: World, change: Change) -> None:
    assert await care.seen(change, (await an_inbound(world)).id)


@example(care.assign, "inbound.assign")
async def _(world: World, change: Change) -> None:
    await care.assign(change, await an_inbound(world), "able")


@example(care.done, "inbound.done")
async def _(world: World, change: Change) -> None:
    await care.done(change, (await an_inbound(world)).id)


@example(care.reopen, "inbound.reopen")
async def _(world: World, change: Change) -> None:
    one = await an_inbound(world)
    await care.done(world.change, one.id)
    await care.reopen(change, one.id)


@example(care.answer, "inbound.reply")
async def _(world: World, change: Change) -> None:
    now = Snapshot(tree=Accounts(await load_accounts(world.database)))
    assert await care.answer(change, _Gates(world, 7), now, await an_inbound(world), "您好") == 7


@example(messages.read, "message.read")
async def _(world: World, change: Change) -> None:
    assert await messages.read(change, await a_message(world), unmasked=True)


@example(audience.put, "contact.put")
async def _(world: World, change: Change) -> None:
    await audience.put(change, world.account_id, [ContactInput(NUMBER, "张三")])


@example(audience.remove, "contact.remove")
async def _(world: World, change: Change) -> None:
    await audience.put(world.change, world.account_id, [ContactInput(NUMBER)])
    (contact,) = await audience.find(world.database, world.account_id, number=NUMBER)
    await audience.remove(change, world.account_id, contact.id)


@example(audience.add_audience, "audience.add")
async def _(world: World, change: Change) -> None:
    await audience.add_audience(change, world.account_id, world.name())


@example(audience.remove_audience, "audience.remove")
async def _(world: World, change: Change) -> None:
    made = await audience.add_audience(world.change, world.account_id, world.name())
    await audience.remove_audience(change, world.account_id, made.id)


@example(carrier.ask, "lift.ask")
async def _(world: World, change: Change) -> None:
    number = f"8613{world.ids() % 10**9:09}"
    await carrier.ask(change, number, "CMCC", account_id=world.account_id, code="MB:1077", reason="本人要求")


@example(carrier.move, "lift.move")
async def _(world: World, change: Change) -> None:
    number = f"8613{world.ids() % 10**9:09}"
    id_ = await carrier.ask(world.change, number, "CMCC", account_id=world.account_id, reason="本人要求")
    await carrier.move(change, id_, carrier.LiftState.SENT, "已发函")


def a_scenario(world: World) -> Terms:
    return Terms(world.name()[:40], MessageType.NOTICE, windows="08:00-20:00")


@example(scenarios.add, "scenario.add")
async def _(world: World, change: Change) -> None:
    await scenarios.add(change, world.account_id, a_scenario(world))


@example(scenarios.put, "scenario.set")
async def _(world: World, change: Change) -> None:
    id_ = await scenarios.add(world.change, world.account_id, a_scenario(world))
    await scenarios.put(change, id_, a_scenario(world))


@example(scenarios.stop, "scenario.stop")
async def _(world: World, change: Change) -> None:
    await scenarios.stop(change, await scenarios.add(world.change, world.account_id, a_scenario(world)))


@example(scenarios.start, "scenario.start")
async def _(world: World, change: Change) -> None:
    id_ = await scenarios.add(world.change, world.account_id, a_scenario(world))
    await scenarios.stop(world.change, id_)
    await scenarios.start(change, id_)


@example(filters.begin, "filter.begin")
async def _(world: World, change: Change) -> None:
    await filters.begin(change, world.name(), world.account_id, ["8613800138000"])


@example(filters.set_vendor, "filter.vendor")
async def _(world: World, change: Change) -> None:
    await filters.set_vendor(change, vendors.Vendor("https://example.com", "a", "secret", True, 5), world.sealer)


@example(filters.ask, "filter.ask")
async def _(world: World, change: Change) -> None:
    wanted = vendors.Vendor("https://example.com", "a", "secret", True, 5)
    await filters.set_vendor(world.change, wanted, world.sealer)
    id_ = await filters.begin(world.by(world.able), world.name(), world.account_id, ["8613800138000"])
    await world.database.execute("UPDATE job SET state = 'done' WHERE subject = $1", f"filter/{id_}")
    await filters.ask(change, id_, 1)


@example(filters.look_again, "filter.look")
async def _(world: World, change: Change) -> None:
    id_ = await filters.begin(world.by(world.able), world.name(), world.account_id, ["8613800138000"])
    await world.database.execute("UPDATE job SET state = 'cancelled' WHERE subject = $1", f"filter/{id_}")
    await filters.look_again(change, id_)


@example(filters.remove, "filter.remove")
async def _(world: World, change: Change) -> None:
    await filters.remove(change, await filters.begin(world.change, world.name(), world.account_id, ["8613800138000"]))


GIVEN = consents.Given(consents.Source.WEB, "v1", "file 7", datetime(2026, 1, 1, tzinfo=UTC))


@example(consents.give, "consent.give")
async def _(world: World, change: Change) -> None:
    await consents.give(change, world.account_id, ["8613800138000"], GIVEN)


@example(consents.withdraw, "consent.withdraw")
async def _(world: World, change: Change) -> None:
    number = f"8613{world.ids() % 10**9:09}"
    await consents.give(world.change, world.account_id, [number], GIVEN)
    id_ = await world.database.fetchval("SELECT id FROM consent WHERE number = $1", int(number))
    await consents.withdraw(change, id_, "本人来电")


def a_list(world: World, change: Change) -> Sheet:
    return Sheet(world.ids(), 1, number_import.BLOCK, "x.csv", {}, ("手机号",), (), 1, change.actor.label, clock.now())


@example(number_import.begin, "block.import")
async def _(world: World, change: Change) -> None:
    plan = number_import.Plan(number_import.BLOCK, {"number": 0}, world.account_id, "x")
    await number_import.begin(change, a_list(world, change), plan)


@example(consent_import.begin, "consent.import")
async def _(world: World, change: Change) -> None:
    brought = await sheet(world, change)
    table = consent_import.Table(brought.id, 1, brought.name, brought.form, brought.columns, brought.rows)
    plan = consent_import.Plan(
        world.account_id, {"number": 0}, datetime(2026, 1, 1, tzinfo=UTC), consents.Source.WEB, proof="file 7"
    )
    await consent_import.begin(change, table, plan)


async def a_consent(world: World) -> int:
    number = f"8613{world.ids() % 10**9:09}"
    await consents.give(world.change, world.account_id, [number], GIVEN)
    found: int = await world.database.fetchval("SELECT id FROM consent WHERE number = $1", int(number))
    return found


def a_file(world: World, change: Change) -> StoredFile:
    return StoredFile(world.ids(), 1, "consent_proof", "x.png", "image/png", 1, bytes(32), world.account_id,
                      change.actor.label, clock.now())  # fmt: skip


@example(proofs.attach, "consent.proof")
async def _(world: World, change: Change) -> None:
    await proofs.attach(change, await a_consent(world), a_file(world, change))


@dataclass
class Store:
    """Keeps nothing."""

    world: World
    change: Change

    def check(self, incoming: Incoming) -> int:
        return incoming.path.stat().st_size

    def drop(self, incoming: Incoming) -> None:
        incoming.path.unlink(missing_ok=True)

    def at_hand(self, _: StoredFile) -> None:
        pass

    async def keep(self, *_: Any) -> StoredFile:
        return a_file(self.world, self.change)


@contextmanager
def a_picture(world: World) -> Iterator[Incoming]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.png"
        path.write_bytes(b"\x89PNG\r\n\x1a\n")
        yield Incoming(1, proofs.kind(world.database), path, world.account_id)


@example(proofs.keep, "consent.proof")
async def _(world: World, change: Change) -> None:
    store: Any = Store(world, change)
    with a_picture(world) as incoming:
        await proofs.keep(change, store, await a_consent(world), incoming)


async def a_document(world: World, change: Change) -> int:
    sign = await content.add_sign(world.change, world.account_id, f"签名{world.name()}")
    return await documents.DOCUMENTS.attach(change, sign, documents.Kind.LICENSE, "", a_file(world, change))


async def an_opt_out(world: World) -> int:
    number, scope = f"8613{world.ids() % 10**9:09}", BlockScope(world.account_id, "marketing", "")
    await lists.block(world.change, [number], scope, "opt_out", "R")
    found: int = await world.database.fetchval("SELECT version FROM block_list WHERE number = $1", int(number))
    return found


@example(Trying.key, "call.try")
async def _(world: World, change: Change) -> None:
    async def lend(_: object) -> None:
        pass

    trying = Trying(lend, lambda: Door("http://127.0.0.1:1"), tuple)
    balance = Operation("GET", "/balance", "balance", "余额", "Balance")
    await trying.key(change, world.account_id, balance, "/api/v1/balance")


@example(retention.ask, "retention.ask")
async def _(world: World, change: Change) -> None:
    if (waits := await retention_queries.waiting(world.database)) is not None:
        await retention.decide(world.change, waits.id, passes=False, answer="重新提出")
    await retention.ask(change, Ages(90, 0, 90), "个人信息保护要求")


@example(retention.decide, "retention.decide")
async def _(world: World, change: Change) -> None:
    waits = await retention_queries.waiting(world.database)
    id_ = waits.id if waits else await retention.ask(world.change, Ages(90, 8, 90), "个人信息保护要求")
    await retention.decide(change, id_, passes=False, answer="期限再议")


@example(undoing.ask, "undo.ask")
async def _(world: World, change: Change) -> None:
    await undoing.ask(change, await an_opt_out(world), "本人申请", a_file(world, change))


@example(undoing.keep, "undo.ask")
async def _(world: World, change: Change) -> None:
    store: Any = Store(world, change)
    with a_picture(world) as incoming:
        await undoing.keep(change, store, await an_opt_out(world), "本人申请", incoming)


@example(undoing.decide, "undo.decide")
async def _(world: World, change: Change) -> None:
    id_ = await undoing.ask(world.change, await an_opt_out(world), "本人申请", a_file(world, world.change))
    await undoing.decide(change, id_, passes=False, answer="凭证不全")


@example(Documents.attach, "sign.proof")
async def _(world: World, change: Change) -> None:
    await a_document(world, change)


@example(Documents.keep, "sign.proof")
async def _(world: World, change: Change) -> None:
    store: Any = Store(world, change)
    sign = await content.add_sign(world.change, world.account_id, f"签名{world.name()}")
    with a_picture(world) as incoming:
        await documents.DOCUMENTS.keep(change, store, sign, documents.Kind.OTHER, "CMCC", incoming)


@example(Documents.remove, "sign.proof_remove")
async def _(world: World, change: Change) -> None:
    file = a_file(world, world.change)
    async with world.database.transaction() as connection:
        await file_queries.add(connection, file)
    sign = await content.add_sign(world.change, world.account_id, f"签名{world.name()}")
    id_ = await documents.DOCUMENTS.attach(world.change, sign, documents.Kind.LICENSE, "", file)
    await documents.DOCUMENTS.remove(change, id_)


@example(Surveyor.submit, "draft.remove")
async def _(world: World, change: Change) -> None:
    async def create(*_: Any) -> tuple[Any, bool]:
        return SimpleNamespace(id=world.ids(), total=1), False

    nothing: Any = None
    snapshot = SimpleNamespace(account=lambda id_: SimpleNamespace(id=id_, name="own"), kinds={})
    engine: Any = SimpleNamespace(create=create)
    held: Any = SimpleNamespace(current=snapshot)
    surveyor = Surveyor(world.database, engine, nothing, held, nothing, nothing)
    state = State(account=str(world.account_id), content="x", to="13800138000")
    draft = await drafts.begin(world.by(world.able), f"draft-{world.ids()}", DraftKind.SAME, state, ())
    await surveyor.submit(change, draft.id)


@example(drafts.add, "draft.add")
async def _(world: World, change: Change) -> None:
    await drafts.add(change, world.account_id, State(subject="n"))


def a_contact(world: World, **given: Any) -> EntryDraft:
    return EntryDraft(world.account_id, f"8613{world.ids() % 10**9:09}", "张三", **given)


@example(book.add, "contact.put")
async def _(world: World, change: Change) -> None:
    await book.add(change, a_contact(world))


@example(book.put, "contact.put")
async def _(world: World, change: Change) -> None:
    id_ = await book.add(world.by(world.able), a_contact(world))
    await book.put(change, id_, a_contact(world, tags=("vip",)))


@example(book.share, "contact.put")
async def _(world: World, change: Change) -> None:
    id_ = await book.add(world.by(world.able), a_contact(world))
    await book.share(change, id_, Sharing())


@example(book.remove, "contact.remove")
async def _(world: World, change: Change) -> None:
    await book.remove(change, await book.add(world.by(world.able), a_contact(world)))


@example(book.merge, "contact.merge")
async def _(world: World, change: Change) -> None:
    kept, gone = [await book.add(world.by(world.able), a_contact(world)) for _ in range(2)]
    await book.merge(change, kept, gone)


@example(book.add_group, "audience.add")
async def _(world: World, change: Change) -> None:
    await book.add_group(change, world.account_id, world.name(), Sharing())


@example(book.collect, "audience.members")
async def _(world: World, change: Change) -> None:
    id_ = await book.add_group(world.by(world.able), world.account_id, world.name(), Sharing())
    assert await book.collect(change, id_, ["8613800138000"]) == (1, 1, 0)


@example(book.put_group, "audience.set")
async def _(world: World, change: Change) -> None:
    id_ = await book.add_group(world.by(world.able), world.account_id, world.name(), Sharing())
    await book.put_group(change, id_, world.name(), Sharing(), with_members=True)


@example(book.move_group, "audience.move")
async def _(world: World, change: Change) -> None:
    by = world.by(world.able)
    into = await book.add_group(by, world.account_id, world.name(), Sharing())
    id_ = await book.add_group(by, world.account_id, world.name(), Sharing())
    await book.move_group(change, id_, into)


@example(book.remove_group, "audience.remove")
async def _(world: World, change: Change) -> None:
    id_ = await book.add_group(world.by(world.able), world.account_id, world.name(), Sharing())
    await book.remove_group(change, id_)


@example(saved.add, "audience.add")
async def _(world: World, change: Change) -> None:
    await saved.add(change, world.account_id, world.name(), Segment(SegmentKind.CLICKED), Sharing())


@example(saved.put, "audience.set")
async def _(world: World, change: Change) -> None:
    asked = Segment(SegmentKind.CLICKED)
    id_ = await saved.add(world.by(world.able), world.account_id, world.name(), asked, Sharing())
    await saved.put(change, id_, world.name(), Segment(SegmentKind.REPLIED, 30), Sharing())


@example(saved.remove, "audience.remove")
async def _(world: World, change: Change) -> None:
    asked = Segment(SegmentKind.CLICKED)
    id_ = await saved.add(world.by(world.able), world.account_id, world.name(), asked, Sharing())
    await saved.remove(change, id_)


@example(contact_import.begin, "contact.import")
async def _(world: World, change: Change) -> None:
    plan = contact_import.Plan({"number": 0, "name": 1}, world.account_id)
    await contact_import.begin(change, await sheet(world, change), plan)


@example(word_import.begin, "word.import")
async def _(world: World, change: Change) -> None:
    await word_import.begin(change, await sheet(world, change), word_import.Plan({"word": 0}, world.account_id))


@example(audience.change_members, "audience.members")
async def _(world: World, change: Change) -> None:
    made = await audience.add_audience(world.change, world.account_id, world.name())
    await audience.put(world.change, world.account_id, [ContactInput(NUMBER)])
    await audience.change_members(change, world.account_id, made.id, add=[NUMBER], take=[])


async def person(world: World, *roles: str) -> str:
    """Somebody new, by the login."""
    login = world.name()
    await org.add_person(world.change, login, login, roles, "x")
    return login


async def own(world: World) -> int:
    """The id of a session of the person who acts."""
    able = await queries.person(world.database, "able")
    assert able is not None
    _, hashed = await queries.person_to_check(world.database, "able") or (None, "")
    assert await sessions.open_session(world.database, able, hashed, world.name().encode(), "c", None)
    return (await queries.sessions(world.database, "able"))[0].id


async def department(world: World) -> int:
    return await org.add_department(world.change, world.name())


async def role(world: World) -> str:
    code = world.name()
    await org.add_role(world.change, code, code, {Permission.HOME_VIEW}, ScopeKind.ALL)
    return code


@example(org.add_person, "staff.add")
async def _(world: World, change: Change) -> None:
    await org.add_person(change, world.name(), "", ["operator"], "x")


@example(org.set_person, "staff.set")
async def _(world: World, change: Change) -> None:
    await org.set_person(change, await person(world), {"phone": NUMBER, "accounts": [world.account_id]})


@example(org.set_contact, "staff.contact")
async def _(world: World, change: Change) -> None:
    await org.set_contact(change, {"email": "able@example.com", "phone": NUMBER})


@example(org.stop_person, "staff.stop")
async def _(world: World, change: Change) -> None:
    await org.stop_person(change, await person(world))


@example(org.start_person, "staff.start")
async def _(world: World, change: Change) -> None:
    await org.start_person(change, await person(world))


@example(org.remove_person, "staff.remove")
async def _(world: World, change: Change) -> None:
    await org.remove_person(change, await person(world))


@example(org.grant, "staff.grant")
async def _(world: World, change: Change) -> None:
    await org.grant(change, await person(world), ["operator", "reviewer"])


@example(org.set_permissions, "staff.permissions")
async def _(world: World, change: Change) -> None:
    await org.set_permissions(change, await person(world), allowed=[Permission.MESSAGE_EXPORT], withheld=[])


@example(org.add_role, "role.add")
async def _(world: World, change: Change) -> None:
    await org.add_role(change, world.name(), "角色", {Permission.HOME_VIEW}, ScopeKind.OWN)


@example(org.copy_role, "role.copy")
async def _(world: World, change: Change) -> None:
    await org.copy_role(change, "operator", world.name(), "操作员(副本)")


@example(org.set_role, "role.set")
async def _(world: World, change: Change) -> None:
    some = {Permission.HOME_VIEW, Permission.MESSAGE_VIEW}
    await org.set_role(change, await role(world), name="角色", permissions=some, scope=ScopeKind.OWN)


@example(org.remove_role, "role.remove")
async def _(world: World, change: Change) -> None:
    await org.remove_role(change, await role(world))


@example(org.reset_password, "staff.reset")
async def _(world: World, change: Change) -> None:
    await org.reset_password(change, await person(world), "y")


@example(org.change_password, "password.change")
async def _(world: World, change: Change) -> None:
    _, former = await queries.person_to_check(world.database, change.actor.name) or (None, "")
    await org.change_password(change, world.name(), former=former)


@example(org.set_password_policy, "password.policy")
async def _(world: World, change: Change) -> None:
    await org.set_password_policy(change, history=5, days=90)


@example(org.end_session, "session.end")
async def _(world: World, change: Change) -> None:
    await org.end_session(change, await own(world))


@example(org.end_sessions_of, "session.end")
async def _(world: World, change: Change) -> None:
    await org.end_sessions_of(change, await person(world))


@example(org.end_other_sessions, "session.end")
async def _(world: World, change: Change) -> None:
    await org.end_other_sessions(change, await own(world))


@example(logins.set_policy, "login.policy")
async def _(world: World, change: Change) -> None:
    now = await login_queries.policy(world.database)
    await logins.set_policy(change, {"sessions": now.sessions % 100 + 1})


@example(logins.set_role, "login.role")
async def _(world: World, change: Change) -> None:
    await logins.set_role(change, await role(world), Demand(frozenset({Factor.TOTP})))


@example(logins.set_person, "login.person")
async def _(world: World, change: Change) -> None:
    await logins.set_person(change, await person(world), Demand(frozenset({Factor.TOTP})))


@example(logins.unlock, "staff.unlock")
async def _(world: World, change: Change) -> None:
    await logins.unlock(change, await person(world))


@example(logins.emergency_code, "factor.emergency")
async def _(world: World, change: Change) -> None:
    await logins.emergency_code(change, await person(world))


@example(passkeys.register, "factor.add")
async def _(world: World, change: Change) -> None:
    able = await queries.person(world.database, "able")
    assert able is not None
    here = passkeys.Site("https://sms.example.com")
    options, challenge = await passkeys.registration(world.database, world.sealer, able, here, "smsgw")
    key = SoftPasskey(here.rp_id, here.origin)
    await passkeys.register(change, key.register(options), challenge, here, world.name())


@example(org.add_department, "department.add")
async def _(world: World, change: Change) -> None:
    await org.add_department(change, world.name())


@example(org.set_department, "department.set")
async def _(world: World, change: Change) -> None:
    id_, manager = await department(world), await person(world)
    await org.set_department(change, id_, name=world.name(), manager=manager, month_quota=1000)


@example(org.move_department, "department.move")
async def _(world: World, change: Change) -> None:
    await org.move_department(change, await department(world), await department(world))


@example(org.remove_department, "department.remove")
async def _(world: World, change: Change) -> None:
    await org.remove_department(change, await department(world))


@example(org.place_account, "account.department")
async def _(world: World, change: Change) -> None:
    await org.place_account(change, world.account_id, await department(world))


async def without_app(world: World) -> None:
    await world.database.execute("DELETE FROM staff_totp")


async def code(world: World, change: Change) -> str:
    """What the app shows that the person has just begun to bind."""
    await without_app(world)
    secret = await factors.begin_totp(world.by(world.able), world.sealer)
    return totp.code_at(base64.b32decode(secret), int(clock.time()) // totp.STEP)


@example(factors.begin_totp, "factor.begin")
async def _(world: World, change: Change) -> None:
    await without_app(world)
    await factors.begin_totp(change, world.sealer)


@example(factors.confirm_totp, "factor.add")
async def _(world: World, change: Change) -> None:
    await factors.confirm_totp(change, world.sealer, await code(world, change))


@example(factors.remove_totp, "factor.remove")
async def _(world: World, change: Change) -> None:
    await code(world, change)
    await factors.remove_totp(change)


@example(factors.make_recovery_codes, "factor.add")
async def _(world: World, change: Change) -> None:
    await factors.make_recovery_codes(change)


@example(factors.add_passkey, "factor.add")
async def _(world: World, change: Change) -> None:
    await factors.add_passkey(change, world.name().encode(), b"key", 0, "笔记本")


@example(factors.remove_passkey, "factor.remove")
async def _(world: World, change: Change) -> None:
    id_ = world.name().encode()
    await factors.add_passkey(world.by(world.able), id_, b"key", 0, "笔记本")
    await factors.remove_passkey(change, id_)


@example(factors.verify_phone, "factor.add")
async def _(world: World, change: Change) -> None:
    await org.set_contact(world.by(world.able), {"phone": NUMBER})
    await world.database.execute("DELETE FROM staff_sms_code")
    _, sent = await factors.new_sms_code(world.database, world.sealer, world.able.id, "phone")
    await factors.verify_phone(change, world.sealer, sent)


@example(factors.reset_factors, "factor.reset")
async def _(world: World, change: Change) -> None:
    await factors.reset_factors(change, await person(world))


# --- accounts --------------------------------------------------------------------------------------------------------


@example(accounts.add, "account.add")
async def _(world: World, change: Change) -> None:
    await accounts.add(change, world.name(), parent="own")


@example(accounts.edit, "account.set")
async def _(world: World, change: Change) -> None:
    await accounts.edit(change, world.account_id, {"rate": 100})


@example(accounts.set_status, "account.start")
async def _(world: World, change: Change) -> None:
    await accounts.set_status(change, world.account_id, "active")


@example(accounts.top_up, "account.topup")
async def _(world: World, change: Change) -> None:
    await accounts.top_up(change, world.account_id, 100, "")


@example(accounts.move_extension, "access_code.move")
async def _(world: World, change: Change) -> None:
    await accounts.move_extension(change, world.account_id, "", str(world.ids() % 10**12))


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
    assert [a.account.name for a in await account_queries.accounts(world.database, (world.account_id,))] == [
        "own"
    ]


async def test_what_an_account_costs_takes_a_permission_of_its_own(world: World) -> None:
    clerk = world.by(Actor(ActorKind.PERSON, "clerk", 5, frozenset({Permission.ACCOUNT_EDIT}), EVERYTHING))
    await accounts.edit(clerk, world.account_id, {"rate": 101})
    with pytest.raises(SmsgwError) as refused:
        await accounts.edit(clerk, world.account_id, {"credit_floor": -5})
    assert refused.value.detail["permission"] == Permission.BALANCE_EDIT


# --- API keys --------------------------------------------------------------------------------------------------------


@example(keys.add, "key.add")
async def _(world: World, change: Change) -> None:
    await keys.add(change, world.sealer, world.account_id)


@example(keys.edit, "key.set")
async def _(world: World, change: Change) -> None:
    made = await keys.add(world.change, world.sealer, world.account_id)
    await keys.edit(change, made.key_id, {"status": "stopped"})


async def test_a_key_of_which_nothing_is_changed_stays_as_it_is(world: World) -> None:
    made = await keys.add(world.change, world.sealer, world.account_id)
    logged = await world.entries()
    await keys.edit(world.change, made.key_id, {})
    assert await world.entries() == logged


@example(keys.rotate, "key.rotate")
async def _(world: World, change: Change) -> None:
    made = await keys.add(world.change, world.sealer, world.account_id)
    await keys.rotate(change, world.sealer, made.key_id)


@example(keys.retire, "key.retire")
async def _(world: World, change: Change) -> None:
    made = await keys.add(world.change, world.sealer, world.account_id)
    await keys.rotate(world.change, world.sealer, made.key_id)
    await keys.retire(change, made.key_id)


async def test_a_key_of_an_account_out_of_scope_is_not_found(world: World) -> None:
    made = await keys.add(world.change, world.sealer, world.account_id)
    elsewhere = world.by(Actor(ActorKind.PERSON, "elsewhere", 3, ALL, Scope((1 << 50,))))
    with pytest.raises(SmsgwError) as refused:
        await keys.edit(elsewhere, made.key_id, {"status": "stopped"})
    assert refused.value.code == "NOT_FOUND"
    assert await key_queries.keys(world.database, accounts=(1 << 50,)) == []


# --- webhooks --------------------------------------------------------------------------------------------------------

REACH = Reach(http=True)


async def hook(world: World, change: Change) -> str:
    """An endpoint that names no type that another one of the account has."""
    await webhooks.put(
        change, world.sealer, world.account_id, Wanted("callback", hosts=("example.com",)), REACH
    )
    return "callback"


@example(webhooks.put, "webhook.add")
async def _(world: World, change: Change) -> None:
    owner = await accounts.add(world.change, world.name())
    await webhooks.put(change, world.sealer, owner, Wanted("main", "http://example.com/"), REACH)


@example(webhooks.delete, "webhook.delete")
async def _(world: World, change: Change) -> None:
    await webhooks.delete(change, world.account_id, await hook(world, world.change))


@example(webhooks.set_status, "webhook.disable")
async def _(world: World, change: Change) -> None:
    await webhooks.set_status(change, world.account_id, await hook(world, world.change), active=False)


@example(webhooks.rotate_secret, "webhook.rotate")
async def _(world: World, change: Change) -> None:
    name = await hook(world, world.change)
    await webhooks.rotate_secret(change, world.sealer, world.account_id, name, keep_old_hours=1)


@example(webhooks.edit_setting, "events.set")
async def _(world: World, change: Change) -> None:
    await webhooks.edit_setting(change, world.account_id, way="pull")


@example(webhooks.redeliver, "events.redeliver")
async def _(world: World, change: Change) -> None:
    owner = await accounts.add(world.change, world.name())
    async with world.change.unit(Permission.SIGN_DECIDE, owner) as unit:
        unit.record("sign.approved", "sign/1")
        unit.tell(owner, "sign.reviewed", {"sign": "测试"})
    ever, tomorrow = datetime(2000, 1, 1, tzinfo=UTC), clock.now() + timedelta(days=1)
    await webhooks.redeliver(change, owner, state="waiting", since=ever, until=tomorrow)


async def test_who_may_not_read_what_phones_send_does_not_have_it_pushed(world: World) -> None:
    clerk = world.by(Actor(ActorKind.PERSON, "clerk", 5, frozenset({Permission.WEBHOOK_EDIT}), EVERYTHING))
    for events in ((), ("message.mo",)):
        with pytest.raises(SmsgwError) as refused:
            await webhooks.put(
                clerk, world.sealer, world.account_id, Wanted("main", "http://example.com/", events), REACH
            )
        assert (refused.value.code, refused.value.detail["scope"]) == ("SCOPE_DENIED", "mo")


# --- partners --------------------------------------------------------------------------------------------------------


async def login(world: World, change: Change) -> str:
    name = world.name()
    await partners.add(change, world.sealer, world.account_id, "smpp", name, "secret12", {})
    return name


@example(partners.add, "partner.add")
async def _(world: World, change: Change) -> None:
    await login(world, change)


@example(partners.edit, "partner.set")
async def _(world: World, change: Change) -> None:
    await partners.edit(
        change, world.sealer, await login(world, world.change), None, {"rate": 7}, password="other"
    )


@example(partners.remove, "partner.remove")
async def _(world: World, change: Change) -> None:
    await partners.remove(change, await login(world, world.change), "smpp")


@example(partners.kick, "partner.kick")
async def _(world: World, change: Change) -> None:
    await partners.kick(change, await login(world, world.change), None)


async def test_a_login_of_an_account_out_of_scope_is_not_found(world: World) -> None:
    name = await login(world, world.change)
    elsewhere = world.by(Actor(ActorKind.PERSON, "elsewhere", 3, ALL, Scope((1 << 50,))))
    for refused in (partners.kick(elsewhere, name, None), partners.remove(elsewhere, name, None)):
        with pytest.raises(SmsgwError) as exc:
            await refused
        assert exc.value.code == "NOT_FOUND"
    assert name in [
        line["user"] for line in await partner_queries.partners(world.database, [world.account_id])
    ]
    assert await partner_queries.partners(world.database, [1 << 50]) == []


# --- channels --------------------------------------------------------------------------------------------------------

CHANNEL = {
    "protocol": "smpp34", "host": "127.0.0.1", "port": 2775, "username": "u", "password": "secret",
    "access_code": "1069", "profile": {"peer_password": "other"},
}  # fmt: skip


async def channel(world: World, change: Change) -> str:
    name = world.name()
    await channels.add(change, world.sealer, name, CHANNEL)
    return name


@example(channels.add, "channel.add")
async def _(world: World, change: Change) -> None:
    await channel(world, change)


@example(channels.edit, "channel.set")
async def _(world: World, change: Change) -> None:
    await channels.edit(change, world.sealer, await channel(world, world.change), {"rate": 7})


@example(channels.remove, "channel.remove")
async def _(world: World, change: Change) -> None:
    await channels.remove(change, await channel(world, world.change))


@example(channels.move_access_code, "access_code.move")
async def _(world: World, change: Change) -> None:
    await channels.move_access_code(change, await channel(world, world.change), "1070")


@example(channels.set_spelling, "report.spelling")
async def _(world: World, change: Change) -> None:
    channel_id = await channel_queries.id_of(world.database, await channel(world, world.change))
    await channels.set_spelling(change, channel_id, Spelling.HEX_DEC)


@example(channels.probe, "channel.probe")
async def _(world: World, change: Change) -> None:
    class Here:
        async def probe(self, name: str, to: str) -> tuple[int, int]:
            return 1, 2

    assert await channels.probe(change, Here(), "a", NUMBER) == 2


@example(channels.roll_back, "channel.rollback")
async def _(world: World, change: Change) -> None:
    name = await channel(world, world.change)
    await channels.edit(world.change, world.sealer, name, {"rate": 7})
    await channels.roll_back(change, await channel_queries.id_of(world.database, name), 1)


async def without_second(world: World, name: str) -> None:
    """Turned off, by two."""
    for change in (world.change, world.by(Actor.system("second"))):
        await settings.put(change, name, 0)


async def proposed(world: World) -> int:
    """A channel whose second version waits."""
    name = await channel(world, world.change)
    await settings.put(world.change, "channel_approval", 1)
    await channels.edit(world.change, world.sealer, name, {"rate": 7})
    await without_second(world, "channel_approval")
    return await channel_queries.id_of(world.database, name)


@example(training.switch, "account.training")
async def _(world: World, change: Change) -> None:
    name = world.name()
    account_id = await accounts.add(world.change, name)
    await accounts.set_status(world.change, account_id, "stopped")
    await training.switch(change, account_id, on=True, reason="a drill")


@example(recordings.begin, "channel.record_submits")
async def _(world: World, change: Change) -> None:
    channel_id = await channel_queries.id_of(world.database, await channel(world, world.change))
    await recordings.begin(change, channel_id, hours=1, reason="a complaint")


@example(recordings.end, "channel.record_submits_end")
async def _(world: World, change: Change) -> None:
    channel_id = await channel_queries.id_of(world.database, await channel(world, world.change))
    await recordings.begin(world.change, channel_id, hours=1, reason="a complaint")
    await recordings.end(change, channel_id)


@example(versions.approve, "channel.approve")
async def _(world: World, change: Change) -> None:
    await versions.approve(change, await proposed(world), 2)


@example(versions.reject, "channel.reject")
async def _(world: World, change: Change) -> None:
    await versions.reject(change, await proposed(world), 2, "no")


@example(watching.Watches.begin, "channel.record")
async def _(world: World, change: Change) -> None:
    class Here:
        def channel(self, name: str) -> Here:
            return self

        async def record(self, *, seconds: float, max_bytes: int) -> AsyncGenerator[bytes, None]:
            yield b""

    await watching.Watches().begin(change, Here(), 1, "a")


async def a_load_test(world: World, change: Change) -> int:
    """One that no node runs: there is none of that number here."""
    await world.database.execute("UPDATE job SET state = 'cancelled' WHERE kind = 'load_test'")
    profile = LoadProfile(LoadScenario.STEADY, 10, 10)
    return await load_tests.begin(change, profile, reason="check", node=999, folder=world.key_file.parent)


@example(load_tests.begin, "load_test.begin")
async def _(world: World, change: Change) -> None:
    await a_load_test(world, change)


@example(load_tests.stop, "load_test.stop")
async def _(world: World, change: Change) -> None:
    await load_tests.stop(change, await a_load_test(world, world.change))


@example(checks.enter, "channel.check")
async def _(world: World, change: Change) -> None:
    channel_id = await channel_queries.id_of(world.database, await channel(world, world.change))
    await checks.enter(change, world.sealer, channel_id)


@example(checks.begin, "channel.check")
async def _(world: World, change: Change) -> None:
    class Nowhere:
        async def check(self, spec: object, *, login: bool, tell: object) -> None: ...

    channel_id = await channel_queries.id_of(world.database, await channel(world, world.change))
    await checks.begin(change, Nowhere(), world.sealer, channel_id)


@example(channels.retry_facts, "fact.retry")
async def _(world: World, change: Change) -> None:
    nothing: Any = None  # nobody is told anything: nothing lies aside
    assert await channels.retry_facts(change, nothing) == (0, 0)


async def test_passwords_of_channels_are_not_shown(world: World) -> None:
    (shown,) = await channel_queries.channels(world.database, await channel(world, world.change))
    assert shown.profile == {"peer_password": "***"}
    assert "secret" not in repr(shown)


# --- routing ---------------------------------------------------------------------------------------------------------

TABLE: dict[str, list[Any]] = {"pool": [], "rule": []}
CELL = (Fault.NETWORK, MessageType.OTP)


@example(routing.publish, "route.publish")
async def _(world: World, change: Change) -> None:
    await routing.publish(change, TABLE, "")


@example(routing.rollback, "route.publish")
async def _(world: World, change: Change) -> None:
    await routing.rollback(change, (await routing.publish(world.change, TABLE, "")).version)


async def _route_draft(world: World) -> int:
    """Of somebody who may have one, as good as new; its revision."""
    await route_drafts.discard(world.by(world.able))
    await route_drafts.begin(world.by(world.able))
    return 1


def _one_rule(document: route_drafts.Document) -> route_drafts.Document:
    return {**document, "rule": [{"name": "other", "pool": "CMCC"}]}


@example(route_drafts.begin, "route.draft_begin")
async def _(world: World, change: Change) -> None:
    await route_drafts.discard(world.by(world.able))
    await route_drafts.begin(change)


@example(route_drafts.edit, "route.draft")
async def _(world: World, change: Change) -> None:
    await routing.publish(world.change, TABLE, "")
    await route_drafts.edit(change, await _route_draft(world), _one_rule)


@example(route_drafts.catch_up, "route.draft")
async def _(world: World, change: Change) -> None:
    revision = await _route_draft(world)
    await routing.publish(world.change, TABLE, "")
    await route_drafts.catch_up(change, revision, keep=False)


@example(route_drafts.discard, "route.draft_discard")
async def _(world: World, change: Change) -> None:
    await _route_draft(world)
    await route_drafts.discard(change)


@example(route_drafts.publish, "route.publish")
async def _(world: World, change: Change) -> None:
    await routing.publish(world.change, TABLE, "")
    await route_drafts.edit(world.by(world.able), await _route_draft(world), _one_rule)
    await route_drafts.publish(change, 2, "")


@example(route_drafts.roll_back, "route.publish")
async def _(world: World, change: Change) -> None:
    version = (await routing.publish(world.change, TABLE, "")).version
    seen = (await routing.publish(world.change, _one_rule(TABLE), "")).version
    await route_drafts.roll_back(change, version, seen, "")


async def route_submitted(world: World) -> int:
    """A table that waits."""
    waits = await world.database.fetchval("SELECT id FROM route_submission WHERE state = 'waiting'")
    if waits:
        await route_approvals.reject(world.change, waits, "")
    await settings.put(world.change, "route_approval", 1)
    made = await routing.publish(world.change, TABLE, "")
    await without_second(world, "route_approval")
    return made.waits


@example(route_approvals.approve, "route.approve")
async def _(world: World, change: Change) -> None:
    await route_approvals.approve(change, await route_submitted(world))


@example(route_approvals.reject, "route.reject")
async def _(world: World, change: Change) -> None:
    await route_approvals.reject(change, await route_submitted(world), "no")


@example(routing.move, "route.publish")
async def _(world: World, change: Change) -> None:
    await routing.move(change, "account", "own", await channel(world, world.change), "")


@example(routing.restore, "route.publish")
async def _(world: World, change: Change) -> None:
    await routing.move(world.change, "account", "own", await channel(world, world.change), "")
    await routing.restore(change, "account", "own", "")


@example(following.move_account, "account.route")
async def _(world: World, change: Change) -> None:
    await following.move_account(change, "own", await channel(world, world.change), "")


@example(following.move_channel, "channel.replace")
async def _(world: World, change: Change) -> None:
    await following.move_channel(change, await channel(world, world.change), await channel(world, world.change), "")


@example(prefixes.put, "number.set")
async def _(_: World, change: Change) -> None:
    await prefixes.put(change, "1380013", "CUCC")


@example(unmatched.begin, "report.rematch")
async def _(world: World, change: Change) -> None:
    await unmatched.begin(change, await channel(world, world.change), MatchRule.SAME)


@example(following.restore_account, "account.route")
async def _(world: World, change: Change) -> None:
    await routing.move(world.change, "account", "own", await channel(world, world.change), "")
    await following.restore_account(change, "own", "")


def a_made(world: World, change: Change) -> tuple[Made, StoredFile]:
    file = replace(a_file(world, change), kind="material", sha256=world.ids().to_bytes(32, "big"))
    return Made(MaterialKind.PICTURE, "image/png", b"", 4, 4, thumbnail=b"x"), file


async def a_material(world: World) -> int:
    made, file = a_made(world, world.change)
    return await materials.add(world.change, world.account_id, MaterialDraft("图"), made, file)


@example(materials.add, "material.add")
async def _(world: World, change: Change) -> None:
    await materials.add(change, world.account_id, MaterialDraft("图"), *a_made(world, change))


@example(materials.keep, "material.add")
async def _(world: World, change: Change) -> None:
    store: Any = Materials(world, change)
    with a_picture(world) as incoming:
        Image.new("RGB", (4, 4)).save(incoming.path, "PNG")
        await materials.keep(change, store, world.account_id, MaterialDraft("图"), incoming)


class Materials(Store):
    """Keeps nothing; each file is another."""

    async def keep(self, *_: Any) -> StoredFile:
        return a_made(self.world, self.change)[1]


@example(materials.put, "material.set")
async def _(world: World, change: Change) -> None:
    await materials.put(change, await a_material(world), MaterialDraft("另一张图"))


@example(materials.decide, "material.decide")
async def _(world: World, change: Change) -> None:
    await materials.decide(change, await a_material(world), passes=True, answer="")


@example(materials.take, "material.take")
async def _(world: World, change: Change) -> None:
    file = replace(a_file(world, world.change), kind="material", sha256=world.ids().to_bytes(32, "big"))
    async with world.database.transaction() as connection:
        await file_queries.add(connection, file)
    made = a_made(world, world.change)[0]
    id_ = await materials.add(world.change, world.account_id, MaterialDraft("图"), made, file)
    await world.database.execute("UPDATE material SET state = 'approved' WHERE id = $1", id_)
    await materials.take(change, id_)


@example(materials.remove, "material.remove")
async def _(world: World, change: Change) -> None:
    await materials.remove(change, await a_material(world))


@example(routing.set_rule, "retry.set")
async def _(world: World, change: Change) -> None:
    await routing.set_rule(change, *CELL, Rule(How.NEVER, 1, 0, 0, 0))


@example(routing.reset_rules, "retry.reset")
async def _(world: World, change: Change) -> None:
    await routing.reset_rules(change, *CELL)


@example(routing.set_code, "code.set")
async def _(world: World, change: Change) -> None:
    await routing.set_code(change, None, Source.REPORT, "XX:9", "NETWORK", Fault.NETWORK)


@example(routing.remove_code, "code.remove")
async def _(world: World, change: Change) -> None:
    await routing.set_code(world.change, None, Source.REPORT, "XX:8", "NETWORK", Fault.NETWORK)
    await routing.remove_code(change, None, Source.REPORT, "XX:8")


@example(prefix_imports.bring_in, "number.import")
async def _(_: World, change: Change) -> None:
    await prefix_imports.bring_in(change, "f.csv", {"1709999": ("CMCC", "")})


@example(prefix_sheets.begin, "prefix.import")
async def _(world: World, change: Change) -> None:
    await prefix_sheets.begin(change, await sheet(world, change), {"prefix": 0, "carrier": 1})


@example(prefix_imports.take_back, "number.import_undo")
async def _(world: World, change: Change) -> None:
    entries = {f"17099{world.name()[1:]:>02}": ("CMCC", "")}
    await prefix_imports.take_back(change, await prefix_imports.bring_in(world.change, "f.csv", entries))


@example(routing.remove_override, "number.remove")
async def _(world: World, change: Change) -> None:
    await prefixes.put(world.change, "1709998", "CMCC")
    await routing.remove_override(change, "1709998")


async def test_numbers_are_everybodys_and_not_of_who_sees_a_part(world: World) -> None:
    part = world.by(Actor(ActorKind.PERSON, "part", 3, ALL, Scope((world.account_id,))))
    await prefixes.put(world.change, "1709996", "CMCC")
    with pytest.raises(Refused) as put:
        await prefixes.put(part, "1709996", "CUCC")
    with pytest.raises(Refused) as removed:
        await routing.remove_override(part, "1709996")
    assert put.value.code == removed.value.code == "PERMISSION_DENIED"


async def test_an_account_out_of_scope_is_given_to_no_channel(world: World) -> None:
    elsewhere = world.by(Actor(ActorKind.PERSON, "elsewhere", 3, ALL, Scope((1 << 50,))))
    with pytest.raises(SmsgwError) as refused:
        await routing.move(elsewhere, "account", "own", await channel(world, world.change), "")
    assert refused.value.code == "NOT_FOUND"


# --- key file --------------------------------------------------------------------------------------------------------


@example(key_files.add, "key_file.add")
async def _(world: World, change: Change) -> None:
    await key_files.add(change, world.key_file)


@example(key_files.rotate, "key_file.rotate")
async def _(world: World, change: Change) -> None:
    await key_files.rotate(change, world.key_file, None)


@example(key_files.reseal, "key_file.reseal")
async def _(world: World, change: Change) -> None:
    await keys.add(world.change, world.sealer, world.account_id)
    await key_files.rotate(world.change, world.key_file, None)
    await key_files.reseal(change, world.sealer)
