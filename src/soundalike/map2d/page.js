"use strict";
// A map of sounds: points by WebGL2, labels and rings above them on a second canvas, and a list that says the same.
const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;

// ---- What is on the map

const unpack = (text, kind) => new kind(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
const n = data.n;
const X = Float32Array.from(unpack(data.x, Uint16Array), (v) => v / 65535);
const Y = Float32Array.from(unpack(data.y, Uint16Array), (v) => v / 65535);
const durations = unpack(data.durations, Float32Array);
const inFolder = unpack(data.in, Uint32Array);
const groupings = data.groups.map((g) => ({ ...g, of: unpack(g.of, Uint16Array) }));
for (const g of groupings) {
  g.rows = g.names.map(() => []);
  for (let i = 0; i < n; i++) g.rows[g.of[i]].push(i);
  g.at = g.rows.map(densest);
}
const address = (i) => data.roots[inFolder[i]] + (data.odd[i] ?? encodeURIComponent(data.names[i]));
const clock = (s) => (s < 60 ? `${s < 10 ? s.toFixed(1) : Math.round(s)} s` : `${Math.floor(s / 60)}:${String(Math.round(s % 60) % 60).padStart(2, "0")}`);

function densest(rows) {
  // where a group's name goes: the middle of its fullest corner of a coarse grid, of several the one nearest to its own middle
  const cells = new Map();
  for (const i of rows) {
    const key = Math.floor(X[i] * 24) * 32 + Math.floor(Y[i] * 24);
    (cells.get(key) ?? cells.set(key, []).get(key)).push(i);
  }
  const most = Math.max(...[...cells.values()].map((cell) => cell.length));
  const mean = (A, of) => of.reduce((sum, i) => sum + A[i], 0) / Math.max(of.length, 1);
  const away = ([x, y]) => Math.hypot(x - mean(X, rows), y - mean(Y, rows));
  const full = [...cells.values()].filter((cell) => cell.length === most).map((cell) => [mean(X, cell), mean(Y, cell)]);
  return full.reduce((a, b) => (away(b) < away(a) ? b : a), full[0] ?? [0.5, 0.5]);
}

const range = (A) => A.reduce(([low, high], v) => [Math.min(low, v), Math.max(high, v)], n ? [1, 0] : [0, 1]);
const [[lowX, highX], [lowY, highY]] = [range(X), range(Y)];
const [midX, midY, spanX, spanY] = [(lowX + highX) / 2, (lowY + highY) / 2, highX - lowX, highY - lowY];

// ---- State

const view = { x: 0.5, y: 0.5, scale: 1 }; // center in map units, pixels for one unit
let grouping = groupings[0], only = -1, found = null, hovered = -1, chosen = -1, dark = false, rows = [], listed = [];
const isShown = (i) => (only < 0 || grouping.of[i] === only) && (found === null || found[i] === 1);

// ---- Points (WebGL2)

const stage = $("stage"), canvas = $("points"), over = $("over"), pen = over.getContext("2d");
const gl = canvas.getContext("webgl2", { antialias: false, alpha: true, premultipliedAlpha: true });
let width = 1, height = 1, ratio = 1, program, where = {};

const VERTEX = `#version 300 es
in vec2 place; in vec4 look; uniform vec4 view; uniform float size; out vec4 color;
void main() {
  gl_Position = vec4((place - view.xy) * view.zw, 0.0, 1.0);
  gl_PointSize = size * (look.a > 0.5 ? 1.0 : 0.8);
  color = look;
}`;
const FRAGMENT = `#version 300 es
precision highp float; in vec4 color; out vec4 pixel; uniform float opacity; uniform float size;
void main() {
  float away = length(gl_PointCoord - 0.5) * size;
  float alpha = clamp(size * 0.5 - away, 0.0, 1.0) * opacity * color.a;
  pixel = vec4(color.rgb * alpha, alpha);
}`;

function startPoints() {
  if (!gl) {
    $("message").textContent = "This browser shows no WebGL2, so the points are missing; the list of sounds works.";
    $("message").hidden = false;
    return;
  }
  program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  gl.useProgram(program);
  for (const name of ["view", "size", "opacity"]) where[name] = gl.getUniformLocation(program, name);
  const places = new Float32Array(2 * n);
  for (let i = 0; i < n; i++) places.set([X[i], Y[i]], 2 * i);
  upload("place", places, 2, gl.FLOAT, false);
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
}

function upload(name, numbers, size, type, normalized) {
  where[name] ??= gl.createBuffer();
  gl.bindBuffer(gl.ARRAY_BUFFER, where[name]);
  gl.bufferData(gl.ARRAY_BUFFER, numbers, gl.DYNAMIC_DRAW);
  const at = gl.getAttribLocation(program, name);
  gl.enableVertexAttribArray(at);
  gl.vertexAttribPointer(at, size, type, normalized, 0, 0);
}

function paint() {
  if (gl) {
    const looks = new Uint8Array(4 * n), colors = grouping[dark ? "dark" : "light"];
    for (let i = 0; i < n; i++) {
      const shown = isShown(i);
      looks.set(shown ? colors[grouping.of[i]] : dark ? [90, 92, 104] : [150, 150, 156], 4 * i);
      looks[4 * i + 3] = shown ? 255 : 56;
    }
    upload("look", looks, 4, gl.UNSIGNED_BYTE, true);
  }
  draw();
}

const fitted = () => 0.88 * Math.min(width / Math.max(spanX, 0.05), height / Math.max(spanY, 0.05));
const pointSize = () => Math.min(18, Math.max(2.2, Math.min(9, 260 / Math.sqrt(n + 1)) * Math.pow(view.scale / fitted(), 0.45)));
const toScreen = (x, y) => [(x - view.x) * view.scale + width / 2, height / 2 - (y - view.y) * view.scale];
const toMap = (x, y) => [(x - width / 2) / view.scale + view.x, (height / 2 - y) / view.scale + view.y];

let asked = false;
function draw() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => { asked = false; drawPoints(); drawOver(); });
}

function drawPoints() {
  if (!gl) return;
  gl.viewport(0, 0, canvas.width, canvas.height);
  gl.clear(gl.COLOR_BUFFER_BIT);
  gl.uniform4f(where.view, view.x, view.y, (2 * view.scale) / width, (2 * view.scale) / height);
  gl.uniform1f(where.size, pointSize() * ratio);
  gl.uniform1f(where.opacity, n > 20000 ? 0.75 : 0.9);
  gl.drawArrays(gl.POINTS, 0, n);
}

// ---- Names and rings

function drawOver() {
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  const style = getComputedStyle(document.documentElement);
  const [ink, paper, accent] = ["--ink", "--paper", "--accent"].map((name) => style.getPropertyValue(name));
  for (const [i, color, wide] of [[hovered, ink, 1.5], [chosen, accent, 2.5]]) {
    if (i < 0) continue;
    const [x, y] = toScreen(X[i], Y[i]);
    pen.beginPath();
    pen.arc(x, y, pointSize() / 2 + 4, 0, 7);
    pen.lineWidth = wide;
    pen.strokeStyle = color;
    pen.stroke();
  }
  const boxes = [];
  const order = grouping.rows.map((_, g) => g).sort((a, b) => grouping.rows[b].length - grouping.rows[a].length);
  for (const g of order) {
    if (only >= 0 && g !== only) continue;
    const [x, y] = toScreen(...grouping.at[g]); // the name stands above the points that it is of
    label(grouping.names[g], x, y - pointSize() / 2 - 12, 600, 14, ink, paper, boxes, true);
  }
  if (rows.length <= 60) for (const i of rows) label(data.names[i], ...toScreen(X[i], Y[i]), 400, 11.5, ink, paper, boxes, false);
}

function label(text, x, y, weight, size, ink, paper, boxes, centered) {
  pen.font = `${weight} ${size}px system-ui, sans-serif`;
  const name = text.length > 34 ? text.slice(0, 33) + "…" : text, wide = pen.measureText(name).width;
  const left = centered ? x - wide / 2 : x + pointSize() / 2 + 6, box = [left - 4, y - size * 0.75, left + wide + 4, y + size * 0.75];
  if (boxes.some((b) => box[0] < b[2] && box[2] > b[0] && box[1] < b[3] && box[3] > b[1])) return;
  boxes.push(box);
  pen.textBaseline = "middle";
  pen.lineJoin = "round";
  pen.lineWidth = 4;
  pen.strokeStyle = paper;
  pen.strokeText(name, left, y);
  pen.fillStyle = ink;
  pen.fillText(name, left, y);
}

// ---- Which point is near: a grid of cells

const SIDE = Math.max(1, Math.min(512, Math.round(Math.sqrt(n / 2)))), starts = new Uint32Array(SIDE * SIDE + 1), cells = new Uint32Array(n);
const cellOf = (i) => Math.min(SIDE - 1, Math.floor(X[i] * SIDE)) * SIDE + Math.min(SIDE - 1, Math.floor(Y[i] * SIDE));
for (let i = 0; i < n; i++) starts[cellOf(i) + 1]++;
for (let c = 0; c < SIDE * SIDE; c++) starts[c + 1] += starts[c];
for (let i = 0, next = starts.slice(); i < n; i++) cells[next[cellOf(i)]++] = i;

function* within(x0, y0, x1, y1) {
  const cut = (v) => Math.max(0, Math.min(SIDE - 1, Math.floor(v * SIDE)));
  for (let cx = cut(x0); cx <= cut(x1); cx++)
    for (let cy = cut(y0); cy <= cut(y1); cy++)
      for (let k = starts[cx * SIDE + cy]; k < starts[cx * SIDE + cy + 1]; k++) {
        const i = cells[k];
        if (X[i] >= x0 && X[i] <= x1 && Y[i] >= y0 && Y[i] <= y1 && isShown(i)) yield i;
      }
}

function nearest(px, py) {
  const [x, y] = toMap(px, py), reach = Math.max(12, pointSize()) / view.scale;
  let best = -1, least = reach * reach;
  for (const i of within(x - reach, y - reach, x + reach, y + reach)) {
    const away = (X[i] - x) ** 2 + (Y[i] - y) ** 2;
    if (away < least) [best, least] = [i, away];
  }
  return best;
}

// ---- Moving about

function moved() {
  draw();
  clearTimeout(moved.later);
  moved.later = setTimeout(fillList, 90);
}

function zoomAt(px, py, factor) {
  const [x, y] = toMap(px, py);
  view.scale = Math.min(fitted() * 4000, Math.max(fitted() * 0.5, view.scale * factor));
  const [nx, ny] = toMap(px, py);
  view.x += x - nx;
  view.y += y - ny;
  moved();
}

function fly(x, y, scale) {
  const from = { ...view }, began = performance.now(), lasts = calm ? 1 : 320;
  const step = (now) => {
    const t = Math.min(1, Math.max(0, now - began) / lasts), ease = 1 - (1 - t) ** 3;
    view.x = from.x + (x - from.x) * ease;
    view.y = from.y + (y - from.y) * ease;
    view.scale = from.scale * (scale / from.scale) ** ease;
    moved();
    if (t < 1) requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}

const showAll = () => fly(midX, midY, fitted());

function resize() {
  const first = width === 1, before = fitted();
  ratio = Math.min(devicePixelRatio || 1, 2);
  width = stage.clientWidth;
  height = stage.clientHeight;
  for (const c of [canvas, over]) [c.width, c.height] = [width * ratio, height * ratio];
  if (first) [view.x, view.y, view.scale] = [midX, midY, fitted()];
  else view.scale *= fitted() / before;
  moved();
}

const pointers = new Map();
let travelled = 0;
over.addEventListener("pointerdown", (e) => { over.setPointerCapture(e.pointerId); pointers.set(e.pointerId, [e.offsetX, e.offsetY]); travelled = 0; });
over.addEventListener("pointermove", (e) => {
  const last = pointers.get(e.pointerId);
  if (!last) return hover(nearest(e.offsetX, e.offsetY), e.offsetX, e.offsetY);
  const others = [...pointers.entries()].filter(([id]) => id !== e.pointerId);
  if (others.length) {
    const [, [ox, oy]] = others[0];
    zoomAt(ox, oy, Math.hypot(e.offsetX - ox, e.offsetY - oy) / Math.max(1, Math.hypot(last[0] - ox, last[1] - oy)));
  } else {
    view.x -= (e.offsetX - last[0]) / view.scale;
    view.y += (e.offsetY - last[1]) / view.scale;
    moved();
  }
  travelled += Math.hypot(e.offsetX - last[0], e.offsetY - last[1]);
  if (travelled > 4) over.classList.add("grabbed");
  pointers.set(e.pointerId, [e.offsetX, e.offsetY]);
});
for (const name of ["pointerup", "pointercancel"])
  over.addEventListener(name, (e) => {
    pointers.delete(e.pointerId);
    over.classList.remove("grabbed");
    if (name === "pointerup" && travelled <= 4) choose(nearest(e.offsetX, e.offsetY), true);
  });
over.addEventListener("pointerleave", () => hover(-1));
over.addEventListener("wheel", (e) => { e.preventDefault(); hover(-1); zoomAt(e.offsetX, e.offsetY, Math.exp(-e.deltaY * (e.deltaMode ? 0.05 : 0.0016))); }, { passive: false });
over.addEventListener("dblclick", (e) => { const [x, y] = toMap(e.offsetX, e.offsetY); fly(x, y, Math.min(fitted() * 4000, view.scale * 2.5)); });
$("in").onclick = () => zoomAt(width / 2, height / 2, 1.6);
$("out").onclick = () => zoomAt(width / 2, height / 2, 1 / 1.6);
$("fit").onclick = showAll;
new ResizeObserver(resize).observe(stage);

// ---- Hearing

const audio = new Audio();
let playing = -1, touched = false;
addEventListener("pointerdown", () => { touched = true; }, { once: true });
addEventListener("keydown", () => { touched = true; }, { once: true });

function play(i) {
  if (i !== playing) { playing = i; audio.src = address(i); }
  audio.currentTime = 0;
  $("now").classList.remove("failed");
  $("now").firstChild.textContent = data.names[i];
  $("now").lastChild.textContent = data.folders[inFolder[i]];
  $("now").title = `${data.folders[inFolder[i]]}/${data.names[i]}`;
  audio.play().catch((error) => { if (error.name === "NotSupportedError") failed(); });
}

function failed() {
  $("now").classList.add("failed");
  $("now").lastChild.textContent = "This browser cannot play it. Was it moved, or is its format rare?";
}

audio.onerror = () => { if (playing >= 0) failed(); };
audio.onplay = audio.onpause = () => { $("play").textContent = audio.paused ? "▶" : "❚❚"; $("play").ariaLabel = audio.paused ? "Play" : "Pause"; };
audio.ontimeupdate = () => {
  const whole = audio.duration || durations[playing] || 1;
  $("time").textContent = `${clock(audio.currentTime)} / ${clock(whole)}`;
  $("bar").firstChild.style.width = `${(100 * audio.currentTime) / whole}%`;
};
$("bar").onclick = (e) => { if (audio.duration) audio.currentTime = (e.offsetX / $("bar").clientWidth) * audio.duration; };
const toggle = () => (playing < 0 ? (chosen >= 0 || listed.length) && choose(chosen >= 0 ? chosen : listed[0], true) : audio.paused ? audio.play() : audio.pause());
$("play").onclick = toggle;

function hover(i, px = 0, py = 0) {
  over.classList.toggle("pointing", i >= 0);
  const tip = $("tip");
  tip.hidden = i < 0;
  if (i >= 0) {
    tip.firstChild.textContent = data.names[i];
    tip.lastChild.textContent = `${clock(durations[i])} · ${groupings[0].names[groupings[0].of[i]]} · ${data.folders[inFolder[i]]}`;
    const x = Math.min(px + 16, width - tip.offsetWidth - 8), y = py + 18 + tip.offsetHeight > height ? py - tip.offsetHeight - 12 : py + 18;
    tip.style.transform = `translate(${x}px, ${y}px)`;
  }
  if (i === hovered) return;
  hovered = i;
  draw();
  clearTimeout(hover.later);
  if (i >= 0 && touched && $("hover").checked) hover.later = setTimeout(() => play(i), 120);
}

function choose(i, aloud, move = false) {
  chosen = i;
  if (i >= 0) {
    if (aloud) play(i);
    const [x, y] = toScreen(X[i], Y[i]);
    if (move && (x < 40 || y < 40 || x > width - 40 || y > height - 40)) fly(X[i], Y[i], view.scale);
  }
  markList();
  $(`sound-${i}`)?.scrollIntoView({ block: "nearest" });
  draw();
}

// ---- The list: what is in view, or what was searched for

const MOST = 200;

function fillList() {
  const [x0, y1] = toMap(0, 0), [x1, y0] = toMap(width, height);
  rows = [];
  for (const i of within(x0, y0, x1, y1)) rows.push(i);
  const all = found === null ? rows.slice() : [];
  if (found !== null) for (let i = 0; i < n; i++) if (isShown(i)) all.push(i);
  const away = (i) => (X[i] - view.x) ** 2 + (Y[i] - view.y) ** 2;
  if (found === null) all.sort((a, b) => away(a) - away(b));
  listed = all.slice(0, MOST);
  const colors = grouping[dark ? "dark" : "light"];
  $("list").replaceChildren(...listed.map((i) => entry(i, colors[grouping.of[i]])));
  $("list-title").textContent = found === null ? `In view: ${all.length.toLocaleString()}, from the middle` : `Found: ${all.length.toLocaleString()}`;
  $("more").textContent = all.length > MOST ? `${(all.length - MOST).toLocaleString()} more: zoom in, or search` : all.length ? "" : "No sound here";
  markList();
  draw();
}

function entry(i, color) {
  const row = document.createElement("div"), dot = document.createElement("i"), name = document.createElement("b");
  const time = document.createElement("small"), place = document.createElement("span");
  row.id = `sound-${i}`;
  row.role = "option";
  dot.style.background = `rgb(${color})`;
  name.textContent = data.names[i];
  time.textContent = clock(durations[i]);
  place.textContent = `${groupings[0].names[groupings[0].of[i]]} · ${data.folders[inFolder[i]].split(/[\\/]/).slice(-2).join("/")}`;
  row.append(dot, name, time, place);
  row.onclick = () => choose(i, true, true);
  return row;
}

function markList() {
  const list = $("list");
  for (const row of list.querySelectorAll('[aria-selected="true"]')) row.ariaSelected = "false";
  const row = chosen >= 0 ? $(`sound-${chosen}`) : null;
  list[row ? "setAttribute" : "removeAttribute"]("aria-activedescendant", row ? row.id : "");
  if (!row) return;
  row.ariaSelected = "true";
}

$("list").addEventListener("keydown", (e) => {
  const at = listed.indexOf(chosen), last = listed.length - 1;
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: last, PageDown: at + 10, PageUp: at - 10 }[e.key];
  if (to !== undefined && listed.length) { e.preventDefault(); choose(listed[Math.max(0, Math.min(last, to))], $("hover").checked, found !== null); }
  else if (e.key === "Enter" && at >= 0) choose(chosen, true, true);
});
$("search").addEventListener("input", () => {
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  found = null;
  if (words.length) {
    const inPath = data.folders.map((folder) => folder.toLowerCase());
    found = Uint8Array.from({ length: n }, (_, i) => {
      const name = data.names[i].toLowerCase(), folder = inPath[inFolder[i]];
      return words.every((word) => name.includes(word) || folder.includes(word)) ? 1 : 0;
    });
  }
  paint();
  fillList();
  $("list").scrollTop = 0;
  $("said").textContent = $("list-title").textContent;
});
$("search").addEventListener("keydown", (e) => { if (e.key === "ArrowDown" || e.key === "Enter") { e.preventDefault(); $("list").focus(); if (listed.length) choose(listed[0], e.key === "Enter", true); } });

// ---- Groups, theme, keys

function showLegend() {
  const colors = grouping[dark ? "dark" : "light"];
  $("legend").replaceChildren(...grouping.names.map((name, g) => {
    const button = document.createElement("button"), dot = document.createElement("i"), text = document.createElement("span"), count = document.createElement("small");
    button.type = "button";
    button.ariaPressed = String(g === only);
    dot.style.background = `rgb(${colors[g]})`;
    text.textContent = name;
    count.textContent = grouping.rows[g].length.toLocaleString();
    button.append(dot, text, count);
    button.onclick = () => { only = only === g ? -1 : g; showLegend(); paint(); fillList(); };
    return button;
  }));
}

function colorBy(g) {
  grouping = groupings[g];
  only = -1;
  ["by-cluster", "by-folder"].forEach((id, k) => { $(id).ariaPressed = String(k === g); });
  showLegend();
  paint();
  fillList();
}

function setTheme(value) {
  dark = value;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  showLegend();
  paint();
  fillList();
}

$("by-cluster").onclick = () => colorBy(0);
$("by-folder").onclick = () => colorBy(1);
$("theme").onclick = () => setTheme(!dark);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (e) => setTheme(e.matches));
addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  if (e.key === "Escape") {
    $("search").value = "";
    $("search").dispatchEvent(new Event("input"));
    only = -1;
    audio.pause();
    showLegend();
    return paint();
  }
  if (e.target.id === "search") return;
  const act = { "/": () => $("search").focus(), "+": $("in").onclick, "=": $("in").onclick, "-": $("out").onclick, 0: showAll }[e.key];
  if (act) { e.preventDefault(); act(); }
  else if (e.key === " " && e.target.tagName !== "BUTTON" && e.target.type !== "checkbox") { e.preventDefault(); toggle(); }
});

document.querySelector("h1").textContent = data.title;
$("count").textContent = `${n.toLocaleString()} sounds in ${groupings[0].names.length.toLocaleString()} clusters`;
startPoints();
resize();
setTheme(matchMedia("(prefers-color-scheme: dark)").matches);
