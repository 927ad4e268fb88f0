"""Which outages of a bench count: those that no fault explains which was asked for."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from smsgw.bench.outages import SETTLES, Intended, of_answers, of_daemon, of_end, outages
from smsgw.store.engine.server_log import crashes

BEGAN = datetime(2026, 12, 1, 10, tzinfo=UTC)
KILLED = Intended(BEGAN + timedelta(seconds=10), BEGAN + timedelta(seconds=12))


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def test_outages_have_their_time_and_cause() -> None:
    (one,) = outages([(at(3.25), "database", "it was terminated by signal 11")], BEGAN, at(1))
    assert str(one) == (
        "outage of the database at 2026-12-01 18:00:03.250000 +0800 (2.2 s after the first post): "
        "it was terminated by signal 11"
    )
    assert "first post" not in str(outages([(at(3), "daemon", "x")], BEGAN, None)[0])
    assert not outages([(at(-1), "database", "x")], BEGAN, None)
    assert of_end(at(1), -11)[2] == "the process ended, terminated by signal 11: Segmentation fault"
    assert of_end(at(1), 3)[2] == "the process ended, exit status 3"
    (event,) = of_answers([at(2).timestamp()])
    assert event == (at(2), "database", "a call was answered STORAGE_UNAVAILABLE")


def test_a_fault_that_was_asked_for_explains_what_it_does_and_nothing_else() -> None:
    def counted(seconds: float, cause: str) -> bool:
        return bool(outages([(at(seconds), "database", cause)], BEGAN, None, [KILLED]))

    assert not counted(10.5, "database system was interrupted")
    assert not counted(10.5, "server process (PID 7) was terminated by signal 9: Killed")
    assert not counted(12 + SETTLES.total_seconds(), "spool.begun")
    assert counted(10.5, "server process (PID 7) was terminated by signal 11: Segmentation fault")
    assert counted(9.9, "database system was interrupted")
    assert counted(12.1 + SETTLES.total_seconds(), "database system was interrupted")


def test_the_daemons_log_tells_of_outages() -> None:
    lines = [
        json.dumps({"event": event, "level": "error", "timestamp": f"2026-12-01T10:00:0{n}.5Z", "worker": "2"})
        for n, event in enumerate(("worker.died", "postgres.died", "link.closed", "spool.begun"))
    ]
    found = of_daemon([*lines, "Traceback", '{"event": "worker.died"}', "7"])
    assert [(what, cause) for _, what, cause in found] == [
        ("daemon", "worker.died worker=2"), ("database", "postgres.died worker=2"),
        ("database", "spool.begun worker=2"),
    ]  # fmt: skip
    assert found[0][0] == at(0.5)


STARTED = [
    "2026-12-01 10:00:00.001 UTC [10] LOG:  starting PostgreSQL 18.4 on x86_64-pc-linux-gnu",
    "2026-12-01 10:00:00.100 UTC [10] LOG:  database system is ready to accept connections",
]
BACKEND = [
    "2026-12-01 10:00:05.250 UTC [10] LOG:  server process (PID 77) was terminated by signal 11: Segmentation fault",
    "2026-12-01 10:00:05.251 UTC [10] LOG:  terminating any other active server processes",
    "2026-12-01 10:00:05.400 UTC [10] LOG:  all server processes terminated; reinitializing",
    "2026-12-01 10:00:05.500 UTC [99] LOG:  database system was interrupted; last known up at 2026-12-01 10:00:00 UTC",
    "2026-12-01 10:00:06.000 UTC [10] LOG:  database system is ready to accept connections",
]
POSTMASTER = [
    "2026-12-01 10:00:09.000 UTC [210] LOG:  starting PostgreSQL 18.4 on x86_64-pc-linux-gnu",
    "2026-12-01 10:00:09.100 UTC [213] LOG:  database system was interrupted; last known up at 2026-12-01 10:00:06 UTC",
]
QUIET = [
    "2026-12-01 10:00:20.000 UTC [10] LOG:  received fast shutdown request",
    '2026-12-01 10:00:20.010 UTC [10] LOG:  background worker "logical replication launcher" (PID 16) exited with exit '
    "code 1",
    "2026-12-01 10:00:20.100 UTC [14] LOG:  database system was shut down at 2026-12-01 10:00:20 UTC",
    "2026-12-01 10:00:21.000 UTC [30] ERROR:  duplicate key value violates unique constraint",
    "\tof a statement",
]


@pytest.mark.parametrize(
    ("files", "seen"),
    [
        ([STARTED + QUIET + STARTED], []),
        ([STARTED + BACKEND], [("10:00:05.250", "terminated by signal 11", "10:00:06.000")]),
        ([STARTED, POSTMASTER], [("10:00:09.100", "was interrupted", None)]),
        ([STARTED + BACKEND, POSTMASTER],
         [("10:00:05.250", "reinitializing", "10:00:06.000"), ("10:00:09.100", "was interrupted", None)]),
        ([], []),
    ],
)  # fmt: skip
def test_each_crash_is_one(files: list[list[str]], seen: list[tuple[str, str, str | None]], tmp_path: Path) -> None:
    for n, lines in enumerate(files):
        (tmp_path / f"postgresql-20261201_10000{n}.log").write_text("\n".join(lines) + "\n", "utf-8")
    found = crashes(tmp_path)
    assert [f"{crash.at:%H:%M:%S.%f}"[:-3] for crash in found] == [at for at, _, _ in seen]
    for crash, (_, cause, ready) in zip(found, seen, strict=True):
        assert cause in crash.cause
        assert (crash.ready_at and f"{crash.ready_at:%H:%M:%S.%f}"[:-3]) == ready
