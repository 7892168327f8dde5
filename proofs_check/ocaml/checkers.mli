
val implb : bool -> bool -> bool

val negb : bool -> bool

type nat =
| O
| S of nat

val option_map : ('a1 -> 'a2) -> 'a1 option -> 'a2 option

val fst : ('a1 * 'a2) -> 'a1

val snd : ('a1 * 'a2) -> 'a2

val length : 'a1 list -> nat

type comparison =
| Eq
| Lt
| Gt

module Nat :
 sig
  val eqb : nat -> nat -> bool

  val leb : nat -> nat -> bool

  val ltb : nat -> nat -> bool
 end

module Pos :
 sig
  val succ : Big_int_Z.big_int -> Big_int_Z.big_int

  val add : Big_int_Z.big_int -> Big_int_Z.big_int -> Big_int_Z.big_int

  val add_carry : Big_int_Z.big_int -> Big_int_Z.big_int -> Big_int_Z.big_int

  val pred_double : Big_int_Z.big_int -> Big_int_Z.big_int

  val mul : Big_int_Z.big_int -> Big_int_Z.big_int -> Big_int_Z.big_int

  val compare_cont :
    comparison -> Big_int_Z.big_int -> Big_int_Z.big_int -> comparison

  val compare : Big_int_Z.big_int -> Big_int_Z.big_int -> comparison

  val eqb : Big_int_Z.big_int -> Big_int_Z.big_int -> bool
 end

module Z :
 sig
  val double : Big_int_Z.big_int -> Big_int_Z.big_int

  val succ_double : Big_int_Z.big_int -> Big_int_Z.big_int

  val pred_double : Big_int_Z.big_int -> Big_int_Z.big_int

  val pos_sub : Big_int_Z.big_int -> Big_int_Z.big_int -> Big_int_Z.big_int

  val add : Big_int_Z.big_int -> Big_int_Z.big_int -> Big_int_Z.big_int

  val opp : Big_int_Z.big_int -> Big_int_Z.big_int

  val sub : Big_int_Z.big_int -> Big_int_Z.big_int -> Big_int_Z.big_int

  val mul : Big_int_Z.big_int -> Big_int_Z.big_int -> Big_int_Z.big_int

  val compare : Big_int_Z.big_int -> Big_int_Z.big_int -> comparison

  val leb : Big_int_Z.big_int -> Big_int_Z.big_int -> bool

  val ltb : Big_int_Z.big_int -> Big_int_Z.big_int -> bool

  val eqb : Big_int_Z.big_int -> Big_int_Z.big_int -> bool

  val pos_div_eucl :
    Big_int_Z.big_int -> Big_int_Z.big_int ->
    Big_int_Z.big_int * Big_int_Z.big_int

  val div_eucl :
    Big_int_Z.big_int -> Big_int_Z.big_int ->
    Big_int_Z.big_int * Big_int_Z.big_int

  val div : Big_int_Z.big_int -> Big_int_Z.big_int -> Big_int_Z.big_int
 end

val zeq_bool : Big_int_Z.big_int -> Big_int_Z.big_int -> bool

val hd : 'a1 -> 'a1 list -> 'a1

val tl : 'a1 list -> 'a1 list

val nth : nat -> 'a1 list -> 'a1 -> 'a1

val nth_error : 'a1 list -> nat -> 'a1 option

val map : ('a1 -> 'a2) -> 'a1 list -> 'a2 list

val fold_left : ('a1 -> 'a2 -> 'a1) -> 'a2 list -> 'a1 -> 'a1

val existsb : ('a1 -> bool) -> 'a1 list -> bool

type q = { qnum : Big_int_Z.big_int; qden : Big_int_Z.big_int }

val inject_Z : Big_int_Z.big_int -> q

val qeq_bool : q -> q -> bool

val qle_bool : q -> q -> bool

val qplus : q -> q -> q

val qmult : q -> q -> q

val qopp : q -> q

val qminus : q -> q -> q

val qinv : q -> q

val qdiv : q -> q -> q

module PositiveMap :
 sig
  type key = Big_int_Z.big_int

  type 'a tree =
  | Leaf
  | Node of 'a tree * 'a option * 'a tree

  type 'a t = 'a tree

  val empty : 'a1 t

  val find : key -> 'a1 t -> 'a1 option

  val add : key -> 'a1 -> 'a1 t -> 'a1 t
 end

type choice = { costs : Big_int_Z.big_int list; goes : Big_int_Z.big_int list }

type place = { over : bool; choices : choice list }

type bound = { budget : q; gam : q; closed : bool; anytime : bool }

val bound_ok : bound -> bool

val kept : bound -> q -> bool

val judged : bound -> bool -> bool

val table :
  Big_int_Z.big_int -> 'a1 list -> 'a1 PositiveMap.t -> 'a1 PositiveMap.t

val table_of : 'a1 list -> 'a1 PositiveMap.t

val all : ('a1 -> bool) -> 'a1 list -> bool

val same_id : Big_int_Z.big_int -> Big_int_Z.big_int -> bool

type demand = (Big_int_Z.big_int * bool) option

type drow = { dem : demand; pick : nat; here : place }

val paid :
  Big_int_Z.big_int -> Big_int_Z.big_int -> drow PositiveMap.t ->
  Big_int_Z.big_int -> Big_int_Z.big_int -> bool -> Big_int_Z.big_int -> bool

val demand_row :
  bound -> Big_int_Z.big_int -> drow PositiveMap.t -> drow -> bool

val admits : Big_int_Z.big_int -> demand -> q -> bool

val start_ok :
  bound -> Big_int_Z.big_int -> drow PositiveMap.t -> Big_int_Z.big_int ->
  bool

val check_demand :
  bound -> Big_int_Z.big_int -> drow list -> Big_int_Z.big_int list -> bool

val qfloor : q -> Big_int_Z.big_int

type rounding = { clip : q option; grid : Big_int_Z.big_int option }

type move = { taken : nat; vector : Big_int_Z.big_int;
              leads : Big_int_Z.big_int list }

type pair = { stands : Big_int_Z.big_int; holds : Big_int_Z.big_int;
              moves : move list }

val rounded : rounding -> q -> q

val tracked : bound -> rounding -> q -> Big_int_Z.big_int -> q

val start_vector : (bound * rounding) list -> q list -> bool

val next_vector :
  (bound * rounding) list -> q list -> Big_int_Z.big_int list -> q list ->
  bool

val kept_vector : bool -> (bound * rounding) list -> q list -> bool

val led :
  pair PositiveMap.t -> Big_int_Z.big_int -> Big_int_Z.big_int list ->
  Big_int_Z.big_int list -> bool

val move_ok :
  (bound * rounding) list -> q list PositiveMap.t -> pair PositiveMap.t ->
  place -> q list -> move -> bool

val pair_ok :
  (bound * rounding) list -> place PositiveMap.t -> q list PositiveMap.t ->
  pair PositiveMap.t -> pair -> bool

val begins :
  (bound * rounding) list -> q list PositiveMap.t -> pair PositiveMap.t ->
  (Big_int_Z.big_int * Big_int_Z.big_int) -> bool

val check_pairs :
  (bound * rounding) list -> place list -> q list list -> pair list ->
  (Big_int_Z.big_int * Big_int_Z.big_int) list -> bool

type stride = { played : nat; reached : Big_int_Z.big_int; left : q list }

val moved : bound list -> q list -> Big_int_Z.big_int list -> q list -> bool

val unbroken : bound list -> q list -> bool

val walk :
  place PositiveMap.t -> bound list -> nat -> Big_int_Z.big_int -> q list ->
  stride list -> bool

val check_violation :
  bound list -> place list -> nat -> Big_int_Z.big_int -> stride list -> bool

type way =
| Counted
| Undiscounted
| Discounted

type irow = { low : Big_int_Z.big_int; above : bool;
              rank : Big_int_Z.big_int; spot : place }

val nothing : bound -> irow -> bool

val forces :
  way -> Big_int_Z.big_int -> Big_int_Z.big_int -> irow PositiveMap.t ->
  Big_int_Z.big_int -> Big_int_Z.big_int -> Big_int_Z.big_int -> irow ->
  Big_int_Z.big_int -> bool

val irow_ok :
  way -> bound -> Big_int_Z.big_int -> irow PositiveMap.t -> irow -> bool

val way_ok : way -> bound -> bool

val short :
  bound -> Big_int_Z.big_int -> irow PositiveMap.t -> Big_int_Z.big_int ->
  bool

val check_impossibility :
  way -> bound -> Big_int_Z.big_int -> irow list -> Big_int_Z.big_int list ->
  bool

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

val paid_vector :
  (bound * rounding) list -> q list -> Big_int_Z.big_int list -> q list

val same_vector : q list -> q list -> bool

val outcome_of :
  (bound * rounding) list -> place PositiveMap.t -> rrow PositiveMap.t -> q
  list -> Big_int_Z.big_int -> Big_int_Z.big_int option -> outcome

val outcomes :
  (Big_int_Z.big_int -> Big_int_Z.big_int option -> outcome) ->
  Big_int_Z.big_int list -> Big_int_Z.big_int option list -> outcome list

val lost : outcome -> bool

val doomed : Big_int_Z.big_int -> outcome -> bool

val weighed :
  (rrow -> Big_int_Z.big_int option) -> Big_int_Z.big_int list -> outcome
  list -> Big_int_Z.big_int -> Big_int_Z.big_int option

val fewer :
  (rrow -> Big_int_Z.big_int option) -> Big_int_Z.big_int option -> bool ->
  stake -> outcome list -> bool

val above_all :
  q -> Big_int_Z.big_int -> bool -> rrow -> stake -> outcome list -> bool

val low0 : rrow -> Big_int_Z.big_int option

val below_named :
  q -> Big_int_Z.big_int -> bool -> Big_int_Z.big_int -> rrow -> stake ->
  outcome list -> bool

val lead :
  Big_int_Z.big_int list -> Big_int_Z.big_int option list ->
  Big_int_Z.big_int -> Big_int_Z.big_int option

val same_hint : Big_int_Z.big_int option -> Big_int_Z.big_int option -> bool

val one_lead :
  Big_int_Z.big_int list -> Big_int_Z.big_int option list ->
  Big_int_Z.big_int list -> Big_int_Z.big_int option list -> bool

val each :
  (nat -> choice -> stake -> Big_int_Z.big_int option list -> bool) -> nat ->
  choice list -> stake list -> Big_int_Z.big_int option list list -> bool

val is_named : rrow -> nat -> Big_int_Z.big_int option

val sum_of : Big_int_Z.big_int list -> Big_int_Z.big_int

val stake_ok : choice -> stake -> bool

val choice_ok :
  (bound * rounding) list -> q -> Big_int_Z.big_int -> bool -> bool -> place
  PositiveMap.t -> rrow PositiveMap.t -> rrow -> nat -> choice -> stake ->
  Big_int_Z.big_int option list -> bool

val natural : Big_int_Z.big_int option -> bool

val rrow_ok :
  (bound * rounding) list -> q -> Big_int_Z.big_int -> bool -> bool -> place
  PositiveMap.t -> stake list PositiveMap.t -> rrow PositiveMap.t -> rrow ->
  bool

val harmless : place list -> (nat * (bound * rounding)) -> bool

val numbered : nat -> 'a1 list -> (nat * 'a1) list

val starts_ok :
  (bound * rounding) list -> place PositiveMap.t -> rrow PositiveMap.t ->
  (Big_int_Z.big_int * Big_int_Z.big_int option) -> bool

val check_reward :
  (bound * rounding) list -> q -> Big_int_Z.big_int -> bool -> bool -> place
  list -> stake list list -> rrow list ->
  (Big_int_Z.big_int * Big_int_Z.big_int option) list -> bool
