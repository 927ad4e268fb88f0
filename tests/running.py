"""How the tests are run: what is left out, what runs alone, and what may take long.

* ``user_only`` and ``root_only`` tests are left out for the other kind of user, ``namespaces`` where none can be made;
  they are named in the summary.
* A ``serial`` test looks at times that others would spoil: where several workers share the tests, those marked so come
  when all others are done, one after the other.
* A test that is not marked ``slow`` and takes longer than ``QUICK`` seconds is named in the summary. On a machine that
  has more to do than it has cores it may take so many times longer; ``TEST_PATIENCE`` is one more factor.
* Which part of the stories and walks a run has (``e2e/rotation.py``) is decided once for all workers, and printed.
* The process that shares the tests out ends ``END_WITHIN`` seconds after the last of them, interrupted or not.
* With ``TEST_REQUIRE_ALL`` a skipped test fails the run, with an exit status of its own: no test that is run again
  makes up for it.
* What a module has made of the day on which it was read is made anew when that day is over: a run may pass midnight.
* Compiled code is kept, also where the environment says not to: some hundred processes are started, as programs are
  where they are installed, and each would compile half a thousand modules.
"""

from __future__ import annotations

import ast
import contextlib
import faulthandler
import functools
import gc
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from xdist.scheduler import WorkStealingScheduling
from xdist.scheduler.worksteal import MIN_PENDING
from xdist.workermanage import WorkerController

QUICK = 15.0
"""Seconds."""
TURNS = 30
"""In which every story is told in all its variants."""
WORTH_A_LOOK = 60.0
"""Seconds of all tests from which on the files that took most of it are named."""
NOT_WHOLE = 8
"""The exit status of a run that left out what it must not."""
END_WITHIN = 120.0
"""Seconds for workers to end, and all else that comes after the tests."""
_SERIAL = "pytest.mark.serial"
_CHINA = timezone(timedelta(hours=8))
_read_on: dict[str, date] = {}
"""The day of which the constants of a module are; those that are not here: of the day on which this was read."""
_BEGAN = datetime.now(_CHINA).date()

_OTHER_USER = "user_only" if os.geteuid() == 0 else "root_only"
_left_out = pytest.StashKey[list[str]]()
_LONG = "took long"

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what makes sense only for the other kind of user, or where networks of one's own may be made."""
    why = {_OTHER_USER: _OTHER_USER.replace("_", " ")}
    if any(item.get_closest_marker("namespaces") for item in items) and not _namespaces():
        why["namespaces"] = "no network namespaces here"
    left = {item: why[mark] for mark in why for item in items if item.get_closest_marker(mark)}
    items[:] = [item for item in items if item not in left]
    config.stash[_left_out] = [f"{item.nodeid}: {reason}" for item, reason in left.items()]
    config.hook.pytest_deselected(items=list(left))


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
    os.environ.setdefault("TEST_PROTOCOLS", _turn(config.rootpath))
    # A run in the background of a script has interrupts ignored, and what it starts inherits that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.pluginmanager.hasplugin("dsession"):
        config.pluginmanager.register(_Workers(config), "workers")


def _turn(root: Path) -> str:
    """Of this commit; of today where there is none."""
    command = ("git", "-c", "safe.directory=*", "-C", str(root), "rev-parse", "HEAD")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return str(int(done.stdout.strip(), 16) % TURNS)
    except (OSError, subprocess.SubprocessError, ValueError):
        return str(int(time.time() // 86_400) % TURNS)


class _Workers:
    """Shares the tests out, and takes over what a worker has left out: each of them has collected all tests."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Generator[None]:
        """Workers are waited for now: whoever waits in vain says where, and ends."""
        seconds = float(os.environ.get("TEST_END_WITHIN", END_WITHIN))
        faulthandler.dump_traceback_later(seconds, exit=True, file=sys.__stderr__)
        yield

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> SerialLast | None:
        """With ``--dist worksteal``."""
        return SerialLast(config, log) if config.getvalue("dist") == "worksteal" else None

    def pytest_testnodedown(self, node: Any) -> None:
        """A worker has ended."""
        self.config.stash[_left_out] = getattr(node, "workeroutput", {}).get("left_out", [])


class SerialLast(WorkStealingScheduling):
    """Workers that steal tests from each other; when all are done but ``serial`` ones, one of them runs those."""

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        super().__init__(config, log)
        self.alone: list[int] = []
        """Tests that wait until all others are done."""

    def schedule(self) -> None:
        """Share the tests out, once all workers have collected them."""
        if self.collection is None and self._check_nodes_have_same_collection():
            self.collection = next(iter(self.node2collection.values()))
            for n, name in enumerate(self.collection):
                (self.alone if is_serial(self.config.rootpath, name) else self.pending).append(n)
        self.check_schedule()

    @property
    def tests_finished(self) -> bool:
        """Whether the workers may go."""
        return not self.alone and super().tests_finished

    @property
    def has_pending(self) -> bool:
        """Whether there is something left to do."""
        return bool(self.alone) or super().has_pending

    def check_schedule(self) -> None:
        """Give work to those who have none; one worker stays for what runs alone."""
        if not self.alone:
            super().check_schedule()
            return
        up = [node for node in self.nodes if not node.shutting_down]
        idle = self._idle(up)
        for n, node in enumerate(idle):
            self._send_tests(node, len(self.pending) // (len(idle) - n))
        idle = self._idle(up)
        if not idle or self.steal_requested_from_node:
            return
        richest = max(up, key=lambda node: len(self.node2pending[node]))
        spare = len(self.node2pending[richest]) - MIN_PENDING
        if spare > 0:
            richest.send_steal(self.node2pending[richest][-((spare + 1) // 2) :])
            self.steal_requested_from_node = richest
            return
        stays = up[0]
        for node in idle:
            if node is not stays:
                node.shutdown()  # and runs its last one: a worker keeps one until it knows what comes next
        if not any(pending for node, pending in self.node2pending.items() if node is not stays):
            self.pending, self.alone = self.alone, []
            self._send_tests(stays, len(self.pending))
            super().check_schedule()

    def _idle(self, nodes: list[WorkerController]) -> list[WorkerController]:
        return [node for node in nodes if len(self.node2pending[node]) < MIN_PENDING]


def is_serial(root: Path, name: str) -> bool:
    """Whether a test is marked so. The scheduler knows names of tests, not their marks: those are read in the file."""
    file, _, test = name.partition("::")
    marked = _serial_in(root / file)
    return "" in marked or test.partition("[")[0] in marked


@functools.cache
def _serial_in(file: Path) -> frozenset[str]:
    """Names of the functions of a file that are marked; an empty one when all are."""
    marked = set()
    for node in ast.parse(file.read_bytes()).body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                if _SERIAL in map(ast.unparse, node.decorator_list):
                    marked.add(node.name)
            case ast.Assign(targets=[ast.Name("pytestmark")]) if _SERIAL in ast.unparse(node.value):
                marked.add("")
    return frozenset(marked)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Constants are of the day on which the test runs, in China."""
    today, module = datetime.now(_CHINA).date(), getattr(item, "module", None)
    if module is not None and _read_on.get(module.__name__, _BEGAN) != today:
        _read_on[module.__name__] = today
        renew(module)


def renew(module: ModuleType) -> None:
    """Make those constants of a module anew that ask what time it is, and those that are made of them."""
    file = Path(str(module.__file__))
    made: set[str] = set()
    for node in ast.parse(file.read_bytes()).body:
        match node:
            case ast.Assign(targets=targets, value=value):
                pass
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                targets = [target]
            case _:
                continue
        of = list(ast.walk(value))
        asks = any(isinstance(one, ast.Attribute) and one.attr in ("now", "today") for one in of)
        if asks or any(isinstance(one, ast.Name) and one.id in made for one in of):
            exec(compile(ast.Module([node], []), file, "exec"), vars(module))  # noqa: S102 - as it was when it was read
            made |= {one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What takes long and does not say so is named: it is what everybody waits for."""
    report = yield
    limit = QUICK * float(os.environ.get("TEST_PATIENCE", 1)) * max(1.0, _load())
    if (
        call.when == "call"
        and report.passed
        and call.duration > limit
        and not item.get_closest_marker("slow")
    ):
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
    turn = os.environ["TEST_PROTOCOLS"]
    terminalreporter.write_line(
        f"TEST_PROTOCOLS={turn}: which of the stories and walks this run had (scripts/matrix: all)"
    )
    for name in config.stash.get(_left_out, []):
        terminalreporter.write_line(f"LEFT OUT {name}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """With TEST_REQUIRE_ALL a skipped test fails the run: nothing that can be tested may be left out."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash.get(_left_out, [])
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("TEST_REQUIRE_ALL") and reporter and reporter.stats.get("skipped"):
        reporter.write_line("\nTEST_REQUIRE_ALL is set and tests were skipped", red=True)
        session.exitstatus = NOT_WHOLE
