"""Signatures, nonces, addresses: what lets a request in, and what keeps it out."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from ipaddress import ip_network

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
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def make(*keys: Key, insecure: bool = False) -> tuple[auth.Authenticator, Clock]:
    clock = Clock()
    return auth.Authenticator(Snapshots(*keys), clock=clock, monotonic=clock, allow_insecure_bearer=insecure), clock


SECRET = "s3cret"


def signed(
    secret: str = SECRET,
    *,
    nonce: str = NONCE,
    at: float = NOW,
    key: str = "k1",
    once: str = "",
    version: int = 2,
) -> dict[str, str]:
    text = f"GET\n/api/v1/balance\n\n{int(at)}\n{nonce}\n{EMPTY}"
    if version == 2:
        text = f"v2\n{text}\n{once}"
    mac = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return {
        "X-Sms-Key": key, "X-Sms-Timestamp": str(int(at)), "X-Sms-Nonce": nonce, "X-Sms-Signature": f"v{version}={mac}",
    } | ({"Idempotency-Key": once} if once else {})  # fmt: skip


def enter(authenticator: auth.Authenticator, headers: dict[str, str], **how: object) -> auth.Claim:
    claim = authenticator.identify(
        headers, secure=bool(how.get("secure", True)), address=str(how.get("address", "192.0.2.1"))
    )
    authenticator.verify(claim, "GET", "/api/v1/balance", "", EMPTY)
    return claim


def refused(authenticator: auth.Authenticator, headers: dict[str, str], **how: object) -> SmsgwError:
    with pytest.raises(SmsgwError) as caught:
        enter(authenticator, headers, **how)
    return caught.value


def test_a_sound_signature_enters() -> None:
    authenticator, _ = make(Key())
    assert enter(authenticator, signed()).key.key_id == "k1"


def test_version_2_covers_the_idempotency_key() -> None:
    authenticator, _ = make(Key())
    enter(authenticator, signed(once="order-1"))
    for change in ({"Idempotency-Key": "order-2"}, {"Idempotency-Key": ""}):
        error = refused(authenticator, signed(nonce="b" * 16, once="order-1") | change)
        assert error.code == "AUTH_SIGNATURE_INVALID"
    added = signed(nonce="c" * 16) | {"Idempotency-Key": "order-1"}
    assert refused(authenticator, added).code == "AUTH_SIGNATURE_INVALID"


def test_version_1_ends() -> None:
    clock = Clock()
    authenticator = auth.Authenticator(
        Snapshots(Key()), clock=clock, monotonic=clock, allow_insecure_bearer=False, v1_until=NOW + 10
    )
    enter(authenticator, signed(version=1))
    clock.now = NOW + 10
    assert refused(authenticator, signed(nonce="b" * 16, version=1)).code == "AUTH_SIGNATURE_OUTDATED"
    enter(authenticator, signed(nonce="c" * 16))


def test_a_nonce_is_kept_as_that_of_its_key() -> None:
    authenticator, _ = make(Key(), Key(key_id="k2"))
    one, two = enter(authenticator, signed()), enter(authenticator, signed(key="k2"))
    assert len(one.nonce_key) == 32
    assert one.nonce_key != two.nonce_key


def test_both_secrets_of_a_rotation_enter_and_a_third_does_not() -> None:
    authenticator, _ = make(Key(secrets=("old", "new")))
    enter(authenticator, signed("old", nonce="a" * 16))
    enter(authenticator, signed("new", nonce="b" * 16))
    assert refused(authenticator, signed("other", nonce="c" * 16)).code == "AUTH_SIGNATURE_INVALID"


@pytest.mark.parametrize("header", ["X-Sms-Timestamp", "X-Sms-Nonce", "X-Sms-Signature"])
def test_every_header_is_needed(header: str) -> None:
    authenticator, _ = make(Key())
    headers = signed()
    del headers[header]
    assert refused(authenticator, headers).code == "AUTH_MISSING"


def test_a_nonce_enters_once_even_at_the_edges_of_its_time() -> None:
    authenticator, clock = make(Key())
    for skew in range(0, 5000, 250):
        clock.now = NOW + skew
        early = signed(nonce=f"nonce-at-{skew:08d}", at=clock.now + 300)
        enter(authenticator, early)
        clock.now += 600  # the last moment at which this timestamp is still good
        assert refused(authenticator, early).code == "AUTH_NONCE_REPLAYED"


def test_a_bad_signature_does_not_use_up_the_nonce() -> None:
    authenticator, _ = make(Key())
    assert refused(authenticator, signed("wrong")).code == "AUTH_SIGNATURE_INVALID"
    enter(authenticator, signed())


def test_nonces_are_per_key() -> None:
    authenticator, _ = make(Key(), Key(key_id="k2"))
    enter(authenticator, signed())
    enter(authenticator, signed(key="k2"))


def test_nonces_are_bounded_and_forgotten() -> None:
    nonces = auth.Nonces(0.0, limit=3)
    for n in range(3):
        nonces.use(f"n{n}", 1.0)
    with pytest.raises(SmsgwError) as caught:
        nonces.use("n3", 1.0)
    assert caught.value.code == "RATE_LIMITED"
    assert caught.value.retry_after == 599.0
    nonces.use("n3", 601.0)
    with pytest.raises(SmsgwError):
        nonces.use("n0", 601.0)
    nonces.use("n0", 1202.0)  # two periods later


@pytest.mark.parametrize("skew", [-301, 301, 10**9])
def test_a_stale_timestamp_is_told_the_time(skew: int) -> None:
    authenticator, _ = make(Key())
    error = refused(authenticator, signed(at=NOW + skew))
    assert error.code == "AUTH_TIMESTAMP_EXPIRED"
    assert error.detail["unix"] == int(NOW)
    assert error.detail["time"].endswith("+08:00")


@pytest.mark.parametrize("timestamp", ["", "x", "-5", "1e9", "٣" * 10, "9" * 13])
def test_a_timestamp_is_plain_digits(timestamp: str) -> None:
    authenticator, _ = make(Key())
    error = refused(authenticator, signed() | {"X-Sms-Timestamp": timestamp})
    assert error.code in {"AUTH_MISSING", "AUTH_TIMESTAMP_EXPIRED"}


@pytest.mark.parametrize("nonce", ["short", "x" * 65, "with space 123456", "é" * 16])
def test_a_nonce_has_its_shape(nonce: str) -> None:
    authenticator, _ = make(Key())
    error = refused(authenticator, signed(nonce=nonce))
    assert (error.code, error.detail["field"]) == ("PARAM_INVALID", "X-Sms-Nonce")


@pytest.mark.parametrize(
    "key",
    [Key(status="stopped"), Key(expires_at=datetime.fromtimestamp(NOW, UTC)), Key(key_id="another"), Key(account_id=2)],
)
def test_only_live_keys_enter(key: Key) -> None:
    authenticator, _ = make(key)
    assert refused(authenticator, signed()).code == "AUTH_KEY_INVALID"


def test_only_a_test_key_is_told_the_string_to_sign() -> None:
    live, _ = make(Key())
    assert "string_to_sign" not in refused(live, signed("wrong")).detail
    test, _ = make(Key(test=True))
    told = refused(test, signed("wrong")).detail["string_to_sign"]
    assert told == f"v2\nGET\n/api/v1/balance\n\n{int(NOW)}\n{NONCE}\n{EMPTY}\n"


def test_signatures_with_odd_characters_are_just_wrong() -> None:
    authenticator, _ = make(Key())
    for signature in ("v1=é", "v2=é", "\udcff", "v1=", "v2=", "v3=00"):
        error = refused(authenticator, signed() | {"X-Sms-Signature": signature})
        assert error.code == "AUTH_SIGNATURE_INVALID"


def test_bearer_needs_tls_and_an_allow_list() -> None:
    allowed = (ip_network("192.0.2.0/24"),)
    authenticator, _ = make(Key(ip_allow=allowed), Key(key_id="open"))
    assert enter(authenticator, {"Authorization": "Bearer smk_k1"}).key.key_id == "k1"
    assert refused(authenticator, {"Authorization": "Bearer smk_k1"}, secure=False).code == "AUTH_BEARER_INSECURE"
    assert refused(authenticator, {"Authorization": "Bearer smk_open"}).code == "AUTH_BEARER_INSECURE"
    assert refused(authenticator, {"Authorization": "Bearer smk_nobody"}).code == "AUTH_KEY_INVALID"


def test_bearer_from_loopback_needs_neither_where_allowed() -> None:
    token = {"Authorization": "bearer smk_k1"}
    allowing, _ = make(Key(), insecure=True)
    for address in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"):
        assert enter(allowing, token, secure=False, address=address).key.key_id == "k1"
    for address in ("192.0.2.1", "", "::2"):
        assert refused(allowing, token, secure=False, address=address).code == "AUTH_BEARER_INSECURE"
    strict, _ = make(Key())
    assert refused(strict, token, secure=False, address="127.0.0.1").code == "AUTH_BEARER_INSECURE"


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Basic smk_k1", "smk_k1"])
def test_other_authorization_is_none(value: str) -> None:
    authenticator, _ = make(Key(), insecure=True)
    assert refused(authenticator, {"Authorization": value}).code == "AUTH_MISSING"


def test_the_allow_list_holds_for_signed_requests_too() -> None:
    authenticator, _ = make(Key(ip_allow=(ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))))
    enter(authenticator, signed(nonce="a" * 16), address="10.1.2.3")
    enter(authenticator, signed(nonce="b" * 16), address="2001:db8::1")
    enter(authenticator, signed(nonce="c" * 16), address="::ffff:10.1.2.3")
    error = refused(authenticator, signed(nonce="d" * 16), address="192.0.2.1")
    assert (error.code, error.detail["ip"]) == ("AUTH_IP_DENIED", "192.0.2.1")
    assert refused(authenticator, signed(nonce="e" * 16), address="").code == "AUTH_IP_DENIED"


def test_the_canonical_query_is_sorted_and_encoded() -> None:
    assert auth.canonical_query("") == ""
    assert auth.canonical_query("b=2&a=1&a=0") == "a=0&a=1&b=2"
    assert auth.canonical_query("to=%2b86138&t=a%20b~c") == "t=a%20b~c&to=%2B86138"
    assert auth.canonical_query("x") == "x="
    assert auth.canonical_query("k=%ff") == auth.canonical_query("k=\udcff") == "k=%FF"  # an octet that is no UTF-8
    assert auth.canonical_query("k=%E4%B8%AD") == "k=%E4%B8%AD"


def test_a_key_spends_its_limit_and_regains_it() -> None:
    key = Key(requests_per_second=2)
    authenticator, clock = make(key, replace(key, key_id="k2"))
    assert [authenticator.spend(key).remaining for _ in range(4)] == [3, 2, 1, 0]
    quota = authenticator.spend(key)
    assert (quota.limit, quota.remaining, quota.reset) == (4, 0, 2)
    assert quota.wait == pytest.approx(0.5)
    assert authenticator.spend(replace(key, key_id="k2")).wait == 0.0
    clock.now += 0.5
    assert authenticator.spend(key).wait == 0.0


def test_who_fails_over_and_over_is_told_to_wait_and_nobody_else() -> None:
    authenticator, clock = make(Key())
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
