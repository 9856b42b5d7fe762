/** What the page says about the selected row, the numbers of the sample, and the objective's evidence card. */

import { button, fill, h, outside, percent, put, quiet, short } from "./dom.js";
import { shares, streamOf } from "./sample.js";
import { recipeOf } from "./store.js";

/** The sentence of the row that is lit. */
export function rowSentence(context, side, place) {
  const { store } = context;
  const sentence = h("p", { class: "sentence", test: side.tag("row-sentence"), "aria-live": "polite" });
  const pin = button("Pin", () => store.set({ pinned: !store.get().pinned }), {
    class: "chip",
    "aria-pressed": false,
    title: "Keep this row while the mouse moves: Enter. Let it go: Escape."
  });
  const leak = h("b", { text: " ⚠ leak", hidden: true });
  const box = h(
    "section",
    { class: "this-row", says: side.tag("This row") },
    h("h2", {}, "This row", leak),
    sentence,
    h("p", { class: "row-tools" }, pin)
  );
  place.append(box);
  // a listener hears the row on which the hand came to rest, not every row on the way
  const settled = quiet(250, () => put(sentence, "aria-busy", false), context.life);
  store.watch([side.row, side.answer], (state) => {
    const row = state[side.row],
      said = sentenceOf(side.found(state), row);
    if (sentence.textContent !== said) {
      put(sentence, "aria-busy", true);
      sentence.textContent = said;
      settled();
    }
    leak.hidden = !(row && side.leaks(state).get(row.stream)?.has(row.index));
    box.classList.toggle("leaks", !leak.hidden);
  });
  store.watch(["pinned"], ({ pinned }) => {
    put(pin, "aria-pressed", pinned);
    pin.textContent = pinned ? "Pinned" : "Pin";
  });
  return box;
}

/** Python's sentence for a row. */
function sentenceOf(answer, row) {
  const view = answer?.data[0],
    stream = row && streamOf(view, row.stream);
  if (!stream) return "";
  return answer.extra?.sentences?.[row.stream]?.[row.index] ?? "";
}

/** Scored, context, leaks. */
export function readOut(context, side, place) {
  const values = { scored: h("dd"), context: h("dd"), leak: h("dd", { test: side.tag("leak") }) };
  const say = h("p", { class: "leak-say" });
  const box = h(
    "section",
    { class: "dial readout", role: "status", says: "Read-out" },
    h("header", {}, h("h2", { text: "Read-out" })),
    h(
      "dl",
      {},
      h("div", {}, h("dt", { text: "scored" }), values.scored),
      h("div", {}, h("dt", { text: "they see" }), values.context),
      h("div", { class: "leaks" }, h("dt", { text: "leaks" }), values.leak)
    ),
    say
  );
  place.append(box);
  context.store.watch([side.answer], (state) => {
    const found = side.found(state),
      view = side.view(state);
    if (!view) return;
    const { asked, total } = shares(view),
      leaks = view.stats.leaks;
    fill(values.scored, h("b", { text: asked }), ` of ${total}`);
    fill(values.context, h("b", { text: short(view.stats.mean_context_scored) }), " on average");
    fill(values.leak, h("b", { text: leaks }), leaks ? " ⚠" : " ✓");
    box.classList.toggle("leaking", leaks > 0 && Boolean(found.extra.request.options.see));
    say.textContent = found.extra?.leak?.say ?? "";
  });
  return box;
}

/** A gauge: an arc that fills with a share. */
export function gauge(name) {
  const arc = h("svg:path", { d: "M4 22A18 18 0 0 1 40 22", pathLength: 100, class: "full" });
  const drawn = h(
    "svg:svg",
    { viewBox: "0 0 44 26", class: "gauge", "aria-hidden": true },
    h("svg:path", { d: "M4 22A18 18 0 0 1 40 22", class: "track" }),
    arc,
    h("svg:line", { x1: 22, y1: 22, x2: 22, y2: 8, class: "needle" })
  );
  const words = h("output", { class: "share" });
  return {
    element: h("span", { class: `gauge-box ${name}` }, drawn, words),
    show(share, told) {
      put(arc, "stroke-dasharray", `${100 * share} 100`);
      put(drawn.lastChild, "transform", `rotate(${180 * share - 90} 22 22)`);
      words.textContent = `${percent(share)} ${told}`;
    }
  };
}

/** The card: objective, fit, effect, limitation, evidence. */
export function card(context, side, place) {
  const box = h("section", { class: "card", says: "Evidence card" });
  place.append(box);
  context.store.watch([side.request], (state) => {
    const recipe = recipeOf(context.meta, state[side.request]);
    if (!recipe || box.dataset.name === recipe.name) return;
    box.dataset.name = recipe.name;
    const fields = Object.entries(recipe.card ?? {}).filter(([key, value]) => key !== "evidence" && value?.length);
    fill(
      box,
      h("header", {}, h("h2", { text: recipe.title ?? recipe.name }), h("p", { class: "formula", text: recipe.formula })),
      h(
        "dl",
        {},
        fields.map(([key, value]) => [h("dt", { text: key }), h("dd", {}, [value].flat().map(claim))])
      ),
      evidence(recipe)
    );
  });
}

function claim(one) {
  return h("p", {}, one.text, " ", source(one.source));
}

function source(one) {
  return one?.cite ? h("span", { class: "tag" }, outside(one.cite, one.url)) : "";
}

function evidence(recipe) {
  const all = recipe.card?.evidence ?? [];
  if (!all.length) return h("p", { class: "paper", text: recipe.paper ?? "" });
  return h(
    "details",
    {},
    h("summary", { text: `Evidence: ${all.length} ${all.length === 1 ? "source" : "sources"}` }),
    h(
      "ul",
      {},
      all.map((one) => h("li", {}, one.text, " ", source(one)))
    )
  );
}
