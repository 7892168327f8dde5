(* T1 (iv), one model at a time, by computation: an n-optimal policy of the penalty problem
   that violates, over an infinite horizon.

   Deterministic dynamics.  From a start with two choices, [good] leads to a state that is free
   for ever; after [bad] every choice is forced, and the budget breaks only at time t + 1.  The
   comparison of the returns holds at every horizon with the same margin, hence in the limit. *)
Require Import ZArith QArith Qfield Lia Lqa List Bool FMapPositive Qminmax.
From IGTheory Require Import Safety KernelCheck ForcedRun.
Import ListNotations.
Open Scope Q_scope.

Section Run.
  Variables (gp gq K : Z).
  Variable M : PositiveMap.t (list choice).
  Variable rewards : PositiveMap.t (list Q).
  Variables (b n : Q).                    (* reward discount; penalty per step *)
  Notation gam := (gam gp gq).
  Notation acts := (acts M).
  Notation succ := (succ M).
  Notation cost := (cost K M).
  Notation zof := (zof positive nat cost gam).
  Notation znext := (znext positive nat cost gam).
  Notation surely_safe := (surely_safe positive nat acts succ cost gam).
  Notation reward := (reward rewards).
  Notation valid := (valid M).
  Notation ret := (ret gp gq K M rewards b n).
  Notation better := (better gp gq K M rewards b n).
  Notation optimal := (optimal gp gq K M rewards b n).
  Notation violates_at := (violates_at gp gq K M).
  Notation only_choice := (only_choice M).
  Notation only_next := (only_next M).
  Notation march := (march gp gq K M rewards b).
  Notation free_for_ever := (free_for_ever K M rewards).
  Notation rewards_ok := (rewards_ok rewards).
  Notation lower := (lower b n).
  Notation only_choice_inv := (only_choice_inv M).
  Notation only_next_inv := (only_next_inv M).
  Notation forced := (forced M).
  Notation reward_nonneg := (reward_nonneg rewards).
  Notation march_ret := (march_ret gp gq K M rewards b n).
  Notation march_reach := (march_reach gp gq K M rewards b).
  Notation free_ret := (free_ret gp gq K M rewards b n).

  Definition check_run (s0 : positive) (z0 : Q) (good bad t : nat) : bool :=
    rewards_ok && Qle_bool 0 n && negb (Qle_bool b 0) && negb (Qle_bool 1 b) &&
    (0 <? gp)%Z && (0 <? gq)%Z && Qle_bool 0 z0 &&
    match acts s0 with [x; y] => (Nat.eqb x good && Nat.eqb y bad) || (Nat.eqb x bad && Nat.eqb y good)
                     | _ => false end &&
    match only_next s0 good with
    | Some s1 => free_for_ever s1 && Qle_bool 0 (znext z0 s0 good s1) | None => false end &&
    match only_next s0 bad with
    | Some s2 =>
        match march t s2 (znext z0 s0 bad s2) with
        | Some (G, (_, z)) =>
            negb (Qle_bool 0 z) &&
            negb (Qle_bool (reward s0 bad + b * lower G t) (reward s0 good)) &&
            negb (Qle_bool (reward s0 bad) (reward s0 good))
        | None => false end
    | None => false
    end.

  (* By how much [bad] is better, at the least. *)
  Definition margin (s0 : positive) (z0 : Q) (good bad t : nat) : Q :=
    match only_next s0 bad with
    | Some s2 =>
        match march t s2 (znext z0 s0 bad s2) with
        | Some (G, _) => Qmin (reward s0 bad) (reward s0 bad + b * lower G t) - reward s0 good
        | None => 0 end
    | None => 0
    end.

  Section Main.
    Variables (s0 : positive) (z0 : Q) (good bad t : nat).
    Hypothesis ok : check_run s0 z0 good bad t = true.

    Record facts := Facts {
      F_r : rewards_ok = true; F_n : 0 <= n; F_b0 : 0 < b; F_b1 : b < 1; F_g : 0 < gam; F_z : 0 <= z0;
      F_two : forall a, In a (acts s0) <-> a = good \/ a = bad;
      s1 : positive; F_s1 : only_next s0 good = Some s1; F_free : free_for_ever s1 = true;
      F_z1 : 0 <= znext z0 s0 good s1;
      s2 : positive; F_s2 : only_next s0 bad = Some s2;
      G : Q; e : positive * Q; F_m : march t s2 (znext z0 s0 bad s2) = Some (G, e);
      F_e : snd e < 0;
      F_v : reward s0 good < reward s0 bad + b * lower G t;
      F_v1 : reward s0 good < reward s0 bad }.

    Lemma the_facts : facts.
    Proof.
      pose proof ok as H. unfold check_run in H. rewrite !andb_true_iff in H.
      destruct H as [[[[[[[[[H1 H2] H3] H4] H5] H6] H7] H8] H9] H10].
      destruct (only_next s0 good) as [s1|] eqn:E1; [|discriminate].
      destruct (only_next s0 bad) as [s2|] eqn:E2; [|discriminate].
      destruct (march t s2 (znext z0 s0 bad s2)) as [[G [s3 z3]]|] eqn:Em; [|discriminate].
      rewrite !andb_true_iff, !negb_true_iff, !Qle_bool_false in H10.
      destruct H10 as [[H10 H11] H12]. apply andb_true_iff in H9. destruct H9 as [H9 H9'].
      rewrite negb_true_iff, Qle_bool_false in H3, H4. rewrite Qle_bool_iff in H2, H7, H9'.
      rewrite Z.ltb_lt in H5, H6.
      apply (Facts H1 H2 H3 H4) with (s1 := s1) (s2 := s2) (G := G) (e := (s3, z3));
        try assumption; try reflexivity.
      - apply Zpos_Q in H5, H6. unfold KernelCheck.gam. apply Qlt_shift_div_l; [exact H6|]. lra.
      - intros a. destruct (acts s0) as [|x [|y [|]]]; try discriminate.
        apply orb_true_iff in H8. rewrite !andb_true_iff, !Nat.eqb_eq in H8. simpl.
        destruct H8 as [[-> ->]|[-> ->]]; intuition congruence.
    Qed.

    Ltac take_apart := destruct the_facts as
      [F_r F_n F_b0 F_b1 F_g F_z F_two s_1 F_s1 F_free F_z1 s_2 F_s2 G e F_m F_e F_v F_v1].

    (* [good] never earns more than its first reward, and never violates. *)
    Lemma good_ret f N : valid f -> f [] s0 = good -> ret f N [] s0 z0 <= reward s0 good.
    Proof.
      intros Hf E. take_apart. destruct N as [|N]; simpl; [apply reward_nonneg; assumption|].
      rewrite E. apply only_next_inv in F_s1. destruct F_s1 as [_ En]. rewrite En.
      rewrite (free_ret F_n f N Hf s_1 F_free _ _ F_z1 F_g). destruct (Qlt_le_dec z0 0); lra.
    Qed.

    Theorem good_is_safe f : valid f -> f [] s0 = good -> surely_safe (plays f) s0 z0.
    Proof.
      intros Hf E. take_apart. pose proof (only_next_inv _ _ _ F_s1) as [Es _].
      pose proof F_free as Q. unfold free_for_ever in Q.
      destruct (only_choice s_1) as [a|] eqn:Ea; [|discriminate].
      destruct (only_next s_1 a) as [s'|] eqn:En; [|discriminate].
      rewrite !andb_true_iff in Q. destruct Q as [[E1 E2] _].
      apply Pos.eqb_eq in E1. subst s'. apply Qeq_bool_iff in E2.
      pose proof (only_next_inv _ _ _ En) as [Es1 _].
      assert (I : forall h s, reach positive nat succ (plays f) s0 h s ->
                (h = [] /\ s = s0) \/ (s = s_1 /\ 0 <= zof z0 h s)).
      { intros h s R. induction R as [|h s x s' R IH Hx Hs']; [left; auto|right].
        unfold plays in Hx. subst x. destruct IH as [[-> ->]|[-> Hz]].
        - rewrite E, Es in Hs'. destruct Hs' as [<-|[]]. simpl. rewrite E. split; [reflexivity|exact F_z1].
        - rewrite (forced f h s_1 a Hf Ea) in *. rewrite Es1 in Hs'. destruct Hs' as [<-|[]].
          split; [reflexivity|]. simpl. unfold Game.znext. rewrite E2.
          apply Qle_shift_div_l; [exact F_g|]. lra. }
      intros h s R. split; [exists (f h s); reflexivity|]. split.
      - intros x ->. apply Hf. destruct (I h s R) as [[_ ->]|[-> _]].
        + intros N. assert (In good (acts s0)) as B by (apply F_two; auto). rewrite N in B. destruct B.
        + apply only_choice_inv in Ea. rewrite Ea. discriminate.
      - destruct (I h s R) as [[-> ->]|[_ Hz]]; [exact F_z|exact Hz].
    Qed.

    Definition value_of_bad (F : facts) : Q := reward s0 bad + b * lower (G F) t.
    Definition worth (F : facts) : Q := Qmin (reward s0 bad) (value_of_bad F).

    (* [bad] is worth more than [good] at every horizon, *)
    Lemma bad_ret f N : valid f -> f [] s0 = bad -> (1 <= N)%nat ->
      worth the_facts <= ret f N [] s0 z0.
    Proof.
      intros Hf E HN. unfold worth, value_of_bad. take_apart. simpl.
      destruct N as [|N]; [lia|]. simpl. rewrite E.
      pose proof (only_next_inv _ _ _ F_s2) as [_ En]. rewrite En.
      destruct (march_ret F_r F_n F_b0 F_b1 f t Hf s_2 _ _ _ [(s0, bad)] F_m) as [_ [I1 I2]].
      destruct (Qlt_le_dec z0 0) as [L|_]; [lra|]. destruct (le_lt_dec N t) as [L|L].
      - specialize (I1 N L). eapply Qle_trans; [apply Q.le_min_l|].
        assert (0 <= b * ret f N [(s0, bad)] s_2 (znext z0 s0 bad s_2)) by (apply Qmult_le_0_compat; lra).
        lra.
      - assert (X : G - qpow b t * (n / (1 - b)) <= ret f N [(s0, bad)] s_2 (znext z0 s0 bad s_2))
          by (apply I2; lia).
        eapply Qle_trans; [apply Q.le_min_r|]. unfold lower.
        assert (b * (G - qpow b t * (n / (1 - b))) <= b * ret f N [(s0, bad)] s_2 (znext z0 s0 bad s_2))
          by (apply Qmult_le_l; assumption). lra.
    Qed.

    Lemma worth_more : reward s0 good < worth the_facts.
    Proof. unfold worth, value_of_bad. take_apart. simpl. apply Q.min_glb_lt; assumption. Qed.

    (* and violates, at time t + 1. *)
    Theorem bad_violates f : valid f -> f [] s0 = bad -> violates_at (S t) f s0 z0.
    Proof.
      intros Hf E. take_apart. pose proof (only_next_inv _ _ _ F_s2) as [Es _].
      assert (R : reach positive nat succ (plays f) s0 [(s0, bad)] s_2).
      { econstructor; [constructor|symmetry; exact E|rewrite Es; left; reflexivity]. }
      destruct (march_reach f t s0 z0 Hf s_2 G e [(s0, bad)] R F_m) as [h [P1 [P2 P3]]].
      exists h, (fst e). split; [exact P1|]. split; [simpl in P2; lia|rewrite P3; exact F_e].
    Qed.

    Theorem bad_is_better f f' : valid f -> valid f' -> f [] s0 = bad -> f' [] s0 = good ->
      better f f' s0 z0.
    Proof.
      intros Hf Hf' E E'. exists (worth the_facts - reward s0 good). pose proof worth_more. split; [lra|].
      intros N HN. pose proof (bad_ret f N Hf E HN). pose proof (good_ret f' N Hf' E'). lra.
    Qed.

    Theorem margin_holds f f' N : valid f -> valid f' -> f [] s0 = bad -> f' [] s0 = good ->
      (1 <= N)%nat -> ret f' N [] s0 z0 + margin s0 z0 good bad t <= ret f N [] s0 z0.
    Proof.
      intros Hf Hf' E E' HN. pose proof (bad_ret f N Hf E HN) as H1. pose proof (good_ret f' N Hf' E').
      unfold worth, value_of_bad in H1. take_apart.
      unfold margin. rewrite F_s2, F_m. simpl in H1. lra.
    Qed.

    Definition stubborn : chooser := fun _ s => if Pos.eqb s s0 then bad else hd O (acts s).
    Lemma stubborn_valid : valid stubborn.
    Proof.
      intros h s N. unfold stubborn. destruct (Pos.eqb_spec s s0) as [->|_].
      - apply (F_two the_facts). auto.
      - destruct (acts s) as [|a l]; [congruence|]. left; reflexivity.
    Qed.
    Lemma stubborn_bad : stubborn [] s0 = bad.
    Proof. unfold stubborn. rewrite Pos.eqb_refl. reflexivity. Qed.
    Lemma starts_with f : valid f -> f [] s0 = good \/ f [] s0 = bad.
    Proof.
      intros Hf. apply (F_two the_facts), Hf. intros N.
      pose proof (proj2 (F_two the_facts bad) (or_intror eq_refl)) as B. rewrite N in B. destruct B.
    Qed.

    Definition prudent : chooser := fun _ s => if Pos.eqb s s0 then good else hd O (acts s).
    Theorem safe_policy_exists : exists f, valid f /\ surely_safe (plays f) s0 z0.
    Proof.
      assert (V : valid prudent).
      { intros h s N. unfold prudent. destruct (Pos.eqb_spec s s0) as [->|_].
        - apply (F_two the_facts). auto.
        - destruct (acts s) as [|a l]; [congruence|]. left; reflexivity. }
      exists prudent. split; [exact V|]. apply good_is_safe; [exact V|].
      unfold prudent. rewrite Pos.eqb_refl. reflexivity.
    Qed.

    (* T1 (iv): every n-optimal policy violates, although a safe policy exists. *)
    Theorem optimal_violates f : optimal f s0 z0 -> violates_at (S t) f s0 z0.
    Proof.
      intros [Hf Hbest]. apply bad_violates; [exact Hf|].
      destruct (starts_with f Hf) as [E|E]; [exfalso|exact E].
      apply (Hbest stubborn stubborn_valid).
      apply bad_is_better; auto using stubborn_valid, stubborn_bad.
    Qed.

    (* and there is one: whoever starts with [bad] has the same return. *)
    Theorem bad_is_optimal : exists f, optimal f s0 z0.
    Proof.
      exists stubborn. split; [exact stubborn_valid|]. intros f Hf [m [Hm H]].
      destruct (starts_with f Hf) as [E|E].
      - specialize (H 1%nat (le_n 1)). pose proof (good_ret f 1 Hf E).
        pose proof (bad_ret stubborn 1 stubborn_valid stubborn_bad (le_n 1)). pose proof worth_more. lra.
      - specialize (H 1%nat (le_n 1)). simpl in H. rewrite E, stubborn_bad in H. lra.
    Qed.
  End Main.
End Run.

