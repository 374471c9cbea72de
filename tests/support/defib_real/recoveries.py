"""A real Defib that heals: victims, containers and a database break under it, each in a way of its own, all in one run.

What it did is read from its store, its webhook and the victims' own logs: instants of CLOCK_MONOTONIC throughout.
"""

import shlex
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from defib.model.strategy import Strategy
from defib_real import telling
from defib_real.profiles import FIRST_SERVED, configured
from defib_testkit.company import Company
from defib_testkit.many_targets import ManyTargets
from defib_testkit.ports import free_port
from defib_testkit.victim_handle import Victim, close_all
from defib_testkit.waiting import wait_until
from defib_testkit.webhook_sink import WebhookSink

_LIMITS = {"concurrent": 8, "per_host": 8, "share": 1.0, "burst": 1000, "refill": "1s"}
"""So many faults on one machine in so short a time would be kept waiting otherwise, and rightly."""
_CONTROLS_EVERY = "9s"  #: healthy targets, as many again: else this would be a mass failure as a whole
_HEALTHY_BODY = '"status": "ok"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """One attempt, as the store has it."""

    started: float
    ended: float | None
    verified: float | None
    outcome: str
    has_relapsed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What became of one target."""

    scenario: str
    monitor: str
    harmed_at: float
    tries: tuple[Try, ...]
    told: tuple[tuple[str, float], ...]  #: kind of alert, and how long after the harm it reached the webhook
    ready: tuple[float, ...]  #: when a process of it began to listen; none for what is no victim
    ran: int | None  #: times that its restart script ran, as it says itself; None for what has none
    states: tuple[str, ...]  #: of its monitor, in their order
    case: tuple[str, str]  #: state and reason of the newest recovery case; empty without one
    healed_by_defib: bool
    is_up: bool

    @property
    def late_s(self) -> list[float]:
        """Of each attempt that helped: from when its target was ready until that was verified."""
        return [
            item.verified - next((at for at in self.ready if at >= item.started), item.ended or item.started)
            for item in self.tries
            if item.verified is not None
        ]

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.told]

    def told_after_s(self, kind: str) -> float | None:
        return next((after for known, after in self.told if known == kind), None)


class Stage:
    """What a drama may look at."""

    def __init__(self, company: Company) -> None:
        self.company = company

    def verified(self, monitor: str) -> int:
        query = "SELECT count(*) FROM attempt WHERE monitor = ? AND outcome = 'verified'"
        return int(self.company.rows(query, monitor)[0][0])

    def was_paged(self, monitor: str, code: str) -> bool:
        """Whether people were told this about the recovery of ``monitor``."""
        query = "SELECT 1 FROM recovery_case WHERE monitor = ? AND pages LIKE ?"
        return bool(self.company.rows(query, monitor, f"%{code}%"))


@dataclass(slots=True, kw_only=True)
class Target:
    """One monitor, and what happens to what it watches."""

    scenario: str
    monitor: Mapping[str, Any]
    victim: Victim | None = None
    drama: Callable[["Target", Stage], None] | None = None  #: in a thread of its own; notes ``harmed_at``
    at: float | None = None  #: when it begins, in seconds; else at a random time
    harmed_at: float | None = None

    @property
    def id(self) -> str:
        return str(self.monitor["id"])

    def harm(self, how: Callable[[Victim], float]) -> None:
        """Break it by one of :mod:`defib_real.harms`."""
        assert self.victim is not None
        self.harmed_at = how(self.victim)

    def note_harm(self) -> None:
        self.harmed_at = time.monotonic()


class Cast:
    """Makes the targets of a campaign."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.victims: list[Victim] = []
        self.targets: list[Target] = []

    def victim(self, *, boot_s: float = 0.0, host: str = "") -> Victim:
        number = len(self.victims)
        address = host or f"127.1.{1 + number // 200}.{1 + number % 200}"
        folder = (
            self.folder / f"victim-{number}"
        )  # its files are named by its port, which others may have, too
        folder.mkdir()
        self.victims.append(Victim(folder, host=address, boot_delay=boot_s, launcher=FIRST_SERVED))
        return self.victims[-1]

    def add(
        self, scenario: str, drama: Callable[[Target, Stage], None] | None, *, victim: Victim | None = None,
        monitor: Mapping[str, Any] | None = None, recovery: Mapping[str, Any] | None = None, heals: bool = True,
        at: float | None = None,
    ) -> Target:  # fmt: skip
        """
        :param victim: what is watched by HTTP; or give a ``monitor``.
        :param recovery: a policy; beside what is usual here.
        :param heals: its ladder restarts it; else the ladder pretends to.
        """
        ident = f"{scenario.replace(' ', '-')}-{len(self.targets)}"
        spec: dict[str, Any] = {"id": ident, "name": ident, **(monitor or {})}
        if victim is not None:
            script = self._script(victim, ident, heals=heals)
            policy = {"mode": "auto", "cooldown": "1s", "probation": "2s", **(recovery or {})}
            spec = {
                **spec, "type": "http", "url": victim.url, "expect": {"body": _HEALTHY_BODY},
                "recovery": policy | {"ladder": [{"script": {"file": script.name, "timeout": "10s"}}]},
            }  # fmt: skip
        self.targets.append(Target(scenario=scenario, monitor=spec, victim=victim, drama=drama, at=at))
        return self.targets[-1]

    def _script(self, victim: Victim, ident: str, *, heals: bool) -> Path:
        if heals:
            return victim.restart_script(self.folder, f"{ident}.sh")
        script = self.folder / f"{ident}.sh"
        script.write_text(f"#!/bin/sh\necho run >> {shlex.quote(str(self._lies(ident)))}\n")
        script.chmod(0o755)
        return script

    def _lies(self, ident: str) -> Path:
        return self.folder / f"{ident}.ran"

    def ran(self, target: Target) -> int | None:
        if target.victim is None:
            return None
        lies = self._lies(target.id)
        return len(lies.read_text().splitlines()) if lies.exists() else target.victim.restarts


def play(
    cast: Cast, strategy: Strategy, *, seed: int, over_s: float, patience_s: float, quiet_s: float = 0.0
) -> tuple[dict[str, list[Story]], tuple[str, ...]]:
    """Play everything at once.

    :param over_s: within which dramas begin, unless they say when.
    :param patience_s: for everything that is going to be well to be well, after the last drama has ended.
    :param quiet_s: to watch for longer, in case something happens that should not.
    :return: the stories by scenario; and the errors that the daemon has logged.
    """
    with ExitStack() as stack:
        sink = stack.enter_context(closing(WebhookSink()))
        stack.callback(close_all, cast.victims)
        for victim in cast.victims:
            victim.start(wait=False)
        for victim in cast.victims:
            victim.wait_until_up()
        company = stack.enter_context(closing(Company(cast.folder)))
        _configure(company, cast, strategy, sink, stack)
        company.serve()
        count = len(cast.targets)
        wait_until(
            lambda: company.rows("SELECT count(*) FROM health WHERE was_up") == [(2 * count,)],
            strategy.interval.total_seconds() + 60, f"all {2 * count} to have been up",
        )  # fmt: skip
        offset = time.time() - time.monotonic()
        _perform(cast, Stage(company), seed, over_s)
        with suppress(TimeoutError):  # what is not well by then is a result
            wait_until(lambda: _is_over(company), patience_s)
        time.sleep(quiet_s)
        assert company.stop() == 0
        records = telling.read(company, sink, offset=offset)
        stories: dict[str, list[Story]] = {}
        for target in cast.targets:
            stories.setdefault(target.scenario, []).append(_tell(target, cast, company, records, offset))
        return stories, records.errors


def _configure(company: Company, cast: Cast, strategy: Strategy, sink: WebhookSink, stack: ExitStack) -> None:
    count = len(cast.targets)
    addresses = [f"127.3.{1 + number // 200}.{1 + number % 200}" for number in range(count)]
    controls = stack.enter_context(closing(ManyTargets(addresses, free_port(), launcher=FIRST_SERVED)))
    beside = [
        {"id": f"control-{number}", "type": "http", "interval": _CONTROLS_EVERY,
         "url": f"http://{address}:{controls.port}/health"}
        for number, address in enumerate(addresses)
    ]  # fmt: skip
    company.launcher = FIRST_SERVED
    company.set(
        strategies={strategy.name: configured(strategy)},
        defaults={"strategy": strategy.name, "recovery_scripts": str(cast.folder)},
        monitors=[*(dict(target.monitor) for target in cast.targets), *beside],
        channels={"hook": {"type": "webhook", "url": sink.url}},
        recovery=_LIMITS,
    )


def _perform(cast: Cast, stage: Stage, seed: int, over_s: float) -> None:
    """Let every drama begin at its time, and return when all have ended."""
    random, began = Random(f"{seed}/plan"), time.monotonic()
    acts = [
        (target, random.uniform(0.0, over_s) if target.at is None else target.at)
        for target in cast.targets
        if target.drama is not None
    ]

    def act(target: Target, after: float) -> None:
        time.sleep(max(0.0, began + after - time.monotonic()))
        assert target.drama is not None
        target.drama(target, stage)

    with ThreadPoolExecutor(max(1, len(acts))) as pool:
        for ended in [pool.submit(act, *each) for each in acts]:
            ended.result()


def _is_over(company: Company) -> bool:
    """Nothing is being recovered any more, or it is held back for long; and what is still broken was given up."""
    spaced = "('budget-relapse', 'flapping')"
    waiting = f"SELECT 1 FROM recovery_case WHERE closed_at IS NULL AND coalesce(gate, '') NOT IN {spaced}"
    unattended = (
        "SELECT 1 FROM incident WHERE closed_at IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM recovery_case WHERE recovery_case.incident = incident.id)"
    )
    return not company.rows(waiting) and not company.rows(unattended)


def _tell(target: Target, cast: Cast, company: Company, records: telling.Records, offset: float) -> Story:
    def instant(at: int | None) -> float | None:
        return None if at is None else at / 1e6 - offset

    rows = company.rows(
        "SELECT coalesce(started_at, intent_at), ended_at, verified_at, outcome, relapsed_at FROM attempt"
        " WHERE monitor = ? ORDER BY intent_at", target.id,
    )  # fmt: skip
    tries = tuple(
        Try(started=began / 1e6 - offset, ended=instant(ended), verified=instant(verified), outcome=outcome,
            has_relapsed=relapsed is not None)
        for began, ended, verified, outcome, relapsed in rows
    )  # fmt: skip
    case = company.rows(
        "SELECT state, reason FROM recovery_case WHERE monitor = ? ORDER BY opened_at", target.id
    )
    healed = company.rows("SELECT healed_by FROM incident WHERE monitor = ?", target.id)
    harmed_at = target.harmed_at or 0.0
    return Story(
        scenario=target.scenario, monitor=target.id, harmed_at=harmed_at, tries=tries,
        told=tuple((item.kind, item.told - harmed_at) for item in records.notices_of(target.id)),
        ready=tuple(at for at, what in target.victim.notes if what == "listening") if target.victim else (),
        ran=cast.ran(target), states=tuple(str(state) for state, _, _ in records.transitions.get(target.id, [])),
        case=(str(case[-1][0]), str(case[-1][1])) if case else ("", ""),
        healed_by_defib=bool(healed) and all(row[0] == "defib" for row in healed),
        is_up=company.state(target.id) == "up",
    )  # fmt: skip
