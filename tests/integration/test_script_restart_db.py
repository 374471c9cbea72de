"""``restart_db.sh``: a PostgreSQL cluster, container or unit, restarted by its own means, or reloaded."""

import re
from pathlib import Path

import pytest

from script_stage import (
    ACCEPTING,
    DB,
    DONE,
    FOLDER,
    HANGS,
    NO_BUS,
    NO_DAEMON,
    NO_EXECUTABLE,
    NO_RESPONSE,
    REJECTING,
    Reply,
    Stage,
    assert_failed,
    cluster,
    container,
    db_container,
    unit,
)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def database(stage: Stage, kind: str, *, ready: list[Reply] | None = None) -> list[str]:
    """Stand-ins for one kind of server; gives the option that names it."""
    ready = ready or [NO_RESPONSE, ACCEPTING]
    match kind:
        case "unit":
            stage.program("systemctl", ("show", [unit()]), ("restart", [DONE]), ("reload", [DONE]))
            stage.program("pg_isready", ("", ready))
            return ["--unit", "postgresql@15-main"]
        case "container":
            stage.program(
                "docker",
                ("inspect", [db_container()]),
                ("restart", [DONE]),
                ("exec pg_isready", ready),
                ("exec pg_ctl", [DONE]),
            )
            return ["--container", "pg"]
        case _:
            stage.program("pg_lsclusters", ("", [cluster()]))
            stage.program("pg_ctlcluster", ("", [DONE]))
            stage.program("pg_isready", ("--cluster", ready))
            return ["--cluster", "15/main"]


def acts(stage: Stage) -> list[str]:
    return [call for call in stage.changes if " exec -- " not in call]


SERVER = {"unit": "postgresql@15-main.service", "container": "container pg", "cluster": "cluster 15/main"}
KINDS = list(SERVER)


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("unit", "systemctl --no-ask-password restart -- postgresql@15-main.service"),
        ("container", "docker restart -- pg"),
        ("cluster", "pg_ctlcluster 15 main restart"),
    ],
)
def test_a_database_is_restarted_by_its_own_means(stage: Stage, kind: str, command: str) -> None:
    named = database(stage, kind, ready=[NO_RESPONSE, NO_RESPONSE, REJECTING, ACCEPTING])
    outcome = stage.run(DB, *named)
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.startswith(f"restarted {SERVER[kind]}: accepting connections, after ")
    assert acts(stage) == [command]


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("unit", "systemctl --no-ask-password reload -- postgresql@15-main.service"),
        ("container", "docker exec --user postgres -- pg pg_ctl reload -s"),
        ("cluster", "pg_ctlcluster 15 main reload"),
    ],
)
def test_reload_restarts_nothing(stage: Stage, kind: str, command: str) -> None:
    outcome = stage.run(DB, *database(stage, kind), "--reload")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.startswith(f"reloaded {SERVER[kind]}: accepting connections, after ")
    assert acts(stage) == [command]


@pytest.mark.parametrize("kind", KINDS)
def test_a_database_that_starts_up_is_waited_for_and_not_restarted(stage: Stage, kind: str) -> None:
    outcome = stage.run(DB, *database(stage, kind, ready=[REJECTING, REJECTING, ACCEPTING]))
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.startswith(
        f"{SERVER[kind]} was starting up and needed no restart: accepting connections"
    )
    assert acts(stage) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_database_that_keeps_rejecting_is_refused(stage: Stage, kind: str) -> None:
    outcome = stage.run(DB, *database(stage, kind, ready=[REJECTING]), "--wait", "1")
    assert_failed(
        outcome, 4, SERVER[kind], "starting up, recovering or shutting down", "wait, or add --force"
    )
    assert acts(stage) == []


def test_force_restarts_a_database_that_keeps_rejecting(stage: Stage) -> None:
    outcome = stage.run(DB, *database(stage, "cluster", ready=[REJECTING, ACCEPTING]), "--force")
    assert outcome.status == 0
    assert acts(stage) == ["pg_ctlcluster 15 main restart"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("ready", "says"),
    [
        ([NO_RESPONSE], "accepts no connections after 1 s"),
        ([NO_RESPONSE, REJECTING], "still starting up or recovering after 1 s; give it time"),
        ([HANGS], "accepts no connections after 1 s"),
    ],
    ids=["no-response", "rejecting", "hang"],
)
def test_a_database_that_does_not_come_up_is_told(
    stage: Stage, kind: str, ready: list[Reply], says: str
) -> None:
    outcome = stage.run(DB, *database(stage, kind, ready=ready), "--wait", "1")
    assert_failed(outcome, 5, f"{SERVER[kind]} was restarted and", says, "look at: ")
    assert outcome.took_s < 25


@pytest.mark.parametrize("kind", KINDS)
def test_a_hanging_restart_of_a_database_is_bounded(stage: Stage, kind: str) -> None:
    named = database(stage, kind)
    stage.program(
        {"unit": "systemctl", "container": "docker", "cluster": "pg_ctlcluster"}[kind],
        ("restart", [HANGS]),
        ("show", [unit()]),
        ("inspect", [db_container()]),
        ("exec", [NO_RESPONSE]),
    )
    outcome = stage.run(DB, *named, "--wait", "2")
    assert_failed(outcome, 5, f"{SERVER[kind]} is not restarted after 2 s")
    assert len(acts(stage)) == 1
    assert outcome.took_s < 12


@pytest.mark.parametrize(
    ("args", "asked"),
    [
        (["--unit", "pg"], "pg_isready -t 2"),
        (["--unit", "pg", "--host", "::1", "--port", "5433"], "pg_isready -h ::1 -p 5433 -t 2"),
        (["--unit", "pg", "--host", "/run/postgresql"], "pg_isready -h /run/postgresql -t 2"),
        (["--cluster", "15/main"], "pg_isready --cluster 15/main -t 2"),
        (["--cluster", "15/main", "--port", "5433"], "pg_isready -p 5433 -t 2"),
        (["--container", "pg"], "docker exec -- pg pg_isready -t 2"),
        (["--container", "pg", "--host", "127.0.0.1"], "pg_isready -h 127.0.0.1 -t 2"),
    ],
)
def test_readiness_is_asked_where_the_server_is(stage: Stage, args: list[str], asked: str) -> None:
    plan = stage.run(DB, *args, "--dry-run").out
    assert [line for line in plan.splitlines() if f" {asked}  # until it accepts connections" in line]


@pytest.mark.parametrize("kind", ["unit", "container"])
def test_without_pg_isready_the_state_must_do_and_that_is_said(stage: Stage, kind: str) -> None:
    named = database(stage, kind, ready=[NO_EXECUTABLE])
    (stage.bin / "pg_isready").unlink(missing_ok=True)
    outcome = stage.run(DB, *named)
    assert (outcome.status, outcome.err) == (0, "")
    assert f"restarted {SERVER[kind]}: running (pg_isready is missing" in outcome.out


def test_a_wrapper_that_cannot_ask_does_not_count_as_rejecting(stage: Stage) -> None:
    # Debian's pg_wrapper exits with 1 as well, the status that pg_isready has for "rejecting".
    refusal = {
        "err": "Error: You must install at least one postgresql-client package\n",
        "status": 1,
    }
    outcome = stage.run(DB, *database(stage, "cluster", ready=[refusal, ACCEPTING]))
    assert outcome.status == 0
    assert acts(stage) == ["pg_ctlcluster 15 main restart"]


def test_a_failed_database_unit_is_reset_before_it_is_restarted(stage: Stage) -> None:
    named = database(stage, "unit")
    failed = unit(active="failed", sub="failed", pid=0)
    stage.program("systemctl", ("show", [failed]), ("reset-failed", [DONE]), ("restart", [DONE]))
    assert stage.run(DB, *named).status == 0
    assert [call.split()[2] for call in acts(stage)] == ["reset-failed", "restart"]


@pytest.mark.parametrize(
    ("kind", "reply", "status", "says"),
    [
        ("unit", unit(load="not-found"), 3, "not loaded: no such unit"),
        ("unit", unit(load="masked"), 4, "systemctl unmask postgresql@15-main.service"),
        ("unit", unit(load="bad-setting"), 4, "systemd-analyze verify"),
        ("unit", NO_BUS, 6, "systemd did not answer"),
        ("unit", HANGS, 6, "systemd did not answer"),
        ("container", {"err": "Error: No such container: pg\n", "status": 1}, 3, "no container is called pg"),
        ("container", container(name="15db"), 3, "Docker found another one"),
        ("container", db_container("paused"), 4, "docker unpause pg"),
        ("container", db_container("dead"), 4, "create it anew"),
        ("container", NO_DAEMON, 6, "is DOCKER_HOST right?"),
        ("container", HANGS, 6, "Docker did not answer within 4 s"),
        (
            "cluster",
            {"err": "Error: Cluster 15 main does not exist\n", "status": 1},
            3,
            "compare: pg_lsclusters",
        ),
        ("cluster", HANGS, 6, "pg_lsclusters did not answer within 4 s"),
        (
            "cluster",
            {"err": "Can't locate PgCommon.pm in @INC\n", "status": 2},
            6,
            "pg_lsclusters did not answer",
        ),
    ],
)
def test_a_database_is_left_alone(stage: Stage, kind: str, reply: Reply, status: int, says: str) -> None:
    named = database(stage, kind)
    program = {"unit": "systemctl", "container": "docker", "cluster": "pg_lsclusters"}[kind]
    stage.program(program, ("", [reply]))
    outcome = stage.run(DB, *named, "--force")
    assert_failed(outcome, status, says)
    assert len(stage.calls) == 1
    assert outcome.took_s < 15


@pytest.mark.parametrize(
    ("reply", "status", "says"),
    [
        ({"err": "Error: Cluster is disabled\n", "status": 1}, 4, "edit /etc/postgresql/15/main/start.conf"),
        (
            {
                "err": "Error: You must run this program as the cluster owner (postgres) or root\n",
                "status": 1,
            },
            1,
            "run Defib with the rights for it",
        ),
        (
            {
                "err": "The PostgreSQL server failed to start. Please check the log output:\n"
                "2026-03-01 10:00:00.000 UTC [77] LOG:  skipping connection to postgresql://app:hunter2@db/\n",
                "status": 1,
            },
            1,
            "failed to start. Please check the log output:; look at: tail -n 50 /var/log/postgresql",
        ),
    ],
)
def test_a_refused_restart_of_a_cluster_is_told(stage: Stage, reply: Reply, status: int, says: str) -> None:
    named = database(stage, "cluster")
    stage.program("pg_ctlcluster", ("restart", [reply]))
    outcome = stage.run(DB, *named)
    assert_failed(outcome, status, says)
    assert "hunter2" not in outcome.err


def test_reloading_a_database_that_is_down_is_told(stage: Stage) -> None:
    named = database(stage, "cluster")
    stage.program(
        "pg_ctlcluster",
        (
            "reload",
            [
                {
                    "err": 'pg_ctl: PID file "/data/postmaster.pid" does not exist\nIs server running?\n',
                    "status": 1,
                }
            ],
        ),
    )
    assert_failed(stage.run(DB, *named, "--reload"), 1, "cannot reload cluster 15/main: pg_ctl: PID file")
    assert acts(stage) == ["pg_ctlcluster 15 main reload"]


def test_how_full_the_disk_is_is_told_on_success_and_on_failure(stage: Stage) -> None:
    df = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/sda1 1000 1000 0 100% /a b\n"
    df = df.replace("/a b", "/data")
    named = database(stage, "cluster")
    stage.program("pg_lsclusters", ("", [cluster(folder=str(stage.folder))]))
    (stage.bin / "df").unlink()
    stage.program("df", ("-P", [{"out": df}]))
    assert stage.run(DB, *named).out.endswith("; the disk of its data is 100% full\n")
    stage.program("pg_isready", ("", [NO_RESPONSE]))
    assert_failed(stage.run(DB, *named, "--wait", "1"), 5, "; the disk of its data is 100% full; look at: ")


@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({}, True),
        ({"DOCKER_HOST": "unix:///run/docker.sock"}, True),
        ({"DOCKER_HOST": "tcp://elsewhere:2375"}, False),
        ({"DOCKER_CONTEXT": "elsewhere"}, False),
    ],
)
def test_the_disk_of_a_container_is_told_only_where_docker_is_local(
    stage: Stage, env: dict[str, str], told: bool
) -> None:
    named = database(stage, "container")
    stage.program(
        "docker",
        ("inspect", [db_container(source=str(stage.folder))]),
        ("restart", [DONE]),
        ("exec", [NO_RESPONSE, ACCEPTING]),
    )
    outcome = stage.run(DB, *named, **env)
    assert outcome.status == 0
    assert bool(re.search(r"; the disk of its data is \d+% full\n", outcome.out)) is told


def test_a_disk_that_hangs_does_not_hold_the_script_up(stage: Stage) -> None:
    named = database(stage, "unit")
    (stage.bin / "df").unlink()
    stage.program("df", ("-P", [HANGS]))
    outcome = stage.run(DB, *named, "--data-dir", str(stage.folder))
    assert outcome.status == 0
    assert "disk" not in outcome.out
    assert outcome.took_s < 15


def test_the_database_script_has_no_command_that_kills_or_deletes() -> None:
    code = [line.split("#")[0] for line in (FOLDER / DB).read_text().partition("\n}\n")[2].splitlines()]
    assert not [
        line for line in code if re.search(r"\b(rm|unlink|mv|truncate|pg_resetwal|docker (kill|rm))\b", line)
    ]
