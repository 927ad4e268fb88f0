() => {
  // What is wrong with a page on paper: asked with the media of a printer, in a window as wide as its sheet.
  const faults = [];
  const shown = (e) => e.getClientRects().length > 0 && getComputedStyle(e).visibility === "visible";
  const called = (e) => `${e.tagName.toLowerCase()}${e.id ? "#" + e.id : ""}${[...e.classList].map((c) => "." + c).join("")}`;
  for (const e of document.querySelectorAll("#menu, .top, .side, .filter, button, .btn, input:not([type=hidden]), select, textarea, dialog"))
    if (shown(e)) faults.push(`is printed: ${called(e)}`);
  if (document.documentElement.scrollWidth > window.innerWidth) faults.push(`${document.documentElement.scrollWidth} px wide`);
  for (const e of document.querySelectorAll("main *"))
    if (shown(e) && e.getBoundingClientRect().right > window.innerWidth + 1) faults.push(`sticks out: ${called(e)}`);
  for (const e of document.querySelectorAll("main *")) {
    if (!shown(e) || e.closest(".visually-hidden") || e.scrollWidth <= e.clientWidth + 1 || e.clientWidth === 0) continue;
    if (getComputedStyle(e).overflowX !== "visible") faults.push(`is cut off: ${called(e)}`);
  }
  for (const e of document.querySelectorAll(".rows code:not(.hash)"))
    if (shown(e) && e.getBoundingClientRect().height > 5 * parseFloat(getComputedStyle(e).fontSize)) faults.push(`a column of letters: ${called(e)} ${e.textContent.slice(0, 20)}`);
  for (const table of document.querySelectorAll("main table")) {
    if (!shown(table)) continue;
    if (!table.tHead) faults.push(`has no head: ${called(table)}`);
    else if (getComputedStyle(table.tHead).display !== "table-header-group" || !shown(table.tHead)) faults.push(`head is not repeated: ${called(table)}`);
  }
  const numbers = (text) => text.match(/[\d.]+/g).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((n) => n / 255).map((n) => (n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4))
    .reduce((sum, n, at) => sum + n * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (e) => {
    for (; e; e = e.parentElement) { const c = numbers(getComputedStyle(e).backgroundColor); if ((c[3] ?? 1) > 0.5) return c; }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement, text = walker.currentNode.data.trim();
    if (!text || !shown(e) || e.closest(".visually-hidden, script, style, template")) continue;
    const ink = light(numbers(getComputedStyle(e).color)), under = light(ground(e));
    if (under < 0.8) faults.push(`on a dark ground: ${called(e)} ${text.slice(0, 20)}`);
    if (1.05 / (ink + 0.05) < 4.5) faults.push(`too light for paper: ${called(e)} ${text.slice(0, 20)}`);
  }
  for (const place of document.querySelectorAll("[data-chart]")) {
    const options = window.echarts.getInstanceByDom(place).getOption();
    const inks = [options.textStyle, ...(options.legend ?? []).map((one) => one.textStyle), ...(options.xAxis ?? []).map((one) => one.axisLabel)];
    for (const ink of inks) {
      const spot = document.createElement("i");
      spot.style.color = ink.color;
      document.body.append(spot);
      if (1.05 / (light(numbers(getComputedStyle(spot).color)) + 0.05) < 4.5) faults.push(`too light for paper: ${called(place)} ${ink.color}`);
      spot.remove();
    }
  }
  return [...new Set(faults)];
}
