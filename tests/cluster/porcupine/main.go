// linearizable reads the history that the writers of load.py left (JSON lines) and checks with Porcupine, key by key, that it is
// that of an atomic register (set, get) or an atomic counter (incr, get).
//
//	linearizable history.jsonl
//
// Exit status: 0 linearizable, 1 not (the key and the operations around the place are printed), 2 nothing can be said.
//
// An operation without an answer ("unknown") may take effect at any later time, or never. For Porcupine an operation always
// happens, so what may have happened is narrowed first, without changing the verdict:
//   - an unknown set whose value nobody read could as well come last: it is left out. Values are unique per key.
//   - one whose value was read has happened before the first such read ended: that is its end.
//   - an unknown incr stays until the end of time; the counter's model takes one that never happened as happening after all.
//
// What was refused ("error") must not have happened: a value of it that is read is a failure. Refused and unknown reads say nothing.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strconv"
	"time"

	"github.com/anishathalye/porcupine"
)

const (
	checkTimeout = 100 * time.Second
	forever      = int64(1) << 62
	shownAround  = 12
)

type operation struct {
	Process int         `json:"process"`
	Kind    string      `json:"kind"`
	Key     string      `json:"key"`
	Value   interface{} `json:"value"` // string, number or null
	Invoke  int64       `json:"invoke"`
	Return  int64       `json:"return"`
	Outcome string      `json:"outcome"`
}

type input struct {
	kind  string
	value string // of set
}

// What an operation answered; absent stands for a missing key and for "no answer".
type output struct {
	present bool
	value   string
}

func text(value interface{}) output {
	switch v := value.(type) {
	case string:
		return output{true, v}
	case float64:
		return output{true, strconv.FormatInt(int64(v), 10)}
	}
	return output{}
}

var register = porcupine.Model{
	Init: func() interface{} { return output{} },
	Step: func(state, in, out interface{}) (bool, interface{}) {
		if in.(input).kind == "set" {
			return true, output{true, in.(input).value}
		}
		return state.(output) == out.(output), state
	},
}

var counter = porcupine.Model{
	Init: func() interface{} { return int64(0) },
	Step: func(state, in, out interface{}) (bool, interface{}) {
		now, said := state.(int64), out.(output)
		if in.(input).kind == "get" {
			return (now == 0 && !said.present) || said.value == strconv.FormatInt(now, 10), now
		}
		return !said.present || said.value == strconv.FormatInt(now+1, 10), now + 1
	},
}

func read(path string) (map[string][]operation, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	keys := map[string][]operation{}
	lines := bufio.NewScanner(file)
	lines.Buffer(make([]byte, 1<<16), 1<<24)
	for number := 1; lines.Scan(); number++ {
		var op operation
		if err := json.Unmarshal(lines.Bytes(), &op); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, number, err)
		}
		known := (op.Kind == "set" || op.Kind == "get" || op.Kind == "incr") &&
			(op.Outcome == "ok" || op.Outcome == "error" || op.Outcome == "unknown")
		if !known || op.Key == "" || op.Invoke > op.Return {
			return nil, fmt.Errorf("%s:%d: not an operation: %s", path, number, lines.Text())
		}
		keys[op.Key] = append(keys[op.Key], op)
	}
	return keys, lines.Err()
}

// narrowed turns one key's operations into what Porcupine wants, as the comment at the top says; the second value is a complaint.
func narrowed(history []operation) ([]porcupine.Operation, string) {
	firstRead := map[string]int64{} // value: when the first read of it ended
	for _, op := range history {
		if op.Kind == "get" && op.Outcome == "ok" {
			if said := text(op.Value); said.present {
				if at, seen := firstRead[said.value]; !seen || op.Return < at {
					firstRead[said.value] = op.Return
				}
			}
		}
	}
	var kept []porcupine.Operation
	for _, op := range history {
		made := porcupine.Operation{ClientId: op.Process, Input: input{kind: op.Kind}, Call: op.Invoke, Return: op.Return, Output: output{}}
		if op.Outcome == "ok" && op.Kind != "set" {
			made.Output = text(op.Value)
		}
		if op.Kind == "set" {
			value := text(op.Value).value
			made.Input = input{"set", value}
			end, seen := firstRead[value]
			if op.Outcome == "error" && seen {
				return nil, fmt.Sprintf("a refused write was read: %+v", op)
			}
			if op.Outcome == "unknown" {
				if !seen {
					continue
				}
				if end < op.Invoke {
					return nil, fmt.Sprintf("a write was read before it was sent: %+v", op)
				}
				made.Return = end
			}
		}
		if op.Outcome == "error" || (op.Kind == "get" && op.Outcome == "unknown") {
			continue
		}
		if op.Kind == "incr" && op.Outcome == "unknown" {
			made.Return = forever
		}
		kept = append(kept, made)
	}
	return kept, ""
}

// around prints the operations next to the end of the longest order that can be explained.
func around(history []porcupine.Operation, info porcupine.LinearizationInfo) {
	longest := 0
	for _, partition := range info.PartialLinearizations() {
		for _, order := range partition {
			if len(order) > longest {
				longest = len(order)
			}
		}
	}
	sort.SliceStable(history, func(i, j int) bool { return history[i].Return < history[j].Return })
	for i := longest - shownAround; i < longest+shownAround; i++ {
		if i >= 0 && i < len(history) {
			op := history[i]
			fmt.Printf("  process %d: %+v -> %+v, from %d to %d\n", op.ClientId, op.Input, op.Output, op.Call, op.Return)
		}
	}
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: linearizable history.jsonl")
		os.Exit(2)
	}
	keys, err := read(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "linearizable:", err)
		os.Exit(2)
	}
	if len(keys) == 0 {
		fmt.Fprintln(os.Stderr, "linearizable: no operations at all")
		os.Exit(2)
	}
	names := make([]string, 0, len(keys))
	for key := range keys {
		names = append(names, key)
	}
	sort.Strings(names)
	status := 0
	for _, key := range names {
		history, complaint := narrowed(keys[key])
		if complaint != "" {
			fmt.Printf("key %s: NOT linearizable: %s\n", key, complaint)
			status = 1
			continue
		}
		model := register
		for _, op := range keys[key] {
			if op.Kind == "incr" {
				model = counter
			}
		}
		switch porcupine.CheckOperationsTimeout(model, history, checkTimeout) {
		case porcupine.Ok:
			fmt.Printf("key %s: linearizable, %d operations\n", key, len(history))
		case porcupine.Illegal:
			fmt.Printf("key %s: NOT linearizable, %d operations; around the first that cannot be explained:\n", key, len(history))
			_, info := porcupine.CheckOperationsVerbose(model, history, checkTimeout)
			around(history, info)
			status = 1
		default:
			fmt.Printf("key %s: undecided after %s, %d operations\n", key, checkTimeout, len(history))
			if status == 0 {
				status = 2
			}
		}
	}
	os.Exit(status)
}
