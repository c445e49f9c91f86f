;; Hears that a client has left, and never gets over it.
(module
  (import "env" "send_message" (func $send_message (param i32 i32 i32)))
  (memory (export "memory") 1)
  (global (export "JAMSOCKET_API_VERSION") i32 (i32.const 16))
  (global (export "JAMSOCKET_API_PROTOCOL") i32 (i32.const 20))
  (data (i32.const 16) "\01\00\00\00\00\00\00\00")
  (func (export "jam_malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "jam_free") (param i32 i32))
  (func (export "initialize") (param i32 i32))
  (func (export "message") (param $client i32) (param $at i32) (param $length i32)
    (call $send_message (local.get $client) (local.get $at) (local.get $length)))
  (func (export "disconnect") (param i32) (loop $again (br $again))))
