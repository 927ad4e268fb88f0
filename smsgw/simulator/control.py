"""Several carriers in one process, and the commands that an operator gives them while they run."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from smsgw.recording import RecordingError
from smsgw.simulator.carrier import Carrier
from smsgw.simulator.config import CarrierConfig, Scenario, ScenarioError
from smsgw.simulator.plan import load
from smsgw.simulator.replay import Replay
from smsgw.simulator.wirelog import WireLog


class Simulator:
    """The carriers of a scenario.

    `do` takes one command, an object with the key `do` and what it needs; `carrier` names one carrier, without it
    the command goes to all (`mo` to the first):

    * `counts`: all counts;
    * `messages` (`limit`): the last whole messages; `at` is their time by the machine's monotonic clock;
    * `mo` (`source`, `destination`, `text`, and as in `Carrier.send_mo`): a phone sends something;
    * `set` (any key of a carrier's behaviour, in its written form): change the behaviour;
    * `disconnect` (`rst`), `pause`, `resume`.
    """

    def __init__(self, scenario: Scenario, *, octets: bool = False) -> None:
        """`octets`: write whole PDUs in hexadecimal into the log.

        Raises `OSError` for a file that cannot be written or read, `ScenarioError` for a recording that is none.
        """
        self._log = WireLog(scenario.log, octets=octets) if scenario.log is not None else None
        self.carriers: Mapping[str, Carrier] = {
            config.name: Carrier(config, wirelog=self._log, replay=_replay(config)) for config in scenario.carriers
        }
        self._commands: Mapping[str, Callable[[list[Carrier], dict[str, Any]], Any]] = {
            "counts": self._counts,
            "messages": self._messages,
            "mo": self._mo,
            "set": self._set,
            "disconnect": self._disconnect,
            "pause": self._pause,
            "resume": self._resume,
        }

    async def start(self) -> None:
        """Listen everywhere, or nowhere: raises `OSError`."""
        try:
            for carrier in self.carriers.values():
                await carrier.start()
        except OSError:
            await self.stop(grace=0.0)
            raise

    async def stop(self, *, grace: float = 0.5) -> None:
        """Close everything and finish the log."""
        for carrier in self.carriers.values():
            await carrier.stop(grace=grace)
            carrier.close()
        if self._log is not None:
            self._log.close()

    def listeners(self) -> list[dict[str, Any]]:
        """Where the carriers listen."""
        return [
            {"carrier": c.config.name, "protocol": c.config.protocol, "host": c.config.host, "port": c.port}
            for c in self.carriers.values()
        ]

    def summary(self) -> dict[str, Any]:
        """The counts of all carriers and the ones that decide, over all of them."""
        each = [carrier.summary() for carrier in self.carriers.values()]
        everywhere: dict[tuple[str, str], int] = {}
        for carrier in self.carriers.values():
            for key, count in carrier.receptions.items():
                everywhere[key] = everywhere.get(key, 0) + count
        repeated = sum(len(carrier.inbox.repeated_parts) for carrier in self.carriers.values())
        return {
            "submits": sum(c["submits"] for c in each),
            "accepted": sum(c["accepted"] for c in each),
            "messages": sum(c["messages"] for c in each),
            "unique": len(everywhere),
            "max_receptions": max(everywhere.values(), default=0),
            "doubled": sum(1 for count in everywhere.values() if count > 1) + repeated,
            "carriers": each,
        }

    def do(self, command: Mapping[str, Any]) -> Any:
        """Carry out a command and return what it has to tell. Raises `ValueError` for one that makes no sense."""
        arguments = dict(command)
        verb = self._commands.get(str(arguments.pop("do", "")))
        if verb is None:
            raise ValueError(f"do: one of {', '.join(self._commands)} is wanted")
        name = arguments.pop("carrier", None)
        if name is not None and name not in self.carriers:
            raise ValueError(f"carrier: one of {', '.join(self.carriers)} is wanted")
        chosen = list(self.carriers.values()) if name is None else [self.carriers[name]]
        try:
            return verb(chosen, arguments)
        except TypeError as error:
            raise ValueError(str(error)) from error

    def _counts(self, chosen: list[Carrier], arguments: dict[str, Any]) -> Any:
        return self.summary() if len(chosen) > 1 else chosen[0].summary()

    def _messages(self, chosen: list[Carrier], arguments: dict[str, Any]) -> Any:
        limit = int(arguments.get("limit", 20))
        latest = sorted((m for c in chosen for m in list(c.messages)[-limit:]), key=lambda m: m.at)
        return [
            {
                "carrier": m.channel,
                "connection": m.connection,
                "source": m.source,
                "destination": m.destination,
                "parts": m.parts,
                "text": m.text,
                "at": m.at,
            }
            for m in latest[-limit:]
        ]

    def _mo(self, chosen: list[Carrier], arguments: dict[str, Any]) -> Any:
        return {"parts": chosen[0].send_mo(**arguments)}

    def _set(self, chosen: list[Carrier], arguments: dict[str, Any]) -> Any:
        for carrier in chosen:
            try:
                carrier.change(**arguments)
            except ScenarioError as error:
                raise ValueError("; ".join(error.errors)) from error
        return sorted(arguments)

    def _disconnect(self, chosen: list[Carrier], arguments: dict[str, Any]) -> Any:
        return {"closed": sum(carrier.disconnect(**arguments) for carrier in chosen)}

    def _pause(self, chosen: list[Carrier], arguments: dict[str, Any]) -> Any:
        for carrier in chosen:
            carrier.pause()
        return None

    def _resume(self, chosen: list[Carrier], arguments: dict[str, Any]) -> Any:
        for carrier in chosen:
            carrier.resume()
        return None


def _replay(config: CarrierConfig) -> Replay | None:
    if not config.replay:
        return None
    try:
        plan = load(Path(config.replay))
    except RecordingError as error:
        raise ScenarioError([f"{config.name}: replay: {config.replay}: {error}"]) from error
    if plan.recording.protocol[:4] != config.protocol:
        problem = f"the recording is of {plan.recording.protocol}, not of {config.protocol}"
        raise ScenarioError([f"{config.name}: replay: {problem}"])
    dice = random.Random(config.seed)  # noqa: S311  chance, not a secret
    return Replay(plan, dice, new_access_code=config.access_code)
