// The column of one answer.

import { isRunning } from "./answer.js";
import { boxesFigure } from "./boxes-view.js";
import { boxesOf } from "./boxes.js";
import { button, el, randomId } from "./dom.js";
import { explained } from "./failure.js";
import { has, money, number, seconds, t } from "./i18n.js";
import { showMarkdown } from "./markdown.js";

function figure(key, value, more) {
  return el("div", { class: "figure" }, el("dt", {}, t(key)), el("dd", {}, value, more ? el("small", {}, more) : null));
}

function tokens(usage) {
  const known = (value) => (Number.isFinite(value) ? number(value) : t("unknown"));
  return t("tokens-value", { in: known(usage.prompt_tokens), out: known(usage.completion_tokens) });
}

function reasoningTokens(usage) {
  const count = usage.completion_tokens_details?.reasoning_tokens;
  return count > 0 ? t("tokens-reasoning", { n: number(count) }) : null;
}

function figures({ firstDelta, total, usage, finish, polysight }) {
  const { cost } = polysight;
  return [
    firstDelta === null ? null : figure("first-delta", seconds(firstDelta)),
    total === null ? null : figure("total", seconds(total)),
    usage ? figure("tokens", tokens(usage), reasoningTokens(usage)) : null,
    Number.isFinite(cost?.amount) ? figure("cost", money(cost)) : null,
    finish ? figure("finish", finish, has(`finish-${finish}`) ? t(`finish-${finish}`) : null) : null,
  ].filter((one) => one !== null);
}

function term(key, value) {
  return value ? el("div", {}, el("dt", {}, t(key)), el("dd", {}, value)) : null;
}

function violation({ path, problem, limit, fix, source }) {
  return el("li", {},
    el("code", { class: "path" }, path), el("p", {}, problem),
    el("dl", {}, term("allowed", limit), term("fix", fix), term("source", source)));
}

function violations(list) {
  return [el("p", { class: "part-title" }, t("violations", { n: list.length })), el("ul", { class: "violations" }, list.map(violation))];
}

function reference(key, value) {
  return value ? el("span", {}, `${t(key)} `, el("code", {}, String(value))) : null;
}

function billing({ billed }) {
  return has(`billed-${billed}`) ? el("p", {}, t(`billed-${billed}`)) : null;
}

function trouble({ error, text }) {
  if (error === null) return null;
  const list = error.violations;
  const references = [reference("code", error.code), reference("request-id", error.requestId)];
  return el("section", { class: "trouble" },
    list.length > 0 ? violations(list) : el("p", {}, explained(error)),
    text === "" ? null : el("p", {}, t("partial")), billing(error),
    el("p", { class: "references" }, references));
}

function more(key, list, show) {
  if (!Array.isArray(list) || list.length === 0) return null;
  const rows = list.map((one) => el("li", {}, show(one)));
  return el("details", {}, el("summary", {}, t(key, { n: rows.length })), el("ul", {}, rows));
}

function adjustment({ path, change, lossless }) {
  return [el("code", { class: "path" }, path ?? ""), " ", change ?? "",
    lossless === false ? el("span", { class: "badge warn" }, t("lossy")) : null];
}

function attempt({ provider, message, code }) {
  return [provider ? el("code", {}, provider) : null, " ", message ?? code ?? ""];
}

function copyButton(text) {
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    node.textContent = t("copied");
  };
  const node = button(t("copy"), copy);
  return text !== "" && navigator.clipboard ? node : null;
}

/** What stands under the text once the answer has ended. */
function ending(answer, media) {
  const { polysight } = answer;
  const empty = answer.status === "done" && answer.text === "" ? el("p", { class: "muted" }, t("empty-answer")) : null;
  return [
    empty,
    boxesFigure(boxesOf(answer), media),
    trouble(answer),
    more("adjustments", polysight.adjustments, adjustment),
    more("notes", polysight.notes, String),
    more("attempts", polysight.attempts ?? answer.error?.attempts, attempt),
    copyButton(answer.text),
  ].filter((one) => one !== null);
}

/** Makes the column of an answer: its element, and a function that shows what has become of the answer. */
export function answerCard(answer, media) {
  const title = randomId();
  const state = el("span", { class: "state" });
  const model = el("p", { class: "model" });
  const numbers = el("dl", { class: "figures" });
  const thought = el("p", { class: "thought", dir: "auto" });
  const reasoning = el("details", { class: "reasoning", hidden: true }, el("summary", {}, t("reasoning")), thought);
  const text = el("div", { class: "text", dir: "auto" });
  const end = el("div", { class: "end" });
  const element = el("article", { class: "card", "aria-labelledby": title },
    el("header", {}, el("h3", { id: title }, answer.role), state, model), numbers, reasoning, text, end);
  const update = () => {
    element.dataset.status = answer.status;
    element.setAttribute("aria-busy", String(isRunning(answer)));
    state.textContent = t(answer.status);
    const cached = answer.polysight.cached ? t("cached") : "";
    model.textContent = [answer.provider, answer.model, cached].filter(Boolean).join(" · ");
    numbers.replaceChildren(...figures(answer));
    reasoning.hidden = answer.reasoning === "";
    thought.textContent = answer.reasoning;
    showMarkdown(text, answer.text);
    end.replaceChildren(...(isRunning(answer) ? [] : ending(answer, media)));
  };
  update();
  return { element, update };
}
