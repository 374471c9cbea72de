#!python
"""One pass over what is due, then exit: the entry for cron and systemd timers. The same as ``defib run``."""

import sys

from defib.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["run", *sys.argv[1:]]))
