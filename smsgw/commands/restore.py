"""``smsgwctl restore``: a backup into an empty installation, or the settling of what another tool has put back."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

import click

from smsgw.commands.base import Context, Failed, a_dsn, command, json_option, print_json, say
from smsgw.core.states import PartState
from smsgw.node import database_setup
from smsgw.platform.backups import restore as service
from smsgw.platform.backups.restore import Plan, Restored
from smsgw.platform.messages.undecided import WAS

_FILE = click.Path(dir_okay=False, path_type=Path)
_SENT = PartState.SENT.name


@command()
@click.argument("file", type=_FILE, required=False)
@click.option("--in-place", is_flag=True, help="No FILE: another tool has put the database back (base backup, copy).")
@click.option("--key-file", type=_FILE, help="A copy of the key file, put in its place where there is none yet.")
@click.option("--dsn", "owner_dsn", default="", callback=a_dsn,
              help="Of the role that owns the database; [database] owner_dsn or dsn without it.")  # fmt: skip
@click.option("--lost-key", is_flag=True, help="Go on though the key file does not open what is sealed.")
@click.option("--yes", is_flag=True, help="Ask nothing.")
@json_option
async def restore(
    ctx: Context, file: Path | None, in_place: bool, key_file: Path | None, owner_dsn: str, lost_key: bool, yes: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Load a backup (FILE, with its .json beside it) into an empty database, while no node runs; or, with --in-place,
    take the one that is there as it is. Nothing is sent by itself afterwards that a carrier may have had since: it
    stands as uncertain until somebody decides (smsgwctl unknown restored)."""
    settings, begun = ctx.settings, time.monotonic()
    if owner_dsn and not settings.database.dsn:
        raise Failed("--dsn is for a database of your own; the embedded one needs none")
    if in_place is (file is not None):
        raise Failed("name a FILE, or say --in-place")
    plan = None if file is None else await asyncio.to_thread(service.plan, file)
    if plan is not None:
        if not as_json:
            _tell(plan)
        _ask("Restore it?", yes)
    if key_file is not None:
        await asyncio.to_thread(_put_key, key_file, settings.key_file)
    if not lost_key and not settings.key_file.exists():
        raise Failed(
            f"there is no key file {settings.key_file}: put a copy of the old one there or name it with --key-file; "
            "where it is lost for good, --lost-key goes on without it"
        )
    sealer = await asyncio.to_thread(ctx.sealer)
    if plan is not None and not lost_key:
        service.opens(plan, sealer)
    told: Callable[[str], None] = lambda what: None if as_json else say(f"{what} ...")  # noqa: E731
    async with database_setup.target(settings, owner_dsn) as target, service.alone(target) as claim:
        if plan is not None:
            await service.fits(plan, target)
            migrations = await service.load(plan, target, claim, told)
        else:
            waiting = await claim.open_parts()
            if not as_json:
                _tell_open(waiting)
            _ask("Take the database as it is, and let none of them go by itself?", yes)
            migrations = await service.take(target, claim, told)
        async with database_setup.restored(settings, target) as database:
            done = await service.settle(ctx.change(database), plan, claim, sealer, begun, migrations, lost_key=lost_key)
    print_json(asdict(done)) if as_json else _report(done)


def _ask(what: str, yes: bool) -> None:
    if not yes and not click.confirm(what, err=True):
        raise Failed("nothing was changed")


def _tell(plan: Plan) -> None:
    kept = plan.kept
    say(f"{plan.file}: {kept.octets:,} octets, sha256 {kept.sha256} as it was written")
    say(f"shows the database of {kept.at or 'an unknown moment'}: {sum(kept.counts.values()):,} rows in "
        f"{len(kept.counts)} tables, schema {kept.schema_version}")  # fmt: skip
    say("Whatever was accepted, received or changed after that moment is not in it.")
    if not kept.at:
        say("How many parts had no end is not written beside it: what a carrier may have had will stand as uncertain.")
        return
    _tell_open(kept.open)


def _tell_open(found: Mapping[str, int]) -> None:
    waiting = {state: n for state, n in sorted(found.items()) if state != _SENT}
    named = ", ".join(f"{n:,} {state}" for state, n in waiting.items())
    named = f" ({named})" if named else ""
    say(f"Parts that had no end, and will stand as uncertain: {sum(waiting.values()):,}{named}")
    say("  (of SCHEDULED those alone whose time has come; others are sent at their time)")
    say(f"Parts that wait for their report, and stay submitted: {found.get(_SENT, 0):,}")
    say("Tasks under way or scheduled are paused, jobs that have not ended fail, follow-ups of failed messages end.")


def _report(done: Restored) -> None:
    loaded = f"{done.rows:,} rows in {done.tables} tables, each with the contents that were backed up; "
    say(f"restored in {done.seconds} s: {loaded if done.tables else ''}{done.migrations} migration(s)")
    uncertain = {name.removeprefix("RESTORED_").lower(): n for name, n in done.done.items()}
    for name, n in uncertain.items():
        say(f"  {name:<14} {n:>12,}" + ("  parts, uncertain now" if name in WAS else ""))
    if done.stuck:
        say(f"{done.stuck} sealed secrets do not open with this key file: set them anew (smsgwctl key-file show)")
    say("Next: start the nodes; then smsgwctl unknown restored says what stands uncertain, and decides.")


def _put_key(copy: Path, place: Path) -> None:
    if place.exists():
        if place.read_bytes() != copy.read_bytes():
            raise Failed(f"{place} is there already and is another one: move it away first")
        return
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with copy.open("rb") as source, open(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as made:
        shutil.copyfileobj(source, made)
