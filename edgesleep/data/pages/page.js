"use strict";
// Copy a command, or mark it where a browser does not let a page copy. The page says all it has to without this.
const said = document.querySelector(".said");
document.querySelectorAll("[data-copy]").forEach((button) => {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const command = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(command.textContent);
      said.textContent = "Copied: " + command.textContent;
    } catch {
      getSelection().selectAllChildren(command);
      said.textContent = "Marked: copy it with your keyboard.";
    }
  });
});
