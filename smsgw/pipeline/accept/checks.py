"""The checks of a send call: a table of them for each text, and one for each number, run in order.

A number that a check refuses fails alone, with a code and a reason; what no message could be (an empty text, digits
that are no extension, or not the account's) fails the call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Protocol

from smsgw.core import numbers, optout, policy, text
from smsgw.core.errors import Invalid, Reason
from smsgw.core.ids import CHINA
from smsgw.core.keywords import Action, named, replaced
from smsgw.core.model import MessageType
from smsgw.core.numbers import InvalidNumber
from smsgw.core.policy import Limits, Listed, Mode, PolicySet, Reviewed, SignPolicy
from smsgw.core.sent_links import LinkCode
from smsgw.core.templates import CARRIERS, Misfit, Registration, Review, Sign, Template
from smsgw.core.text import Coding, Unencodable
from smsgw.core.url_filings import Link, found_in, shown
from smsgw.core.words import Wording, label, phrase
from smsgw.pipeline.accept.metering import Meters
from smsgw.pipeline.accept.requests import SendItem, SendRequest
from smsgw.pipeline.routing import Home, Route, Router
from smsgw.pipeline.snapshot import Snapshot

MAX_CHARACTERS = 1000

_SIGN = re.compile(r"^【([^【】]{2,20})】")
_EXTEND = re.compile(r"[0-9]{0,12}")
# Possessive: nothing is looked at twice, however many braces and blanks there are.
_VARIABLE = re.compile(r"\{\s*+([A-Za-z_\u4e00-\u9fff][\w.]{0,31}+)\s*+\}")


@dataclass(slots=True)
class Draft:
    """A text of the call on its way to the phone, with what its checks have found."""

    request: SendRequest
    limits: Limits
    policies: PolicySet
    line: tuple[int, ...]
    """The account and those above it."""
    sign: str
    content: str
    """With its signature."""
    abroad: bool
    opens: datetime | None
    """When sending opens next; None while it is open."""
    optout_words: tuple[str, ...]
    at: datetime
    """When it is due."""
    template: Template | None = None
    misfit: Reason | None = None
    """Why the template gives no text."""
    known_sign: Sign | None = None
    """The signature as the account has it; only where a policy asks."""
    links: tuple[Link, ...] | None = None
    """In the content; None: nobody has looked yet."""
    leads_to: str = ""
    """The targets of short links in the content; empty: there are none."""
    reviews: list[Wording] = field(default_factory=list)
    """Why a reviewer has to see it first."""
    reason: Reason | None = None
    tried: list[Tried] = field(default_factory=list)
    coded: dict[str, Coded] = field(default_factory=dict)
    """By pool."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A check and what it said; only for explanations."""

    check: Wording
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class Coded:
    """How a content travels."""

    coding: Coding
    parts: int


@dataclass(slots=True)
class Standing:
    """One number that is to get a draft, whatever that says."""

    draft: Draft
    number: str
    home: Home
    listed: frozenset[Listed]


@dataclass(slots=True)
class Subject(Standing):
    """One number that is to get a draft."""

    route: Route


@dataclass(frozen=True, slots=True)
class Passed:
    """A recipient that can be sent to."""

    position: int
    item: SendItem
    subject: Subject
    coded: Coded
    tried: tuple[Tried, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """A recipient that gets nothing. ``subject`` None: it is no number, or one that occurs twice."""

    position: int
    item: SendItem
    reason: Reason
    subject: Subject | None = None
    tried: tuple[Tried, ...] = ()


# --- checks of a text -------------------------------------------------------------------------------------------


def _variables(draft: Draft) -> Reason | None:
    left = _VARIABLE.search(draft.content)
    return ("CONTENT_VARIABLE_UNRESOLVED", {"name": left[1]}) if left else None


def _signed(draft: Draft) -> Reason | None:
    if draft.abroad:
        return None
    if not draft.sign:
        return ("SIGN_MISSING", {}) if draft.request.account.sign_required else None
    if draft.limits.sign_policy is SignPolicy.OFF:
        return None
    known = draft.known_sign = draft.policies.book.sign(draft.line, draft.sign)
    if (
        known is None
        or known.state is not Review.APPROVED
        or (known.expires_at is not None and known.expires_at <= draft.at)
    ):
        return "SIGN_NOT_APPROVED", {"sign": draft.sign}
    return None


def _templated(draft: Draft) -> Reason | None:
    if draft.misfit is not None:
        return draft.misfit
    if draft.template is None and draft.limits.templates_only:
        body = draft.content.removeprefix(f"【{draft.sign}】")
        book = draft.policies.book
        draft.template = book.matching(draft.line, draft.request.type, draft.sign, body)
        if draft.template is None:
            return "TEMPLATE_REQUIRED", {}
    return None


def _words(draft: Draft) -> Reason | None:
    hits = draft.policies.words.find(draft.content, draft.line, draft.request.type)
    if not hits:
        return None
    begin = len(draft.sign) + 2 if draft.sign and draft.content.startswith("【") else 0
    # A signature is not rewritten: a word in it refuses the text.
    refused = [
        h for h in hits if h.word.action is Action.BLOCK or (h.word.action is Action.REPLACE and h.start < begin)
    ]
    if refused:
        return "CONTENT_SENSITIVE", {"words": named(refused)}
    seen = [h for h in hits if h.word.action is Action.REVIEW]
    if seen:
        draft.reviews.append(phrase("review.words", words=named(seen)))
    draft.content = replaced(draft.content, [h for h in hits if h.word.action is Action.REPLACE])
    return None


@lru_cache(maxsize=16)
def _optout_pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    return policy.optout_pattern(words)


def _optout(draft: Draft) -> Reason | None:
    mode = draft.limits.optout
    if mode is Mode.OFF or _optout_pattern(draft.optout_words).search(optout.plain(draft.content)):
        return None
    wording = policy.OPTOUT_WORDING.format(word=draft.optout_words[0].upper())
    if mode is Mode.REQUIRE:
        return "CONTENT_OPTOUT_MISSING", {"wording": wording}
    draft.content += wording if draft.content[-1] in ",。!?;、,.!?;" else f",{wording}"
    return None


@dataclass(frozen=True, slots=True)
class Asked:
    """A text of which the rules say whether a reviewer has to see it."""

    line: Sequence[int]
    kind: MessageType
    sign: str
    content: str
    """With its signature."""
    templated: bool
    numbers: int
    at: datetime
    leads_to: str = ""
    """The targets of short links in it."""


def held_for(asked: Asked, limits: Limits, policies: PolicySet) -> list[Wording]:
    """Why a reviewer has to see it first, by the rules of an account and type; words of the list aside."""
    reviews: list[Wording] = []
    sign = asked.sign
    if limits.review is Reviewed.ALL:
        reviews.append(phrase("review.all"))
    elif limits.review is Reviewed.UNTEMPLATED and not asked.templated:
        body = asked.content.removeprefix(f"【{sign}】")
        if not policies.book.matching(asked.line, asked.kind, sign, body):
            reviews.append(phrase("review.untemplated"))
    if limits.review_new_sign and sign:
        known = policies.book.sign(asked.line, sign)
        since = known.approved_at if known and known.state is Review.APPROVED else None
        if since is None or (asked.at - since).days < limits.review_new_sign:
            reviews.append(phrase("review.new_sign", sign=sign))
    links = found_in(asked.content) + found_in(asked.leads_to) if limits.review_new_link else ()
    if new := policies.new_links(links, asked.line):
        reviews.append(phrase("review.new_link", links=shown(new)))
    if limits.review_over and asked.numbers > limits.review_over:
        reviews.append(phrase("review.many", n=asked.numbers, over=limits.review_over))
    return reviews


def _reviewed(draft: Draft) -> Reason | None:
    """Refuses nothing: says why a reviewer has to see it first."""
    request = draft.request
    asked = Asked(
        draft.line, request.type, draft.sign, draft.content, draft.template is not None, len(request.items), draft.at,
        draft.leads_to,
    )  # fmt: skip
    draft.reviews += held_for(asked, draft.limits, draft.policies)
    return None


TEXT_CHECKS: tuple[tuple[Wording, Callable[[Draft], Reason | None]], ...] = (
    (label("check", "template"), _templated),
    (label("check", "variable"), _variables),
    (label("check", "sign"), _signed),
    (label("check", "word"), _words),
    (label("check", "opt_out"), _optout),
    (label("check", "review"), _reviewed),
)


# --- checks of a number -----------------------------------------------------------------------------------------


def _only(subject: Standing) -> Reason | None:
    draft = subject.draft
    if draft.policies.restricted.isdisjoint(draft.line) or Listed.ONLY in subject.listed:
        return None
    return "NUMBER_NOT_ALLOWED", {}


def _hours(subject: Standing) -> Reason | None:
    opens = subject.draft.opens
    if opens is None or Listed.TEST in subject.listed:
        return None
    when = f"{opens.astimezone(CHINA):%Y-%m-%d %H:%M}"
    request = subject.draft.request
    called = request.kind.label if request.kind is not None else label("type", request.type)
    return "TIME_WINDOW_CLOSED", {"type": called, "time": when}


def _registered(subject: Standing) -> Reason | None:
    draft, carrier = subject.draft, subject.home.carrier
    if draft.abroad:
        return None
    # Of a number whose carrier is not known any carrier may be the one.
    asked = (carrier,) if carrier in CARRIERS else CARRIERS
    template = draft.template
    if template is not None and any(template.carriers.get(c) is Registration.REFUSED for c in asked):
        return "TEMPLATE_NOT_APPROVED", {"id": str(template.id)}
    if draft.limits.sign_policy is SignPolicy.REGISTERED and draft.sign:
        known, at = draft.known_sign, draft.at
        if known is None or not all(known.registration(c, at) is Registration.REGISTERED for c in asked):
            return "SIGN_NOT_REGISTERED", {"sign": draft.sign, "carrier": label("carrier", carrier)}
    return None


class ShortLinks(Protocol):
    """Our own ones."""

    def leads_to(self, text: str) -> str:
        """The targets of those that stand in a text, with spaces between them; empty: there are none."""

    def target(self, link: Link) -> str:
        """Where one of them leads; empty: it is none that leads anywhere."""


class NumberFacts(Protocol):
    """The block list, where marketing has been stopped, and who has agreed to get it."""

    def refusal(self, number: str, account_id: int, type_: MessageType, sign: str) -> Reason | None:
        """Why nothing of this kind may go to the number; None: it may."""

    def consented(self, number: str, accounts: Sequence[int]) -> bool:
        """Whether the number's owner has agreed to get marketing of an account, which is followed by those above it."""


class Refusals(NumberFacts, Protocol):
    """Those of a node."""

    def withheld(self, number: str, account_id: int, type_: MessageType, kind: str) -> Reason | None:
        """Why the account's policies and the ledger of consents keep such a message from the number; None: they do
        not."""

    async def follow(self) -> None:
        """Take up what has changed. ``STORAGE_UNAVAILABLE``."""


class EmptyNumbers(Protocol):
    """What is known of numbers."""

    def empty(self, number: str) -> bool:
        """Whether there is no telephone behind the number (E.164 digits)."""


@dataclass(frozen=True, slots=True)
class _Frame:
    """What holds for all of a call."""

    request: SendRequest
    snapshot: Snapshot
    limits: Limits
    policies: PolicySet
    line: tuple[int, ...]
    opens: datetime | None
    at: datetime

    def template(self, item: SendItem) -> tuple[Template | None, str, Reason | None]:
        """The item's template, the text made of it, and why there is none."""
        named = {"id": str(item.template_id)}
        found = self.policies.book.template(self.line, item.template_id)
        if found is None:
            return None, "", ("TEMPLATE_NOT_FOUND", named)
        if found.state is not Review.APPROVED:
            return found, found.content, ("TEMPLATE_NOT_APPROVED", named)
        if found.type != self.request.type:
            raise Invalid("PARAM_INVALID", field="type", reason=phrase("template.type", id=found.id, type=found.type))
        if item.sign and found.sign and item.sign != found.sign:
            raise Invalid("PARAM_INVALID", field="sign", reason=phrase("template.sign", id=found.id, sign=found.sign))
        try:
            return found, found.fill(item.params or {}), None
        except Misfit as exc:
            return found, found.content, ("TEMPLATE_PARAM_INVALID", {"name": exc.name})


class NumberChecks:
    """Checks of a number that need no more of a message than its account, type, signature and time."""

    def __init__(self, lists: NumberFacts, numbers: EmptyNumbers) -> None:
        self._lists = lists
        self._numbers = numbers
        self.asked: tuple[tuple[Wording, Callable[[Standing], Reason | None]], ...] = (
            (label("check", "only"), _only),
            (label("check", "block_list"), self._blocked),
            (label("check", "empty"), self._empty),
            (label("check", "consent"), self._consented),
            (label("check", "hours"), _hours),
        )
        """In their order."""

    def _blocked(self, subject: Standing) -> Reason | None:
        request = subject.draft.request
        return self._lists.refusal(subject.number, request.account.id, request.type, subject.draft.sign)

    def _empty(self, subject: Standing) -> Reason | None:
        if subject.draft.limits.drop_empty and self._numbers.empty(subject.number):
            return "NUMBER_EMPTY", {}
        return None

    def _consented(self, subject: Standing) -> Reason | None:
        draft = subject.draft
        if draft.limits.consent != draft.request.type or self._lists.consented(subject.number, draft.line):
            return None
        return "NUMBER_NO_CONSENT", {}


class Checker:
    """Runs the checks of calls; what they ask is in memory."""

    def __init__(
        self, router: Router, lists: Refusals, numbers: EmptyNumbers, meters: Meters, short_links: ShortLinks
    ) -> None:
        self.router = router
        self.meters = meters
        self.short_links = short_links
        self.lists = lists
        asked = NumberChecks(lists, numbers).asked
        self._number_checks: tuple[tuple[Wording, Callable[[Subject], Reason | None]], ...] = (
            *asked,
            (label("check", "registration"), _registered),
            (label("check", "link"), self._links),
            (label("check", "complaints"), self._complaints),
        )
        self._standing = (*(check for _, check in asked if check is not _hours), _registered)
        """Of these, in their order: those that ask nothing about the text and the time."""

    def _links(self, subject: Subject) -> Reason | None:
        draft, carrier = subject.draft, subject.home.carrier
        if draft.limits.filed_links != draft.request.type or draft.abroad:
            return None
        if draft.links is None:  # of a short link where it leads, and its own domain where that is demanded
            found = found_in(draft.content)
            if not draft.limits.filed_own_domain:
                found = tuple(link for link in found if not self.short_links.target(link))
            draft.links = found + found_in(draft.leads_to)
        asked = (carrier,) if carrier in CARRIERS else CARRIERS
        for link in draft.links:
            if not draft.policies.links.filed(link, draft.line, asked):
                return "LINK_NOT_FILED", {"link": link.text, "carrier": label("carrier", carrier)}
        return None

    def standing(
        self, request: SendRequest, snapshot: Snapshot, at: datetime
    ) -> Callable[[str], tuple[Home, Reason | None]]:
        """For millions of numbers (E.164 digits), before there is a text for each: where one is at home, and why
        nothing of this account, type, signature and template may go to it. ``request``: one item stands for all."""
        account, policies, item = request.account, snapshot.policies, request.items[0]
        limits = policies.limits(account, request.type, request.kind_name)
        line = (account.id, *account.above)
        template = policies.book.template(line, item.template_id) if item.template_id else None
        sign, _ = _compose(item.sign or (template.sign if template else ""), item.content, account.default_sign)
        known = policies.book.sign(line, sign) if sign and limits.sign_policy is not SignPolicy.OFF else None
        here, away = (
            Draft(request, limits, policies, line, sign, "", abroad, None, (), at, template, known_sign=known)
            for abroad in (False, True)
        )

        def ask(number: str) -> tuple[Home, Reason | None]:
            home = self.router.home(snapshot, number)
            draft = away if home.carrier == numbers.INTL else here
            subject = Standing(draft, number, home, policies.listed(number, line))
            return home, next((said for check in self._standing if (said := check(subject)) is not None), None)

        return ask

    def check(
        self, request: SendRequest, snapshot: Snapshot, now: datetime, at: datetime, *, explain: bool = False
    ) -> tuple[list[Passed], list[Failed]]:
        """Which recipients can be sent to, and which not, in order. ``at``: when it is due.

        With ``explain`` every check is run and told of; otherwise the first that refuses ends it.
        """
        steps = self.steps(request, snapshot, now, at, explain=explain)
        while True:
            try:
                next(steps)
            except StopIteration as over:
                found: tuple[list[Passed], list[Failed]] = over.value
                return found

    def steps(
        self, request: SendRequest, snapshot: Snapshot, now: datetime, at: datetime, *, explain: bool = False
    ) -> Generator[None, None, tuple[list[Passed], list[Failed]]]:
        """``check``, a recipient at a time: a call may have a thousand texts, and each may be dear."""
        _check_shape(request.items)
        policies = snapshot.policies
        limits = policies.limits(request.account, request.type, request.kind_name)
        frame = _Frame(
            request,
            snapshot,
            limits,
            policies,
            (request.account.id, *request.account.above),
            limits.hours.opens(at),
            at,
        )
        passed: list[Passed] = []
        failed: list[Failed] = []
        seen: set[tuple[object, ...]] = set()
        drafts: dict[tuple[object, ...], Draft] = {}
        sources: set[tuple[str, str]] = set()
        for position, item in enumerate(request.items):
            if position:
                yield
            try:
                number = numbers.normalize(item.to)
            except InvalidNumber:
                failed.append(Failed(position, item, ("NUMBER_INVALID", {})))
                continue
            text_: tuple[object, ...] = (item.content,)
            if item.template_id:
                text_ = (item.template_id, *sorted((item.params or {}).items()))
            same = text_ if item.link is None else _bare(text_, item.link)
            if (number, same) in seen:
                failed.append(Failed(position, item, ("NUMBER_DUPLICATE", {})))
                continue
            seen.add((number, same))
            home = self.router.home(snapshot, number)
            key = (item.sign, text_, home.carrier == numbers.INTL)
            draft = drafts.get(key)
            if draft is None:
                draft = drafts[key] = self._draft(frame, item, abroad=home.carrier == numbers.INTL, explain=explain)
            if item.extend_code and (source := (draft.sign, item.extend_code)) not in sources:
                if not snapshot.numbering.owns(request.account, *source):
                    raise Invalid("EXTEND_CODE_INVALID")
                sources.add(source)
            route = self._route(frame, number, home, draft, now)
            listed = policies.listed(number, draft.line)
            subject = Subject(draft, number, home, listed, route)
            reason = draft.reason
            tried = list(draft.tried)
            if reason is None or explain:
                for name, check in self._number_checks:
                    said = check(subject)
                    if explain:
                        tried.append(Tried(name, said))
                        reason = reason or said
                    elif said is not None:
                        reason = said
                        break
            if reason is not None:
                failed.append(Failed(position, item, reason, subject, tuple(tried)))
                continue
            coded = draft.coded.get(route.pool)
            if coded is None:
                coded = draft.coded[route.pool] = self._code(draft.content, route.pool)
            passed.append(Passed(position, item, subject, coded, tuple(tried)))
        return passed, failed

    def _draft(self, frame: _Frame, item: SendItem, *, abroad: bool, explain: bool) -> Draft:
        template, content, misfit = frame.template(item) if item.template_id else (None, item.content, None)
        given = item.sign or (template.sign if template else "")
        sign, content = _compose(given, content, frame.request.account.default_sign)
        _check_length(content)  # before any check looks at it: they may take time that grows with it
        words = frame.snapshot.settings.optout_words if frame.limits.optout is not Mode.OFF else ()
        leads_to = self.short_links.leads_to(content)  # others may have been typed beside the one that it carries, …
        if item.link is not None:  # … which may be too new to be known here
            leads_to = f"{leads_to} {item.link.target}"
        draft = Draft(
            frame.request, frame.limits, frame.policies, frame.line, sign, content, abroad, frame.opens, words,
            frame.at, template, misfit, leads_to=leads_to,
        )  # fmt: skip
        for name, check in TEXT_CHECKS:
            said = check(draft)
            if explain:
                draft.tried.append(Tried(name, said))
                draft.reason = draft.reason or said
            elif said is not None:
                draft.reason = said
                break
        _check_length(draft.content)
        return draft

    def _route(self, frame: _Frame, number: str, home: Home, draft: Draft, now: datetime) -> Route:
        request = frame.request
        if request.test:
            return self.router.test_route(home)
        return self.router.route(
            frame.snapshot, request.account.name, request.type, number, home, draft.sign, draft.content, now,
            request.prefer, request.kind_name,
        )  # fmt: skip

    def _complaints(self, subject: Subject) -> Reason | None:
        pool = subject.route.pool
        if subject.draft.request.type is MessageType.MARKETING and not self.router.fleet.marketing_open(pool):
            return "COMPLAINT_CEILING", {"object": phrase("complaint.pool", name=pool)}
        return None

    def _code(self, content: str, pool: str) -> Coded:
        """Coding and number of parts, as every channel of the pool can carry them."""
        try:
            coding = text.choose(content)
            if coding is Coding.GSM7 and not content.isascii() and self.router.fleet.ascii_only(pool):
                coding = Coding.UCS2
            single = self.router.fleet.single_limit(pool) if coding is Coding.GSM7 and len(content) == 160 else None
            return Coded(coding, text.count_parts(content, coding, single_limit=single))
        except Unencodable as exc:
            raise Invalid("CONTENT_UNENCODABLE") from exc


def _bare(text: tuple[object, ...], link: LinkCode) -> tuple[object, ...]:
    """What two messages to a number must not share: the code alone does not make them different."""
    return tuple(link.bare(one) if isinstance(one, str) else one for one in text)


def _check_shape(items: Sequence[SendItem]) -> None:
    """What no message could be."""
    for item in items:
        if item.template_id:
            if item.content:
                raise Invalid("PARAM_INVALID", field="content", reason=phrase("content.or_template"))
        elif not item.content.strip():
            raise Invalid("CONTENT_EMPTY")
        if not _EXTEND.fullmatch(item.extend_code):
            raise Invalid("EXTEND_CODE_INVALID")
    refs = [item.client_ref for item in items if item.client_ref]
    if len(set(refs)) < len(refs):
        raise Invalid("PARAM_INVALID", field="client_ref", reason=phrase("client_ref.twice"))


def _check_length(content: str) -> None:
    if len(content) > MAX_CHARACTERS:
        raise Invalid("CONTENT_TOO_LONG", length=len(content))


def _compose(given: str, content: str, default_sign: str) -> tuple[str, str]:
    """The signature, and the content with it in front."""
    leading = _SIGN.match(content)
    sign = given or (leading[1] if leading else default_sign)
    if sign:
        if not 2 <= len(sign) <= 20 or "【" in sign or "】" in sign:
            raise Invalid("PARAM_INVALID", field="sign", reason=phrase("sign.form"))
        if leading is None:
            content = f"【{sign}】{content}"
        elif given and leading[1] != given:
            raise Invalid("PARAM_INVALID", field="sign", reason=phrase("sign.other"))
    return sign, content
