// Short messages: those of the page fade, those of an answer (HX-Trigger: toast) are added.
import { all, one } from "./dom.js";

const STAY = 6000;  // milliseconds
const place = one("#toasts");

function leave(line) {
  if (line.classList.contains("toast-bad")) return;  // what went wrong stays until it is closed
  let timer = setTimeout(() => line.remove(), STAY);
  line.addEventListener("mouseenter", () => clearTimeout(timer));
  line.addEventListener("mouseleave", () => { timer = setTimeout(() => line.remove(), STAY / 2); });
}

export function toast(text, kind) {
  const line = document.createElement("div");
  line.className = `toast-line toast-${kind}`;
  line.setAttribute("role", kind === "bad" ? "alert" : "status");
  const words = document.createElement("span");
  words.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "toast-close";
  close.dataset.dismiss = "";
  close.setAttribute("aria-label", document.body.dataset.close);
  close.textContent = "×";
  line.append(words, close);
  place.append(line);
  leave(line);
}

document.addEventListener("toast", (event) => event.detail.toasts.forEach(({ text, kind }) => toast(text, kind)));
document.addEventListener("click", (event) => event.target.closest("[data-dismiss]")?.closest(".toast-line")?.remove());
all(".toast-line", place).forEach(leave);
