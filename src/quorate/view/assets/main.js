// Puts the page together: reads the data, wires switches, search, pointer and keys.

const byId = (id) => document.getElementById(id);

class Page {
  constructor() {
    this.model = new Model(JSON.parse(byId("data").textContent));
    this.opened = new Set();
    this.found = [];
    this.readTheme();
    this.writeHead();
    this.diagram = new Diagram(byId("canvas"), this.model);
    this.panels = new Panels(this.model, (id) => this.select(id, true), this.legend());
    this.findTold();
    this.wireSwitches();
    this.wireSearch();
    this.wirePointer();
    this.wireKeys();
    const { violation, count } = this.model;
    const isLess = violation >= 0 && this.past([violation, ...this.model.witnesses]).size < count;
    this.set("past", isLess);
    this.set("fold", count > 100 && this.model.dull.some(Boolean));
    this.project();
    byId("past").disabled = violation < 0;
    const named = Number.parseInt(location.hash.slice(1), 10);
    const first = named >= 0 && named < count ? named : violation;
    if (first >= 0) this.select(first, true);
    if (this.panels.open.has("story") && violation >= 0 && !(named >= 0)) this.panels.turn("story");
  }

  // Head

  writeHead() {
    const { header } = this.model;
    byId("title").textContent = escapeText(header.title || header.scenario);
    const facts = [];
    if (header.seed !== undefined && header.seed !== null) facts.push(`seed ${header.seed}`);
    if (header.decisions !== undefined && header.decisions !== null)
      facts.push(`${header.decisions} decisions`);
    const all = this.model.count.toLocaleString("en");
    if (this.model.violation >= 0) {
      const ends = [this.model.violation, ...this.model.witnesses];
      const led = this.past(ends).size.toLocaleString("en");
      facts.push(`${led} of ${all} steps led to this`);
    } else {
      facts.push(`${all} steps`);
    }
    byId("facts").textContent = facts.join(" · ");
    const verdict = header.verdict || (header.violation ? "fail" : "");
    byId("verdict").textContent = escapeText(verdict);
    byId("verdict").classList.add(
      ["pass", "fail", "unknown"].includes(verdict) ? verdict : "unknown",
    );
    if (!header.violation) return;
    const line = byId("violation");
    line.hidden = false;
    line.title = escapeText(header.violation.message);
    line.append(
      element("b", {}, escapeText(header.violation.property)),
      header.section ? ` (${escapeText(header.section)})` : "",
      " ",
      escapeText(header.violation.message),
    );
  }

  readTheme() {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const apply = (theme) => {
      document.documentElement.dataset.theme = theme;
      if (this.diagram) this.diagram.readColours();
    };
    apply(dark.matches ? "dark" : "light");
    dark.addEventListener("change", () => apply(dark.matches ? "dark" : "light"));
    byId("theme").addEventListener("click", () =>
      apply(document.documentElement.dataset.theme === "dark" ? "light" : "dark"),
    );
  }

  findTold() {
    const { explanation } = this.model.header;
    for (const operation of (explanation && explanation.operations) || []) {
      for (const id of [operation.invoke ?? -1, operation.complete ?? -1])
        if (id >= 0) this.diagram.told.add(id);
    }
  }

  legend() {
    const box = element("div", { class: "legend" });
    const entries = [
      ["a message is handled", (d) => d.drawShape(DELIVER, 20, 10, 4.5)],
      ["a timer fires", (d) => d.drawShape(FIRE, 20, 10, 4.5)],
      ["a client's operation begins", (d) => d.drawShape(INVOKE, 20, 10, 4.5)],
      ["the disk: a batch, a sync", (d) => d.drawShape(BATCH, 20, 10, 5)],
      [
        "a fault, its end",
        (d) => {
          const c = d.context;
          c.fillStyle = d.colour.fault;
          c.beginPath();
          c.arc(11, 10, 6, 0, 7);
          c.fill();
          c.fillStyle = d.colour.client;
          c.beginPath();
          c.arc(29, 10, 6, 0, 7);
          c.fill();
        },
      ],
      [
        "the step that violates the property",
        (d) => {
          d.ring(20, 10, 8, d.colour.fault, 2.5);
          d.drawShape(DELIVER, 20, 10, 4);
        },
      ],
      [
        "lost on its way",
        (d) => {
          const c = d.context;
          c.strokeStyle = d.colour.fault;
          c.lineWidth = 1.4;
          c.setLineDash([5, 3]);
          d.line(2, 6, 28, 12);
          c.setLineDash([]);
          c.lineWidth = 2;
          d.line(25, 9, 32, 15);
          d.line(25, 15, 32, 9);
        },
      ],
      [
        "a duplicate",
        (d) => {
          d.context.strokeStyle = d.colour.message;
          d.context.setLineDash([5, 4]);
          d.context.lineWidth = 1.4;
          d.line(2, 10, 38, 10);
          d.context.setLineDash([]);
        },
      ],
      [
        "another role than at first",
        (d) => {
          d.context.strokeStyle = d.colour.role;
          d.context.lineWidth = 4;
          d.line(2, 10, 38, 10);
        },
      ],
      [
        "down",
        (d) => {
          d.context.fillStyle = d.colour["fault-wash"];
          d.context.fillRect(4, 1, 32, 18);
        },
      ],
      ["cut off", (d) => d.hatch(4, 1, 32, 18)],
    ];
    for (const [text, paint] of entries) {
      const canvas = element("canvas", { width: "80", height: "40", "aria-hidden": "true" });
      const context = canvas.getContext("2d");
      context.scale(2, 2);
      const pen = new Pen();
      Object.assign(pen, { context, y: () => 0 });
      this.paintLegend = [
        ...(this.paintLegend || []),
        () => {
          Object.assign(pen, { colour: this.diagram.colour });
          context.clearRect(0, 0, 40, 20);
          paint(pen);
        },
      ];
      box.append(canvas, element("span", {}, text));
    }
    const again = () => this.paintLegend.forEach((one) => one());
    again();
    byId("theme").addEventListener("click", again);
    return box;
  }

  // Switches

  isOn(name) {
    return byId(name).getAttribute("aria-pressed") === "true";
  }
  set(name, value) {
    byId(name).setAttribute("aria-pressed", String(value));
  }

  wireSwitches() {
    for (const name of ["past", "fold", "scale"]) {
      byId(name).addEventListener("click", () => {
        this.set(name, !this.isOn(name));
        if (name === "past" && this.isOn(name))
          this.pastOf = this.selected >= 0 ? this.selected : this.model.violation;
        if (name === "fold") this.opened.clear();
        this.project();
      });
    }
    byId("zoom-in").addEventListener("click", () => this.diagram.zoomBy(1.5));
    byId("zoom-out").addEventListener("click", () => this.diagram.zoomBy(1 / 1.5));
    byId("zoom-fit").addEventListener("click", () => this.diagram.fit());
  }

  // The causal past of some steps, with the faults until then: they tell why others did not happen.
  past(ends) {
    const past = this.model.past(ends);
    const last = Math.max(...ends);
    for (let id = 0; id <= last; id++) if (this.model.kind[id] === FAULT) past.add(id);
    return past;
  }

  project() {
    let only = null;
    if (this.isOn("past")) {
      const end = this.pastOf ?? this.model.violation;
      const others = [...this.model.witnesses, ...this.diagram.told];
      const ends = end === this.model.violation ? [end, ...others] : [end];
      only = this.past(ends.filter((id) => id >= 0));
    }
    const byTime = this.isOn("scale"); // Where nothing folds: a fold has no time.
    byId("fold").disabled = byTime || !this.model.dull.some(Boolean);
    const options = { only, folds: this.isOn("fold") && !byTime, opened: this.opened, byTime };
    this.diagram.show(new Projection(this.model, options));
    this.say(`${this.diagram.projection.rows.length} rows shown`);
  }

  // Selection

  select(id, reveal = false) {
    this.selected = id;
    byId("past").disabled = false;
    if (id >= 0 && this.diagram.projection.rowOf[id] < 0) {
      this.set("past", false);
      this.project();
    }
    this.openFold(id);
    this.diagram.selected = id;
    this.panels.step(id);
    this.panels.markStory(id);
    if (reveal) this.diagram.reveal(id);
    this.diagram.redraw();
    if (id >= 0) {
      this.say(`step ${id}: ${headline(this.model, id)}`);
      history.replaceState(null, "", `#${id}`);
    }
  }

  openFold(id) {
    const { projection } = this.diagram;
    const row = id >= 0 ? projection.rows[projection.rowOf[id]] : id;
    if (!Array.isArray(row)) return;
    this.opened.add(row[0]);
    this.project();
  }

  say(text) {
    byId("spoken").textContent = text;
  }

  // Search

  wireSearch() {
    const input = byId("search");
    let timer = 0;
    input.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.search(input.value), 120);
    });
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.nextFound(event.shiftKey ? -1 : 1);
      if (event.key === "Escape") {
        input.value = "";
        this.search("");
        byId("canvas").focus();
      }
    });
    byId("found-before").addEventListener("click", () => this.nextFound(-1));
    byId("found-after").addEventListener("click", () => this.nextFound(1));
  }

  search(query) {
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    this.found = [];
    if (words.length) {
      for (let id = 0; id < this.model.count; id++) {
        const text = this.model.text(id);
        if (words.every((word) => text.includes(word))) this.found.push(id);
      }
    }
    this.diagram.matches = new Set(this.found);
    this.diagram.mapImage = null;
    byId("found").textContent = words.length
      ? `${this.found.length.toLocaleString("en")} found`
      : "";
    this.diagram.redraw();
  }

  nextFound(direction) {
    if (!this.found.length) return;
    const at = this.selected ?? -1;
    const place = direction > 0 ? upperBound(this.found, at) : lowerBound(this.found, at) - 1;
    const index = (place + this.found.length) % this.found.length;
    this.select(this.found[index], true);
    byId("found").textContent =
      `${(index + 1).toLocaleString("en")} of ${this.found.length.toLocaleString("en")}`;
  }

  // Pointer: drag to pan, pinch or Ctrl+wheel to zoom, tap to choose.

  wirePointer() {
    const canvas = byId("canvas");
    const { diagram } = this;
    const held = new Map();
    let moved = 0;
    let onMap = false;
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    canvas.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        const unit = event.deltaMode === 1 ? 24 : event.deltaMode === 2 ? diagram.inner : 1;
        if (event.ctrlKey || event.metaKey)
          diagram.zoomBy(Math.exp((-event.deltaY * unit) / 250), at(event)[1]);
        else diagram.pan((event.shiftKey ? event.deltaX || event.deltaY : event.deltaY) * unit);
      },
      { passive: false },
    );
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      held.set(event.pointerId, at(event));
      moved = held.size > 1 ? Infinity : 0;
      onMap = at(event)[0] > diagram.width - MAP - 4;
      if (onMap) diagram.goTo(at(event)[1]);
    });
    canvas.addEventListener("pointermove", (event) => {
      const [x, y] = at(event);
      const before = held.get(event.pointerId);
      if (!before) {
        this.hover(x, y, event.pointerType);
        return;
      }
      held.set(event.pointerId, [x, y]);
      moved += Math.abs(x - before[0]) + Math.abs(y - before[1]);
      if (onMap) diagram.goTo(y);
      else if (held.size === 2) this.pinch([...held.entries()], event.pointerId, before);
      else if (moved > 4) diagram.pan(before[1] - y);
    });
    const release = (event) => {
      if (held.delete(event.pointerId) && moved <= 4 && !onMap && event.type === "pointerup") {
        const entry = diagram.hit(...at(event));
        if (Array.isArray(entry)) {
          this.opened.add(entry[0]);
          this.project();
        } else if (entry >= 0) {
          this.select(entry);
          this.panels.turn("step");
        }
      }
    };
    canvas.addEventListener("pointerup", release);
    canvas.addEventListener("pointercancel", release);
    canvas.addEventListener("pointerleave", () => {
      byId("hint").hidden = true;
    });
  }

  pinch(fingers, movedId, before) {
    const [[, one], [, other]] = fingers;
    const still = fingers.find(([id]) => id !== movedId)[1];
    const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
    const now = fingers.find(([id]) => id === movedId)[1];
    this.diagram.zoomBy(
      distance(one, other) / Math.max(distance(before, still), 1),
      (one[1] + other[1]) / 2,
    );
    this.diagram.pan((before[1] - now[1]) / 2);
  }

  hover(x, y, pointer) {
    const hint = byId("hint");
    const entry = pointer === "touch" ? -1 : this.diagram.hit(x, y);
    const isFold = Array.isArray(entry);
    byId("canvas").style.cursor = isFold || entry >= 0 ? "pointer" : "default";
    hint.hidden = !isFold && !(entry >= 0);
    if (hint.hidden) return;
    hint.textContent = isFold
      ? `${entry.length} steps that merely repeat: click to open`
      : `${headline(this.model, entry)}  ${showFields(this.model.content(entry)[1], 30)}`.slice(
          0,
          220,
        );
    const most = this.diagram.width - hint.offsetWidth - 8;
    hint.style.left = `${Math.max(Math.min(x + 14, most), 4)}px`;
    hint.style.top = `${Math.min(y + 16, this.diagram.height - hint.offsetHeight - 8)}px`;
  }

  // Keys

  wireKeys() {
    document.addEventListener("keydown", (event) => {
      if (event.target.tagName === "INPUT" || event.ctrlKey || event.metaKey || event.altKey)
        return;
      const onButton = event.target.tagName === "BUTTON";
      const isBeside = event.target.closest("#side") !== null;
      const arrows = {
        ArrowDown: () => this.move(1),
        ArrowUp: () => this.move(-1),
        ArrowRight: () => this.along(1),
        ArrowLeft: () => this.along(-1),
        PageDown: () => this.diagram.pan(this.diagram.inner * 0.85),
        PageUp: () => this.diagram.pan(-this.diagram.inner * 0.85),
        Home: () => this.edge(0),
        End: () => this.edge(1),
        Enter: () => this.toCause(),
      };
      const letters = {
        "/": () => byId("search").focus(),
        v: () => this.select(this.model.violation, true),
        o: () => byId("past").click(),
        f: () => byId("fold").click(),
        t: () => byId("scale").click(),
        "+": () => this.diagram.zoomBy(1.5),
        "=": () => this.diagram.zoomBy(1.5),
        "-": () => this.diagram.zoomBy(1 / 1.5),
        0: () => this.diagram.fit(),
      };
      const act =
        (!isBeside && !(onButton && event.key === "Enter") && arrows[event.key]) ||
        letters[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    });
  }

  // To the next or last row that is one step.
  move(direction) {
    const { rows, rowOf } = this.diagram.projection;
    let row = this.selected >= 0 ? rowOf[this.selected] + direction : 0;
    while (Array.isArray(rows[row])) row += direction;
    if (rows[row] !== undefined) this.select(rows[row], true);
  }

  along(direction) {
    if (!(this.selected >= 0)) {
      this.move(1);
      return;
    }
    const { rowOf } = this.diagram.projection;
    let next = this.model.neighbour(this.selected, direction);
    while (next !== undefined && rowOf[next] < 0) next = this.model.neighbour(next, direction);
    if (next !== undefined) this.select(next, true);
  }

  edge(end) {
    const steps = this.diagram.projection.rows.filter((row) => !Array.isArray(row));
    if (steps.length) this.select(steps[end ? steps.length - 1 : 0], true);
  }

  toCause() {
    const cause = this.selected >= 0 ? this.model.cause[this.selected] : -1;
    if (cause >= 0) this.select(cause, true);
  }
}

new Page();
