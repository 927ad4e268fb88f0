"""Policies: their forms, which value counts, hours, frequency and templates."""

from __future__ import annotations

from datetime import datetime

import pytest

from smsgw.core import optout, policy
from smsgw.core.frequency import MAX_ENTRIES, History, Watch, scope_of
from smsgw.core.ids import CHINA
from smsgw.core.model import Account, MessageType
from smsgw.core.policy import PolicySet, Rate
from smsgw.core.schedule import written
from smsgw.core.templates import Form, Misfit, Template, Variable, variables_of


@pytest.mark.parametrize(
    ("name", "text", "shown"),
    [
        ("frequency", "10/d, 1/1m 5/h", "1/1m 5/1h 10/1d"), ("frequency", "off", "off"),
        ("hours", "22:00-06:00", "22:00-06:00"), ("hours", "off", "off"),
        ("hours", "1-5 09:00-11:30  14:00-17:00;sat 09:00-24:00", "mon-fri 09:00-11:30 14:00-17:00; sat 09:00-24:00"),
        ("optout", "append", "append"), ("identical_seconds", "off", "0"), ("templates_only", "on", "true"),
        ("review", "untemplated", "untemplated"),
    ],
)  # fmt: skip
def test_forms(name: str, text: str, shown: str) -> None:
    value = policy.parse(name, text)
    assert policy.shown(value) == shown
    assert policy.parse(name, policy.shown(value)) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [("frequency", "1/"), ("frequency", "0/1m"), ("hours", "8-21"), ("hours", "09:00-09:00"), ("hours", "08:00-24:01"),
     ("hours", "mon-fri"), ("hours", "fri-mon 09:00-10:00"), ("hours", "; 09:00-10:00"),
     ("hours", " ".join(f"{h:02}:00-{h:02}:30" for h in range(8))),
     ("optout", "maybe"), ("identical_seconds", "-1"), ("identical_seconds", "²"),
     ("identical_seconds", "9" * 5000), ("nothing", "1"), ("frequency", "")],
)  # fmt: skip
def test_what_cannot_be(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        policy.parse(name, text)


def test_the_most_particular_value_counts() -> None:
    child = Account(3, "child", "active", above=(2, 1))
    known = {
        (0, ""): {"identical_seconds": 1},
        (0, "otp"): {"identical_seconds": 2},
        (1, ""): {"identical_seconds": 3},
        (2, "notice"): {"identical_seconds": 4},
        (3, "marketing"): {"identical_seconds": 5},
    }
    found = {kind: PolicySet(known).limits(child, kind).identical_seconds for kind in MessageType}
    assert found == {"otp": 3, "notice": 4, "marketing": 5}
    stranger = Account(9, "x", "active")
    assert PolicySet(known).limits(stranger, MessageType.OTP).identical_seconds == 2
    assert PolicySet().limits(stranger, MessageType.MARKETING).hours == written("08:00-21:00")


@pytest.mark.parametrize(
    ("hours", "at", "opens"),
    [
        ("08:00-21:00", "08:00", None), ("08:00-21:00", "20:59", None), ("08:00-21:00", "21:00", "02 08:00"),
        ("08:00-21:00", "07:59", "01 08:00"), ("22:00-06:00", "05:59", None), ("22:00-06:00", "06:00", "01 22:00"),
        ("off", "00:00", None), ("mon-fri 09:00-11:30 14:00-17:00", "11:30", "01 14:00"),
        ("mon-fri 09:00-11:30 14:00-17:00", "17:00", "04 09:00"),
    ],
)  # fmt: skip
def test_hours(hours: str, at: str, opens: str | None) -> None:
    when = datetime.fromisoformat(f"2026-05-01T{at}:00+08:00").astimezone()
    found = policy.parse("hours", hours).opens(when)
    assert (f"{found.astimezone(CHINA):%d %H:%M}" if found else None) == opens


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("大促,拒收请回复R", True), ("大促 退订回T", True), ("回复TD退订。", True), ("(退订回复 ＴＤ)", True),
        ("Sale. Reply STOP to unsubscribe", True), ("大促", False), ("拒收请回复R,谢谢", False), ("拒收请回复Z", False),
    ],
)  # fmt: skip
def test_opt_out_wording(text: str, says: bool) -> None:
    pattern = policy.optout_pattern(optout.DEFAULT_WORDS)
    assert (pattern.search(optout.plain(text)) is not None) is says


NOTICE = scope_of(1, MessageType.NOTICE)


def watch(at: int, *rates: Rate, text: int = 1, scope: int = NOTICE, identical: int = 0) -> Watch:
    return Watch(0, 1, at, scope, text, rates, identical, 0)


def test_any_window_of_the_length_counts() -> None:
    history = History()
    two = Rate(2, 100)
    for at in (0, 60):
        assert history.judge(watch(at, two)) is None
        history.add(watch(at, two), at)
    assert history.judge(watch(99, two))
    assert history.judge(watch(99, two, scope=2)) is None
    assert history.judge(watch(100, two)) is None
    assert History(history.stored()).judge(watch(99, two))
    assert history.until == 160
    # What is planned counts at its time.
    assert history.judge(watch(-1000, two)) is None


def test_every_type_is_counted_apart() -> None:
    """What was sent of one type counts neither for the limits of another, nor for its ceiling."""
    for sent in MessageType:
        own, others = History(), History()
        own.add(watch(0, Rate(1, 100), scope=scope_of(1, sent)), 0)
        for account in range(2, 5):
            others.add(watch(0, Rate(1, 100), scope=scope_of(account, sent)), 0)
        for kind in MessageType:
            scope = scope_of(1, kind)
            assert bool(own.judge(watch(1, Rate(1, 100), scope=scope))) is (kind is sent), (sent, kind)
            crowded = others.judge(Watch(0, 1, 1, scope, 2, (), 0, 0, (Rate(3, 100),)))
            assert bool(crowded) is (kind is sent), (sent, kind)


def test_a_ceiling_counts_what_others_send_near_that_time() -> None:
    history = History()
    for account in range(2, 5):
        history.add(watch(account, Rate(1, 1000), scope=scope_of(account, MessageType.NOTICE)), 0)

    def crowded(at: int, account: int = 1) -> bool:
        scope = scope_of(account, MessageType.NOTICE)
        return history.judge(Watch(0, 1, at, scope, 2, (), 0, 0, (Rate(3, 100),))) is not None

    assert [crowded(at) for at in (-96, -95, 3, 101, 102)] == [False, True, True, True, False]
    assert not crowded(3, account=2), "its own does not count"


def test_a_history_has_an_end() -> None:
    history = History()
    for at in range(MAX_ENTRIES + 50):
        history.add(watch(at, Rate(1000, 86_400)), at)
    assert len(history.stored()) == 16 * MAX_ENTRIES
    history.add(watch(200_000, Rate(1, 60)), 200_000)
    assert len(history.stored()) == 16


def test_templates() -> None:
    variables = variables_of("{a}与{b},{a}", {"b": Variable(Form.DIGITS, 2)})
    template = Template(1, 1, "notice", "{a}与{b},{a}", variables)
    assert template.fill({"a": "甲", "b": "12"}) == "甲与12,甲"
    assert template.made("甲与12,甲")
    assert not template.made("甲与12,乙")
    assert not template.made("甲与123,甲")
    for params in ({"a": "甲"}, {"a": "甲", "b": "x"}, {"a": "甲", "b": "1", "c": ""}, {"a": "", "b": "1"}):
        with pytest.raises(Misfit):
            template.fill(params)
    assert template.fill({"a": "{b}", "b": "1"}) == "{b}与1,{b}"
