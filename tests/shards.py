"""Run the tests by shards, for ``scripts/test``: see its head."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from running import ALONE, RECORD, SHARDS, git

ROOT = Path(__file__).resolve().parent.parent


def command(shard: str, *arguments: str) -> list[str]:
    """The call of pytest for one shard, or for what the arguments name when there is none."""
    workers = "0" if shard == ALONE else os.environ.get("TEST_WORKERS", "4")
    how = ["-rsfE", "-n", workers, *([] if workers == "0" else ["--dist", "worksteal"])]
    return [sys.executable, "-m", "pytest", *how, *(["--shard", shard] if shard else []), *arguments]


def last() -> dict[str, dict[str, object]]:
    """The last whole run of each shard in this checkout, as ``running`` has recorded it."""
    try:
        lines = (ROOT / RECORD).read_text("utf-8").splitlines()
    except FileNotFoundError:
        return {}
    return {str(run["shard"]): run for run in map(json.loads, lines)}


def show() -> None:
    """Print each shard, how its last run went, and what it is."""
    runs = last()
    for name, what in SHARDS.items():
        run = runs.get(name)
        how = "never run here"
        if run:
            commit = str(run["commit"])[:8] or "not committed"
            how = f"{run['minutes']} min, {run['passed']} passed, {run['failed']} failed, {commit}"
        print(f"{name:11} {how}\n{'':11} {what}")


def everything(arguments: list[str]) -> int:
    """Run the shards, one after the other, but for those that have passed on this very commit."""
    clean = not git(ROOT, "status", "--porcelain", "-uno")
    commit, failed = git(ROOT, "rev-parse", "HEAD"), []
    for name in SHARDS:
        run = last().get(name, {})
        if clean and commit and run.get("commit") == commit and run.get("status") == 0:
            print(f"{name}: passed on this commit at {run['at']}", flush=True)
        else:
            print(f"{name}:", flush=True)
            if subprocess.run(command(name, *arguments), check=False).returncode:
                failed.append(name)
    show()
    print("failed: " + ", ".join(failed) if failed else "all shards passed")
    return 1 if failed else 0


def main(arguments: list[str]) -> int:
    """Returns the exit status; a single shard takes the place of this process."""
    match arguments:
        case ["--list"]:
            show()
            return 0
        case ["--all", *rest]:
            return everything(rest)
        case ["--shard", str(name), *rest]:
            if name not in SHARDS:
                print(f"there is no shard {name!r}; there are {', '.join(SHARDS)}", file=sys.stderr)
                return 2
        case _:
            name, rest = (
                ("" if any(Path(one.partition("::")[0]).exists() for one in arguments) else "core"),
                arguments,
            )
    os.execv(sys.executable, command(name, *rest))  # noqa: S606


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main(sys.argv[1:]))
