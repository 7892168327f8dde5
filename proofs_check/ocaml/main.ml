(* Reads a certificate with its model from standard input, finds the hints that the pairs need,
   asks the extracted checker, and says "accepted" (exit 0) or "rejected" (exit 1); exit 2 is
   input that cannot be read. The input is words between blanks: see proofs_check/translation.py.
   Everything here is tail recursive: a million rows do not exhaust the stack. *)

module Whole = Z (* Zarith, which the extracted code hides behind its own Z *)

open Checkers

exception Malformed of string

(* ---------- words ---------- *)

let size = 65536
let buffer = Bytes.create size
let filled = ref 0
let place_in = ref 0
let word = Buffer.create 64

let next () =
  if !place_in >= !filled then begin
    filled := input stdin buffer 0 size;
    place_in := 0
  end;
  if !filled = 0 then '\000'
  else begin
    let c = Bytes.unsafe_get buffer !place_in in
    incr place_in;
    c
  end

let token () =
  Buffer.clear word;
  let rec skip () = match next () with ' ' | '\n' -> skip () | c -> c in
  let rec take c =
    match c with
    | ' ' | '\n' | '\000' -> ()
    | c -> Buffer.add_char word c; take (next ())
  in
  take (skip ());
  if Buffer.length word = 0 then raise (Malformed "the input ends early");
  Buffer.contents word

let integer text =
  try if String.length text <= 18 then Whole.of_int (int_of_string text) else Whole.of_string text
  with Invalid_argument _ | Failure _ -> raise (Malformed text)

let number () = integer (token ())
let small () =
  let n = number () in
  if Whole.fits_int n then Whole.to_int n else raise (Malformed "a number is too large")
let positive () =
  let n = number () in
  if Whole.sign n > 0 then n else raise (Malformed "a number should be positive")
let flag () =
  match token () with "0" -> false | "1" -> true | text -> raise (Malformed text)
let rational () = let n = number () in let d = positive () in { qnum = n; qden = d }
let perhaps read_rest = match token () with "-" -> None | text -> Some (read_rest text)

let many f =
  let rec go n done_ = if n = 0 then List.rev done_ else let x = f () in go (n - 1) (x :: done_) in
  fun n -> if n < 0 then raise (Malformed "a negative count") else go n []
let counted f = let n = small () in many f n

(* Unary numbers are small: the place of a choice in its state, or of a constraint. *)
let nat n =
  let rec up n done_ = if n = 0 then done_ else up (n - 1) (S done_) in
  if n < 0 || n > 1 lsl 24 then raise (Malformed "a choice that cannot be") else up n O

(* ---------- what all kinds share ---------- *)

let choice bounds () =
  let costs = many number bounds in
  let goes = counted positive in
  { costs; goes }

let place bounds () =
  let over = flag () in
  let choices = counted (choice bounds) in
  { over; choices }

let bound () =
  let budget = rational () in
  let gam = rational () in
  let closed = flag () in
  let anytime = flag () in
  { budget; gam; closed; anytime }

(* ---------- kinds ---------- *)

let demand () =
  let b = bound () in
  let scale = positive () in
  let row () =
    let dem = perhaps (fun text -> let st = flag () in (integer text, st)) in
    let pick = nat (small ()) in
    { dem; pick; here = place 1 () }
  in
  let rows = counted row in
  let starts = counted positive in
  fun () -> check_demand b scale rows starts

let impossibility () =
  let way =
    match token () with
    | "counted" -> Counted
    | "undiscounted" -> Undiscounted
    | "discounted" -> Discounted
    | text -> raise (Malformed text)
  in
  let b = bound () in
  let scale = positive () in
  let row () =
    let low = number () in
    let above = flag () in
    let rank = number () in
    { low; above; rank; spot = place 1 () }
  in
  let rows = counted row in
  let starts = counted positive in
  fun () -> check_impossibility way b scale rows starts

let violation () =
  let bounds = counted bound in
  let count = List.length bounds in
  let places = counted (place count) in
  let broken = nat (small ()) in
  let start = positive () in
  let step () =
    let played = nat (small ()) in
    let reached = positive () in
    { played; reached; left = many rational count }
  in
  let run = counted step in
  fun () -> check_violation bounds places broken start run

(* Hints: which vector and which pairs follow. Wrong or missing ones can only cost acceptance. *)

let normal { qnum; qden } = let r = Q.make qnum qden in (r.Q.num, r.Q.den)
let key vector = List.map normal vector

let follow bounds vector costs =
  let rec go bounds vector costs done_ =
    match bounds, vector, costs with
    | (b, r) :: bounds, z :: vector, c :: costs ->
      go bounds vector costs (tracked b r z c :: done_)
    | _ -> List.rev done_
  in
  go bounds vector costs []

exception Open_set

let hinted bounds places vectors pairs starts =
  let numbers = Hashtbl.create 1024 in
  Array.iteri (fun i v -> Hashtbl.replace numbers (key v) (Whole.of_int (i + 1))) vectors;
  let ids = Hashtbl.create 1024 in
  Array.iteri (fun i (s, v, _) -> Hashtbl.replace ids (s, v) (i + 1)) pairs;
  let find table k = match Hashtbl.find_opt table k with Some x -> x | None -> raise Open_set in
  let met = Array.make (Array.length pairs) false in
  let waiting = Stack.create () in
  let meet i = if not met.(i - 1) then begin met.(i - 1) <- true; Stack.push (i - 1) waiting end in
  let rows = Array.make (Array.length pairs) None in
  let move s v taken =
    let here = places.(Whole.to_int s - 1) in
    match List.nth_opt here.choices taken with
    | None -> raise Open_set
    | Some ch ->
      let next = find numbers (key (follow bounds vectors.(Whole.to_int v - 1) ch.costs)) in
      let leads = List.map (fun s' -> find ids (s', next)) ch.goes in
      List.iter meet leads;
      { taken = nat taken; vector = next; leads = List.map Whole.of_int leads }
  in
  let first = List.map (fun (b, r) -> rounded r b.budget) bounds in
  let begins s =
    let i = find ids (s, find numbers (key first)) in
    meet i;
    (s, Whole.of_int i)
  in
  let starts = List.map begins starts in
  while not (Stack.is_empty waiting) do
    let i = Stack.pop waiting in
    let s, v, taken = pairs.(i) in
    rows.(i) <- Some { stands = s; holds = v; moves = List.map (move s v) taken }
  done;
  (* a certificate lists only pairs that can be reached *)
  let whole = function Some row -> row | None -> raise Open_set in
  (Array.to_list (Array.map whole rows), starts)

let pairs () =
  let bound_rounding () =
    let b = bound () in
    let clip = perhaps (fun text -> let d = positive () in { qnum = integer text; qden = d }) in
    let grid = perhaps integer in
    (match grid with
     | Some n when Whole.sign n <= 0 -> raise (Malformed "a grid")
     | _ -> ());
    (b, { clip; grid })
  in
  let bounds = counted bound_rounding in
  let count = List.length bounds in
  let places = counted (place count) in
  let vectors = counted (fun () -> many rational count) in
  let within n limit = if Whole.leq n (Whole.of_int limit) then n else raise (Malformed "a reference") in
  let spots = List.length places and budgets = List.length vectors in
  let pair () =
    let s = within (positive ()) spots in
    let v = within (positive ()) budgets in
    (s, v, counted small)
  in
  let listed = Array.of_list (counted pair) in
  let starts = counted positive in
  fun () ->
    match hinted bounds (Array.of_list places) (Array.of_list vectors) listed starts with
    | rows, starts -> check_pairs bounds places vectors rows starts
    | exception Open_set -> false

let reward () =
  let bound_clip () =
    let b = bound () in
    let clip = perhaps (fun text -> let d = positive () in { qnum = integer text; qden = d }) in
    (b, { clip; grid = None })
  in
  let bounds = counted bound_clip in
  let count = List.length bounds in
  let beta = rational () in
  let scale = positive () in
  let upper_steps = flag () in
  let lower_steps = flag () in
  let stake () =
    let gain = rational () in
    let total = positive () in
    { gain; total; weights = counted positive }
  in
  let game = counted (fun () -> let pl = place count () in (pl, counted stake)) in
  let row () =
    let at_place = positive () in
    let held = many rational count in
    let dead = perhaps integer in
    let up = number () in
    let named = perhaps (fun text -> let l = number () in (nat (Whole.to_int (integer text)), l)) in
    let up_steps = perhaps integer in
    let low_steps = perhaps integer in
    let hints = counted (fun () -> counted (fun () -> perhaps integer)) in
    { at_place; held; dead; up; named; up_steps; low_steps; hints }
  in
  let rows = counted row in
  let starts = counted (fun () -> let s = positive () in (s, perhaps integer)) in
  let places = List.rev (List.rev_map fst game) in
  let stakes = List.rev (List.rev_map snd game) in
  fun () -> check_reward bounds beta scale upper_steps lower_steps places stakes rows starts

let kinds =
  [ ("demand", demand); ("impossibility", impossibility); ("violation", violation);
    ("pairs", pairs); ("reward", reward) ]

let () =
  let clock = Sys.time in (* seconds of processor time *)
  try
    let begun = clock () in
    let kind = token () in
    let read =
      match List.assoc_opt kind kinds with Some f -> f | None -> raise (Malformed kind) in
    let check = read () in
    if token () <> "end" then raise (Malformed "more than was announced");
    let parsed = clock () in
    let answer = check () in
    let checked = clock () in
    Printf.printf "%s parse %.6f check %.6f\n"
      (if answer then "accepted" else "rejected") (parsed -. begun) (checked -. parsed);
    exit (if answer then 0 else 1)
  with
  | Malformed what -> Printf.printf "malformed %s\n" what; exit 2
  | Stack_overflow -> print_endline "malformed the stack is exhausted"; exit 2
  | Out_of_memory -> print_endline "malformed the memory is exhausted"; exit 2
