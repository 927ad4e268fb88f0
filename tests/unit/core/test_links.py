"""Links in texts as people write them and disguise them, and what a filing covers."""

from __future__ import annotations

import pytest

from smsgw.core.url_filings import Filed, Link, LinkBook, found_in, target_of

ALL = ("CMCC", "CUCC")


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("点击https://t.cn/Ab12领取", ["t.cn/Ab12"]), ("点 t.cn/Ab12 领取,拒收请回复R", ["t.cn/Ab12"]),
        ("详见www.Example.COM。拒收请回复R", ["www.example.com"]), ("详见 example.com,", ["example.com"]),
        ("(http://a.example.com:8080/x?y=1#z).", ["a.example.com/x?y=1#z"]), ("ｔ．ｃｎ／ａｂ 打开", ["t.cn/ab"]),
        ("https://good.com@evil.cn/x", ["evil.cn/x"]), ("https://例子.中国/x 看", ["例子.中国/x"]),
        ("看https://t.cn领取", ["t.cn"]), ("打开 淘宝.com 看", ["淘宝.com"]),
        ("http://10.1.2.3/a 和 10.1.2.4/b", ["10.1.2.3/a", "10.1.2.4/b"]),
        ("a.cn/x a.cn/x b.com", ["a.cn/x", "b.com"]), ("taobao://item?id=5", ["item?id=5"]),
        ("xn--fiqs8s.xn--fiqs8s/a", ["xn--fiqs8s.xn--fiqs8s/a"]),
    ],
)  # fmt: skip
def test_links_are_found(text: str, links: list[str]) -> None:
    assert [link.host + link.path for link in found_in(text)] == links


@pytest.mark.parametrize(
    "text",
    [
        "您好", "价格 3.5 元,共 1.25 公斤", "版本 1.2.3.4", "邮箱 service@example.com", "Node.js 课程", "第1.章",
        "2026.05.01 开始", "A.B.C", "...", "尊敬的VIP.", "10.00-12.00", "拒收请回复R",
    ],
)  # fmt: skip
def test_what_is_no_link(text: str) -> None:
    assert found_in(text) == () or "://" in text


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("Example.com", "example.com"), ("https://t.cn/Abc/", "t.cn/Abc"),
        ("http://www.example.com/", "www.example.com"), ("t.cn/a?x=1", "t.cn/a"),
    ],
)  # fmt: skip
def test_targets(text: str, target: str) -> None:
    assert target_of(text) == target


@pytest.mark.parametrize("text", ["", "nonsense", "a.com b.com", "a.com/../b", "看 a.com", "a" * 300 + ".com"])
def test_what_cannot_be_filed(text: str) -> None:
    with pytest.raises(ValueError, match="域名"):
        target_of(text)


def link(text: str) -> Link:
    (one,) = found_in(text)
    return one


@pytest.mark.parametrize(
    ("filed", "text", "covered"),
    [
        ("example.com", "https://example.com/any", True), ("example.com", "https://m.example.com/any", True),
        ("example.com", "https://badexample.com/", False), ("example.com", "https://example.com.evil.cn/", False),
        ("m.example.com", "https://example.com/", False), ("t.cn/Ab", "t.cn/Ab", True),
        ("t.cn/Ab", "t.cn/Ab/x?y", True), ("t.cn/Ab", "t.cn/Ab?y", True), ("t.cn/Ab", "t.cn/Abc", False),
        ("t.cn/Ab", "t.cn/ab", False), ("t.cn/Ab", "x.t.cn/Ab", False), ("t.cn/Ab", "t.cn/Ab/../Evil", False),
        ("t.cn/Ab", "t.cn/Ab/%2E%2e/Evil", False), ("10.1.2.3", "http://10.1.2.3/x", True),
    ],
)  # fmt: skip
def test_what_a_filing_covers(filed: str, text: str, covered: bool) -> None:
    book = LinkBook.of([Filed(filed, 0, frozenset(ALL))])
    assert book.filed(link(text), (1,), ALL) is covered


def test_carriers_and_accounts() -> None:
    book = LinkBook.of(
        [Filed("a.cn", 7, frozenset(["CMCC"])), Filed("a.cn", 0, frozenset(["CUCC"])), Filed("b.cn", 0, frozenset())]
    )
    assert book.filed(link("x.a.cn/1"), (3, 7), ["CMCC", "CUCC"])
    assert not book.filed(link("a.cn/1"), (3,), ["CMCC"])
    assert book.filed(link("a.cn/1"), (3,), ["CUCC"])
    assert not book.filed(link("b.cn/1"), (3,), ["CUCC"])
