// Arrow keys go from one point of a plot to the next; without it they can still be pointed at and tapped.
for (const plot of document.querySelectorAll("figure.embedding svg")) {
  const points = [...plot.querySelectorAll("g.point")];
  plot.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const at = points.indexOf(document.activeElement);
    if (!step || at === -1) { return; }
    event.preventDefault();
    points[(at + step + points.length) % points.length].focus();
  });
}
