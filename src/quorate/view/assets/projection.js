// Which steps are shown, and where: a projection gives every step a place on the vertical axis,
// in rows or in milliseconds, and every message the two places between which it runs.

const RUN = 3; // So many dull neighbours or more are folded into one row.
const BLOCK = 256;

class Projection {
  constructor(model, { only = null, folds = false, opened = new Set(), byTime = false }) {
    this.model = model;
    this.byTime = byTime;
    this.rows = []; // A row is a step's id, or an array of the ids that are folded there.
    this.rowOf = new Int32Array(model.count).fill(-1);
    this.chooseRows(only, folds, opened);
    this.place = Float64Array.from(this.rows, (row, index) =>
      byTime ? model.time[Array.isArray(row) ? row[0] : row] : index,
    );
    this.length = this.rows.length ? this.place[this.rows.length - 1] : 0;
    this.chooseMessages();
    this.chooseLanes();
  }

  // All servers, and of the clients those that take part.
  chooseLanes() {
    const { model } = this;
    const used = new Set(Array.from({ length: model.servers }, (_, lane) => lane));
    for (const row of this.rows)
      for (const id of Array.isArray(row) ? row : [row]) used.add(model.lane[id]);
    for (const message of this.messages) used.add(message.target);
    this.lanes = model.lanes.map((_, lane) => lane).filter((lane) => used.has(lane));
  }

  chooseRows(only, folds, opened) {
    const { model } = this;
    let run = [];
    const flush = () => {
      const isFolded = run.length >= RUN && !opened.has(run[0]);
      for (const row of isFolded ? [run] : run) {
        for (const id of Array.isArray(row) ? row : [row]) this.rowOf[id] = this.rows.length;
        this.rows.push(row);
      }
      run = [];
    };
    for (let id = 0; id < model.count; id++) {
      if (only && (!only.has(id) || this.saysNothing(id))) continue;
      const isDull = folds && model.dull[id] && id !== model.violation;
      if (!isDull) flush();
      run.push(id);
      if (!isDull) flush();
    }
    flush();
  }

  // The first start of a node that sends nothing yet.
  saysNothing(id) {
    const { model } = this;
    return (
      model.kind[id] === START &&
      !model.incarnation(id) &&
      !model.sends(id).length &&
      id !== model.violation
    );
  }

  chooseMessages() {
    const { model, rowOf } = this;
    this.messages = [];
    const blocks = Math.floor(this.rows.length / BLOCK) + 1;
    this.blocks = Array.from({ length: blocks }, () => []);
    this.long = [];
    for (const message of model.messages) {
      const first = rowOf[message.from];
      if (first < 0) continue;
      const last = message.to < 0 ? first : rowOf[message.to];
      if (last < 0 || (last === first && message.to >= 0)) continue;
      if (message.to < 0 && Array.isArray(this.rows[first])) continue;
      const own = message.source === message.target;
      const shown = { ...message, first, last, own, isLost: message.to < 0 };
      const [low, high] = [Math.floor(first / BLOCK), Math.floor(last / BLOCK)];
      if (high - low > 4) this.long.push(shown);
      else for (let block = low; block <= high; block++) this.blocks[block].push(shown);
      this.messages.push(shown);
    }
  }

  // The first row at or below a place.
  rowAt(place) {
    return lowerBound(this.place, place);
  }

  // Where a message leaves: in time when it was sent, in rows where its step stands.
  leaves(message) {
    return this.byTime ? Math.max(message.sent, this.place[message.first]) : message.first;
  }

  arrives(message) {
    return this.place[message.last];
  }

  // Calls back for each message that may touch the rows from `low` to `high`, at most `most`.
  eachMessage(low, high, most, visit) {
    const blocks = [
      Math.max(Math.floor(low / BLOCK), 0),
      Math.min(Math.floor(high / BLOCK), this.blocks.length - 1),
    ];
    let total = this.long.length;
    for (let block = blocks[0]; block <= blocks[1]; block++) total += this.blocks[block].length;
    const stride = Math.max(1, Math.ceil(total / most));
    let turn = 0;
    const some = (list, block) => {
      for (const message of list) {
        // One that spans several blocks is drawn by the first of them that is in view.
        const home = Math.max(Math.floor(message.first / BLOCK), blocks[0]);
        if (block >= 0 && home !== block) continue;
        if (turn++ % stride === 0 && message.first <= high && message.last >= low) visit(message);
      }
    };
    for (let block = blocks[0]; block <= blocks[1]; block++) some(this.blocks[block], block);
    some(this.long, -1);
  }
}
