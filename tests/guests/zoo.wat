;; One service, many crimes: the first byte of a text message says which.
;;
;; u unreachable        d division by zero      v overflowing division   c float that fits no integer
;; o load past the end  O load at 4 GiB - 4     t table index outside    n null function pointer
;; s wrong signature    r endless recursion     l endless loop           L endless loop of host calls
;; B store past the end C float that is too large for an integer           D load and store of the last bytes, then "bye"
;; j endless recursion of two functions          S sets its timer for ever
;; g grow until refused, then trap              G one growth that is refused, then go on ("refused")
;; f fill 64 MiB again and again                 F copy 64 MiB over itself again and again
;; h send from 0xfffffff0, 0x20 bytes           H send of 2^31 bytes
;; e send of 0 bytes at the memory's end (allowed: an empty message)
;; E send of 1 byte at the memory's end         x send of invalid UTF-8
;; q sends for ever     b one send of 1 MiB, for ever                     W one send of 60 MiB
;; m refuse outside connect                     k close with code 1006   K close with code 4000 "bye"
;; i log with level 9   z proc_exit(3)          a abort of AssemblyScript's runtime
;; p random of 2 MiB    y log lines for ever
;; T now, as 8 bytes    R 16 random bytes       N bits of a NaN with a payload, computed
;; w "hello\nwor" to standard output, then return
;; A logs what would write into a terminal, then "bye"       Z sends to clients there are not, then "bye"
;; M the first 64 KiB of memory that is not zero outside what this module wrote: sends "clean" or traps
(module
  (import "env" "send_message" (func $send_message (param i32 i32 i32)))
  (import "env" "send_binary" (func $send_binary (param i32 i32 i32)))
  (import "env" "set_timer" (func $set_timer (param i32)))
  (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
  (import "jamsocket" "close" (func $close (param i32 i32 i32 i32)))
  (import "jamsocket" "refuse" (func $refuse (param i32 i32)))
  (import "jamsocket" "now" (func $now (result i64)))
  (import "jamsocket" "random" (func $random (param i32 i32)))
  (import "jamsocket" "log" (func $log (param i32 i32 i32)))
  (import "jamsocket" "client_info" (func $client_info (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))

  (memory (export "memory") 2)
  (table 3 funcref)
  (elem (i32.const 1) $recurse)
  (type $none (func))
  (global (export "JAMSOCKET_API_VERSION") i32 (i32.const 16))
  (global (export "JAMSOCKET_API_PROTOCOL") i32 (i32.const 20))
  (data (i32.const 16) "\01\00\00\00\00\00\00\00")
  (data (i32.const 32) "refused")
  (data (i32.const 48) "\ff\fe")
  (data (i32.const 64) "hello\0awor")
  (data (i32.const 80) "\40\00\00\00\09\00\00\00")             ;; an I/O vector: 64, 9
  (data (i32.const 100) "\0a\00\00\00o\00o\00p\00s\00!\00")     ;; "oops!" in UTF-16, at 104
  (data (i32.const 128) "bye")
  (data (i32.const 136) "clean")
  (data (i32.const 144) "User-Agent")
  (data (i32.const 160) "\1b[2J\0d\0a{\22level\22:\22error\22}\e2\80\a8")  ;; 26 bytes

  (func (export "initialize") (param i32 i32))
  (func (export "jam_malloc") (param $length i32) (result i32)
    (if (result i32) (i32.gt_u (local.get $length) (i32.const 60000))
      (then (i32.const 0))
      (else (i32.const 1024))))
  (func (export "jam_free") (param i32 i32))

  ;; Tells the newcomer its query; one whose query is longer than 60 bytes or begins with x is refused.
  (func (export "connect") (param $client i32)
    (local $length i32)
    (local.set $length (call $client_info (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 2048) (i32.const 60)))
    (if (i32.gt_s (local.get $length) (i32.const 60))
      (then (call $refuse (i32.const 128) (i32.const 3)) (return)))
    (if (i32.lt_s (local.get $length) (i32.const 0))
      (then (call $send_message (local.get $client) (i32.const 32) (i32.const 0)) (return)))
    (if (i32.eq (i32.load8_u (i32.const 2048)) (i32.const 120))
      (then (call $refuse (i32.const 128) (i32.const 3)) (return)))
    (call $send_message (local.get $client) (i32.const 2048) (local.get $length))
    ;; and the header User-Agent, if there is one
    (local.set $length (call $client_info (i32.const 2) (i32.const 144) (i32.const 10) (i32.const 2048) (i32.const 60)))
    (if (i32.ge_s (local.get $length) (i32.const 0))
      (then (call $send_message (local.get $client) (i32.const 2048) (local.get $length)))))

  (func $recurse (param i32) (result i32)
    (i32.add (i32.const 1) (call $recurse (i32.add (local.get 0) (i32.const 1)))))

  (func $there (param i32) (result i32)
    (i32.add (i32.const 1) (call $back (i32.add (local.get 0) (i32.const 1)))))
  (func $back (param i32) (result i32)
    (i32.add (i32.const 1) (call $there (i32.add (local.get 0) (i32.const 1)))))

  (func $is (param $have i32) (param $want i32) (result i32) (i32.eq (local.get $have) (local.get $want)))

  (func $traps (param $kind i32)
    (if (call $is (local.get $kind) (i32.const 117)) (then unreachable))
    (if (call $is (local.get $kind) (i32.const 100)) (then (drop (i32.div_s (i32.const 1) (i32.load (i32.const 200))))))
    (if (call $is (local.get $kind) (i32.const 118))
      (then (drop (i32.div_s (i32.const 0x80000000) (i32.sub (i32.load (i32.const 200)) (i32.const 1))))))
    (if (call $is (local.get $kind) (i32.const 99)) (then (drop (i32.trunc_f32_s (f32.div (f32.const 0) (f32.const 0))))))
    (if (call $is (local.get $kind) (i32.const 111)) (then (drop (i32.load (i32.const 131069)))))
    (if (call $is (local.get $kind) (i32.const 66)) (then (i32.store (i32.const 131069) (i32.const 1))))
    (if (call $is (local.get $kind) (i32.const 67)) (then (drop (i32.trunc_f64_s (f64.const 1e10)))))
    (if (call $is (local.get $kind) (i32.const 79)) (then (drop (i32.load offset=4294967295 (i32.const -4)))))
    (if (call $is (local.get $kind) (i32.const 116)) (then (call_indirect (type $none) (i32.const 9))))
    (if (call $is (local.get $kind) (i32.const 110)) (then (call_indirect (type $none) (i32.const 0))))
    (if (call $is (local.get $kind) (i32.const 115)) (then (call_indirect (type $none) (i32.const 1))))
    (if (call $is (local.get $kind) (i32.const 114)) (then (drop (call $recurse (i32.const 0)))))
    (if (call $is (local.get $kind) (i32.const 106)) (then (drop (call $there (i32.const 0)))))
    (if (call $is (local.get $kind) (i32.const 122)) (then (call $proc_exit (i32.const 3))))
    (if (call $is (local.get $kind) (i32.const 97))
      (then (call $abort (i32.const 104) (i32.const 0) (i32.const 7) (i32.const 9)))))

  (func $loops (param $kind i32)
    (if (call $is (local.get $kind) (i32.const 108)) (then (loop $again (br $again))))
    (if (call $is (local.get $kind) (i32.const 76))
      (then (loop $again (drop (call $fd_write (i32.const 7) (i32.const 80) (i32.const 1) (i32.const 96))) (br $again))))
    (if (call $is (local.get $kind) (i32.const 113))
      (then (loop $again (call $send_message (i32.const 0) (i32.const 128) (i32.const 3)) (br $again))))
    (if (call $is (local.get $kind) (i32.const 98))
      (then
        (drop (memory.grow (i32.const 16)))
        (loop $again (call $send_binary (i32.const 0) (i32.const 0) (i32.const 1048576)) (br $again))))
    (if (call $is (local.get $kind) (i32.const 87))
      (then
        (drop (memory.grow (i32.const 1022)))
        (call $send_binary (i32.const 0) (i32.const 0) (i32.const 62914560))))
    (if (call $is (local.get $kind) (i32.const 121))
      (then (loop $again (call $log (i32.const 1) (i32.const 128) (i32.const 3)) (br $again))))
    (if (call $is (local.get $kind) (i32.const 83))
      (then (loop $again (call $set_timer (i32.const 1)) (br $again))))
    (if (call $is (local.get $kind) (i32.const 70))
      (then
        (drop (memory.grow (i32.const 1022)))
        (loop $again (memory.copy (i32.const 4097) (i32.const 4096) (i32.const 67100000)) (br $again))))
    (if (call $is (local.get $kind) (i32.const 102))
      (then
        (drop (memory.grow (i32.const 1022)))
        (loop $again (memory.fill (i32.const 4096) (i32.const 0) (i32.const 67100000)) (br $again)))))

  (func $memory (param $kind i32)
    (if (call $is (local.get $kind) (i32.const 103))
      (then
        (loop $again (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
        unreachable))
    (if (call $is (local.get $kind) (i32.const 71))
      (then
        (if (i32.eq (memory.grow (i32.const 65535)) (i32.const -1))
          (then (call $send_message (i32.const 0) (i32.const 32) (i32.const 7))))))
    (if (call $is (local.get $kind) (i32.const 77)) (then (call $probe))))

  (func $probe
    (local $at i32)
    (local.set $at (i32.const 4096))
    (loop $again
      (if (i64.ne (i64.load (local.get $at)) (i64.const 0)) (then unreachable))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $again (i32.lt_u (local.get $at) (i32.const 131072))))
    (memory.fill (i32.const 4096) (i32.const 85) (i32.const 126976))
    (call $send_message (i32.const 0) (i32.const 136) (i32.const 5)))

  (func $lies (param $kind i32)
    (if (call $is (local.get $kind) (i32.const 104))
      (then (call $send_message (i32.const 0) (i32.const 0xfffffff0) (i32.const 0x20))))
    (if (call $is (local.get $kind) (i32.const 72))
      (then (call $send_binary (i32.const 0) (i32.const 0) (i32.const 0x80000000))))
    (if (call $is (local.get $kind) (i32.const 101))
      (then (call $send_message (i32.const 0) (i32.const 131072) (i32.const 0))))
    (if (call $is (local.get $kind) (i32.const 69))
      (then (call $send_message (i32.const 0) (i32.const 131072) (i32.const 1))))
    (if (call $is (local.get $kind) (i32.const 120))
      (then (call $send_message (i32.const 0) (i32.const 48) (i32.const 2))))
    (if (call $is (local.get $kind) (i32.const 109)) (then (call $refuse (i32.const 128) (i32.const 3))))
    (if (call $is (local.get $kind) (i32.const 107))
      (then (call $close (i32.const 1) (i32.const 1006) (i32.const 128) (i32.const 3))))
    (if (call $is (local.get $kind) (i32.const 75))
      (then
        (call $close (i32.const 0) (i32.const 4000) (i32.const 128) (i32.const 3))
        (call $close (i32.const 0x80000001) (i32.const 4000) (i32.const 128) (i32.const 3))
        (call $close (i32.const 1) (i32.const 4000) (i32.const 128) (i32.const 3))))
    (if (call $is (local.get $kind) (i32.const 105)) (then (call $log (i32.const 9) (i32.const 128) (i32.const 3))))
    (if (call $is (local.get $kind) (i32.const 112))
      (then (drop (memory.grow (i32.const 64))) (call $random (i32.const 4096) (i32.const 2097152)))))

  (func $answers (param $kind i32)
    (if (call $is (local.get $kind) (i32.const 84))
      (then
        (i64.store (i32.const 2048) (call $now))
        (call $send_binary (i32.const 0) (i32.const 2048) (i32.const 8))))
    (if (call $is (local.get $kind) (i32.const 82))
      (then
        (call $random (i32.const 2048) (i32.const 16))
        (call $send_binary (i32.const 0) (i32.const 2048) (i32.const 16))))
    (if (call $is (local.get $kind) (i32.const 78))
      (then
        ;; a NaN whose payload is not the canonical one goes through an addition
        (i32.store (i32.const 2048) (i32.const 0x7fe12345))
        (f32.store (i32.const 2048) (f32.add (f32.load (i32.const 2048)) (f32.const 1)))
        (call $send_binary (i32.const 0) (i32.const 2048) (i32.const 4))))
    (if (call $is (local.get $kind) (i32.const 65))
      (then
        (call $log (i32.const 1) (i32.const 160) (i32.const 26))
        (call $send_message (i32.const 0) (i32.const 128) (i32.const 3))))
    (if (call $is (local.get $kind) (i32.const 90))
      (then
        (call $send_message (i32.const 77) (i32.const 32) (i32.const 7))
        (call $send_binary (i32.const 0x7fffffff) (i32.const 32) (i32.const 7))
        (call $send_message (i32.const 0) (i32.const 128) (i32.const 3))))
    (if (call $is (local.get $kind) (i32.const 68))
      (then
        (i32.store (i32.const 131068) (i32.load (i32.const 131068)))
        (call $send_message (i32.const 0) (i32.const 128) (i32.const 3))))
    (if (call $is (local.get $kind) (i32.const 119))
      (then (drop (call $fd_write (i32.const 1) (i32.const 80) (i32.const 1) (i32.const 96))))))

  (func $message (export "message") (param $client i32) (param $at i32) (param $length i32)
    (local $kind i32)
    (if (i32.eqz (local.get $length))
      (then (call $send_message (local.get $client) (local.get $at) (i32.const 0)) (return)))
    (local.set $kind (i32.load8_u (local.get $at)))
    (call $traps (local.get $kind))
    (call $loops (local.get $kind))
    (call $memory (local.get $kind))
    (call $lies (local.get $kind))
    (call $answers (local.get $kind)))

  ;; Sends every binary message back to all but its sender.
  (func (export "binary") (param $client i32) (param $at i32) (param $length i32)
    (call $send_binary (i32.sub (i32.const 0) (local.get $client)) (local.get $at) (local.get $length))))
