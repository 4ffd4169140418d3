// The space-time diagram: which part of it is in view, at what scale, and what is under a pointer.
// It draws only what is in view, and less of it from afar.

class Diagram extends Drawing {
  constructor(canvas, model) {
    super();
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.model = model;
    this.selected = -1;
    this.matches = new Set();
    this.told = new Set(); // Steps that the checker's explanation names.
    this.top = 0; // The place at the upper edge.
    this.zoom = ROW; // Pixels per row, or per millisecond.
    this.readColours();
    this.cuts = model.cutEpisodes();
    new ResizeObserver(() => this.resize()).observe(canvas.parentElement);
  }

  readColours() {
    const style = getComputedStyle(document.documentElement);
    const names = [
      "ground",
      "panel",
      "ink",
      "soft",
      "faint",
      "line",
      "lane",
      "accent",
      "wash",
      "message",
      "timer",
      "client",
      "disk",
      "fault",
      "fault-wash",
      "pause-wash",
      "role",
      "match",
      "sans",
      "mono",
    ];
    this.colour = Object.fromEntries(
      names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]),
    );
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

  x(lane) {
    return this.columns[lane];
  }
  y(place) {
    return HEAD + PAD + (place - this.top) * this.zoom;
  }
  placeAt(y) {
    return (y - HEAD - PAD) / this.zoom + this.top;
  }

  // The place of a step, shown or not.
  placeOf(id) {
    const { projection, model } = this;
    if (projection.byTime)
      return id >= model.count ? projection.length : model.time[Math.max(id, 0)];
    const row = id < model.count ? projection.rowOf[id] : -1;
    return row >= 0 ? row : lowerBound(this.firstIds, id) - 0.5;
  }

  yOf(id) {
    return this.y(this.placeOf(id));
  }

  get inner() {
    return this.height - HEAD - 2 * PAD;
  }

  fitZoom() {
    return this.inner / Math.max(this.projection.length, this.projection.byTime ? 0.001 : 1);
  }

  // Everything at once; when the page opens, only as far as rows stay readable.
  fit(readable = false) {
    const all = this.fitZoom();
    if (!this.projection.byTime)
      this.zoom = readable ? Math.max(Math.min(all, 34), ROW) : Math.min(all, 34);
    else
      this.zoom = readable
        ? Math.max(
            all,
            Math.min((this.projection.rows.length * 12) / this.projection.length, all * 400),
          )
        : all;
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
    if (y !== undefined && y !== null && y > HEAD && y < this.height)
      this.top += (now - y) / this.zoom;
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
    this.last = Math.min(
      projection.rowAt(this.placeAt(this.height + 20)) + 1,
      projection.rows.length - 1,
    );
    this.isClose = this.height / Math.max(this.last - this.first, 1) > 9;
    this.drawTint();
    this.drawLanes();
    this.drawMessages();
    this.drawRows();
    this.drawHeads();
    this.drawMap();
  }

  goTo(y) {
    const share = (y - HEAD) / Math.max(this.height - HEAD, 1);
    this.top = share * this.projection.length - this.inner / this.zoom / 2;
    this.pan(0);
  }
}
