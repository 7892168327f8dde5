(* The budgets of a named model are the least ones, by computation in the kernel: the other half
   of KernelCheck.  If [exact] answers true, no policy keeps the budget below them, and every
   policy that keeps it stays inside the shield. *)
Require Import ZArith QArith Qfield Lia Lqa List Bool FMapPositive.
From IGTheory Require Import Safety KernelCheck.
Import ListNotations.
Open Scope Z_scope.

Section Model.
  Variables (gp gq K : Z).
  Variable M : PositiveMap.t (list choice).
  Variable D : PositiveMap.t Z.
  Notation gam := (gam gp gq).
  Notation q := (q K).
  Notation budget := (budget K D).
  Notation choices := (choices M).
  Notation acts := (acts M).
  Notation succ := (succ M).
  Notation cost := (cost K M).
  Notation chosen := (chosen M).
  Notation check := (check gp gq K M D).
  Notation policy := (policy positive nat).
  Notation reach := (reach positive nat succ).
  Notation zof := (zof positive nat cost gam).
  Notation znext := (znext positive nat cost gam).
  Notation surely_safe := (surely_safe positive nat acts succ cost gam).
  Notation Safe := (Safe positive nat acts succ cost gam).
  Notation never_stuck := (never_stuck M).
  Notation inside := (inside gp gq K M D).
  Notation check_parts := (check_parts gp gq K M D).
  Notation gam_pos := (gam_pos gp gq K M D).
  Notation q_mono := (q_mono gp gq K M D).
  Notation q_zero := (q_zero gp gq K M D).
  Notation above := (above gp gq K M D).
  Notation acts_iff := (acts_iff M).
  Notation budget_nonneg := (budget_nonneg gp gq K M D).
  Notation shield_never_empty := (shield_never_empty gp gq K M D).
  Notation shield_safe := (shield_safe gp gq K M D).

  (* ---------- the budgets are the least, and the shield leaves out nothing ---------- *)
  Variable rank : PositiveMap.t Z.               (* used for gamma = 1 only *)
  Definition rank_of (s : positive) : Z :=
    match PositiveMap.find s rank with Some k => Z.max 0 k | None => 0 end.
  Definition reaches (d : Z) (s : positive) (ch : choice) : bool :=
    (if gp =? gq then d <=? 0 else false) ||
    existsb (fun s' => match PositiveMap.find s' D with
      | Some d' => (gq * d <=? gq * price ch + gp * d') &&
          (if gp =? gq then (0 <=? price ch) && ((1 <=? price ch) || (rank_of s' <? rank_of s))
           else true)
      | None => false end) (leads ch).
  Definition exact_state (e : positive * list choice) : bool :=
    match PositiveMap.find (fst e) D with
    | Some d => forallb (reaches d (fst e)) (snd e)
    | None => false
    end.
  Definition exact : bool := (gp <=? gq) && forallb exact_state (PositiveMap.elements M).

  Section Exact.
    Hypothesis ok : check = true.
    Hypothesis ex : exact = true.

    Definition least (s : positive) : Q :=
      match PositiveMap.find s D with Some d => q d | None => 0%Q end.

    Lemma exact_parts : gp <= gq /\
      forall s row, PositiveMap.find s M = Some row -> exists d, PositiveMap.find s D = Some d /\
        forall ch, In ch row -> reaches d s ch = true.
    Proof.
      unfold exact in ex. rewrite andb_true_iff, Z.leb_le, forallb_forall in ex.
      destruct ex as [A F]. split; [exact A|]. intros s row H.
      specialize (F (s, row) (PositiveMap.elements_correct M s H)). unfold exact_state in F. simpl in F.
      destruct (PositiveMap.find s D) as [d|]; [|discriminate]. exists d. split; [reflexivity|].
      apply forallb_forall, F.
    Qed.

    Lemma bounded {A} (f : A -> Z) (l : list A) : exists B, 0 <= B /\ forall x, In x l -> f x <= B.
    Proof.
      induction l as [|x l [B [HB IH]]]; [exists 0; split; [lia|intros x []]|].
      exists (Z.max B (f x)). split; [lia|]. intros y [<-|Hy]; [lia|]. specialize (IH y Hy). lia.
    Qed.

    Lemma reaches_inv s a : In a (acts s) -> exists d, PositiveMap.find s D = Some d /\
      reaches d s (chosen s a) = true.
    Proof.
      rewrite acts_iff. unfold chosen, choices. destruct exact_parts as [_ F].
      destruct (PositiveMap.find s M) as [row|] eqn:E; simpl; [|lia]. intros Ha.
      destruct (F s row E) as [d [Hd G]]. exists d. split; [exact Hd|]. apply G, nth_In, Ha.
    Qed.

    Lemma least_is_lower s z : Safe s z -> (least s <= z)%Q.
    Proof.
      destruct exact_parts as [Hle _]. pose proof (check_parts ok) as [Hgp [Hgq [HK _]]].
      destruct (Z.eqb_spec gp gq) as [E|N].
      - assert (G1 : (gam == 1)%Q).
        { unfold gam. rewrite E. apply Zpos_Q in Hgq. field. lra. }
        destruct (bounded snd (PositiveMap.elements rank)) as [R [HR0 HR]].
        apply (T4_lower_rank positive nat acts succ cost gam (gam_pos ok) least
                 (fun s => Z.to_nat (rank_of s)) (q 1) (Z.to_nat R) G1).
        + apply Zpos_Q in HK. unfold q. apply Qlt_shift_div_l; [exact HK|].
          change (inject_Z 1) with 1%Q. lra.
        + intros t a Ha. destruct (reaches_inv t a Ha) as [d [Hd Hr]]. unfold least. rewrite Hd.
          unfold reaches in Hr. rewrite (proj2 (Z.eqb_eq _ _) E) in Hr.
          apply orb_true_iff in Hr. destruct Hr as [Hr|Hr].
          * left. rewrite <- (q_zero ok). apply (q_mono ok), Z.leb_le, Hr.
          * right. apply existsb_exists in Hr. destruct Hr as [s' [Hs' Hr]]. exists s'.
            split; [exact Hs'|].
            destruct (PositiveMap.find s' D) as [d'|]; [|discriminate].
            rewrite !andb_true_iff, orb_true_iff, !Z.leb_le, Z.ltb_lt in Hr.
            destruct Hr as [H1 [H2 H3]]. unfold cost. split; [|split].
            -- rewrite <- (q_zero ok). apply (q_mono ok), H2.
            -- apply (above ok), H1.
            -- destruct H3 as [H3|H3]; [left; apply (q_mono ok), H3|right].
               assert (0 <= rank_of s') by (unfold rank_of; destruct (PositiveMap.find s' rank); lia). lia.
        + intros t. unfold rank_of. destruct (PositiveMap.find t rank) as [k|] eqn:Ek; [|lia].
          specialize (HR (t, k) (PositiveMap.elements_correct rank t Ek)). simpl in HR. lia.
      - destruct (bounded snd (PositiveMap.elements D)) as [B [HB0 HB]].
        apply (T4_lower positive nat acts succ cost gam (gam_pos ok) least (q B)).
        + apply Zpos_Q in Hgq. unfold gam. apply Qlt_shift_div_r; [exact Hgq|].
          setoid_replace (1 * inject_Z gq)%Q with (inject_Z gq) by ring. rewrite <- Zlt_Qlt. lia.
        + intros t a Ha. destruct (reaches_inv t a Ha) as [d [Hd Hr]]. unfold least. rewrite Hd.
          unfold reaches in Hr. rewrite (proj2 (Z.eqb_neq _ _) N) in Hr. simpl in Hr.
          apply existsb_exists in Hr. destruct Hr as [s' [Hs' Hr]]. exists s'. split; [exact Hs'|].
          destruct (PositiveMap.find s' D) as [d'|]; [|discriminate].
          rewrite andb_true_r, Z.leb_le in Hr. apply (above ok), Hr.
        + intros t. unfold least. destruct (PositiveMap.find t D) as [d|] eqn:Ed.
          * apply (q_mono ok). apply (HB (t, d)). apply PositiveMap.elements_correct, Ed.
          * rewrite <- (q_zero ok). apply (q_mono ok), HB0.
    Qed.

    Lemma in_model s z : Safe s z -> exists d, budget s = Some d.
    Proof.
      intros H. apply Safe_unfold in H. destruct H as [_ [a [Ha _]]].
      destruct (reaches_inv s a Ha) as [d [Hd _]]. exists (q d). unfold budget. rewrite Hd. reflexivity.
    Qed.

    (* L2 for this model: some policy keeps the budget from (s, z) iff z >= D(s). *)
    Theorem budget_is_minimal s z : Safe s z <-> ole (budget s) z.
    Proof.
      split.
      - intros H. destruct (in_model s z H) as [d E]. rewrite E. simpl.
        pose proof (least_is_lower s z H) as L. unfold least, budget in *.
        destruct (PositiveMap.find s D) as [n|]; [|discriminate]. inversion E; subst. exact L.
      - intros H. exists (fun s z => ole (budget s) z). split; [exact H|]. clear s z H. intros s z H.
        destruct (budget s) as [d|] eqn:E; [|destruct H]. simpl in H.
        split; [pose proof (budget_nonneg ok s d E); lra|].
        destruct (shield_never_empty ok s z d E H) as [a [Ha Hs]].
        exists a. split; [exact Ha|]. intros s' Hs'. destruct (Hs s' Hs') as [d' [E' L]]. rewrite E'.
        simpl. apply znext_ge; [exact (gam_pos ok)|exact L].
    Qed.

    (* L3 for this model: a policy keeps the budget for sure iff it stays inside the shield. *)
    Theorem shield_is_all p s0 z0 : ole (budget s0) z0 -> never_stuck p s0 ->
      (surely_safe p s0 z0 <-> inside p s0 z0).
    Proof.
      intros Hst Hne. split; [|apply shield_safe; assumption].
      intros Hp h s a R Ha. split; [apply (Hp h s R), Ha|]. intros s' Hs'.
      assert (S : Safe s' (znext (zof z0 h s) s a s')).
      { exists (fun s z => exists h, reach p s0 h s /\ zof z0 h s = z). split.
        - exists ((s, a) :: h). split; [econstructor; eassumption|reflexivity].
        - intros t z [h1 [R1 <-]]. destruct (Hp h1 t R1) as [[b Hb] [He Hz]].
          split; [exact Hz|]. exists b. split; [apply He, Hb|]. intros t' Ht'.
          exists ((t, b) :: h1). split; [econstructor; eassumption|reflexivity]. }
      apply budget_is_minimal in S. destruct (budget s') as [d'|]; [|destruct S].
      exists d'. split; [reflexivity|]. apply (znext_ge _ _ _ _ (gam_pos ok)) in S. exact S.
    Qed.
  End Exact.
End Model.
