"""How the tests are run: which of them, what is left out, and what may take long.

* Every test is of one shard (``SHARDS``): that of its mark ``shard``, that of its folder (``FOLDERS``), or ``core``.
  ``--shard NAME`` runs one of them, whatever the commit, the hour or the neighbours; without it all that is named runs.
  A whole run of a shard leaves a line in ``build/shards.jsonl``.
* ``user_only`` and ``root_only`` tests are left out for the other kind of user, ``namespaces`` where none can be made;
  they are named in the summary.
* A test that is not marked ``slow`` and takes longer than ``QUICK`` seconds is named in the summary. On a machine that
  has more to do than it has cores it may take so many times longer; ``TEST_PATIENCE`` is one more factor.
* No test begins in the last ``BEFORE_MIDNIGHT`` seconds of a day in China: it would end on another day.
* The process that shares the tests out ends ``END_WITHIN`` seconds after the last of them, interrupted or not.
* With ``TEST_REQUIRE_ALL`` a skipped test fails the run.
* Compiled code is kept, also where the environment says not to: some hundred processes are started, as programs are
  where they are installed, and each would compile half a thousand modules.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

SHARDS = {
    "core": "of every change: what scripts/test runs without arguments",
    "rights": "everybody at every address of the portal, and all that a page offers",
    "attacks": "hostile texts, files, headers and bodies at every address",
    "pages": "every page in every window and language, on paper, and its figures",
    "browser": "stories in Chromium",
    "protocols": "every story over every carrier protocol",
    "processes": "the installed program: kills, faults of disk and database, partners, several nodes",
    "peers": "programs of others: SMPP and CMPP stacks, Kannel, clients in other languages",
    "volume": "benchmarks, load tests, and tables so large that plans and memory matter",
    "simulation": "the sending path in virtual time: more seeds, and mistakes that it must find",
    "alone": "what looks at times that other tests would spoil: one test after the other",
}
"""Each of them takes at most 25 minutes."""
FOLDERS = {"browser": "browser", "e2e": "processes", "interop": "peers"}
"""Of tests that are not marked."""
ALONE = "alone"
QUICK = 15.0
"""Seconds."""
WORTH_A_LOOK = 60.0
"""Seconds of all tests from which on the files that took most of it are named."""
NOT_WHOLE = 8
"""The exit status of a run that left out what it must not."""
END_WITHIN = 120.0
"""Seconds for workers to end, and all else that comes after the tests."""
BEFORE_MIDNIGHT = timedelta(seconds=QUICK + 5)
RECORD = Path("build", "shards.jsonl")
"""Below the root: a line a whole run of a shard."""
_CHINA = timezone(timedelta(hours=8))

_OTHER_USER = "user_only" if os.geteuid() == 0 else "root_only"
_left_out = pytest.StashKey[list[str]]()
_LONG = "took long"
_BEGAN = time.monotonic()

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_addoption(parser: pytest.Parser) -> None:
    """Which tests."""
    parser.addoption("--shard", choices=list(SHARDS), help="run the tests of one shard")


def shard_of(item: pytest.Item) -> str:
    """The shard of a test. Raises ``pytest.UsageError`` for a mark that names none."""
    mark = item.get_closest_marker("shard")
    if mark is None:
        return FOLDERS.get("".join(Path(item.nodeid).parts[1:2]), "core")
    if mark.args[0] not in SHARDS:
        raise pytest.UsageError(f"{item.nodeid}: there is no shard {mark.args[0]!r}")
    return str(mark.args[0])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out other shards, and what makes sense only for the other kind of user or with networks of one's own."""
    shard = config.option.shard
    others = [item for item in items if shard not in (None, shard_of(item))]
    items[:] = [item for item in items if shard in (None, shard_of(item))]
    why = {_OTHER_USER: _OTHER_USER.replace("_", " ")}
    if any(item.get_closest_marker("namespaces") for item in items) and not _namespaces():
        why["namespaces"] = "no network namespaces here"
    left = {item: why[mark] for mark in why for item in items if item.get_closest_marker(mark)}
    items[:] = [item for item in items if item not in left]
    config.stash[_left_out] = [f"{item.nodeid}: {reason}" for item, reason in left.items()]
    config.hook.pytest_deselected(items=[*others, *left])


def pytest_collection_finish() -> None:
    """What was read and collected stays to the end: whoever looks for garbage need not look at it over and over."""
    gc.collect()
    gc.freeze()


def _namespaces() -> bool:
    """Whether this user may make network namespaces on this machine."""
    name = f"smsgw-try-{os.getpid()}"
    path = {"PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run(["ip", "netns", "add", name], env=path, check=True, capture_output=True, timeout=20)
        subprocess.run(["ip", "netns", "del", name], env=path, check=False, capture_output=True, timeout=20)
        return True
    return False


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Where several processes share the tests (pytest-xdist), the one that prints the summary asks them."""
    # A run in the background of a script has interrupts ignored, and what it starts inherits that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.pluginmanager.hasplugin("dsession"):
        config.pluginmanager.register(_Workers(config), "workers")


class _Workers:
    """Takes over what a worker has left out: each of them has collected all tests."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Generator[None]:
        """Workers are waited for now: whoever waits in vain says where, and ends."""
        seconds = float(os.environ.get("TEST_END_WITHIN", END_WITHIN))
        faulthandler.dump_traceback_later(seconds, exit=True, file=sys.__stderr__)
        yield

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def pytest_testnodedown(self, node: Any) -> None:
        """A worker has ended."""
        self.config.stash[_left_out] = getattr(node, "workeroutput", {}).get("left_out", [])


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Wait for the end of a day that is nearly over."""
    now = datetime.now(_CHINA)
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    if midnight - now < BEFORE_MIDNIGHT:
        time.sleep((midnight - now).total_seconds() + 1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What takes long and does not say so is named: it is what everybody waits for."""
    report = yield
    limit = QUICK * float(os.environ.get("TEST_PATIENCE", 1)) * max(1.0, _load())
    if call.when == "call" and report.passed and call.duration > limit and not item.get_closest_marker("slow"):
        report.user_properties.append((_LONG, f"{call.duration:.1f} s of {limit:.0f}"))
    return report


def _load() -> float:
    """What this machine has had to do in the last minutes, by its cores; while most tests wait, one may have met those
    who do not."""
    return max(os.getloadavg()) / len(os.sched_getaffinity(0))


def _spent(reporter: pytest.TerminalReporter) -> Counter[str]:
    """Seconds by file, of setting up and taking down as well."""
    spent: Counter[str] = Counter()
    for reports in reporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                spent[report.nodeid.partition("::")[0]] += report.duration  # type: ignore[assignment]
    return spent


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name what takes long, and what this run left out because of who runs it (skips are named by pytest itself)."""
    for report in terminalreporter.stats.get("passed", []):
        for long in (said for what, said in report.user_properties if what == _LONG):
            terminalreporter.write_line(f"SLOW TEST {report.nodeid}: {long}, and it is not marked so")
    spent = _spent(terminalreporter)
    if spent.total() > WORTH_A_LOOK:
        for file, seconds in spent.most_common(5):
            terminalreporter.write_line(f"SLOW FILE {file}: {seconds:.0f} s of {spent.total():.0f}")
    for name in config.stash.get(_left_out, []):
        terminalreporter.write_line(f"LEFT OUT {name}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """With TEST_REQUIRE_ALL a skipped test fails the run: nothing that can be tested may be left out."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash.get(_left_out, [])
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("TEST_REQUIRE_ALL") and reporter and reporter.stats.get("skipped"):
        reporter.write_line("\nTEST_REQUIRE_ALL is set and tests were skipped", red=True)
        session.exitstatus = NOT_WHOLE
    if reporter and session.config.option.shard and _whole(session.config):
        _record(session, {name: len(reporter.stats.get(name, ())) for name in ("passed", "failed", "error", "skipped")})


def _whole(config: pytest.Config) -> bool:
    """Whether no argument has left tests out."""
    option = config.option
    chosen = option.keyword or option.markexpr or option.deselect or option.collectonly or getattr(option, "lf", False)
    return config.args_source is pytest.Config.ArgsSource.TESTPATHS and not chosen


def _record(session: pytest.Session, counts: dict[str, int]) -> None:
    root, config = session.config.rootpath, session.config
    commit = git(root, "rev-parse", "HEAD") if not git(root, "status", "--porcelain", "-uno") else ""
    line = {
        "shard": config.option.shard, "commit": commit, "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "minutes": round((time.monotonic() - _BEGAN) / 60, 1), "status": int(session.exitstatus), **counts,
    }  # fmt: skip
    (root / RECORD).parent.mkdir(exist_ok=True)
    with (root / RECORD).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def git(root: Path, *command: str) -> str:
    """What it prints; nothing where it cannot be asked."""
    try:
        done = subprocess.run(
            ("git", "-c", "safe.directory=*", "-C", str(root), *command),
            capture_output=True, text=True, timeout=20, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
