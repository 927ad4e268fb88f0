"""Each code of ``core/errors.py`` is provoked, through the HTTP API wherever a caller of it can be told it.

Of each: the HTTP status, the messages in Chinese and in English with their places filled in; of a refused message
also that its record and the report that is pulled say the same. A code without a case fails.
"""

from __future__ import annotations

import asyncio
import string
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from inspect import isawaitable
from ipaddress import ip_network
from typing import Any

import pytest
import pytest_asyncio
from api_server import BASE, Answer, Api, running
from changes import by_test
from days import noon, today
from standins import AnyFleet

from smsgw.core import words as catalogue
from smsgw.core.actor import Actor
from smsgw.core.blocklist import MANUAL, OPT_OUT, Scope
from smsgw.core.errors import CODES, SmsgwError, Uncertain, message_of
from smsgw.core.ids import CHINA
from smsgw.core.keywords import Word
from smsgw.core.model import Account, MessageType, Origin
from smsgw.core.number_state import NumberState
from smsgw.core.permissions import SCOPES
from smsgw.core.policy import Listed
from smsgw.core.templates import Review
from smsgw.core.words import Wording, phrase
from smsgw.pipeline.accept import repeats
from smsgw.pipeline.accept.acceptor import SendItem, SendRequest
from smsgw.platform.accounts import service as accounts
from smsgw.platform.audience import service as audience
from smsgw.platform.audience.model import ContactInput
from smsgw.platform.brand import service as brands
from smsgw.platform.change import Change
from smsgw.platform.content import service as registry
from smsgw.platform.keys.model import NewKey
from smsgw.platform.links import service as links
from smsgw.platform.links.model import LinkKind, NewLink
from smsgw.platform.lists import complaints as register, queries as list_queries, service as lists
from smsgw.platform.login import service as logins
from smsgw.platform.login.codes import LoginCodes
from smsgw.platform.numbers import service as number_service
from smsgw.platform.org import factors, queries, service as org
from smsgw.platform.policies import service as policies
from smsgw.platform.review.service import Reviewing
from smsgw.platform.unmasking import service as unmasking
from smsgw.platform.unmasking.model import Purpose
from smsgw.platform.words import service as words
from smsgw.runtime import clock
from smsgw.runtime.aio import spawn
from smsgw.runtime.config import HttpConfig
from smsgw.store.engine.cte_batch import Together
from smsgw.store.messages import complaints
from smsgw.web import listening, plain_http

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def api(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    """One server for all: every case has an account and numbers of its own."""
    dsn = await postgres.make("every_code", postgres.template)
    proxies = (ip_network("127.0.0.1/32"),)
    folder = tmp_path_factory.mktemp("every_code")
    async with running(dsn, folder, now=noon, trusted_proxies=proxies, runner_changes={"lingering_time": 0.1}) as built:
        yield built
    await postgres.drop("every_code")


@dataclass(frozen=True)
class Said(Wording):
    """What a reason has to read as, in either language."""

    chinese: str
    in_english: str

    def text(self, english: bool) -> str:
        return self.in_english if english else self.chinese

    __str__ = Wording.__str__


@dataclass
class Provoked:
    detail: dict[str, Any]
    """What fills the message."""
    answer: Answer | None = None
    """The refused call."""
    message: str | None = None
    """A record with this id says the same, and a report of it."""
    said: list[tuple[str, str]] = field(default_factory=list)
    """(code, message) elsewhere."""


@dataclass
class Own:
    api: Api
    id: int
    name: str
    key: NewKey
    phone: str
    patch: pytest.MonkeyPatch

    @property
    def account(self) -> Account:
        return self.api.ctx.snapshots.current.account(self.id)

    async def set(self, **changes: Any) -> None:
        await accounts.edit(by_test(self.api.ctx.db), self.id, changes)
        await self.reload()

    async def policy(self, name: str, value: str) -> None:
        await policies.put(by_test(self.api.ctx.db), name, value, account_id=self.id)
        await self.reload()

    async def reload(self) -> None:
        await self.api.ctx.snapshots.follow()

    def body(self, content: str | None = "您好", **fields: Any) -> dict[str, Any]:
        return {"to": [self.phone], **({} if content is None else {"content": content}), **fields}

    async def post(self, path: str, body: Any = None, **how: Any) -> Answer:
        return await self.api.post(path, body, **{"key": self.key, **how})

    async def get(self, path: str, **how: Any) -> Answer:
        return await self.api.get(path, **{"key": self.key, **how})

    async def send(self, content: str | None = "您好", **fields: Any) -> Answer:
        return await self.post("/messages", self.body(content, **fields))

    async def refused(self, detail: dict[str, Any], content: str | None = "您好", **fields: Any) -> Provoked:
        answer = await self.send(content, **fields)
        (item,) = answer.data["items"]
        assert item["status"] in ("rejected", "duplicate"), answer.body
        return Provoked(detail, answer, item["message_id"], [(item["code"], item["message"])])

    async def caught(self, doing: Awaitable[Any]) -> Provoked:
        """Of what is refused below the API."""
        with pytest.raises(SmsgwError) as caught:
            await doing
        return Provoked(caught.value.detail, said=[(caught.value.code, str(caught.value))])

    async def block(self, scope: Scope, source: Any) -> None:
        await lists.block(by_test(self.api.ctx.db), ["86" + self.phone], scope, source, "")
        await self.api.lists.follow()

    async def approve(self, kind: str, id_: str) -> None:
        await registry.review(by_test(self.api.ctx.db, self.api.ctx.ids), kind, int(id_), Review.APPROVED)
        await self.reload()

    async def template(self, content: str) -> str:
        made = await self.post("/templates", {"name": content, "content": content})
        await self.reload()
        return str(made.data["template_id"])

    async def upload(self, octets: bytes) -> Answer:
        form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n%b\r\n--b--\r\n' % octets
        return await self.post("/files", form, Content_Type="multipart/form-data; boundary=b")

    async def cut_off(self, path: str, length: int) -> Answer:
        raw = await self.api.raw(
            f"POST {BASE}{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.key.bearer}\r\n"
            f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {length}\r\n\r\n".encode()
        )
        head, _, body = raw.partition(b"\r\n\r\n")
        return Answer(int(head.split()[1]), {}, body)

    async def signed(self, **how: Any) -> Answer:
        path = f"{BASE}/balance"
        return await self.api.send("GET", path, headers=self.api.signed("GET", path, key=self.key, **how))


Case = Callable[[Own], Awaitable[Provoked]]
CASES: dict[str, Case] = {}


def case(code: str) -> Callable[[Case], Case]:
    def add(made: Case) -> Case:
        assert code not in CASES
        CASES[code] = made
        return made

    return add


@pytest.mark.parametrize("code", sorted(CODES))
async def test_code(api: Api, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    n = sorted(CODES).index(code)
    id_ = await accounts.add(by_test(api.ctx.db), f"c{n}", default_sign="测试")
    await accounts.top_up(by_test(api.ctx.db, api.ctx.ids), id_, 100, "")
    own = Own(api, id_, f"c{n}", await api.add_key(id_, scopes=SCOPES), f"138{n:08d}", monkeypatch)
    assert code in CASES, "no case"
    found = await CASES[code](own)
    places = {name for text in catalogue.CODES[code] for _, name, _, _ in string.Formatter().parse(text) if name}
    detail = found.detail
    if found.answer is not None:
        answer = found.answer
        # The caller has to know this of us: when, and under which number to ask.
        detail = {"request_id": answer.body["request_id"], "n": answer.headers.get("Retry-After"), **detail}
    assert all(str(detail.get(name) or "") not in ("", "None") for name in places), (places, detail)
    chinese = message_of(code, detail)
    if found.answer is not None:
        assert (answer.status, answer.code) == (CODES[code], code), answer.body
        assert answer.body["message"] == chinese
        assert answer.body["message_en"] == message_of(code, detail, english=True)
    assert found.answer is not None or found.said
    assert found.said == [(code, chinese)] * len(found.said)
    if found.message is not None:
        await recorded(own, found.message, code, chinese)


async def recorded(own: Own, message_id: str, code: str, text: str) -> None:
    record = (await own.api.get(f"/messages/{message_id}", key=own.key)).data
    assert (record["carrier_code"], record["description"]) == (code, text)
    assert record["status"] in ("rejected", "duplicate")
    items = (await own.post("/reports/pull", {"limit": 500})).data["items"]
    (report,) = [i for i in items if i["message_id"] == message_id]
    assert (report["status"], report["carrier_code"], report["description"]) == (record["status"], code, text)
    assert report["class"] == record["class"]
    assert report["submitted_at"] is None
    # It has cost nothing: what else the case has sent is all that was paid.
    sent = (await own.api.get("/messages?limit=500", key=own.key)).data["items"]
    paid = sum(m["price"] for m in sent if m["status"] == "queued")
    assert (await own.api.get("/balance", key=own.key)).data["balance"] == 100 - paid


async def test_no_case_is_of_another_time() -> None:
    assert set(CASES) == set(CODES)


async def done(own: Own, steps: tuple[Callable[[Own], Any], ...]) -> None:
    for step in steps:
        made = step(own)
        if isawaitable(made):
            await made


def call(doing: Callable[[Own], Awaitable[Answer]], *before: Callable[[Own], Any], **detail: Any) -> Case:
    """A call that is answered with the code, after some other steps."""

    async def provoke(own: Own) -> Provoked:
        await done(own, before)
        return Provoked(detail, await doing(own))

    return provoke


def refusal(content: str | None, detail: Mapping[str, Any], *before: Callable[[Own], Any], **fields: Any) -> Case:
    """A message to one number that is refused, and recorded as such."""

    async def provoke(own: Own) -> Provoked:
        await done(own, before)
        return await own.refused(dict(detail), content, **fields)

    return provoke


def of_people(
    doing: Callable[[Own, Change], Awaitable[Any]], *before: Callable[[Own], Any], role: str = "super"
) -> Case:
    """Of the portal alone: somebody tries something."""

    async def provoke(own: Own) -> Provoked:
        await done(own, before)
        await org.add_person(by_test(own.api.ctx.db), own.name, own.name, [role], "x")
        person = await queries.person(own.api.ctx.db, own.name)
        return await own.caught(doing(own, Change(own.api.ctx.db, person.actor())))

    return provoke


def person(code: str) -> Callable[[Callable[[Own, Change], Awaitable[Any]]], None]:
    return lambda doing: CASES.update({code: of_people(doing)})


MOBILE = Said("中国移动", "China Mobile")
MANY = [f"137{n:08d}" for n in range(101)]
MARKETING = "大促,拒收请回复R"

CASES |= {
    # the request
    "OK": call(lambda own: own.get("/balance")),
    "PARAM_MISSING": call(lambda own: own.send(None), field="content"),
    "PARAM_INVALID": call(
        lambda own: own.send(report=False), field="report",
        reason=Said("本服务器不支持此参数", "not available on this server"),
    ),
    "JSON_INVALID": call(lambda own: own.post("/messages", b'{"to":["\xff"]}')),
    "BODY_TOO_LARGE": call(lambda own: own.cut_off("/messages", 3 << 20)),
    "FILE_TOO_LARGE": call(lambda own: own.cut_off("/files", 201 << 20)),
    "REQUEST_TIMEOUT": call(
        lambda own: own.cut_off("/messages", 100), lambda own: own.patch.setattr(listening, "GRACE", 1), n=1
    ),
    "NOT_FOUND": call(lambda own: own.get(f"/messages/{2**62}")),
    "METHOD_NOT_ALLOWED": call(lambda own: own.api.call("DELETE", "/messages", key=own.key)),
    # numbers
    "TO_EMPTY": call(lambda own: own.send(to=[])),
    "TO_TOO_MANY": call(lambda own: own.send(to=[f"139{n:08d}" for n in range(1001)])),
    "NUMBER_BLACKLISTED": refusal(
        "您好", {"list": Said("人工黑名单", "entered by hand")}, lambda own: own.block(Scope(), MANUAL)
    ),
    "NUMBER_NOT_ALLOWED": refusal(
        "您好", {},
        lambda own: lists.allow(by_test(own.api.ctx.db), ["8613900139000"], Listed.ONLY, account_id=own.id),
        lambda own: own.reload(),
    ),
    "NUMBER_EMPTY": refusal(
        "您好", {},
        lambda own: number_service.learn(by_test(own.api.ctx.db), {"86" + own.phone: NumberState.EMPTY}, clock.now()),
        lambda own: own.api.numbers.step(), lambda own: own.policy("drop_empty", "true"),
    ),
    "NUMBER_NO_CONSENT": refusal(MARKETING, {}, lambda own: own.policy("consent", "marketing"), type="marketing"),
    "NUMBER_FREQ_LIMITED": refusal(
        "验证码 2", {"rule": Said("验证码短信 1 分钟内最多 1 条", "one-time code messages: at most 1 in 1 min")},
        lambda own: own.send("验证码 1", type="otp"), type="otp",
    ),
    "INTERNATIONAL_LIMITED": refusal(
        "您好", {"rule": Said("1 小时内最多 1 条", "at most 1 in an hour")},
        lambda own: own.policy("abroad_hourly", "1"), lambda own: own.send(to=["+85261230001"]), to=["+85261230002"],
    ),
    # texts, signs and templates
    "CONTENT_EMPTY": call(lambda own: own.send(" \n")),
    "CONTENT_TOO_LONG": call(lambda own: own.send("长" * 1001), length=1005),
    "CONTENT_DUPLICATE": refusal(
        "您好", {"n": "600"}, lambda own: own.policy("identical_seconds", "off"), lambda own: own.send(),
        dedupe={"window_s": 600},
    ),
    "CONTENT_SENSITIVE": refusal(
        "来赌博吧", {"words": "赌博(涉赌)"},
        lambda own: words.put(by_test(own.api.ctx.db), [Word("赌博", "涉赌", account_id=own.id)]),
        lambda own: own.reload(),
    ),
    "CONTENT_VARIABLE_UNRESOLVED": refusal("您好${姓名}", {"name": "姓名"}),
    "CONTENT_OPTOUT_MISSING": refusal("大促", {"wording": "拒收请回复R"}, type="marketing"),
    "LINK_NOT_FILED": refusal(
        "大促 https://t.cn/Ab,拒收请回复R", {"link": "https://t.cn/Ab", "carrier": MOBILE},
        lambda own: own.policy("filed_links", "marketing"), type="marketing",
    ),
    "LINK_NOT_FOUND": call(lambda own: own.send("您好 {link}", link={"id": "999999"}), id="999999"),
    "SIGN_MISSING": refusal("您好", {}, lambda own: own.set(default_sign="")),
    "SIGN_NOT_APPROVED": refusal("您好", {"sign": "测试"}, lambda own: own.policy("sign_policy", "approved")),
    "TEMPLATE_NOT_FOUND": refusal(None, {"id": "9"}, template_id="9"),
    "TEMPLATE_REQUIRED": refusal("您好", {}, lambda own: own.policy("templates_only", "true")),
    "TIME_INVALID": call(
        lambda own: own.send(send_at="0001-01-01T00:00:00+08:00"),
        reason=Said("send_at 超出允许的范围", "send_at is out of range"),
    ),
    # who is calling
    "AUTH_MISSING": call(lambda own: own.api.send("GET", f"{BASE}/balance")),
    "AUTH_KEY_INVALID": call(lambda own: own.get("/balance", key=replace(own.key, bearer="smk_live_nobody"))),
    "AUTH_SIGNATURE_INVALID": call(lambda own: own.signed(secret="another")),
    "AUTH_NONCE_REPLAYED": call(lambda own: own.signed(nonce="n" * 16), lambda own: own.signed(nonce="n" * 16)),
    "AUTH_BEARER_INSECURE": call(
        lambda own: own.get("/balance", X_Forwarded_For="192.0.2.1"), reason=Said("只能经 HTTPS 使用", "it needs HTTPS")
    ),
    # the account
    "ACCOUNT_STOPPED": call(
        lambda own: own.send(), lambda own: accounts.set_status(by_test(own.api.ctx.db), own.id, "stopped"),
        lambda own: own.reload(),
    ),
    "PROTOCOL_DENIED": call(lambda own: own.send(), lambda own: own.set(protocols="smpp,cmpp"), protocol="HTTP"),
    "EMERGENCY_DENIED": call(lambda own: own.send(emergency=True)),
    "BALANCE_INSUFFICIENT": call(lambda own: own.send(to=MANY), need=101, left=100),
    "QUOTA_DAY_EXCEEDED": call(lambda own: own.send(to=MANY[:2]), lambda own: own.set(quota_day=1), limit=1, left=1),
    "QUOTA_MONTH_EXCEEDED": call(
        lambda own: own.send(to=MANY[:2]), lambda own: own.set(quota_month=1), limit=1, left=1
    ),
    "RATE_LIMITED": call(  # the first call pays for 100 s
        lambda own: own.send(), lambda own: own.set(rate=1), lambda own: own.send("很多", to=MANY[:100])
    ),
    "IDEMPOTENCY_MISMATCH": call(
        lambda own: own.post("/messages", own.body("别的"), Idempotency_Key="k"),
        lambda own: own.post("/messages", own.body(), Idempotency_Key="k"),
    ),
    "CONTACTS_FULL": call(
        lambda own: own.post("/contacts", {"items": [{"number": own.phone}, {"number": "13700000000"}]}),
        lambda own: own.patch.setattr(audience, "MAX_CONTACTS", 1), most=1,
    ),
    "AUDIENCES_FULL": call(
        lambda own: own.post("/audiences", {"name": "二"}), lambda own: own.patch.setattr(audience, "MAX_AUDIENCES", 1),
        lambda own: own.post("/audiences", {"name": "一"}), most=1,
    ),
    "BACKPRESSURE": call(lambda own: own.send(), lambda own: own.patch.setattr(own.api.acceptor, "open", False)),
    # people of the portal
    "GRANT_EXCEEDED": of_people(lambda own, c: org.add_person(c, "new", "", ["super"], "x"), role="admin"),
    "RIGHTS_OWN": of_people(lambda own, c: org.grant(c, c.actor.name, ["dev"]), role="admin"),
    "PERSON_ABOVE": of_people(
        lambda own, c: org.reset_password(c, "above", "y"),
        lambda own: org.add_person(by_test(own.api.ctx.db), "above", "", ["ops"], "x"), role="admin",
    ),
    "DUTIES_CONFLICT": of_people(lambda own, c: org.add_person(c, "two", "", ["sysadmin", "auditor"], "x")),
    "LAST_ADMINISTRATOR": of_people(
        lambda own, c: org.stop_person(Change(c.database, Actor.operator("root")), c.actor.name),
        lambda own: own.api.ctx.db.execute("UPDATE staff SET status = 'stopped'"),
    ),
    "ROLE_PROTECTED": of_people(lambda own, c: org.remove_role(c, "dev")),
    "LOGIN_LOCKED_OUT": of_people(lambda own, c: logins.set_policy(c, {"networks": ["198.51.100.0/24"]})),
    "LOGIN_SMS_UNSET": of_people(lambda own, c: logins.set_policy(c, {"factors": ["sms"]})),
    "CODE_WRONG": of_people(lambda own, c: factors.confirm_totp(c, own.api.sealer, "123456")),
    "BRANDS_FULL": of_people(
        lambda own, c: brands.add(c, ["full.example"]),
        lambda own: brands.add(by_test(own.api.ctx.db), ["first.example"]),
        lambda own: own.patch.setattr(brands, "MAX_BRANDS", 1),
    ),
    "BRAND_HOST_TAKEN": of_people(
        lambda own, c: brands.add(c, ["taken.example"]),
        lambda own: brands.add(by_test(own.api.ctx.db), ["taken.example"]),
    ),
    "BRAND_HOSTS_INVALID": of_people(lambda own, c: brands.add(c, ["no host"])),
    "PICTURE_TOO_LARGE": of_people(lambda own, c: brands.put_picture(c, bytes(2 << 20))),
    "PICTURE_INVALID": of_people(lambda own, c: brands.put_picture(c, b"no picture")),
}  # fmt: skip


@case("FILE_INVALID")
async def _(own: Own) -> Provoked:
    answer = await own.upload(b"PK\3\4 no workbook")
    reason = str(answer.body["message_en"]).partition(": ")[2]
    assert reason.isascii()
    return Provoked({"reason": Said(answer.data["reason"], reason)}, answer)


@case("NUMBER_INVALID")
async def _(own: Own) -> Provoked:
    answer = await own.send(to=["1380013800x"])
    (item,) = answer.data["items"]
    return Provoked({}, answer, said=[(item["code"], item["message"])])


@case("NUMBER_DUPLICATE")
async def _(own: Own) -> Provoked:
    item = (await own.send(to=[own.phone, own.phone])).data["items"][1]
    return Provoked({}, said=[(item["code"], item["message"])])


@case("NUMBER_OPTED_OUT")
async def _(own: Own) -> Provoked:
    await own.block(Scope(own.id), OPT_OUT)
    (entry,) = await list_queries.find(own.api.ctx.db, "86" + own.phone, accounts=None)
    return await own.refused({"time": f"{entry.since.astimezone(CHINA):%Y-%m-%d %H:%M}"})


@case("COMPLAINT_CEILING")
async def _(own: Own) -> Provoked:
    async with own.api.ctx.db.transaction() as connection:
        changes = Together()
        complaints.count_sent(changes, 1, datetime.now(CHINA).date(), {"投诉多": 10})
        await changes.run(connection)
    for n in range(own.api.ctx.snapshots.current.settings.complaint_minimum):
        number = f"8613900{n:06d}"
        await register.enter(by_test(own.api.ctx.db), number, sign="投诉多", channel="", note="", block_number=False)
    await own.api.lists.judge()
    said = {"object": Said("签名 投诉多", "signature 投诉多")}
    return await own.refused(said, MARKETING, type="marketing", sign="投诉多")


@case("CONTENT_UNENCODABLE")
async def _(own: Own) -> Provoked:
    item = SendItem(own.phone, "half \ud83d")  # UCS-2 of a partner; JSON cannot carry it
    return await own.caught(
        own.api.acceptor.send(SendRequest(own.account, (item,), MessageType.NOTICE, Origin.CLI, "t"))
    )


async def _link(own: Own) -> str:
    own.api.ctx.sent_links.hosts = ("s.example.cn",)
    wanted = NewLink(own.id, "春季", "https://www.example.cn/", LinkKind.PERSONAL)
    return str((await own.api.ctx.sent_links.make(by_test(own.api.ctx.db), wanted, clock.now())).id)


@case("LINK_NOT_ACTIVE")
async def _(own: Own) -> Provoked:
    id_ = await _link(own)
    await links.stop(by_test(own.api.ctx.db), int(id_))
    detail = {"id": id_, "name": "春季", "state": Said("失效", "stopped")}
    return Provoked(detail, await own.send("您好 {link}", link={"id": id_}))


@case("LINK_CODES_USED_UP")
async def _(own: Own) -> Provoked:
    id_ = await _link(own)
    return Provoked({"id": id_, "left": 1, "need": 2}, await own.send("您好 {link}", link={"id": id_}, to=MANY[:2]))


@case("LINK_PLACE_MISSING")
async def _(own: Own) -> Provoked:
    return Provoked({"place": "{link}"}, await own.send("您好", link={"id": await _link(own)}))


@case("SIGN_NOT_REGISTERED")
async def _(own: Own) -> Provoked:
    made = await own.post("/signs", {"sign": "报备", "source": "公司"})
    await own.approve("sign", made.data["sign_id"])
    await own.policy("sign_policy", "registered")
    return await own.refused({"sign": "报备", "carrier": MOBILE}, sign="报备")


@case("TEMPLATE_NOT_APPROVED")
async def _(own: Own) -> Provoked:
    id_ = await own.template("待审核")
    return await own.refused({"id": id_}, None, template_id=id_)


@case("TEMPLATE_PARAM_INVALID")
async def _(own: Own) -> Provoked:
    id_ = await own.template("编号 {no}")
    await own.approve("template", id_)
    return await own.refused({"name": "no"}, None, template_id=id_, params={})


@case("REVIEW_REJECTED")
async def _(own: Own) -> Provoked:
    await own.policy("review", "all")
    held = (await own.send()).data
    assert held["items"][0]["status"] == "held"
    ctx, reason = own.api.ctx, "内容不合规"
    reviewing = Reviewing(ctx.db, own.api.outcomes, ctx.snapshots, AnyFleet(), ctx.tasks)
    root = Change(ctx.db, Actor.operator("root"))
    await reviewing.decide(root, int(held["batch_id"]), passes=False, reason=reason)
    message_id = held["items"][0]["message_id"]
    record = (await own.get(f"/messages/{message_id}")).data
    return Provoked({"reason": reason}, None, message_id, [(record["carrier_code"], record["description"])])


@case("EXTEND_CODE_INVALID")
async def _(own: Own) -> Provoked:
    assert (await own.send(extend_code="12a")).code == "EXTEND_CODE_INVALID"
    await accounts.add(by_test(own.api.ctx.db), f"{own.name}-other", extend_code="7710")
    await own.reload()
    return Provoked({}, await own.send(extend_code="77101"))


@case("TIME_WINDOW_CLOSED")
async def _(own: Own) -> Provoked:
    await own.policy("hours", "08:00-11:00")
    return await own.refused({"type": Said("通知", "notice"), "time": f"{today() + timedelta(days=1)} 08:00"})


@case("AUTH_SIGNATURE_OUTDATED")
async def _(own: Own) -> Provoked:
    path = f"{BASE}/balance"
    async with own.api.another_node(signature_v1_until=None) as later:
        return Provoked({}, await later.send("GET", path, headers=later.signed("GET", path, key=own.key, version=1)))


@case("TLS_REQUIRED")
async def _(own: Own) -> Provoked:
    way = plain_http.only_tls(HttpConfig(tls=("x",), tls_listen="127.0.0.1:1"), ())
    async with own.api.another_node(way) as plain:
        return Provoked({}, await plain.get("/balance", key=own.key))


@case("AUTH_TIMESTAMP_EXPIRED")
async def _(own: Own) -> Provoked:
    answer = await own.signed(at=1)
    assert datetime.fromisoformat(answer.data["time"]).timestamp() == answer.data["unix"]
    return Provoked({"time": answer.data["time"]}, answer)


@case("AUTH_IP_DENIED")
async def _(own: Own) -> Provoked:
    away = await own.api.add_key(own.id, ip_allow=(ip_network("192.0.2.0/24"),))
    return Provoked({"ip": "127.0.0.1"}, await own.get("/balance", key=away))


@case("SCOPE_DENIED")
async def _(own: Own) -> Provoked:
    reader = await own.api.add_key(own.id, scopes=("query",))
    return Provoked({"scope": "send"}, await own.post("/messages", own.body(), key=reader))


@case("ACCOUNT_EXPIRED")
async def _(own: Own) -> Provoked:
    day = str(today() - timedelta(days=1))
    await own.set(ends_on=day)
    return Provoked({"date": day}, await own.send())


@case("ACCOUNT_NOT_BEGUN")
async def _(own: Own) -> Provoked:
    day = str(today() + timedelta(days=1))
    await own.set(starts_on=day)
    return Provoked({"date": day}, await own.send())


@case("QUOTA_DEPARTMENT_EXCEEDED")
async def _(own: Own) -> Provoked:
    change = by_test(own.api.ctx.db)
    department_id = await org.add_department(change, "窗口")
    await org.set_department(change, department_id, name="窗口", manager=None, month_quota=1)
    await org.place_account(change, own.id, department_id)
    await own.reload()
    return Provoked({"limit": 1, "left": 1}, await own.send(to=MANY[:2]))


@case("IDEMPOTENCY_IN_PROGRESS")
async def _(own: Own) -> Provoked:
    own.patch.setattr(repeats, "PATIENCE", 0.05)
    async with own.api.ctx.db.transaction() as connection:
        await connection.execute("SELECT FROM account WHERE id = $1 FOR UPDATE", own.id)
        first = spawn(own.post("/messages", own.body(), Idempotency_Key="k"), name="first")
        while not own.api.acceptor._repeats._running:  # noqa: ASYNC110 - nothing tells when it is under way
            await asyncio.sleep(0.01)
        answer = await own.post("/messages", own.body(), Idempotency_Key="k")
    assert (await first).status == 202
    return Provoked({}, answer)


@case("CLIENT_REF_EXISTS")
async def _(own: Own) -> Provoked:
    first = (await own.send(client_ref="R")).data["items"][0]["message_id"]
    return Provoked({"id": first}, await own.send("别的", client_ref="R"))


@case("TASK_REF_EXISTS")
async def _(own: Own) -> Provoked:
    body = {"name": "一", "content": "您好", "to": [own.phone], "client_ref": "T"}
    first = await own.post("/tasks", body)
    return Provoked({"id": first.data["task_id"]}, await own.post("/tasks", body | {"content": "别的"}))


@case("STATE_CONFLICT")
async def _(own: Own) -> Provoked:
    message_id = (await own.send("您好${姓名}")).data["items"][0]["message_id"]
    return Provoked({"reason": phrase("message.gone")}, await own.post(f"/messages/{message_id}/cancel"))


@case("PERMISSION_DENIED")
async def _(own: Own) -> Provoked:
    reader = Change(own.api.ctx.db, Actor.key("ak_live_1", own.id, {"query"}))
    return await own.caught(audience.add_audience(reader, own.id, "老客户"))


@person("LOGIN_UNENROLLED")
async def _(own: Own, change: Change) -> None:
    await change.database.execute("UPDATE staff SET must_change = false")
    await logins.set_policy(change, {"factors": ["totp"], "enrol_reset": True})


@person("LOGIN_SMS_FAILED")
async def _(own: Own, change: Change) -> None:
    await logins.set_policy(change, {"sms_accounts": [own.id]})
    try:
        await change.database.execute("UPDATE staff SET phone = '8613800138000', phone_verified_at = now()")
        own.patch.setattr(own.api.acceptor, "open", False)
        codes = LoginCodes(change.database, own.api.sealer, own.api.acceptor, own.api.ctx.snapshots)
        await codes.send(change.actor.id, "login")
    finally:
        await logins.set_policy(change, {"sms_accounts": []})


@person("NETWORK_INVALID")
async def _(own: Own, change: Change) -> None:
    logins.networks_of(["192.0.2"])


@person("UNMASK_LIMIT")
async def _(own: Own, change: Change) -> None:
    await audience.put(by_test(own.api.ctx.db), own.id, [ContactInput(own.phone, "张三")])
    row = await own.api.ctx.db.fetchval("SELECT max(id) FROM contact WHERE account_id = $1", own.id)
    for _ in range(2):
        await unmasking.whole(change, "contact", row, Purpose.COMPLAINT, "", most=1, now=clock.now())


@person("BRAND_FIELD_INVALID")
async def _(own: Own, change: Change) -> None:
    await brands.draft(change, await brands.add(change, ["field.example"]), {"name": "x" * 1000})


@person("CERTIFICATE_INVALID")
async def _(own: Own, change: Change) -> None:
    brand = await brands.add(change, ["certificate.example"])
    await brands.put_certificate(change, brand, "chain", "key", own.api.sealer)


@case("NO_ROUTE")
async def _(own: Own) -> Provoked:
    own.api.blocked.add("CMCC")
    try:
        return Provoked({"carrier": MOBILE}, await own.send())
    finally:
        own.api.blocked.clear()


@case("STORAGE_UNAVAILABLE")
async def _(own: Own) -> Provoked:
    own.patch.setattr(own.api.acceptor.disk, "_min_free", 1 << 60)
    answer = await own.send()
    assert "请联系管理员清理磁盘" in answer.data["reason"]
    english = str(answer.body["message_en"]).partition("(")[2].removesuffix(")")
    assert english.endswith("the disk has to be cleared")
    return Provoked({"reason": Said(answer.data["reason"], english)}, answer)


@case("STORAGE_UNCERTAIN")
async def _(own: Own) -> Provoked:
    async def lost(call: object) -> None:
        raise Uncertain("STORAGE_UNCERTAIN", reason=phrase("storage.slow"))

    own.patch.setattr(own.api.acceptor._writer, "put", lost)
    return Provoked({"reason": Said("数据库响应超时", "the database did not answer in time")}, await own.send())


@case("NOT_READY")
async def _(own: Own) -> Provoked:
    own.api.checks["database"] = "away"
    try:
        return Provoked({}, await own.api.send("GET", "/ready"))
    finally:
        own.api.checks.clear()


@case("INTERNAL")
async def _(own: Own) -> Provoked:
    async def broken(request: object) -> None:
        raise RuntimeError("surprise")

    own.patch.setattr(own.api.acceptor, "explain", broken)
    return Provoked({}, await own.post("/messages/explain", own.body()))
