/** A panel of more than 64 positions: drawn on a canvas, walked with a slider; the strip and the sentence are its text. */

import { fill, h, put } from "./dom.js";
import { cellsOf, scored, size, spelled, streamOf } from "./sample.js";

/** how long all streams together may be, and the room for the bar of scored rows, in CSS pixels */
const SIDE = 620,
  BAR = 10;

export function canvasPanel(context, side, view, panel) {
  const canvas = h("canvas", { test: "canvas", "aria-hidden": true });
  const slider = h("input", {
    type: "range",
    min: 0,
    max: panel.rows.length - 1,
    value: 0,
    says: `Row of ${panel.id}`,
    oninput: () => side.pick({ stream: panel.q, index: Number(slider.value) })
  });
  const label = h("label", { class: "row-slider" }, h("span", { text: "row" }), slider, h("output"));
  let shown = view,
    row = null,
    leak = new Set(),
    frame = 0;
  const made = {
    id: panel.id,
    element: h("div", { class: "canvas-panel", test: "grid", "data-panel": panel.id }, canvas, label),
    paint(next) {
      shown = next;
    },
    light(next, differ, leaks) {
      row = next?.stream === panel.q ? next.index : null;
      leak = leaks.get(panel.q) ?? new Set();
      if (row !== null) {
        slider.value = row;
        const text = `${row} “${spelled(streamOf(shown, panel.q).tokens[row].t)}”`;
        put(slider, "aria-valuetext", text);
        fill(label.lastChild, text);
      }
      // its colours are asked for when the page is laid out anyway
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(() => drawPanel(canvas, shown, panel.id, row, leak));
    }
  };
  followMouse(canvas, panel.rows.length, context, (index, pin) => side.pick({ stream: panel.q, index }, pin));
  return made;
}

function followMouse(canvas, rows, context, pick) {
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return Math.max(0, Math.min(rows - 1, Math.floor(((event.clientY - box.top) / box.height) * rows)));
  };
  canvas.addEventListener("pointermove", (event) => event.pointerType === "mouse" && !context.store.get().pinned && pick(at(event), false));
  canvas.addEventListener("click", (event) => pick(at(event), true));
}

/** The picture of the cells is kept with its view: a row that lights up is drawn over it. */
const pictures = new WeakMap();

function drawPanel(canvas, view, id, row, leak) {
  const panel = view.attn.find((one) => one.id === id),
    rows = panel.rows.length,
    columns = size(view, panel.k);
  const cell = Math.min(10, SIDE / view.streams.reduce((sum, { tokens }) => sum + tokens.length, 0)),
    wide = columns * cell,
    high = rows * cell;
  // `light-dark()` means nothing to a canvas: the style sheet gives it its colours as ones of borders, which it does not have
  const { color, borderTopColor, borderRightColor, borderBottomColor, borderLeftColor, outlineColor } = getComputedStyle(canvas),
    scale = globalThis.devicePixelRatio || 1;
  canvas.width = Math.round((wide + BAR) * scale);
  canvas.height = Math.round(high * scale);
  canvas.style.setProperty("width", `${wide + BAR}px`);
  canvas.style.setProperty("height", `${high}px`);
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(cellsPicture(view, panel, [borderTopColor, borderRightColor, borderBottomColor]), 0, 0, wide, high);
  pen.strokeStyle = borderLeftColor;
  pen.strokeRect(0.5, 0.5, wide - 1, high - 1);
  pen.fillStyle = outlineColor;
  const stream = streamOf(view, panel.q);
  stream.tokens.forEach((_, q) => {
    if (scored(stream, q)) pen.fillRect(wide + 3, q * cell, leak.has(q) ? 7 : 4, Math.max(1, cell - 0.5));
  });
  if (row === null) return;
  pen.strokeStyle = color;
  pen.lineWidth = 2;
  pen.strokeRect(0, row * cell - 1, wide, Math.max(cell, 2) + 2);
}

function cellsPicture(view, panel, colours) {
  const key = panel.id + colours.join(),
    known = pictures.get(view) ?? new Map();
  if (known.has(key)) return known.get(key);
  const columns = size(view, panel.k),
    made = new OffscreenCanvas(columns, panel.rows.length),
    pen = made.getContext("2d");
  const cells = cellsOf(view, panel);
  colours.forEach((colour, kind) => {
    pen.fillStyle = colour;
    for (let q = 0; q < panel.rows.length; q += 1)
      for (let k = 0, from = -1; k <= columns; k += 1) {
        const is = k < columns && cells[q * columns + k] === kind;
        if (is && from < 0) from = k;
        if (!is && from >= 0) {
          pen.fillRect(from, q, k - from, 1);
          from = -1;
        }
      }
  });
  pictures.set(view, known.set(key, made));
  return made;
}
