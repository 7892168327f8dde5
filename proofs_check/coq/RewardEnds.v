(* T4.reward without horizon and without discount (0 < b <= 1).  A function w >= 0 with
   w >= [L > 0] + sum P w says that visits to {L > 0} are finite in expectation, so that L bounds
   the value from below up to any eps for all large n; dually w >= [U < 0] + sum P w for U.
   (w >= 1 + sum P w before the end of a run is the usual case.  The end is an absorbing state with
   reward, L and U equal to 0.)  Excluded middle turns "finite in expectation" into "vanishes". *)
Require Import QArith Qfield Lqa Lia List Classical.
From IGTheory Require Import Power WeightedSum Reward.
Import ListNotations.
Open Scope Q_scope.

(* terms >= 0 whose sums stay below a bound vanish *)
Lemma vanish (m t : nat -> Q) bound eps : (forall n, 0 <= m n) -> t O == 0 ->
  (forall n, t (S n) == t n + m n) -> (forall n, t n <= bound) -> 0 < eps ->
  exists N, forall n, (N <= n)%nat -> m n <= eps.
Proof.
  intros Hm H0 HS Hb He. apply NNPP. intros N.
  assert (F : forall k, exists n, (k <= n)%nat /\ eps < m n).
  { intros k. apply NNPP. intros K. apply N. exists k. intros n Hn.
    destruct (Qlt_le_dec eps (m n)) as [L|L]; [|exact L]. exfalso. apply K. exists n; auto. }
  assert (mono : forall k n, (k <= n)%nat -> t k <= t n).
  { induction 1 as [|n _ IH]; [lra|]. rewrite HS. pose proof (Hm n). lra. }
  assert (G : forall k : nat, exists n, inject_Z (Z.of_nat k) * eps <= t n).
  { induction k as [|k [n IH]].
    - exists O. change (inject_Z (Z.of_nat 0)) with 0. lra.
    - destruct (F n) as [i [Hi Hm']]. exists (S i).
      rewrite HS, Nat2Z.inj_succ, <- Z.add_1_r, inject_Z_plus. change (inject_Z 1) with 1.
      pose proof (mono n i Hi). lra. }
  destruct (Qarchimedean (bound / eps)) as [p Hp].
  destruct (G (Pos.to_nat p)) as [n Hn]. pose proof (Hb n) as B.
  rewrite positive_nat_Z in Hn. change (inject_Z (Z.pos p)) with (Z.pos p # 1) in Hn.
  assert (L : bound < (Z.pos p # 1) * eps).
  { setoid_replace bound with (bound / eps * eps) by (field; lra). apply Qmult_lt_r; assumption. }
  lra.
Qed.

Section Ends.
  Variables St Act : Type.
  Variable P : St -> Act -> list (St * Q).
  Variable r : St -> Act -> Q.
  Variable b : Q.
  Hypothesis b_pos : 0 < b.
  Hypothesis b_le : b <= 1.
  Hypothesis P_pos : forall s a s' q, In (s', q) (P s a) -> 0 < q.
  Hypothesis P_one : forall s a, wsum (fun _ => 1) (P s a) == 1.
  Notation hist := (list (St * Act)).
  Notation val := (val St Act P r b).

  (* a policy that plays only choices of `use`, and one function of the state that it visits *)
  Variable use : St -> Act -> Prop.
  Variable p : hist -> St -> list (Act * Q).
  Hypothesis p_use : forall h s a q, In (a, q) (p h s) -> 0 < q /\ use s a.
  Hypothesis p_one : forall h s, wsum (fun _ => 1) (p h s) == 1.
  Variable phi : St -> Q.
  Hypothesis phi_nonneg : forall s, 0 <= phi s.

  Definition next (f : hist -> St -> Q) (h : hist) (s : St) : Q :=
    wsum (fun a => wsum (f ((s, a) :: h)) (P s a)) (p h s).
  (* the expectation of phi after n steps, and of its sum over the first n steps *)
  Fixpoint mass (n : nat) (h : hist) (s : St) : Q :=
    match n with O => phi s | S n => next (mass n) h s end.
  Fixpoint total (n : nat) (h : hist) (s : St) : Q :=
    match n with O => 0 | S n => phi s + next (total n) h s end.

  Lemma p_pos h s a q : In (a, q) (p h s) -> 0 < q.
  Proof. intros H. apply (p_use h s a q H). Qed.
  Lemma next_plus f f' h s : next (fun h s => f h s + f' h s) h s == next f h s + next f' h s.
  Proof.
    unfold next. rewrite <- wsum_plus. apply wsum_same. intros a. rewrite wsum_plus. reflexivity.
  Qed.
  Lemma next_same f f' h s : (forall h s, f h s == f' h s) -> next f h s == next f' h s.
  Proof. intros H. apply wsum_same. intros a. apply wsum_same. intros s'. apply H. Qed.

  Lemma mass_nonneg n : forall h s, 0 <= mass n h s.
  Proof.
    induction n; intros h s; simpl; [apply phi_nonneg|]. unfold next.
    apply wsum_nonneg; [apply p_pos|]. intros a. apply wsum_nonneg; [apply P_pos|]. intros; apply IHn.
  Qed.

  Lemma total_step n : forall h s, total (S n) h s == total n h s + mass n h s.
  Proof.
    induction n; intros h s.
    - cbn [total mass]. assert (Z : next (fun _ _ => 0) h s == 0).
      { unfold next. rewrite (wsum_same _ (fun a => 0 * 1)); [rewrite wsum_scale; ring|].
        intros a. rewrite (wsum_same _ (fun _ => 0 * 1)) by (intros; ring). rewrite wsum_scale. ring. }
      change (next (total 0) h s) with (next (fun _ _ => 0) h s). rewrite Z. ring.
    - change (total (S (S n)) h s) with (phi s + next (total (S n)) h s).
      rewrite (next_same _ (fun h s => total n h s + mass n h s) h s IHn), next_plus.
      change (total (S n) h s) with (phi s + next (total n) h s).
      change (mass (S n) h s) with (next (mass n) h s). ring.
  Qed.

  Variable w : St -> Q.
  Hypothesis w_nonneg : forall s, 0 <= w s.
  Hypothesis w_step : forall s a, use s a -> phi s + wsum w (P s a) <= w s.

  (* what is visited in all is at most w *)
  Theorem T4_visits n : forall h s, total n h s <= w s.
  Proof.
    induction n; intros h s; cbn [total]; [apply w_nonneg|].
    assert (A : next (total n) h s <= (w s - phi s) * wsum (fun _ => 1) (p h s)).
    { unfold next. apply wsum_ub; [apply p_pos|]. intros a q Ha.
      pose proof (w_step s a (proj2 (p_use h s a q Ha))).
      assert (wsum (total n ((s, a) :: h)) (P s a) <= wsum w (P s a))
        by (apply wsum_mono; [apply P_pos|intros; apply IHn]).
      lra. }
    rewrite p_one in A. lra.
  Qed.

  Lemma mass_vanishes h s eps : 0 < eps ->
    exists N, forall n, (N <= n)%nat -> mass n h s <= eps.
  Proof.
    apply (vanish (fun n => mass n h s) (fun n => total n h s) (w s)).
    - intros n. apply mass_nonneg.
    - reflexivity.
    - intros n. apply total_step.
    - intros n. apply T4_visits.
  Qed.

  Lemma scaled B h s eps : 0 <= B -> 0 < eps ->
    exists N, forall n, (N <= n)%nat -> B * mass n h s <= eps.
  Proof.
    intros HB He. assert (E : 0 < eps / (B + 1)) by (apply Qlt_shift_div_l; lra).
    destruct (mass_vanishes h s _ E) as [N HN]. exists N. intros n Hn.
    specialize (HN n Hn). pose proof (mass_nonneg n h s).
    assert ((B + 1) * mass n h s <= (B + 1) * (eps / (B + 1))) by (apply Qmult_le_l; lra).
    setoid_replace ((B + 1) * (eps / (B + 1))) with eps in H0 by (field; lra). lra.
  Qed.

  (* what discounting takes from a term >= 0 *)
  Lemma discounted x : 0 <= x -> b * x <= x.
  Proof.
    intros H. assert (b * x <= 1 * x) by (apply Qmult_le_compat_r; assumption). lra.
  Qed.

  Section Lower.
    Variables (L : St -> Q) (B : Q).
    Hypothesis B_nonneg : 0 <= B.
    Hypothesis L_phi : forall s, L s <= B * phi s.
    Hypothesis L_step : forall s a, use s a -> L s <= r s a + b * wsum L (P s a).

    Lemma val_lower n : forall h s, L s - B * mass n h s <= val p n h s.
    Proof.
      induction n; intros h s; [simpl; pose proof (L_phi s); lra|].
      assert (A : wsum (fun a => L s + (- B) * wsum (mass n ((s, a) :: h)) (P s a)) (p h s)
                  <= val p (S n) h s).
      { change (val p (S n) h s) with (wsum (fun a => r s a +
          b * wsum (fun s' => val p n ((s, a) :: h) s') (P s a)) (p h s)).
        apply wsum_mono; [apply p_pos|]. intros a q Ha.
        assert (M : wsum (fun s' => L s' + (- B) * mass n ((s, a) :: h) s') (P s a) <=
                    wsum (fun s' => val p n ((s, a) :: h) s') (P s a)).
        { apply wsum_mono; [apply P_pos|]. intros x q' _. pose proof (IHn ((s, a) :: h) x). lra. }
        rewrite wsum_plus, wsum_scale in M.
        set (k := wsum (mass n ((s, a) :: h)) (P s a)) in *.
        assert (0 <= B * k).
        { apply Qmult_le_0_compat; [exact B_nonneg|]. unfold k.
          apply wsum_nonneg; [apply P_pos|]. intros; apply mass_nonneg. }
        pose proof (discounted (B * k) H).
        apply (Qmult_le_l _ _ b b_pos) in M.
        pose proof (L_step s a (proj2 (p_use h s a q Ha))). lra. }
      rewrite wsum_plus, wsum_scale in A.
      assert (E : wsum (fun _ => L s) (p h s) == L s).
      { rewrite (wsum_same _ (fun _ => L s * 1)) by (intros; ring).
        rewrite wsum_scale, p_one. ring. }
      rewrite E in A. change (mass (S n) h s) with (next (mass n) h s). unfold next. lra.
    Qed.

    Theorem T4_reward_lower_ends h s eps : 0 < eps ->
      exists N, forall n, (N <= n)%nat -> L s - eps <= val p n h s.
    Proof.
      intros He. destruct (scaled B h s eps B_nonneg He) as [N HN]. exists N. intros n Hn.
      specialize (HN n Hn). pose proof (val_lower n h s). lra.
    Qed.
  End Lower.

  Section Upper.
    Variables (U : St -> Q) (B : Q).
    Hypothesis B_nonneg : 0 <= B.
    Hypothesis U_phi : forall s, - (B * phi s) <= U s.
    Hypothesis U_step : forall s a, use s a -> r s a + b * wsum U (P s a) <= U s.

    Lemma val_upper n : forall h s, val p n h s <= U s + B * mass n h s.
    Proof.
      induction n; intros h s; [simpl; pose proof (U_phi s); lra|].
      assert (A : val p (S n) h s <=
        wsum (fun a => U s + B * wsum (mass n ((s, a) :: h)) (P s a)) (p h s)).
      { change (val p (S n) h s) with (wsum (fun a => r s a +
          b * wsum (fun s' => val p n ((s, a) :: h) s') (P s a)) (p h s)).
        apply wsum_mono; [apply p_pos|]. intros a q Ha.
        assert (M : wsum (fun s' => val p n ((s, a) :: h) s') (P s a) <=
                    wsum (fun s' => U s' + B * mass n ((s, a) :: h) s') (P s a))
          by (apply wsum_mono; [apply P_pos|intros; apply IHn]).
        rewrite wsum_plus, wsum_scale in M.
        set (k := wsum (mass n ((s, a) :: h)) (P s a)) in *.
        assert (0 <= B * k).
        { apply Qmult_le_0_compat; [exact B_nonneg|]. unfold k.
          apply wsum_nonneg; [apply P_pos|]. intros; apply mass_nonneg. }
        pose proof (discounted (B * k) H).
        apply (Qmult_le_l _ _ b b_pos) in M.
        pose proof (U_step s a (proj2 (p_use h s a q Ha))). lra. }
      rewrite wsum_plus, wsum_scale in A.
      assert (E : wsum (fun _ => U s) (p h s) == U s).
      { rewrite (wsum_same _ (fun _ => U s * 1)) by (intros; ring).
        rewrite wsum_scale, p_one. ring. }
      rewrite E in A. change (mass (S n) h s) with (next (mass n) h s). unfold next. lra.
    Qed.

    Theorem T4_reward_upper_ends h s eps : 0 < eps ->
      exists N, forall n, (N <= n)%nat -> val p n h s <= U s + eps.
    Proof.
      intros He. destruct (scaled B h s eps B_nonneg He) as [N HN]. exists N. intros n Hn.
      specialize (HN n Hn). pose proof (val_upper n h s). lra.
    Qed.
  End Upper.
End Ends.
