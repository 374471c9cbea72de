"""Monitor ``docker``: a container that exists, runs, and is not unhealthy by its own health check.

Its options ``container`` and ``docker_host`` are what recovery actions of other families read.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from defib.plugin import (
    N_,
    BuildContext,
    DefaultRung,
    Evidence,
    Fact,
    Family,
    Grade,
    MonitorType,
    Options,
    ProbeContext,
    ProbeStatus,
    hookimpl,
)
from defib_plugins.display import clip, last_line, mask_url
from defib_plugins.docker_events import ContainerEvents
from defib_plugins.failures import network_failure, timed_out
from defib_plugins.phrases import phrase

if TYPE_CHECKING:
    from defib_plugins.docker_daemon import Daemon

_SCHEMES = ("unix", "tcp", "http", "https")
LADDER = (
    DefaultRung(action="docker", options={"action": "restart"}, max_uses=1),
    DefaultRung(action="docker", options={"action": "kill-start"}),
)
_NOT_SUPERVISED = (None, "", "no")  # names of a container's restart policy
_THREAD_SHARE = 0.9  # of the probe's timeout: the thread is done before the probe is over, so none pile up


def _daemon_address(address: str) -> str:
    if address.startswith("/"):
        return f"unix://{address}"
    parts = urlsplit(address)
    if parts.scheme not in _SCHEMES or "@" in parts.netloc or not (parts.netloc or parts.path):
        raise ValueError(
            "not a Docker address; write for example unix:///var/run/docker.sock or tcp://10.0.0.5:2375"
        )
    return address


class DockerOptions(Options):
    """Options of the ``docker`` monitor."""

    container: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=255, description="Name or id of the container."
    )
    docker_host: Annotated[str, AfterValidator(_daemon_address)] | None = Field(
        default=None,
        description="Address or socket of the daemon; by default DOCKER_HOST, else /var/run/docker.sock.",
    )


class DockerMonitor:
    """Inspects one container."""

    def __init__(self, options: DockerOptions, context: BuildContext) -> None:
        place = urlsplit(options.docker_host or "")
        self.host = place.hostname or ""
        self.target = f"{options.container} at {self.host}" if self.host else options.container
        self.stands_on = frozenset() if self.host else frozenset({"docker"})
        self.carries: frozenset[str] = frozenset()
        self._options = options
        self._daemon: Daemon | None = None
        self._events = ContainerEvents(options.docker_host, options.container)

    async def probe(self, context: ProbeContext) -> Evidence:
        """One inspection, in a thread. A daemon that is down is a failure, one that refuses us says nothing."""
        started = context.clock.monotonic()
        timeout_s = context.timeout.total_seconds()
        try:
            async with asyncio.timeout(timeout_s):
                found = await asyncio.to_thread(self._look, timeout_s * _THREAD_SHARE)
        except TimeoutError:
            return timed_out(context.timeout, phrase("asking the Docker daemon"))
        if isinstance(found, Evidence):
            return found
        return judge(found, self._options.container, timedelta(seconds=context.clock.monotonic() - started))

    def trips(self) -> AsyncGenerator[str, None]:
        """When the daemon tells that the container ended or that its health changed, or hangs up."""
        return self._events.trips()

    async def close(self) -> None:
        daemon, self._daemon = self._daemon, None
        if daemon is not None:
            await asyncio.to_thread(daemon.close)

    def _look(self, timeout_s: float) -> Mapping[str, Any] | Evidence:
        """The daemon's description, or what its absence means. Runs in a thread."""
        from defib_plugins.docker_daemon import (
            CONNECTION_ERRORS,
            Daemon,
            DaemonError,
            NoSuchContainerError,
            is_timeout,
        )

        if self._daemon is None:
            self._daemon = Daemon(self._options.docker_host)
        try:
            return self._daemon.inspect(self._options.container, timeout_s)
        except NoSuchContainerError:
            words = phrase("the container {name} does not exist", name=self._options.container)
            return Evidence.fail(
                "container-missing", words, status=ProbeStatus.UNKNOWN, facts={"state": None}
            )
        except DaemonError as error:
            words = phrase("the Docker daemon failed: {error}", error=clip(str(error)))
            return Evidence.fail("docker-error", words, status=ProbeStatus.UNHEALTHY)
        except CONNECTION_ERRORS as error:
            if is_timeout(error):
                raise TimeoutError from error
            return _daemon_down(error, mask_url(self._daemon.address))


def _daemon_down(error: Exception, address: str) -> Evidence:
    failure = network_failure(error, address)
    if failure.cause == "not-permitted":
        words = phrase(
            "not permitted to ask the Docker daemon at {address}; join the group of its socket",
            address=address,
        )
        return Evidence.inconclusive("docker-unreachable", words)
    if failure.cause in ("refused", "reset", "socket-missing", "connect-failed"):
        words = phrase("the Docker daemon does not run: {why}", why=failure.summary)
        return Evidence.fail("docker-daemon-down", words, grade=Grade.STRONG, facts={"error": failure.cause})
    return failure


def judge(found: Mapping[str, Any], name: str, took: timedelta) -> Evidence:
    """What the daemon's description of a container means.

    Exit statuses 0 and 143 are those of a stop on purpose. A paused container was paused by somebody.
    """
    state: Mapping[str, Any] = found.get("State") or {}
    status = str(state.get("Status") or "unknown")
    code = int(state.get("ExitCode") or 0)
    health: Mapping[str, Any] = state.get("Health") or {}
    log = health.get("Log") or ()
    restarts = int(found.get("RestartCount") or 0)
    facts: dict[str, Fact] = {
        "state": status,
        "restart_count": restarts,
        "exit_code": None if status == "running" else code,
        "started_at": state.get("StartedAt"),
        "image": (found.get("Config") or {}).get("Image"),
    }
    if ((found.get("HostConfig") or {}).get("RestartPolicy") or {}).get("Name") not in _NOT_SUPERVISED:
        facts["supervised"] = True  # Docker starts it again by itself: recovery lets it try first
    if health.get("Status"):
        facts["health"] = health["Status"]
        facts["health_log"] = last_line(str(log[-1].get("Output") or "")) if log else None
    metrics = {"restart_count": float(restarts)}

    def fail(cause: str, words: str, grade: Grade, status: ProbeStatus = ProbeStatus.ERROR) -> Evidence:
        return Evidence.fail(cause, words, grade=grade, status=status, metrics=metrics, facts=facts)

    match status:
        case "running" if health.get("Status") == "unhealthy":
            said = str(facts["health_log"] or "") or phrase("no output")
            words = phrase("{name} runs, but its health check fails: {output}", name=name, output=said)
            return fail("unhealthy", words, Grade.NORMAL, ProbeStatus.UNHEALTHY)
        case "running":
            return Evidence.ok(
                _running(name, health.get("Status")), latency=took, metrics=metrics, facts=facts
            )
        case "exited" if state.get("OOMKilled"):
            return fail(
                "oom-killed",
                phrase("{name} ran out of memory and was killed", name=name),
                Grade.AUTHORITATIVE,
            )
        case "exited":
            grade = Grade.INTENT if code in (0, 143) else Grade.AUTHORITATIVE
            return fail(
                f"exited-{code}", phrase("{name} exited with {status}", name=name, status=code), grade
            )
        case "dead":
            return fail(
                "dead",
                phrase("{name} is dead: the daemon could not remove it", name=name),
                Grade.AUTHORITATIVE,
            )
        case "paused":
            return fail("paused", phrase("{name} is paused", name=name), Grade.INTENT)
        case "removing":
            return fail("removing", phrase("{name} is being removed", name=name), Grade.INTENT)
        case "restarting":
            words = phrase(
                N_("{name} crashes and is restarted by Docker (exit status {status}, {n} restarts)")
                if restarts != 1
                else N_("{name} crashes and is restarted by Docker (exit status {status}, {n} restart)"),
                name=name, status=code, n=restarts,
            )  # fmt: skip
            return fail("restarting", words, Grade.NORMAL)
        case other:
            words = phrase("{name} is not running, but {state}", name=name, state=clip(other, 40))
            return fail(clip(other, 20), words, Grade.NORMAL)


def _running(name: str, health: str | None) -> str:
    if health:
        return phrase("{name} is running ({health})", name=name, health=health)
    return phrase("{name} is running", name=name)


@hookimpl
def defib_monitors() -> Iterable[MonitorType]:
    return [
        MonitorType(
            kind="docker",
            summary="Docker container: state, health check, out of memory, restarts",
            family=Family.DOCKER,
            options=DockerOptions,
            create=DockerMonitor,
            ladder=lambda options: LADDER,
        )
    ]
