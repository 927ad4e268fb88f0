// The command palette: Ctrl-K or its button opens it, the server finds, arrows choose, Enter goes there.
import { all, one } from "./dom.js";

const PATIENCE = 120;  // milliseconds without a key
const dialog = one("#palette");

function begin() {
  const field = one(".palette-field", dialog), list = one("#palette-list", dialog), said = one("[data-palette-said]", dialog);
  const button = one("[data-palette]");
  let timer = 0, asked = 0, opener = null;

  const options = () => all("[role=option]", list);
  const chosen = () => one("[aria-selected=true]", list);

  function choose(option) {
    options().forEach((each) => each.setAttribute("aria-selected", String(each === option)));
    if (option) {
      field.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    } else field.removeAttribute("aria-activedescendant");
  }

  async function find() {
    const turn = ++asked;
    const address = `${dialog.dataset.address}?${new URLSearchParams({ q: field.value })}`;
    const answer = await fetch(address, { headers: { "HX-Request": "true" } }).catch(() => null);
    if (turn !== asked || !dialog.open) return;
    if (!answer || !answer.ok) { list.replaceChildren(); choose(null); said.textContent = document.body.dataset.lost; return; }
    const made = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (turn !== asked) return;
    list.replaceChildren(...Array.from(made.body.childNodes, (node) => document.importNode(node, true)));
    const found = options();
    if (!found.length) {
      const none = document.createElement("p");
      none.className = "palette-none";
      none.textContent = dialog.dataset.none;
      list.replaceChildren(none);
    }
    said.textContent = found.length ? String(found.length) : dialog.dataset.none;
    choose(found[0] || null);
  }

  function open() {
    if (dialog.open) return;
    opener = document.activeElement;
    field.value = "";
    list.replaceChildren();
    dialog.showModal();
    field.focus();
    find();
  }

  if (button) { button.hidden = false; button.addEventListener("click", open); }
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
    if (one("dialog[open]") && !dialog.open) return;
    event.preventDefault();
    if (dialog.open) dialog.close(); else open();
  });
  field.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(find, PATIENCE); });
  field.addEventListener("keydown", (event) => {
    const found = options(), at = found.indexOf(chosen());
    const moves = { ArrowDown: at + 1, ArrowUp: at - 1 };
    if (event.key in moves && found.length) {
      event.preventDefault();
      choose(found[(moves[event.key] + found.length) % found.length]);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (!event.isComposing && chosen()) chosen().click();
    }
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => { asked += 1; clearTimeout(timer); if (opener && document.contains(opener)) opener.focus(); });
}

if (dialog) begin();
