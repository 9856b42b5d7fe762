/** The page: the screens, the header, the link, the theme, the keys; and everything taken down again. */

import { auditScreen } from "./audit.js";
import { compareScreen } from "./compare.js";
import { createContext } from "./context.js";
import { button, h, put, quiet } from "./dom.js";
import { exploreScreen } from "./explore.js";
import { helpDialog, keyAction } from "./help.js";
import { decode, encode } from "./link.js";
import { quizScreen } from "./quiz.js";
import { runsScreen } from "./runs.js";
import { createStore, firstState, scoped } from "./store.js";
import { crashed, toaster } from "./states.js";
import { STYLE } from "./style.js";

/** name → title, how it is drawn, and the service without which it is not offered */
const SCREENS = {
  explore: ["Explore", exploreScreen],
  compare: ["Compare", compareScreen],
  audit: ["Audit", auditScreen, "audit"],
  runs: ["Runs", runsScreen, "runs"],
  quiz: ["Quiz", quizScreen]
};
const BLANK = { objective: "gpt", options: {}, text: "", second: null, tokenizer: "words", seed: 0, hide: null, force: {} };
let instances = 0;

/** Draw the explorer into an element. `meta` says what there is, `first` is an answer, `ask(request, signal)` resolves with one;
 * `link` reads and writes the address (a notebook has none). Returns what takes everything down again. */
export function mount(el, { meta, first = null, ask, text = null, link = null, services = {}, fixed = false }) {
  const end = new AbortController();
  const root = h("div", { class: `maskdial${link ? " page" : ""}`, test: "maskdial" });
  const { usual, request, answer } = opening(meta, first, text);
  const given = { root, meta, ask, link, services, fixed, usual, number: (instances += 1) };
  const undress = dress(el);
  let life = null;
  const stop = () => {
    life?.abort();
    root.replaceChildren();
  };
  const broke = (error) => {
    stop();
    link?.write("#");
    crashed(root, error, begin);
  };
  const begin = () => {
    stop();
    life = new AbortController();
    try {
      start({ ...given, broke, life: life.signal, store: createStore(firstState(meta, request, answer)) });
    } catch (error) {
      broke(error);
    }
  };
  el.replaceChildren(root);
  if (link) window.addEventListener("error", ({ error }) => error && broke(error), { signal: end.signal });
  begin();
  return () => {
    end.abort();
    stop();
    undress();
    root.remove();
  };
}

/** What a link that says nothing means, the first request, and its answer if that came along. */
function opening(meta, first, text) {
  const usual = { ...BLANK, ...meta.defaults, options: {}, second: null };
  const request = { ...usual, ...first?.extra?.request, second: null };
  return text === null || text === request.text
    ? { usual, request, answer: first }
    : { usual, request: { ...request, text }, answer: null };
}

/** The style sheet, for this document or shadow tree. A constructed sheet needs no leave from a content policy. */
function dress(el) {
  const tree = el.getRootNode().adoptedStyleSheets ? el.getRootNode() : document,
    sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  tree.adoptedStyleSheets = [...tree.adoptedStyleSheets, sheet];
  return () => {
    tree.adoptedStyleSheets = tree.adoptedStyleSheets.filter((one) => one !== sheet);
  };
}

function start(given) {
  const { root, link, life, store, usual } = given;
  const context = createContext({ ...given, toast: toaster(root, life) }),
    help = helpDialog(context, root);
  const main = h("main", { id: `main-${context.number}`, tabindex: -1 });
  root.prepend(header(context, help), main);
  themed(context);
  (link ? document : root).addEventListener(
    "keydown",
    (event) => {
      const act = keyAction(context, event, help);
      if (!act) return;
      act();
      event.preventDefault();
      keepFocus(root);
    },
    { signal: life }
  );
  let end = null;
  life.addEventListener("abort", () => end?.abort());
  store.watch(
    ["screen"],
    ({ screen }) => {
      end?.abort();
      end = new AbortController();
      main.replaceChildren();
      SCREENS[screen][1]({ ...context, store: scoped(store, end.signal), life: end.signal }, main);
    },
    life
  );
  follow(context, usual);
  store.watch(["answer"], ({ answer }) => put(root, "data-drawn", answer?.data[0].objective));
  if (!store.get().answer) context.send();
}

/** What a key hides must not take the focus with it. */
function keepFocus(root) {
  if (document.activeElement.checkVisibility()) return;
  [...root.querySelectorAll(".choose [aria-pressed=true], [aria-current=step]")].find((one) => one.checkVisibility())?.focus();
}

function header(context, help) {
  const { store, number } = context;
  const tabs = Object.entries(SCREENS)
    .filter(([, [, , needs]]) => !needs || context.services[needs])
    .map(([name, [title]]) =>
      button(title, () => context.go(name === "compare" && store.get().screen === "compare" ? "explore" : name), {
        "data-screen": name,
        test: name === "compare" ? "compare-toggle" : `screen-${name}`
      })
    );
  const theme = button("", context.turnTheme, { class: "chip", test: "theme" });
  store.watch(["screen"], ({ screen }) => tabs.forEach((tab) => put(tab, "aria-current", tab.dataset.screen === screen ? "page" : null)));
  store.watch(["theme"], (state) => {
    theme.textContent = { auto: "◐ Auto", light: "○ Light", dark: "● Dark" }[state.theme];
    put(theme, "aria-label", `Theme: ${state.theme}`);
  });
  const skip = h("a", {
    class: "skip",
    href: `#main-${number}`,
    text: "To the content",
    onclick: (event) => {
      // the address holds the state of the page
      event.preventDefault();
      context.root.querySelector("main").focus();
    }
  });
  return h(
    "header",
    { class: "top" },
    skip,
    h("h1", { class: "brand" }, h("b", { text: "maskdial" }), h("span", { text: " explorer" })),
    h("nav", { class: "screens", says: "Screens" }, tabs),
    h("span", { class: "gap" }),
    button("Copy link", context.copyLink, { class: "chip", test: "copy-link", title: "c" }),
    theme,
    button("?", help.open, { class: "chip", says: "Keys", test: "help-open" })
  );
}

function themed(context) {
  const { root, link, store } = context;
  store.watch(["theme"], ({ theme }) => {
    put(root, "data-theme", theme === "auto" ? null : theme);
    if (link) put(document.documentElement, "data-theme", theme === "auto" ? null : theme);
  });
}

/** The address follows the page, and the page the address. */
function follow(context, usual) {
  const { store, meta, link, life, root } = context;
  let latest = 0;
  const write = quiet(
    150,
    async () => {
      const number = (latest += 1),
        hash = await encode(store.get(), meta, usual);
      if (life.aborted || number !== latest) return;
      link?.write(hash);
      store.set({ link: (link?.base() ?? "") + hash });
      put(root, "data-settled", true);
    },
    life
  );
  const read = async (hash) => {
    const patch = await decode(hash, meta, usual);
    if (!patch || life.aborted) return;
    const screen =
      SCREENS[patch.screen] && (!SCREENS[patch.screen][2] || context.services[SCREENS[patch.screen][2]]) ? patch.screen : "explore";
    store.set({ step: 6, form: "grid", pinned: Boolean(patch.wanted), byHand: Boolean(patch.request.hide), ...patch, screen });
    context.send();
  };
  link?.listen(() => read(link.read()), life);
  if (link?.read().length > 1) read(link.read());
  store.watch(["request", "other", "row", "step", "form", "theme", "screen"], () => {
    put(root, "data-settled", false);
    write();
  });
}
