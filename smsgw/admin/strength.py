"""Whether a new password can be guessed in the tries that the guard leaves to those who guess.

zxcvbn knows leaked passwords, names, words, dates, keyboard runs and how people disguise them; what people here like is
added. A password is also looked at without its disguise, and when a favourite word is all that is left of it, no number
of years, digits and exclamation marks makes it good.
"""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Iterable
from functools import cache

from smsgw.admin.words import passwords as said

MIN_PASSWORD = 10
MAX_PASSWORD = 128
MIN_GUESSES = 1e9
"""Tries that a guesser must need by zxcvbn's reckoning: at the guard's two a second, fifteen years of them."""
ONE_TIME = 16
"""Random octets of a password that is made here."""
_JUDGED = 20
"""Characters that zxcvbn looks at: they must be good enough. At worst 20 take a tenth of a second, 30 a whole one."""
_KINDS = (r"[a-z]", r"[A-Z]", r"[0-9]", r"[^a-zA-Z0-9]")
_COMMON = 10_000
"""Of the leaked passwords, the most frequent."""

PRODUCT = ("smsgw", "sms", "gateway", "duanxin", "wangguan", "pingtai")
FAVOURITES = tuple(
    """
    woaini aini woaiwojia woaiwoziji woaizhongguo wozuiaini nihao nihaoma mima mima123 mimamima wodemima guanli
    guanliyuan xitong ceshi yonghu denglu zhanghao admin administrator root test guest user manager operator
    system oracle passw0rd password iloveyou zhongguo zhonghua beijing shanghai guangzhou shenzhen tianjin
    chongqing chengdu hangzhou nanjing wuhan xian suzhou zhengzhou changsha shenyang qingdao dalian jinan xiamen
    fuzhou hefei kunming harbin haerbin guangdong sichuan jiangsu zhejiang shandong henan hebei hubei hunan fujian
    anhui china huawei zte tencent alibaba baidu xiaomi lenovo mobile unicom telecom yidong liantong dianxin cmcc
    cucc ctcc cmpp wang zhang chen yang zhao huang zhou zhangwei wangwei wangfang liwei lina zhangmin lijing
    wangjing liuwei wangxiuying zhangli zhangsan lisi wangwu zhaoliu xiaoming tiantian longlong baobei laopo
    laogong gongxifacai facai kuaile shengri xingfu aiqing pengyou wangyi taobao weixin qq qqq abc abcd abcde
    abcdef aaa aaaa asd asdf asdfgh qwe qwer qwert qwerty qaz qazwsx wsx zxc zxcv zxcvbn zaq 1314 520 5201314 521
    1314520 7758521 7758258 110110 111111 112233 123123 123321 168168 888888 666666 000000 147258 147258369 789456
    741852 963852 100200 518518 119119 12306 10086 10010 10000 5211314 1314521 8888 6666 spring summer autumn
    winter welcome hello letmein changeme default secret
    """.split()
)
"""What people here like, pinyin and numbers; places, carriers and names among them."""

_SYLLABLE = (
    "(?:zh|ch|sh|[bpmfdtnlgkhjqxrzcsyw])?"
    "(?:iang|iong|uang|ang|eng|ing|ong|iao|ian|uai|uan|van|ai|ei|ao|ou|an|en|in|un|vn|ia|ie|iu|ua|uo|ui|ue|ve|er"
    "|a|o|e|i|u|v)"
)
_NAME = re.compile(f"(?:{_SYLLABLE}){{1,3}}")
"""Up to three syllables of pinyin: a person's name, with a year behind it the commonest password of all."""
_PHONE = re.compile(r"(?:\+?86)?1[3-9][0-9]{9}")
_LEET = str.maketrans("@4310$5!7+8", "aaeiossitt" + "b")
_SHIFT = str.maketrans("!@#$%^&*()", "1234567890")


def password_problem(
    password: str, *, login: str, name: str, brand: Iterable[str], length: int = MIN_PASSWORD, classes: int = 3
) -> str | None:
    """Why a new password is not good enough (Chinese source text), or ``None``.

    ``login`` and ``name`` are the person's, ``brand`` what the platform and its purchaser are called; ``length`` and
    ``classes`` of characters are the policy's, never less than ours. Takes milliseconds, at worst a tenth of a second:
    for a thread.
    """
    if len(password) < MIN_PASSWORD:
        return said.SHORT_PASSWORD
    if len(password) < length:
        return said.SHORTER_THAN_POLICY
    if len(password) > MAX_PASSWORD:
        return said.LONG_PASSWORD
    kinds = sum(bool(re.search(kind, password)) for kind in _KINDS)
    if kinds < 3:
        return said.FEW_KINDS
    if kinds < classes:
        return said.ALL_KINDS
    if login and login.lower() in password.lower():
        return said.LOGIN_IN_PASSWORD
    about = {word for text in (login, name, *PRODUCT, *brand) for word in _words(text)}
    judged = _PHONE.sub("", password)  # a phone number is no secret, but eleven digits to a machine
    if _one_word(judged, about) or _guesses(judged[:_JUDGED], about) < MIN_GUESSES:
        return said.COMMON_PASSWORD
    return None


def one_time_password(login: str, name: str) -> str:
    """A new one of 128 random bits, for somebody's first login; good enough, too. May take a tenth of a second."""
    while password_problem(made := secrets.token_urlsafe(ONE_TIME), login=login, name=name, brand=()):
        pass  # one in thousands has two kinds of characters, or somebody's name in it
    return made


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\W_]+|(?<=\D)(?=\d)|(?<=\d)(?=\D)", text.lower()) if len(word) > 2]


def _plain(password: str) -> set[str]:
    """What may be meant: letters for the signs that look like them, the keys without Shift."""
    lower = password.lower()
    return {lower, lower.translate(_LEET), lower.translate(_SHIFT)}


def _one_word(password: str, about: set[str]) -> bool:
    """Whether its letters are one favourite word or a name, or that word again and again."""
    for plain in _plain(password):
        letters = "".join(re.findall(r"[a-z]+", plain))
        if _NAME.fullmatch(letters):
            return True
        for n in range(1, len(letters) + 1):
            if not len(letters) % n and letters == letters[:n] * (len(letters) // n):
                if n < 3 or letters[:n] in about or letters[:n] in _common():
                    return True
                break
    return False


@cache
def _common() -> frozenset[str]:
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # its lists are large: read when there is a password to judge

    lists = (FREQUENCY_LISTS[kind] for kind in ("surnames", "male_names", "female_names"))
    leaked = FREQUENCY_LISTS["passwords"][:_COMMON]
    words = (word for some in (leaked, *lists) for word in some)
    return frozenset(word for word in (*FAVOURITES, *words) if len(word) > 2)


def _guesses(password: str, about: set[str]) -> float:
    """Tries that it takes: the fewest of its disguises."""
    from zxcvbn import zxcvbn

    known = [*sorted(about), *FAVOURITES]
    return min(
        (float(zxcvbn(plain, user_inputs=known)["guesses"]) for plain in {password, *_plain(password)} if plain),
        default=-math.inf,
    )
