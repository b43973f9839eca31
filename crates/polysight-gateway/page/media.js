// The pictures and videos of a question: files, pasted pictures and links, with small previews.

import { byId, el } from "./dom.js";
import { Failure } from "./failure.js";
import { t } from "./i18n.js";
import { previewOf } from "./preview.js";

const MOST_ITEMS = 20;
const MOST_MEGABYTES = 100;
const VIDEO_ENDINGS = ["mp4", "m4v", "mov", "webm", "mkv", "avi"];
// Browsers give no type to files of these endings on every system.
const TYPES = { heic: "image/heic", heif: "image/heif", mov: "video/quicktime", mkv: "video/x-matroska", avi: "video/x-msvideo" };

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

/** Adds files; what is neither a picture nor a video, or too much, is refused with the reason. */
export function addFiles(files) {
  report(null);
  for (const file of files) addFile(file);
}

function addLink() {
  const field = byId("link");
  const text = field.value.trim();
  report(null);
  if (!/^https?:\/\/./i.test(text) || !URL.canParse(text)) return report("link-bad");
  const url = new URL(text);
  if (!fits(url.host, 0)) return;
  const kind = VIDEO_ENDINGS.includes(ending(url.pathname)) ? "video" : "image";
  add({ kind, name: url.pathname.split("/").pop() || url.host, url: text });
  field.value = "";
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
  };
  return el("button", { type: "button", class: "quiet small", "aria-label": t("kind", { name: item.name, kind }), onclick: flip }, kind);
}

function row(item) {
  const label = t("remove", { name: item.name });
  return el("li", { title: item.url ? `${item.url} (${t("link-note")})` : item.name },
    thumbnail(item),
    el("span", { class: "media-name" }, item.name),
    item.url ? kindSwitch(item) : null,
    el("button", { type: "button", class: "quiet small", "aria-label": label, onclick: () => remove(item) }, "×"));
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

function dropTarget(zone) {
  let depth = 0;
  const lift = (change) => {
    depth = change === 0 ? 0 : depth + change;
    zone.classList.toggle("over", depth > 0);
  };
  document.addEventListener("dragenter", () => lift(1));
  document.addEventListener("dragleave", () => lift(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    lift(0);
    addFiles(event.dataTransfer.files);
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
    if (event.clipboardData.files.length === 0) return;
    event.preventDefault();
    addFiles(event.clipboardData.files);
  });
  byId("link-add").addEventListener("click", addLink);
  byId("link").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    addLink();
  });
}
