"""What a browser calls itself, made readable: browser with its main version, and system.

A table instead of a library: those know a thousand devices by regular expressions that nobody has bounded, and not the
browsers of Chinese offices. Only whole names are looked for, so the text costs its length.
"""

from __future__ import annotations

from dataclasses import dataclass

MOST = 300
"""Characters that are looked at."""


@dataclass(frozen=True, slots=True)
class Device:
    """Names as their makers write them; ``""``: not known."""

    browser: str = ""
    version: str = ""
    """The main one."""
    system: str = ""


# The first that is found: what is made of Chrome says so after its own name, and everything calls itself Safari.
_BROWSERS: tuple[tuple[str, str], ...] = (
    ("360ENT", "360 Enterprise"), ("360SE", "360 SE"), ("360EE", "360 EE"), ("360Chrome", "360 EE"),
    ("Qaxbrowser", "Qianxin"), ("qaxbrowser", "Qianxin"), ("QAXBrowser", "Qianxin"), ("UOSBrowser", "UOS"),
    ("UBrowser", "UC"), ("UCBrowser", "UC"), ("MicroMessenger", "WeChat"), ("DingTalk", "DingTalk"),
    ("QQBrowser", "QQ"), ("MetaSr", "Sogou"), ("Maxthon", "Maxthon"), ("HuaweiBrowser", "Huawei"),
    ("MiuiBrowser", "Xiaomi"), ("SamsungBrowser", "Samsung"), ("YaBrowser", "Yandex"), ("Vivaldi", "Vivaldi"),
    ("Edg", "Edge"), ("EdgA", "Edge"), ("EdgiOS", "Edge"), ("OPR", "Opera"), ("FxiOS", "Firefox"),
    ("Firefox", "Firefox"), ("CriOS", "Chrome"), ("HeadlessChrome", "Chrome"), ("Chrome", "Chrome"),
    ("Chromium", "Chromium"),
)  # fmt: skip
_SYSTEMS: tuple[tuple[str, str], ...] = (
    ("OpenHarmony", "HarmonyOS"), ("HarmonyOS", "HarmonyOS"), ("Windows NT 10.0", "Windows 10/11"),
    ("Windows NT 6.3", "Windows 8.1"), ("Windows NT 6.2", "Windows 8"), ("Windows NT 6.1", "Windows 7"),
    ("Windows NT 5.", "Windows XP"), ("Windows", "Windows"), ("iPad", "iPadOS"), ("iPhone", "iOS"),
    ("Android", "Android"), ("Mac OS X", "macOS"), ("CrOS", "ChromeOS"), ("UOS", "UOS"), ("Kylin", "Kylin"),
    ("Linux", "Linux"),
)  # fmt: skip


def device_of(agent: str) -> Device:
    """What the header ``User-Agent`` says; of a program without a table's name its own first word."""
    agent = agent[:MOST]
    system = next((name for mark, name in _SYSTEMS if mark in agent), "")
    products = dict(part.partition("/")[::2] for part in reversed(agent.replace(";", " ").split()))
    for mark, name in _BROWSERS:
        if mark in products:
            return Device(name, _main(products[mark]), system)
    if "Version" in products and "Safari" in products:
        return Device("Safari", _main(products["Version"]), system)
    first, _, version = agent.partition(" ")[0].partition("/")
    return Device(system=system) if first == "Mozilla" else Device(first[:40], _main(version), system)


def _main(version: str) -> str:
    main = version.partition(".")[0]
    return main if main.isascii() and main.isdigit() and len(main) <= 4 else ""


_HIDDEN = frozenset({"K", "wv", "U", "Linux", "Mobile", "Tablet", "arm_64"})
"""What stands among the words about a device and is no model; ``K`` is what browsers say that hide it."""
_COMPUTERS = ("Windows", "Macintosh", "X11", "CrOS")


def hardware_of(agent: str) -> str:
    """The model of the device, as its maker calls it; else ``phone``, ``tablet`` or ``computer``; ``""``: not known."""
    agent = agent[:MOST]
    for apple, name in (("iPad", "iPad"), ("iPhone", "iPhone"), ("iPod", "iPod")):
        if apple in agent:
            return name
    about = agent.partition("(")[2].partition(")")[0]
    if "Android" in about or "HarmonyOS" in about:
        words = [word.partition(" Build/")[0].strip() for word in about.split(";")]
        models = [word for word in words[1:] if word not in _HIDDEN and not _no_model(word)]
        return models[-1][:40] if models else "phone" if "Mobile" in agent else "tablet"
    return "computer" if any(word in about for word in _COMPUTERS) else ""


def _no_model(word: str) -> bool:
    language = len(word) in (2, 5) and word[:2].isalpha() and (len(word) == 2 or word[2] in "-_")
    return not word or language or word.startswith(("Android", "HarmonyOS", "OpenHarmony", "rv:", "HMSCore"))
