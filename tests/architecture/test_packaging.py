"""What pyproject.toml promises about modules, entry points, the wheel and the lock files."""

import ast
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import defib

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ENTRY_POINTS = PYPROJECT["project"]["entry-points"]["defib"]
PACKAGES = [ROOT / name for name in PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]]
FAMILIES = [package for package in PACKAGES if package.name != "defib"]


def package_files(package: Path) -> Iterator[Path]:
    """The files of a package, without what interpreters and tools leave beside them."""
    for folder, subfolders, names in os.walk(package):
        subfolders[:] = [name for name in subfolders if name != "__pycache__" and not name.startswith(".")]
        yield from (Path(folder, name) for name in names if not name.endswith(".pyc"))


def module_name(file: Path, package: Path) -> str:
    parts = file.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def implements_a_hook(file: Path) -> bool:
    """Whether a function of the module, at any depth, is decorated with ``hookimpl`` or ``hookimpl(…)``."""
    for node in ast.walk(ast.parse(file.read_text(), str(file))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                target = decorator.func if isinstance(decorator, ast.Call) else decorator
                if ast.unparse(target).split(".")[-1] == "hookimpl":
                    return True
    return False


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_entry_points_are_exactly_the_modules_that_implement_a_hook(family: Path) -> None:
    plugins = {
        module_name(file, family)
        for file in package_files(family)
        if file.suffix == ".py" and implements_a_hook(file)
    }
    listed = {target for target in ENTRY_POINTS.values() if target.split(".")[0] == family.name}

    assert sorted(plugins - listed) == [], "add these to [project.entry-points.defib] in pyproject.toml"
    assert sorted(listed - plugins) == [], "these lines of pyproject.toml name no module with a hookimpl"


def test_no_entry_point_leads_outside_the_families() -> None:
    families = {family.name for family in FAMILIES}

    assert {
        name: target for name, target in ENTRY_POINTS.items() if target.split(".")[0] not in families
    } == {}


def test_every_module_imports_without_a_warning() -> None:
    # Alembic runs what lies in migrations/ in an environment of its own; __main__ starts the program.
    modules = sorted(
        module_name(file, package)
        for package in PACKAGES
        for file in package_files(package)
        if file.suffix == ".py" and "migrations" not in file.parts and file.stem != "__main__"
    )
    program = (
        "import importlib, sys, traceback\n"
        "failed = 0\n"
        "for name in sys.argv[1:]:\n"
        "    try:\n"
        "        importlib.import_module(name)\n"
        "    except BaseException:\n"
        "        failed += 1\n"
        "        traceback.print_exc(limit=-3)\n"
        "sys.exit(failed > 0)\n"
    )

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *modules], capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(next(folder.glob("defib-*.whl"))) as archive:
        yield archive


@pytest.mark.xdist_group("wheel")
def test_the_wheel_holds_every_file_of_the_packages(wheel: zipfile.ZipFile) -> None:
    expected = {
        file.relative_to(package.parent).as_posix() for package in PACKAGES for file in package_files(package)
    }

    assert sorted(expected - set(wheel.namelist())) == []


@pytest.mark.xdist_group("wheel")
def test_the_wheel_holds_nothing_but_packages_and_declared_extras(wheel: zipfile.ZipFile) -> None:
    version = PYPROJECT["project"]["version"]
    tops = {package.name for package in PACKAGES} | {f"defib-{version}.data", f"defib-{version}.dist-info"}

    assert {name.split("/")[0] for name in wheel.namelist()} == tops


@pytest.mark.xdist_group("wheel")
def test_scripts_in_the_wheel_are_executable(wheel: zipfile.ZipFile) -> None:
    scripts = [
        info
        for info in wheel.infolist()
        if ".data/scripts/" in info.filename or info.filename.endswith(".sh")
    ]

    assert {Path(info.filename).name for info in scripts} >= {
        "heartbeat_cron.py", *(file.name for file in (ROOT / "recovery_scripts").glob("*.sh")),
    }  # fmt: skip
    assert [info.filename for info in scripts if not info.external_attr >> 16 & 0o100] == []


@pytest.mark.xdist_group("wheel")
def test_the_cron_script_gets_the_interpreter_that_installs_it(wheel: zipfile.ZipFile) -> None:
    text = wheel.read(f"defib-{defib.__version__}.data/scripts/heartbeat_cron.py").decode()

    assert text.splitlines()[0] == "#!python"


def test_the_package_and_its_metadata_tell_the_same_version() -> None:
    assert defib.__version__ == PYPROJECT["project"]["version"]


@pytest.mark.parametrize("name", ["runtime", "test", "dev"])
def test_lock_files_pin_what_is_declared_and_name_no_place_to_get_it_from(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.lock").read_text()
    extras = PYPROJECT["project"]["optional-dependencies"]
    declared = {
        "runtime": PYPROJECT["project"]["dependencies"],
        "test": PYPROJECT["project"]["dependencies"] + extras["test"],
        "dev": PYPROJECT["project"]["dependencies"] + extras["test"] + extras["dev"],
    }[name]

    pinned = set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE))
    missing = {re.split(r"[\[><=;~! ]", line)[0].lower() for line in declared} - pinned - {"defib"}

    assert sorted(missing) == [], "make lock"
    assert re.findall(r"^.*(?:://|--index|--extra-index|--find-links).*$", text, re.MULTILINE) == []
    assert len(re.findall(r"^[a-z].*==", text, re.MULTILINE)) == len(
        re.findall(r"^[a-z].*== *\S+.*\\\n +--hash=sha256:", text, re.MULTILINE)
    )
