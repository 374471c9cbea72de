"""The local socket: agents of this machine connect and write one beat after another; nothing is ever sent back.

Who may is decided by the operating system: the socket is only for the user that Defib runs as and for root, unless
``server.unix_socket_mode`` lets others in. An agent need not name itself: it is then called as its program, and told
from others of that name by its process id. Whatever another user's process calls itself, its user's name stands before
it (``alice:worker``), so that nobody beats in somebody else's name; and each of those users has a bounded share.
Its connection is its stream: where that ends without a ``stopping``, it is suspect at once.
"""

import asyncio
import contextlib
import errno
import os
import shutil
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from defib.plugin import (
    Agent,
    AgentId,
    ListenError,
    ReceiverContext,
    RegistrationRefusedError,
    StoreError,
    get_logger,
)
from defib_plugins.daemon_beat import DaemonBeat
from defib_plugins.daemon_counts import Counts
from defib_plugins.daemon_stream import Garbage, ObjectStream
from defib_plugins.local_peer import Peer, is_alive, peer_of, program_of, user_of
from defib_plugins.receiving import RefusedError, parse

log = get_logger("defib.local-socket")

MOST_CONNECTIONS = 2000
MOST_AGENTS = 64  #: that one connection may speak for, and all those of another user together
MOST_OF_A_USER = 64  #: connections of another user than our own
MOST_GARBAGE = 100  #: pieces from one connection, which is then closed
READ_BYTES = 16_384
PACE_S = 0.05  #: from one reading of a connection to the next: who floods us waits
FIRST_WITHIN_S = 60.0  #: a connection that says nothing for so long is closed
ARRIVING_S = 0.05  #: what is under way when we stop
DRAIN_S = 3.0  #: for what has arrived when we stop
_UNNAMED = "local-agent"
_OTHERS_MAY_CONNECT = 0o022  #: whoever may write to a Unix socket may connect to it; unix(7)


@dataclass(eq=False, slots=True)
class _Connection:
    """One client."""

    peer: Peer
    writer: asyncio.StreamWriter
    held: ExitStack = field(default_factory=ExitStack)  #: the streams of its agents
    agents: dict[tuple[str, int], Agent] = field(default_factory=dict)  #: by the id they gave, and process
    user: str = ""  #: of another user's process; what it calls itself stands behind it
    garbage: int = 0
    is_idle: bool = False  #: waiting for more

    def close(self) -> None:
        self.writer.close()


@dataclass(frozen=True, slots=True)
class _Speaker:
    """Who has a name that we gave."""

    pid: int
    connection: _Connection

    def is_gone(self, successor: int) -> bool:
        """Whether process ``successor`` may have its name: it is the same, or its connection has died unnoticed yet."""
        return self.pid == successor or not is_alive(self.connection.peer.pid)


class DaemonSocket:
    """Listens, for one run of the daemon."""

    def __init__(self, path: Path, context: ReceiverContext, counts: Counts) -> None:
        self._path = path
        self._mode = context.unix_socket_mode
        self._group = context.unix_socket_group
        self._fleet = context.fleet
        self._clock = context.clock
        self._counts = counts
        self._hostname = socket.gethostname()
        self._connections: dict[asyncio.Task[None], _Connection] = {}
        self._speakers: dict[str, _Speaker] = {}  # of agents that have their name from us
        self._is_stopping = False

    async def serve(self) -> None:
        """Listen until cancelled; then take what has arrived, and remove the socket.

        :raises ListenError: it cannot be made, or another program listens there.
        """
        with _listening(self._path, self._mode, self._group) as listener:
            server = await asyncio.start_unix_server(self._welcome, sock=listener, limit=READ_BYTES)
            log.info("agents of this machine may connect", socket=str(self._path))
            try:
                await asyncio.Event().wait()
            finally:
                server.close()
                await self._drain()

    async def _drain(self) -> None:
        await asyncio.sleep(ARRIVING_S)
        self._is_stopping = True
        for task, connection in self._connections.items():
            if connection.is_idle:
                task.cancel()
        if self._connections:
            _, late = await asyncio.wait(tuple(self._connections), timeout=DRAIN_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            peer = peer_of(writer.get_extra_info("socket"))
        except OSError:  # it is gone already
            writer.close()
            return
        if why := self._objection(peer):
            log.warning("local connection refused", pid=peer.pid, uid=peer.uid, why=why)
            writer.close()
            return
        user = "" if peer.is_trusted else user_of(peer)
        connection = self._connections[task] = _Connection(peer, writer, user=user)
        try:
            await self._listen(connection, reader)
        except (TimeoutError, ConnectionError):
            pass
        except asyncio.CancelledError:  # at our end
            if not self._is_stopping:
                raise
        finally:
            del self._connections[task]
            for name in [name for name, item in self._speakers.items() if item.connection is connection]:
                del self._speakers[name]
            connection.held.close()
            connection.close()

    def _objection(self, peer: Peer) -> str:
        """Why ``peer`` may not connect; "" when it may."""
        if len(self._connections) >= MOST_CONNECTIONS:
            return f"beside {MOST_CONNECTIONS} others"
        if peer.is_trusted:
            return ""
        if not self._mode & _OTHERS_MAY_CONNECT:
            return "of another user; 'server.unix_socket_mode' could let it in"
        same = sum(connection.peer.uid == peer.uid for connection in self._connections.values())
        return f"beside {same} others of its user" if same >= MOST_OF_A_USER else ""

    async def _listen(self, connection: _Connection, reader: asyncio.StreamReader) -> None:
        stream = ObjectStream()
        while not self._is_stopping:
            connection.is_idle = True
            async with asyncio.timeout(None if connection.agents else FIRST_WITHIN_S):
                data = await reader.read(READ_BYTES)
            connection.is_idle = False
            if not data:
                return
            await self._take(connection, list(stream.feed(data)))
            if connection.garbage > MOST_GARBAGE:
                log.warning("local connection closed: it writes garbage", pid=connection.peer.pid)
                return
            await asyncio.sleep(PACE_S)

    async def _take(self, connection: _Connection, found: list[bytes | Garbage]) -> None:
        """Take the beats of one packet: of each agent the newest, for the older ones say nothing more."""
        newest: dict[tuple[str, int], tuple[DaemonBeat, int]] = {}  # and how many it stands for
        for item in found:
            if isinstance(item, Garbage):
                self._refuse(connection, item.why)
                continue
            try:
                beat = parse(DaemonBeat, item)
            except RefusedError as error:
                self._refuse(connection, error.why)
                continue
            self._counts.take(self._clock.now())
            who = beat.agent_id, beat.pid
            newest[who] = beat, newest[who][1] + 1 if who in newest else 1
        for who, (beat, count) in newest.items():
            began = self._clock.monotonic()
            try:
                agent = await self._agent(connection, who, beat)
                await self._fleet.report(agent.id, beat.report(self._clock.now()))
            except (RegistrationRefusedError, StoreError) as error:
                connection.agents.pop(who, None)
                self._counts.fail()
                log.warning("local beat not taken", agent=beat.agent_id, pid=beat.pid, error=str(error))
            else:
                self._counts.finish(self._clock.monotonic() - began, count)

    def _refuse(self, connection: _Connection, why: str) -> None:
        self._counts.fail()
        if not connection.garbage:
            log.warning("local connection wrote no beat", pid=connection.peer.pid, why=why)
        connection.garbage += 1

    async def _agent(self, connection: _Connection, who: tuple[str, int], beat: DaemonBeat) -> Agent:
        """Whoever sent a beat; new ones are taken in.

        :raises RegistrationRefusedError: it is not let in.
        """
        known = connection.agents.get(who)
        if known is not None and known.version == beat.version:
            return known
        if known is None and len(connection.agents) >= MOST_AGENTS:
            raise RegistrationRefusedError(f"one connection speaks for {MOST_AGENTS} agents at most")
        name = known.id if known is not None else self._name(connection, beat)
        if connection.user and self._fleet.find(name) is None:
            self._check_share(connection.user)
        agent = await self._fleet.admit(beat.introduction(name, self._hostname))
        if known is None:
            connection.held.enter_context(self._fleet.connect(agent.id, connection.close))
            if beat.has_bad_time:
                log.warning("unreadable timestamps; our own time counts", agent=agent.id)
        connection.agents[who] = agent
        return agent

    def _check_share(self, user: str) -> None:
        """:raises RegistrationRefusedError: another user's processes have brought in their share of agents."""
        prefix = f"{user}:"
        if sum(view.agent.id.startswith(prefix) for view in self._fleet.agents()) >= MOST_AGENTS:
            raise RegistrationRefusedError(f"user {user} has brought in {MOST_AGENTS} agents already")

    def _name(self, connection: _Connection, beat: DaemonBeat) -> AgentId:
        """What an agent calls itself, behind the name of its user where that is not our own.

        One that gives no name has its program's, numbered where another process of it has that already.
        """
        prefix = f"{connection.user}:" if connection.user else ""
        if beat.agent_id:
            return AgentId(prefix + beat.agent_id)
        program = prefix + (program_of(connection.peer.pid) or _UNNAMED)
        name, number = program, 1
        while (speaker := self._speakers.get(name)) is not None and not speaker.is_gone(beat.pid):
            number += 1
            name = f"{program}-{number}"
        self._speakers[name] = _Speaker(beat.pid, connection)
        return AgentId(name)


@contextlib.contextmanager
def _listening(path: Path, mode: int, group: str) -> Iterator[socket.socket]:
    """A socket at ``path``; it is gone afterwards, unless another has taken its place.

    :param group: that it belongs to; "" is our own.
    :raises ListenError: with the remedy.
    """
    place = f"{path}: the local socket"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        try:
            folder_mode = 0o755 if mode & _OTHERS_MAY_CONNECT else 0o700
            path.parent.mkdir(mode=folder_mode, parents=True, exist_ok=True)
            _make_room(path)
            listener.bind(str(path))
            _hand_to(path, group)
            path.chmod(mode)  # nobody can connect before it listens
            listener.listen(1024)
            listener.setblocking(False)
        except OSError as error:
            remedy = "choose a shorter path in" if "too long" in str(error) else "change"
            why = error.strerror or str(error)
            raise ListenError(f"{place} cannot be made ({why}); {remedy} 'server.unix_socket'") from error
        mark = _mark(path)
        try:
            yield listener
        finally:
            with contextlib.suppress(OSError):
                if _mark(path) == mark:
                    path.unlink()
    finally:
        listener.close()


def _hand_to(path: Path, group: str) -> None:
    """:raises ListenError: there is no such group, or we are not in it; the socket is gone again."""
    try:
        if group:
            shutil.chown(path, group=int(group) if group.isdecimal() else group)
    except (LookupError, OSError) as error:
        path.unlink()
        why = "there is none" if isinstance(error, LookupError) else error.strerror or str(error)
        raise ListenError(
            f"{path}: the local socket cannot be given to group {group!r} ({why}); "
            "name a group that Defib's own user is in, in 'server.unix_socket_group'"
        ) from error


def _make_room(path: Path) -> None:
    """Remove a socket that nobody listens at any more.

    :raises ListenError: somebody does, or something else is there.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ListenError(f"{path} is no socket; move it away, or change 'server.unix_socket'")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.setblocking(False)
        refused = caller.connect_ex(os.fspath(path))
    if refused == errno.ECONNREFUSED:
        path.unlink()
    elif refused != errno.ENOENT:
        raise ListenError(f"another program listens at {path}; stop it, or change 'server.unix_socket'")


def _mark(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino
