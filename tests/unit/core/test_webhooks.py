"""Addresses, schedules and formats of pushes, without a network."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from smsgw.core import push_format
from smsgw.core.webhooks import (
    SCHEDULE,
    Endpoint,
    Hooks,
    Options,
    Reach,
    Way,
    Wrong,
    batch_limit,
    check_url,
    host_allowed,
    parse_networks,
    parse_options,
    probe_delay,
    retry_delay,
)

NOW = datetime(2026, 5, 1, 1, 0, tzinfo=UTC)
DOCUMENT = Path(__file__).parents[3] / "docs" / "webhooks.md"


def endpoint(name: str = "main", *, events: tuple[str, ...] = (), id_: int = 1, **options: Any) -> Endpoint:
    return Endpoint(id_, 7, "acme", name, "https://example.org/", events, parse_options(options), (b"k" * 32,))


def test_what_is_not_public_is_not_reached() -> None:
    for address in (
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",  # noqa: S104
        "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "not an address",
        "192.0.0.192", "192.0.0.9", "192.0.0.170", "192.88.99.1", "198.18.0.1", "203.0.113.7", "168.63.129.16",
        "100.100.100.200", "240.0.0.1", "233.252.0.1", "fec0::1", "3fff::1", "2001:db8::1", "5f00::1", "100::1",
        "2001::1", "2001:0:5ef5:79fd::1", "2001:20::1", "2002:5db8:d70e::1", "fd00:ec2::254", "::10.0.0.1",
        "::5db8:d70e", "::ffff:0:7f00:1", "64:ff9b:1::5db8:d70e", "64:ff9b::a9fe:a9fe", "::ffff:169.254.169.254",
        "::ffff:7f00:1", "0:0:0:0:0:ffff:a00:1", "2620:4f:8000::1", "4000::1", "ff0e::1", "::ffff:0.0.0.0",
    ):  # fmt: skip
        assert not Reach().allows(address)
    for address in ("224.0.0.1", "255.255.255.255", "ff02::1", "ff0e::1"):  # nothing opens addresses of many
        assert not Reach(networks=parse_networks(["0.0.0.0/0", "::/0", "224.0.0.0/4", "ff00::/8"])).allows(address)
    assert Reach().allows("93.184.215.14")  # public addresses and networks that were allowed are reached
    assert Reach().allows("2606:2800:21f:cb07::1")
    assert Reach().allows("64:ff9b::5db8:d70e"), "where there is IPv6 alone, names resolve to that (RFC 6147)"
    assert Reach().allows("::ffff:93.184.215.14")
    assert Reach().allows("2001:4860:4860::8888")
    inside = Reach(networks=parse_networks(["10.0.0.0/8"]))
    assert inside.allows("10.1.2.3")
    assert inside.allows("::ffff:10.1.2.3")
    assert not inside.allows("127.0.0.1")
    platform = Reach(networks=parse_networks(["10.0.0.0/8", "fd00::/8", "192.168.7.0/24"]))
    bank = platform.narrowed(parse_networks(["10.1.0.0/16", "192.168.0.0/16", "172.16.0.0/12"]))
    assert [bank.allows(a) for a in ("10.1.2.3", "192.168.7.1", "::ffff:10.1.2.3", "93.184.215.14")] == [True] * 4
    assert not any(bank.allows(a) for a in ("10.2.0.1", "192.168.8.1", "172.16.0.1", "fd00::1"))
    assert platform.narrowed(()) == Reach()
    assert not platform.narrowed(()).allows("10.1.2.3")


def test_addresses_that_can_be_and_that_cannot() -> None:
    for url in (
        "http://example.org/", "https://example.org:22/", "https://u@example.org/", "https://example.org/#x",
        "https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f.1/", "https://[::1]/",
        "https://exa mple.org/", "https://例子.cn/", "https:///x", "file:///etc/passwd", "https://{to}/", "",
        "https://example.org/{to}", "https://example.org:99999/", "https://-x.org/", "x" * 3000,
    ):  # fmt: skip
        with pytest.raises(Wrong):
            check_url(url, Reach())
    assert check_url("https://Example.org/a?b=c", Reach()) == "example.org"  # addresses that can be
    assert check_url("https://example.org:8443/", Reach()) == "example.org"
    assert check_url("http://example.org/", Reach(http=True)) == "example.org"
    assert check_url("https://example.org/{to}", Reach(), placeholders=True) == "example.org"
    assert host_allowed("a.example.org", (".example.org",))
    assert not host_allowed("badexample.org", (".example.org", "example.org"))
    for address in (  # a wide network does not open this machine or a clouds metadata
        "127.0.0.1", "169.254.169.254", "100.100.100.200", "192.0.0.192", "168.63.129.16", "0.0.0.0",  # noqa: S104
        "::1", "fd00:ec2::254", "fe80::1", "::ffff:127.0.0.1", "64:ff9b::a9fe:a9fe",
    ):  # fmt: skip
        wide = Reach(networks=parse_networks(["0.0.0.0/0", "::/0", "100.64.0.0/10", "192.0.0.0/24", "fd00::/8"]))
        assert not wide.allows(address)
        assert wide.allows("10.1.2.3")
        assert Reach(networks=parse_networks(["127.0.0.1", "169.254.169.254", "::1"])).allows("127.0.0.1")


def test_a_type_goes_to_who_names_it_by_the_schedule() -> None:
    assert [retry_delay(n, 0.5) for n in range(1, 12)] == list(SCHEDULE)
    assert retry_delay(12, 0.5) is None
    assert (retry_delay(1, 0.0), round(retry_delay(1, 0.9999) or 0, 2)) == (4.0, 6.0)
    assert [probe_delay(n, 0.5) for n in (1, 2, 3, 7, 700)] == [0, 0, 5, 60, 60]
    assert [batch_limit(100, n) for n in range(5)] == [100, 25, 6, 1, 1]
    named = endpoint("named", events=("message.mo", "channel.state"), id_=1)
    rest = endpoint("rest", id_=2)
    hooks = Hooks([named, rest], {7: Way.WEBHOOK})
    assert hooks.endpoint(7, "message.mo") is named
    assert hooks.endpoint(7, "message.report") is rest
    assert hooks.kinds(named) == ("mo", "channel.state")
    assert "channel.state" not in hooks.kinds(rest)
    alone = Hooks([rest], {7: Way.WEBHOOK})
    assert alone.endpoint(7, "channel.state") is None, "only who asks for it"
    assert alone.way(7, "channel.state") is Way.PULL


def test_answers_and_options_are_held_against_what_is_expected() -> None:
    assert push_format.satisfied("", b"anything")
    assert push_format.satisfied("SUCCESS", b" SUCCESS\n")
    assert not push_format.satisfied("OK", b"NOT OK")
    assert push_format.satisfied('{"code": 0}', b'{"code":0,"msg":"x"}')
    assert not push_format.satisfied('{"code": 0}', b'{"code":1}')
    assert push_format.satisfied("[1, 2]", b"[1,2]")
    assert not push_format.satisfied("[1, 2]", b"[1,3]")
    assert not push_format.satisfied("true", b"false")
    assert not push_format.satisfied('{"code": 0}', b"<html>")
    assert not push_format.satisfied('{"code": 0}', b"\xff\xfe")
    assert not push_format.satisfied('{"code": 0}', b"[" * 30_000 + b"]" * 30_000), "so deep that nobody follows"
    assert Options().stored() == {}  # options say what is wrong and store what differs
    assert parse_options({"format": "form"}).max_items == 1
    assert parse_options({"max_items": 5, "linger_ms": 1000}).stored() == {"max_items": 5}
    for wrong in (
        {"format": "xml"}, {"max_items": 101}, {"max_items": True}, {"linger_ms": "1"}, {"other": 1},
        {"fields": {"a b": "to"}}, {"fields": {"a": "to.x.y"}}, {"expect": "x" * 201},
    ):  # fmt: skip
        with pytest.raises(Wrong):
            parse_options(wrong)


def test_calls_are_written_as_asked() -> None:
    item = push_format.sample("message.report", NOW)
    call = push_format.build(
        endpoint(format="get", times="yyyyMMddHHmmss"), "https://example.org/?t={done_at}&c={parts.ok}&x={none}&y={ext}",
        "message.report", [item | {"ext": "a&b=c"}], "id", NOW,
    )  # fmt: skip
    assert call.url == "https://example.org/?t=20260501090000&c=1&x=&y=a%26b%3Dc"
    assert (call.method, call.body) == ("GET", b"")
    item = push_format.sample("message.report", NOW) | {"class": "", "done_at": None}
    call = push_format.build(endpoint(format="form"), "https://example.org/", "message.report", [item], "id", NOW)
    fields = dict(parse_qsl(call.body.decode(), keep_blank_values=True))
    assert fields.keys() == (item.keys() - {"parts"}) | {"type", "parts.total", "parts.ok"}
    assert (fields["type"], fields["parts.total"], fields["parts.ok"]) == ("message.report", "1", "1")
    assert (fields["status"], fields["class"], fields["done_at"]) == ("delivered", "", "")
    assert call.headers["Content-Type"] == "application/x-www-form-urlencoded"


def test_the_documented_recipe_verifies_what_is_sent() -> None:
    source = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert source
    recipe: dict[str, Any] = {}
    exec(compile(source[1], "docs/webhooks.md", "exec"), recipe)  # noqa: S102 - our own document
    one = endpoint()
    secret = "whsec_" + base64.b64encode(one.secrets[0]).decode()
    items = [push_format.sample("message.report", NOW)]
    call = push_format.build(one, one.url, "message.report", items, "msg_1", datetime.now(UTC))
    assert recipe["verified"](secret, call.headers, call.body)
    assert not recipe["verified"](secret, call.headers, call.body + b" ")
    late = push_format.build(one, one.url, "message.report", items, "msg_1", NOW)
    assert not recipe["verified"](secret, late.headers, late.body)
