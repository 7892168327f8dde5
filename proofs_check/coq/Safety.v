(* L2 and T4 (safety) for finite-support MDPs over Q.
   "Almost surely" = every history reachable through the supports has z >= 0;
   link to exact finite-horizon probabilities in section Prob.
   Costs may depend on s' and may be negative (no sign hypothesis is used until
   stated); gamma is any rational > 0 unless stated. *)
Require Import QArith Qfield Lqa Lia List Qminmax.
From IGTheory Require Import Budget.
Import ListNotations.
Open Scope Q_scope.

Section MDP.
  Variables St Act : Type.
  Variable acts : St -> list Act.
  Variable succ : St -> Act -> list St.
  Variable c : St -> Act -> St -> Q.
  Variable g : Q.
  Hypothesis g_pos : 0 < g.

  Definition znext (z : Q) s a s' : Q := (z - c s a s') / g.

  Lemma znext_ge x z s a s' : x <= znext z s a s' <-> c s a s' + g * x <= z.
  Proof. unfold znext. rewrite (div_ge_iff g x _ g_pos). split; intros; lra. Qed.

  (* ---------- greatest fixed point ---------- *)
  Definition step_safe (X : St -> Q -> Prop) s z : Prop :=
    0 <= z /\ exists a, In a (acts s) /\ forall s', In s' (succ s a) -> X s' (znext z s a s').

  Definition Safe s z : Prop :=
    exists X : St -> Q -> Prop, X s z /\ forall s z, X s z -> step_safe X s z.

  Lemma step_mono (X Y : St -> Q -> Prop) :
    (forall s z, X s z -> Y s z) -> forall s z, step_safe X s z -> step_safe Y s z.
  Proof. intros H s z [Hz [a [Ha Hs]]]. split; [exact Hz|]. exists a; split; auto. Qed.

  Theorem Safe_unfold s z : Safe s z <-> step_safe Safe s z.
  Proof.
    split.
    - intros [X [HX HS]]. apply (step_mono X); [|apply HS, HX].
      intros s1 z1 H1. exists X; auto.
    - intros H. exists (step_safe Safe); split; [exact H|].
      apply step_mono. intros s1 z1 [X [HX HS]].
      apply (step_mono X); [|apply HS, HX]. intros s2 z2 H2. exists X; auto.
  Qed.

  (* ---------- history-dependent, randomised policies (by support) ---------- *)
  Definition hist := list (St * Act).
  Fixpoint zof (z0 : Q) (h : hist) (s : St) : Q :=
    match h with [] => z0 | (s1, a1) :: h' => znext (zof z0 h' s1) s1 a1 s end.

  Definition policy := hist -> St -> Act -> Prop.

  Inductive reach (p : policy) (s0 : St) : hist -> St -> Prop :=
  | reach0 : reach p s0 [] s0
  | reachS h s a s' : reach p s0 h s -> p h s a -> In s' (succ s a) ->
                      reach p s0 ((s, a) :: h) s'.

  Definition surely_safe (p : policy) s0 z0 : Prop :=
    forall h s, reach p s0 h s ->
      (exists a, p h s a) /\ (forall a, p h s a -> In a (acts s)) /\ 0 <= zof z0 h s.

  Theorem L2_gfp s0 z0 : Safe s0 z0 <-> exists p, surely_safe p s0 z0.
  Proof.
    split.
    - intros H0.
      exists (fun h s a => In a (acts s) /\
                forall s', In s' (succ s a) -> Safe s' (znext (zof z0 h s) s a s')).
      assert (K : forall h s, reach (fun h s a => In a (acts s) /\
                forall s', In s' (succ s a) -> Safe s' (znext (zof z0 h s) s a s')) s0 h s ->
                Safe s (zof z0 h s)).
      { intros h s R. induction R as [|h s a s' R IH [Ha Hs] Hin]; simpl; auto. }
      intros h s R. apply K in R. apply Safe_unfold in R. destruct R as [Hz [a [Ha Hs]]].
      repeat split; [exists a; auto | intros b [Hb _]; exact Hb | exact Hz].
    - intros [p Hp].
      exists (fun s z => exists h, reach p s0 h s /\ zof z0 h s = z). split.
      + exists []. split; [constructor|reflexivity].
      + intros s z [h [R <-]]. destruct (Hp h s R) as [[a Ha] [Hacts Hz]].
        split; [exact Hz|]. exists a; split; [apply Hacts, Ha|].
        intros s' Hs'. exists ((s, a) :: h). split; [econstructor; eauto|reflexivity].
  Qed.

  (* ---------- finite-horizon iterates and the demand function D ---------- *)
  Fixpoint W (n : nat) : St -> Q -> Prop :=
    match n with O => fun _ z => 0 <= z | S n => step_safe (W n) end.

  Definition ole (o : option Q) (z : Q) : Prop :=
    match o with None => False | Some d => d <= z end.
  Definition omin a b :=
    match a, b with None, o => o | o, None => o | Some x, Some y => Some (Qmin x y) end.
  Definition omax a b :=
    match a, b with Some x, Some y => Some (Qmax x y) | _, _ => None end.
  Definition oaff k o := match o with None => None | Some x => Some (k + g * x) end.

  Lemma ole_min a b z : ole (omin a b) z <-> ole a z \/ ole b z.
  Proof. destruct a, b; simpl; try tauto. rewrite Q.min_le_iff. tauto. Qed.
  Lemma ole_max a b z : ole (omax a b) z <-> ole a z /\ ole b z.
  Proof. destruct a, b; simpl; try tauto. rewrite Q.max_lub_iff. tauto. Qed.
  Lemma ole_aff o z s a s' : ole (oaff (c s a s') o) z <-> ole o (znext z s a s').
  Proof. destruct o; simpl; [|tauto]. rewrite znext_ge; tauto. Qed.

  (* TD(s) = min_a max(0, max_{s'} [c(s,a,s') + g D(s')]);  None = +infinity *)
  Definition T (D : St -> option Q) (s : St) : option Q :=
    fold_right (fun a m => omin
      (fold_right (fun s' m => omax (oaff (c s a s') (D s')) m) (Some 0) (succ s a)) m)
      None (acts s).

  Lemma T_spec D s z : ole (T D s) z <-> step_safe (fun s z => ole (D s) z) s z.
  Proof.
    unfold T, step_safe.
    assert (M : forall a l, ole (fold_right (fun s' m => omax (oaff (c s a s') (D s')) m) (Some 0) l) z
              <-> 0 <= z /\ forall s', In s' l -> ole (D s') (znext z s a s')).
    { intros a l. induction l as [|x l IH]; simpl.
      - split; [intros H; split; [exact H|tauto]|tauto].
      - rewrite ole_max, IH, ole_aff. split.
        + intros [H1 [H2 H3]]. split; [exact H2|]. intros s' [->|H]; auto.
        + intros [H1 H2]. repeat split; auto. }
    induction (acts s) as [|a l IH]; simpl.
    - split; [tauto|]. intros [_ [a [[] _]]].
    - rewrite ole_min, M, IH. split.
      + intros [[H1 H2]|[H1 [b [Hb H2]]]]; split; auto; [exists a|exists b]; auto.
      + intros [H1 [b [[->|Hb] H2]]]; [left|right]; eauto.
  Qed.

  Fixpoint Dn (n : nat) : St -> option Q :=
    match n with O => fun _ => Some 0 | S n => T (Dn n) end.

  Theorem W_Dn n : forall s z, W n s z <-> ole (Dn n s) z.
  Proof.
    induction n; intros s z; simpl; [tauto|]. rewrite T_spec.
    split; apply step_mono; intros; apply IHn; assumption.
  Qed.

  Lemma W_anti n : forall s z, W (S n) s z -> W n s z.
  Proof.
    induction n; intros s z H; [apply H|]. simpl in H |- *.
    revert H. apply step_mono. exact IHn.
  Qed.

  Lemma W_anti_le n m s z : (n <= m)%nat -> W m s z -> W n s z.
  Proof. induction 1; auto using W_anti. Qed.

  (* necessity: a safe policy exists only above every iterate, hence above sup_n D_n *)
  Theorem L2_necessary s z : Safe s z -> forall n, ole (Dn n s) z.
  Proof.
    intros H n. apply W_Dn. revert s z H.
    induction n; intros s z H; apply Safe_unfold in H; [apply H|].
    simpl. revert H. apply step_mono. exact IHn.
  Qed.

  (* sufficiency, certificate form: any pre-fixed point T D <= D *)
  Theorem L2_prefixed (D : St -> option Q) :
    (forall s z, ole (D s) z -> ole (T D s) z) ->
    forall s z, ole (D s) z -> Safe s z.
  Proof.
    intros HD s z H. exists (fun s z => ole (D s) z). split; [exact H|].
    intros s1 z1 H1. apply T_spec, HD, H1.
  Qed.

  (* D is the least pre-fixed point: sup_n D_n <= every pre-fixed D *)
  Theorem L2_least (D : St -> option Q) :
    (forall s z, ole (D s) z -> ole (T D s) z) ->
    forall n s z, ole (D s) z -> ole (Dn n s) z.
  Proof. intros HD n s z H. apply L2_necessary. eapply L2_prefixed; eauto. Qed.

  (* ---------- T4: certificates ---------- *)
  Definition cert (D : St -> option Q) (pol : St -> Act) : Prop :=
    forall s d, D s = Some d ->
      0 <= d /\ In (pol s) (acts s) /\
      forall s', In s' (succ s (pol s)) ->
        exists d', D s' = Some d' /\ c s (pol s) s' + g * d' <= d.

  Definition memoryless (pol : St -> Act) : policy := fun _ s a => a = pol s.

  Theorem T4_cert D pol : cert D pol ->
    forall s0 z0 d, D s0 = Some d -> d <= z0 -> surely_safe (memoryless pol) s0 z0.
  Proof.
    intros HC s0 z0 d0 H0 Hz0.
    assert (K : forall h s, reach (memoryless pol) s0 h s ->
                exists d, D s = Some d /\ d <= zof z0 h s).
    { intros h s R. induction R as [|h s a s' R [d [Hd Hz]] Hp Hin]; [eauto|].
      unfold memoryless in Hp; subst a. destruct (HC s d Hd) as [_ [_ Hs]].
      destruct (Hs s' Hin) as [d' [Hd' Hle]]. exists d'; split; [exact Hd'|].
      simpl. apply znext_ge. lra. }
    intros h s R. destruct (K h s R) as [d [Hd Hz]].
    destruct (HC s d Hd) as [H1 [H2 _]]. repeat split.
    - exists (pol s); reflexivity.
    - intros a ->. exact H2.
    - lra.
  Qed.

  (* shield: any policy, randomised and history-dependent, that only ever
     supports actions keeping D(s') <= z' is safe *)
  Theorem T4_shield (D : St -> option Q) (p : policy) s0 z0 :
    (forall s d, D s = Some d -> 0 <= d) ->
    ole (D s0) z0 ->
    (forall h s, reach p s0 h s -> exists a, p h s a) ->
    (forall h s a, p h s a -> In a (acts s) /\
        forall s', In s' (succ s a) -> ole (D s') (znext (zof z0 h s) s a s')) ->
    surely_safe p s0 z0.
  Proof.
    intros Hpos H0 Hne Hp.
    assert (K : forall h s, reach p s0 h s -> ole (D s) (zof z0 h s)).
    { intros h s R. induction R; [exact H0|]. simpl. eapply Hp; eauto. }
    intros h s R. repeat split; [apply Hne, R | intros a Ha; apply (Hp h s a Ha) |].
    apply K in R. destruct (D s) as [d|] eqn:E; [|destruct R].
    simpl in R. pose proof (Hpos s d E). lra.
  Qed.

  (* lower certificate, discounted case: unavoidable demand *)
  Definition lcert (L : St -> Q) : Prop :=
    forall s a, In a (acts s) -> exists s', In s' (succ s a) /\ L s <= c s a s' + g * L s'.

  Lemma lcert_W L M : lcert L -> 0 <= M -> (forall s, L s <= M) ->
    forall n s z, W n s z -> L s - qpow g n * M <= z.
  Proof.
    intros HL HM HB. induction n; intros s z HW; simpl in *.
    - pose proof (HB s). lra.
    - destruct HW as [Hz [a [Ha Hs]]]. destruct (HL s a Ha) as [s' [Hin Hle]].
      specialize (IHn s' _ (Hs s' Hin)). apply znext_ge in IHn.
      setoid_replace (g * qpow g n * M) with (g * (qpow g n * M)) by ring. lra.
  Qed.

  Lemma bernoulli (x : Q) n : 0 <= x -> 1 + inject_Z (Z.of_nat n) * x <= qpow (1 + x) n.
  Proof.
    intros Hx. induction n; [change (inject_Z (Z.of_nat 0)) with 0; simpl; lra|].
    rewrite Nat2Z.inj_succ, <- Z.add_1_r, inject_Z_plus. simpl qpow.
    set (k := inject_Z (Z.of_nat n)) in *.
    assert (0 <= k) by (unfold k; change 0 with (inject_Z 0); rewrite <- Zle_Qle; lia).
    assert ((1 + x) * (1 + k * x) <= (1 + x) * qpow (1 + x) n)
      by (apply Qmult_le_l; [lra|assumption]).
    assert (0 <= k * x * x) by (apply Qmult_le_0_compat; [apply Qmult_le_0_compat|]; assumption).
    change (inject_Z 1) with 1. lra.
  Qed.

  Lemma qpow_inv n : qpow g n * qpow (1 / g) n == 1.
  Proof.
    induction n; simpl; [ring|].
    setoid_replace (g * qpow g n * (1 / g * qpow (1 / g) n))
      with (qpow g n * qpow (1 / g) n) by (field; lra). exact IHn.
  Qed.

  Lemma qpow_small M e : g < 1 -> 0 <= M -> 0 < e -> exists n, qpow g n * M < e.
  Proof.
    intros Hg HM He.
    set (x := 1 / g - 1).
    assert (Hx : 0 < x).
    { unfold x. assert (1 < 1 / g) by (apply Qlt_shift_div_l; lra). lra. }
    destruct (Qarchimedean (M / (x * e))) as [p Hp].
    assert (Hxe : 0 < x * e) by (apply Qmult_lt_0_compat; assumption).
    exists (Pos.to_nat p).
    pose proof (bernoulli x (Pos.to_nat p) (Qlt_le_weak _ _ Hx)) as B.
    rewrite positive_nat_Z in B.
    change (inject_Z (Z.pos p)) with (Z.pos p # 1) in B.
    set (P := Z.pos p # 1) in *.
    assert (HM2 : M < P * (x * e)).
    { setoid_replace M with (M / (x * e) * (x * e)) by (field; lra).
      apply Qmult_lt_r; assumption. }
    assert (G : qpow (1 / g) (Pos.to_nat p) == qpow (1 + x) (Pos.to_nat p)).
    { assert (E : 1 / g == 1 + x) by (unfold x; ring).
      generalize (Pos.to_nat p). induction n; simpl; [reflexivity|].
      rewrite IHn. rewrite E. reflexivity. }
    pose proof (qpow_inv (Pos.to_nat p)) as I. rewrite G in I.
    set (q := qpow g (Pos.to_nat p)) in *. set (Q1 := qpow (1 + x) (Pos.to_nat p)) in *.
    assert (Hq : 0 < q) by (apply qpow_pos; assumption).
    assert (H1 : P * x * e <= Q1 * e) by (apply Qmult_le_r; lra).
    assert (H2 : M < Q1 * e) by lra.
    assert (H3 : q * M < q * (Q1 * e)) by (apply Qmult_lt_l; assumption).
    setoid_replace (q * (Q1 * e)) with ((q * Q1) * e) in H3 by ring.
    rewrite I in H3. lra.
  Qed.

  Theorem T4_lower L M : g < 1 -> lcert L -> (forall s, L s <= M) ->
    forall s z, Safe s z -> L s <= z.
  Proof.
    intros Hg HL HB s z H.
    destruct (Qlt_le_dec z (L s)) as [N|]; [exfalso|assumption].
    set (M' := Qmax M 0).
    assert (HB' : forall s, L s <= M').
    { intros t. eapply Qle_trans; [apply HB|]. apply Q.le_max_l. }
    destruct (qpow_small M' (L s - z) Hg (Q.le_max_r _ _)) as [n Hn]; [lra|].
    assert (HW : W n s z) by (apply W_Dn, L2_necessary, H).
    pose proof (lcert_W L M' HL (Q.le_max_r _ _) HB' n s z HW). lra.
  Qed.

  (* lower certificate valid also for g = 1: a rank forces progress *)
  Definition lcert_rank (L : St -> Q) (rk : St -> nat) (delta : Q) : Prop :=
    forall s a, In a (acts s) -> L s <= 0 \/
      exists s', In s' (succ s a) /\ 0 <= c s a s' /\ L s <= c s a s' + g * L s' /\
                 (delta <= c s a s' \/ (rk s' < rk s)%nat).

  Lemma lcert_rank_W L rk delta R : g == 1 -> 0 < delta ->
    lcert_rank L rk delta -> (forall s, (rk s <= R)%nat) ->
    forall k j s z, (rk s <= j)%nat -> z < inject_Z (Z.of_nat k) * delta ->
      W (k * S R + j) s z -> L s <= z.
  Proof.
    intros Hg Hd HL HR. induction k as [|k IHk].
    - intros j s z _ Hz HW. exfalso.
      assert (0 <= z) by (destruct (0 * S R + j)%nat; [exact HW|apply HW]).
      change (inject_Z (Z.of_nat 0)) with 0 in Hz. lra.
    - induction j as [|j IHj]; intros s z Hj Hz HW.
      + (* rank 0: next step must pay at least delta *)
        replace (S k * S R + 0)%nat with (S (k * S R + R)) in HW by lia.
        destruct HW as [H0 [a [Ha Hs]]].
        destruct (HL s a Ha) as [|[s' [Hin [Hc [Hle [Hdl|Hrk]]]]]]; [lra| |lia].
        assert (HL' : L s' <= znext z s a s').
        { apply (IHk R); [apply HR| |apply Hs, Hin].
          unfold znext. rewrite Hg.
          rewrite Nat2Z.inj_succ, <- Z.add_1_r, inject_Z_plus in Hz.
          change (inject_Z 1) with 1 in Hz.
          setoid_replace ((z - c s a s') / 1) with (z - c s a s') by field. lra. }
        apply znext_ge in HL'. lra.
      + replace (S k * S R + S j)%nat with (S (S k * S R + j)) in HW by lia.
        destruct HW as [H0 [a [Ha Hs]]].
        destruct (HL s a Ha) as [|[s' [Hin [Hc [Hle Hpr]]]]]; [lra|].
        assert (Z1 : znext z s a s' == z - c s a s')
          by (unfold znext; rewrite Hg; field).
        assert (HL' : L s' <= znext z s a s').
        { destruct Hpr as [Hdl|Hrk].
          - apply (IHk R); [apply HR| |].
            + rewrite Z1. rewrite Nat2Z.inj_succ, <- Z.add_1_r, inject_Z_plus in Hz.
              change (inject_Z 1) with 1 in Hz. lra.
            + apply (W_anti_le _ (S k * S R + j)); [lia|apply Hs, Hin].
          - apply IHj; [lia| |apply Hs, Hin]. rewrite Z1. lra. }
        apply znext_ge in HL'. lra.
  Qed.

  Theorem T4_lower_rank L rk delta R : g == 1 -> 0 < delta ->
    lcert_rank L rk delta -> (forall s, (rk s <= R)%nat) ->
    forall s z, Safe s z -> L s <= z.
  Proof.
    intros Hg Hd HL HR s z H.
    destruct (Qarchimedean (z / delta)) as [p Hp].
    assert (Hz : z < inject_Z (Z.of_nat (Pos.to_nat p)) * delta).
    { rewrite positive_nat_Z. change (inject_Z (Z.pos p)) with (Z.pos p # 1).
      setoid_replace z with (z / delta * delta) by (field; lra).
      apply Qmult_lt_r; assumption. }
    apply (lcert_rank_W L rk delta R Hg Hd HL HR (Pos.to_nat p) R s z (HR s) Hz).
    apply W_Dn, L2_necessary, H.
  Qed.

  (* exact characterisation for g < 1 from a two-sided certificate *)
  Theorem L2_exact (D : St -> Q) pol M : g < 1 ->
    cert (fun s => Some (D s)) pol -> lcert D -> (forall s, D s <= M) ->
    forall s z, Safe s z <-> D s <= z.
  Proof.
    intros Hg HC HL HB s z; split.
    - apply (T4_lower D M Hg HL HB).
    - intros H. apply L2_gfp. exists (memoryless pol). eapply T4_cert; eauto.
  Qed.

  (* ---------- exact rational probabilities ---------- *)
  Section Prob.
    Variable P : St -> Act -> list (St * Q).     (* listed = support *)
    Hypothesis P_pos : forall s a s' q, In (s', q) (P s a) -> 0 < q.
    Hypothesis P_succ : forall s a s', In s' (succ s a) <-> exists q, In (s', q) (P s a).

    Definition rpolicy := hist -> St -> list (Act * Q).
    Definition psupp (r : rpolicy) : policy := fun h s a => exists w, In (a, w) (r h s).
    Definition wsum {A} (f : A -> Q) (l : list (A * Q)) : Q :=
      fold_right (fun x m => snd x * f (fst x) + m) 0 l.

    (* probability of seeing z < 0 within the next n steps *)
    Fixpoint viol (r : rpolicy) (n : nat) (h : hist) (s : St) (z : Q) : Q :=
      if Qlt_le_dec z 0 then 1 else
      match n with
      | O => 0
      | S n => wsum (fun a => wsum (fun s' =>
                 viol r n ((s, a) :: h) s' (znext z s a s')) (P s a)) (r h s)
      end.

    Inductive bad (r : rpolicy) : nat -> hist -> St -> Q -> Prop :=
    | bad_now n h s z : z < 0 -> bad r n h s z
    | bad_step n h s z a w s' : In (a, w) (r h s) -> In s' (succ s a) ->
        bad r n ((s, a) :: h) s' (znext z s a s') -> bad r (S n) h s z.

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

    Variable r : rpolicy.
    Hypothesis r_pos : forall h s a w, In (a, w) (r h s) -> 0 < w.

    Lemma viol_nonneg n : forall h s z, 0 <= viol r n h s z.
    Proof.
      induction n; intros h s z; simpl; destruct (Qlt_le_dec z 0); try lra.
      apply wsum_nonneg; [apply r_pos|]. intros a.
      apply wsum_nonneg; [apply P_pos|]. intros s'. apply IHn.
    Qed.

    Lemma viol_bad n : forall h s z, 0 < viol r n h s z <-> bad r n h s z.
    Proof.
      induction n; intros h s z; simpl; destruct (Qlt_le_dec z 0) as [L|L].
      - split; [intros _; constructor; exact L|lra].
      - split; [lra|]. inversion 1; lra.
      - split; [intros _; constructor; exact L|lra].
      - rewrite wsum_pos; [|apply r_pos|].
        2:{ intros a. apply wsum_nonneg; [apply P_pos|]. intros; apply viol_nonneg. }
        split.
        + intros [a [w [Hin H]]]. apply wsum_pos in H; [|apply P_pos|intros; apply viol_nonneg].
          destruct H as [s' [q [Hs' H]]]. eapply bad_step; [exact Hin| |apply IHn, H].
          apply P_succ. eauto.
        + inversion 1; [lra|]. subst. apply P_succ in H2. destruct H2 as [q Hq].
          exists a, w. split; [assumption|]. apply wsum_pos; [apply P_pos|intros; apply viol_nonneg|].
          exists s', q. split; [exact Hq|]. apply IHn. assumption.
    Qed.

    Lemma bad_reach s0 z0 n h s z : bad r n h s z ->
      reach (psupp r) s0 h s -> z = zof z0 h s ->
      exists h' s', reach (psupp r) s0 h' s' /\ zof z0 h' s' < 0.
    Proof.
      induction 1 as [n h s z Hz | n h s z a w s' Ha Hs' Hb IH]; intros R E.
      - exists h, s. subst; auto.
      - apply IH; [|subst; reflexivity]. econstructor; eauto. exists w; exact Ha.
    Qed.

    Lemma reach_bad s0 z0 h s : reach (psupp r) s0 h s -> forall n,
      bad r n h s (zof z0 h s) -> exists m, bad r m [] s0 z0.
    Proof.
      induction 1 as [|h s a s' R IH [w Hw] Hs']; intros n Hb; [exists n; exact Hb|].
      apply (IH (S n)). eapply bad_step; eauto.
    Qed.

    (* Probability of violation within n steps is 0 for all n
       <-> every history of the supports has z >= 0 *)
    Theorem prob_zero_iff s0 z0 :
      (forall n, viol r n [] s0 z0 == 0) <->
      (forall h s, reach (psupp r) s0 h s -> 0 <= zof z0 h s).
    Proof.
      split.
      - intros H h s R. destruct (Qlt_le_dec (zof z0 h s) 0) as [L|]; [exfalso|assumption].
        destruct (reach_bad s0 z0 h s R 0 (bad_now r 0 h s _ L)) as [m Hm].
        apply viol_bad in Hm. pose proof (H m). lra.
      - intros H n. pose proof (viol_nonneg n [] s0 z0).
        destruct (Qlt_le_dec 0 (viol r n [] s0 z0)) as [L|]; [exfalso|lra].
        apply viol_bad in L.
        destruct (bad_reach s0 z0 n [] s0 z0 L (reach0 _ _) eq_refl) as [h [s [R N]]].
        pose proof (H h s R). lra.
    Qed.
  End Prob.

  (* T4 in probability form: the certified policy has violation probability 0
     at every horizon, whatever the (positive) probabilities on the supports *)
  Theorem T4_prob (P : St -> Act -> list (St * Q)) D pol :
    (forall s a s' q, In (s', q) (P s a) -> 0 < q) ->
    (forall s a s', In s' (succ s a) <-> exists q, In (s', q) (P s a)) ->
    cert D pol -> forall s0 z0 d, D s0 = Some d -> d <= z0 ->
    forall n, viol P (fun _ s => [(pol s, 1)]) n [] s0 z0 == 0.
  Proof.
    intros HP HS HC s0 z0 d H0 Hz.
    apply (proj2 (prob_zero_iff P HP HS (fun _ s => [(pol s, 1)])
       ltac:(intros h s a w [E|[]]; inversion E; lra) s0 z0)).
    intros h s R. apply (T4_cert D pol HC s0 z0 d H0 Hz).
    induction R as [|h s a s' R IH [w [E|[]]] Hin]; [constructor|].
    inversion E; subst. econstructor; [exact IH|reflexivity|exact Hin].
  Qed.

  (* ---------- T3: rounded safety games ---------- *)
  Section Rounded.
    Variable rd : Q -> Q.
    Definition step_rd (X : St -> Q -> Prop) s z : Prop :=
      0 <= z /\ exists a, In a (acts s) /\ forall s', In s' (succ s a) -> X s' (rd (znext z s a s')).
    Definition SafeRd s z : Prop :=
      exists X : St -> Q -> Prop, X s z /\ forall s z, X s z -> step_rd X s z.

    Lemma SafeRd_unfold s z : SafeRd s z -> step_rd SafeRd s z.
    Proof.
      intros [X [HX HS]]. destruct (HS s z HX) as [Hz [a [Ha Hs]]].
      split; [exact Hz|]. exists a; split; [exact Ha|]. intros s' H. exists X; auto.
    Qed.

    Theorem T3_down : (forall x, rd x <= x) ->
      forall s z y, SafeRd s z -> z <= y -> Safe s y.
    Proof.
      intros Hrd s z y H Hy.
      exists (fun s y => exists z, SafeRd s z /\ z <= y). split; [eauto|].
      intros s1 y1 [z1 [H1 L1]]. apply SafeRd_unfold in H1. destruct H1 as [Hz [a [Ha Hs]]].
      split; [lra|]. exists a; split; [exact Ha|]. intros s' Hs'.
      exists (rd (znext z1 s1 a s')). split; [auto|].
      eapply Qle_trans; [apply Hrd|]. apply div_le_mono; [exact g_pos|lra].
    Qed.

    Theorem T3_up : (forall x, x <= rd x) -> (forall x y, x <= y -> rd x <= rd y) ->
      forall s z y, Safe s z -> z <= y -> SafeRd s y.
    Proof.
      intros Hrd Hm s z y H Hy.
      exists (fun s y => exists z, Safe s z /\ z <= y). split; [eauto|].
      intros s1 y1 [z1 [H1 L1]]. apply Safe_unfold in H1. destruct H1 as [Hz [a [Ha Hs]]].
      split; [lra|]. exists a; split; [exact Ha|]. intros s' Hs'.
      exists (znext z1 s1 a s'). split; [auto|].
      eapply Qle_trans; [|apply Hrd]. apply div_le_mono; [exact g_pos|lra].
    Qed.

    (* gap: D + g h/(1-g) suffices for the rounded-down game *)
    Theorem T3_gap (D : St -> option Q) pol h : g < 1 -> 0 <= h ->
      (forall x, x - h <= rd x) -> cert D pol ->
      forall s z d, D s = Some d -> d + g * h / (1 - g) <= z -> SafeRd s z.
    Proof.
      intros Hg Hh Hrd HC s z d Hd Hz.
      set (e := g * h / (1 - g)).
      assert (He0 : 0 <= e).
      { unfold e. apply Qle_shift_div_l; [lra|].
        assert (0 <= g * h) by (apply Qmult_le_0_compat; lra). lra. }
      assert (Ee : g * h + g * e == e) by (unfold e; field; lra).
      exists (fun s z => exists d, D s = Some d /\ d + e <= z). split; [eauto|].
      intros s1 z1 [d1 [Hd1 Hz1]]. destruct (HC s1 d1 Hd1) as [P1 [P2 P3]].
      split; [lra|]. exists (pol s1); split; [exact P2|]. intros s' Hs'.
      destruct (P3 s' Hs') as [d' [Hd' Hle]]. exists d'; split; [exact Hd'|].
      eapply Qle_trans; [|apply Hrd].
      assert (d' + e + h <= znext z1 s1 (pol s1) s').
      { apply znext_ge. setoid_replace (g * (d' + e + h)) with (g * d' + (g * h + g * e)) by ring.
        rewrite Ee. lra. }
      lra.
    Qed.
  End Rounded.
End MDP.

(* ---------- completeness of the iteration (classical) ---------- *)
Require Import Classical.
Section Complete.
  Variables St Act : Type.
  Variable acts : St -> list Act.
  Variable succ : St -> Act -> list St.
  Variable c : St -> Act -> St -> Q.
  Variable g : Q.
  Hypothesis g_pos : 0 < g.
  Notation W := (W St Act acts succ c g).
  Notation Safe := (Safe St Act acts succ c g).

  Theorem L2_complete s z : Safe s z <-> forall n, ole (Dn St Act acts succ c g n s) z.
  Proof.
    split; [apply L2_necessary; exact g_pos|].
    intros H. exists (fun s z => forall n, W n s z). split.
    - intros n. apply W_Dn; [exact g_pos|]. apply H.
    - clear s z H. intros s z H. split; [apply (H 0%nat)|].
      apply NNPP; intros N.
      assert (B : forall l, (forall a, In a l -> In a (acts s)) -> exists n, forall a, In a l ->
        exists s', In s' (succ s a) /\ ~ W n s' (znext St Act c g z s a s')).
      { induction l as [|a l IH]; intros Hl.
        - exists 0%nat. intros a [].
        - destruct IH as [n Hn]; [intros; apply Hl; right; assumption|].
          assert (exists s', In s' (succ s a) /\ exists m, ~ W m s' (znext St Act c g z s a s')) as [s' [Hs' [m Hm]]].
          { apply NNPP; intros N2. apply N. exists a. split; [apply Hl; left; reflexivity|].
            intros s' Hs' m. apply NNPP; intros N3. apply N2. eauto. }
          exists (n + m)%nat. intros b [->|Hb].
          + exists s'; split; [exact Hs'|]. intros K. apply Hm.
            revert K. apply W_anti_le. lia.
          + destruct (Hn b Hb) as [t [Ht K]]. exists t; split; [exact Ht|]. intros K2. apply K.
            revert K2. apply W_anti_le. lia. }
      destruct (B (acts s) (fun a h => h)) as [n Hn].
      destruct (H (S n)) as [_ [a [Ha Hs]]]. destruct (Hn a Ha) as [s' [Hs' K]].
      apply K, Hs, Hs'.
  Qed.
End Complete.


(* ---------- L2 in probability form ---------- *)
Section L2Prob.
  Variables St Act : Type.
  Variable acts : St -> list Act.
  Variable succ : St -> Act -> list St.
  Variable c : St -> Act -> St -> Q.
  Variable g : Q.
  Hypothesis g_pos : 0 < g.
  Variable P : St -> Act -> list (St * Q).
  Hypothesis P_pos : forall s a s' q, In (s', q) (P s a) -> 0 < q.
  Hypothesis P_succ : forall s a s', In s' (succ s a) <-> exists q, In (s', q) (P s a).

  (* a randomised history-dependent policy: positive weights summing to 1 on enabled actions *)
  Definition rvalid (r : rpolicy St Act) : Prop :=
    forall h s, (forall a w, In (a, w) (r h s) -> 0 < w /\ In a (acts s)) /\
                wsum (fun _ => 1) (r h s) == 1.

  Theorem L2_prob_necessary r s0 z0 : rvalid r ->
    (forall n, viol St Act c g P r n [] s0 z0 == 0) -> Safe St Act acts succ c g s0 z0.
  Proof.
    intros Hr H. apply L2_gfp. exists (psupp St Act r).
    assert (r_pos : forall h s a w, In (a, w) (r h s) -> 0 < w)
      by (intros h s a w Hin; apply (proj1 (Hr h s)) in Hin; tauto).
    pose proof (proj1 (prob_zero_iff St Act succ c g P P_pos P_succ r r_pos s0 z0) H) as K.
    intros h s R. repeat split; [| |apply K, R].
    - destruct (Hr h s) as [_ E]. destruct (r h s) as [|[a w] l] eqn:El.
      + simpl in E. lra.
      + exists a, w. rewrite El. left; reflexivity.
    - intros a [w Hw]. apply (proj1 (Hr h s)) in Hw. tauto.
  Qed.
End L2Prob.

Require Import ClassicalEpsilon.
Section L2ProbSuff.
  Variables St Act : Type.
  Variable acts : St -> list Act.
  Variable succ : St -> Act -> list St.
  Variable c : St -> Act -> St -> Q.
  Variable g : Q.
  Hypothesis g_pos : 0 < g.
  Variable P : St -> Act -> list (St * Q).
  Hypothesis P_pos : forall s a s' q, In (s', q) (P s a) -> 0 < q.
  Hypothesis P_succ : forall s a s', In s' (succ s a) <-> exists q, In (s', q) (P s a).
  Variable a0 : St -> Act.
  Hypothesis a0_ok : forall s, In (a0 s) (acts s).

  (* deterministic, Markov in (s,z) *)
  Theorem L2_prob_sufficient s0 z0 : Safe St Act acts succ c g s0 z0 ->
    exists f : St -> Q -> Act, (forall s z, In (f s z) (acts s)) /\
      forall n, viol St Act c g P (fun h s => [(f s (zof St Act c g z0 h s), 1)]) n [] s0 z0 == 0.
  Proof.
    intros H0.
    assert (F : forall s z, exists a, In a (acts s) /\ (Safe St Act acts succ c g s z ->
       forall s', In s' (succ s a) -> Safe St Act acts succ c g s' (znext St Act c g z s a s'))).
    { intros s z. destruct (classic (Safe St Act acts succ c g s z)) as [Y|N].
      - pose proof Y as Y2. apply Safe_unfold in Y2. destruct Y2 as [_ [a [Ha Hs]]]. exists a; auto.
      - exists (a0 s). split; [apply a0_ok|]. intros; contradiction. }
    set (f := fun s z => proj1_sig (constructive_indefinite_description _ (F s z))).
    assert (Hf : forall s z, In (f s z) (acts s) /\ (Safe St Act acts succ c g s z ->
       forall s', In s' (succ s (f s z)) -> Safe St Act acts succ c g s' (znext St Act c g z s (f s z) s'))).
    { intros s z. unfold f. destruct (constructive_indefinite_description _ (F s z)) as [a Ha]. exact Ha. }
    exists f. split; [intros; apply Hf|].
    set (r := fun h s => [(f s (zof St Act c g z0 h s), 1)]).
    assert (r_pos : forall h s a w, In (a, w) (r h s) -> 0 < w)
      by (intros h s a w [E|[]]; inversion E; lra).
    apply (proj2 (prob_zero_iff St Act succ c g P P_pos P_succ r r_pos s0 z0)).
    assert (K : forall h s, reach St Act succ (psupp St Act r) s0 h s ->
              Safe St Act acts succ c g s (zof St Act c g z0 h s)).
    { intros h s R. induction R as [|h s a s' R IH [w [E|[]]] Hin]; [exact H0|].
      inversion E; subst. simpl. apply Hf; assumption. }
    intros h s R. apply K in R. apply Safe_unfold in R. apply R.
  Qed.
End L2ProbSuff.

(* ---------- several constraints: finite antichains of demand vectors ---------- *)
Section Multi.
  Variables St Act I : Type.
  Variable acts : St -> list Act.
  Variable succ : St -> Act -> list St.
  Variable c : I -> St -> Act -> St -> Q.
  Variable g : I -> Q.
  Hypothesis g_pos : forall i, 0 < g i.

  Definition SafeV s (z : I -> Q) : Prop :=
    exists X : St -> (I -> Q) -> Prop, X s z /\ forall s z, X s z ->
      (forall i, 0 <= z i) /\ exists a, In a (acts s) /\ forall s', In s' (succ s a) ->
        X s' (fun i => (z i - c i s a s') / g i).

  Theorem multi_cert (U : St -> list (I -> Q)) :
    (forall s u, In u (U s) -> (forall i, 0 <= u i) /\ exists a, In a (acts s) /\
       forall s', In s' (succ s a) -> exists u', In u' (U s') /\
         forall i, c i s a s' + g i * u' i <= u i) ->
    forall s z u, In u (U s) -> (forall i, u i <= z i) -> SafeV s z.
  Proof.
    intros HU s z u Hu Hz.
    exists (fun s z => exists u, In u (U s) /\ forall i, u i <= z i). split; [eauto|].
    intros s1 z1 [u1 [H1 L1]]. destruct (HU s1 u1 H1) as [P1 [a [Ha Hs]]]. split.
    - intros i. eapply Qle_trans; [apply P1|apply L1].
    - exists a; split; [exact Ha|]. intros s' Hs'. destruct (Hs s' Hs') as [u' [Hu' Hle]].
      exists u'; split; [exact Hu'|]. intros i. apply div_ge_iff; [apply g_pos|].
      pose proof (Hle i). pose proof (L1 i). lra.
  Qed.
End Multi.

Print Assumptions L2_gfp.
Print Assumptions L2_exact.
Print Assumptions L2_complete.
Print Assumptions T4_cert.
Print Assumptions T4_shield.
Print Assumptions T4_lower_rank.
Print Assumptions T4_prob.
Print Assumptions T3_gap.
Print Assumptions multi_cert.
Print Assumptions L2_prob_necessary.
Print Assumptions L2_prob_sufficient.
