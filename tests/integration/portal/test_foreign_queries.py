"""Queries find nothing of another account: asked directly, where no page and no call of the API passes a foreign id."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from databases import change as changed
from days import today
from foreign_things import MARK, NUMBER, furnish
from portal_site import Site, by_test

from smsgw.core.actor import EVERYTHING, Actor, ActorKind, Scope
from smsgw.core.errors import SmsgwError
from smsgw.core.permissions import ALL
from smsgw.platform.accounts import service as accounts
from smsgw.platform.audience import book
from smsgw.platform.audience.model import Shared, Sharing
from smsgw.platform.campaigns import uploads
from smsgw.platform.change import Change
from smsgw.platform.codes import queries as codes
from smsgw.platform.drafts import queries as drafts, service as drafting
from smsgw.platform.drafts.model import State
from smsgw.platform.jobs import queries as jobs
from smsgw.platform.lists import block_explanation, complaints, queries as lists
from smsgw.platform.messages import queries as messages, resend
from smsgw.platform.notices import service as notices
from smsgw.platform.org import importing, service as org
from smsgw.platform.paging import Window
from smsgw.platform.statistics import failures, queries as statistics, reports
from smsgw.platform.tickets.model import TICKETS
from smsgw.platform.webhooks import queries as webhooks
from smsgw.platform.webhooks.model import WantedDeliveries
from smsgw.store.engine.database import Database

pytestmark = pytest.mark.staff(boss="super")
HELD = "8613912345679"
_DATA = f"""
UPDATE task SET extend_code = '7' WHERE name LIKE '{MARK}%';
UPDATE scenario SET extend_code = '8' WHERE name LIKE '{MARK}%';
UPDATE ticket SET opened_by = 'walker';
UPDATE part SET state = 41, final_at = now(), by_us = false, class = 'EMPTY_NUMBER' WHERE id = {{message}};
INSERT INTO upload (id, account_id, node, name, size, form, columns, phone_column, first_rows, row_count, submitter,
                    expires_at)
VALUES (1, {{account}}, 1, 'x', 1, '{{{{}}}}', '{{{{}}}}', 0, '[]', 0, 'x', now() + interval '1 day');
INSERT INTO acknowledged_day VALUES ('{{today}}', {{account}}, 'api', 1, 1);
INSERT INTO stat_minute (minute, node, account_id, channel_id, metric, n)
VALUES (date_trunc('minute', now()), 9, {{account}}, 0, 'accepted', 1);
"""  # noqa: S608 - a constant


@dataclass(frozen=True, slots=True)
class Asking:
    """By whom, of a site where another account has one of everything."""

    site: Site
    things: Mapping[str, str]
    scope: Scope = EVERYTHING

    @property
    def db(self) -> Database:
        return self.site.db

    @property
    def actor(self) -> Actor:
        return Actor(ActorKind.PERSON, "walker", 77, ALL, self.scope)

    @property
    def accounts(self) -> tuple[int, ...] | None:
        return self.scope.accounts

    def id(self, kind: str) -> int:
        return int(self.things[kind])


def half_a_day() -> dict[str, datetime]:
    now = datetime.now(UTC)
    return {"from_time": now - timedelta(hours=12), "to_time": now + timedelta(hours=1)}


async def complained_of(asking: Asking) -> bool:
    entered = await complaints.enter(Change(asking.db, asking.actor, ids=asking.site.ids.next), NUMBER)
    return entered.message_id is not None


async def refused_and_held(asking: Asking) -> list[bool]:
    one, other = [await block_explanation.read(asking.db, number, accounts=asking.accounts, days=30, complaints=True)
                  for number in (NUMBER, HELD)]  # fmt: skip
    return [bool(found) for found in (one.complaints, one.refusals, other.held)]


async def holders(asking: Asking) -> list[bool]:
    kinds = {one.kind for one in await codes.holders(asking.db, asking.accounts) if one.digits.endswith(("7", "8"))}
    return [kind in kinds for kind in (codes.Kind.TASK, codes.Kind.SCENARIO)]


async def drafts_of_keys(asking: Asking) -> list[Any]:
    actor = replace(asking.actor, kind=ActorKind.KEY)
    return [*(await drafts.search(asking.db, actor, Window(), subject=MARK)).rows]


async def jobs_of_others(asking: Asking) -> list[Any]:
    actor = replace(asking.actor, scope=replace(asking.scope, departments=None))
    return [*(await jobs.search(asking.db, actor, Window(), kind="block.import", **half_a_day())).rows]


async def deliveries(asking: Asking) -> list[Any]:
    about = WantedDeliveries(*half_a_day().values(), state="waiting", message_id=asking.id("message"))
    return [*(await webhooks.search(asking.db, about, Window(), accounts=asking.accounts)).rows]


async def own_tickets(asking: Asking) -> list[Any]:
    """What one has opened, in an account that is not in one's scope any more."""
    actor = replace(asking.actor, scope=replace(asking.scope, submitter=asking.actor.label))
    return [*(await TICKETS.search(asking.db, actor, None, Window())).rows]


READ: dict[str, Callable[[Asking], Awaitable[Any]]] = {
    "uploads.get": lambda a: uploads.get(a.db, 1, accounts=a.accounts, now=datetime.now(UTC)),
    "codes.holders": holders,
    "drafts.search": drafts_of_keys,
    "jobs.get": lambda a: jobs.get(a.db, replace(a.scope, departments=None), a.id("block_import")),
    "jobs.search": jobs_of_others,
    "block_explanation.read": refused_and_held,
    "complaints.enter": complained_of,
    "lists.newest_allowed": lambda a: lists.newest_allowed(a.db, accounts=a.accounts),
    "messages.several": lambda a: messages.several(a.db, [a.id("message")], accounts=a.accounts),
    "messages.reasons": lambda a: messages.reasons(a.db, accounts=a.accounts, **half_a_day()),
    "resend.judged": lambda a: resend.judged(a.db, [a.id("message")], a.accounts),
    "importing.waiting": lambda a: importing.waiting(a.db, a.actor, a.id("staff_import")),
    "failures.cells": lambda a: failures.cells(a.db, a.actor, failures.WantedFailures(**half_a_day())),
    "statistics.per_hour": lambda a: statistics.per_hour(a.db, accounts=a.accounts, **half_a_day()),
    "reports.acknowledged": lambda a: reports.acknowledged(a.db, a.actor, reports.Wanted(today(), today())),
    "TICKETS.search": own_tickets,
    "webhooks.search": deliveries,
}
"""What is found; of several things a list of whether each is."""


async def test_a_query_finds_nothing_of_another_account(site: Site) -> None:
    things = await furnish(site, by_test(site.db))
    clinic = site.accounts["clinic"]
    await changed(site.db.dsn, _DATA.format(account=clinic, message=things["message"], today=today()))
    key = Actor(ActorKind.KEY, "ak_other", clinic, ALL, Scope((clinic,)))
    await drafting.add(Change(site.db, key, ids=site.ids.next), clinic, State(subject=f"{MARK} of a key"))
    asking = {"all": Asking(site, things), "mine": Asking(site, things, Scope((site.accounts["hall"],), ()))}
    found = {(name, who): await read(asking[who]) for who in asking for name, read in READ.items()}

    def there(name: str, who: str) -> list[bool]:
        said = found[name, who]
        return said if isinstance(said, list) and said and isinstance(said[0], bool) else [bool(said)]

    assert [name for name in READ if not all(there(name, "all"))] == [], "what nothing is of proves nothing"
    assert [name for name in READ if any(there(name, "mine"))] == []


async def test_a_foreign_account_is_none_to_be_below_or_to_be_assigned(site: Site) -> None:
    hall = site.accounts["hall"]
    scope = Scope((hall,), None)
    await site.add_staff("li", "operator")
    by = Change(site.db, Actor(ActorKind.OPERATOR, "root", 0, ALL, scope), ids=site.ids.next)
    await org.set_person(by, "li", {"accounts": [hall]})
    with pytest.raises(SmsgwError) as refused:
        await org.set_person(by, "li", {"accounts": [hall, site.accounts["clinic"]]})
    assert refused.value.code == "NOT_FOUND"
    for parent in ("clinic", "nobody's"):
        with pytest.raises(SmsgwError) as refused:
            await accounts.edit(by, hall, {"parent": parent})
        assert (refused.value.code, refused.value.detail["field"]) == ("PARAM_INVALID", "parent")


async def test_who_sees_own_submissions_alone_manages_nothing_of_the_account(site: Site) -> None:
    """And announces nothing beyond the departments in the scope."""
    things = await furnish(site, by_test(site.db))
    clinic, department = site.accounts["clinic"], int(things["department"])
    narrowed = Asking(site, things, Scope((clinic,), (department,), Asking(site, things).actor.label)).actor
    shared = Sharing(Shared.ACCOUNT)
    await book.add_group(by_test(site.db), clinic, f"{MARK} shared", shared)
    assert [row["name"] for row in await book.open_groups(site.db, narrowed, clinic)] == []
    whole = replace(narrowed, scope=Scope((clinic,), (department,)))
    assert [row["name"] for row in await book.open_groups(site.db, whole, clinic)] == [f"{MARK} shared"]
    with pytest.raises(SmsgwError) as refused:
        await book.add_group(Change(site.db, narrowed, ids=site.ids.next), clinic, "another", shared)
    assert refused.value.code == "PARAM_INVALID"
    await org.add_department(by_test(site.db), f"{MARK} below", department)
    for audience, targets in (("all", []), ("departments", [department])):
        with pytest.raises(SmsgwError) as refused:
            await notices.publish(Change(site.db, whole, ids=site.ids.next), "t", "c", audience=audience,
                                  targets=targets, until=datetime.now(UTC) + timedelta(days=1))  # fmt: skip
        assert refused.value.code == "NOT_FOUND", audience
