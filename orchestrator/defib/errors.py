"""Every error Defib raises on purpose.

    DefibError
    ├── ConfigError         the configuration is wrong; carries every mistake at once   (exit status 2)
    ├── UsageError          the command line asks for something that does not exist     (exit status 2)
    ├── PluginError         a plugin cannot be loaded or clashes with another           (exit status 2)
    ├── StoreError          the store cannot be opened, read or written                 (exit status 1)
    │   ├── StoreBusyError      another process owns it
    │   └── StaleEpochError     another process has taken it over                       (exit status 4)
    ├── ListenError         the server's address cannot be bound                        (exit status 1)
    ├── ActionRefusedError  a recovery action must not run: nothing was executed
    │   └── ActionHeldBackError  not now, but it may run later
    └── DeliveryError       a channel did not accept a notice

Messages say what happened, where, and what to do next. They never contain a secret: whoever raises
masks what came from the configuration.
"""

from dataclasses import dataclass
from datetime import timedelta


class DefibError(Exception):
    """Base of everything raised on purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One thing wrong in the configuration, with its place and its remedy."""

    message: str  #: what is wrong and what to write instead
    path: str = ""  #: into the configuration: ``monitors[3].url``
    file: str = ""
    line: int | None = None  #: from 1

    def __str__(self) -> str:
        place = ":".join(part for part in (self.file, str(self.line or "")) if part)
        return ": ".join(part for part in (place, self.path, self.message) if part)


class ConfigError(DefibError):
    """The configuration is wrong.

    :ivar mistakes: all of them, in the order of the file.
    """

    def __init__(self, mistakes: "tuple[Mistake, ...] | list[Mistake]") -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))


class UsageError(DefibError):
    """The caller named something that does not exist or cannot be combined."""


class PluginError(DefibError):
    """A plugin cannot be loaded, or two plugins claim one name."""


class StoreError(DefibError):
    """The store cannot be opened, read or written."""


class StoreBusyError(StoreError):
    """Another process owns the store."""


class StaleEpochError(StoreError):
    """Another Defib has taken over the store, or the store was replaced: this one may decide and act no more."""


class ListenError(DefibError):
    """The address the server should listen on cannot be bound."""


class ActionRefusedError(DefibError):
    """A recovery action must not run (unsafe script, ambiguous target); nothing was executed."""


class ActionHeldBackError(ActionRefusedError):
    """A recovery action must not run now, because somebody else is at work on its target; asking later is right."""


class RegistrationRefusedError(DefibError):
    """An agent is not let in, or reports for somebody else."""


class KeptOutError(RegistrationRefusedError):
    """An agent is kept out until an operator lets it in again."""


class DeliveryError(DefibError):
    """A channel did not accept a notice.

    :ivar message: as it was given: a phrase stays one.
    :ivar permanent: retrying cannot help (wrong address, revoked token): the delivery becomes a dead letter.
    :ivar retry_after: the least delay the far end asked for.
    """

    def __init__(
        self, message: str, *, permanent: bool = False, retry_after: timedelta | None = None
    ) -> None:
        self.message = message
        self.permanent = permanent
        self.retry_after = retry_after
        super().__init__(message)
