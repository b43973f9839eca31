// Light or dark: as the system says, until the person chooses.

import { keep, recall } from "./storage.js";

const KEPT = "polysight.theme";
const system = window.matchMedia("(prefers-color-scheme: dark)");

function current() {
  return document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light");
}

/** Applies what was chosen before. */
export function startTheme() {
  const kept = recall("localStorage", KEPT);
  if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
}

/** Changes to the other one, and remembers it. */
export function switchTheme() {
  const chosen = current() === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = chosen;
  keep("localStorage", KEPT, chosen);
}
