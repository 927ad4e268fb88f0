"""``smsgwctl number status``: what is known of numbers (空号、停机 …), learned from reports or imported."""

from __future__ import annotations

import csv
from datetime import timedelta
from pathlib import Path

import click

from smsgw.commands.base import Context, Failed, group, json_option, print_json, print_rows, print_table
from smsgw.core.number_state import SOURCE_NAMES, STATE_NAMES, NumberState, parse
from smsgw.core.numbers import InvalidNumber, mask, normalize
from smsgw.core.words import chinese_lexicon
from smsgw.platform.numbers import queries, service
from smsgw.platform.numbers.model import KnownNumber
from smsgw.platform.settings import queries as settings
from smsgw.runtime import clock

STATES = click.Choice([str(s) for s in NumberState])
_COLUMNS = ("number", "state", "meaning", "source", "code", "at")


@group("status")
def number_status() -> None:
    """Number status (空号检测). The policy drop_empty refuses numbers that are empty (see: smsgwctl policy)."""


def _number(text: str) -> str:
    try:
        return normalize(text)
    except InvalidNumber as exc:
        raise Failed(f"{text}: {exc}") from exc


def _line(one: KnownNumber, *, whole: bool) -> dict[str, object]:
    return {
        "number": one.number if whole else mask(one.number), "state": one.state,
        "meaning": str(STATE_NAMES[NumberState(one.state)]), "source": str(SOURCE_NAMES[one.source]),
        "code": one.code, "at": one.at,
    }  # fmt: skip


@number_status.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--state", type=STATES, default="empty", show_default=True, help="Of lines that do not say it.")
@click.option("--days-old", type=click.IntRange(0, 730), default=0, show_default=True, help="Age of the knowledge.")
async def status_import(ctx: Context, file: Path, state: str, days_old: int) -> None:
    """Read a CSV, UTF-8: number[, state]. States are names (empty, 空号) or providers' codes: 0 空号, 1 实号, 2 停机,
    4 沉默号, 5 风险号; 3 (库无) is passed over. All or nothing; what a report has told since stays."""
    wanted: dict[str, NumberState] = {}
    problems: list[str] = []
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            for line, row in enumerate(csv.reader(stream), 1):
                cells = [cell.strip() for cell in row]
                if not any(cells) or (line == 1 and not any(c.isdigit() for c in cells[0])):
                    continue  # blank, or a heading
                said = cells[1] if len(cells) > 1 and cells[1] else state
                if said in ("3", chinese_lexicon.IN_NO_LIBRARY):
                    continue
                try:
                    wanted[normalize(cells[0])] = parse(said)
                except ValueError as exc:
                    problems.append(f"line {line}: {','.join(cells)[:40]}: {exc}")
                if len(problems) > 20 or len(wanted) > service.MAX_KNOWN:
                    break
    except (UnicodeDecodeError, csv.Error) as exc:
        raise Failed(f"{file} cannot be read: {exc}") from exc
    if problems:
        raise Failed("\n".join(["nothing was imported:", *problems[:20]]))
    if len(wanted) > service.MAX_KNOWN:
        raise Failed(f"at most {service.MAX_KNOWN} numbers")
    async with ctx.database() as database:
        at = clock.now() - timedelta(days=days_old)
        changed = await service.learn(ctx.change(database), wanted, at)
    await ctx.tell_daemon()
    click.echo(f"{len(wanted)} numbers read, {changed} entries new or changed")


@number_status.command("find")
@click.argument("numbers", nargs=-1, required=True, metavar="NUMBER...")
@json_option
async def status_find(ctx: Context, numbers: tuple[str, ...], as_json: bool) -> None:
    """What is known of numbers and not too old (setting number_status_days)."""
    async with ctx.database() as database:
        days = (await settings.current(database)).number_status_days
        found = await queries.known(database, [_number(n) for n in numbers], days)
    lines = [_line(one, whole=True) for one in found.values()]
    print_rows(lines, _COLUMNS, as_json, empty="nothing is known")


@number_status.command("list")
@click.option("--state", type=STATES, default=None)
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
@click.option("--unmask", is_flag=True, help="Show whole numbers.")
@json_option
async def status_list(ctx: Context, state: str | None, limit: int, unmask: bool, as_json: bool) -> None:
    """What was learned or imported last, and how many numbers there are of each state."""
    async with ctx.database() as database:
        days = (await settings.current(database)).number_status_days
        counts = await queries.count(database, days)
        if unmask:
            newest = await service.unmask(ctx.change(database), days, state=state or "", limit=limit)
        else:
            newest = await queries.newest(database, days, state=state or "", limit=limit)
    lines = [_line(one, whole=unmask) for one in newest]
    if as_json:
        print_json({"counts": counts, "entries": lines})
        return
    click.echo(", ".join(f"{n} {STATE_NAMES[NumberState(name)]}" for name, n in sorted(counts.items())) or "0 numbers")
    print_table(lines, _COLUMNS, empty="nothing is known")


@number_status.command("remove")
@click.argument("numbers", nargs=-1, required=True, metavar="NUMBER...")
async def status_remove(ctx: Context, numbers: tuple[str, ...]) -> None:
    """Forget what is known of numbers."""
    async with ctx.database() as database:
        gone = await service.forget(ctx.change(database), [_number(n) for n in numbers])
    if not gone:
        raise Failed("nothing is known of them")
    await ctx.tell_daemon()
    click.echo(f"{gone} entries removed")
