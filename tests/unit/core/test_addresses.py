"""Whose a request is behind proxies: nobody gets an address by claiming it."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from smsgw.core.addresses import client_address, client_speaks_tls, place_of, within

PROXIES = (ip_network("127.0.0.1/32"), ip_network("10.0.0.0/8"), ip_network("2001:db8::/48"))


@pytest.mark.parametrize(
    ("peer", "lines", "address"),
    [
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
    ],
)
def test_the_address_of_a_request(peer: str | None, lines: list[str], address: str) -> None:
    assert client_address(peer, lines, PROXIES) == address


def test_without_trusted_proxies_the_peer_is_the_client() -> None:
    assert client_address("127.0.0.1", ["1.1.1.1"], ()) == "127.0.0.1"


@pytest.mark.parametrize(
    ("peer", "lines", "tls"),
    [
        ("127.0.0.1", ["https"], True),
        ("127.0.0.1", ["HTTPS "], True),
        ("127.0.0.1", ["http"], False),
        ("127.0.0.1", ["https", "http"], False),  # the nearest proxy's word
        ("127.0.0.1", ["https, http"], False),
        ("127.0.0.1", [], False),
        ("192.0.2.9", ["https"], False),
        (None, ["https"], False),
    ],
)
def test_who_speaks_tls(peer: str | None, lines: list[str], tls: bool) -> None:
    assert client_speaks_tls(peer, lines, PROXIES) is tls


def test_what_counts_as_one() -> None:
    assert place_of("::ffff:192.0.2.7") == place_of("192.0.2.7") == "192.0.2.7"
    assert place_of("2001:db8::1") == place_of("2001:db8::ffff:1") != place_of("2001:db8:0:1::1")
    assert place_of("nonsense") == place_of("") == ""
    assert within("::ffff:10.1.2.3", PROXIES)
