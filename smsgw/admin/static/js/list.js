// What a list page has beyond every page: drawer, selection, a filter bar that is folded on phones, moving by keys.
import "./copy.js";
import "./drawer.js";
import "./select.js";
import { all, one } from "./dom.js";

if (matchMedia("(max-width: 900px)").matches) all("[data-fold=phone]").forEach((each) => { each.open = false; });

// Up and down go from row to row, Enter opens, Space picks.
document.addEventListener("keydown", (event) => {
  if (!["ArrowDown", "ArrowUp"].includes(event.key) || !event.target.matches("[data-list] .row-link, [data-list] [data-pick]")) return;
  const kind = event.target.matches("[data-pick]") ? "[data-pick]" : ".row-link";
  const links = all(`[data-list] ${kind}`);
  const next = links[links.indexOf(event.target) + (event.key === "ArrowDown" ? 1 : -1)];
  if (!next) return;
  event.preventDefault();
  next.focus();
});

// "/" goes to the first field of the filter.
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.closest("input, select, textarea, dialog")) return;
  const field = one(".kit-filter .filter-fields input, .kit-filter .filter-fields select");
  if (!field) return;
  event.preventDefault();
  one(".filter-fold").open = true;
  field.focus();
});
