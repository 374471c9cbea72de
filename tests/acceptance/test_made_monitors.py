"""A monitor that a program makes over the API of a daemon, and what the commands make of it when nothing runs."""

import json
import subprocess
from collections.abc import Callable

import httpx

from defib_testkit.company import Company
from defib_testkit.waiting import wait_until

Here = Callable[..., subprocess.CompletedProcess[str]]


def test_a_made_monitor_outlives_the_daemon_and_is_in_status_explanation_look_and_report(
    here: Here, company: Company
) -> None:
    company.write()
    token = here(company, "token", "create", "--name", "terraform", "--scope", "write").stdout.strip()
    company.serve()
    url = f"http://127.0.0.1:{company.port}"
    made = httpx.post(
        f"{url}/api/v1/monitors", headers={"Authorization": f"Bearer {token}"}, trust_env=False,
        json={"id": "itself", "type": "tcp", "host": "127.0.0.1", "port": company.port, "interval": "5s"},
    )  # fmt: skip
    assert made.status_code == 201, made.text
    wait_until(lambda: company.get("/api/v1/monitors/itself")["state"] == "up", 20, "the first look")
    assert company.stop() == 0

    shown = json.loads(here(company, "--json", "status").stdout)
    assert [(item["id"], item["state"]) for item in shown["monitors"]] == [("itself", "up")]
    assert here(company, "explain", "itself").returncode == 0
    assert [item["id"] for item in company.report()["components"]] == ["itself"]
    look = here(company, "check", "itself")  # nobody listens there any more
    assert (look.returncode, "refused" in look.stdout) == (1, True)
