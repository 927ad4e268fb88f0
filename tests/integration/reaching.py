"""Who reaches what in the portal: a site with things of another department, people of every role and of some made by
chance, and what a page offers to whom it is shown."""

from __future__ import annotations

import os
import random
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import cycle
from urllib.parse import urldefrag, urlsplit

from browsing import Browser
from databases import contents
from foreign_things import furnish
from portal_site import Site

from smsgw.admin.app import routes
from smsgw.admin.rights import Open, Route
from smsgw.core.actor import EVERYTHING, Actor, ScopeKind
from smsgw.core.permissions import Duty, Permission, duties_of
from smsgw.platform.accounts import service as accounts
from smsgw.platform.change import Change
from smsgw.platform.org import queries, service as org
from smsgw.platform.org.model import Person
from smsgw.runtime import clock

SEED = int(os.environ.get("SMSGW_SEED") or secrets.randbelow(1_000_000))
"""Of what is chosen by chance; give it to choose the same again."""
ROLES = int(os.environ.get("SMSGW_SEED") or 1)
"""Of the roles that are made by chance: the same in every run, unless it is given."""
MADE = 4
OF_ACCOUNTS = (
    "message", "account", "batch", "key", "lift", "complaint", "filter", "consent", "api_key", "sign",
    "template", "task", "waiting", "round", "sent_task", "reply", "allowed", "blocked", "optout", "undo", "word",
    "alarm", "filing", "scenario", "consent_import", "material", "sign_cell", "sign_proof", "event", "receivers",
    "statement", "rebate_rule", "refused_call",
    "alarm_receiver", "alarm_note", "alarm_silence", "alarm_rule", "fault", "node", "ticket", "support_contact",
    "health_mail", "bundle", "backup",
    "screen", "webhook", "partner", "link", "asked_link", "personal", "link_task", "filing_proof",
)  # fmt: skip
"""They belong to the other department's account."""
OF_PERSONS = (
    "view", "passkey", "token", "phrase", "draft", "told", "contact_sheet", "contact_import", "staff_sheet",
    "staff_import", "filter_sheet", "code_sheet", "rows", "consent_sheet", "word_sheet", "word_import",
    "block_sheet", "block_import", "allow_sheet", "allow_import",
)  # fmt: skip
"""Nobody but their owner reaches them, who is somebody of the other department."""
ROUTES = tuple(routes())
_PLACE = re.compile(r"\{([a-z0-9]+)(?::((?:[^{}]|\{[^{}]*\})*))?\}")


def shape(path: str) -> str:
    """A route's path with nothing but the names of its parameters."""
    return _PLACE.sub(r"{\1}", path)


def operation(route: Route) -> str:
    """As the table of cases names it."""
    return f"{route.method} {shape(route.path)}"


def filled(text: str, things: Mapping[str, str]) -> str:
    """With the things in their places."""
    return re.sub(r"\{(\w+)\}", lambda found: things[found[1]], text)


def odd(path: str, value: str) -> str:
    """A route's path with this wherever it has a parameter."""
    return _PLACE.sub(lambda _: value, path)


def address(route: Route, thing: str, things: Mapping[str, str]) -> str:
    """Of that thing; what is no id is the first that the route knows."""

    def value(found: re.Match[str]) -> str:
        name, pattern = found[1], found[2] or ""
        if name == "id":
            return things[thing or "nobody"]
        told = {"sha256": "0" * 64, "number": "1", "week": clock.now().date().isoformat()}.get(name)
        if told is None and pattern.startswith("[a-z]"):
            return "notice"
        return pattern.partition("|")[0] if told is None else told

    return _PLACE.sub(value, route.path)


THINGS = {
    # the beginning of a path, the longest counts: what stands in it
    "/departments": "department", "/staff": "keeper", "/staff/-/import": "staff_sheet",
    "/staff/-/import/{id}/": "staff_import", "/users": "keeper", "/roles": "role", "/send": "draft", "/drafts": "draft",
    "/tasks": "task", "/scheduled": "waiting", "/scheduled/round": "round", "/records": "message", "/pushes": "event",
    "/jobs": "job", "/exported": "token", "/diagnostics": "bundle", "/backups": "backup",
    "/inbound": "reply", "/contacts": "contact", "/contacts/groups": "group", "/contacts/segments": "segment",
    "/contacts/-/import": "contact_sheet",
    "/contacts/-/import/{id}/": "contact_import", "/consents/-/import": "consent_sheet",
    "/consents/-/import/{id}/": "consent_import", "/words/-/import": "word_sheet",
    "/blocked/-/import": "block_sheet", "/blocked/-/import/{id}/": "block_import",
    "/allowed/-/import": "allow_sheet", "/allowed/-/import/{id}/": "allow_import",
    "/words/-/import/{id}/": "word_import", "/scenarios": "scenario", "/link-filings": "filing",
    "/link-filings/proofs": "filing_proof", "/short-links": "link", "/link-tasks": "link_task",
    "/link-tasks/-/import": "code_sheet",
    "/review/rules": "account", "/limits": "account",
    "/allowed": "allowed", "/blocked": "blocked", "/optouts": "optout", "/optouts/undos": "undo",
    "/consents": "consent", "/number-filters": "filter", "/number-filters/-/import": "filter_sheet", "/lifts": "lift",
    "/complaints": "complaint", "/complaints/-/of": "message",
    "/announcements": "announcement", "/notices": "told", "/review": "batch", "/signs": "sign",
    "/signs/carriers": "sign_cell", "/signs/proofs": "sign_proof",
    "/templates": "template", "/materials": "material",
    "/phrases": "phrase", "/sessions": "session", "/setup/channel": "channel",
    "/setup/test": "message", "/accounts": "account",
    "/calls/refused": "refused_call", "/keys": "api_key", "/channels": "channel", "/words": "word",
    "/alarms": "alarm", "/alarms/receivers": "alarm_receiver", "/alarms/notes": "alarm_note",
    "/alarms/silences": "alarm_silence", "/alarms/rules": "alarm_rule", "/nodes": "node", "/board/screens": "screen",
    "/faults": "fault", "/faults/-/of": "alarm", "/tickets": "ticket", "/tickets/-/of": "message",
    "/duty/contacts": "support_contact", "/health-mail/sent": "health_mail",
    "/audit": "audit", "/platform": "brand", "/reports/checks": "check",
    "/reports/exclusions": "exclusion", "/routes/versions": "nobody", "/numbers/channels": "nobody",
    "/routes/submitted": "nobody", "/unmatched": "nobody", "/webhooks": "webhook", "/partners": "partner",
    "/retention/rules": "nobody", "/loadtest": "load_test", "/prefixes": "nobody",
    "/statements/receivers": "receivers", "/rebates/rules": "rebate_rule", "/statements/mails": "statement",
}  # fmt: skip


def place(route: Route, things: dict[str, str]) -> str:
    """The address of something that is there."""
    plain = re.sub(r"\{id[^/]*", "{id}", route.path)
    begun = [path for path in THINGS if plain.startswith(path)]
    return address(route, THINGS[max(begun, key=len)] if "{id" in route.path else "", things)


# --- the site --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Walker:
    """Somebody who tries: a person of a department of their own, with a mate."""

    login: str
    person: Person
    own: Mapping[str, str]
    """Ids of what is theirs."""

    @property
    def permissions(self) -> frozenset[Permission]:
        """What they may do."""
        return self.person.permissions | {Permission.SELF_EDIT}

    @property
    def kind(self) -> ScopeKind:
        """The widest scope of their roles."""
        return max((role.scope for role in self.person.roles), key=list(ScopeKind).index)

    def may(self, route: Route) -> bool:
        """Whether they may call it."""
        return isinstance(route.action, Open) or route.action in self.permissions

    def reaches(self, thing: str, world: World) -> bool:
        """Whether the thing of the other department is theirs to see."""
        scope = self.person.scope
        if thing in ("staff", "keeper", "login", "department", "session", "audit"):
            return scope.departments is None or int(world.things["department"]) in scope.departments
        if thing in ("contact", "group", "segment"):  # they are their owner's alone
            return scope == EVERYTHING
        if thing in OF_ACCOUNTS:
            return scope.whole is None or int(world.things["account"]) in scope.whole
        if thing == "load_test":  # of the platform
            return scope.whole is None
        if thing == "announcement":
            return scope.covers(0) or int(world.things["department"]) in (scope.departments or ())
        if thing == "job":
            watches = {Permission.TASK_VIEW, Permission.JOB_EDIT} & self.permissions
            return scope == EVERYTHING and bool(watches)
        assert thing in OF_PERSONS, thing
        return False


@dataclass(slots=True)
class World:
    """The site with the other department's things."""

    site: Site
    things: dict[str, str] = field(default_factory=dict)
    walkers: list[Walker] = field(default_factory=list)

    @property
    def nobodys(self) -> dict[str, str]:
        """Of the same form, and there is none such."""
        own = {name: id_ for name, id_ in self.things.items() if name == "nobody"}
        return {n: str(int(i) + 77_777_777) if i.isdigit() else i[:-4] + "beef" for n, i in self.things.items()} | own

    async def state(self) -> dict[str, str]:
        """All that the database holds, table by table, but for what goes by itself or says who was there."""
        return await contents(self.site.db, _MOVES)


_MOVES = ("audit", "audit_open", "audit_link", "audit_checkpoint", "portal_session", "staff_login", "lease")
"""What goes by itself, or says who was there."""


async def build(site: Site) -> World:
    """Another department with one of everything, and everybody who tries to reach it."""
    world = World(site)
    by = Change(site.db, Actor.system("test"), ids=site.ids.next)
    world.things |= await furnish(site, by)
    await _walkers(world, by)
    return world


async def enter(browser: Browser, walker: Walker) -> None:
    """Log in."""
    await browser.login(walker.login)
    assert browser.status == 200, walker.login
    assert not browser.path.startswith("/login"), walker.login


async def _walkers(world: World, by: Change) -> None:
    chance = random.Random(ROLES)  # noqa: S311
    made = [await _a_role(by, chance, n) for n in range(MADE)]
    for scope, duty in zip((kind for kind in ScopeKind if kind is not ScopeKind.ALL), cycle(Duty), strict=False):
        rights = {p for p in _needed() if duties_of([p]) <= {duty}}
        await org.add_role(by, f"wide-{scope}", f"wide {scope}", rights, scope)
    roles = [(role.code,) for role in await queries.roles(world.site.db) if role.code != "foreign"]
    roles += [tuple(sorted(pair)) for pair in (chance.sample(made, 2) for _ in range(2)) if await _fit(world, pair)]
    for n, codes in enumerate(dict.fromkeys(roles)):
        world.walkers.append(await _walker(world, by, f"walker{n}", codes, chance))
    await world.site.snapshots.follow()


async def _fit(world: World, codes: Sequence[str]) -> bool:
    """Whether one person may have these roles together."""
    roles = [role for role in await queries.roles(world.site.db) if role.code in codes]
    return len(frozenset[str]().union(*(duties_of(role.permissions) for role in roles))) <= 1


def _needed() -> list[Permission]:
    """What any page needs."""
    return sorted({r.action for r in ROUTES if isinstance(r.action, Permission)} - {Permission.SELF_EDIT})


async def _a_role(by: Change, chance: random.Random, n: int) -> str:
    some = {Permission.HOME_VIEW, *chance.sample(_needed(), chance.randint(2, 8))}
    while len(duties_of(some)) > 1:
        some.discard(next(p for p in sorted(some) if duties_of([p])))
    scope = tuple(ScopeKind)[n % len(ScopeKind)]
    await org.add_role(by, f"made{n}", f"made {n}", some, scope)
    return f"made{n}"


async def _walker(world: World, by: Change, login: str, codes: Sequence[str], chance: random.Random) -> Walker:
    department = await org.add_department(by, f"of {login}")
    below = await org.add_department(by, f"below {login}", department)
    account = await accounts.add(by, f"acc-{login}", default_sign="测试")
    await org.place_account(by, account, department)
    mate = await org.add_person(by, f"mate-{login}", "", [], "x", department_id=department, must_change=False)
    await world.site.add_staff(login, codes[0])
    await org.set_person(by, login, {"department_id": department, "accounts": [account]})
    await org.grant(by, login, list(codes))
    if chance.random() < 0.3:
        single = chance.choice(_needed())
        person = await queries.person(world.site.db, login)
        if person and len(duties_of(person.permissions | {single})) <= 1:
            await org.set_permissions(by, login, allowed={single}, withheld=set())
    person = await queries.person(world.site.db, login)
    assert person
    own = {"own_department": str(department), "below": str(below), "mate": str(mate), "mate_login": f"mate-{login}",
           "own_account": str(account), "walker": str(person.id)}  # fmt: skip
    return Walker(login, person, own)


# --- what a page offers ----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Form:
    """A form of a page with what it would send as it stands."""

    method: str
    action: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    multipart: bool = False
    button: bool = False
    """Whether it can be sent; what only shows values is in a form without one."""


class Page(HTMLParser):
    """What a page offers: where its links lead, and its forms."""

    def __init__(self, text: str, base: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.forms: list[Form] = []
        self.asked: list[str] = []
        """What its scripts would POST."""
        self._base = base
        self._form: Form | None = None
        self._named: dict[str, Form] = {}
        self._loose: list[tuple[str, str, str]] = []
        self._select: tuple[str, list[tuple[str, bool]], bool] | None = None
        self._area: str | None = None
        self._text = ""
        self.feed(text)
        for name, key, value in self._loose:
            if name in self._named:
                self._named[name].fields.append((key, value))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = {name: value or "" for name, value in attrs}
        for name in ("href", "hx-get", "data-open", "data-href", "data-badges", "data-address"):
            if tag != "link" and own.get(name, "").startswith(("/", "?")):
                self.links.append(self._whole(own[name]))
        self.asked += [self._whole(own[name]) for name in ("hx-post", "data-passkey") if own.get(name)]
        match tag:
            case "form":
                self._form = Form(own.get("method", "get").upper(), self._whole(own.get("action", "")))
                self._form.multipart = "multipart" in own.get("enctype", "")
                self.forms.append(self._form)
                if "id" in own:
                    self._named[own["id"]] = self._form
            case "input" if own.get("type") in ("checkbox", "radio"):
                if "checked" in own:
                    self._add(own, own.get("value", "on"))
            case "input" if own.get("type") != "file":
                self._add(own, own.get("value", ""))
            case "button":
                self._button(own)
            case "select":
                self._select = (own.get("name", ""), [], "multiple" in own)
            case "option" if self._select:
                self._select[1].append((own.get("value", ""), "selected" in own))
            case "textarea":
                self._area, self._text = own.get("name", ""), ""

    def _button(self, own: Mapping[str, str]) -> None:
        form = self._named.get(own.get("form", "")) or self._form
        if own.get("type", "submit") != "submit" or form is None:
            return
        if "formaction" in own:
            self.forms.append(Form(form.method, self._whole(own["formaction"]), form.fields, button=True))
            return
        form.button = True
        if own.get("name"):
            self._add(own, own.get("value", ""))

    def _add(self, own: Mapping[str, str], value: str) -> None:
        if own.get("name") and "disabled" not in own:
            if "form" in own:
                self._loose.append((own["form"], own["name"], value))
            elif self._form:
                self._form.fields.append((own["name"], value))

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select" and self._select:
            name, options, several = self._select
            chosen = [value for value, selected in options if selected] or (
                [] if several or not options else [options[0][0]]
            )
            for value in chosen if options else []:
                self._add({"name": name}, value)
            self._select = None
        elif tag == "textarea" and self._area is not None:
            self._add({"name": self._area}, self._text)
            self._area = None

    def _whole(self, found: str) -> str:
        if found.startswith("?") or not found:
            return urlsplit(self._base).path + found
        return urldefrag(found)[0]


def route_of(method: str, path: str) -> Route | None:
    """The route that an address of the portal leads to."""
    path = urlsplit(path).path
    return next((r for r in ROUTES if r.method == method and _compiled(r.path).fullmatch(path)), None)


_KNOWN: dict[str, re.Pattern[str]] = {}


def _compiled(path: str) -> re.Pattern[str]:
    if path not in _KNOWN:
        _KNOWN[path] = re.compile("".join(_pieces(path)))
    return _KNOWN[path]


def _pieces(path: str) -> Iterator[str]:
    at = 0
    for found in _PLACE.finditer(path):
        yield re.escape(path[at : found.start()]) + f"(?:{found[2] or '[^/]+'})"
        at = found.end()
    yield re.escape(path[at:])
