"""From YAML to :class:`defib.model.settings.Settings`: valid as a whole, or every mistake at once.

    find ─→ sources (files → one tree) ─→ references (${…}) ─→ sections (pydantic) ─→ Settings

The tree remembers the file and the line of every value, so that a mistake is shown where it was written.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from defib.config.finding import find

if TYPE_CHECKING:
    from defib.model.settings import Settings
    from defib.registry import Registry

__all__ = ["find", "json_schema", "load"]


def load(path: Path, registry: "Registry", environ: Mapping[str, str]) -> "Settings":
    """Read the configuration at ``path``: a file, or a folder whose files are merged in name order.

    Reads files and nothing else: it can be called again at any time, for a reload.

    :param environ: what ``${NAME}`` stands for.
    :raises ConfigError: with all mistakes, in the order of the files.
    """
    from defib.config.loading import (
        load as load_now,
    )  # late: the command line imports this package for `find`

    return load_now(path, registry, environ)


def json_schema(registry: "Registry") -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a configuration with the plugins of ``registry``."""
    from defib.config.publishing import json_schema as schema_of

    return schema_of(registry)
