"""Every policy refuses, and says why (what records and reports say then: ``api/test_every_code.py``); kinds of the
operator have their own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from api_server import Answer, Api, running
from changes import by_test
from days import noon
from standins import Alone, AnyDestination

from smsgw.core.errors import Invalid, Refused, message_of
from smsgw.core.ids import CHINA, IdSource
from smsgw.core.keywords import Action, Word
from smsgw.core.model import MessageType, Origin
from smsgw.core.policy import Listed
from smsgw.core.templates import CARRIERS, Registration, Review
from smsgw.core.url_filings import Filing
from smsgw.core.words import english_of
from smsgw.pipeline.accept.acceptor import Acceptor, SendItem, SendRequest
from smsgw.platform.accounts import service as accounts
from smsgw.platform.content import service as registry
from smsgw.platform.content.model import Answer as Said
from smsgw.platform.kinds import service as kinds
from smsgw.platform.links import service as short_links
from smsgw.platform.links.model import NewLink
from smsgw.platform.links.table import LinkTable
from smsgw.platform.lists import consents, service as lists
from smsgw.platform.lists.consents import Given, Source
from smsgw.platform.policies import service as policies
from smsgw.platform.scenarios import service as scenarios
from smsgw.platform.scenarios.model import Terms
from smsgw.platform.url_filings import service as url_filings
from smsgw.platform.words import service as words
from smsgw.store.messages import abroad, daily

PHONE, OTHER = "13800138000", "13800138001"


class Clock:
    def __init__(self) -> None:
        self.now = noon()

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture
async def api(dsn: str, tmp_path: Path, clock: Clock) -> AsyncIterator[Api]:
    async with running(dsn, tmp_path, now=clock) as api:
        yield api


async def changed(api: Api) -> None:
    await api.ctx.snapshots.follow()


async def put(api: Api, name: str, value: str, **where: Any) -> None:
    await policies.put(by_test(api.ctx.db), name, value, **where)
    await changed(api)


async def judge(api: Api, kind: str, id_: int, state: Review = Review.APPROVED, **why: str) -> None:
    await registry.review(by_test(api.ctx.db, api.ctx.ids), kind, id_, state, **why)
    await changed(api)


async def carriers(api: Api, kind: str, id_: int, names: Sequence[str], state: Registration) -> None:
    await registry.register(by_test(api.ctx.db, api.ctx.ids), kind, id_, names, Said(state))
    await changed(api)


async def post(api: Api, *to: str, content: str = "您好", **fields: Any) -> Answer:
    return await api.post("/messages", {"to": list(to or [PHONE]), "content": content, **fields})


async def record(api: Api, answer: Answer, n: int = 0, **how: Any) -> Any:
    return (await api.get(f"/messages/{answer.data['items'][n]['message_id']}", **how)).data


def refused(answer: Answer, code: str, **detail: str) -> None:
    """All of the call is refused with this code and reason."""
    assert (answer.status, answer.code) == (400, code), answer.body
    for item in answer.data["items"]:
        assert (item["status"], item["code"], item["message"]) == ("rejected", code, message_of(code, detail))


async def spent(api: Api) -> int:
    return 10_000 - int((await api.get("/balance")).data["balance"])


async def test_a_word_in_disguise(api: Api) -> None:
    listed = [Word("赌博", "涉赌"), Word("发票", "票务", Action.REPLACE, "**")]
    await words.put(by_test(api.ctx.db), listed)
    await changed(api)
    refused(await post(api, content="来 賭－博 吧"), "CONTENT_SENSITIVE", words="赌博(涉赌)")
    assert await spent(api) == 0
    answer = await post(api, content="开發 票吗")
    assert answer.status == 202
    assert (await record(api, answer))["content"] == "【测试】开**吗"
    # Of a call with several texts only those with the word are refused.
    items = [{"to": PHONE, "content": "好"}, {"to": OTHER, "content": "赌博"}]
    answer = await api.post("/messages/batch", {"items": items})
    assert (answer.status, answer.data["accepted"], answer.data["rejected"]) == (202, 1, 1)
    bad = await record(api, answer, 1)
    assert (bad["status"], bad["carrier_code"], bad["price"]) == ("rejected", "CONTENT_SENSITIVE", 0)
    assert bad["description"] == answer.data["items"][1]["message"]
    batch = (await api.get(f"/messages?batch_id={answer.data['batch_id']}")).data["items"]
    assert {m["status"] for m in batch} == {"queued", "rejected"}
    assert await spent(api) == 2
    assert await words.remove(by_test(api.ctx.db), category="涉赌") == 1
    other = [Word("甲", account_id=api.account_id, type="notice"), Word("乙", account_id=99)]
    await words.put(by_test(api.ctx.db), other)
    await changed(api)
    assert (await post(api, content="赌博甲乙", type="otp")).status == 202
    assert (await post(api, content="乙")).status == 202
    assert (await post(api, content="甲")).code == "CONTENT_SENSITIVE"
    assert (await post(api, content="集合 {1,2} 与 {}")).status == 202, "no places that were left"


async def test_a_missing_signature(api: Api) -> None:
    await api.ctx.db.execute("UPDATE account SET default_sign = ''")
    await changed(api)
    refused(await post(api), "SIGN_MISSING")


async def test_quiet_hours_and_opt_out_wording(api: Api, clock: Clock) -> None:
    sale = {"content": "大促,拒收请回复R", "type": "marketing"}
    bare = await post(api, content="大促", type="marketing")
    refused(bare, "CONTENT_OPTOUT_MISSING", wording="拒收请回复R")
    assert (await post(api, **sale)).status == 202
    await put(api, "optout", "append", account_id=api.account_id)
    answer = await post(api, OTHER, content="大促", type="marketing")
    assert (await record(api, answer))["content"] == "【测试】大促,拒收请回复R"
    clock.now = noon().replace(hour=21)
    tomorrow = noon().replace(hour=8) + timedelta(days=1)
    told = f"{tomorrow:%Y-%m-%d %H:%M}"
    refused(await post(api, **sale), "TIME_WINDOW_CLOSED", type="营销", time=told)
    assert (await post(api, content="您好")).status == 202
    later = tomorrow + timedelta(minutes=30)
    answer = await post(api, "13800138002", **sale, send_at=later.isoformat())
    assert answer.data["items"][0]["status"] == "scheduled"
    night = tomorrow.replace(hour=22)
    assert (await post(api, **sale, send_at=night.isoformat())).code == "TIME_WINDOW_CLOSED"
    await lists.allow(by_test(api.ctx.db), ["86" + PHONE], Listed.TEST)
    await put(api, "hours", "22:00-06:00", type_="notice")
    assert (await post(api, PHONE, **sale)).status == 202
    assert (await post(api, OTHER, content="您好")).code == "TIME_WINDOW_CLOSED"


async def test_an_account_that_sends_to_its_list_alone(api: Api) -> None:
    await lists.allow(by_test(api.ctx.db), ["86" + PHONE], Listed.ONLY, account_id=api.account_id)
    await changed(api)
    answer = await post(api, PHONE, OTHER)
    assert [i["status"] for i in answer.data["items"]] == ["queued", "rejected"]
    assert answer.data["items"][1]["code"] == "NUMBER_NOT_ALLOWED"


async def test_an_explanation_shows_every_check(api: Api) -> None:
    await words.put(by_test(api.ctx.db), [Word("赌博")])
    await changed(api)
    body = {"to": [PHONE, "13900", OTHER], "content": "赌博 {name}"}
    good, bad, _ = (await api.post("/messages/explain", body)).data["items"]
    assert (good["verdict"], good["code"]) == ("rejected", "CONTENT_VARIABLE_UNRESOLVED")
    checks = {c["check"]: c["code"] for c in good["checks"]}
    assert (checks["变量"], checks["敏感词"]) == ("CONTENT_VARIABLE_UNRESOLVED", "CONTENT_SENSITIVE")
    assert checks["黑名单"] == checks["时段"] == checks["退订提示"] == "OK"
    assert (bad["code"], bad["checks"]) == ("NUMBER_INVALID", [])
    assert (await api.get("/messages")).data["items"] == []


async def test_a_new_installation_sends_what_is_approved_filed_and_agreed_to(api: Api) -> None:
    db, ids = api.ctx.db, api.ctx.ids
    await db.execute("DELETE FROM policy")  # as migrations leave an empty database
    await put(api, "hours", "off")
    other = await accounts.add(by_test(db), "other")
    for owner, sign in ((api.account_id, "测试"), (other, "某某银行")):
        id_ = await registry.add_sign(by_test(db, ids), owner, sign)
        await changed(api)
        if owner == api.account_id:
            refused(await post(api), "SIGN_NOT_APPROVED", sign=sign)
        await judge(api, "sign", id_)
    assert (await post(api)).status == 202
    for sign in ("某某银行", "无此签名"):  # another account's, and nobody's
        refused(await post(api, sign=sign), "SIGN_NOT_APPROVED", sign=sign)
    text = "新品上市 t.cn/a 拒收请回复R"
    refused(await post(api, OTHER, content=text, type="marketing"), "NUMBER_NO_CONSENT")
    given = Given(Source.PAPER, "v1", "纸质同意书", noon() - timedelta(days=1))
    await consents.give(by_test(db, ids), api.account_id, ["86" + OTHER], given)
    await api.lists.follow()
    answer = await post(api, OTHER, content=text, type="marketing")
    refused(answer, "LINK_NOT_FILED", link="t.cn/a", carrier="中国移动")
    filed = await url_filings.file(by_test(db), api.account_id, "t.cn/a")
    await url_filings.set_state(by_test(db), filed.id, Filing.REGISTERED)
    await changed(api)
    assert (await post(api, OTHER, content=text, type="marketing")).status == 202


async def test_signatures_are_approved_and_registered(api: Api) -> None:
    await put(api, "sign_policy", "registered")
    refused(await post(api), "SIGN_NOT_APPROVED", sign="测试")
    key = await api.add_key(scopes=("send", "query", "report", "template"))
    made = await api.post("/signs", {"sign": "【测试】", "source": "公司"}, key=key)
    assert made.data["state"] == "pending"
    id_ = int(made.data["sign_id"])
    await judge(api, "sign", id_)
    await carriers(api, "sign", id_, ["CUCC"], Registration.REGISTERED)
    refused(await post(api), "SIGN_NOT_REGISTERED", sign="测试", carrier="中国移动")
    await carriers(api, "sign", id_, CARRIERS, Registration.REGISTERED)
    assert (await post(api)).status == 202
    assert (await post(api, "+85261234567", content="【别人】abroad")).status == 202
    for until, status in ((timedelta(hours=1), 202), (timedelta(days=-1), 400)):
        await api.ctx.db.execute("UPDATE registration SET expires_at = $1 WHERE carrier = 'CMCC'", noon() + until)
        await changed(api)
        answer = await post(api, "+8613900139000")
        assert answer.status == status, until
    refused(answer, "SIGN_NOT_REGISTERED", sign="测试", carrier="中国移动")
    told = (await api.post("/events/pull", {"limit": 100}, key=key)).data["items"]
    assert [t["type"] for t in told] == ["sign.reviewed"] * 3
    assert told[0]["state"] == "approved"
    await judge(api, "sign", id_, Review.REFUSED, reason="资质过期")
    assert (await post(api)).code == "SIGN_NOT_APPROVED"
    assert (await api.post("/signs", {"sign": "测试"}, key=key)).data["state"] == "pending"


async def test_what_is_reviewed_first(api: Api) -> None:
    """More numbers than the limit, not as many; and signatures that are not approved for so long."""
    fresh = iter(range(13800138100, 13800138200))

    async def state(numbers: int = 1) -> str:
        answer = await post(api, *(str(next(fresh)) for _ in range(numbers)))
        return str((await record(api, answer))["status"])

    await put(api, "review_over", "2")
    assert [await state(1), await state(2), await state(3)] == ["queued", "queued", "held"]
    await put(api, "review_over", "off")
    await put(api, "review_new_sign", "7")
    assert await state() == "held", "never approved"
    key = await api.add_key(scopes=("template",))
    sign = int((await api.post("/signs", {"sign": "测试", "source": "公司"}, key=key)).data["sign_id"])
    await judge(api, "sign", sign)
    for days, expected in ((6, "held"), (7, "queued")):
        await api.ctx.db.execute("UPDATE sign SET reviewed_at = $1", noon() - timedelta(days=days))
        await changed(api)
        assert await state() == expected, days
    await api.ctx.db.execute("UPDATE sign SET state = 'pending', reviewed_at = NULL")
    await put(api, "review_new_sign", "off")
    assert await state() == "queued"


async def template(api: Api, content: str, name: str = "验证码", **fields: Any) -> int:
    key = await api.add_key(scopes=("template",))
    made = await api.post("/templates", {"name": name, "content": content, **fields}, key=key)
    assert made.status == 200, made.body
    return int(made.data["template_id"])


async def test_a_message_of_a_template(api: Api) -> None:
    forms = {"code": {"form": "digits", "max_length": 6}}
    id_ = await template(api, "验证码 {code},{n} 分钟内有效", type="otp", variables=forms)
    send = {"template_id": str(id_), "params": {"code": "8848", "n": "5"}, "type": "otp", "to": [PHONE]}
    await changed(api)
    refused(await api.post("/messages", send), "TEMPLATE_NOT_APPROVED", id=str(id_))
    await judge(api, "template", id_)
    refused(await api.post("/messages", send | {"template_id": "9"}), "TEMPLATE_NOT_FOUND", id="9")
    for params in ({"code": "88x", "n": "5"}, {"code": "1" * 7, "n": "5"}, {"n": "5"}):
        answer = await api.post("/messages", send | {"params": params})
        refused(answer, "TEMPLATE_PARAM_INVALID", name="code")
    too_many = await api.post("/messages", send | {"params": {"code": "1", "n": "5", "x": "1"}})
    refused(too_many, "TEMPLATE_PARAM_INVALID", name="x")
    answer = await api.post("/messages", send)
    assert answer.status == 202, answer.body
    sent = await record(api, answer)
    assert sent["content"] == "【测试】验证码 8848,5 分钟内有效"
    used = "SELECT template_id FROM message WHERE id = $1"
    assert await api.ctx.db.fetchval(used, int(sent["message_id"])) == id_
    items = [{"to": OTHER, "params": {"code": "1", "n": "2"}}, {"to": OTHER, "params": {"code": "2"}}]
    answer = await api.post("/messages/batch", {"items": items, "template_id": str(id_), "type": "otp"})
    assert [i["status"] for i in answer.data["items"]] == ["queued", "rejected"]
    assert (await api.post("/messages", send | {"type": "notice"})).code == "PARAM_INVALID"
    assert (await api.post("/messages", send | {"content": "x"})).code == "PARAM_INVALID"
    await carriers(api, "template", id_, ["CMCC"], Registration.REFUSED)
    refused(await api.post("/messages", send | {"to": ["13800138009"]}), "TEMPLATE_NOT_APPROVED", id=str(id_))


async def test_an_account_that_sends_templates_alone(api: Api) -> None:
    id_ = await template(api, "{name}您好,快递 {no} 已到", "快递", variables={"no": {"form": "alnum"}})
    await judge(api, "template", id_)
    await put(api, "templates_only", "true", account_id=api.account_id)
    refused(await post(api, content="随便说说"), "TEMPLATE_REQUIRED")
    answer = await post(api, content="张三您好,快递 SF1234 已到")
    assert answer.status == 202
    assert await api.ctx.db.fetchval("SELECT template_id FROM message WHERE content LIKE '%SF1234%'") == id_


async def test_a_template_that_cannot_be(api: Api) -> None:
    key = await api.add_key(scopes=("template",))
    for content in ("{1a}", "{a} {", "【店】{a}", "{" + "a" * 40 + "}"):
        answer = await api.post("/templates", {"name": "x", "content": content}, key=key)
        assert (answer.status, answer.code) == (400, "PARAM_INVALID"), content


async def test_how_often_a_number_gets_a_code(api: Api, clock: Clock) -> None:
    async def code(n: int) -> Answer:
        return await post(api, content=f"验证码 {n}", type="otp")

    assert (await code(1)).status == 202
    refused(await code(2), "NUMBER_FREQ_LIMITED", rule="验证码短信 1 分钟内最多 1 条")
    for n in range(3, 7):
        clock.now += timedelta(minutes=1)
        assert (await code(n)).status == 202
    clock.now += timedelta(minutes=1)
    refused(await code(8), "NUMBER_FREQ_LIMITED", rule="验证码短信 1 小时内最多 5 条")
    assert (await post(api, OTHER, content="验证码 1", type="otp")).status == 202
    asked = {"to": [PHONE], "content": "验证码 9", "type": "otp"}
    explained = (await api.post("/messages/explain", asked)).data
    checks = {c["check"]: c["code"] for c in explained["items"][0]["checks"]}
    assert (checks["频控"], checks["余额"]) == ("NUMBER_FREQ_LIMITED", "OK")
    clock.now += timedelta(hours=1)
    assert (await code(9)).status == 202
    await lists.allow(by_test(api.ctx.db), ["86" + PHONE], Listed.EXEMPT)
    await changed(api)
    assert (await code(10)).status == 202


async def test_marketing_of_an_account(api: Api, clock: Clock) -> None:
    sale = {"type": "marketing"}
    account_id = await accounts.add(by_test(api.ctx.db), "other", default_sign="别家")
    await accounts.top_up(by_test(api.ctx.db, api.ctx.ids), account_id, 100, "")
    key = await api.add_key(account_id)
    assert (await post(api, content="大促一,拒收请回复R", **sale)).status == 202
    body = {"to": [PHONE], "content": "先,拒收请回复R", **sale}
    assert (await api.post("/messages", body, key=key)).status == 202
    body = {"to": [PHONE, OTHER], "content": "大促二,拒收请回复R", **sale}
    answer = await api.post("/messages", body, key=key, Idempotency_Key="m1")
    assert [i["status"] for i in answer.data["items"]] == ["rejected", "queued"]
    assert (answer.data["accepted"], answer.data["rejected"]) == (1, 1)
    assert answer.data["items"][0]["message"].endswith("营销短信 1 天内最多 1 条")
    bad = await record(api, answer, key=key)
    assert (bad["status"], bad["carrier_code"], bad["price"]) == ("rejected", "NUMBER_FREQ_LIMITED", 0)
    assert (await api.get("/balance", key=key)).data["balance"] == 98
    again = await api.post("/messages", body, key=key, Idempotency_Key="m1")
    assert again.data == answer.data, "a repeat is answered as the first, and counts nothing"
    for day in range(1, 4):
        clock.now = noon() + timedelta(days=day, minutes=day)
        assert (await post(api, content=f"大促{day},拒收请回复R", **sale)).status == 202
    clock.now = noon() + timedelta(days=5)
    answer = await post(api, content="又一次,拒收请回复R", **sale)
    refused(answer, "NUMBER_FREQ_LIMITED", rule="营销短信 7 天内最多 4 条")


async def test_the_same_text_twice(api: Api, clock: Clock) -> None:
    assert (await post(api, content="同一句")).status == 202
    refused(await post(api, content="同一句"), "NUMBER_FREQ_LIMITED", rule="相同内容 60 秒内最多 1 条")
    assert (await post(api, content="另一句")).status == 202
    clock.now += timedelta(seconds=61)
    assert (await post(api, content="同一句")).status == 202
    clock.now += timedelta(seconds=61)
    answer = await post(api, content="同一句", dedupe={"window_s": 600})
    assert (answer.status, answer.code) == (400, "CONTENT_DUPLICATE")
    assert (await record(api, answer))["status"] == "duplicate"


async def accepted_by_two(api: Api, clock: Clock, type_: MessageType, calls: Sequence[list[SendItem]]) -> int:
    """How many messages of calls are accepted that come four at once to two nodes, each with a writer of its own."""
    other = Acceptor(
        api.ctx.db, IdSource(2, lambda: int(time.time() * 1000)), api.ctx.snapshots, api.acceptor._checker,
        api.acceptor.disk, api.ctx.hub, AnyDestination(), Alone(2), None, now=clock,
    )  # fmt: skip
    await other.start()
    try:
        account = api.ctx.snapshots.current.account(api.account_id)
        assert account is not None
        accepted = 0
        for n in range(0, len(calls), 4):
            requests = [SendRequest(account, tuple(items), type_, Origin.API, "t") for items in calls[n : n + 4]]
            doors = (api.acceptor, other) * 2
            results = await asyncio.gather(*(door.send(one) for door, one in zip(doors, requests, strict=True)))
            accepted += sum(result.accepted for result in results)
        return accepted
    finally:
        await other.stop()


async def test_two_at_once_cannot_both_pass(api: Api, clock: Clock) -> None:
    calls = [
        [SendItem(f"137{number:08d}", f"验证码 {k}") for number in range(n, n + 20)]
        for n in range(0, 200, 20)
        for k in range(4)
    ]
    assert await accepted_by_two(api, clock, MessageType.OTP, calls) == 200


FAR = ("+8526123{:04d}", "+4477001{:05d}", "+1876555{:04d}", "+1415555{:04d}", "+37061{:06d}")
"""Hong Kong, Britain, Jamaica, the United States, Lithuania."""


async def _later(api: Api, passed: timedelta) -> None:
    """As if what was sent abroad had been sent so long ago."""
    await api.ctx.db.execute("UPDATE abroad_minute SET minute = minute - $1::interval", passed)
    await api.ctx.db.execute(
        "UPDATE abroad_country SET first_at = first_at - $1::interval, last_at = last_at - $1::interval", passed
    )


async def test_how_much_an_account_sends_abroad(api: Api) -> None:
    await put(api, "abroad_hourly", "5", account_id=api.account_id)
    hong_kong = [FAR[0].format(n) for n in range(12)]
    assert (await post(api, *hong_kong[:3])).status == 202
    answer = await post(api, PHONE, *hong_kong[3:6])
    assert [i.get("code") for i in answer.data["items"]] == [None, None, None, "INTERNATIONAL_LIMITED"]
    rule = {"rule": "1 小时内最多 5 条"}
    refused(await post(api, hong_kong[6]), "INTERNATIONAL_LIMITED", **rule)
    line = (await api.post("/messages/explain", {"to": [hong_kong[7]], "content": "您好"})).data["items"][0]
    assert {c["check"]: c["code"] for c in line["checks"]}["境外"] == line["code"] == "INTERNATIONAL_LIMITED"
    assert (await post(api, OTHER)).status == 202, "at home nothing is limited"
    (alarm,) = await abroad.findings(api.ctx.db)
    assert (alarm.kind, alarm.object) == ("toll_fraud", "account/acme")
    told = english_of(alarm.detail)
    assert told == "2 messages abroad were refused in the last hour, 5 accepted; 1 countries were new"
    other = await api.add_key(await accounts.add(by_test(api.ctx.db), "other", credit_floor=-10))
    answer = await api.post("/messages", {"to": [hong_kong[8]], "content": "【店】您好"}, key=other)
    assert answer.status == 202, "each account counts for itself"
    await _later(api, timedelta(minutes=59))
    refused(await post(api, hong_kong[9]), "INTERNATIONAL_LIMITED", **rule)
    await _later(api, timedelta(minutes=2))
    assert (await post(api, hong_kong[10])).status == 202
    await _later(api, timedelta(minutes=61))
    assert await abroad.findings(api.ctx.db) == []
    await put(api, "abroad_hourly", "off", account_id=api.account_id)
    assert (await post(api, *(FAR[0].format(n) for n in range(100, 110)))).data["rejected"] == 0


async def test_how_many_new_countries_an_account_sends_to(api: Api) -> None:
    await put(api, "abroad_countries", "2", account_id=api.account_id)
    answer = await post(api, *(form.format(1) for form in FAR))
    assert [i.get("code") for i in answer.data["items"]] == [None, None] + ["INTERNATIONAL_LIMITED"] * 3
    rule = {"rule": "1 小时内最多 2 个近 30 天未发送过的国家或地区"}
    refused(await post(api, FAR[2].format(2)), "INTERNATIONAL_LIMITED", **rule)
    assert (await post(api, FAR[0].format(2), FAR[1].format(2))).data["rejected"] == 0, "those it knows"
    await _later(api, timedelta(minutes=61))
    assert (await post(api, FAR[2].format(3), FAR[3].format(3))).data["rejected"] == 0
    refused(await post(api, FAR[4].format(3)), "INTERNATIONAL_LIMITED", **rule)
    await _later(api, timedelta(days=29))
    assert (await post(api, FAR[0].format(4), FAR[4].format(4), FAR[2].format(4))).data["rejected"] == 0
    await _later(api, timedelta(days=31))
    answer = await post(api, *(form.format(5) for form in FAR))
    assert answer.data["rejected"] == 3, "all are new again"


async def test_two_nodes_count_abroad_together(api: Api, clock: Clock) -> None:
    await put(api, "abroad_hourly", "50", account_id=api.account_id)
    await put(api, "abroad_countries", "3", account_id=api.account_id)
    calls = [[SendItem(FAR[n // 20].format(k), "您好") for k in range(n, n + 5)] for n in range(0, 100, 5)]
    assert await accepted_by_two(api, clock, MessageType.NOTICE, calls) == 50
    assert await api.ctx.db.fetchval("SELECT count(*) FROM abroad_country") == 3


async def test_a_short_link_in_marketing_is_judged_by_where_it_leads(api: Api) -> None:
    """Its target must be on file; its own domain, too, unless the policy says that it counts by itself."""
    db, sale = api.ctx.db, {"type": "marketing"}
    await policies.put(by_test(db), "filed_links", "marketing")
    await policies.put(by_test(db), "frequency", "off", type_="marketing")
    wanted = NewLink(api.account_id, "spring", "https://shop.example.com/spring", chosen="spring")
    await short_links.make(by_test(db), api.sealer, wanted, ("s.example.cn",), now=datetime.now(UTC))
    table = api.acceptor._checker.short_links
    assert isinstance(table, LinkTable)
    await table.follow()

    async def filed(target: str) -> None:
        one = await url_filings.file(by_test(db), api.account_id, target)
        await url_filings.set_state(by_test(db), one.id, Filing.REGISTERED)

    await filed("s.example.cn")
    await changed(api)
    text = "大促 https://s.example.cn/spring ,拒收请回复R"
    named = {"link": "https://shop.example.com/spring", "carrier": "中国移动"}
    refused(await post(api, content=text, **sale), "LINK_NOT_FILED", **named)
    hidden = (
        "Ｓ．example.cn/SPRING?x=1", "https://s.example.cn\\spring", "s.example.cn/./spring",
        "s.example.cn/x/../spring", "s.example.cn/%2E%2e\\spring#x",
    )  # fmt: skip
    for spelt in hidden:
        answer = await post(api, content=f"大促 {spelt} ,拒收请回复R", **sale)
        refused(answer, "LINK_NOT_FILED", **named)
    # Beside one that the call brings, whose own target is on file.
    wanted = NewLink(api.account_id, "other", "https://filed.example.net/")
    brought = await short_links.make(by_test(db), api.sealer, wanted, ("s.example.cn",), now=datetime.now(UTC))
    await filed("filed.example.net")
    await changed(api)
    linked = sale | {"link": {"id": str(brought.id)}}
    answer = await post(api, content="大促 {link} 和 s.example.cn/spring ,拒收请回复R", **linked)
    refused(answer, "LINK_NOT_FILED", **named)
    assert (await post(api, content="大促 {link} ,拒收请回复R", **linked)).status == 202
    await filed("shop.example.com")
    await changed(api)
    assert (await post(api, content=text, **sale)).status == 202
    await db.execute("DELETE FROM filed_link WHERE target = 's.example.cn'")
    await changed(api)
    own = {"link": "https://s.example.cn/spring", "carrier": "中国移动"}
    refused(await post(api, content="再" + text, **sale), "LINK_NOT_FILED", **own)
    await policies.put(by_test(db), "filed_own_domain", "false")
    await changed(api)
    assert (await post(api, content="又" + text, **sale)).status == 202
    other = await post(api, content="大促 s.example.cn/other ,拒收请回复R", **sale)
    refused(other, "LINK_NOT_FILED", link="s.example.cn/other", carrier="中国移动")


async def test_links_of_marketing_are_on_file_with_the_carrier(api: Api) -> None:
    db, sale = api.ctx.db, {"type": "marketing"}
    key = await api.add_key(scopes=("link",))
    await policies.put(by_test(db), "filed_links", "marketing")
    await policies.put(by_test(db), "frequency", "off", type_="marketing")
    text = "大促 https://m.example.com/x?a=1,拒收请回复R"
    made = await api.post("/links/filings", {"target": "https://Example.com", "icp": "京ICP备1号"}, key=key)
    assert made.status == 200, made.body
    assert (made.data["target"], made.data["carriers"]["CMCC"]["state_name"]) == ("example.com", "待报备")
    id_ = int(made.data["filing_id"])
    await url_filings.set_state(by_test(db), id_, Filing.SUBMITTED)
    await changed(api)
    named = {"link": "https://m.example.com/x?a=1", "carrier": "中国移动"}
    refused(await post(api, content=text, **sale), "LINK_NOT_FILED", **named)
    line = (await api.post("/messages/explain", {"to": [PHONE], "content": text, **sale})).data["items"][0]
    assert {c["check"]: c["code"] for c in line["checks"]}["链接报备"] == "LINK_NOT_FILED"
    await url_filings.set_state(by_test(db), id_, Filing.REGISTERED, ["CMCC"])
    await changed(api)
    assert (await post(api, content=text, **sale)).status == 202
    mixed = await post(api, PHONE, "13000138000", content=text + " ", **sale)
    assert [i.get("code") for i in mixed.data["items"]] == [None, "LINK_NOT_FILED"]
    assert (await post(api, content="取件 t.cn/b")).status == 202, "no marketing"
    # Of a variable, too.
    id_t = await template(api, "{name}大促,拒收请回复R", "促销", type="marketing")
    await judge(api, "template", id_t)
    send = {"to": [OTHER], "template_id": str(id_t), "type": "marketing"}
    filled = await api.post("/messages", send | {"params": {"name": "看ｅｖｉｌ．ｃｎ／ｘ吧"}})
    refused(filled, "LINK_NOT_FILED", link="evil.cn/x", carrier="中国移动")
    assert (await api.post("/messages", send | {"params": {"name": "看example.com/y吧"}})).status == 202
    assert [f["target"] for f in (await api.get("/links/filings", key=key)).data["items"]] == ["example.com"]
    assert (await api.post("/links/filings", {"target": "看看"}, key=key)).code == "PARAM_INVALID"
    assert (await api.call("DELETE", f"/links/filings/{id_}", key=key)).status == 200


async def test_what_a_carrier_refused_is_filed_again(api: Api) -> None:
    db = api.ctx.db
    filed = await url_filings.file(by_test(db), 0, "t.cn/a")
    await url_filings.set_state(by_test(db), filed.id, Filing.REFUSED, ["CUCC"], note="无备案")
    await url_filings.set_state(by_test(db), filed.id, Filing.REGISTERED, ["CMCC"])
    again = await url_filings.file(by_test(db), 0, "t.cn/a", icp="京1")
    assert again.id == filed.id
    assert [again.carriers[c].state for c in ("CMCC", "CUCC", "CBN")] == ["registered", "pending", "pending"]


async def make(api: Api, name: str = "bill", label: str = "账单", base: MessageType = MessageType.NOTICE) -> None:
    await kinds.add(by_test(api.ctx.db), name, label, base)
    await api.ctx.snapshots.follow()


async def send(api: Api, type_: str, content: str = "您好", to: str = PHONE, **fields: object) -> Answer:
    return await api.post("/messages", {"to": [to], "content": content, "type": type_, **fields})


def only(answer: Answer) -> str:
    (item,) = answer.data["items"]
    return str(item["message_id"])


async def test_a_kind_is_stored_told_and_counted_by_its_own_name(api: Api) -> None:
    await make(api)
    answer = await send(api, "bill")
    assert answer.status == 202, answer.body
    record = (await api.get(f"/messages/{only(answer)}")).data
    assert record["type"] == "bill"
    assert (await send(api, "notice", "另一条")).status == 202
    rows = await api.ctx.db.fetch("SELECT type, kind FROM message ORDER BY id")
    assert [tuple(r) for r in rows] == [("notice", "bill"), ("notice", "")]
    while await daily.roll_up(api.ctx.db, datetime.now(CHINA) + timedelta(days=1)):
        pass
    counted = await api.ctx.db.fetch("SELECT type, sum(messages)::int AS n FROM stat_day GROUP BY 1 ORDER BY 1")
    assert [tuple(r) for r in counted] == [("bill", 1), ("notice", 1)]


async def test_programs_see_what_they_may_name(api: Api) -> None:
    await make(api)
    await make(api, "club", "会员动态", MessageType.MARKETING)
    await kinds.retire(by_test(api.ctx.db), "club")
    await api.ctx.snapshots.follow()
    assert [(one["name"], one["label"], one["base"]) for one in (await api.get("/kinds")).data["items"]] == [
        ("otp", "验证码", "otp"), ("notice", "通知", "notice"), ("marketing", "营销", "marketing"),
        ("bill", "账单", "notice"),
    ]  # fmt: skip


async def test_hours_are_its_own_and_the_refusal_names_it(api: Api) -> None:
    await make(api)
    await put(api, "hours", "14:00-16:00", type_="bill")
    answer = await send(api, "bill")
    assert (answer.status, answer.code) == (400, "TIME_WINDOW_CLOSED"), answer.body
    opens = f"{noon().replace(hour=14):%Y-%m-%d %H:%M}"
    assert answer.data["items"][0]["message"] == message_of("TIME_WINDOW_CLOSED", {"type": "账单", "time": opens})
    assert (await send(api, "notice")).status == 202


async def test_frequency_counts_apart_only_where_it_is_the_kinds_own(api: Api) -> None:
    await make(api)
    for wrong in ("1/0m", "abc", "1/1m " * 9, "5/31d"):
        with pytest.raises(Invalid, match="frequency"):
            await put(api, "frequency", wrong)
    await put(api, "frequency_per", "number", type_="notice")
    await put(api, "frequency", "1/1d", type_="notice")
    assert (await send(api, "notice", "一")).status == 202
    assert (await send(api, "bill", "二")).code == "NUMBER_FREQ_LIMITED"  # else more kinds were more messages
    await put(api, "frequency", "1/1d", type_="bill")
    assert (await send(api, "bill", "三")).status == 202
    assert (await send(api, "bill", "四")).code == "NUMBER_FREQ_LIMITED"
    assert (await send(api, "notice", "五")).code == "NUMBER_FREQ_LIMITED"


async def test_duties_are_those_of_its_type(api: Api) -> None:
    await make(api, "club", "会员活动", MessageType.MARKETING)
    assert (await send(api, "club", "满减")).code == "CONTENT_OPTOUT_MISSING"
    await api.ctx.db.execute("UPDATE account SET emergency = true")
    answer = await send(api, "club", "满减,拒收请回复R")
    assert answer.status == 202, answer.body
    lanes = await api.ctx.db.fetchval("SELECT lane FROM part")
    assert lanes == 3


async def test_review_is_its_own(api: Api) -> None:
    await make(api)
    await put(api, "review", "all", type_="bill")
    assert (await send(api, "bill")).data["items"][0]["status"] == "held"
    assert (await send(api, "notice", "另一条")).data["items"][0]["status"] == "queued"


async def test_a_scenario_takes_kinds_of_its_type_alone(api: Api) -> None:
    await make(api)
    terms = Terms(name="缴费", type=MessageType.NOTICE)
    scenario = str(await scenarios.add(by_test(api.ctx.db), api.account_id, terms))
    answer = await send(api, "bill", scenario_id=scenario)
    assert (await api.get(f"/messages/{only(answer)}")).data["type"] == "bill"
    await make(api, "club", "会员活动", MessageType.MARKETING)
    assert (await send(api, "club", "另一条", scenario_id=scenario)).code == "PARAM_INVALID"


async def test_a_retired_one_sends_nothing_new_and_answers_repeats(api: Api) -> None:
    await make(api)
    body = {"to": [PHONE], "content": "您好", "type": "bill"}
    first = await api.post("/messages", body, Idempotency_Key="once")
    assert first.status == 202
    await kinds.retire(by_test(api.ctx.db), "bill")
    await api.ctx.snapshots.follow()
    again = await api.post("/messages", body, Idempotency_Key="once")
    assert (again.status, again.data) == (202, first.data)
    refused = await send(api, "bill", "另一条")
    assert (refused.status, refused.code) == (400, "PARAM_INVALID")
    assert (await send(api, "bil", "另一条")).code == "PARAM_INVALID"
    assert (await api.get(f"/messages/{only(first)}")).data["type"] == "bill"
    await kinds.restore(by_test(api.ctx.db), "bill")
    await api.ctx.snapshots.follow()
    assert (await send(api, "bill", "另一条")).status == 202


async def test_names_that_are_none(api: Api) -> None:
    for name in ("", "A", "账单", "otp", "all", "1bill", "b", "x" * 33, "a b"):
        with pytest.raises(Invalid):
            await make(api, name)


async def test_two_that_people_cannot_tell_apart(api: Api) -> None:
    await make(api)
    for name, label in (("bill", "别的"), ("bill2", "账单"), ("bill3", "通知")):
        with pytest.raises(Refused):
            await make(api, name, label)
    await kinds.retire(by_test(api.ctx.db), "bill")
    await make(api, "bill2", "账单")
    with pytest.raises(Refused):
        await kinds.restore(by_test(api.ctx.db), "bill")
    await kinds.rename(by_test(api.ctx.db), "bill", "旧账单")
    await kinds.restore(by_test(api.ctx.db), "bill")
