"""``smsgwctl consent`` and ``filter``: who has agreed to get marketing; lists of numbers that are looked at."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from smsgw.commands.account import account_id
from smsgw.commands.base import (
    Context,
    Failed,
    actor,
    group,
    json_option,
    known,
    limit_option,
    print_json,
    print_table,
    say,
)
from smsgw.commands.content import account_id_of
from smsgw.core import numbers
from smsgw.core.numbers import InvalidNumber, mask
from smsgw.node import control_client
from smsgw.platform.handles import Database
from smsgw.platform.lists import consent_import, consents as service
from smsgw.platform.lists.consents import Consent, Given, Source, WantedConsents
from smsgw.platform.numbers import filters
from smsgw.platform.numbers.filters import STATES, NumberFilter
from smsgw.platform.paging import Window
from smsgw.platform.sheets import queries as sheets
from smsgw.platform.sheets.model import MOST_ROWS, Outcome

SOURCES = click.Choice([one.value for one in Source])
PATIENCE = 900.0
_FILE = click.Path(exists=True, dir_okay=False, resolve_path=True, path_type=Path)


def _number(text: str) -> str:
    try:
        return numbers.normalize(text)
    except InvalidNumber as exc:
        raise Failed(f"{text}: {exc}") from exc


def _moment(_: click.Context, __: click.Parameter, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return service.moment(text)
    except ValueError as exc:
        raise click.BadParameter(f"{text}: should be like 2026-05-01, or 2026-05-01 09:30 (China's time)") from exc


# --- consents --------------------------------------------------------------------------------------------------------


@group()
def consent() -> None:
    """The ledger of consents (同意台账): with the policy consent, marketing goes to nobody else."""


def _line(one: Consent) -> dict[str, Any]:
    return {
        "id": str(one.id), "account": one.account, "number": mask(one.number), "state": one.state,
        "source": one.source, "proof": one.proof, "file": one.proof_file is not None, "wording": one.wording,
        "given_at": one.given_at, "entered_by": one.entered_by, "entered_at": one.entered_at,
        "withdrawn_at": one.withdrawn_at, "withdrawal": one.withdrawal,
    }  # fmt: skip


@consent.command("list")
@click.option("--account", default="")
@click.option("--number", default="")
@click.option("--state", type=click.Choice(("given", "withdrawn", "replaced")))
@limit_option
@json_option
async def consent_list(ctx: Context, account: str, number: str, state: str | None, limit: int, as_json: bool) -> None:
    """Rows of the ledger, newest first."""
    async with ctx.database() as database:
        whose = await account_id_of(database, account) or None
        wanted = WantedConsents(_number(number) if number else "", state or "", account_id=whose)
        found = (await service.search(database, wanted, Window("at", limit=limit), accounts=None)).rows
    lines = [_line(one) for one in found]
    if as_json:
        print_json(lines)
    else:
        columns = ("id", "account", "number", "state", "source", "proof", "file", "given_at", "withdrawn_at")
        print_table(lines, columns, empty="no consents; next: smsgwctl consent add --help")


@consent.command("add")
@click.argument("given", metavar="NUMBER…", nargs=-1, required=True)
@click.option("--account", required=True)
@click.option("--source", type=SOURCES, required=True, help="How they have agreed.")
@click.option("--proof", required=True, help="Where the proof can be looked at: archive number, address …")
@click.option("--at", callback=_moment, required=True, help="When, such as 2026-05-01.")
@click.option("--wording", default="", help="What they have agreed to, or its version.")
async def consent_add(
    ctx: Context, given: tuple[str, ...], account: str, source: str, proof: str, at: datetime, wording: str
) -> None:
    """Enter consents of up to 1,000 numbers; more of them: smsgwctl consent import."""
    some = [_number(one) for one in given]
    async with ctx.database() as database:
        said = Given(Source(source), wording, proof, at)
        n = await service.give(ctx.change(database), await account_id(database, account), some, said)
    await ctx.tell_daemon()
    click.echo(f"{n} entered; {len(set(some)) - n} have withdrawn later and stay withdrawn")


@consent.command("withdraw")
@click.argument("id_", metavar="ID", type=int)
@click.argument("reason")
async def consent_withdraw(ctx: Context, id_: int, reason: str) -> None:
    """Somebody agrees no more; marketing that waits is taken back."""
    async with ctx.database() as database:
        with known(f"consent {id_}", "smsgwctl consent list"):
            await service.withdraw(ctx.change(database), id_, reason)
    await ctx.tell_daemon()
    click.echo(f"consent {id_} withdrawn")


@consent.command("import")
@click.argument("path", metavar="FILE", type=_FILE)
@click.option("--account", required=True)
@click.option("--column", "columns", multiple=True, metavar="MEANING=COLUMN",
              help=f"{', '.join(consent_import.COLUMNS)}; a column by name or letter; repeat it.")  # fmt: skip
@click.option("--source", type=SOURCES, help="For rows that do not say how.")
@click.option("--proof", default="", help="For rows that do not say it.")
@click.option("--at", callback=_moment, help="For rows that do not say when, such as 2026-05-01.")
@click.option("--wording", default="", help="For rows that do not say it.")
@json_option
async def consent_import_(
    ctx: Context, path: Path, account: str, columns: tuple[str, ...], source: str | None, proof: str,
    at: datetime | None, wording: str, as_json: bool,
) -> None:  # fmt: skip
    """Bring in a CSV or XLSX of up to 10,000 rows, through the running daemon."""
    named = {}
    for text in columns:
        meaning, equals, column = text.partition("=")
        if not equals or meaning not in consent_import.COLUMNS:
            known = ", ".join(consent_import.COLUMNS)
            raise click.UsageError(f"--column {text}: should be like number=A; there are {known}")
        named[meaning] = column
    if "number" not in named:
        raise click.UsageError("say which column has the numbers: --column number=A")
    body = {
        "account": account, "file": str(path), "columns": named, "source": source, "proof": proof, "wording": wording,
        "given_at": None if at is None else at.isoformat(),
    }  # fmt: skip
    made = await control_client.call(ctx.settings.control_socket, "POST", "/consents/import", body, timeout_s=PATIENCE)
    if as_json:
        print_json(made)
    else:
        click.echo(f"import {made['import']} begun; next: smsgwctl consent imported {made['import']}")


@consent.command("imported")
@click.argument("id_", metavar="IMPORT", type=int)
@json_option
async def consent_imported(ctx: Context, id_: int, as_json: bool) -> None:
    """How an import stands, and which rows were not entered."""
    async with ctx.database() as database:
        with known(f"import {id_} of consents", "smsgwctl job list"):
            job = await consent_import.one(database, actor(), id_)
        counts = await sheets.counts(database, id_)
        bad = [
            r for r in await sheets.results(database, id_, MOST_ROWS) if r.outcome in (Outcome.SKIPPED, Outcome.WRONG)
        ]
    summary = {outcome.value: counts.get(outcome, 0) for outcome in Outcome}
    lines = [{"line": r.line, "number": r.key, "outcome": r.outcome.value, "why": r.said_en} for r in bad]
    if as_json:
        print_json({"import": str(id_), "state": job.state.value, "done": job.done, "total": job.total, **summary,
                    "rows": lines})  # fmt: skip
        return
    click.echo(f"{job.state.value}: {job.done} of {job.total or '?'} rows; "
               + ", ".join(f"{n} {name}" for name, n in summary.items()))  # fmt: skip
    if lines:
        print_table(lines, ("line", "number", "outcome", "why"), empty="")


@consent.command("proof")
@click.argument("id_", metavar="ID", type=int)
@click.argument("path", metavar="FILE", type=_FILE)
async def consent_proof(ctx: Context, id_: int, path: Path) -> None:
    """Bring the picture or PDF that proves a row, and those entered with it, through the running daemon."""
    body = {"consent": id_, "file": str(path)}
    with known(f"consent {id_}", "smsgwctl consent list"):
        socket = ctx.settings.control_socket
        made = await control_client.call(socket, "POST", "/consents/proof", body, timeout_s=PATIENCE)
    click.echo(f"{made['entries']} rows of the ledger have the file now")


# --- number filters --------------------------------------------------------------------------------------------------


@group("filter")
def filter() -> None:
    """Lists of numbers that are looked at (空号过滤): by what is known here, then, at a price, by the provider."""


def _filter_line(one: NumberFilter) -> dict[str, Any]:
    return {
        "id": str(one.id), "name": one.name, "account": one.account, "job": one.job_state, "numbers": one.total,
        "invalid": one.invalid, "duplicates": one.duplicates, "asked": one.asked, "yuan": f"{one.cost / 1000:.3f}",
        "created_at": one.created_at,
    }  # fmt: skip


def _known(id_: int) -> AbstractContextManager[None]:
    return known(f"list {id_}", "smsgwctl filter list")


async def _filter(database: Database, id_: int) -> NumberFilter:
    found = await filters.one(database, id_, accounts=None)
    if found is None:
        raise Failed(f"no list {id_}; smsgwctl filter list shows them")
    return found


@filter.command("list")
@click.option("--account", default="")
@limit_option
@json_option
async def filter_list(ctx: Context, account: str, limit: int, as_json: bool) -> None:
    """The newest lists."""
    async with ctx.database() as database:
        whose = await account_id_of(database, account) or None
        found = (await filters.search(database, Window("at", limit=limit), accounts=None, account_id=whose)).rows
    lines = [_filter_line(one) for one in found]
    if as_json:
        print_json(lines)
    else:
        columns = ("id", "name", "account", "job", "numbers", "invalid", "duplicates", "asked", "yuan", "created_at")
        print_table(lines, columns, empty="no lists")


@filter.command("add")
@click.argument("name")
@click.argument("given", metavar="NUMBER…", nargs=-1)
@click.option("--account", required=True)
@click.option("--file", "file", type=click.File(encoding="utf-8"), help="Numbers, one a line; - is standard input.")
@json_option
async def filter_add(ctx: Context, name: str, given: tuple[str, ...], account: str, file: Any, as_json: bool) -> None:
    """Have up to 10,000 numbers looked at by what is known here, which costs nothing."""
    some = [*given, *(line.strip() for line in (file or ()) if line.strip())]
    good, invalid = list[str](), 0
    for one in some:
        try:
            good.append(numbers.normalize(one))
        except InvalidNumber:
            invalid += 1
    if not good:
        raise Failed("no number in it: give numbers, or --file with one a line")
    async with ctx.database() as database:
        whose = await account_id(database, account)
        id_ = await filters.begin(ctx.change(database), name, whose, good, invalid=invalid)
    await ctx.tell_daemon()
    if as_json:
        print_json({"id": str(id_), "invalid": invalid})
    else:
        click.echo(f"list {id_}, {invalid} unreadable; next: smsgwctl filter show {id_}")


@filter.command("show")
@click.argument("id_", metavar="ID", type=int)
@json_option
async def filter_show(ctx: Context, id_: int, as_json: bool) -> None:
    """How a list stands, and what its numbers have come to."""
    async with ctx.database() as database:
        line = _filter_line(await _filter(database, id_))
        counted = await filters.counts(database, id_)
        askable = await filters.askable(database, id_)
    line |= {"counts": {state: counted[state].n for state in STATES if state in counted}, "askable": askable}
    if as_json:
        print_json(line)
        return
    for name, value in line.items():
        say(f"{name:<12} {value}")


@filter.command("numbers")
@click.argument("id_", metavar="ID", type=int)
@click.argument("state", type=click.Choice(STATES))
async def filter_numbers(ctx: Context, id_: int, state: str) -> None:
    """The whole numbers of a list that have come to a state, one a line."""
    async with ctx.database() as database:
        await _filter(database, id_)
        for row in await filters.rows(database, id_, state):
            click.echo(row["number"])


@filter.command("ask")
@click.argument("id_", metavar="ID", type=int)
@click.option("--most", type=click.IntRange(1), required=True, help="Numbers to pay for at most.")
async def filter_ask(ctx: Context, id_: int, most: int) -> None:
    """Ask the provider about numbers that nobody here knows, at its price."""
    async with ctx.database() as database:
        with _known(id_):
            await filters.ask(ctx.change(database), id_, most)
    await ctx.tell_daemon()
    click.echo(f"the provider is asked about up to {most}; next: smsgwctl filter show {id_}")


@filter.command("remove")
@click.argument("id_", metavar="ID", type=int)
async def filter_remove(ctx: Context, id_: int) -> None:
    """Forget a list; what was learned of its numbers stays."""
    async with ctx.database() as database:
        with _known(id_):
            await filters.remove(ctx.change(database), id_)
    click.echo(f"list {id_} removed")
