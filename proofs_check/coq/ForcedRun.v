(* Returns in the penalty problem over an infinite horizon, deterministic dynamics: the reward
   while z >= 0, and -n at every step from the first violation on.  Along a march, where every
   choice is forced, the return is known but for the fines that come after it. *)
Require Import ZArith QArith Qfield Lia Lqa List Bool FMapPositive.
From IGTheory Require Import Safety KernelCheck.
Import ListNotations.
Open Scope Q_scope.

Section Run.
  Variables (gp gq K : Z).
  Variable M : PositiveMap.t (list choice).
  Variable rewards : PositiveMap.t (list Q).
  Variables (b n : Q).                    (* reward discount; penalty per step *)

  Notation gam := (gam gp gq).
  Notation acts := (acts M).
  Notation succ := (succ M).
  Notation cost := (cost K M).
  Notation hist := (list (positive * nat)).
  Notation zof := (zof positive nat cost gam).
  Notation znext := (znext positive nat cost gam).
  Notation surely_safe := (surely_safe positive nat acts succ cost gam).

  Definition reward (s : positive) (a : nat) : Q :=
    match PositiveMap.find s rewards with Some l => nth a l 0 | None => 0 end.
  Definition next (s : positive) (a : nat) : positive := hd s (succ s a).

  (* Deterministic policies that may remember everything. *)
  Definition chooser := hist -> positive -> nat.
  Definition valid (f : chooser) : Prop := forall h s, acts s <> [] -> In (f h s) (acts s).
  Definition plays (f : chooser) : policy positive nat := fun h s a => a = f h s.

  (* Return over N steps in the penalty problem, from (s, z) after the history h. *)
  Fixpoint ret (f : chooser) (N : nat) (h : hist) (s : positive) (z : Q) : Q :=
    match N with
    | O => 0
    | S N => (if Qlt_le_dec z 0 then - n else reward s (f h s)) +
             b * ret f N ((s, f h s) :: h) (next s (f h s)) (znext z s (f h s) (next s (f h s)))
    end.

  (* Better by a margin at every horizon, hence in the limit. *)
  Definition better (f f' : chooser) s0 z0 : Prop :=
    exists margin, 0 < margin /\ forall N, (1 <= N)%nat -> ret f' N [] s0 z0 + margin <= ret f N [] s0 z0.
  Definition optimal (f : chooser) s0 z0 : Prop :=
    valid f /\ forall f', valid f' -> ~ better f' f s0 z0.
  Definition violates_at (t : nat) (f : chooser) s0 z0 : Prop :=
    exists h s, reach positive nat succ (plays f) s0 h s /\ length h = t /\ zof z0 h s < 0.

  (* ---------- what the kernel computes ---------- *)
  Definition only_choice (s : positive) : option nat :=
    match acts s with [a] => Some a | _ => None end.
  Definition only_next (s : positive) (a : nat) : option positive :=
    match succ s a with [s'] => Some s' | _ => None end.
  (* k forced steps, all of them before a violation: the reward, and where they lead. *)
  Fixpoint march (k : nat) (s : positive) (z : Q) : option (Q * (positive * Q)) :=
    match k with
    | O => Some (0, (s, z))
    | S k =>
        if Qle_bool 0 z then
          match only_choice s with
          | Some a =>
              match only_next s a with
              | Some s' =>
                  match march k s' (znext z s a s') with
                  | Some (G, e) => Some (reward s a + b * G, e)
                  | None => None
                  end
              | None => None
              end
          | None => None
          end
        else None
    end.
  Definition free_for_ever (s : positive) : bool :=
    match only_choice s with
    | Some a => match only_next s a with
                | Some s' => Pos.eqb s' s && Qeq_bool (cost s a s') 0 && Qeq_bool (reward s a) 0
                | None => false end
    | None => false
    end.
  Definition rewards_ok : bool :=
    forallb (fun e => forallb (Qle_bool 0) (snd e)) (PositiveMap.elements rewards).
  Definition lower (G : Q) (t : nat) : Q := G - qpow b t * (n / (1 - b)).

  (* ---------- what it means ---------- *)
  Lemma Qle_bool_false x y : Qle_bool x y = false <-> y < x.
  Proof.
    split; intros H.
    - destruct (Qlt_le_dec y x) as [|L]; [assumption|]. apply Qle_bool_iff in L. congruence.
    - destruct (Qle_bool x y) eqn:E; [|reflexivity]. apply Qle_bool_iff in E. lra.
  Qed.

  Section Sound.
    Hypothesis r_ok : rewards_ok = true.
    Hypothesis n_nonneg : 0 <= n.
    Hypothesis b_pos : 0 < b.
    Hypothesis b_lt : b < 1.

    Lemma reward_nonneg s a : 0 <= reward s a.
    Proof.
      unfold reward. destruct (PositiveMap.find s rewards) as [l|] eqn:E; [|lra].
      unfold rewards_ok in r_ok. rewrite forallb_forall in r_ok.
      specialize (r_ok (s, l) (PositiveMap.elements_correct rewards s E)). simpl in r_ok.
      rewrite forallb_forall in r_ok. destruct (nth_in_or_default a l 0) as [Hin| ->]; [|lra].
      apply Qle_bool_iff, r_ok, Hin.
    Qed.

    Lemma tail_nonneg : 0 <= n / (1 - b).
    Proof. apply Qle_shift_div_l; lra. Qed.

    (* Whatever happens, the loss is at most that of being fined for ever. *)
    Lemma ret_floor f N : forall h s z, - (n / (1 - b)) <= ret f N h s z.
    Proof.
      pose proof tail_nonneg as T.
      induction N; intros h s z; simpl; [lra|].
      set (x := ret f N _ _ _).
      assert (X : b * - (n / (1 - b)) <= b * x) by (apply Qmult_le_l; [assumption|apply IHN]).
      assert (E : n / (1 - b) == n + b * (n / (1 - b))) by (field; lra).
      pose proof (reward_nonneg s (f h s)). destruct (Qlt_le_dec z 0); lra.
    Qed.

    Lemma only_choice_inv s a : only_choice s = Some a -> acts s = [a].
    Proof.
      unfold only_choice. destruct (acts s) as [|x [|]]; try discriminate. intros E. congruence.
    Qed.
    Lemma only_next_inv s a s' : only_next s a = Some s' -> succ s a = [s'] /\ next s a = s'.
    Proof.
      unfold only_next, next. destruct (succ s a) as [|x [|]]; try discriminate.
      intros E. inversion E; subst. split; reflexivity.
    Qed.
    Lemma forced f h s a : valid f -> only_choice s = Some a -> f h s = a.
    Proof.
      intros Hf E. apply only_choice_inv in E. specialize (Hf h s). rewrite E in Hf.
      destruct Hf as [H|[]]; [discriminate|congruence].
    Qed.

    (* Along a forced march the return is at least what the march has earned, less the fines
       after it; before its end it is not negative. *)
    Lemma march_ret f k : valid f -> forall s z G e h, march k s z = Some (G, e) ->
      0 <= G /\
      (forall N, (N <= k)%nat -> 0 <= ret f N h s z) /\
      (forall N, (k <= N)%nat -> G - qpow b k * (n / (1 - b)) <= ret f N h s z).
    Proof.
      intros Hf. induction k; intros s z G e h H; simpl in H.
      - inversion H; subst. split; [lra|]. split.
        + intros N HN. replace N with O by lia. simpl. lra.
        + intros N _. simpl. pose proof (ret_floor f N h s z). lra.
      - destruct (Qle_bool 0 z) eqn:Ez; [|discriminate]. apply Qle_bool_iff in Ez.
        destruct (only_choice s) as [a|] eqn:Ea; [|discriminate].
        destruct (only_next s a) as [s'|] eqn:Es; [|discriminate].
        destruct (march k s' (znext z s a s')) as [[G' e']|] eqn:Em; [|discriminate].
        inversion H; subst; clear H.
        pose proof (forced f h s a Hf Ea) as Ef. apply only_next_inv in Es. destruct Es as [_ En].
        destruct (IHk s' _ G' e ((s, a) :: h) Em) as [I0 [I1 I2]].
        pose proof (reward_nonneg s a) as Hr. split; [|split].
        + assert (0 <= b * G') by (apply Qmult_le_0_compat; lra). lra.
        + intros N HN. destruct N as [|N]; simpl; [lra|]. rewrite Ef, En.
          assert (X : 0 <= ret f N ((s, a) :: h) s' (znext z s a s')) by (apply I1; lia).
          assert (0 <= b * ret f N ((s, a) :: h) s' (znext z s a s')) by (apply Qmult_le_0_compat; lra).
          destruct (Qlt_le_dec z 0); lra.
        + intros N HN. destruct N as [|N]; [lia|]. simpl. rewrite Ef, En.
          assert (X : G' - qpow b k * (n / (1 - b)) <= ret f N ((s, a) :: h) s' (znext z s a s'))
            by (apply I2; lia).
          assert (Y : b * (G' - qpow b k * (n / (1 - b))) <= b * ret f N ((s, a) :: h) s' (znext z s a s'))
            by (apply Qmult_le_l; assumption).
          destruct (Qlt_le_dec z 0); lra.
    Qed.

    Lemma march_reach f k s0 z0 : valid f -> forall s G e h, reach positive nat succ (plays f) s0 h s ->
      march k s (zof z0 h s) = Some (G, e) ->
      exists h', reach positive nat succ (plays f) s0 h' (fst e) /\
        length h' = (k + length h)%nat /\ zof z0 h' (fst e) = snd e.
    Proof.
      intros Hf. induction k; intros s G e h R H; simpl in H.
      - inversion H; subst. exists h. simpl. auto.
      - destruct (Qle_bool 0 (zof z0 h s)); [|discriminate].
        destruct (only_choice s) as [a|] eqn:Ea; [|discriminate].
        destruct (only_next s a) as [s'|] eqn:Es; [|discriminate].
        destruct (march k s' _) as [[G' e']|] eqn:Em; [|discriminate]. inversion H; subst; clear H.
        apply only_next_inv in Es. destruct Es as [Es _].
        assert (R' : reach positive nat succ (plays f) s0 ((s, a) :: h) s').
        { econstructor; [exact R| |rewrite Es; left; reflexivity].
          symmetry. apply (forced f h s a Hf Ea). }
        destruct (IHk s' G' e ((s, a) :: h) R' Em) as [h' [P1 [P2 P3]]].
        exists h'. split; [exact P1|]. split; [simpl in P2; lia|exact P3].
    Qed.

    Lemma free_ret f N : valid f -> forall s, free_for_ever s = true -> forall h z, 0 <= z ->
      0 < gam -> ret f N h s z == 0.
    Proof.
      intros Hf. induction N; intros s Hs h z Hz Hg; simpl; [reflexivity|].
      pose proof Hs as Hs2. unfold free_for_ever in Hs2.
      destruct (only_choice s) as [a|] eqn:Ea; [|discriminate].
      destruct (only_next s a) as [s'|] eqn:Es; [|discriminate].
      rewrite !andb_true_iff in Hs2. destruct Hs2 as [[E1 E2] E3].
      apply Pos.eqb_eq in E1. apply Qeq_bool_iff in E2. apply Qeq_bool_iff in E3. subst s'.
      rewrite (forced f h s a Hf Ea). apply only_next_inv in Es. destruct Es as [_ En]. rewrite En.
      rewrite IHN; [|exact Hs| |exact Hg].
      - destruct (Qlt_le_dec z 0); lra.
      - unfold Game.znext. rewrite E2. apply Qle_shift_div_l; [exact Hg|]. lra.
    Qed.
  End Sound.
End Run.
