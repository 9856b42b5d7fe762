/** What every part of the page shares: the store, the two sides, and the few things that can be done. */

import { Asker } from "./ask.js";
import { copy, put } from "./dom.js";
import { differencesOf, keptRow, linked, middleRow, scored, streamOf } from "./sample.js";
import { asking, newQuiz, partnerOf } from "./store.js";

const THEMES = ["auto", "light", "dark"];
const NONE = new Map();

/** The context of a page; `broke` is told what an answer broke. */
export function createContext({ root, meta, ask, link, services, fixed, number, life, store, toast, broke }) {
  const asker = new Asker(ask, (slow) => store.set({ slow }));
  life.addEventListener("abort", () => asker.stop());
  const context = {
    root,
    meta,
    link,
    services,
    fixed,
    number,
    life,
    store,
    toast,
    side: (name) => (name === "a" ? leftSide(context) : rightSide(context)),
    send: () => counted(root, send(context, asker).catch(broke)),
    change(patch) {
      const fresh = "text" in patch || "tokenizer" in patch || "seed" in patch ? { hide: null, force: {} } : {};
      if ("hide" in fresh) store.set({ byHand: false });
      store.set({ request: { ...store.get().request, ...fresh, ...patch } });
      context.send();
    },
    changeOther(patch) {
      store.set({ other: { ...store.get().other, ...patch } });
      context.send();
    },
    choose: (side, name, text) => choose(context, side, name, text),
    go: (screen) => go(context, screen),
    swap: () => swap(context),
    reroll: () => context.change({ seed: store.get().request.seed + 1 }),
    focusText: () => root.querySelector("[data-testid=text]")?.focus(),
    turnTheme: () => store.set({ theme: THEMES[(THEMES.indexOf(store.get().theme) + 1) % THEMES.length] }),
    copyLink: () => copyLink(context)
  };
  const { request, answer } = store.get();
  if (answer) asker.remember(request, answer);
  return context;
}

async function copyLink({ store, toast }) {
  const done = await copy(store.get().link);
  toast(done ? "The link is copied." : "The browser refuses the clipboard: the link stands under “Show me the code”.");
}

/** How many answers are awaited stands on the page, for whoever waits for it to settle. */
async function counted(root, sent) {
  const count = (by) => put(root, "data-asking", Number(root.dataset.asking ?? 0) + by);
  count(1);
  await sent;
  count(-1);
}

/** Ask for what the store wants now. An empty text is not asked about. */
async function send(context, asker) {
  const { store } = context,
    { request, other, screen } = store.get();
  if (!request.text.trim()) {
    asker.stop();
    return store.set({ problem: null, slow: false });
  }
  const wanted = { ...request, second: screen === "compare" ? other : null };
  let found = null;
  try {
    found = await asker.ask(wanted);
  } catch {
    store.set({ stopped: true });
    const near = asker.nearest(wanted);
    return near && receive(store, { ...near.answer, snapped: true }, near.request);
  }
  if (!found) return undefined;
  store.set({ stopped: false });
  return receive(store, found.answer, found.request);
}

/** A good answer replaces the picture; a bad one leaves it and says what is wrong. */
function receive(store, answer, request) {
  if (!answer.ok) return store.set({ problem: answer.error });
  const before = store.get(),
    view = answer.data[0],
    was = before.answer?.data[0];
  const other = answer.data[1] ? { data: [answer.data[1]], extra: answer.extra?.second ?? {} } : null;
  const same = !was || was.objective === view.objective;
  const near = keptRow(view, before.wanted ?? (same ? before.row : linked(was, view, before.row)));
  // another objective opens on a row that it asks about, unless a row is held
  const row = same || before.wanted || before.pinned || asks(view, near) ? near : middleRow(view);
  return store.set({
    answer,
    otherAnswer: other,
    problem: null,
    snapped: Boolean(answer.snapped),
    row,
    wanted: null,
    otherRow: other && linked(view, other.data[0], row),
    pinned: before.pinned && (row === before.row || row === before.wanted),
    quiz: newQuiz(),
    ...(answer.snapped ? { request: { ...before.request, ...request, second: null }, other: answer.other ?? before.other } : {})
  });
}

function asks(view, row) {
  return row && scored(streamOf(view, row.stream), row.index);
}

function choose(context, side, name, text) {
  const { store } = context,
    { request } = store.get();
  context.link?.push();
  if (side.name === "b") return context.changeOther({ objective: name, options: {} });
  store.set({ byHand: false, only: null, request: { ...asking(request, name), text: text ?? request.text } });
  return context.send();
}

function go(context, screen) {
  const { store, meta } = context,
    { request, other } = store.get();
  if (screen === store.get().screen) return undefined;
  context.link?.push();
  store.set({ screen, pinned: false, other: other.objective === request.objective ? partnerOf(meta, request) : other });
  return screen === "compare" || screen === "quiz" ? context.send() : undefined;
}

function swap(context) {
  const { store } = context,
    { request, other, screen } = store.get();
  if (screen !== "compare") return;
  store.set({
    request: asking(request, other.objective, other.options),
    other: { objective: request.objective, options: request.options }
  });
  context.send();
}

/** A: the request itself. */
function leftSide(context) {
  return {
    name: "a",
    tag: (name) => name,
    request: "request",
    answer: "answer",
    row: "row",
    change: context.change,
    ...looking(context, "answer", "otherAnswer"),
    pick: (row, pin) =>
      pick(context, row, pin, (state) => ({ row, otherRow: linked(state.answer?.data[0], state.otherAnswer?.data[0], row) }))
  };
}

/** B: what it is compared with, over the same text. */
function rightSide(context) {
  const change = ({ options }) => context.changeOther({ options: options ?? {} });
  return {
    name: "b",
    tag: (name) => `${name}-b`,
    request: "other",
    answer: "otherAnswer",
    row: "otherRow",
    change,
    ...looking(context, "otherAnswer", "answer"),
    pick: (row, pin) =>
      pick(context, row, pin, (state) => ({
        otherRow: row,
        row: linked(state.otherAnswer?.data[0], state.answer?.data[0], row) ?? state.row
      }))
  };
}

function looking(context, answer, against) {
  const { store } = context;
  return {
    found: (state) => state[answer],
    view: (state) => state[answer]?.data[0] ?? null,
    leaks: (state) => leaksOf(state[answer]),
    differences: (state) => differencesBetween(state[answer]?.data[0], state[against]?.data[0]),
    unpin: () => store.set({ pinned: false }),
    show: (row) => store.set({ row, pinned: true })
  };
}

/** A click pins a row, and lets go of the row that is pinned. */
function pick(context, row, pin, patch) {
  const { store } = context,
    state = store.get();
  const next = patch(state),
    again = Object.keys(next).every((key) => samePlace(next[key], state[key]));
  if (!again) store.set({ ...next, pinned: Boolean(pin) });
  else if (pin) store.set({ pinned: !state.pinned });
}

function samePlace(a, b) {
  return a === b || (a && b && a.stream === b.stream && a.index === b.index);
}

/** stream → rows that can see their own answer. */
function leaksOf(found) {
  const { stream, positions = [] } = found?.extra?.leak ?? {};
  return positions.length ? new Map([[stream ?? found.data[0].streams[0].id, new Set(positions)]]) : NONE;
}

const compared = new WeakMap();

function differencesBetween(one, two) {
  if (!one || !two) return { tokens: NONE, cells: NONE };
  const known = compared.get(one);
  if (known?.two === two) return known.found;
  const found = differencesOf(one, two);
  compared.set(one, { two, found });
  return found;
}
