/** SEE, HIDE, SCORE: the three dials, with each recipe's own options under the dial whose part they turn. */

import { button, fill, h, put } from "./dom.js";
import { control } from "./fields.js";
import { gauge } from "./row.js";
import { piecesOf, shares } from "./sample.js";
import { recipeOf } from "./store.js";

const DIALS = [
  ["see", "who may look at whom", "visible"],
  ["hide", "what is changed in the input", "chosen"],
  ["score", "where the loss falls", "scored"]
];

/** so many options stand open in a panel; SEE has its slider */
const FOREMOST = { see: 0, hide: 3, score: 2 };

/** The three panels, and the rest of the options folded away. */
export function dials(context, side, place) {
  const panels = DIALS.map(([name, what, told]) => panel(context, side, { name, what, told }));
  const rest = h("details", { class: "rest" }, h("summary", {}, "More options"), h("div", { class: "controls" }));
  place.append(...panels.map((one) => one.element));
  let controls = [],
    drawn = null;
  context.store.watch([side.request], (state) => {
    const recipe = recipeOf(context.meta, state[side.request]);
    if (recipe && recipe !== drawn) {
      drawn = recipe;
      const shown = panels.map((one) =>
        foremost(
          recipe.dials.filter((dial) => dial.role === one.name),
          FOREMOST[one.name]
        )
      );
      const folded = recipe.dials.filter((dial) => !shown.flat().includes(dial));
      const made = [...shown, folded].map((list) => list.map((dial) => control(context, side, dial)));
      [...panels.map((one) => one.slot), rest.lastChild].forEach((slot, i) =>
        fill(
          slot,
          made[i].map((one) => one.element)
        )
      );
      controls = made.flat();
      rest.hidden = !folded.length;
      panels.forEach((one, i) => one.formula(formulaPart(recipe, i)));
    }
    controls.forEach((one) => one.show(state[side.request].options));
  });
  context.store.watch(["problem", "request"], (state) => controls.forEach((one) => one.complain(side.name === "a" ? state.problem : null)));
  return { rest };
}

/** A formula is written HIDE × SEE × SCORE; each dial shows its own factor. */
function formulaPart(recipe, i) {
  const parts = (recipe.formula ?? "").split(" × ");
  return parts.length === 3 ? parts[[1, 0, 2][i]] : "";
}

/** The few options that stand in the panel itself: those with a slider before the others. */
function foremost(list, most) {
  const sliders = list.filter((dial) => dial.kind === "range");
  return [...sliders, ...list.filter((dial) => dial.kind !== "range")].slice(0, most);
}

function panel(context, side, { name, what, told }) {
  const turned = gauge(name),
    formula = h("p", { class: "factor" }),
    slot = h("div", { class: "controls" });
  const element = h(
    "section",
    { class: `dial ${name}`, says: side.tag(`${name.toUpperCase()}: ${what}`) },
    h("header", {}, h("h2", { text: name.toUpperCase() }), h("small", { text: what }), turned.element),
    formula
  );
  if (name === "see") element.append(seeDial(context, side));
  if (name === "hide") element.append(byHand(context, side));
  if (name === "score") element.append(headList(context, side));
  element.append(slot);
  context.store.watch([side.answer], (state) => {
    const view = side.view(state);
    if (view) turned.show(shares(view)[name], told);
    element.classList.toggle("leaking", name === "see" && Boolean(view?.stats.leaks) && Boolean(state[side.request]?.options.see));
  });
  return {
    name,
    element,
    slot,
    formula: (text) => {
      formula.textContent = text;
    }
  };
}

/** How many targets each head has: the loss of a sample is the sum over its heads. */
function headList(context, side) {
  const list = h("ul", { class: "heads" });
  context.store.watch([side.answer], (state) => {
    const count = new Map();
    for (const stream of side.view(state)?.streams ?? [])
      stream.heads.forEach((head, i) => {
        const asked = stream.loss[i].filter((weight) => weight > 0).length;
        if (asked || !count.has(head)) count.set(head, (count.get(head) ?? 0) + asked);
      });
    // of a single head for tokens the gauge and the read-out say all
    if (count.size === 1) count.delete("token");
    fill(
      list,
      [...count].map(([head, asked]) =>
        h("li", {}, h("b", { text: asked }), ` ${asked === 1 ? "target" : "targets"} of the head `, h("code", { text: head }))
      )
    );
  });
  return list;
}

/** One slider from "left only" to "all": its value is the length of the prefix that everyone may see. */
function seeDial(context, side) {
  const slider = h("input", {
    type: "range",
    min: 0,
    step: 1,
    test: side.tag("dial-see"),
    says: "How far everyone may look: the length of the prefix"
  });
  const words = h("output", { class: "see-words" });
  const back = button("Reset", () => turnSee(context, side, undefined), {
    class: "chip",
    test: side.tag("see-own"),
    title: "Back to what this objective sees by itself"
  });
  const length = (state) => side.view(state)?.streams[0].tokens.length ?? 1;
  slider.addEventListener("input", () => {
    const at = Number(slider.value),
      all = length(context.store.get());
    turnSee(
      context,
      side,
      at === 0 ? { visibility: "causal" } : at >= all ? { visibility: "bidirectional" } : { visibility: "prefix", split: at }
    );
  });
  context.store.watch([side.answer, side.request], (state) => {
    const view = side.view(state);
    if (!view) return;
    const all = length(state),
      own = state[side.request].options.see,
      at = seeValue(own, view, all);
    slider.max = all;
    slider.value = at ?? all;
    const text = seeWords(at, all);
    put(slider, "aria-valuetext", text);
    slider.classList.toggle("none", at === null);
    words.textContent = text;
    back.hidden = !own;
  });
  return h(
    "div",
    { class: "see-dial" },
    h("div", { class: "ends" }, h("span", { text: "left only" }), h("span", { text: "all" })),
    slider,
    h("div", { class: "see-line" }, words, back)
  );
}

function turnSee(context, side, see) {
  const { options } = context.store.get()[side.request],
    { see: _, ...others } = options;
  side.change({ options: see ? { ...others, see } : others });
}

function seeWords(at, all) {
  if (at === null) return "as published";
  return at === 0 ? "left only" : at >= all ? "everyone sees everyone" : `prefix ${at} of ${all}`;
}

/** Where the slider stands: as it was turned, else the prefix that the picture shows; null where the picture is no such thing. */
function seeValue(own, view, all) {
  if (own?.visibility === "causal") return 0;
  if (own?.visibility === "bidirectional") return all;
  if (own?.split !== undefined) return own.split;
  const [only, more] = view.attn,
    first = only?.rows[0]?.[0]?.[1] ?? 0;
  const prefix = !more && only.rows.every((row, q) => row.length === 1 && row[0][0] === 0 && row[0][1] === Math.max(first, q + 1));
  return prefix ? (first <= 1 ? 0 : first) : null;
}

/** Choose the hidden tokens oneself. */
function byHand(context, side) {
  if (side.name !== "a") return "";
  const { store } = context;
  const box = h("input", {
    type: "checkbox",
    test: "by-hand",
    onchange: () => {
      const view = side.view(store.get());
      const chosen = view ? piecesOf(view).flatMap((piece, i) => (piece.chosen ? [i] : [])) : [];
      store.set({ byHand: box.checked });
      side.change({ hide: box.checked ? chosen : null });
    }
  });
  const label = h("label", { class: "switch" }, box, " choose them by hand");
  store.watch(["byHand", side.request], (state) => {
    box.checked = state.byHand;
    label.hidden = !state.byHand && !recipeOf(context.meta, state[side.request])?.dials.some((dial) => dial.role === "hide");
  });
  return label;
}
