"""`recovery: auto` and nothing else: a container comes back by itself, and what a restart wipes out was kept."""

import pytest

from defib_testkit.company import Company
from defib_testkit.docker_engine import DockerEngine
from defib_testkit.smtp_server import SmtpServer
from defib_testkit.subjects import headline

TALKATIVE = (
    "sh",
    "-c",
    "echo the queue is full; echo token=swordfish; trap 'exit 3' TERM; while :; do sleep 0.1; done",
)


@pytest.mark.xdist_group("docker")
def test_a_container_comes_back_with_the_default_ladder_and_its_evidence_is_kept(
    company: Company, docker_engine: DockerEngine
) -> None:
    container = docker_engine.run(*TALKATIVE, name="gateway", environment={"DB_PASSWORD": "hunter2"})
    company.set(
        monitors=[
            {
                "id": "gateway",
                "type": "docker",
                "container": "gateway",
                "docker_host": docker_engine.base_url,
                "recovery": "auto",
            }
        ]
    )
    company.serve()
    company.wait_for("gateway", "up")

    container.kill()
    company.wait_for("gateway", "fault")
    company.wait_for("gateway", "up")

    [(incident, action, outcome)] = company.rows("SELECT incident, description, outcome FROM attempt")
    assert action == f"docker --host {docker_engine.base_url} restart -t 10 gateway"
    assert outcome in ("running", "verified")
    story = company.get(f"/api/v1/incidents/{incident}")
    parts = {part["heading"]: part["text"] for part in story["snapshot"]["parts"]}
    assert "the queue is full" in parts["docker logs gateway"]
    assert '"ExitCode": 137' in parts["docker inspect gateway"]
    assert "error  exited-137" in parts["results"]
    assert parts["load"].startswith("load ")
    for told in (company.defib("explain", "gateway").stdout, company.defib("explain", incident).stdout):
        assert "What was seen before the first action" in told
        assert "the queue is full" in told
        assert "token=***" in told
        assert "hunter2" not in told
        assert "swordfish" not in told
    assert company.stop() == 0


@pytest.mark.xdist_group("docker")
def test_the_alert_that_calls_a_person_has_the_end_of_the_log(
    company: Company, docker_engine: DockerEngine, smtp_server: SmtpServer
) -> None:
    once = "[ -e /ran ] && exit 3; : > /ran; echo disk quota exceeded, password=swordfish; while :; do sleep 0.1; done"
    container = docker_engine.run("sh", "-c", once, name="gateway")
    recovery = {"mode": "auto", "max_attempts": 1, "start_timeout": "2s", "cooldown": "500ms"}
    gateway = {
        "id": "gateway",
        "type": "docker",
        "container": "gateway",
        "docker_host": docker_engine.base_url,
    }
    company.set(monitors=[gateway | {"recovery": recovery}])
    company.tell(smtp_server)
    company.serve()
    company.wait_for("gateway", "up")

    container.kill()
    mails = {headline(mail.message["Subject"]): mail.message for mail in smtp_server.messages.wait_for(2, 40)}
    company.stop()

    assert set(mails) == {"[HIGH] gateway is down", "[SEVERE] gateway needs a human"}
    mail = mails["[SEVERE] gateway needs a human"]
    body = mail.get_body(("plain",)).get_content()
    assert "docker logs gateway:" in body
    assert "disk quota exceeded, password=***" in body
    assert "swordfish" not in body
    assert "load " in body
