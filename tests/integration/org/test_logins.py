"""Logins and passwords: how wrong ones are slowed down and recorded, what a reset ends, and the commands for people."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from changes import by_test
from click.testing import CliRunner, Result
from portal_site import PASSWORD, Site

from smsgw.admin.auth import Auth, Slowed
from smsgw.admin.security import masked
from smsgw.cli import main
from smsgw.core.actor import Actor
from smsgw.core.errors import Refused
from smsgw.core.guard import Rate
from smsgw.platform.accounts import service as accounts
from smsgw.platform.brand import service as brand_service
from smsgw.platform.change import Change
from smsgw.platform.org import queries, service, service as org, sessions
from smsgw.runtime import aio, tarpit
from smsgw.store.config import partners
from smsgw.store.engine import secrets
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer

TOKEN = "A" * 32
WRONG = "Wrong-Horse-7"
HEARD_BEFORE = 20
"""Guesses, of hundreds that wait, that may be heard until a person is in: those whose turn it is, and a few more."""
WHERE: dict[str, Any] = {"agent": "", "brand": ()}


@pytest_asyncio.fixture
async def auth(site: Site) -> AsyncIterator[Auth]:
    made = Auth(site.db, Sealer(b"k" * 32))
    yield made
    await made.passwords.stop()


class Visitor:
    """A browser at an address of its own (loopback has many)."""

    def __init__(self, site: Site, address: str) -> None:
        self.session = aiohttp.ClientSession(
            site.url, connector=aiohttp.TCPConnector(local_addr=(address, 0)), cookie_jar=aiohttp.CookieJar(unsafe=True)
        )
        self.status = 0
        self.page = ""
        self.retry_after = ""

    async def __aenter__(self) -> Visitor:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.session.close()

    async def login(self, login: str, password: str = PASSWORD) -> int:
        self.session.cookie_jar.update_cookies({"smsgw-visitor": TOKEN})
        self.session.cookie_jar.clear(lambda cookie: cookie.key == "smsgw")
        fields = {"csrf": masked(TOKEN), "login": login, "password": password}
        async with self.session.post("/login", data=fields, allow_redirects=False) as response:
            self.status, self.page = response.status, await response.text()
            self.retry_after = response.headers.get("Retry-After", "")
        return self.status


@pytest.mark.usefixtures("standing")
async def test_who_guesses_waits_and_the_person_gets_in_from_elsewhere(site: Site) -> None:
    await site.add_staff("zhang", "admin")
    async with Visitor(site, "127.0.0.9") as attacker, Visitor(site, "127.0.7.1") as person:
        statuses = [await attacker.login("zhang", WRONG) for _ in range(8)]
        assert statuses == [401] * 5 + [429] * 3
        assert int(attacker.retry_after) >= 1
        assert await person.login("zhang") == 303, "the person is locked out by others"


@pytest.mark.usefixtures("standing")
async def test_ones_own_login_does_not_take_back_what_was_wrong_for_others(site: Site) -> None:
    await site.add_staff("zhang", "admin")
    await site.add_staff("insider", "operator")
    statuses: Counter[int] = Counter()
    async with Visitor(site, "127.0.0.9") as attacker:
        for _ in range(4):
            for _ in range(4):
                statuses[await attacker.login("zhang", WRONG)] += 1
            await attacker.login("insider")
    assert statuses[401] == 5
    assert statuses[429] == 11


async def test_a_burst_from_many_addresses_does_not_stop_who_is_known(site: Site) -> None:
    await site.add_staff("zhang", "admin")
    async with contextlib.AsyncExitStack() as stack:
        person = await stack.enter_async_context(Visitor(site, "127.0.7.1"))
        others = [await stack.enter_async_context(Visitor(site, f"127.0.1.{n}")) for n in range(1, 61)]
        tries = [asyncio.ensure_future(v.login(f"nobody{n}", WRONG)) for n, v in enumerate(others)]  # noqa: TID251
        await asyncio.wait(tries, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        heard = sum(each.done() for each in tries)
        assert [await person.login("zhang") for _ in range(3)] == [303] * 3
        heard = sum(each.done() for each in tries) - heard
        assert heard <= 3 * HEARD_BEFORE, f"{heard} others came first"
        assert set(await asyncio.gather(*tries)) == {401}, "one try of each address is no attack, and can wait"


@pytest.mark.usefixtures("standing")
async def test_wrong_person_and_wrong_password_are_alike_to_the_last(site: Site) -> None:
    await site.add_staff("zhang", "admin")

    def neutral(page: str) -> str:
        page = re.sub(f"[A-Za-z0-9_-]{{{len(masked(TOKEN))}}}", "", page)  # the form's token, hidden anew in each
        return re.sub(r'value="[^"]*"', "", page)

    async with Visitor(site, "127.0.0.9") as one, Visitor(site, "127.0.2.9") as two:
        for _ in range(7):
            assert await one.login("zhang", WRONG) == await two.login("wang", WRONG)
            assert neutral(one.page) == neutral(two.page)
            assert one.retry_after == two.retry_after


@pytest.mark.shard("attacks")
@pytest.mark.slow
async def test_ten_thousand_wrong_logins_from_two_hundred_addresses(site: Site, auth: Auth) -> None:
    """A few of them come first, at most, all the while: from a known device at once, from a new address once the
    attackers have been heard."""
    await site.add_staff("zhang", "admin")
    device = auth.devices.find(auth.devices.renew("", "zhang", time.time()), "zhang", time.time())
    answers: Counter[str] = Counter()
    tried: list[str] = []
    all_tried, over = asyncio.Event(), asyncio.Event()

    async def guess(address: str) -> None:
        for n in range(50):
            if n == 49:
                await over.wait()
            try:
                await auth.login("zhang", f"{WRONG}{n}", address)
                answers["wrong"] += 1
            except Slowed:
                answers["slowed"] += 1
                await asyncio.sleep(0.01)
            if n == 0:
                tried.append(address)
                if len(tried) == 200:
                    all_tried.set()

    async def login(address: str, device: str = "") -> int:
        heard = answers["wrong"]
        assert await auth.login("zhang", PASSWORD, address, device)
        return answers["wrong"] - heard

    attack = asyncio.gather(*(guess(f"10.{n % 40}.0.{n}") for n in range(200)))
    await asyncio.sleep(0)
    known = [await login("10.1.0.1", device) for _ in range(5)]
    await all_tried.wait()
    new = [await login(f"172.16.{n}.1") for n in range(5)]
    assert not attack.done(), "the attack goes on"
    over.set()
    await attack
    assert max(known) <= HEARD_BEFORE, known
    assert max(new) <= HEARD_BEFORE, new
    assert sum(answers.values()) == 10_000
    assert answers["wrong"] < 400, answers
    await auth.failures.stop()
    rows = await site.db.fetch("SELECT after FROM audit WHERE action = 'login.failed'")
    assert len(rows) <= 201, "guesses do not fill the audit log"
    told = Counter[str]()
    for row in rows:
        told.update(json.loads(row["after"]))
    assert told == {"wrong": answers["wrong"], "refused_unseen": answers["slowed"]}


async def test_the_end_of_a_session_is_in_the_audit_log(site: Site) -> None:
    await site.add_staff("zhang", "admin")
    async with Visitor(site, "127.0.7.1") as person:
        await person.login("zhang")
        await site.db.execute("UPDATE portal_session SET seen_at = now() - interval '31 minutes'")
        await person.login("zhang")  # with the next login those that are over are swept
    actions = [r["action"] for r in await site.db.fetch("SELECT action FROM audit WHERE actor = 'zhang' ORDER BY id")]
    assert actions == ["login", "session.over", "login"]


async def test_guesses_at_the_present_password_with_a_stolen_session_are_slowed_down(site: Site, auth: Auth) -> None:
    id_ = await site.add_staff("zhang", "admin")
    person = await queries.person(site.db, "zhang")
    assert person
    assert person.id == id_
    change = Change(site.db, person.actor())
    said = [await auth.change_password(change, person, f"{WRONG}{n}", "Other-Horse-8", None, **WHERE) for n in range(8)]
    assert said == ["当前密码不正确"] * 5 + ["尝试次数过多，请稍后再试"] * 3
    assert await auth.login("zhang", PASSWORD, "127.0.7.1"), "which does not keep the person out"
    assert isinstance(await auth.change_password(change, person, PASSWORD, "Password123!", None, **WHERE), str), (
        "common"
    )


async def test_new_passwords_are_judged_no_faster_than_a_person_thinks_of_them(site: Site, auth: Auth) -> None:
    """Each costs up to a tenth of a second, which everybody else on the platform waits for."""
    await site.add_staff("zhang", "admin")
    person = await queries.person(site.db, "zhang")
    assert person
    change = Change(site.db, person.actor())
    said = Counter(
        [await auth.change_password(change, person, PASSWORD, f"Password{n}!", None, **WHERE) for n in range(40)]
    )
    assert said["尝试次数过多，请稍后再试"] > 20


async def test_a_reset_ends_logins_by_old_passwords(site: Site, auth: Auth, monkeypatch: pytest.MonkeyPatch) -> None:
    """The password is reset because somebody else knows it, who logs in, or changes it, at that moment."""
    verify = auth.passwords.verify

    async def reset_meanwhile(password_hash: str | None, password: str) -> bool:
        right = await verify(password_hash, password)
        machine = Change(site.db, Actor.operator("root"))
        await service.reset_password(machine, "zhang", "one-time")
        return right

    await site.add_staff("zhang", "admin")
    person, hashed = await queries.person_to_check(site.db, "zhang") or (None, "")
    assert person
    monkeypatch.setattr(auth.passwords, "verify", reset_meanwhile)
    assert await auth.login("zhang", PASSWORD, "127.0.7.1") is None
    assert await queries.sessions(site.db, "zhang") == []
    await site.db.execute("UPDATE staff SET password_hash = $1", hashed)
    change = Change(site.db, person.actor())
    with pytest.raises(Refused, match="重置"):
        await auth.change_password(change, person, PASSWORD, "Other-Horse-8", None, **WHERE)
    _, now = await queries.person_to_check(site.db, "zhang") or (None, "")
    assert now == "one-time"
    assert await queries.sessions(site.db, "zhang") == []


@pytest.mark.usefixtures("hurried")
async def test_forged_forms_do_not_fill_the_log(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    async with Visitor(site, "127.0.0.9") as attacker:
        for _ in range(50):
            async with attacker.session.post("/login", data={"csrf": "x", "login": "zhang"}) as response:
                assert response.status == 403
    told = capsys.readouterr()
    assert (told.out + told.err).count("portal.csrf") == 5


@pytest.fixture
def lasting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the site: what has been wrong is not forgiven while others are being looked at."""
    monkeypatch.setattr(tarpit, "FREE", Rate(tarpit.FREE.at_once, 0.001))


async def test_who_is_wrong_over_and_over_is_told_so_later_and_others_there_get_in(
    lasting: None, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.add_staff("zhang", "admin")
    await site.add_staff("wang", "operator")
    monkeypatch.setattr(tarpit, "SECONDS", 8.0)
    free, begun = int(tarpit.FREE.at_once), time.monotonic()
    async with contextlib.AsyncExitStack() as stack:
        visitors = [await stack.enter_async_context(Visitor(site, "127.0.0.9")) for _ in range(free + 2)]
        person = visitors.pop()
        tries = [aio.spawn(visitor.login("zhang", WRONG), name="wrong") for visitor in visitors]
        async with asyncio.timeout(60):
            while sum(one.done() for one in tries) < free:  # noqa: ASYNC110 - whichever they are
                await asyncio.sleep(0.01)
            assert await person.login("wang") == 303
            assert [one.done() for one in tries].count(False) == 1, "and one of them has an answer"
            assert set(await asyncio.gather(*tries)) == {401, 429}
    assert time.monotonic() - begun > 7.9


async def test_parallel_guesses_gain_no_more_than_those_that_are_looked_at_together(site: Site, auth: Auth) -> None:
    await site.add_staff("zhang", "admin")
    guesses = (auth.login("zhang", f"{WRONG}{n}", "127.0.0.9") for n in range(40))
    answers = Counter(type(a).__name__ for a in await asyncio.gather(*guesses, return_exceptions=True))
    assert answers["NoneType"] <= 6
    assert answers["NoneType"] + answers["Slowed"] == 40


async def test_a_login_that_is_no_text_does_not_end_the_record_of_failed_ones(site: Site) -> None:
    """Written down it cannot be; it must not stand in the way of those that can."""
    statuses: Counter[int] = Counter()
    async with Visitor(site, "127.0.0.9") as attacker:
        attacker.session.cookie_jar.update_cookies({"smsgw-visitor": TOKEN})
        for login in [b"\\ud800"] * 12:
            async with attacker.session.post(
                "/login",
                data=b"csrf=" + masked(TOKEN).encode() + b"&password=a&login=" + login,
                headers={"Content-Type": "application/x-www-form-urlencoded; charset=unicode_escape"},
            ) as answer:
                statuses[answer.status] += 1
        await attacker.login("later", WRONG)
    later = "SELECT 1 FROM audit WHERE action = 'login.failed' AND actor = 'later'"
    async with asyncio.timeout(60):
        while not await site.db.fetchval(later):  # noqa: ASYNC110 - what is awaited has no event
            await asyncio.sleep(0.1)
    assert statuses == {400: 12}


Command = Callable[..., Awaitable[Result]]


@pytest.fixture
def ctl(dsn: str, tmp_path: Path) -> Command:
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


async def test_passwords_come_from_a_file(database: Database, ctl: Command, tmp_path: Path) -> None:
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
