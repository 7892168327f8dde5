(* L2.paths.  The probability of a violation within n steps never exceeds 1 and never falls as n
   grows, so it has a limit, and that is 0 exactly if it is 0 for every n.  That the limit is the
   probability of "z_t < 0 for some t" under the path measure (continuity from below) is outside. *)
Require Import QArith Qfield Lqa Lia List.
From IGTheory Require Import Power Game WeightedSum Probability.
Import ListNotations.
Open Scope Q_scope.

Section MDP.
  Variables St Act : Type.
  Variable c : St -> Act -> St -> Q.
  Variable g : Q.
  Variable P : St -> Act -> list (St * Q).
  Hypothesis P_pos : forall s a s' q, In (s', q) (P s a) -> 0 < q.
  Hypothesis P_one : forall s a, wsum (fun _ => 1) (P s a) == 1.
  Variable r : rpolicy St Act.
  Hypothesis r_pos : forall h s a w, In (a, w) (r h s) -> 0 < w.
  Hypothesis r_one : forall h s, wsum (fun _ => 1) (r h s) == 1.
  Notation viol := (viol St Act c g P r).

  Theorem L2_paths_grow n : forall h s z, viol n h s z <= viol (S n) h s z.
  Proof.
    induction n; intros h s z.
    - cbn [Probability.viol]. destruct (Qlt_le_dec z 0); [lra|].
      apply wsum_nonneg; [apply r_pos|]. intros a. apply wsum_nonneg; [apply P_pos|].
      intros s'. destruct (Qlt_le_dec _ 0); lra.
    - change (viol (S (S n)) h s z) with (if Qlt_le_dec z 0 then 1 else
        wsum (fun a => wsum (fun s' => viol (S n) ((s, a) :: h) s' (znext St Act c g z s a s'))
          (P s a)) (r h s)).
      change (viol (S n) h s z) with (if Qlt_le_dec z 0 then 1 else
        wsum (fun a => wsum (fun s' => viol n ((s, a) :: h) s' (znext St Act c g z s a s'))
          (P s a)) (r h s)).
      destruct (Qlt_le_dec z 0); [lra|].
      apply wsum_mono; [apply r_pos|]. intros a w _. apply wsum_mono; [apply P_pos|].
      intros s' w' _. apply IHn.
  Qed.

  Theorem L2_paths_bounded n : forall h s z, 0 <= viol n h s z /\ viol n h s z <= 1.
  Proof.
    intros h s z. split; [apply viol_nonneg; assumption|].
    revert h s z. induction n; intros h s z; cbn [Probability.viol];
      destruct (Qlt_le_dec z 0); try lra.
    rewrite <- (r_one h s). apply wsum_mono; [apply r_pos|]. intros a w _.
    rewrite <- (P_one s a). apply wsum_mono; [apply P_pos|]. intros s' w' _. apply IHn.
  Qed.
End MDP.
