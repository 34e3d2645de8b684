// The list of changes, newest first. Rows are made once per animation frame, and of more
// than fit only the newest, so that thousands of changes a second cost no more than a
// screenful. What others wrote gets in as text alone.

const MOST_ROWS = 300;
const MOST_CHARACTERS = 4_000_000; // of all rows, which keep whole values
const MOST_ROWS_OF_AN_EVENT = 100;
const SHOWN_CHARACTERS = 120;
// With more rows at a time, a flash for each would be a flicker.
const FLASHED_ROWS = 6;

export class List {
  #body;
  #changed;
  #isPaused = false;
  #isDue = false;
  #pending = []; // what is not shown yet, oldest first: functions that make rows
  #shown = []; // {row, size}, oldest first
  #size = 0;
  events = 0;
  held = 0; // events that came during the pause

  /** body: the table's; changed: called when what is shown has changed. */
  constructor(body, changed) {
    this.#body = body;
    this.#changed = changed;
  }

  get isEmpty() {
    return this.#shown.length === 0;
  }

  get isPaused() {
    return this.#isPaused;
  }

  set isPaused(isPaused) {
    this.#isPaused = isPaused;
    this.held = 0;
    this.#plan();
  }

  /** The frames of one event, the first property first. */
  add(frames) {
    this.events += 1;
    if (this.#isPaused) this.held += 1;
    this.#push(() => eventRows(frames));
  }

  addNotice(text) {
    this.#push(() => [noticeRow(text)]);
  }

  clear() {
    this.events = this.held = this.#size = 0;
    this.#pending = [];
    this.#shown = [];
    this.#body.replaceChildren();
    this.#plan();
  }

  /** The row's parts, whole: {title, place, text}. */
  static whole(row) {
    return wholes.get(row);
  }

  #push(make) {
    this.#pending.push(make);
    // Cut rarely: taking one off the front of an array each time would copy the array.
    if (this.#pending.length > 2 * MOST_ROWS) {
      this.#pending = this.#pending.slice(-MOST_ROWS);
    }
    this.#plan();
  }

  #plan() {
    if (!this.#isDue) {
      this.#isDue = true;
      requestAnimationFrame(() => this.#show());
    }
  }

  #show() {
    this.#isDue = false;
    if (!this.#isPaused) {
      const made = this.#made();
      for (const row of this.#body.querySelectorAll(".fresh")) {
        row.classList.remove("fresh");
      }
      const isFew = made.length <= FLASHED_ROWS;
      for (const row of made) row.classList.toggle("fresh", isFew);
      this.#body.prepend(...made);
      for (const row of made.reverse()) this.#keep(row);
      this.#trim();
    }
    this.#changed();
  }

  /** The newest rows of what waits, newest event first. */
  #made() {
    const made = [];
    while (this.#pending.length && made.length < MOST_ROWS) {
      made.push(...this.#pending.pop()());
    }
    this.#pending = [];
    return made;
  }

  #keep(row) {
    const size = wholes.get(row)?.text.length ?? 0;
    this.#shown.push({ row, size });
    this.#size += size;
  }

  #trim() {
    let most = this.#shown.length - 1; // the newest stays, however long
    while (most-- > 0 && this.#isTooMuch()) {
      const { row, size } = this.#shown.shift();
      this.#size -= size;
      row.remove();
    }
  }

  #isTooMuch() {
    return this.#shown.length > MOST_ROWS || this.#size > MOST_CHARACTERS;
  }
}

const wholes = new WeakMap();

function eventRows(frames) {
  const rows = frames.slice(0, MOST_ROWS_OF_AN_EVENT).map(changeRow);
  const left = frames.length - rows.length;
  if (left > 0) {
    const count = left.toLocaleString("en");
    rows.push(noticeRow(`… and ${count} further properties of the same event`, 2));
  }
  for (const row of rows.slice(1)) row.classList.add("continued");
  const heading = headingCells(frames[0]);
  for (const one of heading) one.rowSpan = rows.length;
  rows[0].prepend(...heading);
  return rows;
}

/** What is the same for all frames of an event. */
function headingCells({ timestamp, seq, entity_id: entityId }) {
  const entity = element("a");
  entity.href = `/live?${new URLSearchParams({ entity_id: entityId })}`;
  entity.title = "Show this entity alone";
  entity.textContent = shortened(entityId);
  return [
    cell("time", time(timestamp)),
    cell("seq", String(seq)),
    cell("entity", entity),
  ];
}

function changeRow(frame) {
  const row = element("tr");
  const { entity_id: entityId, property = "", text = "" } = frame;
  const last = cell("value", value(frame));
  if ([entityId, property, text].some(isTooLong)) {
    last.append(wholeButton(text));
    wholes.set(row, {
      title: entityId,
      place: `${property} · seq ${frame.seq} · ${frame.timestamp}`,
      text,
    });
  }
  row.append(cell("property", shortened(property)), last);
  return row;
}

function wholeButton(text) {
  const button = element("button", "more");
  button.type = "button";
  button.textContent = isTooLong(text)
    ? `Show all ${text.length.toLocaleString("en")} characters`
    : "Show whole";
  return button;
}

function value(frame) {
  if (frame.type === "state_update" && !frame.removed) {
    const code = element("code");
    code.textContent = shortened(frame.text);
    return code;
  }
  const kind = frame.removed ? "removed" : frame.type.replace("entity_", "");
  const mark = element("span", `mark ${kind}`);
  mark.textContent = kind === "touched" ? "nothing changed" : kind;
  return mark;
}

function noticeRow(text, columns = 5) {
  const row = element("tr");
  const only = cell("notice", text);
  only.colSpan = columns;
  row.append(only);
  return row;
}

function cell(name, content) {
  const made = element("td", name);
  made.append(content);
  return made;
}

function element(tag, className = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  return made;
}

function time(timestamp) {
  const made = element("time");
  const at = new Date(timestamp);
  const [hours, minutes, seconds] = [at.getHours(), at.getMinutes(), at.getSeconds()];
  const clock = [hours, minutes, seconds].map((part) => String(part).padStart(2, "0"));
  made.dateTime = made.title = timestamp;
  const fraction = element("span", "fraction"); // left out where there is no room
  fraction.textContent = `.${timestamp.slice(20, 23)}`;
  made.append(clock.join(":"), fraction);
  return made;
}

function isTooLong(text) {
  return text.length > SHOWN_CHARACTERS;
}

function shortened(text) {
  if (!isTooLong(text)) return text;
  // Not in the middle of a character that is two units.
  return `${text.slice(0, SHOWN_CHARACTERS).replace(/[\ud800-\udbff]$/, "")}…`;
}
