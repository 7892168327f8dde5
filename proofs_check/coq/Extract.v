(* The checkers as OCaml, with Zarith's integers for positive and Z; written to the folder of
   the build. ocaml/main.ml reads their input and says what they answer. *)
Require Import Extraction ExtrOcamlBasic ExtrOcamlZBigInt.
From IGTheory Require Import DemandChecker PairsChecker ViolationChecker ImpossibilityChecker
  RewardChecker.
Extraction Language OCaml.
Extraction "checkers.ml" check_demand check_pairs check_violation check_impossibility check_reward.
