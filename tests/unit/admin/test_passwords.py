"""Logins: passwords, devices, turns, and what an address asks for."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator

import argon2
import pytest
import pytest_asyncio
from aiohttp.test_utils import make_mocked_request
from argon2.exceptions import VerifyMismatchError

from smsgw.admin import app, hashing, rights, strength
from smsgw.admin.call import local_path
from smsgw.admin.devices import DAYS, MAX_PEOPLE, Devices
from smsgw.admin.hashing import hash_password
from smsgw.admin.passwords import Passwords, Rank
from smsgw.admin.security import masked, same_origin, same_token
from smsgw.admin.strength import one_time_password, password_problem
from smsgw.core.errors import SmsgwError
from smsgw.core.permissions import Permission
from smsgw.runtime import aio, programs
from smsgw.store.engine.secrets import Sealer

STORED = hashing.hash_password("Right-Horse-7")


@pytest_asyncio.fixture
async def passwords() -> AsyncIterator[Passwords]:
    made = Passwords()
    yield made
    await made.stop()


async def test_what_was_hashed_fits_and_nothing_else(passwords: Passwords) -> None:
    stored = await passwords.hash("Right-Horse-7")
    assert await passwords.verify(stored, "Right-Horse-7")
    for hash_, typed in ((stored, "right-horse-7"), ("no hash at all", "x"), (stored, "\ud800\n"), (None, "x")):
        assert not await passwords.verify(hash_, typed)


async def test_many_at_once_take_no_thread_and_two_processes(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[object] = []
    begin = programs.begin

    async def counted(name: str) -> asyncio.subprocess.Process:
        begun.append(await begin(name))
        return begun[-1]  # type: ignore[return-value]

    def here(*_: object) -> bool:
        raise AssertionError("computed in the daemon")

    async def one(n: int) -> bool:
        async with passwords.turn(f"user{n}", Rank.STRANGER):
            return await passwords.verify(STORED, "Right-Horse-7" if n % 2 else "wrong")

    monkeypatch.setattr(programs, "begin", counted)
    monkeypatch.setattr(hashing, "verify_password", here)
    threads = threading.active_count()
    assert await asyncio.gather(*(one(n) for n in range(12))) == [bool(n % 2) for n in range(12)]
    assert threading.active_count() <= threads + 2, "the event loop's own, that wait for its children"
    assert len(begun) == 2


async def test_a_killed_process_and_one_who_gives_up_leave_nothing(passwords: Passwords) -> None:
    assert await passwords.verify(STORED, "Right-Horse-7")
    (process,) = passwords._idle
    process.kill()
    assert await passwords.verify(STORED, "Right-Horse-7")
    assert passwords._idle != [process]
    assert await passwords.verify(STORED, "Right-Horse-7")
    asking = aio.spawn(passwords.verify(STORED, "Right-Horse-7"), name="asking")
    await asyncio.sleep(0)  # the job is written
    await aio.cancel(asking)
    assert not await passwords.verify(STORED, "wrong")


async def test_without_a_process_nobody_is_wrong(passwords: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(_: str) -> asyncio.subprocess.Process:
        raise BlockingIOError

    monkeypatch.setattr(programs, "begin", none)
    with pytest.raises(SmsgwError) as failed:
        await passwords.verify(STORED, "Right-Horse-7")
    assert failed.value.code == "BACKPRESSURE"


def test_nobodys_hash_takes_the_same_work_and_fits_nothing() -> None:
    nobody = hashing.nobodys_hash()
    assert argon2.extract_parameters(nobody) == argon2.extract_parameters(STORED)
    with pytest.raises(VerifyMismatchError):  # it was worked out and differs: it is no broken hash
        argon2.PasswordHasher().verify(nobody, "")
    assert nobody != hashing.nobodys_hash()
    assert hash_password("x").startswith("$argon2id$v=19$m=19456,t=2,p=1$")


COMMON = """
Password123! P@ssw0rd2024 Woaini1314! woaini5201314A Qwer1234!@#$ Qwerty!2345 1qaz@WSX3edc !QAZ2wsx3EDC Zaq12wsx!!
Zhang13812345678! Abc@13800138000 Smsgw2026!! Sms@gateway1 Admin@123456 Admin@2026Admin Abcd1234!! Beijing2008!
Aa123456!! Huawei@123 Winter2026!! Zhangsan@123 Liuyang1990. LiWei@19880808 Aini5201314! Cmcc@10086 Changeme123!
Cityhall@2026 Drag0n!2024 Meilin@2024
""".split()


def test_one_time_passwords_have_128_bits_and_are_good_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {one_time_password("sunny", "Mei Lin") for _ in range(20)}
    assert len(made) == 20
    assert {len(password) for password in made} == {22}  # of 6 bits each
    assert [p for p in made if password_problem(p, login="sunny", name="Mei Lin", brand=())] == []
    bad = ["abcdefghijklmnopqrstuv", "1234567890123456789012", "sUnny-8dk2Lx0Qz7Wb3Tn"]
    given = iter([*bad, "Hq8-zTx0Lw_3Rb9Kd2Yc5M"])
    monkeypatch.setattr(strength.secrets, "token_urlsafe", lambda octets: next(given))
    assert one_time_password("sunny", "Mei Lin") == "Hq8-zTx0Lw_3Rb9Kd2Yc5M"


def test_passwords_that_guessers_try_are_refused_and_good_ones_taken() -> None:
    for password in COMMON:
        problem = password_problem(password, login="sunny", name="Mei Lin", brand=["Cityhall 短信平台"])
        assert problem.startswith("密码太常见")
    for password in ("Aa1-Aa1-A", "aaaaaaaaaaaa1", "Aa1" * 60, "My-Zhang3-99"):
        assert password_problem(password, login="zhang3", name="", brand=())
    for password in (  # good passwords
        "Right-Horse-7", "Other-Horse-8", "Kx9#mLq2vT", "zW3-uF8q_Pl1x", "Yi-Tiao-Da-He-7", "T4lescope#Brimming",
        "雨后Qt7!小巷里的猫x",
    ):  # fmt: skip
        assert password_problem(password, login="zhang3", name="张三", brand=["城市短信"]) is None
    began = time.process_time()  # judging takes no time that others would notice
    for made in ("Qz" + "4@8({[</369&#!1/|0$5+7%2" * 4, "aB1!" + "qwertyuiop[]asdfghjkl;" * 5, "2019-12-11Ab" * 10):
        password_problem(made[:128], login="zhang3", name="", brand=())
    assert time.process_time() - began < 3.0


NOW = 1_800_000_000.0


def test_a_device_is_known_for_its_own_person_and_for_a_time() -> None:
    cookie = Devices(Sealer(b"k" * 32)).renew("", "zhang", NOW)
    other_node = Devices(Sealer(b"k" * 32))
    device = other_node.find(cookie, "zhang", NOW)
    assert device
    assert other_node.find(cookie, "li", NOW) == ""
    assert other_node.find(cookie, "zhang", NOW + DAYS * 86_400) == ""
    renewed = other_node.renew(cookie, "zhang", NOW + 86_400)
    assert renewed != cookie
    assert other_node.find(renewed, "zhang", NOW + DAYS * 86_400) == device, "still the same device"
    assert len(renewed.split(".")) == 1
    devices = Devices(Sealer(b"k" * 32))  # what we have not made is nobodys
    forged = Devices(Sealer(b"x" * 32)).renew("", "zhang", NOW)
    good = devices.renew("", "zhang", NOW)
    for cookie in (forged, good[:-2], "A" * 75, "é.%.!", "." * 5000, "x" * 100_000, f"{good[:40]}.{good[40:]}"):
        assert devices.find(cookie, "zhang", NOW) == ""
    assert devices.find(f"{forged}.{good}", "zhang", NOW), "beside a good one rubbish is harmless"
    devices = Devices(Sealer(b"k" * 32))  # people who share a browser are all known and its cookie stays small
    cookie = ""
    for n in range(10):
        cookie = devices.renew(cookie, f"user{n}", NOW)
    known = [bool(devices.find(cookie, f"user{n}", NOW)) for n in range(10)]
    assert known == [False] * (10 - MAX_PEOPLE) + [True] * MAX_PEOPLE
    assert len(cookie) < 400


def test_a_request_is_of_this_site_and_stays_here() -> None:
    for headers, fine in (
        ({}, True), ({"Origin": "https://sms.example"}, True),
        ({"Origin": "https://SMS.example", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "https://evil.example"}, False), ({"Origin": "null"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site", "Origin": "https://sms.example"}, False),
    ):  # fmt: skip
        request = make_mocked_request("POST", "/send", headers={"Host": "sms.example"} | headers)
        assert same_origin(request) is fine
    for path in ("//evil.example", "/\\evil.example", "https://evil.example", "", None, "/a\r\nX: 1"):
        assert local_path(path) == "/"
    token = "0123456789abcdefABCDEF_-01234567"  # a token looks different in each answer and fits masked only
    shown = {masked(token) for _ in range(50)}
    assert len(shown) == 50
    assert all(same_token(token, one) for one in shown)
    assert not any(token in one for one in shown)
    for wrong in (token, masked(token[:-1] + "x"), masked(token)[:-4], "\udcff", "字", "=", "a"):
        assert not same_token(token, wrong), wrong
    assert not same_token("", "")
    assert not same_token("a", None)
    assert not same_token("", masked(""))


def test_every_page_needs_a_right_or_is_meant_for_all() -> None:
    public = {(r.method, r.path) for r in app.routes() if r.action == rights.PUBLIC}
    known = {("GET", "/login"), ("POST", "/login"), ("POST", "/language"), ("POST", "/theme")}
    step = {("GET", "/login/step"), ("POST", "/login/step"), ("POST", "/login/step/sms"),
            ("POST", "/login/step/passkey"), ("POST", "/login/cancel"), ("POST", "/login/enrol"),
            ("POST", "/login/enrol/confirm")}  # fmt: skip
    first = {(m, p) for m in ("GET", "POST") for p in ("/setup", "/setup/brand", "/setup/administrator")}
    screen = {("GET", "/wall"), ("POST", "/wall"), ("GET", "/wall/live")}
    assert public - step - first - screen == known, (
        "a step of a login asks for that login, the first run for its code, a screen for its own"
    )
    own = {(r.method, r.path) for r in app.routes() if r.action == rights.SELF}
    others = {path for _, path in own if not path.startswith(("/me/", "/proof"))}
    assert others == {"/logout", "/password", "/menu/badges", "/me"}
    for wrong in ("no.such", "home.view", "public"):  # a page needs a permission that there is
        with pytest.raises(ValueError, match="no permission"):
            rights.route("GET", "/x", wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="changed by POST"):
        rights.route("DELETE", "/x", Permission.HOME_VIEW)
    # Keys, logins of partners, addresses that messages are sent to, money, carriers.
    for permission in (P.KEY_EDIT, P.PARTNER_EDIT, P.WEBHOOK_EDIT, P.BALANCE_EDIT, P.CHANNEL_EDIT):
        made = rights.Route("POST", "/somewhere", permission, app.routes()[0].handler, passive=False)
        assert made.proof is rights.Proof.FACTOR


P = Permission
