"""``smsgwctl send``, ``trace``, ``explain``, ``unknown``: one message, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from smsgw.commands.base import (
    Context,
    Failed,
    actor,
    command,
    group,
    json_option,
    print_json,
    print_rows,
    print_table,
    say,
    show_time,
    type_option,
)
from smsgw.core.numbers import mask
from smsgw.core.pseudonyms import is_pseudonym
from smsgw.core.states import DECISIONS, STATUS_NAMES
from smsgw.core.words import Wording, listed, phrase, spoken
from smsgw.platform.messages import queries, service, undecided
from smsgw.platform.messages.model import TraceStep


@command()
@click.option("--account", required=True)
@click.option("--to", "to", required=True, multiple=True, help="Number; may be repeated.")
@click.option("--text", required=True)
@click.option("--sign", default="", help="Signature; the account's when not given.")
@type_option
@click.option("--emergency", is_flag=True, help=str(phrase("help.emergency")))
@json_option
async def send(
    ctx: Context, account: str, to: tuple[str, ...], text: str, sign: str, kind: str, emergency: bool, as_json: bool
) -> None:
    """Send a message through the running daemon."""
    body = {"account": account, "to": list(to), "text": text, "sign": sign, "type": kind, "emergency": emergency}
    result = await ctx.daemon("POST", "/send", body)
    if as_json:
        print_json(result)
    else:
        rows = [
            item | {"message": item.get("message") or str(STATUS_NAMES.get(item["status"], ""))}
            for item in result["items"]
        ]
        print_table(rows, ("to", "message_id", "status", "parts", "code", "message"), empty="nothing was sent")
    if result["rejected"]:
        raise SystemExit(1)


@command()
@click.option("--account", required=True)
@click.option("--to", "to", required=True, multiple=True)
@click.option("--text", required=True)
@click.option("--sign", default="")
@type_option
@json_option
async def explain(
    ctx: Context, account: str, to: tuple[str, ...], text: str, sign: str, kind: str, as_json: bool
) -> None:
    """What would become of a message: coding, parts, carrier, channels, or why it is refused. Sends nothing."""
    body = {"account": account, "to": list(to), "text": text, "sign": sign, "type": kind}
    result = await ctx.daemon("POST", "/explain", body)
    for item in result["items"]:
        pool = item.get("pool")
        item["channels"] = [
            {"name": c["name"], "state": c["state"], "reason": c["reason"]}
            for c in result["channels"]
            if pool in c["pools"]
        ]
    if as_json:
        print_json(result["items"])
        return
    for item in result["items"]:
        say(f"{item['to']}: {item['verdict']} ({item['code']}) {item['message']}")
        for check in item["checks"]:
            passed = phrase("explain.passed") if check["ok"] else check["message"]
            say(f"  {phrase('explain.check', check=check['check'], said=passed)}")
        if item.get("held"):
            say(f"  {phrase('explain.review', why=listed(item['held']))}")
        if "pool" in item:
            for line in _explained(item):
                say(f"  {line}")


def _explained(item: dict[str, Any]) -> list[Wording]:
    """Where a message would go, line by line."""
    names = ("carrier_name", "province", "carrier_known_by")
    lines: list[Wording] = [
        phrase("explain.number", number=item["number"], **{name: item[name] for name in names}),
        phrase("explain.content", content=item["content"]),
        phrase("explain.coding", **{name: item[name] for name in ("coding", "units", "parts", "price", "lane")}),
    ]
    for rule in item["rules"]:
        name = rule["rule"] or phrase("explain.default", carrier=item["carrier_name"])
        missed = phrase("explain.missed", miss=rule["miss"])
        verdict = missed if rule["miss"] else phrase("explain.hit", pool=rule["pool"])
        lines.append(phrase("explain.rule", name=name, verdict=verdict))
    shown = ", ".join(f"{c['name']}({c['state']})" for c in item["channels"]) or phrase("explain.none")
    return [*lines, phrase("explain.pool", pool=item["pool"], channels=shown)]


@command()
@click.argument("message_id", type=int)
@click.option("--unmask", is_flag=True, help="Show the whole number.")
@json_option
async def trace(ctx: Context, message_id: int, unmask: bool, as_json: bool) -> None:
    """The story of one message, from acceptance to the customer's acknowledgement."""
    async with ctx.database() as database:
        story = await service.read(ctx.change(database), message_id, unmasked=unmask)
    if story is None:
        raise Failed(f"no message {message_id}")
    message = story.message
    number = message.number if unmask and not is_pseudonym(message.number) else mask(message.number)
    if as_json:
        data: dict[str, Any] = asdict(story)
        data["message"]["number"] = number
        data["message"]["id"] = str(message.id)
        data["message"]["batch_id"] = str(message.batch_id)
        data["steps"] = [_step(step) for step in story.steps]
        print_json(data)
        return
    say(f"message  {message.id}  {message.status}({STATUS_NAMES[message.status]})  {message.cls}")
    say(f"to       {number}  {message.carrier} {message.province}")
    say(f"account  {message.account_name}  type {message.type}  by {message.origin}/{message.submitter or '-'}")
    say(f"content  {message.content}")
    say(f"parts    {message.parts} × {message.coding}")
    rows = []
    begin = story.steps[0].at
    for step in story.steps:
        detail = "  ".join(f"{k}={v}" for k, v in step.detail.items() if v != "")
        after = (step.at - begin).total_seconds() * 1000
        rows.append(
            {"time": show_time(step.at), "+ms": f"{after:.0f}", "part": step.part or "-", "step": step.step,
             "": str(step.label), "detail": detail}
        )  # fmt: skip
    print_table(rows, ("time", "+ms", "part", "step", "", "detail"), empty="")


def _step(step: TraceStep) -> dict[str, Any]:
    """For JSON: what ``asdict`` would take apart, in words."""
    detail = {name: spoken(value, False) for name, value in step.detail.items()}
    return {"at": step.at, "step": step.step, "label": str(step.label), "part": step.part, "detail": detail}


@command()
@click.argument("message_id", type=int, required=False)
@click.option("--batch", "batch_id", type=int, default=0, help="Cancel what still waits of this call instead.")
@json_option
async def cancel(ctx: Context, message_id: int | None, batch_id: int, as_json: bool) -> None:
    """Cancel a message that no carrier has been given any part of; it is refunded and reported."""
    if (message_id is None) == (not batch_id):
        raise click.UsageError("give either MESSAGE_ID or --batch BATCH_ID")
    body = {"batch_id": batch_id} if batch_id else {"message_id": message_id}
    done = await ctx.daemon("POST", "/cancel", body)
    if as_json:
        print_json(done)
    else:
        late = done["messages"] - done["cancelled"]
        click.echo(f"{done['cancelled']} cancelled" + (f", {late} too late" if late else ""))


@group()
def unknown() -> None:
    """Parts whose outcome is unknown (结果未知)."""


@unknown.command("list")
@click.option("--limit", type=click.IntRange(1, 100_000), default=500, show_default=True)
@json_option
async def unknown_list(ctx: Context, limit: int, as_json: bool) -> None:
    """Written to a carrier, and the answer was lost; oldest first."""
    async with ctx.database() as database:
        rows = await queries.unknown(database, limit=limit)
    lines = [
        {
            "message_id": str(r["id"]), "part": r["part"], "account": r["account_name"], "channel": r["channel_name"],
            "number": mask(r["number"]), "since": r["claimed_at"], "why": r["code"], "policy": r["policy"],
            "acts_at": r["next_at"],
        }
        for r in rows
    ]  # fmt: skip
    if as_json:
        print_json(lines)
    else:
        print_table(
            lines,
            ("message_id", "part", "account", "channel", "number", "since", "why", "policy", "acts_at"),
            empty="nothing is unknown",
        )


@unknown.command("resolve")
@click.argument("message_id", type=int)
@click.option(
    "--as",
    "decision",
    type=click.Choice(tuple(DECISIONS)),
    required=True,
    help="unconfirmed: end it as unknown; delivered, failed: the carrier told you; resend: may arrive twice.",
)
@click.option("--part", type=click.IntRange(0, 255), default=0, help="0: all unknown parts.")
async def unknown_resolve(ctx: Context, message_id: int, decision: str, part: int) -> None:
    """Decide about the unknown parts of a message. Of what a restore has left uncertain: ``unknown restored``."""
    body = {"message_id": message_id, "part": part, "decision": decision}
    result = await ctx.daemon("POST", "/unknown/resolve", body)
    click.echo(f"{result['parts']} part(s): {decision}")


@unknown.command("restored")
@click.option("--as", "decision", type=click.Choice(undecided.DECISIONS),
              help="unconfirmed: may have arrived; expired: was never sent; resend: may arrive twice.")  # fmt: skip
@click.option("--account", default="", help="Of this account alone.")
@click.option("--was", type=click.Choice(undecided.WAS), multiple=True, help="What they were; several may be named.")
@click.option("--lane", "lanes", type=click.Choice(undecided.LANES), multiple=True)
@click.option("--extend", type=click.IntRange(0, 72), default=0, show_default=True, metavar="HOURS",
              help="resend: let what is over, or ends before that, be valid for so long.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Ask nothing.")
@json_option
async def unknown_restored(
    ctx: Context, decision: str | None, account: str, was: Sequence[str], lanes: Sequence[str], extend: int, yes: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """What a restore has left uncertain: how many, and with --as decide about all of them that are named."""
    which = undecided.which(account, was, lanes)
    async with ctx.database() as database:
        found = await undecided.numbers(database, actor(), which, ctx.settings.durability.resend_within)
    lines = [asdict(one) for one in found]
    if decision is None or not found:
        columns = tuple(undecided.Undecided.__slots__)
        print_rows(lines, columns, as_json, empty="nothing is undecided")
        return
    parts, valid = sum(one.parts for one in found), sum(one.valid for one in found)
    if not as_json:
        print_table(lines, tuple(undecided.Undecided.__slots__), empty="")
    if decision == "resend":
        more = f" (or become so for {extend} h)" if extend else ""
        say(f"Of {parts} parts those that are still valid, {valid}{more}, are sent again, and may arrive twice; none "
            "of those that waited for a reviewer, are too old, or whose numbers are on a list by now.")  # fmt: skip
    else:
        say(f"{parts} parts end as {decision}" + (", and are paid back." if decision == "expired" else "."))
    if not yes and not click.confirm("Go on?", err=True):
        raise Failed("nothing was changed")
    done, blocked, body = 0, 0, {"decision": decision, "account": account, "was": list(was), "lanes": list(lanes),
                     "extend_s": extend * 3600}  # fmt: skip
    after: int | None = 0
    while after is not None:
        step = await ctx.daemon("POST", "/unknown/restored", body | {"after": after})
        done, blocked, after = done + step["parts"], blocked + step["blocked"], step["after"]
    if as_json:
        print_json({"decision": decision, "parts": done, "blocked": blocked})
        return
    say(f"{done} part(s): {decision}")
    if blocked:
        say(f"{blocked} message(s) stay uncertain: by now nothing of their kind may go to their numbers")
