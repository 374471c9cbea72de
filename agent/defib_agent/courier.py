"""Brings beats to the server, in order, as often as it takes; and introduces us first."""

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress

from defib_agent.beat import Beat, Buffer
from defib_agent.dialects import Dialect, Identity
from defib_agent.errors import RejectedError, SendError, UnauthorizedError, UnavailableError
from defib_agent.http_client import HttpClient
from defib_agent.identity import IdentityFile
from defib_agent.patience import next_try_s
from defib_agent.sampling import Host
from defib_agent.settings import Settings
from defib_agent.ways import Way

log = logging.getLogger("defib_agent")

Delivered = Callable[[Beat, Identity], None]
Failed = Callable[[Beat, SendError], None]
UNAUTHORIZED_PATIENCE_S = 30.0  #: a token that does not count seldom does so a moment later


class Courier:
    """One agent's deliveries.

    :param must_register: even if we were given a token before.
    """

    def __init__(
        self, settings: Settings, host: Host, dialect: Dialect, way: Way, client: HttpClient, *,
        delivered: Delivered, failed: Failed, must_register: bool = False,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._host = host
        self._dialect = dialect
        self._way = way
        self._client = client
        self._delivered = delivered
        self._failed = failed
        self._file = IdentityFile.of(settings)
        self._must_register = must_register
        self._is_refused = False  # with the token that we have, so that going on with it is no use
        self._is_introduced = False
        self._has_delivered = False
        self.identity = Identity(agent_id=settings.agent_id)

    async def run(self, buffer: Buffer) -> None:
        """Deliver what is in ``buffer``, until cancelled.

        :raises UnauthorizedError: the very first try shows that the token does not count, and we are no service.
        """
        failures = refusals = 0
        while True:
            beat = await buffer.oldest()
            try:
                await self.deliver(beat)
            except RejectedError as error:
                self._failed(beat, error)
                if self._is_introduced:  # this beat is no good; the next one may be
                    buffer.drop(beat)
                    continue
                pause_s = UNAUTHORIZED_PATIENCE_S
            except SendError as error:
                self._failed(beat, error)
                failures += 1
                refusals = refusals + 1 if isinstance(error, UnauthorizedError) else 0
                pause_s = self._pause_s(error, failures, refusals)
                if not self._dialect.carries_age:
                    buffer.keep_newest()
            else:
                failures = refusals = 0
                buffer.done(beat)
                continue
            await asyncio.sleep(pause_s)

    def _pause_s(self, error: SendError, failures: int, refusals: int) -> float:
        if isinstance(error, UnauthorizedError):
            if not self._has_delivered and not self._settings.run_as_service:
                raise error
            return 0.0 if refusals == 1 else UNAUTHORIZED_PATIENCE_S
        pause_s = next_try_s(failures, self._settings.interval, random.random())  # noqa: S311 - nothing secret
        return max(pause_s, error.retry_after_s) if isinstance(error, UnavailableError) else pause_s

    async def deliver(self, beat: Beat) -> None:
        """One try.

        :raises SendError: it was not taken.
        """
        await self._introduce()
        try:
            await self._way.deliver(beat)
        except UnauthorizedError:
            self._is_introduced = False
            self._must_register = self._is_refused = True
            raise
        self._has_delivered = True
        self._is_refused = False
        self._delivered(beat, self.identity)

    def close(self) -> None:
        """End the connection that registrations go over."""
        self._client.close()

    # --- who we are --------------------------------------------------------------------------------

    async def _introduce(self) -> None:
        if self._is_introduced:
            return
        known = self._known()
        if self._dialect.registers:
            known = await self._registered(known)
            if (told := self._dialect.description(self._host)) is not None:
                with suppress(RejectedError):  # it can do without
                    await self._client.post(*told, self._token(known))
        self.identity = known
        self._way.use(known, self._token(known))
        self._is_introduced = True

    def _known(self) -> Identity:
        wanted = self._settings.agent_id
        try:
            saved = self._file.read()
        except OSError as error:
            log.warning("what was kept of us cannot be read: %s", error)
            saved = None
        if saved is not None and wanted in ("", saved.agent_id):
            return saved
        # a folder that takes no file does not make us somebody else at each reconnection
        return self.identity if self.identity.agent_id else Identity(agent_id=wanted)

    def _token(self, identity: Identity) -> str:
        return identity.token or self._settings.api_token

    async def _registered(self, known: Identity) -> Identity:
        """Who we are now. With a protocol that knows renewal we always register; with others only once."""
        is_renewable = self._dialect.carries_age
        if known.token and not self._must_register and not is_renewable:
            return known
        tokens = (
            [known.token, self._settings.api_token]
            if not self._must_register
            else [self._settings.api_token, known.token]
        )
        shown = list(dict.fromkeys(token for token in tokens if token)) or [""]
        refusal: SendError = UnauthorizedError("the server does not accept the token")
        for token in shown:
            try:
                return await self._register(known, token)
            except UnauthorizedError as error:
                refusal = error
            except RejectedError as error:
                refusal = error
                break
        if (
            isinstance(refusal, RejectedError)
            and known.agent_id
            and self._token(known)
            and not self._is_refused
        ):
            log.warning("not registered, going on without: %s", refusal)
            self._must_register = False
            return known
        raise refusal

    async def _register(self, known: Identity, token: str) -> Identity:
        path, body = self._dialect.registration(self._settings, self._host, known.agent_id)
        found = self._dialect.registered((await self._client.post(path, body, token)).json())
        self._must_register = False
        own = found.token or token
        found = Identity(agent_id=found.agent_id, token="" if own == self._settings.api_token else own)
        if found != known:
            log.info("registered as %s", found.agent_id)
            self.identity = found
            try:
                self._file.write(found)
            except OSError as error:
                log.warning("the token that we were given cannot be kept in %s: %s; the next start registers again",
                            self._file.path, error.strerror or error)  # fmt: skip
        return found
