// Show and hide variants everywhere at once.
for (const box of document.querySelectorAll(".legend input")) {
  box.addEventListener("change", () => {
    for (const part of document.querySelectorAll(".v" + box.value)) {
      if (part instanceof SVGElement) part.style.display = box.checked ? "" : "none";
      else part.hidden = !box.checked;
    }
  });
}
// Sort a table by a column; rows without a number stay last.
for (const button of document.querySelectorAll("thead button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th"), body = head.closest("table").tBodies[0];
    const column = head.cellIndex, up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    // A cell sorts by its key, or by what it shows where that is the same.
    const key = (row) => {
      const cell = row.cells[column];
      if (!cell || cell.classList.contains("failed")) return "";
      return cell.dataset.key ?? cell.textContent.trim();
    };
    const rows = [...body.rows].sort((a, b) => {
      const x = key(a), y = key(b);
      if (x === "" || y === "") return (x === "") - (y === "");
      const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
      return up ? order : -order;
    });
    body.append(...rows);
  });
}
// Take a figure along as a file of its own.
for (const figure of document.querySelectorAll("figure[data-name]")) {
  const save = document.createElement("button");
  save.className = "save";
  save.textContent = "save SVG";
  save.addEventListener("click", () => {
    drawFigure(figure);
    const copy = figure.querySelector("svg").cloneNode(true);
    copy.style.color = "#1c2128";
    copy.style.fontFamily = "sans-serif";
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" }));
    link.download = figure.dataset.name + ".svg";
    link.click();
    URL.revokeObjectURL(link.href);
  });
  figure.append(save);
}
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
