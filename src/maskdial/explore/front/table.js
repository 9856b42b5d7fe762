/** The same facts as the grid, in a table: a row a position. */

import { fill, h, short, table } from "./dom.js";
import { KINDS, ranges, saidWords, scored, seenFrom, spelled, streamsOf } from "./sample.js";

const HEADS = ["at", "reads", "sees", "may look at", "must say", "loss"];

export function tables(context, side, place) {
  const box = h("div", { class: "facts-box", role: "region", says: "Every position in a table", tabindex: 0 });
  place.append(box);
  context.store.watch([side.answer, "form"], (state) => {
    const view = side.view(state);
    if (!view || state.form !== "table") return void fill(box);
    fill(
      box,
      streamsOf(view).map((stream) => positions(side, view, stream))
    );
    lightLine(box, state[side.row]);
  });
  context.store.watch([side.row], (state) => lightLine(box, state[side.row]));
}

function lightLine(box, row) {
  box.querySelectorAll("tr.is-row").forEach((one) => one.classList.remove("is-row"));
  if (row) box.querySelector(`[data-of="${CSS.escape(row.stream)}"][data-row="${row.index}"]`)?.classList.add("is-row");
}

function positions(side, view, stream) {
  return table(
    stream.label,
    HEADS,
    stream.tokens.map((token, i) => {
      const seen = [...seenFrom(view, { stream: stream.key, index: i })],
        letter = KINDS[token.kind]?.[0];
      const where = seen.map(([key, open]) => (seen.length > 1 ? `${key} ` : "") + ranges(open));
      const weights = stream.loss
        .map((head) => head[i])
        .filter(Boolean)
        .map(short);
      return [
        i,
        [h("code", { text: spelled(token.t) }), letter && h("b", { class: "letter", text: letter })],
        seen.reduce((sum, [, open]) => open.reduce((n, [a, b]) => n + b - a, sum), 0),
        where.join("; "),
        saidWords(stream, i).join(" · ") || "–",
        scored(stream, i) ? `▲ ${weights.join(" · ")}` : "–"
      ];
    }),
    (i) => ({ "data-of": stream.key, "data-row": i, onclick: () => side.pick({ stream: stream.key, index: i }, true) })
  );
}
