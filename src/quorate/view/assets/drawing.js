// What the diagram looks like: lanes, messages, steps, notes, heads and overview. Where things are
// is known to `Diagram`, which extends this class.

const HEAD = 40; // Height of the band with the nodes' names.
const PAD = 20; // Above the first row and below the last.
const CLIENT = 0.62; // The width of a client's lane, in that of a server's.
const ROW = 27; // Height of a row as the page opens.
const MOST_MESSAGES = 2500; // More than these at once are sampled: nobody could tell them apart.

class Drawing extends Pen {
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
      if (below > above)
        for (const lane of lanes) this.hatch(this.x(lane) - width / 2, above, width, below - above);
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

  // The role that comes last, as a leader does, has the strongest colour.
  roleColour(role) {
    const { colour, model } = this;
    return [colour.role, colour.timer, colour.disk, colour.message][
      (model.roles.length - 1 - role) % 4
    ];
  }

  drawMessages() {
    const { context, colour, projection } = this;
    const styles = { plain: [], again: [], lost: [], flying: [], chosen: [] };
    projection.eachMessage(this.first, this.last, MOST_MESSAGES, (message) => {
      const isChosen =
        message.from === this.selected || (message.to >= 0 && message.to === this.selected);
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
      const ink =
        { lost: colour.fault, flying: colour.faint, chosen: colour.accent }[name] || colour.message;
      for (const message of list) this.drawTip(message, ink);
    }
  }

  // The two ends of a message on the canvas.
  ends(message) {
    const { projection } = this;
    const y1 = this.y(projection.leaves(message));
    const x1 = this.x(message.source);
    if (!message.isLost)
      return [x1, y1, this.x(message.target), this.y(projection.arrives(message))];
    const way = this.x(message.target) - x1;
    const run = Math.min(Math.abs(way), this.step) * (message.lost ? 0.62 : 0.3);
    // Those to farther nodes fall deeper, or they would cover each other.
    const apart = Math.abs(message.target - message.source) - 1;
    const fall =
      Math.min(this.projection.byTime ? 14 : this.zoom * 0.5, 14) + Math.min(apart, 4) * 4;
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
      if (this.zoom >= 15 && y2 - y1 < 4 * ROW)
        this.label(name, x2 + 13, y2 - 6, 0, "left", this.step - 16, ink);
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
    if (gap < 50 || (message.isLost && !this.isTold(message))) return;
    // The name stands on the line, halfway between the last two lanes that it crosses.
    const way = Math.sign(x2 - x1);
    const middle = message.isLost ? (x1 + x2) / 2 : x2 - (way * gap) / 2;
    const y = y1 + ((middle - x1) / (x2 - x1)) * (y2 - y1);
    const isFlat = Math.abs(y2 - y1) < Math.abs(x2 - x1) * 0.9;
    if (!isFlat)
      this.label(name, x2 - way * 14, y2 - 3, 0, way > 0 ? "right" : "left", gap - 20, ink);
    else
      this.label(
        name,
        middle,
        y,
        way > 0 ? angle : angle + Math.PI,
        "center",
        (message.isLost ? this.step : gap) - 18,
        ink,
      );
  }

  // A lost message is named unless one like it arrives somewhere and is named there.
  isTold(message) {
    const type = this.model.contents[message.content][0];
    const like = this.model
      .sends(message.from)
      .filter((one) => this.model.contents[one.content][0] === type);
    return (
      message.lost !== "" &&
      !like.some(
        (one) => one.to >= 0 && one.source !== one.target && this.projection.rowOf[one.to] >= 0,
      )
    );
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
        const isSpecial =
          entry === model.violation ||
          entry === this.selected ||
          this.matches.has(entry) ||
          model.kind[entry] === FAULT ||
          this.told.has(entry);
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
    const names = most.map(([name, count]) => `${count} ${escapeText(name)}`);
    const text = `${ids.length} steps: ${names.join(", ")}…`;
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

  drawNote(id, y) {
    const { model, colour, context } = this;
    if (!this.isClose) return;
    if (id === model.violation) {
      this.text(`violates ${escapeText(model.header.violation.property)}`, y, colour.fault);
      return;
    }
    if (model.kind[id] === FAULT) this.text(note(model, id), y, colour.fault);
    else if (this.notesWidth >= 140) this.drawChanges(id, y);
    if (model.becomes.has(id) && this.notesWidth < 140) {
      context.font = `600 11px ${colour.sans}`;
      context.lineWidth = 3;
      context.strokeStyle = colour.ground;
      context.fillStyle = this.roleColour(model.steps[id][8]);
      const isFirst = model.lane[id] === this.projection.lanes[0];
      context.textAlign = isFirst ? "left" : "right";
      const x = this.x(model.lane[id]) + (isFirst ? 9 : -9);
      const role = this.fitted(escapeText(model.role(id)), this.step - 14);
      context.strokeText(role, x, y + 13);
      context.fillText(role, x, y + 13);
    }
  }

  // What a step changed; first of all its node's role.
  drawChanges(id, y) {
    const { context, model, colour } = this;
    const text = note(model, id);
    if (!model.becomes.has(id)) {
      this.text(text, y, colour.soft);
      return;
    }
    const role = escapeText(model.role(id));
    const rest = text.split("  ").filter((part) => !part.endsWith(`=${role}`));
    context.font = `600 12px ${colour.sans}`;
    context.textAlign = "left";
    context.fillStyle = this.roleColour(model.steps[id][8]);
    const shown = this.fitted(role, this.notesWidth - 4);
    context.fillText(shown, this.lanesEnd + 4, y + 4);
    const used = context.measureText(shown).width + 10;
    context.font = `12px ${colour.sans}`;
    context.fillStyle = colour.soft;
    if (this.notesWidth - used > 60)
      context.fillText(
        this.fitted(rest.join("  "), this.notesWidth - used - 4),
        this.lanesEnd + 4 + used,
        y + 4,
      );
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
    const x = lane < 0 ? this.gutter + 5 : this.x(lane);
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

  // The nodes' names, with the roles that they have at the upper edge.
  drawHeads() {
    const { context, colour, model } = this;
    context.fillStyle = colour.panel;
    context.fillRect(0, 0, this.width, HEAD);
    context.fillStyle = colour.line;
    context.fillRect(0, HEAD - 1, this.width, 1);
    context.textAlign = "center";
    const entry =
      this.projection.rows[
        Math.min(
          this.projection.rowAt(this.placeAt(HEAD + PAD - 2)),
          this.projection.rows.length - 1,
        )
      ];
    const id = Array.isArray(entry) ? entry[0] : entry;
    for (const lane of this.projection.lanes) {
      const name = model.lanes[lane];
      const width = lane < model.servers ? this.step : this.step * CLIENT;
      const span = model.spans[lane].find((one) => one.to > id);
      const role =
        span && (span.state === "up" ? (span.role ? model.roles[span.role] : "") : span.state);
      const isSmall = width < 44;
      context.font = `600 ${isSmall ? 12 : 13}px ${colour.sans}`;
      context.fillStyle = colour.ink;
      context.fillText(
        shorten(escapeText(name), Math.max(2, Math.floor(width / 8))),
        this.x(lane),
        role ? 17 : 24,
      );
      if (!role) continue;
      context.font = SMALL + colour.sans;
      context.fillStyle = span.state === "up" ? this.roleColour(span.role) : colour.fault;
      context.fillText(
        shorten(escapeText(role), Math.max(3, Math.floor(width / 6.2))),
        this.x(lane),
        32,
      );
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
      else if (model.kind[entry] === INVOKE && projection.rows.length < 2000)
        tick(row, colour.line, 1);
    });
    for (const id of this.matches)
      if (projection.rowOf[id] >= 0) tick(projection.rowOf[id], colour.match, 2);
    if (projection.rowOf[model.violation] >= 0)
      tick(projection.rowOf[model.violation], colour.fault, 4);
    return image;
  }
}
