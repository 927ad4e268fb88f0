"""The pace of a channel, spells of throttling, retries, and channels that get less."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from math import inf

import pytest
from hypothesis import given, strategies as st

from smsgw.core import report_codes
from smsgw.core.bucket import TokenBucket
from smsgw.core.code_book import CodeBook, Entry, Source
from smsgw.core.model import REPORT_CLASSES, Lane, MessageType
from smsgw.core.pacing import UNLIMITED, Pacer
from smsgw.core.retry import DEFAULTS, NEVER_RETRIED, Decision, Fault, RetryAction, Rule, decide
from smsgw.core.settings import Settings
from smsgw.core.shifting import HOLD, Shift, Standing, judge
from smsgw.core.throttling import MOST_UNTOLD, QUIET, TELL_EVERY, Spell, Throttling


def run(pacer: Pacer, begin: float, seconds: float) -> list[float]:
    """Write as fast as the pacer allows; the times of the writes."""
    return [at for at, _ in carried(pacer, begin, seconds, lambda _: True)]


def carried(
    pacer: Pacer, begin: float, seconds: float, takes: Callable[[float], bool], *, delay: float = 0.04
) -> list[tuple[float, bool]]:
    """Write as fast as the pacer allows to a carrier that answers after ``delay``: the writes, and whether each was
    taken; the others are refused as too fast."""
    writes: list[tuple[float, bool]] = []
    under_way: deque[tuple[float, bool]] = deque()
    for step in range(int(seconds * 1000)):
        now = begin + step / 1000
        granted = pacer.take(now, 64)
        pacer.wrote(now, granted)
        new = [(now, takes(now)) for _ in range(granted)]
        writes += new
        under_way += new
        answers = []
        while under_way and under_way[0][0] <= now - delay:
            answers.append(under_way.popleft()[1])
        if answers:
            pacer.answered(now, answers.count(True), answers.count(False))
    return writes


def at_most(per_second: float) -> Callable[[float], bool]:
    """A carrier that takes so much and refuses what is too fast; it smooths over a tenth of a second."""
    bucket = TokenBucket(per_second, max(2.0, per_second / 10))
    return lambda now: bool(bucket.take(now))


def by_the_second(per_second: int) -> Callable[[float], bool]:
    """A carrier that counts in seconds of its own."""
    counts: Counter[int] = Counter()

    def takes(now: float) -> bool:
        counts[int(now)] += 1
        return counts[int(now)] <= per_second

    return takes


def at_random(share: float, seed: int = 1) -> Callable[[float], bool]:
    """A carrier that refuses a share of all, however slow we are."""
    dice = random.Random(seed)  # noqa: S311
    return lambda _: dice.random() >= share


def most_in_a_second(times: list[float]) -> int:
    most = low = 0
    for high, at in enumerate(times):
        while times[low] <= at - 1.0:
            low += 1
        most = max(most, high - low + 1)
    return most


@pytest.mark.parametrize("limit", [1, 10, 400, 1000])
def test_never_more_than_the_limit_in_any_second_and_nearly_all_of_it(limit: int) -> None:
    times = run(Pacer(limit, 0.0), 0.0, 10.0)
    assert most_in_a_second(times) <= max(limit * 1.01, limit + 1)
    assert len(times) >= limit * 10 * 0.99


def test_a_process_that_comes_late_sends_no_more_and_in_no_heaps() -> None:
    """Turns of up to 15 ms, and now and then 40 ms between a grant and its octets."""
    dice = random.Random(7)  # noqa: S311
    pacer = Pacer(1000, 0.0)  # what is caught up with does not come in heaps a second apart
    now = 0.0
    writes: list[float] = []
    while now < 60.0:
        granted = pacer.take(now, 64)
        now += 0.04 if granted and dice.random() < 0.001 else 0.0002 * granted
        pacer.wrote(now, granted)
        writes += [now] * granted
        now = max(pacer.next_at(now, 64), now + dice.choice([0.0005, 0.002, 0.015]))
    assert most_in_a_second(writes) <= 1000
    assert len(writes) >= 990 * 60
    # After a pause of 60 ms a carrier that reads each other second 10 ms late finds nothing to refuse either.
    pacer = Pacer(1000, 0.0)
    before = run(pacer, 0.0, 5.0)
    writes = [*before, *run(pacer, 5.06, 5.0)]
    read = [at + (0.0099 if int(at) % 2 else 0.0) for at in writes]
    assert most_in_a_second(sorted(read)) <= 1010
    assert len(writes) >= 990 * 10


@given(
    limit=st.integers(1, 2000),
    steps=st.lists(st.tuples(st.floats(0, 0.4), st.floats(0, 0.1), st.integers(1, 300)), max_size=60),
)
def test_whatever_comes_between_a_grant_and_its_octets_no_second_has_more(
    limit: int, steps: list[tuple[float, float, int]]
) -> None:
    pacer = Pacer(limit, 0.0)
    now = 0.0
    writes: list[float] = []
    for pause, between, wanted in steps:
        now += pause
        granted = pacer.take(now, wanted)
        writes += [now + between * (n + 1) / granted for n in range(granted)]
        now += between
        pacer.wrote(now, granted)
    assert not writes or most_in_a_second(writes) <= limit


@pytest.mark.parametrize("kind", [at_most, by_the_second])
@pytest.mark.parametrize(("limit", "carries"), [(1000, 970), (1000, 300), (1000, 20), (200, 150), (20, 10)])
def test_the_rate_settles_where_the_carrier_takes_nearly_all(
    kind: Callable[[int], Callable[[float], bool]], limit: int, carries: int
) -> None:
    pacer = Pacer(limit, 0.0)
    carried(pacer, 0.0, 30.0, takes := kind(carries))
    writes = carried(pacer, 30.0, 60.0, takes)
    taken = sum(t for _, t in writes)
    assert taken >= 0.85 * carries * 60
    assert len(writes) - taken <= (0.15 if carries * 3 > limit / 2 else 0.25) * len(writes)
    run(pacer, 90.0, 25.0)
    assert pacer.rate == limit


@pytest.mark.parametrize("share", [0.01, 0.05, 0.1, 0.15])
@pytest.mark.parametrize("limit", [1000, 200, 20])
def test_refusals_that_are_few_and_scattered_do_not_take_the_rate_away(share: float, limit: int) -> None:
    """Going slower does not cure them, so it is not done: what is refused goes again."""
    pacer = Pacer(limit, 0.0)
    writes = carried(pacer, 0.0, 60.0, at_random(share))
    assert len(writes) >= (0.9 if share <= 0.1 else 0.75) * limit * 60


def test_few_refusals_are_forgotten_and_a_stop_is_noticed_at_once() -> None:
    pacer = Pacer(1000, 0.0)
    run(pacer, 0.0, 5.0)
    carried(pacer, 5.0, 1.0, at_random(0.1))
    run(pacer, 6.0, 2.0)
    assert pacer.rate == 1000
    pacer = Pacer(1000, 0.0)  # a carrier that takes nothing more is noticed before a period is over
    run(pacer, 0.0, 5.2)
    carried(pacer, 5.2, 0.1, lambda _: False)
    assert pacer.rate <= 700


@pytest.mark.parametrize("share", [1.0, 0.5, 0.3])
def test_a_storm_is_met_with_less_and_less(share: float) -> None:
    """Twenty seconds at a limit of 1,000/s: down to the floor, whatever the share."""
    pacer = Pacer(1000, 0.0)
    run(pacer, 0.0, 5.0)
    writes = carried(pacer, 5.0, 20.0, at_random(share))
    assert len(writes) <= 1_750
    assert pacer.rate <= 25


def test_a_busier_carrier_is_told_from_scattered_refusals() -> None:
    """What going slower does not cure is borne; what comes on top of it makes us slower again."""
    pacer = Pacer(1000, 0.0)
    scattered, narrow = at_random(0.08), at_most(400)
    carried(pacer, 0.0, 20.0, scattered)
    assert pacer.rate > 900
    carried(pacer, 20.0, 20.0, lambda now: scattered(now) and narrow(now))
    writes = carried(pacer, 40.0, 20.0, lambda now: scattered(now) and narrow(now))
    assert len(writes) / 20 <= 600
    assert sum(t for _, t in writes) / 20 >= 300


def test_one_overload_cuts_once_and_never_below_the_floor() -> None:
    pacer = Pacer(100, 0.0)
    run(pacer, 0.0, 3.0)
    for n in range(50):
        pacer.answered(3.0 + n * 0.001, 0, 1)
    assert pacer.rate > 60
    pacer = Pacer(0, 0.0)  # without a limit what was really sent is cut
    now = 0.0
    while now < 3.0:  # 500 a second are asked for
        pacer.wrote(now, pacer.take(now, 5))
        now += 0.01
    pacer.answered(now, 0, 10)
    assert 200 < pacer.rate < 500
    pacer = Pacer(100, 0.0)  # the floor is never left
    for n in range(200):
        pacer.answered(n * 1.0, 0, 10)
    assert pacer.rate >= 2
    pacer = Pacer(100, 0.0)  # a changed limit is followed at once
    pacer.set_limit(10, 1.0)
    assert pacer.rate == 10
    pacer.set_limit(500, 2.0)
    assert pacer.rate == 500


@pytest.mark.parametrize("of", [40, 25, 10, 3])
def test_one_refusal_while_little_is_sent_does_not_take_all_away(of: int) -> None:
    """Of a trickle nothing can be said of what the carrier could take: the next burst must not find it all gone."""
    pacer = Pacer(1000, 0.0)
    rates = []
    for n in range(600):  # five a second, one of which is refused
        now = n * 0.2
        pacer.wrote(now, pacer.take(now, 1))
        pacer.answered(now, int(n != 5 * of), int(n == 5 * of))
        rates.append(pacer.rate)
    assert min(rates) >= 20
    after = rates[5 * of :]
    assert sum(rate < 100 for rate in after) / 5 <= 15, "seconds with less than a tenth"
    assert pacer.rate == 1000


@given(
    limit=st.sampled_from([0, 1, 20, 1000]),
    steps=st.lists(st.tuples(st.floats(0, 3), st.integers(0, 200), st.integers(0, 50)), max_size=40),
)
def test_whatever_a_carrier_said_its_rate_is_within_bounds_and_comes_back(
    limit: int, steps: list[tuple[float, int, int]]
) -> None:
    pacer = Pacer(limit, 0.0)
    least, most = (max(1.0, limit / 50), float(limit)) if limit else (20.0, UNLIMITED)
    now = 0.0
    for pause, taken, refused in steps:
        now += pause
        pacer.wrote(now, pacer.take(now, taken + refused))
        pacer.answered(now, taken, refused)
        assert least <= pacer.rate <= most
    for n in range(1200):
        at = now + 0.05 * (n + 1)
        granted = pacer.take(at, 50)
        pacer.wrote(at, granted)
        pacer.answered(at, granted, 0)
    assert pacer.rate == most


START = datetime(2026, 3, 2, 9, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_a_spell_is_what_follows_soon_with_its_lowest_rate() -> None:
    one = Throttling()
    one.answered(START, 1_000, 0, 400, None)
    assert not one.open
    assert one.now is None
    assert not one.look(START + QUIET, None)
    one = Throttling()  # a spell has its lowest rate and what was taken in it
    one.answered(START, 90, 10, 400, 280.0)
    one.answered(START + 10 * SECOND, 2_000, 5, 400, 210.0)
    one.answered(START + 20 * SECOND, 3_000, 0, 400, 390.0)  # still recovering
    one.answered(START + 30 * SECOND, 4_000, 0, 400, None)  # back: no part of it
    (told,) = one.look(START + 20 * SECOND + QUIET, None)
    assert told == Spell(START, START + 20 * SECOND, 400, 210.0, 5_090, 15, over=True)
    assert told.carried == pytest.approx(254.5)
    assert not one.open
    one, at = Throttling(), START  # what follows soon is the same spell
    for _ in range(12):  # an hour of a carrier that is a little too narrow
        one.answered(at, 100, 1, 400, None)
        at += QUIET - SECOND
        assert [spell.over for spell in one.look(at, None)] in ([], [False])
    assert one.now is not None
    assert one.now.refused == 12
    assert one.now.began_at == START
    assert one.now.lowest is None
    one.answered(at + QUIET, 1, 1, 400, None)
    assert one.now.began_at == START  # nobody had looked in between
    one = Throttling()  # a rate that is still lowered prolongs it without an answer
    one.answered(START, 0, 8, 400, 100.0)
    one.look(START + 20 * SECOND, 300.0)
    assert one.now is not None
    assert one.now.until == START + 20 * SECOND


def test_a_spell_is_told_once_a_minute_and_again_until_it_is_kept() -> None:
    one, told = Throttling(), 0
    for n in range(600):
        at = START + n * SECOND
        one.answered(at, 300, 1, 400, 250.0)
        if spells := one.look(at, 250.0):
            told += 1
            one.told(spells, at)
    assert told == 600 // (TELL_EVERY // SECOND)
    one, at = Throttling(), START  # what could not be kept is told again and not for ever
    for _ in range(MOST_UNTOLD + 3):
        one.answered(at, 1, 1, 0, None)
        at += 2 * QUIET
        one.look(at, None)
    spells = one.look(at, None)
    assert len(spells) == MOST_UNTOLD
    assert spells == one.look(at, None)
    one.told(spells, at)
    assert not one.look(at, None)


def test_a_spell_ends_with_its_channel_and_the_next_is_told_too() -> None:
    one = Throttling()
    one.answered(START, 1, 1, 0, None)
    (told,) = one.look(START + SECOND, None, ended=True)
    assert told.over
    assert told.until == START
    assert told.carried is None
    one = Throttling()  # one that begins while the last is being kept is told too
    one.answered(START, 1, 1, 0, None)
    spells = one.look(START + QUIET, None)
    one.answered(START + QUIET, 1, 1, 0, None)
    one.told(spells, START + QUIET)
    (told,) = one.look(START + QUIET, None)
    assert told.began_at == START + QUIET
    assert not told.over


ON = Settings(success_shift=80)
T = datetime(2026, 11, 26, 12, tzinfo=UTC)
BOTH = [(1, 2)]


def at(one: int, delivered: int, ended: int = 1000, left_out: int = 0) -> Standing:
    return Standing(one, f"c{one}", ended, delivered, left_out)


def shifts(*standings: Standing, before: Mapping[int, Shift] | None = None, minutes: float = 0, settings: Settings = ON,
        pools: list[tuple[int, ...]] = BOTH) -> dict[int, Shift]:  # fmt: skip
    return judge(standings, pools, before or {}, settings, T + timedelta(minutes=minutes))


def test_a_channel_gets_less_beside_one_that_delivers_enough_and_not_otherwise() -> None:
    low, good = at(1, 900), at(2, 995)
    found = shifts(low, good)[1]
    assert (found.rate, found.ended, found.better, found.better_rate) == (90, 1000, "c2", 99.5)
    assert shifts(low, good, settings=Settings()) == {}, "it is off by default"
    assert shifts(low, good, settings=Settings(success_shift=80, success_limit=0)) == {}
    assert shifts(low) == {}, "alone"
    assert shifts(low, good, pools=[(1,), (2,)]) == {}, "of another pool"
    assert shifts(low, at(2, 910)) == {}, "a bad list makes all of them look bad"
    assert shifts(at(1, 900, left_out=95), good) == {}, "what does not count does not shift"
    assert set(shifts(low, at(2, 905), at(3, 999), pools=[(1, 2, 3)])) == {1, 2}


def test_less_is_given_for_some_minutes_and_not_for_ever() -> None:
    before = shifts(at(1, 900), at(2, 995))
    held = HOLD.total_seconds() / 60
    assert set(shifts(at(1, 1000), at(2, 995), before=before, minutes=held - 1)) == {1}, "nothing swings to and fro"
    assert shifts(at(1, 1000), at(2, 995), before=before, minutes=held) == {}
    assert set(shifts(at(1, 992), at(2, 995), before=before, minutes=held)) == {1}, "between the limits it stays"
    assert shifts(at(1, 995), at(2, 995), before=before, minutes=held) == {}
    before = shifts(at(1, 900), at(2, 995))
    assert shifts(at(1, 900), at(2, 900), before=before, minutes=30) == {}, "the others are no better"
    later = shifts(at(1, 910), at(2, 995), before=before, minutes=30)
    assert later[1].since == T
    assert (later[1].low_at, later[1].rate) == (T + timedelta(minutes=30), 91)
    assert set(shifts(at(2, 995), before=later, minutes=89)) == {1}
    assert shifts(at(2, 995), before=later, minutes=90) == {}, "it is tried anew"
    assert shifts(at(1, 900), at(2, 995), before=before, settings=Settings()) == {}, "turned off"
    before = shifts(at(1, 900), at(2, 995))  # of two that are low at once none is the others reason
    found = shifts(at(1, 995), at(2, 900), before=before, minutes=1)
    assert set(found) == {1}, "the one that gets less takes nothing over yet"


def ask(fault: Fault, lane: Lane = Lane.NOTICE, *, tried: int = 0, age: float = 0, left: float = inf,
        others: bool = True, rule: Rule | None = None) -> Decision | None:  # fmt: skip
    table = DEFAULTS if rule is None else {(fault, kind): rule for kind in MessageType}
    return decide(table, fault, lane, tried=tried, age=age, left=left, others=others)


def test_the_table_is_complete_and_never_repeats_what_may_have_arrived() -> None:
    assert set(DEFAULTS) == {(fault, kind) for fault in Fault for kind in MessageType}
    for (fault, _), rule in DEFAULTS.items():
        assert fault not in NEVER_RETRIED or rule.how is RetryAction.NEVER
        assert rule.most >= rule.first
    for fault in sorted(NEVER_RETRIED):  # no rule can repeat the uncertain
        assert ask(fault, rule=Rule(RetryAction.OTHER, tries=9)) is None


def test_tries_deadline_and_validity_end_it() -> None:
    rule = Rule(RetryAction.SAME, first=5, most=60)
    assert [rule.delay(n) for n in range(6)] == [5, 10, 20, 40, 60, 60]
    assert rule.delay(10_000) == 60
    rule = Rule(RetryAction.SAME, tries=2, deadline=100, first=10, most=80)
    assert ask(Fault.NETWORK, rule=rule) == Decision(RetryAction.SAME, 10)
    assert ask(Fault.NETWORK, rule=rule, tried=1) == Decision(RetryAction.SAME, 20)
    assert ask(Fault.NETWORK, rule=rule, tried=2) is None
    assert ask(Fault.NETWORK, rule=rule, age=90) == Decision(RetryAction.SAME, 10)
    assert ask(Fault.NETWORK, rule=rule, age=91) is None
    assert ask(Fault.NETWORK, rule=rule, left=10) is None
    assert ask(Fault.CHANNEL) == Decision(RetryAction.OTHER, 0)  # another channel where there is one
    assert ask(Fault.CHANNEL, others=False) is None
    assert ask(Fault.PORTED, others=False) is None
    assert ask(Fault.BUSY, Lane.OTP) == Decision(RetryAction.OTHER, 1)
    assert ask(Fault.BUSY, Lane.OTP, others=False) == Decision(RetryAction.SAME, 1)
    assert ask(Fault.BUSY, Lane.MARKETING) == Decision(RetryAction.SAME, 5)
    assert ask(Fault.CHANNEL, Lane.EMERGENCY) == ask(Fault.CHANNEL, Lane.OTP)


def test_report_codes() -> None:
    for code, cls, fault in (
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
    ):  # fmt: skip
        assert (report_codes.class_of(code), report_codes.fault_of(code)) == (cls, fault)
    assert report_codes.fault_of("33", "NETWORK") is Fault.NETWORK
    assert report_codes.fault_of("UNDELIV/007", "HANDSET") is Fault.ABSENT
    assert report_codes.fault_of("MC:0055", "HANDSET") is Fault.UNCERTAIN
    assert CodeBook().report(1, "33", "NETWORK").cls == "NETWORK"
    for code, (cls, fault) in report_codes.listed().items():  # every listed code has a known class
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
