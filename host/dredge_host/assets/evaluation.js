/* SPDX-License-Identifier: BSD-2-Clause */
"use strict";
// Tables sort by any column, cells are shown by method and stratum; all of it works by keyboard.

function value(row, column) {
  const text = row.cells[column].dataset.value;
  return text === "" || Number.isNaN(Number(text)) ? text : Number(text);
}

function compare(a, b) {
  if (a === "" || b === "") return (a === "") - (b === ""); // what was not measured goes last
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
}

function sort(table, column, ascending) {
  const rows = [...table.tBodies[0].rows];
  const way = ascending ? 1 : -1;
  rows.sort((a, b) => {
    const x = value(a, column), y = value(b, column);
    return x === "" || y === "" ? compare(x, y) : way * compare(x, y);
  });
  table.tBodies[0].append(...rows);
  [...table.tHead.rows[0].cells].forEach((head, i) => {
    if (i === column) head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    else head.removeAttribute("aria-sort");
  });
}

for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => sort(table, column, head.getAttribute("aria-sort") !== "ascending"));
  });
}

const method = document.getElementById("method"), stratum = document.getElementById("stratum");

function show() {
  let shown = 0;
  for (const row of document.querySelectorAll("#cells tbody tr")) {
    row.hidden = (method.value && row.dataset.method !== method.value)
      || (stratum.value && row.dataset.stratum !== stratum.value);
    shown += !row.hidden;
  }
  document.getElementById("shown").textContent = shown + (shown === 1 ? " cell" : " cells");
}

if (method) {
  document.querySelector(".filters").hidden = false;
  method.addEventListener("change", show);
  stratum.addEventListener("change", show);
  show();
}
