/** Which objective, and on which text: the list at the left and the bar on top. */

import { button, copy, fill, h, quiet, resized } from "./dom.js";
import { recipeOf } from "./store.js";

/** All objectives by family: a list of radio buttons, and the same as one select where the page is narrow. */
export function rail(context, side, place) {
  const { meta, store } = context,
    families = grouped(meta.recipes);
  const choose = (name) => context.choose(side, name);
  const radios = new Map();
  const item = (recipe) => {
    const input = h("input", {
      type: "radio",
      name: `objective-${context.number}`,
      value: recipe.name,
      onchange: () => choose(recipe.name)
    });
    radios.set(recipe.name, input);
    return h(
      "label",
      { test: `objective-${recipe.name}`, title: `${recipe.title}: ${recipe.formula}` },
      input,
      h("span", { text: recipe.name }),
      h("small", { text: recipe.title === recipe.name ? "" : (recipe.title ?? "") })
    );
  };
  place.append(
    h(
      "div",
      { class: "rail-list", role: "radiogroup", says: "Objectives" },
      [...families].map(([family, recipes]) =>
        h("div", { class: "family", role: "group", says: family }, h("h2", { text: family }), recipes.map(item))
      )
    )
  );
  objectiveSelect(context, side, place, "rail-select");
  store.watch([side.request], (state) => {
    const name = state[side.request]?.objective,
      input = radios.get(name);
    if (input && !input.checked) input.checked = true;
  });
}

function grouped(recipes) {
  const made = new Map();
  for (const one of recipes) made.set(one.family, [...(made.get(one.family) ?? []), one]);
  return made;
}

/** The objectives as a select. */
export function objectiveSelect(context, side, place, css) {
  const families = grouped(context.meta.recipes);
  const box = h(
    "select",
    { test: side.tag("objective-select"), onchange: () => context.choose(side, box.value) },
    [...families].map(([family, recipes]) =>
      h(
        "optgroup",
        { label: family },
        recipes.map((one) => h("option", { value: one.name, text: one.name }))
      )
    )
  );
  place.append(h("label", { class: css }, h("span", { class: css === "rail-select" ? "" : "sr", text: "Objective" }), box));
  context.store.watch([side.request], (state) => {
    box.value = state[side.request]?.objective ?? "";
  });
}

/** Text, examples, tokenizer, seed. */
export function textBar(context, place) {
  const { meta, store } = context,
    box = h("div", { class: "text-bar" });
  place.append(box);
  textBox(context, box);
  const line = h("div", { class: "text-line" });
  box.append(line);
  examples(context, line);
  tokenizers(context, line);
  seed(context, line);
  const count = h("span", { class: "count", role: "status" });
  line.append(count);
  store.watch(["answer", "request"], ({ answer, request }) => {
    const long = [...request.text].length,
      most = meta.limits?.characters ?? Infinity;
    count.textContent =
      long > most ? `${long} of ${most} characters` : answer && request.text.trim() ? `${answer.data[0].stats.tokens} tokens of text` : "";
    count.classList.toggle("over", long > most);
  });
}

function textBox(context, place) {
  const { store } = context;
  const later = quiet(200, (text) => context.change({ text }), context.life);
  const box = h("textarea", {
    id: `text-${context.number}`,
    rows: 1,
    spellcheck: "false",
    dir: "auto",
    test: "text",
    readOnly: context.fixed,
    oninput: () => {
      grow(box);
      later(box.value);
    },
    onchange: () => later.now()
  });
  place.append(h("label", { class: "text-label" }, h("span", { text: "Text" }), box));
  store.watch(["request"], ({ request }) => {
    if (document.activeElement === box || box.value === request.text) return;
    box.value = request.text;
    grow(box);
  });
  resized(place, () => grow(box), context.life);
}

/** As high as its text, up to a quarter of the window. */
function grow(box) {
  box.style.setProperty("height", "auto");
  if (box.scrollHeight) box.style.setProperty("height", `${Math.min(box.scrollHeight + 2, innerHeight / 4)}px`);
}

function examples(context, place) {
  const { meta } = context;
  const box = h(
    "select",
    {
      test: "examples",
      says: "Examples",
      onchange: () => {
        const found = meta.examples.find((one) => one.id === box.value);
        if (found) context.change({ text: found.text });
      }
    },
    h("option", { value: "", text: "Your own text" }),
    meta.examples.map((one) => h("option", { value: one.id, text: one.title }))
  );
  place.append(h("label", {}, h("span", { text: "Example" }), box));
  context.store.watch(["request"], ({ request }) => {
    box.value = meta.examples.find((one) => one.text === request.text)?.id ?? "";
  });
}

function tokenizers(context, place) {
  const { meta, store } = context;
  if (!meta.tokenizers?.length) return;
  const box = h(
    "select",
    { test: "tokenizer", disabled: context.fixed, onchange: () => context.change({ tokenizer: box.value }) },
    meta.tokenizers.map((one) =>
      h("option", { value: one.name, text: one.available ? one.name : `${one.name} (not installed)`, disabled: !one.available })
    )
  );
  place.append(h("label", {}, h("span", { text: "Tokenizer" }), box));
  const missing = meta.tokenizers.filter((one) => !one.available && one.hint);
  if (missing.length)
    place.append(
      h(
        "details",
        { class: "missing" },
        h("summary", { text: `${missing.length} not installed` }),
        h(
          "ul",
          {},
          missing.map((one) =>
            h(
              "li",
              {},
              h("b", { text: one.name }),
              " ",
              h("code", { text: one.hint }),
              " ",
              button("Copy", () => copy(one.hint), { class: "chip" })
            )
          )
        )
      )
    );
  store.watch(["request"], ({ request }) => {
    box.value = request.tokenizer;
  });
}

function seed(context, place) {
  const later = quiet(250, (text) => /^\d{1,15}$/.test(text) && context.change({ seed: Number(text) }), context.life);
  const box = h("input", { type: "number", min: 0, step: 1, class: "number", test: "seed", oninput: () => later(box.value) });
  place.append(
    h("label", {}, h("span", { text: "Seed" }), box),
    button("↻ Reroll", () => context.reroll(), { class: "chip", test: "reroll", title: "Draw again with the next seed  r" })
  );
  context.store.watch(["request"], ({ request }) => {
    if (document.activeElement !== box) box.value = request.seed;
  });
}

/** Questions for a first visit. */
export function questions(context, side, place) {
  const { meta } = context,
    answered = meta.examples.find((one) => one.id === "question")?.text;
  const ask = [
    ["nobody may look right?", () => side.change({ options: { see: { visibility: "causal" } } })],
    ["everyone may look everywhere?", () => side.change({ options: { see: { visibility: "bidirectional" } } })],
    ["words are hidden?", () => context.choose(side, "bert"), "bert"],
    ["only an answer is scored?", () => context.choose(side, "sft", answered), "sft"]
  ].filter(([, , objective]) => !objective || recipeOf(meta, { objective }));
  place.append(
    fill(
      h("div", { class: "questions", role: "group", says: "Questions to begin with" }),
      h("span", { class: "hint", text: "Turn a dial, or: what if" }),
      ask.map(([text, act]) => button(text, act, { class: "question" }))
    )
  );
}
