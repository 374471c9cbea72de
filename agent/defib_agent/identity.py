"""The token that the server gave us, kept for the next start: a file of mode 0600 in a folder of mode 0700."""

import json
import os
import stat
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from defib_agent.dialects import Identity
from defib_agent.settings import Settings

_MOST_BYTES = 16 * 1024


def state_folder(settings: Settings) -> Path:
    """Where to keep it: as told, as systemd says, or where programs of this system keep such things."""
    if settings.state_folder:
        return Path(settings.state_folder)
    if systemd := os.environ.get("STATE_DIRECTORY", "").split(":")[0]:
        return Path(systemd)
    if sys.platform == "win32":
        return Path(os.environ.get("PROGRAMDATA", Path.home())) / "defib-agent"
    if os.geteuid() == 0:
        return Path("/var/lib/defib-agent")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "defib-agent"


@dataclass(frozen=True, slots=True)
class IdentityFile:
    """Remembers one identity for one server and protocol."""

    path: Path
    server: str
    protocol: str

    @classmethod
    def of(cls, settings: Settings) -> "IdentityFile":
        return cls(state_folder(settings) / "identity.json", settings.server_url, settings.protocol)

    def read(self) -> Identity | None:
        """What is remembered; None when nothing is, or of another server, or by another user.

        :raises OSError: it is there and cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                found = os.fstat(file.fileno())
                if not stat.S_ISREG(found.st_mode) or not _is_ours(found):
                    raise PermissionError(f"{self.path} belongs to another user")
                data = json.loads(file.read(_MOST_BYTES))
        except FileNotFoundError:
            return None
        except ValueError:  # written halfway by something else than us: we register again
            return None
        if not isinstance(data, dict) or (data.get("server"), data.get("protocol")) != (
            self.server,
            self.protocol,
        ):
            return None
        agent_id, token = data.get("agent_id"), data.get("token")
        if not isinstance(agent_id, str) or not isinstance(token, str) or not agent_id:
            return None
        return Identity(agent_id=agent_id, token=token)

    def write(self, identity: Identity) -> None:
        """Remember it; a crash leaves the old file or the new one.

        :raises OSError: it cannot be kept: no room, no right.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        text = json.dumps(
            {
                "server": self.server,
                "protocol": self.protocol,
                "agent_id": identity.agent_id,
                "token": identity.token,
            }
        )
        try:
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
        except OSError:
            with suppress(OSError):
                temporary.unlink()
            raise


def _is_ours(found: os.stat_result) -> bool:
    return sys.platform == "win32" or found.st_uid in (0, os.geteuid())
