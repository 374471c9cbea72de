"""What agents of a pool do, live, for those who look: the messages of one WebSocket.

    initial_metrics     everything that is known, first of all
    metrics_update      an agent has beaten, or changed its health
    agent_offline       an agent has been silent too long, or has stopped
    metrics_batch       with ``?batch=1``, in place of those two: all that came within a moment

Whoever takes messages slowly is told the newest of each agent, and never all that came meanwhile.
"""

import json
from typing import TYPE_CHECKING, Any

from defib.plugin import AgentId, AgentStatus, Live, ReceiverContext, Task
from defib_plugins.receiving import instant, send, with_query_token

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

ASKED_AGAIN_S = 5.0  #: after which a session or a token that has ended meanwhile sees nothing more
_MOST_KEPT = 10_000
_GONE = (AgentStatus.OFFLINE, AgentStatus.STOPPED)


class PoolFeeds:
    """Makes the messages. What many look at is put into words once."""

    def __init__(self, context: ReceiverContext) -> None:
        self._clock = context.clock
        self._fleet = context.fleet
        self._may_read = context.may_read
        # newest reports in words; when an agent stands otherwise, its report is another object
        self._words: dict[AgentId, tuple[Live, str]] = {}

    async def show(self, socket: "WebSocket", pool: str) -> None:
        """Send until whoever looks may look no more.

        :raises TimeoutError: nothing is taken any more; whoever comes back begins with what is known then.
        """
        is_batched = socket.query_params.get("batch") == "1"
        reader = with_query_token(socket)
        with self._fleet.watch(pool) as feed:
            await send(socket, _message("initial_metrics", pool, self._items(feed.snapshot())))
            asked_at = self._clock.monotonic()
            while True:
                newer, gone = await feed.changes()
                if self._clock.monotonic() - asked_at > ASKED_AGAIN_S:
                    if not self._may_read(reader):
                        return
                    asked_at = self._clock.monotonic()
                if is_batched:
                    await send(socket, _message("metrics_batch", pool, self._items(newer), offline=gone))
                    continue
                for live in newer:
                    await send(socket, _message("metrics_update", pool, self._item(live)))
                for agent in gone:
                    offline = json.dumps({"agent_id": agent, "status": "offline"})
                    await send(socket, _message("agent_offline", pool, offline))

    def _items(self, reports: list[Live]) -> str:
        if len(self._words) > _MOST_KEPT:  # agents come and go
            self._words.clear()
        return f"[{','.join(map(self._item, reports))}]"

    def _item(self, live: Live) -> str:
        """An agent as JSON."""
        known, words = self._words.get(live.agent, (None, ""))
        if known is not live:
            view = self._fleet.find(live.agent)
            words = json.dumps(_told(live, AgentStatus.UNKNOWN if view is None else view.status))
            self._words[live.agent] = (live, words)
        return words


def _message(kind: str, pool: str, metrics: str, **more: Any) -> str:
    """:param metrics: JSON."""
    head = json.dumps({"type": kind, "pool_id": pool, **more})[:-1]
    return f'{head}, "metrics": {metrics}}}'


def _told(live: Live, health: AgentStatus) -> dict[str, Any]:
    return {
        "agent_id": live.agent,
        "agent_name": live.name,
        "cpu_usage": live.report.metrics.get("cpu_percent"),
        "memory_usage": live.report.metrics.get("memory_percent"),
        "running_tasks": [_task(task) for task in live.report.tasks],
        "last_update_time": instant(live.at),
        "status": AgentStatus.OFFLINE if health in _GONE else live.report.status or health,
        "health": health,
    }


def _task(task: Task) -> dict[str, Any]:
    number = int(task.id) if task.id.isascii() and task.id.isdecimal() else None
    return {
        "task_id": number if str(number) == task.id else task.id,
        "task_type": task.kind,
        "workspace_id": task.workspace,
        "started_at": task.started_at,
    }
