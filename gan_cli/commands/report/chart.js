"use strict";
// A panel of curves as inline SVG. Values that are not finite stand at the upper or lower edge as triangles, or are gaps.

const MARGIN = { left: 52, right: 10, top: 8, bottom: 22 };
const DASHES = ["", "7 4", "2 3", "9 3 2 3"];

const format = (value) => {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  const text = size !== 0 && (size >= 1e6 || size < 1e-3) ? value.toExponential(2) : String(Number(value.toPrecision(4)));
  return text.replace("-", "−").replace("e+", "e");
};

// From values to a line on which they lie evenly, and back.
const transforms = {
  linear: () => [(v) => v, (t) => t],
  log: () => [(v) => Math.log10(v), (t) => 10 ** t],
  symlog: (c) => [(v) => Math.sign(v) * Math.log10(1 + Math.abs(v) / c), (t) => Math.sign(t) * c * (10 ** Math.abs(t) - 1)],
};

const evenTicks = (low, high, count) => {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough);
  const ticks = [];
  for (let k = Math.ceil(low / step); k * step <= high + step * 1e-9; k += 1) ticks.push(k * step);
  return ticks;
};

// Ticks at round numbers: powers of ten if there are several, and zero.
const ticks = (kind, low, high, [forward, backward]) => {
  if (kind === "linear") return evenTicks(low, high, 5);
  const [least, most] = [backward(low), backward(high)];
  const powers = [];
  for (let k = -30; k <= 30; k += 1) powers.push(10 ** k);
  const candidates = kind === "log" ? powers : [...powers.map((p) => -p).reverse(), 0, ...powers];
  const inside = candidates.filter((value) => value >= least && value <= most);
  const apart = (high - low) / 8;
  const kept = inside.includes(0) ? [0] : [];
  for (const value of inside.sort((a, b) => Math.abs(b) - Math.abs(a))) {
    if (kept.every((other) => Math.abs(forward(other) - forward(value)) > apart)) kept.push(value);
  }
  return kept.length > 1 ? kept : evenTicks(low, high, 4).map(backward);
};

const element = (name, attributes, parent) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent?.append(made);
  return made;
};

class Chart {
  constructor(box, panel, runs, isShown) {
    Object.assign(this, { box, panel, runs, isShown, cursor: null, isAutomatic: true, isOverSteps: panel.axis === "step" });
    this.reading = box.parentElement.querySelector(".reading");
    panel.series.forEach((series) => {
      series.y = series.y.map(Number);
      series.errors = series.errors.map(Number);
    });
    if (panel.scale.kind !== "linear") this.addScaleButton();
    box.addEventListener("pointermove", (event) => this.point(event));
    box.addEventListener("pointerdown", (event) => this.point(event));
    box.addEventListener("pointerleave", () => document.activeElement !== box && this.read(null));
    box.addEventListener("keydown", (event) => this.key(event));
    box.addEventListener("focus", () => box.matches(":focus-visible") && this.read(this.cursor ?? this.steps().at(-1)));
    box.addEventListener("blur", () => this.read(null));
  }

  addScaleButton() {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "scale", textContent: this.panel.scale.kind });
    button.setAttribute("aria-label", `scale of ${this.panel.name}`);
    button.addEventListener("click", () => {
      this.isAutomatic = !this.isAutomatic;
      button.textContent = this.isAutomatic ? this.panel.scale.kind : "linear";
      this.draw();
    });
    this.box.before(button);
  }

  shown() {
    return this.panel.series.filter((series) => this.isShown(series.run));
  }

  // The 95 % interval about a value, cut to what the number can be.
  interval(value, error) {
    const [least, most] = this.panel.ends;
    return [Math.max(value - 1.96 * error, least ?? -Infinity), Math.min(value + 1.96 * error, most ?? Infinity)];
  }

  steps() {
    return [...new Set(this.shown().flatMap((series) => series.x))].sort((a, b) => a - b);
  }

  measure() {
    const kind = this.isAutomatic ? this.panel.scale.kind : "linear";
    const transform = transforms[kind](this.panel.scale.linear);
    const shown = this.shown();
    const usable = (value) => Number.isFinite(value) && (kind !== "log" || value > 0);
    let [low, high, last] = [Infinity, -Infinity, this.isOverSteps ? 1 : 0];
    for (const series of shown) {
      const values = series.mark === "joined" ? series.y.flatMap((value, index) => this.interval(value, series.errors[index])) : series.y;
      for (const value of values) {
        if (usable(value)) [low, high] = [Math.min(low, transform[0](value)), Math.max(high, transform[0](value))];
      }
      last = Math.max(last, series.x.at(-1));
    }
    if (low > high) [low, high] = [0, 1];
    const pad = low === high ? Math.abs(low) * 0.1 || 1 : (high - low) * 0.05;
    [low, high] = [low - pad, high + pad];
    const [width, height] = [this.box.clientWidth, this.box.clientHeight];
    const inner = { width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom };
    const first = this.isOverSteps ? Math.min(...shown.map((series) => series.x[0]), last - 1) : 0;
    last = last || 1;
    // What a logarithmic axis cannot hold, such as the end of an interval below zero, is at its foot.
    const clamp = (y) => (Number.isNaN(y) ? MARGIN.top + inner.height : Math.min(Math.max(y, MARGIN.top), MARGIN.top + inner.height));
    this.axes = {
      kind, transform, low, high, width, height, inner, first, last,
      x: (step) => MARGIN.left + ((step - first) / (last - first)) * inner.width,
      y: (value) => clamp(MARGIN.top + (1 - (transform[0](value) - low) / (high - low)) * inner.height),
    };
  }

  draw() {
    this.measure();
    const { width, height } = this.axes;
    const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    this.drawAxes(svg);
    for (const series of this.shown()) {
      const { colour, dash } = this.runs[series.run];
      const group = element("g", { class: `colour-${colour}`, "data-run": series.run }, svg);
      if (["line", "joined"].includes(series.mark)) this.drawLine(group, series, DASHES[dash % DASHES.length]);
      if (series.mark !== "line") this.drawPoints(group, series);
      this.drawInfinite(group, series);
    }
    this.line = element("line", { class: "cursor", y1: MARGIN.top, y2: height - MARGIN.bottom, visibility: "hidden" }, svg);
    this.box.replaceChildren(svg);
    this.read(this.cursor);
  }

  drawAxes(svg) {
    const { kind, transform, low, high, width, height, first, last, x, y } = this.axes;
    for (const value of ticks(kind, low, high, transform)) {
      element("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value), y2: y(value) }, svg);
      element("text", { x: MARGIN.left - 5, y: y(value) + 4, "text-anchor": "end" }, svg).textContent = format(value);
    }
    if (!this.isOverSteps) {
      element("text", { x: 8, y: height - 6 }, svg).textContent = this.panel.axis;
    }
    for (const step of evenTicks(first, last, Math.max(2, width / 100)).filter((tick) => !this.isOverSteps || Number.isInteger(tick))) {
      const anchor = x(step) > width - 30 ? "end" : "middle";
      element("text", { x: x(step), y: height - 6, "text-anchor": anchor }, svg).textContent = format(step);
    }
  }

  drawLine(group, series, dash) {
    let path = "";
    let isDown = false;
    series.x.forEach((step, index) => {
      const value = series.y[index];
      const canDraw = Number.isFinite(value) && (this.axes.kind !== "log" || value > 0);
      if (canDraw) path += `${isDown ? "L" : "M"}${this.axes.x(step).toFixed(1)} ${this.axes.y(value).toFixed(1)}`;
      isDown = canDraw;
    });
    element("path", { class: "curve", d: path, "stroke-dasharray": dash }, group);
    if (series.x.length === 1 && path) element("circle", { class: "dots", cx: this.axes.x(series.x[0]), cy: this.axes.y(series.y[0]), r: 2.5 }, group);
  }

  drawPoints(group, series) {
    series.x.forEach((step, index) => {
      const value = series.y[index];
      if (!Number.isFinite(value)) return;
      const [x, y] = [this.axes.x(step), this.axes.y(value)];
      const error = series.errors[index] ?? 0;
      if (error > 0 && series.mark !== "rings") {
        const [low, high] = this.interval(value, error);
        element("line", { stroke: "currentColor", x1: x, x2: x, y1: this.axes.y(low), y2: this.axes.y(high) }, group);
      }
      element("circle", { class: series.mark, cx: x, cy: y, r: 3 }, group);
    });
  }

  drawInfinite(group, series) {
    series.x.forEach((step, index) => {
      if (Math.abs(series.y[index]) !== Infinity) return;
      const up = series.y[index] > 0;
      const edge = up ? MARGIN.top : this.axes.height - MARGIN.bottom;
      const base = edge + (up ? 7 : -7);
      const x = this.axes.x(step);
      element("path", { class: "dots", d: `M${x - 4} ${base}L${x + 4} ${base}L${x} ${edge}Z` }, group);
    });
  }

  point(event) {
    const { first, last, inner } = this.axes;
    const share = (event.clientX - this.box.getBoundingClientRect().left - MARGIN.left) / inner.width;
    const wanted = first + share * (last - first);
    const steps = this.steps();
    if (steps.length) this.read(steps.reduce((best, step) => (Math.abs(step - wanted) < Math.abs(best - wanted) ? step : best)));
  }

  key(event) {
    const steps = this.steps();
    const at = steps.indexOf(this.cursor);
    const to = { ArrowLeft: Math.max(at - 1, 0), ArrowRight: Math.min(at + 1, steps.length - 1), Home: 0, End: steps.length - 1 }[event.key];
    if (to === undefined || !steps.length) return;
    event.preventDefault();
    this.read(steps[to]);
  }

  // The values of every shown run at a step, or none; a curve without a point there gives the last before it.
  read(step) {
    this.cursor = step;
    this.line?.setAttribute("visibility", step === null ? "hidden" : "visible");
    if (step === null || step === undefined) return this.reading.replaceChildren();
    this.line?.setAttribute("x1", this.axes.x(step));
    this.line?.setAttribute("x2", this.axes.x(step));
    const parts = [`${this.panel.axis} ${step}: `];
    for (const series of this.shown()) {
      const index = this.isOverSteps ? series.x.findLastIndex((other) => other <= step) : series.x.indexOf(step);
      if (index < 0 || (series.x.at(-1) < step && series.x.length > 1)) continue;
      const part = document.createElement("span");
      const interval = series.errors.length ? this.interval(series.y[index], series.errors[index]) : [];
      const isCut = interval.some((end) => this.panel.ends.includes(end));
      const half = isCut ? ` [${interval.map(format).join(", ")}]` : interval.length ? ` ± ${format(1.96 * series.errors[index])}` : "";
      const name = this.panel.marks[series.mark];
      const { colour, dash, label } = this.runs[series.run];
      const swatch = document.createElement("i");
      swatch.className = `swatch colour-${colour} dash-${dash % DASHES.length}`;
      part.append(swatch, `${label}${name ? ` ${name}` : ""} ${format(series.y[index])}${half}`);
      parts.push(part);
    }
    this.reading.replaceChildren(...parts);
  }
}
