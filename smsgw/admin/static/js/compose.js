// A new sending, step by step: it saves itself, shows what belongs to what is chosen, and puts columns into the text.
import { all, one } from "./dom.js";

const EVERY = 10000;
const MOST_AT_LEAVING = 60000; // octets: browsers send 64 KiB of a page that is going

// --- what belongs to a choice ----------------------------------------------------------------------------------------
function chosen(part) {
  const form = part.dataset.whenIn ? document.getElementById(part.dataset.whenIn) : part.closest("form") || document;
  const picked = one(`[name="${part.dataset.when}"]:checked`, form) || one(`[name="${part.dataset.when}"]:not([type=radio])`, form);
  return picked ? picked.value : null;
}
function show() {
  all("[data-when]").forEach((part) => {
    const value = chosen(part);
    if (value !== null) part.hidden = !part.dataset.whenIs.split(" ").includes(value);
  });
  // Days of the week and of the month have one name: those that are not seen are not sent.
  all("[data-when] input[name=on]").forEach((box) => { box.disabled = Boolean(box.closest("[hidden]")); });
}
document.addEventListener("change", show);
document.addEventListener("htmx:after:swap", show);
show();

// A scenario decides about other fields: they are shown as it has them.
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-pick]")) event.target.form.requestSubmit(one("[data-pick] ~ button", event.target.form));
});

// --- saving ----------------------------------------------------------------------------------------------------------
all("form[data-save]").forEach((form) => {
  let changed = false;
  let leaving = false;
  const body = () => {
    const fields = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (typeof value === "string") fields.append(name, value);
    return fields;
  };
  const said = one("[data-saved]", form);
  form.addEventListener("input", () => { changed = true; });
  form.addEventListener("change", () => { changed = true; });
  form.addEventListener("submit", () => { leaving = true; });
  const save = async () => {
    changed = false;
    const answer = await fetch(form.dataset.save, { method: "POST", body: body(), redirect: "manual" }).catch(() => null);
    if (!answer || answer.status !== 204) { changed = true; return; }
    if (said) said.textContent = `${said.dataset.savedText} ${new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false })}`;
  };
  setInterval(() => { if (changed && !leaving && !document.hidden) save(); }, EVERY);
  // What is too large to be sent while the page goes is sent before, and whoever leaves is asked to wait for it.
  window.addEventListener("beforeunload", (event) => {
    if (!changed || leaving || body().toString().length <= MOST_AT_LEAVING) return;
    event.preventDefault();
    save();
  });
  window.addEventListener("pagehide", () => {
    if (changed && !leaving) navigator.sendBeacon(form.dataset.save, body());
  });
});

// --- columns ---------------------------------------------------------------------------------------------------------
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-insert]");
  const field = one("#content");
  if (!button || !field) return;
  const from = field.selectionStart ?? field.value.length;
  field.setRangeText(button.dataset.insert, from, field.selectionEnd ?? from, "end");
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.focus();
});
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-row]")) one("#row-n")?.dispatchEvent(new Event("row"));
});

// What was waited for is there: the page is asked for again, with its form.
document.addEventListener("htmx:after:swap", () => { if (one("[data-ready]")) location.reload(); });
if (one("[data-ready]")) location.reload();
