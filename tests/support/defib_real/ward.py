"""Many victims under one real Defib: broken one by one, healed by it, and each one's truth in its own log."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import psutil

from defib.model.strategy import Strategy
from defib_real import telling
from defib_real.harms import Group, Harm, turns
from defib_real.profiles import FIRST_SERVED, configured
from defib_real.telling import Records, Span
from defib_sim.results import Result
from defib_testkit.chaos_proxy import ChaosProxy
from defib_testkit.company import Company
from defib_testkit.many_targets import ManyTargets
from defib_testkit.ports import free_port
from defib_testkit.victim_handle import Victim, close_all
from defib_testkit.waiting import wait_until
from defib_testkit.webhook_sink import WebhookSink

_LIMITS = {"concurrent": 8, "per_host": 8, "share": 1.0, "burst": 1000, "refill": "1s"}
"""So many faults in so short a time would be kept waiting otherwise, and rightly: it is not what is measured."""
_CONTROLS_EVERY = "9s"
"""Healthy targets beside the victims, as many again: were most of them broken within 10 s, it would be a mass failure,
in which Defib repairs one at a time. They need to be looked at only that often for it."""
_PATIENCE_S = 40.0
_HEALTHY_BODY = '"status": "ok"'


@dataclass(slots=True, kw_only=True)
class Subject:
    """One target in one episode."""

    monitor: str
    group: Group
    victim: Victim
    url: str
    harm: Harm | None
    harmed_at: float | None = None  #: seconds of CLOCK_MONOTONIC

    @property
    def is_hard(self) -> bool:
        """Whether it fails every look from its harm on."""
        return self.group.scenario.expect.within_s is not None

    def spans(self) -> list[Span]:
        """When it was broken: from the harm until it listens again as a new process."""
        if self.harmed_at is None or not self.group.is_fault:
            return []
        began = self.harmed_at
        again = (at for at, what in self.victim.notes if what == "listening" and at > began)
        return [(began, next(again, None))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long a campaign takes; seconds."""

    hard_over: float  #: hard faults begin within so long, uniformly
    lasting_over: float  #: so do slow answers and intermittent failures, which take long to be judged
    lasts: float  #: all in all


def play(
    folder: Path,
    groups: Sequence[Group],
    strategy: Strategy,
    timing: Timing,
    *,
    seed: int,
    hold: str | None = "300ms",
) -> dict[str, Result]:
    """Play the groups beside one another; results by the scenario's name.

    :param folder: scratch, empty.
    :param hold: least age of a fault before it is acted on; None: Defib's own.
    """
    with ExitStack() as stack:
        sink = stack.enter_context(closing(WebhookSink()))
        subjects = _admit(folder, groups, seed, stack)
        addresses = [f"127.3.{1 + number // 200}.{1 + number % 200}" for number in range(len(subjects))]
        controls = stack.enter_context(closing(ManyTargets(addresses, free_port(), launcher=FIRST_SERVED)))
        company = stack.enter_context(closing(_company(folder, subjects, strategy, sink, hold)))
        company.add_monitors(
            {"id": f"control-{number:03}", "name": f"control-{number:03}", "type": "http", "interval": _CONTROLS_EVERY,
             "url": f"http://{address}:{controls.port}/health"}
            for number, address in enumerate(addresses)
        )  # fmt: skip
        company.serve()
        assert company.daemon is not None
        process = psutil.Process(company.daemon.pid)
        count = len(subjects)
        wait_until(
            lambda: company.rows("SELECT count(*) FROM health WHERE was_up") == [(2 * count,)],
            strategy.interval.total_seconds() + 60, f"all {2 * count} to have been up",
        )  # fmt: skip
        offset, began = time.time() - time.monotonic(), time.monotonic()
        _harm_all(subjects, timing, began, seed)
        _wait(began + timing.lasts, subjects, company)
        until, times = time.monotonic(), process.cpu_times()
        assert company.stop() == 0
        records = telling.read(company, sink, offset=offset)
        cpu_s = times.user + times.system
        return {
            group.scenario.name: _result(group, strategy, seed, subjects, records, began, until, cpu_s)
            for group in groups
        }


def _admit(folder: Path, groups: Sequence[Group], seed: int, stack: ExitStack) -> list[Subject]:
    """A victim for each episode, each at an address of its own, all answering."""
    subjects: list[Subject] = []
    victims: list[Victim] = []
    stack.callback(close_all, victims)
    for group in groups:
        harms = turns(group, seed)
        proxy: ChaosProxy | None = None
        for number in range(1 if group.loss else group.count):
            host = f"127.1.{1 + len(victims) // 200}.{1 + len(victims) % 200}"
            victim = Victim(folder, host=host, launcher=FIRST_SERVED)
            victims.append(victim)
            victim.start(wait=False)
            slug = group.scenario.name.replace(" ", "-").replace("%", "percent").replace(",", "")
            if group.loss:
                proxy = stack.enter_context(closing(ChaosProxy(victim.host, victim.port, seed=seed)))
                proxy.lose(group.loss)
            for copy in range(group.count if group.loss else 1):
                url = f"{proxy.origin}/health?{copy}" if proxy else victim.url
                subjects.append(
                    Subject(
                        monitor=f"{slug}-{number + copy:03}", group=group, victim=victim, url=url,
                        harm=harms[number] if harms else None,
                    )
                )  # fmt: skip
    for victim in victims:
        victim.wait_until_up()
    return subjects


def _company(
    folder: Path, subjects: Iterable[Subject], strategy: Strategy, sink: WebhookSink, hold: str | None
) -> Company:
    company = Company(folder)
    company.launcher = FIRST_SERVED
    monitors: list[Mapping[str, Any]] = []
    slow_from = strategy.timeout.total_seconds() / 2
    for subject in subjects:
        script = subject.victim.restart_script(folder, f"restart-{subject.victim.port}.sh").name
        policy = {"mode": "auto", "cooldown": "500ms", "start_timeout": "15s"} | (
            {"hold": hold} if hold else {}
        )
        monitors.append(
            {
                "id": subject.monitor, "name": subject.monitor, "type": "http", "url": subject.url,
                "expect": {"body": _HEALTHY_BODY, "within": f"{slow_from:g}s"} if subject.group.loss is None else {},
                "recovery": policy | {"ladder": [{"script": {"file": script, "timeout": "10s"}}]},
            }
        )  # fmt: skip
    company.set(
        strategies={strategy.name: configured(strategy)},
        defaults={"strategy": strategy.name, "recovery_scripts": str(folder)},
        monitors=monitors,
        channels={"hook": {"type": "webhook", "url": sink.url}},
        recovery=_LIMITS,
    )
    return company


def _harm_all(subjects: Sequence[Subject], timing: Timing, began: float, seed: int) -> None:
    """Break each at its time."""
    random = Random(f"{seed}/plan")
    plan = []
    for subject in subjects:
        if subject.harm is not None:
            plan.append(
                (random.uniform(0, timing.hard_over if subject.is_hard else timing.lasting_over), subject)
            )
    for after, subject in sorted(plan, key=lambda item: item[0]):
        time.sleep(max(0.0, began + after - time.monotonic()))
        assert subject.harm is not None
        subject.harmed_at = subject.harm(subject.victim)


def _wait(until: float, subjects: Sequence[Subject], company: Company) -> None:
    """Until the time is over, and a moment longer while a hard fault is not healed."""
    hard = [subject.monitor for subject in subjects if subject.is_hard]
    time.sleep(max(0.0, until - time.monotonic()))

    def are_healed() -> bool:
        still = {
            monitor for (monitor,) in company.rows("SELECT monitor FROM incident WHERE closed_at IS NULL")
        }
        known = {monitor for (monitor,) in company.rows("SELECT monitor FROM incident")}
        return still.isdisjoint(hard) and known.issuperset(hard)

    with suppress(TimeoutError):  # what is still broken then is a result
        wait_until(are_healed, _PATIENCE_S)


def _result(
    group: Group, strategy: Strategy, seed: int, subjects: Sequence[Subject], records: Records, began: float,
    until: float, cpu_s: float,
) -> Result:  # fmt: skip
    mine = [subject for subject in subjects if subject.group is group]
    stories = [
        telling.tell(subject.monitor, "target", number, subject.spans(), records, began, until)
        for number, subject in enumerate(mine)
    ]
    return Result(
        scenario=group.scenario, strategy=strategy.name, seed=seed, stories=tuple(stories), own=(), probes=0,
        cpu_s=cpu_s, crashes=(*records.errors, *_miscounts(mine, records)),
    )  # fmt: skip


def _miscounts(subjects: Iterable[Subject], records: Records) -> Iterable[str]:
    """Restarts that ran and that the store does not know of, or the other way round."""
    for subject in subjects:
        known = len(records.attempts.get(subject.monitor, ()))
        if subject.group.loss is None and subject.victim.restarts != known:
            yield f"{subject.monitor}: its restart ran {subject.victim.restarts} times, the store knows {known}"


def summary(result: Result) -> str:
    """One line for people."""
    times = "/".join(f"{result.detection_s(q):.2f}" for q in (0.5, 0.95, 0.99, 1.0))
    return json.dumps(
        {
            "scenario": result.scenario.name, "strategy": result.strategy, "n": result.episodes,
            "found": str(result.found), "T_D p50/p95/p99/max": times, "false faults": result.false_faults,
            "restarts": sum(result.restarts), "false restarts": result.false_restarts, "healed": str(result.healed),
        },
        ensure_ascii=False,
    )  # fmt: skip
