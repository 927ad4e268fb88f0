"""Carriers that can be scripted: the other end of the wire for tests, demonstrations and acceptance."""

from smsgw.simulator.carrier import Carrier, Counts
from smsgw.simulator.config import (
    Behaviour,
    CarrierConfig,
    Delay,
    Mix,
    Mo,
    Rule,
    Scenario,
    ScenarioError,
    load_scenario,
    parse_scenario,
)
from smsgw.simulator.control import Simulator
from smsgw.simulator.inbox import Received
from smsgw.simulator.wirelog import WireLog

__all__ = [
    "Behaviour",
    "Carrier",
    "CarrierConfig",
    "Counts",
    "Delay",
    "Mix",
    "Mo",
    "Received",
    "Rule",
    "Scenario",
    "ScenarioError",
    "Simulator",
    "WireLog",
    "load_scenario",
    "parse_scenario",
]
