#!python
"""One pass over what is due, then exit: the entry for cron and systemd timers. The same as ``defib run``."""

import sys
import traceback

UNKNOWN = 3


def run() -> int:
    """The exit status of a pass. What breaks it, a broken installation too, must not look like a warning (1)."""
    try:
        from defib.cli.main import main

        return main(["run", *sys.argv[1:]])
    except Exception:  # noqa: BLE001 - the outermost place there is
        traceback.print_exc()
        return UNKNOWN


if __name__ == "__main__":
    sys.exit(run())
