// The panels beside the diagram. Data enters the page only as text nodes, never as markup.

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== false && value !== undefined)
      made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

class Panels {
  constructor(model, select, legend) {
    this.model = model;
    this.select = select;
    this.tabs = document.getElementById("tabs");
    this.box = document.getElementById("panels");
    this.open = new Map();
    this.add("step", "Step");
    if (model.story.sentences.length) this.add("story", "Story", this.story());
    if (model.header.explanation) this.add("operations", "Operations", this.operations());
    if (model.header.schedule) this.add("schedule", "Schedule", this.schedule());
    this.add("run", "Run", this.run(legend));
    this.step(-1);
    this.turn("step");
  }

  add(name, title, content = []) {
    const tab = element(
      "button",
      {
        role: "tab",
        id: `tab-${name}`,
        "aria-controls": `panel-${name}`,
        "aria-selected": "false",
        tabindex: "-1",
        onclick: () => this.turn(name),
        onkeydown: (event) => this.walk(event, name),
      },
      title,
    );
    const panel = element(
      "div",
      {
        role: "tabpanel",
        id: `panel-${name}`,
        "aria-labelledby": `tab-${name}`,
        tabindex: "0",
        hidden: true,
      },
      ...content,
    );
    this.tabs.append(tab);
    this.box.append(panel);
    this.open.set(name, { tab, panel, scroll: 0 });
  }

  turn(name) {
    if (this.current) this.open.get(this.current).scroll = this.box.scrollTop;
    for (const [other, { tab, panel }] of this.open) {
      tab.setAttribute("aria-selected", String(other === name));
      tab.tabIndex = other === name ? 0 : -1;
      panel.hidden = other !== name;
    }
    this.current = name;
    this.box.scrollTop = this.open.get(name).scroll;
  }

  walk(event, name) {
    const names = [...this.open.keys()];
    const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!move) return;
    const next = names[(names.indexOf(name) + move + names.length) % names.length];
    this.turn(next);
    this.open.get(next).tab.focus();
    event.preventDefault();
  }

  link(id, text) {
    return element("button", { class: "link", onclick: () => this.select(id) }, text);
  }

  // The selected step: what it handled, changed and sent, and the state after it.

  step(id) {
    const { panel } = this.open.get("step");
    panel.replaceChildren();
    if (id < 0) {
      panel.append(
        element(
          "p",
          { class: "about" },
          "Choose a step in the diagram to see its message, what it changed and sent, and the " +
            "node's state.",
        ),
      );
      return;
    }
    const { model } = this;
    const cause = model.cause[id];
    panel.append(element("h2", {}, headline(model, id)));
    const about = element("p", { class: "about" }, `step ${id}, ${this.exact(model.time[id])}`);
    if (model.role(id)) about.append(`, ${escapeText(model.role(id))}`);
    if (model.incarnation(id)) about.append(`, incarnation ${model.incarnation(id) + 1}`);
    panel.append(about, element("p", { class: "about" }, escapeText(model.label(id))));
    if (cause >= 0) {
      const why = { [FIRE]: "set in", [FAULT]: "follows" }[model.kind[id]] || "sent in";
      panel.append(
        element(
          "p",
          { class: "about" },
          `${why} `,
          this.link(cause, `step ${cause}`),
          ` (${headline(model, cause)})`,
        ),
      );
    }
    if (id === model.violation) {
      panel.append(element("p", { class: "conclusion" }, escapeText(model.story.conclusion)));
    }
    this.section(panel, "Content", this.fields(model.content(id)[1]));
    this.changes(panel, id);
    this.sends(panel, id);
    this.effects(panel, id);
    this.state(panel, id);
    if (this.current === "step") this.box.scrollTop = 0;
  }

  exact(ms) {
    return `${ms.toLocaleString("en", { maximumFractionDigits: 6 })} ms`;
  }

  section(panel, title, content) {
    if (content) panel.append(element("h3", {}, title), content);
  }

  fields(fields, before = null) {
    const entries = Object.entries(fields);
    if (!entries.length) return null;
    const body = element("tbody");
    for (const [name, value] of entries) {
      const isChanged =
        before !== null && name in before && JSON.stringify(before[name]) !== JSON.stringify(value);
      const cell = element("td");
      if (isChanged && !isObject(value) && !isObject(before[name])) {
        cell.append(element("span", { class: "was" }, shorten(show(before[name]), 80)), " ");
      }
      cell.append(...this.folded(showLong(value)));
      body.append(
        element(
          "tr",
          { class: isChanged ? "changed" : "" },
          element("th", { scope: "row" }, escapeText(name)),
          cell,
        ),
      );
    }
    return element("table", { class: "values" }, body);
  }

  // A long value, cut until one asks for the rest.
  folded(text) {
    if (text.length <= 420) return [text];
    const rest = document.createTextNode("… ");
    const more = element(
      "button",
      {
        class: "more",
        onclick: () => {
          rest.textContent = text.slice(360);
          more.remove();
        },
      },
      `${text.length - 360} more characters`,
    );
    return [text.slice(0, 360), rest, more];
  }

  changes(panel, id) {
    const changes = Object.entries(this.model.changes(id));
    if (!changes.length || this.model.kind[id] === START) return;
    const list = element("ul", { class: "rows" });
    for (const [path, change] of changes)
      list.append(element("li", {}, element("code", {}, showChange(path, change))));
    this.section(panel, "What changed", list);
  }

  sends(panel, id) {
    const sends = this.model.sends(id);
    if (!sends.length) return;
    const list = element("ul", { class: "rows" });
    for (const message of sends) {
      const [type, fields] = this.model.contents[message.content];
      const what = `${escapeText(type)} to ${escapeText(this.model.lanes[message.target])}`;
      const again = message.label.includes(" again #") ? " (a duplicate)" : "";
      const detail = element("p", { class: "about" }, shorten(showFields(fields), 140));
      if (message.to >= 0) {
        const time = element(
          "span",
          { class: "time" },
          `arrives at ${showTime(this.model.time[message.to])}`,
        );
        list.append(
          element(
            "li",
            {},
            element(
              "button",
              { onclick: () => this.select(message.to) },
              time,
              what + again,
              detail,
            ),
          ),
        );
      } else {
        const loss = LOSSES[message.lost] ?? escapeText(message.lost);
        list.append(
          element(
            "li",
            {},
            element(
              "button",
              { disabled: true },
              what + again,
              element("span", { class: "lost" }, `: ${loss}`),
              detail,
            ),
          ),
        );
      }
    }
    this.section(panel, "Sends", list);
  }

  effects(panel, id) {
    const extra = this.model.extra(id);
    const lines = [];
    for (const [type, fields, low, high] of extra.timers || []) {
      const span = low === high ? showTime(low) : `${showTime(low)} to ${showTime(high)}`;
      lines.push(`${escapeText(type)} ${showFields(fields)} fires in ${span} ms`);
    }
    for (const [type, fields] of extra.cancelled || [])
      lines.push(`${escapeText(type)} ${showFields(fields)} is cancelled`);
    for (const name of extra.stored || []) lines.push(`stores ${escapeText(name)}`);
    for (const [status, value] of extra.completed || [])
      lines.push(`the operation ends: ${escapeText(status)} ${show(value)}`);
    for (const choice of extra.choices || []) lines.push(`chance chose ${show(choice)}`);
    if (lines.length)
      this.section(
        panel,
        "Timers and more",
        element("ul", { class: "rows" }, ...lines.map((line) => element("li", {}, line))),
      );
    const released = this.model.released(id);
    if (this.model.kind[id] === FAULT || this.model.kind[id] === SYNC) return;
    if (released < 0)
      panel.append(
        element(
          "p",
          { class: "about lost" },
          "A crash came before this step was on disk: nobody saw it.",
        ),
      );
    else if (released > this.model.time[id])
      panel.append(
        element(
          "p",
          { class: "about" },
          `On disk, and seen by others, at ${this.exact(released)}.`,
        ),
      );
    if (extra.clock) {
      const [clock, wall] = extra.clock.map((nanoseconds) => this.exact(nanoseconds / 1e6));
      const text = `The node's own clocks: ${clock}, wall ${wall}.`;
      panel.append(element("p", { class: "about" }, text));
    }
  }

  state(panel, id) {
    const { model } = this;
    const lane = model.lane[id];
    if (lane < 0) return;
    const before = model.neighbour(id, -1);
    const old = before === undefined ? null : model.stateAt(lane, before);
    const table = this.fields(model.stateAt(lane, id), old);
    if (table) this.section(panel, `State of ${escapeText(model.node(id))} after this step`, table);
  }

  // The other panels never change.

  story() {
    const list = element("ol", { class: "rows told" });
    this.storyButtons = new Map();
    for (const { number, time, steps, text } of this.model.story.sentences) {
      const button = element(
        "button",
        { onclick: () => this.select(steps[steps.length - 1]) },
        element("span", { class: "number" }, `${number}`),
        element("span", {}, text),
        element("span", { class: "time" }, showTime(time / 1e6)),
      );
      for (const id of steps) this.storyButtons.set(id, button);
      list.append(element("li", {}, button));
    }
    const last = this.model.story.conclusion;
    return [list, last ? element("p", { class: "conclusion" }, last) : null];
  }

  markStory(id) {
    if (!this.storyButtons) return;
    for (const button of this.storyButtons.values()) button.removeAttribute("aria-current");
    const button = this.storyButtons.get(id);
    if (!button) return;
    button.setAttribute("aria-current", "true");
    if (this.current === "story") button.scrollIntoView({ block: "nearest" });
  }

  // A bar for each operation, from the order in which they began and ended.
  operations() {
    const { text, operations } = this.model.header.explanation;
    const moments = [...new Set((operations || []).flatMap((op) => [op.invoke, op.complete ?? -1]))]
      .filter((id) => id >= 0)
      .sort((a, b) => a - b);
    const place = (id) => (moments.indexOf(id) / Math.max(moments.length, 1)) * 100;
    const processes = new Map();
    for (const operation of operations || []) {
      if (!processes.has(operation.process)) processes.set(operation.process, []);
      processes.get(operation.process).push(operation);
    }
    const rows = [...processes].map(([process, mine]) =>
      element(
        "div",
        { class: "process" },
        element("span", {}, `p${process}`),
        element("div", { class: "track" }, ...mine.map((operation) => this.bar(operation, place))),
      ),
    );
    return [
      element("p", {}, escapeText(text)),
      element("h3", {}, "The operations, from left to right in time"),
      ...rows,
      element(
        "p",
        { class: "about" },
        "A bar runs from where an operation begins to where it ends; a dashed one never ended.",
      ),
    ];
  }

  bar(operation, place) {
    const ended = operation.complete ?? -1;
    const from = operation.invoke >= 0 ? place(operation.invoke) : 0;
    const to = ended >= 0 ? place(ended) : 100;
    const status = operation.status || "info";
    const result =
      operation.result === undefined || operation.result === null
        ? ""
        : ` ${show(operation.result)}`;
    const said =
      { ok: `→${result || " ok"}`, fail: "→ failed", info: "→ ?" }[status] ||
      `→ ${escapeText(status)}`;
    const role = operation.role || "";
    const isWrong = /cannot|impossible/.test(role);
    const bar = element("span", { class: `bar${ended < 0 ? " open" : ""}` });
    bar.style.marginLeft = `${Math.min(from, 94)}%`;
    bar.style.width = `${Math.max(to - Math.min(from, 94), 6)}%`;
    return element(
      "button",
      {
        class: `operation${isWrong ? " wrong" : ""}`,
        title: escapeText(role),
        onclick: () => this.select(ended >= 0 ? ended : operation.invoke),
      },
      element("span", {}, `${showOperation(operation.f, operation.key, operation.value)} ${said}`),
      bar,
    );
  }

  schedule() {
    const { schedule, replay } = this.model.header;
    return [
      replay ? this.copy(replay) : null,
      replay ? element("h3", {}, "Play it again") : null,
      replay ? element("pre", { class: "wrap" }, escapeLines(replay)) : null,
      this.copy(schedule),
      element("h3", {}, "The schedule, to read and to edit"),
      element("pre", {}, escapeLines(schedule)),
    ];
  }

  copy(text) {
    return element(
      "button",
      {
        class: "copy",
        onclick: async (event) => {
          const button = event.target;
          try {
            await navigator.clipboard.writeText(text);
            button.textContent = "Copied";
          } catch {
            const selection = getSelection();
            selection.selectAllChildren(button.parentElement.querySelector("pre"));
            button.textContent = "Selected";
          }
          setTimeout(() => {
            button.textContent = "Copy";
          }, 1500);
        },
      },
      "Copy",
    );
  }

  run(legend) {
    const { header } = this.model;
    const pairs = (entries) =>
      element(
        "dl",
        { class: "pairs" },
        ...entries.flatMap(([name, value]) => [
          element("dt", {}, escapeText(name)),
          element("dd", {}, value),
        ]),
      );
    const facts = [["scenario", escapeText(header.scenario)]];
    if (header.seed !== undefined && header.seed !== null)
      facts.push(["seed", String(header.seed)]);
    if (header.configuration) facts.push(["configuration", escapeText(header.configuration)]);
    if (header.paper) facts.push(["paper", escapeText(header.paper)]);
    facts.push(["steps", this.model.count.toLocaleString("en")]);
    const parts = [
      element("h3", {}, "Legend"),
      legend,
      element("h3", {}, "Keys"),
      pairs([
        ["↑ ↓", "the step before, the step after"],
        ["← →", "the same on this node"],
        ["Enter", "what led to it: the step that caused it"],
        ["v", "the violation"],
        ["/", "search"],
        ["o f t", "only what led to this, fold, true time"],
        ["+ − 0", "zoom, show everything"],
      ]),
      element("h3", {}, "This run"),
      pairs(facts),
    ];
    const features = Object.entries(header.features || {});
    if (features.length)
      parts.push(
        element("h3", {}, "Configuration"),
        pairs(features.map(([name, value]) => [name, show(value)])),
      );
    const counters = Object.entries(header.counters || {});
    if (counters.length)
      parts.push(
        element("h3", {}, "What really happened"),
        pairs(counters.map(([name, value]) => [name, value.toLocaleString("en")])),
      );
    return parts;
  }
}

// Several lines, each without anything unprintable.
function escapeLines(text) {
  return text.split("\n").map(escapeText).join("\n");
}
