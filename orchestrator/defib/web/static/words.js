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
