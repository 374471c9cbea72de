"""Recovery on a running engine and a real store: what holds over restarts, takeovers and people's interference."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from defib import assembly
from defib.errors import StoreError, UsageError
from defib.model.changes import Changes
from defib.model.ids import MonitorId
from defib.model.monitor import RecoveryMode
from defib.model.recovery import Attempt, AttemptOutcome, Case, CaseState, Gate
from defib.plugin import ActionContext, ActionResult
from defib.store.term import begin
from defib_testkit.waiting import async_wait_until
from web_world import MendAction, Site, World

MAIN = MonitorId("main")
BROKEN: dict[str, Any] = {"ok": False, "says": "HTTP 500 in 3 ms"}
SECOND = timedelta(seconds=1)


@pytest.fixture
def make_world(tmp_path: Path) -> Callable[..., World]:
    def make(*, works: bool = True, mode: RecoveryMode = RecoveryMode.AUTO, **policy: Any) -> World:
        world = World(tmp_path)
        world.watch("main", name="Main Agent", mode=mode, works=works)
        world.tell("ops")
        change(world, **({"probation": 2 * SECOND} | policy))
        return world

    return make


def change(world: World, **policy: Any) -> None:
    spec = world.monitors[-1]
    world.monitors[-1] = replace(spec, recovery=replace(spec.recovery, **policy))


def cases(site: Site) -> list[Case]:
    return site.engine.reader.cases(monitor=MAIN)


def attempts(site: Site) -> list[Attempt]:
    return site.engine.reader.attempts(monitor=MAIN)


async def break_it(site: Site) -> None:
    await site.wait_for("main", "up")
    site.world.play("main", **BROKEN)
    await site.wait_for("main", "fault")


async def wait_for_case(site: Site, state: CaseState, number: int = 1) -> Case:
    """The newest case, once it is in ``state`` and there are so many."""

    def look() -> bool:
        found = cases(site)
        return len(found) == number and found[-1].state is state

    await async_wait_until(look, 20, f"case {number} to be {state}")
    return cases(site)[-1]


# --- probation and relapse ------------------------------------------------------------------------------


async def test_a_recovered_monitor_is_told_at_once_and_watched_for_its_probation(
    make_world: Callable[..., World],
) -> None:
    async with make_world().running() as site:
        await break_it(site)
        watched = await wait_for_case(site, CaseState.PROBATION)
        [incident] = site.engine.reader.incidents(monitor=MAIN)
        shown = (await site.get("/monitors/main"))["recovery"]
        done = await wait_for_case(site, CaseState.DONE)

    assert incident.healed_by == "defib"
    assert watched.closed_at is None
    assert shown["doing"] == "Recovered, and watched for a while: well again, 2 good looks in a row"
    assert done.closed_at is not None
    assert incident.closed_at is not None
    assert done.closed_at - incident.closed_at >= SECOND


async def test_a_fall_in_probation_goes_on_with_the_same_case_and_the_same_incident(
    make_world: Callable[..., World],
) -> None:
    async with make_world(probation=30 * SECOND).running() as site:
        await break_it(site)
        await wait_for_case(site, CaseState.PROBATION)
        site.world.play("main", **BROKEN)
        await async_wait_until(lambda: len(attempts(site)) == 2, 20)
        await wait_for_case(site, CaseState.PROBATION)
        incidents = site.engine.reader.incidents(monitor=MAIN)
        alerts = [alert.kind for alert in site.engine.reader.alerts(monitor=MAIN)]
        events = [entry.event for entry in site.engine.reader.audit()]

    assert len(incidents) == 1
    assert alerts == ["agent_down", "recovered", "relapsed", "recovered"]
    assert attempts(site)[0].relapsed_at is not None
    assert "recovery.relapse" in events


async def test_a_probation_is_taken_up_after_a_restart(make_world: Callable[..., World]) -> None:
    world = make_world(probation=4 * SECOND)
    async with world.running() as site:
        await break_it(site)
        await wait_for_case(site, CaseState.PROBATION)
    async with world.running() as site:
        await wait_for_case(site, CaseState.DONE)

        assert [item.outcome for item in attempts(site)] == [AttemptOutcome.VERIFIED]


# --- budgets and the circuit ----------------------------------------------------------------------------


async def test_what_was_given_up_stays_so_over_restarts_until_an_operator_resets_it(
    make_world: Callable[..., World],
) -> None:
    world = make_world(works=False, start_timeout=SECOND, max_attempts=1)
    async with world.running() as site:
        await break_it(site)
        await wait_for_case(site, CaseState.OPEN)
        (world.stage("main")).unlink()  # a person repairs it
        await site.wait_for("main", "up")
    async with world.running() as site:
        await break_it(site)  # and it falls again
        still_open = await wait_for_case(site, CaseState.OPEN, number=2)
        made = len(attempts(site))

        await site.engine.arming.reset(MAIN, "ann")

        await async_wait_until(lambda: len(attempts(site)) == made + 1, 20)
        resets = [entry for entry in site.engine.reader.audit() if entry.event == "recovery.reset"]

    assert (still_open.gate, still_open.attempts, made) == (Gate.CIRCUIT, 0, 1)
    assert "'defib recover main --reset' lets it try again" in still_open.reason
    assert [(entry.actor, entry.subject) for entry in resets] == [("ann", "main")]


async def test_the_rate_of_all_attempts_is_counted_over_a_restart(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.limits = replace(world.limits, burst=1, refill=timedelta(hours=1))
    async with world.running() as site:
        await break_it(site)
        await wait_for_case(site, CaseState.DONE)
    async with world.running() as site:
        await break_it(site)
        held = await wait_for_case(site, CaseState.GATED, number=2)

        assert (held.gate, held.reason) == (Gate.RATE, "too many attempts in a short time, over all monitors")
        assert len(attempts(site)) == 1


# --- another Defib, a crash, a person -------------------------------------------------------------------


async def test_a_defib_that_was_replaced_neither_acts_nor_writes(make_world: Callable[..., World]) -> None:
    world = make_world(hold=3 * SECOND)
    world.watches = False  # a daemon ends at once; what is at work must do nothing until it does
    async with world.running() as site:
        await site.look("main", 2)
        site.world.play("main", **BROKEN)
        await site.look("main", 3)
        await wait_for_case(site, CaseState.PENDING)
        database = site.engine.reader._database
        with database.engine.begin() as connection:
            begin(connection, database, "another Defib")
        await async_wait_until(lambda: site.engine.recovery.is_idle, 15)

        assert attempts(site) == []
        assert [case.state for case in cases(site)] == [CaseState.PENDING]  # the other one takes it up


@pytest.mark.parametrize(("idempotent", "state"), [(False, CaseState.OPEN), (True, CaseState.BACKOFF)])
async def test_after_a_crash_only_what_may_run_twice_runs_twice(
    make_world: Callable[..., World], idempotent: bool, state: CaseState
) -> None:
    world = make_world(works=False, start_timeout=SECOND, cooldown=60 * SECOND)
    spec = world.monitors[-1]
    [rung] = spec.recovery.ladder
    change(world, ladder=(replace(rung, idempotent=idempotent),))

    async with world.running() as site:
        await break_it(site)
        await async_wait_until(lambda: bool(attempts(site)), 20)
        [attempt], [case] = attempts(site), cases(site)
    with assembly.engine(world.plugins, world.settings(), role="a test's crash") as engine:
        acting = replace(case, state=CaseState.ACTING)  # as a crash leaves it
        cut_off = replace(attempt, outcome=AttemptOutcome.RUNNING, ended_at=None)
        await engine.writer.commit(Changes(cases=(acting,), attempts=(cut_off,)))
        await engine.roster.close()
    async with world.running() as site:
        ended = await wait_for_case(site, state)

        assert len(attempts(site)) == 1
        assert attempts(site)[0].outcome in (AttemptOutcome.UNKNOWN, AttemptOutcome.FAILED)
        assert ("must not run twice" in ended.reason) is not idempotent


@pytest.mark.parametrize(
    ("works", "event", "expected"),
    [
        (True, None, [None]),
        (True, "recovery.ended", ["recovery.ended"]),
        (True, "recovery.verified", ["recovery.verified"] * 3),
        (False, None, [None]),
        (False, "recovery.ended", ["recovery.ended"]),
        (False, "recovery.failed", ["recovery.failed"] * 3),
    ],
)
async def test_a_store_that_fails_after_an_action_has_begun_does_not_make_it_run_twice(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch, works: bool, event: str | None,
    expected: list[str | None],
) -> None:  # fmt: skip
    """Whichever of its records cannot be written at first: that it runs, that it has ended, what came of it."""
    world = make_world(works=works, start_timeout=2 * SECOND, cooldown=60 * SECOND)
    runs: list[str] = []
    run = MendAction.run

    async def counted(action: MendAction, context: ActionContext) -> ActionResult:
        runs.append(context.key)
        return await run(action, context)

    monkeypatch.setattr(MendAction, "run", counted)
    async with world.running() as site:
        refused = refuse(site, monkeypatch, event, times=3)
        await break_it(site)
        await wait_for_case(site, CaseState.DONE if works else CaseState.BACKOFF)
        [attempt] = attempts(site)

    assert runs == [attempt.id]
    assert attempt.outcome is (AttemptOutcome.VERIFIED if works else AttemptOutcome.FAILED)
    assert refused == expected


def refuse(site: Site, monkeypatch: pytest.MonkeyPatch, event: str | None, *, times: int) -> list[str | None]:
    """Let the store refuse the first records of an attempt with this line in the audit log; what was refused."""
    refused: list[str | None] = []
    commit = site.engine.writer.commit

    async def failing(changes: Changes) -> None:
        begun = [item for item in changes.attempts if item.started_at is not None]
        events = [entry.event for entry in changes.audit] or [None]
        if begun and event in events and len(refused) < times:
            refused.append(event)
            raise StoreError("the disk is full")
        await commit(changes)

    monkeypatch.setattr(site.engine.writer, "commit", failing)
    return refused


async def test_a_disarmed_fault_is_rehearsed_and_acted_on_once_it_is_armed(
    make_world: Callable[..., World],
) -> None:
    async with make_world(mode=RecoveryMode.DRY_RUN).running() as site:
        await break_it(site)
        rehearsal = await wait_for_case(site, CaseState.ABORTED)
        [told] = attempts(site)

        await site.engine.arming.set_mode(RecoveryMode.AUTO, None, "ann")

        await wait_for_case(site, CaseState.DONE, number=2)

    assert rehearsal.reason == "dry-run: would have run: mend main"
    assert "budget-failed: 0 failed attempts within 30 min, 3 are allowed" in told.output.splitlines()


async def test_disarming_everything_stops_what_was_armed_by_itself(make_world: Callable[..., World]) -> None:
    async with make_world(hold=4 * SECOND).running() as site:
        await site.engine.arming.set_mode(RecoveryMode.AUTO, MAIN, "ann")
        await break_it(site)
        await wait_for_case(site, CaseState.PENDING)

        await site.engine.arming.set_mode(RecoveryMode.DRY_RUN, None, "bob")

        ended = await wait_for_case(site, CaseState.ABORTED)
        assert (ended.gate, attempts(site)) == (Gate.MODE, [])


async def test_only_what_exists_and_has_a_ladder_is_armed(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.watch("bare")
    async with world.running() as site:
        with pytest.raises(UsageError, match="there is no monitor 'mian'"):
            await site.engine.arming.set_mode(RecoveryMode.AUTO, MonitorId("mian"), "ann")
        with pytest.raises(UsageError, match="bare has no recovery ladder"):
            await site.engine.arming.set_mode(RecoveryMode.AUTO, MonitorId("bare"), "ann")
