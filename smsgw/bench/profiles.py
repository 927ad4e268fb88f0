"""Loads by name: each is what ``smsgwctl bench`` would be told otherwise. What is told beside it goes before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Preset:
    """A load: what it is, and the options that make it, by the names of their parameters."""

    about: str
    options: Mapping[str, Any]


PRESETS: Mapping[str, Preset] = {
    "steady": Preset(
        "Batches, 1,000/s for a minute (the tender's half an hour: --messages 1800000).",
        {"mode": "batch", "rate": 1000.0, "messages": 60_000, "balanced": True},
    ),
    "flood": Preset(
        "Batches as fast as answers come.",
        {"mode": "batch", "messages": 100_000, "balanced": True},
    ),
    "day": Preset(
        "5 million a day: 58/s for five minutes, with 1,000/s for ten seconds in the middle.",
        {"mode": "batch", "batch_size": 10, "rate": 58.0, "burst": 1000.0, "burst_seconds": 10.0, "messages": 27_400,
         "balanced": True},
    ),
    "otp": Preset(
        "One-time codes, one a post, 20/s, beside batches by 4 connections as fast as answers come.",
        {"mode": "batch", "codes": 20.0, "connections": 4, "messages": 100_000, "balanced": True},
    ),
    "personalised": Preset(
        "Batches of a template, each recipient with its own values.",
        {"mode": "personalised", "messages": 40_000},
    ),
    "smpp": Preset("A partner over SMPP.", {"mode": "smpp"}),
    "cmpp": Preset("A partner over CMPP.", {"mode": "cmpp"}),
}  # fmt: skip
