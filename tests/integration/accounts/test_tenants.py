"""Accounts that do not trust each other: none speaks from another's number, counts against it, or learns of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from api_server import Answer, Api, running
from changes import by_test
from days import noon

from smsgw.core.errors import Invalid, SmsgwError
from smsgw.core.ids import CHINA
from smsgw.core.model import MessageType, Origin
from smsgw.core.number_state import NumberState
from smsgw.core.partners import Partner, ReplyTo, Wanted
from smsgw.core.permissions import SCOPES
from smsgw.partners.smpp import SmppServer
from smsgw.pipeline.accept.acceptor import SendItem, SendRequest
from smsgw.platform.accounts import service as accounts
from smsgw.platform.accounts.queries import id_of
from smsgw.platform.channels import service as channels
from smsgw.platform.keys.model import NewKey
from smsgw.platform.numbers import service as number_service
from smsgw.platform.policies import service as policies
from smsgw.platform.routing import service as routing
from smsgw.protocols.smpp.pdus import DeliverSm
from smsgw.store.config import blocklist
from smsgw.store.messages import bind_events
from smsgw.store.messages.events import BoundEvent

PHONE, OTHER = "13800138000", "13800138001"
CHANNEL = {"protocol": "cmpp20", "host": "h", "port": 1, "username": "u", "password": "p"}


class Clock:
    """Noon, until a test says otherwise."""

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


async def tenant(api: Api, name: str, **fields: Any) -> NewKey:
    id_ = await accounts.add(by_test(api.ctx.db), name, default_sign="测试", **fields)
    await accounts.top_up(by_test(api.ctx.db, api.ctx.ids), id_, 10_000, "")
    return await api.add_key(id_, scopes=SCOPES)


async def extension(api: Api, name: str, digits: str) -> None:
    await accounts.edit(by_test(api.ctx.db), await id_of(api.ctx.db, name), {"extend_code": digits})
    await api.ctx.snapshots.follow()


async def send(api: Api, key: NewKey, *to: str, content: str = "您好", **fields: Any) -> Answer:
    return await api.post("/messages", {"to": list(to or [PHONE]), "content": content, **fields}, key=key)


async def test_digits_lead_to_nobody_else(api: Api) -> None:
    """Below its own code an account sends from any number that is not below a longer one of somebody else."""
    shop, bank = api.key, await tenant(api, "bank", extend_code="123")
    await tenant(api, "post", extend_code="9")
    await extension(api, "acme", "12")
    for digits, code in (("", "OK"), ("4", "OK"), ("34", "EXTEND_CODE_INVALID"), ("3", "EXTEND_CODE_INVALID")):
        answer = await send(api, shop, content=f"您好{digits}", extend_code=digits)
        assert (digits, answer.code) == (digits, code), answer.body
    assert (await send(api, bank, OTHER, extend_code="7")).status == 202
    said = (await send(api, shop, extend_code="34")).body
    assert "bank" not in str(said)
    sources = {r["extend_code"] for r in await api.ctx.db.fetch("SELECT extend_code FROM message")}
    assert sources == {"12", "124", "1237"}


async def test_an_account_without_a_code_does_not_reach_into_others(api: Api) -> None:
    """Accounts without one share what is nobody's, as they share the bare number."""
    await tenant(api, "bank", extend_code="12")
    assert (await send(api, api.key, extend_code="12")).code == "EXTEND_CODE_INVALID"
    assert (await send(api, api.key, extend_code="125")).code == "EXTEND_CODE_INVALID"
    assert (await send(api, api.key, extend_code="88")).status == 202
    plain = await tenant(api, "plain")
    for key, phone in ((api.key, OTHER), (plain, "13800138002")):
        assert (await send(api, key, phone, extend_code="88")).status == 202
        assert (await send(api, key, phone, extend_code="121")).code == "EXTEND_CODE_INVALID"


async def test_every_way_in_asks_the_same(api: Api) -> None:
    bank = await tenant(api, "bank", extend_code="12")
    one = {"to": PHONE, "content": "您好", "extend_code": "12"}
    refused = ("EXTEND_CODE_INVALID", 400)
    for path, body in (
        ("/messages", one | {"to": [PHONE]}),
        ("/messages/explain", one | {"to": [PHONE]}),
        ("/messages/batch", {"items": [one]}),
        ("/messages/batch", {"items": [{"to": PHONE, "content": "您好"}], "extend_code": "12"}),
        ("/tasks", {"name": "n", "to": [PHONE], "content": "您好", "extend_code": "12"}),
    ):
        answer = await api.post(path, body, key=await api.add_key(scopes=SCOPES))
        assert (answer.code, answer.status) == refused, (path, answer.body)
    tested = await api.add_key(test=True)
    assert (await send(api, tested, extend_code="12")).code == "EXTEND_CODE_INVALID"
    account = api.ctx.snapshots.current.account(api.account_id)
    assert account is not None
    for origin in (Origin.PORTAL, Origin.CLI, Origin.TASK, Origin.SMPP, Origin.CMPP):
        item = SendItem(PHONE, "您好", extend_code="12")
        with pytest.raises(SmsgwError) as caught:
            await api.acceptor.send(SendRequest(account, (item,), MessageType.NOTICE, origin, "t"))
        assert caught.value.code == "EXTEND_CODE_INVALID"
    assert await api.ctx.db.fetchval("SELECT count(*) FROM message") == 0
    assert (await send(api, bank, extend_code="3")).status == 202


async def test_a_reply_may_come_by_a_channel_with_a_longer_number(api: Api) -> None:
    """Behind 1069 the digits 0012 are the account's own; behind 106900, which is a channel too, 12 is the bank's."""
    for name, code in (("a", "1069"), ("b", "106900")):
        await channels.add(by_test(api.ctx.db), api.sealer, name, CHANNEL | {"access_code": code})
    await tenant(api, "bank", extend_code="12")
    assert (await send(api, api.key, extend_code="0012")).code == "EXTEND_CODE_INVALID"
    assert (await send(api, api.key, extend_code="0013")).status == 202


async def test_a_code_does_not_change_hands_while_it_is_answered(api: Api) -> None:
    """Messages that wait, and replies to those that went, keep their account for the time they may take."""
    db = api.ctx.db
    bank = await tenant(api, "bank")
    await extension(api, "acme", "12")
    later = api.acceptor._now() + timedelta(hours=5)
    assert (await send(api, api.key, extend_code="3", send_at=later.isoformat())).status == 202
    await extension(api, "acme", "44")
    for taken in ("12", "123", "44"):
        with pytest.raises(Invalid) as caught:
            await accounts.edit(by_test(db), await id_of(db, "bank"), {"extend_code": taken})
        assert caught.value.code == "STATE_CONFLICT"
        with pytest.raises(Invalid):
            await accounts.move_extension(by_test(db), await id_of(db, "bank"), "", taken)
        with pytest.raises(Invalid):
            await accounts.add(by_test(db), f"new{taken}", extend_code=taken)
    await extension(api, "bank", "124")  # nobody has sent from there
    owner, rest = api.ctx.snapshots.current.numbering.owner_of("12345")
    assert (owner.name, rest) == ("acme", "345")
    assert (await send(api, bank, extend_code="5")).status == 202
    await extension(api, "acme", "12")  # its own again


PLATFORM = "已达到平台对单个号码的保护上限，请稍后重试"


async def frequency_of(api: Api, key: NewKey, content: str, type_: str) -> tuple[str, str]:
    body = {"to": [PHONE], "content": content, "type": type_}
    explained = (await api.post("/messages/explain", body, key=key)).data["items"][0]
    (check,) = [c for c in explained["checks"] if c["check"] == "频控"]
    return check["code"], check["message"]


@pytest.mark.parametrize("type_", ["otp", "notice", "marketing"])
async def test_one_account_does_not_use_up_the_limits_of_another(api: Api, clock: Clock, type_: str) -> None:
    """However much one sends: others keep their own limits, and the same text is theirs to send as well."""
    bank = await tenant(api, "bank")
    text = "您好,拒收请回复R" if type_ == "marketing" else "您好"
    await policies.put(by_test(api.ctx.db), "frequency", "100/1d", account_id=api.account_id)
    await policies.put(by_test(api.ctx.db), "identical_seconds", "off", account_id=api.account_id)
    await api.ctx.snapshots.follow()
    for _ in range(60):
        assert (await send(api, api.key, content=text, type=type_)).status == 202
    assert (await frequency_of(api, bank, text, type_))[0] == "OK"
    assert (await send(api, bank, content=text, type=type_)).status == 202
    code, said = await frequency_of(api, bank, text, type_)
    assert (code, "平台" in said) == ("NUMBER_FREQ_LIMITED", False)
    answer = await send(api, bank, content=text, type=type_)
    assert (answer.status, answer.data["items"][0]["message"]) == (400, said)


async def test_the_platform_has_a_ceiling_of_its_own(api: Api, clock: Clock) -> None:
    """What all others send together, each counted for a third of it at most, in words that tell nothing of them."""
    keys = [await tenant(api, f"bank{n}") for n in range(4)]
    await policies.put(by_test(api.ctx.db), "frequency_all", "3/1h", type_="otp")
    await api.ctx.snapshots.follow()
    for n, key in enumerate(keys[:3]):
        assert await frequency_of(api, keys[3], "验证码 9", "otp") == ("OK", "成功")
        for _ in range(2):
            assert (await send(api, key, content=f"验证码 {n}", type="otp")).status == 202
            clock.now += timedelta(minutes=1)
    code, said = await frequency_of(api, keys[3], "验证码 9", "otp")
    assert (code, said) == ("NUMBER_FREQ_LIMITED", f"该号码发送过于频繁：{PLATFORM}")
    answer = await send(api, keys[3], content="验证码 9", type="otp")
    assert (answer.status, answer.data["items"][0]["message"]) == (400, said)
    assert (await send(api, keys[3], content="通知")).status == 202, "another type is not in question"
    assert (await send(api, keys[0], content="验证码 8", type="otp")).status == 202, "nor is who sent a part of it"
    await policies.put(by_test(api.ctx.db), "frequency_all", "off", type_="otp")
    await api.ctx.snapshots.follow()
    assert await frequency_of(api, keys[3], "验证码 9", "otp") == ("OK", "成功")


async def test_dedupe_knows_the_callers_own_messages(api: Api, clock: Clock) -> None:
    bank = await tenant(api, "bank")
    once = {"content": "同一句", "dedupe": {"window_s": 600}}
    assert (await send(api, api.key, **once)).status == 202
    assert (await send(api, bank, **once)).status == 202
    assert (await send(api, api.key, **once)).code == "CONTENT_DUPLICATE"


async def test_what_is_known_of_a_number_has_no_hour(api: Api) -> None:
    """Whose message taught it, and when that came back, is nobody's business; the day says how old it is."""
    bank, at = await tenant(api, "bank"), datetime.now(CHINA).replace(microsecond=123456)
    await number_service.learn(by_test(api.ctx.db), {"86" + PHONE: NumberState.EMPTY}, at)
    (known,) = (await api.post("/numbers/check", {"numbers": [PHONE]}, key=bank)).data["items"]
    assert known["state"] == "empty"
    assert datetime.fromisoformat(known["seen_at"]) == at.replace(hour=0, minute=0, second=0, microsecond=0)


async def test_an_opt_out_from_everybody_has_no_hour_either(api: Api) -> None:
    bank = await tenant(api, "bank")
    at = datetime(2026, 5, 4, 13, 27, tzinfo=CHINA)
    async with api.ctx.db.transaction() as connection:
        for number, account in (("86" + PHONE, None), ("86" + OTHER, api.account_id)):
            entry = blocklist.opt_out(number, account, "", "TD", at)
            assert entry is not None
            await blocklist.put(connection, [entry], replace=False)
    await api.lists.follow()
    sale = {"content": "大促,拒收请回复R", "type": "marketing"}
    foreign = await send(api, bank, **sale)
    own = await send(api, api.key, OTHER, **sale)
    assert "（2026-05-04）" in foreign.data["items"][0]["message"]
    assert "（2026-05-04 13:27）" in own.data["items"][0]["message"]


async def test_a_receipt_begins_with_the_partners_own_text(api: Api) -> None:
    account = api.ctx.snapshots.current.account(api.account_id)
    assert account is not None
    reply = ReplyTo(Wanted.ALL, "1069", "13800138000").pack()
    for written, told in {
        "Your code is 1234, valid for ten minutes": "Your code is 1234, v",
        "【银行】Your code is 1234, valid for ten minutes": "Your code is 1234, v",
        "Code 1234 验证码": "Code 1234",
        "验证码 1234": "",
    }.items():
        item = SendItem(PHONE, written, ext=reply)
        sent = await api.acceptor.send(SendRequest(account, (item,), MessageType.NOTICE, Origin.SMPP, "t"))
        id_ = int(sent.items[0].message_id or 0)
        event = BoundEvent(id_, "report", id_, 0, "delivered", "", "DELIVRD", datetime.now(CHINA))
        (claimed,) = await bind_events.describe(api.ctx.db, "report", [event])
        partner = Partner(1, api.account_id, "smpp", "p", "x")
        pdu = SmppServer().receipt(claimed, claimed.receipts[0], partner, 0x34, True)
        assert isinstance(pdu, DeliverSm)
        text = pdu.short_message.decode("ascii")
        assert (pdu.data_coding, text.partition("text:")[2]) == (0, told)
        assert f"id:{id_} " in text


async def test_an_explanation_names_no_rules_made_for_others(api: Api) -> None:
    await channels.add(by_test(api.ctx.db), api.sealer, "a", CHANNEL)
    await tenant(api, "bank-secret")
    for name in ("acme", "bank-secret"):
        await routing.move(by_test(api.ctx.db), "account", name, "a", "")
    await api.ctx.snapshots.follow()
    for path in ("/messages/explain", "/messages"):
        answer = await api.post(path, {"to": [PHONE], "content": "您好", "dry_run": True})
        assert answer.status == 200
        assert "bank-secret" not in answer.raw.decode()
    assert any("acme" in rule["rule"] for rule in answer.data["items"][0]["rules"])
