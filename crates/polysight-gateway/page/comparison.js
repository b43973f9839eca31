// The stage: a question with its media, and the columns of its answers; or the welcome before the first.

import { answerCard } from "./card.js";
import { byId, el } from "./dom.js";
import { moment, t } from "./i18n.js";
import { thumbnail } from "./media.js";

const EXAMPLES = ["example-1", "example-2", "example-3", "example-4"];
const SHOWN_EVERY = 100; // ms

function asked({ question, media, at }) {
  return el("header", { class: "asked" },
    media.length > 0 ? el("div", { class: "asked-media" }, media.map(thumbnail)) : null,
    el("div", {},
      el("h2", { class: "asked-title", tabindex: "-1", id: "asked" }, t("asked"), el("time", {}, ` ${moment(at)}`)),
      el("p", { class: "asked-text", dir: "auto" }, question || t("untitled"))));
}

let cards = new Map();
const waiting = new Set();

/** Shows a question with its answers. */
export function showComparison(comparison) {
  cards = new Map(comparison.answers.map((answer) => [answer, answerCard(answer, comparison.media)]));
  const columns = el("div", { class: "columns" }, [...cards.values()].map((card) => card.element));
  byId("answers").replaceChildren(asked(comparison), columns);
}

/** Shows what has become of an answer, ten times a second at most; nothing where another question is on the stage. */
export function updateAnswer(answer) {
  if (waiting.has(answer)) return;
  waiting.add(answer);
  setTimeout(() => {
    waiting.delete(answer);
    cards.get(answer)?.update();
  }, SHOWN_EVERY);
}

/** Shows what the page is for, with questions to begin with. */
export function showWelcome(use) {
  const examples = EXAMPLES.map((key) => el("li", {},
    el("button", { type: "button", class: "example", onclick: () => use(t(key)) }, t(key))));
  byId("answers").replaceChildren(el("section", { class: "welcome" },
    el("img", { src: "favicon.svg", alt: "", width: "72", height: "72" }),
    el("h2", {}, t("welcome")), el("p", { class: "muted" }, t("welcome-text")),
    el("h3", {}, t("examples")), el("ul", {}, examples)));
}
