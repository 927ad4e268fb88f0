// Copies the text of a field, which [data-copy] names, or that of [data-copy-text]; says so in the words of data-done or
// data-failed.
import { one } from "./dom.js";
import { toast } from "./toast.js";

async function copy(field) {
  if (navigator.clipboard) return navigator.clipboard.writeText(field.value).then(() => true, () => false);
  field.select();  // without TLS there is no clipboard to write to
  return document.execCommand("copy");
}

async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text).then(() => true, () => false);
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "unseen";
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  return done;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy], [data-copy-text]");
  if (!button) return;
  const text = button.dataset.copyText;
  const done = await (text === undefined ? copy(one(button.dataset.copy)) : copyText(text));
  toast(done ? button.dataset.done : button.dataset.failed, done ? "good" : "bad");
});
