(* A checker of closed sets (kind `pairs`): places with tracked budgets, the listed choices,
   and every pair that may follow. Tracked budgets are clipped and rounded down, as a guard
   tracks them; what is kept on them is kept by the real budgets, which are never below.
   Where to look for a next pair is a hint: it is checked, never trusted. *)
Require Import ZArith QArith Qround Lia Lqa List Bool FMapPositive.
From IGTheory Require Import Power Game Probability FiniteGame.
Import ListNotations.
Open Scope Q_scope.

Record rounding := mkrounding { clip : option Q; grid : option positive }.
Record move := mkmove { taken : nat; vector : positive; leads : list positive }.
Record pair := mkpair { stands : positive; holds : positive; moves : list move }.

Definition rounded (r : rounding) (z : Q) : Q :=
  let z := match clip r with
           | None => z
           | Some m => if Qle_bool z m then z else m end in
  match grid r with
  | None => z
  | Some n => Qfloor (z * (Zpos n # 1)) # n end.

(* the budget of one constraint after a cost, as the guard tracks it *)
Definition tracked (b : bound) (r : rounding) (z : Q) (c : Z) : Q :=
  rounded r ((z - inject_Z c) / gam b).

Fixpoint start_vector (bs : list (bound * rounding)) (v : list Q) : bool :=
  match bs, v with
  | [], [] => true
  | (b, r) :: bs, x :: v => Qeq_bool x (rounded r (budget b)) && start_vector bs v
  | _, _ => false end.

Fixpoint next_vector (bs : list (bound * rounding)) (v : list Q) (cs : list Z) (v' : list Q)
    : bool :=
  match bs, v, cs, v' with
  | [], [], [], [] => true
  | (b, r) :: bs, x :: v, c :: cs, y :: v' =>
    Qeq_bool y (tracked b r x c) && next_vector bs v cs v'
  | _, _, _, _ => false end.

Fixpoint kept_vector (o : bool) (bs : list (bound * rounding)) (v : list Q) : bool :=
  match bs, v with
  | [], [] => true
  | (b, r) :: bs, x :: v => (if judged b o then kept b x else true) && kept_vector o bs v
  | _, _ => false end.

Fixpoint led (P : PositiveMap.t pair) (k : positive) (ss ids : list positive) : bool :=
  match ss, ids with
  | [], [] => true
  | s :: ss, i :: ids =>
    match PositiveMap.find i P with
    | Some r => same_id (stands r) s && same_id (holds r) k && led P k ss ids
    | None => false
    end
  | _, _ => false end.

Definition move_ok (bs : list (bound * rounding)) (V : PositiveMap.t (list Q))
    (P : PositiveMap.t pair) (pl : place) (v : list Q) (m : move) : bool :=
  match nth_error (choices pl) (taken m), PositiveMap.find (vector m) V with
  | Some ch, Some v' => next_vector bs v (costs ch) v' && led P (vector m) (goes ch) (leads m)
  | _, _ => false end.

Definition pair_ok (bs : list (bound * rounding)) (G : PositiveMap.t place)
    (V : PositiveMap.t (list Q)) (P : PositiveMap.t pair) (r : pair) : bool :=
  match PositiveMap.find (stands r) G, PositiveMap.find (holds r) V with
  | Some pl, Some v =>
    kept_vector (over pl) bs v &&
    match moves r with
    | [] => over pl
    | _ => negb (over pl) && all (move_ok bs V P pl v) (moves r) end
  | _, _ => false end.

Definition begins (bs : list (bound * rounding)) (V : PositiveMap.t (list Q))
    (P : PositiveMap.t pair) (x : positive * positive) : bool :=
  match PositiveMap.find (snd x) P with
  | Some r => same_id (stands r) (fst x) &&
    match PositiveMap.find (holds r) V with Some v => start_vector bs v | None => false end
  | None => false end.

Definition check_pairs (bs : list (bound * rounding)) (game : list place)
    (vectors : list (list Q)) (pairs : list pair) (starts : list (positive * positive)) : bool :=
  let G := table_of game in
  let V := table_of vectors in
  let P := table_of pairs in
  all (fun br => bound_ok (fst br)) bs && all (pair_ok bs G V P) pairs &&
  all (begins bs V P) starts.

Lemma rounded_le r z : rounded r z <= z.
Proof.
  unfold rounded.
  assert (C : match clip r with
              | None => z
              | Some m => if Qle_bool z m then z else m end <= z).
  { destruct (clip r) as [m|]; [|lra]. destruct (Qle_bool z m) eqn:E; [lra|].
    apply Qle_bool_false in E. lra. }
  set (y := match clip r with
            | None => z
            | Some m => if Qle_bool z m then z else m end) in *.
  destruct (grid r) as [n|]; [|exact C].
  apply Qle_trans with y; [|exact C].
  pose proof (Qfloor_le (y * (Zpos n # 1))) as F.
  set (f := Qfloor (y * (Z.pos n # 1))) in *.
  destruct y as [yn yd]. unfold Qle, Qmult, inject_Z in *. cbn [Qnum Qden] in *.
  rewrite Pos.mul_1_r in F. lia.
Qed.

Lemma rounded_eq r x y : x == y -> rounded r x == rounded r y.
Proof.
  intros E. unfold rounded.
  assert (C : match clip r with
              | None => x
              | Some m => if Qle_bool x m then x else m end ==
              match clip r with
              | None => y
              | Some m => if Qle_bool y m then y else m end).
  { destruct (clip r) as [m|]; [|exact E]. rewrite E. destruct (Qle_bool y m); [exact E|reflexivity]. }
  destruct (grid r) as [n|]; [|exact C].
  match goal with |- Qfloor (?a * _) # _ == Qfloor (?b * _) # _ =>
    assert (F : Qfloor (a * (Zpos n # 1)) = Qfloor (b * (Zpos n # 1)))
      by (apply Qfloor_comp; rewrite C; reflexivity) end.
  rewrite F. reflexivity.
Qed.

Lemma tracked_eq b r x y c : x == y -> tracked b r x c == tracked b r y c.
Proof. intros E. apply rounded_eq. rewrite E. reflexivity. Qed.

Lemma start_vector_spec bs : forall v, start_vector bs v = true ->
  forall i b r, nth_error bs i = Some (b, r) ->
  exists x, nth_error v i = Some x /\ x == rounded r (budget b).
Proof.
  induction bs as [|[b0 r0] bs IH]; intros v H i b r Hi; [destruct i; discriminate|].
  destruct v as [|x v]; [discriminate|]. simpl in H. apply andb_true_iff in H.
  destruct H as [H1 H2]. destruct i as [|i]; simpl in *.
  - inversion Hi; subst. exists x. split; [reflexivity|]. apply Qeq_bool_iff. exact H1.
  - apply (IH v H2 i b r Hi).
Qed.

Lemma next_vector_spec bs : forall v cs v', next_vector bs v cs v' = true ->
  forall i b r x, nth_error bs i = Some (b, r) -> nth_error v i = Some x ->
  exists y, nth_error v' i = Some y /\ y == tracked b r x (nth i cs 0%Z).
Proof.
  induction bs as [|[b0 r0] bs IH]; intros v cs v' H i b r x Hi Hx; [destruct i; discriminate|].
  destruct v as [|x0 v]; [discriminate|]. destruct cs as [|c cs]; [discriminate|].
  destruct v' as [|y v']; [discriminate|]. simpl in H. apply andb_true_iff in H.
  destruct H as [H1 H2]. destruct i as [|i]; simpl in *.
  - inversion Hi; inversion Hx; subst. exists y. split; [reflexivity|]. apply Qeq_bool_iff. exact H1.
  - apply (IH v cs v' H2 i b r x Hi Hx).
Qed.

Lemma kept_vector_spec o bs : forall v, kept_vector o bs v = true ->
  forall i b r x, nth_error bs i = Some (b, r) -> nth_error v i = Some x ->
  judged b o = true -> Kept b x.
Proof.
  induction bs as [|[b0 r0] bs IH]; intros v H i b r x Hi Hx J; [destruct i; discriminate|].
  destruct v as [|x0 v]; [discriminate|]. simpl in H. apply andb_true_iff in H.
  destruct H as [H1 H2]. destruct i as [|i]; simpl in *.
  - inversion Hi; inversion Hx; subst. rewrite J in H1. apply kept_spec. exact H1.
  - apply (IH v H2 i b r x Hi Hx J).
Qed.

Lemma led_spec P k ss : forall ids, led P k ss ids = true -> forall s, In s ss ->
  exists i r, PositiveMap.find i P = Some r /\ stands r = s /\ holds r = k.
Proof.
  induction ss as [|s0 ss IH]; intros ids H s Hs; [destruct Hs|].
  destruct ids as [|i ids]; [discriminate|]. simpl in H.
  destruct (PositiveMap.find i P) as [r|] eqn:E; [|discriminate].
  rewrite !andb_true_iff, !same_id_spec in H. destruct H as [[H1 H2] H3].
  destruct Hs as [<-|Hs]; [|apply (IH ids H3 s Hs)].
  exists i, r. auto.
Qed.

Section Sem.
  Variables (bs : list (bound * rounding)) (game : list place) (vectors : list (list Q)).
  Variables (pairs : list pair) (starts : list (positive * positive)).
  Definition at_ (s : positive) : option place := PositiveMap.find s (table_of game).
  Notation V := (table_of vectors).
  Notation P := (table_of pairs).
  Notation history := (hist positive nat).

  (* what a guard knows: the budget that it tracks along a history *)
  Fixpoint known (i : nat) (b : bound) (r : rounding) (h : history) : Q :=
    match h with
    | [] => rounded r (budget b)
    | (s, a) :: h' => tracked b r (known i b r h') (nth i (costs (choice_at at_ s a)) 0%Z) end.

  Definition matches (p : pair) (h : history) (s : positive) : Prop :=
    stands p = s /\ exists v, PositiveMap.find (holds p) V = Some v /\
      forall i b r, nth_error bs i = Some (b, r) ->
        exists x, nth_error v i = Some x /\ x == known i b r h.
  Definition lists (p : pair) (a : nat) : Prop := exists m, In m (moves p) /\ taken m = a.

  (* a guard that plays only what is listed for the place and the budgets that it tracks *)
  Definition follows (p : policy positive nat) (s0 : positive) : Prop :=
    forall h s, reach positive nat (succ at_) p s0 h s -> over_at at_ s = false ->
      forall a, p h s a -> exists q, In q pairs /\ matches q h s /\ lists q a.

  Hypothesis ok : check_pairs bs game vectors pairs starts = true.

  Lemma parts :
    (forall b r, In (b, r) bs -> 0 < gam b /\ gam b <= 1) /\
    (forall q, In q pairs -> pair_ok bs (table_of game) V P q = true) /\
    (forall x, In x starts -> begins bs V P x = true).
  Proof.
    unfold check_pairs in ok. rewrite !andb_true_iff in ok. destruct ok as [[A B] C].
    split; [|split; apply all_spec; assumption].
    intros b r H. apply bound_ok_spec. apply (all_spec _ _ A (b, r) H).
  Qed.

  Lemma gam_pos i b r : nth_error bs i = Some (b, r) -> 0 < gam b.
  Proof. intros H. apply nth_error_In in H. apply (proj1 parts) in H. tauto. Qed.

  Lemma first s0 k : In (s0, k) starts -> exists q, In q pairs /\ matches q [] s0.
  Proof.
    intros H. apply parts in H. unfold begins in H; simpl in H.
    destruct (PositiveMap.find k P) as [q|] eqn:E; [|discriminate].
    rewrite andb_true_iff, same_id_spec in H. destruct H as [H1 H2].
    destruct (PositiveMap.find (holds q) V) as [v|] eqn:Ev; [|discriminate].
    exists q. split; [apply (table_of_find _ _ _ E)|]. split; [exact H1|].
    exists v. split; [exact Ev|]. intros i b r Hi. apply (start_vector_spec bs v H2 i b r Hi).
  Qed.

  Lemma kept_here q h s i b r : In q pairs -> matches q h s -> nth_error bs i = Some (b, r) ->
    judged b (over_at at_ s) = true -> Kept b (known i b r h).
  Proof.
    intros Hq [Hs [v [Hv HK]]] Hi J. apply parts in Hq. unfold pair_ok in Hq.
    rewrite Hs, Hv in Hq. unfold over_at, at_ in J.
    destruct (PositiveMap.find s (table_of game)) as [pl|]; [|discriminate].
    apply andb_true_iff in Hq. destruct Hq as [Hq _].
    destruct (HK i b r Hi) as [x [Hx E]].
    apply (Kept_up b x); [lra|]. apply (kept_vector_spec _ bs v Hq i b r x Hi Hx J).
  Qed.

  Lemma closed_step q h s a s' : In q pairs -> matches q h s -> over_at at_ s = false ->
    lists q a -> In a (acts at_ s) /\
    (In s' (succ at_ s a) -> exists q', In q' pairs /\ matches q' ((s, a) :: h) s').
  Proof.
    intros Hq [Hs [v [Hv HK]]] Ho [m [Hm Ha]]. apply parts in Hq. unfold pair_ok in Hq.
    rewrite Hs, Hv in Hq. unfold over_at, at_ in Ho.
    destruct (PositiveMap.find s (table_of game)) as [pl|] eqn:Eg; [|discriminate].
    apply andb_true_iff in Hq. destruct Hq as [_ Hq]. rewrite Ho in Hq.
    assert (Hall : all (move_ok bs V P pl v) (moves q) = true)
      by (destruct (moves q); [discriminate|exact Hq]).
    pose proof (all_spec _ _ Hall m Hm) as M. unfold move_ok in M. rewrite Ha in M.
    destruct (nth_error (choices pl) a) as [ch|] eqn:En; [|discriminate].
    destruct (PositiveMap.find (vector m) V) as [v'|] eqn:Ev; [|discriminate].
    apply andb_true_iff in M. destruct M as [M1 M2].
    destruct (choice_at_live at_ s pl a ch Eg Ho En) as [Ec Hin]. split; [exact Hin|].
    unfold succ. rewrite Ec. intros Hs'.
    destruct (led_spec _ _ _ _ M2 s' Hs') as [k [q' [Ek [E1 E2]]]].
    exists q'. split; [apply (table_of_find _ _ _ Ek)|]. split; [exact E1|].
    exists v'. rewrite E2. split; [exact Ev|]. intros i b r Hi.
    destruct (HK i b r Hi) as [x [Hx Ex]].
    destruct (next_vector_spec bs v (costs ch) v' M1 i b r x Hi Hx) as [y [Hy Ey]].
    exists y. split; [exact Hy|]. simpl. rewrite Ec, Ey. apply tracked_eq. exact Ex.
  Qed.

  Lemma never_below i b r h s : 0 < gam b -> known i b r h <= z_of at_ i b h s.
  Proof.
    intros Hg. revert s. induction h as [|[s1 a1] h IH]; intros s.
    - apply rounded_le.
    - simpl. unfold tracked. eapply Qle_trans; [apply rounded_le|].
      unfold z_of. simpl. unfold znext, cost. apply div_le_mono; [exact Hg|].
      pose proof (IH s1) as L. unfold z_of, cost in L.
      apply Qplus_le_compat; [exact L|lra].
  Qed.

  Definition invariant (h : history) (s : positive) : Prop :=
    (exists q, In q pairs /\ matches q h s) \/
    (over_at at_ s = true /\ forall i b r, nth_error bs i = Some (b, r) -> Kept b (z_of at_ i b h s)).

  Lemma over_kept q h s : In q pairs -> matches q h s -> over_at at_ s = true ->
    forall i b r, nth_error bs i = Some (b, r) -> Kept b (z_of at_ i b h s).
  Proof.
    intros Hq Hm Ho i b r Hi.
    apply (Kept_up b (known i b r h)); [apply never_below, (gam_pos i b r Hi)|].
    apply (kept_here q h s i b r Hq Hm Hi). unfold judged. rewrite Ho. apply orb_true_r.
  Qed.

  Lemma invariant_holds p s0 k : In (s0, k) starts -> follows p s0 ->
    forall h s, reach positive nat (succ at_) p s0 h s -> invariant h s.
  Proof.
    intros H0 Hp h s R. induction R as [|h s a s' R IH Ha Hin]; [left; apply (first s0 k H0)|].
    destruct (over_at at_ s) eqn:Ho.
    - right. pose proof (over_succ at_ s a s' Ho Hin) as E. subst s'.
      split; [exact Ho|]. intros i b r Hi.
      apply over_Kept; [apply (gam_pos i b r Hi)|exact Ho|exact Hin|].
      destruct IH as [[q [Hq Hm]]|[_ HK]]; [apply (over_kept q h s Hq Hm Ho i b r Hi)|].
      apply (HK i b r Hi).
    - left. destruct (Hp h s R Ho a Ha) as [q [Hq [Hm Hl]]].
      apply (proj2 (closed_step q h s a s' Hq Hm Ho Hl) Hin).
  Qed.

  (* a guard that plays only listed choices keeps every budget *)
  Theorem pairs_sound p s0 k : In (s0, k) starts -> follows p s0 -> keeps at_ (map fst bs) p s0.
  Proof.
    intros H0 Hp h s R i b Hi J.
    rewrite nth_error_map in Hi. destruct (nth_error bs i) as [[b' r]|] eqn:Eb; [|discriminate].
    simpl in Hi. inversion Hi; subst b'.
    destruct (invariant_holds p s0 k H0 Hp h s R) as [[q [Hq Hm]]|[Ho HK]].
    - apply (Kept_up b (known i b r h)); [apply never_below, (gam_pos i b r Eb)|].
      apply (kept_here q h s i b r Hq Hm Eb J).
    - apply (HK i b r Eb).
  Qed.

  (* there is such a guard: all that is listed *)
  Definition listed : policy positive nat := fun h s a =>
    (over_at at_ s = true /\ a = O) \/
    (over_at at_ s = false /\ exists q, In q pairs /\ matches q h s /\ lists q a).

  Theorem listed_plays s0 k : In (s0, k) starts -> follows listed s0 /\ plays at_ listed s0.
  Proof.
    intros H0.
    assert (F : follows listed s0).
    { intros h s R Ho a [[Ho' _]|[_ H]]; [congruence|exact H]. }
    split; [exact F|]. intros h s R. split.
    - destruct (over_at at_ s) eqn:Ho; [exists O; left; auto|].
      destruct (invariant_holds listed s0 k H0 F h s R) as [[q [Hq Hm]]|[Ho' _]]; [|congruence].
      pose proof Hm as [Hs [v [Hv _]]]. pose proof (proj1 (proj2 parts) q Hq) as C.
      unfold pair_ok in C. rewrite Hs, Hv in C. unfold over_at, at_ in Ho.
      destruct (PositiveMap.find s (table_of game)) as [pl|] eqn:Eg; [|discriminate].
      rewrite Ho in C. apply andb_true_iff in C. destruct C as [_ C].
      destruct (moves q) as [|m ms] eqn:Em; [discriminate|].
      exists (taken m). right. split; [unfold over_at, at_; rewrite Eg; exact Ho|].
      exists q. split; [exact Hq|]. split; [exact Hm|]. exists m. rewrite Em. split; [left|]; reflexivity.
    - intros a [[Ho ->]|[Ho [q [Hq [Hm Hl]]]]].
      + apply (over_acts at_); [exact Ho|reflexivity].
      + apply (closed_step q h s a s Hq Hm Ho Hl).
  Qed.

  (* a guard that follows the list and never stops is surely safe, in the development's own
     terms, for every constraint with closed boundary that is judged at all times *)
  Corollary pairs_surely_safe p s0 k i b r : In (s0, k) starts -> follows p s0 ->
    plays at_ p s0 -> nth_error bs i = Some (b, r) -> closed b = true -> anytime b = true ->
    surely_safe positive nat (acts at_) (succ at_) (cost at_ i) (gam b) p s0 (budget b).
  Proof.
    intros H0 Hf Hp Hi Hc Ha.
    apply (keeps_surely at_ (map fst bs) p s0 (pairs_sound p s0 k H0 Hf) Hp i b); [|exact Hc|exact Ha].
    rewrite nth_error_map, Hi. reflexivity.
  Qed.
End Sem.
