// The page: what happens when a person asks, stops, opens the history or changes the language.

import { newAnswer, runAnswer } from "./answer.js";
import { hasKey, useKey } from "./api.js";
import { showComparison, showWelcome, updateAnswer } from "./comparison.js";
import { byId, randomId } from "./dom.js";
import { detailsOf, explained } from "./failure.js";
import { startHistory } from "./history-view.js";
import { keepComparison } from "./history.js";
import { otherLanguage, seconds, switchLanguage, t, translatePage } from "./i18n.js";
import { mediaKinds, mediaParts, mediaSummary, showMedia, startMedia } from "./media.js";
import { chosenRoles, loadRoles, showRoles, startRoles } from "./roles.js";
import { startTheme, switchTheme } from "./theme.js";

const NARROW = window.matchMedia("(max-width: 56rem)"); // as in style.css: the answers stand under the question
const SPOKEN = 200; // characters of an answer that are read out when it has come

let shown = null;
let running = null;

function say(text) {
  byId("status").textContent = text;
}

function sayEnd(answer) {
  const { role, text, total, error } = answer;
  const values = { name: role, time: seconds(total), text: text.slice(0, SPOKEN) };
  if (answer.status === "done") say(t("say-done", values));
  else if (answer.status === "stopped") say(t("say-stopped", values));
  else say(t("say-failed", { ...values, text: explained(error) }));
}

function show(comparison) {
  shown = comparison;
  showComparison(comparison);
}

function useExample(text) {
  byId("question").value = text;
  byId("question").focus();
}

function askForKey(failure) {
  byId("key-problem").textContent = hasKey() && failure ? failure.message : "";
  if (!byId("key").open) byId("key").showModal();
}

function readRoles() {
  return loadRoles().then(() => showRoles(mediaKinds())).catch((failure) => {
    if (failure.details?.status === 401) askForKey(failure.details);
  });
}

function messages(question, parts) {
  const system = byId("system").value.trim();
  const content = [...parts, ...(question === "" ? [] : [{ type: "text", text: question }])];
  return [...(system === "" ? [] : [{ role: "system", content: system }]), { role: "user", content }];
}

function settings() {
  const fields = [["max_tokens", byId("max-tokens")], ["temperature", byId("temperature")]];
  const given = fields.filter(([, field]) => field.value !== "");
  return Object.fromEntries(given.map(([name, field]) => [name, field.valueAsNumber]));
}

/** The bodies of all roles share one text of messages, so that pictures are not written out once for each. */
function bodyMaker(question, parts) {
  const options = { ...settings(), stream: true, stream_options: { include_usage: true } };
  const rest = `${JSON.stringify(options).slice(1, -1)},"messages":${JSON.stringify(messages(question, parts))}}`;
  return (role) => new Blob([`{"model":${JSON.stringify(role)},`, rest]);
}

function setRunning(stopper) {
  running = stopper;
  const focused = document.activeElement === byId("ask") || document.activeElement === byId("stop");
  byId("ask").hidden = stopper !== null;
  byId("stop").hidden = stopper === null;
  if (focused) byId(stopper === null ? "ask" : "stop").focus();
}

async function keep(comparison) {
  await keepComparison(comparison).catch((error) => {
    byId("ask-problem").textContent = t("history-failed", { problem: error.message });
  });
}

async function answerAll(comparison, body, signal) {
  show(comparison);
  byId("asked").scrollIntoView({ block: NARROW.matches ? "start" : "nearest" });
  say(t("say-start", { n: comparison.answers.length }));
  await Promise.all(comparison.answers.map(async (answer) => {
    await runAnswer(answer, body(answer.role), signal, () => updateAnswer(answer));
    sayEnd(answer);
    if (answer.error?.status === 401) askForKey(answer.error);
    await keep(comparison);
  }));
}

function missing(question, roles) {
  if (question === "" && mediaKinds().size === 0) return "ask-empty";
  return roles.length === 0 ? "roles-unchosen" : null;
}

async function ask() {
  if (running !== null) return;
  const question = byId("question").value.trim();
  const roles = chosenRoles();
  const problem = missing(question, roles);
  byId("ask-problem").textContent = problem === null ? "" : t(problem);
  if (problem !== null) return;
  const stopper = new AbortController();
  setRunning(stopper);
  try {
    const body = bodyMaker(question, await mediaParts());
    const answers = roles.map(newAnswer);
    const comparison = { id: randomId(), at: Date.now(), question, media: mediaSummary(), answers };
    await answerAll(comparison, body, stopper.signal);
  } catch (failure) {
    byId("ask-problem").textContent = explained(detailsOf(failure));
  } finally {
    setRunning(null);
  }
}

function stop() {
  running?.abort();
}

function showEverything() {
  translatePage();
  byId("language").textContent = otherLanguage() === "zh" ? "中文" : "English";
  byId("language").lang = otherLanguage();
  byId("shortcut").textContent = navigator.userAgent.includes("Mac") ? "⌘ ↵" : "Ctrl ↵";
  byId("key-open").hidden = !hasKey();
  showMedia();
  if (shown === null) showWelcome(useExample);
  else showComparison(shown);
}

function startKey() {
  byId("key-open").addEventListener("click", () => askForKey(null));
  byId("key-form").addEventListener("submit", () => {
    useKey(byId("key-value").value);
    byId("key-value").value = "";
    byId("key-open").hidden = false;
    readRoles();
  });
}

function onKey(event) {
  // While a word is composed, as in Chinese, the keys belong to the input method.
  if (event.isComposing || document.querySelector("dialog[open]")) return;
  if (event.key === "Escape") stop();
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    ask();
  }
}

function start() {
  startTheme();
  startMedia(() => showRoles(mediaKinds()));
  startRoles(mediaKinds, readRoles);
  startHistory(show);
  startKey();
  byId("theme").addEventListener("click", switchTheme);
  byId("language").addEventListener("click", () => {
    switchLanguage();
    showEverything();
  });
  byId("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  byId("stop").addEventListener("click", stop);
  document.addEventListener("keydown", onKey);
  for (const button of document.querySelectorAll("[data-close]")) {
    button.addEventListener("click", () => button.closest("dialog").close());
  }
  showEverything();
  readRoles();
}

start();
