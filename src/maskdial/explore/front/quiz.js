/** Ten questions about the sample on the page: guess, then see. The score lives as long as the page. */

import { button, fill, h, put } from "./dom.js";
import { grids } from "./grid.js";
import { strips } from "./strips.js";
import { newQuiz } from "./store.js";

export function quizScreen(context, place) {
  const { store } = context,
    side = quizSide(context);
  const box = h("section", { class: "screen quiz", test: "quiz", says: "Quiz" });
  const head = h("header", {}, h("h2", { class: "title", text: "Quiz" }), h("p", { class: "score", role: "status" }));
  const ask = h("div", { class: "ask" }),
    said = h("div", { class: "told", "aria-live": "polite" }),
    tools = h("p", { class: "quiz-tools" });
  const figure = h("div", { class: "figure" }),
    who = h("div", { class: "scroll" });
  place.append(box);
  box.append(head, ask, said, tools, h("div", { class: "stage quiz-stage" }, figure, who));
  strips(context, side, figure);
  grids(context, side, who);
  store.watch(["answer", "quiz"], (state) => {
    const all = questionsOf(state);
    if (!all.length) return void fill(ask, h("p", { class: "hint", text: "There are no questions about this text. Try a longer one." }));
    drawQuestion(context, side, { box, head, ask, said, tools }, all, state.quiz);
  });
}

function questionsOf(state) {
  return state.answer?.extra?.quiz ?? [];
}

/** The page's own side, but a click answers the question while it is open. */
function quizSide(context) {
  const side = context.side("a");
  return {
    ...side,
    pick(row, pin) {
      const { quiz } = context.store.get(),
        one = questionsOf(context.store.get())[quiz.at];
      if (!one || quiz.told || one.kind === "choice") return quiz.told && side.pick(row, pin);
      if (pin && row.stream === (one.stream ?? row.stream)) pickToken(context, row.index);
    }
  };
}

function pickToken(context, index) {
  const { quiz } = context.store.get(),
    is = quiz.picked.includes(index);
  context.store.set({
    quiz: { ...quiz, picked: is ? quiz.picked.filter((one) => one !== index) : [...quiz.picked, index].sort((a, b) => a - b) }
  });
}

function drawQuestion(context, side, places, all, quiz) {
  const { box, head, ask, said, tools } = places,
    one = all[quiz.at],
    done = !one;
  head.lastChild.textContent = quiz.answered
    ? `${quiz.right} of ${quiz.answered} right`
    : `${all.length} questions about the text on the page`;
  box.dataset.told = String(quiz.told || done);
  if (done) return finished(context, places, all.length, quiz);
  const hint = `Click tokens of the ${one.stream} below. Chosen: ${quiz.picked.join(", ") || "none yet"}.`;
  fill(
    ask,
    h("p", { class: "question-text", test: "question" }, h("b", { text: `${quiz.at + 1} of ${all.length}. ` }), one.question),
    one.kind === "choice" ? choices(context, one, quiz) : !quiz.told && h("p", { class: "hint", text: hint })
  );
  mark(box, one, quiz);
  fill(said, quiz.told && h("p", {}, h("b", { text: right(one, quiz) ? "✓ Right. " : "✕ Not quite. " }), one.say));
  fill(tools, nextButton(context, one, quiz, quiz.at + 1 === all.length));
  if (!quiz.told) return undefined;
  if (one.row !== null) side.show({ stream: one.stream, index: one.row });
  return tools.querySelector("button").focus();
}

function nextButton(context, one, quiz, last) {
  const { store } = context,
    on = () => store.set({ quiz: { ...quiz, at: quiz.at + 1, picked: [], told: false } });
  if (quiz.told) return button(last ? "See the score" : "Next question", on, { class: "chip strong", test: "next" });
  return one.kind !== "choice" && button("Check", () => tell(store, one), { class: "chip strong", test: "check" });
}

function choices(context, one, quiz) {
  return h(
    "div",
    { class: "choices", role: "group", says: "Answers" },
    one.choices.map((text, i) => {
      const made = button(
        text,
        () => {
          context.store.set({ quiz: { ...quiz, picked: [i] } });
          tell(context.store, one);
        },
        { class: "possible", disabled: quiz.told, "data-choice": i }
      );
      if (quiz.told && i === one.answer) put(made, "data-right", "true");
      if (quiz.told && quiz.picked.includes(i) && i !== one.answer) put(made, "data-wrong", "true");
      return made;
    })
  );
}

function right(one, quiz) {
  const wanted = [one.answer].flat();
  return wanted.length === quiz.picked.length && wanted.every((each) => quiz.picked.includes(each));
}

function tell(store, one) {
  const { quiz } = store.get();
  store.set({ quiz: { ...quiz, told: true, answered: quiz.answered + 1, right: quiz.right + right(one, quiz) } });
}

/** Picked tokens, and after the reveal the ones that were meant. */
function mark(box, one, quiz) {
  const wanted = one.kind === "choice" ? [] : [one.answer].flat();
  for (const column of box.querySelectorAll(".column")) {
    const here = column.closest("[data-stream]").dataset.stream === (one.stream ?? "source"),
      i = Number(column.dataset.index);
    put(column, "data-picked", here && one.kind !== "choice" && quiz.picked.includes(i) ? "true" : null);
    put(column, "data-wanted", here && quiz.told && wanted.includes(i) ? "true" : null);
    column.classList.toggle("asked-row", here && one.kind === "row" && one.row === i);
  }
}

function finished(context, { ask, said, tools }, count, quiz) {
  const again = () => context.store.set({ quiz: newQuiz() });
  fill(ask, h("p", { class: "question-text", text: `${quiz.right} of ${count} right.` }));
  fill(said);
  fill(
    tools,
    button(
      "New questions",
      () => {
        again();
        context.reroll();
      },
      { class: "chip strong" }
    ),
    " ",
    button("The same again", again, { class: "chip" })
  );
}
