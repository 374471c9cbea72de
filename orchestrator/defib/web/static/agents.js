// The agents, or those of a pool: shows what the server sends, as it comes.

import { fillAgent, STATES } from "./agent_rows.js";
import { setServerTime, startClock } from "./clock.js";
import { makeFilter } from "./filter.js";
import { showLink } from "./live.js";
import { fillList } from "./rows.js";
import { act, isOperator, steer } from "./steering.js";
import { keepStream } from "./stream.js";
import { standing } from "./words.js";

const TELL_AT_ONCE = 3; // changes of status that are announced one by one; more are counted
const MOST = 1000; // agents that are asked for at a time

const $ = (id) => document.getElementById(id);
const pool = $("hero").dataset.pool;
const query = pool === undefined ? "" : `?${new URLSearchParams({ pool })}`;
const ORDER = [...$("counts").querySelectorAll("button")].map((button) => button.dataset.state);
const TONES = { fault: "bad", unreachable: "bad", suspect: "warn", degraded: "warn", up: "ok" };
const TROUBLES = { fault: "offline", unreachable: "reporting an error", suspect: "late", degraded: "degraded" };
let agents = null; // by id
let shownAt = null;

function take(message) {
  if (message.now) {
    setServerTime(message.now);
    shownAt = message.now;
  }
  const before = agents;
  agents = message.type === "agents" ? new Map() : new Map(before);
  for (const item of message.items) agents.set(item.id, item);
  for (const id of message.gone ?? []) agents.delete(id);
  announce(before, agents);
  draw();
}

async function poll() {
  const address = new URL("/api/v1/agents", location.href);
  address.searchParams.set("limit", MOST);
  if (pool !== undefined) address.searchParams.set("pool", pool);
  const response = await fetch(address);
  if (response.status === 401) location.reload(); // the session is over: the page says what to do
  if (!response.ok) throw new Error(response.statusText);
  take({ type: "agents", now: new Date().toISOString(), ...(await response.json()) });
}

const rank = (agent) => ORDER.indexOf(STATES[agent.status]);
const key = (agent) => [agent.name.toLowerCase(), agent.id];

function compare(one, other) {
  const [a, b] = [key(one), key(other)];
  return rank(one) - rank(other) || (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : a[1] < b[1] ? -1 : 1);
}

function draw() {
  markTwins();
  const list = [...agents.values()].sort(compare);
  drawHero(list);
  $("empty").hidden = list.length > 0;
  $("columns").hidden = list.length === 0;
  fillList($("agents"), list, $("blank-agent"), fillAgent);
  sift(list);
}

function markTwins() {
  const looks = (agent) => `${agent.name}\n${agent.hostname}`;
  const counts = new Map();
  for (const agent of agents.values()) counts.set(looks(agent), (counts.get(looks(agent)) ?? 0) + 1);
  for (const [id, agent] of agents) {
    const has_twin = counts.get(looks(agent)) > 1;
    if (agent.has_twin !== has_twin) agents.set(id, { ...agent, has_twin });
  }
}

function drawHero(list) {
  const counts = Object.fromEntries(ORDER.map((state) => [state, 0]));
  for (const agent of list) counts[STATES[agent.status]] += 1;
  const worst = ORDER.find((state) => counts[state]) ?? "new";
  const hero = $("hero");
  hero.dataset.tone = TONES[worst] ?? "idle";
  hero.querySelector(".mark use").setAttribute("href", `#i-${worst}`);
  const words = headline(counts, list.length);
  if ($("headline").textContent !== words) $("headline").textContent = words;
  document.title = `${words} · ${pool ? `${pool} · ` : ""}Defib`;
  for (const button of $("counts").querySelectorAll("button")) {
    const count = counts[button.dataset.state];
    button.querySelector("b").textContent = count;
    button.parentElement.hidden = count === 0 && button.getAttribute("aria-pressed") !== "true";
  }
}

function headline(counts, total) {
  if (!total) return "No agents yet";
  const all = `${total} ${total === 1 ? "agent" : "agents"}`;
  for (const [state, word] of Object.entries(TROUBLES)) if (counts[state]) return `${counts[state]} of ${all} ${word}`;
  return counts.up === total ? `${all} online` : `${counts.up} of ${all} online`;
}

const searched = (agent) => ({
  ...agent,
  state: STATES[agent.status],
  type: agent.pool,
  target: `${agent.hostname} ${agent.os} ${agent.id} ${standing(agent)}`,
});

function sift(list) {
  let shown = 0;
  for (const row of $("agents").children) {
    const fits = !filter.isOn || filter.fits(searched(row.shown), row.shown.word);
    if (row.hidden === fits) row.hidden = !fits;
    shown += fits;
  }
  $("shown").textContent = filter.isOn ? `${shown} of ${list.length} shown` : "";
  $("nothing").hidden = shown > 0 || list.length === 0;
  $("agents").hidden = shown === 0;
}

function announce(before, after) {
  if (!before) return;
  const changed = [...after.values()].filter((agent) => before.has(agent.id) && before.get(agent.id).status !== agent.status);
  if (!changed.length) return;
  $("announcer").textContent =
    changed.length > TELL_AT_ONCE
      ? `${changed.length} agents changed.`
      : changed.map((agent) => `${agent.name} is ${agent.word.toLowerCase()}.`).join(" ");
}

const filter = makeFilter(() => agents && draw());
$("show-all").addEventListener("click", () => filter.clear());
startClock();
keepStream(query, take, poll, (state) => showLink(state, shownAt));

if (isOperator) {
  $("make-token").addEventListener("click", (event) =>
    act(event.target, async () => {
      const made = await steer("POST", "/api/v1/tokens", { name: event.target.dataset.name, scope: "ingest" });
      for (const place of document.querySelectorAll('[data-slot="token"]')) place.textContent = made.text;
      $("token-note").textContent = "It stands below, and is never shown again: copy it now.";
      return `Token ${made.token.name} was made`;
    }),
  );
}
