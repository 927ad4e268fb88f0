"""Words in texts: found in any disguise, at their place."""

from __future__ import annotations

import random

import pytest
from ahocorasick_rs import AhoCorasick

from smsgw.core.keywords import Action, Plain, Word, WordFilter, named, replaced
from smsgw.store.config import traditional


def found(words: list[Word], text: str, **scope: object) -> list[str]:
    sought = WordFilter(words, Plain(traditional.load()))
    return [text[h.start : h.end] for h in sought.find(text, **scope)]  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["赌博", "賭博", "赌-博", "赌 . 博", "赌\u200b博", "賭【】博", "澳门赌，博场"])
def test_a_word_in_disguise(text: str) -> None:
    (hit,) = found([Word("赌博")], text)
    assert hit[0] in "赌賭"
    assert hit[-1] == "博"


@pytest.mark.parametrize(
    ("word", "text", "hits"),
    [
        ("sex", "Essex sexy SEX ｓｅｘ s.e.x County's exam", ["SEX", "ｓｅｘ", "s.e.x"]),
        ("10086", "拨打10086,不是100861", ["10086"]), ("发票", "代开發·票", ["發·票"]), ("A片", "看a 片", ["a 片"]),
        ("ﬁne", "FINE", ["FINE"]),
    ],
)  # fmt: skip
def test_where_it_stands(word: str, text: str, hits: list[str]) -> None:
    assert found([Word(word)], text) == hits


def test_for_whom_it_counts() -> None:
    words = [Word("甲", account_id=1), Word("乙", type="marketing"), Word("丙")]
    assert found(words, "甲乙丙", accounts=(2,), type_="otp") == ["丙"]
    assert found(words, "甲乙丙", accounts=(3, 1), type_="marketing") == ["甲", "乙", "丙"]


def test_replacing_takes_the_first_and_longest() -> None:
    how = {"代开": "", "代开发票": "×", "发票": ""}
    words = [Word(word, "", Action.REPLACE, by) for word, by in how.items()]
    text = "代开-发票,发票"
    hits = WordFilter(words).find(text)
    assert replaced(text, hits) == "×,**"
    assert replaced("无", []) == "无"


def test_what_people_are_told() -> None:
    words = [Word(f"词{n}", "类") for n in "一二三四五六"]
    hits = WordFilter(words).find("词一词二词三词四词五词六词一")
    assert named(hits) == "词一(类)、词二(类)、词三(类)、词四(类)、词五(类)…"


def test_a_word_without_letters_is_none() -> None:
    with pytest.raises(ValueError, match="letters"):
        WordFilter([Word("!!")])
    assert WordFilter().find("anything") == []


def test_positions_are_those_of_the_text() -> None:
    """Whatever stands around it, the hit begins and ends with the word's own characters."""
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
