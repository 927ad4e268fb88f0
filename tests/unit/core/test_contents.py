"""What is found in texts: words, links, templates, and what two texts have in common."""

from __future__ import annotations

import itertools
import random
import re
from functools import partial

import pytest
from adversarial import BOUND, TEXTS, cost, dear
from ahocorasick_rs import AhoCorasick
from hypothesis import given, settings, strategies as st
from targets import KINDS, meaning

from smsgw.core.keywords import Action, Plain, Word, WordFilter, named, replaced
from smsgw.core.templates import ContentBook, Form, Review, Template, Variable, variables_of
from smsgw.core.text_similarity import ANY, MOST, compared, likeness, pairs
from smsgw.core.url_filings import Filed, Link, LinkBook, found_in, target_of
from smsgw.store.config import traditional


def found(words: list[Word], text: str, **scope: object) -> list[str]:
    sought = WordFilter(words, Plain(traditional.load()))
    return [text[h.start : h.end] for h in sought.find(text, **scope)]  # type: ignore[arg-type]


def test_a_word_is_found_where_it_stands_and_for_whom_it_counts() -> None:
    for text in ("赌博", "賭博", "赌-博", "赌 . 博", "赌\u200b博", "賭【】博", "澳门赌，博场"):
        (hit,) = found([Word("赌博")], text)
        assert hit[0] in "赌賭"
        assert hit[-1] == "博"
    for word, text, hits in (  # where it stands
        ("sex", "Essex sexy SEX ｓｅｘ s.e.x County's exam", ["SEX", "ｓｅｘ", "s.e.x"]),
        ("10086", "拨打10086,不是100861", ["10086"]), ("发票", "代开發·票", ["發·票"]), ("A片", "看a 片", ["a 片"]),
        ("ﬁne", "FINE", ["FINE"]),
    ):  # fmt: skip
        assert found([Word(word)], text) == hits
    words = [Word("甲", account_id=1), Word("乙", type="marketing"), Word("丙")]  # for whom it counts
    assert found(words, "甲乙丙", accounts=(2,), type_="otp") == ["丙"]
    assert found(words, "甲乙丙", accounts=(3, 1), type_="marketing") == ["甲", "乙", "丙"]
    with pytest.raises(ValueError, match="letters"):  # a word without letters is none
        WordFilter([Word("!!")])
    assert WordFilter().find("anything") == []


def test_words_are_replaced_and_named() -> None:
    how = {"代开": "", "代开发票": "×", "发票": ""}
    words = [Word(word, "", Action.REPLACE, by) for word, by in how.items()]
    text = "代开-发票,发票"
    hits = WordFilter(words).find(text)
    assert replaced(text, hits) == "×,**"
    assert replaced("无", []) == "无"
    words = [Word(f"词{n}", "类") for n in "一二三四五六"]  # what people are told
    hits = WordFilter(words).find("词一词二词三词四词五词六词一")
    assert named(hits) == "词一(类)、词二(类)、词三(类)、词四(类)、词五(类)…"
    # Whatever stands around it, the hit begins and ends with the word's own characters.
    dice = random.Random(7)  # noqa: S311
    noise = " .·-😀㈱½ﬁｱ\u3000"
    for _ in range(300):
        before, between, after = ("".join(dice.choices(noise, k=dice.randrange(4))) for _ in range(3))
        text = f"{before}赌{between.translate({ord(c): None for c in '㈱½ﬁｱ'})}博{after}"
        (hit,) = WordFilter([Word("赌博")]).find(text)
        assert (text[hit.start], text[hit.end - 1]) == ("赌", "博")


class _Counting:
    """The automaton, which counts what it is asked."""

    def __init__(self, real: AhoCorasick) -> None:
        self.real = real
        self.asked: list[int] = []

    def find_matches_as_indexes(self, text: str, *, overlapping: bool) -> list[tuple[int, int, int]]:
        self.asked.append(len(text))
        return self.real.find_matches_as_indexes(text, overlapping=overlapping)


@pytest.mark.parametrize("n", [10, 10_000])
def test_a_text_is_gone_through_once_however_many_words_there_are(n: int) -> None:
    """What marking while typing costs: one pass over the text, and nothing for each word of the list."""
    words = [Word(f"{chr(0x4E00 + i % 5000)}{chr(0x6E00 + i // 5000)}博") for i in range(n)]
    sought = WordFilter(words, Plain(traditional.load()))
    counting = _Counting(sought._automaton)
    sought._automaton = counting
    text = "您好，" * 300 + "一  渀 博，" + "ｘ" * 90
    assert [text[h.start : h.end] for h in sought.find(text)] == ["一  渀 博"]
    assert counting.asked == [len(Plain(traditional.load()).of(text))]


ALL = ("CMCC", "CUCC")


def test_links_are_found_and_what_can_be_filed_is_written_in_one_way() -> None:
    for text, links in (
        ("点击https://t.cn/Ab12领取", ["t.cn/Ab12"]), ("点 t.cn/Ab12 领取,拒收请回复R", ["t.cn/Ab12"]),
        ("详见www.Example.COM。拒收请回复R", ["www.example.com"]), ("详见 example.com,", ["example.com"]),
        ("(http://a.example.com:8080/x?y=1#z).", ["a.example.com/x?y=1#z"]), ("ｔ．ｃｎ／ａｂ 打开", ["t.cn/ab"]),
        ("https://good.com@evil.cn/x", ["evil.cn/x"]), ("https://例子.中国/x 看", ["例子.中国/x"]),
        ("看https://t.cn领取", ["t.cn"]), ("打开 淘宝.com 看", ["淘宝.com"]),
        ("http://10.1.2.3/a 和 10.1.2.4/b", ["10.1.2.3/a", "10.1.2.4/b"]),
        ("a.cn/x a.cn/x b.com", ["a.cn/x", "b.com"]), ("taobao://item?id=5", ["item?id=5"]),
        ("xn--fiqs8s.xn--fiqs8s/a", ["xn--fiqs8s.xn--fiqs8s/a"]),
    ):  # fmt: skip
        assert [link.host + link.path for link in found_in(text)] == links
    for text in (  # what is no link
        "您好", "价格 3.5 元,共 1.25 公斤", "版本 1.2.3.4", "邮箱 service@example.com", "Node.js 课程", "第1.章",
        "2026.05.01 开始", "A.B.C", "...", "尊敬的VIP.", "10.00-12.00", "拒收请回复R",
    ):  # fmt: skip
        assert found_in(text) == () or "://" in text
    for text, target in (  # targets
        ("Example.com", "example.com"), ("https://t.cn/Abc/", "t.cn/Abc"),
        ("http://www.example.com/", "www.example.com"), ("t.cn/a?x=1", "t.cn/a"),
    ):  # fmt: skip
        assert target_of(text) == target
    for text in ("", "nonsense", "a.com b.com", "a.com/../b", "看 a.com", "a" * 300 + ".com"):  # what cannot be filed
        with pytest.raises(ValueError, match="域名"):
            target_of(text)


def link(text: str) -> Link:
    (one,) = found_in(text)
    return one


def test_what_a_filing_covers() -> None:
    for filed, text, covered in (
        ("example.com", "https://example.com/any", True), ("example.com", "https://m.example.com/any", True),
        ("example.com", "https://badexample.com/", False), ("example.com", "https://example.com.evil.cn/", False),
        ("m.example.com", "https://example.com/", False), ("t.cn/Ab", "t.cn/Ab", True),
        ("t.cn/Ab", "t.cn/Ab/x?y", True), ("t.cn/Ab", "t.cn/Ab?y", True), ("t.cn/Ab", "t.cn/Abc", False),
        ("t.cn/Ab", "t.cn/ab", False), ("t.cn/Ab", "x.t.cn/Ab", False), ("t.cn/Ab", "t.cn/Ab/../Evil", False),
        ("t.cn/Ab", "t.cn/Ab/%2E%2e/Evil", False), ("10.1.2.3", "http://10.1.2.3/x", True),
    ):  # fmt: skip
        book = LinkBook.of([Filed(filed, 0, frozenset(ALL))])
        assert book.filed(link(text), (1,), ALL) is covered
    book = LinkBook.of(  # carriers and accounts
        [Filed("a.cn", 7, frozenset(["CMCC"])), Filed("a.cn", 0, frozenset(["CUCC"])), Filed("b.cn", 0, frozenset())]
    )
    assert book.filed(link("x.a.cn/1"), (3, 7), ["CMCC", "CUCC"])
    assert not book.filed(link("a.cn/1"), (3,), ["CMCC"])
    assert book.filed(link("a.cn/1"), (3,), ["CUCC"])
    assert not book.filed(link("b.cn/1"), (3,), ["CUCC"])


texts = st.text(alphabet="ab的通知 " + ANY, max_size=60)


@given(texts, texts)
def test_both_can_be_read_off(one: str, other: str) -> None:
    found = compared(one, other)
    assert "".join(stretch.one for stretch in found) == one
    assert "".join(stretch.other for stretch in found) == other
    assert all(stretch.one == stretch.other for stretch in found if stretch.same)


@given(texts)
def test_a_text_is_like_itself(text: str) -> None:
    assert all(stretch.same for stretch in compared(text, text))
    assert likeness(pairs(text), pairs(text)) == (1.0 if len(text) > 1 else 0.0)


def test_what_stands_for_a_place_is_told_from_what_was_added() -> None:
    found = compared("关于水费的通知，请立即点击到二楼办理", f"关于{ANY}的通知，请到{ANY}办理")
    assert [(stretch.one, stretch.other) for stretch in found if not stretch.same] == [
        ("水费", ANY), ("立即点击", ""), ("二楼", ANY),
    ]  # fmt: skip
    kinds = "".join(chr(0x4E00 + n) for n in range(MOST))  # no text makes it dear
    for text in ("a" * 100_000, "ab" * 50_000, kinds, kinds[::-1], "ab" * 300 + kinds[:600]):
        for other in (kinds, "a" * 100_000, text[::-1]):
            assert cost(partial(compared, text, other)) < BOUND
            assert cost(partial(likeness, pairs(text), pairs(other))) < BOUND


PIECES = ["a", "1", ",", "月", "ab", "\n"]
NAMES = ["甲", "b", "c"]


def template_of(content: str, forms: dict[str, Variable] | None = None) -> Template:
    known = {n: v for n, v in (forms or {}).items() if f"{{{n}}}" in content}
    return Template(1, 1, "notice", content, variables_of(content, known))


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


def test_examples() -> None:
    for content, text, made in (
        ("{a}", "", False), ("{a}", "x" * 35, True), ("{a}", "x" * 36, False), ("{a}{b}", "x" * 70, True),
        ("{a}{b}", "x" * 71, False), ("您好{a}再见", "您好再见再见", True), ("{a},{a}", "一二,一二", True),
        ("{a},{a}", "一二,一", False), ("{a}{a}{a}", "ababab", True), ("{a}{a}{a}", "ababa", False),
        ("{a}{b}{a}{b}", "12341234", True), ("{a}{b}{a}{b}", "12341235", False), ("没有变量", "没有变量", True),
        ("没有变量", "没有变量。", False),
    ):  # fmt: skip
        assert template_of(content).made(text) is made


SIX = "尊敬的{a},{b},{c},{d},{e},{f}。"
MANY = "".join(f"{{v{n}}}" for n in range(30))
COMMAS = ",".join(f"{{v{n}}}" for n in range(30)) + "。"
TWINS = "".join(f"{{v{n % 15}}}" for n in range(30)) + "。"
LONG = {f"v{n}": Variable(Form.TEXT, 200) for n in range(30)}


def test_no_text_that_a_template_is_held_against_takes_long() -> None:
    """A hundred and twenty of them between six variables have billions of divisions."""
    assert cost(lambda: template_of(SIX).made("尊敬的" + "," * 120)) < BOUND
    # Whether values can agree is not decided at any price: what is not found soon is no match.
    text = "ab" * 300 + "ac" * 180 + "。"  # repeated variables that no value fits
    assert cost(lambda: template_of(TWINS, LONG).made(text)) < BOUND / 2
    # What may be tried is for a text, not for each template that it is held against.
    content = "{a}{b}{c}{a}{b}{c}"  # many templates with repeated variables
    variables = variables_of(content, {name: Variable(Form.TEXT, 200) for name in "abc"})
    book = ContentBook(
        templates=[Template(n, 1, "notice", content, variables, state=Review.APPROVED) for n in range(50)]
    )
    text = "a" * 399 + "b"
    assert book.matching([1], "notice", "", text) is None
    assert cost(lambda: book.matching([1], "notice", "", text)) < BOUND
    assert book.matching([1], "notice", "", "abcabc") is not None
    assert not dear({name: lambda text=text: _try(text) for name, text in TEXTS.items()})


@pytest.mark.parametrize("content", [SIX, MANY, COMMAS, TWINS, "{a}{b}{a}", "尊敬的{a}" * 20], ids=range(6))
def test_no_text_of_an_allowed_length_takes_long(content: str) -> None:
    template = template_of(content, LONG)
    texts = {name: text[:1000] for name, text in TEXTS.items()}
    texts |= {"its own pieces": (content * 100)[:1000], "and its end": "尊敬的" + "," * 900 + "。"}
    assert not dear({name: lambda text=text: template.made(text) for name, text in texts.items()}, BOUND / 2)


def _try(content: str) -> None:
    try:
        variables_of(content, {})
    except ValueError:
        return
