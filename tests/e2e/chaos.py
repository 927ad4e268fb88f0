"""Rounds of faults, family by family: ``scripts/chaos --help``. Exit 1 when some books do not balance."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import random
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import netted
import places
import redised
from ground import Ground, ground
from harness import ROOT, Books, Unsettled, dice
from storm import storm
from upgrade import rolled, rolling, upgrade, upgrades

from smsgw.simulator import Behaviour, Delay
from smsgw.store.engine.embedded import EmbeddedPostgres

STATE = Path(os.environ.get("CHAOS_STATE") or ROOT / "var" / "chaos" / "rounds.jsonl")
"""What was played, a round a line; the first line is the run. Runs side by side have each their own."""
DOCUMENT = ROOT / "docs" / "durability.md"
BEGIN, END = "<!-- chaos: begin -->", "<!-- chaos: end -->"

CORRECTED_WITHIN = 20.0
"""Seconds in which an owner that was cut off and is back tells what it knows better than the one that took over."""

Play = Callable[[Ground, random.Random, int], Awaitable[int]]
"""Round ``n``: load and fault; the parts that may be unknown afterwards."""


@dataclass(frozen=True)
class Family:
    """Faults of one kind. ``site``: how the gateway for them is made; ``rounds`` unless told otherwise."""

    what: str
    play: Play
    rounds: int
    site: Mapping[str, Any] = field(default_factory=dict)
    stage: Callable[[Path], contextlib.AbstractAsyncContextManager[Ground]] | None = None


def storms(*faults: str, messages: int = 1500) -> Play:
    """A load, and one of the faults in its midst."""

    async def play(built: Ground, chance: random.Random, n: int) -> int:
        await built.fresh()
        return await storm(built, chance, messages=messages, faults=[faults[n % len(faults)]], say=lambda _: None)

    return play


async def _place(built: Ground, chance: random.Random, n: int) -> int:
    place, action = places.CASES[n % len(places.CASES)]
    nth = 1 if n < len(places.CASES) else chance.randint(1, places.passings(place))
    print(f"  {place}={action}@{nth}")
    return await places.play(built, chance, place, action, nth)


def _exactly(built: Ground, n: int, books: Books) -> list[str]:
    """Of the first round of each place it is known what must be unknown."""
    place, action = places.CASES[n % len(places.CASES)]
    return places.exactly(built, place, books) if action == "kill" and n < len(places.CASES) else []


MIX = ("kill", "kill-start", "links", "freeze", "stop")


async def _mix(built: Ground, chance: random.Random, n: int) -> int:
    """Everything at once, with carriers that misbehave, and reports pulled all the while."""
    await built.fresh()
    for carrier in built.carriers.values():
        carrier.behaviour = Behaviour(
            answer_delay=Delay(0.0, chance.choice([0.005, 0.05, 0.3])),
            report_delay=Delay(0.0, chance.choice([0.1, 1.0, 5.0])),
            early_reports=chance.choice([0, 0.2]),
            duplicate_reports=chance.choice([0, 0.2]),
            duplicate_answers=chance.choice([0, 0.1]),
        )
    faults = [chance.choice(MIX) for _ in range(8)]
    return await storm(built, chance, messages=20_000, faults=faults, within=600, pulling=True)


TWO = {"nodes": 2}

FAMILIES: dict[str, Family] = {
    "F1": Family("kill -9 of the daemon at a random moment", storms("kill"), 100),
    "F2": Family("kill -9, and failures, at every failpoint", _place, len(places.CASES)),
    "F3": Family("kill -9, and up to three more during the starts after it", storms("kill-start"), 20),
    "F4": Family("the daemon frozen for longer than its lease", storms("freeze"), 5),
    "F6": Family("the whole PostgreSQL frozen for 1, 5 or 15 s", storms("database-frozen"), 20),
    "F7": Family("kill -9 of PostgreSQL", storms("postgres"), 20, {"embedded": True}),
    "F8": Family("connections cut during COMMIT, before and after it", storms("commits"), 20, {"proxied": True}),
    "F12": Family("carriers close in the middle of the window, FIN and RST", storms("links"), 20),
    "F13": Family(
        "answers lost and late, the links stay", storms("answers"), 20,
        {"profile": {"response_timeout": 2}},
    ),
    "F28": Family(
        "two nodes: the owner killed, frozen, cut from the database, drained",
        storms("owner-killed", "owner-frozen", "owner-cut", "owner-drained"), 20, TWO,
    ),
    "F30": Family("upgrade under load to a release with further migrations, back", upgrade, 1, stage=upgrades),
    "F39": Family(
        "two nodes behind HAProxy, 1,000/s: drained, upgraded from the release of a day ago, back",
        rolling, 1, stage=rolled,
    ),
    "F31": Family("SIGTERM under load", storms("stop"), 20),
    "F38": Family(
        "two workers: one killed, or standing still until it is",
        storms("worker-killed", "worker-killed", "worker-frozen"), 20, {"node_workers": "2"},
    ),
    **{
        f"F40.{n}": Family(f"two machines: {what}", netted.play(n), 20, stage=netted.netted)
        for n, (what, _) in netted.FAULTS.items()
    },
    "F41.1": Family("Redis, all of it, away for a minute under 500/s", redised.away, 1, stage=redised.redised),
    "F41.2": Family("the master of Redis killed under 500/s", redised.fails_over, 3, stage=redised.redised),
    "A14": Family("all of it together, carriers that misbehave, reports pulled meanwhile", _mix, 3),
}  # fmt: skip


@dataclass
class Round:
    """What came of one."""

    family: str
    n: int
    seed: int
    acknowledged: int = 0
    lost: int = 0
    doubled: int = 0
    unknown: int = 0
    may_be_unknown: int = 0
    unfinished: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


async def one_round(built: Ground, family: str, n: int, seed: int) -> Round:
    """Load, fault, quiet, books."""
    made = Round(family, n, seed)
    began = time.monotonic()
    try:
        made.may_be_unknown = await FAMILIES[family].play(built, dice(seed), n)
        books = await built.ledger(within=120)
        ends = time.monotonic() + CORRECTED_WITHIN
        while len(books.unknown) > made.may_be_unknown and time.monotonic() < ends:
            await asyncio.sleep(1.0)
            books = await built.ledger(within=120)
        _enter(made, books)
        if family == "F2":
            made.problems += _exactly(built, n, books)
    except Unsettled as exc:
        made.acknowledged, made.unfinished = len(built.customer.sent), exc.left
        made.problems.append(str(exc))
    except (AssertionError, Exception) as exc:  # whatever it was, the next families have their turn
        made.acknowledged = len(built.customer.sent)
        made.problems.append(f"{type(exc).__name__}: {exc}")
        traceback.print_exc(limit=6)
    made.seconds = round(time.monotonic() - began, 1)
    return made


def _enter(made: Round, books: Books) -> None:
    made.acknowledged, made.unknown = books.accepted, len(books.unknown)
    made.lost, made.doubled, made.unfinished = books.lost, books.doubled, books.unfinished
    made.problems += books.problems[:20]
    if made.unknown > made.may_be_unknown:
        made.problems.append(f"{made.unknown} unknown, and only {made.may_be_unknown} may be")


@contextlib.asynccontextmanager
async def _stage(family: Family, folder: Path) -> AsyncIterator[Ground]:
    try:
        async with family.stage(folder) if family.stage else ground(folder, **family.site) as built:
            yield built
    finally:
        for data_dir in (folder / "database", folder / "node"):
            embedded = EmbeddedPostgres(data_dir)
            if await embedded.find() is not None:
                await embedded.start()
                await embedded.stop()
            shutil.rmtree(embedded.home, ignore_errors=True)


async def rounds_of(name: str, wanted: list[int], seed: int, done: Callable[[Round], None]) -> None:
    """Play these rounds on one gateway; after one that does not balance the next ones get a new one."""
    left = list(wanted)
    while left:
        keep = Path(tempfile.mkdtemp(prefix=f"smsgw-chaos-{name}-"))
        last: Round | None = None
        try:
            async with _stage(FAMILIES[name], keep) as built:
                while left and (last is None or not last.problems):
                    if last is not None:
                        done(last)
                    n = left.pop(0)
                    last = await one_round(built, name, n, seed + n)
        except (AssertionError, Exception) as exc:  # the end of the gateway belongs to its last round
            if last is None:
                last = Round(name, left.pop(0), seed)
            last.problems.append(f"{type(exc).__name__}: {exc}")
            traceback.print_exc(limit=6)
        assert last is not None
        done(last)
        if last.problems:
            print(f"  log and data are kept in {keep}")
        else:
            shutil.rmtree(keep, ignore_errors=True)


# --- the run ---------------------------------------------------------------------------------------------------------


def machine() -> str:
    """What it ran on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} cores, {memory:.0f} GB, {system}"


def _commit() -> str:
    told = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return told.stdout.strip() or "unknown"


def load_state() -> tuple[dict[str, Any], list[Round]]:
    """The last run and its rounds. ``SystemExit`` when there is none."""
    if not STATE.exists():
        raise SystemExit(f"nothing to go on with: {STATE} does not exist")
    first, *lines = STATE.read_text("utf-8").splitlines()
    return json.loads(first), [Round(**json.loads(line)) for line in lines]


def table(run: Mapping[str, Any], rounds: list[Round]) -> str:
    """What docs/durability.md shows."""
    lines = [
        BEGIN,
        f"`{run['command']}`, {run['date']}, commit {run['commit']}, {run['machine']}:",
        "",
        "| | fault | rounds | acknowledged | lost | doubled | unknown | allowed | unfinished | do not balance |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, family in FAMILIES.items():
        mine = [r for r in rounds if r.family == name]
        if not mine:
            continue
        sums = [
            sum(getattr(r, column) for r in mine)
            for column in ("acknowledged", "lost", "doubled", "unknown", "may_be_unknown", "unfinished")
        ]
        bad = sum(bool(r.problems) for r in mine)
        cells = " | ".join(f"{n:,}" for n in (len(mine), *sums, bad))
        lines.append(f"| {name} | {family.what} | {cells} |")
    return "\n".join([*lines, END])


def write_table() -> None:
    """Put the table of the last run between the marks in the document."""
    run, rounds = load_state()
    text = DOCUMENT.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(before + table(run, rounds) + after, "utf-8")
    print(f"{DOCUMENT} shows {len(rounds)} rounds")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/chaos",
        description="Send messages, break things at random moments, and balance the books after every round.",
    )
    parser.add_argument("--family", default=",".join(FAMILIES), help="F1,F2,…; default: all (--list)")
    parser.add_argument("--rounds", type=int, help="of each family; default: its own number (--list)")
    parser.add_argument("--first", type=int, default=0, help="number of the first round, to repeat a single one")
    parser.add_argument("--seed", type=int, help="round n has seed + n")
    parser.add_argument("--resume", action="store_true", help="go on with the run that was interrupted")
    parser.add_argument("--write", action="store_true", help=f"show the rounds in {DOCUMENT.name} at the end")
    parser.add_argument("--list", action="store_true", help="show the families and end")
    given = parser.parse_args()
    given.family = [name.strip() for name in given.family.split(",")]
    if wrong := [name for name in given.family if name not in FAMILIES]:
        parser.error(f"no such family: {', '.join(wrong)}; there are {', '.join(FAMILIES)}")
    return given


def main() -> int:
    """The command."""
    given = _arguments()
    if given.list:
        for name, family in FAMILIES.items():
            print(f"{name:7} {family.rounds:4} rounds  {family.what}")
        return 0
    rounds: list[Round] = []
    if given.resume:
        run, rounds = load_state()
    else:
        run = {
            "seed": secrets.randbits(32) if given.seed is None else given.seed, "families": given.family,
            "rounds": given.rounds, "first": given.first, "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "commit": _commit(), "machine": machine(), "command": shlex.join(["scripts/chaos", *sys.argv[1:]]),
        }  # fmt: skip
        STATE.parent.mkdir(parents=True, exist_ok=True)
        STATE.write_text(json.dumps(run, ensure_ascii=False) + "\n", "utf-8")
    print(f"seed {run['seed']}; interrupted, it goes on with scripts/chaos --resume")
    played = {(r.family, r.n) for r in rounds}

    def done(one: Round) -> None:
        rounds.append(one)
        with STATE.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(one), ensure_ascii=False) + "\n")
        print(
            f"{one.family} round {one.n}: {one.acknowledged} acknowledged, {one.lost} lost, {one.doubled} doubled, "
            f"{one.unknown} unknown (may be {one.may_be_unknown}), {one.unfinished} unfinished; {one.seconds} s",
            flush=True,
        )
        for problem in one.problems:
            again = f"scripts/chaos --family {one.family} --first {one.n} --rounds 1 --seed {run['seed']}"
            print(f"  PROBLEM {problem}\n  again: {again}", flush=True)

    for name in run["families"]:
        n = FAMILIES[name].rounds if run["rounds"] is None else run["rounds"]
        wanted = [i for i in range(run["first"], run["first"] + n) if (name, i) not in played]
        asyncio.run(rounds_of(name, wanted, run["seed"], done))
    if given.write:
        write_table()
    failed = sum(bool(r.problems) for r in rounds)
    print(f"{len(rounds) - failed} of {len(rounds)} rounds balance")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
