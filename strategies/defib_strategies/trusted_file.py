"""Opens a script so that what was checked is what runs.

The check and the execution share one open file: a path that is swapped in between leads nowhere. The
kernel executes ``/proc/self/fd/N``; an interpreter named by ``#!`` opens the same name again, and the
descriptor is passed on for it.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath

_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_DESCRIPTORS = "/proc/self/fd"
_HEAD_BYTES = 256  # as much of the #! line as Linux reads


class UntrustedFileError(ValueError):
    """The file must not be run; the message names the remedy."""


@dataclass(frozen=True, slots=True)
class TrustedFile:
    """A checked file, open."""

    path: Path  #: without symbolic links
    fd: int

    @property
    def program(self) -> str:
        """What to execute: this very file, whatever its path leads to by now.

        Where there is no ``/proc``, the path itself, looked at once more.

        :raises UntrustedFileError: there is no ``/proc``, and the path leads to another file by now.
        """
        program = f"{_DESCRIPTORS}/{self.fd}"
        if os.path.exists(program):
            return program
        if not os.path.samestat(os.fstat(self.fd), os.lstat(self.path)):
            raise UntrustedFileError(f"{self.path} was replaced while it was looked at; check who did that")
        return str(self.path)


@contextmanager
def opened(file: str, folders: Sequence[Path]) -> Iterator[TrustedFile]:
    """Open the script ``file`` of one of ``folders`` for execution.

    1. The path leads to a place inside the folder, symbolic links followed.
    2. From that folder down, each folder and the file are opened without following links.
    3. Each belongs to root or to us, and neither its group nor others may write it. (The sticky bit is no
       excuse: others could still put a hard link to a program of root's there.)
    4. The file is a regular one that we may execute, and begins with ``#!`` and an interpreter or is a binary.

    :param folders: in the order they are searched.
    :raises UntrustedFileError: one of these does not hold.
    """
    folder, path = _locate(file, folders)
    try:
        fd = _open_below(folder, path.relative_to(folder))
    except OSError as error:
        raise UntrustedFileError(
            f"{path} cannot be opened: {error.strerror}; check who replaced it"
        ) from error
    try:
        _check_file(path, fd)
        yield TrustedFile(path, fd)
    finally:
        os.close(fd)


def _locate(file: str, folders: Sequence[Path]) -> tuple[Path, Path]:
    """The folder and the file in it, without symbolic links."""
    if not folders:
        raise UntrustedFileError("no folder of recovery scripts is set; set defaults.recovery_scripts")
    name = PurePath(file)
    if ".." in name.parts:
        raise UntrustedFileError(f"{file} must not contain '..'; write a path inside the folder of scripts")
    for folder in folders:
        if not os.path.lexists(candidate := folder / name):  # an absolute name stands for itself
            continue
        try:
            real_folder, path = folder.resolve(strict=True), candidate.resolve(strict=True)
        except (OSError, RuntimeError) as error:  # a loop of links is a RuntimeError before Python 3.13
            raise UntrustedFileError(f"{candidate} leads nowhere: {_why(error)}; repair the link") from error
        if path != real_folder and path.is_relative_to(real_folder):
            return real_folder, path
        if not name.is_absolute():
            raise UntrustedFileError(
                f"{candidate} leads out of its folder, to {path}; put the script itself there"
            )
    places = ", ".join(map(str, folders))
    raise UntrustedFileError(f"{file} is not in the folder of recovery scripts ({places}); put it there")


def _open_below(folder: Path, relative: Path) -> int:
    """Open ``relative`` step by step, checking each folder; the caller closes the descriptor."""
    place = folder
    fd = os.open(folder, _OPEN | os.O_DIRECTORY)
    for part in relative.parts:
        try:
            _check_writers(place, os.fstat(fd))
            place = place / part
            # Not O_DIRECTORY for the last; O_NONBLOCK so that a named pipe in its place does not hang us.
            kind = os.O_NONBLOCK if place == folder / relative else os.O_DIRECTORY
            below = os.open(part, _OPEN | kind, dir_fd=fd)
        finally:
            os.close(fd)
        fd = below
    return fd


def _check_writers(path: Path, status: os.stat_result) -> None:
    if status.st_uid not in (0, os.geteuid()):
        raise UntrustedFileError(f"{path} belongs to user {status.st_uid}; run: chown root {path}")
    who = "".join(
        letter for letter, bit in (("g", stat.S_IWGRP), ("o", stat.S_IWOTH)) if status.st_mode & bit
    )
    if who:
        names = {"g": "its group", "o": "others", "go": "its group and others"}
        raise UntrustedFileError(f"{path} may be changed by {names[who]}; run: chmod {who}-w {path}")


def _check_file(path: Path, fd: int) -> None:
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        raise UntrustedFileError(f"{path} is no regular file; put a script there")
    _check_writers(path, status)
    if not os.access(path, os.X_OK):
        raise UntrustedFileError(f"{path} is not executable; run: chmod +x {path}")
    head = os.pread(fd, _HEAD_BYTES, 0)
    if head.startswith(b"\x7fELF"):
        return
    words = head.split(b"\n", 1)[0][2:].split()
    if not head.startswith(b"#!") or not words:
        raise UntrustedFileError(f"{path} does not say what runs it; begin it with a line such as #!/bin/sh")
    interpreter = os.fsdecode(words[0])
    if not os.path.isabs(interpreter) or not os.access(interpreter, os.X_OK):
        raise UntrustedFileError(f"{path} is for {interpreter}, which cannot be run here; install it")


def _why(error: OSError | RuntimeError) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else "a loop of links"
