(* T1.threshold, one step.  Rewards in [0, R], penalty n on every step from the first violation on,
   z_T priced too: above n* = R (1 + b + ... + b^(T-1)) / (p b)^T a greedy choice at a pair from
   which T steps can be kept leads only to pairs from which the rest can be kept. *)
Require Import QArith Qfield Lqa Lia List Qminmax.
From IGTheory Require Import Power Game Demand WeightedSum.
Import ListNotations.
Open Scope Q_scope.

Section Pen.
  Variables St Act : Type.
  Variable acts : St -> list Act.
  Variable P : St -> Act -> list (St * Q).
  Variable c : St -> Act -> St -> Q.
  Variable r : St -> Act -> Q.
  Variables g b pm R pen : Q.          (* cost discount, reward discount, min prob, reward range, penalty *)
  Hypothesis g_pos : 0 < g.
  Hypothesis b_pos : 0 < b.  Hypothesis b_le : b <= 1.
  Hypothesis pm_pos : 0 < pm.  Hypothesis pm_le : pm <= 1.
  Hypothesis P_pm : forall s a s' q, In (s', q) (P s a) -> pm <= q.
  Hypothesis P_one : forall s a, wsum (fun _ => 1) (P s a) == 1.
  Hypothesis r_lo : forall s a, 0 <= r s a.
  Hypothesis r_hi : forall s a, r s a <= R.
  Hypothesis acts_ne : forall s, acts s <> [].
  Hypothesis pen_nonneg : 0 <= pen.

  Definition succ s a := map fst (P s a).
  Notation W := (Demand.W St Act acts succ c g).
  Notation zn := (znext St Act c g).

  Definition maxa (f : Act -> Q) (l : list Act) : Q :=
    match l with [] => 0 | a :: l => fold_right (fun x m => Qmax (f x) m) (f a) l end.
  Lemma maxa_ge f l a : In a l -> f a <= maxa f l.
  Proof.
    destruct l as [|x l]; [intros []|]. simpl. intros [->|H].
    - induction l; simpl; [lra|]. eapply Qle_trans; [exact IHl|]. apply Q.le_max_r.
    - induction l as [|y l IH]; [destruct H|]. simpl. destruct H as [->|H]; [apply Q.le_max_l|].
      eapply Qle_trans; [apply IH, H|]. apply Q.le_max_r.
  Qed.
  Lemma maxa_le f l B : l <> [] -> (forall a, In a l -> f a <= B) -> maxa f l <= B.
  Proof.
    destruct l as [|x l]; [congruence|]. intros _ H. simpl.
    induction l as [|y l IH]; simpl; [apply H; left; reflexivity|].
    apply Q.max_lub; [apply H; right; left; reflexivity|].
    apply IH. intros a [->|Ha]; apply H; simpl; auto.
  Qed.

  (* sum_{t<k} b^t *)
  Fixpoint geo (k : nat) : Q := match k with O => 0 | S k => 1 + b * geo k end.

  (* value of the reshaped problem with k steps to go, terminal z included:
     r while z >= 0, -pen at every step (and at the end) once z < 0 *)
  Fixpoint V (k : nat) (s : St) (z : Q) : Q :=
    if Qlt_le_dec z 0 then - pen * (1 + b * geo k) else
    match k with
    | O => 0
    | S k => maxa (fun a => r s a + b * wsum (fun s' => V k s' (zn z s a s')) (P s a)) (acts s)
    end.
  Definition Qv k s z a := r s a + b * wsum (fun s' => V k s' (zn z s a s')) (P s a).

  Lemma geo_nonneg k : 0 <= geo k.
  Proof. induction k; simpl; [lra|]. assert (0 <= b * geo k) by (apply Qmult_le_0_compat; lra). lra. Qed.
  Lemma R_nonneg (s : St) (a : Act) : 0 <= R.
  Proof. pose proof (r_lo s a). pose proof (r_hi s a). lra. Qed.
  Lemma P_pos (s : St) (a : Act) : forall s' q, In (s', q) (P s a) -> 0 < q.
  Proof. intros. pose proof (P_pm _ _ _ _ H). lra. Qed.
  Lemma in_succ (s : St) (a : Act) s' q : In (s', q) (P s a) -> In s' (succ s a).
  Proof. intros H. unfold succ. apply in_map_iff. exists (s', q); auto. Qed.
  Lemma succ_in (s : St) (a : Act) s' : In s' (succ s a) -> exists q, In (s', q) (P s a).
  Proof. intros H. apply in_map_iff in H. destruct H as [[x q] [<- H]]. exists q; exact H. Qed.

  Lemma neg_bound k : - pen * (1 + b * geo k) <= - pen.
  Proof.
    pose proof (geo_nonneg k).
    assert (0 <= b * geo k) by (apply Qmult_le_0_compat; lra).
    assert (0 <= pen * (b * geo k)) by (apply Qmult_le_0_compat; assumption).
    setoid_replace (- pen * (1 + b * geo k)) with (- pen - pen * (b * geo k)) by ring. lra.
  Qed.
  Lemma Rgeo_nonneg (s : St) k : 0 <= R * geo k.
  Proof.
    destruct (acts s) as [|a l] eqn:E; [exfalso; apply (acts_ne s E)|].
    apply Qmult_le_0_compat; [apply (R_nonneg s a)|apply geo_nonneg].
  Qed.

  Lemma V_ub k : forall s z, V k s z <= R * geo k.
  Proof.
    induction k; intros s z; simpl V; destruct (Qlt_le_dec z 0).
    - pose proof (neg_bound 0). pose proof (Rgeo_nonneg s 0). simpl in *. lra.
    - simpl; lra.
    - pose proof (neg_bound (S k)). pose proof (Rgeo_nonneg s (S k)). simpl in *. lra.
    - apply maxa_le; [apply acts_ne|]. intros a _.
      assert (H : wsum (fun s' => V k s' (zn z s a s')) (P s a) <= R * geo k * wsum (fun _ => 1) (P s a))
        by (apply wsum_ub; [apply P_pos|intros; apply IHk]).
      rewrite P_one in H.
      assert (b * wsum (fun s' => V k s' (zn z s a s')) (P s a) <= b * (R * geo k * 1))
        by (apply Qmult_le_l; assumption).
      pose proof (r_hi s a). simpl geo. lra.
  Qed.

  Lemma V_lb k : forall s z, W k s z -> 0 <= V k s z.
  Proof.
    induction k; intros s z HW; simpl V; destruct (Qlt_le_dec z 0) as [L|L].
    - simpl in HW. lra.
    - lra.
    - destruct HW as [H _]. lra.
    - destruct HW as [_ [a [Ha Hs]]].
      apply (Qle_trans _ (r s a + b * wsum (fun s' => V k s' (zn z s a s')) (P s a)));
        [|apply (maxa_ge (fun a => r s a + b * wsum (fun s' => V k s' (zn z s a s')) (P s a))); exact Ha].
      assert (H : 0 * wsum (fun _ => 1) (P s a) <= wsum (fun s' => V k s' (zn z s a s')) (P s a)).
      { apply wsum_lb; [apply P_pos|]. intros s' q Hin. apply IHk, Hs. eapply in_succ; eauto. }
      assert (0 <= b * wsum (fun s' => V k s' (zn z s a s')) (P s a))
        by (apply Qmult_le_0_compat; lra).
      pose proof (r_lo s a). lra.
  Qed.

  Lemma W_dec k : forall s z, W k s z \/ ~ W k s z.
  Proof.
    intros s z. rewrite (W_Dn St Act acts succ c g g_pos k s z).
    destruct (Dn St Act acts succ c g k s) as [d|]; simpl; [|tauto].
    destruct (Qlt_le_dec z d); [right; lra|left; assumption].
  Qed.

  Definition kappa (k : nat) : Q := qpow (pm * b) k.
  Lemma pmb_pos : 0 < pm * b. Proof. apply Qmult_lt_0_compat; assumption. Qed.
  Lemma kappa_pos k : 0 < kappa k. Proof. apply qpow_pos, pmb_pos. Qed.
  Lemma kappa_le1 k : kappa k <= 1.
  Proof.
    unfold kappa. assert (pm * b <= 1).
    { assert (pm * b <= 1 * b) by (apply Qmult_le_compat_r; lra). lra. }
    induction k; simpl; [lra|]. pose proof (qpow_pos (pm*b) k pmb_pos).
    assert (pm * b * qpow (pm * b) k <= 1 * qpow (pm * b) k) by (apply Qmult_le_compat_r; lra). lra.
  Qed.

  (* a successor outside W costs at least pen * kappa *)
  Lemma Q_bad k s z a s' :
    (forall s z, ~ W k s z -> V k s z <= R * geo k - pen * kappa k) ->
    In s' (succ s a) -> ~ W k s' (zn z s a s') ->
    Qv k s z a <= R * geo (S k) - pen * kappa (S k).
  Proof.
    intros IH Hin HN. apply succ_in in Hin. destruct Hin as [q Hin]. unfold Qv.
    assert (He : 0 <= pen * kappa k) by (pose proof (kappa_pos k); apply Qmult_le_0_compat; lra).
    pose proof (wsum_ub_bad (fun s' => V k s' (zn z s a s')) (R * geo k) (pen * kappa k) pm (P s a) s' q
      (P_pm s a) pm_pos (fun x p _ => V_ub k x _) Hin He (IH s' _ HN)) as H.
    rewrite P_one in H.
    assert (b * wsum (fun s' => V k s' (zn z s a s')) (P s a)
            <= b * (R * geo k * 1 - pm * (pen * kappa k))) by (apply Qmult_le_l; assumption).
    pose proof (r_hi s a). unfold kappa in *. simpl. lra.
  Qed.

  Lemma V_bad k : forall s z, ~ W k s z -> V k s z <= R * geo k - pen * kappa k.
  Proof.
    induction k; intros s z HN; simpl V; destruct (Qlt_le_dec z 0) as [L|L].
    - pose proof (neg_bound 0). unfold kappa; simpl in *. lra.
    - exfalso. apply HN. exact L.
    - pose proof (neg_bound (S k)). pose proof (Rgeo_nonneg s (S k)). pose proof (kappa_le1 (S k)).
      assert (pen * kappa (S k) <= pen * 1).
      { rewrite (Qmult_comm pen (kappa (S k))), (Qmult_comm pen 1). apply Qmult_le_compat_r; assumption. }
      simpl geo in *. lra.
    - apply maxa_le; [apply acts_ne|]. intros a Ha.
      assert (exists s', In s' (succ s a) /\ ~ W k s' (zn z s a s')) as [s' [Hin HN']].
      { assert (forall l, (forall x, In x l -> W k x (zn z s a x)) \/ exists x, In x l /\ ~ W k x (zn z s a x)) as K.
        { induction l as [|x l IH]; [left; intros x []|].
          destruct (W_dec k x (zn z s a x)) as [Y|N]; [|right; exists x; split; [left; reflexivity|exact N]].
          destruct IH as [IH|[y [Hy Ny]]]; [left; intros t [<-|Ht]; auto|right; exists y; split; [right|]; auto]. }
        destruct (K (succ s a)) as [K1|K1]; [|exact K1].
        exfalso. apply HN. split; [exact L|]. exists a; split; [exact Ha|exact K1]. }
      apply (Q_bad k s z a s' IHk Hin HN').
  Qed.

  (* T1 (finite horizon): pen > R (1+b+..+b^(k)) / (pm b)^(k+1) makes every greedy action safe *)
  Theorem T1_threshold k s z a :
    R * geo (S k) < pen * kappa (S k) ->
    W (S k) s z -> In a (acts s) -> V (S k) s z <= Qv k s z a ->
    forall s', In s' (succ s a) -> W k s' (zn z s a s').
  Proof.
    intros Hpen HW Ha Hopt s' Hin.
    destruct (W_dec k s' (zn z s a s')) as [Y|N]; [exact Y|exfalso].
    pose proof (Q_bad k s z a s' (V_bad k) Hin N). pose proof (V_lb (S k) s z HW). lra.
  Qed.
End Pen.
