"""``/webhooks``: where the account's events go, how their delivery stands, and offering them again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from smsgw.api.context import Call
from smsgw.api.route import STORAGE, Route
from smsgw.api.shapes import Id, Request, Time
from smsgw.api.values import china, id_of, in_span
from smsgw.core.errors import Invalid, Refused
from smsgw.core.webhooks import NAME, kind_of, type_of
from smsgw.platform.webhooks import queries, service
from smsgw.platform.webhooks.model import MAX_REDELIVERED, MOST_BELOW, EndpointView, Wanted

State = Literal["waiting", "delivered", "dead"]
AnyState = Literal["any", "waiting", "delivered", "dead"]
SEARCHED = timedelta(days=31)
"""How far back deliveries are looked for; events do not live longer."""


class WebhookOptions(Request):
    """How the receiver wants its calls (docs/webhooks.md)."""

    format: Annotated[
        Literal["json", "json_array", "json_item", "form", "form_json", "get"],
        Meta(description="What a call looks like."),
    ] | None = None  # fmt: skip
    max_items: Annotated[int, Meta(ge=1, le=100, description="Events in a call at most.")] | None = None
    linger_ms: (
        Annotated[int, Meta(ge=0, le=60_000, description="How long the first event waits for others.")] | None
    ) = None
    concurrency: Annotated[int, Meta(ge=1, le=16, description="Calls under way at the same time.")] | None = None
    expect: Annotated[str, Meta(max_length=200, description="What the answer must say besides 2xx.")] | None = None
    fields: (
        Annotated[dict[str, str], Meta(max_length=40, description="Name in the call -> field of the event.")] | None
    ) = None
    items_field: Annotated[str, Meta(max_length=64, description="Of form_json: the form's field.")] | None = None
    times: (
        Annotated[str, Meta(max_length=40, description="iso, unix, unix_ms, or a pattern as yyyyMMddHHmmss.")] | None
    ) = None


class WebhookBody(Request):
    """Where events go. Without ``events``: all that no other endpoint names."""

    url: Annotated[str, Meta(max_length=2000, description="https://…; empty for the endpoint callback.")] = ""
    events: Annotated[list[str], Meta(max_length=20, description="Types of events; none: all the rest.")] | None = None
    hosts: (
        Annotated[list[str], Meta(max_length=50, description="Of callback: hosts that callback_url may name.")] | None
    ) = None
    options: WebhookOptions | None = None


class WebhookSettings(Request):
    """How the account gets its events."""

    way: (
        Annotated[Literal["pull", "webhook", "bind"], Meta(description="Primary way of the account's events.")] | None
    ) = None
    balance_below: (
        Annotated[
            int, Meta(ge=0, le=MOST_BELOW, description="balance.low is told below so many available parts; 0: never.")
        ]
        | None
    ) = None


class SecretBody(Request):
    """A new secret; the present one signs beside it for a while."""

    keep_old_hours: Annotated[int, Meta(ge=0, le=168, description="How long the former secret signs, too.")] | None = 24
    force: Annotated[bool, Meta(description="Though the former secret still signs: it ends at once.")] = False


class DeliveryQuery(Request):
    """Filters; all given ones must match. Newest first."""

    state: Annotated[AnyState, Meta(description="Waiting, delivered, given up (dead), or any.")] = "any"
    type: Annotated[str, Meta(max_length=40, description="Type of event.")] | None = None
    message_id: Id | None = None
    cursor: Annotated[Id, Meta(description="`next_cursor` of the page before.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=500, description="Events in a page.")] = 50


class AttemptQuery(Request):
    """A page of calls, newest first."""

    cursor: Annotated[Id, Meta(description="`next_cursor` of the page before.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=500, description="Calls in a page.")] = 50


class RedeliverBody(Request):
    """Which events are offered again; all given filters must match."""

    state: Annotated[State, Meta(description="Waiting, delivered, or given up (dead).")] | None = None
    type: Annotated[str, Meta(max_length=40, description="Type of event.")] | None = None
    from_time: Time | None = None
    to_time: Time | None = None
    event_ids: Annotated[list[Id], Meta(max_length=500, description="These events.")] | None = None
    message_ids: Annotated[list[Id], Meta(max_length=500, description="Events about these messages.")] | None = None
    way: Annotated[Literal["pull", "webhook", "bind"], Meta(description="Offer them by this way once.")] | None = None


class Webhook(msgspec.Struct):
    """A webhook. ``failing_since`` is null while it takes what it gets."""

    name: str
    url: str
    hosts: list[str]
    events: Annotated[list[str], Meta(description="Types that go there; none: all the rest.")]
    options: dict[str, Any]
    status: str
    reason: str
    created_at: datetime
    failing_since: datetime | None
    last_error: str
    last_ok_at: datetime | None
    old_secret_until: datetime | None


class Webhooks(msgspec.Struct):
    """The account's webhooks, and how it gets its events."""

    way: str
    balance_below: int
    items: list[Webhook]


class WebhookPut(msgspec.Struct):
    """The endpoint as it is now. ``secret`` is shown once, when the endpoint is made."""

    webhook: Webhook
    secret: str | None


class WebhookSecret(msgspec.Struct):
    """The new secret, shown once."""

    secret: str


class WebhookTested(msgspec.Struct):
    """What the receiver said to a sample."""

    ok: bool
    http_status: int
    ms: int
    problem: Annotated[str, Meta(description="What kind of failure it was; of the answer nothing is shown.")]


class Delivery(msgspec.Struct):
    """An event and how its delivery stands. ``tries`` are failed ones."""

    event_id: str
    type: str
    message_id: str | None
    state: str
    tries: int
    problem: str
    next_at: datetime | None
    done_at: datetime | None
    done_by: str
    callback_url: str


class Deliveries(msgspec.Struct):
    """A page of events; ``next_cursor`` is null on the last one."""

    items: list[Delivery]
    next_cursor: str | None


class WebhookCall(msgspec.Struct):
    """A call that failed, or the sum of those that succeeded within a minute."""

    id: str
    at: datetime
    calls: int
    events: Annotated[int, Meta(description="Events in these calls.")]
    first_event_id: str
    http_status: int
    ms: int
    problem: str


class WebhookCalls(msgspec.Struct):
    """A page of calls; ``next_cursor`` is null on the last one."""

    items: list[WebhookCall]
    next_cursor: str | None


class Redelivered(msgspec.Struct):
    """How many events are offered again, by type. ``more``: the limit of one call was met; call again."""

    events: Annotated[dict[str, int], Meta(description="Events offered again, by type.")]
    more: bool


async def list_webhooks(call: Call) -> Webhooks:
    """``GET /webhooks``."""
    setting = await queries.setting(call.ctx.db, call.account.id)
    rows = await queries.endpoints(call.ctx.db, (call.account.id,))
    return Webhooks(setting.way, setting.balance_below or 0, [_webhook(row) for row in rows])


async def set_webhooks(call: Call) -> Webhooks:
    """``PUT /webhooks``."""
    body: WebhookSettings = call.body
    await service.edit_setting(call.change(), call.account.id, way=body.way, balance_below=body.balance_below)
    return await list_webhooks(call)


async def get_webhook(call: Call) -> Webhook:
    """``GET /webhooks/{name}``."""
    return _webhook(await _row(call))


async def put_webhook(call: Call) -> WebhookPut:
    """``PUT /webhooks/{name}``."""
    body: WebhookBody = call.body
    options = msgspec.to_builtins(body.options) if body.options is not None else {}
    wanted = Wanted(
        _name(call), body.url, tuple(body.events or ()), tuple(body.hosts or ()),
        {k: v for k, v in options.items() if v is not None},
    )  # fmt: skip
    reach = call.ctx.pusher.destinations.reach
    secret = await service.put(call.change(), call.ctx.sealer, call.account.id, wanted, reach)
    return WebhookPut(_webhook(await _row(call)), secret)


async def delete_webhook(call: Call) -> Webhooks:
    """``DELETE /webhooks/{name}``."""
    await service.delete(call.change(), call.account.id, _name(call))
    return await list_webhooks(call)


async def enable_webhook(call: Call) -> Webhook:
    """``POST /webhooks/{name}/enable``."""
    await service.set_status(call.change(), call.account.id, _name(call), active=True)
    return _webhook(await _row(call))


async def disable_webhook(call: Call) -> Webhook:
    """``POST /webhooks/{name}/disable``."""
    await service.set_status(call.change(), call.account.id, _name(call), active=False)
    return _webhook(await _row(call))


async def rotate_webhook_secret(call: Call) -> WebhookSecret:
    """``POST /webhooks/{name}/secret``."""
    body: SecretBody = call.body
    hours = 24 if body.keep_old_hours is None else body.keep_old_hours
    return WebhookSecret(
        await service.rotate_secret(
            call.change(), call.ctx.sealer, call.account.id, _name(call), keep_old_hours=hours, force=body.force
        )
    )


async def test_webhook(call: Call) -> WebhookTested:
    """``POST /webhooks/{name}/test``."""
    answer = await service.send_sample(call.actor, call.ctx.snapshots, call.ctx.pusher, call.account.id, _name(call))
    return WebhookTested(answer.ok, answer.status, answer.ms, answer.problem)


async def webhook_calls(call: Call) -> WebhookCalls:
    """``GET /webhooks/{name}/calls``."""
    query: AttemptQuery = call.query
    name = _name(call)
    found = await queries.attempts(call.ctx.db, call.account.id, name, before_id=id_of(query.cursor), limit=query.limit)
    items = [
        WebhookCall(str(a.id), china(a.at), a.calls, a.events, str(a.first_event), a.status, a.ms, a.error)
        for a in found
    ]
    return WebhookCalls(items, items[-1].id if len(items) == query.limit else None)


async def list_deliveries(call: Call) -> Deliveries:
    """``GET /webhooks/deliveries``."""
    query: DeliveryQuery = call.query
    found = await queries.deliveries(
        call.ctx.db, (call.account.id,), state=None if query.state == "any" else query.state, kind=_kind(query.type),
        message_id=id_of(query.message_id),
        since=_now(call) - SEARCHED, before_id=id_of(query.cursor), limit=query.limit,
    )  # fmt: skip
    items = [
        Delivery(
            event_id=str(d.id),
            type=type_of(d.kind),
            message_id=str(d.message_id) if d.message_id else None,
            state=d.state,
            tries=d.tries,
            problem=d.problem,
            next_at=china(d.next_at),
            done_at=china(d.done_at),
            done_by=d.done_by,
            callback_url=d.target or "",
        )
        for d in found
    ]
    return Deliveries(items, items[-1].event_id if len(items) == query.limit else None)


async def redeliver(call: Call) -> Redelivered:
    """``POST /webhooks/redeliver``."""
    body: RedeliverBody = call.body
    if not any((body.state, body.from_time, body.to_time, body.event_ids, body.message_ids)):
        raise Invalid("PARAM_MISSING", field="state, from_time, event_ids, message_ids")
    now = _now(call)
    counts = await service.redeliver(
        call.change(), call.account.id, state=body.state, kind=_kind(body.type),
        since=in_span(body.from_time) or now - SEARCHED, until=in_span(body.to_time) or now + timedelta(days=1),
        event_ids=None if body.event_ids is None else [id_of(i) or 0 for i in body.event_ids],
        message_ids=None if body.message_ids is None else [id_of(i) or 0 for i in body.message_ids],
        way=body.way,
    )  # fmt: skip
    for kind in counts:
        call.ctx.hub.notify([call.account.id], kind)
    total = sum(counts.values())
    return Redelivered({type_of(k): n for k, n in counts.items()}, total >= MAX_REDELIVERED)


def _now(call: Call) -> datetime:
    return call.ctx.pusher.now()


def _kind(type_: str | None) -> str | None:
    return None if type_ is None else kind_of(type_)


def _name(call: Call) -> str:
    name = call.request.match_info["name"]
    if not NAME.fullmatch(name):
        raise Refused("NOT_FOUND")
    return name


async def _row(call: Call) -> EndpointView:
    rows = await queries.endpoints(call.ctx.db, (call.account.id,), _name(call))
    if not rows:
        raise Refused("NOT_FOUND")
    return rows[0]


def _webhook(row: EndpointView) -> Webhook:
    return Webhook(
        name=row.name,
        url=row.url,
        hosts=list(row.hosts),
        events=list(row.events),
        options=row.options,
        status=row.status,
        reason=row.reason,
        created_at=china(row.created_at),
        failing_since=china(row.failing_since),
        last_error=row.last_error,
        last_ok_at=china(row.last_ok_at),
        old_secret_until=china(row.old_secret_until),
    )


_ONE = ("NOT_FOUND", *STORAGE)

ROUTES = (
    Route("GET", "/webhooks", "report", list_webhooks, "The account's webhooks and how it gets its events",
          Webhooks, errors=STORAGE),
    Route("PUT", "/webhooks", "webhook", set_webhooks, "Say how the account gets its events",
          Webhooks, WebhookSettings, errors=_ONE),
    Route("GET", "/webhooks/deliveries", "report", list_deliveries, "Events and how their delivery stands",
          Deliveries, query=DeliveryQuery, errors=STORAGE),
    Route("POST", "/webhooks/redeliver", "report", redeliver, "Offer events again",
          Redelivered, RedeliverBody, errors=("PARAM_MISSING", *STORAGE), idempotent=True),
    Route("GET", "/webhooks/{name}", "report", get_webhook, "One webhook", Webhook, errors=_ONE),
    Route("PUT", "/webhooks/{name}", "webhook", put_webhook, "Make or change a webhook",
          WebhookPut, WebhookBody, errors=("STATE_CONFLICT", *_ONE)),
    Route("DELETE", "/webhooks/{name}", "webhook", delete_webhook, "Remove a webhook; its events go elsewhere",
          Webhooks, errors=_ONE),
    Route("POST", "/webhooks/{name}/enable", "webhook", enable_webhook, "Push to a webhook again",
          Webhook, errors=_ONE, idempotent=True),
    Route("POST", "/webhooks/{name}/disable", "webhook", disable_webhook, "Stop pushing; the events wait",
          Webhook, errors=_ONE, idempotent=True),
    Route("POST", "/webhooks/{name}/secret", "webhook", rotate_webhook_secret, "A new secret for a webhook",
          WebhookSecret, SecretBody, errors=_ONE, idempotent=True),
    Route("POST", "/webhooks/{name}/test", "webhook", test_webhook, "Send a sample to a webhook at once",
          WebhookTested, errors=("STATE_CONFLICT", *_ONE)),
    Route("GET", "/webhooks/{name}/calls", "report", webhook_calls, "Calls to a webhook, newest first",
          WebhookCalls, query=AttemptQuery, errors=_ONE),
)  # fmt: skip
