// node compressed_echo.mjs ws://HOST:PORT
//
// An echo that compresses, asked by Node's `ws` with each way of offering it: what comes back is what was sent, alone and
// one behind the other. Prints "done" and exits with 0, or says what went wrong.

import WebSocket from "ws";

import { fail, mustEndWithin, origin } from "./story.mjs";

mustEndWithin(60000);

const offers = [
  {},
  { serverNoContextTakeover: true },
  { clientNoContextTakeover: true },
  { serverMaxWindowBits: 9 },
  { clientMaxWindowBits: 9 },
  { serverNoContextTakeover: true, clientNoContextTakeover: true, serverMaxWindowBits: 10, clientMaxWindowBits: 12 },
];

/** Bytes that repeat, and some that do not. */
function payload(length, number) {
  const bytes = Buffer.alloc(length, `message ${number} and the same words again `);
  for (let at = 0; at < length; at += 97) bytes[at] = 0x61 + ((at * 7 + number) % 26);
  return bytes;
}

function talk(offer) {
  const messages = [0, 1, 125, 511, 512, 513, 5000, 70000, 1000000].flatMap((length, number) => [
    payload(length, number),
    payload(length, number).toString(),
    payload(length, number + 1),
  ]);
  return new Promise((resolve) => {
    const socket = new WebSocket(`${origin}/ws/compressed`, { perMessageDeflate: { threshold: 0, ...offer } });
    let heard = 0;
    socket.on("error", (error) => fail(`${JSON.stringify(offer)}: ${error}`));
    socket.on("open", () => {
      if (!socket.extensions.startsWith("permessage-deflate")) fail(`${JSON.stringify(offer)}: agreed on "${socket.extensions}"`);
      for (const message of messages) socket.send(message);
    });
    socket.on("message", (data, isBinary) => {
      const expected = messages[heard++];
      if (isBinary !== Buffer.isBuffer(expected) || !Buffer.from(expected).equals(data)) {
        fail(`${JSON.stringify(offer)}: message ${heard} of ${expected.length} bytes came back as ${data.length}`);
      }
      if (heard === messages.length) socket.close(1000);
    });
    socket.on("close", (code) => (code === 1000 && heard === messages.length ? resolve() : fail(`${JSON.stringify(offer)}: closed ${code}`)));
  });
}

for (const offer of offers) await talk(offer);
console.log("done");
