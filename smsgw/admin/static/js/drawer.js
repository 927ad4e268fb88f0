// Dialogs: the drawer for one row, and what asks before something is done. Each shows the piece of an address that is a
// page by itself, too; without this script the page opens instead.
import { all, one } from "./dom.js";
import "./passkey.js";

const PIECE = { "X-Dialog": "1" };
let opener = null;

function show(dialog, html) {
  const body = one("[data-dialog-body]", dialog);
  const piece = new DOMParser().parseFromString(html, "text/html").querySelector("[data-piece]");
  if (!piece) return false;
  body.replaceChildren(document.importNode(piece, true));
  if (!dialog.open) dialog.showModal();
  window.htmx?.process(body);
  (one("[aria-invalid=true], [autofocus]", body) || one("[data-close-dialog]", dialog))?.focus();
  again(dialog);
  return true;
}

function wait(dialog) {
  opener = document.activeElement;
  one("[data-dialog-body]", dialog).replaceChildren(one("#dialog-loading").content.cloneNode(true));
  dialog.showModal();
}

// What an answer is: a piece to show, a place to go on to, or a page that says what is wrong.
async function answer(dialog, response) {
  const place = response.headers.get("X-Go");
  if (place) { location.assign(place); return; }
  if (response.type === "opaqueredirect") { location.reload(); return; }
  const html = await response.text();
  if (show(dialog, html)) return;
  if (response.redirected && response.ok) { location.assign(response.url); return; }
  const page = new DOMParser().parseFromString(html, "text/html");
  const words = document.createElement("p");
  words.className = "note note-bad";
  words.setAttribute("role", "alert");
  words.textContent = one("main", page)?.textContent.trim().replace(/\s+/g, " ").slice(0, 300) || String(response.status);
  one("[data-dialog-body]", dialog).replaceChildren(words);
}

async function ask(dialog, address, options) {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), 30000);
  try {
    await answer(dialog, await fetch(address, { headers: PIECE, redirect: "manual", signal: late.signal, ...options }));
  } catch {
    dialog.close();
    one("#trouble").textContent = document.body.dataset.lost;
    one("#trouble").hidden = false;
  } finally {
    clearTimeout(timer);
  }
}

function fields(form, button) {
  const data = new FormData(form);
  if (button && button.name) data.append(button.name, button.value);
  const body = new URLSearchParams();
  for (const [name, value] of data) body.append(name, value);
  return body;
}

export function drawer(address) {
  const dialog = one("#drawer");
  if (!dialog) { location.assign(address); return; }
  one("[data-whole]", dialog).href = address;
  wait(dialog);
  ask(dialog, address);
}

// A detail that changes by itself: looked at again while it is open; what is unchanged comes as 204.
const known = new Map();
function fresh(address) {
  const have = known.get(address);
  return fetch(address, { headers: have ? { ...PIECE, "X-Have": have } : PIECE }).then((response) => {
    const piece = response.headers.get("X-Piece");
    if (piece) known.set(address, piece);
    return response.ok && response.text();
  });
}
function again(dialog) {
  const detail = one("[data-again]", dialog);
  if (!detail) return;
  setTimeout(() => {
    if (!dialog.isConnected || !document.contains(detail)) return;
    if (document.hidden || !dialog.open) { again(dialog); return; }
    const held = dialog.contains(document.activeElement) && document.activeElement.matches("button");
    fresh(detail.dataset.address).then((html) => {
      if (!html || !dialog.open || !document.contains(detail) || held) { again(dialog); return; }
      show(dialog, html);
    }).catch(() => again(dialog));
  }, Number(detail.dataset.again) * 1000);
}

document.addEventListener("click", (event) => {
  const close = event.target.closest("dialog [data-close-dialog]");
  if (close) { event.preventDefault(); close.closest("dialog").close(); return; }
  if (event.target.matches("dialog")) { event.target.close(); return; }  // beside it
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  const link = event.target.closest("a[data-drawer-open]");
  if (link) { event.preventDefault(); drawer(link.getAttribute("href")); return; }
  const asks = event.target.closest("a[data-ask]");
  if (asks && one("#ask")) { event.preventDefault(); wait(one("#ask")); ask(one("#ask"), asks.getAttribute("href")); return; }
  const row = event.target.closest("[data-open]");
  if (!row || event.target.closest("a, button, input, label, select, summary") || String(getSelection())) return;
  drawer(row.dataset.open);
});

document.addEventListener("submit", (event) => {
  const form = event.target, button = event.submitter;
  const asks = button?.matches("[data-ask]");
  if (!asks && !(form.matches("[data-stay]") && form.closest("dialog"))) return;
  const dialog = asks ? one("#ask") : form.closest("dialog");
  if (!dialog) return;
  event.preventDefault();
  const address = (button?.getAttribute("formaction")) || form.getAttribute("action");
  const body = fields(form, button);
  delete form.dataset.sent;
  if (asks) wait(dialog);
  // A proof leads on to what waited for it, with the same fields.
  ask(dialog, address, { method: "POST", body, ...("follow" in form.dataset ? { redirect: "follow" } : {}) });
});

all("dialog [data-dialog-body]").forEach((body) => body.closest("dialog").addEventListener("close", () => {
  body.replaceChildren();
  known.clear();
  if (opener && document.contains(opener)) opener.focus();
}));

// The page of a detail that changes by itself.
const page = one("main [data-again]");
if (page) {
  const look = () => setTimeout(async () => {
    if (document.hidden) { look(); return; }
    const html = await fresh(page.dataset.address).catch(() => "");
    if (!html) { look(); return; }
    const now = new DOMParser().parseFromString(html, "text/html").querySelector("#detail");
    if (!now) return;
    page.replaceChildren(...document.importNode(now, true).childNodes);
    if (!now.dataset.again) return;
    page.dataset.again = now.dataset.again;
    look();
  }, Number(page.dataset.again) * 1000);
  look();
}
