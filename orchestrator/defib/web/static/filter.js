// Which rows are shown: words in the box, and states that are pressed. Kept in the address, for bookmarks.

/** @param {() => void} changed called after the reader has changed the filter */
export function makeFilter(changed) {
  const box = document.getElementById("filter");
  const counts = document.getElementById("counts");
  const states = new Set();
  let words = [];

  function read() {
    words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    const address = new URL(location.href);
    const set = (name, value) => (value ? address.searchParams.set(name, value) : address.searchParams.delete(name));
    set("q", box.value.trim());
    set("state", [...states].join(","));
    history.replaceState(null, "", address);
  }

  function press(button, isPressed) {
    button.setAttribute("aria-pressed", String(isPressed));
    if (isPressed) states.add(button.dataset.state);
    else states.delete(button.dataset.state);
  }

  const asked = new URL(location.href).searchParams;
  box.value = asked.get("q") ?? "";
  const pressed = (asked.get("state") ?? "").split(",");
  for (const button of counts.querySelectorAll("button")) {
    if (pressed.includes(button.dataset.state)) press(button, true);
    button.addEventListener("click", () => {
      press(button, button.getAttribute("aria-pressed") !== "true");
      read();
      changed();
    });
  }
  read();
  document.getElementById("search").hidden = false;

  box.addEventListener("input", () => {
    read();
    changed();
  });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && box.value) {
      event.preventDefault();
      box.value = "";
      read();
      changed();
    } else if (event.key === "Escape") {
      box.blur();
    }
  });
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest?.("input, select, textarea, dialog");
    if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    box.focus();
    box.select();
  });

  return {
    get isOn() {
      return words.length > 0 || states.size > 0;
    },
    fits(monitor, word) {
      if (states.size && !states.has(monitor.state)) return false;
      const text = [monitor.name, monitor.id, monitor.type, monitor.target, word, ...monitor.tags].join(" ").toLowerCase();
      return words.every((part) => text.includes(part));
    },
    clear() {
      box.value = "";
      for (const button of counts.querySelectorAll("button")) press(button, false);
      read();
      changed();
    },
  };
}
