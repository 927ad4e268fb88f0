"""``smsgwctl scenario``, ``draft``, ``phrase``, ``consent``, ``filter``: what they do, errors that say what to do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace

import pytest_asyncio
from aiohttp import web
from changes import by_test
from click.testing import CliRunner, Result

from smsgw.cli import main
from smsgw.node import control
from smsgw.platform.accounts import service as accounts
from smsgw.platform.campaigns.service import Tasks
from smsgw.platform.drafts.surveyor import Surveyor
from smsgw.platform.review.service import Reviewing
from smsgw.store.engine.database import Database

Command = Callable[..., Awaitable[Result]]


@pytest_asyncio.fixture
async def ctl(dsn: str, database: Database, tmp_path: Path) -> Command:
    """Runs a command as a process of its own would, beside an account."""
    await accounts.add(by_test(database), "hall", default_sign="测试")
    settings = {"SMSGW_DATABASE_DSN": dsn, "SMSGW_NODE_DATA_DIR": str(tmp_path), "SMSGW_PUBLIC_HOSTS": "s.example.cn"}

    async def run(*args: str, stdin: str = "") -> Result:
        return await asyncio.to_thread(CliRunner(env=settings).invoke, main, args, input=stdin)

    return run


async def good(ctl: Command, *args: str, stdin: str = "") -> str:
    result = await ctl(*args, stdin=stdin)
    assert result.exit_code == 0, result.output
    return result.output


async def test_a_scenario_is_made_shown_changed_and_stopped(ctl: Command) -> None:
    asked = ("提醒", "--account", "hall", "--window", "1-5 08:30-11:30 13:30-20:00", "--json")
    made = json.loads(await good(ctl, "scenario", "add", *asked))
    assert (made["window"], made["type"], made["state"]) == ("mon-fri 08:30-11:30 13:30-20:00", "notice", "active")
    await good(ctl, "scenario", "set", made["id"], "--valid", "30", "--window", "", "--note", "窗口用")
    shown = json.loads(await good(ctl, "scenario", "show", made["id"], "--json"))
    assert (shown["window"], shown["valid_minutes"], shown["note"]) == ("", 30, "窗口用")
    assert f"smsgwctl scenario start {made['id']}" in await good(ctl, "scenario", "stop", made["id"])
    listed = json.loads(await good(ctl, "scenario", "list", "--state", "stopped", "--json"))
    assert [one["name"] for one in listed] == ["提醒"]
    twice = await ctl("scenario", "add", "提醒", "--account", "hall")
    assert twice.exit_code == 1
    assert "take another name" in twice.output, "in English, as all that is said there"
    assert "smsgwctl scenario list" in (await ctl("scenario", "show", "99")).output
    wrong = await ctl("scenario", "add", "x", "--account", "hall", "--window", "8")
    assert (wrong.exit_code, "09:00-18:00" in wrong.output) == (2, True)


async def test_drafts_of_accounts_are_kept_and_removed(ctl: Command) -> None:
    asked = ("--account", "hall", "--name", "提醒", "--text", "您好", "--to", "13800138000")
    said = await good(ctl, "draft", "add", *asked)
    id_ = said.split()[1].strip(";")
    assert f"smsgwctl draft submit {id_}" in said
    await good(ctl, "draft", "set", id_, "--text", "您好", "--to", "13800138000", "--to", "13900139000")
    assert json.loads(await good(ctl, "draft", "show", id_, "--json"))["numbers"] == 2
    followed = ("--hop", "failed:请查收", "--hop-minutes", "60", "--window", "1-5 09:00-11:30 14:00-17:00")
    await good(ctl, "draft", "set", id_, "--text", "您好", "--to", "13800138000", *followed)
    kept = json.loads(await good(ctl, "draft", "show", id_, "--json"))
    assert (kept["window"], kept["fallback"]["minutes"]) == ("mon-fri 09:00-11:30 14:00-17:00", 60)
    assert [hop["content"] for hop in kept["fallback"]["hops"]] == ["请查收"]
    away = await ctl("draft", "submit", id_)
    assert away.exit_code == 1, "no daemon runs"
    assert "smsgw" in away.output
    both = await ctl("draft", "add", "--account", "hall", "--to", "13800138000", "--audience", "1")
    assert (both.exit_code, "not both" in both.output) == (2, True)
    assert "2026-05-01T09:00" in (await ctl("draft", "add", "--account", "hall", "--at", "soon")).output
    await good(ctl, "draft", "remove", id_)
    assert "smsgwctl draft list" in (await ctl("draft", "show", id_)).output


async def test_phrases_are_shared_with_an_account(ctl: Command) -> None:
    id_ = json.loads(await good(ctl, "phrase", "add", "证件", "请携带身份证", "--account", "hall", "--json"))["id"]
    await good(ctl, "phrase", "set", id_, "--content", "请携带原件")
    (one,) = json.loads(await good(ctl, "phrase", "list", "--json"))
    assert (one["content"], one["with"], one["owner"]) == ("请携带原件", "hall", "")
    await good(ctl, "phrase", "remove", id_)
    assert "smsgwctl phrase list" in (await ctl("phrase", "set", id_, "--title", "x")).output


async def test_consents_are_entered_found_and_withdrawn(ctl: Command) -> None:
    said = ("--account", "hall", "--source", "paper", "--proof", "archive 7", "--at", "2026-01-02")
    assert "2 entered" in await good(ctl, "consent", "add", "13800138000", "13900139000", *said)
    listed = json.loads(await good(ctl, "consent", "list", "--number", "13800138000", "--json"))
    assert [(one["state"], one["file"]) for one in listed] == [("given", False)]
    await good(ctl, "consent", "withdraw", listed[0]["id"], "本人来电")
    assert "1 entered" in await good(ctl, "consent", "add", "13800138000", "13700137000", *said)
    again = await ctl("consent", "withdraw", listed[0]["id"], "再次")
    assert (again.exit_code, "STATE_CONFLICT" in again.output) == (1, True)
    assert "2026-05-01" in (await ctl("consent", "add", "13800138000", *said[:-1], "soon")).output


async def test_an_import_of_consents_asks_for_its_columns(ctl: Command, tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text("手机号\n13800138000\n", "utf-8")
    nothing = await ctl("consent", "import", str(table), "--account", "hall")
    assert (nothing.exit_code, "--column number=A" in nothing.output) == (2, True)
    wrong = await ctl("consent", "import", str(table), "--account", "hall", "--column", "phone=A")
    assert (wrong.exit_code, "number, given_at" in wrong.output) == (2, True)


async def test_numbers_are_looked_at(ctl: Command) -> None:
    table = "13800138000\nx\n\n13900139000\n"
    said = await good(ctl, "filter", "add", "名单", "--account", "hall", "--file", "-", stdin=table)
    assert "1 unreadable" in said
    id_ = said.split()[1].strip(",")
    shown = json.loads(await good(ctl, "filter", "show", id_, "--json"))
    assert (shown["numbers"], shown["invalid"]) == (2, 1)
    assert "one a line" in (await ctl("filter", "add", "x", "--account", "hall")).output
    assert "STATE_CONFLICT" in (await ctl("filter", "ask", id_, "--most", "5")).output
    await good(ctl, "filter", "remove", id_)
    assert "smsgwctl filter list" in (await ctl("filter", "show", id_)).output


UNKNOWN = {
    "scenario show 99": "scenario list", "scenario set 99 --name x": "scenario list",
    "scenario stop 99": "scenario list", "scenario start 99": "scenario list",
    "draft show 99": "draft list", "draft set 99 --text x": "draft list", "draft remove 99": "draft list",
    "draft submit 99": "draft list",
    "phrase set 99 --title x": "phrase list", "phrase remove 99": "phrase list",
    "consent withdraw 99 asked": "consent list", "consent imported 99": "job list",
    "consent proof 99 {file}": "consent list",
    "filter show 99": "filter list", "filter numbers 99 empty": "filter list",
    "filter ask 99 --most 1": "filter list", "filter remove 99": "filter list",
    **{f"task {verb} 99": "task list" for verb in ("show", "pause", "resume", "cancel", "pass", "reject --reason x",
                                                   "report", "errors")},
}  # fmt: skip
"""Each command about one thing, and the one that shows which there are."""


async def test_what_is_not_there_is_said_in_english_with_where_to_look(
    ctl: Command, database: Database, tmp_path: Path
) -> None:
    file = tmp_path / "proof.pdf"
    file.write_bytes(b"%PDF-1.7")
    empty = SimpleNamespace(store=None)
    surveyor = Surveyor(database, *[empty] * 5)  # type: ignore[arg-type]
    node = SimpleNamespace(database=database, surveyor=surveyor, ids=SimpleNamespace(next=None))
    node.tasks = Tasks(database, acceptor=empty, outcomes=empty, files=empty, ids=empty, fleet=empty, hub=empty,
                       snapshots=empty, links=empty)  # type: ignore[arg-type]  # fmt: skip
    node.reviewing = Reviewing(database, empty, empty, empty, node.tasks)  # type: ignore[arg-type]
    runner = web.AppRunner(control.application(node))  # type: ignore[arg-type]
    await runner.setup()
    await web.UnixSite(runner, tmp_path / "control.sock").start()
    try:
        for command, shown_by in UNKNOWN.items():
            result = await ctl(*command.format(file=file).split())
            said = result.output.strip()
            assert (result.exit_code, "99" in said, said.isascii()) == (1, True, True), (command, said)
            assert said.endswith(f"smsgwctl {shown_by} shows them"), (command, said)
    finally:
        await runner.cleanup()


async def test_what_is_not_there_is_named(ctl: Command) -> None:
    for asked, said in {
        "backup rehearse 77": "no backup 77; smsgwctl backup list shows them",
        "channel set nowhere --rate 5": "no channel nowhere; smsgwctl channel list",
        "channel rollback nowhere 1 --seen 1": "no channel nowhere; smsgwctl channel list",
        "channel remove nowhere": "no channel nowhere; smsgwctl channel list",
        "partner set nobody --rate 5": "no partner nobody; smsgwctl partner list",
        "partner kick nobody": "no partner nobody; smsgwctl partner list",
        "partner remove nobody": "no partner nobody; smsgwctl partner list",
        "route move --account hall --to nowhere": "no channel nowhere, or no account hall; smsgwctl",
        "route rollback 99 --seen 0": "no version 99 of the routes; smsgwctl route versions",
    }.items():
        result = await ctl(*asked.split())
        assert (result.exit_code, said in result.output) == (1, True), result.output


async def test_a_way_back_of_routes_says_what_was_looked_at(ctl: Command) -> None:
    """Without a terminal nobody can be asked: the version in force is named."""
    unsaid = await ctl("route", "rollback", "0")
    assert unsaid.exit_code == 2
    assert "--seen" in unsaid.output
    refused = await ctl("route", "rollback", "0", "--seen", "7")
    assert refused.exit_code == 1, "another one is in force"


async def test_codes_of_a_short_link_go_into_a_new_file_for_their_owner_alone(ctl: Command, tmp_path: Path) -> None:
    target = "https://www.example.cn/?Sign=%7e"
    made = await good(ctl, "short-link", "add", "x", target, "--account", "hall", "--personal", "3", "--json")
    assert json.loads(made)["target"] == target
    file = tmp_path / "codes.csv"
    asked = ("short-link", "codes", json.loads(made)["id"], "--out", str(file))
    await good(ctl, *asked)
    assert file.stat().st_mode & 0o777 == 0o600
    lines = file.read_text().splitlines()
    assert (len(lines), lines[1].startswith("1,https://s.example.cn/")) == (4, True)
    again = await ctl(*asked)
    assert (again.exit_code, "File exists" in again.output) == (1, True)
