"use strict";
// Draw figures from the numbers in the page, each when it comes into view; see bench/report/curves.py.
const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", LEVELS = 4095;
const NS = "http://www.w3.org/2000/svg";
const SHAPES = {
  o: "M3 0a3 3 0 1 1-6 0 3 3 0 1 1 6 0z", s: "M-2.7-2.7h5.4v5.4h-5.4z", "^": "M0-3.4 3.2 2.6h-6.4z", v: "M0 3.4 3.2-2.6h-6.4z",
  D: "M0-3.7 3.7 0 0 3.7-3.7 0z", P: "M-1.2-3.4h2.4v2.2h2.2v2.4h-2.2v2.2h-2.4v-2.2h-2.2v-2.4h2.2z",
  X: "M-3-1.7-1.7-3 0-1.3 1.7-3 3-1.7 1.3 0 3 1.7 1.7 3 0 1.3-1.7 3-3 1.7-1.3 0z",
  "*": "M0-4 1-1.2h3L1.6.6 2.5 3.5 0 1.8-2.5 3.5-1.6.6-4-1.2h3z",
};
const DOT = "m-1.6 0a1.6 1.6 0 1 1 3.2 0 1.6 1.6 0 1 1-3.2 0z"; // a round cap on no length vanishes at some scales
const CHARTS = JSON.parse(document.getElementById("charts")?.textContent ?? "[]");

function element(name, attributes, parent, text) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}
function decode(text) {
  const found = [];
  for (let i = 0; i < text.length; i += 2)
    found.push(text[i] === "." ? null : (64 * DIGITS.indexOf(text[i]) + DIGITS.indexOf(text[i + 1])) / LEVELS);
  return found;
}
function ticks(low, high, count, whole) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  let step = [1, 2, 2.5, 5, 10].map((k) => k * power).find((k) => k >= rough * 0.999) ?? 10 * power;
  if (whole) step = Math.max(1, Math.round(step));
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9 && found.length < 20; k++) found.push(k * step);
  return { at: found, text: (v) => {
    const digits = Math.min(8, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) + (step / power === 2.5 ? 1 : 0));
    const far = Math.abs(v) >= 1e6 || (step < 1e-4);
    return (far ? v.toPrecision(3) : v.toFixed(digits)).replace("-", "−");
  } };
}
const error = (v) => -Math.log(Math.max(101 - v, 1e-9));
const size = (chart) => chart.columns > 1
  ? [470, 150 * Math.ceil(chart.panels.length / chart.columns) + 14] : [440, 285 + 165 * (chart.panels.length - 1)];
// What the reader hides and follows; page.js changes both.
const hidden = new Set();
let followed = null;
const shown = (variant) => variant === undefined || !hidden.has(variant);

// Draw axes and what is between them. Of panels with axes in common only those at the edges have numbers.
function drawPanel(svg, panel, box, ends) {
  const lines = (panel.title ?? "").split("\n").filter(Boolean);
  const named = ends ? panel.lines.filter((l) => l.n && l.y) : [];
  const right = named.length || panel.levels?.some((l) => l.text) ? 74 : box.shared ? 6 : 10;
  const left = box.x + (box.shared ? 4 : panel.yLabel ? 52 : 40), top = box.y + 8 + 14 * lines.length;
  const w = box.x + box.w - right - left, h = box.y + box.h - (box.shared ? 4 : box.small ? 20 : 36) - top;
  const f = panel.scale === "error" ? error : (v) => v;
  const low = panel.scale === "error" ? Math.max(0, panel.low) : panel.low;
  const high = panel.scale === "error" ? Math.min(100, panel.high) : panel.high;
  const y = (v) => top + h * (1 - (f(v) - f(low)) / (f(high) - f(low) || 1));
  const points = panel.lines.some((l) => l.px);
  const xs = panel.x, [x0, x1] = panel.view ?? (points ? [panel.xLow, panel.xHigh] : [xs[0] ?? 0, xs.at(-1) ?? 1]);
  const x = (v) => left + w * (x1 > x0 ? (v - x0) / (x1 - x0) : 0.5);
  const soft = { stroke: "currentColor", "stroke-opacity": 0.14, "stroke-width": 0.6 };
  const words = { fill: "currentColor", "font-size": box.small ? 9 : 11 };
  const head = element("g", panel.v === undefined ? {} : { class: "v" + panel.v, "data-follow": panel.v }, svg);
  lines.forEach((text, i) => element("text", { x: left, y: box.y + 12 + 14 * i, ...words, "font-size": box.shared ? 10.5 : 11.5, "font-weight": box.shared && !i ? 600 : 400 }, head, text));
  const yt = ticks(low, high, box.small ? 3 : 5, false);
  if (panel.scale === "error") yt.at = [10, 30, 50, 60, 70, 80, 85, 90, 92, 94, 96, 98].filter((t) => t >= low && t <= high);
  let last = Infinity;
  for (const at of yt.at) {
    if (!box.shared || box.shared.first) {
      if (last - y(at) < 11) continue;
      last = y(at);
      element("text", { x: left - 5, y: y(at) + 3.5, "text-anchor": "end", ...words }, svg, yt.text(at));
    }
  }
  element("path", { d: yt.at.map((at) => `M${left} ${y(at).toFixed(1)}h${w}`).join(""), ...soft }, svg);
  const xt = ticks(x0, x1, box.small ? 3 : 6, !points);
  if (!box.shared || box.shared.last)
    for (const at of xt.at) element("text", { x: x(at), y: top + h + 14, "text-anchor": "middle", ...words }, svg, xt.text(at));
  element("path", { d: `M${left} ${top}v${h}h${w}`, fill: "none", stroke: "currentColor", "stroke-width": 0.7 }, svg);
  if (!box.small) element("text", { x: left + w / 2, y: top + h + 30, "text-anchor": "middle", ...words }, svg, panel.xLabel);
  if (panel.yLabel) element("text", { transform: `translate(${box.x + 11} ${top + h / 2}) rotate(-90)`, "text-anchor": "middle", ...words }, svg, panel.yLabel);
  for (const level of panel.levels ?? []) {
    element("path", { d: `M${left} ${y(level.y).toFixed(1)}h${w}`, stroke: "currentColor", "stroke-opacity": 0.6, "stroke-width": 0.8, "stroke-dasharray": "4 3" }, svg);
    if (level.text) level.text.split(/ (?=\S+$)/).forEach((t, i) => element("text", { x: left + w + 5, y: y(level.y) + 1 + 10 * i, ...words, "font-size": 9.5, opacity: 0.8 }, svg, t));
  }
  const tails = [];
  (svg.spots ??= []).push({ box, panel, left, top, w, h, x, y, xs, low, high, x0, x1, text: yt.text });
  for (const line of panel.lines) {
    const [a, b] = line.in ?? [panel.low, panel.high], at = (share) => y(Math.min(high, Math.max(low, a + (b - a) * share)));
    const group = element("g", { fill: "none", stroke: line.c, "stroke-linecap": "round", "stroke-linejoin": "round" }, svg);
    if (line.v !== undefined) group.setAttribute("class", "v" + line.v);
    if (line.n) element("title", {}, group, line.n);
    if (line.f) group.setAttribute("opacity", 0.3);
    if (line.d) group.setAttribute("stroke-dasharray", "3 2");
    const path = (text) => {
      let d = "", up = true;
      decode(text).forEach((share, i) => {
        if (share === null) { up = true; return; }
        d += `${up ? "M" : "L"}${x(xs[i]).toFixed(1)} ${at(share).toFixed(1)}`;
        up = false;
      });
      return d;
    };
    if (line.px) {
      const py = decode(line.py);
      const [c, d0] = [panel.xLow ?? 0, (panel.xHigh ?? 1) - (panel.xLow ?? 0)];
      const d = decode(line.px).map((s, i) => s === null || py[i] === null ? "" : `M${x(c + d0 * s).toFixed(1)} ${at(py[i]).toFixed(1)}${DOT}`).join("");
      element("path", { d, fill: line.c, "fill-opacity": 0.45, stroke: "none" }, group);
      continue;
    }
    for (const seed of line.s ?? []) element("path", { d: path(seed), "stroke-width": line.y ? 0.8 : 1.3, "stroke-opacity": line.y ? 0.5 : 1 }, group);
    if (line.b) {
      const [bottom, ceiling] = line.b.map(decode);
      const there = xs.map((_, i) => i).filter((i) => bottom[i] !== null && ceiling[i] !== null);
      const edge = (values, order) => order.map((i) => `${x(xs[i]).toFixed(1)} ${at(values[i]).toFixed(1)}`).join("L");
      if (there.length) element("path", { d: `M${edge(bottom, there)}L${edge(ceiling, [...there].reverse())}z`, fill: line.c, "fill-opacity": 0.16, stroke: "none" }, group);
    }
    if (line.y) element("path", { d: path(line.y), "stroke-width": line.f ? 1.3 : 2.1 }, group);
    const main = decode(line.y ?? line.s?.[0] ?? ""), end = main.findLastIndex((s) => s !== null);
    if (end < 0) continue;
    if (line.m) element("path", { d: SHAPES[line.m] ?? SHAPES.o, transform: `translate(${x(xs[end]).toFixed(1)} ${at(main[end]).toFixed(1)})`, fill: line.c, stroke: "none" }, group);
    if (named.includes(line)) tails.push([at(main[end]), line]);
  }
  let previous = Infinity;
  for (const [height, line] of tails.sort((p, q) => q[0] - p[0])) {
    previous = Math.min(height, previous - 11);
    element("text", { x: left + w + 6, y: previous + 3, fill: line.c, "font-size": 10 }, svg, line.n.length > 12 ? line.n.slice(0, 11) + "…" : line.n);
  }
  for (const mark of panel.marks ?? []) {
    const at = x(mark.x), place = top + h * (1 - (mark.y ?? 0));
    const group = element("g", mark.v === undefined ? {} : { class: "v" + mark.v }, svg);
    if (mark.k === "stop") {
      element("path", { d: `M${at.toFixed(1)} ${top}v${h}`, stroke: mark.c, "stroke-width": 1.4, "stroke-dasharray": "4 2" }, group);
      if (mark.text) element("text", { transform: `translate(${(at - 3).toFixed(1)} ${top + 4}) rotate(-90)`, "text-anchor": "end", "font-size": 9, fill: mark.c }, group, mark.text);
    } else {
      const d = mark.k === "x" ? "m-3-3 6 6m0-6-6 6" : "m0-6v12";
      element("path", { d: `M${at.toFixed(1)} ${place.toFixed(1)}${d}`, fill: "none", stroke: mark.k === "x" ? "#d1242f" : "currentColor", "stroke-width": 1.6 }, group);
    }
  }
}
const blank = (chart, width, height) => {
  const svg = document.createElementNS(NS, "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("xmlns", NS);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", chart.title);
  return svg;
};
const LAYOUTS = {
  // Small panels in as many columns as fit; those of hidden variants leave no hole.
  multiples(chart, width) {
    const panels = chart.panels.filter((p) => shown(p.v)), gutter = 38, paper = width === PAPER;
    const high = (panels.some((p) => p.title?.includes("\n")) ? 150 : 124) - (paper ? 28 : 0);
    const n = Math.max(1, Math.min(panels.length, Math.floor((width - gutter) / (paper ? 130 : 165)))), w = (width - gutter) / n;
    const rows = Math.max(1, Math.ceil(panels.length / n));
    const svg = blank(chart, width, rows * high + 34);
    panels.forEach((panel, k) => {
      const below = k + n >= panels.length, at = { x: gutter + (k % n) * w, y: Math.floor(k / n) * high, w, h: high };
      drawPanel(svg, panel, { ...at, small: true, shared: { first: k % n === 0, last: below } }, false);
    });
    element("text", { x: gutter + 4, y: rows * high + 30, fill: "currentColor", "font-size": 11 }, svg, panels[0]?.xLabel ?? "");
    return svg;
  },
  // A row per variant; where there is little room its name stands above it.
  forest(chart, width) {
    const panel = chart.panels[0], rows = panel.lines.filter((l) => shown(l.v)), narrow = width < 620;
    const longest = Math.max(0, ...rows.map((r) => r.n.length)), texts = Math.max(0, ...rows.map((r) => r.text.length)) * 6.3 + 14;
    const gutter = narrow ? 8 : Math.min(0.3 * width, 6.9 * longest + 26), right = narrow ? 10 : texts;
    const step = (narrow ? 38 : 22) + Math.max(0, 24 - 3 * rows.length), top = 4, w = width - gutter - right, h = rows.length * step;
    const svg = blank(chart, width, top + h + 38);
    const x = (v) => gutter + (w * (v - panel.low)) / (panel.high - panel.low), place = (share) => gutter + w * share;
    const scale = ticks(panel.low, panel.high, Math.max(2, Math.min(8, w / 70)), false), words = { fill: "currentColor", "font-size": 11.5 };
    element("path", { d: scale.at.map((t) => `M${x(t).toFixed(1)} ${top}v${h}`).join(""), stroke: "currentColor", "stroke-opacity": 0.14, "stroke-width": 0.6 }, svg);
    for (const t of scale.at) element("text", { x: x(t), y: top + h + 15, "text-anchor": "middle", ...words, "font-size": 10.5 }, svg, scale.text(t));
    element("path", { d: `M${x(0).toFixed(1)} ${top}v${h}`, stroke: "currentColor", "stroke-width": 1 }, svg);
    element("text", { x: Math.max(gutter, width - right - 8 * panel.xLabel.length) < gutter + 1 ? 2 : gutter, y: top + h + 32, ...words }, svg, panel.xLabel);
    svg.rows = rows.map((line, k) => {
      const y = top + step * (narrow ? k + 0.74 : k + 0.5), group = element("g", { class: "v" + line.v, "data-follow": line.v }, svg);
      element("rect", { x: 0, y: top + step * k, width, height: step, fill: "transparent" }, group);
      const room = narrow ? width - 8.5 * line.text.length : gutter - 24, most = Math.floor(room / 6.6);
      const name = line.n.length > most ? line.n.slice(0, most - 1) + "…" : line.n, base = narrow ? top + step * k + 13 : y + 4;
      element("path", { d: SHAPES[line.m] ?? SHAPES.o, transform: `translate(8 ${base - 4})`, fill: line.c }, group);
      element("text", { x: 18, y: base, ...words, "font-weight": line.strong ? 700 : 400 }, group, name);
      element("text", { x: width - 2, y: base, "text-anchor": "end", ...words, "font-size": 11, "font-variant-numeric": "tabular-nums" }, group, line.text);
      const apart = Math.min(8, 0.2 * step), seeds = decode(line.dots);
      const dots = seeds.map((s, i) => s === null ? "" : `M${place(s).toFixed(1)} ${(y + apart * ((i + 0.5) / seeds.length - 0.5) * 2).toFixed(1)}${DOT}`).join("");
      element("path", { d: dots, fill: line.c, "fill-opacity": 0.6 }, group);
      const [mean, low, high] = decode(line.row);
      if (low !== null && high !== null) element("path", { d: `M${place(low).toFixed(1)} ${y}H${place(high).toFixed(1)}`, stroke: line.c, "stroke-width": 2.4, "stroke-linecap": "round" }, group);
      if (mean !== null) element("path", { d: SHAPES[line.m] ?? SHAPES.o, transform: `translate(${place(mean).toFixed(1)} ${y}) scale(1.35)`, fill: line.c }, group);
      return { line, top: top + step * k, bottom: top + step * (k + 1), panel };
    });
    return svg;
  },
  "": (chart, _, ends) => {
    const [width, height] = size(chart), svg = blank(chart, width, height);
    chart.panels.forEach((panel, k) => {
      const n = chart.columns, small = n > 1;
      const box = small ? { x: (k % n) * (width / n), y: Math.floor(k / n) * 150, w: width / n, h: 150, small }
        : { x: 0, y: k * (height / chart.panels.length), w: width, h: height / chart.panels.length, small };
      drawPanel(svg, panel, box, ends && !small);
    });
    return svg;
  },
};
const PAPER = 700; // of an A4 page, in pixels
function drawFigure(figure, width) {
  const chart = CHARTS[figure.dataset.chart];
  if (!chart || figure.querySelector("svg")) return;
  const svg = LAYOUTS[chart.kind](chart, Math.max(280, typeof width === "number" ? width : figure.clientWidth), figure.dataset.ends === "1");
  if (figure.firstElementChild?.tagName === "FIGCAPTION") figure.firstElementChild.after(svg); else figure.prepend(svg);
  figure.classList.add("drawn");
  if (chart.columns === 1 && !chart.kind && !chart.panels[0].title) element("title", {}, svg, chart.title);
  mark(svg);
}
// Hide in what was drawn what the reader hides, and follow what he follows.
function mark(root) {
  for (const variant of hidden) for (const part of root.querySelectorAll(".v" + variant)) part.style.display = "none";
  if (followed !== null) for (const part of root.querySelectorAll(".v" + followed)) part.classList.add("lit");
}
const figures = () => [...document.querySelectorAll("figure.chart")];
const flows = (figure) => (CHARTS[figure.dataset.chart]?.kind ?? "") !== "";
// What depends on the room or on who is hidden is drawn again.
function redraw(width) {
  for (const figure of figures().filter(flows)) {
    if (!figure.querySelector("svg")) continue;
    figure.querySelector("svg").remove();
    drawFigure(figure, width);
  }
}
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) { seen.unobserve(entry.target); drawFigure(entry.target); }
}, { rootMargin: "300px" });
for (const figure of figures()) {
  const chart = CHARTS[figure.dataset.chart];
  if (!chart) continue;
  if (chart.kind) figure.style.minHeight = "12rem"; else figure.style.aspectRatio = size(chart).join("/");
  seen.observe(figure);
}
let wide = innerWidth;
addEventListener("resize", () => { if (innerWidth !== wide) { wide = innerWidth; redraw(); } });
addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details.printed")) folded.open = true;
  redraw(PAPER);
  for (const figure of figures()) if (!figure.closest("details:not([open])")) drawFigure(figure, PAPER);
});
addEventListener("afterprint", () => redraw());
