//! The counter as a service of 2021, by the crates `jamsocket` 0.1.1 and `jamsocket-wasm` 0.1.0.

use jamsocket_wasm::jamsocket_wasm;
use jamsocket_wasm::prelude::{ClientId, JamsocketContext, MessageRecipient, SimpleJamsocketService};

#[jamsocket_wasm]
struct Counter {
    value: i32,
}

impl SimpleJamsocketService for Counter {
    fn new(_room_id: &str, _context: &impl JamsocketContext) -> Self {
        Counter { value: 0 }
    }

    fn message(&mut self, _client: ClientId, message: &str, context: &impl JamsocketContext) {
        match message {
            "increment" => self.value += 1,
            "decrement" => self.value -= 1,
            _ => (),
        }
        context.send_message(MessageRecipient::Broadcast, &format!("new value: {}", self.value));
    }
}
