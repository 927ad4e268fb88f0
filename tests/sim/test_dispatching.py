"""What a channel sends when: claims, window, rate, lanes, and everything that can come between, in virtual time."""

from __future__ import annotations

import asyncio
import errno
import itertools
from dataclasses import replace
from datetime import UTC, datetime

import asyncpg
from stage import POOL, Stage, staged
from virtual import EPOCH

from smsgw.core.model import Account, Lane, OutcomeKind
from smsgw.core.settings import Settings
from smsgw.pipeline.fleet import Membership
from smsgw.pipeline.snapshot import Accounts
from smsgw.pipeline.upkeep.alarms import channel_findings
from smsgw.simulator import Rule

K = OutcomeKind


# --- window ----------------------------------------------------------------------------------------------------------


@staged(window=4)
async def test_no_more_is_out_than_the_window_and_one_more_is_in_hand(stage: Stage) -> None:
    stage.carrier.change(silent=True)
    stage.queue(50)
    await asyncio.sleep(1.0)
    assert len(stage.arrived) == 4
    assert 50 - len(stage.queues.waiting) == 8


@staged(window=4)
async def test_what_is_queued_arrives_once_and_in_its_order(stage: Stage) -> None:
    stage.carrier.change(answer_delay="5..50")
    ids = stage.queue(60)
    await stage.until(lambda: len(stage.verdicts.said) == 60)
    assert stage.reached == ids
    assert sorted(stage.verdicts.of(K.ACCEPTED)) == ids
    assert len({outcome.carrier_id for _, outcome in stage.verdicts.said}) == 60
    assert stage.carrier.counts.peak_unanswered <= 4


@staged(window=4, connections=3)
async def test_several_connections_share_the_work(stage: Stage) -> None:
    stage.carrier.change(silent=True)
    stage.queue(50)
    await asyncio.sleep(1.0)
    assert len(stage.arrived) == 12
    assert stage.carrier.counts.peak_unanswered == 4


@staged(window=4)
async def test_a_window_that_is_widened_is_used_at_once(stage: Stage) -> None:
    stage.carrier.change(silent=True)
    stage.queue(50)
    await asyncio.sleep(0.5)
    stage.change(window=10)
    await asyncio.sleep(0.2)
    assert len(stage.arrived) == 10


@staged()
async def test_work_that_nobody_has_announced_is_found(stage: Stage) -> None:
    await asyncio.sleep(1.0)
    stage.queue(1, silently=True)
    begun = stage.loop.time()
    await stage.until(lambda: stage.arrived, within=1.0)
    assert stage.arrived[0][0] - begun < 0.6


# --- journal before wire ---------------------------------------------------------------------------------------------


@staged(window=4)
async def test_parts_are_in_the_journal_before_an_octet_of_them_is_written(stage: Stage) -> None:
    stage.order.clear()
    stage.queue(4)
    await stage.until(lambda: len(stage.arrived) == 4)
    assert stage.order[:2] == ["journal", "wire"]


@staged(window=4)
async def test_without_a_journal_nothing_is_written_and_all_of_it_later(stage: Stage) -> None:
    write, full = stage.journal.write, OSError(errno.ENOSPC, "full")

    def failing(keys: object) -> None:
        raise full

    stage.journal.write = failing  # type: ignore[method-assign, assignment]
    ids = stage.queue(3)
    await asyncio.sleep(5.0)
    assert not stage.arrived
    stage.journal.write = write  # type: ignore[method-assign]
    await stage.until(lambda: len(stage.arrived) == 3, within=2.0)
    assert stage.reached == ids
    assert not stage.verdicts.of(K.UNSENT)


# --- lease -----------------------------------------------------------------------------------------------------------


@staged(window=4)
async def test_nothing_is_claimed_nor_written_after_the_lease(stage: Stage) -> None:
    stage.queue(1)
    await stage.until(lambda: stage.arrived)
    stage.lease.deadline = stage.loop.time()
    asked = len(stage.queues.asked)
    stage.queue(5)
    await asyncio.sleep(5.0)
    assert len(stage.arrived) == 1
    assert len(stage.queues.asked) == asked


@staged(window=1)
async def test_what_is_in_hand_when_the_lease_is_over_is_not_even_recorded(stage: Stage) -> None:
    stage.carrier.change(answer_delay="500")
    first, second = stage.queue(2)
    await stage.until(lambda: stage.arrived)
    await asyncio.sleep(0.2)
    assert not stage.queues.waiting
    stage.lease.deadline = stage.loop.time()
    recorded = stage.order.count("journal")
    await asyncio.sleep(2.0)
    assert stage.verdicts.of(K.ACCEPTED) == [first]
    assert stage.order.count("journal") == recorded
    assert second not in stage.reached


@staged(window=4)
async def test_a_lease_that_ends_while_the_journal_is_written_stops_the_write(stage: Stage) -> None:
    def over() -> None:
        stage.lease.deadline = stage.loop.time()

    stage.on_record = over
    ids = stage.queue(3)
    await asyncio.sleep(1.0)
    assert not stage.arrived
    assert stage.verdicts.of(K.UNSENT) == ids


# --- rate ------------------------------------------------------------------------------------------------------------


@staged(window=100, rate=20)
async def test_no_second_has_more_than_the_rate_and_the_rate_is_used(stage: Stage) -> None:
    stage.queue(200)
    await stage.until(lambda: len(stage.arrived) == 200)
    times = [at for at, _, _ in stage.arrived]
    assert max(sum(at <= other < at + 0.98 for other in times) for at in times) <= 20
    assert 9.5 < times[-1] - times[0] < 11.0


@staged(window=100, rate=20)
async def test_a_slow_channel_sits_on_little(stage: Stage) -> None:
    stage.queue(200)
    await stage.until(lambda: len(stage.arrived) == 50)
    assert 200 - len(stage.queues.waiting) - len(stage.arrived) <= 20 * 0.25 + 1


@staged(window=100, rate=5)
async def test_a_rate_that_is_raised_counts_at_once(stage: Stage) -> None:
    stage.queue(300)
    await asyncio.sleep(4.0)
    assert len(stage.arrived) <= 25
    stage.change(rate=0)
    await stage.until(lambda: len(stage.arrived) == 300, within=1.0)


@staged(window=16, rate=100)
async def test_a_carrier_that_says_too_fast_is_sent_less(stage: Stage) -> None:
    stage.carrier.change(answers="8:1")
    stage.queue(2000)
    await asyncio.sleep(10.0)
    before = len(stage.arrived)
    await asyncio.sleep(10.0)
    assert len(stage.arrived) - before < 500, "half of what may be"
    assert set(stage.verdicts.codes()) == {"8"}
    assert len(stage.verdicts.of(K.DEFERRED)) >= len(stage.arrived) - 16


# --- lanes -----------------------------------------------------------------------------------------------------------


@staged(window=2)
async def test_an_emergency_goes_before_all_that_waits(stage: Stage) -> None:
    stage.carrier.change(answer_delay="200")
    stage.queue(40, Lane.MARKETING)
    await stage.until(lambda: len(stage.arrived) >= 6)
    at = len(stage.arrived)
    (emergency,) = stage.queue(1, Lane.EMERGENCY)
    await stage.until(lambda: emergency in stage.reached, within=0.5)
    assert stage.reached.index(emergency) <= at + 2


@staged(window=2)
async def test_codes_go_before_marketing(stage: Stage) -> None:
    stage.carrier.change(answer_delay="200")
    stage.queue(60, Lane.MARKETING)
    await stage.until(lambda: len(stage.arrived) >= 6)
    codes = stage.queue(4, Lane.OTP)
    await stage.until(lambda: set(codes) <= set(stage.reached))
    assert max(stage.reached.index(code) for code in codes) < 20, "before 40 of those that were there"


@staged(window=2)
async def test_claims_ask_for_urgent_lanes_first_and_now_and_then_last(stage: Stage) -> None:
    stage.carrier.change(answer_delay="20")
    for lane in (Lane.OTP, Lane.MARKETING, Lane.NOTICE):
        stage.queue(200, lane)
    await stage.until(lambda: len(stage.queues.asked) >= 40)
    orders = [[lane for _, lane in queues] for _, _, queues in stage.queues.asked if len(queues) == 3]
    assert orders.count([1, 2, 3]) > len(orders) * 0.8
    assert orders.count([3, 2, 1]) >= len(orders) // 12
    assert orders.count([1, 2, 3]) + orders.count([3, 2, 1]) == len(orders)


@staged(window=10)
async def test_after_an_emergency_a_part_of_the_window_is_kept_for_the_next(stage: Stage) -> None:
    stage.snapshots.change(settings=Settings(emergency_reserve=30))
    stage.carrier.change(silent=True)
    stage.queue(1, Lane.EMERGENCY)
    await stage.until(lambda: stage.arrived)
    stage.queue(50)
    await asyncio.sleep(0.5)
    assert len(stage.arrived) == 7
    stage.queue(3, Lane.EMERGENCY)
    await asyncio.sleep(0.5)
    assert len(stage.arrived) == 10


# --- what is not sent ------------------------------------------------------------------------------------------------


@staged(window=1)
async def test_what_expires_in_hand_is_not_written(stage: Stage) -> None:
    stage.carrier.change(answer_delay="1500")
    (first,) = stage.queue(1)
    (late,) = stage.queue(1, valid=1.0)
    await stage.until(lambda: len(stage.verdicts.said) == 2)
    assert stage.reached == [first]
    assert stage.verdicts.of(K.UNSENT) == [late]


@staged(window=4)
async def test_what_cannot_be_encoded_is_refused_alone(stage: Stage) -> None:
    good = stage.queue(2)
    bad = [replace(stage.part(), number="8" * 40), replace(stage.part(), coding="ascii", content="汉字")]
    stage.queues.waiting += bad
    good += stage.queue(2)
    await stage.until(lambda: len(stage.verdicts.said) == 6)
    assert sorted(stage.verdicts.of(K.REFUSED)) == [part.id for part in bad]
    assert stage.verdicts.codes() == {"UNENCODABLE": 2}
    assert sorted(stage.reached) == good


@staged(window=2)
async def test_what_is_in_hand_of_an_account_that_is_stopped_goes_back(stage: Stage) -> None:
    stage.carrier.change(silent=True)
    stage.queue(2)
    await stage.until(lambda: len(stage.arrived) == 2)
    held, others = stage.queue(1, account=5), stage.queue(1, account=6)
    await asyncio.sleep(0.2)
    stage.snapshots.change(tree=Accounts([Account(5, "stopped", "stopped", halted=True)]))
    stage.channel.set_aside()
    assert stage.verdicts.of(K.UNSENT) == held
    stage.queue(3, account=5)
    stage.at_carrier(lambda: stage.carrier.disconnect())
    stage.carrier.change(silent=False)
    await stage.until(lambda: set(others) <= set(stage.reached) | set(stage.verdicts.of(K.UNSENT)))
    await asyncio.sleep(3.0)
    assert all(part.account_id == 5 for part in stage.queues.waiting)
    assert len(stage.queues.waiting) == 3


# --- refusals and silence --------------------------------------------------------------------------------------------


@staged(window=4)
async def test_a_part_that_is_put_off_is_sent_again_when_it_is_due(stage: Stage) -> None:
    stage.carrier.change(answers="8:1")
    (id_,) = stage.queue(1)
    await stage.until(lambda: stage.verdicts.of(K.DEFERRED) == [id_])
    (at, outcome) = stage.verdicts.said[0]
    assert outcome.delay > 0
    stage.carrier.change(answers="0:1")
    due = datetime.fromtimestamp(EPOCH + at + outcome.delay, UTC)
    stage.queues.deferred.append((due, replace(stage.part(), id=id_)))
    await stage.until(lambda: stage.verdicts.of(K.ACCEPTED) == [id_])
    assert at + outcome.delay <= stage.verdicts.said[-1][0] < at + outcome.delay + 1.0


@staged(window=4)
async def test_a_refusal_for_good_is_told_with_its_code(stage: Stage) -> None:
    stage.carrier.change(rules=(Rule(contains="bad", answer=9),))
    stage.queue(1)
    (bad,) = stage.queue(1, text="bad words")
    await stage.until(lambda: len(stage.verdicts.said) == 2)
    assert stage.verdicts.of(K.REFUSED) == [bad]
    assert stage.verdicts.codes() == {"9": 1}


@staged(window=4, profile={"response_timeout": 10})
async def test_an_answer_that_does_not_come_is_unknown(stage: Stage) -> None:
    stage.carrier.change(lose_answers=1.0)
    ids = stage.queue(2)
    begun = stage.loop.time()
    await stage.until(lambda: len(stage.verdicts.said) == 2)
    assert stage.verdicts.of(K.UNKNOWN) == ids
    assert stage.verdicts.codes() == {"ANSWER_TIMEOUT": 2}
    assert 10.0 <= stage.loop.time() - begun < 11.0
    assert stage.reached == ids


@staged(window=4, profile={"response_timeout": 10})
async def test_an_answer_that_comes_late_is_told_all_the_same(stage: Stage) -> None:
    stage.carrier.change(answer_delay="12000")
    (id_,) = stage.queue(1)
    await stage.until(lambda: len(stage.verdicts.said) == 2)
    assert stage.verdicts.of(K.UNKNOWN) == stage.verdicts.of(K.ACCEPTED) == [id_]


@staged(window=4)
async def test_a_connection_that_breaks_makes_unknown_what_was_out_and_nothing_else(stage: Stage) -> None:
    stage.carrier.change(silent=True)
    stage.queue(20)
    await asyncio.sleep(0.5)
    out = set(stage.reached)
    stage.at_carrier(lambda: stage.carrier.disconnect(rst=True))
    stage.carrier.change(silent=False)
    await stage.until(lambda: len(stage.verdicts.said) >= 16)
    assert set(stage.verdicts.of(K.UNKNOWN)) == out
    assert stage.verdicts.codes()["LINK_LOST"] == 4
    assert len(stage.reached) == len(set(stage.reached))


@staged(window=4)
async def test_what_is_in_hand_goes_back_when_no_connection_comes_about(stage: Stage) -> None:
    stage.carrier.change(silent=True)
    ids = stage.queue(8)
    await asyncio.sleep(0.5)
    stage.network.weather.down = True
    stage.at_carrier(lambda: stage.carrier.disconnect(rst=True))
    await stage.until(lambda: len(stage.verdicts.said) == 8, within=4.0)
    assert sorted(stage.verdicts.of(K.UNSENT)) == ids[4:]
    asked = len(stage.queues.asked)
    stage.queue(10)
    await asyncio.sleep(10.0)
    assert len(stage.queues.asked) == asked, "who cannot send, claims nothing"
    assert not stage.channel.healthy()


@staged(window=4)
async def test_a_carrier_that_answers_nothing_gets_no_claims_and_its_neighbours_the_rest(stage: Stage) -> None:
    stage.carrier.change(silent=True)
    ids = stage.queue(20)
    await asyncio.sleep(5.0)
    assert stage.verdicts.of(K.UNSENT) == ids[4:8]
    assert len(stage.queues.waiting) == 12
    assert not stage.channel.healthy()


@staged(window=4, profile={"response_timeout": 10})
async def test_a_carrier_that_stays_silent_is_tried_with_one_part_and_not_with_another_window(stage: Stage) -> None:
    stage.carrier.change(silent=True)
    stage.queue(50)
    await asyncio.sleep(65.0)
    assert len(stage.arrived) == 7
    times = [at for at, _, _ in stage.arrived[3:]]
    pauses = [after - at - 10.0 for at, after in itertools.pairwise(times)]
    assert pauses == sorted(pauses), "they grow"
    assert all(wanted <= pause < wanted + 1.5 for wanted, pause in zip((0, 5, 10), pauses, strict=True))
    assert len(stage.queues.waiting) + len(stage.verdicts.of(K.UNSENT)) == 43
    assert not stage.channel.healthy()
    (found,) = channel_findings([stage.channel.status(0, ())])
    assert found.kind == "channel_silent"
    stage.carrier.change(silent=False, answer_delay="100")
    await stage.until(lambda: len(stage.arrived) == 8, within=30.0)
    begun = stage.loop.time()
    await stage.until(lambda: not stage.queues.waiting and len(stage.arrived) == 7 + 43 - 4, within=3.0)
    assert stage.loop.time() - begun < 2.0, "at its whole window at once"
    assert stage.channel.healthy()
    assert not channel_findings([stage.channel.status(0, ())])


@staged(window=4, profile={"response_timeout": 10})
async def test_a_late_answer_ends_the_trials_of_a_silent_carrier(stage: Stage) -> None:
    stage.carrier.change(answer_delay="13000")
    stage.queue(12)
    await stage.until(lambda: len(stage.arrived) == 5, within=12.0)
    await stage.until(lambda: stage.verdicts.of(K.ACCEPTED), within=3.0)
    await asyncio.sleep(0.7)
    assert len(stage.arrived) >= 8
    assert stage.channel.healthy()


@staged(window=4)
async def test_a_connection_whose_peer_is_gone_unheard_gets_one_window_and_nothing_after_it(stage: Stage) -> None:
    ids = stage.queue(1)
    await stage.until(lambda: stage.verdicts.of(K.ACCEPTED))
    (wire,) = stage.network.wires
    wire.fall_silent()
    ids += stage.queue(50)
    written = stage.order.count("wire")
    await asyncio.sleep(72.0)
    assert len(stage.verdicts.of(K.UNKNOWN)) == 4, "a window, 60 s after it was written"
    assert stage.order.count("journal") == 2, "the connection is not given up yet, and nothing more was written by it"
    assert stage.order.count("wire") > written
    await stage.until(lambda: len(stage.network.wires) == 2, within=30.0)
    await stage.until(lambda: len(stage.arrived) >= 40, within=5.0)
    assert len(stage.verdicts.of(K.UNKNOWN)) == 4


@staged(window=4, connections=2, profile={"response_timeout": 10})
async def test_one_connection_that_is_not_answered_gets_little_and_the_other_its_share(stage: Stage) -> None:
    stage.carrier.change(answer_delay="50")
    stage.queue(2)
    await stage.until(lambda: len(stage.verdicts.of(K.ACCEPTED)) == 2)
    stage.network.wires[0].fall_silent()
    for _ in range(40):
        stage.queue(40)
        await asyncio.sleep(1.0)
    assert len(stage.verdicts.of(K.ACCEPTED)) > 1000
    assert len(stage.verdicts.of(K.UNKNOWN)) <= 5
    assert stage.channel.healthy()


@staged(window=4, connections=3, profile={"response_timeout": 10})
async def test_a_mute_connection_keeps_nobody_from_finding_out_that_others_answer(stage: Stage) -> None:
    """All of them have lost submits; then the first stays mute."""
    stage.carrier.change(silent=True)
    stage.queue(12)
    await stage.until(lambda: len(stage.verdicts.of(K.UNKNOWN)) == 12, within=15.0)
    stage.network.wires[0].fall_silent()
    stage.carrier.change(silent=False, answer_delay="50")
    stage.queue(60)
    await stage.until(lambda: len(stage.verdicts.of(K.ACCEPTED)) >= 50, within=6.0)


@staged(window=4, profile={"response_timeout": 10})
async def test_one_answer_that_is_lost_makes_no_carrier_silent(stage: Stage) -> None:
    stage.carrier.change(lose_answers=1.0)
    stage.queue(1)
    await stage.until(lambda: stage.verdicts.of(K.UNKNOWN))
    stage.carrier.change(lose_answers=0.0)
    await asyncio.sleep(1.5)
    assert stage.channel.healthy()
    stage.queue(20)
    await stage.until(lambda: len(stage.verdicts.of(K.ACCEPTED)) == 20, within=1.5)


@staged(window=4, profile={"response_timeout": 10})
async def test_what_is_least_urgent_is_tried_by_a_silent_carrier(stage: Stage) -> None:
    stage.carrier.change(silent=True)
    stage.queue(4)
    await stage.until(lambda: len(stage.arrived) == 4)
    codes = stage.queue(3, Lane.OTP) + stage.queue(1, Lane.EMERGENCY)
    marketing = stage.queue(5, Lane.MARKETING)
    await stage.until(lambda: len(stage.arrived) == 5, within=12.0)
    assert stage.reached[4] in marketing
    assert not set(codes) & set(stage.reached)


@staged(protocol="sgip12", window=4, profile={"node": 3010012345, "response_timeout": 10})
async def test_the_same_where_connections_come_and_go(stage: Stage) -> None:
    stage.carrier.change(silent=True)
    stage.queue(50)
    await asyncio.sleep(65.0)
    assert 5 <= len(stage.arrived) <= 8
    stage.carrier.change(silent=False)
    await stage.until(lambda: len(stage.arrived) >= 40, within=60.0)


# --- the outcome writer and the database -----------------------------------------------------------------------------


@staged(window=4)
async def test_nothing_is_claimed_while_the_outcome_writer_is_full(stage: Stage) -> None:
    stage.verdicts.full = True
    asked = len(stage.queues.asked)
    stage.queue(10)
    await asyncio.sleep(5.0)
    assert len(stage.queues.asked) == asked
    stage.verdicts.full = False
    await stage.until(lambda: len(stage.arrived) == 10, within=2.0)


@staged(window=4)
async def test_a_claim_that_fails_is_made_again_over_another_connection(stage: Stage) -> None:
    stage.queues.failures = [
        ConnectionResetError(104, "reset"),
        asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
        asyncpg.DeadlockDetectedError("deadlock detected"),
    ]
    ids = stage.queue(10)
    await stage.until(lambda: len(stage.arrived) == 10, within=10.0)
    assert stage.reached == ids
    assert stage.queues.connections == 4
    assert stage.lease.epoch == 10, "each of them may have been committed: a new epoch is taken"


@staged(window=4)
async def test_what_a_lost_claim_has_marked_goes_back(stage: Stage) -> None:
    stage.queues.failures = [ConnectionResetError(104, "reset")]
    stage.queues.lost = [(900_001, 1, 1)]
    stage.queue(2)
    await stage.until(lambda: len(stage.arrived) == 2, within=10.0)
    assert stage.verdicts.of(K.UNSENT) == [900_001]


@staged(window=4)
async def test_a_database_that_is_away_is_asked_ever_less_often(stage: Stage) -> None:
    stage.queues.failures = [ConnectionResetError(104, "reset")] * 1000
    stage.queue(1)
    await asyncio.sleep(60.0)
    assert 20 < 1000 - len(stage.queues.failures) < 100


@staged(window=4)
async def test_claims_do_not_overtake_a_slow_one(stage: Stage) -> None:
    stage.queues.takes = 2.0
    ids = stage.queue(4)
    await asyncio.sleep(1.0)
    ids += stage.queue(4)
    await stage.until(lambda: len(stage.arrived) == 8, within=10.0)
    assert stage.reached == ids
    assert stage.queues.most_at_once == 1


# --- stopping and draining -------------------------------------------------------------------------------------------


@staged(window=4)
async def test_a_stop_waits_for_answers_and_gives_back_the_rest(stage: Stage) -> None:
    stage.carrier.change(answer_delay="2000")
    ids = stage.queue(20)
    await stage.until(lambda: len(stage.arrived) == 4)
    await stage.channel.stop()
    assert stage.verdicts.of(K.ACCEPTED) == ids[:4]
    assert sorted(stage.verdicts.of(K.UNSENT)) == ids[4:8]
    assert stage.reached == ids[:4]
    assert not stage.journal.open_keys()


@staged(window=4)
async def test_a_claim_that_is_under_way_at_a_stop_is_given_back(stage: Stage) -> None:
    stage.queues.takes = 1.0
    ids = stage.queue(3)
    await asyncio.sleep(0.5)
    await stage.channel.stop()
    assert sorted(stage.verdicts.of(K.UNSENT)) == ids
    assert not stage.arrived


@staged(window=4)
async def test_a_stop_does_not_wait_for_ever(stage: Stage) -> None:
    stage.carrier.change(silent=True)
    ids = stage.queue(4)
    await stage.until(lambda: len(stage.arrived) == 4)
    begun = stage.loop.time()
    await stage.channel.stop()
    assert stage.loop.time() - begun < 15.0
    assert stage.verdicts.of(K.UNKNOWN) == ids


@staged(window=4)
async def test_a_channel_that_drains_writes_nothing_new_and_hears_the_rest(stage: Stage) -> None:
    stage.carrier.change(answer_delay="1000", report_delay="3000")
    ids = stage.queue(20)
    await stage.until(lambda: len(stage.arrived) == 4)
    stage.change(desired="draining")
    assert sorted(stage.verdicts.of(K.UNSENT)) == ids[4:8]
    await stage.until(lambda: len(stage.verdicts.reports) == 4)
    assert stage.verdicts.of(K.ACCEPTED) == ids[:4]
    assert stage.reached == ids[:4]
    stage.change(desired="started")
    await stage.until(lambda: len(stage.arrived) > 4, within=1.0)


@staged(window=4)
async def test_a_pool_that_is_taken_away_is_not_claimed_from(stage: Stage) -> None:
    stage.channel.pull_from({})
    asked = len(stage.queues.asked)
    stage.queue(3)
    await asyncio.sleep(3.0)
    assert len(stage.queues.asked) == asked
    stage.channel.pull_from({POOL: Membership()})
    await stage.until(lambda: len(stage.arrived) == 3, within=1.0)


# --- other protocols -------------------------------------------------------------------------------------------------


@staged(protocol="sgip12", window=4, profile={"node": 3010012345})
async def test_where_the_id_is_ours_it_is_in_the_journal_first_and_told_when_the_answer_is_lost(stage: Stage) -> None:
    stage.carrier.change(silent=True)
    stage.queue(1)
    await stage.until(lambda: stage.arrived)
    stage.at_carrier(lambda: stage.carrier.disconnect(rst=True))
    await stage.until(lambda: stage.verdicts.said)
    ((_, outcome),) = stage.verdicts.said
    assert outcome.kind is K.UNKNOWN
    assert outcome.carrier_id
