"""Commands of contents, routes and lists: what they print, and that each moves the sections it changes, no other."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import click
import pytest_asyncio
from aiohttp import web
from changes import by_test
from click.testing import CliRunner, Result
from databases import change, owner

from smsgw.cli import main
from smsgw.node import control
from smsgw.pipeline.snapshot import NEEDS, SnapshotFollower
from smsgw.platform.accounts import service as accounts
from smsgw.platform.campaigns.service import Tasks
from smsgw.platform.drafts.surveyor import Surveyor
from smsgw.platform.review.service import Reviewing
from smsgw.runtime import clock
from smsgw.store.engine import secrets
from smsgw.store.engine.database import Database

FILES = {
    "block.txt": "13800138001\n", "status.csv": "13800138002,empty\n", "numbers.csv": "1380013,CUCC,\n",
    "words.txt": "赌博,gambling,block\n",
    "routes.toml": '[[pool]]\nname = "all"\nchannels = ["main"]\n\n[[rule]]\nname = "rest"\npool = "all"\n',
    "password": "Right-Horse-7\n", "consents.csv": "number,given_at\n13800138008,2026-05-01\n",
}  # fmt: skip


class Step(NamedTuple):
    """A command, what it is given, and the sections that it moves. ``{sign add[id]}``: what a step before printed."""

    command: str
    given: str = ""
    sections: str = ""
    exit_code: int = 0


STEPS = (
    Step("migrate", "--dsn {owner}"),
    Step("check", exit_code=1),  # the tests' server does without fsync
    Step("account add", "acme --sign acme --extend-code 11 --balance 100 --json", "accounts webhooks"),
    Step("account add", "shop --parent acme", "accounts webhooks"), Step("account topup", "acme 10"),
    Step("account set", "shop rate=7", "accounts webhooks"), Step("account stop", "shop", "accounts webhooks"),
    Step("account start", "shop", "accounts webhooks"), Step("account list"), Step("account show", "acme"),
    Step("account tree"), Step("account usage", "acme"),
    Step("user add", "boss --role super --password-file {password}"), Step("user add", "zhang --account acme"),
    Step("user reset", "zhang"), Step("user stop", "zhang"), Step("user start", "zhang"), Step("user list"),
    Step("user unlock", "zhang"), Step("user code", "zhang"), Step("user reset-factors", "zhang"),
    Step("login show"), Step("login set", "--factor none --network any"), Step("login role", "operator --factor none"),
    Step("login person", "zhang --factor none"), Step("login password", "--days 90"),
    Step("ledger check"),
    Step("audit verify"),
    Step("evidence roots", "--from 2026-01-01 --to 2026-02-01"), Step("evidence verify"),
    Step("audit accept", "--reason restored"),
    Step("alarm list"), Step("alarm ack", "1"),
    Step("alarm receiver add", "duty mail --address ops@buyer.example.org"), Step("alarm receiver list"),
    Step("alarm receiver test", "1"), Step("alarm receiver stop", "1"), Step("alarm notes"),
    Step("alarm receiver start", "1"), Step("alarm again", "1"), Step("alarm rule list"),
    Step("alarm rule set", "queue_old --severity critical --threshold 60", sections="alarm_rules"),
    Step("alarm rule set", "12 --severity critical --threshold 61", sections="alarm_rules"),
    Step("alarm rule set", "queue_olt --threshold 60", exit_code=1),
    Step("alarm rule except", "queue_old lane/otp --threshold 30", sections="alarm_rules"),
    Step("alarm rule set", "queue_old lane/otp --threshold 40", sections="alarm_rules"),
    Step("alarm rule set", "queue_old lane/none --threshold 40", exit_code=1),
    Step("alarm rule reset", "queue_old lane/otp", sections="alarm_rules"),
    Step("alarm rule reset", "12", sections="alarm_rules"),
    Step("fault open", "slow"), Step("fault list"), Step("fault respond", "1"), Step("fault note", "1 checked"),
    Step("fault recover", "1"), Step("fault count", "1 planned --no"),
    Step("fault close", "1 --cause carrier --done waited"), Step("fault year"), Step("fault timeline"),
    Step("ticket open", "acme slow nothing_comes"), Step("ticket list"), Step("ticket take", "1"),
    Step("ticket say", "1 looking"), Step("ticket assign", "1 nobody", exit_code=1), Step("ticket show", "1"),
    Step("ticket close", "1 mended"), Step("ticket reopen", "1 again"),
    Step("duty now"), Step("duty show"), Step("duty set", "{today} day -"), Step("duty copy", exit_code=1),
    Step("duty contact add", "hotline line 12345"), Step("duty contact list"), Step("duty contact remove", "1"),
    Step("health show"), Step("health set", "ops@buyer.example.org --hour 7"), Step("health plan"), Step("health send"),
    Step("health mails"), Step("health again", "1", exit_code=1),
    Step("backup list"), Step("backup make", "/nowhere/at/all", exit_code=1), Step("backup rehearse", "1", exit_code=1),
    Step("restore", "/nowhere/at/all --yes", exit_code=1),
    Step("node list"), Step("node remove", "5", exit_code=1),
    Step("wall list"), Step("wall end", "5", exit_code=1),
    Step("alarm silence add", "work --kind channel_down"), Step("alarm silence list"), Step("alarm silence end", "1"),
    Step("alarm receiver remove", "1"),
    Step("account training", "acme --on --reason drill", exit_code=1),  # it is not stopped
    Step("key add", "acme --expires 9999-12-31", exit_code=1),
    Step("key add", "acme --json", "keys"), Step("key set", "{key add[key_id]} --requests-per-second 9", "keys"),
    Step("key rotate", "{key add[key_id]}", "keys"), Step("key retire", "{key add[key_id]}", "keys"),
    Step("key stop", "{key add[key_id]}", "keys"), Step("key start", "{key add[key_id]}", "keys"), Step("key list"),
    Step(
        "channel add",
        "main --protocol cmpp30 --host 127.0.0.1 --port 7890 --user 900001 --access-code 10690"
        " --password-file {password}",
        "channels",
    ),
    Step("channel set", "main --rate 50", "channels"), Step("channel start", "main", "channels"),
    Step("channel drain", "main", "channels"),
    Step("channel replace", "main main", exit_code=1),  # there is no other one
    Step("channel stop", "main", "channels"), Step("channel list"), Step("channel show", "main"),
    Step("channel versions", "main"),
    Step("channel rollback", "main 1 --reason back", exit_code=2),  # it does not say what was looked at
    Step("channel rollback", "main 1 --reason back --seen 1", exit_code=1),  # another one is in force
    Step("channel rollback", "main 1 --reason back --seen 2", "channels"),
    Step("channel approve", "main 1", exit_code=1),  # it does not wait
    Step("channel reject", "main 1", exit_code=1),
    Step("channel submits", "main --hours 1 --reason complaint", "channels"),
    Step("channel check", "main", exit_code=1),  # nobody listens there
    Step("retention show"), Step("retention rules"),
    Step("retention ask", "--messages 90 --inbound 90 --pdus 30 --reason privacy"),
    Step("retention decide", "1 --pass --answer yes", exit_code=1),  # by who has asked
    Step("retention run"),
    Step("access-code move", "--account acme 12", "accounts access_codes webhooks"),
    Step("access-code move", "--channel main 10691", "channels access_codes"), Step("access-code list"),
    Step("access-code tree"), Step("access-code conflicts"), Step("access-code free", "--length 2"),
    Step("route check", "{routes}"), Step("route simulate", "{routes}"),
    Step("route publish", "{routes} --note first", "routes"),
    Step("route move", "--account acme --to main", "routes"), Step("route restore", "--account acme", "routes"),
    Step("route rollback", "1 --seen 2", exit_code=1),  # another one is in force
    Step("route rollback", "1 --seen 3", "routes"),
    Step("setting set", "route_approval 1", "settings"),
    Step("route publish", "{routes} --note second"), Step("route submitted"), Step("route submission", "1"),
    Step("route approve", "1", exit_code=1),  # one's own
    Step("route reject", "1"),
    Step("setting set", "route_approval 0"),  # it takes two
    Step("route show"), Step("route versions"), Step("route diff", "1 2"),
    Step("kind add", "bill bills --base notice", "kinds"), Step("kind rename", "bill accounts", "kinds"),
    Step("kind retire", "bill", "kinds"), Step("kind restore", "bill", "kinds"), Step("kind list"),
    Step("number import", "{numbers}", "numbers"), Step("number imports"), Step("number take-back", "1", "numbers"),
    Step("number take-back", "1", exit_code=1),  # it was already
    Step("number import", "{numbers}", "numbers"), Step("number find", "13800138000"),
    Step("number remove", "1380013", "numbers"), Step("number status import", "{status}"),
    Step("number status find", "13800138002"), Step("number status list"),
    Step("number status remove", "13800138002"),
    Step("retry set", "busy otp --how same --tries 2 --first 1", "retry_rules"),
    Step("retry reset", "busy otp", "retry_rules"), Step("retry list"),
    Step("code set", "XY:01 --class NETWORK --fault network", "code_classes"),
    Step("code reset", "XY:01", "code_classes"), Step("code list"),
    Step("setting set", "complaint_days 3", "settings"), Step("setting list"),
    Step("webhook set", "acme main https://hooks.example.com/sms", "webhooks"),
    Step("webhook disable", "acme main", "webhooks"), Step("webhook enable", "acme main", "webhooks"),
    Step("webhook rotate", "acme main", "webhooks"), Step("webhook way", "acme webhook", "webhooks"),
    Step("webhook list"), Step("webhook deliveries", "acme"), Step("webhook redeliver", "acme"),
    Step("partner add", "acme --protocol smpp --user shop --password-file {password}", "partners webhooks"),
    Step("partner set", "shop --rate 5", "partners"), Step("partner list"), Step("partner kick", "shop"),
    Step("policy set", "hours off", "policies"), Step("policy clear", "hours", "policies"), Step("policy list"),
    Step("word add", "casino --category gambling", "words"), Step("word import", "{words}", "words"),
    Step("word category", "gambling review", "words"), Step("word remove", "casino", "words"), Step("word list"),
    Step("word test", "casino"),
    Step("allow add", "exempt 13800138003", "lists"), Step("allow remove", "exempt 13800138003", "lists"),
    Step("allow list"),
    Step("block add", "13800138004"), Step("block import", "{block}"), Step("block find", "13800138004"),
    Step("block list"), Step("block remove", "13800138004"),
    Step("complaint add", "13800138005 --json"), Step("complaint list"),
    Step("complaint show", "{complaint add[id]}"), Step("complaint step", "{complaint add[id]} checking called"),
    Step("complaint rates"),
    Step("sign add", "shop --account acme --json", "content"), Step("sign approve", "{sign add[id]}", "content"),
    Step("sign register", "{sign add[id]} registered", "content"), Step("sign show", "{sign add[id]}"),
    Step("sign list"), Step("sign matrix", "--state registered"), Step("sign proofs", "{sign add[id]}"),
    Step("sign unprove", "1", exit_code=1), Step("sign add", "other --account acme --json", "content"),
    Step("sign refuse", "{sign add[id]} doubtful", "content"),
    Step("template add", "one text --account acme --json", "content"),
    Step("template approve", "{template add[id]} --seen another", exit_code=1),
    Step("template approve", "{template add[id]}", "content"),
    Step("template register", "{template add[id]} registered", "content"),
    Step("template show", "{template add[id]}"), Step("template list"),
    Step("template add", "two other --account acme --json", "content"),
    Step("template refuse", "{template add[id]} doubtful", "content"),
    Step("link file", "shop.example.com --json", "url_filings"),
    Step("link set", "{link file[id]} registered", "url_filings"), Step("link list"),
    Step("link test", "shop.example.com/a"), Step("link remove", "{link file[id]}", "url_filings"),
    Step("short-link add", "spring https://www.example.cn/ --account acme --json"), Step("short-link list"),
    Step("short-link show", "{short-link add[id]}"), Step("short-link codes", "{short-link add[id]}"),
    Step("short-link target", "{short-link add[id]} https://www.example.cn/summer"),
    Step("short-link stop", "{short-link add[id]} --reason complaint"),
    Step("short-link start", "{short-link add[id]}"),
    Step("short-link pass", "{short-link add[id]} 2", exit_code=1),  # it is in force
    Step("short-link reject", "{short-link add[id]} 2 no", exit_code=1),
    Step("short-link clicks", "{short-link add[id]}"), Step("short-link judge"),
    Step("scenario add", "meters --account acme --type notice --json"),
    Step("scenario set", "{scenario add[id]} --note monthly"), Step("scenario stop", "{scenario add[id]}"),
    Step("scenario start", "{scenario add[id]}"), Step("scenario show", "{scenario add[id]}"), Step("scenario list"),
    Step("draft add", "--account acme --text hello --to 13800138000 --json"),
    Step("draft set", "{draft add[id]} --text again --to 13800138000"), Step("draft show", "{draft add[id]}"),
    Step("draft list"), Step("draft remove", "{draft add[id]}"),
    Step("phrase add", "greeting hello --account acme --json"),
    Step("phrase set", "{phrase add[id]} --title greetings"), Step("phrase list"),
    Step("phrase remove", "{phrase add[id]}"),
    Step("consent add", "13800138006 --account acme --source web --proof form-7 --at 2026-05-01"),
    Step("consent list", "--json"), Step("consent withdraw", "{consent list[0][id]} asked"),
    Step("consent imported", "1", exit_code=1),
    Step("filter add", "first 13800138007 --account acme --json"), Step("filter show", "{filter add[id]}"),
    Step("filter numbers", "{filter add[id]} empty"), Step("filter list"),
    Step("filter ask", "{filter add[id]} --most 1", exit_code=1), Step("filter remove", "{filter add[id]}"),
    Step("stats recount", "{today} --to {today}"), Step("stats show"),
    Step("job list", "--json"), Step("job show", "{job list[0][id]}"), Step("job cancel", "{job list[0][id]}"),
    Step("fact list"),
    Step("report unmatched"),
    Step("review list"), Step("review show", "1", exit_code=1),
    Step("task list"),
    Step("trace", "1", exit_code=1),
    Step("unknown list"), Step("unknown restored", "--as unconfirmed --yes"),
    Step("key-file show"), Step("key-file add"), Step("key-file rotate", "", "channels keys partners webhooks"),
    Step("key-file reseal"),
    Step("partner remove", "shop", "partners"),
    Step("webhook delete", "acme main", "webhooks"),
    Step("channel remove", "main", "access_codes channels"),
    Step("manual", "--out {manual}"),
    Step("diagnose", "--out {manual}.zip"),
    Step("pdu decode", "--protocol cmpp30 0000000c0000000800000001"),
)  # fmt: skip
"""In this order, as each finds what those before have left."""
ALARM = "INSERT INTO alarm (kind, object, severity, since, last) VALUES ('disk', 'node 1', 'warning', now(), now())"

OF_A_NODE = (
    Step("status"), Step("send", "--account acme --to 13800138000 --text hello"),
    Step("explain", "--account acme --to 13800138000 --text hello"), Step("cancel", "1"),
    Step("unknown resolve", "1 --as delivered"), Step("review pass", "1"), Step("review reject", "1 no"),
    Step("report rematch"), Step("fact retry"), Step("webhook test", "acme main"), Step("channel test", "main"),
    Step("channel record", "main {recorded}"),
    Step("task add", "--account acme --name n --to 13800138000 --text hello"), Step("task show", "1"),
    Step("task pause", "1"), Step("task resume", "1"), Step("task release", "1"), Step("task cancel", "1"),
    Step("task pass", "1"), Step("task reject", "1 --reason no"), Step("draft submit", "1"),
    Step("consent import", "{consents} --account acme --column number=A --column given_at=B"),
    Step("consent proof", "1 {consents}"), Step("sign prove", "1 {consents} --kind license"),
)  # fmt: skip
"""What a running node does when it is asked: without one they do nothing at all."""

PROGRAMS = {
    "run", "bench", "simulate", "demo",  # run until they are ended, with a database of their own or none
    "setup-code",  # shows what it derives, while there is nobody
    "demo-data",  # fills an empty database with 90 days; tests/integration/demo
    "pdu encode",  # from standard input
    "task errors", "task report",  # streams of the node
}  # fmt: skip


def _commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[str]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _commands(below, (*path, name))
    else:
        yield " ".join(path)


def test_every_command_has_its_line_here() -> None:
    tested, of_a_node = ({step.command for step in steps} for steps in (STEPS, OF_A_NODE))
    assert set(_commands(main)) == tested | of_a_node | PROGRAMS
    assert not tested & of_a_node
    assert not (tested | of_a_node) & PROGRAMS


class Runner:
    """Runs commands as processes of their own would; ``known`` is what their arguments are filled with."""

    def __init__(self, dsn: str, folder: Path) -> None:
        self._settings = {"SMSGW_DATABASE_DSN": dsn, "SMSGW_NODE_DATA_DIR": str(folder)}
        self._settings["SMSGW_PUBLIC_HOSTS"] = "s.example.cn"
        self.known: dict[str, Any] = {Path(name).stem: folder / name for name in (*FILES, "manual", "recorded")}
        self.known |= {"owner": owner(dsn), "today": f"{clock.now():%Y-%m-%d}"}
        for name, text in FILES.items():
            (folder / name).write_text(text, "utf-8")

    async def run(self, step: Step) -> Result:
        args = [*step.command.split(), *(word.format_map(self.known) for word in _words(step.given))]
        result = await asyncio.to_thread(CliRunner(env=self._settings).invoke, main, args)
        if "--json" in args and result.exit_code == 0:
            self.known[step.command] = json.loads(result.output)
        return result


def _words(given: str) -> list[str]:
    return [word.replace("\0", " ") for word in _joined(given).split()]


def _joined(given: str) -> str:
    """Spaces within braces do not divide."""
    inside, out = False, []
    for character in given:
        inside = character == "{" or (inside and character != "}")
        out.append("\0" if inside and character == " " else character)
    return "".join(out)


async def test_a_command_makes_a_node_read_again_what_it_has_moved_and_nothing_else(dsn: str, tmp_path: Path) -> None:
    runner = Runner(dsn, tmp_path)
    await change(dsn, ALARM)
    database = Database(dsn)
    await database.open()
    try:
        follower = SnapshotFollower(database, secrets.load_key(tmp_path / "secret.key", create=True))
        await follower.follow()
        wrong: list[tuple[object, ...]] = []
        for step in STEPS:
            follower.loads.clear()
            result = await runner.run(step)
            await follower.follow()
            if result.exit_code != step.exit_code:
                wrong.append((step, result.output, result.exception))
            elif follower.loads != Counter(step.sections.split()):
                wrong.append((step, sorted(follower.loads.elements())))
        assert wrong == []
    finally:
        await database.close()


async def test_what_is_asked_of_a_node_is_not_done_without_one(dsn: str, tmp_path: Path) -> None:
    runner = Runner(dsn, tmp_path)
    for step in OF_A_NODE:
        result = await runner.run(step)
        assert result.exit_code == 1, (step, result.output)
        assert "no daemon answers" in result.output, (step, result.output)


def test_sections_that_are_read_together_stand_together() -> None:
    for step in STEPS:
        moved = set(step.sections.split())
        for section, needs in NEEDS.items():
            assert not needs & moved or section in moved, step


Command = Callable[..., Awaitable[Result]]


@pytest_asyncio.fixture
async def ctl(dsn: str, database: Database, tmp_path: Path) -> Command:
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


async def test_what_is_not_there_is_said_in_english(ctl: Command, database: Database, tmp_path: Path) -> None:
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
