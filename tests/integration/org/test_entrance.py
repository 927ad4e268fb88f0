"""The entrance: demands of factors and networks, and those who try to go round them."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Awaitable
from ipaddress import ip_network
from typing import Any

import pytest
import pytest_asyncio
from portal_site import PASSWORD, Site
from soft_passkey import SoftPasskey

from smsgw.admin.auth import Auth, BegunLogin, Elsewhere, NewSession, Slowed, token_sha256
from smsgw.core import totp
from smsgw.core.actor import Actor
from smsgw.core.errors import SmsgwError
from smsgw.platform.change import Change
from smsgw.platform.login import checks, passkeys, pending, queries as login_queries, service
from smsgw.platform.login.codes import LoginCodes
from smsgw.platform.login.model import Begun, Demand, Factor, Standing
from smsgw.platform.login.passkeys import Site as Host
from smsgw.platform.messages import queries as message_queries
from smsgw.platform.org import factors, queries, service as org
from smsgw.platform.org.model import Person
from smsgw.platform.review import queries as review_queries
from smsgw.runtime import clock
from smsgw.store.engine.secrets import Sealer

SEALER = Sealer(b"k" * 32)
HOME = "192.0.2.7"
WHERE: dict[str, Any] = {"agent": "", "brand": ()}
HERE = Host("https://sms.example.com")
PHONE = "13800138000"


pytestmark = pytest.mark.staff(boss="super")


@pytest_asyncio.fixture
async def auth(site: Site) -> AsyncIterator[Auth]:
    made = Auth(site.db, SEALER)
    yield made
    await made.passwords.stop()


def machine(site: Site) -> Change:
    return Change(site.db, Actor.operator("root"), ids=site.ids.next)


async def by(site: Site, login: str, address: str | None = HOME) -> Change:
    return Change(site.db, (await person_of(site, login)).actor(address), ids=site.ids.next)


async def refused(doing: Awaitable[Any]) -> str:
    with pytest.raises(SmsgwError) as caught:
        await doing
    return caught.value.code


def nets(*texts: str) -> Demand:
    return Demand(networks=tuple(ip_network(text) for text in texts))


def asks(*names: Factor, every: bool = False) -> Demand:
    return Demand(frozenset(names), every)


async def with_app(site: Site, login: str) -> bytes:
    change = await by(site, login)
    secret = base64.b32decode(await factors.begin_totp(change, SEALER))
    await factors.confirm_totp(change, SEALER, code_of(secret, -1))
    return secret


async def li(site: Site) -> bytes:
    await site.add_staff("li", "operator")
    return await with_app(site, "li")


def code_of(secret: bytes, later: int = 0) -> str:
    return totp.code_at(secret, int(clock.time()) // totp.STEP + later)


async def with_phone(site: Site, login: str) -> None:
    change = await by(site, login)
    await org.set_contact(change, {"phone": PHONE})
    _, code = await factors.new_sms_code(site.db, SEALER, change.actor.id, "phone")
    await factors.verify_phone(change, SEALER, code)


async def begin(auth: Auth, login: str, address: str = HOME, device: str = "") -> Begun:
    opened = await auth.login(login, PASSWORD, address, device)
    assert isinstance(opened, BegunLogin)
    return await auth.begun(opened.token)


async def person_of(site: Site, login: str) -> Person:
    return await queries.person(site.db, login)


async def shows(auth: Auth, begun: Begun, factor: Factor, what: str, address: str = HOME) -> Any:
    person = await queries.person(auth._db, begun.login)
    assert person is not None
    if not await auth.right(person, factor, what, HERE, begun.challenge, address):
        await auth.wrong(begun)
        return None
    return await auth.proven(begun, factor, address)


def test_the_strictest_of_all_demands_wins() -> None:
    everybody, role = asks(Factor.SMS, Factor.TOTP, Factor.PASSKEY), asks(Factor.TOTP, Factor.PASSKEY)
    person = asks(Factor.SMS, Factor.TOTP, every=True)
    has = frozenset({Factor.SMS, Factor.TOTP})
    assert Standing((everybody,), has).through({Factor.SMS})
    assert not Standing((everybody, role), has).through({Factor.SMS})
    assert Standing((everybody, role), has).ask({Factor.SMS}) == {Factor.TOTP}
    all_ = Standing((everybody, role, person), has)
    assert not all_.through({Factor.TOTP})
    assert all_.ask({Factor.TOTP}) == {Factor.SMS}
    assert all_.through({Factor.TOTP, Factor.SMS})
    assert all_.through({Factor.RECOVERY})
    assert Standing((), frozenset({Factor.TOTP})).ask(()) == {Factor.TOTP}, "who has an app, though nobody demands any"
    assert Standing((), frozenset({Factor.SMS})).through(()), "a contact number alone demands nothing"


def test_who_has_nothing_sets_it_up_first_and_who_has_something_else_shows_that_before() -> None:
    demand = asks(Factor.PASSKEY)
    assert Standing((demand,)).enrol(()) == {Factor.PASSKEY}
    other = Standing((demand,), frozenset({Factor.TOTP}))
    assert other.ask(()) == {Factor.TOTP}
    assert not other.enrol(())
    assert other.enrol({Factor.TOTP}) == {Factor.PASSKEY}
    strict = Standing((demand,), enrol_reset=True)
    assert not strict.ask(())
    assert not strict.enrol(())
    assert Standing((demand,), enrol_reset=True, one_time=True).enrol(()) == {Factor.PASSKEY}


async def test_demands_come_from_everybody_roles_and_the_person(site: Site) -> None:
    id_ = await site.add_staff("li", "operator")
    change = machine(site)
    await service.set_policy(change, {"factors": ["totp"], "networks": ["192.0.2.0/24"]})
    await service.set_role(change, "operator", asks(Factor.PASSKEY))
    await service.set_person(change, "li", nets("192.0.2.7"))
    standing = await login_queries.standing(site.db, id_)
    assert len(standing.demands) == 3
    assert standing.admits(HOME)
    assert not standing.admits("192.0.2.8")
    assert not standing.admits(None)
    assert not standing.through({Factor.TOTP})
    assert standing.through({Factor.TOTP, Factor.PASSKEY})


async def test_nobody_shuts_out_themselves(site: Site) -> None:
    boss = await by(site, "boss")
    assert await refused(service.set_policy(boss, {"networks": ["198.51.100.0/24"]})) == "LOGIN_LOCKED_OUT"
    assert await refused(service.set_role(boss, "super", nets("198.51.100.0/24"))) == "LOGIN_LOCKED_OUT"
    assert (await login_queries.policy(site.db)).demand.networks == ()
    nowhere = await by(site, "boss", None)
    assert await refused(service.set_policy(nowhere, {"networks": ["0.0.0.0/0"]})) == "LOGIN_LOCKED_OUT"
    await service.set_policy(boss, {"networks": ["198.51.100.0/24", "192.0.2.0/24"]})
    assert await refused(service.set_person(boss, "boss", nets("192.0.2.0/24"))) == "RIGHTS_OWN"
    await service.set_policy(boss, {"enrol_reset": True})
    assert await refused(service.set_policy(boss, {"factors": ["totp"]})) == "LOGIN_UNENROLLED"
    await with_app(site, "boss")
    await service.set_policy(boss, {"factors": ["totp"]})
    await service.set_policy(machine(site), {"networks": ["203.0.113.0/24"], "factors": []})  # has the machine


async def test_the_right_password_from_elsewhere_opens_nothing_and_is_written_down(site: Site, auth: Auth) -> None:
    await site.add_staff("li", "operator")
    await service.set_person(machine(site), "li", nets("192.0.2.7"))
    with pytest.raises(Elsewhere):
        await auth.login("li", PASSWORD, "198.51.100.1")
    assert await auth.login("li", "Wrong-Horse-7", "198.51.100.1") is None
    opened = await auth.login("li", PASSWORD, HOME)
    assert isinstance(opened, NewSession)
    session = await auth.session(opened.token, passive=True, address=HOME)
    assert session.admitted
    moved = await auth.session(opened.token, passive=True, address="198.51.100.1")
    assert not moved.admitted, "every request, not only the login"
    kept = "SELECT count(*) FROM audit WHERE action = 'login.refused' AND actor = 'li'"
    assert await site.db.fetchval(kept) == 1


def test_networks_are_read_as_people_write_them() -> None:
    for given, read in (
        ((" 192.0.2.9/24 ", "", "2001:db8::1", "192.0.2.0/24"), ["192.0.2.0/24", "2001:db8::1/128"]),
        (("::ffff:192.0.2.0/120",), ["192.0.2.0/24"]), (("::ffff:192.0.2.9",), ["192.0.2.9/32"]), (("::/0",), ["::/0"]),
    ):  # fmt: skip
        assert [str(network) for network in service.networks_of(given)] == read
    for wrong in ("192.0.2", "192.0.2.1/33", "example.com", "fe80::1%eth0"):
        with pytest.raises(SmsgwError) as caught:
            service.networks_of([wrong])
        assert caught.value.code == "NETWORK_INVALID"


async def test_an_app_is_asked_for_and_a_code_is_good_once(site: Site, auth: Auth) -> None:
    secret = await li(site)
    begun = await begin(auth, "li")
    assert await shows(auth, begun, Factor.TOTP, "000000") is None
    code = code_of(secret)
    opened = await shows(auth, begun, Factor.TOTP, code)
    assert isinstance(opened, NewSession)
    replayed = await begin(auth, "li")
    assert await shows(auth, replayed, Factor.TOTP, code) is None, "replayed"
    session = await auth.session(opened.token, passive=True)
    assert session.factor_at is not None
    listed = await queries.sessions(site.db, "li")
    assert [tuple(s.factors) for s in listed] == [("totp",)]


async def test_a_login_that_has_begun_is_no_session_and_never_becomes_one(site: Site, auth: Auth) -> None:
    secret = await li(site)
    begun = await auth.login("li", PASSWORD, HOME)
    assert isinstance(begun, BegunLogin)
    assert await auth.session(begun.token, passive=True) is None
    half = await auth.begun(begun.token)
    assert half is not None
    opened = await shows(auth, half, Factor.TOTP, code_of(secret))
    assert isinstance(opened, NewSession)
    assert opened.token != begun.token, "a token that somebody has planted is worth nothing"
    assert await auth.session(begun.token, passive=True) is None
    assert await auth.begun(begun.token) is None
    assert await auth.proven(half, Factor.TOTP, HOME) is None, "of two at the same moment one goes through"


async def test_a_new_password_ends_logins_that_have_begun(site: Site, auth: Auth) -> None:
    await li(site)
    begun = await auth.login("li", PASSWORD, HOME)
    assert isinstance(begun, BegunLogin)
    await org.reset_password(machine(site), "li", "x")
    assert await auth.begun(begun.token) is None


async def test_guessing_codes_ends_the_login_and_slows_down_the_guesser_alone(site: Site, auth: Auth) -> None:
    secret = await li(site)
    guesser = "203.0.113.5"
    begun = await begin(auth, "li", guesser)
    for n in range(5):
        assert await shows(auth, begun, Factor.TOTP, f"{n:06d}", guesser) is None
    with pytest.raises(Slowed) as slowed:
        await shows(auth, begun, Factor.TOTP, "999999", guesser)
    assert slowed.value.wait >= 1
    for _ in range(pending.MAX_TRIES):
        await auth.wrong(begun)
    assert await pending.find(site.db, begun.token_sha256) is None
    opened = await shows(auth, await begin(auth, "li"), Factor.TOTP, code_of(secret))
    assert isinstance(opened, NewSession), "the person is slowed down by somebody else"


async def test_both_are_shown_where_every_one_is_demanded(site: Site, auth: Auth) -> None:
    secret = await li(site)
    await with_phone(site, "li")
    await service.set_policy(machine(site), {"sms_accounts": [site.accounts["hall"]]})
    await service.set_person(machine(site), "li", asks(Factor.SMS, Factor.TOTP, every=True))
    begun = await begin(auth, "li")
    half = await shows(auth, begun, Factor.TOTP, code_of(secret))
    assert isinstance(half, Begun)
    _, code = await factors.new_sms_code(site.db, SEALER, begun.staff_id, "login")
    assert isinstance(await shows(auth, half, Factor.SMS, code), NewSession)


async def test_a_recovery_code_stands_for_all_once(site: Site, auth: Auth) -> None:
    await li(site)
    code = await service.emergency_code(machine(site), "li")
    assert isinstance(await shows(auth, await begin(auth, "li"), Factor.RECOVERY, code.lower()), NewSession)
    assert await shows(auth, await begin(auth, "li"), Factor.RECOVERY, code) is None


async def test_an_emergency_code_ends_by_itself_and_there_are_few_a_day(site: Site, auth: Auth) -> None:
    await li(site)
    former = await service.emergency_code(machine(site), "li")
    code = await service.emergency_code(machine(site), "li")
    assert await shows(auth, await begin(auth, "li"), Factor.RECOVERY, former) is None, "one at a time"
    own = await factors.make_recovery_codes(await by(site, "li"))
    assert await shows(auth, await begin(auth, "li"), Factor.RECOVERY, code) is None, "new codes end all others"
    code = await service.emergency_code(machine(site), "li")
    assert await refused(service.emergency_code(machine(site), "li")) == "STATE_CONFLICT"
    await site.db.execute(
        "UPDATE staff_recovery_code SET expires_at = now() - interval '1 s' WHERE expires_at IS NOT NULL"
    )
    begun = await begin(auth, "li")
    assert await shows(auth, begun, Factor.RECOVERY, code) is None, "a day later"
    await site.db.execute("DELETE FROM staff_recovery_code WHERE expires_at IS NULL")
    assert Factor.RECOVERY not in (await login_queries.standing(site.db, begun.staff_id)).enrolled
    assert (await factors.factors(site.db, begun.staff_id)).recovery_codes == 0
    code = await service.emergency_code(machine(site), "li")
    assert (await factors.factors(site.db, begun.staff_id)).recovery_codes == 1
    assert isinstance(await shows(auth, await begin(auth, "li"), Factor.RECOVERY, code), NewSession)
    assert len(own) > 1


def codes_of(site: Site) -> LoginCodes:
    return LoginCodes(site.db, SEALER, site.acceptor, site.snapshots)


async def test_a_login_code_is_a_message_of_ours_and_the_records_do_not_tell_it(site: Site, auth: Auth) -> None:
    await site.add_staff("li", "operator")
    await with_phone(site, "li")
    codes, id_ = codes_of(site), (await by(site, "li")).actor.id
    assert await refused(codes.send(id_, "login")) == "LOGIN_SMS_UNSET"
    assert await refused(service.set_policy(machine(site), {"factors": ["sms"]})) == "LOGIN_SMS_UNSET"
    await service.set_policy(machine(site), {"sms_accounts": [site.accounts["hall"]], "factors": ["sms"]})
    begun = await begin(auth, "li")
    assert await codes.send(id_, "login") == "138****8000"
    row = await site.db.fetchrow("SELECT id, content, type, submitter, lane FROM message JOIN part USING (id)")
    assert row is not None
    assert row["submitter"] == "portal/login"
    found = await message_queries.search(site.db, accounts=None, before_id=None, limit=5, now=clock.now())
    assert "******" in found[0].content
    code = "".join(c for c in row["content"].split("5分钟")[0] if c.isdigit())
    assert len(code) == 6
    assert code not in found[0].content
    assert await refused(codes.send(id_, "login")) == "RATE_LIMITED"
    for n in range(factors.SMS_TRIES - 1):
        assert await shows(auth, begun, Factor.SMS, f"{(int(code) + n + 1) % 10**6:06d}") is None
    assert isinstance(await shows(auth, begun, Factor.SMS, code), NewSession)


async def test_the_spare_account_sends_when_the_first_cannot(site: Site) -> None:
    await site.add_staff("li", "operator")
    await with_phone(site, "li")
    codes, id_ = codes_of(site), (await by(site, "li")).actor.id
    first, spare = site.accounts["hall"], site.accounts["clinic"]
    await service.set_policy(machine(site), {"sms_accounts": [first, spare]})
    await site.db.execute("UPDATE account SET status = 'stopped' WHERE id = $1", first)
    await site.snapshots.follow()
    await codes.send(id_, "login")
    assert [row["account_id"] for row in await site.db.fetch("SELECT account_id FROM message")] == [spare]
    await site.db.execute("UPDATE account SET status = 'stopped'")
    await site.snapshots.follow()
    await site.db.execute("UPDATE staff_sms_code SET sent_at = now() - interval '61 s'")
    assert await refused(codes.send(id_, "login")) == "LOGIN_SMS_FAILED"
    assert await refused(codes.send(id_, "login")) == "LOGIN_SMS_FAILED", "what was not sent need not be waited for"


async def test_codes_are_so_many_a_day(site: Site) -> None:
    await site.add_staff("li", "operator")
    await with_phone(site, "li")
    id_ = (await by(site, "li")).actor.id
    for n in range(factors.SMS_A_DAY):
        await site.db.execute("UPDATE staff_sms_code SET sent_at = now() - interval '61 s'")
        if n:  # one was to verify the number
            await factors.new_sms_code(site.db, SEALER, id_, "login")
    assert await refused(factors.new_sms_code(site.db, SEALER, id_, "login")) == "RATE_LIMITED"


async def with_passkey(site: Site, login: str) -> SoftPasskey:
    person = await person_of(site, login)
    options, challenge = await passkeys.registration(site.db, SEALER, person, HERE, "短信平台")
    key = SoftPasskey(HERE.rp_id, HERE.origin)
    await passkeys.register(await by(site, login), key.register(options), challenge, HERE, "笔记本")
    return key


async def test_a_passkey_opens_its_own_host_and_each_challenge_once(site: Site, auth: Auth) -> None:
    id_ = await site.add_staff("li", "operator")
    key = await with_passkey(site, "li")

    async def tried(with_: SoftPasskey, host: Host, *, verified: bool = True, challenge: bytes | None = None) -> bool:
        options, asked = await passkeys.authentication(site.db, id_, HERE)
        return await passkeys.check(site.db, id_, with_.use(options, verified=verified), challenge or asked, host)

    assert await tried(key, HERE)
    assert not await tried(key, HERE, verified=False), "the device has not looked who it is"
    assert not await tried(key, HERE, challenge=b"another" * 5)
    assert not await tried(key, Host("https://sms.example.org"))
    fishing = SoftPasskey("sms.example.org", "https://sms.example.org", key.id, key.key, key.count)
    assert not await tried(fishing, HERE), "a passkey that was used at another host"
    assert not await tried(SoftPasskey(HERE.rp_id, HERE.origin, key.id), HERE), "another key"
    copied = SoftPasskey(HERE.rp_id, HERE.origin, key.id, key.key, 0)
    assert not await tried(copied, HERE), "its counter goes back: it was copied"
    other = await site.add_staff("wang", "operator")
    options, challenge = await passkeys.authentication(site.db, id_, HERE)
    assert not await passkeys.check(site.db, other, key.use(options), challenge, HERE), "of somebody else"
    begun = await begin(auth, "li")
    options, challenge = await passkeys.authentication(site.db, id_, HERE)
    await pending.challenge(site.db, begun, challenge)
    assert await pending.take_challenge(site.db, begun) == challenge
    assert await pending.take_challenge(site.db, begun) is None
    person = await person_of(site, "li")
    answer = key.use(options)
    assert await auth.right(person, Factor.PASSKEY, answer, HERE, challenge, HOME)
    assert not await auth.right(person, Factor.PASSKEY, answer, HERE, challenge, HOME), "replayed"


async def test_a_registration_for_another_host_or_unverified_is_refused(site: Site) -> None:
    await site.add_staff("li", "operator")
    person = await person_of(site, "li")
    options, challenge = await passkeys.registration(site.db, SEALER, person, HERE, "短信平台")
    change = await by(site, "li")
    for key, verified in (
        (SoftPasskey("sms.example.org", HERE.origin), True),
        (SoftPasskey(HERE.rp_id, "https://sms.example.org"), True),
        (SoftPasskey(HERE.rp_id, HERE.origin), False),
    ):
        answer = key.register(options, verified=verified)
        assert await refused(passkeys.register(change, answer, challenge, HERE, "x")) == "CODE_WRONG"
    for junk in ("", "{}", "[]", "null", '"x"', '{"id": 1}', '{"id":"\\ud800"}', "x" * 20_000,
                 "[" * passkeys.MAX_RESPONSE):  # fmt: skip
        assert await refused(passkeys.register(change, junk, challenge, HERE, "x")) == "CODE_WRONG", junk[:20]
        assert not await passkeys.check(site.db, person.id, junk, challenge, HERE), junk[:20]


def test_passkeys_are_offered_where_browsers_do_them() -> None:
    for origin, able in {
        "https://sms.example.com": True, "http://localhost:8080": True, "http://sms.example.com": False,
        "https://192.0.2.1": False, "https://[2001:db8::1]:8443": False,
    }.items():  # fmt: skip
        assert Host(origin).able is able, origin


async def test_sessions_have_an_age_and_a_number(site: Site, auth: Auth) -> None:
    await site.add_staff("li", "operator")
    await service.set_policy(machine(site), {"sessions": 2, "idle_minutes": 5, "session_hours": 1})
    tokens = []
    for n in range(3):
        opened = await auth.login("li", PASSWORD, HOME, agent=f"browser {n}")
        assert isinstance(opened, NewSession)
        tokens.append(opened.token)
    assert [await auth.session(t, passive=True) is not None for t in tokens] == [False, True, True]
    assert [s.agent for s in await queries.sessions(site.db, "li")] == ["browser 2", "browser 1"]
    last = await auth.session(tokens[2], passive=True)
    assert last.former_login_ip == HOME
    assert await org.end_other_sessions(await by(site, "li"), last.id) == 1
    for seen, created in (("6 minutes", "6 minutes"), ("0", "61 minutes")):
        await site.db.execute(
            "UPDATE portal_session SET seen_at = now() - $1::text::interval, created_at = now() - $2::text::interval",
            seen,
            created,
        )
        assert await auth.session(tokens[2], passive=True) is None, (seen, created)


async def test_an_administrator_ends_the_waits(site: Site, auth: Auth) -> None:
    await site.add_staff("li", "operator")
    for _ in range(5):
        assert await auth.login("li", "Wrong-Horse-7", HOME) is None
    with pytest.raises(Slowed):
        await auth.login("li", PASSWORD, HOME)
    await service.unlock(await by(site, "boss"), "li")
    await auth._forgive()
    assert isinstance(await auth.login("li", PASSWORD, HOME), NewSession)


async def test_the_policy_judges_a_new_password(site: Site, auth: Auth) -> None:
    await site.add_staff("li", "operator")
    person = await person_of(site, "li")
    await org.set_password_policy(machine(site), history=5, days=90, length=14, classes=4)
    change = await by(site, "li")
    for short in ("Plum-Kettle-9", "PlumKettle9Harbor"):
        assert isinstance(await auth.change_password(change, person, PASSWORD, short, HOME, **WHERE), str), short
    assert isinstance(
        await auth.change_password(change, person, PASSWORD, "Plum-Kettle-9-Harbor", HOME, **WHERE), NewSession
    )
    assert await refused(org.set_password_policy(change, history=5, days=90)) == "PERMISSION_DENIED"
    for wrong in ({"length": 9}, {"classes": 2}, {"history": 25}, {"days": -1}):
        wanted = {"history": 5, "days": 90} | wrong
        assert await refused(org.set_password_policy(machine(site), **wanted)) == "PARAM_INVALID"


async def test_who_may_bind_others(site: Site) -> None:
    await site.add_staff("li", "operator")
    await site.add_staff("sec", "secadmin")
    await site.add_staff("chief", "admin")
    await service.set_person(await by(site, "sec"), "li", nets("192.0.2.0/24"))
    await service.set_person(await by(site, "chief"), "li", Demand())
    assert await refused(service.set_person(await by(site, "li"), "sec", Demand())) == "PERMISSION_DENIED"
    assert await refused(service.set_person(await by(site, "chief"), "boss", Demand())) == "PERSON_ABOVE"
    assert await refused(service.set_policy(await by(site, "chief"), {"factors": []})) == "PERMISSION_DENIED"


@pytest.mark.shard("alone")
async def test_wrong_and_unknown_take_the_same_with_factors(site: Site, auth: Auth) -> None:
    await li(site)
    await service.set_person(machine(site), "li", nets("192.0.2.0/24"))

    async def took(login: str) -> float:
        begun = time.perf_counter()
        assert await auth.login(login, "Wrong-Horse-7", f"198.51.100.{len(times)}") is None
        return time.perf_counter() - begun

    times: list[float] = []
    await took("warm")
    known, unknown = [], []
    for n in range(8):  # in turns, and the quickest of each: what else the machine has to do only adds
        known.append(await took("li"))
        times.append(known[-1])
        unknown.append(await took(f"nobody{n}"))
        times.append(unknown[-1])
    assert 0.6 < min(known) / min(unknown) < 1.7, (known, unknown)


async def test_a_token_is_known_by_its_hash_alone(site: Site, auth: Auth) -> None:
    await li(site)
    begun = await auth.login("li", PASSWORD, HOME)
    assert isinstance(begun, BegunLogin)
    rows = await site.db.fetch("SELECT token_sha256, password_hash FROM portal_login")
    assert [row["token_sha256"] for row in rows] == [token_sha256(begun.token)]
    await asyncio.gather(*(auth.login("li", PASSWORD, HOME) for _ in range(5)))
    assert await site.db.fetchval("SELECT count(*) FROM portal_login") <= pending.MAX_BEGUN


async def test_two_editors_do_not_shut_out_each_other(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = service._still_in

    async def slowly(*given: Any) -> None:
        await checked(*given)
        await asyncio.sleep(0.5)  # what was written is not committed yet

    monkeypatch.setattr(service, "_still_in", slowly)
    await site.add_staff("sec", "secadmin")
    boss, sec = await by(site, "boss", "192.0.2.7"), await by(site, "sec", "198.51.100.7")
    await site.db.execute("INSERT INTO role_login (role_id) SELECT id FROM role")
    done = await asyncio.gather(
        service.set_policy(boss, {"networks": ["192.0.2.0/24"]}),
        service.set_role(sec, "super", nets("198.51.100.0/24")),
        return_exceptions=True,
    )
    assert sum(isinstance(each, SmsgwError) for each in done) == 1, "who comes second sees what the first has done"
    inside = [(await login_queries.standing(site.db, c.actor.id)).admits(c.actor.address) for c in (boss, sec)]
    assert any(inside)


async def test_codes_that_cannot_be_sent_let_nobody_in(site: Site, auth: Auth) -> None:
    await with_phone(site, "boss")
    boss = await by(site, "boss")
    assert await refused(service.set_policy(boss, {"factors": ["totp"]})) == "LOGIN_UNENROLLED"
    hall = [site.accounts["hall"]]
    await service.set_policy(boss, {"factors": ["totp"], "sms_accounts": hall})
    assert await refused(service.set_policy(boss, {"sms_accounts": []})) == "LOGIN_UNENROLLED"
    await service.set_policy(machine(site), {"factors": []})
    await service.set_role(machine(site), "operator", asks(Factor.SMS))
    for change in (boss, machine(site)):
        assert await refused(service.set_policy(change, {"sms_accounts": []})) == "LOGIN_SMS_UNSET"


async def test_who_has_a_recovery_code_alone_shows_it_before_anything_is_set_up(site: Site, auth: Auth) -> None:
    await site.add_staff("li", "operator")
    await service.set_policy(machine(site), {"factors": ["totp"], "enrol_reset": True})
    code = await service.emergency_code(machine(site), "li")
    begun = await begin(auth, "li")
    standing = await login_queries.standing(site.db, begun.staff_id)
    assert standing.ask(()) == {Factor.RECOVERY}
    assert not standing.enrol(()), "who has only the password sets up nothing"
    assert isinstance(await shows(auth, begun, Factor.RECOVERY, code), NewSession)


async def test_one_number_gets_no_more_codes_because_several_people_have_it(site: Site) -> None:
    ids = [await site.add_staff(login, "operator") for login in ("li", "wu", "xu")]
    for login in ("li", "wu", "xu"):
        await org.set_contact(await by(site, login), {"phone": PHONE})
    await factors.new_sms_code(site.db, SEALER, ids[0], "phone")
    assert await refused(factors.new_sms_code(site.db, SEALER, ids[1], "phone")) == "RATE_LIMITED"
    await site.db.execute("UPDATE staff_sms_code SET sent_at = now() - interval '2 minutes', sent_today = 19")
    await factors.new_sms_code(site.db, SEALER, ids[1], "phone")
    await site.db.execute("UPDATE staff_sms_code SET sent_at = now() - interval '2 minutes', sent_today = 15")
    for id_ in ids[1:]:
        assert await refused(factors.new_sms_code(site.db, SEALER, id_, "phone")) == "RATE_LIMITED"


async def test_an_unlocked_person_may_show_codes_again_too(site: Site, auth: Auth) -> None:
    secret = await li(site)
    for n in range(5):
        assert await shows(auth, await begin(auth, "li"), Factor.TOTP, f"{n:06d}") is None
    with pytest.raises(Slowed):
        await shows(auth, await begin(auth, "li"), Factor.TOTP, code_of(secret))
    auth.forgive("li")
    assert isinstance(await shows(auth, await begin(auth, "li"), Factor.TOTP, code_of(secret)), NewSession)


async def test_the_check_says_what_is_so(site: Site) -> None:
    facts = checks.Facts(tls=True, keys=1)

    async def states() -> dict[str, str]:
        return {check.code: check.state for check in await checks.run(site.db, facts)}

    assert (await states())["factor_administrators"] == "bad"
    await service.set_policy(machine(site), {"factors": ["totp"], "networks": ["0.0.0.0/1", "128.0.0.0/1"]})
    found = await states()
    assert found["factor_administrators"] == "warning", "whoever has the password would set it up"
    assert found["networks"] == "warning", "it keeps out nobody"
    await with_app(site, "boss")
    await service.set_policy(machine(site), {"networks": ["192.0.2.0/24"]})
    found = await states()
    assert (found["factor_administrators"], found["factor_everybody"], found["networks"]) == ("good",) * 3
    assert "audit" in found
    assert found["archive"] == "unknown"


async def test_a_reviewer_does_not_see_login_codes(site: Site) -> None:
    await with_phone(site, "boss")
    await service.set_policy(machine(site), {"sms_accounts": [site.accounts["hall"]]})
    await codes_of(site).send((await by(site, "boss")).actor.id, "login")
    batch = await site.db.fetchval("SELECT batch_id FROM message")
    await site.db.execute(
        """INSERT INTO review (batch_id, account_id, type, origin, submitter, reasons, numbers, parts, content,
           validity, expires_at)
           SELECT batch_id, account_id, type, origin, submitter, '{}', 1, 1, content, '1 hour', now() FROM message"""
    )
    held = await review_queries.get(site.db, batch, accounts=None)
    shown = [held.content, *(sample.content for sample in await review_queries.sample(site.db, held))]
    assert len(shown) == 2
    assert all("******" in text for text in shown)
