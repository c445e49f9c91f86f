;; Globals of every sort, for the rewriter: imported ones shift the indexes, one has an export, and the
;; name that the rewriter would choose for another is taken. Not a service.
(module
  (import "env" "base" (global $base i32))
  (import "env" "limit" (global $limit i32))
  (global $constant i32 (i32.const 7))
  (global $hidden (mut i64) (i64.const -1))
  (global $counter (export "counter") (mut i32) (i32.const 0))
  (global $taken (mut i32) (global.get $base))
  (global $ratio (mut f64) (f64.const 0.5))
  (func $nothing)
  (func (export "__jamsocket_global_5")))
