"""However a network cuts, joins and slows the octets, between partner, gateway and carrier: the outcome is the same."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_asyncio
from faultproxy import FaultProxy, Faults, sliced
from harness import dice, until
from partner_client import (
    PartnerSite,
    cmpp_client,
    id_of,
    in_parts,
    module_site,
    smpp_client,
    submit,
    submit_sm,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARTNERS = {"cmpp": (cmpp_client, submit, ""), "smpp": (smpp_client, submit_sm, "86")}
HOW = ("octet by octet", "pieces by chance", "all together", "slowly")
Spoiled = tuple[PartnerSite, dict[str, FaultProxy]]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def spoiled(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Spoiled]:
    """A site whose carriers, and whose servers for partners, are behind proxies."""
    async with (
        module_site(postgres, tmp_path_factory.mktemp("slices"), "e2e_slices") as here,
        contextlib.AsyncExitStack() as stack,
    ):
        carriers = here.site.carriers
        servers = {name: carrier.port for name, carrier in carriers.items()}
        servers |= {"cmpp": here.cmpp_port, "smpp": here.smpp_port}
        proxies = {name: await stack.enter_async_context(FaultProxy(port)) for name, port in servers.items()}
        await asyncio.gather(
            *(here.node.furnish("channel", "set", name, "--port", str(proxies[name].port)) for name in carriers)
        )
        await until(
            lambda: all(proxies[name].connections for name in carriers), what="channels moved"
        )
        await here.site.bound()
        yield here, proxies
        here.leave()


def spoil(proxies: Sequence[FaultProxy], how: str) -> None:
    """From here on."""
    for faults in (faults for proxy in proxies for faults in (proxy.up, proxy.down)):
        fresh = {
            "octet by octet": Faults(slice=1),
            "pieces by chance": Faults(pieces=sliced(dice())),
            "all together": Faults(gather=65536, gather_for=0.1),
            "slowly": Faults(slice=64, rate=4000.0),
        }[how]
        for name in ("slice", "pieces", "gather", "gather_for", "rate"):
            setattr(faults, name, getattr(fresh, name))


@pytest.mark.parametrize("how", HOW)
async def test_the_outcome_is_the_same(spoiled: Spoiled, how: str) -> None:
    here, proxies = spoiled
    spoil(list(proxies.values()), how)
    sent: dict[str, list[str]] = {}
    for place, (protocol, (rules, make, prefix)) in enumerate(PARTNERS.items()):
        client = await here.bound(proxies[protocol].port, rules())
        pdus = []
        for i in range(8):
            to = f"{('1380', '1330')[i % 2]}{HOW.index(how)}{place}{i:05d}"
            text = f"第{i}条".ljust(1 if i % 3 else 100, "长")
            sent[to] = [text]
            pdus += [make(prefix + to, text)] if i % 3 else in_parts(make, prefix + to, text, ref=i)
        ids = [id_of(answer) for answer in await asyncio.gather(*(client.call(pdu) for pdu in pdus))]
        assert await here.told(ids) == {"DELIVRD": len(ids)}
        assert not any(bind["unanswered"] for bind in await here.binds())
        assert not client.over, "nobody took it for a fault"
        here.leave()
    assert {to: here.texts_to(to) for to in sent} == sent
    assert not any(carrier.inbox.summary()["doubled"] for carrier in here.site.carriers.values())
