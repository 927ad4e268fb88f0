"""One of everything that belongs to another department: made as people make it, so that whoever owns it reaches it."""

from __future__ import annotations

import asyncio
import io
import json
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
from browsing import Browser
from databases import change
from PIL import Image
from portal_site import LINK_DOMAINS, SEALER, Site

from smsgw.core.actor import ActorLabel, ScopeKind
from smsgw.core.alarm_notes import Way
from smsgw.core.blocklist import MANUAL, OPT_OUT, Scope
from smsgw.core.ids import CHINA
from smsgw.core.keywords import Action, Word
from smsgw.core.model import MessageType, Origin
from smsgw.core.permissions import Permission
from smsgw.core.policy import NO_POLICY, Listed
from smsgw.core.tasks import Task
from smsgw.core.webhooks import Reach
from smsgw.demo.load_tests import result as load_test_result
from smsgw.pipeline.accept.acceptor import SendItem, SendRequest
from smsgw.platform import phrases
from smsgw.platform.accounts import rebate_rules, service as accounts
from smsgw.platform.alarms import receivers as alarm_receivers, rules as alarm_rules, silences as alarm_silences
from smsgw.platform.alarms.model import Draft as Receiver
from smsgw.platform.audience import book, saved
from smsgw.platform.audience.model import EntryDraft, Segment, SegmentKind, Sharing
from smsgw.platform.brand import service as brands
from smsgw.platform.change import Change
from smsgw.platform.content import proofs as documents, service as content
from smsgw.platform.drafts import service as drafts
from smsgw.platform.drafts.model import Kind as DraftKind, State
from smsgw.platform.duty import contacts
from smsgw.platform.exports import service as exports
from smsgw.platform.exports.model import Export, Format
from smsgw.platform.faults import service as faults
from smsgw.platform.keys import service as keys
from smsgw.platform.links import code_files, queries as link_queries, service as links
from smsgw.platform.links.model import FILES as LINK_FILES, LinkKind, NewLink
from smsgw.platform.lists import carrier as lifts, complaints, consents, service as lists, undoing
from smsgw.platform.load_tests import service as load_tests
from smsgw.platform.load_tests.model import Profile as LoadProfile, Scenario as LoadScenario
from smsgw.platform.materials import service as materials
from smsgw.platform.materials.model import Draft as MaterialDraft
from smsgw.platform.notices import service as notices
from smsgw.platform.numbers import filters
from smsgw.platform.org import factors, queries, service as org
from smsgw.platform.partners import service as partners
from smsgw.platform.phrases import PhraseDraft, PhraseScope
from smsgw.platform.preferences import service as preferences
from smsgw.platform.scenarios import service as scenarios
from smsgw.platform.scenarios.model import Terms
from smsgw.platform.statements import service as statements
from smsgw.platform.tickets import service as tickets
from smsgw.platform.url_filings import proofs as filing_proofs, service as filings
from smsgw.platform.webhooks import service as webhooks
from smsgw.platform.webhooks.model import Wanted as Receiving
from smsgw.platform.words import service as words
from smsgw.runtime import clock
from smsgw.store.engine.secrets import Sealer
from smsgw.store.messages import tasks
from smsgw.store.records import alarms

MARK = "foreign-thing"
"""In whatever the other department has; it is told to nobody who does not reach it."""
OWNER = f"{MARK}-person"
"""Login of whom the personal things belong to."""
NUMBER = "8613912345678"

# An id is not to be taken for a count.
_LARGE_IDS = """
DO $$ DECLARE one record; BEGIN
    FOR one IN SELECT table_name, column_name FROM information_schema.columns
               WHERE table_schema = 'public' AND is_identity = 'YES'
                 AND (data_type = 'bigint' OR table_name = 'partner') LOOP
        PERFORM setval(pg_get_serial_sequence(one.table_name, one.column_name), 440000001);
    END LOOP;
END $$
"""
_REPLY = """
INSERT INTO mo (id, account_id, channel_id, number, to_code, content, in_reply_to, received_at)
VALUES ($1, $2, $3, $4, '10690001', $5, $6, now())
"""
_COUNTED = """
INSERT INTO stat_day (day, account_id, type, sign, channel_id, carrier, province, origin, status, messages, parts,
                      units)
VALUES ($1, $2, 'notice', $3, 0, 'CMCC', '', 'api', 'accepted', 1, 1, 1)
"""
_SENT = """
INSERT INTO stat_person (day, account_id, submitter, origin, status, messages, parts, units)
VALUES ($1, $2, $3, 'api', 'accepted', 1, 1, 1)
"""
_REFUSED = """
INSERT INTO api_refused (account_id, key_id, proven, at, request_id, call, status, code, detail, ms, address, body)
VALUES ($1, 'ak_other', true, now(), $2, 'POST /messages', 400, 'PARAM_INVALID', $2, 1, '', $2) RETURNING id
"""
_TOLD = """
INSERT INTO customer_event (id, account_id, kind, message_id, status) VALUES ($1, $2, 'report', $3, 'delivered')
"""
_BACK = "INSERT INTO ledger (id, account_id, kind, units) VALUES ($1, $2, 'refund', 1)"
_RIGHTS = {
    Permission.HOME_VIEW, Permission.AUDIT_EXPORT, Permission.MESSAGE_SEND, Permission.CONTACT_EDIT,
    Permission.PERSON_EDIT, Permission.BLOCK_EDIT, Permission.WORD_EDIT, Permission.LINK_EDIT,
    Permission.ALLOW_EDIT,
}  # fmt: skip


async def furnish(site: Site, by: Change) -> dict[str, str]:
    """Make the other department, its account and person, and one of everything that can be theirs: kind -> id."""
    await change(site.db.dsn, _LARGE_IDS)
    account = site.accounts["clinic"]
    department = await org.add_department(by, f"{MARK} department")
    await accounts.edit(by, account, {"display_name": f"{MARK} account"})
    await org.place_account(by, account, department)
    await org.add_department(by, f"{MARK} nobody's")  # so that one can be removed
    await org.add_role(by, "foreign", "of another", _RIGHTS, ScopeKind.BELOW)
    staff = await site.add_staff(OWNER, "foreign")
    await org.set_person(by, OWNER, {"department_id": department, "name": f"{MARK} person"})
    await site.snapshots.follow()
    things = {"staff": staff, "department": department, "account": account}
    things |= await _sent(site, account)
    things |= await _tasks(site, account, things["message"])
    things |= await _of_the_account(site, by, account, staff, things["message"])
    things |= await _of_the_person(site, by, department, staff)
    things["keeper"] = await _keeper(site, by, department)
    sheets = await _imported(site, account, department, things["consent"])
    for at in range(4):
        await brands.add(by, [f"host{at}.example.org"])
    return {name: str(id_) for name, id_ in things.items()} | sheets | {
        "login": OWNER, "passkey": b"passkey-of-another".hex(), "key": "foreign-key", "token": "AAAABBBBCCCCDDDD",
        "nobody": "440777777",
    }  # fmt: skip


async def _sent(site: Site, account: int) -> dict[str, int]:
    """A message, and a call that waits for its approval."""
    message, _ = await _send(site, account, "13912345678", "foreign-key")
    site.review_all()
    _, batch = await _send(site, account, "13912345679", "foreign-key-2")
    site.snapshots.change(policies=NO_POLICY)
    await site.db.execute(_COUNTED, clock.now().date(), account, MARK)
    await site.db.execute(_SENT, clock.now().date(), account, MARK)
    await site.db.execute(_BACK, message, account)
    await site.db.execute(_TOLD, message + 5, account, message)
    refused = await site.db.fetchval(_REFUSED, account, MARK)
    return {"message": message, "batch": batch, "event": message + 5, "refused_call": refused}


async def _send(site: Site, account: int, to: str, key: str) -> tuple[int, int]:
    chosen = site.snapshots.current.account(account)
    assert chosen
    items = (SendItem(to=to, content=f"{MARK} text"),)
    result = await site.acceptor.send(SendRequest(chosen, items, MessageType.NOTICE, Origin.API, key))
    assert result.items[0].message_id
    assert result.batch_id
    return int(result.items[0].message_id), int(result.batch_id)


_CHUNK = "INSERT INTO task_chunk (task_id, run, first, size, base_id) VALUES ($1, 1, 1, 1, $2)"


async def _tasks(site: Site, account: int, message: int) -> dict[str, int]:
    """One that is paused, with a row that got no message, one whose time is still to come, one that comes round, and
    one that has sent the message."""
    at = datetime.now(UTC) + timedelta(days=1)
    made = dict[str, int]()
    for name in ("task", "waiting", "round", "sent_task"):
        id_ = made[name] = site.ids.next()
        task = Task(
            id_, account, f"{MARK} {name}", "scheduled", "portal", ActorLabel(OWNER), "notice", f"{MARK} text",
            datetime.now(UTC), sign=MARK, send_at=at, next_at=at,
            recurring={"every": "day", "at": ["09:00"]} if name == "round" else None,
        )  # fmt: skip
        async with site.db.transaction() as connection:
            assert await tasks.insert(connection, task)
            rows = [(id_, n, n, f"861391234{n:04}", None, None) for n in range(1, 4)]
            problem = (id_, 0, 4, None, "1390013", "NUMBER_INVALID", f"{MARK} row", None)
            await tasks.add_rows(connection, rows, [problem])
            await tasks.change(connection, id_, valid=3, total=4)
    await site.db.execute("UPDATE task SET state = 'paused', paused_from = 'scheduled' WHERE id = $1", made["task"])
    await site.db.execute("UPDATE task SET state = 'finished', run = 1, fed = 3 WHERE id = $1", made["sent_task"])
    await site.db.execute(_CHUNK, made["sent_task"], message)
    await site.db.execute("UPDATE message SET province = $2 WHERE id = $1", message, MARK)
    problems = "UPDATE task SET problems = '{\"NUMBER_INVALID\": 1}'::jsonb WHERE id = ANY($1::bigint[])"
    await site.db.execute(problems, list(made.values()))
    return made | {"rows": made["task"]}  # those that got no message are for whoever has submitted them


async def _of_the_account(site: Site, by: Change, account: int, staff: int, message: int) -> dict[str, int]:
    one = site.db.fetchval
    await keys.add(by, Sealer(b"k" * 32), account)
    await webhooks.put(by, Sealer(b"k" * 32), account, Receiving(MARK, f"https://{MARK}.example.org/in"), Reach())
    given = consents.Given(consents.Source.WEB, MARK, f"{MARK} proof", clock.now())
    await consents.give(by, account, [NUMBER], given)
    await lists.allow(by, [NUMBER], Listed.EXEMPT, account_id=account, note=f"{MARK} note")
    await lists.block(by, [NUMBER], Scope(account, "marketing", ""), OPT_OUT, f"{MARK} reason")
    await lists.block(by, [NUMBER], Scope(account, "", ""), MANUAL, f"{MARK} reason")
    await words.put(by, [Word(f"{MARK} word", MARK, Action.BLOCK, "", account, "")])
    reply = site.ids.next()
    await site.db.execute(_REPLY, reply, account, site.channel_id, NUMBER, f"{MARK} reply", message)
    name = await one("SELECT name FROM account WHERE id = $1", account)
    async with site.db.transaction() as connection:
        await alarms.raise_(connection, "webhook", f"webhook/{name}", "warning", f"{MARK} detail", now=clock.now())
    draft = Receiver(f"{MARK} receiver", Way.SMS, "13912345676", account_id=account)
    receiver = await alarm_receivers.add(by, Sealer(b"k" * 32), draft, Reach())
    note = await alarm_receivers.test(by, receiver)
    await site.db.execute("UPDATE alarm_note SET state = 'failed' WHERE id = $1", note)
    group = await book.add_group(by, account, f"{MARK} group", Sharing())
    await site.db.execute("UPDATE audience SET owner_id = $2, shared = 'own' WHERE id = $1", group, staff)
    segment = await saved.add(by, account, f"{MARK} segment", Segment(SegmentKind.CLICKED), Sharing())
    await site.db.execute("UPDATE audience SET owner_id = $2, shared = 'own' WHERE id = $1", segment, staff)
    entry = "SELECT version FROM block_list WHERE account_id = $1 AND source = $2"
    sign = await content.add_sign(by, account, MARK, note=f"{MARK} note")
    await statements.set_receivers(by, account, [f"{MARK}@buyer.example.org"], "zh", "合同约定")
    mail = (
        "INSERT INTO statement_mail (account_id, month, receiver, language, state, next_at) "
        "VALUES ($1, $2, $3, 'zh', 'failed', now()) RETURNING id"
    )
    return {
        "receivers": account, "alarm_receiver": receiver, "alarm_note": note,
        "alarm_silence": await alarm_silences.add(
            by, "", f"account/{MARK}", clock.now() + timedelta(hours=1), f"{MARK} reason"),
        "load_test": await one(
            "UPDATE load_test SET result = $2::jsonb WHERE id = $1 RETURNING id",
            await load_tests.begin(
                by, LoadProfile(LoadScenario.STEADY, 10, 10), reason=MARK, node=999, folder=Path.cwd()),
            json.dumps(load_test_result())),
        "fault": await faults.open_(by, faults.Draft(f"{MARK} fault", "critical", clock.now())),
        "support_contact": await contacts.add(by, contacts.Draft("other", f"{MARK} contact", "at the desk")),
        "bundle": await one(
            "INSERT INTO job (kind, params, subject, submitter, node, state, started_at, ended_at, expires_at) "
            "VALUES ('diagnostics', jsonb_build_object('reason', $1::text, 'node', 1), $1, 'somebody', 1, 'done', "
            "now(), now(), now() + interval '1 day') RETURNING id", f"{MARK} bundle"),
        "backup": await one(
            "INSERT INTO backup (file, host, made_by, state, ended_at, schema_version) "
            "VALUES ($1, 'host', 'somebody', 'done', now(), 1) RETURNING id", f"/{MARK}.dump"),
        "health_mail": await one(
            "INSERT INTO health_mail (first, day, receiver, language, state, next_at) "
            "VALUES ('2026-01-01', '2026-01-01', $1, 'zh', 'failed', now()) RETURNING id", f"{MARK}@b.example.org"),
        "ticket": await tickets.open_(by, tickets.Draft(account, f"{MARK} ticket", f"{MARK} said")),
        "node": await one(
            "INSERT INTO node (number, instance, place, since, seen_at) VALUES (9, 'f', 'elsewhere', now(), now()) "
            "ON CONFLICT (number) DO UPDATE SET seen_at = now() RETURNING number"),
        "screen": await one(
            "INSERT INTO wall_screen (name, maker_id, made_by, made_at, until, code_until) "
            "SELECT $1, min(id), 'x', now(), now() + interval '1 hour', now() FROM staff RETURNING id", MARK),
        "alarm_rule": await alarm_rules.except_(
            by, "balance_low", f"account/{name}", alarm_rules.Draft(True, "warning", 0)),
        "rebate_rule": await rebate_rules.add(
            by, account,
            rebate_rules.Draft(clock.now().astimezone(CHINA).date().replace(day=1), 5, 0, f"{MARK} reason")),
        "statement": await one(mail, account, clock.now().date().replace(day=1), f"{MARK}@buyer.example.org"),
        "sign": sign, "sign_cell": sign * 4, "sign_proof": await _document(site, by, account, sign),
        "material": await _material(site, by, account),
        "template": await content.add_template(by, account, f"{MARK} template", "notice", f"{MARK} text", {}),
        "scenario": await scenarios.add(by, account, Terms(f"{MARK} scenario", MessageType.NOTICE)),
        **await _links(site, by, account),
        "lift": await lifts.ask(by, NUMBER, "CMCC", account_id=account, reason=f"{MARK} reason"),
        "complaint": (await complaints.enter(by, NUMBER, note=f"{MARK} note", message_id=message)).id,
        "filter": await filters.begin(by, f"{MARK} filter", account, [NUMBER]),
        "contact": await _as_owner(by, staff, EntryDraft(account, NUMBER, f"{MARK} contact")),
        "group": group, "segment": segment, "reply": reply,
        "partner": await partners.add(
            by, Sealer(b"k" * 32), account, "smpp", MARK, "secret12", {}),
        "webhook": await one("SELECT id FROM webhook WHERE account_id = $1", account),
        "api_key": await one("SELECT id FROM api_key WHERE account_id = $1", account),
        "consent": await one("SELECT id FROM consent WHERE account_id = $1", account),
        "allowed": await one("SELECT id FROM allow_list WHERE account_id = $1", account),
        "blocked": await one(entry, account, MANUAL), "optout": await one(entry, account, OPT_OUT),
        "undo": await _undo(site, by, await one(entry, account, OPT_OUT), account),
        "word": await one("SELECT id FROM word WHERE account_id = $1", account),
        "alarm": await one("SELECT id FROM alarm WHERE account_id = $1", account),
    }  # fmt: skip


async def _links(site: Site, by: Change, account: int) -> dict[str, int]:
    """A filed link with its document; short links: for all, under review, of recipients; a click and a file."""
    filing = (await filings.file(by, account, f"{MARK}.example.cn", note=f"{MARK} note")).id
    store, made = site.surveyor.tasks.files.store, {}
    incoming = await store.receive(filing_proofs.DOCUMENTS.kind(site.db), account, 0, f"{MARK}.pdf")
    incoming.path.write_bytes(b"%PDF-1.4\n%%EOF\n")
    proof = await filing_proofs.DOCUMENTS.keep(by, store, filing, filing_proofs.Kind.ICP, "", incoming)
    for name, kind in (("link", LinkKind.SHARED), ("asked_link", LinkKind.SHARED), ("personal", LinkKind.PERSONAL)):
        codes = 2 if kind is LinkKind.PERSONAL else 1
        wanted = NewLink(account, f"{MARK} {name}", f"https://{MARK}.example.org/", kind, codes=codes)
        link = await links.make(by, SEALER, wanted, LINK_DOMAINS, now=clock.now())
        made[name] = link.id
    await site.db.execute("UPDATE short_link SET state = 'reviewing', passed = 0 WHERE id = $1", made["asked_link"])
    await site.db.execute(
        "INSERT INTO link_click (id, link_id, n, version, at, address, method, agent, referer, purpose, language,"
        " accept) VALUES ($1, $2, 0, 1, now(), '112.96.33.1', 'GET', 'x', '', '', '', '')",
        site.ids.next(),
        made["link"],
    )
    job = await code_files.again(by, await link_queries.one(site.db, made["personal"], accounts=None), node=999)
    incoming = await store.receive(LINK_FILES, None, 0, "codes.csv", person=ActorLabel(OWNER))
    incoming.path.write_bytes(b"n,address\n")
    file = await store.keep(incoming, "text/csv", ActorLabel(OWNER))
    await site.db.execute(
        "UPDATE job SET state = 'done', ended_at = now(), checkpoint = jsonb_build_object('file', $2::bigint) "
        "WHERE id = $1", job, file.id,
    )  # fmt: skip
    return made | {"filing": filing, "filing_proof": proof, "link_task": job}


async def _document(site: Site, by: Change, account: int, sign: int) -> int:
    """A file that entitles to the signature."""
    store = site.surveyor.tasks.files.store
    incoming = await store.receive(documents.DOCUMENTS.kind(site.db), account, 0, f"{MARK}.pdf")
    incoming.path.write_bytes(b"%PDF-1.4\n%%EOF\n")
    return await documents.DOCUMENTS.keep(by, store, sign, documents.Kind.LICENSE, "", incoming)


async def _material(site: Site, by: Change, account: int) -> int:
    """A picture that was approved."""
    store, out = site.surveyor.tasks.files.store, io.BytesIO()
    Image.new("RGB", (4, 4)).save(out, "PNG")
    incoming = await store.receive(materials.kind(site.db), account, 0, f"{MARK}.png")
    incoming.path.write_bytes(out.getvalue())
    id_ = await materials.keep(by, store, account, MaterialDraft(f"{MARK} picture"), incoming)
    await site.db.execute("UPDATE material SET state = 'approved' WHERE id = $1", id_)
    return id_


async def _undo(site: Site, by: Change, entry: int, account: int) -> int:
    """A wish to undo the opt-out, with its proof."""
    store = site.surveyor.tasks.files.store
    incoming = await store.receive(undoing.kind(site.db), account, 0, f"{MARK}.pdf")
    incoming.path.write_bytes(b"%PDF-1.4\n%%EOF\n")
    return await undoing.keep(by, store, entry, f"{MARK} reason", incoming)


async def _as_owner(by: Change, staff: int, draft: EntryDraft) -> int:
    """A contact that is this person's alone."""
    id_ = await book.add(by, draft)
    await by.database.execute("UPDATE contact SET owner_id = $2, shared = 'own' WHERE id = $1", id_, staff)
    return id_


async def _keeper(site: Site, by: Change, department: int) -> int:
    """Somebody else, who has a passkey: whoever has one is asked for it at the login."""
    login = f"{MARK}-keeper"
    id_ = await site.add_staff(login, "foreign")
    await org.set_person(by, login, {"department_id": department, "name": f"{MARK} keeper"})
    keeper = await queries.person(site.db, login)
    assert keeper
    own = Change(site.db, keeper.actor("127.0.0.1"), ids=site.ids.next)
    await factors.add_passkey(own, b"passkey-of-another", b"key", 1, f"{MARK} passkey")
    return id_


async def _of_the_person(site: Site, by: Change, department: int, staff: int) -> dict[str, int]:
    person = await queries.person(site.db, OWNER)
    assert person
    own = Change(site.db, person.actor("127.0.0.1"), ids=site.ids.next)
    view = await preferences.save_view(own, "staff", f"{MARK} view", "login=x")
    wanted = Export("audit", Permission.AUDIT_EXPORT, {}, ["id"], Format.CSV, f"{MARK} reason", "zh", "p")
    job = await exports.request(own, wanted, node=1)
    await site.db.execute("UPDATE job SET state = 'done', ended_at = now() WHERE id = $1", job)
    async with Browser(site) as browser:
        await browser.login(OWNER)
        session = await site.db.fetchval("SELECT id FROM portal_session WHERE staff_id = $1", staff)
    announcement = await notices.publish(
        by, f"{MARK} title", f"{MARK} content", audience="departments", targets=[department],
        until=clock.now() + timedelta(days=7),
    )  # fmt: skip
    draft = await drafts.begin(own, "draft-of-another-one", DraftKind.SAME, State(subject=f"{MARK} draft"), ())
    return {
        "view": view, "job": job, "session": session, "announcement": announcement, "draft": draft.id,
        "audit": await site.db.fetchval("SELECT max(id) FROM audit WHERE actor = $1", OWNER),
        "phrase": await phrases.add(own, PhraseDraft(f"{MARK} phrase", f"{MARK} text", PhraseScope.OWN)),
        "told": await site.db.fetchval(
            "SELECT id FROM inbox WHERE staff_id = $1 AND kind = 'notice' AND subject = $2", staff, announcement
        ),
    }  # fmt: skip


# --- tables that were brought in -------------------------------------------------------------------------------------


async def _imported(site: Site, account: int, department: int, consent: int) -> dict[str, str]:
    """A table of each kind, with the job that has brought its rows in, and rows that it could not; and the file that
    proves the consent."""
    async with Browser(site) as browser:
        await browser.login(OWNER)
        await _upload(browser, f"/consents/{consent}/proof", f"{MARK}.pdf", b"%PDF-1.4\n%%EOF\n")
        assert browser.path == f"/consents/{consent}", browser.path  # who may not see the list is led there, too
        contacts = await _bring(
            browser, "/contacts", f"手机号,姓名\n13912345677,{MARK} imported\n123,{MARK} wrong\n",
            column_number="0", column_name="1", account=str(account), duplicates="skip", scope="own",
        )  # fmt: skip
        staff = await _bring(
            browser, "/staff", f"登录名,姓名\n{MARK}-new,{MARK} imported\n!,{MARK} wrong\n",
            column_login="0", column_name="1", department=str(department),
        )  # fmt: skip
        numbers = await _bring(
            browser, "/number-filters", "手机号\n13912345677\n",
            column_number="0", name=f"{MARK} imported filter", account=str(account),
        )  # fmt: skip
        codes = await _bring(
            browser, "/link-tasks", "手机号\n13912345677\n", column_number="0", name=f"{MARK} imported",
            target=f"https://{MARK}.example.org/", account=str(account), confirmed="1",
        )  # fmt: skip
        agreed = await _bring(
            browser, "/consents", "手机号\n13912345677\n123\n", column_number="0", account=str(account),
            source="web", given_at="2026-01-01", proof=f"{MARK} proof",
        )  # fmt: skip
        listed = await _bring(
            browser, "/words", f"敏感词\n{MARK} imported\n", column_word="0", action="block", duplicates="skip",
            account=str(account),
        )  # fmt: skip
        blocked = await _bring(
            browser, "/blocked", "手机号\n13912345676\n123\n", column_number="0", account=str(account),
            reason=f"{MARK} reason",
        )  # fmt: skip
        allowed = await _bring(
            browser, "/allowed", "手机号\n13912345676\n123\n", column_number="0", account=str(account), kind="exempt"
        )
    return {
        "block_sheet": blocked[0], "block_import": blocked[1], "allow_sheet": allowed[0], "allow_import": allowed[1],
        "contact_sheet": contacts[0], "contact_import": contacts[1], "staff_sheet": staff[0],
        "staff_import": staff[1], "filter_sheet": numbers[0], "code_sheet": codes[0], "consent_sheet": agreed[0],
        "consent_import": agreed[1],
        "word_sheet": listed[0], "word_import": listed[1],
    }  # fmt: skip


async def _bring(browser: Browser, path: str, table: str, **fields: str) -> tuple[str, str]:
    """Upload a table, say what its columns mean, wait for the job: ids of the table and of the job."""
    text = await _upload(browser, f"{path}/-/import", f"{MARK}.csv", table.encode())
    sheet = re.fullmatch(rf"{path}/-/import/(\d+)", browser.path)
    assert sheet, text
    text = await browser.post(browser.path, fields)
    job = re.fullmatch(r"/jobs/(\d+)", browser.path)
    assert job, text
    deadline = time.monotonic() + 60
    while "已完成" not in (text := await browser.get(browser.path)):
        assert time.monotonic() < deadline, text
        await asyncio.sleep(0.1)
    return sheet[1], job[1]


async def _upload(browser: Browser, path: str, name: str, octets: bytes) -> str:
    await browser.get(path)
    form = aiohttp.FormData()
    form.add_field("csrf", browser.csrf)
    form.add_field("file", octets, filename=name, content_type="application/octet-stream")
    async with browser.session.post(path, data=form) as response:
        return await browser._read(response)
