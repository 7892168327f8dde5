(* Executable certificate checker in exact arithmetic (integers over a common
   denominator) with its soundness theorem against Safety.cert. *)
Require Import ZArith QArith Lia Lqa List Bool FMapPositive.
From IGTheory Require Import Budget Safety.
Import ListNotations.
Open Scope Z_scope.

(* One edge: successor id and cost numerator; costs and demands are over K,
   gamma = gp/gq. *)
Definition edge := (positive * Z)%type.
Record row := mkrow { rdem : option Z;            (* None = +infinity: nothing claimed *)
                      ract : nat;                 (* chosen action index *)
                      redges : list (list edge) }.

Definition table := PositiveMap.t row.

Fixpoint build (i : positive) (l : list row) (m : table) : table :=
  match l with [] => m | r :: l => build (Pos.succ i) l (PositiveMap.add i r m) end.

Definition dem (m : table) (s : positive) : option Z :=
  match PositiveMap.find s m with Some r => rdem r | None => None end.

Definition check_edge (gp gq : Z) (m : table) (gqd : Z) (e : edge) : bool :=
  match dem m (fst e) with
  | None => false
  | Some d' => (gq * snd e + gp * d' <=? gqd)
  end.

Definition check_row (gp gq : Z) (m : table) (r : row) : bool :=
  match rdem r with
  | None => true
  | Some d => (0 <=? d) &&
      match nth_error (redges r) (ract r) with
      | None => false
      | Some l => forallb (check_edge gp gq m (gq * d)) l
      end
  end.

(* tail-recursive so that 1e6 rows do not exhaust the OCaml stack *)
Fixpoint all_rows (f : row -> bool) (l : list row) : bool :=
  match l with [] => true | r :: l => if f r then all_rows f l else false end.

Definition check (gp gq K : Z) (rows : list row) : bool :=
  (0 <? gp) && (0 <? gq) && (0 <? K) &&
  let m := build 1 rows (PositiveMap.empty row) in
  all_rows (check_row gp gq m) rows.

(* ---------- semantics ---------- *)
Section Sem.
  Variables (gp gq K : Z) (rows : list row).
  Definition tab := build 1 rows (PositiveMap.empty row).
  Definition acts (s : positive) : list nat :=
    match PositiveMap.find s tab with Some r => seq 0 (length (redges r)) | None => [] end.
  Definition edges (s : positive) (a : nat) : list edge :=
    match PositiveMap.find s tab with
    | Some r => match nth_error (redges r) a with Some l => l | None => [] end
    | None => [] end.
  Definition succ s a : list positive := map fst (edges s a).
  Definition q (x : Z) : Q := (inject_Z x / inject_Z K)%Q.
  Definition cost (s : positive) (a : nat) (s' : positive) : Q :=
    match find (fun e => Pos.eqb (fst e) s') (edges s a) with
    | Some e => q (snd e) | None => 0%Q end.
  Definition gam : Q := (inject_Z gp / inject_Z gq)%Q.
  Definition D (s : positive) : option Q :=
    match dem tab s with Some d => Some (q d) | None => None end.
  Definition pol (s : positive) : nat :=
    match PositiveMap.find s tab with Some r => ract r | None => O end.

  Lemma build_find l : forall i m s r,
    PositiveMap.find s (build i l m) = Some r ->
    In r l \/ PositiveMap.find s m = Some r.
  Proof.
    induction l as [|r0 l IH]; simpl; intros i m s r H; [auto|].
    apply IH in H. destruct H as [H|H]; [auto|].
    destruct (Pos.eq_dec s i) as [->|N].
    - rewrite PositiveMap.gss in H. inversion H; auto.
    - rewrite PositiveMap.gso in H by congruence. auto.
  Qed.

  Lemma all_rows_spec f l : all_rows f l = true -> forall r, In r l -> f r = true.
  Proof.
    induction l as [|x l IH]; simpl; [tauto|]. destruct (f x) eqn:E; [|discriminate].
    intros H r [<-|Hr]; auto.
  Qed.

  Hypothesis ok : check gp gq K rows = true.

  Lemma params : 0 < gp /\ 0 < gq /\ 0 < K.
  Proof.
    unfold check in ok. rewrite !andb_true_iff in ok.
    rewrite !Z.ltb_lt in ok. tauto.
  Qed.

  Lemma gam_pos : (0 < gam)%Q.
  Proof.
    destruct params as [A [B C]]. unfold gam.
    apply Qlt_shift_div_l.
    - change 0%Q with (inject_Z 0). rewrite <- Zlt_Qlt. exact B.
    - setoid_replace (0 * inject_Z gq)%Q with 0%Q by ring.
      change 0%Q with (inject_Z 0). rewrite <- Zlt_Qlt. exact A.
  Qed.

  Lemma edge_Q d d' k : gq * k + gp * d' <= gq * d -> (q k + gam * q d' <= q d)%Q.
  Proof.
    intros H. destruct params as [A [B C]]. unfold q, gam.
    assert (B' : (0 < inject_Z gq)%Q) by (change 0%Q with (inject_Z 0); rewrite <- Zlt_Qlt; exact B).
    assert (C' : (0 < inject_Z K)%Q) by (change 0%Q with (inject_Z 0); rewrite <- Zlt_Qlt; exact C).
    rewrite Zle_Qle, inject_Z_plus, !inject_Z_mult in H.
    apply Qle_shift_div_l; [exact C'|].
    assert (E : ((inject_Z k / inject_Z K + inject_Z gp / inject_Z gq * (inject_Z d' / inject_Z K)) * inject_Z K
             == (inject_Z gq * inject_Z k + inject_Z gp * inject_Z d') / inject_Z gq)%Q)
      by (field; split; lra).
    rewrite E. apply Qle_shift_div_r; [exact B'|]. rewrite Qmult_comm in H. lra.
  Qed.

  Lemma q_nonneg d : 0 <= d -> (0 <= q d)%Q.
  Proof.
    intros H. destruct params as [A [B C]]. unfold q.
    apply Qle_shift_div_l; [change 0%Q with (inject_Z 0); rewrite <- Zlt_Qlt; exact C|].
    setoid_replace (0 * inject_Z K)%Q with 0%Q by ring.
    change 0%Q with (inject_Z 0). rewrite <- Zle_Qle. exact H.
  Qed.

  Theorem check_cert : cert positive nat acts succ cost gam D pol.
  Proof.
    intros s d Hd. unfold D, dem in Hd.
    destruct (PositiveMap.find s tab) as [r|] eqn:Er; [|discriminate].
    destruct (rdem r) as [dz|] eqn:Edz; [|discriminate]. inversion Hd; subst d; clear Hd.
    assert (Hr : check_row gp gq tab r = true).
    { pose proof ok as H. unfold check in H. apply andb_true_iff in H. destruct H as [_ H].
      apply (all_rows_spec _ _ H). destruct (build_find _ _ _ _ _ Er) as [I|I]; [exact I|].
      rewrite PositiveMap.gempty in I. discriminate. }
    unfold check_row in Hr. rewrite Edz in Hr. apply andb_true_iff in Hr. destruct Hr as [H0 H1].
    destruct (nth_error (redges r) (ract r)) as [l|] eqn:El; [|discriminate].
    assert (Epol : pol s = ract r) by (unfold pol; rewrite Er; reflexivity).
    assert (Eed : edges s (pol s) = l) by (unfold edges; rewrite Er, Epol, El; reflexivity).
    repeat split.
    - apply q_nonneg, Z.leb_le, H0.
    - unfold acts. rewrite Er, Epol. apply in_seq.
      assert (nth_error (redges r) (ract r) <> None) as N by congruence.
      apply nth_error_Some in N. lia.
    - intros s' Hs'. unfold succ in Hs'. rewrite Eed in Hs'.
      rewrite forallb_forall in H1.
      unfold cost. rewrite Eed.
      destruct (find (fun e => Pos.eqb (fst e) s') l) as [e|] eqn:Ef.
      + apply find_some in Ef. destruct Ef as [Hin Heq]. apply Pos.eqb_eq in Heq.
        specialize (H1 e Hin). unfold check_edge in H1. rewrite Heq in H1.
        unfold D. destruct (dem tab s') as [d'|]; [|discriminate].
        exists (q d'). split; [reflexivity|]. apply edge_Q, Z.leb_le, H1.
      + exfalso. apply in_map_iff in Hs'. destruct Hs' as [e [E Hin]].
        pose proof (find_none _ _ Ef e Hin) as N. simpl in N. rewrite E, Pos.eqb_refl in N. discriminate.
  Qed.

  (* end to end: an accepted certificate gives violation probability 0 at every
     horizon, for every choice of positive probabilities on the listed edges *)
  Theorem check_sound_prob (P : positive -> nat -> list (positive * Q)) :
    (forall s a s' p, In (s', p) (P s a) -> (0 < p)%Q) ->
    (forall s a s', In s' (succ s a) <-> exists p, In (s', p) (P s a)) ->
    forall s0 (z0 : Q) d, D s0 = Some d -> (d <= z0)%Q ->
    forall n, (viol positive nat cost gam P (fun _ s => [(pol s, 1%Q)]) n [] s0 z0 == 0)%Q.
  Proof.
    intros HP HS. apply (T4_prob positive nat acts succ cost gam gam_pos P D pol HP HS check_cert).
  Qed.
End Sem.

Print Assumptions check_sound_prob.

Require Import Extraction ExtrOcamlBasic ExtrOcamlZBigInt.
Extraction Language OCaml.
Extraction "extr/checker_big.ml" check mkrow.
