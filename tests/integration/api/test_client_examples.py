"""The example clients of the manual, run as they stand against the API."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
import shutil
import time
from pathlib import Path

import pytest
from api_server import Api, running

from smsgw.core.errors import Temporary
from smsgw.pipeline.accept.acceptor import SendRequest, SendResult
from smsgw.store.engine.database import Database

pytestmark = pytest.mark.shard("peers")

FOLDER = Path(__file__).parents[3] / "smsgw" / "api" / "manual" / "examples"
COMMANDS = {
    "python": ["python3", "python/smsgw_client.py"],
    "node": ["node", "node/smsgw_client.mjs"],
    "php": ["php", "php/smsgw_client.php"],
    "go": ["go", "run", "go/smsgw_client.go"],
    "java": ["java", "java/SmsgwClient.java"],
}
LANGUAGES = sorted(COMMANDS)


async def run(language: str, *arguments: str, stdin: bytes = b"", **environment: str) -> tuple[int, str, str]:
    program, *rest = COMMANDS[language]
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    process = await asyncio.create_subprocess_exec(
        found, *rest, *arguments, cwd=FOLDER, stdin=-1, stdout=-1, stderr=-1,
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "LANG": "C.UTF-8", **environment},
    )  # fmt: skip
    try:
        output, errors = await asyncio.wait_for(process.communicate(stdin), 120)
    except TimeoutError:
        process.kill()
        raise
    return process.returncode or 0, output.decode(), errors.decode()


def access(api: Api) -> dict[str, str]:
    return {"SMSGW_URL": api.origin, "SMSGW_KEY": api.key.key_id, "SMSGW_SECRET": api.key.secret}


async def deliver(db: Database, api: Api, message_id: int) -> None:
    await db.execute(
        "INSERT INTO customer_event (id, account_id, kind, message_id, status)"
        " VALUES ($1, $2, 'report', $3, 'delivered')",
        api.ctx.ids(), api.account_id, message_id,
    )  # fmt: skip


def busy_once(api: Api, monkeypatch: pytest.MonkeyPatch) -> list[SendRequest]:
    """The next send is refused for a second; the requests that come."""
    requests: list[SendRequest] = []
    send = api.acceptor.send

    async def once_busy(request: SendRequest) -> SendResult:
        requests.append(request)
        if len(requests) == 1:
            raise Temporary("BACKPRESSURE", retry_after=1, n=1)
        return await send(request)

    monkeypatch.setattr(api.acceptor, "send", once_busy)
    return requests


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.slow
async def test_a_client_sends_pulls_and_acknowledges(
    language: str, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(dsn, tmp_path, allow_insecure_bearer=False, signature_v1_until=None) as api:
        busy = busy_once(api, monkeypatch)
        code, output, errors = await run(language, "send", "13800138000", '您好 "引号" \\ 结束', **access(api))
        assert code == 0, errors
        message_id = int(output)
        assert len(busy) == 2
        assert len({request.idempotency_key for request in busy}) == 1
        content = await api.ctx.db.fetchval("SELECT content FROM message WHERE id = $1", message_id)
        assert content == '【测试】您好 "引号" \\ 结束'

        await deliver(api.ctx.db, api, message_id)
        code, output, errors = await run(language, "pull", **access(api))
        assert code == 0, errors
        assert str(message_id) in output
        assert "delivered" in output
        assert (await api.ctx.db.fetchval("SELECT count(*) FROM customer_event WHERE acknowledged_at IS NULL") == 0)

        code, _, errors = await run(language, "send", "123", "您好", **access(api))
        assert code == 1
        assert "NUMBER_INVALID" in errors


@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_client_checks_the_signature_of_a_push(language: str) -> None:
    body = json.dumps({"type": "message.report", "items": [{"description": "成功"}]}).encode()
    key, now = os.urandom(32), str(int(time.time()))
    secret = "whsec_" + base64.b64encode(key).decode()

    def sign(timestamp: str) -> str:
        mac = hmac.new(key, f"evt_1.{timestamp}.".encode() + body, hashlib.sha256)
        return "v1," + base64.b64encode(mac.digest()).decode()

    rotating = f"v1,{base64.b64encode(bytes(32)).decode()} {sign(now)}"
    old = str(int(now) - 600)
    good = await run(language, "verify", secret, "evt_1", now, rotating, stdin=body)
    assert good[:2] == (0, "valid\n")
    for given in ((now, sign(now), body + b" "), (old, sign(old), body), (now, "v1,AAAA", body)):
        code, output, _ = await run(language, "verify", secret, "evt_1", given[0], given[1], stdin=given[2])
        assert (code, output) == (1, "invalid\n")
