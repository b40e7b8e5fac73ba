// A service that follows the feed of jobledger: plain Node.js, no package of ours.
//
//   cd examples/node && npm ci
//   jobledger feed on                        # embedded server; beside an engine elsewhere: jobledger feed run
//   NATS_URL=nats://127.0.0.1:4222 node feed_subscriber.mjs --out events.jsonl
//
// Every event is appended to FILE as one line of JSON, exactly once, in the order of the log, however often this program
// is killed: the last line of the file is its cursor, so that what was done and how far it is cannot disagree. Your own
// service does the same by storing `sequence` in the transaction in which it handles an event.
//
//   --out FILE         where events go, and where the cursor is; without it they are printed, from --from on
//   --from WHERE       where to begin without a cursor: start (as given here), now, a number of the feed, or a time such
//                      as 2026-05-01T12:00:00Z
//   --cluster gpu      only tasks of this cluster
//   --task Fetch       only tasks of this name
//   --job ID           only this job
//   --event task.computed    only this; `job.*` and `task.*` are all of jobs, or of tasks
//   --namespace NAME   whose jobs; default: default
//   --accept-gap       go on where events were discarded before they were read (see docs/feed.md), instead of ending
//                      with exit code 3
//
// Which server: NATS_URL, NATS_USER and NATS_PASSWORD. The embedded server's address is shown by `jobledger server
// status`; its user is `client`, with the password in credentials.json of the data folder.

import { appendFileSync, closeSync, existsSync, openSync, readSync, fstatSync, truncateSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { DeliverPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";

const { values: options } = parseArgs({
  options: {
    out: { type: "string" },
    from: { type: "string", default: "start" },
    cluster: { type: "string" },
    task: { type: "string" },
    job: { type: "string", default: "*" },
    event: { type: "string", default: ">" },
    namespace: { type: "string", default: "default" },
    "accept-gap": { type: "boolean", default: false },
  },
});

/** A name as a token of a subject: other bytes than letters, digits, `-` and `_` are `%` and two digits. */
function token(name) {
  if (name === undefined) return "*";
  if (name === "") return "%";
  if (name === "_") return "%5F"; // a lone `_` stands for none
  const escape = (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  return [...Buffer.from(name)]
    .map((byte) => (/[A-Za-z0-9_-]/.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : escape(byte)))
    .join("");
}

/** The number of the last event in the file, 0 if there is none. A line that was torn by a crash is cut off. */
function cursorOf(path) {
  if (!path || !existsSync(path)) return 0;
  const file = openSync(path, "r");
  try {
    let end = fstatSync(file).size;
    let tail = Buffer.alloc(0);
    const lines = () => tail.toString("latin1").split("\n").length;
    for (let at = end; at > 0 && lines() < 3; ) {
      const piece = Buffer.alloc(Math.min(65536, at));
      at -= piece.length;
      readSync(file, piece, 0, piece.length, at);
      tail = Buffer.concat([piece, tail]);
    }
    const whole = tail.lastIndexOf(0x0a) + 1;
    if (whole < tail.length) truncateSync(path, end - (tail.length - whole));
    const last = tail.subarray(0, whole).toString().trimEnd().split("\n").at(-1);
    return last ? Number(JSON.parse(last).sequence) : 0;
  } finally {
    closeSync(file);
  }
}

/** Where to begin: what the consumer is told. */
function beginning(cursor) {
  if (cursor > 0) return { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: cursor + 1 };
  if (options.from === "start") return { deliver_policy: DeliverPolicy.All };
  if (options.from === "now") return { deliver_policy: DeliverPolicy.New };
  if (/^\d+$/.test(options.from)) {
    return { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: Number(options.from) };
  }
  const time = new Date(options.from);
  if (Number.isNaN(time.getTime())) {
    complain(`--from ${options.from} cannot be used: write start, now, a number of the feed, or a time`, 2);
  }
  return { deliver_policy: DeliverPolicy.StartTime, opt_start_time: time.toISOString() };
}

function complain(text, code) {
  console.error(`feed_subscriber: ${text}`);
  if (code !== undefined) process.exit(code);
}

/** Events that were discarded before they were read: say so, and end unless that was accepted. */
function gap(from, to) {
  const text = `events ${from} to ${to} of the feed were discarded before they were read`;
  complain(text, options["accept-gap"] ? undefined : 3);
}

const stream = `jobledger-${options.namespace}-feed`;
const everything = [options.cluster, options.task].every((one) => one === undefined)
  && options.job === "*" && options.event === ">";
const subject = `jobledger.${options.namespace}.feed.${token(options.cluster)}.${options.job}.${token(options.task)}.${options.event}`;

let cursor = cursorOf(options.out);
const start = beginning(cursor);

const connection = await connect({
  servers: process.env.NATS_URL ?? "nats://127.0.0.1:4222",
  user: process.env.NATS_USER,
  pass: process.env.NATS_PASSWORD,
  maxReconnectAttempts: -1,
}).catch((error) => complain(`no server answers: ${error.message}`, 1));

const manager = await jetstreamManager(connection);
const info = await manager.streams.info(stream).catch(() => {
  complain(`there is no feed in namespace ${options.namespace}: turn it on with "jobledger feed on"`, 1);
});
const asked = start.opt_start_seq ?? (start.deliver_policy === DeliverPolicy.All ? 1 : 0);
if (asked && info.state.first_seq > asked) gap(asked, info.state.first_seq - 1);

// An ordered consumer keeps nothing on the server: it is made anew, where it was, whenever the connection breaks.
const consumer = await jetstream(connection).consumers.get(stream, { filter_subjects: [subject], ...start });
const messages = await consumer.consume({ max_messages: 1000 });
for (const sign of ["SIGINT", "SIGTERM"]) process.once(sign, () => messages.stop());
complain(`following ${subject} from ${asked || "now"} on`);

let last = cursor; // of the feed, whether it was for us or not
let lines = [];
for await (const message of messages) {
  const event = message.json();
  const sequence = Number(event.sequence);
  if (sequence <= cursor) continue; // the feed was made anew and comes to where we are
  if (everything && last > 0 && sequence > last + 1) gap(last + 1, sequence - 1);
  cursor = last = sequence;
  lines.push(`${JSON.stringify(event)}\n`);
  // What has arrived together is written together.
  if (message.info.pending === 0 || lines.length >= 100) {
    if (options.out) appendFileSync(options.out, lines.join(""));
    else process.stdout.write(lines.join(""));
    lines = [];
  }
}
if (lines.length && options.out) appendFileSync(options.out, lines.join(""));
await connection.drain();
