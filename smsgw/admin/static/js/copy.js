// Copies the text of a field: [data-copy] names it; says so in the words of data-done or data-failed.
import { one } from "./dom.js";
import { toast } from "./toast.js";

async function copy(field) {
  if (navigator.clipboard) return navigator.clipboard.writeText(field.value).then(() => true, () => false);
  field.select();  // without TLS there is no clipboard to write to
  return document.execCommand("copy");
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const done = await copy(one(button.dataset.copy));
  toast(done ? button.dataset.done : button.dataset.failed, done ? "good" : "bad");
});
