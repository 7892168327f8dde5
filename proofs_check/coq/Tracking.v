(* T2.error.  The tracker is fed costs c' instead of the true costs c, with c <= c' + eps.
   A reserve of the budget makes up for it: eps / (1 - gamma), or eps (1 + ... + gamma^(T-1))
   over T steps.  Costs of any sign. *)
Require Import QArith Qfield Lqa Lia List.
From IGTheory Require Import Power Budget Game.
Import ListNotations.
Open Scope Q_scope.

Section Error.
  Variables St Act : Type.
  Variable acts : St -> list Act.
  Variable succ : St -> Act -> list St.
  Variables c c' : St -> Act -> St -> Q.
  Variables g eps : Q.
  Hypothesis g_pos : 0 < g.
  Hypothesis g_less : g < 1.
  Hypothesis eps_nonneg : 0 <= eps.
  Hypothesis close : forall s a s', c s a s' <= c' s a s' + eps.

  Definition reserve : Q := eps / (1 - g).

  Lemma reserve_eq : eps + g * reserve == reserve.
  Proof. unfold reserve. field. lra. Qed.
  Lemma reserve_nonneg : 0 <= reserve.
  Proof. unfold reserve. apply Qle_shift_div_l; lra. Qed.

  (* the tracked budget stays at least the reserve below the true one *)
  Theorem T2_error_path z0 h s :
    zof St Act c' g (z0 - reserve) h s + reserve <= zof St Act c g z0 h s.
  Proof.
    revert s. induction h as [|[s1 a1] h IH]; intros s; simpl; [lra|].
    apply (znext_ge St Act c g g_pos). specialize (IH s1).
    set (y := zof St Act c' g (z0 - reserve) h s1) in *.
    assert (E : g * znext St Act c' g y s1 a1 s == y - c' s1 a1 s)
      by (unfold znext; field; lra).
    pose proof (close s1 a1 s). pose proof reserve_eq.
    assert (g * (znext St Act c' g y s1 a1 s + reserve) == y - c' s1 a1 s + g * reserve)
      by (rewrite Qmult_plus_distr_r, E; reflexivity).
    lra.
  Qed.

  (* T2.error: a policy that keeps the tracked budget, the reserve left out, keeps the true one *)
  Theorem T2_error (p : policy St Act) s0 z0 :
    surely_safe St Act acts succ c' g p s0 (z0 - reserve) -> surely_safe St Act acts succ c g p s0 z0.
  Proof.
    intros H h s R. destruct (H h s R) as [A [B C]]. repeat split; [exact A|exact B|].
    pose proof (T2_error_path z0 h s). pose proof reserve_nonneg. lra.
  Qed.
End Error.

(* along one path, over any horizon and for any gamma > 0, 1 included *)
Section Path.
  Variables (g eps d r : Q) (c c' : nat -> Q).
  Hypothesis g_pos : 0 < g.
  Hypothesis close : forall t, c t <= c' t + eps.

  Fixpoint powers (t : nat) : Q := match t with O => 0 | S t => powers t + qpow g t end.

  Lemma csum_close t : csum g c t <= csum g c' t + eps * powers t.
  Proof.
    induction t; simpl; [lra|]. pose proof (close t). pose proof (qpow_pos g t g_pos).
    assert (qpow g t * c t <= qpow g t * (c' t + eps)) by (apply Qmult_le_l; assumption). lra.
  Qed.

  Theorem T2_error_horizon t :
    eps * powers t <= r -> 0 <= z g (d - r) c' t -> 0 <= z g d c t.
  Proof.
    intros Hr H. apply L1_sign in H; [|exact g_pos]. apply L1_sign; [exact g_pos|].
    pose proof (csum_close t). lra.
  Qed.
End Path.
