"""Which of systemd's services are taken."""

from defib.discovery.seen import Unit
from defib.discovery.systemd_units import read

LISTING = """\
nginx.service                loaded active   running A high performance web server
  postgresql.service         loaded active   exited  PostgreSQL RDBMS
postgresql@15-main.service   loaded active   running PostgreSQL Cluster 15-main
openclaw-main.service        loaded active   running OpenClaw main agent
systemd-journald.service     loaded active   running Journal Service
logrotate.service            loaded failed   failed  Rotate log files
gone.service                 not-found failed failed gone.service
shop.service                 loaded active   running The shop
worker@1.service             loaded active   running Worker 1
defib.service                loaded active   running Defib health checks and recovery
bad;name.service             loaded failed   failed  x
ssh.service                  loaded activating start-pre OpenSSH

13 loaded units listed.
"""


def test_units_that_matter_are_taken_and_no_others() -> None:
    assert read(LISTING, {"shop.service", "worker@.service", "defib.service"}) == [
        Unit(name="logrotate.service", is_failed=True),
        Unit(name="nginx.service"),
        Unit(name="openclaw-main.service"),
        Unit(name="postgresql@15-main.service"),
        Unit(name="shop.service", is_local=True),
        Unit(name="worker@1.service", is_local=True),
    ]


def test_a_machine_without_systemd_has_no_units() -> None:
    assert read("", frozenset()) == []
