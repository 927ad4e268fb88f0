"""Short links: their codes, where they may lead, who opens them, and by which browser."""

from __future__ import annotations

import itertools
import os
import time
from collections import Counter

import pytest
from hypothesis import given, strategies as st

from smsgw.core.clicks import BURST_CODES, MOST, Hit, Verdict, alone, judged
from smsgw.core.link_targets import checked, host_of
from smsgw.core.short_codes import ALPHABET, LENGTH, SERIALS, Permutation, is_chosen
from smsgw.core.user_agent import Device, device_of

ANDROID = "Mozilla/5.0 (Linux; Android {v}; {model} Build/{b}; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 "
PEOPLE = (
    ANDROID + "Chrome/116.0.0.0 Mobile Safari/537.36 XWEB/1160 MMWEBSDK/20231202 MMWEBID/{n} MicroMessenger/8.0.47.2560"
    "(0x28002F51) WeChat/arm64 Weixin NetType/4G Language/zh_CN ABI/arm64",
    ANDROID + "Chrome/83.0.4103.106 MQQBrowser/6.2 TBS/045713 Mobile Safari/537.36 V1_AND_SQ_8.8.17_2_YYB QQ/8.8.17",
    ANDROID + "Chrome/100.0.4896.58 Mobile Safari/537.36 AliApp(DingTalk/7.0.50) com.alibaba.android.rimet/{n}",
    ANDROID + "Chrome/97.0.4692.98 Mobile Safari/537.36 T7/13.35 SP-engine/2.73.0 baiduboxapp/13.35.0.10 (Baidu)",
    "Mozilla/5.0 (Linux; U; Android {v}; zh-cn; {model} Build/{b}) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 "
    "Chrome/71.0.3578.141 Mobile Safari/537.36 XiaoMi/MiuiBrowser/12.13.{n}",
    "Mozilla/5.0 (Linux; Android {v}; HarmonyOS; {model}; HMSCore 6.13.0.302) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/99.0.4844.88 HuaweiBrowser/14.0.2.{n} Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; U; Android {v}; zh-CN; {model} Build/{b}) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 "
    "Chrome/100.0.4896.58 UCBrowser/15.7.8.{n} Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; U; Android {v}; zh-cn; {model} Build/{b}) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 "
    "Chrome/90.0.4430.61 Mobile Safari/537.36 HeyTapBrowser/40.8.18.{n}",
    "Mozilla/5.0 (Linux; Android {v}; {model}) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/23.0 "
    "Chrome/115.0.0.{n} Mobile Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4_{n} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.4 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 16_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/20F66 "
    "MicroMessenger/8.0.48(0x180030{n}) NetType/WIFI Language/zh_CN",
    "Mozilla/5.0 (iPad; CPU OS 15_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/120.0.6099.{n} "
    "Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.{n} Safari/537.36 "
    "Edg/120.0",
    "Mozilla/5.0 (Phone; OpenHarmony 5.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/114.0.{n} Safari/537.36 "
    "ArkWeb/4.1.6.1 Mobile HuaweiBrowser/5.0.4.300",
)
MODELS = (
    ("13", "V2171A", "TP1A.220624.014"), ("12", "NOH-AN00", "HUAWEINOH-AN00"), ("9", "Redmi Note 8", "PKQ1.190616.001"),
    ("14", "PGBM10", "UKQ1.230924.001"), ("11", "CUBOT X30", "RP1A.200720.011"), ("10", "SM-G9600", "QP1A.190711.020"),
    ("13", "2211133C", "TKQ1.220905.001"), ("8.1.0", "vivo X20A", "OPM1.171019.019"), ("12", "RMX3461", "SKQ1.210908"),
)  # fmt: skip
PROGRAMS = {
    Verdict.PREVIEW: (
        "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", "Twitterbot/1.0",
        "TelegramBot (like TwitterBot)", "WhatsApp/2.23.20.0 A",
        "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
        "DingTalkBot-LinkService/1.0 (+https://open.dingtalk.com)", "Mozilla/5.0 (compatible; Discordbot/2.0)",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_1) AppleWebKit/601.2.4 (KHTML, like Gecko) Version/9.0.1 "
        "Safari/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0",
        "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5", "Lark-Url-Preview/1.0",
    ),
    Verdict.CRAWLER: (
        "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)",
        "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120 "
        "Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (Linux; Android 7.0;) AppleWebKit/537.36 (KHTML, like Gecko) Mobile Safari/537.36 (compatible; "
        "PetalBot;+https://webmaster.petalsearch.com/site/petalbot)",
        "Mozilla/5.0 (compatible; YisouSpider/5.0)",
        "Sogou web spider/4.0(+http://www.sogou.com/docs/help/webmasters.htm)",
        "curl/8.4.0", "python-requests/2.31.0", "Go-http-client/1.1", "okhttp/4.9.3",
        "Apache-HttpClient/4.5.13 (Java/1.8)",
        "Dalvik/2.1.0 (Linux; U; Android 12; NOH-AN00)", "Java/11.0.2", "", "Mozilla/5.0 (compatible; AhrefsBot/7.0)",
        "MobileSafari/604.1 CFNetwork/1410 Darwin/22.6.0", "libwww-perl/6.67", "Mozilla/5.0 (compatible; bingbot/2.0)",
    ),
    Verdict.SCANNER: (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/119.0.0.0 Safari/537.36",
        "Mozilla/5.0 (compatible; CensysInspect/1.1; +https://about.censys.io/)", "Mozilla/5.0 zgrab/0.x",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 PhishTank/1.0",
    ),
}  # fmt: skip
LANGUAGE, ACCEPT = "zh-CN,zh;q=0.9", "text/html,application/xhtml+xml,*/*;q=0.8"


def labelled() -> list[tuple[Hit, int, bool]]:
    """500 hits: what came, how many codes its address has opened around it, and whether it was a person."""
    log: list[tuple[Hit, int, bool]] = []
    for n, (agent, (version, model, build)) in enumerate(itertools.product(PEOPLE, MODELS)):
        named = agent.format(v=version, model=model, b=build, n=n)
        # Some web views send no languages, some no pages in Accept; phones behind one address open several codes.
        hit = Hit("GET", named, "", "" if n % 7 == 0 else LANGUAGE, "*/*" if n % 11 == 5 and n % 7 else ACCEPT)
        log += [(hit, n % 4, True), (hit, n % (BURST_CODES - 1), True)]
    names = [name for some in PROGRAMS.values() for name in some]
    for n in range(150):
        sent = (LANGUAGE if n % 3 else "", ACCEPT if n % 2 else "*/*")
        log.append((Hit("GET", names[n % len(names)], "", *sent), 1, False))
    phone = PEOPLE[0].format(v="13", model="V2171A", b="TP1A", n=1)
    log += [(Hit("HEAD", phone, "", LANGUAGE, ACCEPT), 1, False)] * 20
    for purpose in ("prefetch", "prefetch;prerender", "prefetch;anonymous-client-ip", "preview"):
        log += [(Hit("GET", phone, purpose, LANGUAGE, ACCEPT), 1, False)] * 8
    # A security gateway under a browser's name: without the headers of one, or one code after the other.
    log += [(Hit("GET", phone, "", "", "*/*"), 1, False)] * 20
    log += [(Hit("GET", phone, "", LANGUAGE, ACCEPT), BURST_CODES + n, False) for n in range(26)]
    assert len(log) == 500
    return log


def test_a_labelled_log_is_judged_right() -> None:
    counts = Counter((human, judged(hit, codes) is Verdict.HUMAN) for hit, codes, human in labelled())
    right, missed, wrong = counts[True, True], counts[True, False], counts[False, True]
    assert right / (right + wrong) >= 0.95, "precision"
    assert right / (right + missed) >= 0.95, "recall"
    for verdict, agent in [(v, a) for v, some in PROGRAMS.items() for a in some]:  # a program is called what it is
        assert alone(Hit("GET", agent, "", LANGUAGE, ACCEPT)) is verdict
    # What comes behind the first characters is not looked at: neither of the program nor of its purpose.
    browser = "Mozilla/5.0 "  # a long name costs no more
    for beyond in ("googlebot", "headlesschrome", "telegrambot"):
        assert alone(Hit("GET", browser.ljust(MOST, "(") + beyond, "", LANGUAGE, ACCEPT)) is Verdict.HUMAN
        assert alone(Hit("GET", browser.ljust(MOST - 20, "(") + beyond, "", LANGUAGE, ACCEPT)) is not Verdict.HUMAN
    assert alone(Hit("GET", browser, " " * MOST + "prefetch", LANGUAGE, ACCEPT)) is Verdict.HUMAN
    assert alone(Hit("GET", browser, " " * (MOST - 20) + "prefetch", LANGUAGE, ACCEPT)) is Verdict.PREFETCH


CODES = Permutation(bytes(range(32)))


@given(st.integers(0, SERIALS - 1))
def test_a_code_leads_back_to_its_serial(serial: int) -> None:
    code = CODES.code(serial)
    assert len(code) == LENGTH
    assert set(code) <= set(ALPHABET)
    assert CODES.serial(code) == serial


@given(st.text(max_size=12))
def test_whatever_is_opened_has_one_serial_or_none(text: str) -> None:
    serial = CODES.serial(text)
    assert serial is None or CODES.code(serial) == text


def test_codes_of_neighbours_and_of_other_keys_have_nothing_in_common() -> None:
    """Codes of a link in order: no two the same, every character everywhere, and no step between them that repeats."""
    codes = [CODES.code(serial) for serial in range(20_000)]
    assert len(set(codes)) == len(codes)
    for place in range(LENGTH):
        counts = Counter(code[place] for code in codes)
        assert set(counts) == set(ALPHABET)
        assert max(counts.values()) < 1.35 * len(codes) / 58
    values = [int.from_bytes(code.encode()) for code in codes]
    steps = Counter(b - a for a, b in itertools.pairwise(values))
    assert steps.most_common(1)[0][1] <= 2
    other = Permutation(os.urandom(32))  # another key makes other codes
    assert not {CODES.code(n) for n in range(500)} & {other.code(n) for n in range(500)}
    assert CODES.code(0) == Permutation(bytes(range(32))).code(0) == "rzYTvw3m"
    for serial in (-1, SERIALS):
        with pytest.raises(ValueError, match="serial"):
            CODES.code(serial)
    for code in ("spring", "a-b2", "618sale", "double-eleven-2026", "a" * 20):  # what may be chosen as a code
        assert is_chosen(code), code
    for code in (
        "", "abc", "abcd5678", "Spring", "-abcd", "abcd-", "春天快乐", "a/bc", "a" * 21, "ready", "health", "ab\n",
    ):  # fmt: skip
        assert not is_chosen(code), code


def test_a_target_stays_as_it_was_given_or_is_written_in_ascii() -> None:
    for target, written in (
        ("https://www.example.cn/a?b=c#d", "https://www.example.cn/a?b=c#d"),
        (" http://Example.CN ", "http://Example.CN"),
        ("https://example.cn/~a%7eb?x=a+b&y=%2f&sign=%E4%bd", "https://example.cn/~a%7eb?x=a+b&y=%2f&sign=%E4%bd"),
        ("https://example.cn?a=[1]", "https://example.cn?a=[1]"),
        ("https://example.cn/?a=<i>", "https://example.cn/?a=%3Ci%3E"),
        ("https://example.cn/100%", "https://example.cn/100%25"),
        ("https://政务.中国/办事", "https://xn--zfr164b.xn--fiqs8s/%E5%8A%9E%E4%BA%8B"),
        ("https://8.8.8.8:8443/x", "https://8.8.8.8:8443/x"),
    ):
        assert checked(target, ["s.example.cn"]) == written
        assert host_of(written)


@pytest.mark.parametrize(
    "target",
    [
        "", "www.example.cn", "javascript:alert(1)", "data:text/html,x", "//example.cn", "ftp://example.cn/", "https://",
        "https://user@example.cn/", "https://user:pw@example.cn/", "https://:pw@example.cn/", "https://example.cn/a b",
        "https://example.cn/\r\nSet-Cookie: a=b", "https://example.cn\\@evil.cn/", "https://s.example.cn/abc",
        "https://S.EXAMPLE.CN./abc", "http://localhost/", "http://intranet/", "http://127.0.0.1/", "http://10.1.2.3/",
        "http://[::1]/", "http://[fd00::1]/", "http://169.254.169.254/latest", "http://2130706433/", "http://0x7f.1/",
        "http://127.1/", "http://db.internal/", "https://example.cn:99999/", "https://example.cn/" + "a" * 2000,
        "http://[::ffff:127.0.0.1]/", "http://[::ffff:10.0.0.1]/", "https://example.cn/\u202egpj.exe",
        "https://exam%70le.cn/", "http://%31%30.0.0.1/",
        "http://１２７.0.0.1/", "http://127。0。0。1/",
    ],
)  # fmt: skip
def test_a_target_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        checked(target, ["s.example.cn"])


_CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/108.0.5359.95 Safari/537.36"


def test_what_a_browser_is() -> None:
    for agent, device in (
        (f"Mozilla/5.0 (Windows NT 6.1; Win64; x64) {_CHROME} QIHU 360SE", Device("360 SE", "", "Windows 7")),
        (f"Mozilla/5.0 (Windows NT 10.0; WOW64) {_CHROME} QIHU 360EE", Device("360 EE", "", "Windows 10/11")),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROME} Edg/120.0.2210.91",
         Device("Edge", "120", "Windows 10/11")),
        (f"Mozilla/5.0 (X11; Linux x86_64) {_CHROME}", Device("Chrome", "108", "Linux")),
        (f"Mozilla/5.0 (X11; Linux x86_64) {_CHROME} UOS", Device("Chrome", "108", "UOS")),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:102.0) Gecko/20100101 Firefox/102.0", Device("Firefox", "102", "Linux")),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 "
         "Safari/605.1.15", Device("Safari", "17", "macOS")),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
         "Mobile/15E148 MicroMessenger/8.0.43(0x18002b2f) NetType/WIFI", Device("WeChat", "8", "iOS")),
        (f"Mozilla/5.0 (Linux; Android 12; HarmonyOS; ELS-AN00) {_CHROME} HuaweiBrowser/14.0.2.300",
         Device("Huawei", "14", "HarmonyOS")),
        ("curl/8.5.0", Device("curl", "8", "")),
        ("Python/3.11 aiohttp/3.9.1", Device("Python", "3", "")),
        ("Mozilla/5.0", Device()),
        ("", Device()),
        ("/" * 300, Device()),
    ):  # fmt: skip
        assert device_of(agent) == device
    agent = "Chrome/" * 1_000_000  # a long one costs no more
    began = time.process_time()
    for _ in range(100):
        device_of(agent)
    assert time.process_time() - began < 1.0
