(* Powers of a rational, and division as a comparison: the arithmetic that the rest uses.
   qpow_small: gamma < 1 has powers below every bound. *)
Require Import QArith Qfield Lqa Lia.
Open Scope Q_scope.

Fixpoint qpow (g : Q) (n : nat) : Q :=
  match n with O => 1 | S n => g * qpow g n end.

Lemma qpow_pos g n : 0 < g -> 0 < qpow g n.
Proof.
  intros Hg; induction n; simpl; [lra|].
  apply Qmult_lt_0_compat; assumption.
Qed.

Lemma div_ge_iff g a b : 0 < g -> (a <= b / g <-> g * a <= b).
Proof.
  intros Hg; split; intros H.
  - setoid_replace b with (g * (b / g)) by (field; lra).
    apply Qmult_le_l; assumption.
  - apply Qle_shift_div_l; [assumption|]. rewrite Qmult_comm; exact H.
Qed.

Lemma div_le_mono g a b : 0 < g -> a <= b -> a / g <= b / g.
Proof.
  intros Hg H. apply div_ge_iff; [assumption|].
  setoid_replace (g * (a / g)) with a by (field; lra). exact H.
Qed.
Lemma bernoulli (x : Q) n : 0 <= x -> 1 + inject_Z (Z.of_nat n) * x <= qpow (1 + x) n.
Proof.
  intros Hx. induction n; [change (inject_Z (Z.of_nat 0)) with 0; simpl; lra|].
  rewrite Nat2Z.inj_succ, <- Z.add_1_r, inject_Z_plus. simpl qpow.
  set (k := inject_Z (Z.of_nat n)) in *.
  assert (0 <= k) by (unfold k; change 0 with (inject_Z 0); rewrite <- Zle_Qle; lia).
  assert ((1 + x) * (1 + k * x) <= (1 + x) * qpow (1 + x) n)
    by (apply Qmult_le_l; [lra|assumption]).
  assert (0 <= k * x * x) by (apply Qmult_le_0_compat; [apply Qmult_le_0_compat|]; assumption).
  change (inject_Z 1) with 1. lra.
Qed.


Section Inverse.
  Variable g : Q.
  Hypothesis g_pos : 0 < g.

  Lemma qpow_inv n : qpow g n * qpow (1 / g) n == 1.
  Proof.
    induction n; simpl; [ring|].
    setoid_replace (g * qpow g n * (1 / g * qpow (1 / g) n))
      with (qpow g n * qpow (1 / g) n) by (field; lra). exact IHn.
  Qed.

  Lemma qpow_small M e : g < 1 -> 0 <= M -> 0 < e -> exists n, qpow g n * M < e.
  Proof.
    intros Hg HM He.
    set (x := 1 / g - 1).
    assert (Hx : 0 < x).
    { unfold x. assert (1 < 1 / g) by (apply Qlt_shift_div_l; lra). lra. }
    destruct (Qarchimedean (M / (x * e))) as [p Hp].
    assert (Hxe : 0 < x * e) by (apply Qmult_lt_0_compat; assumption).
    exists (Pos.to_nat p).
    pose proof (bernoulli x (Pos.to_nat p) (Qlt_le_weak _ _ Hx)) as B.
    rewrite positive_nat_Z in B.
    change (inject_Z (Z.pos p)) with (Z.pos p # 1) in B.
    set (P := Z.pos p # 1) in *.
    assert (HM2 : M < P * (x * e)).
    { setoid_replace M with (M / (x * e) * (x * e)) by (field; lra).
      apply Qmult_lt_r; assumption. }
    assert (G : qpow (1 / g) (Pos.to_nat p) == qpow (1 + x) (Pos.to_nat p)).
    { assert (E : 1 / g == 1 + x) by (unfold x; ring).
      generalize (Pos.to_nat p). induction n; simpl; [reflexivity|].
      rewrite IHn. rewrite E. reflexivity. }
    pose proof (qpow_inv (Pos.to_nat p)) as I. rewrite G in I.
    set (q := qpow g (Pos.to_nat p)) in *. set (Q1 := qpow (1 + x) (Pos.to_nat p)) in *.
    assert (Hq : 0 < q) by (apply qpow_pos; assumption).
    assert (H1 : P * x * e <= Q1 * e) by (apply Qmult_le_r; lra).
    assert (H2 : M < Q1 * e) by lra.
    assert (H3 : q * M < q * (Q1 * e)) by (apply Qmult_lt_l; assumption).
    setoid_replace (q * (Q1 * e)) with ((q * Q1) * e) in H3 by ring.
    rewrite I in H3. lra.
  Qed.
End Inverse.
