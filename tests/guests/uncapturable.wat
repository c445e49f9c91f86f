;; Uses everything that a checkpoint of memory and globals does not hold. Not a service.
(module
  (memory 1)
  (table $t 4 funcref)
  (table $u 4 funcref)
  (elem $e func $f)
  (data $d "x")
  (global (mut funcref) (ref.null func))
  (func $f
    (table.set $t (i32.const 0) (ref.null func))
    (drop (table.grow $t (ref.null func) (i32.const 1)))
    (table.fill $t (i32.const 0) (ref.null func) (i32.const 1))
    (table.copy $t $u (i32.const 0) (i32.const 0) (i32.const 1))
    (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 1))
    (elem.drop $e)
    (data.drop $d)))
