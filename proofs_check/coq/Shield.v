(* L3.  The shield at (s, z) holds the choices all of whose successors stay in the safe set.
   L3.safe: every policy inside it keeps the budget.  L3.permissive: every policy that keeps the
   budget is inside it at every reachable pair.  Policies are history-dependent and randomised,
   given by their supports; costs of any sign; gamma > 0. *)
Require Import QArith Qfield Lqa Lia List Qminmax.
From IGTheory Require Import Power Game Demand WeightedSum Probability.
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

  (* shield of a certificate: any policy, randomised and history-dependent, that only ever
     supports actions keeping D(s') <= z' is safe *)
  Theorem T4_shield (D : St -> option Q) (p : policy) s0 z0 :
    (forall s d, D s = Some d -> 0 <= d) ->
    ole (D s0) z0 ->
    (forall h s, reach p s0 h s -> exists a, p h s a) ->
    (forall h s a, p h s a -> In a (acts s) /\
        forall s', In s' (succ s a) -> ole (D s') (znext (zof z0 h s) s a s')) ->
    surely_safe p s0 z0.
  Proof.
    intros Hpos H0 Hne Hp.
    assert (K : forall h s, reach p s0 h s -> ole (D s) (zof z0 h s)).
    { intros h s R. induction R; [exact H0|]. simpl. eapply Hp; eauto. }
    intros h s R. repeat split; [apply Hne, R | intros a Ha; apply (Hp h s a Ha) |].
    apply K in R. destruct (D s) as [d|] eqn:E; [|destruct R].
    simpl in R. pose proof (Hpos s d E). lra.
  Qed.

  Definition allowed s z a : Prop :=
    In a (acts s) /\ forall s', In s' (succ s a) -> Safe s' (znext z s a s').

  (* p has a choice wherever it gets, and only choices of the shield *)
  Definition inside (p : policy) s0 z0 : Prop := forall h s, reach p s0 h s ->
    (exists a, p h s a) /\ forall a, p h s a -> allowed s (zof z0 h s) a.

  (* the shield is empty exactly outside the safe set *)
  Theorem L3_nonempty s z : Safe s z <-> 0 <= z /\ exists a, allowed s z a.
  Proof.
    rewrite Safe_unfold. split.
    - intros [Hz [a [Ha Hs]]]. split; [exact Hz|]. exists a; split; assumption.
    - intros [Hz [a [Ha Hs]]]. split; [exact Hz|]. exists a; auto.
  Qed.

  Theorem L3_safe (p : policy) s0 z0 : Safe s0 z0 -> inside p s0 z0 -> surely_safe p s0 z0.
  Proof.
    intros H0 Hp.
    assert (K : forall h s, reach p s0 h s -> Safe s (zof z0 h s)).
    { intros h s R. induction R as [|h s a s' R IH Ha Hin]; [exact H0|].
      simpl. apply (proj2 (Hp h s R) a Ha), Hin. }
    intros h s R. destruct (Hp h s R) as [Hne Ha]. repeat split; [exact Hne| |].
    - intros a H. apply (Ha a H).
    - pose proof (K h s R) as S. apply Safe_unfold in S. apply S.
  Qed.

  Lemma safe_along (p : policy) s0 z0 : surely_safe p s0 z0 ->
    forall h s, reach p s0 h s -> Safe s (zof z0 h s).
  Proof.
    intros Hp h s R. exists (fun s z => exists h, reach p s0 h s /\ zof z0 h s = z).
    split; [exists h; auto|]. clear h s R. intros s z [h [R <-]].
    destruct (Hp h s R) as [[a Ha] [Hacts Hz]]. split; [exact Hz|].
    exists a; split; [apply Hacts, Ha|]. intros s' Hs'.
    exists ((s, a) :: h). split; [econstructor; eauto|reflexivity].
  Qed.

  Theorem L3_permissive (p : policy) s0 z0 : surely_safe p s0 z0 -> inside p s0 z0.
  Proof.
    intros Hp h s R. destruct (Hp h s R) as [Hne [Hacts _]]. split; [exact Hne|].
    intros a Ha. split; [apply Hacts, Ha|]. intros s' Hs'.
    apply (safe_along p s0 z0 Hp ((s, a) :: h) s'). econstructor; eauto.
  Qed.

  (* both: from a pair of the safe set, keeping the budget means staying inside the shield *)
  Theorem L3_exactly (p : policy) s0 z0 :
    surely_safe p s0 z0 <-> Safe s0 z0 /\ inside p s0 z0.
  Proof.
    split; [|intros [H0 Hp]; apply L3_safe; assumption].
    intros Hp. split; [|apply L3_permissive, Hp].
    apply (safe_along p s0 z0 Hp [] s0). constructor.
  Qed.

  (* in terms of the demand: allowed means c + gamma D(s') <= z on every support edge *)
  Theorem L3_demand (D : St -> option Q) : (forall s z, Safe s z <-> ole (D s) z) ->
    forall s z a, allowed s z a <-> In a (acts s) /\
      forall s', In s' (succ s a) -> exists d, D s' = Some d /\ c s a s' + g * d <= z.
  Proof.
    intros HD s z a. split; intros [Ha Hs]; (split; [exact Ha|]); intros s' Hs'.
    - specialize (Hs s' Hs'). apply HD in Hs. destruct (D s') as [d|]; [|destruct Hs].
      exists d; split; [reflexivity|]. apply znext_ge, Hs.
    - destruct (Hs s' Hs') as [d [Ed Hd]]. apply HD. rewrite Ed. apply znext_ge, Hd.
  Qed.

  (* in terms of probabilities: a randomised policy violates with probability 0 within every
     horizon exactly if it starts in the safe set and its support stays inside the shield *)
  Theorem L3_probability (P : St -> Act -> list (St * Q)) (r : rpolicy St Act) s0 z0 :
    (forall s a s' q, In (s', q) (P s a) -> 0 < q) ->
    (forall s a s', In s' (succ s a) <-> exists q, In (s', q) (P s a)) ->
    rvalid St Act acts r ->
    (forall n, viol St Act c g P r n [] s0 z0 == 0) <->
    Safe s0 z0 /\ inside (psupp St Act r) s0 z0.
  Proof.
    intros HP HS Hr. rewrite <- L3_exactly.
    assert (r_pos : forall h s a w, In (a, w) (r h s) -> 0 < w)
      by (intros h s a w Hin; apply (proj1 (Hr h s)) in Hin; tauto).
    rewrite (prob_zero_iff St Act succ c g P HP HS r r_pos s0 z0). split.
    - intros H h s R. repeat split; [| |apply H, R].
      + destruct (Hr h s) as [_ E]. destruct (r h s) as [|[a w] l] eqn:El.
        * simpl in E. lra.
        * exists a, w. rewrite El. left; reflexivity.
      + intros a [w Hw]. apply (proj1 (Hr h s)) in Hw. tauto.
    - intros H h s R. apply (H h s R).
  Qed.
End MDP.
