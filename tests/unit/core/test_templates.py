"""Templates: what texts could have been made with one, against the meaning that they have, and at what cost."""

from __future__ import annotations

import itertools
import re

import pytest
from adversarial import BOUND, TEXTS, cost, dear
from hypothesis import given, settings
from hypothesis import strategies as st

from smsgw.core.templates import PLACE, ContentBook, Form, Review, Template, Variable, variables_of

KINDS = {
    Form.TEXT: r"[^\r\n【】]",
    Form.DIGITS: r"[0-9]",
    Form.ALNUM: r"[A-Za-z0-9]",
    Form.AMOUNT: r"[0-9.,+\-]",
    Form.DATE: r"[0-9年月日时分秒号点星期周上下午一二三四五六天 :/.\-]",
}
PIECES = ["a", "1", ",", "月", "ab", "\n"]
NAMES = ["甲", "b", "c"]


def template_of(content: str, forms: dict[str, Variable] | None = None) -> Template:
    known = {n: v for n, v in (forms or {}).items() if f"{{{n}}}" in content}
    return Template(1, 1, "notice", content, variables_of(content, known))


def meaning(template: Template) -> re.Pattern[str]:
    """What a template means, as an expression that takes its time."""
    pieces = PLACE.split(template.content)
    groups: dict[str, str] = {}
    pattern = re.escape(pieces[0])
    for name, rest in zip(pieces[1::2], pieces[2::2], strict=True):
        variable = template.variables[name]
        if name in groups:
            pattern += f"(?P={groups[name]})"
        else:
            groups[name] = f"g{len(groups)}"
            pattern += f"(?P<{groups[name]}>{KINDS[variable.form]}{{1,{variable.most}}})"
        pattern += re.escape(rest)
    return re.compile(pattern)


VARIABLES = st.builds(Variable, st.sampled_from(Form), st.integers(1, 4))
CONTENTS = st.lists(st.sampled_from([*PIECES, *(f"{{{n}}}" for n in NAMES)]), min_size=1, max_size=6).map("".join)
LETTERS = st.lists(st.sampled_from([*PIECES, "【", "-", "5", "z"]), max_size=9).map("".join)


@pytest.mark.parametrize("content", ["{b}", "1{b}", "{b}1", "{b}{c}"])
@pytest.mark.parametrize("most", range(1, 8))
def test_a_place_takes_its_kind_alone_and_no_more_than_it_may(content: str, most: int) -> None:
    """All short texts, as chance finds the few that tell one step of the arithmetic from another too seldom."""
    template = template_of(content, {"b": Variable(Form.DIGITS, most), "c": Variable(Form.DIGITS, 2)})
    expression = meaning(template)
    texts = ["".join(letters) for length in range(9) for letters in itertools.product("1a", repeat=length)]
    assert [text for text in texts if template.made(text)] == [t for t in texts if expression.fullmatch(t)]


@settings(max_examples=1500, deadline=None)
@given(CONTENTS, st.fixed_dictionaries(dict.fromkeys(NAMES, VARIABLES)), LETTERS)
def test_a_text_is_made_exactly_when_the_expression_says_so(
    content: str, forms: dict[str, Variable], text: str
) -> None:
    template = template_of(content, forms)
    assert template.made(text) == (meaning(template).fullmatch(text) is not None)


@settings(max_examples=500, deadline=None)
@given(CONTENTS, st.fixed_dictionaries(dict.fromkeys(NAMES, VARIABLES)), st.data())
def test_what_a_template_makes_could_have_been_made_with_it(
    content: str, forms: dict[str, Variable], data: st.DataObject
) -> None:
    template = template_of(content, forms)
    values = {
        name: data.draw(st.from_regex(re.compile(f"{KINDS[v.form]}{{1,{v.most}}}", re.ASCII), fullmatch=True))
        for name, v in template.variables.items()
    }
    made = template.fill(values)
    assert template.made(made)
    changed = made[:-1] + ("x" if made[-1] != "x" else "y")
    assert template.made(changed) == (meaning(template).fullmatch(changed) is not None)


@pytest.mark.parametrize(
    ("content", "text", "made"),
    [
        ("{a}", "", False), ("{a}", "x" * 35, True), ("{a}", "x" * 36, False), ("{a}{b}", "x" * 70, True),
        ("{a}{b}", "x" * 71, False), ("您好{a}再见", "您好再见再见", True), ("{a},{a}", "一二,一二", True),
        ("{a},{a}", "一二,一", False), ("{a}{a}{a}", "ababab", True), ("{a}{a}{a}", "ababa", False),
        ("{a}{b}{a}{b}", "12341234", True), ("{a}{b}{a}{b}", "12341235", False), ("没有变量", "没有变量", True),
        ("没有变量", "没有变量。", False),
    ],
)  # fmt: skip
def test_examples(content: str, text: str, made: bool) -> None:
    assert template_of(content).made(text) is made


SIX = "尊敬的{a},{b},{c},{d},{e},{f}。"
MANY = "".join(f"{{v{n}}}" for n in range(30))
COMMAS = ",".join(f"{{v{n}}}" for n in range(30)) + "。"
TWINS = "".join(f"{{v{n % 15}}}" for n in range(30)) + "。"
LONG = {f"v{n}": Variable(Form.TEXT, 200) for n in range(30)}


def test_commas_that_could_be_anywhere() -> None:
    """A hundred and twenty of them between six variables have billions of divisions."""
    assert cost(lambda: template_of(SIX).made("尊敬的" + "," * 120)) < BOUND


@pytest.mark.parametrize("content", [SIX, MANY, COMMAS, TWINS, "{a}{b}{a}", "尊敬的{a}" * 20], ids=range(6))
def test_no_text_of_an_allowed_length_takes_long(content: str) -> None:
    template = template_of(content, LONG)
    texts = {name: text[:1000] for name, text in TEXTS.items()}
    texts |= {"its own pieces": (content * 100)[:1000], "and its end": "尊敬的" + "," * 900 + "。"}
    assert not dear({name: lambda text=text: template.made(text) for name, text in texts.items()}, BOUND / 2)


def test_repeated_variables_that_no_value_fits() -> None:
    """Whether values can agree is not decided at any price: what is not found soon is no match."""
    text = "ab" * 300 + "ac" * 180 + "。"
    assert cost(lambda: template_of(TWINS, LONG).made(text)) < BOUND / 2


def test_many_templates_with_repeated_variables() -> None:
    """What may be tried is for a text, not for each template that it is held against."""
    content = "{a}{b}{c}{a}{b}{c}"
    variables = variables_of(content, {name: Variable(Form.TEXT, 200) for name in "abc"})
    book = ContentBook(
        templates=[Template(n, 1, "notice", content, variables, state=Review.APPROVED) for n in range(50)]
    )
    text = "a" * 399 + "b"
    assert book.matching([1], "notice", "", text) is None
    assert cost(lambda: book.matching([1], "notice", "", text)) < BOUND
    assert book.matching([1], "notice", "", "abcabc") is not None


def test_templates_that_somebody_makes() -> None:
    assert not dear({name: lambda text=text: _try(text) for name, text in TEXTS.items()})


def _try(content: str) -> None:
    try:
        variables_of(content, {})
    except ValueError:
        return
