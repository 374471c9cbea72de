// An agent's page: its parts are taken anew whenever the server says that it reported or stands otherwise.

import { setServerTime, startClock } from "./clock.js";
import { showLink } from "./live.js";
import { refreshParts, since } from "./parts.js";
import { act, isOperator, steer } from "./steering.js";
import { keepStream } from "./stream.js";

const SOONEST = 1_000; // milliseconds between two refreshes

const id = document.getElementById("live-head").dataset.agent;
let pending = 0;
let last = -SOONEST;

async function refresh() {
  pending = 0;
  last = performance.now();
  try {
    await refreshParts();
  } catch {
    // the stream notices by itself when the server is gone
  }
}

function take(message) {
  setServerTime(message.now);
  if (!pending) pending = setTimeout(refresh, Math.max(0, last + SOONEST - performance.now()));
}

startClock();
keepStream(`?${new URLSearchParams({ agent: id })}`, take, refreshParts, (state) => showLink(state, since()));

if (isOperator) {
  const bar = document.getElementById("steer");
  const address = `/api/v1/agents/${encodeURIComponent(id)}`;
  const ask = (name, answer, work) => {
    const dialog = document.getElementById(`${name}-dialog`);
    document.getElementById(name).addEventListener("click", (event) => {
      dialog.returnValue = "";
      dialog.onclose = () => dialog.returnValue === answer && act(event.target, () => work(dialog.querySelector("form")));
      dialog.showModal();
    });
  };
  const acts = { "keep-out": "kept out", "let-in": "let in again" };
  bar.addEventListener("click", (event) => {
    const wanted = event.target.dataset.act;
    if (!wanted) return;
    act(event.target, async () => {
      await steer("POST", `${address}/${wanted}`);
      await refreshParts();
      return `${bar.dataset.name} is ${acts[wanted]}`;
    });
  });
  ask("edit", "save", async (form) => {
    const tags = form.elements.tags.value.split(",").map((tag) => tag.trim()).filter(Boolean);
    const name = form.elements.name.value.trim();
    await steer("PATCH", address, { name, tags, pool: form.elements.pool.value.trim() });
    await refreshParts();
    return `${name} was changed`;
  });
  ask("remove", "remove", async () => {
    await steer("DELETE", address);
    location.assign("/agents");
    return `${bar.dataset.name} was removed`;
  });
}
