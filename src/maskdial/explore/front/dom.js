/** Elements made by hand. No markup is ever parsed, so what a text holds stays text. */

const SVG = "http://www.w3.org/2000/svg";
/** attributes that live as properties: they change after the first drawing */
const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "selected", "open", "indeterminate", "tabIndex", "readOnly"]);

/** attributes that say "true" and "false" */
const SAID = /^(aria|data)-/;

/** An element: `h("li", {class: "seen", onclick: f, text: "…"}, ...children)`; "svg:path" makes one of a drawing. */
export function h(name, given = {}, ...children) {
  const made = name.startsWith("svg:") ? document.createElementNS(SVG, name.slice(4)) : document.createElement(name);
  for (const [key, value] of Object.entries(given)) put(made, key, value);
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** One attribute, property, listener or style of an element; `test` is the name
 * under which tests find it, `says` the one that a listener hears. */
export function put(made, key, value) {
  if (key === "test") made.dataset.testid = value;
  else if (key === "says") made.setAttribute("aria-label", value);
  else if (key === "text") made.textContent = value;
  else if (key === "style") for (const [name, one] of Object.entries(value)) made.style.setProperty(name, one);
  else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
  else if (PROPERTIES.has(key)) made[key] = value;
  else if (value === null || value === undefined || (value === false && !SAID.test(key))) made.removeAttribute(key);
  else made.setAttribute(key, value === true && !SAID.test(key) ? "" : String(value));
}

/** Replace what an element holds. */
export function fill(made, ...children) {
  made.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** A table; a row is a list of cells (words, or what a cell holds), the first of which names it. */
export function table(caption, heads, rows, given = () => ({})) {
  return h(
    "table",
    { class: "facts" },
    h("caption", { text: caption }),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        heads.map((text) => h("th", { scope: "col", text }))
      )
    ),
    h(
      "tbody",
      {},
      rows.map(([first, ...rest], i) =>
        h(
          "tr",
          given(i),
          h("th", { scope: "row" }, first),
          rest.map((cell) => h("td", {}, cell))
        )
      )
    )
  );
}

/** A button. */
export function button(text, act, given = {}) {
  return h("button", { type: "button", text, onclick: act, ...given });
}

/** A link that leaves the page: only to the web, whatever a card says. */
export function outside(text, url) {
  return /^https?:\/\//.test(url || "") ? h("a", { href: url, text, target: "_blank", rel: "noopener noreferrer" }) : h("span", { text });
}

/** Wait until calls have been quiet for a while; what still waits when `life` ends is dropped. `.now()` does at once what waits. */
export function quiet(milliseconds, act, life) {
  let timer = 0,
    waiting = null;
  const run = () => {
    clearTimeout(timer);
    const given = waiting;
    waiting = null;
    if (given) act(...given);
  };
  const later = (...given) => {
    waiting = given;
    clearTimeout(timer);
    timer = setTimeout(run, milliseconds);
  };
  later.now = run;
  life.addEventListener("abort", () => {
    waiting = null;
  });
  return later;
}

/** Do something now and whenever the width that an element has changes. */
export function resized(element, act, life) {
  const watched = new ResizeObserver(() => act());
  watched.observe(element);
  life.addEventListener("abort", () => watched.disconnect());
}

/** Copy text; where the browser refuses the clipboard (a page from disk), select it so that the keyboard can. */
export async function copy(text, shown = null) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    if (shown) getSelection().selectAllChildren(shown);
    return false;
  }
}

/** A number for a read-out: at most three digits that say something. */
export function short(number) {
  if (!Number.isFinite(number)) return "–";
  return Number.isInteger(number) ? String(number) : String(Number(number.toPrecision(3)));
}

/** A share in per cent. */
export function percent(share) {
  return `${Math.round(100 * share)} %`;
}

/** The next index of a row of things for an arrow key, or null. */
export function arrow(key, at, count, { less = "ArrowLeft", more = "ArrowRight" } = {}) {
  const to = { [less]: at - 1, [more]: at + 1, Home: 0, End: count - 1 }[key];
  return to === undefined ? null : Math.max(0, Math.min(count - 1, to));
}
