"""TCP ports that nobody listens on."""

import errno
import random
import socket

_RANGE = range(10240, 32768)
"""Below Linux' ephemeral ports (``ip_local_port_range``, 32768 on).

No outgoing connection of another process takes such a port in between, and a connection to one that stays
closed cannot by chance meet its own source port and succeed.
"""


def free_port() -> int:
    """A port that was free a moment ago, on loopback and on every other address.

    Drawn at random, so that workers of pytest-xdist do not step on one another.
    """
    dice = random.SystemRandom()
    for _ in range(200):
        port = dice.choice(_RANGE)
        try:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("", port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return port
    raise OSError(f"no free port found between {_RANGE.start} and {_RANGE.stop - 1} in 200 draws")
