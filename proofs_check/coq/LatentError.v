(* T2.fibre, how much is lost.  The worst case over a fibre, taken as the cost of the latent, asks
   for at most eps / (1 - gamma) more budget than the states need, if costs within a fibre differ
   by at most eps and supports lump.  gamma < 1. *)
Require Import QArith Qfield Lqa Lia List.
From IGTheory Require Import Power Game.
Open Scope Q_scope.

Section Loss.
  Variables St X Act : Type.
  Variable phi : St -> X.
  Variable acts : St -> list Act.
  Variable succ : St -> Act -> list St.
  Variable c : St -> Act -> St -> Q.
  Variable actsX : X -> list Act.
  Variable succX : X -> Act -> list X.
  Variable cX : X -> Act -> X -> Q.
  Variables g eps : Q.
  Hypothesis g_pos : 0 < g.
  Hypothesis g_less : g < 1.
  Hypothesis eps_nonneg : 0 <= eps.
  Hypothesis enabled : forall s a, In a (acts s) -> In a (actsX (phi s)).
  Hypothesis lumped : forall s a x', In a (acts s) -> In x' (succX (phi s) a) ->
    exists s', In s' (succ s a) /\ phi s' = x'.
  Hypothesis spread : forall s a s', In a (acts s) -> In s' (succ s a) ->
    cX (phi s) a (phi s') <= c s a s' + eps.

  Theorem T2_fibre_error s z : Safe St Act acts succ c g s z ->
    Safe X Act actsX succX cX g (phi s) (z + eps / (1 - g)).
  Proof.
    intros H. set (e := eps / (1 - g)).
    assert (He : 0 <= e) by (unfold e; apply Qle_shift_div_l; lra).
    assert (Ee : eps + g * e == e) by (unfold e; field; lra).
    exists (fun x y => exists s z, phi s = x /\ Safe St Act acts succ c g s z /\ z + e <= y).
    split; [exists s, z; repeat split; [exact H|lra]|].
    clear s z H. intros x y [s [z [<- [Hs Hy]]]].
    apply Safe_unfold in Hs. destruct Hs as [Hz [a [Ha Hn]]].
    split; [lra|]. exists a. split; [apply enabled, Ha|]. intros x' Hx'.
    destruct (lumped s a x' Ha Hx') as [s' [Hin <-]].
    exists s', (znext St Act c g z s a s'). repeat split; [apply Hn, Hin|].
    apply (znext_ge X Act cX g g_pos). pose proof (spread s a s' Ha Hin).
    assert (E : g * znext St Act c g z s a s' == z - c s a s') by (unfold znext; field; lra).
    assert (g * (znext St Act c g z s a s' + e) == z - c s a s' + g * e)
      by (rewrite Qmult_plus_distr_r, E; reflexivity).
    lra.
  Qed.
End Loss.
