"""Inputs made by chance, and by what they reach, for everything that takes octets of strangers (targets.py).

    scripts/fuzz [--seconds 600] [--only TARGET] [--seed N] [--again FILE ...]

Each target runs in a process of its own, under atheris (coverage decides which inputs are worth changing further)
where that is installed, and under a plain mutator of the seeds where not. A finding is an input at which a target
raises, costs more processor time than it may, or takes memory that does not come back. It is written to var/fuzz and
belongs into a test; ``--again`` runs such files.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import importlib.util
import math
import random
import re
import resource
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from targets import Target

ROOT = Path(__file__).parents[2]
OUT = ROOT / "var" / "fuzz"
MAX_INPUT = 64 * 1024
MEMORY_MB = 512
"""Megabytes that a run may need more than its first thousand inputs."""
SLOWED = 6
"""How much slower code is that atheris watches; what seems too slow is measured again without."""
AGAIN = 7
"""Times that something is measured before it is called slow."""
PACE = 0.002
"""Seconds that ``_known`` takes where nobody is in the way; where it takes longer, so may everything."""


def _known() -> None:
    """A piece of work beside which others are measured."""
    struct.unpack(f">{len(_OCTETS) // 4}I", b"".join(bytes((octet,)) for octet in _OCTETS))


_OCTETS = bytes(range(256)) * 128


def _cost(work: Callable[[], object]) -> float:
    begin = time.thread_time()
    work()
    return time.thread_time() - begin


class Probe:
    """Runs one target and keeps what it finds, of each kind the first."""

    def __init__(self, target: Target, out: Path = OUT, slack: float = 1.0) -> None:
        self.target = target
        self.found: dict[str, bytes] = {}
        self.executions = 0
        self._out = out
        self._bound = target.seconds * slack
        self._memory = 0

    def run(self, data: bytes) -> str | None:
        """One input; what is wrong with it."""
        self.executions += 1
        begin = time.thread_time()
        try:
            self.target.run(data)
        except Exception as exc:  # whatever it is: that is what we are here for
            return self._keep(data, *_where(exc))
        if time.thread_time() - begin > self._bound and self._slow(data):
            return self._keep(data, "slow", f"more than {self._bound:.3f} s of the processor")
        if self.executions % 1000 == 0:
            used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            self._memory = self._memory or used
            if used > self._memory + MEMORY_MB:
                self._memory = used
                return self._keep(data, "memory", f"{used} MB")
        return None

    def _slow(self, data: bytes) -> bool:
        """Looked at again, without the garbage of others and beside a piece of work that is known: a processor that
        is shared makes no input slow."""
        least = pace = math.inf
        collecting = gc.isenabled()
        gc.disable()
        try:
            for _ in range(AGAIN):
                least = min(least, _cost(lambda: self.target.run(data)))
                pace = min(pace, _cost(_known))
                if least <= self._bound * max(1.0, pace / PACE):
                    return False
            return True
        finally:
            if collecting:
                gc.enable()

    def _keep(self, data: bytes, kind: str, why: str) -> str:
        if kind not in self.found:
            self.found[kind] = data
            name = f"{self.target.name}-{re.sub('[^A-Za-z0-9]+', '-', kind)}-{hashlib.sha256(data).hexdigest()[:12]}"
            self._out.mkdir(parents=True, exist_ok=True)
            (self._out / name).write_bytes(data)
            print(f"FINDING {self._out / name}\n  {why}", flush=True)
        return f"{kind}: {why}"


def _where(exc: BaseException) -> tuple[str, str]:
    """A name for findings that are one, and the end of the traceback."""
    frames = traceback.extract_tb(exc.__traceback__)
    ours = [f for f in frames if "/smsgw/" in f.filename] or frames
    kind = f"{type(exc).__name__}-{Path(ours[-1].filename).stem}-{ours[-1].name}"
    return kind, "  ".join(traceback.format_exception(exc, limit=-4)).strip()


class Mutator:
    """Changes seeds by chance: the same seed gives the same inputs."""

    def __init__(self, target: Target, seed: int) -> None:
        self._random = random.Random(f"{target.name}/{seed}")  # noqa: S311  to be repeatable is the point
        self._words = target.words
        self._corpus = list(dict.fromkeys(target.seeds()))

    def __iter__(self) -> Iterator[bytes]:
        yield from self._corpus
        while True:
            data = bytearray(self._random.choice(self._corpus))
            for _ in range(self._random.choice((1, 1, 2, 4, 8))):
                self._random.choice(self._changes)(self, data)
            yield bytes(data[:MAX_INPUT])

    def _place(self, data: bytearray) -> int:
        return self._random.randint(0, len(data))

    def _octet(self, data: bytearray) -> None:
        if data:
            value = self._random.choice((0, 1, 0x7F, 0x80, 0xFF, self._random.randrange(256)))
            data[self._random.randrange(len(data))] = value

    def _bit(self, data: bytearray) -> None:
        if data:
            data[self._random.randrange(len(data))] ^= 1 << self._random.randrange(8)

    def _insert(self, data: bytearray) -> None:
        at = self._place(data)
        data[at:at] = self._random.choice(self._words) if self._words else self._random.randbytes(4)

    def _delete(self, data: bytearray) -> None:
        at = self._place(data)
        del data[at : at + self._random.choice((1, 2, 8, 64))]

    def _repeat(self, data: bytearray) -> None:
        """A piece of it many times: what is more than linear shows."""
        at = self._place(data)
        piece = bytes(data[at : at + self._random.choice((1, 2, 5, 30))])
        data[at:at] = piece * self._random.choice((2, 10, 100, 2000))

    def _word_again(self, data: bytearray) -> None:
        if self._words:
            at = self._place(data)
            data[at:at] = self._random.choice(self._words) * self._random.choice((2, 50, 1000))

    def _splice(self, data: bytearray) -> None:
        other = self._random.choice(self._corpus)
        at = self._random.randint(0, len(other))
        data[self._place(data) :] = other[at:]

    _changes: tuple[Callable[[Mutator, bytearray], None], ...] = (
        _octet, _octet, _bit, _insert, _insert, _delete, _repeat, _word_again, _splice,
    )  # fmt: skip


def plainly(target: Target, *, seconds: float, seed: int, most: int | None = None, out: Path = OUT) -> Probe:
    """Fuzz with the mutator for some time, or for a number of inputs."""
    probe = Probe(target, out)
    until = time.monotonic() + seconds
    for data in Mutator(target, seed):
        probe.run(data)
        if time.monotonic() >= until or (most is not None and probe.executions >= most):
            break
    return probe


def _watched(name: str, seconds: int, seed: int) -> None:
    """Fuzz under atheris; does not return."""
    import atheris

    with atheris.instrument_imports(include=["smsgw"]):
        from targets import TARGETS
    target = TARGETS[name]
    probe = Probe(target, slack=SLOWED)
    for number, data in enumerate(target.seeds()):
        (Path(sys.argv[-1]) / f"seed{number}").write_bytes(data)
    words = Path(sys.argv[-1] + ".words")
    words.write_text("".join('"' + "".join(f"\\x{o:02x}" for o in word) + '"\n' for word in target.words))
    options = [
        f"-max_total_time={seconds}", f"-seed={seed}", f"-max_len={MAX_INPUT}", "-rss_limit_mb=4096", "-timeout=60",
        f"-artifact_prefix={OUT}/{name}-", f"-dict={words}", "-print_final_stats=1", "-verbosity=1",
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *options, sys.argv[-1]], lambda data: probe.run(bytes(data)) and None)
    atheris.Fuzz()


def _process(name: str, seconds: int, seed: int) -> tuple[int, str]:
    """One target in a process of its own: inputs, and what they reached."""
    with tempfile.TemporaryDirectory() as corpus:
        done = subprocess.run(
            [sys.executable, __file__, "--watched", name, str(seconds), str(seed), corpus],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
        )  # fmt: skip
    lines = done.stdout.splitlines()
    for n, line in enumerate(lines):
        if line.startswith("FINDING"):
            print("\n".join(lines[n : n + 12]))
    coverage = re.findall(r"cov: (\d+)", done.stdout)
    executions = re.findall(r"stat::number_of_executed_units: (\d+)", done.stdout)
    if not executions:
        print("\n".join(lines[-30:]))
    return int(executions[-1]) if executions else 0, f"{coverage[-1]} edges" if coverage else "unknown"


def again(files: Sequence[Path]) -> dict[Path, str]:
    """Inputs that were found before, and what is still wrong with them."""
    from targets import TARGETS

    found = {}
    for path in files:
        probe = Probe(TARGETS[path.name.partition("-")[0]], Path(tempfile.mkdtemp()))
        if (problem := probe.run(path.read_bytes())) is not None:
            found[path] = problem
    return found


def main() -> int:
    """Fuzz the targets one after the other; 1 when something was found."""
    sys.path[:0] = [str(Path(__file__).parent), str(ROOT / "tests")]
    if sys.argv[1:2] == ["--watched"]:
        _watched(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    from targets import TARGETS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=600, help="for each target")
    parser.add_argument("--only", choices=TARGETS, action="append", help="may be repeated")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--again", type=Path, nargs="+", help="inputs of var/fuzz")
    given = parser.parse_args()
    if given.again:
        found = again(given.again)
        for path, problem in found.items():
            print(f"{path}\n  {problem}")
        return 1 if found else 0
    guided = importlib.util.find_spec("atheris") is not None
    OUT.mkdir(parents=True, exist_ok=True)
    before = set(OUT.iterdir())
    for name in given.only or TARGETS:
        if guided:
            executions, coverage = _process(name, given.seconds, given.seed)
        else:
            probe = plainly(TARGETS[name], seconds=given.seconds, seed=given.seed)
            executions, coverage = probe.executions, "not watched"
        new = sorted(path for path in set(OUT.iterdir()) - before if path.is_file())
        slow = [path for path in new if path.name.startswith(f"{name}-slow")]
        for path in set(slow) - again(slow).keys():  # slow only while it was watched
            path.unlink()
        left = [path for path in new if path.exists() and path.name.startswith(name)]
        print(f"{name}: {executions} executions, coverage {coverage}, {len(left)} findings", flush=True)
    return 1 if set(OUT.iterdir()) - before else 0


if __name__ == "__main__":
    sys.exit(main())
