"""``smsgwctl retry`` and ``smsgwctl code``: what follows a definite failure, and what carriers' codes mean."""

from __future__ import annotations

import click

from smsgw.commands.base import Context, Failed, group, json_option, print_json, print_table
from smsgw.core import report_codes
from smsgw.core.code_book import Source
from smsgw.core.model import REPORT_CLASSES, MessageType
from smsgw.core.retry import DEFAULTS, NEVER_RETRIED, Fault, RetryAction, Rule
from smsgw.platform.routing import queries, service
from smsgw.platform.routing.model import CARRIERS

FAULTS = click.Choice([str(f) for f in Fault])
TYPES = click.Choice([str(t) for t in MessageType])
CLASSES = click.Choice([*REPORT_CLASSES])


@group()
def retry() -> None:
    """The retry table (重试表): fault × business type. Only definite failures are ever retried."""


@retry.command("list")
@json_option
async def retry_list(ctx: Context, as_json: bool) -> None:
    """Every cell of the table in force; times in seconds, tries 0 is without limit, deadline 0 the validity."""
    async with ctx.database() as database:
        changed = await queries.changed_rules(database)
    lines = [
        {
            "fault": str(fault), "type": str(kind), "how": str(rule.how), "tries": rule.tries,
            "deadline_s": rule.deadline, "first_s": rule.first, "most_s": rule.most,
            "source": "set" if (fault, kind) in changed else "built-in",
        }
        for (fault, kind), rule in {**DEFAULTS, **changed}.items()
    ]  # fmt: skip
    if as_json:
        print_json(lines)
        return
    columns = ("fault", "type", "how", "tries", "deadline_s", "first_s", "most_s", "source")
    print_table([{k: f"{v:g}" if isinstance(v, float) else str(v) for k, v in line.items()} for line in lines],
                columns, empty="")  # fmt: skip


@retry.command("set")
@click.argument("fault", type=FAULTS)
@click.argument("kind", type=TYPES, metavar="TYPE")
@click.option("--how", type=click.Choice([str(h) for h in RetryAction]), required=True)
@click.option("--tries", type=click.IntRange(0, 100), default=1, show_default=True, help="0: without limit.")
@click.option("--deadline", type=click.FloatRange(0), default=0, help="Seconds from acceptance; 0: validity.")
@click.option("--first", type=click.FloatRange(0, 86_400), default=0, help="Seconds before the first retry …")
@click.option("--most", type=click.FloatRange(0, 86_400), help="… which doubles up to this; default: first.")
async def retry_set(
    ctx: Context, fault: str, kind: str, how: str, tries: int, deadline: float, first: float, most: float | None
) -> str:
    """Change one cell."""
    if Fault(fault) in NEVER_RETRIED and how != RetryAction.NEVER:
        raise Failed(f"{fault}: it may have arrived, or nobody knows what the code means; never retried")
    longest = first if most is None else most
    if longest < first:
        raise click.BadParameter("below --first", param_hint="--most")
    rule = Rule(RetryAction(how), tries, deadline, first, longest)
    async with ctx.database() as database:
        await service.set_rule(ctx.change(database), Fault(fault), MessageType(kind), rule)
    await ctx.tell_daemon()
    return f"{fault}, {kind}: {how}, {tries} tries within {deadline:g} s, {first:g} to {longest:g} s apart"


@retry.command("reset")
@click.argument("fault", type=FAULTS, required=False)
@click.argument("kind", type=TYPES, metavar="[TYPE]", required=False)
async def retry_reset(ctx: Context, fault: str | None, kind: str | None) -> None:
    """Back to the built-in table: one cell, one fault, or all of it."""
    async with ctx.database() as database:
        gone = await service.reset_rules(
            ctx.change(database), Fault(fault) if fault else None, MessageType(kind) if kind else None
        )
    await ctx.tell_daemon()
    click.echo(f"{gone} cells reset")


@group()
def code() -> None:
    """What carriers' codes mean (状态码分类), in answers and in reports, for all channels or for one."""


@code.command("list")
@click.option("--all", "everything", is_flag=True, help="The built-in table of report codes, too.")
@json_option
async def code_list(ctx: Context, everything: bool, as_json: bool) -> None:
    """The lines that an operator has added."""
    async with ctx.database() as database:
        lines = [{"channel": row["channel"] or "*", "source": row["source"], "code": row["code"],
                  "class": row["class"], "fault": row["fault"], "carrier": row["carrier"], "from": "set"}
                 for row in await queries.code_classes(database)]  # fmt: skip
    if everything:
        lines += [{"channel": "*", "source": "report", "code": listed, "class": cls, "fault": str(fault), "carrier": "",
                   "from": "built-in"} for listed, (cls, fault) in report_codes.listed().items()]  # fmt: skip
    if as_json:
        print_json(lines)
    else:
        print_table(lines, ("channel", "source", "code", "class", "fault", "carrier", "from"),
                    empty="no line of an operator; the built-in table: smsgwctl code list --all")  # fmt: skip


def _source(answer: bool) -> Source:
    return Source.ANSWER if answer else Source.REPORT


_answer = click.option("--answer", is_flag=True, help="The code of an answer; otherwise of a report.")
_channel = click.option("--channel", help="For this channel only.")


@code.command("set")
@click.argument("value", metavar="CODE")
@click.option("--class", "cls", type=CLASSES, required=True, help="What the customer is told.")
@click.option("--fault", type=FAULTS, required=True, help="The row of the retry table.")
@click.option("--carrier", type=click.Choice(CARRIERS), help="With ported: whose the number is now.")
@_answer
@_channel
async def code_set(
    ctx: Context, value: str, cls: str, fault: str, carrier: str | None, answer: bool, channel: str | None
) -> str:
    """Say what a code means."""
    async with ctx.database() as database:
        await service.set_code(
            ctx.change(database), channel, _source(answer), value, cls, Fault(fault), carrier=carrier or ""
        )
    await ctx.tell_daemon()
    return f"{value} means {cls}, fault {fault}{f', for {channel}' if channel else ''}"


@code.command("reset")
@click.argument("value", metavar="CODE")
@_answer
@_channel
async def code_reset(ctx: Context, value: str, answer: bool, channel: str | None) -> str:
    """Back to the built-in meaning."""
    async with ctx.database() as database:
        if not await service.remove_code(ctx.change(database), channel, _source(answer), value):
            raise Failed(f"no line for {value}")
    await ctx.tell_daemon()
    return f"{value} has its built-in meaning{f' for {channel}' if channel else ''}"
