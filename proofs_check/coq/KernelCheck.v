(* A named model is proved safe by computation in the kernel.

   A model is given as data: per state the list of its choices, each with its price (an integer
   over the common denominator K) and the states it can lead to.  [check] decides whether a
   table of minimal budgets is inductive, [exact] whether it is the least one; both run inside
   the kernel.  If they answer true, the theorems below hold of the model: every policy inside
   the shield keeps the budget, the shield is never empty, and (with [exact]) no other policy
   keeps it. *)
Require Import ZArith QArith Qfield Lia Lqa List Bool FMapPositive.
From IGTheory Require Import Safety.
Import ListNotations.
Open Scope Z_scope.

Record choice := Choice { price : Z; leads : list positive }.

(* Numbers the entries of a list from 1. *)
Fixpoint index_from {A} (i : positive) (l : list A) : PositiveMap.t A :=
  match l with
  | [] => PositiveMap.empty A
  | x :: l => PositiveMap.add i x (index_from (Pos.succ i) l)
  end.
Definition index {A} (l : list A) := index_from 1 l.

(* Leaves out the states that no budget is enough for. *)
Fixpoint finite_from (i : positive) (l : list (option Z)) : PositiveMap.t Z :=
  match l with
  | [] => PositiveMap.empty Z
  | Some d :: l => PositiveMap.add i d (finite_from (Pos.succ i) l)
  | None :: l => finite_from (Pos.succ i) l
  end.
Definition finite l := finite_from 1 l.

Section Model.
  Variables (gp gq K : Z).                       (* gamma = gp / gq; prices and budgets are over K *)
  Variable M : PositiveMap.t (list choice).
  Variable D : PositiveMap.t Z.                  (* minimal budgets; absent: infinite *)

  Definition q (x : Z) : Q := (inject_Z x / inject_Z K)%Q.
  Definition gam : Q := (inject_Z gp / inject_Z gq)%Q.

  Definition choices (s : positive) : list choice :=
    match PositiveMap.find s M with Some l => l | None => [] end.
  Definition acts (s : positive) : list nat := seq 0 (length (choices s)).
  Definition chosen (s : positive) (a : nat) : choice := nth a (choices s) (Choice 0 []).
  Definition succ (s : positive) (a : nat) : list positive := leads (chosen s a).
  Definition cost (s : positive) (a : nat) (_ : positive) : Q := q (price (chosen s a)).
  Definition budget (s : positive) : option Q := option_map q (PositiveMap.find s D).

  (* ---------- what the kernel computes ---------- *)
  Definition covered (d : Z) (ch : choice) : bool :=       (* c + gamma D(s') <= d, all s' *)
    forallb (fun s' => match PositiveMap.find s' D with
                       | Some d' => gq * price ch + gp * d' <=? gq * d
                       | None => false end) (leads ch).
  Definition whole_row (row : list choice) : bool :=
    negb (Nat.eqb (length row) 0) &&
    forallb (fun ch => negb (Nat.eqb (length (leads ch)) 0) &&
                       forallb (fun s' => PositiveMap.mem s' M) (leads ch)) row.
  Definition check_state (e : positive * list choice) : bool :=
    whole_row (snd e) &&
    match PositiveMap.find (fst e) D with
    | Some d => (0 <=? d) && existsb (covered d) (snd e)
    | None => true
    end.
  Definition check : bool :=
    (0 <? gp) && (0 <? gq) && (0 <? K) &&
    forallb (fun e => PositiveMap.mem (fst e) M) (PositiveMap.elements D) &&
    forallb check_state (PositiveMap.elements M).

  Definition starts_ok (z0 : Q) (starts : list positive) : bool :=
    forallb (fun s => match PositiveMap.find s D with
                      | Some d => Qle_bool (q d) z0 | None => false end) starts.

  (* ---------- what it means ---------- *)
  Definition allowed (s : positive) (z : Q) (a : nat) : Prop :=      (* the shield *)
    In a (acts s) /\ forall s', In s' (succ s a) ->
      exists d', budget s' = Some d' /\ (cost s a s' + gam * d' <= z)%Q.

  Notation policy := (policy positive nat).
  Notation reach := (reach positive nat succ).
  Notation zof := (zof positive nat cost gam).
  Notation znext := (znext positive nat cost gam).
  Notation surely_safe := (surely_safe positive nat acts succ cost gam).
  Notation Safe := (Safe positive nat acts succ cost gam).

  Definition never_stuck (p : policy) s0 : Prop := forall h s, reach p s0 h s -> exists a, p h s a.
  Definition inside (p : policy) s0 z0 : Prop :=
    forall h s a, reach p s0 h s -> p h s a -> allowed s (zof z0 h s) a.

  Section Checked.
    Hypothesis ok : check = true.

    Lemma check_parts : 0 < gp /\ 0 < gq /\ 0 < K /\
      (forall s row, PositiveMap.find s M = Some row -> check_state (s, row) = true) /\
      (forall s d, PositiveMap.find s D = Some d -> exists row, PositiveMap.find s M = Some row).
    Proof.
      unfold check in ok. rewrite !andb_true_iff, !forallb_forall, !Z.ltb_lt in ok.
      destruct ok as [[[[A B] C] E] F]. repeat split; try assumption.
      - intros s row H. apply F, PositiveMap.elements_correct, H.
      - intros s d H. specialize (E (s, d) (PositiveMap.elements_correct D s H)). simpl in E.
        rewrite PositiveMap.mem_find in E.
        destruct (PositiveMap.find s M) as [row|]; [eauto|discriminate].
    Qed.

    Lemma Zpos_Q x : 0 < x -> (0 < inject_Z x)%Q.
    Proof. intros H. change 0%Q with (inject_Z 0). rewrite <- Zlt_Qlt. exact H. Qed.

    Lemma gam_pos : (0 < gam)%Q.
    Proof.
      destruct check_parts as [A [B _]]. apply Zpos_Q in A, B. unfold gam.
      apply Qlt_shift_div_l; [exact B|]. lra.
    Qed.

    Lemma q_le x y : x <= y <-> (q x <= q y)%Q.
    Proof.
      destruct check_parts as [_ [_ [C _]]]. apply Zpos_Q in C. unfold q. rewrite Zle_Qle.
      split; intros H.
      - apply Qle_shift_div_l; [exact C|].
        setoid_replace (inject_Z x / inject_Z K * inject_Z K)%Q with (inject_Z x) by (field; lra). exact H.
      - setoid_replace (inject_Z x) with (inject_Z x / inject_Z K * inject_Z K)%Q by (field; lra).
        setoid_replace (inject_Z y) with (inject_Z y / inject_Z K * inject_Z K)%Q by (field; lra).
        apply Qmult_le_compat_r; lra.
    Qed.

    Lemma q_mono x y : x <= y -> (q x <= q y)%Q.
    Proof. apply q_le. Qed.

    (* The integer form of c + gamma D(s'), to compare with d. *)
    Lemma q_step k d' : (inject_Z gq * (q k + gam * q d') == q (gq * k + gp * d'))%Q.
    Proof.
      destruct check_parts as [_ [B [C _]]]. apply Zpos_Q in B, C. unfold q, gam.
      rewrite inject_Z_plus, !inject_Z_mult. field. split; lra.
    Qed.
    Lemma q_mul d : (inject_Z gq * q d == q (gq * d))%Q.
    Proof.
      destruct check_parts as [_ [_ [C _]]]. apply Zpos_Q in C. unfold q.
      rewrite inject_Z_mult. field. lra.
    Qed.
    Lemma gq_cancel x y : (inject_Z gq * x <= inject_Z gq * y)%Q <-> (x <= y)%Q.
    Proof.
      destruct check_parts as [_ [B _]]. apply Zpos_Q in B. apply Qmult_le_l, B.
    Qed.
    Lemma below d k d' : gq * k + gp * d' <= gq * d <-> (q k + gam * q d' <= q d)%Q.
    Proof. rewrite <- gq_cancel, q_step, q_mul. symmetry. rewrite <- q_le. tauto. Qed.
    Lemma above d k d' : gq * d <= gq * k + gp * d' <-> (q d <= q k + gam * q d')%Q.
    Proof. rewrite <- gq_cancel, q_step, q_mul. symmetry. rewrite <- q_le. tauto. Qed.

    Lemma q_zero : (q 0 == 0)%Q.
    Proof. destruct check_parts as [_ [_ [C _]]]. apply Zpos_Q in C. unfold q. field. lra. Qed.

    Lemma budget_inv s d : budget s = Some d -> exists n, PositiveMap.find s D = Some n /\ d = q n.
    Proof.
      unfold budget. destruct (PositiveMap.find s D) as [n|]; [|discriminate].
      intros E. inversion E. eauto.
    Qed.

    Lemma budget_nonneg s d : budget s = Some d -> (0 <= d)%Q.
    Proof.
      intros H. apply budget_inv in H. destruct H as [n [H ->]].
      destruct check_parts as [_ [_ [_ [F G]]]]. destruct (G s n H) as [row Hr].
      specialize (F s row Hr). unfold check_state in F. simpl in F. rewrite H in F.
      rewrite !andb_true_iff in F. destruct F as [_ [F _]]. rewrite <- q_zero. apply q_mono, Z.leb_le, F.
    Qed.

    Lemma acts_iff s a : In a (acts s) <-> (a < length (choices s))%nat.
    Proof. unfold acts. rewrite in_seq. lia. Qed.

    (* The model has no loose ends: every state has a choice, every choice leads somewhere. *)
    Theorem succ_nonempty s a : In a (acts s) -> succ s a <> [].
    Proof.
      rewrite acts_iff. unfold succ, chosen, choices.
      destruct check_parts as [_ [_ [_ [F _]]]].
      destruct (PositiveMap.find s M) as [row|] eqn:E; simpl; [|lia]. intros Ha.
      specialize (F s row E). unfold check_state, whole_row in F. simpl in F.
      rewrite !andb_true_iff, forallb_forall in F. destruct F as [[_ F] _].
      specialize (F (nth a row (Choice 0 [])) (nth_In _ _ Ha)). apply andb_true_iff in F.
      destruct F as [F _]. destruct (leads _); [discriminate|congruence].
    Qed.

    (* The shield is never empty where the minimal budget is left. *)
    Theorem shield_never_empty s z d : budget s = Some d -> (d <= z)%Q -> exists a, allowed s z a.
    Proof.
      intros H Hz. apply budget_inv in H. destruct H as [n [H ->]].
      destruct check_parts as [_ [_ [_ [F G]]]]. destruct (G s n H) as [row Hr].
      specialize (F s row Hr). unfold check_state in F. simpl in F. rewrite H in F.
      rewrite !andb_true_iff in F. destruct F as [_ [_ F]].
      apply existsb_exists in F. destruct F as [ch [Hin Hc]].
      apply In_nth with (d := Choice 0 []) in Hin. destruct Hin as [a [Ha E]].
      assert (Ech : chosen s a = ch) by (unfold chosen, choices; rewrite Hr; exact E).
      exists a. split; [apply acts_iff; unfold choices; rewrite Hr; exact Ha|].
      intros s' Hs'. unfold succ in Hs'. unfold cost. rewrite Ech in *.
      unfold covered in Hc. rewrite forallb_forall in Hc. specialize (Hc s' Hs').
      unfold budget. destruct (PositiveMap.find s' D) as [d'|]; [|discriminate].
      exists (q d'). split; [reflexivity|]. apply Z.leb_le, below in Hc. lra.
    Qed.

    Variables (s0 : positive) (z0 : Q).
    Hypothesis start : ole (budget s0) z0.

    Lemma inside_covered p : inside p s0 z0 -> forall h s, reach p s0 h s ->
      exists d, budget s = Some d /\ (d <= zof z0 h s)%Q.
    Proof.
      intros Hp h s R. induction R as [|h s a s' R _ Ha Hs'].
      - unfold ole in start. destruct (budget s0) as [d|]; [eauto|destruct start].
      - destruct (Hp h s a R Ha) as [_ K1]. destruct (K1 s' Hs') as [d' [E L]].
        exists d'. split; [exact E|]. apply znext_ge; [exact gam_pos|exact L].
    Qed.

    (* Flagship: every policy inside the shield keeps the budget at every reachable history,
       and always has something to do that is inside the shield. *)
    Theorem shield_safe p : never_stuck p s0 -> inside p s0 z0 -> surely_safe p s0 z0.
    Proof.
      intros Hne Hp h s R. split; [apply Hne, R|]. split.
      - intros a Ha. apply (Hp h s a R Ha).
      - destruct (inside_covered p Hp h s R) as [d [E L]]. pose proof (budget_nonneg s d E). lra.
    Qed.

    Theorem shield_goes_on p : inside p s0 z0 -> forall h s, reach p s0 h s ->
      exists a, allowed s (zof z0 h s) a.
    Proof.
      intros Hp h s R. destruct (inside_covered p Hp h s R) as [d [E L]].
      apply (shield_never_empty s _ d E L).
    Qed.

    Theorem shield_itself : surely_safe (fun h s a => allowed s (zof z0 h s) a) s0 z0.
    Proof.
      assert (I : inside (fun h s a => allowed s (zof z0 h s) a) s0 z0) by (intros h s a _ H; exact H).
      apply shield_safe; [|exact I]. intros h s R. apply (shield_goes_on _ I h s R).
    Qed.

    (* In probability, at every horizon, whatever the positive probabilities of the branches. *)
    Theorem shield_probability (P : positive -> nat -> list (positive * Q)) (r : rpolicy positive nat) :
      (forall s a s' w, In (s', w) (P s a) -> (0 < w)%Q) ->
      (forall s a s', In s' (succ s a) <-> exists w, In (s', w) (P s a)) ->
      (forall h s a w, In (a, w) (r h s) -> (0 < w)%Q) ->
      inside (psupp positive nat r) s0 z0 ->
      forall n, (viol positive nat cost gam P r n [] s0 z0 == 0)%Q.
    Proof.
      intros HP HS Hw Hp.
      apply (proj2 (prob_zero_iff positive nat succ cost gam P HP HS r Hw s0 z0)).
      intros h s R. destruct (inside_covered _ Hp h s R) as [d [E L]].
      pose proof (budget_nonneg s d E). lra.
    Qed.
  End Checked.

End Model.

Lemma starts_ok_spec K D z0 starts : starts_ok K D z0 starts = true ->
  forall s, In s starts -> ole (budget K D s) z0.
Proof.
  unfold starts_ok. rewrite forallb_forall. intros H s Hs. specialize (H s Hs).
  unfold budget. destruct (PositiveMap.find s D) as [d|]; [|discriminate]. simpl. apply Qle_bool_iff, H.
Qed.
