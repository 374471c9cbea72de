"""What runs on this machine, and a first configuration of it.

    looking (I/O, all at once, under 5 s) ─→ Seen ─→ finders (pure) ─→ Found ─→ document (pure) ─→ YAML

Finders know monitor types and actions by name only: they write what a user would write, and the loader of
the configuration is the judge of it. Nothing is changed by looking; only this machine is asked.
"""

from collections.abc import Mapping

from defib.discovery.finding import Finding, Found, Group

__all__ = ["Finding", "Found", "Group", "bare", "discover", "render", "summary"]


async def discover(environ: Mapping[str, str]) -> Found:
    """Look at this machine: its ports, health URLs, PostgreSQL, containers and units.

    :param environ: for ``PATH``, ``DOCKER_HOST`` and ``XDG_RUNTIME_DIR``.
    :return: at least this machine itself. What cannot be looked at is told in its notes, never raised.
    """
    from defib.discovery import finders, looking

    return finders.find(await looking.look(looking.this_machine(environ)))


def bare() -> Found:
    """What is known without looking: this machine itself."""
    from defib.discovery import finders
    from defib.discovery.seen import Seen

    return finders.find(Seen())


def render(found: Found, environ: Mapping[str, str]) -> str:
    """The commented configuration, recovery in dry-run.

    :param environ: for ``TZ``.
    """
    from defib.discovery import document, surroundings

    return document.render(found, surroundings.timezone(environ), surroundings.shipped_scripts())


def summary(found: Found) -> list[str]:
    """What was found, for the terminal: one line each."""
    from defib.discovery import document

    return document.summary(found)
