// Show, hide and filter variants everywhere at once.
const boxes = [...document.querySelectorAll(".legend input[type=checkbox]")], filter = document.getElementById("filter");
const described = boxes.map((box, k) => `${box.parentElement.textContent} ${document.querySelectorAll(".arms dd")[k]?.textContent ?? ""}`.toLowerCase());
function showVariants() {
  const words = (filter?.value ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  let changed = false;
  boxes.forEach((box, k) => {
    const hide = !box.checked || !words.every((word) => described[k].includes(word));
    if (hide === hidden.has(k)) return;
    changed = true;
    if (hide) hidden.add(k); else hidden.delete(k);
    for (const part of document.querySelectorAll(".v" + k)) {
      if (part instanceof SVGElement) part.style.display = hide ? "none" : "";
      else part.hidden = hide;
    }
  });
  if (changed) redraw();
}
for (const box of [...boxes, filter].filter(Boolean)) box.addEventListener("input", showVariants);
showVariants(); // a browser may remember what was filled in
// Follow one variant through the page: all others become faint.
function follow(variant) {
  followed = variant === followed ? null : variant;
  for (const part of document.querySelectorAll(".lit")) part.classList.remove("lit");
  document.body.classList.toggle("following", followed !== null);
  mark(document);
}
document.addEventListener("click", (event) => {
  const on = event.target.closest("[data-follow]");
  if (on) follow(Number(on.dataset.follow));
});
document.addEventListener("keydown", (event) => { if (event.key === "Escape" && followed !== null) follow(followed); });
// Say what is under the pointer.
const tip = document.createElement("div");
tip.id = "tip";
tip.hidden = true;
document.body.append(tip);
function under(svg, event) {
  const box = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / box.width;
  const px = (event.clientX - box.left) * scale, py = (event.clientY - box.top) * scale;
  const row = svg.rows?.find((r) => py >= r.top && py < r.bottom);
  if (row) {
    const { line, panel } = row, value = (s) => (panel.low + (panel.high - panel.low) * s).toFixed(line.digits).replace("-", "−");
    return [line.n, line.what, `${line.text}, ${line.more}`, decode(line.dots).map((s, k) => s === null ? "" : `seed ${line.seeds[k]}: ${value(s)}`).filter(Boolean).join(", ")];
  }
  const spot = svg.spots?.find((s) => px >= s.left - 4 && px <= s.left + s.w + 4 && py >= s.top && py <= s.top + s.h);
  if (!spot || !spot.xs.length) return null;
  const k = spot.xs.reduce((best, at, i) => Math.abs(spot.x(at) - px) < Math.abs(spot.x(spot.xs[best]) - px) ? i : best, 0);
  const found = spot.panel.lines.filter((l) => shown(l.v) && (l.y ?? l.s?.[0])).map((line) => {
    const [a, b] = line.in ?? [spot.panel.low, spot.panel.high], share = decode((line.y ?? line.s[0]).slice(2 * k, 2 * k + 2))[0];
    return share === null || share === undefined ? null : { name: line.n ?? "", value: a + (b - a) * share };
  }).filter(Boolean).sort((p, q) => Math.abs(spot.y(p.value) - py) - Math.abs(spot.y(q.value) - py)).slice(0, 6);
  if (!found.length) return null;
  return [(spot.panel.title ?? "").split("\n")[0], `${spot.panel.xLabel ?? "epoch"} ${spot.xs[k]}`, ...found.map((f) => `${f.name} ${Number(f.value.toPrecision(4))}`.trim())].filter(Boolean);
}
document.addEventListener("pointermove", (event) => {
  const svg = event.target.closest?.("figure.chart svg"), said = svg ? under(svg, event) : null;
  tip.hidden = !said;
  if (!said) return;
  tip.replaceChildren(...said.filter(Boolean).map((text, k) => Object.assign(document.createElement(k ? "div" : "b"), { textContent: text })));
  tip.style.left = Math.max(4, Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)) + "px";
  tip.style.top = (event.clientY + 18 + tip.offsetHeight > innerHeight ? event.clientY - tip.offsetHeight - 12 : event.clientY + 18) + "px";
});
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
// Long tables are made when they are opened.
for (const stored of document.querySelectorAll("details template")) {
  stored.closest("details").addEventListener("toggle", () => {
    const rows = stored.content.querySelector("tbody");
    if (!rows) return;
    const body = stored.previousElementSibling.tBodies[0];
    body.append(...rows.rows);
    rows.remove();
    stored.previousElementSibling.dispatchEvent(new Event("filled"));
    for (const variant of hidden) for (const part of body.querySelectorAll(".v" + variant)) part.hidden = true;
    mark(body);
  });
}
// Choose the columns of a table; some are folded away at first.
for (const table of document.querySelectorAll("table.choose")) {
  const heads = [...table.tHead.rows[0].cells];
  const show = () => {
    const left = heads.filter((head) => !head.classList.contains("folded")).length;
    heads.forEach((head, k) => { head.hidden = head.classList.contains("folded"); for (const row of table.tBodies[0].rows) {
      const cell = row.cells[k];
      if (cell && !cell.classList.contains("failed")) cell.hidden = head.hidden;
    } });
    for (const cell of table.querySelectorAll("td.failed")) cell.colSpan = left - cell.cellIndex;
  };
  const chooser = document.createElement("details"), head = document.createElement("summary"), list = document.createElement("div");
  chooser.className = "chooser";
  head.textContent = "Columns";
  list.className = "pills";
  heads.slice(1).forEach((cell) => {
    const label = document.createElement("label"), box = document.createElement("input");
    box.type = "checkbox";
    box.checked = !cell.classList.contains("folded");
    box.addEventListener("change", () => { cell.classList.toggle("folded", !box.checked); show(); });
    label.append(box, cell.textContent);
    list.append(label);
  });
  chooser.append(head, list);
  table.parentElement.before(chooser);
  table.addEventListener("filled", show);
  show();
}
// Take a figure along as a file of its own.
for (const figure of document.querySelectorAll("figure[data-name]")) {
  const save = document.createElement("button");
  save.className = "save";
  save.textContent = "save SVG";
  save.addEventListener("click", (event) => {
    event.stopPropagation();
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
