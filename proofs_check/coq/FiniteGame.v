(* The games that the extracted checkers read: finitely many states, costs of a choice as
   integers (one per constraint), runs that end in places that are over. What is over is
   absorbing at cost 0, so every definition of Game and Probability applies as it stands.
   [keeps] covers closed and open boundaries, and constraints judged at all times or only
   where a run is over; [keeps_surely] and [keeps_viol] lead back to surely_safe and viol. *)
Require Import ZArith QArith Lia Lqa List Bool FMapPositive.
From IGTheory Require Import Power Game Probability.
Import ListNotations.
Open Scope Q_scope.

Record choice := mkchoice { costs : list Z; goes : list positive }.
Record place := mkplace { over : bool; choices : list choice }.
Record bound := mkbound { budget : Q; gam : Q; closed : bool; anytime : bool }.

Definition bound_ok (b : bound) : bool := negb (Qle_bool (gam b) 0) && Qle_bool (gam b) 1.
Definition kept (b : bound) (z : Q) : bool :=
  if closed b then Qle_bool 0 z else negb (Qle_bool z 0).
Definition Kept (b : bound) (z : Q) : Prop := if closed b then 0 <= z else 0 < z.
Definition judged (b : bound) (o : bool) : bool := anytime b || o.

(* Tail recursive, so that long lists do not exhaust the stack of the extracted program. *)
Fixpoint table {A} (i : positive) (l : list A) (m : PositiveMap.t A) : PositiveMap.t A :=
  match l with [] => m | r :: l => table (Pos.succ i) l (PositiveMap.add i r m) end.
Definition table_of {A} (l : list A) : PositiveMap.t A := table 1 l (PositiveMap.empty A).

Fixpoint all {A} (f : A -> bool) (l : list A) : bool :=
  match l with [] => true | r :: l => if f r then all f l else false end.

(* Pos.eqb is extracted to a walk over the bits; a comparison is one operation of Zarith. *)
Definition same_id (i j : positive) : bool := match (i ?= j)%positive with Eq => true | _ => false end.
Lemma same_id_spec i j : same_id i j = true <-> i = j.
Proof.
  unfold same_id. rewrite <- Pos.compare_eq_iff. destruct (i ?= j)%positive; split; congruence.
Qed.

Lemma table_find {A} (l : list A) : forall i m s r,
  PositiveMap.find s (table i l m) = Some r -> In r l \/ PositiveMap.find s m = Some r.
Proof.
  induction l as [|r0 l IH]; simpl; intros i m s r H; [auto|].
  apply IH in H. destruct H as [H|H]; [auto|].
  destruct (Pos.eq_dec s i) as [->|N].
  - rewrite PositiveMap.gss in H. inversion H; auto.
  - rewrite PositiveMap.gso in H by congruence. auto.
Qed.

Lemma table_of_find {A} (l : list A) s r : PositiveMap.find s (table_of l) = Some r -> In r l.
Proof.
  intros H. apply table_find in H. destruct H as [H|H]; [exact H|].
  rewrite PositiveMap.gempty in H. discriminate.
Qed.

Lemma all_spec {A} (f : A -> bool) l : all f l = true -> forall r, In r l -> f r = true.
Proof.
  induction l as [|x l IH]; simpl; [tauto|]. destruct (f x) eqn:E; [|discriminate].
  intros H r [<-|Hr]; auto.
Qed.

Lemma Qle_bool_false x y : Qle_bool x y = false <-> y < x.
Proof.
  split; intros H.
  - apply Qnot_le_lt. intros L. apply Qle_bool_iff in L. congruence.
  - destruct (Qle_bool x y) eqn:E; [|reflexivity]. apply Qle_bool_iff in E. lra.
Qed.

Lemma bound_ok_spec b : bound_ok b = true -> 0 < gam b /\ gam b <= 1.
Proof.
  unfold bound_ok. rewrite andb_true_iff, negb_true_iff, Qle_bool_false, Qle_bool_iff. tauto.
Qed.

Lemma kept_spec b z : kept b z = true <-> Kept b z.
Proof.
  unfold kept, Kept. destruct (closed b).
  - apply Qle_bool_iff.
  - rewrite negb_true_iff. apply Qle_bool_false.
Qed.

Lemma Kept_up b x y : x <= y -> Kept b x -> Kept b y.
Proof. unfold Kept. destruct (closed b); intros; lra. Qed.

Lemma div_pos g x : 0 < g -> 0 < x -> 0 < x / g.
Proof.
  intros Hg Hx. apply Qlt_shift_div_l; [exact Hg|].
  setoid_replace (0 * g) with 0 by ring. exact Hx.
Qed.

Lemma Kept_div b z : 0 < gam b -> Kept b z -> Kept b ((z - 0) / gam b).
Proof.
  unfold Kept. intros Hg. destruct (closed b); intros H.
  - apply div_ge_iff; [exact Hg|]. lra.
  - apply div_pos; [exact Hg|]. lra.
Qed.

Section Play.
  Variable at_ : positive -> option place.
  Definition over_at (s : positive) : bool :=
    match at_ s with Some p => over p | None => false end.
  Definition acts (s : positive) : list nat :=
    match at_ s with
    | Some p => if over p then [O] else seq 0 (length (choices p))
    | None => [] end.
  Definition choice_at (s : positive) (a : nat) : choice :=
    match at_ s with
    | Some p => if over p then mkchoice [] [s] else nth a (choices p) (mkchoice [] [])
    | None => mkchoice [] [] end.
  Definition succ (s : positive) (a : nat) : list positive := goes (choice_at s a).
  Definition cost (i : nat) (s : positive) (a : nat) (s' : positive) : Q :=
    inject_Z (nth i (costs (choice_at s a)) 0%Z).

  Notation policy := (policy positive nat).
  Notation reach := (reach positive nat succ).
  Definition z_of (i : nat) (b : bound) := zof positive nat (cost i) (gam b) (budget b).

  (* every history that the policy can produce keeps every budget wherever it is judged *)
  Definition keeps (bs : list bound) (p : policy) (s0 : positive) : Prop :=
    forall h s, reach p s0 h s -> forall i b, nth_error bs i = Some b ->
      judged b (over_at s) = true -> Kept b (z_of i b h s).

  (* the policy never stops before a run is over, and plays what exists *)
  Definition plays (p : policy) (s0 : positive) : Prop :=
    forall h s, reach p s0 h s -> (exists a, p h s a) /\ (forall a, p h s a -> In a (acts s)).

  Theorem keeps_surely bs p s0 : keeps bs p s0 -> plays p s0 ->
    forall i b, nth_error bs i = Some b -> closed b = true -> anytime b = true ->
      surely_safe positive nat acts succ (cost i) (gam b) p s0 (budget b).
  Proof.
    intros HK HP i b Hi Hc Ha h s R. destruct (HP h s R) as [H1 H2].
    split; [exact H1|]. split; [exact H2|].
    pose proof (HK h s R i b Hi) as K. unfold judged, Kept in K. rewrite Hc, Ha in K.
    apply K. reflexivity.
  Qed.

  (* violation probability 0 at every horizon, for all positive probabilities on the branches *)
  Theorem keeps_viol bs r s0 :
    (forall h s a w, In (a, w) (r h s) -> 0 < w) ->
    keeps bs (psupp positive nat r) s0 ->
    forall i b, nth_error bs i = Some b -> closed b = true -> anytime b = true ->
    forall P : positive -> nat -> list (positive * Q),
      (forall s a s' q, In (s', q) (P s a) -> 0 < q) ->
      (forall s a s', In s' (succ s a) <-> exists q, In (s', q) (P s a)) ->
      forall n, viol positive nat (cost i) (gam b) P r n [] s0 (budget b) == 0.
  Proof.
    intros Hr HK i b Hi Hc Ha P HP HS.
    apply (proj2 (prob_zero_iff positive nat succ (cost i) (gam b) P HP HS r Hr s0 (budget b))).
    intros h s R. pose proof (HK h s R i b Hi) as K. unfold judged, Kept in K.
    rewrite Hc, Ha in K. apply K. reflexivity.
  Qed.

  Lemma over_succ s a s' : over_at s = true -> In s' (succ s a) -> s' = s.
  Proof.
    unfold over_at, succ, choice_at. destruct (at_ s) as [p|]; [|discriminate].
    intros ->. simpl. intuition.
  Qed.

  Lemma over_cost i s a s' : over_at s = true -> cost i s a s' = 0.
  Proof.
    unfold over_at, cost, choice_at. destruct (at_ s) as [p|]; [|discriminate].
    intros ->. simpl. destruct i; reflexivity.
  Qed.

  Lemma over_acts s a : over_at s = true -> (In a (acts s) <-> a = O).
  Proof.
    unfold over_at, acts. destruct (at_ s) as [p|]; [|discriminate].
    intros ->. simpl. intuition.
  Qed.

  (* once over, kept stays kept *)
  Lemma over_Kept i b h s a s' : 0 < gam b -> over_at s = true -> In s' (succ s a) ->
    Kept b (z_of i b h s) -> Kept b (z_of i b ((s, a) :: h) s').
  Proof.
    intros Hg Ho Hin HK. unfold z_of, zof; fold (zof positive nat (cost i) (gam b) (budget b)).
    unfold znext. rewrite over_cost by exact Ho. apply Kept_div; assumption.
  Qed.

  Lemma choice_at_live s p a ch : at_ s = Some p -> over p = false ->
    nth_error (choices p) a = Some ch -> choice_at s a = ch /\ In a (acts s).
  Proof.
    intros Hp Ho Hn. unfold choice_at, acts. rewrite Hp, Ho. split.
    - apply nth_error_nth. exact Hn.
    - apply in_seq. assert (nth_error (choices p) a <> None) as N by congruence.
      apply nth_error_Some in N. lia.
  Qed.
End Play.
