(* T5.limit: with deterministic dynamics the least-intrusive guard is the base model conditioned
   on never violating, and the limit is - ln of the probability of that.  Horizon n. *)
Require Import Reals Lra Lia List Bool.
From IGTheory Require Import Gibbs LeastIntrusive.
Import ListNotations.
Open Scope R_scope.

Section Deterministic.
  Variables X Act : Type.
  Variable kept : X -> bool.
  Variable acts : X -> list Act.
  Variable next : X -> Act -> X.
  Variable p : X -> Act -> R.                    (* the base policy *)
  Hypothesis p_pos : forall x a, In a (acts x) -> 0 < p x a.
  Hypothesis p_one : forall x, sum (p x) (acts x) = 1.

  Definition surely (x : X) (a : Act) : list (X * R) := [(next x a, 1)].
  Definition free (_ : X) (_ : Act) : R := 0.
  Definition base : policy X Act := fun _ => p.

  Notation live := (live X Act kept acts surely).
  Notation open := (open X Act kept acts surely).
  Notation shield := (shield X Act kept acts surely).
  Notation limit := (limit X Act kept acts surely p free 1).
  Notation star := (star X Act kept acts surely p free 1).
  Notation star_policy := (star_policy X Act kept acts surely p free 1).
  Notation safe := (safe X Act kept acts surely).
  Notation violation := (violation X Act kept acts surely).
  Notation valid := (valid X Act acts).
  (* expected KL divergence from the base policy, summed over n steps *)
  Notation divergence := (loss X Act acts surely p free 1).

  (* Z_n: the recursion of the limit. *)
  Fixpoint Z (n : nat) (x : X) : R :=
    if kept x then
      match n with O => 1 | S n => sum (fun a => p x a * Z n (next x a)) (shield n x) end
    else 0.

  Lemma surely_pos x a x' u : In (x', u) (surely x a) -> 0 < u.
  Proof. intros [E|[]]. inversion E. lra. Qed.
  Lemma mean_surely f x a : mean f (surely x a) = f (next x a).
  Proof. unfold mean. simpl. ring. Qed.
  Lemma open_next n x a : open n x a = live n (next x a).
  Proof. unfold LeastIntrusive.open. simpl. apply andb_true_r. Qed.

  Lemma Z_live n : forall x, (live n x = true -> 0 < Z n x) /\ (live n x = false -> Z n x = 0).
  Proof.
    induction n; intros x; simpl.
    - destruct (kept x); simpl; split; intros; (lra || discriminate).
    - destruct (kept x) eqn:K; simpl; [|split; intros; (lra || discriminate)]. split; intros H.
      + apply sum_positive.
        * intros a Ha. apply in_shield in Ha. destruct Ha as [Ha Ho]. rewrite open_next in Ho.
          apply Rmult_lt_0_compat; [apply p_pos, Ha|apply IHn, Ho].
        * apply (live_shield X Act kept acts surely n x). simpl. rewrite K. exact H.
      + assert (E : shield n x = []); [|rewrite E; reflexivity].
        unfold LeastIntrusive.shield. clear IHn. induction (acts x) as [|a l IH]; [reflexivity|].
        simpl in H. apply orb_false_iff in H. destruct H as [Ha Hl]. simpl.
        unfold LeastIntrusive.open at 1. simpl. rewrite Ha. apply IH, Hl.
  Qed.

  (* Z_n is the probability that the base policy does not violate within n steps. *)
  Theorem T5_Z_probability n : forall h x, Z n x = 1 - violation n base h x.
  Proof.
    induction n; intros h x; simpl; destruct (kept x); try ring.
    assert (E : sum (fun a => base h x a * mean (violation n base ((x, a) :: h)) (surely x a)) (acts x)
              = sum (fun a => p x a * violation n base ((x, a) :: h) (next x a)) (acts x))
      by (apply sum_ext; intros a _; rewrite mean_surely; reflexivity).
    rewrite E. unfold LeastIntrusive.shield. rewrite sum_filter.
    - rewrite (sum_ext _ (fun a => p x a + -1 * (p x a * violation n base ((x, a) :: h) (next x a)))).
      + rewrite sum_plus, sum_scal, p_one. ring.
      + intros a _. rewrite (IHn ((x, a) :: h)). ring.
    - intros a _ Ho. rewrite open_next in Ho. rewrite (proj2 (Z_live n (next x a)) Ho). ring.
  Qed.

  Lemma limit_Z n : forall x, live n x = true -> exp (- limit n x) = Z n x.
  Proof.
    induction n; intros x H; simpl.
    - simpl in H. rewrite andb_true_r in H. rewrite H, Ropp_0. apply exp_0.
    - destruct (live_shield X Act kept acts surely n x H) as [K Ne]. rewrite K, Ropp_involutive.
      rewrite (sum_ext _ (fun a => p x a * Z n (next x a))).
      + apply exp_ln. apply (proj1 (Z_live (S n) x)) in H. simpl in H. rewrite K in H. exact H.
      + intros a Ha. apply in_shield in Ha. destruct Ha as [_ Ho]. rewrite open_next in Ho.
        rewrite mean_surely, <- (IHn _ Ho). change (free x a) with 0. do 2 f_equal. ring.
  Qed.

  (* The limit of intervention is the price of what the base model does wrong. *)
  Theorem T5_limit n h x : live n x = true -> limit n x = - ln (1 - violation n base h x).
  Proof.
    intros H. rewrite <- T5_Z_probability, <- (limit_Z n x H), ln_exp. ring.
  Qed.

  (* No policy that surely keeps the budget for n steps, randomised and history-dependent as
     it may be, diverges less; ... *)
  Theorem T5_divergence_lower q : valid q -> forall n h x, safe n q h x ->
    - ln (1 - violation n base h x) <= divergence n q h x.
  Proof.
    intros Hq n h x Hs.
    rewrite <- T5_limit by (apply (safe_live X Act kept acts surely q Hq n h), Hs).
    apply (T5_lower X Act kept acts surely p free 1 surely_pos p_pos); [lra|exact Hq|exact Hs].
  Qed.

  (* ... the base policy conditioned on not violating does not diverge more; ... *)
  Theorem T5_divergence_attained n x : live n x = true ->
    safe n (star_policy n) [] x /\
    divergence n (star_policy n) [] x = - ln (1 - violation n base [] x).
  Proof.
    intros H. rewrite <- T5_limit by exact H.
    apply (T5_attained X Act kept acts surely p free 1 p_pos n n [] x); [reflexivity|exact H].
  Qed.

  (* ... and that is what it is: a has the probability p(a) Z_n(after a) / Z_(n+1). *)
  Theorem T5_conditioned n x a : live (S n) x = true -> In a (acts x) ->
    star n x a = p x a * Z n (next x a) / Z (S n) x.
  Proof.
    intros H Ha. destruct (live_shield X Act kept acts surely n x H) as [K Ne].
    unfold LeastIntrusive.star. destruct (shield n x) as [|a1 l1] eqn:El; [congruence|]. rewrite <- El.
    assert (E : forall d, In d (shield n x) ->
              weight X Act kept acts surely p free 1 n x d = p x d * Z n (next x d)).
    { intros d Hd. apply in_shield in Hd. destruct Hd as [_ Ho]. rewrite open_next in Ho.
      unfold weight. rewrite mean_surely, <- (limit_Z n _ Ho). change (free x d) with 0. do 2 f_equal. ring. }
    simpl Z. rewrite K, (sum_ext _ _ (shield n x) E).
    destruct (open n x a) eqn:Ho.
    - rewrite E; [reflexivity|]. apply in_shield; auto.
    - rewrite open_next in Ho. rewrite (proj2 (Z_live n (next x a)) Ho). unfold Rdiv. ring.
  Qed.
End Deterministic.
