// node counter_story.mjs ws://HOST:PORT
//
// Two clients of Node's `ws` share a counter. Prints "done" and exits with 0, or says what went wrong.

import WebSocket from "ws";

import { fail, mustEndWithin, origin } from "./story.mjs";

mustEndWithin(20000);

/** A client whose messages can be awaited one by one. */
class Client {
  constructor(room, options = {}) {
    this.messages = [];
    this.waiting = [];
    this.socket = new WebSocket(`${origin}/ws/${room}`, options);
    this.socket.on("message", (data, isBinary) => {
      const message = isBinary ? data : data.toString();
      const waiting = this.waiting.shift();
      if (waiting) waiting(message);
      else this.messages.push(message);
    });
    this.open = new Promise((resolve, reject) => {
      this.socket.on("open", resolve);
      this.socket.on("error", reject);
    });
    this.closed = new Promise((resolve) => this.socket.on("close", (code) => resolve(code)));
    this.ponged = new Promise((resolve) => this.socket.on("pong", (data) => resolve(data.toString())));
  }
  next() {
    const message = this.messages.shift();
    return message !== undefined ? Promise.resolve(message) : new Promise((resolve) => this.waiting.push(resolve));
  }
}

function expect(actual, expected) {
  if (actual !== expected) fail(`expected ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`);
}

const alice = new Client("node");
// With an offer of compression, which the server may take or leave.
const bob = new Client("node", { perMessageDeflate: true });
await Promise.all([alice.open, bob.open]);

alice.socket.send("increment");
expect(await alice.next(), "new value: 1");
expect(await bob.next(), "new value: 1");
bob.socket.send("increment");
expect(await alice.next(), "new value: 2");
expect(await bob.next(), "new value: 2");

alice.socket.ping("are you there");
expect(await alice.ponged, "are you there");

bob.socket.close(1000, "bye");
expect(await bob.closed, 1000);

const carol = new Client("node");
await carol.open;
carol.socket.send("decrement");
expect(await alice.next(), "new value: 1");
expect(await carol.next(), "new value: 1");
alice.socket.close(4321);
expect(await alice.closed, 4321);
carol.socket.close();
expect(await carol.closed, 1005);
console.log("done");
