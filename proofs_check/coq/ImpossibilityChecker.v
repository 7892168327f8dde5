(* A checker of lower bounds (kind `impossibility`) in integers: what it accepts proves that no
   policy, randomised or with memory, keeps the budget from some start.
   Three ways to be well founded: [Counted], every branch that is used lowers the rank (a
   horizon: the steps to go); [Undiscounted], gamma = 1 and the branch costs a unit or lowers
   the rank; [Discounted], gamma < 1, where only strict claims that stay tight need the rank. *)
Require Import ZArith QArith Lia Lqa List Bool FMapPositive.
From IGTheory Require Import Power Game Probability FiniteGame DemandChecker.
Import ListNotations.
Open Scope Z_scope.

Inductive way := Counted | Undiscounted | Discounted.
(* keeping the budget needs z >= low (over K), or z > low if [above] *)
Record irow := mkirow { low : Z; above : bool; rank : Z; spot : place }.

Definition nothing (b : bound) (r : irow) : bool :=
  judged b (over (spot r)) &&
  ((low r <? 0) || ((low r =? 0) && (negb (above r) || negb (closed b)))).

Definition forces (w : way) (gp gq : Z) (m : PositiveMap.t irow) (c charge own : Z) (r : irow)
    (s : positive) : bool :=
  match PositiveMap.find s m with
  | None => false
  | Some r' =>
    let less := rank r' <? rank r in
    let progress (tight : bool) :=
      match w with
      | Counted => less
      | Undiscounted => (0 <=? c) && ((1 <=? c) || less)
      | Discounted => if tight && above r then less else true
      end in
    match own ?= charge + gp * low r' with
    | Lt => progress false
    | Eq => implb (above r) (above r') && progress true
    | Gt => false
    end
  end.

Definition irow_ok (w : way) (b : bound) (K : positive) (m : PositiveMap.t irow) (r : irow)
    : bool :=
  (0 <=? rank r) &&
  (nothing b r ||
   (negb (over (spot r)) &&
    let q := Zpos (Qden (gam b)) in
    all (fun ch => let c := nth 0 (costs ch) 0 in
           existsb (forces w (Qnum (gam b)) q m c (q * c * Zpos K) (q * low r) r) (goes ch))
      (choices (spot r)))).

Definition way_ok (w : way) (b : bound) : bool :=
  match w with
  | Counted => true
  | Undiscounted => Qeq_bool (gam b) 1 && anytime b
  | Discounted => negb (Qle_bool 1 (gam b)) && anytime b
  end.

Definition short (b : bound) (K : positive) (m : PositiveMap.t irow) (s : positive) : bool :=
  match PositiveMap.find s m with
  | Some r => negb (admits K (Some (low r, above r)) (budget b))
  | None => false end.

Definition check_impossibility (w : way) (b : bound) (K : positive) (rows : list irow)
    (starts : list positive) : bool :=
  let m := table_of rows in
  bound_ok b && way_ok w b && all (irow_ok w b K m) rows && existsb (short b K m) starts.

Open Scope Q_scope.
Section Sem.
  Variables (w : way) (b : bound) (K : positive) (rows : list irow) (starts : list positive).
  Definition tab := table_of rows.
  Definition at_ (s : positive) : option place :=
    match PositiveMap.find s tab with Some r => Some (spot r) | None => None end.
  Notation next := (znext positive nat (cost at_ 0) (gam b)).

  (* what can be kept for ever, as a greatest fixed point; Safe of Game if closed and anytime *)
  Definition stays (X : positive -> Q -> Prop) (s : positive) (z : Q) : Prop :=
    (judged b (over_at at_ s) = true -> Kept b z) /\
    exists a, In a (acts at_ s) /\ forall s', In s' (succ at_ s a) -> X s' (next z s a s').
  Definition Keepable (s : positive) (z : Q) : Prop :=
    exists X : positive -> Q -> Prop, X s z /\ forall s z, X s z -> stays X s z.

  Lemma unfold_keepable s z : Keepable s z -> stays Keepable s z.
  Proof.
    intros [X [H HX]]. destruct (HX s z H) as [H1 [a [Ha Hs]]]. split; [exact H1|].
    exists a. split; [exact Ha|]. intros s' Hs'. exists X. auto.
  Qed.

  Lemma policy_keepable p s0 : plays at_ p s0 -> keeps at_ [b] p s0 -> Keepable s0 (budget b).
  Proof.
    intros HP HK.
    exists (fun s z => exists h, reach positive nat (succ at_) p s0 h s /\ z_of at_ 0 b h s = z).
    split; [exists []; split; [constructor|reflexivity]|].
    intros s z [h [R <-]]. destruct (HP h s R) as [[a Ha] Hacts]. split.
    - intros J. apply (HK h s R 0%nat b eq_refl J).
    - exists a. split; [apply Hacts, Ha|]. intros s' Hs'. exists ((s, a) :: h).
      split; [econstructor; eassumption|reflexivity].
  Qed.

  Definition needs (r : irow) (z : Q) : Prop :=
    if above r then low r # K < z else low r # K <= z.

  Hypothesis ok : check_impossibility w b K rows starts = true.

  Lemma parts : (0 < gam b /\ gam b <= 1) /\ way_ok w b = true /\
    (forall r, In r rows -> irow_ok w b K tab r = true) /\
    (exists s, In s starts /\ short b K tab s = true).
  Proof.
    unfold check_impossibility in ok. rewrite !andb_true_iff in ok.
    destruct ok as [[[A B] C] E]. split; [apply bound_ok_spec, A|]. split; [exact B|].
    split; [apply all_spec, C|]. apply existsb_exists in E. exact E.
  Qed.

  Lemma nothing_needs r z : nothing b r = true -> (judged b (over (spot r)) = true -> Kept b z) ->
    needs r z.
  Proof.
    unfold nothing. intros H HK. apply andb_true_iff in H. destruct H as [J H].
    specialize (HK J). rewrite orb_true_iff, andb_true_iff, orb_true_iff, !negb_true_iff, Z.ltb_lt, Z.eqb_eq in H.
    assert (N : 0 <= z) by (unfold Kept in HK; destruct (closed b); lra).
    unfold needs. destruct H as [H|[H0 H]].
    - assert (low r # K < 0) by (unfold Qlt; simpl; lia). destruct (above r); lra.
    - assert (E0 : low r # K == 0) by (rewrite H0; reflexivity).
      destruct (above r); [|lra]. destruct H as [H|H]; [discriminate|].
      unfold Kept in HK. rewrite H in HK. lra.
  Qed.

  (* what one step leaves to prove *)
  Lemma step s r z : PositiveMap.find s tab = Some r -> Keepable s z ->
    (needs r z /\ nothing b r = true) \/ exists (k : Z) (s' : positive) (r' : irow) (z' : Q) (tight : bool),
      PositiveMap.find s' tab = Some r' /\ Keepable s' z' /\ z == inject_Z k + gam b * z' /\
      (if tight then (low r # K) == inject_Z k + gam b * (low r' # K) /\ implb (above r) (above r') = true
       else (low r # K) < inject_Z k + gam b * (low r' # K)) /\
      match w with
      | Counted => (rank r' < rank r)%Z
      | Undiscounted => (0 <= k)%Z /\ ((1 <= k)%Z \/ (rank r' < rank r)%Z)
      | Discounted => tight = true -> above r = true -> (rank r' < rank r)%Z
      end.
  Proof.
    intros Hf HS. pose proof (proj1 parts) as [G0 G1].
    pose proof (proj1 (proj2 (proj2 parts)) r (table_of_find _ _ _ Hf)) as C.
    assert (Ha : at_ s = Some (spot r)) by (unfold at_; rewrite Hf; reflexivity).
    unfold irow_ok in C. apply andb_true_iff in C. destruct C as [_ C].
    apply unfold_keepable in HS. destruct HS as [HK [a [Hin Hs]]].
    unfold over_at in HK. rewrite Ha in HK.
    apply orb_true_iff in C. destruct C as [C|C].
    { left. split; [apply nothing_needs; assumption|exact C]. }
    right. apply andb_true_iff in C. destruct C as [Ho C]. apply negb_true_iff in Ho.
    unfold acts in Hin. rewrite Ha, Ho in Hin. apply in_seq in Hin.
    destruct (nth_error (choices (spot r)) a) as [ch|] eqn:En.
    2:{ apply nth_error_None in En. lia. }
    destruct (choice_at_live at_ s (spot r) a ch Ha Ho En) as [Ec _].
    pose proof (all_spec _ _ C ch (nth_error_In _ _ En)) as F.
    apply existsb_exists in F. destruct F as [s' [Hs' F]].
    unfold forces in F. destruct (PositiveMap.find s' tab) as [r'|] eqn:Ef'; [|discriminate].
    specialize (Hs s'). unfold succ in Hs. rewrite Ec in Hs. specialize (Hs Hs').
    set (k := nth 0 (costs ch) 0%Z) in *.
    assert (Ez : z == inject_Z k + gam b * next z s a s').
    { unfold znext, cost. rewrite Ec. fold k. field. lra. }
    exists k, s', r', (next z s a s').
    destruct (Zpos (Qden (gam b)) * low r ?= Zpos (Qden (gam b)) * k * Zpos K + Qnum (gam b) * low r')%Z
      eqn:E; [| |discriminate].
    - apply andb_true_iff in F. destruct F as [F1 F2]. exists true.
      split; [exact Ef'|]. split; [exact Hs|]. split; [exact Ez|]. split.
      + split; [|exact F1]. apply Z.compare_eq in E. destruct (gam b) as [gp gq]; cbn [Qnum Qden] in E.
        apply Qle_antisym; [|apply scale; lia]. apply Qnot_lt_le. intros L. apply scale_lt in L. lia.
      + destruct w.
        * apply Z.ltb_lt, F2.
        * rewrite andb_true_iff, orb_true_iff, !Z.leb_le, Z.ltb_lt in F2. exact F2.
        * intros _ Hab. rewrite Hab in F2. apply Z.ltb_lt, F2.
    - exists false. split; [exact Ef'|]. split; [exact Hs|]. split; [exact Ez|]. split.
      + destruct (gam b) as [gp gq]; cbn [Qnum Qden] in E. rewrite Z.compare_lt_iff in E.
        apply Qnot_le_lt. intros L. apply scale in L. lia.
      + destruct w.
        * apply Z.ltb_lt, F.
        * rewrite andb_true_iff, orb_true_iff, !Z.leb_le, Z.ltb_lt in F. exact F.
        * discriminate.
  Qed.

  Lemma rank_pos s r : PositiveMap.find s tab = Some r -> (0 <= rank r)%Z.
  Proof.
    intros Hf. pose proof (proj1 (proj2 (proj2 parts)) r (table_of_find _ _ _ Hf)) as C.
    unfold irow_ok in C. apply andb_true_iff in C. destruct C as [C _]. apply Z.leb_le, C.
  Qed.

  (* if the next need is met, so is this one *)
  Lemma lift r r' k z z' (tight : bool) : z == inject_Z k + gam b * z' -> needs r' z' ->
    (if tight then (low r # K) == inject_Z k + gam b * (low r' # K) /\ implb (above r) (above r') = true
     else (low r # K) < inject_Z k + gam b * (low r' # K)) -> needs r z.
  Proof.
    intros Ez N T. pose proof (proj1 parts) as [G0 _]. unfold needs in *.
    assert (Lle : low r' # K <= z' -> gam b * (low r' # K) <= gam b * z')
      by (intros L; apply Qmult_le_l; assumption).
    assert (Llt : low r' # K < z' -> gam b * (low r' # K) < gam b * z')
      by (intros L; apply Qmult_lt_l; assumption).
    assert (N' : gam b * (low r' # K) <= gam b * z') by (apply Lle; destruct (above r'); lra).
    destruct tight.
    - destruct T as [T I]. destruct (above r); [|lra]. destruct (above r'); [|discriminate].
      specialize (Llt N). lra.
    - destruct (above r); lra.
  Qed.

  Lemma counted : w = Counted -> forall n s r z, PositiveMap.find s tab = Some r ->
    (rank r < Z.of_nat n)%Z -> Keepable s z -> needs r z.
  Proof.
    intros Hw. induction n; intros s r z Hf Hn HS; [pose proof (rank_pos s r Hf); lia|].
    destruct (step s r z Hf HS) as [[N _]|[k [s' [r' [z' [tight [Hf' [HS' [Ez [T P]]]]]]]]]]; [exact N|].
    rewrite Hw in P. apply (lift r r' k z z' tight Ez); [|exact T].
    apply (IHn s' r' z' Hf'); [lia|exact HS'].
  Qed.

  Lemma keepable_nonneg s z : anytime b = true -> Keepable s z -> 0 <= z.
  Proof.
    intros Ha HS. apply unfold_keepable in HS. destruct HS as [H _].
    unfold judged in H. rewrite Ha in H. specialize (H eq_refl).
    unfold Kept in H. destruct (closed b); lra.
  Qed.

  Lemma undiscounted : w = Undiscounted -> forall m n s r z, PositiveMap.find s tab = Some r ->
    z < inject_Z (Z.of_nat m) -> (rank r < Z.of_nat n)%Z -> Keepable s z -> needs r z.
  Proof.
    intros Hw. pose proof (proj1 (proj2 parts)) as W. rewrite Hw in W. simpl in W.
    apply andb_true_iff in W. destruct W as [Hg Ha]. apply Qeq_bool_iff in Hg.
    induction m as [|m IHm].
    { intros n s r z _ Hz _ HS. pose proof (keepable_nonneg s z Ha HS).
      change (inject_Z (Z.of_nat 0)) with 0 in Hz. lra. }
    induction n; intros s r z Hf Hz Hn HS; [pose proof (rank_pos s r Hf); lia|].
    destruct (step s r z Hf HS) as [[N _]|[k [s' [r' [z' [tight [Hf' [HS' [Ez [T P]]]]]]]]]]; [exact N|].
    rewrite Hw in P. apply (lift r r' k z z' tight Ez); [|exact T].
    rewrite Hg in Ez. destruct P as [Pk [P1|Pr]].
    - apply (IHm (S (Z.to_nat (rank r'))) s' r' z' Hf'); [|pose proof (rank_pos s' r' Hf'); lia|exact HS'].
      rewrite Nat2Z.inj_succ, <- Z.add_1_r, inject_Z_plus in Hz. change (inject_Z 1) with 1 in Hz.
      rewrite Zle_Qle in P1. change (inject_Z 1) with 1 in P1. lra.
    - apply (IHn s' r' z' Hf'); [|lia|exact HS'].
      rewrite Zle_Qle in Pk. change (inject_Z 0) with 0 in Pk. lra.
  Qed.

  Lemma bounded : exists M, 0 <= M /\ forall r, In r rows -> low r # K <= M.
  Proof.
    clear ok. induction rows as [|r0 l [M [H0 HM]]]; [exists 0; split; [lra|intros r []]|].
    destruct (Qlt_le_dec M (low r0 # K)) as [L|L].
    - exists (low r0 # K). split; [lra|]. intros r [<-|Hr]; [lra|]. specialize (HM r Hr). lra.
    - exists M. split; [exact H0|]. intros r [<-|Hr]; [exact L|]. apply HM, Hr.
  Qed.

  Lemma discounted_least : w = Discounted -> forall s r z, PositiveMap.find s tab = Some r ->
    Keepable s z -> low r # K <= z.
  Proof.
    intros Hw s r z Hf HS. pose proof (proj1 parts) as [G0 _].
    pose proof (proj1 (proj2 parts)) as W. rewrite Hw in W. simpl in W.
    rewrite andb_true_iff, negb_true_iff, Qle_bool_false in W. destruct W as [Hg Ha].
    destruct bounded as [M [HM0 HM]].
    assert (Q : forall n s r z, PositiveMap.find s tab = Some r -> Keepable s z ->
              (low r # K) - qpow (gam b) n * M <= z).
    { clear s r z Hf HS. induction n; intros s r z Hf HS.
      - simpl. pose proof (HM r (table_of_find _ _ _ Hf)). pose proof (keepable_nonneg s z Ha HS). lra.
      - assert (Hp : 0 <= qpow (gam b) (S n) * M)
          by (apply Qmult_le_0_compat; [apply Qlt_le_weak, qpow_pos, G0|exact HM0]).
        destruct (step s r z Hf HS) as [[N _]|[k [s' [r' [z' [tight [Hf' [HS' [Ez [T _]]]]]]]]]].
        + unfold needs in N. destruct (above r); lra.
        + specialize (IHn s' r' z' Hf' HS'). simpl.
          assert (gam b * ((low r' # K) - qpow (gam b) n * M) <= gam b * z')
            by (apply Qmult_le_l; assumption).
          destruct tight; lra. }
    apply Qnot_lt_le. intros L.
    destruct (qpow_small (gam b) G0 M ((low r # K) - z) Hg HM0) as [n Hn]; [lra|].
    pose proof (Q n s r z Hf HS). lra.
  Qed.

  Lemma discounted : w = Discounted -> forall n s r z, PositiveMap.find s tab = Some r ->
    (rank r < Z.of_nat n)%Z -> Keepable s z -> needs r z.
  Proof.
    intros Hw. induction n; intros s r z Hf Hn HS; [pose proof (rank_pos s r Hf); lia|].
    destruct (step s r z Hf HS) as [[N _]|[k [s' [r' [z' [tight [Hf' [HS' [Ez [T P]]]]]]]]]]; [exact N|].
    rewrite Hw in P. destruct (above r) eqn:Eab.
    2:{ unfold needs. rewrite Eab. apply (discounted_least Hw s r z Hf HS). }
    destruct tight.
    - apply (lift r r' k z z' true Ez); [|rewrite Eab; exact T].
      apply (IHn s' r' z' Hf'); [specialize (P eq_refl eq_refl); lia|exact HS'].
    - unfold needs. rewrite Eab. pose proof (discounted_least Hw s' r' z' Hf' HS') as L.
      pose proof (proj1 parts) as [G0 _].
      assert (gam b * (low r' # K) <= gam b * z') by (apply Qmult_le_l; assumption). lra.
  Qed.

  Lemma necessary s r z : PositiveMap.find s tab = Some r -> Keepable s z -> needs r z.
  Proof.
    intros Hf HS. pose proof (rank_pos s r Hf) as R.
    assert (E : (rank r < Z.of_nat (S (Z.to_nat (rank r))))%Z) by lia.
    assert (Hw : w = Counted \/ w = Undiscounted \/ w = Discounted) by (clear; destruct w; auto).
    destruct Hw as [Hw|[Hw|Hw]].
    - apply (counted Hw _ s r z Hf E HS).
    - destruct (Qarchimedean z) as [m Hm].
      apply (undiscounted Hw (Pos.to_nat m) (S (Z.to_nat (rank r))) s r z Hf); [|exact E|exact HS].
      rewrite positive_nat_Z. exact Hm.
    - apply (discounted Hw _ s r z Hf E HS).
  Qed.

  (* no policy keeps the budget from every start *)
  Theorem impossibility_sound : exists s0, In s0 starts /\
    forall p, plays at_ p s0 -> ~ keeps at_ [b] p s0.
  Proof.
    destruct parts as [_ [_ [_ [s0 [H0 H]]]]]. exists s0. split; [exact H0|].
    intros p HP HK. pose proof (policy_keepable p s0 HP HK) as HS.
    unfold short in H. destruct (PositiveMap.find s0 tab) as [r|] eqn:Hf; [|discriminate].
    pose proof (necessary s0 r (budget b) Hf HS) as N. apply negb_true_iff in H.
    unfold needs in N. unfold admits in H. destruct (above r).
    - rewrite negb_false_iff, Qle_bool_iff in H. lra.
    - rewrite Qle_bool_false in H. lra.
  Qed.

  (* the same in the development's own terms, where the boundary is closed and z is always judged *)
  Corollary impossibility_surely : closed b = true -> anytime b = true ->
    exists s0, In s0 starts /\
      ~ Safe positive nat (acts at_) (succ at_) (cost at_ 0) (gam b) s0 (budget b).
  Proof.
    intros Hc Ha. destruct impossibility_sound as [s0 [H0 H]]. exists s0. split; [exact H0|].
    intros HS. apply L2_gfp in HS. destruct HS as [p Hp]. apply (H p).
    - intros h s R. destruct (Hp h s R) as [A [B _]]. split; assumption.
    - intros h s R i b' Hi _. destruct i as [|[|i]]; simpl in Hi; try discriminate.
      inversion Hi; subst b'. unfold Kept. rewrite Hc. apply (Hp h s R).
  Qed.
End Sem.
