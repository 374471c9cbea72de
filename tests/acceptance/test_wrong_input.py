"""The hostile user: whatever is wrong is told in one clear line that names the place and the remedy."""

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from defib_testkit.company import Company
from defib_testkit.requirement import require
from defib_testkit.subjects import headline
from defib_testkit.victim_handle import Victim
from defib_testkit.waiting import wait_until

WELL = {"id": "main", "type": "http", "url": "http://127.0.0.1:9/"}

Here = Callable[..., subprocess.CompletedProcess[str]]


def lines_of(done: subprocess.CompletedProcess[str], status: int) -> list[str]:
    """What was told on standard error, after checking that it is calm: no traceback, nothing on standard output."""
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.stderr.splitlines()


def only_line(done: subprocess.CompletedProcess[str], status: int) -> str:
    [line] = lines_of(done, status)
    return line


@pytest.fixture
def make_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Make small file systems of so many KiB."""
    with ExitStack() as stack:

        def make(kib: int) -> Path:
            folder = tmp_path / f"disk-{len(list(tmp_path.iterdir()))}"
            folder.mkdir()
            argv = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(folder)]
            if os.geteuid() != 0 or subprocess.run(argv, capture_output=True, check=False).returncode != 0:
                require("The right to mount a file system", "run the tests as root")
            stack.callback(subprocess.run, ["umount", str(folder)], check=True)
            return folder

        yield make


def make_read_only(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Leave no space; the file that takes it."""
    path = disk / "fill"
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    return path


# --- the configuration ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"monitrs": []}, "defib.yaml:1: monitrs: unknown key; did you mean 'monitors'?"),
        (
            {"monitors": [{"id": "a", "type": "htpp", "url": "http://x/"}]},
            "defib.yaml:3: monitors[0].type: unknown monitor type 'htpp'; did you mean 'http'?",
        ),
        (
            {"monitors": [{**WELL, "interval": "5 bananas"}]},
            "defib.yaml:5: monitors[0].interval: '5 bananas' is not a duration; write a number with its unit",
        ),
        (
            {"monitors": [{**WELL, "strategy": "agressive"}]},
            "defib.yaml:5: monitors[0].strategy: unknown strategy 'agressive'; did you mean 'aggressive'?",
        ),
        (
            {"monitors": [{**WELL, "url": "http://${DEFIB_TEST_NOT_SET}/"}]},
            "defib.yaml:4: monitors[0].url: the environment variable DEFIB_TEST_NOT_SET is not set; set it",
        ),
        (
            {"monitors": [{**WELL, "requires": ["b"]}, {**WELL, "id": "b", "requires": ["main"]}]},
            "the monitors require one another: main → b → main; remove one of them",
        ),
        (
            {"monitors": [WELL], "routes": [{"channels": ["nobody"]}]},
            "routes[0].channels[0]: unknown channel 'nobody'; there are no channels",
        ),
        ({"timezone": "Mars/Phobos"}, "defib.yaml:1: timezone: 'Mars/Phobos' is not a time zone"),
        ({"store": "mysql://root:hunter2@db/x"}, "defib.yaml:1: store: must be sqlite:///defib.db"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)  # fmt: skip
def test_a_mistake_is_named_with_its_place_and_remedy(
    tmp_path: Path, here: Here, settings: dict[str, Any], expected: str
) -> None:
    company = Company(tmp_path, timeout="1s")
    company.replace(settings)
    line = only_line(here(company, "validate"), 2)
    assert expected in line
    assert "hunter2" not in line


def test_every_mistake_is_told_at_once_by_every_command(tmp_path: Path) -> None:
    company = Company(tmp_path, timeout="1s")
    company.replace({"colour": 1, "monitors": [{**WELL, "interval": "x"}, {"id": "b", "type": "nope"}]})
    validated = lines_of(company.defib("validate"), 2)
    assert len(validated) == 4
    assert validated[3] == "defib: 3 mistakes in the configuration; nothing was started or changed"
    assert lines_of(company.defib("serve"), 2) == validated
    assert lines_of(company.defib("run"), 3) == validated


def test_no_configuration_at_all_says_where_it_was_looked_for(tmp_path: Path) -> None:
    company = Company(tmp_path, timeout="1s")
    line = only_line(company.defib("validate", config=None), 2)
    assert line == (
        "defib: no configuration found (tried -c, DEFIB_CONFIG, ./defib.yaml, /etc/defib/defib.yaml); "
        "write one with 'defib init' or name one with -c"
    )
    assert only_line(company.defib("run", config=None), 3) == line
    named = only_line(company.defib("validate", config=Path("nope.yaml")), 2)
    assert (
        named
        == "defib: no configuration at nope.yaml, which -c names; write one with 'defib init -o nope.yaml'"
    )


def test_a_configuration_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    company = Company(tmp_path, timeout="1s")
    company.config.write_bytes(b"\xff\xfe\x00")
    assert "defib.yaml:1: is not UTF-8 text" in only_line(company.defib("validate"), 2)
    company.config.write_text("monitors: [\n")
    assert "defib.yaml:1: not YAML: a bracket" in only_line(company.defib("validate"), 2)
    unreadable = only_line(company.defib("validate", config=Path("/proc/self/mem")), 2)
    assert unreadable == "/proc/self/mem: cannot be read: Input/output error"


def test_a_folder_is_a_configuration_when_it_holds_one(tmp_path: Path) -> None:
    company = Company(tmp_path, timeout="1s")
    folder = tmp_path / "conf.d"
    folder.mkdir()
    assert "conf.d: the folder holds no *.yaml or *.yml file" in only_line(
        company.defib("validate", config=folder), 2
    )
    (folder / "10-base.yaml").write_text("timezone: UTC\n")
    (folder / "20-monitors.yaml").write_text("monitors:\n- {id: a, type: http, url: 'http://x/'}\n")
    done = company.defib("validate", config=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("valid; 1 monitor, 0 channels, 0 reports\n")


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("missing.sh", "missing.sh is not in the folder of recovery scripts"),
        ("../outside.sh", "../outside.sh must not contain '..'; write a path inside the folder of scripts"),
        ("open.sh", "open.sh"),
        ("link.sh", "link.sh"),
    ],
)
def test_a_script_that_must_not_run_is_refused_before_anything_starts(
    tmp_path: Path, here: Here, file: str, expected: str
) -> None:
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    for path, mode in ((scripts / "open.sh", 0o777), (tmp_path / "outside.sh", 0o755)):
        path.write_text("#!/bin/sh\n")
        path.chmod(mode)
    (scripts / "link.sh").symlink_to(tmp_path / "outside.sh")
    company = Company(tmp_path, timeout="1s")
    company.set(defaults={"recovery_scripts": str(scripts)})
    company.watch(WELL, {"script": {"file": file}})
    line = only_line(here(company, "validate"), 2)
    assert "monitors[0].recovery" in line
    assert expected in line


# --- the command line ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """A company with one monitor and a store."""
    company = Company(tmp_path_factory.mktemp("ready"))
    company.watch({**WELL, "confirm": [], "fail_threshold": 1})
    assert company.run_pass("--all").returncode == 2
    return company


@pytest.mark.parametrize(
    ("command", "status", "expected"),
    [
        ("frobnicate", 2, "defib: no such command 'frobnicate'; 'defib --help' shows what there is"),
        ("statsu", 2, "defib: no such command 'statsu'. Did you mean 'status'?"),
        ("status --wat", 2, "defib: no such option: --wat; 'defib status --help' shows what there is"),
        ("run --wat", 3, "defib: no such option: --wat"),
        ("run extra", 3, "defib: got unexpected extra argument(s) (extra)"),
        ("run --budget soon", 3, "defib: --budget: 'soon' is not a duration; write a number with its unit"),
        ("run --budget 0s", 3, "defib: --budget: a pass needs some time; write for example 50s"),
        ("run --only nope", 3, "defib: there is no monitor 'nope'; 'defib status' lists them"),
        ("status nope", 2, "defib: there is no monitor 'nope'; 'defib status' lists them"),
        ("check nope", 2, "defib: there is no monitor 'nope'; 'defib status' lists them"),
        ("explain nope", 2, "defib: there is no monitor or incident 'nope'; 'defib status' lists them"),
        ("recover nope", 2, "defib: there is no monitor 'nope'; 'defib status' lists them"),
        ("recover main", 1, "defib: main has no recovery ladder; give it one under 'recovery:'"),
        ("recover main --rung one", 2, "defib: invalid value for '--rung'"),
        ("strategy set nope", 2, "defib: there is no strategy 'nope'; there are: aggressive, conservative, normal"),
        ("strategy set normal --monitor nope", 2, "defib: there is no monitor 'nope'"),
        ("test-alert", 2, "defib: missing option '--channel'; 'defib test-alert --help' shows what there is"),
        ("test-alert --channel nope", 2, "defib: there is no channel 'nope'; there are: none; add one"),
        ("report --date 2026-02-30", 2, "defib: --date 2026-02-30: write a day as 2026-11-20, or 'today'"),
        ("report --date 2999-01-01", 2, "defib: --date 2999-01-01: that day is still to come; today is"),
        ("report --date tomorrow", 2, "defib: --date tomorrow: that day is still to come; today is"),
        ("report --date 0001-01-01", 2, "defib: --date 0001-01-01: there was no Defib then"),
        ("report --format pdf", 2, "defib: --format pdf: there are html, text, json and csv"),
        ("report --period century", 2, "defib: --period century: there are day, week, month"),
        ("report --name yearly", 2, "defib: there is no report 'yearly'; there are: daily, monthly, weekly"),
        ("report --name daily --period week", 2, "defib: --period and --name: a report's name says already what it"),
        ("report --language de", 2, "defib: --language de: there are en, zh-Hant, tr"),
        ("report -o /", 1, "defib: / cannot be written: Is a directory; -o FILE writes elsewhere"),
        ("validate -c", 2, "defib: -c needs a file or folder, as in '-c defib.yaml'"),
    ],
)  # fmt: skip
def test_a_wrong_command_line_is_told_in_one_line(
    ready: Company, here: Here, command: str, status: int, expected: str
) -> None:
    line = only_line(here(ready, *command.split()), status)
    assert line.startswith(expected)


def test_a_monitor_named_run_does_not_change_the_exit_status(tmp_path: Path) -> None:
    company = Company(tmp_path, timeout="1s")
    company.watch({**WELL, "id": "run"})
    assert "there is no store yet" in only_line(company.defib("status", "run"), 1)
    assert "there is no store yet" in only_line(company.defib("status"), 1)


def test_output_that_cannot_be_written_is_told_and_a_closed_pipe_is_not(ready: Company) -> None:
    argv = ready.argv("plugins")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "defib: No space left on device\n")
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write) as closed:
        done = subprocess.run(argv, stdout=closed, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")


# --- the store -----------------------------------------------------------------------------------------


def test_a_read_only_store_is_refused_with_the_remedy(
    tmp_path: Path, make_disk: Callable[[int], Path]
) -> None:
    disk = make_disk(2048)
    company = Company(tmp_path, timeout="1s")
    company.watch({**WELL, "confirm": [], "fail_threshold": 1})
    company.set(store=f"sqlite:///{disk}/defib.db")
    assert company.run_pass("--all").returncode == 2
    make_read_only(disk)
    expected = f"defib: {disk}/defib.db: the file system is read-only; mount it writable or change 'store:'"
    assert only_line(company.defib("run"), 3) == expected
    assert only_line(company.defib("serve"), 1) == expected
    assert only_line(company.defib("strategy", "set", "normal"), 1) == expected


def test_a_full_disk_is_told_and_what_was_stored_stays(
    tmp_path: Path, make_disk: Callable[[int], Path]
) -> None:
    disk = make_disk(1024)
    company = Company(tmp_path, timeout="1s")
    company.watch({**WELL, "confirm": [], "fail_threshold": 1})
    company.set(store=f"sqlite:///{disk}/defib.db")
    hog = fill(disk)
    for command, status in (("run", 3), ("serve", 1)):
        line = only_line(company.defib(command), status)
        assert line.startswith(f"defib: {disk}/defib.db: ")
        assert line.endswith("; free some space: nothing already accepted is lost")
    hog.unlink()
    assert company.run_pass("--all").returncode == 2
    fill(disk)
    line = only_line(company.defib("run", "--all"), 3)
    assert line.endswith("; free some space: nothing already accepted is lost")
    (disk / "fill").unlink()
    assert company.defib("status", "main").stdout.startswith("✖ fault  main")
    assert company.run_pass("--all").returncode == 2


def test_a_disk_that_becomes_full_stops_no_look_and_loses_no_observation(
    tmp_path: Path, victim: Victim, make_disk: Callable[[int], Path]
) -> None:
    disk = make_disk(1024)
    company = Company(tmp_path, timeout="1s")
    company.watch({"id": "main", "type": "http", "url": victim.url})
    company.set(store=f"sqlite:///{disk}/defib.db")
    company.serve()
    try:
        company.wait_for("main", "up")
        hog = fill(disk)
        problem = wait_until(
            lambda: company.get("/api/v1/overview")["problems"], 15, "the problem to be shown"
        )
        assert problem[0]["what"] == "store"
        assert "free some space: nothing already accepted is lost" in problem[0]["message"]
        health = company.get("/health", status=503)
        assert health["status"] == "fail"
        assert health["checks"]["store:writable"][0]["status"] == "fail"
        stored = len(company.looks())
        seen = company.get("/api/v1/monitors")["items"][0]["last_seen"]
        wait_until(
            lambda: company.get("/api/v1/monitors")["items"][0]["last_seen"] > seen, 5, "looks that go on"
        )

        hog.unlink()
        wait_until(lambda: company.get("/api/v1/overview")["problems"] == [], 15, "the problem to be over")
        assert company.get("/health")["status"] == "pass"
        wait_until(lambda: len(company.looks()) > stored + 2, 5, "what was kept")
        gaps = [after["at"] - before["at"] for before, after in pairwise(company.looks())]
        assert max(gaps).total_seconds() < 2  # one look each second, all the time
    finally:
        assert company.stop() == 0


def test_a_fault_during_a_full_disk_is_decided_and_told_when_there_is_space(
    tmp_path: Path, victim: Victim, make_disk: Callable[[int], Path], smtp_server: Any
) -> None:
    """Telling needs a row first, so that a crash cannot lose it: the verdict waits for the store."""
    disk = make_disk(1024)
    company = Company(tmp_path, timeout="1s")
    company.watch({"id": "main", "name": "Main", "type": "http", "url": victim.url})
    company.tell(smtp_server)
    company.set(store=f"sqlite:///{disk}/defib.db")
    company.serve()
    try:
        company.wait_for("main", "up")
        hog = fill(disk)
        wait_until(lambda: company.get("/api/v1/overview")["problems"], 15, "the problem to be shown")
        victim.kill()
        wait_until(lambda: "verdict not stored" in company.log.read_text(), 10, "a verdict that waits")
        assert list(smtp_server.messages) == []
        hog.unlink()
        company.wait_for("main", "fault", 15)
        [mail] = smtp_server.messages.wait_for(1, 10)
        assert headline(mail.message["Subject"]) == "[HIGH] Main is down"
    finally:
        assert company.stop() == 0


# --- two at once ---------------------------------------------------------------------------------------


def test_a_port_in_use_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    company = Company(tmp_path, timeout="1s")
    company.watch(WELL)
    with socket.create_server(("127.0.0.1", company.port)):
        line = only_line(company.defib("serve"), 1)
    assert line == (
        f"defib: 127.0.0.1:{company.port} is in use by another program; stop it or change 'server.listen'"
    )
    assert not (tmp_path / "defib.db.daemon").exists()


def test_a_second_daemon_and_a_pass_are_refused_and_name_the_first(tmp_path: Path) -> None:
    company = Company(tmp_path, timeout="1s")
    company.watch(WELL)
    company.serve()
    assert company.daemon is not None
    try:
        owner = f"the daemon 'defib serve' (process {company.daemon.pid} on {socket.gethostname()})"
        second = only_line(company.defib("serve"), 1)
        assert second == f"defib: {tmp_path}/defib.db.lock: the store is in use by {owner}"
        assert only_line(company.defib("run"), 3) == second
        assert company.defib("status").returncode == 0
    finally:
        assert company.stop() == 0
    assert company.defib("run", "--all").returncode in (1, 2)  # it can run once the daemon is gone
