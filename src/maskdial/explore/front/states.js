/** What the page says when something is missing, wrong, slow, gone, or needs a word: each with a way on. */

import { button, copy, fill, h, put, quiet } from "./dom.js";
import { CHANGED, KINDS, streamsOf } from "./sample.js";

/** Everything above the picture: errors, warnings, the stopped server, the link's leftovers. */
export function notices(context, side, place) {
  const box = h("div", { class: "notices" });
  place.append(box);
  context.store.watch(["problem", "stopped", "ignored", "answer", "request", "snapped"], (state) => {
    const { problem } = state;
    fill(
      box,
      context.fixed &&
        banner(
          "note",
          "Precomputed: dials move in steps.",
          state.snapped ? "This is the nearest sample that the page holds." : "",
          h("code", { text: "pip install maskdial && maskdial explore" })
        ),
      state.stopped && banner("alert", "The local server stopped.", "Run `maskdial explore` and reload. What has been seen stays usable."),
      state.ignored.length > 0 &&
        banner(
          "note",
          "Some of the link could not be read.",
          `ignored: ${state.ignored.join(", ")}`,
          button("Dismiss", () => context.store.set({ ignored: [] }), { class: "chip" })
        ),
      problem
        ? mistake(context, side, problem)
        : (side.view(state)?.warnings ?? []).map((text) => banner("warning", text, "", published(side)))
    );
  });
  return box;
}

function mistake(context, side, problem) {
  return h(
    "div",
    { class: "notice error", role: "alert", test: "error" },
    h("p", {}, h("b", { text: problem.message }), problem.message.includes(problem.hint) ? "" : ` ${problem.hint}`, old(context, side)),
    range(problem),
    ways(context, side, problem)
  );
}

/** What is shown below may be of another objective than the one that could not be shown. */
function old(context, side) {
  const state = context.store.get(),
    shown = side.view(state)?.objective;
  return shown && shown !== state.request.objective ? ` The picture is still that of ${shown}.` : "";
}

function published(side) {
  return button("Dials as published", () => side.change({ options: {}, hide: null, force: {} }), { class: "chip" });
}

function banner(kind, title, text, ...more) {
  return h(
    "div",
    { class: `notice ${kind}`, role: kind === "alert" ? "alert" : "note" },
    h("p", {}, h("b", { text: title }), text ? ` ${text}` : ""),
    more
  );
}

function range({ low, high, hint }) {
  return hint || low === undefined || low === null || high === undefined || high === null
    ? ""
    : h("p", { class: "hint", text: `Allowed: ${low} … ${high}` });
}

/** What can be done about an error. */
function ways(context, side, problem) {
  const made = [],
    { request } = context.store.get();
  if (problem.cut)
    made.push(
      button("Show what fits", () => context.change({ text: [...request.text].slice(0, problem.cut).join("") }), { class: "chip" })
    );
  if (/^(options|hide|force)/.test(problem.where ?? "")) made.push(published(side));
  return made;
}

/** No text: the examples as buttons, never a blank grid. */
export function empty(context, place) {
  const { meta, store } = context;
  const box = h(
    "section",
    { class: "empty", test: "empty", says: "No text" },
    h("h2", { class: "title", text: "There is no text yet." }),
    h("p", { text: "The dials wait for one: there is nothing to hide and nothing to predict. Write above, or take an example." }),
    h(
      "div",
      { class: "examples" },
      meta.examples.map((one) => button(one.title, () => context.change({ text: one.text }), { class: "question", title: one.text }))
    )
  );
  place.append(box);
  store.watch(["request"], ({ request }) => {
    box.hidden = request.text.trim() !== "";
  });
  return box;
}

/** Only after a while: what is being waited for. */
export function working(context, place) {
  const box = h("p", { class: "working", role: "status" });
  place.append(box);
  context.store.watch(["slow"], ({ slow }) => {
    box.textContent = slow ? "Building the sample…" : "";
  });
}

/** Says a word that goes away by itself. */
export function toaster(place, life) {
  const box = h("p", { class: "toast", role: "status" });
  place.append(box);
  const hush = quiet(
    2500,
    () => {
      box.textContent = "";
    },
    life
  );
  return (text) => {
    box.textContent = text;
    hush();
  };
}

/** What each mark means; a click on a kind picks it out. */
export function legend(context, side, place) {
  const { store } = context,
    box = h("ul", { class: "legend", says: "Legend" });
  place.append(box);
  const sight = [
    ["two", "two-way: both see each other"],
    ["one", "one-way: sees it, is not seen by it"],
    ["no", "hidden from it"],
    ["one self", "itself"]
  ];
  const toggle = (kind, sign, words) => keyButton(store, kind, sign, words);
  store.watch([side.answer, "only"], (state) => {
    const view = side.view(state);
    if (!view) return;
    const here = new Set(streamsOf(view).flatMap((stream) => stream.tokens.map((token) => token.kind)));
    const focus = box.contains(document.activeElement) ? document.activeElement.dataset.kind : null;
    fill(
      box,
      sight.map(([css, words]) => h("li", {}, h("span", { class: `cell ${css} sample`, "aria-hidden": true }), words)),
      h("li", {}, toggle("scored", h("span", { class: "mark", text: "▲" }), "scored")),
      Object.entries(KINDS)
        .filter(([kind]) => here.has(kind))
        .map(([kind, [letter, words]]) =>
          h("li", {}, toggle(kind, h("span", { class: CHANGED.has(kind) ? "key changed" : "key" }, h("b", { text: letter })), words))
        )
    );
    if (focus) box.querySelector(`[data-kind="${CSS.escape(focus)}"]`)?.focus();
  });
}

function keyButton(store, kind, sign, words) {
  const made = button("", () => store.set({ only: store.get().only === kind ? null : kind }), {
    class: "key-button",
    "data-kind": kind,
    title: "Pick these out"
  });
  put(made, "aria-pressed", store.get().only === kind);
  return fill(made, sign, words);
}

/** A crash is a page too: what happened, and the way back. */
export function crashed(root, error, reset) {
  const id = Math.random().toString(36).slice(2, 8),
    details = `maskdial explorer ${id}\n${error?.stack ?? error}`;
  fill(
    root,
    h(
      "section",
      { class: "crash", role: "alert", test: "crash" },
      h("h2", { class: "title", text: "The explorer broke." }),
      h("p", { text: `${error?.message ?? error} (${id})` }),
      h(
        "p",
        {},
        button("Copy details", () => copy(details), { class: "chip" }),
        " ",
        button("Reset view", reset, { class: "chip" })
      )
    )
  );
}
