(* L2.least.  The demand is the least fixed point of T.
   gamma < 1: a bounded fixed point is the demand.  gamma = 1: it need not be; one exact
   counterexample.  Costs of any sign; gamma > 0 unless said otherwise. *)
Require Import QArith Qfield Lqa Lia List Qminmax.
From IGTheory Require Import Power Game Demand.
Import ListNotations.
Open Scope Q_scope.

Section MDP.
  Variables St Act : Type.
  Variable acts : St -> list Act.
  Variable succ : St -> Act -> list St.
  Variable c : St -> Act -> St -> Q.
  Variable g : Q.
  Hypothesis g_pos : 0 < g.
  Notation znext := (znext St Act c g).
  Notation znext_ge := (znext_ge St Act c g g_pos).
  Notation Safe := (Safe St Act acts succ c g).
  Notation W := (W St Act acts succ c g).
  Notation T := (T St Act acts succ c g).
  Notation Dn := (Dn St Act acts succ c g).

  (* D describes the safe set: from s a budget z is enough iff z >= D(s) *)
  Definition demand (D : St -> option Q) : Prop := forall s z, Safe s z <-> ole (D s) z.

  (* L2.least: the demand is a fixed point of T ... *)
  Theorem L2_fixed_point D : demand D -> forall s z, ole (T D s) z <-> ole (D s) z.
  Proof.
    intros HD s z. rewrite <- (HD s z), Safe_unfold, T_spec by exact g_pos.
    split; apply step_mono; intros s1 z1; apply HD.
  Qed.

  (* ... lies below every pre-fixed point, in particular below every fixed point ... *)
  Theorem L2_least_fixed_point D : demand D -> forall E : St -> option Q,
    (forall s z, ole (E s) z -> ole (T E s) z) -> forall s z, ole (E s) z -> ole (D s) z.
  Proof. intros HD E HE s z H. apply HD. eapply L2_prefixed; eauto. Qed.

  (* ... and is the supremum of the iterates T^n 0 *)
  Theorem L2_supremum D : demand D -> forall s z, ole (D s) z <-> forall n, ole (Dn n s) z.
  Proof. intros HD s z. rewrite <- (HD s z). apply L2_complete, g_pos. Qed.

  Lemma fixed_W (D : St -> Q) M : 0 <= M -> (forall s, D s <= M) ->
    (forall s z, ole (T (fun s => Some (D s)) s) z -> D s <= z) ->
    forall n s z, W n s z -> D s <= z + qpow g n * M.
  Proof.
    intros HM HB HT. induction n; intros s z HW; simpl in HW |- *.
    - pose proof (HB s). lra.
    - destruct HW as [Hz [a [Ha Hs]]].
      assert (0 <= g * qpow g n * M).
      { pose proof (qpow_pos g n g_pos).
        apply Qmult_le_0_compat; [apply Qmult_le_0_compat; lra|exact HM]. }
      apply HT, T_spec; [exact g_pos|]. split; [lra|]. exists a; split; [exact Ha|].
      intros s' Hs'. simpl. specialize (IHn s' _ (Hs s' Hs')).
      assert (E : D s' - qpow g n * M <= znext z s a s') by lra.
      apply znext_ge in E. apply znext_ge. lra.
  Qed.

  (* L2.least, gamma < 1: the only bounded fixed point is the demand *)
  Theorem L2_unique (D : St -> Q) M : g < 1 -> (forall s, D s <= M) ->
    (forall s z, ole (T (fun s => Some (D s)) s) z <-> D s <= z) ->
    forall s z, Safe s z <-> D s <= z.
  Proof.
    intros Hg HB HT s z. split.
    - intros H. destruct (Qlt_le_dec z (D s)) as [N|]; [exfalso|assumption].
      assert (HB' : forall s, D s <= Qmax M 0)
        by (intros t; eapply Qle_trans; [apply HB|apply Q.le_max_l]).
      destruct (qpow_small g g_pos (Qmax M 0) (D s - z) Hg (Q.le_max_r _ _)) as [n Hn]; [lra|].
      assert (HW : W n s z) by (apply W_Dn, L2_necessary; assumption).
      pose proof (fixed_W D _ (Q.le_max_r _ _) HB' (fun s z => proj1 (HT s z)) n s z HW). lra.
    - intros H. apply (L2_prefixed St Act acts succ c g g_pos (fun s => Some (D s))); [|exact H].
      intros t y Hy. apply HT, Hy.
  Qed.

  (* L2.deterministic, constructive half: a pre-fixed point D >= 0 has a choice that depends on
     the state alone and attains it (whatever the budget is) *)
  Theorem L2_attained (D : St -> option Q) (a0 : St -> Act) :
    (forall s z, ole (D s) z -> ole (T D s) z) ->
    exists pol : St -> Act, forall s d, D s = Some d -> 0 <= d /\ In (pol s) (acts s) /\
      forall s', In s' (succ s (pol s)) -> exists d', D s' = Some d' /\ c s (pol s) s' + g * d' <= d.
  Proof.
    intros HD.
    set (good := fun s d a s' => match D s' with None => false | Some d' =>
                   if Qlt_le_dec d (c s a s' + g * d') then false else true end).
    exists (fun s => match D s with None => a0 s | Some d =>
       match find (fun a => forallb (good s d a) (succ s a)) (acts s) with
       Some a => a | None => a0 s end end).
    intros s d Hd. rewrite Hd.
    assert (H : ole (T D s) d) by (apply HD; rewrite Hd; apply Qle_refl).
    apply T_spec in H; [|exact g_pos]. destruct H as [H0 [a [Ha Hs]]].
    destruct (find _ (acts s)) as [b|] eqn:F.
    - apply find_some in F. destruct F as [Hb Hg]. rewrite forallb_forall in Hg.
      split; [exact H0|]. split; [exact Hb|]. intros s' Hs'. specialize (Hg s' Hs').
      unfold good in Hg. destruct (D s') as [d'|]; [|discriminate]. exists d'; split; [reflexivity|].
      destruct (Qlt_le_dec d (c s b s' + g * d')); [discriminate|assumption].
    - exfalso. pose proof (find_none _ _ F a Ha) as N. cbv beta in N.
      assert (forallb (good s d a) (succ s a) = true); [|congruence].
      apply forallb_forall. intros s' Hs'. specialize (Hs s' Hs'). unfold good.
      destruct (D s') as [d'|]; [|destruct Hs]. simpl in Hs. apply znext_ge in Hs.
      destruct (Qlt_le_dec d (c s a s' + g * d')); [lra|reflexivity].
  Qed.
End MDP.

(* L2.least, gamma = 1: one state with a loop that costs nothing.  The budget 0 is enough, yet
   every D >= 0 is a fixed point of T, 1 for example. *)
Section ZeroLoop.
  Definition loop_acts (_ : unit) : list unit := [tt].
  Definition loop_succ (_ _ : unit) : list unit := [tt].
  Definition loop_cost (_ _ _ : unit) : Q := 0.
  Notation Tloop := (T unit unit loop_acts loop_succ loop_cost 1).

  Theorem L2_loop_safe : forall z, Safe unit unit loop_acts loop_succ loop_cost 1 tt z <-> 0 <= z.
  Proof.
    intros z. split; [intros H; apply Safe_unfold in H; apply H|].
    intros H. exists (fun _ z => 0 <= z). split; [exact H|]. intros [] y Hy. split; [exact Hy|].
    exists tt. split; [left; reflexivity|]. intros s' _. unfold znext, loop_cost.
    setoid_replace ((y - 0) / 1) with y by field. exact Hy.
  Qed.

  Theorem L2_loop_fixed (d : Q) : 0 <= d ->
    forall z, ole (Tloop (fun _ => Some d) tt) z <-> ole (Some d) z.
  Proof.
    intros Hd z. rewrite T_spec by reflexivity. unfold step_safe, znext, loop_cost. simpl. split.
    - intros [_ [a [_ H]]]. specialize (H tt (or_introl eq_refl)).
      setoid_replace ((z - 0) / 1) with z in H by field. exact H.
    - intros H. split; [lra|]. exists tt. split; [left; reflexivity|]. intros s' _.
      setoid_replace ((z - 0) / 1) with z by field. exact H.
  Qed.
End ZeroLoop.
