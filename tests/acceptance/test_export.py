"""``defib export`` as its users run it: flat files of everything, while nothing else runs and while a daemon does."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from defib_testkit.company import Company
from defib_testkit.victim_handle import Victim
from defib_testkit.waiting import wait_until

TABLES = {
    "monitors", "transitions", "incidents", "cases", "attempts", "alerts", "deliveries", "hours", "metrics", "samples",
}  # fmt: skip


def export(company: Company, *arguments: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "defib.cli.main", "-c", str(company.config), "export", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_everything_comes_out_while_the_daemon_runs_and_no_secret_with_it(
    company: Company, victim: Victim, tmp_path: Path, make_victim: Callable[..., Victim]
) -> None:
    other = make_victim()
    other.start()
    company.watch({"id": "main", "name": "Main", "type": "http", "url": victim.url,
                   "headers": {"Authorization": "Bearer s3cr3t-token"}, "tags": ["web", "prod"]})  # fmt: skip
    company.watch({"id": "other", "type": "http", "url": other.url})
    company.serve()
    company.wait_for("main", "up")
    company.wait_for("other", "up")
    victim.kill()
    company.wait_for("main", "fault")
    wait_until(lambda: len(company.looks("other")) >= 3, 20, "looks")

    done = export(company, "-o", str(tmp_path / "out"))

    assert (done.returncode, done.stderr) == (0, "")
    files = {file.name for file in (tmp_path / "out").iterdir()}
    assert files == {f"{table}.csv" for table in TABLES}
    assert not any("s3cr3t" in file.read_text() for file in (tmp_path / "out").iterdir())
    out = {table: rows(tmp_path / "out" / f"{table}.csv") for table in TABLES}
    assert {(row["id"], row["state"], row["tags"]) for row in out["monitors"]} == {
        ("main", "fault", "prod web"), ("other", "up", ""),
    }  # fmt: skip
    assert [row["to_state"] for row in out["transitions"] if row["monitor"] == "main"] == [
        "up",
        "suspect",
        "fault",
    ]
    assert [(row["monitor"], row["cause"], row["closed_at"]) for row in out["incidents"]] == [
        ("main", "refused", "")
    ]
    seen = [row for row in out["samples"] if row["monitor"] == "main"]
    assert (seen[0]["status"], seen[0]["cause"]) == ("healthy", "")
    assert (seen[-1]["status"], seen[-1]["cause"]) == ("error", "refused")
    assert datetime.fromisoformat(seen[0]["at"]).utcoffset() is not None
    [hour, *_] = [row for row in out["hours"] if row["monitor"] == "other"]
    assert int(hour["healthy"]) >= 1
    assert float(hour["min_ms"]) <= float(hour["p50_ms"]) <= float(hour["p99_ms"]) <= float(hour["max_ms"])
    assert {row["metric"] for row in out["metrics"]} >= {"connect_ms", "first_byte_ms"}

    one = export(company, "samples", "--monitor", "other", "--since", "1h", "--format", "jsonl")
    looks = [json.loads(line) for line in one.stdout.splitlines()]
    assert len(looks) >= 3
    assert all(set(look) == {"monitor", "at", "status", "cause", "latency_ms"} for look in looks)
    assert {look["monitor"] for look in looks} == {"other"}
    everything = export(company, "--format", "jsonl", "--until", "2020-01-01")
    assert {json.loads(line)["table"] for line in everything.stdout.splitlines()} == {"monitors"}
    assert company.stop() == 0


def test_mistakes_are_told_in_one_line(company: Company, tmp_path: Path) -> None:
    company.watch({"id": "main", "type": "tcp", "host": "127.0.0.1", "port": 9})
    assert company.run_pass("--all").returncode == 2
    (tmp_path / "file").write_text("")
    for arguments, status, said in (
        (["nope"], 2, "defib: there is no table 'nope'; there are: monitors, transitions, incidents, cases, attempts, "
                      "alerts, deliveries, hours, metrics, samples"),
        ([], 2, "defib: several tables do not go into one CSV; name one table, or give -o FOLDER or --format jsonl"),
        (["samples", "--since", "soon"], 2,
         "defib: --since soon: write 2026-11-20, 2026-11-20T08:00+01:00, or 7d for seven days ago"),
        (["-o", str(tmp_path / "file")], 1,
         f"defib: {tmp_path / 'file'} cannot be written: File exists; -o FOLDER writes elsewhere"),
    ):  # fmt: skip
        done = export(company, *arguments)
        assert (done.returncode, done.stderr.strip()) == (status, said)
