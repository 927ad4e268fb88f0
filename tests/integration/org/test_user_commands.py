"""``smsgwctl user``: people come, are stopped at once, and passwords stay out of the list of processes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from changes import by_test
from click.testing import CliRunner, Result

from smsgw.cli import main
from smsgw.core.actor import Actor
from smsgw.platform.accounts import service as accounts
from smsgw.platform.brand import service as brand_service
from smsgw.platform.change import Change
from smsgw.platform.org import queries, sessions
from smsgw.platform.org import service as org
from smsgw.store.config import partners
from smsgw.store.engine import secrets
from smsgw.store.engine.database import Database

Command = Callable[..., Awaitable[Result]]


@pytest.fixture
def ctl(dsn: str, tmp_path: Path) -> Command:
    """Runs a command as a process of its own would."""
    settings = {"SMSGW_DATABASE_DSN": dsn, "SMSGW_NODE_DATA_DIR": str(tmp_path)}

    async def run(*args: str, stdin: str = "") -> Result:
        return await asyncio.to_thread(CliRunner(env=settings).invoke, main, args, input=stdin)

    return run


async def test_who_is_stopped_is_out_at_once_and_the_last_administrator_stays(database: Database, ctl: Command) -> None:
    for login, role in (("boss", "super"), ("zhang", "operator")):
        assert (await ctl("user", "add", login, "--role", role)).exit_code == 0
    person = await queries.person(database, "zhang")
    assert person
    _, hashed = await queries.person_to_check(database, "zhang") or (person, "")
    assert await sessions.open_session(database, person, hashed, b"t" * 32, "c", None)
    assert await queries.session(database, b"t" * 32)

    assert (await ctl("user", "stop", "zhang")).exit_code == 0
    assert await queries.session(database, b"t" * 32) is None
    assert await queries.person_to_check(database, "zhang") is None
    listed = json.loads((await ctl("user", "list", "--json")).output)
    assert {p["login"]: p["status"] for p in listed} == {"boss": "active", "zhang": "stopped"}
    assert (await ctl("user", "start", "zhang")).exit_code == 0
    assert await queries.person_to_check(database, "zhang")
    assert await queries.session(database, b"t" * 32) is None, "what has ended stays ended"
    assert (await ctl("user", "stop", "nobody")).exit_code == 1

    refused = await ctl("user", "stop", "boss")
    assert refused.exit_code == 1
    assert "last administrator" in refused.output
    assert (await ctl("user", "stop", "boss", "--force")).exit_code == 0
    rows = await database.fetch("SELECT action, object, after FROM audit WHERE action LIKE 'staff.st%' ORDER BY id")
    assert [(r["action"], r["object"]) for r in rows] == [
        ("staff.stop", "staff/zhang"), ("staff.start", "staff/zhang"), ("staff.stop", "staff/boss"),
    ]  # fmt: skip
    assert json.loads(rows[0]["after"])["sessions_ended"] == 1


async def test_two_administrators_who_stop_each_other_do_not_both_succeed(database: Database, ctl: Command) -> None:
    change = Change(database, Actor.operator("test"))
    for login in ("one", "two"):
        await org.add_person(change, login, login, ["super"], "x")
    results = await asyncio.gather(
        *(org.stop_person(Change(database, change.actor), one) for one in ("one", "two")), return_exceptions=True
    )
    assert sorted(getattr(r, "code", str(r)) for r in results) == ["0", "LAST_ADMINISTRATOR"]


async def test_common_one_time_passwords_are_refused(ctl: Command, tmp_path: Path) -> None:
    weak = tmp_path / "weak"
    weak.write_text("Password123!\n")
    refused = await ctl("user", "add", "zhang", "--password-file", str(weak))
    assert refused.exit_code == 1
    assert "too common" in refused.output
    added = await ctl("user", "add", "zhang", "--password-file", "-", "--json", stdin="Right-Horse-7\n")
    assert added.exit_code == 0, added.output
    assert "Right-Horse-7" not in added.output
    assert (await ctl("user", "reset", "zhang", "--password-file", str(weak))).exit_code == 1


async def test_what_the_platform_is_called_makes_no_password(database: Database, ctl: Command, tmp_path: Path) -> None:
    change = by_test(database)
    id_ = await brand_service.add(change, ["sms.example"])
    await brand_service.draft(change, id_, {"name": "Sunville", "purchaser": "Brimvale Office"})
    for published in (False, True):
        if published:
            await brand_service.publish(change, id_)
        for n, word in enumerate(("Sunville", "Brimvale")):
            file = tmp_path / "password"
            file.write_text(f"{word}-{word}-1\n")
            tried = await ctl("user", "add", f"zhang{published:d}{n}", "--password-file", str(file))
            assert tried.exit_code == published, tried.output


async def test_passwords_of_partners_and_channels_come_from_a_file(
    database: Database, ctl: Command, tmp_path: Path
) -> None:
    await accounts.add(by_test(database), "acme")
    partner = ("partner", "add", "acme", "--protocol", "smpp", "--user", "shop")
    added = await ctl(*partner, "--password-file", "-", stdin="secret12\n")
    assert added.exit_code == 0, added.output
    sealer = secrets.load_key(tmp_path / "secret.key", create=False)
    (stored,) = await partners.load_partners(database, sealer)
    assert stored.password == "secret12"
    (tmp_path / "new").write_text("secret34")
    assert (await ctl("partner", "set", "shop", "--password-file", str(tmp_path / "new"))).exit_code == 0
    (stored,) = await partners.load_partners(database, sealer)
    assert stored.password == "secret34"
    for wrong in (("--password", "a", "--password-file", "-"), ("--password-file", str(tmp_path / "none")), ()):
        assert (await ctl(*partner[:-1], "else", *wrong, stdin="b\n")).exit_code == 2
    channel = ("channel", "add", "mobile", "--protocol", "cmpp30", "--host", "127.0.0.1", "--port", "1", "--user", "9")
    added = await ctl(*channel, "--password-file", "-", stdin="secret\n")
    assert added.exit_code == 0, added.output
    assert (await ctl("channel", "set", "mobile", "--password", "kept working")).exit_code == 0
