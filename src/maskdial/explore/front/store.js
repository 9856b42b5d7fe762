import { middleRow } from "./sample.js";

/** One store. No component keeps a state of its own: it reads here and writes here. */

/** `get`, `set(patch)`, and `watch(keys, draw)`, which draws now and whenever one of the keys changes. */
export function createStore(first) {
  const watchers = new Set();
  let state = first;
  return {
    get: () => state,
    set(patch) {
      const changed = Object.keys(patch).filter((key) => !Object.is(state[key], patch[key]));
      if (!changed.length) return;
      state = { ...state, ...patch };
      for (const one of [...watchers]) if (one.keys.some((key) => changed.includes(key))) one.draw(state);
    },
    watch(keys, draw, life) {
      const one = { keys, draw };
      watchers.add(one);
      life?.addEventListener("abort", () => watchers.delete(one));
      draw(state);
    }
  };
}

/** The same store for a part of the page that goes away: what it watches ends with its life. */
export function scoped(store, life) {
  return { ...store, watch: (keys, draw) => store.watch(keys, draw, life) };
}

/** What a page shows before anybody has touched it, given a first request and its answer. */
export function firstState(meta, request, answer) {
  return {
    screen: "explore",
    request,
    answer: answer?.ok ? answer : null,
    other: partnerOf(meta, request),
    otherAnswer: null,
    problem: answer && !answer.ok ? answer.error : null,
    slow: false,
    stopped: false,
    snapped: false,
    row: answer?.ok ? middleRow(answer.data[0]) : null,
    otherRow: null,
    wanted: null,
    pinned: false,
    step: 6,
    form: "grid",
    ids: false,
    labels: false,
    only: null,
    differences: true,
    byHand: false,
    theme: "auto",
    letters: true,
    ignored: [],
    code: "link",
    link: "",
    quiz: newQuiz(),
    audit: { busy: false, found: null, problem: null, check: null },
    runs: { list: null, problem: null, told: null, busy: false }
  };
}

/** What an objective is first compared with. */
export function partnerOf(meta, { objective }) {
  const known = ["bert", "gpt"].find((name) => name !== objective && recipeOf(meta, { objective: name }));
  return { objective: known ?? meta.recipes[0].name, options: {} };
}

/** A quiz that nobody has begun. */
export function newQuiz() {
  return { at: 0, picked: [], told: false, right: 0, answered: 0 };
}

/** A request with its keys in one order and without what is not said: the key under which its answer is kept. */
export function canonical(request) {
  return JSON.stringify(ordered(request));
}

function ordered(value) {
  if (Array.isArray(value)) return value.map(ordered);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, ordered(value[key])])
  );
}

/** The recipe that a request asks for, from meta. */
export function recipeOf(meta, request) {
  return meta.recipes.find((one) => one.name === request?.objective) ?? null;
}

/** A request for another objective: the same text, seed and tokenizer, and nothing forced. */
export function asking(request, objective, options = {}) {
  return { ...request, objective, options, hide: null, force: {} };
}

/** Options with one of them set; what equals its default is left out, so that the same sample has one request. */
export function withOption(recipe, options, name, value) {
  const dial = recipe?.dials.find((one) => one.name === name);
  const next = { ...options };
  if (value === undefined || value === null || (dial && value === dial.default)) delete next[name];
  else next[name] = value;
  return next;
}
