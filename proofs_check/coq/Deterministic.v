(* L2.deterministic and L2.probability.  Randomness and history add nothing: if any policy keeps
   the budget, then a deterministic one does whose choice depends on the state and the budget
   alone.  Finite supports, positive probabilities, costs of any sign, gamma > 0. *)
Require Import QArith Qfield Lqa Lia List.
From IGTheory Require Import Power Game WeightedSum Probability.
Require Import Classical ClassicalEpsilon.
Import ListNotations.
Open Scope Q_scope.

Section MDP.
  Variables St Act : Type.
  Variable acts : St -> list Act.
  Variable succ : St -> Act -> list St.
  Variable c : St -> Act -> St -> Q.
  Variable g : Q.
  Hypothesis g_pos : 0 < g.
  Notation zof := (zof St Act c g).
  Notation Safe := (Safe St Act acts succ c g).
  Notation surely_safe := (surely_safe St Act acts succ c g).

  Definition markov (f : St -> Q -> Act) (z0 : Q) : policy St Act :=
    fun h s a => a = f s (zof z0 h s).

  Variable a0 : St -> Act.
  Hypothesis a0_ok : forall s, In (a0 s) (acts s).

  (* one choice function serves every start at once *)
  Theorem L2_deterministic : exists f : St -> Q -> Act, (forall s z, In (f s z) (acts s)) /\
    forall s0 z0, (exists p, surely_safe p s0 z0) -> surely_safe (markov f z0) s0 z0.
  Proof.
    assert (F : forall s z, exists a, In a (acts s) /\ (Safe s z ->
       forall s', In s' (succ s a) -> Safe s' (znext St Act c g z s a s'))).
    { intros s z. destruct (classic (Safe s z)) as [Y|N].
      - pose proof Y as Y2. apply Safe_unfold in Y2. destruct Y2 as [_ [a [Ha Hs]]]. exists a; auto.
      - exists (a0 s). split; [apply a0_ok|]. intros; contradiction. }
    exists (fun s z => proj1_sig (constructive_indefinite_description _ (F s z))).
    split; [intros s z; destruct (constructive_indefinite_description _ (F s z)); simpl; tauto|].
    intros s0 z0 H0. apply L2_gfp in H0.
    set (f := fun s z => proj1_sig (constructive_indefinite_description _ (F s z))).
    assert (K : forall h s, reach St Act succ (markov f z0) s0 h s -> Safe s (zof z0 h s)).
    { intros h s R. induction R as [|h s a s' R IH Ha Hin]; [exact H0|]. unfold markov in Ha.
      subst a. simpl. unfold f in *.
      destruct (constructive_indefinite_description _ (F s (zof z0 h s))) as [b [Hb Hs]].
      simpl in *. apply Hs; assumption. }
    intros h s R. apply K in R. apply Safe_unfold in R. repeat split.
    - exists (f s (zof z0 h s)). reflexivity.
    - intros a ->. unfold f.
      destruct (constructive_indefinite_description _ (F s (zof z0 h s))) as [b [Hb Hs]]. exact Hb.
    - apply R.
  Qed.

  (* L2.probability: some randomised history-dependent policy has violation probability 0 within
     every horizon exactly on the safe set *)
  Theorem L2_probability (P : St -> Act -> list (St * Q)) :
    (forall s a s' q, In (s', q) (P s a) -> 0 < q) ->
    (forall s a s', In s' (succ s a) <-> exists q, In (s', q) (P s a)) ->
    forall s0 z0, Safe s0 z0 <->
      exists r, rvalid St Act acts r /\ forall n, viol St Act c g P r n [] s0 z0 == 0.
  Proof.
    intros HP HS s0 z0. split.
    - intros H. destruct (L2_prob_sufficient St Act acts succ c g P HP HS a0 a0_ok s0 z0 H)
        as [f [Hf Hv]].
      exists (fun h s => [(f s (zof z0 h s), 1)]). split; [|exact Hv].
      intros h s. split; [|simpl; lra]. intros a w [E|[]]. inversion E; subst.
      split; [lra|apply Hf].
    - intros [r [Hr Hv]].
      exact (L2_prob_necessary St Act acts succ c g P HP HS r s0 z0 Hr Hv).
  Qed.
End MDP.
