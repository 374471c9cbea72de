// The first page: shows /api/v1/overview, and anew whenever something changed.

import { sayAll, setServerTime, startClock } from "./clock.js";
import { makeFilter } from "./filter.js";
import { keepLive, showLink } from "./live.js";
import { fillAlert, fillIncident, fillList, fillMonitor } from "./rows.js";
import { acknowledge, act, check, isOperator, recover, steer } from "./steering.js";

const MOST_INCIDENTS = 12;
const TELL_AT_ONCE = 3; // changes of state that are announced one by one; more are counted

const $ = (id) => document.getElementById(id);
let view = null;
let words = {};

async function refresh() {
  const response = await fetch("/api/v1/overview");
  if (response.status === 401) location.reload(); // the session is over: the page says what to do
  if (!response.ok) throw new Error(response.statusText);
  const newer = await response.json();
  setServerTime(newer.generated_at);
  announce(view, newer);
  if (view && view.version !== newer.version) location.reload();
  view = newer;
  draw();
}

function draw() {
  words = Object.fromEntries(view.states.map((item) => [item.state, item.word]));
  const faults = view.counts.fault ?? 0;
  document.title = `${faults ? `(${faults}) ` : ""}${view.headline} · Defib`;
  drawHero();
  $("problems").hidden = view.problems.length === 0;
  $("problems").querySelector("ul").replaceChildren(
    ...view.problems.map((problem) => Object.assign(document.createElement("li"), { textContent: problem.message })),
  );
  $("incidents").hidden = view.incidents.length === 0;
  fillList($("incidents").querySelector("ul"), view.incidents.slice(0, MOST_INCIDENTS), $("blank-incident"), fillIncident);
  const more = $("incidents").querySelector('[data-slot="more"]');
  more.hidden = view.incidents.length <= MOST_INCIDENTS;
  more.textContent = `and ${view.incidents.length - MOST_INCIDENTS} more, all in the list below`;
  $("columns").hidden = view.monitors.length === 0;
  fillList($("monitors"), view.monitors, $("blank-monitor"), (row, monitor) => fillMonitor(row, monitor, words));
  fillList($("alerts"), view.alerts, $("blank-alert"), fillAlert);
  $("no-alerts").hidden = view.alerts.length > 0;
  sift();
  sayAll();
}

function drawHero() {
  const hero = $("hero");
  hero.dataset.tone = view.tone;
  const state = view.monitors.length ? view.state : "new";
  hero.querySelector(".mark use").setAttribute("href", `#i-${state}`);
  $("headline").textContent = view.headline;
  hero.querySelector('[data-slot="total"]').textContent = view.monitors.length;
  hero.querySelector('[data-slot="noun"]').textContent = view.monitors.length === 1 ? "monitor" : "monitors";
  const strategy = hero.querySelector('[data-slot="strategy"]');
  if (strategy) strategy.textContent = view.strategy;
  const choice = $("strategy");
  if (choice && document.activeElement !== choice) choice.value = view.strategy;
  for (const item of view.states) {
    const button = $("counts").querySelector(`[data-state="${item.state}"]`);
    button.querySelector("b").textContent = item.count;
    button.parentElement.hidden = item.count === 0 && button.getAttribute("aria-pressed") !== "true";
  }
}

function sift() {
  let shown = 0;
  const rows = $("monitors").children;
  view.monitors.forEach((monitor, i) => {
    const fits = filter.fits(monitor, words[monitor.state]);
    rows[i].hidden = !fits;
    shown += fits;
  });
  $("shown").textContent = filter.isOn ? `${shown} of ${view.monitors.length} shown` : "";
  $("nothing").hidden = shown > 0 || view.monitors.length === 0;
  $("monitors").hidden = shown === 0;
}

function announce(before, after) {
  if (!before) return;
  const states = new Map(before.monitors.map((monitor) => [monitor.id, monitor.state]));
  const changed = after.monitors.filter((monitor) => states.has(monitor.id) && states.get(monitor.id) !== monitor.state);
  if (!changed.length) return;
  const told = Object.fromEntries(after.states.map((item) => [item.state, item.word.toLowerCase()]));
  $("announcer").textContent =
    changed.length > TELL_AT_ONCE
      ? `${changed.length} monitors changed. ${after.headline}.`
      : changed.map((monitor) => `${monitor.name} is ${told[monitor.state]}.`).join(" ");
}

const filter = makeFilter(() => view && (drawHero(), sift()));
$("show-all").addEventListener("click", () => filter.clear());
startClock();
const soon = keepLive(() => true, refresh, (state) => showLink(state, view?.generated_at));

if (isOperator) {
  $("strategy").addEventListener("change", (event) =>
    act(event.target, async () => {
      const name = event.target.value; // drawn anew meanwhile, it may show the former one for a moment
      await steer("PUT", "/api/v1/strategies", { name });
      soon();
      return `Strategy ${name} is in force`;
    }),
  );
  $("incidents").addEventListener("click", (event) => {
    const button = event.target.closest("[data-act]");
    if (!button) return;
    const card = button.closest(".incident");
    if (button.dataset.act === "check") act(button, () => check(card.dataset.monitor));
    else if (button.dataset.act === "ack") act(button, () => acknowledge(card.dataset.id));
    else recover(button, card.dataset.monitor, card.querySelector('[data-slot="name"]').textContent);
  });
}
