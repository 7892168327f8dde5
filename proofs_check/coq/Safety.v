(* The library of safe sets in one import. *)
From IGTheory Require Export Power Budget WeightedSum Game Demand Probability
  SafetyCertificate Shield Impossibility Grid Several.
