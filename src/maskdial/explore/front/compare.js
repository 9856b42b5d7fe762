/** A ⇄ B: two objectives on the same text, their rows linked by the text, and what differs outlined. */

import { button, fill, h, put } from "./dom.js";
import { dials } from "./dials.js";
import { sight } from "./explore.js";
import { objectiveSelect, textBar } from "./rail.js";
import { readOut, rowSentence } from "./row.js";
import { empty, notices, working } from "./states.js";
import { strips } from "./strips.js";
import { recipeOf } from "./store.js";

export function compareScreen(context, place) {
  const { store } = context,
    main = h("div", { class: "main" }),
    columns = h("div", { class: "columns" });
  place.append(h("div", { class: "screen compare" }, main));
  textBar(context, main);
  empty(context, main);
  notices(context, context.side("a"), main);
  const summary = h("p", { class: "summary", test: "summary", role: "status" });
  const differ = h("input", { type: "checkbox", test: "differences", onchange: () => store.set({ differences: differ.checked }) });
  const tools = h(
    "div",
    { class: "compare-tools" },
    summary,
    h("label", { class: "switch" }, differ, " outline differences"),
    button("⇄ Swap", () => context.swap(), { class: "chip", test: "swap", title: "Swap A and B  x" })
  );
  main.append(tools, columns);
  working(context, main);
  columns.append(...["a", "b"].map((name) => sideColumn(context, name)));
  store.watch(["answer"], ({ answer }) => {
    summary.textContent = answer?.extra?.summary ?? "";
  });
  store.watch(["differences"], ({ differences }) => {
    differ.checked = differences;
  });
  store.watch(["slow"], ({ slow }) => put(columns, "aria-busy", slow));
  store.watch(["request", "answer"], ({ request, answer }) => {
    columns.hidden = tools.hidden = request.text.trim() === "" || !answer;
  });
}

function sideColumn(context, name) {
  const side = context.side(name),
    box = h("section", { class: "column-side stage", "data-side": name, "data-step": 6, says: name.toUpperCase() });
  const head = h("header", { class: "side-head" }, h("b", { class: "side-name", "aria-hidden": true, text: name.toUpperCase() }));
  const formula = h("p", { class: "formula" });
  box.append(head);
  objectiveSelect(context, side, head, "side-objective");
  box.append(formula);
  const turned = h("div", { class: "dials" }),
    more = h("details", { class: "more-dials" }, h("summary", { text: "Dials" }), turned);
  const { rest } = dials(context, side, turned);
  readOut(context, side, turned);
  more.append(rest);
  box.append(more);
  const figure = h("div", { class: "figure" }),
    row = h("div", { class: "beside" }),
    who = h("section", { class: "who", says: `Who sees what, ${name.toUpperCase()}` });
  box.append(figure, row, who);
  strips(context, side, figure);
  rowSentence(context, side, row);
  sight(context, side, who);
  context.store.watch([side.request], (state) => {
    fill(formula, recipeOf(context.meta, state[side.request])?.formula ?? "");
  });
  return box;
}
