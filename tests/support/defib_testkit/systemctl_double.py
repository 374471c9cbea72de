"""An executable stand-in for ``systemctl``, for machines and tests without systemd."""

import contextlib
import fcntl
import json
import shlex
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from defib_testkit import systemctl_command

OUTCOMES = ("ok", "fail", "die")
_NOTHING_WANTS = {
    "WantedBy": "",
    "StateChangeTimestamp": "",
    "ActiveEnterTimestamp": "",
    "ExecMainStartTimestamp": "",
}


class SystemctlDouble:
    """``path`` is the executable; put ``folder`` first in PATH, or configure the path.

    Units are services unless their name says otherwise. What the program knows and prints is described in
    :mod:`defib_testkit.systemctl_command`.
    """

    def __init__(self, folder: Path) -> None:
        """
        :param folder: for the executable, its state and its log; made if need be.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.path = folder / "systemctl"
        self.state_file = folder / "systemctl-state.json"
        self._calls = folder / "systemctl-state.json.calls"
        self.state_file.write_text(json.dumps({"units": {}, "fault": "", "next_pid": 4000}))
        command = shlex.join([sys.executable, "-I", "-S", systemctl_command.__file__])
        self.path.write_text(
            f"""#!/bin/sh
# The state is set here too, for callers that pass on no environment.
[ -n "${{DEFIB_SYSTEMCTL_STATE:-}}" ] || DEFIB_SYSTEMCTL_STATE={shlex.quote(str(self.state_file))}
export DEFIB_SYSTEMCTL_STATE
exec {command} "$@"
"""
        )
        self.path.chmod(0o755)

    def running(self, name: str, **properties: object) -> None:
        """Have an active unit; ``properties`` are systemd's, by their names there: ``NRestarts=3``."""
        self._put(name, properties)

    def stopped(self, name: str, **properties: object) -> None:
        """Have a unit that ended well, or never ran."""
        ended = {"ExecMainCode": 2, "ExecMainStatus": 15, "InvocationID": ""}
        self._put(name, {**systemctl_command.STOPPED, **ended, **properties})

    def failed(
        self, name: str, *, result: str = "exit-code", status: int = 1, is_at_start_limit: bool = False,
        **properties: object,
    ) -> None:  # fmt: skip
        """Have a unit whose process failed.

        :param result: as systemd says: ``exit-code``, ``signal``, ``oom-kill``, ``watchdog``, ``timeout``; or
            ``start-limit-hit``, for one that was started too often and ended well each time.
        :param is_at_start_limit: it has ended badly too often, so that it starts again only after ``reset-failed``.
        """
        failure = {"ActiveState": "failed", "SubState": "failed", "MainPID": 0, "Result": result}
        failure |= {"ExecMainCode": 1, "ExecMainStatus": status, "_is_at_start_limit": is_at_start_limit}
        self._put(name, {**failure, **properties})

    def masked(self, name: str) -> None:
        """Have a unit that somebody has forbidden to start."""
        masked = {"LoadState": "masked", "UnitFileState": "masked", "Description": name}
        masked["FragmentPath"] = f"/etc/systemd/system/{name}"
        self._put(name, {**systemctl_command.NOT_FOUND, **_NOTHING_WANTS, **masked})

    def broken(self, name: str) -> None:
        """Have a unit whose file has a mistake."""
        broken = {"LoadState": "bad-setting", "UnitFileState": "static", "Description": name}
        broken["FragmentPath"] = f"/etc/systemd/system/{name}"
        self._put(name, {**systemctl_command.NOT_FOUND, **_NOTHING_WANTS, **broken})

    def on_start(self, name: str, *outcomes: str) -> None:
        """What the next starts and restarts lead to, the last one for ever.

        :param outcomes: ``ok``; ``fail`` (the job fails, the unit is failed); ``die`` (the job succeeds, and the
            unit is active at the first look and failed at the second).
        """
        if not outcomes or not set(outcomes) <= set(OUTCOMES):
            raise ValueError(f"outcomes are {', '.join(OUTCOMES)}; got {outcomes}")
        with self._state() as state:
            state["units"][name]["_outcomes"] = list(outcomes)

    def fault(self, fault: str) -> None:
        """Break it: ``no-systemd`` (as in a container), ``hang``, ``hang-jobs`` (it answers questions, and finishes no
        job); the empty text mends it.
        """
        if fault not in ("", "no-systemd", "hang", "hang-jobs"):
            raise ValueError(f"faults are no-systemd, hang and hang-jobs; got {fault!r}")
        with self._state() as state:
            state["fault"] = fault

    def unit(self, name: str) -> dict[str, Any]:
        """The unit's properties as they are now."""
        with self._state() as state:
            return {key: value for key, value in state["units"][name].items() if not key.startswith("_")}

    @property
    def calls(self) -> Sequence[list[str]]:
        """The arguments of every call, in order."""
        if not self._calls.exists():
            return []
        return [json.loads(line) for line in self._calls.read_text().splitlines()]

    def _put(self, name: str, properties: dict[str, Any]) -> None:
        if "." not in name:
            raise ValueError(f"a unit's name ends in its type: {name}.service")
        now = time.time()
        started_us = properties.get("ActiveEnterTimestampMonotonic", time.monotonic_ns() // 1000)
        with self._state() as state:
            state["next_pid"] += 1
            pid = state["next_pid"]
            running = {
                "Type": "simple", "Restart": "on-failure", "MainPID": pid, "Result": "success", "NRestarts": 0,
                "ExecMainStartTimestamp": now, "ExecMainPID": pid, "ExecMainCode": 0, "ExecMainStatus": 0,
                "Id": name, "Names": name, "Description": f"Test unit {name}", "LoadState": "loaded",
                "ActiveState": "active", "SubState": "running", "FragmentPath": f"/etc/systemd/system/{name}",
                "UnitFileState": "enabled", "StateChangeTimestamp": now, "ActiveEnterTimestamp": now,
                "WantedBy": "multi-user.target", "CanStart": "yes", "CanStop": "yes", "CanReload": "no",
                "NeedDaemonReload": "no", "ConditionResult": "yes", "AssertResult": "yes",
                "InvocationID": uuid.uuid4().hex, "_outcomes": ["ok"], "_is_at_start_limit": False,
            } | dict.fromkeys(systemctl_command.STARTED, started_us)  # fmt: skip
            state["units"][name] = running | properties

    @contextlib.contextmanager
    def _state(self) -> Iterator[dict[str, Any]]:
        """The state, written back at the end, and nobody else's meanwhile."""
        with self.state_file.open("r+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            state = json.load(file)
            yield state
            file.seek(0)
            json.dump(state, file)
            file.truncate()
