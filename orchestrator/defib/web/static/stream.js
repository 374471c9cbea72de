// Keeps a page of agents up to date: they are sent over a WebSocket; without one they are asked for regularly.

const SILENCE = 40_000; // milliseconds without a word from the server, which says "alive" each 15 seconds
const POLL = 5_000; // while there is no WebSocket
const SLOWEST_RETRY = 15_000;

/**
 * @param {string} query of which agents: "", "?pool=…" or "?agent=…"
 * @param {(message: {type: string, now: string, items: object[], gone?: string[]}) => void} take shows what came
 * @param {() => Promise<void>} poll asks for everything and shows it; rejects when the server cannot be reached
 * @param {(state: "live"|"polling"|"lost") => void} show
 */
export function keepStream(query, take, poll, show) {
  let socket = null;
  let watchdog = 0;
  let retry = 1_000;
  let retrying = 0;
  let polling = false;

  function heard() {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => socket?.close(), SILENCE);
  }

  async function ask() {
    if (socket?.readyState === WebSocket.OPEN || document.hidden || polling) return;
    polling = true;
    try {
      await poll();
      if (socket?.readyState !== WebSocket.OPEN) show("polling");
    } catch {
      if (socket?.readyState !== WebSocket.OPEN) show("lost");
    }
    polling = false;
  }

  function connect() {
    clearTimeout(retrying);
    if (document.hidden || socket) return;
    const opened = new WebSocket(
      `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/v1/agents/live${query}`,
    );
    socket = opened;
    opened.onopen = heard;
    opened.onmessage = (event) => {
      heard();
      retry = 1_000;
      const message = JSON.parse(event.data);
      if (message.type !== "alive") take(message);
      show("live");
    };
    opened.onclose = () => {
      if (socket !== opened) return; // the page was hidden
      clearTimeout(watchdog);
      socket = null;
      ask(); // tells whether the server is gone, or only the WebSocket
      retrying = setTimeout(connect, retry * (0.75 + Math.random() / 2));
      retry = Math.min(retry * 2, SLOWEST_RETRY);
    };
  }

  setInterval(ask, POLL);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) {
      connect();
      return;
    }
    clearTimeout(watchdog);
    const closing = socket;
    socket = null; // a page that nobody sees is told nothing
    closing?.close();
  });
  connect();
}
