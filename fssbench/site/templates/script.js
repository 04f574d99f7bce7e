"use strict";
// Filters and sorts the table. The choice stands in the address, so that a link shows the same rows.
(() => {
  const form = document.querySelector(".choose");
  const table = document.querySelector(".results");
  if (!form || !table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const selects = [...form.querySelectorAll("select")];
  const search = form.elements.search;
  const count = form.querySelector("output");
  let sorted = -1;
  let down = true;

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const fits = selects.every((one) => !one.value || row.dataset[one.name] === one.value);
      const text = words.length ? row.textContent.toLowerCase() : "";
      row.hidden = !(fits && words.every((word) => text.includes(word)));
      shown += row.hidden ? 0 : 1;
    }
    count.textContent = `${shown} of ${rows.length}`;
  }

  function key(row, column) {
    const text = row.cells[column].firstChild ? row.cells[column].firstChild.textContent.trim() : "";
    const number = Number(text);
    return text !== "" && !Number.isNaN(number) ? number : text.toLowerCase();
  }

  function sort() {
    heads.forEach((head, place) => {
      if (place === sorted) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    const keyed = rows.map((row, place) => [key(row, Math.max(sorted, 0)), place, row]);
    if (sorted >= 0) {
      keyed.sort((one, other) => {
        // What is missing comes last, in both directions.
        if ((one[0] === "") !== (other[0] === "")) return one[0] === "" ? 1 : -1;
        const numbers = typeof one[0] === "number" && typeof other[0] === "number";
        const order = numbers ? one[0] - other[0] : String(one[0]).localeCompare(String(other[0]));
        return (down ? -order : order) || one[1] - other[1];
      });
    }
    body.append(...keyed.map((one) => one[2]));
  }

  function remember() {
    const chosen = new URLSearchParams();
    for (const one of selects) if (one.value) chosen.set(one.name, one.value);
    if (search.value) chosen.set("search", search.value);
    if (sorted >= 0) chosen.set("sort", `${down ? "-" : ""}${sorted}`);
    history.replaceState(null, "", `#${chosen}`);
  }

  function recall() {
    const chosen = new URLSearchParams(location.hash.slice(1));
    for (const one of selects) {
      const value = chosen.get(one.name) || "";
      one.value = [...one.options].some((option) => (option.value || "") === value) ? value : "";
    }
    search.value = chosen.get("search") || "";
    const place = chosen.get("sort") || "";
    sorted = /^-?\d+$/.test(place) && Math.abs(Number(place)) < heads.length ? Math.abs(Number(place)) : -1;
    down = place.startsWith("-");
  }

  form.addEventListener("input", () => { filter(); remember(); });
  form.addEventListener("reset", () => {
    setTimeout(() => { sorted = -1; sort(); filter(); remember(); });
  });
  heads.forEach((head, place) => {
    const button = head.querySelector("button");
    if (!button) return;
    button.addEventListener("click", () => {
      const numeric = !head.classList.contains("text");
      down = sorted === place ? !down : numeric;
      sorted = place;
      sort();
      remember();
    });
  });
  function show() {
    // An address with the name of a row shows that row, among all.
    if (!document.getElementById(location.hash.slice(1))) recall();
    sort();
    filter();
  }

  addEventListener("hashchange", show);
  show();
})();
