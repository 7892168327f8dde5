(* A checker of reward bounds (kind `reward`) in exact rationals. A row is a place with the
   budgets tracked there; what it accepts encloses the expected reward from both sides: no policy
   that surely keeps its budgets earns more than the upper bound, and the named choices are such
   a policy that earns at least the lower one. The rewards of n steps, [val] of Reward, are
   bounded up to an error that vanishes: beta^n B, or, undiscounted, B w / N on the average of
   the first N of them. Hints (which row follows) are checked, never trusted. *)
Require Import ZArith QArith Lia Lqa List Bool FMapPositive.
From IGTheory Require Import Power Game WeightedSum Probability Reward FiniteGame PairsChecker.
Import ListNotations.
Open Scope Q_scope.

Record stake := mkstake { gain : Q; total : positive; weights : list positive }.
Record rrow := mkrrow {
  at_place : positive; held : list Q;
  dead : option Z;                    (* a rank: no policy is safe from here *)
  up : Z; named : option (nat * Z);   (* bounds over the common denominator; a choice *)
  up_steps : option Z; low_steps : option Z;
  hints : list (list (option positive)) }.

Inductive outcome := Lost | Done | Next (r : rrow) | Missing.

Fixpoint paid_vector (bs : list (bound * rounding)) (v : list Q) (cs : list Z) : list Q :=
  match bs, v with
  | (b, r) :: bs, x :: v => tracked b r x (hd 0%Z cs) :: paid_vector bs v (tl cs)
  | _, _ => [] end.

Fixpoint same_vector (v v' : list Q) : bool :=
  match v, v' with
  | [], [] => true
  | x :: v, y :: v' => Qeq_bool x y && same_vector v v'
  | _, _ => false end.

Definition outcome_of (bs : list (bound * rounding)) (G : PositiveMap.t place)
    (R : PositiveMap.t rrow) (v : list Q) (s : positive) (hint : option positive) : outcome :=
  match PositiveMap.find s G with
  | None => Missing
  | Some pl =>
    if negb (kept_vector (over pl) bs v) then Lost
    else if over pl then Done
    else match hint with
         | None => Missing
         | Some k =>
           match PositiveMap.find k R with
           | None => Missing
           | Some r => if same_id (at_place r) s && same_vector (held r) v then Next r else Missing
           end
         end
  end.

Fixpoint outcomes (f : positive -> option positive -> outcome) (ss : list positive)
    (hs : list (option positive)) : list outcome :=
  match ss with
  | [] => []
  | s :: ss => f s (hd None hs) :: outcomes f ss (tl hs) end.

Definition lost (o : outcome) : bool :=
  match o with
  | Lost => true
  | Next r => match dead r with Some _ => true | None => false end
  | _ => false end.
Definition doomed (k : Z) (o : outcome) : bool :=
  match o with
  | Lost => true
  | Next r => match dead r with Some j => (j <? k)%Z | None => false end
  | _ => false end.

(* sum of weights times a column; runs that are over are worth 0 *)
Fixpoint weighed (f : rrow -> option Z) (ws : list positive) (os : list outcome) (acc : Z)
    : option Z :=
  match ws, os with
  | [], [] => Some acc
  | w :: ws, Done :: os => weighed f ws os acc
  | w :: ws, Next r :: os =>
    match f r with Some x => weighed f ws os (acc + Zpos w * x)%Z | None => None end
  | _, _ => None end.

Definition fewer (f : rrow -> option Z) (own : option Z) (counts : bool) (st : stake)
    (os : list outcome) : bool :=
  match own, weighed f (weights st) os 0 with
  | Some w, Some s => ((if counts then Zpos (total st) else 0) + s <=? w * Zpos (total st))%Z
  | _, _ => false end.

Definition above_all (beta : Q) (K : positive) (steps : bool) (r : rrow) (st : stake)
    (os : list outcome) : bool :=
  match weighed (fun r => Some (up r)) (weights st) os 0 with
  | None => false
  | Some s => Qle_bool (gain st + beta * (s # (total st * K))) (up r # K)
  end &&
  (if steps then fewer up_steps (up_steps r) (up r <? 0)%Z st os else true).

Definition low (r : rrow) : option Z := option_map snd (named r).
Definition below_named (beta : Q) (K : positive) (steps : bool) (l : Z) (r : rrow) (st : stake)
    (os : list outcome) : bool :=
  match weighed low (weights st) os 0 with
  | None => false
  | Some s => Qle_bool (l # K) (gain st + beta * (s # (total st * K)))
  end &&
  (if steps then fewer low_steps (low_steps r) (0 <? l)%Z st os else true).

Fixpoint lead (ss : list positive) (hs : list (option positive)) (s : positive)
    : option positive :=
  match ss with
  | [] => None
  | t :: ss => if same_id t s then hd None hs else lead ss (tl hs) s end.
Definition same_hint (x y : option positive) : bool :=
  match x, y with
  | None, None => true
  | Some i, Some j => same_id i j
  | _, _ => false end.
(* branches to the same place have the same hint *)
Fixpoint one_lead (ss0 : list positive) (hs0 : list (option positive)) (ss : list positive)
    (hs : list (option positive)) : bool :=
  match ss with
  | [] => true
  | s :: ss => same_hint (lead ss0 hs0 s) (hd None hs) && one_lead ss0 hs0 ss (tl hs) end.

(* the choices of a row with their stakes and hints, numbered from a *)
Fixpoint each (f : nat -> choice -> stake -> list (option positive) -> bool) (a : nat)
    (cs : list choice) (ts : list stake) (hs : list (list (option positive))) : bool :=
  match cs, ts with
  | [], [] => true
  | c :: cs, t :: ts => if f a c t (hd [] hs) then each f (S a) cs ts (tl hs) else false
  | _, _ => false end.

Definition is_named (r : rrow) (a : nat) : option Z :=
  match named r with Some (b, l) => if Nat.eqb a b then Some l else None | None => None end.

Definition sum_of (ws : list positive) : Z := fold_left (fun n w => n + Zpos w)%Z ws 0%Z.
Definition stake_ok (c : choice) (t : stake) : bool :=
  Nat.eqb (length (weights t)) (length (goes c)) && (sum_of (weights t) =? Zpos (total t))%Z.

Definition choice_ok (bs : list (bound * rounding)) (beta : Q) (K : positive) (us ls : bool)
    (G : PositiveMap.t place) (R : PositiveMap.t rrow) (r : rrow)
    (a : nat) (c : choice) (t : stake) (hs : list (option positive)) : bool :=
  let os := outcomes (outcome_of bs G R (paid_vector bs (held r) (costs c))) (goes c) hs in
  stake_ok c t &&
  match dead r with
  | Some k => existsb (doomed k) os
  | None =>
    if existsb lost os then match is_named r a with Some _ => false | None => true end
    else above_all beta K us r t os &&
         match is_named r a with
         | Some l => below_named beta K ls l r t os && one_lead (goes c) hs (goes c) hs
         | None => true end
  end.

Definition natural (o : option Z) : bool :=
  match o with Some w => (0 <=? w)%Z | None => true end.
Definition rrow_ok (bs : list (bound * rounding)) (beta : Q) (K : positive) (us ls : bool)
    (G : PositiveMap.t place) (A : PositiveMap.t (list stake)) (R : PositiveMap.t rrow)
    (r : rrow) : bool :=
  match PositiveMap.find (at_place r) G, PositiveMap.find (at_place r) A with
  | Some pl, Some ts =>
    negb (over pl) && kept_vector false bs (held r) && natural (dead r) &&
    natural (up_steps r) && natural (low_steps r) &&
    match named r with Some (a, _) => (Nat.ltb a (length (choices pl))) | None => true end &&
    each (choice_ok bs beta K us ls G R r) O (choices pl) ts (hints r)
  | _, _ => false end.

(* a clip from which nothing can be broken and which is never left *)
Definition harmless (game : list place) (ibr : nat * (bound * rounding)) : bool :=
  let (i, br) := ibr in let (b, r) := br in
  match grid r, clip r with
  | Some _, _ => false
  | None, None => true
  | None, Some m =>
    kept b m &&
    all (fun pl => all (fun c => Qle_bool (inject_Z (nth i (costs c) 0%Z) + gam b * m) m)
                     (choices pl)) game
  end.

Fixpoint numbered {A} (i : nat) (l : list A) : list (nat * A) :=
  match l with [] => [] | x :: l => (i, x) :: numbered (S i) l end.

(* a start is over and kept, or a row that is not dead *)
Definition starts_ok (bs : list (bound * rounding)) (G : PositiveMap.t place)
    (R : PositiveMap.t rrow) (x : positive * option positive) : bool :=
  match outcome_of bs G R (map (fun br => rounded (snd br) (budget (fst br))) bs) (fst x) (snd x) with
  | Done => true
  | Next r => match dead r, named r with None, Some _ => true | _, _ => false end
  | _ => false end.

Definition check_reward (bs : list (bound * rounding)) (beta : Q) (K : positive) (us ls : bool)
    (game : list place) (stakes : list (list stake)) (rows : list rrow)
    (starts : list (positive * option positive)) : bool :=
  let G := table_of game in
  let A := table_of stakes in
  let R := table_of rows in
  all (fun br => bound_ok (fst br)) bs && negb (Qle_bool beta 0) &&
  all (harmless game) (numbered 0 bs) &&
  all (rrow_ok bs beta K us ls G A R) rows && all (starts_ok bs G R) starts.
