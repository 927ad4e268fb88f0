// Passkeys: a form with data-passkey asks the server for options, the device for an answer, and sends that.
import { all, one } from "./dom.js";

const octets = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
  .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

function opened(options) {
  const made = { ...options, challenge: octets(options.challenge) };
  if (options.user) made.user = { ...options.user, id: octets(options.user.id) };
  for (const list of ["allowCredentials", "excludeCredentials"]) {
    if (options[list]) made[list] = options[list].map((each) => ({ ...each, id: octets(each.id) }));
  }
  return made;
}

function told(credential) {
  const response = { clientDataJSON: text(credential.response.clientDataJSON) };
  for (const part of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[part]) response[part] = text(credential.response[part]);
  }
  return JSON.stringify({ id: credential.id, rawId: text(credential.rawId), type: credential.type, response });
}

async function answered(form) {
  const body = new URLSearchParams({ csrf: one("input[name=csrf]", form).value });
  const answer = await fetch(form.dataset.options, { method: "POST", body, credentials: "same-origin" });
  if (answer.redirected) { location.assign(answer.url); return null; }  // who one is has to be shown first
  if (!answer.ok) throw new Error(String(answer.status));
  const publicKey = opened(await answer.json());
  return form.dataset.passkey === "create"
    ? navigator.credentials.create({ publicKey })
    : navigator.credentials.get({ publicKey });
}

async function send(form) {
  const problem = one("[data-problem]", form), button = one("button[type=submit]", form);
  problem.hidden = true;
  button.disabled = true;
  try {
    const credential = await answered(form);
    if (!credential) return;
    (one("[data-answer]", form) || one("input[name=shown]", form)).value = told(credential);
    form.submit();
  } catch {
    problem.hidden = false;
    button.disabled = false;
    button.focus();
  }
}

// On the document: a form may come later, in a dialog. A button with a name chooses another way.
document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-passkey]") || event.submitter?.name) return;
  event.preventDefault();
  send(event.target);
});

if (!window.PublicKeyCredential) all("form[data-passkey] [data-problem]").forEach((problem) => { problem.hidden = false; });
