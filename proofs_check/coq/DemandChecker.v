(* A checker of minimal-budget certificates (kind `demand`) in integers, and what it implies:
   from a start that it names, every policy inside the shield of the certified demands keeps
   the budget, and the chosen actions are such a policy. *)
Require Import ZArith QArith Lia Lqa List Bool FMapPositive.
From IGTheory Require Import Power Game Probability SafetyCertificate FiniteGame.
Import ListNotations.
Open Scope Z_scope.

(* A demand over the common denominator; with true, z must exceed it. None claims nothing. *)
Definition demand := option (Z * bool).
Record drow := mkdrow { dem : demand; pick : nat; here : place }.

Definition paid (gp gq : Z) (m : PositiveMap.t drow) (charge own : Z) (st : bool)
    (s : positive) : bool :=
  match PositiveMap.find s m with
  | Some r =>
    match dem r with
    | Some (d, st') =>
      match charge + gp * d ?= own with
      | Lt => true
      | Eq => implb st' st
      | Gt => false
      end
    | None => false
    end
  | None => false
  end.

Definition demand_row (b : bound) (K : positive) (m : PositiveMap.t drow) (r : drow) : bool :=
  match dem r with
  | None => true
  | Some (d, st) =>
    (if judged b (over (here r)) then (0 <=? d) && ((0 <? d) || closed b || st) else true) &&
    (if over (here r) then true
     else match nth_error (choices (here r)) (pick r) with
          | None => false
          | Some ch =>
            all (paid (Qnum (gam b)) (Zpos (Qden (gam b))) m
                   (Zpos (Qden (gam b)) * nth 0 (costs ch) 0 * Zpos K)
                   (Zpos (Qden (gam b)) * d) st) (goes ch)
          end)
  end.

Definition admits (K : positive) (o : demand) (z : Q) : bool :=
  match o with
  | None => false
  | Some (d, true) => negb (Qle_bool z (d # K))
  | Some (d, false) => Qle_bool (d # K) z
  end.

Definition start_ok (b : bound) (K : positive) (m : PositiveMap.t drow) (s : positive) : bool :=
  match PositiveMap.find s m with Some r => admits K (dem r) (budget b) | None => false end.

Definition check_demand (b : bound) (K : positive) (rows : list drow) (starts : list positive)
    : bool :=
  let m := table_of rows in
  bound_ok b && all (demand_row b K m) rows && all (start_ok b K m) starts.

Open Scope Q_scope.
Section Sem.
  Variables (b : bound) (K : positive) (rows : list drow) (starts : list positive).
  Definition tab := table_of rows.
  Definition at_ (s : positive) : option place :=
    match PositiveMap.find s tab with Some r => Some (here r) | None => None end.
  Definition D (s : positive) : demand :=
    match PositiveMap.find s tab with Some r => dem r | None => None end.
  Definition enough (s : positive) (z : Q) : Prop := admits K (D s) z = true.
  Definition chosen (s : positive) : nat :=
    match PositiveMap.find s tab with
    | Some r => if over (here r) then O else pick r
    | None => O end.
  Notation next := (znext positive nat (cost at_ 0) (gam b)).

  (* a policy that only supports actions after which the demand is still covered *)
  Definition inside (p : policy positive nat) (s0 : positive) : Prop :=
    forall h s, reach positive nat (succ at_) p s0 h s -> forall a, p h s a ->
      forall s', In s' (succ at_ s a) -> enough s' (next (z_of at_ 0 b h s) s a s').

  Lemma enough_spec s z : enough s z <->
    exists d st, D s = Some (d, st) /\ (if st then d # K < z else d # K <= z).
  Proof.
    unfold enough, admits. destruct (D s) as [[d [|]]|].
    - rewrite negb_true_iff, Qle_bool_false. split; [eauto 6|].
      intros [d' [st [E H]]]. inversion E; subst. exact H.
    - rewrite Qle_bool_iff. split; [intros H; exists d, false; auto|].
      intros [d' [st [E H]]]. inversion E; subst. exact H.
    - split; [discriminate|]. intros [d [st [E _]]]. discriminate.
  Qed.

  Hypothesis ok : check_demand b K rows starts = true.

  Lemma parts : (0 < gam b /\ gam b <= 1) /\
    (forall r, In r rows -> demand_row b K tab r = true) /\
    (forall s, In s starts -> enough s (budget b)).
  Proof.
    unfold check_demand in ok. rewrite !andb_true_iff in ok. destruct ok as [[A B] C].
    split; [apply bound_ok_spec, A|]. split; [apply all_spec, B|].
    intros s Hs. pose proof (all_spec _ _ C s Hs) as S. unfold start_ok in S.
    unfold enough, D, tab. destruct (PositiveMap.find s (table_of rows)); [exact S|discriminate].
  Qed.

  Lemma row s d st : D s = Some (d, st) -> exists r,
    at_ s = Some (here r) /\ PositiveMap.find s tab = Some r /\ dem r = Some (d, st) /\
    demand_row b K tab r = true.
  Proof.
    unfold D, at_. destruct (PositiveMap.find s tab) as [r|] eqn:E; [|discriminate].
    intros H. exists r. repeat split; [exact H|].
    apply parts, (table_of_find _ _ _ E).
  Qed.

  Lemma judged_row s z : enough s z -> judged b (over_at at_ s) = true -> Kept b z.
  Proof.
    intros H J. apply enough_spec in H. destruct H as [d [st [Hd Hz]]].
    destruct (row s d st Hd) as [r [Ha [_ [Hr Hc]]]].
    unfold over_at in J. rewrite Ha in J. unfold demand_row in Hc. rewrite Hr, J in Hc.
    apply andb_true_iff in Hc. destruct Hc as [Hc _].
    apply andb_true_iff in Hc. destruct Hc as [H0 H1]. apply Z.leb_le in H0.
    rewrite !orb_true_iff, Z.ltb_lt in H1.
    assert (N : 0 <= d # K) by (unfold Qle; simpl; lia).
    unfold Kept. destruct (closed b); [destruct st; lra|]. destruct st; [lra|].
    destruct H1 as [[H1|H1]|H1]; try discriminate.
    assert (0 < d # K) by (unfold Qlt; simpl; lia). lra.
  Qed.

  (* THEORY L3.safe, T4.safety: whatever stays inside keeps the budget *)
  Theorem demand_shield p s0 : In s0 starts -> inside p s0 -> keeps at_ [b] p s0.
  Proof.
    intros H0 Hp.
    assert (I : forall h s, reach positive nat (succ at_) p s0 h s -> enough s (z_of at_ 0 b h s)).
    { intros h s R. destruct R as [|h s a s' R Ha Hin]; [apply parts, H0|].
      apply (Hp h s R a Ha s' Hin). }
    intros h s R i b' Hi J. destruct i as [|[|i]]; simpl in Hi; try discriminate.
    inversion Hi; subst b'. apply (judged_row s); [apply I, R|exact J].
  Qed.

  Lemma scale (gp c d' d : Z) (gq : positive) :
    (Zpos gq * c * Zpos K + gp * d' <= Zpos gq * d)%Z <->
    inject_Z c + (gp # gq) * (d' # K) <= d # K.
  Proof.
    unfold Qle, inject_Z, Qplus, Qmult. cbn [Qnum Qden].
    rewrite ?Pos2Z.inj_mul, ?Z.mul_1_l. split; intros H.
    - apply (Z.mul_le_mono_nonneg_r _ _ (Zpos K)) in H; [|lia]. lia.
    - apply (Z.mul_le_mono_pos_r _ _ (Zpos K)); [lia|]. lia.
  Qed.

  Lemma scale_lt (gp c d' d : Z) (gq : positive) :
    (Zpos gq * c * Zpos K + gp * d' < Zpos gq * d)%Z <->
    inject_Z c + (gp # gq) * (d' # K) < d # K.
  Proof.
    unfold Qlt, inject_Z, Qplus, Qmult. cbn [Qnum Qden].
    rewrite ?Pos2Z.inj_mul, ?Z.mul_1_l. split; intros H.
    - apply (Z.mul_lt_mono_pos_r (Zpos K)) in H; [|lia]. lia.
    - apply (Z.mul_lt_mono_pos_r (Zpos K)); [lia|]. lia.
  Qed.

  Lemma step_over s z a s' : over_at at_ s = true -> In s' (succ at_ s a) ->
    enough s z -> enough s' (next z s a s').
  Proof.
    intros Ho Hin H. apply (over_succ at_) in Hin; [|exact Ho]. subst s'.
    pose proof parts as [[G0 G1] _].
    pose proof H as H'. apply enough_spec in H'. destruct H' as [d [st [Hd Hz]]].
    apply enough_spec. exists d, st. split; [exact Hd|].
    destruct (row s d st Hd) as [r [Ha [_ [Hr Hc]]]].
    unfold over_at in Ho. rewrite Ha in Ho.
    assert (N : 0 <= d # K).
    { unfold demand_row in Hc. rewrite Hr in Hc. unfold judged in Hc.
      rewrite Ho, orb_true_r in Hc. rewrite !andb_true_iff, Z.leb_le in Hc.
      unfold Qle; simpl. lia. }
    unfold znext. rewrite over_cost by (unfold over_at; rewrite Ha; exact Ho).
    assert (L : z <= (z - 0) / gam b).
    { apply div_ge_iff; [exact G0|].
      assert (gam b * z <= 1 * z) by (apply Qmult_le_compat_r; [exact G1|destruct st; lra]).
      lra. }
    destruct st; lra.
  Qed.

  Lemma step_chosen s z s' : enough s z -> In s' (succ at_ s (chosen s)) ->
    enough s' (next z s (chosen s) s').
  Proof.
    intros H Hin. pose proof parts as [[G0 G1] _].
    pose proof H as H'. apply enough_spec in H'. destruct H' as [d [st [Hd Hz]]].
    destruct (row s d st Hd) as [r [Ha [Hf [Hr Hc]]]].
    destruct (over (here r)) eqn:Ho.
    { apply step_over; [unfold over_at; rewrite Ha; exact Ho|exact Hin|exact H]. }
    unfold demand_row in Hc. rewrite Hr, Ho in Hc. apply andb_true_iff in Hc.
    destruct Hc as [_ Hc].
    assert (Ep : chosen s = pick r) by (unfold chosen; rewrite Hf, Ho; reflexivity).
    destruct (nth_error (choices (here r)) (pick r)) as [ch|] eqn:En; [|discriminate].
    destruct (choice_at_live at_ s (here r) (pick r) ch Ha Ho En) as [Ec _].
    unfold succ in Hin. rewrite Ep, Ec in Hin. pose proof (all_spec _ _ Hc s' Hin) as P.
    unfold paid in P.
    destruct (PositiveMap.find s' tab) as [r'|] eqn:Ef'; [|discriminate].
    destruct (dem r') as [[d' st']|] eqn:Ed'; [|discriminate].
    apply enough_spec. exists d', st'.
    split; [unfold D; rewrite Ef'; exact Ed'|].
    unfold znext, cost. rewrite Ep, Ec.
    set (k := nth 0 (costs ch) 0%Z) in *.
    assert (W : (inject_Z k + gam b * (d' # K) < d # K) \/
                (inject_Z k + gam b * (d' # K) <= d # K /\ implb st' st = true)).
    { destruct (gam b) as [gp gq] eqn:Eg; cbn [Qnum Qden] in P |- *.
      destruct (Zpos gq * k * Zpos K + gp * d' ?= Zpos gq * d)%Z eqn:Ecmp; [| |discriminate].
      - right. split; [|exact P]. apply scale. apply Z.compare_eq in Ecmp. lia.
      - left. apply scale_lt. exact Ecmp. }
    assert (Lle : inject_Z k + gam b * (d' # K) <= z -> d' # K <= (z - inject_Z k) / gam b)
      by (intros L; apply div_ge_iff; [exact G0|lra]).
    assert (Llt : inject_Z k + gam b * (d' # K) < z -> d' # K < (z - inject_Z k) / gam b)
      by (intros L; apply Qlt_shift_div_l; [exact G0|lra]).
    destruct W as [W|[W I]].
    - destruct st'; [apply Llt|apply Lle]; destruct st; lra.
    - destruct st'; [|apply Lle; destruct st; lra].
      destruct st; [|discriminate]. apply Llt. lra.
  Qed.

  (* THEORY T4.safety: the chosen actions keep the budget *)
  Theorem demand_sound s0 : In s0 starts ->
    inside (memoryless positive nat chosen) s0 /\
    plays at_ (memoryless positive nat chosen) s0 /\
    keeps at_ [b] (memoryless positive nat chosen) s0.
  Proof.
    intros H0. set (p := memoryless positive nat chosen).
    assert (I : forall h s, reach positive nat (succ at_) p s0 h s -> enough s (z_of at_ 0 b h s)).
    { intros h s R. induction R as [|h s a s' R IH Ha Hin]; [apply parts, H0|].
      unfold p, memoryless in Ha. subst a. apply step_chosen; [exact IH|exact Hin]. }
    assert (Hin : inside p s0).
    { intros h s R a Ha s' Hs'. unfold p, memoryless in Ha. subst a.
      apply step_chosen; [apply I, R|exact Hs']. }
    split; [exact Hin|]. split; [|apply demand_shield; assumption].
    intros h s R. split; [exists (chosen s); reflexivity|]. intros a ->.
    apply I in R. apply enough_spec in R. destruct R as [d [st [Hd _]]].
    destruct (row s d st Hd) as [r [Ha [Hf [Hr Hc]]]]. unfold chosen. rewrite Hf.
    destruct (over (here r)) eqn:Ho.
    - apply (over_acts at_); [unfold over_at; rewrite Ha; exact Ho|reflexivity].
    - unfold demand_row in Hc. rewrite Hr, Ho in Hc. apply andb_true_iff in Hc.
      destruct (nth_error (choices (here r)) (pick r)) as [ch|] eqn:En; [|destruct Hc; discriminate].
      apply (choice_at_live at_ s (here r) (pick r) ch Ha Ho En).
  Qed.

  (* closed boundary, judged at all times: the development's own notions of safety *)
  Corollary demand_surely_safe s0 : In s0 starts -> closed b = true -> anytime b = true ->
    surely_safe positive nat (acts at_) (succ at_) (cost at_ 0) (gam b)
      (memoryless positive nat chosen) s0 (budget b).
  Proof.
    intros H0 Hc Ha. destruct (demand_sound s0 H0) as [_ [Hp Hk]].
    apply (keeps_surely at_ [b] _ s0 Hk Hp 0 b eq_refl Hc Ha).
  Qed.
End Sem.
