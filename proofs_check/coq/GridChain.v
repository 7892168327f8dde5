(* T3.sharp.  A chain of n steps on which rounding down to integers (grid step 1) costs
   (1 - delta) (1 + gamma + ... + gamma^(n-1)) of the budget, for every delta in (0, 1]: the bound
   of T3.gap cannot be improved.  0 < gamma <= 1. *)
Require Import QArith Qfield Lqa Lia List Qround.
From IGTheory Require Import Power Game Demand Grid GridHorizon.
Import ListNotations.
Open Scope Q_scope.

Section Chain.
  Variables g delta : Q.
  Hypothesis g_pos : 0 < g.
  Hypothesis g_le : g <= 1.
  Hypothesis delta_pos : 0 < delta.
  Hypothesis delta_le : delta <= 1.

  Definition num (n : nat) : Q := inject_Z (Z.of_nat n).
  (* states are steps to go; the step from n+1 to n costs n (1 - gamma) + delta *)
  Definition chain_acts (_ : nat) : list unit := [tt].
  Definition chain_succ (n : nat) (_ : unit) : list nat := [pred n].
  Definition chain_cost (n : nat) (_ : unit) (_ : nat) : Q :=
    match n with O => 0 | S n => num n * (1 - g) + delta end.
  Definition integer (x : Q) : Q := down 1 x.

  Notation W := (W nat unit chain_acts chain_succ chain_cost g).
  Notation Wrd := (Wrd nat unit chain_acts chain_succ chain_cost g integer).

  Fixpoint need (n : nat) : Q :=
    match n with O => 0 | S n => chain_cost (S n) tt n + g * need n end.

  Lemma num_S n : num (S n) == num n + 1.
  Proof. unfold num. rewrite Nat2Z.inj_succ, <- Z.add_1_r, inject_Z_plus. reflexivity. Qed.
  Lemma num_nonneg n : 0 <= num n.
  Proof. unfold num. change 0 with (inject_Z 0). rewrite <- Zle_Qle. lia. Qed.

  Theorem T3_chain_cost_nonneg n s' : 0 <= chain_cost n tt s'.
  Proof.
    destruct n as [|n]; [apply Qle_refl|]. unfold chain_cost.
    assert (0 <= num n * (1 - g)) by (apply Qmult_le_0_compat; [apply num_nonneg|lra]). lra.
  Qed.

  Lemma need_nonneg n : 0 <= need n.
  Proof.
    induction n; [apply Qle_refl|].
    change (need (S n)) with (chain_cost (S n) tt n + g * need n). pose proof (T3_chain_cost_nonneg (S n) n).
    assert (0 <= g * need n) by (apply Qmult_le_0_compat; lra). lra.
  Qed.

  (* without rounding, need n is enough and no less is *)
  Theorem T3_chain_exact n : forall z, W n n z <-> need n <= z.
  Proof.
    induction n; intros z; [simpl; tauto|]. split.
    - intros [_ [[] [_ Hs]]]. specialize (Hs n (or_introl eq_refl)). apply IHn in Hs.
      apply (znext_ge nat unit chain_cost g g_pos) in Hs. exact Hs.
    - intros H. pose proof (need_nonneg (S n)). split; [lra|].
      exists tt. split; [left; reflexivity|]. intros s' [<-|[]]. apply IHn.
      apply (znext_ge nat unit chain_cost g g_pos). exact H.
  Qed.

  (* with rounding, an integer budget is enough exactly from n on *)
  Theorem T3_chain_rounded n : forall k : Z, Wrd n n (inject_Z k) <-> (Z.of_nat n <= k)%Z.
  Proof.
    induction n; intros k.
    - simpl. change 0 with (inject_Z 0). rewrite <- Zle_Qle. reflexivity.
    - set (x := znext nat unit chain_cost g (inject_Z k) (S n) tt n).
      assert (I : integer x = inject_Z (Qfloor (x / 1))).
      { unfold integer, down. generalize (Qfloor (x / 1)). intros [|q|q]; reflexivity. }
      assert (F : Wrd n n (integer x) <-> (Z.of_nat n <= Qfloor (x / 1))%Z).
      { rewrite <- IHn, I. reflexivity. }
      assert (B : (Z.of_nat n <= Qfloor (x / 1))%Z <-> num n <= x).
      { split; intros H.
        - rewrite Zle_Qle in H. unfold num. eapply Qle_trans; [exact H|].
          setoid_replace x with (x / 1) at 2 by field. apply Qfloor_le.
        - rewrite <- (Qfloor_Z (Z.of_nat n)). apply Qfloor_resp_le.
          setoid_replace (x / 1) with x by field. exact H. }
      assert (C : num n <= x <-> (Z.of_nat (S n) <= k)%Z).
      { unfold x. rewrite (znext_ge nat unit chain_cost g g_pos). simpl chain_cost.
        assert (E : num n * (1 - g) + delta + g * num n == num n + delta) by ring.
        rewrite E. rewrite Nat2Z.inj_succ. split; intros H.
        - assert (L : num n < inject_Z k) by lra. unfold num in L. rewrite <- Zlt_Qlt in L. lia.
        - assert (L : (Z.of_nat n + 1 <= k)%Z) by lia. rewrite Zle_Qle, inject_Z_plus in L.
          change (inject_Z 1) with 1 in L. unfold num. lra. }
      rewrite <- C, <- B, <- F. split.
      + intros [_ [[] [_ Hs]]]. exact (Hs n (or_introl eq_refl)).
      + intros H. split.
        * apply F, B, C in H. change 0 with (inject_Z 0). rewrite <- Zle_Qle. lia.
        * exists tt. split; [left; reflexivity|]. intros s' [<-|[]]. exact H.
  Qed.

  Theorem T3_sharp n : num n - need n == (1 - delta) * geo g n.
  Proof.
    induction n; simpl need; simpl geo; [unfold num; simpl; ring|].
    rewrite num_S. simpl chain_cost.
    setoid_replace ((1 - delta) * (1 + g * geo g n))
      with (1 - delta + g * ((1 - delta) * geo g n)) by ring.
    rewrite <- IHn. ring.
  Qed.
End Chain.
