;; Loads, but initialize traps.
(module
  (memory (export "memory") 1)
  (global (export "JAMSOCKET_API_VERSION") i32 (i32.const 16))
  (global (export "JAMSOCKET_API_PROTOCOL") i32 (i32.const 20))
  (data (i32.const 16) "\01\00\00\00\00\00\00\00")
  (func (export "jam_malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "jam_free") (param i32 i32))
  (func $give_up unreachable)
  (func $init (export "initialize") (param i32 i32) (call $give_up)))
