"""The names of browsers as people here know them; whose name is not here is called what its maker calls it."""

from __future__ import annotations

from collections.abc import Callable

from smsgw.admin.i18n import N_
from smsgw.core.user_agent import device_of

BROWSERS: dict[str, str] = {
    "360 SE": N_("360 安全浏览器"),
    "360 EE": N_("360 极速浏览器"),
    "360 Enterprise": N_("360 企业安全浏览器"),
    "Qianxin": N_("奇安信可信浏览器"),
    "UOS": N_("统信浏览器"),
    "UC": N_("UC 浏览器"),
    "WeChat": N_("微信"),
    "DingTalk": N_("钉钉"),
    "QQ": N_("QQ 浏览器"),
    "Sogou": N_("搜狗浏览器"),
    "Huawei": N_("华为浏览器"),
    "Xiaomi": N_("小米浏览器"),
}
SYSTEMS: dict[str, str] = {"HarmonyOS": N_("鸿蒙"), "UOS": N_("统信 UOS"), "Kylin": N_("银河麒麟")}
UNKNOWN = N_("未知设备")


def device(agent: str | None, say: Callable[[str], str] = str) -> str:
    """Browser and system in the reader's language."""
    found = device_of(agent or "")
    browser = say(BROWSERS.get(found.browser, found.browser)) if found.browser else ""
    parts = (f"{browser} {found.version}".strip(), say(SYSTEMS.get(found.system, found.system)) if found.system else "")
    return " · ".join(part for part in parts if part) or say(UNKNOWN)
