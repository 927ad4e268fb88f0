"""Who opens short links: a log of 500 hits with what they were, judged; and what single rules must not do."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from smsgw.core.clicks import BURST_CODES, MOST, Hit, Verdict, alone, judged

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


@pytest.mark.parametrize(("verdict", "agent"), [(v, a) for v, some in PROGRAMS.items() for a in some])
def test_a_program_is_called_what_it_is(verdict: Verdict, agent: str) -> None:
    assert alone(Hit("GET", agent, "", LANGUAGE, ACCEPT)) is verdict


def test_a_long_name_costs_no_more() -> None:
    """What comes behind the first characters is not looked at: neither of the program nor of its purpose."""
    browser = "Mozilla/5.0 "
    for beyond in ("googlebot", "headlesschrome", "telegrambot"):
        assert alone(Hit("GET", browser.ljust(MOST, "(") + beyond, "", LANGUAGE, ACCEPT)) is Verdict.HUMAN
        assert alone(Hit("GET", browser.ljust(MOST - 20, "(") + beyond, "", LANGUAGE, ACCEPT)) is not Verdict.HUMAN
    assert alone(Hit("GET", browser, " " * MOST + "prefetch", LANGUAGE, ACCEPT)) is Verdict.HUMAN
    assert alone(Hit("GET", browser, " " * (MOST - 20) + "prefetch", LANGUAGE, ACCEPT)) is Verdict.PREFETCH
