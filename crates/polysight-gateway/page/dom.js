// Elements made without HTML: text stays text, whatever its source, and no attribute that a strict CSP refuses.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** An HTML element; `on…` attributes are listeners, absent values leave the attribute out. */
export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** A button of the quiet kind; `label` is for those who need more words than are shown. */
export function button(text, onclick, label = null, kind = "quiet small") {
  return el("button", { type: "button", class: kind, "aria-label": label, onclick }, text);
}

/** An SVG element. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

/** The element of this id. */
export function byId(id) {
  return document.getElementById(id);
}

/** An id that no other has; also where the page is not served over HTTPS. */
export function randomId() {
  return `id-${crypto.getRandomValues(new Uint32Array(2)).join("-")}`;
}
