"""A real Docker daemon of its own: private socket, storage, bridge, and processes that cannot outlive it."""

import io
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import docker
import psutil
from docker.models.containers import Container

from defib_testkit import processes
from defib_testkit.docker_bridge import DockerBridge
from defib_testkit.ports import free_port
from defib_testkit.requirement import require
from defib_testkit.waiting import wait_until

IMAGE = "defib-test-kit/busybox:1"
_PROGRAMS = ("dockerd", "containerd", "runc", "docker-proxy", "ip", "setpriv", "unshare", "busybox")
_HOW = "apt install docker.io busybox-static iproute2, and run the tests as root in a machine that allows containers"


class DockerEngine:
    """The daemon, running when made; about a second, image included.

    It has a mount and a process namespace of its own, so ending it ends every container, shim and proxy and
    unmounts everything; it ends with the process that made it, too. It leaves the host's firewall and
    forwarding alone: published ports are carried by ``docker-proxy``, and several daemons do not get in each
    other's way. For the same reason the containers reach one another and the host, and nothing beyond. Process
    ids that the API reports (``State.Pid``) are of its namespace.
    """

    def __init__(self) -> None:
        if os.geteuid() != 0:
            require("the right to run dockerd", _HOW)
        missing = [program for program in _PROGRAMS if shutil.which(program) is None]
        if missing:
            require(", ".join(missing), _HOW)
        # names of containerd's namespaces, which follow the folder's, may not begin or end with an underscore
        self.folder = Path(tempfile.gettempdir()) / f"dfb-docker-{secrets.token_hex(4)}"
        self.folder.mkdir(mode=0o700)
        self.socket = self.folder / "docker.sock"
        self.base_url = f"unix://{self.socket}"
        self.log = self.folder / "dockerd.log"
        self._bridge = DockerBridge(self.folder.name.rpartition("-")[2])
        self._process: subprocess.Popen[bytes] | None = None
        self._client: docker.DockerClient | None = None
        try:
            self.start()
            self._import_image()
        except BaseException:
            self.close()
            raise

    @property
    def client(self) -> docker.DockerClient:
        """The SDK, connected to this daemon; one for the life of the engine, not for use by several threads."""
        if self._client is None:
            raise RuntimeError("dockerd is not running")
        return self._client

    def start(self) -> None:
        """Start the daemon and return when it answers; nothing if it runs.

        Containers are there again, stopped unless their restart policy says otherwise.
        """
        if self._process is not None:
            return
        # Both speak of processes that ended with their namespace.
        shutil.rmtree(self.folder / "exec", ignore_errors=True)
        (self.folder / "docker.pid").unlink(missing_ok=True)
        isolate = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--mount-proc", "--fork"]
        isolate += ["--kill-child=SIGKILL"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*isolate, *self._command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        daemon = self._process
        wait_until(lambda: self._answers() or daemon.poll() is not None, 20, "dockerd to answer")
        if daemon.poll() is not None:
            said = self.log.read_text(errors="replace")[-3000:]
            raise RuntimeError(f"dockerd ended with status {daemon.returncode}:\n{said}")
        self._client = docker.DockerClient(base_url=self.base_url, timeout=30)

    def kill(self) -> None:
        """SIGKILL the daemon, and all its containers with it."""
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._process is None:
            return
        daemons = psutil.Process(self._process.pid).children() if self._process.poll() is None else []
        self._process.kill()
        self._process.wait(timeout=10)
        self._process = None
        for daemon in daemons:  # the first of its process namespace: gone when all the others are
            processes.end(daemon.pid, timeout=10)

    def freeze(self) -> None:
        """SIGSTOP: the socket takes connections and nobody answers; containers go on running."""
        processes.freeze(self._daemon_pid())

    def thaw(self) -> None:
        processes.thaw(self._daemon_pid())

    def run(self, *argv: str, publish: int | None = None, **options: Any) -> Container:
        """Start a container of the busybox image; it is running when this returns.

        :param argv: what it runs: ``"httpd", "-f", "-p", "80", "-h", "/etc"``.
        :param publish: a port of the container to reach from this machine; :meth:`address_of` says where.
        :param options: the SDK's: ``name``, ``healthcheck`` (durations in nanoseconds), ``restart_policy``…
        """
        if publish is not None:
            options["ports"] = {f"{publish}/tcp": ("127.0.0.1", free_port())}
        return self.client.containers.run(IMAGE, list(argv), detach=True, **options)

    def address_of(self, container: Container, port: int) -> str:
        """``host:port`` on this machine of a published port; of a container that is running."""
        container.reload()
        published: Mapping[str, Any] = container.ports
        return f"127.0.0.1:{published[f'{port}/tcp'][0]['HostPort']}"

    def crash(self, container: Container) -> None:
        """SIGKILL the container's main process behind the daemon's back.

        Unlike ``container.kill()``, after which Docker takes it for stopped on purpose, this sets its restart
        policy to work.
        """
        container.reload()
        inner = str(container.attrs["State"]["Pid"])
        for process in psutil.Process(self._daemon_pid()).children(recursive=True):
            ids = _namespace_pids(process.pid)
            if len(ids) > 1 and ids[1] == inner:
                processes.send(process.pid, signal.SIGKILL)
                return
        raise LookupError(f"container {container.name} has no process {inner}: it is {container.status}")

    def clean(self) -> None:
        """Remove every container and network, and start the daemon if a test has stopped it."""
        if self._process is not None:
            self.thaw()
        self.start()
        for container in self.client.containers.list(all=True, ignore_removed=True):
            container.remove(force=True, v=True)
        for network in self.client.networks.list(filters={"type": "custom"}):
            network.remove()  # its bridge would outlive the daemon

    def close(self) -> None:
        """End the daemon and everything in it, and remove its files and its bridge."""
        self.kill()
        self._bridge.close()
        shutil.rmtree(self.folder)

    def _command(self) -> list[str]:
        name = self.folder.name
        command = ["dockerd", "--host", self.base_url, "--data-root", str(self.folder / "data")]
        command += ["--exec-root", str(self.folder / "exec"), "--pidfile", str(self.folder / "docker.pid")]
        command += ["--bridge", self._bridge.name, "--iptables=false", "--ip6tables=false"]
        command += ["--ip-forward=false", "--ip-masq=false", "--shutdown-timeout", "1"]
        # Only matters where a system-wide containerd runs, which dockerd would then share.
        command += ["--containerd-namespace", name, "--containerd-plugins-namespace", f"{name}-plugins"]
        return command

    def _answers(self) -> bool:
        """Whether the API is there; asked without the SDK, which leaves a socket open when it is not."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(2)
            connection.connect(str(self.socket))
            connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b" 200 " in connection.recv(1024)

    def _daemon_pid(self) -> int:
        if self._process is None:
            raise RuntimeError("dockerd is not running")
        return next(child.pid for child in psutil.Process(self._process.pid).children())

    def _import_image(self) -> None:
        """Make the image from the machine's busybox: no registry, no build."""
        busybox = shutil.which("busybox")
        assert busybox is not None
        applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True, timeout=10)
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w") as tar:
            tar.add(os.path.realpath(busybox), "bin/busybox")
            for applet in applets.stdout.split():
                if applet != "busybox":
                    link = tarfile.TarInfo(f"bin/{applet}")
                    link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                    tar.addfile(link)
        repository, _, tag = IMAGE.partition(":")
        self.client.api.import_image_from_data(layer.getvalue(), repository=repository, tag=tag)


def _namespace_pids(pid: int) -> list[str]:
    """The process's id in every process namespace that it is in, the host's first."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return []
    return next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
