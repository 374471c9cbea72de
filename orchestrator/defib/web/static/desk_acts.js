// What people do about alerts: acknowledge, silence, plan maintenance, pause, end, try a delivery again.

import { acknowledge, act, recover, steer } from "./steering.js";

const PATHS = { silence: "silences", maintenance: "maintenance" };
const path = (part) => encodeURIComponent(part);

/** Asks in the dialog of that id; does `work` with its form once it was answered so. */
function ask(button, id, name, answer, work) {
  const dialog = document.getElementById(id);
  dialog.querySelector('[data-slot="name"]').textContent = name;
  dialog.returnValue = "";
  dialog.onclose = () => dialog.returnValue === answer && act(button, () => work(dialog.querySelector("form").elements));
  dialog.showModal();
}

async function end(button) {
  const { window: id, kind, monitor } = button.dataset;
  if (kind === "pause") await steer("POST", `/api/v1/monitors/${path(monitor)}/resume`);
  else await steer("DELETE", `/api/v1/${PATHS[kind]}/${path(id)}`);
  return kind === "pause" ? "It is looked at again" : `The ${kind} is over`;
}

/** Lets the buttons below `root` do what their data-act says; `done` is called after each act. */
export function letAct(root, done) {
  root.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-act]");
    if (!button || button.disabled) return;
    const { monitor, name, incident } = document.getElementById("steer")?.dataset ?? {};
    const doing = (work) => act(button, () => work().then((said) => (done(), said)));
    const acts = {
      ack: () =>
        ask(button, "ack", name, "ack", async (form) => {
          const said = await acknowledge(incident || monitor, form.note.value);
          form.note.value = "";
          done();
          return said;
        }),
      unack: () => doing(async () => (await steer("DELETE", `/api/v1/incidents/${path(incident || monitor)}/ack`)).said),
      window: () =>
        ask(button, "window", name, "begin", async (form) => {
          const body = { monitors: [monitor], for: form.lasting.value, reason: form.reason.value };
          const made = await steer("POST", `/api/v1/${form.kind.value}`, body);
          form.reason.value = "";
          done();
          return `${name}: ${made.kind} has begun`;
        }),
      pause: () =>
        doing(async () => {
          await steer("POST", `/api/v1/monitors/${path(monitor)}/pause`);
          return `${name} is paused`;
        }),
      resume: () =>
        doing(async () => {
          await steer("POST", `/api/v1/monitors/${path(monitor)}/resume`);
          return `${name} is looked at again`;
        }),
      end: () => doing(() => end(button)),
      retry: () =>
        doing(async () => {
          await steer("POST", `/api/v1/deliveries/${path(button.dataset.deliveryId)}/retry`);
          return "It is tried again";
        }),
      recover: () => recover(button, monitor, name),
    };
    acts[button.dataset.act]?.();
  });
}
