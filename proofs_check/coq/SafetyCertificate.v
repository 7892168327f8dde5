(* T4.safety.  D >= 0 with an enabled choice such that c + gamma D(s') <= D(s) on every support edge:
   the memoryless policy of these choices keeps every budget z >= D(s), surely, and so with
   probability 1 for every assignment of positive probabilities.  Costs of any sign, gamma > 0. *)
Require Import QArith Qfield Lqa Lia List Qminmax.
From IGTheory Require Import Power Game WeightedSum Probability.
Import ListNotations.
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

  (* ---------- T4: certificates ---------- *)
  Definition cert (D : St -> option Q) (pol : St -> Act) : Prop :=
    forall s d, D s = Some d ->
      0 <= d /\ In (pol s) (acts s) /\
      forall s', In s' (succ s (pol s)) ->
        exists d', D s' = Some d' /\ c s (pol s) s' + g * d' <= d.

  Definition memoryless (pol : St -> Act) : policy := fun _ s a => a = pol s.

  Theorem T4_cert D pol : cert D pol ->
    forall s0 z0 d, D s0 = Some d -> d <= z0 -> surely_safe (memoryless pol) s0 z0.
  Proof.
    intros HC s0 z0 d0 H0 Hz0.
    assert (K : forall h s, reach (memoryless pol) s0 h s ->
                exists d, D s = Some d /\ d <= zof z0 h s).
    { intros h s R. induction R as [|h s a s' R [d [Hd Hz]] Hp Hin]; [eauto|].
      unfold memoryless in Hp; subst a. destruct (HC s d Hd) as [_ [_ Hs]].
      destruct (Hs s' Hin) as [d' [Hd' Hle]]. exists d'; split; [exact Hd'|].
      simpl. apply znext_ge. lra. }
    intros h s R. destruct (K h s R) as [d [Hd Hz]].
    destruct (HC s d Hd) as [H1 [H2 _]]. repeat split.
    - exists (pol s); reflexivity.
    - intros a ->. exact H2.
    - lra.
  Qed.

  (* T4 in probability form: the certified policy has violation probability 0
     at every horizon, whatever the (positive) probabilities on the supports *)
  Theorem T4_prob (P : St -> Act -> list (St * Q)) D pol :
    (forall s a s' q, In (s', q) (P s a) -> 0 < q) ->
    (forall s a s', In s' (succ s a) <-> exists q, In (s', q) (P s a)) ->
    cert D pol -> forall s0 z0 d, D s0 = Some d -> d <= z0 ->
    forall n, viol St Act c g P (fun _ s => [(pol s, 1)]) n [] s0 z0 == 0.
  Proof.
    intros HP HS HC s0 z0 d H0 Hz.
    apply (proj2 (prob_zero_iff St Act succ c g P HP HS (fun _ s => [(pol s, 1)])
       ltac:(intros h s a w [E|[]]; inversion E; lra) s0 z0)).
    intros h s R. apply (T4_cert D pol HC s0 z0 d H0 Hz).
    induction R as [|h s a s' R IH [w [E|[]]] Hin]; [constructor|].
    inversion E; subst. econstructor; [exact IH|reflexivity|exact Hin].
  Qed.
End MDP.
