(* L1.clip.  Clipping the tracker at m changes no sign if m >= c + gamma m for every cost c that
   can come, for example m = c_max / (1 - gamma). *)
Require Import QArith Qfield Lqa Lia.
From IGTheory Require Import Budget.
Open Scope Q_scope.

(* clipping at m with m >= c_max + gamma m  (e.g. m = c_max/(1-gamma)) is sign-exact *)
Section Clip.
  Variables (g d m : Q) (c : nat -> Q).
  Hypothesis g_pos : 0 < g.
  Hypothesis m_nonneg : 0 <= m.
  Hypothesis m_big : forall t, c t + g * m <= m.
  Definition qmin (a b : Q) := if Qlt_le_dec a b then a else b.
  Fixpoint zc (t : nat) : Q :=
    match t with O => qmin m d | S t => qmin m ((zc t - c t) / g) end.

  Lemma clip_inv t : zc t == z g d c t \/ (m <= z g d c t /\ zc t == m).
  Proof.
    induction t; simpl; unfold qmin.
    - destruct (Qlt_le_dec m d); [right; split; lra| left; reflexivity].
    - destruct IHt as [E | [Hm E]].
      + assert (E2 : (zc t - c t) / g == (z g d c t - c t) / g)
          by (rewrite E; reflexivity).
        destruct (Qlt_le_dec m ((zc t - c t) / g)) as [L|L].
        * right; split; [rewrite <- E2; apply Qlt_le_weak; exact L|reflexivity].
        * left; exact E2.
      + assert (A : m <= (zc t - c t) / g).
        { apply div_ge_iff; [assumption|]. pose proof (m_big t). lra. }
        assert (B : m <= (z g d c t - c t) / g).
        { apply div_ge_iff; [assumption|]. pose proof (m_big t). lra. }
        right; split; [exact B|].
        destruct (Qlt_le_dec m ((zc t - c t) / g)) as [L|L];
          [reflexivity | apply Qle_antisym; assumption].
  Qed.

  Theorem clip_exact t : 0 <= zc t <-> 0 <= z g d c t.
  Proof. destruct (clip_inv t) as [E|[A B]]; split; intros; lra. Qed.
End Clip.
