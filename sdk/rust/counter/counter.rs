//! A counter that everyone in the room shares, on the Jamsocket interface 1/0 (docs/abi.md).

/// What every service is; copy this file and change what implements it.
trait Service {
    fn new(room_id: &str) -> Self;
    fn message(&mut self, client: u32, text: &str);
}

struct Counter {
    value: i32,
}

impl Service for Counter {
    fn new(_room_id: &str) -> Self {
        Counter { value: 0 }
    }

    fn message(&mut self, _client: u32, text: &str) {
        match text {
            "increment" => self.value += 1,
            "decrement" => self.value -= 1,
            _ => (),
        }
        send_message(EVERYONE, &format!("new value: {}", self.value));
    }
}

// --- What the host calls, and what it offers.

/// A recipient: 0 is everyone, n is client n, -n is everyone but n.
const EVERYONE: i32 = 0;

fn send_message(recipient: i32, text: &str) {
    #[link(wasm_import_module = "env")]
    extern "C" {
        #[link_name = "send_message"]
        fn import(recipient: i32, text: *const u8, length: usize);
    }
    unsafe { import(recipient, text.as_ptr(), text.len()) }
}

/// The addresses of these are exported; their values are what the host reads.
#[no_mangle]
pub static JAMSOCKET_API_VERSION: i32 = 1;
#[no_mangle]
pub static JAMSOCKET_API_PROTOCOL: i32 = 0;

/// One instance is one room, and one call runs at a time.
static mut SERVICE: Option<Counter> = None;

/// The text of an argument; an empty one is not allocated and must not be read.
unsafe fn argument<'a>(pointer: *const u8, length: usize) -> &'a str {
    if length == 0 {
        return "";
    }
    std::str::from_utf8_unchecked(std::slice::from_raw_parts(pointer, length))
}

#[no_mangle]
pub unsafe extern "C" fn initialize(room_id: *const u8, length: usize) {
    SERVICE = Some(Counter::new(argument(room_id, length)));
}

#[no_mangle]
pub unsafe extern "C" fn message(client: u32, text: *const u8, length: usize) {
    if let Some(service) = SERVICE.as_mut() {
        service.message(client, argument(text, length));
    }
}

#[no_mangle]
pub unsafe extern "C" fn jam_malloc(length: usize) -> *mut u8 {
    if length == 0 {
        return std::ptr::null_mut();
    }
    std::alloc::alloc(layout(length))
}

#[no_mangle]
pub unsafe extern "C" fn jam_free(pointer: *mut u8, length: usize) {
    if length != 0 {
        std::alloc::dealloc(pointer, layout(length));
    }
}

fn layout(length: usize) -> std::alloc::Layout {
    std::alloc::Layout::from_size_align(length, 1).expect("a length that fits the memory")
}
