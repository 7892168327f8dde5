(* T1.threshold, along whole runs.  With n > n* = R (1 + b + ... + b^(T-1)) / (p b)^T every run of
   greedy choices over T steps keeps the budget from every pair from which that is possible; for
   deterministic transitions without discount n* = R T.  Rewards in [0, R], 0 < b <= 1, the least
   positive probability p; costs of any sign, every z_t priced, z_T included. *)
Require Import QArith Qfield Lqa Lia List Qminmax.
From IGTheory Require Import Power Game Demand WeightedSum Penalty.
Import ListNotations.
Open Scope Q_scope.

Section Greedy.
  Variables St Act : Type.
  Variable acts : St -> list Act.
  Variable P : St -> Act -> list (St * Q).
  Variable c : St -> Act -> St -> Q.
  Variable r : St -> Act -> Q.
  Variables g b pm R pen : Q.
  Hypothesis g_pos : 0 < g.
  Hypothesis b_pos : 0 < b.
  Hypothesis b_le : b <= 1.
  Hypothesis pm_pos : 0 < pm.
  Hypothesis pm_le : pm <= 1.
  Hypothesis P_pm : forall s a s' q, In (s', q) (P s a) -> pm <= q.
  Hypothesis P_one : forall s a, wsum (fun _ => 1) (P s a) == 1.
  Hypothesis r_lo : forall s a, 0 <= r s a.
  Hypothesis r_hi : forall s a, r s a <= R.
  Hypothesis acts_ne : forall s, acts s <> [].
  Hypothesis pen_nonneg : 0 <= pen.
  Notation succ := (succ St Act P).
  Notation W := (W St Act acts succ c g).
  Notation zn := (znext St Act c g).
  Notation V := (V St Act acts P c r g b pen).
  Notation Qv := (Qv St Act acts P c r g b pen).
  Notation geo := (geo b).
  Notation kappa := (kappa b pm).

  (* the pairs that greedy choices can reach from (s0, z0), with k of T steps to go *)
  Inductive greedy_run (T : nat) (s0 : St) (z0 : Q) : nat -> St -> Q -> Prop :=
  | run_start : greedy_run T s0 z0 T s0 z0
  | run_step k s z a s' : greedy_run T s0 z0 (S k) s z -> In a (acts s) ->
      V (S k) s z <= Qv k s z a -> In s' (succ s a) -> greedy_run T s0 z0 k s' (zn z s a s').

  Lemma geo_mono k : geo k <= geo (S k).
  Proof.
    induction k.
    - simpl. lra.
    - change (geo (S k)) with (1 + b * geo k) at 1.
      change (geo (S (S k))) with (1 + b * geo (S k)).
      assert (b * geo k <= b * geo (S k)) by (apply Qmult_le_l; assumption). lra.
  Qed.

  Lemma kappa_mono k : kappa (S k) <= kappa k.
  Proof.
    pose proof (kappa_pos b pm b_pos pm_pos k) as K. unfold Penalty.kappa in *. simpl.
    assert (pm * b <= 1 * 1).
    { assert (pm * b <= 1 * b) by (apply Qmult_le_compat_r; lra). lra. }
    assert (pm * b * qpow (pm * b) k <= 1 * qpow (pm * b) k) by (apply Qmult_le_compat_r; lra).
    lra.
  Qed.

  (* the threshold grows with the horizon *)
  Lemma threshold_mono (Rn : 0 <= R) k m : (k <= m)%nat ->
    R * geo m < pen * kappa m -> R * geo k < pen * kappa k.
  Proof.
    induction 1 as [|m _ IH]; [auto|]. intros H. apply IH.
    assert (R * geo m <= R * geo (S m)).
    { rewrite (Qmult_comm R), (Qmult_comm R (geo (S m))).
      apply Qmult_le_compat_r; [apply geo_mono|exact Rn]. }
    assert (pen * kappa (S m) <= pen * kappa m).
    { rewrite (Qmult_comm pen), (Qmult_comm pen (kappa m)).
      apply Qmult_le_compat_r; [apply kappa_mono|exact pen_nonneg]. }
    lra.
  Qed.

  Theorem T1_greedy_safe T s0 z0 : R * geo T < pen * kappa T -> W T s0 z0 ->
    forall k s z, greedy_run T s0 z0 k s z -> 0 <= z.
  Proof.
    intros Hpen H0.
    assert (K : forall k s z, greedy_run T s0 z0 k s z -> (k <= T)%nat /\ W k s z).
    { intros k s z G. induction G as [|k s z a s' G [Hk HW] Ha Hopt Hin]; [auto|].
      split; [lia|].
      refine (T1_threshold St Act acts P c r g b pm R pen g_pos b_pos b_le pm_pos pm_le P_pm P_one
               r_lo r_hi acts_ne pen_nonneg k s z a _ HW Ha Hopt s' Hin).
      assert (Rn : 0 <= R) by (pose proof (r_lo s a); pose proof (r_hi s a); lra).
      exact (threshold_mono Rn (S k) T Hk Hpen). }
    intros k s z G. destruct (K k s z G) as [_ HW]. destruct k; [exact HW|apply HW].
  Qed.
End Greedy.

(* for p = b = 1 (tokens, no discount) the condition reads R T < n *)
Theorem T1_tokens R pen T : R * Penalty.geo 1 T < pen * Penalty.kappa 1 1 T <->
  R * inject_Z (Z.of_nat T) < pen.
Proof.
  assert (K : Penalty.kappa 1 1 T == 1).
  { unfold Penalty.kappa. induction T as [|T IH]; [reflexivity|].
    change (qpow (1 * 1) (S T)) with (1 * 1 * qpow (1 * 1) T). rewrite IH. reflexivity. }
  assert (G : Penalty.geo 1 T == inject_Z (Z.of_nat T)).
  { clear K. induction T as [|T IH]; [reflexivity|].
    change (Penalty.geo 1 (S T)) with (1 + 1 * Penalty.geo 1 T).
    rewrite IH, Nat2Z.inj_succ, <- Z.add_1_r, inject_Z_plus. change (inject_Z 1) with 1. ring. }
  rewrite G, K. split; lra.
Qed.
