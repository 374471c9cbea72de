"""What Healthchecks does with pings, row by row of table 2.2 of its field notes, by a heartbeat of the same settings.

A heartbeat with ``every``, ``misses: 1`` and ``grace`` (or ``cron`` or ``calendar`` with ``grace``) is such a check.
The rows run through the real engine on virtual time; those about calendars ask the monitor itself, which is pure.
"""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, cast

import pytest

from defib import registry
from defib.engine.engine import Engine
from defib.engine.roster import Roster
from defib.hookspecs import PROJECT
from defib.model.health import State
from defib.model.ids import MonitorId
from defib.model.monitor import Family, MonitorSpec
from defib.model.settings import Settings
from defib.plugin import Beat, BuildContext, Signal
from defib_plugins.heartbeat import Heartbeat, HeartbeatOptions
from defib_sim.memory_store import MemoryStore
from defib_sim.plugin import REAL_PARTS
from defib_sim.virtual_loop import VirtualClock, run, seconds_at

CHECK = MonitorId("check")
HOUR, DAY = 3600.0, 86400.0
DAILY: dict[str, Any] = {"every": "1d", "misses": 1, "grace": "1h"}
RUN, OTHER = "7c9e6679-7425-40de-944b-e07fc1f90ae7", "00000000-7425-40de-944b-e07fc1f90ae7"


class Check:
    """One check, pinged on virtual time."""

    def __init__(self, clock: VirtualClock, **options: Any) -> None:
        found = registry.load(
            [
                EntryPoint(name, module, PROJECT)
                for name, module in {
                    **REAL_PARTS,
                    "simulation": "defib_sim.plugin",
                    "heartbeat": "defib_plugins.heartbeat",
                }.items()
            ]
        )
        spec = MonitorSpec(
            id=CHECK, name="Check", kind="heartbeat", family=Family.JOB,
            options=found.monitors["heartbeat"].options.model_validate(options),
        )  # fmt: skip
        settings = Settings(
            base=Path("/"), files=(), strategy="normal", monitors=(spec,),
            strategies={item.name: item for item in found.strategies.items.values()},
        )  # fmt: skip
        self.store = MemoryStore()
        self.clock = clock
        self._roster = Roster(found, settings, {})
        self.engine = self.restarted()

    def restarted(self) -> Engine:
        """An engine over what the store holds."""
        store = cast(Any, self.store)
        return Engine(self.clock, self._roster, store, store)

    async def until(self, at_s: float) -> None:
        await self.clock.sleep(at_s - self.clock.monotonic())

    async def ping(self, at_s: float, signal: Signal = Signal.ALIVE, rid: str = "", **fields: Any) -> None:
        await self.until(at_s)
        facts = {"method": "GET"} | ({"rid": rid} if rid else {})
        await self.engine.beats.accept(CHECK, signal, protocol="ping", facts=facts, **fields)

    async def pause(self, at_s: float) -> None:
        await self.until(at_s)
        await self.engine.jobs.pause(CHECK, actor="a test")

    @property
    def deadline(self) -> float | None:
        """In seconds, when it would go down."""
        at = self.engine.silences.deadline(CHECK)
        return None if at is None else seconds_at(at)

    @property
    def flips(self) -> list[tuple[str, float, str]]:
        """Each change between up and down: to what, when in seconds, and why."""
        found: list[tuple[str, float, str]] = []
        for item in self.store.all_transitions:
            if item.to_state in (State.UP, State.FAULT) and (not found or found[-1][0] != item.to_state):
                cause = item.evidence.evidence.cause if item.evidence else ""
                found.append((str(item.to_state), round(seconds_at(item.decided_at), 1), cause))
        return found

    @property
    def run_time(self) -> object:
        """As told with the newest success or failure."""
        last = self.engine.table[CHECK].last
        return None if last is None else last.evidence.facts.get("run_time")


def play(story: Callable[[Check], Coroutine[Any, Any, None]], **options: Any) -> Check:
    async def main(clock: VirtualClock) -> Check:
        check = Check(clock, **(options or DAILY))
        check.engine.silences.start()
        running = asyncio.create_task(check.engine.silences.run())
        await story(check)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return check

    return run(main)


# --- success, failure, log -------------------------------------------------------------------------


def test_without_a_ping_nothing_is_expected() -> None:
    async def story(check: Check) -> None:
        await check.until(30 * DAY)

    check = play(story)

    assert check.flips == []
    assert check.deadline is None
    assert check.engine.table[CHECK].state is State.NEW


def test_a_success_makes_it_up_and_a_failure_down_at_once() -> None:
    async def story(check: Check) -> None:
        await check.ping(0)
        await check.ping(10, Signal.FAIL)

    assert play(story).flips == [("up", 0.0, "ok"), ("fault", 10.0, "job-failed")]


def test_an_exit_status_of_zero_is_a_success_and_any_other_a_failure() -> None:
    async def story(check: Check) -> None:
        await check.ping(0, exit_status=0)
        await check.ping(10, Signal.FAIL, exit_status=123)

    assert play(story).flips == [("up", 0.0, "ok"), ("fault", 10.0, "job-failed")]


def test_a_flip_is_a_change_and_nothing_else() -> None:
    async def story(check: Check) -> None:
        for at in (0, 10, 20):
            await check.ping(at)
        for at in (30, 40):
            await check.ping(at, Signal.FAIL)
        await check.ping(50)

    assert play(story).flips == [("up", 0.0, "ok"), ("fault", 30.0, "job-failed"), ("up", 50.0, "ok")]


def test_a_log_is_kept_and_changes_nothing() -> None:
    async def story(check: Check) -> None:
        await check.ping(0)
        before = check.deadline
        await check.ping(HOUR, Signal.LOG, body="a note")
        assert check.deadline == before

    check = play(story)

    assert check.flips == [("up", 0.0, "ok")]
    assert [(beat.signal, beat.body) for beat in check.store.kept_beats] == [("alive", ""), ("log", "a note")]


# --- deadlines -------------------------------------------------------------------------------------


def test_it_goes_down_at_period_and_grace_after_the_last_ping_and_not_before() -> None:
    async def story(check: Check) -> None:
        await check.ping(0)
        await check.ping(DAY)
        assert check.deadline == pytest.approx(DAY + 25 * HOUR)
        await check.until(DAY + 25 * HOUR - 1)
        assert len(check.flips) == 1
        await check.until(DAY + 25 * HOUR + 1)

    assert play(story).flips == [("up", 0.0, "ok"), ("fault", DAY + 25 * HOUR, "missed-beat")]


def test_a_ping_within_the_grace_changes_nothing() -> None:
    async def story(check: Check) -> None:
        await check.ping(0)
        await check.ping(24.9 * HOUR)
        await check.until(48 * HOUR)

    assert play(story).flips == [("up", 0.0, "ok")]


def test_once_it_is_down_nothing_more_is_due_and_the_next_success_brings_it_back() -> None:
    async def story(check: Check) -> None:
        await check.ping(0)
        await check.until(25 * HOUR + 1)
        assert check.deadline is None
        await check.until(10 * DAY)
        await check.ping(10 * DAY)
        assert check.deadline == pytest.approx(10 * DAY + 25 * HOUR)

    assert play(story).flips == [
        ("up", 0.0, "ok"),
        ("fault", 25 * HOUR, "missed-beat"),
        ("up", 10 * DAY, "ok"),
    ]


# --- runs ------------------------------------------------------------------------------------------


def test_a_start_changes_no_state() -> None:
    async def story(check: Check) -> None:
        await check.ping(0, Signal.START)
        assert check.engine.table[CHECK].state is State.NEW
        await check.ping(10)
        await check.ping(20, Signal.START)
        assert check.engine.table[CHECK].state is State.UP
        await check.ping(30, Signal.FAIL)
        await check.ping(40, Signal.START)
        assert check.engine.table[CHECK].state is State.FAULT

    play(story)


def test_a_run_goes_down_at_the_grace_after_its_start_also_when_new() -> None:
    async def story(check: Check) -> None:
        await check.ping(100, Signal.START)
        assert check.deadline == pytest.approx(100 + HOUR)
        await check.until(2 * HOUR)

    assert play(story).flips == [("fault", 100 + HOUR, "ran-too-long")]


def test_a_run_is_due_before_the_next_ping_is() -> None:
    async def story(check: Check) -> None:
        await check.ping(0)
        await check.ping(5 * HOUR, Signal.START)
        assert check.deadline == pytest.approx(6 * HOUR)
        await check.until(7 * HOUR)

    assert play(story).flips == [("up", 0.0, "ok"), ("fault", 6 * HOUR, "ran-too-long")]


def test_a_run_that_starts_late_may_still_take_its_grace() -> None:
    async def story(check: Check) -> None:
        await check.ping(0)
        await check.ping(24.5 * HOUR, Signal.START)
        await check.ping(25.4 * HOUR)

    assert play(story).flips == [("up", 0.0, "ok")]


def test_a_start_after_a_failure_makes_no_second_flip() -> None:
    async def story(check: Check) -> None:
        await check.ping(0, Signal.FAIL)
        await check.ping(10, Signal.START)
        await check.until(3 * HOUR)

    assert play(story).flips == [("fault", 0.0, "job-failed")]


@pytest.mark.parametrize("signal", [Signal.ALIVE, Signal.FAIL])
@pytest.mark.parametrize("rid", ["", RUN])
def test_the_end_of_a_run_tells_how_long_it_took(signal: Signal, rid: str) -> None:
    async def story(check: Check) -> None:
        await check.ping(0, Signal.START, rid)
        await check.ping(90, signal, rid)
        assert check.run_time == "1m30s"
        await check.until(2 * HOUR)

    assert len(play(story).flips) == 1


def test_the_end_of_another_run_leaves_the_start_and_has_no_duration() -> None:
    async def story(check: Check) -> None:
        await check.ping(0)
        await check.ping(10, Signal.START, RUN)
        await check.ping(20, Signal.ALIVE, OTHER)
        assert check.run_time is None
        await check.until(2 * HOUR)

    assert play(story).flips == [("up", 0.0, "ok"), ("fault", HOUR + 10, "ran-too-long")]


def test_an_end_without_an_id_ends_the_run_that_lasts() -> None:
    async def story(check: Check) -> None:
        await check.ping(0, Signal.START, RUN)
        await check.ping(20, Signal.ALIVE)
        await check.until(2 * HOUR)

    assert play(story).flips == [("up", 20.0, "ok")]


def test_a_new_start_takes_the_place_of_one_that_never_ended() -> None:
    async def story(check: Check) -> None:
        await check.ping(0, Signal.START)
        await check.ping(3000, Signal.START)
        await check.until(5000)
        assert check.flips == []
        await check.ping(6000)
        assert check.run_time == "50m"

    play(story)


# --- pauses ----------------------------------------------------------------------------------------


def test_what_is_paused_is_expected_no_more() -> None:
    async def story(check: Check) -> None:
        await check.ping(0)
        await check.pause(10)
        assert check.deadline is None
        await check.until(30 * DAY)

    check = play(story)

    assert check.flips == [("up", 0.0, "ok")]
    assert check.engine.table[CHECK].state is State.PAUSED


def test_pausing_twice_is_pausing_once() -> None:
    async def story(check: Check) -> None:
        await check.ping(0)
        await check.pause(10)
        await check.pause(20)

    check = play(story)

    assert [str(item.to_state) for item in check.store.all_transitions] == ["up", "paused"]
    assert [item.event for item in check.store.audited] == ["pause.begin"]


def test_pausing_ends_the_run_that_lasts() -> None:
    async def story(check: Check) -> None:
        await check.ping(0)
        await check.ping(10, Signal.START)
        await check.pause(20)
        await check.until(3 * HOUR)
        await check.ping(3 * HOUR)
        assert check.run_time is None

    assert play(story).flips == [("up", 0.0, "ok")]


def test_what_was_down_and_is_paused_is_down_no_more_and_makes_no_flip_of_its_own() -> None:
    async def story(check: Check) -> None:
        await check.ping(0, Signal.FAIL)
        await check.pause(10)
        await check.until(20)

    check = play(story)

    assert check.flips == [("fault", 0.0, "job-failed")]
    assert check.engine.table[CHECK].state is State.PAUSED


@pytest.mark.parametrize(("signal", "state"), [(Signal.ALIVE, State.UP), (Signal.FAIL, State.FAULT)])
def test_a_ping_ends_the_pause_and_says_how_it_is(signal: Signal, state: State) -> None:
    async def story(check: Check) -> None:
        await check.ping(0)
        await check.pause(10)
        await check.ping(2 * DAY, signal)
        await check.until(2 * DAY + 1)
        assert check.engine.table[CHECK].state is state
        assert (check.deadline or 0.0) == pytest.approx(2 * DAY + 25 * HOUR)

    check = play(story)

    assert [item.event for item in check.store.audited] == ["pause.begin", "pause.end"]
    assert check.store.audited[-1].actor == "its own beat"


def test_a_log_leaves_the_pause_alone() -> None:
    async def story(check: Check) -> None:
        await check.ping(0)
        await check.pause(10)
        await check.ping(20, Signal.LOG, body="a note")
        await check.until(30)

    assert play(story).engine.table[CHECK].state is State.PAUSED


def test_a_start_leaves_it_paused_and_the_run_goes_down_at_its_grace() -> None:
    async def story(check: Check) -> None:
        await check.ping(0)
        await check.pause(10)
        await check.ping(100, Signal.START)
        assert check.deadline == pytest.approx(100 + HOUR)
        await check.until(HOUR)
        assert check.engine.table[CHECK].state is State.PAUSED
        await check.until(3 * HOUR)

    assert play(story).flips == [("up", 0.0, "ok"), ("fault", 100 + HOUR, "ran-too-long")]


def test_a_run_that_began_while_it_was_paused_ends_the_pause_with_its_own_end() -> None:
    async def story(check: Check) -> None:
        await check.pause(10)
        await check.ping(100, Signal.START)
        await check.ping(190)
        await check.until(191)
        assert check.run_time == "1m30s"

    assert play(story).flips == [("up", 190.0, "ok")]


def test_what_is_resumed_is_as_new() -> None:
    async def story(check: Check) -> None:
        await check.ping(0)
        await check.pause(10)
        assert await check.engine.jobs.resume(CHECK, actor="a test")
        assert not await check.engine.jobs.resume(CHECK, actor="a test")
        await check.until(30 * DAY)
        assert check.engine.table[CHECK].state is State.NEW
        assert check.deadline is None
        await check.ping(30 * DAY)
        assert check.deadline == pytest.approx(30 * DAY + 25 * HOUR)

    assert play(story).flips == [("up", 0.0, "ok")]


@pytest.mark.parametrize("signal", [Signal.ALIVE, Signal.FAIL, Signal.START, Signal.LOG])
def test_with_manual_resume_every_ping_is_ignored_until_somebody_resumes_it(signal: Signal) -> None:
    async def story(check: Check) -> None:
        await check.ping(0)
        await check.pause(10)
        await check.ping(20, signal)
        await check.until(DAY)
        assert check.engine.table[CHECK].state is State.PAUSED
        assert check.deadline is None
        await check.engine.jobs.resume(CHECK, actor="a test")
        await check.ping(2 * DAY)
        await check.until(2 * DAY + 1)
        assert check.engine.table[CHECK].state is State.UP

    check = play(story, **DAILY, manual_resume=True)

    assert [bool(beat.facts.get("ignored")) for beat in check.store.kept_beats] == [False, True, False]


def test_a_ping_that_counts_for_nothing_ends_no_pause() -> None:
    async def story(check: Check) -> None:
        await check.pause(10)
        await check.ping(20)
        await check.until(30)
        assert check.engine.table[CHECK].state is State.PAUSED

    play(story, **DAILY, only_post=True)


def test_a_pause_by_an_operator_is_ended_by_an_operator_alone() -> None:
    async def story(check: Check) -> None:
        await check.ping(0)
        await check.engine.windows.pause(CHECK, "alice", reason="rebuilding")
        await check.engine.duty.review()
        await check.ping(20)
        await check.until(30)
        assert check.engine.table[CHECK].state is State.PAUSED
        await check.engine.windows.resume(CHECK, "alice")
        await check.engine.duty.review()
        await check.until(40)
        assert check.engine.table[CHECK].state is State.UP

    play(story)


def test_a_pause_holds_over_a_restart() -> None:
    async def story(check: Check) -> None:
        await check.ping(0)
        await check.pause(10)
        again = check.restarted()
        await again.duty.review()
        assert again.table[CHECK].state is State.PAUSED
        assert again.silences.deadline(CHECK) is None
        await again.beats.accept(CHECK, Signal.ALIVE, protocol="ping")
        assert again.windows.pauses_of(CHECK) == ()

    play(story)


# --- calendars -------------------------------------------------------------------------------------


def deadline_after(last_ping: datetime, **options: Any) -> datetime | None:
    heartbeat = Heartbeat(HeartbeatOptions.model_validate(options), BuildContext(base=Path("/")))
    beat = Beat(monitor=CHECK, signal=Signal.ALIVE, received_at=last_ping, protocol="ping")
    deadline = heartbeat.deadline(heartbeat.fold({}, beat).memory)
    return None if deadline is None else deadline.fault_at


@pytest.mark.parametrize("when", [{"cron": "0 0 * * *"}, {"calendar": "00:00"}])
def test_a_calendar_is_missed_at_its_time_and_grace(when: dict[str, str]) -> None:
    last = datetime(2020, 1, 1, 12, tzinfo=UTC)

    assert deadline_after(last, grace="1h", **when) == datetime(2020, 1, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize("when", [{"cron": "0 0 * * *"}, {"calendar": "00:00"}])
def test_a_calendar_follows_the_zone_of_the_job(when: dict[str, str]) -> None:
    last = datetime(2020, 1, 1, 12, tzinfo=UTC)

    found = deadline_after(last, grace="1h", timezone="Australia/Brisbane", **when)

    assert found == datetime(2020, 1, 1, 15, tzinfo=UTC)  # midnight there is 14:00 UTC


def test_a_calendar_that_has_come_to_its_end_expects_nothing() -> None:
    # It was still to come when the job was set up.
    last = datetime(2099, 12, 31, 12, tzinfo=UTC)

    assert deadline_after(last, grace="1h", calendar="2099-01-01 00:00") is None


def test_the_hour_that_comes_twice_makes_nobody_late() -> None:
    # Riga goes from UTC+3 to UTC+2 at 01:00 UTC: 03:15 comes at 00:15 and at 01:15. At 01:05 all is well; and since
    # not every scheduler runs a job in both, an hour is added to the grace of that night.
    last = datetime(2023, 10, 29, 0, 55, tzinfo=UTC)

    found = deadline_after(last, cron="15 * * * *", grace="5m", timezone="Europe/Riga")

    assert found == datetime(2023, 10, 29, 2, 20, tzinfo=UTC)


# --- what a ping means -----------------------------------------------------------------------------

WORDS = {"success": ["DONE"], "failure": ["ERROR"], "start": ["BEGIN"]}


@pytest.mark.parametrize(
    ("keywords", "body", "meant"),
    [
        (WORDS, "job DONE", "up"),
        (WORDS, "ERROR 5", "fault"),
        (WORDS, "BEGIN", "started"),
        (WORDS, "hello", None),
        (WORDS, "", None),
        (WORDS, "done", None),
        (WORDS, "DONE with ERROR", "fault"),
        (WORDS, "BEGIN and DONE", "up"),
        (WORDS | {"otherwise": "fail"}, "hello", "fault"),
    ],
)
def test_words_in_the_body_say_what_a_plain_ping_means(
    keywords: dict[str, Any], body: str, meant: str | None
) -> None:
    async def story(check: Check) -> None:
        await check.ping(10, body=body)
        await check.until(20)

    check = play(story, **DAILY, keywords=keywords)

    states = {"up": State.UP, "fault": State.FAULT, "started": State.NEW, None: State.NEW}
    assert check.engine.table[CHECK].state is states[meant]
    assert (check.deadline is None) == (meant is None)
    assert len(check.store.kept_beats) == 1


def test_an_address_that_says_what_it_means_means_that_whatever_the_body_says() -> None:
    async def story(check: Check) -> None:
        await check.ping(0, exit_status=0, body="ERROR")
        await check.ping(10, Signal.FAIL, body="DONE")
        await check.ping(20, Signal.LOG, body="DONE")

    check = play(story, **DAILY, keywords=WORDS)

    assert check.flips == [("up", 0.0, "ok"), ("fault", 10.0, "job-failed")]


def test_what_does_not_come_by_post_is_ignored_where_that_is_asked_for() -> None:
    async def story(check: Check) -> None:
        await check.ping(0)
        assert check.deadline is None
        await check.ping(5, Signal.FAIL)
        await check.until(10)
        await check.engine.beats.accept(CHECK, Signal.ALIVE, protocol="ping", facts={"method": "POST"})
        await check.ping(20, Signal.FAIL, body="a crawler")

    check = play(story, **DAILY, only_post=True)

    assert check.flips == [("up", 10.0, "ok")]
    assert len(check.store.kept_beats) == 4


def test_the_time_of_a_flip_is_the_deadline_and_not_when_it_was_noticed() -> None:
    async def story(check: Check) -> None:
        await check.ping(0)
        await check.until(25 * HOUR + 600)

    [*_, flip] = play(story).store.all_transitions

    assert flip.to_state is State.FAULT
    assert flip.evidence is not None
    assert seconds_at(flip.evidence.started_at) == pytest.approx(25 * HOUR)
