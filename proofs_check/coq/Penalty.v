(* T1, finite horizon: an explicit penalty n* beyond which every greedy
   (n-optimal) action from a safe augmented state keeps the state safe.
   T4 (reward part): inductive value bounds. *)
Require Import QArith Qfield Lqa Lia List Qminmax.
From IGTheory Require Import Budget Safety.
Import ListNotations.
Open Scope Q_scope.

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
  Notation W := (Safety.W St Act acts succ c g).
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

(* ---------- T4, reward part: inductive bounds over all randomised history-dependent policies ---------- *)
Section Rew.
  Variables St Act : Type.
  Variable acts : St -> list Act.
  Variable P : St -> Act -> list (St * Q).
  Variable r : St -> Act -> Q.
  Variable b : Q.
  Hypothesis b_nonneg : 0 <= b.
  Hypothesis P_pos : forall s a s' q, In (s', q) (P s a) -> 0 < q.
  Hypothesis P_one : forall s a, wsum (fun _ => 1) (P s a) == 1.
  Definition hist := list (St * Act).
  Fixpoint val (p : hist -> St -> list (Act * Q)) (n : nat) (h : hist) (s : St) : Q :=
    match n with O => 0 | S n =>
      wsum (fun a => r s a + b * wsum (fun s' => val p n ((s, a) :: h) s') (P s a)) (p h s) end.
  Fixpoint bp (n : nat) : Q := match n with O => 1 | S n => b * bp n end.

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

  Theorem reward_upper (U : St -> Q) B (p : hist -> St -> list (Act * Q)) :
    (forall h s a w, In (a, w) (p h s) -> 0 < w /\ In a (acts s)) ->
    (forall h s, wsum (fun _ => 1) (p h s) == 1) ->
    (forall s a, In a (acts s) -> r s a + b * wsum U (P s a) <= U s) ->
    (forall s, - B <= U s) ->
    forall n h s, val p n h s <= U s + bp n * B.
  Proof.
    intros Hp H1 HU HB. induction n; intros h s; simpl.
    - pose proof (HB s). lra.
    - assert (E : (U s + b * (bp n * B)) * wsum (fun _ => 1) (p h s) == U s + b * bp n * B)
        by (rewrite H1; ring).
      rewrite <- E. apply wsum_ub; [intros a w Hin; apply (Hp h s a w Hin)|].
      intros a w Hin. destruct (Hp h s a w Hin) as [_ Ha].
      assert (M : wsum (fun s' => val p n ((s, a) :: h) s') (P s a) <= wsum (fun s' => U s' + bp n * B) (P s a))
        by (apply wsum_mono; [apply P_pos|intros; apply IHn]).
      rewrite wsum_add, P_one in M. pose proof (HU s a Ha).
      assert (b * wsum (fun s' => val p n ((s, a) :: h) s') (P s a) <= b * (wsum U (P s a) + bp n * B * 1)).
      { rewrite (Qmult_comm b), (Qmult_comm b (wsum U _ + _)). apply Qmult_le_compat_r; assumption. }
      lra.
  Qed.

  Theorem reward_lower (L : St -> Q) B (pol : St -> Act) :
    (forall s, L s <= r s (pol s) + b * wsum L (P s (pol s))) ->
    (forall s, L s <= B) ->
    forall n h s, L s - bp n * B <= val (fun _ s => [(pol s, 1)]) n h s.
  Proof.
    intros HL HB. induction n; intros h s; simpl.
    - pose proof (HB s). lra.
    - set (a := pol s).
      assert (M : wsum (fun s' => L s' + (- (bp n * B))) (P s a) <= wsum (fun s' => val (fun _ s => [(pol s, 1)]) n ((s, a) :: h) s') (P s a)).
      { apply wsum_mono; [apply P_pos|]. intros x q _. pose proof (IHn ((s, a) :: h) x). lra. }
      rewrite wsum_add, P_one in M. pose proof (HL s) as H. fold a in H.
      assert (b * (wsum L (P s a) + - (bp n * B) * 1) <= b * wsum (fun s' => val (fun _ s => [(pol s, 1)]) n ((s, a) :: h) s') (P s a)).
      { rewrite (Qmult_comm b), (Qmult_comm b (wsum _ _)). apply Qmult_le_compat_r; assumption. }
      lra.
  Qed.
End Rew.
Print Assumptions T1_threshold.
Print Assumptions reward_upper.
Print Assumptions reward_lower.
