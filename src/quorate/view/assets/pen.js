// Strokes and marks: what all drawing is made of. `context` is a canvas's, `colour` the theme.

const MAP = 12; // Width of the overview at the right edge.
const SMALL = "11px ";

class Pen {
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

  // A circle for a message, a ring for a timer, a square for the disk, a diamond for a client.
  drawShape(kind, x, y, size) {
    const { context, colour } = this;
    if (size < 3) {
      // From afar all are dots.
      context.fillStyle =
        {
          [FIRE]: colour.timer,
          [START]: colour.client,
          [INVOKE]: colour.client,
          [DELIVER]: colour.message,
        }[kind] || colour.disk;
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

  // As much of a text as has room.
  fitted(text, room) {
    const width = this.context.measureText(text).width;
    return width <= room ? text : shorten(text, Math.floor((text.length * room) / width) - 1);
  }
}
