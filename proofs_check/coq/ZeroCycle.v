(* T4.cycle.  What fails at gamma = 1: an impossibility certificate without a ranking, and a
   safety certificate that does not state D >= 0.  For gamma < 1 and costs >= 0 a bounded D that
   meets the other conditions is >= 0 by itself. *)
Require Import QArith Qfield Lqa Lia List Qminmax.
From IGTheory Require Import Power Game Demand FixedPoints Impossibility SafetyCertificate.
Import ListNotations.
Open Scope Q_scope.

Notation loop_safe := (Safe unit unit loop_acts loop_succ loop_cost 1).

(* a state with a loop that costs nothing: L = 1 is bounded and meets L <= c + L', but 0 is safe *)
Theorem T4_cycle_impossibility :
  lcert unit unit loop_acts loop_succ loop_cost 1 (fun _ => 1) /\ loop_safe tt 0 /\ ~ 1 <= 0.
Proof.
  split; [|split].
  - intros [] a _. exists tt. split; [left; reflexivity|]. unfold loop_cost. lra.
  - apply L2_loop_safe. lra.
  - lra.
Qed.

(* the same loop: D = -1 meets c + D' <= D, but the budget -1 is not safe *)
Theorem T4_cycle_safety :
  (forall s', In s' (loop_succ tt tt) -> loop_cost tt tt s' + 1 * -(1) <= -(1)) /\
  ~ loop_safe tt (-(1)).
Proof.
  split; [intros s' _; unfold loop_cost; lra|]. intros H. apply L2_loop_safe in H. lra.
Qed.

Section Discounted.
  Variables St Act : Type.
  Variable succ : St -> Act -> list St.
  Variable c : St -> Act -> St -> Q.
  Variable g : Q.
  Hypothesis g_pos : 0 < g.
  Hypothesis g_less : g < 1.
  Hypothesis c_nonneg : forall s a s', 0 <= c s a s'.

  Theorem T4_nonneg (D : St -> Q) (pol : St -> Act) M : (forall s, - M <= D s) ->
    (forall s, exists s', In s' (succ s (pol s)) /\ c s (pol s) s' + g * D s' <= D s) ->
    forall s, 0 <= D s.
  Proof.
    intros HM HD s. destruct (Qlt_le_dec (D s) 0) as [N|]; [exfalso|assumption].
    set (M' := Qmax M 0).
    assert (K : forall n s, - (qpow g n * M') <= D s).
    { induction n; intros t; simpl.
      - pose proof (HM t). pose proof (Q.le_max_l M 0). unfold M'. lra.
      - destruct (HD t) as [t' [_ H]]. pose proof (c_nonneg t (pol t) t').
        assert (g * - (qpow g n * M') <= g * D t') by (apply Qmult_le_l; [assumption|apply IHn]).
        lra. }
    destruct (qpow_small g g_pos M' (- D s) g_less (Q.le_max_r _ _)) as [n Hn]; [lra|].
    pose proof (K n s). lra.
  Qed.
End Discounted.
