"""What is refused: with its code, its HTTP status, words that say what to do, and nothing left behind."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from databases import migrated
from harness import Answer, Site, site, until

from smsgw.store.engine.embedded import EmbeddedPostgres

pytestmark = pytest.mark.asyncio(loop_scope="module")
GOOD = "13800138000"


def refused(answer: Answer, status: int, code: str) -> Answer:
    """The answer must be this refusal, in Chinese, and ask for something."""
    assert (answer.status, answer.code) == (status, code), answer.body
    assert re.search(r"[\u4e00-\u9fff]", answer.message)
    assert "请" in answer.message, answer.message
    assert re.search(r"[a-z]", answer.body["message_en"])
    assert answer.body["request_id"] == answer.headers["X-Request-Id"]
    if status in (429, 503):
        assert int(answer.headers["Retry-After"]) >= 1
    return answer


@contextlib.asynccontextmanager
async def leaves_nothing(built: Site) -> AsyncIterator[None]:
    """Messages and balance must be afterwards what they were before."""

    async def books() -> tuple[set[str], dict[str, int]]:
        return set(await built.customer.listed()), (await built.client.surely("GET", "/balance")).data

    before = await books()
    yield
    assert await books() == before


async def test_who_is_calling(shared: Site) -> None:
    body = b'{"to":["13800138000"],"content":"hello"}'
    signer = shared.signer
    async with leaves_nothing(shared):
        refused(await shared.client.post("/messages", body, headers={}), 401, "AUTH_MISSING")
        wrong = {"Authorization": "Bearer smk_" + "0" * 43}
        refused(await shared.client.post("/messages", body, headers=wrong), 401, "AUTH_KEY_INVALID")
        good = signer.signature("POST", "/api/v1/messages", body)
        stranger = good | {"X-Sms-Key": "nobody"}
        refused(await signer.post("/messages", body, headers=stranger), 401, "AUTH_KEY_INVALID")
        other_body = body.replace(b"hello", b"hullo")
        refused(await signer.post("/messages", other_body, headers=good), 401, "AUTH_SIGNATURE_INVALID")
        bad = good | {"X-Sms-Signature": "v1=" + "0" * 64}
        refused(await signer.post("/messages", body, headers=bad), 401, "AUTH_SIGNATURE_INVALID")
        old = good | {"X-Sms-Timestamp": str(int(time.time()) - 301)}
        refused(await signer.post("/messages", body, headers=old), 401, "AUTH_TIMESTAMP_EXPIRED")


async def test_replayed_nonce(shared: Site) -> None:
    number, content = shared.customer.number("cmpp30"), shared.customer.text("nonce")
    body = f'{{"to":["{number}"],"content":"{content}"}}'.encode()
    headers = shared.signer.signature("POST", "/api/v1/messages", body)
    shared.customer.note(await shared.signer.post("/messages", body, headers=headers), [content])
    async with leaves_nothing(shared):
        refused(await shared.signer.post("/messages", body, headers=headers), 401, "AUTH_NONCE_REPLAYED")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"to":["13800138000"],"content":"x"', 400, "JSON_INVALID"),
        (b'{"to":["13800138000"],"content":"\xff"}', 400, "JSON_INVALID"),
        ({"to": [f"138{n:08d}" for n in range(1001)], "content": "x"}, 400, "TO_TOO_MANY"),
        ({"to": [], "content": "x"}, 400, "TO_EMPTY"),
        ({"to": [GOOD], "content": "字" * 1001}, 400, "CONTENT_TOO_LONG"),
        ({"to": [GOOD], "content": " \n"}, 400, "CONTENT_EMPTY"),
        ({"to": ["1380013800x"], "content": "x"}, 400, "NUMBER_INVALID"),
        ({"to": ["1380013"], "content": "x"}, 400, "NUMBER_INVALID"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_what_is_asked(shared: Site, body: object, status: int, code: str) -> None:
    async with leaves_nothing(shared):
        refused(await shared.client.post("/messages", body), status, code)


async def test_a_wrong_number_fails_alone(shared: Site) -> None:
    content = shared.customer.text()
    good = shared.customer.number("smpp34")
    answer = await shared.client.post("/messages", {"to": ["1380013800x", good], "content": content})
    (sent,) = shared.customer.note(answer, [content])
    assert sent.to == good
    wrong = answer.data["items"][0]
    assert (wrong["status"], wrong["code"]) == ("rejected", "NUMBER_INVALID")
    assert "请" in wrong["message"]


async def test_more_than_the_balance(shared: Site) -> None:
    await shared.node.furnish("account", "add", "poor", "--no-sign", "--balance", "2")
    key = (await shared.node.furnish("key", "add", "poor", "--json")).data
    poor = {"Authorization": f"Bearer {key['bearer']}"}
    body = {"to": [GOOD], "content": "字" * 135}
    async with leaves_nothing(shared):
        answer = await shared.client.post("/messages", body, headers=poor)
        refused(answer, 402, "BALANCE_INSUFFICIENT")
        assert answer.data == {"need": 3, "left": 2}


async def test_no_channel(shared: Site) -> None:
    await shared.node.ctl("channel", "stop", "smpp34")
    async with leaves_nothing(shared):
        number = shared.customer.number("smpp34")
        body = {"to": [number], "content": "x"}
        answer = refused(await shared.client.post("/messages", body), 503, "NO_ROUTE")
        assert "中国电信" in answer.message
        # A call is all or nothing: the number that has a channel does not go out alone.
        both = {"to": [shared.customer.number("cmpp30"), number], "content": "x"}
        refused(await shared.client.post("/messages", both), 503, "NO_ROUTE")
        (told,) = (await shared.client.post("/messages/explain", body)).data["items"]
        assert (told["verdict"], told["code"]) == ("refused", "NO_ROUTE")
    await shared.node.ctl("channel", "start", "smpp34")
    await shared.bound()
    await shared.customer.send("smpp34")


async def test_the_rest_went_out_once(shared: Site) -> None:
    await shared.clean()


# --- storage: daemons of their own --------------------------------------------------------------------------------


@pytest.fixture
def small_disk(data_dir: Path) -> Iterator[Path]:
    """A data folder with 64 MB, on a file system of its own."""
    data_dir.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "smsgw-e2e", data_dir], check=True, timeout=60)
    try:
        yield data_dir
    finally:
        subprocess.run(["umount", "--lazy", data_dir], check=True, timeout=60)


def fill(folder: Path, *, leave_mb: int) -> Path:
    """Take the disk's room, but for so many MB."""
    ballast = folder / "ballast"
    free = os.statvfs(folder)
    size = free.f_bavail * free.f_frsize - leave_mb * 2**20
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)
    return ballast


@pytest.mark.root_only
@pytest.mark.asyncio
async def test_disk_of_the_data_folder_fills_up(dsn: str, small_disk: Path) -> None:
    async with site(small_disk, dsn=dsn, channels=["cmpp30"], durability_min_free_mb="24") as built:
        await built.customer.send("cmpp30")
        ballast = fill(small_disk, leave_mb=8)
        body = {"to": [GOOD], "content": "x"}

        async def is_noticed() -> bool:
            return (await built.client.post("/messages/explain", body)).code == "STORAGE_UNAVAILABLE"

        await until(is_noticed, what="the disk is noticed")
        async with leaves_nothing(built):
            answer = refused(await built.client.post("/messages", body), 503, "STORAGE_UNAVAILABLE")
        assert re.search(r"剩余空间 \d MB，低于下限 24 MB，请联系管理员清理磁盘", answer.message)

        ballast.unlink()
        content = built.customer.text()
        again = {"to": [built.customer.number("cmpp30")], "content": content}
        await built.customer.send_surely("/messages", again)

        # Not a single octet is left. The journal has its room already: what was accepted goes out all the same.
        items = [
            {"to": built.customer.number("cmpp30"), "content": built.customer.text()} for _ in range(100)
        ]
        built.carriers["cmpp30"].pause()
        await built.customer.send_surely("/messages/batch", {"items": items})
        fill(small_disk, leave_mb=0)
        built.carriers["cmpp30"].resume()
        assert (await built.clean()).statuses == {"delivered": 102}


@pytest.mark.root_only
@pytest.mark.asyncio
async def test_start_on_a_full_disk_says_so(dsn: str, small_disk: Path) -> None:
    async with site(small_disk, dsn=dsn, channels=["cmpp30"], start=False) as built:
        fill(small_disk, leave_mb=1)
        done = await built.node.ctl("run", check=False)
        assert done.code == 1
        assert "disk full" in done.err
        (small_disk / "ballast").unlink()
        await built.node.start()
        await built.bound()
        await built.customer.send("cmpp30")
        await built.clean()


@pytest.mark.asyncio
async def test_database_stops_and_comes_back(data_dir: Path, embedded_data: None) -> None:
    database = EmbeddedPostgres(data_dir)
    data_dir.mkdir()
    dsn = await migrated(database)
    try:
        async with site(
            data_dir.with_name("daemon"), dsn=dsn, channels=["cmpp30"], durability_outage="reject"
        ) as built:
            carrier = built.carriers["cmpp30"]
            carrier.change(report_delay="1500")
            before = await built.customer.send("cmpp30")
            await carrier.received(1)
            await database.stop()

            began = time.monotonic()
            answer = await built.client.post("/messages", {"to": [GOOD], "content": "x"})
            refused(answer, 503, "STORAGE_UNAVAILABLE")
            assert time.monotonic() - began < 8
            status = await built.client.get(f"/messages/{before.message_id}")
            refused(status, 503, "STORAGE_UNAVAILABLE")
            assert not (await built.node.status())["ready"]
            # The report comes while nobody can store it: it is not acknowledged, so it is not lost.
            await until(lambda: carrier.counts.reports, what="the report is on its way")
            assert carrier.counts.reports_acknowledged == 0

            await database.start()
            await built.customer.send_surely(
                "/messages", {"to": [built.customer.number("cmpp30")], "content": built.customer.text()}
            )
            books = await built.clean()
            assert books.statuses == {"delivered": 2}
            assert carrier.counts.reports_acknowledged == 2
    finally:
        await database.stop()
