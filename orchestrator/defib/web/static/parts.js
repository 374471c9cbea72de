// Pages that are read, not watched: their parts are taken from a fresh copy of the page.

import { sayAll } from "./clock.js";

let shownAt = new Date().toISOString();

/** The instant of what is shown. */
export const since = () => shownAt;

/** Takes every [data-live] part anew; answers once that is done, and rejects when the server cannot be reached. */
export async function refreshParts() {
  const response = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (response.status === 401 || response.status === 404) location.reload();
  if (!response.ok) throw new Error(response.statusText);
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  const open = [...document.querySelectorAll("details[open]")].map((item) => item.id);
  const reading = document.activeElement?.closest("[data-live]");
  const before = document.querySelector(".subject").dataset.state;
  for (const part of document.querySelectorAll("[data-live]")) {
    const newer = fresh.getElementById(part.id);
    if (part === reading || part.innerHTML === newer.innerHTML) continue; // never move what somebody is at
    part.replaceChildren(...newer.childNodes);
  }
  for (const name of open) document.getElementById(name)?.setAttribute("open", "");
  document.title = fresh.title;
  const after = document.querySelector(".subject").dataset.state;
  if (after !== before) document.getElementById("announcer").textContent = fresh.title.split(" · ")[0];
  shownAt = new Date().toISOString();
  sayAll();
}
