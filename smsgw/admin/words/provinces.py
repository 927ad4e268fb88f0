"""Where numbers are at home: the provinces, called so by the tables of prefixes and addresses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from smsgw.admin.i18n import DEFAULT, N_, teller
from smsgw.core.words import Wording
from smsgw.core.words.places import ABROAD

_NAMES = (
    N_("北京"), N_("天津"), N_("河北"), N_("山西"), N_("内蒙古"), N_("辽宁"), N_("吉林"), N_("黑龙江"), N_("上海"),
    N_("江苏"), N_("浙江"), N_("安徽"), N_("福建"), N_("江西"), N_("山东"), N_("河南"), N_("湖北"), N_("湖南"),
    N_("广东"), N_("广西"), N_("海南"), N_("重庆"), N_("四川"), N_("贵州"), N_("云南"), N_("西藏"), N_("陕西"),
    N_("甘肃"), N_("青海"), N_("宁夏"), N_("新疆"), N_("香港"), N_("澳门"), N_("台湾"),
)  # fmt: skip
PROVINCES: dict[str, str] = {name: name for name in _NAMES} | {ABROAD: N_("境外")}
"""By their names; a table may have others, which are shown as they are."""


def said(name: str, say: Callable[[str], str] = str) -> str:
    """A home area in the reader's language."""
    return say(PROVINCES[name]) if name in PROVINCES else name


@cache
def _english() -> dict[str, str]:
    say = teller("en")
    return {say(name).casefold(): name for name in PROVINCES}


def chinese(typed: str) -> str:
    """A home area as tables call it, whichever of the two names was typed."""
    return _english().get(typed.strip().casefold(), typed)


@dataclass(frozen=True, slots=True)
class Region(Wording):
    """A province with a city of it; cities have one name."""

    province: str
    city: str

    def text(self, english: bool) -> str:
        """The words in one language."""
        return " · ".join(filter(None, (said(self.province, teller("en" if english else DEFAULT)), self.city)))

    __str__ = Wording.__str__
