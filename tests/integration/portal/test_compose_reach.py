"""What a new sending lets nobody see or take away: other accounts' groups, colleagues' groups and numbers."""

from __future__ import annotations

import html
from dataclasses import replace

import msgspec
import pytest
from browsing import Browser
from databases import change as as_owner
from portal_site import Site
from visits import signed_in, status_of
from wizard_steps import begun, draft_in, imported, looked_at, submitted, upload

from smsgw.core.actor import Actor
from smsgw.core.errors import Invalid, Refused
from smsgw.core.model import MessageType, Origin
from smsgw.core.states import PartState
from smsgw.pipeline.accept.requests import SendItem, SendRequest
from smsgw.platform.audience import book
from smsgw.platform.audience.model import EntryDraft, Shared, Sharing
from smsgw.platform.change import Change
from smsgw.platform.drafts import queries
from smsgw.platform.org import queries as people

TABLE = "手机号,姓名\n13800138000,王一\n+1 310 555 1234,李二\n138,赵三\n"


pytestmark = pytest.mark.staff(clerk=("operator", "hall"), other=("operator", "hall"))


async def group(site: Site, account: str, name: str, *, owner: str = "", number: str = "13800138000") -> int:
    """A group of one contact; ``owner``: alone theirs, else everybody's who sees the account."""
    person = await people.person(site.db, owner) if owner else None
    actor = person.actor() if person else Actor.operator("test")
    sharing = Sharing(Shared.OWN if person else Shared.ACCOUNT)
    id_ = await book.add_group(Change(site.db, actor), site.accounts[account], name, sharing)
    draft = EntryDraft(site.accounts[account], number, name="王一", groups=(id_,), sharing=sharing)
    await book.add(Change(site.db, actor), draft)
    return id_


async def test_a_draft_cannot_be_made_to_look_at_another_account(site: Site) -> None:
    theirs = await group(site, "clinic", "病人")
    clinic = str(site.accounts["clinic"])
    async with signed_in(site, "clerk") as clerk:
        draft = await begun(site, clerk)
        form = {"account": clinic, "type": "notice", "content": "您好", "later": "1"}
        assert await status_of(clerk, f"/send/{draft}/content", form) == 404
        await clerk.post(f"/send/{draft}/audience", {"source": "audience", "audience": str(theirs), "later": "1"})
        # And should it stand there all the same, as when the account was taken away in between:
        await site.db.execute("UPDATE send_draft SET state = jsonb_set(state::jsonb, '{account}', to_jsonb($1::text))",
                              clinic)  # fmt: skip
        for page in ("clean", "clean/live", "clean/file?class=valid", "confirm", "confirm/live", "audience", "time"):
            assert await status_of(clerk, f"/send/{draft}/{page}") == 404, page
        assert await site.db.fetchval("SELECT count(*) FROM job") == 0
        await clerk.get(f"/drafts/{draft}")
        assert (clerk.status, clerk.path) == (200, f"/send/{draft}/content"), "another one can be chosen"
        hall = str(site.accounts["hall"])
        await clerk.post(f"/send/{draft}/content", {"account": hall, "type": "notice", "content": "您好"})
        assert clerk.path == f"/send/{draft}/audience"
        one = await queries.any_one(site.db, draft)
        assert (one.state.account, one.state.audience) == (hall, ""), "what was the other's is forgotten"


async def test_the_job_has_the_reach_of_whoever_has_asked(site: Site) -> None:
    theirs, private = await group(site, "clinic", "病人"), await group(site, "hall", "同事的", owner="other")
    person = await people.person(site.db, "clerk")
    async with signed_in(site, "clerk") as clerk:
        draft = await begun(site, clerk)
    one = await queries.any_one(site.db, draft)
    assert one is not None
    for account, audience in (("clinic", theirs), ("hall", private), ("hall", theirs)):
        state = {"account": str(site.accounts[account]), "audience": str(audience), "source": "audience"}
        asked = replace(one, state=msgspec.structs.replace(one.state, **state))
        with pytest.raises((Invalid, Refused)):
            await site.surveyor.survey(asked, person.actor())


async def test_a_colleague_s_own_group_is_not_offered_nor_taken(site: Site) -> None:
    private = await group(site, "hall", "同事的", owner="other")
    shared = await group(site, "hall", "大家的", number="13800138001")
    async with signed_in(site, "clerk") as clerk, Browser(site) as other:
        draft = await begun(site, clerk)
        page = html.unescape(await clerk.get(f"/send/{draft}/audience"))
        assert "大家的 <span class=\"quiet\">1</span>" in page
        assert "同事的" not in page
        page = await clerk.post(f"/send/{draft}/audience", {"source": "audience", "audience": str(private)})
        assert clerk.status == 422
        await clerk.post(f"/send/{draft}/audience", {"source": "audience", "audience": str(shared)})
        assert clerk.path == f"/send/{draft}/clean"
        await looked_at(clerk, draft, "confirm")
        await site.db.execute(
            "UPDATE audience g SET shared = 'own', owner_id = s.id FROM staff s WHERE s.login = 'other' AND g.id = $1",
            shared,
        )
        await submitted(clerk, draft)
        assert clerk.status == 422
        assert await site.db.fetchval("SELECT count(*) FROM task") == 0, "taken back before it was sent"
        await other.login("other")
        draft = await begun(site, other)
        assert "同事的" in await other.get(f"/send/{draft}/audience")
        await other.post(f"/send/{draft}/audience", {"source": "audience", "audience": str(private)})
        await submitted(other, draft)
        assert await site.db.fetchval("SELECT audience_id FROM task") == private


async def chosen(site: Site, source: str) -> dict[str, str]:
    """The fields of the step that chooses one number by a group, or by what has come of a message to it."""
    if source == "audience":
        return {"source": "audience", "audience": str(await group(site, "hall", "大家的"))}
    account = site.snapshots.current.account(site.accounts["hall"])
    assert account is not None
    items = (SendItem("13800138000", "通知"),)
    await site.acceptor.send(SendRequest(account, items, MessageType.NOTICE, Origin.API, "key"))
    await site.db.execute("UPDATE part SET state = $1", int(PartState.UNDELIVERABLE))
    return {"source": "segment", "segment": "unreached", "segment_days": "30"}


SOURCES = pytest.mark.parametrize(("source", "right"), [("audience", "contact.export"), ("segment", "message.export")])


@SOURCES
async def test_whole_numbers_of_an_audience_are_an_export(site: Site, dsn: str, source: str, right: str) -> None:
    fields = await chosen(site, source)
    async with signed_in(site, "clerk") as clerk:
        draft = await begun(site, clerk)
        await clerk.post(f"/send/{draft}/audience", fields)
        await looked_at(clerk, draft)
        await taken_away(site, clerk, dsn, f"/send/{draft}/clean/file?class=valid", right)


@SOURCES
async def test_rows_of_a_task_to_an_audience_are_an_export(site: Site, dsn: str, source: str, right: str) -> None:
    fields = await chosen(site, source)
    async with signed_in(site, "clerk") as clerk:
        draft = await begun(site, clerk)
        await clerk.post(f"/send/{draft}/audience", fields)
        await submitted(clerk, draft)
        task = await imported(site)
        await refused_row(site, task)
        await taken_away(site, clerk, dsn, f"/tasks/{task}/rows", right, named=f"/tasks/{task}")


async def test_rows_of_a_colleague_s_table_are_an_export(site: Site, dsn: str) -> None:
    async with signed_in(site, "clerk") as clerk:
        await clerk.get("/custom")
        await upload(clerk, "/custom", TABLE.encode(), account=site.accounts["hall"])
        draft = draft_in(clerk.path)
        form = {"account": str(site.accounts["hall"]), "type": "notice", "content": "{姓名}您好"}
        await clerk.post(f"/send/{draft}/content", form)
        await clerk.post(f"/send/{draft}/audience", {"phone": "手机号", "var_姓名": "姓名"})
        await submitted(clerk, draft)
        task = await imported(site)
        await refused_row(site, task)
        await _may(dsn, "message.export", yes=False)
        assert f"/tasks/{task}/rows" in await clerk.get(f"/tasks/{task}")
        assert "13800138000" in await clerk.get(f"/tasks/{task}/rows"), "it is their own"
        await site.db.execute("UPDATE upload SET submitter = 'other'")
        await taken_away(site, clerk, dsn, f"/tasks/{task}/rows", "message.export", named=f"/tasks/{task}")


async def refused_row(site: Site, task: int) -> None:
    """One row of it has got no message."""
    await site.db.execute(
        "INSERT INTO task_problem (task_id, run, line, n, number, code, message) "
        "VALUES ($1, 0, 1, 1, '8613800138000', 'NO_ROUTE', '没有通道')", task,
    )  # fmt: skip
    await site.db.execute("""UPDATE task SET problems = '{"NO_ROUTE": 1}' WHERE id = $1""", task)


async def taken_away(site: Site, clerk: Browser, dsn: str, file: str, right: str, *, named: str = "") -> None:
    """The file takes the right, and a second factor just now; the page that it is ``named`` on leads to it with the
    right alone."""
    await _may(dsn, right, yes=False)
    assert await status_of(clerk, file) == 403
    assert not named or file not in await clerk.get(named)
    await _may(dsn, right, yes=True)
    assert not named or file in await clerk.get(named)
    assert "13800138000" in await clerk.get(file)
    await site.db.execute("UPDATE portal_session SET factor_at = NULL, proven_at = now()")
    assert "13800138000" not in await clerk.get(file)
    assert clerk.path.startswith("/proof"), "a password is not enough"


async def test_a_colleague_s_numbers_are_not_copied(site: Site, dsn: str) -> None:
    async with signed_in(site, "clerk") as clerk, Browser(site) as other:
        draft = await begun(site, clerk)
        to = "13800138000\n+13105551234"
        await clerk.post(f"/send/{draft}/audience", {"source": "typed", "to": to})
        await submitted(clerk, draft)
        typed = await imported(site)
        await clerk.get("/custom")
        await upload(clerk, "/custom", TABLE.encode(), account=site.accounts["hall"])
        draft = draft_in(clerk.path)
        await clerk.post(f"/send/{draft}/content", {"account": str(site.accounts["hall"]), "type": "notice",
                                                    "content": "{姓名}您好"})  # fmt: skip
        await clerk.post(f"/send/{draft}/audience", {"phone": "手机号", "var_姓名": "姓名"})
        await submitted(clerk, draft)
        table = await imported(site)
        await other.login("other")
        await other.get("/send")
        for task in (typed, table):
            assert "号码只有提交人本人可以复制" in html.unescape(await other.post(f"/tasks/{task}/copy", {}))
            copied = await queries.any_one(site.db, draft_in(other.path))
            assert (copied.state.to, copied.state.upload) == ("", "")
            assert copied.state.content in ("您好，请到场", "{姓名}您好")
            theirs = copied
        # Nor are its texts, for who may not read those of others; the button is not there, either.
        await _may(dsn, "message.read", yes=False)
        for task in (typed, table):
            assert f"/tasks/{task}/copy" not in await other.get(f"/tasks/{task}")
            for way in ("copy", "mend"):
                assert await status_of(other, f"/tasks/{task}/{way}", {}) == 404, way
            assert f"/tasks/{task}/copy" in await clerk.get(f"/tasks/{task}"), "their own"
            assert await status_of(clerk, f"/tasks/{task}/copy", {}) == 200
        await _may(dsn, "message.read", yes=True)
        # Should a draft have a colleague's table from before:
        await site.db.execute(
            "UPDATE send_draft SET state = jsonb_set(state::jsonb, '{upload}', "
            "(SELECT to_jsonb(id::text) FROM upload)) WHERE id = $1", theirs.id,
        )  # fmt: skip
        await _may(dsn, "message.export", yes=False)
        assert await status_of(other, f"/send/{theirs.id}/clean/file?class=valid") == 403
        # The person's own come as they can be typed again: a foreign number stays foreign.
        await clerk.post(f"/tasks/{typed}/copy", {})
        copied = await queries.any_one(site.db, draft_in(clerk.path))
        assert copied.state.to.split() == to.split()
        await clerk.post(f"/tasks/{table}/copy", {})
        again = draft_in(clerk.path)
        await looked_at(clerk, again)
        file = await clerk.get(f"/send/{again}/clean/file?class=valid")
        assert "+13105551234" in file
        assert "8613105551234" not in file


async def _may(dsn: str, permission: str, *, yes: bool) -> None:
    """Whether everybody has a permission, whatever their roles say."""
    every = f"SELECT id, '{permission}', {yes} FROM staff"  # noqa: S608 - ours
    put = f"ON CONFLICT (staff_id, permission) DO UPDATE SET allowed = {yes}"
    await as_owner(dsn, f"INSERT INTO staff_permission (staff_id, permission, allowed) {every} {put}")
