// The map of the quiz: a click is a guess, which the demo around this frame hears; then truth, guess and answer.
const cells = [], arcs = data.arcs.map(rings => outline(rings, false));
let pin = data.guess;
function paintCells() {}
function describe() { return []; }
function paintMarks(pixel, seen) {
  arcs.forEach((way, k) => { if (seen(way)) stroked(way.path, 1.8, styleColour(k ? "answer" : "you"), pixel, [5, 4]); });
  if (data.answer) dot(...data.answer, 7.5, styleColour("answer"), pixel);
  if (pin) dot(...pin, 7.5, styleColour("you"), pixel);
  if (data.truth) star(...data.truth, pixel);
}
tapped = (x, y) => {
  if (data.truth) return false;
  const lon = left + x / scale;
  pin = [latitude(top_ + y / scale), lon - 360 * Math.round(lon / 360)];
  $("you-key").hidden = false;
  draw();
  parent.postMessage({geocell: "guess", lat: pin[0], lon: pin[1]}, "*");  // the frame has no origin to name
  return true;
};
margins = () => [$("head").offsetHeight + 24, 64, 56, 22];
home = at_once => fly(boxOf(data.box), at_once);
$("you-key").hidden = !pin;
$("answer-key").hidden = $("truth-key").hidden = !data.truth;
resized = () => home(true);
home(true);
document.documentElement.dataset.ready = "yes";
