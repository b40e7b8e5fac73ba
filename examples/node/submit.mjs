// Submits a job, waits for it and prints its result: nothing but NATS and JSON. What can be asked is in docs/commands.md.
//
//   npm install
//   jobledger runner start orders --url nats://127.0.0.1:4222          in this folder: the tasks are in orders.py
//   node submit.mjs order-4711 129.50                                  NATS_URL and NAMESPACE say where, NATS_USER and
//                                                                     NATS_PASSWORD who
//
// Run again for the same order, it waits for the same job: nothing is charged twice.

import { connect, errors } from "@nats-io/transport-node";
import { setTimeout as sleep } from "node:timers/promises";

/** What the service refused: `code` is for programs, `message` for people, `field` says what is wrong. */
class Refused extends Error {
  constructor({ code, message, field, temporary }) {
    super(message);
    Object.assign(this, { code, field, temporary });
  }
}

/**
 * Returns a function that asks for an operation and returns what is `ok`.
 *
 * What is not answered, or answered with an error that passes, is asked again for half a minute: a server or an engine
 * may be restarting. That is safe for all that reads, and for all that carries an `idempotency_key`.
 */
function asking(nc, namespace) {
  return async function ask(operation, request, timeout = 10_000) {
    const until = Date.now() + timeout + 30_000;
    for (;;) {
      let problem;
      try {
        const reply = await nc.request(
          `jobledger.${namespace}.api.v1.${operation}`, JSON.stringify(request), { timeout },
        );
        const { ok, error } = reply.json();
        if (!error) return ok;
        problem = new Refused(error);
        if (!error.temporary) throw problem;
      } catch (error) {
        const forbidden = [error, error.cause].some((one) => one instanceof errors.PermissionViolationError);
        if (error === problem || forbidden) throw error;
        problem = error; // no answer in time, or nobody there to give one
      }
      if (Date.now() > until) throw problem;
      await sleep(200);
    }
  };
}

async function main(order, amount) {
  const { NATS_URL = "nats://127.0.0.1:4222", NATS_USER: user, NATS_PASSWORD: pass, NAMESPACE = "default" } = process.env;
  const nc = await connect({ servers: NATS_URL, user, pass, maxReconnectAttempts: -1 });
  const ask = asking(nc, NAMESPACE);
  try {
    const { job } = await ask("submit", {
      name: `ship ${order}`,
      tasks: [
        { name: "Charge", input: { order, amount }, retry: { max: 3, delay: 1, backoff: 2, give_up: ["ValueError"] } },
        { name: "Pack", input: order }, // a task with one field takes its bare value
        { name: "Ship", input: { order, express: true }, depends_on: [0, 1], timeout: 60 },
      ],
      labels: { order },
      deadline: 3600,
      idempotency_key: `ship ${order}`,
      by: "submit.mjs",
    });
    console.error(`job ${job}`);

    let found;
    do {
      found = await ask("wait", { job, timeout: 30 }, 40_000);
    } while (!found.settled);
    if (found.state !== "COMPLETED") {
      const why = found.error ? `: task ${found.error.task}, ${found.error.reason}: ${found.error.message}` : "";
      throw new Error(`job ${job} is ${found.state}${why}`);
    }
    const { results } = await ask("results", { job, task: 2 });
    console.log(JSON.stringify(results[0].value));
  } finally {
    await nc.close();
  }
}

const [order, amount] = process.argv.slice(2);
if (!order || Number.isNaN(Number(amount))) {
  console.error("usage: node submit.mjs ORDER AMOUNT");
  process.exit(2);
}
main(order, Number(amount)).catch((error) => {
  console.error(error instanceof Refused ? `refused, ${error.code}: ${error.message}` : error.message);
  process.exitCode = 1;
});
