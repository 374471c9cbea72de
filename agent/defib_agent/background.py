"""Beats from a thread, for programs that do something else."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from defib_agent.agent import Agent, Status
from defib_agent.beat import Beat
from defib_agent.errors import SendError
from defib_agent.settings import Settings, load

log = logging.getLogger("defib_agent")

_END_WITHIN_S = 10.0


class Beats:
    """An agent in a thread of its own. A fork takes no thread along: start one in each process.

    :param settings: as for :class:`~defib_agent.agent.Agent`; a refused token ends nothing here.
    """

    def __init__(
        self, settings: Settings, *, on_success: Callable[[Beat], None] | None = None,
        on_failure: Callable[[Beat, SendError], None] | None = None, must_register: bool = False,
    ) -> None:  # fmt: skip
        self._has_delivered = threading.Event()

        def delivered(beat: Beat) -> None:
            self._has_delivered.set()
            if on_success is not None:
                on_success(beat)

        self._agent = Agent(
            replace(settings, run_as_service=True), on_success=delivered, on_failure=on_failure,
            must_register=must_register,
        )  # fmt: skip
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_running = threading.Event()
        self._thread = threading.Thread(target=self._work, name="defib-agent", daemon=True)

    @property
    def status(self) -> Status:
        """How it goes."""
        return self._agent.status

    def start(self) -> None:
        """Begin to beat; does not wait for the server."""
        self._thread.start()
        self._is_running.wait()

    def wait_until_delivered(self, timeout_s: float) -> bool:
        """Whether the server has taken a beat by then. Nothing needs this but programs that live for seconds."""
        return self._has_delivered.wait(timeout_s)

    def stop(self, error: str = "") -> None:
        """Say goodbye and end; returns when that is done, or after ten seconds.

        :param error: what went wrong, if it is not on purpose: then it is a fault, and no planned stop.
        """
        if self._loop is not None and self._thread.is_alive():
            try:
                self._loop.call_soon_threadsafe(self._agent.stop, error)
            except RuntimeError:  # it has just ended by itself
                return
            self._thread.join(_END_WITHIN_S)

    def _work(self) -> None:
        async def run() -> None:
            self._loop = asyncio.get_running_loop()
            self._is_running.set()
            await self._agent.run()

        try:
            asyncio.run(run())
        except Exception:  # the program must not fail because nobody can be told how it does
            log.exception("the agent ended")
        finally:
            self._is_running.set()


@contextmanager
def beating(config: str | Path | None = None, **settings: Any) -> Iterator[Beats]:
    """Beat while this lasts. An exception that ends it is told as a fault, by the name of its class alone.

    :param config: a file with settings; the environment and ``settings`` count more.
    :raises SettingsError: a setting is wrong.
    """
    beats = Beats(load(Path(config) if config is not None else None, **settings))
    beats.start()
    try:
        yield beats
    except Exception as error:
        beats.stop(f"ended by {type(error).__name__}")
        raise
    finally:
        beats.stop()
