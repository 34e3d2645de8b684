// The page /live: brings together the filter, the connection and the list.

import { Connection } from "./connection.js";
import * as filters from "./filter.js";
import { List } from "./list.js";

const RESUMED_MS = 5_000;
const WORDS = {
  connecting: "Connecting",
  live: "Live",
  resumed: "Live again, nothing was missed",
  lost: "Connection lost",
  refused: "Not connected",
};

const byId = (id) => document.getElementById(id);
const [form, kind, value] = ["filter", "kind", "value"].map(byId);
const list = new List(byId("changes"), showCount);
let filter = filters.fromAddress(location.search);
let connection;
let settling = 0;

// --- the connection -------------------------------------------------------------

function connect() {
  connection?.close();
  list.clear();
  showFilter();
  connection = new Connection(filters.asQuery(filter), {
    state: showState,
    figures: showFigures,
    notice: (frame) => addNotice(frame),
    event: (frames) => {
      if (filters.matches(filter, frames[0].entity_id)) list.add(frames);
    },
  });
}

function addNotice(frame) {
  if (frame.type === "conflated") {
    list.addNotice(
      `Conflated: this page was too slow, so from seq ${frame.from_seq} to ` +
        `${frame.to_seq} it got only the newest value of each property.`,
    );
  } else if (frame.type === "log_reset") {
    list.addNotice("Log reset: seqs begin anew. What is below belongs to the old log.");
  } else if (frame.type === "replay_end" && frame.missed) {
    const what = frame.missed === 1 ? "event" : `${count(frame.missed)} events`;
    list.addNotice(`The connection was lost. The ${what} below came meanwhile.`);
  } else if (frame.type === "error") {
    list.addNotice(frame.error);
  }
}

function showState({ kind: state, seconds, why }) {
  clearTimeout(settling);
  const place = byId("state");
  place.dataset.kind = state;
  if (byId("words").textContent !== WORDS[state]) {
    byId("words").textContent = WORDS[state];
  }
  // The seconds are no news to who is read to.
  byId("countdown").textContent = state === "lost" ? `trying again in ${seconds} s` : "";
  byId("why").textContent = state === "lost" ? (why ?? "") : "";
  byId("retry").hidden = state !== "lost";
  byId("figures").classList.toggle("stale", state !== "live" && state !== "resumed");
  byId("refusal").hidden = state !== "refused";
  byId("refusal").textContent = why ?? "";
  value.setAttribute("aria-invalid", String(state === "refused"));
  showEmpty();
  if (state === "resumed") {
    settling = setTimeout(() => showState({ kind: "live" }), RESUMED_MS);
  }
}

function showFigures({ entities, events, websocket, publishers }) {
  const rate = events.rate_per_second;
  byId("rate").textContent = count(rate < 10 ? rate : Math.round(rate));
  byId("entities").textContent = count(entities.total);
  byId("connections").textContent = count(websocket.connections);
  byId("publishers").textContent = count(publishers.active);
}

function count(number) {
  return number.toLocaleString("en", { maximumFractionDigits: 1 });
}

// --- the list -------------------------------------------------------------------

function showCount() {
  const what = list.events === 1 ? "event" : "events";
  const waiting = list.isPaused ? `, paused at ${count(list.events - list.held)}` : "";
  byId("count").textContent = `${count(list.events)} ${what}${waiting}`;
  byId("list").hidden = list.isEmpty;
  showEmpty();
}

function showEmpty() {
  const isRefused = byId("state").dataset.kind === "refused";
  byId("empty").hidden = !list.isEmpty || isRefused;
}

byId("pause").addEventListener("click", () => {
  list.isPaused = !list.isPaused;
  byId("pause").textContent = list.isPaused ? "Resume" : "Pause";
  byId("pause").classList.toggle("on", list.isPaused);
});
byId("clear").addEventListener("click", () => list.clear());
byId("retry").addEventListener("click", () => connection.retry());
addEventListener("online", () => {
  if (byId("state").dataset.kind === "lost") connection.retry();
});

byId("changes").addEventListener("click", (click) => {
  const whole = List.whole(click.target.closest("tr"));
  if (click.target.matches(".more") && whole) showWhole(whole);
  const link = click.target.closest("a");
  const isPlain = !(click.ctrlKey || click.metaKey || click.shiftKey || click.altKey);
  if (link && isPlain) {
    click.preventDefault();
    go(filters.fromAddress(new URL(link.href).search));
  }
});

function showWhole({ title, place, text }) {
  byId("whole-title").textContent = title;
  byId("whole-place").textContent = place;
  byId("whole-text").textContent = text;
  byId("whole").showModal();
}

byId("close").addEventListener("click", () => byId("whole").close());

// --- the filter -----------------------------------------------------------------

function go(wanted) {
  filter = wanted;
  history.pushState(null, "", filters.toAddress(filter));
  connect();
}

function showFilter() {
  kind.value = filter.kind;
  value.value = filter.value;
  showKind();
  const name = filter.kind ? `${filter.value} – live – Flux` : "Live – Flux";
  document.title = name;
  showExample();
}

function showKind() {
  byId("value-field").hidden = !kind.value;
  value.disabled = !kind.value;
  value.placeholder = { entity_id: "home/kitchen", prefix: "home/", namespace: "home" }[
    kind.value
  ];
}

/** The command of the template, for an entity that would be seen here. */
function showExample() {
  const command = byId("command");
  command.dataset.template ??= command.textContent;
  const any = command.dataset.entity;
  const entityId = JSON.stringify(filters.example(filter, any)).slice(1, -1);
  command.textContent = command.dataset.template.replace(any, () =>
    entityId.replaceAll("'", "'\\''"),
  );
  byId("example").hidden = entityId.startsWith("flux-core/"); // the server's own
}

kind.addEventListener("change", () => {
  showKind(); // and no more: who uses the keyboard may be on the way to another kind
  if (!kind.value) go({ kind: "", value: "" });
});
form.addEventListener("submit", (submit) => {
  submit.preventDefault();
  go({ kind: kind.value, value: kind.value && value.value });
});
addEventListener("popstate", () => {
  filter = filters.fromAddress(location.search);
  connect();
});

connect();
