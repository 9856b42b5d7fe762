/** One option of a recipe as something to turn, pick or write in. */

import { h, put, quiet } from "./dom.js";
import { recipeOf, withOption } from "./store.js";

/** One option as a control: what it shows follows the request, and what is wrong with it is said beside it. */
export function control(context, side, dial) {
  const id = `dial-${side.name}-${dial.name}`,
    error = h("p", { class: "field-error", id: `${id}-error`, hidden: true });
  const set = (value) => {
    const request = context.store.get()[side.request];
    side.change({ options: withOption(recipeOf(context.meta, request), request.options, dial.name, value) });
  };
  const field = FIELDS[dial.kind](
    dial,
    set,
    { id, test: side.tag(`dial-${dial.name}`), "aria-describedby": `${id}-help ${id}-error` },
    context.life
  );
  const element = h(
    "div",
    { class: "control" },
    h("label", { for: id, text: (dial.label ?? dial.name).replaceAll("_", " ") }),
    h("span", { class: "field" }, field.parts, dial.unit && dial.unit !== "share" && h("span", { class: "unit", text: dial.unit })),
    error,
    h("small", { id: `${id}-help`, text: dial.help ?? "" })
  );
  return {
    element,
    show: (options) => field.show(options[dial.name] === undefined ? dial.default : options[dial.name]),
    complain(problem) {
      const mine = Boolean(problem?.where) && String(problem.where).split(/[.\s]/).includes(dial.name);
      error.hidden = !mine;
      error.textContent = mine ? problem.message : "";
      field.parts.forEach((part) => put(part, "aria-invalid", mine ? "true" : null));
    }
  };
}

const FIELDS = { range: rangeField, int: boxField, choice: choiceField, switch: switchField, text: boxField };

function rangeField(dial, set, given, life) {
  if (dial.low === null || dial.high === null) return boxField(dial, set, given, life);
  const slider = h("input", {
    type: "range",
    min: dial.low,
    max: dial.high,
    step: dial.step,
    ...given,
    oninput: () => set(Number(slider.value))
  });
  const exact = boxField(dial, set, { says: `${dial.name}, exactly` }, life);
  return {
    parts: [slider, ...exact.parts],
    show(value) {
      if (typeof value === "number") slider.value = value;
      put(slider, "aria-valuetext", `${value} ${dial.unit}`);
      exact.show(value);
    }
  };
}

/** A box for a number, a word, or either ("uniform"): what is written is sent as it is, and Python says what is wrong with it. */
function boxField(dial, set, given, life) {
  const wordy = dial.kind === "text" || Boolean(dial.choices?.length);
  const read = (text) => (text === "" ? dial.default : dial.kind === "text" || !Number.isFinite(Number(text)) ? text : Number(text));
  const later = quiet(250, (text) => set(read(text)), life);
  const box = h("input", {
    type: wordy ? "text" : "number",
    class: "number",
    min: dial.low,
    max: dial.high,
    step: dial.kind === "int" ? 1 : "any",
    placeholder: dial.default === null ? "–" : null,
    ...given,
    oninput: () => later(box.value),
    onchange: () => later.now()
  });
  return {
    parts: [box],
    show(value) {
      if (document.activeElement !== box) box.value = value ?? "";
    }
  };
}

function choiceField(dial, set, given) {
  const spelled = (value) => (value === null ? "–" : value === true ? "yes" : value === false ? "no" : String(value));
  const box = h(
    "select",
    { ...given, onchange: () => set(dial.choices[box.selectedIndex]) },
    dial.choices.map((value) => h("option", { text: spelled(value), value: String(value) }))
  );
  return {
    parts: [box],
    show(value) {
      box.selectedIndex = dial.choices.findIndex((one) => one === value);
    }
  };
}

function switchField(dial, set, given) {
  const box = h("input", { type: "checkbox", ...given, onchange: () => set(box.checked) });
  return {
    parts: [box],
    show(value) {
      box.checked = value === true;
    }
  };
}
