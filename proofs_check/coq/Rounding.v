(* T3.path.  Rounding every budget down by at most h along a path: the rounded budget is never
   above the true one, and gamma^t times their difference is at most h (1 + ... + gamma^t). *)
Require Import QArith Qfield Lqa Lia.
From IGTheory Require Import Budget.
Open Scope Q_scope.

(* T3, path form: monotone maps f_t, rounding each step down / up *)
Section Rounding.
  Variables (g d : Q) (c : nat -> Q) (h : Q) (rd : Q -> Q).
  Hypothesis g_pos : 0 < g.
  Hypothesis h_nonneg : 0 <= h.
  Hypothesis rd_le : forall x, rd x <= x.
  Hypothesis rd_ge : forall x, x - h <= rd x.

  Fixpoint zr (t : nat) : Q :=
    match t with O => rd d | S t => rd ((zr t - c t) / g) end.
  Fixpoint geo (t : nat) : Q :=            (* h * sum_{k=0..t} g^k, scaled *)
    match t with O => h | S t => geo t + qpow g (S t) * h end.

  Theorem T3_path_sound t : zr t <= z g d c t.
  Proof.
    induction t; simpl; [apply rd_le|].
    eapply Qle_trans; [apply rd_le|]. apply div_le_mono; [assumption|]. lra.
  Qed.

  (* scaled error: gamma^t (z_t - zr_t) <= h (1 + g + ... + g^t) *)
  Theorem T3_path_gap t : qpow g t * (z g d c t - zr t) <= geo t.
  Proof.
    induction t.
    - simpl. pose proof (rd_ge d). lra.
    - simpl geo. simpl z. simpl zr.
      set (y := (zr t - c t) / g) in *.
      pose proof (rd_ge y). pose proof (qpow_pos g (S t) g_pos) as P.
      assert (E1 : qpow g (S t) * ((z g d c t - c t) / g - rd y)
               <= qpow g (S t) * ((z g d c t - c t) / g - y + h)).
      { apply Qmult_le_l; [assumption|]. lra. }
      assert (E2 : qpow g (S t) * ((z g d c t - c t) / g - y + h)
               == qpow g t * (z g d c t - zr t) + qpow g (S t) * h).
      { unfold y; simpl; field; lra. }
      eapply Qle_trans; [exact E1|]. rewrite E2. simpl. simpl in IHt. lra.
  Qed.
End Rounding.
