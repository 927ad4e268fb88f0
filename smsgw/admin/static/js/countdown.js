// A button that waits: data-countdown holds the seconds until it may be pressed again.
import { all } from "./dom.js";

all("button[data-countdown]").forEach((button) => {
  let left = Number(button.dataset.countdown);
  const words = button.textContent;
  const tick = () => {
    button.disabled = left > 0;
    button.textContent = left > 0 ? `${words} (${left})` : words;
    if (left > 0) { left -= 1; setTimeout(tick, 1000); }
  };
  if (left > 0) tick();
});
