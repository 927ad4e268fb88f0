"""Brands: hosts, looks, and what may be read on their colours."""

from __future__ import annotations

import pytest

from smsgw.core.brand import NEUTRAL, Brand, Brands, Look, contrast, name_of, parse_host, parse_look


def test_a_host_shows_its_brand_and_an_unknown_one_nobodys() -> None:
    city, port = Look(name="City"), Look(name="Port")
    brands = Brands.of([Brand(1, ("sms.city.example", "10.0.0.7"), city), Brand(2, ("port.example",), port)])
    assert brands.look("SMS.city.example:8443") is city
    assert brands.look("10.0.0.7") is city
    assert brands.look("port.example.") is port
    for unknown in ("", "city.example", "sms.city.example.evil", "*", "[::1]:80"):
        assert brands.look(unknown) is NEUTRAL, unknown
    every = Brands.of([*brands.by_host.values(), Brand(3, ("*",), Look(name="Every"))])
    assert every.look("elsewhere.example").name == "Every"
    assert every.look("port.example") is port


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ("SMS.Example.", "sms.example"), ("*", "*"), ("10.0.0.7", "10.0.0.7"), ("[2001:DB8::1]", "2001:db8::1"),
        ("短信.example", "xn--vuq298g.example"), ("a:80", "a"), ("[::1]:8080", "::1"),
    ],
)  # fmt: skip
def test_hosts_are_compared_as_they_are_asked_for(given: str, host: str) -> None:
    assert parse_host(given) == host
    assert host == "*" or name_of(host if ":" not in host else f"[{host}]:443") == host


@pytest.mark.parametrize(
    "given", ["", " ", "a b", "a/b", "a:b", "http://a", "-a.example", "*.example", "a" * 64, "a." * 127 + "aa"]
)
def test_what_is_no_host_is_refused(given: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse_host(given)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "x" * 31), ("footer", "a\0b"), ("colour", "red"), ("colour", "#12345"), ("colour", "#0b5cab;}"),
        ("login_style", "wild"), ("logo", "../x"), ("logo", "a" * 63),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(field: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}$"):
        parse_look({field: value})


def test_a_later_programs_fields_are_passed_over() -> None:
    assert parse_look({"name": " City ", "font": "x"}) == Look(name="City")


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("#000000", "#ffffff", 21), ("#777777", "#ffffff", 4.48), ("#767676", "#ffffff", 4.54),
        ("#ff0000", "#ffffff", 4.0), ("#00ff00", "#ffffff", 1.37), ("#0000ff", "#ffffff", 8.59),
        ("#0a0a0a", "#000000", 1.06), ("#ffffff", "#ffffff", 1),
    ],
)  # fmt: skip
def test_contrast_is_that_of_the_web_guidelines(one: str, other: str, ratio: float) -> None:
    assert contrast(one, other) == pytest.approx(ratio, abs=0.01)
    assert contrast(other, one) == contrast(one, other)


def test_what_is_written_on_a_colour_can_be_read() -> None:
    for red in range(0, 256, 15):
        for green in range(0, 256, 15):
            for blue in range(0, 256, 15):
                colour = f"#{red:02x}{green:02x}{blue:02x}"
                assert contrast(colour, Look(colour=colour).ink) >= 4.5, colour
