"""``smsgwctl number``: what is known better than the number segments (ported numbers, new segments)."""

from __future__ import annotations

import csv
from pathlib import Path

import click

from smsgw.commands.base import (
    Context,
    Failed,
    json_option,
    pass_context,
    print_json,
    print_table,
    run_async,
)
from smsgw.commands.number_status import number_status
from smsgw.core.numbers import MAX_OVERRIDES
from smsgw.core.words import heard
from smsgw.platform.routing import queries, service

CARRIERS = {name: id_ for id_, names in heard.CARRIERS.items() for name in (id_, *names)}
"""What a carrier may be called -> its id."""


@click.group()
def number() -> None:
    """Number overrides: ported numbers (携号转网), segments (号段); number status (空号检测)."""


number.add_command(number_status)


@number.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@pass_context
@run_async
async def number_import(ctx: Context, file: Path) -> None:
    """Read a CSV of prefix, carrier[, province]; a prefix of 11 digits is one number. All or nothing."""
    entries: list[tuple[str, str, str]] = []
    problems: list[str] = []
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            for line, row in enumerate(csv.reader(stream), 1):
                cells = [cell.strip() for cell in row]
                if not any(cells) or (line == 1 and not cells[0].isdigit()):
                    continue  # blank, or a heading
                prefix = cells[0]
                carrier = CARRIERS.get(cells[1].upper() if len(cells) > 1 else "")
                sound = prefix.isascii() and prefix.isdigit() and prefix[0] == "1" and 3 <= len(prefix) <= 11
                if not sound or carrier is None:
                    problems.append(f"line {line}: {','.join(cells)[:80]}")
                else:
                    entries.append((prefix, carrier, cells[2] if len(cells) > 2 else ""))
                if len(entries) > MAX_OVERRIDES or len(problems) > 20:
                    break
    except UnicodeDecodeError as exc:
        raise Failed(f"{file} is not UTF-8: {exc}") from exc
    if problems:
        known = ", ".join(sorted(CARRIERS))
        shown = "\n".join(
            ["nothing was imported; wanted: prefix (3–11 digits), carrier, province", *problems[:20]]
        )
        raise Failed(f"{shown}\ncarriers: {known}")
    if len(entries) > MAX_OVERRIDES:
        raise Failed(f"at most {MAX_OVERRIDES} entries")
    async with ctx.database() as database:
        await service.import_overrides(ctx.change(database), entries)
    await ctx.tell_daemon()
    click.echo(f"{len(entries)} entries imported")


@number.command("find")
@click.argument("prefix")
@json_option
@pass_context
@run_async
async def number_find(ctx: Context, prefix: str, as_json: bool) -> None:
    """Overrides that begin with these national digits."""
    if not prefix.isdigit():
        raise click.BadParameter("digits only", param_hint="PREFIX")
    async with ctx.database() as database:
        lines = [dict(row) for row in await queries.overrides(database, prefix)]
    if as_json:
        print_json(lines)
    else:
        print_table(
            lines, ("prefix", "carrier", "province", "source", "learned_code", "at"),
            empty="no override: the segment decides",
        )  # fmt: skip


@number.command("remove")
@click.argument("prefix")
@pass_context
@run_async
async def number_remove(ctx: Context, prefix: str) -> None:
    """Forget one override."""
    async with ctx.database() as database:
        if not await service.remove_override(ctx.change(database), prefix):
            raise Failed(f"no override {prefix}")
    await ctx.tell_daemon()
