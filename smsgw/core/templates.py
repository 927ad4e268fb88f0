"""Templates (texts with variables), and signatures: how they stand with reviewers and carriers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from smsgw.core import numbers
from smsgw.core.template_match import Literal, Patience, Piece, Place, fits
from smsgw.core.url_filings import found_in, target_in
from smsgw.core.words import chinese_lexicon, phrase

MAX_CONTENT = 1000
MAX_VARIABLES = 30
MAX_VALUE = 200
"""Characters that a variable may be given at most."""
PLACE = re.compile(r"\{([A-Za-z_\u4e00-\u9fff]\w{0,31})\}")
"""A variable in a template: {name}."""
CARRIERS = (numbers.CMCC, numbers.CUCC, numbers.CTCC, numbers.CBN)


class Review(StrEnum):
    """What the reviewer says of a signature or template."""

    PENDING = "pending"
    APPROVED = "approved"
    REFUSED = "refused"


class Registration(StrEnum):
    """What a carrier says (报备)."""

    PENDING = "pending"
    SUBMITTED = "submitted"
    REGISTERED = "registered"
    REFUSED = "refused"
    EXPIRED = "expired"
    """It was registered until a day that is over; never said, it comes by itself."""


class Form(StrEnum):
    """What a variable may be."""

    TEXT = "text"
    DIGITS = "digits"
    ALNUM = "alnum"
    AMOUNT = "amount"
    DATE = "date"


_VALUES = {
    Form.TEXT: re.compile(r"[^\r\n【】]+"),
    Form.DIGITS: re.compile(r"[0-9]+"),
    Form.ALNUM: re.compile(r"[A-Za-z0-9]+"),
    Form.AMOUNT: re.compile(r"[0-9.,+\-]+"),
    Form.DATE: re.compile(chinese_lexicon.DATE),
}
"""What the values of a form are made of."""
DEFAULT_LENGTH = {Form.TEXT: 35, Form.DIGITS: 20, Form.ALNUM: 20, Form.AMOUNT: 16, Form.DATE: 30}


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of a template: its form and how long it may be."""

    form: Form = Form.TEXT
    most: int = DEFAULT_LENGTH[Form.TEXT]

    def takes(self, value: str) -> bool:
        """Whether this may be its value."""
        return len(value) <= self.most and _VALUES[self.form].fullmatch(value) is not None


class Misfit(ValueError):
    """A variable is missing, not known, or not of its form; ``name`` says which."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name)


@dataclass(frozen=True)
class Template:
    """A text with variables, of an account."""

    id: int
    account_id: int
    type: str
    content: str
    """With {name} where a variable is filled in; without a signature when ``sign`` is the message's own."""
    variables: Mapping[str, Variable] = field(default_factory=dict)
    sign: str = ""
    """Always with this signature; empty: any."""
    state: Review = Review.PENDING
    carriers: Mapping[str, Registration] = field(default_factory=dict)

    @cached_property
    def _pieces(self) -> tuple[Piece, ...]:
        texts = PLACE.split(self.content)  # text, name, text, name, … text
        pieces: list[Piece] = [Literal(texts[0])]
        for name, text in zip(texts[1::2], texts[2::2], strict=True):
            variable = self.variables[name]
            pieces += (Place(name, _VALUES[variable.form], variable.most), Literal(text))
        return tuple(piece for piece in pieces if isinstance(piece, Place) or piece.text)

    @cached_property
    def targets(self) -> tuple[str, ...]:
        """What its links lead to."""
        return tuple(target_in(link) for link in found_in(self.content))

    def fill(self, params: Mapping[str, str]) -> str:
        """The text with the variables filled in. Raises ``Misfit``."""
        for name in params:
            if name not in self.variables:
                raise Misfit(name[:32])
        for name, variable in self.variables.items():
            value = params.get(name)
            if value is None or not variable.takes(value):
                raise Misfit(name)
        return PLACE.sub(lambda match: params[match[1]], self.content)

    def made(self, content: str, patience: Patience | None = None) -> bool:
        """Whether a text (without its signature) could have been made with the template; a place of a name that occurs
        again has the value of the first. See ``fitting`` for how much is looked at."""
        return fits(self._pieces, content, patience or Patience())


def variables_of(content: str, given: Mapping[str, Variable]) -> dict[str, Variable]:
    """The variables of a template's content: as given, plain text where nothing is said. Raises ``ValueError`` that
    says what is wrong."""
    names = list(dict.fromkeys(PLACE.findall(content)))
    if len(names) > MAX_VARIABLES:
        raise ValueError(phrase("variables.many", most=MAX_VARIABLES))
    left = PLACE.sub("", content)
    if "{" in left or "}" in left:
        raise ValueError(phrase("variables.form"))
    if unknown := [name for name in given if name not in names]:
        raise ValueError(phrase("variables.unknown", name=unknown[0]))
    if any(not 1 <= variable.most <= MAX_VALUE for variable in given.values()):
        raise ValueError(phrase("variables.length", most=MAX_VALUE))
    return {name: given.get(name, Variable()) for name in names}


@dataclass(frozen=True, slots=True)
class Sign:
    """A signature that an account has applied for."""

    id: int
    account_id: int
    text: str
    state: Review
    carriers: Mapping[str, Registration] = field(default_factory=dict)
    approved_at: datetime | None = None
    expires_at: datetime | None = None
    until: Mapping[str, datetime] = field(default_factory=dict)
    """Carrier -> the first moment at which it is registered there no more; without: it has no end."""

    def registration(self, carrier: str, at: datetime) -> Registration:
        """How it stands with a carrier then."""
        said, until = self.carriers.get(carrier, Registration.PENDING), self.until.get(carrier)
        over = said is Registration.REGISTERED and until is not None and until <= at
        return Registration.EXPIRED if over else said


class ContentBook:
    """All signatures and templates, by who may use them: an account uses its own and those of the accounts above."""

    def __init__(self, signs: Iterable[Sign] = (), templates: Iterable[Template] = ()) -> None:
        self._signs = {(s.account_id, s.text): s for s in signs}
        self._templates = {t.id: t for t in templates}
        self._approved: dict[int, list[Template]] = {}
        for template in self._templates.values():
            if template.state is Review.APPROVED:
                self._approved.setdefault(template.account_id, []).append(template)

    def sign(self, accounts: Sequence[int], text: str) -> Sign | None:
        """The signature as one of the accounts has it; an approved one before others."""
        found = [s for a in accounts if (s := self._signs.get((a, text))) is not None]
        return min(found, key=lambda s: s.state is not Review.APPROVED, default=None)

    def template(self, accounts: Sequence[int], id_: int) -> Template | None:
        """A template of one of the accounts."""
        found = self._templates.get(id_)
        return found if found is not None and found.account_id in accounts else None

    def signs(self, accounts: Sequence[int], at: datetime) -> list[str]:
        """Texts of the approved signatures that accounts may use then, in order."""
        good = {
            s.text
            for (a, _), s in self._signs.items()
            if a in accounts and s.state is Review.APPROVED and (s.expires_at is None or s.expires_at > at)
        }
        return sorted(good)

    def usable(self, accounts: Sequence[int]) -> list[Template]:
        """Approved templates that accounts may use, the newest first."""
        found = [t for a in accounts for t in self._approved.get(a, ())]
        return sorted(found, key=lambda t: -t.id)

    def targets(self, accounts: Sequence[int]) -> set[str]:
        """What the links of approved templates lead to, which accounts may use."""
        return {target for a in accounts for t in self._approved.get(a, ()) for target in t.targets}

    def matching(self, accounts: Sequence[int], kind: str, sign: str, content: str) -> Template | None:
        """The first approved template by which a text (without signature) may have been made."""
        patience = Patience()
        for account_id in accounts:
            for template in self._approved.get(account_id, ()):
                if template.type == kind and template.sign in ("", sign) and template.made(content, patience):
                    return template
        return None
