"""Signatures, templates, words and links: applied for, reviewed, registered with carriers; phrases that people keep."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import partial
from typing import Any

from smsgw.core.fallback import chain_of
from smsgw.core.keywords import Action, Word
from smsgw.core.model import MessageType
from smsgw.core.templates import CARRIERS, Registration, Review, Variable
from smsgw.core.url_filings import Filing
from smsgw.demo.world import Text, World, texts
from smsgw.platform import phrases
from smsgw.platform.content import service as content
from smsgw.platform.content.model import SIGN, TEMPLATE, Answer
from smsgw.platform.drafts import service as drafts
from smsgw.platform.drafts.model import Kind as DraftKind, State
from smsgw.platform.org import queries as org
from smsgw.platform.phrases import PhraseDraft, PhraseScope
from smsgw.platform.scenarios import service as scenarios
from smsgw.platform.scenarios.model import Terms
from smsgw.platform.url_filings import service as url_filings
from smsgw.platform.words import service as words

DATED = "sign.created_at sign.reviewed_at template.created_at template.reviewed_at registration.at word.at"


async def fill(world: World) -> None:
    """Of the first day; what waits for its review was applied for yesterday."""
    with world.then(world.start + timedelta(hours=10)):
        for sender in world.senders.values():
            id_ = await content.add_sign(
                world.change(),
                sender.id,
                sender.sign,
                source="organisation",
                note=texts()["fill"],
                expires_at=world.now + timedelta(days=300 + 40 * len(sender.name)),
            )
            await _decide(world, SIGN, id_, {})
        for row in texts()["template"]:
            await _template(world, row)
        for row in texts()["scenario"]:
            await _scenario(world, row)
        await world.date("scenario.created_at scenario.updated_at scenario.stopped_at")
        await words.put(world.change(), [Word(w["word"], w["category"], Action(w["action"])) for w in texts()["word"]])
        await world.date(DATED)
        for row in texts()["filing"]:
            await _filing(world, row)
        await world.date("filed_link.created_at filed_link_state.at")
        for row in texts()["phrase"]:
            await _phrase(world, row)
        await world.date("phrase.created_at phrase.updated_at")
    for row in texts()["draft"]:
        await _draft(world, row)
    for row in texts()["sign"]:
        world.later.append((world.moment(world.days - 2, 15), partial(_sign, world, row)))


async def _sign(world: World, row: dict[str, str]) -> None:
    id_ = await content.add_sign(
        world.change(), world.senders[row["account"]].id, row["sign"], source=row["source"], note=row["note"]
    )
    await _decide(world, SIGN, id_, row)
    await world.date(DATED)


async def _filing(world: World, row: dict[str, str]) -> None:
    account = world.senders[row["account"]].id
    filed = await url_filings.file(world.change(), account, row["target"], icp=row["icp"], note=row["note"])
    for state in (Filing.SUBMITTED, Filing.REGISTERED, Filing.REFUSED):
        if carriers := row.get(state.value, "").split():
            await url_filings.set_state(world.change(), filed.id, state, carriers)


async def _phrase(world: World, row: dict[str, str]) -> None:
    person = await org.person(world.database, f"demo-{row['person']}")
    if person is None:
        raise LookupError(row["person"])
    account = world.senders[row["account"]].id if "account" in row else None
    department = world.departments[row["department"]] if "department" in row else None
    scope = PhraseScope.ACCOUNT if account else PhraseScope.DEPARTMENT if department else PhraseScope.OWN
    draft = PhraseDraft(row["title"], row["content"], scope, department, account)
    await phrases.add(world.change(person.actor(None)), draft)


async def _scenario(world: World, row: dict[str, Any]) -> None:
    sender = world.senders[row["account"]]
    text = world.templates[sender.name, row["template"]] if "template" in row else None
    given = {key: row[key] for key in ("note", "valid_minutes", "windows") if key in row}
    kind = MessageType(text.type if text else row["type"])
    chain = chain_of(row["fallback"]) if "fallback" in row else None
    terms = Terms(row["name"], kind, sender.sign, text.id if text else None, fallback=chain, **given)
    id_ = await scenarios.add(world.change(), sender.id, terms)
    if row.get("stopped"):
        await scenarios.stop(world.change(), id_)


async def _draft(world: World, row: dict[str, str]) -> None:
    person = await org.person(world.database, f"demo-{row['person']}")
    if person is None:
        raise LookupError(row["person"])
    state = State(
        account=str(world.senders[row["account"]].id), subject=row["subject"], type=row["type"], content=row["content"],
        to=row["to"],
    )  # fmt: skip
    key = f"demo-draft-{row['person']}-{row['type']}"
    await drafts.begin(world.change(person.actor(None)), key, DraftKind.SAME, state, ())


async def _template(world: World, row: dict[str, str]) -> None:
    sender = world.senders[row["account"]]
    names = set(re.findall(r"{(\w+)}", row["content"]))
    variables = dict.fromkeys(names, Variable(most=32))
    id_ = await content.add_template(
        world.change(), sender.id, row["name"], row["type"], row["content"], variables, sign=sender.sign
    )
    await _decide(world, TEMPLATE, id_, row)
    if "state" not in row:
        world.templates[sender.name, row["name"]] = Text(id_, row["type"], row["content"])


async def _decide(world: World, kind: str, id_: int, row: dict[str, str]) -> None:
    state = Review(row.get("state", "approved"))
    if state is not Review.PENDING:
        await content.review(world.change(), kind, id_, state, reason=row.get("reason", ""))
    if state is Review.APPROVED:
        for n, carrier in enumerate(CARRIERS):
            if kind == SIGN and (id_ + n) % 4 == 3:  # one carrier of each has not answered yet
                answer = Answer(Registration.SUBMITTED)
            else:
                ends = world.now + timedelta(days=20 + 90 * n) if kind == SIGN and n else None
                code = f"{carrier}-{world.start:%Y}-{id_:05}"
                answer = Answer(Registration.REGISTERED, code=code, answered_on=world.start.date(), expires_at=ends)
            await content.register(world.change(), kind, id_, [carrier], answer)
