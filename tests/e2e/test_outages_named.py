"""Crashes of a site's database and daemon that its test did not make: the books of the test do not balance."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import Site, site, until

from smsgw.bench.processes import children
from smsgw.store.engine.embedded import EmbeddedPostgres


def backend(built: Site) -> None:
    """One session of the database dies, and the server ends all others."""
    home = EmbeddedPostgres(built.node.data_dir).home
    postmaster = int((home / "pg" / "postmaster.pid").read_text("ascii").split()[0])
    sessions = (pid for pid in children(postmaster) if b" [local] " in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(next(sessions), signal.SIGSEGV)


def daemon(built: Site) -> None:
    """The process goes, and nobody asked for it."""
    os.kill(built.node.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("crash", "named"),
    [(backend, "outage of the database at .* was terminated by signal 11"),
     (daemon, "outage of the daemon at .* terminated by signal 9")],
)  # fmt: skip
@pytest.mark.slow
async def test_a_crash_that_no_test_has_made_is_a_problem(
    crash: Callable[[Site], None], named: str, data_dir: Path
) -> None:
    async with site(data_dir, channels=["cmpp30"]) as built:
        await built.customer.send("cmpp30")
        assert not (await built.clean()).problems
        crash(built)
        await until(built.outages, what="it is seen")
        if built.node.process is not None and built.node.process.poll() is not None:
            (problem,) = built.outages()
            built.node.process = None
            await built.node.start()
        else:
            problem = "\n".join((await built.ledger()).problems)
    assert re.search(named, problem)
