"""What can go wrong between an agent and its server.

AgentError
├── SettingsError          the configuration is wrong; the message names key and remedy
└── SendError              a beat or a registration was not taken
    ├── UnavailableError   not now; worth another try
    ├── UnauthorizedError  the token does not count; registering again may help
    └── RejectedError      never, whatever is tried: the server does not understand it or does not want it
"""

import asyncio
import ssl


class AgentError(Exception):
    """Base of what this package raises."""


class SettingsError(AgentError):
    """A setting is wrong."""


class SendError(AgentError):
    """The server did not take it."""


class UnavailableError(SendError):
    """The server cannot be reached, or asks to be left alone for a while.

    :ivar retry_after_s: seconds that it asks for; 0 when it does not say.
    """

    def __init__(self, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class UnauthorizedError(SendError):
    """The server does not know the token any more."""


class RejectedError(SendError):
    """The server answered that it will not take this."""


def why(error: Exception) -> str:
    """Why a connection failed, in words."""
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there"
    if isinstance(error, asyncio.IncompleteReadError):
        return "the connection ended in the middle of the answer"
    if isinstance(error, ssl.SSLError):
        return (
            f"no trusted connection: {getattr(error, 'verify_message', '') or error.reason or 'TLS failed'}"
        )
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
