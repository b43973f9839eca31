// The little Markdown that models write: code blocks, headings, lists, bold and inline code, built as elements.
// Everything else, HTML and links included, stays the text that it is.

import { el } from "./dom.js";

const FENCE = /^\s*(```|~~~)\s*([\w+-]*)/;
const HEADING = /^(#{1,6})\s+(.*)$/;
const ITEM = /^\s*(?:[-*+•]|(\d{1,9})[.)])\s+(.*)$/;
const INLINE = /(`[^`\n]+`|\*\*[^*\n]+\*\*)/;

function kindOf(line) {
  if (FENCE.test(line)) return "code";
  if (HEADING.test(line)) return "heading";
  const item = ITEM.exec(line);
  if (item) return item[1] ? "ordered" : "bulleted";
  return line.trim() === "" ? "blank" : "paragraph";
}

function continues(block, line, kind) {
  if (block?.kind === "code") return !block.closed;
  if (block?.kind === "paragraph") return kind === "paragraph";
  const inList = block?.kind === "ordered" || block?.kind === "bulleted";
  return inList && (kind === block.kind || (kind === "paragraph" && /^\s/.test(line)));
}

function blocksOf(text) {
  const blocks = [];
  for (const line of text.split("\n")) {
    const kind = kindOf(line);
    const last = blocks.at(-1);
    if (continues(last, line, kind)) {
      last.lines.push(line);
      last.closed = kind === "code";
    } else {
      blocks.push({ kind, lines: [line], closed: false });
    }
  }
  return blocks.filter((block) => block.kind !== "blank");
}

function inline(text) {
  return text.split(INLINE).filter((piece) => piece !== "").map((piece) => {
    if (/^`[^`]+`$/.test(piece)) return el("code", {}, piece.slice(1, -1));
    if (/^\*\*[^*]+\*\*$/.test(piece)) return el("strong", {}, piece.slice(2, -2));
    return piece;
  });
}

function items(lines) {
  const texts = [];
  for (const line of lines) {
    const item = ITEM.exec(line);
    if (item || texts.length === 0) texts.push(item ? item[2] : line);
    else texts.push(`${texts.pop()}\n${line.trim()}`);
  }
  return texts.map((text) => el("li", {}, inline(text)));
}

function code({ lines, closed }) {
  const text = lines.slice(1, closed ? -1 : undefined).join("\n");
  return el("pre", { tabindex: "0" }, el("code", {}, text));
}

function nodeOf(block) {
  const { kind, lines } = block;
  if (kind === "code") return code(block);
  if (kind === "heading") return el("p", { class: "heading" }, inline(HEADING.exec(lines[0])[2]));
  if (kind === "bulleted") return el("ul", {}, items(lines));
  if (kind === "ordered") return el("ol", { start: ITEM.exec(lines[0])[1] }, items(lines));
  return el("p", {}, inline(lines.join("\n")));
}

const sources = new WeakMap();

/** Shows the text in the element. What did not change stays, so that a selection survives the next delta. */
export function showMarkdown(element, text) {
  const blocks = blocksOf(text);
  blocks.forEach((block, index) => {
    const source = `${block.kind}\n${block.closed}\n${block.lines.join("\n")}`;
    const old = element.children[index];
    if (old && sources.get(old) === source) return;
    const node = nodeOf(block);
    sources.set(node, source);
    if (old) old.replaceWith(node);
    else element.append(node);
  });
  while (element.children.length > blocks.length) element.lastElementChild.remove();
}
