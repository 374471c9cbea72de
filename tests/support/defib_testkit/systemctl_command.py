"""The program behind :class:`defib_testkit.systemctl_double.SystemctlDouble`: answers as ``systemctl`` would.

Reads and changes the JSON file named by ``DEFIB_SYSTEMCTL_STATE``; standard library only, so that it starts in
some 30 ms. Messages, exit statuses and the order of properties are those of systemd 252, as
``test_real_systemd.py`` makes sure, with one exception that came in 254: ``is-active`` of a unit that does not exist
exits with 4 instead of 3.

Sources: systemd's ``systemctl-start-unit.c``, ``systemctl-is-active.c``, ``systemctl-util.c`` (exit statuses from
bus errors), ``bus-wait-for-jobs.c`` (texts of failed jobs) and ``bus-print-properties.c`` (empty values).
"""

import fcntl
import json
import os
import sys
import time
import uuid
from typing import Any

Unit = dict[str, Any]

# In the order in which systemd sends them, which is the order of the output whatever order is asked for.
ORDER = (
    "Type", "Restart", "MainPID", "Result", "NRestarts", "ExecMainStartTimestamp",
    "ExecMainExitTimestamp", "ExecMainPID", "ExecMainCode", "ExecMainStatus", "Id", "Names",
    "RequiredBy", "RequisiteOf", "WantedBy", "BoundBy", "ConsistsOf", "PropagatesStopTo",
    "Description", "LoadState", "ActiveState", "SubState", "FragmentPath", "UnitFileState",
    "StateChangeTimestamp", "InactiveExitTimestampMonotonic", "ActiveEnterTimestamp",
    "ActiveEnterTimestampMonotonic", "InactiveEnterTimestamp", "CanStart", "CanStop", "CanReload", "Job",
    "NeedDaemonReload", "ConditionResult", "AssertResult", "ConditionTimestampMonotonic",
    "AssertTimestampMonotonic", "InvocationID",
)  # fmt: skip
STOPPED: Unit = {"ActiveState": "inactive", "SubState": "dead", "MainPID": 0}
STARTED = (
    "InactiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic", "ConditionTimestampMonotonic",
    "AssertTimestampMonotonic",
)  # fmt: skip
"""Set by a start."""

NOT_FOUND: Unit = STOPPED | {
    "Type": "", "Restart": "no", "Result": "success", "NRestarts": 0, "ExecMainPID": 0, "ExecMainCode": 0,
    "ExecMainStatus": 0, "LoadState": "not-found", "FragmentPath": "", "UnitFileState": "", "CanStart": "no",
    "CanStop": "yes", "CanReload": "no", "NeedDaemonReload": "no", "ActiveEnterTimestampMonotonic": 0,
    "InactiveExitTimestampMonotonic": 0, "ConditionResult": "no", "ConditionTimestampMonotonic": 0,
    "AssertResult": "no", "AssertTimestampMonotonic": 0, "InvocationID": "",
}  # fmt: skip
_FAILURES = {
    "exit-code": "the control process exited with error code",
    "signal": "a fatal signal was delivered to the control process",
    "timeout": "a timeout was exceeded",
    "oom-kill": "of unavailable resources or another system error",
}
"""Why a job failed, by the result of its unit, which is that of its last end where a start limit forbids another."""

_DOTS = {"inactive": "○", "failed": "×"}
_REASONS = {"masked": "is masked", "bad-setting": "has a bad unit file setting"}
NO_SYSTEMD = (
    "System has not been booted with systemd as init system (PID 1). Can't operate.\n"
    "Failed to connect to bus: Host is down"
)
FLAGS = (
    "--all", "-a", "--full", "-l", "--no-pager", "--no-legend", "--plain", "--no-ask-password",
    "--no-block", "--quiet", "-q", "--user", "--system", "--value", "--failed",
)  # fmt: skip
VALUES = {"-p": "--property", "-P": "--property", "-t": "--type", "-o": "--output"}
LONG_VALUES = ("--property", "--type", "--state", "--output", "--timestamp", "--job-mode", "--lines")


class Exit(Exception):
    """End with this message on stderr and this status."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.message, self.status = message, status


def parse(arguments: list[str]) -> tuple[list[str], dict[str, str]]:
    """The words (verb first) and the options, the last one of each counting, but for properties, which add up."""
    words: list[str] = []
    options: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            words += rest
            break
        name, has_value, value = word.partition("=")
        if not word.startswith("-"):
            words.append(word)
        elif word in FLAGS:
            options[word] = "yes"
        elif word in VALUES or word in LONG_VALUES or (has_value and name in LONG_VALUES):
            if word == "-P":
                options["--value"] = "yes"
            if not has_value:
                value = rest.pop(0)
            name = VALUES.get(name, name)
            options[name] = f"{options[name]},{value}" if name == "--property" and name in options else value
        else:
            raise Exit(f"systemctl: unrecognized option '{word}'")
    return words, options


class Manager:
    """The units, and what the verbs do to them."""

    def __init__(self, state: dict[str, Any], options: dict[str, str]) -> None:
        self._state, self._options = state, options
        self._units: dict[str, Unit] = state["units"]

    def run(self, words: list[str]) -> int:
        verb, names = (words or ["list-units"])[0], [_mangle(name) for name in words[1:]]
        if self._state["fault"] == "no-systemd":
            raise Exit(NO_SYSTEMD)
        if verb not in ("list-units", "show") and not names:
            raise Exit("Too few arguments.")
        match verb:
            case "show":
                print("\n\n".join(self._shown(name) for name in names))
                return 0
            case "status":
                return max(self._each(names, self._status))
            case "is-active":
                return self._check(names, ("active", "reloading"), 3)
            case "is-failed":
                return self._check(names, ("failed",), 1)
            case "list-units":
                return self._list()
            case "reset-failed":
                return max(self._each(names, self._reset_failed))
            case "restart" | "start":
                return max(self._each(names, lambda name: self._start(name, verb)))
            case "stop":
                return max(self._each(names, self._stop))
            case "reload":
                return max(self._each(names, self._reload))
            case _:
                raise Exit(f"Unknown command verb {verb}.")

    def _each(self, names: list[str], action: Any) -> list[int]:
        statuses = []
        for name in names:
            try:
                action(name)
                statuses.append(0)
            except Exit as error:
                if error.message:
                    print(error.message, file=sys.stderr)
                statuses.append(error.status)
        return statuses

    # --- looking -----------------------------------------------------------------------------------

    def _shown(self, name: str) -> str:
        unit = {"Id": name, "Names": name, "Description": name} | NOT_FOUND | self._settled(name)
        asked = [p for p in self._options.get("--property", "").split(",") if p]
        shows_empty = bool(asked) or "--all" in self._options or "-a" in self._options
        lines = []
        for key in ORDER:
            value = self._formatted(key, unit.get(key, ""))
            if (not asked or key in asked) and (value or shows_empty):
                lines.append(value if "--value" in self._options else f"{key}={value}")
        return "\n".join(lines)

    def _status(self, name: str) -> None:
        unit = self._settled(name)
        if not unit:
            raise Exit(f"Unit {name} could not be found.", 4)
        load, active, sub = unit["LoadState"], unit["ActiveState"], unit["SubState"]
        if load == "loaded":
            loaded = f"loaded ({unit['FragmentPath']}; {unit['UnitFileState']}; preset: enabled)"
            print(f"{_DOTS.get(active, '●')} {name} - {unit['Description']}")
        else:
            loaded = f"{load} (Reason: Unit {name} {_REASONS[load]}.)"
            print(f"{_DOTS.get(active, '●')} {name}")
        print(f"     Loaded: {loaded}")
        result = f" (Result: {unit['Result']})" if active == "failed" else f" ({sub})"
        print(f"     Active: {active}{result}")
        if unit["MainPID"]:
            print(f"   Main PID: {unit['MainPID']}")
        if active != "active":
            raise Exit("", 3)

    def _formatted(self, key: str, value: object) -> str:
        if not key.endswith("Timestamp"):
            return str(value)
        if not value:
            return ""
        if self._options.get("--timestamp") == "unix":
            return f"@{int(float(str(value)))}"
        return time.strftime("%a %Y-%m-%d %H:%M:%S UTC", time.gmtime(float(str(value))))

    def _check(self, names: list[str], good: tuple[str, ...], otherwise: int) -> int:
        states = [self._settled(name).get("ActiveState", "inactive") for name in names]
        if "--quiet" not in self._options and "-q" not in self._options:
            print("\n".join(states))
        if any(state in good for state in states):
            return 0
        return otherwise if any(name in self._units for name in names) else 4

    def _list(self) -> int:
        is_all = "--all" in self._options or "-a" in self._options
        states = self._options.get("--state", "failed" if "--failed" in self._options else "")
        rows = []
        for name in sorted(self._units):
            unit = self._settled(name)
            row = {"unit": name, "load": unit["LoadState"], "active": unit["ActiveState"]}
            row |= {"sub": unit["SubState"], "description": unit["Description"]}
            kind = name.rpartition(".")[2]
            if self._options.get("--type", kind) != kind:
                continue
            if states and not {row["load"], row["active"], row["sub"]} & set(states.split(",")):
                continue
            if states or is_all or unit["ActiveState"] != "inactive":
                rows.append(row)
        if self._options.get("--output") == "json":
            print(json.dumps(rows, separators=(",", ":")))
        else:
            for row in rows:
                print("  " + " ".join(row.values()))
        return 0

    def _settled(self, name: str) -> Unit:
        """The unit; one whose process ends right after its start is failed from the second look on."""
        unit = self._units.get(name, {})
        looks = unit.pop("_looks_until_it_dies", None)
        if looks == 0:
            unit |= {"ActiveState": "failed", "SubState": "failed", "MainPID": 0, "Result": "exit-code"}
            unit |= {"ExecMainCode": 1, "ExecMainStatus": 1, "StateChangeTimestamp": time.time()}
        elif looks is not None:
            unit["_looks_until_it_dies"] = looks - 1
        return {key: value for key, value in unit.items() if not key.startswith("_")}

    # --- acting ------------------------------------------------------------------------------------

    def _loaded(self, name: str, verb: str) -> Unit:
        unit = self._units.get(name)
        if unit is None:
            raise Exit(f"Failed to {verb} {name}: Unit {name} not found.", 5)
        if unit["LoadState"] != "loaded":
            hint = f"\nSee system logs and 'systemctl status {name}' for details."
            why = f"Unit {name} {_REASONS[unit['LoadState']]}."
            raise Exit(f"Failed to {verb} {name}: {why}{'' if unit['LoadState'] == 'masked' else hint}")
        return unit

    def _start(self, name: str, verb: str) -> None:
        unit = self._loaded(name, verb)
        if verb == "start" and unit["ActiveState"] == "active":
            return
        details = f'See "systemctl status {name}" and "journalctl -xeu {name}" for details.'
        if unit["Result"] == "start-limit-hit":
            why = "start of the service was attempted too often"
            retry = f'To force a start use "systemctl reset-failed {name}"\nfollowed by "systemctl start {name}" again.'
            raise Exit(f"Job for {name} failed because {why}.\n{details}\n{retry}")
        if unit["_is_at_start_limit"]:
            raise Exit(
                f"Job for {name} failed because {_FAILURES.get(unit['Result'], _FAILURES['exit-code'])}.\n{details}"
            )
        outcomes = unit["_outcomes"]
        outcome = outcomes.pop(0) if len(outcomes) > 1 else outcomes[0]
        now = time.time()
        if outcome == "fail":
            unit |= {"ActiveState": "failed", "SubState": "failed", "MainPID": 0, "Result": "exit-code"}
            unit |= {"ExecMainCode": 1, "ExecMainStatus": 1, "StateChangeTimestamp": now}
            raise Exit(f"Job for {name} failed because {_FAILURES['exit-code']}.\n{details}")
        self._state["next_pid"] += 1
        pid = self._state["next_pid"]
        unit |= {"ActiveState": "active", "SubState": "running", "MainPID": pid, "ExecMainPID": pid}
        unit |= {"Result": "success", "ExecMainCode": 0, "ExecMainStatus": 0, "NRestarts": 0}
        unit |= {"InvocationID": uuid.uuid4().hex, "StateChangeTimestamp": now, "ActiveEnterTimestamp": now}
        unit |= {"ExecMainStartTimestamp": now} | dict.fromkeys(STARTED, time.monotonic_ns() // 1000)
        if outcome == "die":
            unit["_looks_until_it_dies"] = 1

    def _stop(self, name: str) -> None:
        load = self._units.get(name, {}).get("LoadState")
        if load == "masked":
            return
        if load != "loaded":
            raise Exit(f"Failed to stop {name}: Unit {name} not loaded.", 5)
        now = time.time()
        self._units[name] |= STOPPED | {"StateChangeTimestamp": now, "InactiveEnterTimestamp": now}

    def _reload(self, name: str) -> None:
        unit = self._loaded(name, "reload")
        if unit["CanReload"] != "yes":
            why = f"Job type reload is not applicable for unit {name}."
            raise Exit(f"Failed to reload {name}: {why}", 3)
        if unit["ActiveState"] != "active":
            raise Exit(f"{name} is not active, cannot reload.")

    def _reset_failed(self, name: str) -> None:
        if self._units.get(name, {}).get("LoadState") != "loaded":
            raise Exit(f"Failed to reset failed state of unit {name}: Unit {name} not loaded.")
        unit = self._units[name]
        unit |= {"Result": "success", "NRestarts": 0, "_is_at_start_limit": False}
        if unit["ActiveState"] == "failed":
            unit |= STOPPED


def _mangle(name: str) -> str:
    return name if "." in name else f"{name}.service"


def main() -> int:
    path = os.environ["DEFIB_SYSTEMCTL_STATE"]
    with open(path, "r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        state = json.load(file)
        with open(f"{path}.calls", "a", encoding="utf-8") as calls:
            calls.write(json.dumps(sys.argv[1:]) + "\n")
        is_job = not {"show", "status", "is-active", "is-failed", "list-units"} & set(sys.argv[1:])
        if state["fault"] == "hang" or (state["fault"] == "hang-jobs" and is_job):
            fcntl.flock(file, fcntl.LOCK_UN)
            while True:
                time.sleep(3600)
        try:
            words, options = parse(sys.argv[1:])
            status = Manager(state, options).run(words)
        except Exit as error:
            print(error.message, file=sys.stderr)
            status = error.status
        file.seek(0)
        json.dump(state, file)
        file.truncate()
    return status


if __name__ == "__main__":
    sys.exit(main())
