(* T4.reward without a horizon.  Discounted: the bounds of Reward.v up to any eps, for all large n.
   Undiscounted: U >= 0 bounds every horizon from above; for the lower bound a function w with
   w >= 1 + sum P w before the end says that runs end, so that at most w / n is alive at n. *)
Require Import QArith Qfield Lqa Lia List Qminmax.
From IGTheory Require Import Power WeightedSum Reward.
Import ListNotations.
Open Scope Q_scope.

Section Forever.
  Variables St Act : Type.
  Variable acts : St -> list Act.
  Variable P : St -> Act -> list (St * Q).
  Variable r : St -> Act -> Q.
  Variable b : Q.
  Hypothesis b_pos : 0 < b.
  Hypothesis b_le : b <= 1.
  Hypothesis P_pos : forall s a s' q, In (s', q) (P s a) -> 0 < q.
  Hypothesis P_one : forall s a, wsum (fun _ => 1) (P s a) == 1.
  Notation hist := (list (St * Act)).
  Notation val := (val St Act P r b).

  Definition valid (p : hist -> St -> list (Act * Q)) : Prop :=
    (forall h s a w, In (a, w) (p h s) -> 0 < w /\ In a (acts s)) /\
    (forall h s, wsum (fun _ => 1) (p h s) == 1).

  Lemma bp_qpow n : bp b n == qpow b n.
  Proof. induction n; simpl; [reflexivity|rewrite IHn; reflexivity]. Qed.
  Lemma qpow_le n m : (n <= m)%nat -> qpow b m <= qpow b n.
  Proof.
    induction 1 as [|m _ IH]; [lra|]. simpl. pose proof (qpow_pos b m b_pos).
    assert (b * qpow b m <= 1 * qpow b m) by (apply Qmult_le_compat_r; lra). lra.
  Qed.
  Lemma bp_small B eps : b < 1 -> 0 < eps ->
    exists N, forall n, (N <= n)%nat -> bp b n * B <= eps.
  Proof.
    intros Hb He. destruct (qpow_small b b_pos (Qmax B 0) eps Hb (Q.le_max_r _ _) He) as [N HN].
    exists N. intros n Hn. rewrite bp_qpow. pose proof (qpow_le N n Hn) as L.
    pose proof (qpow_pos b n b_pos). pose proof (Q.le_max_l B 0). pose proof (Q.le_max_r B 0).
    assert (qpow b n * B <= qpow b n * Qmax B 0) by (apply Qmult_le_l; assumption).
    assert (qpow b n * Qmax B 0 <= qpow b N * Qmax B 0) by (apply Qmult_le_compat_r; assumption).
    lra.
  Qed.

  (* discounted: every policy, from above *)
  Theorem T4_reward_upper_discounted (U : St -> Q) B p eps : b < 1 -> 0 < eps -> valid p ->
    (forall s a, In a (acts s) -> r s a + b * wsum U (P s a) <= U s) -> (forall s, - B <= U s) ->
    exists N, forall n h s, (N <= n)%nat -> val p n h s <= U s + eps.
  Proof.
    intros Hb He [Hp H1] HU HB. destruct (bp_small B eps Hb He) as [N HN].
    exists N. intros n h s Hn. specialize (HN n Hn).
    pose proof (reward_upper St Act acts P r b (Qlt_le_weak _ _ b_pos) P_pos P_one
                  U B p Hp H1 HU HB n h s). lra.
  Qed.

  (* discounted: the named policy, from below *)
  Theorem T4_reward_lower_discounted (L : St -> Q) B pol eps : b < 1 -> 0 < eps ->
    (forall s, L s <= r s (pol s) + b * wsum L (P s (pol s))) -> (forall s, L s <= B) ->
    exists N, forall n h s, (N <= n)%nat -> L s - eps <= val (fun _ s => [(pol s, 1)]) n h s.
  Proof.
    intros Hb He HL HB. destruct (bp_small B eps Hb He) as [N HN].
    exists N. intros n h s Hn. specialize (HN n Hn).
    pose proof (reward_lower St Act P r b (Qlt_le_weak _ _ b_pos) P_pos P_one L B pol HL HB n h s).
    lra.
  Qed.

  (* undiscounted allowed: with U >= 0, every policy and every horizon *)
  Theorem T4_reward_upper_forever (U : St -> Q) p : valid p ->
    (forall s a, In a (acts s) -> r s a + b * wsum U (P s a) <= U s) -> (forall s, 0 <= U s) ->
    forall n h s, val p n h s <= U s.
  Proof.
    intros [Hp H1] HU H0 n h s.
    assert (HB : forall s, - 0 <= U s) by (intros t; pose proof (H0 t); lra).
    pose proof (reward_upper St Act acts P r b (Qlt_le_weak _ _ b_pos) P_pos P_one
                  U 0 p Hp H1 HU HB n h s). lra.
  Qed.

  Section Ends.
    Variable pol : St -> Act.
    Variable ended : St -> bool.
    Hypothesis ended_stays : forall s s' q, ended s = true -> In (s', q) (P s (pol s)) ->
      ended s' = true.
    Hypothesis ended_reward : forall s, ended s = true -> r s (pol s) == 0.

    (* probability that the run has not ended after n steps of the policy *)
    Fixpoint alive (n : nat) (s : St) : Q :=
      if ended s then 0 else match n with O => 1 | S n => wsum (alive n) (P s (pol s)) end.

    Lemma alive_nonneg n : forall s, 0 <= alive n s.
    Proof.
      induction n; intros s; simpl; destruct (ended s); try lra.
      apply wsum_nonneg; [apply P_pos|exact IHn].
    Qed.
    Lemma alive_le1 n : forall s, alive n s <= 1.
    Proof.
      induction n; intros s; simpl; destruct (ended s); try lra.
      pose proof (wsum_ub (alive n) 1 (P s (pol s)) (P_pos s (pol s)) (fun x _ _ => IHn x)) as H.
      rewrite P_one in H. lra.
    Qed.

    Variable w : St -> Q.
    Hypothesis w_nonneg : forall s, 0 <= w s.
    Hypothesis w_step : forall s, ended s = false -> 1 + wsum w (P s (pol s)) <= w s.

    (* n P(alive at n) <= w *)
    Theorem T4_runs_end n : forall s, inject_Z (Z.of_nat n) * alive n s <= w s.
    Proof.
      induction n; intros s.
      - change (inject_Z (Z.of_nat 0)) with 0. pose proof (w_nonneg s). lra.
      - simpl alive. destruct (ended s) eqn:E; [pose proof (w_nonneg s); lra|].
        rewrite Nat2Z.inj_succ, <- Z.add_1_r, inject_Z_plus. change (inject_Z 1) with 1.
        set (k := inject_Z (Z.of_nat n)) in *.
        assert (H : wsum (fun x => k * alive n x) (P s (pol s)) <= wsum w (P s (pol s)))
          by (apply wsum_mono; [apply P_pos|intros x q _; apply IHn]).
        rewrite wsum_scale in H.
        pose proof (wsum_ub (alive n) 1 (P s (pol s)) (P_pos s (pol s))
                      (fun x _ _ => alive_le1 n x)) as H1. rewrite P_one in H1.
        pose proof (w_step s E). lra.
    Qed.

    Variable L : St -> Q.
    Variable B : Q.
    Hypothesis L_end : forall s, ended s = true -> L s <= 0.
    Hypothesis L_step : forall s, ended s = false ->
      L s <= r s (pol s) + b * wsum L (P s (pol s)).
    Hypothesis L_bound : forall s, L s <= B.
    Hypothesis B_nonneg : 0 <= B.
    Notation run := (fun (_ : hist) s => [(pol s, 1)]).

    Lemma val_ended n : forall h s, ended s = true -> 0 <= val run n h s.
    Proof.
      induction n; intros h s E; simpl; [lra|].
      assert (H : 0 * wsum (fun _ => 1) (P s (pol s)) <=
                  wsum (fun s' => val run n ((s, pol s) :: h) s') (P s (pol s))).
      { apply wsum_lb; [apply P_pos|]. intros x q Hx. apply IHn. eapply ended_stays; eauto. }
      pose proof (ended_reward s E).
      assert (0 <= b * wsum (fun s' => val run n ((s, pol s) :: h) s') (P s (pol s)))
        by (apply Qmult_le_0_compat; lra).
      lra.
    Qed.

    Lemma val_alive n : forall h s, L s - B * alive n s <= val run n h s.
    Proof.
      induction n; intros h s; destruct (ended s) eqn:E.
      - simpl. rewrite E. pose proof (L_end s E). lra.
      - simpl. rewrite E. pose proof (L_bound s). lra.
      - simpl alive. rewrite E. pose proof (val_ended (S n) h s E). pose proof (L_end s E). lra.
      - simpl. rewrite E. set (a := pol s).
        assert (M : wsum (fun x => L x + (- B) * alive n x) (P s a) <=
                    wsum (fun s' => val run n ((s, a) :: h) s') (P s a)).
        { apply wsum_mono; [apply P_pos|]. intros x q _. pose proof (IHn ((s, a) :: h) x). lra. }
        rewrite wsum_plus, wsum_scale in M. pose proof (L_step s E) as HL. fold a in HL.
        assert (A0 : 0 <= B * wsum (alive n) (P s a))
          by (apply Qmult_le_0_compat; [exact B_nonneg|
              apply wsum_nonneg; [apply P_pos|intros; apply alive_nonneg]]).
        assert (b * (B * wsum (alive n) (P s a)) <= 1 * (B * wsum (alive n) (P s a)))
          by (apply Qmult_le_compat_r; assumption).
        assert (b * (wsum L (P s a) + - B * wsum (alive n) (P s a)) <=
                b * wsum (fun s' => val run n ((s, a) :: h) s') (P s a))
          by (apply Qmult_le_l; assumption).
        lra.
    Qed.

    (* undiscounted allowed: the named policy, from below, up to any eps *)
    Theorem T4_reward_lower_forever s eps : 0 < eps ->
      exists N, forall n h, (N <= n)%nat -> L s - eps <= val run n h s.
    Proof.
      intros He. destruct (Qarchimedean (B * w s / eps)) as [p Hp].
      exists (Pos.to_nat p). intros n h Hn.
      pose proof (val_alive n h s). pose proof (T4_runs_end n s) as R.
      pose proof (alive_nonneg n s) as A.
      assert (Hn' : (Z.pos p # 1) <= inject_Z (Z.of_nat n)).
      { change (Z.pos p # 1) with (inject_Z (Z.pos p)). rewrite <- Zle_Qle. lia. }
      set (k := inject_Z (Z.of_nat n)) in *.
      assert (K : 0 < k) by (eapply Qlt_le_trans; [|exact Hn']; reflexivity).
      assert (Hb : B * w s < k * eps).
      { setoid_replace (B * w s) with (B * w s / eps * eps) by (field; lra).
        apply Qmult_lt_r; [exact He|]. lra. }
      assert (B * (k * alive n s) <= B * w s).
      { rewrite (Qmult_comm B (k * _)), (Qmult_comm B (w s)). apply Qmult_le_compat_r; assumption. }
      assert (k * (B * alive n s) < k * eps) by lra.
      assert (B * alive n s < eps) by (apply (Qmult_lt_l _ _ k K); assumption).
      lra.
    Qed.
  End Ends.
End Forever.
