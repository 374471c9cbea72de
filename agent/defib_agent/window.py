"""``--gui``: a small window that shows how the agent does, and can start, stop and register it."""

import signal
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from defib_agent.background import Beats
from defib_agent.errors import AgentError
from defib_agent.settings import Settings

if TYPE_CHECKING:
    import tkinter
    import tkinter.ttk

_RENEW_EVERY_MS = 500
_WELL, _WAITING, _TROUBLE, _IDLE = "#1a7f37", "#9a6700", "#cf222e", "#57606a"
_PAPER = "#ffffff"
_BARS: Mapping[str, tuple[float, str]] = {
    "Green.Horizontal.TProgressbar": (70, _WELL),
    "Yellow.Horizontal.TProgressbar": (90, "#d4a72c"),
    "Red.Horizontal.TProgressbar": (float("inf"), _TROUBLE),
}
"""Style → below how many percent it shows, and in which colour; as on Defib's own pages."""
_PERCENT: Mapping[str, str] = {
    "CPU": "cpu_percent",
    "Memory": "memory_percent",
    "Swap": "swap_percent",
    "Fullest disk": "disk_percent",
}


def show(settings: Settings, *, must_register: bool = False) -> int:
    """Open the window; returns the exit status once it is closed.

    :raises AgentError: there is nothing to show it with.
    """
    try:
        import tkinter
    except ImportError:
        raise AgentError("--gui needs Tk, which this Python lacks (Debian: apt install python3-tk)") from None
    try:
        root = tkinter.Tk()
    except tkinter.TclError as error:
        raise AgentError(f"--gui needs a display: {error}") from None
    window = Window(root, settings, must_register=must_register)
    root.protocol("WM_DELETE_WINDOW", window.close)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: root.after_idle(window.close))  # heard when it is renewed next
    if settings.auto_start:
        window.start()
    root.mainloop()
    return 0


class Window:
    """The window. Everything in it runs in Tk's thread; the agent has one of its own."""

    def __init__(self, root: "tkinter.Tk", settings: Settings, *, must_register: bool = False) -> None:
        from tkinter import ttk

        self._root = root
        self._settings = settings
        self._must_register = must_register
        self._beats: Beats | None = None
        root.title("Defib agent")
        root.minsize(420, 0)
        _paint(ttk.Style(root))
        frame = ttk.Frame(root, padding=16)
        frame.pack(fill="both", expand=True)
        frame.columnconfigure(1, weight=1)
        self._state = ttk.Label(frame, font=("TkDefaultFont", 14, "bold"))
        self._state.grid(row=0, column=0, columnspan=3, sticky="w")
        self._where = ttk.Label(frame, foreground=_IDLE)
        self._where.grid(row=1, column=0, columnspan=3, sticky="w")
        self._error = ttk.Label(frame, foreground=_TROUBLE, wraplength=400, justify="left")
        self._error.grid(row=2, column=0, columnspan=3, sticky="w", pady=(4, 8))
        self._bars = {name: self._bar(frame, 3 + row, name) for row, name in enumerate(_PERCENT)}
        self._texts = {name: self._text(frame, 7 + row, name) for row, name in enumerate(_PLAIN)}
        self._sent = self._text(frame, 15, "Beats")
        buttons = ttk.Frame(frame)
        buttons.grid(row=16, column=0, columnspan=3, sticky="e", pady=(12, 0))
        self._start = ttk.Button(buttons, text="Start", command=self.start)
        self._stop = ttk.Button(buttons, text="Stop", command=self.stop)
        self._register = ttk.Button(buttons, text="Register", command=self.register)
        for button in (self._start, self._stop, self._register):
            button.pack(side="left", padx=(8, 0))
        self.renew()

    def _bar(
        self, frame: "tkinter.ttk.Frame", row: int, name: str
    ) -> tuple["tkinter.ttk.Progressbar", "tkinter.ttk.Label"]:
        from tkinter import ttk

        ttk.Label(frame, text=name).grid(row=row, column=0, sticky="w", padx=(0, 12), pady=2)
        bar = ttk.Progressbar(frame, maximum=100)
        bar.grid(row=row, column=1, sticky="ew")
        label = ttk.Label(frame, width=9, anchor="e")
        label.grid(row=row, column=2, sticky="e")
        return bar, label

    def _text(self, frame: "tkinter.ttk.Frame", row: int, name: str) -> "tkinter.ttk.Label":
        from tkinter import ttk

        ttk.Label(frame, text=name).grid(row=row, column=0, sticky="w", padx=(0, 12), pady=2)
        label = ttk.Label(frame, anchor="e")
        label.grid(row=row, column=1, columnspan=2, sticky="e")
        return label

    # --- buttons -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Beat."""
        if self._beats is not None:
            return
        try:
            self._beats = Beats(self._settings, must_register=self._must_register)
        except AgentError as error:
            self._error.configure(text=str(error))
            return
        self._must_register = False
        self._beats.start()
        self.renew(again=False)

    def stop(self) -> None:
        """Say goodbye."""
        beats, self._beats = self._beats, None
        if beats is not None:
            self._state.configure(text="Stopping …", foreground=_IDLE)
            self._root.update_idletasks()
            beats.stop()
        self.renew(again=False)

    def register(self) -> None:
        """Register anew and beat."""
        self.stop()
        self._must_register = True
        self.start()

    def close(self) -> None:
        """Stop and go."""
        self.stop()
        self._root.destroy()

    # --- what is shown -----------------------------------------------------------------------------

    def renew(self, *, again: bool = True) -> None:
        """Show how it does now; with ``again``, keep doing so."""
        beats = self._beats
        self._start.state(["disabled" if beats is not None else "!disabled"])
        self._stop.state(["!disabled" if beats is not None else "disabled"])
        word, colour = _headline(beats)
        self._state.configure(text=word, foreground=colour)
        who = (
            (beats.status.agent_id if beats is not None else "")
            or self._settings.agent_id
            or "not registered"
        )
        self._where.configure(text=f"{who}  →  {self._settings.socket_path or self._settings.server_url}")
        if beats is not None:
            self._show(beats)
        if again:
            self._root.after(_RENEW_EVERY_MS, self.renew)

    def _show(self, beats: Beats) -> None:
        status, metrics = beats.status, beats.status.sample.metrics
        self._error.configure(text=status.error)
        for name, (bar, label) in self._bars.items():
            value = metrics.get(_PERCENT[name])
            bar.configure(value=value or 0, style=_bar_style(value or 0))
            label.configure(text="–" if value is None else f"{value:.0f} %")
        for name, text in self._texts.items():
            key, shown = _PLAIN[name]
            text.configure(text=shown(metrics[key]) if key in metrics else "–")
        if "connections_udp" in metrics:
            self._texts["TCP / UDP"].configure(
                text=f"{metrics['connections_tcp']:.0f} / {metrics['connections_udp']:.0f}"
            )
        self._sent.configure(
            text=f"{status.delivered} delivered, {status.waiting} waiting, {status.lost} lost"
        )


def _paint(style: "tkinter.ttk.Style") -> None:
    style.theme_use("clam")
    style.configure(".", background=_PAPER)
    for name, (_, colour) in _BARS.items():
        style.configure(name, background=colour, troughcolor="#eaeef2", bordercolor="#d0d7de", lightcolor=colour,
                        darkcolor=colour)  # fmt: skip


def _bar_style(percent: float) -> str:
    return next((name for name, (limit, _) in _BARS.items() if percent < limit), list(_BARS)[-1])


def _headline(beats: Beats | None) -> tuple[str, str]:
    if beats is None:
        return "Stopped", _IDLE
    if beats.status.is_well is None:
        return "Connecting …", _WAITING
    return ("Beating", _WELL) if beats.status.is_well else ("Not delivered", _TROUBLE)


def size(value: float) -> str:
    """Bytes for people: ``1.5 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def span(seconds: float) -> str:
    """A long time for people: ``3 d 4 h``, ``12 min``."""
    minutes = int(seconds // 60)
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


_PLAIN: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "Load": ("load1", lambda value: f"{value:.2f}"),
    "Temperature": ("temperature_c", lambda value: f"{value:.0f} °C"),
    "Network in": ("net_in_bytes_per_s", lambda value: f"{size(value)}/s"),
    "Network out": ("net_out_bytes_per_s", lambda value: f"{size(value)}/s"),
    "Processes": ("processes", lambda value: f"{value:.0f}"),
    "TCP / UDP": ("connections_tcp", lambda value: f"{value:.0f}"),
    "Up for": ("uptime_s", span),
}
