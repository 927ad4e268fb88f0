"""Policies, kinds of types, opt-out words, schedules, and sending in steps."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from types import MappingProxyType

import pytest

from smsgw.core import optout, policy, routes, settings, stages
from smsgw.core.errors import Invalid
from smsgw.core.frequency import MAX_ENTRIES, History, Watch, scope_of
from smsgw.core.ids import CHINA
from smsgw.core.kinds import CustomKind, known, resolve
from smsgw.core.model import Account, MessageType
from smsgw.core.optout import DEFAULT_WORDS, plain, wants_out
from smsgw.core.policy import PolicySet, Rate, parse
from smsgw.core.routes import InvalidRoutes, Subject
from smsgw.core.schedule import Hours, Recurrence, Window, Windows, written
from smsgw.core.stages import PATIENCE, SAMPLE, Measured, Stage, Steps, Verdict, steps_of
from smsgw.core.templates import Form, Misfit, Template, Variable, variables_of
from smsgw.platform.campaigns.model import recurrence_of, windows_of


def test_forms_of_policies_and_hours() -> None:
    for name, text, shown in (
        ("frequency", "10/d, 1/1m 5/h", "1/1m 5/1h 10/1d"), ("frequency", "off", "off"),
        ("hours", "22:00-06:00", "22:00-06:00"), ("hours", "off", "off"),
        ("hours", "1-5 09:00-11:30  14:00-17:00;sat 09:00-24:00", "mon-fri 09:00-11:30 14:00-17:00; sat 09:00-24:00"),
        ("optout", "append", "append"), ("identical_seconds", "off", "0"), ("templates_only", "on", "true"),
        ("review", "untemplated", "untemplated"),
    ):  # fmt: skip
        value = policy.parse(name, text)
        assert policy.shown(value) == shown
        assert policy.parse(name, policy.shown(value)) == value
    for hours, at, opens in (  # hours
        ("08:00-21:00", "08:00", None), ("08:00-21:00", "20:59", None), ("08:00-21:00", "21:00", "02 08:00"),
        ("08:00-21:00", "07:59", "01 08:00"), ("22:00-06:00", "05:59", None), ("22:00-06:00", "06:00", "01 22:00"),
        ("off", "00:00", None), ("mon-fri 09:00-11:30 14:00-17:00", "11:30", "01 14:00"),
        ("mon-fri 09:00-11:30 14:00-17:00", "17:00", "04 09:00"),
    ):  # fmt: skip
        when = datetime.fromisoformat(f"2026-05-01T{at}:00+08:00").astimezone()
        found = policy.parse("hours", hours).opens(when)
        assert (f"{found.astimezone(CHINA):%d %H:%M}" if found else None) == opens
    for text, says in (  # opt out wording
        ("大促,拒收请回复R", True), ("大促 退订回T", True), ("回复TD退订。", True), ("(退订回复 ＴＤ)", True),
        ("Sale. Reply STOP to unsubscribe", True), ("大促", False), ("拒收请回复R,谢谢", False), ("拒收请回复Z", False),
    ):  # fmt: skip
        pattern = policy.optout_pattern(optout.DEFAULT_WORDS)
        assert (pattern.search(optout.plain(text)) is not None) is says


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
        (0, ""): {"identical_seconds": 1}, (0, "otp"): {"identical_seconds": 2}, (1, ""): {"identical_seconds": 3},
        (2, "notice"): {"identical_seconds": 4}, (3, "marketing"): {"identical_seconds": 5},
    }  # fmt: skip
    found = {kind: PolicySet(known).limits(child, kind).identical_seconds for kind in MessageType}
    assert found == {"otp": 3, "notice": 4, "marketing": 5}
    stranger = Account(9, "x", "active")
    assert PolicySet(known).limits(stranger, MessageType.OTP).identical_seconds == 2
    assert PolicySet().limits(stranger, MessageType.MARKETING).hours == written("08:00-21:00")


NOTICE = scope_of(1, MessageType.NOTICE)


def watch(at: int, *rates: Rate, text: int = 1, scope: int = NOTICE, identical: int = 0) -> Watch:
    return Watch(0, 1, at, scope, text, rates, identical, 0)


def test_any_window_counts_of_each_type_apart_and_to_an_end() -> None:
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
    # What was sent of one type counts neither for the limits of another, nor for its ceiling.
    for sent in MessageType:  # every type is counted apart
        own, others = History(), History()
        own.add(watch(0, Rate(1, 100), scope=scope_of(1, sent)), 0)
        for account in range(2, 5):
            others.add(watch(0, Rate(1, 100), scope=scope_of(account, sent)), 0)
        for kind in MessageType:
            scope = scope_of(1, kind)
            assert bool(own.judge(watch(1, Rate(1, 100), scope=scope))) is (kind is sent), (sent, kind)
            crowded = others.judge(Watch(0, 1, 1, scope, 2, (), 0, 0, (Rate(3, 100),)))
            assert bool(crowded) is (kind is sent), (sent, kind)
    history = History()  # a ceiling counts what others send near that time
    for account in range(2, 5):
        history.add(watch(account, Rate(1, 1000), scope=scope_of(account, MessageType.NOTICE)), 0)

    def crowded(at: int, account: int = 1) -> bool:
        scope = scope_of(account, MessageType.NOTICE)
        return history.judge(Watch(0, 1, at, scope, 2, (), 0, 0, (Rate(3, 100),))) is not None

    assert [crowded(at) for at in (-96, -95, 3, 101, 102)] == [False, True, True, True, False]
    assert not crowded(3, account=2), "its own does not count"
    history = History()  # a history has an end
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


BILL = CustomKind("bill", "账单", MessageType.NOTICE)
ACCOUNT = Account(3, "a", "active", above=(2, 1))
KINDS = MappingProxyType({"bill": BILL, "old": CustomKind("old", "旧", MessageType.OTP, retired=True)})


def test_a_kind_has_what_its_type_has_and_its_own_over_it() -> None:
    assert resolve(KINDS, "otp") == (MessageType.OTP, None)
    assert resolve(KINDS, "bill") == (MessageType.NOTICE, BILL)
    assert known(KINDS) == ["otp", "notice", "marketing", "bill"]
    for name in ("old", "none", ""):
        with pytest.raises(Invalid):
            resolve(KINDS, name)
    policies = PolicySet({
        (0, "notice"): {"frequency": parse("frequency", "5/1d"), "identical_seconds": 7},
        (0, "bill"): {"identical_seconds": 9},
        (ACCOUNT.id, ""): {"drop_empty": True},
        (ACCOUNT.id, "bill"): {"frequency": parse("frequency", "2/1d")},
    })  # fmt: skip
    plain, own = (policies.limits(ACCOUNT, MessageType.NOTICE, name) for name in ("", "bill"))
    assert (plain.frequency, plain.identical_seconds, plain.counted_as) == ((Rate(5, 86_400),), 7, "")
    assert (own.frequency, own.identical_seconds, own.counted_as) == ((Rate(2, 86_400),), 9, "bill")
    assert own.drop_empty
    other = policies.limits(ACCOUNT, MessageType.NOTICE, "news")
    assert (other.frequency, other.counted_as) == ((Rate(5, 86_400),), "")
    policies = PolicySet({  # what an account says of the type counts a kind with it again
        (0, "bill"): {"frequency": parse("frequency", "2/1d")},
        (ACCOUNT.id, "notice"): {"frequency": parse("frequency", "1/1d")},
    })  # fmt: skip
    found = policies.limits(ACCOUNT, MessageType.NOTICE, "bill")
    assert (found.frequency, found.counted_as) == ((Rate(1, 86_400),), "")


def _subject(kind: str) -> Subject:
    return Subject("a", MessageType.NOTICE, "8613800138000", "CMCC", "", "", "", time(12), kind)


def test_rules_of_a_kind_and_of_its_type() -> None:
    document = {
        "pool": [{"name": "bills", "channels": ["c"]}, {"name": "notices", "channels": ["c"]}],
        "rule": [
            {"name": "bills", "type": ["bill"], "pool": "bills"},
            {"name": "notices", "type": ["notice"], "pool": "notices"},
        ],
    }
    table = routes.parse(document, version=1, channels=["c"], kinds=["bill"])
    assert [table.pool_for(_subject(kind)) for kind in ("bill", "news", "")] == ["bills", "notices", "notices"]
    assert table.open_to("a", "notice") == ("notices",)
    assert table.open_to("a", "notice", "bill") == ("bills", "notices")
    assert routes.parse(document, version=1, channels=["c"], kinds=None).rules == table.rules  # as nodes load it
    with pytest.raises(InvalidRoutes, match="type bill is none of otp, notice, marketing"):
        routes.parse(document, version=1, channels=["c"])


def test_words_are_kept_in_plain_form_and_take_effect() -> None:
    for text in (
        "R", "r", " R ", "Ｒ", "ｒ。", "TD", "t d", "Ｔ　Ｄ", "“R”", "退订", "退 订", "退订!", "拒收。",
        "退订,别再发了", "TD 谢谢", "Stop", "STOP please",
    ):  # fmt: skip
        assert wants_out(text, DEFAULT_WORDS)
    words = settings.with_changes({"optout_words": ["Ｎ", "不要 了", "n"]}).optout_words
    assert words == ("n", "不要了")
    assert wants_out("不要了!", words)
    assert not wants_out("退订", words)
    assert plain(" Ｔ-Ｄ １。\u200b") == "td1"  # plain leaves letters and digits
    for name, value in (  # impossible settings
        ("optout_words", []), ("optout_words", ["。"]), ("optout_words", [1]), ("optout_words", ["x" * 21]),
        ("complaint_days", 0), ("complaint_days", "30"), ("complaint_days", True), ("nothing", 1),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=name):
            settings.parse(name, value)
        assert settings.with_changes({name: value}) == settings.Settings()


@pytest.mark.parametrize(
    "text", ["", " ", "。", "T恤多少钱", "T 恤多少钱", "R 是什么", "好的", "不退订", "怎么退订", "12345", "RR", "😀"]
)
def test_people_who_say_something_else(text: str) -> None:
    assert not wants_out(text, DEFAULT_WORDS)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=CHINA)


OFFICE = Windows((Window(time(9), time(12)), Window(time(14), time(18))))
NIGHT = Windows((Window(time(22), time(6), frozenset({5})),))  # begins on Fridays


def test_windows() -> None:
    for windows, now, until, opens in (
        (OFFICE, "2026-05-01 09:00", "2026-05-01 12:00", "2026-05-01 09:00"),
        (OFFICE, "2026-05-01 12:00", None, "2026-05-01 14:00"),
        (OFFICE, "2026-05-01 18:00", None, "2026-05-02 09:00"),
        (NIGHT, "2026-05-02 05:59:59", "2026-05-02 06:00", "2026-05-02 05:59:59"),  # a Saturday
        (NIGHT, "2026-05-02 22:30", None, "2026-05-08 22:00"),
        (Windows((Window(time(8), time(12)), Window(time(12), time(0)))), "2026-05-01 09:00", "2026-05-02 00:00",
         "2026-05-01 09:00"),
    ):  # fmt: skip
        for zone in (CHINA, UTC):
            moment = at(now).astimezone(zone)
            assert windows.open_until(moment) == (at(until) if until else None)
            assert windows.next_open(moment) == at(opens)
    now = at("2026-05-01 03:00")  # no windows are always open
    assert Windows().next_open(now) == now
    until = Windows().open_until(now)
    assert until is not None
    assert until > now
    text = "mon-fri 09:00-11:30 14:00-17:00; sat-sun 22:00-06:00; 20:00-24:00"
    spans = written(text)
    assert str(spans) == text
    assert written(str(spans)) == spans
    assert windows_of(spans.plain) == spans
    assert spans.plain[3] == {"from": "20:00", "to": "24:00"}
    assert written("off") == written(" ") == Windows()
    assert str(written("2,1 09:00-10:00; 1-3,5,7 09:00-10:00")) == "mon-tue 09:00-10:00; mon-wed,fri,sun 09:00-10:00"
    windows = windows_of([{"from": "18:00", "to": "24:00"}])  # 24 00 is the end of the day
    assert windows.open_until(at("2026-05-01 23:59:59")) == at("2026-05-02 00:00")


def test_what_is_sent_rests_while_its_hours_are_closed() -> None:
    for minutes, begins, ends in (
        (60, "2026-05-01 09:00", "2026-05-01 10:00"),
        (150, "2026-05-01 09:00", "2026-05-01 11:30"),
        (151, "2026-05-01 09:00", "2026-05-01 14:01"),
        (60, "2026-05-01 12:00", "2026-05-01 15:00"),
        (400, "2026-05-01 09:00", "2026-05-04 10:10"),  # from a Friday over the weekend
        (0, "2026-05-02 03:00", "2026-05-04 09:00"),
    ):
        hours = Hours((written("mon-fri 09:00-11:30 14:00-17:00"), Windows()))
        assert hours.after(at(begins), timedelta(minutes=minutes)) == at(ends)
        assert Hours((written("09:00-10:00"), written("11:00-12:00"))).after(at(begins), timedelta(0)) is None
    hours = Hours((OFFICE, Windows((Window(time(11), time(15)),))))  # hours are open when all are
    assert hours.open_until(at("2026-05-01 11:30")) == at("2026-05-01 12:00")
    assert hours.open_until(at("2026-05-01 10:00")) is None
    assert hours.next_open(at("2026-05-01 12:00")) == at("2026-05-01 14:00")
    assert hours.next_open(at("2026-05-01 15:00")) == at("2026-05-02 11:00")
    never = Hours((Windows((Window(time(9), time(10)),)), Windows((Window(time(11), time(12)),))))
    assert never.next_open(at("2026-05-01 09:00")) is None


def test_what_comes_round() -> None:
    for rule, now, following in (
        ({"every": "day", "at": ["09:00", "21:30:15"]}, "2026-05-01 09:00", "2026-05-01 21:30:15"),
        ({"every": "day", "at": "09:00"}, "2026-05-01 09:00", "2026-05-02 09:00"),
        ({"every": "week", "at": ["09:00"], "on": [1]}, "2026-05-01 10:00", "2026-05-04 09:00"),
        ({"every": "month", "at": ["09:00"], "on": [31]}, "2026-02-01 00:00", "2026-03-31 09:00"),
        ({"every": "month", "at": ["09:00"], "on": [-1]}, "2028-02-01 00:00", "2028-02-29 09:00"),
        ({"every": "day", "at": ["09:00"], "until": "2026-05-02T08:59:59+08:00"}, "2026-05-01 09:00", None),
    ):
        assert recurrence_of(rule).after(at(now)) == (at(following) if following else None)
    rule = Recurrence("month", (time(8),), frozenset({29}))  # 29 february comes within four years
    assert rule.after(at("2026-02-01 00:00")) == at("2026-03-29 08:00")
    rule = recurrence_of({"every": "day", "at": ["09:00"]})  # the latest of those that passed
    since = at("2026-05-01 09:00") - timedelta(microseconds=1)
    assert rule.latest(since, at("2026-05-01 09:00")) == (at("2026-05-01 09:00"), 0)
    assert rule.latest(since, at("2026-05-04 08:00")) == (at("2026-05-03 09:00"), 2)
    assert rule.latest(at("2026-05-01 09:00"), at("2026-05-01 10:00")) == (None, 0)


def test_what_is_wrong_is_named_by_its_field() -> None:
    for field, given in (
        ("recurring.every", {"every": "hour", "at": ["09:00"]}), ("recurring.at", {"every": "day", "at": []}),
        ("recurring.at[0]", {"every": "day", "at": ["9:00"]}), ("recurring.at[0]", {"every": "day", "at": ["24:30"]}),
        ("recurring.on", {"every": "day", "at": ["09:00"], "on": [1]}),
        ("recurring.on", {"every": "week", "at": ["09:00"]}),
        ("recurring.on", {"every": "week", "at": ["09:00"], "on": [0]}),
        ("recurring.on", {"every": "month", "at": ["09:00"], "on": [32]}), ("window[0].from", {"to": "10:00"}),
        ("window[0].to", {"from": "09:00", "to": "25:00"}), ("window[0]", {"from": "09:00", "to": "09:00"}),
        ("window[0].days", {"from": "09:00", "to": "10:00", "days": [8]}),
    ):  # fmt: skip
        with pytest.raises(Invalid) as caught:
            recurrence_of(given) if field.startswith("recurring") else windows_of([given])
        assert caught.value.detail["field"] == field


STEPS = steps_of({"shares": [1, 10], "minutes": 30, "failed": 5, "opted_out": 1, "complained": 0.1})
NOW = datetime(2026, 11, 26, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rows", "ends"),
    [(100_000, [1000, 10_000, 100_000]), (1000, [10, 100, 1000]), (101, [2, 11, 101]), (5, [1, 2, 5]), (1, [1, 1, 1])],
)
def test_every_stage_has_more_than_the_one_before_and_the_last_one_has_all(rows: int, ends: list[int]) -> None:
    assert [STEPS.end(stage, rows) for stage in (1, 2, 3)] == ends


def test_what_cannot_be_a_plan_is_refused_with_its_field() -> None:
    for field, value in (
        ("shares", []), ("shares", [10, 1]), ("shares", [5, 5]), ("shares", [0.05]), ("shares", [100]),
        ("shares", [1, 2, 3, 4, 5, 6]), ("shares", "1"), ("shares", [True]), ("shares", [float("nan")]),
        ("minutes", 0), ("minutes", 1441), ("minutes", 1.5), ("minutes", None), ("failed", -1), ("failed", 101),
        ("failed", None), ("opted_out", "1"), ("complained", float("inf")),
    ):  # fmt: skip
        with pytest.raises(Invalid) as refused:
            steps_of({**STEPS.plain(), field: value})
        assert refused.value.detail["field"] == f"steps.{field}"


def _judged(
    stage: Stage, found: Measured, fed: int, after: timedelta | None = None, rows: int = 10_000, steps: Steps = STEPS
) -> tuple[Verdict, str]:
    now = NOW if after is None or stage.since is None else stage.since + after
    return stages.judge(steps, stage, found, rows=rows, fed=fed, aside=False, now=now)


def test_results_release_or_halt_a_stage() -> None:
    stage = Stage(1, 0, 100)
    assert _judged(stage, Measured(50, 0, 50), 50) == (Verdict.SENDING, "")
    assert _judged(stage, Measured(100, 3, 90), 100) == (Verdict.SENDING, "")
    assert _judged(stage, Measured(100, 0, 90), 100) == (Verdict.WATCH, "")
    watched = Stage(1, 0, 100, since=NOW)
    assert _judged(watched, Measured(100, 0, 100), 100, timedelta(minutes=29)) == (Verdict.WATCHING, "")
    assert _judged(watched, Measured(100, 0, 79), 100, timedelta(minutes=30)) == (Verdict.WATCHING, "")
    assert _judged(watched, Measured(100, 0, 80, 5, 1), 100, timedelta(minutes=30)) == (Verdict.PASS, "")
    assert _judged(watched, Measured(0), 100, timedelta(minutes=30)) == (Verdict.PASS, "")
    stage = Stage(1, 0, 100)  # beyond a limit it is halted at once and not by the first that fails
    assert _judged(stage, Measured(20, 0, 20, failed=5), 20) == (Verdict.SENDING, "")
    assert _judged(stage, Measured(20, 0, 20, failed=6), 20) == (Verdict.HALT, "failed")
    assert _judged(Stage(1, 0, 100, since=NOW), Measured(100, 0, 90, 5, 2), 100) == (Verdict.HALT, "opted_out")
    assert _judged(stage, Measured(100, 0, 90, complained=1), 100) == (Verdict.HALT, "complained")
    for limit, failed, judged in ((0, 1, (Verdict.HALT, "failed")), (100, 100, (Verdict.WATCH, ""))):
        steps = steps_of({**STEPS.plain(), "failed": limit})
        assert _judged(Stage(1, 0, 100), Measured(100, 0, 100, failed=failed), 100, steps=steps) == judged
    last = Stage(3, 0, 10_000)  # the last stage is watched by what was sent
    assert _judged(last, Measured(2000, 0, 2000, failed=100), 2000) == (Verdict.SENDING, "")
    assert _judged(last, Measured(2000, 0, 2000, failed=101), 2000) == (Verdict.HALT, "failed")
    # Let go on in spite of a halt: the first failure of a few is not a share.
    assert _judged(Stage(3, 2000, 10_000), Measured(3, 0, 3, failed=3), 2003) == (Verdict.SENDING, "")
    few = SAMPLE * 5 // 100 + 1
    assert _judged(Stage(3, 2000, 10_000), Measured(few, 0, few, failed=few), 2010) == (Verdict.HALT, "failed")
    stage = Stage(2, 5, 20, NOW, "failed", ({"stage": 1, "what": "passed"},))  # where it stands and what is counted
    assert stages.stage_of(stage.plain()) == stage
    assert stages.stage_of(None) is None
    counts = {"delivered": 5, "rejected": 3, "cancelled": 2, "queued": 4, "failed": 1, "no_report": 2}
    assert stages.measured(counts, 1, 0) == Measured(12, 4, 6, 1, 1, 0)
    watched = Stage(2, 0, 1000, since=NOW)
    assert _judged(watched, Measured(1000, 0, 700), 1000, PATIENCE) == (Verdict.HALT, "unknown")
