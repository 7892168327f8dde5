(* Lists and columns of the reward checker: what its loops say, and sums over branches. *)
Require Import ZArith QArith Lia Lqa List Bool FMapPositive.
From IGTheory Require Import Power Game WeightedSum Probability Reward FiniteGame PairsChecker.
From IGTheory Require Import RewardChecker.
Import ListNotations.
Open Scope Q_scope.

Lemma hd_nth {A} (d : A) l : hd d l = nth 0 l d.
Proof. destruct l; reflexivity. Qed.
Lemma nth_tl {A} (d : A) l i : nth i (tl l) d = nth (S i) l d.
Proof. destruct l; [destruct i|]; reflexivity. Qed.

Lemma paid_vector_spec bs : forall v cs i b r x,
  nth_error bs i = Some (b, r) -> nth_error v i = Some x ->
  nth_error (paid_vector bs v cs) i = Some (tracked b r x (nth i cs 0%Z)).
Proof.
  induction bs as [|[b0 r0] bs IH]; intros v cs i b r x Hi Hx; [destruct i; discriminate|].
  destruct v as [|x0 v]; [destruct i; discriminate|].
  destruct i as [|i]; simpl in *.
  - inversion Hi; inversion Hx; subst. rewrite hd_nth. reflexivity.
  - rewrite (IH v (tl cs) i b r x Hi Hx), nth_tl. reflexivity.
Qed.

Lemma paid_vector_length bs : forall v cs, length v = length bs ->
  length (paid_vector bs v cs) = length bs.
Proof.
  induction bs as [|[b r] bs IH]; intros v cs H; [reflexivity|].
  destruct v as [|x v]; [discriminate|]. simpl in *. rewrite IH; lia.
Qed.

Lemma same_vector_spec v : forall v', same_vector v v' = true ->
  length v = length v' /\
  forall i y, nth_error v' i = Some y -> exists x, nth_error v i = Some x /\ x == y.
Proof.
  induction v as [|x v IH]; intros [|y v'] H; try discriminate.
  - split; [reflexivity|]. intros [|i] y; discriminate.
  - simpl in H. apply andb_true_iff in H. destruct H as [H1 H2].
    destruct (IH v' H2) as [L HI]. split; [simpl; lia|].
    intros [|i] z Hz; simpl in *.
    + inversion Hz; subst. exists x. split; [reflexivity|]. apply Qeq_bool_iff, H1.
    + apply HI, Hz.
Qed.

Lemma kept_vector_false o bs : forall v, length v = length bs -> kept_vector o bs v = false ->
  exists i b r x, nth_error bs i = Some (b, r) /\ nth_error v i = Some x /\
    judged b o = true /\ ~ Kept b x.
Proof.
  induction bs as [|[b r] bs IH]; intros [|x v] L H; simpl in *; try discriminate; try lia.
  destruct (judged b o) eqn:J.
  - destruct (kept b x) eqn:Kx; simpl in H.
    + destruct (IH v ltac:(lia) H) as [i [b' [r' [x' E]]]]. exists (S i), b', r', x'. exact E.
    + exists O, b, r, x. repeat split; [exact J|]. intros N. apply kept_spec in N. congruence.
  - simpl in H. destruct (IH v ltac:(lia) H) as [i [b' [r' [x' E]]]]. exists (S i), b', r', x'. exact E.
Qed.

Lemma kept_vector_length o bs : forall v, kept_vector o bs v = true -> length v = length bs.
Proof.
  induction bs as [|[b r] bs IH]; intros [|x v] H; simpl in *; try discriminate; [reflexivity|].
  apply andb_true_iff in H. destruct H as [_ H]. rewrite (IH v H). reflexivity.
Qed.

Lemma each_spec f : forall cs a ts hs, each f a cs ts hs = true ->
  forall k c, nth_error cs k = Some c ->
  exists t, nth_error ts k = Some t /\ f (a + k)%nat c t (nth k hs []) = true.
Proof.
  induction cs as [|c0 cs IH]; intros a ts hs H k c Hk; [destruct k; discriminate|].
  destruct ts as [|t0 ts]; [discriminate|]. simpl in H.
  destruct (f a c0 t0 (hd [] hs)) eqn:E; [|discriminate].
  destruct k as [|k]; simpl in *.
  - inversion Hk; subst. exists t0. split; [reflexivity|].
    rewrite Nat.add_0_r, <- hd_nth. exact E.
  - destruct (IH (S a) ts (tl hs) H k c Hk) as [t [Ht Hf]]. exists t. split; [exact Ht|].
    rewrite <- plus_n_Sm. rewrite nth_tl in Hf. exact Hf.
Qed.

Lemma numbered_spec {A} (l : list A) : forall k i x, nth_error l i = Some x ->
  In ((k + i)%nat, x) (numbered k l).
Proof.
  induction l as [|y l IH]; intros k [|i] x H; simpl in *; try discriminate.
  - inversion H; subst. left. f_equal. lia.
  - right. replace (k + S i)%nat with (S k + i)%nat by lia. apply IH, H.
Qed.

Fixpoint zipped (ss : list positive) (hs : list (option positive))
    : list (positive * option positive) :=
  match ss with [] => [] | s :: ss => (s, hd None hs) :: zipped ss (tl hs) end.

Lemma zipped_spec f ss : forall hs s h, In (s, h) (zipped ss hs) ->
  In s ss /\ In (f s h) (outcomes f ss hs).
Proof.
  induction ss as [|t ss IH]; intros hs s h H; simpl in *; [destruct H|].
  destruct H as [E|H]; [inversion E; subst; auto|]. destruct (IH _ _ _ H). auto.
Qed.

Lemma zipped_in ss : forall hs s, In s ss -> exists h, In (s, h) (zipped ss hs).
Proof.
  induction ss as [|t ss IH]; intros hs s H; [destruct H|]. simpl.
  destruct H as [->|H]; [exists (hd None hs); auto|]. destruct (IH (tl hs) s H) as [h Hh]. eauto.
Qed.

Lemma same_hint_spec x y : same_hint x y = true -> x = y.
Proof.
  destruct x, y; simpl; try discriminate; [|reflexivity]. intros H. apply same_id_spec in H. congruence.
Qed.

Lemma one_lead_spec ss0 hs0 ss : forall hs, one_lead ss0 hs0 ss hs = true ->
  forall s h, In (s, h) (zipped ss hs) -> lead ss0 hs0 s = h.
Proof.
  induction ss as [|t ss IH]; intros hs H s h Hin; simpl in *; [destruct Hin|].
  apply andb_true_iff in H. destruct H as [H1 H2]. destruct Hin as [E|Hin].
  - inversion E; subst. apply same_hint_spec, H1.
  - apply (IH (tl hs) H2 s h Hin).
Qed.

Lemma existsb_outcomes f (g : outcome -> bool) ss : forall hs,
  existsb g (outcomes f ss hs) = true -> exists s h, In s ss /\ g (f s h) = true.
Proof.
  induction ss as [|s ss IH]; intros hs H; simpl in H; [discriminate|].
  apply orb_true_iff in H. destruct H as [H|H].
  - exists s, (hd None hs). split; [left; reflexivity|exact H].
  - destruct (IH _ H) as [s' [h [Hin E]]]. exists s', h. split; [right; exact Hin|exact E].
Qed.

Lemma sum_of_acc ws : forall n, fold_left (fun n w => n + Zpos w)%Z ws n = (n + sum_of ws)%Z.
Proof.
  unfold sum_of. induction ws as [|w ws IH]; intros n; simpl; [lia|].
  rewrite (IH (n + Zpos w)%Z), (IH (Zpos w)). lia.
Qed.

Lemma wsum_zero {A} (f : A -> Q) l : (forall x, f x == 0) -> wsum f l == 0.
Proof. intros H. induction l as [|[x q] l IH]; simpl; [reflexivity|]. rewrite IH, H. ring. Qed.

(* the sum of the first N values *)
Fixpoint first (f : nat -> Q) (N : nat) : Q :=
  match N with O => 0 | S N => first f N + f N end.

Lemma fewer_spec f own counts t os : fewer f own counts t os = true ->
  exists w s, own = Some w /\ weighed f (weights t) os 0 = Some s /\
    ((if counts then Zpos (total t) else 0) + s <= w * Zpos (total t))%Z.
Proof.
  unfold fewer. destruct own as [w|]; [|discriminate].
  destruct (weighed f (weights t) os 0) as [s|]; [|discriminate].
  intros H. exists w, s. split; [reflexivity|]. split; [reflexivity|]. apply Z.leb_le, H.
Qed.

Definition share (tot : positive) (w : positive) : Q := Zpos w # tot.

Lemma wsum_ext {A} (f g : A -> Q) l : (forall x, f x == g x) -> wsum f l == wsum g l.
Proof. intros H. induction l as [|[x q] l IH]; simpl; [reflexivity|]. rewrite IH, H. reflexivity. Qed.

Lemma wsum_lin {A} (f g : A -> Q) a b l :
  wsum (fun x => a * f x + b * g x) l == a * wsum f l + b * wsum g l.
Proof. induction l as [|[x q] l IH]; simpl; [ring|]. rewrite IH. ring. Qed.

Lemma share_add a b tot : (a + b) # tot == (a # tot) + (b # tot).
Proof. unfold Qeq, Qplus; cbn [Qnum Qden]. rewrite !Pos2Z.inj_mul. ring. Qed.

Lemma share_one {A} (ss : list A) tot : forall ws, length ws = length ss ->
  wsum (fun _ => 1) (combine ss (map (share tot) ws)) == sum_of ws # tot.
Proof.
  induction ss as [|s ss IH]; intros [|w ws] H; simpl in *; try discriminate; [reflexivity|].
  rewrite IH by lia. unfold sum_of at 2. simpl. rewrite sum_of_acc, share_add.
  unfold share. change (Z.pos w # tot) with (Z.pos w # tot). ring.
Qed.

Lemma share_total {A} (ss : list A) tot ws : length ws = length ss -> sum_of ws = Zpos tot ->
  wsum (fun _ => 1) (combine ss (map (share tot) ws)) == 1.
Proof. intros H E. rewrite share_one by exact H. rewrite E. unfold Qeq; simpl. lia. Qed.

(* what a column is worth after a branch *)
Definition worth (K : positive) (f : rrow -> option Z) (o : outcome) : Q :=
  match o with Next r => match f r with Some x => x # K | None => 0 end | _ => 0 end.

Definition shared (f : outcome -> Q) (tot : positive) (ws : list positive) (os : list outcome) : Q :=
  wsum f (combine os (map (share tot) ws)).

Lemma weighed_spec K f tot : forall ws os acc s, weighed f ws os acc = Some s ->
  (acc # (tot * K)) + shared (worth K f) tot ws os == s # (tot * K).
Proof.
  induction ws as [|w ws IH]; intros os acc s H; destruct os as [|o os]; cbn [weighed] in H; try discriminate.
  - inversion H; subst. unfold shared; simpl. ring.
  - unfold shared in *. destruct o; try discriminate.
    + rewrite <- (IH os acc s H). simpl. ring.
    + destruct (f r) as [x|] eqn:E; [|discriminate].
      pose proof (IH os _ s H) as E2. rewrite share_add in E2.
      cbn [combine map]. unfold wsum in *. cbn [fold_right fst snd worth]. rewrite E, <- E2.
      assert (X : (Zpos w * x # tot * K) == share tot w * (x # K))
        by (unfold share, Qeq, Qmult; cbn [Qnum Qden]; reflexivity).
      rewrite X. ring.
Qed.

Lemma weighed_defined f : forall ws os acc s, weighed f ws os acc = Some s ->
  forall o, In o os -> o = Done \/ exists r x, o = Next r /\ f r = Some x.
Proof.
  induction ws as [|w ws IH]; intros os acc s H o Ho; destruct os as [|o0 os];
    cbn [weighed] in H; try discriminate; [destruct Ho|].
  destruct o0 as [| |r|]; try discriminate.
  - destruct Ho as [E|Ho]; [left; symmetry; exact E|apply (IH os acc s H o Ho)].
  - destruct (f r) as [x|] eqn:E; [|discriminate].
    destruct Ho as [Eo|Ho]; [right; exists r, x; auto|apply (IH os _ s H o Ho)].
Qed.

Lemma fewer_shared f own counts t os : fewer f own counts t os = true ->
  exists w, own = Some w /\
    (if counts then 1 else 0) + shared (worth 1 f) (total t) (weights t) os <= w # 1.
Proof.
  intros H. apply fewer_spec in H. destruct H as [w [s [Ew [Es L]]]]. exists w. split; [exact Ew|].
  pose proof (weighed_spec 1 f (total t) _ _ _ _ Es) as W.
  assert (Z0 : (0 # total t * 1) == 0) by reflexivity. rewrite Z0 in W.
  assert (W' : shared (worth 1 f) (total t) (weights t) os == (s # total t * 1)) by lra.
  rewrite W'. assert (s # total t * 1 <= (w # 1) - (if counts then 1 else 0)).
  { destruct counts; unfold Qle, Qminus, Qplus, Qopp; cbn [Qnum Qden]; rewrite ?Pos2Z.inj_mul; lia. }
  lra.
Qed.

(* a value that every branch bounds *)
Lemma branch_upper (g : positive -> Q) (phi : outcome -> Q) f tot ss : forall ws hs,
  (forall s h, In (s, h) (zipped ss hs) -> g s <= phi (f s h)) ->
  length ws = length ss ->
  wsum g (combine ss (map (share tot) ws)) <= shared phi tot ws (outcomes f ss hs).
Proof.
  unfold shared. induction ss as [|s ss IH]; intros [|w ws] hs H L; simpl in *; try discriminate; try lra.
  assert (g s <= phi (f s (hd None hs))) by (apply H; left; reflexivity).
  assert (wsum g (combine ss (map (share tot) ws)) <=
          wsum phi (combine (outcomes f ss (tl hs)) (map (share tot) ws))).
  { apply IH; [|lia]. intros s' h Hi. apply H; right; assumption. }
  assert (0 < share tot w) by (unfold share, Qlt; simpl; lia).
  assert (share tot w * g s <= share tot w * phi (f s (hd None hs))) by (apply Qmult_le_l; assumption).
  lra.
Qed.

Lemma branch_lower (g : positive -> Q) (phi : outcome -> Q) f tot ss : forall ws hs,
  (forall s h, In (s, h) (zipped ss hs) -> phi (f s h) <= g s) ->
  length ws = length ss ->
  shared phi tot ws (outcomes f ss hs) <= wsum g (combine ss (map (share tot) ws)).
Proof.
  unfold shared. induction ss as [|s ss IH]; intros [|w ws] hs H L; simpl in *; try discriminate; try lra.
  assert (phi (f s (hd None hs)) <= g s) by (apply H; left; reflexivity).
  assert (wsum phi (combine (outcomes f ss (tl hs)) (map (share tot) ws)) <=
          wsum g (combine ss (map (share tot) ws))).
  { apply IH; [|lia]. intros s' h Hi. apply H; right; assumption. }
  assert (0 < share tot w) by (unfold share, Qlt; simpl; lia).
  assert (share tot w * phi (f s (hd None hs)) <= share tot w * g s) by (apply Qmult_le_l; assumption).
  lra.
Qed.

Lemma outcomes_length f ss : forall hs, length (outcomes f ss hs) = length ss.
Proof. induction ss; intros hs; simpl; [reflexivity|]. rewrite IHss. reflexivity. Qed.
