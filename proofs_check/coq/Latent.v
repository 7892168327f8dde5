(* T2.sound, T2.exact, T2.fibre.  An abstraction phi of states: a simulation (choices enabled,
   supports covered, costs dominated) is sound for safety, equal choices, costs and lumped supports
   are exact, and the worst case over each fibre is a certificate. *)
Require Import QArith Qfield Lqa Lia List Qminmax.
From IGTheory Require Import Power Game SafetyCertificate.
Import ListNotations.
Open Scope Q_scope.

Section Latent.
  Variables St X Act : Type.
  Variable phi : St -> X.
  Variable acts : St -> list Act.
  Variable succ : St -> Act -> list St.
  Variable c : St -> Act -> St -> Q.
  Variable actsX : X -> list Act.
  Variable succX : X -> Act -> list X.
  Variable cX : X -> Act -> X -> Q.
  Variable g : Q.
  Hypothesis g_pos : 0 < g.

  (* soundness needs only a simulation: latent actions are enabled, latent
     supports cover, latent costs dominate *)
  Definition simulates : Prop := forall s a, In a (actsX (phi s)) -> In a (acts s) /\
    forall s', In s' (succ s a) -> In (phi s') (succX (phi s) a) /\ c s a s' <= cX (phi s) a (phi s').

  Theorem T2_sound : simulates -> forall s z,
    Safe X Act actsX succX cX g (phi s) z -> Safe St Act acts succ c g s z.
  Proof.
    intros H s z HX.
    exists (fun s z => exists y, Safe X Act actsX succX cX g (phi s) y /\ y <= z).
    split; [exists z; split; [exact HX|lra]|].
    intros s1 z1 [y [Hy L]]. apply Safe_unfold in Hy. destruct Hy as [Hz [a [Ha Hs]]].
    split; [lra|]. destruct (H s1 a Ha) as [Ha' Hs'].
    exists a; split; [exact Ha'|]. intros s' Hin. destruct (Hs' s' Hin) as [Hin' Hc].
    exists (znext X Act cX g y (phi s1) a (phi s')). split; [auto|].
    unfold znext. apply div_le_mono; [exact g_pos|lra].
  Qed.

  (* exactness: the converse simulation (bisimulation with equal costs) *)
  Definition bisim : Prop := (forall s a, In a (acts s) <-> In a (actsX (phi s))) /\
    (forall s a, In a (acts s) ->
      (forall s', In s' (succ s a) -> In (phi s') (succX (phi s) a) /\ c s a s' == cX (phi s) a (phi s')) /\
      (forall x', In x' (succX (phi s) a) -> exists s', In s' (succ s a) /\ phi s' = x')).

  Theorem T2_exact : bisim -> forall s z,
    Safe St Act acts succ c g s z <-> Safe X Act actsX succX cX g (phi s) z.
  Proof.
    intros [HA HB] s z. split.
    - intros H0.
      exists (fun x z => exists s y, phi s = x /\ Safe St Act acts succ c g s y /\ y == z).
      split; [exists s, z; repeat split; auto; reflexivity|].
      intros x1 z1 [s1 [y [<- [Hy E]]]]. apply Safe_unfold in Hy. destruct Hy as [Hz [a [Ha Hs]]].
      split; [lra|]. exists a. split; [apply HA, Ha|]. intros x' Hx'.
      destruct (HB s1 a Ha) as [F B]. destruct (B x' Hx') as [s' [Hin <-]].
      exists s', (znext St Act c g y s1 a s'). repeat split; [auto|].
      destruct (F s' Hin) as [_ Ec]. unfold znext. rewrite E, Ec. reflexivity.
    - apply T2_sound. intros t a Ha. apply HA in Ha. split; [exact Ha|].
      intros s' Hin. destruct (HB t a Ha) as [F _]. destruct (F s' Hin) as [I E].
      split; [exact I|]. rewrite E. apply Qle_refl.
  Qed.

  (* aliasing: worst case over the fibre is a sound certificate for phi-measurable policies *)
  Theorem T2_fibre (Dx : X -> option Q) (polX : X -> Act) :
    (forall s d, Dx (phi s) = Some d -> 0 <= d /\ In (polX (phi s)) (acts s) /\
       forall s', In s' (succ s (polX (phi s))) -> exists d', Dx (phi s') = Some d' /\
         c s (polX (phi s)) s' + g * d' <= d) ->
    forall s z d, Dx (phi s) = Some d -> d <= z ->
      surely_safe St Act acts succ c g (memoryless St Act (fun s => polX (phi s))) s z.
  Proof.
    intros H s z d Hd Hz.
    apply (T4_cert St Act acts succ c g g_pos (fun s => Dx (phi s)) (fun s => polX (phi s)) H s z d Hd Hz).
  Qed.
End Latent.
