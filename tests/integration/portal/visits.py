"""What tests of pages do over and over: somebody signs in, asks for addresses, and looks for words."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Collection, Iterable, Iterator
from typing import Any

import pytest
import pytest_asyncio
from browsing import Browser
from portal_site import SEALER, Site
from wizard_steps import begun, draft_in, fields, upload

from smsgw.core.actor import Actor, ActorLabel, ScopeKind
from smsgw.core.errors import SmsgwError
from smsgw.core.model import MessageType, Origin
from smsgw.core.permissions import Permission
from smsgw.pipeline.accept.requests import SendItem, SendRequest
from smsgw.platform.change import Change
from smsgw.platform.channels import service as channels
from smsgw.platform.org import queries, service as org


@contextlib.asynccontextmanager
async def signed_in(site: Site, login: str, role: str = "") -> AsyncIterator[Browser]:
    """The browser of somebody who has logged in; with a ``role``, of somebody new."""
    if role:
        await site.add_staff(login, role)
    async with Browser(site) as browser:
        await browser.login(login)
        yield browser


@contextlib.asynccontextmanager
async def all_signed_in(site: Site, *logins: str) -> AsyncIterator[list[Browser]]:
    """The browsers of people who have logged in, in this order."""
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(signed_in(site, login)) for login in logins]


async def page_for(site: Site, login: str, path: str) -> str:
    """A page as this person is shown it."""
    async with signed_in(site, login) as person:
        return await person.get(path)


@contextlib.contextmanager
def raises_code(code: str) -> Iterator[None]:
    """What is done within is refused with this code."""
    with pytest.raises(SmsgwError) as refused:
        yield
    assert refused.value.code == code


async def fails(error: type[SmsgwError], doing: Awaitable[object], match: str = "", code: str = "") -> None:
    """It is refused: with this in its message, and with this code."""
    with pytest.raises(error, match=match or None) as refused:
        await doing
    assert code in ("", refused.value.code)


def lacking(page: str, *words: str) -> list[str]:
    """Those of the words that the page does not have."""
    return [word for word in words if word not in page]


def having(page: str, *words: str) -> list[str]:
    """Those of the words that the page has."""
    return [word for word in words if word in page]


async def column(site: Site, query: str, *of: object) -> list[Any]:
    """The first column of what is found."""
    return [row[0] for row in await site.db.fetch(query, *of)]


async def second_channel(site: Site, *carriers: str, access_code: str = "10690002") -> int:
    """A channel mobile-b, of these carriers (none: of all); its id."""
    fields = {"protocol": "cmpp30", "host": "127.0.0.1", "port": 7891, "username": "900002", "password": "secret",
              "access_code": access_code} | ({"carriers": list(carriers)} if carriers else {})  # fmt: skip
    return await channels.add(acting(site), SEALER, "mobile-b", fields)


def guessed(page: str) -> dict[str, str]:
    """The columns of a table that the page of its import has chosen by itself."""
    selects = re.findall(r'<select [^>]*name="(column_\w+)"[^>]*>(.*?)</select>', page, re.S)
    return {key: m[1] for key, body in selects if (m := re.search(r'value="(\d+)" selected', body))}


def table_rows(page: str) -> list[list[str]]:
    """The texts of the cells of a list, row by row, and of those at its foot."""
    listed = page.partition('id="list-rows"')[2] or page  # behind the pictures, which have tables too
    table = listed.partition("<tbody")[2].partition("</table>")[0]
    rows = [
        re.findall(r"<t[dh][ >].*?</t[dh]>", row, re.DOTALL) for row in re.findall(r"<tr[ >].*?</tr>", table, re.DOTALL)
    ]
    plain = [[" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in row] for row in rows]
    return [row for row in plain if row]


def acting(site: Site) -> Change:
    """What the test itself changes."""
    return Change(site.db, Actor.system("test"), ids=site.ids.next)


async def acting_as(site: Site, login: str) -> Change:
    """What this person changes."""
    person = await queries.person(site.db, login)
    assert person is not None
    return Change(site.db, person.actor(), ids=site.ids.next)


async def actions(site: Site, prefix: str) -> list[str]:
    """What the audit log has of actions that begin so, in their order."""
    rows = await site.db.fetch("SELECT action FROM audit WHERE starts_with(action, $1) ORDER BY id", prefix)
    return [row["action"] for row in rows]


async def add_role(site: Site, code: str, rights: Iterable[Permission], scope: ScopeKind = ScopeKind.ACCOUNTS,
                   people: Collection[str] | dict[str, str] = ()) -> None:  # fmt: skip
    """A role of these rights, and people who have it: with the account that is named beside them."""
    change = acting(site)
    await org.add_role(change, code, code, [Permission.HOME_VIEW, *rights], scope)
    for login in people:
        await site.add_staff(login, code, *([people[login]] if isinstance(people, dict) else []))


async def submitted(
    site: Site, account: str, *numbers: str, content: str = "您好", kind: MessageType = MessageType.NOTICE,
    origin: Origin = Origin.API, by: str = "key-1", **more: Any,
) -> list[int]:  # fmt: skip
    """Messages in one call, with what is said of it besides; their ids."""
    chosen = site.snapshots.current.account(site.accounts[account])
    assert chosen is not None
    items = tuple(SendItem(to=number, content=content) for number in numbers)
    result = await site.acceptor.send(SendRequest(chosen, items, kind, origin, ActorLabel(by), **more))
    return [int(item.message_id or 0) for item in result.items]


async def taken_away(browser: Browser, list_: str, query: str) -> list[list[str]]:
    """The rows of the file of a list, as its export makes it."""
    await browser.post(f"{list_}/-/export", {"q": query, "reason": "核对", "format": "csv"})
    job = browser.path
    await browser.job_done(job)
    return await browser.table_at(f"{job}/link", {})


@pytest_asyncio.fixture
async def boss(site: Site) -> AsyncIterator[Browser]:
    """The browser of whoever may do everything."""
    async with signed_in(site, "boss") as browser:
        yield browser


@pytest_asyncio.fixture
async def clerk(site: Site) -> AsyncIterator[Browser]:
    """The browser of whoever has some of it."""
    async with signed_in(site, "clerk") as browser:
        yield browser


async def addressed(site: Site, browser: Browser, to: str = "13800138000", **more: str) -> int:
    """A draft of a sending to numbers that were typed; its id."""
    draft = await begun(site, browser, **more)
    await browser.post(f"/send/{draft}/audience", {"source": "typed", "to": to})
    return draft


async def of_table(site: Site, browser: Browser, table: bytes, content: str, *variables: str) -> int:
    """A draft of a sending whose numbers and texts are of a table; its id."""
    await browser.get("/custom")
    page = await upload(browser, "/custom", table, account=site.accounts["hall"])
    draft = draft_in(browser.path)
    await browser.post(f"/send/{draft}/content", fields(site, page, content=content))
    await browser.post(f"/send/{draft}/audience", {"phone": "手机号"} | {f"var_{name}": name for name in variables})
    return draft


def linked(page: str, path: str) -> list[str]:
    """The ids of what lies below this path and the page leads to, in its order."""
    return list(dict.fromkeys(re.findall(rf'href="{path}/([0-9]+)"', page)))
