/** What was trained: the runs of the server's folder, and what their models say at the selected position. */

import { button, fill, h, outside, short, table } from "./dom.js";
import { spelled } from "./sample.js";

export function runsScreen(context, place) {
  const { store, services } = context,
    box = h("section", { class: "screen runs", says: "Runs", test: "runs" }, h("header", {}, h("h2", { class: "title", text: "Runs" })));
  const body = h("div");
  place.append(box);
  box.append(body);
  store.watch(["runs"], ({ runs }) =>
    fill(
      body,
      runs.problem
        ? h("p", { class: "notice error", text: runs.problem })
        : runs.list
          ? overview(runs.list)
          : h("p", { class: "hint", text: "Reading the runs…" })
    )
  );
  if (store.get().runs.list) return;
  services.runs().then(
    (found) =>
      store.set({ runs: { ...store.get().runs, list: found.ok ? found.data : null, problem: found.ok ? null : found.error.message } }),
    (error) => store.set({ runs: { ...store.get().runs, problem: String(error.message ?? error) } })
  );
}

function overview(list) {
  const rows = list.runs;
  if (!rows.length) return h("p", { class: "hint", text: "This folder holds no finished run." });
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return [
    list.say && h("p", { class: "summary", text: list.say }),
    list.report && h("p", {}, outside("The report of this comparison", list.report)),
    h(
      "div",
      { class: "facts-box", tabindex: 0, role: "region", says: "Runs" },
      table(
        "Runs",
        columns.map((key) => key.replaceAll("_", " ")),
        rows.map((row) => columns.map((key) => cell(row[key])))
      )
    )
  ];
}

function cell(value) {
  return typeof value === "number" ? short(value) : String(value ?? "");
}

/** Under the row's sentence: the five likeliest answers of each trained model. */
export function askModels(context, side, place) {
  const { store, services } = context,
    list = h("div", { class: "models" });
  const ask = button(
    "Ask the models",
    async () => {
      const { request, row, runs } = store.get();
      store.set({ runs: { ...runs, busy: true, told: null } });
      try {
        const told = await services.ask({ request, stream: row.stream, row: row.index });
        store.set({ runs: { ...store.get().runs, busy: false, told: told.ok ? told.data : { problem: told.error.message } } });
      } catch (error) {
        store.set({ runs: { ...store.get().runs, busy: false, told: { problem: String(error.message ?? error) } } });
      }
    },
    { class: "chip", test: "ask-models" }
  );
  place.append(h("p", { class: "row-tools" }, ask), list);
  store.watch([side.row, side.answer], () => {
    if (store.get().runs.told) store.set({ runs: { ...store.get().runs, told: null } });
  });
  store.watch(["runs", side.row], ({ runs, row }) => {
    ask.disabled = !row || runs.busy;
    fill(
      list,
      runs.busy
        ? h("p", { class: "hint", text: "Asking…" })
        : runs.told?.problem
          ? h("p", { class: "hint", text: runs.told.problem })
          : (runs.told?.models ?? []).map(model)
    );
  });
}

function model({ name, why, note, top = [] }) {
  return h(
    "div",
    { class: "model" },
    h("b", { text: name }),
    (why || note) && h("p", { class: "hint", text: why || note }),
    h(
      "ol",
      {},
      top.map(({ t, p }) =>
        h("li", {}, h("code", { text: spelled(t) }), h("span", { class: "bar", style: { "--share": p } }), h("small", { text: short(p) }))
      )
    )
  );
}
