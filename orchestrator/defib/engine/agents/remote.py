"""What agents do for us on other hosts, over the streams that they hold open: actions, and looks at a target.

A name travels, never a command: what it stands for is in the agent's own settings, and an agent that has nothing under
it refuses. The id of the attempt goes along; an agent runs nothing twice under one id.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

from defib.errors import ActionRefusedError
from defib.logs import get_logger
from defib.model.ids import AgentId
from defib.ports import ActionResult

log = get_logger("defib.remote")

Send = Callable[[str, Mapping[str, object]], Awaitable[None]]
"""``send(type, data)``: one message over an agent's stream."""
ANSWERS_WITHIN = timedelta(seconds=5)  #: an agent that is there says at once that it has started
_LONGEST_WHY = 120  #: characters of an agent's words
_SLACK = timedelta(seconds=2)  #: for its last word, after the deadline that it was given
_STARTED, _ENDED, _REFUSED = "action_started", "action_ended", "action_refused"
_ACK, _NACK = "probe_ack", "probe_nack"
_KINDS = (_STARTED, _ENDED, _REFUSED, _ACK, _NACK)


@dataclass(frozen=True, slots=True)
class Said:
    """What an agent says of a target that it looked at for us."""

    has_answered: bool
    why: str  #: in its own words, on one line
    is_refused: bool = False  #: it did not look


class Remote:
    """See :class:`defib.ports.RemoteActions`."""

    def __init__(self) -> None:
        self._streams: dict[AgentId, Send] = {}
        self._asked: dict[tuple[AgentId, str], asyncio.Queue[tuple[str, Mapping[str, object]]]] = {}

    @contextmanager
    def stream(self, agent: AgentId, send: Send | None) -> Iterator[None]:
        """``agent`` can be asked over ``send`` meanwhile; None: it cannot."""
        if send is None:
            yield
            return
        self._streams[agent] = send
        try:
            yield
        finally:
            if self._streams.get(agent) is send:
                del self._streams[agent]
                for (asked, _), answers in self._asked.items():
                    if asked == agent:
                        answers.put_nowait(("", {}))

    def hear(self, agent: AgentId, kind: str, data: Mapping[str, object]) -> None:
        """An agent answers. What nobody asked it for is dropped."""
        answers = self._asked.get((agent, str(data.get("id", ""))))
        if answers is not None and kind in _KINDS:
            answers.put_nowait((kind, data))

    def can_ask(self, agent: AgentId) -> bool:
        """Whether it holds a stream open that it can be asked over."""
        return agent in self._streams

    async def look(
        self, agent: AgentId, *, key: str, kind: str, target: str, timeout: timedelta
    ) -> Said | None:
        """Have an agent look at a target from where it stands; None when it does not answer in time.

        :param kind: ``tcp`` or ``http``.
        """
        send = self._streams.get(agent)
        if send is None:
            return None
        answers: asyncio.Queue[tuple[str, Mapping[str, object]]] = asyncio.Queue()
        self._asked[agent, key] = answers
        try:
            with suppress(Exception):  # a stream that breaks gives no answer
                await send("probe_request", {"id": key, "kind": kind, "target": target})
            said, data = await _next(answers, timeout)
        except TimeoutError:
            return None
        finally:
            del self._asked[agent, key]
        if said not in (_ACK, _NACK):
            return None
        why = "".join(c if c.isprintable() else "\ufffd" for c in _text(data, "why"))[:_LONGEST_WHY]
        return Said(said == _ACK, why, is_refused=data.get("is_refused") is True)

    async def run(self, agent: AgentId, action: str, *, key: str, timeout: timedelta) -> ActionResult:
        """See :class:`defib.ports.RemoteActions`."""
        send = self._streams.get(agent)
        if send is None:
            raise ActionRefusedError(
                f"agent {agent} is not connected; actions need one that keeps a WebSocket open ('transport: both')"
            )
        answers: asyncio.Queue[tuple[str, Mapping[str, object]]] = asyncio.Queue()
        self._asked[agent, key] = answers
        log.warning("action asked of an agent", agent=agent, action=action, attempt=key)
        try:
            with suppress(Exception):  # a stream that breaks says so below, as any does that ends
                await send("action", {"id": key, "action": action, "deadline": timeout.total_seconds()})
            kind, data = await _next(answers, ANSWERS_WITHIN)
            if kind == _REFUSED:
                raise ActionRefusedError(f"agent {agent} refuses {action}: {_text(data, 'why')}")
            if kind == _STARTED:
                kind, data = await _next(answers, timeout + _SLACK)
        except TimeoutError:
            words = f"agent {agent} did not say how {action} went; it may have run all the same"
            return ActionResult(exit_status=None, output=words, timed_out=True)
        finally:
            del self._asked[agent, key]
        if kind != _ENDED:
            words = (
                f"the connection of agent {agent} ended before {action} did; its own log tells how it went"
            )
            return ActionResult(exit_status=None, output=words)
        status, output = _text(data, "status"), _text(data, "output")
        if status.isdecimal():
            return ActionResult(exit_status=int(status), output=output)
        words = f"{output}\n{action} on agent {agent}: {status}".lstrip()
        return ActionResult(
            exit_status=None if status == "timeout" else 1, output=words, timed_out=status == "timeout"
        )


async def _next(
    answers: asyncio.Queue[tuple[str, Mapping[str, object]]], within: timedelta
) -> tuple[str, Mapping[str, object]]:
    """:raises TimeoutError: nothing came."""
    async with asyncio.timeout(within.total_seconds()):
        return await answers.get()


def _text(data: Mapping[str, object], name: str) -> str:
    return str(data.get(name, ""))[:4096]
