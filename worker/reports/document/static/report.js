"use strict";
(() => {
  const PAGE = 50;
  const data = JSON.parse(document.getElementById("data").textContent);
  const body = document.querySelector("#rows tbody");
  const heads = [...document.querySelectorAll("#rows thead th")];
  const find = document.getElementById("find");
  const status = document.getElementById("status");
  const said = document.getElementById("said");
  const back = document.getElementById("back");
  const next = document.getElementById("next");
  const kinds = data.columns.map((column) => column.kind);
  const texts = data.rows.map((row) => row.join("\n").toLowerCase());
  let shown = data.rows.map((_, index) => index);
  let page = 0;
  let sorted = null;

  const written = (value, kind) => {
    if (value === null) return "";
    return kind === "mm" ? value.toFixed(1) : kind === "share" ? value.toFixed(2) : String(value);
  };

  const line = (row) => {
    const tr = document.createElement("tr");
    row.forEach((value, index) => {
      const cell = document.createElement(index ? "td" : "th");
      if (!index) cell.scope = "row";
      cell.textContent = written(value, kinds[index]);
      if (kinds[index] === "status") cell.className = "status " + value;
      else if (kinds[index] === "file" || kinds[index] === "note") cell.className = kinds[index];
      else if (kinds[index] !== "text") cell.className = "number";
      tr.append(cell);
    });
    return tr;
  };

  const show = () => {
    const pages = Math.max(1, Math.ceil(shown.length / PAGE));
    page = Math.min(Math.max(0, page), pages - 1);
    const from = page * PAGE;
    const part = shown.slice(from, from + PAGE);
    body.replaceChildren(...part.map((index) => line(data.rows[index])));
    back.disabled = page === 0;
    next.disabled = page === pages - 1;
    said.textContent = shown.length
      ? `Rows ${from + 1} to ${from + part.length} of ${shown.length}`
      : "No row fits; clear the filter";
  };

  const compare = (one, other, column) => {
    const a = data.rows[one][column];
    const b = data.rows[other][column];
    if (a === null || b === null) return (a === null) - (b === null);  // unknown stays last
    const order = typeof a === "number" ? a - b : a < b ? -1 : a > b ? 1 : 0;
    return sorted.falling ? -order : order;
  };

  const choose = () => {
    const wanted = find.value.trim().toLowerCase();
    const place = kinds.indexOf("status");
    shown = [];
    data.rows.forEach((row, index) => {
      if (status.value && row[place] !== status.value) return;
      if (wanted && !texts[index].includes(wanted)) return;
      shown.push(index);
    });
    if (sorted) shown.sort((one, other) => compare(one, other, sorted.column) || one - other);
    page = 0;
    show();
  };

  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const falling = sorted !== null && sorted.column === column && !sorted.falling;
      sorted = { column, falling };
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      choose();
    });
  });
  find.addEventListener("input", choose);
  status.addEventListener("change", choose);
  back.addEventListener("click", () => { page -= 1; show(); });
  next.addEventListener("click", () => { page += 1; show(); });
  choose();
})();
