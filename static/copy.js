// Gives each command on a page a button that copies it; data-copy="…" says what the
// button is called, where it is no command. Without this script, or where
// the browser has no clipboard (plain http from another machine), the text is selected.

async function copy(block, button) {
  const text = block.querySelector("code").textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(block.querySelector("code"));
    button.textContent = "Selected";
  }
  setTimeout(() => (button.textContent = "Copy"), 2000);
}

for (const block of document.querySelectorAll("pre[data-copy]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.setAttribute("aria-label", block.dataset.copy || "Copy this command");
  button.addEventListener("click", () => copy(block, button));
  const frame = document.createElement("div");
  frame.className = "command";
  block.replaceWith(frame);
  frame.append(block, button);
}
