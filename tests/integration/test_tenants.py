"""Accounts that do not trust each other: none speaks from another's number, counts against it, or learns of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from api_server import Answer, Api, running

from smsgw.core.errors import Invalid, SmsgwError
from smsgw.core.ids import CHINA
from smsgw.core.model import MessageType, Origin
from smsgw.pipeline.accept import SendItem, SendRequest
from smsgw.store import accounts, channels, codes
from smsgw.store.keys import SCOPES, NewKey

PHONE, OTHER = "13800138000", "13800138001"


class Clock:
    """Noon, until a test says otherwise."""

    def __init__(self) -> None:
        self.now = datetime.now(CHINA).replace(hour=12, minute=0, second=0, microsecond=0)

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
    """Another account with money, and its key."""
    id_ = await accounts.add_account(api.ctx.db, name, actor="t", default_sign="测试", **fields)
    await accounts.top_up(api.ctx.db, id_, 10_000, "", actor="t", ids=api.ctx.ids)
    return await api.add_key(id_, scopes=SCOPES)


async def extension(api: Api, name: str, digits: str) -> None:
    await accounts.set_account(api.ctx.db, name, {"extend_code": digits}, actor="t")
    await api.ctx.directory.reload(api.ctx.db)


async def send(api: Api, key: NewKey, *to: str, content: str = "您好", **fields: Any) -> Answer:
    return await api.post("/messages", {"to": list(to or [PHONE]), "content": content, **fields}, key=key)


# --- the number that a message comes from ---------------------------------------------------------------------------


async def test_digits_lead_to_nobody_else(api: Api) -> None:
    """Below its own code an account sends from any number that is not below a longer one of somebody else."""
    shop, bank = api.key, await tenant(api, "bank", extend_code="123")
    await tenant(api, "post", extend_code="9")
    await extension(api, "acme", "12")
    for digits, code in (
        ("", "OK"),
        ("4", "OK"),
        ("34", "EXTEND_CODE_INVALID"),
        ("3", "EXTEND_CODE_INVALID"),
    ):
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
    account = api.ctx.directory.account(api.account_id)
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
        await channels.add_channel(
            api.ctx.db, api.sealer, name,
            {"protocol": "cmpp20", "host": "h", "port": 1, "username": "u", "password": "p", "access_code": code},
            actor="t",
        )  # fmt: skip
    await tenant(api, "bank", extend_code="12")
    assert (await send(api, api.key, extend_code="0012")).code == "EXTEND_CODE_INVALID"
    assert (await send(api, api.key, extend_code="0013")).status == 202


async def test_a_code_does_not_change_hands_while_it_is_answered(api: Api) -> None:
    """Messages that wait, and replies to those that went, keep their account for the time they may take."""
    db = api.ctx.db
    bank = await tenant(api, "bank")
    await extension(api, "acme", "12")
    assert (await send(api, api.key, extend_code="3", send_at=f"{api_time(api, hours=5)}")).status == 202
    await extension(api, "acme", "44")
    for taken in ("12", "123", "44"):
        with pytest.raises(Invalid) as caught:
            await accounts.set_account(db, "bank", {"extend_code": taken}, actor="t")
        assert caught.value.code == "STATE_CONFLICT"
        with pytest.raises(Invalid):
            await codes.move_extension(db, "bank", "", taken, actor="t")
        with pytest.raises(Invalid):
            await accounts.add_account(db, f"new{taken}", actor="t", extend_code=taken)
    await extension(api, "bank", "124")  # nobody has sent from there
    owner, rest = api.ctx.directory.owner_of("12345")
    assert owner is not None
    assert (owner.name, rest) == ("acme", "345")
    assert (await send(api, bank, extend_code="5")).status == 202
    await extension(api, "acme", "12")  # its own again


def api_time(api: Api, **ahead: int) -> str:
    at = api.acceptor._now() + timedelta(**ahead)
    return at.isoformat()
