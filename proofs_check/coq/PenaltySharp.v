(* T1.threshold is sharp.  For every horizon T, every p = 1 or p <= 1/2 and every 0 < b <= 1 there
   is a model with least positive probability p and rewards in [0, R] in which, for every n up to
   n* = R (1 + b + ... + b^(T-1)) / (p b)^T, n* included, a greedy choice leaves the safe set.  The cost stands on a branch, c(s, a, s'). *)
Require Import QArith Qfield Lqa Lia List Qminmax.
From IGTheory Require Import Power Game Demand WeightedSum Penalty.
Import ListNotations.
Open Scope Q_scope.

(* Bad k: k forced steps before the cost; each step gets away with probability 1 - p *)
Inductive place := Start | Bad (k : nat) | Rich | Poor.

Section Sharp.
  Variables g b p R pen : Q.
  Variable T1 : nat.                       (* the horizon is S T1 *)
  Hypothesis g_pos : 0 < g.
  Hypothesis b_pos : 0 < b.
  Hypothesis p_pos : 0 < p.
  Hypothesis R_nonneg : 0 <= R.
  Hypothesis pen_nonneg : 0 <= pen.
  (* what is left beside p: nothing if p = 1, else the rest goes to Rich *)
  Variable rest : list (place * Q).
  Hypothesis rest_eq : rest = [] /\ p == 1 \/ rest = [(Rich, 1 - p)] /\ p <= 1 # 2.

  Definition toward (s : place) : list (place * Q) := (s, p) :: rest.
  Definition sP (s : place) (a : bool) : list (place * Q) :=
    match s with
    | Start => if a then toward (Bad T1) else [(Poor, 1)]
    | Bad (S k) => toward (Bad k)
    | Bad O => [(Bad O, 1)]
    | s => [(s, 1)]
    end.
  Definition sacts (s : place) : list bool := match s with Start => [false; true] | _ => [true] end.
  Definition sc (_ : place) (_ : bool) (s' : place) : Q := match s' with Bad O => 1 | _ => 0 end.
  Definition sr (s : place) (a : bool) : Q :=
    match s with Start => if a then R else 0 | Poor => 0 | _ => R end.

  Notation W := (W place bool sacts (succ place bool sP) sc g).
  Notation V := (V place bool sacts sP sc sr g b pen).
  Notation Qv := (Qv place bool sacts sP sc sr g b pen).
  Notation zn := (znext place bool sc g).
  Notation geo := (geo b).
  Notation kappa := (kappa b p).

  (* the model meets the hypotheses of T1.threshold *)
  Theorem sharp_least s a s' q : In (s', q) (sP s a) -> p <= q.
  Proof.
    assert (P1 : p <= 1) by (destruct rest_eq as [[_ E]|[_ E]]; lra).
    assert (TW : forall t, In (s', q) (toward t) -> p <= q).
    { intros t [E|H]; [inversion E; lra|].
      destruct rest_eq as [[E _]|[E Hp]]; rewrite E in H; [destruct H|].
      destruct H as [H|[]]. inversion H; subst. lra. }
    destruct s as [|[|k]| |]; simpl; [destruct a| | | |]; try apply TW;
      intros [E|[]]; inversion E; subst; exact P1.
  Qed.

  Lemma toward_sum (f : place -> Q) t : wsum f (toward t) == p * f t + (1 - p) * f Rich.
  Proof.
    unfold toward. destruct rest_eq as [[-> E]|[-> _]]; cbn [wsum fold_right fst snd]; [rewrite E|]; ring.
  Qed.

  Theorem sharp_one s a : wsum (fun _ => 1) (sP s a) == 1.
  Proof.
    destruct s as [|[|k]| |]; cbn [sP]; [destruct a| | | |];
      try (rewrite toward_sum; ring); simpl; ring.
  Qed.
  Theorem sharp_reward s a : 0 <= sr s a /\ sr s a <= R.
  Proof. destruct s; simpl; [destruct a| | |]; lra. Qed.
  Theorem sharp_acts s : sacts s <> [].
  Proof. destruct s; discriminate. Qed.

  Lemma zn_free z s a s' : sc s a s' == 0 -> 0 <= z -> 0 <= zn z s a s'.
  Proof.
    intros E H. apply (znext_ge place bool sc g g_pos). rewrite E. lra.
  Qed.

  Lemma V_poor k : forall z, 0 <= z -> V k Poor z == 0.
  Proof.
    induction k; intros z Hz; cbn [Penalty.V]; destruct (Qlt_le_dec z 0); try lra.
    cbn [maxa sacts fold_right sr sP wsum fst snd].
    rewrite IHk by (apply zn_free; [reflexivity|exact Hz]). ring.
  Qed.
  Lemma V_rich k : forall z, 0 <= z -> V k Rich z == R * geo k.
  Proof.
    induction k; intros z Hz; cbn [Penalty.V]; destruct (Qlt_le_dec z 0); try lra.
    - simpl. ring.
    - cbn [maxa sacts fold_right sr sP wsum fst snd].
      rewrite IHk by (apply zn_free; [reflexivity|exact Hz]). simpl Penalty.geo. ring.
  Qed.

  (* the budget on arrival at Bad k: spent if k = 0, else still 0 *)
  Definition arrives (k : nat) (z : Q) : Prop := match k with O => z < 0 | _ => z == 0 end.
  Lemma zn_bad k z s a : z == 0 -> arrives k (zn z s a (Bad k)).
  Proof.
    intros E. unfold arrives, znext, sc. destruct k.
    - apply Qlt_shift_div_r; lra.
    - rewrite E. field. lra.
  Qed.
  Lemma zn_rich z s a : z == 0 -> 0 <= zn z s a Rich.
  Proof. intros E. apply zn_free; [reflexivity|lra]. Qed.

  Lemma V_bad_chain k : forall z, arrives k z -> V k (Bad k) z == R * geo k - pen * kappa k.
  Proof.
    induction k; intros z Hz; cbn [Penalty.V]; destruct (Qlt_le_dec z 0) as [L|L]; simpl in Hz; try lra.
    - unfold Penalty.kappa. simpl. ring.
    - cbn [maxa sacts fold_right sr sP].
      rewrite toward_sum, (IHk _ (zn_bad k z _ _ Hz)), (V_rich k _ (zn_rich z _ _ Hz)).
      unfold Penalty.kappa. simpl. ring.
  Qed.

  Lemma not_W k : forall z, arrives k z -> ~ W k (Bad k) z.
  Proof.
    induction k; intros z Hz HW; simpl in Hz; [simpl in HW; lra|].
    destruct HW as [_ [a [_ Hs]]]. apply (IHk (zn z (Bad (S k)) a (Bad k))).
    - apply zn_bad, Hz.
    - apply Hs. left; reflexivity.
  Qed.

  Theorem T1_sharp : pen * kappa (S T1) <= R * geo (S T1) ->
    W (S T1) Start 0 /\
    In true (sacts Start) /\ V (S T1) Start 0 <= Qv T1 Start 0 true /\
    In (Bad T1) (succ place bool sP Start true) /\ ~ W T1 (Bad T1) (zn 0 Start true (Bad T1)).
  Proof.
    intros Hpen.
    assert (Z0 : 0 == 0) by reflexivity.
    split; [|split; [right; left; reflexivity|split; [|split]]].
    - split; [lra|]. exists false. split; [left; reflexivity|]. intros s' [<-|[]]. simpl fst.
      assert (K : forall k z, 0 <= z -> W k Poor z).
      { induction k; intros z Hz; [exact Hz|]. split; [exact Hz|].
        exists true. split; [left; reflexivity|]. intros s' [<-|[]]. apply IHk.
        apply zn_free; [reflexivity|exact Hz]. }
      apply K, zn_free; [reflexivity|lra].
    - assert (E : Qv T1 Start 0 true == R * geo (S T1) - pen * kappa (S T1)).
      { unfold Penalty.Qv. cbn [sr sP].
        rewrite toward_sum, (V_bad_chain T1 _ (zn_bad T1 0 _ _ Z0)), (V_rich T1 _ (zn_rich 0 _ _ Z0)).
        unfold Penalty.kappa. simpl. ring. }
      cbn [Penalty.V]. destruct (Qlt_le_dec 0 0) as [L|_]; [lra|].
      apply maxa_le; [discriminate|]. intros a [<-|[<-|[]]]; [|apply Qle_refl].
      cbn [sr sP wsum fold_right fst snd].
      rewrite V_poor by (apply zn_free; [reflexivity|lra]). rewrite E. lra.
    - left; reflexivity.
    - apply not_W, zn_bad, Z0.
  Qed.
End Sharp.
