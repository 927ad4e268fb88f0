"""What lists of mails that were sent have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from smsgw.admin.call import Call
from smsgw.admin.kit.lists import Effect
from smsgw.platform.mailing import OutMail


def sent_again(every: str, some: str, none: str) -> Callable[[Call, Sequence[OutMail]], Awaitable[Effect]]:
    """What sending again comes to, in the words for when all, some and none of those chosen can be."""

    async def effect(_: Call, rows: Sequence[OutMail]) -> Effect:
        sent = [one for one in rows if one.repeats]
        if not sent:
            return Effect(none, nothing=True)
        stays = len(rows) - len(sent)
        told = {"n": len(sent), "unsure": sum(one.state == "unsure" for one in sent), "stays": stays}
        return Effect(some if stays else every, told)

    return effect
