"""Monitor ``tcp``: a port that accepts connections and, where asked, says the right thing."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta

from pydantic import Field

from defib.plugin import (
    BuildContext,
    Evidence,
    Family,
    MonitorType,
    Options,
    ProbeContext,
    ProbeStatus,
    hookimpl,
)
from defib_plugins.assertions import PatternOption
from defib_plugins.connecting import connect, resolve
from defib_plugins.display import clip
from defib_plugins.elsewhere import of_port
from defib_plugins.failures import network_failure, timed_out
from defib_plugins.phrases import phrase

_ANSWER_LIMIT_BYTES = 64 * 1024


class TcpOptions(Options):
    """Options of the ``tcp`` monitor."""

    host: str = Field(min_length=1, max_length=253, pattern=r"^\S+$", description="Name or address.")
    port: int = Field(ge=1, le=65535, description="Port number.")
    send: str | None = Field(default=None, description='Text to send once connected, such as "PING\\r\\n".')
    expect: PatternOption | None = Field(
        default=None,
        description="Text the answer must contain, or a /regular expression/ that must match in it.",
    )


class TcpMonitor:
    """Connects, and converses where ``send`` or ``expect`` are given."""

    def __init__(self, options: TcpOptions, context: BuildContext) -> None:
        self.host = options.host
        self.target = (
            f"[{options.host}]:{options.port}" if ":" in options.host else f"{options.host}:{options.port}"
        )
        self.elsewhere = of_port(options.host, options.port)
        self._options = options

    async def probe(self, context: ProbeContext) -> Evidence:
        """One connection. ``wrong-answer`` when it says something else or hangs up before saying it."""
        started = context.clock.monotonic()
        deadline = asyncio.get_running_loop().time() + context.timeout.total_seconds()
        phase = phrase("connecting")
        try:
            async with asyncio.timeout_at(deadline):
                addresses = await resolve(self._options.host, self._options.port)
                connection = await connect(addresses, deadline)
            reader, writer = await asyncio.open_connection(sock=connection)
            connected = context.clock.monotonic()
            phase = phrase("waiting for the answer")
            try:
                async with asyncio.timeout_at(deadline):
                    answer = await self._converse(reader, writer)
            finally:
                writer.transport.abort()
        except TimeoutError:
            return timed_out(context.timeout, phase)
        except (OSError, ExceptionGroup) as error:
            return network_failure(error, self.target)
        took = timedelta(seconds=context.clock.monotonic() - started)
        metrics = {"connect_ms": (connected - started) * 1000}
        took_ms = took.total_seconds() * 1000
        if answer is None:
            return Evidence.ok(
                phrase("connected in {took:.0f} ms", took=took_ms), latency=took, metrics=metrics
            )
        if self._options.expect is None or self._options.expect.is_in(answer):
            return Evidence.ok(
                phrase("answered in {took:.0f} ms", took=took_ms), latency=took, metrics=metrics
            )
        wanted = repr(self._options.expect.source)
        words = (
            phrase("said {answer}, expected {wanted}", answer=repr(clip(answer, 60)), wanted=wanted)
            if answer
            else phrase("hung up without a word, expected {wanted}", wanted=wanted)
        )
        return Evidence.fail(
            "wrong-answer",
            words,
            status=ProbeStatus.UNHEALTHY,
            latency=took,
            metrics=metrics,
            facts={"error": words},
        )

    async def close(self) -> None:
        """Nothing is held between probes."""

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str | None:
        """What the target said, until it said what is expected, hung up, or said too much; None: nothing was asked."""
        if self._options.send is not None:
            writer.write(self._options.send.encode())
            await writer.drain()
        if self._options.expect is None:
            return None
        answer = bytearray()
        while len(answer) < _ANSWER_LIMIT_BYTES and (chunk := await reader.read(4096)):
            answer += chunk
            if self._options.expect.is_in(answer.decode("utf-8", "replace")):
                break
        return answer.decode("utf-8", "replace")


@hookimpl
def defib_monitors() -> Iterable[MonitorType]:
    return [
        MonitorType(
            kind="tcp",
            summary="TCP port: accepts connections, answers what is expected",
            family=Family.NETWORK,
            options=TcpOptions,
            create=TcpMonitor,
        )
    ]
