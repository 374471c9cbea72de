"""What every command starts from: options, configuration, a running daemon or the store."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from defib.model.settings import Settings
    from defib.registry import Registry


@dataclass(kw_only=True)
class State:
    """The options before the command."""

    config: str | None = None
    json: bool = False
    debug: bool = False

    @cached_property
    def path(self) -> Path:
        """The configuration file.

        :raises UsageError: there is none; the message names the places that were tried.
        """
        from defib import config

        return config.find(self.config, os.environ)

    @cached_property
    def loaded(self) -> "tuple[Registry, Settings]":
        """Plugins and configuration.

        :raises ConfigError: with every mistake.
        :raises PluginError: a built-in plugin is broken.
        """
        from defib import config, registry

        plugins = registry.load()
        return plugins, config.load(self.path, plugins, os.environ)

    @property
    def registry(self) -> "Registry":
        return self.loaded[0]

    @property
    def settings(self) -> "Settings":
        return self.loaded[1]


def state_of(context: typer.Context) -> State:
    """The options of a command's context."""
    state = context.find_object(State)
    assert state is not None
    return state
