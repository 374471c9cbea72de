// The form that begins or plans a silence or a maintenance: about one thing, several, or all.

import { act, steer, toast } from "./steering.js";

const MOST_NAMES = 5;

const checked = (form, name) =>
  [...form.querySelectorAll(`input[name="${name}"]:checked:not(:disabled)`)].map((box) => box.value);

/** What is chosen, as the API takes it: of each sort any, and of every sort that is chosen one. */
function chosen(form) {
  const severity = form.elements.kind.value === "silences" ? { severity: checked(form, "severity") } : {};
  if (form.elements.all.checked) return { all: true, ...severity };
  return { monitors: checked(form, "monitor"), tags: checked(form, "tag"), ...severity };
}

/** The names of the monitors that this is about. */
function covered(form, { all, monitors, tags }) {
  const boxes = [...form.querySelectorAll('input[name="monitor"]')];
  if (!all && !monitors.length && !tags.length) return [];
  const fits = (box) =>
    all ||
    ((!monitors.length || monitors.includes(box.value)) &&
      (!tags.length || JSON.parse(box.dataset.tags).some((tag) => tags.includes(tag))));
  return boxes.filter(fits).map((box) => box.dataset.name);
}

function sentence(matcher, names) {
  if (!matcher.all && !matcher.monitors.length && !matcher.tags.length) return "Choose what it is about.";
  if (!names.length) return "No monitor is all of this: what is chosen has to fit together.";
  const severity = matcher.severity?.length ? `; only alerts that are ${matcher.severity.join(" or ")}` : "";
  const many = names.length === 1 ? "1 monitor" : `${names.length} monitors`;
  const more = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : "";
  return `${many}: ${names.slice(0, MOST_NAMES).join(", ")}${more}${severity}`;
}

function show(form) {
  const { kind, all, find } = form.elements;
  for (const box of form.querySelectorAll('input[name="monitor"], input[name="tag"]')) box.disabled = all.checked;
  document.getElementById("severities").hidden = kind.value !== "silences";
  const wanted = find?.value.trim().toLowerCase() ?? "";
  for (const box of form.querySelectorAll('input[name="monitor"]')) {
    const fits = box.checked || !wanted || `${box.dataset.name} ${box.value}`.toLowerCase().includes(wanted);
    box.parentElement.hidden = !fits;
  }
  const matcher = chosen(form);
  const names = covered(form, matcher);
  document.getElementById("covered").textContent = sentence(matcher, names);
  return { matcher, names };
}

/** Lets the form make windows; `done` is called after each. */
export function letMake(form, done) {
  if (!form) return;
  form.addEventListener("input", () => show(form));
  show(form);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const { kind, begins, lasting, reason } = form.elements;
    const { matcher, names } = show(form);
    if (!names.length) {
      toast(document.getElementById("covered").textContent, "bad");
      form.elements.all.focus();
      return;
    }
    const startsAt = begins.value ? new Date(begins.value) : null;
    if (startsAt && startsAt < Date.now() - 60_000) {
      toast("That is over already: choose a beginning to come, or none", "bad");
      begins.focus();
      return;
    }
    const body = { ...matcher, for: lasting.value, reason: reason.value, starts_at: startsAt?.toISOString() ?? null };
    act(form.querySelector("button"), async () => {
      const made = await steer("POST", `/api/v1/${kind.value}`, body);
      form.reset();
      show(form);
      done();
      return made.phase === "planned" ? `The ${made.kind} is planned` : `The ${made.kind} has begun`;
    });
  });
}
