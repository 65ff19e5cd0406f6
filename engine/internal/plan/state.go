package plan

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hibana-engine/hibana/rdd/lineage"
)

// State is a keyed state of the program, addressed by its name.
type State struct {
	Declaration
	Name       string
	Stream     int32  // whose RDDs hold the state's versions, one element a partition
	Partitions int    // of the state
	Spread     string // how keys are spread over them, for comparison
	Types      string // of its keys and values, for people
	Window     string // that it is made over, "" for none
	Holds      []LoggedVariable
	Stored     []Stored // the types of what it holds
	// Compute generates the job that computes a version of which no output is made.
	Compute func(g *Generation) lineage.Action
	// Save makes the action that saves the versions of a batch, whose RDD is made.
	Save func(g *Generation, kind SaveKind) lineage.Action
}

// saveKinds are those for which there is an action of each state.
var saveKinds = [...]SaveKind{SaveDelta, SaveBase}

// saves returns the actions that save a state's versions of a batch, one for each kind.
// They make no RDDs; none has a Final where the batch has no versions. Only those of a
// stream's last batch are run.
func (s *State) saves(g *Generation) (actions []lineage.Action) {
	for _, kind := range saveKinds {
		action := lineage.Action{}
		if _, made := g.Memo[s.Stream]; made && s.Save != nil {
			action = s.Save(g, kind)
		}
		actions = append(actions, action)
	}
	return actions
}

// SaveAction returns which of a batch's actions saves the versions of a state.
func (g *Graph) SaveAction(state int, kind SaveKind) int32 {
	return int32(len(g.Outputs) + state*len(saveKinds) + slices.Index(saveKinds[:], kind))
}

// dropUnused drops the states of which no output is made: nothing computes them. One that a
// function of Transform may slice has an output of its own, since it must be computed in
// every batch, whatever the function asks for in which.
func (g *Graph) dropUnused() {
	used := make(map[int32]bool)
	for _, o := range g.Outputs {
		used[o.Parent.ID] = true
	}
	sliced := false                                // one of the streams so far, which are used, may slice those before it
	for _, s := range slices.Backward(g.Streams) { // a parent's id is below its children's
		if st := g.stateOf(s.ID); st != nil && sliced && !used[s.ID] {
			used[s.ID] = true
			g.Outputs = append(g.Outputs, &Output{
				Declaration: st.Declaration, Index: int32(len(g.Outputs)), Parent: Parent{ID: s.ID}, Action: st.Compute,
			})
		}
		sliced = sliced || s.Slices && used[s.ID]
		for _, p := range s.Parents {
			used[p.ID] = used[p.ID] || used[s.ID]
		}
	}
	g.States = slices.DeleteFunc(g.States, func(s *State) bool { return !used[s.Stream] })
}

// stateOf returns the state whose versions a stream holds, nil for none.
func (g *Graph) stateOf(stream int32) *State {
	i := slices.IndexFunc(g.States, func(s *State) bool { return s.Stream == stream })
	if i < 0 {
		return nil
	}
	return g.States[i]
}

// LastOutputs returns the index of the last output that is made of each state, by the
// state's stream.
func (g *Graph) LastOutputs() map[int32]int32 {
	last := make(map[int32]int32) // by stream
	for _, o := range g.Outputs {
		last[o.Parent.ID] = o.Index
	}
	for _, s := range slices.Backward(g.Streams) { // a parent's id is below its children's
		output, used := last[s.ID]
		if !used {
			continue
		}
		for _, p := range s.Parents {
			last[p.ID] = max(last[p.ID], output)
		}
	}
	maps.DeleteFunc(last, func(stream, _ int32) bool { return !g.IsState(stream) })
	return last
}

// CheckState says why a state can't have a name.
func (g *Graph) CheckState(name string) error {
	if err := CheckStateName(name); err != nil {
		return err
	}
	for _, s := range g.States {
		if s.Name == name {
			return fmt.Errorf("the state at %s has the name %q, too: each needs one of its own", s.Site, name)
		}
	}
	return nil
}

// HoldsVariables reports whether the state of a name holds several variables of each key.
func (g *Graph) HoldsVariables(name string) bool {
	return slices.ContainsFunc(g.States, func(s *State) bool { return s.Name == name && s.Holds != nil })
}

// CheckStateName says why a name can't be a state's, or one of its variables': it is one of directories and of
// command lines.
func CheckStateName(name string) error {
	if len(name) == 0 || len(name) > 64 {
		return fmt.Errorf("its name %.70q has %d bytes; 1 to 64 are allowed", name, len(name))
	}
	for i, c := range []byte(name) {
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && (i == 0 || c != '.' && c != '_' && c != '-') {
			return fmt.Errorf("its name is %q; letters, digits, points, dashes and underscores are allowed, a letter or a digit first", name)
		}
	}
	return nil
}

// SavedState is what an allocation says of a state: where it is saved, and whether this
// batch's version is to be.
type SavedState struct {
	Name        string       `msgpack:"n"`
	Checkpoints []Checkpoint `msgpack:"c,omitempty"` // those that batches may begin from, Seq ascends
	Save        SaveKind     `msgpack:"s,omitempty"`
	Begins      uint64       `msgpack:"b,omitempty"` // the batch with which it begins, 0: the job's first
}

// Checkpoint names a version of a state that is saved.
type Checkpoint struct {
	Seq       uint64 `msgpack:"s"` // of the batch after which the state was so
	TimeNanos int64  `msgpack:"t"` // of that batch, nanoseconds since 1970
	Manifest  string `msgpack:"m"` // name of the file that lists the checkpoint's files
}

// SaveKind says how a version of a state is saved.
type SaveKind uint8

// The kinds.
const (
	NoSave    SaveKind = iota
	SaveDelta          // what changed since the newest checkpoint
	SaveBase           // all of it
)

// Newest returns the newest checkpoint of a batch up to seq, nil if there is none.
func (s *SavedState) Newest(seq uint64) *Checkpoint {
	if s == nil {
		return nil
	}
	for i := range slices.Backward(s.Checkpoints) {
		if s.Checkpoints[i].Seq <= seq {
			return &s.Checkpoints[i]
		}
	}
	return nil
}

// KeepCheckpoints leaves of a state's checkpoints those that are there.
func (a *Allocation) KeepCheckpoints(state string, there []Checkpoint) {
	if s := a.State(state); s != nil {
		s.Checkpoints = slices.DeleteFunc(slices.Clone(s.Checkpoints), func(c Checkpoint) bool { return !slices.Contains(there, c) })
	}
}

// State returns what the allocation says of a state, nil if that is nothing.
func (a *Allocation) State(name string) *SavedState {
	for i := range a.States {
		if a.States[i].Name == name {
			return &a.States[i]
		}
	}
	return nil
}
