// Spans of time and numbers as the server shows them: web/words.py says the same things.

export function span(seconds) {
  const whole = Math.max(0, Math.trunc(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.trunc(whole / 60)} min`;
  if (whole < 86400) return `${Math.trunc(whole / 3600)} h ${Math.trunc((whole % 3600) / 60)} min`;
  return `${Math.trunc(whole / 86400)} d ${Math.trunc((whole % 86400) / 3600)} h`;
}

export function ago(seconds) {
  if (seconds < 10) return "just now";
  if (seconds < 60) return `${Math.trunc(seconds / 10) * 10} s ago`;
  return `${span(seconds)} ago`;
}

export function ahead(seconds) {
  return seconds >= 0 ? `in ${span(seconds)}` : `${span(-seconds)} late`;
}

export function heard(seconds) {
  return `${span(seconds)} ago`;
}

export function load(percent) {
  if (percent === null) return "–";
  return percent < 10 ? `${Math.floor(percent * 10 + 0.5) / 10} %` : `${Math.floor(percent + 0.5)} %`;
}

export function level(percent) {
  if (percent === null) return "none";
  return percent <= 70 ? "ok" : percent <= 90 ? "warn" : "bad";
}

export const GRADES = { ok: "", warn: "high", bad: "very high", none: "" };

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

export function size(number) {
  if (number === null) return "–";
  let unit = 0;
  let value = Math.max(0, number);
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  if (unit && value < 99.95) return `${Math.floor(value * 10 + 0.5) / 10} ${UNITS[unit]}`;
  return `${Math.floor(value + 0.5)} ${UNITS[unit]}`;
}

export function rate(number) {
  return number === null ? "–" : `${size(number)}/s`;
}

export function about(agent) {
  return [agent.has_twin ? agent.id : "", agent.hostname === agent.name ? "" : agent.hostname, agent.os].filter(Boolean).join(" · ");
}

export function standing(agent) {
  return agent.kept_out_at ? "kept out" : agent.aside;
}

export function work(tasks) {
  if (!tasks.length) return "–";
  const [first] = tasks;
  const place = first.workspace ? ` (${first.workspace})` : "";
  const more = tasks.length > 1 ? ` and ${tasks.length - 1} more` : "";
  return [first.kind, first.id].filter(Boolean).join(" ") + place + more;
}

export function latency(milliseconds) {
  if (milliseconds === null) return "–";
  if (milliseconds < 0.95) return `${(Math.floor(milliseconds * 10 + 0.5) / 10).toFixed(1)} ms`;
  if (milliseconds < 999.5) return `${Math.floor(milliseconds + 0.5)} ms`;
  return `${(Math.floor(milliseconds / 10 + 0.5) / 100).toFixed(2)} s`;
}

export function deliveries(items) {
  const channels = (fits) => items.filter(fits).map((item) => item.channel).join(", ");
  const dead = channels((item) => item.state === "dead");
  const late = channels((item) => item.state === "pending" && item.tries > 0);
  return (dead ? ` · not delivered through ${dead}` : "") + (late ? ` · ${late} does not take it yet` : "");
}
