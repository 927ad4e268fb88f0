"""Signatures, nonces, addresses: what lets a request in, and what keeps it out."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

import pytest

from smsgw.api import auth
from smsgw.core.errors import Refused, SmsgwError
from smsgw.core.model import Account

NOW = 1_790_000_000.0
EMPTY = hashlib.sha256(b"").hexdigest()
NONCE = "0123456789abcdef"


@dataclass(frozen=True)
class Key:
    key_id: str = "k1"
    account_id: int = 1
    scopes: frozenset[str] = frozenset({"send"})
    test: bool = False
    ip_allow: tuple = ()
    secrets: tuple[str, ...] = ("s3cret",)
    status: str = "active"
    expires_at: datetime | None = None
    requests_per_second: int = 200
    lent: bool = False


class Snapshots:
    def __init__(self, *keys: Key) -> None:
        self.keys = {k.key_id: k for k in keys}
        self.bearers = {hashlib.sha256(f"smk_{k.key_id}".encode()).digest(): k for k in keys}

    @property
    def current(self) -> Snapshots:
        return self

    async def follow(self) -> bool:
        return False

    def key(self, key_id: str) -> Key | None:
        return self.keys.get(key_id)

    def account(self, account_id: int) -> Account | None:
        return Account(1, "acme", "active") if account_id == 1 else None

    def key_by_bearer_sha256(self, digest: bytes) -> Key | None:
        return self.bearers.get(digest)


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


def make(*keys: Key, **how: Any) -> tuple[auth.Authenticator, Clock]:
    clock = Clock()
    options = {"clock": clock, "monotonic": clock, "allow_insecure_bearer": False} | how
    return auth.Authenticator(Snapshots(*keys or (Key(),)), **options), clock


SECRET = "s3cret"


def signed(
    secret: str = SECRET, *, nonce: str = NONCE, at: float = NOW, key: str = "k1", once: str = "", version: int = 2
) -> dict[str, str]:
    text = f"GET\n/api/v1/balance\n\n{int(at)}\n{nonce}\n{EMPTY}"
    if version == 2:
        text = f"v2\n{text}\n{once}"
    mac = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return {
        "X-Sms-Key": key, "X-Sms-Timestamp": str(int(at)), "X-Sms-Nonce": nonce, "X-Sms-Signature": f"v{version}={mac}",
    } | ({"Idempotency-Key": once} if once else {})  # fmt: skip


def enter(authenticator: auth.Authenticator, headers: dict[str, str], **how: Any) -> auth.Claim:
    claim = authenticator.identify(headers, **{"secure": True, "address": "192.0.2.1"} | how)
    authenticator.verify(claim, "GET", "/api/v1/balance", "", EMPTY)
    return claim


def refused(authenticator: auth.Authenticator, headers: dict[str, str], **how: object) -> SmsgwError:
    with pytest.raises(SmsgwError) as caught:
        enter(authenticator, headers, **how)
    return caught.value


def test_version_2_covers_the_idempotency_key_and_version_1_ends() -> None:
    authenticator, _ = make()
    enter(authenticator, signed(once="order-1"))
    for change in ({"Idempotency-Key": "order-2"}, {"Idempotency-Key": ""}):
        error = refused(authenticator, signed(nonce="b" * 16, once="order-1") | change)
        assert error.code == "AUTH_SIGNATURE_INVALID"
    added = signed(nonce="c" * 16) | {"Idempotency-Key": "order-1"}
    assert refused(authenticator, added).code == "AUTH_SIGNATURE_INVALID"
    authenticator, clock = make(v1_until=NOW + 10)  # version 1 ends
    enter(authenticator, signed(version=1))
    clock.now = NOW + 10
    assert refused(authenticator, signed(nonce="b" * 16, version=1)).code == "AUTH_SIGNATURE_OUTDATED"
    enter(authenticator, signed(nonce="c" * 16))
    for query, canonical in (  # the canonical query is sorted and encoded
        ("", ""), ("b=2&a=1&a=0", "a=0&a=1&b=2"), ("to=%2b86138&t=a%20b~c", "t=a%20b~c&to=%2B86138"), ("x", "x="),
        ("k=%ff", "k=%FF"), ("k=\udcff", "k=%FF"), ("k=%E4%B8%AD", "k=%E4%B8%AD"),
    ):  # fmt: skip
        assert auth.canonical_query(query) == canonical


def test_a_nonce_enters_once_and_is_kept_for_its_key_and_time() -> None:
    authenticator, _ = make(Key(), Key(key_id="k2"))
    assert refused(authenticator, signed("wrong")).code == "AUTH_SIGNATURE_INVALID"
    one, two = enter(authenticator, signed()), enter(authenticator, signed(key="k2"))
    assert (one.key.key_id, two.key.key_id, len(one.nonce_key)) == ("k1", "k2", 32)
    assert one.nonce_key != two.nonce_key
    authenticator, clock = make()  # a nonce enters once even at the edges of its time
    for skew in range(0, 5000, 250):
        clock.now = NOW + skew
        early = signed(nonce=f"nonce-at-{skew:08d}", at=clock.now + 300)
        enter(authenticator, early)
        clock.now += 600  # the last moment at which this timestamp is still good
        assert refused(authenticator, early).code == "AUTH_NONCE_REPLAYED"
    nonces = auth.Nonces(0.0, limit=3)  # nonces are bounded and forgotten
    for n in range(3):
        nonces.use(f"n{n}", 1.0)
    with pytest.raises(SmsgwError) as caught:
        nonces.use("n3", 1.0)
    assert (caught.value.code, caught.value.retry_after) == ("RATE_LIMITED", 599.0)
    nonces.use("n3", 601.0)
    with pytest.raises(SmsgwError):
        nonces.use("n0", 601.0)
    nonces.use("n0", 1202.0)  # two periods later


def test_a_header_that_is_missing_odd_or_stale_is_refused() -> None:
    for header, values, codes in (
        ("X-Sms-Timestamp", (None, ""), {"AUTH_MISSING"}),
        ("X-Sms-Timestamp", ("x", "-5", "1e9", "٣" * 10, "9" * 13), {"AUTH_MISSING", "AUTH_TIMESTAMP_EXPIRED"}),
        ("X-Sms-Nonce", (None,), {"AUTH_MISSING"}),
        ("X-Sms-Signature", (None,), {"AUTH_MISSING"}),
        ("X-Sms-Signature", ("v1=é", "v2=é", "\udcff", "v1=", "v2=", "v3=00"), {"AUTH_SIGNATURE_INVALID"}),
    ):
        authenticator, _ = make()
        for value in values:
            headers = {name: of for name, of in (signed() | {header: value}).items() if of is not None}
            assert refused(authenticator, headers).code in codes, value
    for skew in (-301, 301, 10**9):  # a stale timestamp is told the time
        authenticator, _ = make()
        error = refused(authenticator, signed(at=NOW + skew))
        assert (error.code, error.detail["unix"]) == ("AUTH_TIMESTAMP_EXPIRED", int(NOW))
        assert error.detail["time"].endswith("+08:00")
    for nonce in ("short", "x" * 65, "with space 123456", "é" * 16):  # a nonce has its shape
        authenticator, _ = make()
        error = refused(authenticator, signed(nonce=nonce))
        assert (error.code, error.detail["field"]) == ("PARAM_INVALID", "X-Sms-Nonce")


def test_only_live_keys_and_their_secrets_enter() -> None:
    for key, headers, code in (
        (Key(status="stopped"), signed(), "AUTH_KEY_INVALID"),
        (Key(expires_at=datetime.fromtimestamp(NOW, UTC)), signed(), "AUTH_KEY_INVALID"),
        (Key(key_id="another"), signed(), "AUTH_KEY_INVALID"),
        (Key(account_id=2), signed(), "AUTH_KEY_INVALID"),
        *((Key(), {"Authorization": value}, "AUTH_MISSING") for value in ("", "Bearer", "Bearer ", "Basic smk_k1")),
    ):
        authenticator, _ = make(key, allow_insecure_bearer=True)
        assert refused(authenticator, headers).code == code
    authenticator, _ = make(Key(secrets=("old", "new")))  # secrets of a rotation and of test keys
    enter(authenticator, signed("old", nonce="a" * 16))
    enter(authenticator, signed("new", nonce="b" * 16))
    assert refused(authenticator, signed("other", nonce="c" * 16)).code == "AUTH_SIGNATURE_INVALID"
    live, _ = make()
    assert "string_to_sign" not in refused(live, signed("wrong")).detail
    test, _ = make(Key(test=True))
    told = refused(test, signed("wrong")).detail["string_to_sign"]
    assert told == f"v2\nGET\n/api/v1/balance\n\n{int(NOW)}\n{NONCE}\n{EMPTY}\n"


def test_what_a_bearer_and_an_allow_list_need() -> None:
    authenticator, _ = make(Key(ip_allow=(ip_network("192.0.2.0/24"),)), Key(key_id="open"))
    assert enter(authenticator, {"Authorization": "Bearer smk_k1"}).key.key_id == "k1"
    for name, secure, code in (
        ("k1", False, "AUTH_BEARER_INSECURE"),
        ("open", True, "AUTH_BEARER_INSECURE"),
        ("nobody", True, "AUTH_KEY_INVALID"),
    ):
        assert refused(authenticator, {"Authorization": f"Bearer smk_{name}"}, secure=secure).code == code
    token = {"Authorization": "bearer smk_k1"}
    allowing, _ = make(Key(), allow_insecure_bearer=True)
    for address in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"):
        assert enter(allowing, token, secure=False, address=address).key.key_id == "k1"
    for address in ("192.0.2.1", "", "::2"):
        assert refused(allowing, token, secure=False, address=address).code == "AUTH_BEARER_INSECURE"
    strict, _ = make()
    assert refused(strict, token, secure=False, address="127.0.0.1").code == "AUTH_BEARER_INSECURE"
    authenticator, _ = make(Key(ip_allow=(ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))))
    for n, address in enumerate(("10.1.2.3", "2001:db8::1", "::ffff:10.1.2.3")):
        enter(authenticator, signed(nonce=f"{n}" * 16), address=address)
    for n, address in enumerate(("192.0.2.1", "")):
        error = refused(authenticator, signed(nonce=f"{n + 3}" * 16), address=address)
        assert (error.code, error.detail["ip"]) == ("AUTH_IP_DENIED", address)


def test_limits_are_a_keys_and_an_addresss_own() -> None:
    key = Key(requests_per_second=2)
    authenticator, clock = make(key, replace(key, key_id="k2"))
    assert [authenticator.spend(key).remaining for _ in range(4)] == [3, 2, 1, 0]
    quota = authenticator.spend(key)
    assert (quota.limit, quota.remaining, quota.reset) == (4, 0, 2)
    assert quota.wait == pytest.approx(0.5)
    assert authenticator.spend(replace(key, key_id="k2")).wait == 0.0
    clock.now += 0.5
    assert authenticator.spend(key).wait == 0.0
    authenticator, clock = make()  # who fails over and over is told to wait and nobody else
    wrong = Refused("AUTH_KEY_INVALID")
    for _ in range(int(auth.FAILURES.at_once)):
        authenticator.failed(wrong, "192.0.2.1")
    with pytest.raises(auth.TooManyFailures) as caught:
        authenticator.failed(wrong, "192.0.2.1")
    assert caught.value.retry_after == pytest.approx(1 / auth.FAILURES.per_second)
    authenticator.failed(wrong, "192.0.2.2")
    authenticator.failed(Refused("NOT_FOUND"), "192.0.2.1")  # of one who has proven who he is
    enter(authenticator, signed())
    clock.now += 1 / auth.FAILURES.per_second
    authenticator.failed(wrong, "192.0.2.1")
