// Phrases for the text that is being written: chosen in a dialog, by mouse or keyboard, put where the cursor was.
import "./drawer.js";
import { all, one } from "./dom.js";

function insert(field, text) {
  const from = field.selectionStart ?? field.value.length, to = field.selectionEnd ?? from;
  field.setRangeText(text, from, to, "end");
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

document.addEventListener("click", (event) => {
  const chosen = event.target.closest("[data-phrase]");
  const field = one("[data-phrases-into]");
  if (!chosen || !field) return;
  insert(field, chosen.dataset.phrase);
  const dialog = chosen.closest("dialog");
  dialog.addEventListener("close", () => field.focus(), { once: true });  // after the drawer's own, which is the button's
  dialog.close();
});

document.addEventListener("input", (event) => {
  if (!event.target.matches("[data-phrase-find]")) return;
  const wanted = event.target.value.trim().toLowerCase();
  const dialog = event.target.closest("dialog");
  let shown = 0;
  all("[data-phrase]", dialog).forEach((phrase) => {
    const fits = phrase.textContent.toLowerCase().includes(wanted);
    phrase.parentElement.hidden = !fits;
    shown += fits;
  });
  one("[data-phrase-none]", dialog).hidden = shown > 0;
});

// Up and down go through the phrases; Enter on the search takes the first one.
document.addEventListener("keydown", (event) => {
  const dialog = event.target.closest?.("dialog");
  if (!dialog || !one("[data-phrase]", dialog)) return;
  const found = all("[data-phrase]", dialog).filter((phrase) => !phrase.parentElement.hidden);
  const at = found.indexOf(document.activeElement);
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    const next = found[at + (event.key === "ArrowDown" ? 1 : -1)];
    (next || (at === 0 ? one("[data-phrase-find]", dialog) : null))?.focus();
  } else if (event.key === "Enter" && event.target.matches("[data-phrase-find]")) {
    event.preventDefault();
    found[0]?.click();
  }
});
