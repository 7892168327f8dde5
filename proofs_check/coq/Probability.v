(* L2.probability.  The probability viol n of a violation within n steps, in exact rationals: it is
   0 for every n iff no history of the supports violates.  Necessity and sufficiency of the safe
   set for randomised policies; their union is Deterministic.L2_probability. *)
Require Import QArith Qfield Lqa Lia List Qminmax.
From IGTheory Require Import Power Game WeightedSum.
Import ListNotations.
Require Import Classical ClassicalEpsilon.
Open Scope Q_scope.

Section MDP.
  Variables St Act : Type.
  Variable acts : St -> list Act.
  Variable succ : St -> Act -> list St.
  Variable c : St -> Act -> St -> Q.
  Variable g : Q.
  Hypothesis g_pos : 0 < g.
  Notation znext := (znext St Act c g).
  Notation step_safe := (step_safe St Act acts succ c g).
  Notation Safe := (Safe St Act acts succ c g).
  Notation znext_ge := (znext_ge St Act c g g_pos).
  Notation hist := (hist St Act).
  Notation zof := (zof St Act c g).
  Notation policy := (policy St Act).
  Notation reach := (reach St Act succ).
  Notation surely_safe := (surely_safe St Act acts succ c g).

  (* ---------- exact rational probabilities ---------- *)
  Section Prob.
    Variable P : St -> Act -> list (St * Q).     (* listed = support *)
    Hypothesis P_pos : forall s a s' q, In (s', q) (P s a) -> 0 < q.
    Hypothesis P_succ : forall s a s', In s' (succ s a) <-> exists q, In (s', q) (P s a).

    Definition rpolicy := hist -> St -> list (Act * Q).
    Definition psupp (r : rpolicy) : policy := fun h s a => exists w, In (a, w) (r h s).
    (* probability of seeing z < 0 within the next n steps *)
    Fixpoint viol (r : rpolicy) (n : nat) (h : hist) (s : St) (z : Q) : Q :=
      if Qlt_le_dec z 0 then 1 else
      match n with
      | O => 0
      | S n => wsum (fun a => wsum (fun s' =>
                 viol r n ((s, a) :: h) s' (znext z s a s')) (P s a)) (r h s)
      end.

    Inductive bad (r : rpolicy) : nat -> hist -> St -> Q -> Prop :=
    | bad_now n h s z : z < 0 -> bad r n h s z
    | bad_step n h s z a w s' : In (a, w) (r h s) -> In s' (succ s a) ->
        bad r n ((s, a) :: h) s' (znext z s a s') -> bad r (S n) h s z.


    Variable r : rpolicy.
    Hypothesis r_pos : forall h s a w, In (a, w) (r h s) -> 0 < w.

    Lemma viol_nonneg n : forall h s z, 0 <= viol r n h s z.
    Proof.
      induction n; intros h s z; simpl; destruct (Qlt_le_dec z 0); try lra.
      apply wsum_nonneg; [apply r_pos|]. intros a.
      apply wsum_nonneg; [apply P_pos|]. intros s'. apply IHn.
    Qed.

    Lemma viol_bad n : forall h s z, 0 < viol r n h s z <-> bad r n h s z.
    Proof.
      induction n; intros h s z; simpl; destruct (Qlt_le_dec z 0) as [L|L].
      - split; [intros _; constructor; exact L|lra].
      - split; [lra|]. inversion 1; lra.
      - split; [intros _; constructor; exact L|lra].
      - rewrite wsum_pos; [|apply r_pos|].
        2:{ intros a. apply wsum_nonneg; [apply P_pos|]. intros; apply viol_nonneg. }
        split.
        + intros [a [w [Hin H]]]. apply wsum_pos in H; [|apply P_pos|intros; apply viol_nonneg].
          destruct H as [s' [q [Hs' H]]]. eapply bad_step; [exact Hin| |apply IHn, H].
          apply P_succ. eauto.
        + inversion 1; [lra|]. subst. apply P_succ in H2. destruct H2 as [q Hq].
          exists a, w. split; [assumption|]. apply wsum_pos; [apply P_pos|intros; apply viol_nonneg|].
          exists s', q. split; [exact Hq|]. apply IHn. assumption.
    Qed.

    Lemma bad_reach s0 z0 n h s z : bad r n h s z ->
      reach (psupp r) s0 h s -> z = zof z0 h s ->
      exists h' s', reach (psupp r) s0 h' s' /\ zof z0 h' s' < 0.
    Proof.
      induction 1 as [n h s z Hz | n h s z a w s' Ha Hs' Hb IH]; intros R E.
      - exists h, s. subst; auto.
      - apply IH; [|subst; reflexivity]. econstructor; eauto. exists w; exact Ha.
    Qed.

    Lemma reach_bad s0 z0 h s : reach (psupp r) s0 h s -> forall n,
      bad r n h s (zof z0 h s) -> exists m, bad r m [] s0 z0.
    Proof.
      induction 1 as [|h s a s' R IH [w Hw] Hs']; intros n Hb; [exists n; exact Hb|].
      apply (IH (S n)). eapply bad_step; eauto.
    Qed.

    (* Probability of violation within n steps is 0 for all n
       <-> every history of the supports has z >= 0 *)
    Theorem prob_zero_iff s0 z0 :
      (forall n, viol r n [] s0 z0 == 0) <->
      (forall h s, reach (psupp r) s0 h s -> 0 <= zof z0 h s).
    Proof.
      split.
      - intros H h s R. destruct (Qlt_le_dec (zof z0 h s) 0) as [L|]; [exfalso|assumption].
        destruct (reach_bad s0 z0 h s R 0 (bad_now r 0 h s _ L)) as [m Hm].
        apply viol_bad in Hm. pose proof (H m). lra.
      - intros H n. pose proof (viol_nonneg n [] s0 z0).
        destruct (Qlt_le_dec 0 (viol r n [] s0 z0)) as [L|]; [exfalso|lra].
        apply viol_bad in L.
        destruct (bad_reach s0 z0 n [] s0 z0 L (reach0 _ _ _ _ _) eq_refl) as [h [s [R N]]].
        pose proof (H h s R). lra.
    Qed.
  End Prob.
End MDP.

Section L2Prob.
  Variables St Act : Type.
  Variable acts : St -> list Act.
  Variable succ : St -> Act -> list St.
  Variable c : St -> Act -> St -> Q.
  Variable g : Q.
  Hypothesis g_pos : 0 < g.
  Variable P : St -> Act -> list (St * Q).
  Hypothesis P_pos : forall s a s' q, In (s', q) (P s a) -> 0 < q.
  Hypothesis P_succ : forall s a s', In s' (succ s a) <-> exists q, In (s', q) (P s a).

  (* a randomised history-dependent policy: positive weights summing to 1 on enabled actions *)
  Definition rvalid (r : rpolicy St Act) : Prop :=
    forall h s, (forall a w, In (a, w) (r h s) -> 0 < w /\ In a (acts s)) /\
                wsum (fun _ => 1) (r h s) == 1.

  Theorem L2_prob_necessary r s0 z0 : rvalid r ->
    (forall n, viol St Act c g P r n [] s0 z0 == 0) -> Safe St Act acts succ c g s0 z0.
  Proof.
    intros Hr H. apply L2_gfp. exists (psupp St Act r).
    assert (r_pos : forall h s a w, In (a, w) (r h s) -> 0 < w)
      by (intros h s a w Hin; apply (proj1 (Hr h s)) in Hin; tauto).
    pose proof (proj1 (prob_zero_iff St Act succ c g P P_pos P_succ r r_pos s0 z0) H) as K.
    intros h s R. repeat split; [| |apply K, R].
    - destruct (Hr h s) as [_ E]. destruct (r h s) as [|[a w] l] eqn:El.
      + simpl in E. lra.
      + exists a, w. rewrite El. left; reflexivity.
    - intros a [w Hw]. apply (proj1 (Hr h s)) in Hw. tauto.
  Qed.
End L2Prob.

Section L2ProbSuff.
  Variables St Act : Type.
  Variable acts : St -> list Act.
  Variable succ : St -> Act -> list St.
  Variable c : St -> Act -> St -> Q.
  Variable g : Q.
  Hypothesis g_pos : 0 < g.
  Variable P : St -> Act -> list (St * Q).
  Hypothesis P_pos : forall s a s' q, In (s', q) (P s a) -> 0 < q.
  Hypothesis P_succ : forall s a s', In s' (succ s a) <-> exists q, In (s', q) (P s a).
  Variable a0 : St -> Act.
  Hypothesis a0_ok : forall s, In (a0 s) (acts s).

  (* deterministic, Markov in (s,z) *)
  Theorem L2_prob_sufficient s0 z0 : Safe St Act acts succ c g s0 z0 ->
    exists f : St -> Q -> Act, (forall s z, In (f s z) (acts s)) /\
      forall n, viol St Act c g P (fun h s => [(f s (zof St Act c g z0 h s), 1)]) n [] s0 z0 == 0.
  Proof.
    intros H0.
    assert (F : forall s z, exists a, In a (acts s) /\ (Safe St Act acts succ c g s z ->
       forall s', In s' (succ s a) -> Safe St Act acts succ c g s' (znext St Act c g z s a s'))).
    { intros s z. destruct (classic (Safe St Act acts succ c g s z)) as [Y|N].
      - pose proof Y as Y2. apply Safe_unfold in Y2. destruct Y2 as [_ [a [Ha Hs]]]. exists a; auto.
      - exists (a0 s). split; [apply a0_ok|]. intros; contradiction. }
    set (f := fun s z => proj1_sig (constructive_indefinite_description _ (F s z))).
    assert (Hf : forall s z, In (f s z) (acts s) /\ (Safe St Act acts succ c g s z ->
       forall s', In s' (succ s (f s z)) -> Safe St Act acts succ c g s' (znext St Act c g z s (f s z) s'))).
    { intros s z. unfold f. destruct (constructive_indefinite_description _ (F s z)) as [a Ha]. exact Ha. }
    exists f. split; [intros; apply Hf|].
    set (r := fun h s => [(f s (zof St Act c g z0 h s), 1)]).
    assert (r_pos : forall h s a w, In (a, w) (r h s) -> 0 < w)
      by (intros h s a w [E|[]]; inversion E; lra).
    apply (proj2 (prob_zero_iff St Act succ c g P P_pos P_succ r r_pos s0 z0)).
    assert (K : forall h s, reach St Act succ (psupp St Act r) s0 h s ->
              Safe St Act acts succ c g s (zof St Act c g z0 h s)).
    { intros h s R. induction R as [|h s a s' R IH [w [E|[]]] Hin]; [exact H0|].
      inversion E; subst. simpl. apply Hf; assumption. }
    intros h s R. apply K in R. apply Safe_unfold in R. apply R.
  Qed.
End L2ProbSuff.
