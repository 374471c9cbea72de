"""Debian's Alertmanager, on loopback, with a folder and a configuration of its own."""

import json
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

from defib_testkit.ports import free_port
from defib_testkit.requirement import require
from defib_testkit.waiting import wait_until

_PROGRAM = "prometheus-alertmanager"


class Alertmanager:
    """Runs from construction to :meth:`close`; tells ``receiver`` by webhook, the first time after ``group_wait_s``."""

    def __init__(self, folder: Path, receiver: str, *, group_wait_s: float = 0.5) -> None:
        program = shutil.which(_PROGRAM)
        if program is None:
            require("Alertmanager", f"apt install {_PROGRAM}")
        self.port = free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        folder.mkdir(parents=True, exist_ok=True)
        settings = {
            "route": {
                "receiver": "sink", "group_by": ["monitor"], "repeat_interval": "1h",
                "group_wait": f"{int(group_wait_s * 1000)}ms", "group_interval": "200ms",
            },
            "receivers": [{"name": "sink", "webhook_configs": [{"url": receiver, "send_resolved": True}]}],
        }  # fmt: skip
        (folder / "alertmanager.yml").write_text(json.dumps(settings))  # JSON is YAML
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [program, f"--config.file={folder / 'alertmanager.yml'}", f"--storage.path={folder / 'data'}",
                 f"--web.listen-address=127.0.0.1:{self.port}", "--cluster.listen-address="],
                stdout=log, stderr=log,
            )  # fmt: skip
        try:
            wait_until(lambda: self._get("/-/ready") is not None, 20.0, "Alertmanager to listen")
        except TimeoutError:
            self.close()
            raise

    def held(self) -> list[dict[str, Any]]:
        """The alerts that are in force."""
        alerts: list[dict[str, Any]] = json.loads(self._get("/api/v2/alerts"))
        return alerts

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.origin + path, timeout=5) as answer:
            body: bytes = answer.read()
            return body
