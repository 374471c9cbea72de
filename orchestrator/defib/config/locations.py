"""Paths and addresses of a configuration, made absolute: where the store and the recovery scripts are."""

import os
from pathlib import Path

from defib.config.findings import Findings
from defib.config.nodes import ListNode, Spot

_SQLITE = "sqlite:///"


def base_of(path: Path) -> Path:
    """The folder where relative paths of the configuration at ``path`` start; links are not followed."""
    absolute = Path(os.path.abspath(path))
    return absolute if absolute.is_dir() else absolute.parent


def store_url(written: str, base: Path) -> str:
    """The store's URL, with an absolute path for SQLite."""
    return f"{_SQLITE}{base / written.removeprefix(_SQLITE)}" if written.startswith(_SQLITE) else written


def script_folders(
    spot: Spot | None, written: tuple[str, ...], base: Path, findings: Findings
) -> tuple[Path, ...]:
    """The folders that recovery scripts may come from, absolute."""
    folders = tuple(base / folder for folder in written)
    if spot is not None:
        places = list(spot.children()) if isinstance(spot.node, ListNode) else [spot]
        for place, folder in zip(places, folders, strict=False):
            if not folder.is_dir():
                findings.warning(place, f"{folder} is no folder; recovery scripts in it cannot be found")
    return folders
