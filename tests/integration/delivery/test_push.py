"""Pushing to webhooks, with real receivers and a real database; days pass by the test's own clock."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import socket
import threading
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, parse_qsl

import pytest
import pytest_asyncio
from aiohttp import web
from changes import by_test
from harness import until
from receiver import LOOPBACK, Received, Receiver, Stage, receiving, repeated
from standins import AnyFleet

from smsgw.core.ids import CHINA, IdSource, time_of
from smsgw.core.push_format import Call
from smsgw.core.queue_cursors import QueueCursors
from smsgw.core.webhooks import SCHEDULE, Endpoint, Reach, parse_networks
from smsgw.core.words import english_of
from smsgw.pipeline.delivery import push_http
from smsgw.pipeline.delivery.push_http import Sender
from smsgw.pipeline.upkeep.maintenance import Maintenance
from smsgw.platform.accounts import service as accounts
from smsgw.platform.accounts.queries import id_of
from smsgw.platform.webhooks import queries as webhook_queries, service as webhooks
from smsgw.runtime import aio
from smsgw.runtime.config import Config
from smsgw.store.engine import partitions
from smsgw.store.messages import pushing


@pytest_asyncio.fixture
async def stage(stage: Stage) -> AsyncIterator[Stage]:
    await stage.start()
    yield stage
    await stage.stop_pusher()


async def goes_to(stage: Stage, receiver: Receiver, **options: Any) -> None:
    """Events of the account are pushed there as soon as they are found."""
    await stage.put("main", receiver.origin, linger_ms=0, **options)
    await stage.reload()


async def pushed(stage: Stage, n: int = 1, **about: Any) -> list[int]:
    """Reports that are made and have been pushed."""
    made = await stage.reports(n, **about)
    await stage.quiet()
    return made


async def wait(stage: Stage, **about: float) -> None:
    stage.shift += timedelta(**about)
    await stage.quiet()


def answers(receiver: Receiver, status: int = 200, **headers: str) -> None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    receiver.reply = lambda _: web.Response(status=status, headers=named)


def of(secret: str, call: Received) -> str:
    """The signature of a call, as docs/webhooks.md tells a receiver to verify it."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{call.headers['webhook-id']}.{call.headers['webhook-timestamp']}.".encode() + call.body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def called(receiver: Receiver) -> list[list[int]]:
    return [[int(item["event_id"]) for item in call.json["items"]] for call in receiver.calls]


def at_dear_looks(monkeypatch: pytest.MonkeyPatch, *, rounds: bool = True) -> None:
    """As beside a kept snapshot: looks begin behind what was found."""
    looked = QueueCursors.looked

    def dear(self: QueueCursors[None], *about: Any, **how: Any) -> None:
        queues, taken, seconds = about
        looked(self, queues, taken, seconds if self.dear else 1.0, **how)
        if not rounds:
            self._due = float("inf")

    monkeypatch.setattr(QueueCursors, "looked", dear)


@contextlib.asynccontextmanager
async def sending(*own_ports: int) -> AsyncIterator[Sender]:
    sender = Sender(own_ports=own_ports)
    await sender.start()
    try:
        yield sender
    finally:
        await sender.stop()


async def nothing_is_reached(stage: Stage, receiver: Receiver) -> None:
    await stage.stop_pusher()
    stage.pusher = stage.make_pusher(reach=Reach(http=True, ports=LOOPBACK.ports))
    await stage.snapshots.follow()
    await stage.start_pusher()
    await pushed(stage)
    assert receiver.calls == []
    assert (await stage.rows())[0]["problem"] == "the address may not be pushed to"


async def test_events_are_pushed_in_signed_batches(stage: Stage, receiver: Receiver) -> None:
    secret = await stage.put("main", f"{receiver.origin}/hook?x=%2F1", linger_ms=0)
    assert secret.startswith("whsec_")
    await stage.reload()
    made = await pushed(stage, 250)
    assert receiver.events == [str(i) for i in made]
    assert max(len(c.json["items"]) for c in receiver.calls) == 100
    assert await stage.waiting() == 0
    call = receiver.calls[0]
    assert (call.method, call.path, call.query) == ("POST", "/hook", "x=%2F1")
    assert call.json["type"] == "message.report"
    assert call.json["items"][0]["client_ref"] == "ref"
    assert call.json["items"][0]["done_at"].endswith("+08:00")
    assert call.headers["webhook-signature"] == of(secret, call)


async def test_both_secrets_sign_while_one_is_being_replaced(stage: Stage, receiver: Receiver) -> None:
    await stage.put("main", receiver.origin, linger_ms=0)
    new = await webhooks.rotate_secret(
        by_test(stage.database), stage.sealer, stage.account_id, "main", keep_old_hours=1
    )
    await stage.reload()
    await pushed(stage)
    assert receiver.calls[0].headers["webhook-signature"].count("v1,") == 2
    stage.shift = timedelta(hours=2)
    await pushed(stage)
    assert receiver.calls[1].headers["webhook-signature"].split() == [of(new, receiver.calls[1])]


async def test_a_receiver_that_is_down_for_a_day_gets_everything(stage: Stage, receiver: Receiver) -> None:
    """24 hours pass in steps of 10 to 60 s; every 40 minutes new events come, some about messages told of before."""
    await goes_to(stage, receiver)
    answers(receiver, 502)
    made: list[int] = []
    of_message: list[int] = []
    message = stage.ids.next()
    step = timedelta(seconds=40)
    while stage.shift < timedelta(hours=24):
        if stage.shift % timedelta(minutes=40) < step:
            made += await stage.reports(30)
            of_message += await stage.reports(1, message_id=message)
        await stage.quiet()
        stage.shift += step if stage.shift < timedelta(hours=1) else timedelta(minutes=7)
    made += of_message
    assert receiver.accepted == []
    assert await stage.waiting() == len(made), "nothing is given up within a day"
    failing = await pushing.failing(stage.database, stage.now())
    assert [(row["name"], row["last_error"]) for row in failing] == [("main", "HTTP 502")]
    assert len(receiver.calls) < 1500, "a receiver that is down is not hammered"
    answers(receiver)
    stage.shift += timedelta(minutes=2)
    for _ in range(20):
        await stage.quiet()
        if not await stage.waiting():
            break
        stage.shift += timedelta(seconds=5)
    assert sorted(receiver.events) == sorted(str(i) for i in made)
    assert repeated(receiver.events) == []
    order = [int(i) for i in receiver.events if int(i) in of_message]
    assert order == of_message, "events of a message come in order"
    assert await pushing.failing(stage.database, stage.now()) == []


async def test_an_event_is_given_up_after_its_schedule_and_offered_again(stage: Stage, receiver: Receiver) -> None:
    await goes_to(stage, receiver)
    answers(receiver, 500)
    (event,) = await stage.reports()
    for delay in (*SCHEDULE, 0):
        await stage.quiet()
        assert (await stage.rows())[0]["dead_at"] is None or not delay
        stage.shift += timedelta(seconds=max(delay, 60) * 1.01)
    assert len(receiver.calls) == len(SCHEDULE) + 1
    assert sum(SCHEDULE) / 3600 == pytest.approx(27.8, abs=0.1)
    (row,) = await stage.rows()
    assert (row["attempts"], row["problem"]) == (12, "HTTP 500")
    found = {f.kind: f for f in await stage.pusher.findings()}
    assert found["webhook_dead"].object == "webhook/acme/main"
    (dead,) = await webhook_queries.deliveries(
        stage.database, (stage.account_id,), state="dead", since=stage.now() - timedelta(days=3)
    )
    assert (dead.id, dead.state, dead.tries) == (event, "dead", 12)
    answers(receiver)
    since = stage.now() - timedelta(days=3)
    assert await webhooks.redeliver(
        by_test(stage.database), stage.account_id, state="dead", since=since, until=stage.now()
    ) == {"report": 1}
    await stage.quiet()
    assert receiver.events == [str(event)]
    assert [f.kind for f in await stage.pusher.findings()] == []
    attempts = await webhook_queries.attempts(stage.database, stage.account_id, "main")
    assert [a.status for a in attempts] == [200] + [500] * 12


async def test_beside_a_kept_snapshot_what_failed_is_tried_again_though_nothing_else_comes(
    stage: Stage, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_dear_looks(monkeypatch)
    await goes_to(stage, receiver)
    answers(receiver, 500)
    made = await pushed(stage, 3)
    assert receiver.calls
    answers(receiver)
    stage.shift += timedelta(minutes=10)
    for _ in range(5):
        await stage.quiet()
    assert sorted(receiver.events) == [str(i) for i in made]


async def test_what_was_taken_when_the_lease_ran_out_is_pushed_when_it_is_renewed(
    stage: Stage, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in an outage of the database."""
    claim, made = pushing.claim, list[int]()

    async def late(*about: Any, **how: Any) -> Any:
        found = await claim(*about, **how)
        if found.ids == made:
            (queue,) = stage.pusher._queues.values()
            queue.lease.deadline = 0.0
            monkeypatch.setattr(pushing, "claim", claim)
        return found

    at_dear_looks(monkeypatch, rounds=False)
    monkeypatch.setattr(pushing, "claim", late)
    await goes_to(stage, receiver)
    await stage.quiet()
    made += await stage.reports(50)
    await until(lambda: pushing.claim is claim)
    await until(lambda: receiver.events == [str(i) for i in made], within=30)
    await stage.quiet()


async def test_a_later_event_of_a_message_waits_for_the_earlier(stage: Stage, receiver: Receiver) -> None:
    await goes_to(stage, receiver, max_items=1, concurrency=8)
    answered: list[str] = []

    async def slow(call: Received) -> web.Response:
        (item,) = call.json["items"]
        await asyncio.sleep(0.1 if item["message_id"] == str(message) else 0)
        answered.append(item["event_id"])
        return web.Response()

    receiver.reply = slow
    message = stage.ids.next()
    made = await stage.reports(4, message_id=message)
    others = await pushed(stage, 20)
    await until(lambda: len(answered) == 24)
    assert [i for i in answered if int(i) in made] == [str(i) for i in made]
    started = [c.json["items"][0]["event_id"] for c in receiver.calls]
    assert set(started[:10]) & {str(i) for i in others}, "others go meanwhile"


async def test_a_call_has_one_event_of_a_message(stage: Stage, receiver: Receiver) -> None:
    await goes_to(stage, receiver, concurrency=8)
    await stage.stop_pusher()  # all of them are there when it begins
    message = stage.ids.next()
    first, *later = await stage.reports(3, message_id=message)
    (between,) = await stage.reports()
    stage.pusher = stage.make_pusher()
    await stage.start_pusher()
    await stage.quiet()
    assert called(receiver)[0] == [first, between]
    assert called(receiver)[1:] == [[one] for one in later]


async def test_later_events_of_a_message_wait_for_the_next_try(stage: Stage, receiver: Receiver) -> None:
    await goes_to(stage, receiver, max_items=1, concurrency=8)
    message = stage.ids.next()
    (refused,) = await stage.reports(1, message_id=message)
    receiver.reply = lambda call: web.Response(status=500 if str(refused).encode() in call.body else 200)
    await stage.quiet()
    (later,) = await stage.reports(1, message_id=message)
    (other,) = await pushed(stage)
    assert called(receiver) == [[refused], [other]]
    receiver.calls.clear()
    stage.shift += timedelta(seconds=SCHEDULE[0] - 3)  # not due yet, on a slow machine neither
    await stage.quiet()
    assert called(receiver) == []
    answers(receiver)
    await wait(stage, seconds=3)
    assert called(receiver) == [[refused], [later]]


async def test_what_a_receiver_asks_to_wait_for_an_event_waits(stage: Stage, receiver: Receiver) -> None:
    """Longer than its schedule says, and no longer than an hour."""
    await goes_to(stage, receiver, max_items=1)
    answers(receiver, 503, Retry_After="86400")
    await pushed(stage)
    answers(receiver)
    stage.shift += timedelta(minutes=50)
    await pushed(stage)
    assert len(receiver.calls) == 1, "nor does anything else go there"
    await wait(stage, minutes=11)
    assert len(receiver.calls) == 3


async def test_a_receiver_that_fails_is_tried_with_one_event(stage: Stage, receiver: Receiver) -> None:
    await goes_to(stage, receiver, max_items=1, concurrency=4)
    answers(receiver, 500)
    made = await pushed(stage, 12)
    before = len(receiver.calls)
    assert 3 <= before <= 3 + 4, "those that were under way, and no more"
    stage.shift += timedelta(seconds=61)  # whatever it is asked next is due
    await stage.quiet()
    assert len(receiver.calls) == before + 1
    answers(receiver)
    await wait(stage, seconds=61)
    await stage.quiet()
    assert sorted(receiver.events) == sorted(map(str, made)), "what waits for its next try is brought forward"


async def test_one_event_that_is_not_taken_stands_alone_in_the_end(stage: Stage, receiver: Receiver) -> None:
    await goes_to(stage, receiver)
    made = await stage.reports(100)
    poison = str(made[37])
    receiver.reply = lambda call: web.Response(status=400 if poison.encode() in call.body else 200)
    for _ in range(12):
        await stage.quiet()
        stage.shift += timedelta(minutes=6)
        if await stage.waiting() == 1:
            break
    assert sorted(receiver.events) == [str(i) for i in made if str(i) != poison]
    assert repeated(receiver.events) == []


async def test_a_hanging_receiver_holds_up_nobody(stage: Stage, receiver: Receiver) -> None:
    async def hang(_: Received) -> web.Response:
        await asyncio.sleep(3600)
        return web.Response()

    async def slow(_: Received) -> web.Response:
        await asyncio.sleep(9)
        return web.Response()

    async with receiving() as bad, receiving() as failing:
        bad.reply = lambda call: hang(call) if call.path == "/hang" else slow(call)
        answers(failing, 500)
        urls = [bad.origin + ("/hang" if n % 2 else "/slow") for n in range(20)] + [failing.origin] * 5
        others = [
            await accounts.add(by_test(stage.database), f"other{n}", webhook_networks="127.0.0.0/8")
            for n in range(len(urls))
        ]
        for account_id, url in zip(others, urls, strict=True):
            await stage.put("main", url, account_id=account_id, linger_ms=0)
        await goes_to(stage, receiver, max_items=1, concurrency=4)
        for account_id in others:
            await stage.reports(500, account_id=account_id)
        await until(lambda: bad.busy >= 20 * 4 and len(failing.calls) >= 5)
        waits = []
        for _ in range(50):
            before = len(receiver.accepted)
            started = asyncio.get_running_loop().time()
            await stage.reports()
            await until(lambda before=before: len(receiver.accepted) > before)
            waits.append(asyncio.get_running_loop().time() - started)
        waits.sort()
        assert waits[-1] < 2.0
        assert bad.busy <= bad.most_busy == 80, "each has its four calls, no more"
        assert stage.pusher._held <= 25 * 401


async def test_a_redirect_or_a_late_retry_is_obeyed_as_agreed(stage: Stage, receiver: Receiver) -> None:
    await goes_to(stage, receiver)
    answers(receiver, 302, Location=f"{receiver.origin}/elsewhere")
    await pushed(stage)
    assert [c.path for c in receiver.calls] == ["/"], "no redirect is followed"
    answers(receiver, 429, Retry_After="120")
    await wait(stage, seconds=10)
    assert len(receiver.calls) == 2
    await stage.reports(3)
    await wait(stage, seconds=100)
    assert len(receiver.calls) == 2, "the whole endpoint waits as it was asked to"
    answers(receiver)
    await wait(stage, seconds=25)
    assert len(receiver.events) == 4


async def test_gone_switches_an_endpoint_off_and_its_events_wait(stage: Stage, receiver: Receiver) -> None:
    await goes_to(stage, receiver)
    answers(receiver, 410)
    await pushed(stage, 5)
    await stage.reload()
    await wait(stage, days=1)
    assert len(receiver.calls) == 1
    (endpoint,) = await webhook_queries.endpoints(stage.database)
    assert (endpoint.status, endpoint.reason) == ("disabled", "HTTP 410")
    assert [f.kind for f in await stage.pusher.findings()] == ["webhook_failing"]
    answers(receiver)
    await webhooks.set_status(by_test(stage.database), stage.account_id, "main", active=True)
    await stage.reload()
    await stage.quiet()
    assert len(receiver.events) == 5


async def test_what_may_not_be_reached_is_not_reached(stage: Stage, receiver: Receiver) -> None:
    """A name that resolves to loopback, and an address that was allowed when the endpoint was made."""
    port = receiver.origin.rpartition(":")[2]
    await stage.put("name", f"http://localhost:{port}/", linger_ms=0, events=("message.report",))
    await stage.put("address", f"http://127.0.0.1:{port}/", linger_ms=0, events=("message.mo",))
    await nothing_is_reached(stage, receiver)
    for endpoint in stage.snapshots.current.hooks.endpoints.values():
        assert not (await stage.pusher.test(endpoint)).ok
    assert receiver.calls == []


async def test_a_connection_of_one_account_serves_no_other(stage: Stage, receiver: Receiver) -> None:
    """The granted one's connection is kept open; who may not go there does not find it."""
    other = await accounts.add(by_test(stage.database), "other", webhook_networks="127.0.0.0/8")
    url = f"http://localhost:{receiver.origin.rpartition(':')[2]}/"
    await stage.put("main", url, linger_ms=0)
    await stage.put("main", url, account_id=other, linger_ms=0)
    await accounts.edit(by_test(stage.database), await id_of(stage.database, "other"), {"webhook_networks": ""})
    await stage.reload()
    mine, foreign = (find(stage, account_id) for account_id in (stage.account_id, other))
    for _ in range(2):
        assert (await stage.pusher.test(mine)).ok
        assert (await stage.pusher.test(foreign)).problem == "the address may not be pushed to"
    assert len(receiver.calls) == 2


def find(stage: Stage, account_id: int) -> Endpoint:
    (found,) = (e for e in stage.snapshots.current.hooks.endpoints.values() if e.account_id == account_id)
    return found


async def test_our_own_listeners_are_no_receivers(stage: Stage, receiver: Receiver) -> None:
    """Though loopback was allowed on purpose; and of what answers there nobody reads a word."""
    port = int(receiver.origin.rpartition(":")[2])
    async with sending(port) as sender:
        for host in ("127.0.0.1", "127.0.0.2", "localhost"):
            answer = await sender.send(Call("POST", f"http://{host}:{port}/metrics", {}, b"x"), LOOPBACK)
            assert (answer.ok, answer.problem) == (False, "the address may not be pushed to")
    assert receiver.calls == []


async def test_a_name_that_changes_its_address_is_judged_where_it_is_connected_to(
    stage: Stage, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even a resolver that vouches for an address cannot open a connection to it."""

    async def vouch(_: object, host: str, port: int = 0, family: int = 0) -> list[dict[str, object]]:
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": 2, "proto": 6, "flags": 4}]

    monkeypatch.setattr(push_http._Resolver, "resolve", vouch)
    await stage.put("main", f"http://rebound.example.org:{receiver.origin.rpartition(':')[2]}/", linger_ms=0)
    await nothing_is_reached(stage, receiver)


async def test_a_huge_or_endless_answer_is_cut_off(stage: Stage) -> None:
    sent = 0
    app_calls: list[web.Request] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        app_calls.append(request)
        answer = web.StreamResponse(status=500)
        await answer.prepare(request)
        nonlocal sent
        try:
            for _ in range(1000):
                await answer.write(b"x" * 65536)
                sent += 65536
        except ConnectionError:
            pass
        return answer

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        await stage.put("main", f"http://127.0.0.1:{runner.addresses[0][1]}/", linger_ms=0)
        await stage.reload()
        await pushed(stage)
        assert len(app_calls) == 1
        assert (await stage.rows())[0]["problem"] == "HTTP 500"
        assert sent < 20_000_000, "what is not read is not sent"
    finally:
        await runner.cleanup()


async def test_old_forms(stage: Stage, receiver: Receiver) -> None:
    mapping = {"msgid": "message_id", "mobile": "to", "status": "carrier_code", "n": "parts.total"}
    await stage.put(
        "get", receiver.origin + "/cb?msgid={message_id}&mobile={to}&status={carrier_code}&t={done_at}&u=a%2Bb",
        format="get", times="yyMMddHHmm", expect='{"clcode": "000000"}',
    )  # fmt: skip
    receiver.reply = lambda _: web.Response(text='{"clcode":"000000","more":1}')
    await stage.reload()
    await pushed(stage, 2)
    assert await stage.waiting() == 0
    assert [c.method for c in receiver.calls] == ["GET", "GET"]
    query = dict(parse_qsl(receiver.calls[0].query))
    assert (query["mobile"], query["status"], query["u"]) == ("8613800000000", "DELIVRD", "a+b")
    assert len(query["t"]) == 10
    receiver.calls.clear()
    receiver.reply = lambda _: web.Response(text=" SUCCESS\n")
    await stage.put("get", receiver.origin, format="form", fields=mapping, expect="SUCCESS")
    await stage.reload()
    await pushed(stage)
    form = dict(parse_qsl(receiver.calls[0].body.decode()))
    assert form.keys() == mapping.keys()
    assert (form["mobile"], form["n"]) == ("8613800000000", "1")
    receiver.calls.clear()
    await stage.put(
        "get", receiver.origin, format="form_json", items_field="sms_status", fields=mapping, times="unix", linger_ms=0
    )
    await stage.reload()
    await pushed(stage, 3)
    items = json.loads(parse_qs(receiver.calls[0].body.decode())["sms_status"][0])
    assert len(items) == 3
    assert items[0].keys() == mapping.keys()
    receiver.calls.clear()
    await stage.put("get", receiver.origin, format="json_array", linger_ms=0, expect="0")
    await stage.reload()
    await pushed(stage)
    assert isinstance(receiver.calls[0].json, list)
    assert (await stage.rows())[-1]["problem"] == "the answer does not say what is expected"


async def test_a_messages_own_address_is_used_and_a_dead_one_stops_no_other(stage: Stage, receiver: Receiver) -> None:
    async with receiving() as other:
        answers(other, 500)
        await stage.put("callback", hosts=("127.0.0.1",), linger_ms=0)
        await stage.put("main", receiver.origin + "/main", linger_ms=0)
        await stage.reload()
        dead = await stage.reports(10, target=other.origin + "/x")
        good = await stage.reports(10, target=receiver.origin + "/own")
        foreign = await stage.reports(1, target="http://example.org/")
        plain = await stage.reports(5)
        for _ in range(4):
            await stage.quiet()
            stage.shift += timedelta(seconds=1)
        by_path = {path: [i["event_id"] for c in receiver.accepted if c.path == path for i in c.json["items"]]
                   for path in ("/own", "/main")}  # fmt: skip
        assert by_path == {"/own": [str(i) for i in good], "/main": [str(i) for i in plain]}
        rows = {row["id"]: row for row in await stage.rows()}
        assert rows[foreign[0]]["dead_at"] is not None
        assert "list" in rows[foreign[0]]["problem"]
        answers(other)
        await wait(stage, minutes=2)
        assert sorted(other.events) == [str(i) for i in dead]


async def test_two_nodes_push_an_endpoint_once(stage: Stage, receiver: Receiver) -> None:
    await goes_to(stage, receiver)
    second = stage.make_pusher(node=2)
    await second.start()
    try:
        made = await stage.reports(300)
        await second.look()
        await stage.quiet()
        assert second.status() == []
        assert sorted(receiver.events) == [str(i) for i in made]
        assert repeated(receiver.events) == []
        await stage.stop_pusher()
        await second.follow()
        more = await stage.reports(3)
        await second.look()
        await until(lambda: len(receiver.events) == 303)
        assert receiver.events[-3:] == [str(i) for i in more]
    finally:
        await second.stop()
        stage.pusher = stage.make_pusher()
        await stage.start_pusher()


async def test_events_change_over_with_the_way_of_their_account(stage: Stage, receiver: Receiver) -> None:
    await stage.put("main", receiver.origin, linger_ms=0)
    await webhooks.edit_setting(by_test(stage.database), stage.account_id, way="pull")
    await stage.reload()
    made = await pushed(stage, 3)
    assert receiver.calls == []
    counts = await webhooks.redeliver(
        by_test(stage.database), stage.account_id, state="waiting", since=stage.now() - timedelta(hours=1),
        until=stage.now() + timedelta(hours=1), event_ids=made[:1], way="webhook",
    )  # fmt: skip
    assert counts == {"report": 1}
    await stage.quiet()
    assert receiver.events == [str(made[0])]
    await webhooks.edit_setting(by_test(stage.database), stage.account_id, way="webhook")
    await stage.reload()
    await stage.quiet()
    assert receiver.events == [str(i) for i in made]


async def test_what_waits_is_counted(stage: Stage, receiver: Receiver) -> None:
    await stage.put("main", receiver.origin, linger_ms=0)
    await stage.put("callback", hosts=("127.0.0.1",))
    await stage.reload()
    answers(receiver, 500)
    first, *_ = await pushed(stage, 3)
    await stage.pusher.sample()
    states = {s.name: s for s in stage.pusher.status()}
    assert (states["main"].waiting, states["callback"].waiting) == (3, 0)
    assert states["main"].oldest_at == time_of(first)
    assert (states["main"].failures, states["main"].last_error) == (1, "HTTP 500")


async def test_events_that_nobody_took_before_their_time_was_over_are_told_of(stage: Stage, receiver: Receiver) -> None:
    config = Config()
    old = datetime.now(CHINA) - timedelta(days=config.retention.events_days + 1)
    async with stage.database.acquire() as connection:
        await partitions.ensure(connection, old.date())
    stage.ids = IdSource(1, lambda: int(old.timestamp() * 1000))
    await stage.reports(3)
    dead, taken = await stage.reports(2)
    await stage.database.execute(
        "UPDATE customer_event SET acknowledged_at = now(), dead_at = CASE WHEN id = $1 THEN now() END "
        "WHERE id = ANY($2)", dead, [dead, taken],
    )  # fmt: skip
    nothing: Any = None  # the job of the days settles no outcomes
    maintenance = Maintenance(stage.database, nothing, stage.snapshots, stage.hub, stage.ids, config, AnyFleet())
    await maintenance._partitions()
    await maintenance._partitions()
    assert await stage.rows() == []
    rows = await stage.database.fetch("SELECT day, account_id, kind, n FROM event_lost")
    assert [tuple(row) for row in rows] == [(old.date(), stage.account_id, "report", 4)]
    assert [f.kind for f in await stage.pusher.findings()] == [], "who pulls leaves what it does not want"
    await stage.put("main", receiver.origin)
    (found,) = await stage.pusher.findings()
    assert (found.kind, found.object) == ("events_lost", "account/acme/report")
    assert english_of(found.detail).startswith("4 events (report)")
    stage.shift = timedelta(days=1, minutes=1)
    assert [f.kind for f in await stage.pusher.findings()] == [], "for a day"


async def test_connections_of_many_grants_are_not_kept(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push_http, "MAX_WAYS", 2)
    async with sending() as sender:
        for n in (1, 2, 3, 4, 1):
            reach = LOOPBACK.narrowed(parse_networks(["127.0.0.1/32", f"127.0.{n}.0/24"]))
            assert (await sender.send(Call("POST", receiver.origin, {}, b"x"), reach)).ok
            assert len(sender._ways) <= 2
    assert len(receiver.calls) == 5


async def test_a_name_server_that_hangs_holds_up_no_other(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, known = threading.Event(), socket.getaddrinfo

    def getaddrinfo(host: str, *how: Any, **more: Any) -> Any:
        if host.endswith(".hangs"):
            go_on.wait(20)
        return known("127.0.0.1", *how, **more)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    port = receiver.origin.rpartition(":")[2]
    async with sending() as sender:

        async def push(host: str, owner: int) -> bool:
            return (await sender.send(Call("POST", f"http://{host}:{port}/", {}, b"x"), LOOPBACK, owner=owner)).ok

        try:
            hanging = [aio.spawn(push(f"{n}.hangs", 1), name="push") for n in range(100)]
            await asyncio.sleep(0.2)
            async with asyncio.timeout(4.5):  # before any of those that hang is given up
                assert await push("answers", 2)
        finally:
            go_on.set()
        async with asyncio.timeout(30):
            assert any(await asyncio.gather(*hanging)), "it waited, and was not forgotten"
            assert await push("again", 1)
