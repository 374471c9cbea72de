"""A TCP service that can be closed and opened again at the same address."""

import socket
import threading


class Listener:
    """Accepts connections on a free port of ``host`` and closes them at once."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.host = host
        self.port = 0
        self._socket: socket.socket | None = None
        self.open()

    def open(self) -> None:
        """Listen; on the port of the last time."""
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((self.host, self.port))
        listening.listen(64)
        self._socket, self.port = listening, listening.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, args=(listening,), name="listener", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Refuse connections from now on; again does nothing."""
        listening, self._socket = self._socket, None
        if listening is None:
            return
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        self._thread.join(5)

    @staticmethod
    def _accept(listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:  # closed
                return
            connection.close()
