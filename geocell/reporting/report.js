// The map of a report in three layers: answers with their arcs, shares by country, cells by count. Then sortable tables.
let layer = "answers", cells = [], chosen = null;
const shapes = data.cells.map(rings => outline(rings));
const ways = [];
for (let i = 0; i < data.ways.length; i += 4) ways.push(data.ways.slice(i, i + 4).map(v => v / data.units));
const classOf = km => { const k = data.ends.findIndex(end => km <= end); return k < 0 ? data.ends.length : k; };
const radians = d => d * Math.PI / 180;
function arc([lat, lon, lat2, lon2]) {  // x, y along the shortest way; x goes on past ±180°
  const unit = (a, o) => [Math.cos(radians(a)) * Math.cos(radians(o)), Math.cos(radians(a)) * Math.sin(radians(o)), Math.sin(radians(a))];
  const u = unit(lat, lon), v = unit(lat2, lon2), angle = Math.acos(Math.max(-1, Math.min(1, u[0] * v[0] + u[1] * v[1] + u[2] * v[2])));
  const n = Math.max(1, Math.ceil(angle * EARTH_KM / 200)), points = [];
  for (let i = 0; i <= n; i++) {
    const a = Math.sin((1 - i / n) * angle), b = Math.sin(i / n * angle), s = Math.sin(angle);
    const p = s < 1e-9 ? (i < n ? u : v) : u.map((x, k) => (a * x + b * v[k]) / s);
    let x = Math.atan2(p[1], p[0]) * 180 / Math.PI;
    if (i) x += 360 * Math.round((points[i - 1][0] - x) / 360);
    points.push([x, mercator(Math.asin(Math.max(-1, Math.min(1, p[2]))) * 180 / Math.PI)]);
  }
  return points;
}
function trace(path, points) { points.forEach(([x, y], i) => i ? path.lineTo(x, y) : path.moveTo(x, y)); return path; }
const arcs = [...Array(data.ends.length + 1)].map(() => new Path2D());
ways.forEach((w, i) => trace(arcs[classOf(data.km[i])], arc(w)));
let tones = [];
const css = name => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const size = () => Math.max(2.2, Math.min(5, 60 / Math.sqrt(ways.length)));

const counted = data.range !== null;  // else nothing is known of training locations
const [low, high] = (data.range || [1, 2]).map(Math.log);
const fullness = count => !counted ? 0.6 : (Math.log(Math.max(count, 1)) - low) / (high - low || 1);
function recolour() {
  tones = [0, 1, 2, 3].map(k => css("error-" + k));
  shapes.forEach((c, i) => { c.fill = mix(fullness(data.counts[i])); });
  countries.forEach((c, i) => { const of = data.by_country[data.codes[i]]; c.fill = of ? mix(of[2]) : null; });
}
function paintCells(seen, pixel) {
  if (layer === "countries") for (const c of countries) if (c.fill && seen(c)) { pen.fillStyle = c.fill; pen.fill(c.path, "evenodd"); }
  if (layer !== "cells") return;
  pen.strokeStyle = theme.edge; pen.lineWidth = Math.min(0.8, 400 / shapes.length) * pixel;
  for (const c of shapes) if (c.box[0] < Infinity && seen(c)) { pen.fillStyle = c.fill; pen.fill(c.path, "evenodd"); pen.stroke(c.edge); }
}
const inView = (seen, lat, lon) => seen({box: [lon, mercator(lat), lon, mercator(lat)]});
function cross(lat, lon, r, pixel) {
  const y = mercator(lat), d = r * pixel;
  pen.moveTo(lon - d, y - d); pen.lineTo(lon + d, y + d); pen.moveTo(lon - d, y + d); pen.lineTo(lon + d, y - d);
}
function paintMarks(pixel, seen) {
  if (layer === "answers") {
    const r = size();
    pen.lineWidth = 1.1 * pixel; pen.globalAlpha = chosen ? 0.22 : ways.length > 400 ? 0.4 : 0.6;
    arcs.forEach((path, k) => { pen.strokeStyle = tones[k]; pen.stroke(path); });
    pen.globalAlpha = chosen ? 0.35 : 1;
    pen.strokeStyle = theme.ink; pen.lineWidth = 0.28 * r * pixel; pen.beginPath();
    for (const [, , lat, lon] of ways) if (inView(seen, lat, lon)) cross(lat, lon, 0.75 * r, pixel);
    pen.stroke();
    ways.forEach(([lat, lon], i) => { if (inView(seen, lat, lon)) dot(lat, lon, r, tones[classOf(data.km[i])], pixel); });
    pen.globalAlpha = 1;
    const shown = hovered >= 0 ? ways[hovered] : chosen;
    if (shown) {
      const path = trace(new Path2D(), arc(shown));
      pen.strokeStyle = theme.halo; pen.lineWidth = 5 * pixel; pen.stroke(path);
      pen.strokeStyle = css("accent"); pen.lineWidth = 2.4 * pixel; pen.stroke(path);
      pen.beginPath(); cross(shown[2], shown[3], 6, pixel); pen.strokeStyle = theme.ink; pen.lineWidth = 2.4 * pixel; pen.stroke();
      dot(shown[0], shown[1], 6.5, css("accent"), pixel);
    }
    return;
  }
  if (layer === "cells") data.centroids.forEach(([lat, lon], i) => {
    if (!data.cells[i].length && inView(seen, lat, lon)) dot(lat, lon, 3, shapes[i].fill, pixel);
  });
  if (hovered >= 0 && cells[hovered]) { pen.strokeStyle = css("accent"); pen.lineWidth = 2.4 * pixel; pen.stroke(cells[hovered].edge); }
}
const nearest = (x, y, points, most) => {
  let best = -1, least_ = most;
  points.forEach(([lat, lon], i) => {
    const [px, py] = pixelOf(lat, lon), d = Math.hypot(px - x, py - y);
    if (d < least_) { least_ = d; best = i; }
  });
  return best;
};
const inside = cellAt;
cellAt = (x, y) => layer === "answers" ? nearest(x, y, ways, 12) : layer === "cells" && !data.cells.some(c => c.length) ? nearest(x, y, data.centroids, 10) : inside(x, y);
function describe(i) {
  if (layer === "answers") {
    const [lat, lon, lat2, lon2] = ways[i];
    return [element("b", data.km[i].toLocaleString("en") + " km off"), element("small", "true " + coordinates(lat, lon)),
      document.createElement("br"), element("small", "answer " + coordinates(lat2, lon2))];
  }
  if (layer === "cells") {
    const n = data.counts[i];
    if (!counted) return [element("b", data.names[i])];
    return [element("b", data.names[i]), element("span", n.toLocaleString("en") + (n === 1 ? " training location" : " training locations"))];
  }
  const of = data.by_country[data.codes[i]];
  if (!of) return [];
  return [element("b", of[0]), element("span", (100 * of[2]).toFixed(1) + " % within 200 km"), document.createElement("br"),
    element("small", of[1].toLocaleString("en") + (of[1] === 1 ? " location" : " locations") + ", median " + of[3].toLocaleString("en") + " km")];
}
tapped = (x, y) => {  // an arc that is tapped stays
  if (layer !== "answers") return false;
  const i = nearest(x, y, ways, 16);
  chosen = i < 0 ? null : ways[i];
  draw();
  return false;
};
listens = () => document.activeElement === canvas;  // else keys scroll the page
wheels = e => e.ctrlKey || e.metaKey || document.activeElement === canvas;
keys.Escape = () => { chosen = null; hide(); draw(); };
margins = () => [16, 60, 26, 16];

function ticks(...texts) {
  $("ticks").replaceChildren(...texts.map(([at, text]) => { const e = element("span", text); e.style.left = 100 * at + "%"; return e; }));
}
function legend() {
  $("bar").hidden = $("ticks").hidden = layer === "cells" && !counted;
  $("classes").hidden = layer !== "answers"; $("shades").hidden = layer === "answers";
  if (layer === "countries") { $("what").textContent = "answers within 200 km, % of the locations of a country"; ticks([0, "0"], [0.5, "50"], [1, "100"]); }
  if (layer === "cells") {
    const part = data.cells.length < data.n_cells ? " (the " + data.cells.length.toLocaleString("en") + " fullest of " + data.n_cells.toLocaleString("en") + " cells)" : "";
    const known = counted ? "training locations in a cell" : "centroids of the cells; their training locations are not known";
    $("what").textContent = known + part;
    if (counted) ticks([0, data.range[0].toLocaleString("en")], [1, data.range[1].toLocaleString("en")]);
  }
}
function choose(name) {
  layer = name; hovered = -1; chosen = null; hide();
  cells = name === "cells" ? shapes : name === "countries" ? countries : [];
  for (const b of document.querySelectorAll("[data-layer]")) b.setAttribute("aria-pressed", b.dataset.layer === name);
  legend(); draw();
}
for (const b of document.querySelectorAll("[data-layer]")) b.onclick = () => choose(b.dataset.layer);
{
  const ends = data.ends, say = km => km.toLocaleString("en") + " km";
  const names = [...ends.map(km => "≤ " + say(km)), "> " + say(ends[ends.length - 1])];
  $("classes").append(element("span", "true place, by error:"), ...names.map((text, k) => {
    const key = element("span"), mark = element("i");
    mark.style.background = "var(--error-" + k + ")"; key.append(mark, text);
    return key;
  }));
  const key = element("span");
  key.append(element("i", undefined, "cross"), "answer"); $("classes").append(key);
}
for (const b of document.querySelectorAll("[data-way]")) b.onclick = () => {
  choose("answers");
  chosen = b.dataset.way.split(",").map(Number);
  const points = arc(chosen), xs = points.map(p => p[0]), ys = points.map(p => p[1]);
  const pad = 0.15 * Math.max(Math.max(...xs) - Math.min(...xs), Math.max(...ys) - Math.min(...ys)) + 0.05;
  $("map-section").scrollIntoView();
  canvas.focus({preventScroll: true});
  fly([Math.min(...xs) - pad, Math.min(...ys) - pad, Math.max(...xs) + pad, Math.max(...ys) + pad]);
};
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.firstElementChild.onclick = () => {
      const down = head.getAttribute("aria-sort") !== "descending" && column > 0 || head.getAttribute("aria-sort") === "ascending";
      heads.forEach(h => h.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = row => row.cells[column].dataset.v;
      const order = (a, b) => {
        const x = key(a), y = key(b);
        if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);  // none stands last
        const by = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
        return down ? -by : by;
      };
      table.tBodies[0].append(...[...table.tBodies[0].rows].sort(order));
    };
  });
}
window.addEventListener("beforeprint", () => home(true));  // the map of a page is lower
repaint = () => { recolour(); draw(); };
recolour(); choose("answers"); home(true);
document.documentElement.dataset.ready = "yes";
