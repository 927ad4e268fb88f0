"""One tenant does all it can to be in the way, and another one does not notice. At full length: scripts/trials."""

from __future__ import annotations

from pathlib import Path

import pytest
from hostile import beside
from partner_client import site_with_servers


@pytest.mark.slow
@pytest.mark.shard("alone")
async def test_a_hostile_tenant_is_not_in_the_way_of_a_good_one(dsn: str, data_dir: Path) -> None:
    async with site_with_servers(data_dir, dsn=dsn, channels=["cmpp30"]) as here:
        print(await beside(here, 12, per_second=100))
        await here.site.clean()
