"""What lists and rules say of one number, judged without a database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from smsgw.core.actor import ActorLabel
from smsgw.core.frequency import History, Watch, scope_of, seconds_of
from smsgw.core.model import Account, MessageType
from smsgw.core.policy import PolicySet, Rate, parse
from smsgw.core.settings import Settings
from smsgw.platform.lists.consents import Consent
from smsgw.platform.lists.model import AllowEntry, BlockEntry
from smsgw.platform.lists.why import Facts, Lift, Question, Refusal, Standing, Verdict, judge
from smsgw.platform.numbers.model import KnownNumber
from smsgw.store.messages.complaints import Rate as Complained

NUMBER = "8613800138000"
NOW = datetime(2026, 3, 2, 22, 30, tzinfo=UTC).replace(hour=14)  # 22:30 in China
WHO = ActorLabel("li")
ACCOUNT = Account(7, "hall", "active", default_sign="测试")
MARKETING = (MessageType.MARKETING,)


def told(
    facts: Facts, question: Question | None = None, policies: PolicySet | None = None,
    rates: Sequence[Complained] = (),
) -> dict[str, Verdict]:  # fmt: skip
    found = judge(facts, question or Question(), policies or PolicySet(), Settings(), rates, NOW)
    standings = [one.standing for one in found]
    assert standings == sorted(standings, key=list(Standing).index), "the gravest first"
    return {one.said: one for one in found}


def entry(**given: object) -> BlockEntry:
    whole = BlockEntry(NUMBER, None, "", "", "manual", "投诉", WHO, NOW, None, 5)
    return replace(whole, **given)  # type: ignore[arg-type]


def test_nothing_speaks_of_a_number() -> None:
    found = told(Facts(NUMBER), Question(ACCOUNT, (MessageType.OTP,)))
    assert {one.standing for one in found.values()} == {Standing.CLEAR}
    assert {one.rule for one in found.values()} == {
        "block", "opt_out", "only", "state", "frequency", "policy", "consent", "complaint", "review", "carrier"
    }  # fmt: skip


def test_entries_of_the_lists_say_whose_they_are_and_what_lifts_them() -> None:
    found = told(Facts(NUMBER, [entry()]))["block.entry"]
    assert (found.standing, found.lift, found.ref) == (Standing.BLOCKS, Lift.ENTRY, "5")
    narrow = entry(account="hall", account_id=7, type="marketing", source="opt_out")
    assert told(Facts(NUMBER, [narrow]))["opt_out.entry"].standing is Standing.LIMITS
    otp = Question(ACCOUNT, (MessageType.OTP,))
    assert told(Facts(NUMBER, [narrow]), otp)["opt_out.entry"].standing is Standing.NOTES, "not of these messages"
    above = told(Facts(NUMBER, above=["complaint", "opt_out"]))
    assert (above["block.above"].lift, above["opt_out.above"].standing) == (Lift.ABOVE, Standing.BLOCKS)


def test_an_account_with_a_list_of_its_own_sends_to_no_other() -> None:
    policies, question = PolicySet(restricted=frozenset({7})), Question(ACCOUNT)
    missing = told(Facts(NUMBER), question, policies)["only.missing"]
    assert (missing.standing, missing.lift) == (Standing.BLOCKS, Lift.ONLY)
    listed = AllowEntry(NUMBER, 7, "only", "", WHO, NOW, "hall", 1)
    assert "only.missing" not in told(Facts(NUMBER, allowed=[listed]), question, policies)


def test_an_empty_number_is_kept_back_where_that_is_the_policy() -> None:
    facts = Facts(NUMBER, known=KnownNumber(NUMBER, "empty", "report", "MK:0001", NOW))
    assert told(facts, Question(ACCOUNT))["state.known"].standing is Standing.NOTES
    policies = PolicySet({(7, ""): {"drop_empty": parse("drop_empty", "on")}})
    assert told(facts, Question(ACCOUNT), policies)["state.dropped"].lift is Lift.FORGET


def test_a_full_measure_of_messages_limits_until_the_number_is_exempt() -> None:
    history, at = History(), seconds_of(NOW) - 3600
    history.add(Watch(0, int(NUMBER), at, scope_of(7, MessageType.MARKETING), 1, (Rate(1, 86_400),), 0, 0), at)
    facts, question = Facts(NUMBER, history=history.stored()), Question(ACCOUNT, MARKETING)
    reached = told(facts, question)["frequency.reached"]
    assert (reached.standing, reached.lift) == (Standing.LIMITS, Lift.EXEMPT)
    exempt = AllowEntry(NUMBER, 0, "exempt", "", WHO, NOW, None, 1)
    assert "frequency.exempt" in told(replace(facts, allowed=[exempt]), question)
    assert "frequency.account" in told(facts), "limits are an account's"


def test_a_test_phone_of_another_account_is_none_of_this_one() -> None:
    policies = PolicySet({(7, "marketing"): {"hours": parse("hours", "08:00-21:00")}})
    for account_id, said in ((9, "policy.hours"), (7, "policy.clear"), (0, "policy.clear")):
        listed = AllowEntry(NUMBER, account_id, "test", "", WHO, NOW, None, 1)
        assert said in told(Facts(NUMBER, allowed=[listed]), Question(ACCOUNT, MARKETING), policies)


def test_where_consent_is_asked_for_a_number_without_it_is_not_free() -> None:
    policies = PolicySet({(7, "marketing"): {"consent": "marketing"}})
    below = Question(replace(ACCOUNT, above=(3,)), MARKETING)
    none = told(Facts(NUMBER), below, policies)["consent.none"]
    assert (none.standing, none.lift) == (Standing.BLOCKS, Lift.CONSENT)
    assert told(Facts(NUMBER), Question(ACCOUNT), policies)["consent.none"].standing is Standing.LIMITS, "OTPs go"
    given = Consent(1, 7, "hall", NUMBER, "web", "", "7", NOW, WHO, NOW, None, WHO, "", False)
    assert told(Facts(NUMBER, consents=[given], consented={7: True}), below, policies)["consent.given"]
    assert told(Facts(NUMBER, consented={3: True}), below, policies)["consent.above"]
    gone = replace(given, withdrawn_at=NOW)
    withdrawn = told(Facts(NUMBER, consents=[gone], consented={7: False, 3: True}), below, policies)
    assert withdrawn["consent.withdrawn"].values["at"] == NOW
    assert "consent.account" in told(Facts(NUMBER))
    assert "consent.clear" in told(Facts(NUMBER), below, PolicySet({(0, ""): {"consent": "off"}}))


def test_hours_reviews_and_complaints() -> None:
    fields = {"hours": parse("hours", "08:00-21:00"), "review": parse("review", "all")}
    policies = PolicySet({(7, "marketing"): fields})
    rates = [Complained(None, "测试", 50, 1000)]
    facts = Facts(NUMBER, held=3, complaints=1, complained_at=NOW)
    found = told(facts, Question(ACCOUNT, MARKETING), policies, rates)
    assert found["policy.hours"].values["at"] == datetime(2026, 3, 3, 0, 0, tzinfo=UTC)
    assert found["policy.review_all"].standing is Standing.NOTES
    assert found["complaint.ceiling"].standing is Standing.LIMITS
    assert found["complaint.some"].values["n"] == 1
    assert (found["review.held"].values["n"], found["review.held"].lift) == (3, Lift.REVIEW)


def test_what_a_carrier_blocks_the_carrier_is_asked_about() -> None:
    blocked = Refusal(NOW, "BLACKLIST_CARRIER", "MB:1077", "移动", "CMCC")
    older = replace(blocked, at=NOW - timedelta(days=1), cls="POWERED_OFF", code="MK:0005")
    found = told(Facts(NUMBER, refusals=[blocked, older]))
    assert (found["carrier.blocks"].lift, found["carrier.blocks"].ref) == (Lift.CARRIER, "CMCC")
    assert found["carrier.failed"].values["code"] == "MK:0005"
