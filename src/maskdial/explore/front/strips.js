/** The streams as strips: one column a position (its number, what is read, whether it is scored, what it must say, head by head). */

import { arrow, fill, h, put, quiet, resized, short } from "./dom.js";
import { CHANGED, KINDS, inside, saidAt, scored, seenFrom, slotsFrom, spelled, streamsOf } from "./sample.js";

/** a strip longer than this scrolls inside its box */
const TALL = 96;
/** what is longer than this is cut in a strip; the whole stands in its title */
const WIDEST = 22;

/** The strips of one side of the page. A column is made anew only when it has something else to say. */
export function strips(context, side, place) {
  const { store } = context;
  let drawn = null,
    made = [],
    shape = "";
  const box = h("div", { class: "strips" });
  place.append(box);
  const label = () => made.forEach(labelLines);
  resized(box, quiet(30, label, context.life), context.life);

  store.watch([side.answer, "ids", "labels"], (state) => {
    const view = side.view(state),
      at = focused(box);
    drawn = streamsOf(view);
    const asks = drawn.map((stream) => stream.tokens.some((_, i) => scored(stream, i))),
      wanted = JSON.stringify([asks, state.ids, state.labels, drawn.map(({ key, label, heads }) => [key, label, heads])]);
    if (shape !== wanted) {
      shape = wanted;
      made = drawn.map((stream, k) => strip(context, side, stream, { asks: asks[k], ids: state.ids, labels: state.labels }));
      fill(
        box,
        made.map((one) => one.element)
      );
    }
    drawn.forEach((stream, k) => drawStrip(made[k], stream, side.leaks(state).get(stream.key)));
    // by then the page is laid out, and nobody has seen it
    requestAnimationFrame(label);
    if (at) box.querySelector(`[data-stream="${CSS.escape(at.stream)}"] [data-index="${at.index}"]`)?.focus();
  });
  store.watch([side.row, "only", "differences", "answer", "otherAnswer", "screen", "pinned", "ids", "labels"], (state) =>
    lightStrips(made, drawn, side, state)
  );
}

function focused(box) {
  const one = document.activeElement?.closest?.("[data-index]");
  return one && box.contains(one) ? { stream: one.closest("[data-stream]").dataset.stream, index: one.dataset.index } : null;
}

/** One strip, still without columns, and what they have in common. */
function strip(context, side, { key, label, heads = [] }, shown) {
  const lanes = h("div", { class: "lanes", role: "listbox" }),
    head = h("h2", {}, label, h("small")),
    columns = [];
  listen(context, side, key, lanes, columns);
  return {
    ...shown,
    heads,
    lanes,
    columns,
    said: [],
    names: laneNames(heads, shown),
    element: h("section", { class: "strip", test: `strip-${key}`, "data-stream": key }, head, h("div", {}, lanes))
  };
}

function laneNames(heads, { asks, labels }) {
  const says = heads.map((head) => (labels ? "label" : head === "token" ? "target" : head));
  return h(
    "div",
    { class: "names", "aria-hidden": true },
    ["", "reads", ...(asks ? ["scored", ...says] : [])].map((name) => h("span", { text: name, title: name }))
  );
}

/** The columns of a stream: those that say what they said stay as they are. */
function drawStrip(strip, stream, leaks) {
  const { element, lanes, columns, said } = strip,
    until = slotsFrom(stream.view, stream),
    size = stream.tokens.length,
    count = `${size} positions`;
  element.querySelector("small").textContent = ` ${count}`;
  put(lanes, "says", `${stream.label}: ${count}`);
  lanes.parentNode.className = size > TALL ? "tall" : "";
  stream.tokens.forEach((token, i) => {
    const bears = scored(stream, i) && weight(stream, i),
      what = [token, i === until, bears, strip.asks ? saidAt(stream, i) : [], Boolean(leaks?.has(i))],
      saying = JSON.stringify(what);
    if (said[i] === saying) return;
    said[i] = saying;
    const one = column(i, what, strip);
    if (columns[i]) columns[i].replaceWith(one);
    else lanes.append(one);
    columns[i] = one;
  });
  said.length = size;
  columns.splice(size).forEach((one) => one.remove());
}

/** A column: what it shows, which is its name, and for a listener what that means. */
function column(i, [token, slot, bears, says, leak], { asks, ids, labels, heads }) {
  const [letter, told] = KINDS[token.kind] ?? ["", ""],
    at = token.position === i ? i : `${i}·${token.position}`,
    read = cut(spelled(token.t)),
    mark = bears === false ? "" : `▲${bears}`,
    texts = says.map((one) => (labels ? (one?.id ?? "−100") : one ? cut(spelled(one.t)) : "·"));
  const heard = [told, mark && `scored, must say ${texts.join(" ")}`, leak && "sees its own answer"];
  return h(
    "div",
    {
      class: `column${CHANGED.has(token.kind) ? " changed" : ""}${slot ? " slot" : ""}`,
      role: "option",
      tabindex: -1,
      "aria-description": heard.filter(Boolean).join(", ") || null,
      test: "token",
      "data-index": i,
      "data-scored": bears !== false,
      "data-kind": token.kind,
      "data-leak": leak || null
    },
    h("span", { class: "at", text: at, title: `position ${token.position}` }),
    h(
      "span",
      { class: "read", title: told || null },
      read,
      letter && h("b", { class: "letter", text: letter }),
      ids && h("small", { class: "id", text: token.id })
    ),
    asks && h("span", { class: "mark" }, mark, leak && h("b", { class: "warn", text: "⚠", title: "It can see its own answer." })),
    texts.map((text, head) => h("span", { class: says[head] ? "say" : "say none", title: heads[head], text }))
  );
}

function weight(stream, i) {
  const weights = stream.loss.map((head) => head[i]).filter((one) => one > 0);
  return weights.every((one) => one === 1) ? "" : ` ${short(weights[0])}`;
}

function cut(text) {
  const letters = [...text];
  return letters.length > WIDEST ? `${letters.slice(0, WIDEST - 1).join("")}…` : text;
}

function listen(context, side, stream, lanes, columns) {
  const at = (event) => event.target.closest?.(".column");
  const pick = (one, pin) => one && side.pick({ stream, index: Number(one.dataset.index) }, pin);
  lanes.addEventListener("pointerover", (event) => event.pointerType === "mouse" && !context.store.get().pinned && pick(at(event)));
  lanes.addEventListener("click", (event) => pick(at(event), true));
  lanes.addEventListener("focusin", (event) => event.target.matches(":focus-visible") && pick(at(event)));
  lanes.addEventListener("keydown", (event) => {
    const one = at(event);
    if (!one || event.ctrlKey || event.metaKey || event.altKey) return;
    const to = arrow(event.key, Number(one.dataset.index), columns.length);
    if (to !== null) {
      columns[to].focus();
      event.preventDefault();
    } else if (event.key === "Enter" || event.key === " ") {
      pick(one, true);
      event.preventDefault();
    } else if (event.key === "Escape") side.unpin();
  });
}

/** What the row sees, which row it is, and what the legend or a comparison picks out. */
function lightStrips(made, drawn, side, state) {
  const row = state[side.row],
    seen = seenFrom(side.view(state), row),
    differ = state.screen === "compare" && state.differences ? side.differences(state).tokens : null;
  drawn.forEach(({ key }, k) => {
    const here = row?.stream === key ? row.index : null,
      open = seen.get(key);
    made[k].columns.forEach((one, i) => {
      one.dataset.seen = String(inside(open, i));
      put(one, "aria-selected", i === here);
      one.tabIndex = i === (here ?? 0) ? 0 : -1;
      one.classList.toggle("faint", state.only !== null && !matches(one, state.only));
      one.classList.toggle("differs", Boolean(differ?.has(`read.${key}.${i}`)));
      one.classList.toggle("says-other", Boolean(differ?.has(`say.${key}.${i}`)));
    });
  });
}

function matches(one, only) {
  return only === "scored" ? one.dataset.scored === "true" : one.dataset.kind === only;
}

/** Lane names stand at the left of every line into which a strip folds. */
function labelLines(strip) {
  const places = [];
  let top = -1;
  for (const one of strip.columns) {
    if (one.offsetTop === top) continue;
    top = one.offsetTop;
    places.push([top, ...[...one.children].map((each) => each.offsetHeight)]);
  }
  const lines = String(places);
  if (strip.lines === lines) return;
  strip.lines = lines;
  strip.lanes.querySelectorAll(".names").forEach((one) => one.remove());
  strip.lanes.prepend(
    ...places.map(([top, ...heights]) => {
      const made = strip.names.cloneNode(true);
      made.style.setProperty("top", `${top}px`);
      heights.forEach((height, i) => made.children[i].style.setProperty("height", `${height}px`));
      return made;
    })
  );
}
