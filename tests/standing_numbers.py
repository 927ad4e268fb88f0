"""Numbers of which each is kept from a message for another reason, and one that gets it."""

from __future__ import annotations

from changes import by_test
from portal_site import Site

from smsgw.core.blocklist import CARRIER, MANUAL, OPT_OUT, Scope
from smsgw.core.model import MessageType, Origin
from smsgw.core.number_state import NumberState
from smsgw.core.policy import RELAXED, Listed, PolicySet, parse
from smsgw.core.templates import ContentBook, Registration, Review, Sign
from smsgw.pipeline.accept.acceptor import SendItem, SendRequest
from smsgw.platform.lists import consents, service as lists
from smsgw.platform.numbers import service as numbers
from smsgw.runtime import clock

GOOD = "13800138000"
KEPT_OFF = {
    "NUMBER_BLACKLISTED": "13800138001",
    "NUMBER_OPTED_OUT": "13800138002",
    "NUMBER_NO_CONSENT": "13800138003",
    "NUMBER_BLACKLISTED.carrier": "13800138004",
    "NUMBER_EMPTY": "13800138005",
    "NUMBER_NOT_ALLOWED": "13800138006",
    "SIGN_NOT_REGISTERED": "13000138007",
    "NUMBER_FREQ_LIMITED": "13800138008",
}
"""Class -> the number that is in it, of marketing by the account hall."""


async def stand(site: Site) -> None:
    """Put all of them where they belong; ``site`` goes by the lists."""
    hall, change, now = site.accounts["hall"], by_test(site.db), clock.now()
    for cls, source in (
        ("NUMBER_BLACKLISTED", MANUAL), ("NUMBER_OPTED_OUT", OPT_OUT), ("NUMBER_BLACKLISTED.carrier", CARRIER),
    ):  # fmt: skip
        await lists.block(change, [f"86{KEPT_OFF[cls]}"], Scope(hall), source, "test")
    await numbers.learn(change, {f"86{KEPT_OFF['NUMBER_EMPTY']}": NumberState.EMPTY}, now)
    agreed = [f"86{n}" for cls, n in {**KEPT_OFF, "valid": GOOD}.items() if cls != "NUMBER_NO_CONSENT"]
    await consents.give(change, hall, agreed, consents.Given(consents.Source.PAPER, "短信营销", "档案 1", now))
    only = [f"86{n}" for cls, n in {**KEPT_OFF, "valid": GOOD}.items() if cls != "NUMBER_NOT_ALLOWED"]
    sign = Sign(1, hall, "市政服务", Review.APPROVED, {"CMCC": Registration.REGISTERED}, now)
    fields = {name: parse(name, "off") for name in RELAXED}
    fields |= {"frequency": parse("frequency", "1/1h"), "sign_policy": parse("sign_policy", "registered"),
               "drop_empty": parse("drop_empty", "on"), "consent": parse("consent", "marketing")}  # fmt: skip
    site.snapshots.change(policies=PolicySet(
        {(0, ""): fields}, allowed=dict.fromkeys(only, ((hall, Listed.ONLY),)), restricted=frozenset({hall}),
        book=ContentBook([sign]),
    ))  # fmt: skip
    await site.follow()
    account = site.snapshots.current.account(hall)
    assert account
    item = SendItem(KEPT_OFF["NUMBER_FREQ_LIMITED"], "昨天的通知")
    sent = await site.acceptor.send(
        SendRequest(account, (item,), MessageType.MARKETING, Origin.PORTAL, "clerk")  # type: ignore[arg-type]
    )
    assert sent.accepted == 1, sent
