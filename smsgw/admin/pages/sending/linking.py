"""The short link of a text: one is chosen, or made on the spot, and its length is known while the text is typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from smsgw.admin.call import Call
from smsgw.admin.i18n import DEFAULT
from smsgw.admin.kit.filters import Problem, read_id
from smsgw.admin.pages.sending.wizard import Step, account_of, line_of, message
from smsgw.admin.words import compose as words
from smsgw.core.errors import Invalid, Refused
from smsgw.core.model import Account
from smsgw.core.permissions import Permission
from smsgw.core.sent_links import NAME, PLACE, LinkCode
from smsgw.platform.drafts.model import State
from smsgw.platform.links import queries
from smsgw.platform.links.model import MOST_CODES, LinkKind, LinkState, NewLink, Origin, ShortLink
from smsgw.platform.links.queries import WantedLinks
from smsgw.platform.paging import Window
from smsgw.runtime import clock

MAKE = "make_link"
"""Name of the button that makes one."""
MOST = 100
"""Links that are offered: the newest."""
_OFFERED = (LinkState.ACTIVE, LinkState.WAITING, LinkState.REVIEWING)


@dataclass(frozen=True, slots=True)
class Offered:
    """What the form has of short links."""

    links: Sequence[tuple[str, str]]
    """Id and name of those that can be chosen."""
    chosen: ShortLink | None
    state: str
    """How that stands; empty: none is chosen."""
    may_make: bool
    typed: Mapping[str, str]
    """What was typed of one that could not be made."""
    kinds: Mapping[str, str]
    place: str = PLACE
    make: str = MAKE

    @property
    def shown(self) -> bool:
        """Whether there is anything to choose or to make."""
        return bool(self.links or self.chosen or self.may_make)


async def chosen_of(call: Call, state: State, account: Account | None) -> ShortLink | None:
    """The chosen link, if it is the account's."""
    id_ = read_id(state.link) if state.link else None
    if id_ is None or account is None:
        return None
    try:
        return await queries.one(call.db, id_, accounts=line_of(account))
    except Refused:
        return None


async def address(call: Call, state: State, account: Account | None) -> dict[str, str]:
    """What stands in the place of the link while nobody has a code: as long as one."""
    chosen = await chosen_of(call, state, account)
    if chosen is None or account is None:
        return {}
    codes = await call.portal.context.tasks.links.shown(account, chosen.id)
    return {NAME: codes.at(0).address}


async def offered(step: Step) -> Offered:
    """What can be chosen for the step's account."""
    call, state = step.call, step.state
    account, now = account_of(call, state), clock.now()
    chosen = await chosen_of(call, state, account)
    found: list[ShortLink] = []
    if account is not None:
        window = Window("made_at", limit=MOST)
        found = list((await queries.search(call.db, WantedLinks(), window, accounts=line_of(account))).rows)
    usable = [one for one in found if one.state(now) in _OFFERED]
    if chosen is not None and chosen.id not in {one.id for one in usable}:
        usable.insert(0, chosen)
    named = [(str(one.id), _told(call, one)) for one in usable]
    may = call.may(Permission.LINK_EDIT) and bool(call.portal.context.tasks.links.hosts) and account is not None
    standing = "" if chosen is None else chosen.state(now).value
    return Offered(named, chosen, standing, may, step.link, words.LINK_KIND)


def _told(call: Call, one: ShortLink) -> str:
    kind = call.gettext(words.LINK_KIND[one.kind.value])
    state = one.state(clock.now())
    held = "" if state is LinkState.ACTIVE else f" · {call.gettext(words.LINK_STATE[state.value])}"
    return f"#{one.id} {one.name} · {kind}{held} · {one.target[:60]}"


async def sent(call: Call, account: Account | None) -> list[tuple[str, str]]:
    """Personal links of the account, whose clicks tell one number from another: id and name, the newest."""
    if account is None:
        return []
    window, wanted = Window("made_at", limit=MOST), WantedLinks(kind=LinkKind.PERSONAL.value)
    found = (await queries.search(call.db, wanted, window, accounts=line_of(account))).rows
    return [(str(one.id), _told(call, one)) for one in found]


def typed(data: Mapping[str, object]) -> dict[str, str]:
    """What the form says of a new link."""
    return {name: str(data.get(name, "")).strip()[:2000] for name in ("link_name", "link_target", "link_kind")}


async def make(step: Step, data: Mapping[str, object]) -> None:
    """Make the link that the form asks for, choose it, and give it a place in the text."""
    call, state = step.call, step.state
    account = account_of(call, state)
    step.link = typed(data)
    if account is None:
        step.errors["account"] = Problem(words.NO_ACCOUNT)
        return
    kind = LinkKind.SHARED if step.link["link_kind"] == LinkKind.SHARED else LinkKind.PERSONAL
    name = step.link["link_name"] or state.subject or call.gettext(words.LINK_UNNAMED)
    wanted = NewLink(
        account.id, name[:100], step.link["link_target"], kind, Origin.TASK,
        codes=MOST_CODES if kind is LinkKind.PERSONAL else 1,
    )  # fmt: skip
    try:
        made = await call.portal.context.tasks.links.make(call.change(), wanted, clock.now())
    except (Invalid, Refused) as error:
        reason = error.detail.get("reason")
        said = message(call, error) if reason is None else reason.text(call.language != DEFAULT)
        step.errors["link_target"] = Problem("%(said)s", {"said": said})
        return
    step.link = {}
    content = state.content
    if not state.template and PLACE not in content:
        content = f"{content.rstrip()} {PLACE} ".lstrip()
    step.state = msgspec.structs.replace(state, link=str(made.id), content=content)
    step.said |= {"link", "content"}


async def with_code(
    call: Call, state: State, account: Account, text: str, values: Mapping[str, str] | None
) -> tuple[str, Mapping[str, str] | None, LinkCode | None]:
    """A text, or a template's values, as one person gets it: with a code of its own. ``LINK_…``."""
    chosen = await chosen_of(call, state, account)
    if chosen is None:
        return text, values, None
    links = call.portal.context.tasks.links
    sample = (await links.shown(account, chosen.id)).at(0).address
    code = (await links.take(account, chosen.id, 1, clock.now())).at(0)
    own = None if values is None else {name: value.replace(sample, code.address) for name, value in values.items()}
    return text.replace(sample, code.address), own, code


async def check(step: Step) -> None:
    """An error at the field when the chosen link is not one of the step's account."""
    account = account_of(step.call, step.state)
    if step.state.link and account is not None and await chosen_of(step.call, step.state, account) is None:
        step.errors["link"] = Problem(words.LINK_OF_ANOTHER)


def problem(state: State, text: str) -> str:
    """What is wrong with the chosen link's place; empty: nothing."""
    return words.LINK_NO_PLACE if state.link and text and PLACE not in text else ""
