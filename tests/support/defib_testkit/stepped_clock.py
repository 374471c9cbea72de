"""A wall clock that a test can set while a program runs: Debian's faketime library, preloaded into the program.

Only CLOCK_REALTIME is told anew; the monotonic and the boot-time clock go on.
"""

from pathlib import Path

from defib_testkit.requirement import require


class SteppedClock:
    """The wall clock of programs that are started with :attr:`environment`."""

    def __init__(self, folder: Path) -> None:
        """
        :param folder: for the file that the library reads at each look at the clock; exists.
        """
        found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        if not found:
            require("Debian's faketime library", "apt install libfaketime")
        self._file = folder / "wall-clock"
        self.environment = {
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
            "NO_FAKE_STAT": "1",
        }
        self.set(0)

    def set(self, seconds: float) -> None:
        """From now on, the wall clock is so far ahead of the true one; behind it if negative."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+g}\n")
        new.replace(self._file)  # whole at any time: the library may be reading
