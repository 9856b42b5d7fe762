/** Show me the code: the state of the page as a link, a command, Python, and JSON. */

import { arrow, button, copy, h, put } from "./dom.js";
import { LONGEST } from "./link.js";

const TABS = [
  ["link", "Link"],
  ["cli", "Command"],
  ["python", "Python"],
  ["json", "JSON"]
];

export function code(context, side, place) {
  const { store } = context;
  const text = h("pre", { class: "code", test: "code", tabindex: 0, role: "tabpanel", id: `code-${context.number}` }, h("code"));
  const note = h("p", { class: "hint", hidden: true });
  const tabs = TABS.map(([name, words]) =>
    button(words, () => store.set({ code: name }), { role: "tab", "data-tab": name, "aria-controls": text.id, test: `code-${name}` })
  );
  const list = h("div", { class: "tabs", role: "tablist", says: "The same as" }, tabs);
  walkTabs(list, tabs, (i) => store.set({ code: TABS[i][0] }));
  const act = button("Copy", async () => context.toast((await copy(text.textContent, text)) ? "Copied." : "Press Ctrl+C to copy."), {
    class: "chip"
  });
  const keep = button("Save sample.json", () => save(side.view(store.get())), { class: "chip" });
  place.append(
    h(
      "section",
      { class: "code-box", says: "The same in code" },
      h("header", {}, h("h2", { text: "Show me the code" }), list, h("span", { class: "gap" }), keep, act),
      text,
      note
    )
  );

  store.watch(["code", side.answer, "link", side.row, "step"], (state) => {
    tabs.forEach((tab) => {
      const is = tab.dataset.tab === state.code;
      put(tab, "aria-selected", is);
      tab.tabIndex = is ? 0 : -1;
      if (is) put(text, "aria-label", tab.textContent);
    });
    keep.hidden = state.code !== "json";
    const shown = spelledOut(state, side);
    text.firstChild.textContent = shown;
    note.hidden = !(state.code === "link" && shown.length > LONGEST);
    note.textContent = `This link is longer than ${LONGEST} characters. Pass on the JSON instead.`;
  });
}

function walkTabs(list, tabs, choose) {
  list.addEventListener("keydown", (event) => {
    const to = arrow(event.key, tabs.indexOf(event.target), tabs.length);
    if (to === null) return;
    choose(to);
    tabs[to].focus();
    event.preventDefault();
  });
}

function spelledOut(state, side) {
  const found = side.found(state),
    view = side.view(state);
  if (!view) return "";
  if (state.code === "json") return JSON.stringify(view, null, 1);
  if (state.code === "link") return state.link || found.extra?.code?.link || "";
  return found.extra?.code?.[state.code] ?? view.code?.[state.code] ?? "";
}

/** Offer a file without a server. */
function save(value, name = "sample.json") {
  if (!value) return;
  const url = URL.createObjectURL(new Blob([JSON.stringify(value, null, 1)], { type: "application/json" }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
