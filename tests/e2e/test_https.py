"""TLS on the API and the portal: what is spoken, what is refused, and a certificate that changes while it is used."""

from __future__ import annotations

import ssl
from pathlib import Path

import aiohttp
import pytest
from certificates import HERE, Authority
from harness import Node, free_port, until
from yarl import URL

from smsgw.net import tls


def shown(port: int) -> str:
    """The certificate that a new connection is shown."""
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=30)


def certified(folder: Path) -> tuple[Authority, Path, ssl.SSLContext]:
    """An authority, a certificate for this machine with its key in one file, and who trusts it."""
    authority, file = Authority(folder / "ca.pem"), folder / "server.pem"
    authority.certify(file, HERE)
    return authority, file, ssl.create_default_context(cafile=str(authority.path))


async def test_both_ports_bearer_and_cookies(dsn: str, data_dir: Path, tmp_path: Path) -> None:
    _, file, trusting = certified(tmp_path)
    port = free_port()
    node = Node(
        data_dir, dsn=dsn, http_tls=f"{file},{file}", http_tls_listen=f"127.0.0.1:{port}",
        http_insecure_bearer="false", http_trusted_proxies="127.0.0.2/32",
    )  # fmt: skip
    await node.start()
    try:
        await node.furnish("user", "add", "root")  # without anybody the login leads to the first run
        await node.furnish("account", "add", "acme", "--no-sign")
        key = (await node.furnish("key", "add", "acme", "--ip", "127.0.0.0/8", "--json")).data
        auth = {"Authorization": f"Bearer {key['bearer']}"}
        secure = f"https://127.0.0.1:{port}"
        assert (await node.status())["urls"]["https"] == secure
        connector = aiohttp.TCPConnector(ssl=trusting)
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(connector=connector, cookie_jar=jar) as session:
            async with session.get(f"{secure}/api/v1/balance", headers=auth) as answer:
                assert answer.status == 200
            async with session.get(f"{node.origin}/api/v1/balance", headers=auth) as answer:
                assert (answer.status, (await answer.json())["code"]) == (403, "TLS_REQUIRED")
            async with session.get(f"{secure}/login") as answer:
                cookie = answer.headers["Set-Cookie"]
                assert cookie.startswith("__Host-smsgw-visitor=")
                assert "Secure" in cookie
                assert "Strict-Transport-Security" in answer.headers
            for path in ("/login?next=%2Frecords", "/", "//evil.example/"):
                async with session.get(URL(f"{node.origin}{path}", encoded=True), allow_redirects=False) as answer:
                    assert (answer.status, answer.headers["Location"]) == (307, f"{secure}{path}")
                    assert "Set-Cookie" not in answer.headers
            async with session.post(f"{node.origin}/login", data={"login": "a"}) as answer:
                assert (answer.status, (await answer.json())["code"]) == (403, "TLS_REQUIRED")
            for wrong in ("evil.example/x", "a b", ""):
                async with session.get(
                    f"{node.origin}/login", headers={"Host": wrong}, allow_redirects=False
                ) as answer:
                    assert answer.status in (400, 403)
            for ready in (f"{secure}/ready", f"{node.origin}/ready"):
                async with session.get(ready) as answer:
                    assert answer.status == 200
        # Behind a proxy that is trusted, what the browser speaks counts; anybody else's word does not.
        told = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "10.0.0.9"}
        for source, status in (("127.0.0.2", 200), ("127.0.0.1", 307)):
            proxy = aiohttp.TCPConnector(local_addr=(source, 0))
            async with aiohttp.ClientSession(connector=proxy) as session:
                async with session.get(f"{node.origin}/login", headers=told, allow_redirects=False) as answer:
                    assert answer.status == status
                    named = answer.headers.get("Set-Cookie", "").startswith("__Host-smsgw-visitor=")
                    assert named is (status == 200)
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=old)) as session:
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.get(f"{secure}/health")
    finally:
        assert await node.stop() == 0
    assert not node.complaints()


async def test_the_certificate_changes_under_a_connection(dsn: str, data_dir: Path, tmp_path: Path) -> None:
    authority, cert_file, trusting = certified(tmp_path)
    api, admin = free_port(), free_port()
    files = f"{cert_file},{cert_file}"
    node = Node(
        data_dir, dsn=dsn, http_listen=f"127.0.0.1:{api}", http_tls=files, admin_listen=f"127.0.0.1:{admin}",
        admin_tls=files,
    )  # fmt: skip
    node.launch()
    try:
        await until(node._ready, what="the daemon is ready")
        assert (await node.status())["urls"] | {"ops": ""} == {
            "http": f"https://127.0.0.1:{api}", "admin": f"https://127.0.0.1:{admin}", "ops": "",
        }  # fmt: skip
        first = shown(api)
        connector = aiohttp.TCPConnector(ssl=trusting, limit=1)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def status(port: int, path: str) -> int:
                async with session.get(f"https://127.0.0.1:{port}{path}") as answer:
                    await answer.read()
                    return answer.status

            # Each listener has its own, and both tell how they are.
            assert [await status(api, p) for p in ("/api/v1/time", "/login", "/ready")] == [200, 404, 200]
            assert [await status(admin, p) for p in ("/api/v1/time", "/login", "/ready")] == [404, 200, 200]
            assert await status(api, "/health") == 200
            held = next(iter(connector._conns.values()))[0][0]
            cert_file.write_bytes(b"half-way")
            authority.certify(cert_file, HERE)
            await until(lambda: shown(api) != first, within=3 * tls.LOOK_EVERY, what="the new certificate")
            second = shown(api)
            assert await status(api, "/health") == 200  # the connection of before
            assert next(iter(connector._conns.values()))[0][0] is held
            cert_file.write_bytes(b"broken")
            await until(
                lambda: any("certificate.refused" in line for line in node.log_lines()),
                within=3 * tls.LOOK_EVERY,
                what="the broken one is refused",
            )
            assert shown(api) == second
            assert await status(api, "/health") == 200
    finally:
        assert await node.stop() == 0


async def test_a_certificate_that_is_no_good_is_told_at_the_start(dsn: str, data_dir: Path, tmp_path: Path) -> None:
    authority, file, _ = certified(tmp_path)
    authority.certify(tmp_path / "other.pem", HERE)
    done = await Node(data_dir, dsn=dsn, http_tls=f"{file},{tmp_path / 'other.pem'}").ctl("run", check=False)
    assert done.code == 1
    assert "[http] tls" in done.err
    assert "key values mismatch" in done.err
