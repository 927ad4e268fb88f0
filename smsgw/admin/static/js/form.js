// Forms: a field is checked by the server when it is left; what was typed is not lost by leaving; files by dragging.
import { all, one } from "./dom.js";
import "./upload.js";

all("form[data-check]").forEach((form) => {
  form.addEventListener("focusout", async (event) => {
    const field = event.target.closest("[data-field]");
    if (!field || !form.classList.contains("is-touched") || form.contains(event.relatedTarget?.closest("button, a") || null)) return;
    const body = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (typeof value === "string") body.append(name, value);
    body.set("check", field.dataset.field);
    const response = await fetch(form.dataset.check, { method: "POST", body, headers: { "X-Dialog": "1" }, redirect: "manual" }).catch(() => null);
    if (!response || ![200, 422].includes(response.status)) return;
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html").querySelector("[data-field]");
    if (!fresh || field.contains(document.activeElement)) return;
    // Only what is said of it: its control stays, with the cursor and what was typed meanwhile.
    const control = one("[name]", field), said = one(".field-problem", fresh), old = one(".field-problem", field);
    if (old) old.remove();
    if (said) field.append(document.importNode(said, true));
    control?.toggleAttribute("aria-invalid", false);
    if (said && control) { control.setAttribute("aria-invalid", "true"); control.setAttribute("aria-describedby", said.id); }
  });
});

all("form[data-guard]").forEach((form) => {
  let changed = false;
  form.addEventListener("input", () => { changed = true; form.classList.add("is-touched"); });
  form.addEventListener("submit", () => { changed = false; });
  window.addEventListener("beforeunload", (event) => { if (changed) event.preventDefault(); });
  one("[data-leave]", form)?.addEventListener("click", (event) => {
    if (changed && !window.confirm(form.dataset.guard)) event.preventDefault();
    else changed = false;
  });
});

all("[data-upload]").forEach((place) => {
  const input = one("input", place), name = one("[data-upload-name]", place);
  const tell = () => { if (input.files.length) name.textContent = input.files[0].name; };
  input.addEventListener("change", tell);
  ["dragover", "dragleave", "drop"].forEach((kind) => place.addEventListener(kind, (event) => {
    event.preventDefault();
    place.classList.toggle("is-over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files.length) { input.files = event.dataTransfer.files; tell(); }
  }));
});
