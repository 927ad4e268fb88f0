"""Links in texts, and whether they were filed with the carriers (链接报备)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address

from smsgw.core.words import chinese_lexicon, labels_of, phrase

MAX_FILED = 20_000
"""Filings of all accounts."""
MAX_TARGET = 200


class Filing(StrEnum):
    """How a filing stands with a carrier."""

    PENDING = "pending"
    SUBMITTED = "submitted"
    REGISTERED = "registered"
    REFUSED = "refused"


FILING_NAMES = labels_of("filing")

# Without a scheme only what a phone would take for an address: the domains of countries, and those in use here.
_GENERIC = (
    "com net org edu gov mil int info biz name pro mobi asia tel xxx top xyz vip shop club online site website "
    "tech store live link work cloud fun ltd group wang ink icu app dev page art design press space host wiki "
    "video news email life world today zone center company city plus team run games game red blue kim love "
    "beer luxe red yoga fit gold chat social mba law host bid loan win men date party trade webcam science "
    "download stream click cyou buzz monster rest sbs bond cfd lat autos homes boats motorcycles quest skin "
    "hair makeup beauty ren xin citic baidu taobao tmall alipay wtf lol moe cool show studio media solutions "
    "services email market money finance bank"
)
_COUNTRIES = (
    "ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bw by bz "
    "ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk "
    "fm fo fr ga gd ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir "
    "is it je jm jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mg mh mk "
    "ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl "
    "pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh si sk sl sm sn so sr ss st su sv sx sy sz tc "
    "td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk us uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw"
)
_TOP = "|".join(sorted({*_GENERIC.split(), *_COUNTRIES.split()}, key=len, reverse=True))
_TOP_CHINESE = "|".join((*chinese_lexicon.DOMAINS, "com", "cn", "net", "org", "top", "vip", "xyz", "shop"))

_LABEL = r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?"
_REST = r"[a-z0-9\-._~:/?#\[\]@!$&'()*+,;=%\\|]"
_LINK = re.compile(
    rf"""
    [a-z][a-z0-9+.-]{{1,20}}://
      (?P<authority>[^\s/?\#\\,。,;!、《》【】()“”"'<>]{{1,255}})(?P<path>(?=[/?\#\\]){_REST}*)?
    | (?<![a-z0-9@_.\-])(?:
        (?P<host>(?:{_LABEL}\.){{1,10}}(?:{_TOP}|xn--[a-z0-9-]{{2,59}}))(?![a-z0-9_\-])(?!\.[a-z0-9])
        | (?P<chinese>[\w\u4e00-\u9fff-]{{0,40}}[\u4e00-\u9fff]\.(?:{_TOP_CHINESE}))(?![a-z0-9_\-.])
        | (?P<ip>\d{{1,3}}(?:\.\d{{1,3}}){{3}})(?=:\d|/)
      )(?P<port>:\d{{1,5}})?(?P<tail>(?=[/?\#]){_REST}*)?
    """,
    re.VERBOSE | re.IGNORECASE,
)
_AROUND = ".,;:!?'\")]}"
"""Punctuation that ends a sentence, not a link."""
_DOTS = re.compile(r"(?:^|[/\\])(?:\.|%2e){1,2}(?:[/\\?#]|$)", re.IGNORECASE)
"""Steps up or in place: such a path is not under the prefix that it seems to be under."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link in a text."""

    host: str
    """In lower case, without port."""
    path: str
    """From the first slash on; empty without one."""
    text: str
    """As it stands in the text (width and case aside), for people."""


def found_in(text: str) -> tuple[Link, ...]:
    """The links of a text of an allowed length, in order, each once: with a scheme, or as a phone makes them out."""
    plain = unicodedata.normalize("NFKC", text)
    if "." not in plain and "://" not in plain:
        return ()
    links: dict[tuple[str, str], Link] = {}
    for match in _LINK.finditer(plain):
        shown = match[0].rstrip(_AROUND)
        authority = match["authority"]
        if authority is not None:
            if re.match(r"[\x21-\x7e]", authority):  # what follows in Chinese belongs to the sentence
                authority = re.split(r"[^\x21-\x7e]", authority)[0]
                if not match["path"]:
                    shown = shown[: shown.index("://") + 3] + authority.rstrip(_AROUND)
            host = re.sub(r":\d*$", "", authority.rpartition("@")[2].rstrip(_AROUND))
            path = match["path"] or ""
        else:
            host, path = match["host"] or match["chinese"] or match["ip"], match["tail"] or ""
        host = host.lower().rstrip(".")
        path = path.rstrip(_AROUND)
        links.setdefault((host, path), Link(host, path, shown[:MAX_TARGET]))
    return tuple(links.values())


def target_of(text: str) -> str:
    """A domain, or a domain with the beginning of a path, as it is filed. Raises ``ValueError`` that says what is
    wanted."""
    links = found_in(text.strip()) if len(text) <= 2 * MAX_TARGET else ()
    if len(links) != 1 or len(text.strip()) > MAX_TARGET:
        raise ValueError(phrase("link.target"))
    link = links[0]
    path = link.path.partition("?")[0].partition("#")[0].rstrip("/")
    if _DOTS.search(path) or _end(text) != _end(link.text):
        raise ValueError(phrase("link.target"))
    return link.host + path


def _end(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip().rstrip(_AROUND)


def target_in(link: Link) -> str:
    """A link of a text as it would be filed: what begins with it is the same."""
    return link.host + link.path.partition("?")[0].partition("#")[0].rstrip("/")


def shown(links: Sequence[Link], most: int = 3) -> str:
    """Links for people."""
    return "、".join(link.text for link in links[:most]) + ("…" if len(links) > most else "")


@dataclass(frozen=True, slots=True)
class Filed:
    """A filing: a target, whose it is (0: everybody's), and the carriers that have it."""

    target: str
    account_id: int
    carriers: frozenset[str]


@dataclass(frozen=True)
class LinkBook:
    """What is filed, by host."""

    by_host: Mapping[str, tuple[Filed, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, filed: Iterable[Filed]) -> LinkBook:
        """Of filings that some carrier has."""
        hosts: dict[str, list[Filed]] = {}
        for one in filed:
            if one.carriers:
                hosts.setdefault(one.target.partition("/")[0], []).append(one)
        return cls({host: tuple(entries) for host, entries in hosts.items()})

    def filed(self, link: Link, accounts: Sequence[int], carriers: Iterable[str]) -> bool:
        """Whether all these carriers have the link, for one of these accounts."""
        left = set(carriers)
        for one in self._covering(link):
            if not one.account_id or one.account_id in accounts:
                left -= one.carriers
        return not left

    def known(self, link: Link, accounts: Sequence[int]) -> bool:
        """Whether some carrier has the link, for one of these accounts."""
        return any(not one.account_id or one.account_id in accounts for one in self._covering(link))

    def targets(self, accounts: Sequence[int]) -> list[str]:
        """What is on file for these accounts with some carrier."""
        return [
            one.target for entries in self.by_host.values() for one in entries
            if not one.account_id or one.account_id in accounts
        ]  # fmt: skip

    def _covering(self, link: Link) -> Iterator[Filed]:
        """A domain covers those below it; a path, what begins with it up to a slash or question mark."""
        labels = link.host.split(".")
        numeric = _is_ip(link.host)
        for n in range(1 if numeric else len(labels)):
            for one in self.by_host.get(".".join(labels[n:]), ()):
                path = one.target[len(one.target.partition("/")[0]) :]
                if not path or (
                    n == 0
                    and link.path.startswith(path)
                    and link.path[len(path) : len(path) + 1] in ("", "/", "?", "#")
                    and not _DOTS.search(link.path)
                ):
                    yield one


def _is_ip(host: str) -> bool:
    try:
        IPv4Address(host)
    except ValueError:
        return False
    return True
