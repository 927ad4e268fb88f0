"""Key files, and what nobody else on the machine reads."""

from __future__ import annotations

import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from smsgw.runtime import private
from smsgw.store.engine.secrets import KeyFileError, Sealer, change_keys, key_id, load_key, read_keys


def key_file(path: Path, *keys: bytes) -> Path:
    path.write_text("# keys of the tests\n" + "".join(f"{key.hex()}\n" for key in keys))
    path.chmod(0o600)
    return path


def sealer(path: Path, *keys: bytes) -> Sealer:
    return load_key(key_file(path, *keys), create=False)


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


@pytest.mark.parametrize("text", [None, "abcd", "", "\n", "zz" * 32, "ab" * 31, ("ab" * 32 + "\n") * 33])
def test_a_key_file_that_is_missing_or_wrong_is_named(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "secret.key"
    if text is not None:
        path.write_text(text)
        path.chmod(0o600)
    with pytest.raises(KeyFileError, match=r"secret\.key" if text is None else "key"):
        load_key(path, create=False)


def test_keys_seal_open_and_are_derived_in_their_order(tmp_path: Path) -> None:
    old = sealer(tmp_path / "old", b"o" * 32)
    sealed = old.seal("geheim", "place")
    both = sealer(tmp_path / "both", b"n" * 32, b"o" * 32)  # derived keys are of their key and purpose
    assert both.open(sealed, "place") == "geheim"
    again = both.reseal(sealed, "place")
    assert again is not None
    assert both.reseal(again, "place") is None
    assert sealer(tmp_path / "new", b"n" * 32).open(again, "place") == "geheim"
    with pytest.raises(KeyFileError):
        old.open(again, "place")
    both = sealer(tmp_path / "both", b"n" * 32, b"o" * 32)
    assert both.ids == (key_id(b"n" * 32), key_id(b"o" * 32))
    id_, key = both.derive("audit")
    assert (id_, key) == (both.ids[0], both.derived("audit", id_))
    assert len({key, both.derived("other", id_), both.derived("audit", both.ids[1]), b"n" * 32, b"o" * 32}) == 5
    assert both.derived("audit", "00000000") is None


def test_a_key_that_is_put_into_the_file_is_used_at_once(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    running = load_key(path, create=True)
    sealed = running.seal("geheim", "place")
    change_keys(path, lambda keys: (b"n" * 32, *keys))
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret.key"]
    assert running.reseal(sealed, "place") is not None
    foreign = load_key(path, create=False).seal("neu", "place")
    assert (running.open(foreign, "place"), running.open(sealed, "place")) == ("neu", "geheim")
    assert running.derive("audit")[0] == key_id(b"n" * 32)
    path.write_text("rubbish")  # what cannot be used changes nothing
    assert running.open(running.seal("geheim", "place"), "place") == "geheim"
    with pytest.raises(KeyFileError):
        change_keys(path, lambda _: (b"short",))
    assert path.read_text() == "rubbish"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o604, 0o601])
def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secret.key"
    load_key(path, create=True)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match=f"{mode:04o}.*chmod 600"):
        load_key(path, create=False)
    path.chmod(0o400)
    load_key(path, create=False)


def test_a_credential_of_systemd_is_guarded_by_its_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = key_file(tmp_path / "smsgw.key", b"k" * 32)
    path.chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    load_key(path, create=False)


def test_no_key_is_lost_to_another_change_of_the_file(tmp_path: Path) -> None:
    """Something may be sealed with it already: it would never open again."""
    path = key_file(tmp_path / "keys", b"o" * 32)
    new = [bytes([n]) * 32 for n in range(20)]
    together = Barrier(len(new), timeout=10)

    def put(key: bytes) -> None:
        together.wait()
        change_keys(path, lambda keys: (key, *keys))

    with ThreadPoolExecutor(len(new)) as pool:
        list(pool.map(put, new))
    assert set(read_keys(path)) == {b"o" * 32, *new}


def _as_another(path: Path, uid: int) -> str:
    """What a user without rights is told who puts another key first."""
    reads, writes = os.pipe()
    if (child := os.fork()) == 0:
        said = b"traceback"
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            change_keys(path, lambda keys: (b"n" * 32, *keys))
            said = b""
        except KeyFileError as exc:
            said = str(exc).encode()
        finally:
            os.write(writes, said)
            os._exit(0)
    os.close(writes)
    with open(reads, "rb") as told:
        said = told.read()
    os.waitpid(child, 0)
    return said.decode()


@pytest.mark.root_only
def test_a_rotation_needs_a_directory_of_the_user_and_says_so() -> None:
    folder, uid = Path(tempfile.mkdtemp()), 65534
    try:
        folder.chmod(0o755)
        for name, owner, mode in (("keys", uid, 0o700), ("etc", 0, 0o755)):
            (folder / name).mkdir()
            path = key_file(folder / name / "secret.key", b"o" * 32)
            os.chown(path, uid, uid)
            os.chown(path.parent, owner, uid)
            path.parent.chmod(mode)
        assert _as_another(folder / "keys" / "secret.key", uid) == ""
        assert read_keys(folder / "keys" / "secret.key") == (b"n" * 32, b"o" * 32)
        found = (folder / "keys" / "secret.key").stat()
        assert (found.st_uid, found.st_mode & 0o777) == (uid, 0o600)
        told = _as_another(folder / "etc" / "secret.key", uid)
        assert "Permission denied; the directory must belong to the user that runs smsgw" in told
        assert read_keys(folder / "etc" / "secret.key") == (b"o" * 32,)
        assert [one.name for one in (folder / "etc").iterdir()] == ["secret.key"]
    finally:
        shutil.rmtree(folder)


def test_what_is_there_already_is_closed_for_others_and_for_others_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "journal" / "deeper").mkdir(parents=True)
    (data / "pg").mkdir(mode=0o755)
    for name in ("daemon.lock", "journal/1.log", "journal/deeper/x", "pg/x", "run.sh"):
        (data / name).write_text("x")
        (data / name).chmod(0o644)
    (data / "run.sh").chmod(0o755)
    outside = tmp_path / "outside"
    outside.write_text("x")
    outside.chmod(0o644)
    (data / "link").symlink_to(outside)
    data.chmod(0o755)
    private.close(data, inside=("journal", "spool"))

    def mode(path: Path) -> int:
        return path.stat().st_mode & 0o777

    assert mode(data) == mode(data / "journal") == 0o700
    assert mode(data / "daemon.lock") == mode(data / "journal" / "1.log") == 0o600
    assert (mode(data / "run.sh"), mode(outside)) == (0o700, 0o644)
    assert mode(data / "pg" / "x") == 0o644, "PostgreSQL's own affair"


def test_new_folders_are_closed_and_those_of_all_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.umask(0)
    try:
        private.close(tmp_path / "a")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700
    changed: list[Path] = []
    monkeypatch.setattr(Path, "chmod", lambda path, _: changed.append(path))
    private.close(Path("/"))
    private.close(Path("/usr/.."))
    private.close(Path("/usr"))
    assert [path for path in changed if path.is_dir()] == []


@pytest.mark.parametrize(("mode", "owner"), [(0o1777, -1), pytest.param(0o755, 65534, marks=pytest.mark.root_only)])
def test_a_folder_for_all_or_of_another_user_stays_as_it_is(tmp_path: Path, mode: int, owner: int) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(mode)
    os.chown(folder, owner, owner)
    private.close(folder)
    assert folder.stat().st_mode & 0o7777 == mode


def test_the_unit_leaves_no_core_and_sees_no_history() -> None:
    unit = Path(__file__).parents[3] / "systemd" / "smsgw.service"
    lines = unit.read_text("utf-8").splitlines()
    assert "LimitCORE=0" in lines
    assert "InaccessiblePaths=-/opt/smsgw/.git" in lines
