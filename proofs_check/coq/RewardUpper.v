(* The upper bound of an accepted reward certificate: no policy that surely keeps its budgets
   earns more. *)
Require Import ZArith QArith Lia Lqa List Bool FMapPositive.
From IGTheory Require Import Power Game WeightedSum Probability Reward FiniteGame PairsChecker.
From IGTheory Require Import RewardChecker RewardColumns RewardRows RewardLower.
Import ListNotations.
Open Scope Q_scope.

Section Sem.
  Variables (bs : list (bound * rounding)) (beta : Q) (K : positive) (us ls : bool).
  Variables (game : list place) (stakes : list (list stake)) (rows : list rrow).
  Variable starts : list (positive * option positive).
  Notation G := (table_of game).
  Notation R := (table_of rows).
  Notation at_ := (PairsChecker.at_ game).
  Notation known := (PairsChecker.known game).
  Notation reach := (reach positive nat (succ at_)).
  Notation history := (list (positive * nat)).
  Hypothesis ok : check_reward bs beta K us ls game stakes rows starts = true.
  Notation stake_at := (RewardRows.stake_at stakes).
  Notation P := (RewardRows.P game stakes).
  Notation rew := (RewardRows.rew game stakes).
  Notation valid := (RewardRows.valid game).
  Notation matches := (RewardRows.matches bs game).
  Notation parts := (RewardRows.parts bs beta K us ls game stakes rows starts ok).
  Notation same_sign := (RewardRows.same_sign bs beta K us ls game stakes rows starts ok).
  Notation leads_to := (RewardRows.leads_to bs game rows).
  Notation row_facts := (RewardRows.row_facts bs beta K us ls game stakes rows starts ok).
  Notation choice_facts := (RewardRows.choice_facts bs beta K us ls game stakes rows starts ok).
  Notation after_spec := (RewardRows.after_spec bs beta K us ls game stakes rows starts ok).
  Notation first_value := (RewardRows.first_value beta game stakes).
  Notation row_at := (RewardLower.row_at rows).
  Notation start_row := (RewardLower.start_row bs beta K us ls game stakes rows starts ok).
  Notation value := (val positive nat P rew beta).

  (* ---------- the upper bound: every policy that surely keeps its budgets ---------- *)
  Section Upper.
    Variables (r : rpolicy positive nat) (s0 : positive).
    Hypothesis r_ok : valid r s0.
    Hypothesis r_safe : keeps at_ (map fst bs) (psupp positive nat r) s0.
    Notation reaches := (reach (psupp positive nat r) s0).

    Lemma never_broken h s i b ro : reaches h s -> nth_error bs i = Some (b, ro) ->
      judged b (over_at at_ s) = true -> Kept b (known i b ro h).
    Proof.
      intros Hr Hi J. apply (same_sign i b ro h s Hi).
      apply (r_safe h s Hr i b); [rewrite nth_error_map, Hi; reflexivity|exact J].
    Qed.

    Lemma some_choice h s : reaches h s -> exists a w, In (a, w) (r h s) /\ In a (acts at_ s).
    Proof.
      intros Hr. destruct (r_ok h s Hr) as [A B]. destruct (r h s) as [|[a w] l] eqn:E.
      - simpl in B. lra.
      - exists a, w. split; [left; reflexivity|]. apply (A a w). left. reflexivity.
    Qed.

    Lemma onward h s a w s' : reaches h s -> In (a, w) (r h s) -> In s' (succ at_ s a) ->
      reaches ((s, a) :: h) s'.
    Proof. intros Hr Ha Hs. apply reachS; [exact Hr|exists w; exact Ha|exact Hs]. Qed.

    Lemma not_dead : forall n row h s k, In row rows -> matches row h s -> reaches h s ->
      dead row = Some k -> (k < Z.of_nat n)%Z -> False.
    Proof.
      induction n as [|n IH]; intros row h s k Hr Hm Hre Hd Hk.
      - destruct (row_facts row Hr) as [pl [ts [_ [_ [_ [_ [Hn _]]]]]]]. rewrite Hd in Hn. simpl in Hn.
        apply Z.leb_le in Hn. lia.
      - destruct (some_choice h s Hre) as [a [w [Hw Ha]]].
        destruct (choice_facts row h s a Hr Hm Ha) as [_ [_ [_ C]]].
        unfold choice_ok in C. rewrite Hd in C. apply andb_true_iff in C. destruct C as [_ C].
        apply existsb_outcomes in C. destruct C as [s' [hint [Hs' D]]].
        pose proof (onward h s a w s' Hre Hw Hs') as Hre'.
        pose proof (after_spec row h s a s' hint Hr Hm) as S.
        destruct (outcome_of _ _ _ _ s' hint) as [| |row'|]; try discriminate.
        + destruct S as [i [b [ro [Hi [J N]]]]]. apply N. apply (never_broken _ s' i b ro Hre' Hi J).
        + simpl in D. destruct (dead row') as [j|] eqn:Ed; [|discriminate]. apply Z.ltb_lt in D.
          destruct S as [Hr' [Hm' _]]. apply (IH row' _ s' j Hr' Hm' Hre' Ed). lia.
    Qed.

    Lemma alive row h s : In row rows -> matches row h s -> reaches h s -> dead row = None.
    Proof.
      intros Hr Hm Hre. destruct (dead row) as [k|] eqn:E; [|reflexivity]. exfalso.
      apply (not_dead (S (Z.to_nat k)) row h s k Hr Hm Hre E). lia.
    Qed.

    Lemma not_lost row h s a w s' hint : In row rows -> matches row h s -> reaches h s ->
      In (a, w) (r h s) -> In s' (succ at_ s a) ->
      lost (outcome_of bs G R (paid_vector bs (held row) (costs (choice_at at_ s a))) s' hint) = false.
    Proof.
      intros Hr Hm Hre Hw Hs'. pose proof (onward h s a w s' Hre Hw Hs') as Hre'.
      pose proof (after_spec row h s a s' hint Hr Hm) as S.
      destruct (outcome_of _ _ _ _ s' hint) as [| |row'|]; try reflexivity.
      - destruct S as [i [b [ro [Hi [J N]]]]]. exfalso. apply N. apply (never_broken _ s' i b ro Hre' Hi J).
      - destruct S as [Hr' [Hm' _]]. simpl. rewrite (alive row' _ s' Hr' Hm' Hre'). reflexivity.
    Qed.

    Lemma played row h s a w : In row rows -> matches row h s -> reaches h s -> In (a, w) (r h s) ->
      In a (acts at_ s) /\ over_at at_ s = false /\
      length (weights (stake_at s a)) = length (goes (choice_at at_ s a)) /\
      sum_of (weights (stake_at s a)) = Zpos (total (stake_at s a)) /\
      above_all beta K us row (stake_at s a) (leads_to row (choice_at at_ s a) (nth a (hints row) [])) = true.
    Proof.
      intros Hr Hm Hre Hw. pose proof (proj1 (proj1 (r_ok h s Hre) a w Hw)) as _.
      pose proof (proj2 (proj1 (r_ok h s Hre) a w Hw)) as Ha. split; [exact Ha|].
      destruct (choice_facts row h s a Hr Hm Ha) as [Ho [L [Su C]]].
      split; [exact Ho|]. split; [exact L|]. split; [exact Su|].
      unfold choice_ok in C. rewrite (alive row h s Hr Hm Hre) in C.
      apply andb_true_iff in C. destruct C as [_ C]. unfold leads_to.
      match type of C with context [existsb lost ?os] => destruct (existsb lost os) eqn:E end.
      - exfalso. apply existsb_outcomes in E. destruct E as [s' [hint [Hs' E]]].
        rewrite (not_lost row h s a w s' hint Hr Hm Hre Hw Hs') in E. discriminate.
      - apply andb_true_iff in C. apply C.
    Qed.

    Lemma over_value n : forall h s, reaches h s -> over_at at_ s = true -> value r n h s == 0.
    Proof.
      induction n as [|n IH]; intros h s Hre Ho; simpl; [reflexivity|].
      assert (E : forall l, (forall a w, In (a, w) l -> In (a, w) (r h s)) ->
        wsum (fun a => rew s a + beta * wsum (fun s' => value r n ((s, a) :: h) s') (P s a)) l == 0).
      { induction l as [|[a w] l IHl]; intros Hl; simpl; [reflexivity|].
        rewrite IHl by (intros; apply Hl; right; assumption).
        assert (Hw : In (a, w) (r h s)) by (apply Hl; left; reflexivity).
        assert (Hs : In s (succ at_ s a)).
        { unfold succ, choice_at. unfold over_at in Ho. destruct (at_ s) as [pl|]; [|discriminate].
          rewrite Ho. left. reflexivity. }
        unfold rew, P. rewrite Ho. simpl.
        rewrite (IH _ s (onward h s a w s Hre Hw Hs) Ho). ring. }
      apply E. auto.
    Qed.

    Variable B : Q.
    Hypothesis B_pos : 0 <= B.
    Hypothesis B_low : forall row, In row rows -> - B <= up row # K.

    (* what follows a choice, under a bound for each outcome *)
    Lemma after_upper row h s a w (g : positive -> Q) (phi : outcome -> Q) :
      In row rows -> matches row h s -> reaches h s -> In (a, w) (r h s) ->
      (forall s', reaches ((s, a) :: h) s' -> over_at at_ s' = true -> g s' <= phi Done) ->
      (forall s' row', reaches ((s, a) :: h) s' -> In row' rows -> matches row' ((s, a) :: h) s' ->
         g s' <= phi (Next row')) ->
      wsum g (P s a) <= shared phi (total (stake_at s a)) (weights (stake_at s a))
                          (leads_to row (choice_at at_ s a) (nth a (hints row) [])).
    Proof.
      intros Hr Hm Hre Hw HD HN. destruct (played row h s a w Hr Hm Hre Hw) as [Ha [Ho [L [Su C]]]].
      unfold P. rewrite Ho. apply branch_upper; [|exact L].
      intros s' hint Hz. destruct (zipped_spec (outcome_of bs G R
        (paid_vector bs (held row) (costs (choice_at at_ s a)))) _ _ _ _ Hz) as [Hs' Hin].
      pose proof (onward h s a w s' Hre Hw Hs') as Hre'.
      pose proof (after_spec row h s a s' hint Hr Hm) as S.
      unfold above_all in C. apply andb_true_iff in C. destruct C as [C _].
      destruct (weighed _ _ _ _) as [x|] eqn:E; [|discriminate].
      destruct (weighed_defined _ _ _ _ _ E _ Hin) as [Eo|[row' [y [Eo _]]]]; rewrite Eo in *.
      - apply HD; [exact Hre'|apply S].
      - apply HN; [exact Hre'|apply S|apply S].
    Qed.

    Lemma up_step row h s a w : In row rows -> matches row h s -> reaches h s -> In (a, w) (r h s) ->
      rew s a + beta * shared (worth K (fun r => Some (up r))) (total (stake_at s a))
        (weights (stake_at s a)) (leads_to row (choice_at at_ s a) (nth a (hints row) [])) <= up row # K.
    Proof.
      intros Hr Hm Hre Hw. destruct (played row h s a w Hr Hm Hre Hw) as [Ha [Ho [L [Su C]]]].
      unfold above_all in C. apply andb_true_iff in C. destruct C as [C _].
      destruct (weighed _ _ _ _) as [x|] eqn:E; [|discriminate]. apply Qle_bool_iff in C.
      pose proof (weighed_spec K _ (total (stake_at s a)) _ _ _ _ E) as W.
      unfold rew. rewrite Ho.
      assert (Z0 : (0 # total (stake_at s a) * K) == 0) by reflexivity.
      rewrite Z0 in W.
      assert (W' : shared (worth K (fun r => Some (up r))) (total (stake_at s a))
        (weights (stake_at s a)) (leads_to row (choice_at at_ s a) (nth a (hints row) [])) ==
        (x # total (stake_at s a) * K)) by lra.
      rewrite W'. exact C.
    Qed.

    Lemma shares_one row h s a w : In row rows -> matches row h s -> reaches h s -> In (a, w) (r h s) ->
      shared (fun _ => 1) (total (stake_at s a)) (weights (stake_at s a))
        (leads_to row (choice_at at_ s a) (nth a (hints row) [])) == 1.
    Proof.
      intros Hr Hm Hre Hw. destruct (played row h s a w Hr Hm Hre Hw) as [Ha [Ho [L [Su C]]]].
      unfold shared. apply share_total; [|exact Su]. unfold leads_to. rewrite outcomes_length. exact L.
    Qed.

    Lemma upper_n n : forall row h s, In row rows -> matches row h s -> reaches h s ->
      value r n h s <= (up row # K) + qpow beta n * B.
    Proof.
      pose proof (proj1 (proj2 parts)) as Hb.
      induction n as [|n IH]; intros row h s Hr Hm Hre; simpl.
      - pose proof (B_low row Hr). lra.
      - set (T := (up row # K) + beta * qpow beta n * B).
        assert (E : T * wsum (fun _ => 1) (r h s) == T) by (rewrite (proj2 (r_ok h s Hre)); ring).
        rewrite <- E. apply wsum_ub; [intros a w Hw; apply (proj1 (r_ok h s Hre) a w Hw)|].
        intros a w Hw.
        pose proof (after_upper row h s a w (fun s' => value r n ((s, a) :: h) s')
          (fun o => 1 * worth K (fun r => Some (up r)) o + (qpow beta n * B) * 1) Hr Hm Hre Hw) as A.
        assert (QB : 0 <= qpow beta n * B)
          by (apply Qmult_le_0_compat; [apply Qlt_le_weak, qpow_pos, Hb|exact B_pos]).
        assert (A' : wsum (fun s' => value r n ((s, a) :: h) s') (P s a) <=
          shared (fun o => 1 * worth K (fun r => Some (up r)) o + (qpow beta n * B) * 1)
            (total (stake_at s a)) (weights (stake_at s a))
            (leads_to row (choice_at at_ s a) (nth a (hints row) []))).
        { apply A.
          - intros s' Hre' Ho'. rewrite (over_value n _ s' Hre' Ho'). simpl. lra.
          - intros s' row' Hre' Hr' Hm'. pose proof (IH row' _ s' Hr' Hm' Hre'). simpl. lra. }
        unfold shared in A' at 1. rewrite wsum_lin in A'.
        pose proof (shares_one row h s a w Hr Hm Hre Hw) as S1. unfold shared in S1.
        rewrite S1 in A'.
        pose proof (up_step row h s a w Hr Hm Hre Hw) as U. unfold shared in U.
        set (X := wsum (worth K (fun r => Some (up r))) _) in *.
        set (Y := wsum (fun s' => value r n ((s, a) :: h) s') (P s a)) in *.
        assert (beta * Y <= beta * (1 * X + qpow beta n * B * 1)) by (apply Qmult_le_l; assumption).
        unfold T. lra.
    Qed.

    Lemma first_step N : forall h s,
      first (fun n => value r n h s) (S N) ==
      wsum (fun a => inject_Z (Z.of_nat N) * rew s a +
        beta * wsum (fun s' => first (fun n => value r n ((s, a) :: h) s') N) (P s a)) (r h s).
    Proof. intros h s. apply first_value. Qed.

    (* undiscounted: the average of the first N values *)
    Lemma upper_first : us = true -> beta == 1 -> forall N row h s w, In row rows ->
      matches row h s -> reaches h s -> up_steps row = Some w ->
      first (fun n => value r n h s) N <= inject_Z (Z.of_nat N) * (up row # K) + B * (w # 1).
    Proof.
      intros Hus H1. induction N as [|N IH]; intros row h s w Hr Hm Hre Hw.
      - destruct (row_facts row Hr) as [pl [ts [_ [_ [_ [_ [_ [Hn _]]]]]]]]. rewrite Hw in Hn.
        simpl in Hn. apply Z.leb_le in Hn. simpl. change (inject_Z 0) with 0.
        assert (0 <= w # 1) by (unfold Qle; simpl; lia).
        assert (0 <= B * (w # 1)) by (apply Qmult_le_0_compat; assumption). lra.
      - rewrite first_step. set (n := inject_Z (Z.of_nat N)).
        assert (En : inject_Z (Z.of_nat (S N)) == n + 1)
          by (rewrite Nat2Z.inj_succ, <- Z.add_1_r, inject_Z_plus; reflexivity).
        assert (N0 : 0 <= n) by (unfold n; change 0 with (inject_Z 0); rewrite <- Zle_Qle; lia).
        set (T := inject_Z (Z.of_nat (S N)) * (up row # K) + B * (w # 1)).
        assert (E : T * wsum (fun _ => 1) (r h s) == T) by (rewrite (proj2 (r_ok h s Hre)); ring).
        rewrite <- E. apply wsum_ub; [intros a q Ha; apply (proj1 (r_ok h s Hre) a q Ha)|].
        intros a q Ha. destruct (played row h s a q Hr Hm Hre Ha) as [_ [_ [_ [_ C]]]].
        unfold above_all in C. rewrite Hus in C. apply andb_true_iff in C. destruct C as [_ C].
        destruct (fewer_shared _ _ _ _ _ C) as [w' [Ew F]]. rewrite Hw in Ew. inversion Ew; subst w'.
        destruct (fewer_spec _ _ _ _ _ C) as [w2 [sm [_ [Es _]]]].
        assert (A' : wsum (fun s' => first (fun n => value r n ((s, a) :: h) s') N) (P s a) <=
          shared (fun o => n * worth K (fun r => Some (up r)) o + B * worth 1 up_steps o)
            (total (stake_at s a)) (weights (stake_at s a))
            (leads_to row (choice_at at_ s a) (nth a (hints row) []))).
        { unfold P. destruct (played row h s a q Hr Hm Hre Ha) as [Hin [Ho [L [Su _]]]]. rewrite Ho.
          apply branch_upper; [|exact L]. intros s' hint Hz.
          destruct (zipped_spec (outcome_of bs G R
            (paid_vector bs (held row) (costs (choice_at at_ s a)))) _ _ _ _ Hz) as [Hs' Hi].
          pose proof (onward h s a q s' Hre Ha Hs') as Hre'.
          pose proof (after_spec row h s a s' hint Hr Hm) as S.
          destruct (weighed_defined _ _ _ _ _ Es _ Hi) as [Eo|[row' [y [Eo Ey]]]]; rewrite Eo in *.
          - simpl. assert (Z0 : forall m, first (fun n => value r n ((s, a) :: h) s') m == 0).
            { induction m as [|M IHM]; simpl; [reflexivity|].
              rewrite IHM, (over_value M _ s' Hre' (proj1 S)). ring. }
            rewrite Z0. lra.
          - destruct S as [Hr' [Hm' _]]. pose proof (IH row' _ s' y Hr' Hm' Hre' Ey) as I'.
            cbn [worth]. rewrite Ey. exact I'. }
        unfold shared in A' at 1. rewrite wsum_lin in A'. unfold shared in F.
        pose proof (up_step row h s a q Hr Hm Hre Ha) as U. unfold shared in U.
        unfold leads_to in *.
        set (X := wsum (worth K (fun r => Some (up r))) _) in *.
        set (W := wsum (worth 1 up_steps) _) in *.
        set (Y := wsum (fun s' => first (fun n => value r n ((s, a) :: h) s') N) (P s a)) in *.
        rewrite H1 in U |- *. unfold T. rewrite En.
        assert (M1 : (rew s a + 1 * X) * n <= (up row # K) * n) by (apply Qmult_le_compat_r; assumption).
        assert (M2 : ((if (up row <? 0)%Z then 1 else 0) + W) * B <= (w # 1) * B)
          by (apply Qmult_le_compat_r; assumption).
        pose proof (B_low row Hr) as BL.
        assert (U0 : (up row <? 0)%Z = false -> 0 <= up row # K)
          by (intros Z0; apply Z.ltb_ge in Z0; unfold Qle; simpl; lia).
        destruct (up row <? 0)%Z; [lra|]. specialize (U0 eq_refl). lra.
    Qed.
  End Upper.

  Definition start_upper (s0 : positive) (k0 : option positive) : Q :=
    if over_at at_ s0 then 0
    else match row_at k0 with Some row => up row # K | None => 0 end.

  (* no policy that surely keeps its budgets earns more *)
  Theorem reward_upper_sound s0 k0 : In (s0, k0) starts -> exists B, 0 <= B /\
    forall r, valid r s0 -> keeps at_ (map fst bs) (psupp positive nat r) s0 ->
      (forall n, value r n [] s0 <= start_upper s0 k0 + qpow beta n * B) /\
      (us = true -> beta == 1 -> exists B', 0 <= B' /\ forall N,
         first (fun n => value r n [] s0) N <= inject_Z (Z.of_nat N) * start_upper s0 k0 + B').
  Proof.
    intros H0. destruct (largest (fun row => - (up row # K)) rows) as [B [B0 HB]].
    assert (HB' : forall row, In row rows -> - B <= up row # K)
      by (intros row Hr; pose proof (HB row Hr) as L; simpl in L; lra).
    pose proof (proj1 (proj2 parts)) as Hbeta.
    exists B. split; [exact B0|]. intros r Hv Hk. unfold start_upper.
    destruct (over_at at_ s0) eqn:Ho.
    - assert (V : forall n, value r n [] s0 == 0)
        by (intros n; apply (over_value r s0 n [] s0 (reach0 _ _ _ _ _) Ho)).
      split.
      + intros n. rewrite V.
        assert (0 <= qpow beta n * B)
          by (apply Qmult_le_0_compat; [apply Qlt_le_weak, qpow_pos, Hbeta|exact B0]). lra.
      + intros _ _. exists 0. split; [lra|]. intros N.
        assert (Z0 : first (fun n => value r n [] s0) N == 0)
          by (induction N as [|N IH]; simpl; [reflexivity|rewrite IH, V; ring]).
        rewrite Z0. lra.
    - destruct (start_row s0 k0 H0 Ho) as [row [a [l [Er [Hr [Hm [_ _]]]]]]]. rewrite Er.
      split; [intros n; apply (upper_n r s0 Hv Hk B B0 HB' n row [] s0 Hr Hm); constructor|].
      intros Hus H1.
      destruct (some_choice r s0 Hv [] s0 (reach0 _ _ _ _ _)) as [a' [q [Hq _]]].
      destruct (played r s0 Hv Hk row [] s0 a' q Hr Hm (reach0 _ _ _ _ _) Hq) as [_ [_ [_ [_ C]]]].
      unfold above_all in C. rewrite Hus in C. apply andb_true_iff in C. destruct C as [_ C].
      destruct (fewer_shared _ _ _ _ _ C) as [w [Ew _]].
      exists (B * (w # 1)).
      assert (Hf : forall N, first (fun n => value r n [] s0) N <=
        inject_Z (Z.of_nat N) * (up row # K) + B * (w # 1))
        by (intros N; apply (upper_first r s0 Hv Hk B B0 HB' Hus H1 N row [] s0 w Hr Hm);
            [constructor|exact Ew]).
      split; [|exact Hf]. pose proof (Hf O) as H. simpl in H. change (inject_Z 0) with 0 in H. lra.
  Qed.
End Sem.
