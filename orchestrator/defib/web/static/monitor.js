// A monitor's page: its parts are taken from a fresh copy of the page whenever something happened to it.

import { startClock } from "./clock.js";
import { letAct } from "./desk_acts.js";
import { keepLive, showLink } from "./live.js";
import { refreshParts, since } from "./parts.js";
import { act, check, isOperator, steer } from "./steering.js";

const id = decodeURIComponent(location.pathname.split("/").pop());
const concerns = (event) => event.monitor === id || event.monitor === null;

startClock();
const soon = keepLive(concerns, refreshParts, (state) => showLink(state, since()));

if (isOperator) {
  const bar = document.getElementById("steer");
  bar.querySelector('[data-act="check"]').addEventListener("click", (event) => act(event.target, () => check(id)));
  letAct(bar, soon);
  document.getElementById("strategy").addEventListener("change", (event) =>
    act(event.target, async () => {
      const name = event.target.value || null;
      await steer("PUT", "/api/v1/strategies", { name, monitor: id });
      soon();
      return `${bar.dataset.name}: strategy ${name ?? "as configured"}`;
    }),
  );
}
