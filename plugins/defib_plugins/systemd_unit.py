"""Monitor ``systemd``: a unit of this machine, as ``systemctl show`` tells it."""

import shutil
from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from defib.plugin import (
    BuildContext,
    DefaultRung,
    Evidence,
    Family,
    MonitorType,
    Options,
    ProbeContext,
    hookimpl,
)
from defib_plugins import subprocesses
from defib_plugins.display import first_line
from defib_plugins.failures import timed_out
from defib_plugins.phrases import phrase
from defib_plugins.systemd_judgement import PROPERTIES, judge

LADDER = (
    DefaultRung(action="systemd", options={"action": "restart"}, max_uses=1),
    DefaultRung(action="systemd", options={"action": "reset-failed"}),
)
_TYPES = (
    "service", "socket", "timer", "path", "mount", "automount", "swap", "target", "slice", "scope", "device",
)  # fmt: skip


def _full_name(unit: str) -> str:
    """``nginx`` means ``nginx.service``, as for systemctl."""
    return unit if unit.rpartition(".")[2] in _TYPES else f"{unit}.service"


class SystemdOptions(Options):
    """Options of the ``systemd`` monitor."""

    unit: Annotated[str, AfterValidator(_full_name)] = Field(
        pattern=r"^[A-Za-z0-9_:@\\][A-Za-z0-9_:@\\.-]*$",
        max_length=255,
        description="Name of the unit; without a type it is a service.",
    )
    user: bool = Field(default=False, description="A unit of the user's own manager instead of the system's.")


class SystemdMonitor:
    """Asks systemd for the state of one unit."""

    host = ""

    def __init__(self, options: SystemdOptions, context: BuildContext) -> None:
        self.target = options.unit
        self._scope = "--user" if options.user else "--system"
        self.stands_on: frozenset[str] = frozenset()
        is_daemon = options.unit == "docker.service" and not options.user
        self.carries = frozenset({"docker"} if is_daemon else ())

    async def probe(self, context: ProbeContext) -> Evidence:
        """One ``systemctl show``. Where there is no systemd, nothing can be said."""
        env = subprocesses.environment(
            "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"
        )  # for the user's manager
        program = shutil.which("systemctl", path=env["PATH"])
        if program is None:
            return Evidence.inconclusive(
                "no-systemd", phrase("systemctl is not installed here; use a process monitor instead")
            )
        names = ",".join(PROPERTIES)
        started = context.clock.monotonic()
        try:
            finished = await subprocesses.run(
                (program, self._scope, "--no-pager", "show", f"--property={names}", "--", self.target),
                timeout_s=context.timeout.total_seconds(),
                env=env,
            )
        except TimeoutError:
            return Evidence.inconclusive(
                "systemd-unreachable", timed_out(context.timeout, phrase("asking systemd")).summary
            )
        except OSError as error:
            words = phrase("cannot run {program}: {error}", program=program, error=str(error.strerror))
            return Evidence.inconclusive("no-systemd", words)
        properties = dict(line.split("=", 1) for line in finished.stdout.splitlines() if "=" in line)
        if finished.exit_status != 0 or "ActiveState" not in properties:
            words = first_line(finished.stderr) or phrase(
                "systemctl exited with {status}", status=finished.exit_status
            )
            return Evidence.inconclusive(
                "systemd-unreachable", phrase("cannot ask systemd: {error}", error=words)
            )
        return judge(self.target, properties, timedelta(seconds=context.clock.monotonic() - started))

    async def close(self) -> None:
        """Nothing is held between probes."""


@hookimpl
def defib_monitors() -> Iterable[MonitorType]:
    return [
        MonitorType(
            kind="systemd",
            summary="systemd unit: active, failed, restarting, stopped on purpose",
            family=Family.SERVICE,
            options=SystemdOptions,
            create=SystemdMonitor,
            ladder=lambda options: LADDER,
        )
    ]
