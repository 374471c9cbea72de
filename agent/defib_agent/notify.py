"""Words for systemd, where it started us: sd_notify(3) and its watchdog."""

import asyncio
import faulthandler
import logging
import os
import socket

log = logging.getLogger("defib_agent")

_STDERR = 2


def notify(*lines: str) -> None:
    """Say something to the service manager, if there is one; never wait for it."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.setblocking(False)
            channel.sendto(
                "\n".join(lines).encode(), "\0" + address[1:] if address.startswith("@") else address
            )
    except OSError as error:
        log.warning("cannot notify the service manager: %s", error)


async def feed_watchdog() -> None:
    """Tell systemd that the loop turns, at half the interval that it asks for; until cancelled.

    What hangs is ended by SIGABRT, which then logs where.
    """
    interval_s = int(os.environ.get("WATCHDOG_USEC") or 0) / 2_000_000
    if interval_s:
        faulthandler.enable(_STDERR)
    while interval_s > 0:
        notify("WATCHDOG=1")
        await asyncio.sleep(interval_s)
    await asyncio.Event().wait()
