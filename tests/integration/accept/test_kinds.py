"""Business kinds of the operator: their own policies, pools, review and figures, and their type's duties. On a real
database."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from api_server import Answer, Api
from changes import by_test
from days import noon

from smsgw.core.errors import Invalid, Refused, message_of
from smsgw.core.ids import CHINA
from smsgw.core.model import MessageType
from smsgw.core.words import english_of
from smsgw.platform.kinds import service as kinds
from smsgw.platform.policies import service as policies
from smsgw.platform.scenarios import service as scenarios
from smsgw.platform.scenarios.model import Terms
from smsgw.store.messages import daily

PHONE, OTHER = "13800138000", "13800138001"


pytestmark = pytest.mark.api(now=noon)


async def make(api: Api, name: str = "bill", label: str = "账单", base: MessageType = MessageType.NOTICE) -> None:
    await kinds.add(by_test(api.ctx.db), name, label, base)
    await api.ctx.snapshots.follow()


async def put(api: Api, name: str, value: str, type_: str) -> None:
    await policies.put(by_test(api.ctx.db), name, value, type_=type_)
    await api.ctx.snapshots.follow()


async def send(api: Api, type_: str, content: str = "您好", to: str = PHONE, **fields: object) -> Answer:
    return await api.post("/messages", {"to": [to], "content": content, "type": type_, **fields})


def only(answer: Answer) -> str:
    (item,) = answer.data["items"]
    return str(item["message_id"])


async def test_a_kind_is_stored_told_and_counted_by_its_own_name(api: Api) -> None:
    compat = "SELECT compat FROM schema_info"
    assert await api.ctx.db.fetchval(compat) < kinds.SCHEMA
    await make(api)
    assert await api.ctx.db.fetchval(compat) == kinds.SCHEMA, "no older program starts any more"
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
    await put(api, "hours", "14:00-16:00", "bill")
    answer = await send(api, "bill")
    assert (answer.status, answer.code) == (400, "TIME_WINDOW_CLOSED"), answer.body
    opens = f"{noon().replace(hour=14):%Y-%m-%d %H:%M}"
    assert answer.data["items"][0]["message"] == message_of("TIME_WINDOW_CLOSED", {"type": "账单", "time": opens})
    assert (await send(api, "notice")).status == 202


async def test_frequency_counts_apart_only_where_it_is_the_kinds_own(api: Api) -> None:
    await make(api)
    await put(api, "frequency_per", "number", "notice")
    await put(api, "frequency", "1/1d", "notice")
    assert (await send(api, "notice", "一")).status == 202
    assert (await send(api, "bill", "二")).code == "NUMBER_FREQ_LIMITED"  # else more kinds were more messages
    await put(api, "frequency", "1/1d", "bill")
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
    await put(api, "review", "all", "bill")
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


async def test_none_is_made_while_a_node_runs_an_older_program(api: Api) -> None:
    await api.ctx.db.execute(
        "INSERT INTO node (number, instance, place, since, seen_at, schema, schema_epoch)"
        " VALUES (7, 'old', 'old', now(), now(), 177, 1);"
        "INSERT INTO lease (resource, node, epoch, expires_at) VALUES ('node/7', 7, 1, now() + interval '1 hour')"
    )
    with pytest.raises(Refused) as caught:
        await make(api)
    assert "node(s) 7 run" in english_of(caught.value.detail["reason"])
