// Buttons that copy the line beside them. Where the browser lets no page do that, one click on the line selects it.

const show = () => {
  for (const button of document.querySelectorAll("[data-copy][hidden]")) button.hidden = !navigator.clipboard;
};

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
  document.getElementById("announcer").textContent = "Copied";
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 2000);
});

new MutationObserver(show).observe(document.querySelector("main"), { childList: true, subtree: true });
show();
