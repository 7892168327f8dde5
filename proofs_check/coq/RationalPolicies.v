(* The link of T5 to the exact probabilities of the development: for a policy with rational
   weights, the probability [violation] of LeastIntrusive, over (state, budget) pairs and in real
   numbers, is the rational [viol] of Probability.  So the limit of intervention is
   - ln (1 - viol), with viol the base model's own probability of violating. *)
Require Import QArith Reals Qreals Lra List Bool.
From IGTheory Require Import Safety Gibbs LeastIntrusive NeverViolate.
Import ListNotations.
Open Scope R_scope.

Section Link.
  Variables St Act : Type.
  Variable acts : St -> list Act.
  Variable c : St -> Act -> St -> Q.
  Variable g : Q.
  Variable P : St -> Act -> list (St * Q).
  Notation znext := (znext St Act c g).
  Notation viol := (viol St Act c g P).

  (* The pairs. *)
  Definition X := (St * Q)%type.
  Definition kept (x : X) : bool := if Qlt_le_dec (snd x) 0 then false else true.
  Definition enabled (x : X) : list Act := acts (fst x).
  Definition branches (x : X) (a : Act) : list (X * R) :=
    map (fun e => ((fst e, znext (snd x) (fst x) a (fst e)), Q2R (snd e))) (P (fst x) a).

  (* A randomised history-dependent policy, by the weight of every enabled action. *)
  Variable u : list (St * Act) -> St -> Act -> Q.
  Definition weights : rpolicy St Act := fun h s => map (fun a => (a, u h s a)) (acts s).
  Definition seen (h : list (X * Act)) : list (St * Act) := map (fun e => (fst (fst e), snd e)) h.
  Definition weights_R : policy X Act := fun h x a => Q2R (u (seen h) (fst x) a).

  Lemma Q2R_0 : Q2R 0 = 0. Proof. unfold Q2R. simpl. lra. Qed.
  Lemma Q2R_1 : Q2R 1 = 1. Proof. unfold Q2R. simpl. lra. Qed.
  Lemma Q2R_wsum {A} (f : A -> Q) (l : list (A * Q)) :
    Q2R (wsum f l) = sum (fun e => Q2R (snd e) * Q2R (f (fst e))) l.
  Proof.
    induction l as [|[x w] l IH]; simpl; [apply Q2R_0|].
    rewrite Q2R_plus, Q2R_mult. f_equal. exact IH.
  Qed.
  Lemma sum_map {A B} (k : A -> B) (f : B -> R) l : sum f (map k l) = sum (fun x => f (k x)) l.
  Proof. induction l; simpl; congruence. Qed.

  Theorem T5_violation_is_viol n : forall h s z,
    violation X Act kept enabled branches n weights_R h (s, z) = Q2R (viol weights n (seen h) s z).
  Proof.
    induction n; intros h s z; simpl; unfold kept; simpl; destruct (Qlt_le_dec z 0);
      try (symmetry; apply Q2R_1); try (symmetry; apply Q2R_0).
    rewrite Q2R_wsum.
    change (weights (seen h) s) with (map (fun a => (a, u (seen h) s a)) (acts s)).
    rewrite sum_map. apply sum_ext. intros a _. simpl.
    unfold weights_R at 1. simpl. f_equal. rewrite Q2R_wsum. unfold mean, branches. rewrite sum_map.
    simpl. apply sum_ext. intros e _. f_equal. apply (IHn (((s, z), a) :: h)).
  Qed.
End Link.

(* T5.limit for the models of this development: deterministic dynamics, a base policy with
   rational weights.  The divergence of every policy that surely keeps the budget for n steps is
   at least - ln (1 - viol), and that is attained. *)
Section Budgets.
  Variables St Act : Type.
  Variable acts : St -> list Act.
  Variable next : St -> Act -> St.
  Variable c : St -> Act -> St -> Q.
  Variable g : Q.
  Variable pi : St -> Act -> Q.                  (* the base policy *)
  Hypothesis pi_pos : forall s a, In a (acts s) -> (0 < pi s a)%Q.
  Hypothesis pi_one : forall s, (wsum (pi s) (map (fun a => (a, 1%Q)) (acts s)) == 1)%Q.

  Notation X := (X St).
  Notation enabled := (enabled St Act acts).
  Definition after (x : X) (a : Act) : X :=
    (next (fst x) a, znext St Act c g (snd x) (fst x) a (next (fst x) a)).
  Definition pi_R (x : X) (a : Act) : R := Q2R (pi (fst x) a).
  Definition one_branch (s : St) (a : Act) : list (St * Q) := [(next s a, 1%Q)].
  Definition base_viol (n : nat) (s : St) (z : Q) : Q :=
    viol St Act c g one_branch (weights St Act acts (fun _ => pi)) n [] s z.

  Lemma branches_after x a : branches St Act c g one_branch x a = surely X Act after x a.
  Proof. unfold branches, surely, one_branch, after. simpl. rewrite Q2R_1. reflexivity. Qed.

  Lemma pi_R_pos x a : In a (enabled x) -> 0 < pi_R x a.
  Proof. intros H. apply (pi_pos (fst x)) in H. apply Qlt_Rlt in H. rewrite Q2R_0 in H. exact H. Qed.
  Lemma pi_R_one x : sum (pi_R x) (enabled x) = 1.
  Proof.
    pose proof (Qeq_eqR _ _ (pi_one (fst x))) as H. rewrite Q2R_wsum, sum_map, Q2R_1 in H.
    rewrite <- H. apply sum_ext. intros a _. simpl. rewrite Q2R_1. unfold pi_R. ring.
  Qed.

  Notation violation := (violation X Act (kept St) enabled).
  Lemma violation_same n q : forall h x,
    violation (branches St Act c g one_branch) n q h x = violation (surely X Act after) n q h x.
  Proof.
    induction n; intros h x; simpl; destruct (kept St x); try reflexivity.
    apply sum_ext. intros a _. f_equal. rewrite branches_after. apply mean_ext. intros; apply IHn.
  Qed.
  Lemma base_is n s z :
    violation (surely X Act after) n (base X Act pi_R) [] (s, z) = Q2R (base_viol n s z).
  Proof.
    rewrite <- violation_same. apply (T5_violation_is_viol St Act acts c g one_branch (fun _ => pi) n []).
  Qed.

  Notation valid := (valid X Act enabled).
  Notation safe := (safe X Act (kept St) enabled (surely X Act after)).
  Notation live := (live X Act (kept St) enabled (surely X Act after)).
  Notation divergence := (loss X Act enabled (surely X Act after) pi_R (free X Act) 1).

  Theorem T5_budget_lower q n s z : valid q -> safe n q [] (s, z) ->
    - ln (1 - Q2R (base_viol n s z)) <= divergence n q [] (s, z).
  Proof.
    intros Hq Hs. rewrite <- base_is. apply T5_divergence_lower; auto using pi_R_pos, pi_R_one.
  Qed.

  Theorem T5_budget_attained n s z : live n (s, z) = true ->
    exists q, valid q /\ safe n q [] (s, z) /\
              divergence n q [] (s, z) = - ln (1 - Q2R (base_viol n s z)).
  Proof.
    intros H. rewrite <- base_is.
    exists (star_policy X Act (kept St) enabled (surely X Act after) pi_R (free X Act) 1 n). split.
    - apply star_valid; auto using pi_R_pos, pi_R_one.
    - apply T5_divergence_attained; auto using pi_R_pos, pi_R_one.
  Qed.

  (* [live n] is the finite-horizon safe set W of Demand. *)
  Theorem T5_live_is_W n : forall s z, live n (s, z) = true <->
    W St Act acts (fun s a => [next s a]) c g n s z.
  Proof.
    induction n; intros s z; cbn [LeastIntrusive.live Demand.W].
    - unfold kept. simpl. destruct (Qlt_le_dec z 0) as [L|L]; simpl.
      + split; [discriminate|]. intros H. exfalso. apply (Qlt_not_le _ _ L H).
      + tauto.
    - rewrite andb_true_iff, existsb_exists. unfold step_safe, kept. simpl.
      assert (K : (if Qlt_le_dec z 0 then false else true) = true <-> (0 <= z)%Q).
      { destruct (Qlt_le_dec z 0) as [L|L]; split; intros H; try discriminate; auto.
        exfalso. apply (Qlt_not_le _ _ L H). }
      rewrite K. clear K. split; intros [Hz [a [Ha H]]]; (split; [exact Hz|exists a; split; [exact Ha|]]).
      + intros s' [<-|[]]. apply IHn. rewrite andb_true_r in H. exact H.
      + rewrite andb_true_r. apply IHn. apply H. left; reflexivity.
  Qed.
End Budgets.
