"""The API against its own document: what it says it takes it takes, what it says it answers it answers.

Requests are made from ``/openapi.json`` by schemathesis, sound ones and broken ones, over the wire.
"""

from __future__ import annotations

import asyncio

import hypothesis
import pytest
import schemathesis
from api_server import BASE, Api
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

from smsgw.api import auth
from smsgw.api.routes import PUBLIC, ROUTES
from smsgw.core.guard import Rate
from smsgw.core.permissions import SCOPES

pytestmark = pytest.mark.shard("attacks")

EXAMPLES = 15
NOT_CHECKED = [
    # A sound shape may still be refused by the pipeline: an unknown number, a blank text, a time gone by.
    checks.positive_data_acceptance,
]


SETTINGS = hypothesis.settings(
    max_examples=EXAMPLES,
    database=None,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)


def attempt(operation: schemathesis.APIOperation, mode: GenerationMode, headers: dict[str, str]) -> int:
    """Send examples of one operation and check the answers; how many."""
    count = 0

    @SETTINGS
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def run(case: schemathesis.Case) -> None:
        nonlocal count
        count += 1
        if isinstance(case.body, dict) and case.body.get("wait_s") in range(1, 21):
            case.body["wait_s"] = 0  # there is nothing to wait for
        case.call_and_validate(headers=headers, excluded_checks=NOT_CHECKED, timeout=30)

    run()
    return count


def fuzz(origin: str, tokens: dict[str, str]) -> dict[str, int]:
    """Try every operation; how many requests each got."""
    config = schemathesis.Config()
    config.projects.default.generation.update(with_security_parameters=False)
    document = schemathesis.openapi.from_url(f"{origin}{BASE}/openapi.json", config=config)
    tried: dict[str, int] = {}
    for result in document.get_all_operations():
        operation = result.ok()
        token = tokens.get(operation.label)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        tried[operation.label] = attempt(operation, GenerationMode.POSITIVE, headers)
        if operation.body or operation.query:
            tried[operation.label] += attempt(operation, GenerationMode.NEGATIVE, headers)
    return tried


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("hurried")
async def test_the_api_is_as_documented(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    # every operation is tried with wrong credentials, too
    monkeypatch.setattr(auth, "FAILURES", Rate(100_000, 1.0))
    labels = {f"{route.method} {BASE}{route.path}" for route in ROUTES}
    tokens = {
        label: (await api.add_key(scopes=SCOPES)).bearer for label in labels
    }  # each with a limit of its own
    tried = await asyncio.to_thread(fuzz, api.origin, tokens)
    labels |= {f"GET {p.path if p.root else BASE + p.path}" for p in PUBLIC}
    assert set(tried) == labels - {f"GET {BASE}/openapi.json"}  # the document is where it all comes from
    assert sum(tried.values()) > len(labels) * EXAMPLES
    # whatever was sent, the API still does its work
    answer = await api.post("/messages", {"to": ["13800138000"], "content": "还在"})
    assert answer.status == 202
