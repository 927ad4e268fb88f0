"""What a reviewer has to see among the rows of a task, each of which has a text of its own.

The door says it of one text; asked while a task is fed, it would hold calls of which nobody was told. So an import, and
the survey before it, ask it of every row, and the task waits as a whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import msgspec

from smsgw.core.keywords import Action, Plain, Word, WordFilter, named, some, told
from smsgw.core.model import Account, MessageType
from smsgw.core.policy import PolicySet, Reviewed
from smsgw.core.template_match import Patience
from smsgw.core.templates import Template
from smsgw.core.url_filings import Filed, LinkBook, found_in, shown
from smsgw.core.words import Phrase, phrase
from smsgw.store.config import traditional

MOST_NAMED = 1000
"""Different words and links that are counted; a few of them are told."""
MOST_HELD = 100
"""Rows that are remembered to be looked at."""
MOST_SEARCHES = 1000
"""Rows for which all templates are tried; a later one that is of none of those met so far is shown once too often."""
OF_ROWS = frozenset({"review.words", "review.untemplated", "review.new_link"})
"""Reasons of the door that depend on a row's values."""


class RowRules(msgspec.Struct, frozen=True):
    """What is asked of each row; made where the lists are, and read where the rows are."""

    sign: str = ""
    words: list[Word] = []
    templates: list[Template] | None = None
    """A text has to be of one of them; None: of none."""
    links: list[str] | None = None
    """All links that are known; None: any is good."""


def rules_of(
    policies: PolicySet, account: Account, kind: MessageType, sign: str, *, templated: bool, custom: str = ""
) -> RowRules:
    """What holds for a task now. ``templated``: its texts are of a template."""
    line = (account.id, *account.above)
    limits = policies.limits(account, kind, custom)
    templates = links = None
    if limits.review is Reviewed.UNTEMPLATED and not templated:
        usable = policies.book.usable(line)
        templates = [one for one in usable if one.type == kind and one.sign in ("", sign)]
    if limits.review_new_link:
        links = [*policies.links.targets(line), *policies.book.targets(line)]
    words = [replace(word, account_id=0, type="") for word in policies.words.words(line, kind, Action.REVIEW)]
    return RowRules(sign, words, templates, links)


class HeldRow(msgspec.Struct, frozen=True):
    """A row that a reviewer has to see, and why in Chinese and English."""

    n: int
    line: int
    number: str
    text: str
    why: str
    why_en: str


class RowJudge:
    """Asks it of texts, and remembers why."""

    def __init__(self, rules: RowRules) -> None:
        self._sign = f"【{rules.sign}】" if rules.sign else ""
        self._words = WordFilter(rules.words, Plain(traditional.load())) if rules.words else None
        self._templates, self._met, self._searches = rules.templates, list[Template](), MOST_SEARCHES
        self._links = (
            None if rules.links is None else LinkBook.of(Filed(target, 0, frozenset("+")) for target in rules.links)
        )
        self._named: Counter[str] = Counter()
        self._linked: Counter[str] = Counter()
        self._rows: Counter[str] = Counter()

    def why(self, text: str) -> list[Phrase]:
        """Why a reviewer has to see the text (without a signature that does not stand in it); nothing: nobody has."""
        whole = text if text.startswith("【") else self._sign + text
        why = []
        if self._words is not None and (hits := self._words.find(whole)):
            self._count("words", self._named, (told(hit.word) for hit in hits))
            why.append(phrase("review.words", words=named(hits)))
        if self._templates is not None:
            if not self._made(self._templates, whole.removeprefix(self._sign)):
                self._rows["untemplated"] += 1
                why.append(phrase("review.untemplated"))
        if self._links is not None:
            new = [link for link in found_in(whole) if not self._links.known(link, ())]
            if new:
                self._count("links", self._linked, (link.text for link in new))
                why.append(phrase("review.new_link", links=shown(new)))
        return why

    def _made(self, templates: Sequence[Template], text: str) -> bool:
        """Whether it is of a template: one that was met before, as rows are much alike, or any."""
        patience = Patience()
        if any(template.made(text, patience) for template in self._met):
            return True
        if not self._searches:
            return False
        self._searches -= 1
        found = next((template for template in templates if template.made(text, patience)), None)
        if found is not None:
            self._met.append(found)
        return found is not None

    def _count(self, kind: str, counter: Counter[str], found: Iterable[str]) -> None:
        self._rows[kind] += 1
        counter.update(one for one in set(found) if one in counter or len(counter) < MOST_NAMED)

    def reasons(self) -> list[str]:
        """Why the task waits, of all rows together."""
        rows, found = self._rows, []
        if n := rows["words"]:
            words = some(word for word, _ in self._named.most_common(6))
            found.append(phrase("review.rows_words", n=n, words=words))
        if n := rows["untemplated"]:
            found.append(phrase("review.rows_untemplated", n=n))
        if n := rows["links"]:
            links = some(link for link, _ in self._linked.most_common(4))
            found.append(phrase("review.rows_links", n=n, links=links))
        return [str(reason) for reason in found]
