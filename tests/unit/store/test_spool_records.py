"""Calls as records of the spool: what is written is read back, and records of another version are refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from call_rows import message_row, part_row

from smsgw.core.abroad import Abroad
from smsgw.core.actor import ActorLabel
from smsgw.core.frequency import Rate, Watch
from smsgw.core.model import MessageType, Origin, UnknownPolicy
from smsgw.store.engine.cte_batch import columns_of
from smsgw.store.messages.calls import (
    PART_TYPES,
    LinkRow,
    MessageRow,
    NewCall,
    NewFollow,
    NewReview,
    PartRow,
    Refusal,
    RequestKey,
)
from smsgw.store.messages.replaying import VERSION, from_bytes, to_bytes

ID = 1 << 60
NOW = datetime(2026, 5, 4, 3, 2, 1, 987654, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
MESSAGE = message_row(id=ID, account_id=7, origin=Origin.API, type=MessageType.OTP, content="内容", kind="bill")
PART = part_row(id=ID, account_id=7, unknown_policy=UnknownPolicy.HOLD, next_at=NOW, class_="POLICY")
FIRST: dict[str, Any] = {
    "account_id": 7, "batch_id": ID, "units": 3, "keys": [], "answer": b"{}", "emergency_by": None,
    "messages": [[
        ID + 1, ID, 7, "api", "otp", "8613800138000", "CMCC", "北京", "内容", "小店", "ucs2", 1, 9, 3, "order-1", "01",
        "0102", "ak_live_1", True, False, 12, "bill",
    ]],
    "parts": [[ID + 1, 2, 3, 7, 4, 1, 10, "hold", None, LATER, "C", "POLICY", False, NOW, None]],
    "links": [[ID + 1, 20, 3, True]],
}  # fmt: skip
"""A record of version 1: it stays as it is whatever columns come behind."""


@pytest.mark.parametrize("by", [None, ActorLabel("smpp:bank")])
def test_a_call_comes_back_with_all_that_it_has(by: ActorLabel | None) -> None:
    call = NewCall(
        7, ID, [MESSAGE], [PART], 1, (RequestKey("k", "order-1", bytes(32), ID),), b"answer", by, above=(3, 1),
        guards=(3,), departments=(4,), training=True, callback_url="https://example.com/", spooled=True,
        refused=(Refusal(MESSAGE._replace(id=ID + 1), PART._replace(id=ID + 1, final_at=NOW), "why", 5, told=False),),
        watches=(Watch(0, 8613800138000, 1, 2, 3, (Rate(1, 60),), 0, 0, tag_rate=Rate(2, 3600)),),
        abroad=(Abroad(0, "JP", 5, 6),),
        review=NewReview("otp", "api", ActorLabel("x"), ("words",), 1, "内容", NOW, 5.5, NOW),
        follow=NewFollow({"hops": [{"x": 1}]}, 1, None, 3, 4, True, {str(ID): {"name": "李"}}, NOW, NOW),
        links=(LinkRow(ID, 2, 3, True),),
    )  # fmt: skip
    assert from_bytes(to_bytes(call)) == call


def test_a_record_of_this_version_is_read_whatever_columns_have_come_since() -> None:
    read = from_bytes(msgspec.msgpack.encode((1, FIRST)))
    assert read.messages == [
        MessageRow(
            id=ID + 1, batch_id=ID, account_id=7, origin="api", type="otp", number="8613800138000", carrier="CMCC",
            province="北京", content="内容", sign="小店", coding="ucs2", parts=1, concat_ref=9, price=3,
            client_ref="order-1", ext="01", extend_code="0102", submitter="ak_live_1", refund_failed=True, test=False,
            template_id=12, kind="bill",
        )
    ]  # fmt: skip
    assert read.parts == [
        PartRow(
            id=ID + 1, part=2, total=3, account_id=7, pool_id=4, lane=1, state=10, unknown_policy="hold", next_at=None,
            expires_at=LATER, code="C", class_="POLICY", by_us=False, accepted_at=NOW, final_at=None,
        )
    ]  # fmt: skip
    assert read.links == (LinkRow(id=ID + 1, link_id=20, n=3, personal=True),)
    assert read.spooled


@pytest.mark.parametrize(
    ("record", "version"), [(FIRST, 0), ((VERSION + 1, {"rows": []}), VERSION + 1)], ids=["none", "later"]
)
def test_a_record_of_another_version_is_refused_with_what_to_do(record: object, version: int) -> None:
    with pytest.raises(ValueError, match=f"version {version} .* let the smsgw that wrote it empty the spool"):
        from_bytes(msgspec.msgpack.encode(record))


@pytest.mark.parametrize(
    "call",
    [{}, FIRST | {"messages": [FIRST["messages"][0][:-1]]}, FIRST | {"parts": [FIRST["parts"][0][::-1]]}],
    ids=["nothing", "a column less", "another order"],
)
def test_what_is_no_call_is_refused(call: object) -> None:
    for body in (msgspec.msgpack.encode((VERSION, call)), b"\xc1", b""):
        with pytest.raises(ValueError, match=r"."):
            from_bytes(body)


def test_columns_are_named_as_the_database_names_them() -> None:
    assert columns_of(PartRow) == PART_TYPES
    assert (PART_TYPES["class"], PART_TYPES["next_at"]) == ("text", "timestamptz")
    assert [name.rstrip("_") for name in PartRow._fields] == list(PART_TYPES)
