// The trace, decoded: steps as columns of numbers, messages, and each node's state at any step.

const KINDS = ["start", "deliver", "fire", "batch", "sync", "stored", "invoke", "fault"];
const [START, DELIVER, FIRE, BATCH, SYNC, STORED, INVOKE, FAULT] = KINDS.keys();
const SNAPSHOT = 128; // After so many steps of a node its state is remembered.

class Model {
  constructor(data) {
    this.header = data.header;
    this.lanes = data.lanes;
    this.servers = data.header.nodes.length;
    this.contents = data.contents; // [type, fields], shared by all messages that are equal
    this.steps = data.steps;
    this.count = data.steps.length;
    this.series = data.series;
    this.roles = data.roles;
    this.story = data.story;
    this.dull = new Uint8Array(this.count);
    for (const id of data.dull) this.dull[id] = 1;
    this.time = Float64Array.from(data.steps, (step) => step[0] / 1e6); // milliseconds
    this.kind = Uint8Array.from(data.steps, (step) => step[1]);
    this.lane = Int16Array.from(data.steps, (step) => step[2]);
    this.cause = Int32Array.from(data.steps, (step) => step[4]);
    this.violation = data.header.violation ? data.header.violation.record : -1;
    const witnesses = data.header.violation?.witnesses ?? [];
    this.witnesses = witnesses.filter((id) => id >= 0 && id < data.steps.length);
    this.readMessages();
    this.readLanes();
    this.snapshots = new Map();
    this.texts = new Map();
  }

  readMessages() {
    this.messages = [];
    this.sentBy = new Map();
    this.steps.forEach((step, id) => {
      if (!step[12]) return;
      const mine = step[12].map(([to, content, series, ordinal, sent, arrival, lost]) => ({
        from: id,
        to: arrival,
        source: this.lane[id],
        target: to,
        content,
        lost,
        label: series < 0 ? "" : `${this.series[series]} #${ordinal}`,
        sent: sent < 0 ? this.time[id] : this.time[id] + sent / 1e6,
      }));
      this.sentBy.set(id, mine);
      this.messages.push(...mine);
    });
  }

  // For each lane its steps, and from when to when it was down, paused, or in which role.
  readLanes() {
    this.ofLane = this.lanes.map(() => []);
    this.spans = this.lanes.map(() => []);
    this.cuts = [];
    const open = this.lanes.map(() => ({ state: "up", role: 0, from: 0 }));
    const first = this.lanes.map(() => -1);
    const latest = this.lanes.map(() => 0);
    this.becomes = new Set(); // The steps after which a node has another role than before.
    const cut = new Map();
    const turn = (lane, id, change) => {
      const now = open[lane];
      if (now.from < id) this.spans[lane].push({ ...now, to: id });
      open[lane] = { ...now, ...change, from: id };
    };
    this.steps.forEach((step, id) => {
      const lane = step[2];
      if (lane >= 0) this.ofLane[lane].push(id);
      if (step[1] === FAULT) {
        const name = this.type(id);
        const state = { crash: "down", pause: "paused", resume: "up", restart: "up" }[name];
        if (lane >= 0 && state) turn(lane, id, { state });
        if (name === "cut" || name === "heal") this.readCut(cut, name, this.extra(id).links, id);
      } else if (lane >= 0 && step[8]) {
        if (first[lane] < 0) first[lane] = step[8];
        if (latest[lane] && latest[lane] !== step[8]) this.becomes.add(id);
        latest[lane] = step[8];
        const role = step[8] === first[lane] ? 0 : step[8];
        if (role !== open[lane].role) turn(lane, id, { role });
      }
    });
    open.forEach((now, lane) => this.spans[lane].push({ ...now, to: this.count }));
    for (const [link, from] of cut) this.cuts.push({ link, from, to: this.count });
  }

  readCut(cut, name, links, id) {
    const named = (links || []).map((link) => link.join("→"));
    for (const link of name === "heal" && !named.length ? [...cut.keys()] : named) {
      if (name === "cut" && !cut.has(link)) cut.set(link, id);
      if (name === "heal" && cut.has(link)) {
        this.cuts.push({ link, from: cut.get(link), to: id });
        cut.delete(link);
      }
    }
  }

  // For each cut, the nodes that all of its links touch, or else all that any touches.
  cutEpisodes() {
    const episodes = new Map();
    for (const { link, from, to } of this.cuts) {
      const ends = link.split("→").map((node) => this.lanes.indexOf(node));
      if (!episodes.has(from)) episodes.set(from, { links: [], from, to });
      const episode = episodes.get(from);
      episode.links.push(ends);
      episode.to = Math.max(episode.to, to);
    }
    return [...episodes.values()].map(({ links, from, to }) => {
      const touched = [...new Set(links.flat())].filter((lane) => lane >= 0);
      const common = touched.filter((lane) => links.every((ends) => ends.includes(lane)));
      return { lanes: common.length ? common : touched, from, to };
    });
  }

  content(id) {
    return this.contents[this.steps[id][3]];
  }
  type(id) {
    return this.content(id)[0];
  }
  node(id) {
    return this.lane[id] < 0 ? "" : this.lanes[this.lane[id]];
  }
  source(id) {
    return this.steps[id][5] < 0 ? "" : this.lanes[this.steps[id][5]];
  }
  label(id) {
    return `${this.series[this.steps[id][6]]} #${this.steps[id][7]}`;
  }
  role(id) {
    return this.roles[this.steps[id][8]];
  }
  incarnation(id) {
    return this.steps[id][9];
  }
  released(id) {
    return this.steps[id][10] < 0 ? -1 : this.time[id] + this.steps[id][10] / 1e6;
  }
  changes(id) {
    return this.steps[id][11] || {};
  }
  sends(id) {
    return this.sentBy.get(id) || [];
  }
  extra(id) {
    return this.steps[id][13] || {};
  }
  isServer(id) {
    return this.lane[id] >= 0 && this.lane[id] < this.servers;
  }

  // The node's own steps before and after one.
  neighbour(id, direction) {
    const own = this.ofLane[this.lane[id]];
    return own ? own[lowerBound(own, id) + direction] : undefined;
  }

  // What led to a step: what it handled, and the last step that changed its node's state.
  past(ends) {
    if (!this.rests) {
      const latest = new Map();
      this.rests = Int32Array.from(this.steps, (step, id) => {
        const lane = this.lane[id];
        const before = lane >= 0 && latest.has(lane) ? latest.get(lane) : -1;
        if (step[1] === FAULT || step[1] === START || step[11]) latest.set(lane, id);
        return before;
      });
    }
    const found = new Set();
    const pending = [...ends];
    while (pending.length) {
      const id = pending.pop();
      if (id >= 0 && !found.has(id)) {
        found.add(id);
        pending.push(this.cause[id], this.rests[id]);
      }
    }
    return found;
  }

  // A node's fields after a step, as an object of values in the trace's spelling.
  stateAt(lane, id) {
    const own = this.ofLane[lane];
    let position = upperBound(own, id) - 1;
    const last = position;
    let state = null;
    for (; position >= 0; position--) {
      state = this.snapshots.get(own[position]);
      if (state || this.kind[own[position]] === START) break;
    }
    if (state) position++;
    state = { ...(state || {}) };
    for (position = Math.max(position, 0); position <= last; position++) {
      if (this.kind[own[position]] === START) state = {};
      for (const [path, change] of Object.entries(this.changes(own[position]))) {
        applyChange(state, path.split("."), change);
      }
      if (position % SNAPSHOT === SNAPSHOT - 1) this.snapshots.set(own[position], { ...state });
    }
    return state;
  }

  // All that a search looks through, in small letters.
  text(id) {
    const place = this.steps[id][3];
    if (!this.texts.has(place)) {
      this.texts.set(place, showFields(this.contents[place][1], Infinity).toLowerCase());
    }
    const changes = Object.entries(this.changes(id)).map(([path, change]) =>
      showChange(path, change),
    );
    const where = [this.type(id), this.node(id), this.source(id), this.label(id), this.role(id)];
    return (
      `${where.join(" ").toLowerCase()} ${this.texts.get(place)} ` +
      `${this.kind[id] === START ? "" : changes.join(" ").toLowerCase()} ` +
      `${this.extra(id).detail || ""}`
    );
  }
}

function lowerBound(sorted, value) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function upperBound(sorted, value) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

// Changes: ["=", value], ["map", items, removed], ["set", added, removed],
// ["log", start, kept, appended, cut]. Values are never altered in place: versions share them.
function applyChange(state, path, change) {
  const [name, ...rest] = path;
  if (rest.length) {
    const inner = { ...(isObject(state[name]) ? state[name] : {}) };
    applyChange(inner, rest, change);
    state[name] = inner;
  } else {
    state[name] = changed(state[name], change);
  }
}

function changed(old, change) {
  const held = (key) => (isObject(old) && Array.isArray(old[key]) ? old[key] : []);
  if (change[0] === "=") return change[1];
  if (change[0] === "map") {
    const table = new Map(held("$map").map((item) => [JSON.stringify(item[0]), item]));
    for (const item of change[1]) table.set(JSON.stringify(item[0]), item);
    for (const key of change[2]) table.delete(JSON.stringify(key));
    return { $map: inOrder([...table.values()]) };
  }
  if (change[0] === "set") {
    const table = new Map(held("$set").map((element) => [JSON.stringify(element), element]));
    for (const element of change[1]) table.set(JSON.stringify(element), element);
    for (const element of change[2]) table.delete(JSON.stringify(element));
    return { $set: inOrder([...table.values()]) };
  }
  const [, start, kept, appended] = change;
  const items = held("$log");
  const base = items.length ? old.start : start;
  const stay = items.slice(Math.max(start - base, 0), Math.max(kept - base, 0));
  return { $log: [...stay, ...appended], start };
}

function isObject(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

function inOrder(values) {
  return values.sort(compare);
}

function compare(one, other) {
  if (Array.isArray(one) && Array.isArray(other)) {
    for (let i = 0; i < Math.min(one.length, other.length); i++) {
      const order = compare(one[i], other[i]);
      if (order) return order;
    }
    return one.length - other.length;
  }
  if (typeof one === typeof other && !isObject(one)) return one < other ? -1 : one > other ? 1 : 0;
  const [a, b] = [JSON.stringify(one), JSON.stringify(other)];
  return a < b ? -1 : a > b ? 1 : 0;
}
