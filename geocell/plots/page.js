"use strict";
// What every map page shares. The page itself defines cells, paintCells(seen, pixel), paintMarks(pixel) and
// describe(cell) -> elements, and calls home() at its end.
const data = JSON.parse(document.getElementById("data").textContent);
const canvas = document.getElementById("map"), pen = canvas.getContext("2d"), tip = document.getElementById("tip");
const SEA = "227, 235, 241", LAND = "#f7f5f0", COUNTRY = "#8d867a", EDGE = "#5b5f66";
const [south, west, north, east] = data.box;
// Degrees are stretched so that the middle latitude has its true shape; a map of the world is not stretched.
const stretch = east - west > 180 ? 1 : 1 / Math.max(0.1, Math.cos((south + north) / 2 * Math.PI / 180));

function outline(rings) {  // one path in map coordinates: x = longitude, y = -latitude * stretch
  const path = new Path2D(), box = [Infinity, Infinity, -Infinity, -Infinity];
  for (const ring of rings) {
    let x = 0, y = 0;
    for (let i = 0; i < ring.length; i += 2) {
      x += ring[i]; y += ring[i + 1];
      const px = x / data.units, py = -y / data.units * stretch;
      if (i) path.lineTo(px, py); else path.moveTo(px, py);
      box[0] = Math.min(box[0], px); box[1] = Math.min(box[1], py);
      box[2] = Math.max(box[2], px); box[3] = Math.max(box[3], py);
    }
    path.closePath();
  }
  return {path, box};
}

const ramp = data.colours.map(c => [1, 3, 5].map(i => parseInt(c.slice(i, i + 2), 16)));
function mix(share) {  // 0 … 1 -> a colour of the ramp
  const at = Math.min(1, Math.max(0, share)) * (ramp.length - 1);
  const i = Math.min(ramp.length - 2, Math.floor(at)), t = at - i;
  return "rgb(" + ramp[i].map((v, k) => Math.round(v + t * (ramp[i + 1][k] - v))).join(",") + ")";
}
const countries = data.countries.map(outline);
const sea = outline(data.land).path;
{
  const far = 1000, frame = new Path2D();
  frame.rect(-far, -far, 2 * far, 2 * far);
  frame.addPath(sea);
  sea.frame = frame;
}

let scale = 1, left = 0, top_ = 0, hovered = -1, waiting = false;  // pixel = (map - corner) * scale
const LEAST = () => 0.5 * Math.min(canvas.clientWidth / 360, canvas.clientHeight / 180);
function home() {
  const width = canvas.clientWidth, height = canvas.clientHeight;
  scale = 0.96 * Math.min(width / (east - west), height / ((north - south) * stretch));
  left = (west + east) / 2 - width / 2 / scale;
  top_ = -(south + north) / 2 * stretch - height / 2 / scale;
  draw();
}
function zoom(factor, x, y) {
  const next = Math.min(2e5, Math.max(LEAST(), scale * factor));
  left += x / scale - x / next; top_ += y / scale - y / next;
  scale = next; draw();
}
function draw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; paint(); });
}
function paint() {
  const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
  }
  const k = scale * ratio, pixel = 1 / scale;
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.fillStyle = "rgb(" + SEA + ")"; pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.setTransform(k, 0, 0, k, -left * k, -top_ * k);
  pen.lineJoin = "round";
  const seen = shape => shape.box[2] > left && shape.box[0] < left + width / scale
    && shape.box[3] > top_ && shape.box[1] < top_ + height / scale;
  const shownCountries = countries.filter(seen);
  pen.fillStyle = LAND;
  for (const c of shownCountries) pen.fill(c.path, "evenodd");
  paintCells(seen, pixel);
  pen.fillStyle = "rgba(" + SEA + ", .82)"; pen.fill(sea.frame, "evenodd");
  pen.strokeStyle = COUNTRY; pen.lineWidth = 0.8 * pixel;
  for (const c of shownCountries) pen.stroke(c.path);
  paintMarks(pixel);
}
function dot(lat, lon, radius, fill, pixel) {
  pen.beginPath(); pen.arc(lon, -lat * stretch, radius * pixel, 0, 7);
  pen.fillStyle = fill; pen.fill(); pen.strokeStyle = "#fff"; pen.lineWidth = 1.2 * pixel; pen.stroke();
}

function cellAt(x, y) {
  const px = left + x / scale, py = top_ + y / scale;
  pen.save(); pen.setTransform(1, 0, 0, 1, 0, 0);
  let found = -1;
  for (let i = 0; i < cells.length && found < 0; i++) {
    const b = cells[i].box;
    if (px >= b[0] && px <= b[2] && py >= b[1] && py <= b[3] && pen.isPointInPath(cells[i].path, px, py, "evenodd")) found = i;
  }
  pen.restore();
  return found;
}
function text(tag, words) { const e = document.createElement(tag); e.textContent = words; return e; }
function degrees(value, plus, minus) { return Math.abs(value).toFixed(3) + "°" + (value < 0 ? minus : plus); }
function show(x, y) {
  const found = cellAt(x, y);
  if (found !== hovered) { hovered = found; draw(); }
  if (found < 0) { tip.style.display = "none"; return; }
  tip.replaceChildren(...describe(found));
  tip.style.display = "block";
  const right = x + 16 + tip.offsetWidth > canvas.clientWidth, low_ = y + 16 + tip.offsetHeight > canvas.clientHeight;
  tip.style.left = Math.max(4, right ? x - 16 - tip.offsetWidth : x + 16) + "px";
  tip.style.top = Math.max(4, low_ ? y - 16 - tip.offsetHeight : y + 16) + "px";
}

const fingers = new Map();
canvas.addEventListener("pointerdown", e => {
  canvas.setPointerCapture(e.pointerId); fingers.set(e.pointerId, [e.offsetX, e.offsetY]); canvas.classList.add("moving");
});
for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, e => {
  fingers.delete(e.pointerId); if (!fingers.size) canvas.classList.remove("moving");
});
canvas.addEventListener("pointermove", e => {
  const before = fingers.get(e.pointerId), now = [e.offsetX, e.offsetY];
  if (!before) { show(...now); return; }
  const other = [...fingers].find(([id]) => id !== e.pointerId);
  if (other) {
    const far = p => Math.hypot(p[0] - other[1][0], p[1] - other[1][1]);
    zoom(far(now) / Math.max(1, far(before)), ...other[1]);
  } else { left -= (now[0] - before[0]) / scale; top_ -= (now[1] - before[1]) / scale; draw(); }
  fingers.set(e.pointerId, now); show(...now);
});
canvas.addEventListener("pointerleave", () => { hovered = -1; tip.style.display = "none"; draw(); });
canvas.addEventListener("wheel", e => {
  e.preventDefault(); zoom(Math.exp(-e.deltaY * (e.deltaMode ? 0.05 : 0.0018)), e.offsetX, e.offsetY); show(e.offsetX, e.offsetY);
}, {passive: false});
canvas.addEventListener("dblclick", e => zoom(2, e.offsetX, e.offsetY));
const middle = factor => zoom(factor, canvas.clientWidth / 2, canvas.clientHeight / 2);
document.getElementById("in").onclick = () => middle(1.6);
document.getElementById("out").onclick = () => middle(1 / 1.6);
document.getElementById("home").onclick = home;
window.addEventListener("keydown", e => {
  const step = 80 / scale;
  const moves = {ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step]};
  if (moves[e.key]) { left += moves[e.key][0]; top_ += moves[e.key][1]; draw(); }
  else if (e.key === "+" || e.key === "=") middle(1.6);
  else if (e.key === "-") middle(1 / 1.6);
  else if (e.key === "0") home();
});
new ResizeObserver(draw).observe(canvas);

document.getElementById("bar").style.background = "linear-gradient(to right, " + data.colours.join(",") + ")";
