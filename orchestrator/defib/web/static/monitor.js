// A monitor's page: its parts are taken from a fresh copy of the page whenever something happened to it.

import { sayAll, startClock } from "./clock.js";
import { keepLive, showLink } from "./live.js";
import { act, check, isOperator, recover, steer } from "./steering.js";

const id = decodeURIComponent(location.pathname.split("/").pop());
let shownAt = new Date().toISOString();

async function refresh() {
  const response = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (response.status === 401 || response.status === 404) location.reload();
  if (!response.ok) throw new Error(response.statusText);
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  const open = [...document.querySelectorAll("details[open]")].map((item) => item.id);
  const reading = document.activeElement?.closest("[data-live]");
  const before = document.querySelector(".subject").dataset.state;
  for (const part of document.querySelectorAll("[data-live]")) {
    const newer = fresh.getElementById(part.id);
    if (part === reading || part.innerHTML === newer.innerHTML) continue; // never move what somebody is at
    part.replaceChildren(...newer.childNodes);
  }
  for (const name of open) document.getElementById(name)?.setAttribute("open", "");
  document.title = fresh.title;
  const after = document.querySelector(".subject").dataset.state;
  if (after !== before) document.getElementById("announcer").textContent = fresh.title.split(" · ")[0];
  shownAt = new Date().toISOString();
  sayAll();
}

const concerns = (event) => event.monitor === id || event.monitor === null;

startClock();
const soon = keepLive(concerns, refresh, (state) => showLink(state, shownAt));

if (isOperator) {
  const bar = document.getElementById("steer");
  bar.querySelector('[data-act="check"]').addEventListener("click", (event) => act(event.target, () => check(id)));
  bar.querySelector('[data-act="recover"]').addEventListener("click", (event) => recover(event.target, id, bar.dataset.name));
  document.getElementById("strategy").addEventListener("change", (event) =>
    act(event.target, async () => {
      const name = event.target.value || null;
      await steer("PUT", "/api/v1/strategies", { name, monitor: id });
      soon();
      return `${bar.dataset.name}: strategy ${name ?? "as configured"}`;
    }),
  );
}
