// Sorts the tables of numbers by a click on a column's name, and filters their rows. Without it they are complete.
"use strict";

const collator = new Intl.Collator("en", { numeric: true });

/** Return what a row is sorted by: a number where the cell has one, its text, or null for what comes last. */
function sortKey(row, column) {
  const cell = row.cells[column];
  const number = cell.dataset.sort;
  if (number === undefined) return cell.textContent;
  return number === "" ? null : Number(number);
}

function compare(a, b, sign) {
  if (a === null || b === null) return (a === null) - (b === null);
  return sign * (typeof a === "number" ? Math.sign(a - b) : collator.compare(a, b));
}

function sortBy(table, column, heading) {
  const sign = heading.ariaSort === "ascending" ? -1 : 1;
  for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
  const keyed = Array.from(table.tBodies[0].rows, (row) => [sortKey(row, column), row]);
  keyed.sort(([a], [b]) => compare(a, b, sign));
  table.tBodies[0].append(...keyed.map(([, row]) => row));
}

function makeSortable(table) {
  Array.from(table.tHead.rows[0].cells).forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sortBy(table, column, heading));
    heading.append(button);
  });
}

/** Hide the rows that lack a word of the filter, and say how many are left. */
function filter(tables, words, said) {
  let left = 0;
  let all = 0;
  for (const table of tables) {
    let here = 0;
    for (const row of table.tBodies[0].rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      here += !row.hidden;
      all += 1;
    }
    left += here;
    const folded = table.closest("details");
    if (folded && words.length) folded.open = here > 0;
  }
  said.textContent = words.length ? `${left} of ${all} rows` : "";
}

for (const section of document.querySelectorAll(".all-numbers")) {
  const tables = Array.from(section.querySelectorAll(".measures table"));
  tables.forEach(makeSortable);
  const input = document.createElement("input");
  const label = document.createElement("label");
  const said = document.createElement("output");
  const box = document.createElement("p");
  input.type = "search";
  label.append("Filter ", input);
  box.className = "filter";
  box.append(label, said);
  input.addEventListener("input", () => filter(tables, input.value.toLowerCase().split(/\s+/).filter(Boolean), said));
  section.prepend(box);
}
