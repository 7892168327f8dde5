(* T4.several.  Several budgets at once: a finite set U(s) of demand vectors, each kept by one
   choice of which every successor has a vector that the step pays for, is a sound certificate.
   Each constraint has its own cost, of any sign, and its own discount gamma_i > 0.  (Such a set
   need not be complete: T4.antichain.) *)
Require Import QArith Qfield Lqa Lia List Qminmax.
From IGTheory Require Import Power.
Import ListNotations.
Open Scope Q_scope.

Section Multi.
  Variables St Act I : Type.
  Variable acts : St -> list Act.
  Variable succ : St -> Act -> list St.
  Variable c : I -> St -> Act -> St -> Q.
  Variable g : I -> Q.
  Hypothesis g_pos : forall i, 0 < g i.

  Definition SafeV s (z : I -> Q) : Prop :=
    exists X : St -> (I -> Q) -> Prop, X s z /\ forall s z, X s z ->
      (forall i, 0 <= z i) /\ exists a, In a (acts s) /\ forall s', In s' (succ s a) ->
        X s' (fun i => (z i - c i s a s') / g i).

  Theorem multi_cert (U : St -> list (I -> Q)) :
    (forall s u, In u (U s) -> (forall i, 0 <= u i) /\ exists a, In a (acts s) /\
       forall s', In s' (succ s a) -> exists u', In u' (U s') /\
         forall i, c i s a s' + g i * u' i <= u i) ->
    forall s z u, In u (U s) -> (forall i, u i <= z i) -> SafeV s z.
  Proof.
    intros HU s z u Hu Hz.
    exists (fun s z => exists u, In u (U s) /\ forall i, u i <= z i). split; [eauto|].
    intros s1 z1 [u1 [H1 L1]]. destruct (HU s1 u1 H1) as [P1 [a [Ha Hs]]]. split.
    - intros i. eapply Qle_trans; [apply P1|apply L1].
    - exists a; split; [exact Ha|]. intros s' Hs'. destruct (Hs s' Hs') as [u' [Hu' Hle]].
      exists u'; split; [exact Hu'|]. intros i. apply div_ge_iff; [apply g_pos|].
      pose proof (Hle i). pose proof (L1 i). lra.
  Qed.

  (* SafeV is what policies can keep: history-dependent, given by their supports *)
  Notation hist := (list (St * Act)).
  Fixpoint zofV (z0 : I -> Q) (h : hist) (s : St) : I -> Q :=
    match h with
    | [] => z0
    | (s1, a1) :: h' => fun i => (zofV z0 h' s1 i - c i s1 a1 s) / g i
    end.
  Inductive reachV (p : hist -> St -> Act -> Prop) (s0 : St) : hist -> St -> Prop :=
  | reachV0 : reachV p s0 [] s0
  | reachVS h s a s' : reachV p s0 h s -> p h s a -> In s' (succ s a) ->
                       reachV p s0 ((s, a) :: h) s'.

  Theorem multi_game s0 z0 : SafeV s0 z0 <-> exists p, forall h s, reachV p s0 h s ->
    (exists a, p h s a) /\ (forall a, p h s a -> In a (acts s)) /\ forall i, 0 <= zofV z0 h s i.
  Proof.
    split.
    - intros [X [H0 HX]].
      set (p := fun h s a => In a (acts s) /\
                  forall s', In s' (succ s a) -> X s' (zofV z0 ((s, a) :: h) s')).
      assert (K : forall h s, reachV p s0 h s -> X s (zofV z0 h s)).
      { intros h s R. induction R as [|h s a s' R IH [Ha Hs] Hin]; [exact H0|apply Hs, Hin]. }
      exists p. intros h s R. apply K in R. destruct (HX s _ R) as [Hz [a [Ha Hs]]].
      split; [exists a; split; assumption|]. split; [intros b [Hb _]; exact Hb|exact Hz].
    - intros [p Hp].
      exists (fun s z => exists h, reachV p s0 h s /\ zofV z0 h s = z).
      split; [exists []; split; [constructor|reflexivity]|].
      intros s z [h [R <-]]. destruct (Hp h s R) as [[a Ha] [Hacts Hz]].
      split; [exact Hz|]. exists a; split; [apply Hacts, Ha|]. intros s' Hs'.
      exists ((s, a) :: h). split; [econstructor; eauto|reflexivity].
  Qed.
End Multi.
