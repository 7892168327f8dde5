(* T4.reward over n steps.  U >= r + b sum P U for every choice and U >= -B: no policy, history-
   dependent and randomised, has an n-step value above U + b^n B; dually for L and one policy. *)
Require Import QArith Qfield Lqa Lia List Qminmax.
From IGTheory Require Import Power WeightedSum.
Import ListNotations.
Open Scope Q_scope.

(* ---------- T4, reward part: inductive bounds over all randomised history-dependent policies ---------- *)
Section Rew.
  Variables St Act : Type.
  Variable acts : St -> list Act.
  Variable P : St -> Act -> list (St * Q).
  Variable r : St -> Act -> Q.
  Variable b : Q.
  Hypothesis b_nonneg : 0 <= b.
  Hypothesis P_pos : forall s a s' q, In (s', q) (P s a) -> 0 < q.
  Hypothesis P_one : forall s a, wsum (fun _ => 1) (P s a) == 1.
  Definition hist := list (St * Act).
  Fixpoint val (p : hist -> St -> list (Act * Q)) (n : nat) (h : hist) (s : St) : Q :=
    match n with O => 0 | S n =>
      wsum (fun a => r s a + b * wsum (fun s' => val p n ((s, a) :: h) s') (P s a)) (p h s) end.
  Fixpoint bp (n : nat) : Q := match n with O => 1 | S n => b * bp n end.
  Theorem reward_upper (U : St -> Q) B (p : hist -> St -> list (Act * Q)) :
    (forall h s a w, In (a, w) (p h s) -> 0 < w /\ In a (acts s)) ->
    (forall h s, wsum (fun _ => 1) (p h s) == 1) ->
    (forall s a, In a (acts s) -> r s a + b * wsum U (P s a) <= U s) ->
    (forall s, - B <= U s) ->
    forall n h s, val p n h s <= U s + bp n * B.
  Proof.
    intros Hp H1 HU HB. induction n; intros h s; simpl.
    - pose proof (HB s). lra.
    - assert (E : (U s + b * (bp n * B)) * wsum (fun _ => 1) (p h s) == U s + b * bp n * B)
        by (rewrite H1; ring).
      rewrite <- E. apply wsum_ub; [intros a w Hin; apply (Hp h s a w Hin)|].
      intros a w Hin. destruct (Hp h s a w Hin) as [_ Ha].
      assert (M : wsum (fun s' => val p n ((s, a) :: h) s') (P s a) <= wsum (fun s' => U s' + bp n * B) (P s a))
        by (apply wsum_mono; [apply P_pos|intros; apply IHn]).
      rewrite wsum_add, P_one in M. pose proof (HU s a Ha).
      assert (b * wsum (fun s' => val p n ((s, a) :: h) s') (P s a) <= b * (wsum U (P s a) + bp n * B * 1)).
      { rewrite (Qmult_comm b), (Qmult_comm b (wsum U _ + _)). apply Qmult_le_compat_r; assumption. }
      lra.
  Qed.

  Theorem reward_lower (L : St -> Q) B (pol : St -> Act) :
    (forall s, L s <= r s (pol s) + b * wsum L (P s (pol s))) ->
    (forall s, L s <= B) ->
    forall n h s, L s - bp n * B <= val (fun _ s => [(pol s, 1)]) n h s.
  Proof.
    intros HL HB. induction n; intros h s; simpl.
    - pose proof (HB s). lra.
    - set (a := pol s).
      assert (M : wsum (fun s' => L s' + (- (bp n * B))) (P s a) <= wsum (fun s' => val (fun _ s => [(pol s, 1)]) n ((s, a) :: h) s') (P s a)).
      { apply wsum_mono; [apply P_pos|]. intros x q _. pose proof (IHn ((s, a) :: h) x). lra. }
      rewrite wsum_add, P_one in M. pose proof (HL s) as H. fold a in H.
      assert (b * (wsum L (P s a) + - (bp n * B) * 1) <= b * wsum (fun s' => val (fun _ s => [(pol s, 1)]) n ((s, a) :: h) s') (P s a)).
      { rewrite (Qmult_comm b), (Qmult_comm b (wsum _ _)). apply Qmult_le_compat_r; assumption. }
      lra.
  Qed.
End Rew.
