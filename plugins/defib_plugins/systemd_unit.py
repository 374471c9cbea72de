"""Monitor ``systemd``: a unit of this machine, as ``systemctl show`` tells it."""

import shutil
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from defib.plugin import (
    BuildContext,
    DefaultRung,
    Evidence,
    Fact,
    Family,
    Grade,
    MonitorType,
    Options,
    ProbeContext,
    ProbeStatus,
    hookimpl,
)
from defib_plugins import subprocesses
from defib_plugins.display import first_line
from defib_plugins.failures import timed_out

_PROPERTIES = (
    "LoadState", "ActiveState", "SubState", "Result", "ExecMainCode", "ExecMainStatus", "NRestarts", "MainPID",
    "InvocationID",
)  # fmt: skip
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
                "no-systemd", "systemctl is not installed here; use a process monitor instead"
            )
        names = ",".join(_PROPERTIES)
        started = context.clock.monotonic()
        try:
            finished = await subprocesses.run(
                (program, self._scope, "--no-pager", "show", f"--property={names}", "--", self.target),
                timeout_s=context.timeout.total_seconds(),
                env=env,
            )
        except TimeoutError:
            return Evidence.inconclusive(
                "systemd-unreachable", timed_out(context.timeout, "asking systemd").summary
            )
        except OSError as error:
            return Evidence.inconclusive("no-systemd", f"cannot run {program}: {error.strerror}")
        properties = dict(line.split("=", 1) for line in finished.stdout.splitlines() if "=" in line)
        if finished.exit_status != 0 or "ActiveState" not in properties:
            words = first_line(finished.stderr) or f"systemctl exited with {finished.exit_status}"
            return Evidence.inconclusive("systemd-unreachable", f"cannot ask systemd: {words}")
        return judge(self.target, properties, timedelta(seconds=context.clock.monotonic() - started))

    async def close(self) -> None:
        """Nothing is held between probes."""


def judge(unit: str, properties: Mapping[str, str], took: timedelta) -> Evidence:
    """What the properties of a unit mean.

    A unit that waits for its automatic restart has crashed; one that is starting for the first time has not.
    """
    active, sub = properties["ActiveState"], properties.get("SubState", "")
    result = properties.get("Result", "")
    restarts = _number(properties.get("NRestarts"))
    facts: dict[str, Fact] = {
        "active_state": active,
        "sub_state": sub,
        "result": result or None,
        "n_restarts": restarts,
        "main_pid": _number(properties.get("MainPID")) or None,
        "invocation_id": properties.get("InvocationID") or None,
    }
    metrics = {} if restarts is None else {"n_restarts": float(restarts)}

    def fail(cause: str, words: str, grade: Grade, status: ProbeStatus = ProbeStatus.ERROR) -> Evidence:
        return Evidence.fail(cause, words, grade=grade, status=status, metrics=metrics, facts=facts)

    if active in ("active", "reloading", "refreshing"):
        return Evidence.ok(f"{unit} is {active} ({sub})", latency=took, metrics=metrics, facts=facts)
    match properties.get("LoadState", "loaded"):
        case "not-found":
            return fail("unit-not-found", f"{unit} does not exist", Grade.NORMAL, ProbeStatus.UNKNOWN)
        case "masked":
            return fail("unit-masked", f"{unit} is masked", Grade.INTENT)
        case "loaded" | "stub" | "merged":
            pass
        case load:
            return fail(
                "unit-broken", f"{unit} cannot be loaded ({load})", Grade.NORMAL, ProbeStatus.UNHEALTHY
            )
    ended = _tell_end(properties)
    if active == "failed":
        return fail("unit-failed", f"{unit} failed: {ended}", Grade.AUTHORITATIVE)
    if active == "activating" and sub.startswith("auto-restart"):
        return fail("unit-restarting", f"{unit} waits for its automatic restart: {ended}", Grade.NORMAL)
    if active == "activating":
        return Evidence.degraded("activating", f"{unit} is starting ({sub})", metrics=metrics, facts=facts)
    if result in ("", "success"):
        doing = "is stopping" if active == "deactivating" else "is stopped"
        return fail("unit-inactive", f"{unit} {doing} ({sub})", Grade.INTENT)
    return fail("unit-inactive", f"{unit} is {active}: {ended}", Grade.NORMAL)


def _tell_end(properties: Mapping[str, str]) -> str:
    """``exit-code, main process exited with 3``."""
    result, status = properties.get("Result", "unknown"), properties.get("ExecMainStatus", "")
    match properties.get("ExecMainCode"):
        case "1":  # CLD_EXITED
            return f"{result}, main process exited with {status}"
        case "2" | "3":  # CLD_KILLED, CLD_DUMPED
            return f"{result}, main process killed by signal {status}"
        case _:
            return result


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


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
