"""Whose a report is, and what states of parts make of a message."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from smsgw.core import states
from smsgw.core.errors import Invalid
from smsgw.core.fallback import MOST_HOPS, Chain, Hop, Sight, When, chain_of, follows, look
from smsgw.core.references import Candidate as Lost, by_number, by_reference, reference_of, written_time
from smsgw.core.report_ids import ENOUGH, OTHERS, Learner, Spelling, respell
from smsgw.core.report_match import Candidate, Rule, Why, judge
from smsgw.core.states import CORRECTABLE, FINAL, MAY_HAVE_ARRIVED, REFUNDED, TRANSITIONS, PartState
from smsgw.protocols.smpp.ids import canonical

N = 0x16FEE0E525
S = PartState


def test_a_reports_id_becomes_the_answers() -> None:
    for answer, receipt, spelling in (
        (f"{N:x}", f"{N}", Spelling.HEX_DEC), (f"{N:X}", f"{N:020d}", Spelling.HEX_DEC),
        (f"{N:016X}", f"{N}", Spelling.HEX_DEC), (f"{N}", f"{N:x}", Spelling.DEC_HEX),
        (f"{N:020d}", f"{N:016X}", Spelling.DEC_HEX), ("0e999f21-AAAA", "E999F21-aaaa", Spelling.SAME),
        ("04062581", "4062581", Spelling.SAME), ("9bd88980f32d1c3e", "3e1c2df38089d89b", Spelling.SWAPPED),
    ):  # fmt: skip
        assert respell(canonical(receipt), spelling) == canonical(answer)
        assert [s for s in OTHERS if respell(canonical(receipt), s) == canonical(answer)] == (
            [] if spelling is Spelling.SAME else [spelling]
        )
    for text in ("", "SAR-2347039245475-1eedf843-2-1", "e999f21-aaaa", "x" * 70, "9" * 41):
        assert [respell(text, s) for s in OTHERS] == [None, None, None]


def test_a_spelling_is_believed_after_enough_different_parts() -> None:
    learner = Learner()
    fit = Spelling.HEX_DEC
    for _ in range(10):
        assert learner.saw(1, [(fit, 100, 1)]) is None  # the same report ten times is one piece of evidence
    for id_ in range(101, 100 + ENOUGH - 1):
        assert learner.saw(1, [(fit, id_, 1)]) is None
        assert learner.saw(2, [(fit, id_, 1)]) is None  # another channel's evidence is its own
    assert learner.saw(1, [(fit, 200, 1)]) is fit
    learner = Learner()  # what is ambiguous or contradicts teaches nothing
    both = [(Spelling.HEX_DEC, 1, 1), (Spelling.DEC_HEX, 2, 1)]
    assert [learner.saw(1, both) for _ in range(9)] == [None] * 9
    assert learner.saw(1, []) is None
    for id_ in range(20):
        assert learner.saw(1, [(OTHERS[id_ % 2], id_, 1)]) is None


NUMBER = "8613800138000"


def part(carrier_id: str, state: S = S.SENT, *, channel: int = 1, id: int = 10) -> Candidate:
    return Candidate(id, 1, state, channel, carrier_id)


def said(carrier_id: str, *parts: Candidate, number: str = NUMBER) -> tuple[Why, Rule | None]:
    found = judge(1, carrier_id, number, parts, {2})
    assert (found.home is not None) is (found.why is Why.FITS)
    return found.why, found.rule


def test_exactly_one_part_fits_under_a_rule() -> None:
    for reported, answered, rule in (
        ("4660", "1234", Rule.HEX_DEC), ("4d2", "1234", Rule.DEC_HEX),
        ("0102030405060708", "0807060504030201", Rule.SWAPPED), ("abcdefgh", "abcdefgh", Rule.SAME),
        ("xy12345678", "xy1234567890", Rule.TRIMMED), ("1234567890zz", "34567890zz", Rule.TRIMMED),
    ):  # fmt: skip
        assert said(reported, part(answered), part("another-id", id=11)) == (Why.FITS, rule)
    assert said("xyz98765", part("xyz98765", channel=2)) == (Why.FITS, Rule.OTHER_CHANNEL)
    assert said("xyz98765", part("xyz98765", channel=3)) == (Why.NOT_OURS, None), "another carrier's"
    assert said("4660", part("1234", channel=2)) == (Why.NO_ID, None), "two rules at once would be a guess"
    assert said("4660", part("1234"), part("1234", id=11)) == (Why.AMBIGUOUS, None)  # several that fit are left alone
    assert said("4660", part("1234"), part("4660", channel=2, id=11)) == (Why.AMBIGUOUS, None)
    assert said("4660", part("1234"), part("4660", S.DELIVERED, id=11)) == (Why.AMBIGUOUS, None), "it may be that one's"
    assert said("4660") == (Why.NOT_OURS, None)  # what nothing can be done about
    assert said("4660", part("")) == (Why.NO_ID, None)
    assert said("4660", part("77")) == (Why.NO_ID, None)
    assert said("4660", part("4660", S.DELIVERED)) == (Why.SETTLED, None)
    assert said("4660", part("1234"), number="") == (Why.NO_NUMBER, None)
    assert said("1234567", part("12345678")) == (Why.NO_ID, None), "too short to be told from chance"
    assert said("12345678", part("1234567890", S.DELIVERED)) == (Why.NO_ID, None)


AT = datetime(2026, 11, 24, 12, 1, 30, tzinfo=UTC)
LOST = Lost(383695941489659904, 1, S.UNKNOWN, "", AT)


def test_a_reference_or_a_number_names_one_part() -> None:
    found = {reference_of(383695941489659904 + n, part) for n in range(100) for part in (1, 2)}
    assert len(found) > 190
    assert all(0 <= reference <= 0xFFFF for reference in found)
    for state, found in (  # a reference names one part
        (S.SENDING, False), (S.SENT, True), (S.UNKNOWN, True), (S.UNCONFIRMED, True), (S.NO_REPORT, True),
    ):  # fmt: skip
        mine = replace(LOST, state=state)
        other = replace(LOST, id=LOST.id + 1)
        reference = reference_of(LOST.id, 1)
        assert by_reference([other, mine], reference) == (mine if found else None)
        assert by_reference([other], reference) is None
        assert by_reference([mine, mine], reference) is None
    received = AT + timedelta(minutes=1)  # a number names one part when no other waits
    assert by_number([LOST], None, received) == LOST
    assert by_number([LOST, replace(LOST, part=2)], None, received) is None
    assert by_number([LOST, replace(LOST, part=2, state=S.NO_REPORT, carrier_id="7")], None, received) == LOST
    for state in (S.SENDING, S.SENT):
        assert by_number([LOST, replace(LOST, id=9, state=state, carrier_id="7")], None, received) is None
    assert by_number([replace(LOST, carrier_id="7")], None, received) is None
    assert by_number([LOST], None, AT - timedelta(seconds=1)) is None
    assert by_number([], None, received) is None


@pytest.mark.parametrize(
    ("written", "fits"),
    [("2611241201", True), ("261124200130", True), ("2611241731", True), ("2611241204", False), ("2611241208", False),
     ("0001010000", True), ("2611221201", False), ("", True), ("9999999999", True), ("2611241200", True),
     ("261124120430", False), ("000101000000", True)],
)  # fmt: skip
def test_the_minute_must_fit_in_some_zone(written: str, fits: bool) -> None:
    found = by_number([LOST], written_time(written), AT + timedelta(hours=1))
    assert (found is not None) == fits


def test_the_table_of_states_is_whole() -> None:
    assert set(TRANSITIONS) == set(S) == set(states.STATUS) == set(states.RANK)
    assert set(states.STATUS.values()) | {"rejected"} == set(states.STATUS_NAMES)
    for state, targets in TRANSITIONS.items():  # every state can be left unless it is final
        assert state not in targets
        assert bool(targets) == (state not in FINAL or state in CORRECTABLE)
    for state in CORRECTABLE:
        assert TRANSITIONS[state] == {S.DELIVERED, S.UNDELIVERABLE}
    for state in set(S) - FINAL:  # a final state is reachable from everywhere
        seen, todo = {state}, [state]
        while todo:
            more = TRANSITIONS[todo.pop()] - seen
            seen |= more
            todo += more
        assert seen & FINAL
    assert all(not TRANSITIONS[state] for state in REFUNDED)  # what is refunded is never left again


def test_a_message_is_as_far_as_its_least_advanced_part() -> None:
    for parts, whole in (
        ([S.DELIVERED, S.SENT], S.SENT), ([S.DELIVERED, S.UNKNOWN, S.SENT], S.UNKNOWN),
        ([S.DELIVERED, S.UNDELIVERABLE], S.UNDELIVERABLE), ([S.UNCONFIRMED, S.UNDELIVERABLE], S.UNCONFIRMED),
        ([S.NO_REPORT, S.DELIVERED], S.NO_REPORT),
    ):  # fmt: skip
        assert states.message_state(parts) is whole
    assert states.status_of(S.REJECTED, by_us=True) == "rejected"  # our refusal has a word of its own
    assert states.status_of(S.REJECTED) == "failed"
    assert states.status_of(S.EXPIRED, by_us=True) == "expired"
    # Of any two the one further up decides: first what is least advanced, then the worst end.
    order = [  # the whole order of parts
        S.HELD, S.SCHEDULED, S.UNKNOWN, S.SENDING, S.DEFERRED, S.QUEUED, S.SENT,
        S.UNCONFIRMED, S.UNDELIVERABLE, S.REJECTED, S.EXPIRED, S.CANCELLED, S.DUPLICATE, S.NO_REPORT, S.DELIVERED,
    ]  # fmt: skip
    assert set(order[:7]) == set(S) - FINAL, "no message is final before all of its parts are"
    for n, one in enumerate(order):
        for other in order[n:]:
            assert states.message_state([other, one]) is states.message_state([one, other]) is one


def test_a_chain_is_kept_as_it_was_given() -> None:
    hops = Hop("再次通知", when=When.FAILED, sign="测试", prefer="b"), Hop(template_id=7, when=When.EXPIRED)
    chain = Chain(hops, 90)
    assert chain_of(chain.plain()) == chain
    assert chain_of({"hops": [{"content": "好"}]}) == Chain((Hop("好"),))
    assert not chain_of({"hops": [{"content": "好"}]}).varied
    assert chain_of({"hops": [{"content": "{姓名}您好"}]}).varied
    for given, field in (  # what is no chain is told at its field
        ({}, "hops"), ({"hops": []}, "hops"), ({"hops": [{"content": "好"}] * (MOST_HOPS + 1)}, "hops"),
        ({"hops": [{"content": "好"}], "minutes": 0}, "minutes"),
        ({"hops": [{"content": "好"}], "minutes": True}, "minutes"),
        ({"hops": [{"content": " "}]}, "hops[0].content"),
        ({"hops": [{"content": "好", "template_id": 1}]}, "hops[0].content"),
        ({"hops": [{"content": "好"}, {"content": "好" * 1001}]}, "hops[1].content"),
        ({"hops": [{"content": "好", "when": "unknown"}]}, "hops[0].when"),
        ({"hops": [{"content": "好", "kind": "card"}]}, "hops[0].kind"),
        ({"hops": [{"content": "好", "sign": "一"}]}, "hops[0].sign"),
    ):  # fmt: skip
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
    for state, code, when in (  # a hop follows what it is for
        (S.EXPIRED, "", {When.ANY, When.EXPIRED}), (S.UNDELIVERABLE, "EXPIRED", {When.ANY, When.EXPIRED}),
        (S.UNDELIVERABLE, "MK:0001", {When.ANY, When.FAILED}), (S.REJECTED, "8", {When.ANY, When.FAILED}),
    ):  # fmt: skip
        assert {one for one in When if follows(one, [(state, code)])} == when
        assert follows(When.FAILED, [(S.EXPIRED, ""), (S.UNDELIVERABLE, "MK:0001")])
