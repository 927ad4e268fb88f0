"""The retry table, the built-in meanings of codes, and the operator's lines above them."""

from __future__ import annotations

from math import inf

import pytest

from smsgw.core import report_codes
from smsgw.core.code_book import CodeBook, Entry, Source
from smsgw.core.model import REPORT_CLASSES, Lane, MessageType
from smsgw.core.retry import DEFAULTS, NEVER_RETRIED, Decision, Fault, How, Rule, decide


def ask(fault: Fault, lane: Lane = Lane.NOTICE, *, tried: int = 0, age: float = 0, left: float = inf,
        others: bool = True, rule: Rule | None = None) -> Decision | None:  # fmt: skip
    table = DEFAULTS if rule is None else {(fault, kind): rule for kind in MessageType}
    return decide(table, fault, lane, tried=tried, age=age, left=left, others=others)


def test_the_table_is_complete_and_never_repeats_what_may_have_arrived() -> None:
    assert set(DEFAULTS) == {(fault, kind) for fault in Fault for kind in MessageType}
    for (fault, _), rule in DEFAULTS.items():
        assert fault not in NEVER_RETRIED or rule.how is How.NEVER
        assert rule.most >= rule.first


@pytest.mark.parametrize("fault", sorted(NEVER_RETRIED))
def test_no_rule_can_repeat_the_uncertain(fault: Fault) -> None:
    assert ask(fault, rule=Rule(How.OTHER, tries=9)) is None


def test_waits_double_up_to_a_limit() -> None:
    rule = Rule(How.SAME, first=5, most=60)
    assert [rule.delay(n) for n in range(6)] == [5, 10, 20, 40, 60, 60]
    assert rule.delay(10_000) == 60


def test_tries_deadline_and_validity_end_it() -> None:
    rule = Rule(How.SAME, tries=2, deadline=100, first=10, most=80)
    assert ask(Fault.NETWORK, rule=rule) == Decision(How.SAME, 10)
    assert ask(Fault.NETWORK, rule=rule, tried=1) == Decision(How.SAME, 20)
    assert ask(Fault.NETWORK, rule=rule, tried=2) is None
    assert ask(Fault.NETWORK, rule=rule, age=90) == Decision(How.SAME, 10)
    assert ask(Fault.NETWORK, rule=rule, age=91) is None
    assert ask(Fault.NETWORK, rule=rule, left=10) is None


def test_another_channel_where_there_is_one() -> None:
    assert ask(Fault.CHANNEL) == Decision(How.OTHER, 0)
    assert ask(Fault.CHANNEL, others=False) is None
    assert ask(Fault.PORTED, others=False) is None
    assert ask(Fault.BUSY, Lane.OTP) == Decision(How.OTHER, 1)
    assert ask(Fault.BUSY, Lane.OTP, others=False) == Decision(How.SAME, 1)
    assert ask(Fault.BUSY, Lane.MARKETING) == Decision(How.SAME, 5)
    assert ask(Fault.CHANNEL, Lane.EMERGENCY) == ask(Fault.CHANNEL, Lane.OTP)


@pytest.mark.parametrize(
    ("code", "cls", "fault"),
    [
        ("MK:0001", "EMPTY_NUMBER", Fault.PERMANENT), ("mk:0001/012", "EMPTY_NUMBER", Fault.PERMANENT),
        ("UNKNOWN", "EMPTY_NUMBER", Fault.PERMANENT), ("MK:0008", "POWERED_OFF", Fault.ABSENT),
        ("EXPIRED/601", "POWERED_OFF", Fault.ABSENT), ("MC:0055", "POWERED_OFF", Fault.UNCERTAIN),
        ("IC:0099", "POWERED_OFF", Fault.UNCERTAIN), ("TIMEOUT", "TIMEOUT", Fault.UNCERTAIN),
        ("MA:0054", "TIMEOUT", Fault.NETWORK), ("IA:7777", "TIMEOUT", Fault.NETWORK),
        ("DB:0141", "BLACKLIST_CARRIER", Fault.PERMANENT), ("DB:0142", "FREQ_CARRIER", Fault.LIMIT),
        ("DB:0126", "CHANNEL", Fault.PORTED), ("IB:0168", "CHANNEL", Fault.PORTED),
        ("IB:0072", "CHANNEL", Fault.CHANNEL), ("IB:0008", "CHANNEL", Fault.NETWORK),
        ("UNDELIV/869", "UNKNOWN", Fault.PERMANENT), ("REJECTD", "UNKNOWN", Fault.PERMANENT),
        ("QX:0001", "UNKNOWN", Fault.UNKNOWN), ("", "UNKNOWN", Fault.UNKNOWN),
    ],
)  # fmt: skip
def test_report_codes(code: str, cls: str, fault: Fault) -> None:
    assert (report_codes.class_of(code), report_codes.fault_of(code)) == (cls, fault)


def test_what_the_protocol_knows_counts_where_the_code_says_nothing() -> None:
    assert report_codes.fault_of("33", "NETWORK") is Fault.NETWORK
    assert report_codes.fault_of("UNDELIV/007", "HANDSET") is Fault.ABSENT
    assert report_codes.fault_of("MC:0055", "HANDSET") is Fault.UNCERTAIN
    assert CodeBook().report(1, "33", "NETWORK").cls == "NETWORK"


def test_every_listed_code_has_a_known_class() -> None:
    for code, (cls, fault) in report_codes.listed().items():
        assert cls in REPORT_CLASSES, code
        assert fault is not Fault.UNKNOWN, code


def test_the_most_special_line_of_an_operator_counts() -> None:
    book = CodeBook(
        [
            Entry(None, Source.REPORT, "UNDELIV", "HANDSET", Fault.ABSENT),
            Entry(None, Source.REPORT, "UNDELIV/601", "NETWORK", Fault.NETWORK),
            Entry(7, Source.REPORT, "UNDELIV", "CHANNEL", Fault.CHANNEL),
            Entry(7, Source.ANSWER, "88", "FREQ_CARRIER", Fault.THROTTLE),
        ]
    )
    assert book.report(1, "undeliv/999").fault is Fault.ABSENT
    assert book.report(1, "UNDELIV/601").fault is Fault.NETWORK
    assert book.report(7, "UNDELIV/601").fault is Fault.CHANNEL
    assert book.report(1, "MK:0008").fault is Fault.ABSENT
    assert book.answer(7, "88", "CHANNEL", Fault.PERMANENT).fault is Fault.THROTTLE
    assert book.answer(1, "88", "CHANNEL", Fault.PERMANENT).fault is Fault.PERMANENT
    assert book.report(7, "88").fault is Fault.UNKNOWN
