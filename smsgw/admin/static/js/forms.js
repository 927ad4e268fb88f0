// Forms: sent once, problems under their fields, filters that answer to a click, passwords.
import { all, one } from "./dom.js";

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-once]")) return;
  if (form.dataset.sent) event.preventDefault();  // the server knows the key as well; this spares it the work
  form.dataset.sent = "yes";
  setTimeout(() => all("button", form).forEach((button) => { button.disabled = true; }));
});
window.addEventListener("pageshow", () => all("form[data-once][data-sent]").forEach((form) => {
  delete form.dataset.sent;
  all("button", form).forEach((button) => { button.disabled = false; });
}));

// The first field that is wrong has the focus; a field that is corrected is wrong no more.
function wrong(root) { one("[aria-invalid=true]", root)?.focus(); }
wrong();
document.addEventListener("htmx:after:swap", (event) => {
  if (event.detail.ctx?.response?.status === 422) wrong();
});
document.addEventListener("input", (event) => {
  const field = event.target.closest("[aria-invalid=true]");
  if (!field) return;
  field.removeAttribute("aria-invalid");
  const told = document.getElementById(`${field.id || field.name}-problem`);
  if (told) told.hidden = true;
});

document.addEventListener("click", (event) => {
  const eye = event.target.closest("[data-reveal]");
  if (!eye) return;
  const field = document.getElementById(eye.dataset.reveal);
  field.type = field.type === "password" ? "text" : "password";
  eye.setAttribute("aria-pressed", String(field.type === "text"));
});

// What was written before this was here, or was put back by the browser, is looked at as if it were written now.
function written(field) { return field.defaultValue !== undefined && field.value !== field.defaultValue; }
window.addEventListener("load", () => all("form[data-live]").forEach((form) => {
  if (all("input, textarea", form).some(written)) form.dispatchEvent(new Event("input", { bubbles: true }));
}));

// --- filter bars -----------------------------------------------------------------------------------------------------
function period(form) {
  const custom = one("input[name=time]:checked", form)?.value === "custom";
  const dates = one(".filter-dates", form);
  if (dates) {
    dates.hidden = !custom;
    all("input", dates).forEach((input) => { input.disabled = !custom; });
  }
  return custom;
}
all("form[data-filter]").forEach((form) => {
  form.addEventListener("change", (event) => {
    const custom = period(form);
    if (event.target.matches("select") || (event.target.name === "time" && !custom)) form.requestSubmit();
  });
  // Empty fields do not belong into the address.
  form.addEventListener("formdata", (event) => {
    for (const [name, value] of Array.from(event.formData.entries())) if (value === "") event.formData.delete(name);
  });
});

// --- the rules of a new password -------------------------------------------------------------------------------------
all("[data-policy-of]").forEach((policy) => {
  const field = document.getElementById(policy.dataset.policyOf);
  const login = policy.dataset.login.toLowerCase();
  const rules = {
    length: (text, rule) => text.length >= Number(rule.dataset.minimum),
    kinds: (text) => [/[a-z]/, /[A-Z]/, /[0-9]/, /[^a-zA-Z0-9]/].filter((kind) => kind.test(text)).length >= Number(policy.dataset.classes || 3),
    login: (text) => text !== "" && !text.toLowerCase().includes(login),
  };
  const show = () => all("[data-rule]").forEach((rule) => {
    rule.classList.toggle("is-met", rules[rule.dataset.rule](field.value, rule));
  });
  field.addEventListener("input", show);
  show();
});

all("[data-retry]").forEach((page) => setTimeout(() => location.reload(), Number(page.dataset.retry) * 1000));
