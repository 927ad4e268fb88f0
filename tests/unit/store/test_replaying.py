"""Calls as the spool keeps them: what an earlier program has left is read."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from smsgw.core.actor import ActorLabel
from smsgw.core.model import MessageType, Origin, UnknownPolicy
from smsgw.store.messages import replaying
from smsgw.store.messages.calls import MESSAGE_COLUMNS, NewCall, Refusal, RequestKey


@pytest.mark.parametrize("by", [None, ActorLabel("smpp:bank")])
def test_a_call_is_read_as_it_was_written(by: ActorLabel | None) -> None:
    now = datetime.now(UTC)
    message = (1 << 60, 1 << 60, 7, Origin.API, MessageType.OTP, "8613800138000", "内容", 1, True)
    part = ((1 << 60), 1, 1, 7, 3, 1, 10, UnknownPolicy.HOLD, None, now, "", "", False, now, None)
    key = RequestKey("k", "order-1", bytes(32), 1 << 60)
    call = NewCall(7, 1 << 60, [message], [part], 1, (key,), b"answer", by, above=(3, 1), guards=(3,), spooled=True)
    back = replaying.from_bytes(replaying.to_bytes(call))
    assert back == call
    with pytest.raises(ValueError, match=r"."):
        replaying.from_bytes(b"\xc1")


@pytest.mark.parametrize("by", ["", "ak_live_1"])
def test_who_has_sent_an_emergency_is_a_string_in_the_spool(by: str) -> None:
    """As it was before it had a type of its own, nobody being the empty one."""
    written = msgspec.msgpack.decode(replaying.to_bytes(NewCall(7, 1, [], [], 3, (), b"{}", ActorLabel("x"))))
    assert written["emergency_by"] == "x"
    read = replaying.from_bytes(msgspec.msgpack.encode(written | {"emergency_by": by}))
    assert (read.emergency_by or "") == by


def test_a_row_from_before_kinds_is_of_none() -> None:
    row = tuple(range(len(MESSAGE_COLUMNS) - 1))
    refused = Refusal(row, (), "why", 5)
    written = msgspec.msgpack.decode(replaying.to_bytes(NewCall(7, 1, [row], [], 3, (), b"{}", refused=(refused,))))
    read = replaying.from_bytes(msgspec.msgpack.encode(written))
    assert (MESSAGE_COLUMNS[-1], read.messages) == ("kind", [(*row, "")])
    assert [r.message for r in read.refused] == [(*row, "")]
