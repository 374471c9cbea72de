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
    """Look whether ``path`` can be run and only the right people can change or replace it.

    The file must belong to root or to us and be written by nobody else. So must the folders that lead to it, by
    its name and by the links behind it: then nobody can put another program in its place between this look and its
    start. A folder of root's may be written by its group, as Debian's /usr/local/bin, and by all if it is sticky.

    :raises ValueError: with the remedy.
    """
    try:
        real = path.resolve(strict=True)
        status = real.stat()
    except (OSError, RuntimeError) as error:  # a loop of links is a RuntimeError before Python 3.13
        why = error.strerror if isinstance(error, OSError) else "a loop of links"
        raise ValueError(f"{path} cannot be run: {why}; install it or correct its path") from error
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path} is no file; write the path of a program")
    if not os.access(real, os.X_OK):
        raise ValueError(f"{path} is not executable; run: chmod +x {path}")
    if status.st_uid not in (0, os.geteuid()):
        raise ValueError(f"{real} belongs to user {status.st_uid}; run: chown root {real}")
    if status.st_mode & stat.S_IWOTH:
        raise ValueError(f"{real} may be changed by anybody; run: chmod o-w {real}")
    if status.st_mode & stat.S_IWGRP and status.st_gid != 0:
        raise ValueError(f"{real} may be changed by its group; run: chmod g-w {real}")
    for folder in dict.fromkeys((*path.parents, *real.parents)):
        _check_folder(folder)


def _check_folder(folder: Path) -> None:
    status = folder.stat()
    if status.st_uid not in (0, os.geteuid()):
        raise ValueError(
            f"the folder {folder} belongs to user {status.st_uid}, who could replace the program; move it"
        )
    is_sticky = bool(status.st_mode & stat.S_ISVTX)
    if status.st_mode & stat.S_IWOTH and not is_sticky:
        raise ValueError(f"anybody could replace the program in {folder}; run: chmod o-w {folder}")
    if status.st_mode & stat.S_IWGRP and not is_sticky and status.st_uid != 0:
        raise ValueError(f"the group of {folder} could replace the program; run: chmod g-w {folder}")
