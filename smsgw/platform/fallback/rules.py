"""What a chain has to be so that its hops can be sent, and what a hop says to somebody. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta

from smsgw.core import variables
from smsgw.core.errors import Invalid
from smsgw.core.fallback import Chain, Hop, When
from smsgw.core.model import Account, MessageType
from smsgw.core.templates import Review, Template
from smsgw.core.words import listed, phrase
from smsgw.pipeline.snapshot import Snapshot

MINUTE = timedelta(minutes=1)
LATEST = 10 * MINUTE
"""The longest time between two looks at a call."""


def template_of(snapshot: Snapshot, account: Account, hop: Hop) -> Template | None:
    """The template of a hop, approved or not; None: it has none, or it is gone."""
    line = (account.id, *account.above)
    return None if hop.template_id is None else snapshot.policies.book.template(line, hop.template_id)


def said(hop: Hop, template: Template | None, values: Mapping[str, str]) -> tuple[str, Mapping[str, str] | None]:
    """What a send call is given: content, or a template's values. ``KeyError`` for a variable without a value."""
    if template is not None:
        return "", {name: values[name] for name in template.variables}
    text = variables.Template(hop.content)
    return text.fill([values[name] for name in text.names]), None


def checked(
    snapshot: Snapshot, account: Account, kind: MessageType, chain: Chain, *, sign: str, names: Iterable[str],
    validity: timedelta,
) -> Chain:  # fmt: skip
    """The chain behind messages of this type and signature. ``names``: variables that there are values of;
    ``validity``: how long a first message waits for a carrier. ``PARAM_INVALID``, ``TEMPLATE_…``,
    ``CONTENT_VARIABLE_UNRESOLVED``, each with the ``field`` that it is about."""
    known = set(names)
    if any(hop.when is When.EXPIRED for hop in chain.hops) and validity + LATEST >= chain.minutes * MINUTE:
        raise Invalid("PARAM_INVALID", field="fallback.minutes", reason=phrase("fallback.short"))
    hops = []
    for n, hop in enumerate(chain.hops):
        at = f"fallback.hops[{n}]"
        needed = variables.Template(hop.content).names
        if hop.template_id is not None:
            template = template_of(snapshot, account, hop)
            if template is None or template.state is not Review.APPROVED:
                code = "TEMPLATE_NOT_FOUND" if template is None else "TEMPLATE_NOT_APPROVED"
                raise Invalid(code, id=str(hop.template_id), field=f"{at}.template_id")
            if template.type != kind:
                reason = phrase("template.type", id=hop.template_id, type=template.type)
                raise Invalid("PARAM_INVALID", field=f"{at}.template_id", reason=reason)
            if template.sign and (hop.sign or sign) not in ("", template.sign):
                reason = phrase("template.sign", id=hop.template_id, sign=template.sign)
                raise Invalid("PARAM_INVALID", field=f"{at}.sign", reason=reason)
            hop = replace(hop, sign=hop.sign or template.sign)
            needed = tuple(template.variables)
        if missing := next((name for name in needed if name not in known), ""):
            reason = phrase("fallback.variable", name=missing)
            raise Invalid("PARAM_INVALID", field=f"{at}.content", reason=reason)
        pools = snapshot.table.open_to(account.name, kind)
        if hop.prefer and hop.prefer not in pools:
            reason = phrase("prefer.none", name=hop.prefer, known=listed(pools[:20]) or "-")
            raise Invalid("PARAM_INVALID", field=f"{at}.prefer", reason=reason)
        hops.append(hop)
    return replace(chain, hops=tuple(hops))
