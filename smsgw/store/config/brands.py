"""The published brands, and the certificates of their hosts."""

from __future__ import annotations

import json

from smsgw.core.brand import Brand, HostCertificate, parse_look
from smsgw.store.engine.database import Connection, Row
from smsgw.store.engine.rows import each
from smsgw.store.engine.secrets import Sealer

_LOAD = """
SELECT b.id, array_agg(h.host ORDER BY h.host) AS hosts, b.published, b.certificate, b.key_sealed
FROM brand b JOIN brand_host h ON h.brand_id = b.id WHERE b.published IS NOT NULL GROUP BY b.id ORDER BY b.id
"""


def context_of(brand_id: int) -> str:
    """What the key of a brand's certificate is sealed for."""
    return f"brand/{brand_id}/key"


async def load(connection: Connection, sealer: Sealer) -> tuple[list[Brand], list[HostCertificate]]:
    """What holds now."""
    brands, certificates = list[Brand](), list[HostCertificate]()

    def take(row: Row) -> None:
        hosts = tuple(row["hosts"])
        brands.append(Brand(row["id"], hosts, parse_look(json.loads(row["published"]))))
        if row["key_sealed"] is not None:
            key = sealer.open(row["key_sealed"], context_of(row["id"]))
            certificates.append(HostCertificate(hosts, row["certificate"], key))

    each("brand", await connection.fetch(_LOAD), take)
    return brands, certificates
