// Keys for the page of a scan, and an ellipse whose handles can be moved.
"use strict";
const picture = document.getElementById("picture");
const form = document.getElementById("review");

if (picture !== null) {
  const { rows, columns, rowMm, columnMm } = picture.dataset;
  const tall = rowMm ? rows * rowMm : Number(rows);
  const wide = columnMm ? columns * columnMm : Number(columns);
  picture.style.aspectRatio = `${wide} / ${tall}`;  // pixels need not be square
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input, select, textarea")) return;
  const target = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (target === null || target.disabled) return;
  event.preventDefault();
  target.click();
});

if (form !== null) {
  // Twice is once: the form has a key of its own, and one answer is enough.
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "1";
  });
}

if (picture !== null && form !== null) editor();

function editor() {
  const SVG = "http://www.w3.org/2000/svg";
  const live = document.getElementById("live");
  const save = document.getElementById("save");
  const undo = document.getElementById("undo");
  const edit = document.getElementById("edit");
  const { rows, columns } = picture.dataset;
  const rowMm = Number(picture.dataset.rowMm), columnMm = Number(picture.dataset.columnMm);
  const first = (picture.dataset.ellipse ?? "").split(" ").map(Number);
  const begin = first.length === 5
    ? { x: first[0], y: first[1], a: first[2], b: first[3], angle: first[4] }
    : { x: columns / 2, y: rows / 2, a: columns / 4, b: rows / 4, angle: 0 };
  let ellipse = { ...begin };
  let group = null;
  form.querySelector(".correct").hidden = false;

  const HANDLES = {
    centre: {
      at: (e) => [e.x, e.y],
      move: (e, x, y) => ({ ...e, x, y }),
    },
    "end of the first axis": firstAxis(1),
    "other end of the first axis": firstAxis(-1),
    "end of the second axis": secondAxis(1),
    "other end of the second axis": secondAxis(-1),
  };

  // The end of an axis in its own direction (sign 1), or opposite (-1).
  function firstAxis(sign) {
    return {
      at: (e) => [e.x + sign * e.a * Math.cos(e.angle), e.y + sign * e.a * Math.sin(e.angle)],
      move: (e, x, y) => ({
        ...e,
        a: Math.max(2, Math.hypot(x - e.x, y - e.y)),
        angle: Math.atan2(sign * (y - e.y), sign * (x - e.x)),
      }),
    };
  }

  function secondAxis(sign) {
    return {
      at: (e) => [e.x - sign * e.b * Math.sin(e.angle), e.y + sign * e.b * Math.cos(e.angle)],
      move: (e, x, y) => ({
        ...e,
        b: Math.max(2, Math.abs((y - e.y) * Math.cos(e.angle) - (x - e.x) * Math.sin(e.angle))),
      }),
    };
  }

  function start() {
    if (group !== null) return;
    group = document.createElementNS(SVG, "g");
    const outline = document.createElementNS(SVG, "ellipse");
    outline.classList.add("edited");
    group.append(outline);
    for (const name of Object.keys(HANDLES)) group.append(handle(name));
    picture.append(group);
    form.querySelector(".hint").hidden = false;
    draw();
    group.querySelector(".handle").focus();
  }

  function handle(name) {
    const dot = document.createElementNS(SVG, "circle");
    dot.classList.add("handle");
    dot.dataset.name = name;
    dot.setAttribute("tabindex", "0");
    dot.setAttribute("role", "button");
    dot.setAttribute("aria-label", `${name}; move with the arrow keys`);
    dot.setAttribute("r", Math.max(rows, columns) / 90);
    dot.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      dot.focus();
      dot.setPointerCapture(event.pointerId);
    });
    dot.addEventListener("pointermove", (event) => {
      if (!dot.hasPointerCapture(event.pointerId)) return;
      const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(picture.getScreenCTM().inverse());
      change(name, point.x, point.y);
    });
    dot.addEventListener("keydown", (event) => {
      const step = event.shiftKey ? 10 : 1;
      const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
      if (!(event.key in moves)) return;
      event.preventDefault();
      const [x, y] = HANDLES[name].at(ellipse);
      change(name, x + moves[event.key][0], y + moves[event.key][1]);
    });
    return dot;
  }

  function change(name, x, y) {
    ellipse = HANDLES[name].move(ellipse, clamp(x, columns), clamp(y, rows));
    save.disabled = undo.disabled = false;
    draw();
  }

  function clamp(value, size) {
    return Math.min(Math.max(value, -size), 2 * size);
  }

  function draw() {
    const outline = group.querySelector("ellipse");
    outline.setAttribute("rx", ellipse.a);
    outline.setAttribute("ry", ellipse.b);
    outline.setAttribute("transform", `translate(${ellipse.x} ${ellipse.y}) rotate(${(ellipse.angle * 180) / Math.PI})`);
    for (const dot of group.querySelectorAll(".handle")) {
      const [x, y] = HANDLES[dot.dataset.name].at(ellipse);
      dot.setAttribute("cx", x);
      dot.setAttribute("cy", y);
    }
    const values = { center_x_px: ellipse.x, center_y_px: ellipse.y, semi_axis_a_px: ellipse.a, semi_axis_b_px: ellipse.b, angle_rad: ellipse.angle };
    for (const [name, value] of Object.entries(values)) form.elements[name].value = value;
    live.textContent = rowMm ? `HC ${circumferenceMm().toFixed(1)} mm` : "HC unknown: no scale";
  }

  // Shown while it is moved; what is stored is measured by the server. The axes in mm are the
  // singular values of the scaled matrix, the perimeter is Ramanujan's second approximation.
  function circumferenceMm() {
    const cos = Math.cos(ellipse.angle), sin = Math.sin(ellipse.angle);
    const m = [ellipse.a * cos * columnMm, -ellipse.b * sin * columnMm, ellipse.a * sin * rowMm, ellipse.b * cos * rowMm];
    const sum = m.reduce((total, each) => total + each * each, 0);
    const area = Math.abs(m[0] * m[3] - m[1] * m[2]);
    const p = Math.sqrt(sum + 2 * area), q = Math.sqrt(Math.max(0, sum - 2 * area));
    const h = (q / p) ** 2;
    return Math.PI * p * (1 + (3 * h) / (10 + Math.sqrt(4 - 3 * h)));
  }

  edit.addEventListener("click", start);
  undo.addEventListener("click", () => {
    ellipse = { ...begin };
    draw();
    save.disabled = undo.disabled = true;
  });
}
