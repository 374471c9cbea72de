// The pages of incidents, alerts, silences and maintenance: read anew whenever something happened that they show.

import { startClock } from "./clock.js";
import { letAct } from "./desk_acts.js";
import { keepLive, showLink } from "./live.js";
import { refreshParts, since } from "./parts.js";
import { isOperator } from "./steering.js";
import { letMake } from "./window_form.js";

const about = document.getElementById("steer")?.dataset.monitor ?? null;
const TYPES = new Set(["incident", "delivery", "windows", "recovery", "reload", "resync"]);
const concerns = (event) => TYPES.has(event.type) && (about === null || event.monitor === null || event.monitor === about);

startClock();
const soon = keepLive(concerns, refreshParts, (state) => showLink(state, since()));

if (isOperator) {
  letAct(document.getElementById("main"), soon);
  letMake(document.getElementById("make-window"), soon);
}
