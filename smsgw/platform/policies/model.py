"""Policies as those who change them see them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deviation:
    """A policy that differs from the default. ``account`` None and ``type`` empty: for all."""

    name: str
    account: str | None
    type: str
    value: str
