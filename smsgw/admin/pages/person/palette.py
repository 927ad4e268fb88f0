"""The command palette: pages by Chinese, pinyin or English, and things by their number, within rights and scope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.i18n import translations
from smsgw.admin.kit.filters import read_id
from smsgw.admin.kit.menu import Entry
from smsgw.admin.rights import route
from smsgw.admin.words import STATUS, lists as list_words, palette as words
from smsgw.admin.words.menu import PERSONAL
from smsgw.admin.words.pinyin import PINYIN
from smsgw.core import numbers
from smsgw.core.permissions import Permission
from smsgw.platform.jobs import queries as jobs
from smsgw.platform.messages import queries as messages
from smsgw.platform.org.model import ListedPerson, PersonFilter
from smsgw.platform.org.queries import PEOPLE
from smsgw.platform.paging import Window

MOST_QUERY = 40
"""Characters."""
MOST_PAGES, MOST_OF_A_KIND = 8, 5
LEAST_OF_A_NAME = 2
"""Characters with which people and accounts are looked for."""


@dataclass(frozen=True, slots=True)
class Hit:
    """Somewhere to go."""

    label: str
    path: str
    hint: str = ""
    icon: str = "chevron-right"


@route("GET", "/palette", Permission.SELF_EDIT)
async def find(call: Call) -> web.StreamResponse:
    """What fits the query, by kind; without one the favourites and the first pages."""
    query = " ".join(call.request.query.get("q", "").split())
    found: dict[str, Sequence[Hit]] = {}
    if len(query) <= MOST_QUERY:
        found["page"] = _pages(call, query)
        if query:
            found["record"] = await _records(call, query)
            found["job"] = await _jobs(call, query)
        if len(query) >= LEAST_OF_A_NAME:
            found["account"] = _accounts(call, query)
            found["person"] = await _people(call, query)
    return call.render("ui/palette.html", found=[(k, hits) for k, hits in found.items() if hits], kinds=words.KINDS)


# --- pages ------------------------------------------------------------------------------------------------------------


def rank(query: str, label: str) -> int | None:
    """How well a query fits a label in Chinese, pinyin (whole or first letters) or English: 0 is best, None: not."""
    wanted = "".join(query.lower().split())
    syllables = PINYIN.get(label, "").split()
    english = translations("en").gettext(label).lower()
    forms = ("".join(label.lower().split()), "".join(s[0] for s in syllables), "".join(syllables),
             "".join(english.split()))  # fmt: skip
    if any(form.startswith(wanted) for form in forms):
        return 0
    if any(wanted in form for form in forms):
        return 1
    return None


def _pages(call: Call, query: str) -> list[Hit]:
    entries: list[tuple[Entry, str]] = [(e, group.label) for group in call.menu.groups for e in group.entries]
    own = {e.label for e, _ in entries if not e.shortcut}
    entries = [(e, group) for e, group in entries if not e.shortcut or e.label not in own]
    starred = call.menu.favourites
    pages = [
        (entry.label, entry.path, call.gettext(group), "star" if entry in starred else "chevron-right")
        for entry, group in sorted(entries, key=lambda one: one[0] not in starred)
    ]
    pages += [(label, path, "", "user-circle") for path, label in PERSONAL.items()]
    fitting = [(found, page) for page in pages if (found := rank(query, page[0])) is not None]
    best = sorted(fitting, key=lambda one: one[0])[:MOST_PAGES]
    return [Hit(call.gettext(label), path, hint, icon) for _, (label, path, hint, icon) in best]


# --- things -----------------------------------------------------------------------------------------------------------


async def _records(call: Call, query: str) -> list[Hit]:
    if not call.may(Permission.MESSAGE_VIEW):
        return []
    hits = []
    try:
        number = numbers.normalize(query)
    except numbers.InvalidNumber:
        pass
    else:
        label = call.filled(words.NUMBER, {"number": numbers.mask(number)})
        hits.append(Hit(label, f"/records?time=30d&phone=%2B{number}", icon="phone"))
        if call.may(Permission.COMPLAINT_VIEW):
            label = call.filled(words.COMPLAINTS, {"number": numbers.mask(number)})
            hits.append(Hit(label, f"/complaints?number=%2B{number}", icon="flag"))
    if id_ := read_id(query):
        scope = call.actor.scope
        message = await messages.get(call.db, id_, accounts=scope.accounts, submitter=scope.submitter)
        if message is not None:
            label = call.filled(words.MESSAGE, {"id": id_})
            hits.append(Hit(label, f"/records/{id_}", call.gettext(STATUS[message.status]), "message"))
    return hits


async def _jobs(call: Call, query: str) -> list[Hit]:
    id_ = read_id(query.removeprefix("#"))
    job = await jobs.own(call.db, call.actor, id_) if id_ else None
    if job is None:
        return []
    kind = call.gettext(list_words.JOB_KIND.get(job.kind, job.kind))
    state = call.gettext(list_words.JOB_STATE[job.state])
    return [Hit(call.filled(words.JOB, {"id": job.id}), f"/jobs/{job.id}", f"{kind} · {state}", "list-check")]


def _accounts(call: Call, query: str) -> list[Hit]:
    if not call.may(Permission.MESSAGE_VIEW):
        return []
    wanted, hits = query.lower(), []
    for account in call.portal.context.snapshots.current.accounts():
        if (own := call.actor.scope.accounts) is not None and account.id not in own:
            continue
        if wanted in account.name.lower() or wanted in account.display_name.lower():
            label = call.filled(words.ACCOUNT, {"name": account.name})
            hits.append(Hit(label, f"/records?time=7d&account={account.id}", account.display_name, "id"))
        if len(hits) == MOST_OF_A_KIND:
            break
    return hits


async def _people(call: Call, query: str) -> list[Hit]:
    if not call.may(Permission.PERSON_VIEW):
        return []
    found: dict[int, ListedPerson] = {}
    for wanted in (PersonFilter(login=query), PersonFilter(name=query)):
        few = await PEOPLE.search(call.db, call.actor, wanted, Window(limit=MOST_OF_A_KIND))
        found |= {one.id: one for one in few.rows}
    rows = list(found.values())[:MOST_OF_A_KIND]
    return [Hit(one.name or one.login, f"/staff/{one.id}", one.login, "user") for one in rows]
