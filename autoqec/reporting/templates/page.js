
"use strict";
(() => {
  // Charts: what is near the pointer, or chosen with the arrow keys, is said beside it and to screen readers.
  const said = document.getElementById("said");
  const NEAR = 28;
  const hide = () => { said.style.display = "none"; };
  const say = (text, x, y) => {
    if (said.textContent !== text) said.textContent = text;
    said.style.display = "block";
    said.style.left = Math.max(4, Math.min(x + 14, innerWidth - said.offsetWidth - 8)) + "px";
    said.style.top = Math.max(4, Math.min(y + 14, innerHeight - said.offsetHeight - 8)) + "px";
  };
  for (const box of document.querySelectorAll(".chart")) {
    const points = [];
    for (const title of box.querySelectorAll("svg title")) {
      points.push({ element: title.parentNode, text: title.textContent });
      title.remove();
    }
    if (!points.length) continue;
    const place = point => {
      const at = point.element.getBoundingClientRect();
      return [at.left + at.width / 2, at.top + at.height / 2];
    };
    let places = null, chosen = -1;
    box.addEventListener("pointerenter", () => { places = points.map(place); });
    box.addEventListener("pointermove", event => {
      places ??= points.map(place);
      let best = -1, least = NEAR;
      places.forEach(([x, y], which) => {
        const far = Math.hypot(x - event.clientX, y - event.clientY);
        if (far < least) [best, least] = [which, far];
      });
      if (best < 0) hide(); else { chosen = best; say(points[best].text, ...places[best]); }
    });
    box.addEventListener("pointerleave", () => { places = null; hide(); });
    box.addEventListener("blur", hide);
    box.addEventListener("keydown", event => {
      const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
      if (event.key === "Escape") { hide(); return; }
      if (!(event.key in steps) && event.key !== "Home" && event.key !== "End") return;
      event.preventDefault();
      const moved = chosen + steps[event.key];
      chosen = event.key === "Home" ? 0 : event.key === "End" ? points.length - 1 : Math.max(0, Math.min(moved, points.length - 1));
      say(points[chosen].text, ...place(points[chosen]));
    });
  }
  addEventListener("scroll", hide, { passive: true });
})();
