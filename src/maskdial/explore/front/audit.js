/** What a file really supervises: checks at the left, the rows behind a check at the right. Only with a local server and its data. */

import { button, fill, h, table } from "./dom.js";

/** so many rows are listed at a time */
const AT_ONCE = 50;
const SIGNS = { ok: "✓", warn: "!", fail: "✕", skipped: "–" };

export function auditScreen(context, place) {
  const { store, services } = context;
  const run = async () => {
    const { request } = store.get();
    store.set({ audit: { ...store.get().audit, busy: true, problem: null } });
    try {
      const found = await services.audit({ objective: request.objective, options: request.options });
      store.set({ audit: { busy: false, found: found.error ? null : found, problem: found.error ?? null, check: null } });
    } catch (error) {
      store.set({ audit: { busy: false, found: null, problem: { message: String(error.message ?? error) }, check: null } });
    }
  };
  const head = h("p", { class: "summary", role: "status" }),
    checks = h("div", { class: "checks" }),
    rows = h("div", { class: "audit-rows" });
  place.append(
    h(
      "section",
      { class: "screen audit", says: "Audit", test: "audit" },
      h("header", {}, h("h2", { class: "title", text: "Audit" }), h("span", { class: "gap" }), button("Run again", run, { class: "chip" })),
      head,
      h("div", { class: "split" }, checks, rows)
    )
  );
  store.watch(["audit"], ({ audit }) => {
    head.textContent = audit.busy ? "Reading the data…" : audit.problem ? audit.problem.message : (audit.found?.say ?? "");
    fill(checks, audit.found ? checkTable(context, audit) : "");
    fill(rows, audit.found ? rowList(context, audit) : "");
  });
  if (!store.get().audit.found) run();
}

function checkTable(context, audit) {
  const { checks } = audit.found,
    is = (i) => audit.check === checks[i].name;
  return table(
    "Checks",
    ["check", "", "rows", "what was found, and why it matters"],
    checks.map((one, i) => [
      button(one.name, () => context.store.set({ audit: { ...audit, check: is(i) ? null : one.name } }), {
        class: "link",
        "aria-pressed": is(i),
        disabled: !one.rows.length
      }),
      h("b", { text: `${SIGNS[one.level]} ${one.level}` }),
      one.count,
      [one.say, " ", h("small", { text: one.why })]
    ]),
    (i) => ({ class: is(i) ? "is-row" : "" })
  );
}

function rowList(context, audit) {
  const check = audit.found.checks.find((one) => one.name === audit.check),
    title = check ? `Rows: ${check.name}` : "Rows";
  const shown = audit.found.rows.filter((row) => !check || check.rows.includes(row.index));
  const list = h("ul", { class: "rows", says: title });
  addRows(context, list, shown, 0);
  return [h("h2", { text: title }), shown.length ? list : h("p", { class: "hint", text: "No rows are named." })];
}

/** The next rows, and a button for what is left of them: nothing is cut without a word. */
function addRows(context, list, shown, from) {
  const open = (row) => {
    context.store.set({ screen: "explore" });
    context.change({ text: row.text });
  };
  const line = (row) =>
    h(
      "li",
      {},
      button("Open", () => open(row), { class: "chip" }),
      h("b", { text: ` ${row.index} ` }),
      h("span", { text: row.text })
    );
  list.append(...shown.slice(from, from + AT_ONCE).map(line));
  const left = shown.length - from - AT_ONCE;
  if (left <= 0) return;
  const more = h(
    "li",
    {},
    button(
      `… +${left} more`,
      () => {
        more.remove();
        addRows(context, list, shown, from + AT_ONCE);
      },
      { class: "chip" }
    )
  );
  list.append(more);
}
