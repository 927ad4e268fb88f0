"""Who guesses is slowed down, by numbers; who is right gets in."""

from __future__ import annotations

import itertools

import pytest

from smsgw.core.addresses import place_of, site_of
from smsgw.core.guard import PARTNERS, PORTAL, Buckets, Guard, Rate, Waits

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


def test_one_address_cannot_go_through_the_names() -> None:
    guard = Guard(PORTAL)
    looked_at = sum(attack(guard, "192.0.2.1", f"user{n}", n / 10) for n in range(6000))
    assert looked_at <= 30 + 0.2 * 600 + 1
    assert guard.wait("192.0.2.1", "stranger", 599.95) > 0
    guard.succeeded("192.0.2.1", "colleague", 0.0)
    assert guard.wait("192.0.2.1", "colleague", 599.95) == 0, "who has logged in from there is no stranger"


def test_ones_own_login_takes_nothing_back_for_others() -> None:
    guard = Guard(PORTAL)
    looked_at = 0
    for n in range(1000):
        looked_at += attack(guard, "192.0.2.1", f"user{n}", n / 10)
        guard.succeeded("192.0.2.1", "insider", n / 10)
    assert looked_at <= 30 + 0.2 * 100 + 1


def test_many_addresses_together_have_a_limit_for_a_user_and_newcomers_one_of_their_own() -> None:
    guard = Guard(PORTAL)
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


def test_a_partners_own_address_is_never_slowed_down_by_what_is_wrong_there() -> None:
    guard = Guard(PARTNERS)
    guard.succeeded("10.0.0.1", "shop", 0.0)
    for n in range(1000):
        guard.failed("10.0.0.1", "shop", n * 0.01)
    assert guard.admit("10.0.0.1", "shop", 11.0) == 0
    for _ in range(100):  # logins in masses are, right or wrong
        guard.admit("10.0.0.1", "shop", 11.0)
    assert guard.admit("10.0.0.1", "shop", 11.0) > 0
    assert guard.slowed


def test_what_another_node_has_learned_holds_here() -> None:
    guard = Guard(PARTNERS)
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


def test_what_is_full_forgets_what_was_used_the_longest_ago() -> None:
    """Else whoever fills it first would guess unseen ever after."""
    waits: Waits[str] = Waits(1, 60.0, 3)
    for key in ("a", "b", "c", "a", "d"):
        waits.failed(key, 0.0)
    assert [waits.left(key, 0.0) for key in "abcd"] == [4, 0, 2, 2]
    guard = Guard(PORTAL, max_entries=10)
    for n in range(50):
        guard.succeeded(f"10.0.{n}.1", "li", 0.0)
    assert guard.knows("10.0.49.1", "li", 0.0)
    assert not guard.knows("10.0.0.1", "li", 0.0)


def test_a_wait_is_over_when_it_is_over() -> None:
    """Never less than none: whoever is asked to wait for less than nothing is refused as well."""
    waits: Waits[str] = Waits(1, 60.0)
    assert waits.failed("a", 100.0) == 2
    assert [waits.left("a", now) for now in (101.5, 102.0, 103.0, 900.0)] == [0.5, 0.0, 0.0, 0.0]
    guard = Guard(PORTAL)
    for _ in range(PORTAL.free):
        guard.failed("192.0.2.1", "zhang", 100.0)
    assert guard.admit("192.0.2.1", "zhang", 101.9) == pytest.approx(0.1)
    assert guard.slowed == 1
    assert guard.admit("192.0.2.1", "zhang", 103.0) == 0
    assert guard.slowed == 1


def test_failures_long_ago_count_no_more() -> None:
    waits: Waits[str] = Waits(2, 60.0)
    waits.failed("a", 0.0)
    assert waits.failed("a", Waits.FORGET) == 2, "still the second"
    assert waits.failed("a", 2 * Waits.FORGET + 1) == 0, "the first again"
    assert waits.failed("a", 2 * Waits.FORGET + 2) == 2


def test_a_network_is_ones_own_for_a_month_and_spotless_until_something_was_wrong_there() -> None:
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


def test_what_is_wrong_from_a_users_own_network_is_not_counted_against_the_user() -> None:
    guard = Guard(PORTAL)
    guard.succeeded("10.0.0.1", "zhang", 0.0)
    for n in range(400):
        guard.failed("10.0.0.1", "zhang", n / 1000)
    assert guard.wait("203.0.113.9", "zhang", 0.4) == 0
    assert guard.wait("10.0.0.77", "zhang", 0.4) == 0, "nor against its neighbours"
    assert guard.wait("10.0.0.1", "zhang", 0.4) > 0, "it waits there itself"
    assert guard.wait("10.0.0.1", "li", 0.4) > 0, "the network has guessed, as far as others know"


def test_what_is_given_back_may_be_taken_again_and_no_more_than_that() -> None:
    buckets: Buckets[str] = Buckets(Rate(2, 0.0))
    buckets.give_back("new")
    assert [buckets.take("new", 0.0) for _ in range(3)] == [True, True, False]
    buckets.give_back("new")
    assert [buckets.take("new", 0.0) for _ in range(2)] == [True, False]
