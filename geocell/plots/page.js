"use strict";
// What every map page shares: a Web Mercator map on a canvas that repeats itself across ±180°. The page itself defines
// cells, paintCells(seen, pixel), paintMarks(pixel, seen), describe(cell) -> elements and resized(), and calls home() at its end.
const data = JSON.parse(document.getElementById("data").textContent);
const canvas = document.getElementById("map"), pen = canvas.getContext("2d"), tip = document.getElementById("tip");
const $ = id => document.getElementById(id);
const EARTH_KM = 6371.0088, NORTHMOST = 85;

// Map coordinates: x = degrees of longitude, y = Mercator in the same unit, southwards.
const mercator = lat => {
  const phi = Math.max(-NORTHMOST, Math.min(NORTHMOST, lat)) * Math.PI / 180;
  return -Math.log(Math.tan(Math.PI / 4 + phi / 2)) * 180 / Math.PI;
};
const latitude = y => (2 * Math.atan(Math.exp(-y * Math.PI / 180)) - Math.PI / 2) * 180 / Math.PI;

const theme = {}, dark = matchMedia("(prefers-color-scheme: dark)");
let shade = () => 1;  // share 0 … 1 -> how opaque a cell is drawn
let ramp = [];  // from few to many: towards dark on a light map, towards light on a dark one
function readTheme() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["sea", "land", "border", "edge", "ink", "label", "halo"]) theme[name] = style.getPropertyValue("--" + name).trim();
  ramp = data.colours.map(c => [1, 3, 5].map(i => parseInt(c.slice(i, i + 2), 16)));
  if (dark.matches) ramp.reverse();
  const stops = [...Array(13)].map((_, i) => mix(i / 12, shade(i / 12)));
  $("bar").style.background = "linear-gradient(to right, " + stops.join(",") + ")";
}
function mix(share, opacity = 1) {  // 0 … 1 -> a colour of the ramp
  const at = Math.min(1, Math.max(0, share)) * (ramp.length - 1);
  const i = Math.min(ramp.length - 2, Math.floor(at)), t = at - i;
  return "rgba(" + ramp[i].map((v, k) => Math.round(v + t * (ramp[i + 1][k] - v))).join(",") + "," + opacity + ")";
}
readTheme();
dark.addEventListener("change", () => { readTheme(); repaint(); });
let repaint = () => draw();  // when the colours have changed

function outline(rings, closed = true) {  // rings of x, y of the first corner and then steps, in whole numbers
  const path = new Path2D(), edge = new Path2D(), box = [Infinity, Infinity, -Infinity, -Infinity];
  for (const ring of rings) {
    let lon = 0, lat = 0, before = NaN, first = [];
    const to = (x, y) => {  // an edge along ±180° is a cut, and no border
      if (x === before && Math.abs(x) === 180) edge.moveTo(x, y); else edge.lineTo(x, y);
      before = x;
    };
    for (let i = 0; i < ring.length; i += 2) {
      lon += ring[i]; lat += ring[i + 1];
      const x = lon / data.units, y = mercator(lat / data.units);
      if (i) path.lineTo(x, y); else { path.moveTo(x, y); edge.moveTo(x, y); first = [x, y]; }
      if (i) to(x, y); else before = x;
      box[0] = Math.min(box[0], x); box[1] = Math.min(box[1], y);
      box[2] = Math.max(box[2], x); box[3] = Math.max(box[3], y);
    }
    if (closed && ring.length) { path.closePath(); to(...first); }
  }
  return {path, edge, box};
}

const countries = data.countries.map(rings => outline(rings));

let scale = 1, left = 0, top_ = 0, hovered = -1, waiting = false, flight = 0;  // pixel = (map - corner) * scale
let margins = () => [16, 16, 16, 16];  // top, right, bottom, left: what panels cover, in pixels
const width = () => canvas.clientWidth, height = () => canvas.clientHeight;
const least = () => width() / 720;
const pixelOf = (lat, lon) => {  // of the copy of a point that is nearest to the middle
  const middle = left + width() / 2 / scale;
  return [(lon + 360 * Math.round((middle - lon) / 360) - left) * scale, (mercator(lat) - top_) * scale];
};

function framed(box) {  // the view in which a box fills what panels leave free
  const [t, r, b, l] = margins(), w = Math.max(80, width() - l - r), h = Math.max(80, height() - t - b);
  const next = Math.min(2e5, Math.max(least(), Math.min(w / (box[2] - box[0]), h / (box[3] - box[1]))));
  const x = (box[0] + box[2]) / 2, y = (box[1] + box[3]) / 2;
  return {scale: next, left: x - (l + w / 2) / next, top: y - (t + h / 2) / next};
}
function fly(box, at_once) {  // smoothly, unless the reader asked for less motion
  const to = framed(box);
  const from = {scale, left, top: top_}, number = ++flight;
  const aim = [to.left + width() / 2 / to.scale, to.top + height() / 2 / to.scale];
  const start = [from.left + width() / 2 / from.scale, from.top + height() / 2 / from.scale];
  aim[0] += 360 * Math.round((start[0] - aim[0]) / 360);  // the shorter way round
  const set = t => {
    scale = from.scale * (to.scale / from.scale) ** t;
    // the middle moves with the size of the view, so that the aim stays in sight
    const s = Math.abs(to.scale / from.scale - 1) < 1e-3 ? t : (1 / from.scale - 1 / scale) / (1 / from.scale - 1 / to.scale);
    left = start[0] + s * (aim[0] - start[0]) - width() / 2 / scale;
    top_ = start[1] + s * (aim[1] - start[1]) - height() / 2 / scale;
    draw();
  };
  if (at_once || document.hidden || matchMedia("(prefers-reduced-motion: reduce)").matches) { set(1); return; }
  const begin = performance.now(), lasts = 650;
  const step = now => {
    if (number !== flight) return;  // another flight, or a hand, took over
    const t = Math.min(1, Math.max(0, (now - begin) / lasts));
    set(t < 0.5 ? 4 * t ** 3 : 1 - (2 - 2 * t) ** 3 / 2);
    if (t < 1) requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}
const boxOf = ([south, west, north, east]) => [west, mercator(north), east, mercator(south)];
let home = at_once => fly(boxOf(data.box), at_once);
function zoom(factor, x, y) {
  flight++;
  const next = Math.min(2e5, Math.max(least(), scale * factor));
  left += x / scale - x / next; top_ += y / scale - y / next;
  scale = next; draw();
}
function move(dx, dy) { flight++; left -= dx / scale; top_ -= dy / scale; draw(); }
function draw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; paint(); });
}

let coast = null;  // the sea alone, over cells that reach into it
function paintSea(copies, place, seen) {
  coast = coast || document.createElement("canvas");
  if (coast.width !== canvas.width || coast.height !== canvas.height) { coast.width = canvas.width; coast.height = canvas.height; }
  const brush = coast.getContext("2d");
  brush.setTransform(1, 0, 0, 1, 0, 0);
  brush.globalCompositeOperation = "source-over";
  brush.fillStyle = theme.sea; brush.fillRect(0, 0, coast.width, coast.height);
  brush.globalCompositeOperation = "destination-out";
  for (const shift of copies) { place(brush, shift); for (const c of countries) if (seen(c)) brush.fill(c.path, "evenodd"); }
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.globalAlpha = 0.6; pen.drawImage(coast, 0, 0); pen.globalAlpha = 1;
}
function paint() {
  const ratio = window.devicePixelRatio || 1, w = width(), h = height();
  if (!w || !h) return;  // in a frame that is not shown yet
  if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) {
    canvas.width = Math.round(w * ratio); canvas.height = Math.round(h * ratio);
  }
  const rim = mercator(-NORTHMOST);  // no view beyond the edge of the map, and one turn of the earth
  if (h / scale < 2 * rim) top_ = Math.min(rim - h / scale, Math.max(-rim, top_)); else top_ = -h / 2 / scale;
  left -= 360 * Math.round((left + w / 2 / scale) / 360);
  const k = scale * ratio, pixel = 1 / scale;
  const copies = [];  // of the earth; a shape may reach 180° beyond its edges
  for (let shift = 360 * Math.ceil((left - 360) / 360); shift <= left + w / scale + 360; shift += 360) copies.push(shift);
  let at = 0;
  const seen = shape => shape.box[2] + at > left && shape.box[0] + at < left + w / scale && shape.box[3] > top_ && shape.box[1] < top_ + h / scale;
  const place = (brush, shift) => { at = shift; brush.setTransform(k, 0, 0, k, (shift - left) * k, -top_ * k); };
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.fillStyle = theme.sea; pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.lineJoin = "round";
  for (const shift of copies) {
    place(pen, shift);
    pen.fillStyle = theme.land;
    for (const c of countries) if (seen(c)) pen.fill(c.path, "evenodd");
    paintCells(seen, pixel);
  }
  paintSea(copies, place, seen);
  for (const shift of copies) {
    place(pen, shift);
    pen.strokeStyle = theme.border; pen.lineWidth = 0.8 * pixel;
    for (const c of countries) if (seen(c)) pen.stroke(c.edge);
  }
  paintNames(ratio);
  for (const shift of copies) { place(pen, shift); paintMarks(pixel, seen); }
  paintScale();
}
function paintNames(ratio) {  // of countries that are large enough on the screen, none over another
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.font = "12px system-ui, 'DejaVu Sans', sans-serif"; pen.textAlign = "center"; pen.textBaseline = "middle";
  pen.lineWidth = 3; pen.strokeStyle = theme.halo; pen.fillStyle = theme.label;
  const taken = [];
  for (const [name, lat, lon, size] of data.names_of_countries || []) {
    if (size * scale < 46) continue;
    const [x, y] = pixelOf(lat, lon), half = pen.measureText(name).width / 2 + 4;
    if (x < -half || x > width() + half || y < 0 || y > height() || taken.some(b => Math.abs(b[0] - x) < b[2] + half && Math.abs(b[1] - y) < 18)) continue;
    taken.push([x, y, half]);
    pen.strokeText(name, x, y); pen.fillText(name, x, y);
  }
}
function paintScale() {  // true at the middle of the view
  const bar = $("scale");
  if (!bar) return;
  const lat = latitude(top_ + height() / 2 / scale);
  const perPixel = Math.PI / 180 * EARTH_KM * Math.cos(lat * Math.PI / 180) / scale, most = 150 * perPixel;
  const power = 10 ** Math.floor(Math.log10(most)), km = [5, 2, 1].find(n => n * power <= most) * power;
  bar.style.width = km / perPixel + "px";
  bar.textContent = km >= 1 ? km.toLocaleString("en") + " km" : Math.round(1000 * km) + " m";
}
function dot(lat, lon, radius, fill, pixel) {
  pen.beginPath(); pen.arc(lon, mercator(lat), radius * pixel, 0, 7);
  pen.fillStyle = fill; pen.fill(); pen.strokeStyle = "#fff"; pen.lineWidth = 1.5 * pixel; pen.stroke();
}

const styleColour = name => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
function stroked(path, width, style, pixel, dash = []) {
  pen.setLineDash([]); pen.strokeStyle = theme.halo; pen.lineWidth = (width + 2.4) * pixel; pen.stroke(path);
  pen.setLineDash(dash.map(d => d * pixel)); pen.strokeStyle = style; pen.lineWidth = width * pixel; pen.stroke(path);
  pen.setLineDash([]);
}
function star(lat, lon, pixel) {
  const y = mercator(lat);
  pen.beginPath();
  for (let i = 0; i < 10; i++) {
    const r = (i % 2 ? 4.6 : 10.5) * pixel, turn = i * Math.PI / 5;
    pen.lineTo(lon + r * Math.sin(turn), y - r * Math.cos(turn));
  }
  pen.closePath();
  pen.lineJoin = "round"; pen.strokeStyle = "#fff"; pen.lineWidth = 4 * pixel; pen.stroke();
  pen.fillStyle = styleColour("truth"); pen.fill(); pen.strokeStyle = "#222"; pen.lineWidth = 1.4 * pixel; pen.stroke();
}

function cellAt(x, y) {
  const py = top_ + y / scale;
  let px = left + x / scale;
  px -= 360 * Math.round(px / 360);
  pen.save(); pen.setTransform(1, 0, 0, 1, 0, 0);
  let found = -1;
  for (let i = 0; i < cells.length && found < 0; i++) {
    const b = cells[i].box;
    if (px >= b[0] && px <= b[2] && py >= b[1] && py <= b[3] && pen.isPointInPath(cells[i].path, px, py, "evenodd")) found = i;
  }
  pen.restore();
  return found;
}
function element(tag, words, name) {
  const e = document.createElement(tag);
  if (words !== undefined) e.textContent = words;
  if (name) e.className = name;
  return e;
}
function degrees(value, plus, minus) { return Math.abs(value).toFixed(3) + "°" + (value < 0 ? minus : plus); }
function coordinates(lat, lon) { return degrees(lat, "N", "S") + " " + degrees(lon, "E", "W"); }
function kilometres(km) { return (km < 9.95 ? km.toFixed(1) : Math.round(km).toLocaleString("en")) + " km"; }
function show(x, y) {
  const found = cellAt(x, y);
  if (found !== hovered) { hovered = found; draw(); }
  const lines = found < 0 ? [] : describe(found);
  if (!lines.length) { tip.style.display = "none"; return; }
  tip.replaceChildren(...lines);
  tip.style.display = "block";
  const right = x + 16 + tip.offsetWidth > width(), low = y + 16 + tip.offsetHeight > height();
  tip.style.left = Math.max(4, right ? x - 16 - tip.offsetWidth : x + 16) + "px";
  tip.style.top = Math.max(4, low ? y - 16 - tip.offsetHeight : y + 16) + "px";
}
function hide() { if (hovered >= 0) { hovered = -1; draw(); } tip.style.display = "none"; }

const fingers = new Map();
let travelled = 0;
let tapped = () => false;  // (x, y) -> whether a tap meant something to the page
canvas.addEventListener("pointerdown", e => {
  canvas.setPointerCapture(e.pointerId); fingers.set(e.pointerId, [e.offsetX, e.offsetY]); canvas.classList.add("moving");
  travelled = fingers.size > 1 ? Infinity : 0;
});
for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, e => {
  fingers.delete(e.pointerId); if (!fingers.size) canvas.classList.remove("moving");
  if (kind === "pointerup" && travelled < 6 && !fingers.size && !tapped(e.offsetX, e.offsetY)) show(e.offsetX, e.offsetY);
});
canvas.addEventListener("pointermove", e => {
  const before = fingers.get(e.pointerId), now = [e.offsetX, e.offsetY];
  if (!before) { show(...now); return; }
  const other = [...fingers].find(([id]) => id !== e.pointerId);
  travelled += Math.hypot(now[0] - before[0], now[1] - before[1]);
  if (other) {
    const far = p => Math.hypot(p[0] - other[1][0], p[1] - other[1][1]);
    zoom(far(now) / Math.max(1, far(before)), ...other[1]);
  } else if (travelled >= 6) move(now[0] - before[0], now[1] - before[1]);
  fingers.set(e.pointerId, now); hide();
});
canvas.addEventListener("pointerleave", hide);
let wheels = () => true;  // (event) -> whether a wheel over the map zooms it
canvas.addEventListener("wheel", e => {
  if (!wheels(e)) return;
  e.preventDefault(); zoom(Math.exp(-e.deltaY * (e.deltaMode ? 0.05 : 0.0018)), e.offsetX, e.offsetY); show(e.offsetX, e.offsetY);
}, {passive: false});
canvas.addEventListener("dblclick", e => zoom(2, e.offsetX, e.offsetY));
const middle = factor => {
  const [t, r, b, l] = margins();
  zoom(factor, (l + width() - r) / 2, (t + height() - b) / 2);
};
$("in").onclick = () => middle(1.6);
$("out").onclick = () => middle(1 / 1.6);
$("home").onclick = () => home();
const keys = {
  "+": () => middle(1.6), "=": () => middle(1.6), "-": () => middle(1 / 1.6), "0": () => home(), Escape: hide,
  ArrowLeft: () => move(80, 0), ArrowRight: () => move(-80, 0), ArrowUp: () => move(0, 80), ArrowDown: () => move(0, -80),
};
// Arrows move the map while it has the focus, and the list in the list.
let listens = key => !key.startsWith("Arrow") || [canvas, document.body].includes(document.activeElement);
window.addEventListener("keydown", e => {
  if (e.ctrlKey || e.metaKey || e.altKey || !keys[e.key] || !listens(e.key)) return;
  e.preventDefault(); keys[e.key](e);
});
let resized = () => {};  // what a page does about another size of its map: a turned phone, a resized window
let painted = [width(), height()];
function fit() {  // painted at once, in the frame of the new size: none shows the former picture stretched
  if (painted[0] !== width() || painted[1] !== height()) { painted = [width(), height()]; resized(); }
  paint();
}
new ResizeObserver(fit).observe(canvas);
