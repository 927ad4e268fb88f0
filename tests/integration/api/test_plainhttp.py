"""Beside TLS the plain listener says how the node is, and sends everybody on."""

from __future__ import annotations

from ipaddress import ip_network

from api_server import BASE, Api
from yarl import URL

from smsgw.runtime.config import HttpConfig
from smsgw.web import plain_http

TRUSTED = (ip_network("127.0.0.1/32"),)


async def test_pages_go_on_to_tls_and_calls_are_refused(api: Api) -> None:
    settings = HttpConfig(tls=("cert.pem",), tls_listen="0.0.0.0:8443")
    async with api.another_node(plain_http.only_tls(settings, ())) as plain:
        for path in ("/health", "/ready"):
            assert (await plain.send("GET", path)).status == 200
        path = f"{BASE}/balance"
        for headers in (plain.signed("GET", path), {"Authorization": f"Bearer {plain.key.bearer}"}, {}):
            answer = await plain.send("GET", path, headers=headers | {"X-Forwarded-Proto": "https"})
            assert (answer.status, answer.code) == (403, "TLS_REQUIRED")
        # the same nonce is still good where it should have gone
        for host, there in (
            ("sms.example.org:8080", "sms.example.org"),
            ("[::1]:80", "[::1]"),
            ("10.0.0.1", "10.0.0.1"),
        ):
            for page in ("/login?next=%2Frecords%3Fa", "/", "//evil.example/", "/@evil.example"):
                async with plain.session.get(
                    URL(plain.origin + page, encoded=True), headers={"Host": host}, allow_redirects=False
                ) as sent_on:
                    assert (sent_on.status, sent_on.headers["Location"]) == (307, f"https://{there}:8443{page}")
        whole = b"GET http://sms.example.org/login?a=%2F HTTP/1.1\r\nHost: sms.example.org\r\nConnection: close\r\n\r\n"
        assert b"Location: https://sms.example.org:8443/login?a=%2F\r\n" in await plain.raw(whole)
        for host in ("evil.example/x", "a@b", "a b", ""):
            async with plain.session.get(
                plain.origin + "/login", headers={"Host": host}, allow_redirects=False
            ) as sent_on:
                assert sent_on.status in (400, 403)
        assert (await plain.send("POST", "/login", data=b"login=a")).code == "TLS_REQUIRED"


async def test_behind_a_proxy_that_speaks_tls_all_is_served(api: Api) -> None:
    settings = HttpConfig(tls=("cert.pem",), tls_listen="0.0.0.0:443")
    async with api.another_node(plain_http.only_tls(settings, TRUSTED), trusted_proxies=TRUSTED) as plain:
        path = f"{BASE}/balance"
        for said, code in (("https", "OK"), ("http", "TLS_REQUIRED")):
            headers = plain.signed("GET", path) | {"X-Forwarded-Proto": said}
            assert (await plain.send("GET", path, headers=headers)).code == code


async def test_the_api_may_be_left_open_to_signed_requests(api: Api) -> None:
    settings = HttpConfig(tls=("cert.pem",), tls_listen="0.0.0.0:443", plain_api=True)
    async with api.another_node(plain_http.only_tls(settings, ()), allow_insecure_bearer=False) as plain:
        path = f"{BASE}/balance"
        assert (await plain.send("GET", path, headers=plain.signed("GET", path))).code == "OK"
        assert (await plain.get("/balance")).code == "AUTH_BEARER_INSECURE"
