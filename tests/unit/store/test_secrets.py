from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from smsgw.store.secrets import KeyFileError, load_key


def test_many_who_want_the_key_file_at_once_get_one_key(tmp_path: Path) -> None:
    path = tmp_path / "new" / "secret.key"
    with ThreadPoolExecutor(16) as pool:
        sealers = list(pool.map(lambda _: load_key(path, create=True), range(64)))
    sealed = sealers[0].seal("geheim", "place")
    assert {sealer.open(sealed, "place") for sealer in sealers} == {"geheim"}
    assert [entry.name for entry in path.parent.iterdir()] == ["secret.key"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_sealed_secret_opens_only_in_its_place_and_with_its_key(tmp_path: Path) -> None:
    sealer = load_key(tmp_path / "a", create=True)
    sealed = sealer.seal("geheim", "channel/x")
    assert b"geheim" not in sealed
    assert sealer.seal("geheim", "channel/x") != sealed
    for other, context in ((sealer, "channel/y"), (load_key(tmp_path / "b", create=True), "channel/x")):
        with pytest.raises(KeyFileError, match="key file"):
            other.open(sealed, context)
    with pytest.raises(KeyFileError):
        sealer.open(sealed[:-1], "channel/x")


def test_a_key_file_that_is_missing_or_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="none"):
        load_key(tmp_path / "none", create=False)
    (tmp_path / "short").write_text("abcd")
    with pytest.raises(KeyFileError):
        load_key(tmp_path / "short", create=False)
