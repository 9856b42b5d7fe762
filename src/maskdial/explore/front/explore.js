/** The first screen: an objective, a text, three dials, the strips, the grid, the row in words. */

import { button, h, put } from "./dom.js";
import { code } from "./code.js";
import { dials } from "./dials.js";
import { grids } from "./grid.js";
import { questions, rail, textBar } from "./rail.js";
import { card, readOut, rowSentence } from "./row.js";
import { empty, legend, notices, working } from "./states.js";
import { stages, stepper } from "./steps.js";
import { strips } from "./strips.js";
import { tables } from "./table.js";
import { askModels } from "./runs.js";

export function exploreScreen(context, place) {
  const { store } = context,
    side = context.side("a");
  const aside = h("nav", { class: "rail", says: "Objectives" });
  const main = h("div", { class: "main" });
  place.append(h("div", { class: "screen explore", "data-side": "a" }, aside, main));
  rail(context, side, aside);
  textBar(context, main);
  empty(context, main);
  const stage = h("div", { class: "stage", test: "stage" });
  notices(context, side, main);
  main.append(stage);
  fillStage(context, side, stage);
  store.watch(["slow"], ({ slow }) => put(stage, "aria-busy", slow));
  store.watch(["request", "answer"], ({ request, answer }) => {
    stage.hidden = request.text.trim() === "" || !answer;
  });
  store.watch(["step"], ({ step }) => {
    stage.dataset.step = step;
  });
}

function fillStage(context, side, stage) {
  questions(context, side, stage);
  const row = h("div", { class: "dials" });
  stage.append(row);
  const { rest } = dials(context, side, row);
  readOut(context, side, row);
  stage.append(rest);
  stepper(context, side, stage);
  working(context, stage);
  const figure = h("div", { class: "figure" });
  stage.append(figure);
  stages(context, side, figure);
  stripTools(context, figure);
  strips(context, side, figure);
  const split = h("div", { class: "split" }),
    left = h("section", { class: "who", says: "Who sees what" }),
    right = h("div", { class: "beside" });
  split.append(left, right);
  stage.append(split);
  sight(context, side, left);
  const box = rowSentence(context, side, right);
  if (context.services.ask) askModels(context, side, box);
  card(context, side, right);
  code(context, side, stage);
}

/** Ids and Hugging Face's labels, on demand. */
function stripTools(context, place) {
  const { store } = context;
  const check = (key, words, title) => {
    const made = h("input", { type: "checkbox", test: `show-${key}`, onchange: () => store.set({ [key]: made.checked }) });
    store.watch([key], (state) => {
      made.checked = state[key];
    });
    return h("label", { class: "switch", title }, made, ` ${words}`);
  };
  const note = h("p", {
    class: "hint labels-note",
    text: "A target stands at the position that must say it; −100 is silence. Hugging Face's decoders shift labels by one inside the model."
  });
  place.append(
    h(
      "div",
      { class: "strip-tools" },
      check("ids", "ids", "The number of each token"),
      check("labels", "labels", "Targets as label ids, −100 where nothing is asked")
    ),
    note
  );
  store.watch(["labels"], ({ labels }) => {
    note.hidden = !labels;
  });
}

/** Grid or table, and what the marks mean. */
export function sight(context, side, place) {
  const { store } = context;
  const choose = ["grid", "table"].map((form) => button(form, () => store.set({ form }), { class: "chip", test: `view-${form}` }));
  const drawn = h("div", { class: "drawn" }),
    listed = h("div", { class: "listed" });
  place.append(
    h(
      "header",
      {},
      h("h2", { text: "Who sees what" }),
      h("span", { class: "gap" }),
      h("div", { class: "choose", role: "group", says: "Shown as" }, choose)
    ),
    drawn,
    listed
  );
  const scroll = h("div", { class: "scroll" });
  drawn.append(scroll);
  grids(context, side, scroll);
  tables(context, side, listed);
  legend(context, side, drawn);
  store.watch(["form"], (state) => {
    drawn.hidden = state.form !== "grid";
    listed.hidden = state.form !== "table";
    choose.forEach((one) => put(one, "aria-pressed", one.textContent === state.form));
  });
}
