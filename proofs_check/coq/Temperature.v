(* T5.temperature: the soft family, over a finite horizon.  With rewards r and a temperature lam,
   the policy that T5_attained finds for the charge - r / lam maximises reward less lam times
   divergence among the safe policies.  As lam -> 0 its reward reaches that of every safe policy,
   as lam -> infinity its divergence falls to that of every safe policy; with explicit rates. *)
Require Import Reals Lra Lia List Bool.
From IGTheory Require Import Gibbs LeastIntrusive.
Import ListNotations.
Open Scope R_scope.

Section Soft.
  Variables X Act : Type.
  Variable kept : X -> bool.
  Variable acts : X -> list Act.
  Variable P : X -> Act -> list (X * R).
  Variable p : X -> Act -> R.
  Variable r : X -> Act -> R.
  Variable b : R.                                (* discounts rewards and divergences *)
  Hypothesis P_pos : forall x a x' u, In (x', u) (P x a) -> 0 < u.
  Hypothesis p_pos : forall x a, In a (acts x) -> 0 < p x a.
  Hypothesis p_one : forall x, sum (p x) (acts x) = 1.
  Hypothesis b_nonneg : 0 <= b.

  Notation policy := (policy X Act).
  Notation valid := (valid X Act acts).
  Notation safe := (safe X Act kept acts P).
  Notation loss := (loss X Act acts P p).
  Definition divergence := loss (fun _ _ => 0) b.
  Definition charge (lam : R) (x : X) (a : Act) : R := - (r x a / lam).
  Definition soft_policy (lam : R) (n : nat) : policy :=
    star_policy X Act kept acts P p (charge lam) b n.

  Fixpoint reward (n : nat) (q : policy) (h : list (X * Act)) (x : X) : R :=
    match n with
    | O => 0
    | S n => sum (fun a => q h x a * (r x a + b * mean (reward n q ((x, a) :: h)) (P x a))) (acts x)
    end.

  Lemma loss_split lam q n : lam <> 0 -> forall h x,
    loss (charge lam) b n q h x = divergence n q h x - reward n q h x / lam.
  Proof.
    intros Hl. unfold divergence. induction n; intros h x; simpl; [field; exact Hl|].
    assert (M : forall a, mean (loss (charge lam) b n q ((x, a) :: h)) (P x a)
              = mean (loss (fun _ _ => 0) b n q ((x, a) :: h)) (P x a)
                + - / lam * mean (reward n q ((x, a) :: h)) (P x a)).
    { intros a. unfold mean. rewrite <- sum_scal, <- sum_plus. apply sum_ext. intros e _. rewrite IHn.
      unfold Rdiv. ring. }
    rewrite (sum_ext _ (fun a =>
      q h x a * (ln (q h x a / p x a) + (0 + b * mean (loss (fun _ _ => 0) b n q ((x, a) :: h)) (P x a)))
      + - / lam * (q h x a * (r x a + b * mean (reward n q ((x, a) :: h)) (P x a))))).
    - rewrite sum_plus, sum_scal. unfold Rdiv. ring.
    - intros a _. rewrite M. unfold charge, Rdiv. ring.
  Qed.

  Lemma divergence_nonneg q : valid q -> forall n h x, 0 <= divergence n q h x.
  Proof.
    intros Hq. unfold divergence. induction n; intros h x; simpl; [lra|].
    destruct (Hq h x) as [H0 H1].
    pose proof (gibbs (acts x) (q h x) (p x) (p_pos x) H0 H1) as G. rewrite p_one, ln_1 in G.
    apply Rle_trans with (sum (fun a => q h x a * ln (q h x a / p x a)) (acts x)); [lra|].
    apply sum_le. intros a Ha. apply Rmult_le_compat_l; [apply H0, Ha|].
    assert (0 <= b * mean (loss (fun _ _ => 0) b n q ((x, a) :: h)) (P x a)); [|lra].
    apply Rmult_le_pos; [exact b_nonneg|]. apply sum_nonneg. intros [x' u] Hin. simpl.
    apply Rmult_le_pos; [left; apply (P_pos _ _ _ _ Hin)|apply IHn].
  Qed.

  Section At.
    Variables (lam : R) (n : nat) (x : X) (q : policy).
    Hypothesis lam_pos : 0 < lam.
    Hypothesis q_valid : valid q.
    Hypothesis q_safe : safe n q [] x.

    Theorem T5_soft_safe : safe n (soft_policy lam n) [] x.
    Proof.
      apply (T5_attained X Act kept acts P p (charge lam) b p_pos n n [] x); [reflexivity|].
      apply (safe_live X Act kept acts P q q_valid n []), q_safe.
    Qed.

    (* The soft policy is optimal for reward less lam times divergence. *)
    Theorem T5_soft_optimal :
      reward n q [] x - lam * divergence n q [] x <=
      reward n (soft_policy lam n) [] x - lam * divergence n (soft_policy lam n) [] x.
    Proof.
      pose proof (T5_lower X Act kept acts P p (charge lam) b P_pos p_pos b_nonneg
        q q_valid n [] x q_safe) as L.
      pose proof (T5_attained X Act kept acts P p (charge lam) b p_pos n n [] x eq_refl
        (safe_live X Act kept acts P q q_valid n [] x q_safe)) as [_ E].
      fold (soft_policy lam n) in E. rewrite <- E, !loss_split in L by lra.
      set (r1 := reward n (soft_policy lam n) [] x) in *. set (r2 := reward n q [] x) in *.
      set (d1 := divergence n (soft_policy lam n) [] x) in *. set (d2 := divergence n q [] x) in *.
      assert (lam * (d1 - r1 / lam) <= lam * (d2 - r2 / lam)) as M by (apply Rmult_le_compat_l; lra).
      replace (lam * (d1 - r1 / lam)) with (lam * d1 - r1) in M by (field; lra).
      replace (lam * (d2 - r2 / lam)) with (lam * d2 - r2) in M by (field; lra). lra.
    Qed.

    (* Cold: it earns at least what q earns, less lam times what q diverges. *)
    Theorem T5_cold : reward n q [] x - lam * divergence n q [] x <= reward n (soft_policy lam n) [] x.
    Proof.
      pose proof T5_soft_optimal.
      pose proof (divergence_nonneg _
        (star_valid X Act kept acts P p (charge lam) b p_pos p_one n) n [] x) as D.
      fold (soft_policy lam n) in D.
      assert (0 <= lam * divergence n (soft_policy lam n) [] x) by (apply Rmult_le_pos; lra). lra.
    Qed.

    (* Hot: it diverges by no more than q, plus a difference in reward divided by lam. *)
    Theorem T5_hot : divergence n (soft_policy lam n) [] x <=
      divergence n q [] x + (reward n (soft_policy lam n) [] x - reward n q [] x) / lam.
    Proof.
      pose proof T5_soft_optimal as H.
      set (r1 := reward n (soft_policy lam n) [] x) in *. set (r2 := reward n q [] x) in *.
      set (d1 := divergence n (soft_policy lam n) [] x) in *. set (d2 := divergence n q [] x) in *.
      apply Rmult_le_reg_l with lam; [exact lam_pos|].
      replace (lam * (d2 + (r1 - r2) / lam)) with (lam * d2 + (r1 - r2)) by (field; lra). lra.
    Qed.
  End At.

  (* In the limits. *)
  Theorem T5_cold_limit n x q eps : valid q -> safe n q [] x -> 0 < eps ->
    exists lam0, 0 < lam0 /\ forall lam, 0 < lam <= lam0 ->
      reward n q [] x - eps <= reward n (soft_policy lam n) [] x.
  Proof.
    intros Hq Hs He. pose proof (divergence_nonneg q Hq n [] x) as D.
    exists (eps / (1 + divergence n q [] x)). split; [apply Rdiv_lt_0_compat; lra|].
    intros lam [H0 H1]. pose proof (T5_cold lam n x q H0 Hq Hs).
    assert (lam * (1 + divergence n q [] x) <= eps); [|lra].
    apply Rmult_le_compat_r with (r := 1 + divergence n q [] x) in H1; [|lra].
    replace (eps / (1 + divergence n q [] x) * (1 + divergence n q [] x)) with eps in H1 by (field; lra).
    exact H1.
  Qed.

  Theorem T5_hot_limit n x q eps B : valid q -> safe n q [] x -> 0 < eps ->
    (forall q', valid q' -> Rabs (reward n q' [] x) <= B) ->
    exists lam0, 0 < lam0 /\ forall lam, lam0 <= lam ->
      divergence n (soft_policy lam n) [] x <= divergence n q [] x + eps.
  Proof.
    intros Hq Hs He HB. pose proof (HB q Hq) as B1. pose proof (Rabs_pos (reward n q [] x)).
    exists ((2 * B + 1) / eps). assert (L0 : 0 < (2 * B + 1) / eps) by (apply Rdiv_lt_0_compat; lra).
    split; [exact L0|]. intros lam H1. assert (Hl : 0 < lam) by lra.
    pose proof (T5_hot lam n x q Hl Hq Hs) as H2.
    pose proof (HB _ (star_valid X Act kept acts P p (charge lam) b p_pos p_one n)) as B2.
    fold (soft_policy lam n) in B2.
    apply Rmult_le_compat_r with (r := eps) in H1; [|lra].
    replace ((2 * B + 1) / eps * eps) with (2 * B + 1) in H1 by (field; lra).
    assert (D : reward n (soft_policy lam n) [] x - reward n q [] x <= lam * eps).
    { pose proof (Rle_abs (reward n (soft_policy lam n) [] x)).
      pose proof (Rle_abs (- reward n q [] x)). rewrite Rabs_Ropp in *. lra. }
    assert ((reward n (soft_policy lam n) [] x - reward n q [] x) / lam <= eps); [|lra].
    apply Rmult_le_reg_l with lam; [exact Hl|].
    replace (lam * ((reward n (soft_policy lam n) [] x - reward n q [] x) / lam))
      with (reward n (soft_policy lam n) [] x - reward n q [] x) by (field; lra). exact D.
  Qed.
End Soft.
