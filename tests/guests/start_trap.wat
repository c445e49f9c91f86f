;; Its start function traps.
(module
  (memory (export "memory") 1)
  (global (export "JAMSOCKET_API_VERSION") i32 (i32.const 16))
  (global (export "JAMSOCKET_API_PROTOCOL") i32 (i32.const 20))
  (data (i32.const 16) "\01\00\00\00\00\00\00\00")
  (func (export "jam_malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "jam_free") (param i32 i32))
  (func (export "initialize") (param i32 i32))
  (func $begin unreachable)
  (start $begin))
