/** Who sees whom. Row = who looks, column = what is looked at: one panel, or three when there is an answer stream. */

import { fill, h, put } from "./dom.js";
import { canvasPanel } from "./canvas.js";
import { CELLS, FINEST, cellsOf, panelsOf, scored, size, spelled, streamOf } from "./sample.js";

const SEEN_AS = ["hidden from it", "seen one-way", "seen two-way"];
/** up to so many positions a cell has so many pixels */
const SIZES = [
  [9, 34],
  [13, 30],
  [18, 24],
  [24, 20],
  [32, 16],
  [48, 12],
  [FINEST, 10]
];

/** The grids of one side of the page. */
export function grids(context, side, place) {
  const { store } = context;
  const box = h("div", { class: "grids" });
  place.append(box);
  let panels = [];
  store.watch([side.answer, "screen"], (state) => {
    const view = side.view(state);
    if (!view) {
      panels = [];
      return void fill(box);
    }
    panels = redraw(context, side, box, panels, view);
  });
  store.watch([side.row, "differences", "otherAnswer", "answer", "theme", "screen"], (state) => lightPanels(panels, side, state));
}

function lightPanels(panels, side, state) {
  const differ = state.screen === "compare" && state.differences ? side.differences(state).cells : new Set();
  for (const panel of panels) panel.light(state[side.row], differ, side.leaks(state));
}

/** Panels of the same shape are only repainted, so a turned dial changes cells one by one. */
function redraw(context, side, box, panels, view) {
  const wanted = panelsOf(view),
    large = wanted.some((panel) => Math.max(panel.rows.length, size(view, panel.k)) > FINEST);
  const shape = wanted.map((panel) => `${panel.id}:${panel.rows.length}×${size(view, panel.k)}`).join() + large;
  if (box.dataset.shape !== shape) {
    box.dataset.shape = shape;
    panels = wanted.map((panel) => (large ? canvasPanel : domPanel)(context, side, view, panel));
    const several = panels.length > 1;
    box.classList.toggle("several", several);
    fill(
      box,
      panels.map((panel) =>
        h(
          "figure",
          { class: `panel at-${place(panel.id)}` },
          h("figcaption", { text: several ? caption(view, panel.id) : "row looks at column" }),
          panel.element
        )
      ),
      several && h("p", { class: "never hint", text: "The source never looks at the answer." })
    );
  }
  const total = view.streams.reduce((sum, stream) => sum + stream.tokens.length, 0);
  const [, cell] = SIZES.find(([most]) => total <= most) ?? [0, 10];
  box.style.setProperty("--cell", `${cell}px`);
  box.classList.toggle("fine", cell <= 12);
  panels.forEach((panel) => panel.paint(view));
  return panels;
}

function place(id) {
  return { "source.self": "top", "answer.source": "cross", "answer.self": "corner" }[id] ?? "top";
}

function caption(view, id) {
  const [q, k] = id.split(".");
  const name = (stream) => (streamOf(view, stream)?.label ?? stream).toLowerCase();
  return k === "self" ? `${name(q)} looks at itself` : `${name(q)} looks at ${name(k)}`;
}

function domPanel(context, side, view, panel) {
  const rows = panel.rows.length,
    columns = size(view, panel.k);
  const heads = Array.from({ length: columns }, () => h("div", { class: "top", role: "columnheader" }, h("span")));
  const lines = panel.rows.map((_, q) => line(panel.id, q, columns));
  const element = sightTable(panel.id, columns, heads, lines);
  let cells = new Uint8Array(0),
    shown = view,
    row = null;
  const made = {
    id: panel.id,
    element,
    paint(next) {
      shown = next;
      const found = next.attn.find((one) => one.id === panel.id);
      const fresh = cellsOf(next, found),
        q = streamOf(next, panel.q),
        k = streamOf(next, panel.k);
      put(element, "aria-label", `Who sees whom, ${caption(next, panel.id)}: ${rows} rows, ${columns} columns`);
      heads.forEach((head, i) => named(head, k.tokens[i]));
      lines.forEach((one, i) => paintLine(one, i, { q, cells: fresh, before: cells, columns, self: panel.q === panel.k }));
      cells = fresh;
    },
    light(next, differ, leaks) {
      if (row !== null) lines[row]?.element.classList.remove("is-row");
      row = next?.stream === panel.q ? next.index : null;
      if (row !== null) lines[row]?.element.classList.add("is-row");
      lines.forEach((one, q) => {
        const leak = leaks.get(panel.q)?.has(q);
        one.mark.firstChild.textContent = `${one.scored ? "▲" : ""}${leak ? "⚠" : ""}`;
        if (differ.size || one.differs) differing(one, panel.id, q, differ);
      });
    },
    told: (q, k) => told(shown, panel, cells, columns, q, k)
  };
  walk(context, side, panel, element, lines, made);
  return made;
}

function sightTable(id, columns, heads, lines) {
  const corner = h("div", { class: "corner", role: "columnheader" }, h("span", { class: "sr", text: "row looks at column" }));
  return h(
    "div",
    { class: "sight", role: "grid", test: "grid", "data-panel": id, style: { "--columns": columns } },
    h("div", { class: "line", role: "row" }, corner, heads),
    lines.map((one) => one.element)
  );
}

function line(id, q, columns) {
  const cells = Array.from({ length: columns }, (_, k) =>
    h("div", { class: "cell no", role: "gridcell", tabindex: q || k ? -1 : 0, test: "cell", "data-row": q, "data-column": k })
  );
  const head = h("div", { class: "side", role: "rowheader" }, h("span"));
  const mark = h("div", { class: "end", role: "gridcell" }, h("span", { "aria-hidden": true }), h("span", { class: "sr" }));
  return {
    element: h("div", { class: "line", role: "row", "data-row": q }, head, cells, mark),
    head,
    mark,
    cells,
    scored: false,
    differs: false
  };
}

function paintLine(one, q, { q: stream, cells, before, columns, self }) {
  named(one.head, stream.tokens[q]);
  one.scored = scored(stream, q);
  one.element.dataset.scored = String(one.scored);
  one.mark.lastChild.textContent = one.scored ? "scored" : "not scored";
  for (let k = 0; k < columns; k += 1) {
    const kind = cells[q * columns + k];
    if (before.length === cells.length && before[q * columns + k] === kind) continue;
    one.cells[k].className = `cell ${CELLS[kind]}${self && q === k ? " self" : ""}`;
    one.cells[k].dataset.seen = String(kind > 0);
    one.cells[k].dataset.kind = CELLS[kind];
  }
}

function named(element, token) {
  const text = spelled(token.t);
  element.firstChild.textContent = text;
  element.title = text;
}

function differing(one, id, q, differ) {
  one.differs = false;
  one.cells.forEach((cell, k) => {
    const is = differ.has(`${id}.${q}.${k}`);
    one.differs ||= is;
    cell.classList.toggle("differs", is);
  });
}

function told(view, panel, cells, columns, q, k) {
  const row = streamOf(view, panel.q).tokens[q],
    column = streamOf(view, panel.k).tokens[k];
  const self = panel.q === panel.k && q === k ? ", itself" : "";
  return `row ${q} “${spelled(row.t)}”, column ${k} “${spelled(column.t)}”: ${SEEN_AS[cells[q * columns + k]]}${self}`;
}

/** Mouse and keyboard over a grid of cells: one tab stop, arrows walk, Enter pins. */
function walk(context, side, panel, element, lines, made) {
  const where = (event) => event.target.closest?.("[data-row]");
  const pick = (row, pin) => side.pick({ stream: panel.q, index: Number(row) }, pin);
  element.addEventListener("pointerover", (event) => {
    const one = where(event);
    if (one && event.pointerType === "mouse" && !context.store.get().pinned) pick(one.dataset.row);
  });
  element.addEventListener("click", (event) => {
    const one = where(event);
    if (one) pick(one.dataset.row, true);
  });
  element.addEventListener("keydown", (event) => {
    const cell = event.target.closest?.(".cell");
    if (!cell || event.altKey || event.metaKey) return;
    const q = Number(cell.dataset.row),
      k = Number(cell.dataset.column);
    if (event.key === "Enter" || event.key === " ") pick(q, true);
    else if (event.key === "Escape") side.unpin();
    else {
      const to = step(event, q, k, lines.length, lines[q].cells.length);
      if (!to) return;
      focusCell(lines, cell, to, made, pick);
    }
    event.preventDefault();
  });
  element.addEventListener("focusin", (event) => {
    const cell = event.target.closest?.(".cell");
    if (!cell || !cell.matches(":focus-visible")) return;
    put(cell, "aria-label", made.told(Number(cell.dataset.row), Number(cell.dataset.column)));
    pick(cell.dataset.row);
  });
}

function focusCell(lines, from, [q, k], made, pick) {
  const to = lines[q].cells[k];
  from.tabIndex = -1;
  to.tabIndex = 0;
  put(to, "aria-label", made.told(q, k));
  to.focus();
  pick(q);
}

function step({ key, ctrlKey }, q, k, rows, columns) {
  const moves = {
    ArrowUp: [q - 1, k],
    ArrowDown: [q + 1, k],
    ArrowLeft: [q, k - 1],
    ArrowRight: [q, k + 1],
    PageUp: [q - 8, k],
    PageDown: [q + 8, k],
    Home: ctrlKey ? [0, 0] : [q, 0],
    End: ctrlKey ? [rows - 1, columns - 1] : [q, columns - 1]
  };
  const to = moves[key];
  return to && [Math.max(0, Math.min(rows - 1, to[0])), Math.max(0, Math.min(columns - 1, to[1]))];
}
