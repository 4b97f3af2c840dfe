"""Endpoints by which tests look into the emulator and control it; only there on request.

They need no signature. The doorkeeper keeps pages in a browser away from them.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_azure.batch.controls.delays import Delays
from local_azure.batch.controls.faults import Faults, Rule
from local_azure.batch.engine.idleness import Idleness
from local_azure.batch.engine.meter import Meter
from local_azure.batch.server import bodies
from local_azure.batch.state.service import BatchService
from local_azure.batch.state.states import NODE_LOST, JobState, NodeState, PoolState
from local_azure.batch.wire.errors import BatchError
from local_azure.batch.wire.formats import Json, format_time

PREFIX = "/_emulator"
_MANUAL = "manual"
_TIMEOUT_S = 60.0
_POLL_S = 0.01
_QUERY = re.compile(r"(https?://[^\s?\"'<>]+)\?[^\s\"'<>]+")
_SETTINGS = frozenset({"environmentSettings", "commonEnvironmentSettings"})
_HIDDEN = "***"

Handler = Callable[[Json], Awaitable[Json]]


class ControlEndpoints:
    """The control endpoints of one emulator."""

    def __init__(self, service: BatchService, delays: Delays, faults: Faults) -> None:
        self._service = service
        self._delays = delays
        self._faults = faults
        self._idleness = Idleness(service.store)
        self._meter = Meter(service.store, service.clock)

    def routes(self) -> list[Route]:
        """Return the routes of all endpoints."""
        handlers: Mapping[tuple[str, str], Handler] = {
            ("GET", "health"): self._health,
            ("GET", "state"): self._state,
            ("POST", "wait-idle"): self._wait_idle,
            ("POST", "reset"): self._reset,
            ("GET", "faults"): self._list_faults,
            ("POST", "faults"): self._add_fault,
            ("DELETE", "faults"): self._clear_faults,
            ("GET", "clock"): self._read_clock,
            ("POST", "clock"): self._set_clock,
            ("GET", "delays"): self._read_delays,
            ("POST", "delays"): self._set_delays,
            ("POST", "release"): self._release,
            ("POST", "lose-node"): self._lose_node,
            ("GET", "node-seconds"): self._node_seconds,
        }
        return [
            Route(f"{PREFIX}/{name}", _endpoint(handler), methods=[method])
            for (method, name), handler in handlers.items()
        ]

    async def _health(self, _given: Json) -> Json:
        return {"health": "ok", "now": format_time(self._service.clock.now())}

    async def _state(self, _given: Json) -> Json:
        """Return all resources as they are recorded, but for secrets."""
        state: dict[str, list[Any]] = {"pools": [], "nodes": [], "jobs": [], "tasks": []}
        for record in self._service.store.everything():
            state.setdefault(f"{record.noun.lower()}s", []).append(_without_secrets(asdict(record)))
        return state

    async def _wait_idle(self, given: Json) -> Json:
        timeout_s = _seconds(given, "timeout_s", _TIMEOUT_S)
        is_idle = await self._idleness.until(
            lambda: next(self._idleness.busy(), None) is None, timeout_s
        )
        return {"idle": is_idle, "busy": [] if is_idle else list(self._idleness.busy())}

    async def _reset(self, given: Json) -> Json:
        """Delete everything, clear faults and delays, let the clock run, and wait for the end."""
        timeout_s = _seconds(given, "timeout_s", _TIMEOUT_S)
        self._faults.clear()
        self._service.clock.set_scale(1)
        self._delays.reset()
        self._delete_all()
        done = await self._idleness.until(
            lambda: next(self._service.store.everything(), None) is None, timeout_s
        )
        await self._service.commit()
        return {"reset": done and await self._folders_gone(timeout_s)}

    def _delete_all(self) -> None:
        store, now = self._service.store, self._service.clock.now()
        for job in store.jobs.list():
            if job.state is not JobState.DELETING:
                store.jobs.put(job.move(JobState.DELETING, now))
        for pool in store.pools.list():
            if pool.state is not PoolState.DELETING:
                store.pools.put(pool.move(PoolState.DELETING, now))

    async def _folders_gone(self, timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                while any(self._service.nodes_dir.iterdir()):  # noqa: ASYNC110 - there is no event for files
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            return False
        return True

    async def _list_faults(self, _given: Json) -> Json:
        return {"faults": self._faults.report}

    async def _add_fault(self, given: Json) -> Json:
        return {"id": self._faults.add(Rule.read(given))}

    async def _clear_faults(self, _given: Json) -> Json:
        self._faults.clear()
        return {}

    async def _read_clock(self, _given: Json) -> Json:
        clock = self._service.clock
        return {"now": format_time(clock.now()), "scale": clock.scale}

    async def _set_clock(self, given: Json) -> Json:
        clock = self._service.clock
        _only(given, "scale", "advance_s")
        if "scale" in given:
            clock.set_scale(_seconds(given, "scale", 1.0))
        if "advance_s" in given:
            await clock.advance(_seconds(given, "advance_s", 0.0))
        return await self._read_clock({})

    async def _read_delays(self, _given: Json) -> Json:
        seconds, waiting = self._delays.seconds, self._delays.waiting
        return {
            name: {"seconds": _MANUAL if value is None else value, "waiting": waiting[name]}
            for name, value in seconds.items()
        }

    async def _set_delays(self, given: Json) -> Json:
        for name, value in given.items():
            self._delays.set(name, None if value == _MANUAL else _seconds(given, name, 0.0))
        return await self._read_delays({})

    async def _release(self, given: Json) -> Json:
        _only(given, "delay")
        return {"released": self._delays.release(str(given.get("delay")))}

    async def _lose_node(self, given: Json) -> Json:
        """Preempt a node, or make it unusable."""
        _only(given, "pool_id", "node_id", "state")
        node = self._service.store.nodes.get(str(given.get("pool_id")), str(given.get("node_id")))
        state = NodeState(given.get("state", ""))
        if state not in (NodeState.PREEMPTED, NodeState.UNUSABLE):
            raise ValueError("a node can be preempted or unusable")
        if state is NodeState.PREEMPTED and node.dedicated:
            raise ValueError("a dedicated node is never preempted")
        if node.state in NODE_LOST:
            raise ValueError(f"the node is {node.state}")
        self._service.store.nodes.put(node.move(state, self._service.clock.now()))
        await self._service.commit()
        return {}

    async def _node_seconds(self, _given: Json) -> Json:
        return self._meter.read()


def _endpoint(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            return JSONResponse(await handler(await _given(request)))
        except ClientDisconnect:
            return Response()  # nobody is there to read it
        except BatchError as error:
            if error.status == HTTPStatus.REQUEST_TIMEOUT:
                return JSONResponse({"error": str(error)}, error.status, {"Connection": "close"})
            return JSONResponse({"error": str(error)}, 400)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)

    return answer


async def _given(request: Request) -> Json:
    given = bodies.parse(await bodies.read(request))
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise ValueError("the body must be a JSON object")  # noqa: TRY004 - the client's mistake
    return given


def _only(given: Json, *names: str) -> None:
    if unknown := given.keys() - set(names):
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(names)}")


def _seconds(given: Json, name: str, default: float) -> float:
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} must be a number, not {value!r}")  # noqa: TRY004 - of JSON
    return float(value)


def _without_secrets(value: Any, name: str = "") -> Any:
    """Make JSON of a record: settings have no values, URLs no query, passwords are hidden."""
    match value:
        case dict():
            return {key: _without_secrets(inner, key) for key, inner in value.items()}
        case list() | tuple() if name in _SETTINGS:
            return [{**setting, "value": _HIDDEN} for setting in value]
        case list() | tuple():
            return [_without_secrets(inner) for inner in value]
        case str():
            is_secret = "password" in name.lower() or "key" in name.lower()
            return _HIDDEN if is_secret else _QUERY.sub(rf"\1?{_HIDDEN}", value)
        case bool() | int() | float() | None:
            return value
    return str(value)
