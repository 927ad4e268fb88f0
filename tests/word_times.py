"""What marking words while a text is typed costs the server, beside a long list of them (scripts/words)."""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
from changes import by_test
from databases import migrated
from demo_site import empty_site
from page_costs import Cost, session_of, watched

from smsgw.core.keywords import Action, Word
from smsgw.platform.accounts import service as accounts
from smsgw.platform.words import queries, service
from smsgw.runtime import log
from smsgw.store.engine.embedded import EmbeddedPostgres

MOST = 0.050
"""Seconds of the processor that one answer may take."""
_HAN = [chr(code) for code in range(0x4E00, 0x9FA0)]
_AT_ONCE = 5000


def word_list(dice: random.Random, n: int) -> list[Word]:
    """Words of two to six characters, no two the same; five of them each inside the next one."""
    nested = ["哈" * length for length in range(2, 7)]
    found = dict.fromkeys(nested)
    while len(found) < n:
        found["".join(dice.choices(_HAN, k=dice.randrange(2, 7)))] = None
    actions = list(Action)
    return [Word(word, f"分类{i % 20}", actions[i % 3]) for i, word in enumerate(found)]


def texts(dice: random.Random, words: list[Word], characters: int) -> dict[str, str]:
    """What is typed: a plain text, one with a word in disguise every 50 characters, and the worst there is."""
    plain = "".join(dice.choices("您好请于今日到政务服务大厅办理业务谢谢配合，。0123456789", k=characters))
    disguised = list(plain)
    for at in range(0, characters - 50, 50):
        word = dice.choice(words).word
        disguised[at : at + 2 * len(word)] = "．".join(word) + "\u3000"
    return {
        "plain": plain,
        "a word in disguise every 50 characters": "".join(disguised)[:characters],
        "five words within each other at every place": "哈" * characters,
    }


async def main() -> int:
    """Fill, ask, tell; exit status."""
    parser = argparse.ArgumentParser(prog="scripts/words", description=__doc__)
    parser.add_argument("--words", type=int, default=10_000)
    parser.add_argument("--characters", type=int, default=1000)
    parser.add_argument("--times", type=int, default=50)
    asked = parser.parse_args()
    log.setup("error", "auto")
    dice = random.Random(7)  # noqa: S311
    listed = word_list(dice, asked.words)
    over = False
    with tempfile.TemporaryDirectory(prefix="smsgw-words-") as folder, watched() as costs:
        database = EmbeddedPostgres(Path(folder) / "database")
        dsn = await migrated(database)
        try:
            async with empty_site(dsn, Path(folder) / "node") as site:
                change = by_test(site.database)
                account = await accounts.add(change, "hall", display_name="政务大厅", default_sign="市政服务")
                for at in range(0, len(listed), _AT_ONCE):
                    await service.put(change, listed[at : at + _AT_ONCE])
                began = time.perf_counter()
                sought = await queries.word_filter(site.database)
                print(f"{len(sought):,} words read and built in {time.perf_counter() - began:.2f} s")
                async with session_of(site, "super") as client:
                    for name, text in texts(dice, listed, asked.characters).items():
                        alone = [_timed(lambda text=text: sought.find(text)) for _ in range(asked.times)]
                        answers = await _typed(client, account, text, costs, asked.times)
                        spent = statistics.median(cost.cpu for cost in answers)
                        waited = statistics.median(cost.seconds for cost in answers)
                        over |= spent > MOST
                        print(
                            f"{name}: {len(sought.find(text)):,} hits, "
                            f"found in {statistics.median(alone) * 1000:.2f} ms; "
                            f"answer p50 {spent * 1000:.1f} ms of the processor, after {waited * 1000:.1f} ms"
                        )
        finally:
            await database.stop()
            shutil.rmtree(database.home, ignore_errors=True)
    return 1 if over else 0


def _timed(what: object) -> float:
    began = time.perf_counter()
    what()  # type: ignore[operator]
    return time.perf_counter() - began


async def _typed(client: aiohttp.ClientSession, account: int, text: str, costs: list[Cost], times: int) -> list[Cost]:
    """What each answer costs the server to what is typed, once the node has the words."""
    async with client.get("/send", headers={"Accept-Encoding": "identity"}) as page:
        token = re.search(r'name="csrf" value="([^"]+)"', await page.text())
    assert token is not None
    form = {"csrf": token[1], "account": str(account), "type": "notice", "content": text}
    for _ in range(100):
        async with client.post("/send/-/live", data=form, headers={"Accept-Encoding": "identity"}) as answer:
            assert answer.status == 200, answer.status
            if "mark-" in await answer.text() or "哈" not in text:
                break
        await asyncio.sleep(0.2)
    costs.clear()
    for n in range(times):
        async with client.post("/send/-/live", data=form | {"content": text[n:] + text[:n]}) as answer:
            assert answer.status == 200
    return list(costs)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
