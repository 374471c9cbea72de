"""A real Defib that watches targets which are well all the time, while something is done to Defib itself."""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil

from defib.model.alert import AlertKind
from defib.model.strategy import Strategy
from defib_real import telling
from defib_real.profiles import FIRST_SERVED, configured
from defib_real.telling import Notice, Records
from defib_sim.results import Result
from defib_sim.scenarios import Expect, Role, Scenario
from defib_sim.stories import OwnStory
from defib_testkit.company import ROOT, Company
from defib_testkit.many_targets import ManyTargets
from defib_testkit.network import Network
from defib_testkit.plugin_path import add_plugin
from defib_testkit.ports import free_port
from defib_testkit.waiting import wait_until
from defib_testkit.webhook_sink import WebhookSink

DELAY_S = 0.3  #: that targets take to answer: some look is nearly always in flight when something happens
_BLOCK = "block-for"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of it."""

    result: Result
    records: Records
    log: tuple[dict[str, Any], ...]  #: of the daemon, entry by entry
    asked: int  #: how often targets were asked

    @property
    def own_notices(self) -> list[Notice]:
        return self.records.own_notices

    def logged(self, event: str, **fields: object) -> int:
        """How often the daemon logged this."""
        return sum(
            entry["event"] == event and fields.items() <= entry.items() for entry in self.log
        )  # fmt: skip


class Bystanders:
    """Defib and its healthy targets, each an address of its own with a restart that would be noted."""

    def __init__(
        self, folder: Path, strategy: Strategy, addresses: Sequence[str], *, network: Network | None = None,
        environment: Mapping[str, str] | None = None, others: Sequence[Mapping[str, Any]] = (),
        launcher: tuple[str, ...] = FIRST_SERVED,
    ) -> None:  # fmt: skip
        """
        :param folder: scratch, empty.
        :param network: Defib and its webhook are at home there, and the targets in the world.
        :param environment: of the daemon.
        :param others: monitors that are none of the bystanders.
        :param launcher: before the command lines of Defib and the targets.
        """
        self._stack = ExitStack()
        self._strategy = strategy
        self._addresses = list(addresses)
        self._repetitions = 0
        self._restarts = folder / "restarts"
        self.company = Company(folder)
        try:
            self.sink = self._stack.enter_context(closing(_SinkAtHome(network) if network else WebhookSink()))
            self.targets = ManyTargets(
                addresses, free_port(), delay=DELAY_S, resolver=network.far[0] if network else "",
                launcher=(*launcher, *network.in_world) if network else launcher,
            )  # fmt: skip
            self._stack.callback(self.targets.close)
            self._stack.callback(self.company.close)
            self._configure(folder, others, network, environment or {}, launcher)
        except BaseException:
            self._stack.close()
            raise

    def _configure(
        self, folder: Path, others: Sequence[Mapping[str, Any]], network: Network | None,
        environment: Mapping[str, str], launcher: tuple[str, ...],
    ) -> None:  # fmt: skip
        script = folder / "restart-nobody.sh"
        script.write_text(f'#!/bin/sh\necho "$DEFIB_MONITOR" >> {self._restarts}\n')
        script.chmod(0o755)
        ladder = [{"script": {"file": script.name, "timeout": "10s"}}]
        policy = {"mode": "auto", "hold": "300ms", "cooldown": "500ms", "ladder": ladder}
        monitors = [
            {"id": f"well-{n:02}", "name": f"well-{n:02}", "type": "http", "recovery": policy,
             "url": f"http://{address}:{self.targets.port}/health"}
            for n, address in enumerate(self._addresses)
        ]  # fmt: skip
        plugins = add_plugin(ROOT / "tests" / "data" / "defib-sluggish", folder / "plugins")
        paths = [str(plugins), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.company.environment = {"PYTHONPATH": os.pathsep.join(paths), **environment}
        self.company.launcher = (*launcher, *network.at_home) if network else launcher
        sluggish = {
            "id": "sluggish",
            "name": "sluggish",
            "type": "sluggish",
            "file": _BLOCK,
            "interval": "1s",
        }
        self.company.set(
            strategies={self._strategy.name: configured(self._strategy)},
            defaults={"strategy": self._strategy.name, "recovery_scripts": str(folder)},
            monitors=[*monitors, sluggish, *others],
            channels={"hook": {"type": "webhook", "url": self.sink.url}},
        )

    def __enter__(self) -> "Bystanders":
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        """Returns when every bystander is up."""
        company = self.company
        company.serve(wait=False)
        daemon = company.daemon
        assert daemon is not None
        self.process = psutil.Process(daemon.pid)
        self._offset, self._began = time.time() - time.monotonic(), time.monotonic()
        up = "SELECT count(*) FROM health WHERE monitor LIKE 'well-%' AND state = 'up'"
        all_up = [(len(self._addresses),)]
        wait_until(lambda: daemon.poll() is not None or company.rows(up) == all_up, 60, "all to be up")
        if daemon.poll() is not None:
            raise RuntimeError(f"defib serve ended:\n{company.log.read_text(errors='replace')[-3000:]}")

    @contextmanager
    def episode(self, aftermath_s: float | None = None) -> Iterator[None]:
        """One repetition of what is done; afterwards everybody is looked at again, and judged.

        :param aftermath_s: to wait for; two rounds of looks if None.
        """
        self._repetitions += 1
        yield
        rounds = 2 * self._strategy.interval.total_seconds() + self._strategy.timeout.total_seconds()
        time.sleep(rounds if aftermath_s is None else aftermath_s)

    def block_loop(self, seconds: float) -> None:
        """Hold the daemon's event loop up, by the probe of a third party's plugin; it has begun when this returns."""
        file = self.company.folder / _BLOCK
        new = file.with_suffix(".new")
        new.write_text(str(seconds))
        new.replace(file)
        wait_until(lambda: not file.exists(), 10, "the blocking probe to begin")

    def finish(self, number: int, name: str) -> Outcome:
        """End the daemon, and tell."""
        times, until = self.process.cpu_times(), time.monotonic()
        assert self.company.stop() == 0, self.company.log.read_text()[-3000:]
        self.targets.close()
        records = telling.read(self.company, self.sink, offset=self._offset)
        count = len(self._addresses)
        first = [
            telling.tell(f"well-{n:02}", "target", n, [], records, self._began, until) for n in range(count)
        ]
        quiet = [
            telling.tell("", "target", n, [], records, self._began, until)
            for n in range(count, count * self._repetitions)
        ]
        ran = len(self._restarts.read_text().splitlines()) if self._restarts.exists() else 0
        known = sum(map(len, records.attempts.values()))
        scenario = Scenario(
            number=number, name=name, roles=(Role(count=count),), lasts_s=until - self._began,
            expect=Expect(false_faults=0, false_restarts=0),
        )  # fmt: skip
        log = tuple(
            json.loads(line) for line in self.company.log.read_text().splitlines() if line.startswith("{")
        )
        result = Result(
            scenario=scenario, strategy=self._strategy.name, seed=0, stories=(*first, *quiet),
            own=(self._own_story(records),), probes=self.targets.asked, cpu_s=times.user + times.system,
            crashes=() if ran <= known else (f"{ran} restarts ran, the store knows {known}",),
        )  # fmt: skip
        return Outcome(result=result, records=records, log=log, asked=self.targets.asked)

    def _own_story(self, records: Records) -> OwnStory:
        spans = self.company.rows("SELECT started_at, seen_at FROM watch ORDER BY started_at")
        gaps = ((after - before) / 1e6 for (_, before), (after, _) in pairwise(spans))
        notices = tuple(AlertKind(item.kind) for item in records.own_notices)
        return OwnStory(episode=0, notices=notices, unwatched_s=sum(max(0.0, gap) for gap in gaps))


class _SinkAtHome(WebhookSink):
    """A webhook that is reached over loopback where Defib is."""

    def __init__(self, network: Network) -> None:
        self._network = network
        super().__init__()

    async def _open(self) -> None:
        with self._network.entered():  # of the loop's own thread, and only while the listening socket is made
            await super()._open()
