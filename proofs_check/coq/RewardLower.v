(* The lower bound of an accepted reward certificate: the named choices keep the budgets and earn
   at least as much. *)
Require Import ZArith QArith Lia Lqa List Bool FMapPositive.
From IGTheory Require Import Power Game WeightedSum Probability Reward FiniteGame PairsChecker.
From IGTheory Require Import RewardChecker RewardColumns RewardRows.
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
  Notation gam_pos := (RewardRows.gam_pos bs beta K us ls game stakes rows starts ok).
  Notation same_sign := (RewardRows.same_sign bs beta K us ls game stakes rows starts ok).
  Notation leads_to := (RewardRows.leads_to bs game rows).
  Notation row_facts := (RewardRows.row_facts bs beta K us ls game stakes rows starts ok).
  Notation choice_facts := (RewardRows.choice_facts bs beta K us ls game stakes rows starts ok).
  Notation outcome_spec := (RewardRows.outcome_spec bs game rows).
  Notation after_spec := (RewardRows.after_spec bs beta K us ls game stakes rows starts ok).
  Notation first_value := (RewardRows.first_value beta game stakes).
  Notation value := (val positive nat P rew beta).

  (* ---------- the lower bound: the named choices ---------- *)
  Section Lower.
    Variables (s0 : positive) (k0 : option positive).
    Hypothesis started : In (s0, k0) starts.

    Definition row_at (k : option positive) : option rrow :=
      match k with Some k => PositiveMap.find k R | None => None end.

    (* the row of a history: the hints, followed *)
    Fixpoint current (h : history) (s : positive) : option rrow :=
      match h with
      | [] => row_at k0
      | (s1, a1) :: h' =>
        match current h' s1 with
        | Some row => row_at (lead (goes (choice_at at_ s1 a1)) (nth a1 (hints row) []) s)
        | None => None end
      end.
    Definition chosen (h : history) (s : positive) : nat :=
      if over_at at_ s then O
      else match current h s with
           | Some row => match named row with Some (a, _) => a | None => O end
           | None => O end.
    Definition best : rpolicy positive nat := fun h s => [(chosen h s, 1)].
    Notation reaches := (reach (psupp positive nat best) s0).

    Definition good (h : history) (s : positive) (row : rrow) : Prop :=
      current h s = Some row /\ In row rows /\ matches row h s /\ dead row = None /\
      exists a l, named row = Some (a, l) /\ chosen h s = a.

    Definition ended (h : history) (s : positive) : Prop :=
      over_at at_ s = true /\
      forall i b r, nth_error bs i = Some (b, r) -> Kept b (z_of at_ i b h s).

    Lemma supp h s a : psupp positive nat best h s a <-> a = chosen h s.
    Proof.
      unfold psupp, best. split; [intros [w [E|[]]]; inversion E; reflexivity|].
      intros ->. exists 1. left. reflexivity.
    Qed.

    Lemma live_row row h s : In row rows -> matches row h s -> over_at at_ s = false.
    Proof.
      intros Hr [Hs _]. destruct (row_facts row Hr) as [pl [ts [Hp [_ [Ho _]]]]].
      rewrite Hs in Hp. unfold over_at, PairsChecker.at_. rewrite Hp. exact Ho.
    Qed.

    (* the named choice of a good row: what is checked of it *)
    Lemma named_choice row h s a l : In row rows -> matches row h s -> dead row = None ->
      named row = Some (a, l) ->
      let c := choice_at at_ s a in let t := stake_at s a in let hs := nth a (hints row) [] in
      In a (acts at_ s) /\ over_at at_ s = false /\ length (weights t) = length (goes c) /\
      sum_of (weights t) = Zpos (total t) /\
      existsb lost (leads_to row c hs) = false /\
      below_named beta K ls l row t (leads_to row c hs) = true /\
      one_lead (goes c) hs (goes c) hs = true.
    Proof.
      intros Hr Hm Hd Hn. destruct (row_facts row Hr) as [pl [ts [Hp [Ht [Ho [_ [_ [_ [_ [Hl _]]]]]]]]]].
      rewrite Hn in Hl. pose proof (proj1 Hm) as Hs. rewrite Hs in Hp.
      assert (Hat : at_ s = Some pl) by exact Hp.
      assert (Ha : In a (acts at_ s)).
      { unfold acts. rewrite Hat, Ho. apply in_seq. lia. }
      destruct (choice_facts row h s a Hr Hm Ha) as [Hov [L [Su C]]].
      cbv zeta. split; [exact Ha|]. split; [exact Hov|]. split; [exact L|]. split; [exact Su|].
      unfold choice_ok in C. rewrite Hd in C. apply andb_true_iff in C. destruct C as [_ C].
      unfold is_named in C. rewrite Hn, Nat.eqb_refl in C. unfold leads_to.
      match type of C with context [existsb lost ?os] => destruct (existsb lost os) eqn:E end;
        [discriminate|].
      split; [reflexivity|]. rewrite !andb_true_iff in C. tauto.
    Qed.

    (* where the named choice leads *)
    Lemma named_after row h s a l s' hint : In row rows -> matches row h s -> dead row = None ->
      named row = Some (a, l) -> current h s = Some row ->
      In (s', hint) (zipped (goes (choice_at at_ s a)) (nth a (hints row) [])) ->
      let o := outcome_of bs G R (paid_vector bs (held row) (costs (choice_at at_ s a))) s' hint in
      (o = Done /\ ended ((s, a) :: h) s') \/
      exists row' l', o = Next row' /\ good ((s, a) :: h) s' row' /\ low row' = Some l'.
    Proof.
      intros Hr Hm Hd Hn Hc Hz o.
      destruct (named_choice row h s a l Hr Hm Hd Hn) as [Ha [Ho [L [Su [Hl [Hb Ho1]]]]]].
      destruct (zipped_spec (outcome_of bs G R
        (paid_vector bs (held row) (costs (choice_at at_ s a)))) _ _ _ _ Hz) as [Hs' Hi].
      fold o in Hi. pose proof (after_spec row h s a s' hint Hr Hm) as S. fold o in S.
      unfold below_named in Hb. apply andb_true_iff in Hb. destruct Hb as [Hb _].
      destruct (weighed _ _ _ _) as [x|] eqn:E; [|discriminate].
      destruct (weighed_defined _ _ _ _ _ E _ Hi) as [Eo|[row' [y [Eo Ey]]]]; rewrite Eo in S.
      - left. split; [exact Eo|]. split; [apply S|]. intros i b r Hbi.
        apply (same_sign i b r _ s' Hbi). apply (proj2 S i b r Hbi).
      - right. exists row', y. split; [exact Eo|]. split; [|exact Ey].
        destruct S as [Hr' [Hm' [k [Ek Ef]]]].
        assert (Hcur : current ((s, a) :: h) s' = Some row').
        { simpl. rewrite Hc, (one_lead_spec _ _ _ _ Ho1 s' hint Hz), Ek. exact Ef. }
        assert (Hd' : dead row' = None).
        { destruct (dead row') as [j|] eqn:Ej; [|reflexivity]. exfalso.
          assert (existsb lost (leads_to row (choice_at at_ s a) (nth a (hints row) [])) = true);
            [|congruence].
          apply existsb_exists. exists o. split; [exact Hi|]. rewrite Eo. simpl. rewrite Ej. reflexivity. }
        split; [exact Hcur|]. split; [exact Hr'|]. split; [exact Hm'|]. split; [exact Hd'|].
        unfold low in Ey. destruct (named row') as [[a' l']|] eqn:En; [|discriminate].
        exists a', l'. split; [reflexivity|]. unfold chosen.
        rewrite (live_row row' _ s' Hr' Hm'), Hcur, En. reflexivity.
    Qed.

    Lemma ended_step h s a s' : ended h s -> In s' (succ at_ s a) -> ended ((s, a) :: h) s'.
    Proof.
      intros [Ho HK] Hin. pose proof (over_succ at_ s a s' Ho Hin) as E. subst s'.
      split; [exact Ho|]. intros i b r Hi.
      apply over_Kept; [apply (gam_pos i b r Hi)|exact Ho|exact Hin|apply (HK i b r Hi)].
    Qed.

    Lemma good_step row h s s' : good h s row -> In s' (succ at_ s (chosen h s)) ->
      ended ((s, chosen h s) :: h) s' \/ exists row', good ((s, chosen h s) :: h) s' row'.
    Proof.
      intros [Hc [Hr [Hm [Hd [a [l [Hn Ha]]]]]]] Hin. rewrite Ha in *.
      destruct (zipped_in (goes (choice_at at_ s a)) (nth a (hints row) []) s' Hin) as [hint Hz].
      destruct (named_after row h s a l s' hint Hr Hm Hd Hn Hc Hz) as [[_ E]|[row' [l' [_ [Hg _]]]]];
        [left; exact E|right; exists row'; exact Hg].
    Qed.

    Lemma init_vector : length (map (fun br => rounded (snd br) (budget (fst br))) bs) = length bs /\
      forall i b r, nth_error bs i = Some (b, r) -> exists x,
        nth_error (map (fun br => rounded (snd br) (budget (fst br))) bs) i = Some x /\
        x == known i b r [].
    Proof.
      split; [apply map_length|]. intros i b r Hi. exists (rounded r (budget b)).
      split; [rewrite nth_error_map, Hi; reflexivity|reflexivity].
    Qed.

    Lemma begin : ended [] s0 \/ exists row, good [] s0 row.
    Proof.
      pose proof (proj2 (proj2 (proj2 (proj2 parts))) _ started) as S. unfold starts_ok in S.
      simpl fst in S. simpl snd in S.
      destruct init_vector as [Lv Hv].
      pose proof (outcome_spec _ [] s0 k0 Lv Hv) as O.
      destruct (outcome_of bs G R _ s0 k0) as [| |row|]; try discriminate.
      - left. split; [apply O|]. intros i b r Hi. apply (same_sign i b r [] s0 Hi). apply (proj2 O i b r Hi).
      - right. exists row. destruct O as [Hr [Hm [k [Ek Ef]]]].
        assert (Hc : current [] s0 = Some row) by (simpl; rewrite Ek; exact Ef).
        destruct (dead row) as [j|] eqn:Ed; [discriminate|].
        destruct (named row) as [[a l]|] eqn:En; [|discriminate].
        split; [exact Hc|]. split; [exact Hr|]. split; [exact Hm|]. split; [exact Ed|].
        exists a, l. split; [exact En|]. unfold chosen. rewrite (live_row row [] s0 Hr Hm), Hc, En. reflexivity.
    Qed.

    Lemma best_invariant h s : reaches h s -> ended h s \/ exists row, good h s row.
    Proof.
      intros Hre. induction Hre as [|h s a s' Hre IH Ha Hin]; [apply begin|].
      apply supp in Ha. subst a. destruct IH as [He|[row Hg]].
      - left. apply ended_step; assumption.
      - apply (good_step row); assumption.
    Qed.

    Lemma best_valid : valid best s0.
    Proof.
      intros h s Hre. split; [|unfold best; simpl; ring].
      intros a w [E|[]]. inversion E; subst. split; [reflexivity|].
      destruct (best_invariant h s Hre) as [[Ho _]|[row [Hc [Hr [Hm [Hd [a [l [Hn Ha]]]]]]]]].
      - apply (over_acts at_ s _ Ho). unfold chosen. rewrite Ho. reflexivity.
      - rewrite Ha. apply (named_choice row h s a l Hr Hm Hd Hn).
    Qed.

    Lemma best_plays : plays at_ (psupp positive nat best) s0.
    Proof.
      intros h s Hre. split; [exists (chosen h s); apply supp; reflexivity|].
      intros a [w Hw]. apply (proj1 (best_valid h s Hre) a w Hw).
    Qed.

    Lemma best_keeps : keeps at_ (map fst bs) (psupp positive nat best) s0.
    Proof.
      intros h s Hre i b Hi J. rewrite nth_error_map in Hi.
      destruct (nth_error bs i) as [[b' r]|] eqn:Eb; [|discriminate].
      simpl in Hi. inversion Hi; subst b'.
      destruct (best_invariant h s Hre) as [[_ HK]|[row [_ [Hr [Hm _]]]]]; [apply (HK i b r Eb)|].
      apply (same_sign i b r h s Eb).
      destruct (row_facts row Hr) as [pl [ts [_ [_ [_ [Hk _]]]]]].
      destruct (proj2 Hm i b r Eb) as [x [Hx E]].
      apply (Kept_up b x); [rewrite E; apply Qle_refl|].
      apply (kept_vector_spec false bs _ Hk i b r x Eb Hx).
      rewrite (live_row row h s Hr Hm) in J. exact J.
    Qed.

    Lemma ended_value n : forall h s, over_at at_ s = true -> value best n h s == 0.
    Proof.
      induction n as [|n IH]; intros h s Ho; simpl; [reflexivity|].
      unfold rew, P. rewrite Ho. simpl. rewrite (IH _ s Ho). ring.
    Qed.

    Variable B : Q.
    Hypothesis B_pos : 0 <= B.
    Hypothesis B_high : forall row a l, In row rows -> named row = Some (a, l) -> l # K <= B.

    Lemma low_step row h s a l : In row rows -> matches row h s -> dead row = None ->
      named row = Some (a, l) ->
      l # K <= rew s a + beta * shared (worth K low) (total (stake_at s a))
        (weights (stake_at s a)) (leads_to row (choice_at at_ s a) (nth a (hints row) [])).
    Proof.
      intros Hr Hm Hd Hn. destruct (named_choice row h s a l Hr Hm Hd Hn) as [_ [Ho [_ [_ [_ [Hb _]]]]]].
      unfold below_named in Hb. apply andb_true_iff in Hb. destruct Hb as [Hb _].
      destruct (weighed _ _ _ _) as [x|] eqn:E; [|discriminate]. apply Qle_bool_iff in Hb.
      pose proof (weighed_spec K _ (total (stake_at s a)) _ _ _ _ E) as W.
      assert (Z0 : (0 # total (stake_at s a) * K) == 0) by reflexivity. rewrite Z0 in W.
      unfold rew. rewrite Ho.
      assert (W' : shared (worth K low) (total (stake_at s a)) (weights (stake_at s a))
        (leads_to row (choice_at at_ s a) (nth a (hints row) [])) == (x # total (stake_at s a) * K)) by lra.
      rewrite W'. exact Hb.
    Qed.

    Lemma low_shares row h s a l : In row rows -> matches row h s -> dead row = None ->
      named row = Some (a, l) ->
      shared (fun _ => 1) (total (stake_at s a)) (weights (stake_at s a))
        (leads_to row (choice_at at_ s a) (nth a (hints row) [])) == 1.
    Proof.
      intros Hr Hm Hd Hn. destruct (named_choice row h s a l Hr Hm Hd Hn) as [_ [_ [L [Su _]]]].
      unfold shared. apply share_total; [|exact Su]. unfold leads_to. rewrite outcomes_length. exact L.
    Qed.

    Lemma after_lower row h s a l (g : positive -> Q) (phi : outcome -> Q) :
      In row rows -> matches row h s -> dead row = None -> named row = Some (a, l) ->
      current h s = Some row ->
      (forall s', over_at at_ s' = true -> phi Done <= g s') ->
      (forall s' row' l', good ((s, a) :: h) s' row' -> low row' = Some l' ->
         In (Next row') (leads_to row (choice_at at_ s a) (nth a (hints row) [])) ->
         phi (Next row') <= g s') ->
      shared phi (total (stake_at s a)) (weights (stake_at s a))
        (leads_to row (choice_at at_ s a) (nth a (hints row) [])) <= wsum g (P s a).
    Proof.
      intros Hr Hm Hd Hn Hc HD HN. destruct (named_choice row h s a l Hr Hm Hd Hn) as [_ [Ho [L _]]].
      unfold P. rewrite Ho. apply branch_lower; [|exact L]. intros s' hint Hz.
      destruct (zipped_spec (outcome_of bs G R
        (paid_vector bs (held row) (costs (choice_at at_ s a)))) _ _ _ _ Hz) as [_ Hi].
      destruct (named_after row h s a l s' hint Hr Hm Hd Hn Hc Hz) as [[Eo He]|[row' [l' [Eo [Hg Hl]]]]];
        rewrite Eo in *; [apply HD, He|apply (HN s' row' l' Hg Hl Hi)].
    Qed.

    Lemma lower_n n : forall row h s a l, good h s row -> named row = Some (a, l) ->
      (l # K) - qpow beta n * B <= value best n h s.
    Proof.
      pose proof (proj1 (proj2 parts)) as Hb.
      induction n as [|n IH]; intros row h s a l [Hc [Hr [Hm [Hd [a' [l' [Hn Ha]]]]]]] Hn';
        assert (E' : a' = a /\ l' = l) by (split; congruence); destruct E' as [E1 E2];
        rewrite E1 in Hn, Ha; rewrite E2 in Hn; clear Hn'.
      - simpl. pose proof (B_high row a l Hr Hn). lra.
      - simpl. rewrite Ha.
        assert (QB : 0 <= qpow beta n * B)
          by (apply Qmult_le_0_compat; [apply Qlt_le_weak, qpow_pos, Hb|exact B_pos]).
        pose proof (after_lower row h s a l (fun s' => value best n ((s, a) :: h) s')
          (fun o => 1 * worth K low o + (- (qpow beta n * B)) * 1) Hr Hm Hd Hn Hc) as A.
        assert (A' : shared (fun o => 1 * worth K low o + (- (qpow beta n * B)) * 1)
            (total (stake_at s a)) (weights (stake_at s a))
            (leads_to row (choice_at at_ s a) (nth a (hints row) [])) <=
          wsum (fun s' => value best n ((s, a) :: h) s') (P s a)).
        { apply A.
          - intros s' Ho'. rewrite (ended_value n _ s' Ho'). simpl. lra.
          - intros s' row' l2' Hg Hl _. unfold low in Hl.
            destruct (named row') as [[a2 l2]|] eqn:En; [|discriminate]. simpl in Hl. inversion Hl; subst l2.
            pose proof (IH row' _ s' a2 l2' Hg En) as I'. cbn [worth]. unfold low. rewrite En. simpl. lra. }
        unfold shared in A' at 1. rewrite wsum_lin in A'.
        pose proof (low_shares row h s a l Hr Hm Hd Hn) as S1. unfold shared in S1. rewrite S1 in A'.
        pose proof (low_step row h s a l Hr Hm Hd Hn) as U. unfold shared in U.
        set (X := wsum (worth K low) _) in *.
        set (Y := wsum (fun s' => value best n ((s, a) :: h) s') (P s a)) in *.
        assert (beta * (1 * X + - (qpow beta n * B) * 1) <= beta * Y) by (apply Qmult_le_l; assumption).
        lra.
    Qed.

    Lemma lower_first : ls = true -> beta == 1 -> forall N row h s a l w, good h s row ->
      named row = Some (a, l) -> low_steps row = Some w ->
      inject_Z (Z.of_nat N) * (l # K) - B * (w # 1) <= first (fun n => value best n h s) N.
    Proof.
      intros Hls H1. induction N as [|N IH];
        intros row h s a l w [Hc [Hr [Hm [Hd [a' [l' [Hn Ha]]]]]]] Hn' Hw;
        assert (E' : a' = a /\ l' = l) by (split; congruence); destruct E' as [E1 E2];
        rewrite E1 in Hn, Ha; rewrite E2 in Hn; clear Hn'.
      - destruct (row_facts row Hr) as [pl [ts [_ [_ [_ [_ [_ [_ [Hk _]]]]]]]]]. rewrite Hw in Hk.
        simpl in Hk. apply Z.leb_le in Hk. simpl. change (inject_Z 0) with 0.
        assert (0 <= w # 1) by (unfold Qle; simpl; lia).
        assert (0 <= B * (w # 1)) by (apply Qmult_le_0_compat; assumption). lra.
      - rewrite first_value. set (n := inject_Z (Z.of_nat N)).
        assert (En : inject_Z (Z.of_nat (S N)) == n + 1)
          by (rewrite Nat2Z.inj_succ, <- Z.add_1_r, inject_Z_plus; reflexivity).
        assert (Np : 0 <= n) by (unfold n; change 0 with (inject_Z 0); rewrite <- Zle_Qle; lia).
        unfold best at 2. simpl wsum. rewrite Ha.
        destruct (named_choice row h s a l Hr Hm Hd Hn) as [_ [_ [_ [_ [_ [Hb _]]]]]].
        unfold below_named in Hb. rewrite Hls in Hb. apply andb_true_iff in Hb. destruct Hb as [_ C].
        destruct (fewer_shared _ _ _ _ _ C) as [w' [Ew F]]. rewrite Hw in Ew. inversion Ew; subst w'.
        destruct (fewer_spec _ _ _ _ _ C) as [w2 [sm [_ [Es _]]]].
        assert (A' : shared (fun o => n * worth K low o + (- B) * worth 1 low_steps o)
            (total (stake_at s a)) (weights (stake_at s a))
            (leads_to row (choice_at at_ s a) (nth a (hints row) [])) <=
          wsum (fun s' => first (fun n => value best n ((s, a) :: h) s') N) (P s a)).
        { apply (after_lower row h s a l _ _ Hr Hm Hd Hn Hc).
          - intros s' Ho'.
            assert (Z0 : forall m, first (fun n => value best n ((s, a) :: h) s') m == 0).
            { induction m as [|M IHM]; simpl; [reflexivity|].
              rewrite IHM, (ended_value M _ s' Ho'). ring. }
            rewrite Z0. simpl. lra.
          - intros s' row' l2' Hg Hl Hi. unfold low in Hl.
            destruct (named row') as [[a2 l2]|] eqn:En2; [|discriminate]. simpl in Hl. inversion Hl; subst l2.
            destruct (weighed_defined _ _ _ _ _ Es _ Hi) as [Eo|[row2 [y [Eo Ey]]]]; [discriminate|].
            inversion Eo; subst row2.
            pose proof (IH row' _ s' a2 l2' y Hg En2 Ey) as I'. fold n in I'.
            cbn [worth]. rewrite Ey. unfold low. rewrite En2. cbn [option_map snd]. lra. }
        unfold shared in A' at 1. rewrite wsum_lin in A'. unfold shared in F.
        pose proof (low_step row h s a l Hr Hm Hd Hn) as U. unfold shared in U.
        set (X := wsum (worth K low) _) in *.
        set (W := wsum (worth 1 low_steps) _) in *.
        set (Y := wsum (fun s' => first (fun n => value best n ((s, a) :: h) s') N) (P s a)) in *.
        rewrite H1 in U |- *. rewrite En.
        assert (M1 : (l # K) * n <= (rew s a + 1 * X) * n) by (apply Qmult_le_compat_r; assumption).
        assert (M2 : ((if (0 <? l)%Z then 1 else 0) + W) * B <= (w # 1) * B)
          by (apply Qmult_le_compat_r; assumption).
        pose proof (B_high row a l Hr Hn) as BL.
        assert (U0 : (0 <? l)%Z = false -> l # K <= 0)
          by (intros Z0; apply Z.ltb_ge in Z0; unfold Qle; simpl; lia).
        destruct (0 <? l)%Z; [lra|]. specialize (U0 eq_refl). lra.
    Qed.
  End Lower.

  Definition start_lower (s0 : positive) (k0 : option positive) : Q :=
    if over_at at_ s0 then 0
    else match row_at k0 with Some row => worth K low (Next row) | None => 0 end.

  Lemma start_row s0 k0 : In (s0, k0) starts -> over_at at_ s0 = false -> exists row a l,
    row_at k0 = Some row /\ In row rows /\ matches row [] s0 /\ named row = Some (a, l) /\
    good k0 [] s0 row.
  Proof.
    intros H Ho. destruct (begin s0 k0 H) as [[Ho' _]|[row Hg]]; [congruence|].
    pose proof Hg as [Hc [Hr [Hm [Hd [a [l [Hn Ha]]]]]]]. exists row, a, l. auto.
  Qed.

  (* the named choices keep the budgets and earn at least the lower bound *)
  Theorem reward_lower_sound s0 k0 : In (s0, k0) starts -> exists B r, 0 <= B /\
    valid r s0 /\ plays at_ (psupp positive nat r) s0 /\
    keeps at_ (map fst bs) (psupp positive nat r) s0 /\
    (forall n, start_lower s0 k0 - qpow beta n * B <= value r n [] s0) /\
    (ls = true -> beta == 1 -> exists B', 0 <= B' /\ forall N,
       inject_Z (Z.of_nat N) * start_lower s0 k0 - B' <= first (fun n => value r n [] s0) N).
  Proof.
    intros H0. destruct (largest (fun row => worth K low (Next row)) rows) as [B [B0 HB]].
    assert (HB' : forall row a l, In row rows -> named row = Some (a, l) -> l # K <= B).
    { intros row a l Hr Hn. pose proof (HB row Hr) as L. cbn [worth] in L. unfold low in L.
      rewrite Hn in L. exact L. }
    pose proof (proj1 (proj2 parts)) as Hbeta.
    exists B, (best k0). split; [exact B0|]. split; [apply best_valid, H0|].
    split; [apply best_plays, H0|]. split; [apply best_keeps, H0|]. unfold start_lower.
    destruct (over_at at_ s0) eqn:Ho.
    - assert (V : forall n, value (best k0) n [] s0 == 0) by (intros n; apply ended_value, Ho).
      split.
      + intros n. rewrite V.
        assert (0 <= qpow beta n * B)
          by (apply Qmult_le_0_compat; [apply Qlt_le_weak, qpow_pos, Hbeta|exact B0]). lra.
      + intros _ _. exists 0. split; [lra|]. intros N.
        assert (Z0 : first (fun n => value (best k0) n [] s0) N == 0)
          by (induction N as [|N IH]; simpl; [reflexivity|rewrite IH, V; ring]).
        rewrite Z0. lra.
    - destruct (start_row s0 k0 H0 Ho) as [row [a [l [Er [Hr [Hm [Hn Hg]]]]]]]. rewrite Er.
      cbn [worth]. unfold low. rewrite Hn. cbn [option_map snd].
      split; [intros n; apply (lower_n k0 B B0 HB' n row [] s0 a l Hg Hn)|].
      intros Hls H1. pose proof Hg as [_ [_ [_ [Hd _]]]].
      destruct (named_choice row [] s0 a l Hr Hm Hd Hn) as [_ [_ [_ [_ [_ [Hb _]]]]]].
      unfold below_named in Hb. rewrite Hls in Hb. apply andb_true_iff in Hb. destruct Hb as [_ C].
      destruct (fewer_shared _ _ _ _ _ C) as [w [Ew _]].
      exists (B * (w # 1)).
      assert (Hf : forall N, inject_Z (Z.of_nat N) * (l # K) - B * (w # 1) <=
        first (fun n => value (best k0) n [] s0) N)
        by (intros N; apply (lower_first k0 B B0 HB' Hls H1 N row [] s0 a l w Hg Hn Ew)).
      split; [|exact Hf]. pose proof (Hf O) as H. simpl in H. change (inject_Z 0) with 0 in H. lra.
  Qed.
End Sem.
