// The connection to /api/ws. Lost, it is made again after growing pauses and goes on
// behind the last event that came whole, so that none is missed and none comes twice.

import { EVENTS, read } from "./frames.js";

const PAUSES = [1, 2, 4, 8, 15, 30];
// Figures come every two seconds: so long a silence is a dead line.
const SILENT_MS = 20_000;

export class Connection {
  #query;
  #told;
  #socket = null;
  #position = null; // the seq of the last whole event
  #held = []; // frames of an event that is not complete yet
  #missed = 0; // events that came in the replay
  #hasBeenLive = false;
  #tries = 0;
  #isOver = false;
  #timer = 0;
  #heardAt = 0;

  /**
   * told: {state, event, notice, figures}, called with what happens. A state is {kind}:
   * connecting, live, resumed, lost (with `seconds` and perhaps `why`) or refused (`why`).
   */
  constructor(query, told) {
    this.#query = query;
    this.#told = told;
    this.#open();
  }

  close() {
    this.#isOver = true;
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    // Closed while it is being made, a socket complains on the console.
    if (socket?.readyState === WebSocket.OPEN) socket.close();
  }

  /** Does not wait any longer. */
  retry() {
    clearTimeout(this.#timer);
    this.#open();
  }

  #wanted() {
    const wanted = new URLSearchParams(this.#query);
    if (this.#position !== null) wanted.set("since", this.#position);
    return wanted;
  }

  #open() {
    this.#told.state({ kind: "connecting" });
    this.#held = [];
    const address = new URL(`/api/ws?${this.#wanted()}`, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    const socket = new WebSocket(address);
    let isOpen = false;
    this.#socket = socket;
    socket.addEventListener("open", () => {
      if (this.#isOver) socket.close();
      isOpen = true;
      this.#heardAt = performance.now();
      this.#listenFor(socket);
    });
    socket.addEventListener("message", ({ data }) => {
      if (socket === this.#socket) this.#hear(data);
    });
    socket.addEventListener("close", ({ reason }) => {
      if (socket !== this.#socket || this.#isOver) return;
      this.#socket = null;
      if (isOpen) this.#lose(reason);
      else this.#findOut();
    });
  }

  /** A line that was cut somewhere in between says nothing, not even that it is over. */
  #listenFor(socket) {
    if (socket !== this.#socket || this.#isOver) return;
    if (performance.now() - this.#heardAt > SILENT_MS) {
      this.#socket = null;
      socket.close();
      this.#wait();
    } else {
      setTimeout(() => this.#listenFor(socket), 2_000);
    }
  }

  #hear(message) {
    this.#heardAt = performance.now();
    const frame = read(message);
    if (frame.type === "metrics_update") {
      this.#told.figures(frame);
    } else if (EVENTS.has(frame.type)) {
      this.#held.push(frame);
      if (!frame.more) this.#complete(frame.seq);
    } else {
      this.#note(frame);
    }
  }

  #complete(seq) {
    const event = this.#held;
    this.#held = [];
    this.#moveTo(seq);
    this.#missed += 1;
    this.#told.event(event);
  }

  #moveTo(seq) {
    this.#position = Math.max(this.#position ?? 0, seq);
  }

  #note(frame) {
    if (frame.type === "subscribed") {
      this.#tries = 0;
      // With `since` the place is where that left off, until something came.
      this.#position ??= frame.seq;
      if (!this.#hasBeenLive) this.#told.state({ kind: "live" });
    } else if (frame.type === "replay_start") {
      this.#missed = 0;
    } else if (frame.type === "replay_end") {
      this.#moveTo(frame.seq);
      this.#told.state({ kind: "resumed" });
      this.#told.notice({ ...frame, missed: this.#missed });
    } else {
      this.#told.notice(frame);
    }
    this.#hasBeenLive = this.#position !== null;
  }

  #lose(reason) {
    if (reason === "log_reset") this.#startAnew();
    this.#wait();
  }

  /** Another log: no place in the old one means anything there. */
  #startAnew() {
    this.#position = null;
    this.#hasBeenLive = false;
    this.#told.notice({ type: "log_reset" });
  }

  /** A browser does not tell how a handshake was refused; the same over HTTP is. */
  async #findOut() {
    let why = {};
    const reading = new AbortController();
    try {
      const answer = await fetch(`/api/stream?${this.#wanted()}`, {
        signal: reading.signal,
      });
      if (!answer.ok) why = { status: answer.status, ...(await answer.json()) };
    } catch {
      // Nobody answers there.
    }
    reading.abort();
    if (this.#isOver) return;
    if (why.code === "since_ahead") {
      this.#startAnew();
      this.#wait();
    } else if (why.status >= 400 && why.status < 500) {
      this.#told.state({ kind: "refused", why: why.error });
    } else {
      this.#wait(why.error);
    }
  }

  #wait(why) {
    const seconds = PAUSES[Math.min(this.#tries, PAUSES.length - 1)];
    this.#tries += 1;
    this.#count(seconds, why);
  }

  #count(seconds, why) {
    if (this.#isOver) return;
    if (seconds === 0) {
      this.#open();
      return;
    }
    this.#told.state({ kind: "lost", seconds, why });
    this.#timer = setTimeout(() => this.#count(seconds - 1, why), 1_000);
  }
}
