// A counter that everyone in the room shares, on the Jamsocket interface 1/0 (docs/abi.md).

let value: i32 = 0;

function onMessage(client: u32, text: string): void {
  if (text == "increment") {
    value += 1;
  } else if (text == "decrement") {
    value -= 1;
  }
  sendMessage(EVERYONE, "new value: " + value.toString());
}

// --- What the host calls, and what it offers.

// A recipient: 0 is everyone, n is client n, -n is everyone but n.
const EVERYONE: i32 = 0;

@external("env", "send_message")
declare function hostSendMessage(recipient: i32, text: usize, length: usize): void;

function sendMessage(recipient: i32, text: string): void {
  const bytes = String.UTF8.encode(text);
  hostSendMessage(recipient, changetype<usize>(bytes), bytes.byteLength);
}

// The addresses of these are exported; what is there is what the host reads.
export const JAMSOCKET_API_VERSION: usize = memory.data<i32>([1]);
export const JAMSOCKET_API_PROTOCOL: usize = memory.data<i32>([0]);

export function initialize(roomId: usize, length: usize): void {}

export function message(client: u32, text: usize, length: usize): void {
  // An empty text is not allocated and must not be read.
  onMessage(client, length == 0 ? "" : String.UTF8.decodeUnsafe(text, length));
}

export function jam_malloc(length: usize): usize {
  return length == 0 ? 0 : heap.alloc(length);
}

export function jam_free(pointer: usize, length: usize): void {
  if (length != 0) heap.free(pointer);
}
