// Selection of rows: boxes of this page, or all that the filter finds (a token that the server has made).
import { all, one } from "./dom.js";

const bar = one("[data-batch]");

function boxes() { return all("[data-pick]"); }

function tell() {
  const token = one("[name=selection]", bar);
  const picked = boxes().filter((box) => box.checked).length;
  const found = one("[data-pick-found]");
  const every = one("[data-pick-all]");
  const words = one("[data-picked-words]", bar);
  const count = token.value ? found?.dataset.count || "" : String(picked);
  bar.classList.toggle("is-used", picked > 0);
  if (every) {
    every.checked = picked > 0 && picked === boxes().length;
    every.indeterminate = picked > 0 && picked < boxes().length;
  }
  words.textContent = picked ? words.dataset.one.replace("{n}", count) : "";
  one("[data-pick-none]", bar).hidden = !picked;
  if (found) found.hidden = !(picked && picked === boxes().length && !token.value);
  boxes().forEach((box) => box.closest("tr, [data-row]").classList.toggle("is-picked", box.checked));
}

function pick(some, token = "") {
  one("[name=selection]", bar).value = token;
  boxes().forEach((box) => { box.checked = some; });
  tell();
}

if (bar) {
  bar.classList.add("is-quiet");
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-pick-all]")) pick(event.target.checked);
    else if (event.target.matches("[data-pick]")) { one("[name=selection]", bar).value = ""; tell(); }
  });
  document.addEventListener("click", (event) => {
    const found = event.target.closest("[data-pick-found]");
    if (found) pick(true, found.dataset.pickFound);
    if (event.target.closest("[data-pick-none]")) pick(false);
  });
  document.addEventListener("htmx:after:swap", tell);
  tell();
}
