"""Rules of approval (审批规则): what a reviewer has to see, of all, an account or a type; the effect in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import MOST_SPANS, Form, Input, InputKind, Inputs
from smsgw.admin.kit.kinds import in_force, names_of
from smsgw.admin.kit.lists import Effect
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.rights import route
from smsgw.admin.words import approval as words, limits as limit_words
from smsgw.core.errors import Temporary
from smsgw.core.kinds import is_type, known, resolve
from smsgw.core.permissions import Permission
from smsgw.core.policy import Limits
from smsgw.platform.policies import service as policies
from smsgw.platform.review import queries, rules
from smsgw.platform.review.rules import Place
from smsgw.platform.settings import service as settings
from smsgw.runtime import clock

PATH = "/review/rules"
_VIEW, _EDIT = Permission.POLICY_VIEW, Permission.POLICY_EDIT
_KINDS = "[a-z][a-z0-9_]{1,31}"
MOST_ACCOUNTS = 200


@dataclass(frozen=True, slots=True)
class _Subject:
    """A place with what is put there."""

    place: Place
    name: str
    own: Mapping[str, str]
    hours: str
    there: Mapping[str, str]
    """The hours as they are kept: what was seen when somebody began to change them."""


def _all(call: Call) -> bool:
    """Whether the person may change what holds for everybody."""
    return call.actor.scope.whole is None


@route("GET", PATH, _VIEW)
async def show(call: Call) -> web.StreamResponse:
    """The rules that hold, account by account and type by type."""
    now, wanted = await in_force(call), call.request.query.get("account", "")[:64].strip()
    accounts = [a for a in now.accounts() if str(a.id) in own_accounts(call) and wanted in a.name]
    rows: list[tuple[str, int, Sequence[tuple[str, Limits, bool]]]] = []
    for account in accounts[:MOST_ACCOUNTS]:
        kinds = []
        for name in known(now.kinds):
            base, custom = resolve(now.kinds, name)
            limits = now.policies.limits(account, base, custom.name if custom else "")
            places = (Place(account.id, ""), Place(account.id, base), Place(account.id, name))
            kinds.append((name, limits, any(rules.own(now.policies, place) for place in places)))
        rows.append((account.name, account.id, kinds))
    return call.render(
        "sending/rules.html", rows=rows, review_words=words, limit_words=limit_words,
        bases={name: resolve(now.kinds, name)[0] for name in known(now.kinds)},
        may=call.may(_EDIT), all=_all(call), asked=wanted,
        left=max(0, len(accounts) - MOST_ACCOUNTS), for_all=rules.own(now.policies, Place(0, "")),
        settings=now.settings, names=names_of(call, of=now.kinds), may_time=call.may(Permission.SETTING_EDIT),
    )  # fmt: skip


async def _subject(call: Call) -> _Subject | None:
    given = call.request.match_info
    account_id, type_ = int(given["id"]), "" if given["type"] == "all" else given["type"]
    now = await in_force(call)
    if type_ and not is_type(type_, now.kinds):
        return None
    if account_id:
        account = now.account(account_id) if str(account_id) in own_accounts(call) else None
        if account is None:
            return None
        name = account.name
    elif _all(call):
        name = call.gettext(words.EVERYBODY)
    else:
        return None
    kind = names_of(call, retired=True, of=now.kinds)[type_] if type_ else call.gettext(words.ANY_TYPE)
    place = Place(account_id, type_)
    return _Subject(
        place, f"{name} · {kind}", rules.own(now.policies, place), rules.own_hours(now.policies, place),
        rules.own(now.policies, place, rules.HOURS),
    )  # fmt: skip


_SEEN = Input("seen", InputKind.HIDDEN, most=2 * MOST_SPANS)
"""What was put there when the form was opened: compared when it is replaced."""
FORM = Form((
    Inputs(
        (
            Input("review", InputKind.CHOICE, "rule_review", words.INHERITED, choices=words.REVIEW),
            Input("review_over", InputKind.NUMBER, "rule_over", words.OVER_HELP, least=0, most=1_000_000),
            Input("review_new_sign", InputKind.NUMBER, "rule_new_sign", words.SIGN_HELP, least=0, most=365),
            Input("review_new_link", InputKind.CHOICE, "rule_new_link", words.LINK_HELP, choices=words.YES_NO), _SEEN,
        ),
        words.RULES, words.RULES_HELP,
    ),
))  # fmt: skip


def _wanted(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(values[name]) for name in rules.NAMES if values[name] not in ("", None)}


async def _effect(call: Call, subject: _Subject, values: Mapping[str, Any]) -> Effect:
    now = call.portal.context.snapshots.current
    try:
        found = await rules.outcome(call.db, now, subject.place, _wanted(values), clock.now())
    except Temporary:
        return Effect(words.EFFECT_UNKNOWN, {"name": subject.name})
    told = {
        "name": subject.name, "messages": f"{found.messages:,}", "held": f"{found.held:,}",
        "held_now": f"{found.held_now:,}", "tasks": f"{found.tasks:,}", "tasks_held": f"{found.tasks_held:,}",
        "tasks_now": f"{found.tasks_held_now:,}",
    }  # fmt: skip
    text = call.filled(words.RULES_EFFECT, told)
    return Effect("%(said)s", {"said": text if found.whole else text + call.gettext(words.FIRST_ONES)})


async def _save(call: Call, subject: _Subject, values: Mapping[str, Any]) -> web.Response:
    await rules.put(call.change(), subject.place, _wanted(values), seen=values["seen"] or "")
    call.toast(call.gettext(words.RULES_SAVED))
    return call.redirect(PATH)


RULES = FormPage(
    PATH + rf"/{{id:0|[1-9]\d{{0,17}}}}/{{type:{_KINDS}}}", _EDIT, words.RULES_EDIT, words.RULES_SAVE, FORM, _save,
    lambda _: PATH, _subject, values=lambda one: {**one.own, "seen": policies.seen_as(one.own)}, effect=_effect,
    lead=lambda one: one.name,
)  # fmt: skip

# --- when a kind is sent ---------------------------------------------------------------------------------------------


async def _hours_effect(call: Call, subject: _Subject, values: Mapping[str, Any]) -> Effect:
    now = call.portal.context.snapshots.current
    try:
        met = await rules.outside(call.db, now, subject.place, values["windows"], clock.now())
    except Temporary:
        return Effect(words.EFFECT_UNKNOWN, {"name": subject.name})
    return Effect(words.HOURS_EFFECT, {
        "name": subject.name, "messages": f"{met.messages:,}", "waits": f"{met.waits:,}",
        "refused": f"{met.refused:,}", "now": f"{met.now:,}", "each": rules.MOST_OF_SLICE,
        "read": rules.MOST_READ_OF_SLICE,
    })  # fmt: skip


async def _hours_save(call: Call, subject: _Subject, values: Mapping[str, Any]) -> web.Response:
    await rules.put_hours(call.change(), subject.place, values["windows"], seen=values["seen"] or "")
    call.toast(call.gettext(words.RULES_SAVED))
    return call.redirect(PATH)


HOURS = FormPage(
    PATH + rf"/{{id:0|[1-9]\d{{0,17}}}}/{{type:{_KINDS}}}/hours", _EDIT, words.HOURS_EDIT, words.RULES_SAVE,
    Form((Inputs((Input("windows", InputKind.SPANS, "day_hours", words.HOURS_HELP), _SEEN)),)), _hours_save,
    lambda _: PATH, _subject, values=lambda one: {"windows": one.hours, "seen": policies.seen_as(one.there)},
    effect=_hours_effect, lead=lambda one: one.name,
)  # fmt: skip

# --- how long somebody waits -----------------------------------------------------------------------------------------

TIMES = Form(
    (
        Inputs(
            (
                Input(
                    "review_remind_minutes",
                    InputKind.NUMBER,
                    "rule_remind",
                    words.REMIND_HELP,
                    required=True,
                    least=1,
                    most=10_080,
                ),
                Input(
                    "review_expire_hours",
                    InputKind.NUMBER,
                    "rule_expire",
                    words.EXPIRE_HELP,
                    required=True,
                    least=1,
                    most=120,
                ),
            ),
            words.TIMES,
        ),
    )
)


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
