(* Sums weighted by a list of (element, weight): expectations with exact rational weights. *)
Require Import QArith Qfield Lqa Lia List Qminmax.
Import ListNotations.
Open Scope Q_scope.

Definition wsum {A} (f : A -> Q) (l : list (A * Q)) : Q :=
  fold_right (fun x m => snd x * f (fst x) + m) 0 l.

Lemma wsum_nonneg {A} (f : A -> Q) l :
  (forall x q, In (x, q) l -> 0 < q) -> (forall x, 0 <= f x) -> 0 <= wsum f l.
Proof.
  intros Hq Hf. induction l as [|[x q] l IH]; simpl; [lra|].
  assert (0 <= wsum f l) by (apply IH; intros; eapply Hq; right; eauto).
  assert (0 <= q * f x).
  { apply Qmult_le_0_compat; [|apply Hf]. assert (0 < q) by (eapply Hq; left; eauto). lra. }
  lra.
Qed.

Lemma wsum_pos {A} (f : A -> Q) l :
  (forall x q, In (x, q) l -> 0 < q) -> (forall x, 0 <= f x) ->
  (0 < wsum f l <-> exists x q, In (x, q) l /\ 0 < f x).
Proof.
  intros Hq Hf. induction l as [|[x q] l IH]; simpl.
  - split; [lra|]. intros [x [q [[] _]]].
  - assert (Hq' : forall x q, In (x, q) l -> 0 < q) by (intros; eapply Hq; right; eauto).
    specialize (IH Hq'). pose proof (wsum_nonneg f l Hq' Hf) as N.
    assert (Q0 : 0 < q) by (eapply Hq; left; eauto).
    assert (M : 0 <= q * f x) by (apply Qmult_le_0_compat; [lra|apply Hf]).
    split.
    + intros H. destruct (Qlt_le_dec 0 (f x)) as [L|L].
      * exists x, q; auto.
      * assert (f x == 0) as E by (pose proof (Hf x); lra).
        rewrite E in H. destruct IH as [IH _].
        destruct IH as [y [p [Hin Hy]]]; [lra|]. exists y, p; auto.
    + intros [y [p [[E|Hin] Hy]]].
      * inversion E; subst. assert (0 < p * f y) by (apply Qmult_lt_0_compat; assumption). lra.
      * assert (0 < wsum f l) by (apply IH; eauto). lra.
Qed.

Section WS.
  Context {A : Type}.
  Lemma wsum_ub (f : A -> Q) B l : (forall x q, In (x, q) l -> 0 < q) ->
    (forall x q, In (x, q) l -> f x <= B) -> wsum f l <= B * wsum (fun _ => 1) l.
  Proof.
    intros Hq Hf. induction l as [|[x q] l IH]; simpl; [lra|].
    assert (wsum f l <= B * wsum (fun _ => 1) l)
      by (apply IH; intros; [eapply Hq|eapply Hf]; right; eauto).
    assert (0 < q) by (eapply Hq; left; eauto).
    assert (q * f x <= q * B) by (apply Qmult_le_l; [assumption|eapply Hf; left; eauto]).
    lra.
  Qed.
  Lemma wsum_lb (f : A -> Q) B l : (forall x q, In (x, q) l -> 0 < q) ->
    (forall x q, In (x, q) l -> B <= f x) -> B * wsum (fun _ => 1) l <= wsum f l.
  Proof.
    intros Hq Hf. induction l as [|[x q] l IH]; simpl; [lra|].
    assert (B * wsum (fun _ => 1) l <= wsum f l)
      by (apply IH; intros; [eapply Hq|eapply Hf]; right; eauto).
    assert (0 < q) by (eapply Hq; left; eauto).
    assert (q * B <= q * f x) by (apply Qmult_le_l; [assumption|eapply Hf; left; eauto]).
    lra.
  Qed.
  Lemma wsum_ub_bad (f : A -> Q) B e pm l x0 q0 : (forall x q, In (x, q) l -> pm <= q) -> 0 < pm ->
    (forall x q, In (x, q) l -> f x <= B) -> In (x0, q0) l -> 0 <= e -> f x0 <= B - e ->
    wsum f l <= B * wsum (fun _ => 1) l - pm * e.
  Proof.
    intros Hq Hp Hf Hin He H0. induction l as [|[x q] l IH]; [destruct Hin|]. simpl.
    assert (Hqx : pm <= q) by (eapply Hq; left; eauto).
    assert (Q0 : 0 < q) by lra.
    destruct Hin as [E|Hin].
    - inversion E; subst.
      assert (wsum f l <= B * wsum (fun _ => 1) l).
      { apply wsum_ub; intros y p Hy; [apply (Qlt_le_trans _ pm); [assumption|eapply Hq; right; eauto]|].
        eapply Hf; right; eauto. }
      assert (q0 * f x0 <= q0 * (B - e)) by (apply Qmult_le_l; assumption).
      assert (pm * e <= q0 * e) by (apply Qmult_le_compat_r; assumption).
      lra.
    - assert (wsum f l <= B * wsum (fun _ => 1) l - pm * e).
      { apply IH; [intros; eapply Hq; right; eauto|intros; eapply Hf; right; eauto|exact Hin]. }
      assert (q * f x <= q * B) by (apply Qmult_le_l; [assumption|eapply Hf; left; eauto]).
      lra.
  Qed.
End WS.

Lemma wsum_mono {A} (f f' : A -> Q) l : (forall x q, In (x, q) l -> 0 < q) ->
  (forall x q, In (x, q) l -> f x <= f' x) -> wsum f l <= wsum f' l.
Proof.
  intros Hq Hf. induction l as [|[x q] l IH]; simpl; [lra|].
  assert (wsum f l <= wsum f' l) by (apply IH; intros; [eapply Hq|eapply Hf]; right; eauto).
  assert (0 < q) by (eapply Hq; left; eauto).
  assert (q * f x <= q * f' x) by (apply Qmult_le_l; [assumption|eapply Hf; left; eauto]). lra.
Qed.
Lemma wsum_add {A} (f : A -> Q) k l : wsum (fun x => f x + k) l == wsum f l + k * wsum (fun _ => 1) l.
Proof. induction l as [|[x q] l IH]; simpl; [ring|]. rewrite IH. ring. Qed.

Lemma wsum_scale {A} (f : A -> Q) k l : wsum (fun x => k * f x) l == k * wsum f l.
Proof. induction l as [|[x q] l IH]; simpl; [ring|]. rewrite IH. ring. Qed.
Lemma wsum_plus {A} (f f' : A -> Q) l : wsum (fun x => f x + f' x) l == wsum f l + wsum f' l.
Proof. induction l as [|[x q] l IH]; simpl; [ring|]. rewrite IH. ring. Qed.
Lemma wsum_same {A} (f f' : A -> Q) l : (forall x, f x == f' x) -> wsum f l == wsum f' l.
Proof. intros H. induction l as [|[x q] l IH]; simpl; [reflexivity|]. rewrite H, IH. reflexivity. Qed.
