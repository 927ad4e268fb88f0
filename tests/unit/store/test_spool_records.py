"""Calls as records of the spool: what is written is read back, here and by what came before or after it."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime
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
from smsgw.store.messages.replaying import COLUMNS, VERSION, from_bytes, to_bytes

ID = 1 << 60
NOW = datetime(2026, 5, 4, 3, 2, 1, 987654, tzinfo=UTC)
MESSAGE = message_row(id=ID, account_id=7, origin=Origin.API, type=MessageType.OTP, content="内容", kind="bill")
PART = part_row(id=ID, account_id=7, unknown_policy=UnknownPolicy.HOLD, next_at=NOW, class_="POLICY")


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


def record(columns: dict[str, list[str]], call: object, version: int = VERSION) -> tuple[bytes, bytes]:
    """A record as another smsgw writes it, and what its segment begins with."""
    header = msgspec.msgpack.encode(columns)
    return msgspec.msgpack.encode((version, zlib.crc32(header), call)), header


def plain(call: NewCall) -> dict[str, Any]:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(call))  # type: ignore[no-any-return]


OURS: dict[str, list[str]] = msgspec.msgpack.decode(COLUMNS)
CALL = NewCall(
    7, ID, [MESSAGE, MESSAGE], [PART], 1, (), b"answer", links=(LinkRow(ID, 2, 3, True),), spooled=True,
    refused=(Refusal(MESSAGE._replace(id=ID + 1), PART._replace(id=ID + 1), "why", 5),),
)  # fmt: skip


def rows_of(call: dict[str, Any]) -> list[list[Any]]:
    refused = [row for one in call["refused"] for row in (one["message"], one["part"])]
    return [row for place in OURS for row in call[place]] + refused


def test_columns_that_are_not_known_here_are_left_out() -> None:
    """What a later smsgw has written is read by the one before."""
    call = plain(CALL) | {"unheard_of": {"x": 1}}
    for row in rows_of(call):
        row[1:1] = ["new", None]
    names = {place: [names[0], "new", "newer", *names[1:]] for place, names in OURS.items()}
    assert from_bytes(*record(names | {"others": ["id"]}, call)) == CALL


def test_columns_in_another_order_are_found() -> None:
    call = plain(CALL)
    for row in rows_of(call):
        row.reverse()
    assert from_bytes(*record({place: names[::-1] for place, names in OURS.items()}, call)) == CALL


def test_columns_that_an_earlier_record_has_not_get_their_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    call = plain(CALL)
    for row in rows_of(call):
        row.pop()
    body, header = record({place: names[:-1] for place, names in OURS.items()}, call)
    for row, default in ((MessageRow, "bill"), (PartRow, None), (LinkRow, True)):
        monkeypatch.setattr(row, "_field_defaults", {row._fields[-1]: default})
    assert from_bytes(body, header) == CALL


def test_a_column_without_default_that_is_missing_is_named() -> None:
    body, header = record(OURS | {"messages": OURS["messages"][:-1]}, plain(CALL) | {"messages": [list(MESSAGE)[:-1]]})
    with pytest.raises(ValueError, match="messages in the spool have no kind: let the smsgw that wrote it"):
        from_bytes(body, header)


@pytest.mark.parametrize("columns", [b"", b"\x80", COLUMNS[:-1]])
def test_damaged_names_lose_no_record_of_this_smsgw(columns: bytes) -> None:
    assert from_bytes(to_bytes(CALL), columns) == CALL
    body, _ = record(OURS | {"messages": ["id"]}, plain(CALL))
    with pytest.raises(ValueError, match="names of columns are damaged"):
        from_bytes(body, columns)


def test_a_record_of_another_version_is_refused_with_what_to_do() -> None:
    for version in (1, VERSION + 1):
        with pytest.raises(ValueError, match=f"version {version} .* let the smsgw that wrote it empty the spool"):
            from_bytes(msgspec.msgpack.encode((version, {"rows": []})))


PRESENT = plain(CALL)


@pytest.mark.parametrize(
    ("call", "what"),
    [
        ({}, "missing required field `account_id`"),
        (PRESENT | {"messages": [list(MESSAGE)[:-1]]}, "Expected `array` of length 22, got 21"),
        (PRESENT | {"parts": [list(PART)[::-1]]}, r"Expected .* - at `\$\.parts\[0\]\[0\]`"),
        (PRESENT | {"batch_id": "8613800138000"}, r"Expected `int`, got `str` - at `\$\.batch_id`"),
        ([], "Expected `object`, got `array`"),
    ],
)
def test_what_is_no_call_is_refused_with_the_reason(call: object, what: str) -> None:
    with pytest.raises(ValueError, match=f"a record of the spool is no call: .*{what}") as refused:
        from_bytes(record(OURS, call)[0])
    assert "13800138000" not in str(refused.value)


@pytest.mark.parametrize(
    "call",
    [
        [], {"messages": 1}, {"messages": [1]}, {"messages": [[1]]}, {"refused": [{}]}, {"refused": [1]},
        {"refused": 1}, {"parts": [[1] * 15]},
    ],
)  # fmt: skip
def test_so_is_one_of_another_smsgw(call: object) -> None:
    with pytest.raises(ValueError, match=r"spool|another smsgw"):
        from_bytes(*record(OURS | {"messages": ["id", "batch_id"]}, call))


@pytest.mark.parametrize("body", [b"\xc1", b"", b"\x80", msgspec.msgpack.encode({"account_id": 1})])
def test_so_are_octets(body: bytes) -> None:
    with pytest.raises(ValueError, match="a record of the spool is no call"):
        from_bytes(body)


def test_columns_are_named_as_the_database_names_them() -> None:
    assert columns_of(PartRow) == PART_TYPES
    assert (PART_TYPES["class"], PART_TYPES["next_at"]) == ("text", "timestamptz")
    assert [name.rstrip("_") for name in PartRow._fields] == list(PART_TYPES)
