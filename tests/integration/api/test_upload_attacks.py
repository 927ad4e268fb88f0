"""Every upload of the interface meets files that should not be sent: refused, or kept as what they are, and soon."""

from __future__ import annotations

import time

import pytest
from api_server import Api
from file_attacks import FILES, KINDS, MOST_SECONDS, form
from test_foreign_ids import CASES, ask, owned

from smsgw.api.routes import ROUTES
from smsgw.core.permissions import SCOPES

pytestmark = [pytest.mark.shard("attacks"), pytest.mark.slow, pytest.mark.timeout(900)]


async def test_every_upload_of_the_interface_takes_any_file_without_harm(api: Api) -> None:
    uploads = [route for route in ROUTES if route.upload]
    assert len(uploads) >= 3
    api.key = key = await api.add_key(scopes=SCOPES, requests_per_second=1000)
    ids = await owned(api)
    for route in uploads:
        for what, (name, octets) in FILES.items():
            begun = time.monotonic()
            (query, _), *_ = CASES[f"{route.method} {route.path}"]
            asked = (query, form({}, name, octets))
            kind = "multipart/form-data; boundary=b"
            answer = await ask(api, key, f"{route.method} {route.path}", asked, ids, Content_Type=kind)
            about = (route.path, what, answer.status, answer.raw[:300])
            assert answer.status < 500 or answer.code in ("STORAGE_UNAVAILABLE", "BACKPRESSURE"), about
            assert time.monotonic() - begun < MOST_SECONDS, about
    media = {row["media_type"] for row in await api.ctx.db.fetch("SELECT DISTINCT media_type FROM file")}
    assert media <= KINDS
