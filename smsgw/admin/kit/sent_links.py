"""What is said of personal links beside who has clicked: with what, and what of it nobody knows."""

from __future__ import annotations

from collections.abc import Sequence

from smsgw.admin.call import Call
from smsgw.admin.words import agents
from smsgw.admin.words.short_links import HARDWARE, UNKEPT
from smsgw.core.user_agent import hardware_of
from smsgw.platform.links import queries


async def unkept(call: Call, links: Sequence[int], task_id: int | None = None) -> str:
    """That clicks on these links, and on those of a task, were counted only, for nobody who is said not to have clicked
    is beyond doubt then; empty: none was."""
    n = await queries.unkept(call.db, links, task_id)
    return call.filled(UNKEPT, {"n": f"{n:,}"}) if n else ""


def device(call: Call, agent: str) -> str:
    """With what somebody has clicked: the model, system and browser; empty: nobody has."""
    if not agent:
        return ""
    model = hardware_of(agent)
    told = (call.gettext(HARDWARE[model]) if model in HARDWARE else model, agents.device(agent, call.gettext))
    return " · ".join(filter(None, told))
