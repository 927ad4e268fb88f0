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
  if (!answer.ok) throw new Error(String(answer.status));
  const publicKey = opened(await answer.json());
  return form.dataset.passkey === "create"
    ? navigator.credentials.create({ publicKey })
    : navigator.credentials.get({ publicKey });
}

all("form[data-passkey]").forEach((form) => {
  const problem = one("[data-problem]", form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    problem.hidden = true;
    const button = one("button[type=submit]", form);
    button.disabled = true;
    try {
      one("input[name=shown]", form).value = told(await answered(form));
      form.submit();
    } catch {
      problem.hidden = false;
      button.disabled = false;
      button.focus();
    }
  });
  if (!window.PublicKeyCredential) problem.hidden = false;
});
