(* T3 over a finite horizon, and exactness on a lattice.
   T3.gap: what rounding down costs over T steps is at most h (1 + ... + gamma^(T-1)), the rounding
   of the start counted; gamma > 0, 1 included.  T3.lattice: for gamma = 1 and costs and budget on
   multiples of h nothing is lost at all.  The rounding of the code (to multiples of h, down) meets
   the hypotheses. *)
Require Import QArith Qfield Lqa Lia List Qround.
From IGTheory Require Import Power Game Demand Grid.
Open Scope Q_scope.

Lemma inject_Z_minus a b : inject_Z (a - b) == inject_Z a - inject_Z b.
Proof. unfold Zminus, Qminus. rewrite inject_Z_plus, inject_Z_opp. reflexivity. Qed.

Section Floor.
  Variable h : Q.
  Hypothesis h_pos : 0 < h.

  Definition lattice (x : Q) : Prop := exists k : Z, x == h * inject_Z k.
  Definition down (x : Q) : Q := h * inject_Z (Qfloor (x / h)).

  Theorem down_le x : down x <= x.
  Proof.
    unfold down. setoid_replace x with (h * (x / h)) at 2 by (field; lra).
    apply Qmult_le_l; [exact h_pos|apply Qfloor_le].
  Qed.

  Theorem down_gt x : x - h < down x.
  Proof.
    unfold down. pose proof (Qlt_floor (x / h)) as L. rewrite inject_Z_plus in L.
    change (inject_Z 1) with 1 in L.
    assert (h * (x / h) < h * (inject_Z (Qfloor (x / h)) + 1)) by (apply Qmult_lt_l; assumption).
    setoid_replace (h * (x / h)) with x in H by (field; lra). lra.
  Qed.

  Theorem down_lattice x : lattice x -> down x == x.
  Proof.
    intros [k E]. unfold down.
    assert (F : x / h == inject_Z k) by (rewrite E; field; lra).
    rewrite F, Qfloor_Z, E. reflexivity.
  Qed.

  Theorem down_nonneg x : 0 <= x -> 0 <= down x.
  Proof.
    intros H. unfold down. apply Qmult_le_0_compat; [lra|].
    change 0 with (inject_Z 0). rewrite <- Zle_Qle.
    change 0%Z with (Qfloor 0). apply Qfloor_resp_le. apply Qle_shift_div_l; lra.
  Qed.

  Theorem down_mono x y : x <= y -> down x <= down y.
  Proof.
    intros H. unfold down. apply Qmult_le_l; [exact h_pos|]. rewrite <- Zle_Qle.
    apply Qfloor_resp_le. unfold Qdiv. apply Qmult_le_compat_r; [exact H|].
    apply Qinv_le_0_compat. lra.
  Qed.
End Floor.

Section MDP.
  Variables St Act : Type.
  Variable acts : St -> list Act.
  Variable succ : St -> Act -> list St.
  Variable c : St -> Act -> St -> Q.
  Variable g : Q.
  Hypothesis g_pos : 0 < g.
  Variable rd : Q -> Q.
  Notation znext := (znext St Act c g).
  Notation Safe := (Safe St Act acts succ c g).
  Notation SafeRd := (SafeRd St Act acts succ c g rd).
  Notation W := (W St Act acts succ c g).
  Notation step_rd := (step_rd St Act acts succ c g rd).

  (* budgets that are enough for n more steps if every budget is rounded *)
  Fixpoint Wrd (n : nat) : St -> Q -> Prop :=
    match n with O => fun _ z => 0 <= z | S n => step_rd (Wrd n) end.

  Fixpoint geo (n : nat) : Q := match n with O => 0 | S n => 1 + g * geo n end.

  Section Gap.
  Variable h : Q.
  Hypothesis h_nonneg : 0 <= h.
  Hypothesis rd_ge : forall x, x - h <= rd x.
  Hypothesis rd_sign : forall x, 0 <= x -> 0 <= rd x.

  Lemma geo_nonneg n : 0 <= geo n.
  Proof.
    induction n; simpl; [lra|]. assert (0 <= g * geo n) by (apply Qmult_le_0_compat; lra). lra.
  Qed.

  Lemma gap_from n : forall s z y, W (S n) s z -> z + h * (geo (S n) - 1) <= y -> Wrd (S n) s y.
  Proof.
    induction n; intros s z y [Hz [a [Ha Hs]]] Hy.
    - assert (Y : z <= y).
      { assert (E : h * (geo 1 - 1) == 0) by (simpl; ring). rewrite E in Hy. lra. }
      split; [lra|]. exists a; split; [exact Ha|]. intros s' Hs'. specialize (Hs s' Hs').
      apply rd_sign. eapply Qle_trans; [exact Hs|].
      unfold Game.znext. apply div_le_mono; [exact g_pos|]. lra.
    - assert (E : h * (geo (S (S n)) - 1) == g * (h * geo (S n))) by (simpl; ring).
      rewrite E in Hy. pose proof (geo_nonneg (S n)) as G.
      assert (0 <= g * (h * geo (S n))) by (repeat apply Qmult_le_0_compat; lra).
      split; [lra|]. exists a; split; [exact Ha|]. intros s' Hs'. specialize (Hs s' Hs').
      apply (IHn s' (znext z s a s')); [exact Hs|].
      assert (znext z s a s' + h * geo (S n) <= znext y s a s').
      { apply (znext_ge St Act c g g_pos).
        assert (F : g * znext z s a s' == z - c s a s') by (unfold Game.znext; field; lra).
        rewrite Qmult_plus_distr_r, F. lra. }
      pose proof (rd_ge (znext y s a s')). lra.
  Qed.

  (* T3.gap: a budget z that is enough for T = n+1 steps, and h (1 + ... + gamma^n) more, is
     enough with rounding, the rounding of the start included *)
  Theorem T3_gap_horizon n s z y :
    W (S n) s z -> z + h * geo (S n) <= y -> Wrd (S n) s (rd y).
  Proof.
    intros HW Hy. apply (gap_from n s z); [exact HW|]. pose proof (rd_ge y).
    setoid_replace (h * (geo (S n) - 1)) with (h * geo (S n) - h) by ring. lra.
  Qed.
  End Gap.

  (* rounding down is sound over a horizon too *)
  Theorem T3_down_horizon : (forall x, rd x <= x) -> forall n s z y, Wrd n s z -> z <= y -> W n s y.
  Proof.
    intros Hrd. induction n; intros s z y H Hy; [simpl in *; lra|].
    destruct H as [Hz [a [Ha Hs]]]. split; [lra|]. exists a; split; [exact Ha|]. intros s' Hs'.
    apply (IHn s' _ _ (Hs s' Hs')). eapply Qle_trans; [apply Hrd|].
    unfold Game.znext. apply div_le_mono; [exact g_pos|lra].
  Qed.

  (* T3.lattice: gamma = 1 and every cost a multiple of h: on multiples of h, nothing is lost *)
  Theorem T3_lattice (h : Q) : g == 1 -> (forall x, lattice h x -> rd x == x) ->
    (forall s a s', lattice h (c s a s')) ->
    forall s z, lattice h z -> (SafeRd s z <-> Safe s z).
  Proof.
    intros Hg Hrd Hc.
    assert (N : forall y z s a s', lattice h y -> y == z -> lattice h (znext y s a s') /\
                rd (znext y s a s') == znext z s a s').
    { intros y z s a s' [k Ey] E. destruct (Hc s a s') as [m Ec].
      assert (L : lattice h (znext y s a s')).
      { exists (k - m)%Z. unfold Game.znext. rewrite Hg, Ey, Ec, inject_Z_minus. field. }
      split; [exact L|]. rewrite (Hrd _ L). unfold Game.znext. rewrite E. reflexivity. }
    intros s z Hz. split; intros H.
    - exists (fun s z => exists y, SafeRd s y /\ lattice h y /\ y == z).
      split; [exists z; repeat split; [exact H|exact Hz]|].
      clear s z Hz H. intros s z [y [H [L E]]].
      apply SafeRd_unfold in H. destruct H as [Hy [a [Ha Hs]]].
      split; [lra|]. exists a; split; [exact Ha|]. intros s' Hs'.
      destruct (N y z s a s' L E) as [L' E']. exists (rd (znext y s a s')).
      split; [apply Hs, Hs'|]. split; [|exact E'].
      destruct L' as [k L']. exists k. rewrite <- L'. apply Hrd. exists k. exact L'.
    - exists (fun s z => exists y, Safe s y /\ lattice h z /\ y == z).
      split; [exists z; repeat split; [exact H|exact Hz]|].
      clear s z Hz H. intros s z [y [H [L E]]].
      apply Safe_unfold in H. destruct H as [Hy [a [Ha Hs]]].
      split; [lra|]. exists a; split; [exact Ha|]. intros s' Hs'.
      assert (E2 : z == y) by (symmetry; exact E).
      destruct (N z y s a s' L E2) as [L' E']. exists (znext y s a s').
      split; [apply Hs, Hs'|]. split; [|symmetry; exact E'].
      destruct L' as [k L']. exists k. rewrite <- L'. apply Hrd. exists k. exact L'.
  Qed.
End MDP.
