"""People at the portal as tests of its pages need them: who they are, what they are shown and what they are refused."""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from typing import Any

import aiohttp
import pytest
from browsing import Browser
from portal_site import Site

from smsgw.core.actor import Actor, ActorLabel, ScopeKind
from smsgw.core.errors import SmsgwError
from smsgw.core.model import MessageType, Origin
from smsgw.core.permissions import Permission
from smsgw.pipeline.accept.requests import SendItem, SendRequest
from smsgw.platform.change import Change
from smsgw.platform.org import queries
from smsgw.platform.org import service as org

Fields = dict[str, str] | Sequence[tuple[str, str]]


class Visitor(Browser):
    """A browser that says in a line what was answered."""

    async def status_of(self, path: str, data: Fields | None = None, **how: Any) -> int:
        """The status of a page, or of the answer to a form with these fields."""
        await (self.get(path, **how) if data is None else self.post(path, data, **how))
        return self.status

    async def led_to(self, path: str, data: Fields | None = None) -> str:
        """The address at which a page, or a form with these fields, ends."""
        await self.status_of(path, data)
        return self.path

    async def mark_of(self, path: str) -> dict[str, str]:
        """The field of a form there that says what the form was made of."""
        found = re.search(r'name="seen" value="([0-9a-f]{16})"', await self.get(path))
        assert found, path
        return {"seen": found[1]}

    async def octets(self, path: str, data: dict[str, str] | None = None) -> bytes:
        """A file that is fetched, or comes as the answer to a form with these fields."""
        fields = None if data is None else {"csrf": self.csrf} | data
        async with self.session.request("GET" if data is None else "POST", path, data=fields) as response:
            self.status, self.headers = response.status, response.headers
            assert response.status == 200, path
            return await response.read()

    async def brings(self, path: str, octets: bytes, name: str = "x.csv", **fields: str) -> str:
        """A form with this file and these fields is sent; the page after it."""
        form = aiohttp.FormData(quote_fields=False)
        for key, value in ({"csrf": self.csrf} | fields).items():
            form.add_field(key, value)
        form.add_field("file", io.BytesIO(octets), filename=name, content_type="application/octet-stream")
        async with self.session.post(path, data=form) as response:
            return await self._read(response)

    async def refused(self, path: str, data: Fields, *said: str, no: str | Sequence[str] = ()) -> str:
        """A form with these fields is refused in these words, and not in others; its page."""
        page = await self.post(path, data)
        assert self.status == 422, (self.status, page)
        shows(page, *said, no=no)
        return page

    async def confirms(self, path: str, data: dict[str, str], *said: str) -> str:
        """A form whose effect is told in these words and then confirmed; the page after it."""
        shows(await self.post(path, data), *said)
        return await self.post(path, data | {"confirmed": "1"})


@contextlib.asynccontextmanager
async def all_entered(site: Site, *logins: str) -> AsyncIterator[list[Visitor]]:
    """People who have logged in, in this order."""
    async with contextlib.AsyncExitStack() as stack:
        people = [await stack.enter_async_context(Visitor(site)) for _ in logins]
        for person, login in zip(people, logins, strict=True):
            await person.login(login)
        yield people


@contextlib.asynccontextmanager
async def entered(site: Site, login: str) -> AsyncIterator[Visitor]:
    """A person who has logged in."""
    async with all_entered(site, login) as (person,):
        yield person


async def page_for(site: Site, login: str, path: str) -> str:
    """A page as this person is shown it."""
    async with entered(site, login) as person:
        return await person.get(path)


def table_rows(page: str) -> list[list[str]]:
    """The texts of the cells of a list, row by row, and of those at its foot."""
    listed = page.partition('id="list-rows"')[2] or page  # behind the pictures, which have tables too
    table = listed.partition("<tbody")[2].partition("</table>")[0]
    rows = [re.findall(r"<t[dh][ >].*?</t[dh]>", row, re.DOTALL)
            for row in re.findall(r"<tr[ >].*?</tr>", table, re.DOTALL)]  # fmt: skip
    plain = [[" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in row] for row in rows]
    return [row for row in plain if row]


def shows(page: str, *texts: str, no: str | Sequence[str] = ()) -> None:
    """All of these texts stand there, and none of the others."""
    missing = [text for text in texts if text not in page]
    assert not missing, f"{missing} not in {page}"
    lacks(page, *([no] if isinstance(no, str) else no))


def lacks(page: str, *texts: str) -> None:
    """None of this stands there."""
    found = [text for text in texts if text in page]
    assert not found, f"{found} in {page}"


def acting(site: Site) -> Change:
    """What the test itself changes."""
    return Change(site.db, Actor.system("test"), ids=site.ids.next)


async def actions(site: Site, like: str) -> list[str]:
    """What the audit log has of this, in its order."""
    rows = await site.db.fetch("SELECT action FROM audit WHERE action LIKE $1 ORDER BY id", like)
    return [row["action"] for row in rows]


async def add_role(site: Site, code: str, rights: Iterable[Permission], scope: ScopeKind = ScopeKind.ACCOUNTS,
                   people: Collection[str] | dict[str, str] = ()) -> None:  # fmt: skip
    """A role of these rights, and people who have it: with the account that is named beside them."""
    change = acting(site)
    await org.add_role(change, code, code, [Permission.HOME_VIEW, *rights], scope)
    for login in people:
        await site.add_staff(login, code, *([people[login]] if isinstance(people, dict) else []))


def cells(octets: bytes) -> list[list[str]]:
    """The rows of a CSV file."""
    return list(csv.reader(io.StringIO(octets.decode("utf-8-sig"))))


async def taken_away(browser: Visitor, list_: str, query: str) -> list[list[str]]:
    """The rows of the file of a list, as its export makes it."""
    await browser.post(f"{list_}/-/export", {"q": query, "reason": "核对", "format": "csv"})
    job = browser.path
    await browser.job_done(job)
    return cells(await browser.octets(f"{job}/link", {}))


@contextlib.contextmanager
def fails(code: str) -> Iterator[None]:
    """What is done within is refused with this code."""
    with pytest.raises(SmsgwError) as refused:
        yield
    assert refused.value.code == code


async def acting_as(site: Site, login: str) -> Change:
    """What this person changes."""
    person = await queries.person(site.db, login)
    assert person is not None
    return Change(site.db, person.actor(), ids=site.ids.next)


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
