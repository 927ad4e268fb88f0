"""Who guesses is slowed down, by numbers, and is an alarm; whose a request is behind proxies."""

from __future__ import annotations

import itertools
import random
from ipaddress import ip_network

import pytest

from smsgw.core.addresses import client_address, client_speaks_tls, place_of, site_of, within
from smsgw.core.guard import PARTNERS, PORTAL, Buckets, Guard, Rate, Waits
from smsgw.core.guessing import MOST, SOURCES, SPAN, Guesses
from smsgw.core.words import english_of
from smsgw.core.words.places import ABROAD
from smsgw.runtime.address_regions import region_of

DAY = 86_400.0


def attack(guard: Guard, ip: str, user: str, now: float) -> bool:
    """A wrong try; whether the password was looked at."""
    if guard.admit(ip, user, now):
        return False
    guard.failed(ip, user, now)
    return True


def test_waits_double_up_to_a_limit_and_are_forgotten() -> None:
    waits: Waits[str] = Waits(5, 60.0)
    assert [waits.failed("a", 100.0) for _ in range(12)] == [0, 0, 0, 0, 2, 4, 8, 16, 32, 60, 60, 60]
    assert waits.left("a", 130.0) == 30
    assert waits.left("b", 100.0) == 0
    assert waits.left("a", 100.0 + Waits.FORGET + 1) == 0
    assert waits.failed("a", 100.0 + Waits.FORGET + 1) == 0, "begins anew"
    waits.forget("a")
    assert waits.left("a", 100.0) == 0
    waits: Waits[str] = Waits(2, 60.0)  # failures long ago count no more
    waits.failed("a", 0.0)
    assert waits.failed("a", Waits.FORGET) == 2, "still the second"
    assert waits.failed("a", 2 * Waits.FORGET + 1) == 0, "the first again"
    assert waits.failed("a", 2 * Waits.FORGET + 2) == 2
    # Never less than none: whoever is asked to wait for less than nothing is refused as well.
    waits: Waits[str] = Waits(1, 60.0)  # a wait is over when it is over
    assert waits.failed("a", 100.0) == 2
    assert [waits.left("a", now) for now in (101.5, 102.0, 103.0, 900.0)] == [0.5, 0.0, 0.0, 0.0]
    guard = Guard(PORTAL)
    for _ in range(PORTAL.free):
        guard.failed("192.0.2.1", "zhang", 100.0)
    assert guard.admit("192.0.2.1", "zhang", 101.9) == pytest.approx(0.1)
    assert guard.slowed == 1
    assert guard.admit("192.0.2.1", "zhang", 103.0) == 0
    assert guard.slowed == 1


@pytest.mark.parametrize("limits", [PORTAL, PARTNERS])
def test_a_guesser_without_end_has_few_tries_and_never_stops_the_user_elsewhere(limits) -> None:  # type: ignore[no-untyped-def]
    guard = Guard(limits)
    looked_at = sum(attack(guard, "192.0.2.1", "zhang", second / 10) for second in range(36_000))
    assert looked_at <= 80, "an hour of ten tries a second"
    assert guard.wait("198.51.100.7", "zhang", 3600.0) == 0, "who comes from a new address"
    assert guard.wait("192.0.2.1", "li", 3600.0) == 0, "another user behind the same address"


def test_a_device_of_the_users_own_is_not_slowed_down_by_others_at_its_own_address() -> None:
    guard = Guard(PORTAL)
    for tenth in range(3000):
        attack(guard, "192.0.2.1", "zhang", tenth / 10)
    assert guard.wait("192.0.2.1", "zhang", 300.0) > 0
    assert guard.admit("192.0.2.1", "zhang", 300.0, "laptop") == 0
    for _ in range(5):
        guard.failed("192.0.2.1", "zhang", 300.0, "laptop")
    assert guard.wait("192.0.2.1", "zhang", 300.0, "laptop") == 2, "it has limits of its own"
    assert guard.wait("192.0.2.1", "zhang", 300.0, "phone") == 0


@pytest.mark.parametrize("device", ["", "laptop"])
def test_who_was_right_at_last_begins_anew(device: str) -> None:
    """What a place was wrong about before a login counts no more for it."""
    guard = Guard(PORTAL)
    for _ in range(2):
        for _ in range(5):
            guard.failed("192.0.2.1", "zhang", 0.0, device)
        assert guard.wait("192.0.2.1", "zhang", 0.0, device) == 2
        guard.succeeded("192.0.2.1", "zhang", 0.0, device)
        assert guard.wait("192.0.2.1", "zhang", 0.0, device) == 0


def test_addresses_have_limits_alone_and_together() -> None:
    guard = Guard(PORTAL)
    looked_at = sum(attack(guard, "192.0.2.1", f"user{n}", n / 10) for n in range(6000))
    assert looked_at <= 30 + 0.2 * 600 + 1
    assert guard.wait("192.0.2.1", "stranger", 599.95) > 0
    guard.succeeded("192.0.2.1", "colleague", 0.0)
    assert guard.wait("192.0.2.1", "colleague", 599.95) == 0, "who has logged in from there is no stranger"
    guard = Guard(PORTAL)  # ones own login takes nothing back for others
    looked_at = 0
    for n in range(1000):
        looked_at += attack(guard, "192.0.2.1", f"user{n}", n / 10)
        guard.succeeded("192.0.2.1", "insider", n / 10)
    assert looked_at <= 30 + 0.2 * 100 + 1
    guard = Guard(PORTAL)  # many addresses together have a limit for a user and newcomers one of their own
    addresses = [f"10.{n}.0.1" for n in range(200)]
    looked_at = sum(
        attack(guard, ip, "zhang", n / 100) for n, ip in enumerate(itertools.islice(itertools.cycle(addresses), 20_000))
    )
    assert looked_at <= 300 + 2 * 200 + 5 + 0.2 * 200 + 2
    assert guard.wait("203.0.113.9", "zhang", 260.0) == 0, "soon after, at the latest"


def test_a_network_of_ipv6_is_one_address_and_mapped_ones_are_ipv4() -> None:
    assert place_of("2001:db8:1:2::5") == place_of("2001:db8:1:2:ffff::9%eth0") == "2001:db8:1:2::/64"
    assert place_of("::ffff:192.0.2.1") == place_of("192.0.2.1") == "192.0.2.1"
    assert place_of("") == ""
    assert site_of("2001:db8:1:2::5") == "2001:db8:1::/48"
    assert site_of("192.0.2.77") == "192.0.2.0/24"
    guard = Guard(PARTNERS)
    for n in range(20):
        attack(guard, f"2001:db8:0:1::{n:x}", f"user{n}", 0.0)
    assert guard.wait("2001:db8:0:1:ffff::1", "shop", 0.0) > 0
    assert guard.wait("2001:db8:0:2::1", "shop", 0.0) == 0


def test_a_partners_own_address_is_known_on_all_nodes() -> None:
    guard = Guard(PARTNERS)
    guard.succeeded("10.0.0.1", "shop", 0.0)
    for n in range(1000):
        guard.failed("10.0.0.1", "shop", n * 0.01)
    assert guard.admit("10.0.0.1", "shop", 11.0) == 0
    for _ in range(100):  # logins in masses are, right or wrong
        guard.admit("10.0.0.1", "shop", 11.0)
    assert guard.admit("10.0.0.1", "shop", 11.0) > 0
    assert guard.slowed
    guard = Guard(PARTNERS)  # what another node has learned holds here
    assert guard.succeeded("10.0.0.1", "shop", 0.0), "news"
    assert not guard.succeeded("10.0.0.1", "shop", 60.0)
    assert guard.succeeded("10.0.0.1", "shop", DAY + 1), "again after a day"
    guard.learn("10.0.1.2", "shop", DAY + 1)
    for n in range(1000):
        attack(guard, f"192.{n // 256}.{n % 256}.1", "shop", DAY + 1)
    slowed = [guard.wait(ip, "shop", DAY + 1) > 0 for ip in ("10.0.0.1", "10.0.1.2", "10.0.2.3")]
    assert slowed == [False, False, True]


def test_what_the_guard_remembers_has_a_limit() -> None:
    guard = Guard(PORTAL, max_entries=10)
    for n in range(1000):
        ip, user = f"10.{n >> 8}.{n & 255}.1", f"user{n}"
        attack(guard, ip, user, 0.0)
        guard.succeeded(ip, user, 0.0)
        guard.failed(ip, user, 0.0, "device")
    kept = (guard._waits, guard._attempts, guard._networks, guard._users, guard._newcomers, guard._sites, guard._good)
    assert max(map(len, kept)) <= 10
    # Else whoever fills it first would guess unseen ever after.
    waits: Waits[str] = Waits(1, 60.0, 3)  # what is full forgets what was used the longest ago
    for key in ("a", "b", "c", "a", "d"):
        waits.failed(key, 0.0)
    assert [waits.left(key, 0.0) for key in "abcd"] == [4, 0, 2, 2]
    guard = Guard(PORTAL, max_entries=10)
    for n in range(50):
        guard.succeeded(f"10.0.{n}.1", "li", 0.0)
    assert guard.knows("10.0.49.1", "li", 0.0)
    assert not guard.knows("10.0.0.1", "li", 0.0)
    buckets: Buckets[str] = Buckets(Rate(2, 0.0))  # what is given back may be taken again and no more than that
    buckets.give_back("new")
    assert [buckets.take("new", 0.0) for _ in range(3)] == [True, True, False]
    buckets.give_back("new")
    assert [buckets.take("new", 0.0) for _ in range(2)] == [True, False]


def test_a_network_is_ones_own_for_a_month() -> None:
    guard = Guard(PORTAL)
    assert guard.spotless("192.0.2.1", 0.0)
    guard.failed("192.0.2.1", "zhang", 0.0)
    assert not guard.spotless("192.0.2.1", 0.0)
    assert guard.spotless("192.0.2.1", 5.0), "it is forgiven at the rate of the network"
    guard.failed("198.51.100.1", "zhang", 0.0, "laptop")
    assert guard.spotless("198.51.100.1", 0.0), "a device of the user's own says nothing of its network"
    guard.succeeded("192.0.2.1", "zhang", 0.0)
    assert guard.knows("192.0.2.1", "zhang", 30 * DAY - 1)
    assert not guard.knows("192.0.2.1", "zhang", 30 * DAY)
    assert not guard.knows("192.0.2.1", "li", 1.0)
    guard = Guard(PORTAL)  # what is wrong from a users own network is not counted against the user
    guard.succeeded("10.0.0.1", "zhang", 0.0)
    for n in range(400):
        guard.failed("10.0.0.1", "zhang", n / 1000)
    assert guard.wait("203.0.113.9", "zhang", 0.4) == 0
    assert guard.wait("10.0.0.77", "zhang", 0.4) == 0, "nor against its neighbours"
    assert guard.wait("10.0.0.1", "zhang", 0.4) > 0, "it waits there itself"
    assert guard.wait("10.0.0.1", "li", 0.4) > 0, "the network has guessed, as far as others know"


@pytest.mark.parametrize("way", MOST)
def test_many_wrong_ones_are_an_alarm_that_ends_by_itself(way: str) -> None:
    guesses = Guesses()
    for n in range(MOST[way] - 1):
        guesses.note(way, "192.0.2.1" if n % 5 else "192.0.2.2", 1020.0 + n / 100)
    assert guesses.findings("node/1", 1031.0) == []
    guesses.note(way, "192.0.2.2", 1031.0)
    (found,) = guesses.findings("node/1", 1031.0)
    assert (found.kind, found.object, found.severity, found.after) == ("guessing", "node/1", "warning", 0.0)
    most = MOST[way] - MOST[way] // 5 - 1
    told = english_of(found.detail)
    assert f"{way}: {MOST[way]} in 10 minutes, 2 sources, most from 192.0.2.1 ({most}), 192.0.2.2" in told
    assert guesses.findings("node/1", 1031.0 + SPAN - 60)
    assert guesses.findings("node/1", 1031.0 + SPAN + 60) == []


def test_slow_guesses_are_no_alarm_and_it_does_not_flap() -> None:
    """A program with an old password that tries again every ten seconds."""
    guesses = Guesses()
    for n in range(1000):
        guesses.note("partners", "192.0.2.1", 10.0 * n)
        assert guesses.findings("node/1", 10.0 * n) == []
    guesses, changes, stood = Guesses(), 0, False  # it does not flap about the limit
    for second in range(0, 3600, 10):
        for _ in range(1 + (second // 600) % 2):  # 60 and 120 in ten minutes
            guesses.note("partners", "192.0.2.1", float(second))
        stands = bool(guesses.findings("node/1", float(second)))
        changes += stands is not stood
        stood = stands
    assert changes == 1


def test_edges_and_sources_are_counted_apart_in_bounded_room() -> None:
    guesses = Guesses()
    for way in ("portal", "partners"):
        for _ in range(MOST[way]):
            guesses.note(way, "192.0.2.1", 1.0)
    (found,) = guesses.findings("node/1", 1.0)
    assert "portal: 50" in english_of(found.detail)
    assert "partners: 100" in english_of(found.detail)
    assert "api" not in english_of(found.detail)
    guesses, dice = Guesses(), random.Random(1)  # noqa: S311
    for n in range(20 * SOURCES):
        guesses.note("api", str(dice.random()), n / 10)
    assert sum(len(some) for _, some in guesses._ways["api"].steps) <= (SPAN // 60) * (SOURCES + 1)
    (found,) = guesses.findings("node/1", 2 * SOURCES)
    assert "most from 0." in english_of(found.detail)
    assert len(english_of(found.detail)) < 300


PROXIES = (ip_network("127.0.0.1/32"), ip_network("10.0.0.0/8"), ip_network("2001:db8::/48"))


def test_the_address_of_a_request_is_what_trusted_proxies_say() -> None:
    for peer, lines, address in (
        ("192.0.2.9", ["1.1.1.1"], "192.0.2.9"),  # nobody we trust says so
        ("127.0.0.1", ["1.1.1.1"], "1.1.1.1"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", [""], "127.0.0.1"),
        # what the client itself claimed stands left of what the proxies saw, on whatever line
        ("127.0.0.1", ["6.6.6.6, 192.0.2.7, 10.0.0.2"], "192.0.2.7"),
        ("127.0.0.1", ["6.6.6.6", "192.0.2.7"], "192.0.2.7"),
        ("127.0.0.1", ["6.6.6.6, 7.7.7.7", "192.0.2.7", "10.0.0.2"], "192.0.2.7"),
        ("127.0.0.1", ["6.6.6.6", "10.0.0.2"], "6.6.6.6"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),  # all of it our own
        # what is no address is nobody's: it is in no allow-list
        ("127.0.0.1", ["garbage"], ""),
        ("127.0.0.1", ["192.0.2.7, unknown"], ""),
        ("127.0.0.1", ["192.0.2.7,, ,10.0.0.2,"], "192.0.2.7"),
        (None, ["1.1.1.1"], ""),
        ("", [], ""),
        # as some proxies write it
        ("127.0.0.1", ["192.0.2.7:5123"], "192.0.2.7"),
        ("127.0.0.1", ["[2001:db8:1::7]:5123"], "2001:db8:1::7"),
        ("127.0.0.1", ["2001:db8:1::7"], "2001:db8:1::7"),
        ("127.0.0.1", ["1.1.1.1, [2001:db8::7]"], "1.1.1.1"),
        ("127.0.0.1", ["::ffff:192.0.2.7"], "192.0.2.7"),
        ("::ffff:127.0.0.1", ["192.0.2.7"], "192.0.2.7"),
        ("fe80::1%eth0", [], "fe80::1"),
        # an address is written in one way, so that it counts as one
        ("0.0.2.7", [], "0.0.2.7"),
        ("255.255.255.255", [], "255.255.255.255"),
        ("192.0.2.07", [], ""),
        ("192.0.2.256", [], ""),
        ("192.0.2", [], ""),
        ("192.0.2.7.", [], ""),
        ("192.0.2.7\n", [], ""),
        ("192.0.2.7.1", [], ""),
        ("192.0.2.\u0667", [], ""),
    ):
        assert client_address(peer, lines, PROXIES) == address
    assert client_address("127.0.0.1", ["1.1.1.1"], ()) == "127.0.0.1"
    for peer, lines, tls in (  # who speaks tls
        ("127.0.0.1", ["https"], True),
        ("127.0.0.1", ["HTTPS "], True),
        ("127.0.0.1", ["http"], False),
        ("127.0.0.1", ["https", "http"], False),  # the nearest proxy's word
        ("127.0.0.1", ["https, http"], False),
        ("127.0.0.1", [], False),
        ("192.0.2.9", ["https"], False),
        (None, ["https"], False),
    ):
        assert client_speaks_tls(peer, lines, PROXIES) is tls
    assert place_of("::ffff:192.0.2.7") == place_of("192.0.2.7") == "192.0.2.7"  # what counts as one
    assert place_of("2001:db8::1") == place_of("2001:db8::ffff:1") != place_of("2001:db8:0:1::1")
    assert place_of("nonsense") == place_of("") == ""
    assert within("::ffff:10.1.2.3", PROXIES)


def test_an_address_is_in_a_city_a_province_abroad_or_unknown() -> None:
    for address, province, city in (
        ("112.96.33.1", "广东", "广州"), ("60.30.1.1", "天津", ""), ("101.6.6.6", "北京", ""),
        ("::ffff:222.240.1.1", "湖南", "长沙"), ("202.175.3.3", "澳门", ""), ("210.3.3.3", "香港", ""),
        ("124.117.235.203", "新疆", "乌鲁木齐"), ("8.8.8.8", ABROAD, ""), ("10.0.0.1", "", ""), ("127.0.0.1", "", ""),
        ("2409:8900::1", "", ""), ("#0123456789abcdef0123456789abcdef", "", ""), ("nonsense", "", ""), ("", "", ""),
        ("255.255.255.255", "", ""), ("192.0.2.1", "", ""), ("223.255.255.255", ABROAD, ""),
    ):  # fmt: skip
        assert region_of(address) == (province, city)
