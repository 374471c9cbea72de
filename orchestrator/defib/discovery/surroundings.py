"""What a configuration takes from the machine beside its monitors."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from zoneinfo import ZoneInfo

_ZONES = "/zoneinfo/"
_SCRIPT = "restart_agent.sh"


def timezone(environ: Mapping[str, str], localtime: Path = Path("/etc/localtime")) -> str:
    """The IANA name of this machine's time zone: of ``TZ``, else of what ``localtime`` links to, else UTC."""
    candidates = [environ.get("TZ", "").removeprefix(":")]
    try:
        candidates.append(os.readlink(localtime))
    except OSError:
        pass  # a copy instead of a link has no name
    for candidate in candidates:
        name = candidate.partition(_ZONES)[2] or candidate
        if name and _is_zone(name):
            return "UTC" if name == "Etc/UTC" else name
    return "UTC"


def shipped_scripts() -> Path | None:
    """The folder of recovery scripts that came with Defib: of the installation, else of the checkout."""
    places = (
        Path(sys.prefix, "share", "defib", "recovery_scripts"),
        Path(__file__).resolve().parents[3] / "recovery_scripts",
    )
    return next((place for place in places if (place / _SCRIPT).is_file()), None)


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # a folder's name is an OSError
        return False
    return True
