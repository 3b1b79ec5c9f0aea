
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
  const name_of = cell => cell.parentNode.dataset.round ?? cell.textContent;

  // Marks of a large chart have no words of their own; the row of their round has them.
  let by_round = null;
  const row_words = name => {
    by_round ??= new Map([...document.querySelectorAll("table.rounds tbody tr")].map(row => [name_of(row.cells[0]), row]));
    const row = by_round.get(name);
    return row ? name + ": " + [...row.cells].slice(1).map(cell => cell.textContent).filter(text => text && text !== "–").join(", ") : name;
  };
  const anchor = name => "round-" + name.replaceAll("/", "-");
  for (const box of document.querySelectorAll(".chart")) {
    let points = null, places = null, chosen = -1;
    const read = () => {
      if (points) return;
      points = [];
      for (const element of box.querySelectorAll("svg *")) {
        const title = [...element.children].find(child => child.tagName === "title"), round = element.dataset.round;
        if (!title && !round) continue;
        points.push({ element, round, text: title ? title.textContent : row_words(round) });
        title?.remove();
      }
    };
    const place = point => {
      const at = point.element.getBoundingClientRect();
      return [at.left + at.width / 2, at.top + at.height / 2];
    };
    const choose = which => {
      chosen = which;
      if (which < 0) { hide(); return; }
      const point = points[which];
      box.classList.toggle("opens", Boolean(point.round));
      say(point.text, ...place(point));
    };
    box.addEventListener("pointermove", event => {
      read();
      places ??= points.map(place);
      let best = -1, least = NEAR;
      places.forEach(([x, y], which) => {
        const far = Math.hypot(x - event.clientX, y - event.clientY);
        if (far < least) [best, least] = [which, far];
      });
      choose(best);
    });
    const leave = () => { places = null; hide(); };
    box.addEventListener("pointerleave", leave);
    box.addEventListener("scroll", leave);
    box.addEventListener("blur", hide);
    addEventListener("scroll", () => { places = null; }, { passive: true });
    const follow_mark = () => { if (points?.[chosen]?.round) location.hash = anchor(points[chosen].round); };
    box.addEventListener("click", follow_mark);
    box.addEventListener("keydown", event => {
      const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
      if (event.key === "Escape") { hide(); return; }
      if (event.key === "Enter") { follow_mark(); return; }
      if (!(event.key in steps) && event.key !== "Home" && event.key !== "End") return;
      event.preventDefault();
      read();
      if (!points.length) return;
      const last = points.length - 1, moved = chosen + steps[event.key];
      choose(event.key === "Home" ? 0 : event.key === "End" ? last : Math.max(0, Math.min(moved, last)));
    });
  }
  addEventListener("scroll", hide, { passive: true });

  // Tables: a heading sorts by its column; words and choices filter rows.
  const UNITS = { k: 1e3, M: 1e6, G: 1e9 };
  const value = cell => {
    const text = cell.textContent.trim();
    const match = /^[$]?([-+−]?)[$]?(\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?)([kMG]?)/.exec(text);
    if (!match) return text === "–" || text === "" ? null : text.toLowerCase();
    return (match[1] === "-" || match[1] === "−" ? -1 : 1) * Number(match[2].replaceAll(",", "")) * (UNITS[match[3]] ?? 1);
  };
  const words = new Intl.Collator("en", { numeric: true });
  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    return words.compare(String(a), String(b));
  };
  const filter = document.querySelector("form.filter");
  const rounds = document.querySelector("table.rounds");
  if (filter && rounds) {
    const MOST = 300;  // more rows at once take seconds to lay out
    const body = rounds.tBodies[0], rows = [...body.rows], heads = [...rounds.tHead.rows[0].cells];
    const column = name => heads.findIndex(head => head.textContent === name);
    const at = { environment: column("environment"), outcome: column("came out") };
    const more = filter.elements.more, controls = filter.elements;
    let shown = MOST, order = rows, sorted = false;
    const chosen = name => controls[name]?.value ?? "";
    const fitting = () => {
      const run = chosen("run"), outcome = chosen("outcome"), environment = chosen("environment"), wanted = chosen("words").toLowerCase();
      return order.filter(row => (!run || name_of(row.cells[0]).startsWith(run + "/"))
        && (!outcome || row.cells[at.outcome].classList.contains(outcome))
        && (!environment || row.cells[at.environment].textContent === environment)
        && (!wanted || row.textContent.toLowerCase().includes(wanted)));
    };
    const number = count => count.toLocaleString("en");
    const tell = (fit, seen) => {
      const some = fit === rows.length ? "" : `, and ${number(fit)} fit`;
      controls.count.value = `${number(seen)} of ${number(rows.length)} rounds shown${some}`;
      more.hidden = seen >= fit;
    };
    const show = () => {
      const fit = fitting(), first = fit.slice(0, shown), kept = new Set(first);
      body.classList.remove("newest");
      for (const row of rows) if (row.hidden === kept.has(row)) row.hidden = !row.hidden;
      if (sorted) body.prepend(...first);  // where those that are hidden stand makes no difference
      tell(fit.length, kept.size);
    };
    heads.forEach((head, which) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const turn = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
        heads.forEach(each => each.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", turn === 1 ? "ascending" : "descending");
        const keyed = order.map(row => [which === 0 ? row.cells[0].textContent : value(row.cells[which]), row]);
        keyed.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : turn * compare(a, b)));
        order = keyed.map(([, row]) => row);
        sorted = true;
        show();
      });
    });
    filter.addEventListener("input", () => { shown = MOST; show(); });
    filter.addEventListener("submit", event => event.preventDefault());
    more.addEventListener("click", () => { shown = Infinity; show(); });
    filter.hidden = false;
    if (rows.length > MOST) body.classList.add("newest");
    tell(rows.length, Math.min(rows.length, MOST));
  }

  // Rounds: those that are packed open when they are asked for.
  const parcels = new Map();
  for (const parcel of document.querySelectorAll("script.parcel")) {
    for (const name of parcel.dataset.names.split(" ")) parcels.set(name, parcel);
  }
  for (const each of document.querySelectorAll(".with-script")) each.hidden = false;
  const by_anchor = new Map([...parcels.keys()].map(name => [anchor(name), name]));
  const linked = cell => {
    const name = name_of(cell), link = document.createElement("a");
    if (!parcels.has(name)) return;
    link.href = "#" + anchor(name);
    link.textContent = cell.textContent;
    cell.replaceChildren(link);
  };
  if (parcels.size) {
    const cells = [...document.querySelectorAll("table.rounds tbody th, .lost code")];
    let next = 0;
    const some = deadline => {
      while (next < cells.length && deadline.timeRemaining() > 1) linked(cells[next++]);
      if (next < cells.length) requestIdleCallback(some);
    };
    requestIdleCallback(some);
  }
  const unpack = async parcel => {
    const packed = Uint8Array.from(atob(parcel.textContent), letter => letter.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    return new Response(stream).json();
  };
  const open = async id => {
    const name = by_anchor.get(id);
    let target = document.getElementById(id);
    if (!target && name !== undefined) {
      const markup = (await unpack(parcels.get(name)))[name];
      if (document.getElementById(id)) return;
      const parsed = new DOMParser().parseFromString(markup, "text/html").querySelector("details");
      document.getElementById("opened").prepend(document.adoptNode(parsed));
      target = document.getElementById(id);
    }
    const round = target?.closest("details.round");
    if (!round) return;
    round.open = true;
    round.scrollIntoView();
    round.querySelector("summary").focus({ preventScroll: true });
  };
  const follow = () => open(location.hash.slice(1));
  addEventListener("hashchange", follow);
  if (location.hash) follow();
  addEventListener("beforeprint", () => {
    for (const each of document.querySelectorAll("details.round")) each.open = true;
  });
})();
