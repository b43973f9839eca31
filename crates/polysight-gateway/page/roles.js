// The roles of the gateway: which there are, what each sees, and which are asked.

import { models } from "./api.js";
import { button, byId, el } from "./dom.js";
import { detailsOf, explained } from "./failure.js";
import { number, t } from "./i18n.js";
import { keep, recall } from "./storage.js";

// A browser holds six connections to one server that speaks HTTP/1.1; a seventh answer would wait for the first to end.
const MOST_ASKED = 6;
const FILTER_FROM = 10;
const KEPT = "polysight.roles";

let roles = null; // until they are read
let chosen = new Set();
let problem = null;

function roleOf(model) {
  const extra = model.polysight ?? {};
  return {
    id: model.id,
    provider: extra.provider ?? "",
    model: extra.model ?? "",
    sees: model.architecture?.input_modalities ?? [],
    window: model.context_length,
  };
}

function choose() {
  const kept = JSON.parse(recall("localStorage", KEPT) ?? "[]");
  const known = roles.filter((role) => kept.includes(role.id)).map((role) => role.id);
  chosen = new Set(known.length > 0 ? known.slice(0, MOST_ASKED) : roles.slice(0, 2).map((role) => role.id));
}

/** Reads the roles from the gateway; a failure is shown with a button to repeat, and given to the caller. */
export async function loadRoles() {
  problem = null;
  try {
    roles = (await models()).filter((model) => typeof model.id === "string").map(roleOf);
    choose();
  } catch (failure) {
    problem = detailsOf(failure);
    throw failure;
  } finally {
    showRoles(new Set());
  }
}

/** The roles that are asked, in the gateway's order. */
export function chosenRoles() {
  return (roles ?? []).filter((role) => chosen.has(role.id));
}

function toggle(role, box) {
  const field = byId("roles-problem");
  field.textContent = "";
  if (box.checked && chosen.size >= MOST_ASKED) {
    box.checked = false;
    field.textContent = t("roles-limit", { limit: MOST_ASKED });
    return;
  }
  if (box.checked) chosen.add(role.id);
  else chosen.delete(role.id);
  keep("localStorage", KEPT, JSON.stringify([...chosen]));
}

function blindness(role, kinds) {
  if (role.sees.length === 0) return [];
  return ["image", "video"].filter((kind) => kinds.has(kind) && !role.sees.includes(kind))
    .map((kind) => el("span", { class: "badge warn" }, t(`blind-${kind}`)));
}

function badges(role) {
  const seen = ["image", "video"].filter((kind) => role.sees.includes(kind)).map((kind) => t(`sees-${kind}`));
  if (seen.length === 0 && role.sees.includes("text")) seen.push(t("sees-text"));
  if (role.window) seen.push(t("tokens-window", { n: number(role.window, { notation: "compact" }) }));
  return seen.map((text) => el("span", { class: "badge" }, text));
}

function choice(role, kinds) {
  const box = el("input", { type: "checkbox", value: role.id, checked: chosen.has(role.id) });
  box.addEventListener("change", () => toggle(role, box));
  const model = [role.provider, role.model].filter(Boolean).join(" · ");
  return el("label", { class: "role" }, box,
    el("span", { class: "role-text" },
      el("span", { class: "role-name" }, role.id),
      model ? el("span", { class: "role-model" }, model) : null,
      el("span", { class: "badges" }, badges(role), blindness(role, kinds))));
}

function substitute() {
  if (problem === null && roles === null) return [el("p", { class: "muted" }, t("roles-loading"))];
  if (problem === null) return [el("p", { class: "muted" }, t("roles-none"))];
  const text = t("roles-failed", { problem: explained(problem) });
  return [el("p", { class: "problem" }, text), button(t("again"), retry)];
}

let retry = () => {};

/** Shows the roles, with a warning at those that do not see these kinds of media; also after a change of language. */
export function showRoles(kinds) {
  const known = roles ?? [];
  const wanted = byId("roles-filter").value.trim().toLowerCase();
  byId("roles-filter").hidden = known.length <= FILTER_FROM;
  const shown = known.filter((role) => `${role.id} ${role.provider} ${role.model}`.toLowerCase().includes(wanted));
  byId("roles").replaceChildren(...(known.length === 0 ? substitute() : shown.map((role) => choice(role, kinds))));
}

/** Listens for the filter; `again` reads the roles once more. */
export function startRoles(kindsNow, again) {
  retry = again;
  byId("roles-filter").addEventListener("input", () => showRoles(kindsNow()));
}
