// Finds boxes in an answer: as the gateway gives them, else as the vendors' models write them into the text.

const MOST = 200;
const NUMBER = String.raw`\s*(-?\d+(?:\.\d+)?)\s*`;
const FOUR = `${NUMBER},${NUMBER},${NUMBER},${NUMBER}`;
// {"bbox_2d": [x1, y1, x2, y2], "label": "cat"}: Qwen-VL, GLM-4.1V and newer; in any order, quotes of either kind.
const OBJECT = /\{[^{}]{1,2000}\}/g;
const MEMBER = new RegExp(String.raw`["'](?:bbox_2d|bbox|box_2d)["']\s*:\s*\[{1,2}${FOUR}\]`);
const LABEL = /["'](?:label|name|text)["']\s*:\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)')/;
// <ref>cat</ref><box>(x1,y1),(x2,y2)</box>: Qwen-VL; Qwen2-VL writes the same with other marks.
const CORNERS = String.raw`\(${NUMBER},${NUMBER}\)\s*,\s*\(${NUMBER},${NUMBER}\)`;
const NAMED = String.raw`(?:<ref>|<\|object_ref_start\|>)([^<]{0,200})(?:</ref>|<\|object_ref_end\|>)`;
const MARKED = new RegExp(String.raw`(?:${NAMED}\s*)?(?:<box>|<\|box_start\|>)\s*${CORNERS}`, "g");
// <|begin_of_box|>[[x1,y1,x2,y2]]<|end_of_box|>: GLM-V, whose brackets vary; elsewhere only [[..]] is taken for a box.
const GLM = /<\|begin_of_box\|>([^]*?)(?:<\|end_of_box\|>|$)/g;
const BRACKETED = new RegExp(String.raw`[[(<]${FOUR}[\])>]`, "g");
const DOUBLE = /\[\s*\[[\d\s.,[\]-]{7,10000}\]\s*\]/g;

function box(label, numbers) {
  const [x1, y1, x2, y2] = numbers.map(Number);
  const corners = [Math.min(x1, x2), Math.min(y1, y2), Math.max(x1, x2), Math.max(y1, y2)];
  return { label: label ?? "", picture: null, corners };
}

function unescaped(text) {
  try {
    return JSON.parse(`"${text}"`);
  } catch {
    return text;
  }
}

function inObjects(text) {
  return [...text.matchAll(OBJECT)].flatMap(([object]) => {
    const member = MEMBER.exec(object);
    const label = LABEL.exec(object);
    return member ? [box(label?.[2] ?? unescaped(label?.[1] ?? ""), member.slice(1))] : [];
  });
}

function inMarks(text) {
  return [...text.matchAll(MARKED)].map((found) => box(found[1]?.trim(), found.slice(2)));
}

function inBrackets(text) {
  const stretches = [...text.matchAll(GLM)].map((found) => found[1]);
  const searched = stretches.length > 0 ? stretches : [...text.matchAll(DOUBLE)].map((found) => found[0]);
  return searched.flatMap((stretch) => [...stretch.matchAll(BRACKETED)].map((found) => box("", found.slice(1))));
}

function relative(text) {
  const readers = [inObjects, inMarks, inBrackets];
  for (const read of readers) {
    const boxes = read(text).slice(0, MOST);
    if (boxes.length > 0) return boxes;
  }
  return [];
}

function isGiven(given) {
  return Array.isArray(given?.box) && given.box.length === 4 && given.box.every(Number.isFinite);
}

/**
 * The boxes of an answer and how they are read: `"pixels"` of the picture, where the gateway gives them, else
 * `"relative"`, 0 to 1000 of width and height. `picture` is the index among the pictures, null where it is not said. Boxes in the reasoning are not read: models repeat drafts there.
 */
export function boxesOf({ text, polysight }) {
  const given = Array.isArray(polysight.boxes) ? polysight.boxes.filter(isGiven).slice(0, MOST) : [];
  if (given.length === 0) return { reading: "relative", boxes: relative(text) };
  const boxes = given.map((one) => ({ ...box(one.label, one.box), picture: one.picture ?? null }));
  return { reading: "pixels", boxes };
}
