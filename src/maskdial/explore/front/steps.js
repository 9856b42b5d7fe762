/** From text to loss in six steps, and the picture of the first three, which the strips can't show. */

import { arrow, button, fill, h, put } from "./dom.js";
import { piecesOf, spelled } from "./sample.js";

const COUNT = 6;

export function stepper(context, side, place) {
  const { store } = context;
  const go = (to) => store.set({ step: Math.max(1, Math.min(COUNT, to)) });
  const buttons = Array.from({ length: COUNT }, (_, i) => button("", () => go(i + 1), { test: `step-${i + 1}` }));
  const say = h("p", { class: "stage-say" });
  const list = h(
    "ol",
    { class: "steps" },
    buttons.map((one) => h("li", {}, one))
  );
  list.addEventListener("keydown", (event) => {
    const to = arrow(event.key, buttons.indexOf(event.target), COUNT);
    if (to === null) return;
    go(to + 1);
    buttons[to].focus();
    event.preventDefault();
  });
  const back = button("◀", () => go(store.get().step - 1), { class: "icon", says: "One step back", title: "One step back  [" });
  const on = button("▶", () => go(store.get().step + 1), { class: "icon", says: "One step on", title: "One step on  ]" });
  place.append(h("section", { class: "stepper", says: "Step through" }, h("div", { class: "step-row" }, back, list, on), say));
  store.watch(["step", side.answer], (state) => {
    const stages = side.found(state)?.extra?.stages ?? side.view(state)?.stages ?? [];
    buttons.forEach((one, i) => {
      fill(one, h("b", { text: i + 1 }), " ", stages[i]?.title ?? "");
      put(one, "aria-current", i + 1 === state.step ? "step" : null);
      one.tabIndex = i + 1 === state.step ? 0 : -1;
      one.parentElement.classList.toggle("done", i + 1 < state.step);
    });
    back.disabled = state.step === 1;
    on.disabled = state.step === COUNT;
    say.textContent = stages[state.step - 1]?.say ?? "";
  });
  return { go };
}

/** Steps 1 to 3: the text, the text in tokens, the tokens that were chosen. Where tokens are hidden by hand, they are clicked here. */
export function stages(context, side, place) {
  const box = h("div", { class: "stage-picture" });
  place.append(box);
  context.store.watch(["step", "byHand", side.answer], (state) => {
    const view = side.view(state),
      byHand = state.byHand && side.name === "a";
    box.hidden = !view || (state.step > 3 && !byHand);
    if (box.hidden) return;
    if (state.step === 1 && !byHand) return void fill(box, h("p", { class: "the-text", text: view.text, dir: "auto" }));
    const shown = state.step >= 3 || byHand,
      at = box.contains(document.activeElement) ? document.activeElement.dataset.piece : null;
    fill(
      box,
      h(
        "ol",
        { class: "pieces" },
        piecesOf(view).map((piece, i) =>
          h(
            "li",
            {},
            byHand
              ? pieceButton(context, side, piece, i)
              : h("span", { class: shown && piece.chosen ? "piece chosen" : "piece", text: spelled(piece.text) })
          )
        )
      )
    );
    if (at) box.querySelector(`[data-piece="${at}"]`)?.focus();
  });
}

function pieceButton(context, side, piece, i) {
  const hide = context.store.get().request.hide ?? [],
    is = hide.includes(i);
  const made = button(
    spelled(piece.text),
    () => {
      side.change({ hide: is ? hide.filter((one) => one !== i) : [...hide, i].sort((a, b) => a - b) });
    },
    { class: is ? "piece chosen" : "piece", "aria-pressed": is, "data-piece": i }
  );
  return made;
}
