"""An operator decides about parts whose outcome is unknown."""

from __future__ import annotations

from datetime import datetime

from smsgw.core.actor import Actor
from smsgw.core.errors import Invalid, Refused
from smsgw.core.ids import first_id
from smsgw.core.permissions import Permission
from smsgw.core.states import DECISIONS, PartState
from smsgw.pipeline.outcomes.writer import Outcomes, Sweep
from smsgw.store.engine.database import Connection, Row
from smsgw.store.messages import cancellation, sweeps


async def resolve(outcomes: Outcomes, message_id: int, part: int, decision: str, *, actor: Actor) -> int:
    """Decide about a part (0: all that are unknown); how many it was.

    ``PERMISSION_DENIED``; ``NOT_FOUND`` out of the actor's scope; ``PARAM_INVALID`` for what is no decision;
    ``STATE_CONFLICT`` when nothing of the message is unknown, or it is to be sent again and cannot be: it is too old
    for its report to be matched, or its channel does not send.
    """
    actor.require(Permission.MESSAGE_RESOLVE)
    state = DECISIONS.get(decision)
    if state is None:
        raise Invalid("PARAM_INVALID", field="decision", reason=f"可选 {', '.join(DECISIONS)}")
    problems = []
    hidden = False

    async def run(connection: Connection, now: datetime) -> list[Row]:
        nonlocal hidden
        seen = actor.scope.whole
        if hidden := seen is not None and not await cancellation.message(connection, message_id, seen):
            return []
        if state is PartState.DEFERRED:
            if message_id < first_id(now - outcomes.resend_within):
                days = outcomes.resend_within.days
                problems.append(f"短信受理已超过 {days} 天,不能重发,请改为其他裁定")
                return []
            if resting := await sweeps.resting_channels(connection, message_id, part):
                problems.append(f"通道 {', '.join(resting)} 未启动或已删除,不能重发")
                return []
        code = f"OPERATOR:{decision.upper()}"
        return await sweeps.decide_unknown(connection, message_id, part, int(state), now, code)

    detail = {"decision": decision, "actor": actor.label}
    changed = await outcomes.sweep(Sweep(run, dict.fromkeys(DECISIONS.values(), "decided"), detail))
    if hidden:
        raise Refused("NOT_FOUND")
    if not changed:
        raise Invalid("STATE_CONFLICT", reason=problems[0] if problems else "没有结果未知的分段")
    return changed
