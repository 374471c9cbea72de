"""What the standalone agent says in each protocol, word for word."""

import os
from datetime import UTC, datetime
from typing import Any

import pytest

from defib_agent.beat import STOPPING, Beat, Buffer
from defib_agent.dialects import AgentDialect, DaemonDialect, HostDialect, Identity
from defib_agent.errors import RejectedError
from defib_agent.sampling import Host, Sample, Sampler
from defib_agent.settings import Settings
from defib_agent.tasks import TASKS, RunningTask, task
from defib_plugins.agent_words import FACTS, METRICS

ME = Identity(agent_id="web 1", token="t")
AT = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
HOST = Host(
    hostname="web-1", os="Debian GNU/Linux 12", address="10.0.0.7",
    facts={"cpu_name": "EPYC", "cpu_cores": 2, "kernel": "6.18", "mem_total_bytes": 8, "ipv4": "10.0.0.7"},
)  # fmt: skip
SAMPLE = Sample(metrics={"cpu_percent": 25.5, "memory_percent": 65.2, "load1": 0.5}, disks={"/": 70.2})


def beat(**given: Any) -> Beat:
    return Beat(**{"seq": 7, "made_at": 100.0, "at": AT, "sample": SAMPLE, **given})


def test_a_beat_of_the_agent_protocol_has_number_age_numbers_and_tasks() -> None:
    running = RunningTask(id=3, kind="import", workspace="orders", started_at=AT)

    path, body = AgentDialect(Settings(), "e1").post(beat(tasks=(running,), lost=2), ME, 100.25)

    assert path == "/api/v1/agents/web%201/heartbeat"
    assert body == {
        "status": "running", "interval": 30.0, "seq": 7, "epoch": "e1", "age_ms": 250, "lost": 2,
        "metrics": {"cpu_percent": 25.5, "memory_percent": 65.2, "load1": 0.5},
        "system_info": {"cpu_usage": 25.5, "memory_usage": 65.2, "disk_usage": {"/": 70.2}},
        "running_tasks": [
            {"task_id": 3, "task_type": "import", "workspace_id": "orders", "started_at": "2026-01-02T03:04:05.678Z"}
        ],
    }  # fmt: skip


def test_a_message_holds_the_same_beat() -> None:
    said = AgentDialect(Settings(), "e1").message(beat(status=STOPPING), ME, 100.0)

    assert (said["type"], said["agent_id"], said["timestamp"]) == (
        "heartbeat",
        "web 1",
        "2026-01-02T03:04:05.678Z",
    )
    assert (said["data"]["status"], "age_ms" in said["data"]) == ("stopping", False)


def test_a_beat_of_an_agent_that_does_not_stay_has_no_number() -> None:
    _, body = AgentDialect(Settings(), None).post(beat(), ME, 100.0)

    assert not {"seq", "epoch"} & set(body)


def test_a_registration_tells_who_and_what_it_is() -> None:
    settings = Settings(agent_name="Web", tags=("web",), pool="front", interval=5.0)

    path, body = AgentDialect(settings, "e1").registration(settings, HOST, "web-1")

    assert path == "/api/v1/agents/register"
    assert body == {
        "agent_id": "web-1", "name": "Web", "hostname": "web-1", "ip": "10.0.0.7", "os": "Debian GNU/Linux 12",
        "version": "defib-agent 0.1.0", "tags": ["web"], "pool": "front", "interval": 5.0, "facts": dict(HOST.facts),
    }  # fmt: skip


def test_the_daemon_protocol_tells_of_the_process_alone() -> None:
    sample = Sample(metrics={"process_cpu_percent": 3.2, "process_memory_bytes": 52428800.0})

    said = DaemonDialect().message(beat(sample=sample), Identity(agent_id="importer"), 100.0)

    assert said == {
        "agent_id": "importer", "pid": os.getpid(), "timestamp": "2026-01-02T03:04:05.678Z", "version": "0.1.0",
        "status": "running", "cpu": 3.2, "memory": 52428800,
    }  # fmt: skip


def test_the_host_protocol_has_words_of_its_own_and_all_that_it_requires() -> None:
    assert HostDialect().message(beat(), ME, 100.0) == {
        "cpu": 25.5, "ram": 0.0, "ram_total": 0.0, "swap": 0.0, "swap_total": 0.0, "load": 0.5, "disk": 0.0,
        "disk_total": 0.0, "net_in": 0.0, "net_out": 0.0, "net_total_up": 0.0, "net_total_down": 0.0, "process": 0.0,
        "connections": 0.0, "connections_udp": 0.0, "uptime": 0.0,
    }  # fmt: skip
    assert HostDialect().description(HOST) == ("/api/agent/info", {
        "cpu_name": "EPYC", "cpu_cores": 2, "kernel_version": "6.18", "mem_total": 8, "ipv4": "10.0.0.7",
        "os": "Debian GNU/Linux 12", "gpu_name": "", "version": "0.1.0",
    })  # fmt: skip


def test_an_answer_that_names_nobody_is_no_registration() -> None:
    for dialect in (AgentDialect(Settings(), None), HostDialect()):
        with pytest.raises(RejectedError):
            dialect.registered({"status": "success"})


def test_the_token_is_in_no_text_about_the_identity() -> None:
    assert "hunter2" not in repr(Identity(agent_id="web-1", token="hunter2"))


def test_every_number_that_it_takes_is_one_that_the_server_knows() -> None:
    sampler = Sampler()
    sampler.take()
    found = sampler.take()
    while "cpu_percent" not in found.metrics:  # the kernel counts in hundredths of a second
        found = sampler.take()

    assert set(found.metrics) <= METRICS
    assert {"memory_percent", "disk_percent", "net_in_bytes_per_s", "processes", "uptime_s"} <= set(
        found.metrics
    )
    assert all(0 <= used <= 100 for used in found.disks.values())
    assert set(HOST.facts) <= FACTS


# --- waiting -------------------------------------------------------------------------------------------


async def test_a_full_buffer_loses_the_oldest_and_counts_it() -> None:
    buffer = Buffer(2)
    beats = [beat(seq=number) for number in (1, 2, 3)]
    for item in beats:
        buffer.put(item)

    assert (len(buffer), buffer.lost, await buffer.oldest()) == (2, 1, beats[1])
    buffer.done(beats[0])  # delivered while it was being lost: nothing is taken out twice
    assert len(buffer) == 2
    buffer.keep_newest()
    assert (await buffer.oldest(), buffer.lost) == (beats[2], 2)


# --- tasks ---------------------------------------------------------------------------------------------


async def test_tasks_run_as_long_as_their_block_their_function_and_their_coroutine() -> None:
    @task("resize")
    def resize() -> list[str]:
        return [item.kind for item in TASKS.running()]

    @task("fetch")
    async def fetch() -> list[str]:
        return [item.kind for item in TASKS.running()]

    with task("import", workspace="orders") as own:
        assert (resize(), await fetch()) == (["import", "resize"], ["import", "fetch"])
        assert own.workspace == "orders"
    assert TASKS.running() == ()
