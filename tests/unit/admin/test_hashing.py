"""Hashes of passwords."""

from __future__ import annotations

import argon2
import pytest
from argon2.exceptions import VerifyMismatchError

from smsgw.admin.hashing import hash_password, nobodys_hash, verify_password


def test_a_password_fits_its_own_hash_and_no_other() -> None:
    assert verify_password(hash_password("Right-Horse-7"), "Right-Horse-7")
    assert not verify_password(hash_password("Right-Horse-7"), "Wrong-Horse-7")
    assert not verify_password("no hash", "Right-Horse-7")


def test_nobodys_hash_takes_the_same_work_and_fits_nothing() -> None:
    nobody = nobodys_hash()
    assert argon2.extract_parameters(nobody) == argon2.extract_parameters(hash_password("x"))
    with pytest.raises(VerifyMismatchError):  # it was worked out and differs: it is no broken hash
        argon2.PasswordHasher().verify(nobody, "")
    assert nobody != nobodys_hash()
