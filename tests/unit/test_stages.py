"""The judgement of sending in steps: how many a stage has, when the next is released, what halts it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from smsgw.core import stages
from smsgw.core.errors import Invalid
from smsgw.core.stages import PATIENCE, SAMPLE, Measured, Stage, Steps, Verdict, steps_of

STEPS = steps_of({"shares": [1, 10], "minutes": 30, "failed": 5, "opted_out": 1, "complained": 0.1})
NOW = datetime(2026, 11, 26, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rows", "ends"),
    [(100_000, [1000, 10_000, 100_000]), (1000, [10, 100, 1000]), (101, [2, 11, 101]), (5, [1, 2, 5]), (1, [1, 1, 1])],
)
def test_every_stage_has_more_than_the_one_before_and_the_last_one_has_all(rows: int, ends: list[int]) -> None:
    assert [STEPS.end(stage, rows) for stage in (1, 2, 3)] == ends


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("shares", []), ("shares", [10, 1]), ("shares", [5, 5]), ("shares", [0.05]), ("shares", [100]),
        ("shares", [1, 2, 3, 4, 5, 6]), ("shares", "1"), ("shares", [True]), ("shares", [float("nan")]),
        ("minutes", 0), ("minutes", 1441), ("minutes", 1.5), ("minutes", None), ("failed", -1), ("failed", 101),
        ("failed", None), ("opted_out", "1"), ("complained", float("inf")),
    ],
)  # fmt: skip
def test_what_cannot_be_a_plan_is_refused_with_its_field(field: str, value: object) -> None:
    with pytest.raises(Invalid) as refused:
        steps_of({**STEPS.plain(), field: value})
    assert refused.value.detail["field"] == f"steps.{field}"


def _judged(stage: Stage, found: Measured, fed: int, after: timedelta | None = None, rows: int = 10_000,
            steps: Steps = STEPS) -> tuple[Verdict, str]:  # fmt: skip
    now = NOW if after is None or stage.since is None else stage.since + after
    return stages.judge(steps, stage, found, rows=rows, fed=fed, aside=False, now=now)


def test_a_stage_is_watched_from_its_last_message_on_and_released_when_its_results_are_good() -> None:
    stage = Stage(1, 0, 100)
    assert _judged(stage, Measured(50, 0, 50), 50) == (Verdict.SENDING, "")
    assert _judged(stage, Measured(100, 3, 90), 100) == (Verdict.SENDING, "")
    assert _judged(stage, Measured(100, 0, 90), 100) == (Verdict.WATCH, "")
    watched = Stage(1, 0, 100, since=NOW)
    assert _judged(watched, Measured(100, 0, 100), 100, timedelta(minutes=29)) == (Verdict.WATCHING, "")
    assert _judged(watched, Measured(100, 0, 79), 100, timedelta(minutes=30)) == (Verdict.WATCHING, "")
    assert _judged(watched, Measured(100, 0, 80, 5, 1), 100, timedelta(minutes=30)) == (Verdict.PASS, "")
    assert _judged(watched, Measured(0), 100, timedelta(minutes=30)) == (Verdict.PASS, "")


def test_beyond_a_limit_it_is_halted_at_once_and_not_by_the_first_that_fails() -> None:
    stage = Stage(1, 0, 100)
    assert _judged(stage, Measured(20, 0, 20, failed=5), 20) == (Verdict.SENDING, "")
    assert _judged(stage, Measured(20, 0, 20, failed=6), 20) == (Verdict.HALT, "failed")
    assert _judged(Stage(1, 0, 100, since=NOW), Measured(100, 0, 90, 5, 2), 100) == (Verdict.HALT, "opted_out")
    assert _judged(stage, Measured(100, 0, 90, complained=1), 100) == (Verdict.HALT, "complained")
    for limit, failed, judged in ((0, 1, (Verdict.HALT, "failed")), (100, 100, (Verdict.WATCH, ""))):
        steps = steps_of({**STEPS.plain(), "failed": limit})
        assert _judged(Stage(1, 0, 100), Measured(100, 0, 100, failed=failed), 100, steps=steps) == judged


def test_the_last_stage_is_watched_by_what_was_sent() -> None:
    last = Stage(3, 0, 10_000)
    assert _judged(last, Measured(2000, 0, 2000, failed=100), 2000) == (Verdict.SENDING, "")
    assert _judged(last, Measured(2000, 0, 2000, failed=101), 2000) == (Verdict.HALT, "failed")
    # Let go on in spite of a halt: the first failure of a few is not a share.
    assert _judged(Stage(3, 2000, 10_000), Measured(3, 0, 3, failed=3), 2003) == (Verdict.SENDING, "")
    few = SAMPLE * 5 // 100 + 1
    assert _judged(Stage(3, 2000, 10_000), Measured(few, 0, few, failed=few), 2010) == (Verdict.HALT, "failed")


def test_where_it_stands_and_what_is_counted() -> None:
    stage = Stage(2, 5, 20, NOW, "failed", ({"stage": 1, "what": "passed"},))
    assert stages.stage_of(stage.plain()) == stage
    assert stages.stage_of(None) is None
    counts = {"delivered": 5, "rejected": 3, "cancelled": 2, "queued": 4, "failed": 1, "no_report": 2}
    assert stages.measured(counts, 1, 0) == Measured(12, 4, 6, 1, 1, 0)
    watched = Stage(2, 0, 1000, since=NOW)
    assert _judged(watched, Measured(1000, 0, 700), 1000, PATIENCE) == (Verdict.HALT, "unknown")
