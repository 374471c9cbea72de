"""A small HTTP agent that exists to be broken and repaired.

Run as ``python victim.py --port N [--host A] [--boot-delay S] [--pidfile F]``; tests drive it through
:class:`defib_testkit.victim_handle.Victim`. ``GET /health`` answers in the current mode, and
``GET /control?mode=MODE`` changes it, in every mode but ``refuse``, where nobody listens and SIGURG (which
harms no process that is still booting) brings ``ok`` back. Imports are few, so that it boots in some 20 ms.

| mode | a connection to `/health` sees |
|---|---|
| ok | 200 and `{"status": "ok", "pid": …}` |
| error500 | 500 and `{"status": "error", "pid": …}` |
| slow:SECONDS | the same as ok, so much later |
| hang | its request taken and no answer |
| stall-headers | half of the header, then nothing |
| truncated | half of the announced body, then the end of the connection |
| wrong-length | more body than announced |
| wrong-body | 200 and a page that says nothing of its health |
| failing:SHARE | error500 for so many of the requests, by chance, else ok |
| refuse | connection refused |

What it prints is the truth about it, in seconds of CLOCK_MONOTONIC: ``12.345678 listening`` each time that it begins to
answer, and ``12.345678 mode hang`` at each change.
"""

import argparse
import errno
import json
import os
import random
import signal
import socket
import threading
import time

MODES = (
    "ok", "error500", "slow", "hang", "stall-headers", "truncated", "wrong-length", "wrong-body", "failing", "refuse",
)  # fmt: skip
_WITH_NUMBER = ("slow", "failing")
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 500: "Internal Server Error"}


class Agent:
    """The listener, and a thread for each connection."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._mode, self._number = "ok", 0.0
        self._listener = socket.socket()
        # A pipe and not an Event: a signal handler may write to it whatever the main thread is doing.
        self._woken, self._wake = os.pipe()
        signal.signal(signal.SIGURG, self._come_back)

    def run(self) -> None:
        while True:
            self._listen()
            _note("listening")
            try:
                while True:
                    connection, _ = self._listener.accept()
                    threading.Thread(target=self._talk, args=(connection,), daemon=True).start()
            except OSError:
                if self._mode != "refuse":
                    raise
            self._listener.close()
            os.read(self._woken, 1)

    def _listen(self) -> None:
        """Bind, waiting up to 5 s for a predecessor that was killed a moment ago to let go of the port."""
        for attempt in range(500):
            self._listener = socket.socket()
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                self._listener.bind((self._host, self._port))
                self._listener.listen(128)
                return
            except OSError as error:
                self._listener.close()
                if error.errno != errno.EADDRINUSE or attempt == 499:
                    raise
                time.sleep(0.01)

    def _come_back(self, number: int, frame: object) -> None:
        if self._mode == "refuse":
            self._mode = "ok"
            os.write(self._wake, b"!")

    def _set_mode(self, text: str) -> str | None:
        """Change the mode; the complaint, if it is not one."""
        mode, _, number = text.partition(":")
        if mode not in MODES or bool(number) != (mode in _WITH_NUMBER):
            return f"mode must be one of {', '.join(MODES)}, as slow:SECONDS and failing:SHARE; got {text!r}"
        self._mode, self._number = mode, float(number or 0)
        _note(f"mode {text}")
        if mode == "refuse":
            # Ends accept() and refuses from now on; close() would do neither while accept() waits.
            self._listener.shutdown(socket.SHUT_RDWR)
        return None

    def _talk(self, connection: socket.socket) -> None:
        try:
            with connection:
                head = b""
                while b"\r\n\r\n" not in head:
                    data = connection.recv(65536)
                    if not data:
                        return
                    head += data
                method, target, _ = head.decode("latin-1").split(" ", 2)
                path, _, query = target.partition("?")
                if path == "/control":
                    complaint = self._set_mode(query.removeprefix("mode="))
                    body: dict[str, object] = (
                        {"mode": self._mode} if complaint is None else {"error": complaint}
                    )
                    connection.sendall(_response(200 if complaint is None else 400, body))
                elif path == "/health":
                    self._answer(connection, method)
                else:
                    connection.sendall(_response(404, {"error": f"no such path: {path}"}))
        except OSError:
            return  # the client went away

    def _answer(self, connection: socket.socket, method: str) -> None:
        mode = self._mode
        if mode == "error500" or (mode == "failing" and random.random() < self._number):
            answer = _response(500, {"status": "error", "pid": os.getpid()})
        else:
            answer = _response(200, {"status": "ok", "pid": os.getpid()})
        head, _, body = answer.partition(b"\r\n\r\n")
        if mode == "slow":
            time.sleep(self._number)
        elif mode == "hang":
            _hold(connection)
            return
        elif mode == "stall-headers":
            connection.sendall(head[: len(head) // 2])
            _hold(connection)
            return
        elif mode == "wrong-body":
            answer = _response(200, {"notice": "this site is parked"})
        elif mode == "truncated":
            answer = answer[: -(len(body) // 2)]
        elif mode == "wrong-length":
            answer += b" and more"
        connection.sendall(head + b"\r\n\r\n" if method == "HEAD" else answer)


def _response(status: int, body: dict[str, object]) -> bytes:
    data = json.dumps(body).encode()
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(data)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + data


def _note(what: str) -> None:
    print(f"{time.monotonic():.6f} {what}", flush=True)


def _hold(connection: socket.socket) -> None:
    """Keep the connection until the client gives up."""
    while connection.recv(65536):
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description="an HTTP agent to be broken and repaired")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--boot-delay", type=float, default=0.0, help="seconds before it listens")
    parser.add_argument("--pidfile", help="written before the delay")
    options = parser.parse_args()
    if options.pidfile:
        with open(options.pidfile, "w", encoding="ascii") as file:
            file.write(f"{os.getpid()}\n")
    time.sleep(options.boot_delay)
    Agent(options.host, options.port).run()


if __name__ == "__main__":
    main()
