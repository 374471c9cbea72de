"""What an agent says of the host that it runs on, as the host-agent's protocol and Komari's name it."""

from typing import ClassVar

from defib.plugin import Fact, Introduction
from defib_plugins.receiving import Body, Line


class HostInfo(Body):
    """Sizes in bytes. How strictly the numbers are taken is each protocol's own."""

    protocol: ClassVar[str]

    arch: Line | None = None
    cpu_name: Line | None = None
    gpu_name: Line | None = None
    ipv4: Line | None = None
    ipv6: Line | None = None
    kernel_version: Line | None = None
    os: Line | None = None
    version: Line | None = None
    virtualization: Line | None = None
    cpu_cores: float | None = None
    disk_total: float | None = None
    mem_total: float | None = None
    swap_total: float | None = None

    def introduction(self, where: str) -> Introduction:
        """What it means.

        :param where: it comes from.
        """
        words = {
            "cpu_name": self.cpu_name, "arch": self.arch, "kernel": self.kernel_version, "gpu_name": self.gpu_name,
            "virtualization": self.virtualization, "ipv4": self.ipv4, "ipv6": self.ipv6,
        }  # fmt: skip
        numbers = {
            "cpu_cores": self.cpu_cores, "mem_total_bytes": self.mem_total, "swap_total_bytes": self.swap_total,
            "disk_total_bytes": self.disk_total,
        }  # fmt: skip
        facts: dict[str, Fact] = {name: word for name, word in words.items() if word}
        facts |= {name: int(number) for name, number in numbers.items() if number is not None}
        return Introduction(
            os=self.os or "", version=self.version or "", address=self.ipv4 or self.ipv6 or where, facts=facts,
            protocol=self.protocol,
        )  # fmt: skip
