"""What a refused call is filled with before it is tried again, and which calls a page may run."""

from __future__ import annotations

import json

import pytest

from smsgw.api.trying import operations
from smsgw.core.trying import GETS, POSTS, refilled
from smsgw.platform.calls import masking


def test_masked_values_become_harmless_ones_of_the_same_shape() -> None:
    sent = {"to": ["13912340002", "13900000001"], "content": "您的验证码是 1234", "type": "otp",
            "client_ref": "order-1", "params": {"姓名": "张三"}, "scheduled_at": None, "amount": 12345}  # fmt: skip
    kept = masking.masked(octets := json.dumps(sent).encode(), len(octets))
    made = json.loads(refilled(kept))
    assert made["to"] == ["13800130002", "13800130001"]
    assert len(made["content"]) == len(sent["content"])
    assert len(made["client_ref"]) == len("order-1")
    assert (made["type"], made["scheduled_at"], made["amount"]) == ("otp", None, 11111)
    assert list(made["params"]) == ["name1"]
    for secret in ("1391234", "1234", "张三", "order-1"):
        assert secret not in refilled(kept).replace("13800130002", "")


@pytest.mark.parametrize("body", ["", "<200 octets, no JSON>", '{"to": ["138****'])
def test_what_cannot_be_read_is_not_filled(body: str) -> None:
    assert refilled(body) == ""


def test_no_call_is_run_that_changes_more_than_a_test_key_may() -> None:
    known = {one.name: one for one in operations()}
    assert known.keys() >= POSTS
    for one in known.values():
        if one.runs:
            assert one.name in GETS | POSTS, one.name
    for name in ("POST /blocklist", "PUT /webhooks", "POST /reports/ack", "POST /tasks", "POST /tasks/{id}/cancel"):
        assert not known[name].runs, name
    assert known["POST /messages/{id}/cancel"].runs
    assert "您" in known["POST /messages"].sample


def test_what_shows_whole_numbers_of_real_messages_is_not_run() -> None:
    known = {one.name: one for one in operations()}
    assert known.keys() >= GETS
    for name in (
        "GET /tasks", "GET /tasks/{id}", "GET /tasks/{id}/recipients", "GET /tasks/{id}/report", "GET /files/{id}",
        "GET /drafts", "GET /drafts/{id}", "GET /signs/{id}/proofs", "GET /signs/proofs/{id}", "GET /contacts",
        "GET /webhooks/deliveries",
    ):  # fmt: skip
        assert not known[name].runs, name
