"""A sending to people of the address book: groups, tags and single contacts, each person once and only those seen."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest_asyncio
from browsing import shows
from portal_site import Site, running
from visits import acting, signed_in
from wizard_steps import begun, draft_in, imported, looked_at, submitted

from smsgw.platform.audience import book
from smsgw.platform.audience import service as audience
from smsgw.platform.audience.model import EntryDraft, Shared, Sharing
from smsgw.platform.change import Change
from smsgw.platform.org import queries as people


@dataclass
class Book:
    """What the test's account knows."""

    site: Site
    parents: int
    staff: int
    ids: dict[str, int]
    """Name -> contact."""


@pytest_asyncio.fixture
async def known(dsn: str, tmp_path: Path) -> AsyncIterator[Book]:
    async with running(dsn, tmp_path) as site:
        await site.add_staff("clerk", "operator", "hall")
        await site.add_staff("other", "operator", "hall")
        hall, change = site.accounts["hall"], acting(site)
        parents, staff = [(await audience.add_audience(change, hall, name)).id for name in ("家长", "教师")]
        ids = {}
        for n, (name, groups, tags) in enumerate((("甲", (parents,), ("一年级",)), ("乙", (parents, staff), ()),
                                                  ("丙", (staff,), ()), ("丁", (), ("一年级",)),
                                                  ("戊", (), ("二年级",)), ("己", (), ()))):  # fmt: skip
            ids[name] = await book.add(
                change, EntryDraft(hall, f"861380013800{n}", name, tags, {}, groups, Sharing(Shared.ACCOUNT))
            )
        other = await people.person(site.db, "other")
        ids["别人的"] = await book.add(
            Change(site.db, other.actor()),
            EntryDraft(hall, "8613800138009", "别人的", ("一年级",), {}, (), Sharing(Shared.OWN)),
        )
        yield Book(site, parents, staff, ids)


async def to(site: Site) -> list[str]:
    """The numbers of the newest task."""
    task = await imported(site)
    rows = await site.db.fetch("SELECT number FROM task_row WHERE task_id = $1 ORDER BY number", task)
    return [row["number"] for row in rows]


async def test_each_person_gets_it_once(known: Book) -> None:
    site, ids = known.site, known.ids
    async with signed_in(site, "clerk") as clerk:
        draft = await begun(site, clerk, content="{姓名}您好")
        form = [("source", "audience"), ("groups", str(known.parents)), ("groups", str(known.staff)),
                ("tags", "一年级"), ("contacts", str(ids["己"])), ("contacts", str(ids["甲"]))]  # fmt: skip
        piece = html.unescape(await clerk.post(f"/send/{draft}/book", form))
        assert "共 5 位联系人" in piece, "甲乙丙丁己, and nothing of what is somebody else's"
        await clerk.post(f"/send/{draft}/audience", form)
        assert urlsplit(clerk.path).path == f"/send/{draft}/clean", clerk.path
        assert "共 5 行，有效 5 行" in await looked_at(clerk, draft)
        page = html.unescape(await clerk.get(f"/send/{draft}/audience"))
        assert sorted(re.findall(r'name="(groups|tags|contacts)" value="([^"]+)" checked', page)) == sorted(form[1:])
        await submitted(clerk, draft)
        assert await to(site) == [f"861380013800{n}" for n in (0, 1, 2, 3, 5)]
        rows = await site.db.fetch("SELECT vals FROM task_row ORDER BY number")
        assert [row["vals"] for row in rows] == [["甲"], ["乙"], ["丙"], ["丁"], ["己"]]

        # Copied, it is the same people.
        task = await site.db.fetchval("SELECT id FROM task")
        await clerk.post(f"/tasks/{task}/copy", {})
        page = html.unescape(await clerk.get(f"/send/{draft_in(clerk.path)}/audience"))
        assert sorted(re.findall(r'name="(groups|tags|contacts)" value="([^"]+)" checked', page)) == sorted(form[1:])


async def test_they_are_found_by_a_part_of_the_name(known: Book) -> None:
    site, ids = known.site, known.ids
    async with signed_in(site, "clerk") as clerk:
        draft = await begun(site, clerk)

        async def found(part: str) -> list[tuple[str, str]]:
            piece = await clerk.post(f"/send/{draft}/book", {"source": "audience", "book_part": part})
            assert clerk.status == 200
            return re.findall(r'name="(groups|tags|contacts)" value="([^"]+)"', html.unescape(piece))

        groups = [("groups", str(known.parents)), ("groups", str(known.staff))]
        assert await found("") == [*groups, ("tags", "一年级"), ("tags", "二年级")]
        assert await found("教") == [("groups", str(known.staff))]
        assert await found("二") == [("tags", "二年级")]
        assert await found("丙") == [("contacts", str(ids["丙"]))]
        assert await found("138 0013 8004") == [("contacts", str(ids["戊"]))]
        assert await found("别人的") == [], "somebody else's own"
        assert await found("%") == []
        await clerk.refused(f"/send/{draft}/audience", {"source": "audience"})
        await clerk.post(f"/send/{draft}/audience", {"source": "audience", "contacts": str(ids["别人的"])})
        assert clerk.status == 422, "nobody is left"
        await clerk.refused(f"/send/{draft}/audience", {"source": "audience", "groups": "999999"})


async def test_more_groups_than_are_listed_are_found(known: Book) -> None:
    site = known.site
    await site.db.execute("INSERT INTO audience (account_id, name) "
                          "SELECT $1, '班级' || lpad(n::text, 3, '0') FROM generate_series(1, 300) n",
                          site.accounts["hall"])  # fmt: skip
    async with signed_in(site, "clerk") as clerk:
        draft = await begun(site, clerk)
        shows(html.unescape(await clerk.get(f"/send/{draft}/audience")), "还有更多未列出，请输入名称查找", no="班级300")
        assert "班级300" in html.unescape(await clerk.post(f"/send/{draft}/book", {"book_part": "级300"}))


async def test_a_message_to_contacts_begins_on_their_page(known: Book) -> None:
    site, ids = known.site, known.ids
    async with signed_in(site, "clerk") as clerk:
        chosen = [("id", str(ids["甲"])), ("id", str(ids["丁"]))]
        assert "将为 2 个联系人" in html.unescape(await clerk.post("/contacts/-/effect/send", chosen))
        page = await clerk.post("/contacts/-/do/send", chosen)
        draft = draft_in(clerk.path)
        assert urlsplit(clerk.path).path == f"/send/{draft}/content"
        key = re.search(r'name="key" value="([^"]+)"', page)
        form = {"key": key[1], "account": str(site.accounts["hall"]), "type": "notice", "content": "您好"}
        await clerk.post(f"/send/{draft}/content", form)
        assert "共 2 位联系人" in html.unescape(await clerk.get(f"/send/{draft}/audience"))
        assert urlsplit((await clerk.get(f"/drafts/{draft}"), clerk.path)[1]).path == f"/send/{draft}/audience"
        await clerk.post(f"/send/{draft}/audience", [("source", "audience"), *(("contacts", v) for _, v in chosen)])
        await submitted(clerk, draft)
        assert await to(site) == ["8613800138000", "8613800138003"]
