// The space-time diagram on a canvas. It draws only what is in view, and less of it from afar.

const HEAD = 40; // Height of the band with the nodes' names.
const PAD = 20; // Above the first row and below the last.
const MAP = 12; // Width of the overview at the right edge.
const ROW = 27; // Height of a row as the page opens.
const CLIENT = 0.62; // The width of a client's lane, in that of a server's.
const MOST_MESSAGES = 2500; // More than these at once are sampled: nobody could tell them apart.
const SMALL = "11px ";

class Diagram {
  constructor(canvas, model, onSelect) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.model = model;
    this.onSelect = onSelect;
    this.selected = -1;
    this.matches = new Set();
    this.told = new Set(); // Steps that the checker's explanation names.
    this.top = 0; // The place at the upper edge.
    this.zoom = ROW; // Pixels per row, or per millisecond.
    this.readColours();
    this.cuts = this.cutEpisodes();
    new ResizeObserver(() => this.resize()).observe(canvas.parentElement);
  }

  readColours() {
    const style = getComputedStyle(document.documentElement);
    const names = ["ground", "panel", "ink", "soft", "faint", "line", "lane", "accent", "wash", "message", "timer",
      "client", "disk", "fault", "fault-wash", "pause-wash", "role", "match", "sans", "mono"];
    this.colour = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    const { role, timer, disk, message } = this.colour;
    this.roleColours = new Map(this.model.busiestRoles().map((one, rank) => [one, [role, timer, disk, message][rank % 4]]));
    this.mapImage = null;
    this.redraw();
  }

  show(projection, keep = this.selected) {
    const before = keep >= 0 && this.projection ? this.yOf(keep) : null;
    const sameScale = this.projection && this.projection.byTime === projection.byTime;
    this.projection = projection;
    this.mapImage = null;
    this.layOut();
    this.firstIds = projection.rows.map((row) => (Array.isArray(row) ? row[0] : row));
    if (!sameScale) this.fit(true);
    if (keep >= 0) this.reveal(keep, before);
    this.pan(0);
  }

  resize() {
    const { width, height } = this.canvas.parentElement.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    const isFirst = !this.width;
    const keepsEnd = !isFirst && this.projection && this.selected >= 0;
    Object.assign(this, { width, height, ratio });
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.layOut();
    this.mapImage = null;
    if (this.projection) {
      if (isFirst) this.fit(true);
      if (keepsEnd || isFirst) this.reveal(this.selected, null);
      this.pan(0);
    }
  }

  // Columns: times, lanes (a client's is narrower), notes, overview.
  layOut() {
    if (!this.projection || !this.width) return;
    const { lanes } = this.projection;
    const weights = lanes.map((lane) => (lane < this.model.servers ? 1 : CLIENT));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    this.gutter = this.width < 600 ? 44 : 62;
    const room = this.width - this.gutter - MAP - 4;
    const ideal = Math.max(room - 330, room * 0.6);
    this.step = Math.min((this.width < 640 ? room : ideal) / total, 170);
    if (this.width < 640) this.step = room / total;
    this.columns = this.model.lanes.map(() => NaN);
    let edge = this.gutter;
    lanes.forEach((lane, index) => {
      this.columns[lane] = edge + (this.step * weights[index]) / 2;
      edge += this.step * weights[index];
    });
    this.lanesEnd = edge;
    this.notesWidth = this.width - MAP - 8 - this.lanesEnd;
  }

  // Coordinates

  x(lane) { return this.columns[lane]; }
  y(place) { return HEAD + PAD + (place - this.top) * this.zoom; }
  placeAt(y) { return (y - HEAD - PAD) / this.zoom + this.top; }

  // The place of a step, shown or not.
  placeOf(id) {
    const { projection, model } = this;
    if (projection.byTime) return id >= model.count ? projection.length : model.time[Math.max(id, 0)];
    const row = id < model.count ? projection.rowOf[id] : -1;
    return row >= 0 ? row : lowerBound(this.firstIds, id) - 0.5;
  }

  yOf(id) { return this.y(this.placeOf(id)); }

  get inner() { return this.height - HEAD - 2 * PAD; }

  fitZoom() { return this.inner / Math.max(this.projection.length, this.projection.byTime ? 0.001 : 1); }

  // Everything at once; when the page opens, only as far as rows stay readable.
  fit(readable = false) {
    const all = this.fitZoom();
    if (!this.projection.byTime) this.zoom = readable ? Math.max(Math.min(all, 34), ROW) : Math.min(all, 34);
    else this.zoom = readable ? Math.max(all, Math.min((this.projection.rows.length * 12) / this.projection.length, all * 400)) : all;
    this.top = 0;
    this.pan(0);
  }

  pan(pixels) {
    const most = this.projection.length - this.inner / this.zoom;
    this.top = Math.max(0, Math.min(this.top + pixels / this.zoom, most));
    this.redraw();
  }

  zoomBy(factor, y = HEAD + this.inner / 2) {
    const place = this.placeAt(y);
    const least = Math.min(this.fitZoom(), ROW);
    const most = this.projection.byTime ? Math.max(least * 100000, 400) : 64;
    this.zoom = Math.max(least, Math.min(this.zoom * factor, most));
    this.top = place - (y - HEAD - PAD) / this.zoom;
    this.pan(0);
  }

  // Scroll so that a step is in view: where it was before, or comfortably inside.
  reveal(id, y = undefined) {
    if (id < 0 || !this.projection) return;
    const now = this.yOf(id);
    const margin = Math.min(80, this.inner / 4);
    const isSeen = now > HEAD + margin && now < this.height - margin;
    if (y !== undefined && y !== null && y > HEAD && y < this.height) this.top += (now - y) / this.zoom;
    else if (!isSeen) this.top = this.placeOf(id) - (this.inner * 0.6) / this.zoom;
    this.pan(0);
  }

  // The step that is drawn nearest to a point, or -1.
  hit(x, y) {
    const { projection, model } = this;
    if (y < HEAD) return -1;
    const reach = Math.max(13, projection.byTime ? 0 : this.zoom / 2);
    const first = projection.rowAt(this.placeAt(y - reach));
    let best = -1;
    let least = Infinity;
    for (let row = first; row < projection.rows.length; row++) {
      const dy = Math.abs(this.y(projection.place[row]) - y);
      if (this.y(projection.place[row]) > y + reach || row > first + 5000) break;
      const entry = projection.rows[row];
      const lane = Array.isArray(entry) ? -1 : model.lane[entry];
      const dx = lane < 0 || x > this.lanesEnd ? 0 : Math.abs(this.x(lane) - x);
      const distance = dy + Math.min(dx, 200) * 0.12;
      if (distance < least) [best, least] = [entry, distance];
    }
    return best;
  }

  // Drawing

  redraw() {
    if (this.pending || !this.projection || !this.width) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      this.draw();
      if (!this.hasDrawn) performance.measure("first draw", { start: 0 });
      this.hasDrawn = true;
    });
  }

  draw() {
    const { context, projection } = this;
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.fillStyle = this.colour.ground;
    context.fillRect(0, 0, this.width, this.height);
    this.first = Math.max(projection.rowAt(this.placeAt(HEAD - 20)) - 1, 0);
    this.last = Math.min(projection.rowAt(this.placeAt(this.height + 20)) + 1, projection.rows.length - 1);
    this.isClose = this.height / Math.max(this.last - this.first, 1) > 9;
    this.drawTint();
    this.drawLanes();
    this.drawMessages();
    this.drawRows();
    this.drawHeads();
    this.drawMap();
  }

  // Behind it all: the selected row.
  drawTint() {
    if (this.selected < 0 || this.projection.rowOf[this.selected] < 0) return;
    const height = this.projection.byTime ? 18 : Math.max(Math.min(this.zoom, 30), 3);
    this.context.fillStyle = this.colour.wash;
    this.context.fillRect(0, this.yOf(this.selected) - height / 2, this.width, height);
  }

  drawLanes() {
    const { context, model, colour } = this;
    const end = this.y(this.projection.length) + PAD;
    const width = Math.min(this.step * 0.72, 64);
    const clip = (from, to) => [
      Math.max(from <= 0 ? HEAD : this.yOf(from), HEAD),
      Math.min(to >= model.count ? end : this.yOf(to), this.height),
    ];
    for (const { lanes, from, to } of this.cuts) {
      const [above, below] = clip(from, to);
      if (below > above) for (const lane of lanes) this.hatch(this.x(lane) - width / 2, above, width, below - above);
    }
    for (const lane of this.projection.lanes) {
      const x = this.x(lane);
      for (const span of model.spans[lane]) {
        const [above, below] = clip(span.from, span.to);
        if (below <= above) continue;
        if (span.state !== "up") {
          context.fillStyle = span.state === "down" ? colour["fault-wash"] : colour["pause-wash"];
          context.fillRect(x - width / 2, above, width, below - above);
        }
        if (span.state === "down") continue;
        context.strokeStyle = span.role ? this.roleColour(span.role) : colour.lane;
        context.lineWidth = span.role ? 4 : 1.5;
        context.setLineDash(span.state === "paused" ? [2, 5] : []);
        this.line(x, above, x, below);
      }
    }
    context.setLineDash([]);
  }

  roleColour(role) { return this.roleColours.get(role); }

  // For each cut, the nodes that all of its links touch, or else all that any touches.
  cutEpisodes() {
    const episodes = new Map();
    for (const { link, from, to } of this.model.cuts) {
      const ends = link.split("→").map((node) => this.model.lanes.indexOf(node));
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

  hatch(x, y, width, height) {
    const { context } = this;
    context.save();
    context.beginPath();
    context.rect(x, y, width, height);
    context.clip();
    context.fillStyle = this.colour["fault-wash"];
    context.fillRect(x, y, width, height);
    context.strokeStyle = this.colour.fault;
    context.globalAlpha = 0.22;
    context.lineWidth = 1;
    context.beginPath();
    for (let offset = -width - (this.y(0) % 10); offset < height + 10; offset += 10) {
      context.moveTo(x, y + offset + width);
      context.lineTo(x + width, y + offset);
    }
    context.stroke();
    context.restore();
  }

  drawMessages() {
    const { context, colour, projection } = this;
    const styles = { plain: [], again: [], lost: [], flying: [], chosen: [] };
    projection.eachMessage(this.first, this.last, MOST_MESSAGES, (message) => {
      const isChosen = message.from === this.selected || (message.to >= 0 && message.to === this.selected);
      const isAgain = message.label.includes(" again #");
      if (isChosen && !message.isLost) styles.chosen.push(message);
      else if (message.isLost) styles[message.lost ? "lost" : "flying"].push(message);
      else styles[isAgain ? "again" : "plain"].push(message);
    });
    const few = styles.plain.length < 600;
    this.strokes(styles.plain, colour.message, 1.2, [], few ? 0.85 : 0.35);
    this.strokes(styles.again, colour.message, 1.4, [5, 4], 0.9);
    this.strokes(styles.flying, colour.faint, 1.2, [2, 4], 0.8);
    this.strokes(styles.lost, colour.fault, 1.4, [5, 3], few ? 0.9 : 0.4);
    this.strokes(styles.chosen, colour.accent, 2.4, [], 1);
    if (!this.isClose) return;
    for (const [name, list] of Object.entries(styles)) {
      const ink = { lost: colour.fault, flying: colour.faint, chosen: colour.accent }[name] || colour.message;
      for (const message of list) this.drawTip(message, ink);
    }
  }

  // The two ends of a message on the canvas.
  ends(message) {
    const { projection } = this;
    const y1 = this.y(projection.leaves(message));
    const x1 = this.x(message.source);
    if (!message.isLost) return [x1, y1, this.x(message.target), this.y(projection.arrives(message))];
    const way = this.x(message.target) - x1;
    const run = Math.min(Math.abs(way), this.step) * (message.lost ? 0.62 : 0.3);
    const apart = Math.abs(message.target - message.source) - 1; // Or several would cover each other.
    const fall = Math.min(this.projection.byTime ? 14 : this.zoom * 0.5, 14) + Math.min(apart, 4) * 4;
    return [x1, y1, x1 + Math.sign(way || 1) * run, y1 + fall];
  }

  strokes(messages, ink, width, dash, alpha) {
    const { context } = this;
    if (!messages.length) return;
    context.strokeStyle = ink;
    context.lineWidth = width;
    context.globalAlpha = alpha;
    context.setLineDash(dash);
    context.beginPath();
    for (const message of messages) {
      const [x1, y1, x2, y2] = this.ends(message);
      context.moveTo(x1, y1);
      if (message.own && !message.isLost) {
        const out = Math.min(this.step * 0.3, 26);
        context.bezierCurveTo(x1 + out, y1 + 3, x1 + out, y2 - 3, x2, y2);
      } else {
        context.lineTo(x2, y2);
      }
    }
    context.stroke();
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  // An arrow's head, or the cross where a message was lost, and the name of its type.
  drawTip(message, ink) {
    const { context } = this;
    const [x1, y1, x2, y2] = this.ends(message);
    const name = escapeText(this.model.contents[message.content][0]);
    context.fillStyle = context.strokeStyle = ink;
    if (message.own && !message.isLost) {
      if (this.zoom >= 15 && y2 - y1 < 4 * ROW) this.label(name, x2 + 13, y2 - 6, 0, "left", this.step - 16, ink);
      return;
    }
    const angle = Math.atan2(y2 - y1, x2 - x1);
    if (message.isLost) {
      if (message.lost) {
        context.lineWidth = 2;
        this.line(x2 - 4, y2 - 4, x2 + 4, y2 + 4);
        this.line(x2 - 4, y2 + 4, x2 + 4, y2 - 4);
      }
    } else {
      const [tx, ty] = [x2 - 5 * Math.cos(angle), y2 - 5 * Math.sin(angle)];
      context.beginPath();
      context.moveTo(tx, ty);
      context.lineTo(tx - 8 * Math.cos(angle - 0.4), ty - 8 * Math.sin(angle - 0.4));
      context.lineTo(tx - 8 * Math.cos(angle + 0.4), ty - 8 * Math.sin(angle + 0.4));
      context.fill();
    }
    const gap = Math.min(this.step, Math.abs(x2 - x1));
    if (gap < 50 || (message.isLost && !message.lost)) return;
    // The name stands on the line, halfway between the last two lanes that it crosses.
    const way = Math.sign(x2 - x1);
    const middle = message.isLost ? (x1 + x2) / 2 : x2 - (way * gap) / 2;
    const y = y1 + ((middle - x1) / (x2 - x1)) * (y2 - y1);
    const isFlat = Math.abs(y2 - y1) < Math.abs(x2 - x1) * 0.9;
    if (!isFlat) this.label(name, x2 - way * 14, y2 - 3, 0, way > 0 ? "right" : "left", gap - 20, ink);
    else this.label(name, middle, y, way > 0 ? angle : angle + Math.PI, "center", (message.isLost ? this.step : gap) - 18, ink);
  }

  label(text, x, y, angle, align, room, ink) {
    const { context } = this;
    if (y < HEAD - 10 || y > this.height + 10) return;
    const most = Math.floor(room / 5.6);
    if (most < 4) return;
    context.save();
    context.translate(x, y);
    context.rotate(angle);
    context.font = SMALL + this.colour.sans;
    context.textAlign = align;
    context.lineWidth = 3;
    context.lineJoin = "round";
    context.strokeStyle = this.colour.ground;
    context.strokeText(shorten(text, most), 0, -3.5);
    context.fillStyle = ink;
    context.fillText(shorten(text, most), 0, -3.5);
    context.restore();
  }

  drawRows() {
    const { context, projection, model } = this;
    const lastY = new Map(); // By lane: steps that would cover one another are drawn once.
    let lastText = -Infinity;
    let lastTime = "";
    for (let row = this.first; row <= this.last; row++) {
      const entry = projection.rows[row];
      const y = this.y(projection.place[row]);
      const isText = y - lastText >= 13.5;
      if (Array.isArray(entry)) {
        if (isText) this.drawFold(entry, y);
      } else {
        const lane = model.lane[entry];
        const isSpecial = entry === model.violation || entry === this.selected || this.matches.has(entry) ||
          model.kind[entry] === FAULT || this.told.has(entry);
        if (!isSpecial && y - (lastY.get(lane) ?? -Infinity) < 0.7) continue;
        lastY.set(lane, y);
        this.drawMark(entry, y);
        if (isText) this.drawNote(entry, y);
      }
      if (isText && this.isClose) {
        const time = showTime(model.time[Array.isArray(entry) ? entry[0] : entry]);
        if (time !== lastTime) this.drawTime(time, y);
        lastTime = time;
        lastText = y;
      }
    }
    if (!this.isClose) this.drawScale();
    context.textAlign = "left";
  }

  drawTime(time, y) {
    const { context } = this;
    context.font = SMALL + this.colour.sans;
    context.textAlign = "right";
    context.fillStyle = this.colour.faint;
    context.fillText(time, this.gutter - 8, y + 4);
  }

  // From afar, a time now and then.
  drawScale() {
    for (let y = HEAD + PAD; y < this.height; y += 60) {
      if (this.projection.byTime) {
        this.drawTime(showTime(this.placeAt(y)), y);
        continue;
      }
      const row = this.projection.rowAt(this.placeAt(y));
      if (row >= this.projection.rows.length) break;
      const entry = this.projection.rows[row];
      this.drawTime(showTime(this.model.time[Array.isArray(entry) ? entry[0] : entry]), y);
    }
  }

  drawFold(ids, y) {
    const { context, model } = this;
    const counts = new Map();
    for (const id of ids) counts.set(model.type(id), (counts.get(model.type(id)) || 0) + 1);
    const most = [...counts].sort((one, other) => other[1] - one[1]).slice(0, 2);
    const text = `${ids.length} steps: ${most.map(([name, count]) => `${count} ${escapeText(name)}`).join(", ")}…`;
    context.fillStyle = this.colour.ground;
    for (const lane of this.projection.lanes) context.fillRect(this.x(lane) - 3, y - 5, 6, 10);
    context.fillStyle = this.colour.faint;
    for (const lane of this.projection.lanes) {
      for (const dy of [-4, 0, 4]) context.fillRect(this.x(lane) - 0.75, y + dy - 0.75, 1.5, 1.5);
    }
    if (this.isClose) this.text(text, y, this.colour.faint);
  }

  // To the right of the lanes, or across them where there is no such room.
  text(text, y, ink) {
    const { context } = this;
    context.font = `12px ${this.colour.sans}`;
    context.textAlign = "left";
    if (this.notesWidth >= 140) {
      context.fillStyle = ink;
      context.fillText(this.fitted(text, this.notesWidth - 4), this.lanesEnd + 4, y + 4);
      return;
    }
    const short = this.fitted(text, this.lanesEnd - this.gutter - 16);
    const width = context.measureText(short).width;
    const x = this.gutter + (this.lanesEnd - this.gutter - width) / 2;
    context.fillStyle = this.colour.panel;
    context.fillRect(x - 5, y - 9, width + 10, 18);
    context.fillStyle = ink;
    context.fillText(short, x, y + 4);
  }

  // As much of a text as has room.
  fitted(text, room) {
    const width = this.context.measureText(text).width;
    return width <= room ? text : shorten(text, Math.floor((text.length * room) / width) - 1);
  }

  drawNote(id, y) {
    const { model, colour, context } = this;
    if (!this.isClose) return;
    if (id === model.violation) {
      this.text(`violates ${escapeText(model.header.violation.property)}`, y, colour.fault);
      return;
    }
    if (model.kind[id] === FAULT) this.text(note(model, id), y, colour.fault);
    else if (this.notesWidth >= 140) this.text(note(model, id), y, colour.soft);
    if (model.becomes.has(id)) {
      context.font = `600 11px ${colour.sans}`;
      context.textAlign = "right";
      context.lineWidth = 3;
      context.strokeStyle = colour.ground;
      context.fillStyle = this.roleColour(model.steps[id][8]) || colour.soft;
      context.strokeText(escapeText(model.role(id)), this.x(model.lane[id]) - 9, y + 12);
      context.fillText(escapeText(model.role(id)), this.x(model.lane[id]) - 9, y + 12);
    }
  }

  drawMark(id, y) {
    const { context, model, colour } = this;
    const lane = model.lane[id];
    const isFault = model.kind[id] === FAULT;
    if (isFault && lane < 0) {
      context.strokeStyle = model.type(id) === "heal" ? colour.client : colour.fault;
      context.lineWidth = 1;
      context.setLineDash([3, 3]);
      this.line(this.gutter, y, this.lanesEnd, y);
      context.setLineDash([]);
    }
    const x = lane < 0 ? this.gutter : this.x(lane);
    const size = this.isClose ? 4.5 : Math.max(1.5, Math.min(this.zoom / 2, 3));
    if (this.matches.has(id)) this.ring(x, y, size + 4, colour.match, 3);
    if (id === model.violation) {
      context.strokeStyle = colour.fault;
      context.lineWidth = 1;
      this.line(this.gutter, y, this.lanesEnd, y);
      this.ring(x, y, size + 5, colour.fault, 2.5);
    }
    if (this.told.has(id)) this.ring(x, y, size + 3.5, colour.fault, 1.5);
    if (id === this.selected) this.ring(x, y, size + 3.5, colour.accent, 2.5);
    if (isFault) this.drawFault(id, x, y);
    else this.drawShape(model.kind[id], x, y, size);
  }

  drawFault(id, x, y) {
    const { context, colour, model } = this;
    const type = model.type(id);
    const isGood = ["restart", "heal", "resume"].includes(type);
    context.fillStyle = isGood ? colour.client : colour.fault;
    context.beginPath();
    context.arc(x, y, this.isClose ? 8.5 : 3, 0, 7);
    context.fill();
    if (!this.isClose) return;
    context.font = `bold 12px ${colour.sans}`;
    context.textAlign = "center";
    context.fillStyle = colour.ground;
    context.fillText(FAULT_MARKS[type] || "!", x, y + 4.3);
  }

  // A circle for a message, a ring for a timer, a square for the disk, a diamond for a client.
  drawShape(kind, x, y, size) {
    const { context, colour } = this;
    if (size < 3) { // From afar all are dots.
      context.fillStyle = { [FIRE]: colour.timer, [START]: colour.client, [INVOKE]: colour.client, [DELIVER]: colour.message }[kind] || colour.disk;
      context.fillRect(x - size, y - size / 2, 2 * size, size);
      return;
    }
    context.beginPath();
    if (kind === DELIVER || kind === START) {
      context.fillStyle = kind === START ? colour.client : colour.message;
      context.arc(x, y, size, 0, 7);
    } else if (kind === FIRE) {
      context.fillStyle = colour.timer;
      context.arc(x, y, size + 0.5, 0, 7);
    } else if (kind === INVOKE) {
      context.fillStyle = colour.client;
      const half = size + 1.5;
      context.moveTo(x, y - half);
      context.lineTo(x + half, y);
      context.lineTo(x, y + half);
      context.lineTo(x - half, y);
    } else {
      context.fillStyle = colour.disk;
      context.rect(x - size + 1.5, y - size + 1.5, 2 * size - 3, 2 * size - 3);
    }
    context.fill();
    if (kind === FIRE) {
      context.fillStyle = colour.ground;
      context.beginPath();
      context.arc(x, y, size - 1.8, 0, 7);
      context.fill();
    }
  }

  ring(x, y, radius, ink, width) {
    const { context } = this;
    context.strokeStyle = ink;
    context.lineWidth = width;
    context.beginPath();
    context.arc(x, y, radius, 0, 7);
    context.stroke();
  }

  line(x1, y1, x2, y2) {
    this.context.beginPath();
    this.context.moveTo(x1, y1);
    this.context.lineTo(x2, y2);
    this.context.stroke();
  }

  // The nodes' names, with the roles that they have at the upper edge.
  drawHeads() {
    const { context, colour, model } = this;
    context.fillStyle = colour.panel;
    context.fillRect(0, 0, this.width, HEAD);
    context.fillStyle = colour.line;
    context.fillRect(0, HEAD - 1, this.width, 1);
    context.textAlign = "center";
    const entry = this.projection.rows[Math.min(this.projection.rowAt(this.placeAt(HEAD + PAD - 2)), this.projection.rows.length - 1)];
    const id = Array.isArray(entry) ? entry[0] : entry;
    for (const lane of this.projection.lanes) {
      const name = model.lanes[lane];
      const width = lane < model.servers ? this.step : this.step * CLIENT;
      const span = model.spans[lane].find((one) => one.to > id);
      const role = span && (span.state === "up" ? (span.role ? model.roles[span.role] : "") : span.state);
      const isSmall = width < 44;
      context.font = `600 ${isSmall ? 12 : 13}px ${colour.sans}`;
      context.fillStyle = colour.ink;
      context.fillText(shorten(escapeText(name), Math.max(2, Math.floor(width / 8))), this.x(lane), role ? 17 : 24);
      if (!role) continue;
      context.font = SMALL + colour.sans;
      context.fillStyle = span.state === "up" ? this.roleColour(span.role) : colour.fault;
      context.fillText(shorten(escapeText(role), Math.max(3, Math.floor(width / 6.2))), this.x(lane), 32);
    }
    context.textAlign = "right";
    context.font = SMALL + colour.sans;
    context.fillStyle = colour.faint;
    context.fillText("ms", this.gutter - 8, 24);
    context.textAlign = "left";
  }

  // The overview: where in the whole one is, and where the faults are.
  drawMap() {
    const height = this.height - HEAD;
    if (!this.mapImage) this.mapImage = this.paintMap(height);
    const { context, colour } = this;
    const x = this.width - MAP;
    context.drawImage(this.mapImage, x, HEAD, MAP, height);
    const share = (place) => HEAD + (place / Math.max(this.projection.length, 1e-9)) * height;
    const above = share(this.top);
    const below = share(Math.min(this.top + this.inner / this.zoom, this.projection.length));
    context.fillStyle = colour.accent;
    context.globalAlpha = 0.22;
    context.fillRect(x, above, MAP, Math.max(below - above, 4));
    context.globalAlpha = 1;
  }

  paintMap(height) {
    const { projection, model, colour } = this;
    const image = document.createElement("canvas");
    image.width = MAP * this.ratio;
    image.height = Math.max(height * this.ratio, 1);
    const paint = image.getContext("2d");
    paint.scale(this.ratio, this.ratio);
    paint.fillStyle = colour.panel;
    paint.fillRect(0, 0, MAP, height);
    const tick = (row, ink, thick) => {
      paint.fillStyle = ink;
      const y = (projection.place[row] / Math.max(projection.length, 1e-9)) * (height - thick);
      paint.fillRect(2, y, MAP - 4, thick);
    };
    projection.rows.forEach((entry, row) => {
      if (Array.isArray(entry)) return;
      if (model.kind[entry] === FAULT) tick(row, colour.fault, 1.5);
      else if (model.kind[entry] === INVOKE && projection.rows.length < 2000) tick(row, colour.line, 1);
    });
    for (const id of this.matches) if (projection.rowOf[id] >= 0) tick(projection.rowOf[id], colour.match, 2);
    if (projection.rowOf[model.violation] >= 0) tick(projection.rowOf[model.violation], colour.fault, 4);
    return image;
  }

  goTo(y) {
    const share = (y - HEAD) / Math.max(this.height - HEAD, 1);
    this.top = share * this.projection.length - this.inner / this.zoom / 2;
    this.pan(0);
  }
}
