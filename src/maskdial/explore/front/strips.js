/** The streams as strips: one column a position (its number, what is read, whether it is scored, what it must say, head by head). */

import { arrow, fill, h, put, quiet, resized, short } from "./dom.js";
import { CHANGED, KINDS, inside, saidAt, scored, seenFrom, slotsFrom, spelled, streamsOf } from "./sample.js";

/** a strip longer than this scrolls inside its box */
const TALL = 96;
/** what is longer than this is cut in a strip; the whole stands in its title */
const WIDEST = 22;

/** The strips of one side of the page. */
export function strips(context, side, place) {
  const { store } = context;
  let drawn = null;
  const box = h("div", { class: "strips" });
  place.append(box);
  resized(
    box,
    quiet(30, () => box.querySelectorAll(".lanes").forEach(labelLines), context.life),
    context.life
  );

  store.watch([side.answer, "ids", "labels"], (state) => {
    const view = side.view(state);
    if (!view) return fill(box);
    const at = focused(box);
    drawn = streamsOf(view);
    fill(
      box,
      drawn.map((stream) => strip(context, side, stream, state))
    );
    lightStrips(box, drawn, side, store.get());
    box.querySelectorAll(".lanes").forEach(labelLines);
    if (at) box.querySelector(`[data-stream="${CSS.escape(at.stream)}"] [data-index="${at.index}"]`)?.focus();
  });
  store.watch(
    [side.row, "only", "differences", "answer", "otherAnswer", "screen", "pinned"],
    (state) => drawn && lightStrips(box, drawn, side, state)
  );
}

function focused(box) {
  const one = document.activeElement?.closest?.("[data-index]");
  return one && box.contains(one) ? { stream: one.closest("[data-stream]").dataset.stream, index: one.dataset.index } : null;
}

function strip(context, side, stream, state) {
  const heads = stream.heads ?? [],
    asks = stream.tokens.some((_, i) => scored(stream, i));
  const lanes = h(
    "div",
    { class: "lanes", role: "listbox", says: `${stream.label}: ${stream.tokens.length} positions` },
    stream.tokens.map((token, i) =>
      column(stream, token, i, { asks, ids: state.ids, labels: state.labels, until: slotsFrom(stream.view, stream) })
    )
  );
  listen(context, side, stream, lanes);
  const leaks = side.leaks(state);
  for (const i of leaks.get(stream.key) ?? []) markLeak(lanes.querySelector(`[data-index="${i}"]`));
  lanes.append(...labelTexts(heads, asks, state.labels));
  return h(
    "section",
    { class: "strip", test: `strip-${stream.key}`, "data-stream": stream.key },
    h("h2", {}, stream.label, h("small", { text: ` ${stream.tokens.length} positions` })),
    h("div", { class: stream.tokens.length > TALL ? "tall" : "" }, lanes)
  );
}

function markLeak(one) {
  if (!one?.querySelector(".mark")) return;
  one.dataset.leak = "true";
  one.querySelector(".mark").append(h("b", { class: "warn", text: "⚠", title: "It can see its own answer." }));
}

function column(stream, token, i, { asks, ids, labels, until }) {
  const bears = scored(stream, i),
    [letter, told] = KINDS[token.kind] ?? ["", ""];
  const css = `column${CHANGED.has(token.kind) ? " changed" : ""}${i === until ? " slot" : ""}`;
  return h(
    "div",
    {
      class: css,
      role: "option",
      tabindex: -1,
      "aria-selected": false,
      test: "token",
      "data-index": i,
      "data-seen": false,
      "data-scored": bears,
      "data-kind": token.kind
    },
    h("span", { class: "at", text: token.position === i ? i : `${i}·${token.position}`, title: `position ${token.position}` }),
    heard(" reads "),
    h(
      "span",
      { class: "read", title: told || null },
      cut(spelled(token.t)),
      letter && h("b", { class: "letter", text: letter }),
      ids && h("small", { class: "id", text: token.id })
    ),
    told && heard(` ${told} `),
    asks && h("span", { class: "mark" }, bears ? `▲${weight(stream, i)}` : ""),
    bears && heard(" scored, must say "),
    asks && saidAt(stream, i).map((one, head) => target(one, stream.heads[head], labels))
  );
}

function target(one, head, labels) {
  const text = labels ? (one?.id ?? "−100") : one ? cut(spelled(one.t)) : "·";
  return h("span", { class: one ? "say" : "say none", title: head, text });
}

function heard(text) {
  return h("span", { class: "sr", text });
}

function weight(stream, i) {
  const weights = stream.loss.map((head) => head[i]).filter((one) => one > 0);
  return weights.every((one) => one === 1) ? "" : ` ${short(weights[0])}`;
}

function cut(text) {
  const letters = [...text];
  return letters.length > WIDEST ? `${letters.slice(0, WIDEST - 1).join("")}…` : text;
}

function listen(context, side, stream, lanes) {
  const at = (event) => event.target.closest?.(".column");
  const pick = (one, pin) => one && side.pick({ stream: stream.key, index: Number(one.dataset.index) }, pin);
  lanes.addEventListener("pointerover", (event) => event.pointerType === "mouse" && !context.store.get().pinned && pick(at(event)));
  lanes.addEventListener("click", (event) => pick(at(event), true));
  lanes.addEventListener("focusin", (event) => event.target.matches(":focus-visible") && pick(at(event)));
  lanes.addEventListener("keydown", (event) => {
    const one = at(event);
    if (!one || event.ctrlKey || event.metaKey || event.altKey) return;
    const to = arrow(event.key, Number(one.dataset.index), stream.tokens.length);
    if (to !== null) {
      lanes.querySelector(`[data-index="${to}"]`).focus();
      event.preventDefault();
    } else if (event.key === "Enter" || event.key === " ") {
      pick(one, true);
      event.preventDefault();
    } else if (event.key === "Escape") side.unpin();
  });
}

/** What the row sees, which row it is, and what the legend or a comparison picks out. */
function lightStrips(box, drawn, side, state) {
  const view = side.view(state),
    row = state[side.row];
  const seen = seenFrom(view, row),
    differ = state.screen === "compare" && state.differences ? side.differences(state).tokens : null;
  for (const stream of drawn) {
    const lanes = box.querySelector(`[data-stream="${CSS.escape(stream.key)}"] .lanes`);
    if (!lanes) continue;
    const here = row?.stream === stream.key ? row.index : null,
      open = seen.get(stream.key);
    [...lanes.querySelectorAll(".column")].forEach((one, i) => {
      one.dataset.seen = String(inside(open, i));
      put(one, "aria-selected", i === here);
      one.tabIndex = i === (here ?? 0) ? 0 : -1;
      one.classList.toggle("faint", state.only !== null && !matches(one, state.only));
      one.classList.toggle("differs", Boolean(differ?.has(`read.${stream.key}.${i}`)));
      one.classList.toggle("says-other", Boolean(differ?.has(`say.${stream.key}.${i}`)));
    });
  }
}

function matches(one, only) {
  return only === "scored" ? one.dataset.scored === "true" : one.dataset.kind === only;
}

/** Lane names stand at the left of every line into which the strip folds. */
function labelTexts(heads, asks, labels) {
  const says = heads.map((head) => (labels ? "label" : head === "token" ? "target" : head));
  return [
    h(
      "div",
      { class: "names", "aria-hidden": true, hidden: true },
      ["", "reads", ...(asks ? ["scored", ...says] : [])].map((name) => h("span", { text: name, title: name }))
    )
  ];
}

function labelLines(lanes) {
  const [first] = lanes.querySelectorAll(".names"),
    columns = [...lanes.querySelectorAll(".column")];
  lanes.querySelectorAll(".names.copy").forEach((one) => one.remove());
  let top = -1;
  const lines = columns.filter((one) => {
    const fresh = one.offsetTop !== top;
    top = one.offsetTop;
    return fresh;
  });
  lanes.append(
    ...lines.map((one) => {
      const made = first.cloneNode(true),
        seen = one.querySelectorAll(":scope > :not(.sr)");
      made.hidden = false;
      made.className = "names copy";
      made.style.setProperty("top", `${one.offsetTop}px`);
      [...made.children].forEach((name, i) => {
        if (seen[i]) name.style.setProperty("height", `${seen[i].offsetHeight}px`);
      });
      return made;
    })
  );
}
