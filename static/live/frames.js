// What the server says, read (docs/api.md#live-updates). A value is kept as the text that
// came: JSON.parse would turn 12345678901234567890 into 12345678901234567000.

export const EVENTS = new Set(["state_update", "entity_touched", "entity_deleted"]);

const BEFORE =
  /^\{"type":"state_update","entity_id":"(?:[^"\\]|\\.)*","property":"(?:[^"\\]|\\.)*","value":/;
const AFTER =
  /(?:,"removed":true)?,"timestamp":"[^"]*","seq":\d+(?:,"more":true)?\}$/;
const AFTER_CHARACTERS = 200; // longer than anything that AFTER matches

/** The frame; an update has `text`, its value as JSON. */
export function read(message) {
  const frame = JSON.parse(message);
  if (frame.type === "state_update") {
    frame.text = valueText(message) ?? JSON.stringify(frame.value);
    delete frame.value;
  }
  return frame;
}

function valueText(message) {
  const before = BEFORE.exec(message);
  // Only the end is searched: a value may be as long as a megabyte.
  const end = Math.max(0, message.length - AFTER_CHARACTERS);
  const after = AFTER.exec(message.slice(end));
  return before && after && message.slice(before[0].length, end + after.index);
}
