(* T4.impossibility and T4.ranking.  For gamma < 1 a bounded L with a branch L <= c + gamma L(s') for
   every choice shows that a safe pair has z >= L(s); for gamma = 1 it must come with a rank that
   falls unless the step pays.  With T4.safety: the demand exactly (L2_exact). *)
Require Import QArith Qfield Lqa Lia List Qminmax.
From IGTheory Require Import Power Game Demand SafetyCertificate.
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
  Notation W := (W St Act acts succ c g).
  Notation T := (T St Act acts succ c g).
  Notation Dn := (Dn St Act acts succ c g).
  Notation W_Dn := (W_Dn St Act acts succ c g g_pos).
  Notation W_anti_le := (W_anti_le St Act acts succ c g).
  Notation L2_necessary := (L2_necessary St Act acts succ c g g_pos).
  Notation cert := (cert St Act acts succ c g).
  Notation memoryless := (memoryless St Act).
  Notation T4_cert := (T4_cert St Act acts succ c g g_pos).

  (* lower certificate, discounted case: unavoidable demand *)
  Definition lcert (L : St -> Q) : Prop :=
    forall s a, In a (acts s) -> exists s', In s' (succ s a) /\ L s <= c s a s' + g * L s'.

  Lemma lcert_W L M : lcert L -> 0 <= M -> (forall s, L s <= M) ->
    forall n s z, W n s z -> L s - qpow g n * M <= z.
  Proof.
    intros HL HM HB. induction n; intros s z HW; simpl in *.
    - pose proof (HB s). lra.
    - destruct HW as [Hz [a [Ha Hs]]]. destruct (HL s a Ha) as [s' [Hin Hle]].
      specialize (IHn s' _ (Hs s' Hin)). apply znext_ge in IHn.
      setoid_replace (g * qpow g n * M) with (g * (qpow g n * M)) by ring. lra.
  Qed.
  Theorem T4_lower L M : g < 1 -> lcert L -> (forall s, L s <= M) ->
    forall s z, Safe s z -> L s <= z.
  Proof.
    intros Hg HL HB s z H.
    destruct (Qlt_le_dec z (L s)) as [N|]; [exfalso|assumption].
    set (M' := Qmax M 0).
    assert (HB' : forall s, L s <= M').
    { intros t. eapply Qle_trans; [apply HB|]. apply Q.le_max_l. }
    destruct (qpow_small g g_pos M' (L s - z) Hg (Q.le_max_r _ _)) as [n Hn]; [lra|].
    assert (HW : W n s z) by (apply W_Dn, L2_necessary, H).
    pose proof (lcert_W L M' HL (Q.le_max_r _ _) HB' n s z HW). lra.
  Qed.

  (* lower certificate valid also for g = 1: a rank forces progress *)
  Definition lcert_rank (L : St -> Q) (rk : St -> nat) (delta : Q) : Prop :=
    forall s a, In a (acts s) -> L s <= 0 \/
      exists s', In s' (succ s a) /\ 0 <= c s a s' /\ L s <= c s a s' + g * L s' /\
                 (delta <= c s a s' \/ (rk s' < rk s)%nat).

  Lemma lcert_rank_W L rk delta R : g == 1 -> 0 < delta ->
    lcert_rank L rk delta -> (forall s, (rk s <= R)%nat) ->
    forall k j s z, (rk s <= j)%nat -> z < inject_Z (Z.of_nat k) * delta ->
      W (k * S R + j) s z -> L s <= z.
  Proof.
    intros Hg Hd HL HR. induction k as [|k IHk].
    - intros j s z _ Hz HW. exfalso.
      assert (0 <= z) by (destruct (0 * S R + j)%nat; [exact HW|apply HW]).
      change (inject_Z (Z.of_nat 0)) with 0 in Hz. lra.
    - induction j as [|j IHj]; intros s z Hj Hz HW.
      + (* rank 0: next step must pay at least delta *)
        replace (S k * S R + 0)%nat with (S (k * S R + R)) in HW by lia.
        destruct HW as [H0 [a [Ha Hs]]].
        destruct (HL s a Ha) as [|[s' [Hin [Hc [Hle [Hdl|Hrk]]]]]]; [lra| |lia].
        assert (HL' : L s' <= znext z s a s').
        { apply (IHk R); [apply HR| |apply Hs, Hin].
          unfold znext. rewrite Hg.
          rewrite Nat2Z.inj_succ, <- Z.add_1_r, inject_Z_plus in Hz.
          change (inject_Z 1) with 1 in Hz.
          setoid_replace ((z - c s a s') / 1) with (z - c s a s') by field. lra. }
        apply znext_ge in HL'. lra.
      + replace (S k * S R + S j)%nat with (S (S k * S R + j)) in HW by lia.
        destruct HW as [H0 [a [Ha Hs]]].
        destruct (HL s a Ha) as [|[s' [Hin [Hc [Hle Hpr]]]]]; [lra|].
        assert (Z1 : znext z s a s' == z - c s a s')
          by (unfold znext; rewrite Hg; field).
        assert (HL' : L s' <= znext z s a s').
        { destruct Hpr as [Hdl|Hrk].
          - apply (IHk R); [apply HR| |].
            + rewrite Z1. rewrite Nat2Z.inj_succ, <- Z.add_1_r, inject_Z_plus in Hz.
              change (inject_Z 1) with 1 in Hz. lra.
            + apply (W_anti_le _ (S k * S R + j)); [lia|apply Hs, Hin].
          - apply IHj; [lia| |apply Hs, Hin]. rewrite Z1. lra. }
        apply znext_ge in HL'. lra.
  Qed.

  Theorem T4_lower_rank L rk delta R : g == 1 -> 0 < delta ->
    lcert_rank L rk delta -> (forall s, (rk s <= R)%nat) ->
    forall s z, Safe s z -> L s <= z.
  Proof.
    intros Hg Hd HL HR s z H.
    destruct (Qarchimedean (z / delta)) as [p Hp].
    assert (Hz : z < inject_Z (Z.of_nat (Pos.to_nat p)) * delta).
    { rewrite positive_nat_Z. change (inject_Z (Z.pos p)) with (Z.pos p # 1).
      setoid_replace z with (z / delta * delta) by (field; lra).
      apply Qmult_lt_r; assumption. }
    apply (lcert_rank_W L rk delta R Hg Hd HL HR (Pos.to_nat p) R s z (HR s) Hz).
    apply W_Dn, L2_necessary, H.
  Qed.

  (* exact characterisation for g < 1 from a two-sided certificate *)
  Theorem L2_exact (D : St -> Q) pol M : g < 1 ->
    cert (fun s => Some (D s)) pol -> lcert D -> (forall s, D s <= M) ->
    forall s z, Safe s z <-> D s <= z.
  Proof.
    intros Hg HC HL HB s z; split.
    - apply (T4_lower D M Hg HL HB).
    - intros H. apply L2_gfp. exists (memoryless pol). eapply T4_cert; eauto.
  Qed.

End MDP.
