"""Each code of ``core/errors.py`` is provoked, through the HTTP API wherever a caller of it can be told it.

Of each: the HTTP status, the messages in Chinese and in English with their places filled in; of a refused message
also that its record and the report that is pulled say the same. A code without a case fails.
"""

from __future__ import annotations

import asyncio
import string
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
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
from smsgw.platform.accounts.queries import id_of
from smsgw.platform.audience import service as audience
from smsgw.platform.audience.model import ContactInput
from smsgw.platform.brand import service as brands
from smsgw.platform.change import Change
from smsgw.platform.content import service as registry
from smsgw.platform.keys.model import NewKey
from smsgw.platform.links import service as links
from smsgw.platform.links.model import LinkKind, NewLink
from smsgw.platform.lists import complaints as register
from smsgw.platform.lists import queries as list_queries
from smsgw.platform.lists import service as lists
from smsgw.platform.login import service as logins
from smsgw.platform.login.codes import LoginCodes
from smsgw.platform.numbers import service as number_service
from smsgw.platform.org import factors, queries
from smsgw.platform.org import service as org
from smsgw.platform.policies import service as policies
from smsgw.platform.review.service import Reviewing
from smsgw.platform.unmasking import service as unmasking
from smsgw.platform.unmasking.model import Purpose
from smsgw.platform.words import service as words
from smsgw.runtime import clock
from smsgw.runtime.aio import spawn
from smsgw.runtime.config import HttpConfig
from smsgw.store.engine.together import Together
from smsgw.store.messages import complaints
from smsgw.web import listening, plain_http

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def api(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    """One server for all: every case has an account and numbers of its own."""
    dsn = await postgres.make("every_code", postgres.template)
    proxies = (ip_network("127.0.0.1/32"),)
    folder = tmp_path_factory.mktemp("every_code")
    async with running(
        dsn,
        folder,
        now=noon,
        trusted_proxies=proxies,
        runner_changes={"lingering_time": 0.1},
    ) as built:
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
    """What has come of a case."""

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
    """A case's account, its key, and what it does with them."""

    api: Api
    id: int
    name: str
    key: NewKey
    phone: str
    patch: pytest.MonkeyPatch

    @property
    def account(self) -> Account:
        found = self.api.ctx.snapshots.current.account(self.id)
        assert found is not None
        return found

    async def set(self, **changes: Any) -> None:
        await accounts.edit(by_test(self.api.ctx.db), await id_of(self.api.ctx.db, self.name), changes)
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

    async def send(self, content: str | None = "您好", **fields: Any) -> Answer:
        return await self.post("/messages", self.body(content, **fields))

    async def refused(self, detail: dict[str, Any], content: str | None = "您好", **fields: Any) -> Provoked:
        """Of a call to one number, which is recorded."""
        answer = await self.send(content, **fields)
        (item,) = answer.data["items"]
        assert item["status"] in ("rejected", "duplicate"), answer.body
        return Provoked(detail, answer, item["message_id"], [(item["code"], item["message"])])

    async def at_the_door(self, content: str) -> Provoked:
        """Of what only partners can bring."""
        request = SendRequest(
            self.account, (SendItem(self.phone, content),), MessageType.NOTICE, Origin.CLI, "t"
        )
        with pytest.raises(SmsgwError) as caught:
            await self.api.acceptor.send(request)
        return Provoked(caught.value.detail, said=[(caught.value.code, str(caught.value))])

    async def template(self, content: str) -> str:
        made = await self.post("/templates", {"name": content, "content": content})
        await self.reload()
        return str(made.data["template_id"])

    async def upload(self, octets: bytes) -> Answer:
        form = (
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n%b\r\n--b--\r\n'
            % octets
        )
        return await self.post("/files", form, Content_Type="multipart/form-data; boundary=b")

    async def cut_off(self, path: str, length: int) -> Answer:
        """The answer to a body that announces its length, and does not come."""
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
    places = {
        name for text in catalogue.CODES[code] for _, name, _, _ in string.Formatter().parse(text) if name
    }
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
    """The record and the pulled report say so."""
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


# --- the request ----------------------------------------------------------------------------------------------------


@case("OK")
async def _(own: Own) -> Provoked:
    return Provoked({}, await own.api.get("/balance", key=own.key))


@case("PARAM_MISSING")
async def _(own: Own) -> Provoked:
    return Provoked({"field": "content"}, await own.send(None))


@case("PARAM_INVALID")
async def _(own: Own) -> Provoked:
    answer = await own.send(report=False)
    reason = {"reason": Said("本服务器不支持此参数", "not available on this server")}
    return Provoked({"field": "report", **reason}, answer)


@case("JSON_INVALID")
async def _(own: Own) -> Provoked:
    return Provoked({}, await own.post("/messages", b'{"to":["\xff"]}'))


@case("BODY_TOO_LARGE")
async def _(own: Own) -> Provoked:
    return Provoked({}, await own.cut_off("/messages", 3 << 20))


@case("REQUEST_TIMEOUT")
async def _(own: Own) -> Provoked:
    own.patch.setattr(listening, "GRACE", 1)
    return Provoked({"n": 1}, await own.cut_off("/messages", 100))


@case("FILE_TOO_LARGE")
async def _(own: Own) -> Provoked:
    return Provoked({}, await own.cut_off("/files", 201 << 20))


@case("FILE_INVALID")
async def _(own: Own) -> Provoked:
    answer = await own.upload(b"PK\3\4 no workbook")
    return Provoked({"reason": Said(answer.data["reason"], english_of(answer))}, answer)


def english_of(answer: Answer) -> str:
    """A reason in English, where only the server knows its words: plain ones."""
    reason = str(answer.body["message_en"]).partition(": ")[2]
    assert reason.isascii()
    return reason


@case("NOT_FOUND")
async def _(own: Own) -> Provoked:
    return Provoked({}, await own.api.get(f"/messages/{2**62}", key=own.key))


@case("METHOD_NOT_ALLOWED")
async def _(own: Own) -> Provoked:
    return Provoked({}, await own.api.call("DELETE", "/messages", key=own.key))


# --- numbers --------------------------------------------------------------------------------------------------------


@case("TO_EMPTY")
async def _(own: Own) -> Provoked:
    return Provoked({}, await own.send(to=[]))


@case("TO_TOO_MANY")
async def _(own: Own) -> Provoked:
    return Provoked({}, await own.send(to=[f"139{n:08d}" for n in range(1001)]))


@case("NUMBER_INVALID")
async def _(own: Own) -> Provoked:
    answer = await own.send(to=["1380013800x"])
    (item,) = answer.data["items"]
    return Provoked({}, answer, said=[(item["code"], item["message"])])


@case("NUMBER_DUPLICATE")
async def _(own: Own) -> Provoked:
    item = (await own.send(to=[own.phone, own.phone])).data["items"][1]
    return Provoked({}, said=[(item["code"], item["message"])])


@case("NUMBER_BLACKLISTED")
async def _(own: Own) -> Provoked:
    await lists.block(by_test(own.api.ctx.db), ["86" + own.phone], Scope(), MANUAL, "")
    await own.api.lists.follow()
    return await own.refused({"list": Said("人工黑名单", "entered by hand")})


@case("NUMBER_OPTED_OUT")
async def _(own: Own) -> Provoked:
    await lists.block(by_test(own.api.ctx.db), ["86" + own.phone], Scope(own.id), OPT_OUT, "")
    await own.api.lists.follow()
    (entry,) = await list_queries.find(own.api.ctx.db, "86" + own.phone, accounts=None)
    return await own.refused({"time": f"{entry.since.astimezone(CHINA):%Y-%m-%d %H:%M}"})


@case("COMPLAINT_CEILING")
async def _(own: Own) -> Provoked:
    async with own.api.ctx.db.transaction() as connection:
        changes = Together()
        complaints.count_sent(changes, 1, datetime.now(CHINA).date(), {"投诉多": 10})
        await changes.run(connection)
    for n in range(own.api.ctx.snapshots.current.settings.complaint_minimum):
        await register.enter(
            by_test(own.api.ctx.db), f"8613900{n:06d}", sign="投诉多", channel="", note="", block_number=False
        )
    await own.api.lists.judge()
    said = {"object": Said("签名 投诉多", "signature 投诉多")}
    return await own.refused(said, "大促,拒收请回复R", type="marketing", sign="投诉多")


@case("NUMBER_NOT_ALLOWED")
async def _(own: Own) -> Provoked:
    await lists.allow(by_test(own.api.ctx.db), ["8613900139000"], Listed.ONLY, account_id=own.id)
    await own.reload()
    return await own.refused({})


@case("NUMBER_EMPTY")
async def _(own: Own) -> Provoked:
    db = own.api.ctx.db
    await number_service.learn(by_test(db), {"86" + own.phone: NumberState.EMPTY}, datetime.now(UTC))
    await own.api.numbers.step()
    await own.policy("drop_empty", "true")
    return await own.refused({})


@case("NUMBER_NO_CONSENT")
async def _(own: Own) -> Provoked:
    await own.policy("consent", "marketing")
    await own.policy("hours", "off")
    return await own.refused({}, "活动通知,拒收请回复R", type="marketing")


@case("NUMBER_FREQ_LIMITED")
async def _(own: Own) -> Provoked:
    assert (await own.send("验证码 1", type="otp")).status == 202
    rule = {"rule": Said("验证码短信 1 分钟内最多 1 条", "one-time code messages: at most 1 in 1 min")}
    return await own.refused(rule, "验证码 2", type="otp")


@case("INTERNATIONAL_LIMITED")
async def _(own: Own) -> Provoked:
    await own.policy("abroad_hourly", "1")
    assert (await own.send(to=["+85261230001"])).status == 202
    return await own.refused({"rule": Said("1 小时内最多 1 条", "at most 1 in an hour")}, to=["+85261230002"])


@case("CONTENT_DUPLICATE")
async def _(own: Own) -> Provoked:
    await own.policy("identical_seconds", "off")
    assert (await own.send()).status == 202
    return await own.refused({"n": "600"}, dedupe={"window_s": 600})


# --- texts ----------------------------------------------------------------------------------------------------------


@case("CONTENT_EMPTY")
async def _(own: Own) -> Provoked:
    return Provoked({}, await own.send(" \n"))


@case("CONTENT_UNENCODABLE")
async def _(own: Own) -> Provoked:
    return await own.at_the_door("half \ud83d")  # UCS-2 of a partner; JSON cannot carry it


@case("CONTENT_TOO_LONG")
async def _(own: Own) -> Provoked:
    return Provoked({"length": 1005}, await own.send("长" * 1001))


@case("CONTENT_SENSITIVE")
async def _(own: Own) -> Provoked:
    await words.put(by_test(own.api.ctx.db), [Word("赌博", "涉赌", account_id=own.id)])
    await own.reload()
    return await own.refused({"words": "赌博(涉赌)"}, "来赌博吧")


@case("CONTENT_VARIABLE_UNRESOLVED")
async def _(own: Own) -> Provoked:
    return await own.refused({"name": "姓名"}, "您好${姓名}")


@case("CONTENT_OPTOUT_MISSING")
async def _(own: Own) -> Provoked:
    return await own.refused({"wording": "拒收请回复R"}, "大促", type="marketing")


@case("LINK_NOT_FILED")
async def _(own: Own) -> Provoked:
    await own.policy("filed_links", "marketing")
    detail = {"link": "https://t.cn/Ab", "carrier": Said("中国移动", "China Mobile")}
    return await own.refused(detail, "大促 https://t.cn/Ab,拒收请回复R", type="marketing")


async def _link(own: Own, **how: Any) -> str:
    """A short link of the case's account."""
    sent, now = own.api.ctx.sent_links, datetime.now(UTC)
    sent.hosts = ("s.example.cn",)
    wanted = NewLink(own.id, "春季", "https://www.example.cn/", LinkKind.PERSONAL, **how)
    return str((await sent.make(by_test(own.api.ctx.db), wanted, now)).id)


@case("LINK_NOT_FOUND")
async def _(own: Own) -> Provoked:
    return Provoked({"id": "999999"}, await own.send("您好 {link}", link={"id": "999999"}))


@case("LINK_NOT_ACTIVE")
async def _(own: Own) -> Provoked:
    id_ = await _link(own)
    await links.stop(by_test(own.api.ctx.db), int(id_))
    detail = {"id": id_, "name": "春季", "state": Said("失效", "stopped")}
    return Provoked(detail, await own.send("您好 {link}", link={"id": id_}))


@case("LINK_CODES_USED_UP")
async def _(own: Own) -> Provoked:
    id_ = await _link(own)
    body = own.body("您好 {link}", link={"id": id_}) | {"to": [own.phone, "13912345678"]}
    return Provoked({"id": id_, "left": 1, "need": 2}, await own.post("/messages", body))


@case("LINK_PLACE_MISSING")
async def _(own: Own) -> Provoked:
    return Provoked({"place": "{link}"}, await own.send("您好", link={"id": await _link(own)}))


@case("SIGN_MISSING")
async def _(own: Own) -> Provoked:
    await own.set(default_sign="")
    return await own.refused({})


@case("SIGN_NOT_APPROVED")
async def _(own: Own) -> Provoked:
    await own.policy("sign_policy", "approved")
    return await own.refused({"sign": "测试"})


@case("SIGN_NOT_REGISTERED")
async def _(own: Own) -> Provoked:
    made = await own.post("/signs", {"sign": "报备", "source": "公司"})
    id_ = int(made.data["sign_id"])
    await registry.review(by_test(own.api.ctx.db, own.api.ctx.ids), "sign", id_, Review.APPROVED)
    await own.policy("sign_policy", "registered")
    said = {"sign": "报备", "carrier": Said("中国移动", "China Mobile")}
    return await own.refused(said, sign="报备")


@case("TEMPLATE_NOT_FOUND")
async def _(own: Own) -> Provoked:
    return await own.refused({"id": "9"}, None, template_id="9")


@case("TEMPLATE_NOT_APPROVED")
async def _(own: Own) -> Provoked:
    id_ = await own.template("待审核")
    return await own.refused({"id": id_}, None, template_id=id_)


@case("TEMPLATE_PARAM_INVALID")
async def _(own: Own) -> Provoked:
    id_ = await own.template("编号 {no}")
    await registry.review(by_test(own.api.ctx.db, own.api.ctx.ids), "template", int(id_), Review.APPROVED)
    await own.reload()
    return await own.refused({"name": "no"}, None, template_id=id_, params={})


@case("TEMPLATE_REQUIRED")
async def _(own: Own) -> Provoked:
    await own.policy("templates_only", "true")
    return await own.refused({})


@case("REVIEW_REJECTED")
async def _(own: Own) -> Provoked:
    await own.policy("review", "all")
    held = (await own.send()).data
    assert held["items"][0]["status"] == "held"
    ctx = own.api.ctx
    reviewing = Reviewing(ctx.db, own.api.outcomes, ctx.snapshots, AnyFleet(), ctx.tasks)
    change = Change(ctx.db, Actor.operator("root"))
    await reviewing.decide(change, int(held["batch_id"]), passes=False, reason="内容不合规")
    message_id = held["items"][0]["message_id"]
    record = (await own.api.get(f"/messages/{message_id}", key=own.key)).data
    return Provoked(
        {"reason": "内容不合规"}, message=message_id, said=[(record["carrier_code"], record["description"])]
    )


# --- codes, times ---------------------------------------------------------------------------------------------------


@case("EXTEND_CODE_INVALID")
async def _(own: Own) -> Provoked:
    assert (await own.send(extend_code="12a")).code == "EXTEND_CODE_INVALID"
    await accounts.add(by_test(own.api.ctx.db), f"{own.name}-other", extend_code="7710")
    await own.reload()
    return Provoked({}, await own.send(extend_code="77101"))


@case("TIME_INVALID")
async def _(own: Own) -> Provoked:
    answer = await own.send(send_at="0001-01-01T00:00:00+08:00")
    said = {"reason": Said("send_at 超出允许的范围", "send_at is out of range")}
    return Provoked(said, answer)


@case("TIME_WINDOW_CLOSED")
async def _(own: Own) -> Provoked:
    await own.policy("hours", "08:00-11:00")
    return await own.refused({"type": Said("通知", "notice"), "time": f"{today() + timedelta(days=1)} 08:00"})


# --- who is calling -------------------------------------------------------------------------------------------------


@case("AUTH_MISSING")
async def _(own: Own) -> Provoked:
    return Provoked({}, await own.api.send("GET", f"{BASE}/balance"))


@case("AUTH_KEY_INVALID")
async def _(own: Own) -> Provoked:
    return Provoked({}, await own.api.get("/balance", key=replace(own.key, bearer="smk_live_nobody")))


@case("AUTH_SIGNATURE_INVALID")
async def _(own: Own) -> Provoked:
    return Provoked({}, await own.signed(secret="another"))


@case("AUTH_SIGNATURE_OUTDATED")
async def _(own: Own) -> Provoked:
    path = f"{BASE}/balance"
    async with own.api.another_node(signature_v1_until=None) as later:
        headers = later.signed("GET", path, key=own.key, version=1)
        return Provoked({}, await later.send("GET", path, headers=headers))


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


@case("AUTH_NONCE_REPLAYED")
async def _(own: Own) -> Provoked:
    assert (await own.signed(nonce="n" * 16)).status == 200
    return Provoked({}, await own.signed(nonce="n" * 16))


@case("AUTH_BEARER_INSECURE")
async def _(own: Own) -> Provoked:
    answer = await own.api.get("/balance", key=own.key, X_Forwarded_For="192.0.2.1")
    return Provoked({"reason": Said("只能经 HTTPS 使用", "it needs HTTPS")}, answer)


@case("AUTH_IP_DENIED")
async def _(own: Own) -> Provoked:
    away = await own.api.add_key(own.id, ip_allow=(ip_network("192.0.2.0/24"),))
    return Provoked({"ip": "127.0.0.1"}, await own.api.get("/balance", key=away))


@case("SCOPE_DENIED")
async def _(own: Own) -> Provoked:
    reader = await own.api.add_key(own.id, scopes=("query",))
    return Provoked({"scope": "send"}, await own.post("/messages", own.body(), key=reader))


# --- the account ----------------------------------------------------------------------------------------------------


@case("ACCOUNT_STOPPED")
async def _(own: Own) -> Provoked:
    await accounts.set_status(
        by_test(own.api.ctx.db),
        await id_of(own.api.ctx.db, own.name),
        "stopped",
    )
    await own.reload()
    return Provoked({}, await own.send())


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


@case("PROTOCOL_DENIED")
async def _(own: Own) -> Provoked:
    await own.set(protocols="smpp,cmpp")
    return Provoked({"protocol": "HTTP"}, await own.send())


@case("EMERGENCY_DENIED")
async def _(own: Own) -> Provoked:
    return Provoked({}, await own.send(emergency=True))


@case("BALANCE_INSUFFICIENT")
async def _(own: Own) -> Provoked:
    return Provoked({"need": 101, "left": 100}, await own.send(to=[f"137{n:08d}" for n in range(101)]))


@case("QUOTA_DAY_EXCEEDED")
async def _(own: Own) -> Provoked:
    await own.set(quota_day=1)
    return Provoked({"limit": 1, "left": 1}, await own.send(to=[own.phone, "13700000000"]))


@case("QUOTA_MONTH_EXCEEDED")
async def _(own: Own) -> Provoked:
    await own.set(quota_month=1)
    return Provoked({"limit": 1, "left": 1}, await own.send(to=[own.phone, "13700000000"]))


@case("QUOTA_DEPARTMENT_EXCEEDED")
async def _(own: Own) -> Provoked:
    change = by_test(own.api.ctx.db)
    department_id = await org.add_department(change, "窗口")
    await org.set_department(change, department_id, name="窗口", manager=None, month_quota=1)
    await org.place_account(change, own.id, department_id)
    await own.reload()
    return Provoked({"limit": 1, "left": 1}, await own.send(to=[own.phone, "13700000000"]))


@case("RATE_LIMITED")
async def _(own: Own) -> Provoked:
    await own.set(rate=1)
    assert (await own.send("很多", to=[f"137{n:08d}" for n in range(100)])).status == 202  # pays for 100 s
    return Provoked({}, await own.send())


# --- repeats --------------------------------------------------------------------------------------------------------


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


@case("IDEMPOTENCY_MISMATCH")
async def _(own: Own) -> Provoked:
    assert (await own.post("/messages", own.body(), Idempotency_Key="k")).status == 202
    return Provoked({}, await own.post("/messages", own.body("别的"), Idempotency_Key="k"))


@case("CLIENT_REF_EXISTS")
async def _(own: Own) -> Provoked:
    first = (await own.send(client_ref="R")).data["items"][0]["message_id"]
    return Provoked({"id": first}, await own.send("别的", client_ref="R"))


@case("TASK_REF_EXISTS")
async def _(own: Own) -> Provoked:
    body = {"name": "一", "content": "您好", "to": [own.phone], "client_ref": "T"}
    first = await own.post("/tasks", body)
    return Provoked({"id": first.data["task_id"]}, await own.post("/tasks", body | {"content": "别的"}))


@case("PERMISSION_DENIED")
async def _(own: Own) -> Provoked:
    """Of the portal and what has no scopes: a key is told of its scope before."""
    reader = Change(own.api.ctx.db, Actor.key("ak_live_1", own.id, {"query"}))
    with pytest.raises(SmsgwError) as caught:
        await audience.add_audience(reader, own.id, "老客户")
    return Provoked(caught.value.detail, said=[(caught.value.code, str(caught.value))])


async def of_people(own: Own, code: str, doing: Callable[[Change], Awaitable[Any]], *roles: str) -> Provoked:
    """Of the portal alone: somebody with these roles tries something."""
    machine = Change(own.api.ctx.db, Actor.operator("root"))
    login = f"p{code.lower()}"
    await org.add_person(machine, login, login, roles, "x")
    person = await queries.person(own.api.ctx.db, login)
    assert person is not None
    with pytest.raises(SmsgwError) as caught:
        await doing(Change(own.api.ctx.db, person.actor()))
    return Provoked(caught.value.detail, said=[(caught.value.code, str(caught.value))])


@case("GRANT_EXCEEDED")
async def _(own: Own) -> Provoked:
    code = "GRANT_EXCEEDED"
    return await of_people(own, code, lambda c: org.add_person(c, "new", "", ["super"], "x"), "admin")


@case("RIGHTS_OWN")
async def _(own: Own) -> Provoked:
    return await of_people(own, "RIGHTS_OWN", lambda c: org.grant(c, c.actor.name, ["dev"]), "admin")


@case("PERSON_ABOVE")
async def _(own: Own) -> Provoked:
    await org.add_person(Change(own.api.ctx.db, Actor.operator("root")), "above", "", ["ops"], "x")
    return await of_people(own, "PERSON_ABOVE", lambda c: org.reset_password(c, "above", "y"), "admin")


@case("DUTIES_CONFLICT")
async def _(own: Own) -> Provoked:
    code = "DUTIES_CONFLICT"
    return await of_people(
        own, code, lambda c: org.add_person(c, "two", "", ["sysadmin", "auditor"], "x"), "super"
    )


@case("LAST_ADMINISTRATOR")
async def _(own: Own) -> Provoked:
    await own.api.ctx.db.execute("UPDATE staff SET status = 'stopped'")

    async def stop(change: Change) -> None:
        await org.stop_person(Change(change.database, Actor.operator("root")), change.actor.name)

    return await of_people(own, "LAST_ADMINISTRATOR", stop, "super")


@case("ROLE_PROTECTED")
async def _(own: Own) -> Provoked:
    return await of_people(own, "ROLE_PROTECTED", lambda c: org.remove_role(c, "dev"), "super")


@case("LOGIN_LOCKED_OUT")
async def _(own: Own) -> Provoked:
    code, wanted = "LOGIN_LOCKED_OUT", {"networks": ["198.51.100.0/24"]}
    return await of_people(own, code, lambda c: logins.set_policy(c, wanted), "super")


@case("LOGIN_UNENROLLED")
async def _(own: Own) -> Provoked:
    async def demand(change: Change) -> None:
        await change.database.execute("UPDATE staff SET must_change = false")
        await logins.set_policy(change, {"factors": ["totp"], "enrol_reset": True})

    return await of_people(own, "LOGIN_UNENROLLED", demand, "super")


@case("LOGIN_SMS_UNSET")
async def _(own: Own) -> Provoked:
    return await of_people(own, "LOGIN_SMS_UNSET", lambda c: logins.set_policy(c, {"factors": ["sms"]}), "super")


@case("LOGIN_SMS_FAILED")
async def _(own: Own) -> Provoked:
    async def send(change: Change) -> None:
        await logins.set_policy(change, {"sms_accounts": [own.id]})
        try:
            await change.database.execute("UPDATE staff SET phone = '8613800138000', phone_verified_at = now()")
            own.patch.setattr(own.api.acceptor, "open", False)
            codes = LoginCodes(change.database, own.api.sealer, own.api.acceptor, own.api.ctx.snapshots)
            await codes.send(change.actor.id, "login")
        finally:
            await logins.set_policy(change, {"sms_accounts": []})

    return await of_people(own, "LOGIN_SMS_FAILED", send, "super")


@case("NETWORK_INVALID")
async def _(own: Own) -> Provoked:
    async def read(change: Change) -> None:
        logins.networks_of(["192.0.2"])

    return await of_people(own, "NETWORK_INVALID", read)


@case("CODE_WRONG")
async def _(own: Own) -> Provoked:
    return await of_people(own, "CODE_WRONG", lambda c: factors.confirm_totp(c, own.api.sealer, "123456"))


@case("STATE_CONFLICT")
async def _(own: Own) -> Provoked:
    message_id = (await own.send("您好${姓名}")).data["items"][0]["message_id"]
    answer = await own.post(f"/messages/{message_id}/cancel")
    gone = phrase("message.gone")
    return Provoked({"reason": gone}, answer)


@case("UNMASK_LIMIT")
async def _(own: Own) -> Provoked:
    await audience.put(by_test(own.api.ctx.db), own.id, [ContactInput(own.phone, "张三")])
    row = await own.api.ctx.db.fetchval("SELECT max(id) FROM contact WHERE account_id = $1", own.id)

    async def twice(change: Change) -> None:
        for _ in range(2):
            await unmasking.whole(change, "contact", row, Purpose.COMPLAINT, "", most=1, now=clock.now())

    return await of_people(own, "UNMASK_LIMIT", twice, "super")


# --- the portal's brands --------------------------------------------------------------------------------------------


async def of_brands(own: Own, code: str, doing: Callable[[Change], Awaitable[Any]]) -> Provoked:
    return await of_people(own, code, doing, "super")


@case("BRANDS_FULL")
async def _(own: Own) -> Provoked:
    await brands.add(by_test(own.api.ctx.db), ["first.example"])
    own.patch.setattr(brands, "MAX_BRANDS", 1)
    return await of_brands(own, "BRANDS_FULL", lambda c: brands.add(c, ["full.example"]))


@case("BRAND_HOST_TAKEN")
async def _(own: Own) -> Provoked:
    await brands.add(by_test(own.api.ctx.db), ["taken.example"])
    return await of_brands(own, "BRAND_HOST_TAKEN", lambda c: brands.add(c, ["taken.example"]))


@case("BRAND_HOSTS_INVALID")
async def _(own: Own) -> Provoked:
    return await of_brands(own, "BRAND_HOSTS_INVALID", lambda c: brands.add(c, ["no host"]))


@case("BRAND_FIELD_INVALID")
async def _(own: Own) -> Provoked:
    brand = await brands.add(by_test(own.api.ctx.db), ["field.example"])
    return await of_brands(own, "BRAND_FIELD_INVALID", lambda c: brands.draft(c, brand, {"name": "x" * 1000}))


@case("PICTURE_TOO_LARGE")
async def _(own: Own) -> Provoked:
    return await of_brands(own, "PICTURE_TOO_LARGE", lambda c: brands.put_picture(c, bytes(2 << 20)))


@case("PICTURE_INVALID")
async def _(own: Own) -> Provoked:
    return await of_brands(own, "PICTURE_INVALID", lambda c: brands.put_picture(c, b"no picture"))


@case("CERTIFICATE_INVALID")
async def _(own: Own) -> Provoked:
    brand, sealer = await brands.add(by_test(own.api.ctx.db), ["certificate.example"]), own.api.sealer
    return await of_brands(
        own, "CERTIFICATE_INVALID", lambda c: brands.put_certificate(c, brand, "chain", "key", sealer)
    )


# --- what is full, or away ------------------------------------------------------------------------------------------


@case("CONTACTS_FULL")
async def _(own: Own) -> Provoked:
    own.patch.setattr(audience, "MAX_CONTACTS", 1)
    items = [{"number": own.phone}, {"number": "13700000000"}]
    return Provoked({"most": 1}, await own.post("/contacts", {"items": items}))


@case("AUDIENCES_FULL")
async def _(own: Own) -> Provoked:
    own.patch.setattr(audience, "MAX_AUDIENCES", 1)
    assert (await own.post("/audiences", {"name": "一"})).status == 201
    return Provoked({"most": 1}, await own.post("/audiences", {"name": "二"}))


@case("NO_ROUTE")
async def _(own: Own) -> Provoked:
    own.api.blocked.add("CMCC")
    try:
        return Provoked({"carrier": Said("中国移动", "China Mobile")}, await own.send())
    finally:
        own.api.blocked.clear()


@case("BACKPRESSURE")
async def _(own: Own) -> Provoked:
    own.patch.setattr(own.api.acceptor, "open", False)
    return Provoked({}, await own.send())


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
