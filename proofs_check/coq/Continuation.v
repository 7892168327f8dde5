(* T6.continuation: a guard that always keeps a known way out.

   Every state has a continuation: a policy, known in advance, whose discounted cost from there
   is at most [f s] whatever happens.  A guard plays in blocks.  It may commit to a block only
   if, after every outcome of it, [f] still fits into what is left:
       z - c(block) >= g^|block| * f(after the block);
   otherwise it plays the continuation.  Which block is tried, by which critic, by which dice,
   and when the continuation is broken off for a block that fits, is left open: the theorems
   hold for all guards of this kind.  Dynamics may be stochastic; a block may react to them. *)
Require Import QArith Qfield Lqa Lia List.
From IGTheory Require Import Safety.
Import ListNotations.
Open Scope Q_scope.

Section Continuation.
  Variables St Act : Type.
  Variable acts : St -> list Act.
  Variable succ : St -> Act -> list St.
  Variable c : St -> Act -> St -> Q.
  Variable g : Q.
  Hypothesis g_pos : 0 < g.
  Hypothesis c_nonneg : forall s a s', In s' (succ s a) -> 0 <= c s a s'.

  Notation hist := (list (St * Act)).
  Notation policy := (policy St Act).
  Notation reach := (reach St Act succ).
  Notation znext := (znext St Act c g).
  Notation zof := (zof St Act c g).
  Notation surely_safe := (surely_safe St Act acts succ c g).

  (* Discounted cost of a history (newest step first) that ends in [s]. *)
  Fixpoint spent (h : hist) (s : St) : Q :=
    match h with
    | [] => 0
    | (s1, a1) :: h' => spent h' s1 + qpow g (length h') * c s1 a1 s
    end.

  (* L1 along a history. *)
  Lemma spent_zof z0 h : forall s, qpow g (length h) * zof z0 h s == z0 - spent h s.
  Proof.
    induction h as [|[s1 a1] h IH]; intros s; simpl; [ring|].
    unfold Game.znext.
    assert (E : g * qpow g (length h) * ((zof z0 h s1 - c s1 a1 s) / g)
                == qpow g (length h) * zof z0 h s1 - qpow g (length h) * c s1 a1 s)
      by (field; lra).
    rewrite E, IH. ring.
  Qed.

  Lemma kept_iff_spent z0 h s : 0 <= zof z0 h s <-> spent h s <= z0.
  Proof.
    pose proof (spent_zof z0 h s) as E. pose proof (qpow_pos g (length h) g_pos) as P.
    split; intros H.
    - assert (0 <= qpow g (length h) * zof z0 h s) by (apply Qmult_le_0_compat; lra). lra.
    - destruct (Qlt_le_dec (zof z0 h s) 0) as [N|]; [exfalso|assumption].
      assert (qpow g (length h) * zof z0 h s < qpow g (length h) * 0)
        by (apply Qmult_lt_l; assumption). lra.
  Qed.

  (* ---------- the known continuations ---------- *)
  Variable f : St -> Q.
  Variable way_out : St -> policy.   (* from a state on; sees the history since then *)
  Hypothesis way_out_known : forall s1 h s, reach (way_out s1) s1 h s ->
    (exists a, way_out s1 h s a) /\ (forall a, way_out s1 h s a -> In a (acts s)) /\
    spent h s <= f s1.

  Lemma f_nonneg s : 0 <= f s.
  Proof. destruct (way_out_known s [] s (reach0 _ _ _ _ _)) as [_ [_ H]]. exact H. Qed.

  (* ---------- blocks ---------- *)
  Inductive block := done | take (a : Act) (rest : St -> block).

  (* What is asked before a block is committed to, step by step. *)
  Fixpoint fits (b : block) (s : St) (z : Q) : Prop :=
    match b with
    | done => f s <= z
    | take a rest => In a (acts s) /\ forall s', In s' (succ s a) -> fits (rest s') s' (znext z s a s')
    end.

  (* The same in the words of the theorem, for a fixed list of actions: every outcome. *)
  Fixpoint of_list (l : list Act) : block :=
    match l with [] => done | a :: l => take a (fun _ => of_list l) end.
  Inductive outcome : list Act -> St -> Q -> St -> Prop :=     (* actions, from, cost, to *)
  | outcome0 s : outcome [] s 0 s
  | outcomeS a l s s' k s2 : In s' (succ s a) -> outcome l s' k s2 ->
      outcome (a :: l) s (c s a s' + g * k) s2.
  Inductive playable : list Act -> St -> Prop :=
  | playable0 s : playable [] s
  | playableS a l s : In a (acts s) -> (forall s', In s' (succ s a) -> playable l s') ->
      playable (a :: l) s.

  Theorem fits_of_list l : forall s z, fits (of_list l) s z <->
    playable l s /\ forall k s2, outcome l s k s2 -> qpow g (length l) * f s2 <= z - k.
  Proof.
    induction l as [|a l IH]; intros s z; simpl.
    - split.
      + intros H. split; [constructor|]. intros k s2 O. inversion O; subst. lra.
      + intros [_ H]. pose proof (H 0 s (outcome0 s)). lra.
    - split.
      + intros [Ha H]. split.
        * constructor; [exact Ha|]. intros s' Hs'. apply (IH s' (znext z s a s')), H, Hs'.
        * intros k s2 O. inversion O as [|a' l' s1 s' k' s2' Hs' O']; subst.
          destruct (proj1 (IH s' (znext z s a s')) (H s' Hs')) as [_ K].
          specialize (K k' s2 O').
          assert (K2 : qpow g (length l) * f s2 + k' <= znext z s a s') by lra.
          apply znext_ge in K2; [|exact g_pos]. lra.
      + intros [Hp H]. inversion Hp as [|a' l' s1 Ha Hl]; subst. split; [exact Ha|].
        intros s' Hs'. apply IH. split; [apply Hl, Hs'|]. intros k s2 O.
        specialize (H _ s2 (outcomeS a l s s' k s2 Hs' O)).
        assert (K2 : qpow g (length l) * f s2 + k <= znext z s a s'); [|lra].
        apply znext_ge; [exact g_pos|]. lra.
  Qed.

  (* Costs are never negative, so a block that fits is safe inside as well. *)
  Lemma fits_kept b : forall s z, (forall s a, In a (acts s) -> succ s a <> []) ->
    fits b s z -> 0 <= z.
  Proof.
    induction b as [|a rest IH]; simpl; intros s z Hne H.
    - pose proof (f_nonneg s). lra.
    - destruct H as [Ha H]. destruct (succ s a) as [|s' l] eqn:E; [destruct (Hne s a Ha E)|].
      assert (Hs' : In s' (succ s a)) by (rewrite E; left; reflexivity).
      rewrite <- E in H. specialize (IH s' s' _ Hne (H s' Hs')).
      apply znext_ge in IH; [|exact g_pos]. pose proof (c_nonneg s a s' Hs'). lra.
  Qed.

  (* ---------- the guard ---------- *)
  Inductive mode :=
  | Free                                 (* between two blocks *)
  | Inside (b : block)                   (* committed: this much of the block is left *)
  | WayOut (s1 : St) (h1 : hist).        (* on the continuation from s1, h1 since then *)

  (* [at_ z0 s0 m h s]: a guard of this kind, started with budget z0 in s0, can be in mode m
     after the history h in state s. *)
  Inductive at_ (z0 : Q) (s0 : St) : mode -> hist -> St -> Prop :=
  | at_start : at_ z0 s0 Free [] s0
  | at_commit h s b : at_ z0 s0 Free h s -> fits b s (zof z0 h s) -> at_ z0 s0 (Inside b) h s
  | at_take a rest h s s' : at_ z0 s0 (Inside (take a rest)) h s -> In s' (succ s a) ->
      at_ z0 s0 (Inside (rest s')) ((s, a) :: h) s'
  | at_done h s : at_ z0 s0 (Inside done) h s -> at_ z0 s0 Free h s
  | at_leave h s : at_ z0 s0 Free h s -> at_ z0 s0 (WayOut s []) h s
  | at_way_out s1 h1 h s a s' : at_ z0 s0 (WayOut s1 h1) h s -> way_out s1 h1 s a ->
      In s' (succ s a) -> at_ z0 s0 (WayOut s1 ((s, a) :: h1)) ((s, a) :: h) s'
  | at_return s1 h1 h s b : at_ z0 s0 (WayOut s1 h1) h s -> fits b s (zof z0 h s) ->
      at_ z0 s0 (Inside b) h s.

  Definition now (m : mode) (s : St) (a : Act) : Prop :=
    match m with
    | Free => False
    | Inside done => False
    | Inside (take a1 _) => a = a1
    | WayOut s1 h1 => way_out s1 h1 s a
    end.
  Definition may (z0 : Q) (s0 : St) : policy :=
    fun h s a => exists m, at_ z0 s0 m h s /\ now m s a.

  Hypothesis succ_ne : forall s a, In a (acts s) -> succ s a <> [].

  Definition sound (z0 : Q) (m : mode) (h : hist) (s : St) : Prop :=
    match m with
    | Free => f s <= zof z0 h s
    | Inside b => fits b s (zof z0 h s)
    | WayOut s1 h1 => reach (way_out s1) s1 h1 s /\ exists z1, f s1 <= z1 /\ zof z0 h s == zof z1 h1 s
    end.

  Lemma at_sound z0 s0 m h s : f s0 <= z0 -> at_ z0 s0 m h s -> sound z0 m h s.
  Proof.
    intros H0 R. induction R; simpl in *; try assumption.
    - apply IHR, H.
    - split; [constructor|]. exists (zof z0 h s). split; [exact IHR|reflexivity].
    - destruct IHR as [R1 [z1 [Hz1 E]]]. split; [econstructor; eassumption|].
      exists z1. split; [exact Hz1|]. unfold Game.znext. rewrite E. reflexivity.
  Qed.

  Lemma sound_kept z0 m h s : sound z0 m h s -> 0 <= zof z0 h s.
  Proof.
    destruct m as [|b|s1 h1]; simpl; intros H.
    - pose proof (f_nonneg s). lra.
    - apply (fits_kept b s); [exact succ_ne|exact H].
    - destruct H as [R [z1 [Hz1 E]]]. rewrite E. apply kept_iff_spent.
      destruct (way_out_known s1 h1 s R) as [_ [_ K]]. lra.
  Qed.

  Lemma may_stuck_free z0 s0 m h s : f s0 <= z0 -> at_ z0 s0 m h s -> exists a, may z0 s0 h s a.
  Proof.
    intros H0 R.
    assert (F : at_ z0 s0 Free h s -> exists a, may z0 s0 h s a).
    { intros RF. destruct (way_out_known s [] s (reach0 _ _ _ _ _)) as [[a Ha] _].
      exists a, (WayOut s []). split; [apply at_leave, RF|exact Ha]. }
    destruct m as [|[|a rest]|s1 h1].
    - apply F, R.
    - apply F, at_done, R.
    - exists a, (Inside (take a rest)). split; [exact R|reflexivity].
    - destruct (at_sound _ _ _ _ _ H0 R) as [R1 _].
      destruct (way_out_known s1 h1 s R1) as [[a Ha] _]. exists a, (WayOut s1 h1); auto.
  Qed.

  Lemma reach_at z0 s0 (p : policy) :
    (forall h s a, reach p s0 h s -> p h s a -> may z0 s0 h s a) ->
    forall h s, reach p s0 h s -> exists m, at_ z0 s0 m h s.
  Proof.
    intros Hp h s R. induction R as [|h s a s' R _ Ha Hs']; [exists Free; constructor|].
    destruct (Hp h s a R Ha) as [m [Hm Hn]]. destruct m as [|[|a1 rest]|s1 h1]; simpl in Hn;
      try contradiction.
    - subst a1. exists (Inside (rest s')). apply at_take; assumption.
    - exists (WayOut s1 ((s, a) :: h1)). apply at_way_out; assumption.
  Qed.

  Lemma may_enabled z0 s0 h s a : f s0 <= z0 -> may z0 s0 h s a -> In a (acts s).
  Proof.
    intros H0 [m [R Hn]]. pose proof (at_sound _ _ _ _ _ H0 R) as S.
    destruct m as [|[|a1 rest]|s1 h1]; simpl in Hn, S; try contradiction.
    - subst a1. apply S.
    - destruct S as [R1 _]. apply (way_out_known s1 h1 s R1). exact Hn.
  Qed.

  (* T6: every policy that only does what such a guard may do keeps the budget at every history
     it can reach, within blocks too, whatever it chooses among them. *)
  Theorem T6_continuation (p : policy) s0 z0 : f s0 <= z0 ->
    (forall h s a, reach p s0 h s -> p h s a -> may z0 s0 h s a) ->
    (forall h s, reach p s0 h s -> exists a, p h s a) ->
    surely_safe p s0 z0.
  Proof.
    intros H0 Hp Hne h s R. destruct (reach_at z0 s0 p Hp h s R) as [m Hm].
    split; [apply Hne, R|]. split.
    - intros a Ha. apply (may_enabled z0 s0 h); [exact H0|apply Hp; assumption].
    - apply (sound_kept z0 m). apply (at_sound z0 s0); assumption.
  Qed.

  (* and there always is something it may do: the hypothesis is not empty. *)
  Theorem T6_never_stuck s0 z0 : f s0 <= z0 -> surely_safe (may z0 s0) s0 z0.
  Proof.
    intros H0. apply T6_continuation; [exact H0|auto|].
    intros h s R. destruct (reach_at z0 s0 (may z0 s0) ltac:(auto) h s R) as [m Hm].
    apply (may_stuck_free z0 s0 m); assumption.
  Qed.

  (* In probability: no violation at any horizon, whatever the positive probabilities. *)
  Theorem T6_probability (P : St -> Act -> list (St * Q)) (r : rpolicy St Act) s0 z0 :
    (forall s a s' q, In (s', q) (P s a) -> 0 < q) ->
    (forall s a s', In s' (succ s a) <-> exists q, In (s', q) (P s a)) ->
    (forall h s a w, In (a, w) (r h s) -> 0 < w) ->
    (forall h s, r h s <> []) ->
    f s0 <= z0 ->
    (forall h s a w, reach (psupp St Act r) s0 h s -> In (a, w) (r h s) -> may z0 s0 h s a) ->
    forall n, viol St Act c g P r n [] s0 z0 == 0.
  Proof.
    intros HP HS Hw Hne H0 Hm.
    apply (proj2 (prob_zero_iff St Act succ c g P HP HS r Hw s0 z0)).
    intros h s R. apply (T6_continuation (psupp St Act r) s0 z0 H0); [| |exact R].
    - intros h1 s1 a R1 [w Ha]. exact (Hm h1 s1 a w R1 Ha).
    - intros h1 s1 _. destruct (r h1 s1) as [|[a w] l] eqn:E; [destruct (Hne h1 s1 E)|].
      exists a, w. rewrite E. left; reflexivity.
  Qed.
End Continuation.

(* A finite plan, then nothing: what [way_out_known] comes to if costs are not negative. *)
Section FinitePlan.
  Variables St Act : Type.
  Variable succ : St -> Act -> list St.
  Variable c : St -> Act -> St -> Q.
  Variable g : Q.
  Hypothesis g_pos : 0 < g.
  Hypothesis c_nonneg : forall s a s', In s' (succ s a) -> 0 <= c s a s'.
  Notation reach := (reach St Act succ).
  Notation spent := (spent St Act c g).

  Theorem finite_plan (p : policy St Act) s1 (N : nat) f1 :
    (forall h s a s', reach p s1 h s -> (N <= length h)%nat -> p h s a -> In s' (succ s a) ->
       c s a s' == 0) ->                                  (* free for ever after N steps *)
    (forall h s, reach p s1 h s -> length h = N -> spent h s <= f1) ->
    (forall h s, reach p s1 h s -> exists a, p h s a /\ succ s a <> []) ->
    forall h s, reach p s1 h s -> spent h s <= f1.
  Proof.
    intros Hfree HN Hgo.
    assert (Up : forall k h s, (N - length h <= k)%nat -> (length h <= N)%nat ->
              reach p s1 h s -> spent h s <= f1).
    { induction k; intros h s Hk Hl R.
      - apply HN; [exact R|lia].
      - destruct (Nat.eq_dec (length h) N) as [E|E]; [apply HN; assumption|].
        destruct (Hgo h s R) as [a [Ha Hne]]. destruct (succ s a) as [|s' l] eqn:Es; [congruence|].
        assert (Hs' : In s' (succ s a)) by (rewrite Es; left; reflexivity).
        assert (B : spent ((s, a) :: h) s' <= f1).
        { apply IHk; simpl; [lia|lia|]. econstructor; eassumption. }
        simpl in B. pose proof (c_nonneg s a s' Hs').
        pose proof (qpow_pos g (length h) g_pos).
        assert (0 <= qpow g (length h) * c s a s') by (apply Qmult_le_0_compat; lra). lra. }
    intros h s R. induction R as [|h s a s' R IH Ha Hs'].
    - apply (Up N); [lia|simpl; lia|constructor].
    - destruct (le_lt_dec N (length h)) as [L|L].
      + simpl. rewrite (Hfree h s a s' R L Ha Hs'). lra.
      + apply (Up N); [simpl; lia|simpl; lia|]. econstructor; eassumption.
  Qed.
End FinitePlan.

