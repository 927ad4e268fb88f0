// The portal's own script: small conveniences; every page works without it, except for what refreshes itself.
"use strict";

(function () {
  const $ = (selector, root) => (root || document).querySelector(selector);
  const $$ = (selector, root) => Array.from((root || document).querySelectorAll(selector));
  const chinese = document.documentElement.lang.startsWith("zh");

  // --- the menu on small screens, menus that close, revealing a password -------------------------------------
  document.addEventListener("click", (event) => {
    const toggle = event.target.closest("[data-toggle]");
    if (toggle) {
      const open = document.getElementById(toggle.dataset.toggle).classList.toggle("is-open");
      toggle.setAttribute("aria-expanded", String(open));
    }
    const eye = event.target.closest("[data-reveal]");
    if (eye) {
      const field = document.getElementById(eye.dataset.reveal);
      field.type = field.type === "password" ? "text" : "password";
    }
    $$("details.person[open]").forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });

    // A whole row leads where its link leads; text can still be selected.
    const row = event.target.closest("tr[data-href]");
    if (row && !event.target.closest("a, button, input, summary") && !String(getSelection())) {
      if (event.ctrlKey || event.metaKey) window.open(row.dataset.href, "_blank", "noopener");
      else location.href = row.dataset.href;
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") $$("details.person[open]").forEach((menu) => { menu.open = false; });
  });

  // --- forms ---------------------------------------------------------------------------------------------------
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("[data-once]")) return;
    if (form.dataset.sent) event.preventDefault();  // the server knows the key as well; this spares it the work
    form.dataset.sent = "yes";
    setTimeout(() => $$("button", form).forEach((button) => { button.disabled = true; }));
  });
  window.addEventListener("pageshow", () => $$("form[data-once][data-sent]").forEach((form) => {
    delete form.dataset.sent;
    $$("button", form).forEach((button) => { button.disabled = false; });
  }));

  // The form that previews itself still submits like any form: htmx only listens to typing.
  const period = (form) => {
    const custom = $("input[name=time]:checked", form)?.value === "custom";
    $(".filter-dates", form).hidden = !custom;
    $$(".filter-dates input", form).forEach((input) => { input.disabled = !custom; });
    return custom;
  };
  $$("form[data-filter]").forEach((form) => form.addEventListener("change", (event) => {
    const custom = period(form);
    if (event.target.matches("select") || (event.target.name === "time" && !custom)) form.requestSubmit();
  }));
  // Empty fields do not belong into the address.
  $$("form[data-filter]").forEach((form) => form.addEventListener("formdata", (event) => {
    for (const [name, value] of Array.from(event.formData.entries())) if (value === "") event.formData.delete(name);
  }));

  $$("input[data-policy]").forEach((field) => {
    const login = field.dataset.policy.toLowerCase();
    const rules = {
      length: (text, rule) => text.length >= Number(rule.dataset.minimum),
      kinds: (text) => [/[a-z]/, /[A-Z]/, /[0-9]/, /[^a-zA-Z0-9]/].filter((kind) => kind.test(text)).length >= 3,
      login: (text) => text !== "" && !text.toLowerCase().includes(login),
    };
    const show = () => $$("[data-rule]").forEach((rule) => {
      rule.classList.toggle("is-met", rules[rule.dataset.rule](field.value, rule));
    });
    field.addEventListener("input", show);
    show();
  });

  $$("[data-retry]").forEach((page) => setTimeout(() => location.reload(), Number(page.dataset.retry) * 1000));

  // --- pieces that refresh themselves --------------------------------------------------------------------------
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.elt.matches("[data-poll]") && document.hidden) event.preventDefault();
  });
  const last = new WeakMap();
  let kept = null;
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { elt, xhr, target } = event.detail;
    if (!elt.matches("[data-poll]") || xhr.status !== 200) return;
    // Nothing new, or the reader is marking text: leave the page alone.
    const selection = getSelection();
    const marking = selection && !selection.isCollapsed && target.contains(selection.anchorNode);
    if (last.get(elt) === xhr.responseText || marking) {
      event.detail.shouldSwap = false;
      return;
    }
    last.set(elt, xhr.responseText);
    const active = document.activeElement;
    kept = {
      href: target.contains(active) ? active.getAttribute("href") : null,
      scroll: $$(".scroll", target).map((box) => [box.scrollTop, box.scrollLeft]),
    };
  });
  // Where the reader was, keyboard focus and scrolled lists, survives the swap.
  document.addEventListener("htmx:afterSettle", () => {
    if (!kept) return;
    if (kept.href) $(`main a[href="${CSS.escape(kept.href)}"]`)?.focus({ preventScroll: true });
    $$("main .scroll").forEach((box, n) => { [box.scrollTop, box.scrollLeft] = kept.scroll[n] || [0, 0]; });
    kept = null;
  });

  const trouble = $("#trouble");
  const complain = (text) => { trouble.textContent = text; trouble.hidden = false; };
  document.addEventListener("htmx:responseError", (event) => {
    const text = event.detail.xhr.responseText;
    if (event.detail.xhr.status !== 401) complain(text.length < 500 && !text.startsWith("<") ? text : String(event.detail.xhr.status));
  });
  ["htmx:sendError", "htmx:timeout"].forEach((name) => document.addEventListener(name, () => complain(
    chinese ? "与服务器的连接中断，正在自动重试…" : "Connection lost; trying again…")));
  document.addEventListener("htmx:afterRequest", (event) => { if (event.detail.successful) trouble.hidden = true; });

  // --- the chart of the last hour ------------------------------------------------------------------------------
  let chart = null;
  function draw() {
    const place = $("#chart"), data = $("#chart-data");
    if (!place || !data || !window.echarts) return;
    const lines = JSON.parse(data.dataset.chart), names = JSON.parse(data.dataset.names);
    const colours = { submitted: "#1f5fbf", delivered: "#17834b", failed: "#c8303a" };
    if (!chart || chart.getDom() !== place) {
      chart = window.echarts.init(place);
      new ResizeObserver(() => chart.resize()).observe(place);
    }
    chart.setOption({
      animation: false,
      textStyle: { fontFamily: "inherit" },
      grid: { left: 44, right: 18, top: 38, bottom: 28 },
      legend: { top: 8, right: 14, icon: "roundRect", itemWidth: 14, itemHeight: 4, textStyle: { color: "#66758a" } },
      tooltip: { trigger: "axis", renderMode: "richText" },
      xAxis: { type: "category", boundaryGap: false, data: lines.minutes, axisTick: { show: false }, axisLine: { lineStyle: { color: "#d3dae4" } }, axisLabel: { color: "#66758a", interval: 9 } },
      yAxis: { type: "value", minInterval: 1, splitLine: { lineStyle: { color: "#eef1f5" } }, axisLabel: { color: "#66758a" } },
      series: Object.keys(colours).map((metric) => ({
        name: names[metric], type: "line", data: lines[metric], showSymbol: false, smooth: .25, smoothMonotone: "x", lineStyle: { width: 2 },
        itemStyle: { color: colours[metric] }, areaStyle: { color: colours[metric], opacity: metric === "submitted" ? .08 : .03 },
      })),
    });
  }
  document.addEventListener("DOMContentLoaded", draw);
  document.addEventListener("htmx:afterSettle", draw);
})();
