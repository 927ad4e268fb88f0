// Pieces that refresh themselves: hidden tabs wait, what is known already comes as 204, a reader who marks text is left
// alone, and trouble is said once.
import { one } from "./dom.js";

const have = new WeakMap();
const polls = (event) => event.detail.ctx?.sourceElement?.matches?.("[data-poll]");

document.addEventListener("htmx:config:request", (event) => {
  if (!polls(event)) return;
  const known = have.get(event.detail.ctx.sourceElement);
  if (known) event.detail.ctx.request.headers["X-Have"] = known;
});
document.addEventListener("htmx:before:request", (event) => {
  if (polls(event) && document.hidden) event.preventDefault();
});
document.addEventListener("htmx:before:swap", (event) => {
  if (!polls(event)) return;
  const { ctx } = event.detail;
  if (ctx.response.status !== 200) return;
  const selection = getSelection();
  const marking = selection && !selection.isCollapsed && ctx.target.contains(selection.anchorNode);
  if (marking) { event.preventDefault(); return; }
  const piece = ctx.response.headers.get("X-Piece");
  if (piece) have.set(ctx.sourceElement, piece);
});

const trouble = one("#trouble");
function complain(text) { trouble.textContent = text; trouble.hidden = false; }
document.addEventListener("htmx:response:error", (event) => {
  const { ctx } = event.detail;
  const { status } = ctx.response;
  if (status === 401 || status === 422) return;
  const text = ctx.text || "";
  complain(text.length < 500 && !text.startsWith("<") ? text : String(status));
});
document.addEventListener("htmx:error", (event) => { if (event.detail.ctx) complain(document.body.dataset.lost); });
document.addEventListener("htmx:after:request", (event) => {
  if (event.detail.ctx.response.status < 400) trouble.hidden = true;
});

