// Fills copies of the blank rows that the server put into the page, so that there is one markup for both.

import { setTime } from "./clock.js";
import { cells, day, line } from "./drawing.js";
import { deliveries, latency } from "./words.js";

export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

export function attribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

export function icon(svg, name) {
  attribute(svg.firstElementChild, "href", `#i-${name}`);
}

export const slot = (row, name) => row.querySelector(`[data-slot="${name}"]`);

export function tag(word) {
  const made = document.createElement("span");
  made.className = "tag";
  made.textContent = word;
  return made;
}

export function fillMonitor(row, monitor, words) {
  attribute(row, "data-id", monitor.id);
  attribute(row, "data-state", monitor.state);
  attribute(row, "data-look", monitor.inconclusive ? "inconclusive" : "clear");
  icon(row.querySelector(".state .icon"), monitor.state);
  text(slot(row, "word"), words[monitor.state]);
  setTime(row.querySelector(".word time"), monitor.since);
  const name = slot(row, "name");
  text(name, monitor.name);
  attribute(name, "href", `/monitors/${monitor.id}`);
  slot(row, "flaps").hidden = !monitor.flapping;
  text(slot(row, "type"), monitor.type);
  text(slot(row, "target"), monitor.target);
  const tags = slot(row, "tags");
  if ([...tags.children].map((tag) => tag.textContent).join() !== monitor.tags.join()) {
    tags.replaceChildren(...monitor.tags.map(tag));
  }
  text(slot(row, "says"), monitor.says);
  text(slot(row, "latency"), latency(monitor.latency_ms));
  attribute(row.querySelector(".spark polyline"), "points", line(monitor.latencies_ms));
  const bar = row.querySelector(".hours");
  text(bar.querySelector("title"), day(monitor.hours));
  for (const [kind, path] of cells(monitor.hours)) attribute(bar.querySelector(`.${kind}`), "d", path);
  const seen = slot(row, "seen");
  seen.hidden = !monitor.last_seen;
  setTime(seen.firstElementChild, monitor.last_seen);
  const due = slot(row, "due");
  due.hidden = !monitor.deadline;
  setTime(due.querySelector("time"), monitor.deadline);
  const late = slot(row, "late");
  late.hidden = monitor.suspicion === null;
  late.value = monitor.suspicion ?? 0;
  const recovery = slot(row, "recovery");
  recovery.hidden = monitor.recovery.mode === "none";
  text(recovery, `recovery ${monitor.recovery.mode}`);
}

export function fillIncident(card, incident) {
  attribute(card, "data-id", incident.id);
  attribute(card, "data-monitor", incident.monitor);
  const name = slot(card, "name");
  text(name, incident.name);
  attribute(name, "href", `/monitors/${incident.monitor}`);
  setTime(card.querySelector(".for time"), incident.fault_at);
  attribute(slot(card, "story"), "href", `/incidents/${incident.id}`);
  slot(card, "acked").hidden = incident.acked_at === null;
  text(slot(card, "seer"), `${incident.acked_by} sees to it`);
  const ack = slot(card, "ack");
  if (ack) ack.hidden = incident.acked_at !== null;
  text(slot(card, "summary"), incident.summary);
  const others = slot(card, "with");
  others.hidden = incident.together.length === 0;
  text(others, `and with it ${incident.together.join(", ")}`);
  attribute(card.querySelector(".doing"), "data-step", incident.recovery.case?.state ?? "none");
  text(slot(card, "doing"), incident.recovery.doing);
  const recover = slot(card, "recover");
  if (recover) recover.hidden = incident.recovery.mode === "none";
}

export function fillAlert(item, alert) {
  attribute(item, "data-id", alert.id);
  attribute(item, "data-severity", alert.severity);
  text(slot(item, "severity"), alert.severity);
  text(slot(item, "title"), alert.title);
  setTime(item.querySelector("time"), alert.at);
  text(slot(item, "delivery"), deliveries(alert.deliveries));
}

/** Makes the children of `list` show `items`, in their order, keeping what is there already, focus included. */
export function fillList(list, items, blank, fill) {
  const known = new Map([...list.children].map((row) => [row.dataset.id, row]));
  const focused = list.contains(document.activeElement) ? document.activeElement : null;
  let at = list.firstElementChild;
  for (const item of items) {
    const row = known.get(item.id) ?? blank.content.firstElementChild.cloneNode(true);
    known.delete(item.id);
    fill(row, item);
    if (row === at) at = at.nextElementSibling;
    else list.insertBefore(row, at);
  }
  for (const row of known.values()) row.remove();
  if (focused?.isConnected && document.activeElement !== focused) focused.focus({ preventScroll: true });
}
