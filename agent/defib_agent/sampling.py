"""How this machine does, and what it is: numbers by psutil, under the names that Defib gives them."""

import os
import platform
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_READ_ONLY_TYPES = frozenset({"squashfs", "iso9660", "udf", "erofs", "cramfs"})
"""Images that are full by nature."""
_INNER_INTERFACES = ("lo", "veth", "docker", "br-", "virbr", "vnet", "cni", "flannel", "cali")
"""Their traffic never leaves this machine, or is counted once more on a real interface."""
_WARMEST_CREDIBLE_C = 150.0
_WARM_ANEW_S = 30.0  #: sensors are slow to read and slow to change
_SOCKSTAT = (Path("/proc/net/sockstat"), Path("/proc/net/sockstat6"))
_MAKERS = (
    ("qemu", "kvm"), ("kvm", "kvm"), ("vmware", "vmware"), ("virtualbox", "oracle"), ("innotek", "oracle"),
    ("xen", "xen"), ("microsoft", "microsoft"), ("amazon", "amazon"), ("google", "google"), ("parallels", "parallels"),
)  # fmt: skip
"""What a machine's maker is called → the kind of virtualization, as systemd-detect-virt names it."""

Fact = str | int | float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look at this machine. What could not be read is left out."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    disks: Mapping[str, float] = field(default_factory=dict)  #: mount point → % used, as df shows it


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What this machine is; changes seldom."""

    hostname: str
    os: str
    facts: Mapping[str, Fact]
    address: str = ""  #: as the server sees it, when nothing stands in between


@dataclass(frozen=True, slots=True)
class _Counters:
    """What only grows."""

    at: float  # seconds, monotonic
    cpu_busy_s: float
    cpu_total_s: float
    process_s: float
    received_bytes: int
    sent_bytes: int


class Sampler:
    """Takes samples. Rates are those since the sample before; the first one has none."""

    def __init__(self) -> None:
        self._before: _Counters | None = None
        self._process = psutil.Process()
        self._temperature: float | None = None
        self._felt_at = -_WARM_ANEW_S

    def take(self) -> Sample:
        """Look. A disk that hangs blocks, so never call this in an event loop."""
        metrics: dict[str, float] = {}
        for read in (self._rates, _memory, _load, self._warmth, _counts, self._own):
            with suppress(OSError, psutil.Error, NotImplementedError, AttributeError):
                metrics.update(read())
        disks, sizes = _disks()
        return Sample(metrics=metrics | sizes, disks=disks)

    def _rates(self) -> dict[str, float]:
        before, now = self._before, _read_counters()
        self._before = now
        told = {
            "net_in_total_bytes": float(now.received_bytes),
            "net_out_total_bytes": float(now.sent_bytes),
        }
        if before is None or now.at <= before.at:
            return told
        elapsed_s, cpu_s = now.at - before.at, now.cpu_total_s - before.cpu_total_s
        if cpu_s > 0:
            busy = 100 * (now.cpu_busy_s - before.cpu_busy_s) / cpu_s
            told["cpu_percent"] = round(min(100.0, max(0.0, busy)), 1)
        told["process_cpu_percent"] = round(100 * (now.process_s - before.process_s) / elapsed_s, 2)
        for name, grown in (
            ("net_in_bytes_per_s", now.received_bytes - before.received_bytes),
            ("net_out_bytes_per_s", now.sent_bytes - before.sent_bytes),
        ):
            if grown >= 0:  # an interface that went away takes its count along
                told[name] = float(round(grown / elapsed_s))
        return told

    def _warmth(self) -> dict[str, float]:
        if time.monotonic() - self._felt_at >= _WARM_ANEW_S:
            self._felt_at = time.monotonic()
            self._temperature = _temperature()
        return {} if self._temperature is None else {"temperature_c": self._temperature}

    def _own(self) -> dict[str, float]:
        return {"process_memory_bytes": float(self._process.memory_info().rss)}


def _read_counters() -> _Counters:
    times = psutil.cpu_times()
    # The kernel counts guests' time once more as user time (proc(5), /proc/stat).
    total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    idle = times.idle + getattr(times, "iowait", 0.0)
    interfaces = psutil.net_io_counters(pernic=True)
    outer = [count for name, count in interfaces.items() if not name.startswith(_INNER_INTERFACES)]
    return _Counters(
        at=time.monotonic(), cpu_busy_s=total - idle, cpu_total_s=total, process_s=time.process_time(),
        received_bytes=sum(count.bytes_recv for count in outer), sent_bytes=sum(count.bytes_sent for count in outer),
    )  # fmt: skip


def _memory() -> dict[str, float]:
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    return {
        "memory_percent": memory.percent, "memory_total_bytes": float(memory.total),
        "memory_used_bytes": float(memory.total - memory.available),
        "swap_percent": swap.percent, "swap_used_bytes": float(swap.used), "swap_total_bytes": float(swap.total),
    }  # fmt: skip


def _load() -> dict[str, float]:
    return dict(
        zip(("load1", "load5", "load15"), (round(item, 2) for item in psutil.getloadavg()), strict=True)
    )


def _counts() -> dict[str, float]:
    told = {
        "processes": float(len(psutil.pids())),
        "uptime_s": float(round(time.time() - psutil.boot_time())),
    }
    tcp, udp = _connections()
    if tcp is not None:
        told["connections_tcp"] = float(tcp)
    if udp is not None:
        told["connections_udp"] = float(udp)
    return told


def _connections() -> tuple[int | None, int | None]:
    """TCP and UDP sockets in use. Linux keeps count; listing every socket would cost a thousand times as much."""
    counts = {"TCP": 0, "UDP": 0}
    found = False
    for path in _SOCKSTAT:
        with suppress(OSError):
            for line in path.read_text().splitlines():
                name, _, rest = line.partition(":")
                words = rest.split()
                if (kind := name.removesuffix("6")) in counts and words[:1] == ["inuse"]:
                    counts[kind] += int(words[1])
                    found = True
    return (counts["TCP"], counts["UDP"]) if found else (None, None)


def _disks() -> tuple[dict[str, float], dict[str, float]]:
    """Every real partition once, and the root whatever it is made of (a container's is an overlay); their sums."""
    places = {"/": "/"} if os.name == "posix" else {}
    with suppress(OSError):
        for partition in psutil.disk_partitions(all=False):
            if partition.fstype not in _READ_ONLY_TYPES:
                places.setdefault(partition.device, partition.mountpoint)
    disks: dict[str, float] = {}
    used = total = 0
    for mountpoint in sorted(set(places.values())):
        with suppress(OSError):  # unmounted meanwhile, or not ours to see
            usage = psutil.disk_usage(mountpoint)
            disks[mountpoint] = usage.percent
            used, total = used + usage.used, total + usage.total
    if not total:
        return disks, {}
    return disks, {
        "disk_used_bytes": float(used), "disk_total_bytes": float(total), "disk_percent": max(disks.values()),
    }  # fmt: skip


def _temperature() -> float | None:
    if not hasattr(psutil, "sensors_temperatures"):
        return None
    sensors = (entry.current for entries in psutil.sensors_temperatures().values() for entry in entries)
    return max((value for value in sensors if value and 0 < value < _WARMEST_CREDIBLE_C), default=None)


# --- what it is ------------------------------------------------------------------------------------


def describe_host(server: tuple[str, int] | None = None) -> Host:
    """What this machine is.

    :param server: host and port of the server; tells which of our addresses it sees. Nothing is sent there.
    """
    facts: dict[str, Fact] = {
        "cpu_name": _cpu_name(), "cpu_cores": psutil.cpu_count() or 1, "arch": platform.machine(),
        "kernel": platform.release(), "virtualization": _virtualization(),
        "mem_total_bytes": psutil.virtual_memory().total, "swap_total_bytes": psutil.swap_memory().total,
        "disk_total_bytes": int(_disks()[1].get("disk_total_bytes", 0)),
    }  # fmt: skip
    address = _own_address(*server) if server is not None else ""
    if address:
        facts["ipv6" if ":" in address else "ipv4"] = address
    return Host(
        hostname=socket.gethostname(), os=_system(), address=address,
        facts={name: value for name, value in facts.items() if value != ""},
    )  # fmt: skip


def _system() -> str:
    with suppress(OSError):
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    return f"{platform.system()} {platform.release()}".strip()


def _cpu_name() -> str:
    with suppress(OSError):
        for line in _first_lines(Path("/proc/cpuinfo"), 4096):
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "Model", "Hardware"):
                return value.strip()
    return platform.processor()


def _virtualization() -> str:
    for mark, name in (("/.dockerenv", "docker"), ("/run/.containerenv", "podman")):
        if Path(mark).exists():
            return name
    with suppress(OSError):
        maker = Path("/sys/class/dmi/id/sys_vendor").read_text().lower()
        return next((kind for word, kind in _MAKERS if word in maker), "none")
    return ""


def _first_lines(path: Path, size: int) -> list[str]:
    with path.open() as file:
        return file.read(size).splitlines()


def _own_address(host: str, port: int) -> str:
    routes: Callable[..., list[tuple[int, int, int, str, tuple[object, ...]]]] = socket.getaddrinfo  # type: ignore[assignment]
    with suppress(OSError):
        family, kind, number, _, target = routes(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, number) as probe:
            probe.connect(target)
            return str(probe.getsockname()[0])
    return ""
