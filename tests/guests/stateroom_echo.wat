;; Echoes on the Stateroom interface: what follows the sender in a message event (payload kind, length,
;; bytes) is sent back to everyone but the sender, as it came. On connect it sets a timer of 0 ms; on the timer it sends
;; what cannot be read. The first letter of a text: ! sends rubbish, ~ sends text that is not UTF-8.
(module
  (import "env" "stateroom_send" (func $send (param i32 i32)))
  (memory (export "memory") 3)
  (global (export "STATEROOM_API_VERSION") i32 (i32.const 16))
  (global (export "STATEROOM_API_PROTOCOL") i32 (i32.const 20))
  (data (i32.const 16) "\01\00\00\00\00\00\00\00")
  (data (i32.const 32) "\01\00\00\00\00\00\00\00")             ;; set timer, 0 ms
  (data (i32.const 48) "\00\00\00\00\00\00\00\00\01\00\00\00\02\00\00\00\00\00\00\00\ff\fe")
  (func (export "stateroom_malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "stateroom_free") (param i32 i32))
  (func $recv (export "stateroom_recv") (param $at i32) (param $length i32)
    (local $kind i32)
    (local.set $kind (i32.load (local.get $at)))
    (if (i32.eq (local.get $kind) (i32.const 1)) (then (call $send (i32.const 32) (i32.const 8)) (return)))
    (if (i32.eq (local.get $kind) (i32.const 4)) (then (call $send (i32.const 32) (i32.const 7)) (return)))
    (if (i32.ne (local.get $kind) (i32.const 3)) (then (return)))
    (if (i32.eq (i32.load8_u (i32.add (local.get $at) (i32.const 20))) (i32.const 33))
      (then (call $send (i32.const 64) (i32.const 0xfffffff0))))
    (if (i32.eq (i32.load8_u (i32.add (local.get $at) (i32.const 20))) (i32.const 126))
      (then (call $send (i32.const 48) (i32.const 22))))
    ;; message, everyone except the sender, and the rest as it came
    (i32.store (i32.const 512) (i32.const 0))
    (i32.store (i32.const 516) (i32.const 2))
    (i32.store (i32.const 520) (i32.load offset=4 (local.get $at)))
    (memory.copy (i32.const 524) (i32.add (local.get $at) (i32.const 8)) (i32.sub (local.get $length) (i32.const 8)))
    (call $send (i32.const 512) (i32.add (local.get $length) (i32.const 4)))))
