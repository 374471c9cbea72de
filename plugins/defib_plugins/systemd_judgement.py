"""What systemd's properties of a unit mean."""

import signal
from collections.abc import Mapping
from datetime import timedelta

from defib.plugin import N_, Evidence, Fact, Grade, ProbeStatus
from defib_plugins.phrases import phrase

PROPERTIES = (
    "LoadState", "ActiveState", "SubState", "Result", "ExecMainCode", "ExecMainStatus", "NRestarts", "MainPID",
    "InvocationID", "Job", "InactiveExitTimestampMonotonic", "ConditionResult", "ConditionTimestampMonotonic",
    "AssertResult", "AssertTimestampMonotonic", "WantedBy", "RequiredBy",
)  # fmt: skip
"""Those that :func:`judge` reads."""

_ALWAYS_REACHED = frozenset(
    {"basic.target", "default.target", "multi-user.target", "paths.target", "sockets.target", "sysinit.target",
     "timers.target"}
)  # fmt: skip
"""What belongs to one of these is started with the machine."""

_STEPS = {
    200: N_("CHDIR: its working directory"),
    203: N_("EXEC: its program"),
    204: N_("MEMORY: memory for it"),
    209: N_("STDOUT: its output"),
    216: N_("GROUP: its group"),
    217: N_("USER: its user"),
    218: N_("CAPABILITIES: its capabilities"),
    226: N_("NAMESPACE: its view of the files"),
    227: N_("NO_NEW_PRIVILEGES: its privileges"),
    228: N_("SECCOMP: its system calls"),
    233: N_("RUNTIME_DIRECTORY: its folder in /run"),
    238: N_("STATE_DIRECTORY: its folder in /var/lib"),
    239: N_("CACHE_DIRECTORY: its folder in /var/cache"),
    240: N_("LOGS_DIRECTORY: its folder in /var/log"),
    241: N_("CONFIGURATION_DIRECTORY: its folder in /etc"),
    243: N_("CREDENTIALS: its credentials"),
}
"""Exit statuses of what systemd does before it runs the program. Source: systemd.exec(5), "Process Exit Codes"."""


def judge(unit: str, properties: Mapping[str, str], took: timedelta) -> Evidence:
    """What the :data:`PROPERTIES` of a unit mean.

    A unit that waits for its automatic restart has crashed; one that is starting for the first time has not. Of one
    that is inactive, systemd remembers why only while another unit refers to it, as the target does that wants it.
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

    def starting(words: str) -> Evidence:
        return Evidence.degraded("activating", words, metrics=metrics, facts=facts)

    if active in ("active", "reloading", "refreshing"):
        return Evidence.ok(
            phrase("{unit} is {state} ({sub})", unit=unit, state=active, sub=sub),
            latency=took,
            metrics=metrics,
            facts=facts,
        )
    match properties.get("LoadState", "loaded"):
        case "not-found":
            return fail(
                "unit-not-found",
                phrase("{unit} does not exist", unit=unit),
                Grade.NORMAL,
                ProbeStatus.UNKNOWN,
            )
        case "masked":
            return fail("unit-masked", phrase("{unit} is masked", unit=unit), Grade.INTENT)
        case "loaded" | "stub" | "merged":
            pass
        case load:
            words = phrase("{unit} cannot be loaded ({why})", unit=unit, why=load)
            return fail("unit-broken", words, Grade.NORMAL, ProbeStatus.UNHEALTHY)
    ended = _tell_end(properties)
    if active == "failed":
        return fail("unit-failed", _failed(unit, ended, restarts), Grade.AUTHORITATIVE)
    if active == "activating" and sub.startswith("auto-restart"):
        words = phrase("{unit} waits for its automatic restart: {how}", unit=unit, how=ended)
        return fail("unit-restarting", words, Grade.NORMAL)
    if active == "activating":
        return starting(phrase("{unit} is starting ({sub})", unit=unit, sub=sub))
    if active == "inactive" and properties.get("Job"):
        return starting(phrase("{unit} is about to be started, after others", unit=unit))
    if active == "inactive" and (found := _not_started(unit, properties)):
        return fail("unit-inactive", *found)
    if result not in ("", "success"):
        words = phrase("{unit} is {state}: {how}", unit=unit, state=active, how=ended)
        return fail("unit-inactive", words, Grade.NORMAL)
    doing = N_("{unit} is stopping ({sub})") if active == "deactivating" else N_("{unit} is stopped ({sub})")
    return fail("unit-inactive", phrase(doing, unit=unit, sub=sub), Grade.INTENT)


def _failed(unit: str, ended: str, restarts: int | None) -> str:
    if not restarts:
        return phrase("{unit} failed: {how}", unit=unit, how=ended)
    message = (
        N_("{unit} failed: {how}, after {n} automatic restart")
        if restarts == 1
        else N_("{unit} failed: {how}, after {n} automatic restarts")
    )
    return phrase(message, unit=unit, how=ended, n=restarts)


def _not_started(unit: str, properties: Mapping[str, str]) -> tuple[str, Grade] | None:
    """Why a unit that is inactive was never, or not this time, started; None for one that ran and has ended."""
    if properties.get("ConditionResult") == "no" and _happened("Condition", properties):
        return phrase(
            "{unit} was not started, because a condition of it did not hold", unit=unit
        ), Grade.INTENT
    if properties.get("AssertResult") == "no" and _happened("Assert", properties):
        return phrase(
            "{unit} was not started, because an assertion of it did not hold", unit=unit
        ), Grade.NORMAL
    wanted_by = {*properties.get("WantedBy", "").split(), *properties.get("RequiredBy", "").split()}
    targets = sorted(wanted_by & _ALWAYS_REACHED)
    if targets and properties.get("InactiveExitTimestampMonotonic") == "0":
        words = phrase(
            "{unit} was never started, though {target} wants it: has a unit failed that it needs?", unit=unit,
            target=targets[0],
        )  # fmt: skip
        return words, Grade.NORMAL
    return None


def _happened(what: str, properties: Mapping[str, str]) -> bool:
    return properties.get(f"{what}TimestampMonotonic", "0") != "0"


def _tell_end(properties: Mapping[str, str]) -> str:
    """``exit-code, main process exited with 3``."""
    result, status = properties.get("Result", "unknown"), _number(properties.get("ExecMainStatus"))
    match properties.get("ExecMainCode"):
        case "1":  # CLD_EXITED
            ended = phrase("{result}, main process exited with {status}", result=result, status=str(status))
            return (
                phrase("{how} ({step})", how=ended, step=phrase(_STEPS[status]))
                if status in _STEPS
                else ended
            )
        case "2" | "3":  # CLD_KILLED, CLD_DUMPED
            return phrase(
                "{result}, main process killed by {signal}", result=result, signal=_signal_name(status)
            )
        case _:
            return result


def _signal_name(number: int | None) -> str:
    try:
        return signal.Signals(number or 0).name
    except ValueError:
        return phrase("signal {n}", n=str(number))


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None
