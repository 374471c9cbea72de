"""Scenarios of the design in which something is recovered, or must not be."""

import os
import signal
import time
from collections.abc import Callable

from defib_real.harms import FREEZE, KILL, Harm, mode
from defib_real.recoveries import Cast, Stage, Target
from defib_testkit.docker_engine import DockerEngine
from defib_testkit.postgres_cluster import PostgresCluster
from defib_testkit.victim_handle import Victim
from defib_testkit.waiting import wait_until

_PATIENCE_S = 90.0
_LOOPING = "crash-looping"
_WRONG = tuple(map(mode, ("error500", "wrong-body", "truncated", "wrong-length")))
_HARMS: dict[str, tuple[Harm, ...]] = {
    "crash": (KILL,),
    "hang": (FREEZE, mode("hang"), mode("stall-headers")),
    "500s": _WRONG,
}
_SERVE = "trap 'exit 0' TERM; httpd -f -p 80 -h /etc & wait"  #: as main process, which ends well when it is asked to


def once(how: Harm) -> Callable[[Target, Stage], None]:
    """Broken once, and left to Defib."""
    return lambda target, stage: target.harm(how)


def hard(cast: Cast, each: int, *, boot_s: float) -> None:
    """Scenarios 1 to 3."""
    for name, harms in _HARMS.items():
        for number in range(each):
            cast.add(name, once(harms[number % len(harms)]), victim=cast.victim(boot_s=boot_s))


def pauses(cast: Cast, *seconds: float) -> None:
    """Scenario 8: SIGSTOP, and SIGCONT so much later."""

    def pause(target: Target, stage: Stage, lasts: float) -> None:
        assert target.victim is not None
        target.harm(FREEZE)
        time.sleep(lasts)
        os.kill(int(target.victim.pidfile.read_text()), signal.SIGCONT)

    for lasts in seconds:
        cast.add(
            "pause", lambda target, stage, lasts=lasts: pause(target, stage, lasts), victim=cast.victim()
        )


def deploys(cast: Cast, *seconds: float) -> None:
    """Scenario 9: ended by SIGTERM, started again so much later; nothing but the silence tells of it."""

    def deploy(target: Target, stage: Stage, lasts: float) -> None:
        assert target.victim is not None
        target.note_harm()
        target.victim.terminate()
        time.sleep(lasts)
        if target.victim.pid is None:
            target.victim.start(wait=False)

    for lasts in seconds:
        cast.add(
            "deploy", lambda target, stage, lasts=lasts: deploy(target, stage, lasts), victim=cast.victim()
        )


def containers(cast: Cast, docker: DockerEngine, *, deploy_s: float) -> None:
    """Scenarios 1 and 9 with Docker: one is killed; one is stopped, and started again later, watched by HTTP alone."""
    where = {"docker_host": docker.base_url}
    killed = docker.run("sh", "-c", _SERVE, name="killed")
    deployed = docker.run("sh", "-c", _SERVE, name="deployed", publish=80)

    def kill(target: Target, stage: Stage) -> None:
        target.note_harm()
        killed.kill()

    def stop_and_start(target: Target, stage: Stage) -> None:
        target.note_harm()
        deployed.stop(timeout=5)
        time.sleep(deploy_s)
        deployed.start()

    cast.add(
        "container killed", kill, at=1.0,
        monitor={"type": "docker", "container": "killed", "recovery": {"mode": "auto", "probation": "2s"}, **where},
    )  # fmt: skip
    ladder = [{"docker": {"action": "restart", "container": "deployed", **where}}]
    url = f"http://{docker.address_of(deployed, 80)}/"
    cast.add(
        "container deployed", stop_and_start, at=6.0,
        monitor={"type": "http", "url": url, "expect": {"status": [200, 403, 404]},
                 "recovery": {"mode": "auto", "probation": "2s", "ladder": ladder}},
    )  # fmt: skip


def database(cast: Cast, postgres: PostgresCluster) -> None:
    """Scenario 1 with PostgreSQL, and 16: an application behind it answers HTTP 500 meanwhile.

    The database is left down for some seconds, for otherwise it is back before the application is looked at.
    """
    ladder = [{"command": {"argv": postgres.start_argv, "timeout": "20s"}}]
    app = cast.victim()

    def fall(target: Target, stage: Stage) -> None:
        behind.note_harm()
        app.set_mode("error500")
        target.note_harm()
        postgres.kill()
        wait_until(lambda: stage.verified(target.id) == 1, _PATIENCE_S, "the database to be recovered")
        app.set_mode("ok")

    db = cast.add(
        "database killed", fall, at=4.0,
        monitor={"type": "postgres", "dsn": postgres.dsn,
                 "recovery": {"mode": "auto", "hold": "6s", "probation": "2s", "ladder": ladder}},
    )  # fmt: skip
    behind = cast.add("behind the database", None, victim=app)
    behind.monitor = {**behind.monitor, "requires": [db.id]}


def unfixable(cast: Cast, count: int, *, start_timeout: str | None = None) -> None:
    """Scenarios 13 and 19: the action ends well, and has changed nothing."""
    recovery = {"start_timeout": start_timeout} if start_timeout else {}
    for _ in range(count):
        cast.add("unfixable", once(KILL), victim=cast.victim(), recovery=recovery, heals=False, at=2.0)


def relapsing(cast: Cast, *, well_for_s: float, most: int = 5) -> None:
    """Scenario 14: each restart helps for a moment.

    :param most: relapses that are allowed; more are a crash loop.
    """

    def fall_again(target: Target, stage: Stage) -> None:
        for number in range(most + 3):
            if number:
                time.sleep(well_for_s)
            target.harm(KILL)
            wait_until(
                lambda number=number: stage.verified(target.id) > number
                or stage.was_paged(target.id, _LOOPING),
                _PATIENCE_S, f"recovery {number + 1}",
            )  # fmt: skip
            if stage.was_paged(target.id, _LOOPING):
                return

    recovery = {"hold": "300ms", "cooldown": "500ms", "probation": "1s", "max_relapses": most}
    cast.add("relapsing", fall_again, victim=cast.victim(), recovery=recovery, at=0.0)


def slow_boots(cast: Cast, *seconds: float) -> None:
    """Scenario 15."""
    for boot_s in seconds:
        cast.add("slow boot", once(KILL), victim=cast.victim(boot_s=boot_s), at=0.0)


def group(cast: Cast, members: int, *, boot_s: float) -> None:
    """Scenario 18: all of a group at the same moment."""
    victims = [cast.victim(boot_s=boot_s) for _ in range(members)]

    def fall(target: Target, stage: Stage) -> None:
        for each in fallen:
            each.harm(KILL)

    fallen = [
        cast.add("group", fall if number == 0 else None, victim=victim, at=3.0)
        for number, victim in enumerate(victims)
    ]
    for each in fallen:
        each.monitor = {**each.monitor, "group": "nodes"}


def host(cast: Cast, services: int, *, lasts_s: float) -> None:
    """Scenario 17: a machine goes away with everything on it, and comes back."""
    address = "127.9.0.1"
    machine = cast.victim(host=address)
    on_it: list[Victim] = [cast.victim(host=address) for _ in range(services)]

    def fall(target: Target, stage: Stage) -> None:
        for each in (box, *others):
            each.harm(KILL)
        time.sleep(lasts_s)
        for victim in (machine, *on_it):
            if victim.pid is None:
                victim.start(wait=False)

    box = cast.add("host", fall, victim=machine, at=8.0)
    box.monitor = {key: value for key, value in box.monitor.items() if key != "recovery"}
    others = [cast.add("on the host", None, victim=victim) for victim in on_it]
    for each in others:
        each.monitor = {**each.monitor, "requires": [box.id]}
