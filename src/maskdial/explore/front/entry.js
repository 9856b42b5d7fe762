/** Two ways in: a notebook calls `render`, a page carries its data and is taken over where it stands. */

import { mount } from "./app.js";
import { byEmbedded, byFetch, byModel } from "./ask.js";

/** anywidget's front-end contract. */
function render({ model, el }) {
  const { transport, close } = byModel(model);
  const down = mount(el, { meta: model.get("meta"), first: model.get("first"), text: model.get("text") ?? null, ask: transport });
  return () => {
    down();
    close();
  };
}

/** A page's address bar. */
const address = {
  read: () => location.hash,
  base: () => location.href.split("#")[0],
  write: (hash) => {
    if (hash !== location.hash) history.replaceState(null, "", hash);
  },
  push: () => history.pushState(null, "", location.hash || location.href),
  listen: (act, signal) => window.addEventListener("popstate", act, { signal })
};

function carried(id) {
  const found = document.getElementById(id);
  return found ? JSON.parse(found.textContent) : null;
}

/** Take over a page that the server or the exporter wrote; returns what takes it down again, or null where there is none. */
function hydrate() {
  const meta = carried("maskdial-meta"),
    el = document.getElementById("maskdial");
  if (!meta || !el) return null;
  const fixed = Boolean(document.getElementById("maskdial-answers")),
    first = carried("maskdial-first");
  const token = document.querySelector('meta[name="maskdial-token"]')?.content;
  const ask = fixed ? byEmbedded(() => carried("maskdial-answers"), meta) : byFetch("/api/sample", token);
  return mount(el, { meta, first, ask, link: address, fixed, services: fixed ? {} : servicesOf(meta, token) });
}

/** What only some servers offer. */
function servicesOf(meta, token) {
  const has = meta.features ?? {};
  return {
    ...(has.run ? { ask: byFetch("/api/ask", token), runs: () => fetch("/api/runs").then((got) => got.json()) } : {}),
    ...(has.data ? { audit: byFetch("/api/audit", token) } : {})
  };
}

if (typeof document !== "undefined") hydrate();

export { mount };
export default { render };
