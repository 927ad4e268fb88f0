"""What the steps of a new sending share: the draft, what was typed, what is wrong with it, and where to go next."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import msgspec
from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.i18n import DEFAULT
from smsgw.admin.kit import spans
from smsgw.admin.kit.filters import Problem, read_id
from smsgw.admin.kit.kinds import base_of, kind_in_use
from smsgw.admin.kit.lists import refusal
from smsgw.admin.pages.sending.terms import hop_field
from smsgw.admin.words import compose as words
from smsgw.core import variables
from smsgw.core.errors import SmsgwError
from smsgw.core.fallback import MOST_HOPS
from smsgw.core.kinds import CustomKind
from smsgw.core.model import Account, MessageType
from smsgw.core.policy import Limits
from smsgw.core.sent_links import NAME
from smsgw.core.templates import Template
from smsgw.core.words import Wording
from smsgw.platform.audience.model import MOST_CONTACTS_PICKED, MOST_GROUPS_PICKED, MOST_TAGS_PICKED
from smsgw.platform.campaigns.uploads import Upload
from smsgw.platform.drafts import queries, service
from smsgw.platform.drafts.model import MOST_TO, Draft, Kind, Source, State
from smsgw.platform.drafts.surveyor import enqueue
from smsgw.platform.numbers.filters import STATES
from smsgw.platform.scenarios import queries as scenarios
from smsgw.platform.scenarios.model import Scenario
from smsgw.runtime import clock

HOPS = range(1, MOST_HOPS + 1)
AT = "/send/{id:[0-9]{1,19}}"
FIELDS: Mapping[str, Sequence[str]] = {
    "content": ("subject", "scenario", "account", "type", "sign", "template", "content", "link"),
    "audience": (
        "source", "to", "phone", "audience", "below", "filter", "segment", "segment_days", "segment_task",
        "segment_dead", "segment_link", "segment_saved",
    ),
    "options": (
        "one_each", "rate", "hours", "extend_code", "review", "prefer", "emergency", "frequency", "frequency_most",
        "frequency_every", "frequency_unit", "frequency_tag", "steps", "steps_shares", "steps_minutes", "steps_failed",
        "steps_opted_out", "steps_complained", "fallback", "fallback_minutes",
        *(f"hop{n}_{name}" for n in HOPS for name in ("content", "template", "sign", "when", "prefer")),
    ),
    "time": ("when", "at", "every", "every_at", "until"),
}  # fmt: skip
"""Fields of each step that are one text."""
STEPS: Mapping[Kind, Sequence[tuple[str, str]]] = {
    Kind.SAME: tuple((key, words.STEP[key]) for key in ("content", "audience", "options", "time", "confirm")),
    Kind.OWN: tuple((key, words.STEP[key]) for key in ("table", "content", "check", "options", "time", "confirm")),
}
OF_ACCOUNT: Mapping[str, Any] = {
    "account": "", "audience": "", "groups": [], "tags": [], "contacts": [], "upload": "", "filter": "", "template": "",
    "scenario": "", "link": "", "segment_messages": [], "segment_saved": "",
}  # fmt: skip
"""What belongs to the account, as it is when none is chosen."""
SKIPPED = frozenset({"options", "time"})
"""Steps that can be left as they are."""
_PLACES = {"check": "audience"}
"""Steps that have another's address."""
WAITED = timedelta(seconds=10)
"""After its end whoever has waited for a job has seen what it has found."""
MOST_TEXT = 2000
MOST_NAMES = 64


@dataclass(slots=True)
class Step:
    """One step as it is shown: what was typed, and what is wrong."""

    call: Call
    key: str
    """Which step."""
    draft: Draft | None
    """None: nothing has been saved yet."""
    kind: Kind
    state: State
    form_key: str
    said: set[str] = field(default_factory=set)
    """Fields that this form says: what is kept of its state."""
    errors: dict[str, Problem] = field(default_factory=dict)
    refused: str = ""
    """What the engine says of the whole, and …"""
    link: dict[str, str] = field(default_factory=dict)
    """What was typed of a short link that could not be made."""
    refused_step: str = ""
    """… the step where that is mended."""
    segment_name: str = ""
    """What was typed as the name of a segment."""

    @property
    def number(self) -> int:
        """Its place, from 1."""
        return next(n for n, (key, _) in enumerate(STEPS[self.kind], 1) if _PLACES.get(key, key) == self.key)

    @property
    def path(self) -> str:
        """Where it is saved."""
        return "/send" if self.draft is None else f"/send/{self.draft.id}/{self.key}"

    @property
    def autosave(self) -> str:
        """Where it is saved by itself."""
        return f"{self.path}/-/save" if self.draft is None else f"/send/{self.draft.id}/save/{self.key}"

    def address(self, key: str) -> str:
        """Of another step."""
        return "/send" if self.draft is None else f"/send/{self.draft.id}/{_PLACES.get(key, key)}"

    @property
    def links(self) -> dict[int, str]:
        """Steps that can be gone to: those before, and those after as far as nothing is missing there."""
        if self.draft is None:
            return {}
        return {n: self.address(key) for n, (key, _) in enumerate(STEPS[self.kind], 1) if n < self.number}

    @property
    def done(self) -> list[int]:
        """Steps before this one that say something: one may skip those whose defaults will do."""
        blank = State()
        return [
            n for n, (key, _) in enumerate(STEPS[self.kind], 1) if n < self.number and (key not in SKIPPED or any(
                getattr(self.state, name) != getattr(blank, name) for name in FIELDS[key] if hasattr(blank, name)))
        ]  # fmt: skip

    @property
    def hops(self) -> list[int]:
        """The places in the form of the hops that there are."""
        state = self.state
        return [n for n in HOPS if getattr(state, f"hop{n}_content") or getattr(state, f"hop{n}_template")]

    @property
    def names(self) -> list[str]:
        """Words of all steps."""
        return [word for _, word in STEPS[self.kind]]

    def render(self, template: str, **values: Any) -> web.Response:
        """The page; 422 when something is wrong."""
        own = {
            "form": self, "state": self.state, "steps": self.names, "step": self.number, "links": self.links,
            "compose": words,
        }  # fmt: skip
        status = 422 if self.errors or self.refused else 200
        return self.call.render(template, status=status, **own | values)

    def refuse(self, error: SmsgwError) -> None:
        """Tell what the engine refuses, at the field that it means."""
        said = message(self.call, error)
        name = said_at = str(error.detail.get("field", ""))
        name = name.removeprefix("mapping.").replace("variables.", "var_").replace("steps.", "steps_").partition("[")[0]
        name = name.replace("frequency.", "frequency_")
        if said_at.startswith("fallback."):
            name = hop_field(said_at, self.hops)
        name = name.removesuffix("_id")
        if error.code == "CONTENT_VARIABLE_UNRESOLVED":
            name = f"var_{error.detail.get('name', '')}"
        elif error.code.startswith(("TO_", "NUMBER_")):
            name = "to"
        place = _OF_STEP.get(name) or next((s for code, s in _OF_CODE.items() if error.code.startswith(code)), "")
        if name.startswith("var_"):
            place = "audience"
        if place == self.key and name:
            reason = error.detail.get("reason")
            if error.code == "PARAM_INVALID" and isinstance(reason, Wording):  # the field is where it stands
                said = reason.text(self.call.language != DEFAULT)
            self.errors[name] = Problem("%(said)s", {"said": said})
        else:
            self.refused, self.refused_step = said, place if place != self.key else ""


_OF_STEP = {name: step for step, names in FIELDS.items() for name in names} | {
    "upload": "audience", "window": "time", "recurring": "time", "on": "time",
}  # fmt: skip
_OF_CODE = {"CONTENT": "content", "SIGN": "content", "TEMPLATE": "content", "TIME": "time", "FILE": "audience",
            "EXTEND": "options", "LINK": "content", "EMERGENCY": "options", "ACCOUNT": "content"}  # fmt: skip


def message(call: Call, error: SmsgwError) -> str:
    """What an error says, in the reader's language and with the names that fields have on pages."""
    return refusal(call, error)


def fresh(call: Call, state: State | None = None) -> Step:
    """The first step, before anything was saved."""
    return Step(call, "content", None, Kind.SAME, state or State(), secrets.token_urlsafe(18))


async def draft_of(call: Call) -> Draft:
    """The draft that the address names, if it is the person's own."""
    id_ = read_id(call.request.match_info["id"])
    found = None if id_ is None else await queries.one(call.db, call.actor, id_)
    if found is None:
        raise web.HTTPNotFound
    return found


async def step_of(call: Call, key: str) -> Step:
    """A step of the draft that the address names. One whose account the person may not use (any more) has but its first
    step, where another is chosen: audience and table are that account's, and forgotten with it."""
    draft = await draft_of(call)
    if not within_reach(call, draft.state):
        if key != "content":
            raise web.HTTPNotFound
        draft = replace(draft, state=msgspec.structs.replace(draft.state, **OF_ACCOUNT))
        return Step(call, key, draft, draft.kind, draft.state, draft.key, {*OF_ACCOUNT})
    return Step(call, key, draft, draft.kind, draft.state, draft.key)


def within_reach(call: Call, state: State) -> bool:
    """Whether the chosen account is one that the person may use; where none is chosen, nothing is out of reach."""
    return not state.account or account_of(call, state) is not None


PICKED = {"groups": MOST_GROUPS_PICKED, "tags": MOST_TAGS_PICKED, "contacts": MOST_CONTACTS_PICKED}
"""People of the address book that a form can name, and how many of each."""


OTHER_SIGN = "*"
"""The choice of a signature that is typed."""


def several(data: Mapping[str, Any], name: str, most: int) -> list[str]:
    """All values of a field that may come more than once."""
    found = getattr(data, "getall", None)
    values = found(name, []) if found else []
    return [value.replace("\0", "")[:64] for value in values if isinstance(value, str) and value][:most]


def read(step: Step, data: Mapping[str, Any]) -> None:
    """Put what was typed into the step's state; what is longer than any such field may be is cut."""

    def text(name: str, most: int = MOST_TEXT) -> str:
        value = data.get(name, "")
        return value.replace("\r\n", "\n").replace("\0", "")[:most] if isinstance(value, str) else ""

    values: dict[str, Any] = {
        name: text(name, MOST_TO if name == "to" else MOST_TEXT).strip() for name in FIELDS[step.key]
    }
    if step.key == "content":
        if values["sign"] == OTHER_SIGN:
            values["sign"] = text("sign_other", 40).strip()
        values["sign"] = values["sign"].removeprefix("【").removesuffix("】").strip()[:40]
        values["subject"] = " ".join(values["subject"].split())[:64]
    if step.key == "audience":
        if values["segment_saved"]:
            values["segment"] = ""
        if step.kind is Kind.OWN:
            values["source"] = Source.FILE.value
        names = list(dict.fromkeys(key[4:] for key in data if key.startswith(("var_", "fix_"))))[:MOST_NAMES]
        values["variables"] = {name: text(f"var_{name}", 64) for name in names if text(f"var_{name}", 64)}
        values["fixed"] = {name: text(f"fix_{name}", 200).strip() for name in names if text(f"fix_{name}", 200).strip()}
        values["filter_keep"] = several(data, "filter_keep", len(STATES))
        for name, most in PICKED.items():
            values[name] = list(dict.fromkeys(several(data, name, most)))
    if step.key == "time":
        values["on"] = several(data, "on", 40)
        values["windows"] = spans.typed(data, "windows")
    step.state = msgspec.structs.replace(step.state, **values)
    step.said |= values.keys()


# --- what a scenario decides -----------------------------------------------------------------------------------------

MOST_SCENES = 200


async def scenes(call: Call, state: State, kind: Kind) -> Sequence[Scenario]:
    """Scenarios that can be chosen: of a table's rows those of its account."""
    of_table = int(state.account) if kind is Kind.OWN and read_id(state.account) else None
    found = await scenarios.usable(call.db, call.accounts, limit=MOST_SCENES)
    return [one for one in found if of_table in (None, one.account_id)]


async def scene_of(step: Step) -> Scenario | None:
    """The chosen one, if it can be used."""
    if not step.state.scenario:
        return None
    known = await scenes(step.call, step.state, step.kind)
    return next((one for one in known if str(one.id) == step.state.scenario), None)


async def obey(step: Step) -> None:
    """Put what the chosen scenario has into the step; an error at its field when it cannot be used."""
    if not step.state.scenario:
        return
    scene = await scene_of(step)
    if scene is None:
        step.state = msgspec.structs.replace(step.state, scenario="")
        step.errors["scenario"] = Problem(words.NO_SCENARIO)
        return
    own: dict[str, Any] = {"account": str(scene.account_id), "type": scene.terms.type.value}
    if scene.terms.sign:
        own["sign"] = scene.terms.sign
    if scene.terms.template_id is not None:
        own["template"] = str(scene.terms.template_id)
    if scene.terms.extend_code:
        own["extend_code"] = ""
    if scene.terms.fallback is not None:
        own["fallback"] = ""
    if scene.terms.windows:
        own["windows"] = ""
    step.said |= own.keys()
    step.state = msgspec.structs.replace(step.state, **own)


# --- what a draft is about -------------------------------------------------------------------------------------------


def accounts(call: Call) -> list[Account]:
    """Those that the person may send with, by name."""
    known = call.portal.context.snapshots.current.accounts()
    return [a for a in known if a.status == "active" and (call.accounts is None or a.id in call.accounts)]


def account_of(call: Call, state: State) -> Account | None:
    """The chosen one, or where nothing is chosen the first, if the person may use it."""
    usable = accounts(call)
    if not state.account:
        return usable[0] if usable else None
    return next((a for a in usable if str(a.id) == state.account), None)


def line_of(account: Account) -> tuple[int, ...]:
    """Whose signatures and templates an account uses."""
    return (account.id, *account.above)


def template_of(call: Call, state: State, account: Account | None) -> Template | None:
    """The chosen template, if it may be used."""
    id_ = read_id(state.template) if state.template else None
    if id_ is None or account is None:
        return None
    return call.portal.context.snapshots.current.policies.book.template(line_of(account), id_)


def kind_of(call: Call, state: State, account: Account | None) -> MessageType:
    """The type of its messages: its template's, or the chosen one."""
    template = template_of(call, state, account)
    said = template.type if template else base_of(call, state.type)
    return MessageType(said) if said in set(MessageType) else MessageType.NOTICE


def custom_of(call: Call, state: State, account: Account | None) -> CustomKind | None:
    """The kind of its type that is chosen; None: none, or one that is not of its template's type."""
    found = kind_in_use(call, state.type)
    return found if found is not None and found.base is kind_of(call, state, account) else None


def limits_of(call: Call, state: State, account: Account) -> Limits:
    """The policies that hold for its messages."""
    custom = custom_of(call, state, account)
    policies = call.portal.context.snapshots.current.policies
    return policies.limits(account, kind_of(call, state, account), custom.name if custom else "")


def pools_of(call: Call, account: Account, kind: MessageType, custom: str = "") -> list[tuple[str, str]]:
    """The pools that rules may lead the account's messages to, with their channels."""
    table = call.portal.context.snapshots.current.table
    return [
        (pool, ", ".join(member.channel for member in table.members(pool)))
        for pool in table.open_to(account.name, kind, custom)
    ]


def text_of(state: State, template: Template | None) -> str:
    """The text with its variables."""
    return template.content if template is not None else state.content


def names_of(state: State, template: Template | None) -> tuple[str, ...]:
    """The variables of the text; the place of a short link is none."""
    names = tuple(template.variables) if template is not None else variables.Template(state.content).names
    return tuple([name for name in names if name != NAME]) if state.link else names


async def upload_of(call: Call, state: State) -> Upload | None:
    """The draft's table, if it is still there and the account's."""
    id_ = read_id(state.upload) if state.upload else None
    account = account_of(call, state)
    if id_ is None or account is None:
        return None
    try:
        return await call.portal.context.tasks.files.get(id_, accounts=(account.id,))
    except SmsgwError as error:
        if error.code != "NOT_FOUND":
            raise
        return None


def plain_name(column: str) -> str:
    """What a column is called as a variable."""
    return re.sub(r"\W", "", column)[:32]


def guessed(names: Sequence[str], columns: Sequence[str], chosen: Mapping[str, str]) -> dict[str, str]:
    """Variable -> column: what was chosen, else the column of that name."""
    plain = {plain_name(column): column for column in reversed(columns)}
    return {name: chosen[name] if chosen.get(name) in columns else plain.get(name, "") for name in names}


async def look(call: Call, step: Step) -> None:
    """Have its rows looked at, unless that is done or under way. What has stopped them may be mended elsewhere: it is
    looked at again by every opening but the one that has waited for it."""
    draft = step.draft
    assert draft is not None  # noqa: S101 - it has an address
    known = draft.known
    if known is not None and not (known.problem[0] and clock.now() - known.made > WAITED):
        return
    if known is not None:
        await service.look_again(call.db, draft.id)
        step.draft = replace(draft, survey=None)
    upload = await upload_of(call, draft.state) if draft.state.source == Source.FILE else None
    await enqueue(call.db, draft, call.actor.label, upload.node if upload else None)
    call.portal.context.jobs.set()
