"""The examples of docs/api.md and the example clients of the manual, run as they stand against the API."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from api_server import Api, running

from smsgw.core.errors import Temporary
from smsgw.pipeline.accept.acceptor import SendRequest, SendResult
from smsgw.store.engine.database import Database

DOCUMENT = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")


def example(language: str, mark: str) -> str:
    found = [code for code in re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL) if mark in code]
    assert len(found) == 1
    return found[0]


async def shell(script: str, **environment: str) -> str:
    process = await asyncio.create_subprocess_exec(
        "sh", "-euc", script, env={"PATH": "/usr/local/bin:/usr/bin:/bin", **environment}, stdout=-1, stderr=-1
    )
    output, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, errors.decode()
    return output.decode()


async def test_the_python_example_signs_and_sends(dsn: str, tmp_path: Path) -> None:
    names: dict[str, Any] = {}
    exec(compile(example("python", "def call"), "docs/api.md", "exec"), names)  # noqa: S102 - our own document
    async with running(dsn, tmp_path, allow_insecure_bearer=False) as api:
        start = (api.origin, api.key.key_id, api.key.secret)
        body = {"to": ["13800138000"], "content": "您好", "type": "notice"}
        sent = await asyncio.to_thread(
            names["call"], *start, "POST", "/api/v1/messages", body, idempotency_key="order-4711"
        )
        page = await asyncio.to_thread(
            names["call"], *start, "GET", "/api/v1/messages", query={"to": "+86 138-0013 8000", "limit": "5"}
        )
    assert [m["message_id"] for m in page["items"]] == [i["message_id"] for i in sent["items"]]


async def test_the_shell_example_signs_and_sends(dsn: str, tmp_path: Path) -> None:
    async with running(dsn, tmp_path, allow_insecure_bearer=False) as api:
        output = await shell(example("sh", "openssl"), ORIGIN=api.origin, KEY=api.key.key_id, SECRET=api.key.secret)
    assert json.loads(output)["code"] == "OK"


async def test_the_quick_start_runs(dsn: str, tmp_path: Path) -> None:
    async with running(dsn, tmp_path) as api:
        script = example("sh", "MESSAGE_ID").replace("http://127.0.0.1:8080", api.origin).replace("curl ", "curl -sS ")
        sent = await api.post("/messages", {"to": ["13800138001"], "content": "先"})
        script = script.replace("MESSAGE_ID", sent.data["items"][0]["message_id"]).replace("BATCH", "1")
        script = script.replace('"wait_s": 20', '"wait_s": 1')
        output = await shell(script, BEARER=api.key.bearer)
    answers = [json.loads(line) for line in output.replace("}{", "}\n{").splitlines()]
    assert [answer["code"] for answer in answers] == ["OK"] * 4


FOLDER = Path(__file__).parents[3] / "smsgw" / "api" / "manual" / "examples"
COMMANDS = {
    "python": ["python3", "python/smsgw_client.py"], "node": ["node", "node/smsgw_client.mjs"],
    "php": ["php", "php/smsgw_client.php"], "go": ["go", "run", "go/smsgw_client.go"],
    "java": ["java", "java/SmsgwClient.java"],
}  # fmt: skip
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


@pytest.mark.shard("peers")
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
        assert await api.ctx.db.fetchval("SELECT count(*) FROM customer_event WHERE acknowledged_at IS NULL") == 0
        code, _, errors = await run(language, "send", "123", "您好", **access(api))
        assert code == 1
        assert "NUMBER_INVALID" in errors


@pytest.mark.shard("peers")
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
