// The dialog with the history: open one, delete one, delete all.

import { button, byId, el } from "./dom.js";
import { forgetComparison, forgetEverything, keptComparisons, MOST_MEGABYTES, MOST_QUESTIONS } from "./history.js";
import { moment, t } from "./i18n.js";
import { thumbnail } from "./media.js";

let open = () => {};

function row(comparison) {
  const name = comparison.question || t("untitled");
  const show = () => {
    byId("history").close();
    open(comparison);
  };
  const forget = async () => {
    await forgetComparison(comparison.id);
    await list();
    byId("history").querySelector("[data-close]").focus();
  };
  return el("li", {},
    el("button", { type: "button", class: "history-open", onclick: show },
      thumbnail(comparison.media[0] ?? {}),
      el("span", { class: "history-text" }, el("span", { class: "history-question" }, name),
        el("small", {}, `${moment(comparison.at)} · ${t("history-roles", { n: comparison.answers.length })}`))),
    button(t("delete-short"), forget, t("delete", { name })));
}

async function list() {
  const clear = byId("history-clear");
  clear.hidden = true;
  byId("history-note").textContent = t("history-note", { count: MOST_QUESTIONS, size: MOST_MEGABYTES });
  try {
    const rows = await keptComparisons();
    clear.hidden = rows.length === 0;
    const empty = el("li", { class: "muted" }, t("history-empty"));
    byId("history-list").replaceChildren(...(rows.length > 0 ? rows.map(row) : [empty]));
  } catch (error) {
    const problem = t("history-failed", { problem: error.message });
    byId("history-list").replaceChildren(el("li", { class: "problem" }, problem));
  }
}

async function clearAll() {
  if (!window.confirm(t("clear-sure"))) return;
  await forgetEverything();
  await list();
}

/** Listens for the button of the history; `show` gets the comparison that is opened. */
export function startHistory(show) {
  open = show;
  byId("history-clear").addEventListener("click", clearAll);
  byId("history-open").addEventListener("click", async () => {
    await list();
    byId("history").showModal();
  });
}
