"""What the pages of templates and signatures have alike: columns, history, deciding, registering, stopping."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.i18n import DEFAULT
from smsgw.admin.kit.details import Past, differences
from smsgw.admin.kit.filters import Field, FieldKind, Found, Problem, read_id
from smsgw.admin.kit.form_pages import FormPage, Wrong
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Action, Effect
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.kit.tables import Cell, Column, Phone
from smsgw.admin.words import CARRIER, content as words
from smsgw.admin.words.audit import action_words
from smsgw.admin.words.kit import BAD_DAY
from smsgw.core import moments
from smsgw.core.ids import CHINA
from smsgw.core.templates import CARRIERS, Registration, Review
from smsgw.core.words import Wording
from smsgw.platform.content import queries, service
from smsgw.platform.content.model import DECIDE, EDIT, SIGN, TEMPLATE, Answer, Wanted, seen_of
from smsgw.runtime import clock

Row = Mapping[str, Any]
PATHS = {SIGN: "/signs", TEMPLATE: "/templates"}
ONE = "{id:[0-9]{1,19}}"
OF_CARRIERS = {carrier: CARRIER[carrier] for carrier in CARRIERS}
AT_CARRIER = Field("carrier", FieldKind.CHOICE, choices=OF_CARRIERS)
REGISTERED = Field("registration", FieldKind.CHOICE, choices=words.REGISTRATION)
CREATED, SUBMITTER = Field("created_at", FieldKind.DAYS, more=True), Field("submitter", more=True, hint="login")


def _state_at(carrier: str) -> Callable[[Row], str]:
    return lambda row: str(row["carriers"][carrier].state)


MATRIX = tuple(
    Column(
        carrier, Cell.STATE, value=_state_at(carrier), words=words.REGISTRATION, tones=words.REGISTRATION_TONE,
        phone=Phone.AWAY,
    )
    for carrier in CARRIERS
)  # fmt: skip
"""A column for each carrier."""
STATED = (
    Column("submitter", value=lambda row: row["created_by"], shown=False, phone=Phone.AWAY),
    Column("created_at", Cell.TIME, sort=True),
)
REVIEWED = (
    Column("reviewer", value=lambda row: row["reviewed_by"]), Column("reviewed_at", Cell.TIME),
    Column("reason", Cell.LONG), Column("stopped_at", Cell.TIME),
)  # fmt: skip


def wanted(found: Found, *, name: str, text: str) -> Wanted:
    """What a filter looks for; ``name`` and ``text``: the keys of its fields."""
    get = found.get
    account = int(get("account")) if get("account") else None
    return Wanted(
        get("id") or None, account, get(name), get("status"), get("carrier"), get("registration"),
        get("submitter") or None, get("created_at") or (None, None), get("type") or get("origin"), get(text),
        "" if name == "sign" else get("sign"),
    )  # fmt: skip


async def choices(call: Call, _: Any = None) -> Mapping[str, Mapping[str, str]]:
    """The accounts that the person has."""
    return {"account": own_accounts(call)}


async def past(call: Call, kind: str, id_: int) -> list[Past]:
    """What was done to one, in the reader's language."""
    english = call.language != DEFAULT

    def told(said: str | Wording | None) -> str:
        return said.text(english) if isinstance(said, Wording) else call.gettext(said) if said else ""

    found = []
    for one in await queries.history(call.db, kind, id_):
        values = [d for d in differences({}, one.said) if d.after and d.name != "account"]
        facts = [(told(d.terms[-1]), told(d.after)) for d in values]
        found.append(Past(one.at, told(action_words(one.action)[0]), one.name or one.actor, facts))
    return found


def links(call: Call, kind: str, row: Row) -> list[tuple[str, str]]:
    """The pages by which somebody decides about it."""
    here = f"{PATHS[kind]}/{row['id']}"
    if not call.may(DECIDE[kind]) or row["status"] == "stopped":
        return []
    return [(words.DECIDE, f"{here}/decide"), (words.REGISTER, f"{here}/register")]


# --- deciding --------------------------------------------------------------------------------------------------------

_DECIDE = Form((Inputs((
    Input("decision", InputKind.CHOICE, choices=words.DECISION, required=True),
    Input("reason", InputKind.LINES, most=500), Input("seen", InputKind.HIDDEN, most=64),
)),))  # fmt: skip


def until(text: str) -> datetime | None:
    """The first moment after a day; None: there is no day."""
    return datetime.combine(moments.day(text) + timedelta(days=1), time(), CHINA) if text else None


def last_day(at: datetime | None) -> str:
    """The day whose end that moment is; empty: there is none."""
    return f"{(at - timedelta(seconds=1)).astimezone(CHINA):%Y-%m-%d}" if at else ""


def day_to_come(text: str) -> Problem | None:
    """What is wrong with a last day."""
    try:
        at = until(text)
    except ValueError:
        return Problem(BAD_DAY)
    return Problem(words.PAST_DAY) if at is not None and at <= clock.now() else None


def _day_gone(text: str) -> Problem | None:
    try:
        day = moments.day(text) if text else None
    except ValueError:
        return Problem(BAD_DAY)
    return Problem(words.FUTURE_DAY) if day is not None and day > clock.now().astimezone(CHINA).date() else None


def _register_form(kind: str) -> Form:
    ends = (Input("until_day", label="filing_until", most=10, help=words.REGISTER_UNTIL_HELP, check=day_to_come),)
    return Form((Inputs((
        Input("carriers", InputKind.CHOICES, "carrier", required=True, choices=OF_CARRIERS),
        Input("registration", InputKind.CHOICE, choices=words.REGISTRATION_SAID, required=True),
        Input("code", label="filing_code", most=service.MAX_CODE),
        Input("answered_on", label="filing_day", most=10, help=words.REGISTER_DAY_HELP, check=_day_gone),
        *(ends if kind == SIGN else ()),
        Input("note", most=500, help=words.REGISTER_NOTE_HELP),
    )),))  # fmt: skip


def _registered(row: Row) -> Mapping[str, Any]:
    """What stands there of the carrier whose answer is entered."""
    carrier = row["of"]
    if carrier not in CARRIERS:
        return {}
    said: Answer = row["carriers"][carrier]
    state = Registration.REGISTERED if said.state is Registration.EXPIRED else said.state
    return {"carriers": [carrier], "registration": state.value, "code": said.code, "note": said.note,
            "answered_on": str(said.answered_on or ""), "until_day": last_day(said.expires_at)}  # fmt: skip


def subject(kind: str) -> Callable[[Call], Awaitable[Row | None]]:
    """Which one the address of a page names, in the person's scope."""

    async def find(call: Call) -> Row | None:
        id_ = read_id(call.request.match_info["id"])
        return None if id_ is None else await queries.one(call.db, kind, id_, accounts=call.accounts)

    return find


def _back(kind: str) -> Callable[[Row], str]:
    return lambda row: f"{PATHS[kind]}/{row['id']}"


async def _decide_effect(kind: str, row: Row, values: Mapping[str, Any]) -> Effect:
    service.demand_seen(kind, row, values["seen"])
    if values["decision"] == Review.REFUSED and not values["reason"]:
        raise Wrong("reason", Problem(words.REASON_NEEDED))
    said = {"name": row["name"], "account": row["account"], "submitter": row["created_by"] or "—"}
    return Effect(words.DECIDE_EFFECT[values["decision"]], said)


async def _register_effect(call: Call, row: Row, values: Mapping[str, Any]) -> Effect:
    carriers = " ".join(call.gettext(CARRIER[one]) for one in values["carriers"])
    state = words.REGISTRATION[values["registration"]]
    said = {"name": row["name"], "account": row["account"], "carriers": carriers, "state": call.gettext(state)}
    return Effect(words.REGISTER_EFFECT, said)


def decide_page(kind: str) -> FormPage:
    """The page on which one is approved or refused."""

    async def save(call: Call, row: Row, values: Mapping[str, Any]) -> web.Response:
        await service.review(
            call.change(), kind, row["id"], Review(values["decision"]), reason=values["reason"], seen=values["seen"]
        )
        call.toast(call.gettext(words.DECIDED))
        return call.redirect(_back(kind)(row))

    return FormPage(
        f"{PATHS[kind]}/{ONE}/decide", DECIDE[kind], words.DECIDE, words.SAVE, _DECIDE, save, _back(kind),
        subject(kind), values=lambda row: {"seen": seen_of(kind, row)},
        effect=lambda _, row, values: _decide_effect(kind, row, values),
        lead=lambda row: row["content"] if kind == TEMPLATE else " · ".join(filter(None, (row["name"], row["note"]))),
    )  # fmt: skip


def register_page(kind: str) -> FormPage:
    """The page on which the carriers' answers are entered, beginning with what one of them has said (``of``)."""
    named = subject(kind)

    async def find(call: Call) -> Row | None:
        row = await named(call)
        return None if row is None else {**row, "of": call.request.query.get("of", "")}

    async def save(call: Call, row: Row, values: Mapping[str, Any]) -> web.Response:
        day = date.fromisoformat(values["answered_on"]) if values["answered_on"] else None
        state, ends = Registration(values["registration"]), until(values.get("until_day", ""))
        answer = Answer(state, values["note"], values["code"], day, ends)
        await service.register(call.change(), kind, row["id"], values["carriers"], answer)
        call.toast(call.gettext(words.REGISTERED))
        return call.redirect(_back(kind)(row))

    return FormPage(
        f"{PATHS[kind]}/{ONE}/register", DECIDE[kind], words.REGISTER, words.SAVE, _register_form(kind), save,
        _back(kind), find, values=_registered, effect=_register_effect, lead=lambda row: str(row["name"]),
    )  # fmt: skip


# --- stopping --------------------------------------------------------------------------------------------------------


def stop_actions(kind: str, stop_effect: str, start_effect: str) -> tuple[Action, ...]:
    """Stopping and starting again, with their effects."""

    def told(text: str) -> Callable[[Call, Sequence[Row]], Awaitable[Effect]]:
        async def tell(_: Call, rows: Sequence[Row]) -> Effect:
            return Effect(text, {"n": len(rows), "names": ", ".join(str(row["name"]) for row in rows[:5])})

        return tell

    def run(*, stopped: bool) -> Callable[[Call, Row], Awaitable[None]]:
        return lambda call, row: service.stop(call.change(), kind, row["id"], stopped=stopped)

    return (
        Action("stop", words.STOP, EDIT[kind], run(stopped=True), told(stop_effect), danger=True),
        Action("start", words.START, EDIT[kind], run(stopped=False), told(start_effect)),
    )
