"""A third party's plugin on PYTHONPATH: found by its entry points, without an installation of its own."""

import shutil
import tomllib
from pathlib import Path


def add_plugin(package: Path, folder: Path) -> Path:
    """Lay out a package as an installer would, its metadata beside it; what to put on PYTHONPATH.

    :param package: the project's folder, with a ``pyproject.toml``.
    :param folder: where to; made if need be.
    """
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    name, version = project["name"].replace("-", "_"), project["version"]
    shutil.copytree(package / name, folder / name)
    metadata = folder / f"{name}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {version}\n"
    )
    lines: list[str] = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{point} = {module}" for point, module in points.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder
