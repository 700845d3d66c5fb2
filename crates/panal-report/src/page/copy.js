// Adds a button to every block of code; without it the code is there all the same.
for (const block of document.querySelectorAll(".code")) {
  const code = block.querySelector("code");
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.setAttribute("aria-live", "polite");
  const select = () => {
    getSelection().selectAllChildren(code);
    button.textContent = "Selected";
  };
  button.addEventListener("click", () => {
    if (!navigator.clipboard) { select(); return; }
    navigator.clipboard.writeText(code.textContent).then(() => { button.textContent = "Copied"; }, select);
  });
  block.prepend(button);
}
