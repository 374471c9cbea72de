// Buttons that copy the line beside them. Where the browser lets no page do that, one click on the line selects it.

if (navigator.clipboard) document.documentElement.dataset.copies = "";

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
  document.getElementById("announcer").textContent = "Copied";
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 2000);
});
