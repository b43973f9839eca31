// The language of the page: chosen by the browser's languages, or by the person, which is remembered.

import { keep, recall } from "./storage.js";
import { strings } from "./strings.js";

const KEPT = "polysight.language";

function preferred() {
  const kept = recall("localStorage", KEPT);
  if (Object.hasOwn(strings, kept)) return kept;
  return (navigator.languages ?? [navigator.language]).map((tag) => tag.slice(0, 2).toLowerCase())
    .find((language) => Object.hasOwn(strings, language)) ?? "en";
}

let language = preferred();

/** The text of this key in the language of the page, `{name}` replaced by the values; for an `n` of 1 that of `key-1`. */
export function t(key, values = {}) {
  const chosen = values.n === 1 && has(`${key}-1`) ? `${key}-1` : key;
  return (strings[language][chosen] ?? key).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** Whether the page has a text for this key. */
export function has(key) {
  return Object.hasOwn(strings[language], key);
}

/** Puts the texts into elements that name them in `data-text`, `data-label` or `data-placeholder`. */
export function translatePage() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : language;
  for (const node of document.querySelectorAll("[data-text]")) node.textContent = t(node.dataset.text);
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", t(node.dataset.label));
  for (const node of document.querySelectorAll("[data-placeholder]")) node.placeholder = t(node.dataset.placeholder);
}

/** Changes between English and Chinese. */
export function switchLanguage() {
  language = language === "zh" ? "en" : "zh";
  keep("localStorage", KEPT, language);
}

/** The code of the other language. */
export function otherLanguage() {
  return language === "zh" ? "en" : "zh";
}

/** A number as the language writes it. */
export function number(value, options = {}) {
  return new Intl.NumberFormat(language, options).format(value);
}

/** Milliseconds as seconds. */
export function seconds(milliseconds) {
  const digits = milliseconds < 10_000 ? 2 : 1;
  return `${number(milliseconds / 1000, { minimumFractionDigits: digits, maximumFractionDigits: digits })} s`;
}

/** An amount of money; a currency that is no ISO code stands behind the number as it came. */
export function money({ amount, currency }) {
  const digits = { minimumSignificantDigits: 1, maximumSignificantDigits: 3 };
  try {
    return number(amount, { ...digits, style: "currency", currency, currencyDisplay: "narrowSymbol" });
  } catch {
    return `${number(amount, digits)} ${currency}`;
  }
}

/** A day and time. */
export function moment(time) {
  return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(time);
}
