"""What the log of an embedded PostgreSQL says of crashes."""

from __future__ import annotations

from pathlib import Path

import pytest

from smsgw.store.engine.server_log import crashes

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
def test_each_crash_is_one_from_its_first_line_to_the_recovery(
    files: list[list[str]], seen: list[tuple[str, str, str | None]], tmp_path: Path
) -> None:
    for n, lines in enumerate(files):
        (tmp_path / f"postgresql-20261201_10000{n}.log").write_text("\n".join(lines) + "\n", "utf-8")
    found = crashes(tmp_path)
    assert [f"{crash.at:%H:%M:%S.%f}"[:-3] for crash in found] == [at for at, _, _ in seen]
    for crash, (_, cause, ready) in zip(found, seen, strict=True):
        assert cause in crash.cause
        assert (crash.ready_at and f"{crash.ready_at:%H:%M:%S.%f}"[:-3]) == ready
