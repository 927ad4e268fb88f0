"""Statements of pages: no more than their kind takes, and opening one writes the log alone (times: scripts/pages)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import portal_walk
import pytest
import pytest_asyncio
from demo_site import DemoSite, demo_site
from page_costs import Cost, kind_of, session_of, watched

MOST = {"list": 10, "report": 10, "detail": 10, "form": 12, "page": 14, "poll": 8}
"""Statements by the kind of a page, those of its session (two) and of its menu's badges included."""
MORE = {
    "/": 24, "/home/live": 22,  # a card is a statement or two
    "/tasks": 12, "/scheduled": 12, "/tasks/-/rows": 12, "/scheduled/-/rows": 12, "/scheduled/{id}": 20,
    "/tasks/{id}": 20, "/review/decided/{id}": 16,  # what a reviewer was shown
    "/tasks/report": 40,  # some for each dimension and stretch of a task's messages, and whether they carry a link
    "/blocked/why": 16,  # every list, and what the number may be stored as
    "/records/{id}/live": 9,  # of a message with a short link, when nobody has looked just now
    "/records": 13, "/records/-/total": 11,  # planned anew each time, in a transaction
}  # fmt: skip
"""Those that take more, and why."""
WRITTEN = {"portal_session", "audit", "audit_open"}
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.shard("volume")]


@pytest.fixture(autouse=True)
def audit_key() -> None:
    """The audit log of the site is signed with its own."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[DemoSite, list[Cost]]]:
    dsn = await postgres.make("page_costs", postgres.template)
    try:
        with watched() as costs:
            async with demo_site(dsn, tmp_path_factory.mktemp("demo"), days=10, daily=60) as site:
                yield site, costs
    finally:
        await postgres.drop("page_costs")


def derived(address: str) -> set[str]:
    """What is only worked out anew: the survey of a draft, by a job, when somebody looks at its result."""
    return {"job"} if re.match(r"/send/\d+/(clean|confirm)", address) else set()


@pytest.mark.slow
async def test_no_page_asks_the_database_more_often_than_its_kind_does(site: tuple[DemoSite, list[Cost]]) -> None:
    served, costs = site
    found = await portal_walk.stops(served, [*portal_walk.pages(), *portal_walk.polls()])
    assert len(found) > 80
    over, written = {}, set[str]()
    for role in dict.fromkeys(stop.role for stop in found):
        async with session_of(served, role) as client:
            for stop in (stop for stop in found if stop.role == role):
                for _ in range(2):  # the second time all that is remembered is known
                    costs.clear()
                    async with client.get(stop.address, allow_redirects=False) as answer:
                        await answer.read()
                        assert answer.status in (200, 303), stop.address  # a step that this draft has not
                    written |= {table for cost in costs for table in cost.written} - derived(stop.address)
                path = portal_walk.shape(stop.route.path)
                kind = "poll" if stop.route.passive else kind_of(stop.route)
                (cost,) = costs
                if cost.statements > MORE.get(path, MOST[kind]):
                    over[f"{stop.address} ({kind})"] = cost.statements
    assert not over, over
    assert written <= WRITTEN, "opening a page changes nothing but the log and the session"
