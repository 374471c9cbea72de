// Small pictures as SVG geometry: web/drawing.py computes the same for the first view of a page.

const round = (value) => Math.floor(value * 10 + 0.5) / 10;
const KINDS = ["ok", "some", "bad", "none"];

export function line(values) {
  if (values.length < 2) return "";
  const top = Math.max(...values, 0.001);
  const step = 100 / (values.length - 1);
  return values.map((value, i) => `${round(i * step)},${round(23 - (value / top) * 22)}`).join(" ");
}

export function hour(means) {
  const step = 100 / Math.max(1, means.length - 1);
  let path = "";
  let was = false;
  means.forEach((mean, i) => {
    if (mean !== null) {
      const alone = !was && (means[i + 1] ?? null) === null;
      const y = round(23 - (Math.min(100, mean) / 100) * 22);
      path += `${was ? "L" : "M"}${round(i * step)},${y}${alone ? "h0" : ""}`;
    }
    was = mean !== null;
  });
  return path;
}

export function trend(means) {
  const known = means.filter((mean) => mean !== null);
  if (!known.length) return "Last hour: nothing reported";
  const whole = (value) => Math.floor(value + 0.5);
  return `Last hour: ${whole(Math.min(...known))} to ${whole(Math.max(...known))} %, now ${whole(known.at(-1))} %`;
}

export function cells(hours) {
  return KINDS.map((kind) => [kind, hours.map((hour, i) => (hour === kind ? `M${i} 0h.78v1h-.78z` : "")).join("")]);
}

export function day(hours) {
  const count = (kind) => hours.filter((hour) => hour === kind).length;
  const [bad, some] = [count("bad"), count("some")];
  if (count("none") === hours.length) return "Last 24 hours: nothing seen";
  if (!bad && !some) return "Last 24 hours: all well";
  const said = [];
  if (bad) said.push(`${bad} ${bad === 1 ? "hour" : "hours"} bad`);
  if (some) said.push(`${some} with failures`);
  return `Last 24 hours: ${said.join(", ")}`;
}
