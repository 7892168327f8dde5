(* The rows of an accepted reward certificate: what is checked of them holds along every
   history, and a clip changes no sign. *)
Require Import ZArith QArith Lia Lqa List Bool FMapPositive.
From IGTheory Require Import Power Game WeightedSum Probability Reward FiniteGame PairsChecker.
From IGTheory Require Import RewardChecker RewardColumns.
Import ListNotations.
Open Scope Q_scope.

Section Sem.
  Variables (bs : list (bound * rounding)) (beta : Q) (K : positive) (us ls : bool).
  Variables (game : list place) (stakes : list (list stake)) (rows : list rrow).
  Variable starts : list (positive * option positive).
  Notation G := (table_of game).
  Notation R := (table_of rows).
  Notation at_ := (PairsChecker.at_ game).
  Notation known := (PairsChecker.known game).
  Notation reach := (reach positive nat (succ at_)).
  Notation history := (list (positive * nat)).

  Definition stake_at (s : positive) (a : nat) : stake :=
    match PositiveMap.find s (table_of stakes) with
    | Some ts => nth a ts (mkstake 0 1 [])
    | None => mkstake 0 1 [] end.
  (* probabilities and rewards of the game *)
  Definition P (s : positive) (a : nat) : list (positive * Q) :=
    if over_at at_ s then [(s, 1)]
    else combine (goes (choice_at at_ s a))
           (map (share (total (stake_at s a))) (weights (stake_at s a))).
  Definition rew (s : positive) (a : nat) : Q :=
    if over_at at_ s then 0 else gain (stake_at s a).
  Notation value := (val positive nat P rew beta).

  (* randomised and with memory, wherever it can get *)
  Definition valid (r : rpolicy positive nat) (s0 : positive) : Prop :=
    forall h s, reach (psupp positive nat r) s0 h s ->
      (forall a w, In (a, w) (r h s) -> 0 < w /\ In a (acts at_ s)) /\
      wsum (fun _ => 1) (r h s) == 1.

  Definition matches (row : rrow) (h : history) (s : positive) : Prop :=
    at_place row = s /\ forall i b r, nth_error bs i = Some (b, r) ->
      exists x, nth_error (held row) i = Some x /\ x == known i b r h.

  Hypothesis ok : check_reward bs beta K us ls game stakes rows starts = true.

  Lemma parts :
    (forall b r, In (b, r) bs -> 0 < gam b /\ gam b <= 1) /\ 0 < beta /\
    (forall x, In x (numbered 0 bs) -> harmless game x = true) /\
    (forall row, In row rows -> rrow_ok bs beta K us ls G (table_of stakes) R row = true) /\
    (forall x, In x starts -> starts_ok bs G R x = true).
  Proof.
    unfold check_reward in ok. rewrite !andb_true_iff, negb_true_iff, Qle_bool_false in ok.
    destruct ok as [[[[A B] C] D] E].
    split; [|split; [exact B|]; split; [apply all_spec, C|]; split; [apply all_spec, D|apply all_spec, E]].
    intros b r H. apply bound_ok_spec. apply (all_spec _ _ A (b, r) H).
  Qed.

  Lemma gam_pos i b r : nth_error bs i = Some (b, r) -> 0 < gam b.
  Proof. intros H. apply nth_error_In in H. apply (proj1 parts) in H. tauto. Qed.

  Lemma clip_spec i b r : nth_error bs i = Some (b, r) -> grid r = None /\
    match clip r with
    | None => True
    | Some m => Kept b m /\ forall s a, inject_Z (nth i (costs (choice_at at_ s a)) 0%Z) + gam b * m <= m
    end.
  Proof.
    intros Hi. pose proof (numbered_spec bs 0 i (b, r) Hi) as N.
    apply parts in N. simpl in N. destruct (grid r); [discriminate|]. split; [reflexivity|].
    destruct (clip r) as [m|]; [|exact I]. apply andb_true_iff in N. destruct N as [N1 N2].
    apply kept_spec in N1. split; [exact N1|]. intros s a.
    assert (Z0 : inject_Z 0 + gam b * m <= m).
    { pose proof (proj1 parts b r (nth_error_In _ _ Hi)) as [G0 G1].
      assert (0 <= m) by (unfold Kept in N1; destruct (closed b); lra).
      assert (gam b * m <= 1 * m) by (apply Qmult_le_compat_r; assumption).
      change (inject_Z 0) with 0. lra. }
    assert (E : nth i (@nil Z) 0%Z = 0%Z) by (destruct i; reflexivity).
    unfold choice_at, PairsChecker.at_. destruct (PositiveMap.find s G) as [pl|] eqn:Ep; [|cbn [costs]; rewrite E; exact Z0].
    destruct (over pl); [cbn [costs]; rewrite E; exact Z0|].
    destruct (nth_in_or_default a (choices pl) (mkchoice [] [])) as [Hin|Hd].
    - pose proof (all_spec _ _ N2 pl (table_of_find _ _ _ Ep)) as M.
      apply Qle_bool_iff. apply (all_spec _ _ M _ Hin).
    - rewrite Hd. cbn [costs]. rewrite E. exact Z0.
  Qed.

  (* a clip changes no sign *)
  Lemma clipped i b r : nth_error bs i = Some (b, r) -> forall h s,
    known i b r h == z_of at_ i b h s \/
    exists m, clip r = Some m /\ m <= z_of at_ i b h s /\ known i b r h == m.
  Proof.
    intros Hi. destruct (clip_spec i b r Hi) as [Hg Hc]. pose proof (gam_pos i b r Hi) as G0.
    assert (Rd : forall z, rounded r z == z \/ exists m, clip r = Some m /\ m <= z /\ rounded r z == m).
    { intros z. unfold rounded. rewrite Hg. destruct (clip r) as [m|]; [|left; reflexivity].
      destruct (Qle_bool z m) eqn:E; [left; reflexivity|].
      right. exists m. apply Qle_bool_false in E. split; [reflexivity|]. split; [lra|reflexivity]. }
    induction h as [|[s1 a1] h IH]; intros s; simpl.
    - destruct (Rd (budget b)) as [E|E]; [left|right]; exact E.
    - unfold tracked, z_of. simpl. unfold znext, cost.
      set (k := inject_Z (nth i (costs (choice_at at_ s1 a1)) 0%Z)).
      fold (z_of at_ i b h s1).
      destruct (IH s1) as [E|[m [Em [Lm E]]]].
      + assert (E2 : (known i b r h - k) / gam b == (z_of at_ i b h s1 - k) / gam b) by (rewrite E; reflexivity).
        destruct (Rd ((known i b r h - k) / gam b)) as [F|[m [Em [Lm F]]]].
        * left. rewrite F. exact E2.
        * right. exists m. split; [exact Em|]. split; [rewrite <- E2; exact Lm|exact F].
      + rewrite Em in Hc. destruct Hc as [_ Hc]. specialize (Hc s1 a1). fold k in Hc.
        assert (A : m <= (known i b r h - k) / gam b) by (apply div_ge_iff; [exact G0|]; lra).
        assert (B : m <= (z_of at_ i b h s1 - k) / gam b) by (apply div_ge_iff; [exact G0|]; lra).
        right. exists m. split; [exact Em|]. split; [exact B|].
        destruct (Rd ((known i b r h - k) / gam b)) as [F|[m' [Em' [Lm' F]]]].
        * unfold rounded in *. rewrite Hg, Em in *.
          destruct (Qle_bool ((known i b r h - k) / gam b) m) eqn:Eq; [|reflexivity].
          apply Qle_bool_iff in Eq. lra.
        * rewrite Em in Em'. inversion Em'; subst m'. exact F.
  Qed.

  Lemma same_sign i b r h s : nth_error bs i = Some (b, r) ->
    (Kept b (known i b r h) <-> Kept b (z_of at_ i b h s)).
  Proof.
    intros Hi. destruct (clipped i b r Hi h s) as [E|[m [Em [Lm E]]]].
    - split; apply Kept_up; rewrite E; apply Qle_refl.
    - destruct (clip_spec i b r Hi) as [_ Hc]. rewrite Em in Hc. destruct Hc as [Km _].
      split; intros _; [apply (Kept_up b m); assumption|].
      apply (Kept_up b m); [rewrite E; apply Qle_refl|exact Km].
  Qed.

  (* ---------- rows ---------- *)
  Definition leads_to (row : rrow) (c : choice) (hs : list (option positive)) : list outcome :=
    outcomes (outcome_of bs G R (paid_vector bs (held row) (costs c))) (goes c) hs.

  Lemma row_facts row : In row rows -> exists pl ts,
    PositiveMap.find (at_place row) G = Some pl /\
    PositiveMap.find (at_place row) (table_of stakes) = Some ts /\
    over pl = false /\ kept_vector false bs (held row) = true /\
    natural (dead row) = true /\ natural (up_steps row) = true /\ natural (low_steps row) = true /\
    match named row with Some (a, _) => (a < length (choices pl))%nat | None => True end /\
    each (choice_ok bs beta K us ls G R row) 0 (choices pl) ts (hints row) = true.
  Proof.
    intros H. pose proof (proj1 (proj2 (proj2 (proj2 parts))) row H) as C. unfold rrow_ok in C.
    destruct (PositiveMap.find (at_place row) G) as [pl|]; [|discriminate].
    destruct (PositiveMap.find (at_place row) (table_of stakes)) as [ts|]; [|discriminate].
    rewrite !andb_true_iff, negb_true_iff in C.
    destruct C as [[[[[[C1 C2] C3] C4] C5] C6] C7].
    exists pl, ts. do 7 (split; [assumption || reflexivity|]). split; [|exact C7].
    destruct (named row) as [[a l]|]; [|exact I]. apply Nat.ltb_lt, C6.
  Qed.

  (* everything that is checked about a choice that can be played at a row *)
  Lemma choice_facts row h s a : In row rows -> matches row h s -> In a (acts at_ s) ->
    let c := choice_at at_ s a in let t := stake_at s a in let hs := nth a (hints row) [] in
    over_at at_ s = false /\ length (weights t) = length (goes c) /\
    sum_of (weights t) = Zpos (total t) /\
    choice_ok bs beta K us ls G R row a c t hs = true.
  Proof.
    intros Hr [Hs Hm] Ha. destruct (row_facts row Hr) as [pl [ts [Hp [Ht [Ho [_ [_ [_ [_ [_ He]]]]]]]]]].
    rewrite Hs in Hp, Ht. assert (Hat : at_ s = Some pl) by exact Hp.
    assert (Hov : over_at at_ s = false) by (unfold over_at; rewrite Hat; exact Ho).
    unfold acts in Ha. rewrite Hat, Ho in Ha. apply in_seq in Ha.
    destruct (nth_error (choices pl) a) as [c|] eqn:En; [|apply nth_error_None in En; lia].
    destruct (choice_at_live at_ s pl a c Hat Ho En) as [Ec _].
    destruct (each_spec _ _ _ _ _ He a c En) as [t [Hn Hc]]. rewrite Nat.add_0_l in Hc.
    assert (Et : stake_at s a = t) by (unfold stake_at; rewrite Ht; apply nth_error_nth, Hn).
    cbv zeta. rewrite Ec, Et. split; [exact Hov|].
    pose proof Hc as Hc'. unfold choice_ok in Hc'. rewrite andb_true_iff in Hc'.
    destruct Hc' as [S _]. unfold stake_ok in S. rewrite andb_true_iff, Nat.eqb_eq, Z.eqb_eq in S.
    split; [apply S|]. split; [apply S|exact Hc].
  Qed.

  Lemma paid_known row h s a : In row rows -> matches row h s ->
    forall i b r, nth_error bs i = Some (b, r) -> exists x,
      nth_error (paid_vector bs (held row) (costs (choice_at at_ s a))) i = Some x /\
      x == known i b r ((s, a) :: h).
  Proof.
    intros Hr [Hs Hm] i b r Hi. destruct (Hm i b r Hi) as [x [Hx E]].
    exists (tracked b r x (nth i (costs (choice_at at_ s a)) 0%Z)).
    split; [apply paid_vector_spec; assumption|]. simpl. apply tracked_eq, E.
  Qed.

  (* what an outcome says of where the run is *)
  Lemma outcome_spec v h s hint : length v = length bs ->
    (forall i b r, nth_error bs i = Some (b, r) -> exists x, nth_error v i = Some x /\ x == known i b r h) ->
    match outcome_of bs G R v s hint with
    | Lost => exists i b r, nth_error bs i = Some (b, r) /\ judged b (over_at at_ s) = true /\
                            ~ Kept b (known i b r h)
    | Done => over_at at_ s = true /\
              forall i b r, nth_error bs i = Some (b, r) -> Kept b (known i b r h)
    | Next row => In row rows /\ matches row h s /\ exists k, hint = Some k /\ PositiveMap.find k R = Some row
    | Missing => True end.
  Proof.
    intros L Hv. unfold outcome_of. destruct (PositiveMap.find s G) as [pl|] eqn:Ep; [|exact I].
    assert (Ho : over_at at_ s = over pl) by (unfold over_at, PairsChecker.at_; rewrite Ep; reflexivity).
    destruct (kept_vector (over pl) bs v) eqn:Ek; simpl.
    - destruct (over pl) eqn:Eo.
      + split; [exact Ho|]. intros i b r Hi. destruct (Hv i b r Hi) as [x [Hx E]].
        apply (Kept_up b x); [rewrite E; apply Qle_refl|].
        apply (kept_vector_spec _ bs v Ek i b r x Hi Hx). unfold judged. apply orb_true_r.
      + destruct hint as [k|]; [|exact I]. destruct (PositiveMap.find k R) as [row|] eqn:Er; [|exact I].
        destruct (same_id (at_place row) s) eqn:E1; [|exact I]. simpl.
        destruct (same_vector (held row) v) eqn:E2; [|exact I].
        split; [apply (table_of_find _ _ _ Er)|]. split; [|exists k; auto].
        split; [apply same_id_spec, E1|]. intros i b r Hi. destruct (Hv i b r Hi) as [x [Hx E]].
        destruct (proj2 (same_vector_spec _ _ E2) i x Hx) as [y [Hy Ey]].
        exists y. split; [exact Hy|]. rewrite Ey. exact E.
    - destruct (kept_vector_false _ bs v L Ek) as [i [b [r [x [Hi [Hx [J N]]]]]]].
      exists i, b, r. split; [exact Hi|]. split; [rewrite Ho; exact J|].
      intros N'. apply N. destruct (Hv i b r Hi) as [y [Hy E]].
      rewrite Hx in Hy. inversion Hy; subst y. apply (Kept_up b (known i b r h)); [rewrite E; apply Qle_refl|exact N'].
  Qed.

  Lemma row_length row : In row rows -> length (held row) = length bs.
  Proof.
    intros H. destruct (row_facts row H) as [pl [ts [_ [_ [_ [Hk _]]]]]]. apply (kept_vector_length _ _ _ Hk).
  Qed.

  Lemma after_spec row h s a s' hint : In row rows -> matches row h s ->
    match outcome_of bs G R (paid_vector bs (held row) (costs (choice_at at_ s a))) s' hint with
    | Lost => exists i b r, nth_error bs i = Some (b, r) /\ judged b (over_at at_ s') = true /\
                            ~ Kept b (known i b r ((s, a) :: h))
    | Done => over_at at_ s' = true /\
              forall i b r, nth_error bs i = Some (b, r) -> Kept b (known i b r ((s, a) :: h))
    | Next row' => In row' rows /\ matches row' ((s, a) :: h) s' /\
                   exists k, hint = Some k /\ PositiveMap.find k R = Some row'
    | Missing => True end.
  Proof.
    intros Hr Hm. apply outcome_spec.
    - apply paid_vector_length, row_length, Hr.
    - intros i b r Hi. apply (paid_known row h s a Hr Hm i b r Hi).
  Qed.

  Lemma first_value (r : rpolicy positive nat) N : forall h s,
    first (fun n => value r n h s) (S N) ==
    wsum (fun a => inject_Z (Z.of_nat N) * rew s a +
      beta * wsum (fun s' => first (fun n => value r n ((s, a) :: h) s') N) (P s a)) (r h s).
  Proof.
    induction N as [|N IH]; intros h s.
    - simpl. rewrite wsum_zero; [ring|]. intros a. rewrite wsum_zero by (intros; reflexivity).
      change (inject_Z (Z.of_nat 0)) with 0. ring.
    - change (first (fun n => value r n h s) (S (S N)))
        with (first (fun n => value r n h s) (S N) + value r (S N) h s).
      rewrite IH. cbn [val].
      set (f := fun a => inject_Z (Z.of_nat N) * rew s a +
        beta * wsum (fun s' => first (fun n => value r n ((s, a) :: h) s') N) (P s a)).
      set (g := fun a => rew s a + beta * wsum (fun s' => value r N ((s, a) :: h) s') (P s a)).
      assert (E : wsum f (r h s) + wsum g (r h s) == wsum (fun a => 1 * f a + 1 * g a) (r h s))
        by (rewrite wsum_lin; ring).
      rewrite E. apply wsum_ext. intros a. unfold f, g.
      rewrite Nat2Z.inj_succ, <- Z.add_1_r, inject_Z_plus. cbn [first].
      assert (E2 : wsum (fun s' => first (fun n => value r n ((s, a) :: h) s') N + value r N ((s, a) :: h) s') (P s a)
        == 1 * wsum (fun s' => first (fun n => value r n ((s, a) :: h) s') N) (P s a)
         + 1 * wsum (fun s' => value r N ((s, a) :: h) s') (P s a)).
      { rewrite <- wsum_lin. apply wsum_ext. intros x. ring. }
      rewrite E2. change (inject_Z 1) with 1. ring.
  Qed.

  Lemma largest (f : rrow -> Q) l : exists B, 0 <= B /\ forall row, In row l -> f row <= B.
  Proof.
    clear ok. induction l as [|r0 l [B [B0 HB]]]; [exists 0; split; [lra|intros r []]|].
    destruct (Qlt_le_dec B (f r0)) as [L|L].
    - exists (f r0). split; [lra|]. intros r [<-|Hr]; [lra|]. specialize (HB r Hr). lra.
    - exists B. split; [exact B0|]. intros r [<-|Hr]; [exact L|apply HB, Hr].
  Qed.
End Sem.
