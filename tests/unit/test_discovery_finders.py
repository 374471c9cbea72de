"""From what was seen to monitors that do not repeat one another."""

from pathlib import Path

from defib.discovery.finders import find
from defib.discovery.finding import Finding, Ids, slug_of
from defib.discovery.seen import Answer, Container, Listener, Seen, Unit

HEALTHY = Answer(status=200, path="/health")


def found(seen: Seen) -> dict[str, Finding]:
    findings = find(seen).findings
    assert len({finding.id for finding in findings}) == len(findings)
    return {finding.id: finding for finding in findings}


def test_this_machine_is_always_watched() -> None:
    (host,) = find(Seen()).findings

    assert (host.id, host.kind) == ("this-host", "host")
    assert host.fields == {"limits": {"cpu": 90, "memory": 90, "disk": 85, "for": "5m"}}


def test_agents_get_their_names_by_their_ports() -> None:
    agents = found(Seen(listeners=tuple(Listener(port=port) for port in range(8000, 8006))))

    assert [(agent.id, agent.fields.get("name"), agent.fields.get("url")) for agent in agents.values()][1:] == [
        ("main", "Main Agent", "http://127.0.0.1:8000/health"),
        ("chat", "Chat Agent", "http://127.0.0.1:8001/health"),
        ("coding", "Coding Agent", "http://127.0.0.1:8002/health"),
        ("system-admin", "System Admin Agent", "http://127.0.0.1:8003/health"),
        ("weather", "Weather Agent", "http://127.0.0.1:8004/health"),
    ]  # fmt: skip
    assert agents["main"].recovery == ()
    assert agents["main"].hint == ({"systemd": {"unit": "openclaw-main", "action": "restart"}},)


def test_an_agent_in_a_unit_needs_the_unit_and_is_restarted_with_it() -> None:
    unit = "openclaw-main.service"
    seen = Seen(listeners=(Listener(port=8000, unit=unit),), units=(Unit(name=unit),))

    main = found(seen)["main"]

    assert main.requires == ("openclaw-main",)
    assert main.recovery == ({"systemd": {"unit": "openclaw-main", "action": "restart"}},)
    assert main.hint == ()


def test_a_published_port_needs_its_container() -> None:
    seen = Seen(
        listeners=(Listener(port=8080, process="docker-proxy", unit="docker.service"),),
        answers={8080: HEALTHY},
        containers=(Container(id="a1", name="shop", ports={8080: 80}),),
        units=(Unit(name="docker.service"),),
    )

    findings = found(seen)

    assert list(findings) == ["this-host", "shop", "docker", "shop-8080"]
    assert findings["shop-8080"].requires == ("shop",)
    assert findings["shop-8080"].recovery == ({"docker": {"container": "shop", "action": "restart"}},)
    assert findings["shop"].requires == ("docker",)
    assert findings["shop"].recovery == ({"docker": {"action": "restart"}},)


def test_a_container_on_the_host_network_is_known_by_its_cgroup() -> None:
    listener = Listener(port=9000, container="a1")
    seen = Seen(listeners=(listener,), answers={9000: HEALTHY}, containers=(Container(id="a1", name="api"),))

    assert found(seen)["api-9000"].requires == ("api",)


def test_docker_elsewhere_is_written_down() -> None:
    address = "unix:///run/user/1000/docker.sock"
    seen = Seen(
        listeners=(Listener(port=8080),),
        answers={8080: HEALTHY},
        containers=(Container(id="a1", name="shop", ports={8080: 80}),),
        docker_host=address,
    )

    findings = found(seen)

    assert findings["shop"].fields == {"container": "shop", "docker_host": address}
    assert findings["shop-8080"].recovery == (
        {"docker": {"container": "shop", "action": "restart", "docker_host": address}},
    )


def test_what_a_published_port_serves_is_told_by_the_port_inside() -> None:
    seen = Seen(
        listeners=(Listener(port=15432), Listener(port=16379)),
        containers=(
            Container(id="a1", name="postgres", ports={15432: 5432}),
            Container(id="b2", name="cache", ports={16379: 6379}),
        ),
    )

    findings = found(seen)

    assert findings["postgres-15432"].kind == "postgres"
    assert findings["postgres-15432"].requires == ("postgres",)
    assert findings["redis-16379"].fields["send"] == "PING\r\n"


def test_postgres_is_found_by_port_and_by_socket_once() -> None:
    sockets = tuple(Path(f"/var/run/postgresql/.s.PGSQL.{port}") for port in (5432, 5433))
    seen = Seen(listeners=(Listener(port=5432, process="postgres"),), postgres_sockets=sockets)

    findings = found(seen)

    assert list(findings) == ["this-host", "postgres", "postgres-5433"]
    login = "${DEFIB_PG_USER:-postgres}:${DEFIB_PG_PASSWORD:-}"
    assert findings["postgres"].fields["dsn"] == f"postgresql://{login}@127.0.0.1:5432/postgres"
    assert findings["postgres-5433"].fields["dsn"] == (
        "host=/var/run/postgresql port=5433 dbname=postgres user=${DEFIB_PG_USER:-postgres}"
    )


def test_known_servers_are_watched_and_helpers_are_not() -> None:
    ports = (22, 111, 6379, 8420)
    seen = Seen(listeners=tuple(Listener(port=port) for port in ports))

    findings = found(seen)

    assert [(item.id, item.kind, dict(item.fields)) for item in findings.values()][1:] == [
        ("ssh-22", "tcp", {"host": "127.0.0.1", "port": 22, "expect": "SSH-"}),
        (
            "redis-6379",
            "tcp",
            {"host": "127.0.0.1", "port": 6379, "send": "PING\r\n", "expect": "/PONG|NOAUTH/"},
        ),
    ]


def test_http_without_a_health_url_is_watched_as_a_port_and_silence_not_at_all() -> None:
    seen = Seen(listeners=(Listener(port=8080), Listener(port=9999)), answers={8080: Answer(status=404)})

    findings = found(seen)

    assert list(findings) == ["this-host", "http-8080"]
    assert findings["http-8080"].kind == "tcp"


def test_a_port_of_a_login_or_a_cron_job_does_not_restart_what_started_it() -> None:
    seen = Seen(
        listeners=(
            Listener(port=22, process="sshd", unit="ssh.service"),
            Listener(port=8080, process="python3", unit="ssh.service"),
        ),
        answers={8080: HEALTHY},
        units=(Unit(name="ssh.service"),),
    )

    findings = found(seen)

    assert findings["http-8080"].recovery == ()
    assert findings["ssh-22"].requires == ("ssh",)


def test_the_name_that_people_know_goes_to_the_agent() -> None:
    seen = Seen(
        listeners=(Listener(port=8000),),
        containers=(Container(id="a1", name="main"),),
        units=(Unit(name="main.service"),),
    )

    assert list(found(seen)) == ["this-host", "main", "main-container", "main-service"]


def test_a_machine_with_many_containers_is_cut_and_says_so() -> None:
    containers = tuple(Container(id=str(number), name=f"c{number:03}") for number in range(60))

    result = find(Seen(containers=containers))

    assert len(result.findings) == 51
    assert result.notes == ("Only the first 50 of 60 containers are in the file; add others the same way.",)


def test_ids_are_valid_and_each_is_given_once() -> None:
    ids = Ids()

    assert [ids.claim(name, "container") for name in ("Web", "web", "web", "_._")] == [
        "web",
        "web-container",
        "web-container-2",
        "container",
    ]
    assert ids.claim("x" * 200, "port") == "x" * 100
    assert ids.claim("x" * 200, "port") == "x" * 95 + "-port"
    assert slug_of("Foo Bar@1\n") == "foo-bar-1"
