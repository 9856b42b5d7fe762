/** The keys, and the switch that turns the single letters off. */

import { button, h } from "./dom.js";

const KEYS = [
  ["Tab", "from part to part"],
  ["↑ ↓ ← →", "in the grid: move, and the row follows; elsewhere: previous, next"],
  ["Home End", "ends of the row; with Ctrl: corners of the grid"],
  ["PgUp PgDn", "eight rows"],
  ["Enter Esc", "pin the row, let it go"],
  ["[ ]", "a step back, a step on"],
  ["r", "draw again"],
  ["x", "swap A and B"],
  ["g", "grid or table"],
  ["c", "copy the link"],
  ["t", "light or dark"],
  ["/", "to the text"],
  ["?", "this list"]
];

export function helpDialog(context, place) {
  const { store } = context,
    id = `help-${context.number}`;
  const letters = h("input", { type: "checkbox", onchange: () => store.set({ letters: letters.checked }) });
  const close = button("Close", () => box.close(), { class: "chip strong" });
  const box = h(
    "dialog",
    { class: "keys", "aria-labelledby": id, test: "help" },
    h("h2", { id, text: "Keys" }),
    h("dl", {}, KEYS.map(keyLine)),
    h("label", { class: "switch" }, letters, " single letters act while the picture has the focus"),
    h("p", {}, close)
  );
  place.append(box);
  store.watch(["letters"], (state) => {
    letters.checked = state.letters;
  });
  return {
    open: () => box.showModal(),
    get shown() {
      return box.open;
    }
  };
}

function keyLine([keys, words]) {
  const each = keys.split(" ").map((key) => h("kbd", { text: key }));
  return h("div", {}, h("dt", {}, each), h("dd", { text: words }));
}

/** What a key does: null where it does nothing. Letters want the focus inside the picture and nothing that is written in. */
export function keyAction(context, event, help) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || help.shown) return null;
  const target = event.target,
    writing = target.matches?.("textarea, select, input:not([type=checkbox], [type=radio], [type=range])");
  if (writing || !context.store.get().letters) return null;
  if (event.key === "/") return () => context.focusText?.();
  if (event.key === "?") return () => help.open();
  if (!target.closest?.(".stage")) return null;
  const { step, form } = context.store.get();
  return (
    {
      "[": () => context.store.set({ step: Math.max(1, step - 1) }),
      "]": () => context.store.set({ step: Math.min(6, step + 1) }),
      r: () => context.reroll?.(),
      x: () => context.swap(),
      g: () => context.store.set({ form: form === "grid" ? "table" : "grid" }),
      c: () => context.copyLink(),
      t: () => context.turnTheme()
    }[event.key] ?? null
  );
}
