"""Each address of the portal, from its route table, with each role and another department's ids: nothing is reached
that should not be, what is hidden is forbidden too, and what is offered works. An address without a case here fails.

In every run each address is tried by who lacks just its right, and by one walker of each kind of scope; in the shard
``rights`` by all walkers. ``SMSGW_SEED`` makes other roles by chance than those of every run."""

from __future__ import annotations

import asyncio
import difflib
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from browsing import Browser
from foreign_things import MARK, OWNER
from portal_site import running
from reaching import (
    OF_PERSONS,
    ROLES,
    ROUTES,
    Form,
    Page,
    Walker,
    World,
    address,
    build,
    enter,
    filled,
    operation,
    route_of,
)

from smsgw.admin.rights import Open, Route
from smsgw.core.actor import ScopeKind
from smsgw.core.alarm_notes import Way
from smsgw.core.ids import CHINA
from smsgw.core.permissions import ALL, Permission
from smsgw.platform.org import queries
from smsgw.runtime import clock

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("hurried"), pytest.mark.timeout(1500)]
# every address with every role, while other tests want the machine, too


@dataclass(frozen=True, slots=True)
class Case:
    """What is asked of an address. ``thing``: whose id stands in its path; of ``names``, of the fields, the things that
    they name."""

    thing: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    query: str = ""
    names: tuple[str, ...] = ()

    @property
    def foreign(self) -> tuple[str, ...]:
        """The other department's things in it."""
        return tuple(name for name in (self.thing, *self.names) if name not in ("", "nobody", *OWN))


OWN = ("own_department", "below", "mate", "mate_login", "own_account", "walker", "month")
PLATFORM_WIDE = (
    "/reports/checks", "/reports/exclusions", "/roles/", "/channels/", "/setup/channel/", "/platform/", "/retention",
    "/routes/", "/numbers/channels/", "/unmatched/", "/prefixes", "/limits/",
)  # fmt: skip
"""What is there once for all departments: whoever has the right for it reaches all of it."""

FOR_ALL = (*PLATFORM_WIDE, "/duty", "/security/login")
"""And whom to ask, and the names of roles."""


def case(thing: str = "", query: str = "", **fields: str) -> Case:
    """One of these things in the path, the query or the fields: ``{name}`` there."""
    text = query + " ".join(fields.values())
    return Case(thing, tuple(fields.items()), query, tuple(re.findall(r"\{(\w+)\}", text)))


def sure(thing: str = "", **fields: str) -> Case:
    """The same, with its effect confirmed."""
    return case(thing, confirmed="1", **fields)


NOTHING: tuple[Case, ...] = (case(),)
"""It names nothing that could be another's: what everybody with the right sees, or only one's own."""
RIGHTS = {"permission": "home.view", "scope": "own"}


def of_list(path: str, *, export: bool = False, columns: bool = True) -> dict[str, tuple[Case, ...]]:
    """What every list has."""
    return {
        **({f"POST {path}/-/layout": NOTHING} if columns else {}),
        f"POST {path}/-/views": NOTHING,
        f"POST {path}/-/views/remove": (case(id="{view}"),),
        f"GET {path}/-/total": (case(query="department={department}"), case(query="account={account}")),
    } | (of_export(path) if export else {})


EXPORTS = {
    "/records": ("message", "time=7d"), "/inbound": ("reply", "time=7d"), "/contacts": ("contact", ""),
    "/complaints": ("complaint", ""), "/short-links": ("link", ""), "/link-clicks": ("link", "time=7d"),
    "/reports/links": ("account", "time=7d"),
    "/reports/daily": ("account", "group=sign"), "/reports/monthly": ("account", "group=sign"),
    "/reports/people": ("account", "by=account"), "/reports/failures": ("message", "beside=sign&time=7d"),
    "/reports/delays": ("account", "time=7d"), "/reports/success": ("account", "time=7d"),
    "/signs/carriers": ("sign_cell", ""),
    "/tasks/problems": ("task", "task={task}"), "/rebates": ("account", ""), "/top-ups": ("account", ""),
    "/tasks/report": ("sent_task", "task={sent_task}&group=province"), "/audit": ("audit", "time=7d"),
    "/statements": ("account", ""), "/statements/mails": ("statement", ""),
    "/statements/bills": ("account", ""),
}  # fmt: skip
"""Lists that are taken away: what of the other department's stands in them, and the filter that would find it."""


OWN_WAY = 1_987_654_321
"""A channel that nothing but the other department's message has gone by, and that has no name any more."""
TRACES = (MARK, "clinic", "139****567", "NUMBER_INVALID", str(OWN_WAY))
"""What is in a file that has something of the other department's: texts stand only in those of who may read them."""


def of_export(path: str) -> dict[str, tuple[Case, ...]]:
    """The other account in the filter; where nothing of a filter can be refused, what the file has is looked at."""
    if path in ("/audit", "/tasks/problems", "/tasks/report"):
        return {f"{method} {path}/-/export": NOTHING for method in ("GET", "POST")}
    return {
        f"GET {path}/-/export": (case(query="account={account}"),),
        f"POST {path}/-/export": (case(q="account={account}", reason="looking", format="csv"),),
    }


def of_actions(path: str, thing: str, *keys: str) -> dict[str, tuple[Case, ...]]:
    """What can be done to its rows."""
    asked = (sure(id=f"{{{thing}}}"), sure(selection="1.eyJhIjoxfQ.AAAA"))
    return {f"POST {path}/-/{step}/{key}": asked for key in keys for step in ("effect", "do")}


BOUND = {"max_binds": "1", "window": "1", "rate": "0", "type": "notice", "alphabet": "gsm7", "message_ids": "hex",
         "long_mo": "udh"}  # fmt: skip
"""Limits of a partner's login."""
PUSHED = {"format": "json", "max_items": "1", "linger_ms": "0", "concurrency": "1"}
"""How a webhook wants its calls."""
CASES: dict[str, tuple[Case, ...]] = {
    "GET /": NOTHING, "GET /home/live": NOTHING, "GET /_ui": NOTHING, "POST /_ui": NOTHING,
    # one's own
    **dict.fromkeys(
        ("POST /language", "POST /theme", "GET /login", "POST /login", "POST /login/cancel", "POST /login/enrol",
         "POST /login/enrol/confirm", "GET /login/step", "POST /login/step", "POST /login/step/passkey",
         "POST /login/step/sms", "POST /logout", "GET /me", "POST /me/app", "POST /me/app/confirm",
         "POST /me/app/remove", "POST /me/contact", "POST /me/passkey", "POST /me/passkey/options", "POST /me/phone",
         "POST /me/phone/code", "POST /me/recovery", "GET /me/security", "GET /menu/badges", "GET /password",
         "POST /password", "GET /proof", "POST /proof", "POST /proof/passkey", "GET /setup", "POST /setup",
         "GET /setup/administrator", "POST /setup/administrator", "GET /setup/brand", "POST /setup/brand",
         "GET /wall", "GET /wall/live", "POST /wall", "GET /board", "GET /board/-/live",
         "GET /queues", "GET /queues/-/live"),
        NOTHING,
    ),
    "POST /me/passkey/remove": (case(id="{passkey}"),),
    "POST /me/sessions/end": (case(id="{session}"),),
    # departments
    "GET /departments": NOTHING,
    "GET /departments/-/new": NOTHING,
    "POST /departments/-/new": (sure(name="below another", parent="{department}"),),
    "GET /departments/{id}": (case("department"),),
    "GET /departments/{id}/edit": (case("department"),),
    "POST /departments/{id}/edit": (sure("department", name="mine"),
                                    sure("own_department", name="n", manager="{login}")),
    "GET /departments/{id}/move": (case("department"),),
    "POST /departments/{id}/move": (sure("department", parent=""), sure("own_department", parent="{department}")),
    "GET /departments/{id}/remove": (case("department"),),
    "POST /departments/{id}/remove": (sure("department"),),
    # people
    "GET /staff": (case(query="department={department}"), case(query="login={login}")),
    **of_list("/staff"), **of_actions("/staff", "staff", "remove", "start", "stop", "unlock"),
    "GET /staff/-/new": NOTHING,
    "POST /staff/-/new": (
        sure(login="new-1", name="n", department="{department}"),
        sure(login="new-2", name="n", department="{own_department}", accounts="{account}"),
    ),
    "GET /staff/{id}": (case("staff"),),
    "GET /staff/{id}/edit": (case("staff"),),
    "POST /staff/{id}/edit": (
        sure("staff", name="mine"), sure("mate", name="n", department="{department}"),
        sure("mate", name="n", department="{own_department}", accounts="{account}"),
    ),
    "GET /staff/{id}/reset": (case("staff"),),
    "POST /staff/{id}/reset": (sure("staff"),),
    "GET /staff/{id}/roles": (case("staff"),),
    "POST /staff/{id}/roles": (sure("staff", role="operator"),),
    "GET /users": (case(query="department={department}"), case(query="login={login}")), **of_list("/users"),
    "GET /users/{id}": (case("staff"),),
    "GET /users/{id}/rights": (case("staff"),),
    "POST /users/{id}/rights": (sure("staff", permission="message.export"),),
    # roles are everybody's who may see them; who has them is not
    "GET /roles": NOTHING, **of_list("/roles"), **of_actions("/roles", "nobody", "remove"),
    "GET /roles/-/new": NOTHING, "POST /roles/-/new": NOTHING,
    "GET /roles/{id}": (case("nobody"),), "GET /roles/{id}/copy": (case("nobody"),),
    "POST /roles/{id}/copy": (sure("nobody", code="copied", name="n"),), "GET /roles/{id}/edit": (case("nobody"),),
    "POST /roles/{id}/edit": (sure("nobody", name="n", **RIGHTS),),
    # sending and records
    "GET /send": (case(query="account={account}"), case(query="scenario={scenario}")), "GET /custom": NOTHING,
    **dict.fromkeys(
        ("POST /send", "POST /send/-/save", "POST /send/-/live", "POST /send/-/signs", "POST /send/-/links"),
        (case(account="{account}", type="notice", content="x", sign="测试", key="a" * 32),),
    ),
    "POST /custom": (case(account="{account}"),),
    **{f"GET /send/{{id}}/{step}": (case("draft"),)
       for step in ("table", "content", "audience", "options", "time", "clean", "clean/live", "clean/file", "confirm",
                    "confirm/live")},
    **{f"POST /send/{{id}}/{step}": (case("draft", account="{account}", content="x"),)
       for step in ("{step}", "save/{step}", "row", "book", "filter", "file", "confirm", "test")},
    "GET /scheduled/calendar": NOTHING,
    **{f"POST /tasks/{{id}}/{verb}": (case("task"),) for verb in ("copy", "mend")},
    "GET /tasks/{id}/rows": (case("rows"),),
    "GET /drafts": NOTHING, **of_list("/drafts"), **of_actions("/drafts", "draft", "copy", "remove"),
    "GET /drafts/{id}": (case("draft"),),
    "GET /send/quick": (case(query="account={account}&batch={batch}"),),
    **dict.fromkeys(
        ("POST /send/quick", "POST /send/quick/confirm", "POST /send/quick/edit", "POST /send/quick/preview"),
        (case(account="{account}", type="notice", to="13800138000", content="x", sign="测试", key="a" * 32),),
    ),
    "GET /send/quick/confirm": NOTHING, "GET /send/quick/edit": NOTHING,
    "GET /send/quick/result": (case(query="account={account}&key={key}"),),
    "GET /send/quick/result/live": (case(query="account={account}&key={key}"),),
    "GET /records": (case(query="time=7d&account={account}"), case(query="time=7d&batch={batch}")),
    **of_actions("/records", "message", "resend", "cancel", "unclicked", "group", "block"),
    "GET /records/{id}": (case("message"),),
    "GET /records/{id}/live": (case("message"),), "GET /records/{id}/wire": (case("message"),),
    "GET /records/{id}/verify": (case("message"),),
    "GET /records/{id}/problem": (case("message"),), "POST /records/{id}/verify": (case("message"),),
    "GET /pushes": (case(query="account={account}"),), "GET /pushes/{id}": (case("event"),),
    **of_list("/pushes"), **of_actions("/pushes", "event", "again"),
    "GET /jobs": NOTHING, **of_list("/jobs"), **of_actions("/jobs", "job", "cancel", "reject"),
    "GET /jobs/-/rows": NOTHING,
    "GET /jobs/{id}": (case("job"),),
    "POST /jobs/{id}/link": (case("job"),), "POST /jobs/{id}/approve": (case("job"),),
    "GET /exported/{id}": (case("token"),),
    **of_list("/records", export=True),
    "GET /tasks/report": (case(query="task={sent_task}&group=province"),), **of_list("/tasks/report", export=True),
    "GET /top-ups": (case(query="account={account}"),), **of_list("/top-ups", export=True),
    "GET /top-ups/-/new": NOTHING,
    "POST /top-ups/-/new": (sure(account="{account}", units_change="1", note_why="why"),),
    "GET /rebates": (case(query="account={account}"),), **of_list("/rebates", export=True),
    "GET /inbound": (case(query="account={account}"),), **of_list("/inbound", export=True),
    "GET /inbound/-/rows": NOTHING, **of_actions("/inbound", "reply", "take", "done", "reopen"),
    "GET /inbound/{id}": (case("reply"),), "POST /inbound/-/seen": (case(id="{reply}"),),
    "GET /inbound/{id}/reply": (case("reply"),), "POST /inbound/{id}/reply": (sure("reply", content="您好"),),
    "GET /inbound/{id}/assign": (case("reply"),), "POST /inbound/{id}/assign": (sure("reply", assignee="boss"),),
    **dict.fromkeys(("GET /reports/daily", "GET /reports/monthly"), (case(query="group=account&account={account}"),)),
    **of_list("/reports/daily", export=True), **of_list("/reports/monthly", export=True),
    **dict.fromkeys(("GET /reports/failures", "GET /reports/delays"), (case(query="account={account}&time=7d"),)),
    **of_list("/reports/failures", export=True), **of_list("/reports/delays", export=True),
    "GET /rebates/rules": (case(query="account={account}"),), **of_list("/rebates/rules"),
    "GET /rebates/rules/-/new": NOTHING, "GET /rebates/rules/{id}": (case("rebate_rule"),),
    "POST /rebates/rules/-/new": (
        sure(account="{account}", from_month="{month}", per_thousand="5", from_units="0", reason="why"),),
    "GET /statements/-/pdf": (case(query="account={account}"),),
    "POST /statements/-/pdf": (case(account="{account}", month="{month}", reason="why"),),
    "GET /statements/bills": (case(query="account={account}"),), **of_list("/statements/bills", export=True),
    "GET /statements/receivers": NOTHING, **of_list("/statements/receivers"),
    "GET /statements/receivers/-/new": NOTHING,
    "POST /statements/receivers/-/new": (case(account="{account}", emails="a@b.example", language="zh", reason="why"),),
    "GET /statements/receivers/{id}": (case("receivers"),), "GET /statements/receivers/{id}/edit": (case("receivers"),),
    "POST /statements/receivers/{id}/edit": (case("receivers", emails="a@b.example", language="zh", reason="why"),),
    "GET /statements/mails": (case(query="account={account}"),), **of_list("/statements/mails", export=True),
    **of_actions("/statements/mails", "statement", "again"), "GET /statements/mails/{id}": (case("statement"),),
    "GET /reports/success": (case(query="account={account}&time=7d"),), **of_list("/reports/success", export=True),
    "GET /reports/exclusions": NOTHING, "GET /reports/exclusions/{id}": (case("nobody"),),
    "GET /reports/exclusions/-/new": NOTHING, "POST /reports/exclusions/-/new": (sure(reason="why", from_day="x"),),
    **of_list("/reports/exclusions", columns=True),
    "GET /debug": (case(query="refused={refused_call}"), case(query="account={account}")),
    "POST /debug": (
        case(account="{account}", operation="POST /messages", path="/api/v1/messages", query="", body="[]"),),
    "GET /retention": NOTHING, "GET /retention/rules": NOTHING, "GET /retention/rules/{id}": (case("nobody"),),
    "GET /retention/rules/-/new": NOTHING,
    "POST /retention/rules/-/new": (
        sure(messages_days="60", inbound_days="0", pdus_days="60", clicks_days="0", texts="1", reason="why"),),
    **of_list("/retention/rules"), **of_actions("/retention/rules", "nobody", "pass", "reject"),
    **of_list("/reports/checks"), "GET /reports/checks": NOTHING, "GET /reports/checks/{id}": (case("nobody"),),
    **of_list("/reports/people", export=True), "GET /reports/people": (case(query="by=account&account={account}"),),
    # the address book
    "GET /contacts": (case(query="account={account}"), case(query="group={group}")),
    **of_list("/contacts", export=True), **of_actions("/contacts", "contact", "send", "share", "unshare", "remove"),
    "GET /contacts/-/new": NOTHING,
    "POST /contacts/-/new": (sure(account="{account}", number="13800138000", scope="account"),
                             sure(account="{own_account}", number="13800138000", scope="department",
                                  department="{department}"),
                             sure(account="{own_account}", number="13800138000", scope="account", groups="{group}")),
    "GET /contacts/{id}": (case("contact"),),
    **{f"GET /contacts/{{id}}/{what}": (case("contact"),) for what in ("edit", "merge")},
    "POST /contacts/{id}/edit": (sure("contact", number="13800138000", scope="account"),),
    "POST /contacts/{id}/merge": (sure("contact", number="13800138000"),),
    "GET /contacts/groups": (case(query="account={account}"),),
    **of_list("/contacts/groups"), **of_actions("/contacts/groups", "group", "remove"),
    "GET /contacts/groups/-/new": NOTHING, "GET /contacts/groups/{id}/move": (case("group"),),
    "POST /contacts/groups/{id}/move": (sure("group"),),
    "POST /contacts/groups/-/new": (sure(account="{account}", name="another", scope="account"),),
    "GET /contacts/groups/{id}": (case("group"),), "GET /contacts/groups/{id}/edit": (case("group"),),
    "POST /contacts/groups/{id}/edit": (sure("group", name="mine", scope="account"),),
    "GET /contacts/segments": (case(query="account={account}"),),
    **of_list("/contacts/segments"), **of_actions("/contacts/segments", "segment", "send", "count", "remove"),
    "GET /contacts/segments/-/new": NOTHING, "GET /contacts/segments/{id}": (case("segment"),),
    "POST /contacts/segments/-/new": (
        sure(account="{account}", name="another", kind="clicked", days="90", scope="account"),
        sure(account="{own_account}", name="another", kind="clicked", days="90", scope="account", link="{link}"),
        sure(account="{own_account}", name="another", kind="clicked", days="90", scope="account", task="{task}"),
    ),
    "GET /contacts/segments/{id}/edit": (case("segment"),),
    "POST /contacts/segments/{id}/edit": (
        sure("segment", name="mine", kind="clicked", days="90", scope="account"),),
    **dict.fromkeys(("GET /contacts/-/import", "POST /contacts/-/import", "GET /contacts/-/import/-/template"),
                    NOTHING),
    "GET /contacts/-/import/{id}": (case("contact_sheet"),),
    "POST /contacts/-/import/{id}": (
        case("contact_sheet", column_number="0", column_name="1", account="{own_account}", duplicates="skip",
             scope="own"),
        case("contact_sheet", column_number="0", account="{account}", duplicates="skip", scope="own"),
    ),
    **dict.fromkeys(("GET /contacts/-/import/{id}/result", "GET /contacts/-/import/{id}/wrong"),
                    (case("contact_import"),)),
    # lists of numbers, notices, favourites
    "GET /allowed": NOTHING, **of_list("/allowed"), **of_actions("/allowed", "allowed", "remove"),
    "GET /allowed/-/new": NOTHING, "POST /allowed/-/new": (sure(number="13800138000", account="{account}"),),
    "GET /allowed/{id}": (case("allowed"),),
    **{f"{method} {path}/-/import{below}": NOTHING for path in ("/allowed", "/blocked")
       for method, below in (("GET", ""), ("POST", ""), ("GET", "/-/template"))},
    **dict.fromkeys(("GET /blocked/-/import/{id}", "POST /blocked/-/import/{id}"),
                    (case("block_sheet", column_number="0", account="{own_account}", reason="why"),
                     case("block_sheet", column_number="0", account="{account}", reason="why"))),
    **dict.fromkeys(("GET /allowed/-/import/{id}", "POST /allowed/-/import/{id}"),
                    (case("allow_sheet", column_number="0", account="{own_account}", kind="exempt"),
                     case("allow_sheet", column_number="0", account="{account}", kind="exempt"))),
    **{f"GET /{path}/-/import/{{id}}/{what}": (case(f"{thing}_import"),)
       for path, thing in (("blocked", "block"), ("allowed", "allow")) for what in ("result", "wrong")},
    "GET /blocked": NOTHING, **of_list("/blocked"), "GET /blocked/-/new": NOTHING,
    "POST /blocked/-/new": (sure(number="13800138000", account="{account}"),),
    "GET /blocked/{id}": (case("blocked"), case("optout")),
    "GET /blocked/{id}/lift": (case("blocked"),), "POST /blocked/{id}/lift": (sure("blocked", reason="why"),),
    "GET /blocked/why": (case(query="number=13912345678&account={account}"),),
    "POST /blocked/why": (case(number="13912345678", account="{account}", lift="exempt", reason="why"),),
    "GET /consents": (case(query="account={account}"),), **of_list("/consents"),
    **of_actions("/consents", "consent", "withdraw"), "GET /consents/-/new": NOTHING,
    "POST /consents/-/new": (case(account="{account}", numbers="13800138000", source="web", given_at="2026-01-01",
                                  proof="file"),),
    "GET /consents/{id}": (case("consent"),),
    **dict.fromkeys(("GET /consents/{id}/proof", "POST /consents/{id}/proof", "GET /consents/{id}/proof/file"),
                    (case("consent"),)),
    **dict.fromkeys(("GET /consents/-/import", "POST /consents/-/import", "GET /consents/-/import/-/template"),
                    NOTHING),
    **dict.fromkeys(("GET /consents/-/import/{id}", "POST /consents/-/import/{id}"),
                    (case("consent_sheet", column_number="0", account="{own_account}", source="web",
                          given_at="2026-01-01", proof="n"),)),
    "GET /consents/-/import/{id}/result": (case("consent_import"),),
    "GET /number-filters": (case(query="account={account}"),), **of_list("/number-filters"),
    **of_actions("/number-filters", "filter", "look", "remove"), "GET /number-filters/-/new": NOTHING,
    "POST /number-filters/-/new": (sure(name="n", account="{account}", numbers="13800138000"),),
    "GET /number-filters/{id}": (case("filter"),), "GET /number-filters/{id}/ask": (case("filter"),),
    "GET /number-filters/{id}/send": (case("filter"),),
    "POST /number-filters/{id}/send": (sure("filter", filter_keep="unknown"),),
    "POST /number-filters/{id}/ask": (sure("filter"),), "GET /number-filters/-/{id}/class/{state}": (case("filter"),),
    **dict.fromkeys(("GET /number-filters/-/import", "POST /number-filters/-/import",
                     "GET /number-filters/-/import/-/template", "GET /number-filters/-/vendor",
                     "POST /number-filters/-/vendor"), NOTHING),
    **dict.fromkeys(("GET /number-filters/-/import/{id}", "POST /number-filters/-/import/{id}"),
                    (case("filter_sheet", column_number="0", name="n", account="{own_account}"),)),
    "GET /complaints": (case(query="account={account}"),), **of_list("/complaints", export=True),
    "GET /complaints/-/new": NOTHING,
    "POST /complaints/-/new": (case(number="13800138000", origin="user", note="why", due_days="3"),),
    "GET /complaints/-/of/{id}": (case("message"),),
    "POST /complaints/-/of/{id}": (case("message", origin="user", note="why", due_days="3"),),
    "GET /complaints/{id}": (case("complaint"),), "GET /complaints/-/file/{id}": (case("complaint"),),
    "GET /complaints/{id}/step": (case("complaint"),),
    "POST /complaints/{id}/step": (case("complaint", state="checking", said="why"),),
    "GET /lifts": (case(query="account={account}"),), **of_list("/lifts"),
    **of_actions("/lifts", "lift", "sent", "lifted", "refused"),
    "GET /lifts/{id}": (case("lift"),), "GET /lifts/-/letter/{id}": (case("lift"),),
    "GET /optouts/undos": (case(query="account={account}"),), **of_list("/optouts/undos"),
    **of_actions("/optouts/undos", "undo", "pass", "reject"),
    "GET /optouts/undos/{id}": (case("undo"),), "GET /optouts/undos/{id}/proof": (case("undo"),),
    "GET /optouts/{id}/undo": (case("optout"),), "POST /optouts/{id}/undo": (case("optout"),),
    "GET /optouts": NOTHING, **of_list("/optouts"), "GET /optouts/{id}": (case("optout"),),
    **{f"{method} {path}/{{id}}/number": tuple(case(thing, purpose="check") for thing in things)
       for method in ("GET", "POST")
       for path, *things in (("/records", "message"), ("/inbound", "reply"), ("/contacts", "contact"),
                             ("/allowed", "allowed"), ("/blocked", "blocked", "optout"), ("/optouts", "optout"),
                             ("/consents", "consent"), ("/lifts", "lift"), ("/complaints", "complaint"),
                             ("/optouts/undos", "undo"))},
    "GET /announcements": NOTHING, **of_list("/announcements"),
    **of_actions("/announcements", "announcement", "withdraw"),
    "GET /announcements/-/new": NOTHING,
    "POST /announcements/-/new": (sure(title="n", content="x", audience="departments", departments="{department}",
                                       days="7"),),
    "GET /announcements/{id}": (case("announcement"),),
    "GET /notices": NOTHING, **of_list("/notices"), **of_actions("/notices", "told", "mark"),
    "POST /notices/-/read": NOTHING, "POST /notices/-/opened": (case(id="{told}"),), "GET /notices/-/rows": NOTHING,
    "GET /notices/{id}": (case("told"),),
    "POST /me/notices": NOTHING, "POST /favourites": NOTHING, "GET /palette": NOTHING,
    # approval, tasks and what is scheduled
    "GET /review": (case(query="account={account}"),), "GET /review/-/rows": (case(query="account={account}"),),
    "GET /review/{id}": (case("batch"),), **of_list("/review", columns=False),
    **of_actions("/review", "batch", "pass", "reject"),
    "GET /review/decided": (case(query="account={account}"),), "GET /review/decided/{id}": (case("batch"),),
    **of_list("/review/decided"),
    "GET /tasks": (case(query="account={account}"),), "GET /tasks/{id}": (case("task"),), **of_list("/tasks"),
    **of_actions("/tasks", "task", "resume", "cancel", "unclicked"),
    **of_actions("/tasks", "waiting", "pause", "release"),
    "GET /tasks/problems": (case(query="task={task}"),), **of_list("/tasks/problems", export=True),
    "GET /scheduled": (case(query="account={account}"),), "GET /scheduled/{id}": (case("waiting"),),
    **of_list("/scheduled"), **of_actions("/scheduled", "waiting", "cancel", "now"),
    "GET /scheduled/{id}/time": (case("waiting"),),
    "GET /scheduled/{id}/edit": (case("waiting"),), "GET /scheduled/round/{id}": (case("round"),),
    "POST /scheduled/round/{id}": (
        sure("round", version="1", subject="t", content="您好", every="day", every_at="10:00"),
    ),
    "POST /scheduled/{id}/edit": (
        sure("waiting", version="1", subject="t", content="您好", planned_at="2035-01-01 10:00"),
    ),
    "POST /scheduled/{id}/time": (sure("waiting", planned_at="2035-01-01 10:00"),),
    # signatures, templates, phrases
    "GET /signs": (case(query="account={account}"),), **of_list("/signs"),
    **of_actions("/signs", "sign", "start", "stop"), "GET /signs/-/new": NOTHING,
    "POST /signs/-/new": (sure(account="{account}", sign="another", source="enterprise"),),
    "GET /signs/{id}": (case("sign"),), "GET /signs/carriers/{id}": (case("sign_cell"),),
    **of_list("/signs/carriers", export=True),
    "GET /signs/carriers": (case(query="account={account}"),),
    **dict.fromkeys(("GET /signs/{id}/proofs", "POST /signs/{id}/proofs"), (case("sign", kind="license"),)),
    "GET /signs/proofs/{id}": (case("sign_proof"),), "GET /signs/proofs/{id}/remove": (case("sign_proof"),),
    "POST /signs/proofs/{id}/remove": (sure("sign_proof"),),
    **dict.fromkeys((f"GET /signs/{{id}}/{below}" for below in ("decide", "register", "renew")), (case("sign"),)),
    "POST /signs/{id}/decide": (sure("sign", decision="approved"),),
    "POST /signs/{id}/register": (sure("sign", state="registered"),),
    "POST /signs/{id}/renew": (sure("sign", expires_at="2030-01-01"),),
    "GET /materials": (case(query="account={account}"),), **of_list("/materials"),
    **of_actions("/materials", "material", "pass", "reject", "remove"),
    **dict.fromkeys(("GET /materials/-/new", "POST /materials/-/new"), NOTHING),
    **{f"{method} /materials/{{id}}{below}": (case("material"),) for method, below in (
        ("GET", ""), ("GET", "/thumbnail"), ("GET", "/content"), ("POST", "/take"), ("GET", "/edit"))},
    "POST /materials/{id}/edit": (sure("material", title="n"),),
    "GET /templates": (case(query="account={account}"), case(query="id={template}")), **of_list("/templates"),
    **of_actions("/templates", "template", "start", "stop"),
    "GET /templates/-/new": (case(query="from={template}"),),
    "POST /templates/-/new": (sure(account="{account}", name="another", type="notice", content="x"),),
    "GET /templates/{id}": (case("template"),),
    **dict.fromkeys((f"GET /templates/{{id}}/{below}" for below in ("decide", "edit", "register")),
                    (case("template"),)),
    "POST /templates/{id}/decide": (sure("template", decision="approved"),),
    "POST /templates/{id}/edit": (sure("template", name="mine", type="notice", content="x"),),
    "POST /templates/{id}/register": (sure("template", state="registered"),),
    "GET /scenarios": (case(query="account={account}"), case(query="template={template}")), **of_list("/scenarios"),
    **of_actions("/scenarios", "scenario", "start", "stop"),
    "GET /scenarios/-/new": (
        case(query="from={scenario}"), case(query="task={waiting}"), case(query="draft={draft}"),
    ),
    "POST /scenarios/-/new": (sure(account="{account}", name="another", type="notice"),),
    "GET /scenarios/{id}": (case("scenario"),), "GET /scenarios/{id}/edit": (case("scenario"),),
    "POST /scenarios/{id}/edit": (sure("scenario", name="mine", type="notice"),),
    "GET /phrases": (case(query="account={account}"), case(query="department={department}")), **of_list("/phrases"),
    **of_actions("/phrases", "phrase", "remove"), "GET /phrases/-/new": NOTHING, "GET /phrases/-/pick": NOTHING,
    "POST /phrases/-/new": (sure(title="n", content="x", scope="account", account="{account}"),
                            sure(title="n", content="x", scope="department", department="{department}")),
    "GET /phrases/{id}": (case("phrase"),), "GET /phrases/{id}/edit": (case("phrase"),),
    "POST /phrases/{id}/edit": (sure("phrase", title="n", content="x", scope="own"),),
    # sessions and the security of others
    "GET /sessions": (case(query="login={login}"),), **of_list("/sessions"),
    **of_actions("/sessions", "session", "end"), "GET /sessions/{id}": (case("session"),),
    **dict.fromkeys((f"GET /staff/{{id}}/security{below}" for below in ("", "/code", "/demand", "/reset")),
                    (case("staff"),)),
    **dict.fromkeys((f"POST /staff/{{id}}/security{below}" for below in ("/code", "/demand", "/end", "/reset")),
                    (sure("staff", id="{session}"),)),
    **dict.fromkeys(("GET /staff/-/import", "POST /staff/-/import", "GET /staff/-/import/-/template",
                     "GET /roles/-/matrix", "POST /roles/-/matrix"), NOTHING),
    **dict.fromkeys(("GET /staff/-/import/{id}", "POST /staff/-/import/{id}"),
                    (case("staff_sheet", column_login="0", column_name="1", department="{own_department}"),)),
    **dict.fromkeys(("GET /staff/-/import/{id}/passwords", "POST /staff/-/import/{id}/passwords",
                     "GET /staff/-/import/{id}/result"), (sure("staff_import"),)),
    # the first run, beyond the administrator
    **dict.fromkeys(
        ("GET /setup/channel", "GET /setup/channel/live", "GET /setup/channel/new", "POST /setup/channel/new/simulated",
         "POST /setup/hide", "GET /setup/sign", "POST /setup/sign", "GET /setup/test", "POST /setup/test",
         "GET /setup/channel/new/{protocol}", "POST /setup/channel/new/{protocol}"), NOTHING),
    "GET /setup/channel/{id}": (case("nobody"),), "POST /setup/channel/{id}": (sure("nobody"),),
    "GET /setup/test/{id}": (case("message"),),
    "GET /accounts": (case(query="parent={account}"), case(query="department={department}")),
    **of_list("/accounts"), **of_actions("/accounts", "account", "stop", "start"),
    "GET /accounts/-/new": NOTHING,
    "POST /accounts/-/new": (sure(name="n", display_name="n", parent=f"{MARK}", rate="1"),
                             sure(name="m", display_name="m", department="{department}", rate="1")),
    "GET /accounts/{id}": (case("account"),),
    **dict.fromkeys(("GET /review/rules", "GET /review/rules/times", "POST /review/rules/times"), NOTHING),
    "GET /limits": NOTHING, "GET /limits/-/add": NOTHING,
    "POST /limits/-/add": (sure(kind_name="bill", kind_label="账单", base="notice"),),
    **{f"{way} /limits/{{name}}/{what}": (case("nobody"),) for way in ("GET", "POST")
       for what in ("rename", "retire", "restore")},
    "GET /limits/{id}/{type}/frequency": (case("account"),),
    "POST /limits/{id}/{type}/frequency": (sure("account", frequency="1/1d"),),
    "GET /limits/{id}/{type}/gates": (case("account"),),
    "POST /limits/{id}/{type}/gates": (sure("account", sign_policy="registered"),),
    "GET /review/rules/{id}/{type}": (case("account"),),
    "POST /review/rules/{id}/{type}": (sure("account", review="all"),),
    "GET /review/rules/{id}/{type}/hours": (case("account"),),
    "POST /review/rules/{id}/{type}/hours": (sure("account", windows1_from="09:00", windows1_days="1"),),
    **{f"GET /accounts/{{id}}/{what}": (case("account"),) for what in ("edit", "price", "units")},
    "POST /accounts/{id}/edit": (sure("account", display_name="mine", rate="1"),
                                 sure("own_account", display_name="n", rate="1", department="{department}")),
    "POST /accounts/{id}/price": (sure("account", unit_price="0", units_otp="1", units_notice="1",
                                       units_marketing="1", credit_floor="0"),),
    "POST /accounts/{id}/units": (sure("account", units_change="1", note_why="why"),),
    "GET /accounts/{id}/route": (case("account"),), "GET /accounts/{id}/route/restore": (case("account"),),
    "POST /accounts/{id}/route": (sure("account", channel="mobile-a", reason="why"),),
    "POST /accounts/{id}/route/restore": (sure("account", reason="why"),),
    "GET /link-filings": (case(query="account={account}"),), **of_list("/link-filings"),
    **of_actions("/link-filings", "filing", "remove"), "GET /link-filings/-/new": NOTHING,
    "POST /link-filings/-/new": (sure(target="example.cn", account="{account}"),),
    "GET /link-filings/{id}": (case("filing"),), "GET /link-filings/{id}/register": (case("filing"),),
    "POST /link-filings/{id}/register": (sure("filing", carriers="CMCC", state="registered"),),
    **dict.fromkeys(("GET /link-filings/{id}/proofs", "POST /link-filings/{id}/proofs"), (case("filing", kind="icp"),)),
    "GET /link-filings/proofs/{id}": (case("filing_proof"),),
    "GET /link-filings/proofs/{id}/remove": (case("filing_proof"),),
    "POST /link-filings/proofs/{id}/remove": (sure("filing_proof"),),
    # short links
    "GET /short-links": (case(query="account={account}"),), **of_list("/short-links", export=True),
    **of_actions("/short-links", "link", "stop", "start"), "GET /short-links/-/new": NOTHING,
    "POST /short-links/-/new": (sure(account="{account}", name="n", target="https://www.example.org/", visits="0"),),
    **dict.fromkeys(("GET /short-links/{id}", "GET /short-links/{id}/qr.{kind}", "GET /short-links/{id}/target"),
                    (case("link"),)),
    "POST /short-links/{id}/target": (sure("link", target="https://www.example.org/other"),),
    **dict.fromkeys(("GET /short-links/{id}/pass", "GET /short-links/{id}/reject"), (case("asked_link"),)),
    "POST /short-links/{id}/pass": (sure("asked_link", version="1"),),
    "POST /short-links/{id}/reject": (sure("asked_link", version="1", reason="not ours"),),
    "GET /short-links/{id}/codes": (case("personal"),), "POST /short-links/{id}/codes": (sure("personal"),),
    "GET /link-clicks": (case(query="account={account}"), case(query="link={link}")),
    **of_list("/link-clicks", export=True),
    "GET /link-clicks/-/judge": NOTHING, "POST /link-clicks/-/judge": (sure(days="1"),),
    "GET /link-tasks": (case(query="account={account}"), case(query="link={personal}")), **of_list("/link-tasks"),
    "GET /link-tasks/-/rows": (case(query="account={account}"),), "GET /link-tasks/-/new": NOTHING,
    "POST /link-tasks/-/new": (sure(account="{account}", name="n", target="https://www.example.org/", codes="3"),),
    "GET /link-tasks/{id}": (case("link_task"),), "GET /link-tasks/{id}/file": (case("link_task"),),
    **dict.fromkeys(("GET /link-tasks/-/import", "POST /link-tasks/-/import", "GET /link-tasks/-/import/-/template"),
                    NOTHING),
    **dict.fromkeys(
        ("GET /link-tasks/-/import/{id}", "POST /link-tasks/-/import/{id}"),
        (case("code_sheet", column_number="0", name="n", target="https://www.example.org/", account="{own_account}"),)),
    "GET /reports/links": (case(query="account={account}"),), **of_list("/reports/links", export=True),
    **{f"{m} /accounts/{{id}}/training{end}": (case("account", reason="演练"),) for m in ("GET", "POST")
       for end in ("", "/end")},
    "GET /calls": (case(query="account={account}"),), **of_list("/calls"),
    "GET /calls/refused": (case(query="account={account}"),), "GET /calls/refused/{id}": (case("refused_call"),),
    **of_list("/calls/refused"),
    "GET /keys": (case(query="account={account}"),),
    **of_list("/keys"), **of_actions("/keys", "api_key", "stop", "start"),
    "GET /keys/-/new": NOTHING, "POST /keys/-/new": (sure(account="{account}", mode="live", scopes="send"),),
    "GET /keys/{id}": (case("api_key"),),
    **{f"{m} /keys/{{id}}/{what}": (sure("api_key"),) for m in ("GET", "POST")
       for what in ("edit", "rotate", "retire")},
    "GET /partners": (case(query="account={account}"),),
    **of_list("/partners"), **of_actions("/partners", "partner", "kick", "stop", "start", "remove"),
    "GET /partners/-/new": NOTHING,
    "POST /partners/-/new": (sure(account="{account}", protocol="smpp", user="walker", password="x", **BOUND),),
    "GET /partners/{id}": (case("partner"),), "GET /partners/{id}/edit": (case("partner"),),
    "POST /partners/{id}/edit": (sure("partner", **BOUND),),
    **{f"{m} /partners/{{id}}/password": (sure("partner"),) for m in ("GET", "POST")},
    "GET /webhooks": (case(query="account={account}"),),
    **of_list("/webhooks"), **of_actions("/webhooks", "webhook", "stop", "start", "remove"),
    "GET /webhooks/-/new": NOTHING, "GET /webhooks/-/callback": NOTHING,
    "POST /webhooks/-/new": (sure(account="{account}", name="x", url="https://example.org/", **PUSHED),),
    "POST /webhooks/-/callback": (sure(account="{account}", hosts="example.org", **PUSHED),),
    "GET /webhooks/-/way/{id}": (case("account"),),
    "POST /webhooks/-/way/{id}": (sure("account", way="pull", balance_below="0"),),
    "GET /webhooks/{id}": (case("webhook"),), "GET /webhooks/{id}/edit": (case("webhook"),),
    "POST /webhooks/{id}/edit": (sure("webhook", url="https://example.org/", **PUSHED),),
    **{f"{m} /webhooks/{{id}}/{what}": (sure("webhook", keep_old_hours="1"),) for m in ("GET", "POST")
       for what in ("rotate", "test")},
    # the platform's own: one for all departments
    "GET /channels": NOTHING, "GET /channels/-/live": NOTHING, "GET /channels/-/new": NOTHING,
    **{f"{m} /channels/-/new/{p}": NOTHING for m in ("GET", "POST")
       for p in ("cmpp30", "cmpp20", "smpp34", "sgip12", "smgp30")},
    **{f"{m} /channels/{{id}}/{what}": (sure("nobody"),) for m in ("GET", "POST")
       for what in ("start", "stop", "drain", "edit", "copy", "test", "probe", "wire", "record", "record/end",
                    "remove")},
    "GET /channels/{id}/wire/live": (case("nobody"),),
    "GET /channels/{id}/versions": (case("nobody"),), "GET /channels/{id}/versions/{number}": (case("nobody"),),
    **{f"{m} /channels/{{id}}/versions/{{number}}/{what}": (sure("nobody"),) for m in ("GET", "POST")
       for what in ("approve", "reject", "rollback")},
    "GET /channels/{id}/test/live": (case("nobody"),),
    "GET /channels/{id}": (case("nobody"),), "GET /channels/{id}/live": (case("nobody"),),
    **dict.fromkeys((
        "GET /routes", "POST /routes/draft/begin", "GET /routes/draft", "POST /routes/draft/catch-up",
        "GET /routes/draft/trial", "GET /routes/retries", "GET /routes/explain", "GET /codes",
        *(f"{m} /routes/draft/{what}/{which}" for m in ("GET", "POST") for what in ("rules", "pools")
          for which in ("new", "{n}")),
        "POST /routes/draft/rules/{n}/move",
    ), NOTHING),
    **dict.fromkeys((
        f"{m} {p}" for m in ("GET", "POST") for p in (
            "/routes/draft/publish", "/routes/draft/discard", "/routes/draft/rules/{n}/remove",
            "/routes/draft/pools/{n}/remove", "/routes/retries/{fault}/{type}", "/routes/retries/{fault}/{type}/reset",
            "/codes/-/set", "/codes/-/reset",
        )
    ), (sure(reason="why"),)),
    "GET /prefixes": NOTHING, **of_list("/prefixes"), "GET /prefixes/{id}": (case("nobody"),),
    **of_actions("/prefixes", "nobody", "remove"), "GET /prefixes/-/look-up": NOTHING,
    "POST /prefixes/-/look-up": (case(number="13800138000"),), "GET /prefixes/-/set": NOTHING,
    "POST /prefixes/-/set": (sure(prefix_digits="1380013", carrier="CUCC", province=""),),
    **dict.fromkeys(("GET /prefixes/-/import", "GET /prefixes/-/import/-/template"), NOTHING),
    "POST /prefixes/-/import": (sure(),), "GET /prefixes/-/import/{id}": (case("nobody"),),
    "POST /prefixes/-/import/{id}": (sure("nobody", column_prefix="0", column_carrier="1"),),
    "GET /prefixes/imports": NOTHING, **of_list("/prefixes/imports"),
    "GET /prefixes/imports/{id}": (case("nobody"),), **of_actions("/prefixes/imports", "nobody", "back"),
    "GET /unmatched": NOTHING, **of_list("/unmatched"), "GET /unmatched/{id}": (case("nobody"),),
    "GET /unmatched/-/rematch": NOTHING, "POST /unmatched/-/rematch": (sure(channel="x", rule="same"),),
    "GET /numbers": NOTHING, "GET /numbers/extensions": NOTHING, "GET /numbers/replies": NOTHING,
    "GET /numbers/extensions/-/give": (case(query="account={account}"),),
    "POST /numbers/extensions/-/give": (sure(account="{account}", sign="", extend_code="777"),),
    "GET /numbers/channels/{id}/move": (case("nobody"),), "GET /numbers/channels/{id}/replace": (case("nobody"),),
    "POST /numbers/channels/{id}/move": (sure("nobody", access_code="106900"),),
    "POST /numbers/channels/{id}/replace": (sure("nobody", channel="x", reason="why"),),
    "POST /routes/explain": (case(account="{account}", type="notice", number="13800138000", content="x"),),
    "GET /routes/submitted": NOTHING, "GET /routes/submitted/{id}": (case("nobody"),), **of_list("/routes/submitted"),
    **{f"{m} /routes/submitted/{{id}}/{what}": (sure("nobody", reason="why"),) for m in ("GET", "POST")
       for what in ("approve", "reject")},
    "GET /routes/versions": NOTHING, "GET /routes/versions/{id}": (case("nobody"),), **of_list("/routes/versions"),
    **{f"{m} /routes/versions/{{id}}/rollback": (sure("nobody", reason="why"),) for m in ("GET", "POST")},
    "GET /words": NOTHING, "GET /words/-/new": NOTHING, "GET /words/-/test": NOTHING,
    "GET /words/{id}": (case("word"),), "GET /words/{id}/edit": (case("word"),),
    "POST /words/{id}/edit": (sure("word", word="x", action="block"),),
    "POST /words/-/new": (sure(words="x", action="block", account="{account}"),),
    "POST /words/-/test": (case(content="x", account="{account}"),),
    **of_list("/words"), **of_actions("/words", "word", "remove"),
    **dict.fromkeys(("GET /words/-/import", "POST /words/-/import", "GET /words/-/import/-/template"), NOTHING),
    **dict.fromkeys(("GET /words/-/import/{id}", "POST /words/-/import/{id}"),
                    (case("word_sheet", column_word="0", action="block", duplicates="skip", account="{own_account}"),)),
    **dict.fromkeys(("GET /words/-/import/{id}/result", "GET /words/-/import/{id}/wrong"), (case("word_import"),)),
    "GET /alarms": NOTHING, "GET /alarms/-/rows": NOTHING, "GET /alarms/{id}": (case("alarm"),),
    **of_list("/alarms"), **of_actions("/alarms", "alarm", "ack"),
    "GET /alarms/receivers": NOTHING, **of_list("/alarms/receivers"),
    "GET /alarms/receivers/{id}": (case("alarm_receiver"),),
    "GET /alarms/receivers/{id}/edit": (case("alarm_receiver"),),
    "POST /alarms/receivers/{id}/edit": (case("alarm_receiver", name="x", language="zh", after_minutes="0"),),
    **of_actions("/alarms/receivers", "alarm_receiver", "test", "start", "stop", "remove"),
    **{f"GET /alarms/receivers/-/new/{way}": NOTHING for way in Way},
    **{f"POST /alarms/receivers/-/new/{way}": (case(name="x", address="x@y.example", language="zh", after_minutes="0"),)
       for way in Way},
    "GET /loadtest": NOTHING, "GET /loadtest/-/rows": NOTHING, **of_list("/loadtest"), "GET /loadtest/-/new": NOTHING,
    # without its confirmation: nobody's load is to run here
    "POST /loadtest/-/new": (case(scenario="steady", rate="10", seconds="10", reason="check"),),
    **{f"GET /loadtest/{{id}}{what}": (case("load_test"),) for what in ("", "/live", "/report", "/stop")},
    "POST /loadtest/{id}/stop": (sure("load_test"),),
    "GET /faults": NOTHING, "GET /faults/-/rows": NOTHING, **of_list("/faults"), "GET /faults/{id}": (case("fault"),),
    **of_actions("/faults", "fault", "respond"), "GET /faults/{id}/report": (case("fault"),),
    **dict.fromkeys(("GET /faults/year", "GET /faults/timeline", "GET /faults/-/new", "GET /faults/-/times"), NOTHING),
    "POST /faults/-/new": (case(title="slow", severity="critical", began_at="2026-01-01 09:00"),),
    "POST /faults/-/times": (case(fault_response_minutes="60", fault_recovery_minutes="240", faults_a_year="4",
                                  fault_severity="1", fault_after_minutes="5"),),
    **{f"GET /faults/{{id}}/{what}": (case("fault"),) for what in ("note", "recover", "close", "count")},
    "POST /faults/{id}/note": (case("fault", said="looked"),),
    "POST /faults/{id}/recover": (case("fault", recovered_at="2026-01-01 09:00"),),
    "POST /faults/{id}/close": (sure("fault", cause="why", done="what"),),
    "POST /faults/{id}/count": (sure("fault", reason="why"),),
    "GET /faults/-/of/{id}": (case("alarm"),), "POST /faults/-/of/{id}": (sure("alarm"),),
    "GET /tickets": (case(query="account={account}"),), "GET /tickets/-/rows": NOTHING, **of_list("/tickets"),
    "GET /tickets/{id}": (case("ticket"),), **of_actions("/tickets", "ticket", "take"),
    "GET /tickets/-/new": NOTHING, "GET /tickets/-/times": NOTHING,
    "POST /tickets/-/new": (case(account="{account}", title="slow", said="nothing comes"),),
    "POST /tickets/-/times": (case(ticket_response_minutes="60"),),
    "GET /tickets/-/of/{id}": (case("message"),),
    "POST /tickets/-/of/{id}": (case("message", title="slow", said="why"),),
    **{f"GET /tickets/{{id}}/{what}": (case("ticket"),) for what in ("say", "close", "assign", "reopen")},
    **{f"POST /tickets/{{id}}/{what}": (case("ticket", said="looked"),) for what in ("say", "close", "reopen")},
    "POST /tickets/{id}/assign": (case("ticket", assigned_to="{login}"),),
    "GET /duty": NOTHING, "GET /duty/contacts/-/new": NOTHING,
    "POST /duty/contacts/-/new": (case(kind="hotline", label="line", value="12345"),),
    **{f"{m} /duty/contacts/{{id}}/{what}": (sure("support_contact", kind="qq", label="group", value="12345"),)
       for m in ("GET", "POST") for what in ("edit", "remove")},
    **{f"{m} /duty/{{week}}/{what}": (sure(),) for m in ("GET", "POST") for what in ("edit", "copy")},
    "GET /health-mail": NOTHING, "GET /health-mail/edit": NOTHING, "GET /health-mail/ask": NOTHING,
    "POST /health-mail/edit": (sure(emails="a@b.example", health_hour="8", language="zh"),),
    "POST /health-mail/ask": (sure(),), "GET /health-mail/sent": NOTHING, **of_list("/health-mail/sent"),
    "GET /health-mail/sent/{id}": (case("health_mail"),), **of_actions("/health-mail/sent", "health_mail", "again"),
    "GET /backups": NOTHING, **of_list("/backups"), "GET /backups/-/rows": NOTHING, "GET /backups/-/total": NOTHING,
    "GET /backups/{id}": (case("backup"),),
    "GET /diagnostics": NOTHING, **of_list("/diagnostics"), "GET /diagnostics/-/rows": NOTHING,
    "GET /diagnostics/{id}": (case("bundle"),), "GET /diagnostics/-/new": NOTHING,
    "POST /diagnostics/-/new": (sure(of_node="1", reason="why so"),), "POST /diagnostics/{id}/take": (sure("bundle"),),
    "GET /nodes": NOTHING, "GET /nodes/-/rows": NOTHING, **of_list("/nodes"), "GET /nodes/{id}": (case("node"),),
    **of_actions("/nodes", "node", "remove"),
    "GET /alarms/rules": NOTHING, **of_list("/alarms/rules"), "GET /alarms/rules/{id}": (case("alarm_rule"),),
    **{f"GET /alarms/rules/{{id}}/{step}": (case("alarm_rule"),) for step in ("edit", "except")},
    "POST /alarms/rules/{id}/edit": (sure("alarm_rule", on="1", threshold="5", after="0", severity="warning"),),
    "POST /alarms/rules/{id}/except": (
        sure("alarm_rule", object="account/x", on="1", threshold="5", after="0", severity="warning"),),
    **of_actions("/alarms/rules", "alarm_rule", "reset"),
    "GET /alarms/silences": NOTHING, **of_list("/alarms/silences"), "GET /alarms/silences/-/new": NOTHING,
    "POST /alarms/silences/-/new": (sure(kind="channel_down", object="channel/x", minutes="60", reason="why"),),
    "GET /alarms/silences/{id}": (case("alarm_silence"),), **of_actions("/alarms/silences", "alarm_silence", "end"),
    "GET /alarms/notes": NOTHING, "GET /alarms/notes/-/rows": NOTHING, **of_list("/alarms/notes"),
    "GET /board/screens": NOTHING, **of_list("/board/screens"), "GET /board/screens/-/new": NOTHING,
    "POST /board/screens/-/new": (case(name="x", hours="4"),), "GET /board/screens/{id}": (case("screen"),),
    **of_actions("/board/screens", "screen", "end"),
    "GET /alarms/notes/{id}": (case("alarm_note"),), **of_actions("/alarms/notes", "alarm_note", "again"),
    "GET /audit": (case(query="time=7d&who={login}"),),
    **of_list("/audit", export=True), "POST /audit/-/verify": NOTHING,
    "GET /audit/{id}": (case("audit"),),
    "GET /statements": (case(query="account={account}"),), **of_list("/statements", export=True),
    "GET /evidence": NOTHING, **of_list("/evidence"), "POST /evidence/-/verify": NOTHING,
    **dict.fromkeys(
        ("GET /security", "GET /security/login", "POST /security/login", "GET /security/networks",
         "POST /security/networks", "POST /security/password", "POST /security/role", "GET /platform",
         "POST /platform", "GET /platform/-/picture/{sha256}"), NOTHING),
    **dict.fromkeys(
        ("GET /platform/-/style/{id}", "GET /platform/{id}", "POST /platform/{id}", "POST /platform/{id}/certificate",
         "POST /platform/{id}/certificate/remove", "POST /platform/{id}/hosts", "POST /platform/{id}/picture/{which}",
         "POST /platform/{id}/picture/{which}/remove", "GET /platform/{id}/preview",
         "GET /platform/{id}/preview/inside", "GET /platform/{id}/{what}", "POST /platform/{id}/{what}"),
        (sure("nobody"),)),
}  # fmt: skip
"""Operation -> what is asked of it."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    dsn = await postgres.make("reach", postgres.template)
    try:
        async with running(dsn, tmp_path_factory.mktemp("reach")) as site:
            print(f"SMSGW_SEED={ROLES}")
            yield await build(site)
    finally:
        await postgres.drop("reach")


async def test_every_address_has_its_case() -> None:
    there = {operation(route) for route in ROUTES}
    lists_without_total = {name for name in CASES if name.endswith("/-/total")}
    assert there - CASES.keys() == set(), "no case of it"
    assert CASES.keys() - there - lists_without_total == set(), "there is no such address"
    unnamed = [name for name, asked in CASES.items() if "{id}" in name and not any(one.thing for one in asked)]
    assert unnamed == []
    of_nobody = {name for name, asked in CASES.items() for one in asked if "nobody" in (one.thing, *one.names)}
    assert {name for name in of_nobody if not name.partition(" ")[2].startswith(PLATFORM_WIDE)} == set(), (
        "an id that nobody has proves nothing"
    )
    exported = {route.path.removesuffix("/-/export") for route in ROUTES if route.path.endswith("/-/export")}
    assert exported == EXPORTS.keys()


async def ask(browser: Browser, route: Route, one: Case, things: Mapping[str, str]) -> str:
    things = {**things, "month": f"{clock.now().astimezone(CHINA):%Y-%m}"}
    path = address(route, one.thing, things)
    if one.query:
        path += "?" + filled(one.query, things)
    if route.method == "GET":
        return await browser.get(path)
    before = browser.csrf
    text = await browser.post(path, {key: filled(value, things) for key, value in one.fields})
    browser.csrf = before
    return text


@pytest.mark.slow
async def test_what_a_role_has_not_is_refused_and_nothing_changes(world: World) -> None:
    """Whether by its address or by a form made by hand: no other right is enough, not even all of them."""
    db, tried = world.site.db, set()
    staff = await world.site.add_staff("all-but", "super")
    async with Browser(world.site) as browser:
        await browser.login("all-but")
        before = await world.state()
        for right in sorted(ALL - {Permission.SELF_EDIT}):
            await db.execute("INSERT INTO staff_permission VALUES ($1, $2, false)", staff, right)
            person = await queries.person(db, "all-but")
            assert person
            assert person.permissions == ALL - {right}
            walker = Walker("all-but", person, world.walkers[0].own)
            for route in ROUTES:
                if not walker.may(route):
                    await refused(browser, walker, route, world.things | walker.own)
                    tried.add(route)
            await db.execute("DELETE FROM staff_permission WHERE staff_id = $1", staff)
        after = await world.state()
    assert {name for name in after if after[name] != before[name]} == set()
    guarded = {r for r in ROUTES if not isinstance(r.action, Open) and r.action is not Permission.SELF_EDIT}
    assert tried == guarded


@pytest.mark.slow
@pytest.mark.shard("rights")
async def test_what_each_role_has_not_is_refused(world: World) -> None:
    for walker in world.walkers:
        async with Browser(world.site) as browser:
            await enter(browser, walker)
            before = await world.state()
            for route in ROUTES:
                if not walker.may(route):
                    await refused(browser, walker, route, world.things | walker.own)
            after = await world.state()
            assert {name for name in after if after[name] != before[name]} == set(), told(walker)


async def refused(browser: Browser, walker: Walker, route: Route, things: Mapping[str, str]) -> None:
    for one in CASES[operation(route)]:
        text = await ask(browser, route, one, things)
        about = told(walker, route, one)
        assert browser.status == 403, about
        assert MARK not in without_own(text, things), about


async def test_each_thing_is_there_for_who_may_see_it(world: World) -> None:
    """Or that others are told of none would prove nothing."""
    super_ = next(walker for walker in world.walkers if any(role.everything for role in walker.person.roles))
    owner = await queries.person(world.site.db, OWNER)
    assert owner
    missing = []
    for walker in (super_, Walker(OWNER, owner, super_.own)):
        async with Browser(world.site) as browser:
            await enter(browser, walker)
            for route in ROUTES:
                for one in CASES[operation(route)] if route.method == "GET" and walker.may(route) else ():
                    if one.thing in ("", "nobody", "token") or one.thing in OWN:
                        continue
                    if walker is super_ and not walker.reaches(one.thing, world):
                        continue
                    if walker is not super_ and one.thing not in OF_PERSONS:
                        continue
                    await ask(browser, route, one, world.things | walker.own)
                    if browser.status in (403, 404) and operation(route) != "GET /send/{id}/clean/file":  # not cleaned
                        missing.append((walker.login, operation(route), one, browser.status))
    assert not missing, "\n".join(map(str, missing))


def told(walker: Walker, route: Route | None = None, one: Case | None = None) -> tuple[object, ...]:
    """For a failure."""
    roles = [(role.code, role.scope.value) for role in walker.person.roles]
    return (f"SMSGW_SEED={ROLES}", walker.login, roles, route and operation(route), one)


@pytest.mark.slow
async def test_another_departments_things_look_like_none(world: World) -> None:
    """To one walker of each kind of scope, in turn."""
    wanted: dict[str, list[tuple[Route, Case]]] = {}
    for n, (route, one) in enumerate(foreign_cases()):
        for kind in ScopeKind:
            some = [w for w in world.walkers if w.kind is kind and stranger(w, route, one, world)]
            if some:
                wanted.setdefault(some[n % len(some)].login, []).append((route, one))
    await look_like_none(world, wanted)


@pytest.mark.slow
@pytest.mark.shard("rights")
async def test_another_departments_things_look_like_none_to_anybody(world: World) -> None:
    every = foreign_cases()
    await look_like_none(
        world, {w.login: [asked for asked in every if stranger(w, *asked, world)] for w in world.walkers}
    )


def foreign_cases() -> list[tuple[Route, Case]]:
    return [(route, one) for route in ROUTES for one in CASES[operation(route)] if one.foreign]


def stranger(walker: Walker, route: Route, one: Case, world: World) -> bool:
    """Whether they may ask, and nothing that is asked for is theirs to see."""
    return walker.may(route) and not any(walker.reaches(thing, world) for thing in one.foreign)


async def look_like_none(world: World, wanted: Mapping[str, Sequence[tuple[Route, Case]]]) -> None:
    """The answer is the one for an id that nobody has: to them or to a walker before, but for the menu and the name."""
    of_none: dict[tuple[Route, Case], set[tuple[int, str]]] = {}
    for walker in world.walkers:
        things, none = world.things | walker.own, world.nobodys | walker.own
        async with Browser(world.site) as browser:
            await enter(browser, walker)
            before = await world.state()
            for route, one in wanted.get(walker.login, ()):
                foreign = await ask(browser, route, one, things)
                about, seen = told(walker, route, one), (browser.status, looks(foreign, things))
                assert browser.status < 500, about
                assert MARK not in without_own(foreign, things), about
                if seen not in (answers := of_none.setdefault((route, one), set())):
                    unknown = looks(await ask(browser, route, one, none), none)
                    assert seen == (browser.status, unknown), (about, differing(seen[1], unknown))
                    answers.add(seen)
            after = await world.state()
            assert {name for name in after if after[name] != before[name]} == set(), told(walker)
    session = int(world.things["session"])
    assert await world.site.db.fetchval("SELECT count(*) FROM portal_session WHERE id = $1", session) == 1
    tried = {operation(route) for asked in wanted.values() for route, _ in asked}
    missed = {operation(route) for route, _ in foreign_cases()} - tried
    assert {name for name in missed if not name.endswith("/-/total")} == set(), "nobody has tried"


@pytest.mark.slow
async def test_no_list_has_what_is_anothers(world: World) -> None:
    """As it is opened, by one walker of each kind of scope, in turn; with ids it is asked for above."""
    shown = set()
    pages = [r for r in ROUTES if r.method == "GET" and "{" not in r.path and not r.path.startswith(FOR_ALL)]
    for walker in world.walkers:
        if walker.kind is ScopeKind.ALL:
            continue
        async with Browser(world.site) as browser:
            await enter(browser, walker)
            for at, route in enumerate(pages):
                some = [w for w in world.walkers if w.kind is walker.kind and w.may(route)]
                if some and some[at % len(some)] is walker:
                    text = await browser.get(route.path)
                    if MARK in without_own(text, world.things):
                        shown.add(operation(route))
    assert shown == set()


_SIGNED = "UPDATE message SET sign = $2 WHERE id = $1"
_FAILED = """
UPDATE part SET state = 41, channel_id = $2, claimed_at = accepted_at, answered_at = accepted_at,
    final_at = accepted_at
WHERE id = $1
"""
_ENDED = """
INSERT INTO stat_day
    (day, account_id, type, sign, channel_id, carrier, province, origin, status, messages, parts, units)
SELECT (now() AT TIME ZONE 'Asia/Shanghai')::date, account_id, type, sign, $2, carrier, province, origin, 'failed',
       1, 1, 1
FROM message WHERE id = $1
"""


@pytest.mark.slow
@pytest.mark.shard("rights")
async def test_a_file_has_nothing_of_another_department(world: World) -> None:
    message = int(world.things["message"])
    await world.site.db.execute(_SIGNED, message, MARK)
    await world.site.db.execute(_FAILED, message, OWN_WAY)
    await world.site.db.execute(_ENDED, message, OWN_WAY)
    had = set()
    for walker in world.walkers:
        things = world.things | walker.own
        async with Browser(world.site) as browser:
            await enter(browser, walker)
            for path, (thing, query) in EXPORTS.items():
                routes = [route_of(method, path + below) for method, below in (("GET", ""), ("POST", "/-/export"))]
                if not all(route is not None and walker.may(route) for route in routes):
                    continue
                text = await taken_away(browser, path, filled(query, things))
                if not any(trace in without_own(text, things) for trace in TRACES):
                    continue
                had.add(path)
                assert walker.reaches(thing, world), (*told(walker), path, text)
    assert had == EXPORTS.keys()


async def taken_away(browser: Browser, path: str, query: str) -> str:
    """What the file of an export has."""
    await browser.get(f"{path}/-/export?{query}")
    text = await browser.post(f"{path}/-/export", {"q": query, "reason": "looking", "format": "csv"})
    job = browser.path
    assert re.fullmatch(r"/jobs/\d+", job), (job, text)
    deadline = time.monotonic() + 60
    while "已完成" not in (text := await browser.get(job)):
        assert time.monotonic() < deadline, text
        await asyncio.sleep(0.05)
    text = await browser.post(f"{job}/link", {})
    assert browser.status == 200, text
    assert "text/csv" in browser.headers["Content-Type"]
    return text


def differing(one: str, other: str) -> list[str]:
    """The lines that differ."""
    return [line for line in difflib.ndiff(one.splitlines(), other.splitlines()) if line[0] in "+-"]


def without_own(text: str, things: Mapping[str, str]) -> str:
    """Without what was asked for, which a form shows again."""
    return text.replace(things["login"], "?")


def looks(text: str, things: Mapping[str, str]) -> str:
    """A page without its menu, whose it is, tokens, what was asked for, and times."""
    text = re.sub(r'(?s)<nav id="menu".*?</nav>|<div class="person-head">.*?</div>', "", text)
    text = re.sub(r"[\w.-]{16,}", "?", text)
    for id_ in sorted(things.values(), key=len, reverse=True):
        text = text.replace(id_, "?")
    return re.sub(r"\?+", "?", re.sub(r"\d+", "?", text))


# --- what is offered -------------------------------------------------------------------------------------------------

LAST = ("/logout", "/login")
"""What ends the walk, and what stands on a page that shows how the login looks."""
LATER = re.compile(
    "/_ui|/-/do/|/views/remove|/exported/|/link$|GET /send/quick/(confirm|edit|result)|POST /send/quick(/edit)?$"
    "|GET /platform/-/(picture|style)/|POST /platform/.*/(certificate|picture/{which})/remove$"
    "|/import/{id}|/proof/file$|/signs/proofs/|/link-filings/proofs/|/short-links/{id}/(pass|reject|codes|qr.{kind})$|/link-tasks/{id}/file$"
    "|GET /setup/test/{id}|POST /setup/channel/new/simulated|POST /staff/{id}/security/end"
    "|/scheduled/round/{id}|/send/{id}|/custom$|POST /send/-/|GET /drafts/{id}|GET /tasks/{id}/rows"
    "|/versions/{number}/(approve|reject|rollback)$"
    "|/channels/{id}/(start|remove|probe|wire|record/end|(test|wire)/live)$|/keys/{id}/retire$|/number-filters/{id}/ask$"
    "|POST /blocked/why$"
    "|GET /records/{id}/verify$"
    "|GET /(alarms|alarms/notes|nodes|faults|tickets|review|inbound|backups|loadtest|link-tasks)/-/total"
    "|POST /inbound/-/seen$|POST /jobs/{id}/approve$"
    "|/faults/{id}/close$|/tickets/{id}/reopen$"
    "|/routes/draft|/routes/(versions|submitted)/{id}|/retries/{fault}/{type}/reset$|/codes/-/reset$"
    "|/limits/{name}/(rename|retire|restore)$|/loadtest/{id}/stop$|/health-mail/ask$|POST /diagnostics/{id}/take$"
    "|/accounts/{id}/(route/restore|training/end)$|GET /materials/{id}/(content|thumbnail)$"
)
"""What comes after a step, with a view, a picture, a certificate or a row that this site has not, is another's alone,
is asked by a row that is opened, is of the one task of its list that comes round, or is for those who build pages; a
list that refreshes itself does not say how many there are."""
ELSEWHERE = re.compile(r"/(static|brand|favicon|docs|api|openapi)\b")


@pytest.mark.slow
@pytest.mark.shard("rights")
async def test_what_a_page_offers_works_and_nothing_else_is_there(world: World) -> None:
    faults: list[object] = []
    for walker in world.walkers:
        async with Browser(world.site) as browser:
            await enter(browser, walker)
            offers = Offers(world, walker, browser)
            faults += await offers.walk()
        if any(role.everything for role in walker.person.roles):
            right = {operation(route) for route in ROUTES if not isinstance(route.action, Open)}
            faults += [("no page leads there", name) for name in sorted(right - offers.offered)
                       if not LATER.search(name) and not offers.empty(name)]  # fmt: skip
    assert not faults, "\n".join([f"SMSGW_SEED={ROLES}", *map(str, faults)])


class Offers:
    """One person goes wherever pages lead, and sends every form as it stands."""

    def __init__(self, world: World, walker: Walker, browser: Browser) -> None:
        self.world, self.walker, self.browser = world, walker, browser
        self.faults: list[object] = []
        self.seen: dict[str, int] = {}
        self.forms: dict[tuple[str, str], tuple[str, Form]] = {}
        self.offered: set[str] = set()

    async def walk(self) -> list[object]:
        waiting = [("/", "")]
        while waiting:
            path, where = waiting.pop(0)
            route = route_of("GET", path)
            if ELSEWHERE.match(path):
                continue
            if route is None:
                self.fault(where, "leads nowhere", path)
                continue
            name = operation(route)
            self.offered.add(name)
            if self.seen.get(name, 0) >= (2 if "{" in name or "?" in path else 1):
                continue
            self.seen[name] = self.seen.get(name, 0) + 1
            page = await self.open(path, where)
            waiting += [(link, path) for link in page.links] if page else ()
        for where, form in self.forms.values():
            await self.send(where, form)
        return self.faults

    def empty(self, name: str) -> bool:
        """Whether it belongs to a list that has no rows on this site."""
        found = re.fullmatch(r"(?:GET|POST) ((?:/[\w-]+)+?)/(?:{id}.*|-/total|-/effect/\w+)", name)
        return found is not None and f"GET {found[1]}" in self.offered and f"GET {found[1]}/{{id}}" not in self.offered

    def fault(self, *said: object) -> None:
        self.faults.append((*told(self.walker)[1:3], *said))

    async def open(self, path: str, where: str) -> Page | None:
        text = await self.browser.get(path)
        if self.browser.status >= 400 and not self.browser.path.startswith("/login"):
            self.fault(where, "leads to", path, self.browser.status)
            return None
        if "html" not in self.browser.headers.get("Content-Type", ""):
            return None
        page = Page(text, self.browser.path)
        for asked in page.asked:
            self.offer("POST", asked, path)
        for form in page.forms:
            if form.button and (route := self.offer(form.method, form.action, path)) is not None:
                self.forms.setdefault((form.method, operation(route)), (path, form))
        return page

    def offer(self, method: str, action: str, where: str) -> Route | None:
        """A form that the page has; whether it may be sent."""
        route = route_of(method, action)
        if route is None or not self.walker.may(route):
            self.fault(where, "offers", method, action, "which is none of theirs" if route else "which is not there")
            return None
        self.offered.add(operation(route))
        return route

    async def send(self, where: str, form: Form) -> None:
        """As it stands; what asks whether one is sure is not told so, and comes once more."""
        if form.action in LAST or form.multipart:
            return
        data = [(key, value) for key, value in form.fields if key not in ("confirmed", "csrf")]
        how = {"params": data} if form.method == "GET" else {"data": [("csrf", self.browser.csrf), *data]}
        async with self.browser.session.request(form.method, form.action, **how) as response:
            await response.read()
            if response.status >= 400 and response.status != 422:
                self.fault(where, "its form", form.method, form.action, data, response.status)
