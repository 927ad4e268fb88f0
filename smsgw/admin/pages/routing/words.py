"""Words that texts must not have (P10.6, 敏感词): the list, several at a time, and what becomes of a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found, Problem, read_id
from smsgw.admin.kit.form_pages import FormPage, Wrong
from smsgw.admin.kit.forms import Filled, Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.kit.pieces import field_alone
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.rights import route
from smsgw.admin.words import audience, routing as words
from smsgw.admin.words.messages import TYPE
from smsgw.core.keywords import MAX_LENGTH, Action as Treatment, Hit, Plain, Word, replaced
from smsgw.core.permissions import Permission
from smsgw.platform.change import EVERYBODY
from smsgw.platform.words import queries, service
from smsgw.platform.words.model import ListedWord, WantedWords

PATH = "/words"
MENU = Entry("routing.words", PATH, Permission.WORD_VIEW)
MOST, MOST_TEXT, MAX_CATEGORY = 1000, 2000, 20
"""Words that are added at a time; characters of a text that is tested, and of a category."""
FILTER = Filter(
    (
        Field("word"), Field("action", FieldKind.CHOICE, "word_action", words.ACTION),
        Field("category", label="word_category"), Field("account", FieldKind.CHOICE),
        Field("type", FieldKind.CHOICE, choices=TYPE, more=True),
    ),
    period=None,
)  # fmt: skip
COLUMNS = (
    Column("word", sort=True, phone=Phone.TITLE),
    Column("action", Cell.STATE, "word_action", words=words.ACTION, tones=words.ACTION_TONE, phone=Phone.BESIDE),
    Column("category", label="word_category", phone=Phone.SECOND),
    Column("replacement", phone=Phone.SECOND),
    Column(
        "account", Cell.WORD, value=lambda one: one.account or "*", words=audience.EVERY_ACCOUNT, phone=Phone.SECOND
    ),
    Column("type", Cell.WORD, value=lambda one: one.type or "*", words=audience.EVERY_TYPE, phone=Phone.SECOND),
    Column("at", Cell.TIME, "time", sort=True),
)


def _wanted(found: Found) -> WantedWords:
    account = int(found.get("account")) if found.get("account") else None
    return WantedWords(found.get("word"), found.get("category"), found.get("action"), account, found.get("type"))


async def _choices(call: Call) -> Mapping[str, Mapping[str, str]]:
    return {"account": own_accounts(call)}


async def _detail(call: Call, one: ListedWord) -> Detail:
    links = [(words.WORD_EDIT, f"{PATH}/{one.id}/edit")] if _may_edit(call, one) else []
    return Detail(one.word, [Section(COLUMNS, one)], links=links)


def _may_edit(call: Call, one: ListedWord) -> bool:
    """Who sees some accounts sees the words for all, and leaves them alone."""
    covered = call.actor.scope.covers(one.account_id) if one.account_id else call.actor.scope.whole is None
    return covered and call.may(Permission.WORD_EDIT)


async def _remove(call: Call, one: ListedWord) -> None:
    await service.remove(call.change(), word=one.word, account_id=one.account_id, type_=one.type)


async def _remove_effect(_: Call, rows: Sequence[ListedWord]) -> Effect:
    return Effect(words.WORDS_REMOVE_EFFECT, {"n": len(rows)})


PAGE = ListPage(
    "words", PATH, "routing.words", Permission.WORD_VIEW, FILTER, COLUMNS, choices=_choices, detail=_detail,
    rows=lambda db, actor, found, window: queries.search(db, _wanted(found), window, accounts=actor.scope.whole),
    count=lambda db, actor, found, most: queries.how_many(db, _wanted(found), most, accounts=actor.scope.whole),
    one=lambda db, actor, id_: queries.one(db, id_, accounts=actor.scope.whole),
    actions=(Action("remove", words.WORDS_REMOVE, Permission.WORD_EDIT, _remove, _remove_effect, danger=True),),
    links=((words.WORDS_ADD, f"{PATH}/-/new", Permission.WORD_EDIT),
           (words.WORD_IMPORT, f"{PATH}/-/import", Permission.WORD_EDIT),
           (words.WORDS_TEST, f"{PATH}/-/test", Permission.WORD_VIEW)),
    lead=words.WORDS_LEAD, sort=Sort("at"),
    empty=Empty(words.WORDS_EMPTY, words.WORDS_TEACH, words.WORDS_ADD, f"{PATH}/-/new", Permission.WORD_EDIT),
)  # fmt: skip

# --- several are added -----------------------------------------------------------------------------------------------


def _lines(text: str) -> dict[str, str]:
    """The words, each once, with what stands behind a tab: two columns of a table were pasted."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        word, _, category = line.partition("\t")
        if word.strip():
            found[word.strip()] = category.strip()
    return found


def _good(plain: Plain, line: str) -> bool:
    word, _, category = (part.strip() for part in line.partition("\t"))
    return len(word) <= MAX_LENGTH and bool(plain.of(word)) and len(category) <= MAX_CATEGORY


def _problem(text: str) -> Problem | None:
    plain = Plain()
    bad = [n for n, line in enumerate(text.splitlines(), 1) if line.strip() and not _good(plain, line)]
    if bad:
        return Problem(words.BAD_WORDS, {"lines": ", ".join(map(str, bad[:5])) + (" …" if len(bad) > 5 else "")})
    have = len(_lines(text))
    return Problem(words.TOO_MANY_WORDS, {"n": MOST, "have": have}) if have > MOST else None


_TYPE = Input("type", InputKind.CHOICE, choices=TYPE, help=words.TYPE_HELP)
_ACCOUNT = Input("account", InputKind.CHOICE, help=words.SCOPE_HELP)
_ADD = Form((Inputs((
    Input("words", InputKind.LINES, "word_lines", words.LINES_HELP, required=True, most=20_000, check=_problem),
    Input("action", InputKind.CHOICE, "word_action", choices=words.ACTION, required=True),
    Input("replacement", most=MAX_LENGTH, help=words.REPLACEMENT_HELP),
    Input("category", label="word_category", most=MAX_CATEGORY, help=words.CATEGORY_HELP), _ACCOUNT, _TYPE,
)),))  # fmt: skip


def account_of(call: Call, values: Mapping[str, Any]) -> int:
    """Whose texts it shall hold for; who sees some accounts makes no word for all."""
    if not values["account"] and call.actor.scope.whole is not None:
        raise Wrong("account", Problem(audience.ACCOUNT_NEEDED))
    return int(values["account"] or EVERYBODY)


async def _add(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    treatment, account = Treatment(values["action"]), account_of(call, values)
    instead = values["replacement"] if treatment is Treatment.REPLACE else ""
    listed = [Word(text, category or values["category"], treatment, instead, account, values["type"] or "")
              for text, category in _lines(values["words"]).items()]  # fmt: skip
    n = await service.put(call.change(), listed)
    call.toast(call.filled(words.WORDS_ADDED, {"n": n}))
    return call.redirect(PATH)


async def _add_effect(call: Call, _: Any, values: Mapping[str, Any]) -> Effect:
    account, listed = account_of(call, values), _lines(values["words"])
    known = await queries.known(call.db, list(listed), account, values["type"] or "")
    whose = own_accounts(call).get(str(account)) or call.gettext(audience.ALL_ACCOUNTS)
    scope = f"{whose} · {call.gettext(audience.EVERY_TYPE[values['type'] or '*'])}"
    return Effect(words.ADD_EFFECT[values["action"]], {"n": len(listed), "known": known, "scope": scope})


async def _form_choices(call: Call, _: Any) -> Mapping[str, Mapping[str, str]]:
    return await _choices(call)


ADD = FormPage(
    f"{PATH}/-/new", Permission.WORD_EDIT, words.WORDS_ADD_TITLE, words.WORDS_ADD, _ADD, _add, lambda _: PATH,
    choices=_form_choices, effect=_add_effect,
)  # fmt: skip

# --- one is changed --------------------------------------------------------------------------------------------------


def _text_problem(text: str) -> Problem | None:
    return None if _good(Plain(), text) else Problem(words.BAD_WORD, {"n": MAX_LENGTH})


_EDIT = Form((Inputs((
    Input("word", required=True, most=MAX_LENGTH, check=_text_problem),
    Input("action", InputKind.CHOICE, "word_action", choices=words.ACTION, required=True),
    Input("replacement", most=MAX_LENGTH, help=words.REPLACEMENT_HELP),
    Input("category", label="word_category", most=MAX_CATEGORY, help=words.CATEGORY_HELP),
)),))  # fmt: skip


async def _editable(call: Call) -> ListedWord | None:
    id_ = read_id(call.request.match_info["id"])
    one = None if id_ is None else await queries.one(call.db, id_, accounts=call.actor.scope.whole)
    return one if one is not None and _may_edit(call, one) else None


def _scope(call: Call, one: ListedWord) -> str:
    whose = one.account or call.gettext(audience.ALL_ACCOUNTS)
    return f"{whose} · {call.gettext(audience.EVERY_TYPE[one.type or '*'])}"


async def _save(call: Call, one: ListedWord, values: Mapping[str, Any]) -> web.Response:
    treatment = Treatment(values["action"])
    instead = values["replacement"] if treatment is Treatment.REPLACE else ""
    await service.edit(call.change(), one.id, values["word"], values["category"], treatment, instead)
    call.toast(call.gettext(words.WORD_SAVED))
    return call.redirect(f"{PATH}/{one.id}")


async def _save_effect(call: Call, one: ListedWord, values: Mapping[str, Any]) -> Effect:
    return Effect(words.EDIT_EFFECT[values["action"]], {"word": values["word"], "scope": _scope(call, one)})


EDIT = FormPage(
    f"{PATH}/{{id:[0-9]{{1,19}}}}/edit", Permission.WORD_EDIT, words.WORD_EDIT_TITLE, words.WORD_SAVE, _EDIT, _save,
    lambda one: f"{PATH}/{one.id}", _editable, effect=_save_effect, lead=lambda one: one.word,
    values=lambda one: {key: getattr(one, key) for key in ("word", "action", "replacement", "category")},
)  # fmt: skip

# --- what becomes of a text ------------------------------------------------------------------------------------------

_TEST = Form((Inputs((
    Input("content", InputKind.LINES, required=True, most=MOST_TEXT, any_text=True),
    replace(_ACCOUNT, help=words.TEST_ACCOUNT_HELP), replace(_TYPE, help=words.TEST_TYPE_HELP),
)),))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of a text; ``hit`` is the first and longest word that begins there, if any does."""

    text: str
    hit: Hit | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What sending would do with a text."""

    pieces: Sequence[Piece]
    hits: Sequence[Hit]
    outcome: str
    """A key of ``OUTCOME``."""
    after: str
    """The text that would be sent."""


def judge(text: str, hits: Sequence[Hit]) -> Verdict:
    """A text with its hits, as it is judged when it is sent: a signature is not rewritten, a word in it refuses it."""
    sign_end = text.find("】") + 1 if text.startswith("【") else 0
    actions = {
        Treatment.BLOCK if h.word.action is Treatment.REPLACE and h.start < sign_end else h.word.action for h in hits
    }
    gravest = next((a for a in (Treatment.BLOCK, Treatment.REVIEW, Treatment.REPLACE) if a in actions), None)
    pieces, done = list[Piece](), 0
    for hit in hits:
        if hit.start >= done:
            pieces += [Piece(text[done : hit.start]), Piece(text[hit.start : hit.end], hit)]
            done = hit.end
    after = replaced(text, [h for h in hits if h.word.action is Treatment.REPLACE])
    return Verdict([*pieces, Piece(text[done:])], hits, gravest.value if gravest else "", after)


@route("GET", PATH + "/-/test", Permission.WORD_VIEW)
async def ask(call: Call) -> web.StreamResponse:
    """The form for a text."""
    filled = _TEST.blank()
    filled.choices = dict(await _choices(call))
    return _tested(call, filled)


@route("POST", PATH + "/-/test", Permission.WORD_VIEW)
async def test(call: Call) -> web.StreamResponse:
    """The words in it at their places, and what would become of it."""
    data = await call.request.post()
    filled = _TEST.read(data, await _choices(call))
    if alone := field_alone(call, filled, data):
        return alone
    return _tested(call, filled, _verdict(call, filled.values) if filled.good else None)


def _verdict(call: Call, values: Mapping[str, Any]) -> Verdict:
    snapshot = call.portal.context.snapshots.current
    account = snapshot.account(int(values["account"])) if values["account"] else None
    line = (account.id, *account.above) if account else ()
    text = values["content"]
    return judge(text, snapshot.policies.words.find(text, line, values["type"] or ""))


def _tested(call: Call, filled: Filled, verdict: Verdict | None = None) -> web.Response:
    return call.render(
        "routing/words_test.html", status=200 if filled.good else 422, filled=filled, verdict=verdict,
        title=words.WORDS_TEST, outcome=words.OUTCOME, actions=words.ACTION, tones=words.ACTION_TONE, back=PATH,
    )  # fmt: skip
