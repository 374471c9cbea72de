"""A crowd in a process of its own: agents that beat, and browsers that look at their pool.

``python -m benchmarks.agent_crowd PORT KEY AGENTS BROWSERS EVERY_S ROUNDS quick|stalled``; one line of JSON for each
round of ``EVERY_S``: how long it took from a beat to each browser. The beat carries the instant at which it was sent.
"""

import asyncio
import json
import re
import socket
import sys
import time
from contextlib import AsyncExitStack

from websockets.asyncio.client import ClientConnection, connect

POOL = "crowd"
_SENT = re.compile(r'"started_at": "(\d+)"')
_AT_ONCE = 32


class Crowd:
    """All of them."""

    def __init__(self, port: int, agents: int, every_s: float) -> None:
        self._port = port
        self._agents = agents
        self._every_s = every_s
        self._tokens: list[str] = []
        self.took_ns: list[int] = []
        self.refused = 0

    async def register(self, key: str) -> None:
        """Introduce every agent; each is given a token of its own."""
        free = asyncio.Semaphore(_AT_ONCE)

        async def one(number: int) -> str:
            said = {"agent_id": f"agent-{number}", "pool": POOL, "interval": self._every_s}
            async with free:
                answer = await self._post("register", key, said)
            return str(json.loads(answer.partition(b"\r\n\r\n")[2])["token"])

        self._tokens = await asyncio.gather(*map(one, range(self._agents)))

    async def beat(self, number: int, until: float) -> None:
        """One agent, at its own place in the interval."""
        due = time.monotonic() + self._every_s * number / self._agents
        while due < until:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            said = {
                "status": "busy",
                "system_info": {"cpu_usage": number % 100, "memory_usage": 62.3},
                "running_tasks": [
                    {"task_id": number, "task_type": "plan", "workspace_id": "ws-1",
                     "started_at": str(time.monotonic_ns())}
                ],
            }  # fmt: skip
            answer = await self._post(f"agent-{number}/heartbeat", self._tokens[number], said)
            self.refused += not answer.startswith(b"HTTP/1.1 200 ")
            due += self._every_s

    async def look(self, browser: ClientConnection) -> None:
        """Note how old each report is when it comes."""
        async for message in browser:
            now = time.monotonic_ns()
            self.took_ns += [now - int(sent) for sent in _SENT.findall(str(message))]

    async def _post(self, path: str, token: str, said: object) -> bytes:
        body = json.dumps(said)
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(
            f"POST /api/v1/agents/{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()
        )
        try:
            return await reader.read()
        finally:
            writer.close()


async def main(
    port: int, key: str, agents: int, browsers: int, every_s: float, rounds: int, is_stalled: bool
) -> None:
    """Print a line after each round."""
    crowd = Crowd(port, agents, every_s)
    await crowd.register(key)
    address = f"ws://127.0.0.1:{port}/ws/agent-pools/{POOL}/metrics?batch=1"
    async with AsyncExitStack() as stack:
        stalled = stack.enter_context(socket.socket())
        if is_stalled:
            stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stalled.connect(("127.0.0.1", port))
            stalled.sendall(
                f"GET /ws/agent-pools/{POOL}/metrics?batch=1 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                "Sec-WebSocket-Version: 13\r\n\r\n".encode()
            )
        opened = [
            await stack.enter_async_context(connect(address, proxy=None, compression=None, max_size=None))
            for _ in range(browsers)
        ]
        until = time.monotonic() + every_s * (rounds + 1)
        looking = [asyncio.create_task(crowd.look(browser)) for browser in opened]
        beating = [asyncio.create_task(crowd.beat(number, until)) for number in range(agents)]
        for _ in range(rounds):
            await asyncio.sleep(every_s)
            took, crowd.took_ns = sorted(crowd.took_ns), []
            refused, crowd.refused = crowd.refused, 0
            said = {
                "p50_ms": took[len(took) // 2] / 1e6,
                "p99_ms": took[int(0.99 * (len(took) - 1))] / 1e6,
                "told": len(took),
                "refused": refused,
            }
            print(json.dumps(said), flush=True)
        for task in (*looking, *beating):
            task.cancel()


if __name__ == "__main__":
    _, port, key, agents, browsers, every_s, rounds, kind = sys.argv
    asyncio.run(
        main(int(port), key, int(agents), int(browsers), float(every_s), int(rounds), kind == "stalled")
    )
