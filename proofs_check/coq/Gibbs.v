(* Gibbs' inequality over a finite list: among the distributions q, the sum of
   q (ln (q / p) + G) is least for q in proportion to p exp(-G), and only there. *)
Require Import Reals Lra List.
Import ListNotations.
Open Scope R_scope.

Fixpoint sum {A} (f : A -> R) (l : list A) : R :=
  match l with [] => 0 | x :: l => f x + sum f l end.

Section Sums.
  Context {A : Type}.
  Implicit Types (f k : A -> R) (l : list A).

  Lemma sum_le f k l : (forall x, In x l -> f x <= k x) -> sum f l <= sum k l.
  Proof.
    intros H. induction l as [|x l IH]; simpl; [lra|].
    pose proof (H x (or_introl eq_refl)).
    assert (sum f l <= sum k l) by (apply IH; intros; apply H; right; assumption). lra.
  Qed.
  Lemma sum_ext f k l : (forall x, In x l -> f x = k x) -> sum f l = sum k l.
  Proof. intros H. apply Rle_antisym; apply sum_le; intros x Hx; rewrite (H x Hx); lra. Qed.
  Lemma sum_zero l : sum (fun _ : A => 0) l = 0.
  Proof. induction l; simpl; lra. Qed.
  Lemma sum_nonneg f l : (forall x, In x l -> 0 <= f x) -> 0 <= sum f l.
  Proof. intros H. rewrite <- (sum_zero l). apply sum_le, H. Qed.
  Lemma sum_member f l x : (forall x, In x l -> 0 <= f x) -> In x l -> f x <= sum f l.
  Proof.
    intros H Hx. induction l as [|y l IH]; [destruct Hx|]. simpl.
    pose proof (H y (or_introl eq_refl)).
    assert (N : 0 <= sum f l) by (apply sum_nonneg; intros; apply H; right; assumption).
    destruct Hx as [->|Hx]; [lra|].
    assert (f x <= sum f l) by (apply IH; [intros; apply H; right|]; assumption). lra.
  Qed.
  Lemma sum_scal c f l : sum (fun x => c * f x) l = c * sum f l.
  Proof. induction l; simpl; lra. Qed.
  Lemma sum_plus f k l : sum (fun x => f x + k x) l = sum f l + sum k l.
  Proof. induction l; simpl; lra. Qed.
  Lemma sum_filter f (keep : A -> bool) l :
    (forall x, In x l -> keep x = false -> f x = 0) -> sum f (filter keep l) = sum f l.
  Proof.
    intros H. induction l as [|x l IH]; simpl; [reflexivity|].
    assert (E : sum f (filter keep l) = sum f l) by (apply IH; intros; apply H; [right|]; assumption).
    destruct (keep x) eqn:K; simpl; [lra|]. rewrite (H x (or_introl eq_refl) K). lra.
  Qed.
  Lemma sum_positive f l : (forall x, In x l -> 0 < f x) -> l <> [] -> 0 < sum f l.
  Proof.
    intros H N. destruct l as [|x l]; [congruence|]. simpl. pose proof (H x (or_introl eq_refl)).
    assert (0 <= sum f l) by (apply sum_nonneg; intros; left; apply H; right; assumption). lra.
  Qed.
End Sums.

Lemma ln_le x : 0 < x -> ln x <= x - 1.
Proof. intros H. pose proof (exp_ineq1_le (ln x)) as E. rewrite exp_ln in E by assumption. lra. Qed.

Lemma ln_lt x : 0 < x -> x <> 1 -> ln x < x - 1.
Proof.
  intros H N. assert (ln x <> 0) as L.
  { intros E. apply N. rewrite <- (exp_ln x H), E. apply exp_0. }
  pose proof (exp_ineq1 (ln x) L) as E. rewrite exp_ln in E by assumption. lra.
Qed.

Section Gibbs.
  Context {A : Type}.
  Variable l : list A.
  Variables q w : A -> R.
  Hypothesis w_pos : forall a, In a l -> 0 < w a.
  Hypothesis q_nonneg : forall a, In a l -> 0 <= q a.
  Hypothesis q_one : sum q l = 1.

  Notation Z := (sum w l).

  Lemma Z_pos : 0 < Z.
  Proof. apply sum_positive; [exact w_pos|]. intros E. rewrite E in q_one. simpl in q_one. lra. Qed.

  (* What a term gives beyond its share of - ln Z is not negative, and 0 at the optimum only. *)
  Definition slack (a : A) : R := q a * ln (q a / w a) + q a * ln Z - (q a - w a / Z).

  Lemma slack_form a : In a l -> 0 < q a -> slack a = q a * (w a / Z / q a - 1 - ln (w a / Z / q a)).
  Proof.
    intros Ha Hq. pose proof Z_pos as HZ. pose proof (w_pos a Ha) as Hw. unfold slack.
    unfold Rdiv. rewrite !ln_mult, !ln_Rinv; try assumption; try (apply Rinv_0_lt_compat; assumption).
    - field. lra.
    - apply Rmult_lt_0_compat; [assumption|apply Rinv_0_lt_compat; assumption].
  Qed.
  Lemma slack_nonneg a : In a l -> 0 <= slack a.
  Proof.
    intros Ha. pose proof Z_pos as HZ. pose proof (w_pos a Ha) as Hw.
    assert (Hwz : 0 < w a / Z) by (apply Rdiv_lt_0_compat; assumption).
    destruct (q_nonneg a Ha) as [Hq|E].
    - rewrite (slack_form a Ha Hq). apply Rmult_le_pos; [lra|].
      pose proof (ln_le (w a / Z / q a) ltac:(apply Rdiv_lt_0_compat; assumption)). lra.
    - unfold slack. rewrite <- E. lra.
  Qed.
  Lemma slack_zero a : In a l -> slack a = 0 -> q a = w a / Z.
  Proof.
    intros Ha E. pose proof Z_pos as HZ. pose proof (w_pos a Ha) as Hw.
    assert (Hwz : 0 < w a / Z) by (apply Rdiv_lt_0_compat; assumption).
    destruct (q_nonneg a Ha) as [Hq|Eq].
    - rewrite (slack_form a Ha Hq) in E. apply Rmult_integral in E. destruct E as [E|E]; [lra|].
      assert (X : 0 < w a / Z / q a) by (apply Rdiv_lt_0_compat; assumption).
      destruct (Req_dec (w a / Z / q a) 1) as [F|F].
      + replace (w a / Z) with (w a / Z / q a * q a) by (field; lra). rewrite F. lra.
      + pose proof (ln_lt _ X F). lra.
    - unfold slack in E. rewrite <- Eq in E. lra.
  Qed.

  Lemma sum_slack : sum slack l = sum (fun a => q a * ln (q a / w a)) l + ln Z.
  Proof.
    pose proof Z_pos as HZ.
    rewrite (sum_ext slack (fun a => (q a * ln (q a / w a) + ln Z * q a) + (-1 * q a + / Z * w a)))
      by (intros a _; unfold slack, Rdiv; ring).
    rewrite !sum_plus, !sum_scal, q_one. field. lra.
  Qed.

  Theorem gibbs : - ln Z <= sum (fun a => q a * ln (q a / w a)) l.
  Proof. pose proof (sum_nonneg slack l slack_nonneg). rewrite sum_slack in H. lra. Qed.

  Theorem gibbs_only : sum (fun a => q a * ln (q a / w a)) l = - ln Z ->
    forall a, In a l -> q a = w a / Z.
  Proof.
    intros E a Ha. apply (slack_zero a Ha). pose proof (slack_nonneg a Ha).
    pose proof (sum_member slack l a slack_nonneg Ha). rewrite sum_slack in *. lra.
  Qed.
End Gibbs.

(* ... and it is attained. *)
Theorem gibbs_attained {A} (l : list A) (w : A -> R) :
  (forall a, In a l -> 0 < w a) -> l <> [] ->
  sum (fun a => w a / sum w l) l = 1 /\
  sum (fun a => w a / sum w l * ln (w a / sum w l / w a)) l = - ln (sum w l).
Proof.
  intros Hw Hne. pose proof (sum_positive w l Hw Hne) as HZ.
  assert (E1 : sum (fun a => w a / sum w l) l = 1).
  { rewrite (sum_ext _ (fun a => / sum w l * w a)) by (intros; unfold Rdiv; ring).
    rewrite sum_scal. field. lra. }
  split; [exact E1|].
  rewrite (sum_ext _ (fun a => - ln (sum w l) * (w a / sum w l))).
  - rewrite sum_scal, E1. ring.
  - intros a Ha. specialize (Hw a Ha).
    replace (w a / sum w l / w a) with (/ sum w l) by (field; lra).
    rewrite ln_Rinv by exact HZ. ring.
Qed.

(* T5, one step: the price of changing p into q, and G for what comes after. *)
Section OneStep.
  Context {A : Type}.
  Variable l : list A.
  Variables p G q : A -> R.
  Hypothesis p_pos : forall a, In a l -> 0 < p a.
  Hypothesis q_nonneg : forall a, In a l -> 0 <= q a.
  Hypothesis q_one : sum q l = 1.
  Definition tilted (a : A) : R := p a * exp (- G a).

  Lemma tilted_pos a : In a l -> 0 < tilted a.
  Proof. intros H. apply Rmult_lt_0_compat; [apply p_pos, H|apply exp_pos]. Qed.

  Lemma step_form a : In a l -> q a * (ln (q a / p a) + G a) = q a * ln (q a / tilted a).
  Proof.
    intros Ha. destruct (q_nonneg a Ha) as [Hq|E]; [|rewrite <- E; ring]. f_equal.
    pose proof (p_pos a Ha). pose proof (exp_pos (- G a)) as E. unfold tilted.
    replace (q a / (p a * exp (- G a))) with (q a / p a * / exp (- G a)) by (field; lra).
    rewrite ln_mult, ln_Rinv, ln_exp; try assumption; [ring| |apply Rinv_0_lt_compat, E].
    apply Rdiv_lt_0_compat; assumption.
  Qed.

  Theorem T5_step : - ln (sum tilted l) <= sum (fun a => q a * (ln (q a / p a) + G a)) l.
  Proof.
    rewrite (sum_ext _ _ l step_form). apply gibbs; [exact tilted_pos|exact q_nonneg|exact q_one].
  Qed.

  Theorem T5_step_only : sum (fun a => q a * (ln (q a / p a) + G a)) l = - ln (sum tilted l) ->
    forall a, In a l -> q a = tilted a / sum tilted l.
  Proof.
    rewrite (sum_ext _ _ l step_form). apply gibbs_only; [exact tilted_pos|exact q_nonneg|exact q_one].
  Qed.
End OneStep.
