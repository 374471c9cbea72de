// Keeps a page up to date: listens for events, falls back to asking regularly, and says how the connection is.

const SILENCE = 40_000; // milliseconds without a word from the server, which says "alive" each 15 seconds
const SOONEST = 1_000; // between two refreshes
const POLL = 5_000; // while there is no WebSocket
const SLOWEST_RETRY = 15_000;

/**
 * @param {(event: {type: string, monitor: string|null}) => boolean} concerns whether an event matters to the page
 * @param {() => Promise<void>} refresh reads and shows the present state; rejects when the server cannot be reached
 * @param {(state: "live"|"polling"|"lost") => void} show
 */
export function keepLive(concerns, refresh, show) {
  let socket = null;
  let watchdog = 0;
  let retry = 1_000;
  let pending = 0;
  let last = -SOONEST;
  let running = false;
  let again = false;

  const isOpen = () => socket !== null && socket.readyState === WebSocket.OPEN;

  function soon() {
    if (document.hidden) {
      again = true;
      return;
    }
    if (pending) return;
    pending = setTimeout(run, Math.max(0, last + SOONEST - performance.now()));
  }

  async function run() {
    pending = 0;
    if (running) {
      again = true;
      return;
    }
    running = true;
    again = false;
    last = performance.now();
    try {
      await refresh();
      show(isOpen() ? "live" : "polling");
    } catch {
      show("lost");
    }
    running = false;
    if (again) soon();
  }

  function heard() {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => socket?.close(), SILENCE);
  }

  function connect() {
    socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/v1/events`);
    socket.onopen = () => {
      retry = 1_000;
      heard();
      soon(); // what happened in between was missed
    };
    socket.onmessage = (message) => {
      heard();
      const event = JSON.parse(message.data);
      if (event.type !== "alive" && concerns(event)) soon();
    };
    socket.onclose = () => {
      clearTimeout(watchdog);
      socket = null;
      soon(); // tells whether the server is gone, or only the WebSocket
      setTimeout(connect, retry * (0.75 + Math.random() / 2));
      retry = Math.min(retry * 2, SLOWEST_RETRY);
    };
  }

  setInterval(() => {
    if (!isOpen()) soon();
  }, POLL);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) soon();
  });
  connect();
  return soon;
}

const WORDS = { live: "Live", polling: "Live, by asking each 5 s", lost: "Connection lost" };

/** Shows the state of the connection in the page's frame; `since` is the instant of what is shown. */
export function showLink(state, since) {
  const link = document.getElementById("link");
  if (link && link.dataset.link !== state) {
    link.dataset.link = state;
    document.getElementById("link-word").textContent = WORDS[state];
  }
  const lost = document.getElementById("lost");
  if (state === "lost") {
    if (since) document.getElementById("lost-since").dateTime = since;
    lost.hidden = false;
  } else {
    lost.hidden = true;
  }
}
