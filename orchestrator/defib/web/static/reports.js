// Making a report from the archive's page.

import { act, steer } from "./steering.js";

const form = document.getElementById("make");
const yesterday = new Date(Date.now() - 86_400_000);
form.elements.date.value = yesterday.toISOString().slice(0, 10);

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const body = { date: form.elements.date.value, kind: form.elements.kind.value, send: form.elements.send.checked };
  act(form.querySelector("button"), async () => {
    const made = await steer("POST", "/api/v1/reports", body);
    location.href = `/reports/${encodeURIComponent(made.id)}`;
    return `${made.id} is made`;
  });
});
