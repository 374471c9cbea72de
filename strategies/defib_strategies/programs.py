"""Finds and checks the programs that actions run."""

import os
import stat
from pathlib import Path

SAFE_PATH = tuple(
    Path(folder) for folder in ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
)
"""Where a program given without its folder is looked for; the PATH of the environment has no say."""


def find_program(name: str) -> Path:
    """The absolute path of a program: as given, or the first of that name in :data:`SAFE_PATH`.

    :raises ValueError: there is none, it cannot be run, or anybody may change it; with the remedy.
    """
    if "/" not in name:
        return _search(name)
    path = Path(name)
    if not path.is_absolute():
        raise ValueError(f"{name} is a relative path; write the whole path, beginning with /")
    check_program(path)
    return path


def _search(name: str) -> Path:
    if name.startswith("-"):
        raise ValueError(f"{name} is an option, not a program; begin argv with the program")
    for folder in SAFE_PATH:
        path = folder / name
        if path.is_file() and os.access(path, os.X_OK):
            check_program(path)
            return path
    hint = "write each word as an item of its own" if " " in name else "write its whole path"
    raise ValueError(f"there is no program {name!r} in {':'.join(map(str, SAFE_PATH))}; {hint}")


def check_program(path: Path) -> None:
    """Look whether ``path`` can be run and only the right people can change it.

    :raises ValueError: with the remedy.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise ValueError(f"{path} cannot be run: {error.strerror}; install it or correct its path") from error
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path} is no file; write the path of a program")
    if not os.access(path, os.X_OK):
        raise ValueError(f"{path} is not executable; run: chmod +x {path}")
    if status.st_mode & stat.S_IWOTH:
        raise ValueError(f"{path} may be changed by anybody; run: chmod o-w {path}")
