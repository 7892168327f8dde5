
(** val implb : bool -> bool -> bool **)

let implb b1 b2 =
  if b1 then b2 else true

(** val negb : bool -> bool **)

let negb = function
| true -> false
| false -> true

type nat =
| O
| S of nat

(** val option_map : ('a1 -> 'a2) -> 'a1 option -> 'a2 option **)

let option_map f = function
| Some a -> Some (f a)
| None -> None

(** val fst : ('a1 * 'a2) -> 'a1 **)

let fst = function
| (x, _) -> x

(** val snd : ('a1 * 'a2) -> 'a2 **)

let snd = function
| (_, y) -> y

(** val length : 'a1 list -> nat **)

let rec length = function
| [] -> O
| _ :: l' -> S (length l')

type comparison =
| Eq
| Lt
| Gt

module Nat =
 struct
  (** val eqb : nat -> nat -> bool **)

  let rec eqb n m =
    match n with
    | O -> (match m with
            | O -> true
            | S _ -> false)
    | S n' -> (match m with
               | O -> false
               | S m' -> eqb n' m')

  (** val leb : nat -> nat -> bool **)

  let rec leb n m =
    match n with
    | O -> true
    | S n' -> (match m with
               | O -> false
               | S m' -> leb n' m')

  (** val ltb : nat -> nat -> bool **)

  let ltb n m =
    leb (S n) m
 end

module Pos =
 struct
  (** val succ : Big_int_Z.big_int -> Big_int_Z.big_int **)

  let rec succ = Big_int_Z.succ_big_int

  (** val add :
      Big_int_Z.big_int -> Big_int_Z.big_int -> Big_int_Z.big_int **)

  let rec add = Big_int_Z.add_big_int

  (** val add_carry :
      Big_int_Z.big_int -> Big_int_Z.big_int -> Big_int_Z.big_int **)

  and add_carry x y =
    (fun f2p1 f2p f1 p ->
  if Big_int_Z.le_big_int p Big_int_Z.unit_big_int then f1 () else
  let (q,r) = Big_int_Z.quomod_big_int p (Big_int_Z.big_int_of_int 2) in
  if Big_int_Z.eq_big_int r Big_int_Z.zero_big_int then f2p q else f2p1 q)
      (fun p ->
      (fun f2p1 f2p f1 p ->
  if Big_int_Z.le_big_int p Big_int_Z.unit_big_int then f1 () else
  let (q,r) = Big_int_Z.quomod_big_int p (Big_int_Z.big_int_of_int 2) in
  if Big_int_Z.eq_big_int r Big_int_Z.zero_big_int then f2p q else f2p1 q)
        (fun q0 ->
        (fun x -> Big_int_Z.succ_big_int (Big_int_Z.mult_int_big_int 2 x))
        (add_carry p q0))
        (fun q0 -> Big_int_Z.mult_int_big_int 2 (add_carry p q0))
        (fun _ ->
        (fun x -> Big_int_Z.succ_big_int (Big_int_Z.mult_int_big_int 2 x))
        (succ p))
        y)
      (fun p ->
      (fun f2p1 f2p f1 p ->
  if Big_int_Z.le_big_int p Big_int_Z.unit_big_int then f1 () else
  let (q,r) = Big_int_Z.quomod_big_int p (Big_int_Z.big_int_of_int 2) in
  if Big_int_Z.eq_big_int r Big_int_Z.zero_big_int then f2p q else f2p1 q)
        (fun q0 -> Big_int_Z.mult_int_big_int 2 (add_carry p q0))
        (fun q0 ->
        (fun x -> Big_int_Z.succ_big_int (Big_int_Z.mult_int_big_int 2 x))
        (add p q0))
        (fun _ -> Big_int_Z.mult_int_big_int 2 (succ p))
        y)
      (fun _ ->
      (fun f2p1 f2p f1 p ->
  if Big_int_Z.le_big_int p Big_int_Z.unit_big_int then f1 () else
  let (q,r) = Big_int_Z.quomod_big_int p (Big_int_Z.big_int_of_int 2) in
  if Big_int_Z.eq_big_int r Big_int_Z.zero_big_int then f2p q else f2p1 q)
        (fun q0 ->
        (fun x -> Big_int_Z.succ_big_int (Big_int_Z.mult_int_big_int 2 x))
        (succ q0))
        (fun q0 -> Big_int_Z.mult_int_big_int 2 (succ q0))
        (fun _ ->
        (fun x -> Big_int_Z.succ_big_int (Big_int_Z.mult_int_big_int 2 x))
        Big_int_Z.unit_big_int)
        y)
      x

  (** val pred_double : Big_int_Z.big_int -> Big_int_Z.big_int **)

  let rec pred_double x =
    (fun f2p1 f2p f1 p ->
  if Big_int_Z.le_big_int p Big_int_Z.unit_big_int then f1 () else
  let (q,r) = Big_int_Z.quomod_big_int p (Big_int_Z.big_int_of_int 2) in
  if Big_int_Z.eq_big_int r Big_int_Z.zero_big_int then f2p q else f2p1 q)
      (fun p ->
      (fun x -> Big_int_Z.succ_big_int (Big_int_Z.mult_int_big_int 2 x))
      (Big_int_Z.mult_int_big_int 2 p))
      (fun p ->
      (fun x -> Big_int_Z.succ_big_int (Big_int_Z.mult_int_big_int 2 x))
      (pred_double p))
      (fun _ -> Big_int_Z.unit_big_int)
      x

  (** val mul :
      Big_int_Z.big_int -> Big_int_Z.big_int -> Big_int_Z.big_int **)

  let rec mul = Big_int_Z.mult_big_int

  (** val compare_cont :
      comparison -> Big_int_Z.big_int -> Big_int_Z.big_int -> comparison **)

  let rec compare_cont = (fun c x y -> let s = Big_int_Z.compare_big_int x y in
  if s = 0 then c else if s < 0 then Lt else Gt)

  (** val compare : Big_int_Z.big_int -> Big_int_Z.big_int -> comparison **)

  let compare = (fun x y -> let s = Big_int_Z.compare_big_int x y in
  if s = 0 then Eq else if s < 0 then Lt else Gt)

  (** val eqb : Big_int_Z.big_int -> Big_int_Z.big_int -> bool **)

  let rec eqb p q0 =
    (fun f2p1 f2p f1 p ->
  if Big_int_Z.le_big_int p Big_int_Z.unit_big_int then f1 () else
  let (q,r) = Big_int_Z.quomod_big_int p (Big_int_Z.big_int_of_int 2) in
  if Big_int_Z.eq_big_int r Big_int_Z.zero_big_int then f2p q else f2p1 q)
      (fun p0 ->
      (fun f2p1 f2p f1 p ->
  if Big_int_Z.le_big_int p Big_int_Z.unit_big_int then f1 () else
  let (q,r) = Big_int_Z.quomod_big_int p (Big_int_Z.big_int_of_int 2) in
  if Big_int_Z.eq_big_int r Big_int_Z.zero_big_int then f2p q else f2p1 q)
        (fun q1 -> eqb p0 q1)
        (fun _ -> false)
        (fun _ -> false)
        q0)
      (fun p0 ->
      (fun f2p1 f2p f1 p ->
  if Big_int_Z.le_big_int p Big_int_Z.unit_big_int then f1 () else
  let (q,r) = Big_int_Z.quomod_big_int p (Big_int_Z.big_int_of_int 2) in
  if Big_int_Z.eq_big_int r Big_int_Z.zero_big_int then f2p q else f2p1 q)
        (fun _ -> false)
        (fun q1 -> eqb p0 q1)
        (fun _ -> false)
        q0)
      (fun _ ->
      (fun f2p1 f2p f1 p ->
  if Big_int_Z.le_big_int p Big_int_Z.unit_big_int then f1 () else
  let (q,r) = Big_int_Z.quomod_big_int p (Big_int_Z.big_int_of_int 2) in
  if Big_int_Z.eq_big_int r Big_int_Z.zero_big_int then f2p q else f2p1 q)
        (fun _ -> false)
        (fun _ -> false)
        (fun _ -> true)
        q0)
      p
 end

module Z =
 struct
  (** val double : Big_int_Z.big_int -> Big_int_Z.big_int **)

  let double x =
    (fun fO fp fn z -> let s = Big_int_Z.sign_big_int z in
  if s = 0 then fO () else if s > 0 then fp z
  else fn (Big_int_Z.minus_big_int z))
      (fun _ -> Big_int_Z.zero_big_int)
      (fun p -> (Big_int_Z.mult_int_big_int 2 p))
      (fun p -> Big_int_Z.minus_big_int (Big_int_Z.mult_int_big_int 2 p))
      x

  (** val succ_double : Big_int_Z.big_int -> Big_int_Z.big_int **)

  let succ_double x =
    (fun fO fp fn z -> let s = Big_int_Z.sign_big_int z in
  if s = 0 then fO () else if s > 0 then fp z
  else fn (Big_int_Z.minus_big_int z))
      (fun _ -> Big_int_Z.unit_big_int)
      (fun p ->
      ((fun x -> Big_int_Z.succ_big_int (Big_int_Z.mult_int_big_int 2 x))
      p))
      (fun p -> Big_int_Z.minus_big_int (Pos.pred_double p))
      x

  (** val pred_double : Big_int_Z.big_int -> Big_int_Z.big_int **)

  let pred_double x =
    (fun fO fp fn z -> let s = Big_int_Z.sign_big_int z in
  if s = 0 then fO () else if s > 0 then fp z
  else fn (Big_int_Z.minus_big_int z))
      (fun _ -> Big_int_Z.minus_big_int Big_int_Z.unit_big_int)
      (fun p -> (Pos.pred_double p))
      (fun p -> Big_int_Z.minus_big_int
      ((fun x -> Big_int_Z.succ_big_int (Big_int_Z.mult_int_big_int 2 x)) p))
      x

  (** val pos_sub :
      Big_int_Z.big_int -> Big_int_Z.big_int -> Big_int_Z.big_int **)

  let rec pos_sub x y =
    (fun f2p1 f2p f1 p ->
  if Big_int_Z.le_big_int p Big_int_Z.unit_big_int then f1 () else
  let (q,r) = Big_int_Z.quomod_big_int p (Big_int_Z.big_int_of_int 2) in
  if Big_int_Z.eq_big_int r Big_int_Z.zero_big_int then f2p q else f2p1 q)
      (fun p ->
      (fun f2p1 f2p f1 p ->
  if Big_int_Z.le_big_int p Big_int_Z.unit_big_int then f1 () else
  let (q,r) = Big_int_Z.quomod_big_int p (Big_int_Z.big_int_of_int 2) in
  if Big_int_Z.eq_big_int r Big_int_Z.zero_big_int then f2p q else f2p1 q)
        (fun q0 -> double (pos_sub p q0))
        (fun q0 -> succ_double (pos_sub p q0))
        (fun _ -> (Big_int_Z.mult_int_big_int 2 p))
        y)
      (fun p ->
      (fun f2p1 f2p f1 p ->
  if Big_int_Z.le_big_int p Big_int_Z.unit_big_int then f1 () else
  let (q,r) = Big_int_Z.quomod_big_int p (Big_int_Z.big_int_of_int 2) in
  if Big_int_Z.eq_big_int r Big_int_Z.zero_big_int then f2p q else f2p1 q)
        (fun q0 -> pred_double (pos_sub p q0))
        (fun q0 -> double (pos_sub p q0))
        (fun _ -> (Pos.pred_double p))
        y)
      (fun _ ->
      (fun f2p1 f2p f1 p ->
  if Big_int_Z.le_big_int p Big_int_Z.unit_big_int then f1 () else
  let (q,r) = Big_int_Z.quomod_big_int p (Big_int_Z.big_int_of_int 2) in
  if Big_int_Z.eq_big_int r Big_int_Z.zero_big_int then f2p q else f2p1 q)
        (fun q0 -> Big_int_Z.minus_big_int (Big_int_Z.mult_int_big_int 2
        q0))
        (fun q0 -> Big_int_Z.minus_big_int (Pos.pred_double q0))
        (fun _ -> Big_int_Z.zero_big_int)
        y)
      x

  (** val add :
      Big_int_Z.big_int -> Big_int_Z.big_int -> Big_int_Z.big_int **)

  let add = Big_int_Z.add_big_int

  (** val opp : Big_int_Z.big_int -> Big_int_Z.big_int **)

  let opp = Big_int_Z.minus_big_int

  (** val sub :
      Big_int_Z.big_int -> Big_int_Z.big_int -> Big_int_Z.big_int **)

  let sub = Big_int_Z.sub_big_int

  (** val mul :
      Big_int_Z.big_int -> Big_int_Z.big_int -> Big_int_Z.big_int **)

  let mul = Big_int_Z.mult_big_int

  (** val compare : Big_int_Z.big_int -> Big_int_Z.big_int -> comparison **)

  let compare = (fun x y -> let s = Big_int_Z.compare_big_int x y in
  if s = 0 then Eq else if s < 0 then Lt else Gt)

  (** val leb : Big_int_Z.big_int -> Big_int_Z.big_int -> bool **)

  let leb x y =
    match compare x y with
    | Gt -> false
    | _ -> true

  (** val ltb : Big_int_Z.big_int -> Big_int_Z.big_int -> bool **)

  let ltb x y =
    match compare x y with
    | Lt -> true
    | _ -> false

  (** val eqb : Big_int_Z.big_int -> Big_int_Z.big_int -> bool **)

  let eqb = Big_int_Z.eq_big_int

  (** val pos_div_eucl :
      Big_int_Z.big_int -> Big_int_Z.big_int ->
      Big_int_Z.big_int * Big_int_Z.big_int **)

  let rec pos_div_eucl a b =
    (fun f2p1 f2p f1 p ->
  if Big_int_Z.le_big_int p Big_int_Z.unit_big_int then f1 () else
  let (q,r) = Big_int_Z.quomod_big_int p (Big_int_Z.big_int_of_int 2) in
  if Big_int_Z.eq_big_int r Big_int_Z.zero_big_int then f2p q else f2p1 q)
      (fun a' ->
      let (q0, r) = pos_div_eucl a' b in
      let r' =
        add (mul (Big_int_Z.mult_int_big_int 2 Big_int_Z.unit_big_int) r)
          Big_int_Z.unit_big_int
      in
      if ltb r' b
      then ((mul (Big_int_Z.mult_int_big_int 2 Big_int_Z.unit_big_int) q0),
             r')
      else ((add
              (mul (Big_int_Z.mult_int_big_int 2 Big_int_Z.unit_big_int) q0)
              Big_int_Z.unit_big_int), (sub r' b)))
      (fun a' ->
      let (q0, r) = pos_div_eucl a' b in
      let r' = mul (Big_int_Z.mult_int_big_int 2 Big_int_Z.unit_big_int) r in
      if ltb r' b
      then ((mul (Big_int_Z.mult_int_big_int 2 Big_int_Z.unit_big_int) q0),
             r')
      else ((add
              (mul (Big_int_Z.mult_int_big_int 2 Big_int_Z.unit_big_int) q0)
              Big_int_Z.unit_big_int), (sub r' b)))
      (fun _ ->
      if leb (Big_int_Z.mult_int_big_int 2 Big_int_Z.unit_big_int) b
      then (Big_int_Z.zero_big_int, Big_int_Z.unit_big_int)
      else (Big_int_Z.unit_big_int, Big_int_Z.zero_big_int))
      a

  (** val div_eucl :
      Big_int_Z.big_int -> Big_int_Z.big_int ->
      Big_int_Z.big_int * Big_int_Z.big_int **)

  let div_eucl = Big_int_Z.(fun x y ->
  match sign_big_int y with
  | 0 -> (zero_big_int, x)
  | 1 -> quomod_big_int x y
  | _ -> let (q, r) = quomod_big_int (add_int_big_int (-1) x) y in
          (add_int_big_int (-1) q, add_big_int (add_int_big_int 1 y) r))

  (** val div :
      Big_int_Z.big_int -> Big_int_Z.big_int -> Big_int_Z.big_int **)

  let div = Big_int_Z.(fun x y ->
  match sign_big_int y with
  | 0 -> zero_big_int
  | 1 -> div_big_int x y
  | _ -> add_int_big_int (-1) (div_big_int (add_int_big_int (-1) x) y))
 end

(** val zeq_bool : Big_int_Z.big_int -> Big_int_Z.big_int -> bool **)

let zeq_bool x y =
  match Z.compare x y with
  | Eq -> true
  | _ -> false

(** val hd : 'a1 -> 'a1 list -> 'a1 **)

let hd default = function
| [] -> default
| x :: _ -> x

(** val tl : 'a1 list -> 'a1 list **)

let tl = function
| [] -> []
| _ :: m -> m

(** val nth : nat -> 'a1 list -> 'a1 -> 'a1 **)

let rec nth n l default =
  match n with
  | O -> (match l with
          | [] -> default
          | x :: _ -> x)
  | S m -> (match l with
            | [] -> default
            | _ :: t0 -> nth m t0 default)

(** val nth_error : 'a1 list -> nat -> 'a1 option **)

let rec nth_error l = function
| O -> (match l with
        | [] -> None
        | x :: _ -> Some x)
| S n0 -> (match l with
           | [] -> None
           | _ :: l0 -> nth_error l0 n0)

(** val map : ('a1 -> 'a2) -> 'a1 list -> 'a2 list **)

let rec map f = function
| [] -> []
| a :: t0 -> (f a) :: (map f t0)

(** val fold_left : ('a1 -> 'a2 -> 'a1) -> 'a2 list -> 'a1 -> 'a1 **)

let rec fold_left f l a0 =
  match l with
  | [] -> a0
  | b :: t0 -> fold_left f t0 (f a0 b)

(** val existsb : ('a1 -> bool) -> 'a1 list -> bool **)

let rec existsb f = function
| [] -> false
| a :: l0 -> (||) (f a) (existsb f l0)

type q = { qnum : Big_int_Z.big_int; qden : Big_int_Z.big_int }

(** val inject_Z : Big_int_Z.big_int -> q **)

let inject_Z x =
  { qnum = x; qden = Big_int_Z.unit_big_int }

(** val qeq_bool : q -> q -> bool **)

let qeq_bool x y =
  zeq_bool (Z.mul x.qnum y.qden) (Z.mul y.qnum x.qden)

(** val qle_bool : q -> q -> bool **)

let qle_bool x y =
  Z.leb (Z.mul x.qnum y.qden) (Z.mul y.qnum x.qden)

(** val qplus : q -> q -> q **)

let qplus x y =
  { qnum = (Z.add (Z.mul x.qnum y.qden) (Z.mul y.qnum x.qden)); qden =
    (Pos.mul x.qden y.qden) }

(** val qmult : q -> q -> q **)

let qmult x y =
  { qnum = (Z.mul x.qnum y.qnum); qden = (Pos.mul x.qden y.qden) }

(** val qopp : q -> q **)

let qopp x =
  { qnum = (Z.opp x.qnum); qden = x.qden }

(** val qminus : q -> q -> q **)

let qminus x y =
  qplus x (qopp y)

(** val qinv : q -> q **)

let qinv x =
  (fun fO fp fn z -> let s = Big_int_Z.sign_big_int z in
  if s = 0 then fO () else if s > 0 then fp z
  else fn (Big_int_Z.minus_big_int z))
    (fun _ -> { qnum = Big_int_Z.zero_big_int; qden =
    Big_int_Z.unit_big_int })
    (fun p -> { qnum = x.qden; qden = p })
    (fun p -> { qnum = (Big_int_Z.minus_big_int x.qden); qden = p })
    x.qnum

(** val qdiv : q -> q -> q **)

let qdiv x y =
  qmult x (qinv y)

module PositiveMap =
 struct
  type key = Big_int_Z.big_int

  type 'a tree =
  | Leaf
  | Node of 'a tree * 'a option * 'a tree

  type 'a t = 'a tree

  (** val empty : 'a1 t **)

  let empty =
    Leaf

  (** val find : key -> 'a1 t -> 'a1 option **)

  let rec find i = function
  | Leaf -> None
  | Node (l, o, r) ->
    ((fun f2p1 f2p f1 p ->
  if Big_int_Z.le_big_int p Big_int_Z.unit_big_int then f1 () else
  let (q,r) = Big_int_Z.quomod_big_int p (Big_int_Z.big_int_of_int 2) in
  if Big_int_Z.eq_big_int r Big_int_Z.zero_big_int then f2p q else f2p1 q)
       (fun ii -> find ii r)
       (fun ii -> find ii l)
       (fun _ -> o)
       i)

  (** val add : key -> 'a1 -> 'a1 t -> 'a1 t **)

  let rec add i v = function
  | Leaf ->
    ((fun f2p1 f2p f1 p ->
  if Big_int_Z.le_big_int p Big_int_Z.unit_big_int then f1 () else
  let (q,r) = Big_int_Z.quomod_big_int p (Big_int_Z.big_int_of_int 2) in
  if Big_int_Z.eq_big_int r Big_int_Z.zero_big_int then f2p q else f2p1 q)
       (fun ii -> Node (Leaf, None, (add ii v Leaf)))
       (fun ii -> Node ((add ii v Leaf), None, Leaf))
       (fun _ -> Node (Leaf, (Some v), Leaf))
       i)
  | Node (l, o, r) ->
    ((fun f2p1 f2p f1 p ->
  if Big_int_Z.le_big_int p Big_int_Z.unit_big_int then f1 () else
  let (q,r) = Big_int_Z.quomod_big_int p (Big_int_Z.big_int_of_int 2) in
  if Big_int_Z.eq_big_int r Big_int_Z.zero_big_int then f2p q else f2p1 q)
       (fun ii -> Node (l, o, (add ii v r)))
       (fun ii -> Node ((add ii v l), o, r))
       (fun _ -> Node (l, (Some v), r))
       i)
 end

type choice = { costs : Big_int_Z.big_int list; goes : Big_int_Z.big_int list }

type place = { over : bool; choices : choice list }

type bound = { budget : q; gam : q; closed : bool; anytime : bool }

(** val bound_ok : bound -> bool **)

let bound_ok b =
  (&&)
    (negb
      (qle_bool b.gam { qnum = Big_int_Z.zero_big_int; qden =
        Big_int_Z.unit_big_int }))
    (qle_bool b.gam { qnum = Big_int_Z.unit_big_int; qden =
      Big_int_Z.unit_big_int })

(** val kept : bound -> q -> bool **)

let kept b z0 =
  if b.closed
  then qle_bool { qnum = Big_int_Z.zero_big_int; qden =
         Big_int_Z.unit_big_int } z0
  else negb
         (qle_bool z0 { qnum = Big_int_Z.zero_big_int; qden =
           Big_int_Z.unit_big_int })

(** val judged : bound -> bool -> bool **)

let judged b o =
  (||) b.anytime o

(** val table :
    Big_int_Z.big_int -> 'a1 list -> 'a1 PositiveMap.t -> 'a1 PositiveMap.t **)

let rec table i l m =
  match l with
  | [] -> m
  | r :: l0 -> table (Pos.succ i) l0 (PositiveMap.add i r m)

(** val table_of : 'a1 list -> 'a1 PositiveMap.t **)

let table_of l =
  table Big_int_Z.unit_big_int l PositiveMap.empty

(** val all : ('a1 -> bool) -> 'a1 list -> bool **)

let rec all f = function
| [] -> true
| r :: l0 -> if f r then all f l0 else false

(** val same_id : Big_int_Z.big_int -> Big_int_Z.big_int -> bool **)

let same_id i j =
  match Pos.compare i j with
  | Eq -> true
  | _ -> false

type demand = (Big_int_Z.big_int * bool) option

type drow = { dem : demand; pick : nat; here : place }

(** val paid :
    Big_int_Z.big_int -> Big_int_Z.big_int -> drow PositiveMap.t ->
    Big_int_Z.big_int -> Big_int_Z.big_int -> bool -> Big_int_Z.big_int ->
    bool **)

let paid gp _ m charge own st s =
  match PositiveMap.find s m with
  | Some r ->
    (match r.dem with
     | Some p ->
       let (d, st') = p in
       (match Z.compare (Z.add charge (Z.mul gp d)) own with
        | Eq -> implb st' st
        | Lt -> true
        | Gt -> false)
     | None -> false)
  | None -> false

(** val demand_row :
    bound -> Big_int_Z.big_int -> drow PositiveMap.t -> drow -> bool **)

let demand_row b k m r =
  match r.dem with
  | Some p ->
    let (d, st) = p in
    (&&)
      (if judged b r.here.over
       then (&&) (Z.leb Big_int_Z.zero_big_int d)
              ((||) ((||) (Z.ltb Big_int_Z.zero_big_int d) b.closed) st)
       else true)
      (if r.here.over
       then true
       else (match nth_error r.here.choices r.pick with
             | Some ch ->
               all
                 (paid b.gam.qnum b.gam.qden m
                   (Z.mul
                     (Z.mul b.gam.qden
                       (nth O ch.costs Big_int_Z.zero_big_int)) k)
                   (Z.mul b.gam.qden d) st) ch.goes
             | None -> false))
  | None -> true

(** val admits : Big_int_Z.big_int -> demand -> q -> bool **)

let admits k o z0 =
  match o with
  | Some p ->
    let (d, b) = p in
    if b
    then negb (qle_bool z0 { qnum = d; qden = k })
    else qle_bool { qnum = d; qden = k } z0
  | None -> false

(** val start_ok :
    bound -> Big_int_Z.big_int -> drow PositiveMap.t -> Big_int_Z.big_int ->
    bool **)

let start_ok b k m s =
  match PositiveMap.find s m with
  | Some r -> admits k r.dem b.budget
  | None -> false

(** val check_demand :
    bound -> Big_int_Z.big_int -> drow list -> Big_int_Z.big_int list -> bool **)

let check_demand b k rows starts =
  let m = table_of rows in
  (&&) ((&&) (bound_ok b) (all (demand_row b k m) rows))
    (all (start_ok b k m) starts)

(** val qfloor : q -> Big_int_Z.big_int **)

let qfloor x =
  let { qnum = n; qden = d } = x in Z.div n d

type rounding = { clip : q option; grid : Big_int_Z.big_int option }

type move = { taken : nat; vector : Big_int_Z.big_int;
              leads : Big_int_Z.big_int list }

type pair = { stands : Big_int_Z.big_int; holds : Big_int_Z.big_int;
              moves : move list }

(** val rounded : rounding -> q -> q **)

let rounded r z0 =
  let z1 =
    match r.clip with
    | Some m -> if qle_bool z0 m then z0 else m
    | None -> z0
  in
  (match r.grid with
   | Some n ->
     { qnum =
       (qfloor (qmult z1 { qnum = n; qden = Big_int_Z.unit_big_int }));
       qden = n }
   | None -> z1)

(** val tracked : bound -> rounding -> q -> Big_int_Z.big_int -> q **)

let tracked b r z0 c =
  rounded r (qdiv (qminus z0 (inject_Z c)) b.gam)

(** val start_vector : (bound * rounding) list -> q list -> bool **)

let rec start_vector bs v =
  match bs with
  | [] -> (match v with
           | [] -> true
           | _ :: _ -> false)
  | p :: bs0 ->
    let (b, r) = p in
    (match v with
     | [] -> false
     | x :: v0 -> (&&) (qeq_bool x (rounded r b.budget)) (start_vector bs0 v0))

(** val next_vector :
    (bound * rounding) list -> q list -> Big_int_Z.big_int list -> q list ->
    bool **)

let rec next_vector bs v cs v' =
  match bs with
  | [] ->
    (match v with
     | [] ->
       (match cs with
        | [] -> (match v' with
                 | [] -> true
                 | _ :: _ -> false)
        | _ :: _ -> false)
     | _ :: _ -> false)
  | p :: bs0 ->
    let (b, r) = p in
    (match v with
     | [] -> false
     | x :: v0 ->
       (match cs with
        | [] -> false
        | c :: cs0 ->
          (match v' with
           | [] -> false
           | y :: v'0 ->
             (&&) (qeq_bool y (tracked b r x c)) (next_vector bs0 v0 cs0 v'0))))

(** val kept_vector : bool -> (bound * rounding) list -> q list -> bool **)

let rec kept_vector o bs v =
  match bs with
  | [] -> (match v with
           | [] -> true
           | _ :: _ -> false)
  | p :: bs0 ->
    let (b, _) = p in
    (match v with
     | [] -> false
     | x :: v0 ->
       (&&) (if judged b o then kept b x else true) (kept_vector o bs0 v0))

(** val led :
    pair PositiveMap.t -> Big_int_Z.big_int -> Big_int_Z.big_int list ->
    Big_int_Z.big_int list -> bool **)

let rec led p k ss ids =
  match ss with
  | [] -> (match ids with
           | [] -> true
           | _ :: _ -> false)
  | s :: ss0 ->
    (match ids with
     | [] -> false
     | i :: ids0 ->
       (match PositiveMap.find i p with
        | Some r ->
          (&&) ((&&) (same_id r.stands s) (same_id r.holds k))
            (led p k ss0 ids0)
        | None -> false))

(** val move_ok :
    (bound * rounding) list -> q list PositiveMap.t -> pair PositiveMap.t ->
    place -> q list -> move -> bool **)

let move_ok bs v p pl v0 m =
  match nth_error pl.choices m.taken with
  | Some ch ->
    (match PositiveMap.find m.vector v with
     | Some v' ->
       (&&) (next_vector bs v0 ch.costs v') (led p m.vector ch.goes m.leads)
     | None -> false)
  | None -> false

(** val pair_ok :
    (bound * rounding) list -> place PositiveMap.t -> q list PositiveMap.t ->
    pair PositiveMap.t -> pair -> bool **)

let pair_ok bs g v p r =
  match PositiveMap.find r.stands g with
  | Some pl ->
    (match PositiveMap.find r.holds v with
     | Some v0 ->
       (&&) (kept_vector pl.over bs v0)
         (match r.moves with
          | [] -> pl.over
          | _ :: _ -> (&&) (negb pl.over) (all (move_ok bs v p pl v0) r.moves))
     | None -> false)
  | None -> false

(** val begins :
    (bound * rounding) list -> q list PositiveMap.t -> pair PositiveMap.t ->
    (Big_int_Z.big_int * Big_int_Z.big_int) -> bool **)

let begins bs v p x =
  match PositiveMap.find (snd x) p with
  | Some r ->
    (&&) (same_id r.stands (fst x))
      (match PositiveMap.find r.holds v with
       | Some v0 -> start_vector bs v0
       | None -> false)
  | None -> false

(** val check_pairs :
    (bound * rounding) list -> place list -> q list list -> pair list ->
    (Big_int_Z.big_int * Big_int_Z.big_int) list -> bool **)

let check_pairs bs game vectors pairs starts =
  let g = table_of game in
  let v = table_of vectors in
  let p = table_of pairs in
  (&&)
    ((&&) (all (fun br -> bound_ok (fst br)) bs)
      (all (pair_ok bs g v p) pairs)) (all (begins bs v p) starts)

type stride = { played : nat; reached : Big_int_Z.big_int; left : q list }

(** val moved :
    bound list -> q list -> Big_int_Z.big_int list -> q list -> bool **)

let rec moved bs zs cs ys =
  match bs with
  | [] ->
    (match zs with
     | [] ->
       (match cs with
        | [] -> (match ys with
                 | [] -> true
                 | _ :: _ -> false)
        | _ :: _ -> false)
     | _ :: _ -> false)
  | b :: bs0 ->
    (match zs with
     | [] -> false
     | z0 :: zs0 ->
       (match cs with
        | [] -> false
        | c :: cs0 ->
          (match ys with
           | [] -> false
           | y :: ys0 ->
             (&&) (qeq_bool y (qdiv (qminus z0 (inject_Z c)) b.gam))
               (moved bs0 zs0 cs0 ys0))))

(** val unbroken : bound list -> q list -> bool **)

let rec unbroken bs zs =
  match bs with
  | [] -> (match zs with
           | [] -> true
           | _ :: _ -> false)
  | b :: bs0 ->
    (match zs with
     | [] -> false
     | z0 :: zs0 -> (&&) (implb b.anytime (kept b z0)) (unbroken bs0 zs0))

(** val walk :
    place PositiveMap.t -> bound list -> nat -> Big_int_Z.big_int -> q list
    -> stride list -> bool **)

let rec walk g bs j s zs run =
  match PositiveMap.find s g with
  | Some pl ->
    (match run with
     | [] ->
       (match nth_error bs j with
        | Some b ->
          (match nth_error zs j with
           | Some z0 -> (&&) (negb (kept b z0)) (judged b pl.over)
           | None -> false)
        | None -> false)
     | x :: run0 ->
       (&&) ((&&) (negb pl.over) (unbroken bs zs))
         (match nth_error pl.choices x.played with
          | Some ch ->
            (&&)
              ((&&) (existsb (same_id x.reached) ch.goes)
                (moved bs zs ch.costs x.left))
              (walk g bs j x.reached x.left run0)
          | None -> false))
  | None -> false

(** val check_violation :
    bound list -> place list -> nat -> Big_int_Z.big_int -> stride list ->
    bool **)

let check_violation bs game j s0 run =
  (&&) (all bound_ok bs)
    (walk (table_of game) bs j s0 (map (fun b -> b.budget) bs) run)

type way =
| Counted
| Undiscounted
| Discounted

type irow = { low : Big_int_Z.big_int; above : bool;
              rank : Big_int_Z.big_int; spot : place }

(** val nothing : bound -> irow -> bool **)

let nothing b r =
  (&&) (judged b r.spot.over)
    ((||) (Z.ltb r.low Big_int_Z.zero_big_int)
      ((&&) (Z.eqb r.low Big_int_Z.zero_big_int)
        ((||) (negb r.above) (negb b.closed))))

(** val forces :
    way -> Big_int_Z.big_int -> Big_int_Z.big_int -> irow PositiveMap.t ->
    Big_int_Z.big_int -> Big_int_Z.big_int -> Big_int_Z.big_int -> irow ->
    Big_int_Z.big_int -> bool **)

let forces w gp _ m c charge own r s =
  match PositiveMap.find s m with
  | Some r' ->
    let less = Z.ltb r'.rank r.rank in
    let progress = fun tight ->
      match w with
      | Counted -> less
      | Undiscounted ->
        (&&) (Z.leb Big_int_Z.zero_big_int c)
          ((||) (Z.leb Big_int_Z.unit_big_int c) less)
      | Discounted -> if (&&) tight r.above then less else true
    in
    (match Z.compare own (Z.add charge (Z.mul gp r'.low)) with
     | Eq -> (&&) (implb r.above r'.above) (progress true)
     | Lt -> progress false
     | Gt -> false)
  | None -> false

(** val irow_ok :
    way -> bound -> Big_int_Z.big_int -> irow PositiveMap.t -> irow -> bool **)

let irow_ok w b k m r =
  (&&) (Z.leb Big_int_Z.zero_big_int r.rank)
    ((||) (nothing b r)
      ((&&) (negb r.spot.over)
        (let q0 = b.gam.qden in
         all (fun ch ->
           let c = nth O ch.costs Big_int_Z.zero_big_int in
           existsb
             (forces w b.gam.qnum q0 m c (Z.mul (Z.mul q0 c) k)
               (Z.mul q0 r.low) r) ch.goes) r.spot.choices)))

(** val way_ok : way -> bound -> bool **)

let way_ok w b =
  match w with
  | Counted -> true
  | Undiscounted ->
    (&&)
      (qeq_bool b.gam { qnum = Big_int_Z.unit_big_int; qden =
        Big_int_Z.unit_big_int }) b.anytime
  | Discounted ->
    (&&)
      (negb
        (qle_bool { qnum = Big_int_Z.unit_big_int; qden =
          Big_int_Z.unit_big_int } b.gam)) b.anytime

(** val short :
    bound -> Big_int_Z.big_int -> irow PositiveMap.t -> Big_int_Z.big_int ->
    bool **)

let short b k m s =
  match PositiveMap.find s m with
  | Some r -> negb (admits k (Some (r.low, r.above)) b.budget)
  | None -> false

(** val check_impossibility :
    way -> bound -> Big_int_Z.big_int -> irow list -> Big_int_Z.big_int list
    -> bool **)

let check_impossibility w b k rows starts =
  let m = table_of rows in
  (&&) ((&&) ((&&) (bound_ok b) (way_ok w b)) (all (irow_ok w b k m) rows))
    (existsb (short b k m) starts)

type stake = { gain : q; total : Big_int_Z.big_int;
               weights : Big_int_Z.big_int list }

type rrow = { at_place : Big_int_Z.big_int; held : q list;
              dead : Big_int_Z.big_int option; up : Big_int_Z.big_int;
              named : (nat * Big_int_Z.big_int) option;
              up_steps : Big_int_Z.big_int option;
              low_steps : Big_int_Z.big_int option;
              hints : Big_int_Z.big_int option list list }

type outcome =
| Lost
| Done
| Next of rrow
| Missing

(** val paid_vector :
    (bound * rounding) list -> q list -> Big_int_Z.big_int list -> q list **)

let rec paid_vector bs v cs =
  match bs with
  | [] -> []
  | p :: bs0 ->
    let (b, r) = p in
    (match v with
     | [] -> []
     | x :: v0 ->
       (tracked b r x (hd Big_int_Z.zero_big_int cs)) :: (paid_vector bs0 v0
                                                           (tl cs)))

(** val same_vector : q list -> q list -> bool **)

let rec same_vector v v' =
  match v with
  | [] -> (match v' with
           | [] -> true
           | _ :: _ -> false)
  | x :: v0 ->
    (match v' with
     | [] -> false
     | y :: v'0 -> (&&) (qeq_bool x y) (same_vector v0 v'0))

(** val outcome_of :
    (bound * rounding) list -> place PositiveMap.t -> rrow PositiveMap.t -> q
    list -> Big_int_Z.big_int -> Big_int_Z.big_int option -> outcome **)

let outcome_of bs g r v s hint =
  match PositiveMap.find s g with
  | Some pl ->
    if negb (kept_vector pl.over bs v)
    then Lost
    else if pl.over
         then Done
         else (match hint with
               | Some k ->
                 (match PositiveMap.find k r with
                  | Some r0 ->
                    if (&&) (same_id r0.at_place s) (same_vector r0.held v)
                    then Next r0
                    else Missing
                  | None -> Missing)
               | None -> Missing)
  | None -> Missing

(** val outcomes :
    (Big_int_Z.big_int -> Big_int_Z.big_int option -> outcome) ->
    Big_int_Z.big_int list -> Big_int_Z.big_int option list -> outcome list **)

let rec outcomes f ss hs =
  match ss with
  | [] -> []
  | s :: ss0 -> (f s (hd None hs)) :: (outcomes f ss0 (tl hs))

(** val lost : outcome -> bool **)

let lost = function
| Lost -> true
| Next r -> (match r.dead with
             | Some _ -> true
             | None -> false)
| _ -> false

(** val doomed : Big_int_Z.big_int -> outcome -> bool **)

let doomed k = function
| Lost -> true
| Next r -> (match r.dead with
             | Some j -> Z.ltb j k
             | None -> false)
| _ -> false

(** val weighed :
    (rrow -> Big_int_Z.big_int option) -> Big_int_Z.big_int list -> outcome
    list -> Big_int_Z.big_int -> Big_int_Z.big_int option **)

let rec weighed f ws os acc =
  match ws with
  | [] -> (match os with
           | [] -> Some acc
           | _ :: _ -> None)
  | w :: ws0 ->
    (match os with
     | [] -> None
     | o :: os0 ->
       (match o with
        | Done -> weighed f ws0 os0 acc
        | Next r ->
          (match f r with
           | Some x -> weighed f ws0 os0 (Z.add acc (Z.mul w x))
           | None -> None)
        | _ -> None))

(** val fewer :
    (rrow -> Big_int_Z.big_int option) -> Big_int_Z.big_int option -> bool ->
    stake -> outcome list -> bool **)

let fewer f own counts st os =
  match own with
  | Some w ->
    (match weighed f st.weights os Big_int_Z.zero_big_int with
     | Some s ->
       Z.leb (Z.add (if counts then st.total else Big_int_Z.zero_big_int) s)
         (Z.mul w st.total)
     | None -> false)
  | None -> false

(** val above_all :
    q -> Big_int_Z.big_int -> bool -> rrow -> stake -> outcome list -> bool **)

let above_all beta k steps r st os =
  (&&)
    (match weighed (fun r0 -> Some r0.up) st.weights os Big_int_Z.zero_big_int with
     | Some s ->
       qle_bool
         (qplus st.gain
           (qmult beta { qnum = s; qden = (Pos.mul st.total k) })) { qnum =
         r.up; qden = k }
     | None -> false)
    (if steps
     then fewer (fun r0 -> r0.up_steps) r.up_steps
            (Z.ltb r.up Big_int_Z.zero_big_int) st os
     else true)

(** val low0 : rrow -> Big_int_Z.big_int option **)

let low0 r =
  option_map snd r.named

(** val below_named :
    q -> Big_int_Z.big_int -> bool -> Big_int_Z.big_int -> rrow -> stake ->
    outcome list -> bool **)

let below_named beta k steps l r st os =
  (&&)
    (match weighed low0 st.weights os Big_int_Z.zero_big_int with
     | Some s ->
       qle_bool { qnum = l; qden = k }
         (qplus st.gain
           (qmult beta { qnum = s; qden = (Pos.mul st.total k) }))
     | None -> false)
    (if steps
     then fewer (fun r0 -> r0.low_steps) r.low_steps
            (Z.ltb Big_int_Z.zero_big_int l) st os
     else true)

(** val lead :
    Big_int_Z.big_int list -> Big_int_Z.big_int option list ->
    Big_int_Z.big_int -> Big_int_Z.big_int option **)

let rec lead ss hs s =
  match ss with
  | [] -> None
  | t0 :: ss0 -> if same_id t0 s then hd None hs else lead ss0 (tl hs) s

(** val same_hint :
    Big_int_Z.big_int option -> Big_int_Z.big_int option -> bool **)

let same_hint x y =
  match x with
  | Some i -> (match y with
               | Some j -> same_id i j
               | None -> false)
  | None -> (match y with
             | Some _ -> false
             | None -> true)

(** val one_lead :
    Big_int_Z.big_int list -> Big_int_Z.big_int option list ->
    Big_int_Z.big_int list -> Big_int_Z.big_int option list -> bool **)

let rec one_lead ss0 hs0 ss hs =
  match ss with
  | [] -> true
  | s :: ss1 ->
    (&&) (same_hint (lead ss0 hs0 s) (hd None hs))
      (one_lead ss0 hs0 ss1 (tl hs))

(** val each :
    (nat -> choice -> stake -> Big_int_Z.big_int option list -> bool) -> nat
    -> choice list -> stake list -> Big_int_Z.big_int option list list -> bool **)

let rec each f a cs ts hs =
  match cs with
  | [] -> (match ts with
           | [] -> true
           | _ :: _ -> false)
  | c :: cs0 ->
    (match ts with
     | [] -> false
     | t0 :: ts0 ->
       if f a c t0 (hd [] hs) then each f (S a) cs0 ts0 (tl hs) else false)

(** val is_named : rrow -> nat -> Big_int_Z.big_int option **)

let is_named r a =
  match r.named with
  | Some p -> let (b, l) = p in if Nat.eqb a b then Some l else None
  | None -> None

(** val sum_of : Big_int_Z.big_int list -> Big_int_Z.big_int **)

let sum_of ws =
  fold_left (fun n w -> Z.add n w) ws Big_int_Z.zero_big_int

(** val stake_ok : choice -> stake -> bool **)

let stake_ok c t0 =
  (&&) (Nat.eqb (length t0.weights) (length c.goes))
    (Z.eqb (sum_of t0.weights) t0.total)

(** val choice_ok :
    (bound * rounding) list -> q -> Big_int_Z.big_int -> bool -> bool ->
    place PositiveMap.t -> rrow PositiveMap.t -> rrow -> nat -> choice ->
    stake -> Big_int_Z.big_int option list -> bool **)

let choice_ok bs beta k us ls g r r0 a c t0 hs =
  let os =
    outcomes (outcome_of bs g r (paid_vector bs r0.held c.costs)) c.goes hs
  in
  (&&) (stake_ok c t0)
    (match r0.dead with
     | Some k0 -> existsb (doomed k0) os
     | None ->
       if existsb lost os
       then (match is_named r0 a with
             | Some _ -> false
             | None -> true)
       else (&&) (above_all beta k us r0 t0 os)
              (match is_named r0 a with
               | Some l ->
                 (&&) (below_named beta k ls l r0 t0 os)
                   (one_lead c.goes hs c.goes hs)
               | None -> true))

(** val natural : Big_int_Z.big_int option -> bool **)

let natural = function
| Some w -> Z.leb Big_int_Z.zero_big_int w
| None -> true

(** val rrow_ok :
    (bound * rounding) list -> q -> Big_int_Z.big_int -> bool -> bool ->
    place PositiveMap.t -> stake list PositiveMap.t -> rrow PositiveMap.t ->
    rrow -> bool **)

let rrow_ok bs beta k us ls g a r r0 =
  match PositiveMap.find r0.at_place g with
  | Some pl ->
    (match PositiveMap.find r0.at_place a with
     | Some ts ->
       (&&)
         ((&&)
           ((&&)
             ((&&)
               ((&&) ((&&) (negb pl.over) (kept_vector false bs r0.held))
                 (natural r0.dead)) (natural r0.up_steps))
             (natural r0.low_steps))
           (match r0.named with
            | Some p -> let (a0, _) = p in Nat.ltb a0 (length pl.choices)
            | None -> true))
         (each (choice_ok bs beta k us ls g r r0) O pl.choices ts r0.hints)
     | None -> false)
  | None -> false

(** val harmless : place list -> (nat * (bound * rounding)) -> bool **)

let harmless game = function
| (i, br) ->
  let (b, r) = br in
  (match r.grid with
   | Some _ -> false
   | None ->
     (match r.clip with
      | Some m ->
        (&&) (kept b m)
          (all (fun pl ->
            all (fun c ->
              qle_bool
                (qplus (inject_Z (nth i c.costs Big_int_Z.zero_big_int))
                  (qmult b.gam m)) m) pl.choices) game)
      | None -> true))

(** val numbered : nat -> 'a1 list -> (nat * 'a1) list **)

let rec numbered i = function
| [] -> []
| x :: l0 -> (i, x) :: (numbered (S i) l0)

(** val starts_ok :
    (bound * rounding) list -> place PositiveMap.t -> rrow PositiveMap.t ->
    (Big_int_Z.big_int * Big_int_Z.big_int option) -> bool **)

let starts_ok bs g r x =
  match outcome_of bs g r
          (map (fun br -> rounded (snd br) (fst br).budget) bs) (fst x)
          (snd x) with
  | Done -> true
  | Next r0 ->
    (match r0.dead with
     | Some _ -> false
     | None -> (match r0.named with
                | Some _ -> true
                | None -> false))
  | _ -> false

(** val check_reward :
    (bound * rounding) list -> q -> Big_int_Z.big_int -> bool -> bool ->
    place list -> stake list list -> rrow list ->
    (Big_int_Z.big_int * Big_int_Z.big_int option) list -> bool **)

let check_reward bs beta k us ls game stakes rows starts =
  let g = table_of game in
  let a = table_of stakes in
  let r = table_of rows in
  (&&)
    ((&&)
      ((&&)
        ((&&) (all (fun br -> bound_ok (fst br)) bs)
          (negb
            (qle_bool beta { qnum = Big_int_Z.zero_big_int; qden =
              Big_int_Z.unit_big_int })))
        (all (harmless game) (numbered O bs)))
      (all (rrow_ok bs beta k us ls g a r) rows))
    (all (starts_ok bs g r) starts)
