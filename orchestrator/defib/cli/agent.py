"""``defib agent``: the standalone agent, which has a command line of its own (``defib-agent``)."""

import os
import sys

import typer

from defib.cli.context import State


def register(app: typer.Typer) -> None:
    """Add the command. Whatever stands behind it is the agent's, ``--help`` too."""
    settings = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
    app.command("agent", context_settings=settings)(agent)


def agent(context: typer.Context) -> None:
    """Tell a Defib server that this machine is alive and how it does; 'defib agent --help' shows how."""
    state: State = context.obj
    named = ["--config", state.config] if state.config else []
    # in our place, not beside what is loaded here: that takes more than twice the memory of the agent
    os.execv(sys.executable, [sys.executable, "-P", "-m", "defib_agent", *named, *context.args])  # noqa: S606 - no shell wanted
