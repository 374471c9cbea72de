"""Monitor ``command``: any monitoring plugin with the Nagios API (exit status, text, performance data)."""

import os
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints

from defib.plugin import (
    BuildContext,
    Evidence,
    Fact,
    Family,
    MonitorType,
    Options,
    ProbeContext,
    ProbeStatus,
    Secret,
    hookimpl,
)
from defib_plugins import subprocesses
from defib_plugins.display import clip, last_line
from defib_plugins.failures import timed_out
from defib_plugins.perfdata import parse_output
from defib_plugins.phrases import phrase

Argument = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]


class CommandOptions(Options):
    """Options of the ``command`` monitor."""

    argv: tuple[Argument, ...] = Field(
        min_length=1,
        description="Program and arguments; no shell is involved. A program without a slash is looked for in PATH.",
    )
    cwd: Path | None = Field(
        default=None, description="Folder to run in; the configuration's own by default."
    )
    env: dict[str, Secret] = Field(
        default_factory=dict,
        description="Variables for the program besides PATH, HOME, TZ; values are never shown.",
    )


class CommandMonitor:
    """Runs a program and reads its exit status: 0 ok, 1 warning, 2 critical, 3 unknown."""

    host = ""

    def __init__(self, options: CommandOptions, context: BuildContext) -> None:
        program, *arguments = options.argv
        if not program:
            raise ValueError(
                "argv: the program is empty; write for example [/usr/lib/nagios/plugins/check_load]"
            )
        if os.sep in program:
            program = str(context.base / program)
        self.target = os.path.basename(program)  # arguments may hold passwords
        self._argv = (program, *arguments)
        self._cwd = context.base / (options.cwd or "")
        self._env = {name: value.get_secret_value() for name, value in options.env.items()}

    async def probe(self, context: ProbeContext) -> Evidence:
        """One run. A plugin that is missing, says unknown or is killed by a signal shows nothing of its target."""
        started = context.clock.monotonic()
        try:
            finished = await subprocesses.run(
                self._argv,
                timeout_s=context.timeout.total_seconds(),
                env=subprocesses.environment(extra=self._env),
                cwd=self._cwd,
            )
        except TimeoutError:
            return timed_out(
                context.timeout, phrase("{program} was running; it was killed", program=self.target)
            )
        except (FileNotFoundError, NotADirectoryError):
            words = phrase(
                "cannot run {program}: the program or the folder to run it in does not exist",
                program=self.target,
            )
            return Evidence.inconclusive("not-found", words)
        except OSError as error:
            words = phrase("cannot run {program}: {error}", program=self.target, error=str(error.strerror))
            return Evidence.inconclusive("not-runnable", words)
        return judge(finished, self.target, timedelta(seconds=context.clock.monotonic() - started))

    async def close(self) -> None:
        """Nothing is held between probes."""


def judge(finished: subprocesses.Finished, program: str, took: timedelta) -> Evidence:
    """What a plugin's end means. Its exit status alone decides, whatever its text says."""
    output = parse_output(finished.stdout)
    complaint = last_line(finished.stderr)
    text = (
        clip(output.text)
        or complaint
        or phrase(
            "{program} exited with {status} and said nothing", program=program, status=finished.exit_status
        )
    )
    facts: dict[str, Fact] = {"exit_status": finished.exit_status}
    if output.details:
        facts["output"] = output.details[:1000]
    if complaint:
        facts["stderr"] = complaint
    match finished.exit_status:
        case 0:
            return Evidence.ok(text, latency=took, metrics=output.metrics, facts=facts)
        case 1:
            return Evidence.degraded("warning", text, latency=took, metrics=output.metrics, facts=facts)
        case 3:
            return Evidence.inconclusive("plugin-unknown", text, facts=facts)
        case status if status < 0:
            words = phrase("{program} was killed by signal {n}", program=program, n=-status)
            return Evidence.inconclusive("plugin-killed", words, facts=facts)
        case status:
            return Evidence.fail(
                "critical" if status == 2 else f"exit-{status}",
                text,
                status=ProbeStatus.UNHEALTHY,
                latency=took,
                metrics=output.metrics,
                facts={**facts, "error": text},
            )


@hookimpl
def defib_monitors() -> Iterable[MonitorType]:
    return [
        MonitorType(
            kind="command",
            summary="Program with the Nagios plugin API: exit status 0-3, text, performance data",
            family=Family.CHECK,
            options=CommandOptions,
            configured_only=True,
            create=CommandMonitor,
        )
    ]
