// A screen on a wall: the time of day, and whether what is shown is old. What came last counts, be it without news.
import { one } from "./dom.js";

const clock = one("[data-wall-clock]"), lost = one("[data-wall-lost]");
const ahead = Number(clock.dataset.now) * 1000 - Date.now();
const patience = Number(lost.dataset.every) * 3000;
let heard = performance.now();

document.addEventListener("htmx:after:request", (event) => {
  const { status } = event.detail.ctx.response;
  if (status === 200 || status === 204) heard = performance.now();
});
function look() {
  clock.textContent = new Date(Date.now() + ahead).toLocaleTimeString("zh-CN", { hour12: false, timeZone: "Asia/Shanghai" });
  const silent = performance.now() - heard;
  lost.hidden = silent < patience;
  document.body.classList.toggle("is-old", !lost.hidden);
  if (!lost.hidden) lost.textContent = lost.dataset.text.replace("{n}", Math.round(silent / 1000));
}
setInterval(look, 1000);
