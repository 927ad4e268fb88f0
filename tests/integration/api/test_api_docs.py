"""The examples of docs/api.md, run as they stand against the API."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

from api_server import running

DOCUMENT = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")


def example(language: str, mark: str) -> str:
    """The one code block of the language that has the mark in it."""
    found = [code for code in re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL) if mark in code]
    assert len(found) == 1
    return found[0]


async def shell(script: str, **environment: str) -> str:
    process = await asyncio.create_subprocess_exec(
        "sh",
        "-euc",
        script,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", **environment},
        stdout=-1,
        stderr=-1,
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
        script = (
            example("sh", "MESSAGE_ID").replace("http://127.0.0.1:8080", api.origin).replace("curl ", "curl -sS ")
        )
        sent = await api.post("/messages", {"to": ["13800138001"], "content": "先"})
        script = script.replace("MESSAGE_ID", sent.data["items"][0]["message_id"]).replace("BATCH", "1")
        script = script.replace('"wait_s": 20', '"wait_s": 1')
        output = await shell(script, BEARER=api.key.bearer)
    answers = [json.loads(line) for line in output.replace("}{", "}\n{").splitlines()]
    assert [answer["code"] for answer in answers] == ["OK"] * 4
