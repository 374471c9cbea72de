"""``defib doctor`` over what a real daemon has written: it is whole, and the evidence leads to the decisions."""

import json
import subprocess
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from defib.model.evidence import Evidence, Observation, Source
from defib.model.ids import MonitorId
from defib.registry import load
from defib.rules import replay
from defib.store import Reader, open_database
from defib_testkit.company import QUICK, Company
from defib_testkit.victim_handle import Victim
from defib_testkit.waiting import wait_until

Run = Callable[..., "subprocess.CompletedProcess[str]"]
LEARNING = {name: value for name, value in QUICK.items() if name != "fail_threshold"}


@pytest.fixture
def stormy(company: Company, make_victim: Callable[..., Victim]) -> Company:
    """Watched by two daemons one after the other, through a crash, wrong answers, and what depends on them; ended."""
    main, flaky = make_victim(), make_victim()
    main.start()
    flaky.start()
    company.set(strategies={"quick": QUICK, "learning": LEARNING})
    company.watch_agent(main)
    company.watch(
        {"id": "child", "type": "http", "url": main.url, "requires": ["main"], "strategy": "learning"}
    )
    company.watch({"id": "flaky", "type": "http", "url": flaky.url, "strategy": "learning"})
    company.watch({"id": "job", "type": "heartbeat", "every": "1s", "grace": "200ms", "misses": 1})
    company.serve()
    company.wait_for("flaky", "up")
    company.wait_for("child", "up")
    assert company.fetch("/ping/job").status_code == 200
    main.kill()
    flaky.set_mode("error500")
    company.wait_for("flaky", "fault")
    flaky.set_mode("ok")
    wait_until(lambda: company.rows("SELECT 1 FROM incident WHERE healed_by = 'defib'"), 30, "the repair")
    company.wait_for("flaky", "up")
    flaky.set_mode("error500")
    suspicions = "SELECT 1 FROM transition WHERE monitor = 'flaky' AND from_state = 'up'"
    wait_until(lambda: len(company.rows(suspicions)) == 2, 30, "the second suspicion")
    company.kill()
    company.serve()
    company.wait_for("flaky", "fault")
    flaky.set_mode("ok")
    company.wait_for("flaky", "up")
    company.wait_for("child", "up")
    assert company.stop() == 0
    return company


def test_the_stored_evidence_of_a_storm_leads_to_the_stored_states(stormy: Company, here: Run) -> None:
    database = open_database(f"sqlite:///{stormy.store}", migrate=False)
    try:
        reader = Reader(database)
        records, transitions = reader.decisions(), reader.transitions()
        samples = reader.samples(
            since=datetime(2000, 1, 1, tzinfo=UTC), until=datetime(2100, 1, 1, tzinfo=UTC)
        )
    finally:
        database.close()
    registry = load()
    detectors = {kind: registry.detectors[kind].create() for kind in registry.detectors.items}

    assert {(item.monitor, item.to_state) for item in transitions} >= {
        ("main", "up"), ("main", "suspect"), ("main", "fault"), ("child", "up"), ("child", "suspect"),
        ("flaky", "up"), ("flaky", "suspect"), ("flaky", "fault"),
    }  # fmt: skip
    assert list(replay.departures(records, transitions, detectors)) == []

    # every other stored look changes nothing when it is judged in its place: no evidence that mattered is missing
    kept = {(item.monitor, item.observation.ended_at) for item in records}
    neutral = 0
    for sample in samples:
        monitor, at = MonitorId(sample["monitor"]), sample["at"]
        before = [item for item in records if item.monitor == monitor and item.observation.ended_at < at]
        if (monitor, at) in kept or not before or before[-1].is_told or sample["status"] == "unknown":
            continue
        look = Observation(
            monitor=monitor, source=Source.PROBE, started_at=at - timedelta(milliseconds=5), ended_at=at,
            evidence=Evidence.ok("fine") if sample["status"] == "healthy" else Evidence.fail("x", "x"),
        )  # fmt: skip
        health = replay.decide_again(before[-1], detectors).health
        judgement = detectors[before[-1].strategy.detector].fold(health, look, before[-1].strategy)
        assert (judgement.state, judgement.memory) == (health.state, health.memory), sample
        neutral += 1
    assert neutral >= 10

    done = here(stormy, "--json", "doctor")
    assert done.returncode == 0, done.stdout
    findings = {item["check"]: item for item in json.loads(done.stdout)}
    assert list(findings) == ["configuration", "plugins", "store", "leader", "audit", "decisions"]
    assert findings["decisions"]["detail"].startswith(f"{len(records)} taken again from their evidence")
    assert findings["leader"]["detail"].startswith("epoch 2: the daemon 'defib serve' (process ")


@pytest.fixture(scope="module")
def store_of_a_repair(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What is left of two passes: in the second, one agent was found dead and was restarted."""
    folder = tmp_path_factory.mktemp("repair")
    with closing(Victim(folder)) as victim, closing(Company(folder)) as company:
        victim.start()
        company.watch_agent(victim)
        company.run_pass("--all")
        victim.kill()
        company.run_pass("--all", "--budget", "8s")
        assert victim.restarts == 1
        return company.store.read_bytes()


@pytest.fixture
def repaired(company: Company, store_of_a_repair: bytes) -> Company:
    """Nothing runs on it any more."""
    company.write()
    company.store.write_bytes(store_of_a_repair)
    return company


TOUCHES = {
    "UPDATE audit SET actor = 'nobody' WHERE id = 1": "audit row 1: its content is not what was written",
    "DELETE FROM audit WHERE id = 2": "audit row 2: it is missing",
    "DELETE FROM audit WHERE id > 1": "audit row 2: it and all behind it are missing",
    "UPDATE attempt SET output = 'all went well'": "output_sha256 is ",
    "UPDATE attempt SET exit_status = 77": "exit_status is 77, the audit log says 0",
}


def test_who_touches_the_audit_log_or_an_attempt_is_found_out(
    repaired: Company, store_of_a_repair: bytes, here: Run
) -> None:
    for statement, told in TOUCHES.items():
        repaired.store.write_bytes(store_of_a_repair)
        done = here(repaired, "doctor", "--audit")
        assert done.returncode == 0, done.stdout
        assert done.stdout.startswith("ok   audit: ")
        repaired.write_rows(statement)
        done = here(repaired, "doctor", "--audit")
        assert done.returncode == 1
        assert done.stdout.startswith("BAD  audit: ")
        assert told in done.stdout


def test_a_decision_that_the_evidence_does_not_give_is_told(repaired: Company, here: Run) -> None:
    assert here(repaired, "doctor").returncode == 0
    repaired.write_rows("UPDATE decision SET state = 'up' WHERE state = 'fault'")
    done = here(repaired, "doctor")
    assert done.returncode == 1
    assert "decided up, the evidence gives fault" in done.stdout


def test_decisions_of_another_version_are_not_taken_again(repaired: Company, here: Run) -> None:
    repaired.write_rows("UPDATE decision SET version = '0.0.1', state = 'paused' WHERE id = 1")
    done = here(repaired, "doctor")
    assert done.returncode == 0, done.stdout
    repaired.write_rows("UPDATE decision SET version = '0.0.1'")
    assert "none were made by this version" in here(repaired, "doctor").stdout


def test_the_audit_log_holds_what_an_attempt_was_and_what_it_was_taken_on(repaired: Company) -> None:
    intent, ended, verified = (
        json.loads(facts)
        for event, facts in repaired.rows("SELECT event, facts FROM audit ORDER BY id")
        if event in ("recovery.intent", "recovery.ended", "recovery.verified")
    )
    assert intent["outcome"] == "running"
    assert intent["evidence"] == "refused"
    assert intent["state"] == "fault"
    assert intent["started_at"] is None
    assert ended["exit_status"] == 0
    assert ended["pid"] is not None
    assert intent["intent_at"] < ended["started_at"] < ended["ended_at"]
    assert verified["outcome"] == "verified"
    assert verified["verified_at"] > ended["ended_at"]
    assert {intent["epoch"], ended["epoch"], verified["epoch"]} == {2}


def test_a_store_that_is_not_there_yet_is_no_fault(company: Company, here: Run) -> None:
    company.write()
    done = here(company, "doctor")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "ok   store: there is none yet"
