(* T3.down, T3.up, T3.gap.  The game with every budget rounded: rounding down is sound, rounding up
   is complete, and for gamma < 1 rounding down by at most h costs at most gamma h / (1 - gamma)
   of a certified budget. *)
Require Import QArith Qfield Lqa Lia List Qminmax.
From IGTheory Require Import Power Game SafetyCertificate.
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
  Notation cert := (cert St Act acts succ c g).
  Notation memoryless := (memoryless St Act).

  (* ---------- T3: rounded safety games ---------- *)
  Section Rounded.
    Variable rd : Q -> Q.
    Definition step_rd (X : St -> Q -> Prop) s z : Prop :=
      0 <= z /\ exists a, In a (acts s) /\ forall s', In s' (succ s a) -> X s' (rd (znext z s a s')).
    Definition SafeRd s z : Prop :=
      exists X : St -> Q -> Prop, X s z /\ forall s z, X s z -> step_rd X s z.

    Lemma SafeRd_unfold s z : SafeRd s z -> step_rd SafeRd s z.
    Proof.
      intros [X [HX HS]]. destruct (HS s z HX) as [Hz [a [Ha Hs]]].
      split; [exact Hz|]. exists a; split; [exact Ha|]. intros s' H. exists X; auto.
    Qed.

    Theorem T3_down : (forall x, rd x <= x) ->
      forall s z y, SafeRd s z -> z <= y -> Safe s y.
    Proof.
      intros Hrd s z y H Hy.
      exists (fun s y => exists z, SafeRd s z /\ z <= y). split; [eauto|].
      intros s1 y1 [z1 [H1 L1]]. apply SafeRd_unfold in H1. destruct H1 as [Hz [a [Ha Hs]]].
      split; [lra|]. exists a; split; [exact Ha|]. intros s' Hs'.
      exists (rd (znext z1 s1 a s')). split; [auto|].
      eapply Qle_trans; [apply Hrd|]. apply div_le_mono; [exact g_pos|lra].
    Qed.

    Theorem T3_up : (forall x, x <= rd x) -> (forall x y, x <= y -> rd x <= rd y) ->
      forall s z y, Safe s z -> z <= y -> SafeRd s y.
    Proof.
      intros Hrd Hm s z y H Hy.
      exists (fun s y => exists z, Safe s z /\ z <= y). split; [eauto|].
      intros s1 y1 [z1 [H1 L1]]. apply Safe_unfold in H1. destruct H1 as [Hz [a [Ha Hs]]].
      split; [lra|]. exists a; split; [exact Ha|]. intros s' Hs'.
      exists (znext z1 s1 a s'). split; [auto|].
      eapply Qle_trans; [|apply Hrd]. apply div_le_mono; [exact g_pos|lra].
    Qed.

    (* gap: D + g h/(1-g) suffices for the rounded-down game *)
    Theorem T3_gap (D : St -> option Q) pol h : g < 1 -> 0 <= h ->
      (forall x, x - h <= rd x) -> cert D pol ->
      forall s z d, D s = Some d -> d + g * h / (1 - g) <= z -> SafeRd s z.
    Proof.
      intros Hg Hh Hrd HC s z d Hd Hz.
      set (e := g * h / (1 - g)).
      assert (He0 : 0 <= e).
      { unfold e. apply Qle_shift_div_l; [lra|].
        assert (0 <= g * h) by (apply Qmult_le_0_compat; lra). lra. }
      assert (Ee : g * h + g * e == e) by (unfold e; field; lra).
      exists (fun s z => exists d, D s = Some d /\ d + e <= z). split; [eauto|].
      intros s1 z1 [d1 [Hd1 Hz1]]. destruct (HC s1 d1 Hd1) as [P1 [P2 P3]].
      split; [lra|]. exists (pol s1); split; [exact P2|]. intros s' Hs'.
      destruct (P3 s' Hs') as [d' [Hd' Hle]]. exists d'; split; [exact Hd'|].
      eapply Qle_trans; [|apply Hrd].
      assert (d' + e + h <= znext z1 s1 (pol s1) s').
      { apply znext_ge. setoid_replace (g * (d' + e + h)) with (g * d' + (g * h + g * e)) by ring.
        rewrite Ee. lra. }
      lra.
    Qed.
  End Rounded.
End MDP.
