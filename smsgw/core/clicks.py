"""Clicks on short links: who has opened one, a person or a program. Pure: it can be judged again by newer rules.

Chat programs fetch what is pasted into them, security products open what arrives, browsers load what they think is
next: counted as people they make any link look read. Each rule says by what a program gives itself away; what none of
them says anything of is a person.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from ahocorasick_rs import AhoCorasick
from crawlerdetect.providers.crawlers import data as known_crawlers

RULES = 1
"""Version of what stands below: clicks remember by which they were judged."""
MOST = 300
"""Characters of a header that are kept and looked at."""
BURST_CODES = 8
"""Different codes that one address opens with the same program within …"""
BURST_SECONDS = 10
"""… so many seconds before or after are opened by no person. Carriers put many phones behind one address, yet hardly so
many of the same model, system and browser at once."""

_PREFETCH = ("prefetch", "prerender", "preview")
# Programs that show a page beside a chat message, by the word in their header User-Agent, in small letters.
_PREVIEWS = (
    "facebookexternalhit", "facebot", "twitterbot", "telegrambot", "whatsapp/", "slackbot", "slack-imgproxy",
    "discordbot", "linkedinbot", "skypeuripreview", "viber", "line-poker", "linepoker", "kakaotalk-scrap",
    "google-messages",
    "dingtalkbot", "dingtalk-linkservice", "lark-url-preview", "larkbot", "feishubot", "feishu-url-preview",
    "wechat-url-preview", "wxwork-url-preview", "weixin-linkpreview", "qq-urlpreview", "applebot", "iframely",
    "embedly", "snapchat-linkpreview", "redditbot", "pinterestbot", "bingpreview", "bitlybot", "microsoftpreview",
    "msteams-preview", "urlpreviewservice", "link preview", "linkpreview", "url preview", "urlpreview",
)  # fmt: skip
# Programs that look for malice, or drive a browser that nobody watches.
_SCANNERS = (
    "headlesschrome", "phantomjs", "puppeteer", "playwright", "selenium", "electron", "virustotal", "safebrowsing",
    "google-safety", "proofpoint", "barracuda", "mimecast", "forcepoint", "symantec", "kaspersky", "bitdefender",
    "urlscan", "phish", "netcraft", "checkphish", "zscaler", "fortinet", "fortiguard", "trendmicro", "trend micro",
    "paloalto", "censys", "zgrab", "nmap", "masscan", "nuclei", "sqlmap", "nikto", "wpscan", "securityscan",
    "360safe", "360webscan", "360antivirus", "qqpcmgr", "qq-url-manager", "tencentsecurity", "tencent-url-check",
    "anquan", "antiscan", "antiy", "knownsec", "scanner", "urlcheck", "url-check", "linkcheck",
)  # fmt: skip
_BROWSERS = ("mozilla/", "opera/", "ucweb/")
"""What the name of a browser begins with; a program's own way to fetch something begins with its library."""


class Verdict(StrEnum):
    """Who it was."""

    HUMAN = "human"
    HEAD = "head"
    """Asked only whether it is there."""
    PREFETCH = "prefetch"
    """A browser that loads what may be opened next."""
    PREVIEW = "preview"
    """A chat program that shows what a link leads to."""
    CRAWLER = "crawler"
    """A search engine, or a program's own fetching."""
    SCANNER = "scanner"
    """What looks for malice, or opens a lot at once."""
    ORPHAN = "orphan"
    """Whoever it was: its link is not in the database any more, as after a restore. It counts nowhere."""


@dataclass(frozen=True, slots=True)
class Hit:
    """What came with a request, each header cut to ``MOST`` characters."""

    method: str = "GET"
    agent: str = ""
    purpose: str = ""
    """``Sec-Purpose``, ``Purpose``, ``X-Purpose`` and ``X-Moz``."""
    language: str = ""
    """``Accept-Language``."""
    accept: str = ""


def alone(hit: Hit) -> Verdict:
    """What a hit says by itself."""
    if hit.method == "HEAD":
        return Verdict.HEAD
    purpose = hit.purpose[:MOST].lower()
    if any(word in purpose for word in _PREFETCH):
        return Verdict.PREFETCH
    named = _by_name(hit.agent[:MOST])
    # Every browser says which languages it wants or that it takes pages; what borrows its name often does neither.
    if named is Verdict.HUMAN and not hit.language and "text/html" not in hit.accept.lower():
        return Verdict.SCANNER
    return named


@lru_cache(maxsize=4096)
def _by_name(agent: str) -> Verdict:
    """What the name of a program says. The same phones come again and again."""
    agent = agent.lower()
    if any(word in agent for word in _PREVIEWS):
        return Verdict.PREVIEW
    if any(word in agent for word in _SCANNERS):
        return Verdict.SCANNER
    if not agent.startswith(_BROWSERS) or _is_crawler(agent):
        return Verdict.CRAWLER
    return Verdict.HUMAN


def judged(hit: Hit, codes: int) -> Verdict:
    """``codes``: how many different codes its address has opened with the same program within ``BURST_SECONDS``."""
    said = alone(hit)
    return Verdict.SCANNER if said is Verdict.HUMAN and codes >= BURST_CODES else said


# A word of it that is shorter is part of too many other words, and of names of devices.
_LONG_ENOUGH = 5
_SPECIAL = re.compile(r"\\[A-Za-z0-9]|(?<!\\)[\[\](){}|*+?^$]")
_ESCAPED = re.compile(r"\\([^A-Za-z0-9])")
_GENERIC = ("bot", "crawl", "spider", "headless", "archiver", "fetcher", "scraper", "validator", "uptime", "monitoring")
_PHONES = ("cubot", "; m bot", "; b bot", "; id bot", "; idbot", "; power bot", "htc_botdugls")
"""Devices that have such a word in their names."""


@lru_cache(maxsize=1)
def _crawlers() -> AhoCorasick:
    """The list's own expressions take 20 ms for a name; those that are plain words, which nearly all are, take 2 µs
    when all are looked for at once. What begins with anything but a browser's name needs no list."""
    plain = {_ESCAPED.sub(r"\1", one).lower() for one in known_crawlers if not _SPECIAL.search(one)}
    return AhoCorasick(sorted({word for word in plain if len(word) >= _LONG_ENOUGH} | set(_GENERIC)))


def _is_crawler(agent: str) -> bool:
    for phone in _PHONES:
        agent = agent.replace(phone, "")
    return bool(_crawlers().find_matches_as_indexes(agent))
