(* L2.game.  The safe set is the greatest set of pairs (s, z) with z >= 0 that some choice keeps,
   and it is where some policy, history-dependent and randomised, given by its supports, keeps
   z >= 0 on every history.  Finite supports, costs c(s, a, s') of any sign, gamma > 0. *)
Require Import QArith Qfield Lqa Lia List Qminmax.
From IGTheory Require Import Power.
Import ListNotations.
Open Scope Q_scope.

Section MDP.
  Variables St Act : Type.
  Variable acts : St -> list Act.
  Variable succ : St -> Act -> list St.
  Variable c : St -> Act -> St -> Q.
  Variable g : Q.
  Hypothesis g_pos : 0 < g.

  Definition znext (z : Q) s a s' : Q := (z - c s a s') / g.

  Lemma znext_ge x z s a s' : x <= znext z s a s' <-> c s a s' + g * x <= z.
  Proof. unfold znext. rewrite (div_ge_iff g x _ g_pos). split; intros; lra. Qed.

  (* ---------- greatest fixed point ---------- *)
  Definition step_safe (X : St -> Q -> Prop) s z : Prop :=
    0 <= z /\ exists a, In a (acts s) /\ forall s', In s' (succ s a) -> X s' (znext z s a s').

  Definition Safe s z : Prop :=
    exists X : St -> Q -> Prop, X s z /\ forall s z, X s z -> step_safe X s z.

  Lemma step_mono (X Y : St -> Q -> Prop) :
    (forall s z, X s z -> Y s z) -> forall s z, step_safe X s z -> step_safe Y s z.
  Proof. intros H s z [Hz [a [Ha Hs]]]. split; [exact Hz|]. exists a; split; auto. Qed.

  Theorem Safe_unfold s z : Safe s z <-> step_safe Safe s z.
  Proof.
    split.
    - intros [X [HX HS]]. apply (step_mono X); [|apply HS, HX].
      intros s1 z1 H1. exists X; auto.
    - intros H. exists (step_safe Safe); split; [exact H|].
      apply step_mono. intros s1 z1 [X [HX HS]].
      apply (step_mono X); [|apply HS, HX]. intros s2 z2 H2. exists X; auto.
  Qed.

  (* ---------- history-dependent, randomised policies (by support) ---------- *)
  Definition hist := list (St * Act).
  Fixpoint zof (z0 : Q) (h : hist) (s : St) : Q :=
    match h with [] => z0 | (s1, a1) :: h' => znext (zof z0 h' s1) s1 a1 s end.

  Definition policy := hist -> St -> Act -> Prop.

  Inductive reach (p : policy) (s0 : St) : hist -> St -> Prop :=
  | reach0 : reach p s0 [] s0
  | reachS h s a s' : reach p s0 h s -> p h s a -> In s' (succ s a) ->
                      reach p s0 ((s, a) :: h) s'.

  Definition surely_safe (p : policy) s0 z0 : Prop :=
    forall h s, reach p s0 h s ->
      (exists a, p h s a) /\ (forall a, p h s a -> In a (acts s)) /\ 0 <= zof z0 h s.

  Theorem L2_gfp s0 z0 : Safe s0 z0 <-> exists p, surely_safe p s0 z0.
  Proof.
    split.
    - intros H0.
      exists (fun h s a => In a (acts s) /\
                forall s', In s' (succ s a) -> Safe s' (znext (zof z0 h s) s a s')).
      assert (K : forall h s, reach (fun h s a => In a (acts s) /\
                forall s', In s' (succ s a) -> Safe s' (znext (zof z0 h s) s a s')) s0 h s ->
                Safe s (zof z0 h s)).
      { intros h s R. induction R as [|h s a s' R IH [Ha Hs] Hin]; simpl; auto. }
      intros h s R. apply K in R. apply Safe_unfold in R. destruct R as [Hz [a [Ha Hs]]].
      repeat split; [exists a; auto | intros b [Hb _]; exact Hb | exact Hz].
    - intros [p Hp].
      exists (fun s z => exists h, reach p s0 h s /\ zof z0 h s = z). split.
      + exists []. split; [constructor|reflexivity].
      + intros s z [h [R <-]]. destruct (Hp h s R) as [[a Ha] [Hacts Hz]].
        split; [exact Hz|]. exists a; split; [apply Hacts, Ha|].
        intros s' Hs'. exists ((s, a) :: h). split; [econstructor; eauto|reflexivity].
  Qed.

End MDP.
