"""What is read from Docker's list of containers, and where Docker is looked for."""

from typing import Any

import pytest

from defib.discovery.docker_containers import read, socket_of
from defib.discovery.seen import Container


def listed(name: str, **more: Any) -> dict[str, Any]:
    return {"Id": "a1", "Names": [f"/{name}"], "Image": "busybox:1", "Ports": [], "Labels": {}, **more}


def test_a_container_is_read_with_its_published_tcp_ports() -> None:
    ports = [
        {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
        {"IP": "::", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
        {"IP": "0.0.0.0", "PrivatePort": 53, "PublicPort": 8053, "Type": "udp"},
        {"PrivatePort": 443, "Type": "tcp"},
    ]

    assert read([listed("web", Ports=ports)]) == (
        [Container(id="a1", name="web", image="busybox:1", ports={8080: 80})],
        "",
    )


def test_containers_come_by_name_and_by_their_own_one() -> None:
    found, _ = read([listed("web"), listed("db", Names=["/web/database", "/db"])])

    assert [container.name for container in found] == ["db", "web"]


def test_containers_with_another_keeper_are_left_out_and_told() -> None:
    swarm = listed("web.1.x7", Labels={"com.docker.swarm.task.id": "x7"})

    assert read([listed("k8s_POD_dns"), swarm]) == (
        [],
        "Left out: 2 containers of Kubernetes or Swarm, which look after their own.",
    )


@pytest.mark.parametrize("document", [None, {}, "text", [1, None], [{"Names": None}], [listed("two words")]])
def test_what_is_no_container_is_passed_over(document: object) -> None:
    assert read(document) == ([], "")


def test_docker_is_where_docker_host_says_unless_that_is_another_machine() -> None:
    assert socket_of({"DOCKER_HOST": "unix:///run/user/1000/docker.sock"}) == "/run/user/1000/docker.sock"
    assert socket_of({"DOCKER_HOST": "tcp://10.0.0.5:2375"}) is None
    assert socket_of({"DOCKER_HOST": "ssh://root@far.example.com"}) is None
