(* T2.aliasing.  Two states with one latent and opposite free choices, budget 0: each is safe, and
   every memoryless latent policy, randomised ones too, is unsafe from one of them. *)
Require Import QArith Qfield Lqa Lia List Qminmax Classical.
From IGTheory Require Import Power Game.
Import ListNotations.
Open Scope Q_scope.

(* counterexample: same latent point, opposite costs, d = 0 *)
Section Alias.
  Definition asucc (s : bool) (a : bool) : list bool := [s].
  Definition aacts (s : bool) : list bool := [true; false].
  Definition ac (s a s' : bool) : Q := if Bool.eqb s a then 0 else 1.   (* act = own type is free *)

  Theorem alias_token_safe s : Safe bool bool aacts asucc ac (1#2) s 0.
  Proof.
    exists (fun s z => 0 <= z). split; [lra|]. intros t z Hz. split; [exact Hz|].
    exists t. split; [destruct t; simpl; auto|]. intros s' [<-|[]].
    unfold znext, ac. rewrite Bool.eqb_reflx. apply div_ge_iff; [reflexivity|]. setoid_replace ((1 # 2) * 0) with 0 by ring. setoid_replace (z - 0) with z by ring. exact Hz.
  Qed.

  (* every policy that sees only the (constant) latent point, randomised ones by their supports,
     fails from one of the two states *)
  Theorem alias_latent_unsafe (p : bool -> Prop) : exists s,
    ~ surely_safe bool bool aacts asucc ac (1#2) (fun _ _ b => p b) s 0.
  Proof.
    destruct (classic (exists a, p a)) as [[a Ha]|N].
    - exists (negb a). intros H.
      pose proof (H [(negb a, a)] (negb a)) as K.
      destruct K as [_ [_ K]].
      + econstructor; [constructor|exact Ha|left; reflexivity].
      + destruct a; vm_compute in K; apply K; reflexivity.
    - exists true. intros H. apply N. exact (proj1 (H [] true (reach0 _ _ _ _ _))).
  Qed.
End Alias.
