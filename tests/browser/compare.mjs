// Compares two PNGs: prints how many pixels differ, and of how many; writes the difference as a third.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const [, , peers, kept, made, difference, threshold] = process.argv;
const require = createRequire(`${peers}/package.json`);
const { PNG } = require("pngjs");
const found = require("pixelmatch");
const pixelmatch = found.default ?? found;

const [one, other] = [kept, made].map((path) => PNG.sync.read(readFileSync(path)));
const same = one.width === other.width && one.height === other.height;
const [width, height] = [Math.min(one.width, other.width), Math.min(one.height, other.height)];
const crop = (png) => {
  if (png.width === width && png.height === height) return png.data;
  const cut = new PNG({ width, height });
  PNG.bitblt(png, cut, 0, 0, width, height, 0, 0);
  return cut.data;
};
const shown = new PNG({ width, height });
const differing = pixelmatch(crop(one), crop(other), shown.data, width, height, { threshold: Number(threshold) });
writeFileSync(difference, PNG.sync.write(shown));
process.stdout.write(JSON.stringify({ differing, of: width * height, same }) + "\n");
