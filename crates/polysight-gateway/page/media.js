// The pictures and videos of a question: files, pasted pictures and links, with small previews.

import { button, byId, el } from "./dom.js";
import { Failure } from "./failure.js";
import { t } from "./i18n.js";
import { previewOf } from "./preview.js";

const MOST_ITEMS = 20;
// As base64 these stay below the largest body that a gateway takes by default.
const MOST_MEGABYTES = 45;
const VIDEO_ENDINGS = ["mp4", "m4v", "mov", "webm", "mkv", "avi"];
// Browsers give no type to files of these endings on every system.
const TYPES = {
  heic: "image/heic", heif: "image/heif", mov: "video/quicktime", mkv: "video/x-matroska", avi: "video/x-msvideo",
};

function ending(name) {
  return /\.([a-z0-9]+)$/i.exec(name)?.[1].toLowerCase() ?? "";
}

function typeOf(file) {
  return file.type || TYPES[ending(file.name)] || "";
}

function readAsDataUri(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(reader.result));
    reader.addEventListener("error", () => {
      reject(new Failure({ key: "unreadable", values: { name: file.name, problem: reader.error.message } }));
    });
    reader.readAsDataURL(new Blob([file], { type: typeOf(file) }));
  });
}

async function partOf(item) {
  const url = item.url ?? await readAsDataUri(item.file);
  return item.kind === "video" ? { type: "video_url", video_url: { url } } : { type: "image_url", image_url: { url } };
}

let items = [];
let changed = () => {};

/** The parts of a message, files as data URIs. */
export function mediaParts() {
  return Promise.all(items.map(partOf));
}

/** What the history keeps of them: name, kind, size in pixels and preview. */
export function mediaSummary() {
  return items.map(({ kind, name, url, preview, width, height }) => ({ kind, name, url, preview, width, height }));
}

/** Whether there is a picture, and whether there is a video. */
export function mediaKinds() {
  return new Set(items.map((item) => item.kind));
}

function report(key, values = {}) {
  byId("media-problem").textContent = key === null ? "" : t(key, values);
}

function fits(name, size) {
  const bytes = items.reduce((sum, item) => sum + (item.file?.size ?? 0), size);
  if (items.length >= MOST_ITEMS) report("too-many", { limit: MOST_ITEMS });
  else if (bytes > MOST_MEGABYTES * 1_000_000) report("too-large", { name, limit: MOST_MEGABYTES });
  else return true;
  return false;
}

function add(item) {
  items.push(item);
  showMedia();
}

async function addFile(file) {
  const kind = { image: "image", video: "video" }[typeOf(file).split("/")[0]];
  if (!kind) return report("not-media", { name: file.name });
  if (!fits(file.name, file.size)) return;
  const item = { kind, name: file.name, file };
  add(item);
  Object.assign(item, await previewOf(file, kind));
  showMedia();
}

// Adds files; what is neither a picture nor a video, or too much, is refused with the reason.
function addFiles(files) {
  report(null);
  for (const file of files) addFile(file);
}

function addLink(text) {
  report(null);
  if (!/^https?:\/\/./i.test(text) || !URL.canParse(text)) return report("link-bad");
  const url = new URL(text);
  if (!fits(url.host, 0)) return;
  const kind = VIDEO_ENDINGS.includes(ending(url.pathname)) ? "video" : "image";
  add({ kind, name: url.pathname.split("/").pop() || url.host, url: text });
}

function takeLinkField() {
  const field = byId("link");
  addLink(field.value.trim());
  if (byId("media-problem").textContent === "") field.value = "";
}

function remove(item) {
  items = items.filter((other) => other !== item);
  report(null);
  showMedia();
  byId("choose").focus();
}

function kindSwitch(item) {
  const kind = t(item.kind === "video" ? "video" : "picture");
  const flip = () => {
    item.kind = item.kind === "video" ? "image" : "video";
    showMedia();
    byId("media").children[items.indexOf(item)].querySelector("button").focus();
  };
  return button(kind, flip, t("kind", { name: item.name, kind }));
}

function row(item) {
  return el("li", { title: item.url ? `${item.url} (${t("link-note")})` : item.name },
    thumbnail(item),
    el("span", { class: "media-name" }, item.name),
    item.url ? kindSwitch(item) : null,
    button("×", () => remove(item), t("remove", { name: item.name })));
}

/** A small picture of an item, or the word for what it is. */
export function thumbnail({ preview, kind }) {
  const sign = kind === "video" ? el("span", {}, "▶") : null;
  const picture = preview ? el("img", { src: preview, alt: "" }) : null;
  return el("span", { class: "thumb", "aria-hidden": "true" }, picture, sign ?? (picture ? null : "◩"));
}

/** Shows the items; also after a change of language. */
export function showMedia() {
  byId("media").replaceChildren(...items.map(row));
  changed();
}

function holdsMedia({ types }) {
  return types.includes("Files") || types.includes("text/uri-list");
}

function dropTarget(zone) {
  let depth = 0;
  const lift = (change) => {
    depth = change === 0 ? 0 : depth + change;
    zone.classList.toggle("over", depth > 0);
  };
  const listen = (name, act) => document.addEventListener(name, (event) => {
    // Text that is moved within the question is left alone.
    if (holdsMedia(event.dataTransfer)) act(event);
  });
  listen("dragenter", () => lift(1));
  listen("dragleave", () => lift(-1));
  listen("dragover", (event) => event.preventDefault());
  listen("drop", (event) => {
    event.preventDefault();
    lift(0);
    const { files } = event.dataTransfer;
    if (files.length > 0) addFiles(files);
    else addLink(event.dataTransfer.getData("text/uri-list").split("\n")[0].trim());
  });
}

/** Listens for files that are chosen, dropped anywhere or pasted, and for links. */
export function startMedia(onchange) {
  changed = onchange;
  const files = byId("files");
  byId("choose").addEventListener("click", () => files.click());
  files.addEventListener("change", () => {
    addFiles(files.files);
    files.value = "";
  });
  dropTarget(byId("drop"));
  document.addEventListener("paste", (event) => {
    const { files, types } = event.clipboardData;
    // Office programs add a picture of the text that was copied: in a field the text is meant.
    const isText = types.includes("text/plain") && event.target.matches("input, textarea");
    if (files.length === 0 || isText) return;
    event.preventDefault();
    addFiles(files);
  });
  byId("link-add").addEventListener("click", takeLinkField);
  byId("link").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    takeLinkField();
  });
}
