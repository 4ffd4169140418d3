// How values, times and changes read: as in the story and in the terminal.

const BARE = /^[\p{L}_][\p{L}\p{N}_→.:-]*$/u;
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu;

function escapeText(text) {
  return String(text).replace(UNPRINTABLE, (char) => `\\u{${char.codePointAt(0).toString(16)}}`);
}

function shorten(text, length = 60) {
  return text.length <= length ? text : `${text.slice(0, Math.max(length - 1, 0))}…`;
}

function show(value) {
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value === "string") {
    const isWord = BARE.test(value) && !["None", "True", "False"].includes(value);
    return isWord ? value : `"${escapeText(value).replaceAll('"', '\\"')}"`;
  }
  if (Array.isArray(value)) return `(${value.map(show).join(", ")})`;
  if (typeof value !== "object") return String(value);
  if (value.$map) return `{${value.$map.map(([k, v]) => `${show(k)}: ${show(v)}`).join(", ")}}`;
  if (value.$set) return `{${value.$set.map(show).join(", ")}}`;
  if (value.$log) return `[${value.$log.map(show).join(", ")}]`;
  if (value.$bytes !== undefined) return `0x${escapeText(value.$bytes)}`;
  if (value.$ === "Operation") return showOperation(value.f, value.key, value.value);
  const fields = Object.entries(value).filter(([name]) => name !== "$");
  const texts = fields.map(([name, part]) => `${escapeText(name)}=${show(part)}`);
  return `${escapeText(value.$ || "")}(${texts.join(", ")})`;
}

function showOperation(f, key, value) {
  const parts = [escapeText(f)];
  if (key !== null && key !== undefined) parts.push(escapeText(key));
  if (value !== null && value !== undefined) parts.push(show(value));
  return parts.join(" ");
}

// A value for the state panel: a large collection has a line for each item.
function showLong(value) {
  const flat = show(value);
  if (flat.length <= 44 || !isObject(value)) return flat;
  if (value.$map) return value.$map.map(([k, v]) => `${show(k)}: ${show(v)}`).join("\n");
  if (value.$set) return value.$set.map(show).join("\n");
  if (value.$log)
    return value.$log.map((item, i) => `${value.start + i}: ${show(item)}`).join("\n");
  return flat;
}

function showFields(fields, length = 60) {
  return Object.entries(fields)
    .map(([name, value]) => `${escapeText(name)}=${shorten(show(value), length)}`)
    .join(" ");
}

function showChange(path, change) {
  const name = escapeText(path);
  const signed = (sign, values) => shorten(values.map((value) => sign + show(value)).join(" "));
  if (change[0] === "=") return `${name}=${shorten(show(change[1]))}`;
  if (change[0] === "map") {
    const keys = new Map();
    for (const [key, value] of change[1]) {
      const text = shorten(show(value));
      keys.set(text, [...(keys.get(text) || []), show(key)]);
    }
    const parts = [...keys].map(([value, several]) => `${name}[${several.join(", ")}]=${value}`);
    if (change[2].length) parts.push(`${name} ${signed("−", change[2])}`);
    return parts.join(" ");
  }
  if (change[0] === "set") {
    return [name, signed("+", change[1]), signed("−", change[2])].filter(Boolean).join(" ");
  }
  const [, start, kept, appended, cut] = change;
  const parts = cut ? [`${name} −${cut} from ${kept}`] : [];
  if (appended.length) {
    const reach = appended.length === 1 ? kept : `${kept}..${kept + appended.length - 1}`;
    parts.push(`${name}[${reach}]=${shorten(appended.map(show).join(", "))}`);
  }
  return parts.join(" ") || `${name} from ${start}`;
}

function showTime(ms) {
  if (ms >= 1000 || Number.isInteger(ms)) return Math.round(ms).toLocaleString("en");
  return ms >= 1 ? ms.toFixed(1) : ms.toFixed(2);
}

const LOSSES = {
  lost: "lost",
  cut: "the link was cut",
  down: "the node was down",
  crash: "never left: the sender crashed",
  unsent: "never left: the sender crashed",
  "": "still under way at the end",
};
const FAULT_MARKS = {
  crash: "✗",
  restart: "↻",
  cut: "≁",
  heal: "≈",
  pause: "‖",
  resume: "▸",
};

// A step in a few words.
function headline(model, id) {
  const type = escapeText(model.type(id));
  const node = escapeText(model.node(id));
  const source = model.source(id) === model.node(id) ? "itself" : escapeText(model.source(id));
  switch (model.kind[id]) {
    case START:
      return model.incarnation(id) ? `${node} starts again` : `${node} starts`;
    case DELIVER:
      return `${node} handles ${type} from ${source}`;
    case FIRE:
      return `${node}'s ${type} timer fires`;
    case BATCH:
      return `${node} ends a batch`;
    case SYNC:
      return `${node}'s disk has caught up`;
    case STORED:
      return `${node} has stored ${show(model.content(id)[1].name)}`;
    case INVOKE:
      return `${node} invokes ${show(model.content(id)[1].operation)}`;
    default:
      return escapeText(model.extra(id).detail || type);
  }
}

// What is worth a note beside a step in the diagram.
function note(model, id) {
  if (model.kind[id] === FAULT || model.kind[id] === INVOKE) {
    return headline(model, id).replace(/^\S+ invokes/, "invokes");
  }
  if (model.kind[id] === START) return model.incarnation(id) ? "starts again" : "";
  const ended = model.extra(id).completed;
  if (ended) {
    const [status, value] = ended[ended.length - 1];
    return `${escapeText(status)}${value === null ? "" : ` ${show(value)}`}`;
  }
  if (!model.isServer(id)) return "";
  return Object.entries(model.changes(id))
    .map(([path, change]) => showChange(path, change))
    .join("  ");
}
