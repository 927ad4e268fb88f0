// The menu: a drawer on phones, a rail with panels when narrow, one group open, two sides, counts.
import { all, one } from "./dom.js";

const menu = one("#menu");
const rail = matchMedia("(min-width: 901px) and (max-width: 1180px)");

function drawer(open) {
  const button = one("[data-drawer=menu]");
  if (!menu || !button) return;
  menu.classList.toggle("is-open", open);
  button.setAttribute("aria-expanded", String(open));
  if (open) one("a, summary", menu)?.focus();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-drawer]");
  if (button) return drawer(!menu.classList.contains("is-open"));
  if (menu && menu.classList.contains("is-open") && !menu.contains(event.target)) drawer(false);
  all("details[data-menu][open]").forEach((each) => { if (!each.contains(event.target)) each.open = false; });
  if (menu && rail.matches && !menu.contains(event.target)) all(".is-flown", menu).forEach((each) => each.classList.remove("is-flown"));
  return undefined;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  all("details[data-menu][open]").forEach((each) => { each.open = false; one("summary", each).focus(); });
  if (menu?.classList.contains("is-open")) { drawer(false); one("[data-drawer=menu]").focus(); }
  all(".is-flown").forEach((each) => each.classList.remove("is-flown"));
});

if (menu) {
  const groups = all("details.side-group", menu);
  groups.forEach((group) => {
    group.addEventListener("toggle", () => {
      if (group.open) groups.forEach((other) => { if (other !== group) other.open = false; });
    });
    one("summary", group).addEventListener("click", (event) => {
      if (!rail.matches) return;
      event.preventDefault();  // on the rail a group is a panel beside it
      const flown = group.classList.contains("is-flown");
      groups.forEach((other) => other.classList.remove("is-flown"));
      group.open = true;
      group.classList.toggle("is-flown", !flown);
    });
  });
  const here = one("[aria-current=page]", menu);
  const below = here ? here.getBoundingClientRect().bottom - menu.getBoundingClientRect().bottom : 0;
  if (below > 0) menu.scrollTop += below + 24;  // the page that is shown is seen in the menu
  all("[data-show-side]", menu).forEach((link) => link.addEventListener("click", (event) => {
    event.preventDefault();
    menu.dataset.side = link.dataset.showSide;
    all("[data-show-side]", menu).forEach((each) => each.toggleAttribute("aria-current", each === link));
  }));
  if (menu.dataset.badges) {
    let have = "";
    const count = async () => {
      if (document.hidden) return;
      const headers = { Accept: "application/json", "HX-Request": "true", "X-Have": have };
      const answer = await fetch(menu.dataset.badges, { headers }).catch(() => null);
      if (!answer || answer.status !== 200) return;
      have = answer.headers.get("X-Piece") || "";
      const counts = await answer.json();
      all("[data-badge]").forEach((badge) => {
        const n = counts[badge.dataset.badge] || 0;
        badge.textContent = n > 99 ? "99+" : String(n);
        badge.hidden = !n;
      });
    };
    count();
    setInterval(count, 30000);
  }
}
