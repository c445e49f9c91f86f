//! The counter as a service for Stateroom, by the crate `stateroom-wasm` 0.4.4.

use stateroom_wasm::{stateroom_wasm, ClientId, MessagePayload, MessageRecipient, StateroomContext, StateroomService};

#[stateroom_wasm]
#[derive(Default)]
struct Counter {
    value: i32,
}

impl StateroomService for Counter {
    fn message(&mut self, _client: ClientId, message: MessagePayload, context: &impl StateroomContext) {
        match message.text() {
            Some("increment") => self.value += 1,
            Some("decrement") => self.value -= 1,
            Some(_) => (),
            None => return,
        }
        context.send_message(MessageRecipient::Broadcast, format!("new value: {}", self.value));
    }
}
