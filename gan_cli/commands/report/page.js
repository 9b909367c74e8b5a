// The legend, the slider and the theme.

const data = JSON.parse(document.getElementById("data").textContent);
const hidden = new Set();
const isShown = (run) => !hidden.has(run);

const charts = [...document.querySelectorAll(".plot")].map((box) => new Chart(box, data.panels[box.dataset.panel], data.runs, isShown));

// Charts are drawn when they come into view: a page of twenty runs has many.
const waiting = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    waiting.unobserve(entry.target);
    charts.find((chart) => chart.box === entry.target).draw();
  }
}, { rootMargin: "400px" });
charts.forEach((chart) => waiting.observe(chart.box));
const redraw = (all) => charts.filter((chart) => all || (chart.axes && chart.box.clientWidth)).forEach((chart) => chart.draw());
document.querySelectorAll("details").forEach((details) => details.addEventListener("toggle", () => redraw(false)));

let width = window.innerWidth;
window.addEventListener("resize", () => {
  if (window.innerWidth !== width) redraw(false);
  width = window.innerWidth;
});

// Legend
const buttons = [...document.querySelectorAll("#legend button[data-run]")];
const show = () => {
  for (const button of buttons) {
    const run = Number(button.dataset.run);
    button.setAttribute("aria-pressed", isShown(run));
    document.querySelectorAll(`tr[data-run="${run}"]`).forEach((row) => row.classList.toggle("off", !isShown(run)));
    document.querySelectorAll(`figure[data-run="${run}"]`).forEach((figure) => { figure.hidden = !isShown(run); });
  }
  redraw(false);
};
document.getElementById("legend").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.run === undefined) data.runs.forEach((_, run) => (button.dataset.show === "all" ? hidden.delete(run) : hidden.add(run)));
  else if (!hidden.delete(Number(button.dataset.run))) hidden.add(Number(button.dataset.run));
  show();
});
document.getElementById("legend").hidden = buttons.length < 2;

// Slider: each run shows its newest picture up to the step.
const slider = document.getElementById("step");
if (slider) {
  const images = [...document.querySelectorAll(".samples img")];
  const steps = [...new Set(images.map((image) => Number(image.dataset.step)))].sort((a, b) => a - b);
  const move = () => {
    const step = steps[slider.value];
    for (const figure of document.querySelectorAll(".samples figure")) {
      const own = [...figure.querySelectorAll("img")];
      const current = own.findLast((image) => Number(image.dataset.step) <= step);
      own.forEach((image) => { image.hidden = image !== current; });
      figure.querySelector(".at").textContent = current ? current.dataset.step : "– none yet";
    }
    slider.setAttribute("aria-valuetext", `step ${step}`);
    document.querySelector(".slider output").textContent = step;
  };
  slider.max = steps.length - 1;
  slider.value = steps.length - 1;
  slider.addEventListener("input", move);
  document.querySelector(".slider").hidden = steps.length < 2;
  move();
}

// Theme
const theme = document.getElementById("theme");
const themes = [["", "as the system"], ["light", "light"], ["dark", "dark"]];
theme.hidden = false;
theme.addEventListener("click", () => {
  const at = themes.findIndex(([name]) => name === (document.documentElement.dataset.theme ?? ""));
  const [name, words] = themes[(at + 1) % themes.length];
  if (name) document.documentElement.dataset.theme = name;
  else delete document.documentElement.dataset.theme;
  theme.querySelector("span").textContent = words;
});

// On paper everything is unfolded, and every chart is drawn.
window.addEventListener("beforeprint", () => {
  document.querySelectorAll("details").forEach((details) => { details.open = true; });
  redraw(true);
});
