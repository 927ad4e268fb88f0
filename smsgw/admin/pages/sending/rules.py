"""Rules of approval (审批规则): what a reviewer has to see, of all, an account or a type; the effect in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Field, Form, Kind, Section
from smsgw.admin.kit.lists import Effect
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.rights import route
from smsgw.admin.words import approval as words
from smsgw.admin.words.messages import TYPE
from smsgw.core.model import MessageType
from smsgw.core.permissions import Permission
from smsgw.core.policy import Limits
from smsgw.platform.review import queries, rules
from smsgw.platform.review.rules import Place
from smsgw.platform.settings import service as settings
from smsgw.runtime import clock

PATH = "/review/rules"
_VIEW, _EDIT = Permission.POLICY_VIEW, Permission.POLICY_EDIT
_KINDS = "|".join(("all", *MessageType))
MOST_ACCOUNTS = 200


@dataclass(frozen=True, slots=True)
class _Subject:
    """A place with what is put there."""

    place: Place
    name: str
    own: Mapping[str, str]


def _all(call: Call) -> bool:
    """Whether the person may change what holds for everybody."""
    return call.actor.scope.whole is None


@route("GET", PATH, _VIEW)
async def show(call: Call) -> web.StreamResponse:
    """The rules that hold, account by account and type by type."""
    now, wanted = call.portal.context.snapshots.current, call.request.query.get("account", "")[:64].strip()
    accounts = [a for a in now.accounts() if str(a.id) in own_accounts(call) and wanted in a.name]
    rows: list[tuple[str, int, Sequence[tuple[str, Limits, bool]]]] = []
    for account in accounts[:MOST_ACCOUNTS]:
        places = {kind: (Place(account.id, ""), Place(account.id, kind)) for kind in MessageType}
        kinds = [
            (kind.value, now.policies.limits(account, kind), any(rules.own(now.policies, place) for place in both))
            for kind, both in places.items()
        ]
        rows.append((account.name, account.id, kinds))
    return call.render(
        "sending/rules.html", rows=rows, review_words=words, may=call.may(_EDIT), all=_all(call), asked=wanted,
        left=max(0, len(accounts) - MOST_ACCOUNTS), for_all=rules.own(now.policies, Place(0, "")),
        settings=now.settings, may_time=call.may(Permission.SETTING_EDIT),
    )  # fmt: skip


async def _subject(call: Call) -> _Subject | None:
    given = call.request.match_info
    account_id, type_ = int(given["id"]), "" if given["type"] == "all" else given["type"]
    now = call.portal.context.snapshots.current
    if account_id:
        account = now.account(account_id) if str(account_id) in own_accounts(call) else None
        if account is None:
            return None
        name = account.name
    elif _all(call):
        name = call.gettext(words.EVERYBODY)
    else:
        return None
    kind = call.gettext(TYPE[type_]) if type_ else call.gettext(words.ANY_TYPE)
    place = Place(account_id, type_)
    return _Subject(place, f"{name} · {kind}", rules.own(now.policies, place))


FORM = Form((
    Section(
        (
            Field("review", Kind.CHOICE, "rule_review", words.INHERITED, choices=words.REVIEW),
            Field("review_over", Kind.NUMBER, "rule_over", words.OVER_HELP, least=0, most=1_000_000),
            Field("review_new_sign", Kind.NUMBER, "rule_new_sign", words.SIGN_HELP, least=0, most=365),
            Field("review_new_link", Kind.CHOICE, "rule_new_link", words.LINK_HELP, choices=words.YES_NO),
        ),
        words.RULES, words.RULES_HELP,
    ),
))  # fmt: skip


def _wanted(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(values[name]) for name in rules.NAMES if values[name] not in ("", None)}


async def _effect(call: Call, subject: _Subject, values: Mapping[str, Any]) -> Effect:
    now = call.portal.context.snapshots.current
    found = await rules.outcome(call.db, now, subject.place, _wanted(values), clock.now())
    told = {
        "name": subject.name, "messages": f"{found.messages:,}", "held": f"{found.held:,}",
        "held_now": f"{found.held_now:,}", "tasks": f"{found.tasks:,}", "tasks_held": f"{found.tasks_held:,}",
        "tasks_now": f"{found.tasks_held_now:,}",
    }  # fmt: skip
    text = call.filled(words.RULES_EFFECT, told)
    return Effect("%(said)s", {"said": text if found.whole else text + call.gettext(words.FIRST_ONES)})


async def _save(call: Call, subject: _Subject, values: Mapping[str, Any]) -> web.Response:
    await rules.put(call.change(), subject.place, subject.own, _wanted(values))
    call.toast(call.gettext(words.RULES_SAVED))
    return call.redirect(PATH)


RULES = FormPage(
    PATH + rf"/{{id:0|[1-9]\d{{0,17}}}}/{{type:{_KINDS}}}", _EDIT, words.RULES_EDIT, words.RULES_SAVE, FORM, _save,
    lambda _: PATH, _subject, values=lambda one: one.own, effect=_effect, lead=lambda one: one.name,
)  # fmt: skip

# --- when a kind is sent ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Hours:
    """A place with the hours that are put there."""

    place: Place
    name: str
    own: str


async def _hours(call: Call) -> _Hours | None:
    found = await _subject(call)
    if found is None:
        return None
    own = rules.own_hours(call.portal.context.snapshots.current.policies, found.place)
    return _Hours(found.place, found.name, own)


async def _hours_effect(call: Call, subject: _Hours, values: Mapping[str, Any]) -> Effect:
    now = call.portal.context.snapshots.current
    messages, outside, outside_now = await rules.outside(call.db, now, subject.place, values["windows"], clock.now())
    return Effect(words.HOURS_EFFECT, {
        "name": subject.name, "messages": f"{messages:,}", "outside": f"{outside:,}", "now": f"{outside_now:,}",
    })  # fmt: skip


async def _hours_save(call: Call, subject: _Hours, values: Mapping[str, Any]) -> web.Response:
    await rules.put_hours(call.change(), subject.place, values["windows"])
    call.toast(call.gettext(words.RULES_SAVED))
    return call.redirect(PATH)


HOURS = FormPage(
    PATH + rf"/{{id:0|[1-9]\d{{0,17}}}}/{{type:{_KINDS}}}/hours", _EDIT, words.HOURS_EDIT, words.RULES_SAVE,
    Form((Section((Field("windows", Kind.SPANS, "day_hours", words.HOURS_HELP),)),)), _hours_save, lambda _: PATH,
    _hours, values=lambda one: {"windows": one.own}, effect=_hours_effect, lead=lambda one: one.name,
)  # fmt: skip

# --- how long somebody waits -----------------------------------------------------------------------------------------

TIMES = Form((
    Section((
        Field("review_remind_minutes", Kind.NUMBER, "rule_remind", words.REMIND_HELP, required=True, least=1,
              most=10_080),
        Field("review_expire_hours", Kind.NUMBER, "rule_expire", words.EXPIRE_HELP, required=True, least=1, most=120),
    ), words.TIMES),
))  # fmt: skip


async def _times(call: Call) -> Any:
    return call.portal.context.snapshots.current.settings if _all(call) else None


async def _times_effect(call: Call, _: Any, values: Mapping[str, Any]) -> Effect:
    late, whole = await queries.waiting_longer(call.db, clock.now(), values["review_remind_minutes"])
    return Effect(words.TIMES_EFFECT, {"n": f"{whole:,}", "late": f"{late:,}", **values})


async def _times_save(call: Call, before: Any, values: Mapping[str, Any]) -> web.Response:
    for name in ("review_remind_minutes", "review_expire_hours"):
        if values[name] != getattr(before, name):
            await settings.put(call.change(), name, values[name])
    call.toast(call.gettext(words.RULES_SAVED))
    return call.redirect(PATH)


WAITING_TIMES = FormPage(
    PATH + "/times", Permission.SETTING_EDIT, words.TIMES, words.RULES_SAVE, TIMES, _times_save, lambda _: PATH, _times,
    values=lambda one: {name: getattr(one, name) for name in ("review_remind_minutes", "review_expire_hours")},
    effect=_times_effect,
)  # fmt: skip
