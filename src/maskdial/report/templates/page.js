// Two conveniences; the page says everything without them.
(function () {
  "use strict";
  var root = document.documentElement, button = document.getElementById("theme");
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  function theme() { return root.dataset.theme || (dark.matches ? "dark" : "light"); }
  function label() { button.textContent = theme() === "dark" ? "Light" : "Dark"; button.setAttribute("aria-label", "Switch to the " + button.textContent.toLowerCase() + " theme"); }
  if (button) {
    button.hidden = false; label();
    dark.addEventListener("change", label);
    button.addEventListener("click", function () { root.dataset.theme = theme() === "dark" ? "light" : "dark"; label(); });
  }
  // charts and tables are folded away on screen; on paper nobody can unfold them
  window.addEventListener("beforeprint", function () { document.querySelectorAll("#reproduce details, .card details, .how").forEach(function (d) { d.open = true; }); });

  var table = document.getElementById("glance-table");
  if (!table) { return; }
  table.querySelectorAll("th[data-key]").forEach(function (head) {
    var words = head.querySelector(".th") || head, key = head.dataset.key, made = document.createElement("button");
    made.type = "button"; made.className = "sort";
    while (words.firstChild) { made.appendChild(words.firstChild); }
    words.appendChild(made);
    made.addEventListener("click", function () {
      // the first click puts the best on top
      var before = head.getAttribute("aria-sort"), first = head.dataset.better === "higher" ? "descending" : "ascending";
      var next = !before ? first : before === "ascending" ? "descending" : "ascending";
      table.querySelectorAll("th[aria-sort]").forEach(function (other) { other.removeAttribute("aria-sort"); });
      head.setAttribute("aria-sort", next);
      var rows = Array.from(table.tBodies[0].rows);
      function value(row) {
        if (key === "name") { return row.dataset.name; }
        var cell = row.querySelector('td[data-key="' + CSS.escape(key) + '"]');
        return cell ? Number(cell.dataset.value) : null;
      }
      rows.sort(function (a, b) {
        var x = value(a), y = value(b);
        if (x === null || y === null) { return (x === null) - (y === null); }
        return (x < y ? -1 : x > y ? 1 : 0) * (next === "ascending" ? 1 : -1);
      });
      rows.forEach(function (row) { table.tBodies[0].appendChild(row); });
    });
  });
})();
