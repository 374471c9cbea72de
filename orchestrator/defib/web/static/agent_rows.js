// Fills copies of the blank row of an agent that the server put into the page.

import { setTime } from "./clock.js";
import { hour, trend } from "./drawing.js";
import { attribute, icon, slot, tag, text } from "./rows.js";
import { GRADES, about, level, load, rate, standing, work } from "./words.js";

export const STATES = {
  online: "up",
  degraded: "degraded",
  warning: "suspect",
  error: "unreachable",
  offline: "fault",
  stopped: "stopped",
  unknown: "new",
};

function fillBar(bar, percent) {
  const grade = level(percent);
  attribute(bar, "data-level", grade);
  text(bar.querySelector("b"), load(percent));
  text(bar.querySelector(".grade"), GRADES[grade]);
  const meter = bar.querySelector("meter");
  meter.hidden = percent === null;
  attribute(meter, "value", String(percent ?? 0));
}

export function fillAgent(row, agent) {
  if (row.shown === agent) return; // nothing new of it came
  row.shown = agent;
  const state = STATES[agent.status];
  attribute(row, "data-id", agent.id);
  attribute(row, "data-state", state);
  icon(row.querySelector(".state .icon"), state);
  text(slot(row, "word"), agent.word);
  text(slot(row, "says"), agent.says);
  const stands = slot(row, "standing");
  stands.hidden = !standing(agent);
  text(stands, standing(agent));
  const name = slot(row, "name");
  text(name, agent.name);
  attribute(name, "href", `/agents/${encoded(agent.id)}`);
  text(slot(row, "about"), about(agent));
  const pool = slot(row, "pool");
  pool.hidden = !agent.pool;
  text(pool, agent.pool);
  attribute(pool, "href", `/pools/${encoded(agent.pool)}`);
  const tags = slot(row, "tags");
  if ([...tags.children].map((item) => item.textContent).join() !== agent.tags.join()) tags.replaceChildren(...agent.tags.map(tag));
  fillBar(slot(row, "cpu"), agent.metrics.cpu_percent ?? null);
  fillBar(slot(row, "memory"), agent.metrics.memory_percent ?? null);
  fillBar(slot(row, "disk"), agent.disk_percent);
  text(slot(row, "in"), `↓ ${rate(agent.metrics.net_in_bytes_per_s ?? null)}`);
  text(slot(row, "out"), `↑ ${rate(agent.metrics.net_out_bytes_per_s ?? null)}`);
  text(slot(row, "work"), work(agent.tasks));
  const line = row.querySelector(".hour");
  text(line.querySelector("title"), `CPU. ${trend(agent.cpu_hour)}`);
  attribute(line.querySelector(".curve"), "d", hour(agent.cpu_hour));
  const seen = slot(row, "seen");
  seen.hidden = !agent.last_seen;
  setTime(seen.firstElementChild, agent.last_seen);
  slot(row, "connected").hidden = !agent.connected;
}

const encoded = (name) => name.split("/").map(encodeURIComponent).join("/");
