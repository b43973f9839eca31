// What was asked and answered, kept in the browser's IndexedDB within a number of questions and of bytes.

/** The most questions that are kept. */
export const MOST_QUESTIONS = 50;
/** The most that they take together, in megabytes. */
export const MOST_MEGABYTES = 20;
// Characters of one text or reasoning; the rest of a longer one is not kept.
const LONGEST_TEXT = 100_000;
const STORE = "questions";

function settled(request) {
  return new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () => reject(request.error));
  });
}

let database = null;

function opened() {
  if (database === null) {
    const request = indexedDB.open("polysight", 1);
    request.addEventListener("upgradeneeded", () => request.result.createObjectStore(STORE, { keyPath: "id" }));
    database = settled(request);
  }
  return database;
}

async function store(mode) {
  return (await opened()).transaction(STORE, mode).objectStore(STORE);
}

function shortened(answer) {
  return { ...answer, text: answer.text.slice(0, LONGEST_TEXT), reasoning: answer.reasoning.slice(0, LONGEST_TEXT) };
}

/** Every kept comparison, the latest first. */
export async function keptComparisons() {
  const rows = await settled((await store("readonly")).getAll());
  return rows.sort((a, b) => b.at - a.at);
}

async function dropOldest() {
  let bytes = 0;
  for (const [index, row] of (await keptComparisons()).entries()) {
    bytes += row.bytes;
    if (index >= MOST_QUESTIONS || bytes > MOST_MEGABYTES * 1_000_000) await forgetComparison(row.id);
  }
}

/** Keeps a comparison, in place of what was kept of it before; the oldest go where there are too many. */
export async function keepComparison(comparison) {
  const row = { ...comparison, answers: comparison.answers.map(shortened) };
  const bytes = new Blob([JSON.stringify(row)]).size;
  await settled((await store("readwrite")).put({ ...row, bytes }));
  await dropOldest();
}

/** Deletes one. */
export async function forgetComparison(id) {
  await settled((await store("readwrite")).delete(id));
}

/** Deletes all. */
export async function forgetEverything() {
  await settled((await store("readwrite")).clear());
}
