// Charts: options come from the server; here colours are put in from the theme, and the library is fetched when the
// first chart is seen.
import { all, one } from "./dom.js";

const charts = new Map();
const paper = matchMedia("print");
let library = null;

function colour(name) { return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim(); }

function load() {
  library ??= window.echarts ? Promise.resolve() : new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = one("meta[name=echarts]").content;
    script.onload = done;
    script.onerror = failed;
    document.head.append(script);
  });
  return library;
}

// A tone stands for a colour of the theme, wherever it is.
// ``size`` is that of its letters where they are read from afar.
function tinted(options, size) {
  const quiet = colour("quiet"), edge = colour("edge");
  const letters = size ? { fontSize: Number(size) } : {};
  const axis = { axisLine: { lineStyle: { color: edge } }, axisLabel: { color: quiet, ...letters }, splitLine: { lineStyle: { color: edge } } };
  const mark = (item) => (item && item.tone ? { ...item, itemStyle: { color: colour(item.tone) } } : item);
  const made = JSON.parse(JSON.stringify(options));
  made.animation = false;
  made.textStyle = { fontFamily: getComputedStyle(document.body).fontFamily, color: colour("ink") };
  if (made.legend) made.legend.textStyle = { color: quiet, ...letters };
  if (made.tooltip) Object.assign(made.tooltip, { renderMode: "richText" });
  const toned = (given) => ({ ...axis, ...given, axisLabel: { ...axis.axisLabel, ...given.axisLabel }, nameTextStyle: { color: quiet } });
  for (const name of ["xAxis", "yAxis"]) if (made[name]) made[name] = Array.isArray(made[name]) ? made[name].map(toned) : toned(made[name]);
  if (made.visualMap) Object.assign(made.visualMap, { inRange: { color: [colour("card-2"), colour(made.visualMap.tone)] }, textStyle: { color: quiet } });
  made.series = made.series.map((series) => ({ ...mark(series), data: series.data.map(mark) }));
  // Figures stand on cells of any shade: each has the card's colour around it.
  for (const series of made.series) if (series.label) Object.assign(series.label, { color: colour("ink"), textBorderColor: colour("card"), textBorderWidth: 3 });
  return made;
}

// What it shows stands beside it: a piece that comes anew has new options, and the drawn chart stays.
const drawn = new Map();
function options(place) { return one(`[data-options-of="${place.id}"]`)?.dataset.options || ""; }

async function draw(place, again) {
  const wanted = options(place);
  const picture = one(`[data-chart-picture="${place.id}"]`);
  if (picture && charts.has(place)) picture.hidden = false;
  if (!wanted || (!again && drawn.get(place) === wanted)) return;
  try { await load(); } catch { return; }
  let chart = charts.get(place);
  if (!chart) {
    place.replaceChildren();
    chart = window.echarts.init(place, null, { renderer: "canvas" });
    charts.set(place, chart);
    new ResizeObserver(() => chart.resize()).observe(place);
    if (picture) picture.hidden = false;
  }
  drawn.set(place, wanted);
  chart.setOption(tinted(JSON.parse(wanted), place.dataset.size), true);
  if (paper.matches) chart.getZr().flush();
}

const seen = new IntersectionObserver((entries) => entries.forEach((entry) => {
  if (!entry.isIntersecting) return;
  seen.unobserve(entry.target);
  draw(entry.target);
}), { rootMargin: "200px" });
const look = (again) => all("[data-chart]").forEach((place) => (charts.has(place) ? draw(place, again) : seen.observe(place)));
look(false);
document.addEventListener("htmx:after:swap", () => look(false));
// Paper has its own colours, and is printed before the next frame.
paper.addEventListener("change", () => look(true));
new MutationObserver(() => look(true)).observe(document.documentElement, { attributes: true, attributeFilter: ["data-bs-theme"] });

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-chart-picture]");
  if (!button) return;
  const link = document.createElement("a");
  link.href = charts.get(document.getElementById(button.dataset.chartPicture)).getDataURL({ pixelRatio: 2, backgroundColor: colour("card") });
  link.download = `${button.dataset.chartPicture}.png`;
  link.click();
});
