// The chart of the last hour on the first page; drawn again when its piece has come anew.
import { one } from "./dom.js";

let chart = null;

function colour(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }

function draw() {
  const place = one("#chart"), data = one("#chart-data");
  if (!place || !data || !window.echarts) return;
  const lines = JSON.parse(data.dataset.chart), names = JSON.parse(data.dataset.names);
  const colours = { submitted: colour("--blue"), delivered: colour("--green"), failed: colour("--red") };
  const quiet = colour("--quiet"), edge = colour("--edge");
  if (!chart || chart.getDom() !== place) {
    chart = window.echarts.init(place);
    new ResizeObserver(() => chart.resize()).observe(place);
  }
  chart.setOption({
    animation: false,
    textStyle: { fontFamily: "inherit" },
    grid: { left: 44, right: 18, top: 38, bottom: 28 },
    legend: { top: 8, right: 14, icon: "roundRect", itemWidth: 14, itemHeight: 4, textStyle: { color: quiet } },
    tooltip: { trigger: "axis", renderMode: "richText" },
    xAxis: { type: "category", boundaryGap: false, data: lines.minutes, axisTick: { show: false }, axisLine: { lineStyle: { color: edge } }, axisLabel: { color: quiet, interval: 9 } },
    yAxis: { type: "value", minInterval: 1, splitLine: { lineStyle: { color: edge } }, axisLabel: { color: quiet } },
    series: Object.keys(colours).map((metric) => ({
      name: names[metric], type: "line", data: lines[metric], showSymbol: false, smooth: .25, smoothMonotone: "x", lineStyle: { width: 2 },
      itemStyle: { color: colours[metric] }, areaStyle: { color: colours[metric], opacity: metric === "submitted" ? .08 : .03 },
    })),
  });
}
draw();
document.addEventListener("htmx:after:swap", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTimeout(draw));
