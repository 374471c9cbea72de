"""The systemd units and the cron file in deploy/."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from defib_testkit.requirement import require

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = sorted(file.name for file in (DEPLOY / "systemd").iterdir() if file.suffix in {".service", ".timer"})
SERVICES = [name for name in UNITS if name.endswith(".service")]
PROGRAMS = {"/opt/defib/bin/defib-agent", "/opt/defib/bin/defib", "/opt/defib/bin/heartbeat_cron.py"}


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """A copy of the units that starts programs which exist here; systemd-analyze looks for them."""
    if shutil.which("systemd-analyze") is None:
        require("systemd-analyze", "apt install systemd")
    for name in UNITS:
        text = (DEPLOY / "systemd" / name).read_text()
        (tmp_path / name).write_text(re.sub("|".join(sorted(PROGRAMS, reverse=True)), "/bin/true", text))
    return tmp_path


def analyze(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments], cwd=folder, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("name", UNITS)
def test_systemd_finds_nothing_wrong_with_the_unit(units: Path, name: str) -> None:
    done = analyze(units, "verify", f"./{name}")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", SERVICES)
def test_the_service_is_exposed_less_than_2_of_10(units: Path, name: str) -> None:
    done = analyze(units, "security", "--offline=true", "--no-pager", "--threshold=20", f"./{name}")

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_the_service_starts_a_program_that_the_wheel_installs(name: str) -> None:
    text = (DEPLOY / "systemd" / name).read_text()

    assert set(re.findall(r"^ExecStart=(\S+)", text, re.MULTILINE)) < PROGRAMS


def test_a_pass_that_breaks_is_none_of_the_successes_of_its_unit(tmp_path: Path) -> None:
    unit = (DEPLOY / "systemd/defib-pass.service").read_text()
    shutil.copy(DEPLOY.parent / "heartbeat_cron.py", tmp_path)
    (tmp_path / "defib").mkdir()
    (tmp_path / "defib/__init__.py").write_text("raise RuntimeError('a broken installation')")

    done = subprocess.run(
        [sys.executable, tmp_path / "heartbeat_cron.py"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert "RuntimeError: a broken installation" in done.stderr
    assert done.returncode == 3
    assert re.findall(r"^SuccessExitStatus=(.*)$", unit, re.MULTILINE) == ["0 1 2"]


def test_the_cron_file_starts_a_pass_every_minute_as_the_user_of_the_units() -> None:
    lines = (DEPLOY / "cron" / "defib").read_text().splitlines()
    jobs = [line for line in lines if line and not line.startswith("#") and "=" not in line]

    assert jobs == ["* * * * * defib /opt/defib/bin/heartbeat_cron.py >/dev/null"]
