"""Password hashing (argon2id), and the process that does it for the daemon: ``python -m smsgw.admin.hashing``.

One job a line on standard input (JSON: what was stored and the password, or null and the password to hash), one result
a line on standard output. Nothing of the daemon is imported here, so that the process is there soon.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION

NICENESS = 10
"""Of the process: where processors are short, messages and the database go first."""
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, type=Type.ID)


def hash_password(password: str) -> str:
    """The argon2id hash to store; takes some 20 ms of CPU: not for the event loop."""
    return _HASHER.hash(password)


def nobodys_hash() -> str:
    """What no password fits, which takes as long to find out as for any other; made without hashing."""
    salt, digest = (
        base64.b64encode(secrets.token_bytes(octets)).rstrip(b"=").decode()
        for octets in (_HASHER.salt_len, _HASHER.hash_len)
    )
    costs = f"m={_HASHER.memory_cost},t={_HASHER.time_cost},p={_HASHER.parallelism}"
    return f"$argon2id$v={ARGON2_VERSION}${costs}${salt}${digest}"


def verify_password(stored: str, password: str) -> bool:
    """Whether the password fits what was stored; takes as long."""
    try:
        return _HASHER.verify(stored, password)
    except (VerificationError, InvalidHashError, UnicodeError):
        return False


def main() -> None:
    """The process: it ends with its standard input, that is with the daemon."""
    os.nice(NICENESS)
    for line in sys.stdin.buffer:
        stored, password = json.loads(line)
        result = hash_password(password) if stored is None else verify_password(stored, password)
        sys.stdout.buffer.write(json.dumps(result).encode() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
