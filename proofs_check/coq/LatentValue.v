(* T2.optimum.  If the abstraction phi keeps enabled choices, rewards, costs and lumped
   probabilities, the reshaped problem has the same optimal value on states and on latents, for
   every penalty, horizon and budget.  (A penalty of 0 and no cost: the unconstrained optimum.) *)
Require Import QArith Qfield Lqa Lia List Qminmax.
From IGTheory Require Import Power Game WeightedSum Penalty.
Import ListNotations.
Open Scope Q_scope.

Lemma maxa_ext {A} (f f' : A -> Q) l : (forall x, f x == f' x) -> maxa A f l == maxa A f' l.
Proof.
  intros H. destruct l as [|x l]; simpl; [reflexivity|].
  induction l as [|y l IH]; simpl; [apply H|]. rewrite H, IH. reflexivity.
Qed.

Section Lumped.
  Variables St X Act : Type.
  Variable phi : St -> X.
  Variable acts : St -> list Act.
  Variable P : St -> Act -> list (St * Q).
  Variable c : St -> Act -> St -> Q.
  Variable r : St -> Act -> Q.
  Variable actsX : X -> list Act.
  Variable PX : X -> Act -> list (X * Q).
  Variable cX : X -> Act -> X -> Q.
  Variable rX : X -> Act -> Q.
  Variables g b pen : Q.
  Hypothesis same_acts : forall s, acts s = actsX (phi s).
  Hypothesis same_reward : forall s a, r s a == rX (phi s) a.
  Hypothesis same_cost : forall s a s', c s a s' = cX (phi s) a (phi s').
  (* lumped probabilities: the same expectation of every function of the latent *)
  Hypothesis lumped : forall s a (f : X -> Q),
    wsum (fun s' => f (phi s')) (P s a) == wsum f (PX (phi s) a).

  Theorem T2_optimum k : forall s z,
    V St Act acts P c r g b pen k s z == V X Act actsX PX cX rX g b pen k (phi s) z.
  Proof.
    induction k; intros s z; cbn [V]; destruct (Qlt_le_dec z 0); try reflexivity.
    rewrite <- same_acts. apply maxa_ext. intros a. rewrite same_reward.
    set (F := fun x' => V X Act actsX PX cX rX g b pen k x' (znext X Act cX g z (phi s) a x')).
    assert (E : wsum (fun s' => V St Act acts P c r g b pen k s' (znext St Act c g z s a s')) (P s a)
             == wsum (fun s' => F (phi s')) (P s a)).
    { apply wsum_same. intros s'. rewrite IHk. unfold F, znext. rewrite same_cost. reflexivity. }
    rewrite E, lumped. reflexivity.
  Qed.
End Lumped.
