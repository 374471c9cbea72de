"""What holds for the judge whatever it is shown: sequences of looks through the production code, in virtual time."""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defib.engine.engine import Engine
from defib.engine.roster import Roster
from defib.model.changes import Changes
from defib.model.decision import DecisionRecord
from defib.model.evidence import Evidence, Grade, Observation, Source
from defib.model.health import Health, State, Transition
from defib.model.ids import MonitorId
from defib.model.monitor import Family, MonitorSpec
from defib.model.settings import Settings
from defib.model.strategy import Strategy
from defib.registry import Registry
from defib.rules import replay
from defib.store import rows
from defib_sim.memory_store import MemoryStore
from defib_sim.modes import WELL
from defib_sim.plugin import SimulatedOptions, load_plugins
from defib_sim.targets import Remedy, Target
from defib_sim.virtual_loop import VirtualClock, run

DB, APP = MonitorId("db"), MonitorId("app")  # the second requires the first

EVIDENCE: Mapping[str, Evidence] = {
    "ok": Evidence.ok("fine"),
    "slow": Evidence.degraded("slow", "slow"),
    "fail": Evidence.fail("timeout", "no answer"),
    "gone": Evidence.fail("exited", "the process is gone", grade=Grade.AUTHORITATIVE),
    "refused": Evidence.fail("refused", "refused", grade=Grade.STRONG),
    "stopped": Evidence.fail("stopped", "stopped on purpose", grade=Grade.INTENT),
    "unknown": Evidence.inconclusive("no-route", "we have no route"),
}
GOOD, BAD = ("ok", "slow"), ("fail", "gone", "refused")


@dataclass(frozen=True, slots=True)
class Look:
    """One look that the judge is shown."""

    monitor: MonitorId
    kind: str  #: of :data:`EVIDENCE`
    wait_s: float  #: since the look before
    took_s: float


@dataclass(slots=True)
class Told:
    """What came of it.

    :ivar steps: after each look: the look, what the judge saw of it, and the monitor's health before and after.
    """

    steps: list[tuple[Look, Observation, Health, Health]] = field(default_factory=list)
    decisions: list[DecisionRecord] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    detectors: Mapping[str, Any] = field(default_factory=dict)

    def of(self, monitor: MonitorId) -> list[tuple[Look, Observation, Health, Health]]:
        return [step for step in self.steps if step[0].monitor == monitor]


class KeepingStore(MemoryStore):
    """Keeps the decisions as the real store does: as rows."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[dict[str, Any]] = []

    async def commit(self, changes: Changes) -> None:
        await super().commit(changes)
        self.rows += [rows.decision_row(item) for item in changes.decisions]


@pytest.fixture(scope="module")
def plugins() -> Iterator[Registry]:
    log = logging.getLogger("defib")
    log.setLevel(logging.CRITICAL)
    yield load_plugins()
    log.setLevel(logging.NOTSET)


def strategy(detector: str, k: int | None, r: int) -> Strategy:
    second = timedelta(seconds=1)
    return Strategy(
        name="own", interval=30 * second, timeout=5 * second, confirm=(second, 2 * second), recover_confirm=2 * second,
        fail_threshold=k, recovery_threshold=r, detector=detector,
    )  # fmt: skip


def show(plugins: Registry, own: Strategy, looks: Sequence[Look]) -> Told:
    """Show the production judge these looks, one after the other."""

    async def main(clock: VirtualClock) -> Told:
        def spec(monitor: MonitorId, *requires: MonitorId) -> MonitorSpec:
            target = Target(clock, Random(0), [(0.0, WELL)], remedy=Remedy())
            return MonitorSpec(
                id=monitor, name=monitor, kind="simulated", family=Family.SERVICE, requires=requires,
                options=SimulatedOptions(target=target),
            )  # fmt: skip

        configured = Settings(
            base=Path("/"),
            files=(),
            strategy="own",
            strategies={"own": own},
            monitors=(spec(DB), spec(APP, DB)),
        )
        store = KeepingStore()
        roster = Roster(plugins, configured, {})
        engine = Engine(clock, roster, cast(Any, store), cast(Any, store))
        told = Told(detectors=roster.detectors)
        for look in looks:
            await clock.sleep(look.wait_s)
            ended = clock.now()
            observation = Observation(
                monitor=look.monitor, source=Source.PROBE, evidence=EVIDENCE[look.kind], ended_at=ended,
                started_at=ended - timedelta(seconds=look.took_s),
            )  # fmt: skip
            before = engine.table[look.monitor]
            await engine.judge.take(observation)
            told.steps.append((look, observation, before, engine.table[look.monitor]))
        await engine.wind_down()
        await asyncio.sleep(0)
        told.decisions = [rows.decision_from_row(row) for row in store.rows]
        told.transitions = store.all_transitions
        return told

    return run(main)


def looks(*kinds: str, monitors: Sequence[MonitorId] = (DB, APP)) -> st.SearchStrategy[list[Look]]:
    """Sequences in which failing and being well come in runs, as they do."""
    kind = st.sampled_from(kinds)
    each = st.builds(
        Look,
        monitor=st.sampled_from(monitors),
        kind=kind,
        wait_s=st.sampled_from([0.2, 1.0, 2.0, 30.0, 4000.0]),
        took_s=st.sampled_from([0.0, 0.01, 0.19, 5.0]),
    )
    row = st.builds(lambda look, times: [look] * times, each, st.integers(1, 7))
    return st.lists(row, min_size=1, max_size=14).map(lambda parts: [look for part in parts for look in part])


ALL = looks(*EVIDENCE)
LEARNING = strategy("cusum", None, 2)
NUMBERS = st.tuples(st.sampled_from(["cusum", "consecutive"]), st.integers(1, 6), st.integers(1, 4))
EVERY = st.one_of(st.just(LEARNING), NUMBERS.map(lambda chosen: strategy(*chosen)))


@given(seen=looks(*GOOD, *BAD, "unknown", monitors=(DB,)), chosen=NUMBERS)
@settings(deadline=None)
def test_so_many_failures_in_a_row_are_a_fault_and_no_fewer(
    plugins: Registry, seen: list[Look], chosen: tuple[str, int, int]
) -> None:
    _, k, r = chosen
    row = good = 0
    is_fault = False
    for look, observation, before, after in show(plugins, strategy(*chosen), seen).steps:
        if look.kind in BAD:
            row, good = row + 1, 0
            is_fault = is_fault or row == k
        elif look.kind in GOOD and not (is_fault and observation.started_at < before.since):
            good += 1
            if not is_fault or good == r:
                is_fault, row, good = False, 0, 0
        assert (after.state is State.FAULT) is is_fault


@given(seen=looks("fail", "gone", "refused", "ok", "unknown", monitors=(DB,)))
@settings(deadline=None)
def test_until_noise_is_learned_a_fault_is_a_score_of_nine(plugins: Registry, seen: list[Look]) -> None:
    score = 0
    for look, _, before, after in show(plugins, LEARNING, seen).steps:
        score = score + 3 if look.kind in BAD else max(0, score - 1) if look.kind == "ok" else score
        if look.kind == "ok" and before.state is State.SUSPECT:
            return  # that burst was noise
        assert (after.state is State.FAULT) is (score >= 9)
        if score >= 9:
            return


@given(seen=ALL)
@settings(deadline=None)
def test_no_learned_fault_without_the_evidence_of_its_threshold(plugins: Registry, seen: list[Look]) -> None:
    for monitor in (DB, APP):
        since_calm: list[str] = []
        for look, _, before, after in show(plugins, LEARNING, seen).of(monitor):
            if after.state in (State.NEW, State.UP, State.DEGRADED, State.STOPPED):
                since_calm = []
                continue
            since_calm.append(look.kind)
            if after.state is State.FAULT and before.state is not State.FAULT:
                assert any(score(since_calm, k) >= k * k for k in range(3, 7)), since_calm
                assert sum(kind in BAD for kind in since_calm) >= 3


def score(kinds: Sequence[str], k: int) -> int:
    """The leaky score after these looks."""
    total = 0
    for kind in kinds:
        total = total + k if kind in BAD else max(0, total - 1) if kind in GOOD else total
    return total


@given(seen=ALL, own=EVERY)
@settings(deadline=None)
def test_nothing_recovers_without_so_many_fresh_successes(
    plugins: Registry, seen: list[Look], own: Strategy
) -> None:
    told = show(plugins, own, seen)
    for monitor in (DB, APP):
        row = 0
        for look, observation, before, after in told.of(monitor):
            if look.kind in (*BAD, "stopped"):
                row = 0
            elif look.kind in GOOD and observation.started_at >= before.since:
                row += 1
            if before.state is State.FAULT and after.state is not State.FAULT:
                assert row >= own.recovery_threshold


@given(seen=ALL, own=EVERY)
@settings(deadline=None)
def test_inconclusive_evidence_changes_no_state(plugins: Registry, seen: list[Look], own: Strategy) -> None:
    for look, observation, before, after in show(plugins, own, seen).steps:
        if look.kind == "unknown":
            assert after == replace(before, last=observation)


@given(seen=looks(*EVIDENCE, monitors=(DB,)), own=EVERY)
@settings(deadline=None)
def test_looking_and_not_knowing_in_between_changes_no_later_verdict(
    plugins: Registry, seen: list[Look], own: Strategy
) -> None:
    """Of a monitor that requires nothing: as if nobody had looked; only time has passed."""
    without, waited = [], 0.0
    for look in seen:
        if look.kind == "unknown":
            waited += look.wait_s
        else:
            without.append(replace(look, wait_s=look.wait_s + waited))
            waited = 0.0
    states = [after.state for look, _, _, after in show(plugins, own, seen).steps if look.kind != "unknown"]
    assert states == [after.state for _, _, _, after in show(plugins, own, without).steps]


@given(seen=ALL, own=EVERY)
@settings(deadline=None)
def test_stored_evidence_leads_to_the_stored_states(
    plugins: Registry, seen: list[Look], own: Strategy
) -> None:
    told = show(plugins, own, seen)
    assert list(replay.departures(told.decisions, told.transitions, told.detectors)) == []
    changed = {
        (observation.monitor, observation.ended_at)
        for _, observation, before, after in told.steps
        if (before.state, before.memory) != (after.state, after.memory)
    }
    assert {(item.monitor, item.observation.ended_at) for item in told.decisions} == changed


@pytest.mark.parametrize("own", [LEARNING, strategy("consecutive", 3, 2)], ids=["cusum", "consecutive"])
def test_successes_that_began_before_the_fault_do_not_end_it(plugins: Registry, own: Strategy) -> None:
    fall = [Look(DB, "ok", 10.0, 0.0), *[Look(DB, "fail", 1.0, 0.0)] * 3]
    late, fresh = Look(DB, "ok", 0.5, 10.0), Look(DB, "ok", 0.5, 0.1)
    told = show(plugins, own, [*fall, late, late, late, fresh, late, fresh])
    assert [str(after.state) for *_, after in told.steps[3:]] == ["fault"] * 6 + ["up"]


FAULT = [Look(DB, kind, 1.0, 0.01) for kind in ("ok", "fail", "fail", "fail", "ok", "ok")]


def fault(plugins: Registry) -> Told:
    told = show(plugins, strategy("consecutive", 3, 2), FAULT)
    assert [item.to_state for item in told.transitions] == ["up", "suspect", "fault", "up"]
    return told


def found(told: Told) -> list[str]:
    return [item.what for item in replay.departures(told.decisions, told.transitions, told.detectors)]


def test_a_replay_finds_a_state_that_the_evidence_does_not_give(plugins: Registry) -> None:
    told = fault(plugins)
    told.decisions[1] = replace(told.decisions[1], state=State.FAULT)
    assert found(told)[0] == "decided fault, the evidence gives suspect"


def test_a_replay_finds_evidence_that_was_changed(plugins: Registry) -> None:
    told = fault(plugins)
    told.decisions[3] = replace(told.decisions[3], observation=told.decisions[0].observation)
    assert "decided fault, the evidence gives up" in found(told)


def test_a_replay_finds_a_missing_record(plugins: Registry) -> None:
    told = fault(plugins)
    del told.decisions[2]
    assert found(told) == ["the detector went on from another memory than it was left with"]


def test_a_replay_finds_a_transition_without_its_evidence(plugins: Registry) -> None:
    told = fault(plugins)
    del told.decisions[3]
    assert "no evidence for the transition to fault is stored" in found(told)


def test_a_replay_finds_a_missing_transition(plugins: Registry) -> None:
    told = fault(plugins)
    del told.transitions[2]
    assert found(told) == ["no transition to fault is stored"]


def test_a_replay_finds_a_transition_that_was_changed(plugins: Registry) -> None:
    told = fault(plugins)
    told.transitions[2] = replace(told.transitions[2], reason="because")
    assert found(told) == ["the transition to fault is stored otherwise"]


def test_a_replay_names_a_detector_that_is_gone(plugins: Registry) -> None:
    told = fault(plugins)
    assert set(found(replace(told, detectors={}))) >= {"there is no detector 'consecutive' any more"}
