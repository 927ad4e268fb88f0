// Platform settings: the contrast of a colour while it is typed; files that are too large are not sent.
import { all, one } from "./dom.js";

const luminance = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16) / 255)
  .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
  .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
const contrast = (a, b) => {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (light + 0.05) / (dark + 0.05);
};

all("[data-colour]").forEach((hint) => {
  const field = document.getElementById(hint.dataset.colour), told = one("span", hint);
  field.addEventListener("input", () => {
    const colour = field.value.trim().toLowerCase();
    if (!/^#[0-9a-f]{6}$/.test(colour)) return;
    const onWhite = contrast(colour, "#ffffff"), onBlack = contrast(colour, "#000000");
    one("rect", hint).setAttribute("fill", colour);
    one("text", hint).setAttribute("fill", onWhite >= onBlack ? "#ffffff" : "#000000");
    told.textContent = hint.dataset[onWhite >= 4.5 ? "good" : "low"].replace("%(ratio)s", onWhite.toFixed(1));
  });
});

all("input[data-most]").forEach((input) => input.addEventListener("change", () => {
  const large = input.files.length > 0 && input.files[0].size > Number(input.dataset.most) * 1024;
  input.setCustomValidity(large ? input.dataset.large : "");
  if (large) input.reportValidity();
}));
