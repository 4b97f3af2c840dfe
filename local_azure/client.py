"""Client of the Batch emulator's control endpoints, for tests; the services do not import it."""

import http.client
import json
import ssl
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import urlsplit

from local_azure.batch.controls.faults import Rule

Json = dict[str, Any]
_MARGIN_S = 30.0


class ControlError(RuntimeError):
    """The emulator refuses a request to its control endpoints, or has none."""


class NodeSeconds(TypedDict):
    """How long the nodes of a pool were there, in seconds of emulated time."""

    dedicated: float
    low_priority: float


class Control:
    """Looks into an emulator that was started with its control endpoints, and controls it.

    Every method raises ControlError where the emulator refuses, and OSError without one.

    Args:
        url: the emulator's.
        ca_file: who signed its certificate, where it listens with TLS.
        timeout_s: for an answer, beyond what the request itself may take.
    """

    def __init__(self, url: str, ca_file: Path | None = None, timeout_s: float = _MARGIN_S) -> None:
        self._address = urlsplit(url)
        self._ca_file = ca_file
        self._timeout_s = timeout_s

    def now(self) -> str:
        """Return the emulator's time, as its answers have it."""
        return str(self._ask("GET", "health")["now"])

    def state(self) -> dict[str, list[Json]]:
        """Return all resources: `pools`, `nodes`, `jobs` and `tasks`, without secrets."""
        return dict(self._ask("GET", "state"))

    def wait_until_idle(self, timeout_s: float = 60.0) -> None:
        """Wait until no transition, resize or run is under way.

        Args:
            timeout_s: real seconds.

        Raises:
            TimeoutError: something still is; the message says what.
        """
        answer = self._ask("POST", "wait-idle", {"timeout_s": timeout_s}, timeout_s)
        if not answer["idle"]:
            raise TimeoutError(f"not idle after {timeout_s} s: {'; '.join(answer['busy'])}")

    def reset(self, timeout_s: float = 60.0) -> None:
        """Delete everything, clear faults and delays, let the clock run at its usual speed.

        Raises:
            TimeoutError: something is still there after that many real seconds.
        """
        if not self._ask("POST", "reset", {"timeout_s": timeout_s}, 2 * timeout_s)["reset"]:
            raise TimeoutError(f"something is still there {timeout_s} s after a reset")

    def add_fault(self, rule: Rule) -> int:
        """Add a rule for faults; return its number."""
        return int(self._ask("POST", "faults", rule.write())["id"])

    def faults(self) -> list[Json]:
        """Return the rules: `id`, `rule`, and how many `matches` and `hits` they had."""
        return list(self._ask("GET", "faults")["faults"])

    def clear_faults(self) -> None:
        """Remove all rules for faults."""
        self._ask("DELETE", "faults")

    def preempt_node(self, pool_id: str, node_id: str) -> None:
        """Take a low-priority node away; its tasks are requeued, and its pool gets another."""
        self._lose_node(pool_id, node_id, "preempted")

    def break_node(self, pool_id: str, node_id: str) -> None:
        """Make a node unusable; its tasks are requeued, and it stays in its pool."""
        self._lose_node(pool_id, node_id, "unusable")

    def _lose_node(self, pool_id: str, node_id: str, state: str) -> None:
        self._ask("POST", "lose-node", {"pool_id": pool_id, "node_id": node_id, "state": state})

    def scale_clock(self, scale: float) -> None:
        """Let so many emulated seconds pass in each real one; 0 stops the clock."""
        self._ask("POST", "clock", {"scale": scale})

    def advance_clock(self, seconds: float) -> None:
        """Move the clock forward; what becomes due happens in order."""
        # Much may become due: samples for autoscale, for example, twice a minute.
        self._ask("POST", "clock", {"advance_s": seconds}, takes_s=seconds / 3600)

    def delays(self) -> dict[str, Json]:
        """Return by name how many `seconds` transitions take, and how many are `waiting`."""
        return dict(self._ask("GET", "delays"))

    def set_delay(self, name: str, seconds: float | None) -> None:
        """Let a transition take so many seconds; None: until it is released."""
        self._ask("POST", "delays", {name: "manual" if seconds is None else seconds})

    def release(self, name: str) -> int:
        """Let those transitions happen that wait for a delay now; return how many there were."""
        return int(self._ask("POST", "release", {"delay": name})["released"])

    def node_seconds(self) -> dict[str, NodeSeconds]:
        """Return by pool id, of pools that are gone too, how long their nodes were there."""
        return dict(self._ask("GET", "node-seconds"))

    def _ask(self, method: str, name: str, given: Json | None = None, takes_s: float = 0.0) -> Any:
        connection = self._connection(takes_s + self._timeout_s)
        try:
            body = None if given is None else json.dumps(given)
            connection.request(method, f"/_emulator/{name}", body)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise ControlError(f"{method} {name}: {response.status} {answer.decode()}")
        return json.loads(answer)

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        if self._address.scheme == "http":
            return http.client.HTTPConnection(self._address.netloc, timeout=timeout_s)
        context = ssl.create_default_context(cafile=self._ca_file)
        return http.client.HTTPSConnection(self._address.netloc, timeout=timeout_s, context=context)
