(* L2.demand.  T D(s) = min_a max(0, max_s' c + gamma D(s')) and its iterates from 0: a budget is
   safe iff it is at least T^n 0 for every n (the step from all n to safe uses excluded middle).
   None stands for an infinite demand.  Costs of any sign, gamma > 0. *)
Require Import QArith Qfield Lqa Lia List Qminmax.
From IGTheory Require Import Power Game.
Import ListNotations.
Require Import Classical.
Open Scope Q_scope.

Section MDP.
  Variables St Act : Type.
  Variable acts : St -> list Act.
  Variable succ : St -> Act -> list St.
  Variable c : St -> Act -> St -> Q.
  Variable g : Q.
  Hypothesis g_pos : 0 < g.
  Notation znext := (znext St Act c g).
  Notation step_safe := (step_safe St Act acts succ c g).
  Notation Safe := (Safe St Act acts succ c g).
  Notation znext_ge := (znext_ge St Act c g g_pos).

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

  (* W n is what some policy, randomised and with memory, keeps for n steps *)
  Definition keeps_for (n : nat) (p : policy St Act) (s0 : St) (z0 : Q) : Prop :=
    forall h s, reach St Act succ p s0 h s -> (length h <= n)%nat ->
      0 <= zof St Act c g z0 h s /\
      ((length h < n)%nat -> (exists a, p h s a) /\ forall a, p h s a -> In a (acts s)).

  Theorem W_policy n s0 z0 : W n s0 z0 <-> exists p, keeps_for n p s0 z0.
  Proof.
    split.
    - intros H0.
      set (p := fun (h : hist St Act) s a => In a (acts s) /\ forall s', In s' (succ s a) ->
                  W (n - S (length h)) s' (znext (zof St Act c g z0 h s) s a s')).
      assert (K : forall h s, reach St Act succ p s0 h s -> (length h <= n)%nat ->
                W (n - length h) s (zof St Act c g z0 h s)).
      { intros h s R. induction R as [|h s a s' R IH [Ha Hs] Hin]; intros Hl.
        - simpl. rewrite Nat.sub_0_r. exact H0.
        - simpl. apply Hs, Hin. }
      exists p. intros h s R Hl. specialize (K h s R Hl).
      destruct (n - length h)%nat as [|k] eqn:E.
      + split; [exact K|]. intros. lia.
      + destruct K as [Hz [a [Ha Hs]]]. split; [exact Hz|]. intros Hlt. split.
        * exists a. split; [exact Ha|]. replace (n - S (length h))%nat with k by lia. exact Hs.
        * intros b [Hb _]. exact Hb.
    - intros [p Hp].
      assert (K : forall k h s, reach St Act succ p s0 h s -> (length h + k = n)%nat ->
                W k s (zof St Act c g z0 h s)).
      { induction k; intros h s R E.
        - apply (Hp h s R). lia.
        - destruct (Hp h s R) as [Hz Hne]; [lia|]. destruct Hne as [[a Ha] Hin]; [lia|].
          split; [exact Hz|]. exists a. split; [apply Hin, Ha|]. intros s' Hs'.
          apply (IHk ((s, a) :: h) s'); [econstructor; eauto|simpl; lia]. }
      apply (K n [] s0); [constructor|reflexivity].
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
End MDP.

(* completeness of the iteration, by excluded middle *)
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
