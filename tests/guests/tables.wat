;; Tables instead of memory: the first letter of a message says what is done with one.
;;
;; g grow until it is refused, then "refused"    c copy for ever    f fill for ever    e set, then "done"
(module
  (import "env" "send_message" (func $send_message (param i32 i32 i32)))
  (memory (export "memory") 1)
  (table $table 65536 funcref)
  (elem declare func $nothing)
  (global (export "JAMSOCKET_API_VERSION") i32 (i32.const 16))
  (global (export "JAMSOCKET_API_PROTOCOL") i32 (i32.const 20))
  (data (i32.const 16) "\01\00\00\00\00\00\00\00")
  (data (i32.const 32) "refused")
  (data (i32.const 48) "done")
  (func $nothing)
  (func (export "jam_malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "jam_free") (param i32 i32))
  (func (export "initialize") (param i32 i32))
  (func (export "message") (param $client i32) (param $at i32) (param $length i32)
    (local $kind i32)
    (local.set $kind (i32.load8_u (local.get $at)))
    (if (i32.eq (local.get $kind) (i32.const 103))
      (then
        (loop $again (br_if $again (i32.ne (table.grow $table (ref.null func) (i32.const 1000)) (i32.const -1))))
        (call $send_message (i32.const 0) (i32.const 32) (i32.const 7))))
    (if (i32.eq (local.get $kind) (i32.const 99))
      (then (loop $again (table.copy $table $table (i32.const 1) (i32.const 0) (i32.const 65535)) (br $again))))
    (if (i32.eq (local.get $kind) (i32.const 102))
      (then (loop $again (table.fill $table (i32.const 0) (ref.func $nothing) (i32.const 65536)) (br $again))))
    (if (i32.eq (local.get $kind) (i32.const 101))
      (then
        (table.set $table (i32.const 7) (ref.func $nothing))
        (call $send_message (i32.const 0) (i32.const 48) (i32.const 4))))))
