// Draws boxes on the preview of a picture, with a list of them for those who cannot see the drawing.

import { el, svg } from "./dom.js";
import { number, t } from "./i18n.js";

const COLOURS = 6;

function clamped(value, most) {
  return Math.min(Math.max(value, 0), most);
}

/** Corners in the units of the drawing, in which the picture is 1000 wide. */
function placed(corners, reading, picture) {
  const height = 1000 * picture.height / picture.width;
  const [across, down] = reading === "pixels" ? [picture.width, picture.height] : [1000, 1000];
  const [x1, y1, x2, y2] = corners;
  return [clamped(x1 / across, 1) * 1000, clamped(y1 / down, 1) * height,
    clamped(x2 / across, 1) * 1000, clamped(y2 / down, 1) * height];
}

function drawn({ corners }, index, reading, picture) {
  const [x1, y1, x2, y2] = placed(corners, reading, picture);
  const frame = { x: x1, y: y1, width: Math.max(x2 - x1, 1), height: Math.max(y2 - y1, 1), rx: 4 };
  const text = String(index + 1);
  const tag = { x: clamped(x1, 1000 - 44), y: y1 < 44 ? y1 : y1 - 44, width: 24 + 20 * text.length, height: 44, rx: 6 };
  return svg("g", { class: `box colour-${index % COLOURS}` },
    svg("rect", { class: "box-edge", ...frame }),
    svg("rect", { class: "box-frame", ...frame }),
    svg("rect", { class: "box-tag", ...tag }),
    svg("text", { x: tag.x + tag.width / 2, y: tag.y + 33, "text-anchor": "middle" }, text));
}

function drawing(picture, boxes, reading) {
  const view = `0 0 1000 ${Math.round(1000 * picture.height / picture.width)}`;
  const label = t("boxes-picture", { name: picture.name, n: boxes.length });
  return el("div", { class: "drawing" },
    el("img", { src: picture.preview, alt: label }),
    svg("svg", { viewBox: view, "aria-hidden": "true" }, boxes.map((one) => drawn(one, one.index, reading, picture))));
}

function entry({ label, corners, index }) {
  const values = corners.map((value) => number(value, { useGrouping: false })).join(", ");
  return el("li", {}, el("span", { class: `key colour-${index % COLOURS}` }, String(index + 1)),
    label ? el("span", { class: "box-label" }, label) : null, el("code", {}, `[${values}]`));
}

function drawingsByPicture(pictures, boxes, reading) {
  return pictures.map((picture, index) => {
    const own = boxes.filter((one) => one.picture === index);
    return picture.preview && own.length > 0 ? drawing(picture, own, reading) : null;
  }).filter((one) => one !== null);
}

/** A choice of the picture, where the answer does not say which of several is meant. */
function pictureChoice(pictures, chosen, redraw) {
  const options = pictures.map((picture, index) => {
    return el("option", { value: index, selected: index === chosen }, `${index + 1}: ${picture.name}`);
  });
  const select = el("select", { onchange: () => redraw(Number(select.value)) }, options);
  return el("label", { class: "box-choice" }, `${t("boxes-on")} `, select);
}

/** The figure for the boxes of an answer; null without any. */
export function boxesFigure({ reading, boxes }, media) {
  if (boxes.length === 0) return null;
  const pictures = media.filter((item) => item.kind === "image");
  const isOpen = pictures.length > 1 && boxes.some((one) => one.picture === null);
  const figure = el("figure", { class: "boxes" });
  const show = (chosen) => {
    const numbered = boxes.map((one, index) => ({ ...one, index, picture: one.picture ?? chosen }));
    const drawings = drawingsByPicture(pictures, numbered, reading);
    const beyond = reading === "relative" && boxes.some((one) => one.corners.some((value) => value > 1000));
    figure.replaceChildren(
      el("p", { class: "part-title" }, t("boxes", { n: boxes.length })),
      ...(isOpen ? [pictureChoice(pictures, chosen, show)] : []),
      ...(drawings.length > 0 ? drawings : [el("p", { class: "muted" }, t("boxes-no-picture"))]),
      el("ol", { class: "box-list" }, numbered.map(entry)),
      el("figcaption", { class: "muted" }, t(`boxes-${reading}`), beyond ? ` ${t("boxes-clamped")}` : ""),
    );
  };
  show(0);
  return figure;
}
