"""Rows of messages and parts as accept makes them, with what a test wants otherwise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from smsgw.store.messages.calls import MessageRow, PartRow

AT = datetime(2026, 1, 1, tzinfo=UTC)
_MESSAGE = MessageRow(
    id=1, batch_id=1, account_id=1, origin="api", type="notice", number="8613800138000", carrier="CMCC", province="",
    content="你好", sign="", coding="ucs2", parts=1, concat_ref=0, price=1, client_ref="", ext="", extend_code="",
    submitter="", refund_failed=False, test=False, template_id=0, kind="",
)  # fmt: skip
_PART = PartRow(
    id=1, part=1, total=1, account_id=1, pool_id=1, lane=2, state=10, unknown_policy=None, next_at=None,
    expires_at=AT + timedelta(days=1), code="", class_="", by_us=False, accepted_at=AT, final_at=None,
)  # fmt: skip


def message_row(**changes: Any) -> MessageRow:
    """A single message; ``batch_id`` is its id where nothing else is said."""
    return _MESSAGE._replace(**{"batch_id": changes.get("id", 1)} | changes)


def part_row(**changes: Any) -> PartRow:
    """Its part, queued on the lane of notices."""
    return _PART._replace(**changes)
