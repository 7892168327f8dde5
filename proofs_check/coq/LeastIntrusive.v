(* T5.bellman: the safe policy that changes the base model least, over a finite horizon.

   A state x is everything that the future depends on: the state of the model and the remaining
   budget.  [kept] says whether the budget is kept there.  The loss of a policy is the expected
   sum, over the steps, of its KL divergence from the base policy p plus a charge [rho] (0 for T5
   itself; - reward / temperature for the soft family), discounted by b.  Policies may randomise
   and depend on the whole history; dynamics may be stochastic.
   [limit n x] is the least loss among the policies that surely keep the budget for n steps:
   T5_lower and T5_attained. *)
Require Import Reals Lra Lia List Bool.
From IGTheory Require Import Gibbs.
Import ListNotations.
Open Scope R_scope.

(* Sum over the branches of a choice. *)
Definition mean {X} (f : X -> R) (l : list (X * R)) : R := sum (fun e => snd e * f (fst e)) l.

Lemma mean_le {X} (f k : X -> R) l : (forall x u, In (x, u) l -> 0 < u) ->
  (forall x, In x (map fst l) -> f x <= k x) -> mean f l <= mean k l.
Proof.
  intros Hu H. apply sum_le. intros [x u] Hin. simpl. apply Rmult_le_compat_l.
  - pose proof (Hu x u Hin). lra.
  - apply H. apply in_map_iff. exists (x, u). auto.
Qed.
Lemma mean_ext {X} (f k : X -> R) l : (forall x, In x (map fst l) -> f x = k x) -> mean f l = mean k l.
Proof.
  intros H. apply sum_ext. intros [x u] Hin. simpl. f_equal. apply H.
  apply in_map_iff. exists (x, u). auto.
Qed.

Section Model.
  Variables X Act : Type.
  Variable kept : X -> bool.
  Variable acts : X -> list Act.
  Variable P : X -> Act -> list (X * R).
  Variable p : X -> Act -> R.                    (* the base policy *)
  Variable rho : X -> Act -> R.
  Variable b : R.
  Hypothesis P_pos : forall x a x' u, In (x', u) (P x a) -> 0 < u.
  Hypothesis p_pos : forall x a, In a (acts x) -> 0 < p x a.
  Hypothesis p_one : forall x, sum (p x) (acts x) = 1.
  Hypothesis b_nonneg : 0 <= b.

  Notation hist := (list (X * Act)).
  Definition policy := hist -> X -> Act -> R.
  Definition succs (x : X) (a : Act) : list X := map fst (P x a).
  Definition valid (q : policy) : Prop := forall h x,
    (forall a, In a (acts x) -> 0 <= q h x a) /\ sum (q h x) (acts x) = 1.

  (* Surely kept now and for n more steps. *)
  Fixpoint safe (n : nat) (q : policy) (h : hist) (x : X) : Prop :=
    kept x = true /\
    match n with
    | O => True
    | S n => forall a, In a (acts x) -> 0 < q h x a ->
               forall x', In x' (succs x a) -> safe n q ((x, a) :: h) x'
    end.

  Fixpoint loss (n : nat) (q : policy) (h : hist) (x : X) : R :=
    match n with
    | O => 0
    | S n => sum (fun a => q h x a *
               (ln (q h x a / p x a) + (rho x a + b * mean (loss n q ((x, a) :: h)) (P x a)))) (acts x)
    end.

  (* Whether some policy keeps the budget for n steps, and the choices with which it can. *)
  Fixpoint live (n : nat) (x : X) : bool :=
    kept x && match n with
              | O => true
              | S n => existsb (fun a => forallb (live n) (succs x a)) (acts x)
              end.
  Definition open (n : nat) (x : X) (a : Act) : bool := forallb (live n) (succs x a).
  Definition shield (n : nat) (x : X) : list Act := filter (open n x) (acts x).

  Fixpoint limit (n : nat) (x : X) : R :=
    match n with
    | O => 0
    | S n => - ln (sum (fun a => p x a * exp (- (rho x a + b * mean (limit n) (P x a)))) (shield n x))
    end.
  Definition weight (n : nat) (x : X) (a : Act) : R :=
    p x a * exp (- (rho x a + b * mean (limit n) (P x a))).

  (* With n steps to go after this one: in proportion to the weights, on the shield. *)
  Definition star (n : nat) (x : X) (a : Act) : R :=
    match shield n x with
    | [] => p x a
    | _ => if open n x a then weight n x a / sum (weight n x) (shield n x) else 0
    end.
  Definition star_policy (N : nat) : policy := fun h x a =>
    match (N - length h)%nat with O => p x a | S n => star n x a end.

  Lemma valid_support q h x : valid q -> exists a, In a (acts x) /\ 0 < q h x a.
  Proof.
    intros Hq. destruct (Hq h x) as [H0 H1].
    destruct (existsb (fun a => if Rlt_dec 0 (q h x a) then true else false) (acts x)) eqn:E.
    - apply existsb_exists in E. destruct E as [a [Ha E]]. exists a. split; [exact Ha|].
      destruct (Rlt_dec 0 (q h x a)); [assumption|discriminate].
    - exfalso. assert (Z : sum (q h x) (acts x) <= 0).
      { rewrite <- (sum_zero (acts x)). apply sum_le. intros a Ha.
        destruct (Rlt_dec 0 (q h x a)) as [L|L]; [|lra].
        assert (existsb (fun a => if Rlt_dec 0 (q h x a) then true else false) (acts x) = true);
          [|congruence].
        apply existsb_exists. exists a. split; [exact Ha|].
        destruct (Rlt_dec 0 (q h x a)); [reflexivity|lra]. }
      lra.
  Qed.

  Lemma safe_live q : valid q -> forall n h x, safe n q h x -> live n x = true.
  Proof.
    intros Hq. induction n; intros h x [K H]; simpl; rewrite K; [reflexivity|]. simpl.
    apply existsb_exists. destruct (valid_support q h x Hq) as [a [Ha Hp]]. exists a.
    split; [exact Ha|]. apply forallb_forall. intros x' Hx'. apply (IHn ((x, a) :: h)), H; assumption.
  Qed.

  (* Almost surely safe policies stay inside the shield. *)
  Lemma safe_open q n h x a : valid q -> safe (S n) q h x -> In a (acts x) -> 0 < q h x a ->
    open n x a = true.
  Proof.
    intros Hq [_ H] Ha Hp. apply forallb_forall. intros x' Hx'.
    apply (safe_live q Hq n ((x, a) :: h)), H; assumption.
  Qed.

  Lemma outside q n h x : valid q -> safe (S n) q h x ->
    forall a, In a (acts x) -> open n x a = false -> q h x a = 0.
  Proof.
    intros Hq Hs a Ha Ho. destruct (proj1 (Hq h x) a Ha) as [L|E]; [|symmetry; exact E].
    rewrite (safe_open q n h x a Hq Hs Ha L) in Ho. discriminate.
  Qed.

  Lemma in_shield n x a : In a (shield n x) <-> In a (acts x) /\ open n x a = true.
  Proof. apply filter_In. Qed.

  (* No policy that surely keeps the budget for n steps loses less. *)
  Theorem T5_lower q : valid q -> forall n h x, safe n q h x -> limit n x <= loss n q h x.
  Proof.
    intros Hq. induction n; intros h x Hs; [apply Rle_refl|].
    assert (In_q : forall a, In a (shield n x) -> 0 <= q h x a)
      by (intros a Ha; apply in_shield in Ha; apply (Hq h x); tauto).
    assert (One : sum (q h x) (shield n x) = 1).
    { unfold shield. rewrite (sum_filter (q h x) (open n x)); [apply Hq|]. apply (outside q n h x Hq Hs). }
    change (limit (S n) x) with (- ln (sum (weight n x) (shield n x))).
    eapply Rle_trans.
    - apply (T5_step (shield n x) (p x) (fun a => rho x a + b * mean (limit n) (P x a)) (q h x));
        [|exact In_q|exact One]. intros a Ha. apply p_pos. apply in_shield in Ha. tauto.
    - unfold shield. rewrite sum_filter.
      + apply sum_le. intros a Ha. destruct (proj1 (Hq h x) a Ha) as [L|E]; [|rewrite <- E; lra].
        apply Rmult_le_compat_l; [lra|]. apply Rplus_le_compat_l, Rplus_le_compat_l.
        apply Rmult_le_compat_l; [exact b_nonneg|]. apply mean_le; [apply P_pos|].
        intros x' Hx'. apply IHn. destruct Hs as [_ Hs]. apply Hs; assumption.
      + intros a Ha Ho. rewrite (outside q n h x Hq Hs a Ha Ho). ring.
  Qed.

  (* ... and to lose no more, a policy must play the weights. *)
  Theorem T5_lower_only q n h x : valid q -> safe (S n) q h x -> loss (S n) q h x = limit (S n) x ->
    forall a, In a (acts x) -> q h x a = star n x a.
  Proof.
    intros Hq Hs E a Ha.
    assert (In_q : forall a, In a (shield n x) -> 0 <= q h x a)
      by (intros d Hd; apply in_shield in Hd; apply (Hq h x); tauto).
    assert (One : sum (q h x) (shield n x) = 1).
    { unfold shield. rewrite (sum_filter (q h x) (open n x)); [apply Hq|]. apply (outside q n h x Hq Hs). }
    unfold star. destruct (shield n x) as [|a1 l1] eqn:El; [simpl in One; lra|]. rewrite <- El in *.
    destruct (open n x a) eqn:Ho; [|apply (outside q n h x Hq Hs a Ha Ho)].
    assert (Pp : forall a, In a (shield n x) -> 0 < p x a)
      by (intros d Hd; apply p_pos; apply in_shield in Hd; tauto).
    apply (T5_step_only (shield n x) (p x) (fun a => rho x a + b * mean (limit n) (P x a)) (q h x)
      Pp In_q One);
      [|apply in_shield; auto].
    apply Rle_antisym; [|apply T5_step; assumption].
    change (- ln (sum (tilted (p x) (fun a => rho x a + b * mean (limit n) (P x a))) (shield n x)))
      with (limit (S n) x).
    rewrite <- E. simpl loss. unfold shield. rewrite sum_filter.
    - apply sum_le. intros d Hd. destruct (proj1 (Hq h x) d Hd) as [L|E0]; [|rewrite <- E0; lra].
      apply Rmult_le_compat_l; [lra|]. apply Rplus_le_compat_l, Rplus_le_compat_l.
      apply Rmult_le_compat_l; [exact b_nonneg|]. apply mean_le; [apply P_pos|].
      intros x' Hx'. apply (T5_lower q Hq). destruct Hs as [_ Hs]. apply Hs; assumption.
    - intros d Hd Ho'. rewrite (outside q n h x Hq Hs d Hd Ho'). ring.
  Qed.

  Lemma weight_pos n x a : In a (acts x) -> 0 < weight n x a.
  Proof. intros H. apply Rmult_lt_0_compat; [apply p_pos, H|apply exp_pos]. Qed.
  Lemma weight_in n x a : In a (shield n x) -> 0 < weight n x a.
  Proof. intros H. apply weight_pos. apply in_shield in H. tauto. Qed.

  Lemma star_valid N : valid (star_policy N).
  Proof.
    intros h x. unfold star_policy. destruct (N - length h)%nat as [|n].
    - split; [intros a Ha; left; apply p_pos, Ha|apply p_one].
    - unfold star. destruct (shield n x) as [|a1 l1] eqn:El.
      + split; [intros a Ha; left; apply p_pos, Ha|apply p_one].
      + rewrite <- El. assert (Ne : shield n x <> []) by congruence.
        pose proof (sum_positive (weight n x) (shield n x) (weight_in n x) Ne) as HZ. split.
        * intros a Ha. destruct (open n x a); [|lra]. left. apply Rdiv_lt_0_compat; [|exact HZ].
          apply weight_pos, Ha.
        * rewrite <- (sum_filter _ (open n x)) by (intros a _ ->; reflexivity).
          etransitivity; [|exact (proj1 (gibbs_attained (shield n x) (weight n x) (weight_in n x) Ne))].
          apply sum_ext. intros a Ha. apply in_shield in Ha. destruct Ha as [_ ->]. reflexivity.
  Qed.

  Lemma live_shield n x : live (S n) x = true -> kept x = true /\ shield n x <> [].
  Proof.
    simpl. intros H. apply andb_true_iff in H. destruct H as [K H]. split; [exact K|].
    apply existsb_exists in H. destruct H as [a [Ha Ho]]. intros E.
    assert (In a (shield n x)) as B by (apply in_shield; auto). rewrite E in B. destruct B.
  Qed.

  (* Playing in proportion to the weights keeps the budget and loses exactly the limit. *)
  Theorem T5_attained N : forall n h x, (length h + n = N)%nat -> live n x = true ->
    safe n (star_policy N) h x /\ loss n (star_policy N) h x = limit n x.
  Proof.
    induction n; intros h x Hl Hx.
    - simpl in *. rewrite andb_true_r in Hx. auto.
    - destruct (live_shield n x Hx) as [K Ne].
      assert (Q : forall a, star_policy N h x a =
                if open n x a then weight n x a / sum (weight n x) (shield n x) else 0).
      { intros a. unfold star_policy. replace (N - length h)%nat with (S n) by lia. unfold star.
        destruct (shield n x); [congruence|reflexivity]. }
      assert (I : forall a, open n x a = true -> forall x', In x' (succs x a) ->
                safe n (star_policy N) ((x, a) :: h) x' /\
                loss n (star_policy N) ((x, a) :: h) x' = limit n x').
      { intros a Ho x' Hx'. apply IHn; [simpl; lia|]. unfold open in Ho. rewrite forallb_forall in Ho.
        apply Ho, Hx'. }
      split.
      + simpl. split; [exact K|]. intros a Ha Hp x' Hx'. rewrite Q in Hp.
        destruct (open n x a) eqn:Ho; [|lra]. apply (I a Ho x' Hx').
      + change (limit (S n) x) with (- ln (sum (weight n x) (shield n x))).
        cbn [loss]. rewrite <- (sum_filter _ (open n x)).
        * etransitivity; [|exact (proj2 (gibbs_attained (shield n x) (weight n x) (weight_in n x) Ne))].
          apply sum_ext. intros a Ha. pose proof Ha as Ha'. apply in_shield in Ha. destruct Ha as [Ha Ho].
          rewrite Q, Ho.
          rewrite (mean_ext _ (limit n)) by (intros x' Hx'; apply (I a Ho x' Hx')).
          apply (step_form (shield n x) (p x) (fun a => rho x a + b * mean (limit n) (P x a))
                   (fun a => weight n x a / sum (weight n x) (shield n x))); [| |exact Ha'].
          -- intros d Hd. apply p_pos. apply in_shield in Hd. tauto.
          -- intros d Hd. left. apply Rdiv_lt_0_compat; [apply weight_in, Hd|].
             apply sum_positive; [apply weight_in|exact Ne].
        * intros a _ Ho. rewrite Q, Ho. ring.
  Qed.

  (* The policies compared are exactly those that violate with probability 0 within n steps. *)
  Fixpoint violation (n : nat) (q : policy) (h : hist) (x : X) : R :=
    if kept x then
      match n with
      | O => 0
      | S n => sum (fun a => q h x a * mean (violation n q ((x, a) :: h)) (P x a)) (acts x)
      end
    else 1.

  Lemma violation_nonneg q : valid q -> forall n h x, 0 <= violation n q h x.
  Proof.
    intros Hq. induction n; intros h x; simpl; destruct (kept x); try lra.
    apply sum_nonneg. intros a Ha. apply Rmult_le_pos; [apply (Hq h x), Ha|].
    apply sum_nonneg. intros [x' u] Hin. simpl. apply Rmult_le_pos; [|apply IHn].
    left. apply (P_pos _ _ _ _ Hin).
  Qed.

  Lemma sum_zero_all {A} (f : A -> R) l : (forall a, In a l -> 0 <= f a) -> sum f l = 0 ->
    forall a, In a l -> f a = 0.
  Proof. intros H E a Ha. pose proof (sum_member f l a H Ha). pose proof (H a Ha). lra. Qed.

  Theorem T5_safe_probability q : valid q -> forall n h x, safe n q h x <-> violation n q h x = 0.
  Proof.
    intros Hq. induction n; intros h x.
    - simpl. destruct (kept x); intuition (lra || discriminate).
    - cbn [safe violation]. destruct (kept x); [|split; [intros [E _]; discriminate|lra]].
      assert (N : forall a, In a (acts x) -> forall e, In e (P x a) ->
                0 <= snd e * violation n q ((x, a) :: h) (fst e)).
      { intros a _ [x' u] Hin. simpl. apply Rmult_le_pos; [left; apply (P_pos _ _ _ _ Hin)|].
        apply violation_nonneg, Hq. }
      split.
      + intros [_ H]. rewrite <- (sum_zero (acts x)). apply sum_ext. intros a Ha.
        destruct (proj1 (Hq h x) a Ha) as [L|E]; [|rewrite <- E; ring].
        rewrite (mean_ext _ (fun _ => 0)) by (intros x' Hx'; apply IHn, H; assumption).
        unfold mean. rewrite (sum_ext _ (fun _ => 0)) by (intros; ring). rewrite sum_zero. ring.
      + intros E. split; [reflexivity|]. intros a Ha Hp x' Hx'. apply IHn.
        assert (M0 : forall d, In d (acts x) -> 0 <= q h x d * mean (violation n q ((x, d) :: h)) (P x d)).
        { intros d Hd. apply Rmult_le_pos; [apply (Hq h x), Hd|]. apply sum_nonneg, (N d Hd). }
        pose proof (sum_zero_all _ _ M0 E a Ha) as E1. simpl in E1.
        apply Rmult_integral in E1. destruct E1 as [E1|E1]; [lra|].
        apply in_map_iff in Hx'. destruct Hx' as [[y u] [<- Hin]].
        pose proof (sum_zero_all _ _ (N a Ha) E1 (y, u) Hin) as E2. simpl in E2.
        apply Rmult_integral in E2. pose proof (P_pos _ _ _ _ Hin). simpl. destruct E2; lra.
  Qed.
End Model.
