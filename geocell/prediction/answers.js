// The page of answers: the chosen one with its cells and areas, and the list of all.
shade = share => 0.3 + 0.55 * Math.sqrt(share);  // improbable cells let the map through
readTheme();
const cells = data.cells.map(rings => outline(rings));
const panel = $("panel"), narrow = matchMedia("(max-width: 640px)");
const NORTH = mercator(NORTHMOST);
function area(a) {  // a circle on the earth; around a pole it is a line from edge to edge of the map
  if (!a) return null;
  const line = outline([a.ring], !a.pole);
  if (!a.pole) return {...line, fill: line.path};
  const lon = i => a.ring.filter((_, k) => k % 2 === 0).slice(0, i).reduce((x, step) => x + step, 0) / data.units;
  const first = lon(1), last = lon(a.ring.length / 2), edge = a.pole > 0 ? NORTH : -NORTH, fill = new Path2D(line.path);
  fill.lineTo(last, edge); fill.lineTo(first, edge); fill.closePath();
  return {path: line.path, fill, box: [line.box[0], Math.min(line.box[1], edge), line.box[2], Math.max(line.box[3], edge)]};
}
const answers = data.answers.map(a => ({...a, areas: a.areas && a.areas.map(area), way: a.arc && outline(a.arc, false), of: new Map(a.cells)}));
const located = answers.map((a, i) => i).filter(i => !answers[i].problem || answers[i].cells.length);
let chosen = -1, shown = "50";
const percent = p => (100 * p).toFixed(1) + " %";

function paintCells(seen, pixel) {
  const answer = answers[chosen];
  if (!answer) return;
  const top = answer.cells[0][1];
  pen.fillStyle = styleColour("answer");
  [0.10, 0.05].forEach((opacity, k) => {
    const at = answer.areas[k];
    if (at && seen(at)) { pen.globalAlpha = opacity; pen.fill(at.fill); }
  });
  pen.globalAlpha = 1; pen.lineWidth = 0.8 * pixel; pen.strokeStyle = theme.edge;
  for (const [i, p] of answer.cells) if (seen(cells[i])) {
    pen.fillStyle = mix(p / top, shade(p / top)); pen.fill(cells[i].path, "evenodd"); pen.stroke(cells[i].edge);
  }
}
function paintMarks(pixel, seen) {
  const answer = answers[chosen];
  for (const k of located) if (k !== chosen) dot(answers[k].lat, answers[k].lon, 4, "#5b5f66", pixel);
  if (!answer) return;
  const top = answer.cells[0][1], mark = styleColour("answer");
  for (const [i, p] of answer.cells) if (!data.cells[i].length) dot(...data.centroids[i], 3 + 3 * p / top, mix(p / top), pixel);
  if (hovered >= 0 && answer.of.has(hovered)) stroked(cells[hovered].edge, 2, mark, pixel);
  answer.areas.forEach((at, k) => { if (at && seen(at)) stroked(at.path, 2, mark, pixel, k ? [8, 6] : []); });
  if (answer.truth) {
    stroked(answer.way.path, 1.6, theme.ink, pixel, [3, 4]);
    star(...answer.truth, pixel);
  }
  dot(answer.lat, answer.lon, 7.5, mark, pixel);
}
const cellTitle = i => data.places[i] || data.labels[i] || data.names[i];
function describe(found) {
  const answer = answers[chosen];
  if (!answer || !answer.of.has(found)) return [];
  const p = answer.of.get(found);
  return [element("b", cellTitle(found)), element("span", percent(p)), document.createElement("br"),
    element("small", data.names[found] + " · " + coordinates(...data.centroids[found]))];
}
tapped = (x, y) => {  // another answer's dot
  const near = k => { const [px, py] = pixelOf(answers[k].lat, answers[k].lon); return Math.hypot(px - x, py - y); };
  const best = located.filter(k => k !== chosen).sort((a, b) => near(a) - near(b))[0];
  if (best === undefined || near(best) > 14) return false;
  choose(best);
  return true;
};

margins = () => {
  const room = narrow.matches ? [44, 64, panel.offsetHeight + 20, 22] : [22, 70, 44, panel.offsetWidth + 34];
  return !narrow.matches && panel.classList.contains("folded") ? [22, 70, 44, 22] : room;
};
function frame(what, at_once) {
  shown = what;
  for (const button of document.querySelectorAll("[data-view]")) button.setAttribute("aria-pressed", button.dataset.view === what);
  fly(wider(boxOf(what === "all" ? data.box : answers[chosen].boxes[what])), at_once);
}
const wider = ([a, b, c, d], by = 0.12) => [a - by * (c - a), b - by * (d - b), c + by * (c - a), d + by * (d - b)];
home = at_once => frame("all", at_once);

function picture(source, name) {
  const image = element("img", undefined, name);
  image.alt = ""; image.src = "data:image/jpeg;base64," + source;
  return image;
}
const squareKilometres = area => Number(area.toPrecision(3)).toLocaleString("en") + " km²";
function title(a) { return a.place || coordinates(a.lat, a.lon); }
function segment(...buttons) {
  const box = element("div", undefined, "segment");
  box.append(...buttons);
  return box;
}
function viewButton(what, words, hint) {
  const button = element("button", words);
  button.dataset.view = what; button.title = hint; button.onclick = () => frame(what);
  return button;
}
function showNow(a) {
  const row = element("div", undefined, "row"), what = element("div", undefined, "what");
  if (a.thumbnails.length) {
    const thumbs = element("div", undefined, "thumbs");
    thumbs.append(...a.thumbnails.map((t, i) => picture(t, a.thumbnails.length > 1 ? "small" : "")));
    row.append(thumbs);
  }
  what.append(element("h2", title(a)));
  if (a.place) what.append(element("p", coordinates(a.lat, a.lon)));
  what.append(element("p", a.location, "peek-hidden"));
  if (a.truth) what.append(element("p", kilometres(a.away) + " from where it was taken", "truth"));
  row.append(what);
  const says = element("p", (a.calibrated ? "Half of such answers are within " : "Half of the head's probability lies within ")
    + kilometres(a.radii[0]) + " of " + (a.calibrated ? "the truth" : "this point") + ", 90 % within " + kilometres(a.radii[1]) + ".");
  const parts = [row, says];
  if (a.sets && a.km2[0] !== null) parts.push(element("p", "Cells with " + (a.sets === "mass" ? "half of the probability cover " : "the truth half of the time cover ")
    + squareKilometres(a.km2[0]) + ", with 90 % " + squareKilometres(a.km2[1]) + ".", "peek-hidden"));
  if (a.abstained) parts.push(element("p", "Withheld: less sure than asked for.", "doubt"));
  if (a.doubt) parts.push(element("p", "Doubtful: " + a.doubt + ".", "doubt"));
  if (a.problem) parts.push(element("p", a.problem + ".", "doubt peek-hidden"));
  const bar = element("div", undefined, "bar");
  const views = [viewButton("50", "50 %", "Show the area of half of the probability (1)"), viewButton("90", "90 %", "Show the area of 90 % (2)")];
  if (a.truth) views.push(viewButton("truth", "Truth", "Show the answer and the truth (3)"));
  if (located.length > 1) views.push(viewButton("all", "All", "Show all answers (0)"));
  bar.append(segment(...views));
  if (located.length > 1) {
    const step = (words, label, by) => {
      const button = element("button", words);
      button.setAttribute("aria-label", label); button.title = label; button.onclick = () => next(by);
      return button;
    };
    const steps = segment(step("‹", "Previous answer (p)", -1), step("›", "Next answer (n)", 1));
    steps.classList.add("steps");
    bar.append(steps);
  }
  $("now").replaceChildren(...parts, bar);
}
function showCells(a) {
  const top = a.cells[0][1];
  $("cells").replaceChildren(...a.cells.slice(0, a.named).map(([i, p]) => {
    const button = element("button"), line = element("div", undefined, "line"), share = element("div", undefined, "share"), fill = element("i");
    line.append(element("span", cellTitle(i)), element("span", percent(p)));
    fill.style.width = 100 * p + "%"; fill.style.background = mix(p / top, shade(p / top));
    share.append(fill); button.append(line, share);
    button.title = "Show cell " + data.names[i];
    button.onclick = () => { hovered = i; fly(data.cells[i].length ? cells[i].box : boxOf(around(data.centroids[i]))); };
    return button;
  }));
}
const around = ([lat, lon]) => [lat - 1, lon - 1.5, lat + 1, lon + 1.5];
const rows = answers.map((a, k) => {
  if (!located.includes(k)) {
    const row = element("div", undefined, "lost"), text = element("div", undefined, "text");
    text.append(element("b", a.location), element("small", "No answer: " + a.problem));
    row.append(element("div", undefined, "none"), text);
    return row;
  }
  const button = element("button"), text = element("div", undefined, "text");
  text.append(element("b", title(a)), element("small", a.location),
    element("small", "50 % within " + kilometres(a.radii[0]) + (a.truth ? " · off by " + kilometres(a.away) : "")));
  if (a.abstained) text.append(element("small", "withheld", "doubt"));
  if (a.doubt) text.append(element("small", "doubtful", "doubt"));
  button.append(a.thumbnails.length ? picture(a.thumbnails[0]) : element("div", undefined, "none"), text);
  button.onclick = () => choose(k);
  return button;
});
if (answers.length > 1) $("list").append(element("h3", located.length + " of " + answers.length + " located"), ...rows);
else if (!located.length) $("list").append(...rows);
function choose(k, at_once) {
  chosen = k; hovered = -1; hide();
  rows.forEach((row, i) => { if (located.includes(i)) row.setAttribute("aria-pressed", i === k); });
  rows[k].scrollIntoView({block: "nearest"});
  const a = answers[k];
  showNow(a); showCells(a);
  const ends = [element("span", "0 %"), element("span", percent(a.cells[0][1]))];
  ends[1].style.left = "100%";
  $("ticks").replaceChildren(...ends);
  frame("50", at_once);
}
repaint = () => { if (chosen >= 0) showCells(answers[chosen]); draw(); };
function next(by) {
  if (located.length) choose(located[(located.indexOf(chosen) + by + located.length) % located.length]);
}
function fold(folded) {
  panel.classList.toggle("folded", folded);
  $("grip").setAttribute("aria-expanded", !folded);
}
$("grip").onclick = () => { fold(!panel.classList.contains("folded")); if (chosen >= 0) frame(shown); };
{
  let from = null;  // the sheet follows a finger on its head
  $("top").addEventListener("pointerdown", e => { from = e.clientY; });
  window.addEventListener("pointerup", e => {
    const by = from === null ? 0 : e.clientY - from;
    from = null;
    if (narrow.matches && Math.abs(by) > 24) { fold(by > 0); if (chosen >= 0) frame(shown); }
  });
}
Object.assign(keys, {
  "1": () => chosen >= 0 && frame("50"), "2": () => chosen >= 0 && frame("90"),
  "3": () => chosen >= 0 && answers[chosen].truth && frame("truth"), n: () => next(1), p: () => next(-1),
});
$("truth-key").hidden = !answers.some(a => a.truth);
$("others-key").hidden = located.length < 2;
function settle() {  // a panel beside the map, with the legend on it; or a sheet below, with the legend inside
  fold(narrow.matches);
  $("legend").classList.toggle("within", narrow.matches);
  if (narrow.matches) $("more").insertBefore($("legend"), $("list")); else panel.after($("legend"));
}
settle();
narrow.addEventListener("change", () => { settle(); if (chosen >= 0) frame(shown, true); });
resized = () => { if (chosen >= 0) frame(shown, true); };  // the same view again
if (located.length) choose(located[0], true); else { panel.classList.add("lost"); $("more").querySelector("h3").hidden = true; home(true); }
document.documentElement.dataset.ready = "yes";
