"""A plugin package of somebody else, really installed: adds without a change here; a broken one stops nothing."""

import json
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"


def make_environment(folder: Path, *packages: str) -> Path:
    """A scratch environment that sees the installed Defib, with these packages installed on top; its Python."""
    venv.create(folder / "env", with_pip=False)
    site = next((folder / "env" / "lib").glob("python3.*/site-packages"))
    here = [path for path in sys.path if path.endswith("site-packages")]
    # addsitedir runs the .pth files of the outer environment too: an editable install lives in one
    (site / "outer.pth").write_text("".join(f"import site; site.addsitedir({path!r})\n" for path in here))
    for package in packages:
        source = folder / package
        shutil.copytree(DATA / package, source)
        install = [sys.executable, "-m", "pip", "--python", str(folder / "env" / "bin" / "python"), "install"]
        quiet = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
        subprocess.run([*install, *quiet, "--target", str(site), str(source)], check=True, timeout=120)
    return folder / "env" / "bin" / "python"


def defib(python: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [str(python), "-m", "defib.cli.main", "-c", str(folder / "defib.yaml"), *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, cwd=folder, check=False)


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A folder with a configuration that uses the third party's monitor type and channel."""
    (tmp_path / "reading.txt").write_text("21.5")
    configuration = {
        "monitors": [{"id": "cellar", "name": "Cellar", "type": "thermometer", "file": "reading.txt",
                      "confirm": ["100ms", "100ms"], "recover_confirm": "100ms"}],
        "channels": {"paper": {"type": "paper", "file": "told.txt"}},
    }  # fmt: skip
    (tmp_path / "defib.yaml").write_text(yaml.safe_dump(configuration))
    return tmp_path


def test_a_third_party_adds_a_monitor_type_and_a_channel(house: Path) -> None:
    python = make_environment(house, "defib-thermometer")
    done = defib(python, house, "run", "--all")
    assert done.returncode == 0, done.stdout + done.stderr

    (house / "reading.txt").write_text("41")
    assert defib(python, house, "run", "--all").returncode == 2
    (house / "reading.txt").write_text("20")
    assert defib(python, house, "run", "--all").returncode == 0
    assert (house / "told.txt").read_text() == "Cellar is down\nCellar has recovered\n"

    offers = json.loads(defib(python, house, "plugins", "--json").stdout)["offers"]
    assert {(item["kind"], item["distribution"], item["version"]) for item in offers} >= {
        ("thermometer", "defib-thermometer", "1.2.3"),
        ("paper", "defib-thermometer", "1.2.3"),
        ("http", "defib", "0.1.0"),
    }


def test_broken_plugins_are_shown_loudly_and_stop_nothing(house: Path) -> None:
    python = make_environment(house, "defib-thermometer", "defib-broken")
    done = defib(python, house, "run", "--all")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the licence server does not answer" in done.stderr
    assert "defib_monitor() is no hook of Defib" in done.stderr
    assert "'http' is taken already by plugin http (defib 0.1.0)" in done.stderr

    shown = defib(python, house, "plugins")
    assert shown.returncode == 1
    assert "the licence server does not answer" in " ".join(shown.stdout.split())
    assert "the licence server does not answer" in " ".join(defib(python, house, "status").stdout.split())


def test_an_unknown_type_names_the_plugin_that_did_not_load(house: Path) -> None:
    python = make_environment(house, "defib-broken")
    done = defib(python, house, "validate")
    assert done.returncode == 2
    assert "thermometer" in done.stderr
    assert "the licence server does not answer" in done.stderr
