"""Chains of hops: what they may be, and after what a hop follows."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from smsgw.core.errors import Invalid
from smsgw.core.fallback import MOST_HOPS, Chain, Hop, Sight, When, chain_of, follows, look
from smsgw.core.states import FINAL, MAY_HAVE_ARRIVED, PartState

S = PartState


def test_a_chain_is_kept_as_it_was_given() -> None:
    hops = Hop("再次通知", when=When.FAILED, sign="测试", prefer="b"), Hop(template_id=7, when=When.EXPIRED)
    chain = Chain(hops, 90)
    assert chain_of(chain.plain()) == chain
    assert chain_of({"hops": [{"content": "好"}]}) == Chain((Hop("好"),))
    assert not chain_of({"hops": [{"content": "好"}]}).varied
    assert chain_of({"hops": [{"content": "{姓名}您好"}]}).varied


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "hops"), ({"hops": []}, "hops"), ({"hops": [{"content": "好"}] * (MOST_HOPS + 1)}, "hops"),
        ({"hops": [{"content": "好"}], "minutes": 0}, "minutes"),
        ({"hops": [{"content": "好"}], "minutes": True}, "minutes"),
        ({"hops": [{"content": " "}]}, "hops[0].content"),
        ({"hops": [{"content": "好", "template_id": 1}]}, "hops[0].content"),
        ({"hops": [{"content": "好"}, {"content": "好" * 1001}]}, "hops[1].content"),
        ({"hops": [{"content": "好", "when": "unknown"}]}, "hops[0].when"),
        ({"hops": [{"content": "好", "kind": "card"}]}, "hops[0].kind"),
        ({"hops": [{"content": "好", "sign": "一"}]}, "hops[0].sign"),
    ],
)  # fmt: skip
def test_what_is_no_chain_is_told_at_its_field(given: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        chain_of(given)
    assert refused.value.detail["field"] == f"fallback.{field}"


def test_what_may_have_arrived_is_never_followed() -> None:
    """Of all pairs of states: failed only when each part has definitely failed, and not by our own hand."""
    for pair in itertools.product(PartState, repeat=2):
        for bys in itertools.product((False, True), repeat=2):
            found = look(list(zip(pair, bys, strict=True)))
            if found is Sight.FAILED:
                assert not set(pair) & MAY_HAVE_ARRIVED
                assert set(pair) <= {S.UNDELIVERABLE, S.EXPIRED, S.REJECTED}
                assert (S.REJECTED, True) not in set(zip(pair, bys, strict=True))
            if found is Sight.ENDED:
                assert set(pair) <= FINAL
    assert look([(S.UNDELIVERABLE, False), (S.EXPIRED, True)]) is Sight.FAILED
    assert look([(S.UNDELIVERABLE, False), (S.DELIVERED, False)]) is Sight.ENDED
    assert look([(S.NO_REPORT, False)]) is Sight.OPEN
    assert look([(S.REJECTED, True)]) is Sight.ENDED


@pytest.mark.parametrize(
    ("state", "code", "when"),
    [
        (S.EXPIRED, "", {When.ANY, When.EXPIRED}), (S.UNDELIVERABLE, "EXPIRED", {When.ANY, When.EXPIRED}),
        (S.UNDELIVERABLE, "MK:0001", {When.ANY, When.FAILED}), (S.REJECTED, "8", {When.ANY, When.FAILED}),
    ],
)  # fmt: skip
def test_a_hop_follows_what_it_is_for(state: PartState, code: str, when: set[When]) -> None:
    assert {one for one in When if follows(one, [(state, code)])} == when
    assert follows(When.FAILED, [(S.EXPIRED, ""), (S.UNDELIVERABLE, "MK:0001")])
