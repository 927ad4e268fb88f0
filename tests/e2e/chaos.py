"""Long runs of the storm: ``scripts/chaos --help``. Exit 1 when the ledger does not balance."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

from harness import Books, dice, site
from storm import FAULTS, storm

from smsgw.simulator import Behaviour, Delay
from smsgw.store.embedded import EmbeddedPostgres


async def one_round(seed: int, messages: int, n_faults: int, kinds: list[str], keep: Path) -> Books:
    """A gateway with an embedded database of its own, faults, quiet, ledger."""
    chance = dice(seed)
    faults = [chance.choice(kinds) for _ in range(n_faults)]

    def behaviour() -> Behaviour:
        return Behaviour(
            answer_delay=Delay(0.0, chance.choice([0.005, 0.05, 0.3])),
            report_delay=Delay(0.0, chance.choice([0.1, 1.0, 5.0])),
            early_reports=chance.choice([0, 0.2]),
            duplicate_reports=chance.choice([0, 0.2]),
            duplicate_answers=chance.choice([0, 0.1]),
        )

    data_dir = keep / "node"
    try:
        async with site(data_dir, behaviour=behaviour) as built:
            windows = await storm(built, chance, messages=messages, faults=faults, within=600, pulling=True)
            books = await built.ledger(within=600)
            if len(books.unknown) > windows:
                books.problems.append(f"{len(books.unknown)} unknown, more than the {windows} of the windows")
            return books
    finally:
        embedded = EmbeddedPostgres(data_dir)
        if await embedded.find() is not None:
            await embedded.start()
            await embedded.stop()
        shutil.rmtree(embedded.home, ignore_errors=True)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="scripts/chaos",
        description="Send messages, break things at random moments, and check the ledger.",
    )
    parser.add_argument("--seed", type=int, help="of the first round; round n has seed + n")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--messages", type=int, default=20_000, help="a round")
    parser.add_argument("--faults", type=int, default=8, help="a round")
    parser.add_argument(
        "--kind",
        action="append",
        choices=sorted(FAULTS),
        help="only these faults; may be repeated (default: all)",
    )
    given = parser.parse_args()
    seed = secrets.randbits(32) if given.seed is None else given.seed
    kinds = given.kind or list(FAULTS)
    failed = 0
    for n in range(given.rounds):
        keep = Path(tempfile.mkdtemp(prefix="smsgw-chaos-"))
        again = f"--seed {seed + n} --rounds 1 --messages {given.messages} --faults {given.faults}"
        print(
            f"round {n + 1} of {given.rounds}: scripts/chaos {again}"
            + "".join(f" --kind {k}" for k in given.kind or [])
        )
        try:
            books = asyncio.run(one_round(seed + n, given.messages, given.faults, kinds, keep))
        except AssertionError as exc:
            books = Books(problems=[str(exc)])
        print(f"  {books}")
        for problem in books.problems[:50]:
            print(f"  PROBLEM {problem}")
        failed += bool(books.problems)
        if books.problems:
            print(f"  log and data are kept in {keep}")
        else:
            shutil.rmtree(keep)
    print(f"{given.rounds - failed} of {given.rounds} rounds balance")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
