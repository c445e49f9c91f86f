;; A counter as toolchains of 2021 built it: a WASI command. No _initialize; each export is a wrapper
;; named NAME.command_export that sets libraries up and down around the real function, asking for the
;; environment's sizes each time. 17 pages of memory, one unexported mutable global.
(module
  (import "env" "send_message" (func $send_message (param i32 i32 i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))

  (memory (export "memory") 17)
  (global $__stack_pointer (mut i32) (i32.const 1048576))
  (global (export "JAMSOCKET_API_VERSION") i32 (i32.const 1048576))
  (global (export "JAMSOCKET_API_PROTOCOL") i32 (i32.const 1048580))
  (data (i32.const 1048576) "\01\00\00\00\00\00\00\00")
  (data (i32.const 1048592) "value: 0")

  ;; The counter is the digit of the text itself; only one digit is needed to see that state stays.
  (func $increment
    (i32.store8 (i32.const 1048599) (i32.add (i32.load8_u (i32.const 1048599)) (i32.const 1))))

  ;; What the wrappers run before: the environment must be empty, or this would have to keep it.
  (func $__wasm_call_ctors
    (if (i32.ne (call $environ_sizes_get (i32.const 1048608) (i32.const 1048612)) (i32.const 0)) (then unreachable))
    (if (i32.ne (i32.load (i32.const 1048608)) (i32.const 0)) (then unreachable))
    (if (i32.ne (call $environ_get (i32.const 1048608) (i32.const 1048612)) (i32.const 0)) (then unreachable)))
  (func $__wasm_call_dtors)

  (func $initialize (param i32 i32))
  (func $message (param $client i32) (param $at i32) (param $length i32)
    (call $increment)
    (call $send_message (i32.const 0) (i32.const 1048592) (i32.const 8)))
  (func $jam_malloc (param $length i32) (result i32)
    (global.set $__stack_pointer (i32.sub (global.get $__stack_pointer) (i32.const 16)))
    (global.set $__stack_pointer (i32.add (global.get $__stack_pointer) (i32.const 16)))
    (if (result i32) (i32.eqz (local.get $length)) (then (i32.const 0)) (else (i32.const 1050000))))
  (func $jam_free (param i32 i32))

  (func $initialize.command_export (export "initialize") (param i32 i32)
    (call $__wasm_call_ctors) (call $initialize (local.get 0) (local.get 1)) (call $__wasm_call_dtors))
  (func $message.command_export (export "message") (param i32 i32 i32)
    (call $__wasm_call_ctors) (call $message (local.get 0) (local.get 1) (local.get 2)) (call $__wasm_call_dtors))
  (func $jam_malloc.command_export (export "jam_malloc") (param i32) (result i32)
    (call $__wasm_call_ctors) (call $jam_malloc (local.get 0)) (call $__wasm_call_dtors))
  (func $jam_free.command_export (export "jam_free") (param i32 i32)
    (call $__wasm_call_ctors) (call $jam_free (local.get 0) (local.get 1)) (call $__wasm_call_dtors)))
