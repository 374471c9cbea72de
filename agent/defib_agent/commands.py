"""What the server may ask of us over the WebSocket. Off by default; a name or a target travels, never a command.

``action``: run the action that our own settings have under a name. Answered by ``action_started``, then
``action_ended`` with exit status and the end of the output; ``action_refused`` where there is none of that name.

``probe_request``: see whether a target answers from here: ``probe_ack`` or ``probe_nack``.
"""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Any

from defib_agent.second_opinion import look
from defib_agent.settings import AllowedAction, Settings
from defib_agent.stream import Reply

log = logging.getLogger("defib_agent")

TAIL_BYTES = 4096
_MOST_PROBES = 4  # at a time
_KILL_AFTER_S = 5.0
_REMEMBERED = 256


class Commands:
    """Answers what the server asks. One action runs at a time, and none twice."""

    def __init__(self, settings: Settings) -> None:
        self._actions = settings.actions
        self._looks = settings.second_opinion
        self._tasks: set[asyncio.Task[None]] = set()
        self._done: dict[str, None] = {}  # ids of actions that were asked for before, the oldest first
        self.acting = ""  #: name of the action that runs
        self._probes = 0

    def hear(self, kind: str, data: Mapping[str, Any], reply: Reply) -> None:
        """A message; what is none of ours is left alone."""
        match kind:
            case "action":
                self._start(
                    self._act(str(data.get("id", ""))[:100], str(data.get("action", ""))[:100], data, reply)
                )
            case "probe_request":
                self._start(self._probe(str(data.get("id", ""))[:100], data, reply))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End what runs."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- actions -----------------------------------------------------------------------------------

    async def _act(self, key: str, name: str, data: Mapping[str, Any], reply: Reply) -> None:
        async def say(kind: str, **told: Any) -> None:
            with suppress(Exception):  # the connection broke: the action goes on, its outcome is in our log
                await reply({"type": kind, "data": {"id": key, "action": name, **told}})

        action = self._actions.get(name)
        why = self._objection(key, action)
        if action is None or why:
            log.warning("action %r refused: %s", name, why)
            await say("action_refused", why=why)
            return
        self._done[key] = None
        while len(self._done) > _REMEMBERED:
            self._done.pop(next(iter(self._done)))
        asked_s = data.get("deadline")
        limit_s = (
            min(action.timeout_s, float(asked_s))
            if isinstance(asked_s, int | float) and asked_s > 0
            else action.timeout_s
        )
        self.acting = name
        log.warning("action %r started for the server: %s", name, " ".join(action.argv))
        began = time.monotonic()
        try:
            await say("action_started")
            status, output = await _run(action, limit_s)
        except asyncio.CancelledError:
            log.warning("action %r ended because the agent stops", name)
            raise
        finally:
            self.acting = ""
        took_s = round(time.monotonic() - began, 3)
        log.warning("action %r ended with %s after %.1f s", name, status, took_s)
        await say("action_ended", status=status, output=output, took_s=took_s)

    def _objection(self, key: str, action: AllowedAction | None) -> str:
        if action is None:
            return "the agent's settings allow no action of this name"
        if not key:
            return "it has no id"
        if key in self._done:
            return "it was asked for before"
        return f"{self.acting} is running" if self.acting else ""

    # --- second opinion ----------------------------------------------------------------------------

    async def _probe(self, key: str, data: Mapping[str, Any], reply: Reply) -> None:
        kind, target = str(data.get("kind", "")), str(data.get("target", ""))[:2000]
        if not self._looks or self._probes >= _MOST_PROBES:
            why = "too many at a time" if self._looks else "the agent's settings allow no second opinions"
            told: Mapping[str, Any] = {"is_refused": True, "why": why}
            has_answered = False
        else:
            self._probes += 1
            try:
                has_answered, why, took_s = await look(kind, target)
            finally:
                self._probes -= 1
            told = {"why": why, "took_s": round(took_s, 3)}
        with suppress(Exception):  # nobody waits for it any more
            await reply({"type": "probe_ack" if has_answered else "probe_nack", "data": {"id": key, **told}})


async def _run(action: AllowedAction, limit_s: float) -> tuple[str, str]:
    """How it ended (``0``, ``3``, ``timeout``, ``not started``, ``signal 9``), and the end of what it wrote."""
    try:
        process = await asyncio.create_subprocess_exec(
            *action.argv, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT, start_new_session=True, env=_environment(),
        )  # fmt: skip
    except OSError as error:
        return "not started", f"{action.argv[0]}: {error.strerror or error}"
    assert process.stdout is not None
    tail = bytearray()
    try:
        async with asyncio.timeout(limit_s):
            while chunk := await process.stdout.read(8192):
                tail += chunk
                del tail[:-TAIL_BYTES]
            code = await process.wait()
    except TimeoutError:
        await _end(process)
        return "timeout", tail.decode(errors="replace")
    except asyncio.CancelledError:
        await _end(process)
        raise
    return str(code) if code >= 0 else f"signal {-code}", tail.decode(errors="replace")


async def _end(process: asyncio.subprocess.Process) -> None:
    """End it and its children."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(TimeoutError):
            async with asyncio.timeout(_KILL_AFTER_S):
                await process.wait()
                return


def _environment() -> dict[str, str]:
    """Ours, without our own secrets."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DEFIB_AGENT_", "NOTIFY_", "WATCHDOG_"))
    }
