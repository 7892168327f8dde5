(* A checker of counterexamples (kind `violation`): it walks the run in exact rationals, and
   every guard that gives the run's choices any probability breaks the budget. *)
Require Import ZArith QArith Lia Lqa List Bool FMapPositive.
From IGTheory Require Import Power Game WeightedSum Probability FiniteGame.
Import ListNotations.
Open Scope Q_scope.

(* the choice, where the run goes, and the budgets that are claimed after it *)
Record stride := mkstride { played : nat; reached : positive; left : list Q }.

Fixpoint moved (bs : list bound) (zs : list Q) (cs : list Z) (ys : list Q) : bool :=
  match bs, zs, cs, ys with
  | [], [], [], [] => true
  | b :: bs, z :: zs, c :: cs, y :: ys =>
    Qeq_bool y ((z - inject_Z c) / gam b) && moved bs zs cs ys
  | _, _, _, _ => false end.

(* nothing is broken yet: a run ends with its first violation *)
Fixpoint unbroken (bs : list bound) (zs : list Q) : bool :=
  match bs, zs with
  | [], [] => true
  | b :: bs, z :: zs => implb (anytime b) (kept b z) && unbroken bs zs
  | _, _ => false end.

Fixpoint walk (G : PositiveMap.t place) (bs : list bound) (j : nat)
    (s : positive) (zs : list Q) (run : list stride) : bool :=
  match PositiveMap.find s G with
  | None => false
  | Some pl =>
    match run with
    | [] =>
      match nth_error bs j, nth_error zs j with
      | Some b, Some z => negb (kept b z) && judged b (over pl)
      | _, _ => false end
    | x :: run =>
      negb (over pl) && unbroken bs zs &&
      match nth_error (choices pl) (played x) with
      | None => false
      | Some ch =>
        existsb (same_id (reached x)) (goes ch) && moved bs zs (costs ch) (left x) &&
        walk G bs j (reached x) (left x) run
      end
    end
  end.

Definition check_violation (bs : list bound) (game : list place) (j : nat) (s0 : positive)
    (run : list stride) : bool :=
  all bound_ok bs && walk (table_of game) bs j s0 (map budget bs) run.

Lemma moved_spec bs : forall zs cs ys, moved bs zs cs ys = true ->
  forall i b y, nth_error bs i = Some b -> nth_error ys i = Some y ->
  exists z, nth_error zs i = Some z /\ y == (z - inject_Z (nth i cs 0%Z)) / gam b.
Proof.
  induction bs as [|b0 bs IH]; intros zs cs ys H i b y Hi Hy; [destruct i; discriminate|].
  destruct zs as [|z zs]; [discriminate|]. destruct cs as [|c cs]; [discriminate|].
  destruct ys as [|y0 ys]; [discriminate|]. simpl in H. apply andb_true_iff in H.
  destruct H as [H1 H2]. destruct i as [|i]; simpl in *.
  - inversion Hi; inversion Hy; subst. exists z. split; [reflexivity|]. apply Qeq_bool_iff. exact H1.
  - apply (IH zs cs ys H2 i b y Hi Hy).
Qed.

Section Sem.
  Variables (bs : list bound) (game : list place) (j : nat) (s0 : positive) (run : list stride).
  Definition at_ (s : positive) : option place := PositiveMap.find s (table_of game).
  Notation history := (hist positive nat).
  Notation reach := (reach positive nat (succ at_)).

  (* the policy gives every choice of the run, at its history, some probability *)
  Fixpoint supports (p : policy positive nat) (h : history) (s : positive) (run : list stride)
      : Prop :=
    match run with
    | [] => True
    | x :: run => p h s (played x) /\ supports p ((s, played x) :: h) (reached x) run end.

  Definition broken (p : policy positive nat) : Prop :=
    exists b h s, nth_error bs j = Some b /\ reach p s0 h s /\
      judged b (over_at at_ s) = true /\ ~ Kept b (z_of at_ j b h s).

  Lemma walk_sound p : forall run h s zs,
    (forall b z, nth_error bs j = Some b -> nth_error zs j = Some z -> z == z_of at_ j b h s) ->
    reach p s0 h s -> supports p h s run -> walk (table_of game) bs j s zs run = true ->
    broken p.
  Proof.
    induction run0 as [|x rest IH]; intros h s zs Hz R Hp W; simpl in W;
      destruct (PositiveMap.find s (table_of game)) as [pl|] eqn:Eg; try discriminate.
    - destruct (nth_error bs j) as [b|] eqn:Eb; [|discriminate].
      destruct (nth_error zs j) as [z|] eqn:Ez; [|discriminate].
      rewrite andb_true_iff, negb_true_iff in W. destruct W as [W1 W2].
      exists b, h, s. split; [exact Eb|]. split; [exact R|]. split.
      + unfold over_at, at_. rewrite Eg. exact W2.
      + intros K. assert (kept b z = true); [|congruence]. apply kept_spec.
        apply (Kept_up b (z_of at_ j b h s)); [rewrite (Hz b z eq_refl eq_refl); lra|exact K].
    - rewrite !andb_true_iff, negb_true_iff in W. destruct W as [[Ho _] W].
      destruct (nth_error (choices pl) (played x)) as [ch|] eqn:En; [|discriminate].
      rewrite !andb_true_iff in W. destruct W as [[W1 W2] W3].
      apply existsb_exists in W1. destruct W1 as [y [Hy Ey]]. apply same_id_spec in Ey. subst y.
      destruct (choice_at_live at_ s pl (played x) ch Eg Ho En) as [Ec _].
      destruct Hp as [Hp1 Hp2].
      apply (IH ((s, played x) :: h) (reached x) (left x)); [| |exact Hp2|exact W3].
      + intros b z Hb Hl. destruct (moved_spec _ _ _ _ W2 j b z Hb Hl) as [z0 [H0 E]].
        rewrite E. pose proof (Hz b z0 Hb H0) as E0.
        unfold z_of in *. simpl. unfold znext, cost. rewrite Ec, E0. reflexivity.
      + apply reachS; [exact R|exact Hp1|]. unfold succ. rewrite Ec. exact Hy.
  Qed.

  Hypothesis ok : check_violation bs game j s0 run = true.

  Theorem violation_sound p : supports p [] s0 run -> broken p.
  Proof.
    intros Hp. unfold check_violation in ok. apply andb_true_iff in ok. destruct ok as [_ W].
    apply (walk_sound p run [] s0 (map budget bs)); [|constructor|exact Hp|exact W].
    intros b z Hb Hm. rewrite nth_error_map, Hb in Hm. simpl in Hm. inversion Hm. reflexivity.
  Qed.

  Theorem violation_not_kept p : supports p [] s0 run -> ~ keeps at_ bs p s0.
  Proof.
    intros Hp HK. destruct (violation_sound p Hp) as [b [h [s [Hb [R [J N]]]]]].
    apply N. apply (HK h s R j b Hb J).
  Qed.

  (* closed boundary, judged at all times: a positive violation probability at some horizon *)
  Corollary violation_probability r : (forall h s a w, In (a, w) (r h s) -> 0 < w) ->
    supports (psupp positive nat r) [] s0 run ->
    forall b, nth_error bs j = Some b -> closed b = true -> anytime b = true ->
    forall P : positive -> nat -> list (positive * Q),
      (forall s a s' q, In (s', q) (P s a) -> 0 < q) ->
      (forall s a s', In s' (succ at_ s a) <-> exists q, In (s', q) (P s a)) ->
      exists n, 0 < viol positive nat (cost at_ j) (gam b) P r n [] s0 (budget b).
  Proof.
    intros Hr Hp b Hb Hc Ha P HP HS.
    destruct (violation_sound _ Hp) as [b' [h [s [Hb' [R [_ N]]]]]].
    rewrite Hb in Hb'. inversion Hb'; subst b'.
    assert (L : z_of at_ j b h s < 0).
    { apply Qnot_le_lt. intros L. apply N. unfold Kept. rewrite Hc. exact L. }
    destruct (reach_bad positive nat (succ at_) (cost at_ j) (gam b) r s0 (budget b) h s R 0)
      as [n Hn]; [constructor; exact L|].
    exists n. apply (proj2 (viol_bad positive nat (succ at_) (cost at_ j) (gam b) P HP HS r Hr n [] s0 (budget b))).
    exact Hn.
  Qed.
End Sem.
