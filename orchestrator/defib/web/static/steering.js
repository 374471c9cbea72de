// Makes Defib do something, for those who are logged in.

const token = document.querySelector('meta[name="csrf-token"]')?.content ?? "";

export const isOperator = token !== "";

/** Calls the API and answers its data; rejects with the reason in words. */
export async function steer(method, path, body = {}) {
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: { "Content-Type": "application/json", "X-CSRF-Token": token },
      body: JSON.stringify(body),
    });
  } catch {
    throw new Error("Defib does not answer");
  }
  const text = await response.text();
  const data = text ? JSON.parse(text) : null;
  if (!response.ok) throw new Error(data?.detail ?? `Defib answered ${response.status}`);
  return data;
}

/** Says something for a while. */
export function toast(text, kind = "good") {
  const line = document.createElement("p");
  line.textContent = text;
  line.dataset.kind = kind;
  document.getElementById("toasts").append(line);
  setTimeout(() => line.remove(), kind === "bad" ? 12_000 : 5_000);
}

/** Runs `work` for a button: once at a time, with its outcome said. */
export async function act(button, work) {
  button.disabled = true;
  try {
    toast(await work());
  } catch (error) {
    toast(error.message, "bad");
  } finally {
    button.disabled = false;
  }
}

export async function check(monitor) {
  const seen = await steer("POST", `/api/v1/monitors/${encodeURIComponent(monitor)}/check`);
  return `${seen.name}: ${seen.last.summary}`;
}

export async function acknowledge(incident, note = "") {
  return (await steer("POST", `/api/v1/incidents/${encodeURIComponent(incident)}/ack`, { note })).said;
}

/** Asks how, then starts the recovery ladder. */
export function recover(button, monitor, name) {
  const dialog = document.getElementById("recover");
  dialog.querySelector('[data-slot="name"]').textContent = name;
  dialog.returnValue = "cancel";
  dialog.onclose = () => {
    if (dialog.returnValue === "cancel" || dialog.returnValue === "") return;
    const dry = dialog.returnValue === "dry";
    act(button, async () => {
      await steer("POST", `/api/v1/monitors/${encodeURIComponent(monitor)}/recover`, { dry_run: dry });
      return `${name}: ${dry ? "dry run" : "recovery"} started`;
    });
  };
  dialog.showModal();
}

document.getElementById("logout")?.addEventListener("click", (event) =>
  act(event.target, async () => {
    await steer("POST", "/logout");
    location.reload();
    return "Logged out";
  }),
);
