"""Each operation of the API with another account's ids: nothing of it is read or changed, and what is another's looks
like what does not exist. What names one thing or is a list has its case by its path; all else without one fails."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from api_server import Answer, Api
from changes import by_test
from databases import change

from smsgw.api.routes import ROUTES
from smsgw.core.ids import CHINA
from smsgw.core.permissions import SCOPES
from smsgw.core.templates import Review
from smsgw.platform.accounts import service as accounts
from smsgw.platform.content import service as registry
from smsgw.platform.content.model import TEMPLATE
from smsgw.platform.keys.model import NewKey

MARK = "甲方机密"
"""In all that the owner has; it is never told to anybody else."""
PHONE, BLOCKED, OUT, OTHER = "13800138000", "13800138009", "13800138008", "13900139000"
GIVEN = {"source": "web", "proof": "x1", "given_at": "2026-01-01T00:00:00+08:00"}
SALE = {"name": "n", "to": [OTHER]}

# Operation -> what the other account asks: (query or "", body or None), with the owner's ids as {message} and the like.
# The same is asked with ids that nobody has. Without a place the operation names nothing that could be another's.
Asked = tuple[str, Any]
CASES: dict[str, list[Asked]] = {
    "POST /messages": [
        ("", {"to": [OTHER], "template_id": "{template}", "params": {}}),
        ("", {"to": [OTHER], "content": "x", "sign": "测试", "scenario_id": "{scenario}"}),
        ("", {"to": [OTHER], "content": "x", "sign": "测试", "client_ref": "{ref}"}),
        ("", {"to": [OTHER], "content": "y", "sign": "测试", "callback_url": "https://hooks.{mark}.example.org/"}),
    ],
    "POST /messages/batch": [
        ("", {"items": [{"to": OTHER, "template_id": "{template}", "params": {}}]}),
        ("", {"items": [{"to": OTHER, "content": "z", "sign": "测试", "client_ref": "{ref}"}]}),
    ],
    "POST /messages/explain": [("", {"to": [OTHER], "template_id": "{template}", "params": {}})],
    "GET /messages": [("client_ref={ref}", None), ("batch_id={batch}", None), (f"to={PHONE}", None), ("", None),
                      ("cursor={message}", None)],
    "POST /messages/query": [("", {"ids": ["{message}", "{refused}"]})],
    "POST /reports/pull": [("", {})],
    "POST /reports/ack": [("", {"batch": "{pulled}"})],
    "POST /mo/pull": [("", {})],
    "POST /mo/ack": [("", {"batch": "{pulled}"})],
    "POST /events/pull": [("", {})],
    "POST /events/ack": [("", {"batch": "{pulled}"})],
    "GET /webhooks": [("", None)],
    "PUT /webhooks": [("", {"way": "pull"})],
    "GET /webhooks/deliveries": [("message_id={message}&state=any", None), ("", None)],
    "POST /webhooks/redeliver": [("", {"message_ids": ["{refused}"]}), ("", {"event_ids": ["{event}"]})],
    "PUT /webhooks/{name}": [("name", {"url": "https://example.org/"})],
    "POST /webhooks/{name}/secret": [("name", {})],
    "POST /files": [("", b"")],
    "POST /tasks": [
        ("", {"name": "n", "file_id": "{file}", "content": "x", "sign": "测试"}),
        ("", {"name": "n", "audience_id": "{audience}", "content": "x", "sign": "测试"}),
        ("", {**SALE, "template_id": "{template}"}),
        ("", {**SALE, "content": "x", "sign": "测试", "scenario_id": "{scenario}"}),
        ("", {**SALE, "content": "x", "sign": "测试", "client_ref": "{ref}"}),
    ],
    "GET /tasks": [("client_ref={ref}", None), ("cursor={task}", None), ("", None)],
    "PATCH /tasks/{id}": [("task", {"name": "mine"})],
    "GET /mo": [("cursor={reply}", None), ("in_reply_to={message}", None), ("", None)],
    "GET /kinds": [("", None)],
    "POST /scenarios": [("", {"name": "{mark}", "template_id": "{template}"})],
    "PUT /scenarios/{id}": [("scenario", {"name": "{mark}", "template_id": "{template}"})],
    "POST /drafts": [("", {"scenario_id": "{scenario}", "audience_id": "{audience}"})],
    "PUT /drafts/{id}": [("draft", {"file_id": "{file}", "template_id": "{template}"})],
    "POST /phrases": [("", {"title": "{mark}", "content": "x"})],
    "PUT /phrases/{id}": [("phrase", {"title": "{mark}", "content": "x"})],
    "POST /consents": [("", {**GIVEN, "numbers": [OTHER]})],
    "GET /consents": [("cursor={consent}", None), (f"number={PHONE}", None), ("", None)],
    "POST /consents/{id}/withdraw": [("consent", {"reason": "xx"})],
    "POST /consents/import": [("", {**GIVEN, "file_id": "{file}", "mapping": {"number": "手机"}})],
    "POST /consents/{id}/proof": [("consent", b"")],
    "POST /numbers/filters": [("", {"name": "{mark}", "numbers": [OTHER]})],
    "POST /numbers/filters/{id}/ask": [("filter", {"most": 1})],
    "GET /statistics": [("group=sign,channel", None)],
    "POST /contacts": [("", {"items": [{"number": OTHER}], "audience_id": "{audience}"})],
    "GET /contacts": [("audience_id={audience}", None), (f"number={PHONE}", None), ("cursor={contact}", None)],
    "GET /audiences": [("", None)],
    "POST /audiences": [
        ("", {"name": "{mark}"}),
        ("", {"name": "n", "segment": {"kind": "clicked", "link_id": "{link}"}}),
        ("", {"name": "n", "segment": {"kind": "clicked", "task_id": "{task}"}}),
    ],
    "POST /audiences/{id}/members": [("audience", {"add": [OTHER]}), ("audience", {"remove": [PHONE]})],
    "POST /blocklist": [("", {"numbers": [OTHER]})],
    "GET /blocklist": [(f"number={BLOCKED}", None), ("", None)],
    "POST /blocklist/remove": [("", {"numbers": [BLOCKED]})],
    "POST /optouts": [("", {"numbers": [OTHER]})],
    "GET /optouts": [(f"number={OUT}", None), ("cursor={optout}", None), ("", None)],
    "POST /numbers/check": [("", {"numbers": [PHONE, BLOCKED]})],
    "POST /signs": [("", {"sign": "{mark}"})],
    "POST /signs/{id}/proofs": [("sign?kind=license", b"")],
    "POST /templates": [("", {"name": "{mark}", "content": "x"})],
    "POST /links/filings": [("", {"target": "{mark}.example.org"})],
    "POST /links": [("", {"name": "{mark}", "target": "https://{mark}.example.org/", "kind": "personal"})],
    "POST /links/batch": [
        ("", {"items": [{"name": "{mark}", "target": "https://{mark}.example.org/", "kind": "personal"}]}),
    ],
    "GET /links": [("cursor={link}", None), ("text={mark}", None), ("", None)],
    "POST /links/{id}/target": [("link", {"target": "https://{mark}.example.org/"})],
    "POST /links/{id}/stop": [("link", {})],
    "GET /links/{id}/clicks": [("link", None), ("link?verdict=human", None)],
    "GET /balance": [("", None)],
    "GET /usage": [("group=account,department,key", None)],
}  # fmt: skip
THINGS = {
    "/messages": "message", "/webhooks": "name", "/files": "file", "/tasks": "task", "/mo": "reply",
    "/scenarios": "scenario", "/drafts": "draft", "/phrases": "phrase", "/consents": "consent",
    "/consents/imports": "import", "/numbers/filters": "filter", "/contacts": "contact", "/audiences": "audience",
    "/signs": "sign", "/signs/proofs": "document", "/templates": "template", "/links/filings": "filing",
    "/links": "link",
}  # fmt: skip
"""What the place in a path is, or a list of them has."""
for _route in ROUTES:
    _list, _, _place = _route.path.partition("/{")
    if f"{_route.method} {_route.path}" not in CASES and _list in THINGS and _route.body is None:
        CASES[f"{_route.method} {_route.path}"] = (
            [(THINGS[_list], None)] if _place else [(f"cursor={{{THINGS[_list]}}}", None), ("", None)]
        )


pytestmark = pytest.mark.api(scopes=SCOPES)


async def owned(api: Api) -> dict[str, str]:
    async def made(method: str, path: str, body: Any = None, **how: Any) -> Any:
        answer = await api.call(method, path, body, **how)
        assert answer.status in (200, 201, 202), (path, answer.body)
        return answer.data

    sent = await made("POST", "/messages", {"to": [PHONE], "content": MARK, "client_ref": "ref-1", "send_at": far()})
    await made("POST", "/blocklist", {"numbers": [BLOCKED], "reason": MARK})
    await made("POST", "/optouts", {"numbers": [OUT], "reason": MARK})
    out = await api.ctx.db.fetchval("SELECT version FROM block_list WHERE source = 'opt_out'")
    await api.lists.follow()
    refused = (await api.post("/messages", {"to": [BLOCKED], "content": MARK})).data["items"][0]["message_id"]
    pulled = await made("POST", "/reports/pull", {})
    sign = await made("POST", "/signs", {"sign": MARK})
    template = await made("POST", "/templates", {"name": MARK, "content": MARK})
    await registry.review(by_test(api.ctx.db, api.ctx.ids), TEMPLATE, int(template["template_id"]), Review.APPROVED)
    await api.ctx.snapshots.follow()
    audience = await made("POST", "/audiences", {"name": MARK})
    members = {"items": [{"number": PHONE, "name": MARK}], "audience_id": audience["id"]}
    await made("POST", "/contacts", members)
    (contact,) = (await made("GET", "/contacts"))["items"]
    form = (
        f'--b\r\nContent-Disposition: form-data; name="file"; filename="{MARK}.csv"\r\n\r\n'
        f"手机,名\r\n{PHONE},{MARK}\r\n--b--\r\n"
    )
    file = await made("POST", "/files", form.encode(), Content_Type="multipart/form-data; boundary=b")
    task = await made(
        "POST", "/tasks", {"name": MARK, "to": [PHONE], "content": MARK, "client_ref": "ref-1", "send_at": far()}
    )
    scenario = await made("POST", "/scenarios", {"name": MARK, "note": MARK})
    draft = await made("POST", "/drafts", {"name": MARK, "content": MARK, "to": [PHONE]})
    phrase = await made("POST", "/phrases", {"title": MARK, "content": MARK})
    await made("POST", "/consents", {**GIVEN, "numbers": [PHONE], "wording": MARK})
    (consent,) = (await made("GET", "/consents"))["items"]
    mapping = {"number": "手机"}
    form = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{MARK}.pdf"\r\n\r\n%PDF-1.4\n\r\n--b--\r\n'
    at = f"/signs/{sign['sign_id']}/proofs?kind=license"
    document = await made("POST", at, form.encode(), Content_Type="multipart/form-data; boundary=b")
    brought = await made("POST", "/consents/import", {**GIVEN, "file_id": file["file_id"], "mapping": mapping})
    looked_at = await made("POST", "/numbers/filters", {"name": MARK, "numbers": [PHONE]})
    filing = await made("POST", "/links/filings", {"target": "jiafang.example.org", "note": MARK})
    short = {"name": MARK, "target": "https://jiafang.example.org/", "kind": "personal", "codes": 3}
    link = await made("POST", "/links", short)
    await made("PUT", "/webhooks/hook-1", {"url": "https://jiafang.example.org/"})
    await made("PUT", "/webhooks/callback", {"hosts": ["hooks.jiafang.example.org"]})
    reply = api.ctx.ids()
    await api.ctx.db.execute(
        "INSERT INTO mo (id, account_id, channel_id, number, to_code, content, in_reply_to, received_at)"
        " VALUES ($1, (SELECT account_id FROM message WHERE id = $4), 1, $2, '10690001', $3, $4, now())",
        reply, PHONE, MARK, int(sent["items"][0]["message_id"]),
    )  # fmt: skip
    await api.ctx.snapshots.follow()
    return {
        "reply": str(reply),
        "message": sent["items"][0]["message_id"], "batch": sent["batch_id"], "refused": refused,
        "pulled": pulled["batch"], "event": pulled["items"][0]["event_id"], "sign": sign["sign_id"],
        "template": template["template_id"], "audience": audience["id"], "contact": contact["id"],
        "file": file["file_id"], "task": task["task_id"], "filing": filing["filing_id"], "name": "hook-1",
        "ref": "ref-1", "mark": "jiafang", "scenario": scenario["scenario_id"], "draft": draft["draft_id"],
        "phrase": phrase["phrase_id"], "consent": consent["consent_id"], "import": brought["import_id"],
        "filter": looked_at["filter_id"], "document": document["proof_id"],
        "link": link["link_id"], "optout": str(out),
    }  # fmt: skip


def far() -> str:
    return (datetime.now(CHINA) + timedelta(days=2)).isoformat()


def nobodys(ids: dict[str, str]) -> dict[str, str]:
    return {
        name: str(int(id_) + 77_777_777) if id_.isdigit() else {"name": "hook-9", "ref": "ref-9"}.get(name, "yifang")
        for name, id_ in ids.items()
    }


async def ask(api: Api, key: NewKey, operation: str, asked: Asked, ids: dict[str, str], **headers: str) -> Answer:
    method, path = operation.split(" ")
    query, body = asked
    if "{" in path:
        name, mark, rest = query.partition("?")
        path = re.sub(r"\{\w+\}", ids[name], path) + mark + rest
    elif query:
        path += "?" + filled(query, ids)
    if isinstance(body, bytes):
        return await api.call(method, path, body, key=key, **headers)
    given = None if body is None else json.loads(filled(json.dumps(body), ids))
    return await api.call(method, path, given, key=key)


def filled(text: str, ids: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: ids[match[1]], text)


def looks(answer: Answer, ids: dict[str, str]) -> tuple[int, str]:
    """An answer without what differs each time, and without what was asked for."""
    text = answer.raw.decode("utf-8", "replace")
    for id_ in sorted(ids.values(), key=len, reverse=True):
        text = text.replace(id_, "?")
    text = re.sub(r'"request_id":"[^"]*"', "", text)
    text = re.sub(r'"(stranger|nobody)"', '"who asks"', text)
    text = re.sub(r'"whsec_[^"]*"|"ak_live_[0-9a-f]+"|"[0-9T:.+-]{19,}"|"\d+"|\b\d{9,}\b', '"?"', text)
    return answer.status, text


# An id is not to be taken for a count.
_LARGE_IDS = """
DO $$ DECLARE one record; BEGIN
    FOR one IN SELECT table_name, column_name FROM information_schema.columns
               WHERE table_schema = 'public' AND is_identity = 'YES' AND data_type = 'bigint' LOOP
        PERFORM setval(pg_get_serial_sequence(one.table_name, one.column_name), 440000001);
    END LOOP;
    PERFORM setval('block_version', 440000001);
END $$
"""


async def books(api: Api, account_id: int) -> dict[str, str]:
    db = api.ctx.db
    tables = await db.fetch(
        "SELECT c.relname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE a.attname = 'account_id' "
        "AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace"
    )
    wanted = {row["relname"]: "account_id = $1" for row in tables if row["relname"] not in _MOVES}
    wanted["audience_member"] = "audience_id IN (SELECT id FROM audience WHERE account_id = $1)"
    wanted["task_row"] = "task_id IN (SELECT id FROM task WHERE account_id = $1)"
    assert {"message", "part", "webhook", "contact", "upload", "task", "customer_event"} <= wanted.keys()
    return {
        name: await db.fetchval(
            f"SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {name} t WHERE {which}",  # noqa: S608
            account_id,
        )
        for name, which in wanted.items()
    }


_MOVES = frozenset({"api_key"})
"""What changes by itself: when a key was last used."""


def test_every_operation_has_its_case() -> None:
    assert {f"{route.method} {route.path}" for route in ROUTES} == CASES.keys()
    unnamed = [
        f"{route.method} {route.path}"
        for route in ROUTES
        if (fields := {*getattr(route.body, "__struct_fields__", ()), *route.query.__struct_fields__})
        and any(re.search(r"(^|_)(id|ids|ref|batch)$", field) for field in fields)
        and not any("{" in query + json.dumps(body) for query, body in CASES[f"{route.method} {route.path}"])
    ]
    assert unnamed == [], "they take ids, and none of another is tried"


async def test_nothing_of_another_account_is_read_or_changed(api: Api) -> None:
    await change(api.ctx.db.dsn, _LARGE_IDS)
    ids = await owned(api)
    stranger = await accounts.add(by_test(api.ctx.db), "stranger", default_sign="测试")
    await accounts.top_up(by_test(api.ctx.db, api.ctx.ids), stranger, 1000, "")
    other = await accounts.add(by_test(api.ctx.db), "nobody", default_sign="测试")
    await accounts.top_up(by_test(api.ctx.db, api.ctx.ids), other, 1000, "")
    key, plain = await api.add_key(stranger, scopes=SCOPES), await api.add_key(other, scopes=SCOPES)
    before = await books(api, api.account_id)
    none = nobodys(ids)
    for operation, asked in CASES.items():
        for one in asked:
            foreign = await ask(api, key, operation, one, ids)
            unknown = await ask(api, plain, operation, one, none)
            about = (operation, one, foreign.body, unknown.body)
            assert foreign.status < 500, about
            if not one[0].startswith("cursor="):  # where a page begins; what is on it is one's own
                assert looks(foreign, ids) == looks(unknown, none), about
            assert MARK not in foreign.raw.decode("utf-8", "replace"), about
            assert "acme" not in foreign.raw.decode("utf-8", "replace"), about
            after = await books(api, api.account_id)
            assert {t: h for t, h in after.items() if before[t] != h} == {}, about
    for path in ("message", "task"):
        assert (await api.get(f"/{path}s/{ids[path]}")).status == 200


async def test_each_operation_takes_its_scope_and_no_other(api: Api) -> None:
    """A key with all other scopes is refused with one's own ids, too, and nothing changes; its own scope is enough."""
    ids = await owned(api)
    before = await books(api, api.account_id)
    for route in ROUTES:
        operation = f"{route.method} {route.path}"
        others = await api.add_key(api.account_id, scopes=[scope for scope in SCOPES if scope != route.scope])
        for one in CASES[operation]:
            answer = await ask(api, others, operation, one, ids)
            assert (answer.status, answer.body["code"]) == (403, "SCOPE_DENIED"), (operation, one)
            assert MARK not in answer.raw.decode("utf-8", "replace"), (operation, one)
    after = await books(api, api.account_id)
    assert {t: h for t, h in after.items() if before[t] != h} == {}
    for route in ROUTES:
        operation = f"{route.method} {route.path}"
        alone = await api.add_key(api.account_id, scopes=[route.scope])
        answer = await ask(api, alone, operation, CASES[operation][0], ids)
        if answer.status == 403:  # what it asks for takes another one, as replies do in a webhook
            assert answer.body.get("scope") != route.scope, operation
