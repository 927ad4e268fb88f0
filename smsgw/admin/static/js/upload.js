// A form with a file shows how far it is. Where it leads and what is wrong with it is the server's to say, as without us.
import { all, one } from "./dom.js";

const MEGABYTE = 1024 * 1024;
const megabytes = (n) => `${(n / MEGABYTE).toFixed(1)} MB`;

function begun(form, far) {
  const bar = one("progress", far), said = one("[data-upload-said]", far), stop = one("[data-upload-stop]", far);
  const wrong = one("[data-upload-wrong]", form);
  const request = new XMLHttpRequest();
  const buttons = all("button", form).filter((button) => button !== stop);
  let clock = 0;
  const over = (text) => {
    clearInterval(clock);
    far.hidden = true;
    delete form.dataset.sent;
    buttons.forEach((button) => { button.disabled = false; });
    if (text) { wrong.textContent = text; wrong.hidden = false; }
  };
  const leave = (event) => event.preventDefault();
  window.addEventListener("beforeunload", leave);
  const stay = () => window.removeEventListener("beforeunload", leave);
  wrong.hidden = true;
  far.hidden = false;
  stop.hidden = false;
  bar.value = 0;
  said.textContent = "";
  request.upload.addEventListener("progress", (event) => {
    if (!event.lengthComputable) return;
    bar.value = event.loaded * 100 / event.total;
    said.textContent = far.dataset.sending.replace("{done}", megabytes(event.loaded)).replace("{total}", megabytes(event.total));
  });
  request.upload.addEventListener("load", () => {
    const since = Date.now();
    const tell = () => { said.textContent = far.dataset.reading.replace("{seconds}", Math.round((Date.now() - since) / 1000)); };
    bar.removeAttribute("value");
    tell();
    clock = setInterval(tell, 1000);
  });
  request.addEventListener("load", () => {
    stay();
    const to = request.getResponseHeader("HX-Redirect");
    if (to) { clearInterval(clock); location.assign(to); return; }
    // The page with what is wrong: only that is taken out of it, so that nothing typed here is lost.
    const page = new DOMParser().parseFromString(request.responseText, "text/html");
    const told = [".field-problem[role=alert]:not([hidden])", "[role=alert]:not([hidden])", "h1"]
      .flatMap((what) => all(`main ${what}`, page)).map((part) => part.textContent.trim());
    over(told.find(Boolean) || far.dataset.broken);
  });
  request.addEventListener("error", () => { stay(); over(far.dataset.broken); });
  request.addEventListener("abort", () => { stay(); over(far.dataset.stopped); });
  stop.onclick = () => request.abort();
  request.open("POST", form.action);
  request.setRequestHeader("X-Upload", "1");
  request.send(new FormData(form));
  buttons.forEach((button) => { button.disabled = true; });
}

all("form[enctype='multipart/form-data']").forEach((form) => {
  const far = one("[data-upload-far]", form);
  if (!far) return;
  form.addEventListener("submit", (event) => {
    if (event.defaultPrevented || form.dataset.sent) { event.preventDefault(); return; }
    event.preventDefault();
    event.stopPropagation();  // it takes care of a second press by itself
    form.dataset.sent = "yes";
    begun(form, far);
  });
});
